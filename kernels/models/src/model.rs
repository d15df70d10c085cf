//! A model: loaded once, run from anywhere.

use std::path::Path;
use std::sync::Arc;

use stark_kernels::{DType, Tensor};

use crate::error::ModelError;
use crate::exec;
use crate::graph::Graph;
use crate::mapped::FileBytes;
use crate::pickle::{Node, Pickle};
use crate::safetensors::SafeTensors;
use crate::signature::{infer_inputs, infer_outputs};
use crate::torchscript::{self, ast};
use crate::value::Value;
use crate::zip::Archive;

/// How many tensors a model may give.
pub const MAX_OUTPUTS: usize = 10_000;

/// A loaded model. Immutable, cheap to clone, `Send` and `Sync`.
#[derive(Clone)]
pub struct Model(Arc<Loaded>);

struct Loaded {
    file: Arc<str>,
    graph: Graph,
    inputs: Vec<Input>,
    outputs: Vec<Signature>,
    parameters: Vec<Parameter>,
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

struct Input {
    signature: Signature,
    kind: InputKind,
    default: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputKind {
    Tensor,
    Int,
    Float,
    Bool,
    /// A tuple, list or dict: only `predict_values` gives one.
    Other,
}

impl Model {
    /// Loads a TorchScript `.pt` file; other formats get an error that says what they are.
    ///
    /// A file of 64 MiB or more is memory-mapped while it loads, so it must not be truncated meanwhile;
    /// afterwards the model does not need it.
    pub fn load(path: impl AsRef<Path>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let file: Arc<str> = path.display().to_string().into();
        let bytes = FileBytes::open(path).map_err(|e| ModelError::Io { file: file.clone(), reason: e.to_string() })?;
        Model::from_file_bytes(bytes, file)
    }

    /// As [`Model::load`], from the bytes of the file; `name` is for errors.
    pub fn load_bytes(bytes: impl Into<FileBytes>, name: &str) -> Result<Model, ModelError> {
        Model::from_file_bytes(bytes.into(), name.into())
    }

    fn from_file_bytes(bytes: FileBytes, file: Arc<str>) -> Result<Model, ModelError> {
        if !bytes.starts_with(b"PK") {
            return Err(what_it_is(&bytes, file));
        }
        let archive = Archive::open(&file, bytes)?;
        if let Some(error) = not_torchscript(&archive) {
            return Err(error);
        }
        let loaded = torchscript::load(archive)?;
        let graph = loaded.compiled.graph;
        let mut inputs: Vec<Input> = loaded.compiled.params.iter().map(input).collect();
        let mut outputs = outputs(loaded.compiled.result.as_ref(), loaded.compiled.result_keys);
        infer_inputs(&graph, &mut inputs.iter_mut().map(|input| &mut input.signature).collect::<Vec<_>>());
        infer_outputs(&graph, &mut outputs);
        Ok(Model(Arc::new(Loaded { file, graph, inputs, outputs, parameters: loaded.parameters })))
    }

    /// The file this was loaded from.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The inputs in the order of `predict`.
    pub fn inputs(&self) -> Vec<Signature> {
        self.0.inputs.iter().map(|input| input.signature.clone()).collect()
    }

    /// The outputs in the order of `predict`; of a dict in the order of its keys in the code.
    pub fn outputs(&self) -> &[Signature] {
        &self.0.outputs
    }

    /// The model's tensors: parameters, buffers and constants.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.parameters
    }

