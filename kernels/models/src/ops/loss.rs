//! Losses, as PyTorch defines them: a number for each element or row, then none, their mean or their sum.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor};

use super::tensor::{ok, say};
use super::{Args, OpResult};
use crate::value::Value;

/// `reduction` of the operators: 0 none, 1 mean, 2 sum.
pub fn reduced(loss: Tensor, how: i64) -> Tried<Tensor> {
    match how {
        1 => k::mean(&loss, &[], false),
        2 => k::sum(&loss, &[], false),
        _ => Ok(loss),
    }
}

/// `f` of the first two arguments, broadcast and in Float64; reduced as argument `how` says.
fn paired(a: &Args<'_>, how: usize, f: impl Fn(f64, f64) -> f64) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let loss = zipped(&[&x, &y], |row| f(row[0], row[1]))?;
    finish(loss, a.int(how)?, float_of(&x, &y))
}

fn float_of(x: &Tensor, y: &Tensor) -> DType {
    let dtype = stark_shapes::promote(x.dtype(), y.dtype());
    if dtype.is_float() { dtype } else { DType::F32 }
}

fn finish(loss: Tensor, how: i64, dtype: DType) -> OpResult {
    ok(reduced(loss, how).and_then(|loss| loss.to(dtype)))
}

/// `f` of the elements of tensors that broadcast, in Float64.
pub fn zipped(tensors: &[&Tensor], f: impl Fn(&[f64]) -> f64) -> Result<Tensor, String> {
    let mut shape = tensors[0].shape().to_vec();
    for t in &tensors[1..] {
        shape = stark_shapes::rules::broadcast(&shape[..], t.shape()).map_err(say)?.to_vec();
    }
    let mut columns = Vec::with_capacity(tensors.len());
    for t in tensors {
        columns.push(numbers(&t.expand(&shape).map_err(say)?)?);
    }
    let mut row = vec![0.0; tensors.len()];
    let made = (0..columns[0].len()).map(|i| {
        row.iter_mut().zip(&columns).for_each(|(to, column)| *to = column[i]);
        f(&row)
    });
    Tensor::from_vec(made.collect::<Vec<f64>>(), &shape).map_err(say)
}

pub fn numbers(t: &Tensor) -> Result<Vec<f64>, String> {
    t.to(DType::F64).and_then(|t| t.to_vec::<f64>()).map_err(say)
}

pub fn mse(a: &Args<'_>) -> OpResult {
    paired(a, 2, |x, y| (x - y) * (x - y))
}

pub fn l1(a: &Args<'_>) -> OpResult {
    paired(a, 2, |x, y| (x - y).abs())
}

pub fn smooth_l1(a: &Args<'_>) -> OpResult {
    let beta = a.float(3)?;
    if beta < 0.0 {
        return Err(format!("smooth_l1_loss does not support negative values for beta, as {beta}"));
    }
    paired(a, 2, |x, y| {
        let d = (x - y).abs();
        if d < beta { 0.5 * d * d / beta } else { d - 0.5 * beta }
    })
}

pub fn huber(a: &Args<'_>) -> OpResult {
    let delta = a.float(3)?;
    if delta <= 0.0 {
        return Err(format!("huber_loss does not support non-positive values for delta, as {delta}"));
    }
    paired(a, 2, |x, y| {
        let d = (x - y).abs();
        if d <= delta { 0.5 * d * d } else { delta * (d - 0.5 * delta) }
    })
}

pub fn soft_margin(a: &Args<'_>) -> OpResult {
    paired(a, 2, |x, y| (-x * y).exp().ln_1p())
}

pub fn hinge_embedding(a: &Args<'_>) -> OpResult {
    let margin = a.float(2)?;
    paired(a, 3, |x, y| {
        let near = if y == 1.0 { x } else { 0.0 };
        near + if y == -1.0 { (margin - x).max(0.0) } else { 0.0 }
    })
}

pub fn kl_div(a: &Args<'_>) -> OpResult {
    match a.bool(3)? {
        true => paired(a, 2, |x, y| y.exp() * (y - x)),
        false => paired(a, 2, |x, y| super::special::xlogy(y, y) - y * x),
    }
}

pub fn poisson_nll(a: &Args<'_>) -> OpResult {
    let (is_log, full, eps) = (a.bool(2)?, a.bool(3)?, a.float(4)?);
    paired(a, 5, |x, y| {
        let loss = if is_log { x.exp() - y * x } else { x - y * (x + eps).ln() };
        // Stirling's term.
        let more = if full && y > 1.0 { y * y.ln() - y + 0.5 * (std::f64::consts::TAU * y).ln() } else { 0.0 };
        loss + more
    })
}

