//! A model: loaded once, run from anywhere.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use stark_kernels::accelerator::Accelerator;
use stark_kernels::cpu::arena::MemoryPlan;
use stark_kernels::cpu::buffer;
use stark_kernels::{DType, Tensor, TensorError};

use crate::error::ModelError;
use crate::exec::{Observer, Stop};
use crate::format::Beside;
use crate::graph::{Graph, Kind};
use crate::mapped::FileBytes;
use crate::memory::Plans;
use crate::opt::{self, Pass, optimise};
use crate::place::{fetch, keep_constants, place_constants, place_input};
use crate::value::Value;
use crate::zip::test_seals;
use crate::{exec, format};

/// How many tensors a model may give.
pub const MAX_OUTPUTS: usize = 10_000;

/// A loaded model. Immutable, cheap to clone, `Send` and `Sync`.
#[derive(Clone)]
pub struct Model(Arc<Loaded>);

struct Loaded {
    file: Arc<str>,
    imported: Imported,
    /// What it runs on beside the processor.
    accelerator: Option<Arc<dyn Accelerator>>,
    plans: Plans,
    has_loops: bool,
    /// Of the last run that was queued, in nanoseconds.
    last_run: AtomicU64,
}

/// What an importer makes of a file.
#[derive(Debug)]
pub(crate) struct Imported {
    pub graph: Graph,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Signature>,
    pub parameters: Vec<Parameter>,
    /// Named dimensions of the inputs that must be the same wherever they occur.
    pub symbols: Vec<Symbol>,
}

/// What is known about one input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    pub name: String,
    /// `None` when the file does not say.
    pub dtype: Option<DType>,
    /// `None` when not even the rank is known; a dimension is `None` when it may vary.
    pub dims: Option<Vec<Option<usize>>>,
}

/// A tensor of the model's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its path in the module tree, for example `fc1.weight`; `CONSTANTS.c0` after `torch.jit.freeze`.
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: String,
    /// Whether it is trained, as opposed to a buffer or constant.
    pub is_trained: bool,
}

#[derive(Debug)]
pub(crate) struct Input {
    pub signature: Signature,
    kind: InputKind,
    default: Option<Value>,
    /// Whether the signature is stated by the file, so that what does not fit is refused before the run.
    is_checked: bool,
    /// The named dimensions: axis, and index into [`Imported::symbols`].
    pub symbols: Vec<(usize, usize)>,
}

impl Input {
    /// An input whose signature is only inferred.
    pub fn open(signature: Signature, kind: InputKind, default: Option<Value>) -> Input {
        Input { signature, kind, default, is_checked: false, symbols: Vec::new() }
    }

    /// A tensor whose signature the file states.
    pub fn checked(signature: Signature) -> Input {
        Input { signature, kind: InputKind::Tensor, default: None, is_checked: true, symbols: Vec::new() }
    }
}

/// A dimension by name, with the sizes it may have.
#[derive(Debug)]
pub(crate) struct Symbol {
    pub name: String,
    pub min: usize,
    pub max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputKind {
    Tensor,
    Int,
    Float,
    Bool,
    /// A tuple, list or dict: only `predict_values` gives one.
    Other,
}

impl Model {
    /// Loads a TorchScript, `torch.export` or ONNX file, told apart by content; other formats get an error that
    /// says what they are.
    ///
    /// A file of 16 MiB or more ([`crate::MAP_FROM`]) is memory-mapped while it loads, so it must not be truncated meanwhile;
    /// afterwards the model does not need it.
    pub fn load(path: impl AsRef<Path>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let file: Arc<str> = path.display().to_string().into();
        let bytes = FileBytes::open(path).map_err(|e| ModelError::Io { file: file.clone(), reason: e.to_string() })?;
        Model::optimised(bytes, file, Beside::file(path), &Pass::ALL, None)
    }

    /// As [`Model::load`], from the bytes of the file; `name` is for errors.
    pub fn load_bytes(bytes: impl Into<FileBytes>, name: &str) -> Result<Model, ModelError> {
        Model::load_bytes_with(bytes, name, &Pass::ALL)
    }

    /// As [`Model::load_bytes`], with these passes of the optimiser alone.
    pub fn load_bytes_with(bytes: impl Into<FileBytes>, name: &str, passes: &[Pass]) -> Result<Model, ModelError> {
        Model::optimised(bytes.into(), name.into(), Beside::Nothing, passes, None)
    }

