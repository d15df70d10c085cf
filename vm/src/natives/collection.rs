//! `Vec`, `Map`, `Set` and `Range`, and what can be done with any value from its type: show, compare, hash.

use super::support::{Outcome, answers, option, size, slice_range};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::structural::{self, stable_hash};
use crate::value::{Value, ValueRef};
use std::cmp::Ordering;

pub(super) const TABLE: &[NativeRow] = answers! {
    value_show "<T>(T) -> String";
    value_repr "<T>(T) -> String";
    value_equal "<T>(T, T) -> Bool";
    value_compare "<T>(T, T) -> Ordering";
    value_hash "<T>(T) -> Int";
    vec_sort "<T>(&mut Vec<T>) -> ()";
    vec_contains "<T>(Vec<T>, T) -> Bool";
    vec_new "<T>() -> Vec<T>";
    vec_with_capacity "<T>(Int) -> Vec<T>";
    vec_len "<T>(Vec<T>) -> Int";
    vec_push "<T>(&mut Vec<T>, T) -> ()";
    vec_pop "<T>(&mut Vec<T>) -> Option<T>";
    vec_insert "<T>(&mut Vec<T>, Int, T) -> ()";
    vec_remove "<T>(&mut Vec<T>, Int) -> T";
    vec_extend "<T>(&mut Vec<T>, Vec<T>) -> ()";
    vec_clear "<T>(&mut Vec<T>) -> ()";
    vec_truncate "<T>(&mut Vec<T>, Int) -> ()";
    vec_swap "<T>(&mut Vec<T>, Int, Int) -> ()";
    vec_reverse "<T>(&mut Vec<T>) -> ()";
    vec_get "<T>(Vec<T>, Int) -> Option<T>";
    vec_slice "<T>(Vec<T>, Int, Int) -> Vec<T>";
    vec_concat "<T>(Vec<T>, Vec<T>) -> Vec<T>";
    vec_repeat "<T>(Vec<T>, Int) -> Vec<T>";
    vec_reversed "<T>(Vec<T>) -> Vec<T>";
    map_new "<K, V>() -> Map<K, V>";
    map_len "<K, V>(Map<K, V>) -> Int";
    map_get "<K, V>(Map<K, V>, K) -> Option<V>";
    map_index "<K, V>(Map<K, V>, K) -> V";
    map_insert "<K, V>(&mut Map<K, V>, K, V) -> Option<V>";
    map_remove "<K, V>(&mut Map<K, V>, K) -> Option<V>";
    map_contains "<K, V>(Map<K, V>, K) -> Bool";
    map_clear "<K, V>(&mut Map<K, V>) -> ()";
    map_keys "<K, V>(Map<K, V>) -> Vec<K>";
    map_values "<K, V>(Map<K, V>) -> Vec<V>";
    map_items "<K, V>(Map<K, V>) -> Vec<(K, V)>";
    map_from_items "<K, V>(Vec<(K, V)>) -> Map<K, V>";
    set_new "<T>() -> Set<T>";
    set_from_vec "<T>(Vec<T>) -> Set<T>";
    set_len "<T>(Set<T>) -> Int";
    set_insert "<T>(&mut Set<T>, T) -> Bool";
    set_remove "<T>(&mut Set<T>, T) -> Bool";
    set_contains "<T>(Set<T>, T) -> Bool";
    set_clear "<T>(&mut Set<T>) -> ()";
    set_to_vec "<T>(Set<T>) -> Vec<T>";
    range_to_vec "(Range) -> Vec<Int>";
};

fn value_show(cx: &NativeCx<'_>) -> Outcome {
    let value = cx.arg(0);
    Ok(match structural::short_integer(value) {
        Some(text) => Value::str(text),
        None => Value::str(value.display()),
    })
}

fn value_repr(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.arg(0).show()))
}

fn value_equal(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.arg(0).equal(cx.arg(1))))
}

fn value_compare(cx: &NativeCx<'_>) -> Outcome {
    let name = match cx.arg(0).compare(cx.arg(1)) {
        Ordering::Less => "Less",
        Ordering::Equal => "Equal",
        Ordering::Greater => "Greater",
    };
    Ok(Value::variant_named(cx.ret_type(), name, []))
}

/// The same in every run, and never negative.
fn value_hash(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int((stable_hash(cx.arg(0)) >> 1) as i64))
}

/// Only called when the compiler knows that the elements' order follows from their structure.
fn vec_sort(cx: &mut NativeCx<'_>) -> Outcome {
    cx.reserve(cx.vec(0).len().saturating_mul(8))?;
    cx.vec_mut(0).sort_by(|a, b| a.compare(b));
    Ok(Value::unit())
}

