//! Convolution and pooling. ONNX pads each side of an axis by its own amount and has any number of axes; the
//! kernels pad both sides alike and have one or two, so the rest is padded before, made in steps, or walked here.

use std::ops::Range;

use smallvec::SmallVec;
use stark_kernels::ops as k;
use stark_kernels::{Conv, DType, Pool, Scalar, Tensor};
use stark_shapes::rules;

use super::math::{Reduce, reduce_over};
use super::shape::product;
use crate::ops::args::Ints;
use crate::ops::tensor::{ok, say};
use crate::ops::window::{max_over, mean_over};
use crate::ops::{Args, OpResult, Worked};
use crate::value::Value;

/// A window along each spatial axis.
#[derive(Debug, Clone)]
pub struct Windows {
    kernel: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    begin: Vec<i64>,
    end: Vec<i64>,
}

/// How many elements the windows of one pooling may meet together.
const MAX_POOLING: usize = 1 << 38;

/// A plane with its padding written out has at most so many elements, or 16 times those that it had.
const MAX_WRITTEN: usize = 1 << 16;

/// Positions of the attributes among the arguments.
pub struct At {
    pub auto_pad: usize,
    pub dilations: usize,
    pub kernel_shape: usize,
    pub pads: usize,
    pub strides: usize,
}

impl At {
    /// All attributes; the strides are the last ones.
    fn range(&self) -> Range<usize> {
        self.auto_pad..self.strides + 1
    }
}

fn list(a: &Args<'_>, index: usize, n: usize, default: i64) -> Result<Ints, String> {
    match a.opt_ints(index)? {
        Some(ints) if ints.len() == n => Ok(ints),
        Some(ints) => Err(format!("argument `{}` has {} numbers, not {n}", a.row.args[index].name, ints.len())),
        None => Ok(Ints::from_elem(default, n)),
    }
}

fn at_least_one(ints: Ints, what: &str) -> Result<Vec<usize>, String> {
    let one = |&n: &i64| usize::try_from(n).ok().filter(|&n| n > 0).ok_or_else(|| format!("{what} {n}"));
    ints.iter().map(one).collect()
}

impl Windows {
    pub fn read(a: &Args<'_>, at: &At, sizes: &[usize], kernel: Vec<usize>) -> Result<Windows, String> {
        let n = sizes.len();
        if n == 0 || kernel.len() != n {
            return Err(format!("a window of {} axes over {n}", kernel.len()));
        }
        let stride = at_least_one(list(a, at.strides, n, 1)?, "stride")?;
        let dilation = at_least_one(list(a, at.dilations, n, 1)?, "dilation")?;
        let pads = list(a, at.pads, 2 * n, 0)?;
        let (mut begin, mut end) = (pads[..n].to_vec(), pads[n..].to_vec());
        match a.str(at.auto_pad)? {
            "NOTSET" | "" => {}
            "VALID" => (begin, end) = (vec![0; n], vec![0; n]),
            mode @ ("SAME_UPPER" | "SAME_LOWER") => {
                for i in 0..n {
                    let needed = (sizes[i].div_ceil(stride[i]).saturating_sub(1)).saturating_mul(stride[i]);
                    let span = (kernel[i].saturating_sub(1)).saturating_mul(dilation[i]).saturating_add(1);
                    let total = needed.saturating_add(span).saturating_sub(sizes[i]) as i64;
                    (begin[i], end[i]) = if mode == "SAME_UPPER" {
                        (total / 2, total - total / 2)
                    } else {
                        (total - total / 2, total / 2)
                    };
                }
            }
            other => return Err(format!("auto_pad `{other}` is not known")),
        }
        if begin.iter().chain(&end).any(|p| !(0..1 << 32).contains(p)) || kernel.contains(&0) {
            return Err(format!("pads {begin:?} and {end:?} around a window of {kernel:?}"));
        }
        Ok(Windows { kernel, stride, dilation, begin, end })
    }

