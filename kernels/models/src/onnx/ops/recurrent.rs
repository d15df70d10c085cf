//! LSTM, GRU and RNN layers: one layer, one or two directions, lengths that may differ within a batch.

use std::sync::Arc;

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};

use super::quant::dynamic;
use crate::ops::recurrent::{FEW_STEPS, PackedWeights};
use crate::ops::tensor::say;
use crate::ops::{Args, OpResult};
use crate::value::{MAX_ITEMS, Value};

/// A function of the gates, with its two numbers.
#[derive(Debug, Clone, Copy)]
struct Activation {
    name: Name,
    alpha: f64,
    beta: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    Sigmoid,
    Tanh,
    Relu,
    LeakyRelu,
    ThresholdedRelu,
    Elu,
    HardSigmoid,
    ScaledTanh,
    Affine,
    Softsign,
    Softplus,
}

impl Activation {
    fn new(name: &str, alpha: Option<f64>, beta: Option<f64>) -> Result<Activation, String> {
        let (name, a, b) = match name.to_ascii_lowercase().as_str() {
            "sigmoid" => (Name::Sigmoid, 0.0, 0.0),
            "tanh" => (Name::Tanh, 0.0, 0.0),
            "relu" => (Name::Relu, 0.0, 0.0),
            "leakyrelu" => (Name::LeakyRelu, 0.01, 0.0),
            "thresholdedrelu" => (Name::ThresholdedRelu, 1.0, 0.0),
            "elu" => (Name::Elu, 1.0, 0.0),
            "hardsigmoid" => (Name::HardSigmoid, 0.2, 0.5),
            "scaledtanh" => (Name::ScaledTanh, 1.0, 1.0),
            "affine" => (Name::Affine, 1.0, 0.0),
            "softsign" => (Name::Softsign, 0.0, 0.0),
            "softplus" => (Name::Softplus, 0.0, 0.0),
            _ => return Err(format!("activation `{name}` is not known")),
        };
        Ok(Activation { name, alpha: alpha.unwrap_or(a), beta: beta.unwrap_or(b) })
    }

    /// Whether this is the function of this name, one without numbers.
    fn is(self, name: &str) -> bool {
        matches!((self.name, name), (Name::Sigmoid, "Sigmoid") | (Name::Tanh, "Tanh"))
    }

    fn run(self, x: &Tensor) -> Tried<Tensor> {
        let line = || k::add(&k::mul(x, self.alpha)?, self.beta);
        match self.name {
            Name::Sigmoid => k::sigmoid(x),
            Name::Tanh => k::tanh(x),
            Name::Relu => k::relu(x),
            Name::LeakyRelu => k::leaky_relu(x, self.alpha),
            Name::ThresholdedRelu => k::threshold(x, self.alpha, 0.0),
            Name::Elu => k::elu(x, self.alpha),
            Name::HardSigmoid => k::clamp(&line()?, Some(Scalar::Float(0.0).into()), Some(Scalar::Float(1.0).into())),
            Name::ScaledTanh => k::mul(&k::tanh(&k::mul(x, self.beta)?)?, self.alpha),
            Name::Affine => line(),
            Name::Softsign => k::softsign(x),
            Name::Softplus => k::softplus(x, 1.0, 20.0),
        }
    }
}

/// Where the arguments lie that the three operators share; inputs come first in all of them.
struct At {
    activations: usize,
    layout: Option<usize>,
    gates: usize,
    defaults: &'static [&'static str],
    states: &'static [usize],
}

/// The weights of one product, `[gates, inputs]`.
enum Weight {
    Plain(Tensor),
    /// Bytes minus their zero points in Float64, and their scales: one or one for each gate. Inputs become bytes too.
    Bytes {
        weight: Tensor,
        scale: Tensor,
    },
}

impl Weight {
    fn apply(&self, x: &Tensor) -> Tried<Tensor> {
        let (weight, scale) = match self {
            Weight::Plain(weight) => return k::linear(x, weight, None),
            Weight::Bytes { weight, scale } => (weight, scale),
        };
        let [bytes, x_scale, zero] = dynamic(x)?;
        let x = k::sub(&bytes.to(DType::F64)?, &zero.to(DType::F64)?)?;
        k::mul(&k::mul(&k::linear(&x, weight, None)?, scale)?, &x_scale.to(DType::F64)?)?.to(DType::F32)
    }

    fn plain(&self) -> Tried<&Tensor> {
        match self {
            Weight::Plain(weight) => Ok(weight),
            Weight::Bytes { .. } => Err(TensorError::Argument("quantised weights are not supported here".into())),
        }
    }
}

