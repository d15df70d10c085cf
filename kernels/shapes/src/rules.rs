//! The rules: shapes and constant arguments in, the result's shape or a sentence out.

use smallvec::smallvec;

use crate::dim::{Dim, Shape, show};
use crate::error::{ShapeError, refuse};
use crate::window::{Conv, Pool, conv_out, conv_transpose_out, pool_out};

/// `axis` as an index below `rank`; negative ones count from the end. A 0-dim tensor takes 0 and -1.
pub fn axis(axis: i64, rank: usize) -> Result<usize, ShapeError> {
    let bound = rank.max(1) as i64;
    if axis >= -bound && axis < bound {
        Ok(axis.rem_euclid(bound) as usize)
    } else {
        refuse!("axis {axis} is out of range for rank {rank}")
    }
}

/// `axis` for inserting a new dimension: 0 to `rank` inclusive, negative ones from the end.
pub fn insert_axis(axis: i64, rank: usize) -> Result<usize, ShapeError> {
    let bound = rank as i64 + 1;
    if axis >= -bound && axis < bound {
        Ok(axis.rem_euclid(bound) as usize)
    } else {
        refuse!("axis {axis} is out of range for a new dimension in rank {rank}")
    }
}

/// Several axes, each at most once; none given means all.
pub fn axes(axes: &[i64], rank: usize) -> Result<Shape<usize>, ShapeError> {
    if axes.is_empty() {
        return Ok((0..rank).collect());
    }
    let mut out: Shape<usize> = Shape::new();
    for &a in axes {
        let a = axis(a, rank)?;
        if out.contains(&a) {
            return refuse!("axis {a} is named twice");
        }
        out.push(a);
    }
    Ok(out)
}

/// Product of the dimensions.
pub fn numel(shape: &[usize]) -> Result<usize, ShapeError> {
    // A zero anywhere makes the tensor empty, whatever the other dimensions are; each is still a number that programs have.
    let is_empty = shape.contains(&0) && shape.iter().all(|&d| d <= isize::MAX as usize);
    let product =
        shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| (1..=isize::MAX as usize).contains(&n));
    match product.or(is_empty.then_some(0)) {
        Some(n) => Ok(n),
        None => refuse!("shape {} has more elements than fit in memory", show(shape)),
    }
}

/// The common shape of elementwise operands: aligned at the last axis, 1 stretches.
pub fn broadcast<D: Dim>(a: &[D], b: &[D]) -> Result<Shape<D>, ShapeError> {
    let rank = a.len().max(b.len());
    let mut out = Shape::new();
    for i in 0..rank {
        let left = (i + a.len()).checked_sub(rank).map(|j| &a[j]);
        let right = (i + b.len()).checked_sub(rank).map(|j| &b[j]);
        let dim = match (left, right) {
            (Some(x), Some(y)) if x.is(1) => y.clone(),
            (Some(x), Some(y)) if y.is(1) => x.clone(),
            (Some(x), Some(y)) => match x.stretch(y) {
                Some(dim) => dim,
                None => {
                    let (i, j) = (i + a.len() - rank, i + b.len() - rank);
                    return refuse!(
                        "shapes {} and {} do not broadcast: axis {i} is {x}, axis {j} is {y}",
                        show(a),
                        show(b)
                    );
                }
            },
            (Some(x), None) | (None, Some(x)) => x.clone(),
            (None, None) => continue,
        };
        out.push(dim);
    }
    Ok(out)
}

/// `from` stretched to `to`, as `expand`: `from` must broadcast into `to` without changing it.
pub fn broadcast_to<D: Dim>(from: &[D], to: &[D]) -> Result<(), ShapeError> {
    if from.len() > to.len() {
        return refuse!("shape {} of rank {} does not expand to {}", show(from), from.len(), show(to));
    }
    let lead = to.len() - from.len();
    for (i, x) in from.iter().enumerate() {
        if !x.is(1) && x.stretch(&to[lead + i]).is_none() {
            return refuse!(
                "shape {} does not expand to {}: axis {i} is {x}, axis {} is {}",
                show(from),
                show(to),
                lead + i,
                to[lead + i]
            );
        }
    }
    Ok(())
}

