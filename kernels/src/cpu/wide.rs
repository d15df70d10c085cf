//! Functions of `f64` without branches or calls, so that loops over them become vector code; those of `f32` go through
//! them and are rounded once.
//!
//! No products and sums are fused here, so the bits are the same on every machine. The coefficients of the logarithm, sine
//! and cosine are those of FreeBSD's msun, which are within a unit in the last place; the tests say how near these are.

/// Half of a turn's half in three parts; a whole number of up to 20 bits times either of the first two is exact.
const QUARTER: [f64; 3] =
    [1.570_796_326_734_125_614_17, 6.077_100_506_303_965_976_60e-11, 2.022_266_248_795_950_631_54e-21];

/// Sine and cosine of an angle within an eighth of a turn.
#[inline(always)]
fn within_eighth(r: f64) -> (f64, f64) {
    let z = r * r;
    let s = 1.589_690_995_211_550_102_21e-10;
    let s = -2.505_076_025_340_686_341_95e-8 + z * s;
    let s = 2.755_731_370_707_006_767_89e-6 + z * s;
    let s = -1.984_126_982_985_794_931_34e-4 + z * s;
    let s = 8.333_333_333_322_489_461_24e-3 + z * s;
    let s = -1.666_666_666_666_663_243_48e-1 + z * s;
    // So that the sign of 0 stays.
    let sin = r * (1.0 + z * s);
    let c = -1.135_964_755_778_819_482_65e-11;
    let c = 2.087_572_321_298_174_827_90e-9 + z * c;
    let c = -2.755_731_435_139_066_330_35e-7 + z * c;
    let c = 2.480_158_728_947_672_941_78e-5 + z * c;
    let c = -1.388_888_888_887_410_957_49e-3 + z * c;
    let c = 4.166_666_666_666_660_190_37e-2 + z * c;
    let half = 0.5 * z;
    let w = 1.0 - half;
    let cos = w + ((1.0 - w - half) + z * z * c);
    (sin, cos)
}

/// The nearest whole number, for what is less than 2^51.
#[inline(always)]
fn nearest(x: f64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    x + MAGIC - MAGIC
}

/// Sine and cosine of `quarters` quarter turns and `r` more.
#[inline(always)]
fn turned(quarters: f64, r: f64) -> (f64, f64) {
    let (s, c) = within_eighth(r);
    // Which quarter it is: what is left of four, without a conversion to whole numbers.
    let k = quarters - 4.0 * (0.25 * quarters).floor();
    let is_odd = (k == 1.0) | (k == 3.0);
    let (sin, cos) = if is_odd { (c, s) } else { (s, c) };
    let sin = if k >= 2.0 { -sin } else { sin };
    let cos = if (k == 1.0) | (k == 2.0) { -cos } else { cos };
    (sin, cos)
}

/// Up to here [`sin_cos`] holds.
pub const MOST: f64 = 1_000_000.0;

/// Sine and cosine of an angle of at most [`MOST`].
#[inline(always)]
pub fn sin_cos(x: f64) -> (f64, f64) {
    let quarters = nearest(x * std::f64::consts::FRAC_2_PI);
    let r = ((x - quarters * QUARTER[0]) - quarters * QUARTER[1]) - quarters * QUARTER[2];
    turned(quarters, r)
}

/// Sine and cosine of a part of a whole turn, from 0 to 1.
#[inline(always)]
pub fn sin_cos_of_turn(part: f64) -> (f64, f64) {
    let quarters = nearest(4.0 * part);
    // Exact up to the product.
    turned(quarters, (4.0 * part - quarters) * std::f64::consts::FRAC_PI_2)
}

