//! PyTorch's recurrent layers and cells, with plain or packed weights, over sequences of one length or packed ones.
//!
//! Whatever the form of the input, it becomes the rows of all steps one after the other ([`Steps`]). The sequences of a
//! pack are ordered by length, so a step works on the first of them, and the states of the rest wait.

use std::sync::Arc;

use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops as k;
use stark_kernels::ops::PackedMatrix;
use stark_kernels::{DType, Result as Tried, Tensor, TensorError};

use super::quant::Packed;
use super::tensor::{ok, pair_of, say};
use super::{Args, OpResult};
use crate::value::Value;

/// The weights of one product.
enum Weight {
    Plain(Tensor, Option<Tensor>),
    Packed(Packed),
}

impl Weight {
    fn apply(&self, x: &Tensor) -> Tried<Tensor> {
        match self {
            Weight::Plain(weight, bias) => k::linear(x, weight, bias.as_ref()),
            Weight::Packed(packed) => packed.apply(x),
        }
    }
}

/// One step of an LSTM; gates in the order input, forget, cell, output.
fn lstm_step(of_x: &Tensor, of_h: &Tensor, c: &Tensor) -> Tried<(Tensor, Tensor)> {
    let all = k::add(of_x, of_h)?.chunk(4, -1)?;
    let [i, f, g, o] = &all[..] else {
        return Err(TensorError::Argument("the gates do not split in four".into()));
    };
    let kept = k::mul(&k::sigmoid(f)?, c)?;
    let c = k::add(&kept, &k::mul(&k::sigmoid(i)?, &k::tanh(g)?)?)?;
    Ok((k::mul(&k::sigmoid(o)?, &k::tanh(&c)?)?, c))
}

/// One step of a GRU; gates in the order reset, update, new.
fn gru_step(of_x: &Tensor, of_h: &Tensor, h: &Tensor) -> Tried<Tensor> {
    let (x, y) = (of_x.chunk(3, -1)?, of_h.chunk(3, -1)?);
    let ([xr, xz, xn], [hr, hz, hn]) = (&x[..], &y[..]) else {
        return Err(TensorError::Argument("the gates do not split in three".into()));
    };
    let r = k::sigmoid(&k::add(xr, hr)?)?;
    let z = k::sigmoid(&k::add(xz, hz)?)?;
    let n = k::tanh(&k::add(xn, &k::mul(&r, hn)?)?)?;
    k::add(&n, &k::mul(&z, &k::sub(h, &n)?)?)
}

// ---- packed weights -------------------------------------------------------------------------------

/// The weights of one direction of a layer, packed.
pub struct PackedWeights {
    of_x: PackedMatrix,
    of_h: PackedMatrix,
    /// Of the input and of the state.
    biases: [Option<Tensor>; 2],
}

impl PackedWeights {
    /// `None` where the weights are of another type than `Float32`.
    pub fn new(weights: [&Tensor; 2], biases: [Option<&Tensor>; 2]) -> Tried<Option<PackedWeights>> {
        if !k::recurrent_serves(weights.into_iter().chain(biases.into_iter().flatten())) {
            return Ok(None);
        }
        let [of_x, of_h] = [PackedMatrix::new(&weights[0].t()?)?, PackedMatrix::new(&weights[1].t()?)?];
        Ok(Some(PackedWeights { of_x, of_h, biases: biases.map(|bias| bias.cloned()) }))
    }

    /// Runs over `rows`, those of all steps one after the other: the outputs and the last states.
    pub fn run(
        &self,
        cell: k::Cell,
        rows: &Tensor,
        states: &[Tensor],
        sizes: &[usize],
        lengths: Option<&[i64]>,
        backwards: bool,
    ) -> Tried<(Tensor, Vec<Tensor>)> {
        let [bias, bias_h] = self.biases.each_ref().map(Option::as_ref);
        let of_x = k::linear_packed(rows, &self.of_x, bias, None, Activation::None)?;
        let how = k::Recurrent { cell, weight: &self.of_h, bias: bias_h, sizes, lengths, backwards };
        k::recurrent(&of_x, &states.iter().collect::<Vec<_>>(), how)
    }
}

