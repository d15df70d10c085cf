//! Reading and writing by index along one axis, and orders along it.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};

use super::args::{Args, OpResult};
use super::extra::shortened;
use super::math::operand;
use super::tensor::{ok, pair_of, say};
use crate::value::Value;

/// `index`, one number for each place of `dim`, in the shape of the `src` whose rows it places.
fn spread(index: &Tensor, dim: i64, src: &Tensor) -> Tried<Tensor> {
    if src.rank() == 0 {
        return index.reshape_to(&[]);
    }
    let at = stark_shapes::rules::axis(dim, src.rank())?;
    let mut shape = vec![1; src.rank()];
    shape[at] = index.numel();
    index.reshape_to(&shape)?.expand(src.shape())
}

/// Places from the end are counted from the start.
fn from_start(index: &Tensor, size: usize) -> Tried<Tensor> {
    let behind = k::add(index, size as i64)?;
    k::where_(&k::lt(index, 0i64)?, &behind, index)
}

pub fn index_add(a: &Args<'_>) -> OpResult {
    let (t, dim, index, src) = (a.tensor(0)?, a.int(1)?, a.tensor(2)?, a.tensor(3)?);
    let made = || {
        let src = match a.scalar(4) {
            Ok(alpha) if alpha.to_f64() != 1.0 => k::mul(&*src, alpha)?.to(t.dtype())?,
            _ => src.to(t.dtype())?,
        };
        k::scatter_add(&t, dim, &spread(&index, dim, &src)?, &src)
    };
    ok(made())
}

pub fn index_copy(a: &Args<'_>) -> OpResult {
    let (t, dim, index, src) = (a.tensor(0)?, a.int(1)?, a.tensor(2)?, a.tensor(3)?);
    let made = || k::scatter(&t, dim, &spread(&index, dim, &src)?, &src.to(t.dtype())?);
    ok(made())
}

/// `(self, indices, max_norm, norm_type)`: the rows of a table that are named are shortened to a norm.
pub fn embedding_renorm(a: &Args<'_>) -> OpResult {
    let (table, index, most, p) = (a.tensor(0)?, a.tensor(1)?, a.float(2)?, a.float(3)?);
    if table.rank() != 2 {
        return Err(format!("takes a table of rows, not shape {:?}", table.shape()));
    }
    let made = || {
        let index = index.to(DType::I64)?.reshape_to(&[index.numel()])?;
        // A row that is named twice is made twice, from what it was.
        let rows = shortened(&k::index_select(&table, 0, &index)?, p, 0, most)?;
        k::scatter(&table, 0, &spread(&index, 0, &rows)?, &rows)
    };
    ok(made())
}

/// One value at all places of the index.
pub fn index_fill(a: &Args<'_>) -> OpResult {
    let (t, dim, index, value) = (a.tensor(0)?, a.int(1)?, a.tensor(2)?, a.tensor(3)?);
    let made = || {
        let at = stark_shapes::rules::axis(dim, t.rank())?;
        let mut shape = t.shape().to_vec();
        if let Some(n) = shape.get_mut(at) {
            *n = index.numel();
        }
        let src = value.to(t.dtype())?.reshape_to(&[])?.expand(&shape)?;
        let index = from_start(&index, t.shape().get(at).copied().unwrap_or(1))?;
        k::scatter(&t, dim, &spread(&index, dim, &src)?, &src)
    };
    ok(made())
}

/// The least and the greatest number of a type of whole numbers.
fn whole_range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::U8 => (u8::MIN.into(), u8::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::Bool => (0, 1),
        _ => (i64::MIN, i64::MAX),
    }
}

/// `scatter_reduce`: what the index sends to one place is put together.
pub fn scatter_reduce(a: &Args<'_>) -> OpResult {
    reduced(&*a.tensor(0)?, a.int(1)?, &*a.tensor(2)?, &*a.tensor(3)?, a.str(4)?, a.bool(5)?)
}

/// As [`scatter_reduce`], with one index for each part along the axis.
pub fn index_reduce(a: &Args<'_>) -> OpResult {
    let (src, dim) = (a.tensor(3)?, a.int(1)?);
    let index = spread(&*a.tensor(2)?, dim, &src).map_err(say)?;
    reduced(&*a.tensor(0)?, dim, &index, &src, a.str(4)?, a.bool(5)?)
}

