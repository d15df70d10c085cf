//! From the bytecode of a scalar function to an expression.
//!
//! The code is walked once, forwards, with a node of the expression for what each register holds. At a jump the state is
//! kept under the condition of going there; where ways meet, registers become choices between what the ways brought.
//! Calls of other functions are walked in place. What cannot be said (output, a throw, anything with references) ends its
//! way: when it is certain to be reached there is no expression, and else the run fails for the elements that come to it.
//! A function that loops has no expression.
//!
//! Floats of every kind are `Float64` in registers and rounded by an instruction of their own. A rounded operation on
//! `Float32` is that operation in `F32`, since 53 >= 2 * 24 + 2; so is one on halves, since 24 >= 2 * 11 + 2.

use super::super::load::{CodeSpace, Func};
use crate::natives::dtype_of;
use crate::trace::TraceFrame;
use crate::types::TypeInfo;
use stark_bytecode::{Instr, Kind, Out, Reg, TypeDesc};
use stark_kernels::DType;
use stark_kernels::fused::{Binary, Builder, Check, Node, Op, Program, Ty, Unary};
use std::collections::BTreeMap;

/// Calls in calls that are walked in place.
const MAX_DEPTH: usize = 16;
/// Instructions that are walked in all, calls included.
const MAX_INSTRS: usize = 20_000;

/// Where a number that goes along with a run comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    Capture(usize),
    Global(usize),
}

/// A function as an expression over the elements of a tensor.
pub(crate) struct Lowered {
    pub program: Program,
    pub input: DType,
    pub output: DType,
    /// The numbers, in order.
    pub params: Vec<Source>,
}

/// `name (file:line)`.
pub(crate) fn place_of(func: &'static Func, pc: usize) -> String {
    match (TraceFrame { func, pc }).at() {
        Some((file, line, _)) => format!("{} ({file}:{line})", func.def.name),
        None => func.def.name.clone(),
    }
}

pub(super) fn lower(func: &'static Func, code: &'static CodeSpace) -> Result<Lowered, String> {
    let dtype = |info: &'static TypeInfo| {
        dtype_of(info).filter(|_| !info.is_ref).ok_or_else(|| format!("{info:?} is no element of a tensor"))
    };
    let first = func.params().first().ok_or("it takes no element")?;
    let (input, output) = (dtype(first)?, dtype(func.ret)?);
    let mut walk = Walk { code, build: Builder::new(), params: Vec::new(), globals: BTreeMap::new(), n_instrs: 0 };
    let mut args = vec![Some(walk.build.input(0, Ty::of(input)))];
    for (i, info) in func.captures.iter().enumerate() {
        args.push(held(info).map(|ty| walk.param(Source::Capture(i), ty)));
    }
    let always = walk.build.bool(true);
    let value = walk.function(func, args, always, 0)?.ok_or("it never returns")?;
    let value = walk.as_ty(value, Ty::of(output));
    let program = walk.build.finish(value).ok_or("its expression is too large for one kernel")?;
    Ok(Lowered { program, input, output, params: walk.params })
}

/// How a register of this type is held; none for references.
fn held(info: &TypeInfo) -> Option<Ty> {
    match &info.desc {
        _ if info.is_ref => None,
        TypeDesc::Bool => Some(Ty::Bool),
        TypeDesc::Number(Kind::Float64) => Some(Ty::F64),
        TypeDesc::Number(kind) if kind.is_float() => Some(Ty::F32),
        TypeDesc::Number(Kind::UInt64) => None,
        _ => Some(Ty::I64),
    }
}

fn integer(kind: Kind) -> Option<DType> {
    Some(match kind {
        Kind::Int8 => DType::I8,
        Kind::UInt8 => DType::U8,
        Kind::Int16 => DType::I16,
        Kind::Int32 => DType::I32,
        Kind::Int64 => DType::I64,
        _ => return None,
    })
}

/// The state on one way through a function.
struct Way {
    /// True for the elements that go here.
    guard: Node,
    registers: Vec<Option<Node>>,
}

struct Walk {
    code: &'static CodeSpace,
    build: Builder,
    params: Vec<Source>,
    globals: BTreeMap<usize, Node>,
    n_instrs: usize,
}

/// What an instruction does to its way.
enum Step {
    Next,
    Return(Node),
    Jump(usize),
    /// To the position where the node is true.
    Branch(Node, usize),
}

type Stuck = String;

