//! Convolutions: windows gathered into columns and multiplied as matrices, or directly when each channel is alone.

use stark_shapes::{Conv, DType, ShapeError, rules, show};

use crate::accelerator::{self, Finish, Kernel as DeviceKernel};
use crate::cpu::activation::Activation;
use crate::cpu::buffer::Buffer;
use crate::cpu::convolve::{self, Plan};
use crate::cpu::gemm::{Mat, Product, batches, gemm, gemm_here};
use crate::cpu::math::Real;
use crate::cpu::simd::{Kernel, dispatch};
use crate::error::{Result, TensorError};
use crate::tensor::Tensor;

/// `x [n, c, h, w]` with `weight [o, c / groups, kh, kw]` and `bias [o]`; `windows` are for height and width.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, windows: [Conv; 2], groups: usize) -> Result<Tensor> {
    conv2d_with(x, weight, bias, windows, groups, None, Activation::None)
}

/// `activation(conv2d(…) + added)`.
pub fn conv2d_with(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: [Conv; 2],
    groups: usize,
    added: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let x4 = if x.rank() == 3 { x.unsqueeze(0)? } else { x.clone() };
    let shape = rules::conv(x4.shape(), weight.shape(), bias.map(|b| b.shape()), &windows, groups)?;
    // What broadcasts, or decides the dtype, is added after.
    if let Some(added) = added.filter(|a| a.shape() != &*shape || a.dtype() != x.dtype() || x.rank() == 3) {
        let out = conv2d_with(x, weight, bias, windows, groups, None, Activation::None)?;
        return super::packed::activate(super::elementwise::add(&out, added)?, activation);
    }
    if accelerator::of([x, weight]).is_some() && x.dtype().is_float() && weight.dtype() == x.dtype() {
        let wide = |t: &Tensor| t.to(super::elementwise::compute_dtype(t.dtype()));
        let (x4, weight) = (wide(&x4)?.contiguous()?, wide(weight)?.contiguous()?);
        let (bias, added) = (bias.map(wide).transpose()?, added.map(wide).transpose()?);
        let finish = Finish { bias: bias.as_ref(), added: added.as_ref(), activation };
        let kernel = || DeviceKernel::Conv { x: &x4, weight: &weight, windows, groups, shape: &shape, finish };
        if let Some(out) = accelerator::offer([&x4, &weight], kernel)? {
            let out = out.to(x.dtype())?;
            return if x.rank() == 3 { out.squeeze(&[0]) } else { Ok(out) };
        }
    }
    if !crate::device::is_reference()
        && let Some(trim) = Trim::new(x4.shape(), weight.shape(), &shape, windows)
    {
        let inner = trim.weight(weight)?;
        return conv2d_with(x, &inner, bias, trim.windows, groups, added, activation);
    }
    let in_panels = x.dtype() == DType::F32 && weight.dtype() == DType::F32 && (weight.shape()[1] > 1 || groups == 1);
    if in_panels && !crate::device::is_reference() && bias.is_none_or(|b| b.dtype() == DType::F32) {
        let out = panels(&x4, weight, bias, &shape, windows, groups, added, activation)?;
        return if x.rank() == 3 { out.squeeze(&[0]) } else { Ok(out) };
    }
    let out = by_dtype("conv2d", &x4, weight, bias, Forward { shape: &shape, windows, groups })?;
    let out = if x.rank() == 3 { out.squeeze(&[0])? } else { out };
    let out = match added {
        Some(added) => super::elementwise::add(&out, added)?,
        None => out,
    };
    super::packed::activate(out, activation)
}

/// A smaller convolution that gives the same: without taps that see nothing but padding, as those of a window that dilation makes
/// wider than the plane.
pub(super) struct Trim {
    /// Taps that go on each side, by axis.
    pub taps: [usize; 2],
    pub windows: [Conv; 2],
}

