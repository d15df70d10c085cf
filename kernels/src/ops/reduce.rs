//! Many elements to one: sums, extremes, statistics.
//!
//! Reduced axes are brought to the end, so that each result comes from one contiguous row; where they lie before others in
//! memory, whole rows are taken up at once instead ([`super::columns`]).

use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use stark_shapes::{DType, Kind, Shape, ShapeError, rules, show};

use crate::accelerator::{self, Kernel as DeviceKernel};
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::halves::Half;
use crate::cpu::math::sum_by;
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Bit, Elem, Scalar, with_elem, with_number};
use crate::error::{Result, TensorError};
use crate::ops::columns::{self, Column, InOrder, columns};
use crate::ops::elementwise::{Arith, compute_dtype};
use crate::tensor::Tensor;

/// `x` with the reduced axes last, row-major; and the length of a row.
fn rows(x: &Tensor, over: &[i64]) -> Result<(Tensor, usize)> {
    let over = rules::axes(over, x.rank())?;
    let order: Vec<i64> = (0..x.rank())
        .filter(|i| !over.contains(i))
        .chain((0..x.rank()).filter(|i| over.contains(i)))
        .map(|i| i as i64)
        .collect();
    let n = over.iter().filter_map(|&i| x.shape().get(i)).product();
    Ok((x.permute(&order)?.contiguous()?, n))
}

/// One result of type `R` per row of `A`.
fn reduce<A: Pod, R: Pod>(
    x: &Tensor,
    over: &[i64],
    keepdim: bool,
    dtype: DType,
    f: impl Fn(&[A]) -> R + Sync,
) -> Result<Tensor> {
    let shape = rules::reduce(x.shape(), over, keepdim)?;
    let (x, n) = rows(x, over)?;
    let data = x.slice_of::<A>();
    let mut buffer = Buffer::zeroed::<R>(rules::numel(&shape)?)?;
    fill_chunks(buffer.as_mut_slice::<R>(), (CHUNK / n.max(1)).max(1), |start, out| {
        for (i, o) in out.iter_mut().enumerate() {
            *o = f(&data[(start + i) * n..(start + i + 1) * n]);
        }
    });
    Ok(Tensor::from_buffer(buffer, dtype, &shape))
}

/// `name` of the elements over `axes`, when an accelerator has `x` and a kernel of that name.
fn on_device(
    name: &'static str,
    x: &Tensor,
    axes: &[i64],
    keepdim: bool,
    params: &[f64],
    dtype: DType,
) -> Result<Option<Tensor>> {
    if accelerator::of([x]).is_none() {
        return Ok(None);
    }
    let shape = rules::reduce(x.shape(), axes, keepdim)?;
    let (x, n) = rows(x, axes)?;
    accelerator::offer([&x], || DeviceKernel::Reduce { name, x: &x, n, params, shape: &shape, dtype })
}

/// [`reduce`] of halves, whose rows `f` is shown as `f32`, and whose result is rounded once.
fn reduce_halves<H: Half>(x: &Tensor, over: &[i64], keepdim: bool, f: impl Fn(&[f32]) -> f64 + Sync) -> Result<Tensor> {
    let shape = rules::reduce(x.shape(), over, keepdim)?;
    let (x, n) = rows(x, over)?;
    let data = x.slice_of::<H>();
    let mut buffer = Buffer::zeroed::<H>(rules::numel(&shape)?)?;
    let short = Mutex::new(None);
    fill_chunks(buffer.as_mut_slice::<H>(), (CHUNK / n.max(1)).max(1), |start, out| {
        let mut row = match Buffer::for_overwrite::<f32>(n) {
            Ok(row) => row,
            Err(error) => return *short.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
        };
        let row = row.as_mut_slice::<f32>();
        for (i, o) in out.iter_mut().enumerate() {
            H::widen(&data[(start + i) * n..(start + i + 1) * n], row);
            *o = H::from_f64(f(row));
        }
    });
    match short.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(Tensor::from_buffer(buffer, H::DTYPE, &shape)),
    }
}

/// A reduction of floats by what `$f` makes, in `f64`, of each `$row`.
macro_rules! reduce_floats {
    ($name:literal, $x:expr, $axes:expr, $keepdim:expr, $row:ident => $f:expr) => {
        match $x.dtype() {
            DType::F32 => reduce::<f32, f32>($x, $axes, $keepdim, DType::F32, |$row| f32::from_f64($f)),
            DType::F64 => reduce::<f64, f64>($x, $axes, $keepdim, DType::F64, |$row| $f),
            DType::F16 => reduce_halves::<f16>($x, $axes, $keepdim, |$row| $f),
            DType::BF16 => reduce_halves::<bf16>($x, $axes, $keepdim, |$row| $f),
            other => Err(TensorError::dtype($name, other)),
        }
    };
}

