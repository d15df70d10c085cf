//! Reductions, joining, indexing and sorting.

use smallvec::SmallVec;
use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::args::{Args, Ints, OpResult};
use super::tensor::{ok, pair_of, say};
use super::{math, scalar};
use crate::value::Value;

/// Axes to reduce; left out means all of them.
fn axes(a: &Args<'_>, index: usize) -> Result<Ints, String> {
    Ok(a.opt_ints(index)?.unwrap_or_default())
}

pub fn sum(a: &Args<'_>) -> OpResult {
    if let (Value::List(list), true) = (a.get(0), a.is_none(1)) {
        let items = list.items().clone();
        return items.iter().try_fold(Value::Int(0), |total, item| match scalar::add(&total, item) {
            Some(result) => result,
            None => Err(format!("sums {}", item.kind())),
        });
    }
    let t = cast(a, 3)?;
    ok(k::sum(&t, &axes(a, 1)?, a.bool(2)?).and_then(|s| s.to(a.dtype(3).ok().flatten().unwrap_or(s.dtype()))))
}

/// The tensor in the dtype that argument `index` asks for.
fn cast(a: &Args<'_>, index: usize) -> Result<Tensor, String> {
    let t = a.tensor(0)?;
    t.to(a.dtype(index)?.unwrap_or(t.dtype())).map_err(say)
}

pub fn mean(a: &Args<'_>) -> OpResult {
    ok(k::mean(&cast(a, 3)?, &axes(a, 1)?, a.bool(2)?))
}

pub fn prod(a: &Args<'_>) -> OpResult {
    ok(k::prod(&cast(a, 3)?, &axes(a, 1)?, a.bool(2)?))
}

/// `max(x)`, `max(x, other)` and `max(x, dim, keepdim)`, of which the last gives values and indices.
pub fn max(a: &Args<'_>) -> OpResult {
    match (a.get(0), a.get(1)) {
        (Value::Tensor(t), Value::None) => ok(k::amax(t, &[], false)),
        (Value::Tensor(_), Value::Tensor(_)) => math::maximum(a),
        (Value::Tensor(t), _) => {
            let (values, indices) = k::max_dim(t, a.int(1)?, a.bool(2)?).map_err(say)?;
            pair_of(values, indices)
        }
        _ => scalar::extreme(a, true),
    }
}

pub fn min(a: &Args<'_>) -> OpResult {
    match (a.get(0), a.get(1)) {
        (Value::Tensor(t), Value::None) => ok(k::amin(t, &[], false)),
        (Value::Tensor(_), Value::Tensor(_)) => math::minimum(a),
        (Value::Tensor(t), _) => {
            let (values, indices) = k::min_dim(t, a.int(1)?, a.bool(2)?).map_err(say)?;
            pair_of(values, indices)
        }
        _ => scalar::extreme(a, false),
    }
}

pub fn amax(a: &Args<'_>) -> OpResult {
    ok(k::amax(&*a.tensor(0)?, &axes(a, 1)?, a.bool(2)?))
}

pub fn amin(a: &Args<'_>) -> OpResult {
    ok(k::amin(&*a.tensor(0)?, &axes(a, 1)?, a.bool(2)?))
}

pub fn argmax(a: &Args<'_>) -> OpResult {
    ok(k::argmax(&*a.tensor(0)?, a.opt_int(1)?, a.bool(2)?))
}

pub fn argmin(a: &Args<'_>) -> OpResult {
    ok(k::argmin(&*a.tensor(0)?, a.opt_int(1)?, a.bool(2)?))
}

pub fn all(a: &Args<'_>) -> OpResult {
    if let Value::List(list) = a.get(0) {
        return Ok(Value::Bool(list.items().iter().all(|item| item.scalar().is_some_and(|x| x.to_bool()))));
    }
    ok(k::all(&*a.tensor(0)?, &axes(a, 1)?, a.bool(2)?))
}

pub fn any(a: &Args<'_>) -> OpResult {
    if let Value::List(list) = a.get(0) {
        return Ok(Value::Bool(list.items().iter().any(|item| item.scalar().is_some_and(|x| x.to_bool()))));
    }
    ok(k::any(&*a.tensor(0)?, &axes(a, 1)?, a.bool(2)?))
}

