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
        dispatch(Max { planes: self, plane, out });
    }

    /// The sum of each window in `f64`, divided by `count` of its row and column.
    pub fn mean(&self, plane: &[f32], count: &dyn Fn(usize, usize) -> usize, out: &mut [f32]) {
        dispatch(Mean { planes: self, plane, count, out });
    }
}

struct Max<'a> {
    planes: &'a Planes,
    plane: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Max<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Max { planes, plane, out } = self;
        let lines = planes.spread(plane, f32::NEG_INFINITY);
        let ([py, _], [h, _], [oh, ow]) = (planes.windows, planes.plane, planes.out);
        let taps = planes.taps();
        for (y, row) in out.chunks_exact_mut(ow).enumerate().take(oh) {
            for (k, row) in row.chunks_mut(WIDTH).enumerate() {
                let mut top = [f32::NEG_INFINITY; WIDTH];
                for sy in py.sees(y, h) {
                    let line = &lines[sy * planes.line()..][..planes.line()];
                    for tap in &taps {
                        let seen = &line[tap + k * WIDTH..];
                        let Some(seen) = seen.first_chunk::<WIDTH>() else { continue };
                        for i in 0..WIDTH {
                            let is_greater = (seen[i] > top[i]) | (seen[i] != seen[i]);
                            top[i] = if is_greater { seen[i] } else { top[i] };
                        }
                    }
                }
                row.copy_from_slice(&top[..row.len()]);
            }
        }
    }
}

struct Mean<'a> {
    planes: &'a Planes,
    plane: &'a [f32],
    count: &'a dyn Fn(usize, usize) -> usize,
    out: &'a mut [f32],
}

impl Kernel for Mean<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Mean { planes, plane, count, out } = self;
        let lines = planes.spread(plane, 0.0);
        let ([py, _], [h, _], [oh, ow]) = (planes.windows, planes.plane, planes.out);
        let taps = planes.taps();
        for (y, row) in out.chunks_exact_mut(ow).enumerate().take(oh) {
            for (k, row) in row.chunks_mut(WIDTH).enumerate() {
                let mut sums = [0.0f64; WIDTH];
                for sy in py.sees(y, h) {
                    let line = &lines[sy * planes.line()..][..planes.line()];
                    for tap in &taps {
                        let seen = &line[tap + k * WIDTH..];
                        let Some(seen) = seen.first_chunk::<WIDTH>() else { continue };
                        for i in 0..WIDTH {
                            sums[i] += f64::from(seen[i]);
                        }
                    }
                }
                let mut counts = [1.0f64; WIDTH];
                for (i, n) in counts.iter_mut().enumerate().take(row.len()) {
                    *n = count(y, k * WIDTH + i) as f64;
                }
                for i in 0..WIDTH {
                    sums[i] /= counts[i];
                }
                row.iter_mut().zip(sums).for_each(|(o, sum)| *o = sum as f32);
            }
        }
    }
}
