//! In-place operators become plain ones wherever nobody can tell: `relu_` and its like on a value with storage of its
//! own, whose other views nobody reads any more. What reads the value itself later reads the result instead.

use std::collections::HashMap;

use super::alias::Aliases;
use super::fold::{replace, writes};
use super::view::{self, View, constant};
use crate::graph::{Fit, Graph, Instr, Kind, Operand, Slot};
use crate::ops;
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let mut any = false;
    graph.each_instr(&mut |instr| any |= matches!(instr.kind, Kind::InPlace(_)));
    if any {
        drop_identities(graph);
        Plain::of(graph).run(graph);
    }
}

/// Dropout in place changes nothing when the model is not trained, and hides what comes after it.
fn drop_identities(graph: &mut Graph) {
    let mut n_writes = writes(graph);
    graph.each_instr(&mut |instr| {
        // One that turns its axes stands for another tensor afterwards.
        if let (Kind::InPlace(row), Some(Operand::Slot(slot))) = (&instr.kind, instr.args.first())
            && ops::is_reshaping(row)
        {
            n_writes[slot.0 as usize] += 1;
        }
    });
    let once = |operand: Operand| operand.slot().is_none_or(|slot| n_writes[slot.0 as usize] == 1);
    let mut known: Vec<Option<Operand>> = vec![None; graph.n_slots as usize];
    let mut kept = Vec::with_capacity(graph.body.len());
    for mut instr in std::mem::take(&mut graph.body) {
        replace(&mut instr, &known);
        match (&*instr.outs, instr.args.first()) {
            (&[out], Some(&same)) if view::is_same(graph, &instr) && once(same) && once(Operand::Slot(out)) => {
                known[out.0 as usize] = Some(same);
            }
            _ => kept.push(instr),
        }
    }
    graph.body = kept;
    if let Operand::Slot(slot) = graph.output {
        graph.output = known[slot.0 as usize].unwrap_or(graph.output);
    }
}

/// When slots are written and read, by the place in the outermost block; what inner blocks read is read by the
/// instruction that holds them.
struct Plain {
    aliases: Aliases,
    /// Members of each set, by its first slot.
    members: Vec<Vec<Slot>>,
    /// Inputs are written before the first instruction. `None`: written more than once, or by an inner block.
    written: Vec<Option<usize>>,
    /// One past the last reader.
    read_until: Vec<usize>,
    /// How many slots may still be looked at: a file may not make us look at all of them for each.
    budget: usize,
    /// The slots that now read another one, by that one.
    names: HashMap<Slot, Vec<Slot>>,
}

const MAX_LOOK: usize = 10_000_000;

impl Plain {
    fn of(graph: &Graph) -> Plain {
        let n = graph.n_slots as usize;
        let aliases = Aliases::of(graph);
        let mut members = vec![Vec::new(); n];
        for slot in (0..graph.n_slots).map(Slot) {
            members[aliases.set(slot).0 as usize].push(slot);
        }
        let n_writes = writes(graph);
        let mut written = vec![None; n];
        let given = graph.inputs.iter().chain(graph.own.iter().map(|(slot, _)| slot));
        for &slot in given.filter(|slot| n_writes[slot.0 as usize] == 1) {
            written[slot.0 as usize] = Some(0);
        }
        let mut read_until = vec![0; n];
        for (at, instr) in graph.body.iter().enumerate() {
            for slot in instr.outs.iter().filter(|slot| n_writes[slot.0 as usize] == 1) {
                written[slot.0 as usize] = Some(at);
            }
            each_read(instr, &mut |slot| read_until[slot.0 as usize] = at + 1);
        }
        // What nobody writes is no obstacle.
        for slot in (0..n).filter(|&slot| n_writes[slot] == 0) {
            written[slot] = Some(0);
        }
        if let Operand::Slot(slot) = graph.output {
            read_until[slot.0 as usize] = usize::MAX;
        }
        Plain { aliases, members, written, read_until, budget: MAX_LOOK, names: HashMap::new() }
    }

    fn run(mut self, graph: &mut Graph) {
        // What stands for a slot from here on.
        let mut known: Vec<Option<Operand>> = vec![None; graph.n_slots as usize];
        for at in 0..graph.body.len() {
            replace(&mut graph.body[at], &known);
            let Some((target, out)) = self.plain(graph, at) else { continue };
            let Kind::InPlace(row) = graph.body[at].kind else { continue };
            graph.body[at].kind = Kind::Op(row);
            graph.body[at].fit = match ops::is_reshaping(row) || keeps_type(graph, &graph.body[at]) {
                true => Fit::Free,
                false => Fit::Whole,
            };
            let later = self.read_until[target.0 as usize];
            if later > at + 1 {
                self.read_until[out.0 as usize] = self.read_until[out.0 as usize].max(later);
                self.read_until[target.0 as usize] = at + 1;
            }
            let mut names = self.names.remove(&target).unwrap_or_default();
            names.push(target);
            names.iter().for_each(|name| known[name.0 as usize] = Some(Operand::Slot(out)));
            self.budget = self.budget.saturating_sub(names.len());
            self.names.insert(out, names);
        }
        if let Operand::Slot(slot) = graph.output {
            graph.output = known[slot.0 as usize].unwrap_or(graph.output);
        }
    }

    /// Target and result of the in-place operator at `at`, when nobody can tell it from a plain one.
    fn plain(&mut self, graph: &Graph, at: usize) -> Option<(Slot, Slot)> {
        let instr = &graph.body[at];
        let Kind::InPlace(row) = instr.kind else { return None };
        let (Some(&Operand::Slot(target)), &[out]) = (instr.args.first(), &*instr.outs) else { return None };
        let once = |slot: Slot| self.written[slot.0 as usize].is_some();
        // What `copy_` gives may be a view of what it copies.
        if row.name == "torch.copy" || !once(target) || !once(out) {
            return None;
        }
        // Other names of the storage see nothing of new axes.
        if ops::is_reshaping(row) {
            return Some((target, out));
        }
        if self.aliases.holds_constant(target) {
            return None;
        }
        let unseen = |slot: Slot| {
            let made = self.written[slot.0 as usize];
            slot == target || made.is_some_and(|made| made >= at || self.read_until[slot.0 as usize] <= at + 1)
        };
        let members = &self.members[self.aliases.set(target).0 as usize];
        self.budget = self.budget.checked_sub(members.len())?;
        members.iter().all(|&slot| unseen(slot)).then_some((target, out))
    }
}

/// Calls `read` for each slot that `instr` and its inner blocks read.
fn each_read(instr: &Instr, read: &mut dyn FnMut(Slot)) {
    instr.args.iter().filter_map(|arg| arg.slot()).for_each(&mut *read);
    if let Kind::While { cond, .. } = &instr.kind {
        cond.slot().into_iter().for_each(&mut *read);
    }
    for inner in instr.blocks().flatten() {
        each_read(inner, read);
    }
}

/// Whether the result has the type and shape of the first argument whatever that is, where PyTorch allows it in place.
fn keeps_type(graph: &Graph, instr: &Instr) -> bool {
    let is_number =
        |operand: Operand| matches!(constant(graph, operand), Some(Value::Int(_) | Value::Float(_) | Value::Bool(_)));
    match view::view(graph, instr) {
        Some(View::Activation(..)) => true,
        Some(View::Add(_, b) | View::Sub(_, b) | View::Mul(_, b) | View::Div(_, b)) => is_number(b),
        _ => false,
    }
}
