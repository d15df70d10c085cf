//! One output, cut into pieces that several cores fill at once.

use super::buffer::Pod;
use crate::error::Result;
use crate::parallel;

/// Elements in one piece of cheap elementwise work; a guess: a piece should cost well over a wake-up (5 µs).
pub const CHUNK: usize = 32 * 1024;

/// Calls `fill(i, piece)` for the pieces of `out` from `bounds[i]` to `bounds[i + 1]`, which ascend.
pub fn fill_ranges<T: Pod>(out: &mut [T], bounds: &[usize], fill: impl Fn(usize, &mut [T]) + Sync) {
    let filled = try_fill_ranges(out, bounds, |i, piece| {
        fill(i, piece);
        Ok(())
    });
    debug_assert!(filled.is_ok(), "nothing here fails");
}

/// [`fill_ranges`] of pieces that may lack memory: the error of one of them, when there is any.
pub fn try_fill_ranges<T: Pod>(
    out: &mut [T],
    bounds: &[usize],
    fill: impl Fn(usize, &mut [T]) -> Result<()> + Sync,
) -> Result<()> {
    let pieces = bounds.len().saturating_sub(1);
    assert!(bounds.is_sorted() && bounds.last().is_none_or(|&end| end <= out.len()), "pieces ascend inside the output");
    struct Ptr<T>(*mut T);
    // SAFETY: pieces do not overlap, so sending the pointer hands each element to one thread only.
    unsafe impl<T> Sync for Ptr<T> {}
    let ptr = Ptr(out.as_mut_ptr());
    parallel::run_all(pieces, usize::MAX, |i| {
        let ptr = &ptr;
        // SAFETY: the bounds ascend and end inside `out`, and `parallel::run_all` gives each piece out once.
        let piece = unsafe { std::slice::from_raw_parts_mut(ptr.0.add(bounds[i]), bounds[i + 1] - bounds[i]) };
        fill(i, piece)
    })
}

/// Calls `fill(start, piece)` for pieces of `out` of `chunk` elements (the last may be shorter).
pub fn fill_chunks<T: Pod>(out: &mut [T], chunk: usize, fill: impl Fn(usize, &mut [T]) + Sync) {
    let chunk = chunk.max(1);
    if out.len() <= chunk {
        if !out.is_empty() {
            fill(0, out);
        }
        return;
    }
    struct Ptr<T>(*mut T);
    // SAFETY: pieces do not overlap, so sending the pointer hands each element to one thread only.
    unsafe impl<T> Sync for Ptr<T> {}
    let (ptr, len) = (Ptr(out.as_mut_ptr()), out.len());
    let pieces = len.div_ceil(chunk);
    parallel::run(pieces, &|i| {
        let start = i * chunk;
        let ptr = &ptr;
        // SAFETY: `start..start + n` lies inside `out`, and `parallel::run` gives each piece out once.
        let piece = unsafe { std::slice::from_raw_parts_mut(ptr.0.add(start), chunk.min(len - start)) };
        fill(start, piece);
    });
}
