//! Convolutions of `f32` with several channels in a group, as products whose right factor is gathered panel by panel.
//!
//! 32 positions of the result make a panel: for each weight the 32 inputs that it meets. Weights are the left
//! factor, so each panel is gathered once and meets every channel of the result while it is in the cache.

use stark_shapes::Conv;

use super::activation::Activation;
use super::buffer::Buffer;
use super::gemm::Mat;
use super::panels::{PanelView, Piece};
use super::simd::{Kernel, dispatch};
use super::tile::{Finish, Target, WIDTH};
use crate::error::Result;
use crate::parallel;

/// Gathered bytes that stay in the cache of one core while all weights pass by.
const GATHERED: usize = 768 << 10;

/// Windows of one convolution.
pub struct Plan {
    pub n: usize,
    pub groups: usize,
    /// Channels per group, of the side that the windows read (`c`) and of the other (`o`).
    pub c: usize,
    pub o: usize,
    /// Height and width: of the plane that windows slide over, of a window, and of its positions.
    pub plane: [usize; 2],
    pub kernel: [usize; 2],
    pub out: [usize; 2],
    pub windows: [Conv; 2],
}

impl Plan {
    /// Of a convolution of `x [n, ..]` with `weight [o, c, ..]` to a result of shape `out`.
    pub fn new(x: &[usize], weight: &[usize], out: &[usize], windows: [Conv; 2], groups: usize) -> Plan {
        // A single window does not move, however far the next one would be.
        let windows = [0, 1].map(|i| if out[i + 2] == 1 { Conv { stride: 1, ..windows[i] } } else { windows[i] });
        Plan {
            n: x[0],
            groups,
            c: weight[1],
            o: weight[0] / groups,
            plane: [x[2], x[3]],
            kernel: [weight[2], weight[3]],
            out: [out[2], out[3]],
            windows,
        }
    }

    pub fn columns(&self) -> usize {
        self.c * self.kernel[0] * self.kernel[1]
    }

    pub fn positions(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Lines that two neighbouring parts of the result both see, as lines of the result.
    pub fn halo(&self) -> usize {
        let (k, wy) = (self.kernel[0], self.windows[0]);
        k.saturating_sub(1).saturating_mul(wy.dilation).saturating_add(1).saturating_sub(wy.stride) / wy.stride.max(1)
    }

    /// A window of one element at every place: the plane is its own column matrix. A single window over a larger plane
    /// has no stride either, but leaves out the rest of it.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.plane == self.out && self.windows.iter().all(|w| w.stride == 1 && w.padding == 0)
    }

    /// Calls `row(column, position, source, length, stride)` for runs along the last axis: `length` positions from
    /// `position` of column row `column` read the plane from `source` by `stride`. What no run covers is padding.
    #[inline(always)]
    pub fn runs(&self, mut row: impl FnMut(usize, usize, usize, usize, usize)) {
        let [h, w] = self.plane;
        let [kh, kw] = self.kernel;
        let [wy, wx] = self.windows;
        for c in 0..self.c {
            for ky in 0..kh {
                for kx in 0..kw {
                    let column = (c * kh + ky) * kw + kx;
                    // Positions whose source column lies inside the plane.
                    let shift = kx * wx.dilation;
                    let first = wx.padding.saturating_sub(shift).div_ceil(wx.stride);
                    let end = if w + wx.padding > shift { (w + wx.padding - shift).div_ceil(wx.stride) } else { 0 };
                    let end = end.min(self.out[1]);
                    if first >= end {
                        continue;
                    }
                    for y in 0..self.out[0] {
                        let Some(sy) = (y * wy.stride + ky * wy.dilation).checked_sub(wy.padding) else { continue };
                        if sy >= h {
                            break;
                        }
                        let sx = first * wx.stride + shift - wx.padding;
                        row(column, y * self.out[1] + first, (c * h + sy) * w + sx, end - first, wx.stride);
                    }
                }
            }
        }
    }
}

