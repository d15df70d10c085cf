//! Rows of `f32` that are looked at as a whole: softmax, normalisation.
//!
//! Sums run in several vectors side by side, and those of a block go on in `f64`: a long row loses no digits.

use super::functions::{Function, MAX_LANES, SIDE, Scale, each_at, exp_below_0, function_types};
use super::lanes::Lanes;
use super::simd::Vectors;
use super::weights::weights;

/// Numbers that are added up in `f32`: at most 64 in each of as many sums.
const BLOCK: usize = 4096;

function_types! {
    /// `mean` counts from `from` on.
    Square { from, mean }: x => { let d = x.sub(from).sub(mean); d.mul(d) };
    Normal { from, mean, scale }: x => x.sub(from).sub(mean).mul(scale);
    /// e^(x - top), of numbers that are at most `top`.
    Weight { top }: x => exp_below_0(x.sub(top));
    LogWeight { top, log_sum }: x => x.sub(top).sub(log_sum);
}

/// One number of all, by pairs, whose results do not wait for each other.
#[inline(always)]
fn in_pairs(mut x: [f32; MAX_LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for k in 0..half {
            x[k] = f(x[k], x[k + half]);
        }
    }
    x[0]
}

/// The greatest of `x`, past NaN; -∞ when there is nothing.
///
/// # Safety
/// The features of `L` were detected.
#[inline(always)]
unsafe fn greatest<L: Lanes>(x: &[f32]) -> f32 {
    let (at, n) = (x.as_ptr(), x.len());
    let mut i = 0;
    // SAFETY: places stay below `n`; `all` has room for the vectors.
    unsafe {
        let mut tops = [L::splat(f32::NEG_INFINITY); SIDE];
        while i + SIDE * L::N <= n {
            for k in 0..SIDE {
                tops[k] = L::load(at.add(i + k * L::N)).at_least(tops[k]);
            }
            i += SIDE * L::N;
        }
        while i + L::N <= n {
            tops[0] = L::load(at.add(i)).at_least(tops[0]);
            i += L::N;
        }
        let mut all = [f32::NEG_INFINITY; MAX_LANES];
        tops[0].at_least(tops[1]).at_least(tops[2].at_least(tops[3])).store(all.as_mut_ptr());
        x[i..].iter().fold(in_pairs(all, f32::max), |top, x| top.max(*x))
    }
}

/// The sum of `f` of `n` numbers; each is written, too, where there is a place for it.
///
/// # Safety
/// The features of `L` were detected; `n` numbers may be read at `from`, and written at `to`, which is the same place or
/// one that does not overlap.
#[inline(always)]
unsafe fn sum<L: Lanes>(from: *const f32, to: Option<*mut f32>, n: usize, f: impl Function) -> f64 {
    let mut total = 0.0;
    for first in (0..n).step_by(BLOCK) {
        let end = n.min(first + BLOCK);
        let mut i = first;
        // SAFETY: places stay below `n`; `last` is as long as the longest vector.
        unsafe {
            let mut sums = [L::splat(0.0); SIDE];
            while i + SIDE * L::N <= end {
                let mut y = sums;
                for k in 0..SIDE {
                    y[k] = f.of(L::load(from.add(i + k * L::N)));
                }
                for k in 0..SIDE {
                    sums[k] = sums[k].add(y[k]);
                    if let Some(to) = to {
                        y[k].store(to.add(i + k * L::N));
                    }
                }
                i += SIDE * L::N;
            }
            while i + L::N <= end {
                let y = f.of(L::load(from.add(i)));
                sums[0] = sums[0].add(y);
                if let Some(to) = to {
                    y.store(to.add(i));
                }
                i += L::N;
            }
            let mut last = [0.0f32; MAX_LANES];
            if i < end {
                let rest = end - i;
                std::ptr::copy_nonoverlapping(from.add(i), last.as_mut_ptr(), rest);
                f.of(L::load(last.as_ptr())).store(last.as_mut_ptr());
                if let Some(to) = to {
                    std::ptr::copy_nonoverlapping(last.as_ptr(), to.add(i), rest);
                }
                last[rest..].fill(0.0);
                sums[0] = sums[0].add(L::load(last.as_ptr()));
            }
            last.fill(0.0);
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(last.as_mut_ptr());
            total += f64::from(in_pairs(last, |a, b| a + b));
        }
    }
    total
}

