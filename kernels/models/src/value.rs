//! What flows through a running model: tensors, and the small change of Python around them.
//!
//! Values never form cycles and nest hardly deeper than [`MAX_DEPTH`], so dropping one needs little native
//! stack whatever the model's code does: a list that becomes an item of another one is closed, and takes nothing any more
//! that nests as deep as it does.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ops::quantised::Quantised;
use crate::pairs::Pairs;
use stark_kernels::ops::{PackedFilter, PackedMatrix};
use stark_kernels::{DType, Scalar, Tensor};

/// How deep tuples, lists and dicts may nest.
pub const MAX_DEPTH: u8 = 32;
/// How deep an item of a growing list may nest.
const MAX_ITEM_DEPTH: u8 = 4;
/// How many items a list or dict may have.
pub const MAX_ITEMS: usize = 1 << 20;
/// How long a text may get, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// An input, an output, or anything between them.
#[derive(Clone)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Tensor(Tensor),
    /// A tensor of complex numbers, as real and imaginary part, which have one shape.
    Complex(Arc<(Tensor, Tensor)>),
    /// A tensor of bytes with a scale and a zero point.
    Quantised(Arc<Quantised>),
    /// A weight that the optimiser packed. Only constants of a model are this.
    Packed(Arc<PackedMatrix>),
    /// The weights of a convolution, packed. Only constants of a model are this.
    Filter(Arc<PackedFilter>),
    Tuple(Arc<Tuple>),
    /// Shared: who appends is seen by all who hold it.
    List(Arc<List>),
    Dict(Arc<Dict>),
}

/// Items that never change.
#[derive(Debug)]
pub struct Tuple {
    pub items: Vec<Value>,
    cover: Cover,
}

impl Tuple {
    /// The same tuple with these items, which are of the same kinds.
    pub(crate) fn with(&self, items: Vec<Value>) -> Tuple {
        Tuple { items, cover: Cover::new(self.cover.depth(), false, self.cover.is_closed()) }
    }
}

/// Items that can change.
#[derive(Debug)]
pub struct List {
    items: Mutex<Vec<Value>>,
    cover: Cover,
}

/// Items in order of insertion.
#[derive(Debug)]
pub struct Dict {
    items: Mutex<Pairs>,
    cover: Cover,
}

/// What is known about the items of a tuple, list or dict.
#[derive(Debug)]
struct Cover {
    /// How deep values nest, counted when the container was made or closed.
    depth: AtomicU8,
    /// Part of the model.
    frozen: bool,
    /// No item comes that nests as deep as this, and all containers inside are closed too.
    closed: AtomicBool,
}

impl Cover {
    fn new(depth: u8, frozen: bool, closed: bool) -> Cover {
        Cover { depth: AtomicU8::new(depth), frozen, closed: AtomicBool::new(closed) }
    }

    // Relaxed: the values of a run stay on its thread, and what is shared between runs was closed when it was made.
    fn depth(&self) -> u8 {
        self.depth.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn close(&self, depth: u8) {
        self.depth.store(depth, Ordering::Relaxed);
        self.closed.store(true, Ordering::Relaxed);
    }

    fn may_take(&self, depth: u8) -> Result<(), String> {
        match (self.frozen, self.is_closed()) {
            (true, _) => Err("the model changes its own state, but loaded models are immutable".into()),
            (false, true) if depth > 0 && depth >= self.depth() => {
                Err("a list or dict that became an item of another one cannot take one that nests as deep".into())
            }
            _ => Ok(()),
        }
    }
}

impl List {
    pub fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the list is part of the model.
    pub fn is_frozen(&self) -> bool {
        self.cover.frozen
    }

    /// For removing and rearranging items.
    pub fn items_mut(&self) -> Result<MutexGuard<'_, Vec<Value>>, String> {
        self.taking(0)
    }

    /// For taking items that nest so deep ([`Value::close_as_item`]): refused when the list is closed and they nest
    /// deeper than what it had then.
    pub fn taking(&self, depth: u8) -> Result<MutexGuard<'_, Vec<Value>>, String> {
        self.cover.may_take(depth).map(|()| self.items())
    }
}

impl Dict {
    pub fn items(&self) -> MutexGuard<'_, Pairs> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the dict is part of the model.
    pub fn is_frozen(&self) -> bool {
        self.cover.frozen
    }

    /// For removing items.
    pub fn items_mut(&self) -> Result<MutexGuard<'_, Pairs>, String> {
        self.taking(0)
    }

    /// As [`List::taking`].
    pub fn taking(&self, depth: u8) -> Result<MutexGuard<'_, Pairs>, String> {
        self.cover.may_take(depth).map(|()| self.items())
    }

    pub fn get(&self, key: &Value) -> Option<Value> {
        self.items().get(key).cloned()
    }
}

