//! Shapes, views, and picking elements. Axes and sizes come as tensors or as attributes.

use std::borrow::Cow;

use smallvec::SmallVec;
use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};
use stark_shapes::rules;

use crate::ops::tensor::{ok, pair_of, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// How many elements; a number that overflows stays too large for any tensor.
pub fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |n, &d| n.saturating_mul(d))
}

/// An axis from the end when negative.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    rules::axis(axis, rank).map_err(say)
}

pub fn shape(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let rank = x.rank() as i64;
    let clip = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (clip(a.int(1)?), a.opt_int(2)?.map_or(rank as usize, clip));
    let sizes: Vec<i64> = x.shape()[start..end.max(start)].iter().map(|&n| n as i64).collect();
    ok(Tensor::from_slice(&sizes, &[sizes.len()]))
}

pub fn size(a: &Args<'_>) -> OpResult {
    Ok(Value::Tensor(Tensor::scalar(a.tensor(0)?.numel() as i64)))
}

pub fn reshape(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let mut sizes = a.ints(1)?;
    if !a.bool(2)? {
        // 0 keeps the size that was there.
        for (at, size) in sizes.iter_mut().enumerate().filter(|(_, size)| **size == 0) {
            *size = *x.shape().get(at).ok_or_else(|| format!("size {at} is 0, but the input has rank {}", x.rank()))?
                as i64;
        }
    }
    // Beside an axis without elements that stays, -1 is what makes the others fit.
    let mut rest = (0..sizes.len()).filter(|&at| sizes[at] == -1);
    let is_empty = sizes.contains(&0) && x.shape().contains(&0);
    if let (Some(at), None, true) = (rest.next(), rest.next(), is_empty) {
        let before: usize = x.shape().iter().filter(|&&n| n > 0).product();
        let after = sizes.iter().filter(|&&n| n > 0).try_fold(1usize, |all, &n| all.checked_mul(n as usize));
        if let Some(after) = after.filter(|&after| before.is_multiple_of(after)) {
            sizes[at] = (before / after) as i64;
        }
    }
    ok(x.reshape(&sizes))
}

/// To two dimensions: those before `axis` and those from it on.
pub fn flatten(a: &Args<'_>) -> OpResult {
    Ok(Value::Tensor(flat(&*a.tensor(0)?, a.int(1)?)?))
}

/// As [`flatten`].
pub fn flat(x: &Tensor, at: i64) -> Result<Tensor, String> {
    // One past the last axis is allowed here.
    let at = match usize::try_from(at) {
        Ok(at) if at == x.rank() => at,
        _ => axis(at, x.rank())?,
    };
    let (rows, columns) = x.shape().split_at(at);
    x.reshape_to(&[product(rows), product(columns)]).map_err(say)
}

pub fn transpose(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    match a.opt_ints(1)? {
        Some(order) => ok(x.permute(&order)),
        None => ok(x.permute(&(0..x.rank() as i64).rev().collect::<Vec<_>>())),
    }
}

pub fn squeeze(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let Some(axes) = a.opt_ints(1)? else { return ok(x.squeeze(&[])) };
    for &at in &axes {
        let n = x.size(at).map_err(say)?;
        if n != 1 {
            return Err(format!("axis {at} has size {n}, not 1"));
        }
    }
    if axes.is_empty() { Ok(Value::Tensor(x.into_owned())) } else { ok(x.squeeze(&axes)) }
}

pub fn unsqueeze(a: &Args<'_>) -> OpResult {
    let (x, axes) = (a.tensor(0)?, a.ints(1)?);
    let rank = x.rank() + axes.len();
    if let [at] = axes[..] {
        return ok(x.unsqueeze(axis(at, rank)? as i64));
    }
    let mut axes = axes.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if let Some(pair) = axes.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("axis {} is named twice", pair[0]));
    }
    ok(axes.iter().try_fold(x.into_owned(), |x, &at| x.unsqueeze(at as i64)))
}

/// Both shapes broadcast to the result.
pub fn expand(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let shape = rules::broadcast(x.shape(), &a.sizes(1)?).map_err(say)?;
    ok(x.expand(&shape))
}

