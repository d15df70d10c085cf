//! PyTorch's dynamic quantisation: weights are bytes or halves, and inputs of layers whose weights are bytes become bytes in each run.
//!
//! Products of bytes are summed in Float64, which is exact.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor};

use super::tensor::{ok, say};
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

/// The weights of a linear layer as an archive packs them, made ready for products.
pub enum Packed {
    Bytes {
        /// Minus their zero points, in Float64.
        weight: Tensor,
        /// One number, or one for each row of the weights; in Float64.
        scale: Tensor,
        bias: Option<Tensor>,
        /// One bit less where the sums of 16 bits of old processors would overflow: part of the model's result.
        narrow: bool,
    },
    /// Float32 with the precision of halves.
    Halves { weight: Tensor, bias: Option<Tensor> },
}

impl Packed {
    /// Packed weights arrive as `(weight, bias)`, where quantised weights are a tuple themselves.
    pub fn read(value: &Value, narrow: bool) -> Result<Packed, String> {
        let unknown = || "these are no packed weights of int8 or float16".to_string();
        let Value::Tuple(packed) = value else { return Err(unknown()) };
        let [weight, bias] = &packed.items[..] else { return Err(unknown()) };
        let bias = match bias {
            Value::None => None,
            Value::Tensor(bias) => Some(bias.clone()),
            _ => return Err(unknown()),
        };
        match weight {
            Value::Tensor(weight) => {
                let weight = weight.to(DType::F16).and_then(|w| w.to(DType::F32)).map_err(say)?;
                Ok(Packed::Halves { weight, bias })
            }
            Value::Tuple(weight) => {
                let (weight, scale) = centred(&weight.items).ok_or_else(unknown)?.map_err(say)?;
                Ok(Packed::Bytes { weight, scale, bias, narrow })
            }
            _ => Err(unknown()),
        }
    }

    pub fn apply(&self, x: &Tensor) -> Tried<Tensor> {
        let (weight, scale, bias, narrow) = match self {
            Packed::Halves { weight, bias } => return k::linear(&x.to(DType::F32)?, weight, bias.as_ref()),
            Packed::Bytes { weight, scale, bias, narrow } => (weight, scale, bias, *narrow),
        };
        let (low, high) = match x.numel() {
            0 => (0.0, 0.0),
            _ => (k::amin(x, &[], false)?.item()?.to_f64(), k::amax(x, &[], false)?.item()?.to_f64()),
        };
        let (x_scale, x_zero) = scale_of(low, high, if narrow { 127.0 } else { 255.0 });
        let bytes = k::round(&k::add(&k::mul(&x.to(DType::F32)?, 1.0 / x_scale)?, x_zero)?)?;
        let bytes = k::clamp(&bytes, Some(Scalar::Float(0.0).into()), Some(Scalar::Float(255.0).into()))?;
        let x = k::sub(&bytes.to(DType::F64)?, x_zero)?;
        let y = k::mul(&k::linear(&x, weight, None)?, &k::mul(scale, x_scale)?)?.to(DType::F32)?;
        match bias {
            Some(bias) => k::add(&y, bias),
            None => Ok(y),
        }
    }
}

/// Weights minus their zero points, and their scales; `None` when the parts are no quantised weights.
fn centred(parts: &[Value]) -> Option<Tried<(Tensor, Tensor)>> {
    let made = |weight: &Tensor, scale: Tensor, zero: Tensor| Ok((k::sub(&weight.to(DType::F64)?, &zero)?, scale));
    match parts {
        [Value::Tensor(weight), Value::Float(scale), Value::Int(zero)] => {
            Some(made(weight, Tensor::scalar(*scale), Tensor::scalar(*zero as f64)))
        }
        // One for each row.
        [Value::Tensor(weight), Value::Tensor(scales), Value::Tensor(zeros), Value::Int(0)] => {
            let column = || zeros.to(DType::F64)?.reshape(&[-1, 1]);
            Some(scales.to(DType::F64).and_then(|scales| made(weight, scales, column()?)))
        }
        _ => None,
    }
}

pub fn linear(a: &Args<'_>, narrow: bool, relu: bool) -> OpResult {
    let y = Packed::read(a.get(1), narrow)?.apply(&*a.tensor(0)?).map_err(say)?;
    if relu { ok(k::relu(&y)) } else { Ok(Value::Tensor(y)) }
}

/// Rows of a table of bytes, each with its own scale and zero point.
struct Table {
    rows: Tensor,
    scales: Tensor,
    zeros: Tensor,
}

impl Table {
    /// An archive packs a table as `(version, [table], …)`.
    fn read(value: &Value) -> Result<Table, String> {
        let table = match value {
            Value::Tuple(packed) => match packed.items.get(1) {
                Some(Value::List(tables)) => tables.items().first().cloned(),
                _ => None,
            },
            _ => None,
        };
        if let Some(Value::Tuple(table)) = table
            && let [Value::Tensor(rows), Value::Tensor(scales), Value::Tensor(zeros), Value::Int(0)] = &table.items[..]
        {
            return Ok(Table { rows: rows.clone(), scales: scales.clone(), zeros: zeros.clone() });
        }
        Err("this is no packed table of bytes".into())
    }

    /// The rows that `ids` name, as Float32.
    fn pick(&self, ids: &Tensor) -> Tried<Tensor> {
        let (scale, zero) =
            (k::embedding(&self.scales.unsqueeze(1)?, ids)?, k::embedding(&self.zeros.unsqueeze(1)?, ids)?);
        let (scale, zero) = (scale.to(DType::F32)?, zero.to(DType::F32)?);
        // `byte * scale + offset`, which is how PyTorch packs them.
        let offset = k::neg(&k::mul(&zero, &scale)?)?;
        k::add(&k::mul(&k::embedding(&self.rows, ids)?.to(DType::F32)?, &scale)?, &offset)
    }
}

pub fn embedding(a: &Args<'_>) -> OpResult {
    if a.bool(2)? {
        return Err("tables with pruned rows are not supported".into());
    }
    ok(Table::read(a.get(0))?.pick(&*a.tensor(1)?))
}

/// The sum of the rows of each bag; the mode is not looked at, as PyTorch does not.
pub fn embedding_bag(a: &Args<'_>) -> OpResult {
    if a.bool(5)? || !a.is_none(7) {
        return Err("tables with pruned rows are not supported".into());
    }
    let (table, ids, offsets, weights) = (Table::read(a.get(0))?, a.tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(6)?);
    let made = || {
        let rows = table.pick(&ids.reshape(&[-1])?)?;
        let places = k::arange(0i64, ids.numel() as i64, 1i64, DType::I64)?.reshape_to(ids.shape())?;
        k::embedding_bag(
            &rows,
            &places,
            offsets.as_deref(),
            k::Bag::Sum,
            None,
            weights.as_deref(),
            a.bool(8).unwrap_or(false),
        )
    };
    ok(made())
}
