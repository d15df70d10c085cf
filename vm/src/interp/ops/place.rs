//! Chains to a place inside a value. The cursor is the address of a slot; it lives from `at_reg` to the end of the chain,
//! during which nothing else runs. Each step makes the object it enters unique.

use super::object::{tag_of, wrong_variant};
use super::*;
use crate::heap::object::{MapObj, VecObj};
use crate::heap::{Packed, fields_slots, is_object};
use crate::types::TypeInfo;
use crate::value::ValueRef;

#[cold]
#[inline(never)]
fn hole() -> Fault {
    Fault::value("the value is lent elsewhere")
}

#[cold]
#[inline(never)]
unsafe fn no_key(map: *const MapObj, key: u64) -> Fault {
    Fault::key(ValueRef::from_raw(key, (*map).key_type()))
}

handlers! {
    at_reg(m, ip, regs, budget, w) {
        (*m).cursor = regs.add(a(w));
        go!(m, ip, regs, budget)
    }

    at_field(m, ip, regs, budget, w) {
        let cursor = (*m).cursor;
        if !is_object(*cursor) {
            return fault(m, ip, regs, budget, hole());
        }
        (*m).cursor = fields_slots(unique(m, ip, regs, cursor)).add(a(w));
        go!(m, ip, regs, budget)
    }

    at_payload(m, ip, regs, budget, w) {
        let cursor = (*m).cursor;
        let bits = *cursor;
        if tag_of(bits) != b(w) as u64 {
            return fault(m, ip, regs, budget, wrong_variant(b(w) as u64, bits));
        }
        if Packed::of(bits).is_some() {
            heap::unpack_in_place(cursor, &*(*ip as *const TypeInfo));
        }
        (*m).cursor = fields_slots(unique(m, ip, regs, cursor)).add(a(w));
        go!(m, ip.add(1), regs, budget)
    }

    at_index(m, ip, regs, budget, w) {
        let cursor = (*m).cursor;
        if !is_object(*cursor) {
            return fault(m, ip, regs, budget, hole());
        }
        let vec = unique(m, ip, regs, cursor) as *mut VecObj;
        let idx = int(regs, a(w));
        match (&mut (*vec).items).get_mut(idx as usize) {
            Some(slot) => {
                (*m).cursor = slot;
                go!(m, ip, regs, budget)
            }
            None => {
                let error = Fault::index(idx, "Vec", (*vec).len());
                fault(m, ip, regs, budget, error)
            }
        }
    }

    at_key(m, ip, regs, budget, w) {
        let cursor = (*m).cursor;
        if !is_object(*cursor) {
            return fault(m, ip, regs, budget, hole());
        }
        let map = unique(m, ip, regs, cursor) as *mut MapObj;
        let key = get(regs, a(w));
        // A key with a hole in it can be neither hashed nor shown: that panics.
        save(m, ip, regs, budget);
        (*m).is_saved = true;
        let found = find_value(map, key);
        if let Some(slot) = found {
            (*m).is_saved = false;
            (*m).cursor = slot;
            return go!(m, ip, regs, budget);
        }
        let error = no_key(map, key);
        (*m).is_saved = false;
        fault(m, ip, regs, budget, error)
    }

    /// Also `take_at` of a scalar.
    load_at(m, ip, regs, budget, w) {
        set(regs, a(w), *(*m).cursor);
        go!(m, ip, regs, budget)
    }

    load_at_ref(m, ip, regs, budget, w) {
        let bits = *(*m).cursor;
        if bits == 0 {
            return fault(m, ip, regs, budget, hole());
        }
        heap::retain(bits);
        set_ref(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }

    store_at(m, ip, regs, budget, w) {
        *(*m).cursor = get(regs, a(w));
        go!(m, ip, regs, budget)
    }

    store_at_ref(m, ip, regs, budget, w) {
        let bits = std::mem::take(&mut *regs.add(a(w)));
        // Read again: for `x = x` at a place in a register, taking the source emptied the place.
        let old = std::mem::replace(&mut *(*m).cursor, bits);
        heap::release(old);
        go!(m, ip, regs, budget)
    }

    take_at_ref(m, ip, regs, budget, w) {
        let bits = std::mem::take(&mut *(*m).cursor);
        if bits == 0 {
            return fault(m, ip, regs, budget, hole());
        }
        set_ref(regs, a(w), bits);
        go!(m, ip, regs, budget)
    }
}

#[inline(never)]
unsafe fn find_value(map: *mut MapObj, key: u64) -> Option<*mut u64> {
    let key_type = (*map).key_type();
    (&mut (*map).table).get_mut(key_type, key).map(|entry| &raw mut entry.value)
}
