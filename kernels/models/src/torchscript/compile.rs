//! The compiler: from the archived source and the model's data to one graph.
//!
//! It runs the code of `forward` abstractly. A name is bound to what is known about it ([`Cv`]): a constant,
//! a slot, a tuple of such, or a module of the object tree. Attributes of modules are constants, calls are
//! inlined, a condition that is known keeps only its branch. What remains unknown becomes instructions.
//!
//! Operators that are not in the table do not stop the compiler: it notes each with its place and goes on,
//! so that the error at the end names them all. Libraries choose by `if` among operators that a model never reaches,
//! so one that stands where the model may not come is kept in the graph, and an error of the run that comes there.
//!
//! Archives are untrusted, so nesting, calls and instructions are bounded by the constants below.

mod calls;
mod control;
mod objects;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use stark_kernels::{DType, Tensor};

use self::objects::{Made, ModuleState};
use super::ast::*;
use super::library::{Definition, Library};
use super::state::{State, is_packed};
use crate::error::{ModelError, Place, UnknownOperator};
use crate::graph::{At, Block, Graph, Instr, Kind, Operand, Slot};
use crate::ops::{self, Args, OpRow, Traits};
use crate::pickle::{Id, Node};
use crate::value::Value;

/// How deep calls, blocks and expressions may nest together.
pub const MAX_NESTING: u32 = 1_000;
/// How deep blocks may nest after inlining.
pub const MAX_BLOCK_NESTING: u32 = 100;
/// How many instructions one graph may have.
pub const MAX_INSTRUCTIONS: usize = 200_000;
/// How many calls may be inlined.
pub const MAX_CALLS: usize = 200_000;
/// How many parts a tuple may have, with the parts of its parts.
pub const MAX_TUPLE_PARTS: usize = 10_000;
/// How many unknown operators are named.
pub const MAX_UNKNOWN: usize = 1_000;

/// Where PyTorch has `no_grad` and its like.
const GRAD_MODES: &str = "__torch__.torch.autograd.grad_mode.";

/// What is known about a value while compiling.
#[derive(Debug, Clone)]
enum Cv {
    /// Known when the model runs. `never_none` when `None` is ruled out.
    Slot {
        slot: Slot,
        never_none: bool,
    },
    /// A plain constant: number, text, bool or `None`.
    Plain(Value),
    /// A tensor, list or dict of the model: index into the graph's constants.
    Const(u32),
    Tuple(Rc<TupleCv>),
    /// A module (or another object) of the tree.
    Object(Id),
    /// An object that the code makes: its place in [`Compiler::made`].
    Made(usize),
    /// `torch`, `ops.prim`, `__torch__.a.b`, `CONSTANTS`.
    Path(Rc<str>),
    /// Never read.
    Uninitialized,
}

#[derive(Debug)]
struct TupleCv {
    items: Vec<Cv>,
    /// Field names of a NamedTuple.
    names: Option<Rc<[String]>>,
    n_parts: usize,
    depth: u32,
}

/// What a compiled model takes and gives.
#[derive(Debug)]
pub struct Compiled {
    pub graph: Graph,
    pub params: Vec<Param>,
    pub result: Option<Type>,
    /// Keys, when the result is a dict written out in the code.
    pub result_keys: Option<Vec<String>>,
    /// The names of the module's methods.
    pub methods: Vec<String>,
}

/// How far every run gets with the code compiled so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// To its end, as far as is known.
    End,
    /// To an exception.
    Raise,
    /// To an operator that is not in the table.
    Unknown,
}

type Done<T> = Result<T, ModelError>;
type Env = HashMap<String, Cv>;
/// Attributes of modules, by the module and the name.
pub type Kept = BTreeSet<(Id, String)>;

