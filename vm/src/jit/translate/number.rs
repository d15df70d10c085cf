//! Scalars. What the interpreter answers with a fault is left for it.

use super::*;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::immediates::Ieee64;
use stark_bytecode::Kind;

impl Translator<'_> {
    pub(super) fn number(&mut self, pc: usize, instr: Instr) {
        use Instr::*;
        match instr {
            Copy { dst, src } => {
                let value = self.var(src);
                self.set(dst, value);
            }
            LoadImm { dst, imm } => self.constant(dst, i64::from(imm) as u64),
            LoadScalar { dst, id } => self.constant(dst, self.space.scalars[id.index()]),
            // The square root; other natives are stepped.
            CallNative { dst, .. } => {
                let x = self.slot_as(F64, self.out(0));
                let root = self.builder.ins().sqrt(x);
                self.set(dst, root);
            }

            AddInt { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| b.ins().sadd_overflow(x, y)),
            SubInt { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| b.ins().ssub_overflow(x, y)),
            MulInt { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| b.ins().smul_overflow(x, y)),
            AddIntImm { dst, lhs, imm } => {
                let lhs = self.get(lhs);
                let sum = self.builder.ins().iadd_imm_s(lhs, i64::from(imm));
                // Adding what is not negative overflows when the sum is less.
                let overflown = if imm < 0 { IntCC::SignedGreaterThan } else { IntCC::SignedLessThan };
                let is_overflown = self.builder.ins().icmp(overflown, sum, lhs);
                self.exit_if(is_overflown, pc);
                self.set(dst, sum);
            }
            DivInt { dst, lhs, rhs } => self.division(pc, dst, lhs, rhs, |b, x, y| b.ins().sdiv(x, y)),
            RemInt { dst, lhs, rhs } => self.division(pc, dst, lhs, rhs, |b, x, y| b.ins().srem(x, y)),
            NegInt { dst, src } => {
                let x = self.get(src);
                let is_least = self.is_eq(x, i64::MIN);
                self.exit_if(is_least, pc);
                let negated = self.builder.ins().ineg(x);
                self.set(dst, negated);
            }
            AndInt { dst, lhs, rhs } => self.binary(dst, lhs, rhs, |b, x, y| b.ins().band(x, y)),
            OrInt { dst, lhs, rhs } => self.binary(dst, lhs, rhs, |b, x, y| b.ins().bor(x, y)),
            XorInt { dst, lhs, rhs } => self.binary(dst, lhs, rhs, |b, x, y| b.ins().bxor(x, y)),
            NotInt { dst, src } => {
                let x = self.get(src);
                let inverted = self.builder.ins().bnot(x);
                self.set(dst, inverted);
            }
            ShlInt { dst, lhs, rhs } => {
                let (x, by) = self.shift(pc, lhs, rhs);
                let shifted = self.builder.ins().ishl(x, by);
                let back = self.builder.ins().sshr(shifted, by);
                let has_lost = self.builder.ins().icmp(IntCC::NotEqual, back, x);
                self.exit_if(has_lost, pc);
                self.set(dst, shifted);
            }
            ShrInt { dst, lhs, rhs } => {
                let (x, by) = self.shift(pc, lhs, rhs);
                let shifted = self.builder.ins().sshr(x, by);
                self.set(dst, shifted);
            }
            ShrU64 { dst, lhs, rhs } => {
                let (x, by) = self.shift(pc, lhs, rhs);
                let shifted = self.builder.ins().ushr(x, by);
                self.set(dst, shifted);
            }
            WrapInt { dst, src, kind } => {
                let x = self.get(src);
                let wrapped = self.wrapped(x, kind);
                self.set(dst, wrapped);
            }
            FitInt { dst, src, kind } => {
                let x = self.get(src);
                let is_misfit = if kind == Kind::UInt64 {
                    self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, x, 0)
                } else {
                    let wrapped = self.wrapped(x, kind);
                    self.builder.ins().icmp(IntCC::NotEqual, wrapped, x)
                };
                self.exit_if(is_misfit, pc);
                self.set(dst, x);
            }

            AddU64 { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| {
                let sum = b.ins().iadd(x, y);
                (sum, b.ins().icmp(IntCC::UnsignedLessThan, sum, x))
            }),
            SubU64 { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| {
                let is_below = b.ins().icmp(IntCC::UnsignedLessThan, x, y);
                (b.ins().isub(x, y), is_below)
            }),
            MulU64 { dst, lhs, rhs } => self.checked(pc, dst, lhs, rhs, |b, x, y| {
                let high = b.ins().umulhi(x, y);
                (b.ins().imul(x, y), b.ins().icmp_imm_s(IntCC::NotEqual, high, 0))
            }),
            DivU64 { dst, lhs, rhs } => self.division(pc, dst, lhs, rhs, |b, x, y| b.ins().udiv(x, y)),
            RemU64 { dst, lhs, rhs } => self.division(pc, dst, lhs, rhs, |b, x, y| b.ins().urem(x, y)),

            AddFloat { dst, lhs, rhs } => self.binary_float(dst, lhs, rhs, |b, x, y| b.ins().fadd(x, y)),
            SubFloat { dst, lhs, rhs } => self.binary_float(dst, lhs, rhs, |b, x, y| b.ins().fsub(x, y)),
            MulFloat { dst, lhs, rhs } => self.binary_float(dst, lhs, rhs, |b, x, y| b.ins().fmul(x, y)),
            DivFloat { dst, lhs, rhs } => self.binary_float(dst, lhs, rhs, |b, x, y| b.ins().fdiv(x, y)),
            NegFloat { dst, src } => {
                let x = self.get_float(src);
                let negated = self.builder.ins().fneg(x);
                self.set(dst, negated);
            }
            RoundFloat { dst, src, kind } => {
                let mut x = self.get_float(src);
                if kind == Kind::Float32 {
                    let short = self.builder.ins().fdemote(cranelift_codegen::ir::types::F32, x);
                    x = self.builder.ins().fpromote(F64, short);
                }
                self.set(dst, x);
            }
            IntToFloat { dst, src } => {
                let x = self.get(src);
                let float = self.builder.ins().fcvt_from_sint(F64, x);
                self.set(dst, float);
            }
            U64ToFloat { dst, src } => {
                let x = self.get(src);
                let float = self.builder.ins().fcvt_from_uint(F64, x);
                self.set(dst, float);
            }
            // To `Int`: those to shorter ones are stepped.
            FloatToInt { dst, src, .. } => {
                let x = self.get_float(src);
                // 2^63 and its negative are exact; NaN is in no range.
                let (low, high) = (self.float_const(-(2f64.powi(63))), self.float_const(2f64.powi(63)));
                let is_high_enough = self.builder.ins().fcmp(FloatCC::GreaterThanOrEqual, x, low);
                self.exit_unless(is_high_enough, pc);
                let is_low_enough = self.builder.ins().fcmp(FloatCC::LessThan, x, high);
                self.exit_unless(is_low_enough, pc);
                let int = self.builder.ins().fcvt_to_sint_sat(I64, x);
                self.set(dst, int);
            }

            EqInt { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::Equal),
            NeInt { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::NotEqual),
            LtInt { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::SignedLessThan),
            LeInt { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::SignedLessThanOrEqual),
            LtU64 { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::UnsignedLessThan),
            LeU64 { dst, lhs, rhs } => self.compare(dst, lhs, rhs, IntCC::UnsignedLessThanOrEqual),
            EqFloat { dst, lhs, rhs } => self.compare_float(dst, lhs, rhs, FloatCC::Equal),
            NeFloat { dst, lhs, rhs } => self.compare_float(dst, lhs, rhs, FloatCC::NotEqual),
            LtFloat { dst, lhs, rhs } => self.compare_float(dst, lhs, rhs, FloatCC::LessThan),
            LeFloat { dst, lhs, rhs } => self.compare_float(dst, lhs, rhs, FloatCC::LessThanOrEqual),
            NotBool { dst, src } => {
                let x = self.get(src);
                let inverted = self.builder.ins().bxor_imm_s(x, 1);
                self.set(dst, inverted);
            }
            _ => unreachable!("the plan steps {instr:?} or leaves there"),
        }
    }

    fn constant(&mut self, dst: Reg, bits: u64) {
        let value = match self.type_of(dst) {
            F64 => self.builder.ins().f64const(Ieee64::with_bits(bits)),
            _ => self.int_const(bits as i64),
        };
        self.set(dst, value);
    }

    fn float_const(&mut self, x: f64) -> Value {
        self.builder.ins().f64const(Ieee64::with_bits(x.to_bits()))
    }

    fn binary(
        &mut self,
        dst: Reg,
        lhs: Reg,
        rhs: Reg,
        op: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) {
        let (lhs, rhs) = (self.get(lhs), self.get(rhs));
        let result = op(&mut self.builder, lhs, rhs);
        self.set(dst, result);
    }

    fn binary_float(
        &mut self,
        dst: Reg,
        lhs: Reg,
        rhs: Reg,
        op: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) {
        let (lhs, rhs) = (self.get_float(lhs), self.get_float(rhs));
        let result = op(&mut self.builder, lhs, rhs);
        self.set(dst, result);
    }

    /// `op` gives a result and whether it is none.
    fn checked(
        &mut self,
        pc: usize,
        dst: Reg,
        lhs: Reg,
        rhs: Reg,
        op: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> (Value, Value),
    ) {
        let (lhs, rhs) = (self.get(lhs), self.get(rhs));
        let (result, is_overflown) = op(&mut self.builder, lhs, rhs);
        self.exit_if(is_overflown, pc);
        self.set(dst, result);
    }

    /// Dividing by 0 faults, by -1 may: both are left to the interpreter.
    fn division(
        &mut self,
        pc: usize,
        dst: Reg,
        lhs: Reg,
        rhs: Reg,
        op: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    ) {
        let (lhs, rhs) = (self.get(lhs), self.get(rhs));
        let above = self.builder.ins().iadd_imm_s(rhs, 1);
        let is_special = self.builder.ins().icmp_imm_s(IntCC::UnsignedLessThanOrEqual, above, 1);
        self.exit_if(is_special, pc);
        let result = op(&mut self.builder, lhs, rhs);
        self.set(dst, result);
    }

    /// What is shifted and by how much, which is below 64.
    fn shift(&mut self, pc: usize, lhs: Reg, rhs: Reg) -> (Value, Value) {
        let (x, by) = (self.get(lhs), self.get(rhs));
        let is_far = self.builder.ins().icmp_imm_s(IntCC::UnsignedGreaterThan, by, 63);
        self.exit_if(is_far, pc);
        (x, by)
    }

    fn wrapped(&mut self, x: Value, kind: Kind) -> Value {
        let (ty, is_signed) = match kind {
            Kind::Int8 => (I8, true),
            Kind::Int16 => (I16, true),
            Kind::Int32 => (I32, true),
            Kind::UInt8 => (I8, false),
            Kind::UInt16 => (I16, false),
            Kind::UInt32 => (I32, false),
            _ => return x,
        };
        let short = self.builder.ins().ireduce(ty, x);
        if is_signed { self.builder.ins().sextend(I64, short) } else { self.builder.ins().uextend(I64, short) }
    }

    fn compare(&mut self, dst: Reg, lhs: Reg, rhs: Reg, condition: IntCC) {
        self.binary(dst, lhs, rhs, |b, x, y| b.ins().icmp(condition, x, y));
    }

    fn compare_float(&mut self, dst: Reg, lhs: Reg, rhs: Reg, condition: FloatCC) {
        self.binary_float(dst, lhs, rhs, |b, x, y| b.ins().fcmp(condition, x, y));
    }
}
