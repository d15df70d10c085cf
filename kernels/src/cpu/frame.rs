//! Images with a border of zeros: copies in which no window reaches outside.
//!
//! A piece of a convolution copies the lines that its windows see, channels side by side, with zeros around them, and
//! from there on reads at a constant step. The zeros to the right of a line are those to the left of the next one.

use super::convolve::Plan;
use super::simd::Kernel;
use super::tile::copy;
use super::turn;

/// Numbers of a line up to which one call clears a whole frame in less time than one for each border takes, and a copy by
/// vectors beats a call. A guess: a convolution with lines of 9 numbers took a fourteenth less time, one with 80 as much.
const SHORT: usize = 128;

/// Images wherever they lie: the numbers from one image, line, pixel and channel to the next.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    pub data: &'a [f32],
    pub strides: [usize; 4],
}

/// What the windows of some lines of the result see, pixels side by side: the numbers from one image to the next, from
/// one line of the result to the next, and from one pixel to the next.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    pub data: &'a [f32],
    pub image: usize,
    pub line: usize,
    pub pixel: usize,
    stride: usize,
    /// From a line to the one below it, up to the next line of the result.
    below: usize,
}

impl<'a> Lines<'a> {
    /// An image where it lies, `stride` lines for each line of the result.
    pub fn in_place(data: &'a [f32], image: usize, line: usize, pixel: usize, stride: usize) -> Lines<'a> {
        Lines { data, image, line: stride * line, pixel, stride, below: line }
    }

    /// From the first line that a window sees to the `y`th.
    #[inline(always)]
    pub fn tap(&self, y: usize) -> usize {
        y / self.stride * self.line + y % self.stride * self.below
    }
}

/// What a piece of a convolution computes: lines `lines` of images `images`, all positions of each.
#[derive(Clone)]
pub struct Part {
    pub images: std::ops::Range<usize>,
    pub lines: std::ops::Range<usize>,
}

/// The size of the frame for some lines of the result: those that their windows see, each `pitch` pixels long, with
/// `pixel` numbers for a pixel. When windows move by several lines, those of equal remainder lie together, so that
/// neighbours in the result are neighbours in the frame.
#[derive(Clone, Copy)]
pub struct Frame {
    stride: usize,
    /// Lines of each remainder.
    lines: usize,
    pitch: usize,
    pixel: usize,
}

impl Frame {
    /// Sizes from a model's file may be any; what is too much to count is more than any memory has.
    pub fn new(plan: &Plan, n_lines: usize, pixel: usize) -> Frame {
        let ([wy, wx], [kh, kw]) = (plan.windows, plan.kernel);
        let span = |n: usize, stride: usize, k: usize, dilation: usize| {
            ((n.max(1) - 1).saturating_mul(stride)).saturating_add((k - 1).saturating_mul(dilation)).saturating_add(1)
        };
        // What windows see beyond the last pixel; the zeros there serve the next line's first windows, too.
        let last = span(plan.out[1], wx.stride, kw, wx.dilation);
        let right = last.saturating_sub(plan.plane[1].saturating_add(wx.padding));
        let pitch = plan.plane[1].saturating_add(wx.padding.max(right));
        let pitch = pitch.checked_next_multiple_of(wx.stride).unwrap_or(usize::MAX);
        let lines = span(n_lines, wy.stride, kh, wy.dilation);
        Frame { stride: wy.stride, lines: lines.div_ceil(wy.stride), pitch, pixel }
    }

    /// Numbers of one image, with what the last line's windows see beyond it.
    pub fn len(&self) -> usize {
        let lines = self.lines.saturating_mul(self.stride).saturating_add(1);
        lines.saturating_mul(self.pitch).saturating_mul(self.pixel)
    }

