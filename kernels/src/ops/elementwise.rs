//! Two operands, element by element, broadcast against each other; dtypes combine by PyTorch's rules.

use std::borrow::Cow;

use stark_shapes::{DType, Kind, Operand, result_dtype, rules};

use crate::accelerator;
use crate::cpu::buffer::{Buffer, Pod};
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Bit, Elem, Scalar, with_elem, with_number, with_word};
use crate::error::{Result, TensorError};
use crate::ops::blocks::{float_remainder, zip_halves};
use crate::ops::view::expanded_strides;
use crate::tensor::Tensor;
use crate::walk::Walk;

/// A tensor or a number.
#[derive(Clone, Copy)]
pub enum Arg<'a> {
    Tensor(&'a Tensor),
    Number(Scalar),
}

impl<'a> From<&'a Tensor> for Arg<'a> {
    fn from(x: &'a Tensor) -> Self {
        Arg::Tensor(x)
    }
}

impl<S: Into<Scalar>> From<S> for Arg<'_> {
    fn from(x: S) -> Self {
        Arg::Number(x.into())
    }
}

impl Arg<'_> {
    fn operand(&self) -> Operand {
        match self {
            Arg::Tensor(x) if x.rank() > 0 => Operand::Dimensioned(x.dtype()),
            Arg::Tensor(x) => Operand::ZeroDim(x.dtype()),
            Arg::Number(x) => Operand::Number(x.kind()),
        }
    }

    /// The operand in `dtype`; a number becomes a 0-dim tensor.
    pub(super) fn to(self, dtype: DType) -> Result<Tensor> {
        match self {
            Arg::Tensor(x) => x.to(dtype),
            Arg::Number(x) => Tensor::full(&[], x, dtype),
        }
    }
}

/// The dtype in which operands meet.
pub fn result_type(args: &[Arg]) -> DType {
    let operands: smallvec::SmallVec<[Operand; 4]> = args.iter().map(Arg::operand).collect();
    result_dtype(&operands)
}

/// Halves compute in `f32`.
pub(crate) fn compute_dtype(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

struct Rows<'a, A, B, R, F> {
    a: &'a [A],
    b: &'a [B],
    walk: &'a Walk<2>,
    start: usize,
    out: &'a mut [R],
    f: F,
}

impl<A: Pod, B: Pod, R: Pod, F: Fn(A, B) -> R> Kernel for Rows<'_, A, B, R, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Rows { a, b, walk, start, out, f } = self;
        let [s, t] = walk.inner();
        let mut done = 0;
        walk.rows(start..start + out.len(), |[i, j], n| {
            let row = &mut out[done..done + n];
            done += n;
            match (s, t) {
                (1, 1) => {
                    for ((o, x), y) in row.iter_mut().zip(&a[i..i + n]).zip(&b[j..j + n]) {
                        *o = f(*x, *y);
                    }
                }
                (1, 0) => {
                    let y = b[j];
                    for (o, x) in row.iter_mut().zip(&a[i..i + n]) {
                        *o = f(*x, y);
                    }
                }
                (0, 1) => {
                    let x = a[i];
                    for (o, y) in row.iter_mut().zip(&b[j..j + n]) {
                        *o = f(x, *y);
                    }
                }
                _ => {
                    for (k, o) in row.iter_mut().enumerate() {
                        *o = f(a[i + k * s], b[j + k * t]);
                    }
                }
            }
        });
    }
}

/// `f` over two operands of storage types `A` and `B`, broadcast; the result has elements `R` seen as `dtype`.
pub(crate) fn zip<A: Pod, B: Pod, R: Pod>(
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    f: impl Fn(A, B) -> R + Sync + Copy,
) -> Result<Tensor> {
    let (a, b) = (&*by_rows(a)?, &*by_rows(b)?);
    let (x, y) = (a.storage::<A>(), b.storage::<B>());
    let wide = size_of::<A>() == 4;
    walk_both::<R>(a, b, dtype, |walk, start, out| {
        let rows = Rows { a: x, b: y, walk, start, out, f };
        if wide { dispatch(rows) } else { rows.run() }
    })
}