/// The sums of how far `n` numbers are from `from`, and of the squares of that.
///
/// # Safety
/// The features of `L` were detected; `n` numbers may be read at `at`.
#[inline(always)]
unsafe fn moments<L: Lanes>(at: *const f32, n: usize, from: f32) -> [f64; 2] {
    let mut totals = [0.0; 2];
    for first in (0..n).step_by(BLOCK) {
        let end = n.min(first + BLOCK);
        let mut i = first;
        // SAFETY: places stay below `n`; `last` is as long as the longest vector.
        unsafe {
            let (zero, far) = (L::splat(0.0), L::splat(from));
            let (mut sums, mut squares) = ([zero; SIDE], [zero; SIDE]);
            while i + SIDE * L::N <= end {
                for k in 0..SIDE {
                    let d = L::load(at.add(i + k * L::N)).sub(far);
                    sums[k] = sums[k].add(d);
                    squares[k] = d.mul_add(d, squares[k]);
                }
                i += SIDE * L::N;
            }
            while i < end {
                // Beyond the last one, numbers that are no way off.
                let rest = L::N.min(end - i);
                let mut last = [from; MAX_LANES];
                let x = if rest == L::N {
                    L::load(at.add(i))
                } else {
                    std::ptr::copy_nonoverlapping(at.add(i), last.as_mut_ptr(), rest);
                    L::load(last.as_ptr())
                };
                let d = x.sub(far);
                sums[0] = sums[0].add(d);
                squares[0] = d.mul_add(d, squares[0]);
                i += rest;
            }
            let all = |four: [L; SIDE]| four[0].add(four[1]).add(four[2].add(four[3]));
            let [sum, square, ..] = L::sums([all(sums), all(squares), zero, zero]);
            totals = [totals[0] + f64::from(sum), totals[1] + f64::from(square)];
        }
    }
    totals
}

/// Rows of `n` numbers and the places of their results. Short rows come many at a time, so that one does not wait for another.
pub struct InRows<'a> {
    pub x: &'a [f32],
    pub out: &'a mut [f32],
    pub n: usize,
}

impl<'a> InRows<'a> {
    /// Each row and its place. Loops go over them: a closure would not be compiled for wide vectors.
    #[inline(always)]
    fn each(self) -> impl Iterator<Item = (&'a [f32], &'a mut [f32])> {
        assert!(self.out.len() == self.x.len(), "there is a place for each number");
        let n = self.n.max(1);
        self.x.chunks_exact(n).zip(self.out.chunks_exact_mut(n))
    }
}

/// `exp(x)` of each row, scaled to sum 1. Only -∞, or anything that is NaN, gives NaN.
pub struct Softmax<'a>(pub InRows<'a>);

impl Vectors for Softmax<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let InRows { x, out, n } = self.0;
        if n <= SHORT {
            let some = TOGETHER * n.max(1);
            for (x, out) in x.chunks(some).zip(out.chunks_mut(some)) {
                // SAFETY: the features were detected by the caller.
                unsafe {
                    if x.len() == some {
                        short::<L, TOGETHER>(x, out, n);
                        continue;
                    }
                    for (x, out) in (InRows { x, out, n }).each() {
                        short::<L, 1>(x, out, n);
                    }
                }
            }
            return;
        }
        for (x, out) in (InRows { x, out, n }).each() {
            let (n, out) = (x.len(), out.as_mut_ptr());
            // SAFETY: the features were detected by the caller; rows have `n` numbers on both sides.
            unsafe {
                let sum = sum::<L>(x.as_ptr(), Some(out), n, Weight { top: greatest::<L>(x) });
                each_at::<L>(out, out, n, Scale { by: (1.0 / sum) as f32 });
            }
        }
    }
}

/// Rows of so many numbers or fewer wait longer for their greatest, their powers and their sum than these take to compute. Measured: from 384 on it is
/// as fast one by one.
const SHORT: usize = 256;
/// Rows that wait together.
const TOGETHER: usize = 4;

/// Softmax of `R` rows of `n` numbers.
///
/// # Safety
/// The features of `L` were detected.
#[inline(always)]
unsafe fn short<L: Lanes, const R: usize>(x: &[f32], out: &mut [f32], n: usize) {
    assert!(x.len() == R * n && out.len() == R * n, "rows are whole");
    let (x, out) = (x.as_ptr(), out.as_mut_ptr());
    let (from, to) = (std::array::from_fn(|r| x.wrapping_add(r * n)), std::array::from_fn(|r| out.wrapping_add(r * n)));
    // SAFETY: the features were detected by the caller; there are `R` rows on both sides.
    unsafe {
        let sums = weights::<L, R, false>(from, to, from, 1.0, n);
        for r in 0..R {
            each_at::<L>(to[r], to[r], n, Scale { by: 1.0 / sums[r] });
        }
    }
}

