//! Resampling along any axes. All modes are separable: each axis is a short list of weighted sources for each
//! output place, worked out once and applied to whole rows.

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};
use stark_shapes::rules;

use super::shape::{axis, product};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};

/// How long an axis may get: each place has a list of its sources.
const MAX_PLACES: usize = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Nearest(Nearest),
    Linear,
    Cubic(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// Where an output place lies in the input.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// From this share of the axis to that.
    Crop(f64, f64),
}

struct Axis {
    from: usize,
    to: usize,
    scale: f64,
    coordinates: Coordinates,
}

impl Axis {
    fn source(&self, place: usize) -> f64 {
        let (x, from, to) = (place as f64, self.from as f64, self.to as f64);
        match self.coordinates {
            Coordinates::HalfPixel => (x + 0.5) / self.scale - 0.5,
            Coordinates::HalfPixelSymmetric => {
                let adjusted = to / (self.scale * from);
                from / 2.0 * (1.0 - adjusted) + (x + 0.5) / self.scale - 0.5
            }
            Coordinates::PytorchHalfPixel if self.to > 1 => (x + 0.5) / self.scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            // The length that the scale makes, not the one it is cut to.
            Coordinates::AlignCorners => match self.scale * from {
                length if length == 1.0 || self.to == 1 => 0.0,
                length => x * (from - 1.0) / (length - 1.0),
            },
            // Divided as narrowly as others do, which decides what is nearest: 3 / 0.6 is 5 then, and less in F64.
            Coordinates::Asymmetric => f64::from(place as f32 / self.scale as f32),
            Coordinates::Crop(start, end) if self.to > 1 => {
                start * (from - 1.0) + x * (end - start) * (from - 1.0) / (to - 1.0)
            }
            Coordinates::Crop(start, end) => 0.5 * (start + end) * (from - 1.0),
        }
    }

    /// The sources of each output place with their weights; an empty list is outside of the input.
    fn taps(&self, mode: Mode, antialias: bool, exclude_outside: bool) -> Vec<Vec<(usize, f64)>> {
        (0..self.to).map(|place| self.taps_of(self.source(place), mode, antialias, exclude_outside)).collect()
    }

    fn taps_of(&self, x: f64, mode: Mode, antialias: bool, exclude_outside: bool) -> Vec<(usize, f64)> {
        let last = self.from as f64 - 1.0;
        if let Coordinates::Crop(..) = self.coordinates
            && !(0.0..=last).contains(&x)
        {
            return Vec::new();
        }
        let (radius, kernel): (f64, Box<dyn Fn(f64) -> f64>) = match mode {
            Mode::Nearest(how) => {
                let nearest = match how {
                    // Halves go down, or up.
                    Nearest::PreferFloor => (x - 0.5).ceil(),
                    Nearest::PreferCeil => (x + 0.5).floor(),
                    Nearest::Floor => x.floor(),
                    Nearest::Ceil => x.ceil(),
                };
                return vec![(nearest.clamp(0.0, last) as usize, 1.0)];
            }
            Mode::Linear => (1.0, Box::new(|d| (1.0 - d.abs()).max(0.0))),
            Mode::Cubic(a) => (2.0, Box::new(move |d| cubic(d.abs(), a))),
        };
        // Shrinking with antialias widens the window so that every source counts.
        let stretch = if antialias && self.scale < 1.0 { self.scale } else { 1.0 };
        let reach = radius / stretch;
        let (first, stop) = ((x - reach).floor() as i64, (x + reach).ceil() as i64);
        let mut taps: Vec<(usize, f64)> = Vec::new();
        let mut total = 0.0;
        for i in first..=stop {
            let weight = kernel((i as f64 - x) * stretch);
            let outside = i < 0 || i > last as i64;
            if weight == 0.0 || (outside && exclude_outside) {
                continue;
            }
            total += weight;
            let source = i.clamp(0, last as i64) as usize;
            match taps.iter_mut().find(|(at, _)| *at == source) {
                Some((_, sum)) => *sum += weight,
                None => taps.push((source, weight)),
            }
        }
        if total != 0.0 {
            taps.iter_mut().for_each(|(_, weight)| *weight /= total);
        }
        taps
    }
}

