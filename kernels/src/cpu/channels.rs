//! Windows over images whose channels lie side by side (`[n, h, w, c]`): convolutions with packed weights.
//!
//! The weights are a packed matrix with a row for each number that a window sees. A window's numbers are a few runs
//! of memory, all channels of neighbouring pixels of a line, and so are its neighbour's, one step further: a tile of
//! windows is read where the image lies, or its copy with a border of zeros ([`super::frame`]). Nothing is gathered.
//! A window of one pixel is a row of a plain product.
//!
//! Pieces are cut by sizes alone and share no sum, so results do not depend on the number of cores.

use stark_shapes::Conv;

use super::activation::Activation;
use super::buffer::Buffer;
use super::convolve::Plan;
use super::depthwise;
use super::frame::{Frame, Images, Lines, Part};
use super::gemm::Mat;
use super::halved;
use super::pages::Words;
use super::panels::{Panels, product};
use super::simd::{Kernel, dispatch, level};
use super::tile::{self, Ahead, Finish, MAX_ROWS, Rows, Target, Tile, WIDTH, tallest};
use super::winograd;
use crate::error::Result;
use crate::parallel::{HEAVY, piece, run_all};

/// Numbers of a frame that stay in the second-level cache of one core beside a panel of weights: 512 KiB.
const FRAME: usize = 128 << 10;
/// Rows of a panel that are multiplied before the next tile: 320 KiB, which stay in the second-level cache.
const DEEP: usize = 2560;
/// A multiplication of a window over one channel takes as long as so many of a product: a guess from MobileNet's layers.
const ALONE: usize = 3;
/// Pieces that are enough for the cores there may be, but for heavy ones.
const MANY: usize = 32;
/// An image of so many multiplications (some 50 µs) is not cut where there are others.
const WHOLE: usize = 1 << 22;

/// The weights of a convolution, packed.
pub enum Filter {
    /// For each group a matrix with a row for each number that a window sees, in the order height, width, channel.
    Groups(Vec<Panels>),
    /// One channel in, one out.
    Depthwise(Buffer),
    /// Of windows of three by three that move by one pixel, transformed ([`super::winograd`]).
    Winograd(Panels),
}

impl Filter {
    /// Packs `weights [groups · o, c, kh, kw]`, row-major.
    pub fn pack(weights: Words, groups: usize, o: usize, c: usize, taps: usize) -> Result<Filter> {
        assert!(weights.len() >= groups * o * c * taps, "weights are whole");
        if c == 1 && o == 1 && groups > 1 {
            return Ok(Filter::Depthwise(depthwise::pack(weights, groups, taps)?));
        }
        let n = o * c * taps;
        let packed = (0..groups).map(|g| Panels::pack_windows(weights.from(g * n), o, c, taps));
        Ok(Filter::Groups(packed.collect::<Result<_>>()?))
    }

    /// As [`Filter::pack`], for windows that move by one pixel alone.
    pub fn pack_by_pixel(weights: Words, groups: usize, o: usize, c: usize, kernel: [usize; 2]) -> Result<Filter> {
        match winograd::pays(groups, o, c, kernel) {
            true => Ok(Filter::Winograd(winograd::pack(weights, o, c)?)),
            false => Filter::pack(weights, groups, o, c, kernel[0] * kernel[1]),
        }
    }

    /// Whether windows may move so.
    pub fn takes(&self, windows: [Conv; 2]) -> bool {
        let is_by_pixel = windows.iter().all(|w| w.stride == 1 && w.dilation == 1);
        is_by_pixel || !matches!(self, Filter::Winograd(_))
    }

    /// What was packed: the weights of `groups` groups and windows of `taps` places. Those that were transformed come back but
    /// for rounding.
    pub fn to_vec(&self, groups: usize, taps: usize) -> Vec<f32> {
        match self {
            Filter::Groups(all) => all.iter().flat_map(|panels| panels.to_windows(taps)).collect(),
            Filter::Winograd(panels) => winograd::restore(&panels.to_windows(winograd::PLACES)),
            Filter::Depthwise(turned) => {
                let (turned, padded) = (turned.as_slice::<f32>(), groups.next_multiple_of(depthwise::BLOCK));
                (0..groups * taps).map(|i| turned[i % taps * padded + i / taps]).collect()
            }
        }
    }

