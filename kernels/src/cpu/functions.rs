//! Functions of `f32` over whole vectors, without branches or calls.
//!
//! Each is within a few units in the last place of the correctly rounded value; the tests say how many.

use super::lanes::Lanes;
use super::pieces;
use super::simd::{Vectors, vectors};

/// e^x. Overflows to infinity above 88.7, goes through subnormals to 0 below -87.3; NaN stays.
#[inline(always)]
pub fn exp<L: Lanes>(x: L) -> L {
    if L::LOOKS_UP { exp_by_table(x) } else { exp_by_series(x.at_most(x.all(89.0)).at_least(x.all(LEAST_EXP))) }
}

/// [`exp`] of numbers that are at most 0.
#[inline(always)]
pub fn exp_below_0<L: Lanes>(x: L) -> L {
    if L::LOOKS_UP { exp_by_table(x) } else { exp_by_series(x.at_least(x.all(LEAST_EXP))) }
}

/// From here on down e^x is 0, and so far below the least subnormal (at -103.3) that the product that makes it is 0 at once: one next to
/// subnormals takes a hundred cycles, and numbers far below 0 are what masks make.
const LEAST_EXP: f32 = -120.0;

/// `x = n · ln 2 + r` for a multiple `n` of 1/32: what `n` has beyond a whole number is looked up, and `e^r` is a polynomial.
#[inline(always)]
fn exp_by_table<L: Lanes>(x: L) -> L {
    // Adding 1.5 * 2^18 rounds to 32nds, and leaves their number in the low bits.
    let magic = x.all(393_216.0);
    let places = x.mul_add(x.all(std::f32::consts::LOG2_E), magic);
    let n = places.sub(magic);
    // Far out, where the result is 0 or infinite, this is anything.
    let r = less_ln_2(x, n).within(x.all(1.0));
    // The least relative error over |r| <= ln 2 / 64 (5e-8), of those that begin with 1.
    let p = r.mul_add(x.all(0.5), x.all(1.000_014_7)).mul_add(r, x.all(1.0));
    p.mul(places.look_up(&pieces::POWERS)).scale(n)
}

/// [`exp`] of numbers from [`LEAST_EXP`] to 89.
#[inline(always)]
fn exp_by_series<L: Lanes>(x: L) -> L {
    // Adding 1.5 * 2^23 rounds to whole numbers.
    let magic = x.all(12_582_912.0);
    let n = x.mul_add(x.all(std::f32::consts::LOG2_E), magic).sub(magic);
    let r = less_ln_2(x, n);
    // The least relative error over |r| <= ln 2 / 2 (3e-9), of those that begin with 1 + r.
    let mut p = x.all(1.381_454e-3);
    for c in [8.368_745e-3, 4.166_839e-2, 1.666_652_1e-1, 0.499_999_94, 1.0, 1.0] {
        p = p.mul_add(r, x.all(c));
    }
    p.scale(n)
}

/// `x - n · ln 2`, with ln 2 in two parts, the first exact in few bits (Cephes).
#[inline(always)]
fn less_ln_2<L: Lanes>(x: L, n: L) -> L {
    n.mul_from(x.all(-2.121_944_4e-4), n.mul_from(x.all(0.693_359_4), x))
}

/// 0 below -88.73, where the exact result is subnormal: by way of `e^x` it would be that, but products that become subnormal take
/// twenty times as long.
#[inline(always)]
pub fn sigmoid<L: Lanes>(x: L) -> L {
    let one = x.all(1.0);
    one.div(one.add(exp(x.all(0.0).sub(x))))
}

