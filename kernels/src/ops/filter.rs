//! Convolutions whose weights were packed when the model was loaded: images with channels last in, and out.

use std::sync::OnceLock;

use stark_shapes::{Conv, DType, Pool, Shape, rules, show};

use crate::cpu::activation::Activation;
use crate::cpu::buffer::Buffer;
use crate::cpu::channels::{self, After, Filter};
use crate::cpu::convolve::Plan;
use crate::cpu::frame::Images;
use crate::cpu::pages::Words;
use crate::error::{Result, TensorError};
use crate::ops::conv::Trim;
use crate::tensor::Tensor;

/// The `Float32` weights `[o, c / groups, kh, kw]` of a convolution over planes, packed.
pub struct PackedFilter {
    filter: Filter,
    /// Of the weights' shape, without them.
    outline: Tensor,
    groups: usize,
    /// For planes smaller than windows, which taps see nothing of: how many on each side, and the filter without them.
    trimmed: OnceLock<([usize; 2], Box<PackedFilter>)>,
}

impl PackedFilter {
    pub fn new(weight: &Tensor, groups: usize) -> Result<PackedFilter> {
        PackedFilter::pack(weight, groups, |weights, [o, c, h, w]| Filter::pack(weights, groups, o, c, h * w))
    }

    /// For convolutions with these windows alone, which may be faster.
    pub fn for_windows(weight: &Tensor, groups: usize, windows: [Conv; 2]) -> Result<PackedFilter> {
        if windows.iter().any(|w| w.stride != 1 || w.dilation != 1) {
            return PackedFilter::new(weight, groups);
        }
        PackedFilter::pack(weight, groups, |weights, [o, c, h, w]| Filter::pack_by_pixel(weights, groups, o, c, [h, w]))
    }

    /// `filter` packs weights of this shape, outputs of a group first.
    fn pack(
        weight: &Tensor,
        groups: usize,
        filter: impl FnOnce(Words, [usize; 4]) -> Result<Filter>,
    ) -> Result<PackedFilter> {
        let shape = weight.shape();
        let splits = groups > 0 && weight.numel() > 0 && shape[0] % groups == 0;
        if weight.rank() != 4 || weight.dtype() != DType::F32 || !splits {
            let (dtype, shape) = (weight.dtype(), show(shape));
            return Err(TensorError::Argument(format!(
                "Float32 weights of rank 4 are packed, not {dtype} of shape {shape} in {groups} groups"
            )));
        }
        let whole = weight.contiguous()?;
        let filter = filter(whole.words(), [shape[0] / groups, shape[1], shape[2], shape[3]])?;
        Ok(PackedFilter { filter, outline: Tensor::scalar(0.0f32).expand(shape)?, groups, trimmed: OnceLock::new() })
    }

    /// `[o, c / groups, kh, kw]`.
    pub fn shape(&self) -> &[usize] {
        self.outline.shape()
    }

    pub fn n_bytes(&self) -> usize {
        self.filter.n_bytes()
    }

    /// Whether [`conv2d_packed`] takes `x`, an image or a batch of them, on the device that computes now.
    pub fn serves(&self, x: &Tensor) -> bool {
        !crate::device::is_reference() && x.dtype() == DType::F32 && matches!(x.rank(), 3 | 4)
    }

    /// The smaller convolution that gives the same, and the filter for it. The one for the sizes that came first is kept; sizes of which
    /// other taps see nothing run with all of them.
    fn trimmed(&self, x: &Tensor, shape: &[usize], windows: [Conv; 2]) -> Result<Option<(Trim, &PackedFilter)>> {
        let Some(trim) = Trim::new(x.shape(), self.shape(), shape, windows) else { return Ok(None) };
        if self.trimmed.get().is_none() {
            let made = PackedFilter::new(&trim.weight(&self.to_tensor()?)?, self.groups)?;
            // Another thread may have been faster.
            let _ = self.trimmed.set((trim.taps, Box::new(made)));
        }
        let kept = self.trimmed.get().filter(|(taps, _)| *taps == trim.taps);
        Ok(kept.map(|(_, filter)| (trim, &**filter)))
    }

    /// A tensor of the weights' shape, without them.
    pub fn outline(&self) -> &Tensor {
        &self.outline
    }

    /// The weights, as they were; of [`PackedFilter::for_windows`] but for rounding.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let shape = self.shape();
        Tensor::from_vec(self.filter.to_vec(self.groups, shape[2] * shape[3]), shape)
    }
}