    /// As [`Model::load_bytes`]; `find` gives the files that a model keeps beside it, by their paths from its folder.
    /// With an accelerator as [`Model::load_on`].
    pub fn load_with_files(
        bytes: impl Into<FileBytes>,
        name: &str,
        find: &(dyn Fn(&str) -> Result<FileBytes, String> + Sync),
        accelerator: Option<Arc<dyn Accelerator>>,
    ) -> Result<Model, ModelError> {
        Model::optimised(bytes.into(), name.into(), Beside::Lookup(find), &Pass::ALL, accelerator)
    }

    /// As [`Model::load`], with these passes of the optimiser alone.
    pub fn load_with(path: impl AsRef<Path>, passes: &[Pass]) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let file: Arc<str> = path.display().to_string().into();
        let bytes = FileBytes::open(path).map_err(|e| ModelError::Io { file: file.clone(), reason: e.to_string() })?;
        Model::optimised(bytes, file, Beside::file(path), passes, None)
    }

    /// As [`Model::load`], to run on `accelerator`. What it has no kernel for the processor computes; the
    /// accelerator's statistics tell which operations those were.
    pub fn load_on(path: impl AsRef<Path>, accelerator: Arc<dyn Accelerator>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let file: Arc<str> = path.display().to_string().into();
        let bytes = FileBytes::open(path).map_err(|e| ModelError::Io { file: file.clone(), reason: e.to_string() })?;
        Model::optimised(bytes, file, Beside::file(path), &Pass::ALL, Some(accelerator))
    }

    fn optimised(
        bytes: FileBytes,
        file: Arc<str>,
        beside: Beside<'_>,
        passes: &[Pass],
        accelerator: Option<Arc<dyn Accelerator>>,
    ) -> Result<Model, ModelError> {
        // The layout of packed filters is the processor's.
        let is_its = |pass: &Pass| accelerator.is_none() || *pass != Pass::Filter;
        // Weights as the file has them go when they are packed, once.
        let imported = buffer::without_keeping(|| {
            let mut imported = format::import(&file, bytes.clone(), beside)?;
            opt::own(&mut imported.graph);
            optimise(&mut imported.graph, &passes.iter().copied().filter(is_its).collect::<Vec<_>>());
            if let Some(accelerator) = &accelerator {
                let placed = place_constants(&mut imported.graph, accelerator);
                placed.map_err(|e| ModelError::Device { file: file.clone(), reason: e.to_string() })?;
            }
            let kept = keep_constants(&mut imported.graph);
            kept.map_err(|e| ModelError::Archive { file: file.clone(), entry: None, reason: e.to_string() })?;
            // By now most of the weights were read.
            test_seals(&file, &bytes)?;
            Ok(imported)
        })?;
        let mut has_loops = false;
        imported.graph.each_instr(&mut |instr| has_loops |= matches!(instr.kind, Kind::While { .. } | Kind::For(_)));
        let (plans, last_run) = Default::default();
        Ok(Model(Arc::new(Loaded { imported, file, accelerator, plans, has_loops, last_run })))
    }

    /// What the model runs on beside the processor.
    pub fn accelerator(&self) -> Option<&Arc<dyn Accelerator>> {
        self.0.accelerator.as_ref()
    }

    /// The file this was loaded from.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// Whether the file itself states the dtype and shape of every input (ONNX and `.pt2` do, TorchScript does not).
    pub(crate) fn states_inputs(&self) -> bool {
        self.0.imported.inputs.iter().all(|input| input.is_checked)
    }

    /// The inputs in the order of `predict`.
    pub fn inputs(&self) -> Vec<Signature> {
        self.0.imported.inputs.iter().map(|input| input.signature.clone()).collect()
    }

    /// The outputs in the order of `predict`; of a dict in the order of its keys in the code.
    pub fn outputs(&self) -> &[Signature] {
        &self.0.imported.outputs
    }

