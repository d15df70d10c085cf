//! Convolutions over few channels, of which the greatest of each two by two positions is kept: what the first layer of a
//! small network and its pooling are together.
//!
//! The sums of both lines of some such squares stay in registers until the greatest are known, so a quarter of them is
//! stored and none is read again. A window has few numbers, so the weights stay in the first-level cache.

use smallvec::SmallVec;

use super::activation::Activation;
use super::buffer::Buffer;
use super::channels::{After, Cut};
use super::convolve::Plan;
use super::frame::{Fill, Frame, Images, Lines, Part};
use super::lanes::Lanes;
use super::panels::Panels;
use super::simd::{Vectors, dispatch, vectors};
use super::tile::{Target, WIDTH, copy};
use crate::error::Result;
use crate::parallel::run_all;

/// The most numbers that a window sees: a panel of weights for them has 16 KiB.
pub const MAX_COLUMNS: usize = 128;

/// The convolution that `plan` says, over an even number of lines and positions; a line of `out` is half of two.
pub fn forward(plan: &Plan, x: Images, filter: &Panels, after: After, out: &mut [f32]) -> Result<()> {
    assert!(plan.groups == 1 && plan.out.iter().all(|n| n.is_multiple_of(2)) && after.added.is_none());
    let down = plan.out[0] / 2;
    let line = 2 * plan.out[1] * plan.columns() * plan.o;
    let cut = Cut::new(plan.n, down, line, plan.halo() / 2, |lines| Frame::new(plan, 2 * lines, plan.c).len());
    let target = &Target::new(out, plan.o);
    run_all(cut.n, cut.work, |i| {
        let half = cut.part(i);
        let part = &Part { lines: 2 * half.lines.start..2 * half.lines.end, images: half.images };
        let frame = Frame::new(plan, part.lines.len(), plan.c);
        let mut scratch = Buffer::for_overwrite::<f32>(frame.len().saturating_mul(part.images.len()))?;
        let seen = dispatch(Fill { frame, scratch: scratch.as_mut_slice(), plan, x, channels: 0..plan.c, part });
        vectors(Squares { plan, seen, filter, after, part, target });
        Ok(())
    })
}

/// The part of a result. Whoever makes one promises that nobody else writes it.
struct Squares<'a> {
    plan: &'a Plan,
    seen: Lines<'a>,
    filter: &'a Panels,
    after: After<'a>,
    part: &'a Part,
    target: &'a Target,
}

impl Vectors for Squares<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller detected the features. A step that is known when this is compiled is a part of each address.
        unsafe {
            match self.plan.windows[1].stride * self.seen.pixel {
                1 => self.run_by::<L, 1>(),
                _ => self.run_by::<L, 0>(),
            }
        }
    }
}

