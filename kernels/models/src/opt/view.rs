//! What an instruction means, whichever importer it came from.

use stark_kernels::cpu::activation::Activation;
use stark_kernels::{DType, Tensor};

use super::fused;
use super::uses::Uses;
use crate::graph::{Fit, Graph, Instr, Kind, Operand};
use crate::value::Value;

/// The operators that patterns are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum View {
    Add(Operand, Operand),
    Sub(Operand, Operand),
    Mul(Operand, Operand),
    Div(Operand, Operand),
    MatMul(Operand, Operand),
    /// `x @ weight + bias`; the weight is transposed first when it is `turned`.
    Linear {
        x: Operand,
        weight: Operand,
        turned: bool,
        bias: Option<Operand>,
    },
    Erf(Operand),
    Pow(Operand, Operand),
    Sqrt(Operand),
    IsNan(Operand),
    /// The second where the first says so, elsewhere the third.
    Where(Operand, Operand, Operand),
    Rsqrt(Operand),
    Reciprocal(Operand),
    /// Along one axis, which stays.
    Mean {
        x: Operand,
        axis: i64,
    },
    Softmax {
        x: Operand,
        axis: Operand,
        /// What it is given becomes `Float32` first.
        is_wide: bool,
    },
    /// As `Float32`.
    Wide(Operand),
    /// The first in the type of the second.
    Like(Operand, Operand),
    /// `x` where `mask` is false, elsewhere `value`.
    Filled {
        x: Operand,
        mask: Operand,
        value: Operand,
    },
    Activation(Operand, Activation),
    /// `log(1 + exp(x))`.
    Softplus(Operand),
    BatchNorm {
        x: Operand,
        weight: Operand,
        bias: Operand,
        mean: Operand,
        var: Operand,
        eps: Operand,
    },
    Conv,
    /// The greatest of each two by two positions, side by side.
    Halved(Operand),
}

/// The number that files of PyTorch have for `torch.float32`.
const FLOAT: f64 = 6.0;

/// The number of the type that `torch.to` makes, in whichever of its forms: `to(dtype)`, `to(device, dtype)` or by name.
fn made_by_to(graph: &Graph, instr: &Instr) -> Option<f64> {
    let said = |at: usize| instr.args.get(at).map_or(Some(&Value::None), |&arg| constant(graph, arg));
    for at in [8, 1, 2] {
        match said(at)? {
            Value::Int(code) => return Some(*code as f64),
            Value::Tensor(_) => return None,
            _ => {}
        }
    }
    None
}

pub fn constant(graph: &Graph, operand: Operand) -> Option<&Value> {
    match operand {
        Operand::Const(index) => graph.consts.get(index as usize),
        Operand::Slot(_) => None,
    }
}

