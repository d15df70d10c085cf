//! Objects: made one by one, counted, freed when the last owner goes.
//!
//! Values own each other as a tree or a directed graph without cycles, so counts are enough and no collector exists.
//! Freeing is a loop with a worklist, never a recursion: a list of a million links is dropped on a small native stack.
//! Everything here works on raw slots; `value` wraps it into types that natives can use without care.

#![allow(unsafe_code)]

pub(crate) mod local;
pub(crate) mod map;
pub mod meter;
pub(crate) mod object;
pub(crate) mod pages;
pub(crate) mod sampled;
pub(crate) mod transfer;
mod views;

pub use meter::Heap;
pub use object::{BytesObj, Header, MapObj, ObjKind, Opaque, Shape, StrObj, VecObj};
pub(crate) use object::{Held, Packed};
pub use transfer::Parcel;

use crate::types::TypeInfo;
use compact_str::CompactString;
use object::*;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Whether the slot points at an object (not null, not an immediate variant).
#[inline(always)]
pub(crate) fn is_object(bits: u64) -> bool {
    bits != 0 && bits & 1 == 0
}

/// One more owner.
///
/// # Safety
/// `bits` is a live reference slot.
#[inline(always)]
pub(crate) unsafe fn retain(bits: u64) {
    if is_object(bits) {
        let header = bits as *mut Header;
        // SAFETY: the caller's promise.
        unsafe {
            if (*header).rc < IMMORTAL {
                (*header).rc += 1;
            }
        }
    }
}

/// One owner less; frees the object with the last.
///
/// # Safety
/// `bits` is a live reference slot and the caller gives up one ownership.
#[inline(always)]
pub(crate) unsafe fn release(bits: u64) {
    if is_object(bits) {
        let header = bits as *mut Header;
        // SAFETY: the caller's promise.
        unsafe {
            let rc = (*header).rc;
            if rc == 1 {
                free(header);
            } else if rc < IMMORTAL {
                (*header).rc = rc - 1;
            }
        }
    }
}

thread_local! {
    static FREEING: Cell<bool> = const { Cell::new(false) };
    /// Objects that died while another was being freed, through Rust code in between (an opaque body that holds values).
    static LATER: RefCell<Vec<*mut Header>> = const { RefCell::new(Vec::new()) };
}

#[cold]
#[inline(never)]
unsafe fn free_later(header: *mut Header) {
    LATER.with_borrow_mut(|later| later.push(header));
}

/// Objects whose last owner is gone. One is dealt with right after it died, and only what died beside it is kept for later:
/// in a chain through the objects themselves where nothing of their type is needed any more.
#[derive(Default)]
struct Dead {
    next: Option<NonNull<Header>>,
    chain: Option<NonNull<Header>>,
    others: SmallVec<[NonNull<Header>; 16]>,
}