/// The convolution that `plan` says, of whole tensors in row-major order.
pub fn forward(
    plan: &Plan,
    x: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    added: Option<&[f32]>,
    activation: Activation,
    out: &mut [f32],
) -> Result<()> {
    let (columns, positions, stacks) = (plan.columns(), plan.positions(), plan.n * plan.groups);
    let (from, to) = (plan.c * plan.plane[0] * plan.plane[1], plan.o * positions);
    assert!(x.len() == stacks * from && out.len() == stacks * to && weights.len() == plan.groups * plan.o * columns);
    assert!(bias.is_none_or(|b| b.len() == plan.groups * plan.o) && added.is_none_or(|a| a.len() == out.len()));
    if out.is_empty() {
        return Ok(());
    }
    let panels = positions.div_ceil(WIDTH);
    // Enough panels for a piece worth handing over, and no more than the cache holds.
    let by_cache = GATHERED / (columns.max(1) * WIDTH * size_of::<f32>());
    let by_work = (1usize << 19).div_ceil((plan.o * columns * WIDTH).max(1));
    let together = by_cache.min(by_work.max(panels.div_ceil(16))).clamp(1, panels);
    let chunks = panels.div_ceil(together);
    let base = Target::new(out, positions);
    let base = &base;
    let n_pieces = stacks * chunks;
    parallel::run_all(n_pieces, usize::MAX, |i| {
        let (stack, chunk) = (i / chunks, i % chunks);
        let group = stack % plan.groups;
        let first = chunk * together * WIDTH;
        let n = (together * WIDTH).min(positions - first);
        let mut scratch = Buffer::for_overwrite::<f32>(n.div_ceil(WIDTH) * WIDTH * columns)?;
        let scratch = scratch.as_mut_slice::<f32>();
        dispatch(Gather { plan, source: &x[stack * from..(stack + 1) * from], first, n, panels: scratch });
        let weights = &weights[group * plan.o * columns..(group + 1) * plan.o * columns];
        let place = stack * to + first;
        dispatch(Piece {
            a: Mat::new(weights, plan.o, columns, columns, 1),
            b: PanelView::new(scratch, columns, n),
            finish: Finish {
                per_row: bias.map(|b| &b[group * plan.o..(group + 1) * plan.o]),
                added: added.map(|a| &a[place..]),
                activation,
                ..Finish::default()
            },
            // Rows of the piece are planes of the result, its columns positions from `first` on.
            target: &base.from(place),
            rows: 0..plan.o,
            panels: 0..n.div_ceil(WIDTH),
        })
    })
}

/// Fills panels with what the windows of positions `first..first + n` see; zeros where they see padding.
struct Gather<'a> {
    plan: &'a Plan,
    source: &'a [f32],
    first: usize,
    n: usize,
    panels: &'a mut [f32],
}

/// Neighbouring positions of one row of the result: where in the panel, and which.
#[derive(Clone, Copy, Default)]
struct Run {
    at: usize,
    y: usize,
    x: usize,
    n: usize,
}

impl Kernel for Gather<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Gather { plan, source, first, n, panels } = self;
        let columns = plan.columns();
        let ([h, w], [kh, kw], [wy, wx]) = (plan.plane, plan.kernel, plan.windows);
        for (p, panel) in panels.chunks_mut(columns.max(1) * WIDTH).enumerate() {
            let start = first + p * WIDTH;
            let width = WIDTH.min(n - p * WIDTH);
            let mut runs = [Run::default(); WIDTH];
            let mut n_runs = 0;
            let mut at = 0;
            while at < width {
                let (y, x) = ((start + at) / plan.out[1], (start + at) % plan.out[1]);
                let n = (plan.out[1] - x).min(width - at);
                runs[n_runs] = Run { at, y, x, n };
                n_runs += 1;
                at += n;
            }
            let runs = &runs[..n_runs];
            let rows = panel.as_chunks_mut::<WIDTH>().0;
            if plan.is_pointwise() {
                for (c, row) in rows.iter_mut().enumerate() {
                    let from = c * h * w + start;
                    copy(&mut row[..], 0, source, from, width);
                    row[width..].fill(0.0);
                }
                continue;
            }
            for ky in 0..kh {
                for kx in 0..kw {
                    // The same runs for every channel.
                    let mut parts = [(0usize, 0usize, 0usize); WIDTH];
                    let mut n_parts = 0;
                    let mut covered = 0;
                    for run in runs {
                        let Some(sy) = (run.y * wy.stride + ky * wy.dilation).checked_sub(wy.padding) else { continue };
                        if sy >= h {
                            continue;
                        }
                        // Positions whose column lies inside the plane.
                        let shift = kx * wx.dilation;
                        let low = wx.padding.saturating_sub(shift).div_ceil(wx.stride).max(run.x);
                        let end = if w + wx.padding > shift { (w + wx.padding - shift).div_ceil(wx.stride) } else { 0 };
                        let end = end.min(run.x + run.n);
                        if low < end {
                            let sx = low * wx.stride + shift - wx.padding;
                            parts[n_parts] = (run.at + low - run.x, sy * w + sx, end - low);
                            n_parts += 1;
                            covered += end - low;
                        }
                    }
                    let parts = &parts[..n_parts];
                    for c in 0..plan.c {
                        let row = &mut rows[(c * kh + ky) * kw + kx];
                        if covered < WIDTH {
                            row.fill(0.0);
                        }
                        for &(at, from, n) in parts {
                            let from = c * h * w + from;
                            if wx.stride == 1 {
                                copy(&mut row[..], at, source, from, n);
                            } else {
                                let taken = source[from..].iter().step_by(wx.stride);
                                row[at..at + n].iter_mut().zip(taken).for_each(|(o, x)| *o = *x);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `n` numbers, at most a panel's width: whole vectors where there is room, which beats a call to copy few bytes.
#[inline(always)]
fn copy(to: &mut [f32], at: usize, from: &[f32], start: usize, n: usize) {
    if n == WIDTH {
        if let (Some(to), Some(from)) = (to[at..].first_chunk_mut::<WIDTH>(), from[start..].first_chunk::<WIDTH>()) {
            *to = *from;
        }
        return;
    }
    for (o, x) in to[at..at + n].iter_mut().zip(&from[start..start + n]) {
        *o = *x;
    }
}