impl Walk {
    fn param(&mut self, source: Source, ty: Ty) -> Node {
        self.params.push(source);
        self.build.param(ty)
    }

    fn is_certain(&self, guard: Node) -> bool {
        self.build.op(guard) == Op::Const(1)
    }

    /// What a call with these arguments gives for the elements where `guard` is true; `None` when it never returns.
    fn function(
        &mut self,
        func: &'static Func,
        args: Vec<Option<Node>>,
        guard: Node,
        depth: usize,
    ) -> Result<Option<Node>, Stuck> {
        if depth > MAX_DEPTH {
            return Err(format!("calls nest deeper than {MAX_DEPTH} at {}", place_of(func, 0)));
        }
        let code = &func.def.code;
        let mut registers = args;
        registers.resize(func.registers.len(), None);
        let mut ways = BTreeMap::from([(0, Way { guard, registers })]);
        let mut returns: Vec<(Node, Node)> = Vec::new();
        let mut outgoing: Vec<Option<Node>> = vec![None; func.def.n_out.into()];
        while let Some((pc, mut way)) = ways.pop_first() {
            self.n_instrs += 1;
            if self.n_instrs > MAX_INSTRS {
                return Err(format!("it is longer than {MAX_INSTRS} instructions"));
            }
            let step = match code.get(pc) {
                Some(instr) => self.instr(func, pc, *instr, &mut way, &mut outgoing, depth),
                None => Err("it has no end".to_string()),
            };
            match step {
                Ok(Step::Next) => self.arrive(&mut ways, pc + 1, way),
                Ok(Step::Return(value)) => returns.push((way.guard, value)),
                Ok(Step::Jump(to)) if to > pc => self.arrive(&mut ways, to, way),
                Ok(Step::Branch(condition, to)) if to > pc => {
                    let there = self.build.and(way.guard, condition);
                    let not = self.build.not(condition);
                    let here = self.build.and(way.guard, not);
                    let registers = way.registers.clone();
                    self.arrive(&mut ways, to, Way { guard: there, registers });
                    self.arrive(&mut ways, pc + 1, Way { guard: here, registers: way.registers });
                }
                Ok(Step::Jump(_) | Step::Branch(..)) => return Err(format!("it loops at {}", place_of(func, pc))),
                Err(reason) => self.stuck(way.guard, reason)?,
            }
        }
        let Some((_, mut result)) = returns.pop() else { return Ok(None) };
        for (guard, value) in returns.into_iter().rev() {
            result = self.choose(guard, value, result);
        }
        Ok(Some(result))
    }

    /// The way ends here: without it there is no expression, or the elements that go it fail the run.
    fn stuck(&mut self, guard: Node, reason: String) -> Result<(), Stuck> {
        if self.is_certain(guard) {
            return Err(reason);
        }
        self.build.fail(guard);
        Ok(())
    }

    fn arrive(&mut self, ways: &mut BTreeMap<usize, Way>, pc: usize, way: Way) {
        if self.build.op(way.guard) == Op::Const(0) {
            return;
        }
        let Some(other) = ways.remove(&pc) else {
            ways.insert(pc, way);
            return;
        };
        let mut registers = Vec::new();
        for (a, b) in other.registers.into_iter().zip(way.registers) {
            // What only one way has set, nobody reads behind it.
            registers.push(match (a, b) {
                (Some(a), Some(b)) => Some(self.choose(other.guard, a, b)),
                (one, other) => one.or(other),
            });
        }
        let guard = self.build.or(other.guard, way.guard);
        ways.insert(pc, Way { guard, registers });
    }

    /// `a` where the guard is true, `b` elsewhere; a register may hold a rounded float or a `Float64` not rounded yet.
    fn choose(&mut self, guard: Node, a: Node, b: Node) -> Node {
        let (a, b) = self.meet(a, b);
        self.build.select(guard, a, b)
    }

    /// Both in one kind.
    fn meet(&mut self, a: Node, b: Node) -> (Node, Node) {
        let (s, t) = (self.build.ty(a), self.build.ty(b));
        match (s, t) {
            _ if s == t => (a, b),
            (Ty::F32 | Ty::F64, Ty::F32 | Ty::F64) => (self.build.cast(a, Ty::F64), self.build.cast(b, Ty::F64)),
            // A Bool beside bits.
            _ => (self.as_ty(a, Ty::I64), self.as_ty(b, Ty::I64)),
        }
    }

