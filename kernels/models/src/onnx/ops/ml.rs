//! The operators of `ai.onnx.ml`: classic models as scikit-learn's are written.
//!
//! Where the standard leaves open what two classes with one score are, ONNX Runtime's reading is taken. Labels are whole numbers;
//! where they are texts, which tensors do not hold, operators give the numbers of the classes, which the importer lets nobody read.

use std::collections::HashMap;

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use crate::ops::tensor::{ok, pair_of, say};
use crate::ops::vision::numbers;
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// Rows of numbers: a vector is one row.
pub fn rows(x: &Tensor) -> Result<(Vec<f64>, usize, usize), String> {
    let (n, width) = match *x.shape() {
        [width] => (1, width),
        [n, width] => (n, width),
        _ => return Err(format!("takes rows, not shape {:?}", x.shape())),
    };
    Ok((numbers(x)?, n, width))
}

pub fn is_none(value: &Value) -> bool {
    match value {
        Value::None => true,
        Value::List(list) => list.items().is_empty(),
        _ => false,
    }
}

/// The numbers of an attribute, none when it is left out.
pub fn list(a: &Args<'_>, at: usize) -> Result<Vec<f64>, String> {
    if a.is_none(at) { Ok(Vec::new()) } else { a.floats(at) }
}

pub fn ints(a: &Args<'_>, at: usize) -> Result<Vec<i64>, String> {
    Ok(a.opt_ints(at)?.map(|ints| ints.to_vec()).unwrap_or_default())
}

/// The labels of classes: whole numbers at `at`, or the numbers of the texts behind them.
pub fn labels(a: &Args<'_>, at: usize) -> Result<Vec<i64>, String> {
    match a.get(at + 1) {
        Value::List(texts) if !texts.items().is_empty() => Ok((0..texts.items().len() as i64).collect()),
        _ => ints(a, at),
    }
}

pub fn floats(values: Vec<f64>, shape: &[usize]) -> Result<Tensor, String> {
    Tensor::from_vec(values, shape).and_then(|t| t.to(DType::F32)).map_err(say)
}

// ---- preparing ------------------------------------------------------------------------------------

pub fn binarizer(a: &Args<'_>) -> OpResult {
    let (x, threshold) = (a.tensor(0)?, a.float(1)?);
    ok(k::gt(&*x, threshold).and_then(|above| above.to(x.dtype())))
}

/// Columns by their numbers.
pub fn array_feature_extractor(a: &Args<'_>) -> OpResult {
    let (x, places) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let picked = k::index_select(&x, -1, &places.to(DType::I64)?.reshape_to(&[places.numel()])?)?;
        if x.rank() == 1 { picked.unsqueeze(0) } else { Ok(picked) }
    };
    ok(made())
}

/// `(x - offset) * scale`, each one number or one for each column.
pub fn scaler(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let row = |at: usize| {
        let numbers = list(a, at)?;
        floats(numbers.clone(), &[numbers.len()])
    };
    let (offset, scale) = (row(1)?, row(2)?);
    let made = || {
        let x = x.to(DType::F32)?;
        let x = if offset.numel() == 0 { x } else { k::sub(&x, &offset)? };
        if scale.numel() == 0 { Ok(x) } else { k::mul(&x, &scale) }
    };
    ok(made())
}

/// Rows by their greatest number, their sum or their length.
pub fn normalizer(a: &Args<'_>) -> OpResult {
    let (x, norm) = (a.tensor(0)?, a.str(1)?);
    let (mut all, _, width) = rows(&x)?;
    for row in all.chunks_mut(width.max(1)) {
        let by = match norm {
            "MAX" => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "L1" => row.iter().map(|x| x.abs()).sum(),
            "L2" => row.iter().map(|x| x * x).sum::<f64>().sqrt(),
            other => return Err(format!("norm `{other}` is not known")),
        };
        if by != 0.0 {
            row.iter_mut().for_each(|x| *x /= by);
        }
    }
    Ok(Value::Tensor(floats(all, x.shape())?))
}

