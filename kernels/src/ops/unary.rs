//! One operand, element by element.

use half::{bf16, f16};
use stark_shapes::DType;

use crate::accelerator;
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::functions::{self, Erf, Exp, Gelu, GeluTanh, Mish, Sigmoid, Silu, Tanh};
use crate::cpu::halves::Half;
use crate::cpu::math;
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::cpu::wide;
use crate::element::{Bit, Elem, Scalar, with_elem, with_number, with_word};
use crate::error::{Result, TensorError};
use crate::ops::blocks::HALVES;
use crate::ops::elementwise::{Arith, compute_dtype};
use crate::tensor::Tensor;
use crate::walk::Walk;

struct Row<'a, A, R, F> {
    x: &'a [A],
    out: &'a mut [R],
    f: F,
}

/// A function of one number. A trait, not a closure, so that its body is always compiled into the vector loop.
pub(crate) trait Map<A: Copy, R>: Copy + Sync {
    /// Whether a row is compiled for wide vectors.
    const WIDE: bool = size_of::<A>() == 4;
    fn map(&self, x: A) -> R;

    /// Of neighbours in memory, number by number.
    #[inline(always)]
    fn row(&self, x: &[A], out: &mut [R]) {
        for (o, x) in out.iter_mut().zip(x) {
            *o = self.map(*x);
        }
    }
}

impl<A: Pod, R: Pod, F: Map<A, R>> Kernel for Row<'_, A, R, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.f.row(self.x, self.out);
    }
}

/// A closure as a function of one number.
#[derive(Clone, Copy)]
pub(crate) struct By<F>(pub F);

impl<A: Copy, R, F: Fn(A) -> R + Copy + Sync> Map<A, R> for By<F> {
    #[inline(always)]
    fn map(&self, x: A) -> R {
        (self.0)(x)
    }
}

/// `f` of every element of storage type `A`; the result's elements `R` are seen as `dtype`.
pub(crate) fn map<A: Pod, R: Pod>(x: &Tensor, dtype: DType, f: impl Map<A, R>) -> Result<Tensor> {
    by_rows(x, dtype, f)
}

fn by_rows<A: Pod, R: Pod, F: Map<A, R>>(x: &Tensor, dtype: DType, f: F) -> Result<Tensor> {
    // In the order of memory, which the result then has too.
    if x.is_channels_last() {
        return Ok(by_rows::<A, R, F>(&x.pixels(), dtype, f)?.planes());
    }
    let mut buffer = Buffer::for_overwrite::<R>(x.numel())?;
    let data = x.storage::<A>();
    let walk = Walk::new(x.shape(), [x.strides()], [0]);
    let [step] = walk.inner();
    fill_chunks(buffer.as_mut_slice::<R>(), CHUNK, |start, out| {
        let mut done = 0;
        walk.rows(start..start + out.len(), |[at], n| {
            let out = &mut out[done..done + n];
            done += n;
            if step == 1 {
                let row = Row { x: &data[at..at + n], out, f };
                if F::WIDE { dispatch(row) } else { row.run() }
            } else {
                out.iter_mut().enumerate().for_each(|(k, o)| *o = f.map(data[at + k * step]));
            }
        });
    });
    Ok(Tensor::from_buffer(buffer, dtype, x.shape()))
}

/// [`map`] of halves, computed in `f32` and rounded once.
fn map_halves<H: Half>(x: &Tensor, f: impl Map<f32, f32>) -> Result<Tensor> {
    if x.is_channels_last() {
        return Ok(map_halves::<H>(&x.pixels(), f)?.planes());
    }
    let x = x.dense()?;
    let data = x.slice_of::<H>();
    let mut buffer = Buffer::for_overwrite::<H>(x.numel())?;
    fill_chunks(buffer.as_mut_slice::<H>(), CHUNK, |start, out| {
        let (mut from, mut to) = ([0.0; HALVES], [0.0; HALVES]);
        for (out, x) in out.chunks_mut(HALVES).zip(data[start..].chunks(HALVES)) {
            let n = out.len();
            H::widen(&x[..n], &mut from[..n]);
            dispatch(Row { x: &from[..n], out: &mut to[..n], f });
            H::narrow(&to[..n], out);
        }
    });
    Ok(Tensor::from_buffer(buffer, H::DTYPE, x.shape()))
}