impl Dead {
    /// One owner less of what was in a slot of an object that is freed.
    #[inline(always)]
    unsafe fn let_go(&mut self, bits: u64) {
        if !is_object(bits) {
            return;
        }
        let header = bits as *mut Header;
        // SAFETY: the caller's promise, as for `release`.
        unsafe {
            match (*header).rc {
                1 if free_leaf(bits) => {}
                1 => {
                    if let Some(other) = self.next.replace(NonNull::new_unchecked(header)) {
                        self.keep(other);
                    }
                }
                rc if rc < IMMORTAL => (*header).rc = rc - 1,
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn keep(&mut self, header: NonNull<Header>) {
        // SAFETY: nobody else looks at a dead object, and one whose shape is said is freed without its type.
        unsafe {
            if header.as_ref().shape.is_said() {
                link(header).write(self.chain.replace(header));
            } else {
                self.others.push(header);
            }
        }
    }

    #[inline(always)]
    unsafe fn take(&mut self) -> Option<*mut Header> {
        let next = self.next.take().or_else(|| {
            let chained = self.chain?;
            // SAFETY: `keep` has written it.
            self.chain = unsafe { link(chained).read() };
            Some(chained)
        });
        next.or_else(|| self.others.pop()).map(NonNull::as_ptr)
    }
}

/// Where a dead object says which one is behind it: in place of its type.
unsafe fn link(header: NonNull<Header>) -> *mut Option<NonNull<Header>> {
    const _: () = assert!(size_of::<Option<NonNull<Header>>>() == size_of::<&TypeInfo>());
    // SAFETY: the caller's, that there is a header.
    unsafe { (&raw mut (*header.as_ptr()).info).cast() }
}

/// Frees `header` and whatever only it owned.
#[inline(never)]
unsafe fn free(header: *mut Header) {
    // SAFETY: the count just fell to zero, so nobody else looks at the object; children are released exactly once,
    // from the worklist.
    unsafe {
        if free_leaf(header as u64) {
            return;
        }
        if FREEING.replace(true) {
            return free_later(header);
        }
        let mut dead = Dead::default();
        let mut next = Some(header);
        while let Some(header) = next.or_else(|| LATER.with_borrow_mut(Vec::pop)) {
            let shape = (*header).shape;
            if shape.is_said() {
                // Most are these: a loop of their own.
                let slots = fields_slots(header);
                let mut refs = shape.refs();
                while refs != 0 {
                    dead.let_go(*slots.add(refs.trailing_zeros() as usize));
                    refs &= refs - 1;
                }
                dealloc_fields(header, shape.n_slots());
            } else {
                for_each_ref(header, |slot| dead.let_go(*slot));
                dealloc(header);
            }
            next = dead.take();
        }
        FREEING.set(false);
    }
}

/// Frees the object at `bits` if it leads nowhere: texts, and tuples, options and the like of scalars, which are most of what
/// is freed. No code of others runs.
///
/// # Safety
/// `bits` points at an object whose last owner gives it up.
#[inline]
pub(crate) unsafe fn free_leaf(bits: u64) -> bool {
    let header = bits as *mut Header;
    // SAFETY: the caller's promise; a `Fields` object's variant is one of its type.
    unsafe {
        let shape = (*header).shape;
        if shape.is_said() {
            if shape.is_leaf() {
                dealloc_fields(header, shape.n_slots());
            }
            return shape.is_leaf();
        }
        match (*header).kind {
            ObjKind::Str | ObjKind::Bytes => dealloc(header),
            ObjKind::Fields => {
                let layout = (*header).info.layout((*header).variant);
                if !layout.refs.is_empty() {
                    return false;
                }
                dealloc_fields(header, layout.types.len());
            }
            _ => return false,
        }
    }
    true
}

/// After a panic was caught: a native may have been in the middle of freeing. What it had not freed is leaked.
pub(crate) fn after_panic() {
    FREEING.set(false);
}

/// Gives an object's memory back. Its references have been dealt with.
unsafe fn dealloc(header: *mut Header) {
    // SAFETY: each kind was allocated as the type it is freed as, see the `new_*` functions.
    unsafe {
        if (*header).kind == ObjKind::Fields {
            return dealloc_fields(header, (*header).info.layout((*header).variant).types.len());
        }
        meter::credit(size_of_object(header));
        #[cfg(debug_assertions)]
        {
            (*header).rc = 0xdead;
        }
        match (*header).kind {
            ObjKind::Fields => unreachable!("given back above"),
            ObjKind::Vec => drop(Box::from_raw(header.cast::<VecObj>())),
            ObjKind::Str => drop(Box::from_raw(header.cast::<StrObj>())),
            ObjKind::Bytes => drop(Box::from_raw(header.cast::<BytesObj>())),
            ObjKind::Map => drop(Box::from_raw(header.cast::<MapObj>())),
            ObjKind::Closure => drop(Box::from_raw(header.cast::<ClosureObj>())),
            ObjKind::Dyn => drop(Box::from_raw(header.cast::<DynObj>())),
            ObjKind::Opaque => {
                // A drop that others see (of a file, a future) comes after what the task has sent.
                crate::actor::end_gathering();
                drop(Box::from_raw(OpaqueObj::whole(header)));
            }
        }
    }
}

#[inline]
unsafe fn dealloc_fields(header: *mut Header, n_fields: usize) {
    // SAFETY: as in `dealloc`, of an object that `new_fields` has made.
    unsafe {
        #[cfg(debug_assertions)]
        {
            (*header).rc = 0xdead;
        }
        let words = n_words(n_fields);
        meter::credit(words * 8);
        local::put(header.cast(), words);
    }
}

/// What the object is charged at.
unsafe fn size_of_object(header: *const Header) -> usize {
    // SAFETY: the kind says which type is behind the header.
    unsafe {
        match (*header).kind {
            ObjKind::Fields => n_words((*header).info.layout((*header).variant).types.len()) * 8,
            ObjKind::Vec => size_of::<VecObj>() + (*header.cast::<VecObj>()).items.capacity() * 8,
            ObjKind::Str => size_of::<StrObj>() + (*header.cast::<StrObj>()).text.n_outside(),
            ObjKind::Bytes => size_of::<BytesObj>() + (*header.cast::<BytesObj>()).bytes.n_outside(),
            ObjKind::Map => size_of::<MapObj>() + (*header.cast::<MapObj>()).table.size(),
            ObjKind::Closure => size_of::<ClosureObj>() + (&(*header.cast::<ClosureObj>()).captures).len() * 8,
            ObjKind::Dyn => size_of::<DynObj>(),
            ObjKind::Opaque => OpaqueObj::size(header),
        }
    }
}

/// Calls `visit` with every reference slot in the object.
unsafe fn for_each_ref(header: *mut Header, mut visit: impl FnMut(*mut u64)) {
    // SAFETY: the kind says which type is behind the header; pointer maps come from the object's own type.
    unsafe {
        let info = (*header).info;
        match (*header).kind {
            ObjKind::Fields => {
                let slots = fields_slots(header);
                for &i in &info.layout((*header).variant).refs {
                    visit(slots.add(usize::from(i)));
                }
            }
            ObjKind::Vec => {
                if info.elem().is_ref {
                    for slot in &mut (*header.cast::<VecObj>()).items {
                        visit(slot);
                    }
                }
            }
            ObjKind::Map => {
                let key_is_ref = info.elem().is_ref;
                let value_is_ref = map_value_is_ref(info);
                if key_is_ref || value_is_ref {
                    for entry in (*header.cast::<MapObj>()).table.iter_mut() {
                        if key_is_ref {
                            visit(&mut entry.key);
                        }
                        if value_is_ref {
                            visit(&mut entry.value);
                        }
                    }
                }
            }
            ObjKind::Closure => {
                let closure = &mut *header.cast::<ClosureObj>();
                for (slot, ty) in closure.captures.iter_mut().zip(closure.types) {
                    if ty.is_ref {
                        visit(slot);
                    }
                }
            }
            ObjKind::Dyn => {
                let boxed = &mut *header.cast::<DynObj>();
                if boxed.inner.is_ref {
                    visit(&mut boxed.value);
                }
            }
            ObjKind::Str | ObjKind::Bytes | ObjKind::Opaque => {}
        }
    }
}

pub(crate) fn map_value_is_ref(info: &TypeInfo) -> bool {
    matches!(info.desc, stark_bytecode::TypeDesc::Map(..)) && info.map_value().is_ref
}

/// Words of a `Fields` object.
#[inline(always)]
pub(crate) const fn n_words(n_fields: usize) -> usize {
    size_of::<FieldsObj>() / 8 + n_fields
}

/// The first slot of a `Fields` object.
///
/// # Safety
/// `header` points at one.
#[inline(always)]
pub(crate) unsafe fn fields_slots(header: *mut Header) -> *mut u64 {
    // SAFETY: the slots follow the header in the same allocation.
    unsafe { header.cast::<u8>().add(size_of::<FieldsObj>()).cast() }
}

/// A value with the fields `slots`, whose references it takes over: an object, or a small payload without one.
#[inline]
pub(crate) fn new_fields(info: &'static TypeInfo, variant: u16, slots: &[u64]) -> u64 {
    if info.layout(variant).packs
        && let Some(packed) = Packed::new(variant, slots[0])
    {
        return packed;
    }
    new_fields_object(info, variant, slots)
}

/// Turns an immediate in `slot`, whose variant has a payload, into an object that holds it, for changing it there.
///
/// # Safety
/// `slot` is a live reference slot of type `info`.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unpack_in_place(slot: *mut u64, info: &'static TypeInfo) {
    // SAFETY: the caller's promise; an immediate owns nothing.
    unsafe {
        if let Some(packed) = Packed::of(*slot) {
            *slot = new_fields_object(info, packed.variant(), &[packed.payload()]);
        }
    }
}

#[inline]
fn new_fields_object(info: &'static TypeInfo, variant: u16, slots: &[u64]) -> u64 {
    let layout = info.layout(variant);
    debug_assert_eq!(layout.types.len(), slots.len());
    let words = n_words(slots.len());
    // SAFETY: there is room for the header and the slots, which are written before anything reads them.
    unsafe {
        let header = local::take(words).cast::<Header>();
        header.write(Header { rc: 1, variant, kind: ObjKind::Fields, shape: layout.shape, info });
        let into = fields_slots(header);
        // Most have no more than two, for which a call would take longer.
        match *slots {
            [x] => into.write(x),
            [x, y] => into.cast::<[u64; 2]>().write([x, y]),
            _ => std::ptr::copy_nonoverlapping(slots.as_ptr(), into, slots.len()),
        }
        meter::charge(words * 8);
        header as u64
    }
}

fn header(kind: ObjKind, info: &'static TypeInfo) -> Header {
    Header { rc: 1, variant: 0, kind, shape: Shape::UNSAID, info }
}

fn boxed<T>(object: T) -> u64 {
    let bits = Box::into_raw(Box::new(object)) as u64;
    // SAFETY: every object type starts with its header (`repr(C)`), and this one is live.
    meter::charge(unsafe { size_of_object(bits as *const Header) });
    bits
}

/// A `Vec` that takes over `items` and the references in them.
pub(crate) fn new_vec(info: &'static TypeInfo, items: Vec<u64>) -> u64 {
    boxed(VecObj { header: header(ObjKind::Vec, info), items })
}

pub(crate) fn new_str(text: CompactString) -> u64 {
    let n_chars = Cell::new(UNKNOWN);
    boxed(StrObj {
        header: header(ObjKind::Str, TypeInfo::str()),
        text: Buf::Owned(text),
        n_chars,
        scan: Cell::new((0, 0)),
    })
}

pub(crate) fn new_bytes(bytes: Vec<u8>) -> u64 {
    boxed(BytesObj { header: header(ObjKind::Bytes, TypeInfo::bytes()), bytes: Buf::Owned(bytes) })
}

pub(crate) fn new_map(info: &'static TypeInfo, table: map::Table) -> u64 {
    boxed(MapObj { header: header(ObjKind::Map, info), table })
}

pub(crate) fn new_closure(
    info: &'static TypeInfo,
    func: u32,
    captures: Box<[u64]>,
    types: &'static [&'static TypeInfo],
) -> u64 {
    debug_assert_eq!(captures.len(), types.len());
    boxed(ClosureObj { header: header(ObjKind::Closure, info), func, captures, types })
}

pub(crate) fn new_dyn(info: &'static TypeInfo, inner: &'static TypeInfo, value: u64) -> u64 {
    boxed(DynObj { header: header(ObjKind::Dyn, info), inner, value, trace: None })
}

pub(crate) fn new_opaque(info: &'static TypeInfo, body: impl Opaque) -> u64 {
    boxed(OpaqueObj::new(header(ObjKind::Opaque, info), body))
}

/// A constant: never freed, readable from every task. The character count is worked out now since nobody may write it later.
pub(crate) fn immortal_str(text: CompactString) -> u64 {
    let bits = new_str(text);
    // SAFETY: the object was just made; from now on nothing writes to it.
    unsafe {
        let object = bits as *mut StrObj;
        (*object).n_chars.set((*object).text.chars().count());
        make_immortal(bits as *mut Header);
    }
    bits
}

/// As `immortal_str`, for bytes.
pub(crate) fn immortal_bytes(bytes: Vec<u8>) -> u64 {
    let bits = new_bytes(bytes);
    // SAFETY: the object was just made.
    unsafe { make_immortal(bits as *mut Header) };
    bits
}

/// Hands an object over to the program: no heap pays for it any more.
pub(crate) unsafe fn make_immortal(header: *mut Header) {
    // SAFETY: the caller owns the object and no other thread has seen it.
    unsafe {
        meter::credit(size_of_object(header));
        (*header).rc = IMMORTAL;
    }
}

/// Makes the object in `slot` unique: copies it (one level; children gain an owner) when somebody else owns it too.
///
/// # Safety
/// `slot` holds a live reference to an object that is not a unique type.
#[inline(always)]
pub(crate) unsafe fn make_unique(slot: *mut u64) -> *mut Header {
    // SAFETY: the caller's promise.
    unsafe {
        let header = *slot as *mut Header;
        if (*header).rc == 1 { header } else { copy_shared(slot) }
    }
}

/// How often a value was copied since the process began, because it was to be changed and had another owner.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// How many values were copied since the process began, because they were changed while they had another owner.
pub fn copies_on_write() -> u64 {
    COPIES.load(Relaxed)
}

#[cold]
#[inline(never)]
unsafe fn copy_shared(slot: *mut u64) -> *mut Header {
    // The copy itself takes far longer than counting it.
    COPIES.fetch_add(1, Relaxed);
    // SAFETY: the old object is shared, so releasing one owner leaves it alive for the others.
    unsafe {
        let old = *slot;
        let new = copy_object(old as *mut Header);
        *slot = new;
        release(old);
        new as *mut Header
    }
}

/// A copy of one object; its children gain an owner.
unsafe fn copy_object(header: *mut Header) -> u64 {
    // SAFETY: the kind says which type is behind the header; the copied reference slots are counted right after.
    unsafe {
        let info = (*header).info;
        let copy = match (*header).kind {
            ObjKind::Fields => {
                let n = info.layout((*header).variant).types.len();
                new_fields_object(info, (*header).variant, std::slice::from_raw_parts(fields_slots(header), n))
            }
            ObjKind::Vec => new_vec(info, (&(*header.cast::<VecObj>()).items).clone()),
            ObjKind::Str => copy_str(header.cast()),
            ObjKind::Bytes => {
                let bytes = &(*header.cast::<BytesObj>()).bytes;
                match bytes {
                    Buf::Owned(b) => new_bytes(b.clone()),
                    Buf::Shared(b) => {
                        boxed(BytesObj { header: self::header(ObjKind::Bytes, info), bytes: Buf::Shared(b.clone()) })
                    }
                }
            }
            ObjKind::Map => new_map(info, (&(*header.cast::<MapObj>()).table).copy()),
            ObjKind::Closure => {
                let closure = &*header.cast::<ClosureObj>();
                new_closure(info, closure.func, closure.captures.clone(), closure.types)
            }
            ObjKind::Dyn => {
                let old = &*header.cast::<DynObj>();
                let copy = new_dyn(info, old.inner, old.value);
                (*(copy as *mut DynObj)).trace = old.trace.clone();
                copy
            }
            // The compiler and the verifier keep unique types from being copied.
            ObjKind::Opaque => copy_opaque(header).expect("a unique value is never copied"),
        };
        for_each_ref(copy as *mut Header, |slot| retain(*slot));
        copy
    }
}

/// Another handle on the same thing; `None` when it is unique.
unsafe fn copy_opaque(header: *mut Header) -> Option<u64> {
    // SAFETY: the caller looked at the kind.
    unsafe { (*OpaqueObj::whole(header)).body().share((*header).info).map(|copy| copy.into_raw().0) }
}

unsafe fn copy_str(old: *mut StrObj) -> u64 {
    // SAFETY: `old` is live; an immortal one is only read, another belongs to this thread.
    unsafe {
        let text = match &(*old).text {
            Buf::Owned(text) => Buf::Owned(text.clone()),
            Buf::Shared(text) => Buf::Shared(text.clone()),
        };
        boxed(StrObj {
            header: header(ObjKind::Str, TypeInfo::str()),
            text,
            n_chars: Cell::new((*old).n_chars.get()),
            scan: Cell::new((0, 0)),
        })
    }
}

/// Runs `change` on a unique object and settles what it is charged at.
///
/// # Safety
/// `header` points at a live object of this task.
pub(crate) unsafe fn recharge<R>(header: *mut Header, change: impl FnOnce() -> R) -> R {
    // SAFETY: the caller's promise.
    unsafe {
        let before = size_of_object(header);
        let result = change();
        meter::resize(before, size_of_object(header));
        result
    }
}
