//! Into machine code and out of it, and what it calls.
//!
//! Nothing unwinds through machine code: what panics in a call from it is caught here, all of it is left, and then the
//! panic goes on.

use super::{CALLED, NO_ENTRY, code_of, compile, heat, original};
use crate::heap;
use crate::heap::object::{ClosureObj, DynObj};
use crate::interp::{Exit, HANDLERS, Machine, Op, first_word, made, message, op_of, run_native, save};
use crate::load::{BoundMethod, Func};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Bytes of the native stack that calls of compiled functions may take on a thread, in all. The rest of a thread's two
/// megabytes is for natives, and for tasks that run inside another's turn.
pub(super) const MAX_NATIVE_STACK: usize = 512 << 10;

/// A budget below this is none: the machine code was left. Errors overdraw by far less.
pub(super) const LEFT: i64 = i64::MIN;
pub(super) const LEFT_BELOW: i64 = -1 << 30;

/// Machine code of a function: of which frame, with how much budget, from which of its entries on.
pub(super) type Run = unsafe extern "C" fn(m: *mut Machine, regs: *mut u64, budget: i64, entry: u64) -> Back;

/// What a function came back with: the budget, or `LEFT`, and its result.
#[repr(C)]
pub(super) struct Back {
    budget: i64,
    value: u64,
}

/// What machine code and the machine tell each other during a turn.
pub(crate) struct Link {
    /// A handler does one instruction for machine code.
    pub is_stepping: bool,
    /// How the machine code was left: `Next` when the interpreter goes on at `ip`.
    pub exit: Exit,
    pub word: u64,
    /// Where the native stack ends for calls.
    pub native_end: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Default for Link {
    #[inline]
    fn default() -> Link {
        Link { is_stepping: false, exit: Exit::Next, word: 0, native_end: 0, panic: None }
    }
}

thread_local! {
    static NATIVE_END: Cell<usize> = const { Cell::new(0) };
}

#[cold]
fn native_end() -> usize {
    if NATIVE_END.get() == 0 {
        let here = 0u8;
        NATIVE_END.set((&raw const here).addr().saturating_sub(MAX_NATIVE_STACK));
    }
    NATIVE_END.get()
}

/// How machine code came back to the interpreter.
pub(crate) enum Came {
    /// The function returned: the machine stands in its caller.
    Returned,
    /// At an instruction that the interpreter does; `Link::word` is its first word, as it was decoded.
    Left,
    /// As `Link::exit` says.
    Out,
}

/// Runs the machine code of the frame's function, from its entry at `ip` on.
///
/// # Safety
/// `ip` is a `compiled` word of the function whose frame is at `regs`, at the start of its instruction.
#[inline(never)]
pub(crate) unsafe fn run(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64) -> Came {
    // SAFETY: the link in front of a frame names its function. The machine code keeps to the frame, as the interpreter does.
    unsafe {
        let func = &*(*regs.sub(3) as *const Func);
        save(m, ip, regs, budget);
        let code = code_of(func).or_else(|| compile(func, (*m).code));
        // Until its address is known another thread marks its instructions, and a handler called by it might not stop.
        let Some(code) = code.filter(|_| func.native.address.load(Acquire) != 0) else {
            (*m).jit.word = decoded(ip, regs);
            return Came::Left;
        };
        let entry = code.entries[func.offset_of(ip)];
        if (*m).jit.native_end == 0 {
            (*m).jit.native_end = native_end();
        }
        let back = (code.run)(m, regs, budget, u64::from(entry));
        if back.budget >= LEFT_BELOW {
            return finish(m, func, regs, back);
        }
        if let Some(panic) = (*m).jit.panic.take() {
            resume_unwind(panic);
        }
        if (*m).jit.exit != Exit::Next {
            return Came::Out;
        }
        let (ip, regs) = ((*m).ip, (*m).regs);
        let word = decoded(ip, regs);
        if op_of(word) == Op::call {
            heat(&*(*ip.add(1) as *const Func), (*m).code, CALLED);
        }
        (*m).jit.word = word;
        Came::Left
    }
}

/// Returns to the interpreter's caller, or from the first frame.
unsafe fn finish(m: *mut Machine, func: &Func, regs: *mut u64, back: Back) -> Came {
    // SAFETY: as in `run`; a link behind a call leads to the caller's frame, and its call's words are two.
    unsafe {
        let ip = *regs.sub(1) as *const u64;
        if ip.is_null() {
            save(m, func.entry().add(1), regs, back.budget);
            (*m).result = back.value;
            (*m).jit.exit = Exit::Return;
            return Came::Out;
        }
        let caller = regs.sub(*regs.sub(2) as usize);
        let slot = &mut *caller.add((first_word(ip.sub(2)) >> 16 & 0xffff) as usize);
        let old = std::mem::replace(slot, back.value);
        if func.ret.is_ref {
            heap::release(old);
        }
        save(m, ip, caller, back.budget);
        Came::Returned
    }
}

/// The first word at `ip` as it was decoded, whatever was compiled since.
unsafe fn decoded(ip: *const u64, regs: *mut u64) -> u64 {
    // SAFETY: as in `run`.
    unsafe {
        let word = first_word(ip);
        if op_of(word) != Op::compiled {
            return word;
        }
        let func = &*(*regs.sub(3) as *const Func);
        let offset = func.offset_of(ip);
        match code_of(func).map(|code| (code, code.entries[offset])) {
            Some((code, entry)) if entry != NO_ENTRY => code.words[usize::from(entry)],
            // Marked to be compiled at the first call, and it was not.
            _ => original(func, 0),
        }
    }
}

/// Does `work`; `None` after a panic, which waits in the machine until the machine code was left.
unsafe fn guarded<R>(m: *mut Machine, work: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(panic) => {
            // SAFETY: `m` is the running machine.
            unsafe { (*m).jit.panic = Some(panic) };
            None
        }
    }
}

