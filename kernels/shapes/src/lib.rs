//! Shape and dtype rules of every tensor operation, shared by compiler and run time.
//!
//! A rule is a plain function from the shapes (and constant arguments) of an operation to the shape of
//! its result, or a [`ShapeError`] that prints the shapes and names the axis. Rules are written over the
//! [`Dim`] trait: run time uses `usize`, the compiler [`Symbolic`], and both say the same sentence.
//!
//! Axes are `i64` and may be negative, counted from the end, everywhere.

mod dim;
mod dtype;
mod error;
pub mod rules;
mod signature;
mod symbolic;
mod window;

pub use dim::{Dim, Shape, show};
pub use dtype::{DType, Kind, Operand, promote, result_dtype};
pub use error::ShapeError;
pub use signature::{FILLED_IN, ModelSpec, TensorSpec, model_fits};
pub use symbolic::Symbolic;
pub use window::{Conv, Pool, conv_out, conv_transpose_out, pool_out};
