//! Tasks and globals. Awaiting is a suspending native in the VM's own table (`conc::AWAIT`).

use super::*;
use crate::heap::object::ClosureObj;
use crate::heap::transfer;
use crate::load::Func;
use crate::types::TypeInfo;
use crate::value::Value;

handlers! {
    spawn(m, ip, regs, budget, w) {
        let (func, info) = (*ip as *const Func, *ip.add(1) as *const TypeInfo);
        match start(m, ip, regs, budget, &*func, regs.add(b(w)), &*info) {
            Exit::Next => {}
            exit => return exit,
        }
        set_ref(regs, a(w), (*m).result);
        go!(m, ip.add(2), regs, budget)
    }

    spawn_closure(m, ip, regs, budget, w) {
        let info = *ip as *const TypeInfo;
        match start_closure(m, ip, regs, budget, b(w), &*info) {
            Exit::Next => {}
            exit => return exit,
        }
        set_ref(regs, a(w), (*m).result);
        go!(m, ip.add(1), regs, budget)
    }

    load_global(m, ip, regs, budget, w) {
        match (&(*m).globals)[*ip as usize].get() {
            Some(&bits) => { set(regs, a(w), bits); go!(m, ip.add(1), regs, budget) }
            None => unset(m, ip, regs, budget),
        }
    }

    /// Globals are immortal, so nothing is counted.
    load_global_ref(m, ip, regs, budget, w) {
        match (&(*m).globals)[*ip as usize].get() {
            Some(&bits) => { set_ref(regs, a(w), bits); go!(m, ip.add(1), regs, budget) }
            None => unset(m, ip, regs, budget),
        }
    }

    store_global(m, ip, regs, budget, w) {
        if !freeze_global(m, *ip as usize, get(regs, a(w)), &*(*ip.add(1) as *const TypeInfo)) {
            let message = format!("global `{}` is set a second time", (*m).code.globals[*ip as usize].0);
            return fault(m, ip, regs, budget, Fault::value(message));
        }
        go!(m, ip.add(2), regs, budget)
    }
}

#[inline(never)]
unsafe fn freeze_global(m: *mut Machine, global: usize, bits: u64, info: &'static TypeInfo) -> bool {
    let cell = &(&(*m).globals)[global];
    if cell.get().is_some() {
        return false;
    }
    // Others read it from now on.
    crate::actor::end_gathering();
    if info.is_ref {
        heap::retain(bits);
    }
    cell.set(transfer::freeze(Value::from_raw(bits, info))).is_ok()
}

#[cold]
#[inline(never)]
unsafe fn unset(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64) -> Exit {
    let name = &(*m).code.globals[*ip as usize].0;
    fault(m, ip, regs, budget, Fault::value(format!("`{name}` is used before its `let` has run")))
}

/// Starts a task that runs `func` with the values at `args`; the result is the handle.
#[inline(never)]
unsafe fn start(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    func: &'static Func,
    args: *mut u64,
    handle: &'static TypeInfo,
) -> Exit {
    save(m, ip, regs, budget);
    let values = func.params().iter().enumerate().map(|(i, info)| Value::from_raw(*args.add(i), info));
    began(m, crate::conc::spawn(&mut (*m).task, func, values, handle))
}

/// The same for a closure without parameters, whose captures are copied.
#[inline(never)]
unsafe fn start_closure(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    closure: usize,
    handle: &'static TypeInfo,
) -> Exit {
    save(m, ip, regs, budget);
    let closure = &*(get(regs, closure) as *const ClosureObj);
    let func = (*m).code.funcs[closure.func as usize];
    let captures = closure.captures.iter().zip(closure.types);
    let values = captures.map(|(&bits, info)| ValueRef::from_raw(bits, info).to_owned());
    began(m, crate::conc::spawn(&mut (*m).task, func, values, handle))
}

unsafe fn began(m: *mut Machine, handle: Result<Value, Fault>) -> Exit {
    match handle {
        Ok(handle) => {
            (*m).result = handle.into_raw().0;
            Exit::Next
        }
        Err(error) => {
            (*m).pending = Some(Pending::Fault(error));
            Exit::Fault
        }
    }
}

use crate::value::ValueRef;
