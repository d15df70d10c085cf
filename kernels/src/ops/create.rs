//! Tensors from nothing: ranges, identity, random numbers.

use half::{bf16, f16};
use stark_shapes::{DType, rules};

use crate::cpu::buffer::Buffer;
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::cpu::wide;
use crate::element::{Elem, Scalar, with_elem};
use crate::error::{Result, TensorError};
use crate::tensor::{Tensor, check_rank};

/// `start, start + step, …` below `end` (above it for a negative step).
pub fn arange(
    start: impl Into<Scalar>,
    end: impl Into<Scalar>,
    step: impl Into<Scalar>,
    dtype: DType,
) -> Result<Tensor> {
    let (start, end, step) = (start.into(), end.into(), step.into());
    let bad =
        || TensorError::Argument(format!("no range from {} to {} by {}", start.to_f64(), end.to_f64(), step.to_f64()));
    if let (Scalar::Int(first), Scalar::Int(end), Scalar::Int(step)) = (start, end, step) {
        let span = i128::from(end) - i128::from(first);
        let step = i128::from(step);
        if step == 0 || (span != 0 && (span < 0) != (step < 0)) {
            return Err(bad());
        }
        let n = usize::try_from((span + step - step.signum()) / step).map_err(|_| bad())?;
        return with_elem!(dtype, T => {
            let mut buffer = Buffer::zeroed::<T>(n)?;
            for (i, slot) in buffer.as_mut_slice::<T>().iter_mut().enumerate() {
                *slot = T::from_i64((i128::from(first) + i as i128 * step) as i64);
            }
            Ok(Tensor::from_buffer(buffer, dtype, &[n]))
        });
    }
    let (first, end, step) = (start.to_f64(), end.to_f64(), step.to_f64());
    let n = ((end - first) / step).ceil();
    if !(n >= 0.0 && n.is_finite() && step != 0.0 && first.is_finite()) {
        return Err(bad());
    }
    let n = n as usize;
    with_elem!(dtype, T => {
        let mut buffer = Buffer::zeroed::<T>(n)?;
        for (i, slot) in buffer.as_mut_slice::<T>().iter_mut().enumerate() {
            *slot = T::from_f64(first + i as f64 * step);
        }
        Ok(Tensor::from_buffer(buffer, dtype, &[n]))
    })
}

/// `n` evenly spaced numbers from `start` to `end`, both included.
pub fn linspace(start: f64, end: f64, n: usize, dtype: DType) -> Result<Tensor> {
    with_elem!(dtype, T => {
        let mut buffer = Buffer::zeroed::<T>(n)?;
        let step = if n > 1 { (end - start) / (n - 1) as f64 } else { 0.0 };
        for (i, slot) in buffer.as_mut_slice::<T>().iter_mut().enumerate() {
            // From the nearer end, so that both ends come out exactly.
            *slot = T::from_f64(if i < n / 2 || n == 1 { start + i as f64 * step } else { end - (n - 1 - i) as f64 * step });
        }
        Ok(Tensor::from_buffer(buffer, dtype, &[n]))
    })
}

/// The identity, `[rows, cols]`.
pub fn eye(rows: usize, cols: usize, dtype: DType) -> Result<Tensor> {
    let n = rules::numel(&[rows, cols])?;
    with_elem!(dtype, T => {
        let mut buffer = Buffer::zeroed::<T>(n)?;
        buffer.as_mut_slice::<T>().iter_mut().step_by(cols + 1).take(rows.min(cols)).for_each(|x| *x = T::from_i64(1));
        Ok(Tensor::from_buffer(buffer, dtype, &[rows, cols]))
    })
}

/// Zeros of the same shape and dtype.
pub fn zeros_like(x: &Tensor) -> Result<Tensor> {
    Tensor::zeros(x.shape(), x.dtype())
}

pub fn ones_like(x: &Tensor) -> Result<Tensor> {
    Tensor::ones(x.shape(), x.dtype())
}

pub fn full_like(x: &Tensor, value: impl Into<Scalar>) -> Result<Tensor> {
    Tensor::full(x.shape(), value, x.dtype())
}

/// What each number adds to the state.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64: one multiply chain per number, the same stream on every machine.
struct Random(u64);

