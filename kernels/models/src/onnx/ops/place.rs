//! Putting elements in their place: what pooling took, columns back to images, steps into a cache, the middle of a frame;
//! and finding what is there more than once.

use stark_kernels::ops as k;
use stark_kernels::{Scalar, Tensor};

use super::shape::{axis, product};
use crate::ops::sets::{Groups, Nan};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// Argument `at`; without it `n` times `default`.
fn list(a: &Args<'_>, at: usize, n: usize, default: usize) -> Result<Vec<usize>, String> {
    match a.is_none(at) {
        true => Ok(vec![default; n]),
        false => a.sizes(at).map(|list| list.to_vec()),
    }
}

/// The reverse of a pooling: each value at the place that its index names in the whole result.
pub fn max_unpool(a: &Args<'_>) -> OpResult {
    let (x, index, kernel) = (a.tensor(0)?, a.tensor(1)?, a.sizes(3)?);
    let n = kernel.len();
    let (pads, strides) = (list(a, 4, 2 * n, 0)?, list(a, 5, n, 1)?);
    if x.rank() != n + 2 || index.shape() != x.shape() || pads.len() != 2 * n || strides.len() != n {
        return Err(format!(
            "values of shape {:?}, indices of shape {:?}, a window of {kernel:?}",
            x.shape(),
            index.shape()
        ));
    }
    let mut shape = x.shape()[..2].to_vec();
    for i in 0..n {
        let reach = x.shape()[i + 2].saturating_sub(1).saturating_mul(strides[i]).saturating_add(kernel[i]);
        let cut = pads[i].saturating_add(pads[n + i]);
        shape.push(reach.checked_sub(cut).ok_or_else(|| format!("pads {pads:?} around a window of {kernel:?}"))?);
    }
    let made = || {
        let out = Tensor::zeros(&[product(&shape)], x.dtype())?;
        k::scatter(&out, 0, &index.reshape(&[-1])?, &x.reshape(&[-1])?)?.reshape_to(&shape)
    };
    let out = made().map_err(say)?;
    if a.is_none(2) {
        return Ok(Value::Tensor(out));
    }
    // A larger frame around it, whose end stays empty.
    let wanted = a.sizes(2)?;
    if wanted.len() != shape.len() || wanted.iter().zip(&shape).any(|(wanted, there)| wanted < there) {
        return Err(format!("output_shape {wanted:?} is smaller than {shape:?}"));
    }
    let pairs = wanted.iter().zip(&shape).rev().flat_map(|(wanted, there)| [0, (wanted - there) as i64]);
    ok(k::pad(&out, &pairs.collect::<Vec<_>>(), k::PadMode::Constant(Scalar::Int(0))))
}

/// Sums of columns at the places of an image that they were taken from, along any number of axes.
pub fn col2im(a: &Args<'_>) -> OpResult {
    let (x, size, block) = (a.tensor(0)?, a.sizes(1)?, a.sizes(2)?);
    let n = size.len();
    let (dilations, pads, strides) = (list(a, 3, n, 1)?, list(a, 4, 2 * n, 0)?, list(a, 5, n, 1)?);
    let bad = || format!("columns of shape {:?} for blocks {block:?} of an image {size:?}", x.shape());
    let taps = product(&block);
    if block.len() != n || dilations.len() != n || pads.len() != 2 * n || strides.len() != n || n == 0 {
        return Err(bad());
    }
    if x.rank() != 3 || taps == 0 || x.shape()[1] % taps != 0 || strides.contains(&0) {
        return Err(bad());
    }
    let mut framed = Vec::with_capacity(n);
    let mut places = Vec::with_capacity(n);
    for i in 0..n {
        let whole = size[i].saturating_add(pads[i]).saturating_add(pads[n + i]);
        let span = (block[i] - 1).saturating_mul(dilations[i]).saturating_add(1);
        places.push(whole.checked_sub(span).ok_or_else(bad)? / strides[i] + 1);
        framed.push(whole);
    }
    if product(&places) != x.shape()[2] {
        return Err(bad());
    }
    let (batch, channels) = (x.shape()[0], x.shape()[1] / taps);
    let made = || {
        let columns = x.reshape_to(&[&[batch, channels, taps], &places[..]].concat())?;
        let mut out = Tensor::zeros(&[&[batch, channels], &framed[..]].concat(), x.dtype())?;
        for tap in 0..taps {
            // Where this element of the block lies, the last axis fastest.
            let mut rest = tap;
            let mut at = vec![0; n];
            for i in (0..n).rev() {
                at[i] = rest % block[i] * dilations[i];
                rest /= block[i];
            }
            let part = |whole: &Tensor| {
                (0..n).try_fold(whole.clone(), |part, i| {
                    let end = at[i] + (places[i] - 1) * strides[i] + 1;
                    part.slice(i as i64 + 2, at[i] as i64, end as i64, strides[i] as i64)
                })
            };
            let sum = k::add(&part(&out)?, &columns.select(2, tap as i64)?)?;
            out.assign(part, &sum)?;
        }
        (0..n).try_fold(out, |out, i| out.narrow(i as i64 + 2, pads[i] as i64, size[i]))
    };
    ok(made())
}

