//! Calls: of functions, closures, dynamic methods and natives.

use super::*;
use crate::heap::meter;
use crate::heap::object::{ClosureObj, DynObj};
use crate::load::{BoundMethod, BoundNative, Func, LINK};
use crate::natives::work::{self, Work};
use crate::natives::{NativeCx, NativeResult};
use crate::types::TypeInfo;

/// Enters `func` with the arguments already in place at `callee`. `ip` is behind the call's first word.
#[inline(always)]
unsafe fn enter_func(ip: *const u64, callee: *mut u64, distance: usize, func: *const Func) -> *const u64 {
    *callee.sub(1) = ip.add(1) as u64;
    *callee.sub(2) = distance as u64;
    *callee.sub(3) = func as u64;
    let zero = &(*func).zero;
    let (mut slot, end) = (callee.add(zero.start), callee.add(zero.end));
    while slot < end {
        // Volatile: as a call of `memset` it would make every call of a function save registers.
        slot.write_volatile(0);
        slot = slot.add(1);
    }
    (*func).entry.load(std::sync::atomic::Ordering::Relaxed)
}

#[cold]
#[inline(never)]
unsafe fn grow(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, func: *const Func) -> Exit {
    save(m, ip.sub(1), regs, budget);
    (*m).wanted = (*func).frame_size;
    std::hint::black_box(Exit::Grow)
}

handlers! {
    call(m, ip, regs, budget, w) {
        let func = *ip as *const Func;
        let callee = regs.add(b(w));
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        if (callee as usize) + (*func).frame_size * 8 > (*m).stack_end as usize {
            return grow(m, ip, regs, budget, func);
        }
        let entry = enter_func(ip, callee, b(w), func);
        go!(m, entry, callee, after_one(budget))
    }

    call_closure(m, ip, regs, budget, w) {
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        let closure = get(regs, c(w)) as *const ClosureObj;
        let func: *const Func = (*m).code.funcs[(*closure).func as usize];
        let callee = regs.add(b(w));
        if (callee as usize) + (*func).frame_size * 8 > (*m).stack_end as usize {
            return grow(m, ip, regs, budget, func);
        }
        let captures = &(*closure).captures;
        let first = usize::from((*func).def.n_params) - captures.len();
        for (i, (&bits, ty)) in captures.iter().zip((*closure).types).enumerate() {
            if ty.is_ref {
                heap::retain(bits);
            }
            *callee.add(first + i) = bits;
        }
        let entry = enter_func(ip, callee, b(w), func);
        go!(m, entry, callee, after_one(budget))
    }

    call_dyn(m, ip, regs, budget, w) {
        if is_spent(budget) {
            return spent(m, ip, regs);
        }
        let method = *ip as *const BoundMethod;
        let callee = regs.add(b(w));
        let object = *callee as *mut DynObj;
        let func: *const Func = match (*method).find((*object).inner.id) {
            Some(func) => func,
            None => return no_method(m, ip, regs, budget, method),
        };
        if (callee as usize) + (*func).frame_size * 8 > (*m).stack_end as usize {
            return grow(m, ip, regs, budget, func);
        }
        let inner = (*object).inner;
        // What is under the value is taken out of its box: moved when the box is only ours, else copied.
        let value = (*object).value;
        if inner.is_ref {
            heap::retain(value);
        }
        heap::release(object as u64);
        *callee = value;
        if (&(*method).inout).first() == Some(&0) {
            set(regs, c(w), inner as *const TypeInfo as u64);
        }
        let entry = enter_func(ip, callee, b(w), func);
        go!(m, entry, callee, after_one(budget))
    }

    /// `take_back` of `&mut self` after a call on a dynamic value: puts the value into a box again.
    take_back_dyn(m, ip, regs, budget, w) {
        let inner = std::mem::take(&mut *regs.add(c(w))) as *const TypeInfo;
        let bits = std::mem::take(&mut *regs.add(b(w)));
        let bits = if inner.is_null() {
            bits
        } else {
            heap::new_dyn(&*(*ip as *const TypeInfo), &*inner, bits)
        };
        set_ref(regs, a(w), bits);
        go!(m, ip.add(1), regs, budget)
    }

    call_native(m, ip, regs, budget, w) {
        match run_native::<false>(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, (*m).budget),
            exit => exit,
        }
    }

    call_native_ref(m, ip, regs, budget, w) {
        match run_native::<true>(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, (*m).budget),
            exit => exit,
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn no_method(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, method: *const BoundMethod) -> Exit {
    let message = format!("no implementation of {} for this value", (&*method).name);
    fault(m, ip, regs, budget, Fault::internal(message))
}

/// Calls a native; `Exit::Next` when it answered, and then `Machine::budget` is what it left of the budget. `IS_REF`: with something that is counted. Not inlined: its locals would keep
/// the handlers from ending in a jump.
#[inline(never)]
pub(crate) unsafe fn run_native<const IS_REF: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
) -> Exit {
    let native: &'static BoundNative = &*(*ip as *const BoundNative);
    run_native_as::<IS_REF>(m, ip, regs, budget, w, |cx| match crate::natives::refusal(native.row, cx) {
        Some(fault) => Err(fault),
        None => (native.row.func)(cx),
    })
}

