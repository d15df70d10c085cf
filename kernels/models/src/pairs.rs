//! The items of a script's dict: in order of insertion, and found by their keys' hashes.
//!
//! A short dict is searched from end to end, which is quicker than hashing; from [`INDEXED`] items on a map says where each
//! key's item is. The map's hashes differ from process to process, so that no file can choose keys that collide.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::value::Value;

/// From how many items on there is an index. A guess: comparing some sixteen keys takes about as long as hashing one.
const INDEXED: usize = 16;

/// Pairs with different keys.
#[derive(Debug, Default)]
pub struct Pairs {
    items: Vec<(Value, Value)>,
    /// Where the item of each key is, once there were many.
    index: Option<HashMap<Key, usize>>,
}

/// A key that [`Value::same_key`] can find: equal to another exactly where that says so.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Str(Arc<str>),
    Int(i64),
    Bool(bool),
    /// The bits of a number; both zeros are one key.
    Float(u64),
}

impl Key {
    /// `None` for what equals nothing, itself included: NaN, and what is neither a text, a number nor a bool.
    fn of(value: &Value) -> Option<Key> {
        Some(match value {
            Value::Str(text) => Key::Str(text.clone()),
            Value::Int(i) => Key::Int(*i),
            Value::Bool(b) => Key::Bool(*b),
            Value::Float(x) if x.is_nan() => return None,
            Value::Float(x) => Key::Float(if *x == 0.0 { 0 } else { x.to_bits() }),
            _ => return None,
        })
    }
}

/// Read as a slice; keys never change in place.
impl Deref for Pairs {
    type Target = [(Value, Value)];

    fn deref(&self) -> &[(Value, Value)] {
        &self.items
    }
}

impl FromIterator<(Value, Value)> for Pairs {
    /// Of equal keys the last one's value stays, at the place of the first.
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(items: I) -> Pairs {
        let mut pairs = Pairs::default();
        items.into_iter().for_each(|(key, value)| pairs.insert(key, value));
        pairs
    }
}

impl Pairs {
    /// Where the item of this key is.
    fn find(&self, key: &Value) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&Key::of(key)?).copied(),
            None => self.items.iter().position(|(k, _)| k.same_key(key)),
        }
    }

    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.find(key).map(|at| &self.items[at].1)
    }

    pub fn insert(&mut self, key: Value, value: Value) {
        if let Some(at) = self.find(&key) {
            self.items[at].1 = value;
            return;
        }
        if let Some(index) = &mut self.index {
            index.extend(Key::of(&key).map(|key| (key, self.items.len())));
        }
        self.items.push((key, value));
        if self.index.is_none() && self.items.len() >= INDEXED {
            let keys = self.items.iter().enumerate();
            self.index = Some(keys.filter_map(|(at, (key, _))| Key::of(key).map(|key| (key, at))).collect());
        }
    }

    /// InputType an item out; those behind it move up.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        self.find(key).map(|at| self.remove_at(at).1)
    }

    /// InputType the oldest item out.
    pub fn remove_first(&mut self) -> Option<(Value, Value)> {
        if self.items.is_empty() { None } else { Some(self.remove_at(0)) }
    }

    fn remove_at(&mut self, at: usize) -> (Value, Value) {
        let (key, value) = self.items.remove(at);
        if let Some(index) = &mut self.index {
            Key::of(&key).map(|key| index.remove(&key));
            index.values_mut().filter(|place| **place > at).for_each(|place| *place -= 1);
        }
        (key, value)
    }

    pub fn clear(&mut self) {
        self.items.clear();
        self.index = None;
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.items.iter_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(i: i64) -> Value {
        Value::Int(i)
    }

    /// What a dict does is the same with few items and with many.
    #[test]
    fn items_are_found_replaced_and_removed() {
        for n in [3, 15, 16, 17, 500] {
            let mut pairs: Pairs = (0..n).map(|i| (number(i), number(i * 2))).collect();
            pairs.insert(number(1), number(-1));
            assert_eq!(pairs.len(), n as usize);
            assert_eq!(pairs[1].1.scalar(), number(-1).scalar(), "the place stays");
            assert_eq!(pairs.remove(&number(1)).and_then(|v| v.scalar()), number(-1).scalar());
            assert!(pairs.remove(&number(1)).is_none());
            for i in (0..n).filter(|&i| i != 1) {
                assert_eq!(pairs.get(&number(i)).and_then(Value::scalar), number(i * 2).scalar(), "{i} of {n}");
            }
            assert_eq!(pairs.remove_first().and_then(|(key, _)| key.scalar()), number(0).scalar());
            assert_eq!(pairs.get(&number(2)).and_then(Value::scalar), number(4).scalar());
            pairs.clear();
            assert!(pairs.remove_first().is_none() && pairs.get(&number(2)).is_none());
            pairs.insert(number(2), number(3));
            assert_eq!(pairs.get(&number(2)).and_then(Value::scalar), number(3).scalar());
        }
    }

    /// Every pair of keys is one key or two, as `same_key` has it, with an index too.
    #[test]
    fn keys_are_equal_as_python_has_it_within_a_kind() {
        let keys = [
            Value::str("1"),
            Value::Int(1),
            Value::Bool(true),
            Value::Float(1.0),
            Value::Float(0.0),
            Value::Float(-0.0),
            Value::Float(f64::NAN),
            Value::None,
        ];
        for first in &keys {
            for second in &keys {
                let mut pairs: Pairs = (0..40).map(|i| (Value::str(format!("key {i}")), Value::None)).collect();
                pairs.insert(first.clone(), Value::Int(1));
                assert_eq!(pairs.get(second).is_some(), first.same_key(second), "{first} and {second}");
            }
        }
    }
}
