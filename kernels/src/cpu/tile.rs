//! Tiles: up to 14 rows times a panel of 32 columns, summed in registers; the heart of every product and convolution.
//!
//! The innermost loop reads two vectors of the panel and multiplies them by one number of each row. A row is read
//! where it lies, in runs: a matrix has one run a row, a window over an image one for each of its lines. What
//! follows the sums (bias, a sum with another tensor, an activation) is done while the tile is in the cache.

use smallvec::SmallVec;

use super::activation::{Activation, WithFunction};
use super::functions::Function;
use super::lanes::{Lanes, Portable};
use super::simd::Level;

/// Columns of a panel: two vectors of 512 bits.
pub const WIDTH: usize = 32;
/// Rows of the largest tile: with 28 sums, two columns and a factor it fills the 32 registers.
pub const MAX_ROWS: usize = 14;

/// How far ahead of a tile that reads its panel alone the numbers are asked for: 4 KiB.
const AHEAD: usize = 1024;
/// Numbers of a line of the cache.
pub const LINE: usize = 16;

/// The sums of a tile, row after row.
pub type Tile = [[f32; WIDTH]; MAX_ROWS];

/// Lines of the cache that are asked for while a tile is computed, two for each row of its panel: spread out, since a processor
/// that has a dozen lines under way does nothing until one of them is there.
/// Where weights come from memory for few rows, this is what a product waits for; asking for as many lines at once before each tile is
/// slower than not asking.
#[derive(Clone, Copy)]
pub struct Ahead {
    at: *const f32,
    /// Numbers from one line to the next.
    step: usize,
}

impl Ahead {
    /// For tile `t` of the `tiles` that are multiplied by the panel `b`: its share of as many numbers from `next` on, wherever that
    /// is. A tile alone asks for what follows in its own panel, because two of them may be more than the first-level cache holds.
    #[inline(always)]
    pub fn of(b: &[f32], next: *const f32, t: usize, tiles: usize) -> Ahead {
        if tiles <= 1 {
            return Ahead { at: b.as_ptr().wrapping_add(AHEAD), step: LINE };
        }
        let lines = (b.len() / LINE).max(1);
        let step = b.len().div_ceil(tiles * lines);
        Ahead { at: next.wrapping_add(t * step * lines), step }
    }

    /// As [`Ahead::of`], of what follows in memory: the next panel, or the first one of the next layer, which was packed after
    /// this one.
    #[inline(always)]
    pub fn after(b: &[f32], t: usize, tiles: usize) -> Ahead {
        Ahead::of(b, b.as_ptr_range().end, t, tiles)
    }
}

/// Rows of a left factor, `step` numbers apart from the start of `data` on; those of the second half of a tile lie another
/// `gap` further on, so that two short lines of an image fill one. The numbers of a row are those of its runs: `depth`
/// neighbours at each of these places from the row's own.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub step: usize,
    pub gap: usize,
    pub runs: &'a [usize],
    pub depth: usize,
}

impl<'a> Rows<'a> {
    /// Those from row `first` on.
    #[inline(always)]
    pub fn from(self, first: usize) -> Rows<'a> {
        Rows { data: &self.data[(first * self.step).min(self.data.len())..], ..self }
    }
}

/// A part of the depth: some runs, or a part of one, that all tiles of a piece are multiplied with before the next
/// part, while its rows of the panel are in the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Depth {
    runs: std::ops::Range<usize>,
    from: usize,
    n: usize,
    pub is_first: bool,
    pub is_last: bool,
}

/// Rows of a panel that are multiplied before the next tile: 32 KiB, which stay in the first-level cache.
const DEPTH: usize = 256;
/// Sums are taken up again once in this many rows at most.
const UNCUT: usize = 640;