/// So few steps are not worth packing weights for, unless they are kept.
pub const FEW_STEPS: usize = 4;

/// Gates of PyTorch's layers.
const LSTM: k::Cell = k::Cell::Lstm([0, 1, 2, 3]);
const GRU: k::Cell = k::Cell::Gru([0, 1, 2]);

// ---- cells ----------------------------------------------------------------------------------------

/// The two halves of a cell's gates. Packed weights have their biases with them.
fn gates(a: &Args<'_>, h: &Tensor) -> Result<(Tensor, Tensor), String> {
    let weight = |index: usize, bias: usize| match a.get(index) {
        Value::Tensor(weight) => Ok(Weight::Plain(weight.clone(), a.opt_tensor(bias)?.map(|b| b.into_owned()))),
        packed => Packed::read(packed, true).map(Weight::Packed),
    };
    let of_x = weight(2, 4)?.apply(&*a.tensor(0)?).map_err(say)?;
    Ok((of_x, weight(3, 5)?.apply(h).map_err(say)?))
}

/// A cell with constant weights, one step of a layer: its states.
fn step_of_layer(a: &Args<'_>, cell: k::Cell, states: &[Tensor]) -> Result<Option<Vec<Tensor>>, String> {
    let x = a.tensor(0)?;
    if !a.keeps(2..6) || x.rank() != 2 || !k::recurrent_serves(states.iter().chain([&*x])) {
        return Ok(None);
    }
    let (Value::Tensor(of_x), Value::Tensor(of_h)) = (a.get(2), a.get(3)) else { return Ok(None) };
    let packed = a.once(2..6, &[], || {
        let (bias, bias_h) = (a.opt_tensor(4)?, a.opt_tensor(5)?);
        PackedWeights::new([of_x, of_h], [bias.as_deref(), bias_h.as_deref()]).map(Arc::new).map_err(say)
    })?;
    let Some(packed) = &**packed else { return Ok(None) };
    packed.run(cell, &x, states, &[x.shape()[0]], None, false).map(|(_, states)| Some(states)).map_err(say)
}

pub fn lstm_cell(a: &Args<'_>) -> OpResult {
    let state = a.tensors(1)?;
    let [h, c] = &state[..] else { return Err("the state of an LSTM is two tensors".into()) };
    if let Some(Ok([h, c])) = step_of_layer(a, LSTM, &state)?.map(<[Tensor; 2]>::try_from) {
        return pair_of(h, c);
    }
    let (of_x, of_h) = gates(a, h)?;
    let (h, c) = lstm_step(&of_x, &of_h, c).map_err(say)?;
    pair_of(h, c)
}

fn rnn_cell(a: &Args<'_>, cell: k::Cell, activation: fn(&Tensor) -> Tried<Tensor>) -> OpResult {
    let h = a.tensor(1)?;
    if let Some(states) = step_of_layer(a, cell, std::slice::from_ref(&*h))? {
        return ok(states.into_iter().next().ok_or_else(|| TensorError::Argument("a cell has a state".into())));
    }
    let (of_x, of_h) = gates(a, &h)?;
    ok(k::add(&of_x, &of_h).and_then(|sum| activation(&sum)))
}

pub fn rnn_tanh_cell(a: &Args<'_>) -> OpResult {
    rnn_cell(a, k::Cell::Tanh, k::tanh)
}

pub fn rnn_relu_cell(a: &Args<'_>) -> OpResult {
    rnn_cell(a, k::Cell::Relu, k::relu)
}

