//! Tensors put together: `cat`, `stack`, and joins of joins, which are made in one go.

use smallvec::SmallVec;
use stark_shapes::{DType, Shape, ShapeError, promote, rules};

use crate::accelerator::{self, Kernel as DeviceKernel};
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::split::{CHUNK, fill_ranges};
use crate::element::with_word;
use crate::error::Result;
use crate::tensor::{Tensor, check_rank, contiguous_strides};
use crate::walk::Walk;

/// One after the other along `axis`; dtypes combine. Empty vectors `[0]` are left out, as in PyTorch.
pub fn cat(tensors: &[&Tensor], axis: i64) -> Result<Tensor> {
    Joint::cat(ones(tensors), axis)?.whole()
}

/// Equal shapes, side by side along a new axis.
pub fn stack(tensors: &[&Tensor], axis: i64) -> Result<Tensor> {
    Joint::stack(ones(tensors), axis)?.whole()
}

fn ones(tensors: &[&Tensor]) -> Vec<Joint> {
    tensors.iter().map(|t| Joint::One((*t).clone())).collect()
}

/// What is to be put together, before it is: parts of a join may be joins, which are never made by themselves when all is
/// made at once.
#[derive(Debug)]
pub enum Joint {
    One(Tensor),
    Many(Join),
}

/// Made by [`Joint::cat`] and [`Joint::stack`], which see to it that the shapes fit.
#[derive(Debug)]
pub struct Join {
    parts: Vec<Joint>,
    axis: usize,
    shape: Shape,
}

impl Joint {
    /// As [`cat`].
    pub fn cat(mut parts: Vec<Joint>, axis: i64) -> Result<Joint> {
        let is_full = |part: &Joint| part.shape() != [0];
        match parts.iter().any(is_full) {
            true => parts.retain(is_full),
            false => return parts.into_iter().next().ok_or(ShapeError("cat needs at least one tensor".into()).into()),
        }
        let shape = rules::cat(&shapes(&parts), axis)?;
        let axis = rules::axis(axis, shape.len())?;
        Ok(Joint::Many(Join { parts, axis, shape }))
    }

    /// As [`stack`].
    pub fn stack(parts: Vec<Joint>, axis: i64) -> Result<Joint> {
        let shape = rules::stack(&shapes(&parts), axis)?;
        check_rank(&shape)?;
        let axis = rules::insert_axis(axis, shape.len() - 1)? as i64;
        Joint::cat(parts.into_iter().map(|part| part.unsqueeze(axis)).collect::<Result<_>>()?, axis)
    }

    /// With an axis of size 1 before `axis`.
    pub fn unsqueeze(self, axis: i64) -> Result<Joint> {
        Ok(match self {
            Joint::One(t) => Joint::One(t.unsqueeze(axis)?),
            Joint::Many(Join { parts, axis: along, mut shape }) => {
                let at = rules::insert_axis(axis, shape.len())?;
                shape.insert(at, 1);
                check_rank(&shape)?;
                let parts = parts.into_iter().map(|part| part.unsqueeze(at as i64)).collect::<Result<_>>()?;
                Joint::Many(Join { parts, axis: along + usize::from(at <= along), shape })
            }
        })
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Joint::One(t) => t.shape(),
            Joint::Many(join) => &join.shape,
        }
    }

    /// The tensor: each element is copied once.
    pub fn whole(self) -> Result<Tensor> {
        let Join { parts, axis, shape } = match self {
            Joint::One(t) => return Ok(t),
            Joint::Many(join) => join,
        };
        let (dtype, by_levels) = {
            let mut leaves: SmallVec<[&Tensor; 8]> = SmallVec::new();
            parts.iter().for_each(|part| part.leaves(&mut leaves));
            let dtype = leaves.iter().fold(leaves[0].dtype(), |dtype, t| promote(dtype, t.dtype()));
            let is_other = |t: &&Tensor| t.dtype() != dtype || t.is_channels_last();
            (dtype, leaves.iter().any(is_other) || accelerator::of(leaves.iter().copied()).is_some())
        };
        if !by_levels {
            return made(parts, axis, &shape, dtype);
        }
        // One level after the other: each rounds to its own type, devices have no kernel for more, and images whose channels
        // lie side by side stay so.
        let parts: Vec<Tensor> = parts.into_iter().map(|part| part.whole()?.to(dtype)).collect::<Result<_>>()?;
        let kernel = || DeviceKernel::Cat { parts: &parts, axis, shape: &shape, dtype };
        if let Some(out) = accelerator::offer(&parts, kernel)? {
            return Ok(out);
        }
        if parts.iter().all(Tensor::is_channels_last) {
            let turned: Vec<Tensor> = parts.iter().map(Tensor::pixels).collect();
            return Ok(cat(&turned.iter().collect::<Vec<_>>(), [0, 3, 1, 2][axis])?.planes());
        }
        made(parts.into_iter().map(Joint::One).collect(), axis, &shape, dtype)
    }

    fn leaves<'a>(&'a self, out: &mut SmallVec<[&'a Tensor; 8]>) {
        match self {
            Joint::One(t) => out.push(t),
            // As deep as whoever made it nested them.
            Joint::Many(join) => join.parts.iter().for_each(|part| part.leaves(out)),
        }
    }
}

