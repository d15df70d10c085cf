//! The functions of one and two floats that steps may be: for `F32`, for `F64`, and as text of OpenCL C.
//!
//! An *exact* function of `F32` gives what the `F64` function of the same number gives, rounded; the others
//! are the vectorised approximations of `cpu::math`, within the units in the last place that are tested here.

use crate::cpu::math;

/// Calls `$then!` with the rows `Name "name": parameter => f32, f64, "OpenCL", exact`.
macro_rules! for_each_unary {
    ($then:ident) => {
        $then! {
            Neg "neg": x => -x, -x, "-a", true;
            Abs "abs": x => x.abs(), x.abs(), "fabs(a)", true;
            Signum "sign": x => if x == 0.0 { 0.0 } else { x.signum() }, if x == 0.0 { 0.0 } else { x.signum() },
                "(isnan(a) ? a : sign(a))", true;
            Sqrt "sqrt": x => x.sqrt(), x.sqrt(), "sqrt(a)", true;
            Floor "floor": x => x.floor(), x.floor(), "floor(a)", true;
            Ceil "ceil": x => x.ceil(), x.ceil(), "ceil(a)", true;
            Trunc "trunc": x => x.trunc(), x.trunc(), "trunc(a)", true;
            Fract "fract": x => x.fract(), x.fract(), "(a - trunc(a))", true;
            Round "round": x => x.round_ties_even(), x.round_ties_even(), "rint(a)", true;
            Exp "exp": x => math::exp(x), x.exp(), "EXP(a)", false;
            Tanh "tanh": x => math::tanh(x), x.tanh(), "TANH(a)", false;
            Sigmoid "sigmoid": x => math::sigmoid(x), 1.0 / (1.0 + (-x).exp()), "(1 / (1 + EXP(-a)))", false;
            Erf "erf": x => math::erf(x), libm::erf(x), "ERF(a)", false;
            Exp2 "exp2": x => wide(x, f64::exp2), x.exp2(), "exp2(a)", true;
            ExpM1 "expm1": x => wide(x, f64::exp_m1), x.exp_m1(), "expm1(a)", true;
            Ln "log": x => wide(x, f64::ln), x.ln(), "log(a)", true;
            Log2 "log2": x => wide(x, f64::log2), x.log2(), "log2(a)", true;
            Log10 "log10": x => wide(x, f64::log10), x.log10(), "log10(a)", true;
            Ln1p "log1p": x => wide(x, f64::ln_1p), x.ln_1p(), "log1p(a)", true;
            Sin "sin": x => wide(x, f64::sin), x.sin(), "sin(a)", true;
            Cos "cos": x => wide(x, f64::cos), x.cos(), "cos(a)", true;
            Tan "tan": x => wide(x, f64::tan), x.tan(), "tan(a)", true;
            Asin "asin": x => wide(x, f64::asin), x.asin(), "asin(a)", true;
            Acos "acos": x => wide(x, f64::acos), x.acos(), "acos(a)", true;
            Atan "atan": x => wide(x, f64::atan), x.atan(), "atan(a)", true;
            Sinh "sinh": x => wide(x, f64::sinh), x.sinh(), "sinh(a)", true;
            Cosh "cosh": x => wide(x, f64::cosh), x.cosh(), "cosh(a)", true;
            Asinh "asinh": x => wide(x, f64::asinh), x.asinh(), "asinh(a)", true;
            Acosh "acosh": x => wide(x, f64::acosh), x.acosh(), "acosh(a)", true;
            Atanh "atanh": x => wide(x, f64::atanh), x.atanh(), "atanh(a)", true;
            Cbrt "cbrt": x => wide(x, f64::cbrt), x.cbrt(), "cbrt(a)", true;
        }
    };
}

/// Calls `$then!` with the rows `Name "name": x, y => for both widths, "OpenCL", exact`.
macro_rules! for_each_binary {
    ($then:ident) => {
        $then! {
            Add "add": x, y => x + y, "(a + b)", true;
            Sub "sub": x, y => x - y, "(a - b)", true;
            Mul "mul": x, y => x * y, "(a * b)", true;
            Div "div": x, y => x / y, "(a / b)", true;
            Rem "fmod": x, y => x % y, "fmod(a, b)", true;
            Min "min": x, y => x.min(y), "fmin(a, b)", true;
            Max "max": x, y => x.max(y), "fmax(a, b)", true;
            Pow "pow": x, y => x.power(y), "pow(a, b)", true;
            Atan2 "atan2": x, y => x.angle(y), "atan2(a, b)", true;
            Hypot "hypot": x, y => x.distance(y), "hypot(a, b)", true;
        }
    };
}

/// In `F64`, as the scalar functions of the language are.
#[inline(always)]
fn wide(x: f32, f: fn(f64) -> f64) -> f32 {
    f(f64::from(x)) as f32
}

/// Functions of two numbers that `F32` computes through `F64`.
trait Through {
    fn power(self, y: Self) -> Self;
    fn angle(self, y: Self) -> Self;
    fn distance(self, y: Self) -> Self;
}

impl Through for f64 {
    fn power(self, y: f64) -> f64 {
        self.powf(y)
    }
    fn angle(self, y: f64) -> f64 {
        self.atan2(y)
    }
    fn distance(self, y: f64) -> f64 {
        self.hypot(y)
    }
}

impl Through for f32 {
    fn power(self, y: f32) -> f32 {
        f64::from(self).powf(y.into()) as f32
    }
    fn angle(self, y: f32) -> f32 {
        f64::from(self).atan2(y.into()) as f32
    }
    fn distance(self, y: f32) -> f32 {
        f64::from(self).hypot(y.into()) as f32
    }
}

