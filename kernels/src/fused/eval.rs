//! Running a program: on the processor in blocks, whose registers stay in its first cache.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use half::{bf16, f16};
use stark_shapes::{DType, Shape, rules};

use super::build::{Check, Node, Op, Program, Ty};
use super::ops::{Lanes, zip};
use crate::accelerator::{self, Kernel as Offer};
use crate::cpu::buffer::{Bit, Buffer, Pod};
use crate::cpu::simd::{Kernel, dispatch};
use crate::cpu::split::{CHUNK, fill_chunks};
use crate::element::{Elem, Scalar, with_elem};
use crate::error::{Result, TensorError};
use crate::ops::expanded_strides;
use crate::tensor::Tensor;
use crate::walk::Walk;

/// Elements in a block: 4 KiB in `F32`, so that a handful of registers fits the 32 KiB of a small first cache.
const BLOCK: usize = 1024;

/// An operand, seen in the shape of the result.
struct Source<'a> {
    tensor: &'a Tensor,
    walk: Walk<1>,
    /// Its elements in order, where they lie so and are held as they are computed with.
    direct: Direct<'a>,
}

enum Direct<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    None,
}

impl<'a> Source<'a> {
    fn new(tensor: &'a Tensor, shape: &[usize]) -> Source<'a> {
        let strides = expanded_strides(tensor, shape);
        let walk = Walk::new(shape, [&strides], [0]);
        let direct = match tensor.dtype() {
            _ if tensor.shape() != shape || !tensor.is_contiguous() => Direct::None,
            DType::F32 => Direct::F32(tensor.slice_of()),
            DType::F64 => Direct::F64(tensor.slice_of()),
            DType::I64 => Direct::I64(tensor.slice_of()),
            _ => Direct::None,
        };
        Source { tensor, walk, direct }
    }

    /// Converts the elements from `start` on into `out`.
    fn load<T>(&self, start: usize, out: &mut [T], from: impl Fn(Scalar) -> T) {
        let [step] = self.walk.inner();
        let mut done = 0;
        with_elem!(self.tensor.dtype(), E => {
            let data = self.tensor.storage::<E>();
            self.walk.rows(start..start + out.len(), |[at], n| {
                for (k, o) in out[done..done + n].iter_mut().enumerate() {
                    *o = from(data[at + k * step].to_scalar());
                }
                done += n;
            });
        });
    }

    fn load_f32(&self, start: usize, out: &mut [f32]) {
        let [step] = self.walk.inner();
        let mut done = 0;
        macro_rules! load {
            ($E:ty, $convert:expr) => {{
                let data = self.tensor.storage::<$E>();
                self.walk.rows(start..start + out.len(), |[at], n| {
                    let row = &mut out[done..done + n];
                    done += n;
                    match step {
                        0 => row.fill($convert(data[at])),
                        1 => row.iter_mut().zip(&data[at..at + n]).for_each(|(o, x)| *o = $convert(*x)),
                        _ => row.iter_mut().enumerate().for_each(|(k, o)| *o = $convert(data[at + k * step])),
                    }
                });
            }};
        }
        match self.tensor.dtype() {
            DType::F16 => load!(f16, f16::to_f32),
            DType::BF16 => load!(bf16, bf16::to_f32),
            DType::F32 => load!(f32, |x| x),
            _ => self.load(start, out, |x| x.to_f64() as f32),
        }
    }
}

enum Register {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
    /// While a step writes it.
    Away,
}

impl Register {
    fn new(ty: Ty) -> Register {
        match ty {
            Ty::F32 => Register::F32(vec![0.0; BLOCK]),
            Ty::F64 => Register::F64(vec![0.0; BLOCK]),
            Ty::I64 => Register::I64(vec![0; BLOCK]),
            Ty::Bool => Register::Bool(vec![0; BLOCK]),
        }
    }
}

impl<T: Copy> Lanes<'_, T> {
    #[inline(always)]
    fn at(self, k: usize) -> T {
        match self {
            Lanes::Many(x) => x[k],
            Lanes::One(x) => x,
        }
    }
}

/// One block of a run.
struct Block<'a> {
    program: &'a Program,
    sources: &'a [Source<'a>],
    params: &'a [Scalar],
    start: usize,
    n: usize,
}

