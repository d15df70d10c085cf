//! Arithmetic that is not an instruction: checked, wrapping and saturating forms, floats' functions.
//!
//! Integers are computed in 128 bits and brought back to their kind; floats are computed as `Float64` and rounded to theirs.

use super::support::{Outcome, answers, option};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use half::{bf16, f16};
use stark_bytecode::Kind;
use std::cmp::Ordering;

pub(super) const TABLE: &[NativeRow] = answers! {
    number_zero "<T>() -> T";
    number_one "<T>() -> T";
    number_abs "<T: Number>(T) -> T";
    number_signum "<T: Number>(T) -> T";
    number_min "<T: Number>(T, T) -> T";
    number_max "<T: Number>(T, T) -> T";
    number_clamp "<T: Number>(T, T, T) -> T";
    number_to_float "<T: Number>(T) -> Float";
    number_to_int "<T: Number>(T) -> Int";
    int_min_value "<T: Integer>() -> T";
    int_max_value "<T: Integer>() -> T";
    int_wrapping_add "<T: Integer>(T, T) -> T";
    int_wrapping_sub "<T: Integer>(T, T) -> T";
    int_wrapping_mul "<T: Integer>(T, T) -> T";
    int_wrapping_neg "<T: Integer>(T) -> T";
    int_wrapping_shl "<T: Integer>(T, Int) -> T";
    int_wrapping_shr "<T: Integer>(T, Int) -> T";
    int_saturating_add "<T: Integer>(T, T) -> T";
    int_saturating_sub "<T: Integer>(T, T) -> T";
    int_saturating_mul "<T: Integer>(T, T) -> T";
    int_checked_add "<T: Integer>(T, T) -> Option<T>";
    int_checked_sub "<T: Integer>(T, T) -> Option<T>";
    int_checked_mul "<T: Integer>(T, T) -> Option<T>";
    int_checked_div "<T: Integer>(T, T) -> Option<T>";
    int_pow "<T: Integer>(T, Int) -> T";
    int_isqrt "<T: Integer>(T) -> T";
    int_sqrt "<T: Integer>(T) -> Float";
    int_div_floor "<T: Integer>(T, T) -> T";
    int_mod_floor "<T: Integer>(T, T) -> T";
    int_gcd "<T: Integer>(T, T) -> T";
    int_count_ones "<T: Integer>(T) -> Int";
    int_leading_zeros "<T: Integer>(T) -> Int";
    int_trailing_zeros "<T: Integer>(T) -> Int";
    float_atan2 "<T: Floating>(T, T) -> T";
    float_hypot "<T: Floating>(T, T) -> T";
    float_pow "<T: Floating>(T, T) -> T";
    float_round "<T: Floating>(T, Int) -> T";
    float_is_nan "<T: Floating>(T) -> Bool";
    float_is_finite "<T: Floating>(T) -> Bool";
    float_is_infinite "<T: Floating>(T) -> Bool";
    float_to_bits "<T: Floating>(T) -> UInt64";
    float_from_bits "<T: Floating>(UInt64) -> T";
    float_infinity "<T: Floating>() -> T";
    float_nan "<T: Floating>() -> T";
    float_sqrt "<T: Floating>(T) -> T";
    float_cbrt "<T: Floating>(T) -> T";
    float_exp "<T: Floating>(T) -> T";
    float_ln "<T: Floating>(T) -> T";
    float_log2 "<T: Floating>(T) -> T";
    float_log10 "<T: Floating>(T) -> T";
    float_sin "<T: Floating>(T) -> T";
    float_cos "<T: Floating>(T) -> T";
    float_tan "<T: Floating>(T) -> T";
    float_asin "<T: Floating>(T) -> T";
    float_acos "<T: Floating>(T) -> T";
    float_atan "<T: Floating>(T) -> T";
    float_sinh "<T: Floating>(T) -> T";
    float_cosh "<T: Floating>(T) -> T";
    float_tanh "<T: Floating>(T) -> T";
    float_asinh "<T: Floating>(T) -> T";
    float_acosh "<T: Floating>(T) -> T";
    float_atanh "<T: Floating>(T) -> T";
    float_exp2 "<T: Floating>(T) -> T";
    float_exp_m1 "<T: Floating>(T) -> T";
    float_ln_1p "<T: Floating>(T) -> T";
    float_erf "<T: Floating>(T) -> T";
    float_gamma "<T: Floating>(T) -> T";
    float_ln_gamma "<T: Floating>(T) -> T";
    float_floor "<T: Floating>(T) -> T";
    float_ceil "<T: Floating>(T) -> T";
    float_trunc "<T: Floating>(T) -> T";
    float_fract "<T: Floating>(T) -> T";
    float_sigmoid "<T: Floating>(T) -> T";
};

