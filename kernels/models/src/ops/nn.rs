//! Products, activations, normalisation, convolution, attention: the layers of networks.

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::args::{Args, OpResult};
use super::tensor::{ok, say};
use crate::value::Value;

pub fn matmul(a: &Args<'_>) -> OpResult {
    ok(k::matmul(&*a.tensor(0)?, &*a.tensor(1)?))
}

pub fn addmm(a: &Args<'_>) -> OpResult {
    let (c, x, y) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let factor = |at: usize| a.scalar(at).map(|factor| super::extra::fitting(factor, x.dtype()));
    match x.rank() {
        3 => ok(k::baddbmm(&c, &x, &y, factor(3)?, factor(4)?).and_then(|out| out.to(x.dtype()))),
        _ => ok(k::addmm(&c, &x, &y, factor(3)?, factor(4)?).and_then(|out| out.to(x.dtype()))),
    }
}

pub fn linear(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?);
    match (weight.rank(), &bias) {
        // A weight without rows gives no axis.
        (1, None) => ok(k::matmul(&x, &weight)),
        (1, Some(bias)) => ok(k::matmul(&x, &weight).and_then(|product| k::add(&product, &**bias))),
        _ => ok(k::linear(&x, &weight, bias.as_deref())),
    }
}

macro_rules! activations {
    ($($name:ident;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            ok(k::$name(&*a.tensor(0)?))
        }
    )* };
}

activations! {
    relu;
    silu;
    mish;
    sigmoid;
    tanh;
    selu;
    hardsigmoid;
    hardswish;
    softsign;
    log_sigmoid;
}

pub fn gelu(a: &Args<'_>) -> OpResult {
    match a.str(1)? {
        "none" => ok(k::gelu(&*a.tensor(0)?)),
        "tanh" => ok(k::gelu_tanh(&*a.tensor(0)?)),
        other => Err(format!("approximate `{other}` is none of none and tanh")),
    }
}

pub fn elu(a: &Args<'_>) -> OpResult {
    if a.float(2)? != 1.0 || a.float(3)? != 1.0 {
        return Err("scales other than 1 are not supported".into());
    }
    ok(k::elu(&*a.tensor(0)?, a.float(1)?))
}

pub fn celu(a: &Args<'_>) -> OpResult {
    ok(k::celu(&*a.tensor(0)?, a.float(1)?))
}

pub fn leaky_relu(a: &Args<'_>) -> OpResult {
    ok(k::leaky_relu(&*a.tensor(0)?, a.float(1)?))
}

pub fn relu6(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::relu6(&x).and_then(|out| out.to(x.dtype())))
}

pub fn prelu(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::prelu(&x, &*a.tensor(1)?).and_then(|out| out.reshape_to(x.shape())))
}

pub fn softplus(a: &Args<'_>) -> OpResult {
    ok(k::softplus(&*a.tensor(0)?, a.float(1)?, a.float(2)?))
}

pub fn softshrink(a: &Args<'_>) -> OpResult {
    ok(k::softshrink(&*a.tensor(0)?, a.float(1)?))
}

pub fn hardshrink(a: &Args<'_>) -> OpResult {
    ok(k::hardshrink(&*a.tensor(0)?, a.float(1)?))
}

/// When a model runs, the slope is the middle of the range that training draws from.
pub fn rrelu(a: &Args<'_>) -> OpResult {
    if a.bool(3)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    ok(k::leaky_relu(&*a.tensor(0)?, (a.float(1)? + a.float(2)?) / 2.0))
}

pub fn outer(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    if x.rank() != 1 || y.rank() != 1 {
        return Err(format!("takes two vectors, not shapes {:?} and {:?}", x.shape(), y.shape()));
    }
    ok(x.unsqueeze(1).and_then(|x| k::mul(&x, &*y)))
}