/// A float function in both widths: ints become `Float32`, halves compute in it.
fn float(
    name: &'static str,
    params: &[f64],
    x: &Tensor,
    f: impl Map<f32, f32>,
    g: impl Map<f64, f64>,
) -> Result<Tensor> {
    let dtype = x.dtype().to_float();
    if accelerator::of([x]).is_some() {
        let compute = compute_dtype(dtype);
        if let Some(out) = accelerator::map(name, &[&x.to(compute)?], params, compute)? {
            return out.to(dtype);
        }
    }
    match dtype {
        DType::F64 => map::<f64, f64>(x, dtype, g),
        DType::F16 if !crate::device::is_reference() => map_halves::<f16>(x, f),
        DType::BF16 if !crate::device::is_reference() => map_halves::<bf16>(x, f),
        _ => map::<f32, f32>(&x.to(DType::F32)?, DType::F32, f)?.to(dtype),
    }
}

macro_rules! float_ops {
    ($($(#[$doc:meta])* $name:ident: $x:ident, $f:expr, $g:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            #[derive(Clone, Copy)]
            struct Op;
            impl Map<f32, f32> for Op {
                #[inline(always)]
                fn map(&self, $x: f32) -> f32 { $f }
            }
            impl Map<f64, f64> for Op {
                #[inline(always)]
                fn map(&self, $x: f64) -> f64 { $g }
            }
            float(stringify!($name), &[], x, Op, Op)
        }
    )* };
}

/// Functions that have vectors of their own for `f32`.
macro_rules! vector_ops {
    ($($(#[$doc:meta])* $name:ident $F:ident: $g:expr;)*) => { $(
        impl Map<f32, f32> for $F {
            #[inline(always)]
            fn map(&self, x: f32) -> f32 {
                math::$name(x)
            }

            fn row(&self, x: &[f32], out: &mut [f32]) {
                functions::each(*self, x, out);
            }
        }

        $(#[$doc])*
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            float(stringify!($name), &[], x, $F {}, $g)
        }
    )* };
}

/// e^x of `f64`, in vectors where it is neither huge nor next to nothing.
#[derive(Clone, Copy)]
struct WideExp;

impl Map<f64, f64> for WideExp {
    const WIDE: bool = true;

    #[inline(always)]
    fn map(&self, x: f64) -> f64 {
        if x.abs() <= wide::MOST_EXP { wide::exp(x) } else { x.exp() }
    }

    #[inline(always)]
    fn row(&self, x: &[f64], out: &mut [f64]) {
        for (x, out) in x.chunks(256).zip(out.chunks_mut(256)) {
            let mut all = true;
            for (o, x) in out.iter_mut().zip(x) {
                all &= x.abs() <= wide::MOST_EXP;
                *o = wide::exp(*x);
            }
            if !all {
                out.iter_mut().zip(x).for_each(|(o, x)| *o = self.map(*x));
            }
        }
    }
}

vector_ops! {
    exp Exp: WideExp;
    tanh Tanh: By(|x: f64| x.tanh());
    sigmoid Sigmoid: By(|x: f64| 1.0 / (1.0 + (-x).exp()));
    erf Erf: By(|x: f64| libm::erf(x));
    /// `x · Φ(x)` with the exact error function.
    gelu Gelu: By(|x: f64| { let x = above_gone(x); 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)) });
    /// `gelu` by its tanh formula.
    gelu_tanh GeluTanh: By(|x: f64| {
        let x = above_gone(x);
        0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
    });
    /// `x · sigmoid(x)`.
    silu Silu: By(|x: f64| x / (1.0 + (-x).exp()));
    /// `x · tanh(softplus(x))`.
    mish Mish: By(|x: f64| x * if x > 20.0 { x } else { x.exp().ln_1p() }.tanh());
}

const FRAC_1_SQRT_2: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// From here on down GELU is 0, where -∞ times 0 would be no number. NaN stays.
fn above_gone(x: f64) -> f64 {
    if x < -40.0 { -40.0 } else { x }
}

