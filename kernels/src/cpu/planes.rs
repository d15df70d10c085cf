//! Pooling of planes that lie row by row: vectors over neighbouring windows.
//!
//! Lines are copied with their padding, numbers that are a stride apart side by side, so that what neighbouring windows see at
//! one of their places is one vector. What each window sees of a line becomes one number, and then its lines become one: a
//! line that several windows see is looked through once, and a window of 9 takes 4 steps and not 8. Of equal numbers the first
//! in the order of the plain loop is the greatest, so maxima are the same to the bit.

use std::ops::Range;

use smallvec::SmallVec;
use stark_shapes::Pool;

use super::functions::MAX_LANES;
use super::lanes::Lanes;
use super::simd::{Vectors, vectors};
use super::split::{CHUNK, fill_chunks};

/// The most a line may grow by its padding and strides, in its own lengths; a guess: beyond it the plain loop is as good.
const GROWTH: usize = 4;
/// The longest stride.
const FAR: usize = 16;
/// Bytes of lines that are under way: they stay in the first-level cache, beside those that come and go.
const UNDER_WAY: usize = 24 << 10;
/// The most rows and columns, in all, of a window whose sum is made in `f32`: its last few bits are as good as their number.
const SHORT: usize = 32;

/// A pooling of planes `[h, w]` to `[oh, ow]`, when it can go this way.
pub struct Planes {
    windows: [Pool; 2],
    plane: [usize; 2],
    out: [usize; 2],
    /// Numbers of a line that are a stride apart, and then more: whole vectors are written and read.
    phase: usize,
    /// Where in a line the numbers of each place of the first window are.
    taps: SmallVec<[usize; 16]>,
    /// The last of these.
    reach: usize,
    /// The first line that each row of the result sees, and how many.
    sees: SmallVec<[(usize, usize); 32]>,
}

impl Planes {
    pub fn new(windows: [Pool; 2], plane: [usize; 2], out: [usize; 2]) -> Option<Planes> {
        let [py, px] = windows;
        let width = (out[1].max(1) - 1)
            .checked_mul(px.stride)?
            .checked_add((px.kernel.max(1) - 1).checked_mul(px.dilation)?)?;
        let longest = (plane[1].checked_add(px.padding)?).max(width.checked_add(1)?);
        let phase = longest.div_ceil(px.stride.max(1)).checked_add(2 * MAX_LANES)?;
        if longest > GROWTH * (plane[1] + MAX_LANES) || px.stride == 0 || px.stride > FAR {
            return None;
        }
        let places = (0..px.kernel).map(|kx| kx * px.dilation);
        let taps: SmallVec<[usize; 16]> = places.map(|at| at % px.stride * phase + at / px.stride).collect();
        let last = taps.iter().copied().max()?;
        let sees = |y| {
            let mut lines = py.sees(y, plane[0]);
            lines.next().map_or((0, 0), |first| (first, 1 + lines.count()))
        };
        Some(Planes { windows, plane, out, phase, taps, reach: last, sees: (0..out[0]).map(sees).collect() })
    }

    /// The greatest of each window; padding never wins, NaN does.
    pub fn max(&self, planes: &[f32], out: &mut [f32]) {
        self.fold(Greatest, planes, out);
    }

    /// Whether windows are so small that [`Planes::mean`] is as good as a sum in `f64`.
    pub fn has_short_sums(&self) -> bool {
        self.windows[0].kernel.saturating_add(self.windows[1].kernel) <= SHORT
    }

    /// The sum of each window, divided by a number of its row times one of its column.
    pub fn mean(&self, planes: &[f32], rows: &[f32], columns: &[f32], out: &mut [f32]) {
        let mut whole: SmallVec<[f32; 128]> = columns.into();
        whole.resize(self.out[1].next_multiple_of(MAX_LANES), 1.0);
        assert!(columns.len() == self.out[1] && rows.len() == self.out[0], "there is a number for each");
        self.fold(Mean { rows, columns: &whole }, planes, out);
    }