    /// As [`Windows::read`], for weights whose window an attribute may tell once more.
    fn of_weight(a: &Args<'_>, at: &At, sizes: &[usize], kernel: &[usize]) -> Result<Windows, String> {
        match a.opt_ints(at.kernel_shape)? {
            Some(told) if told.len() != kernel.len() || told.iter().zip(kernel).any(|(&t, &k)| t != k as i64) => {
                Err(format!("kernel_shape is {:?}, but the weight has a window of {kernel:?}", told.to_vec()))
            }
            _ => Windows::read(a, at, sizes, kernel.to_vec()),
        }
    }

    /// How far the window reaches along an axis.
    fn span(&self, i: usize) -> usize {
        (self.kernel[i].saturating_sub(1)).saturating_mul(self.dilation[i]).saturating_add(1)
    }

    fn is_even(&self) -> bool {
        self.begin == self.end
    }

    /// How many windows of a pooling there are along each axis.
    fn out_sizes(&self, sizes: &[usize], ceil_mode: bool) -> Result<Vec<usize>, String> {
        let out_size = |(i, &n): (usize, &usize)| {
            let span = self.span(i);
            let padded = n + self.begin[i] as usize + self.end[i] as usize;
            let room = padded.checked_sub(span).ok_or_else(|| format!("a window of {span} over {padded} elements"))?;
            let mut out = if ceil_mode { room.div_ceil(self.stride[i]) } else { room / self.stride[i] } + 1;
            // The last window must begin inside the input or the padding before it.
            if ceil_mode && (out - 1) * self.stride[i] >= n + self.begin[i] as usize {
                out -= 1;
            }
            Ok(out)
        };
        sizes.iter().enumerate().map(out_size).collect()
    }

    fn conv(&self, i: usize, padding: usize) -> Conv {
        Conv { stride: self.stride[i], padding, dilation: self.dilation[i] }
    }

    /// `x` with the padding written out.
    fn padded(&self, x: &Tensor, value: Scalar) -> Result<Tensor, String> {
        let pairs: Vec<i64> = (0..self.kernel.len()).rev().flat_map(|i| [self.begin[i], self.end[i]]).collect();
        if pairs.iter().all(|&p| p == 0) {
            return Ok(x.clone());
        }
        k::pad(x, &pairs, k::PadMode::Constant(value)).map_err(say)
    }
}

fn spatial(x: &Tensor) -> Result<&[usize], String> {
    x.shape()
        .get(2..)
        .filter(|sizes| !sizes.is_empty())
        .ok_or_else(|| format!("takes [batch, channels, …], not shape {:?}", x.shape()))
}

pub fn conv(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let at = At { auto_pad: 3, dilations: 4, kernel_shape: 6, pads: 7, strides: 8 };
    ok(conv_with(a, at, a.count(5)?, &x, &weight, bias.as_deref()).map_err(Said))
}

/// A reason that already is text.
struct Said(String);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub fn conv_with(
    a: &Args<'_>,
    at: At,
    groups: usize,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor, String> {
    let sizes = spatial(x)?;
    let kernel = spatial(weight)?;
    let both: SmallVec<[usize; 8]> = sizes.iter().chain(kernel).copied().collect();
    let windows = &*a.once(at.range(), &both, || Windows::of_weight(a, &at, sizes, kernel))?;
    let even = windows.is_even();
    let wide;
    let x = if even && sizes.len() < 3 {
        x
    } else {
        wide = windows.padded(x, Scalar::Int(0))?;
        &wide
    };
    let padding = |i: usize| if even { windows.begin[i] as usize } else { 0 };
    match sizes.len() {
        1 => k::conv1d(x, weight, bias, windows.conv(0, padding(0)), groups).and_then(|out| a.then.apply(out)),
        2 => {
            let windows = [windows.conv(0, padding(0)), windows.conv(1, padding(1))];
            a.then.conv2d(x, weight, bias, windows, groups)
        }
        3 => conv3d(x, weight, bias, windows, groups).and_then(|out| a.then.apply(out)),
        n => return Err(format!("a convolution over {n} axes is not supported")),
    }
    .map_err(say)
}

/// One plane of the window at a time: the frames it meets are a batch of images. `x` is padded already.
fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: &Windows,
    groups: usize,
) -> stark_kernels::Result<Tensor> {
    let (n, depth) = (x.size(0)?, x.size(2)?);
    let span = windows.span(0);
    let Some(room) = depth.checked_sub(span) else {
        return Err(stark_kernels::TensorError::Argument(format!("a window of depth {span} over {depth} frames")));
    };
    let frames = room / windows.stride[0] + 1;
    let flat = [windows.conv(1, 0), windows.conv(2, 0)];
    let mut total: Option<Tensor> = None;
    for plane in 0..windows.kernel[0] {
        let first = plane * windows.dilation[0];
        let last = first + (frames - 1) * windows.stride[0] + 1;
        let met = x.slice(2, first as i64, last as i64, windows.stride[0] as i64)?.permute(&[0, 2, 1, 3, 4])?;
        let images = met.reshape_to(&[n * frames, x.size(1)?, x.size(3)?, x.size(4)?])?;
        let part = k::conv2d(&images, &weight.select(2, plane as i64)?, bias.filter(|_| plane == 0), flat, groups)?;
        total = Some(match total {
            Some(total) => k::add(&total, &part)?,
            None => part,
        });
    }
    let Some(total) = total else { return Err(stark_kernels::TensorError::Argument("a window of depth 0".into())) };
    let (c, h, w) = (total.size(1)?, total.size(2)?, total.size(3)?);
    total.reshape_to(&[n, frames, c, h, w])?.permute(&[0, 2, 1, 3, 4])?.contiguous()
}

