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
        impl Parts for $name {
            const BITS: &'static [u32] = &[<$int>::BITS];
            fn split(self) -> [u32; 2] { [u32::from(self.0), 0] }
            fn join(parts: [u32; 2]) -> Option<Self> { <$int>::try_from(parts[0]).ok().map($name) }
        }
    )* };
}

/// How a value of an operand kind is cut into the numbers that a word holds.
trait Parts: Sized {
    /// Width of each part at its largest; one or two parts.
    const BITS: &'static [u32];
    fn split(self) -> [u32; 2];
    /// `None` when the numbers are no value of this kind.
    fn join(parts: [u32; 2]) -> Option<Self>;
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

impl Parts for i16 {
    const BITS: &'static [u32] = &[16];
    fn split(self) -> [u32; 2] {
        [u32::from(self.cast_unsigned()), 0]
    }
    fn join(parts: [u32; 2]) -> Option<Self> {
        u16::try_from(parts[0]).ok().map(u16::cast_signed)
    }
}

impl Parts for i8 {
    const BITS: &'static [u32] = &[8];
    fn split(self) -> [u32; 2] {
        [u32::from(self.cast_unsigned()), 0]
    }
    fn join(parts: [u32; 2]) -> Option<Self> {
        u8::try_from(parts[0]).ok().map(u8::cast_signed)
    }
}

impl Parts for Payload {
    const BITS: &'static [u32] = &[16, 16];
    fn split(self) -> [u32; 2] {
        [u32::from(self.variant), u32::from(self.field)]
    }
    fn join(parts: [u32; 2]) -> Option<Self> {
        Some(Payload { variant: u16::try_from(parts[0]).ok()?, field: u16::try_from(parts[1]).ok()? })
    }
}

impl Parts for Kind {
    const BITS: &'static [u32] = &[8];
    fn split(self) -> [u32; 2] {
        [self as u32, 0]
    }
    fn join(parts: [u32; 2]) -> Option<Self> {
        Kind::ALL.get(parts[0] as usize).copied()
    }
}

macro_rules! define_roles {
    ($( $(#[doc = $doc:literal])* $Kind:ident($Type:ty); )*) => {
        /// What an operand is to its instruction: the table's word for it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Role { $( $(#[doc = $doc])* $Kind, )* }

        /// An operand with its role. `Instr::operands` lists them in the order of the table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Operand { $( $(#[doc = $doc])* $Kind($Type), )* }

        impl Role {
            pub const ALL: &[Role] = &[$(Role::$Kind),*];
            pub fn name(self) -> &'static str { match self { $(Role::$Kind => stringify!($Kind)),* } }
            pub fn doc(self) -> &'static str { match self { $(Role::$Kind => concat!($($doc),*)),* } }
            /// Width of each of its parts at its largest.
            pub(crate) fn bits(self) -> &'static [u32] { match self { $(Role::$Kind => <$Type as Parts>::BITS),* } }
            pub(crate) fn join(self, parts: [u32; 2]) -> Option<Operand> {
                match self { $(Role::$Kind => <$Type as Parts>::join(parts).map(Operand::$Kind)),* }
            }
        }

        impl Operand {
            pub fn role(self) -> Role { match self { $(Operand::$Kind(_) => Role::$Kind),* } }
            pub(crate) fn split(self) -> [u32; 2] { match self { $(Operand::$Kind(value) => Parts::split(value)),* } }
        }
    };
}

define_roles! {
    /// A register that is written.
    Def(Reg);
    /// A register that is read.
    Use(Reg);
    /// A register that is read; a reference is moved out of it.
    Take(Reg);
    /// A register whose value is changed in place.
    Change(Reg);
    /// A signed number of 16 bits.
    Imm(i16);
    /// A signed number of 8 bits.
    Imm8(i8);
    /// A slot of the outgoing area.
    Out(Out);
    /// An instruction of this function, by its position.
    Target(Target);
    /// A function of the module.
    FuncId(FuncId);
    /// A native import of the module.
    NativeId(NativeId);
    /// A type of the module.
    TypeId(TypeId);
    /// A scalar constant of the module.
    ScalarId(ScalarId);
    /// A text constant of the module.
    StrId(StrId);
    /// A bytes constant of the module.
    BlobId(BlobId);
    /// A global of the module.
    GlobalId(GlobalId);
    /// A dynamic method of the module.
    MethodId(MethodId);
    /// A field of a tuple, struct or actor, by its position.
    Field(Field);
    /// A variant of an enum, by its number.
    Variant(Variant);
    /// How many outgoing slots are consumed.
    Count(Count);
    /// A payload field: a variant's number and a field's position.
    Payload(Payload);
    /// A number type.
    Kind(Kind);
}

impl Operand {
    /// The register, when the operand is one.
    pub fn reg(self) -> Option<Reg> {
        match self {
            Operand::Def(reg) | Operand::Use(reg) | Operand::Take(reg) | Operand::Change(reg) => Some(reg),
            _ => None,
        }
    }

    /// The same with another register, when the operand is one.
    pub fn with_reg(self, new: impl FnOnce(Reg) -> Reg) -> Operand {
        match self {
            Operand::Def(reg) => Operand::Def(new(reg)),
            Operand::Use(reg) => Operand::Use(new(reg)),
            Operand::Take(reg) => Operand::Take(new(reg)),
            Operand::Change(reg) => Operand::Change(new(reg)),
            other => other,
        }
    }
}
