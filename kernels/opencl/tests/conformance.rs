//! Every operation that the backend has a kernel for, over random shapes, strides and dtypes, against plain loops.
//!
//! Where there is no OpenCL the suite says so and passes: that is a normal state.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stark_kernels::accelerator::Accelerator;
use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops::{self as k, Attention, Average};
use stark_kernels::{Conv, DType, Device, Pool, Result, Tensor, with_device};
use stark_opencl::Family;

/// The first device with either family of kernels; none where there is no OpenCL.
fn devices() -> &'static [Arc<dyn Accelerator>] {
    static DEVICES: OnceLock<Vec<Arc<dyn Accelerator>>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let open = |family| match stark_opencl::open_as(0, family) {
            Ok(device) => Some(device as Arc<dyn Accelerator>),
            Err(stark_opencl::Error::Absent(why)) => {
                println!("skipped: {why}");
                None
            }
            Err(other) => panic!("{other}"),
        };
        [Family::Tile, Family::Local].into_iter().filter_map(open).collect()
    })
}

/// How near results must be: sums in other orders and other formulas of the same functions.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-9,
        DType::F16 => 2e-3,
        DType::BF16 => 2e-2,
        _ => 2e-5,
    }
}

fn near(name: &str, got: &Tensor, want: &Tensor) {
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{name}");
    let tolerance = tolerance(want.dtype());
    for (i, (g, w)) in got.to_scalars().iter().zip(want.to_scalars()).enumerate() {
        let (g, w) = (g.to_f64(), w.to_f64());
        let same = g == w || g.is_nan() && w.is_nan();
        let scale = 1.0 + w.abs();
        assert!(same || (g - w).abs() <= tolerance * scale, "{name} of {}: element {i} is {g}, not {w}", want.dtype());
    }
}

/// Runs `op` on the host and on the devices; they must have computed it.
fn hold(name: &str, inputs: &[Tensor], op: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
    let want = with_device(Device::Reference, || op(inputs));
    for device in devices() {
        let placed: Vec<Tensor> = inputs.iter().map(|t| place(device, t)).collect();
        let got = op(&placed);
        match (got, &want) {
            (Ok(got), Ok(want)) => {
                assert!(got.memory().is_some(), "{name}: the device has no kernel for {}", inputs[0].dtype());
                near(name, &got.to_host().unwrap(), want);
            }
            (Err(got), Err(want)) => assert_eq!(got.to_string(), want.to_string(), "{name}"),
            (got, want) => panic!("{name}: {got:?} and {want:?}"),
        }
    }
}

/// On the device, with the same strides: a transposed tensor stays one.
fn place(device: &Arc<dyn Accelerator>, t: &Tensor) -> Tensor {
    if t.rank() >= 2 && !t.is_contiguous() {
        return t.transpose(-1, -2).unwrap().to_accelerator(device, false).unwrap().transpose(-1, -2).unwrap();
    }
    t.to_accelerator(device, false).unwrap()
}

#[test]
fn every_element_type_becomes_every_other() {
    for from in DType::ALL {
        let x = k::mul(&random(&[70], 7, DType::F32), &Tensor::scalar(40.0f32)).unwrap().to(from).unwrap();
        for to in DType::ALL {
            // Nothing is done for the same, and a byte is not asked to hold what is below 0.
            if from != to && !(from.is_float() && to == DType::U8) {
                hold(&format!("to {to}"), std::slice::from_ref(&x), &|t| t[0].to(to));
            }
        }
    }
}

fn random(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    k::randn(shape, seed, DType::F32).unwrap().to(dtype).unwrap()
}

fn shapes(rank: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![8 => 1usize..9, 1 => Just(33usize), 1 => Just(0usize)], rank)
}

fn floats() -> impl Strategy<Value = DType> {
    prop_oneof![4 => Just(DType::F32), 1 => Just(DType::F64), 1 => Just(DType::F16), 1 => Just(DType::BF16)]
}

/// `cases` random cases, the same ones in every run.
fn each<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&strategy, |value| {
            test(value);
            Ok(())
        })
        .unwrap();
}

