//! Operators on plain numbers, texts, lists and dicts: the Python around the tensors.

use super::args::{Args, OpResult};
use crate::pairs::Pairs;
use crate::value::{MAX_ITEMS, MAX_TEXT, Value};
use stark_kernels::Scalar;

/// Two plain numbers of one kind, as Python's arithmetic would see them.
pub enum Pair {
    Ints(i64, i64),
    Floats(f64, f64),
}

/// `Some` when both are plain numbers, or one is and the other a tensor that a trace made of a number.
pub fn pair(a: &Value, b: &Value) -> Option<Pair> {
    let plain = |v: &Value| !matches!(v, Value::Tensor(_));
    if !plain(a) && !plain(b) {
        return None;
    }
    // A trace computes sizes on tensors of no dimensions. Here sizes are numbers, so a 0-dim integer
    // constant beside one is a number as well.
    let number = |v: &Value| match v {
        Value::Tensor(t) if t.rank() == 0 && t.dtype().is_int() => t.item().ok(),
        Value::Tensor(_) => None,
        other => other.scalar(),
    };
    match (number(a)?, number(b)?) {
        // That is a tensor of the default type, as `Args` makes it.
        (Scalar::Float(_), _) | (_, Scalar::Float(_)) if !(plain(a) && plain(b)) => None,
        (Scalar::Float(x), y) => Some(Pair::Floats(x, y.to_f64())),
        (x, Scalar::Float(y)) => Some(Pair::Floats(x.to_f64(), y)),
        (x, y) => Some(Pair::Ints(x.to_i64(), y.to_i64())),
    }
}

fn overflow() -> String {
    "the integer result does not fit in 64 bits".into()
}

pub fn add(a: &Value, b: &Value) -> Option<OpResult> {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => {
            if x.len() + y.len() > MAX_TEXT {
                return Some(Err(format!("a text of more than {MAX_TEXT} bytes")));
            }
            Some(Ok(Value::str(format!("{x}{y}"))))
        }
        (Value::List(x), Value::List(y)) => {
            let mut items = x.items().clone();
            items.extend(y.items().iter().cloned());
            Some(if items.len() > MAX_ITEMS { Err(too_long()) } else { Value::list(items) })
        }
        _ => Some(match pair(a, b)? {
            Pair::Ints(x, y) => x.checked_add(y).map(Value::Int).ok_or_else(overflow),
            Pair::Floats(x, y) => Ok(Value::Float(x + y)),
        }),
    }
}

pub fn sub(a: &Value, b: &Value) -> Option<OpResult> {
    Some(match pair(a, b)? {
        Pair::Ints(x, y) => x.checked_sub(y).map(Value::Int).ok_or_else(overflow),
        Pair::Floats(x, y) => Ok(Value::Float(x - y)),
    })
}

pub fn mul(a: &Value, b: &Value) -> Option<OpResult> {
    if let (Value::List(list), Value::Int(n)) | (Value::Int(n), Value::List(list)) = (a, b) {
        let items = list.items().clone();
        let n = usize::try_from(*n).unwrap_or(0);
        if items.len().saturating_mul(n) > MAX_ITEMS {
            return Some(Err(too_long()));
        }
        return Some(Value::list(items.iter().cycle().take(items.len() * n).cloned().collect()));
    }
    Some(match pair(a, b)? {
        Pair::Ints(x, y) => x.checked_mul(y).map(Value::Int).ok_or_else(overflow),
        Pair::Floats(x, y) => Ok(Value::Float(x * y)),
    })
}

/// Python's `/`.
pub fn div(a: &Value, b: &Value) -> Option<OpResult> {
    let (x, y) = match pair(a, b)? {
        Pair::Ints(x, y) => (x as f64, y as f64),
        Pair::Floats(x, y) => (x, y),
    };
    Some(if y == 0.0 { Err("division by zero".into()) } else { Ok(Value::Float(x / y)) })
}

