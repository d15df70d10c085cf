//! mimalloc as the allocator: many small objects that end on another thread than they began on are its pattern.
//!
//! The crate's own adapter asks for every object with its alignment, and of mimalloc 3 that is the long way: unless a size is a
//! power of two it takes a block of the next class and aligns within. What wants no more than a word's alignment, which is nearly
//! everything, every block has by itself.
#![allow(unsafe_code)]

use libmimalloc_sys::{mi_free, mi_malloc, mi_realloc, mi_zalloc};
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};

pub struct Allocator;

const WORD: usize = align_of::<usize>();

// SAFETY: blocks of `mi_malloc` are aligned to a word at least, and all of the functions work on the same blocks: `mi_free` and
// `mi_realloc` take those of the aligned calls, too, which are made for layouts of other alignments only.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size may be asked for; the aligned call has the caller's promise.
        unsafe { if layout.align() <= WORD { mi_malloc(layout.size()).cast() } else { MiMalloc.alloc(layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        unsafe { if layout.align() <= WORD { mi_zalloc(layout.size()).cast() } else { MiMalloc.alloc_zeroed(layout) } }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, _: Layout) {
        // SAFETY: the block is of this allocator, by the caller's promise.
        unsafe { mi_free(ptr.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc` and `alloc`.
        unsafe {
            if layout.align() <= WORD {
                mi_realloc(ptr.cast(), new_size).cast()
            } else {
                MiMalloc.realloc(ptr, layout, new_size)
            }
        }
    }
}