impl Squares<'_> {
    /// `STEP`: the numbers from one position to the next, when it is not 0.
    ///
    /// # Safety
    /// The features of `L` were detected.
    #[inline(always)]
    unsafe fn run_by<L: Lanes, const STEP: usize>(self) {
        let Squares { plan, seen, filter, after, part, target } = self;
        let ([kh, kw], [wy, wx]) = (plan.kernel, plan.windows);
        let (down, across) = (part.lines.len() / 2, plan.out[1] / 2);
        // Neighbouring pixels of a line are one run.
        let (per_line, depth) = if wx.dilation == 1 { (1, kw * plan.c) } else { (kw, plan.c) };
        let runs: SmallVec<[usize; 16]> = (0..kh * per_line)
            .map(|i| seen.tap(i / per_line * wy.dilation) + i % per_line * wx.dilation * seen.pixel)
            .collect();
        let step = if STEP > 0 { STEP } else { wx.stride * seen.pixel };
        let reach = runs.iter().max().map_or(0, |run| run + depth);
        let last = (part.images.len() - 1) * seen.image + (2 * down - 1) * seen.line + (2 * across - 1) * step;
        assert!(last + reach <= seen.data.len(), "windows lie inside their frame");
        assert!(filter.rows() == runs.len() * depth, "a panel has a row for each number");
        for j in 0..plan.o.div_ceil(WIDTH) {
            let n_columns = WIDTH.min(plan.o - j * WIDTH);
            let mut bias = [0.0; WIDTH];
            if let Some(all) = after.bias {
                copy(&mut bias[..n_columns], &all[j * WIDTH..]);
            }
            for column in (0..n_columns).step_by(L::N) {
                let n = L::N.min(n_columns - column);
                let weights = &filter.panel(j)[column..];
                for (i, image) in part.images.clone().enumerate() {
                    for y in 0..down {
                        let top = &seen.data[i * seen.image + 2 * y * seen.line..];
                        let row = (image * plan.out[0] / 2 + part.lines.start / 2 + y) * across;
                        let out = target.rows(row, across, j * WIDTH + column, n);
                        // SAFETY: the assertions cover what is read: `place` squares before the last one, of so many runs and
                        // numbers, and a row of the panel for each; `out` has a row of `n` numbers for each square of the
                        // line, which is this piece's as its maker promises; the caller detected the features.
                        unsafe {
                            let bias = L::load(bias.as_ptr().add(column));
                            let job = Job { runs: &runs, depth, line: seen.line, step, weights: weights.as_ptr() };
                            let mut x = 0;
                            while x < across {
                                let top = top.as_ptr().add(2 * x * step);
                                let out = out.add(x * plan.o);
                                // Sixteen sums of 512 bits beside what they are made of; half of that fits other registers.
                                x += match across - x {
                                    4.. if L::N == 16 => {
                                        job.put::<L, 4, 8, STEP>(top, bias, after.activation, out, plan.o, n)
                                    }
                                    2.. => job.put::<L, 2, 4, STEP>(top, bias, after.activation, out, plan.o, n),
                                    _ => job.put::<L, 1, 2, STEP>(top, bias, after.activation, out, plan.o, n),
                                };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is multiplied: `depth` neighbours of each run, and a row of `weights` for each.
struct Job<'a> {
    runs: &'a [usize],
    depth: usize,
    line: usize,
    step: usize,
    weights: *const f32,
}

impl Job<'_> {
    /// Makes `P` squares of `Q`, twice as many, positions of two lines from `top` on, a vector of columns of each, and stores
    /// the first `n` numbers of it; gives `P`.
    ///
    /// # Safety
    /// So much may be read and written, rows of the result `stride` numbers apart, and the features of `L` were detected.
    #[inline(always)]
    unsafe fn put<L: Lanes, const P: usize, const Q: usize, const STEP: usize>(
        &self,
        top: *const f32,
        bias: L,
        activation: Activation,
        out: *mut f32,
        stride: usize,
        n: usize,
    ) -> usize {
        let step = if STEP > 0 { STEP } else { self.step };
        // SAFETY: as the caller promises.
        unsafe {
            let zero = L::splat(0.0);
            let (mut upper, mut lower) = ([zero; Q], [zero; Q]);
            let mut weights = self.weights;
            for run in self.runs {
                let [a, b] = [top.add(*run), top.add(run + self.line)];
                for k in 0..self.depth {
                    let w = L::load(weights);
                    weights = weights.add(WIDTH);
                    for q in 0..Q {
                        upper[q] = L::splat(*a.add(q * step + k)).mul_add(w, upper[q]);
                    }
                    for q in 0..Q {
                        lower[q] = L::splat(*b.add(q * step + k)).mul_add(w, lower[q]);
                    }
                }
            }
            for p in 0..P {
                let [above, below] =
                    [upper[2 * p].or_greater(upper[2 * p + 1]), lower[2 * p].or_greater(lower[2 * p + 1])];
                let mut x = above.or_greater(below).add(bias);
                // Of functions that never fall, so it does not matter that the greatest was taken before.
                if activation == Activation::Relu {
                    x = x.at_least(zero);
                }
                let out = out.add(p * stride);
                if n == L::N {
                    x.store(out);
                } else {
                    let mut whole = [0.0; WIDTH];
                    x.store(whole.as_mut_ptr());
                    copy(std::slice::from_raw_parts_mut(out, n), &whole);
                }
            }
        }
        P
    }
}
