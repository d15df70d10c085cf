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
    TooLarge { bytes: usize, limit: usize, in_use: usize },
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

/// How every [`TensorError::TooLarge`] begins to end.
const PASSES: &str = "for all tensors together, of which";

impl TensorError {
    /// Storage of so many bytes is not to be had now.
    pub fn too_large(bytes: usize) -> TensorError {
        TensorError::TooLarge { bytes, limit: crate::max_tensor_bytes(), in_use: crate::live_tensor_bytes() }
    }

    /// Whether a text tells of a [`TensorError::TooLarge`]: for who has made a text of it and has nothing else.
    pub fn is_too_large_told_in(text: &str) -> bool {
        text.contains(PASSES)
    }

    pub(crate) fn needs_floats(operation: &str, dtype: DType) -> TensorError {
        TensorError::DType(format!("{operation} needs floats, not {dtype}: convert with to(Float32)"))
    }

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
            TensorError::TooLarge { bytes, limit, in_use } => {
                write!(f, "a tensor of {bytes} bytes passes the limit of {limit} {PASSES} {in_use} are in use")
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