#[test]
fn unary() {
    type Op = (&'static str, fn(&Tensor) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("exp", k::exp),
        ("tanh", k::tanh),
        ("sigmoid", k::sigmoid),
        ("erf", k::erf),
        ("gelu", k::gelu),
        ("gelu_tanh", k::gelu_tanh),
        ("silu", k::silu),
        ("relu", k::relu),
        ("relu6", k::relu6),
        ("neg", k::neg),
        ("abs", k::abs),
        ("sign", k::sign),
        ("square", k::square),
        ("floor", k::floor),
        ("ceil", k::ceil),
        ("round", k::round),
        ("sqrt", k::sqrt),
        ("rsqrt", k::rsqrt),
        ("log", k::log),
        ("sin", k::sin),
        ("cos", k::cos),
        ("hardswish", k::hardswish),
        ("hardsigmoid", k::hardsigmoid),
        ("mish", k::mish),
        ("selu", k::selu),
        ("log_sigmoid", k::log_sigmoid),
        ("isnan", k::isnan),
        ("isinf", k::isinf),
        ("leaky_relu", |x| k::leaky_relu(x, 0.1)),
        ("elu", |x| k::elu(x, 1.5)),
        ("softplus", |x| k::softplus(x, 1.0, 20.0)),
        ("hardtanh", |x| k::hardtanh(x, -0.5, 0.5)),
        ("contiguous", |x| x.transpose(0, -1)?.copied()),
        ("to Int32", |x| k::mul(x, 10.0)?.to(DType::I32)),
        ("to Bool", |x| k::relu(x)?.to(DType::Bool)),
        ("to Float16", |x| x.to(DType::F16)?.to(DType::F32)),
        ("to BFloat16", |x| x.to(DType::BF16)?.to(DType::F32)),
    ];
    each(25, (0..OPS.len(), shapes(1..=4), floats(), any::<u64>()), |(op, shape, dtype, seed)| {
        let (name, f) = OPS[op];
        hold(name, &[random(&shape, seed, dtype)], &|x| f(&x[0]));
    });
    // Each at least once, with numbers that are none.
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.5, -2.5, 90.0, -90.0, 1e-3];
    let odd = Tensor::from_slice(&odd, &[odd.len()]).unwrap();
    for (name, f) in OPS.iter().filter(|(name, _)| !name.starts_with("to ")) {
        hold(name, std::slice::from_ref(&odd), &|x| f(&x[0]));
    }
}

/// A plain activation and one as layers have it, with a number, are two kernels of one name.
#[test]
fn forms_of_one_name_with_and_without_numbers() {
    type Op = fn(&Tensor) -> Result<Tensor>;
    const PLAIN: [(Activation, Op); 4] = [
        (Activation::Relu, k::relu),
        (Activation::Silu, k::silu),
        (Activation::Gelu, k::gelu),
        (Activation::Tanh, k::tanh),
    ];
    for (n, (activation, plain)) in PLAIN.into_iter().enumerate() {
        // Each shape has kernels of its own.
        let x = random(&vec![3; n + 1], 5, DType::F32);
        let with_number = |x: &[Tensor]| k::activate(x[0].clone(), activation);
        let without = |x: &[Tensor]| plain(&x[0]);
        let order: [&dyn Fn(&[Tensor]) -> Result<Tensor>; 3] =
            if n % 2 == 0 { [&without, &with_number, &without] } else { [&with_number, &without, &with_number] };
        order.into_iter().for_each(|op| hold(activation.name(), std::slice::from_ref(&x), op));
    }
}

