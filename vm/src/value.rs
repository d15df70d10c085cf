//! Values: one machine word and, where a word cannot know it, its type.
//!
//! In registers and objects a value is a bare 64-bit *slot*: the bits of a scalar, or a counted reference (null, a
//! pointer, an odd immediate variant). The interpreter moves slots, since instructions are typed. Everybody else holds
//! a `Value` (slot and type, an owner: cloning counts, dropping releases) or a `ValueRef` (the same, borrowed). Their
//! accessors check what they touch and panic on a mix-up, which ends one task, not the process.

#![allow(unsafe_code)]

use crate::heap::object::*;
use crate::heap::{self, Header, Held, ObjKind, Opaque, Packed};
use crate::types::TypeInfo;
use compact_str::CompactString;
use stark_bytecode::{Kind, TypeDesc};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An owned value.
pub struct Value {
    bits: u64,
    info: &'static TypeInfo,
    /// Counts are not atomic: a value stays on its task's worker.
    not_send: PhantomData<*mut ()>,
}

/// A borrowed value.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    bits: u64,
    info: &'static TypeInfo,
    owner: PhantomData<&'a Value>,
    not_send: PhantomData<*mut ()>,
}

impl Value {
    /// Takes over one ownership of `bits`, which must be a live slot of type `info`. Only the VM itself calls this.
    pub(crate) fn from_raw(bits: u64, info: &'static TypeInfo) -> Value {
        Value { bits, info, not_send: PhantomData }
    }

    /// Gives the ownership up.
    pub(crate) fn into_raw(self) -> (u64, &'static TypeInfo) {
        let raw = (self.bits, self.info);
        std::mem::forget(self);
        raw
    }

    /// A scalar of type `info` from its bits.
    pub fn scalar(info: &'static TypeInfo, bits: u64) -> Value {
        assert!(!info.is_ref, "{info:?} is not a scalar type");
        Value::from_raw(bits, info)
    }

    pub fn unit() -> Value {
        Value::from_raw(0, TypeInfo::builtin(&TypeDesc::Unit))
    }

    pub fn bool(x: bool) -> Value {
        Value::from_raw(u64::from(x), TypeInfo::builtin(&TypeDesc::Bool))
    }

    pub fn int(x: i64) -> Value {
        Value::from_raw(x as u64, TypeInfo::builtin(&TypeDesc::Number(Kind::Int64)))
    }

    pub fn float(x: f64) -> Value {
        Value::from_raw(x.to_bits(), TypeInfo::builtin(&TypeDesc::Number(Kind::Float64)))
    }

    /// Nanoseconds.
    pub fn duration(ns: i64) -> Value {
        Value::from_raw(ns as u64, TypeInfo::builtin(&TypeDesc::Duration))
    }

    pub fn str(text: impl Into<CompactString>) -> Value {
        Value::from_raw(heap::new_str(text.into()), TypeInfo::str())
    }

    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Value {
        Value::from_raw(heap::new_bytes(bytes.into()), TypeInfo::bytes())
    }

    /// A `Vec` of type `info`.
    pub fn vec(info: &'static TypeInfo, items: impl IntoIterator<Item = Value>) -> Value {
        let elem = info.elem();
        let items = items.into_iter().map(|item| item.into_slot(elem)).collect();
        Value::from_raw(heap::new_vec(info, items), info)
    }

    /// A `Vec` of type `info`, whose elements are scalars, from their bits.
    pub fn vec_of_scalars(info: &'static TypeInfo, items: Vec<u64>) -> Value {
        assert!(!info.elem().is_ref, "{info:?} does not hold scalars");
        Value::from_raw(heap::new_vec(info, items), info)
    }

    /// An empty `Map` or `Set` of type `info`.
    pub fn map(info: &'static TypeInfo) -> Value {
        assert!(matches!(info.desc, TypeDesc::Map(..) | TypeDesc::Set(_)), "{info:?} is not a Map or Set");
        Value::from_raw(heap::new_map(info, Default::default()), info)
    }

