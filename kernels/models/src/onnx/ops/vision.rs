//! Operators of detectors.

use stark_kernels::{DType, Tensor};

use super::shape::product;
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};

/// How many pairs of boxes one call may compare.
const MAX_PAIRS: usize = 1 << 34;

/// Corners, whichever way round they were given.
#[derive(Clone, Copy)]
struct Rect {
    low: [f64; 2],
    high: [f64; 2],
}

impl Rect {
    fn new(numbers: &[f64], centred: bool) -> Rect {
        let (a, b) = match centred {
            // Middle and size: x, y, width, height.
            true => {
                let (x, y, w, h) = (numbers[0], numbers[1], numbers[2] / 2.0, numbers[3] / 2.0);
                ([y - h, x - w], [y + h, x + w])
            }
            false => ([numbers[0], numbers[1]], [numbers[2], numbers[3]]),
        };
        Rect { low: [a[0].min(b[0]), a[1].min(b[1])], high: [a[0].max(b[0]), a[1].max(b[1])] }
    }

    fn area(self) -> f64 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// The share of their union that two rectangles have in common.
    fn overlap(self, other: Rect) -> f64 {
        let side = |i: usize| (self.high[i].min(other.high[i]) - self.low[i].max(other.low[i])).max(0.0);
        let common = side(0) * side(1);
        if common <= 0.0 { 0.0 } else { common / (self.area() + other.area() - common) }
    }
}

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
    let centred = a.bool(5)?;
    if product(&[batch, classes, n, limit]) > MAX_PAIRS {
        return Err(format!("{batch} x {classes} x {n} boxes of which {limit} are kept are too many"));
    }
    let numbers = |t: &Tensor| t.to(DType::F64).and_then(|t| t.to_vec::<f64>()).map_err(say);
    let (boxes, scores) = (numbers(&boxes)?, numbers(&scores)?);
    let mut picked: Vec<i64> = Vec::new();
    // Nothing to walk over when any size is 0.
    if n > 0 && limit > 0 {
        for (row, scores) in scores.chunks_exact(n).enumerate() {
            let (item, class) = (row / classes.max(1), row % classes.max(1));
            let boxes = &boxes[item * n * 4..(item + 1) * n * 4];
            let mut order: Vec<usize> = (0..n).filter(|&i| least.is_none_or(|least| scores[i] > least)).collect();
            order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
            let mut kept: Vec<Rect> = Vec::new();
            for i in order {
                if kept.len() == limit {
                    break;
                }
                let rect = Rect::new(&boxes[4 * i..4 * i + 4], centred);
                if kept.iter().all(|better| better.overlap(rect) <= overlap) {
                    kept.push(rect);
                    picked.extend([item as i64, class as i64, i as i64]);
                }
            }
        }
    }
    let rows = picked.len() / 3;
    ok(Tensor::from_vec(picked, &[rows, 3]))
}

/// How places outside of the input are read.
#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Zeros,
    Border,
    /// Mirrored between these two places.
    Reflection(f64, f64),
}

impl Outside {
    /// Where `x` is read along an axis of `n`; `None` gives 0.
    fn place(self, x: f64, n: usize) -> Option<usize> {
        let last = n as f64 - 1.0;
        let x = match self {
            Outside::Zeros => return (x >= 0.0 && x <= last).then_some(x as usize),
            Outside::Border => x,
            Outside::Reflection(low, high) => mirrored(x, low, high),
        };
        Some(x.round().clamp(0.0, last) as usize)
    }
}

fn mirrored(x: f64, low: f64, high: f64) -> f64 {
    let span = high - low;
    if span <= 0.0 || !x.is_finite() {
        return low.max(0.0);
    }
    let along = (x - low).rem_euclid(2.0 * span);
    low + if along > span { 2.0 * span - along } else { along }
}

