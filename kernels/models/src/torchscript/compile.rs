//! The compiler: from the archived source and the model's data to one graph.
//!
//! It runs the code of `forward` abstractly. A name is bound to what is known about it ([`Cv`]): a constant,
//! a slot, a tuple of such, or a module of the object tree. Attributes of modules are constants, calls are
//! inlined, a condition that is known keeps only its branch. What remains unknown becomes instructions.
//!
//! Operators that are not in the table do not stop the compiler: it notes each with its place and goes on,
//! so that the error at the end names them all. Libraries choose by `if` among operators that a model never reaches,
//! so one that stands where the model may not come is an error of the run that comes there.
//!
//! Archives are untrusted, so nesting, calls and instructions are bounded by the constants below.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::ast::*;
use super::library::{Definition, Library};
use super::state::State;
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

/// Compiles `forward` of the object at the root of `data`.
pub fn compile(library: Library<'_>, data: State<'_>, constants: State<'_>) -> Done<Compiled> {
    let compiler = Compiler {
        library,
        data,
        constants,
        consts: Vec::new(),
        const_of: HashMap::new(),
        n_slots: 0,
        n_instrs: 0,
        n_calls: 0,
        nesting: 0,
        block_nesting: 0,
        block: Vec::new(),
        at: At::default(),
        unknown: Vec::new(),
        reach: Reach::End,
    };
    compiler.run()
}

struct Compiler<'a> {
    library: Library<'a>,
    data: State<'a>,
    constants: State<'a>,
    consts: Vec<Value>,
    /// Constants by their node: `true` for those of `constants.pkl`.
    const_of: HashMap<(bool, Id), Cv>,
    n_slots: u32,
    n_instrs: usize,
    n_calls: usize,
    nesting: u32,
    block_nesting: u32,
    /// The block being filled.
    block: Block,
    at: At,
    unknown: Vec<UnknownOperator>,
    /// Of the block being filled.
    reach: Reach,
}