    /// A tuple, struct or actor state of type `info`.
    pub fn fields(info: &'static TypeInfo, fields: impl IntoIterator<Item = Value>) -> Value {
        assert!(!matches!(info.desc, TypeDesc::Enum { .. }), "{info:?} is an enum: name the variant");
        Value::object(info, 0, fields)
    }

    /// Variant number `variant` of the enum `info`.
    pub fn variant(info: &'static TypeInfo, variant: u16, fields: impl IntoIterator<Item = Value>) -> Value {
        assert!(matches!(info.desc, TypeDesc::Enum { .. }), "{info:?} is not an enum");
        if info.layout(variant).types.is_empty() {
            let bits = if info.is_ref { Packed::bare(variant) } else { u64::from(variant) };
            return Value::from_raw(bits, info);
        }
        Value::object(info, variant, fields)
    }

    /// The same with one field, as most of those have that natives make.
    #[inline]
    pub fn variant_of(info: &'static TypeInfo, variant: u16, field: Value) -> Value {
        assert!(matches!(info.desc, TypeDesc::Enum { .. }), "{info:?} is not an enum");
        let [ty] = *info.layout(variant).types.as_slice() else {
            panic!("variant {variant} of {info:?} has one field")
        };
        let slot = field.into_slot(info.sibling(ty));
        Value::from_raw(heap::new_fields(info, variant, &[slot]), info)
    }

    /// `Some(x)`, `None`, `Ok(x)`, … of the enum `info`, by the variant's name.
    pub fn variant_named(info: &'static TypeInfo, name: &str, fields: impl IntoIterator<Item = Value>) -> Value {
        let variant = info.variant_named(name).unwrap_or_else(|| panic!("{info:?} has no variant {name}"));
        Value::variant(info, variant, fields)
    }

    fn object(info: &'static TypeInfo, variant: u16, fields: impl IntoIterator<Item = Value>) -> Value {
        let types = &info.layout(variant).types;
        let mut slots: smallvec::SmallVec<[u64; 8]> = smallvec::SmallVec::new();
        for field in fields {
            let ty = info.sibling(*types.get(slots.len()).expect("no more fields than the type has"));
            slots.push(field.into_slot(ty));
        }
        assert_eq!(slots.len(), types.len(), "every field of {info:?} is given");
        Value::from_raw(heap::new_fields(info, variant, &slots), info)
    }

    /// A value kept by Rust code, of type `info`.
    pub fn opaque(info: &'static TypeInfo, body: impl Opaque) -> Value {
        assert!(
            matches!(info.desc, TypeDesc::Opaque { .. } | TypeDesc::Tensor { .. }),
            "{info:?} is not kept by the VM"
        );
        Value::from_raw(heap::new_opaque(info, body), info)
    }

    /// The dynamic value of type `info` around `inner`.
    pub fn dynamic(info: &'static TypeInfo, inner: Value) -> Value {
        assert!(matches!(info.desc, TypeDesc::Dyn { .. }), "{info:?} is not dynamic");
        let (bits, inner) = inner.into_raw();
        Value::from_raw(heap::new_dyn(info, inner, bits), info)
    }

    /// The slot, owned, for a place declared as `place`.
    #[inline]
    pub(crate) fn into_slot(self, place: &TypeInfo) -> u64 {
        assert!(self.info.stands_for(place), "a {:?} where a {place:?} belongs", self.info);
        self.into_raw().0
    }

