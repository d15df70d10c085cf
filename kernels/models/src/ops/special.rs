//! Functions that have no kernel of their own: of numbers one by one, and windows.

use std::f64::consts::{PI, TAU};

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::tensor::{ok, say};
use super::{Args, OpResult, math};
use crate::value::Value;

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
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    // A plain number takes the type of the tensor beside it.
    let beside = |t: &Tensor, other: &Tensor, at: usize| match a.get(at) {
        Value::Tensor(_) => Ok(t.clone()),
        _ => t.to(if other.dtype().is_float() { other.dtype() } else { DType::F32 }).map_err(say),
    };
    float_pair(&beside(&x, &y, 0)?, &beside(&y, &x, 1)?, f)
}

/// As [`pair`], in the type of the first.
pub fn typed_pair(a: &Args<'_>, f: fn(f64, f64) -> f64) -> OpResult {
    let x = a.tensor(0)?;
    match pair(a, f)? {
        Value::Tensor(out) => ok(out.to(x.dtype())),
        other => Ok(other),
    }
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

// ---- functions of one number ----------------------------------------------------------------------

pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// The inverse of the error function: a first guess, made exact by steps of Halley's.
pub fn erfinv(y: f64) -> f64 {
    if !(-1.0..=1.0).contains(&y) {
        return f64::NAN;
    }
    if y.abs() == 1.0 {
        return f64::INFINITY.copysign(y);
    }
    let log = (-y * y).ln_1p();
    let half = 2.0 / (PI * 0.147) + log / 2.0;
    let mut x = ((half * half - log / 0.147).sqrt() - half).sqrt().copysign(y);
    for _ in 0..3 {
        // Where the function is flat, its complement keeps the digits.
        let error = match y.abs() < 0.5 {
            true => libm::erf(x) - y,
            false => (1.0 - y.abs() - libm::erfc(x.abs())) * y.signum(),
        };
        let step = error / (2.0 / PI.sqrt() * (-x * x).exp());
        x -= step / (1.0 + x * step);
    }
    x
}

/// The derivative of the logarithm of the gamma function: by its series, from where that converges.
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY.copysign(-x);
    }
    if x < 0.0 {
        return if x == x.floor() { f64::NAN } else { digamma(1.0 - x) - PI / (PI * x).tan() };
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y * (1.0 / 132.0)))));
    sum + x.ln() - 0.5 / x - series
}