/// The reduction of floats by columns, where they lie so; halves widened first.
fn float_columns(
    x: &Tensor,
    axes: &[i64],
    keepdim: bool,
    column: impl Column<f32, f32> + Column<f64, f64> + Column<f32, f16> + Column<f32, bf16>,
) -> Result<Option<Tensor>> {
    match x.dtype() {
        DType::F32 => columns::<f32, f32>(x, axes, keepdim, DType::F32, column),
        DType::F64 => columns::<f64, f64>(x, axes, keepdim, DType::F64, column),
        DType::F16 => columns::<f32, f16>(&x.to(DType::F32)?, axes, keepdim, DType::F16, column),
        DType::BF16 => columns::<f32, bf16>(&x.to(DType::F32)?, axes, keepdim, DType::BF16, column),
        _ => Ok(None),
    }
}

struct Sum<'a, T, F>(&'a [T], F);

impl<T: Elem, F: Fn(f64) -> f64> Kernel for Sum<'_, T, F> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let f = self.1;
        sum_by(self.0, |x| f(x.to_f64()))
    }
}

fn sum_f64<T: Elem>(row: &[T], f: impl Fn(f64) -> f64) -> f64 {
    dispatch(Sum(row, f))
}

/// An empty reduction has no answer for operations without a neutral element.
fn need_elements(name: &str, x: &Tensor, over: &[i64]) -> Result<()> {
    let axes = rules::axes(over, x.rank())?;
    let empty = axes.iter().any(|&i| x.shape().get(i) == Some(&0));
    let wanted = rules::numel(&rules::reduce(x.shape(), over, false)?)?;
    if empty && wanted > 0 {
        return Err(ShapeError(format!("{name} of no elements: shape {}", show(x.shape()))).into());
    }
    Ok(())
}

/// The sum over `axes` (none: all). Floats keep their dtype and add in `Float64`; ints and bools give `Int64`.
pub fn sum(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if let Some(out) =
        on_device("sum", x, axes, keepdim, &[], if x.dtype().is_float() { x.dtype() } else { DType::I64 })?
    {
        return Ok(out);
    }
    if x.dtype().is_float() {
        if let Some(out) = float_columns(x, axes, keepdim, columns::Sum(|sum| sum))? {
            return Ok(out);
        }
        return reduce_floats!("sum", x, axes, keepdim, row => sum_f64(row, |x| x));
    }
    whole_numbers(x, axes, keepdim, 0, i64::wrapping_add)
}

/// `Int64` from `first` on, by a function whose order does not matter.
fn whole_numbers(
    x: &Tensor,
    axes: &[i64],
    keepdim: bool,
    first: i64,
    f: impl Fn(i64, i64) -> i64 + Copy + Sync,
) -> Result<Tensor> {
    if columns::fits(x, axes)? {
        let column = InOrder(|x: i64| x, move |acc: i64, x: i64| f(acc, x), |acc: i64| acc);
        if let Some(out) = columns::<i64, i64>(&x.to(DType::I64)?, axes, keepdim, DType::I64, column)? {
            return Ok(out);
        }
    }
    if x.dtype() == DType::I64 {
        return reduce::<i64, i64>(x, axes, keepdim, DType::I64, |row| dispatch(Folded(row, first, f)));
    }
    with_elem!(x.dtype(), T => reduce::<T, i64>(x, axes, keepdim, DType::I64, |row| {
        row.iter().fold(first, |acc, x| f(acc, x.to_i64()))
    }))
}

