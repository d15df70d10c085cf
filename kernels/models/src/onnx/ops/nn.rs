//! Products, normalisation, attention.

use std::borrow::Cow;

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::math::{Reduce, reduce_over};
use super::shape::{axis, flat, product};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

type Kernel = fn(&Tensor, i64) -> stark_kernels::Result<Tensor>;

fn flipped(x: &Tensor, flip: bool) -> stark_kernels::Result<Tensor> {
    if flip { x.transpose(-2, -1) } else { Ok(x.clone()) }
}

fn scaled(x: Tensor, by: f64) -> stark_kernels::Result<Tensor> {
    if by == 1.0 { Ok(x) } else { k::mul(&x, by)?.to(x.dtype()) }
}

/// `alpha * A @ B + beta * C`.
pub fn gemm(a: &Args<'_>) -> OpResult {
    let (x, y, c) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (alpha, beta, flip_x, flip_y) = (a.float(3)?, a.float(4)?, a.bool(5)?, a.bool(6)?);
    if x.rank() != 2 || y.rank() != 2 {
        return Err(format!("takes matrices, not shapes {:?} and {:?}", x.shape(), y.shape()));
    }
    let made = || {
        let x = flipped(&x, flip_x)?;
        // As PyTorch's linear layers store their weights.
        if let (true, 1.0, Some(bias)) =
            (flip_y, alpha, c.as_deref().filter(|c| beta == 1.0 && c.shape() == [y.shape()[0]]))
        {
            return k::linear(&x, &y, Some(bias));
        }
        let out = scaled(k::matmul(&x, &flipped(&y, flip_y)?)?, alpha)?;
        match &c {
            Some(c) => k::add(&out, &scaled(c.clone().into_owned(), beta)?),
            None => Ok(out),
        }
    };
    ok(made())
}

pub fn fused_matmul(a: &Args<'_>) -> OpResult {
    // The axis of rows comes first then, before those of the stack.
    let turned = |x: Cow<'_, Tensor>, is_first: bool| -> stark_kernels::Result<Tensor> {
        let n = x.rank() as i64;
        if !is_first || n < 3 {
            return Ok(x.into_owned());
        }
        let axes: Vec<i64> = (1..n - 1).chain([0, n - 1]).collect();
        x.permute(&axes)
    };
    let x = turned(a.tensor(0)?, a.bool(5)?).map_err(say)?;
    let y = turned(a.tensor(1)?, a.bool(6)?).map_err(say)?;
    let (alpha, flip_x, flip_y) = (a.float(2)?, a.bool(3)? && x.rank() > 1, a.bool(4)? && y.rank() > 1);
    let out = flipped(&x, flip_x).and_then(|x| k::matmul(&x, &flipped(&y, flip_y)?));
    ok(out.and_then(|out| scaled(out, alpha)))
}

pub fn fast_gelu(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    match a.opt_tensor(1)? {
        Some(bias) => ok(k::add(&*x, &*bias).and_then(|x| k::gelu_tanh(&x))),
        None => ok(k::gelu_tanh(&x)),
    }
}

pub fn bias_gelu(a: &Args<'_>) -> OpResult {
    ok(k::add(&*a.tensor(0)?, &*a.tensor(1)?).and_then(|x| k::gelu(&x)))
}

pub fn along_axis(a: &Args<'_>, kernel: Kernel) -> OpResult {
    ok(kernel(&*a.tensor(0)?, a.int(1)?))
}

/// Before version 13: over all axes from `axis` on, together.
pub fn flat_softmax(a: &Args<'_>, kernel: Kernel) -> OpResult {
    let x = a.tensor(0)?;
    let rows = flat(&x, a.int(1)?)?;
    ok(kernel(&rows, -1).and_then(|y| y.reshape_to(x.shape())))
}

/// 1 at the first greatest, 0 elsewhere.
pub fn hardmax(x: &Tensor, axis: i64) -> stark_kernels::Result<Tensor> {
    let best = k::argmax(x, Some(axis), false)?;
    k::one_hot(&best, x.size(axis)?)?.movedim(-1, axis)?.to(x.dtype())
}

