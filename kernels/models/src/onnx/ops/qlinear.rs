//! Operators on quantised tensors of the domain `com.microsoft`: read as floats, computed, and quantised again.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor};

use super::math::{Reduce, reduce_over};
use super::quant::saturated;
use super::window::{At, averaged};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// The floats of a tensor with one scale and zero point, which are the two arguments after it.
fn floats(a: &Args<'_>, at: usize) -> Result<Tensor, String> {
    read(&*a.tensor(at)?, &*a.tensor(at + 1)?, a.opt_tensor(at + 2)?.as_deref()).map_err(say)
}

fn read(x: &Tensor, scale: &Tensor, zero: Option<&Tensor>) -> Tried<Tensor> {
    let x = x.to(DType::F32)?;
    let x = match zero {
        Some(zero) => k::sub(&x, &zero.reshape(&[])?.to(DType::F32)?)?,
        None => x,
    };
    k::mul(&x, &scale.reshape(&[])?)
}

/// Quantised by the scale and zero point at `at`; of the type of the zero point.
fn quantised(a: &Args<'_>, x: &Tensor, at: usize) -> OpResult {
    let (scale, zero) = (a.tensor(at)?, a.opt_tensor(at + 1)?);
    let dtype = zero.as_ref().map_or(DType::U8, |zero| zero.dtype());
    let made = || {
        let y = k::round(&k::div(x, &scale.reshape(&[])?)?)?;
        let y = match &zero {
            Some(zero) => k::add(&y, &zero.reshape(&[])?.to(DType::F32)?)?,
            None => y,
        };
        saturated(&y, dtype)
    };
    ok(made())
}

pub fn add(a: &Args<'_>) -> OpResult {
    quantised(a, &k::add(&floats(a, 0)?, &floats(a, 3)?).map_err(say)?, 6)
}

pub fn mul(a: &Args<'_>) -> OpResult {
    quantised(a, &k::mul(&floats(a, 0)?, &floats(a, 3)?).map_err(say)?, 6)
}

pub fn sigmoid(a: &Args<'_>) -> OpResult {
    quantised(a, &k::sigmoid(&floats(a, 0)?).map_err(say)?, 3)
}

pub fn leaky_relu(a: &Args<'_>) -> OpResult {
    quantised(a, &k::leaky_relu(&floats(a, 0)?, a.float(5)?).map_err(say)?, 3)
}

pub fn softmax(a: &Args<'_>) -> OpResult {
    let x = floats(a, 0)?;
    let axis = a.int(5)?;
    // Before version 13 of the standard: over all axes from this one on, together.
    let y = match a.int(6)? {
        ..13 => super::shape::flat(&x, axis)
            .and_then(|rows| k::softmax(&rows, -1).and_then(|y| y.reshape_to(x.shape())).map_err(say)),
        _ => k::softmax(&x, axis).map_err(say),
    };
    quantised(a, &y?, 3)
}

pub fn choose(a: &Args<'_>) -> OpResult {
    let (x, y) = (floats(a, 1)?, floats(a, 4)?);
    quantised(a, &k::where_(&*a.tensor(0)?, &x, &y).map_err(say)?, 7)
}

pub fn mean(a: &Args<'_>) -> OpResult {
    let axes = a.opt_ints(5)?.unwrap_or_default();
    quantised(a, &reduce_over(&floats(a, 0)?, Reduce::Mean, &axes, a.bool(6)?).map_err(say)?, 3)
}

pub fn global_average(a: &Args<'_>) -> OpResult {
    let x = floats(a, 0)?;
    let last = x.rank() as i64 - i64::from(a.bool(5)?);
    let axes: Vec<i64> = (last - (x.rank() as i64 - 2)..last).collect();
    quantised(a, &reduce_over(&x, Reduce::Mean, &axes, true).map_err(say)?, 3)
}

/// `(X, x_scale, x_zero, y_scale, y_zero, auto_pad, ceil_mode, channels_last, count_include_pad, dilations, kernel_shape, pads,
/// strides)`.
pub fn average(a: &Args<'_>) -> OpResult {
    let (x, channels_last) = (floats(a, 0)?, a.bool(7)?);
    let at = At { auto_pad: 5, dilations: 9, kernel_shape: 10, pads: 11, strides: 12 };
    let x = if channels_last { x.movedim(-1, 1).and_then(|x| x.contiguous()).map_err(say)? } else { x };
    let y = match averaged(a, &x, at, a.bool(6)?, a.bool(8)?)? {
        Value::Tensor(y) if channels_last => y.movedim(1, -1).and_then(|y| y.contiguous()).map_err(say)?,
        Value::Tensor(y) => y,
        other => return Err(format!("gives {}", other.kind())),
    };
    quantised(a, &y, 3)
}

