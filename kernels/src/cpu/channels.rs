//! Windows over images whose channels lie side by side (`[n, h, w, c]`): convolutions with packed weights, depthwise
//! ones, and pooling.
//!
//! A position of the result is a row: what its window sees is a few runs of memory, all channels of neighbouring
//! pixels, and the weights are a packed matrix with a row for each of these numbers. A window of one pixel is a row
//! as it lies. Loops over channels are the innermost ones, so they are vectors whatever the size of the image.
//!
//! Pieces are cut by sizes alone and share no sum, so results do not depend on the number of cores.

use super::activation::Activation;
use super::buffer::Buffer;
use super::convolve::Plan;
use super::gemm::{Mat, batches};
use super::panels::{Finish, MAX_ROWS, Panels, Piece, Target, product};
use super::simd::{Kernel, dispatch};
use crate::error::Result;
use crate::parallel;

/// Gathered bytes that stay in the second-level cache of one core beside a part of the weights.
const GATHERED: usize = 384 << 10;
/// Rows below which the weights are read too often for the work that is done with them.
const FEWEST_ROWS: usize = 4 * MAX_ROWS;
/// Multiplications in a piece that is worth handing to another core.
const PIECE: usize = 1 << 20;
/// Floats between gathered rows, beyond their length, when rows a multiple of 4 KiB apart would share cache sets.
const PAD: usize = 16;

/// The weights of a convolution, packed.
pub enum Filter {
    /// For each group a matrix with a row for each number that a window sees, in the order height, width, channel.
    Groups(Vec<Panels>),
    /// One channel in, one out: the numbers of all channels for each place of the window.
    Depthwise(Buffer),
}

impl Filter {
    /// Packs `weights [groups · o, c, kh, kw]`, row-major.
    pub fn pack(weights: &[f32], groups: usize, o: usize, c: usize, taps: usize) -> Result<Filter> {
        assert!(weights.len() == groups * o * c * taps, "weights are whole");
        if c == 1 && o == 1 && groups > 1 {
            let mut turned = Buffer::for_overwrite::<f32>(weights.len())?;
            for (i, x) in turned.as_mut_slice::<f32>().iter_mut().enumerate() {
                *x = weights[i % groups * taps + i / groups];
            }
            return Ok(Filter::Depthwise(turned));
        }
        let mut rows = Buffer::for_overwrite::<f32>(o * c * taps)?;
        let packed = (0..groups).map(|g| {
            let weights = &weights[g * o * c * taps..(g + 1) * o * c * taps];
            let rows = rows.as_mut_slice::<f32>();
            for (i, x) in rows.iter_mut().enumerate() {
                let (row, output) = (i / o, i % o);
                let (tap, channel) = (row / c, row % c);
                *x = weights[(output * c + channel) * taps + tap];
            }
            Panels::pack(Mat::new(rows, c * taps, o, o, 1))
        });
        Ok(Filter::Groups(packed.collect::<Result<_>>()?))
    }

    pub fn n_bytes(&self) -> usize {
        match self {
            Filter::Groups(groups) => groups.iter().map(Panels::n_bytes).sum(),
            Filter::Depthwise(turned) => turned.n_bytes(),
        }
    }
}

/// What follows the sums of a convolution.
#[derive(Clone, Copy)]
pub struct After<'a> {
    pub bias: Option<&'a [f32]>,
    /// As large as the result, in its order.
    pub added: Option<&'a [f32]>,
    pub activation: Activation,
}

