//! The Rust types behind the dtypes, and a number of any of them.

use half::{bf16, f16};
use stark_shapes::{DType, Kind};

pub use crate::cpu::buffer::Bit;
use crate::cpu::buffer::Pod;

/// A stored element: one type per dtype (`Bit` for Bool).
pub trait Elem: Pod + PartialOrd {
    const DTYPE: DType;
    const FLOAT: bool;
    fn to_f64(self) -> f64;
    fn to_i64(self) -> i64;
    fn from_f64(x: f64) -> Self;
    fn from_i64(x: i64) -> Self;

    /// The number as a [`Scalar`] of its kind.
    fn to_scalar(self) -> Scalar {
        match Self::DTYPE.kind() {
            Kind::Float => Scalar::Float(self.to_f64()),
            Kind::Int => Scalar::Int(self.to_i64()),
            Kind::Bool => Scalar::Bool(self.to_i64() != 0),
        }
    }

    fn from_scalar(x: Scalar) -> Self {
        match x {
            Scalar::Float(x) => Self::from_f64(x),
            Scalar::Int(x) => Self::from_i64(x),
            Scalar::Bool(x) => Self::from_i64(x.into()),
        }
    }
}

macro_rules! ints {
    ($($T:ty: $D:ident),*) => { $(
        impl Elem for $T {
            const DTYPE: DType = DType::$D;
            const FLOAT: bool = false;
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
            // Through i64, so that -1.0 becomes 255 in UInt8, as PyTorch has it.
            #[inline(always)]
            fn from_f64(x: f64) -> Self { x as i64 as $T }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { x as $T }
        }
    )* };
}
ints!(u8: U8, i8: I8, i16: I16, i32: I32, i64: I64);

macro_rules! floats {
    ($($T:ty: $D:ident, $to:expr, $from:expr);*) => { $(
        impl Elem for $T {
            const DTYPE: DType = DType::$D;
            const FLOAT: bool = true;
            #[inline(always)]
            fn to_f64(self) -> f64 { $to(self) }
            #[inline(always)]
            fn to_i64(self) -> i64 { $to(self) as i64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { $from(x) }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { $from(x as f64) }
        }
    )* };
}
floats!(
    f32: F32, f64::from, |x| x as f32;
    f64: F64, |x| x, |x| x;
    f16: F16, f16::to_f64, f16::from_f64;
    bf16: BF16, bf16::to_f64, bf16::from_f64
);

impl PartialOrd for Bit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self.0 != 0).partial_cmp(&(other.0 != 0))
    }
}

impl Elem for Bit {
    const DTYPE: DType = DType::Bool;
    const FLOAT: bool = false;
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self.0 != 0))
    }
    fn to_i64(self) -> i64 {
        i64::from(self.0 != 0)
    }
    fn from_f64(x: f64) -> Self {
        Bit((x != 0.0).into())
    }
    fn from_i64(x: i64) -> Self {
        Bit((x != 0).into())
    }
}

/// A Rust value that goes into and comes out of tensors.
pub trait Element: Copy + 'static {
    type Store: Elem;
    fn store(self) -> Self::Store;
    fn load(stored: Self::Store) -> Self;
}

macro_rules! elements {
    ($($T:ty),*) => { $(
        impl Element for $T {
            type Store = $T;
            fn store(self) -> $T { self }
            fn load(stored: $T) -> $T { stored }
        }
    )* };
}
elements!(u8, i8, i16, i32, i64, f32, f64, f16, bf16);

impl Element for bool {
    type Store = Bit;
    fn store(self) -> Bit {
        Bit(self.into())
    }
    fn load(stored: Bit) -> bool {
        stored.0 != 0
    }
}

/// One number, in the widest type of its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl Scalar {
    pub fn kind(self) -> Kind {
        match self {
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Int(_) => Kind::Int,
            Scalar::Float(_) => Kind::Float,
        }
    }

    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(x) => f64::from(u8::from(x)),
            Scalar::Int(x) => x as f64,
            Scalar::Float(x) => x,
        }
    }

    /// Truncated towards zero, clamped to the range of `i64`, NaN as 0.
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(x) => x.into(),
            Scalar::Int(x) => x,
            Scalar::Float(x) => x as i64,
        }
    }

    pub fn to_bool(self) -> bool {
        match self {
            Scalar::Bool(x) => x,
            Scalar::Int(x) => x != 0,
            Scalar::Float(x) => x != 0.0,
        }
    }
}

macro_rules! scalars {
    ($($T:ty => $V:ident),*) => { $(
        impl From<$T> for Scalar { fn from(x: $T) -> Scalar { Scalar::$V(x.into()) } }
    )* };
}
scalars!(bool => Bool, i64 => Int, i32 => Int, f64 => Float, f32 => Float);

/// `$body` with `$T` as the element type of a dtype: all ten.
macro_rules! with_elem {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            stark_shapes::DType::F16 => {
                type $T = half::f16;
                $body
            }
            stark_shapes::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            stark_shapes::DType::F32 => {
                type $T = f32;
                $body
            }
            stark_shapes::DType::F64 => {
                type $T = f64;
                $body
            }
            stark_shapes::DType::I8 => {
                type $T = i8;
                $body
            }
            stark_shapes::DType::U8 => {
                type $T = u8;
                $body
            }
            stark_shapes::DType::I16 => {
                type $T = i16;
                $body
            }
            stark_shapes::DType::I32 => {
                type $T = i32;
                $body
            }
            stark_shapes::DType::I64 => {
                type $T = i64;
                $body
            }
            stark_shapes::DType::Bool => {
                type $T = $crate::element::Bit;
                $body
            }
        }
    };
}

/// `$body` with `$T` as a word of the dtype's size: for code that only moves elements.
macro_rules! with_word {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}

/// `$body` for ints and wide floats; `$other` for the rest (halves compute in `f32`, bools as the op decides).
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr, _ => $other:expr) => {
        match $dtype {
            stark_shapes::DType::F32 => {
                type $T = f32;
                $body
            }
            stark_shapes::DType::F64 => {
                type $T = f64;
                $body
            }
            stark_shapes::DType::I8 => {
                type $T = i8;
                $body
            }
            stark_shapes::DType::U8 => {
                type $T = u8;
                $body
            }
            stark_shapes::DType::I16 => {
                type $T = i16;
                $body
            }
            stark_shapes::DType::I32 => {
                type $T = i32;
                $body
            }
            stark_shapes::DType::I64 => {
                type $T = i64;
                $body
            }
            _ => $other,
        }
    };
}

pub(crate) use {with_elem, with_number, with_word};