pub fn tile(a: &Args<'_>) -> OpResult {
    let (x, repeats) = (a.tensor(0)?, a.sizes(1)?);
    if repeats.len() != x.rank() {
        return Err(format!("{} repeats for rank {}", repeats.len(), x.rank()));
    }
    ok(k::repeat(&x, &repeats))
}

/// Parts of one element type.
pub fn concat(a: &Args<'_>) -> OpResult {
    let parts = a.tensors(0)?;
    if let Some(other) = parts.iter().find(|part| part.dtype() != parts[0].dtype()) {
        return Err(format!("parts of {} and {}: all must be of one element type", parts[0].dtype(), other.dtype()));
    }
    ok(k::cat(&parts.iter().collect::<SmallVec<[_; 8]>>(), a.int(1)?))
}

pub fn slice(a: &Args<'_>) -> OpResult {
    let mut x = a.tensor(0)?.into_owned();
    let (starts, ends) = (a.ints(1)?, a.ints(2)?);
    let axes = match a.opt_ints(3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match a.opt_ints(4)? {
        Some(steps) => steps,
        None => axes.iter().map(|_| 1).collect(),
    };
    if starts.len() != ends.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        let lengths = [starts.len(), ends.len(), axes.len(), steps.len()];
        return Err(format!("starts, ends, axes and steps have {lengths:?} numbers"));
    }
    if axes.len() > 1 {
        // Each at most once.
        rules::axes(&axes, x.rank()).map_err(say)?;
    }
    for (((&start, &end), &at), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        x = match step {
            1.. => x.slice(at, start, end, step).map_err(say)?,
            0 => return Err("a step of 0".into()),
            _ => backwards(&x, at, start, end, step)?,
        };
    }
    Ok(Value::Tensor(x))
}

/// From `start` down to above `end`.
fn backwards(x: &Tensor, at: i64, start: i64, end: i64, step: i64) -> Result<Tensor, String> {
    let n = x.size(at).map_err(say)? as i64;
    let wrap = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (first, last) = (wrap(start).clamp(-1, n - 1), wrap(end).clamp(-1, n - 1));
    let range = x.slice(at, last + 1, (first + 1).max(last + 1), 1).map_err(say)?;
    let step = step.checked_neg().unwrap_or(i64::MAX);
    k::flip(&range, &[at]).and_then(|range| range.slice(at, 0, i64::MAX, step)).map_err(say)
}

pub fn split(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let at = a.int(2)?;
    let n = x.size(at).map_err(say)?;
    let n_outputs = a.count(4)?;
    if let Some(told) = a.opt_int(3)? {
        if !a.is_none(1) {
            return Err("takes `split` or `num_outputs`, not both".into());
        }
        if told != n_outputs as i64 {
            return Err(format!("num_outputs is {told}, but the node has {n_outputs} outputs"));
        }
    }
    let sizes: Vec<usize> = match a.is_none(1) {
        false => a.sizes(1)?.into_vec(),
        true => {
            if a.is_none(3) && n % n_outputs.max(1) != 0 {
                return Err(format!("axis {at} of size {n} does not split into {n_outputs} equal parts"));
            }
            let each = n.div_ceil(n_outputs.max(1));
            (0..n_outputs).map(|i| each.min(n - (i * each).min(n))).collect()
        }
    };
    let parts = x.split_sizes(&sizes, at).map_err(say)?;
    Value::list(parts.into_iter().map(Value::Tensor).collect())
}

