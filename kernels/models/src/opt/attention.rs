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
    /// Weights that are NaN are 0.
    pub hides_nan: bool,
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
    Some(Pair { parts: super::join::of_two(graph, uses, at)?, axis: graph.body[at].args[1] })
}

fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Found> {
    let Some(View::MatMul(weights, v)) = view(graph, &graph.body[at]) else { return None };
    let (softmax, hides_nan) = softmax(graph, uses, weights)?;
    let Some(View::Softmax { x, axis }) = view(graph, &graph.body[softmax]) else { return None };
    let mut scores = uses.own(x)?;
    let mut mask = None;
    if let Some(View::Add(a, b)) = view(graph, &graph.body[scores]) {
        // The scores are a product or its scaling; the other side is the mask.
        let (of, other) = if is_scores(graph, uses, a) { (a, b) } else { (b, a) };
        mask = Some(other);
        scores = uses.own(of)?;
    }
    let out = Operand::Slot(*graph.body[scores].outs.first()?);
    let (product, scale) = match view(graph, &graph.body[scores])? {
        View::MatMul(..) => (out, 1.0),
        by => scaling(graph, by)?,
    };
    let Some(View::MatMul(q, kt)) = view(graph, &graph.body[uses.writer(product)?]) else { return None };
    if product != out {
        uses.own(product)?;
    }
    // Exporters scale queries and keys before they multiply them.
    let [(q, of_q), (kt, of_kt)] = [q, kt].map(|x| {
        let scaled = uses.own(x).and_then(|at| scaling(graph, view(graph, &graph.body[at])?));
        scaled.unwrap_or((x, 1.0))
    });
    Some(Found { q, kt, v, mask, scale: scale * of_q * of_kt, axis, hides_nan })
}

/// What is scaled, and by which number.
fn scaling(graph: &Graph, by: View) -> Option<(Operand, f64)> {
    match by {
        View::Div(x, by) => Some((x, 1.0 / number(graph, by).filter(|by| *by != 0.0)?)),
        View::Mul(x, by) => match (number(graph, by), number(graph, x)) {
            (Some(by), _) => Some((x, by)),
            (None, of) => Some((by, of?)),
        },
        _ => None,
    }
}

/// Where the weights are computed, and whether 0 stands for those that are NaN, as PyTorch's exporter writes attention for ONNX.
fn softmax(graph: &Graph, uses: &Uses, weights: Operand) -> Option<(usize, bool)> {
    let at = uses.own(weights)?;
    let Some(View::Where(is_nan, zero, plain)) = view(graph, &graph.body[at]) else { return Some((at, false)) };
    let Some(View::IsNan(of)) = view(graph, &graph.body[uses.own(is_nan)?]) else { return None };
    let reads_twice = plain.slot().is_some_and(|slot| uses.n_reads(slot) == 2);
    let is_it = of == plain && reads_twice && number(graph, zero) == Some(0.0);
    uses.writer(plain).filter(|_| is_it).map(|at| (at, true))
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