/// The convolution that `plan` says, of whole tensors with channels last.
pub fn forward(plan: &Plan, x: &[f32], filter: &Filter, after: After, out: &mut [f32]) -> Result<()> {
    let (channels, outputs) = (plan.c * plan.groups, plan.o * plan.groups);
    let positions = plan.n * plan.positions();
    assert!(x.len() == plan.n * plan.plane[0] * plan.plane[1] * channels && out.len() == positions * outputs);
    assert!(after.bias.is_none_or(|b| b.len() == outputs) && after.added.is_none_or(|a| a.len() == out.len()));
    if out.is_empty() {
        return Ok(());
    }
    match filter {
        Filter::Depthwise(weights) => {
            let weights = weights.as_slice::<f32>();
            assert!(weights.len() == outputs * plan.kernel[0] * plan.kernel[1], "the weights are of this convolution");
            let cost = plan.out[1] * weights.len();
            batches(out, plan.n * plan.out[0], cost, |row, out| {
                let after = After { added: after.added.map(|a| &a[row * out.len()..][..out.len()]), ..after };
                dispatch(Depthwise { plan, x, weights, row, after, out });
            });
            Ok(())
        }
        Filter::Groups(panels) => {
            assert!(panels.len() == plan.groups, "the weights are of this convolution");
            assert!(panels.iter().all(|p| p.rows() == plan.columns() && p.cols() == plan.o));
            match &panels[..] {
                [only] if plan.is_pointwise() => {
                    let a = Mat::new(x, positions, channels, channels, 1);
                    let finish = Finish {
                        per_column: after.bias,
                        added: after.added,
                        activation: after.activation,
                        per_row: None,
                    };
                    product(out, a, only.view(), finish);
                    Ok(())
                }
                panels => gathered(plan, x, panels, after, out),
            }
        }
    }
}

fn gathered(plan: &Plan, x: &[f32], panels: &[Panels], after: After, out: &mut [f32]) -> Result<()> {
    let (columns, positions, outputs) = (plan.columns(), plan.n * plan.positions(), plan.o * plan.groups);
    let stride = if columns * size_of::<f32>() % 4096 == 0 { columns + PAD } else { columns };
    let by_cache = (GATHERED / (stride.max(1) * size_of::<f32>())).max(FEWEST_ROWS);
    let by_work = PIECE.div_ceil((columns * plan.o).max(1));
    let together = by_cache.min(by_work.max(positions.div_ceil(32))).next_multiple_of(MAX_ROWS).min(positions);
    let chunks = positions.div_ceil(together);
    let n_pieces = chunks * plan.groups;
    let base = &Target::new(out, outputs);
    let failed = std::sync::Mutex::new(None);
    parallel::run(n_pieces, &|i| {
        let (chunk, group) = (i / plan.groups, i % plan.groups);
        let first = chunk * together;
        let n = together.min(positions - first);
        let mut scratch = match Buffer::for_overwrite::<f32>(n * stride) {
            Ok(scratch) => scratch,
            Err(error) => return drop(failed.lock().map(|mut failed| *failed = Some(error))),
        };
        let scratch = scratch.as_mut_slice::<f32>();
        dispatch(Gather { plan, x, group, first, stride, rows: scratch });
        let place = first * outputs + group * plan.o;
        let b = panels[group].view();
        dispatch(Piece {
            a: Mat::new(scratch, n, columns, stride, 1),
            b,
            finish: Finish {
                per_column: after.bias.map(|b| &b[group * plan.o..(group + 1) * plan.o]),
                added: after.added.map(|a| &a[place..]),
                activation: after.activation,
                ..Finish::default()
            },
            // Rows of the piece are positions from `first` on, its columns the channels of the group.
            target: &base.from(place),
            rows: 0..n,
            panels: 0..panels[group].n_panels(),
        });
    });
    match failed.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(()),
    }
}

/// The places of a window along one axis, from `start`, that lie inside `n` pixels: the first and the one after the
/// last, and the pixel of the first.
#[inline(always)]
fn inside(at: usize, window: stark_shapes::Conv, kernel: usize, n: usize) -> (usize, usize, usize) {
    let start = at * window.stride;
    let low = window.padding.saturating_sub(start).div_ceil(window.dilation);
    let high = (n + window.padding).saturating_sub(start).div_ceil(window.dilation).min(kernel);
    let low = low.min(high);
    // A window that sees padding alone has no first pixel.
    let first = if low < high { start + low * window.dilation - window.padding } else { 0 };
    (low, high, first)
}

/// Fills rows with what the windows of positions from `first` on see; zeros where they see padding.
struct Gather<'a> {
    plan: &'a Plan,
    x: &'a [f32],
    group: usize,
    first: usize,
    stride: usize,
    rows: &'a mut [f32],
}