/// `var(x, unbiased)`, `var(x, dim, unbiased, keepdim)` and `var(x, dim, *, correction, keepdim)`.
fn spread(a: &Args<'_>, kernel: fn(&Tensor, &[i64], f64, bool) -> stark_kernels::Result<Tensor>) -> OpResult {
    let t = a.tensor(0)?;
    if let Value::Bool(unbiased) = a.get(1) {
        return ok(kernel(&t, &[], f64::from(u8::from(*unbiased)), false));
    }
    let correction = match a.opt_scalar(4)? {
        Some(correction) => correction.to_f64(),
        None => f64::from(u8::from(a.bool(2)?)),
    };
    ok(kernel(&t, &axes(a, 1)?, correction, a.bool(3)?))
}

pub fn var(a: &Args<'_>) -> OpResult {
    spread(a, k::var)
}

pub fn std(a: &Args<'_>) -> OpResult {
    spread(a, k::std)
}

/// The spread and the mean, which is over the same axes.
pub fn with_mean(a: &Args<'_>, spread: fn(&Args<'_>) -> OpResult) -> OpResult {
    let t = a.tensor(0)?;
    let (dims, keepdim) = match a.get(1) {
        Value::Bool(_) => (Ints::new(), false),
        _ => (axes(a, 1)?, a.bool(3)?),
    };
    Value::tuple(vec![spread(a)?, ok(k::mean(&t, &dims, keepdim))?])
}

pub fn norm(a: &Args<'_>) -> OpResult {
    let p = match a.get(1) {
        Value::None => 2.0,
        Value::Str(name) if &**name == "fro" => 2.0,
        _ => a.float(1)?,
    };
    ok(k::norm(&cast(a, 4)?, p, &axes(a, 2)?, a.bool(3)?))
}

pub fn frobenius_norm(a: &Args<'_>) -> OpResult {
    ok(k::norm(&*a.tensor(0)?, 2.0, &axes(a, 1)?, a.bool(2)?))
}

/// Of vectors; a norm of matrices other than the root of the sum of squares needs their singular values.
pub fn linalg_norm(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    let n_axes = a.opt_ints(2)?.map_or(t.rank(), |dims| dims.len());
    if !a.is_none(1) && n_axes != 1 {
        return Err("a norm of matrices by its order is not supported".into());
    }
    norm(a)
}

pub fn logsumexp(a: &Args<'_>) -> OpResult {
    ok(k::logsumexp(&*a.tensor(0)?, &a.ints(1)?, a.bool(2)?))
}

pub fn cumsum(a: &Args<'_>) -> OpResult {
    ok(k::cumsum(&cast(a, 2)?, a.int(1)?))
}

/// Past the greatest number, so that no power overflows.
pub fn logcumsumexp(a: &Args<'_>) -> OpResult {
    let (t, dim) = (a.tensor(0)?, a.int(1)?);
    let made = || {
        if t.rank() == 0 || t.numel() == 0 {
            return Ok(t.clone().into_owned());
        }
        // One after the other, each time with the greater of both taken out: a row may span more than `exp` can.
        let rows = t.to(DType::F64)?.transpose(dim, -1)?.contiguous()?;
        let n = rows.size(-1)?;
        let mut sums: Vec<f64> = rows.to_scalars().into_iter().map(stark_kernels::Scalar::to_f64).collect();
        for row in sums.chunks_mut(n) {
            let mut sum = f64::NEG_INFINITY;
            for x in row {
                sum = log_add(sum, *x);
                *x = sum;
            }
        }
        Tensor::from_vec(sums, rows.shape())?.transpose(dim, -1)?.to(t.dtype())
    };
    ok(made())
}

/// `ln(exp(x) + exp(y))`
pub fn log_add(x: f64, y: f64) -> f64 {
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let (low, high) = (x.min(y), x.max(y));
    if high.is_infinite() { high } else { high + (low - high).exp().ln_1p() }
}

pub fn broadcast_tensors(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    let mut shape: Vec<usize> = Vec::new();
    for t in &tensors {
        shape = stark_shapes::rules::broadcast(&shape, t.shape()).map_err(say)?.to_vec();
    }
    let out = tensors.iter().map(|t| t.expand(&shape).map(Value::Tensor).map_err(say));
    Value::list(out.collect::<Result<_, _>>()?)
}

