//! Operators of mathematics that few models use, written on top of others.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};

use super::args::{Args, OpResult};
use super::math::operand;
use super::matrix::{Batch, Matrix, triangle};
use super::special::{digamma, lgamma};
use super::tensor::{ok, pair_of, say};
use crate::value::Value;

fn wrong(reason: String) -> TensorError {
    TensorError::Argument(reason)
}

// ---- shapes ---------------------------------------------------------------------------------------

/// At least as many axes: of a tensor, or of each of several. Where they come is PyTorch's rule.
pub fn at_least(a: &Args<'_>, rank: usize) -> OpResult {
    let one = |t: &Tensor| -> Tried<Tensor> {
        match (rank, t.rank()) {
            (_, have) if have >= rank => Ok(t.clone()),
            (1, _) => t.reshape_to(&[1]),
            (2, 0) => t.reshape_to(&[1, 1]),
            (2, _) => t.unsqueeze(0),
            (_, 0) => t.reshape_to(&[1, 1, 1]),
            (_, 1) => t.unsqueeze(0)?.unsqueeze(2),
            _ => t.unsqueeze(2),
        }
    };
    match a.get(0) {
        Value::List(_) | Value::Tuple(_) => {
            Value::list(a.tensors(0)?.iter().map(|t| ok(one(t))).collect::<Result<_, _>>()?)
        }
        _ => ok(one(&*a.tensor(0)?)),
    }
}

pub fn dstack(a: &Args<'_>) -> OpResult {
    let parts = a.tensors(0)?;
    let deep = |t: &Tensor| match t.rank() {
        0 => t.reshape_to(&[1, 1, 1]),
        1 => t.unsqueeze(0)?.unsqueeze(2),
        2 => t.unsqueeze(2),
        _ => Ok(t.clone()),
    };
    let made = || {
        let parts = parts.iter().map(deep).collect::<Tried<Vec<_>>>()?;
        k::cat(&parts.iter().collect::<Vec<_>>(), 2)
    };
    ok(made())
}

/// Sums over the axes that broadcasting from `size` would have made.
pub fn sum_to_size(a: &Args<'_>) -> OpResult {
    let (x, size) = (a.tensor(0)?, a.sizes(1)?);
    let Some(more) = x.rank().checked_sub(size.len()) else {
        return Err(format!("sums shape {:?} to {size:?}", x.shape()));
    };
    let axes: Vec<i64> = (0..x.rank())
        .filter(|&axis| axis < more || size[axis - more] == 1 && x.shape()[axis] != 1)
        .map(|axis| axis as i64)
        .collect();
    if axes.is_empty() {
        return Ok(Value::Tensor(x.reshape_to(&size).map_err(say)?));
    }
    ok(k::sum(&x, &axes, true).and_then(|sum| sum.reshape_to(&size)))
}

/// Choices of `r` elements of a row, in order.
pub fn combinations(a: &Args<'_>) -> OpResult {
    let (x, r, again) = (a.tensor(0)?, a.count(1)?, a.bool(2)?);
    if x.rank() != 1 {
        return Err(format!("chooses elements of a row, not of shape {:?}", x.shape()));
    }
    let n = x.numel();
    if r > 1 << 10 {
        return Err(format!("choices of {r}"));
    }
    let mut places: Vec<i64> = Vec::new();
    let mut now: Vec<usize> = if again { vec![0; r] } else { (0..r).collect() };
    let last = |i: usize| if again { n.wrapping_sub(1) } else { n.wrapping_sub(r).wrapping_add(i) };
    let mut more = if again { n > 0 || r == 0 } else { r <= n };
    while more {
        if places.len() > crate::value::MAX_ITEMS * 16 {
            return Err(super::scalar::too_long());
        }
        places.extend(now.iter().map(|&i| i as i64));
        match (0..r).rev().find(|&i| now[i] != last(i)) {
            None => more = false,
            Some(i) => {
                let next = now[i] + 1;
                (i..r).for_each(|j| now[j] = if again { next } else { next + j - i });
            }
        }
    }
    let rows = if r == 0 { 0 } else { places.len() / r };
    let made = || k::index_select(&x, 0, &Tensor::from_vec(places, &[rows * r])?)?.reshape_to(&[rows, r]);
    ok(made())
}