/// `x1 @ weight[o] @ x2` for each output `o`.
pub fn bilinear(a: &Args<'_>) -> OpResult {
    let (x, y, weight, bias) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.opt_tensor(3)?);
    let [out, n, m] = *weight.shape() else { return Err(format!("weights of shape {:?}", weight.shape())) };
    let made = || {
        let of_y = k::linear(&y, &weight.reshape_to(&[out.saturating_mul(n), m])?, None)?;
        let of_y = of_y.unflatten(-1, &[out as i64, n as i64])?;
        let all = k::sum(&k::mul(&of_y, &x.unsqueeze(-2)?)?, &[-1], false)?;
        match bias.as_deref() {
            Some(bias) => k::add(&all, bias),
            None => Ok(all),
        }
    };
    ok(made())
}

pub fn cosine_similarity(a: &Args<'_>) -> OpResult {
    let (x, y, dim, eps) = (a.tensor(0)?, a.tensor(1)?, a.int(2)?, a.float(3)?);
    let made = || {
        let shape = stark_shapes::rules::broadcast(x.shape(), y.shape())?;
        let (x, y) = (x.expand(&shape)?, y.expand(&shape)?);
        let length = |t: &Tensor| k::clamp(&k::norm(t, 2.0, &[dim], true)?, Some(Scalar::Float(eps).into()), None);
        let (x, y) = (k::div(&x, &length(&x)?)?, k::div(&y, &length(&y)?)?);
        k::sum(&k::mul(&x, &y)?, &[dim], false)
    };
    ok(made())
}

pub fn pairwise_distance(a: &Args<'_>) -> OpResult {
    let difference = k::sub(&*a.tensor(0)?, &*a.tensor(1)?).and_then(|d| k::add(&d, a.float(3).unwrap_or(0.0)));
    ok(difference.and_then(|d| k::norm(&d, a.float(2).unwrap_or(2.0), &[-1], a.bool(4).unwrap_or(false))))
}

/// The distance of each row of one to each row of the other.
pub fn cdist(a: &Args<'_>) -> OpResult {
    let (x, y, p) = (a.tensor(0)?, a.tensor(1)?, a.float(2)?);
    if x.rank() < 2 || y.rank() < 2 {
        return Err(format!("takes rows, not shapes {:?} and {:?}", x.shape(), y.shape()));
    }
    let made = || k::norm(&k::sub(&x.unsqueeze(-2)?, &y.unsqueeze(-3)?)?, p, &[-1], false);
    ok(made())
}

/// Directions of length 1 along all axes but `dim`, times their lengths.
pub fn weight_norm(a: &Args<'_>) -> OpResult {
    let (v, g) = (a.tensor(0)?, a.tensor(1)?);
    let kept = stark_shapes::rules::axis(a.int(2)?, v.rank()).map_err(say)?;
    let axes: Vec<i64> = (0..v.rank()).filter(|&axis| axis != kept).map(|axis| axis as i64).collect();
    let made = || {
        // Of vectors, each number is its own direction: no axes would mean all of them.
        let norm = if axes.is_empty() { k::abs(&v)? } else { k::norm(&v, 2.0, &axes, true)? };
        k::mul(&*v, &k::div(&*g, &norm)?)
    };
    ok(made())
}

/// `[.., c, h * r, w * r]` to `[.., c * r², h, w]`.
pub fn pixel_unshuffle(a: &Args<'_>) -> OpResult {
    let (x, r) = (a.tensor(0)?, a.count(1)?);
    let [lead @ .., c, h, w] = x.shape() else { return Err(format!("needs planes, not shape {:?}", x.shape())) };
    if r == 0 || h % r != 0 || w % r != 0 {
        return Err(format!("pixel_unshuffle by {r} does not fit shape {:?}", x.shape()));
    }
    let n = lead.iter().fold(1usize, |n, &size| n.saturating_mul(size));
    let mut shape = lead.to_vec();
    shape.extend([c.saturating_mul(r.saturating_mul(r)), h / r, w / r]);
    let made = || {
        let parts = x.reshape_to(&[n, *c, h / r, r, w / r, r])?;
        parts.permute(&[0, 1, 3, 5, 2, 4])?.reshape_to(&shape)
    };
    ok(made())
}

