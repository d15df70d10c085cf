//! Which slots may stand for one storage or one container, whatever way a run takes.

use super::own;
use super::view::{View, view};
use crate::graph::{Block, Graph, Instr, Kind, Operand, Slot};
use crate::ops::{self, Shares, Traits};
use crate::value::Value;

/// Sets of slots that may be views of one another, or hold one another.
pub struct Aliases {
    parent: Vec<u32>,
    /// By the set's first slot: some member may be a view of a constant.
    holds_constant: Vec<bool>,
    /// Constants with tensors in them, each with a slot that may be a view of it.
    pub constants: Vec<(Slot, u32)>,
}

impl Aliases {
    pub fn of(graph: &Graph) -> Aliases {
        let n = graph.n_slots;
        let mut sets =
            Aliases { parent: (0..n).collect(), holds_constant: vec![false; n as usize], constants: Vec::new() };
        // The caller may have given one tensor twice.
        graph.inputs.windows(2).for_each(|pair| sets.join(pair[0], pair[1]));
        own::sharing(&graph.own).for_each(|(a, b)| sets.join(a, b));
        let mut may_be_list = vec![false; n as usize];
        graph.each_instr(&mut |instr| sets.read(graph, instr, &mut may_be_list));
        // A parent has the smaller number, so it knows its first slot by then.
        for slot in 0..n as usize {
            sets.parent[slot] = sets.parent[sets.parent[slot] as usize];
        }
        sets
    }

    /// The first slot of the set, which stands for it.
    pub fn set(&self, slot: Slot) -> Slot {
        Slot(self.parent[slot.0 as usize])
    }

    fn first(&mut self, slot: Slot) -> Slot {
        let mut at = slot.0 as usize;
        while self.parent[at] as usize != at {
            self.parent[at] = self.parent[self.parent[at] as usize];
            at = self.parent[at] as usize;
        }
        Slot(at as u32)
    }

    pub fn holds_constant(&self, slot: Slot) -> bool {
        self.holds_constant[self.set(slot).0 as usize]
    }

    fn join(&mut self, a: Slot, b: Slot) {
        let (a, b) = (self.first(a), self.first(b));
        let (first, second) = (a.0.min(b.0), a.0.max(b.0));
        self.parent[second as usize] = first;
        self.holds_constant[first as usize] |= self.holds_constant[second as usize];
    }

    fn read(&mut self, graph: &Graph, instr: &Instr, may_be_list: &mut [bool]) {
        let lists = instr.args.iter().any(|arg| arg.slot().is_some_and(|slot| may_be_list[slot.0 as usize]));
        if gives_lists(instr, lists) {
            instr.outs.iter().for_each(|slot| may_be_list[slot.0 as usize] = true);
        }
        let shared: &[Operand] = match &instr.kind {
            Kind::Op(row) => match (row.traits, ops::shares(row)) {
                (Traits::Effect | Traits::Picks, _) | (_, Shares::All) => &instr.args,
                (_, Shares::Items) if lists => &instr.args,
                (_, Shares::First) => instr.args.get(..1).unwrap_or_default(),
                (_, Shares::Nothing | Shares::Items) => &[],
            },
            Kind::InPlace(_) | Kind::Unpack => instr.args.get(..1).unwrap_or_default(),
            Kind::Move if instr.args.len() == instr.outs.len() => {
                for (&from, &to) in instr.args.iter().zip(&instr.outs) {
                    self.join_operand(graph, to, from);
                }
                return;
            }
            Kind::Move | Kind::Tuple | Kind::List | Kind::Dict => &instr.args,
            Kind::If(..) | Kind::While { .. } | Kind::For(_) | Kind::Raise(_) | Kind::Unknown => &[],
        };
        let Some((&first, more)) = instr.outs.split_first() else {
            // An effect without a result.
            let slots: Vec<Slot> = shared.iter().filter_map(|operand| operand.slot()).collect();
            return slots.windows(2).for_each(|pair| self.join(pair[0], pair[1]));
        };
        if !shared.is_empty() {
            more.iter().for_each(|&slot| self.join(first, slot));
        }
        shared.iter().for_each(|&operand| self.join_operand(graph, first, operand));
    }

    fn join_operand(&mut self, graph: &Graph, to: Slot, from: Operand) {
        match from {
            Operand::Slot(slot) => self.join(to, slot),
            Operand::Const(index) => {
                use Value::{Complex, Dict, List, Tensor, Tuple};
                let value = graph.consts.get(index as usize);
                if matches!(value, Some(Tensor(_) | Complex(_) | Tuple(_) | List(_) | Dict(_))) {
                    let set = self.first(to).0 as usize;
                    self.holds_constant[set] = true;
                    self.constants.push((to, index));
                }
            }
        }
    }
}

/// Whether a result may be a list, given whether an argument may be one.
fn gives_lists(instr: &Instr, lists: bool) -> bool {
    match &instr.kind {
        Kind::List | Kind::Unpack | Kind::Move => true,
        Kind::Op(row) if !matches!(row.traits, Traits::Pure | Traits::Draws) => row.name != "torch.select" || lists,
        Kind::Op(row) => {
            matches!(row.name, "torch.list" | "torch.values" | "torch.items")
                || (lists && ops::shares(row) != Shares::Nothing)
        }
        Kind::InPlace(_) => lists,
        _ => false,
    }
}

/// For each slot: whether some instruction may change what it stands for, so that it may not be read at another time.
pub fn changing(graph: &Graph) -> Vec<bool> {
    let n = graph.n_slots as usize;
    let (mut in_place, mut effects) = (Vec::new(), Vec::new());
    graph.each_instr(&mut |instr| {
        let target = instr.args.first().and_then(|arg| arg.slot());
        match &instr.kind {
            Kind::InPlace(_) => in_place.extend(target),
            Kind::Op(row) if row.traits == Traits::Effect => effects.extend(target),
            _ => {}
        }
    });
    if in_place.is_empty() && effects.is_empty() {
        return vec![false; n];
    }
    let sets = Aliases::of(graph);
    let mut of_set = vec![(false, false); n];
    in_place.iter().for_each(|&slot| of_set[sets.set(slot).0 as usize].0 = true);
    effects.iter().for_each(|&slot| of_set[sets.set(slot).0 as usize].1 = true);
    let mut is_tensor = vec![false; n];
    tensors(graph, &graph.body, &mut is_tensor);
    (0..n)
        .map(|slot| {
            let (in_place, effect) = of_set[sets.set(Slot(slot as u32)).0 as usize];
            // A list that takes a tensor does not change it.
            in_place || (effect && !is_tensor[slot])
        })
        .collect()
}

/// Marks what is a tensor for certain. A sum may be one of lists.
fn tensors(graph: &Graph, block: &Block, is_tensor: &mut [bool]) {
    for instr in block {
        let seen = view(graph, instr);
        let certain = matches!(
            seen,
            Some(
                View::Conv | View::Linear { .. } | View::BatchNorm { .. } | View::Activation(..) | View::Softmax { .. }
            )
        );
        if let (true, Kind::Op(_), [out]) = (certain, &instr.kind, &*instr.outs) {
            is_tensor[out.0 as usize] = true;
        }
    }
}
