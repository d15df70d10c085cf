//! `f32` functions without branches or calls, so that loops over them become vector code.
//!
//! Each is within a few units in the last place of the correctly rounded value; the tests say how many.

/// e^x. Overflows to infinity above 88.7, goes through subnormals to 0 below -87.3; NaN stays.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Comparisons, not `clamp`: NaN must fall through both.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let k = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32;
    // ln 2 in two parts, the first exact in few bits (Cephes).
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    // Two factors, because 2^k alone leaves the range of normal numbers before y * 2^k does.
    let half = k >> 1;
    let scale = |k: i32| f32::from_bits((k.wrapping_add(127) as u32) << 23);
    y * scale(half) * scale(k.wrapping_sub(half))
}

#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// A rational approximation on the range where tanh is not yet 1 in `f32` (the coefficients are Eigen's).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    const END: f32 = 7.905_311;
    let c = if x > END { END } else { x };
    let c = if c < -END { -END } else { c };
    let z = c * c;
    let mut p = -2.760_768_5e-16;
    p = p * z + 2.000_188e-13;
    p = p * z - 8.604_672e-11;
    p = p * z + 5.122_297e-8;
    p = p * z + 1.485_722_4e-5;
    p = p * z + 6.372_619_3e-4;
    p = p * z + 4.893_524_6e-3;
    let mut q = 1.198_258_4e-6;
    q = q * z + 1.185_347e-4;
    q = q * z + 2.268_434_6e-3;
    q = q * z + 4.893_525e-3;
    let y = c * p / q;
    // Near 0 the quotient loses a bit that x itself still has.
    if x.abs() < 4e-4 { x } else { y }
}

/// The error function, a rational approximation clamped where it is 1 in `f32` (the coefficients are Eigen's).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let c = if x > 4.0 { 4.0 } else { x };
    let c = if c < -4.0 { -4.0 } else { c };
    let z = c * c;
    let mut p = -2.726_142_3e-10;
    p = p * z + 2.770_681_4e-8;
    p = p * z - 2.101_024e-6;
    p = p * z - 5.692_506_4e-5;
    p = p * z - 7.349_906e-4;
    p = p * z - 2.954_599_8e-3;
    p = p * z - 1.609_603_3e-2;
    let mut q = -1.456_607_2e-5;
    q = q * z - 2.133_740_6e-4;
    q = q * z - 1.682_827e-3;
    q = q * z - 7.373_329e-3;
    q = q * z - 1.426_473_9e-2;
    let y = c * p / q;
    let y = if y > 1.0 { 1.0 } else { y };
    if y < -1.0 { -1.0 } else { y }
}

#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)))
}

#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The two widths that float kernels compute in.
pub trait Real:
    crate::element::Elem
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
{
    const ZERO: Self;
    const LOWEST: Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sqrt(self) -> Self;
    fn tanh(self) -> Self;
    fn sigmoid(self) -> Self;
    fn nan(self) -> bool;
}

macro_rules! real {
    ($T:ty, $exp:expr, $tanh:expr, $sigmoid:expr) => {
        impl Real for $T {
            const ZERO: Self = 0.0;
            const LOWEST: Self = <$T>::NEG_INFINITY;
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            fn ln(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                $sigmoid(self)
            }
            #[inline(always)]
            fn nan(self) -> bool {
                self.is_nan()
            }
        }
    };
}
real!(f32, exp, tanh, sigmoid);
real!(f64, f64::exp, f64::tanh, |x: f64| 1.0 / (1.0 + (-x).exp()));

/// Sums in this many lanes, so that a loop over them is vector code; the order is the same everywhere.
pub const LANES: usize = 16;

/// The sum of `f` over `x`, collected in `f64`.
#[inline(always)]
pub fn sum_by<T: Copy>(x: &[T], f: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for k in 0..LANES {
            lanes[k] += f(block[k]);
        }
    }
    let mut total = 0.0;
    for x in rest {
        total += f(*x);
    }
    for lane in lanes {
        total += lane;
    }
    total
}

/// The greatest of `x`; NaN when one is in it, `LOWEST` when there is nothing.
#[inline(always)]
pub fn greatest<T: Real>(x: &[T]) -> T {
    let mut lanes = [T::LOWEST; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for k in 0..LANES {
            let (a, b) = (lanes[k], block[k]);
            lanes[k] = if a > b || a.nan() { a } else { b };
        }
    }
    let mut top = T::LOWEST;
    for x in rest.iter().chain(&lanes) {
        top = if top > *x || top.nan() { top } else { *x };
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error over a sweep, absolute below 1 and relative above.
    fn worst(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, from: f32, to: f32) -> f64 {
        (0..200_000)
            .map(|i| from + (to - from) * i as f32 / 200_000.0)
            .map(|x| {
                let want = exact(f64::from(x));
                (f64::from(f(x)) - want).abs() / want.abs().max(1.0)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_close_to_exact() {
        let gelu64 = |x: f64| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()));
        assert!(worst(exp, f64::exp, -87.0, 88.0) < 2e-7);
        assert!(worst(tanh, f64::tanh, -10.0, 10.0) < 6e-7);
        assert!(worst(erf, libm::erf, -5.0, 5.0) < 6e-7);
        assert!(worst(gelu, gelu64, -8.0, 8.0) < 3e-6);
        assert!(worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -90.0, 90.0) < 2e-7);
        // Relative, also where the value is small.
        for x in (0..1000).map(|i| -i as f32 / 12.0) {
            assert!((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn ends_and_nan() {
        let inf = f32::INFINITY;
        for (f, x, want) in [
            (exp as fn(f32) -> f32, inf, inf),
            (exp, -inf, 0.0),
            (exp, 0.0, 1.0),
            (exp, 200.0, inf),
            (exp, -200.0, 0.0),
            (tanh, inf, 1.0),
            (tanh, -inf, -1.0),
            (tanh, 0.0, 0.0),
            (erf, inf, 1.0),
            (erf, -inf, -1.0),
            (sigmoid, -inf, 0.0),
            (sigmoid, inf, 1.0),
            (silu, 0.0, 0.0),
        ] {
            assert!((f(x) - want).abs() < 1e-6 || f(x) == want, "{x}: {} is not {want}", f(x));
        }
        for f in [exp as fn(f32) -> f32, tanh, erf, sigmoid, gelu, silu, gelu_tanh] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
