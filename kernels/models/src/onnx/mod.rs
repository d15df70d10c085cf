//! ONNX: a protobuf of nodes, imported onto the operators of the TorchScript importer.
//!
//! Covered are the feed-forward and convolutional operators in `node` below, opset 11 to 23, weights inside the file. Every operator that is not covered is
//! listed in one error, before anything runs. Source: onnx.proto and the operator documents of the ONNX project.

mod proto;

use crate::error::{ModelError, Place, UnknownOperator};
use crate::graph::{At, Graph, Instr, Kind, Operand, Slot};
use crate::model::{Parameter, Signature};
use crate::ops;
use crate::value::Value;
use prost::Message;
use proto::{ModelProto, NodeProto, TensorProto, ValueInfo};
use stark_kernels::{DType, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// The opsets whose operators mean what is implemented here.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=23;
const MAX_RANK: usize = 64;

pub struct Imported {
    pub graph: Graph,
    pub inputs: Vec<Signature>,
    pub outputs: Vec<Signature>,
    pub parameters: Vec<Parameter>,
}

/// Reads a whole ONNX file.
pub fn load(bytes: &[u8], file: &Arc<str>) -> Result<Imported, ModelError> {
    let refuse = |reason: String| ModelError::Archive { file: file.clone(), entry: None, reason };
    let model = ModelProto::decode(bytes).map_err(|e| refuse(format!("not a readable ONNX model: {e}")))?;
    let graph = model.graph.ok_or_else(|| refuse("the ONNX model has no graph".to_string()))?;
    for set in model.opset_import.iter().filter(|s| s.domain.is_empty() || s.domain == "ai.onnx") {
        if !OPSETS.contains(&set.version) {
            return Err(refuse(format!("opset {} is not supported; export with opset {} to {}", set.version, OPSETS.start(), OPSETS.end())));
        }
    }
    let mut importer = Importer {
        file: file.clone(),
        body: Vec::new(),
        consts: Vec::new(),
        values: HashMap::new(),
        n_slots: 0,
        unknown: Vec::new(),
        node: 0,
    };
    let mut parameters = Vec::new();
    for init in &graph.initializer {
        let tensor = tensor(init).map_err(|e| refuse(format!("initializer `{}`: {e}", init.name)))?;
        parameters.push(Parameter {
            name: init.name.clone(),
            shape: tensor.shape().to_vec(),
            dtype: format!("{:?}", tensor.dtype()),
            is_trained: tensor.dtype().is_float(),
        });
        let operand = importer.constant(Value::Tensor(tensor));
        importer.values.insert(init.name.clone(), operand);
    }
    let given: Vec<&ValueInfo> = graph.input.iter().filter(|i| !importer.values.contains_key(&i.name)).collect();
    let mut inputs = Vec::new();
    for input in &given {
        let slot = importer.slot();
        inputs.push(slot);
        importer.values.insert(input.name.clone(), Operand::Slot(slot));
    }
    for (i, node) in graph.node.iter().enumerate() {
        importer.node = i as u32 + 1;
        importer.import(node)?;
    }
    if !importer.unknown.is_empty() {
        return Err(ModelError::UnknownOperators { file: file.clone(), operators: importer.unknown });
    }
    let mut results = Vec::new();
    for output in &graph.output {
        let operand = importer.values.get(&output.name).copied();
        results.push(operand.ok_or_else(|| refuse(format!("output `{}` is never computed", output.name)))?);
    }
    let output = match results[..] {
        [] => return Err(refuse("the ONNX model has no output".to_string())),
        [one] => one,
        _ => {
            let slot = importer.slot();
            importer.push(Kind::Tuple, results, vec![slot]);
            Operand::Slot(slot)
        }
    };
    let mut built = Graph {
        body: importer.body,
        consts: importer.consts,
        n_slots: importer.n_slots,
        inputs,
        output,
        files: vec![Arc::from("graph")],
    };
    built.find_last_uses();
    Ok(Imported {
        graph: built,
        inputs: given.into_iter().map(signature).collect(),
        outputs: graph.output.iter().map(signature).collect(),
        parameters,
    })
}

fn signature(info: &ValueInfo) -> Signature {
    let ty = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref());
    Signature {
        name: info.name.clone(),
        dtype: ty.and_then(|t| dtype(t.elem_type)),
        dims: ty
            .and_then(|t| t.shape.as_ref())
            .map(|s| s.dim.iter().map(|d| d.dim_value.and_then(|n| usize::try_from(n).ok())).collect()),
    }
}