    pub fn n_bytes(&self) -> usize {
        match self {
            Filter::Groups(groups) => groups.iter().map(Panels::n_bytes).sum(),
            Filter::Depthwise(turned) => turned.n_bytes(),
            Filter::Winograd(panels) => panels.n_bytes(),
        }
    }
}

/// What follows the sums of a convolution.
#[derive(Clone, Copy)]
pub struct After<'a> {
    pub bias: Option<&'a [f32]>,
    /// As large as the result, in its order.
    pub added: Option<&'a [f32]>,
    pub activation: Activation,
    /// Of each two by two positions the greatest is the result; the last ones of an odd number are in none.
    pub is_halved: bool,
}

/// Whether [`forward`] can halve what it gives. What is added is not taken along, and of what falls somewhere the greatest is
/// not that of the greatest.
pub fn halves(plan: &Plan, filter: &Filter, activation: Activation) -> bool {
    let filter_can = match filter {
        Filter::Depthwise(_) => false,
        Filter::Winograd(_) => true,
        Filter::Groups(_) => plan.groups == 1 && plan.columns() <= halved::MAX_COLUMNS,
    };
    filter_can && matches!(activation, Activation::None | Activation::Relu) && plan.out.iter().all(|&n| n >= 2)
}

/// The convolution that `plan` says; the result has channels last.
pub fn forward(plan: &Plan, x: Images, filter: &Filter, after: After, out: &mut [f32]) -> Result<()> {
    let (channels, outputs) = (plan.c * plan.groups, plan.o * plan.groups);
    let positions = plan.n * plan.positions();
    if after.is_halved {
        assert!(halves(plan, filter, after.activation) && after.added.is_none(), "the result can be halved");
        let plan = &Plan { out: plan.out.map(|n| n / 2 * 2), ..*plan };
        assert!(out.len() == positions_halved(plan) * outputs && after.bias.is_none_or(|b| b.len() == outputs));
        return match filter {
            _ if out.is_empty() => Ok(()),
            Filter::Winograd(panels) => winograd::forward(plan, x, panels, after, out),
            Filter::Groups(panels) => halved::forward(plan, x, &panels[0], after, out),
            Filter::Depthwise(_) => Ok(()),
        };
    }
    assert!(out.len() == positions * outputs, "the result is whole");
    assert!(after.bias.is_none_or(|b| b.len() == outputs) && after.added.is_none_or(|a| a.len() == out.len()));
    if out.is_empty() {
        return Ok(());
    }
    let [h, w] = plan.plane;
    let lies_packed = x.strides == [h * w * channels, w * channels, channels, 1];
    match filter {
        Filter::Depthwise(weights) => depthwise(plan, x, weights.as_slice(), after, out),
        Filter::Winograd(panels) => winograd::forward(plan, x, panels, after, out),
        Filter::Groups(panels) => {
            assert!(panels.len() == plan.groups, "the weights are of this convolution");
            assert!(panels.iter().all(|p| p.rows() == plan.columns() && p.cols() == plan.o));
            match &panels[..] {
                [only] if plan.is_pointwise() && lies_packed => {
                    let a = Mat::new(x.data, positions, channels, channels, 1);
                    let finish = Finish {
                        per_column: after.bias,
                        added: after.added,
                        activation: after.activation,
                        per_row: None,
                    };
                    product(out, a, only.view(), finish)
                }
                panels => direct(plan, x, lies_packed, panels, after, out),
            }
        }
    }
}

fn positions_halved(plan: &Plan) -> usize {
    plan.n * (plan.out[0] / 2) * (plan.out[1] / 2)
}

/// How the lines of a result are cut: whole images together while they are small, else lines of one.
pub struct Cut {
    images: usize,
    lines: usize,
    per_image: usize,
    n_images: usize,
    n_lines: usize,
    pub n: usize,
    /// Multiplications of all.
    pub work: usize,
}

