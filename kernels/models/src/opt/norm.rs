//! Layer norm and RMS norm spelled out, over the last axis, are one operator:
//! `d / √(mean(d²) + eps) · weight + bias`, where `d` is `x - mean(x)`, or `x` itself.

use super::fused;
use super::uses::Uses;
use super::view::{View, floats, number, view};
use crate::graph::{Graph, Operand};

/// What a pattern says.
#[derive(Clone, Copy)]
pub struct Norm {
    pub x: Operand,
    /// The axis of the means as the file has it. Whether it is the last one is known when the model runs.
    pub axis: i64,
    pub eps: f64,
    /// Layer norm.
    pub is_centred: bool,
    pub weight: Option<Operand>,
    pub bias: Option<Operand>,
}

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let Some(norm) = pattern(graph, &uses, at).filter(|norm| uses.is_fixed(graph, norm.x)) else { continue };
        let (last, norm) = scaled(graph, &uses, at, norm);
        let kind = fused::norm(graph, &norm);
        fused::put(graph, last, kind);
    }
    super::dead::run(graph);
}

/// The norm without weight and bias whose result the instruction at `at` gives.
fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Norm> {
    let seen = |operand: Operand| view(graph, &graph.body[uses.writer(operand)?]);
    // `√` below, or `1/√` beside.
    let root = |operand: Operand, is_inverse: bool| match (seen(operand)?, is_inverse) {
        (View::Sqrt(of), false) | (View::Rsqrt(of), true) => Some(of),
        (View::Reciprocal(root), true) => match seen(root)? {
            View::Sqrt(of) => Some(of),
            _ => None,
        },
        (View::Div(one, root), true) if number(graph, one) == Some(1.0) => match seen(root)? {
            View::Sqrt(of) => Some(of),
            _ => None,
        },
        _ => None,
    };
    let (d, below) = match view(graph, &graph.body[at])? {
        View::Div(d, by) => (d, root(by, false)?),
        View::Mul(a, b) => match (root(b, true), root(a, true)) {
            (Some(of), _) => (a, of),
            (None, of) => (b, of?),
        },
        _ => return None,
    };
    let View::Add(a, b) = seen(below)? else { return None };
    let (square, eps) = match (number(graph, b), number(graph, a)) {
        (Some(eps), _) => (a, eps),
        (None, eps) => (b, eps?),
    };
    let View::Mean { x: squared, axis } = seen(square)? else { return None };
    let is_square = match seen(squared)? {
        View::Pow(base, two) => base == d && number(graph, two) == Some(2.0),
        View::Mul(a, b) => a == d && b == d,
        _ => false,
    };
    if !is_square {
        return None;
    }
    let norm = Norm { x: d, axis, eps, is_centred: false, weight: None, bias: None };
    if let Some(View::Sub(x, mean)) = seen(d)
        && let Some(View::Mean { x: of, axis: mean_axis }) = seen(mean)
        && of == x
        && mean_axis == axis
    {
        return Some(Norm { x, is_centred: true, ..norm });
    }
    Some(norm)
}

/// With the weight and the bias that follow, and where they do.
fn scaled(graph: &Graph, uses: &Uses, at: usize, norm: Norm) -> (usize, Norm) {
    let is_row = |operand: Operand| floats(graph, operand).is_some_and(|t| t.rank() == 1);
    let beside = |at: usize, a: Operand, b: Operand| {
        let out = Operand::Slot(graph.body[at].outs[0]);
        let other = if a == out { b } else { a };
        is_row(other).then_some(other)
    };
    let follows = |at: usize| {
        let reader = uses.only_reader(&graph.body[at])?;
        Some((reader, view(graph, &graph.body[reader])?))
    };
    let Some((weighted, View::Mul(a, b))) = follows(at) else { return (at, norm) };
    let Some(weight) = beside(at, a, b) else { return (at, norm) };
    let norm = Norm { weight: Some(weight), ..norm };
    match follows(weighted) {
        Some((biased, View::Add(a, b))) if norm.is_centred => match beside(weighted, a, b) {
            Some(bias) => (biased, Norm { bias: Some(bias), ..norm }),
            None => (weighted, norm),
        },
        _ => (weighted, norm),
    }
}
