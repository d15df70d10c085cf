//! Who pays for memory: every allocation on a thread is charged to the heap that is current there.
//!
//! A worker makes a task's heap current for as long as it runs that task, so objects need no pointer back to their
//! heap and an ordinary Rust `Drop` can give the bytes back. Passing the limit does not fail an allocation on the
//! spot: it raises `is_over`, and the interpreter turns that into `OutOfMemoryError` at its next safe point. Whoever
//! is about to ask for much at once calls `has_room` first.
//!
//! With a budget for the whole process (`set_budget`) all heaps together, the messages between them and all tensors have a
//! limit too: past it who holds much and asks for more gets `OutOfMemoryError`, who holds little a little later. A task is
//! granted a part of what is left when its turn begins and asks again when that is used up, so what is counted in common is
//! touched once a turn; without a budget it is not touched at all.

use super::pages::{self, LARGE_HEAP};
use super::sampled;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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

/// Bytes that everything together may take; `usize::MAX` without a budget.
static BUDGET: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Bytes of heaps and messages. Wrapping: what one worker took may be given back by another first.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// A turn is granted this part of what is left: several workers ask at once.
const GRANT: usize = 8;
/// Who holds no more than this is not the one to blame when the budget is passed, and gets on,
const SMALL: usize = 64 << 10;
/// until the budget is passed by this part of it.
const RESERVE: usize = 16;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
    /// The least of the heap's own limit, what was granted with a budget, and where it begins to be a large one.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    static OWN_LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// How many of the current heap's bytes are in `TOTAL`.
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

/// From now on values, messages and tensors of the process together may take so much.
pub fn set_budget(bytes: usize) {
    BUDGET.store(bytes, Relaxed);
    stark_kernels::set_max_tensor_bytes(bytes.min(stark_kernels::max_tensor_bytes()));
}

#[inline]
fn has_budget() -> bool {
    BUDGET.load(Relaxed) != usize::MAX
}

/// The budget and what is in use of it, when there is one.
pub fn budget() -> Option<(usize, usize)> {
    let heaps = TOTAL.load(Relaxed);
    // Given back before it was counted: nothing.
    let heaps = if heaps > isize::MAX as usize { 0 } else { heaps };
    has_budget().then(|| (BUDGET.load(Relaxed), heaps.saturating_add(stark_kernels::live_tensor_bytes())))
}

/// With a budget: bytes of all values, messages and tensors, once this thread's are `settle`d.
pub fn in_use() -> usize {
    budget().map_or(0, |(_, used)| used)
}

/// Counts what was given back on this thread outside any task.
pub(crate) fn settle() {
    if has_budget() {
        count();
    }
}

/// Makes `heap` current on this thread and returns the one that was.
#[inline]
pub fn swap(heap: Heap) -> Heap {
    if has_budget() {
        count();
        COUNTED.set(heap.bytes);
        let before = Heap { bytes: BYTES.replace(heap.bytes), limit: OWN_LIMIT.replace(heap.limit) };
        grant();
        return before;
    }
    LIMIT.set(if heap.bytes < LARGE_HEAP { heap.limit.min(LARGE_HEAP) } else { heap.limit });
    Heap { bytes: BYTES.replace(heap.bytes), limit: OWN_LIMIT.replace(heap.limit) }
}

/// Brings what the current heap took and gave back since the last time into the common count.
fn count() {
    let bytes = BYTES.get();
    let more = bytes.wrapping_sub(COUNTED.replace(bytes));
    if more != 0 {
        TOTAL.fetch_add(more, Relaxed);
    }
}

/// Sets the limit of the current heap by what is left. `false`: there is nothing left for it.
fn grant() -> bool {
    let Some((budget, used)) = budget() else { return false };
    let (bytes, own) = (BYTES.get(), OWN_LIMIT.get());
    let granted = match SMALL.checked_sub(bytes) {
        Some(rest) if used <= budget.saturating_add(budget / RESERVE) => rest.max(1),
        _ => budget.saturating_sub(used) / GRANT,
    };
    LIMIT.set(own.min(bytes.saturating_add(granted)));
    granted > 0 && bytes <= own
}

#[cold]
fn ask_again() -> bool {
    let (bytes, own) = (BYTES.get(), OWN_LIMIT.get());
    if bytes > LARGE_HEAP {
        pages::grown();
    }
    if !has_budget() {
        // The allocator may have gone on to another area by the time that it is twice as large.
        LIMIT.set(own.min(bytes.saturating_mul(2)));
        return bytes <= own;
    }
    count();
    let granted = grant();
    if !granted {
        // Whoever catches the error goes on with what is there: the next is thrown when that much more was asked for.
        LIMIT.set(OWN_LIMIT.get().min(BYTES.get().saturating_add(SMALL)));
    }
    granted
}

/// The current heap's figures.
pub fn current() -> Heap {
    Heap { bytes: BYTES.get(), limit: OWN_LIMIT.get() }
}

/// Charges what was just allocated.
#[inline]
pub(crate) fn charge(bytes: usize) {
    add(bytes);
    sampled::allocated(bytes);
}

#[inline]
fn add(bytes: usize) {
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

/// Charges the difference for a task's stack, which is no allocation of a line.
#[inline]
pub(crate) fn resize_stack(old: usize, new: usize) {
    credit(old);
    add(new);
}

/// Bytes leave the current heap for a message.
#[inline]
pub(crate) fn send(bytes: usize) {
    credit(bytes);
    if has_budget() {
        TOTAL.fetch_add(bytes, Relaxed);
    }
}

/// Bytes of a message come into the current heap.
#[inline]
pub(crate) fn receive(bytes: usize) {
    add(bytes);
    if has_budget() {
        TOTAL.fetch_sub(bytes, Relaxed);
    }
}

/// Whether the current heap is past its limit, or has grown while everything together is past the budget.
#[inline]
pub fn is_over() -> bool {
    BYTES.get() > LIMIT.get() && !ask_again()
}

/// Whether `bytes` more would still be within the limit and the budget.
pub fn has_room(bytes: usize) -> bool {
    let fits = |limit: usize| BYTES.get().checked_add(bytes).is_some_and(|sum| sum <= limit);
    if fits(LIMIT.get()) {
        return true;
    }
    if !has_budget() {
        return fits(OWN_LIMIT.get());
    }
    // More than a grant at once may still be there.
    ask_again() && fits(OWN_LIMIT.get()) && budget().is_none_or(|(budget, used)| bytes <= budget.saturating_sub(used))
}
