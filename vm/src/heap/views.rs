//! Text, bytes, vectors and maps as natives see them: checked, typed, and charged for what they grow.

use super::object::*;
use super::*;
use crate::value::{Value, ValueRef};
use std::cmp::Ordering;

impl StrObj {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Number of characters; counted once.
    pub fn n_chars(&self) -> usize {
        if self.n_chars.get() == UNKNOWN {
            // Immortal text came with its count, so this never writes to what other threads read.
            self.n_chars.set(if self.text.is_ascii() { self.text.len() } else { self.text.chars().count() });
        }
        self.n_chars.get()
    }

    /// The byte offset of character `idx`; the length in bytes for `n_chars`; `None` beyond. Constant for ASCII, and
    /// linear over a whole left-to-right scan, since the search starts where the last one ended.
    pub fn byte_offset(&self, idx: usize) -> Option<usize> {
        let n_chars = self.n_chars();
        if idx > n_chars {
            return None;
        }
        if n_chars == self.text.len() {
            return Some(idx);
        }
        if idx == n_chars {
            return Some(self.text.len());
        }
        let is_immortal = self.header.rc >= IMMORTAL;
        let (at, offset) = if is_immortal { (0, 0) } else { self.scan.get() };
        let (mut at, mut offset) = (at as usize, offset as usize);
        if idx < at {
            (at, offset) = (0, 0);
        }
        if let Some((step, _)) = self.text[offset..].char_indices().nth(idx - at) {
            offset += step;
            at = idx;
        }
        if let (false, Ok(at), Ok(offset)) = (is_immortal, u32::try_from(at), u32::try_from(offset)) {
            self.scan.set((at, offset));
        }
        Some(offset)
    }

    pub fn push_str(&mut self, more: &str) {
        let n_chars = self.n_chars.get();
        let before = self.text.n_outside();
        self.text.to_mut().push_str(more);
        meter::resize(before, self.text.n_outside());
        self.n_chars.set(UNKNOWN);
        self.scan.set((0, 0));
        if n_chars != UNKNOWN && more.is_ascii() {
            self.n_chars.set(n_chars + more.len());
        }
    }
}

impl BytesObj {
    pub fn change<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let before = self.bytes.n_outside();
        let result = change(self.bytes.to_mut());
        meter::resize(before, self.bytes.n_outside());
        result
    }
}

impl VecObj {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn elem(&self) -> &'static TypeInfo {
        self.header.info.elem()
    }

    pub fn get(&self, i: usize) -> Option<ValueRef<'_>> {
        self.items.get(i).map(|&bits| ValueRef::from_raw(bits, self.elem()))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ValueRef<'_>> + ExactSizeIterator {
        let elem = self.elem();
        self.items.iter().map(move |&bits| ValueRef::from_raw(bits, elem))
    }

    /// The bits of scalar elements.
    pub fn scalars(&self) -> &[u64] {
        assert!(!self.elem().is_ref, "{:?} does not hold scalars", self.header.info);
        &self.items
    }

    /// The bits of scalar elements, for changing them (each must stay in range for its type).
    pub fn scalars_mut(&mut self) -> &mut [u64] {
        assert!(!self.elem().is_ref, "{:?} does not hold scalars", self.header.info);
        &mut self.items
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Vec<u64>) -> R) -> R {
        let before = self.items.capacity() * 8;
        let result = change(&mut self.items);
        meter::resize(before, self.items.capacity() * 8);
        result
    }

    pub fn push(&mut self, value: Value) {
        let slot = value.into_slot(self.elem());
        self.change(|items| items.push(slot));
    }

    /// Puts `value` at position `i`, which is at most the length.
    pub fn insert(&mut self, i: usize, value: Value) {
        let slot = value.into_slot(self.elem());
        self.change(|items| items.insert(i, slot));
    }

    pub fn pop(&mut self) -> Option<Value> {
        let elem = self.elem();
        self.items.pop().map(|bits| Value::from_raw(bits, elem))
    }

    /// Takes out position `i`, which must be there.
    pub fn remove(&mut self, i: usize) -> Value {
        let elem = self.elem();
        Value::from_raw(self.items.remove(i), elem)
    }

    /// Puts `value` at position `i`, which must be there, and returns what was there.
    pub fn replace(&mut self, i: usize, value: Value) -> Value {
        let elem = self.elem();
        let slot = value.into_slot(elem);
        Value::from_raw(std::mem::replace(&mut self.items[i], slot), elem)
    }

    pub fn truncate(&mut self, len: usize) {
        let elem = self.elem();
        if len < self.items.len() {
            for bits in self.items.split_off(len) {
                drop(Value::from_raw(bits, elem));
            }
        }
    }

    pub fn swap(&mut self, i: usize, j: usize) {
        self.items.swap(i, j);
    }

    pub fn reverse(&mut self) {
        self.items.reverse();
    }

    pub fn reserve(&mut self, n: usize) {
        self.change(|items| items.reserve(n));
    }

    /// Stable.
    pub fn sort_by(&mut self, mut compare: impl FnMut(ValueRef<'_>, ValueRef<'_>) -> Ordering) {
        let elem = self.elem();
        self.items.sort_by(|&a, &b| compare(ValueRef::from_raw(a, elem), ValueRef::from_raw(b, elem)));
    }

    pub fn extend(&mut self, values: impl IntoIterator<Item = Value>) {
        let elem = self.elem();
        self.change(|items| items.extend(values.into_iter().map(|v| v.into_slot(elem))));
    }

    /// Appends copies of all elements of `other`.
    pub fn extend_from(&mut self, other: &VecObj) {
        assert!(self.elem().stands_for(other.elem()), "{:?} onto {:?}", other.header.info, self.header.info);
        if self.elem().is_ref {
            self.extend(other.iter().map(ValueRef::to_owned).collect::<Vec<_>>());
        } else {
            self.change(|items| items.extend_from_slice(&other.items));
        }
    }
}