    fn as_ty(&mut self, a: Node, ty: Ty) -> Node {
        match (self.build.ty(a), ty) {
            (Ty::F64, Ty::F32) => self.narrow(a),
            (Ty::I64, Ty::Bool) => {
                let zero = self.build.int(0);
                let is_zero = self.build.eq(a, zero);
                self.build.not(is_zero)
            }
            _ => self.build.cast(a, ty),
        }
    }

    /// A `Float64` rounded to `Float32`.
    fn narrow(&mut self, a: Node) -> Node {
        match self.in_f32(a) {
            Some(node) => node,
            None => self.build.cast(a, Ty::F32),
        }
    }

    /// What was rounded to `F32` before it became `Float64`.
    fn was_f32(&mut self, a: Node) -> Option<Node> {
        match self.build.op(a) {
            _ if self.build.ty(a) == Ty::F32 => Some(a),
            Op::Cast(inner) if self.build.ty(inner) == Ty::F32 => Some(inner),
            Op::Const(bits) => {
                let x = f64::from_bits(bits);
                (f64::from(x as f32).to_bits() == bits).then(|| self.build.float(x, Ty::F32))
            }
            _ => None,
        }
    }

    /// The operation in `F32` that gives what `a` gives when it is rounded.
    fn in_f32(&mut self, a: Node) -> Option<Node> {
        if let Some(node) = self.was_f32(a) {
            return Some(node);
        }
        match self.build.op(a) {
            Op::Unary(f @ (Unary::Neg | Unary::Abs | Unary::Sqrt | Unary::Floor | Unary::Ceil | Unary::Trunc), x) => {
                let x = self.was_f32(x)?;
                Some(self.build.unary(f, x))
            }
            // `F32` computes a power through `Float64` too.
            Op::Binary(f, x, y) => {
                let (x, y) = (self.was_f32(x)?, self.was_f32(y)?);
                Some(self.build.binary(f, x, y))
            }
            _ => None,
        }
    }

