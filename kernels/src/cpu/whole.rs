//! Products of matrices of whole numbers, which wrap around; and of a matrix and a vector.

use super::buffer::Buffer;
use super::gemm::Mat;
use super::simd::{Kernel, dispatch};
use crate::error::Result;
use crate::ops::Arith;

/// Rows of the result whose sums stay in registers, and columns: two vectors of `i64`.
const ROWS: usize = 4;
const COLUMNS: usize = 16;

/// `out = a · b`; the columns of `b` are packed, some at a time.
pub fn product<T: Arith>(out: &mut [T], a: Mat<T>, b: Mat<T>) -> Result<()> {
    assert!(out.len() == a.rows() * b.cols() && a.cols() == b.rows(), "matrix sizes agree");
    let mut packed = Buffer::for_overwrite::<T>(b.rows() * COLUMNS)?;
    let packed = packed.as_mut_slice::<T>();
    for first in (0..b.cols()).step_by(COLUMNS) {
        let width = COLUMNS.min(b.cols() - first);
        for (k, row) in packed.chunks_exact_mut(COLUMNS).enumerate() {
            row[..width].iter_mut().enumerate().for_each(|(j, o)| *o = b.data()[b.place(k, first + j)]);
            row[width..].fill(T::zero());
        }
        dispatch(Panel { out, a, packed, first, width, n: b.cols() });
    }
    Ok(())
}

/// Some columns of the result, from `first` on.
struct Panel<'a, T> {
    out: &'a mut [T],
    a: Mat<'a, T>,
    packed: &'a [T],
    first: usize,
    width: usize,
    n: usize,
}

impl<T: Arith> Kernel for Panel<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Panel { out, a, packed, first, width, n } = self;
        for row in (0..a.rows()).step_by(ROWS) {
            // Rows that are not there are the last one again.
            let rows: [usize; ROWS] = std::array::from_fn(|i| (row + i).min(a.rows() - 1));
            let mut sums = [[T::zero(); COLUMNS]; ROWS];
            for (k, right) in packed.as_chunks::<COLUMNS>().0.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let left = a.data()[a.place(row, k)];
                    for j in 0..COLUMNS {
                        sums[j] = sums[j].add(left.mul(right[j]));
                    }
                }
            }
            for (sums, row) in sums.iter().zip(rows) {
                out[row * n + first..][..width].copy_from_slice(&sums[..width]);
            }
        }
    }
}

/// `out[i] = a[i] · x`, the rows of `a` without gaps and `x` its numbers side by side.
pub fn times_vector(out: &mut [f32], a: Mat<f32>, x: &[f32]) {
    assert!(out.len() == a.rows() && x.len() == a.cols() && a.col_stride() == 1, "sizes agree");
    dispatch(TimesVector { out, a, x });
}

struct TimesVector<'a> {
    out: &'a mut [f32],
    a: Mat<'a, f32>,
    x: &'a [f32],
}

/// Sums of a row that are kept beside each other: so many that additions need not wait for one another.
const LANES: usize = 32;

impl Kernel for TimesVector<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let TimesVector { out, a, x } = self;
        for (i, o) in out.iter_mut().enumerate() {
            let row = &a.data()[a.place(i, 0)..][..x.len()];
            let mut lanes = [0.0f32; LANES];
            let (blocks, rest) = row.as_chunks::<LANES>();
            let (factors, last) = x.as_chunks::<LANES>();
            for (block, factors) in blocks.iter().zip(factors) {
                for k in 0..LANES {
                    lanes[k] += block[k] * factors[k];
                }
            }
            let mut sum = rest.iter().zip(last).fold(0.0, |sum, (a, x)| sum + a * x);
            let mut width = LANES / 2;
            while width > 0 {
                for k in 0..width {
                    lanes[k] += lanes[k + width];
                }
                width /= 2;
            }
            sum += lanes[0];
            *o = sum;
        }
    }
}
