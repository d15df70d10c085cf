//! Picking elements by number: every id is checked before it is followed.

use stark_shapes::{DType, Shape, ShapeError, rules, show};

use crate::accelerator::{self, Kernel as DeviceKernel};
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::simd::{Kernel, dispatch};
use crate::element::{Bit, Elem, with_elem, with_word};
use crate::error::{Result, TensorError};
use crate::ops::elementwise::{Arith, compute_dtype};
use crate::tensor::{Tensor, wrap_index};
use crate::walk::Walk;

/// Ids of any int dtype, row-major, each inside `0..size`; `axis` is for the message.
pub(crate) fn ids(index: &Tensor, axis: usize, size: usize, wrap: bool) -> Result<Vec<usize>> {
    if !index.dtype().is_int() {
        return Err(TensorError::DType(format!("ids are whole numbers, not {}", index.dtype())));
    }
    let mut out = Vec::new();
    let n = index.numel();
    // All of them in range, as they mostly are: one look, without a branch for each.
    let in_order = index.as_slice::<i64>();
    let all_inside = in_order.is_some_and(|ids| dispatch(AllBelow(ids, size as u64)));
    let no_room = |_| TensorError::too_large(n.saturating_mul(size_of::<usize>()));
    out.try_reserve_exact(n).map_err(no_room)?;
    if let Some(ids) = in_order.filter(|_| all_inside) {
        out.extend(ids.iter().map(|id| *id as usize));
        return Ok(out);
    }
    let mut bad = None;
    with_elem!(index.dtype(), T => index.for_each::<T>(|id| {
        let id = id.to_i64();
        let place = match wrap {
            true => wrap_index(id, axis, size).ok(),
            false => usize::try_from(id).ok().filter(|&i| i < size),
        };
        match place {
            Some(place) => out.push(place),
            None => bad = bad.or(Some(id)),
        }
    }));
    match bad {
        Some(index) => Err(TensorError::Index { index, axis, size }),
        None => Ok(out),
    }
}

/// Whether each number is from 0 on and below a limit.
struct AllBelow<'a>(&'a [i64], u64);

impl Kernel for AllBelow<'_> {
    type Out = bool;
    #[inline(always)]
    fn run(self) -> bool {
        // A negative one is above any limit.
        self.0.iter().fold(true, |all, id| all & ((*id as u64) < self.1))
    }
}

/// How often each of `n` neighbours is taken, one after the other, when `places` say so.
pub(super) fn repeats(places: &[usize], n: usize) -> Option<usize> {
    let times = if n > 0 && places.len().is_multiple_of(n) { places.len() / n } else { 0 };
    (times > 0 && places.iter().enumerate().all(|(i, place)| *place == i / times)).then_some(times)
}

/// The numbers of a line at `places`.
pub(super) fn pick<W: Pod>(line: &[W], step: usize, places: &[usize], times: Option<usize>, out: &mut [W]) {
    match step {
        1 if times == Some(1) => out.copy_from_slice(&line[..out.len()]),
        1 if times == Some(2) => out.as_chunks_mut::<2>().0.iter_mut().zip(line).for_each(|(o, x)| *o = [*x; 2]),
        1 if times.is_some() => {
            out.chunks_exact_mut(times.unwrap_or(1)).zip(line).for_each(|(o, x)| o.fill(*x));
        }
        1 => out.iter_mut().zip(places).for_each(|(o, place)| *o = line[*place]),
        _ => out.iter_mut().zip(places).for_each(|(o, place)| *o = line[place * step]),
    }
}

/// `x` with axis `at` replaced by `places`, which have shape `shape`. The places are inside the axis.
pub(crate) fn take(x: &Tensor, at: usize, places: &[usize], shape: &[usize]) -> Result<Tensor> {
    let mut out_shape: Shape = x.shape()[..at].into();
    out_shape.extend_from_slice(shape);
    out_shape.extend_from_slice(&x.shape()[at + 1..]);
    let n = rules::numel(&out_shape)?;
    if accelerator::of([x]).is_some() {
        let whole = x.contiguous()?;
        let kernel = || DeviceKernel::Take { x: &whole, axis: at, places, shape: &out_shape };
        if let Some(out) = accelerator::offer([&whole], kernel)? {
            return Ok(out);
        }
    }
    let step = x.strides()[at];
    let times = repeats(places, x.shape()[at]);
    let lead = Walk::new(&x.shape()[..at], [&x.strides()[..at]], [0]);
    let tail = Walk::new(&x.shape()[at + 1..], [&x.strides()[at + 1..]], [0]);
    with_word!(x.dtype(), W => {
        let mut buffer = Buffer::for_overwrite::<W>(n)?;
        if n > 0 {
            let from = x.storage::<W>();
            let out = buffer.as_mut_slice::<W>();
            let mut done = 0;
            let [outer] = lead.inner();
            let [s] = tail.inner();
            lead.rows(0..lead.numel(), |[start], count| for o in 0..count {
                if tail.numel() == 1 {
                    pick(&from[start + o * outer..], step, places, times, &mut out[done..done + places.len()]);
                    done += places.len();
                    continue;
                }
                for &place in places {
                    let base = start + o * outer + place * step;
                    tail.rows(0..tail.numel(), |[i], n| {
                        let row = &mut out[done..done + n];
                        if s == 1 || n == 1 {
                            row.copy_from_slice(&from[base + i..base + i + n]);
                        } else {
                            row.iter_mut().enumerate().for_each(|(k, o)| *o = from[base + i + k * s]);
                        }
                        done += n;
                    });
                }
            });
        }
        Ok(Tensor::from_buffer(buffer, x.dtype(), &out_shape))
    })
}

