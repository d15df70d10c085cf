//! The CPU backend: memory and vectorised loops. The only part of this crate with `unsafe` code.
#![allow(unsafe_code)]

pub mod activation;
pub mod arena;
pub mod buffer;
pub mod channels;
pub mod convolve;
pub mod depthwise;
mod factor;
pub mod frame;
pub mod functions;
pub mod gates;
pub mod gemm;
mod halved;
pub mod halves;
pub mod lanes;
pub mod lend;
pub mod math;
pub mod packing;
pub mod pages;
pub mod panels;
mod pieces;
pub mod planes;
pub mod pool;
pub mod pooling;
pub mod resample;
pub mod rows;
pub mod simd;
pub mod slab;
pub mod split;
pub mod threads;
pub mod tile;
mod turn;
pub mod weights;
pub(crate) mod whole;
pub mod wide;
pub mod winograd;

/// Numbers between -0.5 and 0.5 for the tests of kernels.
#[cfg(test)]
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(next).collect()
}
