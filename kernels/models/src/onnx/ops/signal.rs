//! Fourier transforms of signals as products with tables of angles, and the filters of speech.
//!
//! A complex number is a pair along the last axis; a real signal has one number there, or no such axis.

use std::f64::consts::TAU;

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor};

use super::shape::axis;
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};

/// How long a transform may be: its table has the square of that.
const MAX_LENGTH: usize = 1 << 14;

/// Cosines and sines of every place times every frequency, `[rows, columns]`, for a transform of `length`.
fn angles(rows: usize, columns: usize, length: usize, dtype: DType) -> Result<[Tensor; 2], String> {
    if length == 0 || length > MAX_LENGTH || rows > MAX_LENGTH || columns > MAX_LENGTH {
        return Err(format!("a transform of length {length}; from 1 to {MAX_LENGTH} is possible"));
    }
    let table = |f: fn(f64) -> f64| {
        let numbers =
            (0..rows).flat_map(|i| (0..columns).map(move |j| f(TAU * ((i * j) % length) as f64 / length as f64)));
        Tensor::from_vec(numbers.collect::<Vec<f64>>(), &[rows, columns]).and_then(|t| t.to(dtype)).map_err(say)
    };
    Ok([table(f64::cos)?, table(f64::sin)?])
}

/// The first `n` of the last axis, with zeros where there are fewer.
fn fitted(x: &Tensor, n: usize) -> Tried<Tensor> {
    let there = x.size(-1)?;
    match there < n {
        true => k::pad(x, &[0, (n - there) as i64], k::PadMode::Constant(0i64.into())),
        false => x.narrow(-1, 0, n),
    }
}

/// Real and imaginary part of a signal whose last axis holds one number or two.
fn parts(x: &Tensor) -> Result<(Tensor, Option<Tensor>), String> {
    match x.shape().last() {
        Some(1) => Ok((x.select(-1, 0).map_err(say)?, None)),
        Some(2) => Ok((x.select(-1, 0).map_err(say)?, Some(x.select(-1, 1).map_err(say)?))),
        _ => Err(format!("takes signals with 1 or 2 numbers along the last axis, not shape {:?}", x.shape())),
    }
}

/// The transform along the last axis: `length` long, of which the first `n_bins` frequencies are wanted.
fn forward(real: &Tensor, imag: Option<&Tensor>, length: usize, n_bins: usize) -> OpResult {
    let [cos, sin] = angles(length, n_bins, length, real.dtype())?;
    let made = || {
        let real = fitted(real, length)?;
        let (mut re, mut im) = (k::matmul(&real, &cos)?, k::neg(&k::matmul(&real, &sin)?)?);
        if let Some(imag) = imag {
            let imag = fitted(imag, length)?;
            (re, im) = (k::add(&re, &k::matmul(&imag, &sin)?)?, k::add(&im, &k::matmul(&imag, &cos)?)?);
        }
        k::stack(&[&re, &im], -1)
    };
    ok(made())
}

pub fn dft(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (at, inverse, onesided) = (axis(a.int(2)?, x.rank())?, a.bool(3)?, a.bool(4)?);
    if !x.dtype().is_float() || at + 1 == x.rank() {
        return Err(format!("axis {at} of {} of shape {:?} is no signal", x.dtype(), x.shape()));
    }
    let n = x.shape()[at];
    let length = match a.is_none(1) {
        false => a.count(1)?,
        true if inverse && onesided => n.saturating_sub(1).saturating_mul(2),
        true => n,
    };
    let last = |t: Tensor| t.movedim(at as i64, -1).map_err(say);
    let (real, imag) = parts(&x)?;
    let (real, imag) = (last(real)?, imag.map(last).transpose()?);
    let n_bins = if onesided { length / 2 + 1 } else { length };
    let out = match inverse {
        false => forward(&real, imag.as_ref(), length, n_bins)?,
        true => backward(&real, imag.as_ref(), length, onesided)?,
    };
    let crate::value::Value::Tensor(out) = out else { return Ok(out) };
    ok(out.movedim(-2, at as i64))
}

