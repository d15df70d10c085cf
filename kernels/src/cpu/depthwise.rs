//! Convolutions of each channel alone, with channels side by side.
//!
//! Sums of up to eight neighbouring positions by 16 channels stay in registers, so a weight that is read serves them
//! all. Channels come in blocks of 16 in the weights, zeros after the last.

use smallvec::SmallVec;

use super::buffer::Buffer;
use super::channels::After;
use super::convolve::Plan;
use super::frame::{Frame, Images, Lines, Part};
use super::lanes::{Lanes, Portable};
use super::pages::Words;
use super::simd::{Kernel, Level, level};
use super::tile::{self, Finish, MAX_ROWS, Target, Tile, WIDTH};
use crate::error::Result;

/// Channels of a block.
pub const BLOCK: usize = 16;
/// About so many channels have their frame made at a time: a few lines of them stay in the first-level cache.
const TOGETHER: usize = 64;

/// Channels whose frame is made at a time, of `c`: equal shares, since a pixel costs about the same however few of its channels
/// are copied.
pub fn together(c: usize) -> usize {
    let shares = (c.saturating_add(TOGETHER / 2) / TOGETHER).max(1);
    c.div_ceil(shares).next_multiple_of(BLOCK)
}

/// Numbers of a pixel of `n` of `c` channels in a frame: whole blocks, or all channels as they lie, whose lines are copied
/// whole. Then a last block reads on into the next pixel, and what comes of that is not stored.
fn pixel(n: usize, c: usize) -> usize {
    if n == c && c >= BLOCK { c } else { n.next_multiple_of(BLOCK) }
}

/// The weights `[c, taps]` as blocks of channels for each place of the window.
pub fn pack(weights: Words, c: usize, taps: usize) -> Result<Buffer> {
    let padded = c.next_multiple_of(BLOCK);
    let mut room = Vec::new();
    let weights = weights.part(0..c * taps, &mut room);
    let mut turned = Buffer::lasting::<f32>(padded * taps)?;
    for (tap, row) in turned.as_mut_slice::<f32>().chunks_exact_mut(padded).enumerate() {
        row[..c].iter_mut().enumerate().for_each(|(i, x)| *x = f32::from_ne_bytes(weights[i * taps + tap]));
    }
    Ok(turned)
}

/// Some lines of the result. Whoever makes one promises that nobody else writes them.
pub(super) struct Piece<'a> {
    pub plan: &'a Plan,
    pub x: Images<'a>,
    pub weights: &'a [f32],
    pub after: After<'a>,
    pub part: Part,
    /// Room for a frame of as many channels as go together.
    pub scratch: &'a mut [f32],
    pub target: &'a Target,
}

impl Kernel for Piece<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Piece { plan, x, weights, after, part, scratch, target } = self;
        let (level, c) = (level(), plan.groups);
        let finish =
            Finish { per_column: after.bias, added: after.added, activation: after.activation, ..Finish::default() };
        let mut tile: Tile = [[0.0; WIDTH]; MAX_ROWS];
        let height = tile::height(plan.out[1], tallest(level));
        for image in part.images.clone() {
            for first in (0..c).step_by(together(c)) {
                let channels = first..(first + together(c)).min(c);
                let frame = Frame::new(plan, part.lines.len(), pixel(channels.len(), c));
                let one = Part { images: image..image + 1, lines: part.lines.clone() };
                let seen = frame.fill(&mut scratch[..frame.len()], plan, x, &one, channels.clone());
                let taps: SmallVec<[usize; 16]> =
                    (0..plan.kernel[0]).map(|ky| seen.tap(ky * plan.windows[0].dilation)).collect();
                for (i, y) in part.lines.clone().enumerate() {
                    let row = (image * plan.out[0] + y) * plan.out[1];
                    for block in channels.clone().step_by(WIDTH) {
                        let n = WIDTH.min(channels.end - block);
                        for z in (0..plan.out[1]).step_by(height) {
                            let positions = height.min(plan.out[1] - z);
                            for half in (0..n).step_by(BLOCK) {
                                let at = i * seen.line + z * plan.windows[1].stride * seen.pixel;
                                let (at, channel) = (at + block - first + half, block + half);
                                let sums = Sums { plan, seen, taps: &taps, at, weights, channel };
                                // SAFETY: `level` names features that were detected.
                                unsafe { sums.run(level, positions, &mut tile, half) };
                            }
                            // SAFETY: the lines of the result are this piece's own, as its maker promises.
                            unsafe { tile::store(level, &tile[..positions], target, row + z, block, n, &finish) };
                        }
                    }
                }
            }
        }
    }
}