/// `a @ b`: vectors, matrices, and stacks of matrices whose leading axes broadcast.
pub fn matmul<D: Dim>(a: &[D], b: &[D]) -> Result<Shape<D>, ShapeError> {
    if a.is_empty() || b.is_empty() {
        return refuse!("shapes {} and {} do not multiply: a 0-dim tensor is no matrix", show(a), show(b));
    }
    let a_axis = a.len() - 1;
    let b_axis = b.len().saturating_sub(2);
    if a[a_axis].meet(&b[b_axis]).is_none() {
        return refuse!(
            "shapes {} and {} do not multiply: axis {a_axis} is {}, axis {b_axis} is {}",
            show(a),
            show(b),
            a[a_axis],
            b[b_axis]
        );
    }
    let a_batch = &a[..a.len().saturating_sub(2)];
    let b_batch = &b[..b.len().saturating_sub(2)];
    let mut out = match broadcast(a_batch, b_batch) {
        Ok(out) => out,
        Err(why) => return refuse!("shapes {} and {} do not multiply: leading {why}", show(a), show(b)),
    };
    if a.len() > 1 {
        out.push(a[a.len() - 2].clone());
    }
    if b.len() > 1 {
        out.push(b[b.len() - 1].clone());
    }
    Ok(out)
}

/// `x [.., in]` times `weight [out, in]` transposed, plus `bias [out]`.
pub fn linear<D: Dim>(x: &[D], weight: &[D], bias: Option<&[D]>) -> Result<Shape<D>, ShapeError> {
    let [out_features, in_features] = weight else {
        return refuse!("linear needs a weight of rank 2, not shape {}", show(weight));
    };
    let Some(last) = x.last() else {
        return refuse!("linear needs an input of rank 1 or more");
    };
    if last.meet(in_features).is_none() {
        return refuse!(
            "input {} does not fit weight {}: axis {} is {last}, axis 1 is {in_features}",
            show(x),
            show(weight),
            x.len() - 1
        );
    }
    if let Some(bias) = bias {
        if bias.len() != 1 || bias[0].meet(out_features).is_none() {
            return refuse!("bias {} does not fit weight {}: axis 0 is {out_features}", show(bias), show(weight));
        }
    }
    let mut out: Shape<D> = x[..x.len() - 1].iter().cloned().collect();
    out.push(out_features.clone());
    Ok(out)
}

/// A reduction over `over` (none given: all axes).
pub fn reduce<D: Dim>(shape: &[D], over: &[i64], keepdim: bool) -> Result<Shape<D>, ShapeError> {
    let over = axes(over, shape.len())?;
    let mut out = Shape::new();
    for (i, dim) in shape.iter().enumerate() {
        if !over.contains(&i) {
            out.push(dim.clone());
        } else if keepdim {
            out.push(D::from_usize(1));
        }
    }
    Ok(out)
}

fn product<'a, D: Dim + 'a>(mut dims: impl Iterator<Item = &'a D>) -> Option<D> {
    dims.try_fold(D::from_usize(1), |n, d| n.mul(d))
}

