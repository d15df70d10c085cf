//! The archived source as a tree.

/// A code file: its classes and functions, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct File {
    pub classes: Vec<Class>,
    pub functions: Vec<Function>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    pub name: String,
    pub kind: ClassKind,
    /// Attributes in order of declaration; a `Final` one has its value.
    pub attributes: Vec<Attribute>,
    pub methods: Vec<Function>,
    /// Names of the attributes that are trained, from `__parameters__`.
    pub parameters: Vec<String>,
    pub line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassKind {
    Module,
    NamedTuple,
    /// Its attributes are its members, with their values.
    Enum,
    /// A class of the program's own, or an interface.
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    pub name: String,
    pub ty: Type,
    pub value: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: String,
    pub params: Vec<Param>,
    pub result: Option<Type>,
    pub body: Vec<Stmt>,
    pub line: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: String,
    pub ty: Option<Type>,
    pub default: Option<Expr>,
}

/// `List[int]` is the name `List` with one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    pub name: String,
    pub args: Vec<Type>,
}

impl Type {
    /// Whether `None` is no value of this type.
    pub fn is_never_none(&self) -> bool {
        !matches!(self.name.as_str(), "Optional" | "NoneType" | "Any" | "Union" | "t")
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    pub line: u32,
    pub kind: StmtKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    /// `a = e` and `a, b = e, f`: as many targets as values.
    Assign {
        targets: Vec<String>,
        values: Vec<Expr>,
    },
    /// `a, b, = e`: the items of one value.
    Unpack {
        targets: Vec<String>,
        value: Expr,
    },
    /// `a.b.c = e`.
    SetAttr {
        path: Vec<String>,
        value: Expr,
    },
    If {
        cond: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    While {
        cond: Expr,
        body: Vec<Stmt>,
    },
    With {
        context: Expr,
        body: Vec<Stmt>,
    },
    /// `for name in range(count)`.
    For {
        name: String,
        count: Expr,
        body: Vec<Stmt>,
    },
    Return(Option<Expr>),
    /// `def` inside a function: what `fork` runs. It sees the variables around it.
    Local(Box<Function>),
    Expr(Expr),
    Pass,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Name(String),
    Int(i64),
    Float(f64),
    Str(String),
    /// `base.name`.
    Attr(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Call {
        callee: Box<Expr>,
        args: Vec<Expr>,
        kwargs: Vec<(String, Expr)>,
    },
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `annotate(T, e)` and `unchecked_cast(T, e)`.
    Typed(Type, Box<Expr>),
    /// `uninitialized(T)`: a value that is never read.
    Uninitialized,
}

impl Expr {
    /// The text of a string literal.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Expr::Str(text) => Some(text),
            _ => None,
        }
    }
}
