//! The kinds of operand an instruction may have.
//!
//! `Def`, `Use`, `Take` and `Change` are all a `Reg`; the kind says what happens to it: written, read, read and (for a
//! reference) left null, changed in place. Positions are newtypes so that none is taken for another.

macro_rules! index_types {
    ($( $(#[$doc:meta])* $name:ident($int:ty); )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $int);
        impl $name {
            pub fn index(self) -> usize { self.0 as usize }
        }
    )* };
}

index_types! {
    /// A register of the running function; parameters come first.
    Reg(u16);
    /// A slot of the outgoing area.
    Out(u16);
    /// An instruction's position in its function.
    Target(u32);
    /// A row of `Module::functions`.
    FuncId(u32);
    /// A row of `Module::natives`.
    NativeId(u32);
    /// A row of `Module::types`.
    TypeId(u32);
    /// A row of `Module::scalars`.
    ScalarId(u32);
    /// A row of `Module::strings`.
    StrId(u32);
    /// A row of `Module::blobs`.
    BlobId(u32);
    /// A row of `Module::globals`.
    GlobalId(u32);
    /// A row of `Module::methods`.
    MethodId(u32);
    /// A field's position.
    Field(u16);
    /// A variant's number.
    Variant(u16);
    /// How many outgoing slots are consumed.
    Count(u16);
}

/// A payload field: which variant, which field of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Payload {
    pub variant: u16,
    pub field: u16,
}

/// A number type, for conversions and range checks. The numbers are part of the file format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    Int8 = 0,
    Int16 = 1,
    Int32 = 2,
    Int64 = 3,
    UInt8 = 4,
    UInt16 = 5,
    UInt32 = 6,
    UInt64 = 7,
    Float16 = 8,
    BFloat16 = 9,
    Float32 = 10,
    Float64 = 11,
}

impl Kind {
    pub const ALL: [Kind; 12] = [
        Kind::Int8,
        Kind::Int16,
        Kind::Int32,
        Kind::Int64,
        Kind::UInt8,
        Kind::UInt16,
        Kind::UInt32,
        Kind::UInt64,
        Kind::Float16,
        Kind::BFloat16,
        Kind::Float32,
        Kind::Float64,
    ];
    pub fn is_float(self) -> bool {
        self as u8 >= Kind::Float16 as u8
    }
    pub fn is_unsigned(self) -> bool {
        matches!(self, Kind::UInt8 | Kind::UInt16 | Kind::UInt32 | Kind::UInt64)
    }
    /// The name in STARK source.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Int8 => "Int8",
            Kind::Int16 => "Int16",
            Kind::Int32 => "Int32",
            Kind::Int64 => "Int",
            Kind::UInt8 => "UInt8",
            Kind::UInt16 => "UInt16",
            Kind::UInt32 => "UInt32",
            Kind::UInt64 => "UInt64",
            Kind::Float16 => "Float16",
            Kind::BFloat16 => "BFloat16",
            Kind::Float32 => "Float32",
            Kind::Float64 => "Float",
        }
    }
}

/// What each operand kind of the table is in Rust.
pub mod kinds {
    pub type Def = super::Reg;
    pub type Use = super::Reg;
    pub type Take = super::Reg;
    pub type Change = super::Reg;
    pub type Imm = i16;
    pub type Imm8 = i8;
    pub use super::{
        BlobId, Count, Field, FuncId, GlobalId, Kind, MethodId, NativeId, Out, Payload, ScalarId, StrId, Target,
        TypeId, Variant,
    };
}