impl Trim {
    /// Of a convolution of `x [n, c, h, w]` with `weight [o, c, kh, kw]` to this shape; `None` where each tap sees something.
    pub fn new(x: &[usize], weight: &[usize], shape: &[usize], windows: [Conv; 2]) -> Option<Trim> {
        let axis = |i: usize| {
            let (n, kernel, out, w) = (x[i + 2], weight[i + 2], shape[i + 2], windows[i]);
            if n == 0 || kernel == 0 || out == 0 {
                return Some((0, w));
            }
            // The first taps end before the plane even at the last place, the last ones begin behind it at the first.
            let far = (out - 1).checked_mul(w.stride)?;
            let first = w.padding.saturating_sub(far).div_ceil(w.dilation);
            let last = (kernel - 1) - ((n - 1).checked_add(w.padding)? / w.dilation).min(kernel - 1);
            let taps = first.min(last).min((kernel - 1) / 2).min(w.padding / w.dilation);
            Some((taps, Conv { padding: w.padding - taps * w.dilation, ..w }))
        };
        let [(y, wy), (x, wx)] = [axis(0)?, axis(1)?];
        ([y, x] != [0, 0]).then_some(Trim { taps: [y, x], windows: [wy, wx] })
    }

    /// The taps that stay.
    pub fn weight(&self, weight: &Tensor) -> Result<Tensor> {
        let rank = weight.rank();
        let stays = |w: &Tensor, i: usize| {
            let axis = rank - 2 + i;
            w.narrow(axis as i64, self.taps[i] as i64, w.shape()[axis] - 2 * self.taps[i])
        };
        stays(&stays(weight, 0)?, 1)?.contiguous()
    }
}

/// The convolution of `Float32` with more than one channel in a group.
fn panels(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: &[usize],
    windows: [Conv; 2],
    groups: usize,
    added: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let plan = Plan::new(x.shape(), weight.shape(), shape, windows, groups);
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let added = added.map(Tensor::contiguous).transpose()?;
    let mut buffer = Buffer::for_overwrite::<f32>(rules::numel(shape)?)?;
    check_columns(plan.columns().checked_mul(plan.positions()), size_of::<f32>())?;
    convolve::forward(
        &plan,
        x.slice_of::<f32>(),
        weight.slice_of::<f32>(),
        bias.as_ref().map(|b| b.slice_of::<f32>()),
        added.as_ref().map(|a| a.slice_of::<f32>()),
        activation,
        buffer.as_mut_slice::<f32>(),
    )?;
    Ok(Tensor::from_buffer(buffer, DType::F32, shape))
}

/// `x [n, c, l]` with `weight [o, c / groups, k]`.
pub fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: Conv, groups: usize) -> Result<Tensor> {
    let lifted = if x.rank() == 2 { x.unsqueeze(0)? } else { x.clone() };
    rules::conv(lifted.shape(), weight.shape(), bias.map(|b| b.shape()), &[window], groups)?;
    let out =
        conv2d(&lifted.unsqueeze(2)?, &weight.unsqueeze(2)?, bias, [Conv::default(), window], groups)?.squeeze(&[2])?;
    if x.rank() == 2 { out.squeeze(&[0]) } else { Ok(out) }
}

/// The transposed convolution: `x [n, c, h, w]`, `weight [c, o / groups, kh, kw]`; `output_padding` per axis.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: [Conv; 2],
    output_padding: [usize; 2],
    groups: usize,
) -> Result<Tensor> {
    let x4 = if x.rank() == 3 { x.unsqueeze(0)? } else { x.clone() };
    let both = [(windows[0], output_padding[0]), (windows[1], output_padding[1])];
    let shape = rules::conv_transpose(x4.shape(), weight.shape(), bias.map(|b| b.shape()), &both, groups)?;
    let out = by_dtype("conv_transpose2d", &x4, weight, bias, Backward { shape: &shape, windows, groups })?;
    if x.rank() == 3 { out.squeeze(&[0]) } else { Ok(out) }
}

