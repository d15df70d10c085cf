//! Products, activations, normalisation, convolution, attention: the layers of networks.

use std::borrow::Cow;

use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::args::{Args, OpResult};
use super::tensor::{ok, say};
use crate::value::Value;

pub fn matmul(a: &Args<'_>) -> OpResult {
    ok(k::matmul(&*a.tensor(0)?, &*a.tensor(1)?))
}

pub fn addmm(a: &Args<'_>) -> OpResult {
    let (c, x, y) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?);
    match x.rank() {
        3 => ok(k::baddbmm(&c, &x, &y, a.scalar(3)?, a.scalar(4)?)),
        _ => ok(k::addmm(&c, &x, &y, a.scalar(3)?, a.scalar(4)?)),
    }
}

pub fn linear(a: &Args<'_>) -> OpResult {
    ok(k::linear(&*a.tensor(0)?, &*a.tensor(1)?, a.opt_tensor(2)?.as_deref()))
}

macro_rules! activations {
    ($($name:ident;)*) => { $(
        pub fn $name(a: &Args<'_>) -> OpResult {
            ok(k::$name(&*a.tensor(0)?))
        }
    )* };
}

activations! {
    relu;
    relu6;
    silu;
    mish;
    sigmoid;
    tanh;
    selu;
    hardsigmoid;
    hardswish;
    softsign;
    log_sigmoid;
}

pub fn gelu(a: &Args<'_>) -> OpResult {
    match a.str(1)? {
        "none" => ok(k::gelu(&*a.tensor(0)?)),
        "tanh" => ok(k::gelu_tanh(&*a.tensor(0)?)),
        other => Err(format!("approximate `{other}` is none of none and tanh")),
    }
}

pub fn elu(a: &Args<'_>) -> OpResult {
    if a.float(2)? != 1.0 || a.float(3)? != 1.0 {
        return Err("scales other than 1 are not supported".into());
    }
    ok(k::elu(&*a.tensor(0)?, a.float(1)?))
}

pub fn celu(a: &Args<'_>) -> OpResult {
    ok(k::celu(&*a.tensor(0)?, a.float(1)?))
}

pub fn leaky_relu(a: &Args<'_>) -> OpResult {
    ok(k::leaky_relu(&*a.tensor(0)?, a.float(1)?))
}

pub fn prelu(a: &Args<'_>) -> OpResult {
    ok(k::prelu(&*a.tensor(0)?, &*a.tensor(1)?))
}

pub fn softplus(a: &Args<'_>) -> OpResult {
    ok(k::softplus(&*a.tensor(0)?, a.float(1)?, a.float(2)?))
}

pub fn softshrink(a: &Args<'_>) -> OpResult {
    ok(k::softshrink(&*a.tensor(0)?, a.float(1)?))
}

pub fn threshold(a: &Args<'_>) -> OpResult {
    ok(k::threshold(&*a.tensor(0)?, a.float(1)?, a.float(2)?))
}

pub fn glu(a: &Args<'_>) -> OpResult {
    ok(k::glu(&*a.tensor(0)?, a.int(1)?))
}

fn in_dtype(a: &Args<'_>, index: usize) -> Result<Tensor, String> {
    let t = a.tensor(0)?;
    t.to(a.dtype(index)?.unwrap_or(t.dtype())).map_err(say)
}

pub fn softmax(a: &Args<'_>) -> OpResult {
    ok(k::softmax(&in_dtype(a, 2)?, a.int(1)?))
}

pub fn log_softmax(a: &Args<'_>) -> OpResult {
    ok(k::log_softmax(&in_dtype(a, 2)?, a.int(1)?))
}

/// Dropout is for training; when a model runs it changes nothing.
pub fn dropout(a: &Args<'_>) -> OpResult {
    if a.bool(2)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    Ok(a.get(0).clone())
}

pub fn layer_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    ok(k::layer_norm(&*a.tensor(0)?, &a.sizes(1)?, weight.as_deref(), bias.as_deref(), a.float(4)?))
}

pub fn rms_norm(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let epsilon = match x.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let eps = a.opt_scalar(3)?.map_or(epsilon, |eps| eps.to_f64());
    ok(k::rms_norm(&x, &a.sizes(1)?, a.opt_tensor(2)?.as_deref(), eps))
}

pub fn batch_norm(a: &Args<'_>) -> OpResult {
    if a.bool(5)? {
        return Err("the model is in training mode; export it after model.eval()".into());
    }
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    let (Some(mean), Some(var)) = (a.opt_tensor(3)?, a.opt_tensor(4)?) else {
        return Err("batch norm without running statistics is not supported".into());
    };
    ok(k::batch_norm(&*a.tensor(0)?, &mean, &var, weight.as_deref(), bias.as_deref(), a.float(7)?))
}

pub fn group_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(2)?, a.opt_tensor(3)?);
    ok(k::group_norm(&*a.tensor(0)?, a.count(1)?, weight.as_deref(), bias.as_deref(), a.float(4)?))
}

pub fn instance_norm(a: &Args<'_>) -> OpResult {
    let (weight, bias) = (a.opt_tensor(1)?, a.opt_tensor(2)?);
    let x = a.tensor(0)?;
    match (a.bool(5)?, a.opt_tensor(3)?, a.opt_tensor(4)?) {
        (false, Some(mean), Some(var)) => {
            ok(k::batch_norm(&x, &mean, &var, weight.as_deref(), bias.as_deref(), a.float(7)?))
        }
        _ => ok(k::instance_norm(&x, weight.as_deref(), bias.as_deref(), a.float(7)?)),
    }
}
