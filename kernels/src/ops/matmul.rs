//! Matrix products: `matmul`, `bmm`, `linear` and their relatives.

use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;
use stark_shapes::{DType, ShapeError, rules, show};

use crate::accelerator::{self, Finish, Kernel as DeviceKernel};
use crate::cpu::buffer::Buffer;
use crate::cpu::gemm::{Mat, Product, batches, gemm};
use crate::cpu::split::fill_chunks;
use crate::cpu::whole;
use crate::element::{Elem, Scalar};
use crate::error::{Result, TensorError};
use crate::ops::elementwise::{Arith, add, mul};
use crate::ops::view::expanded_strides;
use crate::tensor::{Tensor, check_bytes};
use crate::walk::Walk;

fn same_dtype(name: &str, a: &Tensor, b: &Tensor) -> Result<DType> {
    if a.dtype() != b.dtype() {
        return Err(TensorError::DType(format!(
            "{name} needs equal element types, not {} and {}",
            a.dtype(),
            b.dtype()
        )));
    }
    Ok(a.dtype())
}

/// `a @ b`: vectors, matrices, and stacks of matrices whose leading axes broadcast. Both of one dtype.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let shape = rules::matmul(a.shape(), b.shape())?;
    let dtype = same_dtype("matmul", a, b)?;
    // Vectors are matrices of one row or column until the end.
    let left = if a.rank() == 1 { a.unsqueeze(0)? } else { a.clone() };
    let right = if b.rank() == 1 { b.unsqueeze(1)? } else { b.clone() };
    if let Some(out) = device_product(&left, &right, Finish::default())? {
        return out.reshape_to(&shape);
    }
    let out = match dtype {
        DType::F32 => match times_vector(&left, &right)? {
            Some(out) => out,
            None => product::<f32>(&left, &right)?,
        },
        DType::F64 => product::<f64>(&left, &right)?,
        DType::F16 | DType::BF16 => product::<f32>(&left.to(DType::F32)?, &right.to(DType::F32)?)?.to(dtype)?,
        DType::I8 => int_product::<i8>(&left, &right)?,
        DType::U8 => int_product::<u8>(&left, &right)?,
        DType::I16 => int_product::<i16>(&left, &right)?,
        DType::I32 => int_product::<i32>(&left, &right)?,
        DType::I64 => int_product::<i64>(&left, &right)?,
        DType::Bool => return Err(TensorError::dtype("matmul", dtype)),
    };
    out.reshape_to(&shape)
}

/// `a @ b`, matrices or stacks of them, when an accelerator has one and its floats; halves compute in `Float32`.
pub(crate) fn device_product(a: &Tensor, b: &Tensor, finish: Finish<'_>) -> Result<Option<Tensor>> {
    let dtype = a.dtype();
    if accelerator::of([a, b]).is_none() || !dtype.is_float() {
        return Ok(None);
    }
    let compute = super::elementwise::compute_dtype(dtype);
    let (a, b) = (a.to(compute)?, b.to(compute)?);
    let mut shape = rules::broadcast(&a.shape()[..a.rank() - 2], &b.shape()[..b.rank() - 2])?;
    shape.extend([a.shape()[a.rank() - 2], b.shape()[b.rank() - 1]]);
    check_bytes(&shape, compute)?;
    // A stack times one matrix is one tall product.
    let tall = (a.rank() > 2 && b.rank() == 2 && finish.added.is_none_or(Tensor::is_contiguous)).then_some(());
    let out = if tall.is_some() {
        let k = a.shape()[a.rank() - 1];
        let n = b.shape()[1];
        let m = rules::numel(&a.shape()[..a.rank() - 1])?;
        let rows = a.contiguous()?.reshape_to(&[m, k])?;
        let added = finish.added.map(|t| t.reshape_to(&[m, n])).transpose()?;
        let finish = Finish { added: added.as_ref(), ..finish };
        let flat = [m, n];
        let out = accelerator::offer([&rows, &b], || DeviceKernel::Product { a: &rows, b: &b, shape: &flat, finish })?;
        out.map(|out| out.reshape_to(&shape)).transpose()?
    } else {
        accelerator::offer([&a, &b], || DeviceKernel::Product { a: &a, b: &b, shape: &shape, finish })?
    };
    out.map(|out| out.to(dtype)).transpose()
}

/// The stack of matrices that both operands broadcast to, and where each product finds its factors.
struct Batch {
    shape: SmallVec<[usize; 6]>,
    starts: Vec<[usize; 2]>,
    m: usize,
    k: usize,
    n: usize,
}