/// `x [n, c, l]`, `weight [c, o / groups, k]`.
pub fn conv_transpose1d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    window: Conv,
    output_padding: usize,
    groups: usize,
) -> Result<Tensor> {
    let lifted = if x.rank() == 2 { x.unsqueeze(0)? } else { x.clone() };
    rules::conv_transpose(
        lifted.shape(),
        weight.shape(),
        bias.map(|b| b.shape()),
        &[(window, output_padding)],
        groups,
    )?;
    let windows = [Conv::default(), window];
    let out =
        conv_transpose2d(&lifted.unsqueeze(2)?, &weight.unsqueeze(2)?, bias, windows, [0, output_padding], groups)?
            .squeeze(&[2])?;
    if x.rank() == 2 { out.squeeze(&[0]) } else { Ok(out) }
}

trait Convolution {
    fn run<T: Product + Real>(&self, x: &Tensor, weight: &Tensor, bias: Option<&[T]>) -> Result<Tensor>;
}

fn by_dtype(name: &str, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: impl Convolution) -> Result<Tensor> {
    if x.dtype() != weight.dtype() || bias.is_some_and(|b| b.dtype() != x.dtype()) {
        return Err(TensorError::DType(format!(
            "{name} needs equal element types, not {} and {}",
            x.dtype(),
            weight.dtype()
        )));
    }
    fn typed<T: Product + Real>(
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        conv: impl Convolution,
    ) -> Result<Tensor> {
        let bias = bias.map(|b| b.to(T::DTYPE)?.contiguous()).transpose()?;
        let bias = bias.as_ref().map(|b| b.slice_of::<T>());
        conv.run::<T>(&x.to(T::DTYPE)?.contiguous()?, &weight.to(T::DTYPE)?.contiguous()?, bias)
    }
    match x.dtype() {
        DType::F64 => typed::<f64>(x, weight, bias, conv),
        DType::F32 => typed::<f32>(x, weight, bias, conv),
        DType::F16 | DType::BF16 => typed::<f32>(x, weight, bias, conv)?.to(x.dtype()),
        other => Err(TensorError::dtype(name, other)),
    }
}

/// The buffer of columns is an allocation like a tensor's: the same limit holds.
fn check_columns(size: Option<usize>, element: usize) -> Result<usize> {
    let limit = crate::max_tensor_bytes();
    match size.filter(|n| n.checked_mul(element).is_some_and(|b| b <= limit)) {
        Some(n) => Ok(n),
        None => Err(TensorError::too_large(size.map_or(usize::MAX, |n| n.saturating_mul(element)))),
    }
}

struct Forward<'a> {
    shape: &'a [usize],
    windows: [Conv; 2],
    groups: usize,
}