/// Python's `//`: rounds down.
pub fn floor_div(a: &Value, b: &Value) -> Option<OpResult> {
    Some(match pair(a, b)? {
        Pair::Ints(_, 0) => Err("division by zero".into()),
        Pair::Ints(x, y) => match x.checked_div(y) {
            Some(q) if x % y != 0 && (x < 0) != (y < 0) => Ok(Value::Int(q - 1)),
            Some(q) => Ok(Value::Int(q)),
            None => Err(overflow()),
        },
        Pair::Floats(_, 0.0) => Err("division by zero".into()),
        Pair::Floats(x, y) => Ok(Value::Float((x / y).floor())),
    })
}

/// Python's `%`: the sign of the divisor.
pub fn remainder(a: &Value, b: &Value) -> Option<OpResult> {
    Some(match pair(a, b)? {
        Pair::Ints(_, 0) => Err("division by zero".into()),
        Pair::Ints(x, y) => match x.checked_rem(y) {
            Some(r) if r != 0 && (r < 0) != (y < 0) => Ok(Value::Int(r + y)),
            Some(r) => Ok(Value::Int(r)),
            None => Ok(Value::Int(0)),
        },
        Pair::Floats(_, 0.0) => Err("division by zero".into()),
        Pair::Floats(x, y) => Ok(Value::Float(x - (x / y).floor() * y)),
    })
}

pub fn pow(a: &Value, b: &Value) -> Option<OpResult> {
    Some(match pair(a, b)? {
        Pair::Ints(x, y) => match u32::try_from(y) {
            Ok(y) => x.checked_pow(y).map(Value::Int).ok_or_else(overflow),
            Err(_) => Ok(Value::Float((x as f64).powf(y as f64))),
        },
        Pair::Floats(x, y) => Ok(Value::Float(x.powf(y))),
    })
}

/// `<`, `==` and the like on numbers; texts compare too.
pub fn compare(a: &Value, b: &Value, holds: fn(std::cmp::Ordering) -> bool) -> Option<OpResult> {
    let ordering = match (a, b) {
        (Value::Str(x), Value::Str(y)) => Some(x.cmp(y)),
        _ => match pair(a, b)? {
            Pair::Ints(x, y) => Some(x.cmp(&y)),
            Pair::Floats(x, y) => x.partial_cmp(&y),
        },
    };
    Some(Ok(Value::Bool(ordering.is_some_and(holds))))
}

/// Equality of plain values, and of lists and tuples of them. `None` when a tensor is compared.
pub fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::None, Value::None) => Some(true),
        (Value::Str(x), Value::Str(y)) => Some(x == y),
        (Value::List(x), Value::List(y)) => {
            // Both may be the same list, so one is let go before the other is taken.
            let x = x.items().clone();
            let y = y.items().clone();
            equal_items(&x, &y)
        }
        (Value::Tuple(x), Value::Tuple(y)) => equal_items(&x.items, &y.items),
        (Value::None | Value::Str(_), other) | (other, Value::None | Value::Str(_))
            if !matches!(other, Value::Tensor(_)) =>
        {
            Some(false)
        }
        (Value::None, _) | (_, Value::None) => Some(false),
        _ => Some(match pair(a, b)? {
            Pair::Ints(x, y) => x == y,
            Pair::Floats(x, y) => x == y,
        }),
    }
}

/// Items that are themselves containers compare as unequal: comparing shared ones could take forever.
fn equal_items(x: &[Value], y: &[Value]) -> Option<bool> {
    let flat = |v: &Value| !matches!(v, Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Tensor(_));
    if x.len() != y.len() {
        return Some(false);
    }
    x.iter().zip(y).try_fold(true, |all, (a, b)| {
        if !flat(a) || !flat(b) {
            return None;
        }
        Some(all && equal(a, b)?)
    })
}

pub fn too_long() -> String {
    format!("a list of more than {MAX_ITEMS} items")
}

pub fn to_int(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Str(text) => text.trim().parse().map(Value::Int).map_err(|_| format!("`{text}` is no int")),
        Value::Float(x) if !x.is_finite() => Err(format!("{x} is no int")),
        _ => Ok(Value::Int(a.scalar(0)?.to_i64())),
    }
}

pub fn to_float(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Str(text) => text.trim().parse().map(Value::Float).map_err(|_| format!("`{text}` is no float")),
        _ => Ok(Value::Float(a.scalar(0)?.to_f64())),
    }
}

