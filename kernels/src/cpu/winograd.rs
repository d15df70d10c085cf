//! Windows of three by three that move by one pixel, with fewer products: Winograd's F(2×2, 3×3).
//!
//! Four neighbouring positions of the result see four by four pixels. Both these and the weights are transformed to 16
//! numbers a channel, whose products are summed over channels: 16 products where nine a position are 36. Sums and differences
//! of what was summed are the four positions. Transforms only add, and halve weights, so little is lost to rounding.
//!
//! A piece transforms some squares of four positions, makes 16 products of matrices, panel by panel, and transforms
//! their sums while these are in the cache. Where a pooling follows that keeps the greatest of each two by two positions,
//! these are a square's own. Pieces are cut by sizes alone and share no sum.

use super::buffer::Buffer;
use super::channels::After;
use super::convolve::Plan;
use super::frame::{Fill, Frame, Images, Lines, Part};
use super::lanes::Lanes;
use super::packing::each_window;
use super::pages::Words;
use super::panels::Panels;
use super::simd::{Kernel, Level, Vectors, dispatch, level, vectors};
use super::tile::{self, Ahead, Finish, LINE, MAX_ROWS, Rows, Target, Tile, WIDTH, tallest};
use crate::error::Result;
use crate::parallel::{HEAVY, piece, run_all};

/// Places of a window, and of what it becomes.
const TAPS: usize = 9;
pub const PLACES: usize = 16;
/// Channels come in whole vectors.
const BLOCK: usize = 16;
/// The weights grow by 16 to 9. Read from memory for one image of 7 × 7 those of 512 by 512 channels still take a third less
/// time so; larger ones were not measured, and memory is not time alone.
const MAX_WEIGHTS: usize = 512 * 512;
/// The most squares of a piece: their sums for one panel take 112 KiB.
const SQUARES: usize = 4 * MAX_ROWS;
/// Transformed numbers of a piece: 512 KiB, in the second-level cache with the sums and a panel.
const TRANSFORMED: usize = 128 << 10;
/// Fewer pieces than this have their panels cut, too.
const FEW_PIECES: usize = 4;

/// Whether such weights gain by this. Whoever packs them so sees to it that windows move by one pixel.
pub fn pays(groups: usize, o: usize, c: usize, kernel: [usize; 2]) -> bool {
    let whole = c > 0 && c.is_multiple_of(BLOCK) && o.is_multiple_of(BLOCK);
    groups == 1 && kernel == [3, 3] && whole && o * c <= MAX_WEIGHTS
}

/// Transforms and packs `weights [o, c, 3, 3]`.
pub fn pack(weights: Words, o: usize, c: usize) -> Result<Panels> {
    assert!(weights.len() >= o * c * TAPS, "weights are whole");
    Panels::make(c * PLACES, o, |panel, outputs| {
        each_window(weights.from(outputs.start * c * TAPS), outputs.len(), c, TAPS, |first, rows| {
            vectors(Turn { windows: rows.as_chunks().0, panel: &mut panel[first / TAPS..], c });
        });
    })
}

/// The transform of windows of some channels to rows of a panel, one for each place and `c` rows apart.
struct Turn<'a> {
    windows: &'a [[[f32; WIDTH]; TAPS]],
    panel: &'a mut [[f32; WIDTH]],
    c: usize,
}

impl Vectors for Turn<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Turn { windows, panel, c } = self;
        for (channel, window) in windows.iter().enumerate() {
            for column in (0..WIDTH).step_by(L::N) {
                // SAFETY: rows of a panel are whole vectors; the caller detected the features.
                unsafe {
                    let mut columns = [[L::splat(0.0); 4]; 3];
                    for x in 0..3 {
                        let at = |y: usize| window[3 * y + x].as_ptr().add(column);
                        columns[x] = spread([L::load(at(0)), L::load(at(1)), L::load(at(2))]);
                    }
                    for y in 0..4 {
                        let row = spread([columns[0][y], columns[1][y], columns[2][y]]);
                        for x in 0..4 {
                            row[x].store(panel[(4 * y + x) * c + channel].as_mut_ptr().add(column));
                        }
                    }
                }
            }
        }
    }
}

/// `a`, the half sum of all, that with the middle one taken away, and `c`.
///
/// # Safety
/// The features of `L` were detected.
#[inline(always)]
unsafe fn spread<L: Lanes>([a, b, c]: [L; 3]) -> [L; 4] {
    // SAFETY: as the caller promises.
    let half = unsafe { L::splat(0.5) };
    let (ends, middle) = (a.add(c).mul(half), b.mul(half));
    [a, ends.add(middle), ends.sub(middle), c]
}