/// Missing numbers get those of their column.
pub fn imputer(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let (values, missing) = match x.dtype().is_float() {
        true => (list(a, 1)?, a.float(2)?),
        false => (list(a, 3)?, a.float(4)?),
    };
    let (mut all, _, width) = rows(&x)?;
    if values.len() != 1 && values.len() != width {
        return Err(format!("{} numbers for {width} columns", values.len()));
    }
    for (i, number) in all.iter_mut().enumerate() {
        if *number == missing || missing.is_nan() && number.is_nan() {
            *number = values[if values.len() == 1 { 0 } else { i % width }];
        }
    }
    ok(Tensor::from_vec(all, x.shape()).and_then(|t| t.to(x.dtype())))
}

/// All inputs side by side.
pub fn feature_vectorizer(a: &Args<'_>) -> OpResult {
    let parts = a.tensors(0)?;
    let sizes = ints(a, 1)?;
    let made = || {
        let mut out = Vec::with_capacity(parts.len());
        for (i, part) in parts.iter().enumerate() {
            let part = part.to(DType::F32)?;
            let part = if part.rank() < 2 { part.reshape(&[1, -1])? } else { part };
            let width = sizes.get(i).map_or(part.size(1)?, |&n| n.max(0) as usize);
            let have = part.size(1)?;
            out.push(match have < width {
                true => k::pad(&part, &[0, (width - have) as i64], k::PadMode::Constant(Scalar::Float(0.0)))?,
                false => part.narrow(1, 0, width)?,
            });
        }
        k::cat(&out.iter().collect::<Vec<_>>(), 1)
    };
    ok(made())
}

/// 1 in the column of each number's place in the list.
pub fn one_hot_encoder(a: &Args<'_>) -> OpResult {
    let (x, known, or_zeros) = (a.tensor(0)?, ints(a, 1)?, a.bool(3)?);
    if !is_none(a.get(2)) {
        return Err("categories that are texts are not supported".into());
    }
    // Memory is asked for before numbers are made.
    Tensor::zeros(&[x.numel(), known.len()], DType::F64).map_err(say)?;
    let mut out = vec![0.0; x.numel() * known.len()];
    for (row, number) in out.chunks_mut(known.len().max(1)).zip(x.to_scalars()) {
        match known.iter().position(|&one| one == number.to_i64()) {
            Some(at) => row[at] = 1.0,
            None if or_zeros => {}
            None => return Err(format!("{} is none of the categories", number.to_i64())),
        }
    }
    let mut shape = x.shape().to_vec();
    shape.push(known.len());
    Ok(Value::Tensor(floats(out, &shape)?))
}

/// `(X, keys_int64s, keys_floats, keys_tensor, values_int64s, values_floats, values_tensor, default_int64, default_float,
/// default_tensor)`.
pub fn label_encoder(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let find = |from: std::ops::Range<usize>| from.into_iter().find(|&at| !is_none(a.get(at)));
    let (Some(keys), Some(values)) = (find(1..4), find(4..7)) else {
        return Err("keys and values that are texts are not supported".into());
    };
    let all = |at: usize| match a.get(at) {
        Value::Tensor(t) => numbers(t),
        _ => a.floats(at),
    };
    let (keys_of, values_of) = (all(keys)?, all(values)?);
    let (default, dtype) = match values {
        4 => (a.float(7)?, DType::I64),
        5 => (a.float(8)?, DType::F32),
        _ => (a.opt_scalar(9)?.map_or(0.0, |x| x.to_f64()), a.tensor(6)?.dtype()),
    };
    let mut table = HashMap::new();
    let bits = |x: f64| {
        if x == 0.0 {
            0
        } else if x.is_nan() {
            u64::MAX
        } else {
            x.to_bits()
        }
    };
    for (key, value) in keys_of.iter().zip(&values_of) {
        table.entry(bits(*key)).or_insert(*value);
    }
    let made = x.to_scalars().into_iter().map(|x| table.get(&bits(x.to_f64())).copied().unwrap_or(default));
    ok(Tensor::from_vec(made.collect::<Vec<f64>>(), x.shape()).and_then(|t| t.to(dtype)))
}

