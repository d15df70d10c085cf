//! The operators that only the optimiser makes. Each decides when it runs whether its arguments allow the fused
//! kernel, and computes what the operators it stands for would have given otherwise.

use smallvec::SmallVec;
use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::attention::{Found, Grown};
use super::linear::Layer;
use super::norm::Norm;
use crate::graph::{Graph, Instr, Kind, Operand};
use crate::onnx;
use crate::ops::args::Then;
use crate::ops::complex;
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
static MISH: OpRow = row!("mish", ["input"], |a| ok(k::mish(&*a.tensor(0)?)));
static NORM: OpRow = row!("norm", ["input", "weight", "bias", "axis", "eps", "is_centred"], run_norm);
static ATTENTION: OpRow =
    row!("attention", ["query", "key_t", "value", "mask", "scale", "axis", "hides_nan"], run_attention);
static ATTENTION_OF_PARTS: OpRow = row!(
    "attention",
    [
        "query",
        "mask",
        "scale",
        "axis",
        "key_before",
        "key",
        "value_before",
        "value",
        "key_axis",
        "value_axis",
        "turn",
        "turn_with",
        "hides_nan"
    ],
    run_attention_of_parts
);
/// The joins of the importers, by their names: a list of tensors, and how they are joined.
static JOINS: [OpRow; 5] = [
    row!("Concat", ["inputs", "how"], |a| complex::parts(a, run_join)),
    row!("torch.cat", ["tensors", "how"], |a| complex::parts(a, run_join)),
    row!("torch.concat", ["tensors", "how"], |a| complex::parts(a, run_join)),
    row!("torch.concatenate", ["tensors", "how"], |a| complex::parts(a, run_join)),
    row!("torch.stack", ["tensors", "how"], |a| complex::parts(a, run_join)),
];
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
            "is_halved"
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
            "is_halved"
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
            "is_halved"
        ],
        |a| run_conv(a, onnx::conv)
    ),
];

