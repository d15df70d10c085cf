//! PyTorch's static quantisation: tensors of bytes with a scale and a zero point.
//!
//! Such a tensor is held as the numbers that its bytes stand for, so whatever reads it computes in Float32, and a result
//! that is quantised again is rounded to bytes: what PyTorch's integer kernels give, where no sum of a convolution lies half-way
//! between two bytes.

use std::sync::Arc;

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::tensor::{ok, say};
use super::{Args, OpResult, OpRow, Shares, shares, window};
use crate::value::Value;

/// Numbers on a grid.
#[derive(Debug, Clone)]
pub struct Quantised {
    pub values: Tensor,
    pub grid: Grid,
}

/// Which numbers a byte can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub scale: f64,
    pub zero: i64,
    pub low: i64,
    pub high: i64,
}

impl Grid {
    /// `code` is PyTorch's number of the type: `qint8`, `quint8` or `qint32`.
    fn new(scale: f64, zero: i64, code: i64) -> Result<Grid, String> {
        let (low, high) = match code {
            12 => (-128, 127),
            13 => (0, 255),
            14 => (i32::MIN.into(), i32::MAX.into()),
            code => return Err(format!("dtype number {code} is no quantised one")),
        };
        if scale.is_nan() || scale <= 0.0 || scale.is_infinite() {
            return Err(format!("the scale is {scale}"));
        }
        Ok(Grid { scale, zero, low, high })
    }

    fn bytes(scale: f64, zero: i64) -> Result<Grid, String> {
        Grid::new(scale, zero, 13)
    }

    /// The numbers of `t` rounded to those of the grid.
    fn round(self, t: &Tensor) -> OpResult {
        let (inverse, scale, zero) = (1.0 / self.scale as f32, self.scale as f32, self.zero as f64);
        let (low, high) = (self.low as f64, self.high as f64);
        let one = move |x: Scalar| {
            let place = f64::from((x.to_f64() as f32 * inverse).round_ties_even()) + zero;
            // No number counts as 0.
            let place = if place.is_nan() { zero } else { place.clamp(low, high) };
            Scalar::Float(f64::from((place - zero) as f32 * scale))
        };
        let values = k::map_scalar(t, DType::F32, one).map_err(say)?;
        Ok(self.of(values))
    }

    fn of(self, values: Tensor) -> Value {
        Value::Quantised(Arc::new(Quantised { values, grid: self }))
    }
}

/// Runs an operator that has quantised tensors among its arguments.
pub fn run(row: &'static OpRow, args: &Args<'_>) -> OpResult {
    if row.name.starts_with("ops.quantized.") || OWN.contains(&row.name) {
        return (row.run)(args);
    }
    let grid = args.values.iter().find_map(|value| grid_of(value));
    let plain: Vec<Value> = args.values.iter().map(|value| value_of(value)).collect::<Result<_, _>>()?;
    let plain: Vec<&Value> = plain.iter().collect();
    let made = (row.run)(&Args { values: &plain, keeper: None, ..Args::new(row, &plain) })?;
    let Some(grid) = grid else { return Ok(made) };
    match row.name {
        "torch.sigmoid" | "torch.hardsigmoid" => again(made, Grid { scale: 1.0 / 256.0, zero: 0, ..grid }, false),
        "torch.tanh" => again(made, Grid { scale: 2.0 / 256.0, zero: 128, ..grid }, false),
        _ => again(made, grid, shares(row) == Shares::First),
    }
}

/// What reads or makes the quantised form itself.
const OWN: [&str; 6] = [
    "torch.dequantize",
    "torch.quantize_per_tensor",
    "torch.int_repr",
    "torch.q_scale",
    "torch.q_zero_point",
    "ops.prim.is_quantized",
];

fn grid_of(value: &Value) -> Option<Grid> {
    match value {
        Value::Quantised(tensor) => Some(tensor.grid),
        Value::List(list) => list.items().iter().find_map(grid_of),
        _ => None,
    }
}

fn value_of(value: &Value) -> OpResult {
    match value {
        Value::Quantised(tensor) => Ok(Value::Tensor(tensor.values.clone())),
        Value::List(list) if grid_of(value).is_some() => {
            Value::list(list.items().iter().map(value_of).collect::<Result<_, _>>()?)
        }
        other => Ok(other.clone()),
    }
}

