//! Moving elements around: `repeat`, `pad`, `flip`, `roll`, triangles.

use stark_shapes::{DType, Shape, ShapeError, rules, show};

use crate::accelerator;
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Elem, Scalar, with_elem, with_word};
use crate::error::{Result, TensorError};
use crate::ops::index::take;
use crate::tensor::{Tensor, check_bytes};
use crate::walk::Walk;

/// The whole tensor `times[i]` times along axis `i`; more numbers than axes add leading ones.
pub fn repeat(x: &Tensor, times: &[usize]) -> Result<Tensor> {
    if times.len() < x.rank() {
        return Err(ShapeError(format!(
            "repeat of shape {} needs {} numbers, not {}",
            show(x.shape()),
            x.rank(),
            times.len()
        ))
        .into());
    }
    let lead = times.len() - x.rank();
    let (mut pairs, mut wide, mut shape) = (Vec::new(), Vec::new(), Shape::new());
    for (i, &t) in times.iter().enumerate() {
        let n = if i < lead { 1 } else { x.shape()[i - lead] };
        pairs.extend([1, n]);
        wide.extend([t, n]);
        shape.push(t.checked_mul(n).ok_or_else(|| ShapeError(format!("{t} times {n} elements are too many")))?);
    }
    x.reshape_to(&pairs)?.expand(&wide)?.reshape_to(&shape)
}

/// Each element of `axis` `times` times in a row.
pub fn repeat_interleave(x: &Tensor, times: usize, axis: i64) -> Result<Tensor> {
    let n = x.size(axis)?;
    let total = n.checked_mul(times).ok_or_else(|| ShapeError(format!("{times} times {n} elements are too many")))?;
    rules::numel(&[total])?;
    let mut shape: Shape = x.shape().into();
    let at = rules::axis(axis, x.rank())?;
    shape.insert(at + 1, times);
    let wide = x.unsqueeze(at as i64 + 1)?.expand(&shape)?;
    wide.flatten(at as i64, at as i64 + 1)
}

/// The order of elements reversed along `axes`.
pub fn flip(x: &Tensor, axes: &[i64]) -> Result<Tensor> {
    if axes.is_empty() {
        return Ok(x.clone());
    }
    let axes = rules::axes(axes, x.rank())?;
    // Without elements an axis may have any size.
    if x.numel() == 0 {
        return Ok(x.clone());
    }
    let mut out = x.clone();
    for at in axes {
        if let Some(&n) = x.shape().get(at) {
            if at + 1 == x.rank() && out.strides()[at] == 1 && accelerator::of([&out]).is_none() {
                out = reversed(&out, n)?;
                continue;
            }
            out = take(&out, at, &(0..n).rev().collect::<Vec<_>>(), &[n])?;
        }
    }
    Ok(out)
}

/// The rows of `x`, of `n` numbers side by side, from their ends.
fn reversed(x: &Tensor, n: usize) -> Result<Tensor> {
    let rows = Walk::new(&x.shape()[..x.rank() - 1], [&x.strides()[..x.rank() - 1]], [0]);
    let [step] = rows.inner();
    with_word!(x.dtype(), W => {
        let mut buffer = Buffer::for_overwrite::<W>(x.numel())?;
        let from = x.storage::<W>();
        fill_chunks(buffer.as_mut_slice::<W>(), n * (CHUNK / n).max(1), |start, out| {
            let mut out = out.chunks_exact_mut(n);
            rows.rows(start / n..start / n + out.len(), |[at], count| {
                for (k, out) in out.by_ref().take(count).enumerate() {
                    dispatch(Reversed { from: &from[at + k * step..][..n], out });
                }
            });
        });
        Ok(Tensor::from_buffer(buffer, x.dtype(), x.shape()))
    })
}

struct Reversed<'a, W> {
    from: &'a [W],
    out: &'a mut [W],
}

impl<W: Pod> Kernel for Reversed<'_, W> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.out.iter_mut().zip(self.from.iter().rev()).for_each(|(o, x)| *o = *x);
    }
}

/// Elements moved `shifts[i]` places along `axes[i]`, those that fall off coming in at the other end.
/// Without axes the flattened tensor is rolled.
pub fn roll(x: &Tensor, shifts: &[i64], axes: &[i64]) -> Result<Tensor> {
    if axes.is_empty() {
        let [shift] = shifts else {
            return Err(TensorError::Argument("roll without axes takes one shift".into()));
        };
        return roll(&x.flatten(0, -1)?, &[*shift], &[0])?.reshape_to(x.shape());
    }
    if axes.len() != shifts.len() {
        return Err(TensorError::Argument(format!("roll has {} shifts but {} axes", shifts.len(), axes.len())));
    }
    let mut out = x.clone();
    for (&axis, &shift) in axes.iter().zip(shifts) {
        let n = out.size(axis)?;
        let at = rules::axis(axis, x.rank())?;
        if x.numel() > 0 {
            let by = shift.rem_euclid(n as i64) as usize;
            out = take(&out, at, &(0..n).map(|i| (i + n - by) % n).collect::<Vec<_>>(), &[n])?;
        }
    }
    Ok(out)
}

/// What stands in the padded places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    Constant(Scalar),
    Reflect,
    Replicate,
    Circular,
}

