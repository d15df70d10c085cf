//! A number times a gate of itself is one operator: `x · sigmoid(x)` is SiLU, `x · hardsigmoid(x)` hard swish, also as
//! `x · clip(x + 3, 0, 6) / 6`, and `x · tanh(softplus(x))` Mish. Files of ONNX have them so.

use stark_kernels::cpu::activation::Activation;

use super::fused;
use super::uses::Uses;
use super::view::{Find, View, view};
use crate::graph::{Graph, Operand};

/// How exact the constants of a pattern are: files store them as `Float32`.
const CLOSE: f64 = f32::EPSILON as f64;

/// What is found.
enum Gated {
    By(Activation),
    Mish,
}

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let Some((x, gated)) = pattern(graph, &uses, at) else { continue };
        if !uses.is_fixed(graph, x) {
            continue;
        }
        let kind = match gated {
            Gated::By(activation) => fused::activation(graph, x, activation),
            Gated::Mish => fused::mish(x),
        };
        fused::put(graph, at, kind);
    }
    super::dead::run(graph);
}

/// The argument and the form of what ends at `at`.
fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<(Operand, Gated)> {
    let find = Find { graph, uses, close: CLOSE };
    let (x, gated) = match view(graph, &graph.body[at])? {
        View::Mul(a, b) => find.product(a, b).or_else(|| {
            // A sixth of a product.
            find.beside(a, b, 1.0 / 6.0).and_then(|whole| find.clipped_product(whole))
        }),
        View::Div(whole, by) if find.near(by, 6.0) => find.clipped_product(whole),
        _ => None,
    }?;
    // A constant may have another type, which the gate alone takes on.
    x.slot().is_some().then_some((x, gated))
}

impl Find<'_> {
    fn product(&self, a: Operand, b: Operand) -> Option<(Operand, Gated)> {
        [(a, b), (b, a)].into_iter().find_map(|(x, gate)| Some((x, self.gate(gate, x)?)))
    }

    fn gate(&self, gate: Operand, x: Operand) -> Option<Gated> {
        match self.own(gate)? {
            View::Activation(of, Activation::Sigmoid) => (of == x).then_some(Gated::By(Activation::Silu)),
            View::Activation(of, Activation::HardSigmoid) => (of == x).then_some(Gated::By(Activation::HardSwish)),
            View::Activation(of, Activation::Tanh) => match self.own(of)? {
                View::Softplus(of) => (of == x).then_some(Gated::Mish),
                _ => None,
            },
            View::Div(clipped, by) if self.near(by, 6.0) => self.clipped(clipped, x),
            View::Mul(a, b) => self.clipped(self.beside(a, b, 1.0 / 6.0)?, x),
            _ => None,
        }
    }

    /// `clip(x + 3, 0, 6)`.
    fn clipped(&self, operand: Operand, x: Operand) -> Option<Gated> {
        let Some(View::Activation(sum, Activation::Relu6)) = self.own(operand) else { return None };
        let Some(View::Add(a, b)) = self.own(sum) else { return None };
        (self.beside(a, b, 3.0)? == x).then_some(Gated::By(Activation::HardSwish))
    }

    fn clipped_product(&self, operand: Operand) -> Option<(Operand, Gated)> {
        let Some(View::Mul(a, b)) = self.own(operand) else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(x, clipped)| Some((x, self.clipped(clipped, x)?)))
    }
}