/// Functions of `f32` that go through `f64` in vectors where `$holds`, and by themselves elsewhere.
macro_rules! wide_ops {
    ($($(#[$doc:meta])* $name:ident: $x:ident, $wide:expr, $holds:expr, $f:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            #[derive(Clone, Copy)]
            struct Op;
            impl Map<f32, f32> for Op {
                #[inline(always)]
                fn map(&self, $x: f32) -> f32 {
                    if $holds {
                        let $x = f64::from($x);
                        return ($wide) as f32;
                    }
                    $f
                }

                #[inline(always)]
                fn row(&self, x: &[f32], out: &mut [f32]) {
                    // Some at a time, so that what needs another look is still in the cache.
                    for (x, out) in x.chunks(256).zip(out.chunks_mut(256)) {
                        let mut all = true;
                        for (o, x) in out.iter_mut().zip(x) {
                            let $x = *x;
                            all &= $holds;
                            let $x = f64::from($x);
                            *o = ($wide) as f32;
                        }
                        if !all {
                            out.iter_mut().zip(x).for_each(|(o, x)| *o = self.map(*x));
                        }
                    }
                }
            }
            impl Map<f64, f64> for Op {
                #[inline(always)]
                fn map(&self, $x: f64) -> f64 { $f }
            }
            float(stringify!($name), &[], x, Op, Op)
        }
    )* };
}

wide_ops! {
    /// Natural logarithm.
    log: x, wide::ln(x), (x > 0.0) & (x <= f32::MAX), x.ln();
    sin: x, wide::sin_cos(x).0, x.abs() <= wide::MOST as f32, x.sin();
    cos: x, wide::sin_cos(x).1, x.abs() <= wide::MOST as f32, x.cos();
}

float_ops! {
    exp2: x, x.exp2(), x.exp2();
    expm1: x, x.exp_m1(), x.exp_m1();
    log2: x, x.log2(), x.log2();
    log10: x, x.log10(), x.log10();
    log1p: x, x.ln_1p(), x.ln_1p();
    sqrt: x, x.sqrt(), x.sqrt();
    rsqrt: x, 1.0 / x.sqrt(), 1.0 / x.sqrt();
    reciprocal: x, 1.0 / x, 1.0 / x;
    tan: x, x.tan(), x.tan();
    asin: x, x.asin(), x.asin();
    acos: x, x.acos(), x.acos();
    atan: x, x.atan(), x.atan();
    sinh: x, x.sinh(), x.sinh();
    cosh: x, x.cosh(), x.cosh();
    /// `clamp(x / 6 + 1/2, 0, 1)`; NaN stays.
    hardsigmoid: x, hard(x + 3.0, 6.0) / 6.0, hard64(x + 3.0, 6.0) / 6.0;
    hardswish: x, x * hard(x + 3.0, 6.0) / 6.0, x * hard64(x + 3.0, 6.0) / 6.0;
    log_sigmoid: x, least(x, 0.0) - (-x.abs()).exp().ln_1p(), least64(x, 0.0) - (-x.abs()).exp().ln_1p();
    selu: x, 1.050_701 * if x > 0.0 { x } else { 1.673_263_2 * x.exp_m1() },
        1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() };
    softsign: x, x / (1.0 + x.abs()), x / (1.0 + x.abs());
}

#[inline(always)]
fn hard(x: f32, top: f32) -> f32 {
    let x = if x < 0.0 { 0.0 } else { x };
    if x > top { top } else { x }
}

#[inline(always)]
fn hard64(x: f64, top: f64) -> f64 {
    let x = if x < 0.0 { 0.0 } else { x };
    if x > top { top } else { x }
}

#[inline(always)]
fn least(x: f32, top: f32) -> f32 {
    if x > top { top } else { x }
}

#[inline(always)]
fn least64(x: f64, top: f64) -> f64 {
    if x > top { top } else { x }
}

/// Functions that `f32` computes without branches, through `f64`.
trait Wide {
    fn expm1(self) -> Self;
    /// `log(1 + exp(x))`.
    fn softplus(self) -> Self;
}

impl Wide for f64 {
    fn expm1(self) -> f64 {
        self.exp_m1()
    }

    fn softplus(self) -> f64 {
        if self > 40.0 { self } else { self.exp().ln_1p() }
    }
}

