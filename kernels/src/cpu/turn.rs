//! Eight by eight numbers, turned: what lies channel by channel comes out pixel by pixel.

/// The side of a block.
pub const SIDE: usize = 8;

/// Whether [`turn`] is here.
#[inline(always)]
pub fn is_here() -> bool {
    super::simd::level() != super::simd::Level::Portable
}

/// Writes number `j` of line `i` of `from` as number `i` of line `j` of `to`; lines begin `step` and `apart` numbers after
/// each other.
///
/// # Safety
/// [`is_here`] said so.
///
/// # Panics
/// When a block does not lie inside its slice.
#[inline(always)]
pub unsafe fn turn(from: &[f32], step: usize, to: &mut [f32], apart: usize) {
    assert!(from.len() >= (SIDE - 1) * step + SIDE && to.len() >= (SIDE - 1) * apart + SIDE, "blocks lie inside");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the blocks lie inside, as was just asserted, and AVX2 was detected, as the caller promises.
    unsafe {
        x86::turn(from.as_ptr(), step, to.as_mut_ptr(), apart);
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..SIDE {
        for j in 0..SIDE {
            to[j * apart + i] = from[i * step + j];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// # Safety
    /// Eight lines of eight numbers may be read and written, and AVX was detected.
    #[target_feature(enable = "avx")]
    pub unsafe fn turn(from: *const f32, step: usize, to: *mut f32, apart: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let line = |i: usize| _mm256_loadu_ps(from.add(i * step));
            let pair = |i: usize| {
                let (a, b) = (line(i), line(i + 1));
                (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
            };
            let four = |i: usize| {
                let ((al, ah), (bl, bh)) = (pair(i), pair(i + 2));
                [
                    _mm256_shuffle_ps::<0x44>(al, bl),
                    _mm256_shuffle_ps::<0xEE>(al, bl),
                    _mm256_shuffle_ps::<0x44>(ah, bh),
                    _mm256_shuffle_ps::<0xEE>(ah, bh),
                ]
            };
            let (low, high) = (four(0), four(4));
            for j in 0..4 {
                _mm256_storeu_ps(to.add(j * apart), _mm256_permute2f128_ps::<0x20>(low[j], high[j]));
                _mm256_storeu_ps(to.add((j + 4) * apart), _mm256_permute2f128_ps::<0x31>(low[j], high[j]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_turned_wherever_they_lie() {
        if !is_here() {
            return;
        }
        for (step, apart, start) in [(8, 8, 0), (9, 17, 1), (30, 8, 3)] {
            let from: Vec<f32> = (0..300).map(|i| i as f32).collect();
            let mut to = vec![-1.0; 200];
            // SAFETY: it is here.
            unsafe { turn(&from[start..], step, &mut to, apart) };
            for (i, j) in (0..64).map(|k| (k / 8, k % 8)) {
                assert_eq!(to[j * apart + i], from[start + i * step + j], "{step} {apart} {i} {j}");
            }
            assert_eq!(to.iter().filter(|x| **x >= 0.0).count(), 64);
        }
    }
}
