//! Where machine code finds what it reads and writes.

use crate::heap::object::{FieldsObj, VecObj};
use crate::heap::{Header, ObjKind, Shape};
use crate::interp::Machine;
use std::mem::offset_of;

pub(super) const RC: i32 = offset_of!(Header, rc) as i32;
pub(super) const VARIANT: i32 = offset_of!(Header, variant) as i32;
const KIND: i32 = offset_of!(Header, kind) as i32;
const SHAPE: i32 = offset_of!(Header, shape) as i32;
pub(super) const INFO: i32 = offset_of!(Header, info) as i32;
pub(super) const FIELDS: i32 = size_of::<FieldsObj>() as i32;
const ITEMS: i32 = offset_of!(VecObj, items) as i32;

pub(super) const STACK_END: i32 = offset_of!(Machine, stack_end) as i32;
pub(super) const LOCAL: i32 = offset_of!(Machine, local) as i32;
pub(super) const IP: i32 = offset_of!(Machine, ip) as i32;
pub(super) const REGS: i32 = offset_of!(Machine, regs) as i32;
pub(super) const BUDGET: i32 = offset_of!(Machine, budget) as i32;
pub(super) const EXIT: i32 = (offset_of!(Machine, jit) + offset_of!(super::Link, exit)) as i32;
pub(super) const NATIVE_END: i32 = (offset_of!(Machine, jit) + offset_of!(super::Link, native_end)) as i32;

/// The first word of a new object with fields, which has one owner.
pub(super) const fn header_word(variant: u16, shape: Shape) -> i64 {
    const {
        assert!(RC == 0 && VARIANT == 4 && KIND == 6 && SHAPE == 7 && INFO == 8 && cfg!(target_endian = "little"));
    }
    1 | (variant as i64) << 32 | (ObjKind::Fields as i64) << 48 | (shape.0 as i64) << 56
}

/// Where a `Vec` object keeps its items' address, their number and the room for them, in bytes from the object.
#[derive(Clone, Copy, Debug)]
pub(super) struct VecLayout {
    pub items: i32,
    pub len: i32,
    pub capacity: i32,
}

impl VecLayout {
    /// Looked up in a vector, since Rust does not promise an order. `None` if it is not three plain words.
    pub fn find() -> Option<VecLayout> {
        const _: () = assert!(size_of::<Vec<u64>>() == 24);
        let mut vec: Vec<u64> = Vec::with_capacity(5);
        vec.extend([1, 2, 3]);
        // SAFETY: a vector is as large as three words, all of which are initialised: pointer, length and capacity have no
        // room for padding between them.
        let words: [usize; 3] = unsafe { std::mem::transmute_copy(&vec) };
        let at = |wanted: usize| words.iter().position(|&word| word == wanted).map(|i| ITEMS + 8 * i as i32);
        let layout =
            VecLayout { items: at(vec.as_ptr() as usize)?, len: at(vec.len())?, capacity: at(vec.capacity())? };
        let all = [layout.items, layout.len, layout.capacity];
        (0..3).all(|i| all.contains(&(ITEMS + 8 * i))).then_some(layout)
    }
}