/// Compiles `forward` of the object at the root of `data`.
///
/// Attributes that are in `kept` are the model's own when a run begins, and what the run assigned later. One that turns out to need
/// that is added, and the error means that it should be tried again.
pub fn compile(
    library: Library<'_>,
    data: State<'_>,
    constants: State<'_>,
    method: Option<&str>,
    kept: &mut Kept,
) -> Done<Compiled> {
    let compiler = Compiler {
        library,
        data,
        constants,
        consts: Vec::new(),
        const_of: HashMap::new(),
        locals: HashMap::new(),
        n_slots: 0,
        n_instrs: 0,
        n_calls: 0,
        n_fields: 0,
        nesting: 0,
        block_nesting: 0,
        block: Vec::new(),
        at: At::default(),
        unknown: Vec::new(),
        made: Vec::new(),
        modules: ModuleState::default(),
        moved: HashSet::new(),
        reach: Reach::End,
        kept,
    };
    compiler.run(method)
}

struct Compiler<'a> {
    library: Library<'a>,
    data: State<'a>,
    constants: State<'a>,
    consts: Vec<Value>,
    /// Constants by their node: `true` for those of `constants.pkl`.
    const_of: HashMap<(bool, Id), Cv>,
    /// Functions inside functions, by name: those that `fork` runs.
    locals: HashMap<String, Rc<Function>>,
    n_slots: u32,
    n_instrs: usize,
    n_calls: usize,
    /// Of the `NamedTuple`s in the types of inputs and results.
    n_fields: usize,
    nesting: u32,
    block_nesting: u32,
    /// The block being filled.
    block: Block,
    at: At,
    unknown: Vec<UnknownOperator>,
    made: Vec<Made>,
    modules: ModuleState,
    /// Slots that stand for one value with another slot.
    moved: HashSet<Slot>,
    /// Of the block being filled.
    reach: Reach,
    kept: &'a mut Kept,
}

impl<'a> Compiler<'a> {
    fn run(mut self, method: Option<&str>) -> Done<Compiled> {
        let root = self.data.pickle.root();
        let Node::Object { class, .. } = self.data.pickle.node(root) else {
            let (file, entry) = (self.place().file, Some("data.pkl".to_string()));
            return Err(ModelError::Archive { file, entry, reason: "holds no module".into() });
        };
        let class_name = class.clone();
        let Some((Definition::Class(class), file)) = self.library.find(&class_name)? else {
            let (file, entry) = (self.place().file, Some("data.pkl".to_string()));
            let reason = format!("the root is of class {class_name}, which is not in the archive's code");
            return Err(ModelError::Archive { file, entry, reason });
        };
        self.at = At { file, line: class.line };
        let methods = class.methods.iter().map(|m| &m.name).filter(|name| !name.starts_with("__"));
        let methods: Vec<String> = methods.cloned().collect();
        let has_forward = methods.iter().any(|name| name == super::FORWARD);
        let first = methods.first().filter(|_| !has_forward).map_or(super::FORWARD, |name| name);
        let method = method.unwrap_or(first);
        let Some(entry) = class.methods.iter().find(|m| m.name == method) else {
            let there = if methods.is_empty() { String::new() } else { format!("; it has {}", methods.join(", ")) };
            return self.refuse(format!("class {class_name} has no method `{method}`{there}"));
        };
        let mut env = Env::new();
        let mut inputs = Vec::new();
        let mut params: Vec<Param> = entry.params.iter().skip(1).cloned().collect();
        if let Some(this) = entry.params.first() {
            env.insert(this.name.clone(), Cv::Object(root));
        }
        for param in &params {
            let slot = self.new_slot();
            inputs.push(slot);
            let never_none = param.ty.as_ref().is_some_and(Type::is_never_none);
            env.insert(param.name.clone(), Cv::Slot { slot, never_none });
        }
        self.begin_with_state()?;
        let result = self.body(entry, file, &mut env)?;
        let output = self.operand(&result)?;
        if self.reach == Reach::Unknown {
            let file = self.place().file;
            return Err(ModelError::UnknownOperators { file, operators: self.unknown });
        }
        for ty in params.iter_mut().filter_map(|param| param.ty.as_mut()) {
            self.open_classes(ty, 0)?;
        }
        let mut result = entry.result.clone();
        let fields = result.as_mut().map_or(Ok(None), |ty| self.open_classes(ty, 0))?;
        let mut graph = Graph {
            body: std::mem::take(&mut self.block),
            consts: std::mem::take(&mut self.consts),
            own: Vec::new(),
            is_quantised: false,
            n_slots: self.n_slots,
            inputs,
            output,
            files: self.library.names.clone(),
            unknown: self.unknown,
        };
        graph.find_last_uses();
        Ok(Compiled { graph, params, result, result_keys: fields.or_else(|| result_keys(entry)), methods })
    }

