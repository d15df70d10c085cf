//! What a reference points at: a 16-byte header and one of eight bodies.
//!
//! A reference slot is null (0), a pointer to a `Header`, or an odd number, an *immediate*: a variant of an enum whose
//! payload is nothing or one small scalar (`Packed`). Counts are plain, not atomic: an object belongs to one task. An object whose count has its top bit set is
//! *immortal*: constants and frozen globals, which every task may read, nobody counts and nobody changes. A count
//! that grows that far makes its object immortal by itself, so counting never overflows.

use super::meter;
use crate::types::TypeInfo;
use crate::value::Value;
use compact_str::CompactString;
use std::any::{Any, TypeId};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;

/// From here on a count means "immortal".
pub const IMMORTAL: u32 = 1 << 31;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ObjKind {
    /// Tuple, struct, actor state, enum variant with payload.
    Fields,
    Vec,
    Str,
    Bytes,
    /// `Map` and `Set`.
    Map,
    Closure,
    Dyn,
    Opaque,
}

/// How many slots a `Fields` object has and which of them hold references, as far as a byte can say it: below the highest bit
/// that is set there is a bit for each slot. Freeing looks at each object once, and three loads from its type would be most
/// of what that costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape(pub(crate) u8);

impl Shape {
    /// Of other objects, and of those with more slots: the type says it.
    pub const UNSAID: Shape = Shape(0);

    pub(crate) fn of(n_slots: usize, refs: &[u16]) -> Shape {
        if n_slots > 7 {
            return Shape::UNSAID;
        }
        Shape(refs.iter().fold(1 << n_slots, |shape, i| shape | 1 << i))
    }

    #[inline(always)]
    pub(crate) fn is_said(self) -> bool {
        self.0 != 0
    }

    /// Said, and without references.
    #[inline(always)]
    pub(crate) fn is_leaf(self) -> bool {
        self.0.is_power_of_two()
    }

    #[inline(always)]
    pub(crate) fn n_slots(self) -> usize {
        debug_assert!(self.is_said());
        7 - (self.0 | 1).leading_zeros() as usize
    }

    /// The slots that hold references, as bits.
    #[inline(always)]
    pub(crate) fn refs(self) -> u8 {
        self.0 ^ 1 << self.n_slots()
    }
}

#[repr(C)]
pub struct Header {
    pub rc: u32,
    pub variant: u16,
    pub kind: ObjKind,
    pub shape: Shape,
    pub info: &'static TypeInfo,
}

#[repr(C)]
pub struct FieldsObj {
    pub header: Header,
    // The slots follow; how many is in `header.info.layout(header.variant)`.
}

#[repr(C)]
pub struct VecObj {
    pub header: Header,
    pub(crate) items: Vec<u64>,
}

#[repr(C)]
pub struct StrObj {
    pub header: Header,
    /// A short text, which most are, lies in the object itself.
    pub(crate) text: Buf<CompactString>,
    /// Number of characters; `UNKNOWN` until somebody asks.
    pub(crate) n_chars: Cell<usize>,
    /// A character's position and its byte offset, where the last indexing ended: makes left-to-right scans linear. Not
    /// kept beyond 4 GiB.
    pub(crate) scan: Cell<(u32, u32)>,
}

/// An enum's value without an object: from the low end a 1, the variant in 16 bits, and in the rest the payload if there is
/// one. `Some(3)` is made far more often than it is kept, and this way it is not allocated. A payload that does not fit
/// gets an object, so one variant comes in both forms: whoever looks at a payload asks for both.
#[derive(Clone, Copy)]
pub(crate) struct Packed(u64);

impl Packed {
    pub const PAYLOAD: u32 = 17;

    /// The variant without a payload.
    #[inline(always)]
    pub fn bare(variant: u16) -> u64 {
        u64::from(variant) << 1 | 1
    }

    /// `None` when the bits of the scalar are more than a sign-extended number of 47 bits.
    #[inline(always)]
    pub fn new(variant: u16, payload: u64) -> Option<u64> {
        let shifted = payload << Self::PAYLOAD;
        let fits = (shifted as i64 >> Self::PAYLOAD) as u64 == payload;
        fits.then_some(shifted | Self::bare(variant))
    }

    /// The immediate in a slot, if it holds one.
    #[inline(always)]
    pub fn of(slot: u64) -> Option<Packed> {
        (slot & 1 == 1).then_some(Packed(slot))
    }

    #[inline(always)]
    pub fn variant(self) -> u16 {
        (self.0 >> 1) as u16
    }

