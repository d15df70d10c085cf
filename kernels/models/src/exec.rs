//! The executor: runs a graph over a frame of slots.
//!
//! A frame belongs to one run; the graph and its constants are shared and never change. An argument is
//! borrowed from its slot, a slot is emptied after its last use. Instructions inside loops are counted
//! against the step budget, so a model whose loop never ends gives an error.

use std::sync::Arc;

use smallvec::SmallVec;
use stark_kernels::{Tensor, TensorError, accelerator};
use std::time::{Duration, Instant};

use crate::error::{ModelError, Place};
use crate::graph::{Block, Fit, Graph, Instr, Kind, Operand};
use crate::observe;
use crate::ops::{self, Args, Keeper, OpResult, OpRow};
use crate::value::{Copies, Value};

/// How many instructions one run may execute inside loops, unless told otherwise.
pub const DEFAULT_STEP_BUDGET: u64 = 10_000_000;
/// How many values are looked through for views of a tensor that is changed in place.
const MAX_VIEWS_LOOK: usize = 100_000;

/// Sees each instruction after it ran, with all slots before the dead ones are emptied, and how long it took.
pub type Observer<'a> = dyn FnMut(&Instr, &[Value], Duration) + 'a;

/// Asked before each instruction: whether the run is to end with [`ModelError::Stopped`].
pub type Stop<'a> = dyn Fn() -> bool + 'a;

/// Runs `graph` on `inputs`, which are as many as `graph.inputs`. `on_device`: some tensors are on an accelerator.
pub fn run<'o>(
    file: &std::sync::Arc<str>,
    graph: &Graph,
    inputs: Vec<Value>,
    step_budget: u64,
    on_device: bool,
    observer: Option<&'o mut Observer<'o>>,
    stop: Option<&Stop<'_>>,
) -> Result<Value, ModelError> {
    let slots = vec![Value::None; graph.n_slots as usize];
    let is_observed = observe::is_on();
    let mut run = Run { file, graph, slots, steps: 0, step_budget, on_device, observer, stop, is_observed };
    for (slot, input) in graph.inputs.iter().zip(inputs) {
        run.slots[slot.0 as usize] = input;
    }
    let mut copies = Copies::default();
    for (slot, value) in &graph.own {
        run.slots[slot.0 as usize] = copies.of(value).map_err(|reason| {
            let place = Place { file: file.clone(), entry: "state".into(), line: 0 };
            ModelError::Code { place, reason }
        })?;
    }
    let _draws = crate::ops::random::Draws::begin();
    run.block(&graph.body)?;
    Ok(match graph.output {
        Operand::Slot(slot) => std::mem::replace(&mut run.slots[slot.0 as usize], Value::None),
        Operand::Const(index) => graph.consts[index as usize].clone(),
    })
}

struct Run<'a, 'o> {
    file: &'a std::sync::Arc<str>,
    graph: &'a Graph,
    slots: Vec<Value>,
    steps: u64,
    step_budget: u64,
    observer: Option<&'o mut Observer<'o>>,
    stop: Option<&'a Stop<'a>>,
    /// Each operator's time is noted.
    is_observed: bool,
    on_device: bool,
}