impl Wide for f32 {
    #[inline(always)]
    fn expm1(self) -> f32 {
        wide::expm1(self.into()) as f32
    }

    #[inline(always)]
    fn softplus(self) -> f32 {
        wide::softplus(self.into()) as f32
    }
}

/// A float function with numbers in it, written once in `f64` terms of the element's own width.
macro_rules! float_ops_with {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*): $x:ident => $f:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(x: &Tensor, $($arg: f64),*) -> Result<Tensor> {
            #[derive(Clone, Copy)]
            struct Op<T> { $($arg: T),* }
            impl Map<f32, f32> for Op<f32> {
                #[inline(always)]
                fn map(&self, $x: f32) -> f32 { let Op { $($arg),* } = *self; $f }
            }
            impl Map<f64, f64> for Op<f64> {
                #[inline(always)]
                fn map(&self, $x: f64) -> f64 { let Op { $($arg),* } = *self; $f }
            }
            float(stringify!($name), &[$($arg),*], x, Op { $($arg: $arg as f32),* }, Op { $($arg: $arg),* })
        }
    )* };
}

float_ops_with! {
    leaky_relu(slope): x => if x > 0.0 { x } else { x * slope };
    elu(alpha): x => if x > 0.0 { x } else { alpha * Wide::expm1(x) };
    celu(alpha): x => if x > 0.0 { x } else { alpha * Wide::expm1(x / alpha) };
    /// `log(1 + exp(beta · x)) / beta`, `x` itself where `beta · x` passes `threshold` (PyTorch: 1 and 20).
    softplus(beta, threshold): x => if x * beta > threshold { x } else { Wide::softplus(x * beta) / beta };
    softshrink(lambda): x => if x > lambda { x - lambda } else if x < -lambda { x + lambda } else { x * 0.0 };
    hardshrink(lambda): x => if x >= -lambda && x <= lambda { 0.0 } else { x };
    threshold(limit, value): x => if x <= limit { value } else { x };
    hardtanh(low, high): x => if x < low { low } else if x > high { high } else { x };
}

macro_rules! number_ops {
    ($($(#[$doc:meta])* $name:ident: $T:ident, $int:expr, $float:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            let dtype = x.dtype();
            let compute = compute_dtype(dtype);
            if dtype == DType::Bool {
                return Err(TensorError::dtype(stringify!($name), dtype));
            }
            if accelerator::of([x]).is_some() {
                if let Some(out) = accelerator::map(stringify!($name), &[&x.to(compute)?], &[], compute)? {
                    return out.to(dtype);
                }
            }
            match compute {
                _ if dtype != compute && !crate::device::is_reference() => {
                    type $T = f32;
                    match dtype {
                        DType::F16 => map_halves::<f16>(x, By($float)),
                        _ => map_halves::<bf16>(x, By($float)),
                    }
                }
                DType::F32 => { type $T = f32; map::<f32, f32>(&x.to(compute)?, compute, By($float))?.to(dtype) }
                DType::F64 => { type $T = f64; map::<f64, f64>(x, compute, By($float)) }
                DType::I8 => { type $T = i8; map::<i8, i8>(x, compute, By($int)) }
                DType::U8 => { type $T = u8; map::<u8, u8>(x, compute, By($int)) }
                DType::I16 => { type $T = i16; map::<i16, i16>(x, compute, By($int)) }
                DType::I32 => { type $T = i32; map::<i32, i32>(x, compute, By($int)) }
                _ => { type $T = i64; map::<i64, i64>(x, compute, By($int)) }
            }
        }
    )* };
}

number_ops! {
    neg: T, |x: T| T::zero().sub(x), |x: T| -x;
    abs: T, |x: T| if x < T::zero() { T::zero().sub(x) } else { x }, |x: T| x.abs();
    /// -1, 0 or 1; NaN gives 0.
    sign: T, |x: T| T::from_i64(i64::from(x > T::zero()) - i64::from(x < T::zero())),
        |x: T| T::from_i64(i64::from(x > T::zero()) - i64::from(x < T::zero()));
    relu: T, |x: T| if x < T::zero() { T::zero() } else { x }, |x: T| if x < 0.0 { 0.0 } else { x };
    square: T, |x: T| x.mul(x), |x: T| x * x;
    /// `x · x · x`.
    cube: T, |x: T| x.mul(x).mul(x), |x: T| x * x * x;
    floor: T, |x: T| x, |x: T| x.floor();
    ceil: T, |x: T| x, |x: T| x.ceil();
    trunc: T, |x: T| x, |x: T| x.trunc();
    /// To the nearest whole number, halves to the even one.
    round: T, |x: T| x, |x: T| x.round_ties_even();
}