impl MapObj {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    pub fn key_type(&self) -> &'static TypeInfo {
        self.header.info.elem()
    }

    /// The value's type; `()` in a `Set`.
    pub fn value_type(&self) -> &'static TypeInfo {
        match self.header.info.desc {
            stark_bytecode::TypeDesc::Map(..) => self.header.info.map_value(),
            _ => TypeInfo::builtin(&stark_bytecode::TypeDesc::Unit),
        }
    }

    /// Keys and values in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = (ValueRef<'_>, ValueRef<'_>)> {
        let (key, value) = (self.key_type(), self.value_type());
        self.table.iter().map(move |e| (ValueRef::from_raw(e.key, key), ValueRef::from_raw(e.value, value)))
    }

    /// The first entry at or behind `from` (a position, 0 to start), and the position to go on at.
    pub fn next_from(&self, from: usize) -> Option<(ValueRef<'_>, ValueRef<'_>, usize)> {
        let (entry, next) = self.table.next_from(from)?;
        Some((ValueRef::from_raw(entry.key, self.key_type()), ValueRef::from_raw(entry.value, self.value_type()), next))
    }

    pub fn get(&self, key: ValueRef<'_>) -> Option<ValueRef<'_>> {
        assert!(key.info().stands_for(self.key_type()), "a {:?} as key of {:?}", key.info(), self.header.info);
        self.table.get(self.key_type(), key.bits()).map(|e| ValueRef::from_raw(e.value, self.value_type()))
    }

    pub fn contains(&self, key: ValueRef<'_>) -> bool {
        self.get(key).is_some()
    }

    /// Puts `value` under `key`; returns the value that was there.
    pub fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        let (key_type, value_type) = (self.key_type(), self.value_type());
        let before = self.table.size();
        let key_info = key.info();
        let key = key.into_slot(key_type);
        let value = value.into_slot(value_type);
        let (entry, is_new) = self.table.insert(key_type, key, value);
        let old = if is_new {
            None
        } else {
            drop(Value::from_raw(key, key_info));
            Some(Value::from_raw(std::mem::replace(&mut entry.value, value), value_type))
        };
        meter::resize(before, self.table.size());
        old
    }

    /// Adds to a `Set`; whether it was new.
    pub fn add(&mut self, key: Value) -> bool {
        self.insert(key, Value::unit()).is_none()
    }

    pub fn remove(&mut self, key: ValueRef<'_>) -> Option<(Value, Value)> {
        let (key_type, value_type) = (self.key_type(), self.value_type());
        assert!(key.info().stands_for(key_type), "a {:?} as key of {:?}", key.info(), self.header.info);
        let entry = self.table.remove(key_type, key.bits())?;
        Some((Value::from_raw(entry.key, key_type), Value::from_raw(entry.value, value_type)))
    }

    pub fn clear(&mut self) {
        let (key_type, value_type) = (self.key_type(), self.value_type());
        let entries: Vec<(u64, u64)> = self.table.iter().map(|e| (e.key, e.value)).collect();
        self.table.clear();
        for (key, value) in entries {
            drop((Value::from_raw(key, key_type), Value::from_raw(value, value_type)));
        }
    }

    pub fn reserve(&mut self, n: usize) {
        let before = self.table.size();
        self.table.reserve(n);
        meter::resize(before, self.table.size());
    }
}
