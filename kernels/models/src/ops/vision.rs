//! Sampling of images, and operators of detectors. ONNX's of the same names end here too.

use std::ops::Range;

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::tensor::{ok, pair_of, say};
use super::{Args, OpResult};

/// How many elements one call may read.
const MAX_READS: usize = 1 << 34;

fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |n, &size| n.saturating_mul(size))
}

pub fn numbers(t: &Tensor) -> Result<Vec<f64>, String> {
    t.to(DType::F64).and_then(|t| t.to_vec::<f64>()).map_err(say)
}

// ---- boxes ----------------------------------------------------------------------------------------

/// Corners, whichever way round they were given.
#[derive(Clone, Copy)]
pub struct Rect {
    low: [f64; 2],
    high: [f64; 2],
}

impl Rect {
    pub fn of_corners(numbers: &[f64]) -> Rect {
        let (a, b) = ([numbers[0], numbers[1]], [numbers[2], numbers[3]]);
        Rect { low: [a[0].min(b[0]), a[1].min(b[1])], high: [a[0].max(b[0]), a[1].max(b[1])] }
    }

    /// Of middle and size: x, y, width, height.
    pub fn of_middle(numbers: &[f64]) -> Rect {
        let (x, y, w, h) = (numbers[0], numbers[1], numbers[2] / 2.0, numbers[3] / 2.0);
        Rect::of_corners(&[y - h, x - w, y + h, x + w])
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

/// The best boxes, at most `limit`, without those that overlap a better one by more than `overlap`.
pub fn best(boxes: &[Rect], scores: &[f64], mut order: Vec<usize>, limit: usize, overlap: f64) -> Vec<usize> {
    order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if kept.len() == limit {
            break;
        }
        if kept.iter().all(|&better| boxes[better].overlap(boxes[i]) <= overlap) {
            kept.push(i);
        }
    }
    kept
}

/// torchvision's `nms`: the boxes that are kept, the best first.
pub fn nms(a: &Args<'_>) -> OpResult {
    let (boxes, scores) = (a.tensor(0)?, a.tensor(1)?);
    let (&[n, 4], &[n_too]) = (boxes.shape(), scores.shape()) else {
        return Err(format!("boxes of shape {:?} and scores of shape {:?}", boxes.shape(), scores.shape()));
    };
    if n != n_too || n.saturating_mul(n) > MAX_READS {
        return Err(format!("{n} boxes and {n_too} scores"));
    }
    let rects: Vec<Rect> = numbers(&boxes)?.chunks_exact(4).map(Rect::of_corners).collect();
    let kept = best(&rects, &numbers(&scores)?, (0..n).collect(), n, a.float(2)?);
    ok(Tensor::from_slice(&kept.iter().map(|&i| i as i64).collect::<Vec<_>>(), &[kept.len()]))
}

// ---- grids ----------------------------------------------------------------------------------------

/// How places between pixels and outside of the image are read.
#[derive(Clone, Copy)]
pub struct Sampling {
    pub mode: Mode,
    pub outside: Outside,
    /// -1 and 1 are the middles of the outermost pixels, else their far sides.
    pub corners: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Outside {
    Zeros,
    Border,
    Reflection,
}

impl Sampling {
    fn pixel(self, at: f64, size: usize) -> f64 {
        match self.corners {
            true => (at + 1.0) / 2.0 * (size as f64 - 1.0),
            false => ((at + 1.0) * size as f64 - 1.0) / 2.0,
        }
    }

    fn mirrored(self, x: f64, size: usize) -> f64 {
        let last = size as f64 - 1.0;
        let (low, high) = if self.corners { (0.0, last) } else { (-0.5, last + 0.5) };
        let span = high - low;
        if span <= 0.0 || !x.is_finite() {
            return low.max(0.0);
        }
        let along = (x - low).rem_euclid(2.0 * span);
        low + if along > span { 2.0 * span - along } else { along }
    }

