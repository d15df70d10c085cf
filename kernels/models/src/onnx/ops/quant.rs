//! Quantised operators. Ints of 8 bits are multiplied in Float64, which holds their sums exactly.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor};

use super::math::int_range;
use super::shape::axis;
use super::window::{At, conv_with};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// A scale or zero point, spread so that it meets `x` element by element: one number for all, one for each
/// place along `axis`, or one for each block of `block` along it.
fn spread(t: &Tensor, x: &Tensor, at: i64, block: usize) -> Result<Tensor, String> {
    if block > 0 {
        let at = axis(at, x.rank())?;
        let wide = k::repeat_interleave(t, block, at as i64).map_err(say)?;
        return wide.slice(at as i64, 0, x.shape()[at] as i64, 1).map_err(say);
    }
    if t.numel() == 1 {
        return t.reshape(&[]).map_err(say);
    }
    if t.rank() != 1 {
        return Err(format!("scales of shape {:?} need a block_size", t.shape()));
    }
    let mut sizes = vec![1; x.rank()];
    sizes[axis(at, x.rank())?] = t.numel();
    t.reshape_to(&sizes).map_err(say)
}

/// Rounded to even, within the range of `dtype`.
pub fn saturated(x: &Tensor, dtype: DType) -> Tried<Tensor> {
    let (low, high) = int_range(dtype);
    let (low, high) = (Scalar::Float(low as f64), Scalar::Float(high as f64));
    k::clamp(&k::round(x)?, Some(low.into()), Some(high.into()))?.to(dtype)
}

pub fn quantize(a: &Args<'_>) -> OpResult {
    let (x, scale, zero) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let dtype = zero.as_ref().map(|z| z.dtype()).or(a.dtype(6)?).unwrap_or(DType::U8);
    if dtype.is_float() {
        return Err(format!("gives ints, not {dtype}"));
    }
    let (at, block) = (a.int(3)?, a.count(5)?);
    // In the precision of the scale, as the standard says.
    let compute = if scale.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let scale = spread(&scale, &x, at, block)?;
    let zero = zero.map(|zero| spread(&zero, &x, at, block)).transpose()?;
    let made = || {
        let y = k::round(&k::div(&x.to(compute)?, &scale.to(compute)?)?)?;
        let y = zero.map_or(Ok(y.clone()), |zero| k::add(&y, &zero.to(compute)?))?;
        saturated(&y, dtype)
    };
    ok(made())
}

pub fn dequantize(a: &Args<'_>) -> OpResult {
    let (x, scale, zero) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (at, block) = (a.int(3)?, a.count(4)?);
    let dtype = a.dtype(5)?.unwrap_or(scale.dtype());
    // Ints of 32 bits do not fit in Float32.
    let compute = if x.dtype().size() > 2 && x.dtype().is_int() { DType::F64 } else { DType::F32 };
    let scale = spread(&scale, &x, at, block)?;
    let zero = zero.map(|zero| spread(&zero, &x, at, block)).transpose()?;
    let made = || {
        let y = x.to(compute)?;
        let y = zero.map_or(Ok(y.clone()), |zero| k::sub(&y, &zero.to(compute)?))?;
        k::mul(&y, &scale.to(compute)?)?.to(dtype)
    };
    ok(made())
}

/// To UInt8, with the scale and zero point that its range asks for. The range always has 0 in it.
pub fn dynamic(x: &Tensor) -> Tried<[Tensor; 3]> {
    if x.numel() == 0 {
        return Ok([x.to(DType::U8)?, Tensor::scalar(1.0f32), Tensor::scalar(0u8)]);
    }
    let low = k::minimum(&k::amin(x, &[], false)?, 0.0)?;
    let high = k::maximum(&k::amax(x, &[], false)?, 0.0)?;
    let scale = k::div(&k::sub(&high, &low)?, 255.0)?.to(DType::F32)?;
    let by = if scale.item()?.to_f64() == 0.0 { Tensor::scalar(1.0f32) } else { scale.clone() };
    let zero = saturated(&k::neg(&k::div(&low, &by)?)?, DType::U8)?;
    let y = k::add(&k::round(&k::div(x, &by)?)?, &zero.to(DType::F32)?)?;
    Ok([saturated(&y, DType::U8)?, scale, zero])
}

pub fn dynamic_quantize(a: &Args<'_>) -> OpResult {
    Value::tuple(dynamic(&*a.tensor(0)?).map_err(say)?.map(Value::Tensor).into())
}

/// `x - zero` in Float64; a list of zero points has one for each row (`at` -2) or column (`at` -1).
fn centred(x: &Tensor, zero: Option<&Tensor>, at: i64) -> Tried<Tensor> {
    let wide = x.to(DType::F64)?;
    let Some(zero) = zero else { return Ok(wide) };
    let zero = zero.to(DType::F64)?;
    let zero = if zero.rank() == 1 && zero.numel() > 1 && at == -2 { zero.unsqueeze(-1)? } else { zero };
    let zero = if zero.numel() == 1 { zero.reshape(&[])? } else { zero };
    k::sub(&wide, &zero)
}

pub fn product(a: &Tensor, b: &Tensor, a_zero: Option<&Tensor>, b_zero: Option<&Tensor>) -> Tried<Tensor> {
    k::matmul(&centred(a, a_zero, -2)?, &centred(b, b_zero, -1)?)
}

pub fn matmul_integer(a: &Args<'_>) -> OpResult {
    let (a_zero, b_zero) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    let out = product(&*a.tensor(0)?, &*a.tensor(1)?, a_zero.as_deref(), b_zero.as_deref());
    ok(out.and_then(|out| out.to(DType::I32)))
}

