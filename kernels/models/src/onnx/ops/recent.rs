//! Operators of the newest versions, texts as counts, convolutions whose windows move, and bits.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};
use stark_shapes::Conv;

use crate::ops::tensor::{ok, pair_of, say};
use crate::ops::vision::numbers;
use crate::ops::{Args, OpResult};
use crate::value::Value;

/// The same bytes as numbers of another type, as wide.
pub fn bit_cast(a: &Args<'_>) -> OpResult {
    let (x, dtype) = (a.tensor(0)?, a.dtype(1)?.ok_or("no type is named")?);
    if x.dtype().size() != dtype.size() {
        return Err(format!("takes a type of {} bytes, not {dtype}", x.dtype().size()));
    }
    let made = || Tensor::from_bytes(&x.contiguous()?.to_bytes()?, dtype, x.shape());
    ok(made())
}

/// `[b, t, h * d]` as `[b, h, t, d]`.
fn heads(x: &Tensor, n: usize) -> Tried<Tensor> {
    let [b, t, width] = *x.shape() else {
        return Err(TensorError::Argument(format!("takes [batch, time, heads], not shape {:?}", x.shape())));
    };
    if n == 0 || width % n != 0 {
        return Err(TensorError::Argument(format!("{width} columns for {n} heads")));
    }
    x.to(DType::F32)?.reshape_to(&[b, t, n, width / n])?.permute(&[0, 2, 1, 3])
}

/// `(query, key, value, past_state, decay, beta, chunk_size, kv_num_heads, q_num_heads, scale, update_rule)`.
pub fn linear_attention(a: &Args<'_>) -> OpResult {
    let (query, value) = (a.tensor(0)?, a.tensor(2)?);
    let (n_kv, n_q, rule) = (a.count(7)?, a.count(8)?, a.str(10)?);
    if n_kv == 0 || n_q % n_kv != 0 {
        return Err(format!("{n_q} heads of queries share {n_kv} of keys"));
    }
    let (is_gated, is_delta) = match rule {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(format!("update_rule `{other}` is not known")),
    };
    let (decay, beta, past) = (a.opt_tensor(4)?, a.opt_tensor(5)?, a.opt_tensor(3)?);
    if decay.is_some() != is_gated || beta.is_some() != is_delta {
        return Err(format!("update_rule `{rule}` with other inputs than its own"));
    }
    let made = || {
        let (q, key, v) =
            (heads(&query, n_q)?, heads(&*a.tensor(1).map_err(TensorError::Argument)?, n_kv)?, heads(&value, n_kv)?);
        let (b, t, d_k, d_v) = (q.size(0)?, q.size(2)?, q.size(3)?, v.size(3)?);
        // One number for each head, or for each of its keys.
        let decay = decay.map(|decay| heads(&decay, n_kv)).transpose()?;
        let beta = beta.map(|beta| heads(&beta, beta.size(-1)?)).transpose()?;
        let mut state = match &past {
            Some(past) => past.to(DType::F32)?,
            None => Tensor::zeros(&[b, n_kv, d_k, d_v], DType::F32)?,
        };
        let scale = match a.float(9).map_err(TensorError::Argument)? {
            0.0 => 1.0 / (d_k as f64).sqrt(),
            scale => scale,
        };
        let mut out = Vec::with_capacity(t);
        for i in 0..t as i64 {
            let (q, key, mut v) = (q.select(2, i)?, key.select(2, i)?, v.select(2, i)?);
            if let Some(decay) = &decay {
                state = k::mul(&state, &k::exp(&decay.select(2, i)?)?.unsqueeze(-1)?)?;
            }
            if let Some(beta) = &beta {
                let known = k::matmul(&key.unsqueeze(-2)?, &state)?.squeeze(&[-2])?;
                v = k::mul(&beta.select(2, i)?, &k::sub(&v, &known)?)?;
            }
            state = k::add(&state, &k::mul(&key.unsqueeze(-1)?, &v.unsqueeze(-2)?)?)?;
            let shared = match n_q / n_kv {
                1 => state.clone(),
                n => k::repeat_interleave(&state, n, 1)?,
            };
            out.push(k::mul(&k::matmul(&q.unsqueeze(-2)?, &shared)?.squeeze(&[-2])?, scale)?);
        }
        let out = match out.is_empty() {
            true => Tensor::zeros(&[b, t, n_q * d_v], DType::F32)?,
            false => k::stack(&out.iter().collect::<Vec<_>>(), 1)?.reshape_to(&[b, t, n_q * d_v])?,
        };
        let state_type = past.as_ref().map_or(query.dtype(), |past| past.dtype());
        Ok((out.to(query.dtype())?, state.to(state_type)?))
    };
    let (out, state) = made().map_err(|e: TensorError| e.to_string())?;
    pair_of(out, state)
}

