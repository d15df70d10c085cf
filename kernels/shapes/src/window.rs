//! Sliding windows: the arithmetic of convolution and pooling along one axis.

use crate::dim::Dim;
use crate::error::{ShapeError, refuse};

/// How a convolution slides along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

impl Default for Conv {
    fn default() -> Self {
        Conv { stride: 1, padding: 0, dilation: 1 }
    }
}

/// How a pooling window slides along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
    pub ceil_mode: bool,
}

impl Pool {
    /// Windows side by side without padding: PyTorch's default.
    pub fn new(kernel: usize) -> Pool {
        Pool { kernel, stride: kernel, padding: 0, dilation: 1, ceil_mode: false }
    }

    /// The elements that window number `at` sees of an axis of `n`.
    #[inline(always)]
    pub fn sees(self, at: usize, n: usize) -> impl Iterator<Item = usize> {
        let element = move |i: usize| (at * self.stride + i * self.dilation).wrapping_sub(self.padding);
        (0..self.kernel).map(element).filter(move |&element| element < n)
    }
}

fn span(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// Positions of a `kernel`-wide window over `input`: `floor((input + 2·padding − span) / stride) + 1`.
pub fn conv_out<D: Dim>(input: &D, kernel: &D, c: Conv, axis: usize) -> Result<D, ShapeError> {
    if c.stride == 0 || c.dilation == 0 {
        return refuse!("stride {} and dilation {} must be at least 1", c.stride, c.dilation);
    }
    if kernel.is(0) {
        return refuse!("a window of size 0 along axis {axis}");
    }
    let out = input.map2(kernel, |n, kernel| {
        let padded = n.checked_add(c.padding.checked_mul(2)?)?;
        Some(padded.checked_sub(span(kernel, c.dilation)?)? / c.stride + 1)
    });
    match out {
        Some(out) => Ok(out),
        None => refuse!(
            "window {kernel} (padding {}, dilation {}) is larger than axis {axis}, which is {input}",
            c.padding,
            c.dilation
        ),
    }
}

/// Length after a transposed convolution: `(input − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1`.
pub fn conv_transpose_out<D: Dim>(
    input: &D,
    kernel: usize,
    c: Conv,
    output_padding: usize,
    axis: usize,
) -> Result<D, ShapeError> {
    if c.stride == 0 || c.dilation == 0 || kernel == 0 {
        return refuse!("stride {}, dilation {} and window {kernel} must be at least 1", c.stride, c.dilation);
    }
    if output_padding >= c.stride && output_padding >= c.dilation {
        return refuse!(
            "output padding {output_padding} must be smaller than stride {} or dilation {}",
            c.stride,
            c.dilation
        );
    }
    let out = input.map(|n| {
        let full = n.checked_sub(1)?.checked_mul(c.stride)?.checked_add(span(kernel, c.dilation)?)?;
        full.checked_add(output_padding)?.checked_sub(c.padding.checked_mul(2)?)
    });
    match out {
        Some(out) => Ok(out),
        None => refuse!(
            "a transposed window {kernel} with padding {} leaves nothing of axis {axis}, which is {input}",
            c.padding
        ),
    }
}

/// Positions of a pooling window; in `ceil_mode` the last window must still start inside input or left padding.
pub fn pool_out<D: Dim>(input: &D, p: Pool, axis: usize) -> Result<D, ShapeError> {
    if p.kernel == 0 || p.stride == 0 || p.dilation == 0 {
        return refuse!("window {}, stride {} and dilation {} must be at least 1", p.kernel, p.stride, p.dilation);
    }
    if p.padding > p.kernel / 2 {
        return refuse!("padding {} is more than half of window {}", p.padding, p.kernel);
    }
    let out = input.map(|n| {
        let (padded, span) = (n.checked_add(p.padding.checked_mul(2)?)?, span(p.kernel, p.dilation)?);
        let mut out = match (padded.checked_sub(span), p.ceil_mode) {
            (Some(room), true) => room.div_ceil(p.stride) + 1,
            (Some(room), false) => room / p.stride + 1,
            // One that begins inside and ends outside, by less than a step.
            (None, true) if n > 0 && span - padded < p.stride => 1,
            (None, _) => return None,
        };
        if p.ceil_mode && (out - 1).checked_mul(p.stride)? >= n + p.padding {
            out -= 1;
        }
        Some(out)
    });
    match out {
        Some(out) => Ok(out),
        None => {
            refuse!("pooling window {} (padding {}) is larger than axis {axis}, which is {input}", p.kernel, p.padding)
        }
    }
}