impl<'a> Compiler<'a> {
    fn run(mut self) -> Done<Compiled> {
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
        let Some(forward) = class.methods.iter().find(|m| m.name == "forward") else {
            return self.refuse(format!("class {class_name} has no method `forward`"));
        };
        let mut env = Env::new();
        let mut inputs = Vec::new();
        let params: Vec<Param> = forward.params.iter().skip(1).cloned().collect();
        if let Some(this) = forward.params.first() {
            env.insert(this.name.clone(), Cv::Object(root));
        }
        for param in &params {
            let slot = self.new_slot();
            inputs.push(slot);
            let never_none = param.ty.as_ref().is_some_and(Type::is_never_none);
            env.insert(param.name.clone(), Cv::Slot { slot, never_none });
        }
        let result = self.body(forward, file, &mut env)?;
        let output = self.operand(&result)?;
        if self.reach == Reach::Unknown {
            let file = self.place().file;
            return Err(ModelError::UnknownOperators { file, operators: self.unknown });
        }
        let mut graph = Graph {
            body: std::mem::take(&mut self.block),
            consts: std::mem::take(&mut self.consts),
            n_slots: self.n_slots,
            inputs,
            output,
            files: self.library.names.clone(),
        };
        graph.find_last_uses();
        let result = forward.result.clone();
        Ok(Compiled { graph, params, result, result_keys: result_keys(forward) })
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
        let (args, outs) = (args.into_boxed_slice(), outs.into_boxed_slice());
        self.block.push(Instr { kind, args, outs, frees: Box::default(), at: self.at });
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
                let known = self.consts.iter().rev().take(64).position(|c| same_plain(c, value));
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
            // Of PyTorch's own classes, those of packed weights, the state is all there is.
            Node::Object { class, state: Some(state) } if class.starts_with("__torch__.torch.classes.") => {
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
            StmtKind::SetAttr { path, .. } => {
                return self.refuse(format!(
                    "`{}` is assigned: the model changes its own state, but loaded models are immutable",
                    path.join(".")
                ));
            }
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

    fn if_stmt(&mut self, cond: &Expr, then: &[Stmt], otherwise: &[Stmt], env: &mut Env) -> Done<Option<Cv>> {
        let cond = self.expr(cond, env)?;
        if let Cv::Plain(Value::Bool(known)) = cond {
            return self.stmts(if known { then } else { otherwise }, env);
        }
        let cond = self.operand(&cond)?;
        let at = self.at;
        let mut env_else = env.clone();
        let reach = std::mem::replace(&mut self.reach, Reach::End);
        let (result_then, mut block_then) = self.in_sure_block(|this| this.stmts(then, env))?;
        let reach_then = std::mem::replace(&mut self.reach, Reach::End);
        self.at = at;
        let (result_else, mut block_else) = self.in_sure_block(|this| this.stmts(otherwise, &mut env_else))?;
        let reach_else = self.reach;
        self.at = at;
        // Where both ways end early, so does every run.
        let both = if reach_then.min(reach_else) == Reach::End { Reach::End } else { reach_then.max(reach_else) };
        self.reach = reach.max(both);

        let mut merge = Merge::default();
        let env_then = std::mem::take(env);
        // In the order of the names, so that a model compiles to the same graph each time.
        let names: BTreeSet<&String> = env_then.keys().collect();
        for name in names {
            if let (Some(a), Some(b)) = (env_then.get(name), env_else.get(name)) {
                let merged = self.merge(a, b, &mut merge)?;
                env.insert(name.clone(), merged);
            }
        }
        let result = match (result_then, result_else) {
            (None, None) => None,
            (Some(a), Some(b)) => Some(self.merge(&a, &b, &mut merge)?),
            // The other branch can only have raised.
            (Some(one), None) | (None, Some(one)) => Some(one),
        };
        self.move_at_end(&mut block_then, &merge.outs, &merge.then)?;
        self.move_at_end(&mut block_else, &merge.outs, &merge.otherwise)?;
        self.emit(Kind::If(block_then, block_else), vec![cond], Vec::new())?;
        Ok(result)
    }

    /// One binding for what is `a` after one branch and `b` after the other.
    fn merge(&mut self, a: &Cv, b: &Cv, merge: &mut Merge) -> Done<Cv> {
        match (a, b) {
            (Cv::Slot { slot: x, never_none: p }, Cv::Slot { slot: y, never_none: q }) if x == y => {
                return Ok(Cv::Slot { slot: *x, never_none: *p && *q });
            }
            (Cv::Plain(x), Cv::Plain(y)) if same_plain(x, y) => return Ok(a.clone()),
            (Cv::Const(x), Cv::Const(y)) if x == y => return Ok(a.clone()),
            (Cv::Object(x), Cv::Object(y)) if x == y => return Ok(a.clone()),
            (Cv::Path(x), Cv::Path(y)) if x == y => return Ok(a.clone()),
            // Two modules by the same name: only an error when it is used later.
            (Cv::Object(_) | Cv::Path(_), _) | (_, Cv::Object(_) | Cv::Path(_)) => return Ok(Cv::Uninitialized),
            (Cv::Uninitialized, known) | (known, Cv::Uninitialized) => return Ok(known.clone()),
            (Cv::Tuple(x), Cv::Tuple(y)) if Rc::ptr_eq(x, y) => return Ok(a.clone()),
            (Cv::Tuple(x), Cv::Tuple(y)) if x.items.len() == y.items.len() => {
                let items = x.items.iter().zip(&y.items).map(|(a, b)| self.merge(a, b, merge));
                let items = items.collect::<Done<Vec<_>>>()?;
                return self.tuple(items, x.names.clone());
            }
            _ => {}
        }
        let out = self.new_slot();
        merge.outs.push(out);
        merge.then.push(a.clone());
        merge.otherwise.push(b.clone());
        Ok(Cv::Slot { slot: out, never_none: never_none(a) && never_none(b) })
    }

    /// Appends to `block` the move of `values` into `outs`.
    fn move_at_end(&mut self, block: &mut Block, outs: &[Slot], values: &[Cv]) -> Done<()> {
        if outs.is_empty() {
            return Ok(());
        }
        let outer = std::mem::replace(&mut self.block, std::mem::take(block));
        let args = values.iter().map(|value| self.operand(value)).collect::<Done<Vec<_>>>();
        let done = args.and_then(|args| self.emit(Kind::Move, args, outs.to_vec()));
        *block = std::mem::replace(&mut self.block, outer);
        done
    }

    /// Gives each name that the loop assigns a slot which holds its value at the start of a round.
    fn enter_loop(&mut self, body: &[Stmt], env: &mut Env) -> Done<Vec<(String, Slot)>> {
        let mut assigned = BTreeSet::new();
        assigned_names(body, &mut assigned);
        let mut carried = Vec::new();
        let (mut inits, mut outs) = (Vec::new(), Vec::new());
        for name in assigned {
            let Some(init) = env.get(&name).cloned() else { continue };
            let slot = self.new_slot();
            inits.push(self.operand(&init)?);
            outs.push(slot);
            env.insert(name.clone(), Cv::Slot { slot, never_none: false });
            carried.push((name, slot));
        }
        if !outs.is_empty() {
            self.emit(Kind::Move, inits, outs)?;
        }
        Ok(carried)
    }

    /// The end of a round: the new values go to the carried slots. Names born in the loop end with it.
    fn end_round(&mut self, carried: &[(String, Slot)], env: &Env) -> Done<()> {
        let (mut values, mut outs) = (Vec::new(), Vec::new());
        for (name, slot) in carried {
            let value = env.get(name).cloned().unwrap_or(Cv::Uninitialized);
            if !matches!(value, Cv::Slot { slot: same, .. } if same == *slot) {
                values.push(self.operand(&value)?);
                outs.push(*slot);
            }
        }
        if !outs.is_empty() {
            self.emit(Kind::Move, values, outs)?;
        }
        Ok(())
    }

    fn while_stmt(&mut self, cond: &Expr, body: &[Stmt], env: &mut Env) -> Done<()> {
        let at = self.at;
        let carried = self.enter_loop(body, env)?;
        let (cond, test) = self.in_sure_block(|this| {
            let cond = this.expr(cond, env)?;
            this.operand(&cond)
        })?;
        let mut inner = env.clone();
        let ((), block) = self.in_block(|this| {
            if this.stmts(body, &mut inner)?.is_some() {
                return this.refuse("a return inside a loop");
            }
            this.end_round(&carried, &inner)
        })?;
        self.at = at;
        self.emit(Kind::While { test, cond, body: block }, Vec::new(), Vec::new())
    }

    fn for_stmt(&mut self, name: &str, count: &Expr, body: &[Stmt], env: &mut Env) -> Done<()> {
        let at = self.at;
        let count = self.expr(count, env)?;
        let is_sure = matches!(count, Cv::Plain(Value::Int(1..)));
        let count = self.operand(&count)?;
        let carried = self.enter_loop(body, env)?;
        let index = self.new_slot();
        let mut inner = env.clone();
        inner.insert(name.to_string(), Cv::Slot { slot: index, never_none: true });
        let round = |this: &mut Self| {
            if this.stmts(body, &mut inner)?.is_some() {
                return this.refuse("a return inside a loop");
            }
            this.end_round(&carried, &inner)
        };
        let ((), block) = if is_sure { self.in_sure_block(round)? } else { self.in_block(round)? };
        self.at = at;
        self.emit(Kind::For(block), vec![count], vec![index])
    }

    // ---- expressions ------------------------------------------------------------------------------

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
                    Some(id) => self.from_state(true, id),
                    None => self.refuse(format!("CONSTANTS.{name} is not in constants.pkl")),
                }
            }
            Cv::Path(path) => Ok(Cv::Path(format!("{path}.{name}").into())),
            Cv::Object(id) => {
                if let Some(value) = self.data.pickle.get(*id, name) {
                    return self.from_state(false, value);
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
            other => self.refuse(format!("attribute `{name}` of {}", describe(other))),
        }
    }

