//! The arguments of one operator call, read by kind, with errors that name the argument.

use std::borrow::Cow;

use smallvec::SmallVec;
use stark_kernels::cpu::activation::Activation;
use stark_kernels::ops::{PackedFilter, conv2d_halved, conv2d_packed, conv2d_with, max_pool2d};
use stark_kernels::{DType, Scalar, Tensor};
use stark_shapes::{Conv, Pool};

use super::OpRow;
use super::kept::Keeper;
use crate::value::Value;

/// A result, or the reason why there is none; the executor adds operator and place.
pub type OpResult = Result<Value, String>;

/// As many values as the row has arguments.
pub struct Args<'a> {
    pub row: &'static OpRow,
    pub values: &'a [&'a Value],
    /// What the optimiser fused to the operator; only operators that it fuses look here.
    pub then: Then<'a>,
    /// Of the instruction that runs it, when there is one.
    pub keeper: Option<Keeper<'a>>,
}

/// What follows an operator in the same pass.
#[derive(Clone, Copy, Default)]
pub struct Then<'a> {
    pub added: Option<&'a Tensor>,
    pub activation: Activation,
    /// The weights of a convolution, packed, for an input that they serve.
    pub filter: Option<&'a PackedFilter>,
    /// Of each two by two positions of a convolution over planes the greatest is kept, after all else.
    pub is_halved: bool,
}

impl Then<'_> {
    pub fn apply(&self, out: Tensor) -> stark_kernels::Result<Tensor> {
        let out = match self.added {
            Some(added) => stark_kernels::ops::add(&out, added)?,
            None => out,
        };
        stark_kernels::ops::activate(out, self.activation)
    }

    /// A convolution over planes and what follows it, with the packed weights where there are some.
    pub fn conv2d(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        windows: [Conv; 2],
        groups: usize,
    ) -> stark_kernels::Result<Tensor> {
        let out = match self.filter {
            Some(filter) if self.is_halved && self.added.is_none() => {
                return conv2d_halved(x, filter, bias, windows, self.activation);
            }
            Some(filter) => conv2d_packed(x, filter, bias, windows, self.added, self.activation)?,
            None => conv2d_with(x, weight, bias, windows, groups, self.added, self.activation)?,
        };
        if self.is_halved { max_pool2d(&out, [Pool::new(2); 2]) } else { Ok(out) }
    }
}

pub type Ints = SmallVec<[i64; 8]>;

impl<'a> Args<'a> {
    pub fn new(row: &'static OpRow, values: &'a [&'a Value]) -> Args<'a> {
        Args { row, values, then: Then::default(), keeper: None }
    }

    pub fn get(&self, index: usize) -> &'a Value {
        self.values[index]
    }

    pub fn is_none(&self, index: usize) -> bool {
        self.get(index).is_none()
    }

    fn wrong<T>(&self, index: usize, wanted: &str) -> Result<T, String> {
        let name = self.row.args.get(index).map_or("?", |arg| arg.name);
        Err(format!("argument `{name}` is {}, not {wanted}", self.get(index).kind()))
    }

    /// A tensor; a plain number counts as one of no dimensions.
    pub fn tensor(&self, index: usize) -> Result<Cow<'a, Tensor>, String> {
        match self.get(index) {
            Value::Tensor(tensor) => Ok(Cow::Borrowed(tensor)),
            Value::Quantised(tensor) => Ok(Cow::Borrowed(&tensor.values)),
            other => match other.to_tensor() {
                Some(tensor) => Ok(Cow::Owned(tensor)),
                None => self.wrong(index, "a tensor"),
            },
        }
    }

