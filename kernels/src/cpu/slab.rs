//! Memory that lasts: the weights of models, side by side in large pages.
//!
//! A model reads all its weights once in every run, tens of megabytes that no second-level cache holds. In pages of 4 KiB
//! the processor looks up an address every 32 rows of a panel, and its own prefetching ends with each page.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapMut;

use super::buffer::ALIGN;

/// Bytes of a slab, unless one part is larger. Only what is written takes memory, in pages of 2 MiB where the system has them.
pub const SLAB: usize = 32 << 20;

/// A slab in which no more than this is handed out stays in small pages: to clear a large one takes as long as some 200 faults
/// do, which is all the time that a small model needs to be loaded.
const SMALL: usize = 512 << 10;

/// A large page of x86-64 and of most ARM systems.
const LARGE_PAGE: usize = 2 << 20;

/// The largest page that a system counts by (64 KiB, on some ARM systems).
const PAGE: usize = 64 << 10;

/// Memory whose parts are handed out once each. Addresses are given back to the system together when nobody holds a part,
/// pages with their part.
///
/// Invariant: `next` never falls, so parts do not overlap; `ptr` points at the zeros of `map`.
pub struct Slab {
    map: MmapMut,
    ptr: NonNull<u8>,
    next: AtomicUsize,
}

// SAFETY: each part is used by its one owner; the rest is not touched.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}

impl Slab {
    /// Zeroed memory; `None` when the system has none left.
    pub fn new(bytes: usize) -> Option<Slab> {
        let mut map = MmapMut::map_anon(bytes.max(1)).ok()?;
        let ptr = NonNull::new(map.as_mut_ptr())?;
        Some(Slab { map, ptr, next: AtomicUsize::new(0) })
    }

    /// From here on it is filled with large pages. A system without them serves small ones.
    pub fn enlarge(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.map.advise(memmap2::Advice::HugePage);
    }

    /// All of it, for an owner of the whole.
    pub fn start(&self) -> NonNull<u8> {
        self.ptr
    }

    /// The owner of the part at `ptr` needs it no more: its pages go back to the system, and it is not handed out again.
    pub fn give_back(&self, ptr: NonNull<u8>, bytes: usize) {
        let from = ptr.as_ptr().addr() - self.ptr.as_ptr().addr();
        let (first, end) = (from.next_multiple_of(PAGE), (from + bytes) / PAGE * PAGE);
        #[cfg(unix)]
        if first < end {
            // SAFETY: these pages lie inside the part, which nobody reads or writes any more. It may be refused: then they
            // go with the slab.
            let _ = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, first, end - first) };
        }
        #[cfg(not(unix))]
        let _ = (first, end);
    }

    /// Where the next large page begins.
    fn first_large(&self, next: usize) -> Option<usize> {
        let start = self.ptr.as_ptr().addr();
        (start + next).checked_next_multiple_of(LARGE_PAGE).map(|at| at - start)
    }

    /// A part of its own; `None` when there is no room left.
    pub fn part(&self, bytes: usize) -> Option<NonNull<u8>> {
        let size = bytes.checked_next_multiple_of(ALIGN)?;
        let end = |from: usize| from.checked_add(size).filter(|&end| end <= self.map.len());
        let leaves_small = |next: usize| next <= SMALL && size > SMALL - next;
        // Small pages keep a large one from all that it would span, so large ones begin behind.
        let start = |next: usize| match self.first_large(next) {
            Some(large) if leaves_small(next) && end(large).is_some() => large,
            _ => next,
        };
        // Relaxed: what is handed out is the number alone; the memory was zeroed by the system before.
        let next = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| end(start(next))).ok()?;
        if leaves_small(next) {
            self.enlarge();
        }
        let from = start(next);
        // SAFETY: `from + size` lies inside the map.
        Some(unsafe { self.ptr.add(from) })
    }
}

/// Zeroed bytes, aligned to [`ALIGN`], and what keeps them.
pub fn take(bytes: usize) -> Option<(NonNull<u8>, Arc<Slab>)> {
    static CURRENT: Mutex<Weak<Slab>> = Mutex::new(Weak::new());
    take_from(&CURRENT, bytes)
}

/// As [`take`], for what likely is never written, so that it leaves no holes between what is.
pub fn take_late(bytes: usize) -> Option<(NonNull<u8>, Arc<Slab>)> {
    static CURRENT: Mutex<Weak<Slab>> = Mutex::new(Weak::new());
    take_from(&CURRENT, bytes)
}

fn take_from(current: &Mutex<Weak<Slab>>, bytes: usize) -> Option<(NonNull<u8>, Arc<Slab>)> {
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slab) = current.upgrade() {
        if let Some(ptr) = slab.part(bytes) {
            return Some((ptr, slab));
        }
    }
    let slab = Arc::new(Slab::new(SLAB.max(bytes.checked_next_multiple_of(ALIGN)?))?);
    let ptr = slab.part(bytes)?;
    *current = Arc::downgrade(&slab);
    Some((ptr, slab))
}

/// As [`take`], in a slab of its own, which goes back to the system with its one part.
pub fn take_alone(bytes: usize) -> Option<(NonNull<u8>, Arc<Slab>)> {
    let slab = Arc::new(Slab::new(bytes.checked_next_multiple_of(ALIGN)?)?);
    Some((slab.part(bytes)?, slab))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_begin_behind_the_small_ones() {
        let slab = Slab::new(SLAB).unwrap();
        let place = |bytes| slab.part(bytes).unwrap().as_ptr().addr();
        let small = [100, 300 << 10].map(place);
        let large = [300 << 10, 64].map(place);
        assert_eq!(small[1] - small[0], 128);
        assert!(large[0].is_multiple_of(LARGE_PAGE) && large[1] == large[0] + (300 << 10));
        // What fills a slab by itself begins where it begins.
        let whole = Slab::new(1 << 20).unwrap();
        assert_eq!(whole.part(1 << 20), Some(whole.start()));
        assert!(whole.part(1).is_none());
    }

    #[test]
    fn parts_are_aligned_zeroed_and_apart() {
        let parts: Vec<_> = [1, 100, 5 << 20, 40 << 20, 64].iter().map(|&n| (n, take(n).unwrap())).collect();
        for (i, (n, (ptr, _slab))) in parts.iter().enumerate() {
            assert_eq!(ptr.as_ptr().addr() % ALIGN, 0);
            // SAFETY: the part has `n` initialised bytes that nobody else has.
            let bytes = unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), *n) };
            assert!(bytes.iter().all(|x| *x == 0), "part {i} is fresh");
            bytes.fill(i as u8 + 1);
        }
        for (i, (n, (ptr, _slab))) in parts.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(ptr.as_ptr(), *n) };
            assert!(bytes.iter().all(|x| *x == i as u8 + 1), "part {i} is its owner's alone");
        }
    }
}
