//! Complex numbers, as far as rotary embeddings and spectra need them: made, moved about, multiplied, and taken apart again.
//!
//! A complex tensor is two real ones ([`Value::Complex`]), so there is no dtype for it: an operator that has no row here
//! says that it takes a tensor.

use std::sync::Arc;

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor, TensorError};

use super::tensor::{ok, say};
use super::{Args, OpResult, math, special, tensor};
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

/// Of numbers that lie as pairs, as `view_as_complex` gives them, a view, so that both change in place together.
pub fn view_as_real(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => {
            let (real, imag) = (&parts.0, &parts.1);
            let are_pairs = real.shares_storage_with(imag) && real.strides() == imag.strides();
            match imag.offset().checked_sub(real.offset()).filter(|&step| are_pairs && step > 0) {
                Some(step) => {
                    let with = |list: &[usize], last| list.iter().copied().chain([last]).collect::<Vec<_>>();
                    ok(real.as_strided(&with(real.shape(), 2), &with(real.strides(), step), real.offset()))
                }
                None => ok(k::stack(&[real, imag], -1)),
            }
        }
        other => Err(format!("takes a complex tensor, not {}", other.kind())),
    }
}

pub fn from_parts(a: &Args<'_>) -> OpResult {
    let (real, imag) = (a.tensor(0)?, a.tensor(1)?);
    let made = || {
        let zeros = k::mul(&k::add(&*real, &*imag)?, 0.0)?;
        // Numbers of its own, which may change in place.
        let own = |part: &Tensor| part.expand(zeros.shape())?.copied();
        Ok::<_, stark_kernels::TensorError>((own(&real)?, own(&imag)?))
    };
    let (real, imag) = made().map_err(say)?;
    Ok(complex(real, imag))
}

pub fn polar(a: &Args<'_>) -> OpResult {
    turned(&*a.tensor(0)?, &*a.tensor(1)?)
}

fn turned(length: &Tensor, angle: &Tensor) -> OpResult {
    let made = || Ok(complex(k::mul(length, &k::cos(angle)?)?, k::mul(length, &k::sin(angle)?)?));
    made().map_err(|e: TensorError| e.to_string())
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

// ---- parts of both kinds --------------------------------------------------------------------------

fn is_complex(value: &Value) -> bool {
    match value {
        Value::Complex(_) => true,
        Value::List(list) => list.items().iter().any(is_complex),
        _ => false,
    }
}

/// The real or the imaginary numbers of a value, and of a list those of its items.
fn part(value: &Value, imaginary: bool) -> OpResult {
    Ok(match value {
        Value::Complex(parts) => Value::Tensor(if imaginary { parts.1.clone() } else { parts.0.clone() }),
        Value::Tensor(t) if imaginary => Value::Tensor(Tensor::zeros(t.shape(), t.dtype()).map_err(say)?),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) if imaginary => Value::Int(0),
        Value::List(list) => {
            let items: Vec<Value> = list.items().clone();
            Value::list(items.iter().map(|item| part(item, imaginary)).collect::<Result<_, _>>()?)?
        }
        other => other.clone(),
    })
}

fn joined(real: Value, imag: Value) -> OpResult {
    match (real, imag) {
        (Value::Tensor(real), Value::Tensor(imag)) => Ok(complex(real, imag)),
        (Value::List(real), Value::List(imag)) => {
            // Both may be the same list, so one is let go before the other is taken.
            let real = real.items().clone();
            let imag = imag.items().clone();
            Value::list(real.into_iter().zip(imag).map(|(real, imag)| joined(real, imag)).collect::<Result<_, _>>()?)
        }
        (other, _) => Err(format!("gives {} of a complex tensor", other.kind())),
    }
}

/// Runs an operator on real and imaginary numbers each by themselves, as far as arguments at `places` are complex: one
/// that moves elements about, or sums them.
pub fn each(a: &Args<'_>, places: &[usize], run: fn(&Args<'_>) -> OpResult) -> OpResult {
    if !places.iter().any(|&index| is_complex(a.get(index))) {
        return run(a);
    }
    let of = |imaginary: bool| {
        let split = |(index, value): (usize, &&Value)| match places.contains(&index) {
            true => part(value, imaginary),
            false => Ok((*value).clone()),
        };
        let values = a.values.iter().enumerate().map(split).collect::<Result<Vec<_>, _>>()?;
        run(&Args::new(a.row, &values.iter().collect::<Vec<_>>()))
    };
    joined(of(false)?, of(true)?)
}

/// Of the first argument alone.
pub fn parts(a: &Args<'_>, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    each(a, &[0], run)
}

/// Makes a tensor of the dtype that argument `dtype` names, which may be that of complex numbers.
pub fn made(a: &Args<'_>, dtype: usize, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    let code = match a.get(dtype) {
        Value::Int(code) if CODES.contains(code) => *code,
        _ => return run(a),
    };
    // Numbers of dtypes of the parts are as far before those of complex numbers as this.
    let (part_dtype, mut values) = (Value::Int(code - 3), a.values.to_vec());
    values[dtype] = &part_dtype;
    match run(&Args::new(a.row, &values))? {
        Value::Tensor(real) => of_real(&real),
        other => Ok(other),
    }
}

/// A tensor like the first argument, of its dtype or of the one that argument `dtype` names. It is made of real numbers.
pub fn like(a: &Args<'_>, dtype: usize, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    let (real, mut values) = (part(a.get(0), false)?, a.values.to_vec());
    values[0] = &real;
    let real = Args::new(a.row, &values);
    match is_complex(a.get(0)) && a.is_none(dtype) {
        true => match run(&real)? {
            Value::Tensor(real) => of_real(&real),
            other => Ok(other),
        },
        false => made(&real, dtype, run),
    }
}