    fn instr(
        &mut self,
        func: &'static Func,
        pc: usize,
        instr: Instr,
        way: &mut Way,
        outgoing: &mut [Option<Node>],
        depth: usize,
    ) -> Result<Step, Stuck> {
        let here = || place_of(func, pc);
        let guard = way.guard;
        let at = (!self.is_certain(guard)).then_some(guard);
        let name = |instr: &Instr| instr.opcode().mnemonic();
        macro_rules! get {
            ($reg:expr) => {
                match way.registers[$reg.index()] {
                    Some(node) => node,
                    None => return Err(format!("it reads what is no number at {}", here())),
                }
            };
        }
        let (dst, value): (Reg, Node) = match instr {
            Instr::Copy { dst, src } => (dst, get!(src)),
            Instr::LoadImm { dst, imm } => match self.constant(func.registers[dst.index()], i64::from(imm) as u64) {
                Some(node) => (dst, node),
                None => {
                    way.registers[dst.index()] = None;
                    return Ok(Step::Next);
                }
            },
            Instr::LoadScalar { dst, id } => {
                let bits = self.code.scalars[id.index()];
                let node = self.constant(func.registers[dst.index()], bits);
                (dst, node.ok_or_else(|| format!("it computes in UInt64 at {}", here()))?)
            }

            Instr::AddInt { dst, lhs, rhs } => (dst, self.build.check(Check::Add(get!(lhs), get!(rhs)), at)),
            Instr::SubInt { dst, lhs, rhs } => (dst, self.build.check(Check::Sub(get!(lhs), get!(rhs)), at)),
            Instr::MulInt { dst, lhs, rhs } => (dst, self.build.check(Check::Mul(get!(lhs), get!(rhs)), at)),
            Instr::DivInt { dst, lhs, rhs } => (dst, self.build.check(Check::Div(get!(lhs), get!(rhs)), at)),
            Instr::RemInt { dst, lhs, rhs } => (dst, self.build.check(Check::Rem(get!(lhs), get!(rhs)), at)),
            Instr::NegInt { dst, src } => (dst, self.build.check(Check::Neg(get!(src)), at)),
            Instr::AddIntImm { dst, lhs, imm } => {
                let imm = self.build.int(imm.into());
                (dst, self.build.check(Check::Add(get!(lhs), imm), at))
            }
            Instr::AndInt { dst, lhs, rhs } => (dst, self.bits(Op::BitAnd, get!(lhs), get!(rhs))),
            Instr::OrInt { dst, lhs, rhs } => (dst, self.bits(Op::BitOr, get!(lhs), get!(rhs))),
            Instr::XorInt { dst, lhs, rhs } => (dst, self.bits(Op::BitXor, get!(lhs), get!(rhs))),
            Instr::NotInt { dst, src } => {
                let ones = self.build.int(-1);
                (dst, self.bits(Op::BitXor, get!(src), ones))
            }
            Instr::FitInt { dst, src, kind } => match integer(kind) {
                Some(DType::I64) => (dst, get!(src)),
                Some(dtype) => (dst, self.build.check(Check::Fit(get!(src), dtype), at)),
                None => return Err(format!("it computes in {} at {}", kind.name(), here())),
            },
            Instr::WrapInt { dst, src, kind } => match integer(kind) {
                Some(DType::I64) => (dst, get!(src)),
                Some(dtype) => (dst, self.build.wrap(get!(src), dtype)),
                None => return Err(format!("it computes in {} at {}", kind.name(), here())),
            },

            Instr::AddFloat { dst, lhs, rhs } => (dst, self.float(Binary::Add, get!(lhs), get!(rhs))),
            Instr::SubFloat { dst, lhs, rhs } => (dst, self.float(Binary::Sub, get!(lhs), get!(rhs))),
            Instr::MulFloat { dst, lhs, rhs } => (dst, self.float(Binary::Mul, get!(lhs), get!(rhs))),
            Instr::DivFloat { dst, lhs, rhs } => (dst, self.float(Binary::Div, get!(lhs), get!(rhs))),
            Instr::RemFloat { dst, lhs, rhs } => (dst, self.float(Binary::Rem, get!(lhs), get!(rhs))),
            Instr::PowFloat { dst, lhs, rhs } => (dst, self.float(Binary::Pow, get!(lhs), get!(rhs))),
            // Only the sign changes: there is nothing to round.
            Instr::NegFloat { dst, src } => (dst, self.build.unary(Unary::Neg, get!(src))),
            Instr::RoundFloat { dst, src, kind } => (dst, self.round(get!(src), kind)),
            Instr::IntToFloat { dst, src } => {
                let whole = self.as_ty(get!(src), Ty::I64);
                (dst, self.build.cast(whole, Ty::F64))
            }
            Instr::FloatToInt { dst, src, kind } => match integer(kind) {
                Some(dtype) => (dst, self.build.check(Check::ToInt(get!(src), dtype), at)),
                None => return Err(format!("it computes in {} at {}", kind.name(), here())),
            },

            Instr::EqInt { dst, lhs, rhs } | Instr::EqFloat { dst, lhs, rhs } => {
                let (a, b) = self.meet(get!(lhs), get!(rhs));
                (dst, self.build.eq(a, b))
            }
            Instr::NeInt { dst, lhs, rhs } | Instr::NeFloat { dst, lhs, rhs } => {
                let (a, b) = self.meet(get!(lhs), get!(rhs));
                let eq = self.build.eq(a, b);
                (dst, self.build.not(eq))
            }
            Instr::LtInt { dst, lhs, rhs } | Instr::LtFloat { dst, lhs, rhs } => {
                let (a, b) = self.meet_narrow(get!(lhs), get!(rhs));
                (dst, self.build.lt(a, b))
            }
            Instr::LeInt { dst, lhs, rhs } | Instr::LeFloat { dst, lhs, rhs } => {
                let (a, b) = self.meet_narrow(get!(lhs), get!(rhs));
                (dst, self.build.le(a, b))
            }
            Instr::NotBool { dst, src } => {
                let bool = self.as_ty(get!(src), Ty::Bool);
                (dst, self.build.not(bool))
            }

            Instr::Jump { to } => return Ok(Step::Jump(to.index())),
            Instr::JumpIf { cond, to } => {
                let cond = self.as_ty(get!(cond), Ty::Bool);
                return Ok(Step::Branch(cond, to.index()));
            }
            Instr::JumpIfNot { cond, to } => {
                let cond = self.as_ty(get!(cond), Ty::Bool);
                return Ok(Step::Branch(self.build.not(cond), to.index()));
            }
            Instr::ReturnScalar { src } => return Ok(Step::Return(get!(src))),

            Instr::Arg { out: Out(out), src } => {
                outgoing[usize::from(out)] = way.registers[src.index()];
                return Ok(Step::Next);
            }
            Instr::Call { dst, func: callee } => {
                let callee = self.code.funcs[callee.index()];
                if !callee.def.inout.is_empty() || !callee.def.handlers.is_empty() {
                    return Err(format!("it calls {} at {}", callee.def.name, here()));
                }
                let args = outgoing[..callee.params().len()].to_vec();
                match self.function(callee, args, guard, depth + 1)? {
                    Some(value) => (dst, value),
                    None => return Err(format!("{} never returns at {}", callee.def.name, here())),
                }
            }
            Instr::CallNative { dst, native } => {
                let native = self.code.natives[native.index()];
                let args: Option<Vec<Node>> = outgoing[..native.sig.params.len()].iter().copied().collect();
                let args = args.ok_or_else(|| format!("it calls {} at {}", native.row.name, here()))?;
                let value = self.native(native.row.name, native.sig.ret, &args, at);
                (dst, value.ok_or_else(|| format!("it calls {} at {}", native.row.name, here()))?)
            }
            Instr::LoadGlobal { dst, global } => {
                let ty = held(self.code.globals[global.index()].1);
                let ty = ty.ok_or_else(|| format!("it reads {} at {}", self.code.globals[global.index()].0, here()))?;
                let known = self.globals.get(&global.index()).copied();
                let node = known.unwrap_or_else(|| self.param(Source::Global(global.index()), ty));
                self.globals.insert(global.index(), node);
                (dst, node)
            }
            other => return Err(format!("{} at {}", name(&other), here())),
        };
        way.registers[dst.index()] = Some(value);
        Ok(Step::Next)
    }

