//! Functions that have no kernel of their own: of numbers one by one, and windows.

use std::f64::consts::{PI, TAU};

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::tensor::{ok, say};
use super::{Args, OpResult, math};

/// A function of two numbers, broadcast, whose results are floats whatever it is given.
pub fn float_pair(x: &Tensor, y: &Tensor, f: fn(f64, f64) -> f64) -> OpResult {
    let natural = stark_shapes::promote(x.dtype(), y.dtype());
    let dtype = if natural.is_float() { natural } else { DType::F32 };
    let shape = stark_shapes::rules::broadcast(x.shape(), y.shape()).map_err(say)?;
    let numbers = |t: &Tensor| t.expand(&shape).map(|t| t.to_scalars()).map_err(say);
    let both = |(x, y): (Scalar, Scalar)| f(x.to_f64(), y.to_f64());
    let made: Vec<f64> = numbers(x)?.into_iter().zip(numbers(y)?).map(both).collect();
    ok(Tensor::from_vec(made, &shape).and_then(|t| t.to(dtype)))
}

/// The same of the first two arguments.
pub fn pair(a: &Args<'_>, f: fn(f64, f64) -> f64) -> OpResult {
    float_pair(&*a.tensor(0)?, &*a.tensor(1)?, f)
}

pub fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

pub fn xlogy(x: f64, y: f64) -> f64 {
    if x == 0.0 && !y.is_nan() { 0.0 } else { x * y.ln() }
}

/// 0 below 0 and of what is no number, 1 above, and `at_zero` between.
pub fn heaviside(x: f64, at_zero: f64) -> f64 {
    if x == 0.0 { at_zero } else { f64::from(u8::from(x > 0.0)) }
}

pub fn holds(a: &Args<'_>, f: fn(f64) -> bool) -> OpResult {
    ok(k::map_scalar(&*a.tensor(0)?, DType::Bool, |x| Scalar::Bool(f(x.to_f64()))))
}

/// The inverse of the sigmoid, of numbers no nearer to 0 and 1 than `eps`.
pub fn logit(a: &Args<'_>) -> OpResult {
    let Some(eps) = a.opt_scalar(1)? else { return math::float_map(a, |x| (x / (1.0 - x)).ln()) };
    let (x, eps) = (a.tensor(0)?, eps.to_f64());
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let one = |x: f64| {
        if x < eps {
            eps
        } else if x > 1.0 - eps {
            1.0 - eps
        } else {
            x
        }
    };
    let logit = |x: Scalar| Scalar::Float((one(x.to_f64()) / (1.0 - one(x.to_f64()))).ln());
    ok(k::map_scalar(&x, dtype, logit))
}

pub fn nan_to_num(a: &Args<'_>) -> OpResult {
    let number = |index: usize| Ok::<_, String>(a.opt_scalar(index)?.map(Scalar::to_f64));
    ok(k::nan_to_num(&*a.tensor(0)?, number(1)?.unwrap_or(0.0), number(2)?, number(3)?))
}

pub fn float_power(a: &Args<'_>) -> OpResult {
    let wide = |index: usize| a.tensor(index).and_then(|t| t.to(DType::F64).map_err(say));
    ok(k::pow(&wide(0)?, &wide(1)?))
}

/// A window of cosines, `(window_length, periodic, …)`, with the dtype at argument `dtype`: the sum of `terms`, each
/// times the cosine of as many turns as its place says.
fn cosines(a: &Args<'_>, terms: &[f64], dtype: usize) -> OpResult {
    let (n, periodic, dtype) = (a.count(0)?, a.bool(1)?, a.dtype(dtype)?.unwrap_or(DType::F32));
    if !dtype.is_float() {
        return Err(format!("a window of {dtype}"));
    }
    // Memory is asked for before numbers are made.
    Tensor::zeros(&[n], dtype).map_err(say)?;
    let turn = |i: usize| TAU * i as f64 / if periodic { n } else { n - 1 } as f64;
    let number = |i: usize| terms.iter().enumerate().map(|(times, term)| term * (turn(i) * times as f64).cos()).sum();
    let numbers: Vec<f64> = if n == 1 { vec![1.0] } else { (0..n).map(number).collect() };
    ok(Tensor::from_vec(numbers, &[n]).and_then(|t| t.to(dtype)))
}

pub fn hann_window(a: &Args<'_>) -> OpResult {
    cosines(a, &[0.5, -0.5], 2)
}

pub fn hamming_window(a: &Args<'_>) -> OpResult {
    cosines(a, &[a.float(2)?, -a.float(3)?], 4)
}

pub fn blackman_window(a: &Args<'_>) -> OpResult {
    cosines(a, &[0.42, -0.5, 0.08], 2)
}
