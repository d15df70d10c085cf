//! Softmax and the normalisation layers: rows of the last axes, each on its own.

use std::borrow::Cow;

use stark_shapes::{DType, ShapeError, rules, show};

use crate::accelerator::{self, Kernel as DeviceKernel};
use crate::cpu::buffer::Buffer;
use crate::cpu::math::{Real, sum_by};
use crate::cpu::rows::{self, InRows};
use crate::cpu::simd::{Kernel, dispatch, vectors};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;

/// `f(rows, out, n)` for all rows of `n` elements, some at a time, `Float32` or `Float64`; halves go through `Float32`.
macro_rules! per_row {
    ($name:literal, $x:expr, $n:expr, $T:ident => $f:expr) => {{
        let x: &Tensor = $x;
        match x.dtype() {
            DType::F32 => {
                type $T = f32;
                each_row::<f32>(x, $n, $f)
            }
            DType::F64 => {
                type $T = f64;
                each_row::<f64>(x, $n, $f)
            }
            DType::F16 | DType::BF16 => {
                type $T = f32;
                each_row::<f32>(&x.to(DType::F32)?, $n, $f)?.to(x.dtype())
            }
            other => Err(TensorError::dtype($name, other)),
        }
    }};
}

fn each_row<T: Real>(x: &Tensor, n: usize, f: impl Fn(&[T], &mut [T], usize) + Sync) -> Result<Tensor> {
    let x = x.dense()?;
    let data = x.slice_of::<T>();
    let mut buffer = Buffer::for_overwrite::<T>(data.len())?;
    if n > 0 {
        // Whole rows per piece; a row costs some four times its elements.
        let chunk = n * (CHUNK / 4 / n).max(1);
        fill_chunks(buffer.as_mut_slice::<T>(), chunk, |start, out| {
            f(&data[start..start + out.len()], out, n);
        });
    }
    Ok(Tensor::from_buffer(buffer, T::DTYPE, x.shape()))
}

/// `f` along any axis, by bringing it to the end and back.
fn along(x: &Tensor, axis: i64, f: impl Fn(&Tensor, usize) -> Result<Tensor>) -> Result<Tensor> {
    let at = rules::axis(axis, x.rank())?;
    if at + 1 >= x.rank() {
        return f(x, x.shape().last().copied().unwrap_or(1));
    }
    f(&x.movedim(axis, -1)?, x.shape()[at])?.movedim(-1, at as i64)?.contiguous()
}

/// `name` of rows of `n` elements, when an accelerator has `x`; halves compute in `Float32`.
fn device_rows(
    name: &'static str,
    x: &Tensor,
    n: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Option<Tensor>> {
    if accelerator::of([x]).is_none() || !x.dtype().is_float() {
        return Ok(None);
    }
    let wide = x.to(super::elementwise::compute_dtype(x.dtype()))?.contiguous()?;
    let out = accelerator::offer([&wide], || DeviceKernel::Rows { name, x: &wide, n, weight, bias, eps })?;
    out.map(|out| out.to(x.dtype())).transpose()
}

/// Rows of `n` numbers of one width.
pub(crate) trait Rows: Real {
    fn softmax(x: &[Self], out: &mut [Self], n: usize);
    fn log_softmax(x: &[Self], out: &mut [Self], n: usize);
    fn normalise(x: &[Self], out: &mut [Self], n: usize, by: Normalise<Self>);
}

/// What rows are normalised by.
#[derive(Clone, Copy)]
pub(crate) struct Normalise<'a, T> {
    /// Subtract the mean?
    centre: bool,
    eps: f64,
    weight: Option<&'a [T]>,
    bias: Option<&'a [T]>,
}

impl Rows for f32 {
    fn softmax(x: &[f32], out: &mut [f32], n: usize) {
        vectors(rows::Softmax(InRows { x, out, n }));
    }

    fn log_softmax(x: &[f32], out: &mut [f32], n: usize) {
        vectors(rows::LogSoftmax(InRows { x, out, n }));
    }

    fn normalise(x: &[f32], out: &mut [f32], n: usize, by: Normalise<f32>) {
        let Normalise { centre, eps, weight, bias } = by;
        vectors(rows::Normalise { rows: InRows { x, out, n }, centre, eps, weight, bias });
    }
}