// ---- scores ---------------------------------------------------------------------------------------

pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn soft(scores: &mut [f64], zeros_stay: bool) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A score of about 0 is no score.
    let counts = |x: f64| !zeros_stay || x.abs() > 1e-7;
    let sum: f64 = scores.iter().filter(|x| counts(**x)).map(|x| (x - top).exp()).sum();
    for x in scores {
        *x = if counts(*x) { (*x - top).exp() / sum } else { 0.0 };
    }
}

/// What is done to the scores of one row before they are given.
pub fn transform(scores: &mut [f64], how: &str) -> Result<(), String> {
    match how {
        "NONE" => {}
        "LOGISTIC" => scores.iter_mut().for_each(|x| *x = logistic(*x)),
        "SOFTMAX" => soft(scores, false),
        "SOFTMAX_ZERO" => soft(scores, true),
        "PROBIT" => {
            let probit = |p: f64| std::f64::consts::SQRT_2 * crate::ops::special::erfinv(2.0 * p - 1.0);
            scores.iter_mut().for_each(|x| *x = probit(*x));
        }
        other => return Err(format!("post_transform `{other}` is not known")),
    }
    Ok(())
}

pub fn best(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |at, i| if scores[i] > scores[at] { i } else { at })
}

/// `(X, classlabels_ints, classlabels_strings, coefficients, intercepts, multi_class, post_transform)`.
pub fn linear_classifier(a: &Args<'_>) -> OpResult {
    let (x, labels, how) = (a.tensor(0)?, labels(a, 1)?, a.str(6)?);
    let (weights, intercepts) = (list(a, 3)?, list(a, 4)?);
    let (all, n, width) = rows(&x)?;
    let n_classes = if width == 0 { 0 } else { weights.len() / width };
    if n_classes == 0
        || weights.len() != n_classes * width
        || !matches!(intercepts.len(), 0 | 1) && intercepts.len() != n_classes
    {
        return Err(format!("{} coefficients for rows of {width}", weights.len()));
    }
    let mut chosen = Vec::with_capacity(n);
    let mut out = Vec::new();
    let mut columns = n_classes;
    for row in all.chunks(width) {
        let mut scores: Vec<f64> = weights
            .chunks(width)
            .enumerate()
            .map(|(i, w)| {
                w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + intercepts.get(i).copied().unwrap_or(0.0)
            })
            .collect();
        let label = |i: usize| labels.get(i).copied().unwrap_or(i as i64);
        if let [score] = scores[..] {
            chosen.push(label(usize::from(score > 0.0)));
            if labels.len() == 2 {
                // The other class of two.
                columns = 2;
                let score = if how == "LOGISTIC" { logistic(score) } else { score };
                out.extend([1.0 - score, score]);
                continue;
            }
        } else {
            chosen.push(label(best(&scores)));
        }
        transform(&mut scores, how)?;
        out.extend(scores);
    }
    pair_of(Tensor::from_vec(chosen, &[n]).map_err(say)?, floats(out, &[n, columns])?)
}

/// `(X, coefficients, intercepts, targets, post_transform)`.
pub fn linear_regressor(a: &Args<'_>) -> OpResult {
    let (x, weights, intercepts, n_targets, how) = (a.tensor(0)?, list(a, 1)?, list(a, 2)?, a.count(3)?, a.str(4)?);
    let (all, n, width) = rows(&x)?;
    if n_targets == 0 || weights.len() != n_targets.saturating_mul(width) || width == 0 {
        return Err(format!("{} coefficients for {n_targets} results of rows of {width}", weights.len()));
    }
    let mut out = Vec::with_capacity(n * n_targets);
    for row in all.chunks(width) {
        let sum = |w: &[f64]| w.iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
        let mut results: Vec<f64> = weights
            .chunks(width)
            .enumerate()
            .map(|(i, w)| sum(w) + intercepts.get(i).copied().unwrap_or(0.0))
            .collect();
        transform(&mut results, how)?;
        out.extend(results);
    }
    Ok(Value::Tensor(floats(out, &[n, n_targets])?))
}