/// Samples of images `[n, c, h, w]` at the places of a grid `[n, h', w', 2]`, which run from -1 to 1.
pub fn grid_sample(a: &Args<'_>) -> OpResult {
    let (x, grid) = (a.tensor(0)?, a.tensor(1)?);
    if x.rank() == 5 {
        return Err("grids over volumes (5 dimensions) are not supported".into());
    }
    let (&[n, c, h, w], &[n_too, out_h, out_w, 2]) = (x.shape(), grid.shape()) else {
        return Err(format!("images of shape {:?} and a grid of shape {:?}", x.shape(), grid.shape()));
    };
    if n != n_too || h == 0 || w == 0 {
        return Err(format!("images of shape {:?} and a grid of shape {:?}", x.shape(), grid.shape()));
    }
    let corners = a.bool(2)?;
    let radius = match a.str(3)? {
        "linear" | "bilinear" => 1,
        "nearest" => 0,
        "cubic" | "bicubic" => 2,
        other => return Err(format!("mode `{other}` is not known")),
    };
    let padding = a.str(4)?;
    let outside = |size: usize| {
        let last = size as f64 - 1.0;
        Ok(match padding {
            "zeros" => Outside::Zeros,
            "border" => Outside::Border,
            "reflection" if corners => Outside::Reflection(0.0, last),
            "reflection" => Outside::Reflection(-0.5, last + 0.5),
            other => return Err(format!("padding_mode `{other}` is not known")),
        })
    };
    let outside = [outside(h)?, outside(w)?];
    let shape = [n, c, out_h, out_w];
    // Asked for before it is filled, so that a size beyond the limit is an error.
    Tensor::zeros(&shape, DType::F64).map_err(say)?;
    let numbers = |t: &Tensor| t.to(DType::F64).and_then(|t| t.to_vec::<f64>()).map_err(say);
    let (data, places) = (numbers(&x)?, numbers(&grid)?);
    let mut out = vec![0.0; product(&shape)];
    let pixel = |at: f64, size: usize| match corners {
        true => (at + 1.0) / 2.0 * (size as f64 - 1.0),
        false => ((at + 1.0) * size as f64 - 1.0) / 2.0,
    };
    let spot = out_h * out_w;
    for (number, place) in places.chunks_exact(2).enumerate() {
        let (item, at) = (number / spot, number % spot);
        let (mut px, mut py) = (pixel(place[0], w), pixel(place[1], h));
        // Smooth modes move the place itself inside; the cubic one reads each neighbour so instead.
        if radius < 2 {
            (px, py) = (settled(px, outside[1], w), settled(py, outside[0], h));
        }
        let (rows, columns) = (weights(py, radius), weights(px, radius));
        for channel in 0..c {
            let plane = &data[(item * c + channel) * h * w..][..h * w];
            let mut sum = 0.0;
            for &(y, wy) in &rows {
                let Some(y) = outside[0].place(y, h) else { continue };
                for &(x, wx) in &columns {
                    if let Some(x) = outside[1].place(x, w) {
                        sum += plane[y * w + x] * wy * wx;
                    }
                }
            }
            out[(item * c + channel) * spot + at] = sum;
        }
    }
    ok(Tensor::from_vec(out, &shape).and_then(|y| y.to(x.dtype())))
}

fn settled(x: f64, outside: Outside, n: usize) -> f64 {
    let last = n as f64 - 1.0;
    match outside {
        Outside::Zeros => x,
        Outside::Border => x.clamp(0.0, last),
        Outside::Reflection(low, high) => mirrored(x, low, high).clamp(0.0, last),
    }
}

/// Neighbours of a place with their weights: one, two or four of them.
fn weights(x: f64, radius: i32) -> Vec<(f64, f64)> {
    let floor = x.floor();
    let t = x - floor;
    match radius {
        0 => vec![(x.round_ties_even(), 1.0)],
        1 => vec![(floor, 1.0 - t), (floor + 1.0, t)],
        _ => {
            let far = |d: f64| ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
            let near = |d: f64| (1.25 * d - 2.25) * d * d + 1.0;
            vec![
                (floor - 1.0, far(t + 1.0)),
                (floor, near(t)),
                (floor + 1.0, near(1.0 - t)),
                (floor + 2.0, far(2.0 - t)),
            ]
        }
    }
}
