//! The operators that only the optimiser makes. Each decides when it runs whether its arguments allow the fused
//! kernel, and computes what the operators it stands for would have given otherwise.

use smallvec::SmallVec;
use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops as k;
use stark_kernels::{DType, Tensor};

use super::attention::{Found, Grown, Mask, Pair, Weighing};
use super::linear::Layer;
use super::norm::Norm;
use crate::graph::{Graph, Instr, Kind, Operand};
use crate::onnx;
use crate::ops::args::Then;
use crate::ops::tensor::{ok, say};
use crate::ops::{ArgRow, Args, Default::Required, OpResult, OpRow, Traits, window};
use crate::ops::{complex, nn};
use crate::value::Value;

macro_rules! row {
    ($name:literal, [$($arg:literal),*], $run:expr) => {
        OpRow { name: $name, args: &[ $( ArgRow { name: $arg, default: Required } ),* ], run: $run, traits: Traits::Pure }
    };
}

/// The layers of the importers, by the names that errors tell.
static LINEARS: [OpRow; 5] = [
    row!("torch.linear", ["input", "weight", "bias", "added", "activation", "slope"], run_linear),
    row!("torch.matmul", ["self", "other", "bias", "added", "activation", "slope"], run_linear),
    row!("torch.addmm", ["mat1", "mat2", "self", "added", "activation", "slope"], run_linear),
    row!("MatMul", ["A", "B", "bias", "added", "activation", "slope"], run_linear),
    row!("Gemm", ["A", "B", "C", "added", "activation", "slope"], run_linear),
];
static ACTIVATION: OpRow = row!("activation", ["input", "activation", "slope"], run_activation);
static MISH: OpRow = row!("mish", ["input"], |a| ok(k::mish(&*a.tensor(0)?)));
static NORM: OpRow = row!("norm", ["input", "weight", "bias", "axis", "eps", "is_centred"], run_norm);
/// The last two axes exchanged.
static TURN: OpRow = row!("Reshape", ["input"], |a| ok(a.tensor(0)?.transpose(-1, -2)));
static ATTENTION: OpRow = row!("attention", ["query", "key_t", "value", "mask", "axis", "how"], run_attention);
static ATTENTION_OF_PARTS: OpRow = row!(
    "attention",
    [
        "query",
        "mask",
        "axis",
        "how",
        "key_before",
        "key",
        "value_before",
        "value",
        "key_axis",
        "value_axis",
        "turn",
        "turn_with"
    ],
    run_attention_of_parts
);
/// Attention of PyTorch, whose scale and mask it takes as they are.
static TORCH_ATTENTION_OF_PARTS: OpRow = row!(
    "torch.scaled_dot_product_attention",
    [
        "query",
        "key",
        "value",
        "attn_mask",
        "dropout_p",
        "is_causal",
        "scale",
        "enable_gqa",
        "key_before",
        "value_before",
        "key_axis",
        "value_axis"
    ],
    run_torch_attention_of_parts
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

pub fn attention(graph: &mut Graph, found: &Found, grown: Option<Grown>) -> Option<Fused> {
    let how = Softmax { how: found.how, mask: found.mask.map_or(Mask::Added, |(says, _)| says) }.to_value()?;
    let (mask, how) = (optional(graph, found.mask.map(|(_, mask)| mask)), constant(graph, how));
    let Some(Grown { keys, values, turn: [turn, with] }) = grown else {
        return Some((&ATTENTION, vec![found.q, found.kt, found.v, mask, found.axis, how]));
    };
    let ([k, new_k], [v, new_v]) = (keys.parts, values.parts);
    let (turn, with) = (optional(graph, turn), optional(graph, with));
    let args = vec![found.q, mask, found.axis, how, k, new_k, v, new_v, keys.axis, values.axis, turn, with];
    Some((&ATTENTION_OF_PARTS, args))
}

/// Attention of PyTorch, of these arguments, whose keys and values are what is joined of these.
pub fn torch_attention(args: &[Operand], keys: Pair, values: Pair) -> Fused {
    let ([k, new_k], [v, new_v]) = (keys.parts, values.parts);
    let mut args = args.to_vec();
    (args[1], args[2]) = (new_k, new_v);
    args.extend([k, v, keys.axis, values.axis]);
    (&TORCH_ATTENTION_OF_PARTS, args)
}

pub fn turn(x: Operand) -> Fused {
    (&TURN, vec![x])
}

/// What `instr` exchanges the last two axes of, when the optimiser made it.
pub fn turned(instr: &Instr) -> Option<Operand> {
    matches!(instr.kind, Kind::Op(row) if std::ptr::eq(row, &TURN)).then(|| instr.args[0])
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
    let all =
        [&ACTIVATION, &MISH, &NORM, &TURN, &ATTENTION, &ATTENTION_OF_PARTS, &TORCH_ATTENTION_OF_PARTS].into_iter();
    let mut all = all.chain(&LINEARS).chain(&CONVS).chain(&JOINS);
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
    Softmax::of(a, 5)?.attention(&q, &kt, &v, mask.as_deref(), a.int(4)?)
}

/// How scores become weights, and what the mask says.
struct Softmax {
    how: Weighing,
    mask: Mask,
}

impl Softmax {
    const MASKS: [(Mask, &str); 3] = [(Mask::Added, "added"), (Mask::Hides, "hides"), (Mask::Shows, "shows")];

    fn to_value(&self) -> Option<Value> {
        let Weighing { scale, is_wide, narrows, hides_nan } = self.how;
        let mask = Softmax::MASKS.iter().find(|(mask, _)| *mask == self.mask).map_or("", |(_, name)| name);
        let flags = [is_wide, narrows, hides_nan].map(Value::Bool);
        Value::tuple([Value::Float(scale)].into_iter().chain(flags).chain([Value::str(mask)]).collect()).ok()
    }

    fn of(a: &Args<'_>, index: usize) -> Result<Softmax, String> {
        let unknown = || "is not told how scores become weights".to_owned();
        let Value::Tuple(told) = a.get(index) else { return Err(unknown()) };
        let &[
            Value::Float(scale),
            Value::Bool(is_wide),
            Value::Bool(narrows),
            Value::Bool(hides_nan),
            Value::Str(ref name),
        ] = &told.items[..]
        else {
            return Err(unknown());
        };
        let (mask, _) = Softmax::MASKS.into_iter().find(|(_, known)| **name == **known).ok_or_else(unknown)?;
        Ok(Softmax { how: Weighing { scale, is_wide, narrows, hides_nan }, mask })
    }

    /// Whether the kernel does what the operators of the file do: softmax over the last axis, of `Float32` alone.
    fn is_kernels(&self, q: &Tensor, others: &[&Tensor], mask: Option<&Tensor>, axis: i64) -> bool {
        let rank = others.iter().map(|t| t.rank()).fold(q.rank(), usize::max);
        let is_last = axis == -1 || usize::try_from(axis).is_ok_and(|axis| axis + 1 == rank);
        let plain = others.iter().chain([&q]).all(|t| t.dtype() == DType::F32 && t.rank() >= 2);
        let dtype = if self.mask == Mask::Added { DType::F32 } else { DType::Bool };
        // A mask of a higher rank would raise that of the scores, and the axis would be another.
        is_last && plain && mask.is_none_or(|m| m.dtype() == dtype && m.rank() <= rank)
    }

    /// What `kernel` gives with the mask as it takes it, unless NaN has to be told apart: that of weights, or of hidden scores.
    fn kernel(
        &self,
        mask: Option<&Tensor>,
        kernel: impl FnOnce(Option<&Tensor>, k::Attention) -> stark_kernels::Result<Tensor>,
    ) -> Option<OpResult> {
        let hides_nan = self.how.hides_nan;
        let options =
            k::Attention { scale: Some(self.how.scale), unseen_is_nan: !hides_nan, ..k::Attention::default() };
        let out = match mask {
            Some(mask) if self.mask == Mask::Hides => {
                k::logical_not(mask).and_then(|shows| kernel(Some(&shows), options))
            }
            mask => kernel(mask, options),
        };
        // The kernel adds -∞ to hidden scores, which leaves those that are NaN.
        let replaces = mask.is_some() && self.mask != Mask::Added;
        let is_clear =
            |t: &Tensor| k::sum(t, &[], false).is_ok_and(|sum| !sum.item().is_ok_and(|x| x.to_f64().is_nan()));
        match out {
            Ok(t) if (hides_nan || replaces) && !is_clear(&t) => None,
            out => Some(ok(out)),
        }
    }

    fn attention(&self, q: &Tensor, kt: &Tensor, v: &Tensor, mask: Option<&Tensor>, axis: i64) -> OpResult {
        if self.is_kernels(q, &[kt, v], mask, axis) {
            let keys = kt.transpose(-1, -2).map_err(say)?;
            let kernel = |mask: Option<&Tensor>, options| k::scaled_dot_product_attention(q, &keys, v, mask, options);
            if let Some(out) = self.kernel(mask, kernel) {
                return out;
            }
        }
        let whole = || {
            let Weighing { scale, is_wide, narrows, hides_nan } = self.how;
            // Of halves the scores could be too large before they are scaled.
            let q = if scale == 1.0 { q.clone() } else { k::mul(q, scale)? };
            let mut scores = k::matmul(&q, kt)?;
            if let Some(mask) = mask {
                let hidden = f64::NEG_INFINITY;
                scores = match self.mask {
                    Mask::Added => k::add(&scores, mask)?,
                    Mask::Hides => k::masked_fill(&scores, &mask.to(DType::Bool)?, hidden)?,
                    Mask::Shows => k::masked_fill(&scores, &k::logical_not(mask)?, hidden)?,
                };
            }
            let dtype = scores.dtype();
            let mut weights = k::softmax(&if is_wide { scores.to(DType::F32)? } else { scores }, axis)?;
            if narrows {
                weights = weights.to(dtype)?;
            }
            if hides_nan {
                weights = k::masked_fill(&weights, &k::isnan(&weights)?, 0.0)?;
            }
            k::matmul(&weights, v)
        };
        ok(whole())
    }
}

fn run_attention_of_parts(a: &Args<'_>) -> OpResult {
    let (q, mask, axis) = (a.tensor(0)?, a.opt_tensor(1)?, a.int(2)?);
    let how = Softmax::of(a, 3)?;
    let (k, new_k, v, new_v) = (a.tensor(4)?, a.tensor(5)?, a.tensor(6)?, a.tensor(7)?);
    let mask = mask.as_deref();
    let (rank, rank_v) = (k.rank() as i64, v.rank() as i64);
    let at = |axis: i64, rank: i64| if axis < 0 { axis + rank } else { axis };
    let is_permuted = !a.is_none(10) && a.is_none(11);
    let (turns, axes) = match (a.is_none(10), is_permuted) {
        (true, _) => (true, SmallVec::from_slice(&[-1, -2])),
        (_, true) => {
            let axes = a.ints(10)?;
            (axes.len() as i64 == rank && axes.iter().copied().eq((0..rank - 2).chain([rank - 1, rank - 2])), axes)
        }
        _ => {
            let (one, other) = (a.int(10)?, a.int(11)?);
            let pair = [at(one, rank), at(other, rank)];
            (pair == [rank - 2, rank - 1] || pair == [rank - 1, rank - 2], SmallVec::from_slice(&[one, other]))
        }
    };
    let grows = grows([&k, &new_k], a.int(8)?) && grows([&v, &new_v], a.int(9)?);
    if turns && grows && rank == rank_v && how.is_kernels(&q, &[&k, &new_k, &v, &new_v], mask, axis) {
        let parts = [[&*k, &*v], [&*new_k, &*new_v]];
        if let Some(out) = how.kernel(mask, |mask, options| k::attention_of_parts(&q, parts, mask, options)) {
            return out;
        }
    }
    let keys = k::cat(&[&k, &new_k], a.int(8)?).map_err(say)?;
    let turned = if is_permuted { keys.permute(&axes) } else { keys.transpose(axes[0], axes[1]) };
    let values = k::cat(&[&v, &new_v], a.int(9)?).map_err(say)?;
    how.attention(&q, &turned.map_err(say)?, &values, mask, axis)
}

/// Whether two tensors of one rank are joined along the second last axis.
fn grows([x, new]: [&Tensor; 2], axis: i64) -> bool {
    let rank = x.rank() as i64;
    new.rank() == x.rank() && (if axis < 0 { axis + rank } else { axis }) + 2 == rank
}

fn run_torch_attention_of_parts(a: &Args<'_>) -> OpResult {
    let (q, mask, options) = (a.tensor(0)?, a.opt_tensor(3)?, nn::attention_options(a)?);
    let [new_k, new_v, k, v] = [a.tensor(1)?, a.tensor(2)?, a.tensor(8)?, a.tensor(9)?];
    let [key_axis, value_axis] = [a.int(10)?, a.int(11)?];
    let mask = mask.as_deref();
    if grows([&k, &new_k], key_axis) && grows([&v, &new_v], value_axis) && k.rank() == v.rank() {
        return ok(k::attention_of_parts(&q, [[&k, &v], [&new_k, &new_v]], mask, options));
    }
    let (keys, values) = (k::cat(&[&*k, &new_k], key_axis), k::cat(&[&*v, &new_v], value_axis));
    ok(keys.and_then(|keys| k::scaled_dot_product_attention(&q, &keys, &values?, mask, options)))
}