/// The middle of each axis, or zeros around it.
pub fn center_crop_pad(a: &Args<'_>) -> OpResult {
    let (x, wanted) = (a.tensor(0)?, a.sizes(1)?);
    let axes = match a.opt_ints(2)? {
        Some(axes) => axes.iter().map(|&at| axis(at, x.rank())).collect::<Result<Vec<_>, _>>()?,
        None => (0..x.rank()).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(format!("{} sizes for {} axes", wanted.len(), axes.len()));
    }
    let mut out = x.into_owned();
    for (&at, &wanted) in axes.iter().zip(&wanted) {
        let there = out.shape()[at];
        let before = there.abs_diff(wanted) / 2;
        out = match wanted <= there {
            true => out.narrow(at as i64, before as i64, wanted).map_err(say)?,
            false => {
                let mut pairs = vec![0; 2 * out.rank()];
                let pair = 2 * (out.rank() - 1 - at);
                let more = (wanted - there).try_into().unwrap_or(i64::MAX);
                (pairs[pair], pairs[pair + 1]) = (before as i64, more - before as i64);
                k::pad(&out, &pairs, k::PadMode::Constant(Scalar::Int(0))).map_err(say)?
            }
        };
    }
    Ok(Value::Tensor(out))
}

/// New steps written into a cache, for each item of the batch from a place of its own on.
pub fn tensor_scatter(a: &Args<'_>) -> OpResult {
    let (mut out, update) = (a.tensor(0)?.into_owned(), a.tensor(1)?);
    let at = axis(a.int(3)?, out.rank())?;
    let around = match a.str(4)? {
        "linear" => false,
        "circular" => true,
        other => return Err(format!("mode `{other}` is none of linear and circular")),
    };
    let mut shape = out.shape().to_vec();
    let fits = at > 0 && update.rank() == out.rank() && update.shape()[at] <= shape[at];
    let (batch, length, n) = (shape[0], shape[at], update.shape().get(at).copied().unwrap_or(0));
    shape[at] = n;
    if !fits || update.shape() != shape {
        return Err(format!("an update of shape {:?} for a cache of shape {:?}", update.shape(), out.shape()));
    }
    let starts = if a.is_none(2) { vec![0; batch] } else { a.sizes(2)?.to_vec() };
    if starts.len() != batch || length == 0 || (!around && starts.iter().any(|&start| start > length - n)) {
        return Err(format!("{n} steps from {starts:?} on in a cache of {length}"));
    }
    let step = at as i64 - 1;
    for (item, &start) in starts.iter().enumerate() {
        let start = start % length.max(1);
        let first = n.min(length - start);
        // What does not fit at the end goes to the beginning.
        for (from, to, n) in [(0, start, first), (first, 0, n - first)] {
            let put = || {
                let part = update.select(0, item as i64)?.narrow(step, from as i64, n)?;
                out.assign(|out| out.select(0, item as i64)?.narrow(step, to as i64, n), &part)
            };
            let mut put = put;
            put().map_err(say)?;
        }
    }
    Ok(Value::Tensor(out))
}

/// Each different slice along an axis (or each element): itself, where it is first, which one each slice is, how often.
pub fn unique(a: &Args<'_>) -> OpResult {
    let groups = Groups::new(&*a.tensor(0)?, a.opt_int(1)?, false, Nan::Nans)?;
    let groups = if a.bool(2)? { groups } else { groups.by_first() };
    let made = || Ok([groups.values()?, groups.firsts()?, groups.inverse()?, groups.counts()?]);
    let made = made().map_err(|e: stark_kernels::TensorError| e.to_string())?;
    Value::tuple(made.map(Value::Tensor).into())
}
