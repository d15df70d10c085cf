//! Layers of transformers as ONNX Runtime's optimiser writes them, of the domain `com.microsoft`.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};

use super::nn::{gemm, heads, turned};
use super::quant::{product, rescaled};
use super::window::{At, conv_with};
use crate::ops::tensor::{ok, say};
use crate::ops::{Args, OpResult};
use crate::value::Value;

fn wrong<T>(what: impl Into<String>) -> Tried<T> {
    Err(TensorError::Argument(what.into()))
}

fn plus(x: Tensor, y: Option<&Tensor>) -> Tried<Tensor> {
    match y {
        Some(y) => k::add(&x, y),
        None => Ok(x),
    }
}

// ---- norms ----------------------------------------------------------------------------------------

/// A norm of a sum; then, when the node asks, the sum itself as the fourth value. The second and third serve training
/// and are never there.
fn of_sum(a: &Args<'_>, sum: Tried<Tensor>, norm: impl Fn(&Tensor) -> Tried<Tensor>, n_outputs: usize) -> OpResult {
    let sum = sum.map_err(say)?;
    let y = norm(&sum).map_err(say)?;
    match a.count(n_outputs)? {
        1 => Ok(Value::Tensor(y)),
        _ => Value::tuple(vec![Value::Tensor(y), Value::None, Value::None, Value::Tensor(sum)]),
    }
}

pub fn skip_layer_norm(a: &Args<'_>) -> OpResult {
    let (scale, beta, bias, eps) = (a.tensor(2)?, a.opt_tensor(3)?, a.opt_tensor(4)?, a.float(5)?);
    let sum = k::add(&*a.tensor(0)?, &*a.tensor(1)?).and_then(|sum| plus(sum, bias.as_deref()));
    of_sum(a, sum, |sum| k::layer_norm(sum, scale.shape(), Some(&*scale), beta.as_deref(), eps), 6)
}

pub fn skip_rms_norm(a: &Args<'_>) -> OpResult {
    let (scale, bias, eps) = (a.tensor(2)?, a.opt_tensor(3)?, a.float(4)?);
    let sum = k::add(&*a.tensor(0)?, &*a.tensor(1)?).and_then(|sum| plus(sum, bias.as_deref()));
    of_sum(a, sum, |sum| k::rms_norm(sum, scale.shape(), Some(&*scale), eps), 5)
}

/// Words, places and segments, added and normalised; then how many words of each text the mask keeps, and the sum.
pub fn embed_layer_norm(a: &Args<'_>) -> OpResult {
    let (ids, words, places) = (a.tensor(0)?, a.tensor(2)?, a.tensor(3)?);
    let (segment_ids, segments) = (a.opt_tensor(1)?, a.opt_tensor(4)?);
    let (scale, beta, mask, place_ids) = (a.tensor(5)?, a.tensor(6)?, a.opt_tensor(7)?, a.opt_tensor(8)?);
    let eps = a.float(9)?;
    let &[batch, length] = ids.shape() else { return Err(format!("takes ids of 2 dimensions, not {:?}", ids.shape())) };
    let made = || {
        let of_places = match &place_ids {
            Some(ids) => k::embedding(&places, ids)?,
            None => places.narrow(0, 0, length)?,
        };
        let mut sum = k::add(&k::embedding(&words, &ids)?, &of_places)?;
        if let Some(segments) = &segments {
            sum = match &segment_ids {
                Some(ids) => k::add(&sum, &k::embedding(segments, ids)?)?,
                None => k::add(&sum, &segments.select(0, 0)?)?,
            };
        }
        let y = k::layer_norm(&sum, scale.shape(), Some(&*scale), Some(&*beta), eps)?;
        let kept = match &mask {
            Some(mask) => k::sum(&mask.to(DType::I32)?, &[1], false)?.to(DType::I32)?,
            None => Tensor::zeros(&[batch], DType::I32)?,
        };
        Ok([y, kept, sum])
    };
    let made: Tried<[Tensor; 3]> = made();
    Value::tuple(made.map_err(say)?.map(Value::Tensor).into())
}

