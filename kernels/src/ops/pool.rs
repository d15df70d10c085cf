//! Pooling of planes `[n, c, h, w]` (or `[c, h, w]`).

use stark_shapes::{DType, Pool, Shape, ShapeError, rules, show};

use crate::accelerator::{self, Kernel as DeviceKernel};
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::batches;
use crate::cpu::math::Real;
use crate::cpu::planes::Planes;
use crate::cpu::pooling::{self, Images};
use crate::element::Elem;
use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_bytes};

/// `f(plane, out)` for every plane of the last two axes.
macro_rules! per_plane {
    ($name:literal, $x:expr, $shape:expr, $T:ident => $f:expr) => {{
        let x: &Tensor = $x;
        match x.dtype() {
            DType::F32 => {
                type $T = f32;
                planes::<f32>(x, $shape, $f)
            }
            DType::F64 => {
                type $T = f64;
                planes::<f64>(x, $shape, $f)
            }
            DType::F16 | DType::BF16 => {
                type $T = f32;
                planes::<f32>(&x.to(DType::F32)?, $shape, $f)?.to(x.dtype())
            }
            other => Err(TensorError::dtype($name, other)),
        }
    }};
}

pub(super) use per_plane;

pub(super) fn planes<T: Real>(x: &Tensor, shape: &[usize], f: impl Fn(&[T], &mut [T]) + Sync) -> Result<Tensor> {
    let x = x.contiguous()?;
    let data = x.slice_of::<T>();
    let mut buffer = Buffer::zeroed::<T>(rules::numel(shape)?)?;
    let out = buffer.as_mut_slice::<T>();
    let rank = shape.len();
    let (from, to) = (x.shape()[rank - 2] * x.shape()[rank - 1], shape[rank - 2] * shape[rank - 1]);
    if !out.is_empty() {
        let n = out.len() / to;
        batches(out, n, (from + to) * 8, |i, out| f(&data[i * from..(i + 1) * from], out));
    }
    Ok(Tensor::from_buffer(buffer, T::DTYPE, shape))
}

/// Gives what an accelerator that has `$x` makes of its planes; halves compute in `Float32`.
macro_rules! offer {
    ($x:ident => $kernel:expr) => {
        if accelerator::of([$x]).is_some() && $x.dtype().is_float() {
            let dtype = $x.dtype();
            let wide = $x.to(super::elementwise::compute_dtype(dtype))?.contiguous()?;
            let $x = &wide;
            if let Some(out) = accelerator::offer([$x], || $kernel)? {
                return out.to(dtype);
            }
        }
    };
}

/// `f(images, out)` for images whose channels lie side by side, as those of the result then do.
fn by_pixels(x: &Tensor, shape: &[usize], f: impl FnOnce(Images, &mut [f32])) -> Result<Tensor> {
    let pixels = x.pixels();
    let (n, c, [h, w], [oh, ow]) = (shape[0], shape[1], last_two(x.shape()), last_two(shape));
    let mut buffer = Buffer::for_overwrite::<f32>(rules::numel(shape)?)?;
    f(Images { data: pixels.slice_of::<f32>(), n, plane: [h, w], c, out: [oh, ow] }, buffer.as_mut_slice::<f32>());
    Ok(Tensor::from_buffer(buffer, DType::F32, &[n, oh, ow, c]).planes())
}

fn has_pixels(x: &Tensor) -> bool {
    x.dtype() == DType::F32 && x.is_channels_last() && !crate::device::is_reference()
}

/// The pooling of planes by vectors, of floats of up to 32 bits and windows that it takes.
fn in_planes(x: &Tensor, windows: [Pool; 2], shape: &[usize]) -> Option<Planes> {
    let is_plain = crate::device::is_reference() || !x.dtype().is_float() || x.dtype() == DType::F64;
    if is_plain { None } else { Planes::new(windows, last_two(x.shape()), last_two(shape)) }
}

