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
use super::{local, sampled};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What one task's values may use and do use.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    pub bytes: usize,
    pub limit: usize,
    /// After an `OutOfMemoryError` of the budget's: up to here it may go on, to deal with that.
    spared: usize,
}

impl Heap {
    pub fn with_limit(limit: usize) -> Heap {
        Heap { bytes: 0, limit, spared: 0 }
    }
}

/// What a task keeps of its heap between turns, in one word: a million tasks may be parked. Below the bytes (which may be less than
/// none for a while), above where it may go on to, in steps of `SMALL`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resting(u64);

impl Resting {
    const BITS: u32 = 48;

    #[inline]
    pub fn of(heap: Heap) -> Resting {
        let bytes = heap.bytes as u64 & ((1 << Self::BITS) - 1);
        if heap.spared == 0 {
            return Resting(bytes);
        }
        Resting(bytes | (heap.spared.div_ceil(SMALL).min(usize::from(u16::MAX)) as u64) << Self::BITS)
    }

    #[inline]
    pub fn with_limit(self, limit: usize) -> Heap {
        let up = u64::BITS - Self::BITS;
        let bytes = ((self.0 << up) as i64 >> up) as usize;
        Heap { bytes, limit, spared: (self.0 >> Self::BITS) as usize * SMALL }
    }
}

/// Bytes that everything together may take; `usize::MAX` without a budget.
static BUDGET: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Bytes of heaps and messages. Wrapping: what one worker took may be given back by another first.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// Bytes of what is outside of all heaps.
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);

/// A turn is granted this part of what is left: several workers ask at once.
const GRANT: usize = 8;
/// Who holds no more than this is not the one to blame when the budget is passed, and gets on,
const SMALL: usize = 64 << 10;
/// until the budget is passed by this part of it.
const RESERVE: usize = 16;

thread_local! {
    /// The least of the heap's own limit, what was granted with a budget, and where it begins to be a large one.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    static OWN_LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The current heap's `spared`.
    static SPARED: Cell<usize> = const { Cell::new(0) };
    /// How many of the current heap's bytes are in `TOTAL`.
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

/// Of the current heap.
#[inline]
fn bytes() -> usize {
    local::with(|local| local.bytes.get())
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
    has_budget().then(|| (BUDGET.load(Relaxed), in_use().saturating_add(OUTSIDE.load(Relaxed))))
}

/// With a budget: bytes of all values, messages and tensors, once this thread's are `settle`d.
pub fn in_use() -> usize {
    if !has_budget() {
        return 0;
    }
    let heaps = TOTAL.load(Relaxed);
    // Given back before it was counted: nothing.
    let heaps = if heaps > isize::MAX as usize { 0 } else { heaps };
    heaps.saturating_add(stark_kernels::live_tensor_bytes())
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
        let before = replace(heap);
        grant();
        return before;
    }
    LIMIT.set(if heap.bytes < LARGE_HEAP { heap.limit.min(LARGE_HEAP) } else { heap.limit });
    replace(heap)
}

#[inline]
fn replace(heap: Heap) -> Heap {
    Heap {
        bytes: local::with(|local| local.bytes.replace(heap.bytes)),
        limit: OWN_LIMIT.replace(heap.limit),
        spared: SPARED.replace(heap.spared),
    }
}

/// Brings what the current heap took and gave back since the last time into the common count.
fn count() {
    let bytes = self::bytes();
    let more = bytes.wrapping_sub(COUNTED.replace(bytes));
    if more != 0 {
        TOTAL.fetch_add(more, Relaxed);
    }
}

/// Sets the limit of the current heap by what is left. `false`: there is nothing left for it.
fn grant() -> bool {
    let Some((budget, used)) = budget() else { return false };
    let (bytes, own) = (self::bytes(), OWN_LIMIT.get());
    let granted = match SMALL.checked_sub(bytes) {
        Some(rest) if used <= budget.saturating_add(budget / RESERVE) => rest.max(1),
        _ => budget.saturating_sub(used) / GRANT,
    };
    LIMIT.set(own.min(bytes.saturating_add(granted).max(SPARED.get())));
    granted > 0 && bytes <= own
}

