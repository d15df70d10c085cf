//! Models: loading, tokenizing, running.
//!
//! [`Model::load`] reads a TorchScript archive, a `torch.export` program or an ONNX file, makes one
//! [`graph::Graph`] of it and answers [`Model::predict`]. [`Tokenizer`] turns text into ids and back. Files are data: a pickle is never run,
//! sizes are checked before memory is asked for, and whatever is wrong is a [`ModelError`] that says where.

mod build;
#[cfg(test)]
mod coverage;
mod describe;
mod error;
mod exec;
mod format;
pub mod graph;
mod input_type;
mod load;
mod mapped;
mod memory;
mod model;
pub mod observe;
pub mod onnx;
pub mod ops;
pub mod opt;
mod pairs;
pub mod pickle;
mod place;
pub mod plan;
mod prepack;
pub mod pt2;
pub mod safetensors;
mod seals;
mod signature;
mod structure;
pub mod tokenizer;
pub mod torchscript;
mod value;
pub mod zip;

pub use error::{ModelError, Place, UnknownOperator};
pub use exec::{DEFAULT_STEP_BUDGET, Observer, Stop};
pub use load::Load;
pub use mapped::{FileBytes, MAP_FROM};
pub use memory::MAX_PLANS;
pub use model::{Declared, Model, Parameter, Signature};
pub use tokenizer::{Tokenizer, TokenizerError};
pub use value::Value;
