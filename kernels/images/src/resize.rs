//! Resizing, to the bit as Pillow does it (and so torchvision, for images that Pillow opened).
//!
//! Each axis is resampled by itself, first the width, then the height; between them values are rounded to 8 bits. A new pixel is the
//! weighted mean of the old ones under a filter that grows with the scale when an image is made smaller: every old pixel counts, which
//! is what "antialias" means. Weights are rounded to 22 bits, and sums are exact.

use crate::ImageError;
use stark_kernels::{DType, Tensor};

/// How old pixels make a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The old pixel under the middle of the new one.
    Nearest,
    /// A triangle over the two neighbours, or over all that the new pixel covers.
    Bilinear,
    /// Keys' cubic with a = -0.5, over four.
    Bicubic,
}

impl Filter {
    pub const ALL: [(&'static str, Filter); 3] =
        [("nearest", Filter::Nearest), ("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)];

    pub fn from_name(name: &str) -> Result<Filter, ImageError> {
        Filter::ALL.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter).ok_or_else(|| {
            let known: Vec<String> = Filter::ALL.iter().map(|(name, _)| format!("{name:?}")).collect();
            ImageError::Argument(format!("there is no filter {name:?}; there are {}", known.join(", ")))
        })
    }

    /// How far it reaches at scale 1.
    fn support(self) -> f64 {
        match self {
            Filter::Nearest => 0.0,
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// 8 bits of a value, 2 bits of room for what overshoots, the rest of an `i32` for the weight.
const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// The old pixels that make one new one.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// The window of each of `n_new` pixels over `n_old`.
fn windows(n_old: usize, n_new: usize, filter: Filter) -> Vec<Window> {
    let scale = n_old as f64 / n_new as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    let window = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let start = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(n_old);
        let weight = |at: usize| filter.weight((at as f64 - center + 0.5) * inverse);
        let mut weights: Vec<f64> = (start..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        if total != 0.0 {
            weights.iter_mut().for_each(|w| *w /= total);
        }
        let fixed = |w: &f64| (w * f64::from(1u32 << WEIGHT_BITS)).round() as i32;
        Window { start, weights: weights.iter().map(fixed).collect() }
    };
    (0..n_new).map(window).collect()
}

fn rounded(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// Half a step, so that `rounded` rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// The axes of an image, for a size it can be brought to.
fn axes(image: &Tensor, height: usize, width: usize) -> Result<[usize; 3], ImageError> {
    let &[old_height, old_width, channels] = image.shape() else {
        return Err(ImageError::Argument(format!(
            "an image has the axes [height, width, channels], this tensor has shape {:?}",
            image.shape()
        )));
    };
    if image.dtype() != DType::U8 {
        return Err(ImageError::Argument(format!("an image has UInt8 elements, this tensor has {}", image.dtype())));
    }
    if image.numel() == 0 || height == 0 || width == 0 {
        return Err(ImageError::Argument(format!(
            "an image of {old_height} x {old_width} pixels cannot become one of {height} x {width}: both need at least one"
        )));
    }
    Ok([old_height, old_width, channels])
}

/// The most memory that [`resize`] holds at once.
pub fn resize_bytes(image: &Tensor, height: usize, width: usize) -> Result<usize, ImageError> {
    let [old_height, old_width, channels] = axes(image, height, width)?;
    let line = width.saturating_mul(channels);
    // The rows between both passes, the new image twice, a row of sums; a window for each new row and column, whose weights are a few
    // for each old one, and at least 5.
    let pixels = old_height.saturating_mul(line).saturating_add(height.saturating_mul(line).saturating_mul(2));
    let windows = height.saturating_add(width).saturating_mul(72).saturating_add((old_height + old_width) * 40);
    Ok(pixels.saturating_add(line.saturating_mul(4)).saturating_add(windows))
}

/// `image` (`[height, width, channels]` of `UInt8`) in another size.
pub fn resize(image: &Tensor, height: usize, width: usize, filter: Filter) -> Result<Tensor, ImageError> {
    let [old_height, old_width, channels] = axes(image, height, width)?;
    if (old_height, old_width) == (height, width) {
        return Ok(image.clone());
    }
    let pixels = image.to_bytes()?;
    let old = Plane { pixels: &pixels, height: old_height, width: old_width, channels };
    let new = match filter {
        Filter::Nearest => old.nearest(height, width),
        _ => old.filtered(height, width, filter),
    };
    Ok(Tensor::from_bytes(&new, DType::U8, &[height, width, channels])?)
}

struct Plane<'a> {
    pixels: &'a [u8],
    height: usize,
    width: usize,
    channels: usize,
}

impl Plane<'_> {
    fn row(&self, y: usize) -> &[u8] {
        let n = self.width * self.channels;
        &self.pixels[y * n..(y + 1) * n]
    }

    fn nearest(&self, height: usize, width: usize) -> Vec<u8> {
        // The middle of the new pixel in old pixels, in whole numbers: no rounding decides which it falls into.
        let under = |i: usize, n_old: usize, n_new: usize| (2 * i + 1) * n_old / (2 * n_new);
        let columns: Vec<usize> = (0..width).map(|x| under(x, self.width, width) * self.channels).collect();
        let mut out = Vec::with_capacity(height * width * self.channels);
        for y in 0..height {
            let row = self.row(under(y, self.height, height));
            columns.iter().for_each(|&x| out.extend_from_slice(&row[x..x + self.channels]));
        }
        out
    }

    fn filtered(&self, height: usize, width: usize, filter: Filter) -> Vec<u8> {
        if height == self.height {
            return self.widths(0..self.height, width, filter);
        }
        let rows = windows(self.height, height, filter);
        // Only rows that the second pass reads.
        let first = rows.first().map_or(0, |w| w.start);
        let last = rows.last().map_or(0, |w| w.start + w.weights.len());
        let narrowed;
        let between = if width == self.width {
            Plane { pixels: &self.pixels[first * width * self.channels..], height: last - first, ..*self }
        } else {
            narrowed = self.widths(first..last, width, filter);
            Plane { pixels: &narrowed, height: last - first, width, channels: self.channels }
        };
        let n = width * self.channels;
        let mut out = Vec::with_capacity(height * n);
        let mut sums = vec![0i32; n];
        for window in &rows {
            sums.fill(HALF);
            for (i, &weight) in window.weights.iter().enumerate() {
                let row = between.row(window.start - first + i);
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += i32::from(x) * weight);
            }
            out.extend(sums.iter().map(|&sum| rounded(sum)));
        }
        out
    }

    fn widths(&self, rows: std::ops::Range<usize>, width: usize, filter: Filter) -> Vec<u8> {
        let columns = windows(self.width, width, filter);
        match self.channels {
            1 => self.narrowed::<1>(rows, &columns),
            3 => self.narrowed::<3>(rows, &columns),
            4 => self.narrowed::<4>(rows, &columns),
            // Any other number, channel by channel.
            _ => {
                let mut out = Vec::with_capacity(rows.len() * width * self.channels);
                for y in rows {
                    let row = self.row(y);
                    for window in &columns {
                        for c in 0..self.channels {
                            let taken = row[window.start * self.channels + c..].iter().step_by(self.channels);
                            let sum = taken.zip(&window.weights).fold(HALF, |sum, (&x, &w)| sum + i32::from(x) * w);
                            out.push(rounded(sum));
                        }
                    }
                }
                out
            }
        }
    }

    fn narrowed<const C: usize>(&self, rows: std::ops::Range<usize>, columns: &[Window]) -> Vec<u8> {
        let mut out = Vec::with_capacity(rows.len() * columns.len() * C);
        for y in rows {
            let (row, _) = self.row(y).as_chunks::<C>();
            for Window { start, weights } in columns {
                let mut sums = [HALF; C];
                for (pixel, &weight) in row[*start..].iter().zip(weights) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &x)| *sum += i32::from(x) * weight);
                }
                out.extend_from_slice(&sums.map(rounded));
            }
        }
        out
    }
}
