//! Vectors of `f32` by name: a loop written over [`Lanes`] is compiled for each instruction set.
//!
//! For loops whose sums must stay in registers, and for functions that have instructions of their own; others leave their
//! vectors to the compiler ([`super::simd`]).

/// A vector of [`Lanes::N`] numbers.
///
/// # Safety
/// A vector exists only where the features of its instruction set were detected: whoever makes the first one
/// ([`Lanes::splat`], [`Lanes::load`]) has done so, and what is done with it needs not ask again.
pub unsafe trait Lanes: Copy {
    const N: usize;
    /// Whether [`Lanes::look_up`] costs no more than a product.
    const LOOKS_UP: bool = false;

    /// # Safety
    /// The features were detected.
    unsafe fn splat(x: f32) -> Self;
    /// # Safety
    /// The features were detected, and [`Lanes::N`] numbers are there.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// [`Lanes::N`] numbers may be written there.
    unsafe fn store(self, to: *mut f32);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// What is below `low` becomes it; NaN stays.
    fn at_least(self, low: Self) -> Self;
    /// What is above `high` becomes it; NaN stays.
    fn at_most(self, high: Self) -> Self;
    /// `self · x + y`.
    fn mul_add(self, x: Self, y: Self) -> Self;
    /// `y - self · x`.
    fn mul_from(self, x: Self, y: Self) -> Self;
    fn abs(self) -> Self;
    /// `other` where `key` is below `limit`, and `self` elsewhere.
    fn or_below(self, key: Self, limit: Self, other: Self) -> Self;
    /// `other` where it is greater or NaN, and `self` elsewhere.
    fn or_greater(self, other: Self) -> Self;
    /// `limit`, which is positive, with the sign of `self` where it is farther from 0 or NaN.
    fn within(self, limit: Self) -> Self;
    /// `self · 2^n` for whole numbers `n` from -174 to 129, and `self · 2^⌊n⌋` for all where [`Lanes::LOOKS_UP`].
    fn scale(self, n: Self) -> Self;
    /// The numbers of `table` at the places that the lowest five bits of each number's representation say.
    fn look_up(self, table: &[f32; 32]) -> Self;
    /// The numbers at even places of this vector and the next one, and those at odd places.
    fn halves(self, next: Self) -> [Self; 2];
    /// The numbers at these places.
    ///
    /// # Safety
    /// [`Lanes::N`] places are there, each below that.
    unsafe fn pick(self, places: *const u32) -> Self;
    /// The sum of the numbers of each of four vectors, which together take little more than that of one.
    fn sums(four: [Self; 4]) -> [f32; 4];
    /// The greatest number of each of four vectors; any number where one is NaN.
    fn tops(four: [Self; 4]) -> [f32; 4];
    /// The first `n` of a vector, `rest` behind them.
    ///
    /// # Safety
    /// The features were detected, and `n` numbers, at most [`Lanes::N`], are there.
    unsafe fn load_first(from: *const f32, n: usize, rest: f32) -> Self;
    /// # Safety
    /// `n` numbers, at most [`Lanes::N`], may be written there.
    unsafe fn store_first(self, to: *mut f32, n: usize);
    /// Asks for the line of the cache at any address, which need not exist.
    fn prefetch(at: *const f32);

    /// A vector of the same kind, all `x`.
    #[inline(always)]
    fn all(self, x: f32) -> Self {
        // SAFETY: there is a vector.
        unsafe { Self::splat(x) }
    }
}

/// Plain loops, for the vectors that the target always has.
pub type Portable = [f32; 8];

