//! Operations with loops of their own for vectors, against the plain ones of the reference device: random shapes, strides
//! and dtypes, special values, on one thread and on several.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stark_kernels::ops as k;
use stark_kernels::{DType, Device, Parallel, Pool, Result, Scalar, Tensor, with_device, with_parallel};

/// As many threads as there are pieces, the last first.
struct Threads;

impl Parallel for Threads {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|s| (0..n).rev().for_each(|i| drop(s.spawn(move || body(i)))));
    }

    fn worth(&self) -> usize {
        0
    }
}

/// How near results must be to the reference's.
#[derive(Clone, Copy, PartialEq)]
enum Near {
    /// The same bits; any NaN for any NaN.
    Bits,
    /// So many units in the last place of the dtype, or of 1.
    Units(f64),
}

fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 1.0 / 1024.0,
        DType::BF16 => 1.0 / 128.0,
        _ => f64::from(f32::EPSILON),
    }
}

fn is_same(got: Scalar, want: Scalar) -> bool {
    match (got, want) {
        (Scalar::Float(a), Scalar::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (a, b) => a == b,
    }
}

fn hold(name: &str, near: Near, inputs: &[Tensor], op: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
    let want = with_device(Device::Reference, || op(inputs));
    let got = op(inputs);
    let shared = with_parallel(Arc::new(Threads), || op(inputs));
    let (got, shared, want) = match (got, shared, want) {
        (Ok(got), Ok(shared), Ok(want)) => (got, shared, want),
        (Err(got), Err(shared), Err(want)) => {
            assert_eq!(got.to_string(), want.to_string(), "{name}");
            assert_eq!(shared.to_string(), want.to_string(), "{name}");
            return;
        }
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{name}");
    let units = epsilon(want.dtype());
    let all = got.to_scalars().into_iter().zip(shared.to_scalars()).zip(want.to_scalars());
    for (i, ((got, shared), want)) in all.enumerate() {
        assert!(is_same(got, shared), "{name}: element {i} is {got:?} on one thread and {shared:?} on several");
        let (g, w) = (got.to_f64(), want.to_f64());
        let is_near = match near {
            Near::Bits => is_same(got, want),
            Near::Units(n) => is_same(got, want) || (g - w).abs() <= n * units * w.abs().max(1.0),
        };
        let inputs: Vec<_> = inputs.iter().map(|t| (t.dtype(), t.shape().to_vec(), t.strides().to_vec())).collect();
        assert!(is_near, "{name} of {inputs:?}: element {i} is {got:?}, not {want:?}");
    }
}

fn each<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&strategy, |value| {
            test(value);
            Ok(())
        })
        .unwrap();
}

/// What else a float may be: two zeros, infinities, no number, subnormal and large ones.
const SPECIAL: [f32; 12] =
    [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -1e-42, 3e38, -70000.0, 1.0, 2.0, 1e7];

/// Numbers of any dtype, some special when they are floats; whole ones of both signs otherwise.
fn numbers(shape: &[usize], seed: u64, dtype: DType, special: bool) -> Tensor {
    if !dtype.is_float() {
        let scale = if dtype == DType::Bool { 1.0 } else { 100.0 };
        return k::mul(&k::randn(shape, seed, DType::F32).unwrap(), scale).unwrap().to(dtype).unwrap();
    }
    let mut values = k::randn(shape, seed, DType::F32).unwrap().to_vec::<f32>().unwrap();
    if special {
        for (i, x) in values.iter_mut().enumerate() {
            let pick = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed.wrapping_mul(77)) >> 40;
            if pick % 5 == 0 {
                *x = SPECIAL[(pick / 5) as usize % SPECIAL.len()];
            }
        }
    }
    Tensor::from_vec(values, shape).unwrap().to(dtype).unwrap()
}

/// The same numbers in another order of memory.
fn strided(x: Tensor, how: usize) -> Tensor {
    let rank = x.rank();
    match how {
        1 if rank >= 2 => x.transpose(0, -1).unwrap().copied().unwrap().transpose(0, -1).unwrap(),
        2 if rank == 4 => x.permute(&[0, 2, 3, 1]).unwrap().copied().unwrap().permute(&[0, 3, 1, 2]).unwrap(),
        3 if rank >= 1 && x.shape()[rank - 1] > 0 => {
            let n = x.shape()[rank - 1] as i64;
            k::repeat_interleave(&x, 2, -1).unwrap().slice(-1, 0, 2 * n, 2).unwrap()
        }
        _ => x,
    }
}

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![
        DType::F32,
        DType::F64,
        DType::F16,
        DType::BF16,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::U8,
        DType::Bool,
    ])
}