/// The mean over `axes` (none: all) of floats; of nothing it is NaN.
pub fn mean(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(TensorError::needs_floats("mean", x.dtype()));
    }
    if let Some(out) = on_device("mean", x, axes, keepdim, &[], x.dtype())? {
        return Ok(out);
    }
    // The mean of planes whose channels lie side by side needs no other order.
    let planes = x.dtype() == DType::F32 && x.is_channels_last() && x.numel() > 0 && !crate::device::is_reference();
    if planes && matches!(rules::axes(axes, 4)?[..], [2, 3]) {
        let out = crate::ops::pool::adaptive_avg_pool2d(x, [1, 1])?;
        return if keepdim { Ok(out) } else { out.squeeze(&[2, 3]) };
    }
    let n = rules::axes(axes, x.rank())?.iter().filter_map(|&i| x.shape().get(i)).product::<usize>() as f64;
    if let Some(out) = float_columns(x, axes, keepdim, columns::Sum(move |sum| sum / n))? {
        return Ok(out);
    }
    reduce_floats!("mean", x, axes, keepdim, row => sum_f64(row, |x| x) / row.len() as f64)
}

/// The product over `axes` (none: all). Ints and bools give `Int64`.
pub fn prod(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if let Some(out) =
        on_device("prod", x, axes, keepdim, &[], if x.dtype().is_float() { x.dtype() } else { DType::I64 })?
    {
        return Ok(out);
    }
    if x.dtype().is_float() {
        if let Some(out) = float_columns(x, axes, keepdim, columns::Product)? {
            return Ok(out);
        }
        return reduce_floats!("prod", x, axes, keepdim, row => row.iter().fold(1.0, |p, x| p * x.to_f64()));
    }
    whole_numbers(x, axes, keepdim, 1, i64::wrapping_mul)
}

/// The place of the first element that no other beats; NaN beats all numbers.
fn best<T: Elem>(row: &[T], beats: impl Fn(T, T) -> bool) -> usize {
    let mut at = 0;
    for (i, x) in row.iter().enumerate() {
        // NaN is the only value that differs from itself.
        #[allow(clippy::eq_op)]
        if row[at] != row[at] {
            break;
        }
        #[allow(clippy::eq_op)]
        if beats(*x, row[at]) || x != x {
            at = i;
        }
    }
    at
}

/// A row from one number on, by a function whose order does not matter.
struct Folded<'a, T, B, F>(&'a [T], B, F);

impl<T: Copy, B: Copy, F: Fn(B, T) -> B> Kernel for Folded<'_, T, B, F> {
    type Out = B;
    #[inline(always)]
    fn run(self) -> B {
        let f = self.2;
        self.0.iter().fold(self.1, |acc, x| f(acc, *x))
    }
}

/// The element at [`best`]: of lanes that each keep the first that no later one beats, then of these.
struct Extreme<'a, T, F>(&'a [T], F);

impl<T: Elem, F: Fn(T, T) -> bool + Copy> Kernel for Extreme<'_, T, F> {
    type Out = T;
    #[inline(always)]
    fn run(self) -> T {
        const LANES: usize = 32;
        let Extreme(row, beats) = self;
        let (blocks, rest) = row.as_chunks::<LANES>();
        let Some((first, blocks)) = blocks.split_first() else { return row[best(row, beats)] };
        let mut lanes = *first;
        for block in blocks {
            for k in 0..LANES {
                lanes[k] = keep(lanes[k], block[k], beats);
            }
        }
        // Some numbers may be looked at twice, which changes nothing.
        if let (false, Some(last)) = (rest.is_empty(), row.last_chunk::<LANES>()) {
            for k in 0..LANES {
                lanes[k] = keep(lanes[k], last[k], beats);
            }
        }
        for half in [16, 8, 4, 2, 1] {
            for k in 0..half {
                lanes[k] = keep(lanes[k], lanes[k + half], beats);
            }
        }
        let top = lanes[0];
        // Zeros of both signs are equal, and one NaN is as good as another: the first of them is the result.
        let is_zero = T::FLOAT && top == T::default();
        #[allow(clippy::eq_op)]
        let is_nan = top != top;
        #[allow(clippy::eq_op)]
        match (is_zero, is_nan) {
            (false, false) => top,
            (true, _) => row.iter().find(|x| **x == T::default()).copied().unwrap_or(top),
            (_, true) => row.iter().find(|x| *x != *x).copied().unwrap_or(top),
        }
    }
}

/// What is kept of two: NaN that is there stays, one that comes wins.
#[inline(always)]
#[allow(clippy::eq_op)]
fn keep<T: Elem>(top: T, x: T, beats: impl Fn(T, T) -> bool) -> T {
    // One test and one choice, without a branch. NaN that is there is beaten by NaN alone, of which none is better.
    if beats(x, top) | (x != x) { x } else { top }
}

