//! Arithmetic that is not an instruction: checked, wrapping and saturating forms, floats' functions.
//!
//! Integers are computed in 128 bits and brought back to their kind; floats are computed as `Float64` and rounded to theirs.

use super::{Call, Outcome};
use crate::fault::Fault;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use half::{bf16, f16};
use stark_bytecode::Kind;
use std::cmp::Ordering;

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

fn float_value(info: &'static TypeInfo, x: f64) -> Value {
    Value::scalar(info, round_to(x, kind_of(info)).to_bits())
}

fn wide(value: ValueRef<'_>) -> i128 {
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

fn fit(info: &'static TypeInfo, n: i128) -> Option<Value> {
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

pub(super) fn zero(c: &mut Call<'_>) -> Outcome {
    constant(c, 0)
}

pub(super) fn one(c: &mut Call<'_>) -> Outcome {
    constant(c, 1)
}

fn constant(c: &mut Call<'_>, n: i32) -> Outcome {
    let info = c.ret();
    Ok(match kind_of(info).is_float() {
        true => Value::scalar(info, f64::from(n).to_bits()),
        false => Value::scalar(info, n as u64),
    })
}

/// One result for integers, one for floats.
fn either(
    c: &mut Call<'_>,
    int: impl FnOnce(&'static TypeInfo, &[i128]) -> Outcome,
    float: impl FnOnce(&[f64]) -> f64,
) -> Outcome {
    let info = c.arg(0).info();
    if kind_of(info).is_float() {
        let args: Vec<f64> = (0..c.n_args()).map(|i| c.arg(i).float()).collect();
        return Ok(float_value(c.ret(), float(&args)));
    }
    let args: Vec<i128> = (0..c.n_args()).map(|i| wide(c.arg(i))).collect();
    int(c.ret(), &args)
}

pub(super) fn abs(c: &mut Call<'_>) -> Outcome {
    either(c, |info, a| fit_or_throw(info, a[0].abs(), || format!("abs of {}", a[0])), |a| a[0].abs())
}

pub(super) fn signum(c: &mut Call<'_>) -> Outcome {
    either(c, |info, a| Ok(wrap(info, a[0].signum())), |a| if a[0] == 0.0 { 0.0 } else { a[0].signum() })
}

pub(super) fn min(c: &mut Call<'_>) -> Outcome {
    either(c, |info, a| Ok(wrap(info, a[0].min(a[1]))), |a| a[0].min(a[1]))
}

pub(super) fn max(c: &mut Call<'_>) -> Outcome {
    either(c, |info, a| Ok(wrap(info, a[0].max(a[1]))), |a| a[0].max(a[1]))
}

pub(super) fn clamp(c: &mut Call<'_>) -> Outcome {
    let (low, high) = (c.arg(1), c.arg(2));
    if low.compare(high) == Ordering::Greater {
        return Err(Fault::value(format!("clamp to {}..={}", low.show(), high.show())));
    }
    either(c, |info, a| Ok(wrap(info, a[0].clamp(a[1], a[2]))), |a| if a[0] < a[1] { a[1] } else if a[0] > a[2] { a[2] } else { a[0] })
}

pub(super) fn to_float(c: &mut Call<'_>) -> Outcome {
    let x = c.arg(0);
    Ok(Value::float(if kind_of(x.info()).is_float() { x.float() } else { wide(x) as f64 }))
}

pub(super) fn to_int(c: &mut Call<'_>) -> Outcome {
    let x = c.arg(0);
    if !kind_of(x.info()).is_float() {
        return fit_or_throw(c.ret(), wide(x), || x.show());
    }
    let float = x.float();
    if float.is_nan() {
        return Err(Fault::value("nan is not a whole number"));
    }
    // Saturates beyond 128 bits, which is out of range as well.
    fit_or_throw(c.ret(), float.trunc() as i128, || x.show())
}

pub(super) fn min_value(c: &mut Call<'_>) -> Outcome {
    Ok(wrap(c.ret(), range(kind_of(c.ret())).0))
}

pub(super) fn max_value(c: &mut Call<'_>) -> Outcome {
    Ok(wrap(c.ret(), range(kind_of(c.ret())).1))
}

fn ints(c: &Call<'_>) -> (i128, i128) {
    (wide(c.arg(0)), wide(c.arg(1)))
}

pub(super) fn wrapping_add(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(wrap(c.ret(), a + b))
}

pub(super) fn wrapping_sub(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(wrap(c.ret(), a - b))
}

pub(super) fn wrapping_mul(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(wrap(c.ret(), a.wrapping_mul(b)))
}

pub(super) fn wrapping_neg(c: &mut Call<'_>) -> Outcome {
    Ok(wrap(c.ret(), -wide(c.arg(0))))
}

/// Bits that leave at an end are lost; the distance is taken modulo the width.
pub(super) fn wrapping_shl(c: &mut Call<'_>) -> Outcome {
    let width = bits_of(kind_of(c.ret()));
    let by = c.arg(1).int().rem_euclid(i64::from(width));
    Ok(wrap(c.ret(), wide(c.arg(0)) << by))
}

pub(super) fn wrapping_shr(c: &mut Call<'_>) -> Outcome {
    let width = bits_of(kind_of(c.ret()));
    let by = c.arg(1).int().rem_euclid(i64::from(width));
    Ok(wrap(c.ret(), wide(c.arg(0)) >> by))
}

fn saturate(info: &'static TypeInfo, n: i128) -> Value {
    let (low, high) = range(kind_of(info));
    wrap(info, n.clamp(low, high))
}

pub(super) fn saturating_add(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(saturate(c.ret(), a + b))
}

pub(super) fn saturating_sub(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(saturate(c.ret(), a - b))
}

pub(super) fn saturating_mul(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    Ok(saturate(c.ret(), a.saturating_mul(b)))
}

fn checked(c: &Call<'_>, n: Option<i128>) -> Outcome {
    let payload = c.arg(0).info();
    Ok(c.option(n.and_then(|n| fit(payload, n))))
}

pub(super) fn checked_add(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    checked(c, Some(a + b))
}

pub(super) fn checked_sub(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    checked(c, Some(a - b))
}

pub(super) fn checked_mul(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    checked(c, a.checked_mul(b))
}

pub(super) fn checked_div(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    checked(c, a.checked_div(b))
}

pub(super) fn int_pow(c: &mut Call<'_>) -> Outcome {
    let (base, exponent) = (wide(c.arg(0)), c.arg(1).int());
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
        Some(n) => fit_or_throw(c.ret(), n, what),
        None => Err(Fault::overflow(what(), kind_of(c.ret()).name())),
    }
}

pub(super) fn isqrt(c: &mut Call<'_>) -> Outcome {
    let n = wide(c.arg(0));
    match u64::try_from(n) {
        Ok(n) => Ok(wrap(c.ret(), n.isqrt().into())),
        Err(_) => Err(Fault::value(format!("the square root of {n}"))),
    }
}

pub(super) fn int_sqrt(c: &mut Call<'_>) -> Outcome {
    Ok(Value::float((wide(c.arg(0)) as f64).sqrt()))
}

pub(super) fn div_floor(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    if b == 0 {
        return Err(Fault::zero_division(format!("div_floor({a}, 0)")));
    }
    let quotient = a / b - i128::from(a % b != 0 && (a < 0) != (b < 0));
    fit_or_throw(c.ret(), quotient, || format!("div_floor({a}, {b})"))
}

pub(super) fn mod_floor(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    if b == 0 {
        return Err(Fault::zero_division(format!("mod_floor({a}, 0)")));
    }
    let rest = a % b;
    Ok(wrap(c.ret(), if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
}

pub(super) fn gcd(c: &mut Call<'_>) -> Outcome {
    let (a, b) = ints(c);
    let (mut x, mut y) = (a.abs(), b.abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    fit_or_throw(c.ret(), x, || format!("gcd({a}, {b})"))
}

/// The bits of an integer, without the sign's copies above its width.
fn pattern(c: &Call<'_>) -> (u64, u32) {
    let width = bits_of(kind_of(c.arg(0).info()));
    (c.arg(0).scalar_bits() & (u64::MAX >> (64 - width)), width)
}

pub(super) fn count_ones(c: &mut Call<'_>) -> Outcome {
    Ok(Value::int(pattern(c).0.count_ones().into()))
}

pub(super) fn leading_zeros(c: &mut Call<'_>) -> Outcome {
    let (bits, width) = pattern(c);
    Ok(Value::int(i64::from(bits.leading_zeros()) - i64::from(64 - width)))
}

pub(super) fn trailing_zeros(c: &mut Call<'_>) -> Outcome {
    let (bits, width) = pattern(c);
    Ok(Value::int(bits.trailing_zeros().min(width).into()))
}

macro_rules! float_functions {
    ($($name:ident = $f:expr;)*) => { $(
        pub(super) fn $name(c: &mut Call<'_>) -> Outcome {
            let f: fn(f64) -> f64 = $f;
            Ok(float_value(c.ret(), f(c.arg(0).float())))
        }
    )* };
}

float_functions! {
    sqrt = f64::sqrt;
    cbrt = f64::cbrt;
    exp = f64::exp;
    ln = f64::ln;
    log2 = f64::log2;
    log10 = f64::log10;
    sin = f64::sin;
    cos = f64::cos;
    tan = f64::tan;
    asin = f64::asin;
    acos = f64::acos;
    atan = f64::atan;
    sinh = f64::sinh;
    cosh = f64::cosh;
    tanh = f64::tanh;
    floor = f64::floor;
    ceil = f64::ceil;
    trunc = f64::trunc;
    fract = f64::fract;
    sigmoid = |x| 1.0 / (1.0 + (-x).exp());
}

pub(super) fn atan2(c: &mut Call<'_>) -> Outcome {
    Ok(float_value(c.ret(), c.arg(0).float().atan2(c.arg(1).float())))
}

pub(super) fn hypot(c: &mut Call<'_>) -> Outcome {
    Ok(float_value(c.ret(), c.arg(0).float().hypot(c.arg(1).float())))
}

pub(super) fn float_pow(c: &mut Call<'_>) -> Outcome {
    Ok(float_value(c.ret(), c.arg(0).float().powf(c.arg(1).float())))
}

/// Through the decimal text when digits are asked for, so that 2.675 with two digits is what its exact value says.
pub(super) fn round(c: &mut Call<'_>) -> Outcome {
    let (x, digits) = (c.arg(0).float(), c.arg(1).int());
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
    Ok(float_value(c.ret(), rounded))
}

pub(super) fn is_nan(c: &mut Call<'_>) -> Outcome {
    Ok(Value::bool(c.arg(0).float().is_nan()))
}

pub(super) fn is_finite(c: &mut Call<'_>) -> Outcome {
    Ok(Value::bool(c.arg(0).float().is_finite()))
}

pub(super) fn is_infinite(c: &mut Call<'_>) -> Outcome {
    Ok(Value::bool(c.arg(0).float().is_infinite()))
}

/// The bits of the value in its own width.
pub(super) fn to_bits(c: &mut Call<'_>) -> Outcome {
    let x = c.arg(0).float();
    let bits = match kind_of(c.arg(0).info()) {
        Kind::Float16 => f16::from_f64(x).to_bits().into(),
        Kind::BFloat16 => bf16::from_f64(x).to_bits().into(),
        Kind::Float32 => (x as f32).to_bits().into(),
        _ => x.to_bits(),
    };
    Ok(Value::scalar(c.ret(), bits))
}

pub(super) fn from_bits(c: &mut Call<'_>) -> Outcome {
    let bits = c.arg(0).scalar_bits();
    let kind = kind_of(c.ret());
    let x = match kind {
        Kind::Float16 => u16::try_from(bits).ok().map(|b| f16::from_bits(b).to_f64()),
        Kind::BFloat16 => u16::try_from(bits).ok().map(|b| bf16::from_bits(b).to_f64()),
        Kind::Float32 => u32::try_from(bits).ok().map(|b| f64::from(f32::from_bits(b))),
        _ => Some(f64::from_bits(bits)),
    };
    let x = x.ok_or_else(|| Fault::value(format!("{bits:#x} has more bits than a {}", kind.name())))?;
    Ok(float_value(c.ret(), x))
}

pub(super) fn infinity(c: &mut Call<'_>) -> Outcome {
    Ok(float_value(c.ret(), f64::INFINITY))
}

pub(super) fn nan(c: &mut Call<'_>) -> Outcome {
    Ok(float_value(c.ret(), f64::NAN))
}
