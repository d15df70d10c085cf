//! A program in bytecode: what compiler and VM agree on, and nothing else.
//!
//! Generics are gone (every function and type is concrete), names are only for people, and tensor shapes in types are gone
//! too: where a type states a shape that is not known, the compiler has put a call of the native `tensor_check`.

use crate::instr::Instr;
use crate::operand::*;

/// A whole program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    pub functions: Vec<Function>,
    pub types: Vec<TypeDesc>,
    pub scalars: Vec<u64>,
    pub strings: Vec<String>,
    pub blobs: Vec<Vec<u8>>,
    pub natives: Vec<NativeImport>,
    pub globals: Vec<Global>,
    pub methods: Vec<Method>,
    /// Types of the errors that the VM itself throws, by name (`IndexError` …): a struct whose first field is a `String`, its message.
    pub faults: Vec<(String, TypeId)>,
    /// `Error::message` in `methods`, for errors that nobody catches.
    pub error_message: Option<MethodId>,
    /// Source files, for traces.
    pub files: Vec<String>,
    /// Runs first: no parameters, returns `()`.
    pub entry: FuncId,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// As a trace shows it: `pick`, `Point.norm`, `main`, `closure in main`.
    pub name: String,
    /// Number of parameters, captured values of a closure included; they are the first registers.
    pub n_params: u16,
    /// How many of the parameters (the last ones) are captured values.
    pub n_captures: u16,
    /// Parameters that are moved out again (`&mut`): positions, ascending.
    pub inout: Vec<u16>,
    /// Registers that own nothing: parameters that the caller keeps, and what `lend_*` finds in those. Ascending.
    pub lent: Vec<u16>,
    /// The type of each register.
    pub registers: Vec<TypeId>,
    /// Size of the outgoing area.
    pub n_out: u16,
    pub ret: TypeId,
    pub code: Vec<Instr>,
    /// Innermost first. On an error at a pc in `start..end` the first that matches is taken.
    pub handlers: Vec<Handler>,
    /// Ascending by `pc`; each row holds until the next.
    pub lines: Vec<Line>,
    /// Names of registers, for people.
    pub debug_names: Vec<(Reg, String)>,
}

impl Function {
    pub fn is_lent(&self, reg: Reg) -> bool {
        self.lent.binary_search(&reg.0).is_ok()
    }

    /// Whether the caller keeps a parameter: only `call` may run such a function.
    pub fn borrows(&self) -> bool {
        self.lent.first().is_some_and(|&first| first < self.n_params)
    }
}

/// Where an error goes: the `dyn Error` is put into `err`, other registers are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    pub start: u32,
    pub end: u32,
    pub target: Target,
    pub err: Reg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub pc: u32,
    pub file: u32,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub col: u32,
}

/// A native used by this module, at concrete types. The VM checks them against the scheme in its own table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NativeImport {
    pub name: String,
    /// What the type parameters of the declaration stand for here, in order (an impl's first).
    pub type_args: Vec<TypeId>,
    pub params: Vec<NativeParam>,
    pub ret: TypeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NativeParam {
    pub ty: TypeId,
    /// `&mut`: moved out again.
    pub inout: bool,
}

/// A value made once and read from every task: a script's top-level `let` that functions use, or a shared zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    pub name: String,
    pub ty: TypeId,
    /// A `shared let`: only reached through the natives `zone_*`.
    pub zone: bool,
}

/// A trait's method called on dynamic values.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// `Shape.area`
    pub name: String,
    /// Parameter types; the first is the dynamic value.
    pub params: Vec<TypeId>,
    /// Positions moved out again (0 for `&mut self`).
    pub inout: Vec<u16>,
    pub ret: TypeId,
    /// Which function implements it for which type; sorted by type. Its first parameter is the value itself, not boxed.
    pub impls: Vec<(TypeId, FuncId)>,
}

