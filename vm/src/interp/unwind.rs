//! Errors on their way to a handler: making the value, taking the trace, leaving frames.

use super::machine::{Machine, Pending};
use crate::fault::FaultBody;
use crate::heap;
use crate::heap::object::{ClosureObj, DynObj};
use crate::load::Func;
use crate::trace::{MAX_COUNTED, MAX_FRAMES, Trace, TraceFrame};
use crate::types::TypeInfo;
use crate::value::Value;
use smallvec::SmallVec;
use stark_bytecode::{Handler, Instr, Reg};
use std::sync::Arc;

/// Nobody caught it.
pub(super) enum Failed {
    Error(Value),
    Exit(i32),
}

/// Outgoing slots of a call that hold `&mut` parameters, with their types.
type InOuts = SmallVec<[(usize, &'static TypeInfo); 4]>;

impl Machine {
    /// Finds the handler for what went wrong at the instruction just before `ip`, and goes there; or leaves all frames.
    ///
    /// # Safety
    /// `regs` is the frame of the function that holds `ip - 1`, as the interpreter left it.
    pub(super) unsafe fn raise(&mut self, pending: Pending) -> Option<Failed> {
        // SAFETY: the caller's promise, and every link names the function of the frame behind it.
        unsafe {
            let mut word = self.ip.sub(1);
            let mut regs = self.regs;
            let error = match pending {
                Pending::Throw { error, keep_trace } => {
                    let dyn_info = (*(error as *const DynObj)).header.info;
                    let mut error = Value::from_raw(error, dyn_info);
                    if !keep_trace || error.as_ref().dyn_obj().trace.is_none() {
                        let trace = Machine::trace(word, regs);
                        error.set_trace(Arc::new(trace));
                    }
                    Some(error)
                }
                Pending::Fault(fault) => match fault.into_body() {
                    FaultBody::Exit(status) => {
                        self.leave_all(word, regs);
                        return Some(Failed::Exit(status));
                    }
                    body => {
                        let (mut error, cause) = self.code.materialise(body);
                        let mut trace = Machine::trace(word, regs);
                        trace.cause = cause;
                        error.set_trace(Arc::new(trace));
                        Some(error)
                    }
                },
            };
            loop {
                let func = &*(*regs.sub(3) as *const Func);
                let pc = func.pc_of(word);
                let inouts = self.inouts(func, pc, regs);
                let lands = |h: &&Handler| !self.is_ended || self.pad(func, h).is_some();
                let handler = func.def.handlers.iter().find(|h| (h.start..h.end).contains(&(pc as u32)) && lands(h));
                if let Some(handler) = handler {
                    self.land(func, handler.target.index(), regs, &inouts);
                    if let Some(error) = error {
                        let slot = &mut *regs.add(handler.err.index());
                        let old = std::mem::replace(slot, error.into_raw().0);
                        heap::release(old);
                    }
                    self.ip = func.address_of(handler.target.index());
                    self.regs = regs;
                    return None;
                }
                match self.leave(func, regs, &inouts) {
                    Some((caller, back)) => {
                        word = back.sub(1);
                        regs = caller;
                    }
                    None => return error.map(Failed::Error),
                }
            }
        }
    }

    /// Leaves every frame; nothing is caught.
    unsafe fn leave_all(&mut self, mut word: *const u64, mut regs: *mut u64) {
        // SAFETY: as in `raise`.
        unsafe {
            loop {
                let func = &*(*regs.sub(3) as *const Func);
                let inouts = self.inouts(func, func.pc_of(word), regs);
                match self.leave(func, regs, &inouts) {
                    Some((caller, back)) => {
                        word = back.sub(1);
                        regs = caller;
                    }
                    None => return,
                }
            }
        }
    }

    /// Drops a frame's references (its `&mut` parameters stay for the caller). The caller's registers and where it
    /// would go on; `None` for the first frame.
    unsafe fn leave(&mut self, func: &'static Func, regs: *mut u64, inouts: &InOuts) -> Option<(*mut u64, *const u64)> {
        // SAFETY: as in `raise`; the pointer maps are those of the frame's function.
        unsafe {
            for &(slot, info) in inouts {
                if info.is_ref {
                    heap::release(std::mem::take(&mut *regs.add(slot)));
                }
            }
            for &reg in &func.refs {
                heap::release(std::mem::take(&mut *regs.add(usize::from(reg))));
            }
            let back = *regs.sub(1) as *const u64;
            if back.is_null() {
                self.keep_receiver(func);
                return None;
            }
            Some((regs.sub(*regs.sub(2) as usize), back))
        }
    }

    /// Takes the `&mut` parameters out of the first frame, which has ended, and keeps the first parameter if it is one.
    pub(super) unsafe fn keep_receiver(&mut self, func: &'static Func) {
        self.receiver = None;
        for &param in &func.def.inout {
            let info = func.registers[usize::from(param)];
            // SAFETY: the stack begins with a link, then the first frame.
            let bits = unsafe { std::mem::take(&mut *self.first_register().add(usize::from(param))) };
            if !info.is_ref || bits != 0 {
                let value = Value::from_raw(bits, info);
                if param == 0 {
                    self.receiver = Some(value);
                }
            }
        }
    }

    /// Prepares a landing pad: `&mut` parameters of the failed call that it takes back stay, others are dropped, and a
    /// `take_back` that has nothing to take finds null.
    unsafe fn land(&mut self, func: &'static Func, target: usize, regs: *mut u64, inouts: &InOuts) {
        // SAFETY: as in `raise`; outgoing slots lie inside the frame.
        unsafe {
            let mut kept: SmallVec<[usize; 4]> = SmallVec::new();
            for instr in &func.def.code[target..] {
                let Instr::TakeBack { out, .. } = instr else { break };
                kept.push(func.out_base() + out.index());
            }
            for &(slot, info) in inouts {
                if !kept.contains(&slot) && info.is_ref {
                    heap::release(std::mem::take(&mut *regs.add(slot)));
                }
            }
            // A receiver that was out of its box has been dropped: nothing is left to be boxed again.
            if let (Some(hidden), false) = (func.hidden, kept.contains(&func.out_base())) {
                *regs.add(hidden) = 0;
            }
            for slot in kept {
                if !inouts.iter().any(|(inout, _)| *inout == slot) {
                    *regs.add(slot) = 0;
                }
            }
        }
    }

    /// Which outgoing slots hold `&mut` parameters while the call at `pc` is under way or has failed.
    unsafe fn inouts(&self, func: &'static Func, pc: usize, regs: *mut u64) -> InOuts {
        let base = func.out_base();
        let of = |callee: &'static Func| {
            callee.def.inout.iter().map(|&i| (base + usize::from(i), callee.registers[usize::from(i)])).collect()
        };
        match func.def.code[pc] {
            Instr::Call { func: callee, .. } => of(self.code.funcs[callee.index()]),
            Instr::CallClosure { closure, .. } => {
                // SAFETY: the closure is in its register during the call.
                let callee = unsafe { (*(*regs.add(closure.index()) as *const ClosureObj)).func };
                of(self.code.funcs[callee as usize])
            }
            Instr::CallNative { native, .. } => {
                let sig = &self.code.natives[native.index()].sig;
                sig.inout
                    .iter()
                    .enumerate()
                    .filter(|(_, inout)| **inout)
                    .map(|(i, _)| (base + i, sig.params[i]))
                    .collect()
            }
            Instr::CallDyn { method, .. } => {
                let method = self.code.methods[method.index()];
                let mut inouts: InOuts =
                    method.inout.iter().map(|&i| (base + usize::from(i), method.params[usize::from(i)])).collect();
                // The receiver is out of its box; the hidden register knows what it is.
                if let (Some(first), Some(hidden)) = (inouts.first_mut().filter(|(slot, _)| *slot == base), func.hidden)
                {
                    // SAFETY: the hidden register is null or holds the type that `call_dyn` put there.
                    let inner = unsafe { *regs.add(hidden) as *const TypeInfo };
                    if !inner.is_null() {
                        // SAFETY: types are never freed.
                        first.1 = unsafe { &*inner };
                    }
                }
                inouts
            }
            _ => InOuts::new(),
        }
    }

    /// Drops the arguments of a call that has not begun; `&mut` and lent ones stay.
    pub(super) unsafe fn drop_args(&mut self, func: &'static Func, pc: usize, regs: *mut u64) {
        let base = func.out_base();
        let drop_all = |params: &[&'static TypeInfo], inout: &dyn Fn(usize) -> bool| {
            for (i, info) in params.iter().enumerate() {
                if info.is_ref && !inout(i) {
                    // SAFETY: the arguments are in place and of the callee's parameter types.
                    unsafe { heap::release(std::mem::take(&mut *regs.add(base + i))) };
                }
            }
        };
        match func.def.code[pc] {
            Instr::Call { func: callee, .. } => {
                let callee = self.code.funcs[callee.index()];
                let stays = |i: usize| callee.def.inout.contains(&(i as u16)) || callee.def.is_lent(Reg(i as u16));
                drop_all(callee.params(), &stays);
            }
            Instr::CallClosure { closure, .. } => {
                // SAFETY: the closure is in its register.
                let callee = unsafe { (*(*regs.add(closure.index()) as *const ClosureObj)).func };
                let callee = self.code.funcs[callee as usize];
                let n_args = usize::from(callee.def.n_params - callee.def.n_captures);
                drop_all(&callee.params()[..n_args], &|i| callee.def.inout.contains(&(i as u16)));
            }
            Instr::CallNative { native, .. } => {
                let sig = &self.code.natives[native.index()].sig;
                drop_all(&sig.params, &|i| sig.inout[i]);
            }
            Instr::CallDyn { method, .. } => {
                let method = self.code.methods[method.index()];
                drop_all(&method.params, &|i| method.inout.contains(&(i as u16)));
            }
            _ => {}
        }
    }

    /// Shows the calls that are under way, innermost first, until `see` answers `false`.
    ///
    /// # Safety
    /// As of `raise`.
    pub(super) unsafe fn walk(
        mut word: *const u64,
        mut regs: *mut u64,
        mut see: impl FnMut(&'static Func, usize) -> bool,
    ) {
        // SAFETY: as in `raise`.
        unsafe {
            loop {
                let func = &*(*regs.sub(3) as *const Func);
                let back = *regs.sub(1) as *const u64;
                if !see(func, func.pc_of(word)) || back.is_null() {
                    return;
                }
                regs = regs.sub(*regs.sub(2) as usize);
                word = back.sub(1);
            }
        }
    }

    /// The calls that are under way, with their source.
    pub(super) unsafe fn trace(word: *const u64, regs: *mut u64) -> Trace {
        let mut trace = Trace::default();
        let see = |func, pc| {
            if trace.frames.len() < MAX_FRAMES {
                trace.frames.push(TraceFrame { func, pc });
            } else {
                trace.n_more += 1;
            }
            trace.n_more < MAX_COUNTED
        };
        // SAFETY: the caller's promise.
        unsafe { Machine::walk(word, regs, see) };
        trace
    }

    /// The calls that are under way, as a profile keeps them.
    pub(crate) unsafe fn calls(word: *const u64, regs: *mut u64) -> Calls {
        let mut calls = Calls::new();
        let see = |func, pc: usize| {
            calls.push((func, pc as u32));
            calls.len() < MAX_CALLS
        };
        // SAFETY: the caller's promise.
        unsafe { Machine::walk(word, regs, see) };
        calls
    }
}

/// Functions with the instruction each stands at, innermost first.
pub(crate) type Calls = SmallVec<[(&'static Func, u32); 16]>;

/// Calls of one task that a profile keeps, the innermost ones.
const MAX_CALLS: usize = 250;
