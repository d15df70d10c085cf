//! `f32` matrix products with the right factor in panels of 32 columns.
//!
//! A panel holds 32 columns, row after row: what a tile ([`super::tile`]) multiplies by. The left factor is read
//! where it lies. Weights of a model are packed once, when it is loaded.
//!
//! Pieces for several cores are cut by sizes alone, and no sum is shared between pieces, so results do not
//! depend on the number of cores.

use std::ops::Range;

use super::buffer::Buffer;
use super::gemm::Mat;
use super::packing::{each_window, fill_words};
use super::pages::Words;
use super::simd::{Kernel, dispatch, level};
use super::split::{CHUNK, fill_chunks};
use super::tile::{self, Ahead, Depth, FEW, Rows, Tile, tallest};
use crate::error::Result;
use crate::parallel;

pub use super::factor::PanelView;
pub use super::tile::{Finish, MAX_ROWS, Target, WIDTH};

/// The most rows of a piece,
const TOGETHER: usize = 16 * MAX_ROWS;
/// and the fewest that are cut apart,
const APART: usize = 24;
/// where the weights are so many numbers at most (512 KiB): each core has all of them in its second-level cache.
const CACHED: usize = 128 << 10;
/// Other weights come from memory: a core computes so many multiplications while it reads one of them (28 GB/s beside 88 billion a
/// second, measured on an Intel Xeon). Fewer rows take no less time.
const READ: usize = 16;
/// The most pieces of one product, but for heavy ones.
const MAX_PIECES: usize = 64;
/// Floats between rows of a copied left factor, beyond its length: rows a multiple of 4 KiB apart share cache sets.
const PAD: usize = 16;
/// The most rows of a left factor that are copied at a time,
const COPIED: usize = 1024;
/// and panels of a piece that they are copied for.
const MANY_PANELS: usize = 16;

/// A matrix of `rows` by `cols`, packed.
pub struct Panels {
    data: Buffer,
    rows: usize,
    cols: usize,
}

impl Panels {
    /// Packs a matrix of these sizes and strides.
    pub fn pack(from: Words, size: [usize; 2], strides: [usize; 2]) -> Result<Panels> {
        let mut panels = Panels::room(size)?;
        panels.fill(from, strides);
        Ok(panels)
    }

    /// Room for a matrix of these sizes, to be filled. What is not written takes no memory of the system's, but counts.
    pub fn room([rows, cols]: [usize; 2]) -> Result<Panels> {
        Ok(Panels { data: Buffer::lasting::<f32>(Panels::bytes([rows, cols]) / size_of::<f32>())?, rows, cols })
    }

    /// Of the panels for a matrix of these sizes.
    pub fn bytes([rows, cols]: [usize; 2]) -> usize {
        rows.saturating_mul(cols.div_ceil(WIDTH)).saturating_mul(WIDTH * size_of::<f32>())
    }

    /// With a matrix of these strides.
    pub fn fill(&mut self, from: Words, strides: [usize; 2]) {
        let Panels { rows, cols, .. } = *self;
        if rows > 0 && cols > 0 {
            let last = (rows - 1) * strides[0] + (cols - 1) * strides[1];
            assert!(last < from.len(), "a matrix lies inside its storage");
        }
        let data = self.data.as_mut_slice::<f32>();
        let panel = rows * WIDTH;
        // Columns that are rows in memory are read panel by panel; others all panels at once, line by line.
        let at_once = if strides[0] == 1 && panel > 0 { panel * (CHUNK / panel).max(1) } else { data.len() };
        fill_chunks(data, at_once, |start, panels| {
            let first = start / panel.max(1) * WIDTH;
            let size = [rows, (panels.len() / panel.max(1) * WIDTH).min(cols - first)];
            fill_words(panels, from.from(first * strides[1]), size, strides);
        });
    }

    /// The weights `[o, c, taps]` of windows: a row for each number that a window sees, channel by channel for each tap, and a
    /// column for each output.
    pub fn pack_windows(weights: Words, o: usize, c: usize, taps: usize) -> Result<Panels> {
        assert!(weights.len() >= o * c * taps, "weights are whole");
        Panels::make(c * taps, o, |panel, outputs| {
            each_window(weights.from(outputs.start * c * taps), outputs.len(), c, taps, |first, rows| {
                for (at, row) in (first..).zip(rows) {
                    panel[at % taps * c + at / taps] = *row;
                }
            });
        })
    }