/// The natural logarithm of a positive normal number.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    // The exponent that leaves a factor between the roots of 1/2 and 2.
    const ROOT: u64 = 0x3FE6_A09E_0000_0000;
    let bits = x.to_bits().wrapping_sub(ROOT);
    let k = whole((bits as i64) >> 52);
    let f = f64::from_bits((bits & ((1 << 52) - 1)).wrapping_add(ROOT)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let r = 1.479_819_860_511_658_591e-1;
    let r = 1.531_383_769_920_937_332e-1 + z * r;
    let r = 1.818_357_216_161_805_012e-1 + z * r;
    let r = 2.222_219_843_214_978_396e-1 + z * r;
    let r = 2.857_142_874_366_239_149e-1 + z * r;
    let r = 3.999_999_999_940_941_908e-1 + z * r;
    let r = z * (6.666_666_666_666_735_130e-1 + z * r);
    let half = 0.5 * f * f;
    let low = s * (half + r) + k * 1.908_214_929_270_587_700_02e-10;
    k * 6.931_471_803_691_238_164_90e-1 - ((half - low) - f)
}

/// A small whole number as a float, with additions alone: not every vector instruction set converts 64 bits.
#[inline(always)]
fn whole(k: i64) -> f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    f64::from_bits(MAGIC.to_bits().wrapping_add(k as u64)) - MAGIC
}

/// Where [`exp`] holds: `e^x` and its factors are normal numbers.
pub const MOST_EXP: f64 = 700.0;

/// e^x, where |x| is at most [`MOST_EXP`].
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let n = nearest(x * std::f64::consts::LOG2_E);
    // The logarithm of 2 in two parts, the first exact in few bits.
    let r = (x - n * 6.931_471_803_691_238_164_90e-1) - n * 1.908_214_929_270_587_700_02e-10;
    // The series by Horner's rule, the last terms apart: they carry the digits.
    let mut p = 1.0 / 6_227_020_800.0;
    for c in [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0] {
        p = 1.0 / c + r * p;
    }
    let factor = 1.0 + (r + r * r * p);
    factor * f64::from_bits((n + 6_755_399_441_055_744.0).to_bits().wrapping_add(1023) << 52)
}

/// `2^n` and `e^r - 1` with `x = n · log 2 + r`, for numbers whose `e^x` is one of `f32`; beyond them as at the ends.
#[inline(always)]
fn parts_of_exp(x: f64) -> (f64, f64) {
    let x = if x > 90.0 { 90.0 } else { x };
    let x = if x < -110.0 { -110.0 } else { x };
    let n = nearest(x * std::f64::consts::LOG2_E);
    let r = x - n * std::f64::consts::LN_2;
    // The series: |r| is at most half the logarithm of 2.
    let mut p = 1.0 / 39_916_800.0;
    for c in [3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0] {
        p = 1.0 / c + r * p;
    }
    // Adding 1.5 · 2^52 leaves a whole number in the low bits.
    let power = f64::from_bits((n + 6_755_399_441_055_744.0).to_bits().wrapping_add(1023) << 52);
    (power, r * p)
}

/// `e^x - 1` to some 12 digits. NaN stays.
#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    let (power, rest) = parts_of_exp(x);
    power * rest + (power - 1.0)
}

/// `log(1 + e^x)` to the digits of an `f32`, also where it is small. NaN stays.
#[inline(always)]
pub fn softplus(x: f64) -> f64 {
    let (power, rest) = parts_of_exp(-x.abs());
    let e = power * rest + power;
    // What 1 + e lost of e, the logarithm is given back (Kahan).
    let u = 1.0 + e;
    let log = if u == 1.0 { e } else { ln(u) * (e / (u - 1.0)) };
    let above = if x < 0.0 { 0.0 } else { x };
    above + log
}