// ---- support vectors ------------------------------------------------------------------------------

struct Kernel {
    kind: String,
    gamma: f64,
    coef0: f64,
    degree: f64,
}

impl Kernel {
    fn read(a: &Args<'_>, params: usize, kind: usize) -> Result<Kernel, String> {
        let numbers = list(a, params)?;
        let nth = |i: usize| numbers.get(i).copied().unwrap_or(0.0);
        Ok(Kernel { kind: a.str(kind)?.to_string(), gamma: nth(0), coef0: nth(1), degree: nth(2) })
    }

    fn of(&self, x: &[f64], y: &[f64]) -> Result<f64, String> {
        let dot = || x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        Ok(match &*self.kind {
            "LINEAR" => dot(),
            "POLY" => (self.gamma * dot() + self.coef0).powf(self.degree),
            "SIGMOID" => (self.gamma * dot() + self.coef0).tanh(),
            "RBF" => (-self.gamma * x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>()).exp(),
            other => return Err(format!("kernel `{other}` is not known")),
        })
    }
}

/// `(X, coefficients, kernel_params, kernel_type, n_supports, one_class, post_transform, rho, support_vectors)`.
pub fn svm_regressor(a: &Args<'_>) -> OpResult {
    let (x, weights, kernel) = (a.tensor(0)?, list(a, 1)?, Kernel::read(a, 2, 3)?);
    let (n_supports, one_class, how, rho, vectors) = (a.count(4)?, a.bool(5)?, a.str(6)?, list(a, 7)?, list(a, 8)?);
    let (all, n, width) = rows(&x)?;
    let fits = match n_supports {
        0 => weights.len() == width,
        m => weights.len() == m && vectors.len() == m.saturating_mul(width),
    };
    if width == 0 || !fits {
        return Err(format!("{} coefficients of {n_supports} vectors for rows of {width}", weights.len()));
    }
    let mut out = Vec::with_capacity(n);
    for row in all.chunks(width) {
        let mut sum = rho.first().copied().unwrap_or(0.0);
        if n_supports == 0 {
            sum += kernel.of(row, &weights)?;
        }
        for (vector, weight) in vectors.chunks(width).zip(&weights) {
            sum += weight * kernel.of(row, vector)?;
        }
        let mut result = [sum];
        transform(&mut result, how)?;
        out.push(if one_class { if result[0] > 0.0 { 1.0 } else { -1.0 } } else { result[0] });
    }
    Ok(Value::Tensor(floats(out, &[n, 1])?))
}

/// Probabilities of classes from those of pairs, as libsvm couples them.
fn coupled(pairs: &[f64], n: usize) -> Vec<f64> {
    let r = |i: usize, j: usize| pairs[i * n + j];
    let mut q = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            q[i * n + j] = match i == j {
                true => (0..n).filter(|&l| l != i).map(|l| r(l, i) * r(l, i)).sum(),
                false => -r(j, i) * r(i, j),
            };
        }
    }
    let mut p = vec![1.0 / n as f64; n];
    let eps = 0.005 / n as f64;
    for _ in 0..100.max(n) {
        let mut qp: Vec<f64> = (0..n).map(|i| (0..n).map(|j| q[i * n + j] * p[j]).sum()).collect();
        let mut pqp: f64 = p.iter().zip(&qp).map(|(p, qp)| p * qp).sum();
        if qp.iter().all(|one| (one - pqp).abs() < eps) {
            break;
        }
        for i in 0..n {
            let diff = (pqp - qp[i]) / q[i * n + i];
            p[i] += diff;
            pqp = (pqp + diff * (diff * q[i * n + i] + 2.0 * qp[i])) / (1.0 + diff) / (1.0 + diff);
            for j in 0..n {
                qp[j] = (qp[j] + diff * q[i * n + j]) / (1.0 + diff);
                p[j] /= 1.0 + diff;
            }
        }
    }
    p
}

