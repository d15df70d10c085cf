//! Convolution, pooling and resampling. One name covers several ranks, so the input decides.

use stark_kernels::ops as k;
use stark_kernels::{Scalar, Tensor};
use stark_shapes::{Conv, Pool};

use super::args::{Args, Ints, OpResult, Then};
use super::tensor::{ok, say};
use crate::value::Value;

/// Item `axis` of a list of one number for all axes, or one for each.
fn along(list: &Ints, axis: usize, what: &str) -> Result<usize, String> {
    let number = match (list.len(), axis) {
        (1, _) => list[0],
        (n, axis) if axis < n => list[axis],
        (n, _) => return Err(format!("{what} has {n} numbers, too few")),
    };
    usize::try_from(number).map_err(|_| format!("{what} is {number}"))
}

struct Windows {
    stride: Ints,
    padding: Ints,
    dilation: Ints,
}

impl Windows {
    fn at(&self, axis: usize) -> Result<Conv, String> {
        Ok(Conv {
            stride: along(&self.stride, axis, "stride")?,
            padding: along(&self.padding, axis, "padding")?,
            dilation: along(&self.dilation, axis, "dilation")?,
        })
    }
}

/// `x` with a batch axis, which is taken off again from the result when `x` had none.
fn batched(x: &Tensor, axes: usize, f: impl Fn(&Tensor) -> Result<Tensor, String>) -> OpResult {
    if x.rank() == axes + 1 {
        let out = f(&x.unsqueeze(0).map_err(say)?)?;
        return ok(out.squeeze(&[0]));
    }
    f(x).map(Value::Tensor)
}

fn forward(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: &Windows,
    groups: usize,
    then: Then<'_>,
) -> OpResult {
    match weight.rank() {
        3 => {
            let window = windows.at(0)?;
            batched(x, 1, |x| k::conv1d(x, weight, bias, window, groups).and_then(|out| then.apply(out)).map_err(say))
        }
        4 => {
            let windows = [windows.at(0)?, windows.at(1)?];
            batched(x, 2, |x| then.conv2d(x, weight, bias, windows, groups).map_err(say))
        }
        rank => Err(format!("a convolution with weights of rank {rank} is not supported (3 and 4 are)")),
    }
}

fn transposed(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: &Windows,
    extra: &Ints,
    groups: usize,
) -> OpResult {
    match weight.rank() {
        3 => {
            let (window, extra) = (windows.at(0)?, along(extra, 0, "output_padding")?);
            batched(x, 1, |x| k::conv_transpose1d(x, weight, bias, window, extra, groups).map_err(say))
        }
        4 => {
            let windows = [windows.at(0)?, windows.at(1)?];
            let extra = [along(extra, 0, "output_padding")?, along(extra, 1, "output_padding")?];
            batched(x, 2, |x| k::conv_transpose2d(x, weight, bias, windows, extra, groups).map_err(say))
        }
        rank => Err(format!("a convolution with weights of rank {rank} is not supported (3 and 4 are)")),
    }
}

/// `_convolution`: traces name all convolutions so.
pub fn convolution(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let windows = Windows { stride: a.ints(3)?, padding: a.ints(4)?, dilation: a.ints(5)? };
    let groups = a.count(8)?;
    match a.bool(6)? {
        true => transposed(&x, &weight, bias.as_deref(), &windows, &a.ints(7)?, groups),
        false => forward(&x, &weight, bias.as_deref(), &windows, groups, a.then),
    }
}

/// `conv1d` and `conv2d`; the padding may be the text `same` or `valid`.
pub fn conv(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (stride, dilation, groups) = (a.ints(3)?, a.ints(5)?, a.count(6)?);
    let padding: Ints = match a.get(4) {
        Value::Str(text) if &**text == "valid" => Ints::from_slice(&[0]),
        Value::Str(text) if &**text == "same" => {
            let mut padding = Ints::new();
            for (axis, &kernel) in weight.shape().iter().skip(2).enumerate() {
                let total = along(&dilation, axis, "dilation")?.saturating_mul(kernel.saturating_sub(1));
                if total % 2 != 0 {
                    return Err("padding `same` with a window of even width is not supported".into());
                }
                padding.push(total as i64 / 2);
            }
            padding
        }
        _ => a.ints(4)?,
    };
    forward(&x, &weight, bias.as_deref(), &Windows { stride, padding, dilation }, groups, a.then)
}

pub fn conv_transpose(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let windows = Windows { stride: a.ints(3)?, padding: a.ints(4)?, dilation: a.ints(7)? };
    transposed(&x, &weight, bias.as_deref(), &windows, &a.ints(5)?, a.count(6)?)
}