/// `x · tanh(log(1 + e^x))`: with `n = e^x · (e^x + 2)` the gate is `n / (n + 2)`, which is 1 long before `n` overflows.
#[inline(always)]
pub fn mish<L: Lanes>(x: L) -> L {
    let e = exp(x.at_most(x.all(20.0)));
    let n = e.mul(e.add(x.all(2.0)));
    x.mul(n.div(n.add(x.all(2.0))))
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub fn silu<L: Lanes>(x: L) -> L {
    x.div(x.all(1.0).add(exp(x.all(0.0).sub(x))))
}

/// The polynomial with these coefficients, the highest first.
#[inline(always)]
fn polynomial<L: Lanes, const K: usize>(x: L, coefficients: [f32; K]) -> L {
    let mut p = x.all(coefficients[0]);
    for c in &coefficients[1..] {
        p = p.mul_add(x, x.all(*c));
    }
    p
}

/// A rational approximation on the range where tanh is not yet 1 in `f32` (the coefficients are Eigen's).
#[inline(always)]
pub fn tanh<L: Lanes>(x: L) -> L {
    const END: f32 = 7.905_311;
    let c = x.at_most(x.all(END)).at_least(x.all(-END));
    let z = c.mul(c);
    let p =
        [-2.760_768_5e-16, 2.000_188e-13, -8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3];
    let q = [1.198_258_4e-6, 1.185_347e-4, 2.268_434_6e-3, 4.893_525e-3];
    let y = c.mul(polynomial(z, p)).div(polynomial(z, q));
    // Near 0 the quotient loses a bit that x itself still has.
    y.or_below(x.abs(), x.all(4e-4), x)
}

/// The error function, a rational approximation clamped where it is 1 in `f32` (the coefficients are Eigen's).
#[inline(always)]
pub fn erf<L: Lanes>(x: L) -> L {
    let c = x.at_most(x.all(4.0)).at_least(x.all(-4.0));
    let z = c.mul(c);
    let p = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906e-4,
        -2.954_599_8e-3,
        -1.609_603_3e-2,
    ];
    let q = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let y = c.mul(polynomial(z, p)).div(polynomial(z, q));
    y.at_most(x.all(1.0)).at_least(x.all(-1.0))
}

/// Here GELU is 0 within what its error function gives, and from here on down: -∞ times 0 would be no number.
const GONE: f32 = -6.0;

#[inline(always)]
pub fn gelu<L: Lanes>(x: L) -> L {
    if L::LOOKS_UP {
        return rectified(x, &pieces::GELU);
    }
    let x = x.at_least(x.all(GONE));
    let half = x.mul(x.all(0.5));
    erf(x.mul(x.all(std::f32::consts::FRAC_1_SQRT_2))).mul_add(half, half)
}

#[inline(always)]
pub fn gelu_tanh<L: Lanes>(x: L) -> L {
    if L::LOOKS_UP {
        return rectified(x, &pieces::GELU_TANH);
    }
    let x = x.at_least(x.all(GONE));
    let u = x.mul(x).mul_add(x.mul(x.all(0.044_715)), x).mul(x.all(0.797_884_6));
    let half = x.mul(x.all(0.5));
    tanh(u).mul_add(half, half)
}

/// `max(x, 0)` less a function of `|x|`.
#[inline(always)]
fn rectified<L: Lanes>(x: L, below: &pieces::Pieces) -> L {
    let a = x.abs().at_most(x.all(7.75));
    // Adding 1.5 * 2^21 rounds to quarters, and leaves their number in the low bits.
    let magic = x.all(3_145_728.0);
    let quarters = a.add(magic);
    let from_centre = a.sub(quarters.sub(magic));
    let mut p = quarters.look_up(&below[4]);
    for row in below[..4].iter().rev() {
        p = p.mul_add(from_centre, quarters.look_up(row));
    }
    x.at_least(x.all(0.0)).sub(p)
}

/// A function of vectors of any width. A type and not a closure, so that it is always compiled into the loop over it, for
/// the loop's instruction set.
pub trait Function: Copy + Sync {
    fn of<L: Lanes>(self, x: L) -> L;
}