/// An operator of this file and its arguments.
pub type Fused = (&'static OpRow, Vec<Operand>);

/// Puts `fused` in the place of the instruction at `at`, whose result it gives.
pub fn put(graph: &mut Graph, at: usize, (row, args): Fused) {
    let Instr { outs, at: place, .. } = &graph.body[at];
    graph.body[at] = Instr::new(Kind::Op(row), args, outs.clone(), *place);
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

/// The argument and the function of an activation that stands for itself.
pub fn activation_at(graph: &Graph, instr: &Instr) -> Option<(Operand, Activation)> {
    let (Kind::Op(row), [x, name, slope]) = (&instr.kind, &*instr.args) else { return None };
    let (Operand::Const(name), Operand::Const(slope)) = (name, slope) else { return None };
    match (std::ptr::eq(*row, &ACTIVATION), graph.consts.get(*name as usize)?, graph.consts.get(*slope as usize)?) {
        (true, Value::Str(name), Value::Float(slope)) => Some((*x, Activation::named(name, *slope as f32)?)),
        _ => None,
    }
}

pub fn mish(x: Operand) -> Fused {
    (&MISH, vec![x])
}

pub fn norm(graph: &mut Graph, norm: &Norm) -> Fused {
    let (weight, bias) = (optional(graph, norm.weight), optional(graph, norm.bias));
    let numbers = [Value::Int(norm.axis), Value::Float(norm.eps), Value::Bool(norm.is_centred)];
    let mut args = vec![norm.x, weight, bias];
    args.extend(numbers.map(|number| constant(graph, number)));
    (&NORM, args)
}

pub fn attention(graph: &mut Graph, found: &Found, grown: Option<Grown>) -> Fused {
    let (mask, scale) = (optional(graph, found.mask), constant(graph, Value::Float(found.scale)));
    let hides_nan = constant(graph, Value::Bool(found.hides_nan));
    let Some(Grown { keys, values, turn: [turn, with] }) = grown else {
        return (&ATTENTION, vec![found.q, found.kt, found.v, mask, scale, found.axis, hides_nan]);
    };
    let ([k, new_k], [v, new_v]) = (keys.parts, values.parts);
    let (turn, with) = (optional(graph, turn), optional(graph, with));
    let args =
        vec![found.q, mask, scale, found.axis, k, new_k, v, new_v, keys.axis, values.axis, turn, with, hides_nan];
    (&ATTENTION_OF_PARTS, args)
}

/// The join at `at` of joins: `how` is a tuple of whether it is a stack, the axis, and of each part in turn nothing or such a
/// tuple.
pub fn join(graph: &mut Graph, at: usize, how: Value) -> Option<Fused> {
    let Instr { kind: Kind::Op(row), args, .. } = &graph.body[at] else { return None };
    let (row, list) = (JOINS.iter().find(|join| join.name == row.name)?, *args.first()?);
    Some((row, vec![list, constant(graph, how)]))
}

/// Whether only the optimiser makes this operator.
pub fn is_made_here(row: &'static OpRow) -> bool {
    let mut all =
        LINEARS.iter().chain([&ACTIVATION, &MISH, &NORM, &ATTENTION, &ATTENTION_OF_PARTS]).chain(&CONVS).chain(&JOINS);
    all.any(|made| std::ptr::eq(made, row))
}

/// Whether this is a convolution with what follows it.
pub fn is_conv(row: &'static OpRow) -> bool {
    CONVS.iter().any(|conv| std::ptr::eq(conv, row))
}

/// The convolution of a file at `at` with other weights and what follows it.
pub fn conv(
    graph: &mut Graph,
    at: usize,
    weight: Operand,
    bias: Operand,
    added: Option<Operand>,
    activation: Activation,
    is_halved: bool,
) -> Fused {
    let name = match &graph.body[at].kind {
        Kind::Op(row) => {
            assert!(!is_conv(row), "a convolution is fused once");
            row.name
        }
        _ => "Conv",
    };
    let row = CONVS.iter().find(|row| row.name == name).unwrap_or(&CONVS[2]);
    let mut args = graph.body[at].args.to_vec();
    (args[1], args[2]) = (weight, bias);
    args.push(optional(graph, added));
    args.extend(named(graph, activation));
    args.push(constant(graph, Value::Bool(is_halved)));
    (row, args)
}

/// Gives the convolution at `at` its weights packed.
pub fn give_filter(graph: &mut Graph, at: usize, filter: Value) {
    if !matches!(graph.body[at].kind, Kind::Op(row) if is_conv(row)) {
        let (weight, bias) = (graph.body[at].args[1], graph.body[at].args[2]);
        let (kind, fit) = (conv(graph, at, weight, bias, None, Activation::None, false), graph.body[at].fit);
        put(graph, at, kind);
        graph.body[at].fit = fit;
    }
    graph.body[at].args[1] = constant(graph, filter);
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
        // What is spelled out makes floats of whole numbers.
        (dtype, _) if !dtype.is_float() => ok(x.to(DType::F32).and_then(|x| k::activate(x, activation))),
        // Activations as such compute in `Float32`.
        (DType::F64, Activation::Gelu) => ok(k::gelu(&x)),
        (DType::F64, Activation::GeluTanh) => ok(k::gelu_tanh(&x)),
        (DType::F64, Activation::Silu) => ok(k::silu(&x)),
        (DType::F64, Activation::HardSwish) => ok(k::hardswish(&x)),
        _ => ok(k::activate(x.into_owned(), activation)),
    }
}

fn run_norm(a: &Args<'_>) -> OpResult {
    let (x, weight, bias) = (a.tensor(0)?, a.opt_tensor(1)?, a.opt_tensor(2)?);
    let (axis, eps, is_centred) = (a.int(3)?, a.float(4)?, a.bool(5)?);
    let is_last = axis == -1 || usize::try_from(axis).is_ok_and(|axis| axis + 1 == x.rank());
    let n = x.shape().last().copied().unwrap_or(0);
    // Other weights broadcast.
    let fits = [&weight, &bias].into_iter().flatten().all(|row| row.shape() == [n]);
    if is_last && n > 0 && fits && x.dtype() == DType::F32 {
        return ok(match is_centred {
            true => k::layer_norm(&x, &[n], weight.as_deref(), bias.as_deref(), eps),
            false => k::rms_norm(&x, &[n], weight.as_deref(), eps),
        });
    }
    let whole = || {
        let d = if is_centred { k::sub(&*x, &k::mean(&x, &[axis], true)?)? } else { x.clone().into_owned() };
        let square = k::mean(&k::mul(&d, &d)?, &[axis], true)?;
        let out = k::div(&d, &k::sqrt(&k::add(&square, eps)?)?)?;
        let out = weight.as_deref().map_or(Ok(out.clone()), |weight| k::mul(&out, weight))?;
        bias.as_deref().map_or(Ok(out.clone()), |bias| k::add(&out, bias))
    };
    ok(whole())
}

fn run_conv(a: &Args<'_>, conv: fn(&Args<'_>) -> OpResult) -> OpResult {
    let n = a.values.len() - 4;
    let added = a.opt_tensor(n)?;
    let (activation, is_halved) = (activation_of(a, n + 1)?, a.bool(n + 3)?);
    let mut then = Then { added: added.as_deref(), activation, filter: None, is_halved };
    let Value::Filter(filter) = a.get(1) else { return conv(&Args { values: &a.values[..n], then, ..*a }) };
    // The operator of the file asks the weight for its shape, and for more only where the packed one does not serve.
    let serves = filter.serves(&*a.tensor(0)?);
    then.filter = serves.then_some(filter);
    let weight = Value::Tensor(if serves { filter.outline().clone() } else { filter.to_tensor().map_err(say)? });
    let mut values: SmallVec<[&Value; 12]> = SmallVec::from_slice(&a.values[..n]);
    values[1] = &weight;
    conv(&Args { row: a.row, values: &values, then, keeper: a.keeper })
}