/// Weights of each direction, `[directions, gates, inputs]`.
fn plain(weights: &Tensor) -> Result<Vec<Weight>, String> {
    Ok(weights.unbind(0).map_err(say)?.into_iter().map(Weight::Plain).collect())
}

/// Weights as bytes, `[directions, inputs, gates]`, with scales and zero points for each direction or each gate.
fn bytes(weights: &Tensor, scale: &Tensor, zero: &Tensor) -> Result<Vec<Weight>, String> {
    let n = weights.size(0).map_err(say)?;
    let one = |d: usize| {
        let of = |t: &Tensor| match t.rank() {
            2 => t.select(0, d as i64)?.to(DType::F64),
            _ if t.numel() == n => t.reshape(&[-1])?.select(0, d as i64)?.to(DType::F64),
            _ => t.reshape(&[])?.to(DType::F64),
        };
        let weight = k::sub(&weights.select(0, d as i64)?.to(DType::F64)?, &of(zero)?)?;
        Ok(Weight::Bytes { weight: weight.t()?.contiguous()?, scale: of(scale)? })
    };
    (0..n).map(one).collect::<Tried<_>>().map_err(say)
}

struct Layer {
    x: Tensor,
    /// Of each direction.
    weights: Vec<Weight>,
    recurrent: Vec<Weight>,
    /// Rows of the gates together.
    rows: usize,
    bias: Option<Tensor>,
    /// Lengths as a column, when they differ.
    lengths: Option<Vec<i64>>,
    /// Per direction.
    activations: Vec<Vec<Activation>>,
    clip: Option<f64>,
    /// Whether each direction runs from the end.
    reversed: Vec<bool>,
    hidden: usize,
    states: Vec<Tensor>,
    batch_first: bool,
    /// The weights of each direction, packed, where they and what they work on allow it, and nothing but the usual is asked for.
    kept: Option<Arc<Vec<PackedWeights>>>,
}

/// What one step works with: the input's part of the gates before the bias, and the state.
struct Step<'a> {
    of_x: &'a Tensor,
    state: &'a [Tensor],
    recurrent: &'a Weight,
    /// The biases of input and recurrence.
    biases: Option<(&'a Tensor, &'a Tensor)>,
    activations: &'a [Activation],
    clip: Option<f64>,
}

impl Step<'_> {
    fn clipped(&self, x: &Tensor) -> Tried<Tensor> {
        match self.clip {
            Some(c) => k::clamp(x, Some(Scalar::Float(-c).into()), Some(Scalar::Float(c).into())),
            None => Ok(x.clone()),
        }
    }

    fn activate(&self, which: usize, x: &Tensor) -> Tried<Tensor> {
        self.activations[which].run(&self.clipped(x)?)
    }
}

impl Layer {
    fn read(a: &Args<'_>, at: At) -> Result<Layer, String> {
        let (weights, recurrent) = (a.tensor(1)?, a.tensor(2)?);
        Layer::with(a, at, [&weights, &recurrent], [plain(&weights)?, plain(&recurrent)?])
    }

