//! Walking several strided tensors of one shape in step.
//!
//! Neighbouring axes that lie one after the other in every operand are merged first, so a contiguous
//! operation of any rank is one row, and a broadcast one has as few rows as it can.

use std::ops::Range;

use smallvec::SmallVec;

struct Axis<const N: usize> {
    size: usize,
    strides: [usize; N],
}

/// A merged loop nest over `N` operands.
pub struct Walk<const N: usize> {
    axes: SmallVec<[Axis<N>; 4]>,
    start: [usize; N],
    numel: usize,
}

impl<const N: usize> Walk<N> {
    /// `strides[k]` belong to operand `k` and have the rank of `shape`; `start[k]` is its first element.
    pub fn new(shape: &[usize], strides: [&[usize]; N], start: [usize; N]) -> Walk<N> {
        let mut axes: SmallVec<[Axis<N>; 4]> = SmallVec::new();
        for (i, &size) in shape.iter().enumerate() {
            let here = strides.map(|s| s[i]);
            if size == 1 {
                continue;
            }
            if let Some(outer) = axes.last_mut() {
                if (0..N).all(|k| outer.strides[k] == here[k].wrapping_mul(size)) {
                    outer.size *= size;
                    outer.strides = here;
                    continue;
                }
            }
            axes.push(Axis { size, strides: here });
        }
        if axes.is_empty() {
            axes.push(Axis { size: 1, strides: [1; N] });
        }
        // A zero anywhere makes the product zero even where the other sizes are absurd.
        let numel = if shape.contains(&0) { 0 } else { axes.iter().map(|a| a.size).product() };
        Walk { axes, start, numel }
    }

    pub fn numel(&self) -> usize {
        self.numel
    }

    /// Strides along the innermost merged axis.
    pub fn inner(&self) -> [usize; N] {
        self.axes[self.axes.len() - 1].strides
    }

    /// Rows and columns of each matrix, when this walks row by row over matrices that lie column by column, one after the
    /// other from the start on.
    pub fn transposed(&self) -> Option<[usize; 2]> {
        let (stacks, [rows, columns]) = self.axes.split_last_chunk::<2>()?;
        let lies_by_columns = rows.strides == [1; N] && columns.strides == [rows.size; N];
        let one_by_one = match stacks {
            [] => true,
            [stack] => stack.strides == [rows.size * columns.size; N],
            _ => false,
        };
        (lies_by_columns && one_by_one && self.start == [0; N]).then_some([rows.size, columns.size])
    }

    /// Calls `row(first, length)` for runs along the innermost axis that cover elements `range` in order.
    #[inline(always)]
    pub fn rows(&self, range: Range<usize>, mut row: impl FnMut([usize; N], usize)) {
        if range.is_empty() {
            return;
        }
        let rank = self.axes.len();
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, rank);
        let mut rest = range.start;
        let mut at = self.start;
        for i in (0..rank).rev() {
            let axis = &self.axes[i];
            index[i] = rest % axis.size;
            rest /= axis.size;
            for k in 0..N {
                at[k] += index[i] * axis.strides[k];
            }
        }
        let inner = &self.axes[rank - 1];
        let mut left = range.len();
        loop {
            let length = (inner.size - index[rank - 1]).min(left);
            row(at, length);
            left -= length;
            if left == 0 {
                return;
            }
            for k in 0..N {
                at[k] -= index[rank - 1] * inner.strides[k];
            }
            index[rank - 1] = 0;
            for i in (0..rank - 1).rev() {
                let axis = &self.axes[i];
                index[i] += 1;
                if index[i] < axis.size {
                    for k in 0..N {
                        at[k] += axis.strides[k];
                    }
                    break;
                }
                index[i] = 0;
                for k in 0..N {
                    at[k] -= (axis.size - 1) * axis.strides[k];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_by_columns_are_copied_by_rows() {
        use crate::{DType, Tensor};
        for [n, rows, columns] in [[3, 5, 7], [1, 40, 33], [2, 17, 4], [2, 300, 200], [4, 1, 6], [4, 6, 1], [0, 3, 2]] {
            let numbers = (0..n * rows * columns).map(|i| (i % 251) as f32).collect();
            let plain = Tensor::from_vec(numbers, &[n, columns, rows]).unwrap();
            for dtype in [DType::F32, DType::U8, DType::F64, DType::F16] {
                let turned = plain.to(dtype).unwrap().permute(&[0, 2, 1]).unwrap();
                let copied = turned.copied().unwrap().to(DType::F32).unwrap().to_vec::<f32>().unwrap();
                for (at, got) in copied.into_iter().enumerate() {
                    let (matrix, row, column) = (at / columns / rows, at / columns % rows, at % columns);
                    let want = ((matrix * columns + column) * rows + row) % 251;
                    assert_eq!(got, want as f32, "{dtype} {n} {rows} {columns} at {at}");
                }
            }
        }
    }

    #[test]
    fn neighbouring_axes_merge_and_ranges_join_up() {
        let flat = Walk::new(&[2, 3, 4], [&[12, 4, 1]], [5]);
        assert_eq!((flat.numel(), flat.axes.len()), (24, 1));

        let turned = Walk::new(&[3, 2], [&[1, 3], &[2, 1]], [0, 10]);
        let collect = |range| {
            let mut seen = vec![];
            turned.rows(range, |[a, b], n| seen.extend((0..n).map(|i| (a + i * 3, b + i))));
            seen
        };
        let all = collect(0..6);
        assert_eq!(all, [(0, 10), (3, 11), (1, 12), (4, 13), (2, 14), (5, 15)]);
        for cut in 0..=6 {
            assert_eq!([collect(0..cut), collect(cut..6)].concat(), all);
        }
        assert_eq!(Walk::new(&[0, 3], [&[3, 1]], [0]).numel(), 0);
        assert_eq!(Walk::new(&[], [&[]], [7]).numel(), 1);
    }
}