// ---- attention ------------------------------------------------------------------------------------

/// What a mask says as numbers to add to the scores: 0 where a key is seen, else `hidden`. It may hold how many keys
/// each text has (then perhaps where they begin), a flag for each key, or flags for each query and key.
fn mask_bias(mask: &Tensor, [batch, length, total]: [usize; 3], hidden: f64) -> Tried<Tensor> {
    let keys = k::arange(0i64, total as i64, 1i64, DType::I64)?;
    let column = |t: &Tensor| t.to(DType::I64)?.reshape(&[-1, 1, 1, 1]);
    let seen = match *mask.shape() {
        [n] if n == batch => k::lt(&keys, &column(mask)?)?,
        [n] if n == 2 * batch => {
            let (end, start) = (column(&mask.narrow(0, 0, batch)?)?, column(&mask.narrow(0, batch as i64, batch)?)?);
            k::logical_and(&k::lt(&keys, &end)?, &k::ge(&keys, &start)?)?
        }
        [n, keys] if n == batch && keys == total => k::ne(&mask.unsqueeze(1)?.unsqueeze(1)?, 0i64)?,
        [n, queries, keys] if (n, queries, keys) == (batch, length, total) => k::ne(&mask.unsqueeze(1)?, 0i64)?,
        [n, 1, rows, columns] if n == batch && rows >= total && columns >= total => {
            let rows = mask.narrow(2, (total - length) as i64, length)?;
            k::ne(&rows.narrow(3, 0, total)?, 0i64)?
        }
        _ => return wrong(format!("a mask of shape {:?} for {length} queries and {total} keys", mask.shape())),
    };
    k::where_(&seen, 0.0, hidden)
}

/// Numbers to add so that a query sees no key after its own place, nor those `window` places before and further back.
fn causal_bias(length: usize, total: usize, window: Option<i64>) -> Tried<Tensor> {
    let keys = k::arange(0i64, total as i64, 1i64, DType::I64)?;
    let own = k::add(&k::arange(0i64, length as i64, 1i64, DType::I64)?, total as i64 - length as i64)?.unsqueeze(1)?;
    let mut seen = k::le(&keys, &own)?;
    if let Some(window) = window {
        seen = k::logical_and(&seen, &k::gt(&keys, &k::sub(&own, window)?)?)?;
    }
    k::where_(&seen, 0.0, f64::NEG_INFINITY)
}

/// Softmax of scores over `[batch, heads, …]`, fewer heads of keys than of queries being used by several.
struct Attend<'a> {
    scale: Option<f64>,
    softcap: f64,
    /// Added to the scores.
    biases: &'a [Tensor],
}

impl Attend<'_> {
    /// The result with its heads side by side: `[batch, length, heads * width]`.
    fn run(&self, q: &Tensor, key: &Tensor, value: &Tensor) -> Tried<Tensor> {
        let [batch, n_heads, length, width] = *q.shape() else { return wrong("queries without heads") };
        let groups = n_heads / key.size(1)?.max(1);
        let spread = |t: &Tensor| if groups > 1 { k::repeat_interleave(t, groups, 1) } else { Ok(t.clone()) };
        let scale = self.scale.unwrap_or(1.0 / (width as f64).sqrt());
        let mut scores = k::mul(&k::matmul(q, &spread(key)?.transpose(-2, -1)?)?, scale)?;
        if self.softcap > 0.0 {
            scores = k::mul(&k::tanh(&k::div(&scores, self.softcap)?)?, self.softcap)?;
        }
        for bias in self.biases {
            scores = k::add(&scores, &bias.to(q.dtype())?)?;
        }
        let mixed = k::matmul(&k::softmax(&scores, -1)?, &spread(value)?)?;
        let side = n_heads.saturating_mul(value.size(3)?);
        mixed.transpose(1, 2)?.reshape_to(&[batch, length, side])
    }
}

