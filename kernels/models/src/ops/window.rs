//! Convolution and pooling. One name covers several ranks, so the input decides.

use std::borrow::Cow;

use stark_kernels::ops as k;
use stark_kernels::{Scalar, Tensor, TensorError};
use stark_shapes::{Conv, Pool};

use super::args::{Args, Ints, OpResult, Then};
use super::tensor::{ok, pair_of, say};
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
        5 => {
            let windows = [windows.at(0)?, windows.at(1)?, windows.at(2)?];
            batched(x, 3, |x| conv3d(x, weight, bias, windows, groups).and_then(|out| then.apply(out)).map_err(say))
        }
        rank => Err(format!("a convolution with weights of rank {rank} is not supported (3 to 5 are)")),
    }
}

/// The sum of what each slice of the weights makes of the slices that it meets.
fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [depth, tall, wide]: [Conv; 3],
    groups: usize,
) -> stark_kernels::Result<Tensor> {
    if x.rank() != 5 {
        return Err(TensorError::Argument(format!("conv3d needs rank 4 or 5, not shape {:?}", x.shape())));
    }
    let pads = [0, 0, 0, 0, depth.padding as i64, depth.padding as i64];
    let x = k::pad(x, &pads, k::PadMode::Constant(Scalar::Int(0)))?;
    let (n, kernel) = (x.size(2)?, weight.size(2)?);
    let reach = depth.dilation.saturating_mul(kernel.saturating_sub(1)).saturating_add(1);
    let Some(room) = n.checked_sub(reach).filter(|_| depth.stride > 0 && kernel > 0) else {
        return Err(TensorError::Argument(format!("a window of {reach} does not fit a depth of {n}")));
    };
    let out_depth = room / depth.stride + 1;
    let batch = x.size(0)?;
    let mut total: Option<Tensor> = None;
    for i in 0..kernel {
        let first = i * depth.dilation;
        let slices = x.slice(2, first as i64, (first + room + 1) as i64, depth.stride as i64)?.transpose(1, 2)?;
        let shape = slices.shape().to_vec();
        let planes = slices.reshape_to(&[batch.saturating_mul(out_depth), shape[2], shape[3], shape[4]])?;
        // The bias counts once.
        let bias = bias.filter(|_| i == 0);
        let part = k::conv2d(&planes, &weight.select(2, i as i64)?, bias, [tall, wide], groups)?;
        total = Some(match total {
            Some(total) => k::add(&total, &part)?,
            None => part,
        });
    }
    let Some(total) = total else { return Err(TensorError::Argument("a window of no slices".into())) };
    let [_, c, h, w] = *total.shape() else {
        return Err(TensorError::Argument("a convolution of planes gave no planes".into()));
    };
    total.reshape_to(&[batch, out_depth, c, h, w])?.transpose(1, 2)
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
        5 => {
            let windows = [windows.at(0)?, windows.at(1)?, windows.at(2)?];
            let extra = [0, 1, 2].map(|axis| along(extra, axis, "output_padding"));
            let [depth, tall, wide] = extra;
            let extra = [depth?, tall?, wide?];
            batched(x, 3, |x| conv_transpose3d(x, weight, bias, windows, extra, groups).map_err(say))
        }
        rank => Err(format!("a convolution with weights of rank {rank} is not supported (3 to 5 are)")),
    }
}