/// The extreme over `axes`, by vectors.
fn extreme<T: Elem>(
    x: &Tensor,
    axes: &[i64],
    keepdim: bool,
    beats: impl Fn(T, T) -> bool + Copy + Sync,
) -> Result<Tensor> {
    // The first NaN stays.
    #[allow(clippy::eq_op)]
    let next = move |top: T, x: T| if beats(x, top) | ((x != x) & (top == top)) { x } else { top };
    match columns::<T, T>(x, axes, keepdim, x.dtype(), InOrder(|x: T| x, next, |top: T| top))? {
        Some(out) => Ok(out),
        None => reduce::<T, T>(x, axes, keepdim, x.dtype(), |row| dispatch(Extreme(row, beats))),
    }
}

macro_rules! extremes {
    ($($all:ident, $with:ident, $arg:ident, $name:literal, $beats:tt;)*) => { $(
        #[doc = concat!("The ", $name, " over `axes` (none: all). NaN wins.")]
        pub fn $all(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
            need_elements($name, x, axes)?;
            if let Some(out) = on_device(stringify!($all), x, axes, keepdim, &[], x.dtype())? {
                return Ok(out);
            }
            // Widening keeps order, and what it gave fits again.
            if matches!(x.dtype(), DType::F16 | DType::BF16) && !crate::device::is_reference() {
                return $all(&x.to(DType::F32)?, axes, keepdim)?.to(x.dtype());
            }
            if crate::device::is_reference() {
                return with_elem!(x.dtype(), T => reduce::<T, T>(x, axes, keepdim, x.dtype(), |row| {
                    row[best(row, |a: T, b: T| a $beats b)]
                }));
            }
            match x.dtype() {
                DType::F32 => extreme::<f32>(x, axes, keepdim, |a, b| a $beats b),
                DType::F64 => extreme::<f64>(x, axes, keepdim, |a, b| a $beats b),
                DType::I32 => extreme::<i32>(x, axes, keepdim, |a, b| a $beats b),
                DType::I64 => extreme::<i64>(x, axes, keepdim, |a, b| a $beats b),
                _ => with_elem!(x.dtype(), T => reduce::<T, T>(x, axes, keepdim, x.dtype(), |row| {
                    row[best(row, |a: T, b: T| a $beats b)]
                })),
            }
        }

        #[doc = concat!("The ", $name, " along one axis, and the index of the first such element.")]
        pub fn $with(x: &Tensor, axis: i64, keepdim: bool) -> Result<(Tensor, Tensor)> {
            need_elements($name, x, &[axis])?;
            Ok(($all(x, &[axis], keepdim)?, $arg(x, Some(axis), keepdim)?))
        }

        #[doc = concat!("The index (`Int64`) of the first ", $name, " along `axis`, or in the flattened tensor.")]
        pub fn $arg(x: &Tensor, axis: Option<i64>, keepdim: bool) -> Result<Tensor> {
            let axes: &[i64] = axis.as_slice();
            need_elements($name, x, axes)?;
            if let Some(out) = on_device(stringify!($arg), x, axes, keepdim, &[], DType::I64)? {
                return Ok(out);
            }
            with_elem!(x.dtype(), T => reduce::<T, i64>(x, axes, keepdim, DType::I64, |row| {
                best(row, |a: T, b: T| a $beats b) as i64
            }))
        }
    )* };
}

extremes! {
    amax, max_dim, argmax, "maximum", >;
    amin, min_dim, argmin, "minimum", <;
}

/// True when any element over `axes` (none: all) is not zero.
pub fn any(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if let Some(out) = on_device("any", x, axes, keepdim, &[], DType::Bool)? {
        return Ok(out);
    }
    with_elem!(x.dtype(), T => reduce::<T, Bit>(x, axes, keepdim, DType::Bool, |row| {
        Bit(row.iter().any(|x| *x != T::default()).into())
    }))
}

/// True when no element over `axes` (none: all) is zero.
pub fn all(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if let Some(out) = on_device("all", x, axes, keepdim, &[], DType::Bool)? {
        return Ok(out);
    }
    with_elem!(x.dtype(), T => reduce::<T, Bit>(x, axes, keepdim, DType::Bool, |row| {
        Bit(row.iter().all(|x| *x != T::default()).into())
    }))
}

/// The variance over `axes` (none: all), divided by `n - correction` (PyTorch's default correction is 1).
pub fn var(x: &Tensor, axes: &[i64], correction: f64, keepdim: bool) -> Result<Tensor> {
    spread("var", x, axes, correction, keepdim, |v| v)
}