pub fn binary_cross_entropy(a: &Args<'_>) -> OpResult {
    let (x, y, weight) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    if numbers(&x)?.iter().any(|x| !(0.0..=1.0).contains(x)) {
        return Err("all elements of input should be between 0 and 1".into());
    }
    let one = Tensor::scalar(1.0f64);
    let loss = zipped(&[&x, &y, weight.as_deref().unwrap_or(&one)], |row| {
        let [x, y, w] = [row[0], row[1], row[2]];
        // Logarithms end at -100, so that no loss is infinite.
        -w * (y * x.ln().max(-100.0) + (1.0 - y) * (1.0 - x).ln().max(-100.0))
    })?;
    finish(loss, a.int(3)?, float_of(&x, &y))
}

pub fn binary_cross_entropy_with_logits(a: &Args<'_>) -> OpResult {
    let (x, y, weight, positive) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let one = Tensor::scalar(1.0f64);
    let (weight, positive) = (weight.as_deref().unwrap_or(&one), positive.as_deref().unwrap_or(&one));
    let loss = zipped(&[&x, &y, weight, positive], |row| {
        let [x, y, w, p] = [row[0], row[1], row[2], row[3]];
        w * ((1.0 - y) * x + ((p - 1.0) * y + 1.0) * ((-x.abs()).exp().ln_1p() + (-x).max(0.0)))
    })?;
    finish(loss, a.int(4)?, float_of(&x, &y))
}

// ---- of classes -----------------------------------------------------------------------------------

/// Classes of the target, and what each costs.
struct Classes<'a> {
    weight: Option<&'a [f64]>,
    ignored: i64,
}

impl Classes<'_> {
    fn weight(&self, class: usize) -> f64 {
        self.weight.map_or(1.0, |weight| weight[class])
    }
}

/// `[n, c, …]` as how many rows, classes and places after them.
fn sizes(x: &Tensor) -> Result<(usize, usize, usize), String> {
    match x.shape() {
        [] => Err("a loss of classes takes at least one axis".into()),
        [c] => Ok((1, *c, 1)),
        [n, c, rest @ ..] => Ok((*n, *c, rest.iter().product())),
    }
}

/// Minus the number at each target's class, weighted; and the weights. What is ignored is 0 in both.
fn picked(x: &Tensor, target: &Tensor, classes: &Classes<'_>) -> Result<(Tensor, Tensor), String> {
    let (n, c, rest) = sizes(x)?;
    let wanted: Vec<usize> =
        x.shape().iter().enumerate().filter(|(i, _)| *i != x.rank().min(2) - 1).map(|(_, n)| *n).collect();
    if target.shape() != wanted || target.dtype().is_float() {
        let (dtype, shape) = (target.dtype(), target.shape());
        return Err(format!("expected target of whole numbers and shape {wanted:?}, got {dtype} of shape {shape:?}"));
    }
    if classes.weight.is_some_and(|weight| weight.len() != c) {
        return Err(format!("weight tensor should be defined for all {c} classes"));
    }
    let (numbers, targets) = (numbers(x)?, target.to_scalars());
    let (mut losses, mut weights) = (vec![0.0; n * rest], vec![0.0; n * rest]);
    for (at, target) in targets.iter().map(|t| t.to_i64()).enumerate().filter(|(_, t)| *t != classes.ignored) {
        let class = usize::try_from(target).ok().filter(|&class| class < c);
        let class = class.ok_or_else(|| format!("Target {target} is out of bounds"))?;
        weights[at] = classes.weight(class);
        losses[at] = -numbers[(at / rest * c + class) * rest + at % rest] * weights[at];
    }
    let made = |numbers| Tensor::from_vec(numbers, &wanted).map_err(say);
    Ok((made(losses)?, made(weights)?))
}

/// The loss, and the sum of all weights.
fn negative_log(x: &Tensor, target: &Tensor, classes: &Classes<'_>, how: i64) -> Result<(Tensor, Tensor), String> {
    let (losses, weights) = picked(x, target, classes)?;
    let made = || {
        let total = k::sum(&weights, &[], false)?;
        let loss = match how {
            1 => k::div(&k::sum(&losses, &[], false)?, &total)?,
            how => reduced(losses, how)?,
        };
        Ok::<_, stark_kernels::TensorError>((loss.to(x.dtype())?, total.to(x.dtype())?))
    };
    made().map_err(say)
}