/// The channels of all groups in turn.
pub fn channel_shuffle(a: &Args<'_>) -> OpResult {
    let (x, groups) = (a.tensor(0)?, a.count(1)?);
    let c = x.size(1).map_err(say)?;
    if groups == 0 || c % groups != 0 {
        return Err(format!("{c} channels do not split into {groups} groups"));
    }
    let made = || {
        let split = x.unflatten(1, &[groups as i64, (c / groups) as i64])?;
        split.transpose(1, 2)?.reshape_to(x.shape())
    };
    ok(made())
}

pub fn threshold(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    ok(k::threshold(&x, a.float(1)?, a.float(2)?).and_then(|out| out.to(x.dtype())))
}

pub fn glu(a: &Args<'_>) -> OpResult {
    ok(k::glu(&*a.tensor(0)?, a.int(1)?))
}

fn in_dtype(a: &Args<'_>, index: usize) -> Result<Tensor, String> {
    let t = a.tensor(0)?;
    t.to(a.dtype(index)?.unwrap_or(t.dtype())).map_err(say)
}

pub fn softmax(a: &Args<'_>) -> OpResult {
    ok(k::softmax(&in_dtype(a, 2)?, a.int(1)?))
}

pub fn log_softmax(a: &Args<'_>) -> OpResult {
    ok(k::log_softmax(&in_dtype(a, 2)?, a.int(1)?))
}

/// Dropout is for training; when a model runs it changes nothing.
pub fn dropout(a: &Args<'_>) -> OpResult {
    if a.bool(2)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    Ok(a.get(0).clone())
}

pub fn layer_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    ok(k::layer_norm(&*a.tensor(0)?, &a.sizes(1)?, weight.as_deref(), bias.as_deref(), a.float(4)?))
}

pub fn rms_norm(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let epsilon = match x.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let eps = a.opt_scalar(3)?.map_or(epsilon, |eps| eps.to_f64());
    ok(k::rms_norm(&x, &a.sizes(1)?, a.opt_tensor(2)?.as_deref(), eps))
}

/// With the mean and the inverse of the deviation of what each number was normalised with.
pub fn layer_norm_with_statistics(a: &Args<'_>) -> OpResult {
    let (x, n) = (a.tensor(0)?, a.sizes(1)?.len() as i64);
    let axes: Vec<i64> = (-n..0).collect();
    with_statistics(layer_norm(a)?, &x, &axes, a.float(4)?, true)
}

pub fn group_norm_with_statistics(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.opt_tensor(1)?, a.opt_tensor(2)?);
    let (groups, eps) = (a.count(6)?, a.float(7)?);
    let out = k::group_norm(&x, groups, weight.as_deref(), bias.as_deref(), eps).map(Value::Tensor).map_err(say)?;
    let n = x.shape().first().copied().unwrap_or(1);
    let rest = x.shape().iter().skip(1).product::<usize>() / groups.max(1);
    let parts = x.reshape_to(&[n, groups, rest]).map_err(say)?;
    with_statistics(out, &parts, &[-1], eps, false)
}

fn with_statistics(out: Value, x: &Tensor, axes: &[i64], eps: f64, keep: bool) -> OpResult {
    let made = || {
        let wide = if x.dtype() == DType::F64 { x.clone() } else { x.to(DType::F32)? };
        let inverse = k::rsqrt(&k::add(&k::var(&wide, axes, 0.0, keep)?, eps)?)?;
        Ok((k::mean(&wide, axes, keep)?.to(x.dtype())?, inverse.to(x.dtype())?))
    };
    let (mean, inverse) = made().map_err(|e: stark_kernels::TensorError| e.to_string())?;
    Value::tuple(vec![out, Value::Tensor(mean), Value::Tensor(inverse)])
}