pub fn pad(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let pads = a.ints(1)?;
    let axes: Vec<usize> = match a.opt_ints(3)? {
        Some(axes) => axes.iter().map(|&at| axis(at, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pad widths for {} axes", pads.len(), axes.len()));
    }
    // All the starts, then all the ends; the kernel wants pairs from the last axis on.
    let mut pairs = vec![0; 2 * x.rank()];
    for (i, &at) in axes.iter().enumerate() {
        let pair = 2 * (x.rank() - 1 - at);
        (pairs[pair], pairs[pair + 1]) = (pads[i], pads[i + axes.len()]);
    }
    let mode = match a.str(4)? {
        "constant" => k::PadMode::Constant(a.opt_scalar(2)?.unwrap_or(Scalar::Int(0))),
        "reflect" => k::PadMode::Reflect,
        "edge" => k::PadMode::Replicate,
        "wrap" => return ok(wrapped_around(&x, &pairs)),
        mode => return Err(format!("mode `{mode}` is not known")),
    };
    ok(k::pad(&x, &pairs, mode))
}

/// Sides below zero are cut off first, and what is left goes round, as often as it takes.
fn wrapped_around(x: &Tensor, pairs: &[i64]) -> stark_kernels::Result<Tensor> {
    let mut x = x.clone();
    for (i, pair) in pairs.chunks_exact(2).enumerate().filter(|(_, pair)| **pair != [0, 0]) {
        let (at, n) = (-1 - i as i64, x.size(-1 - i as i64)? as i64);
        let [before, after] = [pair[0], pair[1]].map(|side| side.max(0));
        let left = pair.iter().fold(n, |left, side| left.saturating_add((*side).min(0)));
        if left < 0 || (left == 0 && before.max(after) > 0) {
            let reason = format!("padding {pair:?} leaves nothing of an axis of {n} to go round");
            return Err(stark_kernels::TensorError::Argument(reason));
        }
        let first = pair[0].min(0).saturating_neg();
        x = x.slice(at, first, first + left, 1)?;
        if before.max(after) > 0 {
            let places = k::arange(-before, left.saturating_add(after), 1i64, DType::I64)?;
            x = k::index_select(&x, at, &k::remainder(&places, left)?)?;
        }
    }
    Ok(x)
}

fn four(x: &Tensor) -> Result<[usize; 4], String> {
    <[usize; 4]>::try_from(x.shape()).map_err(|_| format!("takes 4 dimensions, not shape {:?}", x.shape()))
}

pub fn depth_to_space(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let ([n, c, h, w], b) = (four(&x)?, a.count(1)?);
    let square = b.checked_mul(b).filter(|&s| s > 0 && c % s == 0);
    let square = square.ok_or_else(|| format!("blocks of {b} do not divide {c} channels"))?;
    let moved = match a.str(2)? {
        "DCR" => x.reshape_to(&[n, b, b, c / square, h, w]).and_then(|x| x.permute(&[0, 3, 4, 1, 5, 2])),
        "CRD" => x.reshape_to(&[n, c / square, b, b, h, w]).and_then(|x| x.permute(&[0, 1, 4, 2, 5, 3])),
        mode => return Err(format!("mode `{mode}` is none of DCR and CRD")),
    };
    ok(moved.and_then(|x| x.reshape_to(&[n, c / square, h * b, w * b])))
}

pub fn space_to_depth(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let ([n, c, h, w], b) = (four(&x)?, a.count(1)?);
    if b == 0 || h % b != 0 || w % b != 0 {
        return Err(format!("blocks of {b} do not divide {h} x {w}"));
    }
    let order = match a.str(2)? {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        mode => return Err(format!("mode `{mode}` is none of DCR and CRD")),
    };
    let split = x.reshape_to(&[n, c, h / b, b, w / b, b]);
    ok(split.and_then(|x| x.permute(&order)).and_then(|x| x.reshape_to(&[n, c * b * b, h / b, w / b])))
}

pub fn reverse_sequence(a: &Args<'_>) -> OpResult {
    let (x, lengths) = (a.tensor(0)?, a.ints(1)?);
    let (batch, time) = (axis(a.int(2)?, x.rank())?, axis(a.int(3)?, x.rank())?);
    let (n, longest) = (x.shape()[batch], x.shape()[time] as i64);
    if n != lengths.len() || batch == time || lengths.iter().any(|n| !(0..=longest).contains(n)) {
        return Err(format!("{} lengths for {n} sequences of {longest} steps", lengths.len()));
    }
    let items = x.unbind(batch as i64).map_err(say)?;
    // An item has lost the batch axis.
    let time = (time - usize::from(time > batch)) as i64;
    let turn = |(x, &n): (&Tensor, &i64)| {
        let head = k::flip(&x.slice(time, 0, n, 1)?, &[time])?;
        k::cat(&[&head, &x.slice(time, n, i64::MAX, 1)?], time)
    };
    let turned = items.iter().zip(&lengths).map(turn).collect::<Result<Vec<_>, _>>().map_err(say)?;
    ok(k::stack(&turned.iter().collect::<Vec<_>>(), batch as i64))
}

pub fn trilu(a: &Args<'_>) -> OpResult {
    let (x, diagonal) = (a.tensor(0)?, a.int(1)?);
    ok(if a.bool(2)? { k::triu(&x, diagonal) } else { k::tril(&x, diagonal) })
}

pub fn cast(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(x.to(a.dtype(1)?.unwrap_or(x.dtype())))
}

pub fn cast_like(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.to(a.tensor(1)?.dtype()))
}

// ---- making ---------------------------------------------------------------------------------------

pub fn constant_of_shape(a: &Args<'_>) -> OpResult {
    let sizes = a.sizes(0)?;
    match a.opt_tensor(1)? {
        Some(value) => ok(value.item().and_then(|x| Tensor::full(&sizes, x, value.dtype()))),
        None => ok(Tensor::zeros(&sizes, DType::F32)),
    }
}

pub fn range(a: &Args<'_>) -> OpResult {
    let dtype = a.tensor(0)?.dtype();
    let (start, limit, step) = (a.scalar(0)?, a.scalar(1)?, a.scalar(2)?);
    // Counting away from the limit gives nothing.
    let (from, to, by) = (start.to_f64(), limit.to_f64(), step.to_f64());
    if (by > 0.0 && from >= to) || (by < 0.0 && from <= to) {
        return ok(Tensor::zeros(&[0], dtype));
    }
    ok(k::arange(start, limit, step, dtype))
}

pub fn eye_like(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let &[rows, columns] = x.shape() else { return Err(format!("takes 2 dimensions, not shape {:?}", x.shape())) };
    let (dtype, diagonal) = (a.dtype(1)?.unwrap_or(x.dtype()), a.int(2)?);
    let ones = Tensor::ones(&[rows, columns], dtype).and_then(|ones| k::triu(&ones, diagonal));
    ok(ones.and_then(|ones| k::tril(&ones, diagonal)))
}

pub fn one_hot(a: &Args<'_>) -> OpResult {
    let (indices, values) = (a.tensor(0)?, a.tensor(2)?);
    let depth = a.scalar(1)?.to_i64();
    if depth < 0 || values.shape() != [2] {
        return Err(format!("depth {depth}, values of shape {:?}", values.shape()));
    }
    let at = axis(a.int(3)?, indices.rank() + 1)?;
    let made = || {
        let indices = indices.to(DType::I64)?;
        let wrapped = k::where_(&k::lt(&indices, 0i64)?, &k::add(&indices, depth)?, &indices)?;
        let mut row = vec![1; indices.rank() + 1];
        row[at] = depth as usize;
        let classes = k::arange(0i64, depth, 1i64, DType::I64)?.reshape_to(&row)?;
        let hit = k::eq(&wrapped.unsqueeze(at as i64)?, &classes)?;
        k::where_(&hit, &values.select(0, 1)?, &values.select(0, 0)?)
    };
    ok(made())
}

/// `a - b cos(x) + c cos(2x)`, over one period.
pub fn cosine_window(a: &Args<'_>, first: f64, second: f64, third: f64) -> OpResult {
    let n = a.count(0)?;
    let period = if a.bool(1)? { n as f64 } else { n as f64 - 1.0 };
    let dtype = a.dtype(2)?.unwrap_or(DType::F32);
    let steps = k::arange(0i64, n as i64, 1i64, DType::F64).map_err(say)?;
    ok(k::map_scalar(&steps, DType::F64, move |i| {
        let x = 2.0 * std::f64::consts::PI * i.to_f64() / period;
        Scalar::Float(first - second * x.cos() + third * (2.0 * x).cos())
    })
    .and_then(|window| window.to(dtype)))
}

// ---- picking --------------------------------------------------------------------------------------

/// Indices along an axis of size `n`, where negative ones count from the end.
fn wrapped(index: &Tensor, n: usize) -> Result<Cow<'_, Tensor>, String> {
    let numbers = index.to(DType::I64).and_then(|index| index.to_vec::<i64>()).map_err(say)?;
    if numbers.iter().all(|&i| i >= 0) {
        return Ok(Cow::Borrowed(index));
    }
    let numbers = numbers.into_iter().map(|i| if i < 0 { i.saturating_add(n as i64) } else { i }).collect::<Vec<i64>>();
    Tensor::from_vec(numbers, index.shape()).map(Cow::Owned).map_err(say)
}

