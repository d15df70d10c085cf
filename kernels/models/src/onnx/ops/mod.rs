//! What ONNX's operators do where they differ from PyTorch's of the same name.

pub mod contrib;
pub mod math;
pub mod ml;
pub mod nn;
pub mod place;
pub mod qlinear;
pub mod quant;
pub mod recent;
pub mod recurrent;
pub mod resize;
pub mod sequence;
pub mod shape;
pub mod signal;
pub mod trees;
pub mod vision;
pub mod window;
