//! ONNX models: a protobuf of one graph, with its weights inside or in files beside it.
//!
//! [`check`] walks the bytes before anything is decoded, [`proto`] has the messages, [`tensor`] reads weights,
//! [`import`] makes one graph of it all out of the rows of [`table`]; [`held`] is about element types that tensors lack.

mod check;
mod held;
mod import;
mod ops;
pub mod proto;
mod table;
mod tensor;

use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;

pub(crate) use ops::math::shift;
pub(crate) use ops::nn::einsum;
pub(crate) use ops::recent::{Moving, deformed};
pub(crate) use ops::resize::{Filter, resampled};
pub(crate) use ops::shape::scatter_with;
pub(crate) use ops::window::conv;
pub use table::{OnnxRow, ROWS};
pub(crate) use tensor::float8;

use crate::error::ModelError;
use crate::format::{Beside, fits_memory};
use crate::mapped::FileBytes;
use crate::model::Imported;

/// Imports a model; weights may lie in files beside it.
pub(crate) fn load(file: &Arc<str>, bytes: FileBytes, beside: Beside<'_>) -> Result<Imported, ModelError> {
    let broken = |reason: String| {
        let reason = format!("this begins like an ONNX model (a protobuf), but is broken: {reason}");
        ModelError::Archive { file: file.clone(), entry: None, reason }
    };
    check::check(&bytes).map_err(broken)?;
    // Raw data of tensors stays a range of these bytes.
    let model = proto::ModelProto::decode(Bytes::from_owner(bytes.clone())).map_err(|e| broken(e.to_string()))?;
    let Some(graph) = &model.graph else { return Err(broken("it has no graph".into())) };
    let weights = graph.initializer.iter().map(tensor::n_bytes).fold(0, u64::saturating_add);
    fits_memory(file, weights)?;
    import::import(file, &model, graph, &tensor::External::new(bytes, beside))
}
