//! Vectors of `f32` by name: a loop written over [`Lanes`] is compiled for each instruction set.
//!
//! For loops whose sums must stay in registers; others leave their vectors to the compiler ([`super::simd`]).

/// A vector of [`Lanes::N`] numbers.
///
/// # Safety
/// Whoever calls a method has detected the features of the vector's instruction set, and gives pointers at
/// [`Lanes::N`] numbers.
pub unsafe trait Lanes: Copy {
    const N: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// What is below `low` becomes it; NaN stays.
    unsafe fn at_least(self, low: Self) -> Self;
    /// What is above `high` becomes it; NaN stays.
    unsafe fn at_most(self, high: Self) -> Self;
    /// `self · x + y`.
    unsafe fn mul_add(self, x: Self, y: Self) -> Self;
    /// Asks for the line of the cache at any address, which need not exist.
    fn prefetch(at: *const f32);
}

/// Plain loops, for the vectors that the target always has.
pub type Portable = [f32; 8];

// SAFETY: needs no feature.
unsafe impl Lanes for Portable {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as the caller promises; an array of numbers needs no more alignment than they do.
        unsafe { *from.cast::<Self>() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { *to.cast::<Self>() = self }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }

    #[inline(always)]
    unsafe fn at_least(self, low: Self) -> Self {
        std::array::from_fn(|i| if self[i] < low[i] { low[i] } else { self[i] })
    }

    #[inline(always)]
    unsafe fn at_most(self, high: Self) -> Self {
        std::array::from_fn(|i| if self[i] > high[i] { high[i] } else { self[i] })
    }

    #[inline(always)]
    unsafe fn mul_add(self, x: Self, y: Self) -> Self {
        std::array::from_fn(|i| self[i] * x[i] + y[i])
    }

    #[inline(always)]
    fn prefetch(_at: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    macro_rules! lanes {
        ($Vector:ident, $n:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $mul:ident, $max:ident, $min:ident, $fma:ident) => {
            // SAFETY: what the trait asks of a caller is what these instructions need.
            unsafe impl Lanes for $Vector {
                const N: usize = $n;

                #[inline(always)]
                unsafe fn splat(x: f32) -> Self {
                    // SAFETY: as the caller promises.
                    unsafe { $splat(x) }
                }

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: as the caller promises.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: as the caller promises.
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: as the caller promises.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: as the caller promises.
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                unsafe fn at_least(self, low: Self) -> Self {
                    // SAFETY: as the caller promises. Where either is NaN the second operand is the result.
                    unsafe { $max(low, self) }
                }

                #[inline(always)]
                unsafe fn at_most(self, high: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $min(high, self) }
                }

                #[inline(always)]
                unsafe fn mul_add(self, x: Self, y: Self) -> Self {
                    // SAFETY: as the caller promises.
                    unsafe { $fma(self, x, y) }
                }

                #[inline(always)]
                fn prefetch(at: *const f32) {
                    // SAFETY: it reads nothing, and the instruction is there on every processor of this architecture.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
                }
            }
        };
    }
    lanes!(
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_mul_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        _mm256_fmadd_ps
    );
    lanes!(
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_mul_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        _mm512_fmadd_ps
    );
}