    pub fn info(&self) -> &'static TypeInfo {
        self.info
    }

    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::from_raw(self.bits, self.info)
    }

    pub fn as_int(&self) -> i64 {
        self.as_ref().int()
    }

    pub fn as_str(&self) -> &str {
        self.as_ref().str()
    }

    /// The vector for changing; copied first when something else shares it.
    pub fn vec_mut(&mut self) -> &mut VecObj {
        // SAFETY: `unique` checked the kind and the object is ours alone, so this is the only reference to it.
        unsafe { &mut *self.unique(ObjKind::Vec).cast() }
    }

    /// The map or set for changing; copied first when something else shares it.
    pub fn map_mut(&mut self) -> &mut MapObj {
        // SAFETY: as in `vec_mut`.
        unsafe { &mut *self.unique(ObjKind::Map).cast() }
    }

    /// The text for changing; copied first when something else shares it.
    pub fn str_mut(&mut self) -> &mut StrObj {
        // SAFETY: as in `vec_mut`.
        unsafe { &mut *self.unique(ObjKind::Str).cast() }
    }

    /// The bytes for changing; copied first when something else shares them.
    pub fn bytes_mut(&mut self) -> &mut BytesObj {
        // SAFETY: as in `vec_mut`.
        unsafe { &mut *self.unique(ObjKind::Bytes).cast() }
    }

    /// The body of a value kept by Rust code, for changing. Copied (by `share`) first when something else owns it too.
    pub fn opaque_mut<T: Opaque>(&mut self) -> &mut T {
        let header = self.unique(ObjKind::Opaque);
        // SAFETY: as in `vec_mut`.
        unsafe { &mut *OpaqueObj::body_of(header).expect("the body is of the type its name says") }
    }

    /// Puts `value` into field `field` and returns what was there. For enums the variant stays.
    pub fn replace_field(&mut self, field: usize, value: Value) -> Value {
        // SAFETY: this value owns its slot, which is of its type.
        unsafe { heap::unpack_in_place(&mut self.bits, self.info) };
        let header = self.unique(ObjKind::Fields);
        // SAFETY: `unique` checked the kind; `field()` and the assertion keep the position inside the layout.
        unsafe {
            let ty = self.info.field((*header).variant, field);
            let slot = heap::fields_slots(header).add(field);
            Value::from_raw(std::mem::replace(&mut *slot, value.into_slot(ty)), ty)
        }
    }

    /// Says where an error was thrown.
    pub(crate) fn set_trace(&mut self, trace: std::sync::Arc<crate::trace::Trace>) {
        let header = self.unique(ObjKind::Dyn);
        // SAFETY: as in `vec_mut`.
        let object: &mut DynObj = unsafe { &mut *header.cast() };
        object.trace = Some(trace);
    }

    fn unique(&mut self, kind: ObjKind) -> *mut Header {
        self.as_ref().object(kind);
        // SAFETY: `object` checked that this is a live object of that kind.
        unsafe { heap::make_unique(&mut self.bits) }
    }

    /// The fields, taken apart.
    pub fn into_fields(self) -> smallvec::SmallVec<[Value; 2]> {
        let value = self.as_ref();
        (0..value.n_fields()).map(|i| value.field(i).to_owned()).collect()
    }
}

impl Clone for Value {
    fn clone(&self) -> Value {
        self.as_ref().to_owned()
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if self.info.is_ref {
            // SAFETY: this value owned its slot.
            unsafe { heap::release(self.bits) }
        }
    }
}

impl<'a> ValueRef<'a> {
    /// A look at a live slot of type `info`. Only the VM itself calls this.
    pub(crate) fn from_raw(bits: u64, info: &'static TypeInfo) -> ValueRef<'a> {
        ValueRef { bits, info, owner: PhantomData, not_send: PhantomData }
    }

    pub(crate) fn bits(self) -> u64 {
        self.bits
    }

    /// The bits of a scalar.
    #[inline]
    pub fn scalar_bits(self) -> u64 {
        assert!(!self.info.is_ref, "{:?} is not a scalar type", self.info);
        self.bits
    }

    pub fn info(self) -> &'static TypeInfo {
        self.info
    }

    /// Whether this is a place whose value was taken and not yet given back. Only a module that no compiler made keeps one.
    pub(crate) fn is_hole(self) -> bool {
        self.info.is_ref && self.bits == 0
    }

