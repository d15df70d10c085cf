//! Sequences of tensors, and the small steps that loops are built of.

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// Sequences are values: inserting copies the list, so a loop that builds one takes the square of its length.
const MAX_ITEMS: usize = 1 << 14;

pub fn empty(_: &Args<'_>) -> OpResult {
    Value::list(Vec::new())
}

/// An optional value without content is `None`.
pub fn has_element(a: &Args<'_>) -> OpResult {
    Ok(Value::Tensor(Tensor::scalar(!a.is_none(0))))
}

pub fn get_element(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::None => Err("the optional value has no content".into()),
        value => Ok(value.clone()),
    }
}

fn items(a: &Args<'_>) -> Result<Vec<Value>, String> {
    match a.get(0) {
        Value::List(list) => Ok(list.items().clone()),
        other => Err(format!("takes a sequence, not {}", other.kind())),
    }
}

/// A position, negative from the end, below `limit`.
fn position(a: &Args<'_>, index: usize, n: usize, limit: usize) -> Result<usize, String> {
    let at = a.int(index)?;
    let place = if at < 0 { at.saturating_add(n as i64) } else { at };
    let place = usize::try_from(place).ok().filter(|&place| place < limit);
    place.ok_or_else(|| format!("position {at} is out of range for {n} items"))
}

pub fn insert(a: &Args<'_>) -> OpResult {
    let mut items = items(a)?;
    let item = Value::Tensor(a.tensor(1)?.into_owned());
    if items.len() >= MAX_ITEMS {
        return Err(format!("a sequence of more than {MAX_ITEMS} items"));
    }
    let at = if a.is_none(2) { items.len() } else { position(a, 2, items.len(), items.len() + 1)? };
    items.insert(at, item);
    Value::list(items)
}

pub fn erase(a: &Args<'_>) -> OpResult {
    let mut items = items(a)?;
    let n = items.len();
    let at = if a.is_none(1) { n.checked_sub(1).ok_or("the sequence is empty")? } else { position(a, 1, n, n)? };
    items.remove(at);
    Value::list(items)
}

pub fn at(a: &Args<'_>) -> OpResult {
    let items = items(a)?;
    Ok(items[position(a, 1, items.len(), items.len())?].clone())
}

pub fn length(a: &Args<'_>) -> OpResult {
    Ok(Value::Tensor(Tensor::scalar(items(a)?.len() as i64)))
}

pub fn concat(a: &Args<'_>) -> OpResult {
    let tensors = a.tensors(0)?;
    let tensors: Vec<&Tensor> = tensors.iter().collect();
    ok(if a.bool(2)? { k::stack(&tensors, a.int(1)?) } else { k::cat(&tensors, a.int(1)?) })
}

pub fn split(a: &Args<'_>) -> OpResult {
    let (x, at) = (a.tensor(0)?, a.int(2)?);
    if a.get(1).is_none() && x.size(at).map_err(say)? > MAX_ITEMS {
        return Err(format!("a sequence of more than {MAX_ITEMS} items"));
    }
    let parts = match a.get(1) {
        Value::None => {
            let parts = x.split(1, at).map_err(say)?;
            match a.bool(3)? {
                true => Ok(parts),
                false => parts.iter().map(|part| part.squeeze(&[at])).collect(),
            }
        }
        Value::Tensor(split) if split.rank() > 0 => x.split_sizes(&a.sizes(1)?, at),
        _ if x.size(at).map_err(say)? / a.count(1)?.max(1) > MAX_ITEMS => {
            return Err(format!("a sequence of more than {MAX_ITEMS} items"));
        }
        _ => x.split(a.count(1)?, at),
    };
    let parts = parts.map_err(say)?;
    if parts.len() > MAX_ITEMS {
        return Err(format!("a sequence of more than {MAX_ITEMS} items"));
    }
    Value::list(parts.into_iter().map(Value::Tensor).collect())
}

// ---- loops ----------------------------------------------------------------------------------------

pub fn loop_test(a: &Args<'_>) -> OpResult {
    let counted = a.is_none(2) || a.int(0)? < a.scalar(2)?.to_i64();
    Ok(Value::Bool(counted && (a.is_none(1) || a.bool(1)?)))
}

pub fn next_round(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(a.int(0)?.saturating_add(1)))
}

/// A list of its own each time, which the rounds fill.
pub fn new_list(_: &Args<'_>) -> OpResult {
    Value::list(Vec::new())
}

pub fn stack(a: &Args<'_>) -> OpResult {
    let mut tensors = a.tensors(0)?;
    if a.bool(2)? {
        tensors.reverse();
    }
    if tensors.is_empty() {
        // No round ran, so only the file says what one would have given.
        let mut shape = a.sizes(3)?.into_vec();
        shape.insert(0, 0);
        return ok(Tensor::zeros(&shape, a.dtype(4)?.unwrap_or(DType::F32)));
    }
    ok(k::stack(&tensors.iter().collect::<Vec<_>>(), a.int(1)?))
}

pub fn scan_length(a: &Args<'_>) -> OpResult {
    a.tensor(0)?.size(a.int(1)?).map(|n| Value::Int(n as i64)).map_err(say)
}

pub fn scan_item(a: &Args<'_>) -> OpResult {
    let (x, at, round) = (a.tensor(0)?, a.int(1)?, a.int(2)?);
    let n = x.size(at).map_err(say)? as i64;
    ok(x.select(at, if a.bool(3)? { n - 1 - round } else { round }))
}
