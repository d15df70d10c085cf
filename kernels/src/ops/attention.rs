//! Scaled dot-product attention, one head at a time: scores, mask, softmax and sum without large intermediates.

use smallvec::SmallVec;
use stark_shapes::{DType, Shape, ShapeError, rules, show};

use crate::accelerator::{self, Attend, Kernel};
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::{Mat, Product, batches, gemm_here};
use crate::element::Bit;
use crate::error::{Result, TensorError};
use crate::ops::norm::Rows;
use crate::ops::view::expanded_strides;
use crate::tensor::{Tensor, check_bytes};
use crate::walk::Walk;

/// Options of [`scaled_dot_product_attention`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Attention {
    /// Query `i` sees keys `0..=i` only.
    pub causal: bool,
    /// Factor of the scores; `1 / sqrt(width)` when absent.
    pub scale: Option<f64>,
    /// Fewer key heads than query heads: each serves a group of neighbours.
    pub grouped: bool,
    /// A query that sees no key gives NaN, as softmax of only -∞ does, instead of zeros.
    pub unseen_is_nan: bool,
}

/// `softmax(q @ kᵀ · scale + mask) @ v`: `q [.., l, e]`, `k [.., s, e]`, `v [.., s, w]` to `[.., l, w]`.
///
/// A Bool mask keeps where it is true, a float mask is added; both broadcast to `[.., l, s]`. A query whose keys
/// are all masked gives zeros.
pub fn scaled_dot_product_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    options: Attention,
) -> Result<Tensor> {
    if q.dtype() != k.dtype() || q.dtype() != v.dtype() {
        return Err(TensorError::DType(format!(
            "attention needs equal element types, not {}, {} and {}",
            q.dtype(),
            k.dtype(),
            v.dtype()
        )));
    }
    for (name, x) in [("q", q), ("k", k), ("v", v)] {
        if x.rank() < 2 {
            return Err(
                ShapeError(format!("attention needs {name} of rank 2 or more, not shape {}", show(x.shape()))).into()
            );
        }
    }
    let tail = |x: &Tensor, i: usize| x.shape()[x.rank() - i];
    if tail(q, 1) != tail(k, 1) || tail(k, 2) != tail(v, 2) {
        return Err(ShapeError(format!(
            "attention of q {}, k {} and v {}: q and k need one width, k and v one length",
            show(q.shape()),
            show(k.shape()),
            show(v.shape())
        ))
        .into());
    }
    if options.grouped {
        return grouped(q, [k, v], mask, |q, [k, v], mask| {
            scaled_dot_product_attention(q, k, v, mask, Attention { grouped: false, ..options })
        });
    }
    match q.dtype() {
        DType::F32 => attend::<f32>(q, k, v, mask, options),
        DType::F64 => attend::<f64>(q, k, v, mask, options),
        DType::F16 | DType::BF16 => {
            let [q32, k32, v32] = [q.to(DType::F32)?, k.to(DType::F32)?, v.to(DType::F32)?];
            attend::<f32>(&q32, &k32, &v32, mask, options)?.to(q.dtype())
        }
        other => Err(TensorError::dtype("attention", other)),
    }
}

/// As [`scaled_dot_product_attention`] of keys and values that are to be joined along the second last axis: those of before and
/// those that are new, as `[keys, values]` each. Few queries read them where they lie.
pub fn attention_of_parts(
    q: &Tensor,
    parts: [[&Tensor; 2]; 2],
    mask: Option<&Tensor>,
    options: Attention,
) -> Result<Tensor> {
    let [[k, v], [new_k, new_v]] = parts;
    if options.grouped && [q, k, v, new_k, new_v].iter().all(|x| x.rank() >= 3) {
        return grouped(q, [k, v, new_k, new_v], mask, |q, [k, v, new_k, new_v], mask| {
            attention_of_parts(q, [[k, v], [new_k, new_v]], mask, Attention { grouped: false, ..options })
        });
    }
    if let Some(out) = attend_few(q, &parts, mask, options) {
        return out;
    }
    let (k, v) = (super::cat(&[k, new_k], -2)?, super::cat(&[v, new_v], -2)?);
    scaled_dot_product_attention(q, &k, &v, mask, options)
}

