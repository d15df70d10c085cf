//! Small dense matrices in Float64, in batches, and their factors.

use nalgebra::DMatrix;
use nalgebra::linalg::{SVD, SymmetricEigen};
use stark_kernels::{DType, Tensor};

use super::loss::numbers;
use super::tensor::say;

/// A matrix, row by row.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Matrix {
    pub fn zeros(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, data: vec![0.0; rows * cols] }
    }

    pub fn identity(n: usize) -> Matrix {
        let mut made = Matrix::zeros(n, n);
        (0..n).for_each(|i| made.data[i * n + i] = 1.0);
        made
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    pub fn set(&mut self, i: usize, j: usize, x: f64) {
        self.data[i * self.cols + j] = x;
    }

    pub fn turned(&self) -> Matrix {
        let mut made = Matrix::zeros(self.cols, self.rows);
        (0..self.rows).for_each(|i| (0..self.cols).for_each(|j| made.set(j, i, self.at(i, j))));
        made
    }

    pub fn times(&self, other: &Matrix) -> Matrix {
        let mut made = Matrix::zeros(self.rows, other.cols);
        for i in 0..self.rows {
            for l in 0..self.cols {
                let x = self.at(i, l);
                (0..other.cols).for_each(|j| made.data[i * other.cols + j] += x * other.at(l, j));
            }
        }
        made
    }

    pub fn scaled(mut self, by: f64) -> Matrix {
        self.data.iter_mut().for_each(|x| *x *= by);
        self
    }

    pub fn plus(mut self, other: &Matrix) -> Matrix {
        self.data.iter_mut().zip(&other.data).for_each(|(x, y)| *x += y);
        self
    }

    pub fn columns(&self, n: usize) -> Matrix {
        let mut made = Matrix::zeros(self.rows, n);
        (0..self.rows).for_each(|i| (0..n).for_each(|j| made.set(i, j, self.at(i, j))));
        made
    }

    pub fn swap_rows(&mut self, i: usize, j: usize) {
        (0..self.cols).for_each(|l| self.data.swap(i * self.cols + l, j * self.cols + l));
    }
}

/// A batch of matrices of one shape.
pub struct Batch {
    pub lead: Vec<usize>,
    pub all: Vec<Matrix>,
    pub rows: usize,
    pub cols: usize,
    pub dtype: DType,
}