fn cubic(d: f64, a: f64) -> f64 {
    match d {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    }
}

/// One axis of `x`, in Float32 or Float64.
fn along(x: &Tensor, at: usize, taps: &[Vec<(usize, f64)>], outside: f64) -> Result<Tensor, String> {
    let (outer, n, inner) = (product(&x.shape()[..at]), x.shape()[at], product(&x.shape()[at + 1..]));
    let mut shape = x.shape().to_vec();
    shape[at] = taps.len();
    let total = rules::numel(&shape).map_err(say)?;
    // Asked for before it is filled, so that a size beyond the limit is an error.
    let out = Tensor::zeros(&shape, x.dtype()).map_err(say)?;
    if total == 0 || n == 0 {
        return Ok(out);
    }
    macro_rules! fill {
        ($T:ty) => {{
            let whole = x.contiguous().map_err(say)?;
            let data = whole.as_slice::<$T>().ok_or("the input is not contiguous")?;
            let mut out = vec![0.0 as $T; total];
            for (block, rows) in data.chunks(n * inner).zip(out.chunks_mut(taps.len() * inner)).take(outer) {
                for (taps, row) in taps.iter().zip(rows.chunks_mut(inner)) {
                    if taps.is_empty() {
                        row.fill(outside as $T);
                    }
                    for &(source, weight) in taps {
                        let from = &block[source * inner..(source + 1) * inner];
                        row.iter_mut().zip(from).for_each(|(o, x)| *o += *x * weight as $T);
                    }
                }
            }
            Tensor::from_vec(out, &shape).map_err(say)
        }};
    }
    match x.dtype() {
        DType::F64 => fill!(f64),
        _ => fill!(f32),
    }
}