pub fn reduced(t: &Tensor, dim: i64, index: &Tensor, src: &Tensor, how: &str, includes_self: bool) -> OpResult {
    let neutral = match how {
        "sum" | "mean" => 0.0,
        "prod" => 1.0,
        "amax" => f64::NEG_INFINITY,
        "amin" => f64::INFINITY,
        other => return Err(format!("reduce `{other}` is not known")),
    };
    let made = || {
        let src = src.to(t.dtype())?;
        let onto = match includes_self {
            true => t.clone(),
            // Places that are written begin with what changes nothing.
            false => {
                let neutral = match (t.dtype().is_float(), whole_range(t.dtype())) {
                    (true, _) => Scalar::Float(neutral),
                    (_, (least, _)) if neutral == f64::NEG_INFINITY => Scalar::Int(least),
                    (_, (_, greatest)) if neutral == f64::INFINITY => Scalar::Int(greatest),
                    _ => Scalar::Int(neutral as i64),
                };
                let blank = Tensor::full(&[], neutral, t.dtype())?.expand(index.shape())?;
                k::scatter(t, dim, index, &blank)?
            }
        };
        match how {
            "sum" => k::scatter_add(&onto, dim, index, &src),
            "mean" => {
                let sum = k::scatter_add(&onto, dim, index, &src)?;
                let ones = Tensor::ones(index.shape(), DType::I64)?;
                let first = Tensor::full(t.shape(), i64::from(includes_self), DType::I64)?;
                let counts = k::scatter_add(&first, dim, index, &ones)?;
                let counts = k::clamp(&counts, Some(Scalar::Int(1).into()), None)?;
                let mean = if t.dtype().is_float() { k::div(&sum, &counts)? } else { k::floor_divide(&sum, &counts)? };
                mean.to(t.dtype())
            }
            _ => crate::onnx::scatter_with(&onto, dim, index, &src, how),
        }
    };
    ok(made())
}

/// `gather` with as many axes as needed stretched; without an axis of all elements in a row.
pub fn take_along_dim(a: &Args<'_>) -> OpResult {
    let (t, index) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let Some(dim) = a.opt_int(2).map_err(TensorError::Argument)? else {
            let flat = index.reshape_to(&[index.numel()])?;
            return k::gather(&t.reshape_to(&[t.numel()])?, 0, &from_start(&flat, t.numel())?);
        };
        let at = stark_shapes::rules::axis(dim, t.rank())?;
        if t.rank() != index.rank() {
            return Err(TensorError::Argument(format!("indices of rank {} for rank {}", index.rank(), t.rank())));
        }
        // All axes but `dim` are stretched to each other.
        let both = |one: &Tensor, other: &Tensor| {
            let mut shape = one.shape().to_vec();
            for (axis, n) in shape.iter_mut().enumerate().filter(|(axis, n)| *axis != at && **n == 1) {
                *n = other.shape()[axis];
            }
            one.expand(&shape)
        };
        let index = from_start(&index, t.shape().get(at).copied().unwrap_or(1))?;
        k::gather(&both(&t, &index)?, dim, &both(&index, &t)?)
    };
    ok(made())
}

/// Running maxima or minima and where they were found; of equals the last.
pub fn running_extreme(a: &Args<'_>, largest: bool) -> OpResult {
    let (t, dim) = (a.tensor(0)?, a.int(1)?);
    let made = || {
        let (n, rows) = match t.rank() {
            0 => (1, t.reshape_to(&[1])?),
            _ => (t.size(dim)?, t.movedim(dim, -1)?.contiguous()?),
        };
        let mut places = Vec::with_capacity(t.numel());
        for row in rows.to_scalars().chunks(n.max(1)) {
            let mut best = 0;
            for (at, x) in row.iter().enumerate() {
                let (x, top) = (x.to_f64(), row[best].to_f64());
                if x.is_nan() || (!top.is_nan() && if largest { x >= top } else { x <= top }) {
                    best = at;
                }
                places.push(best as i64);
            }
        }
        let places = Tensor::from_vec(places, rows.shape())?;
        let (places, axis) = match t.rank() {
            0 => return Ok((t.clone().into_owned(), places.reshape_to(&[])?)),
            _ => (places.movedim(-1, stark_shapes::rules::axis(dim, t.rank())? as i64)?, dim),
        };
        Ok((k::gather(&t, axis, &places)?, places))
    };
    let (values, places) = made().map_err(|e: TensorError| say(e))?;
    pair_of(values, places)
}