#[test]
fn binary() {
    type Op = (&'static str, fn(&Tensor, &Tensor) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("add", |a, b| k::add(a, b)),
        ("sub", |a, b| k::sub(a, b)),
        ("mul", |a, b| k::mul(a, b)),
        ("div", |a, b| k::div(a, b)),
        ("maximum", |a, b| k::maximum(a, b)),
        ("minimum", |a, b| k::minimum(a, b)),
        ("eq", |a, b| k::eq(a, b)),
        ("lt", |a, b| k::lt(a, b)),
        ("ge", |a, b| k::ge(a, b)),
        ("where", |a, b| k::where_(&k::gt(a, 0.0)?, a, b)),
        ("masked_fill", |a, b| k::masked_fill(&k::add(a, b)?, &k::gt(a, b)?, -1.0)),
        ("remainder", |a, b| k::remainder(a, &k::add(&k::abs(b)?, 1.0)?)),
        ("logical_and", |a, b| k::logical_and(a, b)),
        ("clamp", |a, b| k::clamp(&k::add(a, b)?, Some((-0.5).into()), Some(0.5.into()))),
        ("number", |a, b| k::sub(1.0, &k::mul(a, b)?)),
    ];
    let cases = (0..OPS.len(), shapes(1..=4), floats(), any::<u64>(), any::<bool>(), 0usize..16);
    each(40, cases, |(op, shape, dtype, seed, turned, ones)| {
        let (name, f) = OPS[op];
        // Some axes of the second operand broadcast.
        let narrow: Vec<usize> =
            shape.iter().enumerate().map(|(i, &n)| if ones >> i & 1 == 1 { 1 } else { n }).collect();
        let a = random(&shape, seed, dtype);
        let mut b = random(&narrow, seed ^ 1, dtype);
        if turned && narrow.len() >= 2 {
            let mut t = narrow.clone();
            let n = t.len();
            t.swap(n - 1, n - 2);
            b = random(&t, seed ^ 2, dtype).transpose(-1, -2).unwrap();
        }
        hold(name, &[a, b], &|x| f(&x[0], &x[1]));
    });
}

#[test]
fn products() {
    let sizes = || prop_oneof![4 => 1usize..40, 1 => Just(0usize), 1 => 60usize..70, 1 => Just(128usize)];
    let dtype = prop_oneof![4 => Just(DType::F32), 1 => Just(DType::F64), 1 => Just(DType::F16)];
    let cases = (sizes(), sizes(), sizes(), prop::collection::vec(1usize..4, 0..=3), dtype, any::<u64>(), 0usize..16);
    each(40, cases, |(m, kk, n, lead, dtype, seed, kind)| {
        let stack = |tail: [usize; 2], ones: bool| -> Vec<usize> {
            lead.iter().map(|&x| if ones { 1 } else { x }).chain(tail).collect()
        };
        let a = if kind & 1 == 0 {
            random(&stack([m, kk], false), seed, dtype)
        } else {
            random(&stack([kk, m], false), seed, dtype).transpose(-1, -2).unwrap()
        };
        let b = if kind & 2 == 0 {
            random(&stack([kk, n], kind & 4 != 0), seed ^ 1, dtype)
        } else {
            random(&stack([n, kk], kind & 4 != 0), seed ^ 1, dtype).transpose(-1, -2).unwrap()
        };
        hold("matmul", &[a.clone(), b], &|x| k::matmul(&x[0], &x[1]));
        let (weight, bias) = (random(&[n, kk], seed ^ 2, dtype), random(&[n], seed ^ 3, dtype));
        hold("linear", &[a, weight, bias], &|x| k::linear(&x[0], &x[1], Some(&x[2])));
    });
}

#[test]
fn products_of_every_tile() {
    // From one row to many tiles, few sums of great depth, and both factors turned.
    for (i, [m, kk, n]) in [[1, 700, 300], [20, 900, 5], [70, 1000, 33], [260, 40, 270], [300, 17, 129], [129, 400, 64]]
        .into_iter()
        .enumerate()
    {
        let seed = 2 * i as u64;
        let (bias, added) = (random(&[n], seed ^ 3, DType::F32), random(&[m, n], seed ^ 4, DType::F32));
        for turned in 0..4 {
            let factor = |rows, columns, is_turned, seed| match is_turned {
                true => random(&[columns, rows], seed, DType::F32).transpose(0, 1).unwrap(),
                false => random(&[rows, columns], seed, DType::F32),
            };
            let inputs = [factor(m, kk, turned & 1 > 0, seed), factor(kk, n, turned & 2 > 0, seed ^ 1)];
            hold("matmul", &inputs, &|x| k::mul(&k::matmul(&x[0], &x[1])?, 0.1));
        }
        let x = [factor_of(&[m, kk], seed), bias, added];
        let matrix = factor_of(&[kk, n], seed ^ 5);
        hold_packed(&matrix, &x, Activation::Relu);
    }
    for (images, channels, out, side, kernel) in [(3, 40, 70, 9, 3), (1, 64, 20, 12, 1), (2, 3, 33, 30, 7)] {
        let inputs = [
            random(&[images, channels, side, side], 1, DType::F32),
            k::mul(&random(&[out, channels, kernel, kernel], 2, DType::F32), 0.1).unwrap(),
            random(&[out], 3, DType::F32),
        ];
        let slide = Conv { stride: 1 + images % 2, padding: kernel / 2, dilation: 1 };
        hold("conv2d", &inputs, &|x| k::conv2d(&x[0], &x[1], Some(&x[2]), [slide; 2], 1));
    }
}