/// Does the instruction whose first word, `word`, is just before `ip`. 0 when it is done; else the code must be left.
pub(super) unsafe extern "C" fn step(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, word: u64) -> u64 {
    // SAFETY: machine code calls this for instructions that are followed by an entry, with the operands in the frame.
    unsafe {
        (*m).jit.is_stepping = true;
        let exit = guarded(m, || HANDLERS[(word & 0xffff) as usize](m, ip, regs, budget, word));
        (*m).jit.is_stepping = false;
        leave_unless_next(m, exit)
    }
}

/// The value of the `make` whose first word, `word`, is just before `ip`. Nothing in it panics.
pub(super) unsafe extern "C" fn make(m: *mut Machine, ip: *const u64, regs: *mut u64, word: u64) -> u64 {
    // SAFETY: machine code calls this with the fields in the frame's outgoing slots.
    unsafe { made(m, ip, regs, word) }
}

/// 0 when an instruction is done; else the code must be left, as `exit` says (`None`: with the panic that waits).
unsafe fn leave_unless_next(m: *mut Machine, exit: Option<Exit>) -> u64 {
    match exit {
        Some(Exit::Next) => 0,
        Some(exit) => {
            // SAFETY: `m` is the running machine.
            unsafe { (*m).jit.exit = exit };
            1
        }
        None => 1,
    }
}

/// Functions that do the instruction whose first word, `word`, is just before `ip`, as `step` would, without its handler in between.
macro_rules! direct {
    ($( $name:ident $function:expr; )*) => { $(
        pub(super) unsafe extern "C" fn $name(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, word: u64) -> u64 {
            // SAFETY: as in `step`.
            unsafe { leave_unless_next(m, guarded(m, || $function(m, ip, regs, budget, word))) }
        }
    )* };
}
direct! {
    native run_native::<false>;
    native_ref run_native::<true>;
    send message::send;
    send_scalar message::send_scalar;
    tell message::tell_scalar;
    recv_scalar message::receive::<false, false>;
    recv_ref message::receive::<true, false>;
    next_message message::receive::<true, true>;
}

