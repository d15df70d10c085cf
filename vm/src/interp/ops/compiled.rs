//! Where machine code takes over.

use super::super::dispatch::HANDLERS;
use super::*;
use crate::jit::{self, Came};

handlers! {
    /// Stands at the first word of an instruction at which its function's machine code can be entered (`jit`).
    compiled(m, ip, regs, budget, _w) {
        if (*m).jit.is_stepping {
            return Exit::Next;
        }
        match jit::run(m, ip.sub(1), regs, budget) {
            Came::Returned => go!(m, (*m).ip, (*m).regs, (*m).budget),
            // The instruction it stopped at, also where the machine code could be entered again.
            Came::Left => {
                let word = (*m).jit.word;
                let handler = *HANDLERS.as_ptr().add((word & 0xffff) as usize);
                handler(m, (*m).ip.add(1), (*m).regs, (*m).budget, word)
            }
            Came::Out => (*m).jit.exit,
        }
    }
}