/// `min(max(x, 0), 6)`.
pub fn relu6(x: &Tensor) -> Result<Tensor> {
    hardtanh(x, 0.0, 6.0)
}

/// To `decimals` places.
pub fn round_decimals(x: &Tensor, decimals: i32) -> Result<Tensor> {
    let scale = 10f64.powi(decimals);
    float(
        "round_decimals",
        &[scale],
        x,
        By(move |x: f32| ((f64::from(x) * scale).round_ties_even() / scale) as f32),
        By(move |x: f64| (x * scale).round_ties_even() / scale),
    )
}

macro_rules! float_tests {
    ($($(#[$doc:meta])* $name:ident: $f:expr, $of_int:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name(x: &Tensor) -> Result<Tensor> {
            if !x.dtype().is_float() {
                return Tensor::full(x.shape(), $of_int, DType::Bool);
            }
            if accelerator::of([x]).is_some() {
                let wide = x.to(compute_dtype(x.dtype()))?;
                if let Some(out) = accelerator::map(stringify!($name), &[&wide], &[], DType::Bool)? {
                    return Ok(out);
                }
            }
            with_elem!(x.dtype(), T => map::<T, Bit>(x, DType::Bool, By(|x: T| Bit(($f)(x.to_f64()).into()))))
        }
    )* };
}

float_tests! {
    isnan: |x: f64| x.is_nan(), false;
    isinf: |x: f64| x.is_infinite(), false;
    isfinite: |x: f64| x.is_finite(), true;
}

/// True where the element is zero.
pub fn logical_not(x: &Tensor) -> Result<Tensor> {
    let x = x.to(DType::Bool)?;
    if let Some(out) = accelerator::map("logical_not", &[&x], &[], DType::Bool)? {
        return Ok(out);
    }
    map::<Bit, Bit>(&x, DType::Bool, By(|x: Bit| Bit((x.0 == 0).into())))
}

/// Bit by bit on ints, "not" on bools.
pub fn bitwise_not(x: &Tensor) -> Result<Tensor> {
    match x.dtype() {
        DType::Bool => logical_not(x),
        dtype if dtype.is_float() => Err(TensorError::dtype("bitwise_not", dtype)),
        dtype => with_word!(dtype, W => map::<W, W>(x, dtype, By(|x: W| !x))),
    }
}

/// `x` where it is a number; `nan`, `posinf` and `neginf` for what is none.
pub fn nan_to_num(x: &Tensor, nan: f64, posinf: Option<f64>, neginf: Option<f64>) -> Result<Tensor> {
    let limit = |dtype| match dtype {
        DType::F16 => half::f16::MAX.to_f64(),
        DType::BF16 => half::bf16::MAX.to_f64(),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    };
    if !x.dtype().is_float() {
        return Ok(x.clone());
    }
    let top = posinf.unwrap_or(limit(x.dtype()));
    let bottom = neginf.unwrap_or(-limit(x.dtype()));
    let one = move |v: f64| match v {
        v if v.is_nan() => nan,
        f64::INFINITY => top,
        f64::NEG_INFINITY => bottom,
        v => v,
    };
    float("nan_to_num", &[nan, top, bottom], x, By(move |x: f32| one(x.into()) as f32), By(one))
}

/// `x` below 0 scaled by `weight`: one number, or one per channel (axis 1).
pub fn prelu(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    use crate::ops::elementwise::{gt, mul, where_};
    let weight = if weight.numel() == 1 || x.rank() < 2 {
        weight.reshape(&[-1])?
    } else {
        let mut sizes: smallvec::SmallVec<[i64; 6]> = smallvec::smallvec![1; x.rank()];
        sizes[1] = -1;
        weight.reshape(&sizes)?
    };
    where_(&gt(x, 0)?, x, &mul(x, &weight)?)
}