    // ---- calls ------------------------------------------------------------------------------------

    fn call(&mut self, callee: &Expr, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<Cv> {
        let method = match callee {
            Expr::Name(name) if !env.contains_key(name) => match name.as_str() {
                "getattr" => return self.getattr(args, env),
                "isinstance" => return self.is_instance(args, env),
                // Functions of Python that the table has.
                name if ops::find(name).is_some() => {
                    let args = args.iter().map(|arg| self.expr(arg, env)).collect::<Done<Vec<_>>>()?;
                    return self.operator(name, args, Vec::new());
                }
                _ => return self.refuse(format!("call of unknown function `{name}`")),
            },
            Expr::Attr(base, method) => {
                let base = self.expr(base, env)?;
                match base {
                    Cv::Object(object) => Some((object, method)),
                    Cv::Path(_) => None,
                    value if method == "tolist" && args.is_empty() => {
                        return self.operator("tolist", vec![value], Vec::new());
                    }
                    other => return self.refuse(format!("method `{method}` of {}", describe(&other))),
                }
            }
            _ => None,
        };
        if let Some((object, name)) = method {
            let (class, file) = self.class_of(object)?;
            let Some(function) = class.methods.iter().find(|m| m.name == *name) else {
                return self.refuse(format!("class {} has no method `{name}`", class.name));
            };
            let (args, kwargs) = self.arguments(args, kwargs, env)?;
            let all = std::iter::once(Cv::Object(object)).chain(args).collect();
            return self.inline(function, file, all, kwargs);
        }
        let Cv::Path(path) = self.expr(callee, env)? else {
            return self.refuse("call of something that is no function");
        };
        if !path.starts_with("__torch__.") {
            return self.operator_call(&path, args, kwargs, env);
        }
        if path.starts_with(GRAD_MODES) {
            // Gradients are never recorded here, so making such a mode and entering it does nothing.
            let class = path.strip_suffix(".__new__").unwrap_or(&path);
            return Ok(Cv::Path(class.into()));
        }
        match self.library.find(&path)? {
            Some((Definition::Function(function), file)) => {
                let (args, kwargs) = self.arguments(args, kwargs, env)?;
                self.inline(&function, file, args, kwargs)
            }
            Some((Definition::Class(class), _)) if class.kind == ClassKind::NamedTuple => {
                let (args, kwargs) = self.arguments(args, kwargs, env)?;
                if args.len() != class.attributes.len() || !kwargs.is_empty() {
                    return self.refuse(format!("{path} takes {} fields", class.attributes.len()));
                }
                let names = class.attributes.iter().map(|a| a.name.clone()).collect();
                self.tuple(args, Some(names))
            }
            Some((Definition::Class(_), _)) => {
                self.refuse(format!("objects of class {path} made while the model runs are not supported"))
            }
            None => self.refuse(format!("`{path}` is not in the archive's code")),
        }
    }

    /// `isinstance(value, T)` and `isinstance(value, (T, U))`. What is known while compiling is decided then.
    fn is_instance(&mut self, args: &[Expr], env: &Env) -> Done<Cv> {
        let [value, types] = args else { return self.refuse("isinstance takes a value and a type") };
        let mut names = Vec::new();
        match types {
            Expr::Tuple(types) | Expr::List(types) => {
                for ty in types {
                    names.push(type_name(ty));
                }
            }
            one => names.push(type_name(one)),
        }
        let Some(names) = names.into_iter().collect::<Option<Vec<String>>>() else {
            return self.refuse("isinstance with something that is no type");
        };
        match self.expr(value, env)? {
            Cv::Tuple(tuple) => {
                let is_it = names.iter().any(|name| match &tuple.names {
                    Some(_) => name.starts_with("__torch__."),
                    None => name == "Tuple",
                });
                Ok(Cv::Plain(Value::Bool(is_it)))
            }
            Cv::Object(_) => Ok(Cv::Plain(Value::Bool(names.iter().any(|name| name.starts_with("__torch__."))))),
            value => {
                let types = Cv::Plain(Value::str(names.join("|")));
                self.operator("isinstance", vec![value, types], Vec::new())
            }
        }
    }

    fn getattr(&mut self, args: &[Expr], env: &Env) -> Done<Cv> {
        let [base, Expr::Str(name)] = args else { return self.refuse("getattr takes an object and a text") };
        let base = self.expr(base, env)?;
        self.attribute(&base, name)
    }

    fn arguments(&mut self, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<(Vec<Cv>, Vec<(String, Cv)>)> {
        let args = args.iter().map(|arg| self.expr(arg, env)).collect::<Done<_>>()?;
        let kwargs = kwargs.iter().map(|(name, arg)| Ok((name.clone(), self.expr(arg, env)?))).collect::<Done<_>>()?;
        Ok((args, kwargs))
    }

    fn inline(&mut self, function: &Function, file: u32, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Done<Cv> {
        self.n_calls += 1;
        if self.n_calls > MAX_CALLS {
            return self.refuse(format!("more than {MAX_CALLS} calls"));
        }
        if args.len() > function.params.len() {
            return self.refuse(format!(
                "`{}` takes {} arguments, {} are given",
                function.name,
                function.params.len(),
                args.len()
            ));
        }
        let mut env = Env::new();
        let n_args = args.len();
        for (param, arg) in function.params.iter().zip(args) {
            let arg = match (arg, &param.ty) {
                (Cv::Slot { slot, never_none }, Some(ty)) => {
                    Cv::Slot { slot, never_none: never_none || ty.is_never_none() }
                }
                (arg, _) => arg,
            };
            env.insert(param.name.clone(), arg);
        }
        for (name, arg) in kwargs {
            if !function.params.iter().skip(n_args).any(|p| p.name == name) {
                return self.refuse(format!("`{}` takes no argument `{name}`", function.name));
            }
            env.insert(name, arg);
        }
        for param in &function.params {
            if !env.contains_key(&param.name) {
                let Some(default) = &param.default else {
                    return self.refuse(format!("`{}` lacks its argument `{}`", function.name, param.name));
                };
                let value = self.expr(default, &Env::new())?;
                env.insert(param.name.clone(), value);
            }
        }
        self.nested(|this| this.body(function, file, &mut env))
    }

    /// `torch.…` and `ops.…`: a form that the compiler knows, or a row of the table.
    fn operator_call(&mut self, path: &str, args: &[Expr], kwargs: &[(String, Expr)], env: &Env) -> Done<Cv> {
        let (args, kwargs) = self.arguments(args, kwargs, env)?;
        match (path, &*args) {
            ("ops.prim.RaiseException", [message, rest @ ..]) => {
                let class: Arc<str> = match rest.first() {
                    Some(Cv::Plain(Value::Str(class))) => class.strip_prefix("builtins.").unwrap_or(class).into(),
                    _ => "Exception".into(),
                };
                let message = self.operand(message)?;
                self.emit(Kind::Raise(class), vec![message], Vec::new())?;
                self.reach = self.reach.max(Reach::Raise);
                Ok(Cv::Uninitialized)
            }
            // Warnings are about the code, not about the result.
            ("torch.warn", _) => Ok(Cv::Plain(Value::None)),
            ("torch.__is__" | "torch.__isnot__", [value, Cv::Plain(Value::None)])
            | ("torch.__is__" | "torch.__isnot__", [Cv::Plain(Value::None), value])
                if known_none(value).is_some() =>
            {
                let is_none = known_none(value) == Some(true);
                Ok(Cv::Plain(Value::Bool(is_none == (path == "torch.__is__"))))
            }
            ("ops.prim.unchecked_unwrap_optional" | "ops.prim.data", [value]) => Ok(value.clone()),
            ("torch.device", [Cv::Plain(device), ..]) => Ok(Cv::Plain(device.clone())),
            ("torch.len", [Cv::Tuple(tuple)]) => Ok(Cv::Plain(Value::Int(tuple.items.len() as i64))),
            ("torch.annotate" | "torch.jit.annotate", [_, value]) => Ok(value.clone()),
            _ => self.operator(path, args, kwargs),
        }
    }

    fn operator(&mut self, path: &str, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Done<Cv> {
        let Some((row, in_place)) = ops::find(path) else { return self.note_unknown(path.to_string()) };
        let bound = match bind(row, args, kwargs) {
            Ok(bound) => bound,
            Err(what) => return self.note_unknown(format!("{path}{what}")),
        };
        if row.traits != Traits::Effect
            && !in_place
            && let Some(result) = fold(row, &bound)
        {
            return Ok(Cv::Plain(result));
        }
        let args = bound.iter().map(|arg| self.operand(arg)).collect::<Done<Vec<_>>>()?;
        let kind = if in_place { Kind::InPlace(row) } else { Kind::Op(row) };
        self.emit_value(kind, args, row.traits == Traits::Pure)
    }

    fn note_unknown(&mut self, name: String) -> Done<Cv> {
        let message = self.constant(Value::str(format!("operator {name} is not supported")));
        self.emit(Kind::Raise("NotImplementedError".into()), vec![Operand::Const(message)], Vec::new())?;
        self.reach = Reach::Unknown;
        if self.unknown.len() < MAX_UNKNOWN {
            let place = self.place();
            self.unknown.push(UnknownOperator { name, place });
        }
        // Whatever it would give: no run comes further.
        let slot = self.new_slot();
        Ok(Cv::Slot { slot, never_none: false })
    }
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

/// Slots that a condition's branches fill, and with what.
#[derive(Default)]
struct Merge {
    outs: Vec<Slot>,
    then: Vec<Cv>,
    otherwise: Vec<Cv>,
}

fn dict_keys(items: &[(Expr, Expr)]) -> Vec<String> {
    let key = |(key, _): &(Expr, Expr)| match key {
        Expr::Str(text) => text.clone(),
        _ => String::new(),
    };
    items.iter().map(key).collect()
}

/// Arguments in the order of the row, with its defaults; or what does not fit.
fn bind(row: &'static OpRow, args: Vec<Cv>, kwargs: Vec<(String, Cv)>) -> Result<Vec<Cv>, String> {
    if args.len() > row.args.len() {
        return Err(format!(" with {} arguments (it takes {})", args.len(), row.args.len()));
    }
    let mut bound: Vec<Option<Cv>> = args.into_iter().map(Some).collect();
    bound.resize(row.args.len(), None);
    for (name, arg) in kwargs {
        match row.args.iter().position(|a| a.name == name) {
            Some(at) if bound[at].is_none() => bound[at] = Some(arg),
            Some(_) => return Err(format!(" with argument `{name}` given twice")),
            None => match arg {
                // What is left out and what is None say the same, so an argument we lack does not matter then.
                Cv::Plain(Value::None) => {}
                _ => return Err(format!(" with argument `{name}`")),
            },
        }
    }
    let mut out = Vec::with_capacity(bound.len());
    for (arg, spec) in bound.into_iter().zip(row.args) {
        match arg.or_else(|| spec.default.value().map(Cv::Plain)) {
            Some(arg) => out.push(arg),
            None => return Err(format!(" without its argument `{}`", spec.name)),
        }
    }
    Ok(out)
}

/// The result, when all arguments are plain constants and so is the result.
fn fold(row: &'static OpRow, bound: &[Cv]) -> Option<Value> {
    let mut values = Vec::with_capacity(bound.len());
    for arg in bound {
        match arg {
            Cv::Plain(value) => values.push(value),
            _ => return None,
        }
    }
    match (row.run)(&Args::new(row, &values)) {
        Ok(value @ (Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_))) => Some(value),
        // An error is the running model's: the code may never come here.
        _ => None,
    }
}

fn names_torch(callee: &Expr, function: &str) -> bool {
    matches!(callee, Expr::Attr(base, name) if name == function && matches!(&**base, Expr::Name(n) if n == "torch"))
}

/// `List[int]` as `List:int`, `int` and `__torch__.a.B` as they are.
fn type_name(ty: &Expr) -> Option<String> {
    Some(match ty {
        Expr::Name(name) => name.clone(),
        Expr::Attr(base, name) => format!("{}.{name}", type_name(base)?),
        Expr::Index(base, item) => match &**item {
            Expr::Name(item) => format!("{}:{item}", type_name(base)?),
            _ => type_name(base)?,
        },
        _ => return None,
    })
}

fn same_plain(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
        (Value::Str(x), Value::Str(y)) => x == y,
        _ => false,
    }
}

fn never_none(cv: &Cv) -> bool {
    known_none(cv) == Some(false)
}

fn known_none(cv: &Cv) -> Option<bool> {
    match cv {
        Cv::Plain(value) => Some(value.is_none()),
        Cv::Slot { never_none: true, .. } | Cv::Const(_) | Cv::Tuple(_) | Cv::Object(_) => Some(false),
        Cv::Slot { .. } | Cv::Path(_) | Cv::Uninitialized => None,
    }
}

fn describe(cv: &Cv) -> String {
    match cv {
        Cv::Plain(value) => value.kind().to_string(),
        Cv::Path(path) => format!("`{path}`"),
        Cv::Object(_) => "a module".into(),
        Cv::Tuple(_) => "a tuple".into(),
        Cv::Slot { .. } | Cv::Const(_) => "a value that is no module".into(),
        Cv::Uninitialized => "an uninitialized value".into(),
    }
}

fn assigned_names(body: &[Stmt], out: &mut BTreeSet<String>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Assign { targets, .. } | StmtKind::Unpack { targets, .. } => out.extend(targets.iter().cloned()),
            StmtKind::If { then, otherwise, .. } => {
                assigned_names(then, out);
                assigned_names(otherwise, out);
            }
            StmtKind::While { body, .. } | StmtKind::With { body, .. } => assigned_names(body, out),
            StmtKind::For { name, body, .. } => {
                out.insert(name.clone());
                assigned_names(body, out);
            }
            _ => {}
        }
    }
}