/// `None` where the parts are to be joined.
fn attend_few(
    q: &Tensor,
    parts: &[[&Tensor; 2]; 2],
    mask: Option<&Tensor>,
    options: Attention,
) -> Option<Result<Tensor>> {
    let all = || parts.iter().flatten().copied().chain([q]);
    let tail = |x: &Tensor, i: usize| x.shape()[x.rank() - i];
    let [k, v] = parts[0];
    // What is joined is alike but for the length.
    let is_plain = !options.grouped
        && !crate::device::is_reference()
        && all().all(|t| t.dtype() == DType::F32 && t.rank() >= 2 && t.strides()[t.rank() - 1] == 1)
        && accelerator::of(all().chain(mask)).is_none();
    let fits = is_plain
        && (1..=super::few::FEW).contains(&tail(q, 2))
        && tail(q, 1) > 0
        && tail(v, 1) > 0
        && tail(k, 1) == tail(q, 1)
        && parts.iter().all(|[a, b]| {
            let alike = |x: &Tensor, of: &Tensor| {
                x.rank() == of.rank()
                    && x.shape()[..x.rank() - 2] == of.shape()[..of.rank() - 2]
                    && tail(x, 1) == tail(of, 1)
            };
            alike(a, k) && alike(b, v) && tail(a, 2) == tail(b, 2)
        });
    let s = if fits { parts.iter().map(|[k, _]| tail(k, 2)).sum::<usize>() } else { 0 };
    let mask_fits = mask.is_none_or(|mask| matches!(mask.dtype(), DType::F32 | DType::Bool));
    if s == 0 || !mask_fits {
        return None;
    }
    let lead = |x: &Tensor| Shape::from_slice(&x.shape()[..x.rank().saturating_sub(2)]);
    let batch = rules::broadcast(&rules::broadcast(&lead(q), &lead(k)).ok()?, &lead(v)).ok()?;
    let batch = mask.map_or(Ok(batch.clone()), |mask| rules::broadcast(&batch, &lead(mask))).ok()?;
    if let Some(mask) = mask {
        let full: Shape = batch.iter().copied().chain([tail(q, 2), s]).collect();
        rules::broadcast_to(mask.shape(), &full).ok()?;
    }
    if batch.contains(&0) {
        return None;
    }
    let scale = options.scale.unwrap_or(1.0 / (tail(q, 1) as f64).sqrt()) as f32;
    let unseen = if options.unseen_is_nan { f32::NAN } else { 0.0 };
    Some(super::few::attend(q, parts, mask, &batch, scale, options.causal, unseen))
}

/// `attend` of key heads of which each serves as many neighbouring query heads: an axis of its own, along which keys and values
/// stand still.
fn grouped<const N: usize>(
    q: &Tensor,
    others: [&Tensor; N],
    mask: Option<&Tensor>,
    attend: impl FnOnce(&Tensor, [&Tensor; N], Option<&Tensor>) -> Result<Tensor>,
) -> Result<Tensor> {
    let heads = |x: &Tensor| if x.rank() >= 3 { x.shape()[x.rank() - 3] } else { 1 };
    if let Some(x) = others.iter().find(|x| heads(x) == 0 || heads(q) % heads(x) != 0) {
        return Err(ShapeError(format!("{} query heads do not share {} key heads", heads(q), heads(x))).into());
    }
    let n = heads(others[0]);
    if heads(q) == n && others.iter().all(|x| heads(x) == n) {
        return attend(q, others, mask);
    }
    let alike = others.iter().all(|x| heads(x) == n);
    let mask_fits = mask.is_none_or(|mask| [1, heads(q)].contains(&heads(mask)));
    if !alike || !mask_fits {
        let wide: Vec<Tensor> = others
            .iter()
            .map(|x| if x.rank() < 3 { Ok((*x).clone()) } else { super::repeat_interleave(x, heads(q) / heads(x), -3) })
            .collect::<Result<_>>()?;
        return attend(q, std::array::from_fn(|i| &wide[i]), mask);
    }
    let sizes = [n as i64, -1];
    let apart = others.iter().map(|x| x.unsqueeze(-3)).collect::<Result<Vec<_>>>()?;
    let mask = mask.map(|mask| match (mask.rank() >= 3, heads(mask)) {
        (false, _) => Ok(mask.clone()),
        (true, 1) => mask.unsqueeze(-3),
        (true, _) => mask.unflatten(-3, &sizes),
    });
    attend(&q.unflatten(-3, &sizes)?, std::array::from_fn(|i| &apart[i]), mask.transpose()?.as_ref())?.flatten(-4, -3)
}

