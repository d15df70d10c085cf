//! Linear interpolation of planes that lie row by row.
//!
//! The neighbours of the columns of a vector are picked out of one vector, in which they lie where planes grow; others are
//! looked up one by one. Numbers are weighed in `f64` and in the order of the plain loop, so results are the same to the bit.

use super::functions::MAX_LANES;
use super::lanes::Lanes;
use super::simd::{Vectors, vectors};
use super::split::{CHUNK, fill_chunks};

/// A place between two neighbours, of which the second has this share in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    pub low: usize,
    pub high: usize,
    pub share: f64,
}

/// Planes `[h, w]` at all pairs of places.
pub fn linear(planes: &[f32], plane: [usize; 2], ys: &[Between], xs: &[Between], out: &mut [f32]) {
    let ([h, w], [oh, ow]) = (plane, [ys.len(), xs.len()]);
    let n = out.len() / (oh * ow).max(1);
    let fits = |places: &[Between], n: usize| places.iter().all(|place| place.low < n && place.high < n);
    assert!(planes.len() == n * h * w && out.len() == n * oh * ow, "planes are whole");
    assert!(fits(ys, h) && fits(xs, w), "places lie inside");
    let rows = (CHUNK / ow.max(1)).max(1);
    let far: Vec<f64> = xs.iter().map(|place| place.share).collect();
    let near: Vec<f64> = far.iter().map(|share| 1.0 - share).collect();
    fill_chunks(out, rows * ow, |start, out| {
        vectors(Rows { data: planes, plane, ys, xs, shares: [&near, &far], first: start / ow, out });
    });
}

/// Rows of the result from `first` on, counted through all planes.
struct Rows<'a> {
    data: &'a [f32],
    plane: [usize; 2],
    ys: &'a [Between],
    xs: &'a [Between],
    /// What the neighbours of each column weigh.
    shares: [&'a [f64]; 2],
    first: usize,
    out: &'a mut [f32],
}

impl Vectors for Rows<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Rows { data, plane: [h, w], ys, xs, shares, first, out } = self;
        let (oh, ow) = (ys.len(), xs.len());
        let blocks: Vec<Block> = xs.chunks(L::N).map(Block::new::<L>).collect();
        let mut sides = [vec![0.0f32; ow.next_multiple_of(L::N)], vec![0.0f32; ow.next_multiple_of(L::N)]];
        // Lines between columns, made when a line of the result first needs them: the next one mostly needs the same.
        let (mut upper, mut lower) = (vec![0.0f64; ow], vec![0.0f64; ow]);
        let mut made = None;
        for (row, out) in out.chunks_exact_mut(ow).enumerate() {
            let (plane, y) = ((first + row) / oh, (first + row) % oh);
            let Between { low, high, share } = ys[y];
            let seen = (plane * h + low, plane * h + high);
            if made != Some(seen) {
                // SAFETY: the features were detected by the caller; columns lie inside a line, and sides are whole vectors.
                unsafe {
                    if made.is_some_and(|(_, below)| below == seen.0) {
                        std::mem::swap(&mut upper, &mut lower);
                    } else {
                        neighbours::<L>(&data[seen.0 * w..][..w], xs, &blocks, &mut sides);
                        weigh(&sides, shares, &mut upper);
                    }
                    neighbours::<L>(&data[seen.1 * w..][..w], xs, &blocks, &mut sides);
                }
                weigh(&sides, shares, &mut lower);
                made = Some(seen);
            }
            let rest = 1.0 - share;
            for (o, (upper, lower)) in out.iter_mut().zip(upper.iter().zip(&lower)) {
                *o = (upper * rest + lower * share) as f32;
            }
        }
    }
}

/// A line between columns.
#[inline(always)]
fn weigh([left, right]: &[Vec<f32>; 2], [near, far]: [&[f64]; 2], to: &mut [f64]) {
    for (o, ((left, right), (near, far))) in to.iter_mut().zip(left.iter().zip(right).zip(near.iter().zip(far))) {
        *o = f64::from(*left) * near + f64::from(*right) * far;
    }
}

/// The neighbours of as many columns as a vector has: where each lies in the vector that begins at `from`; `None` where they
/// lie further apart.
struct Block {
    from: Option<usize>,
    places: [[u32; MAX_LANES]; 2],
}

impl Block {
    fn new<L: Lanes>(columns: &[Between]) -> Block {
        let from = columns.iter().map(|column| column.low.min(column.high)).min().unwrap_or(0);
        let mut places = [[0; MAX_LANES]; 2];
        for (i, column) in columns.iter().enumerate() {
            let [low, high] = [column.low - from, column.high - from];
            if low.max(high) >= L::N {
                return Block { from: None, places };
            }
            (places[0][i], places[1][i]) = (low as u32, high as u32);
        }
        Block { from: Some(from), places }
    }
}

/// The numbers to the left and to the right of each column.
///
/// # Safety
/// The features of `L` were detected, `xs` lie inside `line`, `blocks` are theirs, and the sides have a vector for each.
#[inline(always)]
unsafe fn neighbours<L: Lanes>(line: &[f32], xs: &[Between], blocks: &[Block], sides: &mut [Vec<f32>; 2]) {
    let [left, right] = sides;
    for (k, block) in blocks.iter().enumerate() {
        let at = k * L::N;
        let Some(from) = block.from else {
            for (i, place) in xs.iter().enumerate().skip(at).take(L::N) {
                (left[i], right[i]) = (line[place.low], line[place.high]);
            }
            continue;
        };
        // SAFETY: the block begins inside the line, which is read as far as it goes, and its places lie in a vector.
        unsafe {
            let seen = match line.len() - from {
                n if n >= L::N => L::load(line.as_ptr().add(from)),
                n => L::load_first(line.as_ptr().add(from), n, 0.0),
            };
            seen.pick(block.places[0].as_ptr()).store(left.as_mut_ptr().add(at));
            seen.pick(block.places[1].as_ptr()).store(right.as_mut_ptr().add(at));
        }
    }
}