pub fn gather(a: &Args<'_>) -> OpResult {
    let (x, index) = (a.tensor(0)?, a.tensor(1)?);
    let at = axis(a.int(2)?, x.rank())?;
    let n = x.shape().get(at).copied().ok_or("takes at least one dimension")?;
    // One place, which is what sizes are read with: no copy, and negative ones count from the end there, too.
    if index.rank() == 0 {
        let place = index.item().map_err(say)?.to_i64();
        return ok(x.select(at as i64, place));
    }
    let index = wrapped(&index, n)?;
    if at == 0 && x.rank() == 2 {
        return ok(k::embedding(&x, &index));
    }
    let shape: Vec<usize> = [&x.shape()[..at], index.shape(), &x.shape()[at + 1..]].concat();
    let picked = index.reshape(&[-1]).and_then(|flat| k::index_select(&x, at as i64, &flat));
    ok(picked.and_then(|rows| rows.reshape_to(&shape)))
}

pub fn gather_elements(a: &Args<'_>) -> OpResult {
    let (x, index) = (a.tensor(0)?, a.tensor(1)?);
    let at = a.int(2)?;
    let n = x.size(at).map_err(say)?;
    ok(k::gather(&x, at, &*wrapped(&index, n)?))
}

/// Where each row of `index` points to when the first `k` axes of `shape` are one.
fn places(index: &Tensor, shape: &[usize]) -> Result<Vec<i64>, String> {
    let width = index.shape().last().copied().unwrap_or(0);
    let numbers = index.to(DType::I64).and_then(|index| index.to_vec::<i64>()).map_err(say)?;
    if width == 0 {
        // Rows without numbers take no memory there, but would here.
        let n_rows = product(&index.shape()[..index.rank().saturating_sub(1)]);
        return Tensor::zeros(&[n_rows], DType::I64).and_then(|zeros| zeros.to_vec::<i64>()).map_err(say);
    }
    numbers
        .chunks_exact(width)
        .map(|row| {
            row.iter().zip(shape).try_fold(0i64, |place, (&i, &n)| {
                let n = n as i64;
                let i = if i < 0 { i.saturating_add(n) } else { i };
                if i < 0 || i >= n {
                    return Err(format!("index {i} is out of range for an axis of size {n}"));
                }
                place.checked_mul(n).and_then(|p| p.checked_add(i)).ok_or_else(|| "the index overflows".to_string())
            })
        })
        .collect()
}