impl Depth {
    /// The parts of `n_runs` runs of `depth` numbers.
    pub fn parts(n_runs: usize, depth: usize) -> SmallVec<[Depth; 16]> {
        let whole = Depth { runs: 0..n_runs, from: 0, n: depth, is_first: true, is_last: true };
        if n_runs * depth <= UNCUT {
            return SmallVec::from_elem(whole, 1);
        }
        let mut parts: SmallVec<[Depth; 16]> = SmallVec::new();
        let together = (DEPTH / depth).max(1);
        // As equal as can be, whole lines of the cache.
        let n = if depth <= UNCUT { depth } else { depth.div_ceil(depth.div_ceil(DEPTH)).next_multiple_of(16) };
        for run in (0..n_runs).step_by(together) {
            for from in (0..depth).step_by(n) {
                let runs = run..(run + together).min(n_runs);
                parts.push(Depth { runs, from, n: n.min(depth - from), is_first: false, is_last: false });
            }
        }
        if let Some(first) = parts.first_mut() {
            first.is_first = true;
        }
        if let Some(last) = parts.last_mut() {
            last.is_last = true;
        }
        parts
    }

    /// Which numbers of a run, where there is one.
    #[inline(always)]
    pub fn of_run(&self) -> std::ops::Range<usize> {
        self.from..self.from + self.n
    }

    #[inline(always)]
    pub fn rows<'a>(&self, data: &'a [f32], step: usize, runs: &'a [usize]) -> Rows<'a> {
        Rows { data: &data[self.from.min(data.len())..], step, gap: 0, runs: &runs[self.runs.clone()], depth: self.n }
    }
}

/// The most rows of a tile that pay on `level`, as its registers allow.
pub fn tallest(level: Level) -> usize {
    match level {
        Level::Avx512 => MAX_ROWS,
        Level::Avx2 => 6,
        Level::Portable => 4,
    }
}

/// Rows of the tiles that `m` rows are cut into: as equal as can be.
pub fn height(m: usize, tallest: usize) -> usize {
    m.div_ceil(m.div_ceil(tallest).max(1)).max(1)
}

/// The first `n` rows times the panel `b`, over the tile or, when `add`, onto it. Of a `narrow` panel the first half
/// of its columns is enough.
///
/// # Safety
/// The features of `level` were detected.
#[inline(always)]
pub unsafe fn multiply(
    level: Level,
    rows: Rows,
    n: usize,
    b: &[f32],
    ahead: Ahead,
    tile: &mut Tile,
    narrow: bool,
    add: bool,
) {
    assert!((1..=MAX_ROWS).contains(&n), "a tile has rows");
    let job = &rows.job(n, [b], ahead);
    let to = &Kept { tile: [tile.as_mut_ptr().cast()], add };
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the assertions cover all reads; the tile has room for `n` rows; the caller detected the features.
        Level::Avx512 => unsafe { by_rows_avx512(n, narrow, job, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe {
            match n {
                1 => avx2::<1, 4>(job, to),
                2 => avx2::<2, 2>(job, to),
                3 => avx2::<3, 1>(job, to),
                4 => avx2::<4, 1>(job, to),
                5 => avx2::<5, 1>(job, to),
                6 => avx2::<6, 1>(job, to),
                _ => unreachable!("a tile has at most 6 rows here"),
            }
        },
        _ => {
            let _ = narrow;
            for i in 0..n {
                let row = if i < n.div_ceil(2) { i * job.step } else { job.second + (i - n.div_ceil(2)) * job.step };
                let one = &Job { a: job.a.wrapping_add(row), ..*job };
                let to = &Kept { tile: to.tile.map(|tile| tile.wrapping_add(i * WIDTH)), add };
                // SAFETY: as above, one row at a time; it needs no feature.
                unsafe { sums::<Portable, 1, 1, { WIDTH / Portable::N }, 1>(one, to, 0) }
            }
        }
    }
}

/// As [`multiply`] and [`store`], with the sums never in memory: of a layer with nothing behind it but a bias and a limit from below.
/// `false`: this is none, and nothing was done.
///
/// # Safety
/// As for both.
#[inline(always)]
pub unsafe fn multiply_straight(
    level: Level,
    rows: Rows,
    n_rows: usize,
    b: &[f32],
    ahead: Ahead,
    target: &Target,
    [row, column]: [usize; 2],
    n: usize,
    finish: &Finish,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && finish.per_row.is_none() && finish.added.is_none() {
        assert!((1..=MAX_ROWS).contains(&n_rows) && n <= WIDTH, "a tile has rows and columns");
        let low = match finish.activation {
            Activation::None => f32::NEG_INFINITY,
            Activation::Relu => 0.0,
            _ => return false,
        };
        let mut bias = [0.0; WIDTH];
        if let Some(all) = finish.per_column {
            copy(&mut bias[..n], &all[column..]);
        }
        let to = &Straight { out: target.rows(row, n_rows, column, n), stride: target.stride, n, bias: &bias, low };
        // SAFETY: the assertions cover all reads, and the rows lie inside the target; the caller promises the rest.
        unsafe { by_rows_avx512(n_rows, n <= WIDTH / 2, &rows.job(n_rows, [b], ahead), to) };
        return true;
    }
    let _ = (level, rows, n_rows, b, ahead, target, row, column, n, finish);
    false
}

/// Few rows have few sums to interleave, so the depth is cut into chains. Half a panel is one vector.
///
/// # Safety
/// As [`sums`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn by_rows_avx512(n: usize, narrow: bool, job: &Job<1>, to: &impl Sink<1>) {
    macro_rules! by_rows {
        ($($rows:literal $chains:literal),*) => {
            match n {
                // SAFETY: as the caller promises.
                $( $rows if narrow => unsafe { avx512_half::<$rows, $chains>(job, to) }, )*
                // SAFETY: as the caller promises.
                $( $rows => unsafe { avx512::<$rows, $chains, 1>(job, to) }, )*
                _ => unreachable!("a tile has at most {MAX_ROWS} rows"),
            }
        };
    }
    by_rows!(1 4, 2 4, 3 2, 4 2, 5 1, 6 1, 7 1, 8 1, 9 1, 10 1, 11 1, 12 1, 13 1, 14 1)
}

