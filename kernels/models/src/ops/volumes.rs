//! Pooling in three dimensions with the places of what is greatest.

use stark_kernels::ops as k;
use stark_kernels::{DType, Scalar, Tensor};

use super::args::{Args, OpResult};
use super::tensor::{ok, pair_of, say};

/// The greatest of each window of `[…, d, h, w]` and its number within the planes; windows as ranges of places by axis.
fn greatest(x: &Tensor, windows: &[Vec<Vec<usize>>; 3]) -> OpResult {
    let rank = x.rank();
    if rank < 4 {
        return Err(format!("needs rank 4 or 5, not shape {:?}", x.shape()));
    }
    let sizes = &x.shape()[rank - 3..];
    let lead = &x.shape()[..rank - 3];
    let n = sizes.iter().product::<usize>().max(1);
    let numbers: Vec<f64> = x.to_scalars().into_iter().map(Scalar::to_f64).collect();
    let mut shape = lead.to_vec();
    shape.extend(windows.iter().map(Vec::len));
    // Memory is asked for before numbers are made.
    Tensor::zeros(&shape, DType::I64).map_err(say)?;
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for volume in numbers.chunks(n) {
        for deep in &windows[0] {
            for tall in &windows[1] {
                for wide in &windows[2] {
                    let (mut best, mut at) = (f64::NEG_INFINITY, None);
                    for &d in deep {
                        for &h in tall {
                            for &w in wide {
                                let i = (d * sizes[1] + h) * sizes[2] + w;
                                if at.is_none() || volume[i] > best || volume[i].is_nan() {
                                    (best, at) = (volume[i], Some(i));
                                }
                            }
                        }
                    }
                    values.push(best);
                    places.push(at.unwrap_or(0) as i64);
                }
            }
        }
    }
    pair_of(
        Tensor::from_vec(values, &shape).and_then(|t| t.to(x.dtype())).map_err(say)?,
        Tensor::from_vec(places, &shape).map_err(say)?,
    )
}

/// Windows of a kernel over `n` places.
pub fn pooled(n: usize, pool: &stark_kernels::Pool) -> Result<Vec<Vec<usize>>, String> {
    let stark_kernels::Pool { kernel, stride, padding, dilation, ceil_mode } = *pool;
    let most = 1 << 24;
    if kernel == 0 || stride == 0 || dilation == 0 || [kernel, stride, padding, dilation].iter().any(|&n| n > most) {
        return Err("sizes of windows must be from 1 to 2^24".into());
    }
    let Some(room) = (n + 2 * padding).checked_sub(dilation * (kernel - 1) + 1) else {
        return Err(format!("a window of {kernel} does not fit {n} places"));
    };
    let mut count = if ceil_mode { room.div_ceil(stride) } else { room / stride } + 1;
    if ceil_mode && (count - 1) * stride >= n + padding {
        count -= 1;
    }
    if count.saturating_mul(kernel) > most {
        return Err(format!("{count} windows of {kernel}"));
    }
    let window = |i: usize| {
        let places = (0..kernel).filter_map(|j| (i * stride + j * dilation).checked_sub(padding));
        places.filter(|&at| at < n).collect()
    };
    Ok((0..count).map(window).collect())
}

pub fn max_pool3d_indices(x: &Tensor, pools: [stark_kernels::Pool; 3]) -> OpResult {
    if x.rank() < 4 {
        return Err(format!("needs rank 4 or 5, not shape {:?}", x.shape()));
    }
    let size = |i: usize| x.shape()[x.rank() - 3 + i];
    greatest(x, &[pooled(size(0), &pools[0])?, pooled(size(1), &pools[1])?, pooled(size(2), &pools[2])?])
}

pub fn adaptive_max_pool3d(x: &Tensor, wanted: [usize; 3]) -> OpResult {
    if x.rank() < 4 || wanted.iter().any(|&n| n > 1 << 24) {
        return Err(format!("pools shape {:?} to {wanted:?}", x.shape()));
    }
    let parts = |i: usize| {
        let (n, m) = (x.shape()[x.rank() - 3 + i], wanted[i]);
        (0..m).map(|j| (j * n / m..((j + 1) * n).div_ceil(m)).collect()).collect()
    };
    greatest(x, &[parts(0), parts(1), parts(2)])
}

/// `(self, indices, output_size, …)`: puts values back where they were found; the rest is 0.
pub fn max_unpool3d(a: &Args<'_>) -> OpResult {
    let (x, indices, size) = (a.tensor(0)?, a.tensor(1)?, a.sizes(2)?);
    if x.rank() < 4 || size.len() != 3 || x.shape() != indices.shape() {
        return Err(format!("values of shape {:?} with indices of shape {:?}", x.shape(), indices.shape()));
    }
    let lead = x.shape()[..x.rank() - 3].to_vec();
    let n = size.iter().try_fold(1usize, |n, &m| n.checked_mul(m)).ok_or("the output_size is too large")?;
    let made = || {
        let (values, indices) = (x.flatten(-3, -1)?, indices.flatten(-3, -1)?);
        let blank = Tensor::zeros(&[&lead[..], &[n]].concat(), x.dtype())?;
        k::scatter(&blank, -1, &indices, &values)?.reshape_to(&[&lead[..], &size].concat())
    };
    ok(made())
}
