//! Variants that are known already: a `match` asks for the same one at each arm and each field.
//!
//! What is known of a register holds on the way on, and where the code is jumped to by one way only.

use super::plan::{self, Plan};
use crate::load::Func;
use cranelift_codegen::ir::Value;
use stark_bytecode::{Instr, Operand, Reg};
use std::collections::HashMap;

type Known = HashMap<Reg, Value>;

pub(super) struct Tags {
    here: Known,
    /// How many ways lead to an instruction.
    n_ways: Vec<u32>,
    /// What is known where a jump leads to that is the only way there.
    there: HashMap<usize, Known>,
}

impl Tags {
    pub fn of(func: &Func, plan: &Plan) -> Tags {
        let code = &func.def.code;
        let mut n_ways = vec![0; code.len() + 1];
        for (pc, instr) in code.iter().enumerate() {
            if let Some(to) = plan::target(instr) {
                n_ways[to] += 1;
            }
            n_ways[pc + 1] += u32::from(!plan::ends(instr));
        }
        let handlers = func.def.handlers.iter().map(|handler| handler.target.index());
        plan.entries.iter().copied().chain(handlers).for_each(|pc| n_ways[pc] += 1);
        Tags { here: Known::new(), n_ways, there: HashMap::new() }
    }

    pub fn get(&self, reg: Reg) -> Option<Value> {
        self.here.get(&reg).copied()
    }

    pub fn set(&mut self, reg: Reg, tag: Value) {
        self.here.insert(reg, tag);
    }

    /// At an instruction that is jumped to or entered.
    pub fn arrive(&mut self, pc: usize) {
        self.here = self.there.remove(&pc).unwrap_or_default();
    }

    /// The instructions, which were one step, are done.
    pub fn forget_changed(&mut self, code: &[Instr]) {
        for operand in code.iter().flat_map(Instr::operands) {
            if let Operand::Def(reg) | Operand::Take(reg) | Operand::Change(reg) = operand {
                self.here.remove(&reg);
            }
        }
    }

    /// A jump to `to` ends here, or goes on.
    pub fn leave(&mut self, to: usize) {
        if self.n_ways[to] == 1 {
            self.there.insert(to, self.here.clone());
        }
    }
}