    /// `shaped` are tensors `[directions, gates, inputs]` that have the shapes of the weights.
    fn with(a: &Args<'_>, at: At, shaped: [&Tensor; 2], products: [Vec<Weight>; 2]) -> Result<Layer, String> {
        let x = a.tensor(0)?;
        let [weights, recurrent] = shaped;
        let reversed = match a.str(at.activations + 2)? {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Err(format!("direction `{other}` is not known")),
        };
        let hidden = recurrent.shape().last().copied().unwrap_or(0);
        let n = reversed.len();
        let rows = at.gates.saturating_mul(hidden);
        if x.rank() != 3
            || weights.rank() != 3
            || weights.shape()[..2] != [n, rows]
            || recurrent.shape() != [n, rows, hidden]
        {
            let shapes = [x.shape(), weights.shape(), recurrent.shape()];
            return Err(format!("input and weights of shapes {shapes:?} do not fit {n} direction(s)"));
        }
        let batch_first = at.layout.map_or(Ok(false), |at| a.bool(at))?;
        let x = if batch_first { x.transpose(0, 1).map_err(say)? } else { x.into_owned() };
        let (length, batch) = (x.shape()[0], x.shape()[1]);
        if length > MAX_ITEMS {
            return Err(format!("{length} steps, the limit is {MAX_ITEMS}"));
        }
        let bias = a.opt_tensor(3)?.map(|b| b.into_owned());
        if let Some(bias) = bias.as_ref().filter(|b| b.shape() != [n, rows.saturating_mul(2)]) {
            return Err(format!("biases of shape {:?}, [{n}, 2 * {rows}] is needed", bias.shape()));
        }
        let mut states = Vec::new();
        for &index in at.states {
            let zeros = || Tensor::zeros(&[n, batch, hidden], x.dtype()).map_err(say);
            let state = match a.opt_tensor(index)? {
                Some(state) if batch_first => state.transpose(0, 1).map_err(say)?,
                Some(state) => state.into_owned(),
                None => zeros()?,
            };
            if state.shape() != [n, batch, hidden] {
                return Err(format!("a state of shape {:?}, [{n}, {batch}, {hidden}] is needed", state.shape()));
            }
            states.push(state);
        }
        let lengths = a.opt_ints(4)?.map(|lengths| lengths.into_vec());
        if lengths.as_ref().is_some_and(|l| l.len() != batch || l.iter().any(|&n| n < 0 || n > length as i64)) {
            return Err(format!("sequence_lens {lengths:?} for {batch} sequences of {length} steps"));
        }
        let lengths = lengths.filter(|lengths| lengths.iter().any(|&n| n != length as i64));
        let names: Vec<String> = match a.get(at.activations) {
            Value::List(list) => list.items().iter().map(|name| name.to_string()).collect(),
            _ => (0..n).flat_map(|_| at.defaults.iter().map(|name| name.to_string())).collect(),
        };
        if names.len() != n * at.defaults.len() {
            return Err(format!("{} activations, {} are needed", names.len(), n * at.defaults.len()));
        }
        let numbers = |index: usize| if a.is_none(index) { Ok(Vec::new()) } else { a.floats(index) };
        let (alphas, betas) = (numbers(at.activations - 2)?, numbers(at.activations - 1)?);
        let all = names
            .iter()
            .enumerate()
            .map(|(i, name)| Activation::new(name, alphas.get(i).copied(), betas.get(i).copied()));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let clip = a.opt_scalar(at.activations + 1)?.map(Scalar::to_f64).filter(|c| *c > 0.0);
        let is_usual = clip.is_none()
            && length > 0
            && all.iter().zip(at.defaults.iter().cycle()).all(|(is, usual)| is.is(usual))
            && products.iter().flatten().all(|weight| matches!(weight, Weight::Plain(_)))
            && (a.keeps(1..4) || length >= FEW_STEPS);
        let kept = match is_usual && k::recurrent_serves(states.iter().chain([&x])) {
            true => (*a.once(1..4, &[], || pack_weights(&products, bias.as_ref()).map_err(say))?).clone(),
            false => None,
        };
        let [weights, recurrent] = products;
        Ok(Layer {
            x,
            weights,
            recurrent,
            rows,
            bias,
            lengths,
            activations: all.chunks(at.defaults.len()).map(<[_]>::to_vec).collect(),
            clip,
            reversed,
            hidden,
            states,
            batch_first,
            kept,
        })
    }

