//! `softmax(q @ kᵀ · scale + mask) @ v` is one operator. Keys and values that are joined for it alone, those of before and those
//! that are new, are not joined where the queries are few.

use super::fused;
use super::uses::Uses;
use super::view::{View, constant, number, view};
use crate::graph::{Fit, Graph, Kind, Operand};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let Some(found) = pattern(graph, &uses, at) else { continue };
        let read = [found.q, found.kt, found.v].into_iter().chain(found.mask);
        if read.into_iter().all(|operand| uses.is_fixed(graph, operand)) {
            let parts = found.parts(graph, &uses);
            let kind = fused::attention(graph, &found, parts);
            fused::put(graph, at, kind);
        }
    }
    super::dead::run(graph);
}

/// What is joined of two tensors.
#[derive(Clone, Copy)]
pub struct Pair {
    pub parts: [Operand; 2],
    pub axis: Operand,
}

/// Keys and values of before and new ones.
pub struct Grown {
    pub keys: Pair,
    pub values: Pair,
    /// How the joined keys are transposed: axes, as `Transpose` of ONNX has them, or two of them.
    pub turn: [Option<Operand>; 2],
}

pub struct Found {
    pub q: Operand,
    /// The keys, transposed already.
    pub kt: Operand,
    pub v: Operand,
    pub mask: Option<Operand>,
    pub scale: f64,
    pub axis: Operand,
}

impl Found {
    fn parts(&self, graph: &Graph, uses: &Uses) -> Option<Grown> {
        let turned = &graph.body[uses.own(self.kt)?];
        let (Kind::Op(row), Fit::Free) = (&turned.kind, turned.fit) else { return None };
        let (k, turn) = match (row.name, &*turned.args) {
            ("Transpose", &[k, axes]) => (k, [Some(axes), None]),
            ("torch.transpose", &[k, a, b]) => (k, [Some(a), Some(b)]),
            _ => return None,
        };
        if turn.iter().flatten().any(|operand| constant(graph, *operand).is_none_or(Value::is_none)) {
            return None;
        }
        Some(Grown { keys: pair(graph, uses, k)?, values: pair(graph, uses, self.v)?, turn })
    }
}

/// The two tensors whose join nobody else reads.
fn pair(graph: &Graph, uses: &Uses, joined: Operand) -> Option<Pair> {
    let at = uses.own(joined)?;
    let list = super::join::of_two(graph, uses, at)?;
    list.iter().all(|part| uses.is_fixed(graph, *part)).then_some(Pair { parts: list, axis: graph.body[at].args[1] })
}

fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Found> {
    let Some(View::MatMul(weights, v)) = view(graph, &graph.body[at]) else { return None };
    let Some(View::Softmax { x, axis }) = view(graph, &graph.body[uses.own(weights)?]) else { return None };
    let mut scores = uses.own(x)?;
    let mut mask = None;
    if let Some(View::Add(a, b)) = view(graph, &graph.body[scores]) {
        // The scores are a product or its scaling; the other side is the mask.
        let (of, other) = if is_scores(graph, uses, a) { (a, b) } else { (b, a) };
        mask = Some(other);
        scores = uses.own(of)?;
    }
    let mut scale = 1.0;
    match view(graph, &graph.body[scores])? {
        View::Div(x, by) => {
            scale = 1.0 / number(graph, by).filter(|by| *by != 0.0)?;
            scores = uses.own(x)?;
        }
        View::Mul(x, by) => {
            let (x, by) = if number(graph, by).is_some() { (x, by) } else { (by, x) };
            scale = number(graph, by)?;
            scores = uses.own(x)?;
        }
        _ => {}
    }
    let Some(View::MatMul(q, kt)) = view(graph, &graph.body[scores]) else { return None };
    Some(Found { q, kt, v, mask, scale, axis })
}

fn is_scores(graph: &Graph, uses: &Uses, operand: Operand) -> bool {
    let Some(at) = uses.own(operand) else { return false };
    match view(graph, &graph.body[at]) {
        Some(View::MatMul(..)) => true,
        Some(View::Div(x, _)) => {
            uses.own(x).is_some_and(|w| matches!(view(graph, &graph.body[w]), Some(View::MatMul(..))))
        }
        Some(View::Mul(a, b)) => [a, b]
            .into_iter()
            .any(|x| uses.own(x).is_some_and(|w| matches!(view(graph, &graph.body[w]), Some(View::MatMul(..))))),
        _ => false,
    }
}