/// ONNX's element type numbers.
fn dtype(number: i32) -> Option<DType> {
    Some(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        16 => DType::BF16,
        _ => return None,
    })
}

fn tensor(proto: &TensorProto) -> Result<Tensor, String> {
    if proto.data_location != 0 {
        return Err("its data is in another file, which is not supported; save the model with its weights inside".to_string());
    }
    if proto.dims.len() > MAX_RANK {
        return Err(format!("{} dimensions, more than {MAX_RANK}", proto.dims.len()));
    }
    let dtype = dtype(proto.data_type).ok_or_else(|| format!("element type {} is not supported", proto.data_type))?;
    let mut numel = 1usize;
    let mut shape = Vec::with_capacity(proto.dims.len());
    for dim in &proto.dims {
        let dim = usize::try_from(*dim).map_err(|_| format!("dimension {dim} is negative"))?;
        numel = numel.checked_mul(dim).ok_or("its size overflows")?;
        shape.push(dim);
    }
    let size = dtype.size();
    let wanted = numel.checked_mul(size).ok_or("its size overflows")?;
    let bytes: Vec<u8> = if !proto.raw_data.is_empty() || numel == 0 {
        proto.raw_data.clone()
    } else {
        match dtype {
            DType::F32 => proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            DType::F64 => proto.double_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            DType::I64 => proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => proto.int32_data.iter().flat_map(|x| x.to_le_bytes()[..size.min(4)].to_vec()).collect(),
        }
    };
    if bytes.len() != wanted {
        return Err(format!("shape {shape:?} needs {wanted} bytes, the file has {}", bytes.len()));
    }
    Tensor::from_le_bytes(&bytes, &shape, dtype).map_err(|e| e.to_string())
}

struct Importer {
    file: Arc<str>,
    body: Vec<Instr>,
    consts: Vec<Value>,
    values: HashMap<String, Operand>,
    n_slots: u32,
    unknown: Vec<UnknownOperator>,
    /// The running node, from 1: the "line" of what it becomes.
    node: u32,
}

impl Importer {
    fn slot(&mut self) -> Slot {
        self.n_slots += 1;
        Slot(self.n_slots - 1)
    }

    fn constant(&mut self, value: Value) -> Operand {
        self.consts.push(value);
        Operand::Const(self.consts.len() as u32 - 1)
    }

    fn int(&mut self, n: i64) -> Operand {
        self.constant(Value::Int(n))
    }

    fn ints(&mut self, ns: &[i64]) -> Operand {
        let items = ns.iter().map(|n| Value::Int(*n)).collect();
        let list = Value::frozen_list(items).unwrap_or(Value::None);
        self.constant(list)
    }

    fn none(&mut self) -> Operand {
        self.constant(Value::None)
    }

    fn place(&self) -> Place {
        Place { file: self.file.clone(), entry: Arc::from("graph node"), line: self.node }
    }

    fn push(&mut self, kind: Kind, args: Vec<Operand>, outs: Vec<Slot>) {
        self.body.push(Instr {
            kind,
            args: args.into(),
            outs: outs.into(),
            frees: Box::new([]),
            at: At { file: 0, line: self.node },
        });
    }

    /// A call of an operator of the shared table; arguments that are left out take their defaults.
    fn op(&mut self, name: &str, mut args: Vec<Operand>) -> Result<Operand, ModelError> {
        let Some(row) = ops::find(name) else {
            self.unknown.push(UnknownOperator { name: name.to_string(), place: self.place() });
            return Ok(self.none());
        };
        for arg in row.args.iter().skip(args.len()) {
            let default = arg.default.value();
            args.push(self.constant(default));
        }
        let out = self.slot();
        self.push(Kind::Op(row), args, vec![out]);
        Ok(Operand::Slot(out))
    }

    fn bad(&self, reason: String) -> ModelError {
        ModelError::Code { place: self.place(), reason }
    }