    /// Makes the `NamedTuple`s in a type tuples, and enums what their members stand for; gives the names of the fields when it is one itself.
    fn open_classes(&mut self, ty: &mut Type, depth: u8) -> Done<Option<Vec<String>>> {
        if depth > crate::value::MAX_DEPTH {
            return self.refuse(format!("a type nests deeper than {}", crate::value::MAX_DEPTH));
        }
        let mut names = None;
        match self.library.find(&ty.name)? {
            Some((Definition::Class(class), _)) if class.kind == ClassKind::NamedTuple => {
                self.n_fields += class.attributes.len();
                if self.n_fields > MAX_TUPLE_PARTS {
                    return self
                        .refuse(format!("the types of inputs and results have more than {MAX_TUPLE_PARTS} fields"));
                }
                names = Some(class.attributes.iter().map(|field| field.name.clone()).collect());
                let fields = class.attributes.iter().map(|field| field.ty.clone()).collect();
                *ty = Type { name: "Tuple".into(), args: fields };
            }
            Some((Definition::Class(class), _)) if class.kind == ClassKind::Enum => {
                if let Some(member) = class.attributes.first() {
                    *ty = member.ty.clone();
                }
            }
            _ => {}
        }
        for arg in &mut ty.args {
            self.open_classes(arg, depth + 1)?;
        }
        Ok(names)
    }

    // ---- places and bounds ------------------------------------------------------------------------

    fn place(&self) -> Place {
        self.library.place(self.at.file, self.at.line)
    }

    fn refuse<T>(&self, reason: impl Into<String>) -> Done<T> {
        Err(ModelError::Code { place: self.place(), reason: reason.into() })
    }

