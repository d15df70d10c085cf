//! Values between tasks: what only the sender owned moves, what others own too is copied, what lives outside is shared.
//!
//! A `Parcel` is a value with all it reaches, owned by no task. Packing walks the graph once with a worklist: an object
//! with one owner is taken along as it is, one with more is copied (once: what was shared inside a message stays
//! shared), immortal ones are referred to. Big text and bytes keep their storage. The receiver unpacks for free.

use super::*;
use crate::value::{Value, ValueRef};
use std::collections::HashMap;
use std::ptr::NonNull;

/// Text and bytes from here on are shared rather than copied. A guess: a cache line or two copies faster than an atomic count.
const SHARE_FROM: usize = 256;

/// A value on its way from one task to another: two words, so that it travels in registers.
pub struct Parcel {
    /// The value, or when `Charge::HEAVY` says so, the address of a `Box<Heavy>` with it.
    bits: u64,
    /// Its type, and above the address what the receiver's heap will be charged.
    info: Charge,
}

// SAFETY: packing leaves the parcel the only owner of every counted object in it; immortal objects are never written,
// shared buffers are atomically counted, and opaque bodies are `Send`.
unsafe impl Send for Parcel {}
// SAFETY: a `&Parcel` gives access to nothing but its type and size.
unsafe impl Sync for Parcel {}

/// A type and a number of bytes below `HEAVY` in one word: addresses have 48 bits on the processors we run on, unless a program
/// asks the system for more, which this one does not.
#[derive(Clone, Copy)]
struct Charge(NonNull<TypeInfo>);

impl Charge {
    const SHIFT: u32 = 48;
    /// The bytes are in the `Heavy`.
    const HEAVY: usize = 0xffff;

    #[inline]
    fn new(info: &'static TypeInfo, bytes: usize) -> Charge {
        debug_assert!(bytes <= Self::HEAVY && std::ptr::from_ref(info).addr() >> Self::SHIFT == 0);
        Charge(NonNull::from(info).map_addr(|addr| addr | bytes << Self::SHIFT))
    }

    #[inline]
    fn info(self) -> &'static TypeInfo {
        // SAFETY: `new` was given a type, whose address has no bits from `SHIFT` on and is not 0.
        unsafe { &*self.0.as_ptr().map_addr(|addr| addr & !(usize::MAX << Self::SHIFT)) }
    }

    #[inline]
    fn bytes(self) -> usize {
        self.0.addr().get() >> Self::SHIFT
    }
}

/// What a value of many bytes weighs.
struct Heavy {
    bits: u64,
    bytes: usize,
}

impl Parcel {
    #[inline]
    fn new(bits: u64, info: &'static TypeInfo, bytes: usize) -> Parcel {
        if bytes < Charge::HEAVY {
            return Parcel { bits, info: Charge::new(info, bytes) };
        }
        let heavy = Box::into_raw(Box::new(Heavy { bits, bytes }));
        Parcel { bits: heavy.expose_provenance() as u64, info: Charge::new(info, Charge::HEAVY) }
    }

    /// The `Heavy`, if there is one.
    #[inline]
    fn heavy(&self) -> Option<*mut Heavy> {
        (self.info.bytes() == Charge::HEAVY).then(|| std::ptr::with_exposed_provenance_mut(self.bits as usize))
    }

    /// The value and the bytes that come with it.
    #[inline]
    fn into_parts(self) -> (u64, &'static TypeInfo, usize) {
        let parcel = std::mem::ManuallyDrop::new(self);
        let (bits, bytes) = match parcel.heavy() {
            None => (parcel.bits, parcel.info.bytes()),
            Some(heavy) => {
                // SAFETY: `new` made it of a box, which the parcel owned and does not any more.
                let heavy = unsafe { Box::from_raw(heavy) };
                (heavy.bits, heavy.bytes)
            }
        };
        (bits, parcel.info.info(), bytes)
    }

    /// A scalar for another task; `None`: `value` is none.
    #[inline]
    pub fn scalar(value: ValueRef<'_>) -> Option<Parcel> {
        let info = value.info();
        (!info.is_ref).then(|| Parcel::new(value.scalar_bits(), info, 0))
    }