impl<'a> Run<'a, '_> {
    fn get(&self, operand: Operand) -> &Value {
        match operand {
            Operand::Slot(slot) => &self.slots[slot.0 as usize],
            Operand::Const(index) => &self.graph.consts[index as usize],
        }
    }

    fn block(&mut self, block: &'a Block) -> Result<(), ModelError> {
        for instr in block {
            if self.stop.is_some_and(|stop| stop()) {
                return Err(ModelError::Stopped { place: self.place(instr) });
            }
            match self.observer.is_some() {
                false => self.instr(instr)?,
                true => self.observed(instr)?,
            }
            for slot in &instr.frees {
                self.slots[slot.0 as usize] = Value::None;
            }
        }
        Ok(())
    }

    #[cold]
    fn observed(&mut self, instr: &'a Instr) -> Result<(), ModelError> {
        let start = Instant::now();
        self.instr(instr)?;
        if let Some(observer) = &mut self.observer {
            observer(instr, &self.slots, start.elapsed());
        }
        Ok(())
    }

    fn instr(&mut self, instr: &'a Instr) -> Result<(), ModelError> {
        match &instr.kind {
            Kind::Op(row) => {
                let begun = self.is_observed.then(Instant::now);
                let result = {
                    let values: SmallVec<[&Value; 12]> = instr.args.iter().map(|&arg| self.get(arg)).collect();
                    self.call(instr, row, &values)
                };
                if let Some(begun) = begun {
                    observe::note(row.name, instr.at.line, begun);
                }
                let result = match instr.fit {
                    Fit::Free => result,
                    fit => result.and_then(|new| fitted(new, self.get(instr.args[0]), fit)),
                };
                self.put(instr, row.name, result)
            }
            Kind::InPlace(row) => {
                let begun = self.is_observed.then(Instant::now);
                let result = {
                    let values: SmallVec<[&Value; 12]> = instr.args.iter().map(|&arg| self.get(arg)).collect();
                    self.call(instr, row, &values)
                };
                if let Some(begun) = begun {
                    observe::note(row.name, instr.at.line, begun);
                }
                let result = result.and_then(|new| match ops::is_reshaping(row) {
                    true => self.turn(instr.args[0], new),
                    false => self.replace(instr.args[0], new),
                });
                self.put(instr, row.name, result)
            }
            Kind::Move => {
                if let ([from], [to]) = (&*instr.args, &*instr.outs) {
                    self.slots[to.0 as usize] = self.get(*from).clone();
                    return Ok(());
                }
                let values: SmallVec<[Value; 8]> = instr.args.iter().map(|&arg| self.get(arg).clone()).collect();
                for (slot, value) in instr.outs.iter().zip(values) {
                    self.slots[slot.0 as usize] = value;
                }
                Ok(())
            }
            Kind::Tuple => {
                let items = instr.args.iter().map(|&arg| self.get(arg).clone()).collect();
                self.put(instr, "tuple", Value::tuple(items))
            }
            Kind::List => {
                let items = instr.args.iter().map(|&arg| self.get(arg).clone()).collect();
                self.put(instr, "list", Value::list(items))
            }
            Kind::Dict => {
                let items = instr.args.chunks_exact(2).map(|kv| (self.get(kv[0]).clone(), self.get(kv[1]).clone()));
                let items = items.collect();
                self.put(instr, "dict", Value::dict(items))
            }
            Kind::Unpack => self.unpack(instr),
            Kind::If(then, otherwise) => {
                let cond = self.condition(instr, instr.args[0])?;
                self.block(if cond { then } else { otherwise })
            }
            Kind::While { test, cond, body } => loop {
                self.spend(instr, test.len() + body.len() + 1)?;
                self.block(test)?;
                if !self.condition(instr, *cond)? {
                    return Ok(());
                }
                self.block(body)?;
            },
            Kind::For(body) => {
                let count = match self.get(instr.args[0]).scalar() {
                    Some(count) => count.to_i64(),
                    None => return Err(self.fail(instr, "range", "the count is no number".into())),
                };
                for round in 0..count {
                    self.spend(instr, body.len() + 1)?;
                    self.slots[instr.outs[0].0 as usize] = Value::Int(round);
                    self.block(body)?;
                }
                Ok(())
            }
            Kind::Raise(class) => {
                let message = self.get(instr.args[0]).to_string();
                Err(ModelError::Raised { class: class.to_string(), message, place: self.place(instr) })
            }
            Kind::Unknown => {
                Err(ModelError::UnknownOperators { file: self.file.clone(), operators: self.graph.unknown.clone() })
            }
        }
    }

    fn call(&self, instr: &Instr, row: &'static OpRow, values: &[&Value]) -> OpResult {
        let keeper = Some(Keeper { kept: &instr.kept, operands: &instr.args });
        let args = Args { keeper, ..Args::new(row, values) };
        if self.graph.is_quantised {
            return ops::quantised::run(row, &args);
        }
        if !self.on_device {
            return (row.run)(&args);
        }
        let tensors = values.iter().flat_map(|value| tensors_of(value));
        let on_host = |result: &OpResult| result.as_ref().is_ok_and(|v| tensors_of(v).any(|t| t.memory().is_none()));
        let result = accelerator::watch(row.name, tensors, || (row.run)(&args), on_host);
        match accelerator::take_fault() {
            Some(reason) => Err(reason),
            None => result,
        }
    }

    fn put(&mut self, instr: &Instr, name: &str, result: Result<Value, String>) -> Result<(), ModelError> {
        match result {
            Ok(value) => {
                self.slots[instr.outs[0].0 as usize] = value;
                Ok(())
            }
            Err(reason) => Err(self.fail(instr, name, reason)),
        }
    }

    fn unpack(&mut self, instr: &Instr) -> Result<(), ModelError> {
        let items: SmallVec<[Value; 8]> = match self.get(instr.args[0]) {
            Value::Tuple(tuple) => tuple.items.iter().cloned().collect(),
            Value::List(list) => list.items().iter().cloned().collect(),
            other => {
                let reason = format!("takes a tuple or list, not {}", other.kind());
                return Err(self.fail(instr, "unpacking", reason));
            }
        };
        if items.len() != instr.outs.len() {
            let reason = format!("{} values for {} names", items.len(), instr.outs.len());
            return Err(self.fail(instr, "unpacking", reason));
        }
        for (slot, item) in instr.outs.iter().zip(items) {
            self.slots[slot.0 as usize] = item;
        }
        Ok(())
    }

    fn condition(&self, instr: &Instr, cond: Operand) -> Result<bool, ModelError> {
        match self.get(cond) {
            Value::Bool(b) => Ok(*b),
            other => match other.scalar() {
                Some(number) => Ok(number.to_bool()),
                None => Err(self.fail(instr, "condition", format!("takes a bool, not {}", other.kind()))),
            },
        }
    }

    fn spend(&mut self, instr: &Instr, n: usize) -> Result<(), ModelError> {
        self.steps += n as u64;
        if self.steps > self.step_budget {
            return Err(ModelError::OutOfSteps { budget: self.step_budget, place: self.place(instr) });
        }
        Ok(())
    }

    /// Writes `new` over the tensor in `target`, for all who share its storage. Tensors are values that copy
    /// on write, so sharing is followed by hand: every value of the frame on the old storage moves to the new.
    fn replace(&mut self, target: Operand, new: Value) -> Result<Value, String> {
        let (old, new) = match (self.get(target), new) {
            (Value::Tensor(old), Value::Tensor(new)) => (old.clone(), new.to(old.dtype()).map_err(|e| e.to_string())?),
            // Traced sizes are plain numbers here, and nobody can hold a view of one.
            (Value::Int(_) | Value::Float(_) | Value::Bool(_), new) => {
                if let Operand::Slot(slot) = target {
                    self.slots[slot.0 as usize] = new.clone();
                }
                return Ok(new);
            }
            // Other names of it are not followed: what changes such tensors in place is the activation behind a layer.
            (Value::Quantised(_), new @ Value::Quantised(_)) => {
                if let Operand::Slot(slot) = target {
                    self.slots[slot.0 as usize] = new.clone();
                }
                return Ok(new);
            }
            // `list += more`: the result begins with what the list has.
            (Value::List(old), Value::List(new)) => {
                let n = old.items().len();
                let more: Vec<Value> = new.items().iter().skip(n).cloned().collect();
                old.taking(ops::scalar::deepest(more.iter())?)?.extend(more);
                return Ok(Value::List(old.clone()));
            }
            // Both parts may lie in one storage, so the second is looked for after the first has moved.
            (Value::Complex(_), Value::Complex(new)) => {
                for (idx, new) in [&new.0, &new.1].into_iter().enumerate() {
                    let Value::Complex(old) = self.get(target) else { break };
                    let old = if idx == 0 { old.0.clone() } else { old.1.clone() };
                    self.rewrite(&old, new)?;
                }
                return Ok(self.get(target).clone());
            }
            (other, _) => return Err(format!("changes {} in place", other.kind())),
        };
        fits(&new, &old)?;
        if let Operand::Slot(slot) = target {
            self.slots[slot.0 as usize] = Value::None;
        }
        if old.is_unique() {
            // What was copied from goes on with storage of its own.
            let new = if new.is_unique() { new } else { new.copied().map_err(|e| e.to_string())? };
            if let Operand::Slot(slot) = target {
                self.slots[slot.0 as usize] = Value::Tensor(new.clone());
            }
            return Ok(Value::Tensor(new));
        }
        let result = Value::Tensor(self.rewrite(&old, &new)?);
        if let Operand::Slot(slot) = target {
            self.slots[slot.0 as usize] = result.clone();
        }
        Ok(result)
    }

    /// Gives the tensor in `target` the axes of its view `new`; who else shares its storage sees nothing of that. The
    /// compiler has seen to it that no other slot stands for the tensor itself.
    fn turn(&mut self, target: Operand, new: Value) -> Result<Value, String> {
        match target {
            Operand::Slot(slot) => self.slots[slot.0 as usize] = new.clone(),
            Operand::Const(_) => return Err("changes a tensor of the model, but loaded models are immutable".into()),
        }
        Ok(new)
    }

    /// Moves every value on the storage of `old` to one in which `new` stands there, and gives the view of it.
    fn rewrite(&mut self, old: &Tensor, new: &Tensor) -> Result<Tensor, String> {
        fits(new, old)?;
        let in_model = |value: &Value| match value {
            Value::Tensor(t) => t.shares_storage_with(old),
            Value::Complex(parts) => parts.0.shares_storage_with(old) || parts.1.shares_storage_with(old),
            _ => false,
        };
        if self.graph.consts.iter().any(in_model) {
            return Err("changes a tensor of the model in place, but loaded models are immutable".into());
        }
        let storage = rewritten(old, new).map_err(|e| e.to_string())?;
        let view = |t: &Tensor| storage.as_strided(t.shape(), t.strides(), t.offset()).map_err(|e| e.to_string());
        let mut looked = 0;
        for slot in &mut self.slots {
            move_views(slot, old, &view, &mut looked)?;
        }
        view(old)
    }

    #[cold]
    fn place(&self, instr: &Instr) -> Place {
        let entry = self.graph.files.get(instr.at.file as usize).cloned().unwrap_or_else(|| "code".into());
        Place { file: self.file.clone(), entry, line: instr.at.line }
    }

    #[cold]
    fn fail(&self, instr: &Instr, operator: &str, reason: String) -> ModelError {
        let (operator, place) = (operator.into(), self.place(instr));
        // Operators say in words what kernels refuse.
        match TensorError::is_too_large_told_in(&reason) {
            true => ModelError::Memory { operator, place, reason },
            false => ModelError::Run { operator, place, reason },
        }
    }
}