impl Cut {
    /// Of `n_images` with `oh` lines each. `line`: multiplications behind a line of the result. `frame`: numbers that some
    /// lines of an image need at hand, among them those of `halo` lines of the result for each piece once more.
    pub fn new(n_images: usize, oh: usize, line: usize, halo: usize, frame: impl Fn(usize) -> usize) -> Cut {
        let work = line.saturating_mul(n_images * oh);
        let heavy = (HEAVY / line.max(1)).max(1);
        let few = (n_images * oh).div_ceil(MANY);
        // What is copied twice is little of what is copied, but for an image that two cores share.
        let least = (2 * halo).min(oh.div_ceil(2));
        let by_work = piece(work).div_ceil(line.max(1)).max(few.max(least).min(heavy));
        let by_images = n_images >= 4 && n_images.is_multiple_of(2) && line.saturating_mul(oh) <= WHOLE;
        if (by_work >= oh || by_images) && frame(oh) <= FRAME {
            let images = (by_work / oh).min(FRAME / frame(oh).max(1)).clamp(1, n_images);
            // As equal as can be, and an even number, for two cores.
            let pieces = n_images.div_ceil(images);
            let pieces = if pieces > 1 { pieces.next_multiple_of(2).min(n_images) } else { 1 };
            let images = n_images.div_ceil(pieces);
            let n = n_images.div_ceil(images);
            return Cut { images, lines: oh, per_image: 1, n_images, n_lines: oh, n, work };
        }
        let mut lines = by_work.min(oh);
        while lines > 1 && frame(lines) > FRAME {
            lines = lines.div_ceil(2);
        }
        let per_image = oh.div_ceil(lines);
        // As equal as can be.
        let lines = oh.div_ceil(per_image);
        let per_image = oh.div_ceil(lines);
        Cut { images: 1, lines, per_image, n_images, n_lines: oh, n: n_images * per_image, work }
    }

    pub fn part(&self, i: usize) -> Part {
        let image = i / self.per_image * self.images;
        let line = i % self.per_image * self.lines;
        let images = image..(image + self.images).min(self.n_images);
        Part { images, lines: line..(line + self.lines).min(self.n_lines) }
    }
}

fn depthwise(plan: &Plan, x: Images, weights: &[f32], after: After, out: &mut [f32]) -> Result<()> {
    let padded = plan.groups.next_multiple_of(depthwise::BLOCK);
    let pixel = depthwise::together(plan.groups);
    let taps = plan.kernel[0] * plan.kernel[1];
    assert!(weights.len() == padded * taps, "the weights are of this convolution");
    let cut = Cut::new(plan.n, plan.out[0], plan.out[1] * padded * taps * ALONE, plan.halo(), |lines| {
        Frame::new(plan, lines, pixel).len()
    });
    let target = &Target::new(out, plan.groups);
    run_all(cut.n, cut.work, |i| {
        let part = cut.part(i);
        // Of some channels of one image at a time.
        let mut scratch = Buffer::for_overwrite::<f32>(Frame::new(plan, part.lines.len(), pixel).len())?;
        let scratch = scratch.as_mut_slice();
        dispatch(depthwise::Piece { plan, x, weights, after, part, scratch, target });
        Ok(())
    })
}