/// Attention out of operations that an accelerator has: it holds all scores at once.
fn by_parts(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    [l, s]: [usize; 2],
    scale: f64,
    options: Attention,
) -> Result<Tensor> {
    use super::{add, all, eq, masked_fill, matmul, mul, softmax, where_};
    // The queries are fewer than the scores.
    let mut scores = matmul(&mul(q, scale)?, &k.transpose(-1, -2)?)?;
    let mut hides = options.causal;
    match mask {
        Some(keep) if keep.dtype() == DType::Bool => {
            hides = true;
            scores = where_(keep, &scores, f64::NEG_INFINITY)?;
        }
        Some(added) => {
            hides = true;
            scores = add(&scores, added)?;
        }
        None => {}
    }
    if options.causal {
        let lower = super::tril(&Tensor::ones(&[l, s], DType::Bool)?, 0)?;
        scores = where_(&lower, &scores, f64::NEG_INFINITY)?;
    }
    let mut weights = softmax(&scores, -1)?;
    if hides && !options.unseen_is_nan {
        // Only a query that sees no key has infinite scores alone.
        let unseen = all(&eq(&scores, f64::NEG_INFINITY)?, &[-1], true)?;
        weights = masked_fill(&weights, &unseen, 0.0)?;
    }
    matmul(&weights, v)
}