/// Rows of `axis` picked by a vector of ids.
pub fn index_select(x: &Tensor, axis: i64, index: &Tensor) -> Result<Tensor> {
    let shape = rules::index_select(x.shape(), axis, index.shape())?;
    if x.rank() == 0 {
        ids(index, 0, 1, false)?;
        return Ok(x.clone());
    }
    let at = rules::axis(axis, x.rank())?;
    let places = ids(index, at, x.shape()[at], false)?;
    take(x, at, &places, &[places.len()])?.reshape_to(&shape)
}

/// Rows of `weight [n, d]` for each id: `[..]` to `[.., d]`.
pub fn embedding(weight: &Tensor, index: &Tensor) -> Result<Tensor> {
    rules::embedding(weight.shape(), index.shape())?;
    let places = ids(index, 0, weight.shape()[0], false)?;
    take(weight, 0, &places, index.shape())
}

/// How [`embedding_bag`] combines the rows of a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bag {
    Sum,
    Mean,
    Max,
}

/// Rows of `weight [n, d]` combined per bag: `[bags, d]`.
///
/// `ids [bags, len]` holds one bag a row; `ids [total]` is cut at `offsets [bags]`. Rows of `padding` count as
/// absent; an empty bag gives zeros. `weights`, shaped like the ids, scale rows (`Bag::Sum` only).
pub fn embedding_bag(
    weight: &Tensor,
    index: &Tensor,
    offsets: Option<&Tensor>,
    mode: Bag,
    padding: Option<i64>,
    weights: Option<&Tensor>,
    include_last_offset: bool,
) -> Result<Tensor> {
    let [n, d] = *weight.shape() else {
        return Err(
            ShapeError(format!("embedding_bag needs a weight of rank 2, not shape {}", show(weight.shape()))).into()
        );
    };
    let places = ids(index, 0, n, false)?;
    let mut bounds: Vec<usize> = match (index.rank(), offsets) {
        (2, None) => (0..index.shape()[0]).map(|i| i * index.shape()[1]).collect(),
        (1, Some(offsets)) if offsets.rank() == 1 => ids(offsets, 0, places.len().saturating_add(1), false)?,
        _ => {
            return Err(ShapeError(format!(
                "embedding_bag needs ids of rank 2, or of rank 1 with a vector of offsets, not ids of shape {}",
                show(index.shape())
            ))
            .into());
        }
    };
    if bounds.windows(2).any(|w| w[0] > w[1]) || bounds.first().is_some_and(|&first| first != 0) {
        return Err(TensorError::Argument("offsets start at 0 and never fall".into()));
    }
    if !(include_last_offset && offsets.is_some()) {
        bounds.push(places.len());
    }
    let padding = match padding {
        Some(id) => Some(wrap_index(id, 0, n)?),
        None => None,
    };
    let scale: Option<Vec<f64>> = match weights {
        Some(_) if mode != Bag::Sum => return Err(TensorError::Argument("weights per row need mode sum".into())),
        Some(w) if w.shape() != index.shape() => {
            return Err(ShapeError(format!(
                "weights {} are not shaped like ids {}",
                show(w.shape()),
                show(index.shape())
            ))
            .into());
        }
        Some(w) => Some(w.to(DType::F64)?.to_vec()?),
        None => None,
    };
    if !weight.dtype().is_float() {
        return Err(TensorError::dtype("embedding_bag", weight.dtype()));
    }
    let bags = bounds.len().saturating_sub(1);
    let table = weight.contiguous()?;
    with_elem!(weight.dtype(), T => {
        let rows = table.slice_of::<T>();
        let mut buffer = Buffer::zeroed::<T>(rules::numel(&[bags, d])?)?;
        let mut total = vec![0.0f64; d];
        for (bag, out) in buffer.as_mut_slice::<T>().chunks_mut(d.max(1)).enumerate() {
            let mut count = 0usize;
            total.fill(if mode == Bag::Max { f64::NEG_INFINITY } else { 0.0 });
            for at in bounds[bag]..bounds[bag + 1] {
                let id = places[at];
                if Some(id) == padding {
                    continue;
                }
                count += 1;
                let by = scale.as_ref().map_or(1.0, |s| s[at]);
                for (t, x) in total.iter_mut().zip(&rows[id * d..(id + 1) * d]) {
                    let x = x.to_f64();
                    match mode {
                        Bag::Max => *t = if x > *t || x.is_nan() { x } else { *t },
                        _ => *t += x * by,
                    }
                }
            }
            if count > 0 {
                let by = if mode == Bag::Mean { 1.0 / count as f64 } else { 1.0 };
                out.iter_mut().zip(&total).for_each(|(o, t)| *o = T::from_f64(t * by));
            }
        }
        Ok(Tensor::from_buffer(buffer, weight.dtype(), &[bags, d]))
    })
}

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`; the result has the shape of `index`.
pub fn gather(x: &Tensor, axis: i64, index: &Tensor) -> Result<Tensor> {
    let shape = rules::gather(x.shape(), axis, index.shape())?;
    let at = rules::axis(axis, x.rank())?;
    let size = x.shape().get(at).copied().unwrap_or(1);
    let step = x.strides().get(at).copied().unwrap_or(0);
    let strides = stepped(x, at, shape.len());
    let walk = Walk::new(&shape, [&strides], [0]);
    let inside = index.as_slice::<i64>().filter(|ids| dispatch(AllBelow(ids, size as u64)));
    let checked = if inside.is_none() { ids(index, at, size, false)? } else { Vec::new() };
    fn run<W: Pod, I: Copy>(
        from: &[W],
        out: &mut [W],
        walk: &Walk<1>,
        step: usize,
        ids: &[I],
        place: impl Fn(I) -> usize,
    ) {
        let [s] = walk.inner();
        let mut done = 0;
        walk.rows(0..walk.numel(), |[i], n| {
            let (ids, out) = (&ids[done..done + n], &mut out[done..done + n]);
            done += n;
            let line = &from[i..];
            match (s, step) {
                (0, 1) => out.iter_mut().zip(ids).for_each(|(o, id)| *o = line[place(*id)]),
                _ => out.iter_mut().zip(ids).enumerate().for_each(|(k, (o, id))| *o = line[k * s + place(*id) * step]),
            }
        });
    }
    with_word!(x.dtype(), W => {
        let mut buffer = Buffer::for_overwrite::<W>(walk.numel())?;
        let (from, out) = (x.storage::<W>(), buffer.as_mut_slice::<W>());
        match inside {
            Some(ids) => run(from, out, &walk, step, ids, |id| id as usize),
            None => run(from, out, &walk, step, &checked, |id| id),
        }
        Ok(Tensor::from_buffer(buffer, x.dtype(), &shape))
    })
}

/// Strides of `x` with the picked axis standing still.
fn stepped(x: &Tensor, at: usize, rank: usize) -> Shape {
    let mut strides: Shape = x.strides().into();
    strides.resize(rank, 0);
    if let Some(stride) = strides.get_mut(at) {
        *stride = 0;
    }
    strides
}

fn scatter_with(x: &Tensor, axis: i64, index: &Tensor, src: &Tensor, combine: Combine) -> Result<Tensor> {
    rules::gather(x.shape(), axis, index.shape())?;
    let at = rules::axis(axis, x.rank())?;
    let src = src.to(x.dtype())?;
    let src = if src.rank() == 0 { src.expand(index.shape())? } else { src };
    let fits = src.rank() == index.rank() && src.shape().iter().zip(index.shape()).all(|(s, i)| s >= i);
    if !fits {
        return Err(
            ShapeError(format!("source {} is smaller than index {}", show(src.shape()), show(index.shape()))).into()
        );
    }
    let size = x.shape().get(at).copied().unwrap_or(1);
    let places = ids(index, at, size, false)?;
    let compute = if combine == Combine::Replace { x.dtype() } else { compute_dtype(x.dtype()) };
    let mut out = x.to(compute)?.copied()?;
    let src = src.to(compute)?;
    let step = out.strides().get(at).copied().unwrap_or(0);
    let strides = stepped(&out, at, index.rank());
    let walk = Walk::new(index.shape(), [&strides, src.strides()], [0, 0]);
    fn run<T: Pod>(out: &mut [T], src: &[T], walk: &Walk<2>, places: &[usize], step: usize, f: impl Fn(T, T) -> T) {
        let [s, r] = walk.inner();
        let mut done = 0;
        walk.rows(0..walk.numel(), |[i, j], n| {
            for k in 0..n {
                let slot = &mut out[i + k * s + places[done] * step];
                *slot = f(*slot, src[j + k * r]);
                done += 1;
            }
        });
    }
    match combine {
        Combine::Replace => {
            with_word!(compute, W => run::<W>(out.owned_slice_mut(), src.storage(), &walk, &places, step, |_, new| new))
        }
        Combine::Add => {
            crate::element::with_number!(compute, T => run::<T>(out.owned_slice_mut(), src.storage(), &walk, &places, step, |old, new| old.add(new)),
            _ => return Err(TensorError::dtype("scatter_add", compute)))
        }
    }
    out.to(x.dtype())
}

#[derive(Clone, Copy, PartialEq)]
enum Combine {
    Replace,
    Add,
}

/// `x` with `out[.., index[.., i, ..], ..] = src[.., i, ..]` along `axis`; a 0-dim `src` goes everywhere.
pub fn scatter(x: &Tensor, axis: i64, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    scatter_with(x, axis, index, src, Combine::Replace)
}

/// As [`scatter`], added to what is there.
pub fn scatter_add(x: &Tensor, axis: i64, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    scatter_with(x, axis, index, src, Combine::Add)
}

/// `x[a, b, :]`: index tensors for leading axes (`None` keeps an axis whole) broadcast against each other.
///
/// Ids may be negative; a Bool tensor stands for the places where it is true. The picked axes appear where the
/// first index was, or in front when a kept axis lies between two indices, as in PyTorch.
pub fn index(x: &Tensor, indices: &[Option<&Tensor>]) -> Result<Tensor> {
    let plan = plan_index(x, indices)?;
    let n = rules::numel(&plan.shape)?;
    let rest = Walk::new(&plan.rest_shape, [&plan.rest_strides], [0]);
    let [s] = rest.inner();
    with_word!(x.dtype(), W => {
        let mut buffer = Buffer::for_overwrite::<W>(n)?;
        let from = x.storage::<W>();
        let mut left = buffer.as_mut_slice::<W>();
        if n > 0 {
            for base in &plan.places {
                rest.rows(0..rest.numel(), |[i], n| {
                    let (out, after) = std::mem::take(&mut left).split_at_mut(n);
                    left = after;
                    match s {
                        1 => out.copy_from_slice(&from[base + i..][..n]),
                        _ => out.iter_mut().enumerate().for_each(|(k, o)| *o = from[base + i + k * s]),
                    }
                });
            }
        }
        plan.arrange(Tensor::from_buffer(buffer, x.dtype(), &plan.shape))
    })
}

/// `x` with `values` (broadcast, converted) written where [`index`] would read; `add` adds them up instead.
pub fn index_put(x: &Tensor, indices: &[Option<&Tensor>], values: &Tensor, add: bool) -> Result<Tensor> {
    let mut out = x.copied()?;
    let plan = plan_index(&out, indices)?;
    let shown = plan.arrange(Tensor::zeros(&[], DType::U8)?.expand(&plan.shape)?)?;
    let values = values.to(x.dtype())?;
    rules::broadcast_to(values.shape(), shown.shape())?;
    let values = plan.arrange_back(values.expand(shown.shape())?)?.contiguous()?;
    let rest = Walk::new(&plan.rest_shape, [&plan.rest_strides], [0]);
    let [s] = rest.inner();
    with_elem!(x.dtype(), T => {
        let from = values.slice_of::<T>();
        let slots = out.owned_slice_mut::<T>();
        let mut done = 0;
        if !from.is_empty() {
            for base in &plan.places {
                rest.rows(0..rest.numel(), |[i], n| for k in 0..n {
                    let slot = &mut slots[base + i + k * s];
                    *slot = match add {
                        true if T::FLOAT => T::from_f64(slot.to_f64() + from[done].to_f64()),
                        true => T::from_i64(slot.to_i64().wrapping_add(from[done].to_i64())),
                        false => from[done],
                    };
                    done += 1;
                });
            }
        }
    });
    Ok(out)
}

struct IndexPlan {
    /// Where each combination of ids begins.
    places: Vec<usize>,
    rest_shape: Shape,
    rest_strides: Shape,
    /// Picked axes, then kept ones.
    shape: Shape,
    n_picked: usize,
    /// How many kept axes come before the picked ones in the result.
    first: usize,
}

impl IndexPlan {
    fn arrange(&self, x: Tensor) -> Result<Tensor> {
        self.reorder(x, |order, n, first| {
            order.iter().copied().skip(n).take(first).chain(0..n).chain(n + first..order.len()).collect()
        })
    }

    fn arrange_back(&self, x: Tensor) -> Result<Tensor> {
        self.reorder(x, |order, n, first| (first..first + n).chain(0..first).chain(n + first..order.len()).collect())
    }

    fn reorder(&self, x: Tensor, order: impl Fn(&[usize], usize, usize) -> Vec<usize>) -> Result<Tensor> {
        if self.first == 0 {
            return Ok(x);
        }
        let all: Vec<usize> = (0..x.rank()).collect();
        let order: Vec<i64> = order(&all, self.n_picked, self.first).into_iter().map(|i| i as i64).collect();
        x.permute(&order)
    }
}

fn plan_index(x: &Tensor, indices: &[Option<&Tensor>]) -> Result<IndexPlan> {
    // Masks become one vector of ids per axis they cover.
    let mut expanded: Vec<Option<Tensor>> = Vec::new();
    for index in indices {
        match index {
            Some(mask) if mask.dtype() == DType::Bool => {
                let covered = x.shape().get(expanded.len()..expanded.len() + mask.rank());
                if covered != Some(mask.shape()) {
                    return Err(ShapeError(format!(
                        "mask {} does not fit shape {} at axis {}",
                        show(mask.shape()),
                        show(x.shape()),
                        expanded.len()
                    ))
                    .into());
                }
                if mask.rank() == 0 {
                    return Err(TensorError::Unsupported("a 0-dim mask as an index is not built: use where".into()));
                }
                let found = nonzero(mask)?;
                for axis in 0..mask.rank() {
                    expanded.push(Some(found.select(1, axis as i64)?));
                }
            }
            Some(ids) => expanded.push(Some((*ids).clone())),
            None => expanded.push(None),
        }
    }
    if expanded.len() > x.rank() {
        return Err(ShapeError(format!(
            "{} indices for shape {} of rank {}",
            expanded.len(),
            show(x.shape()),
            x.rank()
        ))
        .into());
    }
    expanded.resize(x.rank(), None);
    let picked: Vec<usize> = (0..x.rank()).filter(|&i| expanded[i].is_some()).collect();
    let mut ids_shape: Shape = Shape::new();
    for ids in expanded.iter().flatten() {
        ids_shape = rules::broadcast(&ids_shape, ids.shape())?;
    }
    let mut places = vec![0usize; rules::numel(&ids_shape)?];
    for (axis, index) in expanded.iter().enumerate() {
        if let Some(index) = index {
            let found = ids(&index.expand(&ids_shape)?, axis, x.shape()[axis], true)?;
            places.iter_mut().zip(found).for_each(|(p, id)| *p += id * x.strides()[axis]);
        }
    }
    let kept = |i: &usize| expanded[*i].is_none();
    let rest_shape: Shape = (0..x.rank()).filter(kept).map(|i| x.shape()[i]).collect();
    let rest_strides: Shape = (0..x.rank()).filter(kept).map(|i| x.strides()[i]).collect();
    let together = picked.windows(2).all(|w| w[0] + 1 == w[1]);
    let first = if together { picked.first().copied().unwrap_or(0) } else { 0 };
    let mut shape = ids_shape.clone();
    shape.extend_from_slice(&rest_shape);
    Ok(IndexPlan { places, rest_shape, rest_strides, shape, n_picked: ids_shape.len(), first })
}

/// The places of the elements that are not zero, one row of indices each: `[found, rank]`, `Int64`.
pub fn nonzero(x: &Tensor) -> Result<Tensor> {
    let mut found: Vec<i64> = Vec::new();
    let mut count = 0usize;
    let mut place: Vec<i64> = vec![0; x.rank()];
    with_elem!(x.dtype(), T => x.for_each::<T>(|v| {
        if v != T::default() {
            found.extend_from_slice(&place);
            count += 1;
        }
        for axis in (0..place.len()).rev() {
            place[axis] += 1;
            if (place[axis] as usize) < x.shape()[axis] {
                break;
            }
            place[axis] = 0;
        }
    }));
    Tensor::from_vec(found, &[count, x.rank()])
}

/// The elements where `mask` (Bool, broadcast) is true, as a vector.
pub fn masked_select(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    if mask.dtype() != DType::Bool {
        return Err(TensorError::DType(format!("a mask is Bool, not {}", mask.dtype())));
    }
    let shape = rules::broadcast(x.shape(), mask.shape())?;
    let (x, mask) = (x.expand(&shape)?, mask.expand(&shape)?);
    let mut keep = Vec::new();
    mask.for_each::<Bit>(|b| keep.push(b.0 != 0));
    with_word!(x.dtype(), W => {
        let mut kept: Vec<W> = Vec::new();
        let mut at = 0;
        x.for_each::<W>(|v| {
            if keep[at] {
                kept.push(v);
            }
            at += 1;
        });
        Ok(Tensor::from_buffer(Buffer::from_slice(&kept)?, x.dtype(), &[kept.len()]))
    })
}

/// Elements in order along `axis`, and where each was (`Int64`). Equal ones keep their order; NaN is greatest.
pub fn sort(x: &Tensor, axis: i64, descending: bool) -> Result<(Tensor, Tensor)> {
    let n = if x.rank() == 0 { 1 } else { x.size(axis)? };
    ordered(x, axis, descending, n)
}

/// The indices of [`sort`].
pub fn argsort(x: &Tensor, axis: i64, descending: bool) -> Result<Tensor> {
    Ok(sort(x, axis, descending)?.1)
}

/// The `k` greatest (or least) elements along `axis` in order, and where each was. First of equals first.
pub fn topk(x: &Tensor, k: usize, axis: i64, largest: bool) -> Result<(Tensor, Tensor)> {
    rules::topk(x.shape(), k, axis)?;
    ordered(x, axis, largest, k)
}

/// Of so many elements a place at least, those few that lead are found in one pass; a guess: an element that takes a place
/// moves half of the others.
const FEW: usize = 16;
/// Of more of them that move, where each element takes a place, a whole order is made sooner; a guess too.
const MOST_LEADING: usize = 64;

/// The places of the `k` elements that lead, in order.
fn leading<T: Elem>(row: &[T], order: &mut Vec<usize>, k: usize, leads: impl Fn(T, T) -> bool) {
    // Elements that are looked at together: mostly none of them takes a place.
    const BLOCK: usize = 32;
    order.clear();
    for (first, block) in (0..row.len()).step_by(BLOCK).zip(row.chunks(BLOCK)) {
        if order.len() == k {
            let last = row[order[k - 1]];
            if !block.iter().fold(false, |any, x| any | leads(*x, last)) {
                continue;
            }
        }
        for (i, x) in (first..).zip(block) {
            // Of equals the first leads, so a later one takes its place behind them.
            if order.len() == k {
                if !leads(*x, row[order[k - 1]]) {
                    continue;
                }
                order.pop();
            }
            let at = order.partition_point(|at| !leads(*x, row[*at]));
            order.insert(at, i);
        }
    }
}

/// Whether `a` comes before `b`, NaN being the greatest. Without branches.
#[inline(always)]
#[allow(clippy::eq_op)]
fn before<T: Elem>(a: T, b: T) -> bool {
    (a < b) | ((b != b) & (a == a))
}

fn ordered(x: &Tensor, axis: i64, descending: bool, k: usize) -> Result<(Tensor, Tensor)> {
    use std::cmp::Ordering;
    let at = rules::axis(axis, x.rank())?;
    if x.rank() == 0 {
        let x = x.reshape_to(&[1])?;
        let (values, places) = ordered(&x, 0, descending, k)?;
        return Ok((values.reshape_to(&[])?, places.reshape_to(&[])?));
    }
    let rows = x.movedim(axis, -1)?.contiguous()?;
    let n = x.shape()[at];
    let mut shape: Shape = rows.shape().into();
    let last = shape.len() - 1;
    shape[last] = k;
    let total = rules::numel(&shape)?;
    with_elem!(x.dtype(), T => {
        let data = rows.slice_of::<T>();
        let mut values = Buffer::zeroed::<T>(total)?;
        let mut places = Buffer::zeroed::<i64>(total)?;
        let mut order: Vec<usize> = Vec::new();
        if total > 0 {
            order.reserve_exact(n);
            let outs = values.as_mut_slice::<T>().chunks_mut(k).zip(places.as_mut_slice::<i64>().chunks_mut(k));
            for (row, (value, place)) in data.chunks(n).zip(outs) {
                if k <= MOST_LEADING && k * FEW <= n && !crate::device::is_reference() {
                    match descending {
                        true => leading(row, &mut order, k, |a, b| before(b, a)),
                        false => leading(row, &mut order, k, before),
                    }
                    for (slot, &i) in order.iter().enumerate() {
                        value[slot] = row[i];
                        place[slot] = i as i64;
                    }
                    continue;
                }
                order.clear();
                order.extend(0..n);
                #[allow(clippy::eq_op)]
                let ascending = |a: T, b: T| a.partial_cmp(&b).unwrap_or_else(|| match (a != a, b != b) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Greater,
                    _ => Ordering::Less,
                });
                // The index breaks ties, so an unstable partial sort is stable.
                let compare = |&i: &usize, &j: &usize| {
                    let by_value = if descending { ascending(row[j], row[i]) } else { ascending(row[i], row[j]) };
                    by_value.then(i.cmp(&j))
                };
                if k < n {
                    order.select_nth_unstable_by(k - 1, compare);
                    order.truncate(k);
                }
                order.sort_unstable_by(compare);
                for (slot, &i) in order.iter().enumerate() {
                    value[slot] = row[i];
                    place[slot] = i as i64;
                }
            }
        }
        let values = Tensor::from_buffer(values, x.dtype(), &shape).movedim(-1, at as i64)?.contiguous()?;
        let places = Tensor::from_buffer(places, DType::I64, &shape).movedim(-1, at as i64)?.contiguous()?;
        Ok((values, places))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::join::*;
    use crate::ops::{arange, randn};
    use crate::ops::{cat, stack};

    fn i(values: &[i64], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape).unwrap()
    }

    fn list(x: Result<Tensor>) -> Vec<i64> {
        x.unwrap().to_scalars().iter().map(|s| s.to_i64()).collect()
    }

    #[test]
    fn joining_and_moving() {
        let a = i(&[1, 2, 3, 4], &[2, 2]);
        let zero = PadMode::Constant(0.into());
        let line = i(&[1, 2, 3], &[3]);
        for (got, shape, want) in [
            (cat(&[&a, &a.t().unwrap()], 0), &[4, 2][..], vec![1, 2, 3, 4, 1, 3, 2, 4]),
            (cat(&[&a, &a], 1), &[2, 4], vec![1, 2, 1, 2, 3, 4, 3, 4]),
            (stack(&[&line, &line], 1), &[3, 2], vec![1, 1, 2, 2, 3, 3]),
            (repeat(&line, &[2, 2]), &[2, 6], [1, 2, 3].repeat(4)),
            (repeat_interleave(&a, 2, 1), &[2, 4], vec![1, 1, 2, 2, 3, 3, 4, 4]),
            (flip(&a, &[0, 1]), &[2, 2], vec![4, 3, 2, 1]),
            (roll(&a, &[1], &[1]), &[2, 2], vec![2, 1, 4, 3]),
            (roll(&a, &[-1], &[]), &[2, 2], vec![2, 3, 4, 1]),
            (pad(&a, &[1, 0, 0, 1], zero), &[3, 3], vec![0, 1, 2, 0, 3, 4, 0, 0, 0]),
            (pad(&line, &[-1, 1], zero), &[3], vec![2, 3, 0]),
            (pad(&line, &[2, 1], PadMode::Reflect), &[6], vec![3, 2, 1, 2, 3, 2]),
            (pad(&line, &[1, 2], PadMode::Replicate), &[6], vec![1, 1, 2, 3, 3, 3]),
            (pad(&line, &[1, 1], PadMode::Circular), &[5], vec![3, 1, 2, 3, 1]),
            (tril(&a, 0), &[2, 2], vec![1, 0, 3, 4]),
            (triu(&a, 1), &[2, 2], vec![0, 2, 0, 0]),
            (one_hot(&i(&[1, 0], &[2]), 3), &[2, 3], vec![0, 1, 0, 1, 0, 0]),
            (
                pixel_shuffle(&arange(0, 4, 1, DType::I64).unwrap().reshape(&[4, 1, 1]).unwrap(), 2),
                &[1, 2, 2],
                vec![0, 1, 2, 3],
            ),
        ] {
            let got = got.unwrap();
            assert_eq!((got.shape(), list(Ok(got.clone()))), (shape, want));
        }
        assert!(pad(&line, &[3, 0], PadMode::Reflect).is_err() && pad(&line, &[-4, 0], zero).is_err());
        assert!(one_hot(&i(&[3], &[1]), 3).is_err() && cat(&[], 0).is_err());
    }

    #[test]
    fn picking() {
        let a = arange(0, 24, 1, DType::I64).unwrap().reshape(&[2, 3, 4]).unwrap();
        let m = i(&[1, 2, 3, 4], &[2, 2]);
        let (zero, one) = (i(&[0, 1], &[2]), i(&[-1, 0], &[2]));
        let mask = Tensor::from_vec(vec![true, false, false, true], &[2, 2]).unwrap();
        for (got, shape, want) in [
            (index_select(&m, 1, &i(&[1, 1, 0], &[3])), &[2, 3][..], vec![2, 2, 1, 4, 4, 3]),
            (embedding(&m, &i(&[1, 0, 1], &[1, 3])), &[1, 3, 2], vec![3, 4, 1, 2, 3, 4]),
            (gather(&m, 1, &i(&[0, 0, 1, 0], &[2, 2])), &[2, 2], vec![1, 1, 4, 3]),
            (scatter(&m, 0, &i(&[1, 0], &[1, 2]), &i(&[9, 8], &[1, 2])), &[2, 2], vec![1, 8, 9, 4]),
            (scatter_add(&m, 1, &i(&[0, 0], &[1, 2]), &i(&[9, 8], &[1, 2])), &[2, 2], vec![18, 2, 3, 4]),
            (index(&a, &[Some(&zero), Some(&one)]), &[2, 4], vec![8, 9, 10, 11, 12, 13, 14, 15]),
            (index(&a, &[None, Some(&zero), Some(&one)]), &[2, 2], vec![3, 4, 15, 16]),
            (index(&a, &[Some(&zero), None, Some(&one)]), &[2, 3], vec![3, 7, 11, 12, 16, 20]),
            (index(&m, &[Some(&mask)]), &[2], vec![1, 4]),
            (index_put(&m, &[Some(&mask)], &i(&[0], &[1]), false), &[2, 2], vec![0, 2, 3, 0]),
            (index_put(&m, &[None, Some(&zero)], &i(&[5, 6], &[2]), true), &[2, 2], vec![6, 8, 8, 10]),
            (masked_select(&m, &mask), &[2], vec![1, 4]),
            (nonzero(&mask), &[2, 2], vec![0, 0, 1, 1]),
        ] {
            let got = got.unwrap();
            assert_eq!((got.shape(), list(Ok(got.clone()))), (shape, want));
        }
        assert_eq!(
            embedding(&m, &i(&[2], &[1])).unwrap_err().to_string(),
            "index 2 is out of range for axis 0 of size 2"
        );
        for bad in [
            index_select(&m, 0, &i(&[-1], &[1])),
            gather(&m, 0, &i(&[5], &[1, 1])),
            index(&m, &[Some(&i(&[-3], &[1]))]),
        ] {
            assert!(matches!(bad, Err(TensorError::Index { .. })));
        }
        assert!(index_select(&m, 0, &randn(&[1], 0, DType::F32).unwrap()).is_err());
    }

    #[test]
    fn bags() {
        let w = Tensor::from_vec(vec![9.0f32, 9.0, 1.0, 2.0, 3.0, -4.0], &[3, 2]).unwrap();
        let rows = i(&[1, 2, 0, 0], &[2, 2]);
        let flat = i(&[1, 2, 2], &[3]);
        let starts = i(&[0, 1, 3], &[3]);
        let bag = |ids: &Tensor, offsets, mode, padding| {
            embedding_bag(&w, ids, offsets, mode, padding, None, false).unwrap().to_vec::<f32>().unwrap()
        };
        assert_eq!(bag(&rows, None, Bag::Mean, Some(0)), [2.0, -1.0, 0.0, 0.0]);
        assert_eq!(bag(&rows, None, Bag::Max, None), [3.0, 2.0, 9.0, 9.0]);
        assert_eq!(bag(&flat, Some(&starts), Bag::Sum, None), [1.0, 2.0, 6.0, -8.0, 0.0, 0.0]);
        assert!(embedding_bag(&w, &flat, Some(&i(&[0, 4], &[2])), Bag::Sum, None, None, false).is_err());
    }

    #[test]
    fn sorting_is_stable() {
        let x = i(&[3, 1, 3, 2], &[4]);
        let (v, p) = sort(&x, 0, true).unwrap();
        assert_eq!((list(Ok(v)), list(Ok(p))), (vec![3, 3, 2, 1], vec![0, 2, 3, 1]));
        let (v, p) = topk(&x.reshape(&[2, 2]).unwrap(), 1, 0, false).unwrap();
        assert_eq!((v.shape(), list(Ok(v.clone())), list(Ok(p))), (&[1, 2][..], vec![3, 1], vec![0, 0]));
        let n = Tensor::from_vec(vec![f32::NAN, 1.0, 2.0], &[3]).unwrap();
        assert_eq!(list(argsort(&n, 0, false)), [1, 2, 0]);
        assert_eq!(topk(&x, 5, 0, true).unwrap_err().to_string(), "topk of 5 along axis 0, which is 4");
    }
}