/// Rows so few that reading the panels is all the work.
pub const FEW: usize = 4;

/// As [`multiply`], of at most [`FEW`] rows times two panels that are read side by side: where all the work is reading, one
/// core reads a seventh more from two places than from one.
///
/// # Safety
/// The features of `level` were detected.
#[inline(always)]
pub unsafe fn multiply_two(level: Level, rows: Rows, n: usize, b: [&[f32]; 2], tiles: &mut [Tile; 2]) {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 {
        assert!((1..=FEW).contains(&n), "tiles have rows");
        // The processor keeps up with two places by itself.
        let job = &rows.job(n, b, Ahead { at: b[0].as_ptr(), step: 0 });
        let to = &Kept { tile: tiles.each_mut().map(|tile| tile.as_mut_ptr().cast()), add: false };
        // SAFETY: the assertions cover all reads; the tiles have room for `n` rows; the caller detected the features.
        return unsafe {
            match n {
                1 => avx512::<1, 4, 2>(job, to),
                2 => avx512::<2, 2, 2>(job, to),
                3 => avx512::<3, 2, 2>(job, to),
                _ => avx512::<4, 1, 2>(job, to),
            }
        };
    }
    for (b, tile) in b.into_iter().zip(tiles) {
        // SAFETY: as the caller promises.
        unsafe { multiply(level, rows, n, b, Ahead::after(b, 0, 1), tile, false, false) };
    }
}

impl<'a> Rows<'a> {
    /// What multiplies the first `n` rows by panels, whose sizes are checked here.
    #[inline(always)]
    fn job<const P: usize>(self, n: usize, b: [&[f32]; P], ahead: Ahead) -> Job<'a, P> {
        let Rows { data, step, gap, runs, depth } = self;
        let last = runs.iter().copied().max().unwrap_or(0);
        assert!(b.iter().all(|b| b.len() >= runs.len() * depth * WIDTH), "a panel has a row for each number");
        // A sum that is too large to count lies outside, too.
        let top = (n - 1).saturating_mul(step).saturating_add(if n > 1 { gap } else { 0 });
        let end = top.saturating_add(last).saturating_add(depth);
        assert!(depth == 0 || runs.is_empty() || end <= data.len(), "rows lie inside");
        Job {
            a: data.as_ptr(),
            step,
            second: n.div_ceil(2).saturating_mul(step).saturating_add(gap),
            runs,
            depth,
            b: b.map(<[f32]>::as_ptr),
            ahead,
        }
    }
}

