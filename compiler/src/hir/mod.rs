//! The typed tree: the contract between checking and code generation.
//!
//! Everything is resolved: names are ids, every expression has its type, methods and operators on types of the library are calls,
//! comprehensions are loops, arguments are in the order of the parameters with defaults filled in. Generic functions are checked once and
//! stay generic here; code generation makes one copy for each list of type arguments.

mod ty;

pub use ty::*;

use stark_syntax::source::Span;
use std::collections::HashSet;
use std::rc::Rc;

pub use stark_syntax::ast::{BinaryOp, ParamMode, UnaryOp};

#[derive(Clone, Debug, Default)]
pub struct Program {
    pub modules: Vec<ModuleInfo>,
    pub adts: Vec<Adt>,
    pub traits: Vec<Trait>,
    pub impls: Vec<Impl>,
    pub fns: Vec<FnDef>,
    pub consts: Vec<Const>,
    pub globals: Vec<Global>,
    pub lang: Lang,
    /// The script's statements, or a call of `main`: no parameters, returns `()`.
    pub entry: FnId,
    /// When the program is compiled for its tests.
    pub tests: Vec<Test>,
    /// Guards under which another zone may be taken, by where they are.
    pub outer_guards: HashSet<Span>,
}

/// A `@test` function.
#[derive(Clone, Debug)]
pub struct Test {
    pub name: Rc<str>,
    /// Runs the script and the test: no parameters, returns `()`.
    pub entry: FnId,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// `helpers.text`; empty for the program's own file.
    pub path: Rc<str>,
    pub source: stark_syntax::source::SourceId,
    /// Part of the standard library: left out of traces.
    pub is_std: bool,
}

/// Library items that the compiler itself leans on, found by name in std's prelude.
#[derive(Clone, Debug, Default)]
pub struct Lang {
    pub vec: AdtId,
    pub map: AdtId,
    pub set: AdtId,
    pub range: AdtId,
    pub option: AdtId,
    pub result: AdtId,
    pub ordering: AdtId,
    pub future: AdtId,
    pub join_handle: AdtId,
    pub task_group: AdtId,
    pub channel: AdtId,
    pub subscription: AdtId,
    pub actor_ref: AdtId,
    pub model_actor_ref: AdtId,
    pub model: AdtId,
    pub show: TraitId,
    pub eq: TraitId,
    pub ord: TraitId,
    pub hash: TraitId,
    pub iterator: TraitId,
    pub error: TraitId,
    /// Every function of std's prelude that is not a method, by name: natives and helpers that code generation calls.
    /// With overloads, the first.
    pub prelude_fns: std::collections::HashMap<Rc<str>, FnId>,
    /// `ValueError`, `IndexError`, … : the structs the VM throws.
    pub faults: Vec<(Rc<str>, AdtId)>,
}

#[derive(Clone, Debug)]
pub struct Adt {
    pub name: Rc<str>,
    pub module: ModuleId,
    pub generics: Vec<Generic>,
    pub kind: AdtKind,
    /// `@unique`: moves, never copied.
    pub unique: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum AdtKind {
    Struct(Vec<FieldDef>),
    Enum(Vec<VariantDef>),
    Actor(ActorDef),
    /// Made by the VM: `Vec`, `Map`, `Future`, `Model`, …
    Opaque,
}

#[derive(Clone, Debug)]
pub struct FieldDef {
    pub name: Rc<str>,
    pub ty: Ty,
    pub mutable: bool,
    /// A function without parameters (with the type's generics) that makes the default.
    pub default: Option<FnId>,
    pub span: Span,
    /// Of its name; of its type where a variant's value has no name.
    pub name_span: Span,
}

#[derive(Clone, Debug)]
pub struct VariantDef {
    pub name: Rc<str>,
    /// Unnamed payload fields have an empty name.
    pub fields: Vec<FieldDef>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct ActorDef {
    pub fields: Vec<FieldDef>,
    /// `on_receive` or `on_batch` first when there is one; then every method not starting with `_` that is no hook.
    /// Each is a function whose first parameter is the state, `&mut`.
    pub handlers: Vec<ActorHandler>,
    pub has_receive: bool,
    pub on_start: Option<FnId>,
    pub on_stop: Option<FnId>,
    pub on_error: Option<FnId>,
}

#[derive(Clone, Debug)]
pub struct ActorHandler {
    pub name: Rc<str>,
    pub func: FnId,
    pub batch: Option<Batch>,
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub max_size: u32,
    pub max_delay_ns: i64,
    /// `on_batch(Vec<I>)`.
    pub as_vec: bool,
    pub cat: bool,
}

#[derive(Clone, Debug)]
pub struct Generic {
    pub name: Rc<str>,
    pub bounds: Vec<Bound>,
}

/// What a type argument must be able to do. `Integer`, `Floating` and `Number` are known to the compiler only.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// With the arguments of a generic trait; none where they were not written.
    Trait(TraitId, Rc<[Ty]>),
    Integer,
    Floating,
    Number,
    Actor,
}

impl Bound {
    /// With the type parameters in it replaced.
    pub fn subst(&self, args: &[Ty]) -> Bound {
        match self {
            Bound::Trait(t, of) => Bound::Trait(*t, of.iter().map(|a| a.subst(args)).collect()),
            other => other.clone(),
        }
    }

