//! Complex numbers, as far as rotary embeddings need them: made, moved about, multiplied, and taken apart again.
//!
//! A complex tensor is two real ones ([`Value::Complex`]), so there is no dtype for it: an operator that has no row here
//! says that it takes a tensor.

use std::sync::Arc;

use stark_kernels::ops as k;
use stark_kernels::{Result as Tried, Tensor};

use super::tensor::{ok, say};
use super::{Args, OpResult, math, tensor};
use crate::value::Value;

/// PyTorch's numbers of the dtypes of complex numbers of 16, 32 and 64 bits a part.
const CODES: [i64; 3] = [8, 9, 10];

fn complex(real: Tensor, imag: Tensor) -> Value {
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

/// To another device, or to the dtype that it has.
pub fn to(a: &Args<'_>) -> OpResult {
    let Value::Complex(_) = a.get(0) else { return tensor::to(a) };
    let is_kept = |index: usize| match a.get(index) {
        Value::Int(code) => CODES.contains(code),
        Value::Tensor(_) => false,
        _ => true,
    };
    match is_kept(8) && is_kept(1) && is_kept(2) {
        true => Ok(a.get(0).clone()),
        false => Err("a complex tensor does not become a real one; take its real or imaginary part".into()),
    }
}