/// Tensors of a result on the grid that the argument had.
fn again(made: Value, grid: Grid, is_view: bool) -> OpResult {
    match made {
        Value::Tensor(t) if t.dtype() == DType::F32 && is_view => Ok(grid.of(t)),
        Value::Tensor(t) if t.dtype() == DType::F32 => grid.round(&t),
        Value::Tuple(tuple) => {
            Value::tuple(tuple.items.iter().map(|item| again(item.clone(), grid, is_view)).collect::<Result<_, _>>()?)
        }
        Value::List(list) => {
            Value::list(list.items().iter().map(|item| again(item.clone(), grid, is_view)).collect::<Result<_, _>>()?)
        }
        other => Ok(other),
    }
}

/// `(self, scale, zero_point, dtype)`.
pub fn quantize(a: &Args<'_>) -> OpResult {
    let code = a.int(3)?;
    Grid::new(a.float(1)?, a.int(2)?, code)?.round(&*a.tensor(0)?)
}

pub fn dequantize(a: &Args<'_>) -> OpResult {
    value_of(a.get(0))
}

fn quantised<'a>(a: &Args<'a>, index: usize) -> Result<&'a Quantised, String> {
    match a.get(index) {
        Value::Quantised(tensor) => Ok(tensor),
        other => Err(format!("takes a quantised tensor, not {}", other.kind())),
    }
}

pub fn int_repr(a: &Args<'_>) -> OpResult {
    let Quantised { values, grid } = quantised(a, 0)?;
    let dtype = match grid.low {
        0 => DType::U8,
        -128 => DType::I8,
        _ => DType::I32,
    };
    let place = |x: Scalar| Scalar::Int((x.to_f64() / grid.scale).round() as i64 + grid.zero);
    ok(k::map_scalar(values, dtype, place))
}

pub fn q_scale(a: &Args<'_>) -> OpResult {
    Ok(Value::Float(quantised(a, 0)?.grid.scale))
}

pub fn q_zero_point(a: &Args<'_>) -> OpResult {
    Ok(Value::Int(quantised(a, 0)?.grid.zero))
}

pub fn is_quantised(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(matches!(a.get(0), Value::Quantised(_))))
}

/// The grid at arguments `at` and the one after.
fn grid_at(a: &Args<'_>, at: usize) -> Result<Grid, String> {
    Grid::bytes(a.float(at)?, a.int(at + 1)?)
}

fn rectified(out: Tensor, relu: bool) -> Result<Tensor, String> {
    if relu { k::relu(&out).map_err(say) } else { Ok(out) }
}

/// The numbers that packed bytes stand for.
fn unpacked(value: &Value) -> Result<Tensor, String> {
    let unknown = || "these are no packed weights of int8".to_string();
    let parts = match value {
        // From when the model was loaded.
        Value::Tensor(weight) => return Ok(weight.clone()),
        Value::Tuple(parts) => parts,
        _ => return Err(unknown()),
    };
    let made = match &parts.items[..] {
        [Value::Tensor(bytes), Value::Float(scale), Value::Int(zero)] => {
            bytes.to(DType::F32).and_then(|bytes| k::mul(&k::sub(&bytes, *zero as f64)?, *scale))
        }
        [Value::Tensor(bytes), Value::Tensor(scales), Value::Tensor(zeros), Value::Int(axis)] => {
            let mut shape = vec![1; bytes.rank()];
            *shape.get_mut(*axis as usize).ok_or_else(unknown)? = scales.numel();
            let along = |t: &Tensor| t.to(DType::F32)?.reshape_to(&shape);
            bytes.to(DType::F32).and_then(|bytes| k::mul(&k::sub(&bytes, &along(zeros)?)?, &along(scales)?))
        }
        _ => return Err(unknown()),
    };
    made.map_err(say)
}

/// Weights, bias, and what a convolution's window is: stride, padding, dilation; and its groups.
struct Layer {
    weight: Tensor,
    bias: Option<Tensor>,
    windows: [Vec<i64>; 3],
    output_padding: Vec<i64>,
    groups: usize,
}