// ---- products -------------------------------------------------------------------------------------

/// `beta · self + alpha · vec1 ⊗ vec2`.
pub fn addr(a: &Args<'_>) -> OpResult {
    let (c, x, y, beta, alpha) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.scalar(3)?, a.scalar(4)?);
    let made = || {
        let dtype = stark_shapes::promote(c.dtype(), stark_shapes::promote(x.dtype(), y.dtype()));
        if dtype == DType::Bool {
            let outer = k::logical_and(&x.unsqueeze(1)?, &*y)?;
            let outer = k::logical_and(&outer, &Tensor::full(&[], alpha.to_bool(), DType::Bool)?)?;
            return match beta.to_bool() {
                true => k::logical_or(&*c, &outer),
                false => Ok(outer),
            };
        }
        let (alpha, beta) = (fitting(alpha, dtype), fitting(beta, dtype));
        let outer = k::mul(&k::mul(&x.unsqueeze(1)?, alpha)?, &*y)?.to(dtype)?;
        match beta.to_f64() == 0.0 {
            true => Ok(outer),
            false => k::add(&k::mul(&*c, beta)?, &outer)?.to(dtype),
        }
    };
    ok(made())
}

/// A factor in the type of whole numbers loses its fraction.
pub fn fitting(x: Scalar, dtype: DType) -> Scalar {
    if dtype.is_float() { x } else { Scalar::Int(x.to_i64()) }
}

/// `(self, other, dims_self, dims_other)`: the sum of products over these axes.
pub fn tensordot(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    ok(contracted(&x, &y, &a.ints(2)?, &a.ints(3)?))
}

fn contracted(x: &Tensor, y: &Tensor, from: &[i64], to: &[i64]) -> Tried<Tensor> {
    let axes = |t: &Tensor, named: &[i64]| -> Tried<(Vec<i64>, Vec<i64>)> {
        let named =
            named.iter().map(|&axis| stark_shapes::rules::axis(axis, t.rank())).collect::<Result<Vec<_>, _>>()?;
        let rest = (0..t.rank()).filter(|axis| !named.contains(axis)).map(|axis| axis as i64).collect();
        Ok((named.into_iter().map(|axis| axis as i64).collect(), rest))
    };
    let ((x_in, x_out), (y_in, y_out)) = (axes(x, from)?, axes(y, to)?);
    if x_in.len() != y_in.len() {
        return Err(wrong(format!("{} axes with {}", x_in.len(), y_in.len())));
    }
    // What has one element along such an axis counts for all of the other's.
    let (mut x, mut y) = (x.clone(), y.clone());
    for (&i, &j) in x_in.iter().zip(&y_in) {
        match (x.size(i)?, y.size(j)?) {
            (n, m) if n == m => {}
            (1, _) => y = k::sum(&y, &[j], true)?.to(y.dtype())?,
            (_, 1) => x = k::sum(&x, &[i], true)?.to(x.dtype())?,
            (n, m) => return Err(wrong(format!("{n} elements with {m}"))),
        }
    }
    let sizes = |t: &Tensor, axes: &[i64]| axes.iter().map(|&axis| t.shape()[axis as usize]).collect::<Vec<_>>();
    let count = |sizes: &[usize]| sizes.iter().product::<usize>();
    let (rows, inner, columns) = (sizes(&x, &x_out), sizes(&x, &x_in), sizes(&y, &y_out));
    let x = x.permute(&[x_out, x_in].concat())?.reshape_to(&[count(&rows), count(&inner)])?;
    let y = y.permute(&[y_in, y_out].concat())?.reshape_to(&[count(&inner), count(&columns)])?;
    k::matmul(&x, &y)?.reshape_to(&[rows, columns].concat())
}

/// The sum of products over the last axes; of a number with anything a plain product.
pub fn inner(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    match x.rank() == 0 || y.rank() == 0 {
        true => ok(k::mul(&*x, &*y)),
        false => ok(contracted(&x, &y, &[-1], &[-1])),
    }
}

// ---- norms ----------------------------------------------------------------------------------------