    /// The payload of a variant that has one.
    #[inline(always)]
    pub fn payload(self) -> u64 {
        (self.0 as i64 >> Self::PAYLOAD) as u64
    }
}

pub(crate) const UNKNOWN: usize = usize::MAX;

#[repr(C)]
pub struct BytesObj {
    pub header: Header,
    pub(crate) bytes: Buf<Vec<u8>>,
}

#[repr(C)]
pub struct MapObj {
    pub header: Header,
    pub(crate) table: super::map::Table,
}

#[repr(C)]
pub struct ClosureObj {
    pub header: Header,
    pub func: u32,
    pub(crate) captures: Box<[u64]>,
    /// The types of the captures, from the function's parameters.
    pub(crate) types: &'static [&'static TypeInfo],
}

#[repr(C)]
pub struct DynObj {
    pub header: Header,
    /// The type of the value inside.
    pub inner: &'static TypeInfo,
    pub(crate) value: u64,
    /// Where an error was thrown; only errors have one.
    pub(crate) trace: Option<Arc<crate::trace::Trace>>,
}

/// A body of a Rust type, in one block with its header: a handle on a task or a channel is not much more than a pointer.
#[repr(C)]
pub(crate) struct OpaqueObj<T: ?Sized = ()> {
    pub(crate) header: Header,
    of: &'static OpaqueType,
    body: T,
}

/// What the objects with bodies of one type have in common.
struct OpaqueType {
    id: TypeId,
    size: fn() -> usize,
    /// The same object, as one of its type.
    whole: fn(*mut Header) -> *mut OpaqueObj<dyn Opaque>,
}

trait Typed {
    const TYPE: OpaqueType;
}

impl<T: Opaque> Typed for T {
    const TYPE: OpaqueType =
        OpaqueType { id: TypeId::of::<T>(), size: T::size, whole: |header| header.cast::<OpaqueObj<T>>() };
}

impl<T: Opaque> OpaqueObj<T> {
    pub(super) fn new(header: Header, body: T) -> OpaqueObj<T> {
        OpaqueObj { header, of: const { &T::TYPE }, body }
    }
}

impl OpaqueObj {
    /// The object with its body.
    ///
    /// # Safety
    /// `header` points at a live object of the kind `Opaque`.
    #[inline]
    pub(crate) unsafe fn whole(header: *mut Header) -> *mut OpaqueObj<dyn Opaque> {
        // SAFETY: the caller's promise; every such object begins alike.
        unsafe { ((*header.cast::<OpaqueObj>()).of.whole)(header) }
    }

    /// Its body, if that is a `T`.
    ///
    /// # Safety
    /// As for `whole`.
    #[inline]
    pub(crate) unsafe fn body_of<T: Opaque>(header: *mut Header) -> Option<*mut T> {
        // SAFETY: the caller's promise, and the type is the one that the object was made with.
        unsafe {
            let of = (*header.cast::<OpaqueObj>()).of;
            // The address mostly tells; there may be a second copy of the same.
            let is = std::ptr::eq(of, const { &T::TYPE }) || of.id == TypeId::of::<T>();
            is.then(|| &raw mut (*header.cast::<OpaqueObj<T>>()).body)
        }
    }

    /// As `body_of`, without a call: it may be what `None` says it is not.
    ///
    /// # Safety
    /// As for `whole`.
    #[inline(always)]
    pub(crate) unsafe fn body_at_once<T: Opaque>(header: *mut Header) -> Option<*mut T> {
        // SAFETY: as in `body_of`.
        unsafe {
            let is = std::ptr::eq((*header.cast::<OpaqueObj>()).of, const { &T::TYPE });
            is.then(|| &raw mut (*header.cast::<OpaqueObj<T>>()).body)
        }
    }

    /// Bytes that it is charged at.
    ///
    /// # Safety
    /// As for `whole`.
    pub(super) unsafe fn size(header: *const Header) -> usize {
        // SAFETY: the caller's promise.
        unsafe { size_of::<OpaqueObj>() + ((*header.cast::<OpaqueObj>()).of.size)() }
    }
}

/// An owner of an opaque object beside the slots that hold it, for what a native keeps of its arguments while it waits: counting
/// it is not atomic, as counting the body may be. Made and dropped in turns of the object's task.
pub(crate) struct Held<T: Opaque>(NonNull<OpaqueObj<T>>);

// SAFETY: it is the object's task that is moved between threads, and this with it.
unsafe impl<T: Opaque> Send for Held<T> {}