#[cold]
fn ask_again() -> bool {
    let (bytes, own) = (self::bytes(), OWN_LIMIT.get());
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
        let spared = OWN_LIMIT.get().min(bytes.saturating_add(SMALL));
        SPARED.set(spared);
        LIMIT.set(spared);
    }
    granted
}

/// The current heap's figures.
pub fn current() -> Heap {
    Heap { bytes: bytes(), limit: OWN_LIMIT.get(), spared: SPARED.get() }
}

/// Charges what was just allocated.
#[inline]
pub(crate) fn charge(bytes: usize) {
    add(bytes);
    local::with(|local| local.made.set(local.made.get().wrapping_add(bytes)));
    sampled::allocated(bytes);
}

/// Bytes of all objects that were made on this thread, wrapping: what is made between two looks says how much work that was.
#[inline]
pub(crate) fn made() -> usize {
    local::with(|local| local.made.get())
}

#[inline]
fn add(bytes: usize) {
    // Wrapping: a value that is dropped on a thread without its heap (a parcel in a dead mailbox) is credited first and
    // charged later; the sums are right again when both have happened.
    local::with(|local| local.bytes.set(local.bytes.get().wrapping_add(bytes)));
}

#[inline]
pub(crate) fn credit(bytes: usize) {
    local::with(|local| local.bytes.set(local.bytes.get().wrapping_sub(bytes)));
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
        // What was granted is used up: they are no less than before.
        LIMIT.set(LIMIT.get().saturating_sub(bytes));
    }
}

/// Bytes of a message come into the current heap.
#[inline]
pub(crate) fn receive(bytes: usize) {
    add(bytes);
    if has_budget() {
        TOTAL.fetch_sub(bytes, Relaxed);
        LIMIT.set(LIMIT.get().saturating_add(bytes).min(OWN_LIMIT.get()));
    }
}

/// What takes so many bytes outside of all heaps as long as it lives: the cells of tasks, actors and channels, which the budget is
/// for, too.
#[derive(Debug)]
pub(crate) struct Outside<const BYTES: usize>(());

impl<const BYTES: usize> Default for Outside<BYTES> {
    #[inline]
    fn default() -> Self {
        if has_budget() {
            OUTSIDE.fetch_add(BYTES, Relaxed);
        }
        Outside(())
    }
}

impl<const BYTES: usize> Drop for Outside<BYTES> {
    #[inline]
    fn drop(&mut self) {
        if has_budget() {
            OUTSIDE.fetch_sub(BYTES, Relaxed);
        }
    }
}

/// Bytes that a heap is charged at are no more than another is charged at already: both hold the same ones.
#[inline]
pub(crate) fn share(bytes: usize) {
    if has_budget() {
        TOTAL.fetch_sub(bytes, Relaxed);
    }
}

/// One holder of shared bytes less.
#[inline]
pub(crate) fn unshare(bytes: usize) {
    if has_budget() {
        TOTAL.fetch_add(bytes, Relaxed);
    }
}

/// Whether the current heap is past its limit, or has grown while everything together is past the budget.
#[inline]
pub fn is_over() -> bool {
    bytes() > LIMIT.get() && !ask_again()
}

/// Whether `bytes` more would still be within the limit and the budget.
pub fn has_room(bytes: usize) -> bool {
    let fits = |limit: usize| self::bytes().checked_add(bytes).is_some_and(|sum| sum <= limit);
    if fits(LIMIT.get()) {
        return true;
    }
    if !has_budget() {
        return fits(OWN_LIMIT.get());
    }
    // More than a grant at once may still be there.
    ask_again() && fits(OWN_LIMIT.get()) && budget().is_none_or(|(budget, used)| bytes <= budget.saturating_sub(used))
}
