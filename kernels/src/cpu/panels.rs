//! `f32` matrix products with the right factor in panels of 32 columns.
//!
//! A panel holds 32 columns, row after row, so the innermost loop reads two vectors and multiplies them by one
//! number of each of up to 14 rows: 28 sums stay in registers. The left factor is read where it lies. What
//! follows a product (bias, a sum with another tensor, an activation) is done while a tile is still in the
//! cache. Weights of a model are packed once, when it is loaded.
//!
//! Pieces for several cores are cut by sizes alone, and no sum is shared between pieces, so results do not
//! depend on the number of cores.

use super::activation::Activation;
use super::buffer::Buffer;
use super::gemm::Mat;
use super::simd::{Kernel, Level, dispatch, level};
use crate::error::Result;
use crate::parallel;

/// Columns of a panel: two vectors of 512 bits.
pub const WIDTH: usize = 32;
/// Rows of the largest tile: with 28 sums, two columns and a factor it fills the 32 registers.
pub const MAX_ROWS: usize = 14;
/// Rows of the right factor that are multiplied before the next tile: 64 KiB of a panel, which stay close.
const DEPTH: usize = 512;
/// A piece of this many multiplications is worth handing to another core (some 10 µs).
const PIECE: usize = 1 << 20;
/// The most pieces of one product.
const MAX_PIECES: usize = 64;
/// Floats between rows of a copied left factor, beyond its length: rows a multiple of 4 KiB apart share cache sets.
const PAD: usize = 16;

/// A matrix of `rows` by `cols`, packed.
pub struct Panels {
    data: Buffer,
    rows: usize,
    cols: usize,
}

impl Panels {
    pub fn pack(b: Mat<f32>) -> Result<Panels> {
        let (rows, cols) = (b.rows(), b.cols());
        let n = rows.saturating_mul(cols.div_ceil(WIDTH)).saturating_mul(WIDTH);
        let mut data = Buffer::zeroed::<f32>(n)?;
        fill(data.as_mut_slice(), b);
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

    pub fn n_panels(&self) -> usize {
        self.cols.div_ceil(WIDTH)
    }

    pub fn n_bytes(&self) -> usize {
        self.data.n_bytes()
    }

    pub fn view(&self) -> PanelView<'_> {
        PanelView { data: self.data.as_slice(), rows: self.rows, cols: self.cols }
    }
}

/// Packs `b` into `data`, which has room for whole panels and zeros beyond the last column.
pub fn fill(data: &mut [f32], b: Mat<f32>) {
    let (rows, cols) = (b.rows(), b.cols());
    if rows == 0 {
        return;
    }
    for (j, panel) in data.chunks_mut(rows * WIDTH).enumerate() {
        let n = WIDTH.min(cols - j * WIDTH);
        if b.col_stride() == 1 {
            for (k, row) in panel.chunks_mut(WIDTH).enumerate() {
                let from = b.place(k, j * WIDTH);
                row[..n].copy_from_slice(&b.data()[from..from + n]);
            }
        } else if b.row_stride() == 1 {
            // A transposed matrix: its columns are rows in memory. Four at a time, so that a line is written once.
            for (quad, c) in (0..n).step_by(4).enumerate() {
                let width = 4.min(n - c);
                if width == 4 {
                    let columns: [&[f32]; 4] = std::array::from_fn(|i| {
                        let from = b.place(0, j * WIDTH + c + i);
                        &b.data()[from..from + rows]
                    });
                    for (k, row) in panel.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
                        for i in 0..4 {
                            row[quad * 4 + i] = columns[i][k];
                        }
                    }
                } else {
                    for i in c..n {
                        let from = b.place(0, j * WIDTH + i);
                        for (k, x) in b.data()[from..from + rows].iter().enumerate() {
                            panel[k * WIDTH + i] = *x;
                        }
                    }
                }
            }
        } else {
            for (k, row) in panel.chunks_mut(WIDTH).enumerate() {
                for (i, x) in row[..n].iter_mut().enumerate() {
                    *x = b.data()[b.place(k, j * WIDTH + i)];
                }
            }
        }
    }
}

/// Packed panels, wherever they lie.
#[derive(Clone, Copy)]
pub struct PanelView<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
}