fn weight_of(a: &Args<'_>, index: usize) -> Result<Option<Vec<f64>>, String> {
    a.opt_tensor(index)?.map(|weight| numbers(&weight)).transpose()
}

/// `(input, target, weight, reduction, ignore_index)`.
fn nll_pair(a: &Args<'_>) -> Result<(Tensor, Tensor), String> {
    let weight = weight_of(a, 2)?;
    let classes = Classes { weight: weight.as_deref(), ignored: a.int(4)? };
    negative_log(&*a.tensor(0)?, &*a.tensor(1)?, &classes, a.int(3)?)
}

pub fn nll(a: &Args<'_>) -> OpResult {
    nll_pair(a).map(|(loss, _)| Value::Tensor(loss))
}

pub fn nll_forward(a: &Args<'_>) -> OpResult {
    let (loss, total) = nll_pair(a)?;
    super::tensor::pair_of(loss, total)
}

pub fn cross_entropy(a: &Args<'_>) -> OpResult {
    let (x, target, weight) = (a.tensor(0)?, a.tensor(1)?, weight_of(a, 2)?);
    let (how, smoothing) = (a.int(3)?, a.float(5)?);
    let axis = if x.rank() == 1 { 0 } else { 1 };
    let logs = k::log_softmax(&x, axis).map_err(say)?;
    let (_, c, _) = sizes(&x)?;
    // The weights along the classes.
    let along = |t: &Tensor| -> Tried<Tensor> {
        let Some(weight) = &weight else { return Ok(t.clone()) };
        let mut shape = vec![1; x.rank()];
        shape[axis as usize] = weight.len();
        k::mul(t, &Tensor::from_slice(weight, &shape)?)
    };
    if target.dtype().is_float() {
        // Probabilities of all classes.
        let made = || {
            let target = k::add(&k::mul(&*target, 1.0 - smoothing)?, smoothing / c as f64)?;
            let loss = k::neg(&k::sum(&along(&k::mul(&logs.to(DType::F64)?, &target)?)?, &[axis], false)?)?;
            match how {
                1 => k::div(&k::sum(&loss, &[], false)?, (x.numel() / c.max(1)) as f64),
                how => reduced(loss, how),
            }?
            .to(x.dtype())
        };
        return ok(made());
    }
    let classes = Classes { weight: weight.as_deref(), ignored: a.int(4)? };
    let (loss, total) = negative_log(&logs, &target, &classes, how)?;
    if smoothing == 0.0 {
        return Ok(Value::Tensor(loss));
    }
    let made = || {
        let all = k::neg(&k::sum(&along(&logs.to(DType::F64)?)?, &[axis], false)?)?;
        let all = k::where_(&k::eq(&*target, classes.ignored)?, 0.0, &all)?;
        let all = match how {
            1 => k::div(&k::sum(&all, &[], false)?, &total.to(DType::F64)?)?,
            how => reduced(all, how)?,
        };
        let smooth = k::mul(&all, smoothing / c as f64)?;
        k::add(&smooth, &k::mul(&loss.to(DType::F64)?, 1.0 - smoothing)?)?.to(x.dtype())
    };
    ok(made())
}

/// ONNX's `(input, target, weight, ignore_index, reduction)`, of logarithms of chances.
fn standard(a: &Args<'_>, logs: &Tensor) -> Result<Tensor, String> {
    let how = match a.str(4)? {
        "none" => 0,
        "mean" => 1,
        "sum" => 2,
        other => return Err(format!("reduction `{other}` is not known")),
    };
    let weight = weight_of(a, 2)?;
    // No class is the least of all numbers.
    let classes = Classes { weight: weight.as_deref(), ignored: a.opt_int(3)?.unwrap_or(i64::MIN) };
    negative_log(logs, &*a.tensor(1)?, &classes, how).map(|(loss, _)| loss)
}

pub fn standard_nll(a: &Args<'_>) -> OpResult {
    standard(a, &*a.tensor(0)?).map(Value::Tensor)
}

/// The loss, and the logarithms of the chances when they are asked for.
pub fn standard_cross_entropy(a: &Args<'_>) -> OpResult {
    let logs = k::log_softmax(&*a.tensor(0)?, 1).map_err(say)?;
    let loss = standard(a, &logs)?;
    if a.int(5)? < 2 { Ok(Value::Tensor(loss)) } else { super::tensor::pair_of(loss, logs) }
}