/// Types of functions, with the numbers that they hold: in the expression these are vectors, too.
macro_rules! function_types {
    ($($(#[$doc:meta])* $Name:ident { $($p:ident),* }: $x:ident => $f:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $Name { $(pub $p: f32),* }

        impl Function for $Name {
            #[inline(always)]
            fn of<L: Lanes>(self, $x: L) -> L {
                $(let $p = $x.all(self.$p);)*
                $f
            }
        }
    )* };
}
pub(crate) use function_types;

function_types! {
    Exp {}: x => exp(x);
    Sigmoid {}: x => sigmoid(x);
    Silu {}: x => silu(x);
    Mish {}: x => mish(x);
    Tanh {}: x => tanh(x);
    Erf {}: x => erf(x);
    Gelu {}: x => gelu(x);
    GeluTanh {}: x => gelu_tanh(x);
    Scale { by }: x => x.mul(by);
}

/// `out = f(x)`, number by number.
pub fn each(f: impl Function, x: &[f32], out: &mut [f32]) {
    assert!(x.len() == out.len(), "there is a place for each number");
    vectors(Each { f, from: x.as_ptr(), to: out.as_mut_ptr(), n: out.len() });
}

/// `x = f(x)`, number by number.
pub fn each_in_place(f: impl Function, x: &mut [f32]) {
    let to = x.as_mut_ptr();
    vectors(Each { f, from: to, to, n: x.len() });
}

/// Whoever makes one gives `n` numbers at `from`, and room for as many at `to`, there or elsewhere.
struct Each<F> {
    f: F,
    from: *const f32,
    to: *mut f32,
    n: usize,
}

impl<F: Function> Vectors for Each<F> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the features were detected by the caller; there are as many numbers on both sides.
        unsafe { each_at::<L>(self.from, self.to, self.n, self.f) }
    }
}

/// Numbers of the widest vector.
pub const MAX_LANES: usize = 16;
/// Vectors that go through a function beside each other.
pub const SIDE: usize = 4;