/// The window that was transformed, but for rounding.
fn restored(u: &[f32; PLACES]) -> [f32; TAPS] {
    let middle = |four: [f64; 4]| [four[0], four[1] - four[2], four[3]];
    let rows: [[f64; 3]; 4] = std::array::from_fn(|y| middle(std::array::from_fn(|x| f64::from(u[y * 4 + x]))));
    let columns = [0, 1, 2].map(|x| middle(rows.map(|row| row[x])));
    std::array::from_fn(|i| columns[i % 3][i / 3] as f32)
}

/// The weights `[o, c, 3, 3]` that were packed, but for rounding.
pub fn restore(turned: &[f32]) -> Vec<f32> {
    turned.as_chunks::<PLACES>().0.iter().flat_map(restored).collect()
}

/// How the squares of a result are cut: whole images together while they are small, else rows of squares of one. A piece takes
/// its rows `across` squares at a time.
struct Cut {
    images: usize,
    rows: usize,
    across: usize,
    per_image: usize,
    n: usize,
    /// Multiplications of all.
    work: usize,
}

impl Cut {
    /// `across`, `down`: squares of an image.
    fn new(plan: &Plan, across: usize, down: usize) -> Cut {
        let most = (TRANSFORMED / (PLACES * plan.c)).clamp(1, SQUARES);
        let work = (plan.n * across * down).saturating_mul(PLACES * plan.c * plan.o);
        if across * down <= most {
            let pieces = plan.n.div_ceil(most / (across * down)).max((work / piece(work)).min(plan.n));
            // As equal as can be.
            let images = plan.n.div_ceil(pieces);
            return Cut { images, rows: down, across, per_image: 1, n: plan.n.div_ceil(images), work };
        }
        let rows = down.div_ceil(down.div_ceil((most / across).max(1)));
        let per_image = down.div_ceil(rows);
        let across = across.div_ceil(across.div_ceil(most));
        Cut { images: 1, rows, across, per_image, n: plan.n * per_image, work }
    }

    /// The images of piece `i` and its rows of squares, as lines of the result: an even number, one more than there is at most.
    fn part(&self, plan: &Plan, down: usize, i: usize) -> Part {
        let image = i / self.per_image * self.images;
        let row = i % self.per_image * self.rows;
        let rows = row..(row + self.rows).min(down);
        Part { images: image..(image + self.images).min(plan.n), lines: 2 * rows.start..2 * rows.end }
    }
}

/// The convolution that `plan` says, of packed and transformed weights.
pub fn forward(plan: &Plan, x: Images, filter: &Panels, after: After, out: &mut [f32]) -> Result<()> {
    assert!(plan.kernel == [3, 3] && plan.windows.iter().all(|w| w.stride == 1 && w.dilation == 1));
    assert!(plan.groups == 1 && plan.c.is_multiple_of(BLOCK), "channels come in whole vectors");
    assert!(filter.rows() == PLACES * plan.c && filter.cols() == plan.o, "the weights are of this convolution");
    let [down, across] = plan.out.map(|n| n.div_ceil(2));
    let cut = Cut::new(plan, across, down);
    let panels = plan.o.div_ceil(WIDTH);
    let heavy = cut.work / cut.n / HEAVY;
    let cols = panels.div_ceil((FEW_PIECES / cut.n).max(heavy).clamp(1, panels.div_ceil(2)));
    let col_pieces = panels.div_ceil(cols);
    let target = &Target::new(out, plan.o);
    run_all(cut.n * col_pieces, cut.work, |i| {
        let part = &cut.part(plan, down, i / col_pieces);
        let first = i % col_pieces * cols;
        let panels = first..(first + cols).min(panels);
        let frame = Frame::new(plan, part.lines.len(), plan.c);
        let mut scratch = Buffer::for_overwrite::<f32>(frame.len().saturating_mul(part.images.len()))?;
        let seen = dispatch(Fill { frame, scratch: scratch.as_mut_slice(), plan, x, channels: 0..plan.c, part });
        let most = Squares { images: part.images.len(), down: part.lines.len() / 2, first: 0, across: cut.across };
        let mut turned = Buffer::for_overwrite::<f32>(PLACES * (most.n() * plan.c + LINE))?;
        let mut sums = Buffer::for_overwrite::<f32>(most.n_tiles() * size_of::<Tile>() / size_of::<f32>())?;
        for first in (0..across).step_by(cut.across) {
            let squares = Squares { first, across: cut.across.min(across - first), ..most };
            // Planes a line apart, lest all 16 numbers of a place go to one set of the cache.
            let plane = squares.n() * plan.c + LINE;
            vectors(Forth { seen, squares, c: plan.c, plane, turned: turned.as_mut_slice() });
            dispatch(Products {
                plan,
                squares,
                turned: turned.as_slice(),
                plane,
                filter,
                panels: panels.clone(),
                sums: sums.as_mut_slice::<f32>().as_chunks_mut::<WIDTH>().0.as_chunks_mut::<MAX_ROWS>().0,
                finish: Finish {
                    per_column: after.bias,
                    added: after.added,
                    activation: after.activation,
                    ..Finish::default()
                },
                part,
                is_halved: after.is_halved,
                target,
            });
        }
        Ok(())
    })
}