/// Numbers small enough that sums of a thousand stay near one.
fn factor_of(shape: &[usize], seed: u64) -> Tensor {
    k::mul(&random(shape, seed, DType::F32), 0.1).unwrap()
}

/// A layer whose weight was placed on each device before.
fn hold_packed(matrix: &Tensor, inputs: &[Tensor], activation: Activation) {
    let packed = || k::PackedMatrix::new(matrix).unwrap();
    let plain = packed();
    let placed: Vec<_> = devices().iter().map(|device| (device, packed())).collect();
    placed.iter().for_each(|(device, weight)| weight.place(device).unwrap());
    hold("packed linear", inputs, &|x| {
        let on = x[0].memory().map(|memory| memory.accelerator());
        let weight = placed.iter().find(|(device, _)| on.is_some_and(|on| Arc::ptr_eq(on, device)));
        k::linear_packed(&x[0], weight.map_or(&plain, |(_, weight)| weight), Some(&x[1]), Some(&x[2]), activation)
    });
}

#[test]
fn packed_layers() {
    let activations =
        ["none", "relu", "relu6", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "hardswish"];
    each(20, (1usize..20, 1usize..70, 1usize..70, 0..activations.len(), any::<u64>()), |(m, kk, n, which, seed)| {
        let activation = Activation::named(activations[which], 0.1).unwrap();
        let inputs = [
            random(&[m, kk], seed, DType::F32),
            random(&[n], seed ^ 1, DType::F32),
            random(&[m, n], seed ^ 2, DType::F32),
        ];
        let matrix = random(&[kk, n], seed ^ 3, DType::F32);
        hold_packed(&matrix, &inputs, activation);
    });
}

#[test]
fn rows_and_reductions() {
    type Op = (&'static str, fn(&Tensor, i64) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("softmax", |x, axis| k::softmax(x, axis)),
        ("log_softmax", |x, axis| k::log_softmax(x, axis)),
        ("sum", |x, axis| k::sum(x, &[axis], false)),
        ("mean", |x, axis| k::mean(x, &[axis], true)),
        ("prod", |x, axis| k::prod(x, &[axis], false)),
        ("amax", |x, axis| k::amax(x, &[axis], false)),
        ("amin", |x, axis| k::amin(x, &[axis], true)),
        ("argmax", |x, axis| k::argmax(x, Some(axis), false)),
        ("argmin", |x, axis| k::argmin(x, Some(axis), false)),
        ("norm", |x, axis| k::norm(x, 2.0, &[axis], false)),
        ("var", |x, axis| k::var(x, &[axis], 1.0, false)),
        ("std", |x, axis| k::std(x, &[axis], 0.0, false)),
        ("logsumexp", |x, axis| k::logsumexp(x, &[axis], false)),
        ("any", |x, axis| k::any(&k::gt(x, 1.0)?, &[axis], false)),
        ("all", |x, axis| k::all(&k::gt(x, -1.0)?, &[axis], false)),
        ("layer_norm", |x, _| k::layer_norm(x, &x.shape()[x.rank() - 1..], None, None, 1e-5)),
        ("rms_norm", |x, _| k::rms_norm(x, &x.shape()[x.rank() - 1..], None, 1e-5)),
    ];
    let dtype = prop_oneof![4 => Just(DType::F32), 1 => Just(DType::F64)];
    each(40, (0..OPS.len(), shapes(1..=4), dtype, any::<u64>(), 0usize..4), |(op, shape, dtype, seed, axis)| {
        let (name, f) = OPS[op];
        let axis = (axis % shape.len()) as i64;
        // Of no elements there is no mean: NaN everywhere or an error, without a kernel.
        if shape.contains(&0) {
            return;
        }
        hold(name, &[random(&shape, seed, dtype)], &|x| f(&x[0], axis));
    });
    for (name, f) in OPS {
        for n in [31, 32, 65, 1000, 1025, 3001] {
            hold(name, &[factor_of(&[3, n], n as u64)], &|x| f(&x[0], 1));
        }
        let mut odd = factor_of(&[4, 100], 1);
        for (at, number) in
            [([0, 70], f64::NAN), ([1, 3], f64::INFINITY), ([1, 99], 7.0), ([2, 5], 7.0), ([2, 90], 7.0)]
        {
            odd.set(&at, number).unwrap();
        }
        hold(name, &[odd], &|x| f(&x[0], 1));
    }
    let x = random(&[3, 7, 40], 1, DType::F32);
    let (w, b) = (random(&[40], 2, DType::F32), random(&[40], 3, DType::F32));
    hold("layer_norm", &[x, w, b], &|x| k::layer_norm(&x[0], &[40], Some(&x[1]), Some(&x[2]), 1e-5));
    let x = random(&[2, 6, 5, 5], 1, DType::F32);
    let c = random(&[6], 2, DType::F32);
    hold("batch_norm", &[x.clone(), c.clone(), k::abs(&c).unwrap()], &|x| {
        k::batch_norm(&x[0], &x[1], &x[2], Some(&x[1]), Some(&x[2]), 1e-5)
    });
    hold("group_norm", &[x, c], &|x| k::group_norm(&x[0], 3, Some(&x[1]), Some(&x[1]), 1e-5));
}