// ---- arithmetic -----------------------------------------------------------------------------------

/// The product of complex factors, of which `times` knows that of real ones.
fn product(x: &Value, y: &Value, times: impl Fn(&Value, &Value) -> OpResult) -> OpResult {
    let real = |x: &Value, y: &Value| match times(x, y)? {
        Value::Tensor(t) => Ok(t),
        other => Err(format!("gives {} of complex tensors", other.kind())),
    };
    let [a, b] = [part(x, false)?, part(x, true)?];
    let [c, d] = [part(y, false)?, part(y, true)?];
    match (is_complex(x), is_complex(y)) {
        (true, true) => {
            let re = k::sub(&real(&a, &c)?, &real(&b, &d)?).map_err(say)?;
            Ok(complex(re, k::add(&real(&a, &d)?, &real(&b, &c)?).map_err(say)?))
        }
        (true, false) => Ok(complex(real(&a, &c)?, real(&b, &c)?)),
        _ => Ok(complex(real(&a, &c)?, real(&a, &d)?)),
    }
}

/// A product of the first two arguments: `mul`, `matmul`.
pub fn product_of(a: &Args<'_>, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    if !is_complex(a.get(0)) && !is_complex(a.get(1)) {
        return run(a);
    }
    product(a.get(0), a.get(1), |x, y| {
        let mut values = a.values.to_vec();
        values[..2].copy_from_slice(&[x, y]);
        run(&Args::new(a.row, &values))
    })
}

pub fn einsum(a: &Args<'_>) -> OpResult {
    let run = |a: &Args<'_>| crate::onnx::einsum(a, 1, 0);
    let Value::List(list) = a.get(1) else { return run(a) };
    let items = list.items().clone();
    match &items[..] {
        items if !items.iter().any(is_complex) => run(a),
        [_] => each(a, &[1], run),
        [x, y] => product(x, y, |x, y| {
            let (list, mut values) = (Value::list(vec![x.clone(), y.clone()])?, a.values.to_vec());
            values[1] = &list;
            run(&Args::new(a.row, &values))
        }),
        _ => Err("products of more than two complex factors are not supported".into()),
    }
}

pub fn div(a: &Args<'_>) -> OpResult {
    let Value::Complex(by) = a.get(1) else { return parts(a, math::div) };
    if a.values.get(2).is_some_and(|mode| !mode.is_none()) {
        return Err("complex numbers are not rounded".into());
    }
    // Squares of the largest and smallest numbers are none, so all is divided by the larger part first.
    let scaled = || {
        let larger = k::maximum(&k::abs(&by.0)?, &k::abs(&by.1)?)?;
        let larger = k::where_(&k::eq(&larger, 0.0)?, 1.0, &larger)?.to(by.0.dtype())?;
        let (real, imag) = (k::div(&by.0, &larger)?, k::div(&by.1, &larger)?);
        let squares = k::add(&k::square(&real)?, &k::square(&imag)?)?;
        Ok::<_, TensorError>((larger, squares, complex(real, k::neg(&imag)?)))
    };
    let (larger, squares, opposite) = scaled().map_err(say)?;
    let times = |x: &Value, y: &Value| {
        let (x, y) = (x.to_tensor().ok_or("no number")?, y.to_tensor().ok_or("no number")?);
        ok(k::div(&x, &larger).and_then(|x| k::mul(&x, &y)).and_then(|product| k::div(&product, &squares)))
    };
    product(a.get(0), &opposite, times)
}

pub fn exp(a: &Args<'_>) -> OpResult {
    let Value::Complex(parts) = a.get(0) else { return math::exp(a) };
    turned(&k::exp(&parts.0).map_err(say)?, &parts.1)
}

/// Padded with a number, which is real.
pub fn pad(a: &Args<'_>, value: usize, run: fn(&Args<'_>) -> OpResult) -> OpResult {
    let is_zero = a.is_none(value) || a.float(value)? == 0.0;
    match is_complex(a.get(0)) && !is_zero {
        true => Err("complex tensors are padded with zeros only".into()),
        false => parts(a, run),
    }
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
    let made = || Ok(complex(x.to(dtype)?.copied()?, Tensor::zeros(x.shape(), dtype)?));
    made().map_err(|e: TensorError| e.to_string())
}

pub fn abs(a: &Args<'_>) -> OpResult {
    let Value::Complex(parts) = a.get(0) else { return math::abs(a) };
    if parts.0.dtype() == DType::F64 {
        return special::float_pair(&parts.0, &parts.1, f64::hypot);
    }
    // Squares of the largest and smallest numbers are none of `f32`.
    let made = || {
        let square = |x: &Tensor| k::square(&x.to(DType::F64)?);
        k::sqrt(&k::add(&square(&parts.0)?, &square(&parts.1)?)?)?.to(parts.0.dtype())
    };
    ok(made())
}

pub fn angle(a: &Args<'_>) -> OpResult {
    match a.get(0) {
        Value::Complex(parts) => special::float_pair(&parts.1, &parts.0, f64::atan2),
        // Of zeros with a sign it is zero, which `atan2` gives otherwise.
        _ => math::float_map(a, |x| match x {
            x if x.is_nan() => x,
            x if x < 0.0 => std::f64::consts::PI,
            _ => 0.0,
        }),
    }
}
