//! Convolutions take up the batch norm, sum, activation and halving that follow.

use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::fused;
use super::uses::Uses;
use super::view::{View, constant, floats, number, view, view_unfitted};
use crate::graph::{Fit, Graph, Operand};
use crate::value::Value;

pub fn run(graph: &mut Graph) {
    let uses = Uses::of(graph);
    for at in 0..graph.body.len() {
        if view(graph, &graph.body[at]) != Some(View::Conv) {
            continue;
        }
        let weight = graph.body[at].args[1];
        let Some(rank) = floats(graph, weight).map(Tensor::rank) else { continue };
        let bias = graph.body[at].args[2];
        let has_bias = !constant(graph, bias).is_some_and(Value::is_none);
        if has_bias && floats(graph, bias).is_none() {
            continue;
        }
        let fixed = uses.is_fixed(graph, graph.body[at].args[0]);
        let (mut end, mut added, mut activation) = (at, None, Activation::None);
        let (mut weight, mut bias, mut is_halved, mut is_fitted) = (weight, bias, false, false);
        while let Some(next) = uses.only_reader(&graph.body[end]).filter(|_| fixed) {
            let result = Operand::Slot(graph.body[end].outs[0]);
            if uses.writer(Operand::Slot(graph.body[next].outs[0])).is_none() || is_halved {
                break;
            }
            let fit = graph.body[next].fit;
            match view_unfitted(graph, &graph.body[next]) {
                Some(View::Halved(x)) if x == result && rank == 4 => is_halved = true,
                _ if activation != Activation::None => break,
                Some(View::BatchNorm { x, .. }) if x == result && added.is_none() => {
                    let Some((w, b)) = normed(graph, next, weight, bias) else { break };
                    graph.consts.extend([Value::Tensor(w), Value::Tensor(b)]);
                    let n = graph.consts.len() as u32;
                    (weight, bias) = (Operand::Const(n - 2), Operand::Const(n - 1));
                }
                // In place, the result has the type of what it is added to, which is the convolution's.
                Some(View::Add(a, _)) if fit != Fit::Free && a != result => break,
                Some(View::Add(a, b)) if (a == result) != (b == result) && added.is_none() && rank == 4 => {
                    let other = if a == result { b } else { a };
                    if other.slot().is_none() || !uses.is_fixed(graph, other) {
                        break;
                    }
                    added = Some(other);
                }
                Some(View::Activation(x, a)) if x == result => activation = a,
                _ => break,
            }
            is_fitted |= fit != Fit::Free;
            end = next;
        }
        if end != at {
            let kind = fused::conv(graph, at, weight, bias, added, activation, is_halved);
            fused::put(graph, end, kind);
            graph.body[end].fit = if is_fitted { Fit::Type } else { Fit::Free };
        }
    }
    super::dead::run(graph);
}

/// Weights and bias of a convolution with the batch norm at `norm` in them.
fn normed(graph: &Graph, norm: usize, weight: Operand, bias: Operand) -> Option<(Tensor, Tensor)> {
    let Some(View::BatchNorm { weight: gain, bias: shift, mean, var, eps, .. }) = view(graph, &graph.body[norm]) else {
        return None;
    };
    let weight = floats(graph, weight)?;
    let channels = *weight.shape().first()?;
    let read = |operand: Operand| floats(graph, operand).filter(|t| t.shape() == [channels]);
    let (gain, shift, mean, var) = (read(gain)?, read(shift)?, read(mean)?, read(var)?);
    let eps = number(graph, eps)?;
    let wide = |t: &Tensor| t.to(DType::F64);
    let made = || -> stark_kernels::Result<(Tensor, Tensor)> {
        let scale = k::div(&wide(gain)?, &k::sqrt(&k::add(&wide(var)?, eps)?)?)?;
        // Number by number: all of them in `f64` would take three times the memory of the weights.
        let (mut scaled, factors) = (weight.copied()?, scale.to_vec::<f64>()?);
        let each = scaled.numel() / channels.max(1);
        for (output, factor) in scaled.make_mut::<f32>()?.chunks_exact_mut(each.max(1)).zip(factors) {
            output.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
        }
        let centre = match floats(graph, bias) {
            Some(bias) => k::sub(&wide(bias)?, &wide(mean)?)?,
            None => k::neg(&wide(mean)?)?,
        };
        Ok((scaled, k::add(&k::mul(&centre, &scale)?, &wide(shift)?)?.to(DType::F32)?))
    };
    made().ok()
}
