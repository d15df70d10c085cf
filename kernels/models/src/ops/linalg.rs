//! Linear algebra of small dense matrices, batched, in Float64: each matrix by itself, and the results in its dtype.
//!
//! Where PyTorch's results are not unique (signs of singular vectors, of eigenvectors) ours may be others.

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::loss::numbers;
use super::tensor::{ok, pair_of, say};
use super::{Args, OpResult};
use crate::value::Value;

/// Sweeps of Jacobi's rotations, which converge in less than ten.
const SWEEPS: usize = 60;

/// A matrix, row by row.
#[derive(Debug, Clone)]
struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

impl Matrix {
    fn zeros(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, data: vec![0.0; rows * cols] }
    }

    fn identity(n: usize) -> Matrix {
        let mut made = Matrix::zeros(n, n);
        (0..n).for_each(|i| made.data[i * n + i] = 1.0);
        made
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    fn set(&mut self, i: usize, j: usize, x: f64) {
        self.data[i * self.cols + j] = x;
    }

    fn turned(&self) -> Matrix {
        let mut made = Matrix::zeros(self.cols, self.rows);
        (0..self.rows).for_each(|i| (0..self.cols).for_each(|j| made.set(j, i, self.at(i, j))));
        made
    }

    fn times(&self, other: &Matrix) -> Matrix {
        let mut made = Matrix::zeros(self.rows, other.cols);
        for i in 0..self.rows {
            for l in 0..self.cols {
                let x = self.at(i, l);
                (0..other.cols).for_each(|j| made.data[i * other.cols + j] += x * other.at(l, j));
            }
        }
        made
    }

    fn scaled(mut self, by: f64) -> Matrix {
        self.data.iter_mut().for_each(|x| *x *= by);
        self
    }

    fn plus(mut self, other: &Matrix) -> Matrix {
        self.data.iter_mut().zip(&other.data).for_each(|(x, y)| *x += y);
        self
    }

    fn columns(&self, n: usize) -> Matrix {
        let mut made = Matrix::zeros(self.rows, n);
        (0..self.rows).for_each(|i| (0..n).for_each(|j| made.set(i, j, self.at(i, j))));
        made
    }

    fn swap_rows(&mut self, i: usize, j: usize) {
        (0..self.cols).for_each(|l| self.data.swap(i * self.cols + l, j * self.cols + l));
    }
}

/// A batch of matrices of one shape.
struct Batch {
    lead: Vec<usize>,
    all: Vec<Matrix>,
    rows: usize,
    cols: usize,
    dtype: DType,
}

impl Batch {
    fn of(name: &str, t: &Tensor) -> Result<Batch, String> {
        let [lead @ .., rows, cols] = t.shape() else {
            return Err(format!("{name}: The input tensor must have at least 2 dimensions, not {}", t.rank()));
        };
        if !t.dtype().is_float() {
            return Err(format!("{name}: Expected a floating point tensor as input. Got {}", t.dtype()));
        }
        let n = (rows * cols).max(1);
        let n_all = lead.iter().product();
        let all = match t.numel() {
            0 => vec![Matrix::zeros(*rows, *cols); n_all],
            _ => numbers(t)?.chunks(n).map(|part| Matrix { rows: *rows, cols: *cols, data: part.to_vec() }).collect(),
        };
        Ok(Batch { lead: lead.to_vec(), all, rows: *rows, cols: *cols, dtype: t.dtype() })
    }

    fn square(name: &str, t: &Tensor) -> Result<Batch, String> {
        let batch = Batch::of(name, t)?;
        if batch.rows != batch.cols {
            let (rows, cols) = (batch.rows, batch.cols);
            return Err(format!(
                "{name}: A must be batches of square matrices, but they are {rows} by {cols} matrices"
            ));
        }
        Ok(batch)
    }

    fn tensor(&self, data: Vec<f64>, tail: &[usize]) -> Result<Tensor, String> {
        Tensor::from_vec(data, &[&self.lead[..], tail].concat()).and_then(|t| t.to(self.dtype)).map_err(say)
    }

    fn matrices(&self, made: Vec<Matrix>, rows: usize, cols: usize) -> Result<Tensor, String> {
        self.tensor(made.into_iter().flat_map(|m| m.data).collect(), &[rows, cols])
    }