fn direct(plan: &Plan, x: Images, lies_packed: bool, filter: &[Panels], after: After, out: &mut [f32]) -> Result<()> {
    let outputs = plan.o * plan.groups;
    // Without padding windows see nothing but the image, which can stay where it is.
    let in_place = lies_packed && plan.windows.iter().all(|w| w.padding == 0);
    let line = plan.out[1] * plan.columns() * plan.o;
    let (halo, frame) = (plan.halo(), |lines| Frame::new(plan, lines, plan.c).len());
    let cut = match in_place {
        true => Cut::new(plan.n, plan.out[0], line, 0, |_| 0),
        false => Cut::new(plan.n, plan.out[0], line, halo, frame),
    };
    // Few lines leave the columns to be cut; every piece makes its own frame, so it has several panels.
    let panels = plan.o.div_ceil(WIDTH);
    let heavy = cut.work / cut.n / HEAVY;
    let col_pieces = (MANY / 2 / (cut.n * plan.groups)).max(heavy).clamp(1, panels.div_ceil(2));
    let cols = panels.div_ceil(col_pieces);
    let col_pieces = panels.div_ceil(cols);
    let target = Target::new(out, outputs);
    run_all(cut.n * plan.groups * col_pieces, cut.work.saturating_mul(plan.groups), |i| {
        let (rest, col) = (i / col_pieces, i % col_pieces);
        let (part, group) = (cut.part(rest / plan.groups), rest % plan.groups);
        let from = group * plan.o;
        let finish = Finish {
            per_column: after.bias.map(|b| &b[from..from + plan.o]),
            added: after.added.map(|a| &a[from..]),
            activation: after.activation,
            ..Finish::default()
        };
        let frame = Frame::new(plan, part.lines.len(), plan.c);
        let n = if in_place { 0 } else { frame.len().saturating_mul(part.images.len()) };
        let mut scratch = Buffer::for_overwrite::<f32>(n)?;
        dispatch(Direct {
            plan,
            x,
            group,
            filter: &filter[group],
            panels: col * cols..((col + 1) * cols).min(panels),
            finish,
            part,
            frame: (!in_place).then_some((frame, scratch.as_mut_slice())),
            target: &target.from(from),
        });
        Ok(())
    })
}

/// Some lines and panels of the result. Whoever makes one promises that nobody else writes them.
struct Direct<'a> {
    plan: &'a Plan,
    x: Images<'a>,
    group: usize,
    filter: &'a Panels,
    panels: std::ops::Range<usize>,
    finish: Finish<'a>,
    part: Part,
    frame: Option<(Frame, &'a mut [f32])>,
    target: &'a Target,
}