fn shapes(parts: &[Joint]) -> SmallVec<[&[usize]; 8]> {
    parts.iter().map(Joint::shape).collect()
}

/// Of parts whose tensors all have one type.
fn made(parts: Vec<Joint>, axis: usize, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let n = rules::numel(shape)?;
    let mut runs = Vec::new();
    lay(parts, axis, shape, 0, &mut runs)?;
    let cuts = cuts(&runs, n);
    with_word!(dtype, W => {
        let mut buffer = Buffer::for_overwrite::<W>(n)?;
        fill_ranges(buffer.as_mut_slice::<W>(), &cuts, |i, out| copy(&runs, cuts[i], out));
        Ok(Tensor::from_buffer(buffer, dtype, shape))
    })
}

/// Neighbouring elements of the result that are like one matrix, side by side from tensors.
struct Run {
    start: usize,
    rows: usize,
    width: usize,
    parts: SmallVec<[Part; 4]>,
}

/// A tensor in a run.
struct Part {
    from: Tensor,
    /// Its elements of a row: where, and how many.
    at: usize,
    n: usize,
    /// Steps in the run from one of its elements to the next.
    strides: Shape,
}

/// Notes what is where from element `start` of the result on.
fn lay(parts: Vec<Joint>, axis: usize, shape: &[usize], start: usize, runs: &mut Vec<Run>) -> Result<()> {
    let n = rules::numel(shape)?;
    if n == 0 {
        return Ok(());
    }
    let rows: usize = shape[..axis].iter().product();
    if rows == 1 {
        let mut at = start;
        for part in parts {
            let n = rules::numel(part.shape())?;
            match part {
                Joint::Many(Join { parts, axis, shape }) => lay(parts, axis, &shape, at, runs)?,
                Joint::One(_) if n == 0 => {}
                Joint::One(t) => {
                    let strides = contiguous_strides(t.shape());
                    let parts = SmallVec::from_iter([Part { from: t, at: 0, n: 1, strides }]);
                    runs.push(Run { start: at, rows: n, width: 1, parts });
                }
            }
            at += n;
        }
        return Ok(());
    }
    let (width, strides) = (n / rows, contiguous_strides(shape));
    let mut run = Run { start, rows, width, parts: SmallVec::new() };
    let mut at = 0;
    for part in parts {
        let from = part.whole()?;
        let n = from.numel() / rows;
        run.parts.push(Part { from, at, n, strides: strides.clone() });
        at += n;
    }
    runs.push(run);
    Ok(())
}

/// Pieces of the result for several cores, each of whole rows.
fn cuts(runs: &[Run], n: usize) -> SmallVec<[usize; 16]> {
    let mut cuts = SmallVec::from_iter([0]);
    let mut last = 0;
    for run in runs {
        let end = run.start + run.rows * run.width;
        loop {
            let cut = run.start + (last + CHUNK).saturating_sub(run.start).next_multiple_of(run.width);
            // What is left is not worth a piece.
            if cut >= end || cut + CHUNK / 2 > n {
                break;
            }
            cuts.push(cut);
            last = cut;
        }
    }
    cuts.push(n);
    cuts
}

