//! Pooling of planes that lie row by row: vectors over neighbouring windows.
//!
//! The lines of a plane are copied with their padding, numbers that are a stride apart side by side, so that what
//! neighbouring windows see at one of their places is one vector. Each window takes up its elements in the order of the
//! plain loop, so results are the same to the bit.

use smallvec::SmallVec;
use stark_shapes::Pool;

use super::simd::{Kernel, dispatch};

/// Windows that are looked at together.
const WIDTH: usize = 16;
/// The most a line may grow by its padding and strides, in its own lengths; a guess: beyond it the plain loop is as good.
const GROWTH: usize = 4;

/// A pooling of planes `[h, w]` to `[oh, ow]`, when it can go this way.
#[derive(Clone, Copy)]
pub struct Planes {
    windows: [Pool; 2],
    plane: [usize; 2],
    out: [usize; 2],
    /// Numbers of a line that are a stride apart.
    phase: usize,
}

impl Planes {
    pub fn new(windows: [Pool; 2], plane: [usize; 2], out: [usize; 2]) -> Option<Planes> {
        let p = windows[1];
        let reach =
            (out[1].max(1) - 1).checked_mul(p.stride)?.checked_add((p.kernel.max(1) - 1).checked_mul(p.dilation)?)?;
        let longest = (plane[1].checked_add(p.padding)?).max(reach.checked_add(1)?);
        let phase = longest.div_ceil(p.stride.max(1)).checked_add(WIDTH)?;
        let fits = longest <= GROWTH * (plane[1] + WIDTH) && p.stride > 0 && p.stride <= WIDTH && out[1] >= WIDTH / 2;
        fits.then_some(Planes { windows, plane, out, phase })
    }

    fn line(&self) -> usize {
        self.phase * self.windows[1].stride
    }

    /// The lines of `plane`, `outside` where there are no numbers.
    fn spread(&self, plane: &[f32], outside: f32) -> Vec<f32> {
        let ([h, w], Pool { stride, padding, .. }) = (self.plane, self.windows[1]);
        let mut lines = vec![outside; h * self.line()];
        if w == 0 {
            return lines;
        }
        for (line, row) in lines.chunks_exact_mut(self.line()).zip(plane.chunks_exact(w)) {
            match stride {
                1 => line[padding..padding + w].copy_from_slice(row),
                _ => {
                    for phase in 0..stride {
                        // The first number of this phase, and where it goes.
                        let first = (phase + stride - padding % stride) % stride;
                        let to = &mut line[phase * self.phase + (first + padding) / stride..];
                        to.iter_mut().zip(row.iter().skip(first).step_by(stride)).for_each(|(o, x)| *o = *x);
                    }
                }
            }
        }
        lines
    }

    /// Where in a line the numbers of each place of the first window are.
    fn taps(&self) -> SmallVec<[usize; 16]> {
        let Pool { kernel, stride, dilation, .. } = self.windows[1];
        let places = (0..kernel).map(|kx| kx * dilation);
        places.map(|at| at % stride * self.phase + at / stride).collect()
    }

    /// The greatest of each window; padding never wins, NaN does.
    pub fn max(&self, plane: &[f32], out: &mut [f32]) {
        let greater = |top: f32, x: f32| if (x > top) | x.is_nan() { x } else { top };
        let lines = self.spread(plane, f32::NEG_INFINITY);
        dispatch(Fold { planes: self, lines, start: f32::NEG_INFINITY, take: greater, give: |_, _, top| top, out });
    }

    /// The sum of each window in `f64`, divided by `count` of its row and column.
    pub fn mean(&self, plane: &[f32], count: &dyn Fn(usize, usize) -> usize, out: &mut [f32]) {
        let give = |y, x, sum| (sum / count(y, x) as f64) as f32;
        let (lines, take) = (self.spread(plane, 0.0), |sum, x| sum + f64::from(x));
        dispatch(Fold { planes: self, lines, start: 0.0f64, take, give, out });
    }
}

/// Each window's elements taken up one after the other; what becomes of that is `give` of its row and column.
struct Fold<'a, A, T, G> {
    planes: &'a Planes,
    lines: Vec<f32>,
    start: A,
    take: T,
    give: G,
    out: &'a mut [f32],
}

impl<A: Copy, T: Fn(A, f32) -> A, G: Fn(usize, usize, A) -> f32> Kernel for Fold<'_, A, T, G> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Fold { planes, lines, start, take, give, out } = self;
        let ([py, _], [h, _], [oh, ow]) = (planes.windows, planes.plane, planes.out);
        let taps = planes.taps();
        for (y, row) in out.chunks_exact_mut(ow).enumerate().take(oh) {
            for (k, row) in row.chunks_mut(WIDTH).enumerate() {
                let mut all = [start; WIDTH];
                for sy in py.sees(y, h) {
                    let line = &lines[sy * planes.line()..][..planes.line()];
                    for tap in &taps {
                        let seen = &line[tap + k * WIDTH..];
                        let Some(seen) = seen.first_chunk::<WIDTH>() else { continue };
                        for i in 0..WIDTH {
                            all[i] = take(all[i], seen[i]);
                        }
                    }
                }
                for (i, o) in row.iter_mut().enumerate() {
                    *o = give(y, k * WIDTH + i, all[i]);
                }
            }
        }
    }
}
