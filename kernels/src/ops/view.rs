//! Other looks at the same elements: no data moves unless it must.

use smallvec::{SmallVec, smallvec};
use stark_shapes::{Shape, ShapeError, rules};

use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_bytes, check_rank, contiguous_strides, wrap_index};

impl Tensor {
    /// The same elements in row-major order under other sizes; one size may be -1. Shares when strides allow.
    pub fn reshape(&self, sizes: &[i64]) -> Result<Tensor> {
        let shape = rules::reshape(self.shape(), &rules::sizes(sizes)?)?;
        self.reshape_to(&shape)
    }

    /// As [`Tensor::reshape`] with plain sizes.
    pub fn reshape_to(&self, shape: &[usize]) -> Result<Tensor> {
        check_rank(shape)?;
        if rules::numel(shape)? != self.numel() {
            rules::reshape(self.shape(), &shape.iter().map(|&n| rules::Size::Is(n)).collect::<Vec<_>>())?;
        }
        match strides_after_reshape(self.shape(), self.strides(), shape) {
            Some(strides) => Ok(self.view(shape.into(), strides, self.offset())),
            None => self.copied()?.reshape_to(shape),
        }
    }

    /// As [`Tensor::reshape`], but an error where elements would have to move.
    pub fn view_as(&self, sizes: &[i64]) -> Result<Tensor> {
        let shape = rules::reshape(self.shape(), &rules::sizes(sizes)?)?;
        check_rank(&shape)?;
        match strides_after_reshape(self.shape(), self.strides(), &shape) {
            Some(strides) => Ok(self.view(shape, strides, self.offset())),
            None => Err(ShapeError(format!(
                "shape {} with strides {} has no view as {}: use reshape",
                stark_shapes::show(self.shape()),
                stark_shapes::show(self.strides()),
                stark_shapes::show(&shape)
            ))
            .into()),
        }
    }

    pub fn permute(&self, order: &[i64]) -> Result<Tensor> {
        let shape = rules::permute(self.shape(), order)?;
        // By now it is known to name each axis once.
        let rank = self.rank() as i64;
        let mut strides = shape.clone();
        for (to, &axis) in strides.iter_mut().zip(order) {
            *to = self.strides()[(if axis < 0 { axis + rank } else { axis }) as usize];
        }
        Ok(self.view(shape, strides, self.offset()))
    }

    pub fn transpose(&self, a: i64, b: i64) -> Result<Tensor> {
        let shape = rules::transpose(self.shape(), a, b)?;
        let strides = rules::transpose(self.strides(), a, b)?;
        Ok(self.view(shape, strides, self.offset()))
    }

    /// A matrix turned over; `t()` of PyTorch.
    pub fn t(&self) -> Result<Tensor> {
        match self.rank() {
            0 | 1 => Ok(self.clone()),
            2 => self.transpose(0, 1),
            _ => {
                Err(ShapeError(format!("t needs rank 2 or less, not shape {}", stark_shapes::show(self.shape())))
                    .into())
            }
        }
    }

    pub fn unsqueeze(&self, axis: i64) -> Result<Tensor> {
        let at = rules::insert_axis(axis, self.rank())?;
        let shape = rules::unsqueeze(self.shape(), axis)?;
        check_rank(&shape)?;
        let mut strides: Shape = self.strides().into();
        strides.insert(at, 1);
        Ok(self.view(shape, strides, self.offset()))
    }

    /// Without the axes of size 1 among `axes` (none given: among all).
    pub fn squeeze(&self, axes: &[i64]) -> Result<Tensor> {
        let axes = rules::axes(axes, self.rank())?;
        let keep = |i: &usize| !(axes.contains(i) && self.shape()[*i] == 1);
        let shape = (0..self.rank()).filter(keep).map(|i| self.shape()[i]).collect();
        let strides = (0..self.rank()).filter(keep).map(|i| self.strides()[i]).collect();
        Ok(self.view(shape, strides, self.offset()))
    }