    /// Runs `step` along time in each direction, or `cell` where it is the same. The first state tensor of a step is its output.
    fn run(&self, cell: Option<k::Cell>, step: impl Fn(Step<'_>, usize) -> Tried<Vec<Tensor>>) -> Tried<Vec<Tensor>> {
        let (length, batch) = (self.x.size(0)?, self.x.size(1)?);
        let rows = self.rows;
        let mut sides = Vec::new();
        let mut last: Vec<Vec<Tensor>> = vec![Vec::new(); self.states.len()];
        for (direction, &reversed) in self.reversed.iter().enumerate() {
            let d = direction as i64;
            if let (Some(cell), Some(packed)) = (cell, self.kept.as_ref().and_then(|kept| kept.get(direction))) {
                let of_all = self.x.reshape_to(&[length.saturating_mul(batch), self.x.size(2)?])?;
                let states = self.states.iter().map(|s| s.select(0, d)).collect::<Tried<Vec<_>>>()?;
                let sizes = vec![batch; length];
                let (out, end) = packed.run(cell, &of_all, &states, &sizes, self.lengths.as_deref(), reversed)?;
                sides.push(out.reshape_to(&[length, batch, self.hidden])?);
                last.iter_mut().zip(end).for_each(|(all, one)| all.push(one));
                continue;
            }
            let bias = self.bias.as_ref().map(|bias| bias.select(0, d)).transpose()?;
            let biases = match &bias {
                Some(bias) => Some((bias.narrow(0, 0, rows)?, bias.narrow(0, rows as i64, rows)?)),
                None => None,
            };
            let of_x = self.weights[direction].apply(&self.x)?;
            let mut state = self.states.iter().map(|s| s.select(0, d)).collect::<Tried<Vec<_>>>()?;
            let mut outputs = vec![None; length];
            for t in 0..length {
                let t = if reversed { length - 1 - t } else { t };
                let now = Step {
                    of_x: &of_x.select(0, t as i64)?,
                    state: &state,
                    recurrent: &self.recurrent[direction],
                    biases: biases.as_ref().map(|(x, h)| (x, h)),
                    activations: &self.activations[direction],
                    clip: self.clip,
                };
                let new = step(now, direction)?;
                let output;
                (state, output) = match &self.lengths {
                    None => (new.clone(), new[0].clone()),
                    // Beyond its end a sequence keeps its state and gives zeros.
                    Some(lengths) => {
                        let running: Vec<bool> = lengths.iter().map(|&n| (t as i64) < n).collect();
                        let running = Tensor::from_slice(&running, &[running.len(), 1])?;
                        let kept = new.iter().zip(&state).map(|(n, s)| k::where_(&running, n, s));
                        (kept.collect::<Tried<Vec<_>>>()?, k::where_(&running, &new[0], 0.0)?.to(new[0].dtype())?)
                    }
                };
                outputs[t] = Some(output);
            }
            let outputs: Vec<Tensor> = outputs.into_iter().flatten().collect();
            sides.push(match outputs.is_empty() {
                true => Tensor::zeros(&[0, self.x.size(1)?, self.hidden], self.x.dtype())?,
                false => k::stack(&outputs.iter().collect::<Vec<_>>(), 0)?,
            });
            last.iter_mut().zip(state).for_each(|(all, one)| all.push(one));
        }
        // [steps, directions, batch, hidden], or [batch, steps, directions, hidden].
        let mut all = vec![k::stack(&sides.iter().collect::<Vec<_>>(), 1)?];
        for states in &last {
            all.push(k::stack(&states.iter().collect::<Vec<_>>(), 0)?);
        }
        if self.batch_first {
            all[0] = all[0].permute(&[2, 0, 1, 3])?;
            for state in &mut all[1..] {
                *state = state.transpose(0, 1)?;
            }
        }
        Ok(all)
    }
}

/// The weights of each direction, packed; `None` where they are of another type than `Float32`.
fn pack_weights(products: &[Vec<Weight>; 2], bias: Option<&Tensor>) -> Tried<Option<Arc<Vec<PackedWeights>>>> {
    let mut all = Vec::new();
    for (d, (of_x, of_h)) in products[0].iter().zip(&products[1]).enumerate() {
        let biases = bias.map(|bias| bias.select(0, d as i64)?.chunk(2, 0)).transpose()?.unwrap_or_default();
        let Some(packed) = PackedWeights::new([of_x.plain()?, of_h.plain()?], [biases.first(), biases.get(1)])? else {
            return Ok(None);
        };
        all.push(packed);
    }
    Ok(Some(Arc::new(all)))
}

fn tuple(all: Tried<Vec<Tensor>>) -> OpResult {
    Value::tuple(all.map_err(say)?.into_iter().map(Value::Tensor).collect())
}

/// `of_x + h @ Rᵀ` and both biases.
fn gates(step: &Step<'_>) -> Tried<Tensor> {
    let sum = k::add(step.of_x, &step.recurrent.apply(&step.state[0])?)?;
    match step.biases {
        Some((x, h)) => k::add(&k::add(&sum, x)?, h),
        None => Ok(sum),
    }
}

fn split<const N: usize>(x: &Tensor) -> Tried<[Tensor; N]> {
    <[Tensor; N]>::try_from(x.chunk(N, -1)?)
        .map_err(|_| TensorError::Argument(format!("the gates do not split in {N}")))
}

/// Gates in the order input, output, forget, cell.
pub fn lstm(a: &Args<'_>) -> OpResult {
    const AT: At =
        At { activations: 10, layout: Some(15), gates: 4, defaults: &["Sigmoid", "Tanh", "Tanh"], states: &[5, 6] };
    long_short(a, &Layer::read(a, AT)?, a.bool(14)?)
}

/// As [`lstm`], with weights of bytes, which lie the other way round.
pub fn quantised_lstm(a: &Args<'_>) -> OpResult {
    const AT: At =
        At { activations: 14, layout: None, gates: 4, defaults: &["Sigmoid", "Tanh", "Tanh"], states: &[5, 6] };
    let (weights, recurrent) = (a.tensor(1)?, a.tensor(2)?);
    let products =
        [bytes(&weights, &*a.tensor(8)?, &*a.tensor(9)?)?, bytes(&recurrent, &*a.tensor(10)?, &*a.tensor(11)?)?];
    let shaped = [weights.transpose(-2, -1).map_err(say)?, recurrent.transpose(-2, -1).map_err(say)?];
    long_short(a, &Layer::with(a, AT, [&shaped[0], &shaped[1]], products)?, a.bool(18)?)
}

fn long_short(a: &Args<'_>, layer: &Layer, coupled: bool) -> OpResult {
    let peepholes = a.opt_tensor(7)?;
    if let Some(p) = peepholes.as_ref().filter(|p| p.shape() != [layer.reversed.len(), layer.hidden.saturating_mul(3)])
    {
        return Err(format!("peepholes of shape {:?} for {} cells", p.shape(), layer.hidden));
    }
    let cell = Some(k::Cell::Lstm([0, 2, 3, 1])).filter(|_| peepholes.is_none() && !coupled);
    tuple(layer.run(cell, |step, direction| {
        let c = &step.state[1];
        let [mut i, mut o, mut f, g] = split::<4>(&gates(&step)?)?;
        let peep = |gate: &Tensor, which: usize, c: &Tensor| match &peepholes {
            Some(p) => {
                let weight = p.select(0, direction as i64)?.narrow(0, (which * layer.hidden) as i64, layer.hidden)?;
                k::add(gate, &k::mul(&weight, c)?)
            }
            None => Ok(gate.clone()),
        };
        i = step.activate(0, &peep(&i, 0, c)?)?;
        f = match coupled {
            true => k::sub(1.0, &i)?.to(i.dtype())?,
            false => step.activate(0, &peep(&f, 2, c)?)?,
        };
        let c = k::add(&k::mul(&f, c)?, &k::mul(&i, &step.activate(1, &g)?)?)?;
        o = step.activate(0, &peep(&o, 1, &c)?)?;
        Ok(vec![k::mul(&o, &step.activations[2].run(&c)?)?, c])
    }))
}

/// Gates in the order update, reset, hidden.
pub fn gru(a: &Args<'_>) -> OpResult {
    const AT: At = At { activations: 8, layout: Some(12), gates: 3, defaults: &["Sigmoid", "Tanh"], states: &[5] };
    let layer = Layer::read(a, AT)?;
    let before_reset = a.bool(13)?;
    let cell = Some(k::Cell::Gru([1, 0, 2])).filter(|_| before_reset);
    tuple(layer.run(cell, |step, _| {
        let h = &step.state[0];
        let [xz, xr, xh] = split::<3>(step.of_x)?;
        let [rz, rr, rh] = <[Tensor; 3]>::try_from(step.recurrent.plain()?.chunk(3, 0)?)
            .map_err(|_| TensorError::Argument("the gates do not split in 3".into()))?;
        let biases = match step.biases {
            Some((x, h)) => Some((split::<3>(x)?, split::<3>(h)?)),
            None => None,
        };
        let biased = |sum: Tensor, gate: usize| match &biases {
            Some((x, h)) => k::add(&k::add(&sum, &x[gate])?, &h[gate]),
            None => Ok(sum),
        };
        let z = step.activate(0, &biased(k::add(&xz, &k::linear(h, &rz, None)?)?, 0)?)?;
        let r = step.activate(0, &biased(k::add(&xr, &k::linear(h, &rr, None)?)?, 1)?)?;
        let hidden = match before_reset {
            true => {
                let inner = k::linear(h, &rh, biases.as_ref().map(|(_, h)| &h[2]))?;
                let sum = k::add(&xh, &k::mul(&r, &inner)?)?;
                biases.as_ref().map_or(Ok(sum.clone()), |(x, _)| k::add(&sum, &x[2]))?
            }
            false => biased(k::add(&xh, &k::linear(&k::mul(&r, h)?, &rh, None)?)?, 2)?,
        };
        let hidden = step.activate(1, &hidden)?;
        // (1 - z) * hidden + z * h
        Ok(vec![k::add(&hidden, &k::mul(&z, &k::sub(h, &hidden)?)?)?])
    }))
}

pub fn rnn(a: &Args<'_>) -> OpResult {
    const AT: At = At { activations: 8, layout: Some(12), gates: 1, defaults: &["Tanh"], states: &[5] };
    let layer = Layer::read(a, AT)?;
    tuple(layer.run(Some(k::Cell::Tanh), |step, _| Ok(vec![step.activate(0, &gates(&step)?)?])))
}