/// A large matrix that lies column by column is turned first, block by block: read as it lies, each number of a row is
/// in another line of the cache.
fn by_rows(x: &Tensor) -> Result<Cow<'_, Tensor>> {
    let is_turned = x.rank() > 1
        && x.numel() >= CHUNK
        && x.memory().is_none()
        && !crate::device::is_reference()
        && Walk::new(x.shape(), [x.strides()], [0]).transposed().is_some_and(|sides| sides.iter().all(|n| *n >= 16));
    if is_turned && !x.is_channels_last() { x.copied().map(Cow::Owned) } else { Ok(Cow::Borrowed(x)) }
}

/// A new tensor whose pieces `fill` writes, from a place on, as the walk over both operands says.
pub(super) fn walk_both<R: Pod>(
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    fill: impl Fn(&Walk<2>, usize, &mut [R]) + Sync,
) -> Result<Tensor> {
    let mut shape = rules::broadcast(a.shape(), b.shape())?;
    let mut buffer = Buffer::for_overwrite::<R>(rules::numel(&shape)?)?;
    // The order of an operand's memory, which the result then has too.
    let pixels = [a, b].iter().any(|t| *t.shape() == *shape && t.is_channels_last());
    let mut strides = [expanded_strides(a, &shape), expanded_strides(b, &shape)];
    if pixels {
        shape[1..].rotate_left(1);
        strides.iter_mut().for_each(|strides| strides[1..].rotate_left(1));
    }
    let walk = Walk::new(&shape, [&strides[0], &strides[1]], [0, 0]);
    fill_chunks(buffer.as_mut_slice::<R>(), CHUNK, |start, out| fill(&walk, start, out));
    let out = Tensor::from_buffer(buffer, dtype, &shape);
    Ok(if pixels { out.planes() } else { out })
}

/// Numbers that the arithmetic operations know how to combine; ints wrap around.
pub(crate) trait Arith: Elem {
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    /// Rounded towards minus infinity.
    fn floor_div(self, b: Self) -> Self;
    /// Rounded towards zero.
    fn trunc_div(self, b: Self) -> Self;
    /// With the sign of `b`, as in Python.
    fn modulo(self, b: Self) -> Self;
    /// With the sign of `self`, as in C.
    fn fmod(self, b: Self) -> Self;
    fn pow(self, b: Self) -> Self;
    fn is_nan(self) -> bool;
    fn zero() -> Self {
        Self::default()
    }
    /// The greater; NaN when either is.
    #[inline(always)]
    fn greater(self, b: Self) -> Self {
        if self > b || self.is_nan() { self } else { b }
    }
    #[inline(always)]
    fn lesser(self, b: Self) -> Self {
        if self < b || self.is_nan() { self } else { b }
    }
}