pub fn gru_cell(a: &Args<'_>) -> OpResult {
    let h = a.tensor(1)?;
    if let Some(states) = step_of_layer(a, GRU, std::slice::from_ref(&*h))? {
        return ok(states.into_iter().next().ok_or_else(|| TensorError::Argument("a cell has a state".into())));
    }
    let (of_x, of_h) = gates(a, &h)?;
    ok(gru_step(&of_x, &of_h, &h))
}

// ---- sequences ------------------------------------------------------------------------------------

/// The rows of all steps, and how many there are in each: a row for each of the first sequences.
struct Steps {
    rows: Tensor,
    sizes: Vec<usize>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `[steps, batch, …]`.
    StepsFirst,
    /// `[batch, steps, …]`.
    BatchFirst,
    /// The rows as they are.
    Packed,
}

impl Steps {
    fn plain(x: &Tensor, batch_first: bool) -> Result<Steps, String> {
        let x = if batch_first { x.transpose(0, 1).map_err(say)? } else { x.clone() };
        let &[length, batch, width] = x.shape() else {
            return Err(format!("takes sequences of 3 dimensions, not shape {:?}", x.shape()));
        };
        let rows = x.reshape_to(&[length.saturating_mul(batch), width]).map_err(say)?;
        let form = if batch_first { Form::BatchFirst } else { Form::StepsFirst };
        Ok(Steps { rows, sizes: vec![batch; length], form })
    }

    fn packed(rows: &Tensor, sizes: &Tensor) -> Result<Steps, String> {
        let sizes = batch_sizes(sizes, rows)?;
        Ok(Steps { rows: rows.clone(), sizes, form: Form::Packed })
    }

    fn n_sequences(&self) -> usize {
        self.sizes.first().copied().unwrap_or(0)
    }

    /// Rows of the result in the form of the input.
    fn shaped(&self, rows: Tensor) -> Tried<Tensor> {
        if self.form == Form::Packed {
            return Ok(rows);
        }
        let x = rows.reshape_to(&[self.sizes.len(), self.n_sequences(), rows.size(-1)?])?;
        if self.form == Form::BatchFirst { x.transpose(0, 1) } else { Ok(x) }
    }
}

/// How many rows each step of a pack has; they come to all of them.
fn batch_sizes(sizes: &Tensor, rows: &Tensor) -> Result<Vec<usize>, String> {
    let numbers = sizes.to(DType::I64).and_then(|sizes| sizes.to_vec::<i64>()).map_err(say)?;
    let n_rows = rows.size(0).map_err(say)?;
    let falls = numbers.windows(2).all(|pair| pair[0] >= pair[1]) && numbers.iter().all(|&n| n > 0);
    let sum = numbers.iter().fold(0i64, |sum, &n| sum.saturating_add(n));
    if !falls || sum as usize != n_rows {
        return Err(format!("{n_rows} rows of packed sequences do not split into these steps"));
    }
    Ok(numbers.into_iter().map(|n| n as usize).collect())
}

/// Sequences of shape `[steps, batch, …]`, the longest first, as one row for each step of each, and the rows of each step.
pub fn pack(a: &Args<'_>) -> OpResult {
    let (x, lengths) = (a.tensor(0)?, a.ints(1)?);
    let x = if a.bool(2)? { x.transpose(0, 1).map_err(say)? } else { x.into_owned() };
    if x.rank() < 2 || x.shape()[1] != lengths.len() || lengths.is_empty() {
        return Err(format!("{} lengths for sequences of shape {:?}", lengths.len(), x.shape()));
    }
    let longest = x.shape()[0] as i64;
    if lengths.windows(2).any(|pair| pair[0] < pair[1]) || lengths.iter().any(|n| !(1..=longest).contains(n)) {
        return Err(format!("the lengths must fall and be from 1 to {longest}"));
    }
    let sizes: Vec<i64> = (0..lengths[0]).map(|t| lengths.iter().filter(|&&n| n > t).count() as i64).collect();
    let step = |(t, &n): (usize, &i64)| x.select(0, t as i64)?.narrow(0, 0, n as usize);
    let parts = sizes.iter().enumerate().map(step).collect::<Tried<Vec<_>>>().map_err(say)?;
    let rows = k::cat(&parts.iter().collect::<Vec<_>>(), 0).map_err(say)?;
    pair_of(rows, Tensor::from_slice(&sizes, &[sizes.len()]).map_err(say)?)
}

