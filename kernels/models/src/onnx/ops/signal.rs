//! Fourier transforms of signals, and the filters of speech.
//!
//! A complex number is a pair along the last axis; a real signal has one number there, or no such axis.

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::shape::axis;
use crate::ops::spectra::{Along, Wave};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};

/// A signal whose last axis holds one number or two.
fn wave(x: &Tensor) -> Result<Wave, String> {
    let part = |i: i64| x.select(-1, i).map_err(say);
    match x.shape().last() {
        Some(1) => Ok(Wave { real: part(0)?, imag: None }),
        Some(2) => Ok(Wave { real: part(0)?, imag: Some(part(1)?) }),
        _ => Err(format!("takes signals with 1 or 2 numbers along the last axis, not shape {:?}", x.shape())),
    }
}

fn pairs(wave: Wave) -> OpResult {
    let [real, imag] = wave.parts()?;
    ok(k::stack(&[&real, &imag], -1))
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
    let along = Along { axis: at, length, inverse, scale: if inverse { 1.0 / length as f64 } else { 1.0 } };
    if inverse && onesided {
        return ok(wave(&x)?.to_real(&along)?.unsqueeze(-1));
    }
    pairs(wave(&x)?.transform(&along, if onesided { length / 2 + 1 } else { length })?)
}

/// Transforms of the frames of a signal, `[batch, frames, frequencies, 2]`.
pub fn stft(a: &Args<'_>) -> OpResult {
    let (x, step, window, onesided) = (a.tensor(0)?, a.count(1)?, a.opt_tensor(2)?, a.bool(4)?);
    let signal = match x.rank() {
        2 => Wave { real: x.into_owned(), imag: None },
        _ => wave(&x)?,
    };
    let length = match (a.is_none(3), &window) {
        (false, _) => a.count(3)?,
        (true, Some(window)) => window.numel(),
        (true, None) => signal.real.size(-1).map_err(say)?,
    };
    if signal.real.rank() != 2 || step == 0 || length == 0 || window.as_ref().is_some_and(|w| w.shape() != [length]) {
        let window = window.map(|w| w.shape().to_vec());
        return Err(format!("frames of {length} every {step} with a window of shape {window:?}"));
    }
    let frames = signal.map(|t| {
        let frames = t.unfold(1, length, step)?;
        window.as_ref().map_or(Ok(frames.clone()), |window| k::mul(&frames, &**window))
    });
    let along = Along { axis: 2, length, inverse: false, scale: 1.0 };
    pairs(frames.map_err(say)?.transform(&along, if onesided { length / 2 + 1 } else { length })?)
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