/// Squares of a piece, image by image, row by row: `across` of a row from `first` on.
#[derive(Clone, Copy)]
struct Squares {
    images: usize,
    down: usize,
    first: usize,
    across: usize,
}

impl Squares {
    fn n(&self) -> usize {
        self.images * self.down * self.across
    }

    /// Squares whose sums are one tile for each place.
    fn height(&self) -> usize {
        tile::height(self.n(), tallest(level()))
    }

    fn n_tiles(&self) -> usize {
        self.n().div_ceil(self.height()) * PLACES
    }
}

/// The transform of what squares see: a matrix for each of the 16 places, `plane` numbers apart, with a row of channels for
/// each square.
struct Forth<'a> {
    seen: Lines<'a>,
    squares: Squares,
    c: usize,
    plane: usize,
    turned: &'a mut [f32],
}

impl Vectors for Forth<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Forth { seen, squares, c, plane, turned } = self;
        let Squares { images, down, first, across } = squares;
        let last = (images - 1) * seen.image + (2 * down + 1) * seen.line + (2 * (first + across) + 1) * seen.pixel;
        assert!(last + c <= seen.data.len() && c.is_multiple_of(L::N), "squares lie inside their frame");
        assert!(squares.n() * c <= plane && turned.len() >= PLACES * plane, "there is room for all squares");
        let mut to = turned.as_mut_ptr();
        for image in 0..images {
            for y in 0..down {
                for x in first..first + across {
                    let at = image * seen.image + 2 * y * seen.line + 2 * x * seen.pixel;
                    // SAFETY: the last square ends inside the frame, and `to` is one of as many rows of `c` numbers as
                    // there are squares, in the first of 16 planes; the caller detected the features.
                    unsafe {
                        square_forth::<L>(seen.data.as_ptr().add(at), [seen.line, seen.pixel], c, to, plane);
                        to = to.add(c);
                    }
                }
            }
        }
    }
}

/// `c` channels of four by four pixels, `line` and `pixel` numbers apart, to 16 places `plane` numbers apart. Loops and no
/// closures: those would not be compiled for these vectors.
///
/// # Safety
/// So many numbers are there and may be written, in whole vectors, and the features of `L` were detected.
#[inline(always)]
unsafe fn square_forth<L: Lanes>(from: *const f32, [line, pixel]: [usize; 2], c: usize, to: *mut f32, plane: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        let mut lines = [[L::splat(0.0); 4]; 4];
        for channel in (0..c).step_by(L::N) {
            for i in 0..4 {
                let at = from.add(i * line + channel);
                let pixels =
                    [L::load(at), L::load(at.add(pixel)), L::load(at.add(2 * pixel)), L::load(at.add(3 * pixel))];
                lines[i] = four_of(pixels);
            }
            for j in 0..4 {
                let column = four_of([lines[0][j], lines[1][j], lines[2][j], lines[3][j]]);
                for i in 0..4 {
                    column[i].store(to.add((i * 4 + j) * plane + channel));
                }
            }
        }
    }
}

/// One direction of [`Forth`].
#[inline(always)]
fn four_of<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; 4] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// Some panels of the result of some squares. Whoever makes one promises that nobody else writes them.
struct Products<'a> {
    plan: &'a Plan,
    squares: Squares,
    turned: &'a [f32],
    plane: usize,
    filter: &'a Panels,
    panels: std::ops::Range<usize>,
    /// Room for the sums of one panel: 16 tiles for each [`Squares::height`] squares.
    sums: &'a mut [Tile],
    finish: Finish<'a>,
    part: &'a Part,
    /// The greatest of each square is the result.
    is_halved: bool,
    target: &'a Target,
}