/// A scale of 0 stands for none.
fn scale(a: &Args<'_>, at: usize) -> Result<Option<f64>, String> {
    Ok(a.opt_scalar(at)?.map(Scalar::to_f64).filter(|&scale| scale != 0.0))
}

/// Projects an input to queries, keys and values by one matrix, and attends.
pub fn attention(a: &Args<'_>) -> OpResult {
    let (x, weights, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    if !a.is_none(6) || a.bool(12)? || a.bool(13)? {
        return Err("a cache of a size of its own, and rotary embeddings inside, are not supported".into());
    }
    let all = k::matmul(&x, &weights).and_then(|all| plus(all, bias.as_deref())).map_err(say)?;
    attend_packed(
        a,
        &all,
        Packed { mask: 3, past: 4, bias: Some(5), heads: 7, causal: 8, sizes: Some(9), scale: 10, hidden: 11 },
    )
}

/// As [`attention`], where input and matrix are bytes.
pub fn quantised_attention(a: &Args<'_>) -> OpResult {
    let (x_scale, w_scale, bias) = (a.tensor(3)?, a.tensor(4)?, a.opt_tensor(2)?);
    let (x_zero, w_zero) = (a.opt_tensor(6)?, a.opt_tensor(7)?);
    if a.bool(13)? || a.bool(14)? {
        return Err("a cache of a size of its own, and rotary embeddings inside, are not supported".into());
    }
    let all = product(&*a.tensor(0)?, &*a.tensor(1)?, x_zero.as_deref(), w_zero.as_deref());
    let all = all.and_then(|all| rescaled(&all, [&x_scale, &w_scale], bias.as_deref())).map_err(say)?;
    attend_packed(
        a,
        &all,
        Packed { mask: 5, past: 8, bias: None, heads: 9, causal: 10, sizes: None, scale: 11, hidden: 12 },
    )
}

/// Where the arguments lie that both forms have.
struct Packed {
    mask: usize,
    past: usize,
    bias: Option<usize>,
    heads: usize,
    causal: usize,
    sizes: Option<usize>,
    scale: usize,
    hidden: usize,
}

/// Keys and values that were there before, then the new ones.
fn grown(before: Option<&Tensor>, now: &Tensor) -> Tried<Tensor> {
    match before {
        Some(before) => k::cat(&[before, now], 2),
        None => Ok(now.clone()),
    }
}

/// Attention over queries, keys and values side by side.
fn attend_packed(a: &Args<'_>, all: &Tensor, at: Packed) -> OpResult {
    let (mask, past, n_heads) = (a.opt_tensor(at.mask)?, a.opt_tensor(at.past)?, a.count(at.heads)?);
    let bias = at.bias.map_or(Ok(None), |at| a.opt_tensor(at))?;
    let sizes = at.sizes.map_or(Ok(None), |at| a.opt_ints(at))?;
    let (causal, scale, hidden) = (a.bool(at.causal)?, scale(a, at.scale)?, a.float(at.hidden)?);
    let width = all.size(-1).map_err(say)?;
    let sizes = match sizes {
        Some(sizes) => sizes.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect(),
        None => vec![width / 3; 3],
    };
    let parts = all.split_sizes(&sizes, -1).map_err(say)?;
    let [q, key, value] = &parts[..] else { return Err(format!("qkv_hidden_sizes {sizes:?}")) };
    let (q, key, value) = (heads(q, Some(n_heads))?, heads(key, Some(n_heads))?, heads(value, Some(n_heads))?);
    let made = || {
        let before = |which: i64| past.as_ref().map(|past| past.select(0, which)).transpose();
        let (key, value) = (grown(before(0)?.as_ref(), &key)?, grown(before(1)?.as_ref(), &value)?);
        let biases =
            all_biases(bias.as_deref(), mask.as_deref(), hidden, causal, [q.size(0)?, q.size(2)?, key.size(2)?])?;
        let out = Attend { scale, softcap: 0.0, biases: &biases }.run(&q, &key, &value)?;
        Ok([out, k::stack(&[&key, &value], 0)?])
    };
    let made: Tried<[Tensor; 2]> = made();
    Value::tuple(made.map_err(say)?.map(Value::Tensor).into())
}

/// What is added to the scores: `bias`, what `mask` hides, and all that comes later. `sizes`: of the batch, queries and keys.
fn all_biases(
    bias: Option<&Tensor>,
    mask: Option<&Tensor>,
    hidden: f64,
    causal: bool,
    sizes: [usize; 3],
) -> Tried<Vec<Tensor>> {
    let mut biases: Vec<Tensor> = bias.cloned().into_iter().collect();
    if let Some(mask) = mask {
        biases.push(mask_bias(mask, sizes, hidden)?);
    }
    if causal {
        biases.push(causal_bias(sizes[1], sizes[2], None)?);
    }
    Ok(biases)
}

/// Queries, keys and values come projected; keys and values perhaps with heads.
pub fn multi_head_attention(a: &Args<'_>) -> OpResult {
    let (q, key, value, bias) = (a.tensor(0)?, a.opt_tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let (mask, scores_bias, past_key, past_value) =
        (a.opt_tensor(4)?, a.opt_tensor(5)?, a.opt_tensor(6)?, a.opt_tensor(7)?);
    let (n_heads, hidden, scale, causal) = (a.count(10)?, a.float(11)?, scale(a, 12)?, a.bool(13)?);
    if !a.is_none(8) || !a.is_none(9) {
        return Err("a cache of a size of its own is not supported".into());
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Err("queries, keys and values in one tensor are not supported".into());
    };
    let (mut q, mut key, mut value) = (q.into_owned(), key.into_owned(), value.into_owned());
    if let Some(bias) = &bias {
        let mut at = 0;
        for part in [&mut q, &mut key, &mut value] {
            // Keys and values with heads are from another layer, and had theirs.
            if part.rank() == 3 {
                let n = part.size(-1).map_err(say)?;
                *part = bias.narrow(0, at as i64, n).and_then(|bias| k::add(&*part, &bias)).map_err(say)?;
                at += n;
            }
        }
    }
    let (q, key, value) = (heads(&q, Some(n_heads))?, heads(&key, Some(n_heads))?, heads(&value, Some(n_heads))?);
    let made = || {
        let (key, value) = (grown(past_key.as_deref(), &key)?, grown(past_value.as_deref(), &value)?);
        let biases = all_biases(
            scores_bias.as_deref(),
            mask.as_deref(),
            hidden,
            causal,
            [q.size(0)?, q.size(2)?, key.size(2)?],
        )?;
        let out = Attend { scale, softcap: 0.0, biases: &biases }.run(&q, &key, &value)?;
        Ok([out, key, value])
    };
    let made: Tried<[Tensor; 3]> = made();
    Value::tuple(made.map_err(say)?.map(Value::Tensor).into())
}

/// Tables of angles by place.
struct Rotary {
    cos: Tensor,
    sin: Tensor,
    interleaved: bool,
}

impl Rotary {
    /// `x` is `[batch, heads, length, width]`, `places` `[batch, length]`.
    fn turn(&self, x: &Tensor, places: &Tensor) -> Tried<Tensor> {
        let (cos, sin) = (k::embedding(&self.cos, places)?, k::embedding(&self.sin, places)?);
        let width = cos.size(-1)?.saturating_mul(2);
        turned(&x.transpose(1, 2)?, &cos, &sin, width, self.interleaved)?.transpose(1, 2)
    }
}

pub fn rotary(a: &Args<'_>) -> OpResult {
    let (x, places) = (a.tensor(0)?, a.tensor(1)?);
    let table = Rotary { cos: a.tensor(2)?.into_owned(), sin: a.tensor(3)?.into_owned(), interleaved: a.bool(4)? };
    if a.bool(6)? || a.float(7)? != 1.0 {
        return Err("packed batches and scaled angles are not supported".into());
    }
    let width = table.cos.size(-1).map_err(say)?.saturating_mul(2);
    let n_heads = match a.count(5)? {
        0 => x.size(-1).map_err(say)? / width.max(1),
        n => n,
    };
    let split = heads(&x, Some(n_heads))?;
    let made = || {
        let (batch, length) = (split.size(0)?, split.size(2)?);
        // One number is where all texts begin.
        let places = match places.numel() {
            1 => {
                let steps = k::arange(0i64, length as i64, 1i64, DType::I64)?;
                k::add(&steps, &places.reshape(&[1])?)?.unsqueeze(0)?.expand(&[batch, length])?
            }
            _ => places.clone().into_owned(),
        };
        let out = table.turn(&split, &places)?;
        if x.rank() == 4 { Ok(out) } else { out.transpose(1, 2)?.reshape_to(x.shape()) }
    };
    ok(made())
}

/// Causal attention with fewer heads of keys than of queries, and a cache of which each text uses its own length.
pub fn group_query_attention(a: &Args<'_>) -> OpResult {
    let (n_heads, n_kv) = (a.count(11)?, a.count(12)?);
    let (window, softcap, scale) = (a.int(16)?, a.float(17)?, scale(a, 13)?);
    if a.bool(18)? {
        return Err("a softmax with a sink is not supported".into());
    }
    let x = a.tensor(0)?;
    let parts = match (a.opt_tensor(1)?, a.opt_tensor(2)?) {
        (Some(key), Some(value)) => vec![x.clone().into_owned(), key.into_owned(), value.into_owned()],
        _ => {
            let width = x.size(-1).map_err(say)? / n_kv.saturating_mul(2).saturating_add(n_heads).max(1);
            let sizes = [n_heads.saturating_mul(width), n_kv.saturating_mul(width), n_kv.saturating_mul(width)];
            x.split_sizes(&sizes, -1).map_err(say)?
        }
    };
    let (mut q, mut key, value) =
        (heads(&parts[0], Some(n_heads))?, heads(&parts[1], Some(n_kv))?, heads(&parts[2], Some(n_kv))?);
    let (past_key, past_value, bias) = (a.opt_tensor(3)?, a.opt_tensor(4)?, a.opt_tensor(10)?);
    let (batch, length) = (q.size(0).map_err(say)?, q.size(2).map_err(say)?);
    // How many keys of each text there are with the new ones.
    let totals: Vec<usize> =
        a.tensor(5)?.to_scalars().iter().map(|n| n.to_i64().max(-1).saturating_add(1) as usize).collect();
    if totals.len() != batch || n_kv == 0 || n_heads % n_kv != 0 {
        return Err(format!("{} lengths for {batch} texts, {n_heads} heads over {n_kv}", totals.len()));
    }
    let room = past_key.as_ref().map_or(0, |past| past.shape().get(2).copied().unwrap_or(0));
    // A first call may have texts that end before the longest; later ones add to what each has.
    let before: Vec<usize> = totals.iter().map(|&total| total.saturating_sub(length)).collect();
    if before.iter().any(|&n| n > room) {
        return Err(format!("texts of {totals:?} keys with a cache of {room}"));
    }
    if a.bool(14)? {
        let table = Rotary { cos: a.tensor(7)?.into_owned(), sin: a.tensor(8)?.into_owned(), interleaved: a.bool(15)? };
        let places = match a.opt_tensor(9)? {
            Some(places) => places.into_owned(),
            None => {
                let numbers = before.iter().flat_map(|&n| (n..n + length).map(|place| place as i64));
                Tensor::from_vec(numbers.collect::<Vec<i64>>(), &[batch, length]).map_err(say)?
            }
        };
        q = table.turn(&q, &places).map_err(say)?;
        key = table.turn(&key, &places).map_err(say)?;
    }
    let longest = before.iter().map(|n| n + length).max().unwrap_or(0);
    let present = room.max(longest);
    let made = || {
        let mut outputs = Vec::with_capacity(batch);
        let mut kept: [Vec<Tensor>; 2] = [Vec::new(), Vec::new()];
        for (item, &before) in before.iter().enumerate() {
            let item = item as i64;
            let one = |t: &Tensor| t.narrow(0, item, 1);
            let joined = |past: &Option<std::borrow::Cow<'_, Tensor>>, now: &Tensor| match past {
                Some(past) if before > 0 => k::cat(&[&one(past)?.narrow(2, 0, before)?, &one(now)?], 2),
                _ => one(now),
            };
            let (keys, values) = (joined(&past_key, &key)?, joined(&past_value, &value)?);
            let total = before + length;
            let mut biases = vec![causal_bias(length, total, Some(window).filter(|&n| n >= 0))?];
            if let Some(bias) = &bias {
                let bias = if bias.size(0)? == batch { one(bias)? } else { bias.clone().into_owned() };
                biases.push(bias.narrow(3, 0, total)?);
            }
            outputs.push(Attend { scale, softcap, biases: &biases }.run(&one(&q)?, &keys, &values)?);
            for (kept, t) in kept.iter_mut().zip([keys, values]) {
                kept.push(k::pad(&t, &[0, 0, 0, (present - total) as i64], k::PadMode::Constant(Scalar::Int(0)))?);
            }
        }
        let all = |parts: &[Tensor]| k::cat(&parts.iter().collect::<Vec<_>>(), 0);
        Ok([all(&outputs)?, all(&kept[0])?, all(&kept[1])?])
    };
    let made: Tried<[Tensor; 3]> = made();
    Value::tuple(made.map_err(say)?.map(Value::Tensor).into())
}

// ---- fused ----------------------------------------------------------------------------------------

/// What the optimiser put after a product, with its numbers.
fn activated(y: Tensor, name: &str, numbers: &[f64]) -> OpResult {
    let number = |at: usize, default: f64| numbers.get(at).copied().unwrap_or(default);
    let bounded = |y: &Tensor, low: f64, high: f64| {
        k::clamp(y, Some(Scalar::Float(low).into()), Some(Scalar::Float(high).into())).and_then(|z| z.to(y.dtype()))
    };
    ok(match name {
        "" => Ok(y),
        "Relu" => k::relu(&y),
        "Tanh" => k::tanh(&y),
        "Sigmoid" => k::sigmoid(&y),
        "Softplus" => k::softplus(&y, 1.0, 20.0),
        "LeakyRelu" => k::leaky_relu(&y, number(0, 0.01)),
        "Elu" => k::elu(&y, number(0, 1.0)),
        "Clip" => bounded(&y, number(0, f64::NEG_INFINITY), number(1, f64::INFINITY)),
        "HardSigmoid" => {
            let line = k::mul(&y, number(0, 0.2)).and_then(|y| k::add(&y, number(1, 0.5)));
            line.and_then(|y| bounded(&y, 0.0, 1.0))
        }
        other => return Err(format!("activation `{other}` is not supported")),
    })
}

/// A convolution, a sum with another tensor, an activation.
pub fn fused_conv(a: &Args<'_>) -> OpResult {
    let (x, weight, bias, added) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let at = At { auto_pad: 4, dilations: 5, kernel_shape: 7, pads: 8, strides: 9 };
    let y = conv_with(a, at, a.count(6)?, &x, &weight, bias.as_deref())?;
    let numbers = if a.is_none(11) { Vec::new() } else { a.floats(11)? };
    activated(plus(y, added.as_deref()).map_err(say)?, a.str(10)?, &numbers)
}

/// As `Gemm`, then an activation.
pub fn fused_gemm(a: &Args<'_>) -> OpResult {
    let y = match gemm(a)? {
        Value::Tensor(y) => y,
        other => return Err(format!("gives {}", other.kind())),
    };
    let numbers = (8..=10).map_while(|at| a.opt_scalar(at).ok().flatten()).map(Scalar::to_f64).collect::<Vec<_>>();
    activated(y, a.str(7)?, &numbers)
}