fn norm_of(x: &Tensor, p: f64, axes: &[i64], keep: bool) -> Tried<Tensor> {
    let size = k::abs(x)?;
    if p == f64::INFINITY {
        return k::amax(&size, axes, keep);
    }
    if p == f64::NEG_INFINITY {
        return k::amin(&size, axes, keep);
    }
    if p == 0.0 {
        return k::sum(&k::ne(&size, 0.0)?, axes, keep)?.to(x.dtype());
    }
    k::pow(&k::sum(&k::pow(&size, p)?, axes, keep)?, 1.0 / p)?.to(x.dtype())
}

pub fn dist(a: &Args<'_>) -> OpResult {
    let made = || {
        let difference = k::sub(operand(a, 0).map_err(wrong)?, operand(a, 1).map_err(wrong)?)?;
        // Powers of halves would leave their range.
        let wide = if difference.dtype().size() == 2 { difference.to(DType::F32)? } else { difference.clone() };
        norm_of(&wide, a.float(2).map_err(wrong)?, &[], false)?.to(difference.dtype())
    };
    ok(made())
}

/// `(self, p, dim, maxnorm)`: parts along an axis whose norm is above it are shortened.
pub fn renorm(a: &Args<'_>) -> OpResult {
    ok(shortened(&*a.tensor(0)?, a.float(1)?, a.int(2)?, a.float(3)?))
}

/// As [`renorm`].
pub fn shortened(x: &Tensor, p: f64, dim: i64, most: f64) -> Tried<Tensor> {
    let axis = stark_shapes::rules::axis(dim, x.rank())?;
    let axes: Vec<i64> = (0..x.rank()).filter(|&at| at != axis).map(|at| at as i64).collect();
    let norms = norm_of(&x.to(DType::F64)?, p, &axes, true)?;
    let factor = k::div(&Tensor::full(&[], most, DType::F64)?, &k::add(&norms, 1e-7)?)?;
    k::mul(x, &k::where_(&k::gt(&norms, most)?, &factor, 1.0)?.to(x.dtype())?)?.to(x.dtype())
}

// ---- numbers one by one ---------------------------------------------------------------------------

/// Hurwitz's zeta function, by Euler and Maclaurin's sum.
fn zeta(s: f64, q: f64) -> f64 {
    if q <= 0.0 && (q == q.floor() || s != s.floor()) {
        return if q == q.floor() { f64::INFINITY } else { f64::NAN };
    }
    // Far below 0 the sum would take as many terms.
    if q < -1e6 {
        return f64::NAN;
    }
    // Bernoulli's numbers over factorials, as the series has them.
    const TERMS: [f64; 12] = [
        12.0,
        -720.0,
        30240.0,
        -1_209_600.0,
        47_900_160.0,
        -1_892_437_580.318_379_4,
        74_724_249_600.0,
        -2_950_130_727_918.164,
        116_467_828_143_500.67,
        -4_597_978_722_407_472.6,
        181_521_054_019_435_46.0,
        -7.166_165_256_175_667e17,
    ];
    let (mut sum, mut at) = (q.powf(-s), q);
    let mut i = 0;
    while i < 9 || at <= 9.0 {
        i += 1;
        at += 1.0;
        let term = at.powf(-s);
        sum += term;
        if (term / sum).abs() < f64::EPSILON / 4.0 {
            return sum;
        }
    }
    let mut term = at.powf(-s);
    sum += term * at / (s - 1.0) - 0.5 * term;
    let (mut factor, mut j) = (1.0, 0.0);
    for divisor in TERMS {
        factor *= s + j;
        term /= at;
        let t = factor * term / divisor;
        sum += t;
        if (t / sum).abs() < f64::EPSILON / 4.0 {
            break;
        }
        j += 1.0;
        factor *= s + j;
        term /= at;
        j += 1.0;
    }
    sum
}

/// `(n, self)`, or `(self, n)` in place: derivatives of [`digamma`].
pub fn polygamma(a: &Args<'_>) -> OpResult {
    let (n, x) = match a.get(0) {
        Value::Tensor(_) => (a.int(1)?, a.tensor(0)?),
        _ => (a.int(0)?, a.tensor(1)?),
    };
    if !(0..=100).contains(&n) {
        return Err(format!("the derivative number {n}"));
    }
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
    let one = |x: f64| match n {
        0 => digamma(x),
        1 => trigamma(x),
        n => sign * libm::tgamma(n as f64 + 1.0) * zeta(n as f64 + 1.0, x),
    };
    ok(k::map_scalar(&x, dtype, |x| Scalar::Float(one(x.to_f64()))))
}