    /// One more owner.
    #[inline]
    pub fn to_owned(self) -> Value {
        if self.info.is_ref {
            // SAFETY: the slot is live as long as it is borrowed.
            unsafe { heap::retain(self.bits) }
        }
        Value::from_raw(self.bits, self.info)
    }

    #[inline]
    pub fn int(self) -> i64 {
        self.scalar_bits() as i64
    }

    pub fn float(self) -> f64 {
        f64::from_bits(self.scalar_bits())
    }

    pub fn bool(self) -> bool {
        self.scalar_bits() != 0
    }

    #[inline(always)]
    fn object(self, kind: ObjKind) -> *mut Header {
        let header = self.bits as *mut Header;
        // SAFETY: a reference slot that is an object points at a live header.
        if !self.info.is_ref || !heap::is_object(self.bits) || unsafe { (*header).kind } != kind {
            self.is_not(kind);
        }
        header
    }

    #[cold]
    #[inline(never)]
    fn is_not(self, kind: ObjKind) -> ! {
        panic!("{kind:?} expected, found {:?} in a slot of type {:?}", self.bits, self.info)
    }

    pub fn str(self) -> &'a str {
        &self.str_obj().text
    }

    /// The text object: counts of characters and positions.
    pub fn str_obj(self) -> &'a StrObj {
        // SAFETY: `object` checked the kind; the borrow keeps it alive and unchanged.
        unsafe { &*self.object(ObjKind::Str).cast() }
    }

    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: as in `str_obj`.
        let object: &BytesObj = unsafe { &*self.object(ObjKind::Bytes).cast() };
        &object.bytes
    }

    pub fn vec(self) -> &'a VecObj {
        // SAFETY: as in `str_obj`.
        unsafe { &*self.object(ObjKind::Vec).cast() }
    }

    pub fn map(self) -> &'a MapObj {
        // SAFETY: as in `str_obj`.
        unsafe { &*self.object(ObjKind::Map).cast() }
    }

    pub(crate) fn dyn_obj(self) -> &'a DynObj {
        // SAFETY: as in `str_obj`.
        unsafe { &*self.object(ObjKind::Dyn).cast() }
    }

    pub(crate) fn closure(self) -> &'a ClosureObj {
        // SAFETY: as in `str_obj`.
        unsafe { &*self.object(ObjKind::Closure).cast() }
    }

    /// The value inside a dynamic value.
    pub fn inner(self) -> ValueRef<'a> {
        let object = self.dyn_obj();
        ValueRef::from_raw(object.value, object.inner)
    }

    /// Where an error was thrown, once it was.
    pub fn trace(self) -> Option<&'a crate::trace::Trace> {
        self.dyn_obj().trace.as_deref()
    }

    #[inline]
    pub fn opaque_dyn(self) -> &'a dyn Opaque {
        // SAFETY: as in `str_obj`.
        unsafe { (*OpaqueObj::whole(self.object(ObjKind::Opaque))).body() }
    }

    /// The body of a value kept by Rust code.
    #[inline]
    pub fn opaque<T: Opaque>(self) -> &'a T {
        // SAFETY: as in `str_obj`.
        unsafe { &*OpaqueObj::body_of(self.object(ObjKind::Opaque)).expect("the body is of the type its name says") }
    }

    /// As `opaque`, for keeping it beyond the native's call.
    #[inline]
    pub(crate) fn held<T: Opaque>(self) -> Held<T> {
        let _: &T = self.opaque();
        let header = NonNull::new(self.object(ObjKind::Opaque)).expect("an object has an address");
        // SAFETY: the value lives in a slot of the current task, and its body is a `T`, or the first line has panicked.
        unsafe { Held::new(header) }
    }

    /// An enum's variant number; 0 for tuples, structs and actor states.
    #[inline]
    pub fn tag(self) -> u16 {
        if !self.info.is_ref {
            return self.bits as u16;
        }
        if let Some(packed) = Packed::of(self.bits) {
            return packed.variant();
        }
        // SAFETY: `object` checked that a header is there.
        unsafe { (*self.object(ObjKind::Fields)).variant }
    }

    #[inline]
    pub fn n_fields(self) -> usize {
        if self.info.is_ref && self.info.has_layouts() && self.bits != 0 {
            self.info.layout(self.tag()).types.len()
        } else {
            0
        }
    }

    /// A field of a tuple, struct or actor state, or of an enum value's variant.
    #[inline]
    pub fn field(self, i: usize) -> ValueRef<'a> {
        if let (true, Some(packed)) = (self.info.is_ref, Packed::of(self.bits)) {
            return ValueRef::from_raw(packed.payload(), self.info.field(packed.variant(), i));
        }
        let header = self.object(ObjKind::Fields);
        // SAFETY: `field()` panics unless the layout has that position; the slots follow the header.
        unsafe {
            let ty = (*header).info.field((*header).variant, i);
            ValueRef::from_raw(*heap::fields_slots(header).add(i), ty)
        }
    }

    /// The payload of `Some` (or `Ok`, …): its first field; `None` when the variant has none.
    pub fn payload(self) -> Option<ValueRef<'a>> {
        (self.n_fields() > 0).then(|| self.field(0))
    }

    /// As `print` shows it: text plain at the top.
    pub fn display(self) -> String {
        let mut out = String::new();
        crate::structural::display(self, &mut out);
        out
    }

    /// As inside a container: text quoted.
    pub fn show(self) -> String {
        let mut out = String::new();
        crate::structural::show(self, &mut out);
        out
    }

    pub fn equal(self, other: ValueRef<'_>) -> bool {
        crate::structural::equal_slots(self.info, self.bits, other.bits)
    }

    pub fn compare(self, other: ValueRef<'_>) -> std::cmp::Ordering {
        crate::structural::compare_slots(self.info, self.bits, other.bits)
    }

    pub fn hash(self) -> u64 {
        crate::structural::hash_slot(self.info, self.bits)
    }
}