fn vec_contains(cx: &NativeCx<'_>) -> Outcome {
    let wanted = cx.arg(1);
    Ok(Value::bool(cx.vec(0).iter().any(|item| item.equal(wanted))))
}

fn vec_new(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::vec(cx.ret_type(), []))
}

fn vec_with_capacity(cx: &NativeCx<'_>) -> Outcome {
    let n = size(cx.int(0), "the capacity")?;
    cx.reserve(n.saturating_mul(8))?;
    let mut vec = Value::vec(cx.ret_type(), []);
    vec.vec_mut().reserve(n);
    Ok(vec)
}

fn vec_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.vec(0).len() as i64))
}

fn vec_push(cx: &mut NativeCx<'_>) -> Outcome {
    let value = cx.take(1);
    cx.vec_mut(0).push(value);
    Ok(Value::unit())
}

fn vec_pop(cx: &mut NativeCx<'_>) -> Outcome {
    let last = if cx.vec(0).is_empty() { None } else { cx.vec_mut(0).pop() };
    Ok(option(cx, last))
}

/// Position `i` of something of length `len`.
fn inside(i: i64, len: usize) -> Result<usize, Fault> {
    usize::try_from(i).ok().filter(|&at| at < len).ok_or_else(|| Fault::index(i, "Vec", len))
}

fn vec_insert(cx: &mut NativeCx<'_>) -> Outcome {
    let (i, len) = (cx.int(1), cx.vec(0).len());
    let at = usize::try_from(i).ok().filter(|&at| at <= len).ok_or_else(|| Fault::index(i, "Vec", len))?;
    let value = cx.take(2);
    cx.vec_mut(0).insert(at, value);
    Ok(Value::unit())
}

fn vec_remove(cx: &mut NativeCx<'_>) -> Outcome {
    let at = inside(cx.int(1), cx.vec(0).len())?;
    Ok(cx.vec_mut(0).remove(at))
}

fn vec_extend(cx: &mut NativeCx<'_>) -> Outcome {
    cx.reserve(cx.vec(1).len().saturating_mul(8))?;
    let mut more = cx.take(1);
    // What nobody else has is moved over; unique values could not be copied.
    let more = more.vec_mut();
    more.reverse();
    let moved: Vec<Value> = std::iter::from_fn(|| more.pop()).collect();
    cx.vec_mut(0).extend(moved);
    Ok(Value::unit())
}

fn vec_clear(cx: &mut NativeCx<'_>) -> Outcome {
    if !cx.vec(0).is_empty() {
        let empty = Value::vec(cx.param_type(0), []);
        drop(cx.replace(0, empty));
    }
    Ok(Value::unit())
}

fn vec_truncate(cx: &mut NativeCx<'_>) -> Outcome {
    let n = size(cx.int(1), "the length")?;
    if n < cx.vec(0).len() {
        cx.vec_mut(0).truncate(n);
    }
    Ok(Value::unit())
}

fn vec_swap(cx: &mut NativeCx<'_>) -> Outcome {
    let len = cx.vec(0).len();
    let (i, j) = (inside(cx.int(1), len)?, inside(cx.int(2), len)?);
    cx.vec_mut(0).swap(i, j);
    Ok(Value::unit())
}

fn vec_reverse(cx: &mut NativeCx<'_>) -> Outcome {
    cx.vec_mut(0).reverse();
    Ok(Value::unit())
}

fn vec_get(cx: &NativeCx<'_>) -> Outcome {
    let item = usize::try_from(cx.int(1)).ok().and_then(|i| cx.vec(0).get(i)).map(ValueRef::to_owned);
    Ok(option(cx, item))
}

fn vec_slice(cx: &NativeCx<'_>) -> Outcome {
    let vec = cx.vec(0);
    let range = slice_range(cx.int(1), cx.int(2), vec.len(), "Vec")?;
    cx.reserve(range.len().saturating_mul(8))?;
    if !vec.elem().is_ref {
        return Ok(Value::vec_of_scalars(cx.ret_type(), vec.scalars()[range].to_vec()));
    }
    Ok(Value::vec(cx.ret_type(), vec.iter().skip(range.start).take(range.len()).map(ValueRef::to_owned)))
}

fn vec_concat(cx: &mut NativeCx<'_>) -> Outcome {
    cx.reserve((cx.vec(0).len() + cx.vec(1).len()).saturating_mul(8))?;
    let (mut left, right) = (cx.take(0), cx.take(1));
    left.vec_mut().extend_from(right.as_ref().vec());
    Ok(left)
}

fn vec_repeat(cx: &NativeCx<'_>) -> Outcome {
    let (vec, n) = (cx.vec(0), usize::try_from(cx.int(1)).unwrap_or(0));
    cx.reserve(vec.len().saturating_mul(8).saturating_mul(n))?;
    let mut out = Value::vec(cx.ret_type(), []);
    for _ in 0..if vec.is_empty() { 0 } else { n } {
        out.vec_mut().extend_from(vec);
    }
    Ok(out)
}