impl Kernel for Gather<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Gather { plan, x, group, first, stride, rows } = self;
        let ([h, w], [kh, kw], [wy, wx]) = (plan.plane, plan.kernel, plan.windows);
        let (c, all) = (plan.c, plan.c * plan.groups);
        let columns = plan.columns();
        let (mut image, rest) = (first / plan.positions(), first % plan.positions());
        let (mut y, mut z) = (rest / plan.out[1], rest % plan.out[1]);
        // Neighbouring pixels of a window are one run of memory.
        let joined = wx.dilation == 1 && plan.groups == 1;
        for row in rows.chunks_exact_mut(stride) {
            let (top, bottom, sy) = inside(y, wy, kh, h);
            let (left, right, sx) = inside(z, wx, kw, w);
            let row = &mut row[..columns];
            if bottom - top < kh || right - left < kw {
                row.fill(0.0);
            }
            if left < right {
                for ky in top..bottom {
                    let line = (image * h + sy + (ky - top) * wy.dilation) * w + sx;
                    let to = &mut row[(ky * kw + left) * c..(ky * kw + right) * c];
                    if joined {
                        copy(to, &x[line * all..]);
                    } else {
                        for (k, to) in to.chunks_exact_mut(c).enumerate() {
                            copy(to, &x[(line + k * wx.dilation) * all + group * c..]);
                        }
                    }
                }
            }
            z += 1;
            if z == plan.out[1] {
                (z, y) = (0, y + 1);
                if y == plan.out[0] {
                    (y, image) = (0, image + 1);
                }
            }
        }
    }
}

/// Short runs by hand: a call costs more than it moves.
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    let from = &from[..to.len()];
    if to.len() >= 64 {
        to.copy_from_slice(from);
        return;
    }
    let (wide, rest) = to.as_chunks_mut::<8>();
    let (wide_from, rest_from) = from.as_chunks::<8>();
    for (o, x) in wide.iter_mut().zip(wide_from) {
        *o = *x;
    }
    for (o, x) in rest.iter_mut().zip(rest_from) {
        *o = *x;
    }
}

/// One row of positions of a depthwise convolution; `row` counts those of all images.
struct Depthwise<'a> {
    plan: &'a Plan,
    x: &'a [f32],
    weights: &'a [f32],
    row: usize,
    after: After<'a>,
    out: &'a mut [f32],
}

impl Kernel for Depthwise<'_> {
    type Out = ();
    #[inline(always)]
    fn run(mut self) {
        let c = self.plan.groups;
        let mut at = 0;
        while at + 64 <= c {
            self.block::<64>(at);
            at += 64;
        }
        while at + 16 <= c {
            self.block::<16>(at);
            at += 16;
        }
        while at + 8 <= c {
            self.block::<8>(at);
            at += 8;
        }
        while at < c {
            self.block::<1>(at);
            at += 1;
        }
        let Depthwise { after, out, .. } = self;
        if let Some(added) = after.added {
            out.iter_mut().zip(added).for_each(|(o, x)| *o += *x);
        }
        after.activation.apply(out);
    }
}

impl Depthwise<'_> {
    /// Channels `at..at + N` of all positions of the row.
    #[inline(always)]
    fn block<const N: usize>(&mut self, at: usize) {
        let (plan, x, weights) = (self.plan, self.x, self.weights);
        let ([h, w], [kh, kw], [wy, wx]) = (plan.plane, plan.kernel, plan.windows);
        let c = plan.groups;
        let (image, y) = (self.row / plan.out[0], self.row % plan.out[0]);
        let (top, bottom, sy) = inside(y, wy, kh, h);
        let bias: [f32; N] = match self.after.bias {
            Some(bias) => std::array::from_fn(|i| bias[at + i]),
            None => [0.0; N],
        };
        for (z, out) in self.out.chunks_exact_mut(c).enumerate() {
            let (left, right, sx) = inside(z, wx, kw, w);
            let mut sums = bias;
            for ky in top..bottom {
                let line = (image * h + sy + (ky - top) * wy.dilation) * w + sx;
                for kx in left..right {
                    let x = &x[(line + (kx - left) * wx.dilation) * c + at..][..N];
                    let k = &weights[(ky * kw + kx) * c + at..][..N];
                    for i in 0..N {
                        sums[i] += x[i] * k[i];
                    }
                }
            }
            out[at..at + N].copy_from_slice(&sums);
        }
    }
}
