//! Matrices and windows, wherever they lie, to panels of 32 columns ([`super::panels`]).
//!
//! What is packed are words of four bytes at any address: the weights of a model are packed from its file, and no file aligns
//! them. Some of them are read at a time, in the order of the file. Where a row of the panel is a column in memory, they are
//! turned in blocks of 16 by 16, so that whole lines of the cache are written.

use super::buffer::bytes_of;
use super::gemm::Mat;
use super::pages::{Word, Words};
use super::simd::level;
use super::tile::WIDTH;

/// Words of numbers.
pub fn words(numbers: &[f32]) -> &[Word] {
    bytes_of(numbers).as_chunks().0
}

/// Rows that are packed into all panels before the next ones, so that a line of them is read from memory once.
const PACKED_ROWS: usize = 64;
/// Numbers of such rows: 512 KiB, which the second-level cache holds.
const PACKED: usize = 128 << 10;

/// Packs `b` into `data`, which has room for whole panels; zeros follow the last column.
pub fn fill(data: &mut [f32], b: Mat<f32>) {
    fill_words(data, Words::here(words(b.data())), [b.rows(), b.cols()], [b.row_stride(), b.col_stride()]);
}

/// As [`fill`], from a matrix of these sizes and strides, which lies inside `from`.
pub fn fill_words(data: &mut [f32], from: Words, [rows, cols]: [usize; 2], [row_stride, col_stride]: [usize; 2]) {
    if rows == 0 || cols == 0 {
        return;
    }
    let width = |j: usize| WIDTH.min(cols - j * WIDTH);
    let mut room = Vec::new();
    if col_stride == 1 {
        let together = (PACKED / row_stride.max(1)).clamp(4, PACKED_ROWS);
        for first in (0..rows).step_by(together) {
            let last = (first + together).min(rows) - 1;
            let from = from.part(first * row_stride..last * row_stride + cols, &mut room);
            for (j, panel) in data.chunks_mut(rows * WIDTH).enumerate() {
                let n = width(j);
                let rows = panel.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate();
                for (k, row) in rows.skip(first).take(together) {
                    let from = &from[(k - first) * row_stride + j * WIDTH..][..n];
                    match from.first_chunk::<WIDTH>() {
                        // A loop of known length, which is a copy.
                        Some(from) => row.iter_mut().zip(from).for_each(|(x, from)| *x = f32::from_ne_bytes(*from)),
                        None => {
                            row.iter_mut().zip(from).for_each(|(x, from)| *x = f32::from_ne_bytes(*from));
                            row[n..].fill(0.0);
                        }
                    }
                }
            }
        }
        return;
    }
    for (j, panel) in data.chunks_mut(rows * WIDTH).enumerate() {
        let n = width(j);
        let panel = panel.as_chunks_mut::<WIDTH>().0;
        let first = j * WIDTH * col_stride;
        if row_stride == 1 {
            let from = from.part(first..first + (n - 1) * col_stride + rows, &mut room);
            // A transposed matrix: its columns are rows in memory.
            turn(panel, from, col_stride, n);
            continue;
        }
        for (k, row) in panel.iter_mut().enumerate() {
            for (i, x) in row[..n].iter_mut().enumerate() {
                *x = f32::from_ne_bytes(from.mapped()[first + k * row_stride + i * col_stride]);
            }
            row[n..].fill(0.0);
        }
    }
}

/// The windows `weights [n, c, taps]` of the outputs of one panel, some channels at a time: `see` gets the first of them, and
/// for each number of theirs a row of all outputs, zeros after the last.
pub fn each_window(weights: Words, n: usize, c: usize, taps: usize, mut see: impl FnMut(usize, &[[f32; WIDTH]])) {
    /// Rows that the first-level cache holds while they are turned and used.
    const ROWS: usize = 160;
    let mut rows = [[0.0; WIDTH]; ROWS];
    let step = c * taps;
    let mut room = Vec::new();
    let weights = weights.part(0..n * step, &mut room);
    if taps > ROWS {
        // A window so large is turned in parts.
        for first in (0..step).step_by(ROWS) {
            let rows = &mut rows[..ROWS.min(step - first)];
            turn(rows, &weights[first..], step, n);
            see(first, rows);
        }
        return;
    }
    let together = ROWS / taps;
    for first in (0..c).step_by(together) {
        let rows = &mut rows[..together.min(c - first) * taps];
        turn(rows, &weights[first * taps..], step, n);
        see(first * taps, rows);
    }
}