pub fn conv_transpose(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let sizes = spatial(&x)?;
    let n = sizes.len();
    let groups = a.count(5)?;
    let extra: Vec<usize> = list(a, 7, n, 0)?
        .iter()
        .map(|&e| usize::try_from(e).map_err(|_| format!("output_padding {e}")))
        .collect::<Result<_, _>>()?;
    let at = At { auto_pad: 3, dilations: 4, kernel_shape: 6, pads: 9, strides: 10 };
    let mut windows = Windows::of_weight(a, &at, sizes, spatial(&weight)?)?;
    let same = a.str(3)?.starts_with("SAME");
    if same || !a.is_none(8) {
        let shape = list(a, 8, n, 0)?;
        for i in 0..n {
            let reach = (sizes[i].saturating_sub(1)).saturating_mul(windows.stride[i]).saturating_add(windows.span(i));
            let full = reach.saturating_add(extra[i]);
            let most = reach.saturating_add(extra[i].max(windows.stride[i] - 1));
            let wanted = if a.is_none(8) { sizes[i].saturating_mul(windows.stride[i]) as i64 } else { shape[i] };
            if !a.is_none(8) && usize::try_from(wanted).ok().is_none_or(|wanted| wanted == 0 || wanted > most) {
                return Err(format!("output_shape is {wanted} on axis {}, where pads can give 1 to {most}", i + 2));
            }
            let total = i64::try_from(full).unwrap_or(i64::MAX).saturating_sub(wanted);
            if total < 0 {
                // More than the window reaches: zeros follow.
                (windows.begin[i], windows.end[i]) = (0, total);
                continue;
            }
            let (less, more) = (total / 2, total - total / 2);
            (windows.begin[i], windows.end[i]) = if a.str(3)? == "SAME_UPPER" { (less, more) } else { (more, less) };
        }
    }
    let even = windows.is_even() && n < 3 && extra.iter().all(|&e| e == 0);
    let padding = |i: usize| if even { windows.begin[i] as usize } else { 0 };
    let grows = windows.end.iter().any(|&end| end < 0);
    let b = bias.as_deref().filter(|_| !grows);
    let out = match n {
        1 => k::conv_transpose1d(&x, &weight, b, windows.conv(0, padding(0)), extra[0], groups),
        2 => {
            let w = [windows.conv(0, padding(0)), windows.conv(1, padding(1))];
            k::conv_transpose2d(&x, &weight, b, w, [extra[0], extra[1]], groups)
        }
        3 => conv_transpose3d(&x, &weight, b, &windows, [extra[0], extra[1], extra[2]], groups),
        n => return Err(format!("a transposed convolution over {n} axes is not supported")),
    };
    let out = out.map_err(say)?;
    if even {
        return Ok(Value::Tensor(out));
    }
    // Padding cuts off what was made too much.
    let pairs: Vec<i64> = (0..n).rev().flat_map(|i| [-windows.begin[i], -windows.end[i]]).collect();
    let out = k::pad(&out, &pairs, k::PadMode::Constant(Scalar::Int(0)));
    match bias.filter(|_| grows) {
        Some(bias) => {
            let mut sizes = vec![1; n + 2];
            sizes[1] = bias.numel();
            ok(out.and_then(|out| k::add(&out, &bias.reshape_to(&sizes)?)))
        }
        None => ok(out),
    }
}