/// `reshape` to sizes of which one may be -1 (taken from the element count).
pub fn reshape<D: Dim>(shape: &[D], to: &[Size<D>]) -> Result<Shape<D>, ShapeError> {
    let shown = || {
        let sizes: Vec<String> = to.iter().map(|s| s.to_string()).collect();
        sizes.join(", ")
    };
    let Some(total) = product(shape.iter()) else {
        return refuse!("shape {} has more elements than fit in memory", show(shape));
    };
    let rest = product(to.iter().filter_map(|s| match s {
        Size::Is(d) => Some(d),
        Size::Rest => None,
    }));
    let Some(rest) = rest else {
        return refuse!("shape [{}] has more elements than fit in memory", shown());
    };
    let n_rest = to.iter().filter(|s| matches!(s, Size::Rest)).count();
    let fill = match n_rest {
        0 if rest.meet(&total).is_some() => D::from_usize(1),
        1 if rest.is(0) => return refuse!("shape {} does not tell what -1 is in [{}]", show(shape), shown()),
        1 => match total.div(&rest) {
            Some(fill) => fill,
            None => {
                return refuse!(
                    "shape {} does not reshape to [{}]: {total} elements, not a multiple of {rest}",
                    show(shape),
                    shown()
                );
            }
        },
        0 => return refuse!("shape {} does not reshape to [{}]: {total} elements, not {rest}", show(shape), shown()),
        _ => return refuse!("more than one -1 in [{}]", shown()),
    };
    Ok(to
        .iter()
        .map(|s| match s {
            Size::Is(d) => d.clone(),
            Size::Rest => fill.clone(),
        })
        .collect())
}

/// A wanted dimension of `reshape`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size<D = usize> {
    Is(D),
    /// Written -1: whatever is left.
    Rest,
}

impl<D: Dim> std::fmt::Display for Size<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Size::Is(d) => d.fmt(f),
            Size::Rest => f.write_str("-1"),
        }
    }
}

/// Numbers as `reshape` takes them: -1 once, no other negative.
pub fn sizes(numbers: &[i64]) -> Result<Vec<Size>, ShapeError> {
    numbers
        .iter()
        .map(|&n| match n {
            -1 => Ok(Size::Rest),
            _ => match usize::try_from(n) {
                Ok(n) => Ok(Size::Is(n)),
                Err(_) => refuse!("a dimension cannot be {n}"),
            },
        })
        .collect()
}

/// A shape from numbers, none negative.
pub fn shape(numbers: &[i64]) -> Result<Shape, ShapeError> {
    numbers.iter().map(|&n| usize::try_from(n).or_else(|_| refuse!("a dimension cannot be {n}"))).collect()
}

/// Axes in a new order; each exactly once.
pub fn permute<D: Dim>(shape: &[D], order: &[i64]) -> Result<Shape<D>, ShapeError> {
    if order.len() != shape.len() {
        return refuse!("permute of shape {} needs {} axes, not {}", show(shape), shape.len(), order.len());
    }
    Ok(axes(order, shape.len())?.iter().map(|&a| shape[a].clone()).collect())
}

pub fn transpose<D: Dim>(shape: &[D], a: i64, b: i64) -> Result<Shape<D>, ShapeError> {
    let (a, b) = (axis(a, shape.len())?, axis(b, shape.len())?);
    let mut out: Shape<D> = shape.iter().cloned().collect();
    if !out.is_empty() {
        out.swap(a, b);
    }
    Ok(out)
}

pub fn unsqueeze<D: Dim>(shape: &[D], at: i64) -> Result<Shape<D>, ShapeError> {
    let at = insert_axis(at, shape.len())?;
    let mut out: Shape<D> = shape.iter().cloned().collect();
    out.insert(at, D::from_usize(1));
    Ok(out)
}

/// Axes `start..=end` become one.
pub fn flatten<D: Dim>(shape: &[D], start: i64, end: i64) -> Result<Shape<D>, ShapeError> {
    if shape.is_empty() {
        axis(start, 0)?;
        axis(end, 0)?;
        return Ok(smallvec![D::from_usize(1)]);
    }
    let (start, end) = (axis(start, shape.len())?, axis(end, shape.len())?);
    if start > end {
        return refuse!("flatten from axis {start} to axis {end} runs backwards");
    }
    let Some(product) = shape[start..=end].iter().try_fold(D::from_usize(1), |n, d| n.mul(d)) else {
        return refuse!("shape {} has more elements than fit in memory", show(shape));
    };
    let mut out: Shape<D> = shape[..start].iter().cloned().collect();
    out.push(product);
    out.extend(shape[end + 1..].iter().cloned());
    Ok(out)
}