/// A tensor, or those directly in a tuple: arguments and results of operators. Lists are looked into by whoever
/// takes one.
fn tensors_of(value: &Value) -> impl Iterator<Item = &Tensor> {
    let items = match value {
        Value::Tuple(tuple) => &tuple.items[..],
        other => std::slice::from_ref(other),
    };
    items.iter().filter_map(|item| if let Value::Tensor(t) = item { Some(t) } else { None })
}

/// The result of an operator that stands in the place of `old`.
fn fitted(new: Value, old: &Value, fit: Fit) -> OpResult {
    let (Value::Tensor(new), Value::Tensor(old)) = (&new, old) else { return Ok(new) };
    if fit == Fit::Whole {
        fits(new, old)?;
    }
    new.to(old.dtype()).map(Value::Tensor).map_err(|e| e.to_string())
}

fn fits(new: &Tensor, old: &Tensor) -> Result<(), String> {
    let (got, wanted) = (new.shape(), old.shape());
    match got == wanted {
        true => Ok(()),
        false => Err(format!("the result has shape {got:?}, which does not fit in place of {wanted:?}")),
    }
}

/// A copy of `old`'s whole storage in which `new` stands where `old` lies.
fn rewritten(old: &Tensor, new: &Tensor) -> stark_kernels::Result<Tensor> {
    let n = old.storage_bytes() / old.dtype().size();
    let mut storage = old.as_strided(&[n], &[1], 0)?.copied()?;
    storage.assign(|whole| whole.as_strided(old.shape(), old.strides(), old.offset()), new)?;
    Ok(storage)
}