pub fn rescaled(out: &Tensor, scales: [&Tensor; 2], bias: Option<&Tensor>) -> Tried<Tensor> {
    let out = k::mul(&k::mul(out, &scales[0].to(DType::F64)?)?, &scales[1].to(DType::F64)?)?;
    let out = out.to(DType::F32)?;
    bias.map_or(Ok(out.clone()), |bias| k::add(&out, bias))
}

pub fn matmul_integer_to_float(a: &Args<'_>) -> OpResult {
    let (a_scale, b_scale) = (a.tensor(2)?, a.tensor(3)?);
    let (a_zero, b_zero, bias) = (a.opt_tensor(4)?, a.opt_tensor(5)?, a.opt_tensor(6)?);
    let out = product(&*a.tensor(0)?, &*a.tensor(1)?, a_zero.as_deref(), b_zero.as_deref());
    ok(out.and_then(|out| rescaled(&out, [&a_scale, &b_scale], bias.as_deref())))
}

pub fn dynamic_quantize_matmul(a: &Args<'_>) -> OpResult {
    let (b_scale, b_zero, bias) = (a.tensor(2)?, a.opt_tensor(3)?, a.opt_tensor(4)?);
    let [x, scale, zero] = dynamic(&*a.tensor(0)?).map_err(say)?;
    let out = product(&x, &*a.tensor(1)?, Some(&zero), b_zero.as_deref());
    ok(out.and_then(|out| rescaled(&out, [&scale, &b_scale], bias.as_deref())))
}

/// An exact product in Float64, times the scales, in the type of `zero`.
fn requantized(out: &Tensor, scale: &Tensor, y_scale: &Tensor, zero: &Tensor) -> Tried<Tensor> {
    let y = k::mul(out, &k::div(scale, &y_scale.to(DType::F64)?)?)?;
    saturated(&k::add(&k::round(&y)?, &zero.to(DType::F64)?)?, zero.dtype())
}

pub fn qlinear_matmul(a: &Args<'_>) -> OpResult {
    let (x, x_scale, x_zero) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (y, y_scale, y_zero) = (a.tensor(3)?, a.tensor(4)?, a.tensor(5)?);
    let made = || {
        let out = product(&x, &y, Some(&x_zero), Some(&y_zero))?;
        let rows =
            if x_scale.rank() == 1 && x_scale.numel() > 1 { x_scale.unsqueeze(-1)? } else { x_scale.reshape(&[-1])? };
        let scale = k::mul(&rows.to(DType::F64)?, &y_scale.reshape(&[-1])?.to(DType::F64)?)?;
        let scale = if scale.numel() == 1 { scale.reshape(&[])? } else { scale };
        let to = (a.tensor(6), a.tensor(7));
        let (Ok(to_scale), Ok(to_zero)) = to else { return Ok(None) };
        requantized(&out, &scale, &to_scale.reshape(&[])?, &to_zero.reshape(&[])?).map(Some)
    };
    match made().map_err(|e: stark_kernels::TensorError| e.to_string())? {
        Some(out) => Ok(Value::Tensor(out)),
        None => Err("the scale or zero point of the result is no tensor".into()),
    }
}

/// A zero point for each channel of the weights, or one for all.
fn per_channel(t: &Tensor, rank: usize) -> Tried<Tensor> {
    if t.numel() == 1 {
        return t.reshape(&[]);
    }
    let mut sizes = vec![1; rank];
    sizes[0] = t.numel();
    t.reshape_to(&sizes)
}

pub fn conv_integer(a: &Args<'_>) -> OpResult {
    let (x, w, x_zero, w_zero) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let x = centred(&x, x_zero.as_deref(), -1).map_err(say)?;
    let w_zero = w_zero.map(|zero| per_channel(&zero, w.rank())).transpose().map_err(say)?;
    let w = centred(&w, w_zero.as_ref(), -1).map_err(say)?;
    let at = At { auto_pad: 4, dilations: 5, kernel_shape: 7, pads: 8, strides: 9 };
    ok(conv_with(a, at, a.count(6)?, &x, &w, None)?.to(DType::I32))
}

pub fn qlinear_conv(a: &Args<'_>) -> OpResult {
    let (x, x_scale, x_zero) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (w, w_scale, w_zero) = (a.tensor(3)?, a.tensor(4)?, a.tensor(5)?);
    let (y_scale, y_zero, bias) = (a.tensor(6)?, a.tensor(7)?, a.opt_tensor(8)?);
    let prepare = || {
        let x = centred(&x, Some(&x_zero), -1)?;
        let w = centred(&w, Some(&per_channel(&w_zero, w.rank())?), -1)?;
        let bias = bias.map(|bias| bias.to(DType::F64)).transpose()?;
        Ok::<_, stark_kernels::TensorError>((x, w, bias))
    };
    let (x, w, bias) = prepare().map_err(say)?;
    let at = At { auto_pad: 9, dilations: 10, kernel_shape: 12, pads: 13, strides: 14 };
    let out = conv_with(a, at, a.count(11)?, &x, &w, bias.as_ref())?;
    let finish = || {
        let scale = k::mul(&w_scale.to(DType::F64)?, &x_scale.reshape(&[])?.to(DType::F64)?)?;
        // Along the channels of the result.
        let mut sizes = vec![1; out.rank()];
        sizes[1] = scale.numel();
        let scale = if scale.numel() == 1 { scale.reshape(&[])? } else { scale.reshape_to(&sizes)? };
        requantized(&out, &scale, &y_scale.reshape(&[])?, &y_zero.reshape(&[])?)
    };
    ok(finish())
}
