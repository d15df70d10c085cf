//! Layers with constant weights: packed once, some of them only after loading, with the bias, sum and activation that follow.

use std::sync::Arc;

use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops::PackedMatrix;

use super::fused;
use super::uses::Uses;
use super::view::{View, floats, view, view_unfitted};
use crate::graph::{Fit, Graph, Kind, Operand};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        let Some(mut layer) = layer(graph, at) else { continue };
        let mut end = at;
        // What reads the result alone is taken up, in the order bias, sum, activation.
        while let Some(next) = uses.only_reader(&graph.body[end]).filter(|&next| layer.takes(graph, &uses, end, next)) {
            end = next;
        }
        if end != at && !uses.is_fixed(graph, layer.x) {
            continue;
        }
        let Some(packed) = pack(graph, &layer) else { continue };
        let kind = fused::linear(graph, &layer, Value::Packed(Arc::new(packed)));
        fused::put(graph, end, kind);
        graph.body[end].fit = if layer.is_fitted { Fit::Type } else { Fit::Free };
    }
    super::dead::run(graph);
}

pub struct Layer {
    /// Of the operator in the file.
    pub name: &'static str,
    pub x: Operand,
    weight: Operand,
    /// The weight is `[n, k]`.
    turned: bool,
    pub bias: Option<Operand>,
    pub added: Option<Operand>,
    pub activation: Activation,
    /// The sum was one in place.
    is_fitted: bool,
}

fn layer(graph: &Graph, at: usize) -> Option<Layer> {
    let (x, weight, turned, bias) = match view(graph, &graph.body[at])? {
        View::Linear { x, weight, turned, bias } => (x, weight, turned, bias),
        View::MatMul(x, weight) => (x, weight, false, None),
        _ => return None,
    };
    let matrix = floats(graph, weight).filter(|w| w.rank() == 2 && w.numel() > 0)?;
    let n = matrix.shape()[usize::from(!turned)];
    if bias.is_some_and(|b| floats(graph, b).is_none_or(|b| b.shape() != [n])) {
        return None;
    }
    let Kind::Op(row) = &graph.body[at].kind else { return None };
    Some(Layer { name: row.name, x, weight, turned, bias, added: None, activation: Activation::None, is_fitted: false })
}

fn pack(graph: &Graph, layer: &Layer) -> Option<PackedMatrix> {
    let weight = floats(graph, layer.weight)?;
    let weight = if layer.turned { weight.t().ok()? } else { weight.clone() };
    PackedMatrix::later(&weight).ok()
}

impl Layer {
    /// InputType up the instruction `next`, which alone reads `end`, when it can.
    fn takes(&mut self, graph: &Graph, uses: &Uses, end: usize, next: usize) -> bool {
        let result = Operand::Slot(graph.body[end].outs[0]);
        if uses.writer(Operand::Slot(graph.body[next].outs[0])).is_none() || self.activation != Activation::None {
            return false;
        }
        let fit = graph.body[next].fit;
        match view_unfitted(graph, &graph.body[next]) {
            // In place, the result has the type of what it is added to, which is the layer's.
            Some(View::Add(a, _)) if fit != Fit::Free && a != result => false,
            Some(View::Add(a, b)) if (a == result) != (b == result) => {
                let other = if a == result { b } else { a };
                let n = floats(graph, self.weight).map(|w| w.shape()[usize::from(!self.turned)]);
                let is_bias = floats(graph, other).is_some_and(|b| b.rank() == 1 && b.shape().first().copied() == n);
                if is_bias && self.bias.is_none() && self.added.is_none() {
                    self.bias = Some(other);
                    self.is_fitted |= fit != Fit::Free;
                    return true;
                }
                let is_tensor = other.slot().is_some() && uses.is_fixed(graph, other);
                if is_tensor && self.added.is_none() {
                    self.added = Some(other);
                    self.is_fitted |= fit != Fit::Free;
                    return true;
                }
                false
            }
            Some(View::Activation(x, activation)) if x == result => {
                self.activation = activation;
                true
            }
            _ => false,
        }
    }
}