/// The greatest of each two by two positions of `activation(conv2d(x, …) + bias)`, as a pooling gives it.
pub fn conv2d_halved(
    x: &Tensor,
    weight: &PackedFilter,
    bias: Option<&Tensor>,
    windows: [Conv; 2],
    activation: Activation,
) -> Result<Tensor> {
    let shape = check(x, weight, bias, windows)?;
    if let Some((trim, weight)) = weight.trimmed(x, &shape, windows)? {
        return conv2d_halved(x, weight, bias, trim.windows, activation);
    }
    let plan = Plan::new(x.shape(), weight.shape(), &shape, windows, weight.groups);
    if !channels::halves(&plan, &weight.filter, activation) {
        let out = conv2d_packed(x, weight, bias, windows, None, activation)?;
        return super::pool::max_pool2d(&out, [Pool::new(2); 2]);
    }
    let after = After { bias: None, added: None, activation, is_halved: true };
    convolve(x, weight, bias, None, &plan, after, [shape[0], shape[2] / 2, shape[3] / 2, shape[1]])
}

/// `activation(conv2d(x, …) + bias + added)`: the result has channels last in memory, and so has `x` when it comes
/// from another of these.
pub fn conv2d_packed(
    x: &Tensor,
    weight: &PackedFilter,
    bias: Option<&Tensor>,
    windows: [Conv; 2],
    added: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let shape = check(x, weight, bias, windows)?;
    // What broadcasts, or decides the dtype, is added after.
    if let Some(added) = added.filter(|a| a.shape() != &*shape || a.dtype() != DType::F32) {
        let out = conv2d_packed(x, weight, bias, windows, None, Activation::None)?;
        return super::packed::activate(super::elementwise::add(&out, added)?, activation);
    }
    if let Some((trim, weight)) = weight.trimmed(x, &shape, windows)? {
        return conv2d_packed(x, weight, bias, trim.windows, added, activation);
    }
    let plan = Plan::new(x.shape(), weight.shape(), &shape, windows, weight.groups);
    let after = After { bias: None, added: None, activation, is_halved: false };
    convolve(x, weight, bias, added, &plan, after, [shape[0], shape[2], shape[3], shape[1]])
}

/// The shape of the result.
fn check(x: &Tensor, weight: &PackedFilter, bias: Option<&Tensor>, windows: [Conv; 2]) -> Result<Shape> {
    if x.dtype() != DType::F32 || x.rank() != 4 || bias.is_some_and(|b| b.dtype() != DType::F32) {
        let (dtype, shape) = (x.dtype(), show(x.shape()));
        return Err(TensorError::DType(format!(
            "a packed convolution takes Float32 images of rank 4, not {dtype} of shape {shape}"
        )));
    }
    if !weight.filter.takes(windows) {
        return Err(TensorError::Argument("the weights are packed for windows that move by one pixel".into()));
    }
    Ok(rules::conv(x.shape(), weight.shape(), bias.map(|b| b.shape()), &windows, weight.groups)?)
}