/// Element `k`, from 1, in order along an axis, and where it is.
fn kth(t: &Tensor, kth: usize, dim: i64, keepdim: bool) -> Tried<(Tensor, Tensor)> {
    let n = if t.rank() == 0 { 1 } else { t.size(dim)? };
    if kth == 0 || kth > n {
        return Err(TensorError::Argument(format!("element {kth} of {n} along axis {dim}")));
    }
    let (values, places) = k::sort(t, dim, false)?;
    if t.rank() == 0 {
        return Ok((values, places));
    }
    let pick = |sorted: &Tensor| {
        let picked = sorted.narrow(dim, kth as i64 - 1, 1)?;
        if keepdim { picked.contiguous() } else { picked.squeeze(&[dim])?.contiguous() }
    };
    Ok((pick(&values)?, pick(&places)?))
}

pub fn kthvalue(a: &Args<'_>) -> OpResult {
    let (values, places) = kth(&*a.tensor(0)?, a.count(1)?, a.int(2)?, a.bool(3)?).map_err(say)?;
    pair_of(values, places)
}

/// The lower of the two in the middle. Without an axis of all elements, and then only the value.
pub fn median(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    let middle = |n: usize| n.saturating_sub(1) / 2 + 1;
    let Some(dim) = a.opt_int(1)? else {
        let flat = t.reshape_to(&[t.numel()]).map_err(say)?;
        return ok(median_along(&flat, middle(t.numel()), 0, false).map(|(value, _)| value));
    };
    let n = if t.rank() == 0 { 1 } else { t.size(dim).map_err(say)? };
    let (values, places) = median_along(&t, middle(n), dim, a.bool(2)?).map_err(say)?;
    pair_of(values, places)
}

/// As `kth`, but the first NaN of those rows that have one.
fn median_along(t: &Tensor, middle: usize, dim: i64, keepdim: bool) -> Tried<(Tensor, Tensor)> {
    let (values, places) = kth(t, middle, dim, keepdim)?;
    if t.rank() == 0 || !t.dtype().is_float() {
        return Ok((values, places));
    }
    let nans = k::isnan(t)?;
    let has = k::any(&nans, &[dim], keepdim)?;
    let first = k::argmax(&nans.to(DType::I64)?, Some(dim), keepdim)?;
    let values = k::where_(&has, f64::NAN, &values)?.to(t.dtype())?;
    Ok((values, k::where_(&has, &first, &places)?))
}

pub fn msort(a: &Args<'_>) -> OpResult {
    ok(k::sort(&*a.tensor(0)?, 0, false).map(|(values, _)| values))
}

/// How many of `bounds`, which are in order, lie before each number: those that are equal count when `right`.
fn places_in(numbers: &Tensor, bounds: &Tensor, right: bool, narrow: bool) -> OpResult {
    let (rows, last) = (bounds.rank() > 1, bounds.shape().last().copied().unwrap_or(1));
    if rows
        && (numbers.rank() != bounds.rank()
            || numbers.shape()[..bounds.rank() - 1] != bounds.shape()[..bounds.rank() - 1])
    {
        return Err(format!("numbers of shape {:?} in rows of shape {:?}", numbers.shape(), bounds.shape()));
    }
    let all: Vec<f64> = bounds.to_scalars().into_iter().map(Scalar::to_f64).collect();
    let per_row = if rows { numbers.shape().last().copied().unwrap_or(1).max(1) } else { numbers.numel().max(1) };
    let place = |(i, x): (usize, Scalar)| {
        let first = if rows { i / per_row * last } else { 0 };
        let (row, x) = (&all[first..first + last], x.to_f64());
        row.partition_point(|bound| if right { *bound <= x || x.is_nan() } else { *bound < x || x.is_nan() }) as i64
    };
    let found: Vec<i64> = numbers.to_scalars().into_iter().enumerate().map(place).collect();
    let dtype = if narrow { DType::I32 } else { DType::I64 };
    ok(Tensor::from_vec(found, numbers.shape()).and_then(|t| t.to(dtype)))
}

