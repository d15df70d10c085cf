//! The functions that follow a layer, applied while its results are still in the cache.

use super::functions::{self, Function};
use super::lanes::Lanes;

/// What becomes of each number of a layer's result.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    #[default]
    None,
    Relu,
    Relu6,
    LeakyRelu(f32),
    Gelu,
    GeluTanh,
    Silu,
    Sigmoid,
    Tanh,
    HardSwish,
    HardSigmoid,
}

functions::function_types! {
    Same {}: x => x;
    // NaN stays NaN: only what is below 0 is changed.
    Relu {}: x => x.at_least(x.all(0.0));
    Relu6 {}: x => x.at_least(x.all(0.0)).at_most(x.all(6.0));
    LeakyRelu { slope }: x => x.or_below(x, x.all(0.0), x.mul(slope));
    HardSwish {}: x => x.mul(x.add(x.all(3.0)).at_least(x.all(0.0)).at_most(x.all(6.0))).mul(x.all(1.0 / 6.0));
    HardSigmoid {}: x => x.add(x.all(3.0)).at_least(x.all(0.0)).at_most(x.all(6.0)).mul(x.all(1.0 / 6.0));
}

/// Work with a function of numbers.
pub trait WithFunction {
    /// # Safety
    /// As whoever makes the work says.
    unsafe fn with(self, f: impl Function);
}

impl Activation {
    /// Does `work` with the function that this is.
    ///
    /// # Safety
    /// As for the work.
    #[inline(always)]
    pub unsafe fn choose(self, work: impl WithFunction) {
        // SAFETY: as the caller promises.
        unsafe {
            match self {
                Activation::None => work.with(Same {}),
                Activation::Relu => work.with(Relu {}),
                Activation::Relu6 => work.with(Relu6 {}),
                Activation::LeakyRelu(slope) => work.with(LeakyRelu { slope }),
                Activation::Gelu => work.with(functions::Gelu {}),
                Activation::GeluTanh => work.with(functions::GeluTanh {}),
                Activation::Silu => work.with(functions::Silu {}),
                Activation::Sigmoid => work.with(functions::Sigmoid {}),
                Activation::Tanh => work.with(functions::Tanh {}),
                Activation::HardSwish => work.with(HardSwish {}),
                Activation::HardSigmoid => work.with(HardSigmoid {}),
            }
        }
    }

    /// In place, for any number of values.
    pub fn apply(self, x: &mut [f32]) {
        // SAFETY: the numbers are the caller's to write.
        unsafe { self.choose(InPlace(x)) }
    }

    /// The other way around from [`Activation::name`]; `slope` is that of `leaky_relu`.
    pub fn named(name: &str, slope: f32) -> Option<Activation> {
        let all = [
            Activation::None,
            Activation::Relu,
            Activation::Relu6,
            Activation::LeakyRelu(slope),
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Silu,
            Activation::Sigmoid,
            Activation::Tanh,
            Activation::HardSwish,
            Activation::HardSigmoid,
        ];
        all.into_iter().find(|a| a.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Activation::None => "none",
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Silu => "silu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::HardSwish => "hardswish",
            Activation::HardSigmoid => "hardsigmoid",
        }
    }
}

struct InPlace<'a>(&'a mut [f32]);

impl WithFunction for InPlace<'_> {
    unsafe fn with(self, f: impl Function) {
        functions::each_in_place(f, self.0);
    }
}