/// The standard normal distribution.
pub fn ndtr(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

pub fn entr(x: f64) -> f64 {
    if x > 0.0 { -x * x.ln() } else { if x == 0.0 { 0.0 } else { x.min(f64::NEG_INFINITY) } }
}

/// Bessel's functions of imaginary arguments, order 0 and 1, times e^-|x|.
pub fn scaled_bessel(x: f64, order: u32) -> f64 {
    let size = x.abs();
    let made = if size < 30.0 {
        let (mut term, mut sum) = ((size / 2.0).powi(order as i32), 0.0);
        for i in 1..200 {
            sum += term;
            term *= size * size / 4.0 / (f64::from(i) * f64::from(i + order));
        }
        sum * (-size).exp()
    } else {
        // The series for large arguments: terms shrink until rounding.
        let (mut term, mut sum, mu) = (1.0, 1.0, 4.0 * f64::from(order * order));
        for i in 1..30 {
            let odd = f64::from(2 * i - 1);
            term *= -(mu - odd * odd) / (f64::from(i) * 8.0 * size);
            sum += term;
        }
        sum / (TAU * size).sqrt()
    };
    if order % 2 == 1 { made.copysign(x) } else { made }
}

pub fn lgamma(x: f64) -> f64 {
    if x.is_infinite() { f64::INFINITY } else { libm::lgamma(x) }
}

pub fn log_add2(x: f64, y: f64) -> f64 {
    let top = x.max(y);
    if top.is_infinite() { top } else { top + ((x - top).exp2() + (y - top).exp2()).log2() }
}

/// A function of two whole numbers.
pub fn whole_pair(a: &Args<'_>, f: fn(u64, u64) -> u64) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let dtype = stark_shapes::promote(x.dtype(), y.dtype());
    if dtype.is_float() {
        return Err(format!("takes whole numbers, not {dtype}"));
    }
    let shape = stark_shapes::rules::broadcast(x.shape(), y.shape()).map_err(say)?;
    let numbers = |t: &Tensor| t.expand(&shape).map(|t| t.to_scalars()).map_err(say);
    let both = |(x, y): (Scalar, Scalar)| f(x.to_i64().unsigned_abs(), y.to_i64().unsigned_abs()) as i64;
    let made: Vec<i64> = numbers(&x)?.into_iter().zip(numbers(&y)?).map(both).collect();
    ok(Tensor::from_vec(made, &shape).and_then(|t| t.to(dtype)))
}

pub fn gcd(x: u64, y: u64) -> u64 {
    if y == 0 { x } else { gcd(y, x % y) }
}

pub fn lcm(x: u64, y: u64) -> u64 {
    if x == 0 || y == 0 { 0 } else { (x / gcd(x, y)).wrapping_mul(y) }
}

/// `(self, other, rtol, atol, equal_nan)`.
fn closeness(a: &Args<'_>) -> Result<Tensor, String> {
    let (x, y, rtol, atol, nan) = (a.tensor(0)?, a.tensor(1)?, a.float(2)?, a.float(3)?, a.bool(4)?);
    let made = super::loss::zipped(&[&x, &y], |row| {
        let [x, y] = [row[0], row[1]];
        let near = y.is_finite() && (x - y).abs() <= atol + rtol * y.abs();
        f64::from(u8::from(x == y || near || nan && x.is_nan() && y.is_nan()))
    })?;
    made.to(DType::Bool).map_err(say)
}

pub fn is_close(a: &Args<'_>) -> OpResult {
    closeness(a).map(Value::Tensor)
}

pub fn all_close(a: &Args<'_>) -> OpResult {
    k::all(&closeness(a)?, &[], false).and_then(|all| all.item()).map(|all| Value::Bool(all.to_bool())).map_err(say)
}

/// Whether two tensors have one shape and the same elements.
pub fn equal(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    Ok(Value::Bool(
        x.shape() == y.shape() && x.to_scalars().iter().zip(y.to_scalars()).all(|(x, y)| x.to_f64() == y.to_f64()),
    ))
}

/// `(self, dim, keepdim, dtype)`: without what is no number.
pub fn nan_sum(a: &Args<'_>) -> OpResult {
    let (x, dims) = (a.tensor(0)?, a.opt_ints(1)?);
    let made = || {
        let x = if x.dtype().is_float() {
            k::nan_to_num(&x, 0.0, Some(f64::INFINITY), Some(f64::NEG_INFINITY))?
        } else {
            x.clone().into_owned()
        };
        k::sum(&x, dims.as_deref().unwrap_or(&[]), a.bool(2).unwrap_or(false))
    };
    let dtype = a.dtype(3)?;
    ok(made().and_then(|t| dtype.map_or(Ok(t.clone()), |dtype| t.to(dtype))))
}

pub fn nan_mean(a: &Args<'_>) -> OpResult {
    let (x, dims, keep) = (a.tensor(0)?, a.opt_ints(1)?, a.bool(2)?);
    let dims = dims.as_deref().unwrap_or(&[]);
    let made = || {
        let zeroed = k::nan_to_num(&x, 0.0, Some(f64::INFINITY), Some(f64::NEG_INFINITY))?;
        let n = k::sum(&k::logical_not(&k::isnan(&x)?)?, dims, keep)?;
        k::div(&k::sum(&zeroed, dims, keep)?, &n)?.to(x.dtype())
    };
    ok(made())
}

/// The frequencies of a Fourier transform of `n` numbers, `d` apart: all, or those of a real one.
pub fn frequencies(a: &Args<'_>, is_real: bool) -> OpResult {
    let (n, d, dtype) = (a.count(0)?, a.float(1)?, a.dtype(2)?.unwrap_or(DType::F32));
    let count = if is_real { n / 2 + 1 } else { n };
    Tensor::zeros(&[count], dtype).map_err(say)?;
    let place = |i: usize| if !is_real && i >= n.div_ceil(2) { i as f64 - n as f64 } else { i as f64 };
    let made: Vec<f64> = (0..count).map(|i| place(i) / (n as f64 * d)).collect();
    ok(Tensor::from_vec(made, &[count]).and_then(|t| t.to(dtype)))
}