pub fn gather_nd(a: &Args<'_>) -> OpResult {
    let (x, index) = (a.tensor(0)?, a.tensor(1)?);
    let batch = a.count(2)?;
    let width = index.shape().last().copied().ok_or("indices need at least one dimension")?;
    if index.rank() <= batch || batch + width > x.rank() || index.shape()[..batch] != x.shape()[..batch] {
        return Err(format!("indices of shape {:?} do not fit data of shape {:?}", index.shape(), x.shape()));
    }
    let picked = &x.shape()[batch..batch + width];
    let (n_batches, n_places) = (product(&x.shape()[..batch]), product(picked));
    let mut flat = places(&index, picked)?;
    let each = flat.len() / n_batches.max(1);
    for (i, place) in flat.iter_mut().enumerate() {
        *place += (i / each.max(1) * n_places) as i64;
    }
    let rest = &x.shape()[batch + width..];
    let shape: Vec<usize> = [&index.shape()[..index.rank() - 1], rest].concat();
    let n_rows = flat.len();
    let rows = x.reshape_to(&[&[n_batches.saturating_mul(n_places)], rest].concat());
    let picked = rows.and_then(|rows| k::index_select(&rows, 0, &Tensor::from_vec(flat, &[n_rows])?));
    ok(picked.and_then(|picked| picked.reshape_to(&shape)))
}

