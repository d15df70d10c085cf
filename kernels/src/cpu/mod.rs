//! The CPU backend: memory and vectorised loops. The only part of this crate with `unsafe` code.
#![allow(unsafe_code)]

pub mod activation;
pub mod arena;
pub mod buffer;
pub mod channels;
pub mod convolve;
pub mod depthwise;
pub mod frame;
pub mod gemm;
pub mod lanes;
pub mod lend;
pub mod math;
pub mod panels;
pub mod pooling;
pub mod simd;
pub mod slab;
pub mod split;
pub mod threads;
pub mod tile;