/// Each slice of the weights spreads the input's planes, which are added where they come to lie.
fn conv_transpose3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    [depth, tall, wide]: [Conv; 3],
    [more, taller, wider]: [usize; 3],
    groups: usize,
) -> stark_kernels::Result<Tensor> {
    let [batch, c, n, h, w] = *x.shape() else {
        return Err(TensorError::Argument(format!("conv_transpose3d needs rank 4 or 5, not shape {:?}", x.shape())));
    };
    let kernel = weight.size(2)?;
    // Far above what fits any memory, and far below what overflows.
    let sizes = [n, kernel, depth.stride, depth.dilation, depth.padding, more];
    if sizes.iter().any(|&size| size > 1 << 24) || [n, kernel, depth.stride].contains(&0) {
        return Err(TensorError::Argument(format!("a depth of {n} under a window of {kernel} by {}", depth.stride)));
    }
    let whole = (n - 1) * depth.stride + depth.dilation * (kernel - 1) + 1 + more;
    let Some(kept) = whole.checked_sub(2 * depth.padding) else {
        return Err(TensorError::Argument(format!("a padding of {} leaves nothing of {whole}", depth.padding)));
    };
    let planes = x.transpose(1, 2)?.reshape_to(&[batch.saturating_mul(n), c, h, w])?;
    let mut out: Option<Tensor> = None;
    for i in 0..kernel {
        let weight = weight.select(2, i as i64)?;
        let part = k::conv_transpose2d(&planes, &weight, None, [tall, wide], [taller, wider], groups)?;
        let (c, h, w) = (part.size(1)?, part.size(2)?, part.size(3)?);
        let part = part.reshape_to(&[batch, n, c, h, w])?;
        let mut sum = match out {
            Some(sum) => sum,
            None => Tensor::zeros(&[batch, whole, c, h, w], part.dtype())?,
        };
        let first = i * depth.dilation;
        let last = first + (n - 1) * depth.stride + 1;
        let lies = |out: &Tensor| out.slice(1, first as i64, last as i64, depth.stride as i64);
        let both = k::add(&lies(&sum)?, &part)?;
        sum.assign(lies, &both)?;
        out = Some(sum);
    }
    let Some(out) = out else { return Err(TensorError::Argument("a window of no slices".into())) };
    let out = out.narrow(1, depth.padding as i64, kept)?.transpose(1, 2)?;
    match bias {
        Some(bias) => k::add(&out, &bias.reshape_to(&[bias.numel(), 1, 1, 1])?),
        None => Ok(out),
    }
}