/// The logarithm of softmax, without its rounding to 0.
pub struct LogSoftmax<'a>(pub InRows<'a>);

impl Vectors for LogSoftmax<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for (x, out) in self.0.each() {
            // SAFETY: as above.
            unsafe {
                let top = greatest::<L>(x);
                let log_sum = sum::<L>(x.as_ptr(), None, x.len(), Weight { top }).ln() as f32;
                each_at::<L>(x.as_ptr(), out.as_mut_ptr(), x.len(), LogWeight { top, log_sum });
            }
        }
    }
}

/// `(x - mean) / sqrt(var + eps) · weight + bias`, without the mean unless `centre`.
pub struct Normalise<'a> {
    pub rows: InRows<'a>,
    pub centre: bool,
    pub eps: f64,
    pub weight: Option<&'a [f32]>,
    pub bias: Option<&'a [f32]>,
}

impl Vectors for Normalise<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Normalise { rows, centre, eps, weight, bias } = self;
        assert!([weight, bias].iter().flatten().all(|p| p.len() == rows.n), "rows are whole");
        for (x, out) in rows.each() {
            // SAFETY: the features were detected by the caller, and rows have as many numbers as parameters.
            unsafe { normalise::<L>(x, out, centre, eps, weight, bias) };
        }
    }
}

/// # Safety
/// The features of `L` were detected, and all slices are equally long.
#[inline(always)]
unsafe fn normalise<L: Lanes>(
    x: &[f32],
    out: &mut [f32],
    centre: bool,
    eps: f64,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
) {
    let n = x.len();
    // SAFETY: as the caller promises; places stay below `n`.
    unsafe {
        let at = x.as_ptr();
        // From one of the numbers on, so that what all of them have in common takes no digits from how they differ.
        let from = if centre { x.first().copied().unwrap_or(0.0) } else { 0.0 };
        let [sums, squares] = if centre { moments::<L>(at, n, from).map(|x| x / n as f64) } else { [0.0; 2] };
        let mean = sums as f32;
        let var = squares - sums * sums;
        // Where the mean is far from where it is counted, on the scale of the numbers' own differences, the difference of
        // squares has lost digits. So it is with NaN.
        let is_near = centre && sums * sums <= 4.0 * var;
        let var = if is_near { var } else { sum::<L>(at, None, n, Square { from, mean }) / n as f64 };
        let normal = Normal { from, mean, scale: (1.0 / (var + eps).sqrt()) as f32 };
        match (weight, bias) {
            (Some(weight), Some(bias)) => {
                let (weight_at, bias_at, to) = (weight.as_ptr(), bias.as_ptr(), out.as_mut_ptr());
                let mut i = 0;
                while i + SIDE * L::N <= n {
                    for i in (i..i + SIDE * L::N).step_by(L::N) {
                        // The row behind this one comes while this one is written.
                        L::prefetch(at.wrapping_add(n + i));
                        let (weight, bias) = (L::load(weight_at.add(i)), L::load(bias_at.add(i)));
                        normal.of(L::load(at.add(i))).mul_add(weight, bias).store(to.add(i));
                    }
                    i += SIDE * L::N;
                }
                while i + L::N <= n {
                    let (weight, bias) = (L::load(weight_at.add(i)), L::load(bias_at.add(i)));
                    normal.of(L::load(at.add(i))).mul_add(weight, bias).store(to.add(i));
                    i += L::N;
                }
                for i in i..n {
                    out[i] = (x[i] - from - mean) * normal.scale * weight[i] + bias[i];
                }
            }
            (weight, bias) => {
                each_at::<L>(at, out.as_mut_ptr(), n, normal);
                out.iter_mut().zip(weight.unwrap_or_default()).for_each(|(o, w)| *o *= *w);
                out.iter_mut().zip(bias.unwrap_or_default()).for_each(|(o, b)| *o += *b);
            }
        }
    }
}

/// The products of `x` with rows that lie `step` numbers apart: `out[j] = x · rows[j]`.
pub struct Dots<'a> {
    pub x: &'a [f32],
    pub rows: &'a [f32],
    pub step: usize,
    pub out: &'a mut [f32],
}