fn trigamma(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.5 {
        let sine = (PI * x).sin();
        return PI * PI / (sine * sine) - trigamma(1.0 - x);
    }
    zeta(2.0, x)
}

pub fn mvlgamma(a: &Args<'_>) -> OpResult {
    let (x, p) = (a.tensor(0)?, a.count(1)?);
    if !(1..=1000).contains(&p) {
        return Err(format!("a gamma function of {p} dimensions"));
    }
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let constant = p as f64 * (p as f64 - 1.0) / 4.0 * std::f64::consts::PI.ln();
    let one = |x: f64| constant + (0..p).map(|j| lgamma(x - j as f64 / 2.0)).sum::<f64>();
    ok(k::map_scalar(&x, dtype, |x| Scalar::Float(one(x.to_f64()))))
}

/// The regularised incomplete gamma functions: lower, or upper.
pub fn igamma(a: f64, x: f64, upper: bool) -> f64 {
    let turned = |lower: f64| if upper { 1.0 - lower } else { lower };
    if a.is_nan() || x.is_nan() || a < 0.0 || x < 0.0 || a == 0.0 && x == 0.0 {
        return f64::NAN;
    }
    if a == 0.0 || x == f64::INFINITY && a != f64::INFINITY {
        return turned(1.0);
    }
    if x == 0.0 || a == f64::INFINITY {
        return if x == f64::INFINITY { f64::NAN } else { turned(0.0) };
    }
    let front = (a * x.ln() - x - lgamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..10_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return turned(front * sum);
    }
    // Lentz's continued fraction.
    let (mut b, mut c) = (x + 1.0 - a, 1.0 / f64::MIN_POSITIVE);
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..10_000 {
        let an = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    if upper { front * h } else { 1.0 - front * h }
}

/// The next number that the type has on the way to another.
pub fn next_after(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let dtype = stark_shapes::promote(x.dtype(), y.dtype());
    if !dtype.is_float() {
        return Err(format!("takes numbers with a fraction, not {dtype}"));
    }
    let shape = stark_shapes::rules::broadcast(x.shape(), y.shape()).map_err(say)?;
    let spread = |t: &Tensor| t.expand(&shape).and_then(|t| t.to(dtype)?.contiguous()).map_err(say);
    let (x, y) = (spread(&x)?, spread(&y)?);
    let size = dtype.size();
    let mut bytes = x.to_bytes().map_err(say)?;
    let sign = 1u64 << (size * 8 - 1);
    for (word, (x, y)) in bytes.chunks_exact_mut(size).zip(x.to_scalars().into_iter().zip(y.to_scalars())) {
        let (x, y) = (x.to_f64(), y.to_f64());
        let mut bits = [0u8; 8];
        bits[..size].copy_from_slice(word);
        let bits = u64::from_le_bytes(bits);
        let next = match (x, y) {
            _ if x == y => {
                word.copy_from_slice(&Tensor::full(&[], y, dtype).and_then(|t| t.to_bytes()).map_err(say)?);
                continue;
            }
            _ if x.is_nan() || y.is_nan() => {
                word.copy_from_slice(&Tensor::full(&[], f64::NAN, dtype).and_then(|t| t.to_bytes()).map_err(say)?);
                continue;
            }
            (0.0, y) => 1 | if y < 0.0 { sign } else { 0 },
            (x, y) => {
                if (x < y) == (x > 0.0) {
                    bits + 1
                } else {
                    bits - 1
                }
            }
        };
        word.copy_from_slice(&next.to_le_bytes()[..size]);
    }
    ok(Tensor::from_bytes(&bytes, dtype, &shape))
}

/// A number from a half to below 1, and the power of 2 that it is times.
pub fn frexp(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let parts = |x: Scalar| libm::frexp(x.to_f64());
    let mantissa = k::map_scalar(&x, x.dtype(), |x| Scalar::Float(parts(x).0)).map_err(say)?;
    pair_of(mantissa, k::map_scalar(&x, DType::I32, |x| Scalar::Int(parts(x).1.into())).map_err(say)?)
}

/// `(start, end, steps, base, dtype)`.
pub fn logspace(a: &Args<'_>) -> OpResult {
    let (start, end, n, base) = (a.float(0)?, a.float(1)?, a.count(2)?, a.float(3)?);
    let dtype = a.dtype(4)?.unwrap_or(DType::F32);
    // Whole numbers cut the steps of the exponent as well.
    let made = || {
        let step = if n > 1 { (end - start) / (n - 1) as f64 } else { 0.0 };
        let places = k::linspace(0.0, n.saturating_sub(1) as f64, n, DType::F64)?;
        let number = |i: f64| if i < n as f64 / 2.0 { start + step * i } else { end - step * ((n - 1) as f64 - i) };
        k::map_scalar(&places, DType::F64, |i| Scalar::Float(base.powf(number(i.to_f64()))))?.to(dtype)
    };
    ok(made())
}

// ---- rows -----------------------------------------------------------------------------------------

/// The numbers of `t` by rows along `dim`, without an axis in one row, and the shape without that axis.
fn rows(t: &Tensor, dim: Option<i64>) -> Tried<(Vec<Vec<f64>>, Vec<usize>)> {
    let t = match dim {
        None => t.reshape_to(&[1, t.numel()])?,
        Some(_) if t.rank() == 0 => t.reshape_to(&[1])?,
        Some(dim) => t.movedim(dim, -1)?,
    };
    let n = t.size(-1)?;
    let all: Vec<f64> = t.to_scalars().into_iter().map(Scalar::to_f64).collect();
    let shape = if dim.is_none() { Vec::new() } else { t.shape()[..t.rank() - 1].to_vec() };
    Ok((all.chunks(n.max(1)).map(<[f64]>::to_vec).collect(), shape))
}

/// As `median`, past what is no number.
pub fn nan_median(a: &Args<'_>) -> OpResult {
    let (t, dim) = (a.tensor(0)?, a.opt_int(1)?);
    let made = || {
        let (all, mut shape) = rows(&t, dim)?;
        let pick = |row: &Vec<f64>| {
            let mut order: Vec<usize> = (0..row.len()).filter(|&i| !row[i].is_nan()).collect();
            order.sort_by(|&i, &j| row[i].total_cmp(&row[j]));
            order.get(order.len().saturating_sub(1) / 2).map_or((f64::NAN, 0), |&i| (row[i], i as i64))
        };
        let (values, places): (Vec<f64>, Vec<i64>) = all.iter().map(pick).unzip();
        if let (Some(dim), true) = (dim, a.bool(2).map_err(wrong)? && t.rank() > 0) {
            shape.insert(stark_shapes::rules::axis(dim, t.rank())?, 1);
        }
        Ok((Tensor::from_vec(values, &shape)?.to(t.dtype())?, Tensor::from_vec(places, &shape)?))
    };
    let (values, places) = made().map_err(|e: TensorError| e.to_string())?;
    if dim.is_none() { Ok(Value::Tensor(values)) } else { pair_of(values, places) }
}

/// As `quantile`, past what is no number.
pub fn nan_quantile(a: &Args<'_>) -> OpResult {
    let (t, q, dim, how) = (a.tensor(0)?, a.tensor(1)?, a.opt_int(2)?, a.str(4)?);
    let shares: Vec<f64> = q.to_scalars().into_iter().map(Scalar::to_f64).collect();
    if q.rank() > 1 || shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
        return Err(format!("quantiles {shares:?}"));
    }
    let pick = |sorted: &[f64], share: f64| {
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = share * last as f64;
        let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        match how {
            "lower" => low,
            "higher" => high,
            "nearest" => sorted[place.round_ties_even() as usize],
            "midpoint" => low + (high - low) * if place.floor() == place.ceil() { 0.0 } else { 0.5 },
            _ => low + (high - low) * (place - place.floor()),
        }
    };
    let made = || {
        let (mut all, mut shape) = rows(&t, dim)?;
        for row in &mut all {
            row.retain(|x| !x.is_nan());
            row.sort_by(f64::total_cmp);
        }
        // Memory is asked for before numbers are made.
        Tensor::zeros(&[shares.len(), all.len()], DType::F64)?;
        let found = shares.iter().flat_map(|&share| all.iter().map(move |row| pick(row, share)));
        let found: Vec<f64> = found.collect();
        if a.bool(3).map_err(wrong)? {
            match dim {
                Some(_) if t.rank() == 0 => {}
                Some(dim) => shape.insert(stark_shapes::rules::axis(dim, t.rank())?, 1),
                None => shape = vec![1; t.rank()],
            }
        }
        if q.rank() == 1 {
            shape.insert(0, shares.len());
        }
        Tensor::from_vec(found, &shape)?.to(t.dtype())
    };
    ok(made())
}

