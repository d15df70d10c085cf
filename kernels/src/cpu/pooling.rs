//! Pooling of `f32` images whose channels lie side by side: vectors over channels.

use std::ops::Range;

use smallvec::SmallVec;
use stark_shapes::Pool;

use super::gemm::batches;
use super::lanes::Lanes;
use super::simd::{Kernel, Vectors, dispatch, vectors};
use super::split::fill_chunks;

/// Images `[n, h, w, c]` and the height and width of what they become.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    pub data: &'a [f32],
    pub n: usize,
    pub plane: [usize; 2],
    pub c: usize,
    pub out: [usize; 2],
}

/// The greatest of each window; padding never wins, NaN does.
pub fn max(images: Images, windows: [Pool; 2], out: &mut [f32]) {
    let line = images.out[1] * images.c;
    let cost = line * windows[0].kernel * windows[1].kernel;
    if images.c < BLOCK {
        return rows(images, cost, out, |row, out| dispatch(MaxRow { images, windows, row, out }));
    }
    check(images, out);
    let together = (PIECE / cost.max(1)).max(1);
    fill_chunks(out, line * together, |start, out| {
        vectors(MaxBlocks { images, windows, first: start / line, out });
    });
}

/// The mean of each window: `windows` say for a position along an axis which pixels are in it, `count` what the sum
/// is divided by at a row and a column.
pub fn mean(
    images: Images,
    windows: [&(dyn Fn(usize) -> Range<usize> + Sync); 2],
    count: &(dyn Fn(usize, usize) -> usize + Sync),
    out: &mut [f32],
) {
    let cost = images.c * images.plane[0] * images.plane[1] / images.out[0].max(1);
    rows(images, cost, out, |row, out| dispatch(MeanRow { images, windows, count, row, out }));
}

fn check(images: Images, out: &[f32]) {
    assert!(images.data.len() == images.n * images.plane[0] * images.plane[1] * images.c, "images are whole");
    assert!(out.len() == images.n * images.out[0] * images.out[1] * images.c, "the result is whole");
}

fn rows(images: Images, cost: usize, out: &mut [f32], row: impl Fn(usize, &mut [f32]) + Sync) {
    check(images, out);
    batches(out, images.n * images.out[0], cost, row);
}

impl<'a> Images<'a> {
    /// The channels of one pixel.
    #[inline(always)]
    fn pixel(&self, image: usize, y: usize, x: usize) -> &'a [f32] {
        &self.data[((image * self.plane[0] + y) * self.plane[1] + x) * self.c..][..self.c]
    }
}

/// Channels that fill a vector of any instruction set.
const BLOCK: usize = 16;
/// Comparisons in a piece that is worth handing to another core (some 10 µs).
const PIECE: usize = 1 << 18;

/// Rows of the result from `first` on, vector by vector.
struct MaxBlocks<'a> {
    images: Images<'a>,
    windows: [Pool; 2],
    first: usize,
    out: &'a mut [f32],
}

impl Vectors for MaxBlocks<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let MaxBlocks { images, windows: [py, px], first, out } = self;
        let ([h, w], [oh, ow], c) = (images.plane, images.out, images.c);
        assert!(c >= L::N, "channels fill a vector");
        let taps = taps(images, [py, px]);
        let reach = taps.last().map_or(0, |last| last + c);
        for (i, out) in out.chunks_exact_mut(ow * c).enumerate() {
            let (image, y) = ((first + i) / oh, (first + i) % oh);
            let inside = whole(py, y, h).filter(|_| !taps.is_empty());
            for (z, out) in out.chunks_exact_mut(c).enumerate() {
                // One check for a window that is all inside.
                let window = inside.zip(whole(px, z, w)).map(|(sy, sx)| {
                    let start = ((image * h + sy) * w + sx) * c;
                    &images.data[start..start + reach]
                });
                for block in (0..c).step_by(L::N) {
                    // The last vector may take up channels of the one before again, which changes nothing.
                    let channel = block.min(c - L::N);
                    // SAFETY: pixels and `out` have a vector of channels from `channel` on, and a tap is where a pixel of the
                    // window begins, the last one `c` numbers before its end; the caller detected the features.
                    unsafe {
                        let mut top = L::splat(f32::NEG_INFINITY);
                        if let Some(window) = window {
                            for tap in &taps {
                                top = top.or_greater(L::load(window.as_ptr().add(tap + channel)));
                            }
                        } else {
                            for sy in py.sees(y, h) {
                                for sx in px.sees(z, w) {
                                    top = top.or_greater(L::load(images.pixel(image, sy, sx).as_ptr().add(channel)));
                                }
                            }
                        }
                        top.store(out.as_mut_ptr().add(channel));
                    }
                }
            }
        }
    }
}