impl Vectors for Dots<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Dots { x, rows, step, out } = self;
        let n = x.len();
        check_rows(rows, step, out.len(), n);
        let last = out.len().saturating_sub(1);
        for (j, out) in out.chunks_mut(4).enumerate() {
            // Of fewer than four the last one again.
            let rows = [0, 1, 2, 3].map(|k| rows.as_ptr().wrapping_add((4 * j + k).min(last) * step));
            let (x, mut i) = (x.as_ptr(), 0);
            // SAFETY: the features were detected by the caller; each row has `n` numbers, as checked, and places stay below
            // that.
            unsafe {
                let mut sums = [L::splat(0.0); 4];
                while i + L::N <= n {
                    let x = L::load(x.add(i));
                    for k in 0..4 {
                        sums[k] = x.mul_add(L::load(rows[k].add(i)), sums[k]);
                    }
                    i += L::N;
                }
                for ((out, row), sum) in out.iter_mut().zip(rows).zip(L::sums(sums)) {
                    *out = (i..n).fold(sum, |sum, i| sum + *x.add(i) * *row.add(i));
                }
            }
        }
    }
}

/// The sum of rows that lie `step` numbers apart, each times its weight, and of what is there where it `adds`.
pub struct Mix<'a> {
    pub weights: &'a [f32],
    pub rows: &'a [f32],
    pub step: usize,
    pub adds: bool,
    pub out: &'a mut [f32],
}

impl Vectors for Mix<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Mix { weights, rows, step, adds, out } = self;
        let n = out.len();
        check_rows(rows, step, weights.len(), n);
        let (rows, to) = (rows.as_ptr(), out.as_mut_ptr());
        let mut i = 0;
        // SAFETY: the features were detected by the caller; each row has `n` numbers, as checked, and places stay below that.
        unsafe {
            while i + SIDE * L::N <= n {
                let mut sums = [L::splat(0.0); SIDE];
                if adds {
                    sums = std::array::from_fn(|k| L::load(to.add(i + k * L::N)));
                }
                for (j, weight) in weights.iter().enumerate() {
                    let (weight, row) = (L::splat(*weight), rows.add(j * step + i));
                    for k in 0..SIDE {
                        sums[k] = weight.mul_add(L::load(row.add(k * L::N)), sums[k]);
                    }
                }
                for k in 0..SIDE {
                    sums[k].store(to.add(i + k * L::N));
                }
                i += SIDE * L::N;
            }
            while i + L::N <= n {
                // Rows in turn, so that a sum need not wait for the one before.
                let mut sums = [L::splat(0.0); SIDE];
                if adds {
                    sums[0] = L::load(to.add(i));
                }
                for (j, weights) in weights.chunks(SIDE).enumerate() {
                    for (k, weight) in weights.iter().enumerate() {
                        let row = rows.add((j * SIDE + k) * step + i);
                        sums[k] = L::splat(*weight).mul_add(L::load(row), sums[k]);
                    }
                }
                sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(to.add(i));
                i += L::N;
            }
            for i in i..n {
                let before = if adds { *to.add(i) } else { 0.0 };
                let terms = weights.iter().enumerate().map(|(j, weight)| weight * *rows.add(j * step + i));
                *to.add(i) = before + terms.sum::<f32>();
            }
        }
    }
}