macro_rules! define_unary {
    ($($Name:ident $name:literal: $x:ident => $f32:expr, $f64:expr, $cl:literal, $exact:literal;)*) => {
        /// A function of one float.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Unary { $($Name),* }

        impl Unary {
            pub const ALL: &[Unary] = &[$(Unary::$Name),*];

            pub fn name(self) -> &'static str {
                match self { $(Unary::$Name => $name),* }
            }

            /// In OpenCL C, of `a`.
            pub fn text(self) -> &'static str {
                match self { $(Unary::$Name => $cl),* }
            }

            /// Whether `F32` gives the rounded result of `F64`.
            pub fn is_exact(self) -> bool {
                match self { $(Unary::$Name => $exact),* }
            }

            #[inline(always)]
            pub(super) fn each_f32(self, out: &mut [f32], a: &[f32]) {
                match self { $(Unary::$Name => for (o, x) in out.iter_mut().zip(a) { let $x = *x; *o = $f32; }),* }
            }

            #[inline(always)]
            pub(super) fn each_f64(self, out: &mut [f64], a: &[f64]) {
                match self { $(Unary::$Name => for (o, x) in out.iter_mut().zip(a) { let $x = *x; *o = $f64; }),* }
            }
        }
    };
}
for_each_unary!(define_unary);

/// An operand of a step: numbers side by side, or one that stands for all.
#[derive(Clone, Copy)]
pub(super) enum Lanes<'a, T> {
    Many(&'a [T]),
    One(T),
}

/// `f` of two operands, as a loop for each form that they have.
#[inline(always)]
pub(super) fn zip<A: Copy, B: Copy, R: Copy>(out: &mut [R], a: Lanes<'_, A>, b: Lanes<'_, B>, f: impl Fn(A, B) -> R) {
    match (a, b) {
        (Lanes::Many(a), Lanes::Many(b)) => {
            for ((o, x), y) in out.iter_mut().zip(a).zip(b) {
                *o = f(*x, *y);
            }
        }
        (Lanes::Many(a), Lanes::One(y)) => {
            for (o, x) in out.iter_mut().zip(a) {
                *o = f(*x, y);
            }
        }
        (Lanes::One(x), Lanes::Many(b)) => {
            for (o, y) in out.iter_mut().zip(b) {
                *o = f(x, *y);
            }
        }
        (Lanes::One(x), Lanes::One(y)) => out.fill(f(x, y)),
    }
}

macro_rules! define_binary {
    ($($Name:ident $name:literal: $x:ident, $y:ident => $f:expr, $cl:literal, $exact:literal;)*) => {
        /// A function of two floats.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Binary { $($Name),* }

        impl Binary {
            pub const ALL: &[Binary] = &[$(Binary::$Name),*];

            pub fn name(self) -> &'static str {
                match self { $(Binary::$Name => $name),* }
            }

            /// In OpenCL C, of `a` and `b`.
            pub fn text(self) -> &'static str {
                match self { $(Binary::$Name => $cl),* }
            }

            /// Whether `F32` gives the rounded result of `F64`.
            pub fn is_exact(self) -> bool {
                match self { $(Binary::$Name => $exact),* }
            }

            #[inline(always)]
            pub(super) fn each_f32(self, out: &mut [f32], a: Lanes<'_, f32>, b: Lanes<'_, f32>) {
                match self { $(Binary::$Name => zip(out, a, b, |$x: f32, $y: f32| $f)),* }
            }

            #[inline(always)]
            pub(super) fn each_f64(self, out: &mut [f64], a: Lanes<'_, f64>, b: Lanes<'_, f64>) {
                match self { $(Binary::$Name => zip(out, a, b, |$x: f64, $y: f64| $f)),* }
            }
        }
    };
}
for_each_binary!(define_binary);

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place between two numbers of one sign.
    fn ulps(a: f32, b: f32) -> u32 {
        if a == b || (a.is_nan() && b.is_nan()) { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
    }

    /// Exact means exact; the others are off by so many units at most, `exp` also where it is subnormal; but `sigmoid` is 0 below -88.73.
    /// Of the rest the last place below 1e-30 is that of 1e-30.
    #[test]
    fn functions_of_f32_are_those_of_f64_rounded() {
        let mut points: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.025).collect();
        points.extend((-300..300).map(|i| i as f32 * 0.0017));
        points.extend([
            -88.72,
            -88.731,
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            1e-20,
            -1e-20,
            3e38,
            -3e38,
        ]);
        for &f in Unary::ALL {
            let allowed = match f {
                _ if f.is_exact() => 0,
                Unary::Exp => 3,
                Unary::Sigmoid => 3,
                Unary::Tanh => 7,
                _ => 9,
            };
            for &x in &points {
                let (mut narrow, mut wide) = ([0.0f32], [0.0f64]);
                f.each_f32(&mut narrow, &[x]);
                f.each_f64(&mut wide, &[x.into()]);
                if f == Unary::Sigmoid && (-88.73..-88.72).contains(&x) {
                    continue;
                }
                let want = if f == Unary::Sigmoid && x < -88.73 { 0.0 } else { wide[0] as f32 };
                let is_tiny = want.abs() < 1e-30 && narrow[0].abs() < 1e-30;
                let floor = if is_tiny && !matches!(f, Unary::Exp | Unary::Sigmoid) { u32::MAX } else { allowed };
                assert!(ulps(narrow[0], want) <= floor, "{} of {x}: {} is not {want}", f.name(), narrow[0]);
            }
        }
    }
}