pub fn cumprod(a: &Args<'_>) -> OpResult {
    ok(k::cumprod(&cast(a, 2)?, a.int(1)?))
}

/// Side by side: along axis 1, of rows along axis 0.
pub fn hstack(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    let tensors = tensors.iter().map(|t| if t.rank() == 0 { t.reshape_to(&[1]) } else { Ok(t.clone()) });
    let tensors = tensors.collect::<stark_kernels::Result<Vec<Tensor>>>().map_err(say)?;
    let axis = i64::from(tensors.first().is_some_and(|t| t.rank() > 1));
    ok(k::cat(&tensors.iter().collect::<Vec<_>>(), axis))
}

/// One above the other; what has fewer than two axes is a row.
pub fn vstack(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    let tensors = tensors.iter().map(|t| if t.rank() < 2 { t.reshape_to(&[1, t.numel()]) } else { Ok(t.clone()) });
    let tensors = tensors.collect::<stark_kernels::Result<Vec<Tensor>>>().map_err(say)?;
    ok(k::cat(&tensors.iter().collect::<Vec<_>>(), 0))
}

/// Vectors as columns, matrices as they are, side by side.
pub fn column_stack(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    let column = |t: &Tensor| if t.rank() < 2 { t.reshape_to(&[t.numel(), 1]) } else { Ok(t.clone()) };
    let tensors = tensors.iter().map(column).collect::<stark_kernels::Result<Vec<Tensor>>>().map_err(say)?;
    ok(k::cat(&tensors.iter().collect::<Vec<_>>(), 1))
}

/// The coordinates of a grid: of each axis a tensor of the grid's shape.
pub fn meshgrid(a: &Args<'_>) -> OpResult {
    let mut tensors = a.tensors(0)?;
    let swaps = match a.str(1)? {
        "ij" => false,
        "xy" => tensors.len() >= 2,
        other => return Err(format!("indexing `{other}` is none of ij and xy")),
    };
    if tensors.iter().any(|t| t.rank() > 1) {
        return Err("takes tensors of at most one axis".into());
    }
    if swaps {
        tensors.swap(0, 1);
    }
    let shape: Vec<usize> = tensors.iter().map(Tensor::numel).collect();
    let mut grids = Vec::with_capacity(tensors.len());
    for (axis, t) in tensors.iter().enumerate() {
        let mut along = vec![1; shape.len()];
        along[axis] = shape[axis];
        grids.push(t.reshape_to(&along).and_then(|t| t.expand(&shape)).map_err(say)?);
    }
    if swaps {
        grids.swap(0, 1);
    }
    Value::list(grids.into_iter().map(Value::Tensor).collect())
}

/// The diagonal of a matrix, or the matrix with this diagonal.
pub fn diag(a: &Args<'_>) -> OpResult {
    let (t, offset) = (a.tensor(0)?, a.int(1)?);
    match t.rank() {
        2 => ok(t.diagonal(offset, 0, 1).and_then(|d| d.copied())),
        1 => {
            let n = usize::try_from(offset.unsigned_abs()).ok().and_then(|o| o.checked_add(t.numel()));
            let n = n.ok_or_else(|| format!("a diagonal {offset} from the middle"))?;
            let mut out = Tensor::zeros(&[n, n], t.dtype()).map_err(say)?;
            ok(out.assign(|whole| whole.diagonal(offset, 0, 1), &t).map(|()| out))
        }
        rank => Err(format!("takes a vector or a matrix, not rank {rank}")),
    }
}

pub fn diff(a: &Args<'_>) -> OpResult {
    if a.count(1)? == 0 {
        return ok(a.tensor(0)?.copied());
    }
    let ends = [a.opt_tensor(3)?, Some(a.tensor(0)?), a.opt_tensor(4)?];
    let parts: Vec<&Tensor> = ends.iter().flatten().map(|part| &**part).collect();
    let mut t = if parts.len() == 1 { parts[0].clone() } else { k::cat(&parts, a.int(2)?).map_err(say)? };
    // After as many as there are nothing is left.
    for _ in 0..a.count(1)?.min(t.size(a.int(2)?).map_err(say)?) {
        t = k::diff(&t, a.int(2)?).map_err(say)?;
    }
    Ok(Value::Tensor(t))
}