impl Convolution for Forward<'_> {
    fn run<T: Product + Real>(&self, x: &Tensor, weight: &Tensor, bias: Option<&[T]>) -> Result<Tensor> {
        let w = weight.shape();
        let plan = Plan {
            n: x.shape()[0],
            groups: self.groups,
            c: w[1],
            o: w[0] / self.groups,
            plane: [x.shape()[2], x.shape()[3]],
            kernel: [w[2], w[3]],
            out: [self.shape[2], self.shape[3]],
            windows: self.windows,
        };
        let mut buffer = Buffer::zeroed::<T>(rules::numel(self.shape)?)?;
        let out = buffer.as_mut_slice::<T>();
        let (positions, columns) = (plan.positions(), plan.columns());
        if !out.is_empty() {
            if let Some(bias) = bias {
                for (i, plane) in out.chunks_mut(positions).enumerate() {
                    plane.fill(bias[i % bias.len()]);
                }
            }
            let (data, weights) = (x.slice_of::<T>(), weight.slice_of::<T>());
            let plane = plan.c * plan.plane[0] * plan.plane[1];
            let cost = columns * positions;
            if plan.c == 1 {
                // Depthwise: one input plane per group, no matrix worth building.
                batches(out, plan.n * plan.groups * plan.o, cost, |i, out| {
                    let source = &data[i / plan.o * plane..][..plane];
                    let at = i % (plan.groups * plan.o) * columns;
                    dispatch(Depthwise { plan: &plan, source, weights: &weights[at..at + columns], out });
                });
            } else {
                let size = check_columns(columns.checked_mul(positions), size_of::<T>())?;
                let pointwise = plan.is_pointwise();
                let alone = plan.n * plan.groups == 1;
                batches(out, plan.n * plan.groups, cost * plan.o, |i, out| {
                    let source = &data[i * plane..(i + 1) * plane];
                    let at = i % plan.groups * plan.o * columns;
                    let a = Mat::new(&weights[at..at + plan.o * columns], plan.o, columns, columns, 1);
                    let mut gathered = Vec::new();
                    if !pointwise {
                        gathered.resize(size, T::from_f64(0.0));
                        plan.runs(|column, position, from, n, stride| {
                            let row = &mut gathered[column * positions + position..][..n];
                            if stride == 1 {
                                row.copy_from_slice(&source[from..from + n]);
                            } else {
                                row.iter_mut().zip(source[from..].iter().step_by(stride)).for_each(|(o, x)| *o = *x);
                            }
                        });
                    }
                    let b = Mat::new(if pointwise { source } else { &gathered }, columns, positions, positions, 1);
                    // A single image has no batch to share out, so its rows are.
                    if alone { gemm(out, a, b, true) } else { gemm_here(out, a, b, true) }
                });
            }
        }
        Ok(Tensor::from_buffer(buffer, T::DTYPE, self.shape))
    }
}

struct Depthwise<'a, T> {
    plan: &'a Plan,
    source: &'a [T],
    weights: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Depthwise<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Depthwise { plan, source, weights, out } = self;
        plan.runs(|column, position, from, n, stride| {
            let w = weights[column];
            let row = &mut out[position..position + n];
            if stride == 1 {
                for (o, x) in row.iter_mut().zip(&source[from..from + n]) {
                    *o += *x * w;
                }
            } else {
                for (o, x) in row.iter_mut().zip(source[from..].iter().step_by(stride)) {
                    *o += *x * w;
                }
            }
        });
    }
}

struct Backward<'a> {
    shape: &'a [usize],
    windows: [Conv; 2],
    groups: usize,
}

impl Convolution for Backward<'_> {
    /// The forward convolution with reading and writing swapped: columns are products, added where windows lie.
    fn run<T: Product + Real>(&self, x: &Tensor, weight: &Tensor, bias: Option<&[T]>) -> Result<Tensor> {
        let w = weight.shape();
        let plan = Plan {
            n: x.shape()[0],
            groups: self.groups,
            c: w[1],
            o: w[0] / self.groups,
            plane: [self.shape[2], self.shape[3]],
            kernel: [w[2], w[3]],
            out: [x.shape()[2], x.shape()[3]],
            windows: self.windows,
        };
        let mut buffer = Buffer::zeroed::<T>(rules::numel(self.shape)?)?;
        let out = buffer.as_mut_slice::<T>();
        let (positions, columns) = (plan.positions(), plan.columns());
        if !out.is_empty() {
            if let Some(bias) = bias {
                let plane = self.shape[2] * self.shape[3];
                for (i, plane) in out.chunks_mut(plane).enumerate() {
                    plane.fill(bias[i % bias.len()]);
                }
            }
            let (data, weights) = (x.slice_of::<T>(), weight.slice_of::<T>());
            let size = check_columns(columns.checked_mul(positions), size_of::<T>())?;
            batches(out, plan.n * plan.groups, size * plan.o, |i, out| {
                let source = &data[i * plan.o * positions..(i + 1) * plan.o * positions];
                let at = i % plan.groups * plan.o * columns;
                let a = Mat::new(&weights[at..at + plan.o * columns], columns, plan.o, 1, columns);
                let mut products = vec![T::from_f64(0.0); size];
                gemm_here(&mut products, a, Mat::new(source, plan.o, positions, positions, 1), false);
                plan.runs(|column, position, into, n, stride| {
                    let row = &products[column * positions + position..][..n];
                    row.iter().enumerate().for_each(|(k, p)| out[into + k * stride] += *p);
                });
            });
        }
        Ok(Tensor::from_buffer(buffer, T::DTYPE, self.shape))
    }
}

