//! Convolution and pooling, with PyTorch's layouts and defaults.

use super::support::{Outcome, answers, size};
use super::tensor::{answer, tensor};
use super::tensor_ops::maybe;
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use stark_kernels::ops;
use stark_shapes::{Conv, Pool};

pub(super) const TABLE: &[NativeRow] = answers! {
    tensor_conv1d "<E>(Tensor<E>, Tensor<E>, Option<Tensor<E>>, Int, Int, Int, Int) -> Tensor<E>";
    tensor_conv2d "<E>(Tensor<E>, Tensor<E>, Option<Tensor<E>>, Int, Int, Int, Int) -> Tensor<E>";
    tensor_max_pool2d "<E>(Tensor<E>, Int, Int, Int) -> Tensor<E>";
    tensor_avg_pool2d "<E>(Tensor<E>, Int, Int, Int) -> Tensor<E>";
};

/// The window of a convolution from the arguments `stride, padding, dilation` at 3, and its groups.
fn window(cx: &NativeCx<'_>) -> Result<(Conv, usize), Fault> {
    let conv = Conv {
        stride: size(cx.int(3), "stride")?,
        padding: size(cx.int(4), "padding")?,
        dilation: size(cx.int(5), "dilation")?,
    };
    Ok((conv, size(cx.int(6), "groups")?))
}

fn tensor_conv1d(cx: &NativeCx<'_>) -> Outcome {
    let (conv, groups) = window(cx)?;
    answer(cx, ops::conv1d(tensor(cx, 0), tensor(cx, 1), maybe(cx, 2), conv, groups))
}

fn tensor_conv2d(cx: &NativeCx<'_>) -> Outcome {
    let (conv, groups) = window(cx)?;
    answer(cx, ops::conv2d(tensor(cx, 0), tensor(cx, 1), maybe(cx, 2), [conv, conv], groups))
}

/// The window of a pooling from `kernel, stride, padding`; a stride of 0 is the kernel's size.
fn pool(cx: &NativeCx<'_>) -> Result<Pool, Fault> {
    let kernel = size(cx.int(1), "kernel")?;
    let stride = match size(cx.int(2), "stride")? {
        0 => kernel,
        stride => stride,
    };
    Ok(Pool { stride, padding: size(cx.int(3), "padding")?, ..Pool::new(kernel) })
}

fn tensor_max_pool2d(cx: &NativeCx<'_>) -> Outcome {
    let pool = pool(cx)?;
    answer(cx, ops::max_pool2d(tensor(cx, 0), [pool, pool]))
}

fn tensor_avg_pool2d(cx: &NativeCx<'_>) -> Outcome {
    let pool = pool(cx)?;
    answer(cx, ops::avg_pool2d(tensor(cx, 0), [pool, pool], ops::Average::default()))
}
