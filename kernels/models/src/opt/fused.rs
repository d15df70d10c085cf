//! The operators that only the optimiser makes. Each decides when it runs whether its arguments allow the fused
//! kernel, and computes what the operators it stands for would have given otherwise.

use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::attention::Found;
use super::layer_norm;
use super::linear::Layer;
use crate::graph::{Graph, Instr, Kind, Operand};
use crate::onnx;
use crate::ops::args::Then;
use crate::ops::tensor::{ok, say};
use crate::ops::{ArgRow, Args, Default::Required, OpResult, OpRow, Traits, window};
use crate::value::Value;

macro_rules! row {
    ($name:literal, [$($arg:literal),*], $run:expr) => {
        OpRow { name: $name, args: &[ $( ArgRow { name: $arg, default: Required } ),* ], run: $run, traits: Traits::Pure }
    };
}

/// The layers of the importers, by the names that errors tell.
static LINEARS: [OpRow; 4] = [
    row!("torch.linear", ["input", "weight", "bias", "added", "activation", "slope"], run_linear),
    row!("torch.matmul", ["self", "other", "bias", "added", "activation", "slope"], run_linear),
    row!("MatMul", ["A", "B", "bias", "added", "activation", "slope"], run_linear),
    row!("Gemm", ["A", "B", "C", "added", "activation", "slope"], run_linear),
];
static ACTIVATION: OpRow = row!("activation", ["input", "activation", "slope"], run_activation);
static LAYER_NORM: OpRow = row!("layer_norm", ["input", "weight", "bias", "eps"], run_layer_norm);
static ATTENTION: OpRow = row!("attention", ["query", "key_t", "value", "mask", "scale", "axis"], run_attention);
/// The convolutions of the importers, by their names: their own arguments, then these four.
static CONVS: [OpRow; 3] = [
    row!(
        "torch.conv2d",
        [
            "input",
            "weight",
            "bias",
            "stride",
            "padding",
            "dilation",
            "groups",
            "added",
            "activation",
            "slope",
            "filter"
        ],
        |a| run_conv(a, window::conv)
    ),
    row!(
        "torch._convolution",
        [
            "input",
            "weight",
            "bias",
            "stride",
            "padding",
            "dilation",
            "transposed",
            "output_padding",
            "groups",
            "benchmark",
            "deterministic",
            "cudnn_enabled",
            "allow_tf32",
            "added",
            "activation",
            "slope",
            "filter"
        ],
        |a| run_conv(a, window::convolution)
    ),
    row!(
        "Conv",
        [
            "X",
            "W",
            "B",
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
            "added",
            "activation",
            "slope",
            "filter"
        ],
        |a| run_conv(a, onnx::conv)
    ),
];