    pub fn opt_tensor(&self, index: usize) -> Result<Option<Cow<'a, Tensor>>, String> {
        if self.is_none(index) { Ok(None) } else { self.tensor(index).map(Some) }
    }

    pub fn scalar(&self, index: usize) -> Result<Scalar, String> {
        match self.get(index).scalar() {
            Some(scalar) => Ok(scalar),
            None => self.wrong(index, "a number"),
        }
    }

    pub fn opt_scalar(&self, index: usize) -> Result<Option<Scalar>, String> {
        if self.is_none(index) { Ok(None) } else { self.scalar(index).map(Some) }
    }

    pub fn int(&self, index: usize) -> Result<i64, String> {
        match self.get(index) {
            Value::Int(i) => Ok(*i),
            Value::Bool(b) => Ok((*b).into()),
            Value::Tensor(t) if !t.dtype().is_float() => t.item().map(|x| x.to_i64()).map_err(|e| e.to_string()),
            _ => self.wrong(index, "an int"),
        }
    }

    pub fn opt_int(&self, index: usize) -> Result<Option<i64>, String> {
        if self.is_none(index) { Ok(None) } else { self.int(index).map(Some) }
    }

    /// An int that counts something.
    pub fn count(&self, index: usize) -> Result<usize, String> {
        let n = self.int(index)?;
        let name = self.row.args[index].name;
        usize::try_from(n).map_err(|_| format!("argument `{name}` is {n}"))
    }

    pub fn float(&self, index: usize) -> Result<f64, String> {
        Ok(self.scalar(index)?.to_f64())
    }

    pub fn bool(&self, index: usize) -> Result<bool, String> {
        match self.get(index) {
            Value::Bool(b) => Ok(*b),
            Value::None => Ok(false),
            _ => Ok(self.scalar(index)?.to_bool()),
        }
    }

    pub fn str(&self, index: usize) -> Result<&'a str, String> {
        match self.get(index) {
            Value::Str(text) => Ok(text),
            _ => self.wrong(index, "a str"),
        }
    }

    /// A list of ints; one int alone counts as a list of it.
    pub fn ints(&self, index: usize) -> Result<Ints, String> {
        let int = |value: &Value| match value {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some((*b).into()),
            Value::Tensor(t) if !t.dtype().is_float() => t.item().ok().map(|x| x.to_i64()),
            _ => None,
        };
        let ints: Option<Ints> = match self.get(index) {
            Value::List(list) => list.items().iter().map(int).collect(),
            Value::Tuple(tuple) => tuple.items.iter().map(int).collect(),
            // ONNX computes sizes as tensors.
            Value::Tensor(t) if t.rank() == 1 && !t.dtype().is_float() => {
                Some(t.to_scalars().into_iter().map(Scalar::to_i64).collect())
            }
            one => int(one).map(|i| SmallVec::from_slice(&[i])),
        };
        match ints {
            Some(ints) => Ok(ints),
            None => self.wrong(index, "a list of ints"),
        }
    }

    pub fn opt_ints(&self, index: usize) -> Result<Option<Ints>, String> {
        if self.is_none(index) { Ok(None) } else { self.ints(index).map(Some) }
    }

    /// Sizes: a list of ints that are not negative.
    pub fn sizes(&self, index: usize) -> Result<SmallVec<[usize; 8]>, String> {
        let name = self.row.args[index].name;
        let size = |n: i64| usize::try_from(n).map_err(|_| format!("argument `{name}` has the size {n}"));
        self.ints(index)?.into_iter().map(size).collect()
    }

    pub fn floats(&self, index: usize) -> Result<Vec<f64>, String> {
        let float = |value: &Value| value.scalar().map(Scalar::to_f64);
        let floats: Option<Vec<f64>> = match self.get(index) {
            Value::List(list) => list.items().iter().map(float).collect(),
            Value::Tuple(tuple) => tuple.items.iter().map(float).collect(),
            Value::Tensor(t) if t.rank() == 1 => Some(t.to_scalars().into_iter().map(Scalar::to_f64).collect()),
            one => float(one).map(|f| vec![f]),
        };
        match floats {
            Some(floats) => Ok(floats),
            None => self.wrong(index, "a list of numbers"),
        }
    }

    pub fn tensors(&self, index: usize) -> Result<Vec<Tensor>, String> {
        let tensors: Option<Vec<Tensor>> = match self.get(index) {
            Value::List(list) => list.items().iter().map(Value::to_tensor).collect(),
            Value::Tuple(tuple) => tuple.items.iter().map(Value::to_tensor).collect(),
            _ => None,
        };
        match tensors {
            Some(tensors) => Ok(tensors),
            None => self.wrong(index, "a list of tensors"),
        }
    }

    pub fn opt_tensors(&self, index: usize) -> Result<Vec<Option<Tensor>>, String> {
        let one = |value: &Value| if value.is_none() { Some(None) } else { value.to_tensor().map(Some) };
        let tensors: Option<Vec<Option<Tensor>>> = match self.get(index) {
            Value::List(list) => list.items().iter().map(one).collect(),
            Value::Tuple(tuple) => tuple.items.iter().map(one).collect(),
            _ => None,
        };
        match tensors {
            Some(tensors) => Ok(tensors),
            None => self.wrong(index, "a list of tensors"),
        }
    }

    /// A dtype by PyTorch's number, `None` when it is left open.
    pub fn dtype(&self, index: usize) -> Result<Option<DType>, String> {
        match self.opt_int(index)? {
            Some(code) => dtype_of_code(code).map(Some),
            None => Ok(None),
        }
    }
}

/// PyTorch's `ScalarType` numbers.
pub fn dtype_of_code(code: i64) -> Result<DType, String> {
    Ok(match code {
        0 => DType::U8,
        1 => DType::I8,
        2 => DType::I16,
        3 => DType::I32,
        4 => DType::I64,
        5 => DType::F16,
        6 => DType::F32,
        7 => DType::F64,
        11 => DType::Bool,
        15 => DType::BF16,
        8..=10 => return Err("complex dtypes are not supported".into()),
        12..=14 => return Err("quantised dtypes are not supported".into()),
        code => return Err(format!("dtype number {code} is not supported")),
    })
}

/// The other way around.
pub fn code_of_dtype(dtype: DType) -> i64 {
    match dtype {
        DType::U8 => 0,
        DType::I8 => 1,
        DType::I16 => 2,
        DType::I32 => 3,
        DType::I64 => 4,
        DType::F16 => 5,
        DType::F32 => 6,
        DType::F64 => 7,
        DType::Bool => 11,
        DType::BF16 => 15,
    }
}
