//! Memory for the buffers of a run that is watched: such a run is the first one on its shapes, or one of the first, and finds no
//! memory that was used before. Here most of it comes in large pages, and one buffer has the memory of another that was dropped.
//! When the run is over the pages go back to the system, save for those of buffers that outlive it.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use super::buffer::{block_size, reserve, unreserve};
use super::slab::{SLAB, Slab};

#[derive(Default)]
pub struct Pool {
    slab: Option<Arc<Slab>>,
    /// What buffers gave back, the oldest first.
    free: Vec<Pooled>,
    free_bytes: usize,
}

/// A part of a slab, for one buffer after the other.
pub struct Pooled {
    pub ptr: NonNull<u8>,
    pub capacity: usize,
    pub slab: Arc<Slab>,
}

/// Smaller buffers the allocator gives quickly, larger ones have large pages anyway.
const POOLED_SIZES: Range<usize> = 4 << 10..16 << 20;
/// So much is kept for the next buffers: nothing counts it, so no limit of memory knows of it.
const MAX_FREE_BYTES: usize = 32 << 20;

impl Pool {
    pub fn take(&mut self, bytes: usize) -> Option<Pooled> {
        if !POOLED_SIZES.contains(&bytes) {
            return None;
        }
        // The one that wastes least, and not too much: the buffer may outlive the run.
        let fits = bytes..=bytes.saturating_mul(2);
        let blocks = self.free.iter().enumerate().filter(|(_, block)| fits.contains(&block.capacity));
        let capacity = match blocks.min_by_key(|(_, block)| block.capacity) {
            Some((at, block)) if reserve(block.capacity) => {
                self.free_bytes -= block.capacity;
                return Some(self.free.remove(at));
            }
            Some(_) => return None,
            None => block_size(bytes),
        };
        let part = |slab: &Arc<Slab>| Some(Pooled { ptr: slab.part(capacity)?, capacity, slab: slab.clone() });
        if !reserve(capacity) {
            return None;
        }
        let block = self.slab.as_ref().and_then(part).or_else(|| {
            let slab = Arc::new(Slab::new(SLAB)?);
            part(self.slab.insert(slab))
        });
        if block.is_none() {
            unreserve(capacity);
        }
        block
    }

    /// From a buffer that does not need it any more.
    pub fn give_back(&mut self, block: Option<Pooled>) {
        let Some(block) = block else { return };
        self.free_bytes += block.capacity;
        self.free.push(block);
        while self.free_bytes > MAX_FREE_BYTES {
            let oldest = self.free.remove(0);
            self.free_bytes -= oldest.capacity;
            oldest.slab.give_back(oldest.ptr, oldest.capacity);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // What outlives the run keeps its own pages alone.
        self.free.iter().for_each(|block| block.slab.give_back(block.ptr, block.capacity));
    }
}

#[cfg(test)]
mod tests {
    use crate::cpu::arena::watch;
    use crate::cpu::buffer::Buffer;

    fn filled(n: usize, x: u8) -> Buffer {
        let mut buffer = Buffer::for_overwrite::<u8>(n).unwrap();
        buffer.as_mut_slice::<u8>().fill(x);
        buffer
    }

    fn is_whole(buffer: &Buffer, x: u8) -> bool {
        buffer.as_slice::<u8>().iter().all(|y| *y == x)
    }

    #[test]
    fn what_grows_little_by_little_takes_little_more_than_it_is() {
        std::thread::spawn(|| {
            watch(|| {
                let mut places = std::collections::HashSet::new();
                let mut before = filled(1 << 20, 1);
                for n in (1 << 20..2 << 20).step_by(8 << 10) {
                    let next = filled(n, 1);
                    places.insert(next.as_slice::<u8>().as_ptr());
                    before = next;
                }
                // Nine sizes, and of each two at a time.
                assert!(places.len() <= 18 && before.as_slice::<u8>().len() > 1 << 20, "{} places", places.len());
            });
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_free_is_bounded() {
        let mut pool = super::Pool::default();
        let blocks: Vec<_> = (0..20).filter_map(|_| pool.take(3 << 20)).collect();
        assert_eq!(blocks.len(), 20);
        for block in blocks {
            super::unreserve(block.capacity);
            pool.give_back(Some(block));
            let free: usize = pool.free.iter().map(|block| block.capacity).sum();
            assert!(free == pool.free_bytes && free <= super::MAX_FREE_BYTES);
        }
    }

    #[test]
    fn a_dropped_buffer_leaves_its_memory_to_the_next_and_one_that_outlives_the_run_keeps_it() {
        // On a thread that has kept no blocks.
        let work = || {
            let ((kept, elsewhere), _) = watch(|| {
                let first = filled(900_000, 1);
                let place = first.as_slice::<u8>().as_ptr();
                drop(first);
                let kept = filled(800_000, 2);
                assert_eq!(kept.as_slice::<u8>().as_ptr(), place);
                let [small, large] = [filled(5000, 3), filled(20 << 20, 4)];
                assert!(Buffer::zeroed::<u8>(300_000).is_ok_and(|zeros| is_whole(&zeros, 0)));
                assert!(is_whole(&kept, 2) && is_whole(&small, 3) && is_whole(&large, 4));
                (kept, filled(700_000, 5))
            });
            std::thread::spawn(move || assert!(is_whole(&elsewhere, 5))).join().unwrap();
            assert!(is_whole(&kept, 2));
            let ((), _) = watch(|| assert!(is_whole(&filled(900_000, 6), 6) && is_whole(&kept, 2)));
            assert!(is_whole(&kept, 2));
        };
        std::thread::spawn(work).join().unwrap();
    }
}
