//! Upsampling along the last axes, in the ways of `torch.nn.functional.interpolate`.

use stark_kernels::{Scalar, Tensor, ops as k};

use super::args::{Args, OpResult};
use super::tensor::{ok, say};
use crate::onnx::{Filter, resampled};
use crate::value::Value;

/// Sizes of the last axes, and the factors that the code gave instead of them or beside them.
type Grid = (Vec<usize>, Vec<Option<f64>>);

/// The code gives sizes or a list of factors; or sizes and one factor for each axis, which then sets the step.
fn grid(a: &Args<'_>, x: &Tensor, axes: usize, at: usize) -> Result<Grid, String> {
    let lead = x.rank().checked_sub(axes).filter(|lead| (1..=2).contains(lead));
    let Some(lead) = lead.filter(|_| !x.shape().iter().rev().take(axes).any(|&n| n == 0)) else {
        return Err(format!("needs {axes} axes that are not empty behind the channels, not shape {:?}", x.shape()));
    };
    let from = &x.shape()[lead..];
    if !a.is_none(1) {
        let sizes = a.sizes(1)?;
        if sizes.len() != axes {
            return Err(format!("output_size has {} numbers, {axes} are needed", sizes.len()));
        }
        let factor = |i: usize| match a.values.get(at + i) {
            Some(Value::Float(_) | Value::Int(_)) => a.opt_scalar(at + i).map(|f| f.map(Scalar::to_f64)),
            _ => Ok(None),
        };
        let factors = (0..axes).map(factor).collect::<Result<Vec<_>, String>>()?;
        return Ok((sizes.to_vec(), factors.into_iter().map(|f| f.filter(|f| *f > 0.0)).collect()));
    }
    let factors = a.floats(at)?;
    if factors.len() != axes {
        return Err(format!("{} scale factors, {axes} are needed", factors.len()));
    }
    let sizes = from.iter().zip(&factors).map(|(&n, &factor)| match (n as f64 * factor).floor() {
        to if to.is_finite() && to >= 0.0 && factor > 0.0 => Ok(to as usize),
        _ => Err(format!("scale factor {factor}")),
    });
    Ok((sizes.collect::<Result<_, _>>()?, factors.into_iter().map(Some).collect()))
}

/// InputType one source element for each place. In f32, as PyTorch computes it: the last bit decides which one.
pub fn nearest(a: &Args<'_>, axes: usize, exact: bool) -> OpResult {
    let x = a.tensor(0)?;
    let (sizes, factors) = grid(a, &x, axes, 2)?;
    if let (2, false) = (axes, exact) {
        return ok(k::upsample_nearest2d(&x, [sizes[0], sizes[1]], [factors[0], factors[1]]));
    }
    let mut out = x.clone().into_owned();
    let lead = x.rank() - axes;
    for (i, (&to, factor)) in sizes.iter().zip(factors).enumerate() {
        let from = x.shape()[lead + i];
        let step = factor.map_or(from as f64 / to as f64, |f| 1.0 / f) as f32;
        let shift = if exact { 0.5 } else { 0.0 };
        if to > crate::value::MAX_ITEMS {
            return Err(format!("an axis of {to}"));
        }
        let places: Vec<i64> = (0..to).map(|i| (((i as f32 + shift) * step) as usize).min(from - 1) as i64).collect();
        let places = Tensor::from_vec(places, &[to]).map_err(say)?;
        out = k::index_select(&out, (lead + i) as i64, &places).map_err(say)?;
    }
    Ok(Value::Tensor(out))
}

/// Weighs the neighbours of each place; `align_corners` is argument 2.
pub fn weighted(a: &Args<'_>, axes: usize, filter: Filter) -> OpResult {
    let x = a.tensor(0)?;
    let (sizes, factors) = grid(a, &x, axes, 3)?;
    let align_corners = a.bool(2)?;
    if let (2, Filter::Linear) = (axes, filter) {
        return ok(k::upsample_bilinear2d(&x, [sizes[0], sizes[1]], align_corners, [factors[0], factors[1]]));
    }
    resampled(&x, &sizes, &factors, filter, align_corners)
}