    /// Numbers in the trained parameters. A tensor that has two names counts once.
    pub fn n_parameters(&self) -> usize {
        self.0.parameters.iter().filter(|p| p.is_trained).map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// The graph that runs.
    pub fn graph(&self) -> &Graph {
        &self.0.graph
    }

    /// Runs the model on `inputs`, in the order of [`Model::inputs`].
    ///
    /// Inputs named `attention_mask`, `token_type_ids` and `position_ids` that are not given are ones, zeros
    /// and positions in the shape of the first input. Outputs come flat, in the order of [`Model::outputs`].
    pub fn predict(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ModelError> {
        if inputs.len() > self.0.inputs.len() {
            let reason = format!("the model takes {} inputs, {} are given", self.0.inputs.len(), inputs.len());
            return Err(ModelError::Input { file: self.0.file.clone(), input: "*".into(), reason });
        }
        let mut given: Vec<Option<Value>> = inputs.iter().cloned().map(|t| Some(Value::Tensor(t))).collect();
        given.resize_with(self.0.inputs.len(), || None);
        self.flatten(self.run(given, exec::DEFAULT_STEP_BUDGET)?)
    }

    /// As [`Model::predict`], with inputs by name in any order.
    pub fn predict_named(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<Tensor>, ModelError> {
        let mut given: Vec<Option<Value>> = vec![None; self.0.inputs.len()];
        for (name, tensor) in inputs {
            let at = self.0.inputs.iter().position(|input| input.signature.name == *name);
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

    /// As [`Model::predict`], for models that take or give tuples, lists or dicts.
    pub fn predict_values(&self, inputs: Vec<Value>) -> Result<Value, ModelError> {
        self.predict_within(inputs, exec::DEFAULT_STEP_BUDGET)
    }

    /// As [`Model::predict_values`], with at most `step_budget` instructions inside loops.
    pub fn predict_within(&self, inputs: Vec<Value>, step_budget: u64) -> Result<Value, ModelError> {
        if inputs.len() > self.0.inputs.len() {
            let reason = format!("the model takes {} inputs, {} are given", self.0.inputs.len(), inputs.len());
            return Err(ModelError::Input { file: self.0.file.clone(), input: "*".into(), reason });
        }
        let mut given: Vec<Option<Value>> = inputs.into_iter().map(Some).collect();
        given.resize_with(self.0.inputs.len(), || None);
        self.run(given, step_budget)
    }

    fn run(&self, given: Vec<Option<Value>>, step_budget: u64) -> Result<Value, ModelError> {
        let first = given.iter().flatten().find_map(|value| match value {
            Value::Tensor(t) => Some(t.clone()),
            _ => None,
        });
        let mut values = Vec::with_capacity(given.len());
        for (input, value) in self.0.inputs.iter().zip(given) {
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
                        Some(filled) => Value::Tensor(filled.map_err(|e| fail(e.to_string()))?),
                        None => return Err(fail("is not given".into())),
                    },
                    (None, None) => return Err(fail("is not given".into())),
                },
            });
        }
        exec::run(&self.0.file, &self.0.graph, values, step_budget)
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

fn input(param: &ast::Param) -> Input {
    let ty = param.ty.as_ref();
    let inner = match ty {
        Some(ty) if ty.name == "Optional" => ty.args.first(),
        ty => ty,
    };
    let kind = match inner.map(|ty| ty.name.as_str()) {
        None | Some("Tensor") => InputKind::Tensor,
        Some("int") => InputKind::Int,
        Some("float") => InputKind::Float,
        Some("bool") => InputKind::Bool,
        Some(_) => InputKind::Other,
    };
    let default = match &param.default {
        Some(ast::Expr::Int(i)) => Some(Value::Int(*i)),
        Some(ast::Expr::Float(f)) => Some(Value::Float(*f)),
        Some(ast::Expr::Str(text)) => Some(Value::str(text.as_str())),
        Some(ast::Expr::Name(name)) => match name.as_str() {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    Input { signature: Signature { name: param.name.clone(), dtype: None, dims: None }, kind, default }
}

fn outputs(result: Option<&ast::Type>, keys: Option<Vec<String>>) -> Vec<Signature> {
    let named = |name: String| Signature { name, dtype: None, dims: None };
    match (result.map(|ty| (ty.name.as_str(), ty.args.len())), keys) {
        (Some(("Dict", _)), Some(keys)) => keys.into_iter().map(named).collect(),
        (Some(("Tuple", n)), _) => (0..n).map(|i| named(format!("output_{i}"))).collect(),
        _ => vec![named("output".into())],
    }
}

/// A zip that is no TorchScript archive: what it is, and what to do.
fn not_torchscript(archive: &Archive) -> Option<ModelError> {
    let file = archive.file().clone();
    let has = |end: &str| archive.entries().iter().any(|e| e.name == end || e.name.ends_with(&format!("/{end}")));
    let has_dir = |dir: &str| archive.entries().iter().any(|e| e.name.contains(dir));
    if has("archive_format") || has_dir("/models/") && has_dir(".json") {
        let reason = "this is a torch.export program (.pt2), which cannot be imported yet; \
                      export the model with torch.jit.trace(module, example).save(path)";
        return Some(ModelError::NotAModel { file, reason: reason.into() });
    }
    if has_dir("/code/") || archive.entries().iter().any(|e| e.name.starts_with("code/")) {
        return None;
    }
    let Some(data) = archive.entries().iter().find(|e| e.name == "data.pkl" || e.name.ends_with("/data.pkl")) else {
        let reason = "this is a zip file without data.pkl or code, so no PyTorch model";
        return Some(ModelError::NotAModel { file, reason: reason.into() });
    };
    let bytes = match archive.read(&data.name) {
        Ok(bytes) => bytes,
        Err(error) => return Some(error),
    };
    let export = "export the module with torch.jit.trace(module, example).save(path)";
    let reason = match Pickle::parse(&bytes) {
        Ok(pickle) if matches!(pickle.node(pickle.root()), Node::Dict(_)) => {
            format!(
                "this is a bare state dict: weights without the code that uses them; load it in Python, then {export}"
            )
        }
        Ok(_) => format!("this is a PyTorch pickle without code; load it in Python, then {export}"),
        Err(error) => match error.unknown_global {
            Some(name) if name.starts_with("torch.nn.") || !name.starts_with("torch") => {
                format!(
                    "this is a pickled nn.Module (it names `{name}`), which only Python can run; in Python, {export}"
                )
            }
            _ => {
                let entry = data.name.as_str().into();
                return Some(ModelError::Pickle { file, entry, offset: error.offset, reason: error.reason });
            }
        },
    };
    Some(ModelError::NotAModel { file, reason })
}

/// A file that is no zip: what it is, and what to do.
fn what_it_is(bytes: &[u8], file: Arc<str>) -> ModelError {
    let trace = "export the model with torch.jit.trace(module, example).save(path)";
    let looks_like_json = bytes.len() > 8 && bytes[8..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let reason = if bytes.is_empty() {
        "the file is empty".to_string()
    } else if bytes.starts_with(&[0x80, 2, 0x8a, 10]) {
        format!("this was written by torch.save of PyTorch before 1.6, which only Python can read; {trace}")
    } else if bytes.starts_with(&[0x80]) && bytes.len() > 1 && bytes[1] <= 5 {
        format!("this is a Python pickle, not a model; {trace}")
    } else if looks_like_json || (bytes.len() >= 8 && bytes[7] == 0 && bytes[6] == 0 && bytes[5] == 0) {
        match SafeTensors::parse(bytes, &file) {
            Ok(tensors) => format!(
                "this is a safetensors file: {} tensors without the code that uses them; {trace}",
                tensors.entries.len()
            ),
            Err(error) => return error,
        }
    } else if looks_like_onnx(bytes) {
        format!("this is an ONNX model, which cannot be imported yet; {trace}")
    } else if bytes.starts_with(&[0x89, b'H', b'D', b'F']) {
        format!("this is an HDF5 file, not a PyTorch model; {trace}")
    } else {
        "this is no model file: neither TorchScript nor anything else that is known".to_string()
    };
    ModelError::NotAModel { file, reason }
}

/// A ModelProto starts with its `ir_version`, or another of its first fields.
fn looks_like_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, version, ..] if *version < 0x80) || matches!(bytes, [0x3a | 0x42 | 0x12, ..])
}