pub fn cat(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    ok(k::cat(&tensors.iter().collect::<SmallVec<[_; 8]>>(), a.int(1)?))
}

pub fn stack(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    ok(k::stack(&tensors.iter().collect::<Vec<_>>(), a.int(1)?))
}

pub fn repeat(a: &Args<'_>) -> OpResult {
    ok(k::repeat(&*a.tensor(0)?, &a.sizes(1)?))
}

/// As `repeat`, but fewer numbers than axes count from the last axis.
pub fn tile(a: &Args<'_>) -> OpResult {
    let (t, times) = (a.tensor(0)?, a.sizes(1)?);
    let missing = t.rank().saturating_sub(times.len());
    let times: Vec<usize> = std::iter::repeat_n(1, missing).chain(times).collect();
    ok(k::repeat(&t, &times))
}

pub fn repeat_interleave(a: &Args<'_>) -> OpResult {
    if let Value::Tensor(times) = a.get(1)
        && times.numel() > 1
    {
        return repeat_each(a, times);
    }
    let times = a.count(1)?;
    match a.opt_int(2)? {
        Some(dim) => ok(k::repeat_interleave(&*a.tensor(0)?, times, dim)),
        None => ok(a.tensor(0)?.flatten(0, -1).and_then(|flat| k::repeat_interleave(&flat, times, 0))),
    }
}

/// Each place of an axis as often as `times` says for it.
fn repeat_each(a: &Args<'_>, times: &Tensor) -> OpResult {
    let t = a.tensor(0)?;
    let (t, dim) = match a.opt_int(2)? {
        Some(dim) => (t.into_owned(), dim),
        None => (t.flatten(0, -1).map_err(say)?, 0),
    };
    if times.dtype().is_float() || times.rank() != 1 || times.numel() != t.size(dim).map_err(say)? {
        return Err(format!("repeats of shape {:?} for an axis of {}", times.shape(), t.size(dim).map_err(say)?));
    }
    let mut counts = Vec::with_capacity(times.numel());
    for times in times.to_scalars() {
        counts.push(usize::try_from(times.to_i64()).map_err(|_| format!("{} repeats", times.to_i64()))?);
    }
    // Memory is asked for before places are listed.
    let n = counts.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
    Tensor::zeros(&[n], DType::I64).map_err(say)?;
    let places = counts.iter().enumerate().flat_map(|(i, &n)| std::iter::repeat_n(i as i64, n));
    let places = Tensor::from_vec(places.collect::<Vec<i64>>(), &[n]).map_err(say)?;
    ok(k::index_select(&t, dim, &places))
}

pub fn flip(a: &Args<'_>) -> OpResult {
    ok(k::flip(&*a.tensor(0)?, &a.ints(1)?))
}

pub fn flip_axis(a: &Args<'_>, axis: i64) -> OpResult {
    ok(k::flip(&*a.tensor(0)?, &[axis]))
}

pub fn roll(a: &Args<'_>) -> OpResult {
    ok(k::roll(&*a.tensor(0)?, &a.ints(1)?, &axes(a, 2)?))
}

pub fn tril(a: &Args<'_>) -> OpResult {
    ok(k::tril(&*a.tensor(0)?, a.int(1)?))
}

pub fn triu(a: &Args<'_>) -> OpResult {
    ok(k::triu(&*a.tensor(0)?, a.int(1)?))
}

pub fn index(a: &Args<'_>) -> OpResult {
    // `list.index(item)`.
    if let (Value::List(list), item) = (a.get(0), a.get(1)) {
        let at = list.items().iter().position(|one| one.same_key(item));
        return at.map(|at| Value::Int(at as i64)).ok_or_else(|| format!("the list has no item {item}"));
    }
    let indices = a.opt_tensors(1)?;
    ok(k::index(&*a.tensor(0)?, &indices.iter().map(Option::as_ref).collect::<Vec<_>>()))
}

