//! Which reference registers may hold something where: what cannot is neither looked at nor dropped.

use super::plan::{ends, target};
use crate::load::Func;
use stark_bytecode::{Instr, Operand, Reg};

/// For each instruction a set of registers, as bits.
pub(super) struct Held {
    before: Vec<u64>,
    words_a_pc: usize,
}

impl Held {
    pub fn of(func: &Func) -> Held {
        let code = &func.def.code;
        let words_a_pc = func.registers.len().div_ceil(64);
        let mut held = Held { before: vec![0; code.len() * words_a_pc], words_a_pc };
        let mut is_reached = vec![false; code.len()];
        let mut landing = vec![0; words_a_pc];
        let refs = |reg: usize| func.owns(Reg(reg as u16));
        // A frame begins with its parameters and nulls.
        for reg in (0..func.params().len()).filter(|&reg| refs(reg)) {
            set(&mut held.before[..words_a_pc], reg);
        }
        // What was lent to a call that failed is back where an error lands.
        let lent = code.iter().filter_map(|instr| match instr {
            Instr::TakeBack { dst, .. } => Some(dst.index()),
            _ => None,
        });
        for reg in lent.chain(func.def.inout.iter().map(|&reg| usize::from(reg))).filter(|&reg| refs(reg)) {
            set(&mut landing, reg);
        }
        if let Some(first) = is_reached.first_mut() {
            *first = true;
        }
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for pc in 0..code.len() {
                if !is_reached[pc] {
                    continue;
                }
                let before = held.at(pc).to_vec();
                let mut after = before.clone();
                apply(func, &code[pc], &mut after);
                let mut join = |to: usize, more: &[u64]| {
                    has_changed |= !std::mem::replace(&mut is_reached[to], true);
                    for (word, &more) in held.before[to * words_a_pc..(to + 1) * words_a_pc].iter_mut().zip(more) {
                        has_changed |= *word | more != *word;
                        *word |= more;
                    }
                };
                if let Some(to) = target(&code[pc]) {
                    join(to, &after);
                }
                if !ends(&code[pc]) && pc + 1 < code.len() {
                    join(pc + 1, &after);
                }
                for handler in func.def.handlers.iter().filter(|h| (h.start..h.end).contains(&(pc as u32))) {
                    // The instruction failed before or after it changed its registers.
                    let mut there = landing.clone();
                    set(&mut there, handler.err.index());
                    there.iter_mut().zip(&before).zip(&after).for_each(|((word, a), b)| *word |= a | b);
                    join(handler.target.index(), &there);
                }
            }
        }
        held
    }

    /// Whether the reference register may hold something when `pc` is reached.
    pub fn may(&self, pc: usize, reg: Reg) -> bool {
        self.at(pc)[reg.index() / 64] >> (reg.index() % 64) & 1 == 1
    }

    fn at(&self, pc: usize) -> &[u64] {
        &self.before[pc * self.words_a_pc..(pc + 1) * self.words_a_pc]
    }
}

fn set(words: &mut [u64], reg: usize) {
    words[reg / 64] |= 1 << (reg % 64);
}

fn apply(func: &Func, instr: &Instr, words: &mut [u64]) {
    for operand in instr.operands() {
        if let Operand::Take(reg) = operand
            && func.owns(reg)
        {
            words[reg.index() / 64] &= !(1 << (reg.index() % 64));
        }
    }
    for operand in instr.operands() {
        if let Operand::Def(reg) | Operand::Change(reg) = operand
            && func.owns(reg)
        {
            set(words, reg.index());
        }
    }
}