/// As these, of a `scalar_of`, or of a `ref_of`, whose way on is more than one.
pub(super) unsafe extern "C" fn head<const IS_REF: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    word: u64,
) -> u64 {
    // SAFETY: as in `step`.
    unsafe {
        match guarded(m, || message::head::<IS_REF>(m, ip, regs, budget, word)) {
            Some(None) => 0,
            Some(Some(exit)) => {
                (*m).jit.exit = exit;
                1
            }
            None => 1,
        }
    }
}

/// Whether machine code may call `func` with the frame at `callee`: the address of its machine code, and its link and nulls
/// are in place; else 0, and nothing has changed.
unsafe fn prepare(m: *mut Machine, callee: *mut u64, func: &'static Func) -> usize {
    // SAFETY: the callers' promise; the frame's end was compared with the stack's.
    unsafe {
        let address = func.native.address.load(Relaxed);
        if address == 0 {
            heat(func, (*m).code, CALLED);
            return 0;
        }
        if callee.wrapping_add(func.frame_size) > (*m).stack_end {
            return 0;
        }
        *callee.sub(3) = std::ptr::from_ref(func) as u64;
        for slot in func.zero.clone() {
            *callee.add(slot) = 0;
        }
        address
    }
}

/// Prepares a call of `closure` whose arguments are in place. 0 when the interpreter must make it.
pub(super) unsafe extern "C" fn closure(m: *mut Machine, callee: *mut u64, closure: *const ClosureObj) -> usize {
    // SAFETY: machine code calls this at a `call_closure`, with the closure that is in its register.
    unsafe {
        let func: &'static Func = (&(*m).code.funcs)[(*closure).func as usize];
        let address = prepare(m, callee, func);
        if address != 0 {
            let first = func.params().len() - func.captures.len();
            for (i, (&bits, ty)) in (&(*closure).captures).iter().zip((*closure).types).enumerate() {
                if ty.is_ref {
                    heap::retain(bits);
                }
                *callee.add(first + i) = bits;
            }
        }
        address
    }
}

/// Prepares a call of `method` of the dynamic value at `callee`, which is taken out of its box; its type goes to `hidden` if
/// it is put back later. 0 when the interpreter must make the call.
pub(super) unsafe extern "C" fn dynamic(
    m: *mut Machine,
    callee: *mut u64,
    method: *const BoundMethod,
    hidden: *mut u64,
) -> usize {
    // SAFETY: machine code calls this at a `call_dyn`, with the arguments in place.
    unsafe {
        let object = *callee as *mut DynObj;
        let inner = (*object).inner;
        let Some(func) = (*method).find(inner.id) else { return 0 };
        let address = prepare(m, callee, func);
        if address != 0 {
            let value = (*object).value;
            if inner.is_ref {
                heap::retain(value);
            }
            // At most the box is freed, for which no code of others runs: the value has another owner.
            heap::release(object as u64);
            *callee = value;
            if (&(*method).inout).first() == Some(&0) {
                *hidden = std::ptr::from_ref(inner) as u64;
            }
        }
        address
    }
}

/// Frees the object at `bits`, whose last owner this is. 0 when it is done; else the code must be left.
pub(super) unsafe extern "C" fn free(m: *mut Machine, bits: u64) -> u64 {
    // SAFETY: machine code has taken the slot out of the frame.
    unsafe { u64::from(!heap::free_leaf(bits) && guarded(m, || heap::release(bits)).is_none()) }
}

/// Drops the references of a frame that is left, but for register `keep`. 0 when it is done; else the code must be left.
pub(super) unsafe extern "C" fn drop_frame(m: *mut Machine, regs: *mut u64, func: *const Func, keep: u64) -> u64 {
    // SAFETY: machine code calls this with the frame of `func`.
    unsafe {
        let dropped = guarded(m, || {
            for &reg in &(*func).refs {
                if u64::from(reg) != keep {
                    heap::release(std::mem::take(&mut *regs.add(usize::from(reg))));
                }
            }
        });
        u64::from(dropped.is_none())
    }
}