impl Kernel for Direct<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Direct { plan, x, group, filter, panels, finish, part, frame, target } = self;
        let ([kh, kw], [wy, wx]) = (plan.kernel, plan.windows);
        let channels = group * plan.c..(group + 1) * plan.c;
        let seen = match frame {
            Some((frame, scratch)) => frame.fill(scratch, plan, x, &part, channels),
            None => {
                let [image, line, pixel, _] = x.strides;
                let first = part.images.start * image + part.lines.start * wy.stride * line + channels.start;
                Lines::in_place(&x.data[first..], image, line, pixel, wy.stride)
            }
        };
        // Neighbouring pixels of a line are one run when nothing lies between them.
        let joined = wx.dilation == 1 && seen.pixel == plan.c;
        let (per_line, depth) = if joined { (1, kw * plan.c) } else { (kw, plan.c) };
        let runs: smallvec::SmallVec<[usize; 64]> = (0..kh * per_line)
            .map(|i| seen.tap(i / per_line * wy.dilation) + i % per_line * wx.dilation * seen.pixel)
            .collect();
        let (level, n_runs) = (level(), runs.len());
        let n_lines = part.lines.len();
        let strips = Strips::new(plan, &seen, n_lines, tallest(level));
        let height = tile::height(strips.positions(0), tallest(level));
        let step = wx.stride * seen.pixel;
        // Sums are kept between parts of a deep window.
        let together = (DEEP / depth).clamp(1, runs.len());
        let n_tiles = part.images.len() * strips.n() * strips.positions(0).div_ceil(height);
        let mut kept: Vec<Tile> = Vec::new();
        if together < runs.len() {
            kept.resize(n_tiles, [[0.0; WIDTH]; MAX_ROWS]);
        }
        let mut fresh: Tile = [[0.0; WIDTH]; MAX_ROWS];
        for j in panels {
            let n = WIDTH.min(plan.o - j * WIDTH);
            for first_run in (0..runs.len()).step_by(together) {
                let runs = &runs[first_run..(first_run + together).min(n_runs)];
                let b = &filter.panel(j)[first_run * depth * WIDTH..][..runs.len() * depth * WIDTH];
                let is_last = first_run + together >= n_runs;
                let (mut tiles, mut t) = (kept.iter_mut(), 0);
                for (i, image) in part.images.clone().enumerate() {
                    for s in 0..strips.n() {
                        let line = s * strips.lines;
                        let strip = i * seen.image + line * seen.line;
                        let row = (image * plan.out[0] + part.lines.start + line) * plan.out[1];
                        for at in (0..strips.positions(s)).step_by(height) {
                            let n_rows = height.min(strips.positions(s) - at);
                            let tile = tiles.next().unwrap_or(&mut fresh);
                            // A line without a second one has no gap.
                            let gap = if n_rows == height { strips.gap } else { 0 };
                            let rows = Rows { data: &seen.data[strip + at * step..], step, gap, runs, depth };
                            let ahead = Ahead::after(b, t, n_tiles);
                            t += 1;
                            // SAFETY: `level` names features that were detected.
                            unsafe {
                                tile::multiply(level, rows, n_rows, b, ahead, tile, n <= WIDTH / 2, first_run > 0)
                            };
                            if !is_last {
                                continue;
                            }
                            for (from, to, n_real) in strips.real(at, n_rows, plan.out[1]) {
                                let sums = &tile[from..from + n_real];
                                // SAFETY: the lines and panels of the result are this piece's, as its maker promises.
                                unsafe { tile::store(level, sums, target, row + to, j * WIDTH, n, &finish) };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How tiles lie over lines, a strip of some lines after the other: each line by itself; two short ones in one tile; or all
/// of an image's, where a window without stride goes over the zeros between lines for nothing but leaves no tile half full.
struct Strips {
    n_lines: usize,
    /// Positions of a line of the result.
    width: usize,
    /// Lines of a strip, and positions from one to the next.
    lines: usize,
    pitch: usize,
    /// Numbers between the halves of a tile.
    gap: usize,
}

impl Strips {
    #[inline(always)]
    fn new(plan: &Plan, seen: &Lines, n_lines: usize, tallest: usize) -> Strips {
        let width = plan.out[1];
        let (step, line) = (plan.windows[1].stride * seen.pixel, seen.line);
        let mut best = Strips { n_lines, width, lines: 1, pitch: width, gap: 0 };
        let pair = line.checked_sub(width.saturating_mul(step)).filter(|_| 2 * width <= tallest && n_lines > 1);
        let pair = pair.map(|gap| Strips { lines: 2, gap, ..best });
        // Positions from one line of the result to the next, when that is a whole number.
        let is_whole = line % step == 0 && line / step >= width;
        let whole = is_whole.then(|| Strips { lines: n_lines, pitch: line / step, ..best });
        // A tile costs about as much as six more rows of it (measured with lines of 7 and 14).
        let cost =
            |s: &Strips| (0..s.n()).map(|i| s.positions(i) + 6 * s.positions(i).div_ceil(tallest)).sum::<usize>();
        for other in [pair, whole].into_iter().flatten() {
            if cost(&other) < cost(&best) {
                best = other;
            }
        }
        best
    }

    #[inline(always)]
    fn n(&self) -> usize {
        self.n_lines.div_ceil(self.lines)
    }

    /// Those of strip `s`; the last one may have fewer lines.
    #[inline(always)]
    fn positions(&self, s: usize) -> usize {
        let lines = self.lines.min(self.n_lines - s * self.lines);
        (lines - 1) * self.pitch + self.width
    }

    /// Of `n` positions from `at` on those that are in the result, as runs: which of the `n`, which of the result's
    /// positions, and how many.
    #[inline(always)]
    fn real(&self, at: usize, n: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let pitch = self.pitch;
        (at / pitch..=(at + n - 1) / pitch).filter_map(move |y| {
            let from = at.max(y * pitch);
            let to = (at + n).min(y * pitch + width);
            (from < to).then(|| (from - at, y * width + from - y * pitch, to - from))
        })
    }
}