/// `(self, spacing, dim, edge_order)`: slopes between neighbours along each of the axes.
pub fn gradient(a: &Args<'_>) -> OpResult {
    let (t, edge) = (a.tensor(0)?, a.int(3)?);
    let axes: Vec<i64> = match a.opt_ints(2)? {
        Some(axes) => axes.to_vec(),
        None => (0..t.rank() as i64).collect(),
    };
    if !matches!(edge, 1 | 2) {
        return Err(format!("edges of order {edge}"));
    }
    let n_spacings = match a.get(1) {
        Value::List(list) => list.items().len(),
        _ => 0,
    };
    let places = |at: usize, n: usize| -> Result<Vec<f64>, String> {
        let even = |by: f64| (0..n).map(|i| i as f64 * by).collect();
        let one = match a.get(1) {
            Value::None => return Ok(even(1.0)),
            Value::List(list) => list.items().get(if n_spacings == 1 { 0 } else { at }).cloned(),
            other => Some(other.clone()),
        };
        match one {
            Some(Value::Tensor(t)) if t.rank() == 1 => Ok(t.to_scalars().into_iter().map(Scalar::to_f64).collect()),
            Some(value) => Ok(even(value.scalar().ok_or("a spacing is no number")?.to_f64())),
            None => Err("there is no spacing for an axis".into()),
        }
    };
    let dtype = if t.dtype().is_float() { t.dtype() } else { DType::F32 };
    let mut out = Vec::with_capacity(axes.len());
    for (at, &axis) in axes.iter().enumerate() {
        let n = t.size(axis).map_err(say)?;
        if n < edge as usize + 1 {
            return Err(format!("{n} elements along axis {axis} for edges of order {edge}"));
        }
        let places = places(at, n)?;
        if places.len() != n {
            return Err(format!("{} places for {n} elements", places.len()));
        }
        let made = || {
            let along = t.movedim(axis, -1)?;
            let numbers: Vec<f64> = along.to_scalars().into_iter().map(Scalar::to_f64).collect();
            let mut slopes = Vec::with_capacity(numbers.len());
            for row in numbers.chunks(n) {
                let weigh = |i: usize, at: usize| {
                    // The slope at place `at` of the parabola through three points from `i` on.
                    let (h, g) = (places[i + 1] - places[i], places[i + 2] - places[i + 1]);
                    let [a, b, c] = match at - i {
                        0 => [-(2.0 * h + g) / (h * (h + g)), (h + g) / (h * g), -h / (g * (h + g))],
                        1 => [-g / (h * (h + g)), (g - h) / (h * g), h / (g * (h + g))],
                        _ => [g / (h * (h + g)), -(h + g) / (h * g), (h + 2.0 * g) / (g * (h + g))],
                    };
                    a * row[i] + b * row[i + 1] + c * row[i + 2]
                };
                let step = |i: usize| (row[i + 1] - row[i]) / (places[i + 1] - places[i]);
                for i in 0..n {
                    slopes.push(match i {
                        0 if edge == 1 => step(0),
                        0 => weigh(0, 0),
                        i if i == n - 1 && edge == 1 => step(n - 2),
                        i if i == n - 1 => weigh(n - 3, n - 1),
                        i => weigh(i - 1, i),
                    });
                }
            }
            Tensor::from_vec(slopes, along.shape())?.movedim(-1, axis)?.to(dtype)
        };
        out.push(Value::Tensor(made().map_err(say)?));
    }
    Value::list(out)
}