/// What [`pack`] packed, filled up to one length, and the lengths.
pub fn unpack(a: &Args<'_>) -> OpResult {
    let (rows, filler) = (a.tensor(0)?, a.scalar(3)?);
    let sizes = batch_sizes(&*a.tensor(1)?, &rows)?;
    let batch = *sizes.first().ok_or("a pack of no sequences")?;
    let length = match a.int(4)? {
        total @ 1.. if (total as u64) < sizes.len() as u64 => {
            return Err(format!("a total_length of {total} for sequences of {}", sizes.len()));
        }
        total @ 1.. => total as usize,
        _ => sizes.len(),
    };
    let made = || {
        let mut out = Tensor::full(&[&[length, batch], &rows.shape()[1..]].concat(), filler, rows.dtype())?;
        let mut at = 0;
        for (t, &n) in sizes.iter().enumerate() {
            out.assign(|out| out.select(0, t as i64)?.narrow(0, 0, n), &rows.narrow(0, at as i64, n)?)?;
            at += n;
        }
        if a.bool(2).unwrap_or(false) { out.transpose(0, 1) } else { Ok(out) }
    };
    let lengths: Vec<i64> = (0..batch).map(|i| sizes.iter().filter(|&&n| n > i).count() as i64).collect();
    pair_of(made().map_err(say)?, Tensor::from_vec(lengths, &[batch]).map_err(say)?)
}

// ---- layers ---------------------------------------------------------------------------------------

struct Cell {
    of_x: Weight,
    of_h: Weight,
    /// Weights that the output passes through.
    project: Option<Tensor>,
}

/// All layers of one operator with what they work on.
struct Layers {
    steps: Steps,
    states: Vec<Tensor>,
    /// Layer by layer, in each both directions.
    cells: Vec<Cell>,
    /// The cells, packed, where their weights and what they work on allow it.
    kept: Option<Arc<Vec<PackedWeights>>>,
    directions: usize,
}

impl Layers {
    fn read(a: &Args<'_>) -> Result<Layers, String> {
        // Packed sequences come as two arguments, so that all others stand one place later.
        let is_packed = matches!(a.get(3), Value::List(_));
        let at = usize::from(is_packed);
        if a.bool(6 + at)? {
            return Err("the model is in training mode; export it after model.eval()".into());
        }
        let steps = match is_packed {
            true => Steps::packed(&*a.tensor(0)?, &*a.tensor(1)?)?,
            false => Steps::plain(&*a.tensor(0)?, a.bool(8)?)?,
        };
        let states = match a.get(1 + at) {
            Value::Tensor(state) => vec![state.clone()],
            _ => a.tensors(1 + at)?,
        };
        let directions = if a.bool(7 + at)? { 2 } else { 1 };
        let n_cells = a.count(4 + at)?.saturating_mul(directions);
        for state in &states {
            if state.rank() != 3 || state.shape()[0] != n_cells || state.shape()[1] != steps.n_sequences() {
                let wanted = format!("[{n_cells}, {}, _]", steps.n_sequences());
                return Err(format!("a state of shape {:?}, {wanted} is needed", state.shape()));
            }
        }
        let cells = match a.get(2 + at) {
            Value::List(cells) if matches!(cells.items().first(), Some(Value::Tuple(_))) => {
                cells.items().iter().map(packed_cell).collect::<Result<Vec<_>, _>>()?
            }
            _ => plain_cells(a.tensors(2 + at)?, n_cells, a.bool(3 + at)?)?,
        };
        if cells.len() != n_cells {
            return Err(format!("weights of {} cells, {n_cells} are needed", cells.len()));
        }
        let weights = 2 + at..4 + at;
        let is_worth_it = a.keeps(weights.clone()) || steps.sizes.len() >= FEW_STEPS;
        let kept = match is_worth_it && k::recurrent_serves(states.iter().chain([&steps.rows])) {
            true => (*a.once(weights, &[], || pack_weights(&cells).map_err(say))?).clone(),
            false => None,
        };
        Ok(Layers { steps, states, cells, kept, directions })
    }

