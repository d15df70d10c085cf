//! Calls and returns.

use super::*;
use crate::load::LINK;
use cranelift_codegen::ir::types::I64X2;
use stark_bytecode::{MethodId, Out};

const _: () = assert!(LINK == 3, "the link's slots are written one by one");

impl Translator<'_> {
    pub(super) fn calling(&mut self, pc: usize, instr: Instr) {
        use Instr::*;
        match instr {
            Arg { out, src } | ArgLend { out, src } => {
                let value = self.var(src);
                self.pass(pc, out, value);
            }
            ArgCopy { out, src } => {
                let bits = self.var(src);
                self.retain(bits, self.func.registers[src.index()]);
                self.pass(pc, out, bits);
            }
            ArgMove { out, src } => {
                let bits = self.take(src);
                self.pass(pc, out, bits);
            }
            TakeBack { dst, out } => {
                let out = self.out(out.index());
                if !self.is_ref(dst) {
                    let ty = self.type_of(dst);
                    let value = self.slot_as(ty, out);
                    return self.set(dst, value);
                }
                let bits = self.slot(out);
                let null = self.int_const(0);
                self.set_slot(out, null);
                self.set_ref(pc, dst, bits);
            }
            Call { dst, func } => self.call_func(pc, dst, self.space.funcs[func.index()]),
            CallClosure { dst, closure } => self.call_closure(pc, dst, closure),
            CallDyn { dst, method } => self.call_dyn(pc, dst, method),
            ReturnScalar { src } => self.return_value(pc, src, None),
            ReturnRef { src } => self.return_value(pc, src, Some(src)),
            _ => self.object(pc, instr),
        }
    }

    /// Into an outgoing slot; what an object is made of in a moment is only remembered.
    fn pass(&mut self, pc: usize, out: Out, value: Value) {
        let code = &self.func.def.code;
        let n = code[pc..]
            .iter()
            .take_while(|i| matches!(i, Instr::Arg { .. } | Instr::ArgCopy { .. } | Instr::ArgMove { .. }));
        let end = pc + n.count();
        let is_made = match code.get(end) {
            Some(Instr::Make { .. }) => true,
            Some(Instr::MakeVariant { dst, .. }) => self.is_ref(*dst),
            _ => false,
        };
        if is_made && !self.plan.is_target[pc + 1..=end].contains(&true) {
            self.outgoing.push((out.index(), value));
        } else {
            self.set_slot(self.out(out.index()), value);
        }
    }

    /// Into the callee's machine code. Left to the interpreter when there is none, when the budget is spent, and when one of
    /// the stacks is full.
    fn call_func(&mut self, pc: usize, dst: Reg, callee: &'static Func) {
        self.may_call(pc);
        let known = self.address(callee.native.address.as_ptr());
        let address = self.builder.ins().load(I64, MemFlagsData::trusted(), known, 0);
        let is_none = self.is_eq(address, 0);
        self.exit_if(is_none, pc);
        let (out, frame) = (self.out(0), self.callee_frame());
        let end = self.builder.ins().iadd_imm_s(frame, callee.frame_size as i64 * 8);
        let stack_end = self.builder.ins().load(I64, MemFlagsData::trusted(), self.m, layout::STACK_END);
        let is_full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, stack_end);
        self.exit_if(is_full, pc);
        let callee_address = self.address(std::ptr::from_ref(callee));
        self.set_slot(out - LINK, callee_address);
        self.set_nulls(out + callee.zero.start, callee.zero.len());
        self.enter(pc, dst, address, frame);
    }

    /// Two at a time.
    fn set_nulls(&mut self, first: usize, n: usize) {
        if n >= 2 {
            let zero = self.int_const(0);
            let zeros = self.builder.ins().splat(I64X2, zero);
            for i in (0..n - 1).step_by(2) {
                self.set_slot(first + i, zeros);
            }
        }
        if n % 2 == 1 {
            let zero = self.int_const(0);
            self.set_slot(first + n - 1, zero);
        }
    }

    /// As `call_func`, of the closure in a register.
    fn call_closure(&mut self, pc: usize, dst: Reg, closure: Reg) {
        self.may_call(pc);
        let closure = self.slot(closure.index());
        let frame = self.callee_frame();
        let address = self.call(runtime::closure as *const u8, &[self.m, frame, closure]);
        self.enter_if_some(pc, dst, address, frame);
    }

    /// As `call_func`, of what implements a method for the dynamic value in the first outgoing slot.
    fn call_dyn(&mut self, pc: usize, dst: Reg, method: MethodId) {
        self.may_call(pc);
        let method = self.address(std::ptr::from_ref(self.space.methods[method.index()]));
        let frame = self.callee_frame();
        let hidden = self.func.hidden.expect("functions with dynamic calls have it");
        let hidden = self.builder.ins().iadd_imm_s(self.regs, hidden as i64 * 8);
        let address = self.call(runtime::dynamic as *const u8, &[self.m, frame, method, hidden]);
        self.enter_if_some(pc, dst, address, frame);
    }

    fn enter_if_some(&mut self, pc: usize, dst: Reg, address: Value, frame: Value) {
        let is_none = self.is_eq(address, 0);
        self.exit_if(is_none, pc);
        self.enter(pc, dst, address, frame);
    }

    /// The callee's registers: the outgoing area.
    fn callee_frame(&mut self) -> Value {
        let offset = self.out(0) as i64 * 8;
        self.builder.ins().iadd_imm_s(self.regs, offset)
    }

    /// Leaves when the budget is spent or the native stack is full.
    fn may_call(&mut self, pc: usize) {
        let budget = self.builder.use_var(self.budget);
        let is_spent = self.builder.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, budget, 0);
        self.exit_if(is_spent, pc);
        let here = self.builder.ins().get_stack_pointer(I64);
        let native_end = self.builder.ins().load(I64, MemFlagsData::trusted(), self.m, layout::NATIVE_END);
        let is_deep = self.builder.ins().icmp(IntCC::UnsignedLessThan, here, native_end);
        self.exit_if(is_deep, pc);
    }

    /// Calls the machine code at `address`, whose function is in its frame's link, with the arguments and nulls in place.
    fn enter(&mut self, pc: usize, dst: Reg, address: Value, frame: Value) {
        // The rest of the link, as the interpreter writes it: whoever looks at the calls under way finds it.
        let out = self.out(0);
        let distance = self.int_const(out as i64);
        self.set_slot(out - 2, distance);
        let back = self.address(self.func.address_of(pc).wrapping_add(2));
        self.set_slot(out - 1, back);
        let budget = self.builder.use_var(self.budget);
        let rest = self.builder.ins().iadd_imm_s(budget, -1);
        let entry = self.int_const(0);
        let call = self.builder.ins().call_indirect(self.run_sig, address, &[self.m, frame, rest, entry]);
        let [rest, value] = *self.builder.inst_results(call) else { unreachable!("two results") };
        let has_left = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, rest, runtime::LEFT_BELOW);
        let unwind = self.unwind(pc);
        self.branch_off(has_left, unwind);
        self.builder.def_var(self.budget, rest);
        if self.is_ref(dst) {
            self.set_ref(pc, dst, value);
        } else {
            self.set(dst, value);
        }
    }

    /// The registers that a return has to drop.
    pub(super) fn others_held(&self, pc: usize, keep: Option<Reg>) -> impl Iterator<Item = u16> + use<'_> {
        let held = &self.plan.held;
        self.func.refs.iter().copied().filter(move |&reg| keep != Some(Reg(reg)) && held.may(pc, Reg(reg)))
    }

    /// Drops what the frame holds but `keep`, and returns.
    fn return_value(&mut self, pc: usize, src: Reg, keep: Option<Reg>) {
        /// More than so many are dropped in a loop.
        const MAX_INLINE: usize = 4;
        let others: Vec<u16> = self.others_held(pc, keep).collect();
        if others.len() > MAX_INLINE {
            let func = self.address(std::ptr::from_ref(self.func));
            let keep = self.int_const(keep.map_or(i64::MAX, |reg| i64::from(reg.0)));
            let args = [self.m, self.regs, func, keep];
            let left = self.call(runtime::drop_frame as *const u8, &args);
            let unwind = self.unwind(pc);
            self.branch_off(left, unwind);
        } else {
            for reg in others {
                let old = self.take(Reg(reg));
                self.release(pc, old, self.func.registers[usize::from(reg)]);
            }
        }
        for &reg in &self.func.def.inout {
            self.flush(usize::from(reg));
        }
        let value = match keep {
            // Nobody looks at the frame any more.
            Some(reg) => self.in_hand.take().unwrap_or_else(|| self.slot(reg.index())),
            None => self.get(src),
        };
        let budget = self.builder.use_var(self.budget);
        self.builder.ins().return_(&[budget, value]);
    }
}
