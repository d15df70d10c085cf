//! The weights of attention: `exp(score - greatest)` of rows of scores, and their sums.
//!
//! Rows are short, often of two or three vectors, so what takes time is waiting: for the greatest of a row, for its powers, for
//! their sum. Four rows beside each other wait together.

use super::functions::exp_below_0;
use super::lanes::Lanes;
use super::simd::Vectors;

/// Numbers of a row that are added up in `f32`: at most 64 in each of as many sums. Those of such blocks go on in `f64`.
const BLOCK: usize = 1024;

/// Rows of equal length, at most four. Each score becomes `exp(x - greatest)` for `x = score · scale + added`, and the sums of
/// the rows are the result: 0 for one in which none is seen, whose weights are zeros then.
pub struct Weights<'a, const R: usize> {
    pub scores: [&'a mut [f32]; R],
    pub added: Option<[&'a [f32]; R]>,
    pub scale: f32,
    /// Scores from here on are not seen.
    pub seen: usize,
}

impl<const R: usize> Vectors for Weights<'_, R> {
    type Out = [f32; R];
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> [f32; R] {
        const { assert!(R >= 1 && R <= 4) };
        let Weights { mut scores, added, mut scale, seen } = self;
        for row in &mut scores {
            row[seen..].fill(0.0);
            if scale == 0.0 {
                row[..seen].iter_mut().for_each(|x| *x *= 0.0);
            }
        }
        // No number times 0 is -∞, which is needed below.
        scale = if scale == 0.0 { 1.0 } else { scale };
        assert!(added.is_none_or(|rows| rows.iter().all(|row| row.len() >= seen)), "what is added is a row, too");
        let at = scores.each_mut().map(|row| row.as_mut_ptr());
        let from = at.map(<*mut f32>::cast_const);
        // SAFETY: the features were detected by the caller; rows have `seen` numbers, on both sides.
        unsafe {
            match added {
                Some(rows) => weights::<L, R, true>(from, at, rows.map(<[f32]>::as_ptr), scale, seen),
                None => weights::<L, R, false>(from, at, from, scale, seen),
            }
        }
    }
}