impl Layer {
    /// `axes` is how many axes a window has: 0 of a linear layer.
    fn read(value: &Value, axes: usize) -> Result<Layer, String> {
        let unknown = || "these are no packed weights of int8".to_string();
        let Value::Tuple(packed) = value else { return Err(unknown()) };
        let (weight, bias, numbers) = match &packed.items[..] {
            [weight, bias] => (weight.clone(), bias.clone(), Vec::new()),
            // As an archive holds them: how many axes, then window, output padding, groups, and whether it is transposed.
            [Value::Str(version), Value::List(parts), Value::List(more)] if &**version == "2" => {
                let (parts, more) = (parts.items(), more.items());
                let ([Value::Tensor(numbers), weight], [bias]) = (&parts[..], &more[..]) else { return Err(unknown()) };
                let mut numbers: Vec<i64> = numbers.to_scalars().into_iter().map(Scalar::to_i64).collect();
                if axes == 1 && numbers.first() == Some(&2) && numbers.len() >= 10 {
                    // One axis is packed as the second of two.
                    numbers = [0, 2, 4, 6, 8, 9].map(|i| numbers[i]).to_vec();
                }
                numbers.drain(..numbers.len().min(1));
                (weight.clone(), bias.clone(), numbers)
            }
            // As a module keeps them.
            [weight, bias, window @ .., Value::Int(groups)] => {
                let mut numbers = Vec::new();
                for list in window {
                    let items = match list {
                        Value::List(list) => list.items().clone(),
                        Value::Tuple(tuple) => tuple.items.clone(),
                        _ => return Err(unknown()),
                    };
                    numbers.extend(items.iter().filter_map(Value::scalar).map(Scalar::to_i64));
                }
                if numbers.len() == 3 * axes {
                    numbers.extend(vec![0; axes]);
                }
                numbers.push(*groups);
                (weight.clone(), bias.clone(), numbers)
            }
            _ => return Err(unknown()),
        };
        if axes > 0 && numbers.len() < 4 * axes + 1 {
            return Err(unknown());
        }
        let part = |i: usize| numbers.get(i * axes..(i + 1) * axes).unwrap_or_default().to_vec();
        let groups = if axes == 0 { 1 } else { usize::try_from(numbers[4 * axes]).map_err(|_| unknown())? };
        Ok(Layer {
            weight: unpacked(&weight)?,
            bias: match bias {
                Value::Tensor(bias) => Some(bias),
                _ => None,
            },
            windows: [part(0), part(1), part(2)],
            output_padding: part(3),
            groups,
        })
    }
}

/// Whether the second argument of an operator is packed weights.
pub fn is_layer(row: &OpRow) -> bool {
    let name = row.name.strip_prefix("ops.quantized.").unwrap_or_default();
    ["linear", "linear_relu"].contains(&name) || name.starts_with("conv")
}

/// A part of packed weights with numbers in the place of its bytes, when it has some.
pub fn unpacked_part(value: &Value) -> Option<Value> {
    let within = |items: &[Value]| {
        let mut items = items.to_vec();
        let mut any = false;
        for item in &mut items {
            if let Some(plain) = unpacked_part(item) {
                (*item, any) = (plain, true);
            }
        }
        any.then_some(items)
    };
    match value {
        Value::Tuple(_) if unpacked(value).is_ok() => unpacked(value).ok().map(Value::Tensor),
        // Depth is bounded by `MAX_DEPTH`.
        Value::Tuple(tuple) => Value::tuple(within(&tuple.items)?).ok(),
        Value::List(list) => Value::frozen_list(within(&list.items())?).ok(),
        _ => None,
    }
}

/// `(x, packed, scale, zero_point)`.
pub fn linear(a: &Args<'_>, relu: bool) -> OpResult {
    let layer = Layer::read(a.get(1), 0)?;
    let x = &quantised(a, 0)?.values;
    let out = k::linear(x, &layer.weight, layer.bias.as_ref()).map_err(say)?;
    grid_at(a, 2)?.round(&rectified(out, relu)?)
}

pub fn conv(a: &Args<'_>, axes: usize, relu: bool) -> OpResult {
    convolved(a, axes, false, relu)
}

