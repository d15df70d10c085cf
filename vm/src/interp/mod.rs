//! The interpreter: one short function an instruction, the machine's state in its arguments.
//!
//! A handler gets the machine, the address of the next word, the frame's first register, the budget left and its own word.
//! Optimised builds end each handler in a call of the next (`dispatch::next`), which the compiler turns into a jump since
//! all state travels in machine registers and nothing that needs dropping is live; other builds return to a loop between
//! handlers. What is rare leaves through an `Exit` and is dealt with in `machine` and `unwind`, then the code is entered again.
//!
//! A frame is `[registers][link][outgoing area]`. The outgoing area becomes the first registers of the function that is called,
//! so a call copies nothing. Links hold a distance, not an address, since the stack moves when it grows.

#![allow(unsafe_code)]

pub(crate) mod dispatch;
pub(crate) mod kept;
pub(crate) mod machine;
mod ops;
#[cfg(test)]
mod tests;
mod unwind;

pub(crate) use dispatch::{HANDLERS, Op, first_word, op_of, save};
pub(crate) use machine::{Begin, Frames};
pub use machine::{Interrupt, Machine, TaskEnd, Turn};
pub(crate) use ops::call::run_native;
pub(crate) use ops::message;
pub(crate) use ops::object::made;
pub(crate) use unwind::Calls;

/// Why the interpreter came out of its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Exit {
    /// Loop mode only: go on with the next word.
    Next,
    /// The budget is spent; the instruction has not begun.
    Yield,
    /// The stack is too small for a call; the instruction has not begun. `machine.wanted` slots are needed.
    Grow,
    /// A native waits; it is called again after a wake-up.
    Suspend,
    /// `machine.pending` says what went wrong at the instruction whose first word is just before `machine.ip`.
    Fault,
    /// The first frame returned `machine.result`.
    Return,
}