impl Random {
    #[inline(always)]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1), with as many random bits as an `f32` holds, so that no dtype rounds it up to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 40) as f64 / (1u64 << 24) as f64
    }

    #[inline(always)]
    fn unit_f64(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn random(shape: &[usize], dtype: DType, mut draw: impl FnMut() -> f64) -> Result<Tensor> {
    if !dtype.is_float() {
        return Err(TensorError::dtype("random numbers", dtype));
    }
    check_rank(shape)?;
    let n = rules::numel(shape)?;
    with_elem!(dtype, T => {
        let mut buffer = Buffer::zeroed::<T>(n)?;
        buffer.as_mut_slice::<T>().iter_mut().for_each(|x| *x = T::from_f64(draw()));
        Ok(Tensor::from_buffer(buffer, dtype, shape))
    })
}

/// Uniform in [0, 1). The same `seed` gives the same numbers everywhere.
pub fn rand(shape: &[usize], seed: u64, dtype: DType) -> Result<Tensor> {
    let mut random_bits = Random(seed);
    // A half cannot tell 1 - 2^-24 from 1: round down to what it holds.
    let below_one = match dtype {
        DType::F16 => f16::from_f32(1.0).to_f64() - 1.0 / 2048.0,
        DType::BF16 => bf16::from_f32(1.0).to_f64() - 1.0 / 256.0,
        _ => 1.0,
    };
    random(shape, dtype, move || match dtype {
        DType::F64 => random_bits.unit_f64(),
        DType::F32 => random_bits.unit(),
        _ => random_bits.unit().min(below_one),
    })
}

/// Normal with mean 0 and deviation 1 (Box-Muller). The same `seed` gives the same numbers everywhere.
pub fn randn(shape: &[usize], seed: u64, dtype: DType) -> Result<Tensor> {
    if !dtype.is_float() {
        return Err(TensorError::dtype("random numbers", dtype));
    }
    check_rank(shape)?;
    let n = rules::numel(shape)?;
    with_elem!(dtype, T => {
        let mut buffer = Buffer::for_overwrite::<T>(n)?;
        fill_chunks(buffer.as_mut_slice::<T>(), CHUNK, |start, out| {
            for (i, out) in out.chunks_mut(2 * PAIRS).enumerate() {
                let first = (start + i * 2 * PAIRS) as u64;
                let pairs = dispatch(Normal { state: seed.wrapping_add(first.wrapping_mul(GAMMA)) });
                out.iter_mut().zip(pairs.as_flattened()).for_each(|(o, x)| *o = T::from_f64(*x));
            }
        });
        Ok(Tensor::from_buffer(buffer, dtype, shape))
    })
}

/// Pairs of normal numbers that are made at a time. Pieces of a tensor hold whole pairs.
const PAIRS: usize = 128;
const _: () = assert!(CHUNK.is_multiple_of(2 * PAIRS));

/// The pairs that come after a state of [`Random`], each of a radius and an angle.
struct Normal {
    state: u64,
}

impl Kernel for Normal {
    type Out = [[f64; 2]; PAIRS];
    #[inline(always)]
    fn run(self) -> [[f64; 2]; PAIRS] {
        let mut pairs = [[0.0; 2]; PAIRS];
        let mut cosines = [0.0; PAIRS];
        let mut sines = [0.0; PAIRS];
        for i in 0..PAIRS {
            let mut random = Random(self.state.wrapping_add((2 * i as u64).wrapping_mul(GAMMA)));
            let radius = (-2.0 * wide::ln(1.0 - random.unit_f64())).sqrt();
            let (sin, cos) = wide::sin_cos_of_turn(random.unit_f64());
            cosines[i] = radius * cos;
            sines[i] = radius * sin;
        }
        for i in 0..PAIRS {
            pairs[i] = [cosines[i], sines[i]];
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One number after the other, by the functions of the standard library.
    #[test]
    fn normal_numbers_are_those_of_the_formula() {
        for (seed, n) in [(0, 7), (1, 256), (u64::MAX, 100_001)] {
            let got = randn(&[n], seed, DType::F64).unwrap().to_vec::<f64>().unwrap();
            let mut bits = Random(seed);
            for pair in got.chunks(2) {
                let radius = (-2.0 * (1.0 - bits.unit_f64()).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * bits.unit_f64()).sin_cos();
                for (got, want) in pair.iter().zip([radius * cos, radius * sin]) {
                    assert!((got - want).abs() < 1e-14, "{seed}: {got} is not {want}");
                }
            }
            // The start of more numbers is the same, of any type.
            let more = randn(&[2 * n], seed, DType::F32).unwrap().to_vec::<f32>().unwrap();
            assert!(got.iter().zip(more).all(|(a, b)| *a as f32 == b));
        }
    }
}