macro_rules! arith_int {
    ($($T:ty),*) => { $(
        impl Arith for $T {
            #[inline(always)]
            fn add(self, b: Self) -> Self { self.wrapping_add(b) }
            #[inline(always)]
            fn sub(self, b: Self) -> Self { self.wrapping_sub(b) }
            #[inline(always)]
            fn mul(self, b: Self) -> Self { self.wrapping_mul(b) }
            fn floor_div(self, b: Self) -> Self {
                if b == 0 { return 0 }
                let q = self.wrapping_div(b);
                #[allow(unused_comparisons)]
                if self.wrapping_rem(b) != 0 && (self < 0) != (b < 0) { q.wrapping_sub(1) } else { q }
            }
            fn trunc_div(self, b: Self) -> Self { if b == 0 { 0 } else { self.wrapping_div(b) } }
            fn modulo(self, b: Self) -> Self {
                if b == 0 { return 0 }
                let r = self.wrapping_rem(b);
                #[allow(unused_comparisons)]
                if r != 0 && (r < 0) != (b < 0) { r.wrapping_add(b) } else { r }
            }
            fn fmod(self, b: Self) -> Self { if b == 0 { 0 } else { self.wrapping_rem(b) } }
            fn pow(self, b: Self) -> Self {
                #[allow(unused_comparisons)]
                if b < 0 {
                    let one: Self = 1;
                    return match self {
                        1 => 1,
                        // Only -1 has other powers that are whole.
                        x if x == (0 as Self).wrapping_sub(1) => if b % 2 == 0 { one } else { x },
                        _ => 0,
                    };
                }
                let (mut base, mut left, mut result) = (self, b, 1 as Self);
                while left > 0 {
                    if left & 1 == 1 { result = result.wrapping_mul(base); }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                result
            }
            #[inline(always)]
            fn is_nan(self) -> bool { false }
        }
    )* };
}
arith_int!(i8, u8, i16, i32, i64);

macro_rules! arith_float {
    ($($T:ty),*) => { $(
        impl Arith for $T {
            #[inline(always)]
            fn add(self, b: Self) -> Self { self + b }
            #[inline(always)]
            fn sub(self, b: Self) -> Self { self - b }
            #[inline(always)]
            fn mul(self, b: Self) -> Self { self * b }
            fn floor_div(self, b: Self) -> Self {
                // Python's: exact where the remainder is, not floor of a rounded quotient.
                if b == 0.0 { return self / b }
                let r = self % b;
                let mut q = (self - r) / b;
                if r != 0.0 && (r < 0.0) != (b < 0.0) { q -= 1.0; }
                let whole = q.floor();
                if q - whole > 0.5 { whole + 1.0 } else { whole }
            }
            fn trunc_div(self, b: Self) -> Self { (self / b).trunc() }
            fn modulo(self, b: Self) -> Self {
                let r = self % b;
                if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
            }
            fn fmod(self, b: Self) -> Self { self % b }
            fn pow(self, b: Self) -> Self { self.powf(b) }
            #[inline(always)]
            fn is_nan(self) -> bool { self.is_nan() }
        }
    )* };
}
arith_float!(f32, f64);

macro_rules! arithmetic {
    ($($(#[$doc:meta])* $vis:vis $name:ident: $T:ident, $f:expr;)*) => { $(
        $(#[$doc])*
        $vis fn $name<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
            let (a, b) = (a.into(), b.into());
            let dtype = result_type(&[a, b]);
            let compute = if dtype == DType::Bool { bool_compute(stringify!($name))? } else { compute_dtype(dtype) };
            if dtype != compute && compute == DType::F32 && !crate::device::is_reference() {
                // Operands in their own type or in `f32`, which a device may have.
                let own = |x: Arg| match x {
                    Arg::Tensor(x) if x.dtype() == dtype => Ok(x.clone()),
                    other => other.to(compute),
                };
                let (a, b) = (own(a)?, own(b)?);
                if accelerator::of([&a, &b]).is_none() {
                    type $T = f32;
                    return zip_halves(&a, &b, dtype, $f);
                }
            }
            let (a, b) = (a.to(compute)?, b.to(compute)?);
            if let Some(out) = accelerator::map(stringify!($name), &[&a, &b], &[], compute)? {
                return out.to(dtype);
            }
            let out = with_number!(compute, $T => zip::<$T, $T, $T>(&a, &b, compute, $f)?,
                _ => return Err(TensorError::dtype(stringify!($name), compute)));
            out.to(dtype)
        }
    )* };
}

/// Bools add as "or" and multiply as "and"; the rest computes on 0 and 1.
fn bool_compute(name: &str) -> Result<DType> {
    match name {
        "sub" => Err(TensorError::DType("sub does not take Bool elements: use logical_xor or logical_not".into())),
        _ => Ok(DType::I64),
    }
}

arithmetic! {
    /// `a + b`.
    pub add: T, |x: T, y: T| x.add(y);
    /// `a - b`.
    pub sub: T, |x: T, y: T| x.sub(y);
    /// `a * b`.
    pub mul: T, |x: T, y: T| x.mul(y);
    /// The greater of both; NaN wins.
    pub maximum: T, |x: T, y: T| x.greater(y);
    /// The lesser of both; NaN wins.
    pub minimum: T, |x: T, y: T| x.lesser(y);
    floor_divide_unchecked: T, |x: T, y: T| x.floor_div(y);
    trunc_divide_unchecked: T, |x: T, y: T| x.trunc_div(y);
    remainder_unchecked: T, |x: T, y: T| x.modulo(y);
    fmod_unchecked: T, |x: T, y: T| Arith::fmod(x, y);
    pow_unchecked: T, |x: T, y: T| Arith::pow(x, y);
}

/// `a / b`; ints divide as `Float32`.
pub fn div<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    let dtype = result_type(&[a, b]).to_float();
    let compute = compute_dtype(dtype);
    let (a, b) = (a.to(compute)?, b.to(compute)?);
    if let Some(out) = accelerator::map("div", &[&a, &b], &[], compute)? {
        return out.to(dtype);
    }
    let out = match compute {
        DType::F64 => zip::<f64, f64, f64>(&a, &b, compute, |x, y| x / y)?,
        _ => zip::<f32, f32, f32>(&a, &b, compute, |x, y| x / y)?,
    };
    out.to(dtype)
}

/// Ints have no infinity to answer with: a zero divisor is an error.
fn check_divisor(a: Arg, b: Arg) -> Result<()> {
    if result_type(&[a, b]).is_float() {
        return Ok(());
    }
    let has_zero = match b {
        Arg::Number(x) => x.to_i64() == 0,
        Arg::Tensor(x) => with_elem!(x.dtype(), T => {
            let mut zero = false;
            x.for_each::<T>(|v| zero = zero || v == T::default());
            zero
        }),
    };
    if has_zero { Err(TensorError::ZeroDivision) } else { Ok(()) }
}

/// `a // b`, rounded towards minus infinity. An int divisor of 0 is an error.
pub fn floor_divide<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    check_divisor(a, b)?;
    floor_divide_unchecked(a, b)
}