    fn fold(&self, rule: impl Rule, planes: &[f32], out: &mut [f32]) {
        let ([h, w], [oh, ow]) = (self.plane, self.out);
        let n = out.len() / (oh * ow).max(1);
        assert!(planes.len() == n * h * w && out.len() == n * oh * ow, "planes are whole");
        // As many rows as are worth a piece; whole planes where they are small.
        let row = w * self.windows[0].stride.min(h) + ow;
        let rows = (CHUNK / row.max(1)).max(1);
        let rows = if rows > oh { rows - rows % oh.max(1) } else { rows };
        let whole = self.lines(0..oh);
        fill_chunks(out, rows * ow, |start, out| {
            vectors(Rows { planes: self, whole: whole.clone(), rule, data: planes, first: start / ow, out });
        });
    }

    /// The lines that some rows of the result see.
    fn lines(&self, rows: Range<usize>) -> Range<usize> {
        let some = || self.sees[rows.clone()].iter().filter(|(_, n)| *n > 0);
        let first = some().map(|(first, _)| *first).min().unwrap_or(0);
        let last = some().map(|(first, n)| first + (n - 1) * self.windows[0].dilation + 1).max();
        first..last.unwrap_or(first)
    }

    /// The rows of the result that are made at a time, when each of their lines has so many numbers.
    fn together(&self, line: usize) -> usize {
        let Pool { kernel, stride, dilation, .. } = self.windows[0];
        let span = ((kernel.max(1) - 1).saturating_mul(dilation).saturating_add(1)).min(self.plane[0].max(1));
        let rows = (UNDER_WAY / size_of::<f32>() / line.max(1)).saturating_sub(span) / stride.max(1) + 1;
        // Lines that two lots see are looked through twice: not so many.
        rows.max(span.div_ceil(stride.max(1)))
    }

    /// Numbers of a line with its padding.
    fn line(&self) -> usize {
        self.phase * self.windows[1].stride
    }

    /// Lines with their padding, phase by phase. Between numbers there is nothing to be written.
    ///
    /// # Safety
    /// The features of `L` were detected.
    #[inline(always)]
    unsafe fn spread<L: Lanes>(&self, data: &[f32], outside: f32, lines: &mut [f32]) {
        let (w, phase, line, Pool { stride, padding, .. }) = (self.plane[1], self.phase, self.line(), self.windows[1]);
        let n = if w == 0 { 0 } else { data.len() / w };
        assert!(n * line <= lines.len() && (w + padding).div_ceil(stride) + MAX_LANES <= phase, "lines have room");
        let (from, to) = (data.as_ptr(), lines.as_mut_ptr());
        // SAFETY: the features were detected by the caller. Of each line `w` numbers are read. Those from one on have their
        // places in their phase, less than `(w + padding) / stride` of it, and a vector more is there, as was asserted.
        unsafe {
            match stride {
                1 => {
                    let (whole, rest) = (w - w % L::N, w % L::N);
                    for i in 0..n {
                        let (from, to) = (from.add(i * w), to.add(i * line + padding));
                        for at in (0..whole).step_by(L::N) {
                            L::load(from.add(at)).store(to.add(at));
                        }
                        if rest > 0 {
                            L::load_first(from.add(whole), rest, outside).store(to.add(whole));
                        }
                    }
                }
                2 => {
                    let (whole, rest) = (w - w % (2 * L::N), w % (2 * L::N));
                    let even = padding % 2 * phase + padding / 2;
                    let odd = (padding + 1) % 2 * phase + padding.div_ceil(2);
                    let (first, next) = (rest.min(L::N), rest.saturating_sub(L::N));
                    for i in 0..n {
                        let (from, to) = (from.add(i * w), to.add(i * line));
                        for at in (0..whole).step_by(2 * L::N) {
                            let halves = L::load(from.add(at)).halves(L::load(from.add(at + L::N)));
                            halves[0].store(to.add(even + at / 2));
                            halves[1].store(to.add(odd + at / 2));
                        }
                        if rest > 0 {
                            let next = L::load_first(from.wrapping_add(whole + L::N), next, outside);
                            let halves = L::load_first(from.add(whole), first, outside).halves(next);
                            halves[0].store(to.add(even + whole / 2));
                            halves[1].store(to.add(odd + whole / 2));
                        }
                    }
                }
                _ => {
                    for i in 0..n {
                        for at in 0..w {
                            let place = at + padding;
                            *to.add(i * line + place % stride * phase + place / stride) = *from.add(i * w + at);
                        }
                    }
                }
            }
        }
    }
}

