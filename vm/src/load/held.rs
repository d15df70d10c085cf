//! Which references a frame may still hold where its function returns.
//!
//! Most registers are empty by then: what they held was moved on, or was dropped at its last use. A return need not look at
//! those. A forward dataflow, the union where paths meet, in rounds over the code until nothing changes; a landing pad begins
//! with all, since any instruction before it may have failed.

use super::Func;
use stark_bytecode::operand::Operand;
use stark_bytecode::{Instr, Reg};

/// Functions with more references than a word has bits drop them all, as do those that are not settled after so many rounds
/// (a round for each loop inside a loop, in code from source).
const MAX_ROUNDS: usize = 8;

/// The reference registers that may hold something when an instruction begins, by its position.
pub(super) struct Held<'a> {
    refs: &'a [u16],
    before: Vec<u64>,
}

impl<'a> Held<'a> {
    /// `None`: it was not worked out, so all registers may.
    pub fn new(func: &'a Func) -> Option<Held<'a>> {
        let refs = &func.refs;
        if refs.is_empty() || refs.len() > 64 {
            return None;
        }
        let code = &func.def.code;
        let mut held = Held { refs, before: vec![0; code.len()] };
        let mut is_reached = vec![false; code.len()];
        is_reached[0] = true;
        held.before[0] = (0..func.def.n_params).map(|i| held.bit(Reg(i))).fold(0, |all, bit| all | bit);
        for handler in &func.def.handlers {
            is_reached[handler.target.index()] = true;
            held.before[handler.target.index()] = u64::MAX;
        }
        for _ in 0..MAX_ROUNDS {
            let mut is_settled = true;
            for pc in 0..code.len() {
                if !is_reached[pc] {
                    continue;
                }
                let after = held.after(pc, &code[pc]);
                let (to, goes_on) = match code[pc] {
                    Instr::Jump { to } => (Some(to.index()), false),
                    Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } => (Some(to.index()), true),
                    Instr::ReturnScalar { .. }
                    | Instr::ReturnRef { .. }
                    | Instr::Throw { .. }
                    | Instr::Rethrow { .. } => (None, false),
                    _ => (None, true),
                };
                for next in to.into_iter().chain(goes_on.then_some(pc + 1)) {
                    let merged = held.before[next] | after;
                    if next <= pc && (!is_reached[next] || merged != held.before[next]) {
                        is_settled = false;
                    }
                    held.before[next] = merged;
                    is_reached[next] = true;
                }
            }
            if is_settled {
                return Some(held);
            }
        }
        None
    }

    fn bit(&self, reg: Reg) -> u64 {
        self.refs.binary_search(&reg.0).map_or(0, |at| 1 << at)
    }

    fn after(&self, pc: usize, instr: &Instr) -> u64 {
        let (mut taken, mut set) = (0, 0);
        for operand in instr.operands() {
            match operand {
                Operand::Take(reg) => taken |= self.bit(reg),
                Operand::Def(reg) => set |= self.bit(reg),
                _ => {}
            }
        }
        self.before[pc] & !taken | set
    }

    /// Whether register number `reg`, one of the references, may hold something when the instruction at `pc` begins.
    pub fn may_hold(&self, pc: usize, reg: u16) -> bool {
        self.before[pc] & self.bit(Reg(reg)) != 0
    }
}
