//! STARK's tensors and their CPU and reference backends.
//!
//! A [`Tensor`] is a value: clones and views share storage, writes copy when it is shared. Views are methods,
//! operations are functions in [`ops`] with PyTorch's names, argument order and results. Every operation
//! checks shapes with `stark-shapes` first and answers a [`TensorError`] for what does not fit; nothing panics
//! on its arguments, and no index is followed before it is checked.

pub mod accelerator;
pub mod cpu;
mod device;
mod element;
mod error;
pub mod fused;
pub mod npy;
pub mod ops;
mod parallel;
mod print;
pub mod safetensors;
mod tensor;
mod walk;

pub use cpu::buffer::{
    DEFAULT_MAX_TENSOR_BYTES, live_tensor_bytes, max_tensor_bytes, on_tensor_allocation, set_max_tensor_bytes,
};
pub use cpu::lend::{Crew, Help, Lent};
pub use cpu::threads::Threads;
pub use device::{Device, with_device};
pub use element::{Bit, Elem, Element, Scalar};
pub use error::{Result, TensorError};
pub use parallel::{Parallel, Serial, lend, with_parallel};
pub use stark_shapes::{Conv, DType, Pool, Shape, ShapeError};
pub use tensor::{MAX_RANK, Tensor};