/// Shapes joined along `at`; all other axes agree.
pub fn cat<D: Dim>(shapes: &[&[D]], at: i64) -> Result<Shape<D>, ShapeError> {
    let Some((first, rest)) = shapes.split_first() else {
        return refuse!("cat needs at least one tensor");
    };
    if first.is_empty() {
        return refuse!("cat needs tensors of rank 1 or more");
    }
    let at = axis(at, first.len())?;
    let mut out: Shape<D> = first.iter().cloned().collect();
    for other in rest {
        if other.len() != out.len() {
            return refuse!(
                "shapes {} and {} do not join: ranks {} and {}",
                show(first),
                show(other),
                out.len(),
                other.len()
            );
        }
        for i in 0..out.len() {
            let joined = if i == at { out[i].add(&other[i]) } else { out[i].meet(&other[i]) };
            match joined {
                Some(dim) => out[i] = dim,
                None => {
                    return refuse!(
                        "shapes {} and {} do not join along axis {at}: axis {i} is {}, axis {i} is {}",
                        show(first),
                        show(other),
                        first[i],
                        other[i]
                    );
                }
            }
        }
    }
    Ok(out)
}

/// Equal shapes stacked along a new axis `at`.
pub fn stack<D: Dim>(shapes: &[&[D]], at: i64) -> Result<Shape<D>, ShapeError> {
    let Some((first, rest)) = shapes.split_first() else {
        return refuse!("stack needs at least one tensor");
    };
    let mut out: Shape<D> = first.iter().cloned().collect();
    for other in rest {
        let same = same(&out, other);
        match same {
            Ok(dims) => out = dims,
            Err(why) => return refuse!("stack needs equal shapes: {why}"),
        }
    }
    let at = insert_axis(at, first.len())?;
    out.insert(at, D::from_usize(shapes.len()));
    Ok(out)
}

/// One shape for two that must be equal.
pub fn same<D: Dim>(a: &[D], b: &[D]) -> Result<Shape<D>, ShapeError> {
    if a.len() != b.len() {
        return refuse!("shapes {} and {} differ: ranks {} and {}", show(a), show(b), a.len(), b.len());
    }
    let mut out = Shape::new();
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        match x.meet(y) {
            Some(dim) => out.push(dim),
            None => return refuse!("shapes {} and {} differ: axis {i} is {x}, axis {i} is {y}", show(a), show(b)),
        }
    }
    Ok(out)
}

/// A tensor of shape `have` given to a place whose type says `want`: what is known of it then.
pub fn fits<D: Dim>(have: &[D], want: &[D]) -> Result<Shape<D>, ShapeError> {
    let differ =
        |why: String| refuse!("shape {} is asked for, but this tensor has shape {}: {why}", show(want), show(have));
    if have.len() != want.len() {
        return differ(format!("rank {} and not {}", have.len(), want.len()));
    }
    let mut out = Shape::new();
    for (i, (h, w)) in have.iter().zip(want).enumerate() {
        match h.meet(w) {
            Some(dim) => out.push(dim),
            None => return differ(format!("axis {i} is {h} and not {w}")),
        }
    }
    Ok(out)
}

/// Axis `at` removed by picking one index.
pub fn select<D: Dim>(shape: &[D], at: i64, index: i64) -> Result<Shape<D>, ShapeError> {
    if shape.is_empty() {
        return refuse!("a 0-dim tensor cannot be indexed");
    }
    let at = axis(at, shape.len())?;
    if let Some(n) = shape[at].known() {
        if index >= n as i64 || index < -(n as i64) {
            return refuse!("index {index} is out of range for axis {at} of shape {}", show(shape));
        }
    }
    let mut out: Shape<D> = shape.iter().cloned().collect();
    out.remove(at);
    Ok(out)
}