/// What [`multiply`] was given, for `P` panels.
struct Job<'a, const P: usize> {
    a: *const f32,
    step: usize,
    /// From the first row to the first one of the second half.
    second: usize,
    runs: &'a [usize],
    depth: usize,
    b: [*const f32; P],
    /// Used with one panel.
    ahead: Ahead,
}

/// Where the sums of `P` panels go.
trait Sink<const P: usize> {
    /// `R` rows of `V` vectors of each panel, from column `column` on.
    ///
    /// # Safety
    /// The features of `L` were detected, and whoever made the sink had room for so many rows.
    unsafe fn put<L: Lanes, const R: usize, const V: usize>(&self, sums: &[[[L; V]; P]; R], column: usize);
}

/// Tiles, over which the sums go or, when `add`, onto which.
struct Kept<const P: usize> {
    tile: [*mut f32; P],
    add: bool,
}

impl<const P: usize> Sink<P> for Kept<P> {
    #[inline(always)]
    unsafe fn put<L: Lanes, const R: usize, const V: usize>(&self, sums: &[[[L; V]; P]; R], column: usize) {
        for (r, row) in sums.iter().enumerate() {
            for (p, vectors) in row.iter().enumerate() {
                for (v, sum) in vectors.iter().enumerate() {
                    // SAFETY: a tile has rows of `WIDTH` numbers, as many as the caller says.
                    unsafe {
                        let at = self.tile[p].add(column + r * WIDTH + v * L::N);
                        if self.add { sum.add(L::load(at)).store(at) } else { sum.store(at) }
                    }
                }
            }
        }
    }
}

/// Rows of `n` numbers of the result, which become `sum + bias`, and `low` where that is below it.
#[cfg(target_arch = "x86_64")]
struct Straight<'a> {
    out: *mut f32,
    stride: usize,
    n: usize,
    bias: &'a [f32; WIDTH],
    low: f32,
}

#[cfg(target_arch = "x86_64")]
impl Sink<1> for Straight<'_> {
    #[inline(always)]
    unsafe fn put<L: Lanes, const R: usize, const V: usize>(&self, sums: &[[[L; V]; 1]; R], column: usize) {
        // SAFETY: the bias has `WIDTH` numbers; rows of `n` are whoever made this one's, and no more are written.
        unsafe {
            let low = L::splat(self.low);
            for v in 0..V {
                let at = column + v * L::N;
                let bias = L::load(self.bias.as_ptr().add(at));
                let n = self.n.saturating_sub(at);
                for (r, row) in sums.iter().enumerate() {
                    let (x, to) = (row[0][v].add(bias).at_least(low), self.out.wrapping_add(r * self.stride + at));
                    if n >= L::N { x.store(to) } else { x.store_first(to, n) }
                }
            }
        }
    }
}

/// # Safety
/// As [`sums`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512<const R: usize, const CHAINS: usize, const P: usize>(job: &Job<P>, to: &impl Sink<P>) {
    // SAFETY: as the caller promises.
    unsafe { sums::<std::arch::x86_64::__m512, R, CHAINS, 2, P>(job, to, 0) }
}

/// # Safety
/// As [`sums`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512_half<const R: usize, const CHAINS: usize>(job: &Job<1>, to: &impl Sink<1>) {
    // SAFETY: as the caller promises.
    unsafe { sums::<std::arch::x86_64::__m512, R, CHAINS, 1, 1>(job, to, 0) }
}