/// The convolution of `plan`, whose result has this shape in memory.
fn convolve(
    x: &Tensor,
    weight: &PackedFilter,
    bias: Option<&Tensor>,
    added: Option<&Tensor>,
    plan: &Plan,
    after: After,
    shape: [usize; 4],
) -> Result<Tensor> {
    let pixels = x.pixels();
    let strides = [0, 1, 2, 3].map(|i| pixels.strides()[i]);
    let images = Images { data: pixels.storage::<f32>(), strides };
    let bias = bias.map(Tensor::dense).transpose()?;
    let added = added.map(|a| a.pixels().contiguous()).transpose()?;
    let mut buffer = Buffer::for_overwrite::<f32>(rules::numel(&shape)?)?;
    let after = After {
        bias: bias.as_ref().map(|b| b.slice_of::<f32>()),
        added: added.as_ref().map(|a| a.slice_of::<f32>()),
        ..after
    };
    channels::forward(plan, images, &weight.filter, after, buffer.as_mut_slice::<f32>())?;
    Ok(Tensor::from_buffer(buffer, DType::F32, &shape).planes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ops::{conv2d_with, randn};
    use crate::{Device, with_device};

    fn near(got: &Tensor, want: &Tensor) -> std::result::Result<(), TestCaseError> {
        prop_assert_eq!(got.shape(), want.shape());
        for (a, b) in got.to_scalars().iter().zip(want.to_scalars()) {
            let (a, b) = (a.to_f64(), b.to_f64());
            prop_assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{} {}", a, b);
        }
        Ok(())
    }

    /// [`conv2d_halved`] beside a convolution and a pooling, with one thread and several.
    fn halves_as_a_pooling_does(
        x: &Tensor,
        weight: &PackedFilter,
        bias: Option<&Tensor>,
        windows: [Conv; 2],
        activation: Activation,
    ) -> std::result::Result<(), TestCaseError> {
        let whole = conv2d_packed(x, weight, bias, windows, None, activation).unwrap();
        let halved = || conv2d_halved(x, weight, bias, windows, activation);
        let Ok(want) = crate::ops::max_pool2d(&whole, [Pool::new(2); 2]) else {
            prop_assert!(halved().is_err());
            return Ok(());
        };
        let got = halved().unwrap();
        near(&got, &want)?;
        let threads = std::sync::Arc::new(crate::cpu::threads::Threads::new(3));
        let again = crate::with_parallel(threads, || halved().unwrap());
        prop_assert_eq!(got.to_bytes().unwrap(), again.to_bytes().unwrap());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn windows_that_move_by_one_pixel_give_what_the_reference_gives(
            (n, c, o) in (1usize..40, 1usize..4, 1usize..5),
            (h, w) in (1usize..30, 1usize..140),
            paddings in (0usize..4, 0usize..4),
            (with_bias, with_added, turned) in any::<(bool, bool, bool)>(),
            seed in any::<u32>(),
        ) {
            let n = if h * w > 100 { 1 + n % 3 } else { n };
            let windows = [paddings.0, paddings.1].map(|padding| Conv { padding, ..Conv::default() });
            let random = |shape: &[usize], add: u64| randn(shape, u64::from(seed) + add, DType::F32).unwrap();
            let (x, weight) = (random(&[n, c * 16, h, w], 0), random(&[o * 16, c * 16, 3, 3], 1));
            let bias = with_bias.then(|| random(&[o * 16], 2));
            let Ok(shape) = rules::conv(x.shape(), weight.shape(), None, &windows, 1) else { return Ok(()) };
            let added = with_added.then(|| random(&shape, 3));
            let plain = PackedFilter::new(&weight, 1).unwrap();
            let packed = PackedFilter::for_windows(&weight, 1, windows).unwrap();
            prop_assert!(matches!(packed.filter, Filter::Winograd(_)));
            near(&packed.to_tensor().unwrap(), &weight)?;
            let x = if turned { x.pixels().contiguous().unwrap().planes() } else { x };
            let run = |filter| {
                conv2d_packed(&x, filter, bias.as_ref(), windows, added.as_ref(), Activation::Relu).unwrap()
            };
            let got = run(&packed);
            near(&got, &run(&plain))?;
            let threads = std::sync::Arc::new(crate::cpu::threads::Threads::new(3));
            let again = crate::with_parallel(threads, || run(&packed));
            prop_assert_eq!(got.to_bytes().unwrap(), again.to_bytes().unwrap());
            halves_as_a_pooling_does(&x, &packed, bias.as_ref(), windows, Activation::Relu)?;
        }

        #[test]
        fn packed_convolutions_give_what_the_reference_gives(
            (n, groups, depthwise) in (1usize..3, 1usize..4, any::<bool>()),
            (c, o) in (1usize..40, 1usize..40),
            (h, w, kh, kw) in (1usize..20, 1usize..20, 1usize..6, 1usize..6),
            strides in (1usize..4, 1usize..4),
            paddings in (0usize..5, 0usize..5),
            dilations in (1usize..4, 1usize..4),
            (with_bias, with_added, turned, expanded) in any::<(bool, bool, bool, bool)>(),
            activation in 0usize..11,
            seed in any::<u32>(),
        ) {
            let (groups, c, o) = if depthwise { (c * 3, 1, 1) } else { (groups, c.div_ceil(groups), o.div_ceil(groups)) };
            let windows = [
                Conv { stride: strides.0, padding: paddings.0, dilation: dilations.0 },
                Conv { stride: strides.1, padding: paddings.1, dilation: dilations.1 },
            ];
            let random = |shape: &[usize], add: u64| randn(shape, u64::from(seed) + add, DType::F32).unwrap();
            let x = random(&[n, c * groups, h, if expanded { 1 } else { w }], 0);
            let x = if expanded { x.expand(&[n, c * groups, h, w]).unwrap() } else { x };
            let weight = random(&[o * groups, c, kh, kw], 1);
            let bias = with_bias.then(|| random(&[o * groups], 2));
            let Ok(shape) = rules::conv(x.shape(), weight.shape(), None, &windows, groups) else { return Ok(()) };
            let added = with_added.then(|| random(&shape, 3));
            let names = ["none", "relu", "relu6", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh",
                "hardswish", "hardsigmoid"];
            let activation = Activation::named(names[activation], 0.1).unwrap();
            let want = with_device(Device::Reference, || {
                conv2d_with(&x, &weight, bias.as_ref(), windows, groups, added.as_ref(), activation).unwrap()
            });
            let packed = PackedFilter::new(&weight, groups).unwrap();
            let x = if turned { x.pixels().contiguous().unwrap().planes() } else { x };
            let got = conv2d_packed(&x, &packed, bias.as_ref(), windows, added.as_ref(), activation).unwrap();
            near(&got, &want)?;
            // Lent cores change nothing, not the last bit.
            let threads = std::sync::Arc::new(crate::cpu::threads::Threads::new(3));
            let again = crate::with_parallel(threads, || {
                conv2d_packed(&x, &packed, bias.as_ref(), windows, added.as_ref(), activation).unwrap()
            });
            prop_assert_eq!(got.to_bytes().unwrap(), again.to_bytes().unwrap());
            prop_assert_eq!(packed.to_tensor().unwrap(), weight);
            halves_as_a_pooling_does(&x, &packed, bias.as_ref(), windows, activation)?;
        }

        #[test]
        fn first_layers_and_their_poolings_give_what_both_do(
            (n, c, o) in (1usize..40, 1usize..5, 1usize..70),
            (h, w) in (2usize..40, 2usize..40),
            (kernel, stride, padding, dilation) in (1usize..6, 1usize..3, 0usize..3, 1usize..3),
            (with_bias, with_relu, turned) in any::<(bool, bool, bool)>(),
            seed in any::<u32>(),
        ) {
            let n = if h * w > 200 { 1 + n % 3 } else { n };
            let windows = [Conv { stride, padding, dilation }; 2];
            let random = |shape: &[usize], add: u64| randn(shape, u64::from(seed) + add, DType::F32).unwrap();
            let (x, weight) = (random(&[n, c, h, w], 0), random(&[o, c, kernel, kernel], 1));
            if rules::conv(x.shape(), weight.shape(), None, &windows, 1).is_err() {
                return Ok(());
            }
            let bias = with_bias.then(|| random(&[o], 2));
            let x = if turned { x.pixels().contiguous().unwrap().planes() } else { x };
            let activation = if with_relu { Activation::Relu } else { Activation::None };
            let packed = PackedFilter::for_windows(&weight, 1, windows).unwrap();
            halves_as_a_pooling_does(&x, &packed, bias.as_ref(), windows, activation)?;
        }
    }

    /// Windows wider than the plane: most of their taps see padding alone.
    #[test]
    fn taps_that_see_nothing_are_left_out() {
        for (h, w, kernel, stride, dilation, padding, kept) in [
            (4, 4, 3, 1, 6, 6, [1, 1]),
            (4, 9, 3, 1, 6, 6, [1, 3]),
            (4, 4, 5, 1, 3, 6, [3, 3]),
            (5, 4, 5, 2, 9, 18, [1, 1]),
            (1, 1, 3, 2, 1, 1, [1, 1]),
            (4, 4, 3, 1, 3, 3, [3, 3]),
            (4, 4, 3, 1, 6, 7, [1, 1]),
            (4, 4, 3, 1, 6, 11, [3, 3]),
            (3, 3, 4, 1, 9, 15, [2, 2]),
            (2, 40, 3, 1, 36, 36, [1, 3]),
        ] {
            let windows = [Conv { stride, padding, dilation }; 2];
            let x = randn(&[2, 5, h, w], 1, DType::F32).unwrap();
            let (weight, bias) =
                (randn(&[7, 5, kernel, kernel], 2, DType::F32).unwrap(), randn(&[7], 3, DType::F32).unwrap());
            let run = |x: &Tensor| conv2d_with(x, &weight, Some(&bias), windows, 1, None, Activation::Relu).unwrap();
            let want = with_device(Device::Reference, || run(&x));
            let trim = Trim::new(x.shape(), weight.shape(), want.shape(), windows);
            let taps = trim.map_or([0, 0], |trim| trim.taps);
            assert_eq!(taps.map(|n| kernel - 2 * n), kept, "{h} x {w}, {kernel} taps {dilation} apart");
            near(&run(&x), &want).unwrap();
            let packed = PackedFilter::new(&weight, 1).unwrap();
            for _ in 0..2 {
                near(&conv2d_packed(&x, &packed, Some(&bias), windows, None, Activation::Relu).unwrap(), &want)
                    .unwrap();
            }
            // Of another size after that.
            let wide = randn(&[1, 5, 3 * h, 50], 4, DType::F32).unwrap();
            let want = with_device(Device::Reference, || run(&wide));
            near(&conv2d_packed(&wide, &packed, Some(&bias), windows, None, Activation::Relu).unwrap(), &want).unwrap();
        }
    }

    #[test]
    fn what_is_added_may_broadcast_and_bad_arguments_say_so() {
        let (x, weight) = (randn(&[2, 3, 5, 5], 1, DType::F32).unwrap(), randn(&[4, 3, 3, 3], 2, DType::F32).unwrap());
        let packed = PackedFilter::new(&weight, 1).unwrap();
        let windows = [Conv::default(); 2];
        let one = randn(&[4, 1, 1], 3, DType::F32).unwrap();
        let want = conv2d_with(&x, &weight, None, windows, 1, Some(&one), Activation::Relu).unwrap();
        let got = conv2d_packed(&x, &packed, None, windows, Some(&one), Activation::Relu).unwrap();
        near(&got, &want).unwrap();
        let error = PackedFilter::new(&one, 1).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "Float32 weights of rank 4 are packed, not Float32 of shape [4, 1, 1] in 1 groups");
        assert!(conv2d_packed(&one, &packed, None, windows, None, Activation::None).is_err());
        let narrow = randn(&[2, 2, 5, 5], 1, DType::F32).unwrap();
        assert!(conv2d_packed(&narrow, &packed, None, windows, None, Activation::None).is_err());
    }

    #[test]
    fn nan_is_kept_where_two_by_two_positions_become_one() {
        for c in [1, 16] {
            let (mut x, weight) =
                (randn(&[2, c, 8, 8], 1, DType::F32).unwrap(), randn(&[16, c, 3, 3], 2, DType::F32).unwrap());
            x.set(&[1, 0, 5, 2], f32::NAN).unwrap();
            let windows = [Conv { padding: 1, ..Conv::default() }; 2];
            let packed = PackedFilter::for_windows(&weight, 1, windows).unwrap();
            let whole = conv2d_packed(&x, &packed, None, windows, None, Activation::Relu).unwrap();
            let want = crate::ops::max_pool2d(&whole, [Pool::new(2); 2]).unwrap();
            let got = conv2d_halved(&x, &packed, None, windows, Activation::Relu).unwrap();
            let nan = |t: &Tensor| t.to_scalars().iter().map(|x| x.to_f64().is_nan()).collect::<Vec<_>>();
            assert_eq!(nan(&got), nan(&want));
            assert!(nan(&got).contains(&true) && nan(&got).contains(&false));
        }
    }

    #[test]
    fn weights_for_windows_that_move_by_one_pixel_serve_no_others() {
        let (x, weight) =
            (randn(&[1, 16, 8, 8], 1, DType::F32).unwrap(), randn(&[16, 16, 3, 3], 2, DType::F32).unwrap());
        let one = [Conv::default(); 2];
        let two = [Conv { stride: 2, ..Conv::default() }; 2];
        let run = |packed, used| {
            conv2d_packed(
                &x,
                &PackedFilter::for_windows(&weight, 1, packed).unwrap(),
                None,
                used,
                None,
                Activation::None,
            )
        };
        assert!(run(one, one).is_ok() && run(two, one).is_ok() && run(two, two).is_ok());
        let error = run(one, two).unwrap_err().to_string();
        assert_eq!(error, "the weights are packed for windows that move by one pixel");
    }

    /// Sizes in a model's file may be any.
    #[test]
    fn strides_and_paddings_beyond_all_memory_are_right_or_an_error() {
        let ones = |shape: &[usize]| Tensor::from_slice(&vec![1.0f32; shape.iter().product()], shape).unwrap();
        let window = |stride, padding| Conv { stride, padding, dilation: 1 };
        for (groups, c, kernel) in [(1, 4, 1), (1, 4, 3), (4, 1, 1), (4, 1, 3)] {
            let (x, weight) = (ones(&[1, 4, 8, 8]), ones(&[4, c, kernel, kernel]));
            let packed = PackedFilter::new(&weight, groups).unwrap();
            let run = |windows| conv2d_packed(&x, &packed, None, windows, None, Activation::None);
            let far = run([window(1 << 62, 0), window(1 << 62, 0)]).unwrap();
            assert_eq!((far.shape(), far.to_scalars()[0].to_f64()), (&[1, 4, 1, 1][..], (c * kernel * kernel) as f64));
            assert_eq!(run([window(1 << 62, 0), window(1, 0)]).unwrap().shape(), [1, 4, 1, 9 - kernel]);
            assert!(run([window(1 << 40, 1 << 40), window(1 << 40, 1 << 40)]).is_err());
        }
    }
}