/// One plane of the window at a time: each frame of the input adds one frame to the result.
fn conv_transpose3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    windows: &Windows,
    extra: [usize; 3],
    groups: usize,
) -> stark_kernels::Result<Tensor> {
    let (n, frames, stride) = (x.size(0)?, x.size(2)?, windows.stride[0]);
    let flat = [windows.conv(1, 0), windows.conv(2, 0)];
    let images = x.permute(&[0, 2, 1, 3, 4])?.reshape_to(&[n * frames, x.size(1)?, x.size(3)?, x.size(4)?])?;
    let span = windows.span(0);
    let depth = frames.saturating_sub(1).saturating_mul(stride).saturating_add(span).saturating_add(extra[0]);
    let mut total: Option<Tensor> = None;
    for plane in 0..windows.kernel[0] {
        let part =
            k::conv_transpose2d(&images, &weight.select(2, plane as i64)?, None, flat, [extra[1], extra[2]], groups)?;
        let (c, h, w) = (part.size(1)?, part.size(2)?, part.size(3)?);
        let part = part.reshape_to(&[n, frames, c, h, w])?;
        let mut sum = match total {
            Some(total) => total,
            None => Tensor::zeros(&[n, depth, c, h, w], x.dtype())?,
        };
        let first = (plane * windows.dilation[0]) as i64;
        let last = first + (frames.saturating_sub(1) * stride) as i64 + 1;
        let met = |t: &Tensor| t.slice(1, first, last, stride as i64);
        let added = k::add(&met(&sum)?, &part)?;
        sum.assign(met, &added)?;
        total = Some(sum);
    }
    let Some(total) = total else { return Err(stark_kernels::TensorError::Argument("a window of depth 0".into())) };
    let out = total.permute(&[0, 2, 1, 3, 4])?.contiguous()?;
    match bias {
        Some(bias) => k::add(&out, &bias.reshape(&[1, -1, 1, 1, 1])?),
        None => Ok(out),
    }
}

// ---- pooling --------------------------------------------------------------------------------------

struct Pooling<'a> {
    x: &'a Tensor,
    windows: Worked<'a, Windows>,
    ceil_mode: bool,
}