/// `f` of all planes as `f32`, to which halves are widened.
pub(super) fn all_planes(x: &Tensor, shape: &[usize], f: impl FnOnce(&[f32], &mut [f32])) -> Result<Tensor> {
    let wide = x.to(DType::F32)?.contiguous()?;
    let mut buffer = Buffer::for_overwrite::<f32>(rules::numel(shape)?)?;
    f(wide.slice_of::<f32>(), buffer.as_mut_slice::<f32>());
    Tensor::from_buffer(buffer, DType::F32, shape).to(x.dtype())
}

/// The greatest element of each window; padding never wins, NaN does.
pub fn max_pool2d(x: &Tensor, windows: [Pool; 2]) -> Result<Tensor> {
    let shape = rules::pool(x.shape(), &windows)?;
    offer!(x => DeviceKernel::MaxPool { x, windows, shape: &shape });
    if has_pixels(x) {
        return by_pixels(x, &shape, |images, out| pooling::max(images, windows, out));
    }
    let [h, w] = last_two(x.shape());
    let [oh, ow] = last_two(&shape);
    let [py, px] = windows;
    if let Some(pooling) = in_planes(x, windows, &shape) {
        return all_planes(x, &shape, |planes, out| pooling.max(planes, out));
    }
    per_plane!("max_pool2d", x, &shape, T => |plane: &[T], out: &mut [T]| {
        for y in 0..oh {
            for z in 0..ow {
                let mut top = T::LOWEST;
                for sy in py.sees(y, h) {
                    for sx in px.sees(z, w) {
                        let v = plane[sy * w + sx];
                        if v > top || v.nan() {
                            top = v;
                        }
                    }
                }
                out[y * ow + z] = top;
            }
        }
    })
}

/// How [`avg_pool2d`] counts.
#[derive(Debug, Clone, Copy)]
pub struct Average {
    /// Padding counts as zeros (PyTorch's default).
    pub count_padding: bool,
    /// Divide by this instead of the number of elements.
    pub divisor: Option<usize>,
}

impl Default for Average {
    fn default() -> Self {
        Average { count_padding: true, divisor: None }
    }
}

/// The mean of each window.
pub fn avg_pool2d(x: &Tensor, windows: [Pool; 2], average: Average) -> Result<Tensor> {
    if windows.iter().any(|w| w.dilation != 1) {
        return Err(TensorError::Unsupported("average pooling has no dilation".into()));
    }
    if average.divisor == Some(0) {
        return Err(TensorError::Argument("the divisor of a mean cannot be 0".into()));
    }
    let shape = rules::pool(x.shape(), &windows)?;
    offer!(x => DeviceKernel::MeanPool { x, windows, average, shape: &shape });
    let [h, w] = last_two(x.shape());
    let [oh, ow] = last_two(&shape);
    let [py, px] = windows;
    // Along one axis: the elements inside, and how many count with padding on both sides.
    let bounds = |p: Pool, at: usize, n: usize| {
        let start = at * p.stride;
        let end = (start + p.kernel).min(n + 2 * p.padding);
        let inside = start.saturating_sub(p.padding).min(n)..end.saturating_sub(p.padding).min(n);
        (inside, end - start)
    };
    if has_pixels(x) {
        let count = |y: usize, z: usize| {
            let ((ys, tall), (xs, wide)) = (bounds(py, y, h), bounds(px, z, w));
            let all = if average.count_padding { tall * wide } else { ys.len() * xs.len() };
            average.divisor.unwrap_or(all)
        };
        return by_pixels(x, &shape, |images, out| {
            pooling::mean(images, [&|y| bounds(py, y, h).0, &|z| bounds(px, z, w).0], &count, out)
        });
    }
    // A window over all of a plane.
    let is_whole = [(py, h), (px, w)].iter().all(|(p, n)| p.kernel == *n && p.padding == 0);
    if is_whole && average.divisor.is_none() && x.dtype().is_float() && !crate::device::is_reference() {
        return crate::ops::mean(x, &[-2, -1], true);
    }
    if let Some(pooling) = in_planes(x, windows, &shape).filter(Planes::has_short_sums) {
        // What a sum is divided by is a number of its row times one of its column.
        let counts = |p: Pool, n: usize, out: usize, divisor: Option<usize>| -> Vec<f32> {
            let count = |at| {
                let (inside, all) = bounds(p, at, n);
                let count = divisor.unwrap_or(if average.count_padding { all } else { inside.len() });
                // A window that sees nothing has a mean of 0, whatever it is divided by.
                if inside.is_empty() { f32::INFINITY } else { count as f32 }
            };
            (0..out).map(count).collect()
        };
        let rows = counts(py, h, oh, average.divisor);
        let columns = counts(px, w, ow, average.divisor.map(|_| 1));
        return all_planes(x, &shape, |planes, out| pooling.mean(planes, &rows, &columns, out));
    }
    per_plane!("avg_pool2d", x, &shape, T => |plane: &[T], out: &mut [T]| {
        for y in 0..oh {
            let (ys, tall) = bounds(py, y, h);
            for z in 0..ow {
                let (xs, wide) = bounds(px, z, w);
                let mut sum = 0.0;
                for sy in ys.clone() {
                    for v in &plane[sy * w..][xs.clone()] {
                        sum += v.to_f64();
                    }
                }
                let count = average.divisor.unwrap_or(if average.count_padding { tall * wide } else { ys.len() * xs.len() });
                out[y * ow + z] = if ys.is_empty() || xs.is_empty() { T::ZERO } else { T::from_f64(sum / count as f64) };
            }
        }
    })
}

