//! `x · 0.5 · (1 + erf(x / √2))`, with its factors in any order, is one operator.

use stark_kernels::cpu::activation::Activation;

use super::fused;
use super::uses::Uses;
use super::view::{View, number, view};
use crate::graph::{Graph, Operand};

/// How exact the constants of a pattern are: files store them as `Float32`.
const CLOSE: f64 = 1e-5;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        if let Some(x) = pattern(graph, &uses, at).filter(|&x| uses.is_fixed(graph, x)) {
            let kind = fused::activation(graph, x, Activation::Gelu);
            fused::put(graph, at, kind);
        }
    }
    super::dead::run(graph);
}

/// The argument of the GELU that ends at `at`.
fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<Operand> {
    let Some(View::Mul(a, b)) = view(graph, &graph.body[at]) else { return None };
    let mut factors = Vec::new();
    for side in [a, b] {
        match uses.own(side).and_then(|w| view(graph, &graph.body[w])) {
            Some(View::Mul(c, d)) => factors.extend([c, d]),
            _ => factors.push(side),
        }
    }
    if factors.len() != 3 {
        return None;
    }
    let near = |operand: Operand, want: f64| number(graph, operand).is_some_and(|x| (x - want).abs() < CLOSE);
    let half = factors.iter().position(|&f| near(f, 0.5))?;
    factors.remove(half);
    let erf_of = |operand: Operand| -> Option<Operand> {
        let Some(View::Add(a, b)) = view(graph, &graph.body[uses.own(operand)?]) else { return None };
        let erf = if near(b, 1.0) {
            a
        } else if near(a, 1.0) {
            b
        } else {
            return None;
        };
        let Some(View::Erf(scaled)) = view(graph, &graph.body[uses.own(erf)?]) else { return None };
        match view(graph, &graph.body[uses.own(scaled)?])? {
            View::Div(x, by) if near(by, std::f64::consts::SQRT_2) => Some(x),
            View::Mul(x, by) if near(by, std::f64::consts::FRAC_1_SQRT_2) => Some(x),
            View::Mul(by, x) if near(by, std::f64::consts::FRAC_1_SQRT_2) => Some(x),
            _ => None,
        }
    };
    let (one, two) = (factors[0], factors[1]);
    [(one, two), (two, one)].into_iter().find(|&(x, gate)| erf_of(gate) == Some(x)).map(|(x, _)| x)
}
