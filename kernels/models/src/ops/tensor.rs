//! Operators on tensors: facts, creation, views, arithmetic, reductions.

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::args::{Args, OpResult, code_of_dtype};
use super::{scalar, text};
use crate::value::Value;

pub fn ok<E: std::fmt::Display>(result: Result<Tensor, E>) -> OpResult {
    result.map(Value::Tensor).map_err(say)
}

pub fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn tensors<E: std::fmt::Display>(result: Result<Vec<Tensor>, E>) -> OpResult {
    Value::list(result.map_err(say)?.into_iter().map(Value::Tensor).collect())
}

pub fn pair_of(a: Tensor, b: Tensor) -> OpResult {
    Value::tuple(vec![Value::Tensor(a), Value::Tensor(b)])
}

// ---- facts ----------------------------------------------------------------------------------------

pub fn item(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Tensor(t) => t.item().map(Value::from).map_err(say),
        other => a.scalar(0).map(|_| other.clone()),
    }
}

pub fn size(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    match a.opt_int(1)? {
        Some(dim) => t.size(dim).map(|n| Value::Int(n as i64)).map_err(say),
        None => Value::list(t.shape().iter().map(|&n| Value::Int(n as i64)).collect()),
    }
}

pub fn shape_as_tensor(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(Tensor::from_vec(x.shape().iter().map(|&n| n as i64).collect::<Vec<_>>(), &[x.rank()]))
}

pub fn dim(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(a.tensor(0)?.rank() as i64))
}

pub fn numel(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(a.tensor(0)?.numel() as i64))
}

/// Convolutions here may leave channels side by side where the model's author had them plane by plane, so that layout
/// is told as the plain one.
pub fn stride(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    let plain = t.is_channels_last().then(|| {
        let mut strides = vec![1; t.rank()];
        for axis in (1..t.rank()).rev() {
            strides[axis - 1] = strides[axis] * t.shape()[axis].max(1);
        }
        strides
    });
    let strides = plain.as_deref().unwrap_or(t.strides());
    match a.opt_int(1)? {
        Some(dim) => Ok(Value::Int(strides[stark_shapes::rules::axis(dim, t.rank()).map_err(say)?] as i64)),
        None => Value::list(strides.iter().map(|&n| Value::Int(n as i64)).collect()),
    }
}

pub fn dtype(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(code_of_dtype(a.tensor(0)?.dtype())))
}

pub fn device(_: &Args<'_>) -> OpResult {
    Ok(Value::str("cpu"))
}

pub fn is_floating_point(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(a.tensor(0)?.dtype().is_float()))
}

pub fn is_complex(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(matches!(a.get(0), Value::Complex(_))))
}

// ---- making ---------------------------------------------------------------------------------------

/// `torch.tensor(data)`: nested lists of numbers.
pub fn tensor(a: &Args<'_>) -> OpResult {
    let mut shape = Vec::new();
    let mut numbers = Vec::new();
    gather_numbers(a.get(0), 0, &mut shape, &mut numbers)?;
    let natural = numbers.iter().fold(None, |kind, number| {
        let dtype = match number {
            Scalar::Float(_) => DType::F32,
            Scalar::Int(_) => DType::I64,
            Scalar::Bool(_) => DType::Bool,
        };
        Some(kind.map_or(dtype, |was| stark_shapes::promote(was, dtype)))
    });
    let dtype = match (a.dtype(1)?, a.get(0)) {
        (Some(dtype), _) => dtype,
        (None, Value::Tensor(t)) => t.dtype(),
        (None, _) => natural.unwrap_or(DType::F32),
    };
    let flat = match dtype.is_float() {
        true => Tensor::from_vec(numbers.iter().map(|n| n.to_f64()).collect::<Vec<f64>>(), &shape),
        false => Tensor::from_vec(numbers.iter().map(|n| n.to_i64()).collect::<Vec<i64>>(), &shape),
    };
    ok(flat.and_then(|t| t.to(dtype)))
}

