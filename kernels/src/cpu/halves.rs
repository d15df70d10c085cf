//! Halves as `f32` and back, many at a time.
//!
//! The processor's instructions and plain code give the same bits: the nearest half, of two the even one; what is no
//! number stays none, quiet, with as many of its bits as fit.

use half::{bf16, f16};

use super::simd::{Kernel, Level, dispatch, level};
use crate::element::Elem;

/// A float that is computed with as `f32`.
pub trait Half: Elem {
    fn widen(from: &[Self], to: &mut [f32]);
    fn narrow(from: &[f32], to: &mut [Self]);
}

/// For loops over any of the three.
impl Half for f32 {
    fn widen(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }

    fn narrow(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Half for bf16 {
    fn widen(from: &[bf16], to: &mut [f32]) {
        dispatch(Each { from, to, f: wide });
    }

    fn narrow(from: &[f32], to: &mut [bf16]) {
        dispatch(Each { from, to, f: near });
    }
}

impl Half for f16 {
    fn widen(from: &[f16], to: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if has_f16c() {
            // SAFETY: the features were detected.
            return unsafe { x86::widen(from, to) };
        }
        dispatch(Each { from, to, f: f16::to_f32 });
    }

    fn narrow(from: &[f32], to: &mut [f16]) {
        #[cfg(target_arch = "x86_64")]
        if has_f16c() {
            // SAFETY: the features were detected.
            return unsafe { x86::narrow(from, to) };
        }
        dispatch(Each { from, to, f: f16::from_f32 });
    }
}

#[cfg(target_arch = "x86_64")]
fn has_f16c() -> bool {
    level() != Level::Portable && is_x86_feature_detected!("f16c")
}

struct Each<'a, A, B, F> {
    from: &'a [A],
    to: &'a mut [B],
    f: F,
}

impl<A: Copy, B, F: Fn(A) -> B> Kernel for Each<'_, A, B, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = (self.f)(*from);
        }
    }
}

#[inline(always)]
fn wide(x: bf16) -> f32 {
    let bits = u32::from(x.to_bits()) << 16;
    f32::from_bits(if bits & 0x7FFF_FFFF > 0x7F80_0000 { bits | 0x0040_0000 } else { bits })
}

#[inline(always)]
fn near(x: f32) -> bf16 {
    let bits = x.to_bits();
    // Half of what is cut off, and one less where the bit that stays is even.
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    let bits = if bits & 0x7FFF_FFFF > 0x7F80_0000 { bits >> 16 | 0x0040 } else { rounded };
    bf16::from_bits(bits as u16)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::f16;

    #[target_feature(enable = "avx,f16c")]
    pub fn widen(from: &[f16], to: &mut [f32]) {
        let (from, rest) = from.as_chunks::<8>();
        let (to, last) = to.as_chunks_mut::<8>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: eight halves are read, eight numbers are written.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())));
            }
        }
        for (from, to) in rest.iter().zip(last) {
            *to = from.to_f32();
        }
    }

    #[target_feature(enable = "avx,f16c")]
    pub fn narrow(from: &[f32], to: &mut [f16]) {
        let (from, rest) = from.as_chunks::<8>();
        let (to, last) = to.as_chunks_mut::<8>();
        for (from, to) in from.iter().zip(to) {
            // SAFETY: eight numbers are read, eight halves are written.
            unsafe {
                let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.as_ptr()));
                _mm_storeu_si128(to.as_mut_ptr().cast(), halves);
            }
        }
        for (from, to) in rest.iter().zip(last) {
            *to = f16::from_f32(*from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, with_device};

    /// Whatever half and whatever place in a vector: the bits of the portable code of `half`.
    #[test]
    fn every_half_widens_and_narrows_to_the_same_bits_everywhere() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let floats = |of: &dyn Fn(u16) -> f32| all.iter().map(|bits| of(*bits).to_bits()).collect::<Vec<_>>();
        for device in Device::ALL {
            with_device(device, || {
                let (mut a, mut b) = (vec![0.0; all.len()], vec![0.0; all.len()]);
                f16::widen(&all.iter().map(|bits| f16::from_bits(*bits)).collect::<Vec<_>>(), &mut a);
                bf16::widen(&all.iter().map(|bits| bf16::from_bits(*bits)).collect::<Vec<_>>(), &mut b);
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert!(bits(&a) == floats(&|bits| f16::from_bits(bits).to_f32_const()), "{device:?}");
                assert!(bits(&b) == floats(&|bits| bf16::from_bits(bits).to_f32_const()), "{device:?}");
                for start in 0..3 {
                    // Each float, its neighbours and what lies in the middle between two.
                    let near = |x: &u32| [*x, x.wrapping_add(1), x.wrapping_sub(1), x ^ 0x1000, x ^ 0x8000];
                    let mut x: Vec<f32> = bits(&a).iter().chain(&bits(&b)).flat_map(near).map(f32::from_bits).collect();
                    x.drain(..start);
                    let (mut h, mut g) = (vec![f16::ZERO; x.len()], vec![bf16::ZERO; x.len()]);
                    f16::narrow(&x, &mut h);
                    bf16::narrow(&x, &mut g);
                    for ((x, h), g) in x.iter().zip(h).zip(g) {
                        assert_eq!(h.to_bits(), f16::from_f32_const(*x).to_bits(), "{device:?} {x:e}");
                        assert_eq!(g.to_bits(), bf16::from_f32_const(*x).to_bits(), "{device:?} {x:e}");
                    }
                }
            });
        }
    }
}