impl Pooling<'_> {
    /// The input and the windows as the kernels take them: padding that differs from side to side, or is more than half of a
    /// window, is written out as `filler`. `None` where they cannot do it.
    fn plain(&self, filler: f64) -> Result<Option<(Tensor, SmallVec<[Pool; 3]>)>, String> {
        let w = &*self.windows;
        let n = w.kernel.len();
        let is_usual = w.is_even() && (0..n).all(|i| w.begin[i] as usize <= w.kernel[i] / 2);
        // Where the last window may begin is told by the input's own size; and padding may be far larger than that.
        let sizes = &self.x.shape()[2..];
        let padded = |i: usize| sizes[i].saturating_add((w.begin[i] + w.end[i]) as usize);
        let is_large =
            (0..n).fold(1, |all: usize, i| all.saturating_mul(padded(i))) > MAX_WRITTEN.max(16 * product(sizes));
        if n > 3 || !self.x.dtype().is_float() || !is_usual && (self.ceil_mode || is_large) {
            return Ok(None);
        }
        let window = |i: usize| Pool {
            kernel: w.kernel[i],
            stride: w.stride[i],
            padding: if is_usual { w.begin[i] as usize } else { 0 },
            dilation: w.dilation[i],
            ceil_mode: self.ceil_mode,
        };
        let x = if is_usual { self.x.clone() } else { w.padded(self.x, Scalar::Float(filler))? };
        Ok(Some((x, (0..n).map(window).collect())))
    }

    /// How many elements of the input each window sees.
    fn counts(&self, pools: &[Pool]) -> Result<Tensor, String> {
        let shape = [&[1, 1], &self.x.shape()[2..]].concat();
        let ones = self.windows.padded(&Tensor::ones(&shape, self.x.dtype()).map_err(say)?, Scalar::Float(0.0))?;
        mean_over(&ones, pools, k::Average { count_padding: true, divisor: Some(1) }).map_err(say)
    }

    /// Calls `visit(plane, window)` for each window with the places inside the plane, and how many places
    /// count when padding does; gives results and a shape.
    fn walk(
        &self,
        mut visit: impl FnMut(&[f64], &[usize], usize) -> (f64, i64),
    ) -> Result<(Vec<f64>, Vec<i64>, Vec<usize>), String> {
        let w = &*self.windows;
        let ins = &self.x.shape()[2..];
        let outs = w.out_sizes(ins, self.ceil_mode)?;
        let shape: Vec<usize> = [&self.x.shape()[..2], &outs[..]].concat();
        // Asked for before it is filled, so that a size beyond the limit is an error.
        let n = rules::numel(&shape).map_err(say)?;
        Tensor::zeros(&shape, DType::F64).map_err(say)?;
        let data = self.x.to(DType::F64).and_then(|x| x.to_vec::<f64>()).map_err(say)?;
        let size = product(ins);
        let (mut values, mut places) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut window: Vec<usize> = Vec::new();
        let n_out = product(&outs);
        let n_taps = product(&w.kernel);
        if n == 0 {
            return Ok((values, places, shape));
        }
        for (number, plane) in data.chunks(size.max(1)).enumerate() {
            for out in 0..n_out {
                window.clear();
                let mut counted = 0;
                'taps: for tap in 0..n_taps {
                    let (mut out, mut tap, mut place, mut step) = (out, tap, 0, 1);
                    let (mut inside, mut padded) = (true, true);
                    for i in (0..ins.len()).rev() {
                        let start = (out % outs[i]) * w.stride[i];
                        let at = start + (tap % w.kernel[i]) * w.dilation[i];
                        let begin = w.begin[i] as usize;
                        padded &= at < ins[i] + begin + w.end[i] as usize;
                        inside &= at >= begin && at < ins[i] + begin;
                        if !padded {
                            continue 'taps;
                        }
                        if inside {
                            place += (at - begin) * step;
                        }
                        step *= ins[i];
                        (out, tap) = (out / outs[i], tap / w.kernel[i]);
                    }
                    counted += 1;
                    if inside {
                        window.push(place);
                    }
                }
                let (value, place) = visit(plane, &window, counted);
                values.push(value);
                places.push(place + (number * size) as i64);
            }
        }
        Ok((values, places, shape))
    }

    fn values(&self, visit: impl FnMut(&[f64], &[usize], usize) -> (f64, i64)) -> OpResult {
        let (values, _, shape) = self.walk(visit)?;
        ok(Tensor::from_vec(values, &shape).and_then(|y| y.to(self.x.dtype())))
    }
}

fn pooling<'a>(a: &Args<'a>, x: &'a Tensor, at: At, ceil_mode: bool) -> Result<Pooling<'a>, String> {
    let sizes = spatial(x)?;
    let read = || {
        let kernel = at_least_one(a.ints(at.kernel_shape)?, "window")?;
        let taps = product(&kernel);
        let windows = Windows::read(a, &at, sizes, kernel)?;
        let pad = |i: usize| windows.begin[i].max(windows.end[i]) as usize;
        // Such a window would see nothing but padding.
        if let Some(i) = (0..sizes.len()).find(|&i| pad(i) >= windows.span(i)) {
            let (pad, span) = (pad(i), windows.span(i));
            return Err(format!("pads of {pad} on axis {} are no less than its window, which spans {span}", i + 2));
        }
        // A window reaches over padding that no memory stands for, so its work is bounded here.
        let places = product(&windows.out_sizes(sizes, ceil_mode)?);
        if places.saturating_mul(taps).saturating_mul(product(&x.shape()[..2])) > MAX_POOLING {
            return Err(format!("a window of {taps} elements at so many places is more than {MAX_POOLING} steps"));
        }
        Ok(windows)
    };
    Ok(Pooling { x, windows: a.once(at.range(), x.shape(), read)?, ceil_mode })
}

