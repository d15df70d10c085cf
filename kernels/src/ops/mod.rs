//! The operations: functions on `&Tensor`, named and ordered as in PyTorch.
//!
//! Axes are `i64`, negative from the end. Results are new tensors or views; arguments never change.

pub mod create;
pub mod view;
