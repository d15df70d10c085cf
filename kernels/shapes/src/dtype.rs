//! Element types and how operations combine them (PyTorch's promotion rules).

use std::fmt;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F16,
    BF16,
    F32,
    F64,
    I8,
    U8,
    I16,
    I32,
    I64,
    Bool,
}

/// What a dtype counts as when dtypes are combined; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Bool,
    Int,
    Float,
}

impl DType {
    pub const ALL: [DType; 10] = [
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::I8,
        DType::U8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::Bool,
    ];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 | DType::BF16 | DType::I16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::F64 | DType::I64 => 8,
        }
    }

    /// The name in STARK source.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F16 => "Float16",
            DType::BF16 => "BFloat16",
            DType::F32 => "Float32",
            DType::F64 => "Float64",
            DType::I8 => "Int8",
            DType::U8 => "UInt8",
            DType::I16 => "Int16",
            DType::I32 => "Int32",
            DType::I64 => "Int64",
            DType::Bool => "Bool",
        }
    }

    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    pub const fn kind(self) -> Kind {
        match self {
            DType::Bool => Kind::Bool,
            DType::I8 | DType::U8 | DType::I16 | DType::I32 | DType::I64 => Kind::Int,
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => Kind::Float,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self.kind(), Kind::Float)
    }

    pub const fn is_int(self) -> bool {
        matches!(self.kind(), Kind::Int)
    }

    /// The dtype of float-only functions (`exp`, `/`, `mean` of comparisons …): ints and bools become `Float32`.
    pub const fn to_float(self) -> DType {
        if self.is_float() { self } else { DType::F32 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The smallest dtype that both convert to, as PyTorch's `promote_types`.
pub fn promote(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    match (a.kind().max(b.kind()), a.kind() == b.kind()) {
        (_, false) => {
            if a.kind() > b.kind() {
                a
            } else {
                b
            }
        }
        (Kind::Float, true) => match (a, b) {
            (F64, _) | (_, F64) => F64,
            // Float16 and BFloat16 have no common half type.
            _ => F32,
        },
        (_, true) => match (a, b) {
            (U8, I8) | (I8, U8) => I16,
            _ if a.size() >= b.size() => a,
            _ => b,
        },
    }
}

/// An operand as the promotion rule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A tensor of rank 1 or more.
    Dimensioned(DType),
    /// A 0-dim tensor: raises the kind (bool, int, float) but never the width.
    ZeroDim(DType),
    /// A plain number: raises the kind, floats to `Float32`, ints to `Int64`.
    Number(Kind),
}

/// The dtype an elementwise operation computes in, as PyTorch's `result_type`.
pub fn result_dtype(operands: &[Operand]) -> DType {
    let mut dims: Option<DType> = None;
    let mut zeros: Option<DType> = None;
    let mut numbers: Option<DType> = None;
    let raise = |slot: &mut Option<DType>, dtype: DType| *slot = Some(slot.map_or(dtype, |was| promote(was, dtype)));
    for operand in operands {
        match *operand {
            Operand::Dimensioned(dtype) => raise(&mut dims, dtype),
            Operand::ZeroDim(dtype) => raise(&mut zeros, dtype),
            Operand::Number(Kind::Float) => raise(&mut numbers, DType::F32),
            Operand::Number(Kind::Int) => raise(&mut numbers, DType::I64),
            Operand::Number(Kind::Bool) => raise(&mut numbers, DType::Bool),
        }
    }
    let over = |high: Option<DType>, low: Option<DType>| match (high, low) {
        // A lower group only matters when its kind is greater.
        (Some(high), Some(low)) if low.kind() > high.kind() => Some(low),
        (Some(high), _) => Some(high),
        (None, low) => low,
    };
    over(dims, over(zeros, numbers)).unwrap_or(DType::F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DType::*;

    #[test]
    fn promotion_is_pytorchs() {
        for (a, b, want) in [
            (F32, F64, F64),
            (F16, BF16, F32),
            (F16, I64, F16),
            (U8, I8, I16),
            (U8, I16, I16),
            (Bool, U8, U8),
            (I32, I64, I64),
            (Bool, F16, F16),
            (BF16, F32, F32),
        ] {
            assert_eq!(promote(a, b), want, "{a} {b}");
            assert_eq!(promote(b, a), want, "{b} {a}");
        }
    }

    #[test]
    fn zero_dim_operands_and_numbers_raise_only_the_kind() {
        use Operand::*;
        for (operands, want) in [
            (vec![Dimensioned(F32), ZeroDim(F64)], F32),
            (vec![Dimensioned(F16), Number(Kind::Float)], F16),
            (vec![Dimensioned(I32), ZeroDim(I64)], I32),
            (vec![Dimensioned(I32), ZeroDim(F64)], F64),
            (vec![Dimensioned(I32), Number(Kind::Float)], F32),
            (vec![Dimensioned(U8), Number(Kind::Int)], U8),
            (vec![Dimensioned(Bool), Number(Kind::Int)], I64),
            (vec![ZeroDim(F32), ZeroDim(F64)], F64),
            (vec![ZeroDim(I32), Number(Kind::Int)], I32),
        ] {
            assert_eq!(result_dtype(&operands), want, "{operands:?}");
        }
    }

    #[test]
    fn names_round_trip() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
        }
        assert_eq!(DType::from_name("Int"), None);
    }
}