/// `(input, target, p, margin, weight, reduction)`: by how much other classes come too near to the right one.
pub fn multi_margin(a: &Args<'_>) -> OpResult {
    let (x, target, weight) = (a.tensor(0)?, a.tensor(1)?, weight_of(a, 4)?);
    let (p, margin) = (a.float(2)?, a.float(3)?);
    let (n, c, rest) = sizes(&x)?;
    if rest != 1 || target.numel() != n || x.rank() > 2 {
        return Err(format!("inconsistent target size {:?} for input of size {:?}", target.shape(), x.shape()));
    }
    let numbers = numbers(&x)?;
    let mut losses = Vec::with_capacity(n);
    for (row, target) in numbers.chunks(c.max(1)).zip(target.to_scalars()) {
        let class = usize::try_from(target.to_i64()).ok().filter(|&class| class < c).ok_or("target out of range")?;
        let one = |(i, x): (usize, &f64)| if i == class { 0.0 } else { (margin - row[class] + x).max(0.0).powf(p) };
        let w = weight.as_ref().and_then(|w| w.get(class)).copied().unwrap_or(1.0);
        losses.push(w * row.iter().enumerate().map(one).sum::<f64>() / c as f64);
    }
    let shape: &[usize] = if x.rank() == 2 { &[n] } else { &[] };
    finish(Tensor::from_vec(losses, shape).map_err(say)?, a.int(5)?, x.dtype())
}

/// `(input, target, reduction)`: targets are classes up to the first -1.
pub fn multilabel_margin(a: &Args<'_>) -> OpResult {
    let (x, target) = (a.tensor(0)?, a.tensor(1)?);
    let (n, c, rest) = sizes(&x)?;
    if rest != 1 || target.shape() != x.shape() {
        return Err(format!("inconsistent target size {:?} for input of size {:?}", target.shape(), x.shape()));
    }
    let (numbers, targets) = (numbers(&x)?, target.to_scalars());
    let mut losses = Vec::with_capacity(n);
    for (row, targets) in numbers.chunks(c.max(1)).zip(targets.chunks(c.max(1))) {
        let mut right = Vec::new();
        for target in targets.iter().map(|t| t.to_i64()).take_while(|t| *t >= 0) {
            right.push(
                usize::try_from(target)
                    .ok()
                    .filter(|&class| class < c)
                    .ok_or("argument #2 `target` is out of range")?,
            );
        }
        let others = || row.iter().enumerate().filter(|(i, _)| !right.contains(i)).map(|(_, x)| x);
        let of = |&class: &usize| others().map(|x| (1.0 - row[class] + x).max(0.0)).sum::<f64>();
        losses.push(right.iter().map(of).sum::<f64>() / c as f64);
    }
    let shape: &[usize] = if x.rank() == 2 { &[n] } else { &[] };
    finish(Tensor::from_vec(losses, shape).map_err(say)?, a.int(2)?, x.dtype())
}

// ---- of distances ---------------------------------------------------------------------------------

pub fn triplet_margin(a: &Args<'_>) -> OpResult {
    let (anchor, near, far) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (margin, p, eps) = (a.float(3)?, a.float(4)?, a.float(5)?);
    let distance = |x: &Tensor, y: &Tensor| {
        let d = k::add(&k::sub(&x.to(DType::F64)?, &y.to(DType::F64)?)?, eps)?;
        k::norm(&d, p, &[-1], false)
    };
    let made = || {
        let to_near = distance(&anchor, &near)?;
        let mut to_far = distance(&anchor, &far)?;
        if a.bool(6).unwrap_or(false) {
            to_far = k::minimum(&to_far, &distance(&near, &far)?)?;
        }
        k::maximum(&k::add(&k::sub(&to_near, &to_far)?, margin)?, 0.0)
    };
    finish(made().map_err(say)?, a.int(7)?, anchor.dtype())
}

pub fn cosine_embedding(a: &Args<'_>) -> OpResult {
    let (x, y, target, margin) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.float(3)?);
    let made = || {
        let (wide, other) = (x.to(DType::F64)?, y.to(DType::F64)?);
        let dot = |x: &Tensor, y: &Tensor| k::sum(&k::mul(x, y)?, &[-1], false);
        let lengths = k::mul(&k::add(&dot(&wide, &wide)?, 1e-12)?, &k::add(&dot(&other, &other)?, 1e-12)?)?;
        k::div(&dot(&wide, &other)?, &k::sqrt(&lengths)?)
    };
    let cosine = made().map_err(say)?;
    let loss = zipped(&[&cosine, &target], |row| match row[1] {
        1.0 => 1.0 - row[0],
        -1.0 => (row[0] - margin).max(0.0),
        _ => 0.0,
    })?;
    finish(loss, a.int(4)?, float_of(&x, &y))
}

