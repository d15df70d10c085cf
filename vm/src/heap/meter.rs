//! Who pays for memory: every allocation on a thread is charged to the heap that is current there.
//!
//! A worker makes a task's heap current for as long as it runs that task, so objects need no pointer back to their
//! heap and an ordinary Rust `Drop` can give the bytes back. Passing the limit does not fail an allocation on the
//! spot: it raises `is_over`, and the interpreter turns that into `OutOfMemoryError` at its next safe point. Whoever
//! is about to ask for much at once calls `check` first.

use std::cell::Cell;

/// What one task's values may use and do use.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    pub bytes: usize,
    pub limit: usize,
}

impl Heap {
    pub fn with_limit(limit: usize) -> Heap {
        Heap { bytes: 0, limit }
    }
}

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes `heap` current on this thread and returns the one that was.
pub fn swap(heap: Heap) -> Heap {
    Heap { bytes: BYTES.replace(heap.bytes), limit: LIMIT.replace(heap.limit) }
}

/// The current heap's figures.
pub fn current() -> Heap {
    Heap { bytes: BYTES.get(), limit: LIMIT.get() }
}

#[inline]
pub(crate) fn charge(bytes: usize) {
    // Wrapping: a value that is dropped on a thread without its heap (a parcel in a dead mailbox) is credited first and
    // charged later; the sums are right again when both have happened.
    BYTES.set(BYTES.get().wrapping_add(bytes));
}

#[inline]
pub(crate) fn credit(bytes: usize) {
    BYTES.set(BYTES.get().wrapping_sub(bytes));
}

/// Charges the difference when a buffer went from `old` to `new` bytes.
#[inline]
pub(crate) fn resize(old: usize, new: usize) {
    if new != old {
        credit(old);
        charge(new);
    }
}

/// Whether the current heap is past its limit.
#[inline]
pub fn is_over() -> bool {
    BYTES.get() > LIMIT.get()
}

/// Whether `bytes` more would still be within the limit.
pub fn has_room(bytes: usize) -> bool {
    BYTES.get().checked_add(bytes).is_some_and(|sum| sum <= LIMIT.get())
}