pub fn bucketize(a: &Args<'_>) -> OpResult {
    places_in(&*a.tensor(0)?, &*a.tensor(1)?, a.bool(3)?, a.bool(2)?)
}

pub fn searchsorted(a: &Args<'_>) -> OpResult {
    let bounds = a.tensor(0)?;
    // In the order that the sorter gives.
    let bounds = match a.opt_tensor(5)? {
        Some(order) => std::borrow::Cow::Owned(k::gather(&bounds, -1, &order).map_err(say)?),
        None => bounds,
    };
    let right = a.bool(3)? || matches!(a.get(4), Value::Str(side) if &**side == "right");
    places_in(&*a.tensor(1)?, &bounds, right, a.bool(2)?)
}

/// Pieces of nearly equal size, or pieces that end at the given places.
pub fn tensor_split(a: &Args<'_>) -> OpResult {
    split_at(a, a.int(2)?)
}

/// `hsplit` and its like, along the axis of this number; of a vector the first one is the only one.
pub fn split_axis(a: &Args<'_>, axis: i64) -> OpResult {
    split_at(a, if a.tensor(0)?.rank() == 1 { 0 } else { axis })
}

fn split_at(a: &Args<'_>, dim: i64) -> OpResult {
    let t = a.tensor(0)?;
    let n = t.size(dim).map_err(say)? as i64;
    let ends: Vec<i64> = match a.get(1) {
        one if matches!(one, Value::Int(_)) || matches!(one, Value::Tensor(t) if t.rank() == 0) => {
            let pieces = a.int(1)?;
            if !(1..=crate::value::MAX_ITEMS as i64).contains(&pieces) {
                return Err(format!("{pieces} pieces"));
            }
            let (each, more) = (n / pieces, n % pieces);
            (1..pieces).map(|i| i * each + i.min(more)).collect()
        }
        _ => a.ints(1)?.to_vec(),
    };
    let mut start = 0;
    let pieces = ends.into_iter().chain([i64::MAX]).map(|end| {
        let piece = t.slice(dim, start, end, 1).map(Value::Tensor).map_err(say);
        start = end;
        piece
    });
    Value::list(pieces.collect::<Result<_, _>>()?)
}

/// `lerp`: a share of the way from one to the other.
pub fn lerp(a: &Args<'_>) -> OpResult {
    let (from, to) = (a.tensor(0)?, a.tensor(1)?);
    let made = || k::add(&*from, &k::mul(&k::sub(&*to, &*from)?, operand(a, 2).map_err(TensorError::Argument)?)?);
    ok(made())
}

/// Elements by their number in row-major order.
pub fn take(a: &Args<'_>) -> OpResult {
    let (t, index) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let flat = t.reshape_to(&[t.numel()])?;
        let places = from_start(&index.reshape_to(&[index.numel()])?, t.numel())?;
        k::index_select(&flat, 0, &places)?.reshape_to(index.shape())
    };
    ok(made())
}

/// How often each number from 0 on occurs, or the sum of the weights of its places.
pub fn bincount(a: &Args<'_>) -> OpResult {
    let (t, weights, least) = (a.tensor(0)?, a.opt_tensor(1)?, a.count(2)?);
    if t.rank() != 1 || t.dtype().is_float() || weights.as_ref().is_some_and(|weights| weights.shape() != t.shape()) {
        return Err(format!("counts whole numbers in a row, not {} of shape {:?}", t.dtype(), t.shape()));
    }
    let numbers: Vec<i64> = t.to_scalars().into_iter().map(Scalar::to_i64).collect();
    if let Some(low) = numbers.iter().find(|x| **x < 0) {
        return Err(format!("counts numbers from 0 on, not {low}"));
    }
    let n = numbers.iter().max().map_or(0, |top| (*top as usize).saturating_add(1)).max(least);
    let made = || {
        let dtype = match &weights {
            None => DType::I64,
            Some(weights) if weights.dtype() == DType::F32 => DType::F32,
            Some(_) => DType::F64,
        };
        let src = weights.as_ref().map_or_else(|| Tensor::ones(t.shape(), dtype), |weights| weights.to(dtype))?;
        k::scatter_add(&Tensor::zeros(&[n], dtype)?, 0, &t.to(DType::I64)?, &src)
    };
    ok(made())
}

