//! Reductions, joining, indexing and sorting.

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
fn spread(
    a: &Args<'_>,
    kernel: fn(&Tensor, &[i64], f64, bool) -> stark_kernels::Result<Tensor>,
) -> OpResult {
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

pub fn norm(a: &Args<'_>) -> OpResult {
    let p = match a.get(1) {
        Value::None => 2.0,
        Value::Str(name) if &**name == "fro" => 2.0,
        _ => a.float(1)?,
    };
    ok(k::norm(&cast(a, 4)?, p, &axes(a, 2)?, a.bool(3)?))
}

pub fn logsumexp(a: &Args<'_>) -> OpResult {
    ok(k::logsumexp(&*a.tensor(0)?, &a.ints(1)?, a.bool(2)?))
}

pub fn cumsum(a: &Args<'_>) -> OpResult {
    ok(k::cumsum(&cast(a, 2)?, a.int(1)?))
}

pub fn diff(a: &Args<'_>) -> OpResult {
    if !a.is_none(3) || !a.is_none(4) {
        return Err("prepend and append are not supported".into());
    }
    let mut t = a.tensor(0)?.into_owned();
    for _ in 0..a.count(1)?.min(t.numel()) {
        t = k::diff(&t, a.int(2)?).map_err(say)?;
    }
    Ok(Value::Tensor(t))
}

/// A mask or count in a dtype that kernels take.
pub fn as_bool(t: &Tensor) -> Result<Tensor, String> {
    t.to(DType::Bool).map_err(say)
}