    /// Panels of a matrix of `rows` by `cols`, each filled with some columns.
    pub fn make(rows: usize, cols: usize, fill: impl Fn(&mut [[f32; WIDTH]], Range<usize>) + Sync) -> Result<Panels> {
        assert!(rows > 0, "there is something to pack");
        let mut data = Buffer::lasting::<f32>(rows * cols.div_ceil(WIDTH) * WIDTH)?;
        let panel = rows * WIDTH;
        fill_chunks(data.as_mut_slice::<f32>(), panel * (CHUNK / panel).max(1), |start, panels| {
            for (j, panel) in panels.as_chunks_mut::<WIDTH>().0.chunks_mut(rows).enumerate() {
                let first = (start / (rows * WIDTH) + j) * WIDTH;
                fill(panel, first..(first + WIDTH).min(cols));
            }
        });
        Ok(Panels { data, rows, cols })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The matrix, row-major.
    pub fn to_vec(&self) -> Vec<f32> {
        let data = self.data.as_slice::<f32>();
        let at = |row: usize, col: usize| (col / WIDTH * self.rows + row) * WIDTH + col % WIDTH;
        (0..self.rows).flat_map(|row| (0..self.cols).map(move |col| data[at(row, col)])).collect()
    }

    /// What [`Panels::pack_windows`] packed.
    pub fn to_windows(&self, taps: usize) -> Vec<f32> {
        let (matrix, o, c) = (self.to_vec(), self.cols, self.rows / taps);
        (0..o * c * taps).map(|i| matrix[(i % taps * c + i / taps % c) * o + i / taps / c]).collect()
    }

    /// Columns from `j · WIDTH` on, row after row.
    pub fn panel(&self, j: usize) -> &[f32] {
        &self.data.as_slice()[j * self.rows * WIDTH..(j + 1) * self.rows * WIDTH]
    }

    pub fn n_bytes(&self) -> usize {
        self.data.n_bytes()
    }

    pub fn view(&self) -> PanelView<'_> {
        PanelView::new(self.data.as_slice(), self.rows, self.cols)
    }
}

/// `out = finish(a · b)`, row-major.
pub fn product(out: &mut [f32], a: Mat<f32>, b: PanelView, finish: Finish) -> Result<()> {
    let (m, n) = (a.rows(), b.cols());
    assert!(out.len() == m * n, "matrix sizes agree");
    assert!(finish.per_column.is_none_or(|x| x.len() == n) && finish.per_row.is_none_or(|x| x.len() == m));
    assert!(finish.added.is_none_or(|x| x.len() == m * n), "what is added is as large as the result");
    product_in(&Target::new(out, n), a, b, finish)
}

/// As [`product`], to the first columns of the rows of `target`, which nobody else writes.
pub fn product_in(target: &Target, a: Mat<f32>, b: PanelView, finish: Finish) -> Result<()> {
    let (m, n) = (a.rows(), b.cols());
    assert!(a.cols() == b.rows(), "matrix sizes agree");
    if m == 0 || n == 0 {
        return Ok(());
    }
    let panels = n.div_ceil(WIDTH);
    let weights = b.rows().max(1).saturating_mul(n);
    let is_small = weights <= CACHED;
    let work = weights.saturating_mul(if is_small { m } else { m.max(READ) });
    let pieces = (work / parallel::piece(work)).clamp(1, MAX_PIECES.max(work / parallel::HEAVY));
    let cut = Cut::new(m, panels, pieces, lies_badly(a), is_small);
    parallel::run_all(cut.n(), work, |i| {
        dispatch(Piece { a, b, finish, target, rows: cut.rows(i), panels: cut.panels(i) })
    })
}

/// How a product is cut, into shares as equal as can be.
struct Cut {
    m: usize,
    row_pieces: usize,
    /// Shares begin at multiples of so many rows.
    unit: usize,
    n_panels: usize,
    col_pieces: usize,
}