pub fn to_bool(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(match a.get(0) {
        Value::None => false,
        Value::Str(text) => !text.is_empty(),
        Value::List(list) => !list.items().is_empty(),
        Value::Dict(dict) => !dict.items().is_empty(),
        Value::Tuple(tuple) => !tuple.items.is_empty(),
        _ => a.scalar(0)?.to_bool(),
    }))
}

pub fn to_str(a: &Args<'_>) -> OpResult {
    Ok(Value::str(a.get(0).to_string()))
}

/// A number as the tensor that a trace would make of it. Integers stay numbers: they are sizes.
pub fn num_to_tensor(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        value @ (Value::Int(_) | Value::Bool(_)) => Ok(value.clone()),
        _ => Ok(Value::Tensor(a.tensor(0)?.into_owned())),
    }
}

/// What a member of an enum stands for, which is all that is kept of it.
pub fn enum_value(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        member @ (Value::Int(_) | Value::Float(_) | Value::Str(_)) => Ok(member.clone()),
        other => Err(format!("`value` of {}, which is no member of an enum", other.kind()).into()),
    }
}

pub fn is(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(same_object(a.get(0), a.get(1))))
}

pub fn is_not(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(!same_object(a.get(0), a.get(1))))
}

fn same_object(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        // Members of enums are their values.
        (Value::Int(x), Value::Int(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::List(x), Value::List(y)) => std::sync::Arc::ptr_eq(x, y),
        (Value::Dict(x), Value::Dict(y)) => std::sync::Arc::ptr_eq(x, y),
        _ => false,
    }
}

pub fn not(a: &Args<'_>) -> OpResult {
    match to_bool(a)? {
        Value::Bool(b) => Ok(Value::Bool(!b)),
        other => Err(format!("{} has no truth value", other.kind())),
    }
}

pub fn len(a: &Args<'_>) -> OpResult {
    let n = match a.get(0) {
        Value::List(list) => list.items().len(),
        Value::Dict(dict) => dict.items().len(),
        Value::Tuple(tuple) => tuple.items.len(),
        Value::Str(text) => text.chars().count(),
        Value::Tensor(t) => *t.shape().first().ok_or("a 0-dim tensor has no length")?,
        other => return Err(format!("{} has no length", other.kind())),
    };
    Ok(Value::Int(n as i64))
}

/// How many numbers `range(lo, hi, step)` has.
pub fn range_length(a: &Args<'_>) -> OpResult {
    let (lo, hi, step) = (i128::from(a.int(0)?), i128::from(a.int(1)?), i128::from(a.int(2)?));
    let n = match step {
        0 => return Err("range() arg 3 must not be zero".into()),
        1.. => (hi - lo + step - 1).div_euclid(step),
        _ => (lo - hi - step - 1).div_euclid(-step),
    };
    i64::try_from(n.max(0)).map(Value::Int).map_err(|_| overflow())
}

/// Number `index` of a range.
pub fn derive_index(a: &Args<'_>) -> OpResult {
    let number = i128::from(a.int(0)?) * i128::from(a.int(2)?) + i128::from(a.int(1)?);
    i64::try_from(number).map(Value::Int).map_err(|_| overflow())
}

/// `del self[key]`.
pub fn delete(a: &Args<'_>) -> OpResult {
    pop(a).map(|_| Value::None)
}

pub fn update(a: &Args<'_>) -> OpResult {
    let (Value::Dict(dict), Value::Dict(other)) = (a.get(0), a.get(1)) else { return Err("takes two dicts".into()) };
    let more = other.items().to_vec();
    // Before anything is locked: what is closed may be the dict itself.
    let depth = deepest(more.iter().map(|(_, value)| value))?;
    let mut items = dict.taking(depth)?;
    for (key, value) in more {
        put(&mut items, key, value)?;
    }
    Ok(Value::None)
}

/// Puts an item into a dict that is not full.
fn put(items: &mut Pairs, key: Value, value: Value) -> Result<(), String> {
    if items.len() >= MAX_ITEMS && items.get(&key).is_none() {
        return Err(too_long());
    }
    items.insert(key, value);
    Ok(())
}