fn run_join(a: &Args<'_>) -> OpResult {
    let mut tensors = a.tensors(0)?.into_iter();
    ok(joint(a.get(1), &mut tensors)?.whole())
}

/// As deep as the optimiser nested it.
fn joint(how: &Value, tensors: &mut std::vec::IntoIter<Tensor>) -> Result<k::Joint, String> {
    let Value::Tuple(how) = how else {
        return tensors.next().map(k::Joint::One).ok_or_else(|| "joins more tensors than it is given".into());
    };
    let [Value::Bool(is_stack), Value::Int(axis), parts @ ..] = &how.items[..] else {
        return Err("is told of no join".into());
    };
    let parts = parts.iter().map(|part| joint(part, tensors)).collect::<Result<_, _>>()?;
    let join = if *is_stack { k::Joint::stack(parts, *axis) } else { k::Joint::cat(parts, *axis) };
    join.map_err(say)
}

fn run_attention(a: &Args<'_>) -> OpResult {
    let (q, kt, v, mask) = (a.tensor(0)?, a.tensor(1)?, a.tensor(2)?, a.opt_tensor(3)?);
    let how = Softmax { scale: a.float(4)?, axis: a.int(5)?, hides_nan: a.bool(6)? };
    how.attention(&q, &kt, &v, mask.as_deref())
}

/// How scores become weights.
struct Softmax {
    scale: f64,
    axis: i64,
    /// Weights that are NaN are 0.
    hides_nan: bool,
}

impl Softmax {
    /// Whether the kernel does what the operators of the file do: softmax over the last axis, of `Float32` alone.
    fn is_kernels(&self, q: &Tensor, others: &[&Tensor], mask: Option<&Tensor>) -> bool {
        let rank = others.iter().map(|t| t.rank()).fold(q.rank(), usize::max);
        let is_last = self.axis == -1 || usize::try_from(self.axis).is_ok_and(|axis| axis + 1 == rank);
        let plain = others.iter().chain([&q]).all(|t| t.dtype() == DType::F32 && t.rank() >= 2);
        // A mask of a higher rank would raise that of the scores, and the axis would be another.
        is_last && plain && mask.is_none_or(|m| m.dtype() == DType::F32 && m.rank() <= rank)
    }