/// How the numbers of a window become one.
trait Rule: Copy + Sync {
    /// What is seen where there are no numbers.
    const OUTSIDE: f32;
    fn first<L: Lanes>(x: L) -> L;
    fn next<L: Lanes>(all: L, x: L) -> L;
    /// The results of row `y` from column `z` on.
    ///
    /// # Safety
    /// The features were detected, and `y` and `z` lie inside.
    unsafe fn give<L: Lanes>(self, y: usize, z: usize, all: L) -> L;
}

#[derive(Clone, Copy)]
struct Greatest;

impl Rule for Greatest {
    const OUTSIDE: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn first<L: Lanes>(x: L) -> L {
        x
    }

    #[inline(always)]
    fn next<L: Lanes>(top: L, x: L) -> L {
        top.or_greater(x)
    }

    #[inline(always)]
    unsafe fn give<L: Lanes>(self, _: usize, _: usize, top: L) -> L {
        top
    }
}

#[derive(Clone, Copy)]
struct Mean<'a> {
    rows: &'a [f32],
    /// Whole vectors of them.
    columns: &'a [f32],
}

impl Rule for Mean<'_> {
    const OUTSIDE: f32 = 0.0;

    #[inline(always)]
    fn first<L: Lanes>(x: L) -> L {
        // Of negative zeros the sum is 0.
        x.all(0.0).add(x)
    }

    #[inline(always)]
    fn next<L: Lanes>(sum: L, x: L) -> L {
        sum.add(x)
    }

    #[inline(always)]
    unsafe fn give<L: Lanes>(self, y: usize, z: usize, sum: L) -> L {
        // SAFETY: there are whole vectors of columns; the caller promises the rest.
        unsafe { sum.div(L::load(self.columns.as_ptr().add(z)).mul(sum.all(*self.rows.get_unchecked(y)))) }
    }
}

/// Rows of the result from `first` on, counted through all planes.
struct Rows<'a, R> {
    planes: &'a Planes,
    /// The lines that all rows see.
    whole: Range<usize>,
    rule: R,
    data: &'a [f32],
    first: usize,
    out: &'a mut [f32],
}

impl<R: Rule> Vectors for Rows<'_, R> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Rows { planes, whole, rule, data, first, out } = self;
        let ([h, w], [oh, ow]) = (planes.plane, planes.out);
        let (line, across) = (planes.line(), ow.next_multiple_of(L::N));
        let together = planes.together(line + across);
        let (mut lines, mut parts) = (Vec::new(), Vec::new());
        let (mut plane, mut y) = (first / oh, first % oh);
        let mut rest = out;
        while !rest.is_empty() {
            let rows = y..oh.min(y + together).min(y + rest.len() / ow);
            let is_whole = rows.len() == oh;
            let seen = if is_whole { whole.clone() } else { planes.lines(rows.clone()) };
            // Small planes go together: what is read just after it was written waits for all that was written before it.
            let many = if is_whole { (together / oh).max(1).min(rest.len() / (oh * ow)) } else { 1 };
            let (n, size) = (seen.len(), rows.len() * ow);
            if lines.len() < many * n * line {
                // The padding stays as it is, whatever lines come.
                lines.resize(many * n * line, R::OUTSIDE);
                parts.resize(many * n * across, R::OUTSIDE);
            }
            let out;
            (out, rest) = rest.split_at_mut(many * size);
            // SAFETY: the features were detected by the caller.
            unsafe {
                for i in 0..many {
                    let from = &data[((plane + i) * h + seen.start) * w..][..n * w];
                    planes.spread::<L>(from, R::OUTSIDE, &mut lines[i * n * line..]);
                }
                // Windows of the usual widths have loops of their own, in which their places stay in registers.
                match planes.taps[..] {
                    [a, b] => over_columns::<L, R>(planes, [a, b], many * n, &lines, &mut parts),
                    [a, b, c] => over_columns::<L, R>(planes, [a, b, c], many * n, &lines, &mut parts),
                    _ => over_columns::<L, R>(planes, &planes.taps[..], many * n, &lines, &mut parts),
                }
                for (i, out) in out.chunks_exact_mut(size).enumerate() {
                    let parts = &parts[i * n * across..][..n * across];
                    over_lines::<L, R>(planes, rule, rows.clone(), seen.start, parts, out);
                }
            }
            (plane, y) = if rows.end == oh { (plane + many, 0) } else { (plane, rows.end) };
        }
    }
}

