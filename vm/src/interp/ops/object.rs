//! Moving, making and reading values.

use super::*;
use crate::heap::object::{DynObj, FieldsObj, VecObj};
use crate::heap::{Header, Packed, fields_slots, is_object, meter};
use crate::load::Func;
use crate::types::TypeInfo;

const _: () = assert!(size_of::<FieldsObj>() == 16, "slots begin two words into an object");

/// A read found the hole that `take_at` left.
#[cold]
#[inline(never)]
pub(super) fn hole() -> Fault {
    Fault::value("the value is lent elsewhere")
}

#[cold]
#[inline(never)]
pub(super) unsafe fn out_of_range(idx: i64, vec: *const VecObj) -> Fault {
    Fault::index(idx, "Vec", (*vec).len())
}

/// The value of a `make` whose first word is just before `ip`: a tuple, a struct or a variant of the outgoing values.
///
/// # Safety
/// `ip`, `regs` and `w` are those of the instruction.
#[inline(always)]
pub(crate) unsafe fn made(m: *mut Machine, ip: *const u64, regs: *mut u64, w: u64) -> u64 {
    let info: &'static TypeInfo = &*(*ip as *const TypeInfo);
    let n = info.layout(c(w) as u16).types.len();
    let bits = heap::new_fields(info, c(w) as u16, std::slice::from_raw_parts(regs.add(b(w)), n));
    allocated(m, ip, regs);
    bits
}

/// The variant of an enum value with payloads; holes are variant 65,535, which no enum has.
#[inline(always)]
pub(super) unsafe fn tag_of(bits: u64) -> u64 {
    if let Some(packed) = Packed::of(bits) {
        u64::from(packed.variant())
    } else if bits == 0 {
        u64::from(u16::MAX)
    } else {
        u64::from((*(bits as *const Header)).variant)
    }
}

#[cold]
#[inline(never)]
pub(super) unsafe fn wrong_variant(wanted: u64, bits: u64) -> Fault {
    let found = tag_of(bits);
    Fault::value(format!("variant {wanted} expected, the value is variant {found}"))
}

