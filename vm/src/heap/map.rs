//! The insertion-ordered hash table behind `Map` and `Set`.
//!
//! Entries sit in a vector in insertion order; a `hashbrown` table of positions finds them by key. Removing leaves a
//! gap, and when gaps outnumber entries the vector is packed. Keys are compared and hashed by their type.

use crate::structural::{equal_slots, hash_slot};
use crate::types::TypeInfo;
use hashbrown::HashTable;

#[derive(Default)]
pub(crate) struct Table {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    n_gaps: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Entry {
    hash: u64,
    pub live: bool,
    pub key: u64,
    /// 0 in a `Set`.
    pub value: u64,
}

impl Table {
    pub fn len(&self) -> usize {
        self.entries.len() - self.n_gaps
    }

    /// Bytes held outside the object.
    pub fn size(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.capacity() * 5
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.live)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(|e| e.live)
    }

    /// The first live entry at or behind position `from`, and where to go on. A cursor for iteration in steps.
    pub fn next_from(&self, from: usize) -> Option<(&Entry, usize)> {
        let offset = self.entries.get(from..)?.iter().position(|e| e.live)?;
        Some((&self.entries[from + offset], from + offset + 1))
    }

    fn position(&self, key_type: &'static TypeInfo, key: u64, hash: u64) -> Option<usize> {
        let same = |&i: &u32| {
            let entry = &self.entries[i as usize];
            entry.hash == hash && equal_slots(key_type, entry.key, key)
        };
        self.index.find(hash, same).map(|&i| i as usize)
    }

    pub fn get(&self, key_type: &'static TypeInfo, key: u64) -> Option<&Entry> {
        self.position(key_type, key, hash_slot(key_type, key)).map(|i| &self.entries[i])
    }

    pub fn get_mut(&mut self, key_type: &'static TypeInfo, key: u64) -> Option<&mut Entry> {
        self.position(key_type, key, hash_slot(key_type, key)).map(|i| &mut self.entries[i])
    }

    /// Adds `key` unless it is there. Returns the entry, and whether it is new (then it owns `key` and its value is
    /// `value`; else the caller still owns both).
    pub fn insert(&mut self, key_type: &'static TypeInfo, key: u64, value: u64) -> (&mut Entry, bool) {
        let hash = hash_slot(key_type, key);
        if let Some(i) = self.position(key_type, key, hash) {
            return (&mut self.entries[i], false);
        }
        let i = self.entries.len();
        // Positions are 32 bits: four thousand million entries are past every heap limit.
        self.entries.push(Entry { hash, live: true, key, value });
        let entries = &self.entries;
        self.index.insert_unique(hash, i as u32, |&i| entries[i as usize].hash);
        (&mut self.entries[i], true)
    }

    /// Takes an entry out; the caller owns what it held.
    pub fn remove(&mut self, key_type: &'static TypeInfo, key: u64) -> Option<Entry> {
        let hash = hash_slot(key_type, key);
        let i = self.position(key_type, key, hash)?;
        if let Ok(found) = self.index.find_entry(hash, |&at| at as usize == i) {
            found.remove();
        }
        let entry = self.entries[i];
        self.entries[i].live = false;
        self.n_gaps += 1;
        // Popping at the end leaves no gap; else pack when more than half is gaps, so removal is constant on average.
        while self.entries.last().is_some_and(|e| !e.live) {
            self.entries.pop();
            self.n_gaps -= 1;
        }
        if self.n_gaps > 8 && self.n_gaps > self.entries.len() / 2 {
            self.pack();
        }
        Some(entry)
    }

    fn pack(&mut self) {
        self.entries.retain(|e| e.live);
        self.n_gaps = 0;
        self.index.clear();
        let entries = &self.entries;
        for (i, entry) in entries.iter().enumerate() {
            self.index.insert_unique(entry.hash, i as u32, |&i| entries[i as usize].hash);
        }
    }

    /// Forgets all entries; the caller has dropped what they held.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
        self.n_gaps = 0;
    }

    /// The same bits again; the caller counts the references in them.
    pub fn copy(&self) -> Table {
        Table { index: self.index.clone(), entries: self.entries.clone(), n_gaps: self.n_gaps }
    }

    pub fn reserve(&mut self, n: usize) {
        self.entries.reserve(n);
        let entries = &self.entries;
        self.index.reserve(n, |&i| entries[i as usize].hash);
    }
}