/// The elements of `source`, one after the other, where `mask` holds.
pub fn masked_scatter(a: &Args<'_>) -> OpResult {
    let (t, mask, source) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let made = || {
        let shape = stark_shapes::rules::broadcast(t.shape(), mask.shape())?;
        let (t, mask) = (t.expand(&shape)?, mask.to(DType::Bool)?.expand(&shape)?);
        let flat = mask.reshape_to(&[mask.numel()])?;
        // How many hold up to each place is the number of the element it takes, from 1.
        let numbers = k::cumsum(&flat.to(DType::I64)?, 0)?;
        let last = if flat.numel() == 0 { 0 } else { numbers.select(0, -1)?.item()?.to_i64() };
        if last == 0 {
            return Ok(t);
        }
        if last as usize > source.numel() {
            let reason = format!("{} elements for {last} places", source.numel());
            return Err(TensorError::Argument(reason));
        }
        let numbers = k::clamp(&k::sub(&numbers, 1i64)?, Some(Scalar::Int(0).into()), None)?;
        let taken = k::index_select(&source.reshape_to(&[source.numel()])?, 0, &numbers)?;
        k::where_(&mask, &taken.reshape_to(t.shape())?, &t)?.to(t.dtype())
    };
    ok(made())
}

/// Vectors as diagonals of matrices, whose axes are `dim1` and `dim2` of the result.
pub fn diag_embed(a: &Args<'_>) -> OpResult {
    let (t, offset) = (a.tensor(0)?, a.int(1)?);
    let made = || {
        let rank = t.rank() + 1;
        let [from, to] = [a.int(2), a.int(3)].map(|dim| dim.map_err(TensorError::Argument));
        let [from, to] = [stark_shapes::rules::axis(from?, rank)?, stark_shapes::rules::axis(to?, rank)?];
        let n = t.size(-1)?.saturating_add(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX));
        if from == to {
            return Err(TensorError::Argument(format!("axis {from} is named twice")));
        }
        let mut shape = t.shape()[..t.rank() - 1].to_vec();
        shape.extend([n, n]);
        let mut out = Tensor::zeros(&shape, t.dtype())?;
        out.assign(|whole| whole.diagonal(offset, -2, -1), &t)?;
        // Below the diagonal axes change places with what is above it.
        let (mut order, mut others) = (vec![0i64; rank], 0..rank as i64 - 2);
        for (at, from_axis) in order.iter_mut().enumerate() {
            *from_axis = match at {
                at if at == from => rank as i64 - 2,
                at if at == to => rank as i64 - 1,
                _ => others.next().unwrap_or(0),
            };
        }
        out.permute(&order)
    };
    ok(made())
}

/// The places of the upper or the lower triangle of a matrix, row by row: `(row, col, offset, dtype)`.
pub fn triangle(a: &Args<'_>, upper: bool) -> OpResult {
    let (rows, columns, offset) = (a.count(0)?, a.count(1)?, a.int(2)?);
    let made = || {
        let ones = Tensor::ones(&[rows, columns], DType::Bool)?;
        let held = if upper { k::triu(&ones, offset)? } else { k::tril(&ones, offset)? };
        k::nonzero(&held)?.transpose(0, 1)?.contiguous()
    };
    let dtype = a.dtype(3)?.unwrap_or(DType::I64);
    ok(made().and_then(|places| places.to(dtype)))
}

/// The smallest and the largest.
pub fn extremes(a: &Args<'_>) -> OpResult {
    let (t, dims) = (a.tensor(0)?, a.opt_ints(1)?.unwrap_or_default());
    let keepdim = a.bool(2)?;
    pair_of(k::amin(&t, &dims, keepdim).map_err(say)?, k::amax(&t, &dims, keepdim).map_err(say)?)
}