/// The kind of the number type `info`; the scheme promises that it is one.
pub(super) fn kind_of(info: &TypeInfo) -> Kind {
    info.number().unwrap_or_else(|| panic!("{info:?} is not a number type"))
}

pub(super) fn round_to(x: f64, kind: Kind) -> f64 {
    match kind {
        Kind::Float32 => f64::from(x as f32),
        Kind::Float16 => f16::from_f64(x).to_f64(),
        Kind::BFloat16 => bf16::from_f64(x).to_f64(),
        _ => x,
    }
}

pub(super) fn float_value(info: &'static TypeInfo, x: f64) -> Value {
    Value::scalar(info, round_to(x, kind_of(info)).to_bits())
}

pub(super) fn wide(value: ValueRef<'_>) -> i128 {
    match kind_of(value.info()) {
        Kind::UInt64 => i128::from(value.scalar_bits()),
        _ => i128::from(value.int()),
    }
}

fn range(kind: Kind) -> (i128, i128) {
    match kind {
        Kind::Int8 => (i8::MIN.into(), i8::MAX.into()),
        Kind::Int16 => (i16::MIN.into(), i16::MAX.into()),
        Kind::Int32 => (i32::MIN.into(), i32::MAX.into()),
        Kind::UInt8 => (0, u8::MAX.into()),
        Kind::UInt16 => (0, u16::MAX.into()),
        Kind::UInt32 => (0, u32::MAX.into()),
        Kind::UInt64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

fn bits_of(kind: Kind) -> u32 {
    match kind {
        Kind::Int8 | Kind::UInt8 => 8,
        Kind::Int16 | Kind::UInt16 => 16,
        Kind::Int32 | Kind::UInt32 => 32,
        _ => 64,
    }
}

pub(super) fn fit(info: &'static TypeInfo, n: i128) -> Option<Value> {
    let (low, high) = range(kind_of(info));
    (low..=high).contains(&n).then(|| Value::scalar(info, n as u64))
}

fn fit_or_throw(info: &'static TypeInfo, n: i128, what: impl FnOnce() -> String) -> Outcome {
    fit(info, n).ok_or_else(|| Fault::overflow(what(), kind_of(info).name()))
}

fn wrap(info: &'static TypeInfo, n: i128) -> Value {
    let bits = n as u64;
    Value::scalar(
        info,
        match kind_of(info) {
            Kind::Int8 => bits as i8 as i64 as u64,
            Kind::Int16 => bits as i16 as i64 as u64,
            Kind::Int32 => bits as i32 as i64 as u64,
            Kind::UInt8 => u64::from(bits as u8),
            Kind::UInt16 => u64::from(bits as u16),
            Kind::UInt32 => u64::from(bits as u32),
            _ => bits,
        },
    )
}

fn number_zero(cx: &NativeCx<'_>) -> Outcome {
    constant(cx, 0)
}

fn number_one(cx: &NativeCx<'_>) -> Outcome {
    constant(cx, 1)
}

fn constant(cx: &NativeCx<'_>, n: i32) -> Outcome {
    let info = cx.ret_type();
    Ok(match kind_of(info).is_float() {
        true => Value::scalar(info, f64::from(n).to_bits()),
        false => Value::scalar(info, n as u64),
    })
}

/// One result for integers, one for floats.
fn either(
    cx: &NativeCx<'_>,
    int: impl FnOnce(&'static TypeInfo, &[i128]) -> Outcome,
    float: impl FnOnce(&[f64]) -> f64,
) -> Outcome {
    let info = cx.arg(0).info();
    if kind_of(info).is_float() {
        let args: Vec<f64> = (0..cx.n_args()).map(|i| cx.arg(i).float()).collect();
        return Ok(float_value(cx.ret_type(), float(&args)));
    }
    let args: Vec<i128> = (0..cx.n_args()).map(|i| wide(cx.arg(i))).collect();
    int(cx.ret_type(), &args)
}

fn number_abs(cx: &NativeCx<'_>) -> Outcome {
    either(cx, |info, a| fit_or_throw(info, a[0].abs(), || format!("abs of {}", a[0])), |a| a[0].abs())
}

fn number_signum(cx: &NativeCx<'_>) -> Outcome {
    either(cx, |info, a| Ok(wrap(info, a[0].signum())), |a| if a[0] == 0.0 { 0.0 } else { a[0].signum() })
}

fn number_min(cx: &NativeCx<'_>) -> Outcome {
    either(cx, |info, a| Ok(wrap(info, a[0].min(a[1]))), |a| a[0].min(a[1]))
}

fn number_max(cx: &NativeCx<'_>) -> Outcome {
    either(cx, |info, a| Ok(wrap(info, a[0].max(a[1]))), |a| a[0].max(a[1]))
}

fn number_clamp(cx: &NativeCx<'_>) -> Outcome {
    let (low, high) = (cx.arg(1), cx.arg(2));
    if low.compare(high) == Ordering::Greater {
        return Err(Fault::value(format!("clamp to {}..={}", low.show(), high.show())));
    }
    either(
        cx,
        |info, a| Ok(wrap(info, a[0].clamp(a[1], a[2]))),
        |a| {
            if a[0] < a[1] {
                a[1]
            } else if a[0] > a[2] {
                a[2]
            } else {
                a[0]
            }
        },
    )
}

fn number_to_float(cx: &NativeCx<'_>) -> Outcome {
    let x = cx.arg(0);
    Ok(Value::float(if kind_of(x.info()).is_float() { x.float() } else { wide(x) as f64 }))
}

fn number_to_int(cx: &NativeCx<'_>) -> Outcome {
    let x = cx.arg(0);
    if !kind_of(x.info()).is_float() {
        return fit_or_throw(cx.ret_type(), wide(x), || x.show());
    }
    let float = x.float();
    if float.is_nan() {
        return Err(Fault::value("nan is not a whole number"));
    }
    // Saturates beyond 128 bits, which is out of range as well.
    fit_or_throw(cx.ret_type(), float.trunc() as i128, || x.show())
}

fn int_min_value(cx: &NativeCx<'_>) -> Outcome {
    Ok(wrap(cx.ret_type(), range(kind_of(cx.ret_type())).0))
}

fn int_max_value(cx: &NativeCx<'_>) -> Outcome {
    Ok(wrap(cx.ret_type(), range(kind_of(cx.ret_type())).1))
}

fn ints(cx: &NativeCx<'_>) -> (i128, i128) {
    (wide(cx.arg(0)), wide(cx.arg(1)))
}

fn int_wrapping_add(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(wrap(cx.ret_type(), a + b))
}

fn int_wrapping_sub(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(wrap(cx.ret_type(), a - b))
}

fn int_wrapping_mul(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(wrap(cx.ret_type(), a.wrapping_mul(b)))
}

fn int_wrapping_neg(cx: &NativeCx<'_>) -> Outcome {
    Ok(wrap(cx.ret_type(), -wide(cx.arg(0))))
}

/// Bits that leave at an end are lost; the distance is taken modulo the width.
fn int_wrapping_shl(cx: &NativeCx<'_>) -> Outcome {
    let width = bits_of(kind_of(cx.ret_type()));
    let by = cx.arg(1).int().rem_euclid(i64::from(width));
    Ok(wrap(cx.ret_type(), wide(cx.arg(0)) << by))
}

fn int_wrapping_shr(cx: &NativeCx<'_>) -> Outcome {
    let width = bits_of(kind_of(cx.ret_type()));
    let by = cx.arg(1).int().rem_euclid(i64::from(width));
    Ok(wrap(cx.ret_type(), wide(cx.arg(0)) >> by))
}

fn saturate(info: &'static TypeInfo, n: i128) -> Value {
    let (low, high) = range(kind_of(info));
    wrap(info, n.clamp(low, high))
}

fn int_saturating_add(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(saturate(cx.ret_type(), a + b))
}

fn int_saturating_sub(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(saturate(cx.ret_type(), a - b))
}

fn int_saturating_mul(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    Ok(saturate(cx.ret_type(), a.saturating_mul(b)))
}

fn checked(cx: &NativeCx<'_>, n: Option<i128>) -> Outcome {
    let payload = cx.arg(0).info();
    Ok(option(cx, n.and_then(|n| fit(payload, n))))
}

fn int_checked_add(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    checked(cx, Some(a + b))
}

fn int_checked_sub(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    checked(cx, Some(a - b))
}

fn int_checked_mul(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    checked(cx, a.checked_mul(b))
}

fn int_checked_div(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    checked(cx, a.checked_div(b))
}

fn int_pow(cx: &NativeCx<'_>) -> Outcome {
    let (base, exponent) = (wide(cx.arg(0)), cx.arg(1).int());
    if exponent < 0 {
        return Err(Fault::value(format!("{base} ** {exponent}: a negative exponent needs a float")));
    }
    let what = || format!("{base} ** {exponent}");
    // The powers of 0, 1 and -1 have any exponent; all others leave 128 bits before the exponent leaves 32.
    let power = match (base, u32::try_from(exponent)) {
        (0 | 1 | -1, _) => Some(if exponent == 0 { 1 } else { base.pow(2 - (exponent % 2) as u32) }),
        (_, Ok(exponent)) => base.checked_pow(exponent),
        _ => None,
    };
    match power {
        Some(n) => fit_or_throw(cx.ret_type(), n, what),
        None => Err(Fault::overflow(what(), kind_of(cx.ret_type()).name())),
    }
}

fn int_isqrt(cx: &NativeCx<'_>) -> Outcome {
    let n = wide(cx.arg(0));
    match u64::try_from(n) {
        Ok(n) => Ok(wrap(cx.ret_type(), n.isqrt().into())),
        Err(_) => Err(Fault::value(format!("the square root of {n}"))),
    }
}

fn int_sqrt(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::float((wide(cx.arg(0)) as f64).sqrt()))
}

fn int_div_floor(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    if b == 0 {
        return Err(Fault::zero_division(format!("div_floor({a}, 0)")));
    }
    let quotient = a / b - i128::from(a % b != 0 && (a < 0) != (b < 0));
    fit_or_throw(cx.ret_type(), quotient, || format!("div_floor({a}, {b})"))
}

fn int_mod_floor(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    if b == 0 {
        return Err(Fault::zero_division(format!("mod_floor({a}, 0)")));
    }
    let rest = a % b;
    Ok(wrap(cx.ret_type(), if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
}

fn int_gcd(cx: &NativeCx<'_>) -> Outcome {
    let (a, b) = ints(cx);
    let (mut x, mut y) = (a.abs(), b.abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    fit_or_throw(cx.ret_type(), x, || format!("gcd({a}, {b})"))
}

/// The bits of an integer, without the sign's copies above its width.
fn pattern(cx: &NativeCx<'_>) -> (u64, u32) {
    let width = bits_of(kind_of(cx.arg(0).info()));
    (cx.arg(0).scalar_bits() & (u64::MAX >> (64 - width)), width)
}

fn int_count_ones(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(pattern(cx).0.count_ones().into()))
}

fn int_leading_zeros(cx: &NativeCx<'_>) -> Outcome {
    let (bits, width) = pattern(cx);
    Ok(Value::int(i64::from(bits.leading_zeros()) - i64::from(64 - width)))
}

fn int_trailing_zeros(cx: &NativeCx<'_>) -> Outcome {
    let (bits, width) = pattern(cx);
    Ok(Value::int(bits.trailing_zeros().min(width).into()))
}

macro_rules! float_functions {
    ($($name:ident = $f:expr;)*) => { $(
        fn $name(cx: &NativeCx<'_>) -> Outcome {
            let f: fn(f64) -> f64 = $f;
            Ok(float_value(cx.ret_type(), f(cx.arg(0).float())))
        }
    )* };
}

float_functions! {
    float_sqrt = f64::sqrt;
    float_cbrt = f64::cbrt;
    float_exp = f64::exp;
    float_ln = f64::ln;
    float_log2 = f64::log2;
    float_log10 = f64::log10;
    float_sin = f64::sin;
    float_cos = f64::cos;
    float_tan = f64::tan;
    float_asin = f64::asin;
    float_acos = f64::acos;
    float_atan = f64::atan;
    float_sinh = f64::sinh;
    float_cosh = f64::cosh;
    float_tanh = f64::tanh;
    float_asinh = f64::asinh;
    float_acosh = f64::acosh;
    float_atanh = f64::atanh;
    float_exp2 = f64::exp2;
    float_exp_m1 = f64::exp_m1;
    float_ln_1p = f64::ln_1p;
    float_erf = libm::erf;
    float_gamma = libm::tgamma;
    float_ln_gamma = libm::lgamma;
    float_floor = f64::floor;
    float_ceil = f64::ceil;
    float_trunc = f64::trunc;
    float_fract = f64::fract;
    float_sigmoid = |x| 1.0 / (1.0 + (-x).exp());
}

fn float_atan2(cx: &NativeCx<'_>) -> Outcome {
    Ok(float_value(cx.ret_type(), cx.arg(0).float().atan2(cx.arg(1).float())))
}

fn float_hypot(cx: &NativeCx<'_>) -> Outcome {
    Ok(float_value(cx.ret_type(), cx.arg(0).float().hypot(cx.arg(1).float())))
}

fn float_pow(cx: &NativeCx<'_>) -> Outcome {
    Ok(float_value(cx.ret_type(), cx.arg(0).float().powf(cx.arg(1).float())))
}

/// Through the decimal text when digits are asked for, so that 2.675 with two digits is what its exact value says.
fn float_round(cx: &NativeCx<'_>) -> Outcome {
    let (x, digits) = (cx.arg(0).float(), cx.arg(1).int());
    let rounded = match digits {
        _ if !x.is_finite() => x,
        0 => x.round_ties_even(),
        // 324 digits reach the smallest float there is.
        1..=324 => format!("{x:.*}", digits as usize).parse().unwrap_or(x),
        325.. => x,
        _ => {
            let scale = 10f64.powf(-digits as f64);
            if scale.is_finite() { (x / scale).round_ties_even() * scale } else { 0.0 }
        }
    };
    Ok(float_value(cx.ret_type(), rounded))
}

fn float_is_nan(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.arg(0).float().is_nan()))
}

fn float_is_finite(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.arg(0).float().is_finite()))
}