impl Rows for f64 {
    fn softmax(x: &[f64], out: &mut [f64], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            out.iter_mut().zip(x).for_each(|(o, x)| *o = (*x - top).exp());
            let scale = 1.0 / sum_by(out, |x| x);
            out.iter_mut().for_each(|o| *o *= scale);
        }
    }

    fn log_softmax(x: &[f64], out: &mut [f64], n: usize) {
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = sum_by(x, |x| (x - top).exp()).ln();
            out.iter_mut().zip(x).for_each(|(o, x)| *o = *x - top - log_sum);
        }
    }

    fn normalise(x: &[f64], out: &mut [f64], n: usize, by: Normalise<f64>) {
        let Normalise { centre, eps, weight, bias } = by;
        for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
            let mean = if centre { sum_by(x, |x| x) / n as f64 } else { 0.0 };
            let scale = 1.0 / (sum_by(x, |x| (x - mean) * (x - mean)) / n as f64 + eps).sqrt();
            out.iter_mut().zip(x).for_each(|(o, x)| *o = (*x - mean) * scale);
            out.iter_mut().zip(weight.unwrap_or_default()).for_each(|(o, w)| *o *= *w);
            out.iter_mut().zip(bias.unwrap_or_default()).for_each(|(o, b)| *o += *b);
        }
    }
}

/// `exp(x)` scaled to sum 1 along `axis`. A row of only -∞ gives NaN.
pub fn softmax(x: &Tensor, axis: i64) -> Result<Tensor> {
    let x = x.to(x.dtype().to_float())?;
    along(&x, axis, |x, n| match device_rows("softmax", x, n, None, None, 0.0)? {
        Some(out) => Ok(out),
        None => per_row!("softmax", x, n, T => T::softmax),
    })
}

/// The logarithm of [`softmax`], without its rounding to 0.
pub fn log_softmax(x: &Tensor, axis: i64) -> Result<Tensor> {
    let x = x.to(x.dtype().to_float())?;
    along(&x, axis, |x, n| match device_rows("log_softmax", x, n, None, None, 0.0)? {
        Some(out) => Ok(out),
        None => per_row!("log_softmax", x, n, T => T::log_softmax),
    })
}

/// A parameter in the dtype that rows of `x` compute in, row-major.
fn parameter<'a>(p: Option<&'a Tensor>, x: &Tensor) -> Result<Option<Cow<'a, Tensor>>> {
    let compute = super::elementwise::compute_dtype(x.dtype());
    p.map(|p| if p.dtype() == compute { p.dense() } else { p.to(compute)?.contiguous().map(Cow::Owned) }).transpose()
}

fn norm_rows(
    name: &'static str,
    x: &Tensor,
    shape: &[usize],
    centre: bool,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    rules::layer_norm(x.shape(), shape)?;
    for p in [weight, bias].into_iter().flatten() {
        if p.shape() != shape {
            return Err(ShapeError(format!(
                "{name} over {} has a parameter of shape {}",
                show(shape),
                show(p.shape())
            ))
            .into());
        }
    }
    if !x.dtype().is_float() {
        return Err(TensorError::needs_floats(name, x.dtype()));
    }
    let (w, b) = (parameter(weight, x)?, parameter(bias, x)?);
    let n = rules::numel(shape)?;
    let device = if centre { "layer_norm" } else { "rms_norm" };
    if let Some(out) = device_rows(device, x, n, w.as_deref(), b.as_deref(), eps)? {
        return Ok(out);
    }
    per_row!("normalisation", x, n, T => |x: &[T], out: &mut [T], n| T::normalise(x, out, n, Normalise {
        centre, eps,
        weight: w.as_ref().map(|w| w.slice_of::<T>()),
        bias: b.as_ref().map(|b| b.slice_of::<T>()),
    }))
}

/// Mean 0 and variance 1 over the last axes, which are `shape`; then `· weight + bias` of that shape.
pub fn layer_norm(
    x: &Tensor,
    shape: &[usize],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    norm_rows("layer_norm", x, shape, true, weight, bias, eps)
}

/// Divided by the root of the mean square over the last axes, which are `shape`; then `· weight`.
pub fn rms_norm(x: &Tensor, shape: &[usize], weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    norm_rows("rms_norm", x, shape, false, weight, None, eps)
}

/// Axis 1, the channels, and how many elements follow it.
fn channels(name: &str, x: &Tensor) -> Result<(usize, usize)> {
    if x.rank() < 2 {
        return Err(ShapeError(format!("{name} needs rank 2 or more, not shape {}", show(x.shape()))).into());
    }
    Ok((x.shape()[1], rules::numel(&x.shape()[2..])?))
}