impl Batch {
    pub fn of(name: &str, t: &Tensor) -> Result<Batch, String> {
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

    pub fn square(name: &str, t: &Tensor) -> Result<Batch, String> {
        let batch = Batch::of(name, t)?;
        if batch.rows != batch.cols {
            let (rows, cols) = (batch.rows, batch.cols);
            return Err(format!(
                "{name}: A must be batches of square matrices, but they are {rows} by {cols} matrices"
            ));
        }
        Ok(batch)
    }

    pub fn tensor(&self, data: Vec<f64>, tail: &[usize]) -> Result<Tensor, String> {
        Tensor::from_vec(data, &[&self.lead[..], tail].concat()).and_then(|t| t.to(self.dtype)).map_err(say)
    }

    pub fn matrices(&self, made: Vec<Matrix>, rows: usize, cols: usize) -> Result<Tensor, String> {
        self.tensor(made.into_iter().flat_map(|m| m.data).collect(), &[rows, cols])
    }

    /// `f` of each, which may fail; the message tells which matrix of a batch it was.
    pub fn each<T>(&self, mut f: impl FnMut(&Matrix) -> Result<T, String>) -> Result<Vec<T>, String> {
        let with_place =
            |i: usize, e: String| if self.lead.is_empty() { e } else { format!("(Batch element {i}): {e}") };
        self.all.iter().enumerate().map(|(i, m)| f(m).map_err(|e| with_place(i, e))).collect()
    }
}

// ---- factors --------------------------------------------------------------------------------------

/// Both triangles in one matrix, where each row came from, and the sign of that order.
pub struct Lu {
    pub both: Matrix,
    /// With which later row each was exchanged.
    pub swaps: Vec<usize>,
    pub sign: f64,
}

pub fn lu(m: &Matrix) -> Lu {
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
    pub fn singular(&self) -> Option<usize> {
        (0..self.both.rows).find(|&i| self.both.at(i, i) == 0.0)
    }

    pub fn solve(&self, b: &Matrix, name: &str) -> Result<Matrix, String> {
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
pub fn triangle(a: &Matrix, x: &mut Matrix, upper: bool, unit: bool) {
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

pub fn lower_factor(m: &Matrix) -> Result<Matrix, String> {
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
pub fn qr(m: &Matrix) -> (Matrix, Matrix) {
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

/// Rounds of a factorisation that finds its values by steps, at most: they converge in a few for each.
fn max_rounds(m: &Matrix) -> usize {
    1000 + 100 * m.rows.max(m.cols)
}

fn to_library(m: &Matrix) -> DMatrix<f64> {
    DMatrix::from_row_slice(m.rows, m.cols, &m.data)
}

fn from_library(m: &DMatrix<f64>) -> Matrix {
    let (rows, cols) = m.shape();
    Matrix { rows, cols, data: m.transpose().as_slice().to_vec() }
}

fn not_found(name: &str) -> String {
    format!("{name}: the algorithm did not converge: the matrix has numbers that are not finite, or is ill-conditioned")
}

fn is_finite(m: &Matrix) -> bool {
    m.data.iter().all(|x| x.is_finite())
}

/// Singular values from the greatest on, with left vectors `[rows, n]` and right ones `[cols, n]`, `n` the smaller size.
pub fn svd(m: &Matrix, name: &str) -> Result<(Matrix, Vec<f64>, Matrix), String> {
    let n = m.rows.min(m.cols);
    if n == 0 {
        return Ok((Matrix::zeros(m.rows, 0), Vec::new(), Matrix::zeros(m.cols, 0)));
    }
    let made = is_finite(m).then(|| SVD::try_new(to_library(m), true, true, f64::EPSILON, max_rounds(m))).flatten();
    let Some(SVD { u: Some(u), v_t: Some(v_t), singular_values }) = made else { return Err(not_found(name)) };
    Ok((from_library(&u), singular_values.as_slice().to_vec(), from_library(&v_t.transpose())))
}

/// The first `known` columns of `m`, orthonormal, with more that are orthonormal to them, up to `n`.
pub fn completed(m: &Matrix, known: usize, n: usize) -> Matrix {
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
pub fn eigh(m: &Matrix, upper: bool, name: &str) -> Result<(Vec<f64>, Matrix), String> {
    let n = m.rows;
    if n == 0 {
        return Ok((Vec::new(), Matrix::zeros(0, 0)));
    }
    let mut a = Matrix::zeros(n, n);
    (0..n).for_each(|i| (0..n).for_each(|j| a.set(i, j, if (i <= j) == upper { m.at(i, j) } else { m.at(j, i) })));
    let made = is_finite(&a).then(|| SymmetricEigen::try_new(to_library(&a), f64::EPSILON, max_rounds(m))).flatten();
    let Some(SymmetricEigen { eigenvectors, eigenvalues }) = made else { return Err(not_found(name)) };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| eigenvalues[i].total_cmp(&eigenvalues[j]));
    let vectors = from_library(&eigenvectors.select_columns(&order));
    Ok((order.iter().map(|&i| eigenvalues[i]).collect(), vectors))
}

/// By its Taylor series, of a matrix made so small that few terms do, squared back up.
pub fn exponential(m: &Matrix) -> Matrix {
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

pub fn pseudo_inverse(m: &Matrix, relative: f64, absolute: f64, name: &str) -> Result<Matrix, String> {
    let (u, s, v) = svd(m, name)?;
    let least = absolute.max(relative * s.first().copied().unwrap_or(0.0));
    let mut made = v.clone();
    for (j, &s) in s.iter().enumerate() {
        (0..v.rows).for_each(|i| made.set(i, j, if s > least { v.at(i, j) / s } else { 0.0 }));
    }
    Ok(made.times(&u.turned()))
}
