//! From the nodes of an exported program to instructions.
//!
//! A program is one graph of named values, in order; sizes that depend on the inputs are values as well. So
//! each node becomes an instruction with its arguments by name, and its place is its number in the graph.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::schema::*;
use super::table;
use super::trees;
use super::weights::{Payloads, Weight, code_of, dtype_of};
use crate::build::Builder;
use crate::error::ModelError;
use crate::graph::{At, Kind, Operand, Slot};
use crate::input_type::InputType;
use crate::model::{Imported, Input, Parameter, Signature, Symbol};
use crate::structure::{Argument as Taken, Leaf, Structure};
use crate::value::Value;

/// How deep graphs may nest. The JSON that holds them has a limit as well.
const MAX_GRAPH_DEPTH: u32 = 32;

type Done<T> = Result<T, ModelError>;

/// Lowers a program whose version was checked; `entry` is its name in places.
pub fn lower(
    file: &Arc<str>,
    entry: &str,
    program: &Program<'_>,
    weights: Payloads<'_>,
    constants: Payloads<'_>,
) -> Done<Imported> {
    let mut b = Builder::new(file.clone());
    b.at = At { file: b.entry(entry), line: 0 };
    let lowering = Lowering {
        file: file.clone(),
        entry: entry.to_string(),
        b,
        values: HashMap::new(),
        weights,
        constants,
        parameters: Vec::new(),
        symbols: Vec::new(),
        depth: 0,
        autocast: None,
        read: HashSet::new(),
    };
    lowering.run(program)
}

struct Lowering<'a> {
    file: Arc<str>,
    entry: String,
    b: Builder,
    /// Names of the graph that is being lowered.
    values: HashMap<String, Operand>,
    weights: Payloads<'a>,
    constants: Payloads<'a>,
    parameters: Vec<Parameter>,
    symbols: Vec<Symbol>,
    depth: u32,
    /// The type of a `with torch.autocast(…)` around the node.
    autocast: Option<i64>,
    /// The values that the graph's nodes read, where that is asked.
    read: HashSet<String>,
}