    fn constant(&mut self, info: &TypeInfo, bits: u64) -> Option<Node> {
        Some(match held(info)? {
            Ty::F32 | Ty::F64 => {
                let x = f64::from_bits(bits);
                let wide = self.build.float(x, Ty::F64);
                if held(info) == Some(Ty::F32) { self.was_f32(wide).unwrap_or(wide) } else { wide }
            }
            Ty::I64 => self.build.int(bits as i64),
            Ty::Bool => self.build.bool(bits != 0),
        })
    }

    fn bits(&mut self, op: fn(Node, Node) -> Op, a: Node, b: Node) -> Node {
        let (a, b) = (self.as_ty(a, Ty::I64), self.as_ty(b, Ty::I64));
        self.build.bits(op, a, b)
    }

    /// In `Float64`, as the instruction is; `round` finds out when less is enough.
    fn float(&mut self, f: Binary, a: Node, b: Node) -> Node {
        let (a, b) = (self.build.cast(a, Ty::F64), self.build.cast(b, Ty::F64));
        self.build.binary(f, a, b)
    }

    /// Two numbers to compare, in `F32` where both were rounded to it.
    fn meet_narrow(&mut self, a: Node, b: Node) -> (Node, Node) {
        match (self.was_f32(a), self.was_f32(b)) {
            (Some(a), Some(b)) if self.build.ty(a) == self.build.ty(b) => (a, b),
            _ => self.meet(a, b),
        }
    }

    fn round(&mut self, a: Node, kind: Kind) -> Node {
        match kind {
            Kind::Float64 => self.build.cast(a, Ty::F64),
            Kind::Float32 => self.as_ty(a, Ty::F32),
            _ => {
                let dtype = if kind == Kind::Float16 { DType::F16 } else { DType::BF16 };
                let narrow = match self.build.op(a) {
                    // A power is computed in `Float64`, and rounding it twice may differ.
                    Op::Binary(Binary::Pow | Binary::Atan2 | Binary::Hypot, ..) => a,
                    _ => self.in_f32(a).unwrap_or(a),
                };
                self.build.round(narrow, dtype)
            }
        }
    }

