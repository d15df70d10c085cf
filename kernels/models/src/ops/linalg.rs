//! Linear algebra of small dense matrices, batched, in Float64: each matrix by itself, and the results in its dtype.
//!
//! Where PyTorch's results are not unique (signs of singular vectors, of eigenvectors) ours may be others.

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::matrix::{Batch, Matrix, completed, eigh, exponential, lower_factor, lu, pseudo_inverse, qr, svd, triangle};
use super::tensor::{ok, pair_of, say};
use super::{Args, OpResult};
use crate::value::Value;

fn zeros_info(batch: &Batch) -> Result<Tensor, String> {
    Tensor::zeros(&batch.lead, DType::I32).map_err(say)
}

fn inverse(a: &Args<'_>) -> Result<(Tensor, Batch), String> {
    let batch = Batch::square("linalg.inv", &*a.tensor(0)?)?;
    let n = batch.rows;
    let made = batch.each(|m| lu(m).solve(&Matrix::identity(n), "linalg.inv"))?;
    Ok((batch.matrices(made, n, n)?, batch))
}

pub fn inv(a: &Args<'_>) -> OpResult {
    inverse(a).map(|(made, _)| Value::Tensor(made))
}

pub fn inv_ex(a: &Args<'_>) -> OpResult {
    let (made, batch) = inverse(a)?;
    pair_of(made, zeros_info(&batch)?)
}

/// The sign of each determinant, and the logarithm of its size.
fn log_determinants(name: &str, a: &Args<'_>) -> Result<(Batch, Vec<(f64, f64)>), String> {
    let batch = Batch::square(name, &*a.tensor(0)?)?;
    let made = batch.each(|m| {
        let lu = lu(m);
        let diagonal = (0..m.rows).map(|i| lu.both.at(i, i));
        let log: f64 = diagonal.clone().map(|x| x.abs().ln()).sum();
        let sign = diagonal.fold(lu.sign, |sign, x| if x == 0.0 { 0.0 } else { sign * x.signum() });
        Ok((sign, log))
    })?;
    Ok((batch, made))
}

pub fn det(a: &Args<'_>) -> OpResult {
    let batch = Batch::square("linalg.det", &*a.tensor(0)?)?;
    let made = batch.each(|m| {
        let lu = lu(m);
        Ok((0..m.rows).map(|i| lu.both.at(i, i)).fold(lu.sign, |product, x| product * x))
    })?;
    batch.tensor(made, &[]).map(Value::Tensor)
}

pub fn slogdet(a: &Args<'_>) -> OpResult {
    let (batch, made) = log_determinants("linalg.slogdet", a)?;
    let (signs, logs) = made.into_iter().unzip();
    pair_of(batch.tensor(signs, &[])?, batch.tensor(logs, &[])?)
}

pub fn logdet(a: &Args<'_>) -> OpResult {
    let (batch, made) = log_determinants("logdet", a)?;
    let log = |(sign, log): (f64, f64)| if sign < 0.0 { f64::NAN } else { log };
    batch.tensor(made.into_iter().map(log).collect(), &[]).map(Value::Tensor)
}

fn cholesky_of(a: &Args<'_>, upper: bool) -> Result<(Tensor, Batch), String> {
    let batch = Batch::square("linalg.cholesky", &*a.tensor(0)?)?;
    let made = batch.each(|m| {
        let turned = if upper { m.turned() } else { m.clone() };
        lower_factor(&turned).map(|lower| if upper { lower.turned() } else { lower })
    })?;
    Ok((batch.matrices(made, batch.rows, batch.cols)?, batch))
}

pub fn cholesky(a: &Args<'_>) -> OpResult {
    cholesky_of(a, a.bool(1)?).map(|(made, _)| Value::Tensor(made))
}

pub fn cholesky_ex(a: &Args<'_>) -> OpResult {
    let (made, batch) = cholesky_of(a, a.bool(1)?)?;
    pair_of(made, zeros_info(&batch)?)
}