impl Kernel for Products<'_> {
    type Out = ();
    #[inline(always)]
    fn run(mut self) {
        let level = level();
        for j in self.panels.clone() {
            let n = WIDTH.min(self.plan.o - j * WIDTH);
            self.multiply(level, j, n);
            match self.is_halved {
                true => self.greatest(level, j, n),
                false => self.back(level, j, n),
            }
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn multiply(&mut self, level: Level, j: usize, n: usize) {
        let (c, height) = (self.plan.c, self.squares.height());
        let panel = self.filter.panel(j);
        for place in 0..PLACES {
            let b = &panel[place * c * WIDTH..(place + 1) * c * WIDTH];
            let matrix = &self.turned[place * self.plane..(place + 1) * self.plane];
            let n_tiles = self.squares.n().div_ceil(height);
            for (i, tiles) in self.sums.chunks_exact_mut(PLACES).take(n_tiles).enumerate() {
                let rows = Rows { data: &matrix[i * height * c..], step: c, gap: 0, runs: &[0], depth: c };
                let n_rows = height.min(self.squares.n() - i * height);
                let ahead = Ahead::after(b, i, n_tiles);
                // SAFETY: `level` names features that were detected.
                unsafe { tile::multiply(level, rows, n_rows, b, ahead, &mut tiles[place], n <= WIDTH / 2, false) };
            }
        }
    }

    /// Squares side by side are a tile of half as many positions.
    #[inline(always)]
    fn greatest(&self, level: Level, j: usize, n: usize) {
        let (Squares { down, first, across, .. }, height) = (self.squares, self.squares.height());
        let [oh, ow] = self.plan.out.map(|n| n / 2);
        let mut tile = [[0.0; WIDTH]; MAX_ROWS];
        let row = (self.part.images.start * oh + self.part.lines.start / 2) * ow + first;
        // Whole rows of squares follow each other in the result, and so do whole images.
        let (n_runs, run) = if across == ow { (1, self.squares.n()) } else { (self.part.images.len() * down, across) };
        for i in 0..n_runs {
            for x in (0..run).step_by(MAX_ROWS) {
                let together = MAX_ROWS.min(run - x);
                let square = i * run + x;
                vectors(Greatest { sums: self.sums, height, square, together, n, tile: &mut tile });
                let row = row + i * ow + x;
                // SAFETY: the lines and panels of the result are this piece's, as its maker promises.
                unsafe { tile::store(level, &tile[..together], self.target, row, j * WIDTH, n, &self.finish) };
            }
        }
    }

    /// Both lines of some squares side by side are tiles of positions.
    #[inline(always)]
    fn back(&self, level: Level, j: usize, n: usize) {
        let (Squares { down, first, across, .. }, height) = (self.squares, self.squares.height());
        let [oh, ow] = self.plan.out;
        let mut lines = [[[0.0; WIDTH]; MAX_ROWS]; 2];
        for (i, image) in self.part.images.clone().enumerate() {
            for y in 0..down {
                let line = self.part.lines.start + 2 * y;
                for x in (0..across).step_by(MAX_ROWS / 2) {
                    let together = (MAX_ROWS / 2).min(across - x);
                    let square = (i * down + y) * across + x;
                    vectors(Back { sums: self.sums, height, square, together, n, lines: &mut lines });
                    let column = 2 * (first + x);
                    let positions = (2 * together).min(ow - column);
                    for (k, tile) in lines.iter().enumerate().take(oh - line) {
                        let row = (image * oh + line + k) * ow + column;
                        // SAFETY: the lines and panels of the result are this piece's, as its maker promises.
                        unsafe { tile::store(level, &tile[..positions], self.target, row, j * WIDTH, n, &self.finish) };
                    }
                }
            }
        }
    }
}

/// From sums to positions, of `together` squares from `square` on, in `n` columns.
struct Back<'a> {
    sums: &'a [Tile],
    height: usize,
    square: usize,
    together: usize,
    n: usize,
    lines: &'a mut [Tile; 2],
}