/// `(input, weight, bias, past_state, activation)`: each channel by itself, over what came before.
pub fn causal_conv(a: &Args<'_>) -> OpResult {
    let (x, weight, bias, past) = (a.tensor(0)?, a.tensor(1)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let made = || {
        let ([b, c, _], [_, 1, width]) = (x.shape(), weight.shape()) else {
            let reason = format!("shapes {:?} and {:?} are no channels and their windows", x.shape(), weight.shape());
            return Err(TensorError::Argument(reason));
        };
        let before = match past {
            Some(past) => past.to(x.dtype())?,
            None => Tensor::zeros(&[*b, *c, width.saturating_sub(1)], x.dtype())?,
        };
        let padded = k::cat(&[&before, &x], 2)?;
        let out = k::conv1d(&padded, &weight, bias.as_deref(), Conv::default(), *c)?;
        let out = match a.str(4).map_err(TensorError::Argument)? {
            "none" => out,
            "silu" | "swish" => k::silu(&out)?,
            other => return Err(TensorError::Argument(format!("activation `{other}` is not known"))),
        };
        let keep = width.saturating_sub(1);
        Ok((out, padded.narrow(2, (padded.size(2)? - keep) as i64, keep)?.contiguous()?))
    };
    let (out, state) = made().map_err(|e: TensorError| e.to_string())?;
    pair_of(out, state)
}

/// What a convolution whose windows move is told besides its tensors.
pub struct Moving {
    pub stride: [usize; 2],
    /// Before and behind, rows first.
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub offset_groups: usize,
}

/// A convolution that reads each element of its windows where `offset` moves it, times `mask`.
pub fn deformed(
    x: &Tensor,
    weight: &Tensor,
    offset: &Tensor,
    bias: Option<&Tensor>,
    mask: Option<&Tensor>,
    how: &Moving,
) -> Result<Tensor, String> {
    let ([n, c, h, w], [out_c, in_c, kh, kw]) = (&x.shape(), &weight.shape()) else {
        return Err(format!("takes planes and windows, not shapes {:?} and {:?}", x.shape(), weight.shape()));
    };
    let (n, c, h, w, out_c, in_c, kh, kw) = (*n, *c, *h, *w, *out_c, *in_c, *kh, *kw);
    let Moving { stride, padding, dilation, groups, offset_groups } = *how;
    let most = 1 << 24;
    let sizes = [kh, kw, stride[0], stride[1], dilation[0], dilation[1], groups, offset_groups];
    if sizes.iter().any(|&n| n == 0 || n > most) || padding.iter().any(|&n| n > most) {
        return Err("sizes of windows must be from 1 to 2^24".into());
    }
    if in_c.checked_mul(groups) != Some(c) || out_c % groups != 0 || c % offset_groups != 0 {
        return Err(format!("{c} channels for windows of {in_c}, {groups} groups and {offset_groups} of offsets"));
    }
    let along = |size: usize, before: usize, behind: usize, kernel: usize, dilation: usize, stride: usize| {
        (size + before + behind).checked_sub(dilation * (kernel - 1) + 1).map(|room| room / stride + 1)
    };
    let tall = along(h, padding[0], padding[2], kh, dilation[0], stride[0]);
    let wide = along(w, padding[1], padding[3], kw, dilation[1], stride[1]);
    let (Some(tall), Some(wide)) = (tall, wide) else {
        return Err(format!("windows of {kh} x {kw} do not fit {h} x {w}"));
    };
    let (places, window) = (tall * wide, kh * kw);
    if offset.shape() != [n, offset_groups * window * 2, tall, wide]
        || mask.is_some_and(|mask| mask.shape() != [n, offset_groups * window, tall, wide])
    {
        return Err(format!("offsets of shape {:?} for {tall} x {wide} places", offset.shape()));
    }
    // Memory is asked for before numbers are made.
    let rows = c.saturating_mul(window);
    Tensor::zeros(&[n, rows, places], DType::F64).map_err(say)?;
    let (image, offsets) = (numbers(x)?, numbers(offset)?);
    let masks = mask.map(numbers).transpose()?;
    let mut columns = vec![0.0f64; n * rows * places];
    for item in 0..n {
        for channel in 0..c {
            let plane = &image[(item * c + channel) * h * w..][..h * w];
            let group = channel / (c / offset_groups);
            for at in 0..window {
                let moved = (item * offset_groups + group) * window + at;
                let row = ((item * c + channel) * window + at) * places;
                for place in 0..places {
                    let (i, j) = (place / wide, place % wide);
                    let y = (i * stride[0] + at / kw * dilation[0]) as f64 - padding[0] as f64
                        + offsets[moved * 2 * places + place];
                    let z = (j * stride[1] + at % kw * dilation[1]) as f64 - padding[1] as f64
                        + offsets[(moved * 2 + 1) * places + place];
                    let weight = masks.as_ref().map_or(1.0, |masks| masks[moved * places + place]);
                    columns[row + place] = weight * between(plane, h, w, y, z);
                }
            }
        }
    }
    let made = || {
        let columns = Tensor::from_vec(columns, &[n, groups, rows / groups, places])?;
        let weight = weight.to(DType::F64)?.reshape_to(&[1, groups, out_c / groups, rows / groups])?;
        let out = k::matmul(&weight.expand(&[n, groups, out_c / groups, rows / groups])?, &columns)?;
        let out = out.reshape_to(&[n, out_c, tall, wide])?.to(x.dtype())?;
        match bias {
            Some(bias) => k::add(&out, &bias.reshape_to(&[out_c, 1, 1])?),
            None => Ok(out),
        }
    };
    made().map_err(|e: TensorError| e.to_string())
}

/// The number at a place between others, zeros outside.
fn between(plane: &[f64], h: usize, w: usize, y: f64, x: f64) -> f64 {
    if !(y > -1.0 && x > -1.0 && y < h as f64 && x < w as f64) {
        return 0.0;
    }
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let at = |i: f64, j: f64| match i >= 0.0 && j >= 0.0 && i < h as f64 && j < w as f64 {
        true => plane[i as usize * w + j as usize],
        false => 0.0,
    };
    (1.0 - down) * ((1.0 - right) * at(top, left) + right * at(top, left + 1.0))
        + down * ((1.0 - right) * at(top + 1.0, left) + right * at(top + 1.0, left + 1.0))
}

/// `(X, W, offset, B, mask, dilations, group, kernel_shape, offset_group, pads, strides)`.
pub fn deform_conv(a: &Args<'_>) -> OpResult {
    let two = |at: usize| -> Result<[usize; 2], String> {
        match a.opt_ints(at)? {
            None => Ok([1, 1]),
            Some(_) => a.sizes(at)?.to_vec().try_into().map_err(|_| "a window has two axes".to_string()),
        }
    };
    let padding = match a.opt_ints(9)? {
        None => [0; 4],
        Some(_) => a.sizes(9)?.to_vec().try_into().map_err(|_| "pads are four numbers".to_string())?,
    };
    let how = Moving { stride: two(10)?, padding, dilation: two(5)?, groups: a.count(6)?, offset_groups: a.count(8)? };
    let (bias, mask) = (a.opt_tensor(3)?, a.opt_tensor(4)?);
    deformed(&*a.tensor(0)?, &*a.tensor(1)?, &*a.tensor(2)?, bias.as_deref(), mask.as_deref(), &how).map(Value::Tensor)
}

/// How often the n-grams of a list come in each row: `(X, max_gram_length, max_skip_count, min_gram_length, mode,
/// ngram_counts, ngram_indexes, pool_int64s, pool_strings, weights)`.
pub fn tf_idf(a: &Args<'_>) -> OpResult {
    if !a.is_none(8) {
        return Err("n-grams of texts are not supported".into());
    }
    let (x, longest, most_skips, shortest, mode) = (a.tensor(0)?, a.count(1)?, a.count(2)?, a.count(3)?, a.str(4)?);
    let (starts, columns, pool) = (a.sizes(5)?, a.sizes(6)?, a.ints(7)?);
    let weights = if a.is_none(9) { Vec::new() } else { a.floats(9)? };
    let width = columns.iter().max().map_or(0, |&last| last.saturating_add(1));
    let (n, length) = match *x.shape() {
        [length] => (1, length),
        [n, length] => (n, length),
        _ => return Err(format!("takes rows, not shape {:?}", x.shape())),
    };
    // N-grams with the numbers of their columns.
    let mut known: std::collections::HashMap<&[i64], usize> = std::collections::HashMap::new();
    let mut at = 0;
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(pool.len());
        let part = pool.get(start..end).ok_or("ngram_counts leave the pool")?;
        for gram in part.chunks_exact(i + 1) {
            known.insert(gram, *columns.get(at).ok_or("there are fewer ngram_indexes than n-grams")?);
            at += 1;
        }
    }
    Tensor::zeros(&[n, width], DType::F32).map_err(say)?;
    let ids: Vec<i64> = x.to_scalars().into_iter().map(Scalar::to_i64).collect();
    let mut out = vec![0.0f64; n * width];
    if length > 0 && width > 0 {
        for (row, counts) in ids.chunks(length).zip(out.chunks_mut(width)) {
            for size in shortest.max(1)..=longest.min(length).min(starts.len()) {
                for skips in 0..=if size == 1 { 0 } else { most_skips.min(length) } {
                    let reach = (size - 1) * (skips + 1);
                    for from in 0..length.saturating_sub(reach) {
                        let gram: Vec<i64> = (0..size).map(|i| row[from + i * (skips + 1)]).collect();
                        if let Some(&column) = known.get(&gram[..]) {
                            counts[column] += 1.0;
                        }
                    }
                }
            }
            for (column, count) in counts.iter_mut().enumerate().filter(|(_, count)| **count > 0.0) {
                let weight = weights.get(column).copied().unwrap_or(1.0);
                *count = match mode {
                    "TF" => *count,
                    "IDF" => weight,
                    "TFIDF" => *count * weight,
                    other => return Err(format!("mode `{other}` is not known")),
                };
            }
        }
    }
    let shape = if x.rank() == 1 { vec![width] } else { vec![n, width] };
    ok(Tensor::from_vec(out, &shape).and_then(|t| t.to(DType::F32)))
}
