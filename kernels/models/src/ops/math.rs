//! Arithmetic, comparisons and logic, element by element; on plain numbers the same names mean Python's.

use stark_kernels::ops::{self as k, Arg};
use stark_kernels::{DType, Scalar, Tensor};

use super::args::{Args, OpResult};
use super::scalar;
use super::tensor::{ok, say};
use crate::value::Value;

/// Both operands; a plain number beside a tensor raises its kind but never its width.
fn operands<'a>(a: &Args<'a>, x: usize, y: usize) -> Result<(Arg<'a>, Arg<'a>), String> {
    Ok((operand(a, x)?, operand(a, y)?))
}

pub fn operand<'a>(a: &Args<'a>, index: usize) -> Result<Arg<'a>, String> {
    match a.get(index) {
        Value::Tensor(t) => Ok(Arg::Tensor(t)),
        _ => Ok(Arg::Number(a.scalar(index)?)),
    }
}

fn opt_operand<'a>(a: &Args<'a>, index: usize) -> Result<Option<Arg<'a>>, String> {
    if a.is_none(index) { Ok(None) } else { operand(a, index).map(Some) }
}

/// `other * alpha`, when alpha is not 1.
fn scaled(a: &Args<'_>, index: usize, alpha: usize) -> Result<Option<Tensor>, String> {
    let alpha = a.scalar(alpha)?;
    if alpha.to_f64() == 1.0 {
        return Ok(None);
    }
    k::mul(operand(a, index)?, alpha).map(Some).map_err(say)
}

/// Whether `alpha` is 1: what the arithmetic of plain numbers knows.
fn is_unscaled(a: &Args<'_>) -> Result<bool, String> {
    Ok(a.scalar(2)?.to_f64() == 1.0)
}

macro_rules! binary {
    ($($name:ident $(or $plain:path)?;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            $( if let Some(result) = $plain(a.get(0), a.get(1)) {
                return result;
            } )?
            let (x, y) = operands(a, 0, 1)?;
            ok(k::$name(x, y))
        }
    )* };
}

binary! {
    mul or scalar::mul;
    remainder or scalar::remainder;
    pow or scalar::pow;
    floor_divide or scalar::floor_div;
    fmod;
    maximum;
    minimum;
    logical_and;
    logical_or;
    logical_xor;
}

pub fn add(a: &Args<'_>) -> OpResult {
    if let (true, Some(result)) = (is_unscaled(a)?, scalar::add(a.get(0), a.get(1))) {
        return result;
    }
    let (x, y) = operands(a, 0, 1)?;
    match scaled(a, 1, 2)? {
        Some(scaled) => ok(k::add(x, &scaled)),
        None => ok(k::add(x, y)),
    }
}

pub fn sub(a: &Args<'_>) -> OpResult {
    if let (true, Some(result)) = (is_unscaled(a)?, scalar::sub(a.get(0), a.get(1))) {
        return result;
    }
    let (x, y) = operands(a, 0, 1)?;
    match scaled(a, 1, 2)? {
        Some(scaled) => ok(k::sub(x, &scaled)),
        None => ok(k::sub(x, y)),
    }
}

/// `other - alpha * self`.
pub fn rsub(a: &Args<'_>) -> OpResult {
    if let (true, Some(result)) = (is_unscaled(a)?, scalar::sub(a.get(1), a.get(0))) {
        return result;
    }
    let (x, y) = operands(a, 0, 1)?;
    match scaled(a, 0, 2)? {
        Some(scaled) => ok(k::sub(y, &scaled)),
        None => ok(k::sub(y, x)),
    }
}

pub fn div(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.get(0), a.get(1));
    match a.values.get(2) {
        None | Some(Value::None) => {
            if let Some(result) = scalar::div(x, y) {
                return result;
            }
            let (x, y) = operands(a, 0, 1)?;
            ok(k::div(x, y))
        }
        Some(Value::Str(mode)) => {
            let (x, y) = operands(a, 0, 1)?;
            match &**mode {
                "floor" => ok(k::floor_divide(x, y)),
                "trunc" => ok(k::trunc_divide(x, y)),
                mode => Err(format!("rounding_mode `{mode}` is none of floor and trunc")),
            }
        }
        Some(other) => Err(format!("rounding_mode is {}", other.kind())),
    }
}