fn gather_numbers(value: &Value, axis: usize, shape: &mut Vec<usize>, out: &mut Vec<Scalar>) -> Result<(), String> {
    let items = match value {
        Value::List(list) => list.items().clone(),
        Value::Tuple(tuple) => tuple.items.clone(),
        Value::Tensor(t) if axis == 0 => {
            *shape = t.shape().to_vec();
            *out = t.to_scalars();
            return Ok(());
        }
        other => {
            let number = other.scalar().ok_or_else(|| format!("{} is no number", other.kind()))?;
            out.push(number);
            return if axis == shape.len() { Ok(()) } else { Err("the lists have different depths".into()) };
        }
    };
    if out.is_empty() && shape.len() == axis {
        shape.push(items.len());
    }
    if shape.get(axis) != Some(&items.len()) {
        return Err("the lists have different lengths".into());
    }
    if out.len() > crate::value::MAX_ITEMS {
        return Err(scalar::too_long());
    }
    items.iter().try_for_each(|item| gather_numbers(item, axis + 1, shape, out))
}

pub fn scalar_tensor(a: &Args<'_>) -> OpResult {
    ok(Tensor::full(&[], a.scalar(0)?, a.dtype(1)?.unwrap_or(DType::F32)))
}

pub fn filled(a: &Args<'_>, x: f64) -> OpResult {
    ok(Tensor::full(&a.sizes(0)?, x, a.dtype(1)?.unwrap_or(DType::F32)))
}

pub fn full(a: &Args<'_>) -> OpResult {
    let x = a.scalar(1)?;
    let natural = match x {
        Scalar::Float(_) => DType::F32,
        Scalar::Int(_) => DType::I64,
        Scalar::Bool(_) => DType::Bool,
    };
    ok(Tensor::full(&a.sizes(0)?, x, a.dtype(2)?.unwrap_or(natural)))
}

pub fn filled_like(a: &Args<'_>, x: f64) -> OpResult {
    let t = a.tensor(0)?;
    ok(Tensor::full(t.shape(), x, a.dtype(1)?.unwrap_or(t.dtype())))
}

pub fn full_like(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    ok(Tensor::full(t.shape(), a.scalar(1)?, a.dtype(2)?.unwrap_or(t.dtype())))
}

pub fn new_filled(a: &Args<'_>, x: f64) -> OpResult {
    ok(Tensor::full(&a.sizes(1)?, x, a.dtype(2)?.unwrap_or(a.tensor(0)?.dtype())))
}

/// Like `empty`, zeros; the layout is ours.
pub fn empty_strided(a: &Args<'_>) -> OpResult {
    ok(Tensor::zeros(&a.sizes(0)?, a.dtype(2)?.unwrap_or(DType::F32)))
}

pub fn new_empty_strided(a: &Args<'_>) -> OpResult {
    ok(Tensor::zeros(&a.sizes(1)?, a.dtype(3)?.unwrap_or(a.tensor(0)?.dtype())))
}

pub fn new_full(a: &Args<'_>) -> OpResult {
    ok(Tensor::full(&a.sizes(1)?, a.scalar(2)?, a.dtype(3)?.unwrap_or(a.tensor(0)?.dtype())))
}

/// `fill_` and `zero_`: the executor puts the result in place.
pub fn fill(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    ok(Tensor::full(t.shape(), a.scalar(1)?, t.dtype()))
}

pub fn filled_with(a: &Args<'_>, x: f64) -> OpResult {
    let t = a.tensor(0)?;
    ok(Tensor::full(t.shape(), x, t.dtype()))
}

pub fn arange(a: &Args<'_>) -> OpResult {
    let (start, end) = match a.opt_scalar(1)? {
        Some(end) => (a.scalar(0)?, end),
        None => (Scalar::Int(0), a.scalar(0)?),
    };
    let step = a.opt_scalar(2)?.unwrap_or(Scalar::Int(1));
    let is_float = [start, end, step].iter().any(|x| matches!(x, Scalar::Float(_)));
    let natural = if is_float { DType::F32 } else { DType::I64 };
    ok(k::arange(start, end, step, a.dtype(3)?.unwrap_or(natural)))
}