/// A window that is the same along every axis, from the lists that models carry (one number or one per axis).
pub fn windows<const N: usize>(stride: &[i64], padding: &[i64], dilation: &[i64]) -> Result<[Conv; N]> {
    let pick = |name: &str, list: &[i64], i: usize, default: usize| {
        let value = match list.len() {
            0 => return Ok(default),
            1 => list[0],
            n if n == N => list[i],
            n => return Err(ShapeError(format!("{name} has {n} numbers for {N} axes"))),
        };
        usize::try_from(value).map_err(|_| ShapeError(format!("{name} cannot be {value} in {}", show(list))))
    };
    let mut out = [Conv::default(); N];
    for (i, window) in out.iter_mut().enumerate() {
        *window = Conv {
            stride: pick("stride", stride, i, 1)?,
            padding: pick("padding", padding, i, 0)?,
            dilation: pick("dilation", dilation, i, 1)?,
        };
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{PackedFilter, conv2d_packed, randn};
    use crate::{Device, with_device};

    /// The definition, one product at a time.
    fn plain(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, windows: [Conv; 2], groups: usize) -> Tensor {
        let shape = rules::conv(x.shape(), w.shape(), None, &windows, groups).unwrap();
        let at = |t: &Tensor, i: [usize; 4]| t.at(&i.map(|i| i as i64)).unwrap().to_f64();
        let per = w.shape()[0] / groups;
        let mut out = Vec::new();
        for n in 0..shape[0] {
            for o in 0..shape[1] {
                for y in 0..shape[2] {
                    for z in 0..shape[3] {
                        let mut sum = bias.map_or(0.0, |b| b.at(&[o as i64]).unwrap().to_f64());
                        for c in 0..w.shape()[1] {
                            for i in 0..w.shape()[2] {
                                for j in 0..w.shape()[3] {
                                    let sy = (y * windows[0].stride + i * windows[0].dilation)
                                        .wrapping_sub(windows[0].padding);
                                    let sx = (z * windows[1].stride + j * windows[1].dilation)
                                        .wrapping_sub(windows[1].padding);
                                    if sy < x.shape()[2] && sx < x.shape()[3] {
                                        sum += at(x, [n, o / per * w.shape()[1] + c, sy, sx]) * at(w, [o, c, i, j]);
                                    }
                                }
                            }
                        }
                        out.push(sum);
                    }
                }
            }
        }
        Tensor::from_vec(out, &shape).unwrap()
    }

    fn near(a: &Tensor, b: &Tensor) {
        assert_eq!(a.shape(), b.shape());
        for (x, y) in a.to_scalars().iter().zip(b.to_scalars()) {
            assert!((x.to_f64() - y.to_f64()).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn convolutions_match_their_definition() {
        for (x, w, stride, padding, dilation, groups) in [
            ([2, 3, 5, 6], [4, 3, 3, 3], [1, 1], [1, 1], [1, 1], 1),
            ([1, 4, 7, 5], [6, 2, 3, 2], [2, 1], [0, 2], [1, 2], 2),
            ([2, 4, 6, 6], [4, 1, 3, 3], [1, 2], [1, 1], [1, 1], 4),
            ([1, 3, 6, 6], [6, 1, 2, 3], [1, 1], [0, 3], [2, 1], 3),
            ([2, 5, 4, 4], [3, 5, 1, 1], [1, 1], [0, 0], [1, 1], 1),
            ([1, 2, 2, 2], [2, 2, 3, 3], [3, 3], [4, 4], [1, 1], 1),
        ] {
            let windows = [0, 1].map(|i| Conv { stride: stride[i], padding: padding[i], dilation: dilation[i] });
            let x = randn(&x, 1, DType::F32).unwrap();
            let bias = randn(&w[..1], 3, DType::F32).unwrap();
            let w = randn(&w, 2, DType::F32).unwrap();
            let got = conv2d(&x, &w, Some(&bias), windows, groups).unwrap();
            near(&got, &plain(&x, &w, Some(&bias), windows, groups));
        }
    }

    #[test]
    fn windows_of_one_element_leave_out_what_they_step_over() {
        let sizes = |n: usize| (1..=n).flat_map(move |a| (1..=n).map(move |b| [a, b]));
        for (plane, stride) in sizes(3).flat_map(|plane| sizes(4).map(move |stride| (plane, stride))) {
            let windows = stride.map(|stride| Conv { stride, ..Conv::default() });
            for (n, c) in [(1, 3), (3, 1), (3, 2)] {
                let (x, w) = (randn(&[n, c, plane[0], plane[1]], 1, DType::F32), randn(&[2, c, 1, 1], 2, DType::F32));
                let (x, w) = (x.unwrap(), w.unwrap());
                let want = plain(&x, &w, None, windows, 1);
                near(&conv2d(&x, &w, None, windows, 1).unwrap(), &want);
                near(&with_device(Device::Reference, || conv2d(&x, &w, None, windows, 1)).unwrap(), &want);
                let packed = PackedFilter::new(&w, 1).unwrap();
                near(&conv2d_packed(&x, &packed, None, windows, None, Activation::None).unwrap(), &want);
            }
        }
    }

    #[test]
    fn transposed_convolution_is_the_adjoint() {
        // <conv(x), y> = <x, conv_transpose(y)> for every x and y.
        let windows = [Conv { stride: 2, padding: 1, dilation: 1 }, Conv { stride: 1, padding: 0, dilation: 2 }];
        let w = randn(&[4, 3, 3, 2], 2, DType::F64).unwrap();
        let x = randn(&[2, 6, 7, 5], 1, DType::F64).unwrap();
        let forward = conv2d(&x, &w, None, windows, 2).unwrap();
        let y = randn(forward.shape(), 3, DType::F64).unwrap();
        let back = conv_transpose2d(&y, &w, None, windows, [0, 0], 2).unwrap();
        let product = |a: &Tensor, b: &Tensor| {
            crate::ops::sum(&crate::ops::mul(a, b).unwrap(), &[], false).unwrap().item().unwrap().to_f64()
        };
        assert_eq!(back.shape(), x.shape());
        assert!((product(&forward, &y) - product(&x, &back)).abs() < 1e-9);
    }

    #[test]
    fn one_axis() {
        let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[1, 1, 3]).unwrap();
        let w = Tensor::from_vec(vec![1.0f32, 10.0], &[1, 1, 2]).unwrap();
        let b = Tensor::from_vec(vec![0.5f32], &[1]).unwrap();
        let two = Conv { stride: 2, ..Conv::default() };
        assert_eq!(conv1d(&x, &w, Some(&b), Conv::default(), 1).unwrap().to_vec::<f32>().unwrap(), [21.5, 32.5]);
        assert_eq!(
            conv_transpose1d(&x, &w, None, two, 1, 1).unwrap().to_vec::<f32>().unwrap(),
            [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 0.0]
        );
        assert!(conv1d(&x, &w, Some(&x), Conv::default(), 1).is_err());
        assert!(windows::<2>(&[1, 2, 3], &[], &[]).is_err() && windows::<2>(&[-1], &[], &[]).is_err());
    }
}