/// The standard deviation: the root of [`var`].
pub fn std(x: &Tensor, axes: &[i64], correction: f64, keepdim: bool) -> Result<Tensor> {
    spread("std", x, axes, correction, keepdim, f64::sqrt)
}

fn spread(
    name: &'static str,
    x: &Tensor,
    axes: &[i64],
    correction: f64,
    keepdim: bool,
    f: fn(f64) -> f64,
) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(TensorError::needs_floats(name, x.dtype()));
    }
    if let Some(out) = on_device(name, x, axes, keepdim, &[correction], x.dtype())? {
        return Ok(out);
    }
    reduce_floats!("var", x, axes, keepdim, row => {
        let mean = sum_f64(row, |x| x) / row.len() as f64;
        let squares = sum_f64(row, |x| (x - mean) * (x - mean));
        // As PyTorch: too few elements divide by 0, never by less.
        f(squares / (row.len() as f64 - correction).max(0.0))
    })
}

/// The `p`-norm over `axes` (none: all); `p` may be infinite, or 0 for the number of elements that are not zero.
pub fn norm(x: &Tensor, p: f64, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(TensorError::needs_floats("norm", x.dtype()));
    }
    if p.is_infinite() && p < 0.0 {
        need_elements("norm", x, axes)?;
    }
    if let Some(out) = on_device(if p == 2.0 { "norm2" } else { "norm" }, x, axes, keepdim, &[p], x.dtype())? {
        return Ok(out);
    }
    reduce_floats!("norm", x, axes, keepdim, row => {
        match p {
            2.0 => sum_f64(row, |x| x * x).sqrt(),
            1.0 => sum_f64(row, f64::abs),
            0.0 => sum_f64(row, |x| if x == 0.0 { 0.0 } else { 1.0 }),
            f64::INFINITY => row.iter().fold(0.0, |m, x| { let x = x.to_f64().abs(); if x > m || x.is_nan() { x } else { m } }),
            f64::NEG_INFINITY => row.iter().fold(f64::INFINITY, |m, x| { let x = x.to_f64().abs(); if x < m || x.is_nan() { x } else { m } }),
            p => sum_f64(row, |x| x.abs().powf(p)).powf(1.0 / p),
        }
    })
}

/// `log(sum(exp(x)))` over `axes`, without overflow.
pub fn logsumexp(x: &Tensor, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    let x = x.to(x.dtype().to_float())?;
    if let Some(out) = on_device("logsumexp", &x, axes, keepdim, &[], x.dtype())? {
        return Ok(out);
    }
    with_elem!(x.dtype(), T => reduce::<T, T>(&x, axes, keepdim, x.dtype(), |row| {
        let top = row.iter().fold(f64::NEG_INFINITY, |m, x| { let x = x.to_f64(); if x > m || x.is_nan() { x } else { m } });
        if top.is_infinite() { return T::from_f64(top) }
        T::from_f64(top + row.iter().map(|x| (x.to_f64() - top).exp()).sum::<f64>().ln())
    }))
}

/// `x / max(norm(x, p, axis), eps)`.
pub fn normalize(x: &Tensor, p: f64, axis: i64, eps: f64) -> Result<Tensor> {
    let length = norm(x, p, &[axis], true)?;
    super::elementwise::div(x, &super::elementwise::maximum(&length, eps)?)
}

/// Running sums along `axis`. Ints and bools give `Int64`.
pub fn cumsum(x: &Tensor, axis: i64) -> Result<Tensor> {
    running(x, axis, 0)
}

/// Running products along `axis`. Ints and bools give `Int64`.
pub fn cumprod(x: &Tensor, axis: i64) -> Result<Tensor> {
    running(x, axis, 1)
}

fn running(x: &Tensor, axis: i64, first: i64) -> Result<Tensor> {
    let at = rules::axis(axis, x.rank())?;
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::I64 };
    let compute = compute_dtype(dtype);
    if x.rank() == 0 {
        return x.to(dtype);
    }
    let mut out = x.to(compute)?.movedim(axis, -1)?.copied()?;
    let n = x.shape()[at];
    with_number!(compute, T => {
        let data = out.owned_slice_mut::<T>();
        for row in data.chunks_mut(n.max(1)) {
            // Sums in f64, so that long rows do not drift.
            if T::FLOAT {
                let mut total = first as f64;
                for x in row {
                    total = if first == 0 { total + x.to_f64() } else { total * x.to_f64() };
                    *x = T::from_f64(total);
                }
            } else {
                let mut total = T::from_i64(first);
                for x in row {
                    total = if first == 0 { total.add(*x) } else { total.mul(*x) };
                    *x = total;
                }
            }
        }
    }, _ => return Err(TensorError::dtype("cumsum", compute)));
    out.movedim(-1, at as i64)?.contiguous()?.to(dtype)
}