/// `(self, index, source, accumulate)`: elements by their number in row-major order.
pub fn put(a: &Args<'_>) -> OpResult {
    let (t, index, source) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let made = || {
        let (n, m) = (t.numel(), index.numel());
        let flat = t.reshape_to(&[n])?;
        let index = index.reshape_to(&[m])?;
        let index = k::where_(&k::lt(&index, 0i64)?, &k::add(&index, n as i64)?, &index)?;
        let source = source.reshape_to(&[m])?.to(t.dtype())?;
        let out = match (a.bool(3).map_err(wrong)?, t.dtype()) {
            (true, DType::Bool) => {
                k::scatter_add(&flat.to(DType::I64)?, 0, &index, &source.to(DType::I64)?)?.to(DType::Bool)?
            }
            (true, _) => k::scatter_add(&flat, 0, &index, &source)?,
            (false, _) => k::scatter(&flat, 0, &index, &source)?,
        };
        out.reshape_to(t.shape())
    };
    ok(made())
}

// ---- factors of matrices --------------------------------------------------------------------------

/// Rows of pivots, from 1, as exchanges.
fn exchanges(pivots: &Tensor) -> Vec<Vec<usize>> {
    let n = pivots.shape().last().copied().unwrap_or(0).max(1);
    let all: Vec<usize> = pivots.to_scalars().into_iter().map(|x| (x.to_i64() - 1).max(0) as usize).collect();
    all.chunks(n).map(<[usize]>::to_vec).collect()
}

