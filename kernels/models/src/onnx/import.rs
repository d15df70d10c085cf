//! From the nodes of a model to instructions.
//!
//! Names are resolved to slots and constants; a subgraph sees the names around it, a function only its own.
//! `If`, `Loop` and `Scan` become the blocks of the graph, calls of the model's own functions are inlined.
//! Nodes may stand in any order: they are sorted first.
//! Operators that have no row are noted, so that the error at the end names them all with their places: the
//! graph's name, and the number of the node in it.

mod old_scan;
mod order;
mod texts;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stark_kernels::DType;

use super::held::{self, Held, Keeps, held, keeps};
use super::proto::*;
use super::table::{self, OnnxRow, Outputs};
use super::tensor::{External, dtype_of, tensor, type_name};
use crate::build::Builder;
use crate::error::ModelError;
use crate::graph::{At, Kind, Operand, Slot};
use crate::input_type::InputType;
use crate::model::{Imported, Input, Parameter, Signature};
use crate::ops::args::code_of_dtype;
use crate::structure::Argument;
use crate::value::Value;

/// The oldest version of the standard operators whose meaning is known.
const MIN_OPSET: i64 = 7;
/// The newest one.
const MAX_OPSET: i64 = 28;
/// The version of the format from which on initialisers that are listed among the inputs may be overridden.
const OVERRIDABLE_FROM: i64 = 4;
/// How deep calls of functions may nest.
const MAX_CALL_DEPTH: u32 = 32;
/// How deep graphs in nodes may nest, through calls of functions as well.
const MAX_GRAPH_DEPTH: u32 = 64;
/// What an import may go through, in nodes with their inputs, outputs and numbers: calls of functions multiply
/// what the file holds.
const MAX_WORK: usize = 16_000_000;
/// Attributes that hold an element type.
const DTYPE_ATTRIBUTES: [&str; 5] = ["to", "dtype", "output_dtype", "output_datatype", "precision"];

type Done<T> = Result<T, ModelError>;
/// Attributes of the call around a function's body.
type Given<'a> = HashMap<&'a str, &'a AttributeProto>;

pub fn import(file: &Arc<str>, model: &ModelProto, graph: &GraphProto, external: &External) -> Done<Imported> {
    let importer = Importer {
        file: file.clone(),
        b: Builder::new(file.clone()),
        scopes: Vec::new(),
        first_scope: 0,
        opsets: HashMap::new(),
        functions: HashMap::new(),
        given: HashMap::new(),
        call_depth: 0,
        graph_depth: 0,
        external,
        parameters: Vec::new(),
        defaults: HashMap::new(),
        tensors: HashMap::new(),
        held: HashMap::new(),
        texts: HashMap::new(),
        work: 0,
    };
    importer.run(model, graph)
}

struct Importer<'a> {
    file: Arc<str>,
    b: Builder,
    /// Names of the graphs around the current node, the innermost last.
    scopes: Vec<HashMap<&'a str, Operand>>,
    /// A function does not see the scopes before this one.
    first_scope: usize,
    /// Version of each domain's operators.
    opsets: HashMap<&'a str, i64>,
    functions: HashMap<(&'a str, &'a str, &'a str), &'a FunctionProto>,
    given: Given<'a>,
    call_depth: u32,
    graph_depth: u32,
    external: &'a External<'a>,
    parameters: Vec<Parameter>,
    /// What inputs are when they are left out.
    defaults: HashMap<&'a str, Value>,
    /// Tensors that were read, by the address of their message: a function's body is imported for each call.
    tensors: HashMap<*const TensorProto, Operand>,
    /// The types in the file of what is held in a wider one.
    held: HashMap<Operand, i32>,
    /// What cannot be computed.
    texts: HashMap<Operand, texts::Text>,
    work: usize,
}

fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

fn opsets(imports: &[OperatorSetIdProto]) -> HashMap<&str, i64> {
    imports.iter().map(|import| (domain(&import.domain), import.version)).collect()
}

/// The initialisers that callers may give another tensor for: from version 4 of the format on those that are listed among the inputs.
///
/// A file that lists all of them does so by habit, as version 3 asked for it and some exporters do it still: there they are weights,
/// which are worth packing.
fn overridable<'a>(model: &ModelProto, graph: &'a GraphProto) -> HashSet<&'a str> {
    let inputs: HashSet<&str> = graph.input.iter().map(|value| value.name.as_str()).collect();
    let is_listed = |proto: &&TensorProto| inputs.contains(proto.name.as_str());
    if model.ir_version < OVERRIDABLE_FROM || graph.initializer.iter().all(|proto| is_listed(&proto)) {
        return HashSet::new();
    }
    let listed = graph.initializer.iter().filter(is_listed);
    // Of a type that no input can have it is a constant.
    listed.filter(|proto| dtype_of(proto.data_type).is_some()).map(|proto| proto.name.as_str()).collect()
}