/// A concrete type, as the VM needs it to copy, drop, print, compare and hash values.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeDesc {
    Unit,
    Bool,
    Number(Kind),
    /// Nanoseconds, `i64`.
    Duration,
    /// Nanoseconds since the program's start, `i64`.
    Instant,
    Str,
    Bytes,
    Tuple(Vec<TypeId>),
    Struct {
        name: String,
        fields: Vec<FieldDesc>,
    },
    /// With no payload anywhere it is a scalar: the variant's number.
    Enum {
        name: String,
        variants: Vec<VariantDesc>,
    },
    Vec(TypeId),
    Map(TypeId, TypeId),
    Set(TypeId),
    Fn {
        params: Vec<TypeId>,
        ret: TypeId,
    },
    /// A dynamic value of a trait.
    Dyn {
        trait_name: String,
    },
    /// Any element type and shape when `elem` is `None`.
    Tensor {
        elem: Option<Elem>,
    },
    /// A value the VM makes itself: `Model`, `Tokenizer`, `Channel<T>`, `Future<T>`, `JoinHandle<T>`, `ActorRef<A>`, …
    Opaque {
        name: String,
        args: Vec<TypeId>,
    },
    /// An actor's state: fields like a struct, and what it answers to.
    Actor(Box<ActorDesc>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldDesc {
    pub name: String,
    pub ty: TypeId,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VariantDesc {
    pub name: String,
    /// Unnamed payload fields have an empty name.
    pub fields: Vec<FieldDesc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ActorDesc {
    pub name: String,
    pub fields: Vec<FieldDesc>,
    /// Number 0 is `on_receive` (or `on_batch`) when `has_receive`.
    pub handlers: Vec<HandlerDesc>,
    pub has_receive: bool,
    /// `fn(&mut state)`
    pub on_start: Option<FuncId>,
    /// `fn(&mut state)`
    pub on_stop: Option<FuncId>,
    /// `fn(&mut state, dyn Error)`
    pub on_error: Option<FuncId>,
}

/// A message an actor understands. `func`'s first parameter is the state, `&mut`.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerDesc {
    pub name: String,
    pub func: FuncId,
    /// The message: a tuple of the parameters behind the state.
    pub message: TypeId,
    pub ret: TypeId,
    pub batch: Option<BatchDesc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BatchDesc {
    pub max_size: u32,
    pub max_delay_ns: i64,
    /// `on_batch(Vec<I>)`: inputs arrive as a `Vec`; else tensors are joined along axis 0.
    pub as_vec: bool,
    /// The shape the parameter's type states, when it does: a number for each axis, `None` where it may be any.
    pub dims: Option<Vec<Option<u64>>>,
    /// `join = "cat"` was written.
    pub cat: bool,
}

/// A tensor's element type. The numbers are part of the file format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Elem {
    Float16 = 0,
    BFloat16 = 1,
    Float32 = 2,
    Float64 = 3,
    Int8 = 4,
    UInt8 = 5,
    Int16 = 6,
    Int32 = 7,
    Int64 = 8,
    Bool = 9,
}

impl Elem {
    pub const ALL: [Elem; 10] = [
        Elem::Float16,
        Elem::BFloat16,
        Elem::Float32,
        Elem::Float64,
        Elem::Int8,
        Elem::UInt8,
        Elem::Int16,
        Elem::Int32,
        Elem::Int64,
        Elem::Bool,
    ];
    /// The name in STARK source.
    pub fn name(self) -> &'static str {
        match self {
            Elem::Float16 => "Float16",
            Elem::BFloat16 => "BFloat16",
            Elem::Float32 => "Float32",
            Elem::Float64 => "Float64",
            Elem::Int8 => "Int8",
            Elem::UInt8 => "UInt8",
            Elem::Int16 => "Int16",
            Elem::Int32 => "Int32",
            Elem::Int64 => "Int64",
            Elem::Bool => "Bool",
        }
    }
}

impl TypeDesc {
    /// Whether values are counted references (else plain 64-bit scalars).
    pub fn is_ref(&self) -> bool {
        match self {
            TypeDesc::Unit | TypeDesc::Bool | TypeDesc::Number(_) | TypeDesc::Duration | TypeDesc::Instant => false,
            TypeDesc::Enum { variants, .. } => variants.iter().any(|v| !v.fields.is_empty()),
            _ => true,
        }
    }
}

impl Module {
    pub fn type_desc(&self, ty: TypeId) -> &TypeDesc {
        &self.types[ty.index()]
    }
    pub fn is_ref(&self, ty: TypeId) -> bool {
        self.type_desc(ty).is_ref()
    }
    /// A type as a person writes it, `Vec<Int>`; any id gives a name, and a deep one ends in `…`.
    pub fn type_name(&self, ty: TypeId) -> String {
        self.type_name_to(ty, 4)
    }

    fn type_name_to(&self, ty: TypeId, depth: u32) -> String {
        let list = |types: &[TypeId]| -> String {
            let names: Vec<String> = types.iter().take(16).map(|&ty| self.type_name_to(ty, depth - 1)).collect();
            names.join(", ")
        };
        let Some(desc) = self.types.get(ty.index()) else { return format!("type {}", ty.0) };
        if depth == 0 {
            return "…".to_owned();
        }
        match desc {
            TypeDesc::Unit => "()".to_owned(),
            TypeDesc::Bool => "Bool".to_owned(),
            TypeDesc::Number(kind) => kind.name().to_owned(),
            TypeDesc::Duration => "Duration".to_owned(),
            TypeDesc::Instant => "Instant".to_owned(),
            TypeDesc::Str => "String".to_owned(),
            TypeDesc::Bytes => "Bytes".to_owned(),
            TypeDesc::Tuple(types) => format!("({})", list(types)),
            TypeDesc::Struct { name, .. } | TypeDesc::Enum { name, .. } => name.clone(),
            TypeDesc::Vec(elem) => format!("Vec<{}>", list(&[*elem])),
            TypeDesc::Map(key, value) => format!("Map<{}>", list(&[*key, *value])),
            TypeDesc::Set(elem) => format!("Set<{}>", list(&[*elem])),
            TypeDesc::Fn { params, ret } => format!("fn({}) -> {}", list(params), list(&[*ret])),
            TypeDesc::Dyn { trait_name } => format!("dyn {trait_name}"),
            TypeDesc::Tensor { elem: Some(elem) } => format!("Tensor<{}>", elem.name()),
            TypeDesc::Tensor { elem: None } => "Tensor".to_owned(),
            TypeDesc::Opaque { name, args } if args.is_empty() => name.clone(),
            TypeDesc::Opaque { name, args } => format!("{name}<{}>", list(args)),
            TypeDesc::Actor(actor) => actor.name.clone(),
        }
    }
}
