//! Attention of few queries, as of the next token of a text: all the work is reading keys and values, so these are read where
//! they lie, also those that are not joined yet.

use stark_shapes::{DType, Shape, rules};

use super::attend::{Masks, divide};
use super::view::expanded_strides;
use crate::cpu::buffer::Buffer;
use crate::cpu::rows::{Dots, Mix};
use crate::cpu::simd::vectors;
use crate::cpu::split::try_fill_ranges;
use crate::cpu::weights::Weights;
use crate::error::Result;
use crate::tensor::{Tensor, check_bytes};
use crate::walk::Walk;

/// So few queries: packing keys and values would cost as much as all the rest. A guess.
pub const FEW: usize = 4;
/// A piece reads about so many bytes: some 10 µs.
const PIECE: usize = 1 << 18;

/// As [`super::attend::attend`], of keys and values that lie in parts, each part's keys beside its values. Shapes are checked by
/// the caller, and nothing is empty but parts.
pub fn attend(
    q: &Tensor,
    parts: &[[&Tensor; 2]],
    mask: Option<&Tensor>,
    batch: &[usize],
    scale: f32,
    causal: bool,
    unseen: f32,
) -> Result<Tensor> {
    let [l, e] = [q.size(-2)?, q.size(-1)?];
    let w = parts[0][1].size(-1)?;
    let lengths = parts.iter().map(|[k, _]| k.size(-2)).collect::<Result<Vec<_>>>()?;
    let s = lengths.iter().sum::<usize>();
    let shape: Shape = batch.iter().copied().chain([l, w]).collect();
    check_bytes(&shape, DType::F32)?;
    let n_heads = rules::numel(batch)?;
    let queries = Heads::new(q, batch)?;
    let parts: Vec<[Heads; 2]> =
        parts.iter().map(|[k, v]| Ok([Heads::new(k, batch)?, Heads::new(v, batch)?])).collect::<Result<_>>()?;
    let masks = mask.map(|mask| Heads::wide(mask, batch, [l, s])).transpose()?;
    let together = (PIECE / (s * (e + w) * size_of::<f32>()).max(1)).clamp(1, n_heads);
    let bounds: Vec<usize> = (0..n_heads).step_by(together).chain([n_heads]).map(|head| head * l * w).collect();
    let mut buffer = Buffer::for_overwrite::<f32>(n_heads * l * w)?;
    try_fill_ranges(buffer.as_mut_slice::<f32>(), &bounds, |piece, out| {
        let mut scores = Buffer::for_overwrite::<f32>(s)?;
        let scores = scores.as_mut_slice::<f32>();
        let mut added = Masks::new(mask, masks.as_ref().map_or([0; 2], |masks| masks.steps), s)?;
        for (i, out) in out.chunks_exact_mut(w).enumerate() {
            let (head, query) = (piece * together + i / l, i % l);
            let mut rest = &mut *scores;
            for ([keys, _], &n) in parts.iter().zip(&lengths) {
                let (out, after) = rest.split_at_mut(n);
                rest = after;
                vectors(Dots { x: &queries.of(head, query)[..e], rows: keys.of(head, 0), step: keys.steps[0], out });
            }
            let added = added.rows::<1>(masks.as_ref().map_or(0, |masks| masks.starts[head]), query);
            let seen = if causal { (query + 1).min(s) } else { s };
            let [sum] = vectors(Weights { scores: [scores], added, scale, seen });
            let mut rest = &*scores;
            for (j, ([_, values], &n)) in parts.iter().zip(&lengths).enumerate() {
                let (weights, after) = rest.split_at(n);
                rest = after;
                let (rows, step) = (values.of(head, 0), values.steps[0]);
                vectors(Mix { weights, rows, step, adds: j > 0, out });
            }
            divide(out, sum, unseen);
        }
        Ok(())
    })?;
    Ok(Tensor::from_buffer(buffer, DType::F32, &shape))
}

/// A matrix for each head.
struct Heads<'a> {
    numbers: &'a [f32],
    starts: Vec<usize>,
    /// From one row to the next, and from one number to the next.
    steps: [usize; 2],
}

impl<'a> Heads<'a> {
    fn new(x: &'a Tensor, batch: &[usize]) -> Result<Heads<'a>> {
        let heads = Heads::wide(x, batch, [x.size(-2)?, x.size(-1)?])?;
        Ok(Heads { numbers: x.storage::<f32>(), ..heads })
    }

    /// With the matrices widened to a size. The numbers are not looked at: they may have another type.
    fn wide(x: &'a Tensor, batch: &[usize], [rows, cols]: [usize; 2]) -> Result<Heads<'a>> {
        let strides = expanded_strides(x, &batch.iter().copied().chain([rows, cols]).collect::<Shape>());
        let (outer, inner) = strides.split_at(batch.len());
        let n = rules::numel(batch)?;
        let walk = Walk::new(batch, [outer], [0]);
        let ([step], mut starts) = (walk.inner(), Vec::with_capacity(n));
        walk.rows(0..n, |[at], n| starts.extend((0..n).map(|i| at + i * step)));
        Ok(Heads { numbers: &[], starts, steps: [inner[0], inner[1]] })
    }

    fn of(&self, head: usize, row: usize) -> &'a [f32] {
        // A part without rows has no numbers.
        self.numbers.get(self.starts[head] + row * self.steps[0]..).unwrap_or_default()
    }
}