/// # Safety
/// As [`sums`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const R: usize, const CHAINS: usize>(job: &Job<1>, to: &Kept<1>) {
    // SAFETY: as the caller promises: two passes of 16 columns, whose sums fit the 16 registers.
    unsafe {
        sums::<std::arch::x86_64::__m256, R, CHAINS, 2, 1>(job, to, 0);
        sums::<std::arch::x86_64::__m256, R, CHAINS, 2, 1>(job, to, 16);
    }
}

/// `R` rows times `V` vectors of each panel from column `column` on.
///
/// # Safety
/// The pointers of the job and the sink are good for that many rows, runs and columns, and the features of `L` were detected.
#[inline(always)]
unsafe fn sums<L: Lanes, const R: usize, const CHAINS: usize, const V: usize, const P: usize>(
    job: &Job<P>,
    to: &impl Sink<P>,
    column: usize,
) {
    let &Job { step, second, depth, ahead, .. } = job;
    let half = R.div_ceil(2);
    // SAFETY: `k` stays below `depth`, rows below `R`, the panels move on by a row for each number of a row; the
    // caller promises that much of all three.
    unsafe {
        let mut sums = [[[[L::splat(0.0); V]; P]; R]; CHAINS];
        let mut b = job.b.map(|b| b.add(column));
        let lines = if P == 1 { (V * L::N).div_ceil(LINE) } else { 0 };
        let mut soon = ahead.at.wrapping_add(column / LINE * ahead.step);
        for run in job.runs {
            let [a, after] = [job.a.add(*run), job.a.wrapping_add(second + run)];
            let number =
                |r: usize, k: usize| *if r < half { a.add(r * step + k) } else { after.add((r - half) * step + k) };
            let mut k = 0;
            while k + CHAINS <= depth {
                for chain in &mut sums {
                    let mut y = [[L::splat(0.0); V]; P];
                    for p in 0..P {
                        for v in 0..V {
                            y[p][v] = L::load(b[p].add(v * L::N));
                        }
                        b[p] = b[p].add(WIDTH);
                    }
                    for line in 0..lines {
                        L::prefetch(soon.wrapping_add(line * ahead.step));
                    }
                    soon = soon.wrapping_add(2 * ahead.step);
                    for r in 0..R {
                        let x = L::splat(number(r, k));
                        for p in 0..P {
                            for v in 0..V {
                                chain[r][p][v] = x.mul_add(y[p][v], chain[r][p][v]);
                            }
                        }
                    }
                    k += 1;
                }
            }
            while k < depth {
                for p in 0..P {
                    let mut y = [L::splat(0.0); V];
                    for v in 0..V {
                        y[v] = L::load(b[p].add(v * L::N));
                    }
                    for r in 0..R {
                        let x = L::splat(number(r, k));
                        for v in 0..V {
                            sums[0][r][p][v] = x.mul_add(y[v], sums[0][r][p][v]);
                        }
                    }
                    b[p] = b[p].add(WIDTH);
                }
                k += 1;
            }
        }
        let mut all = sums[0];
        for chain in &sums[1..] {
            for r in 0..R {
                for p in 0..P {
                    for v in 0..V {
                        all[r][p][v] = all[r][p][v].add(chain[r][p][v]);
                    }
                }
            }
        }
        to.put(&all, column);
    }
}

/// What is done with each sum before it is stored: `activation(sum + bias + added)`.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// One number for each column.
    pub per_column: Option<&'a [f32]>,
    /// One number for each row.
    pub per_row: Option<&'a [f32]>,
    /// As large as the result, row-major.
    pub added: Option<&'a [f32]>,
    pub activation: Activation,
}

/// Where results go: rows of `stride` numbers each.
pub struct Target {
    out: *mut f32,
    stride: usize,
    len: usize,
}

// SAFETY: pieces write disjoint rows and columns, each handed to one thread.
unsafe impl Sync for Target {}

impl Target {
    pub fn new(out: &mut [f32], stride: usize) -> Target {
        Target { out: out.as_mut_ptr(), stride, len: out.len() }
    }