    /// A place moved inside, where places outside have a meaning.
    fn settled(self, x: f64, size: usize) -> f64 {
        let last = size as f64 - 1.0;
        match self.outside {
            Outside::Zeros => x,
            Outside::Border => x.clamp(0.0, last),
            Outside::Reflection => self.mirrored(x, size).clamp(0.0, last),
        }
    }

    /// The pixels of one axis that make up what is at `at`, with their weights.
    fn taps(self, at: f64, size: usize, taps: &mut Vec<(usize, f64)>) {
        taps.clear();
        let mut x = self.pixel(at, size);
        // Smooth modes move the place itself inside; the cubic one reads each neighbour so instead.
        if self.mode != Mode::Cubic {
            x = self.settled(x, size);
        }
        let (floor, t) = (x.floor(), x - x.floor());
        let mut tap = |x: f64, weight: f64| {
            let x = self.settled(x, size);
            if x >= 0.0 && x <= size as f64 - 1.0 {
                taps.push((x.round() as usize, weight));
            }
        };
        match self.mode {
            Mode::Nearest => tap(x.round_ties_even(), 1.0),
            Mode::Linear => {
                tap(floor, 1.0 - t);
                tap(floor + 1.0, t);
            }
            Mode::Cubic => {
                let far = |d: f64| ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
                let near = |d: f64| (1.25 * d - 2.25) * d * d + 1.0;
                tap(floor - 1.0, far(t + 1.0));
                tap(floor, near(t));
                tap(floor + 1.0, near(1.0 - t));
                tap(floor + 2.0, far(2.0 - t));
            }
        }
    }
}

/// Samples of images `[n, c, …]` at the places of a grid `[n, …, axes]`, which run from -1 to 1, the last axis first.
pub fn sampled(x: &Tensor, grid: &Tensor, how: Sampling) -> OpResult {
    let n_axes = x.rank().saturating_sub(2);
    let fits = (1..=3).contains(&n_axes)
        && grid.rank() == x.rank()
        && grid.shape()[0] == x.shape()[0]
        && grid.shape()[n_axes + 1] == n_axes
        && !x.shape()[2..].contains(&0);
    if !fits {
        return Err(format!("images of shape {:?} and a grid of shape {:?}", x.shape(), grid.shape()));
    }
    let (channels, sizes) = (x.shape()[1], &x.shape()[2..]);
    let spots = product(&grid.shape()[1..=n_axes]);
    let shape = [&x.shape()[..2], &grid.shape()[1..=n_axes]].concat();
    // Asked for before it is filled, so that a size beyond the limit is an error.
    Tensor::zeros(&shape, DType::F64).map_err(say)?;
    let (data, places) = (numbers(x)?, numbers(grid)?);
    let mut out = vec![0.0; product(&shape)];
    let plane = product(sizes);
    let (mut axis, mut all, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for (number, place) in places.chunks_exact(n_axes).enumerate() {
        let (item, at) = (number / spots, number % spots);
        all.clear();
        all.push((0, 1.0));
        for (i, &size) in sizes.iter().enumerate() {
            how.taps(place[n_axes - 1 - i], size, &mut axis);
            next.clear();
            next.extend(all.iter().flat_map(|&(flat, w)| axis.iter().map(move |&(x, v)| (flat * size + x, w * v))));
            std::mem::swap(&mut all, &mut next);
        }
        for channel in 0..channels {
            let plane = &data[(item * channels + channel) * plane..][..plane];
            out[(item * channels + channel) * spots + at] = all.iter().map(|&(i, weight)| plane[i] * weight).sum();
        }
    }
    ok(Tensor::from_vec(out, &shape).and_then(|y| y.to(x.dtype())))
}

pub fn grid_sampler(a: &Args<'_>) -> OpResult {
    let mode = match a.int(2)? {
        0 => Mode::Linear,
        1 => Mode::Nearest,
        2 => Mode::Cubic,
        mode => return Err(format!("mode {mode} is none of 0, 1 and 2")),
    };
    let outside = match a.int(3)? {
        0 => Outside::Zeros,
        1 => Outside::Border,
        2 => Outside::Reflection,
        mode => return Err(format!("padding_mode {mode} is none of 0, 1 and 2")),
    };
    sampled(&*a.tensor(0)?, &*a.tensor(1)?, Sampling { mode, outside, corners: a.bool(4)? })
}

/// The grid of an affine map `theta` (argument 0), `[n, axes, axes + 1]`, for an image of the size that argument 1 says.
pub fn affine_grid(a: &Args<'_>) -> OpResult {
    let (theta, size, corners) = (a.tensor(0)?, a.sizes(1)?, a.bool(2)?);
    let n_axes = size.len().saturating_sub(2);
    if !(2..=3).contains(&n_axes) || theta.shape() != [size[0], n_axes, n_axes + 1] {
        return Err(format!("a map of shape {:?} for an image of shape {size:?}", theta.shape()));
    }
    let made = || {
        let sizes = &size[2..];
        let mut columns = Vec::new();
        // The last axis first, and a column of ones.
        for (i, &n) in sizes.iter().enumerate().rev() {
            let reach = match (corners, n) {
                (_, 0 | 1) => 0.0,
                (true, _) => 1.0,
                (false, n) => (n as f64 - 1.0) / n as f64,
            };
            let line = k::linspace(-reach, reach, n, DType::F64)?;
            let mut shape = vec![1; n_axes];
            shape[i] = n;
            columns.push(line.reshape_to(&shape)?.expand(sizes)?);
        }
        columns.push(Tensor::ones(sizes, DType::F64)?);
        let base = k::stack(&columns.iter().collect::<Vec<_>>(), -1)?.to(theta.dtype())?;
        let rows = base.reshape_to(&[1, sizes.iter().product(), n_axes + 1])?;
        let grid = k::matmul(&rows, &theta.transpose(1, 2)?)?;
        grid.reshape_to(&[&[size[0]], sizes, &[n_axes]].concat())
    };
    ok(made())
}

// ---- regions --------------------------------------------------------------------------------------

/// What `roi_align` makes of each region.
#[derive(Clone, Copy)]
pub struct Align {
    pub size: [usize; 2],
    /// Places looked at along each side of a cell; as many as there are pixels when 0.
    pub ratio: usize,
    pub scale: f64,
    /// Regions are of the pixels' sides, not of their middles, and may be smaller than a pixel.
    pub half_pixel: bool,
    /// The greatest of what a cell's places read, else their mean.
    pub greatest: bool,
}

/// The corners of one pixel's neighbourhood with their weights.
fn corners(y: f64, x: f64, h: usize, w: usize) -> [(usize, f64); 4] {
    if !(y >= -1.0 && y <= h as f64 && x >= -1.0 && x <= w as f64) {
        return [(0, 0.0); 4];
    }
    let along = |x: f64, n: usize| {
        let x = x.max(0.0);
        let low = (x as usize).min(n - 1);
        if low >= n - 1 { (n - 1, n - 1, 0.0) } else { (low, low + 1, x - low as f64) }
    };
    let ((top, bottom, t), (left, right, s)) = (along(y, h), along(x, w));
    let (u, r) = (1.0 - t, 1.0 - s);
    [(top * w + left, u * r), (top * w + right, u * s), (bottom * w + left, t * r), (bottom * w + right, t * s)]
}

/// Regions `[k, 4]` of images `[n, c, h, w]`, each cut into cells of which all places are read between pixels.
pub fn aligned(x: &Tensor, regions: &Tensor, items: &[i64], how: Align) -> OpResult {
    let (&[n, c, h, w], &[count, 4]) = (x.shape(), regions.shape()) else {
        return Err(format!("images of shape {:?} and regions of shape {:?}", x.shape(), regions.shape()));
    };
    let [tall, wide] = how.size;
    if count != items.len() || items.iter().any(|&i| i < 0 || i as usize >= n) || tall == 0 || wide == 0 {
        return Err(format!("{count} regions of {} images, for cells of {tall} x {wide}", items.len()));
    }
    let shape = [count, c, tall, wide];
    if h == 0 || w == 0 {
        return ok(Tensor::zeros(&shape, x.dtype()));
    }
    Tensor::zeros(&shape, DType::F64).map_err(say)?;
    let (data, regions) = (numbers(x)?, numbers(regions)?);
    let mut out = vec![0.0; product(&shape)];
    let mut left = MAX_READS;
    for ((region, &item), out) in regions.chunks_exact(4).zip(items).zip(out.chunks_exact_mut((c * tall * wide).max(1)))
    {
        let offset = if how.half_pixel { 0.5 } else { 0.0 };
        let at: Vec<f64> = region.iter().map(|x| x * how.scale - offset).collect();
        let least = if how.half_pixel { f64::NEG_INFINITY } else { 1.0 };
        let (region_w, region_h) = ((at[2] - at[0]).max(least), (at[3] - at[1]).max(least));
        let (cell_h, cell_w) = (region_h / tall as f64, region_w / wide as f64);
        let places = |cell: f64| if how.ratio > 0 { how.ratio } else { cell.ceil().max(0.0) as usize };
        let (rows, columns) = (places(cell_h), places(cell_w));
        let work = product(&[rows, columns, c.max(1), tall, wide]);
        left = left.checked_sub(work).ok_or("the regions are too large: they read more than 2^34 places")?;
        for cell in 0..tall * wide {
            let (i, j) = ((cell / wide) as f64, (cell % wide) as f64);
            let taps: Vec<[(usize, f64); 4]> = (0..rows * columns)
                .map(|place| {
                    let (p, q) = ((place / columns) as f64 + 0.5, (place % columns) as f64 + 0.5);
                    let y = at[1] + i * cell_h + p * cell_h / rows as f64;
                    corners(y, at[0] + j * cell_w + q * cell_w / columns as f64, h, w)
                })
                .collect();
            for channel in 0..c {
                let plane = &data[(item as usize * c + channel) * h * w..][..h * w];
                let reads = taps.iter().map(|four| four.map(|(at, weight)| plane[at] * weight));
                out[channel * tall * wide + cell] = match how.greatest {
                    true => reads.flatten().reduce(f64::max).unwrap_or(0.0),
                    false => reads.flatten().sum::<f64>() / taps.len().max(1) as f64,
                };
            }
        }
    }
    ok(Tensor::from_vec(out, &shape).and_then(|y| y.to(x.dtype())))
}

/// torchvision's `roi_align`: a region's first number says of which image it is.
pub fn roi_align(a: &Args<'_>) -> OpResult {
    let regions = a.tensor(1)?;
    let &[_, 5] = regions.shape() else { return Err(format!("regions of shape {:?}", regions.shape())) };
    let items = regions.select(1, 0).map_err(say)?.to_scalars().iter().map(|i| i.to_i64()).collect::<Vec<_>>();
    let how = Align {
        size: [a.count(3)?, a.count(4)?],
        ratio: usize::try_from(a.int(5)?).unwrap_or(0),
        scale: a.float(2)?,
        half_pixel: a.bool(6)?,
        greatest: false,
    };
    aligned(&*a.tensor(0)?, &regions.narrow(1, 1, 4).map_err(say)?, &items, how)
}

/// torchvision's `roi_pool`: the greatest pixel of each cell and its place in its plane; 0 and -1 for cells without pixels.
pub fn roi_pool(a: &Args<'_>) -> OpResult {
    let (x, regions) = (a.tensor(0)?, a.tensor(1)?);
    let (scale, tall, wide) = (a.float(2)?, a.count(3)?, a.count(4)?);
    let (&[n, c, h, w], &[count, 5]) = (x.shape(), regions.shape()) else {
        return Err(format!("images of shape {:?} and regions of shape {:?}", x.shape(), regions.shape()));
    };
    let shape = [count, c, tall, wide];
    Tensor::zeros(&shape, DType::F64).map_err(say)?;
    let (data, regions) = (numbers(&x)?, numbers(&regions)?);
    let is_wide = x.dtype() == DType::F64;
    let (mut values, mut places) = (Vec::with_capacity(product(&shape)), Vec::with_capacity(product(&shape)));
    let mut left = MAX_READS;
    for region in regions.chunks_exact(5) {
        let item = region[0] as i64;
        if item < 0 || item as usize >= n {
            return Err(format!("a region of image {item} of {n}"));
        }
        let cells = Cells::of(&region[1..], scale, [tall, wide], is_wide);
        for channel in 0..c {
            let plane = &data[(item as usize * c + channel) * h * w..][..h * w];
            for cell in 0..tall * wide {
                let (rows, columns) = (cells.along(1, cell / wide, h), cells.along(0, cell % wide, w));
                let work = 1 + rows.len() * columns.len();
                left = left.checked_sub(work).ok_or("the regions are too large: they read more than 2^34 places")?;
                let all = rows.flat_map(|row| columns.clone().map(move |column| row * w + column));
                let (value, place) = greatest(plane, all);
                values.push(value);
                places.push(place);
            }
        }
    }
    let values = Tensor::from_vec(values, &shape).and_then(|y| y.to(x.dtype())).map_err(say)?;
    pair_of(values, Tensor::from_vec(places, &shape).map_err(say)?)
}

/// The first greatest of these pixels and its place, as torchvision tells it.
fn greatest(plane: &[f64], places: impl Iterator<Item = usize>) -> (f64, i32) {
    let mut best = None;
    for place in places {
        let (value, _) = best.get_or_insert((f64::from(f32::MIN), -1));
        if plane[place] > *value {
            best = Some((plane[place], place as i32));
        }
    }
    best.unwrap_or((0.0, -1))
}

/// The cells of a region that is rounded to whole pixels: across, then down.
struct Cells {
    first: [f64; 2],
    size: [f64; 2],
    is_wide: bool,
}

impl Cells {
    /// Of a region's corners; `[tall, wide]` cells.
    fn of(corners: &[f64], scale: f64, [tall, wide]: [usize; 2], is_wide: bool) -> Cells {
        let narrow = |x: f64| narrowed(x, is_wide);
        let end = |i: usize| narrow(corners[i] * narrow(scale)).round();
        let size = |i: usize, n: usize| narrow((end(i + 2) - end(i) + 1.0).max(1.0) / n as f64);
        Cells { first: [end(0), end(1)], size: [size(0, wide), size(1, tall)], is_wide }
    }

    /// The pixels of cell `i` along an axis of `n`.
    fn along(&self, axis: usize, i: usize, n: usize) -> Range<usize> {
        let edge = |i: usize| narrowed(i as f64 * self.size[axis], self.is_wide);
        let pixel = |at: f64| (at + self.first[axis]).clamp(0.0, n as f64) as usize;
        pixel(edge(i).floor())..pixel(edge(i + 1).ceil())
    }
}

/// Places are computed in the type of the image, so that cells begin at the same pixels.
fn narrowed(x: f64, is_wide: bool) -> f64 {
    if is_wide { x } else { f64::from(x as f32) }
}

/// A convolution whose windows move, with torchvision's arguments.
pub fn deform_conv(a: &Args<'_>) -> OpResult {
    let how = crate::onnx::Moving {
        stride: [a.count(5)?, a.count(6)?],
        padding: [a.count(7)?, a.count(8)?, a.count(7)?, a.count(8)?],
        dilation: [a.count(9)?, a.count(10)?],
        groups: a.count(11)?,
        offset_groups: a.count(12)?,
    };
    let (mask, bias) = (a.tensor(3)?, a.tensor(4)?);
    let mask = a.bool(13)?.then_some(&*mask);
    crate::onnx::deformed(&*a.tensor(0)?, &*a.tensor(1)?, &*a.tensor(2)?, Some(&bias), mask, &how)
        .map(crate::Value::Tensor)
}
