//! The graph: what every importer produces and the executor runs.
//!
//! A program over numbered slots. Calls are inlined, names are gone, attributes of the model are constants.
//! Control flow is structured: `If`, `While` and `For` hold blocks, and values that differ between the ways
//! through them are moved into one slot at the end of each way. Every instruction knows the line of code it
//! came from, and which slots nobody reads after it.

use std::sync::Arc;

use crate::error::UnknownOperator;
use crate::ops::{Kept, OpRow};
use crate::value::Value;

/// A register of a running model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    Slot(Slot),
    /// Index into [`Graph::consts`].
    Const(u32),
}

/// A line of a code file; `file` indexes [`Graph::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct At {
    pub file: u32,
    pub line: u32,
}

#[derive(Debug)]
pub struct Instr {
    pub kind: Kind,
    pub args: Box<[Operand]>,
    pub outs: Box<[Slot]>,
    /// Slots that are dead after this instruction.
    pub frees: Box<[Slot]>,
    pub at: At,
    /// What its operator works out once.
    pub kept: Kept,
    pub fit: Fit,
}

/// What the result of an operator is made to have of its first argument, because it stood in that argument's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    #[default]
    Free,
    /// The element type.
    Type,
    /// The element type, and the shape or else it is an error.
    Whole,
}

#[derive(Debug)]
pub enum Kind {
    /// `outs[0] = row(args)`.
    Op(&'static OpRow),
    /// As `Op`, then every value that shares storage with `args[0]` sees the result.
    InPlace(&'static OpRow),
    /// `outs[i] = args[i]`, all at once.
    Move,
    /// `outs[0]` is a tuple, list or dict (keys and values alternate) of the arguments.
    Tuple,
    List,
    Dict,
    /// The items of `args[0]`, exactly as many as there are `outs`.
    Unpack,
    /// On `args[0]`.
    If(Block, Block),
    /// Runs `test`, then `body` and again while `cond` holds.
    While {
        test: Block,
        cond: Operand,
        body: Block,
    },
    /// `outs[0]` counts from 0 to below `args[0]`.
    For(Block),
    /// Raises `args[0]` as an exception of this class.
    Raise(Arc<str>),
    /// Stands for an operator that is not in the table, where a run may not come.
    Unknown,
}

pub type Block = Vec<Instr>;

#[derive(Debug)]
pub struct Graph {
    pub body: Block,
    pub consts: Vec<Value>,
    /// Tensors of the model that a run may change: it begins with them in these slots, and what it changes is a copy.
    pub own: Vec<(Slot, Value)>,
    /// Some tensors of a run may be quantised.
    pub is_quantised: bool,
    pub n_slots: u32,
    /// Where the inputs go, in order.
    pub inputs: Vec<Slot>,
    pub output: Operand,
    pub files: Vec<Arc<str>>,
    /// Operators that are not in the table, all of them, of a model that may run without.
    pub unknown: Vec<UnknownOperator>,
}

impl Graph {
    /// Fills in [`Instr::frees`].
    pub fn find_last_uses(&mut self) {
        let mut live = vec![false; self.n_slots as usize];
        if let Operand::Slot(slot) = self.output {
            live[slot.0 as usize] = true;
        }
        free_after_last_use(&mut self.body, &mut live);
    }

    /// Calls `visit` for each instruction, inner ones after the one that holds them.
    pub fn each_instr<'a>(&'a self, visit: &mut dyn FnMut(&'a Instr)) {
        each_instr(&self.body, visit);
    }
}

fn each_instr<'a>(block: &'a Block, visit: &mut dyn FnMut(&'a Instr)) {
    for instr in block {
        visit(instr);
        for inner in instr.blocks() {
            each_instr(inner, visit);
        }
    }
}

impl Instr {
    /// One that nothing is known of yet but what it does.
    pub fn new(kind: Kind, args: impl Into<Box<[Operand]>>, outs: impl Into<Box<[Slot]>>, at: At) -> Instr {
        let (kept, fit) = (Kept::default(), Fit::Free);
        Instr { kind, args: args.into(), outs: outs.into(), frees: Box::default(), at, kept, fit }
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        let (a, b) = match &self.kind {
            Kind::If(then, otherwise) => (Some(then), Some(otherwise)),
            Kind::While { test, body, .. } => (Some(test), Some(body)),
            Kind::For(body) => (Some(body), None),
            _ => (None, None),
        };
        a.into_iter().chain(b)
    }
}

/// Walks backwards; `live` is what is read after the block, and becomes what is read from its start on.
fn free_after_last_use(block: &mut Block, live: &mut Vec<bool>) {
    for instr in block.iter_mut().rev() {
        let mut touched: Vec<Slot> = instr.outs.to_vec();
        for inner in instr.blocks() {
            all_slots(inner, &mut touched);
        }
        let reads: Vec<Slot> = instr.args.iter().filter_map(|arg| arg.slot()).collect();
        touched.extend(&reads);
        touched.sort_unstable();
        touched.dedup();
        instr.frees = touched.iter().copied().filter(|slot| !live[slot.0 as usize]).collect();
        match &mut instr.kind {
            Kind::If(then, otherwise) => {
                let mut other = live.clone();
                free_after_last_use(then, live);
                free_after_last_use(otherwise, &mut other);
                live.iter_mut().zip(other).for_each(|(a, b)| *a |= b);
            }
            Kind::While { test, cond, body } => {
                // Whatever a round reads may be read by the next one, so it stays alive inside the loop.
                let mut inside = Vec::new();
                all_slots(test, &mut inside);
                all_slots(body, &mut inside);
                inside.extend(cond.slot());
                keep(live, &inside);
                free_after_last_use(body, live);
                keep(live, &inside);
                free_after_last_use(test, live);
                keep(live, &inside);
            }
            Kind::For(body) => {
                let mut inside = Vec::new();
                all_slots(body, &mut inside);
                keep(live, &inside);
                free_after_last_use(body, live);
                keep(live, &inside);
            }
            // A slot is written once, or by moves that end a branch or a round: then it is kept alive above.
            _ => instr.outs.iter().for_each(|out| live[out.0 as usize] = false),
        }
        for slot in reads {
            live[slot.0 as usize] = true;
        }
    }
}

fn keep(live: &mut [bool], slots: &[Slot]) {
    slots.iter().for_each(|slot| live[slot.0 as usize] = true);
}

/// Slots that the block reads or writes anywhere.
fn all_slots(block: &Block, out: &mut Vec<Slot>) {
    for instr in block {
        out.extend(instr.args.iter().filter_map(|arg| arg.slot()));
        out.extend(&*instr.outs);
        if let Kind::While { cond, .. } = &instr.kind {
            out.extend(cond.slot());
        }
        for inner in instr.blocks() {
            all_slots(inner, out);
        }
    }
}

impl Operand {
    pub fn slot(self) -> Option<Slot> {
        match self {
            Operand::Slot(slot) => Some(slot),
            Operand::Const(_) => None,
        }
    }
}