/// The pooling window of one axis. An empty stride means "as the kernel".
fn pool(a: &Args<'_>, axis: usize, dilation: Option<&Ints>, ceil_mode: usize) -> Result<Pool, String> {
    let kernel = along(&a.ints(1)?, axis, "kernel_size")?;
    let stride = match a.opt_ints(2)? {
        Some(stride) if !stride.is_empty() => along(&stride, axis, "stride")?,
        _ => kernel,
    };
    let dilation = dilation.map_or(Ok(1), |list| along(list, axis, "dilation"))?;
    let padding = along(&a.ints(3)?, axis, "padding")?;
    Ok(Pool { kernel, stride, padding, dilation, ceil_mode: a.bool(ceil_mode)? })
}

pub fn max_pool1d(a: &Args<'_>) -> OpResult {
    ok(k::max_pool1d(&*a.tensor(0)?, pool(a, 0, Some(&a.ints(4)?), 5)?))
}

pub fn max_pool2d(a: &Args<'_>) -> OpResult {
    let dilation = a.ints(4)?;
    ok(k::max_pool2d(&*a.tensor(0)?, [pool(a, 0, Some(&dilation), 5)?, pool(a, 1, Some(&dilation), 5)?]))
}

fn average(a: &Args<'_>) -> Result<k::Average, String> {
    let divisor = match a.values.get(6) {
        Some(Value::None) | None => None,
        Some(_) => Some(a.count(6)?),
    };
    Ok(k::Average { count_padding: a.bool(5)?, divisor })
}

pub fn avg_pool1d(a: &Args<'_>) -> OpResult {
    ok(k::avg_pool1d(&*a.tensor(0)?, pool(a, 0, None, 4)?, average(a)?))
}

pub fn avg_pool2d(a: &Args<'_>) -> OpResult {
    ok(k::avg_pool2d(&*a.tensor(0)?, [pool(a, 0, None, 4)?, pool(a, 1, None, 4)?], average(a)?))
}

pub fn adaptive_avg_pool1d(a: &Args<'_>) -> OpResult {
    ok(k::adaptive_avg_pool1d(&*a.tensor(0)?, along(&a.ints(1)?, 0, "output_size")?))
}

/// The size asked for along both axes; `None` keeps the input's.
fn grid(a: &Args<'_>, x: &Tensor) -> Result<[usize; 2], String> {
    let items: Vec<Value> = match a.get(1) {
        Value::List(list) => list.items().clone(),
        Value::Tuple(tuple) => tuple.items.clone(),
        one => vec![one.clone(), one.clone()],
    };
    let [h, w] = &items[..] else { return Err(format!("output_size has {} numbers", items.len())) };
    let size = |value: &Value, axis: i64| match value {
        Value::None => x.size(axis).map_err(say),
        other => {
            let number = other.scalar().map(Scalar::to_i64).ok_or("output_size is no number")?;
            usize::try_from(number).map_err(|_| format!("output_size is {number}"))
        }
    };
    Ok([size(h, -2)?, size(w, -1)?])
}

pub fn adaptive_avg_pool2d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::adaptive_avg_pool2d(&x, grid(a, &x)?))
}

pub fn adaptive_max_pool2d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::adaptive_max_pool2d(&x, grid(a, &x)?))
}

/// Size and factors of an upsampling: the code gives one of both, the other is `None`.
fn resampling(a: &Args<'_>, x: &Tensor, factors: usize) -> Result<([usize; 2], [Option<f64>; 2]), String> {
    if !a.is_none(1) {
        return Ok((grid(a, x)?, [None, None]));
    }
    let factors = a.floats(factors)?;
    let [h, w] = factors[..] else { return Err(format!("{} scale factors", factors.len())) };
    let scaled = |axis: i64, factor: f64| -> Result<usize, String> {
        let n = (x.size(axis).map_err(say)? as f64 * factor).floor();
        if n.is_finite() && n >= 0.0 { Ok(n as usize) } else { Err(format!("scale factor {factor}")) }
    };
    Ok(([scaled(-2, h)?, scaled(-1, w)?], [Some(h), Some(w)]))
}

pub fn upsample_nearest(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (size, factors) = resampling(a, &x, 2)?;
    ok(k::upsample_nearest2d(&x, size, factors))
}

pub fn upsample_bilinear(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (size, factors) = resampling(a, &x, 3)?;
    ok(k::upsample_bilinear2d(&x, size, a.bool(2)?, factors))
}
