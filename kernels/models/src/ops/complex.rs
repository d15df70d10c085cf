//! Complex numbers, as far as rotary embeddings and spectra need them: made, moved about, multiplied, and taken apart again.
//!
//! A complex tensor is two real ones ([`Value::Complex`]), so there is no dtype for it: an operator that has no row here
//! says that it takes a tensor.

use std::sync::Arc;

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Tensor, TensorError};

use super::tensor::{ok, say};
use super::{Args, OpResult, math, tensor};
use crate::value::Value;

/// PyTorch's numbers of the dtypes of complex numbers of 16, 32 and 64 bits a part.
const CODES: [i64; 3] = [8, 9, 10];

pub fn complex(real: Tensor, imag: Tensor) -> Value {
    Value::Complex(Arc::new((real, imag)))
}

/// Pairs along the last axis as complex numbers.
pub fn view_as_complex(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    if !x.dtype().is_float() || x.shape().last() != Some(&2) {
        return Err(format!("takes pairs of floats along the last axis, not {} of shape {:?}", x.dtype(), x.shape()));
    }
    Ok(complex(x.select(-1, 0).map_err(say)?, x.select(-1, 1).map_err(say)?))
}

pub fn view_as_real(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => ok(k::stack(&[&parts.0, &parts.1], -1)),
        other => Err(format!("takes a complex tensor, not {}", other.kind())),
    }
}

pub fn from_parts(a: &Args<'_>) -> OpResult {
    let (real, imag) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let zeros = k::mul(&k::add(&*real, &*imag)?, 0.0)?;
        Ok::<_, stark_kernels::TensorError>((real.expand(zeros.shape())?, imag.expand(zeros.shape())?))
    };
    let (real, imag) = made().map_err(say)?;
    Ok(complex(real, imag))
}

pub fn polar(a: &Args<'_>) -> OpResult {
    let (length, angle) = (a.tensor(0)?, a.tensor(1)?);
    let made = || Ok((k::mul(&*length, &k::cos(&angle)?)?, k::mul(&*length, &k::sin(&angle)?)?));
    let (real, imag) = made().map_err(|e: stark_kernels::TensorError| e.to_string())?;
    Ok(complex(real, imag))
}

pub fn real(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => Ok(Value::Tensor(parts.0.clone())),
        _ => tensor::same(a),
    }
}

pub fn imag(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => Ok(Value::Tensor(parts.1.clone())),
        _ => Err("takes a complex tensor".into()),
    }
}

pub fn conj(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => Ok(complex(parts.0.clone(), k::neg(&parts.1).map_err(say)?)),
        _ => tensor::same(a),
    }
}

pub fn mul(a: &Args<'_>) -> OpResult {
    let product = |(a, b): (&Tensor, &Tensor), (c, d): (&Tensor, &Tensor)| -> Tried<Value> {
        let real = k::sub(&k::mul(a, c)?, &k::mul(b, d)?)?;
        Ok(complex(real, k::add(&k::mul(a, d)?, &k::mul(b, c)?)?))
    };
    match (a.get(0), a.get(1)) {
        (Value::Complex(x), Value::Complex(y)) => product((&x.0, &x.1), (&y.0, &y.1)).map_err(say),
        (Value::Complex(x), _) => scaled((&x.0, &x.1), &*a.tensor(1)?),
        (_, Value::Complex(y)) => scaled((&y.0, &y.1), &*a.tensor(0)?),
        _ => math::mul(a),
    }
}

fn scaled(parts: (&Tensor, &Tensor), by: &Tensor) -> OpResult {
    let part = |x: &Tensor| k::mul(x, by).and_then(|y| y.to(x.dtype())).map_err(say);
    Ok(complex(part(parts.0)?, part(parts.1)?))
}

/// Runs an operator that only moves elements about on both parts of a complex tensor, or on a real one.
pub fn parts(a: &Args<'_>, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    let Value::Complex(both) = a.get(0) else { return run(a) };
    let part = |x: &Tensor| {
        let x = Value::Tensor(x.clone());
        let mut values = a.values.to_vec();
        values[0] = &x;
        match run(&Args::new(a.row, &values))? {
            Value::Tensor(part) => Ok(part),
            other => Err(format!("gives {} of a complex tensor", other.kind())),
        }
    };
    Ok(complex(part(&both.0)?, part(&both.1)?))
}

/// To another device, or to the dtype that it has; real numbers also become complex ones.
pub fn to(a: &Args<'_>) -> OpResult {
    let is_code = |index: usize| matches!(a.get(index), Value::Int(code) if CODES.contains(code));
    let is_complex = [8, 1, 2].into_iter().any(is_code);
    let Value::Complex(_) = a.get(0) else {
        return if is_complex { of_real(&*a.tensor(0)?) } else { tensor::to(a) };
    };
    let is_kept = |index: usize| is_code(index) || !matches!(a.get(index), Value::Int(_) | Value::Tensor(_));
    match is_kept(8) && is_kept(1) && is_kept(2) {
        true => Ok(a.get(0).clone()),
        false => Err("a complex tensor does not become a real one; take its real or imaginary part".into()),
    }
}

fn of_real(x: &Tensor) -> OpResult {
    let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
    let made = || Ok(complex(x.to(dtype)?, Tensor::zeros(x.shape(), dtype)?));
    made().map_err(|e: TensorError| e.to_string())
}

pub fn abs(a: &Args<'_>) -> OpResult {
    let Value::Complex(parts) = a.get(0) else { return math::abs(a) };
    let made = || k::sqrt(&k::add(&k::square(&parts.0)?, &k::square(&parts.1)?)?);
    ok(made())
}

pub fn angle(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => math::angle_of(&parts.1, &parts.0),
        // Of zeros with a sign it is zero, which `atan2` gives otherwise.
        _ => math::float_map(a, |x| if x < 0.0 { std::f64::consts::PI } else { x * 0.0 }),
    }
}