/// `a / b` rounded towards zero. An int divisor of 0 is an error.
pub fn trunc_divide<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    check_divisor(a, b)?;
    trunc_divide_unchecked(a, b)
}

/// What `floor_divide` leaves, with the sign of `b`. An int divisor of 0 is an error.
pub fn remainder<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    check_divisor(a, b)?;
    let with_sign = |left: f32, b: f32| if (left != 0.0) & ((left < 0.0) != (b < 0.0)) { left + b } else { left };
    match float_remainder(a, b, Arith::modulo, with_sign)? {
        Some(out) => Ok(out),
        None => remainder_unchecked(a, b),
    }
}

/// What `trunc_divide` leaves, with the sign of `a`. An int divisor of 0 is an error.
pub fn fmod<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    check_divisor(a, b)?;
    match float_remainder(a, b, Arith::fmod, |left, _| left)? {
        Some(out) => Ok(out),
        None => fmod_unchecked(a, b),
    }
}

/// `a` to the power of `b`. Ints stay ints; a negative whole number as their exponent is an error.
pub fn pow<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, mut b) = (a.into(), b.into());
    // A float alone in its tensor is a number like any other, as long as the result's type does not depend on it.
    if let (Arg::Tensor(x), Arg::Tensor(e)) = (a, b) {
        let is_number = e.rank() == 0 && e.dtype().is_float() && x.dtype().is_float() && e.memory().is_none();
        if is_number && result_type(&[a, b]) == x.dtype() {
            b = Arg::Number(e.item()?);
        }
    }
    if let (Arg::Tensor(x), Arg::Number(e)) = (a, b) {
        if !result_type(&[a, b]).is_float() && e.to_i64() < 0 {
            return Err(TensorError::Argument(format!("whole numbers have no whole power {}", e.to_i64())));
        }
        // The common powers are exact products, and many times faster.
        if x.dtype().is_float() && e.to_f64() == 2.0 {
            return mul(x, x);
        }
        if x.dtype().is_float() && e.to_f64() == 0.5 {
            return super::unary::sqrt(x);
        }
        if x.dtype().is_float() && e.to_f64() == 3.0 && !crate::device::is_reference() {
            return super::unary::cube(x);
        }
    }
    pow_unchecked(a, b)
}

