//! Reductions over axes that are not the last ones: a row of accumulators takes up whole rows, so that nothing is turned
//! first and loops over neighbours in memory are vector code.
//!
//! A result is what the reduction of one row at a time gives, to the bit: its elements come in the same order, and sums
//! are kept in as many lanes.

use stark_shapes::{DType, rules};

use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::math::LANES;
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::Elem;
use crate::error::Result;
use crate::tensor::Tensor;

/// Results that are made side by side: with as many accumulators as a sum has they fit the first-level cache.
const BLOCK: usize = 128;
/// The fewest neighbours for which this pays; a guess: a vector of halves.
const LEAST: usize = 8;

/// A reduction that takes up one element after the other.
pub trait Column<A: Copy, R>: Copy + Sync {
    type Acc: Copy + Default;
    /// Accumulators of one result: 1, or those of [`Sum`].
    const SLOTS: usize = 1;
    /// With the first element.
    fn first(&self, x: A) -> Self::Acc;
    fn next(&self, acc: Self::Acc, x: A) -> Self::Acc;
    /// Of all accumulators of a result, in their order.
    fn end(&self, slots: impl Iterator<Item = Self::Acc>) -> R;
}

/// Sums as [`crate::cpu::math::sum_by`] makes them; `f` of each sum.
#[derive(Clone, Copy)]
pub struct Sum<F>(pub F);

impl<T: Elem, R: Elem, F: Fn(f64) -> f64 + Copy + Sync> Column<T, R> for Sum<F> {
    type Acc = f64;
    // Its lanes, and what is left over, which comes first.
    const SLOTS: usize = LANES + 1;

    #[inline(always)]
    fn first(&self, x: T) -> f64 {
        0.0 + x.to_f64()
    }

    #[inline(always)]
    fn next(&self, acc: f64, x: T) -> f64 {
        acc + x.to_f64()
    }

    #[inline(always)]
    fn end(&self, slots: impl Iterator<Item = f64>) -> R {
        R::from_f64((self.0)(slots.fold(0.0, |sum, x| sum + x)))
    }
}

/// Products in `f64`, one factor after the other.
#[derive(Clone, Copy)]
pub struct Product;

impl<T: Elem, R: Elem> Column<T, R> for Product {
    type Acc = f64;

    #[inline(always)]
    fn first(&self, x: T) -> f64 {
        x.to_f64()
    }

    #[inline(always)]
    fn next(&self, acc: f64, x: T) -> f64 {
        acc * x.to_f64()
    }

    #[inline(always)]
    fn end(&self, slots: impl Iterator<Item = f64>) -> R {
        R::from_f64(slots.last().unwrap_or(1.0))
    }
}

/// The last accumulator, of what `next` makes of the elements in their order; `first` of the first.
#[derive(Clone, Copy)]
pub struct InOrder<F, N, E>(pub F, pub N, pub E);

impl<A: Copy, B: Copy + Default, R, F, N, E> Column<A, R> for InOrder<F, N, E>
where
    F: Fn(A) -> B + Copy + Sync,
    N: Fn(B, A) -> B + Copy + Sync,
    E: Fn(B) -> R + Copy + Sync,
{
    type Acc = B;

    #[inline(always)]
    fn first(&self, x: A) -> B {
        (self.0)(x)
    }

    #[inline(always)]
    fn next(&self, acc: B, x: A) -> B {
        (self.1)(acc, x)
    }

    #[inline(always)]
    fn end(&self, slots: impl Iterator<Item = B>) -> R {
        (self.2)(slots.last().unwrap_or_default())
    }
}

/// The sizes of what lies before, in and behind the reduced axes, where they are neighbours and not the last.
fn layout(x: &Tensor, over: &[i64]) -> Result<Option<[usize; 3]>> {
    let mut over = rules::axes(over, x.rank())?;
    over.sort_unstable();
    // A tensor without axes may be reduced along axis 0.
    let (Some(&first), Some(&last)) = (over.first(), over.last().filter(|&&last| last < x.rank())) else {
        return Ok(None);
    };
    let sizes = [&x.shape()[..first], &x.shape()[first..=last], &x.shape()[last + 1..]];
    let [outer, n, inner] = sizes.map(|sizes| sizes.iter().product::<usize>());
    let fits = over.len() == last + 1 - first && inner >= LEAST && n >= 2 && outer > 0 && x.is_contiguous();
    Ok((fits && !crate::device::is_reference()).then_some([outer, n, inner]))
}

/// Whether [`columns`] reduces `x`.
pub fn fits(x: &Tensor, over: &[i64]) -> Result<bool> {
    Ok(layout(x, over)?.is_some())
}

/// The reduction of `x`, whose elements are `A`, where its axes lie so that this pays.
pub fn columns<A: Pod, R: Pod>(
    x: &Tensor,
    over: &[i64],
    keepdim: bool,
    dtype: DType,
    column: impl Column<A, R>,
) -> Result<Option<Tensor>> {
    let Some([_, n, inner]) = layout(x, over)? else { return Ok(None) };
    let shape = rules::reduce(x.shape(), over, keepdim)?;
    let data = x.slice_of::<A>();
    let mut buffer = Buffer::for_overwrite::<R>(rules::numel(&shape)?)?;
    let chunk = (CHUNK / n).max(1).next_multiple_of(BLOCK);
    fill_chunks(buffer.as_mut_slice::<R>(), chunk, |start, out| {
        dispatch(Piece { data, n, inner, column, start, out });
    });
    Ok(Some(Tensor::from_buffer(buffer, dtype, &shape)))
}

struct Piece<'a, A, R, C> {
    data: &'a [A],
    n: usize,
    inner: usize,
    column: C,
    start: usize,
    out: &'a mut [R],
}

impl<A: Pod, R: Pod, C: Column<A, R>> Kernel for Piece<'_, A, R, C> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Piece { data, n, inner, column, start, out } = self;
        let mut slots = [[C::Acc::default(); BLOCK]; LANES + 1];
        let in_lanes = n - n % LANES;
        let mut done = 0;
        while done < out.len() {
            let (block, at) = ((start + done) / inner, (start + done) % inner);
            let width = BLOCK.min(inner - at).min(out.len() - done);
            let from = &data[block * n * inner + at..];
            if C::SLOTS > 1 {
                slots.iter_mut().for_each(|slot| slot[..width].fill(C::Acc::default()));
            }
            for i in 0..n {
                // The leftover's accumulator is the first: there the sum begins.
                let slot = if C::SLOTS == 1 || i >= in_lanes { 0 } else { 1 + i % LANES };
                let acc = &mut slots[slot][..width];
                let row = &from[i * inner..][..width];
                if C::SLOTS == 1 && i == 0 {
                    acc.iter_mut().zip(row).for_each(|(acc, x)| *acc = column.first(*x));
                } else {
                    acc.iter_mut().zip(row).for_each(|(acc, x)| *acc = column.next(*acc, *x));
                }
            }
            for (k, o) in out[done..done + width].iter_mut().enumerate() {
                *o = column.end(slots[..C::SLOTS].iter().map(|slot| slot[k]));
            }
            done += width;
        }
    }
}
