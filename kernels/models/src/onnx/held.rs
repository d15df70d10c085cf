//! Element types that tensors here do not have, where nodes compute with them.
//!
//! Tensors of such a type are of a wider one ([`held`]), and the importer remembers which. What nodes give that could leave
//! the range of the file's type is brought back into it: quantised numbers saturate, all others wrap around.

use stark_kernels::ops as k;
use stark_kernels::{DType, Result as Tried, Scalar, Tensor, TensorError};

use crate::ops::tensor::ok;
use crate::ops::{Args, OpResult};

/// What holds the numbers of a type, and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    pub dtype: DType,
    pub low: i64,
    pub high: i64,
}

/// How `TensorProto.DataType` is held; nothing for types that tensors have, and for those that nodes cannot compute with.
pub fn held(data_type: i32) -> Option<Held> {
    let (dtype, low, high) = match data_type {
        4 => (DType::I32, 0, u16::MAX.into()),
        12 => (DType::I64, 0, u32::MAX.into()),
        // Its bits, of which the highest reads as a sign: see [`needs_number`].
        13 => (DType::I64, i64::MIN, i64::MAX),
        21 => (DType::U8, 0, 15),
        22 => (DType::I8, -8, 7),
        _ => return None,
    };
    Some(Held { dtype, low, high })
}

/// What a node does with the type of its first input (`Where`: of its second).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keeps {
    /// Its numbers are those of the input, elsewhere.
    Numbers,
    /// It computes, and may leave the range.
    Type,
}

pub fn keeps(operator: &str) -> Option<Keeps> {
    match operator {
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Sum" | "BitShift" | "BitwiseNot" | "BitwiseAnd"
        | "BitwiseOr" | "BitwiseXor" | "CumSum" | "ReduceSum" | "ReduceProd" | "MatMul" | "Gemm" => Some(Keeps::Type),
        "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Expand" | "Tile" | "Slice" | "Split"
        | "Concat" | "Gather" | "GatherElements" | "GatherND" | "ScatterElements" | "ScatterND" | "Where" | "Pad"
        | "Max" | "Min" | "Clip" | "ReduceMax" | "ReduceMin" | "DepthToSpace" | "SpaceToDepth" | "Compress"
        | "Trilu" => Some(Keeps::Numbers),
        _ => None,
    }
}

/// ONNX's number for UINT64.
pub const UINT64: i32 = 13;

/// Whether an operator needs to know how large a UINT64 number is: the others do the same with 64 bits whether the highest
/// is a sign or not.
pub fn needs_number(operator: &str) -> bool {
    match operator {
        "Div" | "Mod" | "Pow" | "Max" | "Min" | "Clip" | "ReduceMax" | "ReduceMin" => true,
        "Equal" | "Shape" | "Size" | "NonZero" => false,
        _ => keeps(operator).is_none(),
    }
}

/// Whether a cast to this type takes some of the bits as they are.
pub fn is_whole(data_type: i32) -> bool {
    matches!(data_type, 2..=7 | 9 | 12 | 13 | 21 | 22)
}

/// UINT64 numbers as Int64 where they fit.
pub fn number(a: &Args<'_>) -> OpResult {
    let x = a.tensor(0)?;
    let made = || -> Tried<Tensor> {
        if x.to_vec::<i64>()?.iter().any(|&n| n < 0) {
            return Err(TensorError::Argument("a UINT64 number does not fit in an Int64".into()));
        }
        Ok((*x).clone())
    };
    ok(made())
}

/// A shift to the right into which zeros come.
pub fn shifted(a: &Args<'_>) -> OpResult {
    let (x, by) = (a.tensor(0)?, a.tensor(1)?);
    let made = || -> Tried<Tensor> {
        let shape = stark_shapes::rules::broadcast(x.shape(), by.shape())?;
        let numbers = |t: &Tensor| t.to(DType::I64)?.expand(&shape)?.to_vec::<i64>();
        let right = |(x, by): (i64, i64)| u32::try_from(by).ok().and_then(|by| (x as u64).checked_shr(by)).unwrap_or(0);
        let out = numbers(&x)?.into_iter().zip(numbers(&by)?).map(right).map(|n| n as i64);
        Tensor::from_vec(out.collect(), &shape)
    };
    ok(made())
}

/// Into the range, by its nearest end.
pub fn clamped(a: &Args<'_>) -> OpResult {
    let (low, high) = (Scalar::Int(a.int(1)?), Scalar::Int(a.int(2)?));
    ok(k::clamp(&*a.tensor(0)?, Some(low.into()), Some(high.into())))
}

/// Into the range, by as many times its size as it takes.
pub fn wrapped(a: &Args<'_>) -> OpResult {
    let (low, high) = (a.int(1)?, a.int(2)?);
    let x = a.tensor(0)?;
    let made = || -> Tried<Tensor> {
        let mut numbers = x.to(DType::I64)?.to_vec::<i64>()?;
        // All ranges are as large as a power of two.
        numbers.iter_mut().for_each(|n| *n = (n.wrapping_sub(low) & high.wrapping_sub(low)).wrapping_add(low));
        Tensor::from_vec(numbers, x.shape())?.to(x.dtype())
    };
    ok(made())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::table;
    use crate::value::Value;

    fn run(row: &'static crate::ops::OpRow, x: &[i64], data_type: i32) -> Result<Vec<i64>, String> {
        let Held { dtype, low, high } = held(data_type).expect("held");
        let x = Tensor::from_slice(x, &[x.len()]).and_then(|x| x.to(dtype)).map_err(|e| e.to_string())?;
        let values = [Value::Tensor(x), Value::Int(low), Value::Int(high)];
        let out = (row.run)(&Args::new(row, &values[..row.args.len()].iter().collect::<Vec<_>>()))?;
        let out = out.to_tensor().ok_or("no tensor")?.to(DType::I64).map_err(|e| e.to_string())?;
        out.to_vec().map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_come_back_into_the_range_of_their_type() {
        assert_eq!(run(&table::WRAPPED, &[-1, 65536, 70000, 7], 4), Ok(vec![65535, 0, 4464, 7]));
        assert_eq!(run(&table::WRAPPED, &[-1, 1 << 33, 5], 12), Ok(vec![u32::MAX.into(), 0, 5]));
        assert_eq!(run(&table::WRAPPED, &[8, -9, 7], 22), Ok(vec![-8, 7, 7]));
        assert_eq!(run(&table::CLAMPED, &[-1, 65536, 9], 4), Ok(vec![0, 65535, 9]));
        assert_eq!(run(&table::WRAPPED, &[i64::MAX, -1, 3], UINT64), Ok(vec![i64::MAX, -1, 3]));
        assert_eq!(run(&table::NUMBER, &[i64::MAX, 3], UINT64), Ok(vec![i64::MAX, 3]));
        assert!(run(&table::NUMBER, &[-1], UINT64).is_err_and(|e| e.contains("UINT64")));
    }
}