/// `a + alpha * b`.
pub fn add_scaled<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>, alpha: impl Into<Scalar>) -> Result<Tensor> {
    let (b, alpha) = (b.into(), alpha.into());
    if alpha.to_f64() == 1.0 { add(a, b) } else { add(a, &mul(b, alpha)?) }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident: $T:ident, $f:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
            let (a, b) = (a.into(), b.into());
            let compute = match compute_dtype(result_type(&[a, b])) {
                DType::Bool => DType::U8,
                other => other,
            };
            let (a, b) = (a.to(compute)?, b.to(compute)?);
            if let Some(out) = accelerator::map(stringify!($name), &[&a, &b], &[], DType::Bool)? {
                return Ok(out);
            }
            with_number!(compute, $T => zip::<$T, $T, Bit>(&a, &b, DType::Bool, $f),
                _ => Err(TensorError::dtype(stringify!($name), compute)))
        }
    )* };
}

comparisons! {
    eq: T, |x: T, y: T| Bit((x == y).into());
    ne: T, |x: T, y: T| Bit((x != y).into());
    lt: T, |x: T, y: T| Bit((x < y).into());
    le: T, |x: T, y: T| Bit((x <= y).into());
    gt: T, |x: T, y: T| Bit((x > y).into());
    ge: T, |x: T, y: T| Bit((x >= y).into());
}

fn logical<'a, 'b>(
    name: &'static str,
    a: impl Into<Arg<'a>>,
    b: impl Into<Arg<'b>>,
    f: impl Fn(bool, bool) -> bool + Sync + Copy,
) -> Result<Tensor> {
    let (a, b) = (a.into().to(DType::Bool)?, b.into().to(DType::Bool)?);
    if let Some(out) = accelerator::map(name, &[&a, &b], &[], DType::Bool)? {
        return Ok(out);
    }
    zip::<Bit, Bit, Bit>(&a, &b, DType::Bool, |x, y| Bit(f(x.0 != 0, y.0 != 0).into()))
}

/// Both not zero.
pub fn logical_and<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    logical("logical_and", a, b, |x, y| x && y)
}

pub fn logical_or<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    logical("logical_or", a, b, |x, y| x || y)
}

pub fn logical_xor<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    logical("logical_xor", a, b, |x, y| x != y)
}

fn bitwise<'a, 'b>(
    name: &str,
    a: impl Into<Arg<'a>>,
    b: impl Into<Arg<'b>>,
    f: impl Fn(u64, u64) -> u64 + Sync + Copy,
) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    let dtype = result_type(&[a, b]);
    let (a, b) = (a.to(dtype)?, b.to(dtype)?);
    if dtype.kind() == Kind::Float {
        return Err(TensorError::dtype(name, dtype));
    }
    with_word!(dtype, W => zip::<W, W, W>(&a, &b, dtype, |x, y| f(x as u64, y as u64) as W))
}

/// Bit by bit on ints, "and" on bools: `__and__`.
pub fn bitwise_and<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    bitwise("bitwise_and", a, b, |x, y| x & y)
}

pub fn bitwise_or<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    bitwise("bitwise_or", a, b, |x, y| x | y)
}

pub fn bitwise_xor<'a, 'b>(a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    bitwise("bitwise_xor", a, b, |x, y| x ^ y)
}