pub fn batch_norm(a: &Args<'_>) -> OpResult {
    if a.bool(7)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    let x = a.tensor(0)?;
    let (scale, bias, mean, var) = (a.tensor(1)?, a.tensor(2)?, a.tensor(3)?, a.tensor(4)?);
    // Numbers without channels are one channel.
    if x.rank() == 1 {
        let columns = x.unsqueeze(1).map_err(say)?;
        let out = k::batch_norm(&columns, &mean, &var, Some(&*scale), Some(&*bias), a.float(5)?);
        return ok(out.and_then(|y| y.squeeze(&[1])));
    }
    ok(k::batch_norm(&x, &mean, &var, Some(&*scale), Some(&*bias), a.float(5)?))
}

pub fn instance_norm(a: &Args<'_>) -> OpResult {
    ok(k::instance_norm(&*a.tensor(0)?, Some(&*a.tensor(1)?), Some(&*a.tensor(2)?), a.float(3)?))
}

/// At first scale and bias were one number per group.
pub fn group_norm(a: &Args<'_>, per_group: bool) -> OpResult {
    let (x, scale, bias, groups) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.count(3)?);
    let channels = x.size(1).map_err(say)?;
    let spread = |t: &Tensor| match per_group && t.numel() == groups && groups > 0 {
        true => k::repeat_interleave(t, channels / groups, 0),
        false => Ok(t.clone()),
    };
    let (scale, bias) = (spread(&scale).map_err(say)?, spread(&bias).map_err(say)?);
    ok(k::group_norm(&x, groups, Some(&scale), Some(&bias), a.float(4)?))
}