macro_rules! comparisons {
    ($($name:ident $holds:expr;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            if let Some(result) = scalar::compare(a.get(0), a.get(1), $holds) {
                return result;
            }
            let (x, y) = operands(a, 0, 1)?;
            ok(k::$name(x, y))
        }
    )* };
}

comparisons! {
    lt |o| o.is_lt();
    le |o| o.is_le();
    gt |o| o.is_gt();
    ge |o| o.is_ge();
}

pub fn eq(a: &Args<'_>) -> OpResult {
    if let Some(equal) = scalar::equal(a.get(0), a.get(1)) {
        return Ok(Value::Bool(equal));
    }
    let (x, y) = operands(a, 0, 1)?;
    ok(k::eq(x, y))
}

pub fn ne(a: &Args<'_>) -> OpResult {
    if let Some(equal) = scalar::equal(a.get(0), a.get(1)) {
        return Ok(Value::Bool(!equal));
    }
    let (x, y) = operands(a, 0, 1)?;
    ok(k::ne(x, y))
}

macro_rules! bitwise {
    ($($name:ident $kernel:ident $op:tt;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            match (a.get(0), a.get(1)) {
                (Value::Bool(x), Value::Bool(y)) => Ok(Value::Bool(*x $op *y)),
                (Value::Int(x), Value::Int(y)) => Ok(Value::Int(*x $op *y)),
                _ => {
                    let (x, y) = operands(a, 0, 1)?;
                    ok(k::$kernel(x, y))
                }
            }
        }
    )* };
}

bitwise! {
    and bitwise_and &;
    or bitwise_or |;
    xor bitwise_xor ^;
}

/// `<<` and `>>`: of plain numbers as Python has them, of tensors with a sign that stays.
pub fn shift(a: &Args<'_>, right: bool) -> OpResult {
    let (Value::Int(x), Value::Int(by)) = (a.get(0), a.get(1)) else {
        return crate::onnx::shift(&*a.tensor(0)?, &*a.tensor(1)?, !right);
    };
    let by = u32::try_from(*by).map_err(|_| format!("a shift by {by}"))?;
    let wide = i128::from(*x);
    let shifted = if right { Some(wide >> by.min(64)) } else { (by < 64 || *x == 0).then(|| wide << by.min(63)) };
    let fits = shifted.and_then(|y| i64::try_from(y).ok());
    fits.map(Value::Int).ok_or_else(|| "the integer result does not fit in 64 bits".into())
}

/// The greater or the lesser, and the other one where one is no number.
pub fn past_nan(a: &Args<'_>, greater: bool) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let best = if greater { k::maximum(&*x, &*y)? } else { k::minimum(&*x, &*y)? };
        if !best.dtype().is_float() {
            return Ok(best);
        }
        let best = k::where_(&k::isnan(&x)?, &*y, &best)?;
        k::where_(&k::isnan(&y)?, &*x, &best)?.to(best.dtype())
    };
    ok(made())
}

/// `self + value * tensor1 * tensor2`, or divided by the second.
pub fn add_combined(a: &Args<'_>, divides: bool) -> OpResult {
    let (t, x, y, value) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.scalar(3)?);
    let made = || {
        let both = if divides { k::div(&*x, &*y)? } else { k::mul(&*x, &*y)? };
        k::add(&*t, &if value.to_f64() == 1.0 { both } else { k::mul(&both, value)? })
    };
    ok(made())
}

macro_rules! unary {
    ($($name:ident;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            ok(k::$name(&*a.tensor(0)?))
        }
    )* };
}