    /// Copies channels `channels` of what the windows of `part` see.
    #[inline(always)]
    pub fn fill<'a>(
        &self,
        scratch: &'a mut [f32],
        plan: &Plan,
        x: Images,
        part: &Part,
        channels: std::ops::Range<usize>,
    ) -> Lines<'a> {
        let Frame { stride, lines, pitch, pixel } = *self;
        let [wy, wx] = plan.windows;
        let first = part.lines.start * stride;
        let is_short = pitch * pixel <= SHORT;
        if is_short {
            scratch.fill(0.0);
        }
        for (image, frame) in part.images.clone().zip(scratch.chunks_exact_mut(self.len())) {
            for (i, line) in frame.chunks_exact_mut(pitch * pixel).enumerate() {
                let y = (first + i % lines * stride + i / lines).checked_sub(wy.padding);
                let Some(y) = y.filter(|&y| i < lines * stride && y < plan.plane[0]) else {
                    if !is_short {
                        line.fill(0.0);
                    }
                    continue;
                };
                let (left, rest) = line.split_at_mut(wx.padding * pixel);
                let (pixels, right) = rest.split_at_mut(plan.plane[1] * pixel);
                if !is_short {
                    left.fill(0.0);
                    right.fill(0.0);
                }
                let from = &x.data[image * x.strides[0] + y * x.strides[1] + channels.start * x.strides[3]..];
                copy_line(pixels, from, channels.len(), pixel, x.strides[2], x.strides[3]);
            }
        }
        let line = pitch * pixel;
        Lines { data: scratch, image: self.len(), line, pixel, stride, below: lines * line }
    }
}

/// [`Frame::fill`], for wide vectors.
pub struct Fill<'a> {
    pub frame: Frame,
    pub scratch: &'a mut [f32],
    pub plan: &'a Plan,
    pub x: Images<'a>,
    pub channels: std::ops::Range<usize>,
    pub part: &'a Part,
}

impl<'a> Kernel for Fill<'a> {
    type Out = Lines<'a>;
    #[inline(always)]
    fn run(self) -> Lines<'a> {
        self.frame.fill(self.scratch, self.plan, self.x, self.part, self.channels)
    }
}

/// `c` channels of each pixel.
#[inline(always)]
fn copy_line(to: &mut [f32], from: &[f32], c: usize, pixel: usize, step: usize, channel: usize) {
    if channel == 1 || c == 1 {
        if step == c && pixel == c {
            return if to.len() <= SHORT { copy(to, from) } else { to.copy_from_slice(&from[..to.len()]) };
        }
        for (x, to) in to.chunks_exact_mut(pixel).enumerate() {
            let (to, beyond) = to.split_at_mut(c);
            copy(to, &from[x * step..]);
            beyond.iter_mut().for_each(|x| *x = 0.0);
        }
        return;
    }
    // The channels of an image as cameras and files give it.
    if step == 1 && pixel == c {
        match c {
            2 => return interleave::<2>(to, from, channel),
            3 => return interleave::<3>(to, from, channel),
            4 => return interleave::<4>(to, from, channel),
            _ => {}
        }
    }
    let n = to.len() / pixel;
    if pixel != c {
        to.fill(0.0);
    }
    let mut turned = 0;
    if step == 1 && c >= turn::SIDE && n >= turn::SIDE && turn::is_here() {
        turned = c - c % turn::SIDE;
        for k in (0..turned).step_by(turn::SIDE) {
            let from = &from[k * channel..];
            for first in (0..n).step_by(turn::SIDE) {
                // The last block takes up pixels of the one before again.
                let first = first.min(n - turn::SIDE);
                // SAFETY: it is here.
                unsafe { turn::turn(&from[first..], channel, &mut to[first * pixel + k..], pixel) };
            }
        }
    }
    for k in turned..c {
        let from = &from[k * channel..][..(n - 1) * step + 1];
        let to = to[k..].iter_mut().step_by(pixel);
        match step {
            1 => to.zip(from).for_each(|(o, x)| *o = *x),
            // An expanded image has a step of 0.
            _ => to.enumerate().for_each(|(i, o)| *o = from[i * step]),
        }
    }
}

/// `C` channels of neighbouring pixels, from planes that lie `channel` numbers apart.
#[inline(always)]
fn interleave<const C: usize>(to: &mut [f32], from: &[f32], channel: usize) {
    let pixels = to.as_chunks_mut::<C>().0;
    let planes: [&[f32]; C] = std::array::from_fn(|k| &from[k * channel..][..pixels.len()]);
    for (i, pixel) in pixels.iter_mut().enumerate() {
        *pixel = std::array::from_fn(|k| planes[k][i]);
    }
}