fn batch(a: &Tensor, b: &Tensor) -> Result<Batch> {
    let (ra, rb) = (a.rank(), b.rank());
    let lead = rules::broadcast(&a.shape()[..ra - 2], &b.shape()[..rb - 2])?;
    let (m, k, n) = (a.shape()[ra - 2], a.shape()[ra - 1], b.shape()[rb - 1]);
    let stacked = |x: &Tensor| {
        let tail: SmallVec<[usize; 8]> = lead.iter().chain(&x.shape()[x.rank() - 2..]).copied().collect();
        let strides = expanded_strides(x, &tail);
        SmallVec::<[usize; 6]>::from_slice(&strides[..lead.len()])
    };
    let full: SmallVec<[usize; 8]> = lead.iter().copied().chain([m, n]).collect();
    check_bytes(&full, a.dtype())?;
    let walk = Walk::new(&lead, [&stacked(a), &stacked(b)], [0, 0]);
    let count = rules::numel(&lead)?;
    let mut starts = Vec::new();
    // An empty result needs no places, however absurd the number of empty matrices is.
    if m > 0 && n > 0 {
        starts.reserve(count);
        let [s, t] = walk.inner();
        walk.rows(0..count, |[i, j], n| starts.extend((0..n).map(|x| [i + x * s, j + x * t])));
    }
    let mut shape = SmallVec::from_slice(&lead);
    shape.extend([m, n]);
    Ok(Batch { shape, starts, m, k, n })
}

fn product<T: Product + Elem>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    // A stack times one matrix is one tall product.
    if a.rank() > 2 && b.rank() == 2 && a.is_contiguous() {
        let k = a.shape()[a.rank() - 1];
        let rows: usize = a.shape()[..a.rank() - 1].iter().product();
        let mut shape: SmallVec<[usize; 6]> = SmallVec::from_slice(&a.shape()[..a.rank() - 1]);
        shape.push(b.shape()[1]);
        return product::<T>(&a.reshape_to(&[rows, k])?, b)?.reshape_to(&shape);
    }
    let Batch { shape, starts, m, k, n } = batch(a, b)?;
    let n_out = rules::numel(&shape)?;
    // Sums of nothing are zeros; all others are written.
    let mut buffer = if k == 0 { Buffer::zeroed::<T>(n_out)? } else { Buffer::for_overwrite::<T>(n_out)? };
    let (x, y) = (a.storage::<T>(), b.storage::<T>());
    let (sa, sb) = (&a.strides()[a.rank() - 2..], &b.strides()[b.rank() - 2..]);
    let out = buffer.as_mut_slice::<T>();
    let one = |i: usize, out: &mut [T]| {
        let [at, bt] = starts[i];
        gemm(out, Mat::new(&x[at..], m, k, sa[0], sa[1]), Mat::new(&y[bt..], k, n, sb[0], sb[1]), false);
    };
    if k == 0 {
        // Sums of nothing: the zeros are already there.
    } else if starts.len() == 1 {
        one(0, out);
    } else {
        batches(out, starts.len(), m * k * n, one);
    }
    Ok(Tensor::from_buffer(buffer, T::DTYPE, &shape))
}

fn int_product<T: Arith>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let Batch { shape, starts, m, k, n } = batch(a, b)?;
    let mut buffer = Buffer::zeroed::<T>(rules::numel(&shape)?)?;
    let (x, y) = (a.storage::<T>(), b.storage::<T>());
    let (sa, sb) = (&a.strides()[a.rank() - 2..], &b.strides()[b.rank() - 2..]);
    let plain = |i: usize, out: &mut [T]| {
        let [at, bt] = starts[i];
        for (row, out) in out.chunks_mut(n).enumerate() {
            for j in 0..k {
                let left = x[at + row * sa[0] + j * sa[1]];
                for (col, o) in out.iter_mut().enumerate() {
                    *o = o.add(left.mul(y[bt + j * sb[0] + col * sb[1]]));
                }
            }
        }
    };
    let short = Mutex::new(None);
    batches(buffer.as_mut_slice::<T>(), starts.len(), m * k * n, |i, out| {
        if k == 0 || crate::device::is_reference() {
            return plain(i, out);
        }
        let [at, bt] = starts[i];
        let (a, b) = (Mat::new(&x[at..], m, k, sa[0], sa[1]), Mat::new(&y[bt..], k, n, sb[0], sb[1]));
        if let Err(error) = whole::product(out, a, b) {
            *short.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    });
    match short.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(Tensor::from_buffer(buffer, T::DTYPE, &shape)),
    }
}

