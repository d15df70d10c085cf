//! Two operands of floats of up to 32 bits, some at a time as `f32`: halves, which are rounded once, and remainders.

use half::{bf16, f16};
use stark_shapes::DType;

use super::elementwise::{Arg, compute_dtype, result_type, walk_both};
use crate::accelerator;
use crate::cpu::halves::Half;
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::wide;
use crate::error::Result;
use crate::tensor::Tensor;

/// Halves that are computed with at a time, as numbers that stay in the first-level cache.
pub(super) const HALVES: usize = 512;

/// An operand of halves, or one in `f32` beside it.
#[derive(Clone, Copy)]
enum Side<'a, H> {
    Halves(&'a [H]),
    Wide(&'a [f32]),
}

impl<'a, H: Half> Side<'a, H> {
    fn new(x: &'a Tensor) -> Side<'a, H> {
        if x.dtype() == DType::F32 { Side::Wide(x.storage()) } else { Side::Halves(x.storage()) }
    }

    /// The numbers from `at` on, `step` apart.
    fn load(self, at: usize, step: usize, to: &mut [f32]) {
        match self {
            Side::Halves(x) if step == 1 => H::widen(&x[at..at + to.len()], to),
            Side::Halves(x) if step == 0 => to.fill(x[at].to_f64() as f32),
            Side::Halves(x) => to.iter_mut().enumerate().for_each(|(k, o)| *o = x[at + k * step].to_f64() as f32),
            Side::Wide(x) => to.iter_mut().enumerate().for_each(|(k, o)| *o = x[at + k * step]),
        }
    }
}

/// [`super::elementwise::zip`] of halves, computed in `f32` and rounded once; either operand may be in `f32` already.
pub(super) fn zip_halves(
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    f: impl Fn(f32, f32) -> f32 + Sync + Copy,
) -> Result<Tensor> {
    let block = |a: &[f32], b: &[f32], out: &mut [f32]| dispatch(Both { a, b, out, f });
    match dtype {
        DType::F16 => zip_blocks::<f16>(a, b, &block),
        _ => zip_blocks::<bf16>(a, b, &block),
    }
}

/// Two rows of neighbours in memory.
struct Both<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
    f: F,
}

impl<F: Fn(f32, f32) -> f32> Kernel for Both<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((o, x), y) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *o = (self.f)(*x, *y);
        }
    }
}

/// What computes some numbers of a result from as many of both operands.
type Block<'a> = &'a (dyn Fn(&[f32], &[f32], &mut [f32]) + Sync);

/// [`super::elementwise::zip`] of `H` or `f32` by `block`, which is shown some operands at a time as `f32`.
fn zip_blocks<H: Half>(a: &Tensor, b: &Tensor, block: Block) -> Result<Tensor> {
    let (x, y) = (Side::<H>::new(a), Side::<H>::new(b));
    walk_both::<H>(a, b, H::DTYPE, |walk, start, out| {
        let [s, t] = walk.inner();
        let (mut left, mut right, mut both) = ([0.0; HALVES], [0.0; HALVES], [0.0; HALVES]);
        let mut done = 0;
        walk.rows(start..start + out.len(), |[i, j], n| {
            for from in (0..n).step_by(HALVES) {
                let n = HALVES.min(n - from);
                x.load(i + from * s, s, &mut left[..n]);
                y.load(j + from * t, t, &mut right[..n]);
                block(&left[..n], &right[..n], &mut both[..n]);
                H::narrow(&both[..n], &mut out[done..done + n]);
                done += n;
            }
        });
    })
}

/// What a division leaves in vectors, where that is exact; `plain` of two numbers elsewhere.
struct Remainders<'a, F, G> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
    plain: F,
    /// What becomes of the remainder that has the dividend's sign, and the divisor.
    with_sign: G,
}

impl<F: Fn(f32, f32) -> f32, G: Fn(f32, f32) -> f32> Kernel for Remainders<'_, F, G> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Remainders { a, b, out, plain, with_sign } = self;
        let mut holds = true;
        for ((o, x), y) in out.iter_mut().zip(a).zip(b) {
            let left = wide::remainder(*x, *y);
            holds &= !left.is_nan();
            *o = with_sign(left, *y);
        }
        if !holds {
            for ((o, x), y) in out.iter_mut().zip(a).zip(b).filter(|((o, _), _)| o.is_nan()) {
                *o = plain(*x, *y);
            }
        }
    }
}

/// Remainders of floats of up to 32 bits in vectors: `with_sign` of the one with the dividend's sign and the divisor, `plain`
/// where that is not exact. None for other operands.
pub(super) fn float_remainder(
    a: Arg,
    b: Arg,
    plain: fn(f32, f32) -> f32,
    with_sign: impl Fn(f32, f32) -> f32 + Sync + Copy,
) -> Result<Option<Tensor>> {
    let dtype = result_type(&[a, b]);
    if compute_dtype(dtype) != DType::F32 || crate::device::is_reference() {
        return Ok(None);
    }
    let own = |x: Arg| match x {
        Arg::Tensor(x) if x.dtype() == dtype => Ok(x.clone()),
        other => other.to(DType::F32),
    };
    let (a, b) = (own(a)?, own(b)?);
    if accelerator::of([&a, &b]).is_some() {
        return Ok(None);
    }
    let block: Block = &|a, b, out| dispatch(Remainders { a, b, out, plain, with_sign });
    Ok(Some(match dtype {
        DType::F32 => zip_blocks::<f32>(&a, &b, block)?,
        DType::F16 => zip_blocks::<f16>(&a, &b, block)?,
        _ => zip_blocks::<bf16>(&a, &b, block)?,
    }))
}
