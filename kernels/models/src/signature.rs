//! What a graph says about its inputs and outputs without running.
//!
//! A file states neither dtypes nor shapes, but the first operator on an input often does: a linear layer
//! fixes the last dimension, a convolution the channels, an embedding asks for ids.

use stark_kernels::{DType, Tensor};

use stark_shapes::{Dim, ModelSpec, Symbolic, TensorSpec};

use crate::graph::{Graph, Instr, Kind, Operand, Slot};
use crate::model::{Model, Signature};
use crate::value::Value;

/// Names that stand for ids or masks of shape [batch, length] wherever they occur.
const ID_INPUTS: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/// How many operators back from an output the layer that shapes it may be.
const MAX_BACK: usize = 8;

impl Model {
    /// Inputs and outputs as a type in a program can be compared with.
    pub fn spec(&self) -> ModelSpec {
        let dim = |d: &Option<usize>| d.map_or(Symbolic::Unknown, Symbolic::from_usize);
        let tensor = |s: &Signature| TensorSpec {
            name: s.name.clone(),
            dtype: s.dtype,
            dims: s.dims.as_ref().map(|dims| dims.iter().map(dim).collect()),
        };
        let all = |signatures: &[Signature]| signatures.iter().map(tensor).collect();
        ModelSpec {
            inputs: all(&self.passed()),
            flat_inputs: all(&self.inputs()),
            outputs: all(self.results()),
            flat_outputs: all(self.outputs()),
            n_defaults: self.n_defaults(),
            is_inferred: !self.states_inputs(),
            takes_a_tuple: self.takes_a_tuple(),
        }
    }
}

/// Fills in what the graph tells about its inputs.
pub fn infer_inputs(graph: &Graph, signatures: &mut [&mut Signature]) {
    for (signature, slot) in signatures.iter_mut().zip(&graph.inputs) {
        let mut found = None;
        graph.each_instr(&mut |instr| {
            if found.is_none() {
                found = first_use(graph, instr, *slot);
            }
        });
        let by_name = || ID_INPUTS.contains(&&*signature.name).then(|| (DType::I64, Some(vec![None, None])));
        if let Some((dtype, dims)) = found.or_else(by_name) {
            signature.dtype = Some(dtype);
            signature.dims = dims;
        }
    }
}

/// Fills in what the graph tells about its outputs.
pub fn infer_outputs(graph: &Graph, signatures: &mut [Signature]) {
    let outputs: Vec<Operand> = match graph.output.slot().and_then(|slot| writer(graph, slot)) {
        Some(Instr { kind: Kind::Tuple | Kind::List, args, .. }) => args.to_vec(),
        Some(Instr { kind: Kind::Dict, args, .. }) => args.chunks_exact(2).map(|pair| pair[1]).collect(),
        _ => vec![graph.output],
    };
    if outputs.len() != signatures.len() {
        return;
    }
    for (signature, mut output) in signatures.iter_mut().zip(outputs) {
        for _ in 0..MAX_BACK {
            let Some(instr) = output.slot().and_then(|slot| writer(graph, slot)) else { break };
            let Kind::Op(row) = &instr.kind else { break };
            match row.name {
                "torch.linear" => {
                    if let Some(weight) = constant(graph, instr.args[1]) {
                        signature.dtype = Some(weight.dtype());
                        signature.dims = Some(vec![None, weight.shape().first().copied()]);
                    }
                    break;
                }
                "torch.softmax" | "torch.log_softmax" | "torch.sigmoid" | "torch.tanh" | "torch.relu" => {
                    output = instr.args[0];
                }
                _ => break,
            }
        }
    }
}

/// Dtype and dimensions of `slot`, when `instr` is an operator that fixes them.
fn first_use(graph: &Graph, instr: &Instr, slot: Slot) -> Option<(DType, Option<Vec<Option<usize>>>)> {
    let Kind::Op(row) = &instr.kind else { return None };
    let at = instr.args.iter().position(|&arg| arg == Operand::Slot(slot))?;
    let weight = instr.args.get(1).and_then(|&arg| constant(graph, arg));
    match (row.name, at) {
        ("torch.linear", 0) => {
            let weight = weight?;
            Some((weight.dtype(), Some(vec![None, weight.shape().get(1).copied()])))
        }
        ("torch.conv2d" | "torch.conv1d" | "torch._convolution", 0) => {
            let weight = weight?;
            let mut dims = vec![None; weight.rank()];
            // Channels of one group; with groups the rest of the call tells how many, so leave it open.
            let groups = instr.args.get(if row.name == "torch._convolution" { 8 } else { 6 });
            let is_one_group = groups.is_some_and(|&g| is_one(graph, g));
            let transposed = instr.args.get(6).filter(|_| row.name == "torch._convolution");
            let is_plain = transposed.is_none_or(|&t| is_false(graph, t));
            if let (true, true, Some(channels)) = (is_one_group, is_plain, dims.get_mut(1)) {
                *channels = weight.shape().get(1).copied();
            }
            Some((weight.dtype(), Some(dims)))
        }
        ("torch.embedding", 1) => Some((DType::I64, Some(vec![None, None]))),
        ("torch.embedding_bag", 1) => Some((DType::I64, None)),
        _ => None,
    }
}

/// The instruction of the outermost block that writes `slot`.
fn writer(graph: &Graph, slot: Slot) -> Option<&Instr> {
    graph.body.iter().rev().find(|instr| instr.outs.contains(&slot))
}

fn constant(graph: &Graph, operand: Operand) -> Option<&Tensor> {
    match operand {
        Operand::Const(index) => match graph.consts.get(index as usize) {
            Some(Value::Tensor(tensor)) => Some(tensor),
            _ => None,
        },
        Operand::Slot(_) => None,
    }
}

fn is_one(graph: &Graph, operand: Operand) -> bool {
    matches!(operand, Operand::Const(index) if matches!(graph.consts.get(index as usize), Some(Value::Int(1))))
}

fn is_false(graph: &Graph, operand: Operand) -> bool {
    matches!(operand, Operand::Const(index) if matches!(graph.consts.get(index as usize), Some(Value::Bool(false))))
}