pub fn tensor(graph: &Graph, operand: Operand) -> Option<&Tensor> {
    match constant(graph, operand)? {
        Value::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

/// A `Float32` tensor among the constants.
pub fn floats(graph: &Graph, operand: Operand) -> Option<&Tensor> {
    tensor(graph, operand).filter(|t| t.dtype() == DType::F32)
}

/// A number among the constants, also as a tensor of one element that does not widen what it meets.
pub fn number(graph: &Graph, operand: Operand) -> Option<f64> {
    match constant(graph, operand)? {
        Value::Tensor(t) if t.numel() != 1 || t.rank() > 0 => None,
        value => value.scalar().map(|x| x.to_f64()),
    }
}

/// The axis, when a constant names exactly one.
pub fn one_axis(graph: &Graph, operand: Operand) -> Option<i64> {
    match constant(graph, operand)? {
        Value::Int(axis) => Some(*axis),
        Value::List(list) => match &**list.items() {
            [Value::Int(axis)] => Some(*axis),
            _ => None,
        },
        Value::Tensor(t) if t.dtype() == DType::I64 => match t.to_vec::<i64>().ok()?[..] {
            [axis] => Some(axis),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the constant is a list of numbers, or a number, that all are `n`. `or_none`: as none are, too.
fn all(graph: &Graph, operand: Operand, n: i64, or_none: bool) -> bool {
    let is_it = |value: &Value| matches!(value, Value::Int(x) if *x == n);
    match constant(graph, operand) {
        Some(Value::None) => or_none,
        Some(Value::List(list)) if list.items().is_empty() => or_none,
        Some(Value::List(list)) => list.items().iter().all(is_it),
        Some(Value::Tuple(tuple)) if !tuple.items.is_empty() => tuple.items.iter().all(is_it),
        Some(number) => is_it(number),
        None => false,
    }
}

/// Whether `instr` gives its first argument as it is. An argument that says otherwise is an error of the run's.
pub fn is_same(graph: &Graph, instr: &Instr) -> bool {
    let (Kind::Op(row) | Kind::InPlace(row)) = &instr.kind else { return false };
    let is_false = |i: usize| {
        let flag = instr.args.get(i).and_then(|&arg| constant(graph, arg));
        matches!(flag, Some(Value::Bool(false) | Value::Int(0)))
    };
    match row.name {
        "Identity" | "torch.detach" | "torch.alias" | "torch.requires_grad_" => true,
        "torch.dropout" | "torch.feature_dropout" | "torch.alpha_dropout" | "torch.feature_alpha_dropout" => {
            is_false(2)
        }
        _ => false,
    }
}

/// What patterns are found with: constants as exact as files store them, and what nobody else reads.
pub struct Find<'a> {
    pub graph: &'a Graph,
    pub uses: &'a Uses,
    /// How far a constant may be off.
    pub close: f64,
}

impl Find<'_> {
    /// What computes `operand`, which nobody else reads.
    pub fn own(&self, operand: Operand) -> Option<View> {
        view(self.graph, &self.graph.body[self.uses.own(operand)?])
    }

    pub fn near(&self, operand: Operand, want: f64) -> bool {
        number(self.graph, operand).is_some_and(|x| (x - want).abs() < self.close)
    }

    /// The other one of two operands, when one is about `want`.
    pub fn beside(&self, a: Operand, b: Operand, want: f64) -> Option<Operand> {
        if self.near(b, want) { Some(a) } else { self.near(a, want).then_some(b) }
    }
}

/// What `instr` does, when patterns know it. Operators that the optimiser made do more than the name says, which they share
/// with those of the file: no pattern knows them.
pub fn view(graph: &Graph, instr: &Instr) -> Option<View> {
    // A pattern knows nothing of the type that a result is made to have.
    if instr.fit == Fit::Free { view_unfitted(graph, instr) } else { None }
}

/// As [`view`], before its result is given the type of its first argument.
pub fn view_unfitted(graph: &Graph, instr: &Instr) -> Option<View> {
    let Kind::Op(row) = &instr.kind else { return None };
    if fused::is_made_here(row) {
        // But for an activation, which is no more than it says.
        return fused::activation_at(graph, instr).map(|(x, activation)| View::Activation(x, activation));
    }
    let arg = |i: usize| instr.args.get(i).copied();
    let is = |i: usize, want: f64| arg(i).is_none_or(|a| number(graph, a) == Some(want));
    let is_none = |i: usize| arg(i).is_none_or(|a| constant(graph, a).is_some_and(Value::is_none));
    let text = |i: usize| match constant(graph, arg(i)?) {
        Some(Value::Str(text)) => Some(&**text),
        _ => None,
    };
    let activation = |a: Activation| Some(View::Activation(arg(0)?, a));
    match row.name {
        "Add" => Some(View::Add(arg(0)?, arg(1)?)),
        "torch.add" if is(2, 1.0) => Some(View::Add(arg(0)?, arg(1)?)),
        "Sub" => Some(View::Sub(arg(0)?, arg(1)?)),
        "torch.sub" if is(2, 1.0) => Some(View::Sub(arg(0)?, arg(1)?)),
        "Mul" | "torch.mul" => Some(View::Mul(arg(0)?, arg(1)?)),
        "Div" => Some(View::Div(arg(0)?, arg(1)?)),
        "torch.div" if is_none(2) => Some(View::Div(arg(0)?, arg(1)?)),
        "MatMul" | "torch.matmul" => Some(View::MatMul(arg(0)?, arg(1)?)),
        "torch.linear" => {
            Some(View::Linear { x: arg(0)?, weight: arg(1)?, turned: true, bias: arg(2).filter(|_| !is_none(2)) })
        }
        "torch.addmm" if is(3, 1.0) && is(4, 1.0) => {
            Some(View::Linear { x: arg(1)?, weight: arg(2)?, turned: false, bias: arg(0) })
        }
        "Gemm" if is(3, 1.0) && is(5, 0.0) && (is(6, 1.0) || is(6, 0.0)) && (is_none(2) || is(4, 1.0)) => {
            let (weight, bias) = (arg(1)?, arg(2).filter(|_| !is_none(2)));
            let turned = is(6, 1.0);
            let n = tensor(graph, weight)?.shape().get(usize::from(!turned)).copied();
            // Other shapes broadcast, which a layer's bias does not.
            let fits =
                bias.is_none_or(|b| tensor(graph, b).is_some_and(|b| b.rank() == 1 && b.shape().first().copied() == n));
            fits.then_some(View::Linear { x: arg(0)?, weight, turned, bias })
        }
        "Erf" | "torch.erf" => Some(View::Erf(arg(0)?)),
        "Pow" | "torch.pow" => Some(View::Pow(arg(0)?, arg(1)?)),
        "Sqrt" | "torch.sqrt" => Some(View::Sqrt(arg(0)?)),
        "IsNaN" | "torch.isnan" => Some(View::IsNan(arg(0)?)),
        "Where" | "torch.where" => Some(View::Where(arg(0)?, arg(1)?, arg(2)?)),
        "torch.rsqrt" => Some(View::Rsqrt(arg(0)?)),
        "Reciprocal" | "torch.reciprocal" => Some(View::Reciprocal(arg(0)?)),
        "ReduceMean" if is(2, 1.0) => Some(View::Mean { x: arg(0)?, axis: one_axis(graph, arg(1)?)? }),
        "torch.mean" if is_none(3) && matches!(constant(graph, arg(2)?), Some(Value::Bool(true))) => {
            Some(View::Mean { x: arg(0)?, axis: one_axis(graph, arg(1)?)? })
        }
        "torch.softmax" if is_none(2) || is(2, FLOAT) => {
            Some(View::Softmax { x: arg(0)?, axis: arg(1)?, is_wide: !is_none(2) })
        }
        "torch.to" if made_by_to(graph, instr) == Some(FLOAT) => Some(View::Wide(arg(0)?)),
        "torch.float" => Some(View::Wide(arg(0)?)),
        "torch.type_as" => Some(View::Like(arg(0)?, arg(1)?)),
        "torch.masked_fill" => Some(View::Filled { x: arg(0)?, mask: arg(1)?, value: arg(2)? }),
        // Before version 13 it went over several axes together, by default from the second on.
        "Softmax" if is(1, -1.0) => Some(View::Softmax { x: arg(0)?, axis: arg(1)?, is_wide: false }),
        "MaxPool"
            if matches!(text(1), Some("NOTSET" | "VALID"))
                && is(2, 0.0)
                && all(graph, arg(3)?, 1, true)
                && all(graph, arg(4)?, 2, false)
                && all(graph, arg(5)?, 0, true)
                && all(graph, arg(7)?, 2, false)
                && is(8, 1.0) =>
        {
            Some(View::Halved(arg(0)?))
        }
        "torch.max_pool2d"
            if all(graph, arg(1)?, 2, false)
                && all(graph, arg(2)?, 2, true)
                && all(graph, arg(3)?, 0, false)
                && all(graph, arg(4)?, 1, false)
                && matches!(constant(graph, arg(5)?), Some(Value::Bool(false))) =>
        {
            Some(View::Halved(arg(0)?))
        }
        "Relu" | "torch.relu" => activation(Activation::Relu),
        "torch.relu6" => activation(Activation::Relu6),
        "torch.silu" => activation(Activation::Silu),
        "Sigmoid" | "torch.sigmoid" => activation(Activation::Sigmoid),
        "Tanh" | "torch.tanh" => activation(Activation::Tanh),
        "Softplus" => Some(View::Softplus(arg(0)?)),
        "torch.softplus" if is(1, 1.0) && is(2, 20.0) => Some(View::Softplus(arg(0)?)),
        "HardSwish" | "torch.hardswish" => activation(Activation::HardSwish),
        "torch.hardsigmoid" => activation(Activation::HardSigmoid),
        // PyTorch writes the slope in `Float32`.
        "HardSigmoid" if is(2, 0.5) && number(graph, arg(1)?)? as f32 == 1.0 / 6.0 => {
            activation(Activation::HardSigmoid)
        }
        "Clip" if is(1, 0.0) && is(2, 6.0) => activation(Activation::Relu6),
        "LeakyRelu" | "torch.leaky_relu" => activation(Activation::LeakyRelu(number(graph, arg(1)?)? as f32)),
        "Gelu" | "torch.gelu" => match text(1)? {
            "none" => activation(Activation::Gelu),
            "tanh" => activation(Activation::GeluTanh),
            _ => None,
        },
        "torch.batch_norm" if is(5, 0.0) && !is_none(1) && !is_none(2) => Some(View::BatchNorm {
            x: arg(0)?,
            weight: arg(1)?,
            bias: arg(2)?,
            mean: arg(3)?,
            var: arg(4)?,
            eps: arg(7)?,
        }),
        "BatchNormalization" if is(7, 0.0) => Some(View::BatchNorm {
            x: arg(0)?,
            weight: arg(1)?,
            bias: arg(2)?,
            mean: arg(3)?,
            var: arg(4)?,
            eps: arg(5)?,
        }),
        "torch.conv2d" | "Conv" => Some(View::Conv),
        "torch._convolution" if is(6, 0.0) => Some(View::Conv),
        _ => None,
    }
}