pub(super) fn last_two(shape: &[usize]) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

/// `[.., l]` as planes of height 1, and back.
fn lifted(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    f(&x.unsqueeze(-2)?)?.squeeze(&[-2])
}

fn check_line(name: &str, x: &Tensor) -> Result<()> {
    if x.rank() == 2 || x.rank() == 3 {
        return Ok(());
    }
    Err(ShapeError(format!("{name} needs rank 2 or 3, not shape {}", show(x.shape()))).into())
}

pub fn max_pool1d(x: &Tensor, window: Pool) -> Result<Tensor> {
    check_line("max_pool1d", x)?;
    lifted(x, |x| max_pool2d(x, [Pool::new(1), window]))
}

pub fn avg_pool1d(x: &Tensor, window: Pool, average: Average) -> Result<Tensor> {
    check_line("avg_pool1d", x)?;
    lifted(x, |x| avg_pool2d(x, [Pool::new(1), window], average))
}

pub(super) fn adaptive_shape(name: &str, x: &Tensor, size: [usize; 2]) -> Result<Shape> {
    let fits = x.rank() == 3 || x.rank() == 4;
    if !fits || last_two(x.shape()).contains(&0) {
        return Err(ShapeError(format!("{name} needs planes that are not empty, not shape {}", show(x.shape()))).into());
    }
    let mut shape: Shape = x.shape().into();
    let rank = shape.len();
    shape[rank - 2] = size[0];
    shape[rank - 1] = size[1];
    check_bytes(&shape, x.dtype())?;
    Ok(shape)
}

/// Piece `i` when `n` elements are shared out to `out` overlapping pieces.
fn share(i: usize, n: usize, out: usize) -> std::ops::Range<usize> {
    i * n / out..((i + 1) * n).div_ceil(out)
}