    /// The model's tensors: parameters, buffers and constants.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.imported.parameters
    }

    /// Numbers in the trained parameters. A tensor that has two names counts once.
    pub fn n_parameters(&self) -> usize {
        self.0.imported.parameters.iter().filter(|p| p.is_trained).map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// Whether how long it runs follows from more than the sizes of its inputs.
    pub fn has_loops(&self) -> bool {
        self.0.has_loops
    }

    /// The graph that runs.
    pub fn graph(&self) -> &Graph {
        &self.0.imported.graph
    }

    /// Runs the model on `inputs`, in the order of [`Model::inputs`].
    ///
    /// Inputs named `attention_mask`, `token_type_ids` and `position_ids` that are not given are ones, zeros
    /// and positions in the shape of the first input. Outputs come flat, in the order of [`Model::outputs`].
    pub fn predict(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ModelError> {
        self.flatten(self.run(self.given(tensors(inputs))?, exec::DEFAULT_STEP_BUDGET)?)
    }

    /// As [`Model::predict`], without waiting: what a device computes may not be done yet, and is still there. [`Tensor::to_host`]
    /// brings it. Between its operators it asks `stop`, and ends with [`ModelError::Stopped`] when that says so.
    pub fn predict_queued(&self, inputs: &[Tensor], stop: &Stop<'_>) -> Result<Vec<Tensor>, ModelError> {
        let begun = Instant::now();
        let output = self.queue(self.given(tensors(inputs))?, exec::DEFAULT_STEP_BUDGET, None, Some(stop))?;
        self.0.last_run.store(begun.elapsed().as_nanos() as u64, Relaxed);
        self.flatten(output)
    }

    /// How long the last [`Model::predict_queued`] held its thread.
    pub fn last_run(&self) -> Duration {
        Duration::from_nanos(self.0.last_run.load(Relaxed))
    }

    /// What brings a result of [`Model::predict_queued`]. Of a model of the processor it stays where its operands were.
    ///
    /// # Errors
    /// When the device has failed at it.
    pub fn fetch(&self, output: Tensor) -> Result<Tensor, ModelError> {
        if self.0.accelerator.is_none() {
            return Ok(output);
        }
        let failed = |e: TensorError| ModelError::Device { file: self.0.file.clone(), reason: e.to_string() };
        output.to_host().map_err(failed)
    }

    /// A place for each input, `None` for those that are left out.
    fn given(&self, inputs: Vec<Value>) -> Result<Vec<Option<Value>>, ModelError> {
        if inputs.len() > self.0.imported.inputs.len() {
            let reason = format!("the model takes {} inputs, {} are given", self.0.imported.inputs.len(), inputs.len());
            return Err(ModelError::Input { file: self.0.file.clone(), input: "*".into(), reason });
        }
        let mut given: Vec<Option<Value>> = inputs.into_iter().map(Some).collect();
        given.resize_with(self.0.imported.inputs.len(), || None);
        Ok(given)
    }

    /// As [`Model::predict`], with inputs by name in any order.
    pub fn predict_named(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<Tensor>, ModelError> {
        let mut given: Vec<Option<Value>> = vec![None; self.0.imported.inputs.len()];
        for (name, tensor) in inputs {
            let at = self.0.imported.inputs.iter().position(|input| input.signature.name == *name);
            let slot = at.map(|at| &mut given[at]);
            match slot {
                Some(slot) if slot.is_none() => *slot = Some(Value::Tensor(tensor.clone())),
                slot => {
                    let reason = if slot.is_some() { "is given twice" } else { "the model has no such input" };
                    let (file, reason) = (self.0.file.clone(), reason.to_string());
                    return Err(ModelError::Input { file, input: name.to_string(), reason });
                }
            }
        }
        self.flatten(self.run(given, exec::DEFAULT_STEP_BUDGET)?)
    }

    /// As [`Model::predict`], for models that take tuples, lists, dicts or numbers.
    pub fn predict_flat(&self, inputs: Vec<Value>) -> Result<Vec<Tensor>, ModelError> {
        self.flatten(self.predict_values(inputs)?)
    }

    /// As [`Model::predict`], for models that take or give tuples, lists or dicts.
    pub fn predict_values(&self, inputs: Vec<Value>) -> Result<Value, ModelError> {
        self.predict_within(inputs, exec::DEFAULT_STEP_BUDGET)
    }

    /// As [`Model::predict_values`], with at most `step_budget` instructions inside loops.
    pub fn predict_within(&self, inputs: Vec<Value>, step_budget: u64) -> Result<Value, ModelError> {
        self.run(self.given(inputs)?, step_budget)
    }

    /// As [`Model::predict`], while `observer` sees each instruction that ran: what memory and time go to.
    pub fn predict_observed<'o>(
        &self,
        inputs: &[Tensor],
        observer: &'o mut Observer<'o>,
    ) -> Result<Vec<Tensor>, ModelError> {
        self.flatten(self.run_observed(self.given(tensors(inputs))?, exec::DEFAULT_STEP_BUDGET, Some(observer))?)
    }

    /// Where the buffers of a run on `inputs` lie in one block of memory, once the model ran on such shapes.
    pub fn memory_plan(&self, inputs: &[Tensor]) -> Option<Arc<MemoryPlan>> {
        self.0.plans.of(&self.complete(self.given(tensors(inputs)).ok()?).ok()?)
    }

    fn run(&self, given: Vec<Option<Value>>, step_budget: u64) -> Result<Value, ModelError> {
        self.run_observed(given, step_budget, None)
    }

    fn run_observed<'o>(
        &self,
        given: Vec<Option<Value>>,
        step_budget: u64,
        observer: Option<&'o mut Observer<'o>>,
    ) -> Result<Value, ModelError> {
        let value = self.queue(given, step_budget, observer, None)?;
        if self.0.accelerator.is_none() {
            return Ok(value);
        }
        fetch(value).map_err(|reason| ModelError::Device { file: self.0.file.clone(), reason })
    }

    fn queue<'o>(
        &self,
        given: Vec<Option<Value>>,
        step_budget: u64,
        observer: Option<&'o mut Observer<'o>>,
        stop: Option<&Stop<'_>>,
    ) -> Result<Value, ModelError> {
        let values = self.complete(given)?;
        self.check(&values)?;
        let (file, graph) = (&self.0.file, &self.0.imported.graph);
        let Some(accelerator) = &self.0.accelerator else {
            let run = |values| exec::run(file, graph, values, step_budget, false, observer, stop);
            return self.0.plans.run(values, run);
        };
        let failed = |reason: String| ModelError::Device { file: file.clone(), reason };
        let placed = values.into_iter().map(|value| place_input(value, accelerator)).collect::<Result<_, _>>();
        let values = placed.map_err(|e| failed(e.to_string()))?;
        exec::run(file, graph, values, step_budget, true, observer, stop)
    }

    /// The inputs as the graph takes them, those that were left out among them.
    fn complete(&self, given: Vec<Option<Value>>) -> Result<Vec<Value>, ModelError> {
        // For those alone that were left out.
        let first = given.iter().any(Option::is_none).then(|| {
            given.iter().flatten().find_map(|value| match value {
                Value::Tensor(t) => Some(t.clone()),
                _ => None,
            })
        });
        let first = first.flatten();
        let mut values = Vec::with_capacity(given.len());
        for (input, value) in self.0.imported.inputs.iter().zip(given) {
            let fail = |reason: String| ModelError::Input {
                file: self.0.file.clone(),
                input: input.signature.name.clone(),
                reason,
            };
            values.push(match value {
                Some(value) => convert(value, input.kind).map_err(fail)?,
                None => match (&input.default, &first) {
                    (Some(default), _) => default.clone(),
                    (None, Some(first)) => match fill(&input.signature.name, first) {
                        Some(filled) => {
                            let dtype = input.signature.dtype.filter(|_| input.is_checked).unwrap_or(DType::I64);
                            Value::Tensor(filled.and_then(|t| t.to(dtype)).map_err(|e| fail(e.to_string()))?)
                        }
                        None => return Err(fail("is not given".into())),
                    },
                    (None, None) => return Err(fail("is not given".into())),
                },
            });
        }
        Ok(values)
    }

    /// Holds the values against what the file states about its inputs.
    fn check(&self, values: &[Value]) -> Result<(), ModelError> {
        let symbols = &self.0.imported.symbols;
        let mut sizes: Vec<Option<(usize, &str)>> = vec![None; symbols.len()];
        for (input, value) in self.0.imported.inputs.iter().zip(values).filter(|(input, _)| input.is_checked) {
            let name = &input.signature.name;
            let fail = |reason| Err(ModelError::Input { file: self.0.file.clone(), input: name.clone(), reason });
            let Value::Tensor(tensor) = value else { return fail(format!("is {}, not a tensor", value.kind())) };
            if let Some(dtype) = input.signature.dtype.filter(|&dtype| dtype != tensor.dtype()) {
                return fail(format!("is of {} elements, the model takes {dtype}", tensor.dtype()));
            }
            let Some(dims) = &input.signature.dims else { continue };
            let fits = dims.len() == tensor.rank()
                && dims.iter().zip(tensor.shape()).all(|(dim, n)| dim.is_none_or(|dim| dim == *n));
            if !fits {
                return fail(format!("has shape {:?}, the model takes {}", tensor.shape(), show_dims(dims)));
            }
            for &(axis, symbol) in &input.symbols {
                let (n, rule) = (tensor.shape()[axis], &symbols[symbol]);
                if n < rule.min || n > rule.max {
                    let (min, max) = (rule.min, rule.max);
                    return fail(format!("has size {n} along axis {axis}, the model takes {min} to {max}"));
                }
                match sizes[symbol] {
                    Some((before, other)) if before != n => {
                        let what = &rule.name;
                        return fail(format!("has size {n} along axis {axis} ({what}), but `{other}` has {before}"));
                    }
                    _ => sizes[symbol] = Some((n, name)),
                }
            }
        }
        Ok(())
    }

    fn flatten(&self, value: Value) -> Result<Vec<Tensor>, ModelError> {
        let mut out = Vec::new();
        collect(&value, &mut out).map_err(|reason| ModelError::Output { file: self.0.file.clone(), reason })?;
        Ok(out)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {} parameters)", self.0.file, self.n_parameters())
    }
}