pub fn batch_norm(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.opt_tensor(1)?, a.opt_tensor(2)?);
    let (weight, bias, eps) = (weight.as_deref(), bias.as_deref(), a.float(7)?);
    match (a.opt_tensor(3)?, a.opt_tensor(4)?) {
        _ if x.rank() < 2 => Err(format!("batch norm needs channels, not shape {:?}", x.shape())),
        (Some(_), Some(_)) if a.bool(5)? => Err("the model is in training mode; export it after model.eval()".into()),
        (Some(mean), Some(var)) => ok(k::batch_norm(&x, &mean, &var, weight, bias, eps)),
        // A layer that keeps no statistics takes those of the batch.
        _ => {
            let axes: Vec<i64> = (0..x.rank() as i64).filter(|&axis| axis != 1).collect();
            let mean = k::mean(&x, &axes, false).map_err(say)?;
            let var = k::var(&x, &axes, 0.0, false).map_err(say)?;
            ok(k::batch_norm(&x, &mean, &var, weight, bias, eps))
        }
    }
}

pub fn group_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    ok(k::group_norm(&*a.tensor(0)?, a.count(1)?, weight.as_deref(), bias.as_deref(), a.float(4)?))
}

pub fn instance_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    let x = a.tensor(0)?;
    match (a.bool(5)?, a.opt_tensor(3)?, a.opt_tensor(4)?) {
        (false, Some(mean), Some(var)) => {
            ok(k::batch_norm(&x, &mean, &var, weight.as_deref(), bias.as_deref(), a.float(7)?))
        }
        _ => ok(k::instance_norm(&x, weight.as_deref(), bias.as_deref(), a.float(7)?)),
    }
}

pub fn embedding(a: &Args<'_>) -> OpResult {
    ok(k::embedding(&*a.tensor(0)?, &*a.tensor(1)?))
}

/// Gives four values, of which models use the first: the rest serve training.
pub fn embedding_bag(a: &Args<'_>) -> OpResult {
    let mode = match a.int(4)? {
        0 => k::Bag::Sum,
        1 => k::Bag::Mean,
        2 => k::Bag::Max,
        mode => return Err(format!("mode {mode} is none of 0, 1 and 2")),
    };
    let (offsets, weights) = (a.opt_tensor(2)?, a.opt_tensor(6)?);
    // -1 is "no padding" here: the operator takes none but rows of the table.
    let padding = a.opt_int(8)?.filter(|&row| row >= 0);
    let out = k::embedding_bag(
        &*a.tensor(0)?,
        &*a.tensor(1)?,
        offsets.as_deref(),
        mode,
        padding,
        weights.as_deref(),
        a.bool(7)?,
    );
    Value::tuple(vec![Value::Tensor(out.map_err(say)?), Value::None, Value::None, Value::None])
}

pub fn pixel_shuffle(a: &Args<'_>) -> OpResult {
    ok(k::pixel_shuffle(&*a.tensor(0)?, a.count(1)?))
}

pub fn pad(a: &Args<'_>) -> OpResult {
    let mode = match a.str(2)? {
        "constant" => k::PadMode::Constant(a.opt_scalar(3)?.unwrap_or(Scalar::Int(0))),
        "reflect" => k::PadMode::Reflect,
        "replicate" => k::PadMode::Replicate,
        "circular" => return ok(pad_circular(&*a.tensor(0)?, &a.ints(1)?)),
        mode => return Err(format!("mode `{mode}` is not known")),
    };
    ok(k::pad(&*a.tensor(0)?, &a.ints(1)?, mode))
}

/// Sides below zero are cut off first, and what is left goes round.
fn pad_circular(x: &Tensor, sides: &[i64]) -> stark_kernels::Result<Tensor> {
    let mut x = x.clone();
    for (i, pair) in sides.chunks_exact(2).enumerate() {
        let axis = -1 - i as i64;
        let n = x.size(axis)? as i64;
        let (from, to) = (pair[0].min(0).saturating_neg(), n.saturating_add(pair[1].min(0)));
        x = x.slice(axis, from.min(n), to.max(0), 1)?;
    }
    let sides: Vec<i64> = sides.iter().map(|&side| side.max(0)).collect();
    k::pad(&x, &sides, k::PadMode::Circular)
}