    /// What a native of the library is, for its result type.
    fn native(&mut self, name: &str, ret: &TypeInfo, args: &[Node], at: Option<Node>) -> Option<Node> {
        let kind = ret.number();
        let is_float = |this: &Walk, node: Node| matches!(this.build.ty(node), Ty::F32 | Ty::F64);
        if let Some(f) = unary_native(name) {
            let &[x] = args else { return None };
            let value = self.build.unary(f, x);
            return Some(self.round(value, kind?));
        }
        let binary = match name {
            "float_pow" => Some(Binary::Pow),
            "float_atan2" => Some(Binary::Atan2),
            "float_hypot" => Some(Binary::Hypot),
            "number_min" if kind?.is_float() => Some(Binary::Min),
            "number_max" if kind?.is_float() => Some(Binary::Max),
            _ => None,
        };
        if let Some(f) = binary {
            let &[x, y] = args else { return None };
            let value = self.float(f, x, y);
            return Some(self.round(value, kind?));
        }
        Some(match (name, args) {
            ("number_abs", &[x]) if is_float(self, x) => self.build.unary(Unary::Abs, x),
            ("number_signum", &[x]) if is_float(self, x) => self.build.unary(Unary::Signum, x),
            ("number_abs", &[x]) => {
                let zero = self.build.int(0);
                let is_negative = self.build.lt(x, zero);
                let where_ = at.map_or(is_negative, |at| self.build.and(at, is_negative));
                let negative = self.build.check(Check::Neg(x), Some(where_));
                let value = self.build.select(is_negative, negative, x);
                match integer(kind?)? {
                    DType::I64 => value,
                    dtype => self.build.check(Check::Fit(value, dtype), at),
                }
            }
            ("number_min", &[x, y]) => {
                let less = self.build.lt(y, x);
                self.build.select(less, y, x)
            }
            ("number_max", &[x, y]) => {
                let more = self.build.lt(x, y);
                self.build.select(more, y, x)
            }
            ("number_clamp", &[x, low, high]) => {
                // The call says what is wrong about bounds that cross, and what it makes of NaN.
                let (l, h) = self.meet_narrow(low, high);
                let is_fine = self.build.le(l, h);
                let is_wrong = self.build.not(is_fine);
                let fails = at.map_or(is_wrong, |at| self.build.and(at, is_wrong));
                self.build.fail(fails);
                let (a, l) = self.meet_narrow(x, low);
                let below = self.build.lt(a, l);
                let (h, a) = self.meet_narrow(high, x);
                let above = self.build.lt(h, a);
                let rest = self.choose(above, high, x);
                self.choose(below, low, rest)
            }
            ("number_to_float", &[x]) => {
                let x = if self.build.ty(x) == Ty::Bool { self.as_ty(x, Ty::I64) } else { x };
                self.build.cast(x, Ty::F64)
            }
            ("number_to_int", &[x]) if is_float(self, x) => self.build.check(Check::ToInt(x, DType::I64), at),
            ("number_to_int", &[x]) => x,
            ("float_round", &[x, digits]) if self.build.op(digits) == Op::Const(0) => self.build.unary(Unary::Round, x),
            ("float_is_nan", &[x]) => self.build.is_nan(x),
            ("float_is_finite" | "float_is_infinite", &[x]) => {
                let size = self.build.unary(Unary::Abs, x);
                let infinity = self.build.float(f64::INFINITY, self.build.ty(x));
                if name == "float_is_finite" { self.build.lt(size, infinity) } else { self.build.eq(size, infinity) }
            }
            ("float_infinity", &[]) => self.build.float(f64::INFINITY, held(ret)?),
            ("float_nan", &[]) => self.build.float(f64::NAN, held(ret)?),
            ("number_zero", &[]) if kind?.is_float() => self.build.float(0.0, held(ret)?),
            ("number_one", &[]) if kind?.is_float() => self.build.float(1.0, held(ret)?),
            ("number_zero", &[]) => self.build.int(0),
            ("number_one", &[]) => self.build.int(1),
            _ => return None,
        })
    }
}

fn unary_native(name: &str) -> Option<Unary> {
    Some(match name {
        "float_sqrt" => Unary::Sqrt,
        "float_cbrt" => Unary::Cbrt,
        "float_exp" => Unary::Exp,
        "float_ln" => Unary::Ln,
        "float_log2" => Unary::Log2,
        "float_log10" => Unary::Log10,
        "float_sin" => Unary::Sin,
        "float_cos" => Unary::Cos,
        "float_tan" => Unary::Tan,
        "float_asin" => Unary::Asin,
        "float_acos" => Unary::Acos,
        "float_atan" => Unary::Atan,
        "float_sinh" => Unary::Sinh,
        "float_cosh" => Unary::Cosh,
        "float_tanh" => Unary::Tanh,
        "float_asinh" => Unary::Asinh,
        "float_acosh" => Unary::Acosh,
        "float_atanh" => Unary::Atanh,
        "float_exp2" => Unary::Exp2,
        "float_exp_m1" => Unary::ExpM1,
        "float_ln_1p" => Unary::Ln1p,
        "float_erf" => Unary::Erf,
        "float_floor" => Unary::Floor,
        "float_ceil" => Unary::Ceil,
        "float_trunc" => Unary::Trunc,
        "float_fract" => Unary::Fract,
        "float_sigmoid" => Unary::Sigmoid,
        _ => return None,
    })
}