/// One half of `axis` times the sigmoid of the other.
pub fn glu(x: &Tensor, axis: i64) -> Result<Tensor> {
    let n = x.size(axis)?;
    if n % 2 != 0 {
        return Err(stark_shapes::ShapeError(format!("glu halves axis {axis}, which is {n}")).into());
    }
    let halves = x.split_sizes(&[n / 2, n / 2], axis)?;
    super::elementwise::mul(&halves[0], &sigmoid(&halves[1])?)
}

/// Any function of a number over every element, for callers without a kernel of their own.
pub fn map_scalar(x: &Tensor, dtype: DType, f: impl Fn(Scalar) -> Scalar + Sync + Copy) -> Result<Tensor> {
    with_elem!(x.dtype(), A => with_number!(dtype, B => map::<A, B>(x, dtype, By(|a: A| B::from_scalar(f(a.to_scalar())))),
        _ => map::<A, f64>(x, DType::F64, By(|a: A| f(a.to_scalar()).to_f64()))?.to(dtype)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_pytorch() {
        let x = Tensor::from_vec(vec![-2.0f32, -0.5, 0.0, 0.5, 2.0], &[5]).unwrap();
        let cases: [(&str, Result<Tensor>, [f64; 5]); 14] = [
            ("gelu", gelu(&x), [-0.04550027, -0.15426877, 0.0, 0.34573123, 1.9544997]),
            ("gelu_tanh", gelu_tanh(&x), [-0.04540229, -0.15428599, 0.0, 0.34571400, 1.9545977]),
            ("silu", silu(&x), [-0.23840584, -0.18877033, 0.0, 0.31122968, 1.7615942]),
            ("mish", mish(&x), [-0.25250148, -0.22074376, 0.0, 0.37524524, 1.9439590]),
            ("hardswish", hardswish(&x), [-0.33333334, -0.20833333, 0.0, 0.29166666, 1.6666666]),
            ("hardsigmoid", hardsigmoid(&x), [0.16666667, 0.41666666, 0.5, 0.58333331, 0.83333331]),
            ("elu", elu(&x, 1.0), [-0.86466473, -0.39346933, 0.0, 0.5, 2.0]),
            ("selu", selu(&x), [-1.5201665, -0.69175816, 0.0, 0.52535051, 2.1014020]),
            ("softplus", softplus(&x, 1.0, 20.0), [0.12692802, 0.47407699, 0.69314718, 0.97407699, 2.1269281]),
            ("log_sigmoid", log_sigmoid(&x), [-2.1269281, -0.97407699, -0.69314718, -0.47407699, -0.12692802]),
            ("leaky_relu", leaky_relu(&x, 0.01), [-0.02, -0.005, 0.0, 0.5, 2.0]),
            ("softshrink", softshrink(&x, 0.5), [-1.5, 0.0, 0.0, 0.0, 1.5]),
            ("round", round(&x), [-2.0, -0.0, 0.0, 0.0, 2.0]),
            ("erf", erf(&x), [-0.99532229, -0.52049989, 0.0, 0.52049989, 0.99532229]),
        ];
        for (name, got, want) in cases {
            for (got, want) in got.unwrap().to_vec::<f32>().unwrap().into_iter().zip(want) {
                assert!((f64::from(got) - want).abs() < 1e-6, "{name}: {got} is not {want}");
            }
        }
    }

    #[test]
    fn dtypes_are_kept_or_become_float() {
        let x = Tensor::from_vec(vec![-3i32, 4], &[2]).unwrap();
        assert_eq!(abs(&x).unwrap().to_vec::<i32>().unwrap(), [3, 4]);
        assert_eq!(exp(&x).unwrap().dtype(), DType::F32);
        assert_eq!(exp(&x.to(DType::F16).unwrap()).unwrap().dtype(), DType::F16);
        assert_eq!(bitwise_not(&x).unwrap().to_vec::<i32>().unwrap(), [2, -5]);
        assert_eq!(logical_not(&x).unwrap().to_vec::<bool>().unwrap(), [false, false]);
        assert!(neg(&x.to(DType::Bool).unwrap()).is_err());
        assert_eq!(glu(&x.to(DType::F32).unwrap(), 0).unwrap().shape(), [1]);
    }
}
