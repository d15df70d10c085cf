//! What a thread has at hand for the objects that it makes and frees: the counts that each of them changes, and the memory of
//! small ones that died here.
//!
//! The next object of that size is made in such a *cell*. The allocator could do the same, but it serves any size for any thread:
//! its way to a block and back is some fifty instructions and three calls, where a list's is five that machine code has in
//! itself. A cell is a block of the allocator like any other: it may be given back to that at any time and on any thread. Only
//! threads that run code keep cells, and no more than `KEPT` bytes of a size.

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::offset_of;

/// The largest cell, in words.
pub(crate) const MAX_WORDS: usize = 8;

/// Bytes of one size that a thread keeps. Programs that build something and drop it again take it all back from here when it was
/// no larger. Debug builds keep nothing: a sanitizer is to see each object.
const KEPT: usize = if cfg!(debug_assertions) { 0 } else { 1 << 20 };

/// `repr(C)`: machine code reads and writes it.
#[repr(C)]
pub(crate) struct Local {
    /// Bytes of the current heap (`meter`).
    pub bytes: Cell<usize>,
    /// Bytes until the next allocation that is found (`sampled`).
    pub left: Cell<i64>,
    /// Bytes of all objects that were made here.
    pub made: Cell<usize>,
    /// Machines of the thread: with the last of them its cells go.
    n_machines: Cell<usize>,
    /// By size in words.
    lists: [List; MAX_WORDS + 1],
}

/// Cells of one size.
#[repr(C)]
struct List {
    /// The cell that is next; each begins with the address of the one after it.
    first: Cell<*mut u8>,
    /// How many more are kept; 0 also where none are.
    room: Cell<usize>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            bytes: Cell::new(0),
            left: Cell::new(i64::MAX),
            made: Cell::new(0),
            n_machines: Cell::new(0),
            lists: [const { List { first: Cell::new(std::ptr::null_mut()), room: Cell::new(0) } }; MAX_WORDS + 1],
        }
    };
}

/// Where in a `Local` machine code finds what.
pub(crate) const BYTES: usize = offset_of!(Local, bytes);
pub(crate) const LEFT: usize = offset_of!(Local, left);

/// The list for a size in words: its first cell, and how many more it keeps.
pub(crate) const fn list(words: usize) -> (usize, usize) {
    let list = offset_of!(Local, lists) + words * size_of::<List>();
    (list + offset_of!(List, first), list + offset_of!(List, room))
}

#[inline(always)]
pub(crate) fn with<R>(work: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(work)
}

/// This thread's, as long as it lives.
pub(crate) fn address() -> *const Local {
    LOCAL.with(std::ptr::from_ref)
}

fn layout(words: usize) -> Layout {
    // An object is at most some hundred thousand words.
    Layout::from_size_align(words * 8, 8).expect("a small size")
}

/// Memory for an object of `words` words; nothing is in it.
#[inline(always)]
pub(super) fn take(words: usize) -> *mut u8 {
    let cell = LOCAL.with(|local| {
        let list = local.lists.get(words)?;
        let cell = list.first.get();
        if cell.is_null() {
            return None;
        }
        // SAFETY: a cell in the list is nobody's, and begins with the address of the next or null.
        list.first.set(unsafe { cell.cast::<*mut u8>().read() });
        list.room.set(list.room.get() + 1);
        Some(cell)
    });
    cell.unwrap_or_else(|| allocate(words))
}

#[inline(never)]
fn allocate(words: usize) -> *mut u8 {
    let layout = layout(words);
    // SAFETY: an object is at least its header.
    let block = unsafe { std::alloc::alloc(layout) };
    if block.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    block
}

/// Gives back the memory of an object of `words` words.
///
/// # Safety
/// It is from `take` of as many words, on whichever thread, and nobody's any more.
#[inline(always)]
pub(super) unsafe fn put(cell: *mut u8, words: usize) {
    LOCAL.with(|local| match local.lists.get(words) {
        Some(list) if list.room.get() > 0 => {
            // SAFETY: the caller's promise; two words at least.
            unsafe { cell.cast::<*mut u8>().write(list.first.get()) };
            list.first.set(cell);
            list.room.set(list.room.get() - 1);
        }
        // SAFETY: the caller's promise.
        _ => unsafe { give_back(cell, words) },
    });
}

#[inline(never)]
unsafe fn give_back(cell: *mut u8, words: usize) {
    // SAFETY: the caller's promise; `allocate` has made it with this layout.
    unsafe { std::alloc::dealloc(cell, layout(words)) }
}

/// A machine has begun: from now on this thread keeps cells.
pub(crate) fn keep_cells() {
    LOCAL.with(|local| {
        if local.n_machines.replace(local.n_machines.get() + 1) == 0 {
            for (words, list) in local.lists.iter().enumerate().skip(1) {
                list.room.set(KEPT / (words * 8));
            }
        }
    });
}

/// A machine is gone: with the last of them this thread keeps no cells any more.
pub(crate) fn drop_cells() {
    LOCAL.with(|local| {
        local.n_machines.set(local.n_machines.get() - 1);
        if local.n_machines.get() > 0 {
            return;
        }
        for (words, list) in local.lists.iter().enumerate() {
            list.room.set(0);
            let mut cell = list.first.replace(std::ptr::null_mut());
            while !cell.is_null() {
                // SAFETY: a cell in the list is nobody's, and begins with the address of the next or null.
                unsafe {
                    let next = cell.cast::<*mut u8>().read();
                    give_back(cell, words);
                    cell = next;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many cells of a size the thread has.
    fn n_cells(words: usize) -> usize {
        LOCAL.with(|local| {
            let mut n = 0;
            let mut cell = local.lists[words].first.get();
            while !cell.is_null() {
                n += 1;
                // SAFETY: as in `drop_cells`.
                cell = unsafe { cell.cast::<*mut u8>().read() };
            }
            n
        })
    }

    #[test]
    fn what_died_is_made_again_and_no_more_is_kept_than_is_said() {
        std::thread::spawn(|| {
            let n = KEPT / 32 + 10;
            let blocks: Vec<_> = (0..n).map(|_| take(4)).collect();
            // SAFETY: each is from `take` and given back once.
            let put_all = |blocks: &[*mut u8]| blocks.iter().for_each(|&block| unsafe { put(block, 4) });
            put_all(&blocks);
            assert_eq!(n_cells(4), 0, "none are kept where no code runs");
            keep_cells();
            let blocks: Vec<_> = (0..n).map(|_| take(4)).collect();
            put_all(&blocks);
            assert_eq!(n_cells(4), KEPT / 32);
            let (one, other) = (take(4), take(5));
            assert!(KEPT == 0 || one == blocks[KEPT / 32 - 1], "the last that died is the first that is made");
            assert!(n_cells(4) == (KEPT / 32).saturating_sub(1) && n_cells(5) == 0);
            // SAFETY: as above.
            unsafe {
                put(one, 4);
                put(other, 5);
            }
            drop_cells();
            assert!((0..=MAX_WORDS).all(|words| n_cells(words) == 0));
            let large = take(MAX_WORDS + 1);
            // SAFETY: as above.
            unsafe { put(large, MAX_WORDS + 1) };
        })
        .join()
        .unwrap();
    }
}