/// `(X, classlabels_ints, classlabels_strings, coefficients, kernel_params, kernel_type, post_transform, prob_a, prob_b, rho,
/// support_vectors, vectors_per_class)`.
pub fn svm_classifier(a: &Args<'_>) -> OpResult {
    let (x, labels, weights, kernel) = (a.tensor(0)?, labels(a, 1)?, list(a, 3)?, Kernel::read(a, 4, 5)?);
    let (how, prob_a, prob_b, rho, vectors) = (a.str(6)?, list(a, 7)?, list(a, 8)?, list(a, 9)?, list(a, 10)?);
    let counts: Vec<usize> = ints(a, 11)?.into_iter().map(|n| n.max(0) as usize).collect();
    let (all, n, width) = rows(&x)?;
    let (n_classes, n_vectors) = (counts.len(), counts.iter().fold(0usize, |sum, n| sum.saturating_add(*n)));
    let n_pairs = n_classes * n_classes.saturating_sub(1) / 2;
    if n_classes < 2
        || width == 0
        || vectors.len() != n_vectors.saturating_mul(width)
        || weights.len() != (n_classes - 1).saturating_mul(n_vectors)
        || rho.len() < n_pairs
        || !prob_a.is_empty() && (prob_a.len() < n_pairs || prob_b.len() < n_pairs)
    {
        return Err(format!("{n_vectors} vectors of {n_classes} classes for rows of {width} do not fit their numbers"));
    }
    let starts: Vec<usize> = counts.iter().scan(0, |at, n| Some(std::mem::replace(at, *at + n))).collect();
    let (mut chosen, mut out, mut columns) = (Vec::with_capacity(n), Vec::new(), 0);
    for row in all.chunks(width) {
        let near = vectors.chunks(width).map(|vector| kernel.of(row, vector)).collect::<Result<Vec<f64>, _>>()?;
        let (mut scores, mut votes) = (Vec::with_capacity(n_pairs), vec![0usize; n_classes]);
        for i in 0..n_classes {
            for j in i + 1..n_classes {
                let part = |class: usize, line: usize| {
                    let from = starts[class];
                    let near = &near[from..from + counts[class]];
                    weights[line * n_vectors + from..].iter().zip(near).map(|(w, x)| w * x).sum::<f64>()
                };
                let sum = part(i, j - 1) + part(j, i) + rho[scores.len()];
                votes[if sum > 0.0 { i } else { j }] += 1;
                scores.push(sum);
            }
        }
        let label = |i: usize| labels.get(i).copied().unwrap_or(i as i64);
        // The class that most pairs are for, whatever is likely.
        chosen.push(label((0..n_classes).fold(0, |at, i| if votes[i] > votes[at] { i } else { at })));
        if prob_a.is_empty() {
            if n_classes == 2 {
                let score = scores[0];
                scores = match how {
                    "LOGISTIC" => vec![logistic(-score), logistic(score)],
                    _ => vec![-score, score],
                };
            } else {
                transform(&mut scores, how)?;
            }
        } else {
            let mut pairs = vec![0.0; n_classes * n_classes];
            let mut at = 0;
            for i in 0..n_classes {
                for j in i + 1..n_classes {
                    let p = 1.0 - logistic(scores[at] * prob_a[at] + prob_b[at]);
                    let p = p.clamp(1e-7, 1.0 - 1e-7);
                    (pairs[i * n_classes + j], pairs[j * n_classes + i]) = (p, 1.0 - p);
                    at += 1;
                }
            }
            scores = coupled(&pairs, n_classes);
            transform(&mut scores, how)?;
        }
        columns = scores.len();
        out.extend(scores);
    }
    pair_of(Tensor::from_vec(chosen, &[n]).map_err(say)?, floats(out, &[n, columns])?)
}
