//! What depends on constants alone is computed once, when the model is loaded, lists of constants among it; operators
//! that change nothing go.
//!
//! Only operators whose result is about as large as their arguments: a file may not make us ask for memory that is
//! far above its own size.

use stark_kernels::Tensor;

use super::view;
use crate::graph::{Graph, Instr, Kind, Operand};
use crate::ops::Args;
use crate::value::Value;

/// Results as large as the first argument (or smaller).
const SHAPED_LIKE_FIRST: [&str; 28] = [
    "Abs",
    "Cast",
    "Ceil",
    "DequantizeLinear",
    "Erf",
    "Exp",
    "Floor",
    "Identity",
    "Log",
    "Neg",
    "Reciprocal",
    "Reshape",
    "Round",
    "Sqrt",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "quantized_decomposed.dequantize_per_channel",
    "quantized_decomposed.dequantize_per_tensor",
    "torch.contiguous",
    "torch.neg",
    "torch.permute",
    "torch.reshape",
    "torch.sqrt",
    "torch.t",
    "torch.to",
    "torch.transpose",
    "torch.view",
];
/// Results of the shape that both arguments broadcast to.
const BROADCAST: [&str; 8] = ["Add", "Div", "Mul", "Sub", "torch.add", "torch.div", "torch.mul", "torch.sub"];

pub fn run(graph: &mut Graph) {
    let mut n_writes = writes(graph);
    // What may change is as good as written more than once.
    for (n, _) in n_writes.iter_mut().zip(super::alias::changing(graph)).filter(|(_, changing)| *changing) {
        *n += 2;
    }
    // Constants by slot, found in the order in which they are computed.
    let mut known: Vec<Option<Operand>> = vec![None; graph.n_slots as usize];
    let mut kept = Vec::with_capacity(graph.body.len());
    for mut instr in std::mem::take(&mut graph.body) {
        replace(&mut instr, &known);
        if let (true, [out], Some(&same)) = (view::is_same(graph, &instr), &*instr.outs, instr.args.first()) {
            // A slot that is written more than once may hold something else when `out` is read.
            let is_fixed = same.slot().is_none_or(|slot| n_writes[slot.0 as usize] == 1);
            if is_fixed && n_writes[out.0 as usize] == 1 {
                known[out.0 as usize] = Some(same);
                continue;
            }
        }
        match value_of(graph, &instr).filter(|_| n_writes[instr.outs[0].0 as usize] == 1) {
            Some(value) => {
                graph.consts.push(value);
                known[instr.outs[0].0 as usize] = Some(Operand::Const((graph.consts.len() - 1) as u32));
            }
            None => kept.push(instr),
        }
    }
    graph.body = kept;
    if let Operand::Slot(slot) = graph.output {
        graph.output = known[slot.0 as usize].unwrap_or(graph.output);
    }
}

/// How often each slot is written, inputs among them.
pub fn writes(graph: &Graph) -> Vec<u32> {
    let mut n = vec![0; graph.n_slots as usize];
    graph.inputs.iter().chain(graph.own.iter().map(|(slot, _)| slot)).for_each(|slot| n[slot.0 as usize] += 1);
    graph.each_instr(&mut |instr| instr.outs.iter().for_each(|slot| n[slot.0 as usize] += 1));
    n
}

/// Reads `known` operands instead of slots, also inside blocks.
pub fn replace(instr: &mut Instr, known: &[Option<Operand>]) {
    let new = |operand: &mut Operand| {
        if let Some(known) = operand.slot().and_then(|slot| known[slot.0 as usize]) {
            *operand = known;
        }
    };
    instr.args.iter_mut().for_each(new);
    match &mut instr.kind {
        Kind::If(a, b) => a.iter_mut().chain(b).for_each(|inner| replace(inner, known)),
        Kind::For(a) => a.iter_mut().for_each(|inner| replace(inner, known)),
        Kind::While { test, cond, body } => {
            test.iter_mut().chain(body).for_each(|inner| replace(inner, known));
            new(cond);
        }
        _ => {}
    }
}

fn value_of(graph: &Graph, instr: &Instr) -> Option<Value> {
    let values: Vec<&Value> = instr
        .args
        .iter()
        .map(|arg| match arg {
            Operand::Const(index) => graph.consts.get(*index as usize),
            Operand::Slot(_) => None,
        })
        .collect::<Option<_>>()?;
    let row = match &instr.kind {
        Kind::Op(row) => row,
        // One that somebody changes is kept by who asks.
        Kind::List => return Value::frozen_list(values.into_iter().cloned().collect()).ok(),
        _ => return None,
    };
    let numel = |value: &Value| if let Value::Tensor(t) = value { t.numel() } else { 1 };
    if BROADCAST.contains(&row.name) {
        let shape = |value: &Value| value.to_tensor().map(|t: Tensor| t.shape().to_vec());
        let both = stark_shapes::rules::broadcast(&shape(values[0])?, &shape(values[1])?).ok()?;
        let n = stark_shapes::rules::numel(&both).ok()?;
        if n > numel(values[0]).max(numel(values[1])) {
            return None;
        }
    } else if !SHAPED_LIKE_FIRST.contains(&row.name) {
        return None;
    }
    // An error is the run's to tell, with its place.
    match (row.run)(&Args::new(row, &values)).ok()? {
        Value::Tensor(t) => t.contiguous().ok().map(Value::Tensor),
        value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => Some(value),
        _ => None,
    }
}