fn check_channel_parameters(name: &str, c: usize, parameters: &[Option<&Tensor>]) -> Result<()> {
    for p in parameters.iter().flatten() {
        if p.shape() != [c] {
            return Err(
                ShapeError(format!("{name} of {c} channels has a parameter of shape {}", show(p.shape()))).into()
            );
        }
    }
    Ok(())
}

struct AffineRow<'a, T> {
    x: &'a [T],
    out: &'a mut [T],
    scale: T,
    shift: T,
}

impl<T: Real> Kernel for AffineRow<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (o, x) in self.out.iter_mut().zip(self.x) {
            *o = *x * self.scale + self.shift;
        }
    }
}

/// `x [n, c, …] · scale[c] + shift[c]`, with `scale` and `shift` in `Float64`.
pub fn channel_affine(x: &Tensor, scale: &[f64], shift: &[f64]) -> Result<Tensor> {
    let (c, inner) = channels("channel_affine", x)?;
    if scale.len() != c || shift.len() != c {
        return Err(ShapeError(format!("{} scales and {} shifts for {c} channels", scale.len(), shift.len())).into());
    }
    if accelerator::of([x]).is_some() && x.dtype().is_float() {
        let compute = super::elementwise::compute_dtype(x.dtype());
        let mut sizes: smallvec::SmallVec<[i64; 6]> = smallvec::smallvec![1; x.rank() - 1];
        sizes[0] = c as i64;
        let channel = |numbers: &[f64]| Tensor::from_slice(numbers, &[c])?.to(compute)?.reshape(&sizes);
        let (scale, shift) = (channel(scale)?, channel(shift)?);
        if let Some(out) = accelerator::map("affine", &[&x.to(compute)?, &scale, &shift], &[], compute)? {
            return out.to(x.dtype());
        }
    }
    fn run<T: Real>(x: &Tensor, c: usize, inner: usize, scale: &[f64], shift: &[f64]) -> Result<Tensor> {
        let x = x.contiguous()?;
        let data = x.slice_of::<T>();
        let mut buffer = Buffer::for_overwrite::<T>(data.len())?;
        if inner > 0 && c > 0 {
            fill_chunks(buffer.as_mut_slice::<T>(), inner * (CHUNK / inner).max(1), |start, out| {
                for (i, out) in out.chunks_mut(inner).enumerate() {
                    let at = start + i * inner;
                    let k = at / inner % c;
                    dispatch(AffineRow {
                        x: &data[at..at + inner],
                        out,
                        scale: T::from_f64(scale[k]),
                        shift: T::from_f64(shift[k]),
                    });
                }
            });
        }
        Ok(Tensor::from_buffer(buffer, T::DTYPE, x.shape()))
    }
    match x.dtype() {
        DType::F32 => run::<f32>(x, c, inner, scale, shift),
        DType::F64 => run::<f64>(x, c, inner, scale, shift),
        DType::F16 | DType::BF16 => run::<f32>(&x.to(DType::F32)?, c, inner, scale, shift)?.to(x.dtype()),
        other => Err(TensorError::dtype("channel_affine", other)),
    }
}

fn numbers(p: Option<&Tensor>, n: usize, default: f64) -> Result<Vec<f64>> {
    match p {
        Some(p) => p.to(DType::F64)?.to_vec(),
        None => Ok(vec![default; n]),
    }
}

/// Inference: `(x - mean) / sqrt(var + eps) · weight + bias`, one number of each per channel of `x [n, c, …]`.
pub fn batch_norm(
    x: &Tensor,
    mean: &Tensor,
    var: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let (c, _) = channels("batch_norm", x)?;
    check_channel_parameters("batch_norm", c, &[Some(mean), Some(var), weight, bias])?;
    let (mean, var) = (numbers(Some(mean), c, 0.0)?, numbers(Some(var), c, 1.0)?);
    let (weight, bias) = (numbers(weight, c, 1.0)?, numbers(bias, c, 0.0)?);
    let scale: Vec<f64> = var.iter().zip(&weight).map(|(v, w)| w / (v + eps).sqrt()).collect();
    let shift: Vec<f64> = (0..c).map(|i| bias[i] - mean[i] * scale[i]).collect();
    channel_affine(x, &scale, &shift)
}