/// The first pixel that window `at` sees along an axis of `n`, where it sees a pixel at each of its places.
#[inline(always)]
fn whole(window: Pool, at: usize, n: usize) -> Option<usize> {
    let start = (at * window.stride).checked_sub(window.padding)?;
    let span = window.kernel.checked_sub(1)?.checked_mul(window.dilation)?;
    (span < n && start < n - span).then_some(start)
}

/// From the first number of a window that is all inside to those of its pixels; none where no window is.
fn taps(images: Images, [py, px]: [Pool; 2]) -> SmallVec<[usize; 16]> {
    let [h, w] = images.plane;
    let fits =
        |window: Pool, n: usize| (0..window.kernel).map_while(|i| i.checked_mul(window.dilation)).all(|at| at < n);
    if !fits(py, h) || !fits(px, w) {
        return SmallVec::new();
    }
    let at = |i: usize| (i / px.kernel * py.dilation * w + i % px.kernel * px.dilation) * images.c;
    (0..py.kernel * px.kernel).map(at).collect()
}

/// One row of the result, channel by channel.
struct MaxRow<'a> {
    images: Images<'a>,
    windows: [Pool; 2],
    row: usize,
    out: &'a mut [f32],
}

impl Kernel for MaxRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let MaxRow { images, windows: [py, px], row, out } = self;
        let (image, y) = (row / images.out[0], row % images.out[0]);
        for (z, out) in out.chunks_exact_mut(images.c).enumerate() {
            out.fill(f32::NEG_INFINITY);
            for sy in py.sees(y, images.plane[0]) {
                for sx in px.sees(z, images.plane[1]) {
                    for (top, v) in out.iter_mut().zip(images.pixel(image, sy, sx)) {
                        *top = if *v > *top || v.is_nan() { *v } else { *top };
                    }
                }
            }
        }
    }
}

struct MeanRow<'a> {
    images: Images<'a>,
    windows: [&'a (dyn Fn(usize) -> Range<usize> + Sync); 2],
    count: &'a (dyn Fn(usize, usize) -> usize + Sync),
    row: usize,
    out: &'a mut [f32],
}

/// Channels whose sums stay in registers.
const LANES: usize = 16;

impl Kernel for MeanRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let MeanRow { images, windows, count, row, out } = self;
        let (image, y) = (row / images.out[0], row % images.out[0]);
        let ys = windows[0](y);
        for (z, out) in out.chunks_exact_mut(images.c).enumerate() {
            let xs = windows[1](z);
            if ys.is_empty() || xs.is_empty() {
                out.fill(0.0);
                continue;
            }
            let n = count(y, z) as f64;
            for (k, out) in out.chunks_mut(LANES).enumerate() {
                // In `Float64`, as sums are everywhere.
                let mut sums = [0.0f64; LANES];
                for sy in ys.clone() {
                    for sx in xs.clone() {
                        let from = &images.pixel(image, sy, sx)[k * LANES..];
                        match from.first_chunk::<LANES>() {
                            Some(from) => sums.iter_mut().zip(from).for_each(|(sum, x)| *sum += f64::from(*x)),
                            None => sums.iter_mut().zip(from).for_each(|(sum, x)| *sum += f64::from(*x)),
                        }
                    }
                }
                out.iter_mut().zip(sums).for_each(|(o, sum)| *o = (sum / n) as f32);
            }
        }
    }
}