    /// As `scalar`, of the bits of a scalar of this type.
    #[inline(always)]
    pub(crate) fn of_scalar(bits: u64, info: &'static TypeInfo) -> Parcel {
        debug_assert!(!info.is_ref);
        Parcel { bits, info: Charge::new(info, 0) }
    }

    /// The bits of a scalar: nothing comes with it.
    #[inline(always)]
    pub(crate) fn into_scalar(self) -> u64 {
        debug_assert!(!self.info().is_ref);
        std::mem::ManuallyDrop::new(self).bits
    }

    /// Packs `value` for another task. Fails, giving the value back, when it would have to copy a unique value.
    #[inline]
    pub fn pack(value: Value) -> Result<Parcel, Value> {
        let (mut bits, info) = value.into_raw();
        if !info.is_ref || !is_object(bits) {
            return Ok(Parcel::new(bits, info, 0));
        }
        // SAFETY: `bits` was owned by `value` and is owned by the parcel, or the value again.
        match unsafe { pack_object(&mut bits) } {
            Ok(bytes) => Ok(Parcel::new(bits, info, bytes)),
            // What was packed so far is a value as good as before.
            Err(Unique) => Err(Value::from_raw(bits, info)),
        }
    }

    /// The value, charged to the current heap.
    #[inline]
    pub fn unpack(self) -> Value {
        let (bits, info, bytes) = self.into_parts();
        meter::receive(bytes);
        Value::from_raw(bits, info)
    }

    /// Another owner of the same value, charged to the current heap; `None` when it holds something that cannot be copied.
    pub fn copy(&mut self) -> Option<Value> {
        let unit = Parcel::new(0, TypeInfo::builtin(&stark_bytecode::TypeDesc::Unit), 0);
        let value = std::mem::replace(self, unit).unpack();
        let copy = value.clone();
        match Parcel::pack(value) {
            Ok(parcel) => {
                *self = parcel;
                Some(copy)
            }
            Err(value) => {
                // With one owner again it is packed as it was.
                drop(copy);
                if let Ok(parcel) = Parcel::pack(value) {
                    *self = parcel;
                }
                None
            }
        }
    }

    pub fn info(&self) -> &'static TypeInfo {
        self.info.info()
    }

    /// Bytes of all objects in it.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self.heavy() {
            None => self.info.bytes(),
            // SAFETY: the parcel owns it.
            Some(heavy) => unsafe { (*heavy).bytes },
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let info = self.info;
        if info.info().is_ref {
            let (bits, _, bytes) = Parcel { bits: self.bits, info }.into_parts();
            meter::receive(bytes);
            // SAFETY: the parcel owned its value.
            unsafe { release(bits) };
        }
    }
}

struct Unique;

/// What shared objects were copied to: a list while there are few, as in nearly every message.
#[derive(Default)]
struct Copies {
    few: SmallVec<[(u64, u64); 4]>,
    many: HashMap<u64, u64>,
}

impl Copies {
    const FEW: usize = 16;

    fn get(&self, original: u64) -> Option<u64> {
        if self.many.is_empty() {
            return self.few.iter().find(|(of, _)| *of == original).map(|(_, copy)| *copy);
        }
        self.many.get(&original).copied()
    }

    fn insert(&mut self, original: u64, copy: u64) {
        if self.few.len() < Self::FEW {
            return self.few.push((original, copy));
        }
        if self.many.is_empty() {
            self.many.extend(self.few.iter().copied());
        }
        self.many.insert(original, copy);
    }
}

/// Packs the object in `slot`, which owns it: its bytes, of which the current heap is relieved.
unsafe fn pack_object(slot: &mut u64) -> Result<usize, Unique> {
    let header = *slot as *mut Header;
    let mut bytes = 0;
    // SAFETY: the caller's promise.
    unsafe {
        // What nearly every message is: an object of scalars that nobody else holds.
        if (*header).rc == 1
            && (*header).kind == ObjKind::Fields
            && (*header).info.layout((*header).variant).refs.is_empty()
        {
            bytes = size_of_object(header);
        } else {
            pack_slot(slot, &mut bytes)?;
        }
    }
    meter::send(bytes);
    Ok(bytes)
}