/// The most positions whose sums fit the registers.
fn tallest(level: Level) -> usize {
    match level {
        Level::Avx512 => 8,
        Level::Avx2 => 4,
        Level::Portable => 1,
    }
}

/// Neighbouring windows of one block of channels; the first one's numbers begin at `at`.
struct Sums<'a> {
    plan: &'a Plan,
    seen: Lines<'a>,
    /// The lines of a window.
    taps: &'a [usize],
    at: usize,
    weights: &'a [f32],
    channel: usize,
}

impl Sums<'_> {
    /// `n` positions, into rows of the tile from column `column` on.
    ///
    /// # Safety
    /// The features of `level` were detected.
    #[inline(always)]
    unsafe fn run(&self, level: Level, n: usize, tile: &mut Tile, column: usize) {
        let ([kh, kw], wx) = (self.plan.kernel, self.plan.windows[1]);
        let Lines { data, pixel, .. } = self.seen;
        let last = self.taps.iter().copied().max().unwrap_or(0);
        // A sum that is too large to count lies outside, too.
        let right = ((kw - 1).saturating_mul(wx.dilation)).saturating_add((n - 1).saturating_mul(wx.stride));
        let end = right.saturating_mul(pixel).saturating_add(last).saturating_add(self.at).saturating_add(BLOCK);
        let weights = self.plan.groups.next_multiple_of(BLOCK);
        assert!(end <= data.len(), "windows lie inside their frame");
        assert!(self.channel + (kh * kw - 1) * weights + BLOCK <= self.weights.len(), "the weights are whole");
        assert!(self.taps.len() == kh && column + BLOCK <= WIDTH && n <= tallest(level));
        macro_rules! by_positions {
            ($L:ty, $V:literal: $($T:literal),*) => {
                match n {
                    // SAFETY: the assertions cover the last number of the last window, the last weight, and the block
                    // of columns; the caller detected the features.
                    $( $T => unsafe { self.sum::<$L, $T, $V>(tile, column) }, )*
                    _ => unreachable!("there are 1 to 8 positions"),
                }
            };
        }
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => by_positions!(std::arch::x86_64::__m512, 1: 1, 2, 3, 4, 5, 6, 7, 8),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => by_positions!(std::arch::x86_64::__m256, 2: 1, 2, 3, 4),
            _ => by_positions!(Portable, 2: 1),
        }
    }

    /// `T` positions of `V` vectors.
    ///
    /// # Safety
    /// The numbers of these windows, a block of weights for each place of the window and a block of columns from `column`
    /// on are there, and the features of `L` were detected.
    #[inline(always)]
    unsafe fn sum<L: Lanes, const T: usize, const V: usize>(&self, tile: &mut Tile, column: usize) {
        let (kw, wx) = (self.plan.kernel[1], self.plan.windows[1]);
        let (pixel, padded) = (self.seen.pixel, self.plan.groups.next_multiple_of(BLOCK));
        let step = wx.stride * pixel;
        // SAFETY: as the caller promises.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; T];
            let mut weights = self.weights.as_ptr().add(self.channel);
            for tap in self.taps {
                let mut x = self.seen.data.as_ptr().add(self.at + tap);
                for _ in 0..kw {
                    for v in 0..V {
                        let weight = L::load(weights.add(v * L::N));
                        for t in 0..T {
                            sums[t][v] = L::load(x.add(t * step + v * L::N)).mul_add(weight, sums[t][v]);
                        }
                    }
                    weights = weights.wrapping_add(padded);
                    x = x.wrapping_add(wx.dilation * pixel);
                }
            }
            for t in 0..T {
                for v in 0..V {
                    sums[t][v].store(tile[t].as_mut_ptr().add(column + v * L::N));
                }
            }
        }
    }
}
