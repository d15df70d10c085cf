//! `(x - mean) / √(mean((x - mean)²) + ε) · weight + bias` over the last axis, as files from before the operator existed
//! spell it, is one operator.

use super::fused;
use super::uses::Uses;
use super::view::{View, constant, floats, number, view};
use crate::graph::{Graph, Operand};
use crate::value::Value;

/// A layer norm's arguments.
pub struct Found {
    pub x: Operand,
    pub weight: Operand,
    pub bias: Operand,
    pub eps: f64,
}

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        if let Some(found) = (Find { graph, uses: &uses }).norm(at).filter(|found| uses.is_fixed(graph, found.x)) {
            let kind = fused::layer_norm(graph, &found);
            fused::put(graph, at, kind);
        }
    }
    super::dead::run(graph);
}

struct Find<'a> {
    graph: &'a Graph,
    uses: &'a Uses,
}

impl Find<'_> {
    /// What computes `operand`, which nobody else reads.
    fn own(&self, operand: Operand) -> Option<View> {
        view(self.graph, &self.graph.body[self.uses.own(operand)?])
    }

    /// The layer norm that ends at `at`.
    fn norm(&self, at: usize) -> Option<Found> {
        let View::Add(a, b) = view(self.graph, &self.graph.body[at])? else { return None };
        [(a, b), (b, a)].into_iter().find_map(|(scaled, bias)| {
            let n = floats(self.graph, bias)?.shape();
            let View::Mul(a, b) = self.own(scaled)? else { return None };
            [(a, b), (b, a)].into_iter().find_map(|(normal, weight)| {
                let fits = n.len() == 1 && floats(self.graph, weight)?.shape() == n;
                let (x, eps) = self.normal(normal).filter(|_| fits)?;
                Some(Found { x, weight, bias, eps })
            })
        })
    }

    /// What `normal` brings to mean 0 and variance 1, and ε.
    fn normal(&self, normal: Operand) -> Option<(Operand, f64)> {
        let View::Div(centred, root) = self.own(normal)? else { return None };
        let View::Sqrt(sum) = self.own(root)? else { return None };
        let View::Add(a, b) = self.own(sum)? else { return None };
        let (var, eps) = match (number(self.graph, a), number(self.graph, b)) {
            (None, Some(eps)) => (a, eps),
            (Some(eps), None) => (b, eps),
            _ => return None,
        };
        let is_square = match self.own(self.mean(var)?)? {
            View::Pow(base, exponent) => base == centred && number(self.graph, exponent) == Some(2.0),
            View::Mul(a, b) => a == centred && b == centred,
            _ => false,
        };
        // The difference has two readers or three: the square and the quotient.
        match view(self.graph, &self.graph.body[self.uses.writer(centred)?])? {
            View::Sub(x, mean) if is_square && self.mean(mean) == Some(x) => Some((x, eps)),
            _ => None,
        }
    }

    /// What `mean` is the mean of, over the last axis, which stays with size 1.
    fn mean(&self, mean: Operand) -> Option<Operand> {
        let View::Mean { x, axes } = self.own(mean)? else { return None };
        let is_last = |axis: &Value| axis.scalar().is_some_and(|axis| axis.to_f64() == -1.0);
        let over_last = match constant(self.graph, axes)? {
            Value::List(axes) => matches!(&axes.items()[..], [axis] if is_last(axis)),
            Value::Tensor(axes) => axes.numel() == 1 && axes.to_scalars().iter().all(|axis| axis.to_f64() == -1.0),
            axis => is_last(axis),
        };
        over_last.then_some(x)
    }
}
