//! What tensor operations refuse, as values.

use std::fmt;

use stark_shapes::{DType, ShapeError};

/// Why an operation on tensors gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorError {
    /// Shapes or axes that do not fit.
    Shape(ShapeError),
    /// An element type the operation does not take.
    DType(String),
    /// An element or id outside its axis.
    Index { index: i64, axis: usize, size: usize },
    /// The result would pass the limit of [`crate::set_max_tensor_bytes`], or the system has no memory for it.
    TooLarge { bytes: usize, limit: usize },
    /// An argument with no meaning here.
    Argument(String),
    /// Whole numbers divided by zero.
    ZeroDivision,
    /// A combination that is not built.
    Unsupported(String),
    /// What a device beside the processor could not do.
    Device(String),
    /// A device beside the processor has no memory for it.
    DeviceMemory(String),
    /// A tensor file that breaks its format.
    Format(String),
}

impl TensorError {
    pub(crate) fn dtype(operation: &str, dtype: DType) -> TensorError {
        TensorError::DType(format!("{operation} does not take {dtype} elements"))
    }
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TensorError::Shape(why) => why.fmt(f),
            TensorError::Index { index, axis, size } => {
                write!(f, "index {index} is out of range for axis {axis} of size {size}")
            }
            TensorError::TooLarge { bytes, limit } => {
                write!(f, "a tensor of {bytes} bytes passes the limit of {limit} for all tensors together")
            }
            TensorError::ZeroDivision => f.write_str("integer division by zero"),
            TensorError::DType(text)
            | TensorError::Argument(text)
            | TensorError::Unsupported(text)
            | TensorError::Device(text)
            | TensorError::DeviceMemory(text)
            | TensorError::Format(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for TensorError {}

impl From<ShapeError> for TensorError {
    fn from(why: ShapeError) -> Self {
        TensorError::Shape(why)
    }
}

pub type Result<T, E = TensorError> = std::result::Result<T, E>;