impl<'a> PanelView<'a> {
    /// `data` was filled for a matrix of `rows` by `cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> PanelView<'a> {
        assert!(data.len() >= rows * cols.div_ceil(WIDTH) * WIDTH, "panels are whole");
        PanelView { data, rows, cols }
    }

    fn panel(&self, j: usize) -> &'a [f32] {
        &self.data[j * self.rows * WIDTH..(j + 1) * self.rows * WIDTH]
    }
}

/// What is done with each sum before it is stored: `activation(sum + bias + added)`.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// One number for each column.
    pub per_column: Option<&'a [f32]>,
    /// One number for each row.
    pub per_row: Option<&'a [f32]>,
    /// As large as the result, row-major.
    pub added: Option<&'a [f32]>,
    pub activation: Activation,
}

/// `out = finish(a · b)`, row-major. The left factor's rows must be contiguous.
pub fn product(out: &mut [f32], a: Mat<f32>, b: PanelView, finish: Finish) {
    let (m, n) = (a.rows(), b.cols);
    assert!(out.len() == m * n && a.cols() == b.rows, "matrix sizes agree");
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.col_stride() == 1 || a.cols() <= 1, "rows of the left factor are contiguous");
    assert!(finish.per_column.is_none_or(|x| x.len() == n) && finish.per_row.is_none_or(|x| x.len() == m));
    assert!(finish.added.is_none_or(|x| x.len() == m * n), "what is added is as large as the result");
    let panels = n.div_ceil(WIDTH);
    let pieces = (m.saturating_mul(n).saturating_mul(b.rows.max(1)) / PIECE).clamp(1, MAX_PIECES);
    // Rows first: a piece then reads a part of `a` and all of `b`. Few rows leave the columns to be cut.
    let row_pieces = pieces.min(m.div_ceil(2 * MAX_ROWS));
    let rows = m.div_ceil(row_pieces).next_multiple_of(if row_pieces > 1 { MAX_ROWS } else { 1 });
    let row_pieces = m.div_ceil(rows);
    let col_pieces = (pieces / row_pieces).clamp(1, panels);
    let cols = panels.div_ceil(col_pieces);
    let col_pieces = panels.div_ceil(cols);
    let target = Target { out: out.as_mut_ptr(), stride: n };
    let (target, n_pieces) = (&target, row_pieces * col_pieces);
    parallel::run(n_pieces, &|i| {
        let first_row = i / col_pieces * rows;
        let first_panel = i % col_pieces * cols;
        let piece = Piece {
            a,
            b,
            finish,
            target,
            rows: first_row..(first_row + rows).min(m),
            panels: first_panel..(first_panel + cols).min(panels),
        };
        dispatch(piece);
    });
}

/// Where results go.
pub struct Target {
    out: *mut f32,
    stride: usize,
}

// SAFETY: pieces write disjoint rows and columns, each handed to one thread.
unsafe impl Sync for Target {}

impl Target {
    /// Rows of `stride` numbers each.
    pub(super) fn new(out: &mut [f32], stride: usize) -> Target {
        Target { out: out.as_mut_ptr(), stride }
    }

    /// The same rows, seen from a later number on.
    pub(super) fn from(&self, place: usize) -> Target {
        Target { out: self.out.wrapping_add(place), stride: self.stride }
    }
}

/// A part of a product for one thread. Whoever makes one promises that `target` has room for its rows and
/// columns, and that nobody else writes them.
pub(super) struct Piece<'a> {
    pub(super) a: Mat<'a, f32>,
    pub(super) b: PanelView<'a>,
    pub(super) finish: Finish<'a>,
    pub(super) target: &'a Target,
    pub(super) rows: std::ops::Range<usize>,
    pub(super) panels: std::ops::Range<usize>,
}

