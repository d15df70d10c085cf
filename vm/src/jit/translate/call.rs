//! Calls and returns.

use super::*;
use crate::load::LINK;

impl Translator<'_> {
    pub(super) fn calling(&mut self, pc: usize, instr: Instr) {
        use Instr::*;
        match instr {
            Arg { out, src } => {
                let value = self.var(src);
                self.set_slot(self.out(out.index()), value);
            }
            ArgCopy { out, src } => {
                let bits = self.slot(src.index());
                self.retain(bits, self.func.registers[src.index()]);
                self.set_slot(self.out(out.index()), bits);
            }
            ArgMove { out, src } => {
                let bits = self.take(src);
                self.set_slot(self.out(out.index()), bits);
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
            ReturnScalar { src } => self.return_value(pc, src, None),
            ReturnRef { src } => self.return_value(pc, src, Some(src)),
            _ => unreachable!("no call: {instr:?}"),
        }
    }

    /// Into the callee's machine code, on the native stack. Left to the interpreter when there is none, when the budget is
    /// spent, and when one of the stacks is full.
    fn call_func(&mut self, pc: usize, dst: Reg, callee: &'static Func) {
        let budget = self.builder.use_var(self.budget);
        let is_spent = self.builder.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, budget, 0);
        self.exit_if(is_spent, pc);
        let known = self.address(callee.native.address.as_ptr());
        let address = self.builder.ins().load(I64, MemFlagsData::trusted(), known, 0);
        let is_none = self.is_eq(address, 0);
        self.exit_if(is_none, pc);
        let out = self.out(0);
        let frame = self.builder.ins().iadd_imm_s(self.regs, out as i64 * 8);
        let end = self.builder.ins().iadd_imm_s(frame, callee.frame_size as i64 * 8);
        let stack_end = self.builder.ins().load(I64, MemFlagsData::trusted(), self.m, layout::STACK_END);
        let is_full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, stack_end);
        self.exit_if(is_full, pc);
        let here = self.builder.ins().get_stack_pointer(I64);
        let native_end = self.builder.ins().load(I64, MemFlagsData::trusted(), self.m, layout::NATIVE_END);
        let is_deep = self.builder.ins().icmp(IntCC::UnsignedLessThan, here, native_end);
        self.exit_if(is_deep, pc);

        // The link, as the interpreter's call writes it: whoever looks at the calls under way finds it.
        let words = [
            self.address(std::ptr::from_ref(callee)),
            self.int_const(out as i64),
            self.address(self.func.address_of(pc).wrapping_add(2)),
        ];
        for (i, word) in words.into_iter().enumerate() {
            self.set_slot(out - LINK + i, word);
        }
        let null = self.int_const(0);
        for slot in callee.zero.clone() {
            self.set_slot(out + slot, null);
        }
        let rest = self.builder.ins().iadd_imm_s(budget, -1);
        let call = self.builder.ins().call_indirect(self.run_sig, address, &[self.m, frame, rest, null]);
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

    /// Drops what the frame holds but `keep`, and returns.
    fn return_value(&mut self, pc: usize, src: Reg, keep: Option<Reg>) {
        /// More than so many are dropped in a loop.
        const MAX_INLINE: usize = 4;
        let others = self.func.refs.iter().copied().filter(|&reg| keep != Some(Reg(reg)));
        if self.func.refs.len() > MAX_INLINE {
            let func = self.address(std::ptr::from_ref(self.func));
            let keep = self.int_const(keep.map_or(i64::MAX, |reg| i64::from(reg.0)));
            let args = [self.m, self.regs, func, keep];
            let left = self.call(self.drop_sig, runtime::drop_frame as *const u8, &args);
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
            Some(reg) => self.take(reg),
            None => self.get(src),
        };
        let budget = self.builder.use_var(self.budget);
        self.builder.ins().return_(&[budget, value]);
    }
}