/// Holds that `n_rows` rows of `n` numbers, `step` apart, lie inside.
#[inline(always)]
fn check_rows(rows: &[f32], step: usize, n_rows: usize, n: usize) {
    let end = n_rows.saturating_sub(1).saturating_mul(step).saturating_add(n);
    assert!(n_rows == 0 || end <= rows.len(), "rows lie inside");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::cpu::simd::vectors;

    #[test]
    fn products_and_mixtures_of_rows_match_their_definitions() {
        for n in [1, 5, 8, 16, 17, 64, 70, 128, 200] {
            for n_rows in [0, 1, 2, 51] {
                let (x, weights, step) = (numbers(n, 1), numbers(n_rows, 2), n + 3);
                let rows = numbers(n_rows * step, 3);
                let at = |j: usize, i: usize| f64::from(rows[j * step + i]);
                let mut out = vec![f32::NAN; n_rows];
                vectors(Dots { x: &x, rows: &rows, step, out: &mut out });
                close(&out, (0..n_rows).map(|j| (0..n).map(|i| f64::from(x[i]) * at(j, i)).sum()), 1e-5);
                let mut out = vec![f32::NAN; n];
                vectors(Mix { weights: &weights, rows: &rows, step, adds: false, out: &mut out });
                let sum = |i: usize| (0..n_rows).map(|j| f64::from(weights[j]) * at(j, i)).sum::<f64>();
                close(&out, (0..n).map(sum), 1e-5);
                vectors(Mix { weights: &weights, rows: &rows, step, adds: true, out: &mut out });
                close(&out, (0..n).map(|i| 2.0 * sum(i)), 1e-5);
            }
        }
    }

    fn close(got: &[f32], want: impl Iterator<Item = f64>, within: f64) {
        let n = got.len();
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let error = (f64::from(*got) - want).abs();
            assert!(error <= within * want.abs().max(1.0), "{i} of {n}: {got} is not {want}");
        }
    }

    /// Of mean 0 and variance 1.
    fn centred(x: &[f32], eps: f64, out: &mut [f32]) {
        let rows = InRows { x, out, n: x.len() };
        vectors(Normalise { rows, centre: true, eps, weight: None, bias: None });
    }

    #[test]
    fn rows_that_hardly_differ_keep_their_digits() {
        for c in [0.1f32, 3.3, 1000.1, 12345.67] {
            let (x, mut out) = (vec![c; 768], vec![1.0; 768]);
            centred(&x, 1e-12, &mut out);
            assert!(out.iter().all(|x| *x == 0.0), "a row of {c} is not 0");
        }
        let x: Vec<f32> = numbers(768, 3).into_iter().map(|x| 0.01 * x + 1000.0).collect();
        let mut out = vec![0.0; 768];
        centred(&x, 1e-12, &mut out);
        let mean = x.iter().copied().map(f64::from).sum::<f64>() / 768.0;
        let var = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / 768.0;
        close(&out, x.iter().map(|x| (f64::from(*x) - mean) / (var + 1e-12).sqrt()), 1e-4);
    }

    #[test]
    fn rows_of_any_length_match_their_definitions() {
        for n in [1, 3, 15, 16, 17, 31, 64, 65, 100, 1000, 4096, 4099, 10_000] {
            let x: Vec<f32> = numbers(n, 1).into_iter().map(|x| 20.0 * x + 3.0).collect();
            let (weight, bias) = (numbers(n, 2), numbers(n, 3));
            let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
            let mut out = vec![0.0; n];

            let top = wide.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = wide.iter().map(|x| (x - top).exp()).sum();
            vectors(Softmax(InRows { x: &x, out: &mut out, n: x.len() }));
            close(&out, wide.iter().map(|x| (x - top).exp() / sum), 1e-6);
            vectors(LogSoftmax(InRows { x: &x, out: &mut out, n: x.len() }));
            close(&out, wide.iter().map(|x| x - top - sum.ln()), 1e-6);

            for (centre, weight, bias) in
                [(true, Some(&weight[..]), Some(&bias[..])), (true, None, None), (false, Some(&weight), None)]
            {
                let mean = if centre { wide.iter().sum::<f64>() / n as f64 } else { 0.0 };
                let var = wide.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
                let want = |i: usize| {
                    let normal = (wide[i] - mean) / (var + 1e-5).sqrt();
                    normal * weight.map_or(1.0, |w| f64::from(w[i])) + bias.map_or(0.0, |b| f64::from(b[i]))
                };
                vectors(Normalise {
                    rows: InRows { x: &x, out: &mut out, n: x.len() },
                    centre,
                    eps: 1e-5,
                    weight,
                    bias,
                });
                close(&out, (0..n).map(want), 2e-6);
            }
        }
    }

    /// Counted from the first number on, all others lie far away on one side.
    #[test]
    fn a_first_number_unlike_the_others_takes_no_digits() {
        for first in [0.0f32, 2.0, 30.0, -5000.0, 1e6] {
            let mut x: Vec<f32> = numbers(1000, 5).into_iter().map(|x| x + 3.0).collect();
            x[0] = first;
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / 1000.0;
            let var = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / 1000.0;
            let mut out = vec![0.0; 1000];
            centred(&x, 0.0, &mut out);
            close(&out, x.iter().map(|x| (f64::from(*x) - mean) / var.sqrt()), 1e-5);
        }
    }

    #[test]
    fn long_rows_far_from_zero_keep_their_digits() {
        let n = 1 << 20;
        let x: Vec<f32> = numbers(n, 7).into_iter().map(|x| 1000.0 + x).collect();
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n as f64;
        let var = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n as f64;
        let mut out = vec![0.0; n];
        centred(&x, 0.0, &mut out);
        close(&out, x.iter().map(|x| (f64::from(*x) - mean) / var.sqrt()), 2e-4);
    }

    #[test]
    fn rows_without_a_number_to_see() {
        let none = [f32::NEG_INFINITY; 20];
        let mut out = [0.0; 20];
        vectors(Softmax(InRows { x: &none, out: &mut out, n: none.len() }));
        assert!(out.iter().all(|x| x.is_nan()));
        let mut one = [1.0f32; 40];
        one[33] = f32::NAN;
        let mut out = [0.0; 40];
        vectors(Softmax(InRows { x: &one, out: &mut out, n: one.len() }));
        assert!(out.iter().all(|x| x.is_nan()));
    }
}