    /// Axes of size 1 stretched and new leading axes added, without a copy.
    pub fn expand(&self, shape: &[usize]) -> Result<Tensor> {
        check_rank(shape)?;
        rules::broadcast_to(self.shape(), shape)?;
        check_bytes(shape, self.dtype())?;
        Ok(self.view(shape.into(), expanded_strides(self, shape), self.offset()))
    }

    /// As [`Tensor::expand`] with PyTorch's -1 for "as it is".
    pub fn expand_sizes(&self, sizes: &[i64]) -> Result<Tensor> {
        let lead = sizes.len().saturating_sub(self.rank());
        let mut shape: Shape = Shape::new();
        for (i, &n) in sizes.iter().enumerate() {
            let dim = match n {
                -1 if i >= lead => self.shape().get(i - lead).copied(),
                _ => usize::try_from(n).ok(),
            };
            shape.push(dim.ok_or_else(|| ShapeError(format!("a dimension cannot be {n}")))?);
        }
        self.expand(&shape)
    }

    pub fn expand_as(&self, other: &Tensor) -> Result<Tensor> {
        self.expand(other.shape())
    }

    /// Axes `start..=end` joined.
    pub fn flatten(&self, start: i64, end: i64) -> Result<Tensor> {
        self.reshape_to(&rules::flatten(self.shape(), start, end)?)
    }

    /// One axis split into `sizes`, of which one may be -1.
    pub fn unflatten(&self, axis: i64, sizes: &[i64]) -> Result<Tensor> {
        let n = self.size(axis)?;
        let at = rules::axis(axis, self.rank())?;
        let inner = rules::reshape(&[n], &rules::sizes(sizes)?)?;
        let mut shape: Shape = self.shape()[..at].into();
        shape.extend(inner);
        shape.extend_from_slice(&self.shape()[at + 1..]);
        self.reshape_to(&shape)
    }

    /// Index `index` of `axis`, which disappears.
    pub fn select(&self, axis: i64, index: i64) -> Result<Tensor> {
        let at = rules::axis(axis, self.rank().max(1))?;
        let wrapped = self.shape().get(at).map(|&size| wrap_index(index, at, size)).transpose()?;
        let shape = rules::select(self.shape(), axis, index)?;
        let index = wrapped.unwrap_or_default();
        let mut strides: Shape = self.strides().into();
        let step = strides.remove(at);
        let offset = if shape.contains(&0) { self.offset() } else { self.offset() + index * step };
        Ok(self.view(shape, strides, offset))
    }

    /// `start..end` by `step` along `axis`, clipped to the axis as Python slices are.
    pub fn slice(&self, axis: i64, start: i64, end: i64, step: i64) -> Result<Tensor> {
        let shape = rules::slice(self.shape(), axis, start, end, step)?;
        let at = rules::axis(axis, self.rank())?;
        let (start, _) = rules::clip(self.shape()[at], start, end);
        let mut strides: Shape = self.strides().into();
        let offset = if shape.contains(&0) { self.offset() } else { self.offset() + start * strides[at] };
        // One element or none left: the stride is never used and might overflow.
        strides[at] = if shape[at] > 1 { strides[at].saturating_mul(step as usize) } else { strides[at] };
        Ok(self.view(shape, strides, offset))
    }

    /// `length` elements of `axis` from `start`; unlike [`Tensor::slice`] they must all be there.
    pub fn narrow(&self, axis: i64, start: i64, length: usize) -> Result<Tensor> {
        let n = self.size(axis)?;
        let first = if start < 0 { start.saturating_add(n as i64) } else { start };
        let end = usize::try_from(first).ok().and_then(|s| s.checked_add(length)).filter(|&e| e <= n);
        match end {
            Some(end) => self.slice(axis, first, end as i64, 1),
            None => Err(ShapeError(format!("{length} elements from {start} leave axis {axis}, which is {n}")).into()),
        }
    }

