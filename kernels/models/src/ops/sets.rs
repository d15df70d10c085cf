//! What a tensor's numbers are as a set: which differ, how often each is there, which are in another.

use std::cmp::Ordering;

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor};

use super::loss::numbers;
use super::tensor::{ok, pair_of, say};
use super::{Args, OpResult};
use crate::value::Value;

/// Slices along an axis, put into groups of equal ones.
pub(crate) struct Groups {
    x: Tensor,
    axis: usize,
    /// Places of the slices of each group, ascending.
    all: Vec<Vec<usize>>,
    n: usize,
}

/// What a NaN is equal to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nan {
    /// Any other, as in ONNX.
    Nans,
    /// Nothing, as in PyTorch.
    Nothing,
}

impl Groups {
    /// Of equal slices anywhere, in their order; or of neighbours. Without an axis the elements are the slices.
    pub fn new(x: &Tensor, axis: Option<i64>, neighbours: bool, nan: Nan) -> Result<Groups, String> {
        let (x, axis) = match axis {
            Some(axis) => (x.clone(), stark_shapes::rules::axis(axis, x.rank()).map_err(say)?),
            None => (x.reshape(&[-1]).map_err(say)?, 0),
        };
        let n = x.shape()[axis];
        let numbers = x.movedim(axis as i64, 0).map_err(say)?.to_scalars();
        let width = numbers.len() / n.max(1);
        let row = |i: usize| &numbers[i * width..(i + 1) * width];
        let order = |i: usize, j: usize| {
            let pairs = row(i).iter().zip(row(j));
            pairs.map(|(x, y)| compare(*x, *y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let is_alone = |i: usize| nan == Nan::Nothing && row(i).iter().any(|x| x.to_f64().is_nan());
        let mut places: Vec<usize> = (0..n).collect();
        if !neighbours {
            places.sort_by(|&i, &j| order(i, j).then(i.cmp(&j)));
        }
        let mut all: Vec<Vec<usize>> = Vec::new();
        for i in places {
            match all.last_mut() {
                Some(group) if order(group[0], i).is_eq() && !is_alone(i) => group.push(i),
                _ => all.push(vec![i]),
            }
        }
        Ok(Groups { x, axis, all, n })
    }

    /// The groups in the order in which they first appear.
    pub fn by_first(mut self) -> Groups {
        self.all.sort_by_key(|group| group[0]);
        self
    }

    /// One slice of each group.
    pub fn values(&self) -> Tried<Tensor> {
        k::index_select(&self.x, self.axis as i64, &self.firsts()?)
    }

    /// Where each group is first.
    pub fn firsts(&self) -> Tried<Tensor> {
        ints(self.all.iter().map(|group| group[0] as i64).collect())
    }

    /// Which group each slice is in.
    pub fn inverse(&self) -> Tried<Tensor> {
        let mut inverse = vec![0i64; self.n];
        for (which, group) in self.all.iter().enumerate() {
            group.iter().for_each(|&i| inverse[i] = which as i64);
        }
        ints(inverse)
    }

    pub fn counts(&self) -> Tried<Tensor> {
        ints(self.all.iter().map(|group| group.len() as i64).collect())
    }

    /// As PyTorch gives them: values, groups (of `shape`) and counts. What is not asked for is empty.
    fn parts(&self, with_inverse: bool, with_counts: bool, shape: &[usize]) -> OpResult {
        let made = || {
            Ok::<_, stark_kernels::TensorError>(vec![
                self.values()?,
                if with_inverse { self.inverse()?.reshape_to(shape)? } else { ints(Vec::new())? },
                if with_counts { self.counts()? } else { ints(Vec::new())? },
            ])
        };
        Value::tuple(made().map_err(say)?.into_iter().map(Value::Tensor).collect())
    }
}

fn ints(numbers: Vec<i64>) -> Tried<Tensor> {
    let n = numbers.len();
    Tensor::from_vec(numbers, &[n])
}

/// Numbers in order; those that are none are equal to each other and the greatest.
fn compare(x: Scalar, y: Scalar) -> Ordering {
    match (x, y) {
        (Scalar::Int(x), Scalar::Int(y)) => x.cmp(&y),
        _ => {
            let (x, y) = (x.to_f64(), y.to_f64());
            x.partial_cmp(&y).unwrap_or(x.is_nan().cmp(&y.is_nan()))
        }
    }
}

/// `(self, sorted, return_inverse, return_counts)`: sorted in any case, as PyTorch's are on the processor.
pub fn unique(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    Groups::new(&x, None, false, Nan::Nothing)?.parts(a.bool(2)?, a.bool(3)?, x.shape())
}

/// `(self, dim, sorted, return_inverse, return_counts)`.
pub fn unique_dim(a: &Args<'_>) -> OpResult {
    let groups = Groups::new(&*a.tensor(0)?, Some(a.int(1)?), false, Nan::Nothing)?;
    let n = groups.n;
    groups.parts(a.bool(3)?, a.bool(4)?, &[n])
}

/// `(self, return_inverse, return_counts, dim)`.
pub fn unique_consecutive(a: &Args<'_>) -> OpResult {
    let (x, dim) = (a.tensor(0)?, a.opt_int(3)?);
    let groups = Groups::new(&x, dim, true, Nan::Nothing)?;
    let n = [groups.n];
    groups.parts(a.bool(1)?, a.bool(2)?, if dim.is_some() { &n } else { x.shape() })
}

/// `(elements, test_elements, assume_unique, invert)`.
pub fn isin(a: &Args<'_>) -> OpResult {
    let (x, among, invert) = (a.tensor(0)?, a.tensor(1)?, a.bool(3)?);
    let mut known: Vec<Scalar> = among.to_scalars().into_iter().filter(|x| !x.to_f64().is_nan()).collect();
    known.sort_by(|x, y| compare(*x, *y));
    let holds = |x: Scalar| !x.to_f64().is_nan() && known.binary_search_by(|y| compare(*y, x)).is_ok();
    let made: Vec<bool> = x.to_scalars().into_iter().map(|x| holds(x) != invert).collect();
    ok(Tensor::from_vec(made, x.shape()))
}

/// The number that is there most often along an axis (the least of several), and the last place of it.
pub fn mode(a: &Args<'_>) -> OpResult {
    let (x, dim, keep) = (a.tensor(0)?, a.int(1)?, a.bool(2)?);
    let at = stark_shapes::rules::axis(dim, x.rank()).map_err(say)? as i64;
    let rows = x.movedim(at, -1).map_err(say)?;
    let n = x.shape().get(at as usize).copied().unwrap_or(1);
    if n == 0 {
        return Err(format!("mode(): Expected reduction dim {dim} to have non-zero size"));
    }
    let mut places = Vec::new();
    for row in rows.to_scalars().chunks(n) {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| compare(row[i], row[j]).then(i.cmp(&j)));
        let runs = order.chunk_by(|&i, &j| compare(row[i], row[j]).is_eq());
        let best = runs.fold(&[][..], |best: &[usize], run| if run.len() > best.len() { run } else { best });
        places.push(best.last().map_or(0, |&i| i as i64));
    }
    let made = || {
        let places =
            Tensor::from_vec(places, &rows.shape()[..rows.rank().saturating_sub(1)])?.unsqueeze(-1)?.movedim(-1, at)?;
        let values = k::gather(&x, at, &places)?;
        match (keep, x.rank()) {
            (_, 0) => Ok((values.reshape_to(&[])?, places.reshape_to(&[])?)),
            (true, _) => Ok((values, places)),
            (false, _) => Ok((values.squeeze(&[at])?, places.squeeze(&[at])?)),
        }
    };
    let (values, places) = made().map_err(|e: stark_kernels::TensorError| e.to_string())?;
    pair_of(values, places)
}

/// `(self, bins, min, max)`: how many numbers fall into each of equal parts of a range.
pub fn histc(a: &Args<'_>) -> OpResult {
    let (x, bins, mut low, mut high) = (a.tensor(0)?, a.count(1)?, a.float(2)?, a.float(3)?);
    let all = numbers(&x)?;
    if low == high {
        low = all.iter().copied().fold(f64::INFINITY, f64::min);
        high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    }
    if low == high {
        (low, high) = (low - 1.0, high + 1.0);
    }
    if bins == 0 || !all.is_empty() && !(low.is_finite() && high.is_finite() && low < high) {
        return Err(format!("histc: range of [{low}, {high}] in {bins} bins is not finite, or has no bins"));
    }
    let zeros = Tensor::zeros(&[bins], DType::F64).map_err(say)?;
    let mut counts = numbers(&zeros)?;
    for x in all.into_iter().filter(|x| (low..=high).contains(x)) {
        counts[(((x - low) / (high - low) * bins as f64) as usize).min(bins - 1)] += 1.0;
    }
    ok(Tensor::from_vec(counts, &[bins]).and_then(|t| t.to(x.dtype())))
}

pub fn argwhere(a: &Args<'_>) -> OpResult {
    ok(k::nonzero(&*a.tensor(0)?))
}

/// `(self, dim)`: over all axes when none is named.
pub fn count_nonzero(a: &Args<'_>) -> OpResult {
    ok(k::count_nonzero(&*a.tensor(0)?, a.opt_ints(1)?.as_deref().unwrap_or(&[])))
}

// ---- shapes made of several -----------------------------------------------------------------------

/// Each element of one times the whole other.
pub fn kron(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let rank = x.rank().max(y.rank());
    let padded = |t: &Tensor| [vec![1; rank - t.rank()], t.shape().to_vec()].concat();
    let (of_x, of_y) = (padded(&x), padded(&y));
    let between = |shape: &[usize], first: bool| {
        shape.iter().flat_map(|&n| if first { [n, 1] } else { [1, n] }).collect::<Vec<usize>>()
    };
    let made = || {
        let product = k::mul(&x.reshape_to(&between(&of_x, true))?, &y.reshape_to(&between(&of_y, false))?)?;
        product.reshape_to(&of_x.iter().zip(&of_y).map(|(n, m)| n * m).collect::<Vec<_>>())
    };
    ok(made())
}

pub fn block_diag(a: &Args<'_>) -> OpResult {
    let parts = a.tensors(0)?;
    let made = || {
        let mut whole: Option<Tensor> = None;
        for part in &parts {
            let part = match part.rank() {
                0 => part.reshape(&[1, 1])?,
                1 => part.unsqueeze(0)?,
                _ => part.clone(),
            };
            let n_cols = part.size(-1)?;
            whole = Some(match whole {
                None => part,
                Some(before) => {
                    let known = before.size(-1)? as i64;
                    let above = k::pad(&before, &[0, n_cols as i64], k::PadMode::Constant(Scalar::Int(0)))?;
                    k::cat(&[&above, &k::pad(&part, &[known, 0], k::PadMode::Constant(Scalar::Int(0)))?], 0)?
                }
            });
        }
        whole.map_or_else(|| Tensor::zeros(&[1, 0], DType::F32), Ok)
    };
    ok(made())
}

pub fn cartesian_prod(a: &Args<'_>) -> OpResult {
    let parts = a.tensors(0)?;
    if let [one] = &parts[..] {
        return Ok(Value::Tensor(one.clone()));
    }
    let shape: Vec<usize> = parts.iter().map(Tensor::numel).collect();
    let made = || {
        let mut columns = Vec::with_capacity(parts.len());
        for (axis, part) in parts.iter().enumerate() {
            let mut own = vec![1; shape.len()];
            own[axis] = part.numel();
            columns.push(part.reshape_to(&own)?.expand(&shape)?.reshape(&[-1])?);
        }
        k::stack(&columns.iter().collect::<Vec<_>>(), 1)
    };
    ok(made())
}

/// The powers of each number: `n` of them, or as many as there are numbers.
pub fn powers(a: &Args<'_>, n: Option<i64>, increasing: bool) -> OpResult {
    let x = a.tensor(0)?;
    let n = n.unwrap_or(x.size(-1).map_err(say)? as i64);
    let made = || {
        let powers = k::arange(0i64, n, 1i64, DType::I64)?;
        let powers = if increasing { powers } else { k::flip(&powers, &[0])? };
        k::pow(&x.unsqueeze(-1)?, &powers)?.to(if x.dtype().is_float() { x.dtype() } else { DType::I64 })
    };
    ok(made())
}

pub fn vander(a: &Args<'_>) -> OpResult {
    powers(a, a.opt_int(1)?, a.bool(2)?)
}

/// Areas of trapezoids between neighbours along an axis: of points one apart, `dx` apart, or at the places `x`.
fn trapezoids(a: &Args<'_>) -> Result<(Tensor, i64), String> {
    let (y, dim) = (a.tensor(0)?, a.int(2)?);
    let n = y.size(dim).map_err(say)? as i64;
    let made = || {
        let (right, left) = (y.slice(dim, 1, n.max(1), 1)?, y.slice(dim, 0, (n - 1).max(0), 1)?);
        let sums = k::div(&k::add(&right, &left)?, 2.0)?;
        match a.get(1) {
            Value::Tensor(x) if x.rank() > 0 => {
                let steps = k::diff(x, if x.rank() == 1 { 0 } else { dim })?;
                let steps = match (x.rank(), dim) {
                    (1, dim) if dim != -1 => {
                        let mut shape = vec![1; y.rank()];
                        shape[stark_shapes::rules::axis(dim, y.rank())?] = steps.numel();
                        steps.reshape_to(&shape)?
                    }
                    _ => steps,
                };
                k::mul(&sums, &steps)
            }
            other => k::mul(&sums, other.scalar().or(a.get(3).scalar()).map_or(1.0, Scalar::to_f64)),
        }
    };
    Ok((made().map_err(|e: stark_kernels::TensorError| e.to_string())?, dim))
}

pub fn trapezoid(a: &Args<'_>) -> OpResult {
    let (areas, dim) = trapezoids(a)?;
    ok(k::sum(&areas, &[dim], false))
}

pub fn cumulative_trapezoid(a: &Args<'_>) -> OpResult {
    let (areas, dim) = trapezoids(a)?;
    ok(k::cumsum(&areas, dim))
}