/// What `a / b` rounded towards zero leaves, in [`f32::rem_euclid`]'s sense of exact, where the quotient has at most 24
/// bits; NaN elsewhere, also where there is an answer.
#[inline(always)]
pub fn remainder(a: f32, b: f32) -> f32 {
    let (x, y) = (f64::from(a), f64::from(b));
    let quotient = x / y;
    let whole = quotient.trunc();
    // Exact, as the product has at most 48 bits; the quotient may have been rounded up to a whole number.
    let left = x - whole * y;
    let over = (left != 0.0) & ((left < 0.0) != (x < 0.0));
    let left = if over { left + y.abs().copysign(x) } else { left };
    let holds = quotient.abs() < 16_777_216.0;
    (if holds { left.copysign(x) } else { f64::NAN }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place of an `f64`, or of 1e-300 where that is more.
    fn ulps(got: f64, want: f64) -> f64 {
        if got == want { 0.0 } else { (got - want).abs() / (want.abs() * f64::EPSILON).max(1e-300) }
    }

    fn points() -> impl Iterator<Item = f32> {
        let spread = (0..200_000u32).map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761)));
        let near = (-60_000..60_000).map(|i| i as f32 * 0.003_7);
        spread.chain(near)
    }

    #[test]
    fn sines_are_close_to_exact() {
        for x in points().filter(|x| f64::from(*x).abs() <= MOST) {
            let (sin, cos) = sin_cos(x.into());
            let (want_sin, want_cos) = f64::from(x).sin_cos();
            assert!((sin - want_sin).abs() < 3e-16 && (cos - want_cos).abs() < 3e-16, "{x}: {sin} {cos}");
            assert_eq!((sin as f32, cos as f32), (want_sin as f32, want_cos as f32), "{x}");
        }
        for i in 0..100_000 {
            let part = f64::from(i) / 99_999.0;
            let (sin, cos) = sin_cos_of_turn(part);
            let (want_sin, want_cos) = (std::f64::consts::TAU * part).sin_cos();
            assert!((sin - want_sin).abs() < 2e-15 && (cos - want_cos).abs() < 2e-15, "{part}: {sin} {cos}");
        }
    }

    #[test]
    fn logarithms_are_close_to_exact() {
        let near_1 = (0..10_000).map(|i| 1.0 + (i - 5000) as f64 * 1e-7);
        for x in points().map(f64::from).filter(|x| *x > 0.0 && x.is_finite()).chain(near_1) {
            let (got, want) = (ln(x), x.ln());
            assert!(ulps(got, want) < 1.5, "{x}: {got} {want}");
        }
    }

    #[test]
    fn exponentials_keep_the_digits_of_f32() {
        for x in points().filter(|x| x.abs() < 80.0) {
            let wide = f64::from(x);
            let (got, want) = (expm1(wide), wide.exp_m1());
            assert!(ulps(got, want) < 1e4, "{x}: {got:e} {want:e}");
            let (got, want) = (softplus(wide), wide.exp().ln_1p());
            assert!((got - want).abs() < 1e-9 * want, "{x}: {got:e} {want:e}");
        }
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30] {
            let (got, want) = (softplus(x) as f32, (if x > 40.0 { x } else { x.exp().ln_1p() }) as f32);
            assert!(got == want || got.is_nan() && want.is_nan() || (got - want).abs() < 1e-20, "{x}: {got} {want}");
            assert!(expm1(x).is_nan() == x.is_nan());
        }
    }

    #[test]
    fn exponentials_are_close_to_exact() {
        for i in 0..400_000 {
            let x = (f64::from(i) - 200_000.0) * 0.003_499_9;
            assert!(ulps(exp(x), x.exp()) < 1.5, "{x}: {} {}", exp(x), x.exp());
        }
        assert_eq!([exp(0.0), exp(-0.0)], [1.0; 2]);
    }

    #[test]
    fn remainders_are_exact_where_they_are_given() {
        let mut given = 0;
        let divisors = [2.0f32, -2.0, 0.1, 3.0, 7.5, -1e-3, 1e10, 1.0, 0.333, f32::MIN_POSITIVE, 0.0, f32::INFINITY];
        for b in divisors {
            for a in points().chain((-100..100).map(|i| i as f32 * b)) {
                let (got, want) = (remainder(a, b), a % b);
                if !got.is_nan() {
                    given += 1;
                    assert_eq!(got.to_bits(), want.to_bits(), "{a:e} % {b:e}");
                }
            }
        }
        assert!(given > 1_000_000, "{given}");
    }
}
