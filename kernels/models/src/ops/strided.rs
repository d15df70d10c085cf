//! Tensors by the places of their elements in memory, and views that are copies.
//!
//! PyTorch's `as_strided` counts elements of the storage. Here a storage may be laid out otherwise than there: results of
//! convolutions have their channels side by side. So what is counted is the storage that PyTorch has: that of the plain layout,
//! or that of the strides which an exported program states.

use stark_kernels::Tensor;

use super::args::{Args, OpResult};
use super::tensor::{ok, say};
use crate::value::Value;

/// A tensor whose storage is PyTorch's from its first element on, and which element of its storage PyTorch counts as 0.
fn laid_out(a: &Args<'_>, order: usize) -> Result<(Tensor, i64), String> {
    let t = a.tensor(0)?;
    // Axes from the longest stride to the shortest, and where the program says that the tensor begins.
    if let (Some(order), Some(begin)) = (a.opt_ints(order)?, a.opt_int(order + 1)?) {
        let laid = t.permute(&order).and_then(|t| t.contiguous()).map_err(say)?;
        let zero = laid.offset() as i64 - begin;
        return Ok((laid, zero));
    }
    if matches!(a.get(order + 1), Value::Bool(true)) && t.rank() > 3 {
        return Err("elements by their places, in a model that lays out tensors with their channels last: which ones \
                    is not known; call .contiguous() before, or export it with torch.export"
            .into());
    }
    if t.is_channels_last() {
        let laid = t.contiguous().map_err(say)?;
        let zero = laid.offset() as i64;
        return Ok((laid, zero));
    }
    Ok((t.into_owned(), 0))
}

fn place(a: &Args<'_>, laid: &Tensor, zero: i64, at: usize) -> Result<(Vec<usize>, Vec<usize>, usize), String> {
    let offset = match a.opt_int(at + 2)? {
        Some(offset) => zero.saturating_add(offset),
        None => laid.offset() as i64,
    };
    let offset =
        usize::try_from(offset).map_err(|_| "begins before the tensor's storage, which is not known".to_string())?;
    Ok((a.sizes(at)?.to_vec(), a.sizes(at + 1)?.to_vec(), offset))
}

/// `(self, size, stride, storage_offset, order, begin)`, the last two from the importer.
pub fn as_strided(a: &Args<'_>) -> OpResult {
    let (laid, zero) = laid_out(a, 4)?;
    let (shape, strides, offset) = place(a, &laid, zero, 1)?;
    ok(laid.as_strided(&shape, &strides, offset))
}

/// `(self, src, size, stride, storage_offset, order, begin)`: the tensor with `src` in the place of such a view.
pub fn as_strided_scatter(a: &Args<'_>) -> OpResult {
    let (laid, zero) = laid_out(a, 5)?;
    let (shape, strides, offset) = place(a, &laid, zero, 2)?;
    let src = a.tensor(1)?;
    let made = || {
        let n = laid.storage_bytes() / laid.dtype().size();
        let mut storage = laid.as_strided(&[n], &[1], 0)?.copied()?;
        storage.assign(|whole| whole.as_strided(&shape, &strides, offset), &src)?;
        storage.as_strided(laid.shape(), laid.strides(), laid.offset())
    };
    let laid = made().map_err(|e: stark_kernels::TensorError| say(e))?;
    match a.opt_ints(5)? {
        None => Ok(Value::Tensor(laid)),
        Some(order) => {
            let mut back = vec![0i64; order.len()];
            for (at, axis) in order.iter().enumerate() {
                *back.get_mut(*axis as usize).ok_or("an axis that is not there")? = at as i64;
            }
            ok(laid.permute(&back))
        }
    }
}

pub fn storage_offset(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(a.tensor(0)?.offset() as i64))
}

pub fn element_size(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(a.tensor(0)?.dtype().size() as i64))
}

/// What `view` gives, with storage of its own.
pub fn copied(a: &Args<'_>, view: fn(&Args<'_>) -> OpResult) -> OpResult {
    fn own(value: Value) -> OpResult {
        match value {
            Value::Tensor(t) => ok(t.copied()),
            Value::List(list) => Value::list(list.items().iter().cloned().map(own).collect::<Result<_, _>>()?),
            other => Ok(other),
        }
    }
    own(view(a)?)
}
