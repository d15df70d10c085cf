//! Operators of detectors and of images under a grid, with ONNX's arguments.

use stark_kernels::Tensor;

use super::shape::product;
use crate::ops::tensor::ok;
use crate::ops::vision::{Align, Mode, Outside, Rect, Sampling, aligned, best, numbers, sampled};
use crate::ops::{Args, OpResult};

/// How many pairs of boxes one call may compare.
const MAX_PAIRS: usize = 1 << 34;

/// The best boxes of each class, without those that overlap a better one: rows of batch, class, box.
pub fn non_max_suppression(a: &Args<'_>) -> OpResult {
    let (boxes, scores) = (a.tensor(0)?, a.tensor(1)?);
    let (&[batch, n, 4], &[batch_too, classes, n_too]) = (boxes.shape(), scores.shape()) else {
        return Err(format!("boxes of shape {:?} and scores of shape {:?}", boxes.shape(), scores.shape()));
    };
    if (batch, n) != (batch_too, n_too) {
        return Err(format!("{batch} x {n} boxes, but scores for {batch_too} x {n_too}"));
    }
    let limit = a.opt_scalar(2)?.map_or(0, |most| usize::try_from(most.to_i64()).unwrap_or(0)).min(n);
    let overlap = a.opt_scalar(3)?.map_or(0.0, |x| x.to_f64());
    let least = a.opt_scalar(4)?.map(|x| x.to_f64());
    let rect = if a.bool(5)? { Rect::of_middle } else { Rect::of_corners };
    if product(&[batch, classes, n, limit]) > MAX_PAIRS {
        return Err(format!("{batch} x {classes} x {n} boxes of which {limit} are kept are too many"));
    }
    let boxes: Vec<Rect> = numbers(&boxes)?.chunks_exact(4).map(rect).collect();
    let scores = numbers(&scores)?;
    let mut picked: Vec<i64> = Vec::new();
    // Nothing to walk over when any size is 0.
    if n > 0 && limit > 0 {
        for (row, scores) in scores.chunks_exact(n).enumerate() {
            let (item, class) = (row / classes.max(1), row % classes.max(1));
            let order = (0..n).filter(|&i| least.is_none_or(|least| scores[i] > least)).collect();
            let kept = best(&boxes[item * n..(item + 1) * n], scores, order, limit, overlap);
            picked.extend(kept.into_iter().flat_map(|i| [item as i64, class as i64, i as i64]));
        }
    }
    let rows = picked.len() / 3;
    ok(Tensor::from_vec(picked, &[rows, 3]))
}

pub fn grid_sample(a: &Args<'_>) -> OpResult {
    let mode = match a.str(3)? {
        "linear" | "bilinear" => Mode::Linear,
        "nearest" => Mode::Nearest,
        "cubic" | "bicubic" => Mode::Cubic,
        other => return Err(format!("mode `{other}` is not known")),
    };
    let outside = match a.str(4)? {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflection,
        other => return Err(format!("padding_mode `{other}` is not known")),
    };
    sampled(&*a.tensor(0)?, &*a.tensor(1)?, Sampling { mode, outside, corners: a.bool(2)? })
}

pub fn roi_align(a: &Args<'_>) -> OpResult {
    let half_pixel = match a.str(8)? {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return Err(format!("coordinate_transformation_mode `{other}` is not known")),
    };
    let greatest = match a.str(3)? {
        "avg" => false,
        "max" => true,
        other => return Err(format!("mode `{other}` is none of avg and max")),
    };
    let how = Align { size: [a.count(4)?, a.count(5)?], ratio: a.count(6)?, scale: a.float(7)?, half_pixel, greatest };
    aligned(&*a.tensor(0)?, &*a.tensor(1)?, &a.ints(2)?, how)
}
