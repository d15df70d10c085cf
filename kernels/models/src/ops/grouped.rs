//! Products in groups, and sums with products.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor, TensorError};

use super::args::{Args, OpResult};
use super::tensor::{ok, say};

/// `torch._grouped_mm`: rows of `x` up to each of `offs` times the matrix of their group. Both may be plain matrices,
/// whose common axis is cut, or `x` a stack and the columns are cut.
pub fn grouped(a: &Args<'_>) -> OpResult {
    let (x, y) = (a.tensor(0)?, a.tensor(1)?);
    if !a.is_none(3) {
        return Err("a bias is not supported".into());
    }
    let dtype = a.dtype(4)?.unwrap_or(x.dtype());
    let Some(offs) = a.opt_tensor(2)? else { return ok(k::bmm(&x, &y).and_then(|out| out.to(dtype))) };
    let mut bounds = vec![0i64];
    bounds.extend(offs.to_scalars().into_iter().map(|x| x.to_i64()));
    // The axis of `x` that is cut.
    let n = match (x.rank(), y.rank()) {
        (2, 3) => x.shape()[0],
        (2, 2) => x.shape()[1],
        (3, 2) => y.shape()[1],
        (m, n) => return Err(format!("groups of ranks {m} and {n}")),
    } as i64;
    let n_groups = bounds.len() - 1;
    let stacked = if x.rank() == 3 { Some(x.shape()[0]) } else { y.rank().eq(&3).then(|| y.shape()[0]) };
    if bounds.windows(2).any(|pair| pair[0] > pair[1]) || bounds[n_groups] > n || stacked.is_some_and(|m| m != n_groups)
    {
        return Err(format!("groups that end at {:?} of {n}", &bounds[1..]));
    }
    let made = || -> Tried<Tensor> {
        let mut parts = Vec::with_capacity(n_groups);
        for (g, pair) in bounds.windows(2).enumerate() {
            let part = |t: &Tensor, axis: i64| t.slice(axis, pair[0], pair[1], 1);
            parts.push(match (x.rank(), y.rank()) {
                (2, 3) => k::matmul(&part(&x, 0)?, &y.select(0, g as i64)?)?,
                (2, 2) => k::matmul(&part(&x, 1)?, &part(&y, 0)?)?,
                _ => k::matmul(&x.select(0, g as i64)?, &part(&y, 1)?)?,
            });
        }
        // What no group has is zeros.
        let (axis, rest) = if x.rank() == 3 { (1, n - bounds[n_groups]) } else { (0, n - bounds[n_groups]) };
        if (x.rank(), y.rank()) == (2, 2) {
            return k::stack(&parts.iter().collect::<Vec<_>>(), 0)?.to(dtype);
        }
        if rest > 0 {
            let (rest, last) = (rest as usize, y.shape()[y.rank() - 1]);
            let shape = if axis == 0 { [rest, last] } else { [x.shape()[1], rest] };
            parts.push(Tensor::full(&shape, 0.0, x.dtype())?);
        }
        k::cat(&parts.iter().collect::<Vec<_>>(), axis)?.to(dtype)
    };
    ok(made())
}

/// `beta · self + alpha · product`, in the type of the factors.
fn sum_with(a: &Args<'_>, product: &Tensor) -> Tried<Tensor> {
    let wrong = TensorError::Argument;
    let (c, beta, alpha) = (a.tensor(0).map_err(wrong)?, a.scalar(3).map_err(wrong)?, a.scalar(4).map_err(wrong)?);
    let (beta, alpha) = (super::extra::fitting(beta, c.dtype()), super::extra::fitting(alpha, c.dtype()));
    let product = k::mul(&product.to(c.dtype())?, alpha)?.to(c.dtype())?;
    // Nothing of what counts nothing is seen, no NaN either.
    match beta.to_f64() == 0.0 {
        true => Ok(product),
        false => k::add(&k::mul(&*c, beta)?, &product)?.to(c.dtype()),
    }
}

pub fn addmv(a: &Args<'_>) -> OpResult {
    let product = k::matmul(&*a.tensor(1)?, &*a.tensor(2)?).map_err(say)?;
    ok(sum_with(a, &product))
}

pub fn addbmm(a: &Args<'_>) -> OpResult {
    let product = k::bmm(&*a.tensor(1)?, &*a.tensor(2)?).and_then(|all| k::sum(&all, &[0], false)).map_err(say)?;
    ok(sum_with(a, &product))
}

/// Rows are variables, columns are observations: `(self, correction, fweights, aweights)`.
pub fn cov(a: &Args<'_>) -> OpResult {
    let (often, weight) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    ok(covariance(&*a.tensor(0)?, a.int(1)?, often.as_deref(), weight.as_deref()))
}

pub fn corrcoef(a: &Args<'_>) -> OpResult {
    let made = |x: &Tensor| {
        let c = covariance(x, 1, None, None)?;
        if c.rank() == 0 {
            return k::div(&c, &c);
        }
        let deviation = k::sqrt(&c.diagonal(0, 0, 1)?)?;
        let scaled = k::div(&k::div(&c, &deviation.unsqueeze(1)?)?, &deviation)?;
        k::clamp(
            &scaled,
            Some(stark_kernels::Scalar::Float(-1.0).into()),
            Some(stark_kernels::Scalar::Float(1.0).into()),
        )
    };
    ok(made(&*a.tensor(0)?))
}

fn covariance(x: &Tensor, correction: i64, often: Option<&Tensor>, weight: Option<&Tensor>) -> Tried<Tensor> {
    let x = if x.dtype().is_float() { x.clone() } else { x.to(DType::F32)? };
    if x.rank() > 2 {
        return Err(TensorError::Argument(format!("a covariance of shape {:?}", x.shape())));
    }
    let rows = if x.rank() < 2 { x.reshape_to(&[1, x.numel()])? } else { x };
    // How much each observation counts.
    let counts = match (often, weight) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (Some(often), Some(weight)) => Some(k::mul(often, weight)?),
    };
    let counted = |t: &Tensor| counts.as_ref().map_or(Ok(t.clone()), |counts| k::mul(t, counts));
    let sum = |t: &Tensor| k::sum(t, &[], false)?.item().map(|x| x.to_f64());
    let n = counts.as_ref().map_or(Ok(rows.shape()[1] as f64), sum)?;
    let mean = k::div(&k::sum(&counted(&rows)?, &[1], true)?, n)?;
    let by = match (&counts, weight) {
        (Some(counts), Some(weight)) if correction != 0 => n - correction as f64 * sum(&k::mul(counts, weight)?)? / n,
        _ => n - correction as f64,
    };
    let centred = k::sub(&rows, &mean)?;
    let out = k::div(&k::matmul(&centred, &counted(&centred)?.t()?)?, by.max(0.0))?;
    if rows.shape()[0] == 1 { out.reshape_to(&[]) } else { Ok(out) }
}
