//! Definite assignment: no instruction reads a reference register that may be null.
//!
//! A forward dataflow over basic blocks; the state is the set of reference registers that surely hold a value. Paths meet in
//! the intersection. A landing pad begins with what holds at every instruction that can fail into it, less what that
//! instruction takes; blocks are cut at the borders of handlers so that each has one. Scalars need none of this: whatever lies in one
//! is a number. A compiler's code reads none before it is written; code that does finds what an earlier call has left.
//!
//! A `&mut` reference parameter must hold its value wherever the function can be left, by return or by an error that
//! nobody in it catches: the caller takes it back.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::limits;
use super::typing::{Typing, is_quiet, successors};
use crate::instr::Instr;
use crate::operand::*;

type At<T = ()> = Result<T, (u32, String)>;

/// A stretch of code that is entered at its first instruction only, under one handler.
struct Block {
    start: u32,
    end: u32,
    handler: Option<u32>,
}

struct Definite<'m> {
    typing: Typing<'m>,
    /// For each register its bit, when it is a reference.
    bits: Vec<Option<u32>>,
    n_words: usize,
    /// `&mut` parameters that are references.
    inout: Vec<Reg>,
    blocks: Vec<Block>,
    /// The state at each block's entry, `n_words` each.
    entry: Vec<u64>,
    reached: Vec<bool>,
    dirty: BinaryHeap<Reverse<u32>>,
    is_dirty: Vec<bool>,
}

/// Checks one function; `steps_left` is what the module may still take.
pub fn check(typing: Typing, steps_left: &mut usize) -> At {
    let mut n_refs = 0;
    let mut number = |reg: usize| {
        let bit = typing.is_ref(Reg(reg as u16)).then_some(n_refs);
        n_refs += u32::from(bit.is_some());
        bit
    };
    let bits: Vec<Option<u32>> = (0..typing.function.registers.len()).map(&mut number).collect();
    if n_refs == 0 {
        return Ok(());
    }
    let n_words = n_refs.div_ceil(64) as usize;
    let blocks = blocks(typing);
    if blocks.len() * n_words > limits::MAX_FLOW_WORDS {
        let message = format!("{n_refs} references in {} blocks are too many to check", blocks.len());
        return Err((0, message));
    }
    let inout = typing.function.inout.iter().map(|&i| Reg(i)).filter(|&reg| typing.is_ref(reg)).collect();
    let n_blocks = blocks.len();
    Definite {
        typing,
        bits,
        n_words,
        inout,
        blocks,
        entry: vec![0; n_blocks * n_words],
        reached: vec![false; n_blocks],
        dirty: BinaryHeap::new(),
        is_dirty: vec![false; n_blocks],
    }
    .run(steps_left)
}

fn blocks(typing: Typing) -> Vec<Block> {
    let code = &typing.function.code;
    let mut starts = vec![false; code.len() + 1];
    starts[0] = true;
    for (pc, instr) in code.iter().enumerate() {
        let (to, goes_on) = successors(instr);
        if let Some(to) = to {
            starts[to.index()] = true;
        }
        if to.is_some() || !goes_on {
            starts[pc + 1] = true;
        }
    }
    let handlers = &typing.function.handlers;
    let mut borders: Vec<(u32, u32, bool)> = Vec::with_capacity(handlers.len() * 2);
    for (i, handler) in handlers.iter().enumerate() {
        starts[handler.target.index()] = true;
        for (pc, opens) in [(handler.start, true), (handler.end, false)] {
            starts[pc as usize] = true;
            borders.push((pc, i as u32, opens));
        }
    }
    borders.sort_unstable();
    starts[code.len()] = true;

    let mut active = BTreeSet::new();
    let mut borders = borders.into_iter().peekable();
    let pcs: Vec<u32> = (0..=code.len()).filter(|&pc| starts[pc]).map(|pc| pc as u32).collect();
    let block = |pair: &[u32]| {
        while let Some((_, i, opens)) = borders.next_if(|&(pc, ..)| pc <= pair[0]) {
            if opens {
                active.insert(i);
            } else {
                active.remove(&i);
            }
        }
        // The table has the innermost first.
        Block { start: pair[0], end: pair[1], handler: active.first().copied() }
    };
    pcs.windows(2).map(block).collect()
}