fn vec_reversed(cx: &mut NativeCx<'_>) -> Outcome {
    cx.reserve(cx.vec(0).len().saturating_mul(8))?;
    let mut out = cx.take(0);
    out.vec_mut().reverse();
    Ok(out)
}

fn map_new(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::map(cx.ret_type()))
}

fn map_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.map(0).len() as i64))
}

fn map_get(cx: &NativeCx<'_>) -> Outcome {
    Ok(option(cx, cx.map(0).get(cx.arg(1)).map(ValueRef::to_owned)))
}

fn map_index(cx: &NativeCx<'_>) -> Outcome {
    cx.map(0).get(cx.arg(1)).map(ValueRef::to_owned).ok_or_else(|| Fault::key(cx.arg(1)))
}

fn map_insert(cx: &mut NativeCx<'_>) -> Outcome {
    let (key, value) = (cx.take(1), cx.take(2));
    let old = cx.map_mut(0).insert(key, value);
    Ok(option(cx, old))
}

fn map_remove(cx: &mut NativeCx<'_>) -> Outcome {
    if !cx.map(0).contains(cx.arg(1)) {
        return Ok(option(cx, None));
    }
    let key = cx.take(1);
    let removed = cx.map_mut(0).remove(key.as_ref());
    Ok(option(cx, removed.map(|(_, value)| value)))
}

fn map_contains(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.map(0).contains(cx.arg(1))))
}

fn map_clear(cx: &mut NativeCx<'_>) -> Outcome {
    let empty = Value::map(cx.param_type(0));
    drop(cx.replace(0, empty));
    Ok(Value::unit())
}

fn map_keys(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.map(0).len().saturating_mul(8))?;
    Ok(Value::vec(cx.ret_type(), cx.map(0).iter().map(|(key, _)| key.to_owned())))
}

fn map_values(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.map(0).len().saturating_mul(8))?;
    Ok(Value::vec(cx.ret_type(), cx.map(0).iter().map(|(_, value)| value.to_owned())))
}

fn map_items(cx: &NativeCx<'_>) -> Outcome {
    // A slot and a pair of two fields behind its header.
    cx.reserve(cx.map(0).len().saturating_mul(8 + 32))?;
    let pair = cx.ret_type().elem();
    Ok(Value::vec(cx.ret_type(), cx.map(0).iter().map(|(k, v)| Value::fields(pair, [k.to_owned(), v.to_owned()]))))
}

fn map_from_items(cx: &NativeCx<'_>) -> Outcome {
    let mut map = Value::map(cx.ret_type());
    for pair in cx.vec(0).iter() {
        map.map_mut().insert(pair.field(0).to_owned(), pair.field(1).to_owned());
    }
    Ok(map)
}

fn set_new(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::map(cx.ret_type()))
}

fn set_from_vec(cx: &NativeCx<'_>) -> Outcome {
    let mut set = Value::map(cx.ret_type());
    let object = set.map_mut();
    for item in cx.vec(0).iter() {
        object.add(item.to_owned());
    }
    Ok(set)
}

fn set_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.map(0).len() as i64))
}

fn set_insert(cx: &mut NativeCx<'_>) -> Outcome {
    if cx.map(0).contains(cx.arg(1)) {
        return Ok(Value::bool(false));
    }
    let item = cx.take(1);
    Ok(Value::bool(cx.map_mut(0).add(item)))
}

fn set_remove(cx: &mut NativeCx<'_>) -> Outcome {
    if !cx.map(0).contains(cx.arg(1)) {
        return Ok(Value::bool(false));
    }
    let item = cx.take(1);
    Ok(Value::bool(cx.map_mut(0).remove(item.as_ref()).is_some()))
}

fn set_contains(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.map(0).contains(cx.arg(1))))
}

fn set_clear(cx: &mut NativeCx<'_>) -> Outcome {
    map_clear(cx)
}

fn set_to_vec(cx: &NativeCx<'_>) -> Outcome {
    map_keys(cx)
}

fn range_to_vec(cx: &NativeCx<'_>) -> Outcome {
    let range = cx.arg(0);
    let (start, end) = (i128::from(range.field(0).int()), i128::from(range.field(1).int()));
    let end = end + i128::from(range.field(2).bool());
    let n = usize::try_from((end - start).max(0)).unwrap_or(usize::MAX);
    cx.reserve(n.saturating_mul(8))?;
    Ok(Value::vec_of_scalars(cx.ret_type(), (start..end).map(|x| x as i64 as u64).collect()))
}
