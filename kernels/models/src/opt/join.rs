//! Joins of joins are made in one go: what is stacked of what was joined, as caches of keys and values are, is copied once, not
//! once a level.

use super::fused;
use super::uses::Uses;
use super::view::{floats, one_axis};
use crate::graph::{Fit, Graph, Kind, Operand};
use crate::value::Value;

/// Levels that become one, at most.
const MAX_DEPTH: usize = 16;
/// Joins and tensors of one join, at most: a file may name the same join many times, each of whose parts is another.
const MAX_PARTS: usize = 1024;

pub fn run(graph: &mut Graph) {
    if graph.is_quantised {
        return;
    }
    let uses = Uses::of(graph);
    // The outermost first: it takes in the others.
    for at in (0..graph.body.len()).rev() {
        let Some((form, list)) = join(graph, &uses, at) else { continue };
        if graph.body[list].outs.iter().any(|&slot| uses.n_reads(slot) != 1) {
            continue;
        }
        let mut parts = Parts { graph, uses: &uses, operands: Vec::new(), n_seen: 0, n_joins: 0 };
        let Some(how) = parts.of_list(form, list, 0).filter(|_| parts.n_joins > 0) else { continue };
        let operands = parts.operands;
        let Some(kind) = fused::join(graph, at, how) else { continue };
        graph.body[list].args = operands.into();
        fused::put(graph, at, kind);
    }
    super::dead::run(graph);
}

#[derive(Clone, Copy)]
struct Form {
    is_stack: bool,
    axis: i64,
}

/// What the instruction at `at` does and where its list is made, when it joins tensors that stay as they are along a
/// constant axis.
fn join(graph: &Graph, uses: &Uses, at: usize) -> Option<(Form, usize)> {
    let instr = &graph.body[at];
    let (Kind::Op(row), Fit::Free, [list, axis]) = (&instr.kind, instr.fit, &*instr.args) else { return None };
    let is_stack = match row.name {
        "Concat" | "torch.cat" | "torch.concat" | "torch.concatenate" => false,
        "torch.stack" => true,
        _ => return None,
    };
    let axis = one_axis(graph, *axis)?;
    let list = uses.writer(*list)?;
    let made = &graph.body[list];
    let is_list = matches!(made.kind, Kind::List | Kind::Tuple) && made.args.iter().all(|&x| uses.is_fixed(graph, x));
    is_list.then_some((Form { is_stack, axis }, list))
}

/// The two tensors that the instruction at `at` joins one after the other, along the constant axis that is its second
/// argument.
pub fn of_two(graph: &Graph, uses: &Uses, at: usize) -> Option<[Operand; 2]> {
    let (form, list) = join(graph, uses, at)?;
    let parts = <[Operand; 2]>::try_from(&*graph.body[list].args).ok()?;
    (!form.is_stack).then(|| parts.map(|part| lone(graph, uses, part)))
}

/// What is joined to nothing: PyTorch passes over tensors of shape `[0]`, with which its caches of keys and values begin.
fn lone(graph: &Graph, uses: &Uses, operand: Operand) -> Operand {
    let joined = || {
        let at = uses.writer(operand)?;
        let (_, list) = join(graph, uses, at)?;
        let is_cat = matches!(&graph.body[at].kind, Kind::Op(row) if row.name.starts_with("torch.c"));
        match *graph.body[list].args {
            [nothing, x] if is_cat && floats(graph, nothing).is_some_and(|t| t.shape() == [0]) => Some(x),
            _ => None,
        }
    };
    joined().unwrap_or(operand)
}

struct Parts<'a> {
    graph: &'a Graph,
    uses: &'a Uses,
    operands: Vec<Operand>,
    /// Joins and tensors.
    n_seen: usize,
    n_joins: usize,
}

impl Parts<'_> {
    /// The join of a list as [`fused::join`] takes it; `None` when it has too many parts.
    fn of_list(&mut self, form: Form, list: usize, depth: usize) -> Option<Value> {
        let mut items = vec![Value::Bool(form.is_stack), Value::Int(form.axis)];
        for &operand in &*self.graph.body[list].args {
            items.push(self.part(operand, depth + 1)?);
        }
        Value::tuple(items).ok()
    }

    fn part(&mut self, operand: Operand, depth: usize) -> Option<Value> {
        self.n_seen += 1;
        if self.n_seen > MAX_PARTS {
            return None;
        }
        if let Some(at) = self.uses.writer(operand).filter(|_| depth < MAX_DEPTH) {
            if let Some((form, list)) = join(self.graph, self.uses, at) {
                // What is nothing but another tensor is better read as that one.
                self.n_joins += usize::from(lone(self.graph, self.uses, operand) == operand);
                return self.of_list(form, list, depth);
            }
            if let Some((x, axis)) = self.unsqueezed(at) {
                return Value::tuple(vec![Value::Bool(true), Value::Int(axis), self.part(x, depth + 1)?]).ok();
            }
        }
        self.operands.push(operand);
        Some(Value::None)
    }

    /// A tensor with one more axis is a stack of one.
    fn unsqueezed(&self, at: usize) -> Option<(Operand, i64)> {
        let instr = &self.graph.body[at];
        let (Kind::Op(row), Fit::Free, [x, axis]) = (&instr.kind, instr.fit, &*instr.args) else { return None };
        let is_it = matches!(row.name, "Unsqueeze" | "torch.unsqueeze") && self.uses.is_fixed(self.graph, *x);
        is_it.then_some((*x, one_axis(self.graph, *axis)?))
    }
}