    /// Where `n` columns from `column` on of `rows` rows from `row` on begin.
    pub fn rows(&self, row: usize, rows: usize, column: usize, n: usize) -> *mut f32 {
        let at = row * self.stride + column;
        assert!(rows > 0 && at + (rows - 1) * self.stride + n <= self.len, "rows fit their target");
        self.out.wrapping_add(at)
    }

    /// The same rows, seen from a later number on.
    pub fn from(&self, place: usize) -> Target {
        assert!(place <= self.len, "a target lies inside the result");
        Target { out: self.out.wrapping_add(place), stride: self.stride, len: self.len - place }
    }
}

/// Stores some rows of a tile as rows from `row` on of the target, in `n` columns from `column` on.
///
/// # Safety
/// Nobody else reads or writes that part of the target meanwhile, and the features of `level` were detected.
#[inline(always)]
pub unsafe fn store(
    level: Level,
    sums: &[[f32; WIDTH]],
    target: &Target,
    row: usize,
    column: usize,
    n: usize,
    finish: &Finish,
) {
    let at = row * target.stride + column;
    let rows = sums.len();
    assert!(rows > 0 && n <= WIDTH && at + (rows - 1) * target.stride + n <= target.len, "a tile fits its target");
    let mut bias = [0.0; WIDTH];
    if let Some(all) = finish.per_column {
        copy(&mut bias[..n], &all[column..]);
    }
    let work = Store {
        sums,
        out: target.out.wrapping_add(at),
        stride: target.stride,
        n,
        bias: &bias,
        shifts: finish.per_row.map(|shifts| &shifts[row..row + rows]),
        added: finish.added.map(|added| &added[at..at + (rows - 1) * target.stride + n]),
    };
    // SAFETY: the rows lie inside the target and are ours alone; the features were detected.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => store_avx512(work, finish.activation),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => store_avx2(work, finish.activation),
            _ => finish.activation.choose(By::<Portable>(work, std::marker::PhantomData)),
        }
    }
}

/// # Safety
/// The features were detected, and the rows of `work` are its own to write.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn store_avx512(work: Store, activation: Activation) {
    // SAFETY: as the caller promises.
    unsafe { activation.choose(By::<std::arch::x86_64::__m512>(work, std::marker::PhantomData)) }
}

/// # Safety
/// The features were detected, and the rows of `work` are its own to write.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn store_avx2(work: Store, activation: Activation) {
    // SAFETY: as the caller promises.
    unsafe { activation.choose(By::<std::arch::x86_64::__m256>(work, std::marker::PhantomData)) }
}

struct Store<'a> {
    sums: &'a [[f32; WIDTH]],
    out: *mut f32,
    stride: usize,
    n: usize,
    bias: &'a [f32; WIDTH],
    shifts: Option<&'a [f32]>,
    added: Option<&'a [f32]>,
}

/// A store by vectors. Whoever makes one has detected the features of `L` and promises that rows of `n` numbers, `stride`
/// apart from `out` on, are its own to write, as many as there are sums.
struct By<'a, L>(Store<'a>, std::marker::PhantomData<L>);

impl<L: Lanes> WithFunction for By<'_, L> {
    #[inline(always)]
    unsafe fn with(self, f: impl Function) {
        let work = self.0;
        let whole = work.n / L::N * L::N;
        // SAFETY: as whoever made this promises.
        unsafe {
            for at in (0..whole).step_by(L::N) {
                work.column::<L>(at, f);
            }
            if whole < work.n {
                for i in 0..work.sums.len() {
                    work.rest::<L>(i, whole, f);
                }
            }
        }
    }
}