unsafe fn pack_slot(root: *mut u64, bytes: &mut usize) -> Result<(), Unique> {
    let mut work: SmallVec<[*mut u64; 16]> = SmallVec::new();
    let mut copies = Copies::default();
    let mut originals: SmallVec<[u64; 4]> = SmallVec::new();
    let mut result = Ok(());
    work.push(root);
    // SAFETY: every slot on the worklist lies in an object that the parcel alone owns (or is the root), so objects
    // stay where they are and are looked at once. Originals are released at the end, so their addresses stay taken
    // while `copies` speaks of them.
    unsafe {
        while let Some(slot) = work.pop() {
            let bits = *slot;
            if !is_object(bits) {
                continue;
            }
            let header = bits as *mut Header;
            let rc = (*header).rc;
            if rc >= IMMORTAL {
                continue;
            }
            if rc > 1 {
                if let Some(copy) = copies.get(bits) {
                    retain(copy);
                    *slot = copy;
                    originals.push(bits);
                    continue;
                }
                let copy = if (*header).kind == ObjKind::Opaque {
                    let Some(copy) = copy_opaque(header) else {
                        result = Err(Unique);
                        break;
                    };
                    copy
                } else {
                    share_big_buffer(header);
                    copy_object(header)
                };
                copies.insert(bits, copy);
                originals.push(bits);
                *slot = copy;
            }
            let header = *slot as *mut Header;
            *bytes += size_of_object(header);
            for_each_ref(header, |child| work.push(child));
        }
        for bits in originals {
            release(bits);
        }
    }
    result
}

/// Before a copy: turns a long text or byte string into a shared buffer, so that the copy costs a count.
unsafe fn share_big_buffer(header: *mut Header) {
    // SAFETY: the object belongs to this task (it is not immortal); the kind says its type.
    unsafe {
        recharge(header, || match (*header).kind {
            ObjKind::Str if (&(*header.cast::<StrObj>()).text).len() >= SHARE_FROM => {
                drop((&mut (*header.cast::<StrObj>()).text).share());
            }
            ObjKind::Bytes if (&(*header.cast::<BytesObj>()).bytes).len() >= SHARE_FROM => {
                drop((&mut (*header.cast::<BytesObj>()).bytes).share());
            }
            _ => {}
        })
    }
}

/// Makes `value` and all it reaches immortal: any task may read it from now on and it is never freed. For globals.
/// Returns the bits. Objects the value shares with its task become immortal there too, which nobody can tell.
pub(crate) fn freeze(value: Value) -> u64 {
    let (bits, info) = value.into_raw();
    if info.is_ref {
        let mut work = vec![bits];
        while let Some(bits) = work.pop() {
            if !is_object(bits) {
                continue;
            }
            let header = bits as *mut Header;
            // SAFETY: everything reached belongs to this task or is immortal already; the counts are written before any
            // other task can get at the value.
            unsafe {
                if (*header).rc >= IMMORTAL {
                    continue;
                }
                if (*header).kind == ObjKind::Str {
                    let object = header.cast::<StrObj>();
                    (*object).n_chars.set((&(*object).text).chars().count());
                }
                make_immortal(header);
                for_each_ref(header, |child| work.push(*child));
            }
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: () = assert!(size_of::<Option<Parcel>>() == 16);

    #[test]
    fn a_parcel_knows_its_bytes_whatever_they_are() {
        let outside = meter::swap(Heap::with_limit(usize::MAX));
        for n in [0, 1, 1000, 65_000, 65_400, 65_534, 65_535, 65_536, 1 << 20] {
            let value = Value::bytes(vec![7; n]);
            let (info, before) = (value.info(), meter::current().bytes);
            let Ok(parcel) = Parcel::pack(value) else { panic!("bytes can be sent") };
            assert_eq!(meter::current().bytes + parcel.bytes(), before);
            assert!(parcel.bytes() >= n && std::ptr::eq(parcel.info(), info));
            let value = parcel.unpack();
            assert_eq!((meter::current().bytes, value.as_ref().bytes().len()), (before, n));
            drop(Parcel::pack(value));
        }
        assert_eq!(meter::swap(outside).bytes, 0);
    }

    #[test]
    fn copies_are_found_before_and_after_there_are_many() {
        let mut copies = Copies::default();
        for original in 1..=100 {
            assert_eq!(copies.get(original), None);
            copies.insert(original, original + 1000);
            assert!((1..=original).all(|known| copies.get(known) == Some(known + 1000)));
        }
    }
}
