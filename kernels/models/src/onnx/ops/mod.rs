//! What ONNX's operators do where they differ from PyTorch's of the same name.

pub mod math;
pub mod nn;
pub mod quant;
pub mod recurrent;
pub mod resize;
pub mod sequence;
pub mod shape;
pub mod vision;
pub mod window;
