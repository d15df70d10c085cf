//! The types of a random program.

use super::Maker;
use std::fmt;

#[derive(Clone, PartialEq, Debug)]
pub enum Ty {
    Int,
    /// Another type of whole numbers, with the suffix of its literals.
    Small(&'static str, &'static str),
    Float,
    Float32,
    Bool,
    Text,
    List(Box<Ty>),
    Map(Box<Ty>, Box<Ty>),
    Set(Box<Ty>),
    Maybe(Box<Ty>),
    Pair(Box<Ty>, Box<Ty>),
    Struct(usize),
    Enum(usize),
    /// A closure of one parameter.
    Fn(Box<Ty>, Box<Ty>),
}

/// The types of its fields `f0`, `f1`, …
#[derive(Clone, Debug)]
pub struct Struct(pub Vec<Ty>);

/// The payloads of its variants `V{enum}x{variant}`.
#[derive(Clone, Debug)]
pub struct Enum(pub Vec<Vec<Ty>>);

pub const SMALL: [Ty; 5] = [
    Ty::Small("UInt8", "u8"),
    Ty::Small("Int8", "i8"),
    Ty::Small("Int32", "i32"),
    Ty::Small("UInt32", "u32"),
    Ty::Small("UInt64", "u64"),
];

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Int => f.write_str("Int"),
            Ty::Small(name, _) => f.write_str(name),
            Ty::Float => f.write_str("Float"),
            Ty::Float32 => f.write_str("Float32"),
            Ty::Bool => f.write_str("Bool"),
            Ty::Text => f.write_str("String"),
            Ty::List(of) => write!(f, "Vec<{of}>"),
            Ty::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Ty::Set(of) => write!(f, "Set<{of}>"),
            Ty::Maybe(of) => write!(f, "Option<{of}>"),
            Ty::Pair(a, b) => write!(f, "({a}, {b})"),
            Ty::Struct(i) => write!(f, "S{i}"),
            Ty::Enum(i) => write!(f, "E{i}"),
            Ty::Fn(from, to) => write!(f, "fn({from}) -> {to}"),
        }
    }
}

impl Ty {
    pub fn list(of: Ty) -> Ty {
        Ty::List(Box::new(of))
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Ty::Int | Ty::Small(..) | Ty::Float | Ty::Float32)
    }

    /// Values of it can be printed and compared.
    pub fn is_plain(&self) -> bool {
        !matches!(self, Ty::Fn(..))
    }
}

impl Maker {
    pub fn scalar(&mut self) -> Ty {
        match self.rng.below(10) {
            0..=3 => Ty::Int,
            4 => self.rng.pick(&SMALL).clone(),
            5 | 6 => Ty::Float,
            7 => Ty::Float32,
            8 => Ty::Bool,
            _ => Ty::Text,
        }
    }

    fn key(&mut self) -> Ty {
        self.rng.pick(&[Ty::Int, Ty::Text, Ty::Int, Ty::Small("UInt8", "u8"), Ty::Bool]).clone()
    }

    /// A type, of containers at most so deep.
    pub fn ty(&mut self, depth: u32) -> Ty {
        if depth == 0 {
            return self.scalar();
        }
        let d = depth - 1;
        match self.rng.below(16) {
            0..=5 => self.scalar(),
            6..=8 => Ty::list(self.ty(d)),
            9 => Ty::Map(Box::new(self.key()), Box::new(self.ty(d))),
            10 => Ty::Set(Box::new(self.key())),
            11 => Ty::Maybe(Box::new(self.ty(d))),
            12 => Ty::Pair(Box::new(self.ty(d)), Box::new(self.ty(d))),
            13 | 14 if !self.structs.is_empty() => Ty::Struct(self.rng.below(self.structs.len())),
            15 if !self.enums.is_empty() => Ty::Enum(self.rng.below(self.enums.len())),
            _ => Ty::Int,
        }
    }
}