/// `a` where `condition` (Bool), else `b`; all three broadcast.
pub fn where_<'a, 'b>(condition: &Tensor, a: impl Into<Arg<'a>>, b: impl Into<Arg<'b>>) -> Result<Tensor> {
    let (a, b) = (a.into(), b.into());
    if condition.dtype() != DType::Bool {
        return Err(TensorError::DType(format!("a condition is Bool, not {}", condition.dtype())));
    }
    let dtype = result_type(&[a, b]);
    let (a, b) = (a.to(dtype)?, b.to(dtype)?);
    if let Some(out) = accelerator::map("where", &[&a, &b, condition], &[], dtype)? {
        return Ok(out);
    }
    let shape = rules::broadcast(&rules::broadcast(a.shape(), b.shape())?, condition.shape())?;
    let strides = [condition, &a, &b].map(|x| expanded_strides(x, &shape));
    let walk = Walk::new(&shape, [&strides[0], &strides[1], &strides[2]], [0; 3]);
    let bits = condition.storage::<Bit>();
    with_word!(dtype, W => {
        let mut buffer = Buffer::for_overwrite::<W>(rules::numel(&shape)?)?;
        let (a, b) = (a.storage::<W>(), b.storage::<W>());
        let [r, s, t] = walk.inner();
        fill_chunks(buffer.as_mut_slice::<W>(), CHUNK, |start, out| {
            let mut done = 0;
            walk.rows(start..start + out.len(), |[h, i, j], n| {
                let out = &mut out[done..done + n];
                if (r, s, t) == (1, 1, 1) {
                    dispatch(Chosen { bits: &bits[h..h + n], a: &a[i..i + n], b: &b[j..j + n], out });
                } else {
                    for (k, o) in out.iter_mut().enumerate() {
                        *o = if bits[h + k * r].0 != 0 { a[i + k * s] } else { b[j + k * t] };
                    }
                }
                done += n;
            });
        });
        Ok(Tensor::from_buffer(buffer, dtype, &shape))
    })
}

/// One of two numbers by a bit; all lie side by side, so that both may be read and no branch is guessed.
struct Chosen<'a, W> {
    bits: &'a [Bit],
    a: &'a [W],
    b: &'a [W],
    out: &'a mut [W],
}

impl<W: Pod> Kernel for Chosen<'_, W> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (((o, bit), x), y) in self.out.iter_mut().zip(self.bits).zip(self.a).zip(self.b) {
            let (x, y) = (*x, *y);
            *o = if bit.0 != 0 { x } else { y };
        }
    }
}

/// `x` with `value` (converted to its dtype) where `mask` is true.
pub fn masked_fill<'a>(x: &Tensor, mask: &Tensor, value: impl Into<Arg<'a>>) -> Result<Tensor> {
    let value = value.into().to(x.dtype())?;
    if value.rank() > 0 {
        return Err(TensorError::Argument("masked_fill takes one value, not a tensor of rank 1 or more".into()));
    }
    where_(mask, &value, x)
}

/// `x` held between `low` and `high` (either may be left out). NaN stays.
pub fn clamp<'a, 'b>(x: &Tensor, low: Option<Arg<'a>>, high: Option<Arg<'b>>) -> Result<Tensor> {
    if let (Some(Arg::Number(low)), Some(Arg::Number(high))) = (low, high) {
        let is_kept = |end: Scalar| result_type(&[Arg::Tensor(x), Arg::Number(end)]) == x.dtype();
        if is_kept(low) && is_kept(high) && accelerator::of([x]).is_none() {
            if let Some(out) = clamp_numbers(x, low, high) {
                return out;
            }
        }
    }
    let mut out = x.clone();
    if let Some(low) = low {
        out = maximum(&out, low)?;
    }
    if let Some(high) = high {
        out = minimum(&out, high)?;
    }
    Ok(out)
}

