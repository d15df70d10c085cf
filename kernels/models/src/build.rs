//! What the importers of graph files share: slots, constants and blocks of a graph in the making.
//!
//! Files are untrusted, so nesting and instructions are bounded, by the same numbers as for TorchScript.
//! Operators that no table has do not stop an import: each is noted with its place, and [`Builder::finish`]
//! names them all.

use std::sync::Arc;

use crate::error::{ModelError, Place, UnknownOperator};
use crate::graph::{At, Block, Graph, Instr, Kind, Operand, Slot};
use crate::ops::OpRow;
use crate::torchscript::compile::{MAX_BLOCK_NESTING, MAX_INSTRUCTIONS, MAX_UNKNOWN};
use crate::value::Value;

type Done<T> = Result<T, ModelError>;

/// How far back a plain constant is looked for before it is stored again.
const REUSE_WITHIN: usize = 64;

pub struct Builder {
    file: Arc<str>,
    consts: Vec<Value>,
    n_slots: u32,
    n_instrs: usize,
    block_nesting: u32,
    /// The block being filled.
    block: Block,
    /// The place of what is emitted next.
    pub at: At,
    entries: Vec<Arc<str>>,
    unknown: Vec<UnknownOperator>,
}

impl Builder {
    pub fn new(file: Arc<str>) -> Builder {
        Builder {
            file,
            consts: Vec::new(),
            n_slots: 0,
            n_instrs: 0,
            block_nesting: 0,
            block: Vec::new(),
            at: At::default(),
            entries: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Names a part of the file that places can refer to.
    pub fn entry(&mut self, name: &str) -> u32 {
        self.entries.push(name.into());
        (self.entries.len() - 1) as u32
    }

    pub fn entry_name(&self, entry: u32) -> Arc<str> {
        self.entries.get(entry as usize).cloned().unwrap_or_else(|| "graph".into())
    }

    pub fn refuse<T>(&self, reason: impl Into<String>) -> Done<T> {
        let place = Place { file: self.file.clone(), entry: self.entry_name(self.at.file), line: self.at.line };
        Err(ModelError::Code { place, reason: reason.into() })
    }

    pub fn new_slot(&mut self) -> Slot {
        self.n_slots += 1;
        Slot(self.n_slots - 1)
    }

    /// A constant of the model. Plain values that were just stored are found again.
    pub fn constant(&mut self, value: Value) -> Operand {
        let known = self.consts.iter().rev().take(REUSE_WITHIN).position(|c| c.is_same_plain(&value));
        Operand::Const(match known {
            Some(back) => self.consts.len() - 1 - back,
            None => {
                self.consts.push(value);
                self.consts.len() - 1
            }
        } as u32)
    }

    pub fn const_of(&self, operand: Operand) -> Option<&Value> {
        match operand {
            Operand::Const(index) => self.consts.get(index as usize),
            Operand::Slot(_) => None,
        }
    }

    pub fn emit(&mut self, kind: Kind, args: Vec<Operand>, outs: Vec<Slot>) -> Done<()> {
        self.n_instrs += 1;
        if self.n_instrs > MAX_INSTRUCTIONS {
            return self.refuse(format!("the model comes to more than {MAX_INSTRUCTIONS} instructions"));
        }
        self.block.push(Instr::new(kind, args, outs, self.at));
        Ok(())
    }

    /// Emits what gives one value.
    pub fn value(&mut self, kind: Kind, args: Vec<Operand>) -> Done<Operand> {
        let slot = self.new_slot();
        self.emit(kind, args, vec![slot])?;
        Ok(Operand::Slot(slot))
    }

    pub fn op(&mut self, row: &'static OpRow, args: Vec<Operand>) -> Done<Operand> {
        self.value(Kind::Op(row), args)
    }

    /// Starts a block of its own; [`Builder::end_block`] gives it back with the outer one restored.
    pub fn begin_block(&mut self) -> Done<Block> {
        self.block_nesting += 1;
        if self.block_nesting > MAX_BLOCK_NESTING {
            return self.refuse(format!("conditions and loops nest deeper than {MAX_BLOCK_NESTING}"));
        }
        Ok(std::mem::take(&mut self.block))
    }

    pub fn end_block(&mut self, outer: Block) -> Block {
        self.block_nesting -= 1;
        std::mem::replace(&mut self.block, outer)
    }

    /// Notes an operator that cannot run, at the current place.
    pub fn unknown(&mut self, name: String) {
        if self.unknown.len() < MAX_UNKNOWN {
            let place = Place { file: self.file.clone(), entry: self.entry_name(self.at.file), line: self.at.line };
            self.unknown.push(UnknownOperator { name, place });
        }
    }

    /// The whole graph; or all operators that were noted.
    pub fn finish(mut self, inputs: Vec<Slot>, output: Operand) -> Done<Graph> {
        if !self.unknown.is_empty() {
            return Err(ModelError::UnknownOperators { file: self.file, operators: self.unknown });
        }
        let body = std::mem::take(&mut self.block);
        let mut graph = Graph {
            body,
            consts: self.consts,
            own: Vec::new(),
            is_quantised: false,
            n_slots: self.n_slots,
            inputs,
            output,
            files: self.entries,
            unknown: Vec::new(),
        };
        graph.find_last_uses();
        Ok(graph)
    }
}