/// An operator of this file and its arguments.
pub type Fused = (&'static OpRow, Vec<Operand>);

/// Puts `fused` in the place of the instruction at `at`, whose result it gives.
pub fn put(graph: &mut Graph, at: usize, (row, args): Fused) {
    let Instr { outs, at: place, .. } = &graph.body[at];
    graph.body[at] =
        Instr { kind: Kind::Op(row), args: args.into(), outs: outs.clone(), frees: Box::default(), at: *place };
}

fn constant(graph: &mut Graph, value: Value) -> Operand {
    graph.consts.push(value);
    Operand::Const((graph.consts.len() - 1) as u32)
}

fn optional(graph: &mut Graph, operand: Option<Operand>) -> Operand {
    operand.unwrap_or_else(|| constant(graph, Value::None))
}

/// The last two arguments of an operator with an activation.
fn named(graph: &mut Graph, activation: Activation) -> [Operand; 2] {
    let slope = if let Activation::LeakyRelu(slope) = activation { slope } else { 0.0 };
    [constant(graph, Value::str(activation.name())), constant(graph, Value::Float(slope.into()))]
}

pub fn linear(graph: &mut Graph, layer: &Layer, weight: Value) -> Fused {
    let weight = constant(graph, weight);
    let (bias, added) = (optional(graph, layer.bias), optional(graph, layer.added));
    let [name, slope] = named(graph, layer.activation);
    let row = LINEARS.iter().find(|row| row.name == layer.name).unwrap_or(&LINEARS[0]);
    (row, vec![layer.x, weight, bias, added, name, slope])
}

pub fn activation(graph: &mut Graph, x: Operand, activation: Activation) -> Fused {
    let [name, slope] = named(graph, activation);
    (&ACTIVATION, vec![x, name, slope])
}

pub fn layer_norm(graph: &mut Graph, found: &layer_norm::Found) -> Fused {
    let eps = constant(graph, Value::Float(found.eps));
    (&LAYER_NORM, vec![found.x, found.weight, found.bias, eps])
}

pub fn attention(graph: &mut Graph, found: &Found) -> Fused {
    let (mask, scale) = (optional(graph, found.mask), constant(graph, Value::Float(found.scale)));
    (&ATTENTION, vec![found.q, found.kt, found.v, mask, scale, found.axis])
}

/// The convolution at `at` with other weights and what follows it.
pub fn conv(
    graph: &mut Graph,
    at: usize,
    weight: Operand,
    bias: Operand,
    added: Option<Operand>,
    activation: Activation,
) -> Fused {
    let name = match &graph.body[at].kind {
        Kind::Op(row) => row.name,
        _ => "Conv",
    };
    let row = CONVS.iter().find(|row| row.name == name).unwrap_or(&CONVS[2]);
    let mut args = graph.body[at].args.to_vec();
    (args[1], args[2]) = (weight, bias);
    args.push(optional(graph, added));
    args.extend(named(graph, activation));
    args.push(optional(graph, None));
    (row, args)
}

/// Gives the convolution at `at` its packed weights.
pub fn give_filter(graph: &mut Graph, at: usize, filter: Value) {
    let is_fused = matches!(graph.body[at].kind, Kind::Op(row) if CONVS.iter().any(|conv| std::ptr::eq(conv, row)));
    if !is_fused {
        let (weight, bias) = (graph.body[at].args[1], graph.body[at].args[2]);
        let kind = conv(graph, at, weight, bias, None, Activation::None);
        put(graph, at, kind);
    }
    let filter = constant(graph, filter);
    if let Some(last) = graph.body[at].args.last_mut() {
        *last = filter;
    }
}

/// The activation whose name is argument `index`, with its slope after it.
fn activation_of(a: &Args<'_>, index: usize) -> Result<Activation, String> {
    Activation::named(a.str(index)?, a.float(index + 1)? as f32).ok_or_else(|| "the activation is not known".into())
}

fn run_linear(a: &Args<'_>) -> OpResult {
    let Value::Packed(weight) = a.get(1) else { return Err("the weight is not packed".into()) };
    let (x, bias, added) = (a.tensor(0)?, a.opt_tensor(2)?, a.opt_tensor(3)?);
    let activation = activation_of(a, 4)?;
    let fits = |added: &Tensor| {
        let lead = x.rank().saturating_sub(1);
        added.dtype() == DType::F32
            && added.rank() == x.rank()
            && added.shape()[..lead] == x.shape()[..lead]
            && added.shape()[lead..] == weight.shape()[1..]
    };
    match added {
        // What is added broadcasts, or decides the dtype.
        Some(added) if !fits(&added) => {
            let out = k::linear_packed(&x, weight, bias.as_deref(), None, Activation::None);
            ok(out.and_then(|out| k::add(&out, &*added)).and_then(|out| k::activate(out, activation)))
        }
        added => ok(k::linear_packed(&x, weight, bias.as_deref(), added.as_deref(), activation)),
    }
}

fn run_activation(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let activation = activation_of(a, 1)?;
    match (x.dtype(), activation) {
        (DType::F64, Activation::Gelu) => ok(k::gelu(&x)),
        _ => ok(k::activate(x.into_owned(), activation)),
    }
}

fn run_layer_norm(a: &Args<'_>) -> OpResult {
    let (x, weight, bias, eps) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.float(3)?);
    if x.dtype() == DType::F32 && x.shape().last() == weight.shape().first() {
        return ok(k::layer_norm(&x, weight.shape(), Some(&weight), Some(&bias), eps));
    }
    // Another dtype, or rows that the weight is spread over.
    let whole = || {
        let centred = k::sub(&*x, &k::mean(&x, &[-1], true)?)?;
        let var = k::mean(&k::mul(&centred, &centred)?, &[-1], true)?;
        let normal = k::div(&centred, &k::sqrt(&k::add(&var, eps)?)?)?;
        k::add(&k::mul(&normal, &*weight)?, &*bias)
    };
    ok(whole())
}

fn run_conv(a: &Args<'_>, conv: fn(&Args<'_>) -> OpResult) -> OpResult {
    let n = a.values.len() - 4;
    let added = a.opt_tensor(n)?;
    let filter = if let Value::Filter(filter) = a.get(n + 3) { Some(&**filter) } else { None };
    let then = Then { added: added.as_deref(), activation: activation_of(a, n + 1)?, filter };
    conv(&Args { row: a.row, values: &a.values[..n], then })
}

fn run_attention(a: &Args<'_>) -> OpResult {
    let (q, kt, v, mask) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.opt_tensor(3)?);
    let (scale, axis) = (a.float(4)?, a.int(5)?);
    let rank = q.rank().max(kt.rank());
    let is_last = axis == -1 || usize::try_from(axis).is_ok_and(|axis| axis + 1 == rank);
    let plain = [&q, &kt, &v].iter().all(|t| t.dtype() == DType::F32 && t.rank() >= 2);
    // A mask of a higher rank would raise that of the scores, and the axis would be another.
    let masked = mask.as_deref().is_none_or(|m| m.dtype() == DType::F32 && m.rank() <= rank);
    if is_last && plain && masked {
        let options = k::Attention { scale: Some(scale), unseen_is_nan: true, ..k::Attention::default() };
        let keys = kt.transpose(-1, -2).map_err(say)?;
        return ok(k::scaled_dot_product_attention(&q, &keys, &v, mask.as_deref(), options));
    }
    let whole = || {
        let scores = k::matmul(&q, &kt)?;
        let scores = if scale == 1.0 { scores } else { k::mul(&scores, scale)? };
        let scores = mask.as_deref().map_or(Ok(scores.clone()), |mask| k::add(&scores, mask))?;
        k::matmul(&k::softmax(&scores, axis)?, &v)
    };
    ok(whole())
}
