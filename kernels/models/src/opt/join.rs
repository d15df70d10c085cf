//! Joins of joins are made in one go: what is stacked of what was joined, as caches of keys and values are, is copied once, not
//! once a level.

use super::fused;
use super::uses::Uses;
use super::view::one_axis;
use crate::graph::{Fit, Graph, Kind, Operand};
use crate::value::Value;

/// Levels that become one, at most,
const MAX_DEPTH: usize = 16;
/// and tensors.
const MAX_PARTS: usize = 4096;

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
        let mut parts = Parts { graph, uses: &uses, operands: Vec::new(), n_joins: 0 };
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

/// What the instruction at `at` does and where its list is made, when it joins the tensors of one along a constant axis.
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
    matches!(graph.body[list].kind, Kind::List | Kind::Tuple).then_some((Form { is_stack, axis }, list))
}

/// The two tensors that the instruction at `at` joins one after the other, along the constant axis that is its second
/// argument.
pub fn of_two(graph: &Graph, uses: &Uses, at: usize) -> Option<[Operand; 2]> {
    let (form, list) = join(graph, uses, at)?;
    let parts = <[Operand; 2]>::try_from(&*graph.body[list].args).ok()?;
    (!form.is_stack).then_some(parts)
}

struct Parts<'a> {
    graph: &'a Graph,
    uses: &'a Uses,
    operands: Vec<Operand>,
    n_joins: usize,
}

impl Parts<'_> {
    /// The join of a list as [`fused::join`] takes it; `None` when it cannot be made later.
    fn of_list(&mut self, form: Form, list: usize, depth: usize) -> Option<Value> {
        let mut items = vec![Value::Bool(form.is_stack), Value::Int(form.axis)];
        for &operand in &*self.graph.body[list].args {
            items.push(self.part(operand, depth + 1)?);
        }
        Value::tuple(items).ok()
    }

    fn part(&mut self, operand: Operand, depth: usize) -> Option<Value> {
        if !self.uses.is_fixed(self.graph, operand) || self.operands.len() >= MAX_PARTS {
            return None;
        }
        let n = (self.operands.len(), self.n_joins);
        if let Some(at) = self.uses.writer(operand).filter(|_| depth < MAX_DEPTH) {
            let inner = match (join(self.graph, self.uses, at), self.unsqueezed(at)) {
                (Some((form, list)), _) => {
                    self.n_joins += 1;
                    self.of_list(form, list, depth)
                }
                (None, Some((x, axis))) => self
                    .part(x, depth + 1)
                    .and_then(|part| Value::tuple(vec![Value::Bool(true), Value::Int(axis), part]).ok()),
                (None, None) => None,
            };
            if inner.is_some() {
                return inner;
            }
            // It is made where the file has it.
            self.operands.truncate(n.0);
            self.n_joins = n.1;
        }
        self.operands.push(operand);
        Some(Value::None)
    }

    /// A tensor with one more axis is a stack of one.
    fn unsqueezed(&self, at: usize) -> Option<(Operand, i64)> {
        let instr = &self.graph.body[at];
        let (Kind::Op(row), Fit::Free, [x, axis]) = (&instr.kind, instr.fit, &*instr.args) else { return None };
        matches!(row.name, "Unsqueeze" | "torch.unsqueeze").then_some((*x, one_axis(self.graph, *axis)?))
    }
}