pub fn conv_transpose(a: &Args<'_>, axes: usize) -> OpResult {
    convolved(a, axes, true, false)
}

fn convolved(a: &Args<'_>, axes: usize, transposed: bool, relu: bool) -> OpResult {
    let layer = Layer::read(a.get(1), axes)?;
    let x = &quantised(a, 0)?.values;
    // One axis is packed as two, the first of size 1.
    let squeezed = |t: &Tensor| if axes == 1 && t.rank() == 4 { t.squeeze(&[2]) } else { Ok(t.clone()) };
    let weight = squeezed(&layer.weight).map_err(say)?;
    let out = window::plain(
        x,
        &weight,
        layer.bias.as_ref(),
        &layer.windows,
        transposed.then_some(&layer.output_padding),
        layer.groups,
    )?;
    let Value::Tensor(out) = out else { return Err("a convolution gave no tensor".into()) };
    grid_at(a, 2)?.round(&rectified(out, relu)?)
}

/// `(a, b, scale, zero_point)`.
pub fn pair(a: &Args<'_>, f: fn(&Tensor, &Tensor) -> stark_kernels::Result<Tensor>, relu: bool) -> OpResult {
    let out = f(&quantised(a, 0)?.values, &quantised(a, 1)?.values).map_err(say)?;
    grid_at(a, 2)?.round(&rectified(out, relu)?)
}

/// `(tensors, dim, scale, zero_point)`; without a grid that of the first.
pub fn cat(a: &Args<'_>, relu: bool) -> OpResult {
    let parts = a.tensors(0)?;
    let out = k::cat(&parts.iter().collect::<Vec<_>>(), a.int(1)?).map_err(say)?;
    let grid = match (a.opt_scalar(2)?, grid_of(a.get(0))) {
        (Some(_), _) => grid_at(a, 2)?,
        (None, Some(grid)) => grid,
        (None, None) => return Err("takes quantised tensors".into()),
    };
    grid.round(&rectified(out, relu)?)
}

/// `(x, weight, bias, mean, var, eps, scale, zero_point)`.
pub fn batch_norm(a: &Args<'_>, relu: bool) -> OpResult {
    let x = &quantised(a, 0)?.values;
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    let out = k::batch_norm(x, &*a.tensor(3)?, &*a.tensor(4)?, weight.as_deref(), bias.as_deref(), a.float(5)?);
    grid_at(a, 6)?.round(&rectified(out.map_err(say)?, relu)?)
}

/// A function of the numbers alone, with the grid at argument `at`.
pub fn mapped(a: &Args<'_>, at: usize, f: fn(&Args<'_>, &Tensor) -> stark_kernels::Result<Tensor>) -> OpResult {
    let out = f(a, &quantised(a, 0)?.values).map_err(say)?;
    grid_at(a, at)?.round(&out)
}

fn number(a: &Args<'_>, at: usize) -> stark_kernels::Result<f64> {
    a.float(at).map_err(stark_kernels::TensorError::Argument)
}

/// On the grid of its argument.
pub fn relu6(a: &Args<'_>) -> OpResult {
    let Quantised { values, grid } = quantised(a, 0)?;
    grid.round(&k::relu6(values).map_err(say)?)
}

pub fn leaky_relu(a: &Args<'_>) -> OpResult {
    mapped(a, 3, |a, x| {
        let slope = number(a, 1)?;
        k::where_(&k::gt(x, 0.0)?, x, &k::mul(x, slope)?)
    })
}

pub fn elu(a: &Args<'_>) -> OpResult {
    mapped(a, 1, |a, x| {
        let alpha = number(a, 3)?;
        k::map_scalar(x, DType::F32, move |x| {
            let x = x.to_f64();
            Scalar::Float(if x > 0.0 { x } else { alpha * x.exp_m1() })
        })
    })
}

pub fn softmax(a: &Args<'_>) -> OpResult {
    mapped(a, 2, |a, x| k::softmax(x, number(a, 1)? as i64))
}