pub fn margin_ranking(a: &Args<'_>) -> OpResult {
    let (x, y, target, margin) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.float(3)?);
    let loss = zipped(&[&x, &y, &target], |row| (-row[2] * (row[0] - row[1]) + margin).max(0.0))?;
    finish(loss, a.int(4)?, float_of(&x, &y))
}

// ---- of sequences ---------------------------------------------------------------------------------

fn lengths(a: &Args<'_>, index: usize) -> Result<Vec<usize>, String> {
    let all = match a.get(index) {
        Value::Tensor(t) => t.to_scalars().iter().map(|n| n.to_i64()).collect(),
        _ => a.ints(index)?.to_vec(),
    };
    all.into_iter().map(|n| usize::try_from(n).map_err(|_| format!("a length of {n}"))).collect()
}

/// `(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)`.
pub fn ctc(a: &Args<'_>) -> OpResult {
    let (logs, targets) = (a.tensor(0)?, a.tensor(1)?);
    let (of_input, of_target, blank) = (lengths(a, 2)?, lengths(a, 3)?, a.count(4)?);
    let (t, n, c) = match logs.shape() {
        [t, c] => (*t, 1, *c),
        [t, n, c] => (*t, *n, *c),
        shape => return Err(format!("log_probs of shape {shape:?}")),
    };
    if of_input.len() != n || of_target.len() != n || blank >= c || of_input.iter().any(|&length| length > t) {
        return Err(format!("{n} lengths up to {t} and a blank below {c} are wanted"));
    }
    let (numbers, labels) = (numbers(&logs)?, targets.to_scalars());
    let stride = if targets.rank() == 2 { targets.shape()[1] } else { 0 };
    let mut losses = Vec::with_capacity(n);
    let mut begin = 0;
    for b in 0..n {
        let from = if stride > 0 { b * stride } else { begin };
        begin += of_target[b];
        let labels = labels.get(from..from + of_target[b]).ok_or("the targets are shorter than their lengths")?;
        let mut path = vec![blank];
        for label in labels {
            let label = usize::try_from(label.to_i64()).ok().filter(|&label| label < c);
            path.extend([label.ok_or("a target is no class")?, blank]);
        }
        let loss = -alignments(&path, blank, of_input[b], |step, class| numbers[(step * n + b) * c + class]);
        losses.push(if loss.is_infinite() && a.bool(6)? { 0.0 } else { loss });
    }
    if a.int(5)? == 1 {
        losses.iter_mut().zip(&of_target).for_each(|(loss, &length)| *loss /= length.max(1) as f64);
    }
    let shape: &[usize] = if logs.rank() == 3 { &[n] } else { &[] };
    finish(Tensor::from_vec(losses, shape).map_err(say)?, a.int(5)?, logs.dtype())
}

/// The logarithm of the chance of all ways through `path` in so many steps.
fn alignments(path: &[usize], blank: usize, steps: usize, log: impl Fn(usize, usize) -> f64) -> f64 {
    let add = |x: f64, y: f64| {
        let top = x.max(y);
        if top == f64::NEG_INFINITY { top } else { top + ((x - top).exp() + (y - top).exp()).ln() }
    };
    if steps == 0 {
        return if path.len() == 1 { 0.0 } else { f64::NEG_INFINITY };
    }
    let mut now = vec![f64::NEG_INFINITY; path.len()];
    now.iter_mut().zip(path).take(2).for_each(|(now, &class)| *now = log(0, class));
    for step in 1..steps {
        let before = now.clone();
        for (at, &class) in path.iter().enumerate() {
            let mut sum = before[at];
            if at > 0 {
                sum = add(sum, before[at - 1]);
            }
            // A blank may be left out between different labels.
            if at > 1 && class != blank && class != path[at - 2] {
                sum = add(sum, before[at - 2]);
            }
            now[at] = sum + log(step, class);
        }
    }
    now.iter().rev().take(2).fold(f64::NEG_INFINITY, |sum, x| add(sum, *x))
}