impl Store<'_> {
    /// A vector of each row, from column `at` on.
    ///
    /// # Safety
    /// The features of `L` were detected, `at` is a whole vector before the last column, and the rows may be written.
    #[inline(always)]
    unsafe fn column<L: Lanes>(&self, at: usize, f: impl Function) {
        // SAFETY: sums and bias are whole rows; what is added and the place at `out` have `n` numbers a row.
        unsafe {
            let bias = L::load(self.bias.as_ptr().add(at));
            for (i, sums) in self.sums.iter().enumerate() {
                let mut x = L::load(sums.as_ptr().add(at)).add(bias);
                if let Some(shifts) = self.shifts {
                    x = x.add(L::splat(shifts[i]));
                }
                if let Some(added) = self.added {
                    x = x.add(L::load(added.as_ptr().add(i * self.stride + at)));
                }
                f.of(x).store(self.out.add(i * self.stride + at));
            }
        }
    }

    /// The columns of row `i` from `at` on, less than a vector of them.
    ///
    /// # Safety
    /// As for [`Store::column`].
    #[inline(always)]
    unsafe fn rest<L: Lanes>(&self, i: usize, at: usize, f: impl Function) {
        let n = self.n - at;
        // A whole vector beside, of which some numbers count.
        let mut whole = [0.0; WIDTH];
        if let Some(added) = self.added {
            copy(&mut whole[..n], &added[i * self.stride + at..]);
        }
        // SAFETY: sums and bias are whole rows, and `n` numbers may be written at their place.
        unsafe {
            let shift = L::splat(self.shifts.map_or(0.0, |shifts| shifts[i]));
            let sum = L::load(self.sums[i].as_ptr().add(at)).add(L::load(self.bias.as_ptr().add(at))).add(shift);
            f.of(sum.add(L::load(whole.as_ptr()))).store(whole.as_mut_ptr());
            copy(std::slice::from_raw_parts_mut(self.out.add(i * self.stride + at), n), &whole);
        }
    }
}