/// As `run_native`, with `call` for what the native does, or for what is left of that.
#[inline(always)]
pub(super) unsafe fn run_native_as<const IS_REF: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    call: impl FnOnce(&mut NativeCx<'_>) -> NativeResult,
) -> Exit {
    let native: &'static BoundNative = &*(*ip as *const BoundNative);
    let n = native.sig.params.len();
    // Saved first: if the native panics, this is where the fault is.
    save(m, ip, regs, budget);
    let machine = &mut *m;
    machine.is_saved = true;
    if !native.row.gathers {
        crate::actor::end_gathering();
    }
    let args = std::slice::from_raw_parts_mut(regs.add(b(w)), n);
    let (task, resume) = (&mut machine.task, &mut machine.resume);
    let mut cx = NativeCx { args, sig: &native.sig, ret: 0, waits: None, resume, task };
    let work = if native.work == Work::Little { 0 } else { native.work.begin(&cx) };
    let made = meter::made();
    let result = call(&mut cx);
    let (ret, waits) = (cx.ret, cx.waits);
    machine.budget -= work::spent(work, meter::made().wrapping_sub(made));
    if observe::has_called() {
        note_called(machine);
    }
    if observe::is_due() {
        look(machine, native);
    }
    if sampled::is_found() {
        note_allocation_in(machine, native);
    }
    machine.is_saved = false;
    match result {
        Ok(_) => {
            if let Some(waits) = waits {
                machine.ip = ip.sub(1);
                machine.wait = waits;
                return Exit::Suspend;
            }
            drop_args(regs.add(b(w)), native);
            if IS_REF && ret == 0 {
                // An element or field that `take_at` has lent: a register never holds nothing.
                machine.pending = Some(Pending::Fault(Fault::value("the value is lent elsewhere")));
                return Exit::Fault;
            }
            if meter::is_over() {
                // The result is in nobody's hands yet.
                if IS_REF {
                    heap::release(ret);
                }
                machine.pending = Some(Pending::Fault(Fault::out_of_memory()));
                return Exit::Fault;
            }
            if IS_REF {
                set_ref(regs, a(w), ret);
            } else {
                set(regs, a(w), ret);
            }
            Exit::Next
        }
        Err(error) => {
            drop_args(regs.add(b(w)), native);
            machine.resume = None;
            machine.pending = Some(Pending::Fault(error));
            Exit::Fault
        }
    }
}

/// Tells a profiler that the time went into a native.
#[cold]
#[inline(never)]
unsafe fn look(machine: &mut Machine, native: &'static BoundNative) {
    // `run_native` has saved `ip` behind the first word of the call.
    let calls = Machine::calls(machine.ip.sub(1), machine.regs);
    observe::look(&mut machine.task, calls, Some(native.row.name));
}

#[cold]
#[inline(never)]
unsafe fn note_called(machine: &mut Machine) {
    // As above.
    let calls = Machine::calls(machine.ip.sub(1), machine.regs);
    observe::called(&mut machine.task, calls);
}

#[cold]
#[inline(never)]
unsafe fn note_allocation_in(machine: &mut Machine, native: &'static BoundNative) {
    // As above.
    let calls = Machine::calls(machine.ip.sub(1), machine.regs);
    observe::allocated(&mut machine.task, calls, Some(native.row.name));
}

/// Drops what a native did not take; `&mut` parameters stay for `take_back`.
pub(crate) unsafe fn drop_args(args: *mut u64, native: &BoundNative) {
    for (i, (info, inout)) in native.sig.params.iter().zip(&native.sig.inout).enumerate() {
        if info.is_ref && !inout {
            heap::release(std::mem::take(&mut *args.add(i)));
        }
    }
}

const _: () = assert!(LINK == 3, "`enter_func` and the returns write and read three link slots");
const _: () = assert!(size_of::<*const Header>() == 8, "slots hold addresses");