/// `start..end` by `step` along `at`, clipped as Python slices are.
pub fn slice<D: Dim>(shape: &[D], at: i64, start: i64, end: i64, step: i64) -> Result<Shape<D>, ShapeError> {
    if shape.is_empty() {
        return refuse!("a 0-dim tensor cannot be sliced");
    }
    let at = axis(at, shape.len())?;
    if step < 1 {
        return refuse!("slice step {step} must be at least 1");
    }
    let mut out: Shape<D> = shape.iter().cloned().collect();
    let length = shape[at].map(|n| {
        let (start, end) = clip(n, start, end);
        Some((end - start).div_ceil(step as usize))
    });
    // `map` fails only through its closure, which does not.
    if let Some(length) = length {
        out[at] = length;
    }
    Ok(out)
}

/// Slice bounds inside `0..=n` with `start <= end`.
pub fn clip(n: usize, start: i64, end: i64) -> (usize, usize) {
    let inside = |i: i64| {
        let i = if i < 0 { i.saturating_add(n as i64) } else { i };
        i.clamp(0, n as i64) as usize
    };
    let start = inside(start);
    (start, inside(end).max(start))
}

/// A convolution over the trailing `windows.len()` axes: `x [n, c, …]`, `weight [o, c / groups, …]`, `bias [o]`.
pub fn conv<D: Dim>(
    x: &[D],
    weight: &[D],
    bias: Option<&[D]>,
    windows: &[Conv],
    groups: usize,
) -> Result<Shape<D>, ShapeError> {
    let spatial = windows.len();
    check_conv_ranks("convolution", x, weight, spatial)?;
    let (channels, out_channels, per_group) = (&x[1], &weight[0], &weight[1]);
    if groups == 0 {
        return refuse!("groups must be at least 1");
    }
    let groups_dim = D::from_usize(groups);
    if channels.div(&groups_dim).is_none_or(|c| c.meet(per_group).is_none()) {
        return refuse!(
            "input {} does not fit weight {}: axis 1 is {channels}, axis 1 is {per_group} with {groups} groups",
            show(x),
            show(weight)
        );
    }
    if out_channels.div(&groups_dim).is_none() {
        return refuse!("weight {} does not split into {groups} groups: axis 0 is {out_channels}", show(weight));
    }
    check_conv_bias(bias, out_channels)?;
    let mut out: Shape<D> = smallvec![x[0].clone(), out_channels.clone()];
    for (i, window) in windows.iter().enumerate() {
        out.push(conv_out(&x[2 + i], &weight[2 + i], *window, 2 + i)?);
    }
    Ok(out)
}

/// A transposed convolution: `x [n, c, …]`, `weight [c, o / groups, …]`.
pub fn conv_transpose<D: Dim>(
    x: &[D],
    weight: &[D],
    bias: Option<&[D]>,
    windows: &[(Conv, usize)],
    groups: usize,
) -> Result<Shape<D>, ShapeError> {
    let spatial = windows.len();
    check_conv_ranks("transposed convolution", x, weight, spatial)?;
    if groups == 0 {
        return refuse!("groups must be at least 1");
    }
    if x[1].meet(&weight[0]).is_none() {
        return refuse!(
            "input {} does not fit weight {}: axis 1 is {}, axis 0 is {}",
            show(x),
            show(weight),
            x[1],
            weight[0]
        );
    }
    let groups_dim = D::from_usize(groups);
    if x[1].div(&groups_dim).is_none() {
        return refuse!("input {} does not split into {groups} groups: axis 1 is {}", show(x), x[1]);
    }
    let Some(out_channels) = weight[1].mul(&groups_dim) else {
        return refuse!("weight {} with {groups} groups has too many channels", show(weight));
    };
    check_conv_bias(bias, &out_channels)?;
    let mut out: Shape<D> = smallvec![x[0].clone(), out_channels];
    for (i, (window, output_padding)) in windows.iter().enumerate() {
        let dim = match weight[2 + i].known() {
            Some(kernel) => conv_transpose_out(&x[2 + i], kernel, *window, *output_padding, 2 + i)?,
            None => weight[2 + i].clone(),
        };
        out.push(dim);
    }
    Ok(out)
}