impl Lowering<'_> {
    fn run(mut self, program: &Program<'_>) -> Done<Imported> {
        let graph = &program.graph_module.graph;
        let signature = &program.graph_module.signature;
        if signature.input_specs.len() != graph.inputs.len() || signature.output_specs.len() != graph.outputs.len() {
            return self.b.refuse("the signature does not have as many inputs and outputs as the graph");
        }
        let call = program.graph_module.module_call_graph.iter().find(|call| call.fqn.is_empty());
        let call = call.and_then(|call| call.signature.as_ref());
        let mut given = Vec::new();
        for spec in &signature.input_specs {
            match spec {
                InputSpec::Parameter { arg, parameter_name } => self.weight(arg, parameter_name, true)?,
                InputSpec::Buffer { arg, buffer_name, persistent } => self.weight(arg, buffer_name, *persistent)?,
                InputSpec::TensorConstant { arg, tensor_constant_name } => {
                    self.weight(arg, tensor_constant_name, false)?;
                }
                InputSpec::UserInput { arg } | InputSpec::ConstantInput { value: arg } => given.push(arg),
                InputSpec::CustomObj(_) | InputSpec::Token(_) => {
                    return self.b.refuse("the program takes objects that only PyTorch has");
                }
            }
        }
        let (arguments, inputs, slots) = self.arguments(program, call, given)?;
        self.nodes(graph)?;
        let (output, outputs, results) = self.outputs(program, call)?;
        let graph = self.b.finish(slots, output)?;
        let (parameters, symbols, methods) = (self.parameters, self.symbols, Vec::new());
        Ok(Imported { graph, arguments, inputs, outputs, results, parameters, symbols, methods })
    }

    fn refuse_entry<T>(&self, reason: String) -> Done<T> {
        Err(ModelError::Archive { file: self.file.clone(), entry: Some(self.entry.clone()), reason })
    }

    // ---- inputs and outputs -----------------------------------------------------------------------

    fn weight(&mut self, arg: &Name<'_>, name: &str, persistent: bool) -> Done<()> {
        let payloads = if persistent || !self.constants.has(name) { &mut self.weights } else { &mut self.constants };
        let Weight { value, shape, dtype, is_trained, is_first } = payloads.tensor(name)?;
        if is_first {
            self.parameters.push(Parameter { name: name.to_string(), shape, dtype, is_trained });
        }
        let operand = self.b.constant(value);
        self.bind(&arg.name, operand)
    }

    /// How callers pass what the program is `given`; its inputs one by one, and where they go.
    fn arguments(
        &mut self,
        program: &Program<'_>,
        call: Option<&CallSignature>,
        given: Vec<&Argument<'_>>,
    ) -> Done<(Vec<Taken>, Vec<Input>, Vec<Slot>)> {
        let forms = match call.map(trees::arguments) {
            // A program that does not say how it is called takes them one by one.
            None => given.iter().map(|_| (None, Structure::Leaf(()))).collect(),
            Some(Ok(forms)) => forms,
            Some(Err(reason)) => return self.refuse_entry(reason),
        };
        let n: usize = forms.iter().map(|(_, form)| form.leaves().len()).sum();
        if n != given.len() {
            return self.refuse_entry(format!("`in_spec` is of {n} values, the program takes {}", given.len()));
        }
        let (mut inputs, mut slots, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        let mut given = given.into_iter();
        for (at, (name, form)) in forms.into_iter().enumerate() {
            let of_graph =
                || output_name(given.as_slice().first().filter(|_| form.is_leaf())?).map(|name| name.to_string());
            let name = name.or_else(of_graph).unwrap_or_else(|| format!("argument_{at}"));
            let form = form.try_map(&name, &mut |(), name| {
                let Some(arg) = given.next() else { return self.b.refuse("`in_spec` is of too many values") };
                Ok(match settled(arg) {
                    Some(value) => Leaf::Settled(value),
                    None => {
                        let (input, slot) = self.user_input(arg, name, program)?;
                        inputs.push(input);
                        slots.push(slot);
                        Leaf::Input
                    }
                })
            })?;
            // What was settled when the program was exported callers do not give, unless it has a place inside of something.
            if !matches!(form, Structure::Leaf(Leaf::Settled(_))) {
                taken.push(Taken { name, form });
            }
        }
        Ok((taken, inputs, slots))
    }

    fn user_input(&mut self, arg: &Argument<'_>, name: String, program: &Program<'_>) -> Done<(Input, Slot)> {
        let (placeholder, takes) = match arg {
            Argument::AsTensor(tensor) => (&tensor.name, None),
            Argument::AsSymInt(Symbolic::AsName(name)) => (name, Some(InputType::Int)),
            Argument::AsSymFloat(Symbolic::AsName(name)) => (name, Some(InputType::Float)),
            Argument::AsSymBool(Symbolic::AsName(name)) => (name, Some(InputType::Bool)),
            _ => return self.b.refuse("an input is neither a tensor nor a number"),
        };
        let slot = self.b.new_slot();
        self.bind(placeholder, Operand::Slot(slot))?;
        let signature = Signature { name, dtype: None, dims: None };
        if let Some(takes) = takes {
            return Ok((Input::open(signature, takes, None), slot));
        }
        let mut input = Input::checked(signature, InputType::Tensor);
        self.describe(&mut input.signature, placeholder, program)?;
        for (axis, symbol) in self.size_symbols(placeholder, program)? {
            let index = match self.symbols.iter().position(|known| known.name == symbol) {
                Some(index) => index,
                None => {
                    let range = program.range_constraints.0.get(&symbol);
                    let bound = |x: Option<i64>| x.and_then(|x| usize::try_from(x).ok());
                    // Exporting assumes sizes of 2 or more without demanding them.
                    let min = bound(range.and_then(|r| r.min_val)).filter(|&min| min > 2).unwrap_or(0);
                    let max = bound(range.and_then(|r| r.max_val)).unwrap_or(usize::MAX);
                    self.symbols.push(Symbol { name: symbol, min, max });
                    self.symbols.len() - 1
                }
            };
            input.symbols.push((axis, index));
        }
        Ok((input, slot))
    }

    fn meta(&self, name: &str, program: &Program<'_>) -> Done<Option<TensorMeta>> {
        match program.graph_module.graph.tensor_values.0.get(name) {
            None => Ok(None),
            Some(raw) => match serde_json::from_str(raw.get()) {
                Ok(meta) => Ok(Some(meta)),
                Err(e) => self.refuse_entry(format!("tensor value `{name}`: {e}")),
            },
        }
    }

    /// Fills in what the program states about one of its values.
    fn describe(&self, signature: &mut Signature, name: &str, program: &Program<'_>) -> Done<()> {
        let Some(meta) = self.meta(name, program)? else { return Ok(()) };
        signature.dtype = match dtype_of(meta.dtype) {
            Ok(dtype) => Some(dtype),
            Err(reason) => return self.refuse_entry(format!("tensor value `{name}`: {reason}")),
        };
        let size = |size: &Size| match size {
            Size::AsInt(n) => usize::try_from(*n).ok(),
            Size::AsExpr(_) => None,
        };
        signature.dims = Some(meta.sizes.iter().map(size).collect());
        Ok(())
    }

    /// Axes whose size is one symbol: `Symbol('s23', positive=True, integer=True)`.
    fn size_symbols(&self, name: &str, program: &Program<'_>) -> Done<Vec<(usize, String)>> {
        let Some(meta) = self.meta(name, program)? else { return Ok(Vec::new()) };
        let symbol = |size: &Size| match size {
            Size::AsExpr(e) => {
                let (name, rest) = e.expr_str.strip_prefix("Symbol('")?.split_once('\'')?;
                (rest.ends_with(')') && rest.matches(['(', ')']).count() == 1).then(|| name.to_string())
            }
            Size::AsInt(_) => None,
        };
        Ok(meta.sizes.iter().enumerate().filter_map(|(axis, size)| Some((axis, symbol(size)?))).collect())
    }

    /// The result; its tensors one by one, and its items where some of them hold several.
    fn outputs(
        &mut self,
        program: &Program<'_>,
        call: Option<&CallSignature>,
    ) -> Done<(Operand, Vec<Signature>, Vec<Signature>)> {
        let mut found = Vec::new();
        for spec in &program.graph_module.signature.output_specs {
            match spec {
                OutputSpec::UserOutput { arg } => found.push(arg),
                // The caller's tensors are values: nobody sees them change.
                OutputSpec::UserInputMutation(_) => {}
                // What a run changes of the model lives for that run alone.
                OutputSpec::BufferMutation(_) | OutputSpec::ParameterMutation(_) => {}
                OutputSpec::LossOutput(_) | OutputSpec::GradientToParameter(_) | OutputSpec::GradientToUserInput(_) => {
                    return self.b.refuse("this is a training program; export the model after model.eval()");
                }
                OutputSpec::Token(_) => return self.b.refuse("the program gives objects that only PyTorch has"),
            }
        }
        let form = match (call.map(trees::result), found.len()) {
            (Some(Ok(form)), _) => form,
            (Some(Err(reason)), _) => return self.refuse_entry(reason),
            (None, 1) => Structure::Leaf(()),
            (None, n) => Structure::Tuple(vec![Structure::Leaf(()); n]),
        };
        let n = form.leaves().len();
        if n != found.len() {
            return self.refuse_entry(format!("`out_spec` is of {n} values, the program gives {}", found.len()));
        }
        // The items of the result, which is one itself when it is no tuple, list or dict.
        let items: Vec<(String, &Structure<()>)> = match &form {
            Structure::Leaf(()) => vec![("output".into(), &form)],
            Structure::Tuple(items) | Structure::List(items) => {
                items.iter().enumerate().map(|(i, item)| (format!("output_{i}"), item)).collect()
            }
            Structure::Dict(items) => items.iter().map(|(key, item)| (key.to_string(), item)).collect(),
        };
        let mut found = found.into_iter();
        let (mut parts, mut outputs, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for (name, item) in items {
            let first = outputs.len();
            parts.push(item.try_map(&name, &mut |(), name| {
                let Some(arg) = found.next() else { return self.b.refuse("`out_spec` is of too many values") };
                // What is no tensor, None above all, is not among the tensors of the result.
                if !matches!(arg, Argument::AsNone(_)) {
                    let mut signature = Signature { name, dtype: None, dims: None };
                    if let Argument::AsTensor(tensor) = arg {
                        self.describe(&mut signature, &tensor.name, program)?;
                    }
                    outputs.push(signature);
                }
                self.operand(arg)
            })?);
            let own = outputs.get(first).filter(|_| item.is_leaf()).cloned();
            results.push(own.unwrap_or(Signature { name, dtype: None, dims: None }));
        }
        let whole = match &form {
            Structure::Leaf(()) => parts.remove(0),
            Structure::Tuple(_) => Structure::Tuple(parts),
            Structure::List(_) => Structure::List(parts),
            Structure::Dict(items) => Structure::Dict(items.iter().map(|(key, _)| key.clone()).zip(parts).collect()),
        };
        let output = self.built(&whole)?;
        if results == outputs {
            results.clear();
        }
        Ok((output, outputs, results))
    }

    /// What puts a result together.
    fn built(&mut self, form: &Structure<Operand>) -> Done<Operand> {
        let mut args = Vec::new();
        let kind = match form {
            Structure::Leaf(operand) => return Ok(*operand),
            Structure::Tuple(items) | Structure::List(items) => {
                for item in items {
                    args.push(self.built(item)?);
                }
                if matches!(form, Structure::Tuple(_)) { Kind::Tuple } else { Kind::List }
            }
            Structure::Dict(items) => {
                for (key, item) in items {
                    args.extend([self.b.constant(key.clone()), self.built(item)?]);
                }
                Kind::Dict
            }
        };
        self.b.value(kind, args)
    }

    // ---- values -----------------------------------------------------------------------------------

    fn bind(&mut self, name: &str, operand: Operand) -> Done<()> {
        match self.values.insert(name.to_string(), operand) {
            None => Ok(()),
            Some(_) => self.b.refuse(format!("`{name}` is given twice")),
        }
    }

    fn lookup(&self, name: &str) -> Done<Operand> {
        match self.values.get(name) {
            Some(operand) => Ok(*operand),
            None => self.b.refuse(format!("`{name}` is not given by any node before")),
        }
    }

    fn symbolic(&mut self, value: &Symbolic<'_>) -> Done<Operand> {
        Ok(match value {
            Symbolic::AsName(name) => self.lookup(name)?,
            Symbolic::AsInt(i) => self.b.constant(Value::Int(*i)),
            Symbolic::AsFloat(x) => self.b.constant(Value::Float(x.0)),
            Symbolic::AsBool(b) => self.b.constant(Value::Bool(*b)),
        })
    }

    fn constant_list(&mut self, items: impl Iterator<Item = Value>) -> Done<Operand> {
        match Value::frozen_list(items.collect()) {
            Ok(list) => Ok(self.b.constant(list)),
            Err(reason) => self.b.refuse(reason),
        }
    }

    fn list(&mut self, items: Vec<Operand>) -> Done<Operand> {
        self.b.value(Kind::List, items)
    }

    fn operand(&mut self, arg: &Argument<'_>) -> Done<Operand> {
        let plain = match arg {
            Argument::AsTensor(tensor) => return self.lookup(&tensor.name),
            Argument::AsOptionalTensor(OptionalTensor::AsTensor(tensor)) => return self.lookup(&tensor.name),
            Argument::AsTensors(tensors) => {
                let items = tensors.iter().map(|tensor| self.lookup(&tensor.name)).collect::<Done<Vec<_>>>()?;
                return self.list(items);
            }
            Argument::AsOptionalTensors(tensors) => {
                let mut items = Vec::with_capacity(tensors.len());
                for tensor in tensors {
                    items.push(match tensor {
                        OptionalTensor::AsTensor(tensor) => self.lookup(&tensor.name)?,
                        OptionalTensor::AsNone(_) => self.b.constant(Value::None),
                    });
                }
                return self.list(items);
            }
            Argument::AsSymInt(value) | Argument::AsSymBool(value) | Argument::AsSymFloat(value) => {
                return self.symbolic(value);
            }
            Argument::AsSymInts(values) | Argument::AsSymBools(values) | Argument::AsSymFloats(values) => {
                let items = values.iter().map(|value| self.symbolic(value)).collect::<Done<Vec<_>>>()?;
                return self.list(items);
            }
            Argument::AsInts(ints) => return self.constant_list(ints.iter().map(|&i| Value::Int(i))),
            Argument::AsFloats(floats) => return self.constant_list(floats.iter().map(|x| Value::Float(x.0))),
            Argument::AsBools(bools) => return self.constant_list(bools.iter().map(|&b| Value::Bool(b))),
            Argument::AsStrings(texts) => return self.constant_list(texts.iter().map(|text| Value::str(&**text))),
            Argument::AsNone(_) | Argument::AsOptionalTensor(OptionalTensor::AsNone(_)) => Value::None,
            Argument::AsInt(i) => Value::Int(*i),
            Argument::AsFloat(x) => Value::Float(x.0),
            Argument::AsBool(b) => Value::Bool(*b),
            Argument::AsString(text) => Value::str(&**text),
            // Numbers of dtypes differ from TorchScript's, which the rows know.
            Argument::AsScalarType(number) => match code_of(*number) {
                Ok(code) => Value::Int(code),
                Err(reason) => return self.b.refuse(reason),
            },
            // Everything is dense and on this machine.
            Argument::AsDevice(_) => Value::str("cpu"),
            Argument::AsLayout(_) | Argument::AsMemoryFormat(_) => Value::None,
            Argument::AsGraph(_)
            | Argument::AsOperator(_)
            | Argument::AsComplex(_)
            | Argument::AsCustomObj(_)
            | Argument::AsNestedTensors(_)
            | Argument::AsIntLists(_)
            | Argument::AsFloatLists(_)
            | Argument::AsStringToArgument(_) => return self.b.refuse("an argument of a kind that is not supported"),
        };
        Ok(self.b.constant(plain))
    }

    // ---- nodes ------------------------------------------------------------------------------------

    fn nodes(&mut self, graph: &Graph<'_>) -> Done<()> {
        let has_norms = graph.nodes.iter().any(|node| node.target.starts_with("torch.ops.aten.native_"));
        let outer = std::mem::replace(&mut self.read, if has_norms { read_names(graph) } else { HashSet::new() });
        for (idx, node) in graph.nodes.iter().enumerate() {
            self.b.at.line = idx as u32 + 1;
            self.node(node, graph)?;
        }
        self.read = outer;
        Ok(())
    }

    fn node(&mut self, node: &Node<'_>, graph: &Graph<'_>) -> Done<()> {
        if let Some(operator) = node.target.strip_prefix("torch.ops.higher_order.") {
            return self.higher_order(node, operator);
        }
        // Without the overload: arguments have names, and a row covers all its overloads.
        let name = match node.target.strip_prefix("torch.ops.") {
            Some(operator) => operator.rsplit_once('.').map_or(operator, |(name, _)| name),
            None => &*node.target,
        };
        if table::is_skipped(name) {
            return Ok(());
        }
        let Some((mut row, in_place)) = table::find(name) else { return self.unknown(node, "") };
        // Who reads the statistics of a norm gets them; without a reader the norm is one operator.
        if name.starts_with("aten.native_")
            && node.outputs.iter().skip(1).filter_map(output_name).any(|name| self.read.contains(&**name))
            && let Some((all, _)) = crate::ops::find(&format!("torch.{}", &name["aten.".len()..]))
        {
            row = all;
        }
        let mut bound: Vec<Option<Operand>> = vec![None; row.args.len()];
        // Python's own functions take theirs by position, under whatever names Python knows them.
        let has_schema = node.target.starts_with("torch.ops.");
        for (index, named) in node.inputs.iter().enumerate() {
            let place = match &*named.name {
                _ if !has_schema => Some(index),
                "" => Some(index),
                arg => table::place(name, row, arg),
            };
            // What is left out and what is None say the same, so an argument the row lacks does not matter then.
            let is_none = matches!(named.arg, Argument::AsNone(_));
            match place.filter(|&place| place < bound.len()) {
                Some(place) if bound[place].is_none() => {
                    let operand = self.operand(&named.arg)?;
                    bound[place] = Some(self.autocast(name, &named.arg, operand)?);
                }
                None if is_none || table::is_without_effect(&named.name) => {}
                _ => return self.unknown(node, &format!(" with argument `{}`", named.name)),
            }
        }
        // Where PyTorch has the elements in memory.
        if let (true, [.., order, begin], Some(layout)) =
            (row.name.starts_with("torch.as_strided"), &mut bound[..], self.layout(node, graph)?)
        {
            *order = Some(self.constant_list(layout.0.into_iter().map(Value::Int))?);
            *begin = Some(self.b.constant(Value::Int(layout.1)));
        }
        let mut args = Vec::with_capacity(bound.len());
        for (operand, arg) in bound.into_iter().zip(row.args) {
            args.push(match (operand, arg.default.value()) {
                (Some(operand), _) => operand,
                (None, Some(value)) => self.b.constant(value),
                (None, None) => return self.unknown(node, &format!(" without its argument `{}`", arg.name)),
            });
        }
        let kind = if in_place { Kind::InPlace(row) } else { Kind::Op(row) };
        let result = self.b.value(kind, args)?;
        match &node.outputs[..] {
            [] => Ok(()),
            [Argument::AsTensors(names)] => {
                let names: Vec<&Cow<'_, str>> = names.iter().map(|name| &name.name).collect();
                self.unpack(result, &names)
            }
            [one] => match output_name(one) {
                Some(name) => self.bind(name, result),
                None => self.b.refuse("a result of a kind that is not supported"),
            },
            several => {
                let unused = Cow::Borrowed("");
                let names: Vec<&Cow<'_, str>> = several.iter().map(|one| output_name(one).unwrap_or(&unused)).collect();
                self.unpack(result, &names)
            }
        }
    }

    /// Axes of the node's first argument from the longest stride to the shortest and where it begins in its storage, when
    /// the program states both and no element of the storage lies between.
    fn layout(&self, node: &Node<'_>, graph: &Graph<'_>) -> Done<Option<(Vec<i64>, i64)>> {
        let Some(Argument::AsTensor(tensor)) = node.inputs.first().map(|named| &named.arg) else { return Ok(None) };
        let Some(raw) = graph.tensor_values.0.get(&*tensor.name) else { return Ok(None) };
        let meta: TensorMeta = match serde_json::from_str(raw.get()) {
            Ok(meta) => meta,
            Err(e) => return self.refuse_entry(format!("tensor value `{}`: {e}", tensor.name)),
        };
        let number = |size: &Size| if let Size::AsInt(n) = size { Some(*n) } else { None };
        let numbers = |all: &[Size]| all.iter().map(number).collect::<Option<Vec<i64>>>();
        let known = (numbers(&meta.sizes), numbers(&meta.strides), number(&meta.storage_offset));
        let (Some(sizes), Some(strides), Some(begin)) = known else { return Ok(None) };
        if sizes.len() != strides.len() {
            return Ok(None);
        }
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&axis| (std::cmp::Reverse(strides[axis]), sizes[axis] != 1));
        let mut step = 1i64;
        for &axis in order.iter().rev().filter(|&&axis| sizes[axis] != 1) {
            if strides[axis] != step {
                return Ok(None);
            }
            step = step.saturating_mul(sizes[axis]);
        }
        Ok(Some((order.into_iter().map(|axis| axis as i64).collect(), begin)))
    }

    /// An argument as the operator `name` takes it where autocast is on.
    fn autocast(&mut self, name: &str, arg: &Argument<'_>, operand: Operand) -> Done<Operand> {
        let is_tensor = matches!(
            arg,
            Argument::AsTensor(_)
                | Argument::AsTensors(_)
                | Argument::AsOptionalTensor(OptionalTensor::AsTensor(_))
                | Argument::AsOptionalTensors(_)
        );
        match self.autocast.and_then(|code| table::autocast(name, code)).filter(|_| is_tensor) {
            None => Ok(operand),
            Some((row, code)) => {
                let code = self.b.constant(Value::Int(code));
                self.b.op(row, vec![operand, code])
            }
        }
    }

    fn unpack(&mut self, result: Operand, names: &[&Cow<'_, str>]) -> Done<()> {
        let slots: Vec<Slot> = names.iter().map(|_| self.b.new_slot()).collect();
        self.b.emit(Kind::Unpack, vec![result], slots.clone())?;
        for (name, slot) in names.iter().zip(slots).filter(|(name, _)| !name.is_empty()) {
            self.bind(name, Operand::Slot(slot))?;
        }
        Ok(())
    }

    /// Notes that this node cannot run, and lets what follows go on.
    fn unknown(&mut self, node: &Node<'_>, what: &str) -> Done<()> {
        let help = match node.target.contains("_functorch.") {
            true => {
                " (vmap, grad and jvp of torch.func: `ep = ep.run_decompositions()` before `torch.export.save` makes plain operators of them)"
            }
            false => "",
        };
        self.b.unknown(format!("{}{what}{help}", node.target));
        for name in output_names_of(node) {
            let slot = self.b.new_slot();
            self.bind(name, Operand::Slot(slot))?;
        }
        Ok(())
    }

    // ---- graphs in graphs -------------------------------------------------------------------------

    fn higher_order(&mut self, node: &Node<'_>, operator: &str) -> Done<()> {
        let args: Vec<&Argument<'_>> = node.inputs.iter().map(|named| &named.arg).collect();
        match (operator, &args[..]) {
            ("cond", [cond, Argument::AsGraph(then), Argument::AsGraph(otherwise), operands @ ..]) => {
                let cond = self.operand(cond)?;
                let operands = self.flat(operands)?;
                let names = output_names_of(node);
                let slots: Vec<Slot> = names.iter().map(|_| self.b.new_slot()).collect();
                let mut blocks = Vec::new();
                for (label, graph) in [("true_graph", then), ("false_graph", otherwise)] {
                    let outer = self.b.begin_block()?;
                    let results = self.inner(label, &graph.graph, &operands)?;
                    if results.len() != slots.len() {
                        return self.b.refuse(format!(
                            "cond has {} results, its graph gives {}",
                            slots.len(),
                            results.len()
                        ));
                    }
                    self.b.emit(Kind::Move, results, slots.clone())?;
                    blocks.push(self.b.end_block(outer));
                }
                let (otherwise, then) = (blocks.pop().unwrap_or_default(), blocks.pop().unwrap_or_default());
                self.b.emit(Kind::If(then, otherwise), vec![cond], Vec::new())?;
                for (name, slot) in names.into_iter().zip(slots) {
                    self.bind(name, Operand::Slot(slot))?;
                }
                Ok(())
            }
            ("while_loop", [Argument::AsGraph(test), Argument::AsGraph(body), operands @ ..]) => {
                let inits = self.flat(operands)?;
                let names = output_names_of(node);
                if names.len() > inits.len() {
                    return self.b.refuse(format!("while_loop gives {} values of {}", names.len(), inits.len()));
                }
                // What goes round, then what stays as it is.
                let n_carried = names.len();
                let slots: Vec<Slot> = names.iter().map(|_| self.b.new_slot()).collect();
                let (carried, fixed) = inits.split_at(n_carried);
                let mut state: Vec<Operand> = slots.iter().map(|&slot| Operand::Slot(slot)).collect();
                self.b.emit(Kind::Move, carried.to_vec(), slots.clone())?;
                state.extend(fixed);
                let outer = self.b.begin_block()?;
                let results = self.inner("cond_graph", &test.graph, &state)?;
                let test = self.b.end_block(outer);
                let [cond] = results[..] else {
                    return self.b.refuse(format!("the condition of a while_loop has {} values", results.len()));
                };
                let outer = self.b.begin_block()?;
                let results = self.inner("body_graph", &body.graph, &state)?;
                if results.len() != n_carried {
                    return self
                        .b
                        .refuse(format!("while_loop has {n_carried} results, its graph gives {}", results.len()));
                }
                self.b.emit(Kind::Move, results, slots.clone())?;
                let body = self.b.end_block(outer);
                self.b.emit(Kind::While { test, cond, body }, Vec::new(), Vec::new())?;
                for (name, slot) in names.into_iter().zip(slots) {
                    self.bind(name, Operand::Slot(slot))?;
                }
                Ok(())
            }
            // Whether gradients are recorded changes nothing here.
            ("wrap_with_set_grad_enabled", [_, Argument::AsGraph(graph), operands @ ..]) => {
                self.wrapped(node, operator, graph, operands)
            }
            ("wrap_with_autocast", [_, dtype, Argument::AsBool(on), _, Argument::AsGraph(graph), operands @ ..]) => {
                let code = match dtype {
                    _ if !on => None,
                    Argument::AsScalarType(number) => match code_of(*number) {
                        Ok(code) => Some(code),
                        Err(reason) => return self.b.refuse(reason),
                    },
                    // The processor's own.
                    Argument::AsNone(_) => Some(crate::ops::args::code_of_dtype(stark_kernels::DType::BF16)),
                    _ => return self.unknown(node, ""),
                };
                let outer = std::mem::replace(&mut self.autocast, code);
                let done = self.wrapped(node, operator, graph, operands);
                self.autocast = outer;
                done
            }
            ("scan", [Argument::AsGraph(body), init, xs, more @ ..]) => {
                let (init, xs, more) = (self.flat(&[*init])?, self.flat(&[*xs])?, self.flat(more)?);
                self.along(node, operator, body, init, xs, more)
            }
            ("map_impl", [Argument::AsGraph(body), xs, more @ ..]) => {
                let (xs, more) = (self.flat(&[*xs])?, self.flat(more)?);
                self.along(node, operator, body, Vec::new(), xs, more)
            }
            _ => self.unknown(node, ""),
        }
    }

    /// The graph of `node` where it stands.
    fn wrapped(
        &mut self,
        node: &Node<'_>,
        operator: &str,
        graph: &GraphArgument<'_>,
        operands: &[&Argument<'_>],
    ) -> Done<()> {
        let operands = self.flat(operands)?;
        let results = self.inner(operator, &graph.graph, &operands)?;
        let names = output_names_of(node);
        if results.len() != names.len() {
            let (has, gives) = (names.len(), results.len());
            return self.b.refuse(format!("{operator} has {has} results, its graph gives {gives}"));
        }
        names.into_iter().zip(results).try_for_each(|(name, result)| self.bind(name, result))
    }

    /// Runs `body` for each part of `xs` along their first axis: what goes round, then the part, then `more`. It gives
    /// what goes round next and parts of results, which are stacked.
    fn along(
        &mut self,
        node: &Node<'_>,
        operator: &str,
        body: &GraphArgument<'_>,
        init: Vec<Operand>,
        xs: Vec<Operand>,
        more: Vec<Operand>,
    ) -> Done<()> {
        let names = output_names_of(node);
        let (Some(&first), Some(n_parts)) = (xs.first(), names.len().checked_sub(init.len())) else {
            return self.b.refuse(format!("{operator} has {} results", names.len()));
        };
        let row = |name: &str| crate::ops::find(name).map(|(row, _)| row);
        let rows = (row("torch.size"), row("torch.select"), row("torch.append"), row("torch.stack"));
        let (Some(size), Some(select), Some(append), Some(stack)) = rows else { return self.unknown(node, "") };
        let zero = self.b.constant(Value::Int(0));
        let count = self.b.op(size, vec![first, zero])?;
        let carried: Vec<Slot> = init.iter().map(|_| self.b.new_slot()).collect();
        self.b.emit(Kind::Move, init, carried.clone())?;
        let parts = (0..n_parts).map(|_| self.b.value(Kind::List, Vec::new())).collect::<Done<Vec<_>>>()?;
        let round = self.b.new_slot();
        let outer = self.b.begin_block()?;
        let mut given: Vec<Operand> = carried.iter().map(|&slot| Operand::Slot(slot)).collect();
        for &x in &xs {
            given.push(self.b.op(select, vec![x, zero, Operand::Slot(round)])?);
        }
        given.extend(more);
        let mut results = self.inner(operator, &body.graph, &given)?;
        if results.len() != names.len() {
            let (has, gives) = (names.len(), results.len());
            return self.b.refuse(format!("{operator} has {has} results, its graph gives {gives}"));
        }
        let made = results.split_off(carried.len());
        for (&list, part) in parts.iter().zip(made) {
            self.b.op(append, vec![list, part])?;
        }
        self.b.emit(Kind::Move, results, carried.clone())?;
        let block = self.b.end_block(outer);
        self.b.emit(Kind::For(block), vec![count], vec![round])?;
        let mut results: Vec<Operand> = carried.into_iter().map(Operand::Slot).collect();
        for list in parts {
            results.push(self.b.op(stack, vec![list, zero])?);
        }
        names.into_iter().zip(results).try_for_each(|(name, result)| self.bind(name, result))
    }

    /// Operands, with those in lists one after the other.
    fn flat(&mut self, args: &[&Argument<'_>]) -> Done<Vec<Operand>> {
        let mut out = Vec::new();
        for arg in args {
            match arg {
                Argument::AsTensors(tensors) => {
                    for tensor in tensors {
                        out.push(self.lookup(&tensor.name)?);
                    }
                }
                Argument::AsSymInts(values) => {
                    for value in values {
                        out.push(self.symbolic(value)?);
                    }
                }
                one => out.push(self.operand(one)?),
            }
        }
        Ok(out)
    }

    /// Lowers a graph with names of its own; gives its results.
    fn inner(&mut self, label: &str, graph: &Graph<'_>, operands: &[Operand]) -> Done<Vec<Operand>> {
        if graph.inputs.len() != operands.len() {
            return self.b.refuse(format!("{label} takes {} inputs, {} are given", graph.inputs.len(), operands.len()));
        }
        self.depth += 1;
        if self.depth > MAX_GRAPH_DEPTH {
            return self.b.refuse(format!("graphs nest deeper than {MAX_GRAPH_DEPTH}"));
        }
        let outer = self.b.at;
        let name = format!("{}:{}/{label}", self.b.entry_name(outer.file), outer.line);
        self.b.at = At { file: self.b.entry(&name), line: 0 };
        let values = std::mem::take(&mut self.values);
        for (input, operand) in graph.inputs.iter().zip(operands) {
            match output_name(input) {
                Some(name) => self.bind(name, *operand)?,
                None => return self.b.refuse(format!("{label} has an input of a kind that is not supported")),
            }
        }
        self.nodes(graph)?;
        let results = self.flat(&graph.outputs.iter().collect::<Vec<_>>())?;
        self.values = values;
        self.b.at = outer;
        self.depth -= 1;
        Ok(results)
    }
}

/// The values that nodes of the graph read, and its results.
fn read_names(graph: &Graph<'_>) -> HashSet<String> {
    let mut names = HashSet::new();
    let args = graph.nodes.iter().flat_map(|node| &node.inputs).map(|named| &named.arg).chain(&graph.outputs);
    for arg in args {
        match arg {
            Argument::AsTensors(tensors) => names.extend(tensors.iter().map(|tensor| tensor.name.to_string())),
            one => names.extend(output_name(one).map(|name| name.to_string())),
        }
    }
    names
}

fn output_name<'n>(arg: &'n Argument<'_>) -> Option<&'n Cow<'n, str>> {
    match arg {
        Argument::AsTensor(tensor) | Argument::AsOptionalTensor(OptionalTensor::AsTensor(tensor)) => Some(&tensor.name),
        Argument::AsSymInt(Symbolic::AsName(name))
        | Argument::AsSymBool(Symbolic::AsName(name))
        | Argument::AsSymFloat(Symbolic::AsName(name)) => Some(name),
        _ => None,
    }
}

fn output_names_of<'n>(node: &'n Node<'_>) -> Vec<&'n Cow<'n, str>> {
    let names = node.outputs.iter().flat_map(|output| match output {
        Argument::AsTensors(tensors) => tensors.iter().map(|tensor| &tensor.name).collect(),
        one => output_name(one).into_iter().collect::<Vec<_>>(),
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// What the program was exported with in the place of an argument.
fn settled(arg: &Argument<'_>) -> Option<Value> {
    match arg {
        Argument::AsNone(_) => Some(Value::None),
        Argument::AsInt(i) => Some(Value::Int(*i)),
        Argument::AsFloat(x) => Some(Value::Float(x.0)),
        Argument::AsBool(x) => Some(Value::Bool(*x)),
        Argument::AsString(text) => Some(Value::str(&**text)),
        _ => None,
    }
}