pub fn linspace(a: &Args<'_>) -> OpResult {
    ok(k::linspace(a.float(0)?, a.float(1)?, a.count(2)?, a.dtype(3)?.unwrap_or(DType::F32)))
}

pub fn eye(a: &Args<'_>) -> OpResult {
    let rows = a.count(0)?;
    let cols = if a.is_none(1) { rows } else { a.count(1)? };
    ok(k::eye(rows, cols, a.dtype(2)?.unwrap_or(DType::F32)))
}

/// A value of its own: what is changed in place in one does not show in the other.
pub fn clone(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.copied())
}

pub fn same(a: &Args<'_>) -> OpResult {
    Ok(a.get(0).clone())
}

pub fn contiguous(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.contiguous())
}

/// `to(dtype)`, `to(device, dtype)`, `to(other)`: the first dtype or tensor among the arguments decides.
pub fn to(a: &Args<'_>) -> OpResult {
    let mut dtype = a.dtype(8)?;
    for index in 1..=2 {
        match a.get(index) {
            Value::Int(_) if dtype.is_none() => dtype = a.dtype(index)?,
            Value::Tensor(other) if dtype.is_none() => dtype = Some(other.dtype()),
            _ => {}
        }
    }
    let t = a.tensor(0)?;
    ok(t.to(dtype.unwrap_or(t.dtype())))
}

pub fn type_as(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.to(a.tensor(1)?.dtype()))
}

pub fn cast(a: &Args<'_>, dtype: DType) -> OpResult {
    ok(a.tensor(0)?.to(dtype))
}

/// The source of `copy_`, in the shape and dtype of its target; the executor puts it in place.
/// `copy` of a list or dict is another of the same items.
pub fn copy(a: &Args<'_>) -> OpResult {
    if let Value::List(_) = a.get(0) {
        return scalar::list(a);
    }
    if let Value::Dict(dict) = a.get(0) {
        return Value::dict(dict.items().to_vec());
    }
    let (target, source) = (a.tensor(0)?, a.tensor(1)?);
    ok(source.to(target.dtype()).and_then(|s| s.expand(target.shape())))
}

// ---- views ----------------------------------------------------------------------------------------

/// PyTorch held the view against the layout that its own operators gave. Where those here gave another one, a view of
/// it may be a copy.
pub fn view(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.reshape(&a.ints(1)?))
}

pub fn reshape(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.reshape(&a.ints(1)?))
}

pub fn reshape_as(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.reshape_to(a.tensor(1)?.shape()))
}

pub fn ravel(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    ok(t.reshape_to(&[t.numel()]))
}

pub fn matrix_transpose(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.transpose(-1, -2))
}

pub fn flatten(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.flatten(a.int(1)?, a.int(2)?))
}

pub fn unflatten(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.unflatten(a.int(1)?, &a.ints(2)?))
}

pub fn transpose(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.transpose(a.int(1)?, a.int(2)?))
}

pub fn t(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.t())
}

pub fn reversed_axes(a: &Args<'_>) -> OpResult {
    let t = a.tensor(0)?;
    let order: Vec<i64> = (0..t.rank() as i64).rev().collect();
    ok(t.permute(&order))
}

pub fn permute(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.permute(&a.ints(1)?))
}

pub fn movedim(a: &Args<'_>) -> OpResult {
    let (from, to) = (a.ints(1)?, a.ints(2)?);
    let t = a.tensor(0)?;
    let axes = |named: &[i64]| -> Result<Vec<usize>, String> {
        let axes = named.iter().map(|&axis| stark_shapes::rules::axis(axis, t.rank()).map_err(say));
        let axes = axes.collect::<Result<Vec<_>, _>>()?;
        match (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
            true => Err(format!("an axis is named twice in {named:?}")),
            false => Ok(axes),
        }
    };
    let (from, to) = (axes(&from)?, axes(&to)?);
    if from.len() != to.len() {
        return Err(format!("{} axes to {} places", from.len(), to.len()));
    }
    // Those that are not named keep their order.
    let mut rest = (0..t.rank()).filter(|axis| !from.contains(axis));
    let order: Vec<i64> = (0..t.rank())
        .filter_map(|place| match to.iter().position(|&one| one == place) {
            Some(i) => Some(from[i] as i64),
            None => rest.next().map(|axis| axis as i64),
        })
        .collect();
    ok(t.permute(&order))
}