/// The number below which a share of a row lies.
pub fn quantile(a: &Args<'_>) -> OpResult {
    let (t, q, how) = (a.tensor(0)?, a.tensor(1)?, a.str(4)?);
    let made = || {
        let t = match a.opt_int(2).map_err(TensorError::Argument)? {
            None => t.reshape_to(&[t.numel()])?,
            Some(_) if t.rank() == 0 => t.reshape_to(&[1])?,
            Some(dim) => t.movedim(dim, -1)?,
        };
        let is_number = a.tensor(0).is_ok_and(|t| t.rank() == 0);
        let n = t.size(-1)?;
        let shares: Vec<f64> = q.to_scalars().into_iter().map(Scalar::to_f64).collect();
        if n == 0 || q.rank() > 1 || shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(TensorError::Argument(format!("quantiles {shares:?} of {n} elements")));
        }
        let sorted = k::sort(&t, -1, false)?.0;
        let mut found = Vec::with_capacity(shares.len());
        for share in shares {
            let place = share * (n - 1) as f64;
            let (low, high) = match how {
                "linear" | "midpoint" => (place.floor(), place.ceil()),
                "lower" => (place.floor(), place.floor()),
                "higher" => (place.ceil(), place.ceil()),
                "nearest" => (place.round_ties_even(), place.round_ties_even()),
                other => return Err(TensorError::Argument(format!("interpolation `{other}` is not known"))),
            };
            let weight = if how == "midpoint" { (high - low) / 2.0 } else { place - low };
            let is_one = low == high;
            let (low, high) = (sorted.select(-1, low as i64)?, sorted.select(-1, high as i64)?);
            if is_one {
                found.push(low);
                continue;
            }
            found.push(k::add(&low, &k::mul(&k::sub(&high, &low)?, weight)?)?.to(t.dtype())?);
        }
        // What is no number sorts last, and then no quantile is one.
        let last = sorted.select(-1, -1)?;
        let is_none = k::isnan(&last)?;
        let found = found.iter().map(|x| k::where_(&is_none, &last, x)).collect::<Tried<Vec<_>>>()?;
        let mut out = k::stack(&found.iter().collect::<Vec<_>>(), 0)?;
        if a.bool(3).map_err(TensorError::Argument)? && !is_number {
            out = match a.opt_int(2).map_err(TensorError::Argument)? {
                Some(dim) => {
                    let rank = t.rank() as i64;
                    out.unsqueeze(if dim < 0 { dim + rank } else { dim } + 1)?
                }
                None => {
                    let mut shape = vec![found.len()];
                    shape.resize(a.tensor(0).map_err(TensorError::Argument)?.rank() + 1, 1);
                    out.reshape_to(&shape)?
                }
            };
        }
        if q.rank() == 0 { out.squeeze(&[0]) } else { Ok(out) }
    };
    ok(made())
}

/// The vector that stands upright on two vectors of 3 numbers.
pub fn cross(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        // Without an axis the first of 3 elements.
        let dim = match a.opt_int(2).map_err(TensorError::Argument)? {
            Some(dim) => dim,
            None => x.shape().iter().position(|n| *n == 3).map_or(-1, |at| at as i64),
        };
        if x.rank() != y.rank() || x.size(dim)? != 3 || y.size(dim)? != 3 {
            let reason = format!("takes vectors of 3, not shapes {:?} and {:?} along axis {dim}", x.shape(), y.shape());
            return Err(TensorError::Argument(reason));
        }
        let turned = |t: &Tensor, by: i64| k::roll(t, &[by], &[dim]);
        k::sub(&k::mul(&turned(&x, -1)?, &turned(&y, -2)?)?, &k::mul(&turned(&x, -2)?, &turned(&y, -1)?)?)
    };
    ok(made())
}

/// One tensor with another one in the place of a view of it.
pub fn slice_scatter(a: &Args<'_>) -> OpResult {
    let mut out = a.tensor(0)?.into_owned();
    let (dim, start, end, step) = (a.int(2)?, a.opt_int(3)?.unwrap_or(0), a.opt_int(4)?.unwrap_or(i64::MAX), a.int(5)?);
    let src = a.tensor(1)?;
    ok(out.assign(|whole| whole.slice(dim, start, end, step), &src).map(|()| out))
}

pub fn select_scatter(a: &Args<'_>) -> OpResult {
    let mut out = a.tensor(0)?.into_owned();
    let (dim, index) = (a.int(2)?, a.int(3)?);
    let src = a.tensor(1)?;
    ok(out.assign(|whole| whole.select(dim, index), &src).map(|()| out))
}

pub fn diagonal_scatter(a: &Args<'_>) -> OpResult {
    let mut out = a.tensor(0)?.into_owned();
    let (offset, from, to) = (a.int(2)?, a.int(3)?, a.int(4)?);
    let src = a.tensor(1)?;
    ok(out.assign(|whole| whole.diagonal(offset, from, to), &src).map(|()| out))
}