/// Mean 0 and variance 1 within each of `groups` groups of channels of each item; then per channel `· weight + bias`.
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let (c, inner) = channels("group_norm", x)?;
    check_channel_parameters("group_norm", c, &[weight, bias])?;
    if groups == 0 || c % groups != 0 {
        return Err(ShapeError(format!("{c} channels do not split into {groups} groups")).into());
    }
    let size = c / groups * inner;
    let flat = x.reshape_to(&[x.shape()[0] * groups, size])?;
    let normal = norm_rows("group_norm", &flat, &[size], true, None, None, eps)?.reshape_to(x.shape())?;
    if weight.is_none() && bias.is_none() {
        return Ok(normal);
    }
    channel_affine(&normal, &numbers(weight, c, 1.0)?, &numbers(bias, c, 0.0)?)
}

/// [`group_norm`] with every channel its own group.
pub fn instance_norm(x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let (c, _) = channels("instance_norm", x)?;
    if c == 0 {
        return Ok(x.clone());
    }
    group_norm(x, c, weight, bias, eps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: Result<Tensor>, want: &[f64]) {
        let got: Vec<f64> = got.unwrap().to_scalars().iter().map(|s| s.to_f64()).collect();
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 1e-6 || (g.is_nan() && w.is_nan()), "{got:?} is not {want:?}");
        }
    }

    #[test]
    fn softmax_along_any_axis() {
        let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        near(softmax(&x, -1), &[0.26894142, 0.73105858, 0.26894142, 0.73105858]);
        near(softmax(&x, 0), &[0.11920292, 0.11920292, 0.88079708, 0.88079708]);
        near(log_softmax(&x, 1), &[-1.31326169, -0.31326169, -1.31326169, -0.31326169]);
        near(softmax(&Tensor::full(&[2], f64::NEG_INFINITY, DType::F32).unwrap(), 0), &[f64::NAN; 2]);
        near(softmax(&Tensor::full(&[4], 1000.0, DType::F64).unwrap(), 0), &[0.25; 4]);
        assert_eq!(softmax(&Tensor::zeros(&[2, 0], DType::F32).unwrap(), 1).unwrap().shape(), [2, 0]);
    }

    #[test]
    fn a_row_is_the_same_alone_and_beside_others() {
        for n in [1, 15, 64, 100, 256, 257, 1000] {
            let x = crate::ops::randn(&[7, n], 3, DType::F32).unwrap();
            let kinds: [fn(&Tensor) -> Result<Tensor>; 3] = [
                |x| softmax(x, -1),
                |x| log_softmax(x, -1),
                |x| layer_norm(x, &[x.shape()[x.rank() - 1]], None, None, 1e-5),
            ];
            for of in kinds {
                let all = of(&x).unwrap();
                for row in 0..7 {
                    let alone = of(&x.slice(0, row, row + 1, 1).unwrap()).unwrap();
                    assert_eq!(
                        all.slice(0, row, row + 1, 1).unwrap().to_vec::<f32>().unwrap(),
                        alone.to_vec::<f32>().unwrap()
                    );
                }
            }
        }
    }

    #[test]
    fn normalisations() {
        let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[1, 2, 2]).unwrap();
        let w = Tensor::from_vec(vec![2.0f32, 1.0], &[2]).unwrap();
        let b = Tensor::from_vec(vec![0.0f32, 1.0], &[2]).unwrap();
        near(layer_norm(&x, &[2], Some(&w), Some(&b), 0.0), &[-2.0, 2.0, -2.0, 2.0]);
        near(layer_norm(&x, &[2, 2], None, None, 0.0), &[-1.34164079, -0.4472136, 0.4472136, 1.34164079]);
        near(rms_norm(&x, &[2], Some(&w), 0.0), &[1.26491106, 1.26491106, 1.69705627, 1.13137085]);
        near(batch_norm(&x, &b, &w, Some(&w), Some(&b), 0.0), &[1.41421356, 2.82842712, 3.0, 4.0]);
        near(group_norm(&x, 1, Some(&w), Some(&b), 0.0), &[-2.68328157, -0.89442719, 1.4472136, 2.34164079]);
        near(instance_norm(&x, None, None, 0.0), &[-1.0, 1.0, -1.0, 1.0]);
        assert!(layer_norm(&x, &[3], None, None, 0.0).is_err() && group_norm(&x, 3, None, None, 0.0).is_err());
        assert!(layer_norm(&x, &[2], Some(&x), None, 0.0).is_err());
    }
}
