//! What a model does with memory and time on inputs of some shapes: one run, watched instruction by instruction, after
//! another that warmed it up.
//!
//! Weights are not counted here, they are there anyway; what is counted are the storages of the tensors alive between the
//! operators, each once however many views look at it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stark_kernels::cpu::arena::MemoryPlan;
use stark_kernels::{DType, Tensor};

use crate::error::ModelError;
use crate::graph::{Graph, Instr, Kind};
use crate::model::Model;
use crate::value::Value;

/// One run, operator by operator, in the order in which they ran.
#[derive(Debug, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Where later runs on such inputs have their buffers.
    pub memory: Option<Arc<MemoryPlan>>,
}

/// An operator that ran.
#[derive(Debug)]
pub struct Step {
    pub operator: &'static str,
    /// Of its result, when that is a tensor.
    pub result: Option<(DType, Vec<usize>)>,
    /// Bytes of all tensors alive while it ran, its result and arguments among them.
    pub live_bytes: usize,
    /// Those tensors' storages.
    pub n_live: usize,
    pub elapsed: Duration,
}

impl Plan {
    /// Runs `model` on `inputs`.
    pub fn of(model: &Model, inputs: &[Tensor]) -> Result<Plan, ModelError> {
        model.predict(inputs)?;
        let mut plan = Plan { steps: Vec::new(), memory: model.memory_plan(inputs) };
        let mut weights: HashMap<usize, usize> = storages(&model.graph().consts);
        weights.extend(own_storages(model.graph()));
        model.predict_observed(inputs, &mut |instr, slots, elapsed| {
            let Some(operator) = operator_of(instr) else { return };
            let live = storages(slots);
            let own = live.iter().filter(|(at, _)| !weights.contains_key(at));
            plan.steps.push(Step {
                operator,
                result: instr.outs.first().and_then(|slot| match slots.get(slot.0 as usize) {
                    Some(Value::Tensor(t)) => Some((t.dtype(), t.shape().to_vec())),
                    _ => None,
                }),
                live_bytes: own.clone().map(|(_, bytes)| bytes).sum(),
                n_live: own.count(),
                elapsed,
            });
        })?;
        Ok(plan)
    }

    /// The step at which most memory is alive.
    pub fn peak(&self) -> Option<&Step> {
        // The first of equals, where the memory was asked for.
        self.steps.iter().reduce(|a, b| if b.live_bytes > a.live_bytes { b } else { a })
    }

    pub fn elapsed(&self) -> Duration {
        self.steps.iter().map(|step| step.elapsed).sum()
    }
}

/// Bytes of the weights and other constants that the graph holds, packed ones as the kernels have them.
pub fn constant_bytes(graph: &Graph) -> usize {
    let mut all = storages(&graph.consts);
    all.extend(own_storages(graph));
    all.values().sum()
}

fn own_storages(graph: &Graph) -> HashMap<usize, usize> {
    storages(&graph.own.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>())
}

/// The operator's name; `None` for what only moves values.
pub fn operator_of(instr: &Instr) -> Option<&'static str> {
    match &instr.kind {
        Kind::Op(row) | Kind::InPlace(row) => Some(row.name),
        _ => None,
    }
}

/// Bytes of the storages that values hold, by address.
fn storages(values: &[Value]) -> HashMap<usize, usize> {
    fn add(value: &Value, out: &mut HashMap<usize, usize>) {
        match value {
            Value::Tensor(t) => {
                out.insert(t.storage_address(), t.storage_bytes());
            }
            Value::Complex(parts) => [&parts.0, &parts.1].into_iter().for_each(|t| {
                out.insert(t.storage_address(), t.storage_bytes());
            }),
            Value::Packed(weight) => {
                out.insert(std::sync::Arc::as_ptr(weight).addr(), weight.n_bytes());
            }
            Value::Filter(filter) => {
                out.insert(std::sync::Arc::as_ptr(filter).addr(), filter.n_bytes());
            }
            // Depth is bounded by `MAX_DEPTH`.
            Value::Tuple(tuple) => tuple.items.iter().for_each(|item| add(item, out)),
            Value::List(list) => list.items().iter().for_each(|item| add(item, out)),
            Value::Dict(dict) => dict.items().iter().for_each(|(_, item)| add(item, out)),
            _ => {}
        }
    }
    let mut out = HashMap::new();
    values.iter().for_each(|value| add(value, &mut out));
    out
}