impl<T: Opaque> Held<T> {
    /// # Safety
    /// `header` points at a live object of the current heap with a body that is a `T`.
    #[inline]
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Held<T> {
        // SAFETY: the caller's promise.
        unsafe { super::retain(header.as_ptr() as u64) };
        Held(header.cast())
    }
}

impl<T: Opaque> std::ops::Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it is live as long as it is owned, and its body is a `T`, as `new` was promised.
        unsafe { &(*self.0.as_ptr()).body }
    }
}

impl<T: Opaque> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the count that `new` took.
        unsafe { super::release(self.0.as_ptr() as u64) }
    }
}

impl OpaqueObj<dyn Opaque> {
    pub(crate) fn body(&self) -> &dyn Opaque {
        &self.body
    }
}

/// A value that Rust code keeps inside: tensors, models, channels, futures, actor references, guards.
pub trait Opaque: Any + Send + Sync {
    /// As STARK source writes the type: `Channel`, `Tensor`.
    fn type_name(&self) -> &'static str;
    /// Another handle on the same thing, of the type `info`, for a copy that goes to another task. `None` for unique types,
    /// which can only be moved.
    fn share(&self, info: &'static TypeInfo) -> Option<Value>;
    /// As `print` shows it; `nested` inside a container.
    fn show(&self, nested: bool, out: &mut String) {
        let _ = nested;
        out.push_str(self.type_name());
    }
    /// Whether two values are equal as STARK's `==` sees it. Not equal unless the type says otherwise.
    fn equal(&self, other: &dyn Opaque) -> bool {
        let _ = other;
        false
    }
    /// Bytes to charge to the heap that holds one.
    fn size() -> usize
    where
        Self: Sized,
    {
        64
    }
}

impl dyn Opaque {
    #[inline]
    pub fn downcast<T: Opaque>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref::<T>()
    }
}

/// A buffer that is ours alone, or shared with copies in other tasks.
pub(crate) enum Buf<T: Bytes> {
    Owned(T),
    Shared(Shared<T>),
}

/// What a buffer may be.
pub(crate) trait Bytes: Clone + Default {
    /// Bytes outside the object itself.
    fn n_outside(&self) -> usize;
}

impl Bytes for CompactString {
    fn n_outside(&self) -> usize {
        if self.is_heap_allocated() { self.capacity() } else { 0 }
    }
}

impl Bytes for Vec<u8> {
    fn n_outside(&self) -> usize {
        self.capacity()
    }
}

/// One of the holders of a buffer that nobody changes. Each is charged at all of it, as any of them may be the last; in the budget of
/// the process it counts once. Empty only while it is dropped.
pub(crate) struct Shared<T: Bytes>(Option<Arc<T>>);

impl<T: Bytes> Shared<T> {
    /// The buffer, copied when there are other holders.
    fn take(&mut self) -> T {
        match self.0.take().map(Arc::try_unwrap) {
            Some(Ok(body)) => body,
            Some(Err(shared)) => {
                let body = T::clone(&shared);
                self.0 = Some(shared);
                body
            }
            None => T::default(),
        }
    }
}

impl<T: Bytes> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        meter::share(self.n_outside());
        Shared(self.0.clone())
    }
}

impl<T: Bytes> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            let n = body.n_outside();
            // Of several that are dropped at once one is the last.
            if Arc::into_inner(body).is_none() {
                meter::unshare(n);
            }
        }
    }
}

impl<T: Bytes> std::ops::Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("only a drop empties it")
    }
}

impl<T: Bytes> std::ops::Deref for Buf<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self {
            Buf::Owned(body) => body,
            Buf::Shared(body) => body,
        }
    }
}

impl<T: Bytes> Buf<T> {
    /// The buffer for writing; copies it when it is shared.
    pub fn to_mut(&mut self) -> &mut T {
        if let Buf::Shared(body) = self {
            *self = Buf::Owned(body.take());
        }
        match self {
            Buf::Owned(body) => body,
            Buf::Shared(_) => unreachable!("made owned above"),
        }
    }

    /// A second owner of the same bytes.
    pub fn share(&mut self) -> Buf<T> {
        if let Buf::Owned(body) = self {
            *self = Buf::Shared(Shared(Some(Arc::new(std::mem::take(body)))));
        }
        match self {
            Buf::Shared(body) => Buf::Shared(body.clone()),
            Buf::Owned(_) => unreachable!("made shared above"),
        }
    }
}