/// InputType the first item that is equal out of a list.
pub fn remove(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(0) else { return Err(format!("removes from {}", a.get(0).kind())) };
    let mut items = list.items_mut()?;
    match items.iter().position(|item| item.same_key(a.get(1))) {
        Some(at) => drop(items.remove(at)),
        None => return Err(format!("the list has no item {}", a.get(1))),
    }
    Ok(Value::None)
}

pub fn count(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::List(list) => {
            let n = list.items().iter().filter(|item| item.same_key(a.get(1))).count();
            Ok(Value::Int(n as i64))
        }
        Value::Str(text) => match a.str(1)? {
            "" => Ok(Value::Int(text.chars().count() as i64 + 1)),
            part => Ok(Value::Int(text.matches(part).count() as i64)),
        },
        other => Err(format!("{} has no items", other.kind())),
    }
}

/// Numbers in order, or texts.
fn in_order(items: &mut [Value], reverse: bool) -> Result<(), String> {
    let plain = items.iter().all(|item| matches!(item, Value::Bool(_) | Value::Int(_) | Value::Float(_)));
    if !plain && !items.iter().all(|item| matches!(item, Value::Str(_))) {
        return Err("sorts lists of numbers and of texts".into());
    }
    let order = |x: &Value, y: &Value| match (x, y) {
        (Value::Str(x), Value::Str(y)) => x.cmp(y),
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        _ => {
            let number = |v: &Value| v.scalar().map_or(0.0, Scalar::to_f64);
            number(x).total_cmp(&number(y))
        }
    };
    items.sort_by(|x, y| if reverse { order(y, x) } else { order(x, y) });
    Ok(())
}

pub fn sorted(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(0) else { return Err(format!("sorts {}", a.get(0).kind())) };
    let mut items = list.items().clone();
    in_order(&mut items, false)?;
    Value::list(items)
}

/// `list.sort()`.
pub fn sort(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::List(list) => in_order(&mut list.items_mut()?, a.bool(1)?)?,
        // Of a tensor, nobody takes the result.
        Value::Tensor(_) => {}
        other => return Err(format!("sorts {}", other.kind())),
    }
    Ok(Value::None)
}

/// The numbers of a tensor as lists in lists; of none without dimensions the number.
pub fn tolist(a: &Args<'_>) -> OpResult {
    fn nested(numbers: &mut impl Iterator<Item = Scalar>, shape: &[usize]) -> OpResult {
        match shape {
            [] => Ok(numbers.next().map_or(Value::None, Value::from)),
            [n, rest @ ..] => Value::list((0..*n).map(|_| nested(numbers, rest)).collect::<Result<_, _>>()?),
        }
    }
    let t = a.tensor(0)?;
    // Rows without numbers are lists as well.
    let n_lists = t.shape().iter().take(t.rank().saturating_sub(1)).try_fold(1usize, |n, &size| n.checked_mul(size));
    if t.numel() > MAX_ITEMS || n_lists.is_none_or(|n| n > MAX_ITEMS) {
        return Err(too_long());
    }
    nested(&mut t.to_scalars().into_iter(), t.shape())
}

pub fn divmod(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.get(0), a.get(1));
    match (floor_div(x, y), remainder(x, y)) {
        (Some(quotient), Some(rest)) => Value::tuple(vec![quotient?, rest?]),
        _ => Err("takes two numbers".into()),
    }
}

pub fn join(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(1) else { return Err(format!("joins {}", a.get(1).kind())) };
    let mut out = String::new();
    for (idx, item) in list.items().iter().enumerate() {
        let Value::Str(text) = item else { return Err(format!("joins texts, not {}", item.kind())) };
        if idx > 0 {
            out.push_str(a.str(0)?);
        }
        out.push_str(text);
        if out.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
    }
    Ok(Value::str(out))
}