handlers! {
    copy(m, ip, regs, budget, w) {
        set(regs, a(w), get(regs, b(w)));
        go!(m, ip, regs, budget)
    }

    copy_ref(m, ip, regs, budget, w) {
        let bits = get(regs, b(w));
        heap::retain(bits);
        set_ref(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    move_ref(m, ip, regs, budget, w) {
        let bits = std::mem::take(&mut *regs.add(b(w)));
        set_ref(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    drop_ref(m, ip, regs, budget, w) {
        set_ref(regs, a(w), 0);
        go!(m, ip, regs, budget)
    }

    /// Drops all references of the function but register `a`, before a return.
    drop_list(m, ip, regs, budget, w) {
        let func = *ip as *const Func;
        for &reg in &(*func).refs {
            if usize::from(reg) != a(w) {
                set_ref(regs, usize::from(reg), 0);
            }
        }
        go!(m, ip.add(1), regs, budget)
    }

    load_imm(m, ip, regs, budget, w) {
        set(regs, a(w), distance(w) as u64);
        go!(m, ip, regs, budget)
    }

    load_scalar(m, ip, regs, budget, w) {
        set(regs, a(w), *ip);
        go!(m, ip.add(1), regs, budget)
    }

    /// A constant that nobody counts: immortal text or bytes, a variant without payload.
    load_ref(m, ip, regs, budget, w) {
        set_ref(regs, a(w), *ip);
        go!(m, ip.add(1), regs, budget)
    }

    arg_copy(m, ip, regs, budget, w) {
        let bits = get(regs, b(w));
        heap::retain(bits);
        set(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    arg_move(m, ip, regs, budget, w) {
        set(regs, a(w), std::mem::take(&mut *regs.add(b(w))));
        go!(m, ip, regs, budget)
    }

    make(m, ip, regs, budget, w) {
        let bits = made(m, ip, regs, w);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(1), regs, budget)
    }

    make_vec(m, ip, regs, budget, w) {
        let bits = collect_vec(&*(*ip as *const TypeInfo), regs.add(b(w)), c(w));
        allocated(m, ip, regs);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(1), regs, budget)
    }

    make_closure(m, ip, regs, budget, w) {
        let bits = collect_closure(&*(*ip as *const Func), &*(*ip.add(1) as *const TypeInfo), regs.add(b(w)));
        allocated(m, ip, regs);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(2), regs, budget)
    }

    make_dyn(m, ip, regs, budget, w) {
        let value = get(regs, b(w));
        let bits = heap::new_dyn(&*(*ip as *const TypeInfo), &*(*ip.add(1) as *const TypeInfo), value);
        allocated(m, ip, regs);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(2), regs, budget)
    }

    make_dyn_ref(m, ip, regs, budget, w) {
        let value = std::mem::take(&mut *regs.add(b(w)));
        let bits = heap::new_dyn(&*(*ip as *const TypeInfo), &*(*ip.add(1) as *const TypeInfo), value);
        allocated(m, ip, regs);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(2), regs, budget)
    }

    is_type(m, ip, regs, budget, w) {
        let object = get(regs, b(w)) as *const DynObj;
        set(regs, a(w), u64::from(u64::from((*object).inner.id.0) == *ip));
        go!(m, ip.add(1), regs, budget)
    }

    unbox(m, ip, regs, budget, w) {
        let object = get(regs, b(w)) as *const DynObj;
        let wanted: &'static TypeInfo = &*(*ip as *const TypeInfo);
        if (*object).inner.id != wanted.id {
            return fault(m, ip, regs, budget, wrong_type(wanted, object));
        }
        set(regs, a(w), (*object).value);
        go!(m, ip.add(1), regs, budget)
    }

    unbox_ref(m, ip, regs, budget, w) {
        let object = get(regs, b(w)) as *const DynObj;
        let wanted: &'static TypeInfo = &*(*ip as *const TypeInfo);
        if (*object).inner.id != wanted.id {
            return fault(m, ip, regs, budget, wrong_type(wanted, object));
        }
        let bits = (*object).value;
        heap::retain(bits);
        set_ref(regs, a(w), bits);
        go!(m, ip.add(1), regs, budget)
    }

    get_field(m, ip, regs, budget, w) {
        let object = get(regs, b(w)) as *mut Header;
        set(regs, a(w), *fields_slots(object).add(c(w)));
        go!(m, ip, regs, budget)
    }

    get_field_ref(m, ip, regs, budget, w) {
        let object = get(regs, b(w)) as *mut Header;
        let bits = *fields_slots(object).add(c(w));
        if bits == 0 {
            return fault(m, ip, regs, budget, hole());
        }
        heap::retain(bits);
        set_ref(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    get_tag(m, ip, regs, budget, w) {
        set(regs, a(w), tag_of(get(regs, b(w))));
        go!(m, ip, regs, budget)
    }

    get_payload(m, ip, regs, budget, w) {
        let bits = get(regs, b(w));
        if tag_of(bits) != *ip {
            return fault(m, ip, regs, budget, wrong_variant(*ip, bits));
        }
        let payload = match Packed::of(bits) {
            Some(packed) => packed.payload(),
            None => *fields_slots(bits as *mut Header).add(c(w)),
        };
        set(regs, a(w), payload);
        go!(m, ip.add(1), regs, budget)
    }

    get_payload_ref(m, ip, regs, budget, w) {
        match payload(get(regs, b(w)), *ip, c(w)) {
            Ok(bits) => {
                heap::retain(bits);
                set_ref(regs, a(w), bits);
                go!(m, ip.add(1), regs, budget)
            }
            Err(error) => fault(m, ip, regs, budget, error),
        }
    }

    /// Lent registers own nothing: what was there is not dropped, and what comes is not counted.
    lend_field(m, ip, regs, budget, w) {
        let bits = *fields_slots(get(regs, b(w)) as *mut Header).add(c(w));
        if bits == 0 {
            return fault(m, ip, regs, budget, hole());
        }
        set(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    lend_payload(m, ip, regs, budget, w) {
        match payload(get(regs, b(w)), *ip, c(w)) {
            Ok(bits) => {
                set(regs, a(w), bits);
                go!(m, ip.add(1), regs, budget)
            }
            Err(error) => fault(m, ip, regs, budget, error),
        }
    }

    vec_len(m, ip, regs, budget, w) {
        let vec = &*(get(regs, b(w)) as *const VecObj);
        set(regs, a(w), vec.items.len() as u64);
        go!(m, ip, regs, budget)
    }

    vec_get(m, ip, regs, budget, w) {
        let vec = get(regs, b(w)) as *const VecObj;
        let idx = int(regs, c(w));
        // A negative index is a very large one.
        match (&(*vec).items).get(idx as usize) {
            Some(&bits) => { set(regs, a(w), bits); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, out_of_range(idx, vec)),
        }
    }

    vec_get_ref(m, ip, regs, budget, w) {
        let vec = get(regs, b(w)) as *const VecObj;
        let idx = int(regs, c(w));
        match (&(*vec).items).get(idx as usize) {
            Some(&0) => fault(m, ip, regs, budget, hole()),
            Some(&bits) => {
                heap::retain(bits);
                set_ref(regs, a(w), bits);
                go!(m, ip, regs, budget)
            }
            None => fault(m, ip, regs, budget, out_of_range(idx, vec)),
        }
    }

    vec_set(m, ip, regs, budget, w) {
        let vec = unique(m, ip, regs, regs.add(a(w))) as *mut VecObj;
        let idx = int(regs, b(w));
        match (&mut (*vec).items).get_mut(idx as usize) {
            Some(slot) => { *slot = get(regs, c(w)); go!(m, ip, regs, budget) }
            None => fault(m, ip, regs, budget, out_of_range(idx, vec)),
        }
    }

    vec_set_ref(m, ip, regs, budget, w) {
        let vec = unique(m, ip, regs, regs.add(a(w))) as *mut VecObj;
        let idx = int(regs, b(w));
        match (&mut (*vec).items).get_mut(idx as usize) {
            Some(slot) => {
                let old = std::mem::replace(slot, std::mem::take(&mut *regs.add(c(w))));
                heap::release(old);
                go!(m, ip, regs, budget)
            }
            None => fault(m, ip, regs, budget, out_of_range(idx, vec)),
        }
    }

    vec_push(m, ip, regs, budget, w) {
        let vec = unique(m, ip, regs, regs.add(a(w))) as *mut VecObj;
        let items = &mut (*vec).items;
        if items.len() == items.capacity() && !grow_vec(m, ip, regs, vec) {
            return fault(m, ip, regs, budget, Fault::out_of_memory());
        }
        (&mut (*vec).items).push(get(regs, b(w)));
        go!(m, ip, regs, budget)
    }

    vec_push_ref(m, ip, regs, budget, w) {
        let vec = unique(m, ip, regs, regs.add(a(w))) as *mut VecObj;
        let items = &mut (*vec).items;
        if items.len() == items.capacity() && !grow_vec(m, ip, regs, vec) {
            return fault(m, ip, regs, budget, Fault::out_of_memory());
        }
        let bits = std::mem::take(&mut *regs.add(b(w)));
        (&mut (*vec).items).push(bits);
        go!(m, ip, regs, budget)
    }
}

/// The reference in a field of an enum's value, if that is of `variant`.
#[inline(always)]
unsafe fn payload(object: u64, variant: u64, field: usize) -> Result<u64, Fault> {
    if tag_of(object) != variant || !is_object(object) {
        return Err(wrong_variant(variant, object));
    }
    match *fields_slots(object as *mut Header).add(field) {
        0 => Err(hole()),
        bits => Ok(bits),
    }
}

/// Doubles a vector's room; `false` when the heap's limit or the system says no.
#[cold]
#[inline(never)]
unsafe fn grow_vec(m: *mut Machine, ip: *const u64, regs: *mut u64, vec: *mut VecObj) -> bool {
    let items = &mut (*vec).items;
    let before = items.capacity() * 8;
    let more = items.len().max(4);
    if !meter::has_room(more * 8) || items.try_reserve_exact(more).is_err() {
        return false;
    }
    meter::resize(before, items.capacity() * 8);
    allocated(m, ip, regs);
    true
}

#[inline(never)]
unsafe fn collect_vec(info: &'static TypeInfo, slots: *const u64, n: usize) -> u64 {
    heap::new_vec(info, std::slice::from_raw_parts(slots, n).to_vec())
}

#[inline(never)]
unsafe fn collect_closure(func: &'static Func, info: &'static TypeInfo, slots: *const u64) -> u64 {
    let captures = std::slice::from_raw_parts(slots, func.captures.len()).into();
    heap::new_closure(info, func.id.0, captures, func.captures)
}

#[cold]
#[inline(never)]
unsafe fn wrong_type(wanted: &'static TypeInfo, object: *const DynObj) -> Fault {
    Fault::value(format!("a value of type {wanted:?} expected, found {:?}", (*object).inner))
}