/// What windows beside each other see of each of `n` lines.
///
/// # Safety
/// The features of `L` were detected.
#[inline(always)]
unsafe fn over_columns<L: Lanes, R: Rule>(
    planes: &Planes,
    taps: impl AsRef<[usize]>,
    n: usize,
    lines: &[f32],
    parts: &mut [f32],
) {
    let (line, across) = (planes.line(), planes.out[1].next_multiple_of(L::N));
    let Some((first, taps)) = taps.as_ref().split_first() else { return };
    assert!(
        n * line <= lines.len() && n * across <= parts.len() && planes.reach + across <= line,
        "windows lie inside"
    );
    for i in 0..n {
        for z in (0..across).step_by(L::N) {
            // SAFETY: `z` and a vector more lie inside the line's parts, and no tap is beyond `reach`, from which on as many
            // numbers are there.
            unsafe {
                let line = lines.as_ptr().add(i * line + z);
                let mut all = R::first(L::load(line.add(*first)));
                for tap in taps {
                    all = R::next(all, L::load(line.add(*tap)));
                }
                all.store(parts.as_mut_ptr().add(i * across + z));
            }
        }
    }
}

/// The results of `rows`, from the parts of lines from `first` on.
///
/// # Safety
/// The features of `L` were detected.
#[inline(always)]
unsafe fn over_lines<L: Lanes, R: Rule>(
    planes: &Planes,
    rule: R,
    rows: Range<usize>,
    first: usize,
    parts: &[f32],
    out: &mut [f32],
) {
    let ow = planes.out[1];
    let (across, apart) = (ow.next_multiple_of(L::N), planes.windows[0].dilation);
    assert!(out.len() == rows.len() * ow, "rows are whole");
    let (whole, rest) = (ow - ow % L::N, ow % L::N);
    for (i, y) in rows.enumerate() {
        let (from, n) = planes.sees[y];
        assert!(
            n == 0 || (from >= first && (from - first + (n - 1) * apart + 1) * across <= parts.len()),
            "lines are there"
        );
        let from = if n == 0 { parts } else { &parts[(from - first) * across..] };
        // SAFETY: `z` and a vector more lie inside each line, and as much of the row is written as there is.
        unsafe {
            let to = out.as_mut_ptr().add(i * ow);
            for z in (0..whole).step_by(L::N) {
                rule.give(y, z, over_one::<L, R>(from, z, n, apart * across)).store(to.add(z));
            }
            if rest > 0 {
                rule.give(y, whole, over_one::<L, R>(from, whole, n, apart * across)).store_first(to.add(whole), rest);
            }
        }
    }
}

/// What is seen of `n` lines.
///
/// # Safety
/// The features of `L` were detected, and each line, `apart` from the one before, has a vector from `z` on.
#[inline(always)]
unsafe fn over_one<L: Lanes, R: Rule>(parts: &[f32], z: usize, n: usize, apart: usize) -> L {
    // SAFETY: as the caller promises.
    unsafe {
        let mut from = parts.as_ptr().wrapping_add(z);
        let mut all = if n == 0 { L::splat(R::OUTSIDE) } else { L::load(from) };
        for _ in 1..n {
            from = from.wrapping_add(apart);
            all = R::next(all, L::load(from));
        }
        all
    }
}