    fn import(&mut self, node: &NodeProto) -> Result<(), ModelError> {
        let mut args = Vec::with_capacity(node.input.len());
        for name in &node.input {
            args.push(match name.as_str() {
                "" => None,
                name => match self.values.get(name) {
                    Some(operand) => Some(*operand),
                    None => return Err(self.bad(format!("input `{name}` of {} `{}` is computed nowhere before it", node.op_type, node.name))),
                },
            });
        }
        let result = self.node(node, &args)?;
        match (result, node.output.first()) {
            (Some(result), Some(name)) => drop(self.values.insert(name.clone(), result)),
            (None, _) => {
                self.unknown.push(UnknownOperator { name: node.op_type.clone(), place: self.place() });
                // Later nodes may still be named in the error too.
                for name in &node.output {
                    let nothing = self.none();
                    self.values.insert(name.clone(), nothing);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The integers of a constant tensor, as shapes and axes are given.
    fn const_ints(&self, operand: Option<Operand>) -> Option<Vec<i64>> {
        let Some(Operand::Const(id)) = operand else { return None };
        let Value::Tensor(tensor) = self.consts.get(id as usize)? else { return None };
        tensor.to_vec::<i64>().ok()
    }

    /// The node as operators of the table; `None` when its kind, or this form of it, is not covered.
    fn node(&mut self, node: &NodeProto, args: &[Option<Operand>]) -> Result<Option<Operand>, ModelError> {
        let attr = |name: &str| node.attribute.iter().find(|a| a.name == name);
        let int_attr = |name: &str, default: i64| attr(name).map_or(default, |a| a.i);
        let float_attr = |name: &str, default: f32| attr(name).map_or(default, |a| a.f);
        let arg = |i: usize| args.get(i).copied().flatten();
        let Some(x) = arg(0) else {
            return Ok(match node.op_type.as_str() {
                "Constant" => {
                    let Some(proto) = attr("value").and_then(|a| a.t.as_ref()) else { return Ok(None) };
                    let value = tensor(proto).map_err(|e| self.bad(e))?;
                    Some(self.constant(Value::Tensor(value)))
                }
                _ => None,
            });
        };
        let unary = match node.op_type.as_str() {
            "Relu" => "torch.relu",
            "Sigmoid" => "torch.sigmoid",
            "Tanh" => "torch.tanh",
            "Exp" => "torch.exp",
            "Log" => "torch.log",
            "Sqrt" => "torch.sqrt",
            "Abs" => "torch.abs",
            "Neg" => "torch.neg",
            "Erf" => "torch.erf",
            "Floor" => "torch.floor",
            "Ceil" => "torch.ceil",
            "Reciprocal" => "torch.reciprocal",
            "Identity" | "Dropout" => "torch.alias",
            _ => "",
        };
        if !unary.is_empty() {
            return self.op(unary, vec![x]).map(Some);
        }
        let binary = match node.op_type.as_str() {
            "Add" => "torch.add",
            "Sub" => "torch.sub",
            "Mul" => "torch.mul",
            "Div" => "torch.div",
            "Pow" => "torch.pow",
            "MatMul" => "torch.matmul",
            _ => "",
        };
        if !binary.is_empty() {
            let Some(y) = arg(1) else { return Err(self.bad(format!("{} needs two inputs", node.op_type))) };
            return self.op(binary, vec![x, y]).map(Some);
        }
        let result = match node.op_type.as_str() {
            "Gemm" if int_attr("transA", 0) == 0 && float_attr("alpha", 1.0) == 1.0 && float_attr("beta", 1.0) == 1.0 => {
                let Some(mut w) = arg(1) else { return Err(self.bad("Gemm needs two inputs".to_string())) };
                if int_attr("transB", 0) != 0 {
                    let (first, second) = (self.int(0), self.int(1));
                    w = self.op("torch.transpose", vec![w, first, second])?;
                }
                let product = self.op("torch.matmul", vec![x, w])?;
                match arg(2) {
                    Some(bias) => self.op("torch.add", vec![product, bias])?,
                    None => product,
                }
            }
            "Softmax" | "LogSoftmax" => {
                let axis = self.int(int_attr("axis", -1));
                let name = if node.op_type == "Softmax" { "torch.softmax" } else { "torch.log_softmax" };
                self.op(name, vec![x, axis])?
            }
            "Flatten" if int_attr("axis", 1) == 1 => {
                let (start, end) = (self.int(1), self.int(-1));
                self.op("torch.flatten", vec![x, start, end])?
            }
            "Reshape" => {
                // A zero keeps the input's dimension, which only the shape at run time tells.
                match self.const_ints(arg(1)) {
                    Some(shape) if !shape.contains(&0) => {
                        let shape = self.ints(&shape);
                        self.op("torch.reshape", vec![x, shape])?
                    }
                    _ => return Ok(None),
                }
            }
            "Transpose" => {
                let Some(perm) = attr("perm") else { return Ok(None) };
                let perm = self.ints(&perm.ints);
                self.op("torch.permute", vec![x, perm])?
            }
            "Concat" => {
                let items: Vec<Operand> = args.iter().copied().flatten().collect();
                let list = self.slot();
                self.push(Kind::List, items, vec![list]);
                let axis = self.int(int_attr("axis", 0));
                self.op("torch.cat", vec![Operand::Slot(list), axis])?
            }
            "Unsqueeze" => {
                let axes = self.const_ints(arg(1)).or_else(|| attr("axes").map(|a| a.ints.clone()));
                let Some([axis]) = axes.as_deref() else { return Ok(None) };
                let axis = self.int(*axis);
                self.op("torch.unsqueeze", vec![x, axis])?
            }
            "Conv" | "MaxPool" | "AveragePool" => return self.window(node, x, arg(1), arg(2)),
            "GlobalAveragePool" => {
                let (axes, keep) = (self.ints(&[-2, -1]), self.constant(Value::Bool(true)));
                self.op("torch.mean", vec![x, axes, keep])?
            }
            "BatchNormalization" if int_attr("training_mode", 0) == 0 => {
                let (Some(w), Some(b), Some(mean), Some(var)) = (arg(1), arg(2), arg(3), arg(4)) else {
                    return Err(self.bad("BatchNormalization needs five inputs".to_string()));
                };
                let training = self.constant(Value::Bool(false));
                let momentum = self.constant(Value::Float(0.1));
                let eps = self.constant(Value::Float(f64::from(float_attr("epsilon", 1e-5))));
                let cudnn = self.constant(Value::Bool(false));
                self.op("torch.batch_norm", vec![x, w, b, mean, var, training, momentum, eps, cudnn])?
            }
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    /// Convolution and pooling over two dimensions with equal padding on both sides.
    fn window(&mut self, node: &NodeProto, x: Operand, w: Option<Operand>, b: Option<Operand>) -> Result<Option<Operand>, ModelError> {
        let ints = |name: &str, default: &[i64]| {
            node.attribute.iter().find(|a| a.name == name).map_or(default.to_vec(), |a| a.ints.clone())
        };
        let kernel = ints("kernel_shape", &[]);
        let strides = ints("strides", &[1, 1]);
        let dilations = ints("dilations", &[1, 1]);
        let pads = ints("pads", &[0, 0, 0, 0]);
        let auto = node.attribute.iter().find(|a| a.name == "auto_pad").is_some_and(|a| a.s != b"NOTSET");
        let ceil = node.attribute.iter().any(|a| a.name == "ceil_mode" && a.i != 0);
        if auto || pads.len() != 4 || pads[..2] != pads[2..] {
            return Ok(None);
        }
        let (stride, padding, dilation) = (self.ints(&strides), self.ints(&pads[..2]), self.ints(&dilations));
        Ok(Some(match node.op_type.as_str() {
            "Conv" => {
                let Some(w) = w else { return Err(self.bad("Conv needs a weight".to_string())) };
                let b = match b {
                    Some(b) => b,
                    None => self.none(),
                };
                let groups = self.int(node.attribute.iter().find(|a| a.name == "group").map_or(1, |a| a.i));
                self.op("torch.conv2d", vec![x, w, b, stride, padding, dilation, groups])?
            }
            _ if kernel.len() != 2 => return Ok(None),
            "MaxPool" => {
                let (kernel, ceil) = (self.ints(&kernel), self.constant(Value::Bool(ceil)));
                self.op("torch.max_pool2d", vec![x, kernel, stride, padding, dilation, ceil])?
            }
            _ => {
                let count = node.attribute.iter().any(|a| a.name == "count_include_pad" && a.i != 0);
                let (kernel, ceil, count) = (self.ints(&kernel), self.constant(Value::Bool(ceil)), self.constant(Value::Bool(count)));
                self.op("torch.avg_pool2d", vec![x, kernel, stride, padding, ceil, count])?
            }
        }))
    }
}