/// `template % values`, with the plain conversions `%s`, `%d` and `%i`, and `%%`.
pub fn percent_format(a: &Args<'_>) -> OpResult {
    let mut out = String::new();
    // Several values come as a tuple, as Python writes them.
    let given = a.values.get(1).copied();
    let many: Option<Vec<&Value>> = match given {
        Some(Value::Tuple(tuple)) if a.values[2..].iter().all(|value| value.is_none()) => {
            Some(tuple.items.iter().collect())
        }
        _ => None,
    };
    let mut values = many.as_deref().unwrap_or(&a.values[1..]).iter().copied();
    let mut chars = a.str(0)?.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('s') => out.push_str(&values.next().ok_or("too few values for the text")?.to_string()),
            Some('d' | 'i') => {
                let number = values.next().and_then(|value| value.scalar()).ok_or("%d takes a number")?;
                out.push_str(&number.to_i64().to_string());
            }
            Some(other) => return Err(format!("the conversion `%{other}` is not supported")),
            None => return Err("the text ends in `%`".into()),
        }
        if out.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
    }
    if many.is_some() && values.next().is_some() {
        return Err("not all values are named in the text".into());
    }
    Ok(Value::str(out))
}

/// Whether a value is of one of the types, which stand between `|`; `List:int` asks the first item as well.
pub fn is_instance(a: &Args<'_>) -> OpResult {
    fn is(value: &Value, ty: &str) -> bool {
        let (name, item) = ty.split_once(':').map_or((ty, None), |(name, item)| (name, Some(item)));
        match value {
            Value::None => name == "NoneType",
            Value::Bool(_) => name == "bool",
            Value::Int(_) => name == "int",
            Value::Float(_) => name == "float",
            Value::Str(_) => name == "str",
            Value::Tensor(_) | Value::Complex(_) | Value::Packed(_) | Value::Filter(_) | Value::Quantised(_) => {
                name == "Tensor"
            }
            // By the name of the type, and by Python's own word for it.
            Value::Tuple(_) => name == "Tuple" || name == "tuple",
            Value::Dict(_) => name == "Dict" || name == "dict",
            Value::List(list) => {
                let first = list.items().first().cloned();
                name == "list" || name == "List" && item.is_none_or(|item| first.is_none_or(|first| is(&first, item)))
            }
        }
    }
    let value = a.get(0);
    Ok(Value::Bool(a.str(1)?.split('|').any(|ty| is(value, ty))))
}

/// A position in `n` items, counted from the end when negative.
fn position(index: i64, n: usize) -> Result<usize, String> {
    let at = if index < 0 { index.checked_add(n as i64) } else { Some(index) };
    at.and_then(|at| usize::try_from(at).ok())
        .filter(|&at| at < n)
        .ok_or_else(|| format!("index {index} is out of range for {n} items"))
}

pub fn get_item(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Dict(dict) => dict.get(a.get(1)).ok_or_else(|| format!("the dict has no key {}", a.get(1))),
        Value::List(list) => {
            let items = list.items();
            Ok(items[position(a.int(1)?, items.len())?].clone())
        }
        Value::Tuple(tuple) => Ok(tuple.items[position(a.int(1)?, tuple.items.len())?].clone()),
        Value::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Ok(Value::str(chars[position(a.int(1)?, chars.len())?].to_string()))
        }
        Value::Tensor(t) => t.select(0, a.int(1)?).map(Value::Tensor).map_err(|e| e.to_string()),
        other => Err(format!("{} has no items", other.kind())),
    }
}

pub fn set_item(a: &Args<'_>) -> OpResult {
    let value = a.get(2);
    let depth = value.close_as_item()?;
    match a.get(0) {
        Value::List(list) => {
            let mut items = list.taking(depth)?;
            let at = position(a.int(1)?, items.len())?;
            items[at] = value.clone();
        }
        Value::Dict(dict) => {
            let key = a.get(1);
            put(&mut *dict.taking(depth)?, key.clone(), value.clone())?;
        }
        other => return Err(format!("sets an item of {}", other.kind())),
    }
    Ok(Value::None)
}

pub fn append(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(0) else { return Err(format!("appends to {}", a.get(0).kind())) };
    let mut items = list.taking(a.get(1).close_as_item()?)?;
    if items.len() >= MAX_ITEMS {
        return Err(too_long());
    }
    items.push(a.get(1).clone());
    drop(items);
    Ok(a.get(0).clone())
}

