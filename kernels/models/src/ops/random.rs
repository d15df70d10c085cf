//! Operators that draw random numbers. Every run of a model begins with the same seed, so equal inputs give equal outputs;
//! each call draws numbers of its own. They are not the numbers that PyTorch draws.

use std::cell::Cell;
use std::f64::consts::PI;

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar};

use super::args::{Args, OpResult};
use super::tensor::{ok, say};
use crate::value::Value;

thread_local! {
    /// How often the run on this thread has drawn.
    static N_DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// While it lives, the operators of this thread draw as a run does from its start.
pub struct Draws(u64);

impl Draws {
    pub fn begin() -> Draws {
        Draws(N_DRAWN.replace(0))
    }
}

impl Drop for Draws {
    fn drop(&mut self) {
        N_DRAWN.set(self.0);
    }
}

fn next_seed() -> u64 {
    let n = N_DRAWN.get();
    N_DRAWN.set(n + 1);
    // Neighbouring seeds would give neighbouring numbers; an odd factor spreads them.
    (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn float_of(dtype: Option<DType>, like: DType) -> DType {
    dtype.unwrap_or(if like.is_float() { like } else { DType::F32 })
}

/// `f` of numbers from 0 to below 1.
fn drawn(shape: &[usize], dtype: DType, f: impl Fn(f64) -> f64 + Sync) -> OpResult {
    let made = || {
        let uniform = k::rand(shape, next_seed(), DType::F64)?;
        k::map_scalar(&uniform, DType::F64, |u| Scalar::Float(f(u.to_f64())))?.to(dtype)
    };
    ok(made())
}

/// `(size, dtype, …)`.
pub fn rand(a: &Args<'_>) -> OpResult {
    ok(k::rand(&a.sizes(0)?, next_seed(), a.dtype(1)?.unwrap_or(DType::F32)))
}

pub fn randn(a: &Args<'_>) -> OpResult {
    ok(k::randn(&a.sizes(0)?, next_seed(), a.dtype(1)?.unwrap_or(DType::F32)))
}

pub fn rand_like(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::rand(x.shape(), next_seed(), float_of(a.dtype(1)?, x.dtype())))
}

pub fn randn_like(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::randn(x.shape(), next_seed(), float_of(a.dtype(1)?, x.dtype())))
}

fn whole_numbers(low: i64, high: i64, shape: &[usize], dtype: DType) -> OpResult {
    if low >= high {
        return Err(format!("draws from {low} to below {high}"));
    }
    drawn(shape, dtype, |u| (low as f64 + (u * (high as f64 - low as f64)).floor()).min(high as f64 - 1.0))
}

/// `(low, high, size, dtype, …)`, or `(high, size)`.
pub fn randint(a: &Args<'_>) -> OpResult {
    let dtype = a.dtype(3)?.unwrap_or(DType::I64);
    match a.get(1) {
        Value::List(_) | Value::Tuple(_) => whole_numbers(0, a.int(0)?, &a.sizes(1)?, dtype),
        _ => whole_numbers(a.int(0)?, a.int(1)?, &a.sizes(2)?, dtype),
    }
}

/// `(self, low, high, dtype, …)`, or `(self, high)`.
pub fn randint_like(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (low, high) = match a.opt_int(2)? {
        Some(high) => (a.int(1)?, high),
        None => (0, a.int(1)?),
    };
    whole_numbers(low, high, x.shape(), a.dtype(3)?.unwrap_or(x.dtype()))
}

/// The numbers from 0 to below `n` in a random order.
pub fn randperm(a: &Args<'_>) -> OpResult {
    let order = k::rand(&[a.count(0)?], next_seed(), DType::F64).and_then(|x| k::sort(&x, 0, false));
    ok(order.and_then(|(_, places)| places.to(a.dtype(1).ok().flatten().unwrap_or(DType::I64))))
}

/// `(mean, std, size)`: of tensors, or of numbers with a size.
pub fn normal(a: &Args<'_>) -> OpResult {
    let (mean, std) = (a.tensor(0)?, a.tensor(1)?);
    let shape = match a.opt_ints(2)? {
        Some(_) => a.sizes(2)?.to_vec(),
        None => stark_shapes::rules::broadcast(mean.shape(), std.shape()).map_err(say)?.to_vec(),
    };
    let natural = [(0, &mean), (1, &std)].into_iter().find(|(at, _)| matches!(a.get(*at), Value::Tensor(_)));
    let dtype = float_of(a.dtype(3)?, natural.map_or(DType::F32, |(_, t)| t.dtype()));
    let made = || k::add(&k::mul(&k::randn(&shape, next_seed(), dtype)?, &*std)?, &*mean)?.to(dtype);
    ok(made())
}

/// `(self, mean, std)` in place.
pub fn fill_normal(a: &Args<'_>) -> OpResult {
    let (x, mean, std) = (a.tensor(0)?, a.float(1)?, a.float(2)?);
    ok(k::randn(x.shape(), next_seed(), x.dtype()).and_then(|n| k::add(&k::mul(&n, std)?, mean)?.to(x.dtype())))
}

/// A distribution by its inverse, `(self, p, q)`, in place.
pub fn fill(a: &Args<'_>, inverse: fn(f64, f64, f64) -> f64) -> OpResult {
    let (x, p) = (a.tensor(0)?, a.float(1)?);
    let q = a.values.get(2).and_then(|value| value.scalar()).map_or(0.0, Scalar::to_f64);
    drawn(x.shape(), x.dtype(), |u| inverse(u, p, q))
}

pub fn uniform(u: f64, from: f64, to: f64) -> f64 {
    from + u * (to - from)
}

pub fn exponential(u: f64, rate: f64, _: f64) -> f64 {
    -(-u).ln_1p() / rate
}

pub fn geometric(u: f64, p: f64, _: f64) -> f64 {
    ((-u).ln_1p() / (-p).ln_1p()).ceil().max(1.0)
}

pub fn cauchy(u: f64, median: f64, sigma: f64) -> f64 {
    median + sigma * (PI * (u - 0.5)).tan()
}

/// `(self, mean, std)` in place.
pub fn fill_log_normal(a: &Args<'_>) -> OpResult {
    match fill_normal(a)? {
        Value::Tensor(t) => ok(k::exp(&t)),
        other => Ok(other),
    }
}

/// 1 with the probability of each element, or with `p`: `(self, p)`.
pub fn bernoulli(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let p = a.opt_tensor(1)?.unwrap_or_else(|| x.clone());
    let made = || k::lt(&k::rand(x.shape(), next_seed(), DType::F64)?, &p.to(DType::F64)?)?.to(x.dtype());
    ok(made())
}

/// Places of a row, each as often as its weight says: `(self, num_samples, replacement)`.
pub fn multinomial(a: &Args<'_>) -> OpResult {
    let (weights, n) = (a.tensor(0)?, a.count(1)?);
    let n_places = weights.shape().last().copied().unwrap_or(0);
    let made = || {
        let weights = weights.to(DType::F64)?;
        if a.bool(2).unwrap_or(false) {
            let sums = k::cumsum(&weights, -1)?;
            let mut shape = weights.shape().to_vec();
            *shape.last_mut().unwrap_or(&mut 0) = n;
            let aim = k::mul(&k::rand(&shape, next_seed(), DType::F64)?, &sums.narrow(-1, n_places as i64 - 1, 1)?)?;
            let before = k::le(&sums.unsqueeze(-2)?, &aim.unsqueeze(-1)?)?;
            return k::sum(&before.to(DType::I64)?, &[-1], false);
        }
        // The first of exponential waiting times, each at the rate of its weight.
        let waits = k::map_scalar(&k::rand(weights.shape(), next_seed(), DType::F64)?, DType::F64, |u| {
            Scalar::Float(-(-u.to_f64()).ln_1p())
        })?;
        k::topk(&k::div(&weights, &waits)?, n, -1, true).map(|(_, places)| places)
    };
    if n > n_places && !a.bool(2)? {
        return Err(format!("{n} of {n_places} places without putting any back"));
    }
    ok(made())
}

/// ONNX's, of a shape or like a tensor at argument `like`; `dtype`, and the mean and the deviation or both ends from `ends` on.
pub fn standard(a: &Args<'_>, like: usize, dtype: usize, ends: usize, is_normal: bool) -> OpResult {
    let (shape, natural) = match a.get(like) {
        Value::Tensor(x) => (x.shape().to_vec(), x.dtype()),
        _ => (a.sizes(like)?.to_vec(), DType::F32),
    };
    let dtype = float_of(a.dtype(dtype)?, natural);
    let (from, to) = (a.float(ends)?, a.float(ends + 1)?);
    if !is_normal {
        return drawn(&shape, dtype, |u| uniform(u, from, to));
    }
    ok(k::randn(&shape, next_seed(), dtype).and_then(|n| k::add(&k::mul(&n, to)?, from)?.to(dtype)))
}

pub fn standard_bernoulli(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let dtype = a.dtype(1)?.unwrap_or(x.dtype());
    ok(k::rand(x.shape(), next_seed(), DType::F64).and_then(|u| k::lt(&u, &x.to(DType::F64)?)?.to(dtype)))
}

/// Of logarithms of weights, each as often as it may come.
pub fn standard_multinomial(a: &Args<'_>) -> OpResult {
    let (x, n) = (a.tensor(0)?, a.count(2)?);
    let [rows, places] = *x.shape() else { return Err(format!("takes rows, not shape {:?}", x.shape())) };
    let made = || {
        let weights = k::softmax(&x.to(DType::F64)?, -1)?;
        let sums = k::cumsum(&weights, -1)?;
        let aim = k::mul(&k::rand(&[rows, n], next_seed(), DType::F64)?, &sums.narrow(-1, places as i64 - 1, 1)?)?;
        let before = k::le(&sums.unsqueeze(-2)?, &aim.unsqueeze(-1)?)?;
        k::sum(&before.to(DType::I64)?, &[-1], false)
    };
    let dtype = a.dtype(1)?.unwrap_or(DType::I32);
    ok(made().and_then(|t| t.to(dtype)))
}