    fn nested<T>(&mut self, work: impl FnOnce(&mut Self) -> Done<T>) -> Done<T> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.refuse(format!("calls and expressions nest deeper than {MAX_NESTING}"));
        }
        let done = work(self);
        self.nesting -= 1;
        done
    }

    fn new_slot(&mut self) -> Slot {
        self.n_slots += 1;
        Slot(self.n_slots - 1)
    }

    fn emit(&mut self, kind: Kind, args: Vec<Operand>, outs: Vec<Slot>) -> Done<()> {
        self.n_instrs += 1;
        if self.n_instrs > MAX_INSTRUCTIONS {
            return self.refuse(format!("the code comes to more than {MAX_INSTRUCTIONS} instructions"));
        }
        if matches!(kind, Kind::Move) {
            self.moved.extend(args.iter().filter_map(|arg| arg.slot()).chain(outs.iter().copied()));
        }
        self.block.push(Instr::new(kind, args, outs, self.at));
        Ok(())
    }

    fn emit_value(&mut self, kind: Kind, args: Vec<Operand>, never_none: bool) -> Done<Cv> {
        let slot = self.new_slot();
        self.emit(kind, args, vec![slot])?;
        Ok(Cv::Slot { slot, never_none })
    }

    /// Instructions of `work` go to a block of their own, which not every run enters.
    fn in_block<T>(&mut self, work: impl FnOnce(&mut Self) -> Done<T>) -> Done<(T, Block)> {
        let reach = self.reach;
        let done = self.in_sure_block(work);
        self.reach = reach;
        done
    }

    /// As `in_block`, of a block that every run enters.
    fn in_sure_block<T>(&mut self, work: impl FnOnce(&mut Self) -> Done<T>) -> Done<(T, Block)> {
        self.block_nesting += 1;
        if self.block_nesting > MAX_BLOCK_NESTING {
            return self.refuse(format!("conditions and loops nest deeper than {MAX_BLOCK_NESTING}"));
        }
        let outer = std::mem::take(&mut self.block);
        let done = work(self);
        self.block_nesting -= 1;
        let inner = std::mem::replace(&mut self.block, outer);
        Ok((done?, inner))
    }

    // ---- values -----------------------------------------------------------------------------------

    fn constant(&mut self, value: Value) -> u32 {
        self.consts.push(value);
        (self.consts.len() - 1) as u32
    }

    /// `cv` as something an instruction can read.
    fn operand(&mut self, cv: &Cv) -> Done<Operand> {
        Ok(match cv {
            Cv::Slot { slot, .. } => Operand::Slot(*slot),
            Cv::Plain(value) => {
                let known = self.consts.iter().rev().take(64).position(|c| c.is_same_plain(value));
                match known {
                    Some(back) => Operand::Const((self.consts.len() - 1 - back) as u32),
                    None => Operand::Const(self.constant(value.clone())),
                }
            }
            Cv::Const(index) => Operand::Const(*index),
            Cv::Tuple(tuple) => {
                let args = tuple.items.iter().map(|item| self.operand(item)).collect::<Done<Vec<_>>>()?;
                let cv = self.emit_value(Kind::Tuple, args, true)?;
                return self.operand(&cv);
            }
            Cv::Uninitialized => Operand::Const(self.constant(Value::None)),
            Cv::Object(_) => return self.refuse("a module is used as a value"),
            Cv::Made(_) => return self.refuse("an object is used as a value, as in a list or a result"),
            Cv::Path(path) => return self.refuse(format!("`{path}` is used as a value")),
        })
    }

    fn tuple(&self, items: Vec<Cv>, names: Option<Rc<[String]>>) -> Done<Cv> {
        let (mut n_parts, mut depth) = (1, 1);
        for item in &items {
            if let Cv::Tuple(inner) = item {
                n_parts += inner.n_parts;
                depth = depth.max(inner.depth + 1);
            }
        }
        n_parts += items.len();
        if n_parts > MAX_TUPLE_PARTS || depth > u32::from(crate::value::MAX_DEPTH) {
            return self.refuse(format!("a tuple of {n_parts} parts, nested {depth} deep"));
        }
        Ok(Cv::Tuple(Rc::new(TupleCv { items, names, n_parts, depth })))
    }

    fn from_state(&mut self, in_constants: bool, id: Id) -> Done<Cv> {
        if let Some(cv) = self.const_of.get(&(in_constants, id)) {
            return Ok(cv.clone());
        }
        let state = if in_constants { &mut self.constants } else { &mut self.data };
        let cv = match state.pickle.node(id) {
            Node::Object { class, state: Some(state) } if is_packed(class) => {
                let state = *state;
                self.nested(|this| this.from_state(in_constants, state))?
            }
            Node::Object { .. } if in_constants => return self.refuse("a constant is an object"),
            Node::Object { .. } => Cv::Object(id),
            Node::Tuple(items) => {
                let items = items.clone();
                let items =
                    self.nested(|this| items.iter().map(|&item| this.from_state(in_constants, item)).collect())?;
                self.tuple(items, None)?
            }
            _ => match state.value(id)? {
                Some(
                    value @ (Value::Tensor(_) | Value::Complex(_) | Value::List(_) | Value::Dict(_) | Value::Tuple(_)),
                ) => Cv::Const(self.constant(value)),
                Some(value) => Cv::Plain(value),
                None => return self.refuse("a list of modules is used as a value"),
            },
        };
        self.const_of.insert((in_constants, id), cv.clone());
        Ok(cv)
    }

    fn class(&mut self, qualified: &str) -> Done<(Rc<Class>, u32)> {
        match self.library.find(qualified)? {
            Some((Definition::Class(class), file)) => Ok((class, file)),
            _ => self.refuse(format!("class {qualified} is not in the archive's code")),
        }
    }

    /// An attribute of an object whose state is a tuple, which its `__setstate__` takes apart: quantised layers are kept so.
    fn restored(&mut self, object: Id, name: &str) -> Done<Option<Cv>> {
        let items = match self.data.pickle.node(object) {
            Node::Object { state: Some(state), .. } => match self.data.pickle.node(*state) {
                Node::Tuple(items) => items.clone(),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let (class, _) = self.class_of(object)?;
        let Some(method) = class.methods.iter().find(|m| m.name == "__setstate__") else { return Ok(None) };
        let item = |expr: &Expr| match expr {
            Expr::Index(_, index) => match &**index {
                Expr::Int(i) => usize::try_from(*i).ok().and_then(|i| items.get(i)).copied(),
                _ => None,
            },
            _ => None,
        };
        let assigned = method.body.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::SetAttr { path, value } if path.last().is_some_and(|last| last == name) => item(value),
            _ => None,
        });
        if let Some(id) = assigned {
            return self.from_state(false, id).map(Some);
        }
        // Weights are packed by a call: they come with the window that the other attributes say.
        let packed = method.body.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::Assign { values, .. } => match &values[..] {
                [Expr::Call { callee, args, .. }] => match (&**callee, &args[..]) {
                    (Expr::Attr(_, method), [weight, bias]) if method == "set_weight_bias" => {
                        Some((item(weight)?, item(bias)?))
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
        let Some((weight, bias)) = packed.filter(|_| name == "_packed_params") else { return Ok(None) };
        let mut parts = vec![self.from_state(false, weight)?, self.from_state(false, bias)?];
        let mode = self.restored(object, "padding_mode")?;
        let is_padded_before = !matches!(mode, Some(Cv::Plain(Value::Str(mode))) if &*mode == "zeros");
        for part in ["stride", "padding", "dilation", "output_padding", "groups"] {
            let value = self.restored(object, part)?;
            parts.push(match value {
                Some(Cv::Tuple(tuple)) if part == "padding" && is_padded_before => {
                    let zeros = vec![Cv::Plain(Value::Int(0)); tuple.items.len()];
                    self.tuple(zeros, None)?
                }
                Some(value) => value,
                None => return Ok(None),
            });
        }
        self.tuple(parts, None).map(Some)
    }

    fn class_of(&mut self, object: Id) -> Done<(Rc<Class>, u32)> {
        match self.data.pickle.node(object) {
            Node::Object { class, .. } => {
                let class = class.clone();
                self.class(&class)
            }
            _ => self.refuse("a method of something that is no object"),
        }
    }

    // ---- statements -------------------------------------------------------------------------------

    /// Runs a function's body with its parameters bound; gives what it returns.
    fn body(&mut self, function: &Function, file: u32, env: &mut Env) -> Done<Cv> {
        let outer = std::mem::replace(&mut self.at, At { file, line: function.line });
        let result = self.stmts(&function.body, env)?;
        self.at = outer;
        Ok(result.unwrap_or(Cv::Plain(Value::None)))
    }

    /// `Some` when the block ends in `return`.
    fn stmts(&mut self, stmts: &[Stmt], env: &mut Env) -> Done<Option<Cv>> {
        for (idx, stmt) in stmts.iter().enumerate() {
            self.at.line = stmt.line;
            if let Some(result) = self.nested(|this| this.stmt(stmt, env))? {
                if idx + 1 < stmts.len() {
                    return self.refuse("statements follow a return");
                }
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    fn stmt(&mut self, stmt: &Stmt, env: &mut Env) -> Done<Option<Cv>> {
        match &stmt.kind {
            StmtKind::Pass => {}
            StmtKind::Local(function) => {
                self.locals.insert(function.name.clone(), Rc::new((**function).clone()));
            }
            // A sort whose result nobody takes is that of a list, which changes.
            StmtKind::Expr(Expr::Call { callee, args, kwargs }) if names_torch(callee, "sort") && kwargs.is_empty() => {
                let args = args.iter().map(|arg| self.expr(arg, env)).collect::<Done<Vec<_>>>()?;
                self.operator("list.sort", args, Vec::new())?;
            }
            StmtKind::Expr(expr) => {
                self.expr(expr, env)?;
            }
            StmtKind::Return(expr) => {
                let Some(expr) = expr else { return Ok(Some(Cv::Plain(Value::None))) };
                return self.expr(expr, env).map(Some);
            }
            StmtKind::Assign { targets, values } => {
                let values = values.iter().map(|value| self.expr(value, env)).collect::<Done<Vec<_>>>()?;
                for (target, value) in targets.iter().zip(values) {
                    env.insert(target.clone(), value);
                }
            }
            StmtKind::Unpack { targets, value } => {
                let value = self.expr(value, env)?;
                self.unpack(targets, value, env)?;
            }
            StmtKind::SetAttr { path, value } => self.set_attr(path, value, env)?,
            StmtKind::With { context, body } => {
                return match self.expr(context, env)? {
                    Cv::Path(path) if path.starts_with(GRAD_MODES) => self.stmts(body, env),
                    _ => self.refuse("`with` of something else than a mode of gradients"),
                };
            }
            StmtKind::If { cond, then, otherwise } => return self.if_stmt(cond, then, otherwise, env),
            StmtKind::While { cond, body } => self.while_stmt(cond, body, env)?,
            StmtKind::For { name, count, body } => self.for_stmt(name, count, body, env)?,
        }
        Ok(None)
    }

    fn unpack(&mut self, targets: &[String], value: Cv, env: &mut Env) -> Done<()> {
        if let Cv::Tuple(tuple) = &value {
            if tuple.items.len() != targets.len() {
                return self.refuse(format!("{} values for {} names", tuple.items.len(), targets.len()));
            }
            for (target, item) in targets.iter().zip(&tuple.items) {
                env.insert(target.clone(), item.clone());
            }
            return Ok(());
        }
        let source = self.operand(&value)?;
        let outs: Vec<Slot> = targets.iter().map(|_| self.new_slot()).collect();
        self.emit(Kind::Unpack, vec![source], outs.clone())?;
        for (target, slot) in targets.iter().zip(outs) {
            env.insert(target.clone(), Cv::Slot { slot, never_none: false });
        }
        Ok(())
    }

    fn expr(&mut self, expr: &Expr, env: &Env) -> Done<Cv> {
        self.nested(|this| this.expr_inner(expr, env))
    }

    fn expr_inner(&mut self, expr: &Expr, env: &Env) -> Done<Cv> {
        match expr {
            Expr::Int(i) => Ok(Cv::Plain(Value::Int(*i))),
            Expr::Float(f) => Ok(Cv::Plain(Value::Float(*f))),
            Expr::Str(text) => Ok(Cv::Plain(Value::str(text.as_str()))),
            Expr::Uninitialized => Ok(Cv::Uninitialized),
            Expr::Name(name) => self.name(name, env),
            Expr::Typed(ty, value) => {
                let value = self.expr(value, env)?;
                Ok(match value {
                    // `unchecked_cast` of an optional: the code has just tested it.
                    Cv::Slot { slot, never_none } => Cv::Slot { slot, never_none: never_none || ty.is_never_none() },
                    known => known,
                })
            }
            Expr::Tuple(items) => {
                let items = items.iter().map(|item| self.expr(item, env)).collect::<Done<Vec<_>>>()?;
                self.tuple(items, None)
            }
            Expr::List(items) => {
                let args = self.operands(items, env)?;
                self.emit_value(Kind::List, args, true)
            }
            Expr::Dict(items) => {
                let mut args = Vec::with_capacity(items.len() * 2);
                for (key, value) in items {
                    let key = self.expr(key, env)?;
                    args.push(self.operand(&key)?);
                    let value = self.expr(value, env)?;
                    args.push(self.operand(&value)?);
                }
                self.emit_value(Kind::Dict, args, true)
            }
            Expr::Index(base, index) => {
                let base = self.expr(base, env)?;
                let index = self.expr(index, env)?;
                if let (Cv::Tuple(tuple), Cv::Plain(Value::Int(i))) = (&base, &index) {
                    let n = tuple.items.len() as i64;
                    let at = usize::try_from(if *i < 0 { n.saturating_add(*i) } else { *i }).ok();
                    return match at.and_then(|at| tuple.items.get(at)) {
                        Some(item) => Ok(item.clone()),
                        None => self.refuse(format!("item {i} of a tuple of {n}")),
                    };
                }
                self.operator("torch.__getitem__", vec![base, index], Vec::new())
            }
            Expr::Attr(base, name) => {
                let base = self.expr(base, env)?;
                self.attribute(&base, name)
            }
            Expr::Call { callee, args, kwargs } => self.call(callee, args, kwargs, env),
        }
    }

    fn operands(&mut self, items: &[Expr], env: &Env) -> Done<Vec<Operand>> {
        let mut args = Vec::with_capacity(items.len());
        for item in items {
            let item = self.expr(item, env)?;
            args.push(self.operand(&item)?);
        }
        Ok(args)
    }

    fn name(&mut self, name: &str, env: &Env) -> Done<Cv> {
        if let Some(cv) = env.get(name) {
            return Ok(cv.clone());
        }
        Ok(match name {
            "None" => Cv::Plain(Value::None),
            "True" => Cv::Plain(Value::Bool(true)),
            "False" => Cv::Plain(Value::Bool(false)),
            "inf" => Cv::Plain(Value::Float(f64::INFINITY)),
            "nan" => Cv::Plain(Value::Float(f64::NAN)),
            "torch" | "ops" | "__torch__" | "CONSTANTS" => Cv::Path(name.into()),
            _ => return self.refuse(format!("`{name}` is not defined here")),
        })
    }

    /// A number of Python's that a trace saw is a constant of no dimensions, and PyTorch takes every such constant for one:
    /// beside tensors it decides no dtype. A tensor that the model made is copied first, and is one again.
    fn traced_number(&mut self, id: Id) -> Done<Option<Value>> {
        let is_number = |t: &Tensor| t.rank() == 0 && matches!(t.dtype(), DType::F64 | DType::I64);
        Ok(match self.constants.pickle.node(id) {
            Node::Tensor(_) => match self.constants.value(id)? {
                Some(Value::Tensor(t)) if is_number(&t) => t.item().ok().map(Value::from),
                _ => None,
            },
            _ => None,
        })
    }

    fn attribute(&mut self, base: &Cv, name: &str) -> Done<Cv> {
        match base {
            Cv::Path(path) if &**path == "CONSTANTS" => {
                let index = name.strip_prefix('c').and_then(|digits| digits.parse::<usize>().ok());
                let root = self.constants.pickle.root();
                let id = match self.constants.pickle.node(root) {
                    Node::Tuple(items) => index.and_then(|i| items.get(i).copied()),
                    _ => None,
                };
                match id {
                    Some(id) => match self.traced_number(id)? {
                        Some(number) => Ok(Cv::Plain(number)),
                        None => self.from_state(true, id),
                    },
                    None => self.refuse(format!("CONSTANTS.{name} is not in constants.pkl")),
                }
            }
            Cv::Path(path) => {
                let member = self.member(path, name)?;
                Ok(member.map_or_else(|| Cv::Path(format!("{path}.{name}").into()), Cv::Plain))
            }
            Cv::Made(object) => self.field(*object, name),
            Cv::Object(id) => {
                if let Some(assigned) = self.state(*id, name)? {
                    return Ok(assigned);
                }
                if let Some(value) = self.data.pickle.get(*id, name) {
                    return self.from_state(false, value);
                }
                if let Some(value) = self.restored(*id, name)? {
                    return Ok(value);
                }
                let (class, file) = self.class_of(*id)?;
                match class.attributes.iter().find(|a| a.name == name).and_then(|a| a.value.as_ref()) {
                    Some(value) => {
                        let outer = std::mem::replace(&mut self.at, At { file, line: class.line });
                        let value = self.expr(value, &Env::new());
                        self.at = outer;
                        value
                    }
                    None => self.refuse(format!("class {} has no attribute `{name}`", class.name)),
                }
            }
            Cv::Tuple(tuple) => {
                let index = tuple.names.as_ref().and_then(|names| names.iter().position(|n| n == name));
                match index {
                    Some(index) => Ok(tuple.items[index].clone()),
                    None => self.refuse(format!("a tuple has no field `{name}`")),
                }
            }
            // Members of enums are their values: whether this is one is seen when the model runs.
            member @ (Cv::Plain(_) | Cv::Slot { .. }) if name == "value" => {
                self.operator("enum.value", vec![member.clone()], Vec::new())
            }
            other @ (Cv::Plain(_) | Cv::Slot { .. }) if name == "name" => {
                self.refuse(format!("attribute `name` of {}: members of enums have only their values", describe(other)))
            }
            other => self.refuse(format!("attribute `{name}` of {}", describe(other))),
        }
    }

    /// The value of `path.name`, where that is a member of an enum: a number or a text, written out.
    fn member(&mut self, path: &str, name: &str) -> Done<Option<Value>> {
        if !path.starts_with("__torch__.") {
            return Ok(None);
        }
        let Some((Definition::Class(class), _)) = self.library.find(path)? else { return Ok(None) };
        let member = class.attributes.iter().find(|member| class.kind == ClassKind::Enum && member.name == name);
        Ok(match member.and_then(|member| member.value.as_ref()) {
            Some(Expr::Int(i)) => Some(Value::Int(*i)),
            Some(Expr::Float(f)) => Some(Value::Float(*f)),
            Some(Expr::Str(text)) => Some(Value::str(text.as_str())),
            _ => None,
        })
    }

    // ---- calls ------------------------------------------------------------------------------------
}

/// Keys of the dict that a function returns, when it is written out at the function's own level.
fn result_keys(function: &Function) -> Option<Vec<String>> {
    let mut dicts: HashMap<&str, &[(Expr, Expr)]> = HashMap::new();
    for stmt in &function.body {
        match &stmt.kind {
            StmtKind::Assign { targets, values } => {
                for (target, value) in targets.iter().zip(values) {
                    match value {
                        Expr::Dict(items) => dicts.insert(target, items),
                        _ => dicts.remove(target.as_str()),
                    };
                }
            }
            StmtKind::Return(Some(Expr::Dict(items))) => return Some(dict_keys(items)),
            StmtKind::Return(Some(Expr::Name(name))) => return dicts.get(name.as_str()).map(|items| dict_keys(items)),
            _ => {}
        }
    }
    None
}

fn dict_keys(items: &[(Expr, Expr)]) -> Vec<String> {
    let key = |(key, _): &(Expr, Expr)| match key {
        Expr::Str(text) => text.clone(),
        _ => String::new(),
    };
    items.iter().map(key).collect()
}

fn names_torch(callee: &Expr, function: &str) -> bool {
    matches!(callee, Expr::Attr(base, name) if name == function && matches!(&**base, Expr::Name(n) if n == "torch"))
}

fn never_none(cv: &Cv) -> bool {
    known_none(cv) == Some(false)
}

fn known_none(cv: &Cv) -> Option<bool> {
    match cv {
        Cv::Plain(value) => Some(value.is_none()),
        Cv::Slot { never_none: true, .. } | Cv::Const(_) | Cv::Tuple(_) | Cv::Object(_) | Cv::Made(_) => Some(false),
        Cv::Slot { .. } | Cv::Path(_) | Cv::Uninitialized => None,
    }
}

fn describe(cv: &Cv) -> String {
    match cv {
        Cv::Plain(value) => value.kind().to_string(),
        Cv::Path(path) => format!("`{path}`"),
        Cv::Object(_) => "a module".into(),
        Cv::Made(_) => "an object".into(),
        Cv::Tuple(_) => "a tuple".into(),
        Cv::Slot { .. } | Cv::Const(_) => "a value that is no module".into(),
        Cv::Uninitialized => "an uninitialized value".into(),
    }
}