fn float_is_infinite(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.arg(0).float().is_infinite()))
}

/// The bits of the value in its own width.
fn float_to_bits(cx: &NativeCx<'_>) -> Outcome {
    let x = cx.arg(0).float();
    let bits = match kind_of(cx.arg(0).info()) {
        Kind::Float16 => f16::from_f64(x).to_bits().into(),
        Kind::BFloat16 => bf16::from_f64(x).to_bits().into(),
        Kind::Float32 => (x as f32).to_bits().into(),
        _ => x.to_bits(),
    };
    Ok(Value::scalar(cx.ret_type(), bits))
}

fn float_from_bits(cx: &NativeCx<'_>) -> Outcome {
    let bits = cx.arg(0).scalar_bits();
    let kind = kind_of(cx.ret_type());
    let x = match kind {
        Kind::Float16 => u16::try_from(bits).ok().map(|b| f16::from_bits(b).to_f64()),
        Kind::BFloat16 => u16::try_from(bits).ok().map(|b| bf16::from_bits(b).to_f64()),
        Kind::Float32 => u32::try_from(bits).ok().map(|b| f64::from(f32::from_bits(b))),
        _ => Some(f64::from_bits(bits)),
    };
    let x = x.ok_or_else(|| Fault::value(format!("{bits:#x} has more bits than a {}", kind.name())))?;
    Ok(float_value(cx.ret_type(), x))
}

fn float_infinity(cx: &NativeCx<'_>) -> Outcome {
    Ok(float_value(cx.ret_type(), f64::INFINITY))
}

fn float_nan(cx: &NativeCx<'_>) -> Outcome {
    Ok(float_value(cx.ret_type(), f64::NAN))
}