/// All inputs: scale and zero point of the result, then each part with its own.
pub fn concat(a: &Args<'_>) -> OpResult {
    let inputs = a.tensors(0)?;
    let [scale, zero, parts @ ..] = &inputs[..] else { return Err("takes a scale, a zero point and parts".into()) };
    let made = || {
        let parts = parts.chunks(3).map(|part| match part {
            [x, scale, zero] => read(x, scale, Some(zero)),
            _ => Err(stark_kernels::TensorError::Argument("a part without its scale or zero point".into())),
        });
        let parts = parts.collect::<Tried<Vec<_>>>()?;
        let y = k::cat(&parts.iter().collect::<Vec<_>>(), a.int(1).unwrap_or(0))?;
        let y = k::round(&k::div(&y, &scale.reshape(&[])?)?)?;
        saturated(&k::add(&y, &zero.reshape(&[])?.to(DType::F32)?)?, zero.dtype())
    };
    ok(made())
}

/// `alpha * A @ B + C` of bytes, where `C` has the scale of the product. Without a scale the result stays float.
pub fn gemm(a: &Args<'_>) -> OpResult {
    let (x, x_scale, x_zero) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (y, y_scale, y_zero, c) = (a.tensor(3)?, a.tensor(4)?, a.tensor(5)?, a.opt_tensor(6)?);
    let (flip_x, flip_y, alpha) = (a.bool(9)?, a.bool(10)?, a.float(11)?);
    let flipped = |x: &Tensor, flip: bool| if flip { x.transpose(-2, -1) } else { Ok(x.clone()) };
    let made = || {
        let x = k::sub(&x.to(DType::F64)?, &x_zero.reshape(&[])?.to(DType::F64)?)?;
        // A scale and zero point for each column of the second factor, or one.
        let row = |t: &Tensor| t.to(DType::F64)?.reshape(if t.numel() == 1 { &[] } else { &[1, -1] });
        let y = k::sub(&flipped(&y, flip_y)?.to(DType::F64)?, &row(&y_zero)?)?;
        let sum = k::matmul(&flipped(&x, flip_x)?, &y)?;
        let sum = match &c {
            Some(c) => k::add(&sum, &c.to(DType::F64)?)?,
            None => sum,
        };
        let scale = k::mul(&k::mul(&row(&y_scale)?, &x_scale.reshape(&[])?.to(DType::F64)?)?, alpha)?;
        k::mul(&sum, &scale)?.to(DType::F32)
    };
    let out = made().map_err(say)?;
    if a.is_none(7) { ok(Ok::<_, String>(out)) } else { quantised(a, &out, 7) }
}

/// A product with weights of 2, 4 or 8 bits in blocks, each block with a scale and a zero point of its own.
pub fn matmul_bits(a: &Args<'_>) -> OpResult {
    let (x, weight, scales, zeros, bias) =
        (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.opt_tensor(3)?, a.opt_tensor(5)?);
    let (depth, rows, bits, block) = (a.count(6)?, a.count(7)?, a.count(8)?, a.count(9)?);
    if !matches!(bits, 2 | 4 | 8) || block < 16 || !block.is_power_of_two() || block > 1 << 16 {
        return Err(format!("{bits} bits in blocks of {block} are not supported"));
    }
    if !a.is_none(4) || a.int(11)? != 0 {
        return Err("weights in an order of their own are not supported".into());
    }
    let blocks = depth.div_ceil(block);
    let per_byte = 8 / bits;
    let n_bytes = blocks.saturating_mul(block / per_byte);
    if weight.numel() != rows.saturating_mul(n_bytes) || scales.numel() != rows.saturating_mul(blocks) {
        return Err(format!("weights of shape {:?} are not {rows} rows of {depth}", weight.shape()));
    }
    let made = || {
        let scales = scales.reshape_to(&[rows, blocks, 1])?.to(DType::F32)?;
        let zeros = match &zeros {
            None => Tensor::scalar((1u32 << (bits - 1)) as f32),
            Some(zeros) if zeros.dtype().is_float() => zeros.reshape_to(&[rows, blocks, 1])?.to(DType::F32)?,
            // Packed like the weights, each row begins a byte.
            Some(zeros) => {
                let bytes = zeros.reshape_to(&[rows, blocks.div_ceil(per_byte)])?;
                spread(&bytes, bits)?.narrow(1, 0, blocks)?.reshape_to(&[rows, blocks, 1])?
            }
        };
        let weight = spread(&weight.reshape_to(&[rows, n_bytes])?, bits)?.reshape_to(&[rows, blocks, block])?;
        let weight = k::mul(&k::sub(&weight, &zeros)?, &scales)?.reshape_to(&[rows, blocks * block])?;
        let weight = weight.narrow(1, 0, depth)?.to(x.dtype())?;
        k::linear(&x, &weight, bias.as_deref())
    };
    ok(made())
}

/// The numbers in the bytes of each row, the lowest bits first, as Float32.
fn spread(bytes: &Tensor, bits: usize) -> Tried<Tensor> {
    let (mask, per_byte) = ((1u16 << bits) - 1, 8 / bits);
    let numbers = bytes.to(DType::U8)?.to_vec::<u8>()?;
    let numbers: Vec<f32> = numbers
        .iter()
        .flat_map(|&byte| (0..per_byte).map(move |i| f32::from((u16::from(byte) >> (i * bits)) & mask)))
        .collect();
    Tensor::from_vec(numbers, &[bytes.size(0)?, bytes.size(1)? * per_byte])
}