/// Both with the same axes before the last two.
fn together(name: &str, x: &Tensor, y: &Tensor) -> Result<(Batch, Batch), String> {
    if x.rank() < 2 || y.rank() < 2 {
        return Err(format!("{name}: both must have at least 2 dimensions"));
    }
    let tail = |t: &Tensor| t.shape()[t.rank() - 2..].to_vec();
    let lead = |t: &Tensor| t.shape()[..t.rank() - 2].to_vec();
    let shared = stark_shapes::rules::broadcast(&lead(x)[..], &lead(y)[..]).map_err(say)?;
    let spread = |t: &Tensor| t.expand(&[&shared[..], &tail(t)].concat()).map_err(say);
    Ok((Batch::of(name, &spread(x)?)?, Batch::of(name, &spread(y)?)?))
}

/// `f` of pairs of matrices.
fn both(
    name: &str,
    x: &Tensor,
    y: &Tensor,
    f: impl Fn(&Matrix, &Matrix) -> Result<Matrix, String>,
) -> Result<Tensor, String> {
    let (a, b) = together(name, x, y)?;
    let mut others = b.all.iter();
    let made = a.each(|m| f(m, others.next().ok_or("a batch is shorter")?))?;
    let (rows, cols) = made.first().map_or((b.rows, b.cols), |m| (m.rows, m.cols));
    a.matrices(made, rows, cols)
}

fn fit(name: &str, square: &Matrix, other: usize) -> Result<(), String> {
    if square.rows != square.cols {
        let (rows, cols) = (square.rows, square.cols);
        return Err(format!("{name}: A must be batches of square matrices, but they are {rows} by {cols} matrices"));
    }
    match square.rows == other {
        true => Ok(()),
        false => {
            Err(format!("{name}: Incompatible shapes of A and B for the equation: {} and {other} rows", square.rows))
        }
    }
}

pub fn cholesky_solve(a: &Args<'_>) -> OpResult {
    let (b, factor, upper) = (a.tensor(0)?, a.tensor(1)?, a.bool(2)?);
    let made = both("cholesky_solve", &factor, &b, |m, b| {
        fit("cholesky_solve", m, b.rows)?;
        let lower = if upper { m.turned() } else { m.clone() };
        let mut x = b.clone();
        triangle(&lower, &mut x, false, false);
        triangle(&lower.turned(), &mut x, true, false);
        Ok(x)
    });
    made.map(Value::Tensor)
}

pub fn solve(a: &Args<'_>) -> OpResult {
    let (m, b, left) = (a.tensor(0)?, a.tensor(1)?, a.bool(2)?);
    // A vector, or a batch of them.
    let is_vector = b.rank() == 1 || (b.rank() + 1 == m.rank() && b.shape() == &m.shape()[..m.rank() - 1]);
    let b = if is_vector { b.unsqueeze(-1).map_err(say)? } else { b.into_owned() };
    let made = both("linalg.solve", &m, &b, |m, b| match left || is_vector {
        true => fit("linalg.solve", m, b.rows).and_then(|()| lu(m).solve(b, "linalg.solve")),
        false => fit("linalg.solve", m, b.cols)
            .and_then(|()| lu(&m.turned()).solve(&b.turned(), "linalg.solve"))
            .map(|x| x.turned()),
    })?;
    ok(if is_vector { made.squeeze(&[-1]) } else { Ok(made) })
}

/// `(A, B, upper, left, unitriangular)`.
pub fn solve_triangular(a: &Args<'_>) -> OpResult {
    let (upper, left, unit) = (a.bool(2)?, a.bool(3)?, a.bool(4)?);
    let name = "linalg.solve_triangular";
    let made = both(name, &*a.tensor(0)?, &*a.tensor(1)?, |m, b| {
        fit(name, m, if left { b.rows } else { b.cols })?;
        let mut x = if left { b.clone() } else { b.turned() };
        let turned = if left { m.clone() } else { m.turned() };
        triangle(&turned, &mut x, upper == left, unit);
        Ok(if left { x } else { x.turned() })
    });
    made.map(Value::Tensor)
}

