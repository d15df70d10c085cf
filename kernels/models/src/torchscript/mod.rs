//! TorchScript archives.

pub mod ast;
pub mod parse;