/// Means over a grid of `size` pieces, whatever the input's size.
pub fn adaptive_avg_pool2d(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let shape = adaptive_shape("adaptive_avg_pool2d", x, size)?;
    offer!(x => DeviceKernel::AdaptivePool { x, is_max: false, shape: &shape });
    let [h, w] = last_two(x.shape());
    if has_pixels(x) {
        let count = |y, z| share(y, h, size[0]).len() * share(z, w, size[1]).len();
        return by_pixels(x, &shape, |images, out| {
            pooling::mean(images, [&|y| share(y, h, size[0]), &|z| share(z, w, size[1])], &count, out)
        });
    }
    let divides = [h, w].iter().zip(size).all(|(n, size)| size > 0 && n % size == 0);
    if divides && x.dtype().is_float() && !crate::device::is_reference() {
        // Pieces that do not overlap are windows.
        let windows = [Pool::new(h / size[0]), Pool::new(w / size[1])];
        return avg_pool2d(x, windows, Average::default());
    }
    per_plane!("adaptive_avg_pool2d", x, &shape, T => |plane: &[T], out: &mut [T]| {
        for y in 0..size[0] {
            let ys = share(y, h, size[0]);
            for z in 0..size[1] {
                let xs = share(z, w, size[1]);
                let sum: f64 = ys.clone().flat_map(|sy| &plane[sy * w..][xs.clone()]).map(|v| v.to_f64()).sum();
                out[y * size[1] + z] = T::from_f64(sum / (ys.len() * xs.len()) as f64);
            }
        }
    })
}

/// Maxima over a grid of `size` pieces.
pub fn adaptive_max_pool2d(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let shape = adaptive_shape("adaptive_max_pool2d", x, size)?;
    offer!(x => DeviceKernel::AdaptivePool { x, is_max: true, shape: &shape });
    if size == [1, 1] && x.dtype().is_float() {
        return crate::ops::amax(x, &[-2, -1], true);
    }
    let [h, w] = last_two(x.shape());
    per_plane!("adaptive_max_pool2d", x, &shape, T => |plane: &[T], out: &mut [T]| {
        for y in 0..size[0] {
            for z in 0..size[1] {
                let xs = share(z, w, size[1]);
                out[y * size[1] + z] = share(y, h, size[0])
                    .flat_map(|sy| &plane[sy * w..][xs.clone()])
                    .fold(T::LOWEST, |top, v| if *v > top || v.nan() { *v } else { top });
            }
        }
    })
}

/// [`max_pool2d`], and where in its plane each maximum lies (`Int64`, row by row). Of equals the first.
pub fn max_pool2d_indices(x: &Tensor, windows: [Pool; 2]) -> Result<(Tensor, Tensor)> {
    let values = max_pool2d(x, windows)?;
    if values.numel() == 0 {
        return Ok((values.clone(), Tensor::zeros(values.shape(), DType::I64)?));
    }
    let [h, w] = last_two(x.shape());
    let [oh, ow] = last_two(values.shape());
    let ys: Vec<Vec<usize>> = (0..oh).map(|y| windows[0].sees(y, h).collect()).collect();
    let xs: Vec<Vec<usize>> = (0..ow).map(|z| windows[1].sees(z, w).collect()).collect();
    let indices = places_of_max(x, &ys, &xs)?;
    Ok((values, indices))
}

/// [`adaptive_max_pool2d`] and its indices.
pub fn adaptive_max_pool2d_indices(x: &Tensor, size: [usize; 2]) -> Result<(Tensor, Tensor)> {
    let values = adaptive_max_pool2d(x, size)?;
    // A size may be anything where nothing has it.
    if values.numel() == 0 {
        return Ok((values.clone(), Tensor::zeros(values.shape(), DType::I64)?));
    }
    let [h, w] = last_two(x.shape());
    let ys: Vec<Vec<usize>> = (0..size[0]).map(|y| share(y, h, size[0]).collect()).collect();
    let xs: Vec<Vec<usize>> = (0..size[1]).map(|z| share(z, w, size[1]).collect()).collect();
    let indices = places_of_max(x, &ys, &xs)?;
    Ok((values, indices))
}

