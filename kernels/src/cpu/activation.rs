//! The functions that follow a layer, applied while its results are still in the cache.

use super::math;

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

impl Activation {
    /// In place, for any number of values; vector code when it is inlined into a kernel.
    #[inline(always)]
    pub fn apply(self, x: &mut [f32]) {
        macro_rules! each {
            ($x:ident => $f:expr) => {
                x.iter_mut().for_each(|v| {
                    let $x = *v;
                    *v = $f;
                })
            };
        }
        match self {
            Activation::None => {}
            // NaN stays NaN: only what is below 0 is changed.
            Activation::Relu => each!(x => if x < 0.0 { 0.0 } else { x }),
            Activation::Relu6 => each!(x => clip(x, 0.0, 6.0)),
            Activation::LeakyRelu(slope) => each!(x => if x < 0.0 { x * slope } else { x }),
            Activation::Gelu => each!(x => math::gelu(x)),
            Activation::GeluTanh => each!(x => math::gelu_tanh(x)),
            Activation::Silu => each!(x => math::silu(x)),
            Activation::Sigmoid => each!(x => math::sigmoid(x)),
            Activation::Tanh => each!(x => math::tanh(x)),
            Activation::HardSwish => each!(x => x * clip(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)),
            Activation::HardSigmoid => each!(x => clip(x + 3.0, 0.0, 6.0) * (1.0 / 6.0)),
        }
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

#[inline(always)]
fn clip(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