/// How an update meets what is there.
type Combine = fn(Scalar, Scalar) -> Scalar;

fn both(x: Scalar, y: Scalar, ints: fn(i64, i64) -> i64, floats: fn(f64, f64) -> f64) -> Scalar {
    match (x, y) {
        (Scalar::Float(x), y) => Scalar::Float(floats(x, y.to_f64())),
        (x, y) => Scalar::Int(ints(x.to_i64(), y.to_i64())),
    }
}

fn reduction(a: &Args<'_>, index: usize) -> Result<Option<Combine>, String> {
    Ok(match a.str(index)? {
        "none" => None,
        "add" => Some(|x, y| both(x, y, i64::wrapping_add, |x, y| x + y)),
        "mul" => Some(|x, y| both(x, y, i64::wrapping_mul, |x, y| x * y)),
        "max" => Some(|x, y| both(x, y, i64::max, f64::max)),
        "min" => Some(|x, y| both(x, y, i64::min, f64::min)),
        other => return Err(format!("reduction `{other}` is not known")),
    })
}

/// Numbers of one kind as a tensor.
pub fn from_scalars(numbers: &[Scalar], dtype: DType, shape: &[usize]) -> stark_kernels::Result<Tensor> {
    match dtype.is_float() {
        true => Tensor::from_vec(numbers.iter().map(|x| x.to_f64()).collect::<Vec<f64>>(), shape)?.to(dtype),
        false => Tensor::from_vec(numbers.iter().map(|x| x.to_i64()).collect::<Vec<i64>>(), shape)?.to(dtype),
    }
}

pub fn scatter_elements(a: &Args<'_>) -> OpResult {
    let (x, index, updates) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let at = a.int(3)?;
    let index = wrapped(&index, x.size(at).map_err(say)?)?;
    match reduction(a, 4)? {
        Some(combine) => ok(scatter_by(&x, at, &index, &updates, combine)),
        None => ok(k::scatter(&x, at, &index, &updates)),
    }
}

/// PyTorch's `scatter_reduce` with `prod`, `amax` or `amin`.
pub fn scatter_with(x: &Tensor, at: i64, index: &Tensor, updates: &Tensor, how: &str) -> stark_kernels::Result<Tensor> {
    let combine: Combine = match how {
        "prod" => |x, y| both(x, y, i64::wrapping_mul, |x, y| x * y),
        // A NaN wins, as in PyTorch's other reductions.
        "amax" => |x, y| both(x, y, i64::max, |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.max(y) }),
        _ => |x, y| both(x, y, i64::min, |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { x.min(y) }),
    };
    scatter_by(x, at, index, updates, combine)
}

fn scatter_by(
    x: &Tensor,
    at: i64,
    index: &Tensor,
    updates: &Tensor,
    combine: Combine,
) -> stark_kernels::Result<Tensor> {
    // Checks shapes and indices the same way, whatever the reduction.
    k::scatter(x, at, index, updates)?;
    let at = stark_shapes::rules::axis(at, x.rank())?;
    let mut out = x.to_scalars();
    let shape = index.shape();
    let updates = shape.iter().enumerate().try_fold(updates.clone(), |u, (i, &n)| u.slice(i as i64, 0, n as i64, 1))?;
    let mut place = vec![0usize; shape.len()];
    for (number, to) in updates.to_scalars().into_iter().zip(index.to_scalars()) {
        let flat = place.iter().enumerate().fold(0, |flat, (i, &p)| {
            let p = if i == at { to.to_i64() as usize } else { p };
            flat * x.shape()[i] + p
        });
        out[flat] = combine(out[flat], number);
        for i in (0..shape.len()).rev() {
            place[i] += 1;
            if place[i] < shape[i] {
                break;
            }
            place[i] = 0;
        }
    }
    from_scalars(&out, x.dtype(), x.shape())
}

