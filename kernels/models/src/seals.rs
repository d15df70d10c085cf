//! The checksums of weights that nobody has looked at yet.
//!
//! To read tens of megabytes for their checksum, and again to pack them, takes longer than either. So the checksum of a large
//! entry is kept as a seal, which is tested by what is read of the file anyway; what was not read whole, or not in order, is
//! read at the end of loading. Until [`Seals::test`] has said that none is broken, no model is handed out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crc32fast::Hasher;
use stark_kernels::cpu::pages::Witness;

/// The seals of one file, by where their bytes begin.
#[derive(Debug, Default)]
pub struct Seals(Mutex<BTreeMap<usize, Seal>>);

#[derive(Debug)]
struct Seal {
    entry: String,
    end: usize,
    crc: u32,
    /// Of what was read, by where it ends: where it begins, and its checksum.
    seen: BTreeMap<usize, (usize, Hasher)>,
    found: Option<u32>,
}

/// An entry with other bytes than it should have.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    pub entry: String,
    pub found: u32,
    pub expected: u32,
}

impl Seals {
    /// The bytes of `entry`, in `range`, are to have the checksum `crc`.
    pub fn add(&self, entry: &str, range: Range<usize>, crc: u32) {
        let seal = Seal { entry: entry.to_string(), end: range.end, crc, seen: BTreeMap::new(), found: None };
        self.lock().entry(range.start).or_insert(seal);
    }

    /// Tests all seals; `bytes` are the file's, of which those are read that were not seen.
    pub fn test(&self, bytes: &[u8]) -> Result<(), Broken> {
        for (&start, seal) in self.lock().iter_mut() {
            let found = *seal.found.get_or_insert_with(|| crc32fast::hash(&bytes[start..seal.end]));
            if found != seal.crc {
                return Err(Broken { entry: seal.entry.clone(), found, expected: seal.crc });
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Seal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Seals {
    /// Goes on with a part that ends where `bytes` begin, or begins another; bytes that were seen before are not looked at.
    fn see(&self, start: usize, bytes: &[u8]) {
        let (key, begun) = {
            let mut seals = self.lock();
            let Some((&key, seal)) = seals.range_mut(..=start).next_back() else { return };
            let is_known = seal.seen.iter().any(|(&end, (begin, _))| *begin <= start && start < end);
            if seal.found.is_some() || is_known || start + bytes.len() > seal.end {
                return;
            }
            (key, seal.seen.remove(&start))
        };
        let (begin, mut hasher) = begun.unwrap_or_else(|| (start, Hasher::new()));
        // Not under the lock: another thread reads another part.
        hasher.update(bytes);
        if let Some(seal) = self.lock().get_mut(&key) {
            seal.seen.insert(start + bytes.len(), (begin, hasher));
            seal.conclude(key);
        }
    }
}

impl Seal {
    /// The checksum, once the parts are all there is from `start` to the end.
    fn conclude(&mut self, start: usize) {
        let mut at = start;
        for (&end, (begin, _)) in &self.seen {
            if *begin != at {
                return;
            }
            at = end;
        }
        if at != self.end {
            return;
        }
        let parts = std::mem::take(&mut self.seen).into_values();
        self.found = parts
            .map(|(_, hasher)| hasher)
            .reduce(|mut all, part| {
                all.combine(&part);
                all
            })
            .map(Hasher::finalize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(bytes: &[u8]) -> Seals {
        let seals = Seals::default();
        seals.add("first", 10..60, crc32fast::hash(&bytes[10..60]));
        seals.add("second", 64..100, crc32fast::hash(&bytes[64..100]));
        seals
    }

    fn is_tested(seals: &Seals, start: usize) -> bool {
        seals.lock()[&start].found.is_some()
    }

    #[test]
    fn what_is_read_in_parts_is_tested_when_all_of_it_was() {
        let bytes: Vec<u8> = (0..110).collect();
        for parts in [&[10..60][..], &[10..20, 20..60], &[30..60, 10..30], &[50..60, 10..20, 20..30, 30..50]] {
            let seals = sealed(&bytes);
            assert!(!is_tested(&seals, 10));
            parts.iter().for_each(|part| seals.see(part.start, &bytes[part.clone()]));
            assert!(is_tested(&seals, 10) && !is_tested(&seals, 64), "{parts:?}");
            // None of what was seen is needed.
            let mut rest = bytes.clone();
            rest[10..60].fill(0);
            assert_eq!(seals.test(&rest), Ok(()));
        }
    }

    #[test]
    fn what_is_read_twice_or_partly_or_beyond_is_read_again() {
        let bytes: Vec<u8> = (0..110).collect();
        for parts in [
            &[10..30, 20..60][..],
            &[10..59],
            &[11..60],
            &[10..20, 10..20],
            &[10..64],
            &[0..60],
            &[10..40, 20..30, 30..60],
        ] {
            let seals = sealed(&bytes);
            parts.iter().for_each(|part| seals.see(part.start, &bytes[part.clone()]));
            assert!(!is_tested(&seals, 10), "{parts:?}");
            assert_eq!(seals.test(&bytes), Ok(()), "{parts:?}");
        }
    }

    #[test]
    fn any_changed_byte_breaks_its_seal_whoever_reads_it() {
        let bytes: Vec<u8> = (0..110).collect();
        for at in (10..60).chain(64..100) {
            let seals = [sealed(&bytes), sealed(&bytes)];
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            seals[0].see(10, &changed[10..40]);
            seals[0].see(40, &changed[40..60]);
            let broken = seals.map(|seals| seals.test(&changed).unwrap_err());
            assert_eq!(broken[0], broken[1]);
            assert_eq!(broken[0].entry, if at < 60 { "first" } else { "second" });
        }
    }
}