// SAFETY: needs no feature.
unsafe impl<const K: usize> Lanes for [f32; K] {
    const N: usize = K;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; K]
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
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] / other[i])
    }

    #[inline(always)]
    fn at_least(self, low: Self) -> Self {
        std::array::from_fn(|i| if self[i] < low[i] { low[i] } else { self[i] })
    }

    #[inline(always)]
    fn at_most(self, high: Self) -> Self {
        std::array::from_fn(|i| if self[i] > high[i] { high[i] } else { self[i] })
    }

    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        std::array::from_fn(|i| self[i] * x[i] + y[i])
    }

    #[inline(always)]
    fn mul_from(self, x: Self, y: Self) -> Self {
        std::array::from_fn(|i| y[i] - self[i] * x[i])
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    fn or_below(self, key: Self, limit: Self, other: Self) -> Self {
        std::array::from_fn(|i| if key[i] < limit[i] { other[i] } else { self[i] })
    }

    #[inline(always)]
    fn or_greater(self, other: Self) -> Self {
        std::array::from_fn(|i| if other[i] > self[i] || other[i].is_nan() { other[i] } else { self[i] })
    }

    #[inline(always)]
    fn within(self, limit: Self) -> Self {
        std::array::from_fn(|i| if self[i].abs() <= limit[i] { self[i] } else { limit[i].copysign(self[i]) })
    }

    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        // Adding 1.5 * 2^23 leaves a whole number in the low bits.
        const MAGIC: f32 = 12_582_912.0;
        // Two factors, because 2^k alone leaves the range of normal numbers before y * 2^k does.
        let power = |k: i32| f32::from_bits((k.wrapping_add(127) as u32) << 23);
        std::array::from_fn(|i| {
            let k = (n[i] + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i32;
            self[i] * power(k >> 1) * power(k.wrapping_sub(k >> 1))
        })
    }

    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        self.map(|x| table[(x.to_bits() & 31) as usize])
    }

    #[inline(always)]
    fn halves(self, next: Self) -> [Self; 2] {
        let both = |i: usize| if i < K { self[i] } else { next[i - K] };
        [0, 1].map(|first| std::array::from_fn(|i| both(2 * i + first)))
    }

    #[inline(always)]
    unsafe fn pick(self, places: *const u32) -> Self {
        // SAFETY: the caller promises as many places as there are numbers.
        std::array::from_fn(|i| self[unsafe { *places.add(i) } as usize])
    }

    #[inline(always)]
    fn sums(four: [Self; 4]) -> [f32; 4] {
        four.map(|x| x.iter().sum())
    }

    #[inline(always)]
    fn tops(four: [Self; 4]) -> [f32; 4] {
        four.map(|x| x.into_iter().fold(f32::NEG_INFINITY, f32::max))
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize, rest: f32) -> Self {
        // SAFETY: the caller promises `n` numbers, and reading plain ones needs no feature.
        std::array::from_fn(|i| if i < n { unsafe { *from.add(i) } } else { rest })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        for (i, x) in self.into_iter().enumerate().take(n) {
            // SAFETY: the caller promises room for `n` numbers.
            unsafe { *to.add(i) = x };
        }
    }

    #[inline(always)]
    fn prefetch(_at: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    macro_rules! lanes {
        ($Vector:ident, $n:literal, $looks_up:literal,
            $splat:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $max:ident $min:ident
            $fma:ident $fnma:ident;
            abs($ax:ident) $abs:expr;
            or_below($bx:ident, $key:ident, $limit:ident, $other:ident) $or_below:expr;
            or_nan($nx:ident, $nan:ident) $or_nan:expr;
            within($wx:ident, $width:ident) $within:expr;
            scale($sx:ident, $power:ident) $scale:expr;
            look_up($lx:ident, $table:ident) $look_up:expr;
            halves($hx:ident, $next:ident) $halves:expr;
            pick($px:ident, $places:ident) $pick:expr;
            mask($mn:ident) $mask:expr;
            load_first($ff:ident, $fm:ident, $fr:ident) $load_first:expr;
            store_first($tx:ident, $tt:ident, $tm:ident) $store_first:expr;
            each_of($four:ident, $by:ident $high:ident) $each_of:expr;) => {
            // SAFETY: what the trait asks of whoever makes a vector is what these instructions need.
            unsafe impl Lanes for $Vector {
                const N: usize = $n;
                const LOOKS_UP: bool = $looks_up;

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
                fn add(self, other: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                fn sub(self, other: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $sub(self, other) }
                }

                #[inline(always)]
                fn mul(self, other: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $mul(self, other) }
                }

                #[inline(always)]
                fn div(self, other: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $div(self, other) }
                }

                #[inline(always)]
                fn at_least(self, low: Self) -> Self {
                    // SAFETY: there is a vector. Where either is NaN the second operand is the result.
                    unsafe { $max(low, self) }
                }

                #[inline(always)]
                fn at_most(self, high: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $min(high, self) }
                }

                #[inline(always)]
                fn mul_add(self, x: Self, y: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $fma(self, x, y) }
                }

                #[inline(always)]
                fn mul_from(self, x: Self, y: Self) -> Self {
                    // SAFETY: there is a vector.
                    unsafe { $fnma(self, x, y) }
                }

                #[inline(always)]
                fn abs(self) -> Self {
                    let $ax = self;
                    // SAFETY: there is a vector.
                    unsafe { $abs }
                }

                #[inline(always)]
                fn or_below(self, $key: Self, $limit: Self, $other: Self) -> Self {
                    let $bx = self;
                    // SAFETY: there is a vector.
                    unsafe { $or_below }
                }

                #[inline(always)]
                fn or_greater(self, $nan: Self) -> Self {
                    // SAFETY: there is a vector. Where either is NaN the second operand is the result, and then the other one
                    // where that is NaN.
                    unsafe {
                        let $nx = $max($nan, self);
                        $or_nan
                    }
                }

                #[inline(always)]
                fn within(self, $width: Self) -> Self {
                    let $wx = self;
                    // SAFETY: there is a vector.
                    unsafe { $within }
                }

                #[inline(always)]
                fn scale(self, $power: Self) -> Self {
                    let $sx = self;
                    // SAFETY: there is a vector.
                    unsafe { $scale }
                }

                #[inline(always)]
                fn look_up(self, $table: &[f32; 32]) -> Self {
                    let $lx = self;
                    // SAFETY: there is a vector, and places are below 32.
                    unsafe { $look_up }
                }

                #[inline(always)]
                fn halves(self, $next: Self) -> [Self; 2] {
                    let $hx = self;
                    // SAFETY: there is a vector.
                    unsafe { $halves }
                }

                #[inline(always)]
                unsafe fn pick(self, $places: *const u32) -> Self {
                    let $px = self;
                    // SAFETY: there is a vector, and there are places, as the caller promises.
                    unsafe { $pick }
                }

                #[inline(always)]
                fn sums($four: [Self; 4]) -> [f32; 4] {
                    let mut out = [0.0; 4];
                    // SAFETY: there is a vector, and room for four numbers.
                    unsafe {
                        let $by = |a, b| $add(a, b);
                        let $high = |a, b| _mm_add_ps(a, b);
                        _mm_storeu_ps(out.as_mut_ptr(), $each_of);
                    }
                    out
                }

                #[inline(always)]
                fn tops($four: [Self; 4]) -> [f32; 4] {
                    let mut out = [0.0; 4];
                    // SAFETY: as above.
                    unsafe {
                        let $by = |a, b| $max(a, b);
                        let $high = |a, b| _mm_max_ps(a, b);
                        _mm_storeu_ps(out.as_mut_ptr(), $each_of);
                    }
                    out
                }

                #[inline(always)]
                unsafe fn load_first($ff: *const f32, $mn: usize, rest: f32) -> Self {
                    // SAFETY: numbers that are masked are not touched; others are there, as the caller promises.
                    unsafe {
                        let ($fm, $fr) = ($mask, $splat(rest));
                        $load_first
                    }
                }

                #[inline(always)]
                unsafe fn store_first(self, $tt: *mut f32, $mn: usize) {
                    let $tx = self;
                    // SAFETY: as above.
                    unsafe {
                        let $tm = $mask;
                        $store_first
                    }
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
        __m256, 8, false,
        _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps
        _mm256_max_ps _mm256_min_ps _mm256_fmadd_ps _mm256_fnmadd_ps;
        abs(x) _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
        or_below(x, key, limit, other) _mm256_blendv_ps(x, other, _mm256_cmp_ps::<_CMP_LT_OQ>(key, limit));
        or_nan(x, other) _mm256_blendv_ps(x, other, _mm256_cmp_ps::<_CMP_UNORD_Q>(other, other));
        within(x, limit) {
            let sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0));
            // Where either is NaN the second operand is the result.
            _mm256_or_ps(sign, _mm256_min_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0), x), limit))
        };
        scale(x, n) {
            // Two factors, because 2^k alone leaves the range of normal numbers before x * 2^k does.
            let k = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(k);
            let (rest, bias) = (_mm256_sub_epi32(k, half), _mm256_set1_epi32(127));
            let one = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias)));
            let two = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(rest, bias)));
            _mm256_mul_ps(_mm256_mul_ps(x, one), two)
        };
        look_up(x, table) {
            let places = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(31));
            _mm256_i32gather_ps::<4>(table.as_ptr(), places)
        };
        halves(x, next) {
            // Halves of vectors come turn by turn.
            let sorted = |both| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(both)));
            [sorted(_mm256_shuffle_ps::<0b10_00_10_00>(x, next)), sorted(_mm256_shuffle_ps::<0b11_01_11_01>(x, next))]
        };
        pick(x, places) _mm256_permutevar8x32_ps(x, _mm256_loadu_si256(places.cast()));
        mask(n) _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        load_first(from, mask, rest)
            _mm256_blendv_ps(rest, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask));
        store_first(x, to, mask) _mm256_maskstore_ps(to, mask, x);
        each_of(four, by high) {
            let [a, b, c, d] = four;
            let ab = _mm256_castps_pd(by(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)));
            let cd = _mm256_castps_pd(by(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)));
            // A half has a part of each of the four results.
            let low = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
            let both = by(low, _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
            high(_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both))
        };
    );
    lanes!(
        __m512, 16, true,
        _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps
        _mm512_max_ps _mm512_min_ps _mm512_fmadd_ps _mm512_fnmadd_ps;
        abs(x) _mm512_abs_ps(x);
        or_below(x, key, limit, other) _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(key, limit), other);
        or_nan(x, other) _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(other, other), other);
        // The one nearer to 0, or that is not NaN, with the sign of the first.
        within(x, limit) _mm512_range_ps::<0b0010>(x, limit);
        scale(x, n) _mm512_scalef_ps(x, n);
        look_up(x, table) {
            let (low, high) = (_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table.as_ptr().add(16)));
            _mm512_permutex2var_ps(low, _mm512_castps_si512(x), high)
        };
        halves(x, next) {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [_mm512_permutex2var_ps(x, even, next), _mm512_permutex2var_ps(x, odd, next)]
        };
        pick(x, places) _mm512_permutexvar_ps(_mm512_loadu_si512(places.cast()), x);
        mask(n) ((1u32 << n) - 1) as __mmask16;
        load_first(from, mask, rest) _mm512_mask_loadu_ps(rest, mask, from);
        store_first(x, to, mask) _mm512_mask_storeu_ps(to, mask, x);
        each_of(four, by high) {
            let [a, b, c, d] = four;
            let ab = _mm512_castps_pd(by(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
            let cd = _mm512_castps_pd(by(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
            // A quarter has a part of each of the four results.
            let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
            let all = by(low, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
            // Quarters beside each other: two by two, then all.
            let halves = by(all, _mm512_shuffle_f32x4::<0b01_00_11_10>(all, all));
            let low = _mm512_castps512_ps256(halves);
            high(_mm256_castps256_ps128(low), _mm256_extractf128_ps::<1>(low))
        };
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::cpu::simd::{Vectors, vectors};

    /// What each function of the trait gives for three lists of 16 numbers.
    struct All<'a>([&'a [f32]; 3]);

    impl Vectors for All<'_> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> Vec<f32> {
            let mut out = Vec::new();
            for at in (0..16).step_by(L::N) {
                // SAFETY: the features were detected by the caller; lists have 16 numbers, and so has the result.
                unsafe {
                    let [x, y, z] = self.0.map(|x| L::load(x.as_ptr().add(at)));
                    let n = z.mul(x.all(100.0)).add(x.all(12_582_912.0)).sub(x.all(12_582_912.0));
                    let table = std::array::from_fn(|i| i as f32);
                    let all = [
                        x.add(y),
                        x.sub(y),
                        x.mul(y),
                        x.div(y),
                        x.at_least(y),
                        x.at_most(y),
                        x.mul_add(y, z),
                        x.mul_from(y, z),
                        x.abs(),
                        x.or_below(z, y, z),
                        x.or_greater(y),
                        y.or_greater(x),
                        x.within(z.abs()),
                        x.scale(n),
                        x.look_up(&table),
                        x.all(3.0),
                    ];
                    for vector in all {
                        let mut numbers = [0.0; 16];
                        vector.store(numbers.as_mut_ptr());
                        out.extend(&numbers[..L::N]);
                    }
                }
            }
            // In the order of functions, whatever the width of a vector.
            let functions = out.len() / 16;
            let at = |f: usize, i: usize| out[(i / L::N * functions + f) * L::N + i % L::N];
            (0..functions).flat_map(|f| (0..16).map(move |i| (f, i))).map(|(f, i)| at(f, i)).collect()
        }
    }

    /// The sums and the greatest of the numbers of four vectors, from the start of as many lists.
    struct Sums<'a>([&'a [f32]; 4]);

    impl Vectors for Sums<'_> {
        type Out = (usize, [[f32; 4]; 2]);
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> (usize, [[f32; 4]; 2]) {
            let [a, b, c, d] = self.0.map(<[f32]>::as_ptr);
            // SAFETY: lists have 16 numbers, and no vector has more; the caller detected the features.
            let four = unsafe { [L::load(a), L::load(b), L::load(c), L::load(d)] };
            (L::N, [L::sums(four), L::tops(four)])
        }
    }

    /// The first numbers of a list and 9, with a 1 added to each.
    struct First<'a>(&'a [f32], usize);

    impl Vectors for First<'_> {
        type Out = (usize, [f32; 16], [f32; 16]);
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> Self::Out {
            let (mut part, mut whole) = ([7.0; 16], [7.0; 16]);
            // SAFETY: the list has that many numbers, and no vector has more than 16; the caller detected the features.
            unsafe {
                let n = self.1.min(L::N);
                let x = L::load_first(self.0.as_ptr(), n, 9.0);
                x.add(x.all(1.0)).store_first(part.as_mut_ptr(), n);
                x.store(whole.as_mut_ptr());
                (n, part, whole)
            }
        }
    }

    /// The numbers at even and at odd places of the start of a list, and those at a few places of a vector.
    struct Places<'a>(&'a [f32]);

    impl Vectors for Places<'_> {
        type Out = (usize, [[f32; 16]; 3]);
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> Self::Out {
            let mut out = [[0.0; 16]; 3];
            let places: [u32; 16] = std::array::from_fn(|i| (i * 5 % L::N) as u32);
            // SAFETY: the list has 32 numbers, and no vector has more than 16; the caller detected the features.
            unsafe {
                let (x, next) = (L::load(self.0.as_ptr()), L::load(self.0.as_ptr().add(L::N)));
                let [even, odd] = x.halves(next);
                [even, odd, x.pick(places.as_ptr())].iter().zip(&mut out).for_each(|(x, o)| x.store(o.as_mut_ptr()));
            }
            (L::N, out)
        }
    }

    #[test]
    fn numbers_are_taken_from_their_places() {
        let list = numbers(32, 1);
        for device in crate::Device::ALL {
            let (n, [even, odd, picked]) = crate::with_device(device, || vectors(Places(&list)));
            for i in 0..n {
                assert_eq!([even[i], odd[i], picked[i]], [list[2 * i], list[2 * i + 1], list[i * 5 % n]]);
            }
        }
    }

    #[test]
    fn sums_of_four_vectors_are_those_of_each() {
        let lists = [1, 2, 3, 4].map(|seed| numbers(16, seed));
        for device in crate::Device::ALL {
            let four = Sums([&lists[0], &lists[1], &lists[2], &lists[3]]);
            let (n, [sums, tops]) = crate::with_device(device, || vectors(four));
            for ((sum, top), list) in sums.iter().zip(tops).zip(&lists) {
                assert!((sum - list[..n].iter().sum::<f32>()).abs() < 1e-5, "{n} numbers: {sum}");
                assert_eq!(top, list[..n].iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }

    #[test]
    fn the_first_numbers_of_a_vector_are_read_and_written_alone() {
        for device in crate::Device::ALL {
            for n in 0..=16 {
                // No number lies behind them.
                let list = numbers(n, 1).into_boxed_slice();
                let (n, part, whole) = crate::with_device(device, || vectors(First(&list, n)));
                for i in 0..16 {
                    assert_eq!(part[i], if i < n { list[i] + 1.0 } else { 7.0 });
                    assert!(whole[i] == if i < n { list[i] } else { 9.0 } || whole[i] == 7.0);
                }
            }
        }
    }

    #[test]
    fn every_vector_computes_what_plain_numbers_do() {
        let (mut x, y, z) = (numbers(16, 1), numbers(16, 2), numbers(16, 3));
        x[3] = f32::NAN;
        x[5] = f32::INFINITY;
        let lists = [&x[..], &y, &z];
        let got = vectors(All(lists));
        // SAFETY: single numbers need no feature.
        let want = unsafe { All(lists).run::<[f32; 1]>() };
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let close = (got - want).abs() <= 1e-6 * want.abs().max(1e-30) || (got.is_nan() && want.is_nan());
            // A product and a sum are rounded once or twice.
            assert!(close || got == want || (got - want).abs() < 1e-7, "function {}: {got} {want}", i / 16);
        }
    }
}