#[test]
fn convolutions_and_pools() {
    let slide =
        (1usize..4, 0usize..3, 1usize..3).prop_map(|(stride, padding, dilation)| Conv { stride, padding, dilation });
    let cases = (
        (1usize..3, 1usize..4, 1usize..5, 1usize..6, 1usize..4),
        (5usize..14, 5usize..14),
        (1usize..4, 1usize..4),
        (slide.clone(), slide),
        any::<u64>(),
    );
    each(40, cases, |((n, groups, per_group, out, _), (h, w), (kh, kw), (sh, sw), seed)| {
        let inputs = [
            random(&[n, groups * per_group, h, w], seed, DType::F32),
            random(&[groups * out, per_group, kh, kw], seed ^ 1, DType::F32),
            random(&[groups * out], seed ^ 2, DType::F32),
        ];
        hold("conv2d", &inputs, &|x| k::conv2d(&x[0], &x[1], Some(&x[2]), [sh, sw], groups));
        hold("conv2d with more", &inputs, &|x| {
            let plain = k::conv2d(&x[0], &x[1], None, [sh, sw], groups)?;
            k::conv2d_with(&x[0], &x[1], Some(&x[2]), [sh, sw], groups, Some(&plain), Activation::Gelu)
        });
        let pool = |kernel: usize, c: Conv| Pool {
            kernel: kernel + 1,
            stride: c.stride,
            padding: 1,
            dilation: 1,
            ceil_mode: seed % 2 == 0,
        };
        let pools = [pool(kh, sh), pool(kw, sw)];
        hold("max_pool2d", &inputs[..1], &|x| k::max_pool2d(&x[0], pools));
        let average = Average { count_padding: seed % 3 == 0, divisor: None };
        hold("avg_pool2d", &inputs[..1], &|x| k::avg_pool2d(&x[0], pools, average));
        hold("adaptive_avg_pool2d", &inputs[..1], &|x| k::adaptive_avg_pool2d(&x[0], [kh, 3]));
        hold("adaptive_max_pool2d", &inputs[..1], &|x| k::adaptive_max_pool2d(&x[0], [2, kw]));
    });
}

