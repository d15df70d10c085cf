//! The last two axes exchanged by way of other shapes are a view. PyTorch's exporter writes attention's keys for ONNX so, as
//! `reshape(transpose(reshape(k, [-1, s, e]), [0, 2, 1]), [.., e, s])`, with sizes that it takes from `k`'s own shape.

use super::fused;
use super::uses::Uses;
use super::view::{constant, one_axis};
use crate::graph::{Fit, Graph, Kind, Operand};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let found = Find { graph, uses: &uses }.turned(at);
        if let Some(x) = found.filter(|&x| uses.is_fixed(graph, x)) {
            let kind = fused::turn(x);
            fused::put(graph, at, kind);
        }
    }
    super::dead::run(graph);
}

struct Find<'a> {
    graph: &'a Graph,
    uses: &'a Uses,
}

/// Sizes of a tensor's shape, counted from its end: all of them but some, the second last, or the last.
#[derive(Clone, Copy, PartialEq)]
enum Sizes {
    Lead,
    SecondLast,
    Last,
}

impl Find<'_> {
    /// What the instruction at `at` exchanges the last two axes of.
    fn turned(&self, at: usize) -> Option<Operand> {
        let [out, after] = self.op_at(at, "Reshape")?;
        let [flat, order] = self.op(out, "Transpose")?;
        let [x, before] = self.op(flat, "Reshape")?;
        let is_order = matches!(constant(self.graph, order), Some(Value::List(order))
            if matches!(order.items()[..], [Value::Int(0), Value::Int(2), Value::Int(1)]));
        let is_it = is_order && self.is_flat(before, x) && self.is_exchanged(after, x);
        is_it.then_some(x)
    }

    /// Whether `sizes` are `[-1, s, e]`.
    fn is_flat(&self, sizes: Operand, x: Operand) -> bool {
        let Some(&[lead, s, e]) = self.parts(sizes) else { return false };
        let is_open = one_axis(self.graph, lead) == Some(-1);
        is_open && self.sizes(s, x) == Some(Sizes::SecondLast) && self.sizes(e, x) == Some(Sizes::Last)
    }

    /// Whether `sizes` are `[.., e, s]`.
    fn is_exchanged(&self, sizes: Operand, x: Operand) -> bool {
        let all = [Sizes::Lead, Sizes::Last, Sizes::SecondLast].map(Some);
        self.parts(sizes).is_some_and(|parts| parts.iter().map(|&part| self.sizes(part, x)).eq(all))
    }

    /// What is joined to the sizes of a shape.
    fn parts(&self, sizes: Operand) -> Option<&[Operand]> {
        let [list, _] = self.op(sizes, "Concat")?;
        let made = &self.graph.body[self.uses.writer(list)?];
        matches!(made.kind, Kind::List).then_some(&made.args)
    }

    /// Which sizes of the shape of `x` these are.
    fn sizes(&self, part: Operand, x: Operand) -> Option<Sizes> {
        let [shape, from, to, more @ ..] = self.args(self.uses.writer(part)?, "Slice")? else { return None };
        let [of, ends @ ..] = self.args(self.uses.writer(*shape)?, "Shape")? else { return None };
        // The whole shape, and neither axes nor steps.
        let is_default = |&operand: &Operand| {
            constant(self.graph, operand)
                .is_some_and(|value| value.is_none() || value.scalar().is_some_and(|x| x.to_i64() == 0))
        };
        if *of != x || !ends.iter().all(is_default) || !more.iter().all(is_default) {
            return None;
        }
        match (one_axis(self.graph, *from)?, one_axis(self.graph, *to)?) {
            (i64::MIN, -2) | (0, -2) => Some(Sizes::Lead),
            (-2, -1) => Some(Sizes::SecondLast),
            (-1, i64::MAX) => Some(Sizes::Last),
            _ => None,
        }
    }

    /// The first two arguments of the operator that computes `operand`.
    fn op(&self, operand: Operand, name: &str) -> Option<[Operand; 2]> {
        self.op_at(self.uses.writer(operand)?, name)
    }

    fn op_at(&self, at: usize, name: &str) -> Option<[Operand; 2]> {
        self.args(at, name)?.first_chunk().copied()
    }

    fn args(&self, at: usize, name: &str) -> Option<&[Operand]> {
        let instr = &self.graph.body[at];
        let (Kind::Op(row), Fit::Free) = (&instr.kind, instr.fit) else { return None };
        (row.name == name && !fused::is_made_here(row)).then_some(&instr.args)
    }
}