    /// Views of `sizes[i]` elements each along `axis`; together they are the whole axis.
    pub fn split_sizes(&self, sizes: &[usize], axis: i64) -> Result<Vec<Tensor>> {
        let n = self.size(axis)?;
        let total = sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s));
        if total != Some(n) {
            return Err(
                ShapeError(format!("pieces {} are not axis {axis}, which is {n}", stark_shapes::show(sizes))).into()
            );
        }
        let mut start = 0;
        sizes
            .iter()
            .map(|&size| {
                start += size;
                self.slice(axis, (start - size) as i64, start as i64, 1)
            })
            .collect()
    }

    /// Views of `size` elements each along `axis`; the last may be smaller.
    pub fn split(&self, size: usize, axis: i64) -> Result<Vec<Tensor>> {
        let n = self.size(axis)?;
        if size == 0 && n > 0 {
            return Err(TensorError::Argument(format!("pieces of size 0 never fill axis {axis}, which is {n}")));
        }
        let mut sizes = vec![size; n / size.max(1)];
        if n == 0 || n % size.max(1) > 0 {
            sizes.push(n % size.max(1));
        }
        self.split_sizes(&sizes, axis)
    }

    /// At most `chunks` views of equal size along `axis`; the last may be smaller.
    pub fn chunk(&self, chunks: usize, axis: i64) -> Result<Vec<Tensor>> {
        if chunks == 0 {
            return Err(TensorError::Argument("chunk needs at least one piece".into()));
        }
        let n = self.size(axis)?;
        if n == 0 {
            return self.split_sizes(&vec![0; chunks.min(MAX_EMPTY_CHUNKS)], axis);
        }
        self.split(n.div_ceil(chunks), axis)
    }

    /// One view per index of `axis`.
    pub fn unbind(&self, axis: i64) -> Result<Vec<Tensor>> {
        (0..self.size(axis)?).map(|i| self.select(axis, i as i64)).collect()
    }

    /// The diagonal of axes `a` and `b`, `offset` above it, as the last axis.
    pub fn diagonal(&self, offset: i64, a: i64, b: i64) -> Result<Tensor> {
        let (a, b) = (rules::axis(a, self.rank())?, rules::axis(b, self.rank())?);
        if a == b || self.rank() < 2 {
            return Err(ShapeError(format!("diagonal needs two axes, not {a} and {b} of rank {}", self.rank())).into());
        }
        let down = usize::try_from(offset.saturating_neg()).unwrap_or(0);
        let right = usize::try_from(offset).unwrap_or(0);
        let n = self.shape()[a].saturating_sub(down).min(self.shape()[b].saturating_sub(right));
        let keep = |i: &usize| *i != a && *i != b;
        let mut shape: Shape = (0..self.rank()).filter(keep).map(|i| self.shape()[i]).collect();
        let mut strides: Shape = (0..self.rank()).filter(keep).map(|i| self.strides()[i]).collect();
        let start = if n > 0 { down * self.strides()[a] + right * self.strides()[b] } else { 0 };
        strides.push(self.strides()[a].saturating_add(self.strides()[b]));
        shape.push(n);
        let start = if shape.contains(&0) { 0 } else { start };
        Ok(self.view(shape, strides, self.offset() + start))
    }

    /// Windows of `size` every `step` along `axis`, as a new last axis.
    pub fn unfold(&self, axis: i64, size: usize, step: usize) -> Result<Tensor> {
        let n = self.size(axis)?;
        let at = rules::axis(axis, self.rank())?;
        if size > n || step == 0 {
            return Err(ShapeError(format!("windows of {size} by {step} do not fit axis {at}, which is {n}")).into());
        }
        let (mut shape, mut strides): (Shape, Shape) = (self.shape().into(), self.strides().into());
        shape[at] = (n - size) / step + 1;
        shape.push(size);
        strides.push(strides[at]);
        strides[at] = if shape[at] > 1 { strides[at].saturating_mul(step) } else { strides[at] };
        check_rank(&shape)?;
        check_bytes(&shape, self.dtype())?;
        Ok(self.view(shape, strides, self.offset()))
    }

    /// Axis `from` moved to place `to`.
    pub fn movedim(&self, from: i64, to: i64) -> Result<Tensor> {
        let (from, to) = (rules::axis(from, self.rank())?, rules::axis(to, self.rank())?);
        let mut order: SmallVec<[i64; 6]> = (0..self.rank() as i64).filter(|&i| i != from as i64).collect();
        if self.rank() > 0 {
            order.insert(to, from as i64);
        }
        self.permute(&order)
    }
}