    /// Runs `step` along time for each layer and direction; its state is a list of tensors, the first of
    /// which is the output. Gives the outputs and the last states, per state tensor.
    fn run(&self, cell: k::Cell, step: impl Fn(&Tensor, &Tensor, &[Tensor]) -> Tried<Vec<Tensor>>) -> OpResult {
        let made = || {
            let mut rows = self.steps.rows.clone();
            let mut last: Vec<Vec<Tensor>> = vec![Vec::new(); self.states.len()];
            for layer in self.cells.chunks(self.directions) {
                let mut sides = Vec::new();
                for (direction, plain) in layer.iter().enumerate() {
                    let which = last[0].len();
                    let start =
                        self.states.iter().map(|state| state.select(0, which as i64)).collect::<Tried<Vec<_>>>()?;
                    let backwards = direction == 1;
                    let (side, end) = match self.kept.as_ref().and_then(|kept| kept.get(which)) {
                        Some(packed) => packed.run(cell, &rows, &start, &self.steps.sizes, None, backwards)?,
                        None => self.side(plain, &rows, start, backwards, &step)?,
                    };
                    sides.push(side);
                    last.iter_mut().zip(end).for_each(|(all, one)| all.push(one));
                }
                rows = k::cat(&sides.iter().collect::<Vec<_>>(), -1)?;
            }
            let last = last.iter().map(|all| k::stack(&all.iter().collect::<Vec<_>>(), 0));
            std::iter::once(self.steps.shaped(rows)).chain(last).collect::<Tried<Vec<_>>>()
        };
        if self.states.is_empty() || self.cells.is_empty() || self.steps.sizes.is_empty() {
            return Err("takes at least one layer and one step".into());
        }
        Value::tuple(made().map_err(say)?.into_iter().map(Value::Tensor).collect())
    }

    /// One direction of one layer: its output for all rows, and the last state of each sequence.
    fn side(
        &self,
        cell: &Cell,
        rows: &Tensor,
        mut state: Vec<Tensor>,
        backwards: bool,
        step: impl Fn(&Tensor, &Tensor, &[Tensor]) -> Tried<Vec<Tensor>>,
    ) -> Tried<(Tensor, Vec<Tensor>)> {
        let of_x = cell.of_x.apply(rows)?;
        let (length, all) = (self.steps.sizes.len(), self.steps.n_sequences());
        let mut outputs = Vec::with_capacity(length);
        let mut at = if backwards { rows.size(0)? } else { 0 };
        for t in 0..length {
            let n = self.steps.sizes[if backwards { length - 1 - t } else { t }];
            at = if backwards { at - n } else { at };
            let now = match n == all {
                true => state.clone(),
                false => state.iter().map(|s| s.narrow(0, 0, n)).collect::<Tried<Vec<_>>>()?,
            };
            let mut new = step(&of_x.narrow(0, at as i64, n)?, &cell.of_h.apply(&now[0])?, &now)?;
            if let Some(project) = &cell.project {
                new[0] = k::linear(&new[0], project, None)?;
            }
            outputs.push(new[0].clone());
            state = match n == all {
                true => new,
                // Those that have ended, or, backwards, not begun.
                false => {
                    let rest = |s: &Tensor| s.narrow(0, n as i64, all - n);
                    new.iter().zip(&state).map(|(n, s)| k::cat(&[n, &rest(s)?], 0)).collect::<Tried<Vec<_>>>()?
                }
            };
            at = if backwards { at } else { at + n };
        }
        if backwards {
            outputs.reverse();
        }
        Ok((k::cat(&outputs.iter().collect::<Vec<_>>(), 0)?, state))
    }
}