pub fn scatter_nd(a: &Args<'_>) -> OpResult {
    let (x, index, updates) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let width = index.shape().last().copied().ok_or("indices need at least one dimension")?;
    let rest = x.shape().get(width..).ok_or_else(|| format!("{width} indices for rank {}", x.rank()))?;
    let wanted: Vec<usize> = [&index.shape()[..index.rank() - 1], rest].concat();
    if updates.shape() != wanted {
        return Err(format!("updates of shape {:?}, {wanted:?} is needed", updates.shape()));
    }
    let flat = places(&index, &x.shape()[..width])?;
    let (n_rows, row) = (product(&x.shape()[..width]), product(rest));
    let Some(combine) = reduction(a, 3)? else {
        let put = || {
            let rows = x.reshape_to(&[n_rows, row])?;
            let n = flat.len();
            let (index, updates) = (Tensor::from_vec(flat, &[n])?, updates.reshape_to(&[n, row])?);
            k::index_put(&rows, &[Some(&index)], &updates.to(x.dtype())?, false)?.reshape_to(x.shape())
        };
        return ok(put());
    };
    let mut out = x.to_scalars();
    for (numbers, &to) in updates.to_scalars().chunks(row.max(1)).zip(&flat) {
        let to = to as usize * row;
        out[to..to + row].iter_mut().zip(numbers).for_each(|(slot, &number)| *slot = combine(*slot, number));
    }
    ok(from_scalars(&out, x.dtype(), x.shape()))
}

/// One row per axis.
pub fn non_zero(a: &Args<'_>) -> OpResult {
    ok(k::nonzero(&*a.tensor(0)?).and_then(|places| places.t()).and_then(|rows| rows.contiguous()))
}

pub fn compress(a: &Args<'_>) -> OpResult {
    let (x, condition) = (a.tensor(0)?, a.tensor(1)?);
    let condition = condition.to_scalars();
    let kept: Vec<i64> =
        condition.iter().enumerate().filter(|(_, keep)| keep.to_bool()).map(|(i, _)| i as i64).collect();
    let n = kept.len();
    let kept = Tensor::from_vec(kept, &[n]).map_err(say)?;
    match a.opt_int(2)? {
        Some(at) => ok(k::index_select(&x, at, &kept)),
        None => ok(x.reshape(&[-1]).and_then(|flat| k::index_select(&flat, 0, &kept))),
    }
}

pub fn top_k(a: &Args<'_>) -> OpResult {
    let (values, indices) = k::topk(&*a.tensor(0)?, a.count(1)?, a.int(2)?, a.bool(3)?).map_err(say)?;
    pair_of(values, indices)
}

pub fn arg_extreme(a: &Args<'_>, greatest: bool) -> OpResult {
    let x = a.tensor(0)?;
    let (at, keepdim) = (a.int(1)?, a.bool(2)?);
    let find = |x: &Tensor| match greatest {
        true => k::argmax(x, Some(at), keepdim),
        false => k::argmin(x, Some(at), keepdim),
    };
    if !a.bool(3)? {
        return ok(find(&x));
    }
    // The last of equals is the first from the other end.
    let n = x.size(at).map_err(say)? as i64;
    ok(k::flip(&x, &[at]).and_then(|turned| find(&turned)).and_then(|index| k::sub(n - 1, &index)))
}

pub fn running(a: &Args<'_>, product: bool) -> OpResult {
    let x = a.tensor(0)?;
    let (at, exclusive, reverse) = (a.int(1)?, a.bool(2)?, a.bool(3)?);
    let made = || {
        let start = if reverse { k::flip(&x, &[at])? } else { x.clone().into_owned() };
        let mut out = if product { k::cumprod(&start, at)? } else { k::cumsum(&start, at)? };
        if exclusive {
            let neutral = Tensor::full(out.slice(at, 0, 1, 1)?.shape(), i64::from(product), out.dtype())?;
            out = k::cat(&[&neutral, &out.slice(at, 0, -1, 1)?], at)?;
        }
        let out = if reverse { k::flip(&out, &[at])? } else { out };
        out.to(x.dtype())
    };
    ok(made())
}