/// What an input of this type takes, and the type of its tensors. As deep as messages may nest.
fn takes(ty: &TypeProto) -> Option<(InputType, &TensorTypeProto)> {
    if let Some(tensor) = &ty.tensor_type {
        return Some((InputType::Tensor, tensor));
    }
    let (holder, is_list) = match (&ty.sequence_type, &ty.optional_type) {
        (Some(sequence), _) => (sequence, true),
        (None, Some(option)) => (option, false),
        (None, None) => return None,
    };
    let (inside, tensor) = takes(holder.elem_type.as_deref()?)?;
    let inside = Box::new(inside);
    Some((if is_list { InputType::List(inside) } else { InputType::Optional(inside) }, tensor))
}

impl<'a> Importer<'a> {
    fn run(mut self, model: &'a ModelProto, graph: &'a GraphProto) -> Done<Imported> {
        self.opsets = opsets(&model.opset_import);
        self.check_opset("the model")?;
        for function in &model.functions {
            let key = (domain(&function.domain), function.name.as_str(), function.overload.as_str());
            self.functions.insert(key, function);
        }
        let name = if graph.name.is_empty() { "graph" } else { &graph.name };
        self.b.at = At { file: self.b.entry(name), line: 0 };
        self.scopes.push(HashMap::new());
        self.initializers(graph, &overridable(model, graph))?;
        let mut inputs = Vec::new();
        for value in &graph.input {
            // Weights that are listed among the inputs.
            if self.scopes[0].contains_key(value.name.as_str()) {
                continue;
            }
            let slot = self.b.new_slot();
            self.bind(&value.name, Operand::Slot(slot))?;
            let default = self.defaults.remove(value.name.as_str());
            inputs.push((self.input(value)?.with_default(default), slot));
        }
        // Those that must be given come first, in whatever order the file lists them.
        inputs.sort_by_key(|(input, _)| input.has_default());
        let (inputs, slots): (Vec<Input>, Vec<Slot>) = inputs.into_iter().unzip();
        self.nodes(&graph.node)?;
        let mut outputs = Vec::new();
        let mut operands = Vec::new();
        for value in &graph.output {
            operands.push(self.lookup(&value.name)?);
            outputs.push(self.output(value)?);
        }
        let output = match operands[..] {
            [] => return self.b.refuse("the graph has no outputs"),
            [one] => one,
            _ => self.b.value(Kind::Tuple, operands)?,
        };
        let graph = self.b.finish(slots, output)?;
        let arguments = inputs.iter().map(|input: &Input| Argument::input(input.signature.name.clone())).collect();
        let (results, symbols, methods) = Default::default();
        Ok(Imported { graph, arguments, inputs, outputs, results, parameters: self.parameters, symbols, methods })
    }

    fn check_opset(&self, what: &str) -> Done<()> {
        match self.opsets.get("") {
            None | Some(MIN_OPSET..=MAX_OPSET) => Ok(()),
            Some(version) => {
                let reason = format!(
                    "{what} uses version {version} of the ONNX operators, but {MIN_OPSET} to {MAX_OPSET} are known; \
                     convert it with onnx.version_converter"
                );
                Err(ModelError::NotAModel { file: self.file.clone(), reason })
            }
        }
    }