    /// `f` of each, which may fail; the message tells which matrix of a batch it was.
    fn each<T>(&self, mut f: impl FnMut(&Matrix) -> Result<T, String>) -> Result<Vec<T>, String> {
        let with_place =
            |i: usize, e: String| if self.lead.is_empty() { e } else { format!("(Batch element {i}): {e}") };
        self.all.iter().enumerate().map(|(i, m)| f(m).map_err(|e| with_place(i, e))).collect()
    }
}

// ---- factors --------------------------------------------------------------------------------------

/// Both triangles in one matrix, where each row came from, and the sign of that order.
struct Lu {
    both: Matrix,
    /// With which later row each was exchanged.
    swaps: Vec<usize>,
    sign: f64,
}

fn lu(m: &Matrix) -> Lu {
    let mut both = m.clone();
    let (mut swaps, mut sign) = (Vec::new(), 1.0);
    for col in 0..m.rows.min(m.cols) {
        let size = |i: &usize| both.at(*i, col).abs();
        let best = (col..m.rows).fold(col, |best, i| if size(&i) > size(&best) { i } else { best });
        swaps.push(best);
        if best != col {
            both.swap_rows(best, col);
            sign = -sign;
        }
        let pivot = both.at(col, col);
        if pivot == 0.0 {
            continue;
        }
        for i in col + 1..m.rows {
            let factor = both.at(i, col) / pivot;
            both.set(i, col, factor);
            (col + 1..m.cols).for_each(|j| both.data[i * m.cols + j] -= factor * both.data[col * m.cols + j]);
        }
    }
    Lu { both, swaps, sign }
}

impl Lu {
    fn singular(&self) -> Option<usize> {
        (0..self.both.rows).find(|&i| self.both.at(i, i) == 0.0)
    }

    fn solve(&self, b: &Matrix, name: &str) -> Result<Matrix, String> {
        if let Some(i) = self.singular() {
            return Err(format!("{name}: The diagonal element {} is zero, the matrix is singular", i + 1));
        }
        let mut x = b.clone();
        self.swaps.iter().enumerate().for_each(|(i, &j)| x.swap_rows(i, j));
        triangle(&self.both, &mut x, false, true);
        triangle(&self.both, &mut x, true, false);
        Ok(x)
    }
}

/// `x` becomes what a triangle of `a` times it gives `x`.
fn triangle(a: &Matrix, x: &mut Matrix, upper: bool, unit: bool) {
    let n = a.rows;
    let order: Vec<usize> = if upper { (0..n).rev().collect() } else { (0..n).collect() };
    for &i in &order {
        for j in 0..x.cols {
            let others = if upper { i + 1..n } else { 0..i };
            let sum: f64 = others.map(|l| a.at(i, l) * x.at(l, j)).sum();
            let rest = x.at(i, j) - sum;
            x.set(i, j, if unit { rest } else { rest / a.at(i, i) });
        }
    }
}

fn lower_factor(m: &Matrix) -> Result<Matrix, String> {
    let n = m.rows;
    let mut made = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let rest = m.at(i, j) - (0..j).map(|l| made.at(i, l) * made.at(j, l)).sum::<f64>();
            if i != j {
                made.set(i, j, rest / made.at(j, j));
            } else if rest > 0.0 {
                made.set(i, i, rest.sqrt());
            } else {
                let order = i + 1;
                return Err(format!(
                    "linalg.cholesky: The factorization could not be completed because the input is not positive-definite \
                     (the leading minor of order {order} is not positive-definite)"
                ));
            }
        }
    }
    Ok(made)
}

