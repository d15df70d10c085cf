//! Model importers (TorchScript, safetensors, tokenizers), graph IR and executor.

mod error;
mod mapped;
pub mod pickle;
pub mod tokenizer;
pub mod torchscript;
pub mod zip;

pub use error::{ModelError, Place, UnknownOperator};
pub use mapped::{FileBytes, MAP_FROM};