/// For each pair of rows and columns, where the greatest of their elements lies in its plane.
fn places_of_max(x: &Tensor, ys: &[Vec<usize>], xs: &[Vec<usize>]) -> Result<Tensor> {
    let wide = x.to(DType::F64)?.contiguous()?;
    let data = wide.slice_of::<f64>();
    let [h, w] = last_two(x.shape());
    let mut shape: Shape = x.shape().into();
    let rank = shape.len();
    (shape[rank - 2], shape[rank - 1]) = (ys.len(), xs.len());
    let mut buffer = Buffer::zeroed::<i64>(rules::numel(&shape)?)?;
    let planes = data.chunks((h * w).max(1));
    for (plane, out) in planes.zip(buffer.as_mut_slice::<i64>().chunks_mut((ys.len() * xs.len()).max(1))) {
        for (y, rows) in ys.iter().enumerate() {
            for (z, columns) in xs.iter().enumerate() {
                let mut best: Option<(usize, f64)> = None;
                for at in rows.iter().flat_map(|row| columns.iter().map(move |column| row * w + column)) {
                    let v = plane[at];
                    if best.is_none_or(|(_, top)| v > top || v.is_nan()) {
                        best = Some((at, v));
                    }
                }
                out[y * xs.len() + z] = best.map_or(0, |(at, _)| at as i64);
            }
        }
    }
    Ok(Tensor::from_buffer(buffer, DType::I64, &shape))
}