/// An empty axis gives as many empty chunks as asked for, up to this many.
const MAX_EMPTY_CHUNKS: usize = 1 << 16;

/// Strides of `x` seen with the larger `shape`: 0 where it is stretched.
pub(crate) fn expanded_strides(x: &Tensor, shape: &[usize]) -> Shape {
    let lead = shape.len() - x.rank();
    let mut strides: Shape = smallvec![0; shape.len()];
    for i in 0..x.rank() {
        strides[lead + i] = if x.shape()[i] == 1 && shape[lead + i] != 1 { 0 } else { x.strides()[i] };
    }
    strides
}

/// Strides under which `to` sees the same elements in the same order, if there are any.
fn strides_after_reshape(from: &[usize], strides: &[usize], to: &[usize]) -> Option<Shape> {
    if from.contains(&0) {
        return Some(contiguous_strides(to));
    }
    // Runs of old axes that lie one after the other, as (elements, stride of the last).
    let mut runs: SmallVec<[(usize, usize); 6]> = SmallVec::new();
    for (&n, &stride) in from.iter().zip(strides) {
        if n == 1 {
            continue;
        }
        match runs.last_mut() {
            Some((count, last)) if *last == stride.wrapping_mul(n) => {
                *count *= n;
                *last = stride;
            }
            _ => runs.push((n, stride)),
        }
    }
    // New axes, from the last, must each end exactly where a run ends.
    let mut out: Shape = smallvec![1; to.len()];
    let mut left = 1;
    let mut step = 1;
    for i in (0..to.len()).rev() {
        if to[i] == 1 {
            out[i] = step;
            continue;
        }
        if left == 1 {
            (left, step) = runs.pop()?;
        }
        if left % to[i] != 0 {
            return None;
        }
        out[i] = step;
        left /= to[i];
        step = step.wrapping_mul(to[i]);
    }
    (left == 1 && runs.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iota(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        Tensor::from_vec((0..n as i64).collect(), shape).unwrap()
    }

    fn ints(x: &Tensor) -> Vec<i64> {
        x.to_vec().unwrap()
    }

    #[test]
    fn views_share_and_show_the_right_elements() {
        let x = iota(&[2, 3]);
        for (view, shape, want) in [
            (x.transpose(0, 1).unwrap(), &[3, 2][..], vec![0, 3, 1, 4, 2, 5]),
            (x.reshape(&[3, -1]).unwrap(), &[3, 2], vec![0, 1, 2, 3, 4, 5]),
            (x.select(0, -1).unwrap(), &[3], vec![3, 4, 5]),
            (x.select(1, 1).unwrap(), &[2], vec![1, 4]),
            (x.slice(1, 0, 3, 2).unwrap(), &[2, 2], vec![0, 2, 3, 5]),
            (x.unsqueeze(1).unwrap(), &[2, 1, 3], vec![0, 1, 2, 3, 4, 5]),
            (
                x.unsqueeze(-1).unwrap().expand(&[2, 3, 2]).unwrap(),
                &[2, 3, 2],
                vec![0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
            ),
            (x.diagonal(1, 0, 1).unwrap(), &[2], vec![1, 5]),
            (x.unfold(1, 2, 1).unwrap(), &[2, 2, 2], vec![0, 1, 1, 2, 3, 4, 4, 5]),
            (x.transpose(0, 1).unwrap().unsqueeze(0).unwrap().squeeze(&[]).unwrap(), &[3, 2], vec![0, 3, 1, 4, 2, 5]),
        ] {
            assert_eq!((view.shape(), ints(&view)), (shape, want));
            assert!(view.shares_storage_with(&x));
        }
        let moved = x.transpose(0, 1).unwrap().reshape(&[6]).unwrap();
        assert!(!moved.shares_storage_with(&x));
        assert_eq!(ints(&moved), [0, 3, 1, 4, 2, 5]);
        assert!(x.transpose(0, 1).unwrap().view_as(&[6]).is_err());
    }

    #[test]
    fn reshape_keeps_what_strides_allow() {
        let x = iota(&[2, 3, 4]);
        let turned = x.permute(&[2, 0, 1]).unwrap();
        // [4, 2, 3] with strides [1, 12, 4]: the last two axes still lie one after the other.
        let joined = turned.reshape(&[4, 6]).unwrap();
        assert!(joined.shares_storage_with(&x));
        assert_eq!(ints(&joined), ints(&turned));
        let split = x.expand(&[2, 3, 4]).unwrap().reshape(&[2, 1, 3, 2, 2]).unwrap();
        assert_eq!(split.strides(), [12, 12, 4, 2, 1]);
        assert_eq!(iota(&[0, 3]).reshape(&[3, 0]).unwrap().shape(), [3, 0]);
    }

    #[test]
    fn writes_are_not_seen_by_other_tensors() {
        let mut a = iota(&[2, 2]);
        let b = a.clone();
        a.set(&[0, -1], 9).unwrap();
        assert_eq!((ints(&a), ints(&b)), (vec![0, 9, 2, 3], vec![0, 1, 2, 3]));
        a.assign(|t| t.select(0, 1), &Tensor::from_vec(vec![7.5f32], &[1]).unwrap()).unwrap();
        assert_eq!(ints(&a), [0, 9, 7, 7]);
        let column = a.select(1, 0).unwrap();
        a.assign(|t| t.select(1, 1), &column).unwrap();
        assert_eq!((ints(&a), ints(&column)), (vec![0, 0, 7, 7], vec![0, 7]));
        assert_eq!(a.set(&[2, 0], 1), Err(TensorError::Index { index: 2, axis: 0, size: 2 }));
    }

    #[test]
    fn pieces() {
        let x = iota(&[5]);
        let show = |pieces: Vec<Tensor>| pieces.iter().map(ints).collect::<Vec<_>>();
        assert_eq!(show(x.split(2, 0).unwrap()), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(show(x.chunk(4, 0).unwrap()), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(show(x.split_sizes(&[1, 4], -1).unwrap()), [vec![0], vec![1, 2, 3, 4]]);
        assert!(x.split_sizes(&[1, 5], 0).is_err() && x.split(0, 0).is_err() && x.narrow(0, 3, 3).is_err());
    }

    #[test]
    fn strided_views_stay_inside_their_storage() {
        let x = iota(&[6]);
        assert_eq!(ints(&x.as_strided(&[2, 2], &[3, 1], 1).unwrap()), [1, 2, 4, 5]);
        assert_eq!(x.as_strided(&[0, 9], &[3, 1], 6).unwrap().numel(), 0);
        for (shape, strides, offset) in
            [(&[2, 2][..], &[4, 2][..], 0), (&[7], &[1], 0), (&[2], &[usize::MAX], 1), (&[1], &[1], 6)]
        {
            assert!(x.as_strided(shape, strides, offset).is_err());
        }
    }

    #[test]
    fn conversions_are_pytorchs() {
        use stark_shapes::DType::*;
        let x = Tensor::from_vec(vec![-1.7f32, 0.0, 2.9], &[3]).unwrap();
        assert_eq!(ints(&x.to(I64).unwrap()), [-1, 0, 2]);
        assert_eq!(x.to(Bool).unwrap().to_vec::<bool>().unwrap(), [true, false, true]);
        assert_eq!(x.to(U8).unwrap().to_vec::<u8>().unwrap(), [255, 0, 2]);
        assert_eq!(x.to(BF16).unwrap().to(F32).unwrap().to_vec::<f32>().unwrap(), [-1.703125, 0.0, 2.90625]);
        assert!(iota(&[2]).to(Bool).unwrap().to(F16).unwrap().item().is_err());
    }
}
