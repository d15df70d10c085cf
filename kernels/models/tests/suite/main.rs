//! The crate against real files. `STARK_MODELS` names the folder of all fixtures; without it the small ones
//! in `tests/data/models` are used, and what needs the others says that it is skipped.

mod attention;
mod caches;
mod chains;
mod common;
mod gates;
mod hostile;
mod in_place;
mod memory;
mod onnx_malformed;
mod onnx_models;
mod onnx_nodes;
mod onnx_order;
mod onnx_texts;
mod outputs;
mod passes;
mod pooling;
mod programs;
mod recorded;
mod recurrent;
mod scripts;
mod tokenizers;