impl Cut {
    /// `m` rows of some panels into about so many pieces. Who computes some rows of a layer has them in its cache for the same rows
    /// of the next, so columns are cut where rows are few, or the weights too many to be in the cache of every core.
    fn new(m: usize, n_panels: usize, pieces: usize, lies_badly: bool, is_small: bool) -> Cut {
        let row_pieces = match (lies_badly, is_small) {
            // Each piece copies its rows, which many columns must pay for.
            (true, _) => {
                let col_pieces = pieces.min(n_panels.div_ceil(MANY_PANELS));
                pieces.div_ceil(col_pieces).min(m.div_ceil(4 * MAX_ROWS)).max(m.div_ceil(COPIED))
            }
            // An even number, for two cores.
            (false, true) => match pieces.min(m / APART) {
                0 | 1 => 1,
                n => n / 2 * 2,
            },
            // So many rows that a panel is read often once it is in the cache, so few that they stay there too.
            (false, false) => pieces.min(m.div_ceil(TOGETHER)),
        };
        let unit = if m / row_pieces >= 3 * MAX_ROWS { MAX_ROWS } else { 1 };
        Cut { m, row_pieces, unit, n_panels, col_pieces: (pieces / row_pieces).clamp(1, n_panels) }
    }

    fn n(&self) -> usize {
        self.row_pieces * self.col_pieces
    }

    fn rows(&self, i: usize) -> Range<usize> {
        let start =
            |i: usize| if i == self.row_pieces { self.m } else { i * self.m / self.row_pieces / self.unit * self.unit };
        let i = i / self.col_pieces;
        start(i)..start(i + 1)
    }

    fn panels(&self, i: usize) -> Range<usize> {
        let start = |i: usize| i * self.n_panels / self.col_pieces;
        let i = i % self.col_pieces;
        start(i)..start(i + 1)
    }
}

/// Whether the rows of a tile share sets of the cache, and drive each other out, or are no rows in memory.
fn lies_badly(a: Mat<f32>) -> bool {
    a.rows() > 1 && a.row_stride() * size_of::<f32>() % 4096 == 0 || a.cols() > 1 && a.col_stride() != 1
}

/// A part of a product for one thread. Whoever makes one promises that nobody else writes its rows and columns of
/// `target`.
pub(super) struct Piece<'a> {
    pub(super) a: Mat<'a, f32>,
    pub(super) b: PanelView<'a>,
    pub(super) finish: Finish<'a>,
    pub(super) target: &'a Target,
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
}

impl Kernel for Piece<'_> {
    type Out = Result<()>;
    #[inline(always)]
    fn run(self) -> Result<()> {
        let level = level();
        let depth = self.b.rows();
        let m = self.rows.len();
        if m <= FEW && (self.a.col_stride() == 1 || depth <= 1) {
            return self.few();
        }
        let height = tile::height(m, tallest(level));
        let tiles = m.div_ceil(height);
        // The depth is the outermost loop, so that a part of the left factor stays in the cache for all panels. Sums
        // are kept between its parts.
        let parts = Depth::parts(1, depth);
        let n_kept = if parts.len() > 1 { tiles * self.panels.len() } else { 0 };
        let mut kept = Buffer::for_overwrite::<f32>(n_kept * size_of::<Tile>() / size_of::<f32>())?;
        let kept = kept.as_mut_slice::<f32>().as_chunks_mut::<WIDTH>().0.as_chunks_mut::<MAX_ROWS>().0;
        let mut fresh = [[0.0; WIDTH]; MAX_ROWS];
        // A part of the depth is copied to where it lies well, and stays in the second-level cache for all panels.
        let lies_badly = lies_badly(self.a);
        let deepest = parts.iter().map(|part| part.of_run().len()).max().unwrap_or(0);
        let step = if lies_badly { deepest + PAD } else { self.a.row_stride() };
        let mut copy = Buffer::for_overwrite::<f32>(if lies_badly { m * step } else { 0 })?;
        let left = &self.a.data()[self.a.place(self.rows.start, 0).min(self.a.data().len())..];
        let mut panels = self.b.walk(self.panels.clone(), deepest)?;
        for (i, part) in parts.iter().enumerate() {
            let rows = match lies_badly {
                true => {
                    self.copy(part.of_run(), copy.as_mut_slice(), step);
                    Rows { data: copy.as_slice(), step, gap: 0, runs: &[0], depth: part.of_run().len() }
                }
                false => part.rows(left, step, &[0]),
            };
            for j in self.panels.clone() {
                let b = panels.panel(j, part.of_run());
                // Of a cut depth the same part of the next panel.
                let next = match parts.get(i + 1) {
                    _ if j + 1 < self.panels.end => self.b.address(j + 1, part.of_run().start),
                    Some(part) => self.b.address(self.panels.start, part.of_run().start),
                    None => None,
                };
                let next = next.unwrap_or(b.as_ptr_range().end);
                let n = WIDTH.min(self.b.cols() - j * WIDTH);
                for t in 0..tiles {
                    let (top, n_rows) = (t * height, height.min(m - t * height));
                    let ahead = Ahead::of(b, next, t, tiles);
                    let (row, rows) = (self.rows.start + top, rows.from(top));
                    let (target, place) = (self.target, [row, j * WIDTH]);
                    // SAFETY: `level` names features that were detected, and the rows and columns of a piece are its own, as its
                    // maker promises.
                    let straight = || unsafe {
                        tile::multiply_straight(level, rows, n_rows, b, ahead, target, place, n, &self.finish)
                    };
                    if parts.len() == 1 && straight() {
                        continue;
                    }
                    let tile = kept.get_mut((j - self.panels.start) * tiles + t).unwrap_or(&mut fresh);
                    // SAFETY: as above.
                    unsafe { tile::multiply(level, rows, n_rows, b, ahead, tile, n <= WIDTH / 2, !part.is_first) };
                    if part.is_last {
                        // SAFETY: as above.
                        unsafe { tile::store(level, &tile[..n_rows], target, row, j * WIDTH, n, &self.finish) };
                    }
                }
            }
        }
        Ok(())
    }
}