/// The product of a matrix whose rows have no gaps and a vector: a number for each row, read once. None for other operands.
fn times_vector(a: &Tensor, b: &Tensor) -> Result<Option<Tensor>> {
    let ([m, k], [_, 1]) = (a.shape(), b.shape()) else { return Ok(None) };
    if *k == 0 || a.strides()[1] != 1 || crate::device::is_reference() {
        return Ok(None);
    }
    let mut buffer = Buffer::for_overwrite::<f32>(*m)?;
    let matrix = Mat::new(a.storage::<f32>(), *m, *k, a.strides()[0], 1);
    let x = b.contiguous()?;
    let chunk = (crate::cpu::split::CHUNK / k).max(1);
    fill_chunks(buffer.as_mut_slice::<f32>(), chunk, |start, out| {
        whole::times_vector(out, matrix.from_row(start, out.len()), x.slice_of::<f32>());
    });
    Ok(Some(Tensor::from_buffer(buffer, DType::F32, &[*m, 1])))
}

/// Two matrices.
pub fn mm(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ranks("mm", a, b, 2)?;
    matmul(a, b)
}

/// Two stacks of matrices of equal length, `[b, m, k] @ [b, k, n]`.
pub fn bmm(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ranks("bmm", a, b, 3)?;
    if a.shape()[0] != b.shape()[0] {
        return Err(ShapeError(format!(
            "shapes {} and {} do not multiply: axis 0 is {}, axis 0 is {}",
            show(a.shape()),
            show(b.shape()),
            a.shape()[0],
            b.shape()[0]
        ))
        .into());
    }
    matmul(a, b)
}

fn ranks(name: &str, a: &Tensor, b: &Tensor, rank: usize) -> Result<()> {
    if a.rank() != rank || b.rank() != rank {
        return Err(ShapeError(format!(
            "{name} needs rank {rank}, not shapes {} and {}",
            show(a.shape()),
            show(b.shape())
        ))
        .into());
    }
    Ok(())
}

/// `beta · c + alpha · (a @ b)` for matrices.
pub fn addmm(c: &Tensor, a: &Tensor, b: &Tensor, beta: impl Into<Scalar>, alpha: impl Into<Scalar>) -> Result<Tensor> {
    scaled_sum(c, &mm(a, b)?, beta.into(), alpha.into())
}

/// `beta · c + alpha · (a @ b)` for stacks of matrices.
pub fn baddbmm(
    c: &Tensor,
    a: &Tensor,
    b: &Tensor,
    beta: impl Into<Scalar>,
    alpha: impl Into<Scalar>,
) -> Result<Tensor> {
    scaled_sum(c, &bmm(a, b)?, beta.into(), alpha.into())
}

fn scaled_sum(c: &Tensor, product: &Tensor, beta: Scalar, alpha: Scalar) -> Result<Tensor> {
    let scaled = if alpha.to_f64() == 1.0 { product.clone() } else { mul(product, alpha)? };
    // As in PyTorch, beta = 0 keeps NaN in `c` out of the result.
    match beta.to_f64() {
        0.0 => {
            rules::broadcast_to(c.shape(), product.shape())?;
            Ok(scaled)
        }
        1.0 => add(&scaled, c),
        _ => add(&scaled, &mul(c, beta)?),
    }
}

/// The product of two vectors, one number.
pub fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ranks("dot", a, b, 1)?;
    matmul(a, b)
}

/// Every product of an element of `a` with one of `b`: `[n]`, `[m]` to `[n, m]`.
pub fn outer(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ranks("outer", a, b, 1)?;
    mul(&a.unsqueeze(1)?, &b.unsqueeze(0)?)
}

/// `x @ weightᵀ + bias`: `x [.., in]`, `weight [out, in]`, `bias [out]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let shape = rules::linear(x.shape(), weight.shape(), bias.map(|b| b.shape()))?;
    let dtype = same_dtype("linear", x, weight)?;
    if let Some(bias) = bias {
        same_dtype("linear", x, bias)?;
    }
    if accelerator::of([x, weight]).is_some() && dtype.is_float() && x.rank() > 1 {
        let wide = bias.map(|b| b.to(super::elementwise::compute_dtype(dtype))).transpose()?;
        let finish = Finish { bias: wide.as_ref(), ..Finish::default() };
        if let Some(out) = device_product(x, &weight.t()?, finish)? {
            return Ok(out);
        }
    }
    match dtype {
        DType::F32 => linear_of::<f32>(x, weight, bias, &shape),
        DType::F64 => linear_of::<f64>(x, weight, bias, &shape),
        // Sums of halves lose digits; each is rounded once.
        DType::F16 | DType::BF16 => {
            let bias = bias.map(|b| b.to(DType::F32)).transpose()?;
            linear_of::<f32>(&x.to(DType::F32)?, &weight.to(DType::F32)?, bias.as_ref(), &shape)?.to(dtype)
        }
        _ => {
            let out = matmul(x, &weight.t()?)?;
            match bias {
                Some(bias) => add(&out, bias),
                None => Ok(out),
            }
        }
    }
}