/// Differences of neighbours along `axis`, one fewer than there are elements.
pub fn diff(x: &Tensor, axis: i64) -> Result<Tensor> {
    let n = x.size(axis)? as i64;
    super::elementwise::sub(&x.slice(axis, 1, n.max(1), 1)?, &x.slice(axis, 0, (n - 1).max(0), 1)?)
}

/// How many elements over `axes` (none: all) are not zero.
pub fn count_nonzero(x: &Tensor, axes: &[i64]) -> Result<Tensor> {
    sum(&x.to(DType::Bool)?, axes, false)
}

/// The mean of all elements as a plain number, whatever the dtype.
pub fn mean_scalar(x: &Tensor) -> Result<Scalar> {
    let x = if x.dtype().kind() == Kind::Float { x.clone() } else { x.to(DType::F64)? };
    mean(&x, &[], false)?.item()
}

/// A shape without the axes in `over`, for callers that plan before they compute.
pub fn reduced_shape(x: &Tensor, over: &[i64], keepdim: bool) -> Result<Shape> {
    Ok(rules::reduce(x.shape(), over, keepdim)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(x: Result<Tensor>) -> Vec<f64> {
        x.unwrap().to_scalars().iter().map(|s| s.to_f64()).collect()
    }

    #[test]
    fn reductions() {
        let a = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        let e = Tensor::zeros(&[0, 2], DType::F32).unwrap();
        for (got, want) in [
            (sum(&a, &[], false), vec![10.0]),
            (sum(&a, &[0], false), vec![4.0, 6.0]),
            (sum(&a.t().unwrap(), &[0], false), vec![3.0, 7.0]),
            (mean(&a, &[1], true), vec![1.5, 3.5]),
            (prod(&a, &[], false), vec![24.0]),
            (amax(&a, &[0, 1], false), vec![4.0]),
            (argmax(&a, Some(1), false), vec![1.0, 1.0]),
            (argmin(&a, None, false), vec![0.0]),
            (var(&a, &[], 1.0, false), vec![1.6666666269302368]),
            (std(&a, &[1], 0.0, false), vec![0.5, 0.5]),
            (norm(&a, 2.0, &[], false), vec![5.4772257804870605]),
            (norm(&a, f64::INFINITY, &[0], false), vec![3.0, 4.0]),
            (cumsum(&a, 0), vec![1.0, 2.0, 4.0, 6.0]),
            (cumsum(&a, -1), vec![1.0, 3.0, 3.0, 7.0]),
            (diff(&a, 1), vec![1.0, 1.0]),
            (sum(&e, &[0], false), vec![0.0, 0.0]),
            (prod(&e, &[0], false), vec![1.0, 1.0]),
            (amax(&e, &[1], false), vec![]),
            (logsumexp(&Tensor::full(&[2], 1000.0, DType::F64).unwrap(), &[0], false), vec![1000.0 + 2f64.ln()]),
        ] {
            assert_eq!(floats(got), want);
        }
        assert_eq!(amax(&e, &[0], false).unwrap_err().to_string(), "maximum of no elements: shape [0, 2]");
        assert!(mean(&a.to(DType::I64).unwrap(), &[], false).is_err());
    }

    #[test]
    fn ties_and_nan() {
        let x = Tensor::from_vec(vec![3.0f32, 9.0, 9.0, 1.0], &[4]).unwrap();
        assert_eq!(floats(argmax(&x, None, false)), [1.0]);
        let x = Tensor::from_vec(vec![3.0f32, f32::NAN, 9.0, f32::NAN], &[4]).unwrap();
        assert_eq!(floats(argmax(&x, None, false)), [1.0]);
        assert_eq!(floats(argmin(&x, None, false)), [1.0]);
        let b = Tensor::from_vec(vec![true, false, true], &[3]).unwrap();
        assert_eq!(sum(&b, &[], false).unwrap().item().unwrap(), Scalar::Int(2));
        assert_eq!((floats(any(&b, &[], false)), floats(all(&b, &[], false))), (vec![1.0], vec![0.0]));
    }
}
