//! Planes at another size.

use stark_shapes::{DType, Shape, ShapeError, rules, show};

use super::index::{pick, repeats, take};
use super::pool::{adaptive_shape, all_planes, last_two, per_plane, planes};
use crate::accelerator;
use crate::cpu::buffer::Buffer;
use crate::cpu::resample;
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Elem, with_word};
use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_bytes};

pub use crate::cpu::resample::Between;

/// The step in the source per step in the result.
fn ratio(n: usize, out: usize, factor: Option<f64>) -> f64 {
    factor.map_or(n as f64 / out as f64, |f| 1.0 / f)
}

/// Planes at `size` by the nearest source element; `factors`, when given, set the step instead of the sizes.
pub fn upsample_nearest2d(x: &Tensor, size: [usize; 2], factors: [Option<f64>; 2]) -> Result<Tensor> {
    let shape = adaptive_shape("upsample_nearest2d", x, size)?;
    if rules::numel(&shape)? == 0 {
        return Tensor::zeros(&shape, x.dtype());
    }
    let [h, w] = last_two(x.shape());
    let places = |n: usize, out: usize, factor: Option<f64>| -> Vec<usize> {
        // In f32, as PyTorch computes it: the last bit decides which neighbour is taken.
        let step = ratio(n, out, factor) as f32;
        (0..out).map(|i| ((i as f32 * step) as usize).min(n - 1)).collect()
    };
    take_planes(x, &places(h, size[0], factors[0]), &places(w, size[1], factors[1]))
}

/// The shape of planes of so many rows and columns, when `is_inside` is true of the places that become them.
fn at_places(name: &str, x: &Tensor, [oh, ow]: [usize; 2], is_inside: impl Fn([usize; 2]) -> bool) -> Result<Shape> {
    if x.rank() < 2 || !is_inside(last_two(x.shape())) {
        return Err(ShapeError(format!("{name}: not all places lie in planes of shape {}", show(x.shape()))).into());
    }
    let mut shape: Shape = x.shape().into();
    let rank = shape.len();
    (shape[rank - 2], shape[rank - 1]) = (oh, ow);
    check_bytes(&shape, x.dtype())?;
    Ok(shape)
}

/// The elements of each plane at all pairs of rows and columns.
pub fn take_planes(x: &Tensor, ys: &[usize], xs: &[usize]) -> Result<Tensor> {
    let inside = |[h, w]: [usize; 2]| ys.iter().all(|y| *y < h) && xs.iter().all(|x| *x < w);
    let shape = at_places("take_planes", x, [ys.len(), xs.len()], inside)?;
    if accelerator::of([x]).is_some() || crate::device::is_reference() {
        let rank = x.rank();
        return take(&take(x, rank - 1, xs, &[xs.len()])?, rank - 2, ys, &[ys.len()]);
    }
    let ([h, w], [oh, ow]) = (last_two(x.shape()), [ys.len(), xs.len()]);
    let (x, times) = (x.contiguous()?, repeats(xs, w));
    with_word!(x.dtype(), W => {
        let mut buffer = Buffer::for_overwrite::<W>(rules::numel(&shape)?)?;
        let data = x.slice_of::<W>();
        fill_chunks(buffer.as_mut_slice::<W>(), (CHUNK / ow.max(1)).max(1) * ow, |start, out| {
            let mut made = None;
            for i in 0..out.len() / ow {
                let row = start / ow + i;
                let from = row / oh * h + ys[row % oh];
                let (before, to) = out.split_at_mut(i * ow);
                if made == Some(from) {
                    to[..ow].copy_from_slice(&before[(i - 1) * ow..]);
                } else {
                    pick(&data[from * w..][..w], 1, xs, times, &mut to[..ow]);
                }
                made = Some(from);
            }
        });
        Ok(Tensor::from_buffer(buffer, x.dtype(), &shape))
    })
}