unary! {
    bitwise_not;
    logical_not;
    sign;
    square;
    reciprocal;
    rsqrt;
    expm1;
    log2;
    log10;
    log1p;
    tan;
    erf;
    trunc;
    isnan;
    isinf;
}

/// Functions that also take a plain float, and then give one.
macro_rules! unary_or_float {
    ($($name:ident $f:expr;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            match a.get(0) {
                Value::Float(_) | Value::Int(_) => scalar::math(a, $f),
                _ => ok(k::$name(&*a.tensor(0)?)),
            }
        }
    )* };
}

unary_or_float! {
    sqrt f64::sqrt;
    exp f64::exp;
    log f64::ln;
    sin f64::sin;
    cos f64::cos;
}

/// Functions of a plain number that give an int.
macro_rules! unary_or_int {
    ($($name:ident $f:expr;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            match a.get(0) {
                Value::Int(i) => Ok(Value::Int(*i)),
                Value::Float(x) => Ok(Value::Int($f(*x) as i64)),
                _ => ok(k::$name(&*a.tensor(0)?)),
            }
        }
    )* };
}

unary_or_int! {
    floor f64::floor;
    ceil f64::ceil;
}

pub fn round(a: &Args<'_>) -> OpResult {
    match (a.get(0), a.int(1)?) {
        (Value::Float(x), 0) => Ok(Value::Float(x.round_ties_even())),
        (_, 0) => ok(k::round(&*a.tensor(0)?)),
        (_, decimals) => {
            let decimals = i32::try_from(decimals).map_err(|_| format!("{decimals} decimals"))?;
            ok(k::round_decimals(&*a.tensor(0)?, decimals))
        }
    }
}

pub fn neg(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Int(i) => i.checked_neg().map(Value::Int).ok_or_else(|| "the result does not fit in 64 bits".into()),
        Value::Float(x) => Ok(Value::Float(-x)),
        _ => ok(k::neg(&*a.tensor(0)?)),
    }
}

pub fn abs(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Int(i) => i.checked_abs().map(Value::Int).ok_or_else(|| "the result does not fit in 64 bits".into()),
        Value::Float(x) => Ok(Value::Float(x.abs())),
        _ => ok(k::abs(&*a.tensor(0)?)),
    }
}

pub fn clamp(a: &Args<'_>) -> OpResult {
    ok(k::clamp(&*a.tensor(0)?, opt_operand(a, 1)?, opt_operand(a, 2)?))
}

pub fn clamp_min(a: &Args<'_>) -> OpResult {
    ok(k::clamp(&*a.tensor(0)?, Some(operand(a, 1)?), None))
}

pub fn clamp_max(a: &Args<'_>) -> OpResult {
    ok(k::clamp(&*a.tensor(0)?, None, Some(operand(a, 1)?)))
}

/// The limits of `hardtanh` are plain numbers.
pub fn hardtanh(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::hardtanh(&x, a.float(1)?, a.float(2)?).and_then(|out| out.to(x.dtype())))
}

pub fn masked_fill(a: &Args<'_>) -> OpResult {
    ok(k::masked_fill(&*a.tensor(0)?, &*a.tensor(1)?, operand(a, 2)?))
}

/// `where(condition)` alone gives the places where it holds, a tensor of them for each axis.
pub fn where_(a: &Args<'_>) -> OpResult {
    if a.is_none(1) && a.is_none(2) {
        let places = k::nonzero(&*a.tensor(0)?).and_then(|places| places.unbind(1)).map_err(say)?;
        return Value::list(places.into_iter().map(Value::Tensor).collect());
    }
    let condition = a.tensor(0)?.to(DType::Bool).map_err(say)?;
    let (x, y) = operands(a, 1, 2)?;
    ok(k::where_(&condition, x, y))
}

/// A function without a kernel of its own, whose results are floats whatever it is given.
pub fn float_map(a: &Args<'_>, f: fn(f64) -> f64) -> OpResult {
    let x = a.tensor(0)?;
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    ok(k::map_scalar(&x, dtype, |x| Scalar::Float(f(x.to_f64()))))
}