pub fn resize(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let axes: Vec<usize> = match a.opt_ints(5)? {
        Some(axes) => axes.iter().map(|&at| axis(at, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    let given = |index: usize| -> Result<Option<Vec<f64>>, String> {
        Ok(if a.is_none(index) { None } else { Some(a.floats(index)?).filter(|list| !list.is_empty()) })
    };
    let (roi, scales, sizes) = (given(1)?, given(2)?, given(3)?);
    let n = axes.len();
    let from: Vec<usize> = axes.iter().map(|&at| x.shape()[at]).collect();
    let plan: Vec<(usize, f64)> = match (scales, sizes) {
        (Some(scales), None) if scales.len() == n => scales
            .iter()
            .zip(&from)
            .map(|(&scale, &from)| match (from as f64 * scale).floor() {
                to if to.is_finite() && to >= 0.0 && scale > 0.0 => Ok((to as usize, scale)),
                _ => Err(format!("scale {scale}")),
            })
            .collect::<Result<_, _>>()?,
        (None, Some(sizes)) if sizes.len() == n && sizes.iter().all(|&s| s >= 0.0) => {
            let scales: Vec<f64> = sizes.iter().zip(&from).map(|(to, &from)| to / from as f64).collect();
            let common = match a.str(10)? {
                "stretch" => None,
                "not_larger" => Some(scales.iter().copied().fold(f64::INFINITY, f64::min)),
                "not_smaller" => Some(scales.iter().copied().fold(0.0, f64::max)),
                other => return Err(format!("keep_aspect_ratio_policy `{other}` is not known")),
            };
            let one = |i: usize| match common {
                Some(scale) => ((from[i] as f64 * scale).round() as usize, scale),
                None => (sizes[i] as usize, scales[i]),
            };
            (0..n).map(one).collect()
        }
        _ => return Err(format!("needs {n} scales or {n} sizes")),
    };
    let mode = match a.str(11)? {
        "nearest" => Mode::Nearest(match a.str(12)? {
            "round_prefer_floor" => Nearest::PreferFloor,
            "round_prefer_ceil" => Nearest::PreferCeil,
            "floor" => Nearest::Floor,
            "ceil" => Nearest::Ceil,
            other => return Err(format!("nearest_mode `{other}` is not known")),
        }),
        "linear" => Mode::Linear,
        "cubic" => Mode::Cubic(a.float(7)?),
        other => return Err(format!("mode `{other}` is not known")),
    };
    let coordinates = |i: usize| {
        Ok(match a.str(6)? {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_crop_and_resize" => match &roi {
                Some(roi) if roi.len() == 2 * n => Coordinates::Crop(roi[i], roi[i + n]),
                _ => return Err(format!("needs a roi of {} numbers", 2 * n)),
            },
            other => return Err(format!("coordinate_transformation_mode `{other}` is not known")),
        })
    };
    let settings = Settings { mode, antialias: a.bool(4)?, exclude_outside: a.bool(8)?, outside: a.float(9)? };
    let mut resized = Vec::with_capacity(n);
    for i in 0..n {
        let (to, scale) = plan[i];
        resized.push((axes[i], Axis { from: from[i], to, scale, coordinates: coordinates(i)? }));
    }
    run(&x, &resized, settings)
}

/// The first source of each place, where none lies outside.
fn picks(taps: &[Vec<(usize, f64)>]) -> Option<Vec<usize>> {
    taps.iter().map(|taps| taps.first().map(|tap| tap.0)).collect()
}

/// Where a place lies, when it has one source or lies between two.
fn between(taps: &Vec<(usize, f64)>) -> Option<k::Between> {
    match taps[..] {
        // Half of it twice: what is no number stays none, and others stay what they are.
        [(at, weight)] if weight == 1.0 => Some(k::Between { low: at, high: at, share: 0.5 }),
        // With weights that do not make a whole the sum is no place between.
        [(low, rest), (high, share)] if (rest + share - 1.0).abs() < 1e-12 => Some(k::Between { low, high, share }),
        _ => None,
    }
}

/// An axis and the sources of its new places.
type Resampled = (usize, Vec<Vec<(usize, f64)>>);

/// `x` resampled along the last two axes, when each place has one source or lies between two.
fn in_planes(x: &Tensor, lists: &[Resampled], nearest: bool) -> Result<Option<Tensor>, String> {
    let rank = x.rank();
    let is_filled = x.numel() > 0 && lists.iter().all(|(_, taps)| !taps.is_empty());
    if lists.is_empty() || rank < 2 || !is_filled {
        return Ok(None);
    }
    let list = |at: usize| lists.iter().find(|(changed, _)| *changed == at).map(|(_, taps)| taps);
    if nearest {
        let places = |at| list(at).map_or(Some((0..x.shape()[at]).collect()), |taps| picks(taps));
        let (Some(ys), Some(xs)) = (places(rank - 2), places(rank - 1)) else { return Ok(None) };
        return k::take_planes(x, &ys, &xs).map(Some).map_err(say);
    }
    let same = |at| k::Between { low: at, high: at, share: 0.5 };
    let places = |at| match list(at) {
        Some(taps) => taps.iter().map(between).collect::<Option<Vec<_>>>(),
        None => Some((0..x.shape()[at]).map(same).collect()),
    };
    let (Some(ys), Some(xs)) = (places(rank - 2), places(rank - 1)) else { return Ok(None) };
    k::interpolate_planes(x, &ys, &xs).map(Some).map_err(say)
}

#[derive(Clone, Copy)]
struct Settings {
    mode: Mode,
    antialias: bool,
    exclude_outside: bool,
    outside: f64,
}

fn run(x: &Tensor, axes: &[(usize, Axis)], settings: Settings) -> OpResult {
    let mut shape = x.shape().to_vec();
    for (at, axis) in axes {
        if axis.to > MAX_PLACES || (axis.from == 0 && axis.to > 0) {
            return Err(format!("axis {at} of size {} to {}", axis.from, axis.to));
        }
        shape[*at] = axis.to;
    }
    // The result is bounded before anything is worked out for it.
    Tensor::full(&[], 0i64, x.dtype()).and_then(|zero| zero.expand(&shape)).map_err(say)?;
    let changed =
        |axis: &Axis| axis.to != axis.from || axis.scale != 1.0 || matches!(axis.coordinates, Coordinates::Crop(..));
    let nearest = matches!(settings.mode, Mode::Nearest(_));
    let mut out = match x.dtype() {
        DType::F32 | DType::F64 => x.clone(),
        _ if nearest && !axes.iter().any(|(_, axis)| matches!(axis.coordinates, Coordinates::Crop(..))) => x.clone(),
        DType::F16 | DType::BF16 => x.to(DType::F32).map_err(say)?,
        _ => x.to(DType::F64).map_err(say)?,
    };
    let taps = |axis: &Axis| axis.taps(settings.mode, settings.antialias, settings.exclude_outside);
    let lists = axes.iter().filter(|(_, axis)| changed(axis)).map(|(at, axis)| (*at, taps(axis)));
    let (last, mut others): (Vec<Resampled>, Vec<_>) = lists.partition(|(at, _)| at + 2 >= x.rank());
    match in_planes(&out, &last, nearest)? {
        Some(planes) => out = planes,
        None => others.extend(last),
    }
    for (at, taps) in &others {
        out = match picks(taps).filter(|_| nearest) {
            Some(picks) => {
                let picks: Vec<i64> = picks.iter().map(|&place| place as i64).collect();
                let index = Tensor::from_slice(&picks, &[picks.len()]).map_err(say)?;
                k::index_select(&out, *at as i64, &index).map_err(say)?
            }
            None => along(&out, *at, taps, settings.outside)?,
        };
    }
    ok(out.to(x.dtype()))
}

/// How PyTorch weighs neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Linear,
    Cubic,
    /// With every source counted when an axis shrinks.
    LinearAntialias,
    CubicAntialias,
}

/// PyTorch's resampling of the last axes to `sizes`; a factor, where there is one, sets the step.
pub fn resampled(
    x: &Tensor,
    sizes: &[usize],
    factors: &[Option<f64>],
    filter: Filter,
    align_corners: bool,
) -> OpResult {
    let antialias = matches!(filter, Filter::LinearAntialias | Filter::CubicAntialias);
    if antialias && align_corners {
        return Err("antialias with align_corners is not supported".into());
    }
    let coordinates = if align_corners { Coordinates::AlignCorners } else { Coordinates::HalfPixel };
    let mode = match filter {
        Filter::Linear | Filter::LinearAntialias => Mode::Linear,
        Filter::Cubic => Mode::Cubic(-0.75),
        Filter::CubicAntialias => Mode::Cubic(-0.5),
    };
    let lead = x.rank().saturating_sub(sizes.len());
    let one = |(i, (&to, factor)): (usize, (&usize, &Option<f64>))| {
        let from = x.shape()[lead + i];
        let natural = to as f64 / from as f64;
        let scale = if align_corners { natural } else { factor.unwrap_or(natural) };
        (lead + i, Axis { from, to, scale, coordinates })
    };
    let axes: Vec<(usize, Axis)> = sizes.iter().zip(factors).enumerate().map(one).collect();
    run(x, &axes, Settings { mode, antialias, exclude_outside: antialias, outside: 0.0 })
}

/// Before version 11: places are the output's over the scale, nearest is rounded down.
pub fn upsample(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let scales = a.floats(1)?;
    if scales.len() != x.rank() {
        return Err(format!("{} scales for rank {}", scales.len(), x.rank()));
    }
    let mode = match a.str(2)? {
        "nearest" => Mode::Nearest(Nearest::Floor),
        "linear" | "bilinear" => Mode::Linear,
        other => return Err(format!("mode `{other}` is not known")),
    };
    let mut axes = Vec::with_capacity(scales.len());
    for (at, (&scale, &from)) in scales.iter().zip(x.shape()).enumerate() {
        let to = (from as f64 * scale).floor();
        if !(to.is_finite() && to >= 0.0 && scale > 0.0) {
            return Err(format!("scale {scale}"));
        }
        axes.push((at, Axis { from, to: to as usize, scale, coordinates: Coordinates::Asymmetric }));
    }
    run(&x, &axes, Settings { mode, antialias: false, exclude_outside: false, outside: 0.0 })
}