impl<'a> Block<'a> {
    #[inline(always)]
    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.n
    }

    /// The operand's own elements, where no step has to bring them.
    #[inline(always)]
    fn is_direct(&self, k: u16) -> bool {
        !matches!(self.sources[usize::from(k)].direct, Direct::None)
    }

    #[inline(always)]
    fn f32s<'b>(&'b self, registers: &'b [Register], node: Node) -> Lanes<'b, f32> {
        let step = &self.program.steps[node.index()];
        match step.op {
            Op::Const(bits) => return Lanes::One(f64::from_bits(bits) as f32),
            Op::Param(k) => return Lanes::One(self.params[usize::from(k)].to_f64() as f32),
            Op::Input(k) => {
                if let Direct::F32(data) = self.sources[usize::from(k)].direct {
                    return Lanes::Many(&data[self.range()]);
                }
            }
            _ => {}
        }
        match &registers[step.register as usize] {
            Register::F32(data) => Lanes::Many(&data[..self.n]),
            _ => wrong_kind(),
        }
    }

    #[inline(always)]
    fn f64s<'b>(&'b self, registers: &'b [Register], node: Node) -> Lanes<'b, f64> {
        let step = &self.program.steps[node.index()];
        match step.op {
            Op::Const(bits) => return Lanes::One(f64::from_bits(bits)),
            Op::Param(k) => return Lanes::One(self.params[usize::from(k)].to_f64()),
            Op::Input(k) => {
                if let Direct::F64(data) = self.sources[usize::from(k)].direct {
                    return Lanes::Many(&data[self.range()]);
                }
            }
            _ => {}
        }
        match &registers[step.register as usize] {
            Register::F64(data) => Lanes::Many(&data[..self.n]),
            _ => wrong_kind(),
        }
    }

    #[inline(always)]
    fn i64s<'b>(&'b self, registers: &'b [Register], node: Node) -> Lanes<'b, i64> {
        let step = &self.program.steps[node.index()];
        match step.op {
            Op::Const(bits) => return Lanes::One(bits as i64),
            Op::Param(k) => return Lanes::One(self.params[usize::from(k)].to_i64()),
            Op::Input(k) => {
                if let Direct::I64(data) = self.sources[usize::from(k)].direct {
                    return Lanes::Many(&data[self.range()]);
                }
            }
            _ => {}
        }
        match &registers[step.register as usize] {
            Register::I64(data) => Lanes::Many(&data[..self.n]),
            _ => wrong_kind(),
        }
    }

    /// 0 or 1.
    #[inline(always)]
    fn bools<'b>(&'b self, registers: &'b [Register], node: Node) -> Lanes<'b, u8> {
        let step = &self.program.steps[node.index()];
        match step.op {
            Op::Const(bits) => return Lanes::One((bits != 0).into()),
            Op::Param(k) => return Lanes::One((self.params[usize::from(k)].to_i64() != 0).into()),
            _ => {}
        }
        match &registers[step.register as usize] {
            Register::Bool(data) => Lanes::Many(&data[..self.n]),
            _ => wrong_kind(),
        }
    }

    /// Fills the register of a step that gives an `F32`.
    #[inline(always)]
    fn step_f32(&self, op: Op, registers: &[Register], out: &mut [f32]) {
        match op {
            Op::Input(k) => self.sources[usize::from(k)].load_f32(self.start, out),
            Op::Unary(f, a) => match self.f32s(registers, a) {
                Lanes::Many(a) => f.each_f32(out, a),
                Lanes::One(a) => {
                    let mut one = [0.0];
                    f.each_f32(&mut one, &[a]);
                    out.fill(one[0]);
                }
            },
            Op::Binary(f, a, b) => f.each_f32(out, self.f32s(registers, a), self.f32s(registers, b)),
            Op::Select(c, a, b) => {
                choose(out, self.bools(registers, c), self.f32s(registers, a), self.f32s(registers, b));
            }
            Op::Cast(a) => match self.program.steps[a.index()].ty {
                Ty::F32 => convert(out, self.f32s(registers, a), |x| x),
                Ty::F64 => convert(out, self.f64s(registers, a), |x| x as f32),
                Ty::I64 => convert(out, self.i64s(registers, a), |x| x as f32),
                Ty::Bool => convert(out, self.bools(registers, a), f32::from),
            },
            Op::Round(a, dtype) => match (self.program.steps[a.index()].ty, dtype) {
                (Ty::F32, DType::F16) => convert(out, self.f32s(registers, a), |x| f16::from_f32(x).to_f32()),
                (Ty::F32, _) => convert(out, self.f32s(registers, a), |x| bf16::from_f32(x).to_f32()),
                (_, DType::F16) => convert(out, self.f64s(registers, a), |x| f16::from_f64(x).to_f32()),
                (_, _) => convert(out, self.f64s(registers, a), |x| bf16::from_f64(x).to_f32()),
            },
            _ => wrong_kind(),
        }
    }

    #[inline(always)]
    fn step_f64(&self, op: Op, registers: &[Register], out: &mut [f64]) {
        match op {
            Op::Input(k) => self.sources[usize::from(k)].load(self.start, out, |x| x.to_f64()),
            Op::Unary(f, a) => match self.f64s(registers, a) {
                Lanes::Many(a) => f.each_f64(out, a),
                Lanes::One(a) => {
                    let mut one = [0.0];
                    f.each_f64(&mut one, &[a]);
                    out.fill(one[0]);
                }
            },
            Op::Binary(f, a, b) => f.each_f64(out, self.f64s(registers, a), self.f64s(registers, b)),
            Op::Select(c, a, b) => {
                choose(out, self.bools(registers, c), self.f64s(registers, a), self.f64s(registers, b));
            }
            Op::Cast(a) => match self.program.steps[a.index()].ty {
                Ty::F32 => convert(out, self.f32s(registers, a), f64::from),
                Ty::F64 => convert(out, self.f64s(registers, a), |x| x),
                Ty::I64 => convert(out, self.i64s(registers, a), |x| x as f64),
                Ty::Bool => convert(out, self.bools(registers, a), f64::from),
            },
            _ => wrong_kind(),
        }
    }

    /// Answers whether all checks held.
    #[inline(always)]
    fn step_i64(&self, op: Op, registers: &[Register], out: &mut [i64]) -> bool {
        let ints = |node| self.i64s(registers, node);
        match op {
            Op::Input(k) => self.sources[usize::from(k)].load(self.start, out, |x| x.to_i64()),
            Op::Select(c, a, b) => choose(out, self.bools(registers, c), ints(a), ints(b)),
            Op::Cast(a) => convert(out, self.bools(registers, a), i64::from),
            Op::BitAnd(a, b) => zip(out, ints(a), ints(b), |x, y| x & y),
            Op::BitOr(a, b) => zip(out, ints(a), ints(b), |x, y| x | y),
            Op::BitXor(a, b) => zip(out, ints(a), ints(b), |x, y| x ^ y),
            Op::Wrap(a, dtype) => convert(out, ints(a), |x| match dtype {
                DType::I8 => x as i8 as i64,
                DType::U8 => x as u8 as i64,
                DType::I16 => x as i16 as i64,
                DType::I32 => x as i32 as i64,
                _ => x,
            }),
            Op::Check(check, at) => {
                let at = at.map_or(Lanes::One(1), |at| self.bools(registers, at));
                return self.check(check, at, registers, out);
            }
            _ => wrong_kind(),
        }
        true
    }

    #[inline(always)]
    fn check(&self, check: Check, at: Lanes<'_, u8>, registers: &[Register], out: &mut [i64]) -> bool {
        let ints = |node| self.i64s(registers, node);
        match check {
            Check::Add(a, b) => two(out, at, ints(a), ints(b), |x, y| x.overflowing_add(y)),
            Check::Sub(a, b) => two(out, at, ints(a), ints(b), |x, y| x.overflowing_sub(y)),
            Check::Mul(a, b) => two(out, at, ints(a), ints(b), |x, y| x.overflowing_mul(y)),
            Check::Div(a, b) => two(out, at, ints(a), ints(b), |x, y| match x.checked_div(y) {
                Some(quotient) => (quotient, false),
                None => (0, true),
            }),
            // The smallest number by -1 leaves 0.
            Check::Rem(a, b) => two(out, at, ints(a), ints(b), |x, y| match y {
                0 => (0, true),
                _ => (x.wrapping_rem(y), false),
            }),
            Check::Neg(a) => two(out, at, Lanes::One(0i64), ints(a), |x, y| x.overflowing_sub(y)),
            Check::Fit(a, dtype) => {
                let (low, high) = range(dtype);
                two(out, at, ints(a), ints(a), |x, _| (x, x < low || x > high))
            }
            Check::ToInt(a, dtype) => {
                let (low, high) = range(dtype);
                // The largest `Int64` is none of `Float64`: the next number is the first that does not fit.
                let (low, end) = (low as f64, high as f64 + if dtype == DType::I64 { 0.0 } else { 1.0 });
                let cut = |x: f64| {
                    let x = x.trunc();
                    (x as i64, !(x >= low && x < end))
                };
                match self.program.steps[a.index()].ty {
                    Ty::F32 => {
                        let a = self.f32s(registers, a);
                        two(out, at, a, a, |x, _| cut(x.into()))
                    }
                    _ => {
                        let a = self.f64s(registers, a);
                        two(out, at, a, a, |x, _| cut(x))
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn step_bool(&self, op: Op, registers: &[Register], out: &mut [u8]) {
        macro_rules! compare {
            ($a:expr, $b:expr, $f:expr) => {
                match self.program.steps[$a.index()].ty {
                    Ty::F32 => {
                        zip(out, self.f32s(registers, $a), self.f32s(registers, $b), |x, y| u8::from($f(&x, &y)))
                    }
                    Ty::F64 => {
                        zip(out, self.f64s(registers, $a), self.f64s(registers, $b), |x, y| u8::from($f(&x, &y)))
                    }
                    Ty::I64 => {
                        zip(out, self.i64s(registers, $a), self.i64s(registers, $b), |x, y| u8::from($f(&x, &y)))
                    }
                    Ty::Bool => {
                        zip(out, self.bools(registers, $a), self.bools(registers, $b), |x, y| u8::from($f(&x, &y)))
                    }
                }
            };
        }
        let bools = |node| self.bools(registers, node);
        match op {
            Op::Input(k) => self.sources[usize::from(k)].load(self.start, out, |x| u8::from(x.to_i64() != 0)),
            Op::Eq(a, b) => compare!(a, b, PartialEq::eq),
            Op::Lt(a, b) => compare!(a, b, PartialOrd::lt),
            Op::Le(a, b) => compare!(a, b, PartialOrd::le),
            Op::Not(a) => convert(out, bools(a), |x| x ^ 1),
            Op::And(a, b) => zip(out, bools(a), bools(b), |x, y| x & y),
            Op::Or(a, b) => zip(out, bools(a), bools(b), |x, y| x | y),
            Op::Select(c, a, b) => choose(out, bools(c), bools(a), bools(b)),
            Op::IsNan(a) => match self.program.steps[a.index()].ty {
                Ty::F32 => convert(out, self.f32s(registers, a), |x| u8::from(x.is_nan())),
                _ => convert(out, self.f64s(registers, a), |x| u8::from(x.is_nan())),
            },
            _ => wrong_kind(),
        }
    }
}

#[cold]
#[inline(never)]
fn wrong_kind() -> ! {
    unreachable!("the builder gives each node the kind that its readers ask for")
}

#[inline(always)]
fn convert<A: Copy, R: Copy>(out: &mut [R], a: Lanes<'_, A>, f: impl Fn(A) -> R) {
    match a {
        Lanes::Many(a) => out.iter_mut().zip(a).for_each(|(o, x)| *o = f(*x)),
        Lanes::One(x) => out.fill(f(x)),
    }
}

#[inline(always)]
fn choose<T: Copy>(out: &mut [T], c: Lanes<'_, u8>, a: Lanes<'_, T>, b: Lanes<'_, T>) {
    let c = match c {
        Lanes::Many(c) => c,
        Lanes::One(c) => return convert(out, if c != 0 { a } else { b }, |x| x),
    };
    match (a, b) {
        (Lanes::Many(a), Lanes::Many(b)) => {
            for (((o, c), x), y) in out.iter_mut().zip(c).zip(a).zip(b) {
                *o = if *c != 0 { *x } else { *y };
            }
        }
        (a, Lanes::One(y)) => zip(out, Lanes::Many(c), a, |c, x| if c != 0 { x } else { y }),
        (Lanes::One(x), b) => zip(out, Lanes::Many(c), b, |c, y| if c != 0 { x } else { y }),
    }
}

/// `f` gives a number and whether it is wrong; answers whether none is wrong where `at` is true.
#[inline(always)]
fn two<T: Copy>(
    out: &mut [i64],
    at: Lanes<'_, u8>,
    a: Lanes<'_, T>,
    b: Lanes<'_, T>,
    f: impl Fn(T, T) -> (i64, bool),
) -> bool {
    let mut wrong = 0;
    for (k, o) in out.iter_mut().enumerate() {
        let (x, is_wrong) = f(a.at(k), b.at(k));
        *o = x;
        wrong |= u8::from(is_wrong) & at.at(k);
    }
    wrong == 0
}

fn range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::U8 => (0, u8::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

struct Steps<'a, 'b> {
    block: Block<'a>,
    registers: &'b mut [Register],
}

impl Kernel for Steps<'_, '_> {
    /// Whether all checks held.
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Steps { block, registers } = self;
        let n = block.n;
        for step in block.program.steps.iter().filter(|step| step.used && !step.op.is_number()) {
            match step.op {
                Op::Input(k) if block.is_direct(k) => continue,
                Op::Fail(a) => {
                    let failed = match block.bools(registers, a) {
                        Lanes::Many(a) => a.iter().any(|a| *a != 0),
                        Lanes::One(a) => a != 0,
                    };
                    if failed {
                        return false;
                    }
                    continue;
                }
                _ => {}
            }
            let at = step.register as usize;
            let mut register = std::mem::replace(&mut registers[at], Register::Away);
            let held = match &mut register {
                Register::F32(out) => {
                    block.step_f32(step.op, registers, &mut out[..n]);
                    true
                }
                Register::F64(out) => {
                    block.step_f64(step.op, registers, &mut out[..n]);
                    true
                }
                Register::I64(out) => block.step_i64(step.op, registers, &mut out[..n]),
                Register::Bool(out) => {
                    block.step_bool(step.op, registers, &mut out[..n]);
                    true
                }
                Register::Away => wrong_kind(),
            };
            registers[at] = register;
            if !held {
                return false;
            }
        }
        true
    }
}

/// What takes the numbers of the root.
trait Store: Pod {
    fn store(block: &Block<'_>, registers: &[Register], out: &mut [Self]);
}

macro_rules! stores {
    ($($T:ty: $lanes:ident, $convert:expr;)*) => { $(
        impl Store for $T {
            fn store(block: &Block<'_>, registers: &[Register], out: &mut [$T]) {
                convert(out, block.$lanes(registers, block.program.root), $convert);
            }
        }
    )* };
}
stores! {
    f32: f32s, |x| x;
    f64: f64s, |x| x;
    f16: f32s, f16::from_f32;
    bf16: f32s, bf16::from_f32;
    i8: i64s, |x| x as i8;
    u8: i64s, |x| x as u8;
    i16: i64s, |x| x as i16;
    i32: i64s, |x| x as i32;
    i64: i64s, |x| x;
    Bit: bools, Bit;
}

impl Program {
    /// Computes the expression over operands that broadcast against each other; the result is of `dtype`, whose kind is
    /// the root's. `None`: a check failed somewhere.
    pub fn run(&self, inputs: &[&Tensor], params: &[Scalar], dtype: DType) -> Result<Option<Tensor>> {
        let wrong = |what: &str| Err(TensorError::Argument(format!("a fused expression: {what}")));
        for step in self.steps.iter().filter(|step| step.used) {
            match step.op {
                Op::Input(k) if inputs.get(usize::from(k)).is_none_or(|t| Ty::of(t.dtype()) != step.ty) => {
                    return wrong("an operand is missing or of another kind");
                }
                Op::Param(k) if params.len() <= usize::from(k) => return wrong("a number is missing"),
                _ => {}
            }
        }
        if Ty::of(dtype) != self.steps[self.root.index()].ty {
            return wrong("the result is of another kind");
        }
        let mut shape = Shape::new();
        for input in inputs {
            shape = rules::broadcast(&shape, input.shape())?;
        }
        let offered = accelerator::offer(inputs.iter().copied(), || Offer::Fused {
            program: self,
            inputs,
            params,
            shape: &shape,
            dtype,
        })?;
        if offered.is_some() {
            return Ok(offered);
        }
        with_elem!(dtype, E => self.compute::<E>(inputs, params, &shape, dtype))
    }

    fn compute<T: Store>(
        &self,
        inputs: &[&Tensor],
        params: &[Scalar],
        shape: &[usize],
        dtype: DType,
    ) -> Result<Option<Tensor>> {
        let mut buffer = Buffer::for_overwrite::<T>(rules::numel(shape)?)?;
        let sources: Vec<Source<'_>> = inputs.iter().map(|input| Source::new(input, shape)).collect();
        let failed = AtomicBool::new(false);
        fill_chunks(buffer.as_mut_slice::<T>(), CHUNK, |start, out| {
            if failed.load(Relaxed) {
                return;
            }
            let mut registers: Vec<Register> = self.registers.iter().map(|&ty| Register::new(ty)).collect();
            for (i, out) in out.chunks_mut(BLOCK).enumerate() {
                let block =
                    || Block { program: self, sources: &sources, params, start: start + i * BLOCK, n: out.len() };
                if !dispatch(Steps { block: block(), registers: &mut registers }) {
                    return failed.store(true, Relaxed);
                }
                T::store(&block(), &registers, out);
            }
        });
        Ok((!failed.into_inner()).then(|| Tensor::from_buffer(buffer, dtype, shape)))
    }
}