/// With the mean and the inverse deviation when the node names them, as training does.
pub fn layer_norm(a: &Args<'_>) -> OpResult {
    let (x, scale, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    let (at, eps) = (axis(a.int(3)?, x.rank())?, a.float(4)?);
    let shape = &x.shape()[at..];
    let out = match scale.shape() == shape && bias.as_ref().is_none_or(|b| b.shape() == shape) {
        true => k::layer_norm(&x, shape, Some(&*scale), bias.as_deref(), eps),
        false => k::layer_norm(&x, shape, None, None, eps)
            .and_then(|y| k::mul(&y, &*scale))
            .and_then(|y| bias.as_ref().map_or(Ok(y.clone()), |b| k::add(&y, &**b))),
    };
    if a.count(6)? == 1 {
        return ok(out);
    }
    let axes: Vec<i64> = (at as i64..x.rank() as i64).collect();
    let statistics = || {
        let wide = x.to(DType::F32)?;
        let spread = k::add(&k::var(&wide, &axes, 0.0, true)?, eps)?;
        Ok::<_, stark_kernels::TensorError>([k::mean(&wide, &axes, true)?, k::rsqrt(&spread)?])
    };
    let [mean, deviation] = statistics().map_err(say)?;
    Value::tuple([out.map_err(say)?, mean, deviation].map(Value::Tensor).into())
}

pub fn rms_norm(a: &Args<'_>) -> OpResult {
    let (x, scale) = (a.tensor(0)?, a.tensor(1)?);
    let shape = &x.shape()[axis(a.int(2)?, x.rank())?..];
    ok(match scale.shape() == shape {
        true => k::rms_norm(&x, shape, Some(&*scale), a.float(3)?),
        false => k::rms_norm(&x, shape, None, a.float(3)?).and_then(|y| k::mul(&y, &*scale)),
    })
}

pub fn mean_variance_norm(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let axes = a.opt_ints(1)?.map_or_else(|| vec![0, 2, 3], |axes| axes.into_vec());
    let made = || {
        let centred = k::sub(&*x, &k::mean(&x, &axes, true)?)?;
        let spread = k::add(&k::sqrt(&k::mean(&k::square(&centred)?, &axes, true)?)?, 1e-9)?;
        k::div(&centred, &spread)
    };
    ok(made())
}

/// Rows of norm 0 stay 0.
pub fn lp_norm(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (at, how) = (a.int(1)?, if a.int(2)? == 1 { Reduce::L1 } else { Reduce::L2 });
    let made = || {
        let norm = reduce_over(&x, how, &[at], true)?;
        let divided = k::div(&*x, &norm)?;
        k::where_(&k::eq(&norm, 0.0)?, 0.0, &divided)?.to(x.dtype())
    };
    ok(made())
}

/// Each channel over a power of the squares of its neighbours.
pub fn lrn(a: &Args<'_>) -> OpResult {
    let (x, size) = (a.tensor(0)?, a.count(1)?);
    let (alpha, beta, bias) = (a.float(2)?, a.float(3)?, a.float(4)?);
    let channels = x.size(1).map_err(say)?;
    if size == 0 || size > channels.saturating_mul(2).max(1) {
        return Err(format!("a window of {size} over {channels} channels"));
    }
    let made = || {
        let squares = k::square(&x)?;
        let mut pads = vec![0i64; 2 * x.rank()];
        let pair = 2 * (x.rank() - 2);
        (pads[pair], pads[pair + 1]) = (((size - 1) / 2) as i64, (size - 1).div_ceil(2) as i64);
        let padded = k::pad(&squares, &pads, k::PadMode::Constant(Scalar::Int(0)))?;
        let first = padded.narrow(1, 0, channels)?;
        let sum = (1..size).try_fold(first, |sum, i| k::add(&sum, &padded.narrow(1, i as i64, channels)?))?;
        let base = k::add(&k::mul(&sum, alpha / size as f64)?, bias)?;
        k::div(&*x, &k::pow(&base, beta)?)
    };
    ok(made())
}

// ---- einsum ---------------------------------------------------------------------------------------

/// One factor with a letter for each axis.
struct Factor {
    letters: Vec<char>,
    tensor: Tensor,
}

/// Axes under an ellipsis get letters of their own, counted from the right.
fn letters(term: &str, rank: usize) -> Result<Vec<char>, String> {
    let bad = || format!("the term `{term}` does not name {rank} axes");
    let (before, after) = term.split_once("...").map_or((term, None), |(b, a)| (b, Some(a)));
    let named = before.chars().count() + after.map_or(0, |a| a.chars().count());
    if named > rank
        || (after.is_none() && named != rank)
        || !(before.chars().chain(after.unwrap_or("").chars())).all(|c| c.is_ascii_alphabetic())
    {
        return Err(bad());
    }
    let hidden = (0..rank - named).rev().map(|i| char::from_u32(0x100 + i as u32).unwrap_or('?'));
    let hidden: Vec<char> = if after.is_some() { hidden.collect() } else { Vec::new() };
    Ok(before.chars().chain(hidden).chain(after.unwrap_or("").chars()).collect())
}

/// `ij,jk->ik` and the like: argument `operands` is the list of factors.
pub fn einsum(a: &Args<'_>, operands: usize, equation: usize) -> OpResult {
    let tensors = a.tensors(operands)?;
    let equation: String = a.str(equation)?.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = equation.split_once("->").map_or((&*equation, None), |(l, r)| (l, Some(r)));
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != tensors.len() {
        return Err(format!("`{equation}` names {} factors, {} are given", terms.len(), tensors.len()));
    }
    let mut factors = Vec::with_capacity(tensors.len());
    for (term, tensor) in terms.iter().zip(tensors) {
        let letters = letters(term, tensor.rank())?;
        factors.push(diagonals(Factor { letters, tensor })?);
    }
    let mut hidden: Vec<char> = factors.iter().flat_map(|f| &f.letters).copied().filter(|c| !c.is_ascii()).collect();
    hidden.sort_unstable();
    hidden.dedup();
    hidden.reverse();
    let output: Vec<char> = match right {
        Some(right) => {
            let named = right.replace("...", "").chars().count();
            letters(right, named + if right.contains("...") { hidden.len() } else { 0 })?
        }
        // Letters that occur once, in the order of the alphabet, after what an ellipsis hides.
        None => {
            let all: Vec<char> = left.chars().filter(|c| c.is_ascii_alphabetic()).collect();
            let mut once: Vec<char> =
                all.iter().copied().filter(|c| all.iter().filter(|d| *d == c).count() == 1).collect();
            once.sort_unstable();
            hidden.into_iter().chain(once).collect()
        }
    };
    let mut factors = factors.into_iter();
    let mut total = factors.next().ok_or("takes at least one factor")?;
    let rest: Vec<Factor> = factors.collect();
    for (i, factor) in rest.iter().enumerate() {
        let later = |c: char| output.contains(&c) || rest[i + 1..].iter().any(|f| f.letters.contains(&c));
        total = contract(total, factor, later).map_err(say)?;
    }
    let gone: Vec<i64> =
        (0..total.letters.len()).filter(|&i| !output.contains(&total.letters[i])).map(|i| i as i64).collect();
    let out = if gone.is_empty() {
        total.tensor
    } else {
        reduce_over(&total.tensor, Reduce::Sum, &gone, false).map_err(say)?
    };
    let kept: Vec<char> = total.letters.into_iter().filter(|c| output.contains(c)).collect();
    let order: Option<Vec<i64>> = output.iter().map(|c| kept.iter().position(|k| k == c).map(|i| i as i64)).collect();
    match order.filter(|order| order.len() == kept.len()) {
        Some(order) => ok(out.permute(&order)),
        None => Err(format!("the result of `{equation}` names an axis that no factor has, or one twice")),
    }
}

/// A letter that a term has twice stands for its diagonal.
fn diagonals(mut factor: Factor) -> Result<Factor, String> {
    while let Some((i, j)) = (0..factor.letters.len())
        .flat_map(|i| (i + 1..factor.letters.len()).map(move |j| (i, j)))
        .find(|&(i, j)| factor.letters[i] == factor.letters[j])
    {
        let (n, m) = (factor.tensor.shape()[i], factor.tensor.shape()[j]);
        if n != m {
            return Err(format!("axis `{}` has sizes {n} and {m}", factor.letters[i]));
        }
        factor.tensor = factor.tensor.diagonal(0, i as i64, j as i64).map_err(say)?;
        let letter = factor.letters[i];
        factor.letters.remove(j);
        factor.letters.remove(i);
        factor.letters.push(letter);
    }
    Ok(factor)
}

/// The product of two factors, summed over what neither the result nor a later factor names.
fn contract(x: Factor, y: &Factor, later: impl Fn(char) -> bool) -> stark_kernels::Result<Factor> {
    let (mut x, mut y) = (x, Factor { letters: y.letters.clone(), tensor: y.tensor.clone() });
    let (x_letters, y_letters) = (x.letters.clone(), y.letters.clone());
    for (one, other) in [(&mut x, &y_letters), (&mut y, &x_letters)] {
        let alone: Vec<usize> =
            (0..one.letters.len()).filter(|&i| !other.contains(&one.letters[i]) && !later(one.letters[i])).collect();
        if !alone.is_empty() {
            one.tensor =
                reduce_over(&one.tensor, Reduce::Sum, &alone.iter().map(|&i| i as i64).collect::<Vec<_>>(), false)?;
            one.letters = std::mem::take(&mut one.letters)
                .into_iter()
                .enumerate()
                .filter(|(i, _)| !alone.contains(i))
                .map(|(_, c)| c)
                .collect();
        }
    }
    // An axis of size 1 spreads over the other factor's.
    let size = |f: &Factor, c: char| f.letters.iter().position(|l| *l == c).map(|i| f.tensor.shape()[i]);
    let shared: Vec<char> = x.letters.iter().copied().filter(|c| y.letters.contains(c)).collect();
    let (batch, summed): (Vec<char>, Vec<char>) = shared.iter().partition(|&&c| later(c));
    let rows: Vec<char> = x.letters.iter().copied().filter(|c| !shared.contains(c)).collect();
    let columns: Vec<char> = y.letters.iter().copied().filter(|c| !shared.contains(c)).collect();
    let both = |c: char| match (size(&x, c), size(&y, c)) {
        (Some(1) | None, Some(n)) => n,
        (n, _) => n.unwrap_or(1),
    };
    let sizes = |letters: &[char]| letters.iter().map(|&c| both(c)).collect::<Vec<usize>>();
    let arranged = |f: &Factor, groups: [&[char]; 3]| {
        let order: Vec<char> = groups.concat();
        let places: Vec<i64> =
            order.iter().filter_map(|c| f.letters.iter().position(|l| l == c)).map(|i| i as i64).collect();
        let whole = f.tensor.permute(&places)?.expand(&sizes(&order))?;
        whole.reshape_to(&groups.map(|group| product(&sizes(group))))
    };
    let product = k::matmul(&arranged(&x, [&batch, &rows, &summed])?, &arranged(&y, [&batch, &summed, &columns])?)?;
    let letters = [batch, rows, columns].concat();
    Ok(Factor { tensor: product.reshape_to(&sizes(&letters))?, letters })
}

// ---- attention ------------------------------------------------------------------------------------

/// `[batch, length, heads * width]` to `[batch, heads, length, width]`.
pub fn heads(x: &Tensor, n: Option<usize>) -> Result<Tensor, String> {
    match (x.shape(), n) {
        (&[_, _, _, _], _) => Ok(x.clone()),
        (&[b, l, w], Some(n)) if n > 0 && w % n == 0 => {
            x.reshape_to(&[b, l, n, w / n]).and_then(|x| x.transpose(1, 2)).map_err(say)
        }
        (shape, _) => Err(format!("shape {shape:?} does not split into heads")),
    }
}

pub fn attention(a: &Args<'_>) -> OpResult {
    let count = |i: usize| if a.is_none(i) { Ok(None) } else { a.count(i).map(Some) };
    let (n_q, n_kv) = (count(8)?, count(9)?);
    let q = heads(&*a.tensor(0)?, n_q)?;
    let (mut key, mut value) = (heads(&*a.tensor(1)?, n_kv)?, heads(&*a.tensor(2)?, n_kv)?);
    let past = a.opt_tensor(4)?.map_or(0, |past| past.shape().get(2).copied().unwrap_or(0));
    for (now, before) in [(&mut key, a.opt_tensor(4)?), (&mut value, a.opt_tensor(5)?)] {
        if let Some(before) = before {
            *now = k::cat(&[&before, now], 2).map_err(say)?;
        }
    }
    let lengths = a.opt_tensor(6)?;
    let (causal, softcap, mode, left, right) = (a.bool(7)?, a.float(11)?, a.int(13)?, a.int(14)?, a.int(15)?);
    let made = || {
        let (length, total, width) = (q.size(2)?, key.size(2)?, q.size(3)?);
        let scale = match a.opt_scalar(10) {
            Ok(Some(scale)) => scale.to_f64(),
            _ => 1.0 / (width as f64).sqrt(),
        };
        let groups = q.size(1)? / key.size(1)?.max(1);
        let spread = |t: &Tensor| if groups > 1 { k::repeat_interleave(t, groups, 1) } else { Ok(t.clone()) };
        let scores = k::mul(&k::matmul(&q, &spread(&key)?.transpose(-2, -1)?)?, scale)?;
        let mut bias = Tensor::zeros(&[length, total], q.dtype())?;
        let shut = |seen: &Tensor| k::where_(seen, 0.0, f64::NEG_INFINITY)?.to(q.dtype());
        let keys = k::arange(0i64, total as i64, 1i64, DType::I64)?;
        // How many keys come before the first query: of a cache that is given whole, all but the last ones.
        let mut before = Tensor::scalar(past as i64);
        if let Some(lengths) = &lengths {
            let lengths = lengths.to(DType::I64)?.reshape(&[-1, 1, 1, 1])?;
            bias = k::add(&bias, &shut(&k::lt(&keys, &lengths)?)?)?;
            before = k::sub(&lengths, length as i64)?;
        }
        let own = k::add(&k::arange(0i64, length as i64, 1i64, DType::I64)?.unsqueeze(1)?, &before)?;
        if causal {
            bias = k::add(&bias, &shut(&k::le(&keys, &own)?)?)?;
        }
        if left >= 0 {
            bias = k::add(&bias, &shut(&k::ge(&keys, &k::sub(&own, left)?)?)?)?;
        }
        if right >= 0 {
            bias = k::add(&bias, &shut(&k::le(&keys, &k::add(&own, right)?)?)?)?;
        }
        if let Ok(Some(mask)) = a.opt_tensor(3) {
            let mask = match mask.dtype() {
                DType::Bool => k::where_(&mask, 0.0, f64::NEG_INFINITY)?.to(q.dtype())?,
                _ => mask.into_owned(),
            };
            // A mask may stop before the last keys; those are then left out.
            let missing = total as i64 - mask.size(-1)? as i64;
            let mask = match missing {
                1.. => k::pad(&mask, &[0, missing], k::PadMode::Constant(Scalar::Float(f64::NEG_INFINITY)))?,
                _ => mask,
            };
            bias = k::add(&bias, &mask)?;
        }
        let capped = match softcap {
            0.0 => scores.clone(),
            cap => k::mul(&k::tanh(&k::div(&scores, cap)?)?, cap)?,
        };
        let masked = k::add(&capped, &bias)?;
        let weights = k::softmax(&masked, -1)?;
        // A query that sees no key gives zeros.
        let blind = k::eq(&k::amax(&bias, &[-1], true)?, f64::NEG_INFINITY)?;
        let weights = k::where_(&blind, 0.0, &weights)?.to(q.dtype())?;
        let mixed = k::matmul(&weights, &spread(&value)?)?;
        let out = match a.tensor(0) {
            Ok(q) if q.rank() == 3 => {
                let flat = mixed.transpose(1, 2)?;
                flat.reshape_to(&[mixed.size(0)?, length, mixed.size(1)? * mixed.size(3)?])?
            }
            _ => mixed,
        };
        let shown = match mode {
            0 => scores,
            1 => capped,
            2 => masked,
            _ => weights,
        };
        Ok::<_, stark_kernels::TensorError>([out, key.clone(), value.clone(), shown])
    };
    Value::tuple(made().map_err(say)?.map(Value::Tensor).into())
}

pub fn rotary(a: &Args<'_>) -> OpResult {
    let (x, mut cos, mut sin) = (a.tensor(0)?, a.tensor(1)?.into_owned(), a.tensor(2)?.into_owned());
    let (interleaved, n_heads, width) = (a.bool(4)?, a.count(5)?, a.count(6)?);
    if let Some(places) = a.opt_tensor(3)? {
        cos = k::embedding(&cos, &places).map_err(say)?;
        sin = k::embedding(&sin, &places).map_err(say)?;
    }
    // To [batch, length, heads, width], the way the tables of angles lie.
    let split = match x.shape() {
        &[_, _, _, _] => x.transpose(1, 2),
        &[b, l, w] if n_heads > 0 && w % n_heads == 0 => x.reshape_to(&[b, l, n_heads, w / n_heads]),
        shape => return Err(format!("shape {shape:?} does not split into {n_heads} heads")),
    };
    let made = || {
        let out = turned(&split?, &cos, &sin, width, interleaved)?;
        if x.rank() == 4 { out.transpose(1, 2) } else { out.reshape_to(x.shape()) }
    };
    ok(made())
}

/// The first `width` numbers of each head of `[batch, length, heads, width]`, as pairs, turned by angles (all for 0).
pub fn turned(
    x: &Tensor,
    cos: &Tensor,
    sin: &Tensor,
    width: usize,
    interleaved: bool,
) -> stark_kernels::Result<Tensor> {
    let full = x.size(3)?;
    let width = if width == 0 { full } else { width.min(full) };
    let (part, kept) = (x.narrow(3, 0, width)?, x.slice(3, width as i64, i64::MAX, 1)?);
    let half = width / 2;
    let (cos, sin) = (cos.narrow(-1, 0, half)?.unsqueeze(2)?, sin.narrow(-1, 0, half)?.unsqueeze(2)?);
    let (first, second) = match interleaved {
        true => (part.slice(3, 0, i64::MAX, 2)?, part.slice(3, 1, i64::MAX, 2)?),
        false => (part.narrow(3, 0, half)?, part.narrow(3, half as i64, half)?),
    };
    let real = k::sub(&k::mul(&first, &cos)?, &k::mul(&second, &sin)?)?;
    let imaginary = k::add(&k::mul(&first, &sin)?, &k::mul(&second, &cos)?)?;
    let part = match interleaved {
        true => k::stack(&[&real, &imaginary], -1)?.reshape_to(part.shape())?,
        false => k::cat(&[&real, &imaginary], 3)?,
    };
    k::cat(&[&part, &kept], 3)
}

pub fn swiglu(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    let gate = k::mul(&*x, a.float(2)?).and_then(|gate| k::sigmoid(&gate)).and_then(|gate| k::mul(&*x, &gate));
    ok(gate.and_then(|gate| k::mul(&gate, &*y)))
}