fn tensors(inputs: &[Tensor]) -> Vec<Value> {
    inputs.iter().cloned().map(Value::Tensor).collect()
}

/// Dimensions as a signature shows them, `_` for what may vary.
fn show_dims(dims: &[Option<usize>]) -> String {
    let shown: Vec<String> = dims.iter().map(|dim| dim.map_or("_".into(), |n| n.to_string())).collect();
    format!("[{}]", shown.join(", "))
}

/// What an input that was left out is by its name, in the shape of the first input.
fn fill(name: &str, first: &Tensor) -> Option<stark_kernels::Result<Tensor>> {
    match name {
        "attention_mask" => Some(Tensor::ones(first.shape(), DType::I64)),
        "token_type_ids" => Some(Tensor::zeros(first.shape(), DType::I64)),
        "position_ids" => {
            let n = first.shape().last().copied().unwrap_or(1);
            let positions: Vec<i64> = (0..n as i64).collect();
            Some(Tensor::from_vec(positions, &[n]).and_then(|row| row.expand(first.shape())))
        }
        _ => None,
    }
}

fn convert(value: Value, kind: InputKind) -> Result<Value, String> {
    let scalar = |value: &Value| value.scalar().ok_or_else(|| format!("is {}, not a number", value.kind()));
    Ok(match (kind, value) {
        (InputKind::Int, value) => Value::Int(scalar(&value)?.to_i64()),
        (InputKind::Float, value) => Value::Float(scalar(&value)?.to_f64()),
        (InputKind::Bool, value) => Value::Bool(scalar(&value)?.to_bool()),
        (InputKind::Tensor, Value::Tensor(t)) => Value::Tensor(t),
        (InputKind::Tensor, Value::None) => Value::None,
        (InputKind::Tensor, value) => match value.to_tensor() {
            Some(tensor) => Value::Tensor(tensor),
            None => return Err(format!("is {}, not a tensor", value.kind())),
        },
        (InputKind::Other, value) => value,
    })
}

fn collect(value: &Value, out: &mut Vec<Tensor>) -> Result<(), String> {
    if out.len() >= MAX_OUTPUTS {
        return Err(format!("the model gives more than {MAX_OUTPUTS} tensors"));
    }
    match value {
        Value::Tuple(tuple) => tuple.items.iter().try_for_each(|item| collect(item, out)),
        Value::List(list) => list.items().iter().try_for_each(|item| collect(item, out)),
        Value::Dict(dict) => dict.items().iter().try_for_each(|(_, item)| collect(item, out)),
        // An optional output that is absent; the others keep their order.
        Value::None => Ok(()),
        other => match other.to_tensor() {
            Some(tensor) => {
                out.push(tensor);
                Ok(())
            }
            None => Err(format!("the model gives {}, which is no tensor", other.kind())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a type may leave out is what is filled in here.
    #[test]
    fn every_input_that_may_be_left_out_is_filled_in() {
        let ids = Tensor::zeros(&[2, 3], DType::I64).unwrap();
        for name in stark_shapes::FILLED_IN {
            assert_eq!(fill(name, &ids).unwrap().unwrap().shape(), [2, 3], "{name}");
        }
    }
}
