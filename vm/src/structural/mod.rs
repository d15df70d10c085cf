//! What can be done with any value from its type alone: show, compare for equality and order, hash.
//!
//! All four walk with a stack of their own, so a list of a million links is no danger to the native one.

#![allow(unsafe_code)]

mod equal;
mod hash;
mod order;
mod show;

pub(crate) use equal::equal_slots;
pub(crate) use hash::hash_slot;
pub use hash::stable_hash;
pub use order::compare_floats;
pub(crate) use order::compare_slots;
pub(crate) use show::short_integer;
pub use show::{display, quote, show, show_duration, show_float};

use crate::heap::object::*;
use crate::heap::{self, Header, Packed};
use crate::types::TypeInfo;

/// Looks at the parts of objects. Every function takes a live slot of the type the caller knows it has.
mod parts {
    use super::*;

    /// A hole that `take_at` left must not be looked at before it is filled; a module that does so all the same ends its task.
    fn live(bits: u64) -> u64 {
        assert!(heap::is_object(bits), "the value is lent elsewhere");
        bits
    }

    /// The slots of a struct, tuple or enum value.
    #[derive(Clone, Copy)]
    pub enum Fields<'a> {
        Object(&'a [u64]),
        /// The payload of an immediate.
        Packed([u64; 1]),
    }

    impl std::ops::Deref for Fields<'_> {
        type Target = [u64];
        fn deref(&self) -> &[u64] {
            match self {
                Fields::Object(slots) => slots,
                Fields::Packed(payload) => payload,
            }
        }
    }

    /// The variant and the slots; none for a variant without payload.
    pub fn fields<'a>(info: &'static TypeInfo, bits: u64) -> (u16, Fields<'a>) {
        if !info.is_ref {
            return (bits as u16, Fields::Object(&[]));
        }
        if let Some(packed) = Packed::of(bits) {
            let has_payload = info.layout(packed.variant()).packs;
            let fields = if has_payload { Fields::Packed([packed.payload()]) } else { Fields::Object(&[]) };
            return (packed.variant(), fields);
        }
        let header = live(bits) as *mut Header;
        // SAFETY: a live reference of a type with fields points at a `Fields` object whose slots follow the header; callers
        // drop the slice before anything can change the value.
        unsafe {
            let variant = (*header).variant;
            let n = info.layout(variant).types.len();
            (variant, Fields::Object(std::slice::from_raw_parts(heap::fields_slots(header), n)))
        }
    }

    pub fn items<'a>(bits: u64) -> &'a [u64] {
        // SAFETY: a live `Vec` reference; see `fields` for the lifetime.
        unsafe { &(*(live(bits) as *const VecObj)).items }
    }

    pub fn text<'a>(bits: u64) -> &'a str {
        // SAFETY: a live `String` reference; see `fields`.
        unsafe { &(*(live(bits) as *const StrObj)).text }
    }

    pub fn bytes<'a>(bits: u64) -> &'a [u8] {
        // SAFETY: a live `Bytes` reference; see `fields`.
        unsafe { &(*(live(bits) as *const BytesObj)).bytes }
    }

    pub fn table<'a>(bits: u64) -> &'a heap::map::Table {
        // SAFETY: a live `Map` or `Set` reference; see `fields`.
        unsafe { &(*(live(bits) as *const MapObj)).table }
    }

    pub fn dynamic<'a>(bits: u64) -> &'a DynObj {
        // SAFETY: a live dynamic value; see `fields`.
        unsafe { &*(live(bits) as *const DynObj) }
    }

    pub fn opaque<'a>(bits: u64) -> &'a dyn Opaque {
        // SAFETY: a live opaque value; see `fields`.
        unsafe { (*OpaqueObj::whole(live(bits) as *mut Header)).body() }
    }
}