/// Writes `exp(x - greatest)` of rows of `x = score · scale + added`, and gives their sums.
///
/// # Safety
/// The features of `L` were detected; `n` numbers may be read at each place, and written at those of `out`, which are those of the scores or
/// do not overlap them.
#[inline(always)]
pub unsafe fn weights<L: Lanes, const R: usize, const ADDS: bool>(
    scores: [*const f32; R],
    out: [*mut f32; R],
    added: [*const f32; R],
    scale: f32,
    n: usize,
) -> [f32; R] {
    // SAFETY: places stay below `n`.
    unsafe {
        let whole = n / L::N * L::N;
        let by = L::splat(scale);
        let finish = |x: L, plus: L| if ADDS { x.mul(by).add(plus) } else { x.mul(by) };
        let vector = |r: usize, i: usize| finish(L::load(scores[r].add(i)), L::load(added[r].add(i)));
        // Behind the last number is what becomes -∞.
        let unseen = if scale < 0.0 { f32::INFINITY } else { f32::NEG_INFINITY };
        let last = |r: usize| {
            let rest = n - whole;
            let plus = L::load_first(added[r].add(whole), rest, 0.0);
            finish(L::load_first(scores[r].add(whole), rest, unseen), plus)
        };
        let mut tops = [L::splat(f32::NEG_INFINITY); 4];
        for i in (0..whole).step_by(L::N) {
            for (r, top) in tops.iter_mut().enumerate().take(R) {
                *top = vector(r, i).at_least(*top);
            }
        }
        if whole < n {
            for (r, top) in tops.iter_mut().enumerate().take(R) {
                *top = last(r).at_least(*top);
            }
        }
        // What is -∞ from anywhere has no weight, and NaN keeps.
        let tops = L::tops(tops).map(|top| L::splat(if top == f32::NEG_INFINITY { 0.0 } else { top }));
        let mut sums = [0.0f64; 4];
        for first in (0..n).step_by(BLOCK) {
            let end = n.min(first + BLOCK);
            let mut parts = [L::splat(0.0); 4];
            for i in (first..end.min(whole)).step_by(L::N) {
                for r in 0..R {
                    let y = exp_below_0(vector(r, i).sub(tops[r]));
                    y.store(out[r].add(i));
                    parts[r] = parts[r].add(y);
                }
            }
            if end == n && whole < n {
                for r in 0..R {
                    let y = exp_below_0(last(r).sub(tops[r]));
                    y.store_first(out[r].add(whole), n - whole);
                    parts[r] = parts[r].add(y);
                }
            }
            for (sum, part) in sums.iter_mut().zip(L::sums(parts)) {
                *sum += f64::from(part);
            }
        }
        std::array::from_fn(|r| sums[r] as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::cpu::simd::vectors;

    /// Four rows of `n` numbers as they are defined, and what they were made of.
    fn check(n: usize, seen: usize, scale: f32, adds: bool) {
        let rows: [Vec<f32>; 4] =
            [1, 2, 3, 4].map(|seed| numbers(n, seed).into_iter().map(|x| 20.0 * x + 3.0).collect());
        let added: [Vec<f32>; 4] = std::array::from_fn(|r| {
            (0..n).map(|i| if (i + r) % 3 == 1 || r == 2 { f32::NEG_INFINITY } else { 0.5 }).collect()
        });
        let x = |r: usize, i: usize| {
            let plus = if adds { f64::from(added[r][i]) } else { 0.0 };
            f64::from(rows[r][i] * scale) + plus
        };
        let want = |r: usize| {
            let top = (0..seen).map(|i| x(r, i)).fold(f64::NEG_INFINITY, f64::max);
            let one = move |i: usize| if i < seen && top > f64::NEG_INFINITY { (x(r, i) - top).exp() } else { 0.0 };
            (0..n).map(one).collect::<Vec<f64>>()
        };
        let mut all = rows.clone();
        let four = all.each_mut().map(|row| &mut row[..]);
        let of_four = added.each_ref().map(|row| &row[..]);
        let sums = vectors(Weights { scores: four, added: adds.then_some(of_four), scale, seen });
        for r in 0..4 {
            let want = want(r);
            for (got, want) in all[r].iter().zip(&want) {
                assert!((f64::from(*got) - want).abs() <= 2e-6 * want.max(1e-3), "{n} {seen} {scale}: {got} {want}");
            }
            let sum: f64 = want.iter().sum();
            assert!((f64::from(sums[r]) - sum).abs() <= 1e-5 * sum, "{n} {seen} {scale}: {} {sum}", sums[r]);
            // A row by itself gives the same bits.
            let mut one = rows[r].clone();
            let added = adds.then_some([&added[r][..]]);
            let [sum] = vectors(Weights { scores: [&mut one], added, scale, seen });
            assert!(one == all[r] && sum == sums[r]);
        }
    }

    #[test]
    fn rows_of_any_length_match_the_definition() {
        for device in crate::Device::ALL {
            crate::with_device(device, || {
                for n in [1usize, 3, 15, 16, 17, 31, 32, 33, 100, 1000, 1024, 1025, 4099] {
                    for seen in [0, 1, n.div_ceil(2), n] {
                        for scale in [0.25, -0.5, 0.0] {
                            check(n, seen, scale, false);
                            check(n, seen, scale, true);
                        }
                    }
                }
            });
        }
    }

    #[test]
    fn what_is_not_a_number_stays_one_and_a_row_of_nothing_has_no_weights() {
        let mut none = [f32::NEG_INFINITY; 20];
        assert_eq!(vectors(Weights { scores: [&mut none], added: None, scale: 1.0, seen: 20 }), [0.0]);
        assert_eq!(none, [0.0; 20]);
        for place in [0, 7, 16, 19] {
            for other in [1.0, f32::NEG_INFINITY] {
                let mut row = [other; 20];
                row[place] = f32::NAN;
                let [sum] = vectors(Weights { scores: [&mut row], added: None, scale: 1.0, seen: 20 });
                assert!(sum.is_nan() && row[place].is_nan());
            }
        }
    }
}
