//! Why shapes or dtypes do not fit an operation.

use std::fmt;

/// Shapes, axes or dtypes that an operation refuses. The text carries the shapes and the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError(pub String);

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}

macro_rules! refuse {
    ($($arg:tt)*) => { Err($crate::ShapeError(format!($($arg)*))) };
}
pub(crate) use refuse;