fn move_views(
    value: &mut Value,
    old: &Tensor,
    view: &dyn Fn(&Tensor) -> Result<Tensor, String>,
    looked: &mut usize,
) -> Result<(), String> {
    *looked += 1;
    if *looked > MAX_VIEWS_LOOK {
        return Err(format!("more than {MAX_VIEWS_LOOK} values are alive where a tensor is changed in place"));
    }
    match value {
        Value::Tensor(t) if t.shares_storage_with(old) => *t = view(t)?,
        Value::Complex(parts) => {
            let moved = |t: &Tensor| if t.shares_storage_with(old) { view(t) } else { Ok(t.clone()) };
            *value = Value::Complex(Arc::new((moved(&parts.0)?, moved(&parts.1)?)));
        }
        Value::Tuple(tuple) => {
            // Depth is bounded by `MAX_DEPTH`, the number of visits by `looked`.
            let mut items = tuple.items.clone();
            for item in &mut items {
                move_views(item, old, view, looked)?;
            }
            *value = Value::tuple(items)?;
        }
        // Those that hold what a run may change are the run's own; the others are left alone.
        Value::List(list) if list.is_frozen() => {}
        Value::Dict(dict) if dict.is_frozen() => {}
        Value::List(list) => {
            for item in list.items().iter_mut() {
                move_views(item, old, view, looked)?;
            }
        }
        Value::Dict(dict) => {
            for item in dict.items().values_mut() {
                move_views(item, old, view, looked)?;
            }
        }
        _ => {}
    }
    Ok(())
}