fn attend<T: Product + Rows>(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    options: Attention,
) -> Result<Tensor> {
    let lead = |x: &Tensor| Shape::from_slice(&x.shape()[..x.rank() - 2]);
    let mut batch = rules::broadcast(&rules::broadcast(&lead(q), &lead(k))?, &lead(v))?;
    let (l, e) = (q.shape()[q.rank() - 2], q.shape()[q.rank() - 1]);
    let (s, w) = (k.shape()[k.rank() - 2], v.shape()[v.rank() - 1]);
    let mask = match mask {
        Some(mask) if mask.dtype() == DType::Bool => Some(mask.clone()),
        Some(mask) if mask.dtype().is_float() => Some(mask.to(T::DTYPE)?),
        Some(mask) => {
            return Err(TensorError::DType(format!("an attention mask is Bool or float, not {}", mask.dtype())));
        }
        None => None,
    };
    if let Some(mask) = &mask {
        batch = rules::broadcast(&batch, &mask.shape()[..mask.rank().saturating_sub(2)])?;
        let full: Shape = batch.iter().copied().chain([l, s]).collect();
        rules::broadcast_to(mask.shape(), &full)?;
    }
    if accelerator::of([q, k, v]).is_some() {
        let scale = options.scale.unwrap_or(1.0 / (e as f64).sqrt());
        let shape: Shape = batch.iter().copied().chain([l, w]).collect();
        let hides = options.causal || mask.is_some();
        let unseen = if hides && !options.unseen_is_nan { 0.0 } else { f32::NAN };
        let (mask, causal, scale32) = (mask.as_ref(), options.causal, scale as f32);
        let attend = || Kernel::Attend(Attend { q, k, v, mask, scale: scale32, causal, unseen, shape: &shape });
        if let Some(out) = accelerator::offer([q, k, v], attend)? {
            return Ok(out);
        }
        return by_parts(q, k, v, mask, [l, s], scale, options);
    }
    if T::DTYPE == DType::F32 && !crate::device::is_reference() {
        let scale = options.scale.unwrap_or(1.0 / (e as f64).sqrt()) as f32;
        let unseen = if options.unseen_is_nan { f32::NAN } else { 0.0 };
        return super::attend::attend(q, k, v, mask.as_ref(), &batch, scale, options.causal, unseen);
    }
    let n_batch = rules::numel(&batch)?;
    let strides = |x: &Tensor, rows: usize, cols: usize| {
        let full: SmallVec<[usize; 8]> = batch.iter().copied().chain([rows, cols]).collect();
        expanded_strides(x, &full)
    };
    let (qs, ks, vs) = (strides(q, l, e), strides(k, s, e), strides(v, s, w));
    // Without a mask the fourth operand stands still.
    let ms = mask.as_ref().map_or_else(|| Shape::from_elem(0, batch.len() + 2), |m| strides(m, l, s));
    let b = batch.len();
    let mut starts = Vec::new();
    let shape: Shape = batch.iter().copied().chain([l, w]).collect();
    check_bytes(&shape, T::DTYPE)?;
    if l > 0 && w > 0 {
        let walk = Walk::new(&batch, [&qs[..b], &ks[..b], &vs[..b], &ms[..b]], [0; 4]);
        let inner = walk.inner();
        walk.rows(0..n_batch, |at, n| starts.extend((0..n).map(|i| [0, 1, 2, 3].map(|k| at[k] + i * inner[k]))));
    }
    let mut buffer = Buffer::zeroed::<T>(rules::numel(&shape)?)?;
    rules::numel(&[l, s])?;
    let scale = options.scale.unwrap_or(1.0 / (e as f64).sqrt());
    let (qd, kd, vd) = (q.storage::<T>(), k.storage::<T>(), v.storage::<T>());
    if s > 0 {
        // Each head in flight has its scores; the limit holds for them too.
        let limit = crate::max_tensor_bytes();
        let bytes = (l * s).saturating_mul(size_of::<T>());
        if bytes > limit {
            return Err(TensorError::too_large(bytes));
        }
        batches(buffer.as_mut_slice::<T>(), starts.len(), l * s * (e + w), |i, out| {
            let [qa, ka, va, ma] = starts[i];
            let mut scores = vec![T::from_f64(0.0); l * s];
            if e > 0 {
                let a = Mat::new(&qd[qa..], l, e, qs[b], qs[b + 1]);
                let c = Mat::new(&kd[ka..], e, s, ks[b + 1], ks[b]);
                gemm_here(&mut scores, a, c, false);
            }
            let factor = T::from_f64(scale);
            let mut weights = vec![T::from_f64(0.0); s];
            for (row, scores) in scores.chunks_mut(s).enumerate() {
                for x in scores.iter_mut() {
                    *x = *x * factor;
                }
                if let Some(mask) = &mask {
                    let at = ma + row * ms[b];
                    if mask.dtype() == DType::Bool {
                        let keep = mask.storage::<Bit>();
                        for (j, x) in scores.iter_mut().enumerate() {
                            if keep[at + j * ms[b + 1]].0 == 0 {
                                *x = T::LOWEST;
                            }
                        }
                    } else {
                        let added = mask.storage::<T>();
                        for (j, x) in scores.iter_mut().enumerate() {
                            *x += added[at + j * ms[b + 1]];
                        }
                    }
                }
                if options.causal {
                    scores.iter_mut().skip(row + 1).for_each(|x| *x = T::LOWEST);
                }
                if scores.iter().all(|x| *x == T::LOWEST) {
                    scores.fill(T::from_f64(if options.unseen_is_nan { f64::NAN } else { 0.0 }));
                } else {
                    T::softmax(scores, &mut weights, scores.len());
                    scores.copy_from_slice(&weights);
                }
            }
            let c = Mat::new(&vd[va..], s, w, vs[b], vs[b + 1]);
            gemm_here(out, Mat::new(&scores, l, s, s, 1), c, false);
        });
    }
    Ok(Tensor::from_buffer(buffer, T::DTYPE, &shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{add, matmul, mul, randn, softmax, where_};

    fn near(a: &Tensor, b: &Tensor) {
        assert_eq!(a.shape(), b.shape());
        for (a, b) in a.to_scalars().iter().zip(b.to_scalars()) {
            assert!((a.to_f64() - b.to_f64()).abs() < 1e-5, "{a:?} {b:?}");
        }
    }

    /// Few queries and many take different ways.
    #[test]
    fn attention_is_softmax_of_scores_times_values() {
        for l in [1, 2, 4, 5, 9] {
            let q = randn(&[2, 3, l, 8], 1, DType::F32).unwrap();
            let k = randn(&[2, 3, 5, 8], 2, DType::F32).unwrap();
            let v = randn(&[2, 5, 3, 6], 3, DType::F32).unwrap().transpose(1, 2).unwrap();
            let scores = mul(&matmul(&q, &k.transpose(-1, -2).unwrap()).unwrap(), 1.0 / 8f64.sqrt()).unwrap();
            let plain = |s: &Tensor| matmul(&softmax(s, -1).unwrap(), &v).unwrap();
            let run = |mask: Option<&Tensor>, causal| {
                scaled_dot_product_attention(&q, &k, &v, mask, Attention { causal, ..Default::default() }).unwrap()
            };
            near(&run(None, false), &plain(&scores));
            let bias = randn(&[2, 1, 1, 5], 4, DType::F32).unwrap();
            near(&run(Some(&bias), false), &plain(&add(&scores, &bias).unwrap()));
            let keep = Tensor::from_vec(vec![true, true, false, true, false], &[5]).unwrap();
            near(&run(Some(&keep), false), &plain(&where_(&keep, &scores, f64::NEG_INFINITY).unwrap()));
            let lower = crate::ops::tril(&Tensor::ones(&[l, 5], DType::Bool).unwrap(), 0).unwrap();
            near(&run(None, true), &plain(&where_(&lower, &scores, f64::NEG_INFINITY).unwrap()));
            let none = Tensor::zeros(&[l, 5], DType::Bool).unwrap();
            near(&run(Some(&none), false), &Tensor::zeros(&[2, 3, l, 6], DType::F32).unwrap());
        }
    }

    #[test]
    fn keys_and_values_in_parts_are_as_if_joined() {
        for (l, heads, size, old, new) in
            [(1, 3, 8, 5, 1), (2, 4, 64, 130, 2), (4, 2, 70, 0, 4), (1, 2, 5, 3, 0), (6, 2, 16, 9, 6)]
        {
            let numbers = |n, seed| randn(&[2, heads, n, size], seed, DType::F32).unwrap();
            let turned = randn(&[2, old, heads, size], 3, DType::F32).unwrap().transpose(1, 2).unwrap();
            let parts = [[numbers(old, 2), turned], [numbers(new, 4), numbers(new, 5)]];
            let [k, v] = [0, 1].map(|i| crate::ops::cat(&[&parts[0][i], &parts[1][i]], 2).unwrap());
            let lent = [[&parts[0][0], &parts[0][1]], [&parts[1][0], &parts[1][1]]];
            let mask = randn(&[l, old + new], 6, DType::F32).unwrap();
            let keep = crate::ops::gt(&mask, -0.5).unwrap();
            for (grouped, times) in [(false, 1), (true, 2)] {
                let q = randn(&[2, heads * times, l, size], 1, DType::F32).unwrap();
                for (mask, causal) in [(None, false), (None, true), (Some(&mask), false), (Some(&keep), false)] {
                    let options = Attention { causal, grouped, ..Attention::default() };
                    near(
                        &attention_of_parts(&q, lent, mask, options).unwrap(),
                        &scaled_dot_product_attention(&q, &k, &v, mask, options).unwrap(),
                    );
                }
            }
        }
        let one = |shape: &[usize]| randn(shape, 1, DType::F32).unwrap();
        let (q, k, short) = (one(&[1, 2, 1, 8]), one(&[1, 2, 3, 8]), one(&[1, 2, 2, 8]));
        assert!(attention_of_parts(&q, [[&k, &k], [&short, &k]], None, Attention::default()).is_err());
    }

    #[test]
    fn keys_of_no_numbers_weigh_alike() {
        let v = randn(&[1, 2, 3, 4], 1, DType::F32).unwrap();
        for l in [1, 5] {
            let (q, k) = (Tensor::zeros(&[1, 2, l, 0], DType::F32), Tensor::zeros(&[1, 2, 3, 0], DType::F32));
            let got = scaled_dot_product_attention(&q.unwrap(), &k.unwrap(), &v, None, Attention::default()).unwrap();
            let mean = mul(&matmul(&Tensor::ones(&[1, 2, l, 3], DType::F32).unwrap(), &v).unwrap(), 1.0 / 3.0).unwrap();
            near(&got, &mean);
        }
    }

    #[test]
    fn heads_may_be_shared_and_keys_absent() {
        let q = randn(&[1, 4, 2, 8], 1, DType::F32).unwrap();
        let k = randn(&[1, 2, 3, 8], 2, DType::F32).unwrap();
        let shared = Attention { grouped: true, ..Default::default() };
        let wide = crate::ops::repeat_interleave(&k, 2, 1).unwrap();
        near(
            &scaled_dot_product_attention(&q, &k, &k, None, shared).unwrap(),
            &scaled_dot_product_attention(&q, &wide, &wide, None, Attention::default()).unwrap(),
        );
        assert!(scaled_dot_product_attention(&q, &k, &k, None, Attention::default()).is_err());
        // With masks for each head and for all.
        for shape in [&[1, 4, 2, 3][..], &[1, 1, 2, 3], &[2, 3], &[1, 4, 1, 3]] {
            let mask = randn(shape, 3, DType::F32).unwrap();
            near(
                &scaled_dot_product_attention(&q, &k, &k, Some(&mask), shared).unwrap(),
                &scaled_dot_product_attention(&q, &wide, &wide, Some(&mask), Attention::default()).unwrap(),
            );
        }
        let empty = Tensor::zeros(&[1, 4, 0, 8], DType::F32).unwrap();
        near(
            &scaled_dot_product_attention(&q, &empty, &empty, None, Attention::default()).unwrap(),
            &Tensor::zeros(&[1, 4, 2, 8], DType::F32).unwrap(),
        );
    }
}
