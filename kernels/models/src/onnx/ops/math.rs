//! Element by element, and reductions. ONNX keeps the element type where PyTorch promotes.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result, Scalar, Tensor};

use crate::ops::math::operand;
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// A function without a kernel of its own.
pub fn map(a: &Args<'_>, f: fn(f64) -> f64) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::map_scalar(&x, x.dtype(), |x| Scalar::Float(f(x.to_f64()))))
}

/// `f` of the tensor, for functions that leave ints as they are.
fn on_floats(a: &Args<'_>, f: fn(&Tensor) -> Result<Tensor>) -> OpResult {
    let x = a.tensor(0)?;
    ok(if x.dtype().is_float() { f(&x) } else { Ok(x.into_owned()) })
}

pub fn floor(a: &Args<'_>) -> OpResult {
    on_floats(a, k::floor)
}

pub fn ceil(a: &Args<'_>) -> OpResult {
    on_floats(a, k::ceil)
}

pub fn round(a: &Args<'_>) -> OpResult {
    on_floats(a, k::round)
}

pub fn is_inf(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (negative, positive) = (a.bool(1)?, a.bool(2)?);
    ok(match (negative, positive) {
        (true, true) => k::isinf(&x),
        (false, false) => Tensor::full(x.shape(), false, DType::Bool),
        (true, false) => k::eq(&*x, f64::NEG_INFINITY),
        (false, true) => k::eq(&*x, f64::INFINITY),
    })
}

#[derive(Debug, Clone, Copy)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

pub fn binary(a: &Args<'_>, how: Binary) -> OpResult {
    let (x, y) = (operand(a, 0)?, operand(a, 1)?);
    let is_float = k::result_type(&[x, y]).is_float();
    ok(match how {
        Binary::Add => k::add(x, y),
        Binary::Sub => k::sub(x, y),
        Binary::Mul => k::mul(x, y),
        Binary::Div if is_float => k::div(x, y),
        Binary::Div => k::trunc_divide(x, y),
    })
}

pub fn modulo(a: &Args<'_>) -> OpResult {
    let (x, y) = (operand(a, 0)?, operand(a, 1)?);
    ok(if a.bool(2)? { k::fmod(x, y) } else { k::remainder(x, y) })
}

/// The result is of the base's type.
pub fn pow(a: &Args<'_>) -> OpResult {
    let base = a.tensor(0)?;
    let exponent = a.tensor(1)?;
    let is_int = !base.dtype().is_float() && exponent.dtype().is_float();
    let wide = if is_int { base.to(DType::F64).map_err(say)? } else { base.clone().into_owned() };
    ok(k::pow(&wide, &*exponent).and_then(|p| p.to(base.dtype())))
}

#[derive(Debug, Clone, Copy)]
pub enum Fold {
    Max,
    Min,
    Sum,
    Mean,
}

/// All inputs, broadcast against each other.
pub fn fold(a: &Args<'_>, how: Fold) -> OpResult {
    let tensors = a.tensors(0)?;
    let Some((first, rest)) = tensors.split_first() else { return Err("takes at least one input".into()) };
    let total = rest.iter().try_fold(first.clone(), |total, next| match how {
        Fold::Max => k::maximum(&total, next),
        Fold::Min => k::minimum(&total, next),
        Fold::Sum | Fold::Mean => k::add(&total, next),
    });
    ok(match how {
        Fold::Mean => total.and_then(|t| k::div(&t, tensors.len() as f64)),
        _ => total,
    })
}

/// An end that is alone in its tensor, and of the type of what it bounds, as a number: for those there is one pass.
fn alone(end: k::Arg<'_>, dtype: DType) -> k::Arg<'_> {
    match end {
        k::Arg::Tensor(t) if t.rank() == 0 && t.dtype() == dtype && t.memory().is_none() => {
            t.item().map_or(end, k::Arg::Number)
        }
        end => end,
    }
}

pub fn clip(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let low = if a.is_none(1) { None } else { Some(operand(a, 1)?) };
    let high = if a.is_none(2) { None } else { Some(operand(a, 2)?) };
    if low.is_none() && high.is_none() {
        return Ok(Value::Tensor(x.into_owned()));
    }
    ok(k::clamp(&x, low.map(|end| alone(end, x.dtype())), high.map(|end| alone(end, x.dtype())))
        .and_then(|y| y.to(x.dtype())))
}

pub fn prelu(a: &Args<'_>) -> OpResult {
    let (x, slope) = (a.tensor(0)?, a.tensor(1)?);
    let bent = k::mul(&*x, &*slope).map_err(say)?;
    ok(k::lt(&*x, 0i64).and_then(|below| k::where_(&below, &bent, &*x)).and_then(|y| y.to(x.dtype())))
}

/// `scale * x` above 0, `scale * alpha * (exp(x) - 1)` below.
fn bend(x: &Tensor, alpha: f64, scale: f64) -> OpResult {
    if scale == 1.0 && x.dtype().is_float() {
        return ok(k::elu(x, alpha));
    }
    ok(k::map_scalar(x, x.dtype(), move |x| {
        let x = x.to_f64();
        Scalar::Float(scale * if x > 0.0 { x } else { alpha * x.exp_m1() })
    }))
}

pub fn elu(a: &Args<'_>, alpha: usize, scale: f64) -> OpResult {
    bend(&*a.tensor(0)?, a.float(alpha)?, scale)
}

pub fn selu(a: &Args<'_>) -> OpResult {
    elu(a, 1, a.float(2)?)
}

pub fn thresholded_relu(a: &Args<'_>) -> OpResult {
    let alpha = a.float(1)?;
    ok(k::threshold(&*a.tensor(0)?, alpha, 0.0))
}

pub fn softplus(a: &Args<'_>) -> OpResult {
    ok(k::softplus(&*a.tensor(0)?, 1.0, 20.0))
}

pub fn hard_sigmoid(a: &Args<'_>) -> OpResult {
    let (x, alpha, beta) = (a.tensor(0)?, a.float(1)?, a.float(2)?);
    // As PyTorch's files have it.
    if (alpha as f32, beta) == (1.0 / 6.0, 0.5) && x.dtype().is_float() {
        return ok(k::hardsigmoid(&x));
    }
    let line = k::mul(&*x, alpha).and_then(|y| k::add(&y, beta));
    ok(line.and_then(|y| k::clamp(&y, Some(Scalar::Float(0.0).into()), Some(Scalar::Float(1.0).into()))))
}

/// `x * sigmoid(alpha * x)`.
pub fn swish(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::mul(&*x, a.float(1)?).and_then(|y| k::sigmoid(&y)).and_then(|y| k::mul(&*x, &y)))
}