/// Closes what a list or dict takes, and gives how deep the deepest of it nests.
pub fn deepest<'a>(taken: impl Iterator<Item = &'a Value>) -> Result<u8, String> {
    taken.map(Value::close_as_item).try_fold(0, |deepest, depth| Ok(deepest.max(depth?)))
}

pub fn extend(a: &Args<'_>) -> OpResult {
    let (Value::List(list), Value::List(more)) = (a.get(0), a.get(1)) else {
        return Err("takes two lists".into());
    };
    let more = more.items().clone();
    let mut items = list.taking(deepest(more.iter())?)?;
    if items.len() + more.len() > MAX_ITEMS {
        return Err(too_long());
    }
    items.extend(more);
    Ok(Value::None)
}

pub fn insert(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(0) else { return Err(format!("inserts into {}", a.get(0).kind())) };
    let mut items = list.taking(a.get(2).close_as_item()?)?;
    if items.len() >= MAX_ITEMS {
        return Err(too_long());
    }
    let n = items.len() as i64;
    let at = a.int(1)?;
    let at = if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
    items.insert(at as usize, a.get(2).clone());
    Ok(Value::None)
}

pub fn pop(a: &Args<'_>) -> OpResult {
    if let Value::Dict(dict) = a.get(0) {
        return match dict.items_mut()?.remove(a.get(1)) {
            Some(value) => Ok(value),
            None if !a.is_none(2) => Ok(a.get(2).clone()),
            None => Err(format!("the dict has no key {}", a.get(1))),
        };
    }
    let Value::List(list) = a.get(0) else { return Err(format!("pops from {}", a.get(0).kind())) };
    let mut items = list.items_mut()?;
    let at = position(a.int(1)?, items.len())?;
    Ok(items.remove(at))
}

/// InputType the oldest pair out of a dict.
pub fn pop_item(a: &Args<'_>) -> OpResult {
    let oldest = dict(a)?.items_mut()?.remove_first();
    let (key, value) = oldest.ok_or("the dict is empty")?;
    Value::tuple(vec![key, value])
}

pub fn clear(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::List(list) => list.items_mut()?.clear(),
        Value::Dict(dict) => dict.items_mut()?.clear(),
        other => return Err(format!("clears {}", other.kind())),
    }
    Ok(Value::None)
}

pub fn reverse(a: &Args<'_>) -> OpResult {
    let Value::List(list) = a.get(0) else { return Err(format!("reverses {}", a.get(0).kind())) };
    list.items_mut()?.reverse();
    Ok(Value::None)
}

pub fn contains(a: &Args<'_>) -> OpResult {
    let key = a.get(1);
    Ok(Value::Bool(match a.get(0) {
        Value::Dict(dict) => dict.get(key).is_some(),
        Value::List(list) => list.items().iter().any(|item| item.same_key(key)),
        Value::Str(text) => text.contains(a.str(1)?),
        other => return Err(format!("{} contains nothing", other.kind())),
    }))
}

pub fn list(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::List(list) => {
            let items = list.items().clone();
            Value::list(items)
        }
        Value::Tuple(tuple) => Value::list(tuple.items.clone()),
        Value::Str(text) => Value::list(text.chars().map(|c| Value::str(c.to_string())).collect()),
        other => Err(format!("{} is no list", other.kind())),
    }
}

/// `dict` of a dict, or of a list of pairs.
pub fn dict_of(a: &Args<'_>) -> OpResult {
    let pairs = match a.get(0) {
        Value::Dict(dict) => return Value::dict(dict.items().to_vec()),
        Value::List(list) => list.items().clone(),
        other => return Err(format!("{} is neither a dict nor a list of pairs", other.kind())),
    };
    let pair = |item: &Value| match item {
        Value::Tuple(pair) if pair.items.len() == 2 => Ok((pair.items[0].clone(), pair.items[1].clone())),
        other => Err(format!("{} is no pair", other.kind())),
    };
    Value::dict(pairs.iter().map(pair).collect::<Result<_, _>>()?)
}

