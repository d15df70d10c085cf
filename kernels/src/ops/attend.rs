//! Attention of `f32`: blocks of queries against all keys, so that scores of a block stay in the cache and those of
//! the whole are never in memory.

use smallvec::SmallVec;
use stark_shapes::{DType, Shape, rules};

use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::Mat;
use crate::cpu::packing::fill;
use crate::cpu::panels::{Finish, PanelView, WIDTH, product};
use crate::cpu::simd::vectors;
use crate::cpu::split::try_fill_ranges;
use crate::cpu::weights::Weights;
use crate::element::Bit;
use crate::error::Result;
use crate::ops::few;
use crate::ops::view::expanded_strides;
use crate::tensor::{Tensor, check_bytes};
use crate::walk::Walk;

/// Scores of one block of queries: half of a core's second-level cache.
const SCORES: usize = 1 << 20;
/// Queries of one block at most; a multiple of the rows of a tile.
const MAX_QUERIES: usize = 14 * 16;
/// Rows of scores that become weights beside each other.
const SIDE: usize = 4;

/// `softmax(q @ kᵀ · scale + mask) @ v`, shapes checked by the caller; `batch` is what the leading axes broadcast to.
pub(super) fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    batch: &[usize],
    scale: f32,
    causal: bool,
    unseen: f32,
) -> Result<Tensor> {
    let rows = |x: &Tensor| if x.strides()[x.rank() - 1] == 1 { Ok(x.clone()) } else { x.contiguous() };
    let (q, k, v) = (rows(q)?, rows(k)?, rows(v)?);
    let (l, e) = (q.shape()[q.rank() - 2], q.shape()[q.rank() - 1]);
    let (s, w) = (k.shape()[k.rank() - 2], v.shape()[v.rank() - 1]);
    let shape: Shape = batch.iter().copied().chain([l, w]).collect();
    if l <= few::FEW && s > 0 && e > 0 && rules::numel(&shape)? > 0 {
        return few::attend(&q, &[[&k, &v]], mask, batch, scale, causal, unseen);
    }
    check_bytes(&shape, DType::F32)?;
    let mut buffer = Buffer::for_overwrite::<f32>(rules::numel(&shape)?)?;
    let out = buffer.as_mut_slice::<f32>();
    if out.is_empty() || s == 0 {
        out.fill(0.0);
        return Ok(Tensor::from_buffer(buffer, DType::F32, &shape));
    }
    if e == 0 {
        // Products of nothing are 0, as those of one 0 are.
        let one = |x: &Tensor| {
            let mut shape = Shape::from_slice(x.shape());
            shape[x.rank() - 1] = 1;
            Tensor::zeros(&shape, DType::F32)
        };
        return attend(&one(&q)?, &one(&k)?, &v, mask, batch, 1.0, causal, unseen);
    }
    let strides = |x: &Tensor, rows: usize, cols: usize| {
        let full: SmallVec<[usize; 8]> = batch.iter().copied().chain([rows, cols]).collect();
        expanded_strides(x, &full)
    };
    let (qs, ks, vs) = (strides(&q, l, e), strides(&k, s, e), strides(&v, s, w));
    // Without a mask the fourth operand stands still.
    let ms = mask.map_or_else(|| Shape::from_elem(0, batch.len() + 2), |m| strides(m, l, s));
    let b = batch.len();
    let n_heads = rules::numel(batch)?;
    let mut starts = Vec::with_capacity(n_heads);
    let walk = Walk::new(batch, [&qs[..b], &ks[..b], &vs[..b], &ms[..b]], [0; 4]);
    let inner = walk.inner();
    walk.rows(0..n_heads, |at, n| starts.extend((0..n).map(|i| [0, 1, 2, 3].map(|k| at[k] + i * inner[k]))));

    let block = (SCORES / (s * size_of::<f32>())).clamp(1, MAX_QUERIES).min(l);
    let blocks = l.div_ceil(block);
    let mut bounds = Vec::with_capacity(n_heads * blocks + 1);
    bounds.extend((0..n_heads).flat_map(|h| (0..blocks).map(move |i| (h * l + i * block) * w)));
    bounds.push(n_heads * l * w);
    // Small heads together make a piece worth handing over.
    let cost = block * s * (e + w);
    let together = ((1 << 19) / cost.max(1)).clamp(1, bounds.len() - 1);
    let (qd, kd, vd) = (q.storage::<f32>(), k.storage::<f32>(), v.storage::<f32>());
    let n = bounds.len() - 1;
    let pieces: Vec<usize> = bounds[..n].iter().copied().step_by(together).chain([bounds[n]]).collect();
    try_fill_ranges(out, &pieces, |piece, out| {
        let mut keys = Buffer::for_overwrite::<f32>(e * s.next_multiple_of(WIDTH))?;
        let mut values = Buffer::for_overwrite::<f32>(s * w.next_multiple_of(WIDTH))?;
        let mut scores = Buffer::for_overwrite::<f32>(block * s)?;
        let mut masks = Masks::new(mask, [ms[b], ms[b + 1]], s)?;
        let mut packed = None;
        let first = piece * together;
        let last = (first + together).min(bounds.len() - 1);
        let mut rest = out;
        for i in first..last {
            let (head, query) = (i / blocks, i % blocks * block);
            let n = block.min(l - query);
            let (out, after) = std::mem::take(&mut rest).split_at_mut(n * w);
            rest = after;
            let [qa, ka, va, ma] = starts[head];
            if packed != Some((ka, va)) {
                fill(keys.as_mut_slice(), Mat::new(&kd[ka..], e, s, ks[b + 1], ks[b]));
                fill(values.as_mut_slice(), Mat::new(&vd[va..], s, w, vs[b], vs[b + 1]));
                packed = Some((ka, va));
            }
            let scores = &mut scores.as_mut_slice::<f32>()[..n * s];
            let queries = Mat::new(&qd[qa + query * qs[b]..], n, e, qs[b], qs[b + 1]);
            product(scores, queries, PanelView::new(keys.as_slice(), e, s), Finish::default())?;
            let mut sums = [0.0f32; MAX_QUERIES];
            let mut row = 0;
            // Rows of which as much is seen go side by side.
            let alike = if causal { 0 } else { n / SIDE * SIDE };
            let (fours, ones) = scores.split_at_mut(alike * s);
            for four in fours.chunks_exact_mut(SIDE * s) {
                let added = masks.rows::<SIDE>(ma, query + row);
                let mut rows = four.chunks_exact_mut(s);
                let scores = std::array::from_fn(|_| rows.next().unwrap_or_default());
                sums[row..row + SIDE].copy_from_slice(&vectors(Weights { scores, added, scale, seen: s }));
                row += SIDE;
            }
            for scores in ones.chunks_exact_mut(s) {
                let added = masks.rows::<1>(ma, query + row);
                let seen = if causal { (query + row + 1).min(s) } else { s };
                [sums[row]] = vectors(Weights { scores: [scores], added, scale, seen });
                row += 1;
            }
            let values = PanelView::new(values.as_slice(), s, w);
            product(out, Mat::new(scores, n, s, s, 1), values, Finish::default())?;
            out.chunks_mut(w).zip(sums).for_each(|(out, sum)| divide(out, sum, unseen));
        }
        Ok(())
    })?;
    Ok(Tensor::from_buffer(buffer, DType::F32, &shape))
}