impl std::fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.show())
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

// SAFETY: the values in an actor's body are its own task's: made from parcels, or by its machine, while its heap was
// current. They are reached only through the body, which one worker at a time holds.
unsafe impl Send for crate::actor::ActorBody {}

/// The vector in `slot`, unique, for changing.
pub(crate) fn slot_vec_mut<'a>(slot: &'a mut u64, info: &'static TypeInfo) -> &'a mut VecObj {
    // SAFETY: `slot_unique` checked the kind and left the slot as the object's only owner; the result borrows the slot.
    unsafe { &mut *slot_unique(slot, info, ObjKind::Vec).cast() }
}

/// The map or set in `slot`, unique, for changing.
pub(crate) fn slot_map_mut<'a>(slot: &'a mut u64, info: &'static TypeInfo) -> &'a mut MapObj {
    // SAFETY: as in `slot_vec_mut`.
    unsafe { &mut *slot_unique(slot, info, ObjKind::Map).cast() }
}

/// The text in `slot`, unique, for changing.
pub(crate) fn slot_str_mut<'a>(slot: &'a mut u64, info: &'static TypeInfo) -> &'a mut StrObj {
    // SAFETY: as in `slot_vec_mut`.
    unsafe { &mut *slot_unique(slot, info, ObjKind::Str).cast() }
}

fn slot_unique(slot: &mut u64, info: &'static TypeInfo, kind: ObjKind) -> *mut Header {
    // Not dropped, also when `unique` panics: the slot stays the owner.
    let mut value = std::mem::ManuallyDrop::new(Value::from_raw(*slot, info));
    let header = value.unique(kind);
    *slot = value.bits;
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_two_words_and_a_header_two() {
        assert_eq!((size_of::<Value>(), size_of::<ValueRef>(), size_of::<Header>()), (16, 16, 16));
    }
}

// SAFETY: as with an actor's body: what a session keeps was made by its own task's machine, and is reached only there.
unsafe impl Send for crate::session::SessionBody {}
