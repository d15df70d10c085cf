//! Natives of maps and texts that run as instructions: loops over words and keys spend their time in them, and a call of
//! a native costs more than they do.

use super::*;
use crate::heap::object::{MapObj, StrObj};
use crate::heap::{Packed, meter};
use crate::load::BoundNative;
use compact_str::CompactString;

handlers! {
    /// A call of `map_get`.
    map_get(m, ip, regs, budget, w) {
        match get_value(m, ip, regs, budget, w) {
            Some(option) => {
                allocated(m, ip, regs);
                set_ref(regs, a(w), option);
                go!(m, ip.add(1), regs, budget)
            }
            None => Exit::Fault,
        }
    }

    /// A call of `map_insert`; the map stays in its outgoing slot for `take_back`.
    map_insert(m, ip, regs, budget, w) {
        match insert_value(m, ip, regs, budget, w) {
            Some(option) => {
                allocated(m, ip, regs);
                set_ref(regs, a(w), option);
                go!(m, ip.add(1), regs, budget)
            }
            None => Exit::Fault,
        }
    }

    /// `make_vec` of texts, `arg_copy` of it, a call of `str_join_parts` and `drop_ref`: no list is made.
    join_texts(m, ip, regs, budget, w) {
        match join(regs.add(b(w)), c(w)) {
            Some(text) => {
                set_ref(regs, a(w), 0);
                let call = ip.add(2);
                allocated(m, call.add(1), regs);
                set_ref(regs, a(*call), text);
                go!(m, ip.add(5), regs, budget)
            }
            // One after the other they say where memory has ended.
            None => object::make_vec(m, ip, regs, budget, w),
        }
    }
}

/// `None`: the fault is pending, and the arguments are dropped.
#[inline(never)]
unsafe fn get_value(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Option<u64> {
    let native = &*(*ip as *const BoundNative);
    let args = regs.add(b(w));
    let map = *args as *const MapObj;
    // A key with a hole in it cannot be hashed: that panics.
    save(m, ip, regs, budget);
    (*m).is_saved = true;
    let found = (&(*map).table).get((*map).key_type(), *args.add(1)).map(|entry| entry.value);
    (*m).is_saved = false;
    if let (Some(value), true) = (found, native.sig.type_args[1].is_ref) {
        heap::retain(value);
    }
    let option = option(native, found);
    call::drop_args(args, native);
    within_limit(m, option)
}

/// As `get_value`; the map in the first slot stays.
#[inline(never)]
unsafe fn insert_value(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Option<u64> {
    let native = &*(*ip as *const BoundNative);
    let args = regs.add(b(w));
    let map = heap::make_unique(args) as *mut MapObj;
    let key_type = (*map).key_type();
    let table = &mut (*map).table;
    let before = table.size();
    let (key, value) = (*args.add(1), *args.add(2));
    // As above.
    save(m, ip, regs, budget);
    (*m).is_saved = true;
    let (entry, is_new) = table.insert(key_type, key, value);
    (*m).is_saved = false;
    let old = (!is_new).then(|| std::mem::replace(&mut entry.value, value));
    // The map has the value now, and the key unless it had one like it.
    if is_new {
        *args.add(1) = 0;
    }
    *args.add(2) = 0;
    meter::resize(before, table.size());
    let option = option(native, old);
    call::drop_args(args, native);
    within_limit(m, option)
}

/// `Some(value)`, which takes the value over, or `None`, of the native's result type.
pub(super) unsafe fn option(native: &'static BoundNative, value: Option<u64>) -> u64 {
    let variant = |known: Option<u16>| known.expect("the scheme says that it answers with an Option");
    match value {
        Some(value) => heap::new_fields(native.sig.ret, variant(native.sig.some), &[value]),
        None => Packed::bare(variant(native.sig.none)),
    }
}

/// The result, unless the task is past its limit now.
unsafe fn within_limit(m: *mut Machine, result: u64) -> Option<u64> {
    if !meter::is_over() {
        return Some(result);
    }
    heap::release(result);
    (*m).pending = Some(Pending::Fault(Fault::out_of_memory()));
    None
}

/// The texts in `n` slots one after another, which takes them over; `None` when there is no room, and nothing has happened.
#[inline(never)]
unsafe fn join(slots: *const u64, n: usize) -> Option<u64> {
    let slots = std::slice::from_raw_parts(slots, n);
    let text = |bits: u64| (*(bits as *const StrObj)).as_str();
    let n_bytes = slots.iter().map(|&bits| text(bits).len()).sum();
    if !meter::has_room(n_bytes) {
        return None;
    }
    let mut joined = CompactString::with_capacity(n_bytes);
    for &bits in slots {
        joined.push_str(text(bits));
        heap::release(bits);
    }
    Some(heap::new_str(joined))
}
