//! A model on a device beside the processor: its constants go there once, its inputs before and its results after a run.

use std::sync::Arc;

use stark_kernels::accelerator::Accelerator;
use stark_kernels::{Tensor, TensorError};

use crate::graph::Graph;
use crate::value::Value;

/// Whether the device computes on it: numbers with a fraction, and more than one. What counts, picks and decides
/// stays with the processor, and single numbers go along with the kernels.
fn is_for_device(tensor: &Tensor) -> bool {
    tensor.dtype().is_float() && tensor.rank() > 0 && tensor.numel() > 1
}

/// Moves the constants of `graph`, so that what is computed with them runs on `accelerator`. Those that its memory has no
/// room for stay with the processor.
pub fn place_constants(graph: &mut Graph, accelerator: &Arc<dyn Accelerator>) -> Result<(), TensorError> {
    graph.consts.iter_mut().try_for_each(|value| match place(value, accelerator) {
        Err(TensorError::DeviceMemory(_)) => {
            accelerator.note_full();
            Ok(())
        }
        other => other,
    })
}

fn place(value: &mut Value, accelerator: &Arc<dyn Accelerator>) -> Result<(), TensorError> {
    match value {
        Value::Tensor(tensor) if is_for_device(tensor) => *tensor = tensor.to_accelerator(accelerator, true)?,
        Value::Packed(matrix) => matrix.place(accelerator)?,
        _ => {}
    }
    Ok(())
}

/// An input of a run, on the device when the device computes on it.
pub fn place_input(value: Value, accelerator: &Arc<dyn Accelerator>) -> Result<Value, TensorError> {
    match value {
        Value::Tensor(tensor) if is_for_device(&tensor) => match tensor.to_accelerator(accelerator, false) {
            Err(TensorError::DeviceMemory(_)) => {
                accelerator.note_full();
                Ok(Value::Tensor(tensor))
            }
            placed => Ok(Value::Tensor(placed?)),
        },
        other => Ok(other),
    }
}

/// A result with all its tensors in the host's memory.
pub fn fetch(value: Value) -> Result<Value, String> {
    let whole = |tensor: Tensor| tensor.to_host().map_err(|e| e.to_string());
    match value {
        Value::Tensor(tensor) => Ok(Value::Tensor(whole(tensor)?)),
        // Depth is bounded by `MAX_DEPTH`.
        Value::Tuple(tuple) => Value::tuple(tuple.items.iter().cloned().map(fetch).collect::<Result<_, _>>()?),
        Value::List(list) => {
            let items = list.items().clone();
            Value::list(items.into_iter().map(fetch).collect::<Result<_, _>>()?)
        }
        Value::Dict(dict) => {
            let items = dict.items().clone();
            Value::dict(items.into_iter().map(|(k, v)| Ok((k, fetch(v)?))).collect::<Result<_, String>>()?)
        }
        other => Ok(other),
    }
}