fn float_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![DType::F32, DType::F32, DType::F64, DType::F16, DType::BF16])
}

fn shapes(rank: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![6 => 1usize..9, 2 => 15usize..40, 1 => Just(0usize), 1 => 120usize..140];
    prop::collection::vec(size, rank).prop_filter("not too many", |shape| shape.iter().product::<usize>() <= 200_000)
}

#[test]
fn conversions() {
    each(400, (shapes(0..=3), any_dtype(), any_dtype(), 0usize..4, 0u64..99), |(shape, from, to, how, seed)| {
        let x = strided(numbers(&shape, seed, from, true), how);
        hold("to", Near::Bits, &[x], &|x| x[0].to(to));
    });
}

#[test]
fn arithmetic() {
    type Op = (&'static str, fn(&Tensor, &Tensor) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("add", |a, b| k::add(a, b)),
        ("sub", |a, b| k::sub(a, b)),
        ("mul", |a, b| k::mul(a, b)),
        ("div", |a, b| k::div(a, b)),
        ("maximum", |a, b| k::maximum(a, b)),
        ("minimum", |a, b| k::minimum(a, b)),
        ("remainder", |a, b| k::remainder(a, b)),
        ("fmod", |a, b| k::fmod(a, b)),
        ("lt", |a, b| k::lt(a, b)),
        ("eq", |a, b| k::eq(a, b)),
        ("add of a number", |a, _| k::add(a, 0.7)),
        ("number less", |a, _| k::sub(2.5, a)),
        ("remainder by a number", |a, _| k::remainder(a, 2.0)),
        ("where", |a, b| k::where_(&k::gt(a, 0)?, a, b)),
        ("where of few", |a, b| k::where_(&k::gt(b, 0)?, a, 1)),
        ("clamp", |a, _| k::clamp(a, Some((-1).into()), Some(2.into()))),
        ("clamp to halves", |a, _| k::clamp(a, Some((-0.5).into()), Some(0.5.into()))),
        ("clamp from below", |a, _| k::clamp(a, Some(0.25.into()), None)),
        ("clamp by a tensor", |a, b| k::clamp(a, Some(b.into()), Some(2.into()))),
    ];
    let case = (0..OPS.len(), shapes(0..=4), any_dtype(), any_dtype(), 0usize..4, 0usize..6, 0u64..99);
    each(2000, case, |(op, shape, left, right, how, form, seed)| {
        let mut other = shape.clone();
        match form {
            // Rows, columns and single numbers beside the whole.
            0 => other.iter_mut().for_each(|n| *n = 1),
            1 if !other.is_empty() => other[0] = 1,
            2 if !other.is_empty() => *other.last_mut().unwrap() = 1,
            3 => drop(other.drain(..shape.len() / 2)),
            _ => {}
        }
        // Mostly of one type, of which the loops are.
        let right = if form % 2 == 0 { left } else { right };
        let a = strided(numbers(&shape, seed, left, true), how);
        let b = strided(numbers(&other, seed + 1, right, true), form);
        let (name, op) = OPS[op];
        hold(name, Near::Bits, &[a, b], &|x| op(&x[0], &x[1]));
    });
}

#[test]
fn functions() {
    type Op = (&'static str, Near, fn(&Tensor) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("exp", Near::Units(4.0), k::exp),
        ("tanh", Near::Units(8.0), k::tanh),
        ("gelu", Near::Units(8.0), k::gelu),
        ("log", Near::Bits, k::log),
        ("sin", Near::Bits, k::sin),
        ("cos", Near::Bits, k::cos),
        ("sqrt", Near::Bits, k::sqrt),
        ("neg", Near::Bits, k::neg),
        ("abs", Near::Bits, k::abs),
        ("relu", Near::Bits, k::relu),
        ("square", Near::Bits, k::square),
        ("floor", Near::Bits, k::floor),
        ("round", Near::Bits, k::round),
        ("sign", Near::Bits, k::sign),
        ("hardswish", Near::Bits, k::hardswish),
        ("leaky_relu", Near::Bits, |x| k::leaky_relu(x, 0.1)),
        ("elu", Near::Bits, |x| k::elu(x, 1.5)),
        ("softplus", Near::Bits, |x| k::softplus(x, 2.0, 20.0)),
        ("mish", Near::Units(8.0), k::mish),
        ("square by power", Near::Bits, |x| k::pow(x, 2)),
        ("cube", Near::Units(8.0), |x| k::pow(x, 3)),
        ("root by power", Near::Bits, |x| k::pow(x, &Tensor::scalar(0.5f32))),
    ];
    each(600, (0..OPS.len(), shapes(0..=4), float_dtype(), 0usize..4, 0u64..99), |(op, shape, dtype, how, seed)| {
        let x = strided(numbers(&shape, seed, dtype, true), how);
        let (name, near, op) = OPS[op];
        hold(name, near, &[x], &|x| op(&x[0]));
    });
}