/// `P`, `L` and `U` of `(LU_data, LU_pivots, unpack_data, unpack_pivots)`.
pub fn lu_unpack(a: &Args<'_>) -> OpResult {
    let (data, pivots) = (a.tensor(0)?, a.tensor(1)?);
    let batch = Batch::of("lu_unpack", &data)?;
    let (rows, cols) = (batch.rows, batch.cols);
    let n = rows.min(cols);
    let mut swaps = exchanges(&pivots).into_iter();
    let (mut p, mut l, mut u) = (Vec::new(), Vec::new(), Vec::new());
    for m in &batch.all {
        let mut lower = Matrix::zeros(rows, n);
        let mut upper = Matrix::zeros(n, cols);
        for i in 0..rows {
            for j in 0..cols {
                match i.cmp(&j) {
                    std::cmp::Ordering::Greater if j < n => lower.set(i, j, m.at(i, j)),
                    std::cmp::Ordering::Less | std::cmp::Ordering::Equal if i < n => upper.set(i, j, m.at(i, j)),
                    _ => {}
                }
            }
            if i < n {
                lower.set(i, i, 1.0);
            }
        }
        let mut order = Matrix::identity(rows);
        for (i, j) in swaps.next().unwrap_or_default().into_iter().enumerate() {
            if i >= rows || j >= rows {
                return Err(format!("exchanges row {j} of {rows}"));
            }
            order.swap_rows(i, j);
        }
        p.push(order.turned());
        l.push(lower);
        u.push(upper);
    }
    let empty = || Tensor::zeros(&[0], data.dtype()).map(Value::Tensor).map_err(say);
    let (data_too, pivots_too) = (a.bool(2)?, a.bool(3)?);
    Value::tuple(vec![
        if pivots_too { Value::Tensor(batch.matrices(p, rows, rows)?) } else { empty()? },
        if data_too { Value::Tensor(batch.matrices(l, rows, n)?) } else { empty()? },
        if data_too { Value::Tensor(batch.matrices(u, n, cols)?) } else { empty()? },
    ])
}

/// `(self, LU_data, LU_pivots)`.
pub fn lu_solve(a: &Args<'_>) -> OpResult {
    lu_solved(&*a.tensor(0)?, &*a.tensor(1)?, &*a.tensor(2)?)
}

/// `(LU, pivots, B, left, adjoint)`.
pub fn linalg_lu_solve(a: &Args<'_>) -> OpResult {
    if !a.bool(3)? || a.bool(4)? {
        return Err("from the right, or of the adjoint, is not supported".into());
    }
    lu_solved(&*a.tensor(2)?, &*a.tensor(0)?, &*a.tensor(1)?)
}

