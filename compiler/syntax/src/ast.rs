//! The syntax tree: what was written, names unresolved, nothing judged.
//!
//! Every node has a span. Where the parser could not read something it leaves an `Error` node and a diagnostic, so there is always a tree.

use crate::source::Span;
use crate::stored;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// A name with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ident {
    #[serde(with = "stored::name")]
    pub name: Rc<str>,
    pub span: Span,
}

/// `a.b.c` or `A::b`: names in order. `geo.Point::new` in types and patterns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Path {
    pub segments: Vec<Ident>,
    pub span: Span,
}

/// One file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Module {
    /// Items and statements in the order they were written.
    pub items: Vec<Item>,
    /// The file's first doc comment, when a blank line follows it.
    pub doc: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    pub kind: ItemKind,
    pub attributes: Vec<Attribute>,
    /// The `///` text above it, without the slashes.
    pub doc: Option<String>,
    pub span: Span,
}

/// `@name` or `@name(args)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attribute {
    pub name: Ident,
    pub args: Vec<Arg>,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ItemKind {
    /// A plain, `async`, or `spawn fn` with parameters (a task function). `spawn fn name(): …` without parameters is `Stmt::SpawnFn`.
    Fn(Fn),
    Struct(Struct),
    Enum(Enum),
    Trait(Trait),
    Impl(Impl),
    Actor(Actor),
    TypeAlias {
        name: Ident,
        generics: Generics,
        ty: Type,
    },
    Const {
        name: Ident,
        ty: Option<Type>,
        value: Expr,
    },
    /// `shared let zone: SharedMap<K, V>` or `shared let n: Shared<Int> = 0`.
    SharedLet {
        name: Ident,
        ty: Type,
        value: Option<Expr>,
    },
    Import(Import),
    /// A statement at the top level of a script.
    Stmt(Stmt),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Import {
    /// `import a.b` / `import a.b as c`
    Module { path: Path, alias: Option<Ident> },
    /// `from a.b import f, g as h`
    Names { path: Path, names: Vec<(Ident, Option<Ident>)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FnKind {
    Plain,
    Async,
    Spawn,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fn {
    pub kind: FnKind,
    pub name: Ident,
    pub generics: Generics,
    pub params: Vec<Param>,
    pub ret: Option<Type>,
    /// `None` in a trait's required method or an `@native`.
    pub body: Option<Block>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Param {
    pub mode: ParamMode,
    /// `self` for the receiver (with `ty` None).
    pub name: Ident,
    pub ty: Option<Type>,
    pub default: Option<Box<Expr>>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamMode {
    Value,
    /// `&T`, `&self`
    Ref,
    /// `&mut T`, `&mut self`
    RefMut,
}

/// `<T: Show + Ord, U>` with the bounds of a `where` clause already merged in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generics {
    pub params: Vec<GenericParam>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenericParam {
    pub name: Ident,
    pub bounds: Vec<Type>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Struct {
    pub name: Ident,
    pub generics: Generics,
    pub fields: Vec<FieldDef>,
    pub methods: Vec<Method>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldDef {
    /// `mut` in an actor.
    pub mutable: bool,
    pub name: Ident,
    pub ty: Type,
    pub default: Option<Expr>,
    pub span: Span,
}

/// A function inside a struct, enum, trait, impl or actor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Method {
    pub attributes: Vec<Attribute>,
    pub doc: Option<String>,
    pub decl: Fn,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enum {
    pub name: Ident,
    pub generics: Generics,
    pub variants: Vec<VariantDef>,
    pub methods: Vec<Method>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VariantDef {
    pub name: Ident,
    pub fields: Vec<VariantField>,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VariantField {
    pub name: Option<Ident>,
    pub ty: Type,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trait {
    pub name: Ident,
    pub generics: Generics,
    pub supertraits: Vec<Type>,
    pub methods: Vec<Method>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Impl {
    pub generics: Generics,
    /// `impl Show for Point`; `None` for `impl Point:`.
    pub trait_: Option<Type>,
    pub target: Type,
    pub methods: Vec<Method>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Actor {
    pub name: Ident,
    pub generics: Generics,
    pub fields: Vec<FieldDef>,
    pub methods: Vec<Method>,
}

// --- types -------------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Type {
    pub kind: TypeKind,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TypeKind {
    /// `Int`, `Vec<Int>`, `geo.Point`, `Tensor<Float32>[32, batch]`.
    Path {
        path: Path,
        args: Vec<Type>,
        dims: Option<Vec<DimExpr>>,
    },
    Tuple(Vec<Type>),
    Fn {
        params: Vec<(ParamMode, Type)>,
        ret: Option<Box<Type>>,
    },
    /// `&T` where no borrow may stand (a field, a return type): kept so that E0504 can be said.
    Ref {
        mutable: bool,
        inner: Box<Type>,
    },
    /// `_`
    Infer,
    Error,
}

/// A dimension in `Tensor<E>[…]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DimExpr {
    Number(u64, Span),
    Name(Ident),
    /// `_`
    Unknown(Span),
    Add(Box<DimExpr>, Box<DimExpr>),
    Mul(Box<DimExpr>, Box<DimExpr>),
}

// --- statements --------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Block {
    pub stmts: Vec<Stmt>,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum StmtKind {
    Pass,
    // A statement is moved about and stands in a list: what would make it large is boxed.
    /// `let P: T = e`, `let mut x = e`, `let P = e else: …`
    Let {
        mutable: bool,
        pattern: Box<Pattern>,
        ty: Option<Box<Type>>,
        value: Option<Expr>,
        else_block: Option<Box<Block>>,
    },
    /// `place = e` and `place += e`.
    Assign {
        target: Box<Expr>,
        op: Option<BinaryOp>,
        value: Expr,
    },
    Expr(Expr),
    While {
        cond: Condition,
        body: Block,
    },
    For {
        pattern: Box<Pattern>,
        iterable: Box<Expr>,
        body: Block,
    },
    Break,
    Continue,
    Return(Option<Expr>),
    Throw(Expr),
    Assert {
        cond: Expr,
        message: Option<Box<Expr>>,
    },
    Try {
        body: Block,
        catches: Vec<Catch>,
        finally: Option<Box<Block>>,
    },
    With {
        items: Vec<WithItem>,
        body: Block,
    },
    Scope {
        name: Ident,
        body: Block,
    },
    /// `spawn fn name(): …` without parameters: starts at once, binds `name` to the handle.
    SpawnFn(Box<Fn>),
    /// A declaration inside a function or block.
    Item(Box<Item>),
    Error,
}

/// What `if` and `while` test: an expression, or `let P = e`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Condition {
    Expr(Box<Expr>),
    Let { pattern: Box<Pattern>, value: Box<Expr> },
}

/// `catch e: A | B: …`, `catch A: …`, `catch e: …`, `catch: …`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Catch {
    pub name: Option<Ident>,
    /// Empty: catches everything but cancelling.
    /// The parser cannot tell `catch e:` from `catch ValueError:`: a lone lower-case name is the binding, a lone capitalised one a type.
    pub types: Vec<Type>,
    pub body: Block,
    pub span: Span,
}

/// `zone.write() as v`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WithItem {
    pub value: Expr,
    pub name: Option<Ident>,
}

// --- expressions -------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ExprKind {
    Literal(Literal),
    FString(Vec<FPart>),
    /// A plain name.
    #[serde(with = "stored::name")]
    Name(Rc<str>),
    SelfValue,
    /// `Type::name`, `Command::Reset`, `geo.Point::new`, `Stack<Int>::new`: the type's path and arguments, then the name.
    Scoped {
        path: Box<Path>,
        type_args: Vec<Type>,
        name: Ident,
    },
    /// `name<Int>` before a call.
    Instantiate {
        base: Box<Expr>,
        type_args: Vec<Type>,
    },
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        op_span: Span,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    /// `f(a, name = b, &mut c)`
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
    },
    /// `x.name` (also `module.name`).
    Field {
        base: Box<Expr>,
        name: Ident,
    },
    /// `t.0`
    TupleField {
        base: Box<Expr>,
        index: u32,
        index_span: Span,
    },
    Index {
        base: Box<Expr>,
        indices: Vec<Index>,
    },
    /// `a..b`, `a..=b`, `..b`, `a..`
    Range {
        start: Option<Box<Expr>>,
        end: Option<Box<Expr>>,
        inclusive: bool,
    },
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    /// `{k: v}`; `{}` too.
    Map(Vec<(Expr, Expr)>),
    Set(Vec<Expr>),
    ListComp {
        element: Box<Expr>,
        clauses: Vec<CompClause>,
    },
    SetComp {
        element: Box<Expr>,
        clauses: Vec<CompClause>,
    },
    MapComp {
        key: Box<Expr>,
        value: Box<Expr>,
        clauses: Vec<CompClause>,
    },
    Closure(Box<Closure>),
    /// `else` missing: a statement of type `()`.
    If {
        branches: Vec<(Condition, Block)>,
        else_block: Option<Block>,
    },
    Match {
        scrutinee: Box<Expr>,
        arms: Vec<Arm>,
    },
    Select {
        arms: Vec<SelectArm>,
    },
    /// `await e`, `e.await`, `e.await()`
    Await(Box<Expr>),
    /// `e?`
    Try(Box<Expr>),
    /// `e as T`
    Cast {
        value: Box<Expr>,
        ty: Box<Type>,
    },
    /// `async: …`
    AsyncBlock(Block),
    /// `async fn name(): …` as an expression (no parameters).
    AsyncFn(Box<Fn>),
    /// `spawn: …`
    SpawnBlock(Block),
    /// `spawn f(args)`
    SpawnCall(Box<Expr>),
    /// `return`, `throw`, `break`, `continue` where an expression stands (arms, one-line branches).
    Diverge(Box<Stmt>),
    /// A block used as an expression (an arm's body, a branch): the value is the last expression's.
    Block(Block),
    Error,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Literal {
    /// The value, and a suffix such as `u8` when written.
    Int(u128, #[serde(with = "stored::maybe_name")] Option<Rc<str>>),
    Float(f64, #[serde(with = "stored::maybe_name")] Option<Rc<str>>),
    Bool(bool),
    #[serde(with = "stored::name")]
    Str(Rc<str>),
    #[serde(with = "stored::bytes")]
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    /// `()`
    Unit,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FPart {
    #[serde(with = "stored::name")]
    Text(Rc<str>),
    /// `nested`: the parts of a format that holds values itself, as in `{x:{width}}`; `spec` is `None` then.
    Value {
        expr: Expr,
        #[serde(with = "stored::maybe_name")]
        spec: Option<Rc<str>>,
        nested: Vec<FPart>,
        spec_span: Span,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnaryOp {
    Neg,
    BitNot,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    MatMul,
    Shl,
    Shr,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    And,
    Or,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arg {
    pub name: Option<Ident>,
    pub mode: ParamMode,
    pub value: Expr,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Index {
    At(Expr),
    /// `a..b`, `..b`, `a..`, `..` inside an index.
    Range {
        start: Option<Expr>,
        end: Option<Expr>,
        inclusive: bool,
        span: Span,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CompClause {
    For { pattern: Pattern, iterable: Expr },
    If(Expr),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closure {
    pub params: Vec<Param>,
    /// `|(a, b)|`: the parameters that are taken apart, by their position.
    pub taken_apart: Vec<(usize, Pattern)>,
    pub ret: Option<Type>,
    pub body: ClosureBody,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ClosureBody {
    /// `|x| e`
    Expr(Expr),
    /// `|x| -> T:` and a block, which needs `return`.
    Block(Block),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Arm {
    pub pattern: Pattern,
    pub guard: Option<Expr>,
    /// A block has the value of its last expression; statements such as `x = 1` are a block of one.
    pub body: Expr,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SelectArm {
    pub kind: SelectKind,
    pub body: Expr,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SelectKind {
    /// `p = ch.recv()` or `ch.recv()`: the operation is an expression, judged later (`recv`, `send` or `await`).
    Operation {
        pattern: Option<Pattern>,
        value: Expr,
    },
    After(Expr),
    Else,
}

// --- patterns ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pattern {
    pub kind: PatternKind,
    pub span: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PatternKind {
    /// `_`
    Wildcard,
    /// A literal; a minus sign is folded in (`Expr` is a literal or a negated one).
    Literal(Box<Expr>),
    /// `a..=b`, `a..b`, `a..`, `..=b`
    Range {
        start: Option<Box<Expr>>,
        end: Option<Box<Expr>>,
        inclusive: bool,
    },
    /// A lone name: a binding, or a variant without payload when the matched type has one of that name.
    Name {
        name: Ident,
        mutable: bool,
    },
    /// `Point(x, y = 0, ..)`, `Command::Rename(t)`, `Some(x)`, `Command::Reset`.
    Constructor {
        path: Path,
        fields: Vec<FieldPattern>,
        rest: bool,
        has_parens: bool,
    },
    Tuple(Vec<Pattern>),
    /// `[a, b, ..rest, z]`: at most one rest.
    List {
        before: Vec<Pattern>,
        rest: Option<ListRest>,
        after: Vec<Pattern>,
    },
    Or(Vec<Pattern>),
    /// `name @ pattern`
    Bind {
        name: Ident,
        pattern: Box<Pattern>,
    },
    Error,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldPattern {
    pub name: Option<Ident>,
    pub pattern: Pattern,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListRest {
    pub name: Option<Ident>,
    pub span: Span,
}