/// Planes at `size` by linear interpolation along both axes.
pub fn upsample_bilinear2d(
    x: &Tensor,
    size: [usize; 2],
    align_corners: bool,
    factors: [Option<f64>; 2],
) -> Result<Tensor> {
    let shape = adaptive_shape("upsample_bilinear2d", x, size)?;
    if rules::numel(&shape)? == 0 {
        return Tensor::zeros(&shape, x.dtype());
    }
    let [h, w] = last_two(x.shape());
    let places = |n: usize, out: usize, factor: Option<f64>| -> Vec<Between> {
        let step = match (align_corners, out) {
            (true, 1) => 0.0,
            (true, _) => (n - 1) as f64 / (out.max(1) - 1).max(1) as f64,
            (false, _) => ratio(n, out, factor),
        };
        (0..out)
            .map(|i| {
                let at = if align_corners { i as f64 * step } else { ((i as f64 + 0.5) * step - 0.5).max(0.0) };
                let low = (at as usize).min(n - 1);
                Between { low, high: (low + 1).min(n - 1), share: at - low as f64 }
            })
            .collect()
    };
    interpolate_planes(x, &places(h, size[0], factors[0]), &places(w, size[1], factors[1]))
}

/// Each plane at all pairs of places, by linear interpolation along both axes.
pub fn interpolate_planes(x: &Tensor, ys: &[Between], xs: &[Between]) -> Result<Tensor> {
    let fits = |places: &[Between], n: usize| places.iter().all(|place| place.low < n && place.high < n);
    let shape = at_places("interpolate_planes", x, [ys.len(), xs.len()], |[h, w]| fits(ys, h) && fits(xs, w))?;
    let plane @ [_, w] = last_two(x.shape());
    if x.dtype().is_float() && x.dtype() != DType::F64 && !crate::device::is_reference() {
        return all_planes(x, &shape, |planes, out| resample::linear(planes, plane, ys, xs, out));
    }
    per_plane!("upsample_bilinear2d", x, &shape, T => |plane: &[T], out: &mut [T]| {
        // What lies between two numbers.
        let between = |a: f64, b: f64, share: f64| a * (1.0 - share) + b * share;
        let at = |y: usize, column: &Between| {
            between(plane[y * w + column.low].to_f64(), plane[y * w + column.high].to_f64(), column.share)
        };
        for (out, row) in out.chunks_exact_mut(xs.len()).zip(ys) {
            for (o, column) in out.iter_mut().zip(xs) {
                *o = T::from_f64(between(at(row.low, column), at(row.high, column), row.share));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(values: &[f32], h: usize, w: usize) -> Tensor {
        Tensor::from_slice(values, &[1, h, w]).unwrap()
    }

    #[test]
    fn resampling_of_pytorch() {
        let nearest = upsample_nearest2d(&plane(&[1.0, 2.0], 1, 2), [2, 4], [None; 2]);
        assert_eq!(nearest.unwrap().to_vec::<f32>().unwrap(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        for (x, align_corners, want) in
            [([1.0, 3.0], false, [1.0, 1.5, 2.5, 3.0]), ([1.0, 4.0], true, [1.0, 2.0, 3.0, 4.0])]
        {
            let got = upsample_bilinear2d(&plane(&x, 1, 2), [1, 4], align_corners, [None; 2]);
            assert_eq!(got.unwrap().to_vec::<f32>().unwrap(), want);
        }
    }

    #[test]
    fn what_has_no_elements_may_have_any_size() {
        let none = Tensor::zeros(&[0, 1, 3, 3], DType::F32).unwrap();
        let huge = [1, 1 << 40];
        assert_eq!(upsample_nearest2d(&none, huge, [None; 2]).unwrap().numel(), 0);
        assert_eq!(upsample_bilinear2d(&none, huge, false, [None; 2]).unwrap().numel(), 0);
        let one = Tensor::zeros(&[1, 1, 3, 3], DType::F32).unwrap();
        assert!(upsample_nearest2d(&one, huge, [None; 2]).is_err());
        assert!(take_planes(&one, &[3], &[0]).is_err() && take_planes(&none, &[0, 0], &[]).unwrap().numel() == 0);
    }
}
