//! A model: loaded once, run from anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use stark_kernels::accelerator::Accelerator;
use stark_kernels::cpu::arena::MemoryPlan;
use stark_kernels::{DType, Tensor};

use crate::error::ModelError;
use crate::exec::{self, Observer, Stop};
use crate::graph::{Graph, Kind};
use crate::input_type::InputType;
use crate::memory::Plans;
use crate::place::{fetch, place_input};
use crate::structure::{Argument, Structure};
use crate::value::Value;

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
    /// How callers pass the inputs, which are those of the graph.
    pub arguments: Vec<Argument>,
    pub inputs: Vec<Input>,
    /// Tensor by tensor.
    pub outputs: Vec<Signature>,
    /// The items of the result, where some of them hold several tensors.
    pub results: Vec<Signature>,
    pub parameters: Vec<Parameter>,
    /// Named dimensions of the inputs that must be the same wherever they occur.
    pub symbols: Vec<Symbol>,
    /// Of a TorchScript module: what it can be loaded with.
    pub methods: Vec<String>,
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

/// What an input is besides its signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// What it takes, as TorchScript writes it, when that is no tensor.
    pub other: Option<String>,
    /// Whether something is put in its place when it is not given.
    pub may_be_left_out: bool,
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
    takes: InputType,
    default: Option<Value>,
    /// Whether the signature is stated by the file, so that what does not fit is refused before the run.
    is_checked: bool,
    /// The named dimensions: axis, and index into [`Imported::symbols`].
    pub symbols: Vec<(usize, usize)>,
}

impl Input {
    /// An input whose signature is only inferred.
    pub fn open(signature: Signature, takes: InputType, default: Option<Value>) -> Input {
        Input { signature, takes, default, is_checked: false, symbols: Vec::new() }
    }

    /// Tensors whose signature the file states: that of each that is in what it takes.
    pub fn checked(signature: Signature, takes: InputType) -> Input {
        Input { signature, takes, default: None, is_checked: true, symbols: Vec::new() }
    }

