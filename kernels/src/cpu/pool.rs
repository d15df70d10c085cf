//! Memory for the buffers of a run that is watched: such a run is the first one on its shapes, or one of the first, and finds no
//! memory that was used before. Here most of it comes in large pages, and one buffer has the memory of another that was dropped.
//! When the run is over the pages go back to the system, save for those of buffers that outlive it.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use super::buffer::{ALIGN, reserve, unreserve};
use super::slab::{SLAB, Slab};

#[derive(Default)]
pub struct Pool {
    slab: Option<Arc<Slab>>,
    /// What buffers gave back.
    free: Vec<Pooled>,
}

/// A part of a slab, for one buffer after the other.
pub struct Pooled {
    pub ptr: NonNull<u8>,
    pub capacity: usize,
    pub slab: Arc<Slab>,
}

/// Smaller buffers the allocator gives quickly, larger ones have large pages anyway.
const POOLED_SIZES: Range<usize> = 4 << 10..16 << 20;

impl Pool {
    pub fn take(&mut self, bytes: usize) -> Option<Pooled> {
        if !POOLED_SIZES.contains(&bytes) {
            return None;
        }
        // The one that wastes least, and not too much: the buffer may outlive the run.
        let fits = bytes..=bytes.saturating_mul(2);
        let blocks = self.free.iter().enumerate().filter(|(_, block)| fits.contains(&block.capacity));
        let capacity = match blocks.min_by_key(|(_, block)| block.capacity) {
            Some((at, block)) if reserve(block.capacity) => return Some(self.free.swap_remove(at)),
            Some(_) => return None,
            None => bytes.next_multiple_of(ALIGN),
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
        self.free.extend(block);
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