/// Fills `to` from the start of `from`, short runs by hand: a call costs more than it moves.
#[inline(always)]
pub fn copy(to: &mut [f32], from: &[f32]) {
    let from = &from[..to.len()];
    let (wide, to) = to.as_chunks_mut::<16>();
    let (wide_from, from) = from.as_chunks::<16>();
    for (o, x) in wide.iter_mut().zip(wide_from) {
        *o = *x;
    }
    let (wide, rest) = to.as_chunks_mut::<8>();
    let (wide_from, rest_from) = from.as_chunks::<8>();
    for (o, x) in wide.iter_mut().zip(wide_from) {
        *o = *x;
    }
    for (o, x) in rest.iter_mut().zip(rest_from) {
        *o = *x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::cpu::simd::level;

    fn alone(b: &[f32]) -> Ahead {
        Ahead::after(b, 0, 1)
    }

    #[test]
    fn the_tiles_of_a_panel_ask_for_all_of_the_next() {
        let all = vec![0.0; 2 * 384 * WIDTH];
        let (b, next) = all.split_at(all.len() / 2);
        for tiles in 2..40 {
            let mut asked = std::collections::HashSet::new();
            for t in 0..tiles {
                let ahead = Ahead::after(b, t, tiles);
                let from = ahead.at.addr() - next.as_ptr().addr();
                asked.extend((0..2 * 384).map(|i| (from / size_of::<f32>() + i * ahead.step) / LINE));
            }
            assert!((0..next.len() / LINE).all(|line| asked.contains(&line)), "{tiles} tiles");
        }
    }

    #[test]
    fn the_parts_of_a_depth_are_all_of_it_once() {
        for (n_runs, depth) in [(1, 0), (1, 1), (1, 641), (9, 64), (9, 128), (3, 1536), (9, 512), (7, 21), (1, 5000)] {
            let parts = Depth::parts(n_runs, depth);
            let mut next = 0;
            for part in &parts {
                assert_eq!(part.runs.start * depth + part.from, next);
                next += if part.n == depth { part.runs.len() * depth } else { part.n };
                assert_eq!(part.is_first, part == &parts[0]);
            }
            assert!(next == n_runs * depth && parts.last().unwrap().is_last, "{parts:?}");
            assert_eq!(parts.iter().filter(|part| part.is_last).count(), 1);
        }
    }

    #[test]
    fn the_second_half_of_a_tile_may_lie_further_on() {
        let (step, gap, depth, runs) = (3, 11, 5, &[0, 4][..]);
        let b = numbers(runs.len() * depth * WIDTH, 2);
        for level in [Level::Portable, level()] {
            for n in 1..=tallest(level) {
                let half = n.div_ceil(2);
                let a = numbers((n - 1) * step + gap + 4 + depth, 1);
                let mut tile = [[0.0; WIDTH]; MAX_ROWS];
                // SAFETY: `level` names features that were detected, and portable code needs none.
                unsafe {
                    multiply(
                        level,
                        Rows { data: &a, step, gap, runs, depth },
                        n,
                        &b,
                        alone(&b),
                        &mut tile,
                        false,
                        false,
                    )
                };
                for i in 0..n {
                    let row = Rows { data: &a[i * step + if i < half { 0 } else { gap }..], step, gap: 0, runs, depth };
                    let mut one = [[0.0; WIDTH]; MAX_ROWS];
                    // SAFETY: as above.
                    unsafe { multiply(level, row, 1, &b, alone(&b), &mut one, false, false) };
                    for (got, want) in tile[i].iter().zip(one[0]) {
                        assert!((got - want).abs() < 1e-5, "{level:?}: row {i} of {n}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn two_panels_at_once_give_what_each_gives() {
        for n in 1..=FEW {
            for depth in [0, 1, 3, 4, 9, 64] {
                let (step, runs) = (depth + 2, &[0, 1][..]);
                let a = numbers(n * step + 1, 1);
                let both = numbers(2 * runs.len() * depth * WIDTH, 2);
                let b: [&[f32]; 2] = both.split_at(both.len() / 2).into();
                let rows = Rows { data: &a, step, gap: 0, runs, depth };
                let mut tiles = [[[0.0; WIDTH]; MAX_ROWS]; 2];
                // SAFETY: `level` names features that were detected.
                unsafe { multiply_two(level(), rows, n, b, &mut tiles) };
                for (b, got) in b.into_iter().zip(tiles) {
                    let mut want = [[0.0; WIDTH]; MAX_ROWS];
                    // SAFETY: as above.
                    unsafe { multiply(level(), rows, n, b, alone(b), &mut want, false, false) };
                    // The sums of a row are cut differently.
                    for (got, want) in got.as_flattened().iter().zip(want.as_flattened()) {
                        assert!((got - want).abs() < 1e-5, "{n} rows of {depth}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_that_is_here_gives_the_same_tiles() {
        let levels = match level() {
            Level::Avx512 => &[Level::Avx2, Level::Avx512][..],
            Level::Avx2 => &[Level::Avx2],
            Level::Portable => &[],
        };
        for rows in 1..=MAX_ROWS {
            for (depth, runs) in [(1, &[0][..]), (4, &[0, 5][..]), (9, &[0][..]), (64, &[3, 70, 200][..]), (5, &[][..])]
            {
                let step = 7;
                let a = numbers(rows * step + 300, 1);
                let b = numbers(runs.len() * depth * WIDTH, 2);
                for narrow in [false, true] {
                    for add in [false, true] {
                        let tile = |level| {
                            let mut out = [[1.0f32; WIDTH]; MAX_ROWS];
                            for top in (0..rows).step_by(tallest(level)) {
                                let mut tile = [[1.0; WIDTH]; MAX_ROWS];
                                let n = tallest(level).min(rows - top);
                                let left = Rows { data: &a[top * step..], step, gap: 0, runs, depth };
                                // SAFETY: `levels` are here, and portable code everywhere.
                                unsafe { multiply(level, left, n, &b, alone(&b), &mut tile, narrow, add) };
                                out[top..top + n].copy_from_slice(&tile[..n]);
                            }
                            out
                        };
                        let plain = tile(Level::Portable);
                        let columns = if narrow { WIDTH / 2 } else { WIDTH };
                        for &level in levels {
                            for (x, y) in tile(level).iter().zip(&plain).take(rows) {
                                for (x, y) in x[..columns].iter().zip(y) {
                                    assert!((x - y).abs() < 1e-4, "{level:?} {rows} {depth} {runs:?}: {x} {y}");
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