pub fn constant_pad(a: &Args<'_>) -> OpResult {
    ok(k::pad(&*a.tensor(0)?, &a.ints(1)?, k::PadMode::Constant(a.scalar(2)?)))
}

pub fn attention(a: &Args<'_>) -> OpResult {
    let (options, mask) = (attention_options(a)?, a.opt_tensor(3)?);
    ok(k::scaled_dot_product_attention(&*a.tensor(0)?, &*a.tensor(1)?, &*a.tensor(2)?, mask.as_deref(), options))
}

/// What the arguments of `torch.scaled_dot_product_attention` behind its mask say.
pub fn attention_options(a: &Args<'_>) -> Result<k::Attention, String> {
    if a.float(4)? != 0.0 {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    Ok(k::Attention {
        causal: a.bool(5)?,
        scale: a.opt_scalar(6)?.map(Scalar::to_f64),
        grouped: a.bool(7)?,
        unseen_is_nan: false,
    })
}

/// The weights of `torch._native_multi_head_attention`: three linear layers in one, and the one behind.
struct HeadWeights<'a> {
    width: usize,
    heads: usize,
    /// `[3 * width, width]`
    weight: &'a Tensor,
    bias: &'a Tensor,
    out_weight: &'a Tensor,
    out_bias: &'a Tensor,
}

impl HeadWeights<'_> {
    /// What linear layer `i` of the three makes of `x`, as `[batch, heads, length, width / heads]`.
    fn part(&self, x: &Tensor, i: i64) -> stark_kernels::Result<Tensor> {
        let weight = self.weight.narrow(0, i * self.width as i64, self.width)?;
        let bias = self.bias.narrow(0, i * self.width as i64, self.width)?;
        let rows = k::linear(x, &weight, Some(&bias))?;
        let (batch, length) = (rows.size(0)?, rows.size(1)?);
        rows.reshape_to(&[batch, length, self.heads, self.width / self.heads])?.transpose(1, 2)
    }
}

/// Attention of several heads over `[batch, length, width]`.
fn multi_head(
    [query, key, value]: [&Tensor; 3],
    weights: &HeadWeights<'_>,
    mask: Option<&Tensor>,
) -> stark_kernels::Result<Tensor> {
    let (q, key, v) = (weights.part(query, 0)?, weights.part(key, 1)?, weights.part(value, 2)?);
    let options = k::Attention { unseen_is_nan: true, ..k::Attention::default() };
    let mixed = k::scaled_dot_product_attention(&q, &key, &v, mask, options)?;
    let (batch, length) = (mixed.size(0)?, mixed.size(2)?);
    let mixed = mixed.transpose(1, 2)?.reshape_to(&[batch, length, weights.width])?;
    k::linear(&mixed, weights.out_weight, Some(weights.out_bias))
}

/// How much each place of `query` attends to each of `key`, `[batch, heads, length, length]`. [`multi_head`] never makes this
/// tensor, so who asks for it pays for the two linear layers again.
fn attended(
    [query, key]: [&Tensor; 2],
    weights: &HeadWeights<'_>,
    mask: Option<&Tensor>,
) -> stark_kernels::Result<Tensor> {
    let (q, key) = (weights.part(query, 0)?, weights.part(key, 1)?);
    let scale = 1.0 / ((weights.width / weights.heads) as f64).sqrt();
    let mut scores = k::matmul(&k::mul(&q, scale)?, &key.transpose(-2, -1)?)?;
    if let Some(keep) = mask {
        scores = k::where_(keep, &scores, f64::NEG_INFINITY)?;
    }
    k::softmax(&scores, -1)
}