fn lu_solved(b: &Tensor, data: &Tensor, pivots: &Tensor) -> OpResult {
    if b.rank() < 2 || data.rank() < 2 || pivots.rank() < 1 {
        return Err("takes matrices".into());
    }
    let lead = |t: &Tensor, n: usize| t.shape()[..t.rank() - n].to_vec();
    let shared = stark_shapes::rules::broadcast(&lead(b, 2), &lead(data, 2)).map_err(say)?;
    let spread = |t: &Tensor, n: usize| {
        t.expand(&[&shared[..], &t.shape()[t.rank() - n..]].concat()).and_then(|t| t.contiguous()).map_err(say)
    };
    let (b, data, pivots) = (spread(b, 2)?, spread(data, 2)?, spread(pivots, 1)?);
    let (right, left) = (Batch::of("lu_solve", &b)?, Batch::square("lu_solve", &data)?);
    if right.rows != left.rows || pivots.size(-1).map_err(say)? != left.rows {
        return Err(format!("{} rows with {}", right.rows, left.rows));
    }
    let mut swaps = exchanges(&pivots).into_iter();
    let mut factors = left.all.iter();
    let made = right.each(|b| {
        let (mut x, lu) = (b.clone(), factors.next().ok_or("a batch is shorter")?);
        for (i, j) in swaps.next().unwrap_or_default().into_iter().enumerate() {
            if j >= b.rows {
                return Err(format!("exchanges row {j} of {}", b.rows));
            }
            x.swap_rows(i, j);
        }
        triangle(lu, &mut x, false, true);
        triangle(lu, &mut x, true, false);
        Ok(x)
    })?;
    right.matrices(made, right.rows, right.cols).map(Value::Tensor)
}

/// From a factor of Cholesky's the inverse of the product.
pub fn cholesky_inverse(a: &Args<'_>) -> OpResult {
    let (batch, upper) = (Batch::square("cholesky_inverse", &*a.tensor(0)?)?, a.bool(1)?);
    let n = batch.rows;
    let made = batch.each(|m| {
        let lower = if upper { m.turned() } else { m.clone() };
        let mut x = Matrix::identity(n);
        triangle(&lower, &mut x, false, false);
        triangle(&lower.turned(), &mut x, true, false);
        Ok(x)
    })?;
    batch.matrices(made, n, n).map(Value::Tensor)
}

// ---- whole numbers --------------------------------------------------------------------------------

/// `f` of a tensor as `Float32` where it has whole numbers.
pub fn of_float(a: &Args<'_>, f: fn(&Args<'_>) -> OpResult) -> OpResult {
    match a.get(0) {
        Value::Tensor(t) if !t.dtype().is_float() => {
            let first = Value::Tensor(t.to(DType::F32).map_err(say)?);
            let values: Vec<&Value> = std::iter::once(&first).chain(a.values[1..].iter().copied()).collect();
            f(&Args { values: &values, keeper: None, ..Args::new(a.row, &values) })
        }
        _ => f(a),
    }
}

/// `f` of tensors of whole numbers, computed in `Float64` and given in their type.
pub fn of_whole(a: &Args<'_>, f: fn(&Args<'_>) -> OpResult) -> OpResult {
    let dtype = match a.get(0) {
        Value::Tensor(t) if !t.dtype().is_float() => t.dtype(),
        _ => return f(a),
    };
    let wide = |value: &Value| match value {
        Value::Tensor(t) if !t.dtype().is_float() => ok(t.to(DType::F64)),
        other => Ok(other.clone()),
    };
    let values = a.values.iter().map(|value| wide(value)).collect::<Result<Vec<_>, _>>()?;
    let values: Vec<&Value> = values.iter().collect();
    match f(&Args { values: &values, keeper: None, ..Args::new(a.row, &values) })? {
        Value::Tensor(t) => ok(t.to(dtype)),
        Value::Tuple(tuple) => {
            let mut items = tuple.items.clone();
            if let Some(Value::Tensor(first)) = items.first_mut() {
                *first = first.to(dtype).map_err(say)?;
            }
            Value::tuple(items)
        }
        other => Ok(other),
    }
}
