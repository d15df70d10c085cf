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