/// From frequencies back. Of a real signal only one half of them is given, and each stands for its mirror image too.
fn backward(real: &Tensor, imag: Option<&Tensor>, length: usize, onesided: bool) -> OpResult {
    let n_bins = if onesided { length / 2 + 1 } else { length };
    let [cos, sin] = angles(n_bins, length, length, real.dtype())?;
    let twice = |bin: usize| onesided && bin > 0 && 2 * bin != length;
    let weights: Vec<f64> = (0..n_bins).map(|bin| if twice(bin) { 2.0 } else { 1.0 } / length as f64).collect();
    let made = || {
        let weights = Tensor::from_vec(weights, &[n_bins])?.to(real.dtype())?;
        let re = k::mul(&fitted(real, n_bins)?, &weights)?;
        let im = match imag {
            Some(imag) => k::mul(&fitted(imag, n_bins)?, &weights)?,
            None => Tensor::zeros(re.shape(), re.dtype())?,
        };
        let real = k::sub(&k::matmul(&re, &cos)?, &k::matmul(&im, &sin)?)?;
        if onesided {
            return real.unsqueeze(-1);
        }
        k::stack(&[&real, &k::add(&k::matmul(&im, &cos)?, &k::matmul(&re, &sin)?)?], -1)
    };
    ok(made())
}

/// Transforms of the frames of a signal, `[batch, frames, frequencies, 2]`.
pub fn stft(a: &Args<'_>) -> OpResult {
    let (x, step, window, onesided) = (a.tensor(0)?, a.count(1)?, a.opt_tensor(2)?, a.bool(4)?);
    let (real, imag) = match x.rank() {
        2 => (x.into_owned(), None),
        _ => parts(&x)?,
    };
    let length = match (a.is_none(3), &window) {
        (false, _) => a.count(3)?,
        (true, Some(window)) => window.numel(),
        (true, None) => real.size(-1).map_err(say)?,
    };
    if real.rank() != 2 || step == 0 || length == 0 || window.as_ref().is_some_and(|w| w.shape() != [length]) {
        let window = window.map(|w| w.shape().to_vec());
        return Err(format!("frames of {length} every {step} with a window of shape {window:?}"));
    }
    let framed = |t: &Tensor| {
        let frames = t.unfold(1, length, step)?;
        window.as_ref().map_or(Ok(frames.clone()), |window| k::mul(&frames, &**window))
    };
    let (real, imag) = (framed(&real).map_err(say)?, imag.map(|t| framed(&t)).transpose().map_err(say)?);
    forward(&real, imag.as_ref(), length, if onesided { length / 2 + 1 } else { length })
}

/// Triangles over frequencies, evenly spaced as ears hear: `[frequencies, bins]`.
pub fn mel_weight_matrix(a: &Args<'_>) -> OpResult {
    let (n_bins, length, rate) = (a.count(0)?, a.count(1)?, a.float(2)?);
    let (low, high) = (a.float(3)?, a.float(4)?);
    let n = length / 2 + 1;
    let dtype = a.dtype(5)?.unwrap_or(DType::F32);
    Tensor::zeros(&[n, n_bins], dtype).map_err(say)?;
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let (first, last) = (mel(low), mel(high));
    let step = (last - first) / (n_bins as f64 + 2.0);
    let edge = |i: usize| {
        let hertz = 700.0 * (10f64.powf((first + i as f64 * step) / 2595.0) - 1.0);
        ((length as f64 + 1.0) * hertz / rate).floor()
    };
    let mut out = vec![0.0; n * n_bins];
    for bin in 0..n_bins {
        let [left, middle, right] = [edge(bin), edge(bin + 1), edge(bin + 2)];
        if !(left >= 0.0 && right < n as f64 + 1.0) {
            return Err(format!(
                "edges from {low} to {high} are no frequencies of a transform of {length} at rate {rate}"
            ));
        }
        let (left, middle, right) = (left as usize, middle as usize, right as usize);
        let mut put = |at: usize, value: f64| {
            if at < n {
                out[at * n_bins + bin] = value;
            }
        };
        match middle - left {
            0 => put(middle, 1.0),
            rise => (left..=middle).for_each(|at| put(at, (at - left) as f64 / rise as f64)),
        }
        (middle..right).for_each(|at| put(at, (right - at) as f64 / (right - middle) as f64));
    }
    ok(Tensor::from_vec(out, &[n, n_bins]).and_then(|t| t.to(dtype)))
}