    /// An input of tensors that are all of one type: one of them, a sequence of them, or an option of either.
    fn input(&self, value: &ValueInfoProto) -> Done<Input> {
        let entry = format!("input {}", value.name);
        let Some((takes, ty)) = value.r#type.as_ref().and_then(takes) else {
            let reason = "only tensors, sequences and options of them can be given to a model".into();
            return Err(ModelError::Archive { file: self.file.clone(), entry: Some(entry), reason });
        };
        Ok(Input::checked(self.signature(&value.name, entry, ty)?, takes))
    }

    /// An output may be a sequence, whose tensors come one after the other.
    fn output(&self, value: &ValueInfoProto) -> Done<Signature> {
        match value.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref()) {
            Some(ty) => self.signature(&value.name, format!("output {}", value.name), ty),
            None => Ok(Signature { name: value.name.clone(), dtype: None, dims: None }),
        }
    }

    fn signature(&self, name: &str, entry: String, ty: &TensorTypeProto) -> Done<Signature> {
        let mut signature = Signature { name: name.into(), dtype: dtype_of(ty.elem_type), dims: None };
        if signature.dtype.is_none() && ty.elem_type != 0 {
            let reason = format!("element type {} is not supported", type_name(ty.elem_type));
            return Err(ModelError::Archive { file: self.file.clone(), entry: Some(entry), reason });
        }
        let size = |dim: &DimensionProto| match dim.value {
            // Old exporters write 0 or -1 for what may vary.
            Some(Dimension::Size(n)) => usize::try_from(n).ok().filter(|&n| n > 0),
            Some(Dimension::Name(_)) | None => None,
        };
        signature.dims = ty.shape.as_ref().map(|shape| shape.dim.iter().map(size).collect());
        Ok(signature)
    }

    // ---- names ------------------------------------------------------------------------------------

    fn bind(&mut self, name: &'a str, operand: Operand) -> Done<()> {
        let twice = match self.scopes.last_mut() {
            Some(scope) => scope.insert(name, operand).is_some(),
            None => false,
        };
        if twice { self.b.refuse(format!("`{name}` is given twice")) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Option<Operand> {
        self.scopes[self.first_scope..].iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    fn lookup(&self, name: &str) -> Done<Operand> {
        match self.find(name) {
            Some(operand) => match self.texts.get(&operand) {
                Some(text) => self.refuse_text(name, text),
                None => Ok(operand),
            },
            None => self.b.refuse(format!("`{name}` is not given by any node before")),
        }
    }

    /// An optional input: nothing when its name is empty or it is not there.
    fn optional(&mut self, node: &'a NodeProto, index: usize) -> Done<Operand> {
        match node.input.get(index).filter(|name| !name.is_empty()) {
            Some(name) => self.lookup(name),
            None => Ok(self.b.constant(Value::None)),
        }
    }

    /// Weights are constants; those of the names in `overridable` are what their inputs are when they are left out.
    fn initializers(&mut self, graph: &'a GraphProto, overridable: &HashSet<&str>) -> Done<()> {
        if !graph.sparse_initializer.is_empty() {
            return self.b.refuse("sparse initialisers are not supported");
        }
        for proto in &graph.initializer {
            if let Some(known) = self.tensors.get(&std::ptr::from_ref(proto)).copied() {
                self.bind(&proto.name, known)?;
                continue;
            }
            if self.is_text(proto)? {
                continue;
            }
            let value = self.tensor(proto)?;
            let dtype = value.dtype();
            self.parameters.push(Parameter {
                name: proto.name.clone(),
                shape: value.shape().to_vec(),
                dtype: format!("{dtype:?}"),
                // The file does not tell weights from other constants; those are single numbers or ints.
                is_trained: dtype.is_float() && value.rank() > 0,
            });
            if overridable.contains(proto.name.as_str()) {
                if self.defaults.insert(&proto.name, Value::Tensor(value)).is_some() {
                    return self.b.refuse(format!("`{}` is given twice", proto.name));
                }
                continue;
            }
            let operand = self.b.constant(Value::Tensor(value));
            self.tensors.insert(proto, operand);
            self.note_held(operand, Some(proto.data_type));
            self.bind(&proto.name, operand)?;
        }
        Ok(())
    }

    fn tensor(&self, proto: &TensorProto) -> Done<stark_kernels::Tensor> {
        tensor(proto, self.external).map_err(|reason| ModelError::Archive {
            file: self.file.clone(),
            entry: Some(if proto.name.is_empty() { "constant".into() } else { proto.name.clone() }),
            reason,
        })
    }

    // ---- nodes ------------------------------------------------------------------------------------

    fn nodes(&mut self, nodes: &'a [NodeProto]) -> Done<()> {
        for idx in self.order(nodes)? {
            self.b.at.line = idx as u32 + 1;
            self.node(&nodes[idx])?;
        }
        Ok(())
    }

    fn spend(&mut self, work: usize) -> Done<()> {
        self.work = self.work.saturating_add(work);
        if self.work > MAX_WORK {
            return self.b.refuse("the model's functions multiply to more than an import goes through");
        }
        Ok(())
    }

    fn node(&mut self, node: &'a NodeProto) -> Done<()> {
        let numbers: usize = node.attribute.iter().map(|a| 1 + a.ints.len() + a.floats.len() + a.strings.len()).sum();
        self.spend(1 + node.input.len() + node.output.len() + numbers)?;
        let (at, op) = (domain(&node.domain), node.op_type.as_str());
        if let Some(text) = self.text_read(node) {
            return self.only_texts(node, &text);
        }
        if op == "LabelEncoder"
            && let Some(text) = self.text_given(node)
        {
            return self.only_texts(node, &text);
        }
        if let Some(function) = self.functions.get(&(at, op, node.overload.as_str())) {
            return self.call(node, function);
        }
        match (at, op) {
            ("", "Constant") => {
                let operand = self.constant(node)?;
                self.outputs(node, &[operand])
            }
            ("", "Identity") if node.input.len() == 1 => {
                let operand = self.lookup(&node.input[0])?;
                self.outputs(node, &[operand])
            }
            ("", "Optional") => {
                let operand = self.optional(node, 0)?;
                self.outputs(node, &[operand])
            }
            ("", "Dropout") if !node.input.is_empty() => self.dropout(node),
            ("", "If") => self.if_node(node),
            ("", "Loop") => self.loop_node(node),
            ("", "Scan") => self.scan_node(node),
            _ => self.operator(node, at),
        }
    }

    fn outputs(&mut self, node: &'a NodeProto, operands: &[Operand]) -> Done<()> {
        if node.output.len() > operands.len() {
            return self.b.refuse(format!(
                "{} names {} outputs, it gives {}",
                node.op_type,
                node.output.len(),
                operands.len()
            ));
        }
        for (name, operand) in node.output.iter().zip(operands).filter(|(name, _)| !name.is_empty()) {
            self.bind(name, *operand)?;
        }
        Ok(())
    }

    /// Notes that this node cannot run, and lets what follows go on.
    fn unknown(&mut self, node: &'a NodeProto, what: &str) -> Done<()> {
        let at = domain(&node.domain);
        let dot = if at.is_empty() { "" } else { "." };
        let name = if node.name.is_empty() { String::new() } else { format!(" (node `{}`)", node.name) };
        self.b.unknown(format!("{at}{dot}{}{what}{name}", node.op_type));
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            let slot = self.b.new_slot();
            self.bind(name, Operand::Slot(slot))?;
        }
        Ok(())
    }

    /// The attribute that stands here: inside a function it may be one of the call's.
    fn attribute(&self, attribute: &'a AttributeProto) -> Option<&'a AttributeProto> {
        match attribute.ref_attr_name.as_str() {
            "" => Some(attribute),
            name => self.given.get(name).copied(),
        }
    }

    fn find_attribute(&self, node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
        node.attribute.iter().find(|a| a.name == name).and_then(|a| self.attribute(a))
    }

    /// The value of an attribute; `Err` says what is not supported about it.
    fn value(&mut self, attribute: &'a AttributeProto) -> Done<Result<Operand, String>> {
        let text = |bytes: &[u8]| Value::str(String::from_utf8_lossy(bytes).as_ref());
        let value = match attribute.r#type {
            ATTR_FLOAT => Ok(Value::Float(attribute.f.into())),
            ATTR_INT => Ok(Value::Int(attribute.i)),
            ATTR_STRING => Ok(text(&attribute.s)),
            ATTR_FLOATS => Value::frozen_list(attribute.floats.iter().map(|&x| Value::Float(x.into())).collect()),
            ATTR_INTS => Value::frozen_list(attribute.ints.iter().map(|&i| Value::Int(i)).collect()),
            ATTR_STRINGS => Value::frozen_list(attribute.strings.iter().map(|s| text(s)).collect()),
            ATTR_TENSOR => match attribute.t.as_deref() {
                Some(proto) => {
                    if let Some(known) = self.tensors.get(&std::ptr::from_ref(proto)) {
                        return Ok(Ok(*known));
                    }
                    let value = Value::Tensor(self.tensor(proto)?);
                    let operand = self.b.constant(value);
                    self.tensors.insert(proto, operand);
                    self.note_held(operand, Some(proto.data_type));
                    return Ok(Ok(operand));
                }
                None => Err("without its tensor".into()),
            },
            kind => Err(format!("of kind {kind}")),
        };
        Ok(value.map(|value| self.b.constant(value)))
    }

    fn constant(&mut self, node: &'a NodeProto) -> Done<Operand> {
        let given = node.attribute.iter().find_map(|a| self.attribute(a).map(|given| (a.name.as_str(), given)));
        let Some((name, attribute)) = given else { return self.b.refuse("a Constant without a value") };
        let value = match name {
            "value" if attribute.t.is_some() => match self.value(attribute)? {
                Ok(operand) => return Ok(operand),
                Err(what) => return self.b.refuse(format!("a Constant with `{name}` {what}")),
            },
            "value_float" => Value::Tensor(stark_kernels::Tensor::scalar(attribute.f)),
            "value_int" => Value::Tensor(stark_kernels::Tensor::scalar(attribute.i)),
            "value_floats" => self.vector(&attribute.floats)?,
            "value_ints" => self.vector(&attribute.ints)?,
            _ => return self.b.refuse(format!("a Constant with `{name}` is not supported")),
        };
        Ok(self.b.constant(value))
    }

    fn vector<E: stark_kernels::Element>(&self, items: &[E]) -> Done<Value> {
        match stark_kernels::Tensor::from_slice(items, &[items.len()]) {
            Ok(tensor) => Ok(Value::Tensor(tensor)),
            Err(e) => self.b.refuse(e.to_string()),
        }
    }

    /// Dropout is for training; when a model runs it changes nothing, and its mask keeps all.
    fn dropout(&mut self, node: &'a NodeProto) -> Done<()> {
        let training = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => {
                let operand = self.lookup(name)?;
                self.b.const_of(operand).and_then(Value::scalar).is_none_or(|x| x.to_bool())
            }
            None => false,
        };
        if training {
            return self.unknown(node, " in training mode");
        }
        let x = self.lookup(&node.input[0])?;
        let mut operands = vec![x];
        if node.output.len() > 1 {
            operands.push(self.b.op(&table::KEPT_ALL, vec![x])?);
        }
        self.outputs(node, &operands)
    }

    fn operator(&mut self, node: &'a NodeProto, at: &str) -> Done<()> {
        // A domain that is not imported: its rows have one version only.
        let version = match (self.opsets.get(at), at) {
            (Some(version), _) => *version,
            (None, "") => return self.b.refuse("the model imports no version of the ONNX operators"),
            (None, _) => 1,
        };
        let Some(row) = table::find(at, &node.op_type, version) else { return self.unknown(node, "") };
        let args = match self.bind_arguments(node, row)? {
            Ok(args) => args,
            Err(what) => return self.unknown(node, &what),
        };
        let n_named = node.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        let limit = match row.outputs {
            Outputs::One => 1,
            Outputs::Tuple(n) | Outputs::Asked(n) => n,
            Outputs::List => node.output.len(),
        };
        if n_named > limit {
            return self.unknown(node, &format!(" with {n_named} outputs"));
        }
        let kept = self.kept_type(node, row, &args);
        let is_right = || self.find_attribute(node, "direction").is_some_and(|a| &a.s[..] == b"RIGHT");
        let op = match node.op_type.as_str() {
            "BitShift" if kept == Some(held::UINT64) && is_right() => &table::SHIFTED,
            _ => &row.op,
        };
        let mut result = self.b.op(op, args)?;
        if row.outputs == Outputs::One {
            if let Some(Held { low, high, .. }) = kept.and_then(held) {
                let range = [low, high].map(|end| self.b.constant(Value::Int(end)));
                match (node.op_type.as_str(), keeps(&node.op_type)) {
                    (_, Some(Keeps::Numbers)) => {}
                    ("QuantizeLinear", _) => result = self.b.op(&table::CLAMPED, vec![result, range[0], range[1]])?,
                    _ => result = self.b.op(&table::WRAPPED, vec![result, range[0], range[1]])?,
                }
            }
            self.note_held(result, kept);
        }
        let n = match row.outputs {
            Outputs::One => return self.outputs(node, &[result]),
            Outputs::Asked(_) if n_named <= 1 => return self.outputs(node, &[result]),
            Outputs::Tuple(n) | Outputs::Asked(n) => n,
            Outputs::List => node.output.len(),
        };
        let slots: Vec<Slot> = (0..n).map(|_| self.b.new_slot()).collect();
        self.b.emit(Kind::Unpack, vec![result], slots.clone())?;
        slots.iter().for_each(|&slot| self.note_held(Operand::Slot(slot), kept));
        let mut operands: Vec<Operand> = slots.into_iter().map(Operand::Slot).collect();
        if let (Some(text), Some(labels)) = (self.text_given(node), operands.first_mut()) {
            *labels = self.text(text);
        }
        self.outputs(node, &operands)
    }

    fn note_held(&mut self, operand: Operand, data_type: Option<i32>) {
        if let Some(data_type) = data_type.filter(|&data_type| held(data_type).is_some()) {
            self.held.insert(operand, data_type);
        }
    }

    /// The type in the file of what a node gives, when a wider one holds it.
    fn kept_type(&self, node: &'a NodeProto, row: &OnnxRow, args: &[Operand]) -> Option<i32> {
        let named = node.attribute.iter().filter(|a| DTYPE_ATTRIBUTES.contains(&a.name.as_str()));
        let named = named.filter_map(|a| self.attribute(a)).map(|a| a.i as i32).find(|&ty| held(ty).is_some());
        let of = |index: usize| args.get(index).and_then(|operand| self.held.get(operand)).copied();
        let of_input = |index: usize| {
            let name = node.input.get(index).filter(|name| !name.is_empty())?;
            self.held.get(&self.lookup(name).ok()?).copied()
        };
        named.or_else(|| match node.op_type.as_str() {
            "QuantizeLinear" => of(2),
            "CastLike" => of(1),
            "Where" => of(1).or(of(2)),
            operator if keeps(operator).is_some() => {
                (0..if row.is_variadic() { node.input.len() } else { 1 }).find_map(of_input)
            }
            _ => None,
        })
    }

    /// An input of a node; one of UINT64 as a number where the node takes it for one.
    fn given(&mut self, node: &'a NodeProto, name: &str) -> Done<Operand> {
        let operand = self.lookup(name)?;
        let cast_to = self.find_attribute(node, "to").map(|a| a.i as i32);
        let needs_number = match node.op_type.as_str() {
            "Cast" => !cast_to.is_some_and(held::is_whole),
            operator => held::needs_number(operator),
        };
        match self.held.get(&operand) {
            Some(&held::UINT64) if needs_number => self.b.op(&table::NUMBER, vec![operand]),
            _ => Ok(operand),
        }
    }

    /// Operands in the order of the row; or what does not fit.
    fn bind_arguments(&mut self, node: &'a NodeProto, row: &'static OnnxRow) -> Done<Result<Vec<Operand>, String>> {
        let mut bound: Vec<Option<Operand>> = vec![None; row.op.args.len()];
        if row.is_variadic() {
            let items = node.input.iter().map(|name| self.given(node, name)).collect::<Done<Vec<_>>>()?;
            bound[0] = Some(self.b.value(Kind::List, items)?);
        } else {
            if node.input.len() > row.n_inputs {
                return Ok(Err(format!(" with {} inputs (it takes {})", node.input.len(), row.n_inputs)));
            }
            for (slot, name) in bound.iter_mut().zip(&node.input).filter(|(_, name)| !name.is_empty()) {
                *slot = Some(self.given(node, name)?);
            }
        }
        for named in &node.attribute {
            let Some(attribute) = self.attribute(named) else { continue };
            let place = row.op.args.iter().position(|arg| arg.name == named.name && arg.name != "n_outputs");
            let Some(place) = place.filter(|&place| bound[place].is_none()) else {
                return Ok(Err(format!(" with attribute `{}`", named.name)));
            };
            if DTYPE_ATTRIBUTES.contains(&named.name.as_str()) && attribute.r#type == ATTR_INT {
                let known = dtype_of(attribute.i as i32).or(held(attribute.i as i32).map(|held| held.dtype));
                let dtype = match known {
                    Some(dtype) => Value::Int(code_of_dtype(dtype)),
                    None if attribute.i == 0 && named.name != "to" => Value::None,
                    None => return Ok(Err(format!(" to element type {}", type_name(attribute.i as i32)))),
                };
                bound[place] = Some(self.b.constant(dtype));
                continue;
            }
            bound[place] = match self.value(attribute)? {
                Ok(operand) => Some(operand),
                Err(what) => return Ok(Err(format!(" with attribute `{}` {what}", named.name))),
            };
        }
        let mut args = Vec::with_capacity(bound.len());
        for (operand, arg) in bound.into_iter().zip(row.op.args) {
            let operand = match (operand, arg.name) {
                (Some(operand), _) => operand,
                (None, "n_outputs") => {
                    let n = node.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
                    let n = if row.outputs == Outputs::List { node.output.len() } else { n };
                    self.b.constant(Value::Int(n as i64))
                }
                (None, _) => match arg.default.value() {
                    Some(value) => self.b.constant(value),
                    None => return Ok(Err(format!(" without its argument `{}`", arg.name))),
                },
            };
            args.push(operand);
        }
        Ok(Ok(args))
    }

    // ---- functions --------------------------------------------------------------------------------

    fn call(&mut self, node: &'a NodeProto, function: &'a FunctionProto) -> Done<()> {
        if self.call_depth >= MAX_CALL_DEPTH {
            return self.b.refuse(format!("calls of functions nest deeper than {MAX_CALL_DEPTH}"));
        }
        if node.input.len() > function.input.len() {
            return self.b.refuse(format!(
                "{} takes {} inputs, {} are given",
                function.name,
                function.input.len(),
                node.input.len()
            ));
        }
        let mut scope = HashMap::new();
        for (index, name) in function.input.iter().enumerate() {
            scope.insert(name.as_str(), self.optional(node, index)?);
        }
        let defaults = function.attribute_proto.iter().map(|a| (a.name.as_str(), a));
        let passed: Vec<_> =
            node.attribute.iter().filter_map(|a| self.attribute(a).map(|given| (a.name.as_str(), given))).collect();
        let given: Given<'a> = defaults.chain(passed).collect();
        let outer = (
            std::mem::replace(&mut self.given, given),
            std::mem::replace(&mut self.opsets, opsets(&function.opset_import)),
            std::mem::replace(&mut self.first_scope, self.scopes.len()),
            self.b.at,
        );
        self.check_opset(&format!("function {}", function.name))?;
        self.scopes.push(scope);
        self.call_depth += 1;
        self.b.at = At { file: self.b.entry(&function.name), line: 0 };
        self.nodes(&function.node)?;
        let results = function.output.iter().map(|name| self.lookup(name)).collect::<Done<Vec<_>>>()?;
        self.call_depth -= 1;
        self.scopes.pop();
        (self.given, self.opsets, self.first_scope, self.b.at) = outer;
        self.outputs(node, &results)
    }

    // ---- control flow -----------------------------------------------------------------------------

    fn graph_attribute(&self, node: &'a NodeProto, name: &str) -> Done<&'a GraphProto> {
        match self.find_attribute(node, name).and_then(|a| a.g.as_deref()) {
            Some(graph) => Ok(graph),
            None => self.b.refuse(format!("{} without its graph `{name}`", node.op_type)),
        }
    }

    /// Imports a graph with `inputs` bound in order; gives its outputs. Places are its own meanwhile.
    fn subgraph(
        &mut self,
        node: &'a NodeProto,
        name: &str,
        graph: &'a GraphProto,
        inputs: &[Operand],
    ) -> Done<Vec<Operand>> {
        if graph.input.len() != inputs.len() {
            return self.b.refuse(format!(
                "{}: its graph `{name}` takes {} inputs, not {}",
                node.op_type,
                graph.input.len(),
                inputs.len()
            ));
        }
        self.graph_depth += 1;
        if self.graph_depth > MAX_GRAPH_DEPTH {
            return self.b.refuse(format!("graphs of nodes nest deeper than {MAX_GRAPH_DEPTH}"));
        }
        let outer = self.b.at;
        let label = if node.name.is_empty() {
            format!("{}:{}", self.b.entry_name(outer.file), outer.line)
        } else {
            node.name.clone()
        };
        self.b.at = At { file: self.b.entry(&format!("{label}/{name}")), line: 0 };
        self.scopes.push(HashMap::new());
        for (value, operand) in graph.input.iter().zip(inputs) {
            self.bind(&value.name, *operand)?;
        }
        self.initializers(graph, &HashSet::new())?;
        self.nodes(&graph.node)?;
        let results = graph.output.iter().map(|value| self.lookup(&value.name)).collect::<Done<Vec<_>>>()?;
        self.scopes.pop();
        self.graph_depth -= 1;
        self.b.at = outer;
        Ok(results)
    }

    fn if_node(&mut self, node: &'a NodeProto) -> Done<()> {
        let cond = self.optional(node, 0)?;
        let (then, otherwise) =
            (self.graph_attribute(node, "then_branch")?, self.graph_attribute(node, "else_branch")?);
        let n = node.output.len();
        if then.output.len() != n || otherwise.output.len() != n {
            return self.b.refuse(format!(
                "If has {n} outputs, its graphs give {} and {}",
                then.output.len(),
                otherwise.output.len()
            ));
        }
        if let Some(known) = self.b.const_of(cond).and_then(Value::scalar) {
            let (name, graph) = if known.to_bool() { ("then_branch", then) } else { ("else_branch", otherwise) };
            let results = self.subgraph(node, name, graph, &[])?;
            return self.outputs(node, &results);
        }
        let slots: Vec<Slot> = (0..n).map(|_| self.b.new_slot()).collect();
        let mut blocks = Vec::new();
        for (name, graph) in [("then_branch", then), ("else_branch", otherwise)] {
            let outer = self.b.begin_block()?;
            let results = self.subgraph(node, name, graph, &[])?;
            self.b.emit(Kind::Move, results, slots.clone())?;
            blocks.push(self.b.end_block(outer));
        }
        let (otherwise, then) = (blocks.pop().unwrap_or_default(), blocks.pop().unwrap_or_default());
        self.b.emit(Kind::If(then, otherwise), vec![cond], Vec::new())?;
        self.outputs(node, &slots.into_iter().map(Operand::Slot).collect::<Vec<_>>())
    }

    /// Dimensions and dtype that one round gives, for when no round runs.
    fn scan_output(&mut self, value: &ValueInfoProto) -> Done<[Operand; 2]> {
        let ty = value.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
        let dims = ty.and_then(|ty| ty.shape.as_ref()).map_or(&[][..], |shape| &shape.dim);
        let dims = dims.iter().map(|dim| match dim.value {
            Some(Dimension::Size(n)) => Value::Int(n.max(0)),
            _ => Value::Int(0),
        });
        let dims = Value::frozen_list(dims.collect());
        let dims = match dims {
            Ok(dims) => self.b.constant(dims),
            Err(reason) => return self.b.refuse(reason),
        };
        let dtype = ty.and_then(|ty| dtype_of(ty.elem_type)).unwrap_or(DType::F32);
        Ok([dims, self.b.constant(Value::Int(code_of_dtype(dtype)))])
    }

    fn loop_node(&mut self, node: &'a NodeProto) -> Done<()> {
        let body = self.graph_attribute(node, "body")?;
        let (count, cond) = (self.optional(node, 0)?, self.optional(node, 1)?);
        let n_carried = node.input.len().saturating_sub(2);
        let Some(n_scans) = body.output.len().checked_sub(1 + n_carried) else {
            return self.b.refuse(format!("Loop carries {n_carried} values, its body gives {}", body.output.len()));
        };
        let mut inits = vec![self.b.constant(Value::Int(0)), cond];
        for index in 2..node.input.len() {
            inits.push(self.optional(node, index)?);
        }
        let carried: Vec<Slot> = inits.iter().map(|_| self.b.new_slot()).collect();
        self.b.emit(Kind::Move, inits, carried.clone())?;
        let nothing = self.b.constant(Value::None);
        let mut lists = Vec::new();
        for _ in 0..n_scans {
            lists.push(self.b.op(&table::NEW_LIST, vec![nothing])?);
        }
        let operands: Vec<Operand> = carried.iter().copied().map(Operand::Slot).collect();

        let outer = self.b.begin_block()?;
        let cond = self.b.op(&table::LOOP_TEST, vec![operands[0], operands[1], count])?;
        let test = self.b.end_block(outer);

        let outer = self.b.begin_block()?;
        let mut results = self.subgraph(node, "body", body, &operands)?;
        let scans = results.split_off(1 + n_carried);
        for (list, scan) in lists.iter().zip(scans) {
            self.b.op(&table::APPEND, vec![*list, scan])?;
        }
        results.insert(0, self.b.op(&table::NEXT_ROUND, vec![operands[0]])?);
        self.b.emit(Kind::Move, results, carried)?;
        let block = self.b.end_block(outer);
        self.b.emit(Kind::While { test, cond, body: block }, Vec::new(), Vec::new())?;

        let mut results = operands[2..].to_vec();
        let (axis, forward) = (self.b.constant(Value::Int(0)), self.b.constant(Value::Bool(false)));
        for (list, value) in lists.iter().zip(&body.output[1 + n_carried..]) {
            let [dims, dtype] = self.scan_output(value)?;
            results.push(self.b.op(&table::STACK, vec![*list, axis, forward, dims, dtype])?);
        }
        self.outputs(node, &results)
    }

    fn ints(&self, node: &'a NodeProto, name: &str) -> &'a [i64] {
        self.find_attribute(node, name).map_or(&[], |a| &a.ints)
    }

    fn scan_node(&mut self, node: &'a NodeProto) -> Done<()> {
        if self.opsets.get("").is_some_and(|&version| version < 9) {
            return self.old_scan(node);
        }
        let body = self.graph_attribute(node, "body")?;
        let n_scanned = self.find_attribute(node, "num_scan_inputs").map_or(0, |a| a.i);
        let n_scanned = usize::try_from(n_scanned).ok().filter(|&n| n > 0 && n <= node.input.len());
        let Some(n_scanned) = n_scanned else { return self.b.refuse("Scan without inputs to scan") };
        self.scan(node, body, n_scanned)
    }

    fn scan(&mut self, node: &'a NodeProto, body: &'a GraphProto, n_scanned: usize) -> Done<()> {
        let n_carried = node.input.len() - n_scanned;
        let Some(n_scans) = body.output.len().checked_sub(n_carried) else {
            return self.b.refuse(format!("Scan carries {n_carried} values, its body gives {}", body.output.len()));
        };
        let (in_axes, in_turns) = (self.ints(node, "scan_input_axes"), self.ints(node, "scan_input_directions"));
        let (out_axes, out_turns) = (self.ints(node, "scan_output_axes"), self.ints(node, "scan_output_directions"));
        let nth = |list: &[i64], i: usize| list.get(i).copied().unwrap_or(0);

        let mut inits = Vec::new();
        for index in 0..n_carried {
            inits.push(self.optional(node, index)?);
        }
        let carried: Vec<Slot> = inits.iter().map(|_| self.b.new_slot()).collect();
        if !inits.is_empty() {
            self.b.emit(Kind::Move, inits, carried.clone())?;
        }
        let nothing = self.b.constant(Value::None);
        let mut lists = Vec::new();
        for _ in 0..n_scans {
            lists.push(self.b.op(&table::NEW_LIST, vec![nothing])?);
        }
        let mut scanned = Vec::new();
        for i in 0..n_scanned {
            let x = self.optional(node, n_carried + i)?;
            let axis = self.b.constant(Value::Int(nth(in_axes, i)));
            let turned = self.b.constant(Value::Bool(nth(in_turns, i) != 0));
            scanned.push([x, axis, turned]);
        }
        let count = self.b.op(&table::SCAN_LENGTH, vec![scanned[0][0], scanned[0][1]])?;
        let round = self.b.new_slot();

        let outer = self.b.begin_block()?;
        let mut inputs: Vec<Operand> = carried.iter().copied().map(Operand::Slot).collect();
        for [x, axis, turned] in scanned {
            inputs.push(self.b.op(&table::SCAN_ITEM, vec![x, axis, Operand::Slot(round), turned])?);
        }
        let mut results = self.subgraph(node, "body", body, &inputs)?;
        for (list, scan) in lists.iter().zip(results.split_off(n_carried)) {
            self.b.op(&table::APPEND, vec![*list, scan])?;
        }
        if !carried.is_empty() {
            self.b.emit(Kind::Move, results, carried.clone())?;
        }
        let block = self.b.end_block(outer);
        self.b.emit(Kind::For(block), vec![count], vec![round])?;

        let mut results: Vec<Operand> = carried.into_iter().map(Operand::Slot).collect();
        for (i, (list, value)) in lists.iter().zip(&body.output[n_carried..]).enumerate() {
            let axis = self.b.constant(Value::Int(nth(out_axes, i)));
            let turned = self.b.constant(Value::Bool(nth(out_turns, i) != 0));
            let [dims, dtype] = self.scan_output(value)?;
            results.push(self.b.op(&table::STACK, vec![*list, axis, turned, dims, dtype])?);
        }
        self.outputs(node, &results)
    }
}