/// `rows[k][i] = from[i * step + k]` for the first `n` columns; zeros follow.
fn turn(rows: &mut [[f32; WIDTH]], from: &[Word], step: usize, n: usize) {
    /// Numbers of a block's side.
    const SIDE: usize = 16;
    let whole = match level() {
        #[cfg(target_arch = "x86_64")]
        super::simd::Level::Avx512 => rows.len() / SIDE * SIDE,
        _ => 0,
    };
    #[cfg(target_arch = "x86_64")]
    for first in (0..whole).step_by(SIDE) {
        for left in (0..n / SIDE * SIDE).step_by(SIDE) {
            let columns = std::array::from_fn(|i| &from[(left + i) * step + first..][..SIDE]);
            let rows = &mut rows[first..first + SIDE];
            // SAFETY: `level` names features that were detected; columns and rows have 16 numbers, and `left` is at most 16.
            unsafe { turn_block(columns, rows.as_mut_ptr().cast::<f32>().add(left), WIDTH) };
        }
    }
    // Of the rest four columns at a time, so that a line is written seldom.
    for (range, first) in [(0..whole, n / SIDE * SIDE), (whole..rows.len(), 0)] {
        for left in (first..n).step_by(4) {
            let columns: [&[Word]; 4] = std::array::from_fn(|i| &from[(left + i).min(n - 1) * step..]);
            let width = 4.min(n - left);
            for k in range.clone() {
                let mut numbers = [0.0; 4];
                for (x, column) in numbers.iter_mut().zip(columns) {
                    *x = f32::from_ne_bytes(column[k]);
                }
                match rows[k][left..].first_chunk_mut::<4>() {
                    Some(line) if width == 4 => *line = numbers,
                    _ => rows[k][left..left + width].copy_from_slice(&numbers[..width]),
                }
            }
        }
    }
    if n < WIDTH {
        rows.iter_mut().for_each(|row| row[n..].fill(0.0));
    }
}

/// Turns a block: 16 columns become rows, `step` numbers apart.
///
/// # Safety
/// The features were detected, columns have 16 numbers, and so many may be written.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn turn_block(columns: [&[Word]; 16], to: *mut f32, step: usize) {
    use std::arch::x86_64::*;
    let zero = _mm512_setzero_ps();
    let mut x = [zero; 16];
    // Loops and no closures: those would not be compiled for these vectors.
    for (x, column) in x.iter_mut().zip(columns) {
        // SAFETY: a column has 16 numbers, as the caller promises; they may lie at any address.
        *x = unsafe { _mm512_loadu_ps(column.as_ptr().cast()) };
    }
    // Numbers of two columns side by side, then of four; the quarter of a vector is from the four rows 4 · quarter + i.
    let [mut pairs, mut fours] = [[zero; 16]; 2];
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]);
    }
    for i in 0..4 {
        let (a, b) = (_mm512_castps_pd(pairs[4 * i]), _mm512_castps_pd(pairs[4 * i + 1]));
        let (c, d) = (_mm512_castps_pd(pairs[4 * i + 2]), _mm512_castps_pd(pairs[4 * i + 3]));
        fours[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        fours[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        fours[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        fours[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    // Quarters that belong together.
    for i in 0..4 {
        let even = _mm512_shuffle_f32x4::<0x88>(fours[i], fours[4 + i]);
        let odd = _mm512_shuffle_f32x4::<0xdd>(fours[i], fours[4 + i]);
        let late_even = _mm512_shuffle_f32x4::<0x88>(fours[8 + i], fours[12 + i]);
        let late_odd = _mm512_shuffle_f32x4::<0xdd>(fours[8 + i], fours[12 + i]);
        let rows = [
            _mm512_shuffle_f32x4::<0x88>(even, late_even),
            _mm512_shuffle_f32x4::<0x88>(odd, late_odd),
            _mm512_shuffle_f32x4::<0xdd>(even, late_even),
            _mm512_shuffle_f32x4::<0xdd>(odd, late_odd),
        ];
        for (quarter, row) in rows.into_iter().enumerate() {
            // SAFETY: there are 16 rows of 16 numbers, as the caller promises.
            unsafe { _mm512_storeu_ps(to.add((4 * quarter + i) * step), row) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::{Device, with_device};

    #[test]
    fn columns_of_any_number_and_length_become_rows() {
        for n in [1, 4, 15, 16, 17, 30, 31, 32] {
            for k in [1, 7, 16, 33, 160] {
                let (step, mut bytes) = (k + 3, vec![0]);
                let from = numbers(n * step, 1);
                bytes.extend_from_slice(bytes_of(&from));
                for device in Device::ALL {
                    let mut rows = vec![[f32::NAN; WIDTH]; k];
                    with_device(device, || turn(&mut rows, bytes[1..].as_chunks().0, step, n));
                    for (k, row) in rows.iter().enumerate() {
                        let want = |i: usize| if i < n { from[i * step + k] } else { 0.0 };
                        assert!((0..WIDTH).all(|i| row[i] == want(i)), "{n} columns, row {k}");
                    }
                }
            }
        }
    }
}