/// `pads` are (before, after) pairs from the last axis backwards, as in PyTorch; negative ones cut off.
pub fn pad(x: &Tensor, pads: &[i64], mode: PadMode) -> Result<Tensor> {
    if !pads.len().is_multiple_of(2) || pads.len() / 2 > x.rank() {
        return Err(TensorError::Argument(format!("{} pad widths for rank {}", pads.len(), x.rank())));
    }
    let mut shape: Shape = x.shape().into();
    for (i, pair) in pads.chunks(2).enumerate() {
        let at = x.rank() - 1 - i;
        let n = i128::from(pair[0]) + i128::from(pair[1]) + shape[at] as i128;
        shape[at] = usize::try_from(n)
            .map_err(|_| ShapeError(format!("padding {pair:?} leaves {n} of axis {at}, which is {}", x.shape()[at])))?;
    }
    check_bytes(&shape, x.dtype())?;
    if let PadMode::Constant(value) = mode {
        let mut inner = x.clone();
        let mut out = Tensor::full(&shape, value, x.dtype())?;
        for (i, pair) in pads.chunks(2).enumerate() {
            let at = (x.rank() - 1 - i) as i64;
            let n = inner.size(at)? as i64;
            inner = inner.slice(at, (-pair[0]).max(0), n - (-pair[1]).max(0), 1)?;
        }
        let place = |out: &Tensor| {
            let mut view = out.clone();
            for (i, pair) in pads.chunks(2).enumerate() {
                let at = x.rank() - 1 - i;
                let start = pair[0].max(0);
                view = view.slice(at as i64, start, start + inner.shape()[at] as i64, 1)?;
            }
            Ok(view)
        };
        out.assign(place, &inner)?;
        return Ok(out);
    }
    let mut out = x.clone();
    for (i, pair) in pads.chunks(2).enumerate() {
        let at = x.rank() - 1 - i;
        let n = x.shape()[at] as i64;
        let limit = match mode {
            PadMode::Reflect => n - 1,
            PadMode::Circular => n,
            _ => i64::MAX,
        };
        if pair.iter().any(|&p| p > limit) || (n == 0 && shape[at] > 0) {
            return Err(ShapeError(format!("padding {pair:?} is too wide for axis {at}, which is {n}")).into());
        }
        let source = |k: i64| match mode {
            PadMode::Reflect if k < 0 => -k,
            PadMode::Reflect if k >= n => 2 * (n - 1) - k,
            PadMode::Circular => k.rem_euclid(n),
            _ => k.clamp(0, n - 1),
        };
        let places: Vec<usize> = (0..shape[at] as i64).map(|k| source(k - pair[0]) as usize).collect();
        out = take(&out, at, &places, &[places.len()])?;
    }
    Ok(out)
}

fn triangle(name: &str, x: &Tensor, keep: impl Fn(i64, i64) -> bool) -> Result<Tensor> {
    if x.rank() < 2 {
        return Err(ShapeError(format!("{name} needs rank 2 or more, not shape {}", show(x.shape()))).into());
    }
    let mut out = x.copied()?;
    let cols = x.shape()[x.rank() - 1];
    let n_rows = x.shape()[x.rank() - 2];
    with_elem!(x.dtype(), T => {
        for (i, row) in out.owned_slice_mut::<T>().chunks_mut(cols.max(1)).enumerate() {
            let i = (i % n_rows.max(1)) as i64;
            for (j, x) in row.iter_mut().enumerate() {
                if !keep(i, j as i64) {
                    *x = T::from_i64(0);
                }
            }
        }
    });
    Ok(out)
}

/// The last two axes with zeros above the `diagonal`-th diagonal.
pub fn tril(x: &Tensor, diagonal: i64) -> Result<Tensor> {
    triangle("tril", x, |i, j| j - i <= diagonal)
}

/// The last two axes with zeros below the `diagonal`-th diagonal.
pub fn triu(x: &Tensor, diagonal: i64) -> Result<Tensor> {
    triangle("triu", x, |i, j| j - i >= diagonal)
}

/// `[.., c · r², h, w]` to `[.., c, h · r, w · r]`.
pub fn pixel_shuffle(x: &Tensor, r: usize) -> Result<Tensor> {
    let rank = x.rank();
    let square = r.checked_mul(r).filter(|&s| s > 0 && rank >= 3 && x.shape()[rank - 3] % s == 0);
    let Some(square) = square else {
        return Err(ShapeError(format!("pixel_shuffle by {r} does not fit shape {}", show(x.shape()))).into());
    };
    let (c, h, w) = (x.shape()[rank - 3] / square, x.shape()[rank - 2], x.shape()[rank - 1]);
    let lead: usize = x.shape()[..rank - 3].iter().product();
    let mut shape: Shape = x.shape()[..rank - 3].into();
    shape.extend([c, h * r, w * r]);
    x.reshape_to(&[lead, c, r, r, h, w])?.permute(&[0, 1, 4, 2, 5, 3])?.reshape_to(&shape)
}

/// Classes as rows of zeros with a single 1: `[..]` of ids to `[.., classes]`, `Int64`.
pub fn one_hot(ids: &Tensor, classes: usize) -> Result<Tensor> {
    let places = crate::ops::index::ids(ids, 0, classes, false)?;
    let mut shape: Shape = ids.shape().into();
    shape.push(classes);
    let mut buffer = Buffer::zeroed::<i64>(rules::numel(&shape)?)?;
    for (row, id) in buffer.as_mut_slice::<i64>().chunks_mut(classes.max(1)).zip(places) {
        row[id] = 1;
    }
    Ok(Tensor::from_buffer(buffer, DType::I64, &shape))
}
