//! `softmax(q @ kᵀ · scale + mask) @ v` is one operator, as is a mask that puts -∞ in the place of scores. Keys and values that are joined for it alone, those of before and those
//! that are new, are not joined where the queries are few.

use super::fused::{self, Fused};
use super::uses::Uses;
use super::view::{View, constant, number, view};
use crate::graph::{Fit, Graph, Instr, Kind, Operand};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        if let Some(kind) = torch_pattern(graph, &uses, at) {
            fused::put(graph, at, kind);
        }
        let Some(found) = pattern(graph, &uses, at) else { continue };
        let read = [found.q, found.kt, found.v].into_iter().chain(found.mask.map(|(_, mask)| mask));
        if read.into_iter().all(|operand| uses.is_fixed(graph, operand)) {
            let parts = found.parts(graph, &uses);
            if let Some(kind) = fused::attention(graph, &found, parts) {
                fused::put(graph, at, kind);
            }
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
    /// How the joined keys are transposed: axes, as `Transpose` of ONNX has them, or two of them; the last two where none are said.
    pub turn: [Option<Operand>; 2],
}

pub struct Found {
    pub q: Operand,
    /// The keys, transposed already.
    pub kt: Operand,
    pub v: Operand,
    pub mask: Option<(Mask, Operand)>,
    pub axis: Operand,
    pub how: Weighing,
}

/// How scores become weights.
#[derive(Clone, Copy)]
pub struct Weighing {
    pub scale: f64,
    /// Scores become `Float32` before their softmax.
    pub is_wide: bool,
    /// Weights become of the scores' type again.
    pub narrows: bool,
    /// Weights that are NaN are 0.
    pub hides_nan: bool,
}

/// What a mask says of a score.
#[derive(Clone, Copy, PartialEq)]
pub enum Mask {
    /// It is added.
    Added,
    /// Where it is true the score is -∞.
    Hides,
    /// Where it is false the score is -∞.
    Shows,
}

impl Found {
    fn parts(&self, graph: &Graph, uses: &Uses) -> Option<Grown> {
        let turned = &graph.body[uses.own(self.kt)?];
        let values = pair(graph, uses, self.v)?;
        if let Some(k) = fused::turned(turned) {
            return Some(Grown { keys: pair(graph, uses, k)?, values, turn: [None; 2] });
        }
        let (Kind::Op(row), Fit::Free) = (&turned.kind, turned.fit) else { return None };
        let (k, turn) = match (row.name, &*turned.args) {
            ("Transpose", &[k, axes]) => (k, [Some(axes), None]),
            ("torch.transpose", &[k, a, b]) => (k, [Some(a), Some(b)]),
            _ => return None,
        };
        if turn.iter().flatten().any(|operand| constant(graph, *operand).is_none_or(Value::is_none)) {
            return None;
        }
        Some(Grown { keys: pair(graph, uses, k)?, values, turn })
    }
}

/// Attention of PyTorch, of joined keys and values.
fn torch_pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Fused> {
    let Instr { kind: Kind::Op(row), args, fit: Fit::Free, .. } = &graph.body[at] else { return None };
    let is_it = row.name == "torch.scaled_dot_product_attention"
        && args.len() == 8
        && !fused::is_made_here(row)
        && args.iter().all(|&operand| uses.is_fixed(graph, operand));
    if !is_it {
        return None;
    }
    Some(fused::torch_attention(args, pair(graph, uses, args[1])?, pair(graph, uses, args[2])?))
}

/// The two tensors whose join nobody else reads.
fn pair(graph: &Graph, uses: &Uses, joined: Operand) -> Option<Pair> {
    let mut at = uses.own(joined)?;
    // Another layout of the same numbers.
    if let Instr { kind: Kind::Op(row), args, fit: Fit::Free, .. } = &graph.body[at]
        && row.name == "torch.contiguous"
    {
        at = uses.own(*args.first()?)?;
    }
    Some(Pair { parts: super::join::of_two(graph, uses, at)?, axis: graph.body[at].args[1] })
}

fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Found> {
    let own = |operand: Operand| view(graph, &graph.body[uses.own(operand)?]);
    let View::MatMul(weights, v) = view(graph, &graph.body[at])? else { return None };
    let Weighed { scores, axis, mut how } = weighed(graph, uses, weights)?;
    // The scores are a product or its scaling; what else is added, or put in their place, is the mask.
    let (scores, mask) = match view(graph, &graph.body[scores])? {
        View::Add(a, b) if is_scores(graph, uses, a) => (uses.own(a)?, Some((Mask::Added, b))),
        View::Add(a, b) => (uses.own(b)?, Some((Mask::Added, a))),
        View::Filled { x, mask, value } if is_hidden(graph, value) => (uses.own(x)?, Some((Mask::Hides, mask))),
        View::Where(mask, value, x) if is_hidden(graph, value) => (uses.own(x)?, Some((Mask::Hides, mask))),
        View::Where(mask, x, value) if is_hidden(graph, value) => (uses.own(x)?, Some((Mask::Shows, mask))),
        _ => (scores, None),
    };
    let out = Operand::Slot(*graph.body[scores].outs.first()?);
    let (product, scale) = match view(graph, &graph.body[scores])? {
        View::MatMul(..) => (out, 1.0),
        by => scaling(graph, by)?,
    };
    let View::MatMul(q, kt) = view(graph, &graph.body[uses.writer(product)?])? else { return None };
    if product != out {
        uses.own(product)?;
    }
    // Exporters scale queries and keys before they multiply them.
    let [(q, of_q), (kt, of_kt)] = [q, kt].map(|x| own(x).and_then(|by| scaling(graph, by)).unwrap_or((x, 1.0)));
    how.scale = scale * of_q * of_kt;
    Some(Found { q, kt, v, mask, axis, how })
}

fn is_hidden(graph: &Graph, value: Operand) -> bool {
    number(graph, value) == Some(f64::NEG_INFINITY)
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

/// Scores and what makes weights of them.
struct Weighed {
    /// Where they are computed.
    scores: usize,
    axis: Operand,
    how: Weighing,
}

/// What computes `weights`, which nobody else reads.
fn weighed(graph: &Graph, uses: &Uses, mut weights: Operand) -> Option<Weighed> {
    let own = |operand: Operand| view(graph, &graph.body[uses.own(operand)?]);
    let mut how = Weighing { scale: 1.0, is_wide: false, narrows: false, hides_nan: false };
    let mut n_reads = 1;
    // As PyTorch's exporter writes attention for ONNX: 0 stands for weights that are NaN.
    if let Some(View::Where(is_nan, zero, plain)) = own(weights) {
        let View::IsNan(of) = own(is_nan)? else { return None };
        if of != plain || number(graph, zero) != Some(0.0) {
            return None;
        }
        (weights, n_reads, how.hides_nan) = (plain, 2, true);
    }
    let read = |operand: Operand, n_reads: u32| {
        uses.writer(operand).filter(|_| operand.slot().is_some_and(|slot| uses.n_reads(slot) == n_reads))
    };
    let mut at = read(weights, n_reads)?;
    // As models do whose scores have few bits: the softmax is of `Float32`, and its result has their type again.
    let (mut stays_wide, mut like) = (false, None);
    match view(graph, &graph.body[at])? {
        View::Wide(x) => (at, stays_wide) = (uses.own(x)?, true),
        View::Like(x, scores) => (at, like) = (uses.own(x)?, Some(scores)),
        _ => {}
    }
    let View::Softmax { mut x, axis, is_wide } = view(graph, &graph.body[at])? else { return None };
    how.is_wide = is_wide;
    if let Some(View::Wide(scores)) = own(x) {
        (x, how.is_wide) = (scores, true);
    }
    how.narrows = like.is_some();
    let is_it = like.is_none_or(|like| like == x) && (how.is_wide || !stays_wide);
    let scores = read(x, 1 + u32::from(how.narrows)).filter(|_| is_it)?;
    Some(Weighed { scores, axis, how })
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