impl Kernel for Piece<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let level = level();
        let tallest = match level {
            Level::Avx512 => MAX_ROWS,
            Level::Avx2 => 6,
            Level::Portable => 4,
        };
        let depth = self.b.rows;
        let m = self.rows.len();
        let height = m.div_ceil(m.div_ceil(tallest).max(1)).max(1);
        let tiles = m.div_ceil(height);
        // Sums of a deep product are kept between its parts.
        let in_parts = depth > DEPTH + DEPTH / 2;
        let stride = self.a.row_stride();
        // See `PAD`.
        let aliases = stride * size_of::<f32>() % 4096 == 0 && m > 1;
        let mut copied = Vec::new();
        if aliases {
            let padded = depth + PAD;
            copied.resize(m * padded, 0.0);
            for (i, row) in copied.chunks_mut(padded).enumerate() {
                let from = self.a.place(self.rows.start + i, 0);
                row[..depth].copy_from_slice(&self.a.data()[from..from + depth]);
            }
        }
        let (left, stride) = match aliases {
            true => (&copied[..], depth + PAD),
            false => (&self.a.data()[self.a.place(self.rows.start, 0).min(self.a.data().len())..], stride),
        };
        // The depth is the outermost loop, so that a part of the left factor stays in the cache for all panels.
        let mut kept: Vec<[f32; MAX_ROWS * WIDTH]> = Vec::new();
        if in_parts {
            kept.resize(tiles * self.panels.len(), [0.0; MAX_ROWS * WIDTH]);
        }
        let mut from = 0;
        loop {
            let part = if depth - from > DEPTH + DEPTH / 2 { DEPTH } else { depth - from };
            let is_last = from + part >= depth;
            for j in self.panels.clone() {
                let b = &self.b.panel(j)[from * WIDTH..(from + part) * WIDTH];
                let narrow = self.b.cols - j * WIDTH <= WIDTH / 2;
                for t in 0..tiles {
                    let (top, rows) = (t * height, height.min(m - t * height));
                    let mut fresh = [0.0; MAX_ROWS * WIDTH];
                    let tile = if in_parts { &mut kept[(j - self.panels.start) * tiles + t] } else { &mut fresh };
                    let first = top * stride + from;
                    assert!(part == 0 || first + (rows - 1) * stride + part <= left.len(), "tiles lie inside");
                    // SAFETY: the assertion covers the reads of `left`, `b` has `part` rows of `WIDTH`, the tile
                    // has room for `rows <= MAX_ROWS` of them, and `level` names features that were detected.
                    unsafe { multiply(level, rows, part, left.as_ptr().add(first), stride, b.as_ptr(), tile, narrow) };
                    if is_last {
                        self.store(tile, top, rows, j);
                    }
                }
            }
            if is_last {
                return;
            }
            from += part;
        }
    }
}

impl Piece<'_> {
    #[inline(always)]
    fn store(&self, tile: &mut [f32; MAX_ROWS * WIDTH], top: usize, rows: usize, j: usize) {
        let first = j * WIDTH;
        let n = WIDTH.min(self.b.cols - first);
        let activation = self.finish.activation;
        for (i, sums) in tile.as_chunks_mut::<WIDTH>().0[..rows].iter_mut().enumerate() {
            let row = self.rows.start + top + i;
            if let Some(bias) = self.finish.per_column {
                for (x, b) in sums.iter_mut().zip(&bias[first..first + n]) {
                    *x += *b;
                }
            }
            if let Some(bias) = self.finish.per_row {
                let b = bias[row];
                sums.iter_mut().for_each(|x| *x += b);
            }
            let at = row * self.target.stride + first;
            if let Some(added) = self.finish.added {
                for (x, b) in sums.iter_mut().zip(&added[at..at + n]) {
                    *x += *b;
                }
            }
            activation.apply(sums);
            // SAFETY: `row` and the columns from `first` on belong to this piece, which one thread has, and lie
            // inside the result, whose size `product` checked.
            let out = unsafe { std::slice::from_raw_parts_mut(self.target.out.add(at), n) };
            out.copy_from_slice(&sums[..n]);
        }
    }
}