fn dict<'a>(a: &Args<'a>) -> Result<&'a crate::value::Dict, String> {
    match a.get(0) {
        Value::Dict(dict) => Ok(dict),
        other => Err(format!("argument `self` is {}, not a dict", other.kind())),
    }
}

pub fn keys(a: &Args<'_>) -> OpResult {
    let items = dict(a)?.items().iter().map(|(k, _)| k.clone()).collect();
    Value::list(items)
}

pub fn values(a: &Args<'_>) -> OpResult {
    let items = dict(a)?.items().iter().map(|(_, v)| v.clone()).collect();
    Value::list(items)
}

pub fn items(a: &Args<'_>) -> OpResult {
    let pairs =
        dict(a)?.items().iter().map(|(k, v)| Value::tuple(vec![k.clone(), v.clone()])).collect::<Result<_, _>>();
    Value::list(pairs?)
}

pub fn get(a: &Args<'_>) -> OpResult {
    Ok(dict(a)?.get(a.get(1)).unwrap_or_else(|| a.get(2).clone()))
}

/// The value of a key, which is `default` from now on when the dict has none.
pub fn set_default(a: &Args<'_>) -> OpResult {
    if let Some(known) = dict(a)?.get(a.get(1)) {
        return Ok(known);
    }
    set_item(a)?;
    Ok(a.get(2).clone())
}

/// Slice of a list or text by Python's rules.
pub fn slice(value: &Value, start: Option<i64>, end: Option<i64>, step: i64) -> OpResult {
    let picks = |n: usize| -> Result<Vec<usize>, String> {
        let n = n as i64;
        // A step back begins at the last and ends before the first.
        let (low, high) = match step {
            0 => return Err("a slice of step 0".into()),
            1.. => (0, n),
            _ => (-1, n - 1),
        };
        let clip = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(low, high);
        let (first, last) = if step > 0 { (low, high) } else { (high, low) };
        let (mut at, end) = (start.map_or(first, clip), end.map_or(last, clip));
        let mut places = Vec::new();
        while if step > 0 { at < end } else { at > end } {
            places.push(at as usize);
            at = at.saturating_add(step);
        }
        Ok(places)
    };
    match value {
        Value::List(list) => {
            let items = list.items().clone();
            Value::list(picks(items.len())?.into_iter().map(|at| items[at].clone()).collect())
        }
        Value::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Ok(Value::str(picks(chars.len())?.into_iter().map(|at| chars[at]).collect::<String>()))
        }
        other => Err(format!("{} has no slices", other.kind())),
    }
}

/// `"… {} …"` with its arguments, which follow in order.
pub fn format(a: &Args<'_>) -> OpResult {
    let template = a.str(0)?;
    let mut out = String::new();
    let mut parts = template.split("{}");
    out.push_str(parts.next().unwrap_or_default());
    for (idx, part) in parts.enumerate() {
        match a.values.get(idx + 1) {
            Some(value) => out.push_str(&value.to_string()),
            None => out.push_str("{}"),
        }
        out.push_str(part);
        if out.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes"));
        }
    }
    Ok(Value::str(out))
}

/// The larger (or smaller) of two numbers, or of the numbers of a list.
pub fn extreme(a: &Args<'_>, larger: bool) -> OpResult {
    let better = |x: Scalar, y: Scalar| (y.to_f64() > x.to_f64()) == larger && x.to_f64() != y.to_f64();
    let numbers: Vec<Scalar> = match a.get(0) {
        Value::List(list) if a.is_none(1) => list.items().iter().filter_map(Value::scalar).collect(),
        _ => vec![a.scalar(0)?, a.scalar(1)?],
    };
    let best = numbers.into_iter().reduce(|x, y| if better(x, y) { y } else { x });
    best.map(Value::from).ok_or_else(|| "an empty list has no extreme".into())
}

pub fn prim_max(a: &Args<'_>) -> OpResult {
    extreme(a, true)
}

pub fn prim_min(a: &Args<'_>) -> OpResult {
    extreme(a, false)
}

/// A function of one float.
pub fn math(a: &Args<'_>, f: fn(f64) -> f64) -> OpResult {
    Ok(Value::Float(f(a.float(0)?)))
}