/// By Householder's reflections, with the signs of LAPACK: all of `q`, and `r`.
fn qr(m: &Matrix) -> (Matrix, Matrix) {
    let (mut q, mut r) = (Matrix::identity(m.rows), m.clone());
    for col in 0..m.cols.min(m.rows.saturating_sub(1)) {
        let below: f64 = (col + 1..m.rows).map(|i| r.at(i, col) * r.at(i, col)).sum();
        if below == 0.0 {
            continue;
        }
        let alpha = r.at(col, col);
        let beta = -(alpha * alpha + below).sqrt().copysign(alpha);
        let mut v = vec![0.0; m.rows];
        v[col] = 1.0;
        (col + 1..m.rows).for_each(|i| v[i] = r.at(i, col) / (alpha - beta));
        let tau = (beta - alpha) / beta;
        for j in 0..m.cols {
            let dot: f64 = (col..m.rows).map(|i| v[i] * r.at(i, j)).sum();
            (col..m.rows).for_each(|i| r.data[i * m.cols + j] -= tau * dot * v[i]);
        }
        for i in 0..m.rows {
            let dot: f64 = (col..m.rows).map(|j| q.at(i, j) * v[j]).sum();
            (col..m.rows).for_each(|j| q.data[i * m.rows + j] -= tau * dot * v[j]);
        }
    }
    (0..m.rows).for_each(|i| (0..i.min(m.cols)).for_each(|j| r.set(i, j, 0.0)));
    (q, r)
}

/// Singular values from the greatest on, with left vectors `[rows, n]` and right ones `[cols, n]`, `n` the smaller size;
/// by one-sided rotations of columns.
fn svd(m: &Matrix) -> (Matrix, Vec<f64>, Matrix) {
    if m.rows < m.cols {
        let (u, s, v) = svd(&m.turned());
        return (v, s, u);
    }
    let n = m.cols;
    let (mut u, mut v) = (m.clone(), Matrix::identity(n));
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                let dot = |i: usize, j: usize| (0..m.rows).map(|l| u.at(l, i) * u.at(l, j)).sum::<f64>();
                let (a, b, c) = (dot(p, p), dot(q, q), dot(p, q));
                if c == 0.0 || c.abs() <= f64::EPSILON * (a * b).sqrt() {
                    continue;
                }
                turned = true;
                let zeta = (b - a) / (2.0 * c);
                let t = 1f64.copysign(zeta) / (zeta.abs() + zeta.hypot(1.0));
                let cos = 1.0 / t.hypot(1.0);
                rotate(&mut u, p, q, cos, cos * t);
                rotate(&mut v, p, q, cos, cos * t);
            }
        }
        if !turned {
            break;
        }
    }
    let lengths: Vec<f64> = (0..n).map(|j| (0..m.rows).map(|i| u.at(i, j) * u.at(i, j)).sum::<f64>().sqrt()).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let (mut left, mut right) = (Matrix::zeros(m.rows, n), Matrix::zeros(n, n));
    for (to, &from) in order.iter().enumerate() {
        let length = lengths[from];
        (0..m.rows).for_each(|i| left.set(i, to, if length > 0.0 { u.at(i, from) / length } else { 0.0 }));
        (0..n).for_each(|i| right.set(i, to, v.at(i, from)));
    }
    let values: Vec<f64> = order.iter().map(|&i| lengths[i]).collect();
    // Columns of length 0 have no direction of their own.
    let rank = values.iter().filter(|&&s| s > 0.0).count();
    (completed(&left, rank, n), values, right)
}

fn rotate(m: &mut Matrix, p: usize, q: usize, cos: f64, sin: f64) {
    for i in 0..m.rows {
        let (x, y) = (m.at(i, p), m.at(i, q));
        m.set(i, p, cos * x - sin * y);
        m.set(i, q, sin * x + cos * y);
    }
}

/// The first `known` columns of `m`, orthonormal, with more that are orthonormal to them, up to `n`.
fn completed(m: &Matrix, known: usize, n: usize) -> Matrix {
    let mut made = Matrix::zeros(m.rows, n);
    (0..m.rows).for_each(|i| (0..known.min(n)).for_each(|j| made.set(i, j, m.at(i, j))));
    let mut next = 0;
    for j in known..n {
        while next < m.rows {
            let mut column = vec![0.0; m.rows];
            column[next] = 1.0;
            next += 1;
            // Twice, for what rounding leaves.
            for _ in 0..2 {
                for l in 0..j {
                    let dot: f64 = (0..m.rows).map(|i| made.at(i, l) * column[i]).sum();
                    (0..m.rows).for_each(|i| column[i] -= dot * made.at(i, l));
                }
            }
            let length = column.iter().map(|x| x * x).sum::<f64>().sqrt();
            if length > 1e-6 {
                column.iter().enumerate().for_each(|(i, x)| made.set(i, j, x / length));
                break;
            }
        }
    }
    made
}