impl Value {
    /// Whether both are the same plain constant, bit for bit.
    pub(crate) fn is_same_plain(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Bool(x), Value::Bool(y)) => x == y,
            (Value::Int(x), Value::Int(y)) => x == y,
            (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
            (Value::Str(x), Value::Str(y)) => x == y,
            _ => false,
        }
    }

    pub fn str(text: impl Into<Arc<str>>) -> Value {
        Value::Str(text.into())
    }

    pub fn tuple(items: Vec<Value>) -> Result<Value, String> {
        let depth = depth_over(items.iter())?;
        let closed = items.iter().all(Value::is_closed);
        Ok(Value::Tuple(Arc::new(Tuple { items, cover: Cover::new(depth, false, closed) })))
    }

    pub fn list(items: Vec<Value>) -> Result<Value, String> {
        let depth = depth_over(items.iter())?;
        Ok(Value::List(Arc::new(List { items: Mutex::new(items), cover: Cover::new(depth, false, false) })))
    }

    /// A list that is part of the model and cannot change.
    pub fn frozen_list(items: Vec<Value>) -> Result<Value, String> {
        let depth = depth_over(items.iter())?;
        let closed = items.iter().all(Value::is_closed);
        Ok(Value::List(Arc::new(List { items: Mutex::new(items), cover: Cover::new(depth, true, closed) })))
    }

    pub fn dict(items: Vec<(Value, Value)>) -> Result<Value, String> {
        Value::new_dict(items, false)
    }

    /// A dict that is part of the model and cannot change.
    pub fn frozen_dict(items: Vec<(Value, Value)>) -> Result<Value, String> {
        Value::new_dict(items, true)
    }

    fn new_dict(items: Vec<(Value, Value)>, frozen: bool) -> Result<Value, String> {
        let depth = depth_over(items.iter().map(|(_, v)| v))?;
        let unique: Pairs = items.into_iter().collect();
        let closed = frozen && unique.iter().all(|(_, value)| value.is_closed());
        Ok(Value::Dict(Arc::new(Dict { items: Mutex::new(unique), cover: Cover::new(depth, frozen, closed) })))
    }

    /// Makes this an item that a list or dict may take, and gives how deep it nests. Lists and dicts inside are closed
    /// for that: from then on they take only what nests less deep than they do, so that no container ever holds itself
    /// and depths stay what they are.
    pub fn close_as_item(&self) -> Result<u8, String> {
        match self.close()? {
            depth @ 0..=MAX_ITEM_DEPTH => Ok(depth),
            depth => Err(format!("an item nests {depth} deep, {MAX_ITEM_DEPTH} is the limit")),
        }
    }

    /// Closes all containers inside; gives how deep they nest. What is not closed nests no deeper than [`MAX_DEPTH`]
    /// and [`MAX_ITEM_DEPTH`] together, as all that it has taken is closed.
    fn close(&self) -> Result<u8, String> {
        let deepest = |all: &mut dyn Iterator<Item = &Value>| -> Result<u8, String> {
            let mut deepest = 0;
            for value in all {
                deepest = deepest.max(value.close()?);
            }
            Ok(deepest + 1)
        };
        match self {
            _ if self.is_closed() => Ok(self.depth()),
            Value::Tuple(tuple) => {
                let depth = deepest(&mut tuple.items.iter())?;
                tuple.cover.close(depth);
                Ok(depth)
            }
            Value::List(list) => {
                let depth = deepest(&mut list.items().iter())?;
                list.cover.close(depth);
                Ok(depth)
            }
            Value::Dict(dict) => {
                let depth = deepest(&mut dict.items().iter().map(|(_, value)| value))?;
                dict.cover.close(depth);
                Ok(depth)
            }
            _ => Ok(0),
        }
    }

    fn depth(&self) -> u8 {
        match self {
            Value::Tuple(tuple) => tuple.cover.depth(),
            Value::List(list) => list.cover.depth(),
            Value::Dict(dict) => dict.cover.depth(),
            _ => 0,
        }
    }

    /// Whether all containers inside are closed.
    fn is_closed(&self) -> bool {
        match self {
            Value::Tuple(tuple) => tuple.cover.is_closed(),
            Value::List(list) => list.cover.is_closed(),
            Value::Dict(dict) => dict.cover.is_closed(),
            _ => true,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Float(_) => "a float",
            Value::Str(_) => "a str",
            Value::Tensor(_) => "a tensor",
            Value::Complex(_) => "a complex tensor",
            Value::Quantised(_) => "a quantised tensor",
            Value::Packed(_) => "a packed matrix",
            Value::Filter(_) => "a packed filter",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dict",
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// Equality of dict keys: texts, numbers and bools.
    pub fn same_key(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            _ => false,
        }
    }

    /// The number of a plain number or of a tensor with one element.
    pub fn scalar(&self) -> Option<Scalar> {
        match self {
            Value::Bool(b) => Some(Scalar::Bool(*b)),
            Value::Int(i) => Some(Scalar::Int(*i)),
            Value::Float(f) => Some(Scalar::Float(*f)),
            Value::Tensor(t) => t.item().ok(),
            _ => None,
        }
    }

    /// The tensors inside, in order.
    pub fn tensors(&self) -> Vec<Tensor> {
        // Depth is bounded by `MAX_DEPTH`.
        fn collect(value: &Value, out: &mut Vec<Tensor>) {
            match value {
                Value::Tensor(t) => out.push(t.clone()),
                Value::Tuple(tuple) => tuple.items.iter().for_each(|item| collect(item, out)),
                Value::List(list) => list.items().iter().for_each(|item| collect(item, out)),
                Value::Dict(dict) => dict.items().iter().for_each(|(_, item)| collect(item, out)),
                _ => {}
            }
        }
        let mut out = Vec::new();
        collect(self, &mut out);
        out
    }

    /// A tensor as it is; a plain number as the 0-dim tensor that a trace would have made of it.
    pub fn to_tensor(&self) -> Option<Tensor> {
        match self {
            Value::Tensor(t) => Some(t.clone()),
            Value::Quantised(tensor) => Some(tensor.values.clone()),
            Value::Bool(b) => Tensor::full(&[], *b, DType::Bool).ok(),
            Value::Int(i) => Tensor::full(&[], *i, DType::I64).ok(),
            Value::Float(f) => Tensor::full(&[], *f, DType::F64).ok(),
            _ => None,
        }
    }
}