    fn options(&self) -> k::Attention {
        k::Attention { scale: Some(self.scale), unseen_is_nan: !self.hides_nan, ..k::Attention::default() }
    }

    /// What the kernel gave, unless it has to be told apart which NaN were weights.
    fn taken(&self, out: stark_kernels::Result<Tensor>) -> Option<OpResult> {
        let is_clear =
            |t: &Tensor| k::sum(t, &[], false).is_ok_and(|sum| !sum.item().is_ok_and(|x| x.to_f64().is_nan()));
        match out {
            Ok(t) if self.hides_nan && !is_clear(&t) => None,
            out => Some(ok(out)),
        }
    }

    fn attention(&self, q: &Tensor, kt: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> OpResult {
        if self.is_kernels(q, &[kt, v], mask) {
            let keys = kt.transpose(-1, -2).map_err(say)?;
            if let Some(out) = self.taken(k::scaled_dot_product_attention(q, &keys, v, mask, self.options())) {
                return out;
            }
        }
        let whole = || {
            // Of halves the scores could be too large before they are scaled.
            let q = if self.scale == 1.0 { q.clone() } else { k::mul(q, self.scale)? };
            let scores = k::matmul(&q, kt)?;
            let scores = mask.map_or(Ok(scores.clone()), |mask| k::add(&scores, mask))?;
            let weights = k::softmax(&scores, self.axis)?;
            let hidden = if self.hides_nan { k::masked_fill(&weights, &k::isnan(&weights)?, 0.0)? } else { weights };
            k::matmul(&hidden, v)
        };
        ok(whole())
    }
}

fn run_attention_of_parts(a: &Args<'_>) -> OpResult {
    let (q, mask) = (a.tensor(0)?, a.opt_tensor(1)?);
    let how = Softmax { scale: a.float(2)?, axis: a.int(3)?, hides_nan: a.bool(12)? };
    let (k, new_k, v, new_v) = (a.tensor(4)?, a.tensor(5)?, a.tensor(6)?, a.tensor(7)?);
    let mask = mask.as_deref();
    let (rank, rank_v) = (k.rank() as i64, v.rank() as i64);
    let at = |axis: i64, rank: i64| if axis < 0 { axis + rank } else { axis };
    let (turns, axes) = match a.is_none(11) {
        true => {
            let axes = a.ints(10)?;
            (axes.len() as i64 == rank && axes.iter().copied().eq((0..rank - 2).chain([rank - 1, rank - 2])), axes)
        }
        false => {
            let (one, other) = (a.int(10)?, a.int(11)?);
            let pair = [at(one, rank), at(other, rank)];
            (pair == [rank - 2, rank - 1] || pair == [rank - 1, rank - 2], SmallVec::from_slice(&[one, other]))
        }
    };
    let grows = [(&k, &new_k, a.int(8)?), (&v, &new_v, a.int(9)?)]
        .iter()
        .all(|(x, new, axis)| x.rank() == new.rank() && at(*axis, x.rank() as i64) + 2 == x.rank() as i64);
    if turns && grows && rank == rank_v && how.is_kernels(&q, &[&k, &new_k, &v, &new_v], mask) {
        let parts = [[&*k, &*v], [&*new_k, &*new_v]];
        if let Some(out) = how.taken(k::attention_of_parts(&q, parts, mask, how.options())) {
            return out;
        }
    }
    let keys = k::cat(&[&k, &new_k], a.int(8)?).map_err(say)?;
    let turned = if a.is_none(11) { keys.permute(&axes) } else { keys.transpose(axes[0], axes[1]) };
    let values = k::cat(&[&v, &new_v], a.int(9)?).map_err(say)?;
    how.attention(&q, &turned.map_err(say)?, &values, mask)
}
