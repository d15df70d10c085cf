//! The operations: functions on `&Tensor`, named and ordered as in PyTorch.
//!
//! Axes are `i64`, negative from the end. Results are new tensors or views; arguments never change.
//! Where an argument is `impl Into<Arg>`, a tensor or a plain number fits.

mod attend;
mod attention;
mod blocks;
mod cat;
mod columns;
mod conv;
mod create;
mod elementwise;
mod few;
mod filter;
mod index;
mod join;
mod matmul;
mod norm;
mod packed;
mod pool;
mod recurrent;
mod reduce;
mod resample;
mod unary;
mod view;

pub use attention::*;
pub use cat::{Joint, cat, stack};
pub use conv::*;
pub use create::*;
pub use elementwise::*;
pub use filter::{PackedFilter, conv2d_halved, conv2d_packed};
pub use index::*;
pub use join::*;
pub use matmul::*;
pub use norm::*;
pub use packed::{PackedMatrix, activate, linear_packed};
pub use pool::*;
pub use recurrent::{Cell, Recurrent, recurrent, recurrent_serves};
pub use reduce::*;
pub use resample::*;
pub use unary::*;
pub(crate) use view::expanded_strides;