/// The model's lists and dicts as a run may change them: one that is in two places is so in the copies.
#[derive(Default)]
pub(crate) struct Copies(HashMap<usize, Value>);

impl Copies {
    /// Tensors are shared: who changes one makes another of it. Depth is bounded by that of values.
    pub fn of(&mut self, value: &Value) -> Result<Value, String> {
        let address = match value {
            Value::Tuple(tuple) => Arc::as_ptr(tuple).addr(),
            Value::List(list) => Arc::as_ptr(list).addr(),
            Value::Dict(dict) => Arc::as_ptr(dict).addr(),
            other => return Ok(other.clone()),
        };
        if let Some(copy) = self.0.get(&address) {
            return Ok(copy.clone());
        }
        let mut all = |items: &[Value]| items.iter().map(|item| self.of(item)).collect::<Result<Vec<_>, String>>();
        let copy = match value {
            Value::Tuple(tuple) => Value::tuple(all(&tuple.items)?)?,
            Value::List(list) => Value::list(all(&list.items())?)?,
            Value::Dict(dict) => {
                let items = dict.items().to_vec().into_iter();
                Value::dict(items.map(|(key, item)| Ok((key, self.of(&item)?))).collect::<Result<_, String>>()?)?
            }
            other => other.clone(),
        };
        self.0.insert(address, copy.clone());
        Ok(copy)
    }
}

fn depth_over<'a>(items: impl Iterator<Item = &'a Value>) -> Result<u8, String> {
    let depth = items.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH { Err(format!("values nest deeper than {MAX_DEPTH}")) } else { Ok(depth) }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Value {
        Value::Tensor(tensor)
    }
}

impl From<Scalar> for Value {
    fn from(scalar: Scalar) -> Value {
        match scalar {
            Scalar::Bool(b) => Value::Bool(b),
            Scalar::Int(i) => Value::Int(i),
            Scalar::Float(f) => Value::Float(f),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// As Python's `str` prints it; tensors by dtype and shape, containers by size.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Str(text) => f.write_str(text),
            Value::Tensor(t) => write!(f, "Tensor<{}>{:?}", t.dtype(), t.shape()),
            Value::Quantised(tensor) => write!(f, "Quantised{:?}", tensor.values.shape()),
            Value::Packed(matrix) => write!(f, "Packed{:?}", matrix.shape()),
            Value::Filter(filter) => write!(f, "Packed{:?}", filter.shape()),
            Value::Complex(parts) => write!(f, "Tensor<Complex64>{:?}", parts.0.shape()),
            Value::Tuple(tuple) => show_scalars(f, '(', tuple.items.iter(), ')'),
            Value::List(list) => show_scalars(f, '[', list.items().iter(), ']'),
            Value::Dict(dict) => write!(f, "{{{} items}}", dict.items().len()),
        }
    }
}

/// Nested containers are only counted, so a shared one is not printed exponentially often.
fn show_scalars<'a>(
    f: &mut fmt::Formatter<'_>,
    open: char,
    items: impl ExactSizeIterator<Item = &'a Value>,
    close: char,
) -> fmt::Result {
    const SHOWN: usize = 64;
    let n = items.len();
    write!(f, "{open}")?;
    for (idx, item) in items.take(SHOWN).enumerate() {
        let separator = if idx == 0 { "" } else { ", " };
        match item {
            Value::Tuple(_) | Value::List(_) | Value::Dict(_) => write!(f, "{separator}{}", item.kind())?,
            item => write!(f, "{separator}{item}")?,
        }
    }
    if n > SHOWN {
        write!(f, ", … {n} items")?;
    }
    write!(f, "{close}")
}