    /// A trait without arguments.
    pub fn plain(t: TraitId) -> Bound {
        Bound::Trait(t, Rc::from([]))
    }
}

#[derive(Clone, Debug)]
pub struct Trait {
    pub name: Rc<str>,
    pub module: ModuleId,
    /// Each is a `FnDef` whose first type parameter is `Self`; without a body it must be implemented.
    pub methods: Vec<FnId>,
    /// The traits it stands on directly, with their arguments in terms of `Self` and its own.
    pub supers: Vec<(TraitId, Rc<[Ty]>)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Impl {
    pub generics: Vec<Generic>,
    /// `None`: methods of the type's own.
    pub trait_: Option<TraitId>,
    /// Those of a generic trait.
    pub trait_args: Vec<Ty>,
    pub target: Ty,
    /// For a trait: by method position, `None` where the default is used. Else in written order.
    pub methods: Vec<Option<FnId>>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FnKind {
    Plain,
    /// A call starts a task and gives a `Future<ret>`.
    Async,
    /// A call starts a task and gives a `JoinHandle<ret>`.
    Spawn,
}

#[derive(Clone, Debug)]
pub struct FnDef {
    /// As a trace shows it: `pick`, `Point.norm`, `main`.
    pub name: Rc<str>,
    pub module: ModuleId,
    pub kind: FnKind,
    /// The enclosing impl's (or a trait's `Self`) first, then its own.
    pub generics: Vec<Generic>,
    pub params: Vec<Param>,
    /// What the body returns.
    pub ret: Ty,
    /// The VM's name for it when it is `@native`.
    pub native: Option<Rc<str>>,
    /// A native that may make its task wait: `@native("sleep", suspends)`.
    pub suspends: bool,
    /// Runs the functions that it is given in other tasks: `@in_tasks`.
    pub in_tasks: bool,
    /// `None` for natives and required trait methods.
    pub body: Option<Body>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Rc<str>,
    pub ty: Ty,
    pub mode: ParamMode,
    /// A function without parameters (with this function's generics) that makes the default.
    pub default: Option<FnId>,
}

#[derive(Clone, Debug)]
pub struct Body {
    pub locals: Vec<Local>,
    /// The parameters' variables, in order.
    pub params: Vec<LocalId>,
    /// A block; falling off its end returns its value when the function returns `()` , else control leaves by `Return`/`Throw`.
    /// A closure written as an expression has that expression here, and its value is returned.
    pub value: Expr,
    /// The variables that hold the sizes which the function's signature names, where this body asks for them.
    pub dims: Vec<(Rc<str>, LocalId)>,
}

#[derive(Clone, Debug)]
pub struct Local {
    pub name: Rc<str>,
    pub ty: Ty,
    pub mutable: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Const {
    pub name: Rc<str>,
    pub ty: Ty,
    /// A function without parameters that makes the value.
    pub init: FnId,
}

#[derive(Clone, Debug)]
pub struct Global {
    pub name: Rc<str>,
    /// For a zone the type inside the guard: `Map<K, V>` for `SharedMap<K, V>`, `T` for `Shared<T>`.
    pub ty: Ty,
    /// A zone (`shared let`) with the function that makes its first value (an empty collection when nothing was written).
    pub zone_init: Option<FnId>,
    pub span: Span,
}

// --- expressions -------------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Ty,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Stmt {
    /// `else_` diverges and is there exactly when the pattern can fail.
    Let {
        pattern: Pat,
        init: Option<Expr>,
        else_: Option<Expr>,
    },
    Expr(Expr),
}

#[derive(Clone, Debug)]
pub enum Lit {
    /// Any integer type (see the expression's type), in range.
    Int(i128),
    /// Any float type, already rounded to it.
    Float(f64),
    Bool(bool),
    Str(Rc<str>),
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    Unit,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Lit(Lit),
    Local(LocalId),
    Const(ConstId),
    Global(GlobalId),
    /// After a script's `let`: makes the value readable from functions.
    StoreGlobal {
        global: GlobalId,
        value: Box<Expr>,
    },
    /// A function used as a value.
    FnRef {
        func: FnId,
        type_args: Vec<Ty>,
    },
    Closure(Box<Closure>),

    Call {
        callee: Callee,
        args: Vec<Arg>,
    },
    /// The struct's or actor state's fields in order.
    Struct {
        adt: AdtId,
        fields: Vec<Expr>,
    },
    Variant {
        adt: AdtId,
        variant: u32,
        fields: Vec<Expr>,
    },
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Set(Vec<Expr>),
    /// Missing ends do not reach here: both are `Int`.
    Range {
        start: Box<Expr>,
        end: Box<Expr>,
        inclusive: bool,
    },
    /// `f"…"`, and `print`'s text. A value without spec is shown as by `str`.
    Format(Vec<FormatPart>),

    /// Field of a struct, actor state or tuple. A place when its base is one.
    Field {
        base: Box<Expr>,
        index: u32,
    },
    /// `Vec[Int]` or `Map[K]`, by the type of `base`. A place when its base is one; assigning to a missing key of a `Map` inserts.
    Index {
        base: Box<Expr>,
        index: Box<Expr>,
    },
    /// `m.or_insert(k, default)`: a place. `map` is a place.
    OrInsert {
        map: Box<Expr>,
        key: Box<Expr>,
        default: Box<Expr>,
    },

    /// On primitive types; `Eq Ne Lt Le Gt Ge` on any type (structural, or the type's own `Eq`/`Ord`) but tensors.
    /// Both sides have the same type, except for `Duration * Int`, `Int * Duration`, `Duration / Int`, `Instant - Instant`, `Instant ± Duration`, shifts.
    Binary {
        op: BinaryOp,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    /// On primitive types.
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `e as T` and `T(e)` between number types (and `Bool` to integers).
    Cast(Box<Expr>),
    Coerce {
        value: Box<Expr>,
        kind: Coercion,
    },

    Block {
        stmts: Vec<Stmt>,
        value: Option<Box<Expr>>,
    },
    /// Without `else_` the type is `()`.
    If {
        cond: Box<Cond>,
        then: Box<Expr>,
        else_: Option<Box<Expr>>,
    },
    /// Arms are tried in order; exhaustive.
    Match {
        scrutinee: Box<Expr>,
        arms: Vec<Arm>,
    },
    While {
        cond: Box<Cond>,
        body: Box<Expr>,
    },
    /// `iterable` is a `Range Vec Map Set String Bytes Channel Subscription Tensor`, or a type that implements `Iterator`; decided by its type.
    /// Iterating a `Map` gives keys, a `Bytes` `UInt8`, a `String` one-character strings, a tensor its rows.
    For {
        pattern: Pat,
        iterable: Box<Expr>,
        body: Box<Expr>,
    },
    Break,
    Continue,
    Return(Option<Box<Expr>>),
    Assign {
        target: Box<Expr>,
        value: Box<Expr>,
    },
    /// `target = op(target, value)`; `value` is evaluated first, the target's indices once.
    AssignOp {
        target: Box<Expr>,
        op: AssignOp,
        value: Box<Expr>,
    },

    /// `value` implements `Error` or is `dyn Error`. In a `catch` whose variable is thrown again: that variable.
    Throw {
        value: Box<Expr>,
        again: Option<LocalId>,
    },
    /// Has the type of its branches (`()` as a statement).
    Try {
        body: Box<Expr>,
        catches: Vec<Catch>,
        finally: Option<Box<Expr>>,
    },
    /// `e?` on `Option` or `Result`: leaves the function with `None` or `Err`.
    Question(Box<Expr>),
    /// `text` is the condition's source.
    Assert {
        cond: Box<Expr>,
        message: Option<Box<Expr>>,
        text: Rc<str>,
    },

    /// A `Future<T>` or `JoinHandle<T>`.
    Await(Box<Expr>),
    /// `spawn f(args)`: type `JoinHandle<T>`.
    SpawnCall {
        callee: Callee,
        args: Vec<Arg>,
    },
    /// `async:`, `spawn:`, `spawn fn` without parameters: type `Future<T>` or `JoinHandle<T>`.
    SpawnBlock(Box<Closure>),
    Scope {
        group: LocalId,
        body: Box<Expr>,
    },
    Select {
        arms: Vec<SelectArm>,
    },
    /// A zone's guard over `body`, in which `local` is the value inside; a place when `write`.
    WithZone {
        zone: GlobalId,
        write: bool,
        local: LocalId,
        /// Where it is taken.
        guard: Span,
        body: Box<Expr>,
    },
    /// A message to an actor (`actor` is an `ActorRef` or `ModelActorRef`); see `MessageKind` for the type.
    Message {
        actor: Box<Expr>,
        handler: u32,
        kind: MessageKind,
        args: Vec<Expr>,
        timeout: Option<Box<Expr>>,
    },
    /// Reported already; never reaches code generation.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// `Future<O>`
    Ask,
    /// `()`
    Send,
    /// One argument, `Vec<I>`; `Future<Vec<O>>`
    BatchAsk,
}

#[derive(Clone, Debug)]
pub enum Cond {
    Expr(Expr),
    /// `if let P = e`
    Let {
        pattern: Pat,
        value: Expr,
    },
}

#[derive(Clone, Debug)]
pub enum Callee {
    /// A known function; `type_args` are for all of its generics.
    Fn { func: FnId, type_args: Vec<Ty> },
    /// A trait's method on a type that may still be a parameter, or `dyn`: chosen when the type is concrete.
    /// `Show Eq Ord Hash` without an impl are derived.
    Trait { trait_: TraitId, method: u32, self_ty: Ty, type_args: Vec<Ty> },
    /// A function value.
    Value(Box<Expr>),
}

#[derive(Clone, Debug)]
pub struct Arg {
    pub mode: ParamMode,
    /// With `RefMut`: a place, or (a method on a temporary) any value.
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum AssignOp {
    Binary(BinaryOp),
    /// `add(target, value)` and the like.
    Call {
        callee: Callee,
        /// What the function takes the target as, and what it gives: tensors may be known better there, or less.
        takes: Ty,
        gives: Ty,
        /// Whether what it gives is asked for what the target's type says of tensors.
        check: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// A concrete value as `dyn Trait`.
    ToDyn,
    /// A tensor given to a place whose type says more than is known: checked at run time against the expression's type.
    /// Reaches into `Vec`, `Option`, `Map` and tuples. Names of dimensions are the ones in the body's `dims`; another is one
    /// size within the value.
    TensorCheck,
    /// `ActorRef<A>` as `ModelActorRef<I, O>`, `Never` as anything: no code.
    Same,
}

#[derive(Clone, Debug)]
pub enum FormatPart {
    Text(Rc<str>),
    Value { value: Expr, spec: Option<Rc<str>> },
}

#[derive(Clone, Debug)]
pub struct Closure {
    /// Copied (or moved, when unique) when the closure is made: the variable outside and the one inside.
    pub captures: Vec<(LocalId, LocalId)>,
    pub body: Body,
    pub ret: Ty,
    /// For traces: `closure in main`, `spawn in main`.
    pub name: Rc<str>,
}

#[derive(Clone, Debug)]
pub struct Arm {
    pub pattern: Pat,
    pub guard: Option<Expr>,
    pub body: Expr,
}

#[derive(Clone, Debug)]
pub struct Catch {
    /// Empty: everything but `CancelledError`.
    pub types: Vec<Ty>,
    /// Its type: the one type in `types`, else `dyn Error`.
    pub local: Option<LocalId>,
    pub body: Expr,
}

#[derive(Clone, Debug)]
pub struct SelectArm {
    pub kind: SelectKind,
    /// What `recv` or `await` gave.
    pub pattern: Option<Pat>,
    pub body: Expr,
}

#[derive(Clone, Debug)]
pub enum SelectKind {
    /// A `Channel<T>` or `Subscription<T>`.
    Recv(Expr),
    Send {
        channel: Expr,
        value: Expr,
    },
    /// A place that holds a future (stays there when another arm wins), or a temporary.
    Await(Expr),
    After(Expr),
    Else,
}

#[derive(Clone, Debug)]
pub struct Pat {
    pub kind: PatKind,
    pub ty: Ty,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum PatKind {
    Wildcard,
    Bind {
        local: LocalId,
        sub: Option<Box<Pat>>,
    },
    Lit(Lit),
    /// Ends are literals; both missing does not occur.
    Range {
        start: Option<Lit>,
        end: Option<Lit>,
        inclusive: bool,
    },
    Tuple(Vec<Pat>),
    Struct {
        fields: Vec<(u32, Pat)>,
    },
    Variant {
        variant: u32,
        fields: Vec<(u32, Pat)>,
    },
    /// `rest`: `Some(None)` for `..`, `Some(Some(l))` for `..rest`.
    List {
        before: Vec<Pat>,
        rest: Option<Option<LocalId>>,
        after: Vec<Pat>,
    },
    /// All bind the same variables.
    Or(Vec<Pat>),
}

impl Program {
    /// The impl of `trait_` for a concrete type, with the impl's type arguments.
    pub fn find_impl(&self, trait_: TraitId, ty: &Ty) -> Option<(ImplId, Vec<Ty>)> {
        self.impls.iter().enumerate().filter(|(_, i)| i.trait_ == Some(trait_)).find_map(|(id, i)| {
            let mut bound = vec![None; i.generics.len()];
            if !i.target.match_pattern(ty, &mut bound) {
                return None;
            }
            // `impl<T, I: Iterator<T>> … for Wrap<I>`: what the target does not name follows from the bounds.
            for (g, generic) in i.generics.iter().enumerate() {
                for b in &generic.bounds {
                    if let (Bound::Trait(t, written), Some(known)) = (b, bound[g].clone())
                        && !written.is_empty()
                    {
                        let args = self.trait_args(*t, &known);
                        for (pattern, arg) in written.iter().zip(&args) {
                            pattern.match_pattern(arg, &mut bound);
                        }
                    }
                }
            }
            Some((ImplId(id as u32), bound.into_iter().map(|t| t.unwrap_or(Ty::Error)).collect()))
        })
    }

    /// The arguments with which a type implements a generic trait.
    pub fn trait_args(&self, trait_: TraitId, ty: &Ty) -> Vec<Ty> {
        if let Ty::Dyn(have, args) = ty {
            return self.args_of_super(*have, args, ty, trait_).unwrap_or_default().to_vec();
        }
        match self.find_impl(trait_, ty) {
            Some((id, args)) => self.impls[id.index()].trait_args.iter().map(|t| t.subst(&args)).collect(),
            None => Vec::new(),
        }
    }

    /// The arguments of `want`, which `have<args>` is or stands on; `None` when it is neither.
    pub fn args_of_super(&self, have: TraitId, args: &Rc<[Ty]>, self_ty: &Ty, want: TraitId) -> Option<Rc<[Ty]>> {
        // Traits may name each other in a circle, which has been reported.
        let mut seen = vec![have];
        let mut todo = vec![(have, args.clone())];
        while let Some((id, args)) = todo.pop() {
            if id == want {
                return Some(args);
            }
            let known: Vec<Ty> = std::iter::once(self_ty).chain(args.iter()).cloned().collect();
            for (next, theirs) in &self.traits[id.index()].supers {
                if !seen.contains(next) {
                    seen.push(*next);
                    todo.push((*next, theirs.iter().map(|t| t.subst(&known)).collect()));
                }
            }
        }
        None
    }

    pub fn adt(&self, id: AdtId) -> &Adt {
        &self.adts[id.index()]
    }

    pub fn func(&self, id: FnId) -> &FnDef {
        &self.fns[id.index()]
    }

    /// The fields of a struct or actor, or the values that a variant carries.
    pub fn fields_of(&self, id: AdtId, variant: Option<u32>) -> &[FieldDef] {
        match (&self.adt(id).kind, variant) {
            (AdtKind::Struct(fields), None) => fields,
            (AdtKind::Actor(def), None) => &def.fields,
            (AdtKind::Enum(variants), Some(v)) => variants.get(v as usize).map_or(&[], |v| &v.fields),
            _ => &[],
        }
    }
}