/// Writes `f` of `n` numbers, perhaps over them.
///
/// # Safety
/// The features of `L` were detected; `n` numbers may be read at `from` and written at `to`, which is the same place or
/// one that does not overlap.
#[inline(always)]
pub unsafe fn each_at<L: Lanes>(from: *const f32, to: *mut f32, n: usize, f: impl Function) {
    let mut at = 0;
    // SAFETY: places stay below `n`, and those of `rest` below its length.
    unsafe {
        while at + SIDE * L::N <= n {
            let mut y = [L::splat(0.0); SIDE];
            for i in 0..SIDE {
                y[i] = f.of(L::load(from.add(at + i * L::N)));
            }
            for i in 0..SIDE {
                y[i].store(to.add(at + i * L::N));
            }
            at += SIDE * L::N;
        }
        while at + L::N <= n {
            f.of(L::load(from.add(at))).store(to.add(at));
            at += L::N;
        }
        if at < n {
            let mut rest = [0.0f32; MAX_LANES];
            std::ptr::copy_nonoverlapping(from.add(at), rest.as_mut_ptr(), n - at);
            f.of(L::load(rest.as_ptr())).store(rest.as_mut_ptr());
            std::ptr::copy_nonoverlapping(rest.as_ptr(), to.add(at), n - at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::math;

    /// Each function, of the vectors that are here, beside that of single numbers.
    fn all() -> Vec<(&'static str, fn(&[f32]) -> Vec<f32>, fn(f32) -> f32)> {
        fn run(f: impl Function, x: &[f32]) -> Vec<f32> {
            let mut out = vec![0.0; x.len()];
            each(f, x, &mut out);
            out
        }
        vec![
            ("exp", |x| run(Exp {}, x), math::exp),
            ("sigmoid", |x| run(Sigmoid {}, x), math::sigmoid),
            ("silu", |x| run(Silu {}, x), math::silu),
            ("mish", |x| run(Mish {}, x), math::mish),
            ("tanh", |x| run(Tanh {}, x), math::tanh),
            ("erf", |x| run(Erf {}, x), math::erf),
            ("gelu", |x| run(Gelu {}, x), math::gelu),
            ("gelu_tanh", |x| run(GeluTanh {}, x), math::gelu_tanh),
        ]
    }

    /// The largest error over a sweep, absolute below 1 and relative above.
    fn worst(name: &str, exact: impl Fn(f64) -> f64, from: f32, to: f32) -> f64 {
        let x: Vec<f32> = (0..200_001).map(|i| from + (to - from) * i as f32 / 200_000.0).collect();
        let (_, f, _) = all().into_iter().find(|row| row.0 == name).unwrap();
        let error = |(got, x): (f32, f32)| {
            let want = exact(f64::from(x));
            (f64::from(got) - want).abs() / want.abs().max(1.0)
        };
        f(&x).into_iter().zip(x.iter().copied()).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_close_to_exact() {
        let gelu64 = |x: f64| 0.5 * x * libm::erfc(-x / 2f64.sqrt());
        let gelu_tanh64 =
            |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh());
        let sigmoid64 = |x: f64| 1.0 / (1.0 + (-x).exp());
        assert!(worst("exp", f64::exp, -87.0, 88.0) < 3e-7);
        assert!(worst("tanh", f64::tanh, -10.0, 10.0) < 6e-7);
        assert!(worst("erf", libm::erf, -5.0, 5.0) < 6e-7);
        assert!(worst("gelu", gelu64, -8.0, 8.0) < 1e-6);
        assert!(worst("gelu", gelu64, -100.0, 100.0) < 1e-6);
        assert!(worst("gelu_tanh", gelu_tanh64, -100.0, 100.0) < 1e-6);
        assert!(worst("sigmoid", sigmoid64, -90.0, 90.0) < 2e-7);
        let mish64 = |x: f64| x * x.exp().ln_1p().tanh();
        assert!(worst("mish", mish64, -90.0, 90.0) < 3e-7);
        assert!(worst("mish", |x| x * x.min(700.0).exp().ln_1p().tanh(), -1e4, 1e4) < 3e-7);
        assert!(worst("silu", |x| x * sigmoid64(x), -90.0, 90.0) < 3e-7);
        // Relative, also where the value is small.
        let small: Vec<f32> = (0..1000).map(|i| -i as f32 / 12.0).collect();
        for (name, f, _) in all() {
            let (exact, x): (fn(f64) -> f64, &[f32]) = match name {
                "exp" => (f64::exp, &small),
                "gelu" => (|x| 0.5 * x * libm::erfc(-x / 2f64.sqrt()), &[1e-3, 1e-6, -1e-6, 1e-20, -1e-30]),
                "tanh" => (f64::tanh, &[1e-3, 1e-6, -1e-6, 1e-20, -1e-30]),
                _ => continue,
            };
            for (got, x) in f(x).into_iter().zip(x) {
                assert!((f64::from(got) / exact(f64::from(*x)) - 1.0).abs() < 1e-6, "{name} {x}: {got}");
            }
        }
    }

    #[test]
    fn vectors_and_single_numbers_agree() {
        let x: Vec<f32> = (0..1003).map(|i| (i - 500) as f32 / 25.0).collect();
        for (name, f, one) in all() {
            for (got, x) in f(&x).into_iter().zip(&x) {
                let want = one(*x);
                assert!((got - want).abs() <= 2e-6 * want.abs().max(1.0), "{name} {x}: {got} {want}");
            }
        }
    }

    #[test]
    fn ends_and_nan() {
        let inf = f32::INFINITY;
        let cases = [
            ("exp", inf, inf),
            ("exp", -inf, 0.0),
            ("exp", 0.0, 1.0),
            ("exp", 200.0, inf),
            ("exp", -200.0, 0.0),
            ("exp", -120.5, 0.0),
            ("exp", 3e38, inf),
            ("exp", -3e38, 0.0),
            ("exp", 1e6, inf),
            ("exp", -1e6, 0.0),
            ("tanh", inf, 1.0),
            ("tanh", -inf, -1.0),
            ("tanh", 0.0, 0.0),
            ("erf", inf, 1.0),
            ("erf", -inf, -1.0),
            ("sigmoid", -inf, 0.0),
            ("sigmoid", inf, 1.0),
            ("silu", 0.0, 0.0),
            ("gelu", inf, inf),
            ("gelu", 0.0, 0.0),
            ("gelu", -inf, 0.0),
            ("gelu_tanh", -inf, 0.0),
        ];
        for (name, f, one) in all() {
            for (_, x, want) in cases.iter().filter(|case| case.0 == name) {
                for got in [f(&[*x])[0], one(*x)] {
                    assert!((got - want).abs() < 1e-6 || got == *want, "{name} {x}: {got} is not {want}");
                }
            }
            assert!(f(&[f32::NAN])[0].is_nan() && one(f32::NAN).is_nan(), "{name} of NaN");
        }
    }
}