impl Definite<'_> {
    fn run(mut self, steps_left: &mut usize) -> At {
        let mut state = vec![0; self.n_words];
        for param in 0..self.typing.function.n_params {
            self.set(&mut state, Reg(param));
        }
        self.enter(0, &state);

        let mut on_error = vec![0; self.n_words];
        while let Some(Reverse(block)) = self.dirty.pop() {
            self.is_dirty[block as usize] = false;
            let at = block as usize * self.n_words;
            state.copy_from_slice(&self.entry[at..at + self.n_words]);
            let steps = self.block(block, &mut state, &mut on_error)?;
            *steps_left = steps_left
                .checked_sub(steps)
                .ok_or_else(|| (self.blocks[block as usize].start, "the jumps are too tangled to check".to_owned()))?;
        }
        Ok(())
    }

    /// Walks a block from `state` and hands the result on. Gives how many words were looked at.
    fn block(&mut self, block: u32, state: &mut [u64], on_error: &mut [u64]) -> At<usize> {
        let Block { start, end, handler } = self.blocks[block as usize];
        let mut steps = (end - start) as usize + self.n_words;
        let mut can_fail = false;
        for pc in start..end {
            let instr = self.typing.function.code[pc as usize];
            self.reads(pc, &instr, state)?;
            if !is_quiet(&instr, pc) {
                if handler.is_none() {
                    self.inout_held(pc, state, "where an error leaves the function")?;
                } else if can_fail {
                    on_error.iter_mut().zip(&*state).for_each(|(word, now)| *word &= now);
                } else {
                    on_error.copy_from_slice(state);
                }
                can_fail = true;
                steps += self.n_words;
            }
            if matches!(instr, Instr::ReturnScalar { .. } | Instr::ReturnRef { .. }) {
                self.inout_held(pc, state, "where the function returns")?;
            }
            for operand in instr.operands() {
                if let Operand::Def(reg) = operand {
                    self.set(state, reg);
                }
            }
        }
        let (to, goes_on) = successors(&self.typing.function.code[end as usize - 1]);
        if let Some(to) = to {
            self.enter(to.0, state);
        }
        if goes_on {
            self.enter(end, state);
        }
        if let (Some(handler), true) = (handler, can_fail) {
            let handler = self.typing.function.handlers[handler as usize];
            self.set(on_error, handler.err);
            self.enter(handler.target.0, on_error);
        }
        Ok(steps)
    }

    /// Every reference that `instr` reads is there; those it takes are gone afterwards.
    fn reads(&self, pc: u32, instr: &Instr, state: &mut [u64]) -> At {
        for operand in instr.operands() {
            let (reg, takes) = match operand {
                Operand::Use(reg) | Operand::Change(reg) => (reg, false),
                Operand::Take(reg) => (reg, true),
                _ => continue,
            };
            let Some(bit) = self.bits[reg.index()] else { continue };
            let (word, mask) = (bit as usize / 64, 1 << (bit % 64));
            // Dropping nothing is allowed: what was moved on one path only is dropped where paths meet.
            if state[word] & mask == 0 && !matches!(instr, Instr::DropRef { .. }) {
                return Err((pc, format!("{}: r{} may be empty here", instr.opcode().mnemonic(), reg.0)));
            }
            if takes {
                state[word] &= !mask;
            }
        }
        Ok(())
    }

    fn inout_held(&self, pc: u32, state: &[u64], place: &str) -> At {
        for &reg in &self.inout {
            let held = self.bits[reg.index()].is_none_or(|bit| state[bit as usize / 64] >> (bit % 64) & 1 == 1);
            if !held {
                return Err((pc, format!("the `&mut` parameter r{} may be empty {place}", reg.0)));
            }
        }
        Ok(())
    }

    fn set(&self, state: &mut [u64], reg: Reg) {
        if let Some(bit) = self.bits[reg.index()] {
            state[bit as usize / 64] |= 1 << (bit % 64);
        }
    }

    /// The block at `pc` may begin with `state`.
    fn enter(&mut self, pc: u32, state: &[u64]) {
        let Ok(block) = self.blocks.binary_search_by_key(&pc, |block| block.start) else { return };
        let entry = &mut self.entry[block * self.n_words..(block + 1) * self.n_words];
        let mut changed = !self.reached[block];
        if changed {
            entry.copy_from_slice(state);
            self.reached[block] = true;
        } else {
            for (word, now) in entry.iter_mut().zip(state) {
                changed |= *word & !now != 0;
                *word &= now;
            }
        }
        if changed && !std::mem::replace(&mut self.is_dirty[block], true) {
            self.dirty.push(Reverse(block as u32));
        }
    }
}