impl Piece<'_> {
    /// Copies these columns of the left factor's rows, to rows `step` numbers apart.
    #[inline(always)]
    fn copy(&self, columns: Range<usize>, to: &mut [f32], step: usize) {
        /// Rows whose lines stay in the first-level cache while columns are gone through.
        const ROWS: usize = 16;
        let (a, n) = (self.a, columns.len());
        for (i, to) in to.chunks_mut(ROWS * step).enumerate() {
            let first = self.rows.start + i * ROWS;
            if a.col_stride() == 1 {
                for (i, to) in to.chunks_mut(step).enumerate() {
                    to[..n].copy_from_slice(&a.data()[a.place(first + i, columns.start)..][..n]);
                }
                continue;
            }
            for (k, column) in columns.clone().enumerate() {
                for i in 0..to.len() / step {
                    to[i * step + k] = a.data()[a.place(first + i, column)];
                }
            }
        }
    }

    /// Few rows stay in the cache whole, so each panel is read from one end to the other, and once.
    #[inline(always)]
    fn few(self) -> Result<()> {
        let (level, depth, m) = (level(), self.b.rows(), self.rows.len());
        let left = &self.a.data()[self.a.place(self.rows.start, 0).min(self.a.data().len())..];
        let rows = Rows { data: left, step: self.a.row_stride(), gap: 0, runs: &[0], depth };
        let mut tiles = [[[0.0; WIDTH]; MAX_ROWS]; 2];
        // The first half of the panels beside the second.
        let Range { start, end } = self.panels;
        let half = (end - start).div_ceil(2);
        let mut one = self.b.walk(start..start + half, depth)?;
        let mut two = self.b.walk(start + half..end, depth)?;
        for first in start..start + half {
            let second = first + half;
            let b = one.panel(first, 0..depth);
            if second < end {
                // SAFETY: `level` names features that were detected.
                unsafe { tile::multiply_two(level, rows, m, [b, two.panel(second, 0..depth)], &mut tiles) };
            } else {
                let is_narrow = self.b.cols() - first * WIDTH <= WIDTH / 2;
                // SAFETY: as above.
                unsafe { tile::multiply(level, rows, m, b, Ahead::after(b, 0, 1), &mut tiles[0], is_narrow, false) };
            }
            for (j, tile) in [first, second].into_iter().zip(&tiles).filter(|(j, _)| *j < end) {
                let n = WIDTH.min(self.b.cols() - j * WIDTH);
                let (row, column) = (self.rows.start, j * WIDTH);
                // SAFETY: the rows and columns of a piece are its own, as its maker promises.
                unsafe { tile::store(level, &tile[..m], self.target, row, column, n, &self.finish) };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::activation::Activation;
    use crate::cpu::numbers;
    use crate::cpu::packing::words;

    #[test]
    fn products_of_every_height_width_and_depth_match_plain_sums() {
        let sizes = [1, 2, 3, 5, 13, 14, 15, 29, 64];
        for &m in &sizes {
            for n in [1, 31, 32, 33, 70] {
                for k in [0, 1, 3, 64, 700, 1100, 1024] {
                    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                    let (bias, added) = (numbers(n, 3), numbers(m * n, 4));
                    let packed = Panels::pack(Words::here(words(&b)), [k, n], [n, 1]).unwrap();
                    let mut out = vec![f32::NAN; m * n];
                    let finish = Finish {
                        per_column: Some(&bias),
                        added: Some(&added),
                        activation: Activation::Relu,
                        ..Finish::default()
                    };
                    product(&mut out, Mat::new(&a, m, k, k, 1), packed.view(), finish).unwrap();
                    for (i, got) in out.iter().enumerate() {
                        let (row, col) = (i / n, i % n);
                        let sum: f64 = (0..k).map(|x| f64::from(a[row * k + x]) * f64::from(b[x * n + col])).sum();
                        let want = (sum + f64::from(bias[col]) + f64::from(added[i])).max(0.0);
                        assert!((f64::from(*got) - want).abs() < 1e-4, "{m} {n} {k} at {i}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_are_all_of_a_product_once() {
        for (m, n_panels, pieces) in
            [(1, 1, 1), (8, 32, 4), (32, 8, 4), (49, 18, 4), (196, 2, 4), (1568, 8, 15), (3000, 3, 64)]
        {
            for (lies_badly, is_small) in [(false, true), (false, false), (true, false)] {
                let cut = Cut::new(m, n_panels, pieces, lies_badly, is_small);
                let mut seen = vec![0; m * n_panels];
                for i in 0..cut.n() {
                    let rows = cut.rows(i);
                    assert!(!rows.is_empty() && !cut.panels(i).is_empty(), "{m} {n_panels} {pieces}");
                    rows.for_each(|row| cut.panels(i).for_each(|j| seen[row * n_panels + j] += 1));
                }
                assert!(seen.iter().all(|&n| n == 1), "{m} {n_panels} {pieces}");
            }
        }
    }

    #[test]
    fn a_left_factor_that_is_copied_gives_the_same() {
        let n = 33;
        for (m, k) in [(2300, 1024), (5, 1024), (4, 7), (3, 700), (30, 1)] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let (per_row, added) = (numbers(m, 3), numbers(m * n, 4));
            let finish = Finish { per_row: Some(&per_row), added: Some(&added), ..Finish::default() };
            let packed = Panels::pack(Words::here(words(&b)), [k, n], [n, 1]).unwrap();
            let wide: Vec<f32> = a.chunks(k).flat_map(|row| row.iter().chain(&[0.0; 8]).copied()).collect();
            let turned: Vec<f32> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
            let mut plain = vec![f32::NAN; m * n];
            product(&mut plain, Mat::new(&wide, m, k, k + 8, 1), packed.view(), finish).unwrap();
            for a in [Mat::new(&a, m, k, k, 1), Mat::new(&turned, m, k, 1, m)] {
                let mut copied = vec![f32::NAN; m * n];
                product(&mut copied, a, packed.view(), finish).unwrap();
                // Sums of the last rows of a piece may be added in another order.
                let worst = copied.iter().zip(&plain).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-3 && !worst.is_nan() && copied.iter().all(|x| x.is_finite()), "{m} {k}: {worst}");
            }
        }
    }

    #[test]
    fn windows_pack_as_the_matrix_that_they_are() {
        for (o, c, taps) in [(1, 1, 9), (33, 3, 49), (70, 20, 9), (64, 17, 1), (31, 40, 2)] {
            let weights = numbers(o * c * taps, 1);
            let at = |i: usize| weights[(i % o * c + i / o % c) * taps + i / o / c];
            let rows: Vec<f32> = (0..o * c * taps).map(at).collect();
            let want = Panels::pack(Words::here(words(&rows)), [c * taps, o], [o, 1]).unwrap();
            let got = Panels::pack_windows(Words::here(words(&weights)), o, c, taps).unwrap();
            assert_eq!((got.rows, got.cols), (want.rows, want.cols));
            assert_eq!(got.data.as_slice::<f32>(), want.data.as_slice::<f32>(), "{o} {c} {taps}");
        }
    }

    #[test]
    fn transposed_matrices_pack_alike() {
        for n in [1, 4, 30, 33] {
            let b = numbers(n * 7, 5);
            let turned: Vec<f32> = (0..7 * n).map(|i| b[i % n * 7 + i / n]).collect();
            let (one, two) = (
                Panels::pack(Words::here(words(&b)), [7, n], [1, 7]),
                Panels::pack(Words::here(words(&turned)), [7, n], [n, 1]),
            );
            assert_eq!(one.unwrap().data.as_slice::<f32>(), two.unwrap().data.as_slice::<f32>());
        }
    }
}