/// `(B, A, upper, transpose, unitriangular)`, and `A` with the result.
pub fn triangular_solve(a: &Args<'_>) -> OpResult {
    let (upper, turned, unit) = (a.bool(2)?, a.bool(3)?, a.bool(4)?);
    let matrix = a.tensor(1)?;
    let made = both("triangular_solve", &matrix, &*a.tensor(0)?, |m, b| {
        fit("triangular_solve", m, b.rows)?;
        let mut x = b.clone();
        triangle(&if turned { m.turned() } else { m.clone() }, &mut x, upper != turned, unit);
        Ok(x)
    });
    pair_of(made?, matrix.into_owned())
}

fn qr_of(x: &Tensor, mode: &str) -> OpResult {
    let batch = Batch::of("linalg.qr", x)?;
    let least = batch.rows.min(batch.cols);
    let n = match mode {
        "complete" => batch.rows,
        "reduced" | "r" => least,
        other => {
            return Err(format!(
                "qr received unrecognized mode '{other}' but expected one of 'reduced', 'r', or 'complete'"
            ));
        }
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for m in &batch.all {
        let (q, r) = qr(m);
        left.push(q.columns(n));
        right.push(Matrix { rows: n, cols: r.cols, data: r.data[..n * r.cols].to_vec() });
    }
    let q = match mode {
        "r" => Tensor::zeros(&[0], batch.dtype).map_err(say)?,
        _ => batch.matrices(left, batch.rows, n)?,
    };
    pair_of(q, batch.matrices(right, n, batch.cols)?)
}

pub fn qr_by_mode(a: &Args<'_>) -> OpResult {
    qr_of(&*a.tensor(0)?, a.str(1)?)
}

pub fn qr_some(a: &Args<'_>) -> OpResult {
    qr_of(&*a.tensor(0)?, if a.bool(1)? { "reduced" } else { "complete" })
}

/// Left vectors, singular values, and right vectors: as columns, or turned.
fn svd_of(x: &Tensor, full: bool, turned: bool) -> OpResult {
    let batch = Batch::of("linalg.svd", x)?;
    let n = batch.rows.min(batch.cols);
    let (of_u, of_v) = if full { (batch.rows, batch.cols) } else { (n, n) };
    let (mut left, mut values, mut right) = (Vec::new(), Vec::new(), Vec::new());
    for m in &batch.all {
        let (u, s, v) = svd(m, "linalg.svd")?;
        left.push(completed(&u, n, of_u));
        values.extend(s);
        let v = completed(&v, n, of_v);
        right.push(if turned { v.turned() } else { v });
    }
    let right = match turned {
        true => batch.matrices(right, of_v, batch.cols)?,
        false => batch.matrices(right, batch.cols, of_v)?,
    };
    Value::tuple(vec![
        Value::Tensor(batch.matrices(left, batch.rows, of_u)?),
        Value::Tensor(batch.tensor(values, &[n])?),
        Value::Tensor(right),
    ])
}

pub fn svd_full(a: &Args<'_>) -> OpResult {
    svd_of(&*a.tensor(0)?, a.bool(1)?, true)
}

pub fn svd_some(a: &Args<'_>) -> OpResult {
    svd_of(&*a.tensor(0)?, !a.bool(1)?, false)
}

pub fn svdvals(a: &Args<'_>) -> OpResult {
    let batch = Batch::of("linalg.svdvals", &*a.tensor(0)?)?;
    let values = batch.each(|m| svd(m, "linalg.svdvals"))?.into_iter().flat_map(|(_, s, _)| s).collect();
    batch.tensor(values, &[batch.rows.min(batch.cols)]).map(Value::Tensor)
}

fn eigh_of(name: &str, a: &Args<'_>) -> Result<(Tensor, Tensor), String> {
    let batch = Batch::square(name, &*a.tensor(0)?)?;
    let upper = match a.str(1)? {
        "L" | "l" => false,
        "U" | "u" => true,
        other => return Err(format!("Expected UPLO argument to be 'L' or 'U', but got {other}")),
    };
    let (mut values, mut vectors) = (Vec::new(), Vec::new());
    for m in &batch.all {
        let (l, v) = eigh(m, upper, name)?;
        values.extend(l);
        vectors.push(v);
    }
    Ok((batch.tensor(values, &[batch.rows])?, batch.matrices(vectors, batch.rows, batch.rows)?))
}

pub fn eigvalsh(a: &Args<'_>) -> OpResult {
    eigh_of("linalg.eigvalsh", a).map(|(values, _)| Value::Tensor(values))
}

pub fn eigh_pair(a: &Args<'_>) -> OpResult {
    let (values, vectors) = eigh_of("linalg.eigh", a)?;
    pair_of(values, vectors)
}

/// PyTorch's threshold when none is given.
fn default_rtol(batch: &Batch) -> f64 {
    let eps = if batch.dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    eps * batch.rows.max(batch.cols) as f64
}

/// `(self, rcond, hermitian, atol, rtol)`.
pub fn pinv(a: &Args<'_>) -> OpResult {
    let batch = Batch::of("linalg.pinv", &*a.tensor(0)?)?;
    let given = |index: usize| a.opt_scalar(index).map(|x| x.map(Scalar::to_f64));
    let absolute = given(3)?;
    let none = if absolute.is_some_and(|x| x > 0.0) { 0.0 } else { default_rtol(&batch) };
    let relative = given(4)?.or(given(1)?).unwrap_or(none);
    let made = batch.each(|m| pseudo_inverse(m, relative, absolute.unwrap_or(0.0), "linalg.pinv"))?;
    batch.matrices(made, batch.cols, batch.rows).map(Value::Tensor)
}

/// The solution; residuals of systems with more rows than columns; ranks and singular values stay empty, as of the driver
/// that PyTorch takes by itself.
pub fn lstsq(a: &Args<'_>) -> OpResult {
    let (m, b) = (a.tensor(0)?, a.tensor(1)?);
    let is_vector = b.rank() + 1 == m.rank();
    let b = if is_vector { b.unsqueeze(-1).map_err(say)? } else { b.into_owned() };
    let relative = match a.opt_scalar(2)? {
        Some(rcond) => rcond.to_f64(),
        None => default_rtol(&Batch::of("linalg.lstsq", &m)?),
    };
    let made = both("linalg.lstsq", &m, &b, |m, b| match m.rows == b.rows {
        true => Ok(pseudo_inverse(m, relative, 0.0, "linalg.lstsq")?.times(b)),
        false => Err(format!("linalg.lstsq: {} rows of input and {} of other", m.rows, b.rows)),
    })?;
    let empty = |dtype| Tensor::zeros(&[0], dtype);
    let parts = || {
        let over = m.shape()[m.rank() - 2] > m.shape()[m.rank() - 1];
        let residuals = if over {
            let rest = k::sub(&b.to(DType::F64)?, &k::matmul(&m.to(DType::F64)?, &made.to(DType::F64)?)?)?;
            k::sum(&k::mul(&rest, &rest)?, &[-2], false)?.to(m.dtype())?
        } else {
            empty(m.dtype())?
        };
        let solution = if is_vector { made.squeeze(&[-1])? } else { made.clone() };
        Ok::<_, stark_kernels::TensorError>(vec![solution, residuals, empty(DType::I64)?, empty(m.dtype())?])
    };
    Value::tuple(parts().map_err(say)?.into_iter().map(Value::Tensor).collect())
}

pub fn lu_factor(a: &Args<'_>) -> OpResult {
    if !a.bool(1)? {
        return Err("linalg.lu_factor: LU without pivoting is not implemented on the CPU".into());
    }
    let batch = Batch::of("linalg.lu_factor", &*a.tensor(0)?)?;
    let (mut all, mut swaps) = (Vec::new(), Vec::new());
    for m in &batch.all {
        let lu = lu(m);
        all.push(lu.both);
        swaps.extend(lu.swaps.iter().map(|&i| i as i32 + 1));
    }
    let shape = [&batch.lead[..], &[batch.rows.min(batch.cols)]].concat();
    pair_of(batch.matrices(all, batch.rows, batch.cols)?, Tensor::from_vec(swaps, &shape).map_err(say)?)
}

/// With as many zeros as there are matrices.
pub fn lu_with_info(a: &Args<'_>) -> OpResult {
    let Value::Tuple(pair) = lu_factor(a)? else { return Err("there are no factors".into()) };
    let batch = Batch::of("linalg.lu_factor", &*a.tensor(0)?)?;
    Value::tuple(pair.items.iter().cloned().chain([Value::Tensor(zeros_info(&batch)?)]).collect())
}

/// How many factors are put into their best order; more are multiplied from left to right.
const MAX_ORDERED: usize = 64;

/// A product of matrices in the order of the fewest steps; the first and the last may be vectors.
pub fn multi_dot(a: &Args<'_>) -> OpResult {
    let mut factors = a.tensors(0)?;
    let n = factors.len();
    if n < 2 {
        return Err(format!("linalg.multi_dot: takes two tensors or more, not {n}"));
    }
    let (is_row, is_column) = (factors[0].rank() == 1, factors[n - 1].rank() == 1);
    if is_row {
        factors[0] = factors[0].unsqueeze(0).map_err(say)?;
    }
    if is_column {
        factors[n - 1] = factors[n - 1].unsqueeze(1).map_err(say)?;
    }
    if let Some(other) = factors.iter().find(|factor| factor.rank() != 2) {
        return Err(format!("linalg.multi_dot: a factor of shape {:?} is no matrix", other.shape()));
    }
    let made = || {
        let (first, rest) = (&factors[0], &factors[1..]);
        let out = match n {
            ..=MAX_ORDERED => chain(&factors, &splits(&factors), 0, n - 1)?,
            _ => rest.iter().try_fold(first.clone(), |product, factor| k::matmul(&product, factor))?,
        };
        let gone: Vec<i64> = [(is_row, 0), (is_column, 1)].iter().filter(|(is, _)| *is).map(|(_, at)| *at).collect();
        if gone.is_empty() { Ok(out) } else { out.squeeze(&gone) }
    };
    ok(made())
}

/// Behind which factor each run of factors, from one to another, is best cut.
fn splits(factors: &[Tensor]) -> Vec<Vec<usize>> {
    let n = factors.len();
    let side = |i: usize| if i < n { factors[i].shape()[0] } else { factors[n - 1].shape()[1] };
    let (mut cost, mut at) = (vec![vec![0usize; n]; n], vec![vec![0; n]; n]);
    for length in 1..n {
        for from in 0..n - length {
            let to = from + length;
            let steps = |cut: usize| {
                let product = side(from).saturating_mul(side(cut + 1)).saturating_mul(side(to + 1));
                cost[from][cut].saturating_add(cost[cut + 1][to]).saturating_add(product)
            };
            let best = (from..to).map(|cut| (steps(cut), cut)).min().unwrap_or_default();
            (cost[from][to], at[from][to]) = best;
        }
    }
    at
}

fn chain(factors: &[Tensor], splits: &[Vec<usize>], from: usize, to: usize) -> stark_kernels::Result<Tensor> {
    if from == to {
        return Ok(factors[from].clone());
    }
    let cut = splits[from][to];
    k::matmul(&chain(factors, splits, from, cut)?, &chain(factors, splits, cut + 1, to)?)
}

pub fn matrix_power(a: &Args<'_>) -> OpResult {
    let (batch, n) = (Batch::square("linalg.matrix_power", &*a.tensor(0)?)?, a.int(1)?);
    let made = batch.each(|m| {
        let mut base = if n < 0 { lu(m).solve(&Matrix::identity(m.rows), "linalg.matrix_power")? } else { m.clone() };
        let (mut made, mut left) = (Matrix::identity(m.rows), n.unsigned_abs());
        while left > 0 {
            if left & 1 == 1 {
                made = made.times(&base);
            }
            base = base.times(&base);
            left >>= 1;
        }
        Ok(made)
    })?;
    batch.matrices(made, batch.rows, batch.cols).map(Value::Tensor)
}

pub fn matrix_exp(a: &Args<'_>) -> OpResult {
    let batch = Batch::square("linalg.matrix_exp", &*a.tensor(0)?)?;
    let made = batch.each(|m| Ok(exponential(m)))?;
    batch.matrices(made, batch.rows, batch.cols).map(Value::Tensor)
}

/// `(self, ord, dim, keepdim, dtype)`.
pub fn matrix_norm(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let x = x.to(a.dtype(4)?.unwrap_or(x.dtype())).map_err(say)?;
    let dims = a.opt_ints(2)?;
    let [rows, cols] = *dims.as_deref().unwrap_or(&[-2, -1]) else {
        return Err("linalg.matrix_norm: dim must be a 2-tuple".into());
    };
    let axis = |dim: i64| stark_shapes::rules::axis(dim, x.rank()).map(|at| at as i64).map_err(say);
    let (rows, cols) = (axis(rows)?, axis(cols)?);
    if rows == cols {
        return Err("linalg.matrix_norm: dims must be different".into());
    }
    let last = || {
        x.permute(&(0..x.rank() as i64).filter(|i| *i != rows && *i != cols).chain([rows, cols]).collect::<Vec<_>>())
    };
    let values = |pick: fn(&[f64]) -> f64| {
        let batch = Batch::of("linalg.matrix_norm", &last().map_err(say)?)?;
        batch.tensor(batch.each(|m| Ok(pick(&svd(m, "linalg.matrix_norm")?.1)))?, &[])
    };
    let sums = |over: i64, greatest: bool| {
        let sums = k::sum(&k::abs(&last()?)?, &[over], false)?;
        if greatest { k::amax(&sums, &[-1], false) } else { k::amin(&sums, &[-1], false) }
    };
    let made = match (a.get(1), a.opt_scalar(1).ok().flatten().map(Scalar::to_f64)) {
        (Value::Str(name), _) if &**name == "fro" => {
            k::norm(&last().map_err(say)?, 2.0, &[-2, -1], false).map_err(say)?
        }
        (Value::Str(name), _) if &**name == "nuc" => values(|s| s.iter().sum())?,
        (_, Some(2.0)) => values(|s| s.first().copied().unwrap_or(0.0))?,
        (_, Some(-2.0)) => values(|s| s.last().copied().unwrap_or(0.0))?,
        (_, Some(ord)) if ord.abs() == 1.0 => sums(-2, ord > 0.0).map_err(say)?,
        (_, Some(ord)) if ord.is_infinite() => sums(-1, ord > 0.0).map_err(say)?,
        (other, _) => return Err(format!("linalg.matrix_norm: Order {other} not supported")),
    };
    if !a.bool(3)? {
        return Ok(Value::Tensor(made));
    }
    ok(made.unsqueeze(rows.min(cols)).and_then(|t| t.unsqueeze(rows.max(cols))))
}

pub fn matrix_rank(a: &Args<'_>) -> OpResult {
    let batch = Batch::of("linalg.matrix_rank", &*a.tensor(0)?)?;
    let given = |index: usize| a.opt_scalar(index).map(|x| x.map(Scalar::to_f64));
    let (absolute, relative) = (given(1)?.unwrap_or(0.0), given(2)?.unwrap_or(default_rtol(&batch)));
    let rank = |m: &Matrix| {
        let s = svd(m, "linalg.matrix_rank")?.1;
        let least = absolute.max(relative * s.first().copied().unwrap_or(0.0));
        Ok(s.iter().filter(|&&s| s > least).count() as i64)
    };
    ok(Tensor::from_vec(batch.each(rank)?, &batch.lead))
}

pub fn trace(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    if x.rank() != 2 {
        return Err(format!("trace: expected a matrix, but got tensor with dim {}", x.rank()));
    }
    ok(x.diagonal(0, 0, 1).and_then(|d| k::sum(&d, &[], false)))
}
