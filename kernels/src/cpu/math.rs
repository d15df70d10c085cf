//! Functions of single floats, and sums over them that the compiler makes vector code of.
//!
//! Those of `f32` have no branches or calls, so that loops over them become vector code too; where a loop is over one of
//! them alone, [`super::functions`] has them for whole vectors.

use super::functions;

macro_rules! of_one {
    ($($name:ident)*) => { $(
        #[inline(always)]
        pub fn $name(x: f32) -> f32 {
            functions::$name([x])[0]
        }
    )* };
}
of_one! { exp sigmoid silu mish tanh erf gelu gelu_tanh }

/// The two widths that float kernels compute in.
pub trait Real:
    crate::element::Elem
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
{
    const ZERO: Self;
    const LOWEST: Self;
    fn nan(self) -> bool;
}

macro_rules! real {
    ($($T:ty)*) => { $(
        impl Real for $T {
            const ZERO: Self = 0.0;
            const LOWEST: Self = <$T>::NEG_INFINITY;
            #[inline(always)]
            fn nan(self) -> bool {
                self.is_nan()
            }
        }
    )* };
}
real! { f32 f64 }

/// Sums in this many lanes, so that a loop over them is vector code; the order is the same everywhere.
pub const LANES: usize = 16;

/// The sum of `f` over `x`, collected in `f64`.
#[inline(always)]
pub fn sum_by<T: Copy>(x: &[T], f: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for k in 0..LANES {
            lanes[k] += f(block[k]);
        }
    }
    let mut total = 0.0;
    for x in rest {
        total += f(*x);
    }
    for lane in lanes {
        total += lane;
    }
    total
}