fn check_conv_ranks<D: Dim>(what: &str, x: &[D], weight: &[D], spatial: usize) -> Result<(), ShapeError> {
    if x.len() != spatial + 2 || weight.len() != spatial + 2 {
        return refuse!(
            "{spatial}-d {what} needs input and weight of rank {}, not shapes {} and {}",
            spatial + 2,
            show(x),
            show(weight)
        );
    }
    Ok(())
}

fn check_conv_bias<D: Dim>(bias: Option<&[D]>, out_channels: &D) -> Result<(), ShapeError> {
    match bias {
        Some(bias) if bias.len() != 1 || bias[0].meet(out_channels).is_none() => {
            refuse!("bias {} does not fit {out_channels} output channels", show(bias))
        }
        _ => Ok(()),
    }
}

/// Pooling over the trailing `windows.len()` axes of `x [n, c, …]` or `[c, …]`.
pub fn pool<D: Dim>(x: &[D], windows: &[Pool]) -> Result<Shape<D>, ShapeError> {
    let spatial = windows.len();
    if x.len() != spatial + 1 && x.len() != spatial + 2 {
        return refuse!("{spatial}-d pooling needs rank {} or {}, not shape {}", spatial + 1, spatial + 2, show(x));
    }
    let lead = x.len() - spatial;
    let mut out: Shape<D> = x[..lead].iter().cloned().collect();
    for (i, window) in windows.iter().enumerate() {
        out.push(pool_out(&x[lead + i], *window, lead + i)?);
    }
    Ok(out)
}

/// Rows of `weight [n, d]` for each id: `ids.shape + [d]`.
pub fn embedding<D: Dim>(weight: &[D], ids: &[D]) -> Result<Shape<D>, ShapeError> {
    let [_, width] = weight else {
        return refuse!("embedding needs a weight of rank 2, not shape {}", show(weight));
    };
    let mut out: Shape<D> = ids.iter().cloned().collect();
    out.push(width.clone());
    Ok(out)
}

/// `gather` along `at`: the shape of `index`, which is no longer than `x` on the other axes.
pub fn gather<D: Dim>(x: &[D], at: i64, index: &[D]) -> Result<Shape<D>, ShapeError> {
    let at = axis(at, x.len())?;
    if x.len().max(1) != index.len().max(1) {
        return refuse!("index {} must have the rank of {}", show(index), show(x));
    }
    for (i, (have, want)) in x.iter().zip(index).enumerate() {
        if let (true, Some(have), Some(want)) = (i != at, have.known(), want.known()) {
            if want > have {
                return refuse!(
                    "index {} does not fit {}: axis {i} is {want}, axis {i} is {have}",
                    show(index),
                    show(x)
                );
            }
        }
    }
    Ok(index.iter().cloned().collect())
}

/// `index_select` along `at` by a vector of ids.
pub fn index_select<D: Dim>(x: &[D], at: i64, index: &[D]) -> Result<Shape<D>, ShapeError> {
    let at = axis(at, x.len())?;
    let count = match index {
        [] => D::from_usize(1),
        [n] => n.clone(),
        _ => return refuse!("index_select needs a vector of ids, not shape {}", show(index)),
    };
    let mut out: Shape<D> = x.iter().cloned().collect();
    match out.get_mut(at) {
        Some(dim) => *dim = count,
        None if count.known().is_some_and(|n| n != 1) => {
            return refuse!("index_select of {count} from a tensor without axes, which is one element");
        }
        None => {}
    }
    Ok(out)
}