/// One pass between two numbers; none for the types that compute in another one.
fn clamp_numbers(x: &Tensor, low: Scalar, high: Scalar) -> Option<Result<Tensor>> {
    Some(with_number!(x.dtype(), T => {
        let (low, high) = (T::from_scalar(low), T::from_scalar(high));
        super::unary::map::<T, T>(x, x.dtype(), super::unary::By(move |x: T| x.greater(low).lesser(high)))
    }, _ => return None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, &[values.len()]).unwrap()
    }

    fn i(values: &[i64]) -> Tensor {
        Tensor::from_slice(values, &[values.len()]).unwrap()
    }

    fn floats(x: Result<Tensor>) -> Vec<f64> {
        x.unwrap().to_scalars().iter().map(|s| s.to_f64()).collect()
    }

    #[test]
    fn arithmetic_broadcasts_and_promotes() {
        let a = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        assert_eq!(floats(add(&a, &f(&[10.0, 20.0]))), [11.0, 22.0, 13.0, 24.0]);
        assert_eq!(floats(add(&a, &f(&[10.0, 20.0]).unsqueeze(1).unwrap())), [11.0, 12.0, 23.0, 24.0]);
        assert_eq!(floats(sub(1.0, &a.t().unwrap())), [0.0, -2.0, -1.0, -3.0]);
        let half = a.to(DType::F16).unwrap();
        assert_eq!(mul(&half, 2.5).unwrap().dtype(), DType::F16);
        assert_eq!(mul(&a, &Tensor::scalar(2.5f64)).unwrap().dtype(), DType::F32);
        assert_eq!(add(&i(&[1]), 0.5).unwrap().dtype(), DType::F32);
        assert_eq!(floats(div(&i(&[1, 2]), 4)), [0.25, 0.5]);
        assert_eq!(
            add(&a, &f(&[1.0; 3])).unwrap_err().to_string(),
            "shapes [2, 2] and [3] do not broadcast: axis 1 is 2, axis 0 is 3"
        );
    }

    #[test]
    fn whole_and_rounded_division() {
        let (a, b) = (i(&[7, -7, 7, -7]), i(&[2, 2, -2, -2]));
        assert_eq!(floats(floor_divide(&a, &b)), [3.0, -4.0, -4.0, 3.0]);
        assert_eq!(floats(remainder(&a, &b)), [1.0, 1.0, -1.0, -1.0]);
        assert_eq!(floats(fmod(&a, &b)), [1.0, -1.0, 1.0, -1.0]);
        assert_eq!(floats(remainder(&f(&[-5.5, 5.5]), 2.0)), [0.5, 1.5]);
        assert_eq!(floats(floor_divide(&f(&[-5.5, 5.5]), 2.0)), [-3.0, 2.0]);
        assert_eq!(floor_divide(&a, 0).unwrap_err().to_string(), "integer division by zero");
        assert_eq!(floats(floor_divide(&i(&[i64::MIN]), -1)), [i64::MIN as f64]);
        assert_eq!(floats(pow(&i(&[2, -3]), 3)), [8.0, -27.0]);
        assert_eq!(floats(pow(2.0, &f(&[0.5, 3.0]))), [2f32.sqrt() as f64, 8.0]);
        assert!(pow(&i(&[2]), -1).is_err());
    }

    #[test]
    fn comparison_logic_and_choice() {
        let x = f(&[-1.0, 0.0, f32::NAN]);
        assert_eq!(ge(&x, 0.0).unwrap().to_vec::<bool>().unwrap(), [false, true, false]);
        assert_eq!(ne(&x, &x).unwrap().to_vec::<bool>().unwrap(), [false, false, true]);
        let yes = Tensor::from_vec(vec![true, false, true], &[3]).unwrap();
        assert_eq!(bitwise_and(&yes, &ge(&x, -1.0).unwrap()).unwrap().to_vec::<bool>().unwrap(), [true, false, false]);
        assert_eq!(add(&yes, &yes).unwrap().to_vec::<bool>().unwrap(), [true, false, true]);
        assert!(sub(&yes, &yes).is_err() && bitwise_and(&x, &x).is_err() && where_(&x, &x, &x).is_err());
        assert_eq!(floats(where_(&yes, &i(&[1, 2, 3]), 0)), [1.0, 0.0, 3.0]);
        assert_eq!(
            floats(masked_fill(&f(&[1.0, 2.0, 3.0]), &yes, f64::NEG_INFINITY)),
            [f64::NEG_INFINITY, 2.0, f64::NEG_INFINITY]
        );
        assert_eq!(floats(clamp(&f(&[-3.0, 0.25, 7.0]), Some(0.0.into()), Some(1.0.into()))), [0.0, 0.25, 1.0]);
        assert!(maximum(&x, 0.0).unwrap().at(&[2]).unwrap().to_f64().is_nan());
    }
}