/// The greatest of each window; with its place in the whole input when that is asked for.
pub fn max_pool(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let pool = pooling(a, &x, At { auto_pad: 1, dilations: 3, kernel_shape: 4, pads: 5, strides: 7 }, a.bool(2)?)?;
    let wants_places = a.count(8)? > 1;
    // Bytes are exact as floats.
    let is_bytes = matches!(x.dtype(), DType::I8 | DType::U8);
    let wide = if is_bytes && !wants_places { x.to(DType::F32).map_err(say)? } else { x.clone().into_owned() };
    let of_wide = Pooling { x: &wide, ..pool };
    if !wants_places && let Some((wide, pools)) = of_wide.plain(f64::NEG_INFINITY)? {
        return ok(max_over(&wide, &pools).and_then(|out| out.to(x.dtype())));
    }
    let pool = Pooling { x: &x, ..of_wide };
    let column_major = a.bool(6)?;
    let sizes = x.shape()[2..].to_vec();
    let (values, places, shape) = pool.walk(|plane, window, _| {
        let best = window.iter().copied().fold(None, |best, at| match best {
            Some(best) if plane[best] >= plane[at] => Some(best),
            _ => Some(at),
        });
        let Some(best) = best else { return (f64::NEG_INFINITY, 0) };
        let place = if column_major { transposed_place(best, &sizes) } else { best };
        (plane[best], place as i64)
    })?;
    let values = Tensor::from_vec(values, &shape).and_then(|y| y.to(x.dtype())).map_err(say)?;
    if !wants_places {
        return Ok(Value::Tensor(values));
    }
    Value::tuple(vec![Value::Tensor(values), Value::Tensor(Tensor::from_vec(places, &shape).map_err(say)?)])
}

/// A row-major place as a column-major one.
fn transposed_place(mut place: usize, sizes: &[usize]) -> usize {
    let mut coordinates = vec![0; sizes.len()];
    for i in (0..sizes.len()).rev() {
        coordinates[i] = place % sizes[i];
        place /= sizes[i];
    }
    coordinates.iter().zip(sizes).rev().fold(0, |at, (c, n)| at * n + c)
}

pub fn average_pool(a: &Args<'_>) -> OpResult {
    let at = At { auto_pad: 1, dilations: 4, kernel_shape: 5, pads: 6, strides: 7 };
    averaged(a, &*a.tensor(0)?, at, a.bool(2)?, a.bool(3)?)
}

/// The mean of each window of `x`, which may be another tensor than the first argument.
pub fn averaged(a: &Args<'_>, x: &Tensor, at: At, ceil_mode: bool, count_padding: bool) -> OpResult {
    let pool = pooling(a, x, at, ceil_mode)?;
    let is_dense = pool.windows.dilation.iter().all(|&dilation| dilation == 1);
    if is_dense && let Some((x, pools)) = pool.plain(0.0)? {
        let is_written = x.shape() != pool.x.shape();
        if !is_written || count_padding {
            return ok(mean_over(&x, &pools, k::Average { count_padding, divisor: None }));
        }
        let sums = mean_over(&x, &pools, k::Average { count_padding, divisor: Some(1) }).map_err(say)?;
        return ok(k::div(&sums, &pool.counts(&pools)?));
    }
    pool.values(|plane, window, counted| {
        let n = if count_padding { counted } else { window.len() };
        (window.iter().map(|&at| plane[at]).sum::<f64>() / n as f64, 0)
    })
}

pub fn lp_pool(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let pool = pooling(a, &x, At { auto_pad: 1, dilations: 3, kernel_shape: 4, pads: 6, strides: 7 }, a.bool(2)?)?;
    let p = a.float(5)?;
    pool.values(|plane, window, _| (window.iter().map(|&at| plane[at].abs().powf(p)).sum::<f64>().powf(1.0 / p), 0))
}

fn spatial_axes(x: &Tensor) -> Result<Vec<i64>, String> {
    spatial(x)?;
    Ok((2..x.rank() as i64).collect())
}

pub fn global(a: &Args<'_>, how: Reduce) -> OpResult {
    let x = a.tensor(0)?;
    ok(reduce_over(&x, how, &spatial_axes(&x)?, true))
}

pub fn global_lp(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::norm(&x, a.float(1)?, &spatial_axes(&x)?, true))
}