/// A convolution by stride, padding and dilation; a transposed one has an output padding.
pub fn plain(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: &[Vec<i64>; 3],
    output_padding: Option<&Vec<i64>>,
    groups: usize,
) -> OpResult {
    let [stride, padding, dilation] = windows.each_ref().map(|list| Ints::from_slice(list));
    let windows = Windows { stride, padding, dilation };
    match output_padding {
        Some(more) => transposed(x, weight, bias, &windows, &Ints::from_slice(more), groups),
        None => forward(x, weight, bias, &windows, groups, Then::default()),
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

/// `conv1d`, `conv2d` and `conv3d`; the padding may be the text `same` or `valid`.
pub fn conv(a: &Args<'_>) -> OpResult {
    let (mut x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (stride, dilation, groups) = (a.ints(3)?, a.ints(5)?, a.count(6)?);
    let padding: Ints = match a.get(4) {
        Value::Str(text) if &**text == "valid" => Ints::from_slice(&[0]),
        Value::Str(text) if &**text == "same" => {
            let mut padding = Ints::new();
            // A window of even width sees one element more behind the input than before it.
            let mut behind = Ints::new();
            for (axis, &kernel) in weight.shape().iter().skip(2).enumerate() {
                let total = along(&dilation, axis, "dilation")?.saturating_mul(kernel.saturating_sub(1));
                padding.push(total as i64 / 2);
                behind.insert_many(0, [0, total as i64 % 2]);
            }
            if behind.contains(&1) {
                x = Cow::Owned(k::pad(&x, &behind, k::PadMode::Constant(Scalar::Int(0))).map_err(say)?);
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

/// Values and where they lie, as `return_indices=True` asks.
pub fn max_pool1d_with_indices(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?.unsqueeze(-2).map_err(say)?;
    let (values, indices) =
        k::max_pool2d_indices(&x, [Pool::new(1), pool(a, 0, Some(&a.ints(4)?), 5)?]).map_err(say)?;
    pair_of(values.squeeze(&[-2]).map_err(say)?, indices.squeeze(&[-2]).map_err(say)?)
}

pub fn max_pool2d_with_indices(a: &Args<'_>) -> OpResult {
    let dilation = a.ints(4)?;
    let windows = [pool(a, 0, Some(&dilation), 5)?, pool(a, 1, Some(&dilation), 5)?];
    let (values, indices) = k::max_pool2d_indices(&*a.tensor(0)?, windows).map_err(say)?;
    pair_of(values, indices)
}

/// Puts values back where they were found; the rest is 0.
pub fn max_unpool2d(a: &Args<'_>) -> OpResult {
    let (x, indices, size) = (a.tensor(0)?, a.tensor(1)?, a.sizes(2)?);
    let [h, w] = size[..] else { return Err(format!("output_size has {} numbers", size.len())) };
    if x.rank() < 3 || x.shape() != indices.shape() {
        return Err(format!("values of shape {:?} with indices of shape {:?}", x.shape(), indices.shape()));
    }
    let lead = x.rank() - 2;
    let mut flat = x.shape()[..lead].to_vec();
    flat.push(h.checked_mul(w).ok_or("the output_size is too large")?);
    let mut shape = x.shape()[..lead].to_vec();
    shape.extend([h, w]);
    let made = || {
        let (values, indices) = (x.flatten(-2, -1)?, indices.flatten(-2, -1)?);
        k::scatter(&Tensor::zeros(&flat, x.dtype())?, -1, &indices, &values)?.reshape_to(&shape)
    };
    ok(made())
}

/// A pooling of `[n, c, d, h, w]` (or without `n`) as one over planes and one over depth: both kinds are separable.
fn in_two_steps(
    x: &Tensor,
    planes: impl Fn(&Tensor) -> stark_kernels::Result<Tensor>,
    depth: impl Fn(&Tensor) -> stark_kernels::Result<Tensor>,
) -> stark_kernels::Result<Tensor> {
    let (rank, shape) = (x.rank(), x.shape());
    if rank != 4 && rank != 5 {
        return Err(TensorError::Argument(format!("needs rank 4 or 5, not shape {shape:?}")));
    }
    let lead = shape[..rank - 3].iter().fold(1usize, |n, &size| n.saturating_mul(size));
    let y = planes(&x.reshape_to(&[lead, shape[rank - 3], shape[rank - 2], shape[rank - 1]])?)?;
    let (h, w) = (y.size(2)?, y.size(3)?);
    let y = depth(&y.reshape_to(&[lead, 1, shape[rank - 3], h.saturating_mul(w)])?)?;
    let mut out = shape[..rank - 3].to_vec();
    out.extend([y.size(2)?, h, w]);
    y.reshape_to(&out)
}

/// The greatest of each window along the last one, two or three axes.
pub fn max_over(x: &Tensor, windows: &[Pool]) -> stark_kernels::Result<Tensor> {
    match *windows {
        [line] => k::max_pool1d(x, line),
        [tall, wide] => k::max_pool2d(x, [tall, wide]),
        [depth, tall, wide] => {
            let over_depth = |x: &Tensor| k::max_pool2d(x, [depth, Pool::new(1)]);
            in_two_steps(x, |x| k::max_pool2d(x, [tall, wide]), over_depth)
        }
        _ => Err(TensorError::Argument(format!("windows over {} axes", windows.len()))),
    }
}

/// The mean of each window along the last one, two or three axes.
pub fn mean_over(x: &Tensor, windows: &[Pool], average: k::Average) -> stark_kernels::Result<Tensor> {
    match *windows {
        [line] => k::avg_pool1d(x, line, average),
        [tall, wide] => k::avg_pool2d(x, [tall, wide], average),
        [depth, tall, wide] => {
            // The divisor of both steps together.
            let once = k::Average { divisor: average.divisor.map(|_| 1), ..average };
            let over_depth = |x: &Tensor| k::avg_pool2d(x, [depth, Pool::new(1)], average);
            in_two_steps(x, |x| k::avg_pool2d(x, [tall, wide], once), over_depth)
        }
        _ => Err(TensorError::Argument(format!("windows over {} axes", windows.len()))),
    }
}

pub fn max_pool3d(a: &Args<'_>) -> OpResult {
    let dilation = a.ints(4)?;
    let at = |axis| pool(a, axis, Some(&dilation), 5);
    ok(max_over(&*a.tensor(0)?, &[at(0)?, at(1)?, at(2)?]))
}

pub fn max_pool3d_with_indices(a: &Args<'_>) -> OpResult {
    let dilation = a.ints(4)?;
    let at = |axis| pool(a, axis, Some(&dilation), 5);
    super::volumes::max_pool3d_indices(&*a.tensor(0)?, [at(0)?, at(1)?, at(2)?])
}

/// Always gives the indices as well.
pub fn adaptive_max_pool3d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    super::volumes::adaptive_max_pool3d(&x, cube(a, &x)?)
}

pub fn avg_pool3d(a: &Args<'_>) -> OpResult {
    let windows = [pool(a, 0, None, 4)?, pool(a, 1, None, 4)?, pool(a, 2, None, 4)?];
    signed(a, mean_over(&*a.tensor(0)?, &windows, average(a)?))
}

/// The sizes asked for along three axes; `None` keeps the input's.
fn cube(a: &Args<'_>, x: &Tensor) -> Result<[usize; 3], String> {
    let items: Vec<Value> = match a.get(1) {
        Value::List(list) => list.items().clone(),
        Value::Tuple(tuple) => tuple.items.clone(),
        one => vec![one.clone(); 3],
    };
    let [d, h, w] = &items[..] else { return Err(format!("output_size has {} numbers", items.len())) };
    Ok([size_along(x, d, -3)?, size_along(x, h, -2)?, size_along(x, w, -1)?])
}

pub fn adaptive_avg_pool3d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let [d, h, w] = cube(a, &x)?;
    let over_depth = |x: &Tensor| k::adaptive_avg_pool2d(x, [d, x.size(3)?]);
    ok(in_two_steps(&x, |x| k::adaptive_avg_pool2d(x, [h, w]), over_depth))
}

/// Windows of planes side by side as columns: `[n, c, h, w]` to `[n, c * kh * kw, places]`.
pub fn im2col(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let grid = Columns::read(a, 1)?;
    let made = || {
        let (batched, x) = (x.rank() == 4, if x.rank() == 3 { x.unsqueeze(0)? } else { x.clone().into_owned() });
        let [n, c, h, w] = *x.shape() else {
            return Err(TensorError::Argument(format!("needs planes, not shape {:?}", x.shape())));
        };
        let [tall, wide] = grid.places([h, w])?;
        let [py, px] = grid.padding;
        let x = k::pad(&x, &[px as i64, px as i64, py as i64, py as i64], k::PadMode::Constant(Scalar::Int(0)))?;
        let parts = grid.parts([tall, wide]).map(|part| part(&x)).collect::<stark_kernels::Result<Vec<_>>>()?;
        let columns = k::stack(&parts.iter().collect::<Vec<_>>(), 2)?;
        let rows = c.saturating_mul(grid.kernel[0] * grid.kernel[1]);
        let columns = columns.reshape_to(&[n, rows, tall.saturating_mul(wide)])?;
        if batched { Ok(columns) } else { columns.squeeze(&[0]) }
    };
    ok(made())
}

/// The sum of columns at the places that [`im2col`] took them from.
pub fn col2im(a: &Args<'_>) -> OpResult {
    let (x, size) = (a.tensor(0)?, a.sizes(1)?);
    let [h, w] = size[..] else { return Err(format!("output_size has {} numbers", size.len())) };
    let grid = Columns::read(a, 2)?;
    let made = || {
        let (batched, x) = (x.rank() == 3, if x.rank() == 2 { x.unsqueeze(0)? } else { x.clone().into_owned() });
        let [tall, wide] = grid.places([h, w])?;
        let [kh, kw] = grid.kernel;
        let [n, rows, places] = *x.shape() else {
            return Err(TensorError::Argument(format!("needs columns, not shape {:?}", x.shape())));
        };
        let n_places = tall.saturating_mul(wide);
        if rows == 0 || rows % (kh * kw) != 0 || places != n_places {
            let wanted = format!("[_, _ * {}, {n_places}]", kh * kw);
            return Err(TensorError::Argument(format!("columns of shape {:?}, not {wanted}", x.shape())));
        }
        let c = rows / (kh * kw);
        let parts = x.reshape_to(&[n, c, kh * kw, tall, wide])?;
        let [py, px] = grid.padding;
        let mut out = Tensor::zeros(&[n, c, h.saturating_add(2 * py), w.saturating_add(2 * px)], x.dtype())?;
        for (i, part) in grid.parts([tall, wide]).enumerate() {
            let sum = k::add(&part(&out)?, &parts.select(2, i as i64)?)?;
            out.assign(&part, &sum)?;
        }
        let out = out.narrow(2, py as i64, h)?.narrow(3, px as i64, w)?.contiguous()?;
        if batched { Ok(out) } else { out.squeeze(&[0]) }
    };
    ok(made())
}

/// Kernel, dilation, padding and stride of [`im2col`] and its reverse.
struct Columns {
    kernel: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    stride: [usize; 2],
}

impl Columns {
    fn read(a: &Args<'_>, at: usize) -> Result<Columns, String> {
        let two = |index: usize| -> Result<[usize; 2], String> {
            let (list, name) = (a.ints(index)?, a.row.args[index].name);
            Ok([along(&list, 0, name)?, along(&list, 1, name)?])
        };
        let this = Columns { kernel: two(at)?, dilation: two(at + 1)?, padding: two(at + 2)?, stride: two(at + 3)? };
        let numbers = [this.kernel, this.dilation, this.stride, this.padding];
        // Far above what fits any memory, and far below what overflows.
        if numbers.iter().flatten().any(|&n| n > 1 << 24) || numbers[..3].iter().flatten().any(|&n| n == 0) {
            return Err("sizes of windows must be from 1 to 2^24".into());
        }
        // Each of its elements is a view.
        if this.kernel[0] * this.kernel[1] > 1 << 20 {
            return Err(format!("windows of {:?} have more than 2^20 elements", this.kernel));
        }
        Ok(this)
    }

    /// How many windows there are along both axes.
    fn places(&self, size: [usize; 2]) -> stark_kernels::Result<[usize; 2]> {
        let along = |i: usize| {
            let n = size[i].saturating_add(2 * self.padding[i]);
            let reach = self.dilation[i] * (self.kernel[i] - 1) + 1;
            n.checked_sub(reach).map(|room| room / self.stride[i] + 1)
        };
        match (along(0), along(1)) {
            (Some(tall), Some(wide)) => Ok([tall, wide]),
            _ => Err(TensorError::Argument(format!("windows of {:?} do not fit planes of {size:?}", self.kernel))),
        }
    }

    /// For each element of the window, the view of all those elements.
    fn parts(
        &self,
        [tall, wide]: [usize; 2],
    ) -> impl Iterator<Item = impl Fn(&Tensor) -> stark_kernels::Result<Tensor>> {
        let ([kh, kw], [dy, dx], [sy, sx]) = (self.kernel, self.dilation, self.stride);
        (0..kh * kw).map(move |i| {
            move |x: &Tensor| {
                let (y, z) = (i / kw * dy, i % kw * dx);
                let rows = x.slice(2, y as i64, (y + (tall - 1) * sy + 1) as i64, sy as i64)?;
                rows.slice(3, z as i64, (z + (wide - 1) * sx + 1) as i64, sx as i64)
            }
        })
    }
}

fn average(a: &Args<'_>) -> Result<k::Average, String> {
    let divisor = match a.values.get(6) {
        Some(Value::None) | None => None,
        // One below 0 turns the signs, which `signed` does.
        Some(_) => Some(a.int(6)?.unsigned_abs() as usize),
    };
    Ok(k::Average { count_padding: a.bool(5)?, divisor })
}

fn signed(a: &Args<'_>, out: stark_kernels::Result<Tensor>) -> OpResult {
    match a.opt_int(6)? {
        Some(divisor) if divisor < 0 => ok(out.and_then(|t| k::neg(&t))),
        _ => ok(out),
    }
}

pub fn avg_pool1d(a: &Args<'_>) -> OpResult {
    ok(k::avg_pool1d(&*a.tensor(0)?, pool(a, 0, None, 4)?, average(a)?))
}

pub fn avg_pool2d(a: &Args<'_>) -> OpResult {
    signed(a, k::avg_pool2d(&*a.tensor(0)?, [pool(a, 0, None, 4)?, pool(a, 1, None, 4)?], average(a)?))
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
    Ok([size_along(x, h, -2)?, size_along(x, w, -1)?])
}

fn size_along(x: &Tensor, wanted: &Value, axis: i64) -> Result<usize, String> {
    match wanted {
        Value::None => x.size(axis).map_err(say),
        other => {
            let number = other.scalar().map(Scalar::to_i64).ok_or("output_size is no number")?;
            usize::try_from(number).map_err(|_| format!("output_size is {number}"))
        }
    }
}

pub fn adaptive_avg_pool2d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::adaptive_avg_pool2d(&x, grid(a, &x)?))
}

pub fn adaptive_max_pool1d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?.unsqueeze(-2).map_err(say)?;
    let size = along(&a.ints(1)?, 0, "output_size")?;
    let (values, indices) = k::adaptive_max_pool2d_indices(&x, [1, size]).map_err(say)?;
    pair_of(values.squeeze(&[-2]).map_err(say)?, indices.squeeze(&[-2]).map_err(say)?)
}

/// Always gives the indices as well.
pub fn adaptive_max_pool2d(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (values, indices) = k::adaptive_max_pool2d_indices(&x, grid(a, &x)?).map_err(say)?;
    pair_of(values, indices)
}