/// Makes a sum of weighted values their mean.
pub(super) fn divide(out: &mut [f32], sum: f32, unseen: f32) {
    if sum == 0.0 {
        return out.fill(unseen);
    }
    let by = 1.0 / sum;
    out.iter_mut().for_each(|x| *x *= by);
}

/// Rows of a mask as numbers that are added.
pub(super) struct Masks<'a> {
    mask: Option<&'a Tensor>,
    strides: [usize; 2],
    width: usize,
    /// Rows that cannot be added where they lie.
    read: Buffer,
    /// Where the one that was read begins, when it serves all queries.
    start: Option<usize>,
}

impl<'a> Masks<'a> {
    pub(super) fn new(mask: Option<&'a Tensor>, strides: [usize; 2], width: usize) -> Result<Masks<'a>> {
        let lies_right = |mask: &Tensor| mask.dtype() == DType::F32 && strides[1] == 1;
        let n = if mask.is_none_or(lies_right) { 0 } else { SIDE * width };
        Ok(Masks { mask, strides, width, read: Buffer::for_overwrite::<f32>(n)?, start: None })
    }

    /// The rows of the queries from `first` on, of the head whose mask begins at `start`.
    pub(super) fn rows<const R: usize>(&mut self, start: usize, first: usize) -> Option<[&[f32]; R]> {
        let (mask, width, [down, across]) = (self.mask?, self.width, self.strides);
        let at = |r: usize| start + (first + r) * down;
        if self.read.n_bytes() == 0 {
            let all = mask.storage::<f32>();
            return Some(std::array::from_fn(|r| &all[at(r)..][..width]));
        }
        let n = if down == 0 { 1 } else { R };
        let read = self.read.as_mut_slice::<f32>();
        if down != 0 || self.start != Some(start) {
            for (r, row) in read.chunks_exact_mut(width).enumerate().take(n) {
                read_mask(mask, at(r), across, row);
            }
            self.start = (down == 0).then_some(start);
        }
        let read = &*read;
        Some(std::array::from_fn(|r| &read[r % n * width..][..width]))
    }
}

/// One row of a mask as numbers that are added.
fn read_mask(mask: &Tensor, at: usize, step: usize, row: &mut [f32]) {
    if mask.dtype() == DType::Bool {
        let keep = mask.storage::<Bit>();
        for (j, x) in row.iter_mut().enumerate() {
            *x = if keep[at + j * step].0 == 0 { f32::NEG_INFINITY } else { 0.0 };
        }
    } else {
        let added = mask.storage::<f32>();
        row.iter_mut().enumerate().for_each(|(j, x)| *x = added[at + j * step]);
    }
}