fn linear_of<T: Product + Elem>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, shape: &[usize]) -> Result<Tensor> {
    let (n, k) = (weight.shape()[0], weight.shape()[1]);
    let mut buffer = Buffer::zeroed::<T>(rules::numel(shape)?)?;
    let m = if n == 0 { 0 } else { buffer.as_slice::<T>().len() / n };
    if m == 0 {
        return Ok(Tensor::from_buffer(buffer, T::DTYPE, shape));
    }
    let rows = x.reshape_to(&[m, k])?;
    let out = buffer.as_mut_slice::<T>();
    if let Some(bias) = bias {
        let bias = bias.contiguous()?;
        let bias = bias.slice_of::<T>();
        fill_chunks(out, n * (32 * 1024 / n).max(1), |_, out| {
            out.chunks_mut(n).for_each(|row| row.copy_from_slice(bias))
        });
    }
    let (sx, sw) = (rows.strides(), weight.strides());
    if k > 0 {
        let a = Mat::new(rows.storage::<T>(), m, k, sx[0], sx[1]);
        // The transpose is only a swap of strides.
        let b = Mat::new(weight.storage::<T>(), k, n, sw[1], sw[0]);
        gemm(out, a, b, bias.is_some());
    }
    Ok(Tensor::from_buffer(buffer, T::DTYPE, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(values: &[f32], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape).unwrap()
    }

    #[test]
    fn products_of_every_rank() {
        let a = f(&[1.0, 2.0, 3.0, 4.0], &[2, 2]);
        let row = f(&[10.0, 20.0], &[2]);
        for (got, shape, want) in [
            (matmul(&a, &a), &[2, 2][..], vec![7.0, 10.0, 15.0, 22.0]),
            (matmul(&a, &a.t().unwrap()), &[2, 2], vec![5.0, 11.0, 11.0, 25.0]),
            (matmul(&a, &row), &[2], vec![50.0, 110.0]),
            (matmul(&row, &a), &[2], vec![70.0, 100.0]),
            (matmul(&row, &row), &[], vec![500.0]),
            (matmul(&a.expand(&[3, 2, 2]).unwrap(), &row), &[3, 2], [50.0, 110.0].repeat(3)),
            (
                linear(&a, &f(&[1.0, 1.0, 0.0, 1.0, 2.0, 0.0], &[3, 2]), Some(&f(&[0.5, 0.0, 1.0], &[3]))),
                &[2, 3],
                vec![3.5, 2.0, 3.0, 7.5, 4.0, 7.0],
            ),
            (outer(&row, &row), &[2, 2], vec![100.0, 200.0, 200.0, 400.0]),
            (addmm(&row, &a, &a, 2, 1), &[2, 2], vec![27.0, 50.0, 35.0, 62.0]),
        ] {
            let got = got.unwrap();
            assert_eq!((got.shape(), got.to_vec::<f32>().unwrap()), (shape, want));
        }
        for dtype in [DType::F64, DType::F16, DType::BF16, DType::I8, DType::I64] {
            let a = a.to(dtype).unwrap();
            let got = matmul(&a.expand(&[2, 2, 2]).unwrap(), &a.unsqueeze(0).unwrap()).unwrap();
            assert_eq!(
                got.to(DType::F32).unwrap().to_vec::<f32>().unwrap(),
                [7.0, 10.0, 15.0, 22.0].repeat(2),
                "{dtype}"
            );
        }
        assert_eq!(matmul(&f(&[], &[2, 0]), &f(&[], &[0, 3])).unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
        assert_eq!(
            matmul(&f(&[0.0; 6], &[2, 3]), &f(&[0.0; 6], &[2, 3])).unwrap_err().to_string(),
            "shapes [2, 3] and [2, 3] do not multiply: axis 1 is 3, axis 0 is 2"
        );
        assert!(matmul(&a, &a.to(DType::F64).unwrap()).is_err() && bmm(&a, &a).is_err());
    }

    #[test]
    fn large_products_do_not_depend_on_how_rows_are_split() {
        use std::sync::Arc;
        struct Threads;
        impl crate::Parallel for Threads {
            fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
                std::thread::scope(|s| (0..n).rev().for_each(|i| drop(s.spawn(move || body(i)))));
            }
        }
        let a = crate::ops::randn(&[700, 90], 1, DType::F32).unwrap();
        let b = crate::ops::randn(&[90, 300], 2, DType::F32).unwrap();
        let alone = matmul(&a, &b).unwrap();
        assert_eq!(crate::with_parallel(Arc::new(Threads), || matmul(&a, &b)).unwrap(), alone);
    }
}