pub fn index_put(a: &Args<'_>) -> OpResult {
    let indices = a.opt_tensors(1)?;
    let indices: Vec<Option<&Tensor>> = indices.iter().map(Option::as_ref).collect();
    ok(k::index_put(&*a.tensor(0)?, &indices, &*a.tensor(2)?, a.bool(3)?))
}

pub fn index_select(a: &Args<'_>) -> OpResult {
    ok(k::index_select(&*a.tensor(0)?, a.int(1)?, &*a.tensor(2)?))
}

pub fn masked_select(a: &Args<'_>) -> OpResult {
    ok(k::masked_select(&*a.tensor(0)?, &*a.tensor(1)?))
}

/// A list with a tensor of places for each axis; of a single number, which counts as a list of one, with one.
pub fn nonzero_numpy(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let places = || {
        let x = if x.rank() == 0 { x.reshape(&[1])? } else { x.clone().into_owned() };
        k::nonzero(&x)?.unbind(1)
    };
    Value::list(places().map_err(say)?.into_iter().map(Value::Tensor).collect())
}

pub fn nonzero(a: &Args<'_>) -> OpResult {
    ok(k::nonzero(&*a.tensor(0)?))
}

pub fn gather(a: &Args<'_>) -> OpResult {
    ok(k::gather(&*a.tensor(0)?, a.int(1)?, &*a.tensor(2)?))
}

pub fn scatter(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    // A plain number goes everywhere.
    let source = a.tensor(3)?.to(t.dtype()).map_err(say)?;
    match a.get(4) {
        Value::None => ok(k::scatter(&t, a.int(1)?, &*a.tensor(2)?, &source)),
        Value::Str(how) if &**how == "add" => ok(k::scatter_add(&t, a.int(1)?, &*a.tensor(2)?, &source)),
        Value::Str(how) if &**how == "multiply" => {
            super::index::reduced(&t, a.int(1)?, &*a.tensor(2)?, &source, "prod", true)
        }
        how => Err(format!("reduce `{how}` is not supported")),
    }
}

pub fn scatter_add(a: &Args<'_>) -> OpResult {
    ok(k::scatter_add(&*a.tensor(0)?, a.int(1)?, &*a.tensor(2)?, &*a.tensor(3)?))
}

/// One class more than the greatest id, unless the number of classes is given.
pub fn one_hot(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    let classes = match a.int(1)? {
        n if n >= 0 => n as usize,
        _ => {
            let greatest = k::amax(&t, &[], false).and_then(|m| m.item()).map_err(say)?.to_i64();
            usize::try_from(greatest.saturating_add(1)).unwrap_or(0)
        }
    };
    ok(k::one_hot(&t, classes))
}

pub fn sort(a: &Args<'_>) -> OpResult {
    let (values, indices) = k::sort(&*a.tensor(0)?, a.int(1)?, a.bool(2)?).map_err(say)?;
    pair_of(values, indices)
}

pub fn argsort(a: &Args<'_>) -> OpResult {
    ok(k::argsort(&*a.tensor(0)?, a.int(1)?, a.bool(2)?))
}

pub fn topk(a: &Args<'_>) -> OpResult {
    let (values, indices) = k::topk(&*a.tensor(0)?, a.count(1)?, a.int(2)?, a.bool(3)?).map_err(say)?;
    pair_of(values, indices)
}

/// A quarter turn, `times` over, from the first of two axes to the second.
pub fn rot90(a: &Args<'_>) -> OpResult {
    let (t, times, dims) = (a.tensor(0)?, a.int(1)?, a.opt_ints(2)?.unwrap_or(Ints::from_slice(&[0, 1])));
    let [from, to] = dims[..] else { return Err(format!("turns in {} axes", dims.len())) };
    let at = |dim: i64| stark_shapes::rules::axis(dim, t.rank()).map_err(say);
    if at(from)? == at(to)? {
        return Err(format!("turns axis {from} to itself"));
    }
    ok(match times.rem_euclid(4) {
        0 => Ok(t.into_owned()),
        1 => k::flip(&t, &[to]).and_then(|t| t.transpose(from, to)),
        2 => k::flip(&t, &[from, to]),
        _ => t.transpose(from, to).and_then(|t| k::flip(&t, &[to])),
    })
}