/// Eigenvalues of a symmetric matrix, of which one triangle counts, from the least on, with their vectors.
fn eigh(m: &Matrix, upper: bool) -> (Vec<f64>, Matrix) {
    let n = m.rows;
    let mut a = Matrix::zeros(n, n);
    (0..n).for_each(|i| (0..n).for_each(|j| a.set(i, j, if (i <= j) == upper { m.at(i, j) } else { m.at(j, i) })));
    let mut v = Matrix::identity(n);
    for _ in 0..SWEEPS {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a.at(i, j).powi(2)).sum();
        let all: f64 = a.data.iter().map(|x| x * x).sum();
        if off <= all * 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let x = a.at(p, q);
                if x == 0.0 {
                    continue;
                }
                let theta = (a.at(q, q) - a.at(p, p)) / (2.0 * x);
                let t = 1f64.copysign(theta) / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / t.hypot(1.0);
                rotate(&mut a, p, q, cos, cos * t);
                a = a.turned();
                rotate(&mut a, p, q, cos, cos * t);
                rotate(&mut v, p, q, cos, cos * t);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a.at(i, i).total_cmp(&a.at(j, j)));
    let mut vectors = Matrix::zeros(n, n);
    order.iter().enumerate().for_each(|(to, &from)| (0..n).for_each(|i| vectors.set(i, to, v.at(i, from))));
    (order.iter().map(|&i| a.at(i, i)).collect(), vectors)
}

/// By its Taylor series, of a matrix made so small that few terms do, squared back up.
fn exponential(m: &Matrix) -> Matrix {
    let n = m.rows;
    let norm = (0..n).map(|j| (0..n).map(|i| m.at(i, j).abs()).sum::<f64>()).fold(0.0, f64::max);
    if !norm.is_finite() {
        return Matrix { data: vec![f64::NAN; n * n], ..*m };
    }
    let halvings = if norm > 0.25 { (norm / 0.25).log2().ceil() as i32 } else { 0 };
    let small = m.clone().scaled(0.5f64.powi(halvings));
    let (mut sum, mut term) = (Matrix::identity(n), Matrix::identity(n));
    for i in 1..=16 {
        term = term.times(&small).scaled(1.0 / f64::from(i));
        sum = sum.plus(&term);
    }
    for _ in 0..halvings {
        sum = sum.times(&sum);
    }
    sum
}

fn pseudo_inverse(m: &Matrix, relative: f64, absolute: f64) -> Matrix {
    let (u, s, v) = svd(m);
    let least = absolute.max(relative * s.first().copied().unwrap_or(0.0));
    let mut made = v.clone();
    for (j, &s) in s.iter().enumerate() {
        (0..v.rows).for_each(|i| made.set(i, j, if s > least { v.at(i, j) / s } else { 0.0 }));
    }
    made.times(&u.turned())
}

// ---- operators ------------------------------------------------------------------------------------

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
        let (u, s, v) = svd(m);
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
    let values = batch.all.iter().flat_map(|m| svd(m).1).collect();
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
        let (l, v) = eigh(m, upper);
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
    let made = batch.each(|m| Ok(pseudo_inverse(m, relative, absolute.unwrap_or(0.0))))?;
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
        true => Ok(pseudo_inverse(m, relative, 0.0).times(b)),
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
        batch.tensor(batch.all.iter().map(|m| pick(&svd(m).1)).collect(), &[])
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
        let s = svd(m).1;
        let least = absolute.max(relative * s.first().copied().unwrap_or(0.0));
        s.iter().filter(|&&s| s > least).count() as i64
    };
    ok(Tensor::from_vec(batch.all.iter().map(rank).collect::<Vec<i64>>(), &batch.lead))
}

pub fn trace(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    if x.rank() != 2 {
        return Err(format!("trace: expected a matrix, but got tensor with dim {}", x.rank()));
    }
    ok(x.diagonal(0, 0, 1).and_then(|d| k::sum(&d, &[], false)))
}
