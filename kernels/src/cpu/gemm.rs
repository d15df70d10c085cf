//! Matrix products over strided matrices: those of `f32` by panels ([`super::panels`]), others and such of few rows through the
//! `gemm` crate.
//!
//! Rows of the result are cut into pieces by the sizes alone, so the sum behind each element is the same
//! however many cores take part.

use std::ops::Range;

use super::buffer::Pod;
use crate::element::Elem;

/// A strided matrix inside a slice. The constructor checks that it lies inside.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Mat<'a, T> {
    pub fn new(data: &'a [T], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Mat<'a, T> {
        if rows > 0 && cols > 0 {
            assert!((rows - 1) * row_stride + (cols - 1) * col_stride < data.len(), "a matrix lies inside its storage");
        }
        Mat { data, rows, cols, row_stride, col_stride }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Where an element lies in [`Mat::data`].
    pub fn place(&self, row: usize, col: usize) -> usize {
        row * self.row_stride + col * self.col_stride
    }

    /// Those of its columns.
    pub fn columns(&self, range: Range<usize>) -> Mat<'a, T> {
        let first = (range.start * self.col_stride).min(self.data.len());
        Mat { data: &self.data[first..], cols: range.len(), ..*self }
    }

    /// `rows` of its rows, from `first` on.
    pub fn from_row(&self, first: usize, rows: usize) -> Mat<'a, T> {
        Mat { data: &self.data[(first * self.row_stride).min(self.data.len())..], rows, ..*self }
    }
}

/// Elements that `gemm` multiplies.
pub trait Product: Elem {
    const ONE: Self;
    const ZERO: Self;

    /// `out = a · b` with this type's own kernel, when it has one for such sizes.
    fn own_product(_out: &mut [Self], _a: Mat<Self>, _b: Mat<Self>) -> bool {
        false
    }
}

impl Product for f32 {
    const ONE: f32 = 1.0;
    const ZERO: f32 = 0.0;

    fn own_product(out: &mut [f32], a: Mat<f32>, b: Mat<f32>) -> bool {
        in_panels(out, a, b)
    }
}

/// Fewer rows do not pay for packing the right factor.
const MIN_ROWS: usize = 6;
/// Numbers of the right factor that are packed at a time: 4 MiB.
const PACKED: usize = 1 << 20;

/// Packs `b`, some columns at a time, and multiplies. Says whether it did.
fn in_panels(out: &mut [f32], a: Mat<f32>, b: Mat<f32>) -> bool {
    use super::packing::fill;
    use super::panels::{Finish, PanelView, Target, WIDTH, product_in};
    let (m, k, n) = (a.rows, a.cols, b.cols);
    if m < MIN_ROWS {
        return false;
    }
    let (panels, panel) = (n.div_ceil(WIDTH), k * WIDTH);
    let together = (PACKED / panel.max(1)).clamp(1, panels);
    let Ok(mut packed) = super::buffer::Buffer::for_overwrite::<f32>(together * panel) else { return false };
    let target = Target::new(out, n);
    for first in (0..panels).step_by(together) {
        let packed = &mut packed.as_mut_slice::<f32>()[..together.min(panels - first) * panel];
        let columns = first * WIDTH..n.min((first + together) * WIDTH);
        // By one thread: lines of the cache, and what the processor fetches ahead of them, are of columns of all panels.
        fill(packed, b.columns(columns.clone()));
        let view = PanelView::new(packed, k, columns.len());
        if product_in(&target.from(columns.start), a, view, Finish::default()).is_err() {
            return false;
        }
    }
    true
}

impl Product for f64 {
    const ONE: f64 = 1.0;
    const ZERO: f64 = 0.0;
}

/// Work below this many multiplications is not worth another core (about 50 µs).
const SPLIT: usize = 4 << 20;

/// `out = a · b`, or `out += a · b` when `add`. `out` is row-major with `b.cols` columns.
pub fn gemm<T: Product>(out: &mut [T], a: Mat<T>, b: Mat<T>, add: bool) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert!(out.len() == m * n && b.rows == k, "matrix sizes agree");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            out.fill(T::ZERO);
        }
        return;
    }
    if !add && !crate::device::is_reference() && T::own_product(out, a, b) {
        return;
    }
    let rows = (SPLIT / (k * n).max(1)).max(64).next_multiple_of(16);
    if m <= rows {
        return piece(out, a, b, add);
    }
    super::split::fill_chunks(out, rows * n, |start, out| {
        let first = start / n;
        piece(out, a.from_row(first, out.len() / n), b, add);
    });
}

/// [`gemm`] on the calling thread alone, for work that is already a piece of something larger.
pub fn gemm_here<T: Product>(out: &mut [T], a: Mat<T>, b: Mat<T>, add: bool) {
    assert!(out.len() == a.rows * b.cols && b.rows == a.cols, "matrix sizes agree");
    if out.is_empty() {
        return;
    }
    if a.cols == 0 {
        if !add {
            out.fill(T::ZERO);
        }
        return;
    }
    piece(out, a, b, add);
}

/// The definition, for the reference device: each sum in order, in `f64`.
fn plain<T: Product>(out: &mut [T], a: Mat<T>, b: Mat<T>, add: bool) {
    for (row, out) in out.chunks_mut(b.cols).enumerate() {
        for (col, out) in out.iter_mut().enumerate() {
            let at = |k: usize| (row * a.row_stride + k * a.col_stride, k * b.row_stride + col * b.col_stride);
            let products = (0..a.cols).map(at).map(|(i, j)| a.data[i].to_f64() * b.data[j].to_f64());
            let start = if add { out.to_f64() } else { 0.0 };
            *out = T::from_f64(start + products.sum::<f64>());
        }
    }
}

fn piece<T: Product>(out: &mut [T], a: Mat<T>, b: Mat<T>, add: bool) {
    if crate::device::is_reference() {
        return plain(out, a, b, add);
    }
    let n = b.cols;
    // SAFETY: `Mat::new` checked that both factors lie inside their slices (a piece of rows is a part of such a
    // matrix), and `out` holds `a.rows * n` elements, which nobody else sees.
    unsafe {
        gemm::gemm(
            a.rows,
            n,
            a.cols,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Runs `work(i, piece)` for the `n` equal pieces of `out`, on several cores when `cost` (multiplications each) is worth it.
pub fn batches<T: Pod>(out: &mut [T], n: usize, cost: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if n == 0 || out.is_empty() {
        return;
    }
    let size = out.len() / n;
    let together = (SPLIT / cost.max(1)).clamp(1, n);
    super::split::fill_chunks(out, size * together, |start, out| {
        for (k, out) in out.chunks_mut(size).enumerate() {
            work(start / size + k, out);
        }
    });
}