impl Vectors for Back<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Back { sums, height, square, together, n, lines: [top, bottom] } = self;
        assert!(n <= WIDTH && n.is_multiple_of(L::N), "columns are whole vectors");
        for k in 0..together {
            let (tiles, row) = ((square + k) / height * PLACES, (square + k) % height);
            let tiles = &sums[tiles..tiles + PLACES];
            for column in (0..n).step_by(L::N) {
                // SAFETY: rows of tiles are whole, and `column` is a whole vector before `n`; the caller detected the features.
                unsafe {
                    let [upper, lower] = square_back::<L>(tiles, row, column);
                    upper[0].store(top[2 * k].as_mut_ptr().add(column));
                    upper[1].store(top[2 * k + 1].as_mut_ptr().add(column));
                    lower[0].store(bottom[2 * k].as_mut_ptr().add(column));
                    lower[1].store(bottom[2 * k + 1].as_mut_ptr().add(column));
                }
            }
        }
    }
}

/// From sums to the greatest position of each of `together` squares from `square` on, in `n` columns.
struct Greatest<'a> {
    sums: &'a [Tile],
    height: usize,
    square: usize,
    together: usize,
    n: usize,
    tile: &'a mut Tile,
}

impl Vectors for Greatest<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Greatest { sums, height, square, together, n, tile } = self;
        assert!(n <= WIDTH && n.is_multiple_of(L::N), "columns are whole vectors");
        for k in 0..together {
            let (tiles, row) = ((square + k) / height * PLACES, (square + k) % height);
            let tiles = &sums[tiles..tiles + PLACES];
            for column in (0..n).step_by(L::N) {
                // SAFETY: rows of tiles are whole, and `column` is a whole vector before `n`; the caller detected the features.
                unsafe {
                    let [upper, lower] = square_back::<L>(tiles, row, column);
                    let top = upper[0].or_greater(upper[1]).or_greater(lower[0].or_greater(lower[1]));
                    top.store(tile[k].as_mut_ptr().add(column));
                }
            }
        }
    }
}

/// The two lines of a square, in a vector of columns.
///
/// # Safety
/// `column` is a whole vector before the last one, and the features of `L` were detected.
#[inline(always)]
unsafe fn square_back<L: Lanes>(tiles: &[Tile], row: usize, column: usize) -> [[L; 2]; 2] {
    // SAFETY: rows of tiles are whole; for the rest as the caller promises.
    unsafe {
        let mut lines = [[L::splat(0.0); 4]; 2];
        for j in 0..4 {
            let [a, b, c, d] = [&tiles[j][row], &tiles[4 + j][row], &tiles[8 + j][row], &tiles[12 + j][row]];
            let [a, b] = [L::load(a.as_ptr().add(column)), L::load(b.as_ptr().add(column))];
            let [c, d] = [L::load(c.as_ptr().add(column)), L::load(d.as_ptr().add(column))];
            let both = two_of([a, b, c, d]);
            (lines[0][j], lines[1][j]) = (both[0], both[1]);
        }
        [two_of(lines[0]), two_of(lines[1])]
    }
}

/// One direction of [`square_back`].
#[inline(always)]
fn two_of<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; 2] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::cpu::packing::words;

    #[test]
    fn windows_come_back_but_for_rounding() {
        let (o, c) = (48, 16);
        let weights = numbers(o * c * TAPS, 1);
        let turned = pack(Words::here(words(&weights)), o, c).unwrap().to_windows(PLACES);
        for (got, want) in restore(&turned).iter().zip(&weights) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }

    #[test]
    fn every_square_is_in_one_piece() {
        let window = stark_shapes::Conv { stride: 1, padding: 1, dilation: 1 };
        for (n, h, w, c) in
            [(1, 1, 1, 16), (32, 4, 4, 16), (3, 56, 56, 64), (8, 14, 14, 256), (2, 7, 7, 512), (1, 9, 300, 16)]
        {
            let plan = Plan::new(&[n, c, h, w], &[16, c, 3, 3], &[n, 16, h, w], [window; 2], 1);
            let [down, across] = plan.out.map(|n| n.div_ceil(2));
            let cut = Cut::new(&plan, across, down);
            let mut seen = vec![0; n * down];
            for i in 0..cut.n {
                let part = cut.part(&plan, down, i);
                assert!(!part.images.is_empty() && !part.lines.is_empty(), "{n} {h} {w} {c}");
                for image in part.images {
                    part.lines.clone().step_by(2).for_each(|line| seen[image * down + line / 2] += 1);
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{n} {h} {w} {c}");
        }
    }
}
