//! What each instruction does.

#![allow(unsafe_code)]
// Handlers share one contract, stated at `dispatch::Handler` and `dispatch::next`; each is entered by the dispatcher alone.
#![allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

pub(crate) mod arith;
pub(crate) mod call;
pub(crate) mod compare;
pub(crate) mod compiled;
pub(crate) mod control;
pub(crate) mod fused;
pub(crate) mod map;
pub(crate) mod message;
pub(crate) mod object;
pub(crate) mod place;
pub(crate) mod task;

use super::Exit;
use super::dispatch::{first_word, next, save};
use super::machine::{Machine, Pending};
use crate::fault::Fault;
use crate::heap::{self, Header, sampled};
use crate::observe;

/// Defines handlers: `name(m, ip, regs, budget, word) { … }`.
macro_rules! handlers {
    ($( $(#[$doc:meta])* $name:ident($m:ident, $ip:ident, $regs:ident, $budget:ident, $word:ident) $body:block )*) => { $(
        $(#[$doc])*
        pub(crate) unsafe extern "C-unwind" fn $name(
            $m: *mut Machine,
            $ip: *const u64,
            $regs: *mut u64,
            $budget: i64,
            $word: u64,
        ) -> Exit $body
    )* };
}
use handlers;

#[inline(always)]
fn a(word: u64) -> usize {
    (word >> 16 & 0xffff) as usize
}
#[inline(always)]
fn b(word: u64) -> usize {
    (word >> 32 & 0xffff) as usize
}
#[inline(always)]
fn c(word: u64) -> usize {
    (word >> 48) as usize
}
/// A jump's distance, or a 32-bit immediate.
#[inline(always)]
fn distance(word: u64) -> isize {
    (word as i64 >> 32) as isize
}

#[inline(always)]
unsafe fn get(regs: *mut u64, reg: usize) -> u64 {
    *regs.add(reg)
}
#[inline(always)]
unsafe fn int(regs: *mut u64, reg: usize) -> i64 {
    *regs.add(reg) as i64
}
#[inline(always)]
unsafe fn float(regs: *mut u64, reg: usize) -> f64 {
    f64::from_bits(*regs.add(reg))
}
/// Writes a scalar, or a slot that holds nothing.
#[inline(always)]
unsafe fn set(regs: *mut u64, reg: usize, bits: u64) {
    *regs.add(reg) = bits;
}
/// Writes a reference; drops what was there.
#[inline(always)]
unsafe fn set_ref(regs: *mut u64, reg: usize, bits: u64) {
    let old = std::mem::replace(&mut *regs.add(reg), bits);
    heap::release(old);
}

/// Leaves with a fault at the instruction whose first word is just before `ip`.
#[cold]
#[inline(never)]
unsafe fn fault(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, fault: Fault) -> Exit {
    save(m, ip, regs, budget);
    (*m).pending = Some(Pending::Fault(fault));
    Exit::Fault
}

/// Whether a call or a backward jump ends the turn.
#[inline(always)]
fn is_spent(budget: i64) -> bool {
    budget <= 0
}

/// What is left after a call or a backward jump.
#[inline(always)]
fn after_one(budget: i64) -> i64 {
    budget - 1
}

/// Leaves because the budget is spent; the instruction will be run again from its start.
#[cold]
#[inline(never)]
unsafe fn spent(m: *mut Machine, ip: *const u64, regs: *mut u64) -> Exit {
    save(m, ip.sub(1), regs, 0);
    // Unknown to the optimiser, so that handlers end in a jump here too instead of a call that makes them save registers.
    std::hint::black_box(Exit::Yield)
}

/// After an instruction that allocates: has a profiler note it when it was found.
#[inline(always)]
unsafe fn allocated(m: *mut Machine, ip: *const u64, regs: *mut u64) {
    if sampled::is_found() {
        note_allocation(m, ip, regs);
    }
}

#[cold]
#[inline(never)]
unsafe fn note_allocation(m: *mut Machine, ip: *const u64, regs: *mut u64) {
    let calls = Machine::calls(ip.sub(1), regs);
    observe::allocated(&mut (*m).task, calls, None);
}

/// The object in `slot`, copied first if it has another owner; the first word of the instruction is just before `ip`.
#[inline(always)]
unsafe fn unique(m: *mut Machine, ip: *const u64, regs: *mut u64, slot: *mut u64) -> *mut Header {
    let header = *slot as *mut Header;
    if (*header).rc == 1 { header } else { copied(m, ip, regs, slot) }
}

#[cold]
#[inline(never)]
unsafe fn copied(m: *mut Machine, ip: *const u64, regs: *mut u64, slot: *mut u64) -> *mut Header {
    let header = heap::make_unique(slot);
    allocated(m, ip, regs);
    header
}

/// The value of `next` with its four arguments.
macro_rules! go {
    ($m:ident, $ip:expr, $regs:expr, $budget:expr) => {
        next($m, $ip, $regs, $budget)
    };
}
use go;