pub fn adaptive_avg_pool1d(x: &Tensor, size: usize) -> Result<Tensor> {
    check_line("adaptive_avg_pool1d", x)?;
    lifted(x, |x| adaptive_avg_pool2d(x, [1, size]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(values: &[f32], h: usize, w: usize) -> Tensor {
        Tensor::from_slice(values, &[1, h, w]).unwrap()
    }

    fn floats(x: Result<Tensor>) -> Vec<f32> {
        x.unwrap().to_vec().unwrap()
    }

    /// Planes and the same with channels last, for any window that fits.
    #[test]
    fn pooling_is_the_same_in_both_layouts() {
        let x = crate::ops::randn(&[2, 21, 9, 7], 5, DType::F32).unwrap();
        let turned = x.pixels().contiguous().unwrap().planes();
        assert!(turned.is_channels_last());
        let mut n = 0;
        for kernel in 1..4 {
            for (stride, padding, dilation) in (0..12).map(|i| (1 + i % 3, i / 3 % 2, 1 + i / 6)) {
                let pool = Pool { kernel, stride, padding: padding.min(kernel / 2), dilation, ceil_mode: stride == 2 };
                let windows = [pool, Pool { kernel: 2, ..pool }];
                assert_eq!(max_pool2d(&turned, windows).unwrap(), max_pool2d(&x, windows).unwrap());
                let windows = windows.map(|w| Pool { dilation: 1, ..w });
                for average in [Average::default(), Average { count_padding: false, divisor: None }] {
                    are_near(avg_pool2d(&turned, windows, average), avg_pool2d(&x, windows, average));
                }
                n += 1;
            }
        }
        assert_eq!(n, 36);
        for size in [[1, 1], [2, 3], [9, 7], [4, 4]] {
            are_near(adaptive_avg_pool2d(&turned, size), adaptive_avg_pool2d(&x, size));
        }
        are_near(crate::ops::mean(&turned, &[2, 3], true), crate::ops::mean(&x, &[2, 3], true));
    }

    /// Sums of one layout are made in another order than those of the other.
    fn are_near(got: Result<Tensor>, want: Result<Tensor>) {
        let (got, want) = (floats(got), floats(want));
        assert!(
            got.len() == want.len() && got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6),
            "{got:?} {want:?}"
        );
    }

    #[test]
    fn nan_is_the_greatest_in_both_layouts() {
        for c in [5, 16, 21, 40] {
            let mut values = crate::ops::randn(&[2, c, 9, 7], 5, DType::F32).unwrap().to_vec::<f32>().unwrap();
            values.iter_mut().step_by(37).for_each(|x| *x = f32::NAN);
            let x = Tensor::from_vec(values, &[2, c, 9, 7]).unwrap();
            let turned = x.pixels().contiguous().unwrap().planes();
            let windows = [Pool { padding: 1, stride: 2, ..Pool::new(3) }; 2];
            let bits = |x: &Tensor| floats(max_pool2d(x, windows)).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&turned) == bits(&x), "{c} channels");
        }
    }

    #[test]
    fn pooling_of_pytorch() {
        let line = plane(&[1.0, 2.0, 3.0, 4.0, 5.0], 1, 5);
        let p = |kernel, stride, padding, ceil_mode| Pool { kernel, stride, padding, dilation: 1, ceil_mode };
        let one = Pool::new(1);
        let uncounted = Average { count_padding: false, divisor: None };
        for (got, want) in [
            (max_pool2d(&line, [one, p(2, 2, 0, false)]), vec![2.0, 4.0]),
            (max_pool2d(&line, [one, p(2, 2, 0, true)]), vec![2.0, 4.0, 5.0]),
            (max_pool2d(&line, [one, p(3, 2, 1, false)]), vec![2.0, 4.0, 5.0]),
            (max_pool2d(&line, [one, Pool { dilation: 2, ..p(2, 1, 0, false) }]), vec![3.0, 4.0, 5.0]),
            (avg_pool2d(&line, [one, p(2, 2, 0, true)], Average::default()), vec![1.5, 3.5, 5.0]),
            (avg_pool2d(&line, [one, p(3, 2, 1, false)], Average::default()), vec![1.0, 3.0, 3.0]),
            (avg_pool2d(&line, [one, p(3, 2, 1, false)], uncounted), vec![1.5, 3.0, 4.5]),
            (
                avg_pool1d(
                    &line.squeeze(&[0]).unwrap(),
                    p(5, 5, 0, false),
                    Average { divisor: Some(3), count_padding: true },
                ),
                vec![5.0],
            ),
            (adaptive_avg_pool2d(&line, [1, 3]), vec![1.5, 3.0, 4.5]),
            (adaptive_max_pool2d(&line, [1, 2]), vec![3.0, 5.0]),
        ] {
            assert_eq!(floats(got), want);
        }
        assert!(
            max_pool2d(&line, [one, p(2, 2, 2, false)]).is_err()
                && max_pool2d(&line, [one, p(6, 1, 0, false)]).is_err()
        );
        assert!(adaptive_avg_pool2d(&plane(&[], 0, 3), [1, 1]).is_err());
    }

    #[test]
    fn what_has_no_elements_may_have_any_size() {
        let none = Tensor::zeros(&[0, 1, 3, 3], DType::F32).unwrap();
        let huge = [1, 1 << 40];
        let (values, indices) = adaptive_max_pool2d_indices(&none, huge).unwrap();
        assert_eq!((values.shape(), indices.shape()), (&[0, 1, 1, 1 << 40][..], &[0, 1, 1, 1 << 40][..]));
        let one = Tensor::zeros(&[1, 1, 3, 3], DType::F32).unwrap();
        assert!(adaptive_max_pool2d_indices(&one, huge).is_err());
    }

    #[test]
    fn a_last_window_may_begin_inside_and_end_behind_the_axis() {
        let x = plane(&[3.0, 1.0, 2.0], 1, 3);
        let windows = [Pool::new(1), Pool { stride: 3, ceil_mode: true, ..Pool::new(5) }];
        assert_eq!(max_pool2d(&x, windows).unwrap().to_vec::<f32>().unwrap(), [3.0]);
        assert_eq!(avg_pool2d(&x, windows, Average::default()).unwrap().to_vec::<f32>().unwrap(), [2.0]);
        // Not where that would take more than a step.
        let windows = [Pool::new(1), Pool { stride: 2, ceil_mode: true, ..Pool::new(5) }];
        assert!(max_pool2d(&x, windows).is_err());
    }
}