/// What to keep, of a mask in argument `at` that says what to leave out. Kind 0 is `[length, length]`, 1 `[batch, length]`, 2
/// `[batch, heads, length, length]`. One of numbers leaves out where it is not 0, as PyTorch's operators have it.
fn kept(a: &Args<'_>, at: usize, kind: usize) -> Result<Option<Tensor>, String> {
    let Some(mask) = a.opt_tensor(at)? else { return Ok(None) };
    let keep = k::logical_not(&mask.to(DType::Bool).map_err(say)?).map_err(say)?;
    Ok(Some(match (a.opt_int(kind)?, keep.rank()) {
        (Some(1), 2) => keep.unsqueeze(1).and_then(|m| m.unsqueeze(1)).map_err(say)?,
        _ => keep,
    }))
}

/// The width and the number of heads, in arguments `at` and the next.
fn heads(a: &Args<'_>, at: usize) -> Result<(usize, usize), String> {
    let (width, heads) = (a.count(at)?, a.count(at + 1)?);
    if heads == 0 || width % heads != 0 {
        return Err(format!("{width} numbers do not split into {heads} heads"));
    }
    Ok((width, heads))
}

/// The attention of a transformer layer in one operator, and how much each place attends to each where that is asked for.
pub fn native_attention(a: &Args<'_>) -> OpResult {
    let (query, key, value) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    let (width, heads) = heads(a, 3)?;
    let (weight, bias, out_weight, out_bias) = (a.tensor(5)?, a.tensor(6)?, a.tensor(7)?, a.tensor(8)?);
    let (weight, bias, out_weight, out_bias) = (&*weight, &*bias, &*out_weight, &*out_bias);
    let weights = HeadWeights { width, heads, weight, bias, out_weight, out_bias };
    let mask = kept(a, 9, 12)?;
    let out = multi_head([&query, &key, &value], &weights, mask.as_ref()).map_err(say)?;
    if !a.bool(10)? {
        return Value::tuple(vec![Value::Tensor(out), Value::None]);
    }
    let each = attended([&query, &key], &weights, mask.as_ref()).map_err(say)?;
    let given = if a.bool(11)? { k::mean(&each, &[1], false).map_err(say)? } else { each };
    Value::tuple(vec![Value::Tensor(out), Value::Tensor(given)])
}

/// A whole layer of a transformer's encoder in one operator, as `nn.TransformerEncoderLayer` runs it without gradients.
pub fn encoder_layer(a: &Args<'_>) -> OpResult {
    let (width, heads) = heads(a, 1)?;
    let (is_gelu, norms_first, eps) = (a.bool(7)?, a.bool(8)?, a.float(9)?);
    let src = a.tensor(0)?;
    let weights: Vec<_> =
        [3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17].map(|i| a.tensor(i)).into_iter().collect::<Result<_, _>>()?;
    let [
        weight,
        bias,
        out_weight,
        out_bias,
        norm_1,
        norm_bias_1,
        norm_2,
        norm_bias_2,
        ffn_1,
        ffn_bias_1,
        ffn_2,
        ffn_bias_2,
    ] = &weights[..]
    else {
        unreachable!("twelve were asked for")
    };
    let mask = kept(a, 18, 19)?;
    let first = |x: &Tensor| k::layer_norm(x, &[width], Some(norm_1), Some(norm_bias_1), eps);
    let second = |x: &Tensor| k::layer_norm(x, &[width], Some(norm_2), Some(norm_bias_2), eps);
    let made = || {
        let weights = HeadWeights { width, heads, weight, bias, out_weight, out_bias };
        let x = if norms_first { first(&src)? } else { src.clone().into_owned() };
        let x = k::add(&multi_head([&x, &x, &x], &weights, mask.as_ref())?, &*src)?;
        let x = if norms_first { x } else { first(&x)? };
        let inner = if norms_first { second(&x)? } else { x.clone() };
        let inner = k::linear(&inner, ffn_1, Some(ffn_bias_1))?;
        let inner = if is_gelu { k::gelu(&inner)? } else { k::relu(&inner)? };
        let x = k::add(&k::linear(&inner, ffn_2, Some(ffn_bias_2))?, &x)?;
        if norms_first { Ok(x) } else { second(&x) }
    };
    ok(made())
}