/// Sines of what lies beyond the range of the vector loop, and logarithms of what has none.
#[test]
fn functions_at_their_ends() {
    let x: Vec<f32> = (0..4000).map(|i| (i as f32 - 2000.0) * 977.77).chain(SPECIAL).collect();
    let x = Tensor::from_slice(&x, &[x.len()]).unwrap();
    for (name, op) in [("sin", k::sin as fn(&Tensor) -> Result<Tensor>), ("cos", k::cos), ("log", k::log)] {
        hold(name, Near::Bits, std::slice::from_ref(&x), &|x| op(&x[0]));
        let got = op(&x).unwrap().to_vec::<f32>().unwrap();
        for (x, got) in x.to_vec::<f32>().unwrap().into_iter().zip(got) {
            let exact = match name {
                "sin" => f64::from(x).sin(),
                "cos" => f64::from(x).cos(),
                _ => f64::from(x).ln(),
            } as f32;
            let is_near = got == exact || got.is_nan() && exact.is_nan() || (got - exact).abs() <= 2e-7 * exact.abs();
            assert!(is_near, "{name} of {x:e}: {got:e}, not {exact:e}");
        }
    }
}

#[test]
fn reductions() {
    type Op = (&'static str, bool, fn(&Tensor, &[i64], bool) -> Result<Tensor>);
    const OPS: &[Op] = &[
        ("sum", false, k::sum),
        ("prod", false, k::prod),
        ("amax", false, k::amax),
        ("amin", false, k::amin),
        ("any", false, k::any),
        ("all", false, k::all),
        ("mean", true, k::mean),
        ("var", true, |x, axes, keep| k::var(x, axes, 1.0, keep)),
        ("norm", true, |x, axes, keep| k::norm(x, 2.0, axes, keep)),
        ("norm 1", true, |x, axes, keep| k::norm(x, 1.0, axes, keep)),
        ("norm inf", true, |x, axes, keep| k::norm(x, f64::INFINITY, axes, keep)),
    ];
    let case =
        (0..OPS.len(), shapes(1..=4), any_dtype(), float_dtype(), 0usize..4, 0usize..16, any::<bool>(), 0u64..99);
    each(2000, case, |(op, shape, dtype, float, how, mask, special, seed)| {
        let (name, of_floats, op) = OPS[op];
        let x = strided(numbers(&shape, seed, if of_floats { float } else { dtype }, special), how);
        let axes: Vec<i64> = (0..shape.len()).filter(|i| mask >> i & 1 == 1).map(|i| i as i64).collect();
        hold(name, Near::Bits, &[x], &|x| op(&x[0], &axes, seed % 2 == 0));
    });
}

#[test]
fn moves() {
    let case = (shapes(1..=4), any_dtype(), 0usize..4, 0usize..4, 0usize..40, 0u64..99);
    each(600, case, |(shape, dtype, how, axis, count, seed)| {
        let axis = axis % shape.len();
        let x = strided(numbers(&shape, seed, dtype, true), how);
        hold("flip", Near::Bits, std::slice::from_ref(&x), &|x| k::flip(&x[0], &[axis as i64]));
        let all: Vec<i64> = (0..shape.len() as i64).collect();
        hold("flip of all", Near::Bits, std::slice::from_ref(&x), &|x| k::flip(&x[0], &all));
        // Now and then one that is not there.
        let ids: Vec<i64> = (0..count).map(|i| ((i * 7 + seed as usize) % (shape[axis] + 1)) as i64).collect();
        let some = Tensor::from_vec(ids, &[count]).unwrap();
        hold("index_select", Near::Bits, &[x.clone(), some.clone()], &|x| k::index_select(&x[0], axis as i64, &x[1]));
        let valid = k::remainder(&some, shape[axis].max(1) as i64).unwrap();
        hold("index_select", Near::Bits, &[x.clone(), valid], &|x| k::index_select(&x[0], axis as i64, &x[1]));
        let mut at = shape.clone();
        at[axis] = count % 9;
        let n = at.iter().product::<usize>();
        let ids: Vec<i64> = (0..n).map(|i| ((i * 13 + seed as usize) % shape[axis].max(1)) as i64).collect();
        let ids = strided(Tensor::from_vec(ids, &at).unwrap(), count % 4);
        hold("gather", Near::Bits, &[x.clone(), ids], &|x| k::gather(&x[0], axis as i64, &x[1]));
        let k_first = count.min(shape[axis]);
        for largest in [true, false] {
            hold("topk", Near::Bits, std::slice::from_ref(&x), &|x| {
                Ok(k::topk(&x[0], k_first / 4, axis as i64, largest)?.0)
            });
            hold("places of topk", Near::Bits, std::slice::from_ref(&x), &|x| {
                Ok(k::topk(&x[0], k_first / 4, axis as i64, largest)?.1)
            });
        }
    });
}

#[test]
fn products() {
    let dtype = prop::sample::select(vec![DType::I64, DType::I32, DType::I16, DType::I8, DType::U8]);
    let size = || prop_oneof![4 => 0usize..9, 1 => 15usize..50];
    each(400, (0usize..4, size(), size(), size(), dtype, 0usize..4, 0u64..99), |(n, a, b, c, dtype, how, seed)| {
        let left = strided(numbers(&[n, a, b], seed, dtype, false), how);
        let right = strided(numbers(&[n, b, c], seed + 1, dtype, false), (how + 1) % 4);
        hold("matmul", Near::Bits, &[left, right], &|x| k::matmul(&x[0], &x[1]));
        let matrix = strided(numbers(&[a * 7, b * 5], seed, DType::F32, false), how);
        let vector = strided(numbers(&[b * 5], seed + 1, DType::F32, false), how);
        hold("matmul", Near::Units(60.0), &[matrix, vector], &|x| k::matmul(&x[0], &x[1]));
    });
}

#[test]
fn pools() {
    let pool = || {
        (1usize..5, 1usize..4, 0usize..3, 1usize..3, any::<bool>()).prop_map(
            |(kernel, stride, padding, dilation, ceil_mode)| Pool {
                kernel,
                stride,
                padding: padding.min(kernel / 2),
                dilation,
                ceil_mode,
            },
        )
    };
    let case = (1usize..3, 1usize..4, 1usize..40, 1usize..70, pool(), pool(), float_dtype(), 0usize..4, 0u64..99);
    each(800, case, |(n, c, h, w, py, px, dtype, how, seed)| {
        // The layout with channels last has loops and tests of its own.
        let how = if how == 2 { 0 } else { how };
        let x = strided(numbers(&[n, c, h, w], seed, dtype, seed % 2 == 0), how);
        hold("max_pool2d", Near::Bits, std::slice::from_ref(&x), &|x| k::max_pool2d(&x[0], [py, px]));
        let [py, px] = [py, px].map(|p| Pool { dilation: 1, ..p });
        // Sums of short windows are of `Float32`, which the largest numbers would leave.
        let less = k::mul(&x, 1e-3).unwrap();
        for count_padding in [true, false] {
            for divisor in [None, Some(3)] {
                let average = k::Average { count_padding, divisor };
                hold("avg_pool2d", Near::Units(8.0), std::slice::from_ref(&less), &|x| {
                    k::avg_pool2d(&x[0], [py, px], average)
                });
            }
        }
        hold("adaptive_max_pool2d", Near::Bits, std::slice::from_ref(&x), &|x| k::adaptive_max_pool2d(&x[0], [1, 1]));
        hold("adaptive_avg_pool2d", Near::Units(8.0), std::slice::from_ref(&less), &|x| {
            k::adaptive_avg_pool2d(&x[0], [1 + seed as usize % h, [1, w.div_ceil(2)][seed as usize % 2]])
        });
        let size = [1 + seed as usize % 9, 2 * w];
        let one = [None; 2];
        hold("nearest", Near::Bits, std::slice::from_ref(&x), &|x| k::upsample_nearest2d(&x[0], size, one));
        hold("bilinear", Near::Bits, std::slice::from_ref(&x), &|x| {
            k::upsample_bilinear2d(&x[0], [2 * h, size[1]], seed % 3 == 0, one)
        });
        // Columns further apart than a vector is wide, and back to front.
        let apart: Vec<usize> = (0..w).map(|i| i * 7 % w).rev().collect();
        let between = |i: &usize| k::Between { low: *i, high: (i * 5 + 1) % w, share: 0.3 };
        let columns: Vec<k::Between> = apart.iter().map(between).collect();
        let rows = [k::Between { low: h - 1, high: 0, share: 0.6 }; 2];
        hold("between places", Near::Bits, std::slice::from_ref(&x), &|x| {
            k::interpolate_planes(&x[0], &rows, &columns)
        });
        hold("places", Near::Bits, std::slice::from_ref(&x), &|x| k::take_planes(&x[0], &[h - 1, 0, 0], &apart));
    });
}