/// Fills `out`, which begins at element `start` of the result, with whole rows.
fn copy<W: Pod>(runs: &[Run], start: usize, out: &mut [W]) {
    let end = start + out.len();
    let first = runs.partition_point(|run| run.start + run.rows * run.width <= start);
    for run in runs[first..].iter().take_while(|run| run.start < end) {
        let rows = start.saturating_sub(run.start) / run.width..((end - run.start) / run.width).min(run.rows);
        // Where the run would begin in `out`, that far before it when it began earlier.
        let (after, before) = (run.start.saturating_sub(start), start.saturating_sub(run.start));
        for Part { from, at, n, strides } in &run.parts {
            let source = from.storage::<W>();
            let walk = Walk::new(from.shape(), [strides, from.strides()], [at + after, 0]);
            let [s, r] = walk.inner();
            walk.rows(rows.start * n..rows.end * n, |[i, j], n| {
                let i = i - before;
                if s == 1 && r == 1 {
                    out[i..i + n].copy_from_slice(&source[j..j + n]);
                } else {
                    (0..n).for_each(|k| out[i + k * s] = source[j + k * r]);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::randn;

    fn numbers(shape: &[usize], seed: u64) -> Tensor {
        randn(shape, seed, DType::F32).unwrap()
    }

    /// The same one level after the other.
    fn by_levels(joint: &Joint) -> Tensor {
        match joint {
            Joint::One(t) => t.clone(),
            Joint::Many(join) => {
                let parts: Vec<Tensor> = join.parts.iter().map(by_levels).collect();
                cat(&parts.iter().collect::<Vec<_>>(), join.axis as i64).unwrap()
            }
        }
    }

    /// Keys or values of before, turned in memory, and those that are new.
    fn grown([heads, past, size]: [usize; 3], seed: u64) -> Joint {
        let turned = numbers(&[1, past, heads, size], seed).transpose(1, 2).unwrap();
        Joint::cat(vec![Joint::One(turned), Joint::One(numbers(&[1, heads, 1, size], seed + 1))], 2).unwrap()
    }

    #[test]
    fn a_join_of_joins_is_what_one_after_the_other_gives() {
        // Some long enough for several pieces.
        for sizes in [[3, 2, 4], [6, 700, 64], [1, 5, 1], [2, 0, 8], [40, 40, 40]] {
            for axis in [0, 1, -1] {
                let layer = |seed| Joint::stack(vec![grown(sizes, seed), grown(sizes, seed + 2)], 0).unwrap();
                let all = Joint::stack(vec![layer(1), layer(5), layer(9)], axis).unwrap();
                let (want, shape) = (by_levels(&all), Vec::from(all.shape()));
                let out = all.whole().unwrap();
                assert_eq!(out.shape(), shape);
                assert_eq!(out.to_vec::<f32>().unwrap(), want.to_vec::<f32>().unwrap(), "{sizes:?} {axis}");
            }
        }
        let k = grown([2, 3, 4], 7).whole().unwrap();
        assert_eq!(
            k.slice(2, 3, 4, 1).unwrap().to_vec::<f32>().unwrap(),
            numbers(&[1, 2, 1, 4], 8).to_vec::<f32>().unwrap()
        );
    }

    #[test]
    fn parts_of_other_types_empty_ones_and_images_find_their_place() {
        let i = |values: &[i64]| Joint::One(Tensor::from_slice(values, &[values.len()]).unwrap());
        let f = |values: &[f32]| Joint::One(Tensor::from_slice(values, &[values.len()]).unwrap());
        let inner = Joint::cat(vec![i(&[]), i(&[1, 2]), f(&[])], 0).unwrap();
        let all = Joint::cat(vec![inner, f(&[0.5]), i(&[3])], 0).unwrap().whole().unwrap();
        assert_eq!((all.dtype(), all.to_vec::<f32>().unwrap()), (DType::F32, vec![1.0, 2.0, 0.5, 3.0]));
        // Each level rounds to its own type, here to `Float32`.
        let inner = Joint::cat(vec![i(&[(1 << 24) + 1]), f(&[0.5])], 0).unwrap();
        let wide = Joint::One(Tensor::from_slice(&[1.0f64], &[1]).unwrap());
        let all = Joint::cat(vec![inner, wide], 0).unwrap().whole().unwrap();
        assert_eq!(all.to_vec::<f64>().unwrap(), [16_777_216.0, 0.5, 1.0]);
        let image = |seed| Joint::One(numbers(&[2, 4, 5, 3], seed).permute(&[0, 3, 1, 2]).unwrap());
        let all = Joint::cat(vec![image(1), Joint::cat(vec![image(2), image(3)], 1).unwrap()], 1).unwrap();
        let want = by_levels(&all);
        let out = all.whole().unwrap();
        assert!(out.is_channels_last());
        assert_eq!(out.to_vec::<f32>().unwrap(), want.to_vec::<f32>().unwrap());
    }

    #[test]
    fn shapes_that_do_not_fit_are_told_at_their_level() {
        let one = |shape: &[usize]| Joint::One(numbers(shape, 1));
        let why = |joint: Result<Joint>| joint.map(|joint| joint.whole()).unwrap_err().to_string();
        assert!(why(Joint::stack(vec![one(&[2, 3]), one(&[2, 4])], 0)).contains("equal shapes"));
        assert!(why(Joint::cat(vec![one(&[2, 3]), one(&[3, 3])], 1)).contains("do not join"));
        assert!(why(Joint::cat(vec![], 0)).contains("at least one"));
    }
}