    pub fn with_default(self, default: Option<Value>) -> Input {
        Input { default, ..self }
    }

    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// Holds a tensor against the signature. `sizes` are those of the symbols so far, with the input that had them.
    fn check<'s>(
        &'s self,
        tensor: &Tensor,
        symbols: &[Symbol],
        sizes: &mut [Option<(usize, &'s str)>],
    ) -> Result<(), String> {
        let Signature { name, dtype, dims } = &self.signature;
        if let Some(dtype) = dtype.filter(|&dtype| dtype != tensor.dtype()) {
            return Err(format!("is of {} elements, the model takes {dtype}", tensor.dtype()));
        }
        let Some(dims) = dims else { return Ok(()) };
        let fits = dims.len() == tensor.rank()
            && dims.iter().zip(tensor.shape()).all(|(dim, n)| dim.is_none_or(|dim| dim == *n));
        if !fits {
            return Err(format!("has shape {:?}, the model takes {}", tensor.shape(), show_dims(dims)));
        }
        for &(axis, symbol) in &self.symbols {
            let (n, rule) = (tensor.shape()[axis], &symbols[symbol]);
            if n < rule.min || n > rule.max {
                let (min, max) = (rule.min, rule.max);
                return Err(format!("has size {n} along axis {axis}, the model takes {min} to {max}"));
            }
            match sizes[symbol] {
                Some((before, other)) if before != n => {
                    let what = &rule.name;
                    return Err(format!("has size {n} along axis {axis} ({what}), but `{other}` has {before}"));
                }
                _ => sizes[symbol] = Some((n, name)),
            }
        }
        Ok(())
    }
}

/// A dimension by name, with the sizes it may have.
#[derive(Debug)]
pub(crate) struct Symbol {
    pub name: String,
    pub min: usize,
    pub max: usize,
}

impl Model {
    pub(crate) fn new(file: Arc<str>, imported: Imported, accelerator: Option<Arc<dyn Accelerator>>) -> Model {
        let mut has_loops = false;
        imported.graph.each_instr(&mut |instr| has_loops |= matches!(instr.kind, Kind::While { .. } | Kind::For(_)));
        let (plans, last_run) = Default::default();
        Model(Arc::new(Loaded { imported, file, accelerator, plans, has_loops, last_run }))
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

    /// The inputs of the graph one by one, in the order of `predict`; `pair.0` and `table.key` are parts of what callers pass as one.
    pub fn inputs(&self) -> Vec<Signature> {
        self.0.imported.inputs.iter().map(|input| input.signature.clone()).collect()
    }

    /// What callers pass: the name, and what it is made of when that is no single input of the graph.
    pub fn arguments(&self) -> Vec<(String, Option<String>)> {
        let mut inputs = self.0.imported.inputs.iter().map(|input| input.takes.to_string());
        let all = self.0.imported.arguments.iter();
        all.map(|argument| {
            (argument.name.clone(), Some(argument.form.show(&mut inputs)).filter(|_| !argument.form.is_leaf()))
        })
        .collect()
    }

    /// What callers pass, where it is one tensor with what is known of that.
    pub(crate) fn passed(&self) -> Vec<Signature> {
        let mut inputs = self.0.imported.inputs.iter();
        let passed = |argument: &Argument| {
            let first = inputs.by_ref().take(argument.n_inputs()).collect::<Vec<_>>();
            match (&argument.form, &first[..]) {
                (Structure::Leaf(_), [input]) if input.takes == InputType::Tensor => input.signature.clone(),
                _ => Signature { name: argument.name.clone(), dtype: None, dims: None },
            }
        };
        self.0.imported.arguments.iter().map(passed).collect()
    }

    /// So many of the last inputs have a default in the file.
    pub(crate) fn n_defaults(&self) -> usize {
        self.0.imported.inputs.iter().rev().take_while(|input| input.default.is_some()).count()
    }

    /// The items of the result.
    pub(crate) fn results(&self) -> &[Signature] {
        let imported = &self.0.imported;
        if imported.results.is_empty() { &imported.outputs } else { &imported.results }
    }

    /// What the inputs are besides, in the same order.
    pub fn declared(&self) -> Vec<Declared> {
        let declared = |input: &Input| Declared {
            other: (input.takes != InputType::Tensor).then(|| input.takes.to_string()),
            may_be_left_out: input.default.is_some() || is_filled_in(&input.signature.name),
        };
        self.0.imported.inputs.iter().map(declared).collect()
    }

    /// The methods that a TorchScript module can be loaded with; of other formats none.
    pub fn methods(&self) -> &[String] {
        &self.0.imported.methods
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
        self.flatten(&self.run(self.one_by_one(inputs)?, exec::DEFAULT_STEP_BUDGET)?)
    }

    /// As [`Model::predict_values`] of places ([`Model::given`], [`Model::given_by_name`]), without waiting: what a device computes may
    /// not be done yet, and is still there. [`Model::fetch`] brings it. Between its operators it asks `stop`, and ends with
    /// [`ModelError::Stopped`] when that says so.
    pub fn predict_queued(&self, given: Vec<Option<Value>>, stop: &Stop<'_>) -> Result<Value, ModelError> {
        let begun = Instant::now();
        let output = self.queue(given, exec::DEFAULT_STEP_BUDGET, None, Some(stop));
        let took = begun.elapsed().as_nanos() as u64;
        match &output {
            Ok(_) => self.0.last_run.store(took, Relaxed),
            // To its end it would have taken longer.
            Err(_) => _ = self.0.last_run.fetch_max(took, Relaxed),
        }
        output
    }

    /// How long the last [`Model::predict_queued`] held its thread. One that did not come to its end counts when it took longer.
    pub fn last_run(&self) -> Duration {
        Duration::from_nanos(self.0.last_run.load(Relaxed))
    }

    /// What brings a result of [`Model::predict_queued`]. Of a model of the processor it stays where its operands were.
    ///
    /// # Errors
    /// When the device has failed at it.
    pub fn fetch(&self, output: Value) -> Result<Value, ModelError> {
        if self.0.accelerator.is_none() {
            return Ok(output);
        }
        fetch(output).map_err(|reason| ModelError::Device { file: self.0.file.clone(), reason })
    }

    /// Whether a tuple that is given alone is the model's one input, and not all its inputs.
    pub fn takes_a_tuple(&self) -> bool {
        match &self.0.imported.arguments[..] {
            [argument] => match argument.form {
                Structure::Leaf(_) => matches!(&self.0.imported.inputs[..], [input] if input.takes.is_tuple()),
                Structure::Tuple(_) => true,
                Structure::List(_) | Structure::Dict(_) => false,
            },
            _ => false,
        }
    }

    /// A place for each input of the graph, `None` for those that are left out. Of a model that takes tuples, lists or dicts as well all
    /// that they hold, one by one: so a file of tensors, or a tuple of them, is all inputs.
    ///
    /// # Errors
    /// More than the model takes, or an argument of another form.
    pub fn given(&self, inputs: Vec<Value>) -> Result<Vec<Option<Value>>, ModelError> {
        let imported = &self.0.imported;
        let (n_given, n_arguments, n) = (inputs.len(), imported.arguments.len(), imported.inputs.len());
        if n_given > n_arguments && n_given == n {
            return Ok(inputs.into_iter().map(Some).collect());
        }
        if n_given > n_arguments {
            return Err(self.too_many(n_given));
        }
        let mut given = inputs.into_iter().map(Some).collect::<Vec<_>>();
        given.resize_with(n_arguments, || None);
        self.taken_apart(given)
    }

    /// A place for each input of the graph, the first of which are these.
    fn one_by_one(&self, inputs: &[Tensor]) -> Result<Vec<Option<Value>>, ModelError> {
        let n = self.0.imported.inputs.len();
        if inputs.len() > n {
            return Err(self.too_many(inputs.len()));
        }
        let mut given: Vec<Option<Value>> = inputs.iter().cloned().map(|tensor| Some(Value::Tensor(tensor))).collect();
        given.resize_with(n, || None);
        Ok(given)
    }

    fn too_many(&self, n_given: usize) -> ModelError {
        let (n_arguments, n) = (self.0.imported.arguments.len(), self.0.imported.inputs.len());
        let flat = if n > n_arguments { format!(" (or {n} tensors one by one)") } else { String::new() };
        self.input_error("*", format!("the model takes {n_arguments} inputs{flat}, {n_given} are given"))
    }

    /// The inputs of the graph that are in the arguments.
    fn taken_apart(&self, given: Vec<Option<Value>>) -> Result<Vec<Option<Value>>, ModelError> {
        let mut apart = Vec::with_capacity(self.0.imported.inputs.len());
        for (argument, value) in self.0.imported.arguments.iter().zip(given) {
            match value {
                Some(value) => {
                    let taken = argument.form.take_apart(value, &mut apart);
                    taken.map_err(|reason| self.input_error(&argument.name, reason))?;
                }
                None => apart.resize_with(apart.len() + argument.n_inputs(), || None),
            }
        }
        Ok(apart)
    }

    /// As [`Model::given`]: those with a name in its place, the others in the places that are left, from the first on.
    ///
    /// # Errors
    /// A name that the model does not have, an input that is given twice, or more than the model takes.
    pub fn given_by_name(&self, inputs: Vec<(&str, Value)>) -> Result<Vec<Option<Value>>, ModelError> {
        let known = &self.0.imported.arguments;
        let n = inputs.len();
        let (named, plain): (Vec<_>, Vec<_>) = inputs.into_iter().partition(|(name, _)| !name.is_empty());
        let mut given: Vec<Option<Value>> = vec![None; known.len()];
        for (name, value) in named {
            match known.iter().position(|argument| argument.name == name) {
                Some(at) if given[at].is_none() => given[at] = Some(value),
                Some(_) => return Err(self.input_error(name, "is given twice".into())),
                None => {
                    let names: Vec<&str> = known.iter().map(|argument| &*argument.name).collect();
                    let is_weight = self.parameters().iter().any(|parameter| parameter.name == name);
                    let what = if is_weight {
                        "this is a weight of the model, no input"
                    } else {
                        "the model has no such input"
                    };
                    let reason = format!("{what}; it takes {}", names.join(", "));
                    return Err(self.input_error(name, reason));
                }
            }
        }
        if n > known.len() {
            return Err(self.too_many(n));
        }
        let left = given.iter_mut().filter(|place| place.is_none());
        left.zip(plain).for_each(|(place, (_, value))| *place = Some(value));
        self.taken_apart(given)
    }

    fn input_error(&self, input: &str, reason: String) -> ModelError {
        ModelError::Input { file: self.0.file.clone(), input: input.into(), reason }
    }

    /// As [`Model::predict`], with inputs by name in any order.
    pub fn predict_named(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<Tensor>, ModelError> {
        let inputs = inputs.iter().map(|(name, tensor)| (*name, Value::Tensor(tensor.clone()))).collect();
        self.flatten(&self.run(self.given_by_name(inputs)?, exec::DEFAULT_STEP_BUDGET)?)
    }

    /// As [`Model::predict`], for models that take tuples, lists, dicts or numbers.
    pub fn predict_flat(&self, inputs: Vec<Value>) -> Result<Vec<Tensor>, ModelError> {
        self.flatten(&self.predict_values(inputs)?)
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
        self.flatten(&self.run_observed(self.one_by_one(inputs)?, exec::DEFAULT_STEP_BUDGET, Some(observer))?)
    }

    /// Where the buffers of a run on `inputs` lie in one block of memory, once the model ran on such shapes.
    pub fn memory_plan(&self, inputs: &[Tensor]) -> Option<Arc<MemoryPlan>> {
        self.0.plans.of(&self.complete(self.one_by_one(inputs).ok()?).ok()?)
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
        self.fetch(value)
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
            let fail = |reason: String| self.input_error(&input.signature.name, reason);
            // A mask that is `None` is one that is left out.
            let is_left_out = input.takes == InputType::Tensor && is_filled_in(&input.signature.name);
            values.push(match value.filter(|value| !(is_left_out && value.is_none())) {
                Some(value) => {
                    input.takes.fit(value, input.signature.dtype.filter(|_| input.is_checked)).map_err(fail)?
                }
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
            let checked = match value {
                Value::Tensor(tensor) => input.check(tensor, symbols, &mut sizes),
                several => several.tensors().iter().enumerate().try_for_each(|(i, tensor)| {
                    input.check(tensor, symbols, &mut sizes).map_err(|why| format!("[{i}] {why}"))
                }),
            };
            checked.map_err(|reason| self.input_error(name, reason))?;
        }
        Ok(())
    }

    /// The tensors of a result, in the order of [`Model::outputs`]; a number is one of no axes, and what is `None` is left out.
    ///
    /// # Errors
    /// A result that has something else inside, or too many of them.
    pub fn flatten(&self, value: &Value) -> Result<Vec<Tensor>, ModelError> {
        let mut out = Vec::new();
        collect(value, &mut out).map_err(|reason| ModelError::Output { file: self.0.file.clone(), reason })?;
        Ok(out)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {} parameters)", self.0.file, self.n_parameters())
    }
}

/// Dimensions as a signature shows them, `_` for what may vary.
fn show_dims(dims: &[Option<usize>]) -> String {
    let shown: Vec<String> = dims.iter().map(|dim| dim.map_or("_".into(), |n| n.to_string())).collect();
    format!("[{}]", shown.join(", "))
}

fn is_filled_in(name: &str) -> bool {
    stark_shapes::FILLED_IN.contains(&name)
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
