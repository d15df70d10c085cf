//! Linear layers of PyTorch's dynamic quantisation: weights are bytes, inputs become bytes in each run.
//!
//! The packed weights of an archive arrive as `((weight, scale, zero), bias)`. Products of bytes are summed in Float64, which is exact.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor};

use super::tensor::ok;
use super::{Args, OpResult};
use crate::value::Value;

/// Below this PyTorch widens the range, so that the inverse of a scale stays a normal number.
const LEAST_SCALE: f64 = 6.1e-5;

/// Scale and zero point of bytes `0..=most` over the range from `low` to `high`, as PyTorch chooses them.
fn scale_of(low: f64, high: f64, most: f64) -> (f64, f64) {
    // 0 is always in the range, so that padding is exact.
    let (mut low, mut high) = (low.min(0.0), high.max(0.0));
    let mut scale = (high - low) / most;
    if scale as f32 == 0.0 || (1.0 / scale as f32).is_infinite() {
        scale = 0.1;
    }
    if scale < LEAST_SCALE {
        let wider = LEAST_SCALE / scale;
        (scale, low, high) = match (low == 0.0, high == 0.0) {
            (true, _) => (LEAST_SCALE, low, LEAST_SCALE * most),
            (false, true) => (LEAST_SCALE, -LEAST_SCALE * most, high),
            (false, false) => (LEAST_SCALE, low * wider, high * wider),
        };
    }
    // From the end that loses less.
    let (from_low, from_high) = (-low / scale, most - high / scale);
    let zero = if (low / scale).abs() < most + (high / scale).abs() { from_low } else { from_high };
    (scale, zero.clamp(0.0, most).round_ties_even())
}

pub fn linear_dynamic(a: &Args<'_>, relu: bool) -> OpResult {
    let x = a.tensor(0)?;
    let Some((weight, scale, zero, bias)) = packed(a.get(1)) else {
        return Err("argument `packed` holds no packed int8 weights".into());
    };
    // One bit less where the sums of 16 bits of old processors would overflow: part of the model's result.
    let most = if a.bool(2)? { 127.0 } else { 255.0 };
    let made = || -> Tried<Tensor> {
        let (low, high) = match x.numel() {
            0 => (0.0, 0.0),
            _ => (k::amin(&x, &[], false)?.item()?.to_f64(), k::amax(&x, &[], false)?.item()?.to_f64()),
        };
        let (x_scale, x_zero) = scale_of(low, high, most);
        let bytes = k::round(&k::add(&k::mul(&x.to(DType::F32)?, 1.0 / x_scale)?, x_zero)?)?;
        let bytes = k::clamp(&bytes, Some(Scalar::Float(0.0).into()), Some(Scalar::Float(255.0).into()))?;
        let x = k::sub(&bytes.to(DType::F64)?, x_zero)?;
        let weight = k::sub(&weight.to(DType::F64)?, zero as f64)?;
        let y = k::mul(&k::linear(&x, &weight, None)?, x_scale * scale)?.to(DType::F32)?;
        let y = bias.map_or(Ok(y.clone()), |bias| k::add(&y, bias))?;
        if relu { k::relu(&y) } else { Ok(y) }
    };
    ok(made())
}

/// Weight, scale, zero point and bias.
fn packed(value: &Value) -> Option<(&Tensor, f64, i64, Option<&Tensor>)> {
    let Value::Tuple(packed) = value else { return None };
    let [Value::Tuple(weight), bias] = &packed.items[..] else { return None };
    let [Value::Tensor(weight), Value::Float(scale), Value::Int(zero)] = &weight.items[..] else { return None };
    match bias {
        Value::None => Some((weight, *scale, *zero, None)),
        Value::Tensor(bias) => Some((weight, *scale, *zero, Some(bias))),
        _ => None,
    }
}

/// A linear layer whose weights are halves. The packed weights of an archive arrive as `(weight, bias)`.
pub fn linear_halves(a: &Args<'_>, relu: bool) -> OpResult {
    let x = a.tensor(0)?;
    let parts = match a.get(1) {
        Value::Tuple(packed) => match &packed.items[..] {
            [Value::Tensor(weight), Value::Tensor(bias)] => Some((weight, Some(bias))),
            [Value::Tensor(weight), Value::None] => Some((weight, None)),
            _ => None,
        },
        _ => None,
    };
    let Some((weight, bias)) = parts else { return Err("argument `packed` holds no packed halves".into()) };
    let made = || {
        let weight = weight.to(DType::F16)?.to(DType::F32)?;
        let y = k::linear(&x.to(DType::F32)?, &weight, bias)?;
        if relu { k::relu(&y) } else { Ok(y) }
    };
    ok(made())
}