/// `(x, shape, weight, bias, eps, scale, zero_point)`.
pub fn layer_norm(a: &Args<'_>) -> OpResult {
    let (shape, weight, bias) = (a.sizes(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let x = &quantised(a, 0)?.values;
    let out = k::layer_norm(x, &shape, weight.as_deref(), bias.as_deref(), a.float(4)?);
    grid_at(a, 5)?.round(&out.map_err(say)?)
}

/// `(x, groups, weight, bias, eps, scale, zero_point)`.
pub fn group_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    let x = &quantised(a, 0)?.values;
    let out = k::group_norm(x, a.count(1)?, weight.as_deref(), bias.as_deref(), a.float(4)?);
    grid_at(a, 5)?.round(&out.map_err(say)?)
}

/// `(x, number)`: by a number above 0 the grid alone changes.
pub fn mul_scalar(a: &Args<'_>) -> OpResult {
    let (Quantised { values, grid }, by) = (quantised(a, 0)?, a.float(1)?);
    if by <= 0.0 {
        return Err("products of quantised tensors with numbers up to 0 are not supported".into());
    }
    Ok(Grid { scale: grid.scale * by, ..*grid }.of(k::mul(values, by).map_err(say)?))
}

// ---- exported programs ----------------------------------------------------------------------------

/// The parameters of each element along `axis`, or those of all.
fn spread(t: &Tensor, rank: usize, axis: Option<i64>) -> stark_kernels::Result<Tensor> {
    match axis {
        None => t.reshape_to(&[]),
        Some(axis) => {
            let mut shape = vec![1; rank];
            shape[stark_shapes::rules::axis(axis, rank)?] = t.numel();
            t.reshape_to(&shape)
        }
    }
}

/// `quantized_decomposed.quantize_*`: `(input, scale, zero_point, [axis,] quant_min, quant_max, dtype)`.
pub fn to_bytes(a: &Args<'_>, with_axis: bool) -> OpResult {
    let (x, scale, zero) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (axis, at) = if with_axis { (Some(a.int(3)?), 4) } else { (None, 3) };
    let (low, high) = (a.scalar(at)?, a.scalar(at + 1)?);
    let dtype = a.dtype(at + 2)?.unwrap_or(DType::I8);
    let made = || {
        let inverse = k::reciprocal(&spread(&scale.to(DType::F32)?, x.rank(), axis)?)?;
        let zero = spread(&zero.to(DType::F32)?, x.rank(), axis)?;
        let places = k::add(&k::round(&k::mul(&x.to(DType::F32)?, &inverse)?)?, &zero)?;
        k::clamp(&places, Some(low.into()), Some(high.into()))?.to(dtype)
    };
    ok(made())
}

/// `quantized_decomposed.dequantize_*`, with the same arguments and `out_dtype`.
pub fn from_bytes(a: &Args<'_>, with_axis: bool) -> OpResult {
    let (x, scale, zero) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (axis, at) = if with_axis { (Some(a.int(3)?), 7) } else { (None, 6) };
    let dtype = a.dtype(at)?.unwrap_or(DType::F32);
    let made = || {
        let mut numbers = x.to(DType::F32)?;
        if let Some(zero) = zero {
            numbers = k::sub(&numbers, &spread(&zero.to(DType::F32)?, x.rank(), axis)?)?;
        }
        k::mul(&numbers, &spread(&scale.to(DType::F32)?, x.rank(), axis)?)?.to(dtype)
    };
    ok(made())
}

/// `quantized_decomposed.choose_qparams`: `(input, quant_min, quant_max, eps, dtype)`.
pub fn choose(a: &Args<'_>) -> OpResult {
    let (x, low, high, eps) = (a.tensor(0)?, a.float(1)?, a.float(2)?, a.float(3)?);
    let extreme = |t: stark_kernels::Result<Tensor>| t.and_then(|t| t.item()).map(|x| x.to_f64() as f32).map_err(say);
    let least = extreme(k::amin(&x, &[], false))?.min(0.0);
    let most = extreme(k::amax(&x, &[], false))?.max(0.0);
    let scale = ((most - least) / (high - low) as f32).max(eps as f32);
    let zero = (low - f64::from((least / scale).round_ties_even())).clamp(low, high);
    Value::tuple(vec![
        ok(Tensor::full(&[1], f64::from(scale), DType::F64))?,
        ok(Tensor::full(&[1], zero as i64, DType::I64))?,
    ])
}