/// All cells, packed; `None` where one is of another kind.
fn pack_weights(cells: &[Cell]) -> Tried<Option<Arc<Vec<PackedWeights>>>> {
    let mut all = Vec::with_capacity(cells.len());
    for cell in cells {
        let Cell { of_x: Weight::Plain(x, bias), of_h: Weight::Plain(h, bias_h), project: None } = cell else {
            return Ok(None);
        };
        let Some(packed) = PackedWeights::new([x, h], [bias.as_ref(), bias_h.as_ref()])? else { return Ok(None) };
        all.push(packed);
    }
    Ok(Some(Arc::new(all)))
}

/// Cells out of a flat list of weights: for the input and the state, then biases, then perhaps a projection.
fn plain_cells(weights: Vec<Tensor>, n_cells: usize, has_biases: bool) -> Result<Vec<Cell>, String> {
    let plain = if has_biases { 4 } else { 2 };
    let wanted = n_cells.saturating_mul(plain);
    let projects = n_cells > 0 && weights.len() == wanted.saturating_add(n_cells);
    if weights.len() != wanted && !projects {
        return Err(format!("{} weights, {wanted} are needed", weights.len()));
    }
    let cell = |weights: &[Tensor]| {
        let bias = |i: usize| has_biases.then(|| weights[i].clone());
        Cell {
            of_x: Weight::Plain(weights[0].clone(), bias(2)),
            of_h: Weight::Plain(weights[1].clone(), bias(3)),
            project: projects.then(|| weights[plain].clone()),
        }
    };
    Ok(weights.chunks(plain + usize::from(projects)).map(cell).collect())
}

/// A quantised cell arrives as `(kind, tensors, doubles, [narrow], [packed, packed])`.
fn packed_cell(value: &Value) -> Result<Cell, String> {
    let unknown = || "these are no packed weights of a cell".to_string();
    let Value::Tuple(cell) = value else { return Err(unknown()) };
    let [Value::Str(kind), _, _, Value::List(ints), Value::List(weights)] = &cell.items[..] else {
        return Err(unknown());
    };
    let narrow = match (&**kind, ints.items().first()) {
        ("quantized_dynamic", Some(Value::Int(narrow))) => *narrow != 0,
        ("quantized_fp16", _) => false,
        (kind, _) => return Err(format!("weights of kind `{kind}` are not supported")),
    };
    let weights = weights.items();
    let [of_x, of_h] = &weights[..] else { return Err(unknown()) };
    let read = |weight: &Value| Packed::read(weight, narrow).map(Weight::Packed);
    Ok(Cell { of_x: read(of_x)?, of_h: read(of_h)?, project: None })
}

pub fn lstm(a: &Args<'_>) -> OpResult {
    let layers = Layers::read(a)?;
    if layers.states.len() != 2 {
        return Err("the state of an LSTM is two tensors".into());
    }
    layers.run(LSTM, |x, h, state| lstm_step(x, h, &state[1]).map(|(h, c)| vec![h, c]))
}

/// Layers of Elman's kind: one activation, no gates.
fn rnn(a: &Args<'_>, cell: k::Cell, activation: fn(&Tensor) -> Tried<Tensor>) -> OpResult {
    Layers::read(a)?.run(cell, |x, h, _| Ok(vec![activation(&k::add(x, h)?)?]))
}

pub fn rnn_tanh(a: &Args<'_>) -> OpResult {
    rnn(a, k::Cell::Tanh, k::tanh)
}

pub fn rnn_relu(a: &Args<'_>) -> OpResult {
    rnn(a, k::Cell::Relu, k::relu)
}

pub fn gru(a: &Args<'_>) -> OpResult {
    Layers::read(a)?.run(GRU, |x, h, state| gru_step(x, h, &state[0]).map(|h| vec![h]))
}
