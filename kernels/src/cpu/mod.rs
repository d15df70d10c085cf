//! The CPU backend: memory and vectorised loops. The only part of this crate with `unsafe` code.
#![allow(unsafe_code)]

pub mod activation;
pub mod buffer;
pub mod channels;
pub mod convolve;
pub mod gemm;
pub mod lend;
pub mod math;
pub mod panels;
pub mod pooling;
pub mod simd;
pub mod split;
pub mod threads;