/// Whether `k` elements along the axis `at` of `x` can be the largest ones.
pub fn topk<D: Dim>(x: &[D], k: usize, at: i64) -> Result<(), ShapeError> {
    match x.get(axis(at, x.len())?) {
        None if k != 1 => refuse!("topk of {k} from a tensor without axes, which is one element"),
        Some(d) if d.known().is_some_and(|n| k > n) => refuse!("topk of {k} along axis {at}, which is {d}"),
        _ => Ok(()),
    }
}

/// Normalised trailing axes must equal `normalized`.
pub fn layer_norm<D: Dim>(x: &[D], normalized: &[D]) -> Result<(), ShapeError> {
    if normalized.is_empty() {
        return refuse!("a tensor of shape {} is normalised over one axis at least, not over none", show(x));
    }
    let fits = normalized.len() <= x.len() && same(&x[x.len() - normalized.len()..], normalized).is_ok();
    if fits { Ok(()) } else { refuse!("the last axes of {} are not {}", show(x), show(normalized)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: std::fmt::Debug>(result: Result<T, ShapeError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn matmul_shapes() {
        for (a, b, want) in [
            (&[2, 3][..], &[3, 4][..], &[2, 4][..]),
            (&[3], &[3], &[]),
            (&[3], &[3, 4], &[4]),
            (&[2, 3], &[3], &[2]),
            (&[5, 1, 2, 3], &[7, 3, 4], &[5, 7, 2, 4]),
            (&[5, 2, 3], &[3], &[5, 2]),
        ] {
            assert_eq!(matmul(a, b).unwrap().as_slice(), want);
        }
        assert_eq!(
            text(matmul(&[2usize, 3], &[4, 5])),
            "shapes [2, 3] and [4, 5] do not multiply: axis 1 is 3, axis 0 is 4"
        );
    }

    #[test]
    fn broadcast_shapes() {
        for (a, b, want) in [
            (&[2, 1][..], &[3][..], &[2, 3][..]),
            (&[], &[3], &[3]),
            (&[0, 1], &[1, 4], &[0, 4]),
            (&[4, 1, 2], &[3, 1], &[4, 3, 2]),
        ] {
            assert_eq!(broadcast(a, b).unwrap().as_slice(), want);
        }
        assert_eq!(
            text(broadcast(&[2usize, 3], &[4])),
            "shapes [2, 3] and [4] do not broadcast: axis 1 is 3, axis 0 is 4"
        );
    }

    #[test]
    fn reshape_shapes() {
        let ok = |from: &[usize], to: &[i64]| reshape(from, &sizes(to).unwrap()).unwrap().to_vec();
        assert_eq!(ok(&[2, 6], &[3, -1]), [3, 4]);
        assert_eq!(ok(&[2, 6], &[12]), [12]);
        assert_eq!(ok(&[1], &[]), []);
        assert_eq!(ok(&[0, 3], &[-1, 3]), [0, 3]);
        let bad = |from: &[usize], to: &[i64]| text(reshape(from, &sizes(to).unwrap()));
        assert_eq!(bad(&[2, 3], &[4]), "shape [2, 3] does not reshape to [4]: 6 elements, not 4");
        assert_eq!(bad(&[2, 3], &[-1, 4]), "shape [2, 3] does not reshape to [-1, 4]: 6 elements, not a multiple of 4");
        assert_eq!(bad(&[0], &[-1, 0]), "shape [0] does not tell what -1 is in [-1, 0]");
        assert_eq!(bad(&[4], &[-1, -1]), "more than one -1 in [-1, -1]");
        assert_eq!(text(sizes(&[-2])), "a dimension cannot be -2");
    }

    #[test]
    fn joined_shapes() {
        assert_eq!(cat(&[&[2usize, 3][..], &[4, 3]], 0).unwrap().to_vec(), [6, 3]);
        assert_eq!(cat(&[&[2usize, 3][..], &[2, 1]], -1).unwrap().to_vec(), [2, 4]);
        assert_eq!(stack(&[&[2usize, 3][..], &[2, 3]], -1).unwrap().to_vec(), [2, 3, 2]);
        assert_eq!(
            text(cat(&[&[2usize, 3][..], &[2, 4]], 0)),
            "shapes [2, 3] and [2, 4] do not join along axis 0: axis 1 is 3, axis 1 is 4"
        );
        assert_eq!(
            text(stack(&[&[2usize][..], &[3]], 0)),
            "stack needs equal shapes: shapes [2] and [3] differ: axis 0 is 2, axis 0 is 3"
        );
    }

    #[test]
    fn slices_are_clipped() {
        for (start, end, step, want) in
            [(0, 10, 1, 5), (-2, i64::MAX, 1, 2), (1, 4, 2, 2), (4, 1, 1, 0), (i64::MIN, -1, 3, 2)]
        {
            assert_eq!(slice(&[5usize], 0, start, end, step).unwrap().to_vec(), [want], "{start}..{end} by {step}");
        }
        assert_eq!(text(slice(&[5usize], 0, 0, 5, 0)), "slice step 0 must be at least 1");
        assert_eq!(text(select(&[5usize, 2], 0, 5)), "index 5 is out of range for axis 0 of shape [5, 2]");
        assert_eq!(text(axis(2, 2)), "axis 2 is out of range for rank 2");
    }

    #[test]
    fn windows() {
        let conv2 = |x: &[usize], w: &[usize], stride, padding, groups| {
            let c = Conv { stride, padding, dilation: 1 };
            conv(x, w, None, &[c, c], groups)
        };
        assert_eq!(conv2(&[1, 3, 8, 8], &[6, 3, 3, 3], 1, 1, 1).unwrap().to_vec(), [1, 6, 8, 8]);
        assert_eq!(conv2(&[1, 4, 7, 9], &[8, 2, 3, 3], 2, 0, 2).unwrap().to_vec(), [1, 8, 3, 4]);
        assert_eq!(
            text(conv2(&[1, 4, 8, 8], &[6, 3, 3, 3], 1, 0, 1)),
            "input [1, 4, 8, 8] does not fit weight [6, 3, 3, 3]: axis 1 is 4, axis 1 is 3 with 1 groups"
        );
        assert_eq!(
            text(conv2(&[1, 3, 2, 8], &[6, 3, 3, 3], 1, 0, 1)),
            "window 3 (padding 0, dilation 1) is larger than axis 2, which is 2"
        );
        // PyTorch: MaxPool1d(3, 2, ceil_mode=True) of 6 gives 3, and MaxPool1d(2, 2, padding=1, ceil) of 5 gives 3.
        let p = Pool { kernel: 3, stride: 2, padding: 0, dilation: 1, ceil_mode: true };
        assert_eq!(pool(&[1usize, 6], &[p]).unwrap().to_vec(), [1, 3]);
        let p = Pool { kernel: 2, stride: 2, padding: 1, dilation: 1, ceil_mode: true };
        assert_eq!(pool(&[1usize, 5], &[p]).unwrap().to_vec(), [1, 3]);
        let c = Conv { stride: 2, padding: 1, dilation: 1 };
        assert_eq!(conv_transpose(&[1usize, 4, 5], &[4, 2, 3], None, &[(c, 1)], 1).unwrap().to_vec(), [1, 2, 10]);
    }

    #[test]
    fn counts_do_not_overflow() {
        assert_eq!(
            text(numel(&[1 << 40, 1 << 40])),
            "shape [1099511627776, 1099511627776] has more elements than fit in memory"
        );
        assert_eq!(numel(&[1 << 40, 1 << 40, 0]).unwrap(), 0);
        assert!(reshape(&[usize::MAX, 2], &[Size::Rest]).is_err());
    }
}