/// `tile += a · b` for `rows` rows; when the panel is `narrow`, for the first half of its columns at least.
///
/// # Safety
/// `a` has `rows` rows of `depth` numbers `stride` apart, `b` has `depth` rows of [`WIDTH`], `rows <= MAX_ROWS`,
/// and the features of `level` are there.
#[inline(always)]
unsafe fn multiply(
    level: Level,
    rows: usize,
    depth: usize,
    a: *const f32,
    stride: usize,
    b: *const f32,
    tile: &mut [f32; MAX_ROWS * WIDTH],
    narrow: bool,
) {
    macro_rules! by_rows {
        ($f:ident: $($rows:literal $chains:literal),*) => {
            match rows {
                // SAFETY: as the caller promises.
                $( $rows => unsafe { $f::<$rows, $chains>(depth, a, stride, b, tile.as_mut_ptr()) }, )*
                _ => unreachable!("a tile has at most {MAX_ROWS} rows"),
            }
        };
    }
    match level {
        // Few rows have few sums to interleave, so the depth is cut into chains.
        #[cfg(target_arch = "x86_64")]
        // Half a panel is one vector.
        Level::Avx512 if narrow => {
            by_rows!(half_avx512: 1 4, 2 4, 3 2, 4 2, 5 1, 6 1, 7 1, 8 1, 9 1, 10 1, 11 1, 12 1, 13 1, 14 1)
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            by_rows!(tile_avx512: 1 4, 2 4, 3 2, 4 2, 5 1, 6 1, 7 1, 8 1, 9 1, 10 1, 11 1, 12 1, 13 1, 14 1)
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => by_rows!(tile_avx2: 1 4, 2 2, 3 1, 4 1, 5 1, 6 1),
        _ => {
            for i in 0..rows {
                // SAFETY: as the caller promises.
                unsafe { row_portable(depth, a.add(i * stride), b, tile.as_mut_ptr().add(i * WIDTH)) }
            }
        }
    }
}

/// # Safety
/// As [`multiply`], for one row.
unsafe fn row_portable(depth: usize, a: *const f32, b: *const f32, tile: *mut f32) {
    // SAFETY: as the caller promises.
    let (a, b) = unsafe { (std::slice::from_raw_parts(a, depth), std::slice::from_raw_parts(b, depth * WIDTH)) };
    // SAFETY: the tile has room for a row.
    let sums = unsafe { &mut *tile.cast::<[f32; WIDTH]>() };
    for (x, row) in a.iter().zip(b.as_chunks::<WIDTH>().0) {
        for (sum, y) in sums.iter_mut().zip(row) {
            *sum += *x * *y;
        }
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{half_avx512, tile_avx2, tile_avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::WIDTH;

    /// # Safety
    /// As `multiply`, for `R` rows.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn tile_avx512<const R: usize, const CHAINS: usize>(
        depth: usize,
        a: *const f32,
        stride: usize,
        b: *const f32,
        tile: *mut f32,
    ) {
        // SAFETY: as the caller promises.
        unsafe { vectors_avx512::<R, CHAINS, 2>(depth, a, stride, b, tile) }
    }

    /// # Safety
    /// As `multiply`, for `R` rows of a narrow panel.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn half_avx512<const R: usize, const CHAINS: usize>(
        depth: usize,
        a: *const f32,
        stride: usize,
        b: *const f32,
        tile: *mut f32,
    ) {
        // SAFETY: as the caller promises.
        unsafe { vectors_avx512::<R, CHAINS, 1>(depth, a, stride, b, tile) }
    }

    /// # Safety
    /// As `multiply`, for `R` rows and the first `V` vectors of the panel.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn vectors_avx512<const R: usize, const CHAINS: usize, const V: usize>(
        depth: usize,
        a: *const f32,
        stride: usize,
        b: *const f32,
        tile: *mut f32,
    ) {
        let mut sums = [[[_mm512_setzero_ps(); V]; R]; CHAINS];
        let mut k = 0;
        // SAFETY: `k` stays below `depth`, rows below `R`; the caller promises that much of `a`, `b` and `tile`.
        unsafe {
            while k + CHAINS <= depth {
                for c in 0..CHAINS {
                    let at = b.add((k + c) * WIDTH);
                    let mut y = [_mm512_setzero_ps(); V];
                    for v in 0..V {
                        y[v] = _mm512_loadu_ps(at.add(v * 16));
                    }
                    for r in 0..R {
                        let x = _mm512_set1_ps(*a.add(r * stride + k + c));
                        for v in 0..V {
                            sums[c][r][v] = _mm512_fmadd_ps(x, y[v], sums[c][r][v]);
                        }
                    }
                }
                k += CHAINS;
            }
            while k < depth {
                let at = b.add(k * WIDTH);
                let mut y = [_mm512_setzero_ps(); V];
                for v in 0..V {
                    y[v] = _mm512_loadu_ps(at.add(v * 16));
                }
                for r in 0..R {
                    let x = _mm512_set1_ps(*a.add(r * stride + k));
                    for v in 0..V {
                        sums[0][r][v] = _mm512_fmadd_ps(x, y[v], sums[0][r][v]);
                    }
                }
                k += 1;
            }
            for r in 0..R {
                for v in 0..V {
                    let at = tile.add(r * WIDTH + v * 16);
                    let mut sum = _mm512_loadu_ps(at);
                    for chain in &sums {
                        sum = _mm512_add_ps(sum, chain[r][v]);
                    }
                    _mm512_storeu_ps(at, sum);
                }
            }
        }
    }

    /// # Safety
    /// As `multiply`, for `R` rows.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn tile_avx2<const R: usize, const CHAINS: usize>(
        depth: usize,
        a: *const f32,
        stride: usize,
        b: *const f32,
        tile: *mut f32,
    ) {
        // 16 registers hold the sums of half a panel.
        for part in 0..2 {
            let mut sums = [[[_mm256_setzero_ps(); 2]; R]; CHAINS];
            let mut k = 0;
            // SAFETY: as in `tile_avx512`.
            unsafe {
                while k < depth {
                    let n = CHAINS.min(depth - k);
                    for c in 0..n {
                        let at = b.add((k + c) * WIDTH + part * 16);
                        let (low, high) = (_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8)));
                        for r in 0..R {
                            let x = _mm256_set1_ps(*a.add(r * stride + k + c));
                            sums[c][r][0] = _mm256_fmadd_ps(x, low, sums[c][r][0]);
                            sums[c][r][1] = _mm256_fmadd_ps(x, high, sums[c][r][1]);
                        }
                    }
                    k += n;
                }
                for r in 0..R {
                    for half in 0..2 {
                        let at = tile.add(r * WIDTH + part * 16 + half * 8);
                        let mut sum = _mm256_loadu_ps(at);
                        for chain in &sums {
                            sum = _mm256_add_ps(sum, chain[r][half]);
                        }
                        _mm256_storeu_ps(at, sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..n).map(next).collect()
    }

    #[test]
    fn products_of_every_height_width_and_depth_match_plain_sums() {
        let sizes = [1, 2, 3, 5, 13, 14, 15, 29, 64];
        for &m in &sizes {
            for n in [1, 31, 32, 33, 70] {
                for k in [0, 1, 3, 64, 700, 1100, 1024] {
                    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                    let (bias, added) = (numbers(n, 3), numbers(m * n, 4));
                    let packed = Panels::pack(Mat::new(&b, k, n, n, 1)).unwrap();
                    let mut out = vec![f32::NAN; m * n];
                    let finish = Finish {
                        per_column: Some(&bias),
                        added: Some(&added),
                        activation: Activation::Relu,
                        ..Finish::default()
                    };
                    product(&mut out, Mat::new(&a, m, k, k, 1), packed.view(), finish);
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
    fn every_instruction_set_that_is_here_gives_the_same_tiles() {
        for rows in 1..=MAX_ROWS {
            for depth in [1, 4, 9, 64] {
                let (a, b) = (numbers(rows * depth, 1), numbers(depth * WIDTH, 2));
                let tile = |level| {
                    let tallest = if level == Level::Avx2 { 6 } else { MAX_ROWS };
                    let mut out = vec![0.0f32; MAX_ROWS * WIDTH];
                    for top in (0..rows).step_by(tallest) {
                        let mut tile = [1.0; MAX_ROWS * WIDTH];
                        let n = tallest.min(rows - top);
                        // SAFETY: `a` has `rows` rows of `depth`, `b` as many rows of a panel, and `levels` are here.
                        unsafe {
                            multiply(level, n, depth, a.as_ptr().add(top * depth), depth, b.as_ptr(), &mut tile, false)
                        };
                        out[top * WIDTH..(top + n) * WIDTH].copy_from_slice(&tile[..n * WIDTH]);
                    }
                    out
                };
                let plain = tile(Level::Portable);
                let levels = match level() {
                    Level::Avx512 => &[Level::Avx2, Level::Avx512][..],
                    Level::Avx2 => &[Level::Avx2],
                    Level::Portable => &[],
                };
                for &level in levels {
                    for (x, y) in tile(level).iter().zip(&plain) {
                        assert!((x - y).abs() < 1e-4, "{level:?} {rows} {depth}: {x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn transposed_matrices_pack_alike() {
        for n in [1, 4, 30, 33] {
            let b = numbers(n * 7, 5);
            let turned: Vec<f32> = (0..7 * n).map(|i| b[i % n * 7 + i / n]).collect();
            let (one, two) = (Panels::pack(Mat::new(&b, 7, n, 1, 7)), Panels::pack(Mat::new(&turned, 7, n, n, 1)));
            assert_eq!(one.unwrap().data.as_slice::<f32>(), two.unwrap().data.as_slice::<f32>());
        }
    }
}