pub fn shrink(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (bias, limit) = (a.float(1)?, a.float(2)?);
    ok(k::map_scalar(&x, x.dtype(), move |x| {
        let x = x.to_f64();
        Scalar::Float(if x < -limit {
            x + bias
        } else if x > limit {
            x - bias
        } else {
            0.0
        })
    }))
}

pub fn bit_shift(a: &Args<'_>) -> OpResult {
    let left = match a.str(2)? {
        "LEFT" => true,
        "RIGHT" => false,
        other => return Err(format!("direction `{other}` is none of LEFT and RIGHT")),
    };
    shift(&*a.tensor(0)?, &*a.tensor(1)?, left)
}

/// A shift by less than 0 or by the width and more leaves only the sign.
pub fn shift(x: &Tensor, by: &Tensor, left: bool) -> OpResult {
    if !x.dtype().is_int() || !by.dtype().is_int() {
        return Err(format!("shifts ints, not {} by {}", x.dtype(), by.dtype()));
    }
    let bits = 8 * x.dtype().size() as i64;
    let shape = stark_shapes::rules::broadcast(x.shape(), by.shape()).map_err(say)?;
    let numbers = |t: &Tensor| t.expand(&shape).map(|t| t.to_scalars()).map_err(say);
    let shifted = numbers(x)?.into_iter().zip(numbers(by)?).map(|(x, by)| {
        let (x, by) = (x.to_i64(), by.to_i64());
        match (left, (0..bits).contains(&by)) {
            (true, true) => x << by,
            (true, false) => 0,
            (false, true) => x >> by,
            (false, false) => x >> 63,
        }
    });
    ok(Tensor::from_vec(shifted.collect::<Vec<i64>>(), &shape).and_then(|y| y.to(x.dtype())))
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reduce {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
}

pub fn reduce(a: &Args<'_>, how: Reduce) -> OpResult {
    let x = a.tensor(0)?;
    let axes = a.opt_ints(1)?.unwrap_or_default();
    let noop = axes.is_empty() && a.bool(3)?;
    ok(if noop { reduce_nothing(&x, how) } else { reduce_over(&x, how, &axes, a.bool(2)?) })
}

/// Each element is its own row.
fn reduce_nothing(x: &Tensor, how: Reduce) -> Result<Tensor> {
    let row = x.unsqueeze(-1)?;
    reduce_over(&row, how, &[-1], false)
}

/// Over all axes when `axes` is empty; in the element type of `x`.
pub fn reduce_over(x: &Tensor, how: Reduce, axes: &[i64], keepdim: bool) -> Result<Tensor> {
    let dtype = x.dtype();
    let shape = k::reduced_shape(x, axes, keepdim)?;
    if matches!(how, Reduce::Max | Reduce::Min) && x.numel() == 0 {
        return Tensor::full(&shape, extreme(dtype, how == Reduce::Min), dtype);
    }
    if x.rank() == 0 && matches!(how, Reduce::Sum | Reduce::Mean | Reduce::Max | Reduce::Min | Reduce::Prod) {
        return Ok(x.clone());
    }
    // Sums of ints wrap as the type does; what divides or takes roots goes through Float64.
    let float = || if dtype.is_float() { Ok(x.clone()) } else { x.to(DType::F64) };
    let out = match how {
        Reduce::Sum => k::sum(x, axes, keepdim)?,
        Reduce::Mean => k::mean(&float()?, axes, keepdim)?,
        Reduce::Max | Reduce::Min => {
            let x = if dtype == DType::Bool { x.to(DType::U8)? } else { x.clone() };
            if how == Reduce::Max { k::amax(&x, axes, keepdim)? } else { k::amin(&x, axes, keepdim)? }
        }
        Reduce::Prod => k::prod(x, axes, keepdim)?,
        Reduce::L1 => k::sum(&k::abs(x)?, axes, keepdim)?,
        Reduce::L2 => k::norm(&float()?, 2.0, axes, keepdim)?,
        Reduce::LogSum => k::log(&k::sum(&float()?, axes, keepdim)?)?,
        Reduce::LogSumExp => k::logsumexp(&float()?, axes, keepdim)?,
        Reduce::SumSquare => k::sum(&k::mul(x, x)?, axes, keepdim)?,
    };
    out.to(dtype)
}

/// The greatest or least number of a type.
pub fn extreme(dtype: DType, greatest: bool) -> Scalar {
    if dtype.is_float() {
        return Scalar::Float(if greatest { f64::INFINITY } else { f64::NEG_INFINITY });
    }
    let (low, high) = int_range(dtype);
    Scalar::Int(if greatest { high } else { low })
}

pub fn int_range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::Bool => (0, 1),
        DType::U8 => (0, 255),
        DType::I8 => (-128, 127),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}
