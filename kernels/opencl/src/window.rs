//! Sliding windows: convolutions as products with gathered windows, depthwise ones directly, pooling.

use std::sync::Arc;

use stark_kernels::accelerator::Finish;
use stark_kernels::ops::Average;
use stark_kernels::{Conv, DType, Pool, Tensor, TensorError};

use crate::driver::Arg;
use crate::engine::{Family, OpenCl, int};
use crate::local::{Products, Right};
use crate::product::{COLUMNS, Panels, Tiles, activation, number};

type Tried<T> = Result<T, TensorError>;

/// With fewer channels of the result in a group most of a tile would be repeats.
const MIN_TILE_ROWS: usize = 8;
/// Bytes of gathered windows at a time: images are taken in groups that stay below this (a group of one may pass it,
/// within the limit of device memory).
const MAX_COLUMNS_BYTES: usize = 64 << 20;

impl OpenCl {
    fn window_source(&self) -> (String, String) {
        let define = format!("#define A {}\n", self.sums());
        ([include_str!("cl/math.cl"), &define, include_str!("cl/window.cl")].concat(), String::new())
    }

    /// `x` and `weight` are row-major.
    pub(crate) fn conv(
        self: &Arc<Self>,
        x: &Tensor,
        weight: &Tensor,
        windows: [Conv; 2],
        groups: usize,
        shape: &[usize],
        finish: Finish<'_>,
    ) -> Tried<Option<Tensor>> {
        let fits = [x, weight].iter().all(|t| t.dtype() == DType::F32 && int(t.storage_bytes()).is_some());
        let wide = finish.bias.into_iter().chain(finish.added).all(|t| t.dtype() == DType::F32);
        if !fits || !wide {
            return Ok(None);
        }
        let start = |t: &Tensor| if t.offset() == 0 { t.contiguous() } else { t.copied() };
        let (x, weight) = (start(x)?, start(weight)?);
        let bias = finish.bias.map(start).transpose()?;
        let added = finish.added.map(start).transpose()?;
        let finish = Finish { bias: bias.as_ref(), added: added.as_ref(), activation: finish.activation };
        let Some((out, block)) = self.make(shape, DType::F32)? else { return Ok(None) };
        if out.numel() == 0 {
            return Ok(Some(out));
        }
        let (n, channels, height, width) = (x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3]);
        let (n_out, per_group, kh, kw) = (weight.shape()[0], weight.shape()[1], weight.shape()[2], weight.shape()[3]);
        let (out_h, out_w) = (shape[2], shape[3]);
        let [h, w] = windows;
        let (from, weights) = (self.of(&x)?, self.of(&weight)?);
        let slides = [
            number(kh),
            number(kw),
            number(h.stride),
            number(w.stride),
            number(h.padding),
            number(w.padding),
            number(h.dilation),
            number(w.dilation),
            number(out_h),
            number(out_w),
        ];
        let (k, positions, rows) = (per_group * kh * kw, out_h * out_w, n_out / groups);
        let is_local = self.family == Family::Local;
        if is_local && rows >= MIN_TILE_ROWS && int(n * positions).is_some() {
            let products = Products {
                dtype: DType::F32,
                left: &weights,
                left_at: 0,
                left_steps: [k, 1],
                right: Right::Windows {
                    block: &from,
                    image: [channels * height * width, height, width],
                    slides: [h.stride, w.stride, h.padding, w.padding, h.dilation, w.dilation],
                    out_w,
                    window: [kh, kw],
                },
                sizes: [rows, k, n * positions],
                stack: [1, 1, groups],
                left_stack: [0, 0, rows * k],
                right_stack: [0, 0, per_group * height * width],
                places: positions,
                rows_in_image: n_out,
                bias_kind: 2,
            };
            return Ok(self.products(&products, finish, &block)?.then_some(out));
        }
        // Windows that nothing is gained by gathering: one channel each, or too few of a group.
        let alone = per_group == 1 && !is_local;
        if alone || is_local {
            let global = if alone { [out_h, n_out, n] } else { [out_w, out_h, n_out * n] };
            if !self.fits(global) {
                return Ok(None);
            }
            let bias = finish.bias.map(|t| self.of(t)).transpose()?;
            let added = finish.added.map(|t| self.of(t)).transpose()?;
            let (which, slope) = activation(finish.activation);
            let mut args = vec![from.arg(), weights.arg(), number(channels), number(height), number(width)];
            args.extend(slides);
            args.push(number(if alone { n_out / groups } else { groups }));
            if !alone {
                args.push(number(n_out));
            }
            args.extend([
                bias.as_ref().map_or(Arg::Nothing, |b| b.arg()),
                added.as_ref().map_or(Arg::Nothing, |b| b.arg()),
                Arg::Int(which),
                Arg::Float(slope),
                block.arg(),
            ]);
            let kernel = if alone { "depthwise" } else { "direct" };
            self.launch("window", kernel, || self.window_source(), &args, global, None)?;
            return Ok(Some(out));
        }
        let n_panels = positions.div_ceil(COLUMNS);
        let step = n_panels * COLUMNS * k;
        let Some(image_bytes) = step.checked_mul(groups * 4) else { return Ok(None) };
        let at_once = (MAX_COLUMNS_BYTES / image_bytes.max(1)).clamp(1, n);
        if int(at_once * image_bytes).is_none() {
            return Ok(None);
        }
        for first in (0..n).step_by(at_once) {
            let images = at_once.min(n - first);
            let columns = self.fresh(images * image_bytes)?;
            let mut args = vec![from.arg(), number(channels), number(height), number(width)];
            args.extend(slides.iter().map(Arg::again));
            args.extend([number(groups), number(first), columns.arg()]);
            self.launch("window", "columns", || self.window_source(), &args, [n_panels, channels, images], None)?;
            let tiles = Tiles {
                a: &weights,
                at: 0,
                steps: [k, 1],
                sizes: [rows, k, positions],
                stack: [1, images, groups],
                stack_steps: [0, 0, rows * k],
                groups,
                bias_kind: if finish.bias.is_some() { 2 } else { 0 },
                first: first * groups,
            };
            self.tiles(&tiles, &Panels { block: columns, step }, finish, &block)?;
        }
        Ok(Some(out))
    }

    fn pool_args(x: &Tensor) -> [Arg<'static>; 2] {
        [number(x.shape()[x.rank() - 2]), number(x.shape()[x.rank() - 1])]
    }

    /// Planes of `shape`: columns, rows, and their number.
    fn planes(shape: &[usize]) -> [usize; 3] {
        let rank = shape.len();
        [shape[rank - 1], shape[rank - 2], shape[..rank - 2].iter().product()]
    }

    /// A pooling kernel over the planes of `x`, with the arguments between the plane's size and the result.
    fn pool(
        self: &Arc<Self>,
        kernel: &str,
        x: &Tensor,
        numbers: Vec<Arg<'static>>,
        shape: &[usize],
    ) -> Tried<Option<Tensor>> {
        let planes = Self::planes(shape);
        if x.dtype() != DType::F32 || int(x.storage_bytes()).is_none() || !self.fits(planes) {
            return Ok(None);
        }
        let x = if x.offset() == 0 { x.contiguous()? } else { x.copied()? };
        let Some((out, block)) = self.make(shape, DType::F32)? else { return Ok(None) };
        let from = self.of(&x)?;
        let mut args = vec![from.arg()];
        args.extend(Self::pool_args(&x));
        args.extend(numbers);
        args.push(block.arg());
        self.launch("window", kernel, || self.window_source(), &args, planes, None)?;
        Ok(Some(out))
    }

    pub(crate) fn max_pool(self: &Arc<Self>, x: &Tensor, windows: [Pool; 2], shape: &[usize]) -> Tried<Option<Tensor>> {
        let mut numbers = Self::pool_windows(windows);
        numbers.extend(windows.map(|w| number(w.dilation)));
        self.pool("max_pool", x, numbers, shape)
    }

    fn pool_windows(windows: [Pool; 2]) -> Vec<Arg<'static>> {
        let of = |f: fn(Pool) -> usize| windows.map(|w| number(f(w)));
        [of(|w| w.kernel), of(|w| w.stride), of(|w| w.padding)].into_iter().flatten().collect()
    }

    pub(crate) fn mean_pool(
        self: &Arc<Self>,
        x: &Tensor,
        windows: [Pool; 2],
        average: Average,
        shape: &[usize],
    ) -> Tried<Option<Tensor>> {
        let mut numbers = Self::pool_windows(windows);
        numbers.extend([Arg::Int(average.count_padding.into()), number(average.divisor.unwrap_or(0))]);
        self.pool("mean_pool", x, numbers, shape)
    }

    pub(crate) fn adaptive_pool(self: &Arc<Self>, x: &Tensor, is_max: bool, shape: &[usize]) -> Tried<Option<Tensor>> {
        self.pool("adaptive_pool", x, vec![Arg::Int(is_max.into())], shape)
    }
}
