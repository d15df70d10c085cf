//! `x · 0.5 · (1 + erf(x / √2))`, and `x · 0.5 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`, with their factors in any order,
//! are one operator.

use stark_kernels::cpu::activation::Activation;

use super::fused;
use super::uses::Uses;
use super::view::{Find, View, number, view};
use crate::graph::{Graph, Operand};

/// How exact the constants of a pattern are: files store them as `Float32`.
const CLOSE: f64 = 1e-5;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        if let Some((x, form)) = pattern(graph, &uses, at).filter(|&(x, _)| uses.is_fixed(graph, x)) {
            let kind = fused::activation(graph, x, form);
            fused::put(graph, at, kind);
        }
    }
    super::dead::run(graph);
}

/// The argument and the form of the GELU that ends at `at`.
fn pattern(graph: &Graph, uses: &Uses, at: usize) -> Option<(Operand, Activation)> {
    let Some(View::Mul(a, b)) = view(graph, &graph.body[at]) else { return None };
    let find = Find { graph, uses, close: CLOSE };
    let mut factors = Vec::new();
    for side in [a, b] {
        match find.own(side) {
            Some(View::Mul(c, d)) => factors.extend([c, d]),
            _ => factors.push(side),
        }
    }
    if factors.len() != 3 {
        return None;
    }
    let half = factors.iter().position(|&f| find.near(f, 0.5))?;
    factors.remove(half);
    let (one, two) = (factors[0], factors[1]);
    [(one, two), (two, one)].into_iter().find_map(|(x, gate)| Some((x, find.form(gate, x)?)))
}

impl Find<'_> {
    /// The form whose factor `1 + …` of `x` is `gate`.
    fn form(&self, gate: Operand, x: Operand) -> Option<Activation> {
        let Some(View::Add(a, b)) = self.own(gate) else { return None };
        match self.own(self.beside(a, b, 1.0)?)? {
            View::Erf(scaled) => {
                let of = match self.own(scaled)? {
                    View::Div(of, by) if self.near(by, std::f64::consts::SQRT_2) => of,
                    View::Mul(a, b) => self.beside(a, b, std::f64::consts::FRAC_1_SQRT_2)?,
                    _ => return None,
                };
                (of == x).then_some(Activation::Gelu)
            }
            View::Activation(scaled, Activation::Tanh) => {
                let Some(View::Mul(a, b)) = self.own(scaled) else { return None };
                let inner = self.beside(a, b, (2.0 / std::f64::consts::PI).sqrt())?;
                let Some(View::Add(a, b)) = self.own(inner) else { return None };
                let is_cubic = |part: Operand| match self.own(part) {
                    Some(View::Mul(a, b)) => self.beside(a, b, 0.044715).is_some_and(|cube| self.is_cube(cube, x)),
                    _ => false,
                };
                ((a == x && is_cubic(b)) || (b == x && is_cubic(a))).then_some(Activation::GeluTanh)
            }
            _ => None,
        }
    }

    /// Whether `cube` is `x³`.
    fn is_cube(&self, cube: Operand, x: Operand) -> bool {
        match self.own(cube) {
            Some(View::Pow(base, exponent)) => base == x && number(self.graph, exponent) == Some(3.0),
            Some(View::Mul(a, b)) => {
                let is_square = |part: Operand| match self.own(part) {
                    Some(View::Mul(c, d)) => c == x && d == x,
                    Some(View::Pow(base, exponent)) => base == x && number(self.graph, exponent) == Some(2.0),
                    _ => false,
                };
                (a == x && is_square(b)) || (b == x && is_square(a))
            }
            _ => false,
        }
    }
}