pub fn unsqueeze(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.unsqueeze(a.int(1)?))
}

pub fn squeeze(a: &Args<'_>) -> OpResult {
    match a.opt_ints(1)? {
        Some(dims) if dims.is_empty() => same(a),
        Some(dims) => ok(a.tensor(0)?.squeeze(&dims)),
        None => ok(a.tensor(0)?.squeeze(&[])),
    }
}

pub fn expand(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.expand_sizes(&a.ints(1)?))
}

pub fn expand_as(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.expand_as(&*a.tensor(1)?))
}

pub fn select(a: &Args<'_>) -> OpResult {
    // On a list, `select(list, index)`.
    if let Value::List(list) = a.get(0) {
        let (items, index) = (list.items(), a.int(1)?);
        let at = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
        let item = usize::try_from(at).ok().and_then(|at| items.get(at));
        return item.cloned().ok_or_else(|| format!("index {index} is out of range for {} items", items.len()));
    }
    ok(a.tensor(0)?.select(a.int(1)?, a.int(2)?))
}

pub fn slice(a: &Args<'_>) -> OpResult {
    if let list @ (Value::List(_) | Value::Str(_)) = a.get(0) {
        // On a list the arguments are start, end, step; the row's default of `start` is then `None` or 0.
        let step = a.opt_int(3)?.unwrap_or(1);
        return scalar::slice(list, a.opt_int(1)?, a.opt_int(2)?, step);
    }
    let start = a.opt_int(2)?.unwrap_or(0);
    let end = a.opt_int(3)?.unwrap_or(i64::MAX);
    ok(a.tensor(0)?.slice(a.int(1)?, start, end, a.int(4)?))
}

pub fn narrow(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.narrow(a.int(1)?, a.int(2)?, a.count(3)?))
}

pub fn narrow_copy(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.narrow(a.int(1)?, a.int(2)?, a.count(3)?).and_then(|part| part.copied()))
}

/// Views take memory even where the tensor has no elements.
fn few(n: usize) -> Result<(), String> {
    if n > crate::value::MAX_ITEMS { Err(scalar::too_long()) } else { Ok(()) }
}

pub fn unbind(a: &Args<'_>) -> OpResult {
    few(a.tensor(0)?.size(a.int(1)?).map_err(say)?)?;
    tensors(a.tensor(0)?.unbind(a.int(1)?))
}

/// Of a tensor, or of a text.
pub fn split(a: &Args<'_>) -> OpResult {
    if let Value::Str(_) = a.get(0) {
        return text::split(a);
    }
    let (t, dim) = (a.tensor(0)?, a.opt_int(2)?.unwrap_or(0));
    match a.get(1) {
        Value::List(_) | Value::Tuple(_) => tensors(t.split_sizes(&a.sizes(1)?, dim)),
        _ => {
            few(t.size(dim).map_err(say)? / a.count(1)?.max(1))?;
            tensors(t.split(a.count(1)?, dim))
        }
    }
}

pub fn chunk(a: &Args<'_>) -> OpResult {
    few(a.count(1)?.min(a.tensor(0)?.size(a.int(2)?).map_err(say)?))?;
    tensors(a.tensor(0)?.chunk(a.count(1)?, a.int(2)?))
}

pub fn diagonal(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.diagonal(a.int(1)?, a.int(2)?, a.int(3)?))
}

pub fn unfold(a: &Args<'_>) -> OpResult {
    ok(a.tensor(0)?.unfold(a.int(1)?, a.count(2)?, a.count(3)?))
}