#[test]
fn moves() {
    let cases = (shapes(1..=4), floats(), any::<u64>(), 0usize..4, prop::collection::vec(any::<u16>(), 0..9));
    each(25, cases, |(shape, dtype, seed, axis, ids)| {
        let axis = axis % shape.len();
        let n = shape[axis];
        let x = random(&shape, seed, dtype);
        if n > 0 && !ids.is_empty() {
            let ids: Vec<i64> = ids.iter().map(|&i| i64::from(i) % n as i64).collect();
            let ids = Tensor::from_slice(&ids, &[ids.len()]).unwrap();
            hold("index_select", std::slice::from_ref(&x), &|x| k::index_select(&x[0], axis as i64, &ids));
        }
        hold("flip", std::slice::from_ref(&x), &|x| k::flip(&x[0], &[axis as i64]));
        let y = random(&shape, seed ^ 1, dtype);
        hold("cat", &[x.clone(), y.clone(), x.clone()], &|x| k::cat(&[&x[0], &x[1], &x[2]], axis as i64));
        hold("stack", &[x, y], &|x| k::stack(&[&x[0], &x[1]], axis as i64));
    });
    let table = random(&[20, 7], 1, DType::F32);
    let ids = Tensor::from_slice(&[3i64, 0, 19, 3], &[2, 2]).unwrap();
    hold("embedding", std::slice::from_ref(&table), &|x| k::embedding(&x[0], &ids));
    let beyond = Tensor::from_slice(&[20i64], &[1]).unwrap();
    hold("embedding", &[table], &|x| k::embedding(&x[0], &beyond));
}

#[test]
fn attention() {
    let length = || prop_oneof![3 => 1usize..9, 1 => 15usize..50];
    let width = || prop_oneof![3 => 1usize..9, 1 => Just(64usize), 1 => 65usize..135];
    let sizes = (1usize..3, 1usize..4, length(), length(), width(), width());
    let dtype = prop_oneof![8 => Just(DType::F32), 1 => Just(DType::F64), 1 => Just(DType::F16)];
    let cases = (sizes, any::<u64>(), 0usize..5, any::<bool>(), any::<bool>(), dtype);
    each(60, cases, |((batch, heads, l, s, e, w), seed, mask, unseen_is_nan, turned, dtype)| {
        let values = random(&[batch, s, heads, w], seed ^ 2, dtype).transpose(1, 2).unwrap();
        let keys = match turned {
            true => random(&[batch, heads, e, s], seed ^ 1, dtype).transpose(-1, -2).unwrap(),
            false => random(&[1, heads, s, e], seed ^ 1, dtype),
        };
        let inputs = [random(&[batch, heads, l, e], seed, dtype), keys, values.contiguous().unwrap()];
        let seen = || k::gt(&random(&[batch, 1, l, s], seed ^ 3, DType::F32), 0.5).unwrap();
        let mask_tensor = match mask {
            1 => Some(seen()),
            2 => Some(random(&[l, s], seed ^ 3, dtype)),
            3 => Some(k::where_(&seen(), 0.5, f64::NEG_INFINITY).unwrap().to(dtype).unwrap()),
            _ => None,
        };
        let options = Attention { causal: mask >= 3, unseen_is_nan, ..Attention::default() };
        hold("attention", &inputs, &|x| {
            k::scaled_dot_product_attention(&x[0], &x[1], &x[2], mask_tensor.as_ref(), options)
        });
    });
}

#[test]
fn memory_is_given_back_and_limits_are_said() {
    for device in devices() {
        memory_is_given_back(device);
    }
}

fn memory_is_given_back(device: &Arc<dyn Accelerator>) {
    let before = device.statistics();
    let x = random(&[64, 64], 1, DType::F32).to_accelerator(device, false).unwrap();
    let mut y = x.clone();
    for _ in 0..50 {
        y = k::matmul(&x, &x).unwrap();
    }
    // Once elements are read all kernels are done, and their times known.
    y.to_host().unwrap();
    let after = device.statistics();
    assert!(after.n_kernels >= before.n_kernels + 50 && after.busy_ns > before.busy_ns);
    // A write by the host leaves the device's copy behind, and others do not see it.
    let mut mine = x.clone();
    mine.set(&[0, 0], 7.0).unwrap();
    assert!(mine.memory().is_none() && x.memory().is_some());
    assert_eq!(mine.at(&[0, 0]).unwrap().to_f64(), 7.0);
    assert_ne!(x.at(&[0, 0]).unwrap().to_f64(), 7.0);
}
