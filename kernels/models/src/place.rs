//! Where a model's tensors are: its constants are its own once it is loaded, but for weights that are packed after that; on a
//! device beside the processor, they go there once, its inputs before and its results after a run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    // What shares a storage stays where it does.
    let alone = crate::opt::sharing(&graph.own).fold(vec![true; graph.n_slots as usize], |mut alone, (a, b)| {
        alone[a.0 as usize] = false;
        alone[b.0 as usize] = false;
        alone
    });
    let own = graph.own.iter_mut().filter(|(slot, _)| alone[slot.0 as usize]).map(|(_, value)| value);
    graph.consts.iter_mut().chain(own).try_for_each(|value| match place(value, accelerator) {
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

/// Copies the storages of constants that still lie in the model's file, so that only weights that are still to be packed need it.
pub fn keep_constants(graph: &mut Graph) -> Result<(), TensorError> {
    // By address; the old ones are held so that no other gets it.
    let mut storages: HashMap<usize, [Tensor; 2]> = HashMap::new();
    let mut own = |tensor: &mut Tensor| {
        if tensor.is_lent() {
            let [_, whole] = match storages.entry(tensor.storage_address()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let n = tensor.storage_bytes() / tensor.dtype().size();
                    new.insert([tensor.clone(), tensor.as_strided(&[n], &[1], 0)?.copied()?])
                }
            };
            *tensor = whole.as_strided(tensor.shape(), tensor.strides(), tensor.offset())?;
        }
        Ok(())
    };
    let all = graph.consts.iter_mut().chain(graph.own.iter_mut().map(|(_, value)| value));
    all.into_iter().try_for_each(|value| each_tensor(value, &mut own))
}

type Change<'a> = dyn FnMut(&mut Tensor) -> Result<(), TensorError> + 'a;

fn each_tensor(value: &mut Value, change: &mut Change<'_>) -> Result<(), TensorError> {
    match value {
        Value::Tensor(tensor) => change(tensor),
        Value::Complex(parts) => {
            let (mut real, mut imaginary) = (**parts).clone();
            change(&mut real)?;
            change(&mut imaginary)?;
            *parts = Arc::new((real, imaginary));
            Ok(())
        }
        // Depth is bounded by `MAX_DEPTH`.
        Value::Tuple(tuple) => {
            let mut items = tuple.items.clone();
            items.iter_mut().try_for_each(|item| each_tensor(item, change))?;
            *tuple = Arc::new(tuple.with(items));
            Ok(())
        }
        Value::List(list) => list.items().iter_mut().try_for_each(|item| each_tensor(item, change)),
        Value::Dict(dict) => dict.items().values_mut().try_for_each(|item| each_tensor(item, change)),
        _ => Ok(()),
    }
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
            let items = dict.items().to_vec();
            Value::dict(items.into_iter().map(|(k, v)| Ok((k, fetch(v)?))).collect::<Result<_, String>>()?)
        }
        other => Ok(other),
    }
}
