//! One function's instructions as Cranelift's.
//!
//! A scalar register is a variable, of `f64` if it holds floats; a reference is where the interpreter has it. A block begins
//! at each target of a jump. Blocks that leave come last, one an instruction, and write the scalars live there to the frame.

mod call;
mod number;
mod object;
mod tags;

use super::layout::{self, VecLayout};
use super::plan::{self, How, Plan};
use super::runtime::{self, LEFT};
use crate::interp::{Exit, Op};
use crate::load::fuse::alone;
use crate::load::{CodeSpace, Func};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I8, I16, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AliasRegionData, Block, Function, InstBuilder, JumpTableData, MemFlagsData, SigRef, Signature, TrapCode,
    Type, Value,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use stark_bytecode::{Instr, Operand, Reg, TypeDesc};
use tags::Tags;

/// The signature of `runtime::Run`.
pub(super) fn run_signature(convention: CallConv) -> Signature {
    signature(convention, 4, 2)
}

fn signature(convention: CallConv, n_params: usize, n_returns: usize) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params.resize(n_params, AbiParam::new(I64));
    signature.returns.resize(n_returns, AbiParam::new(I64));
    signature
}

pub(super) fn translate(
    into: &mut Function,
    frontend: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
    func: &'static Func,
    space: &'static CodeSpace,
    plan: &Plan,
    vec: VecLayout,
) {
    let mut region = |user_id: u32, description: &'static str| {
        let data = AliasRegionData { user_id, description: description.into() };
        MemFlagsData::trusted().with_alias_region(Some(into.dfg.alias_regions.insert(data)))
    };
    // An object is no part of a frame and no part of a vector's items.
    let frame = region(0, "frames");
    let object = region(1, "objects");
    let items = region(2, "items of vectors");
    let mut builder = FunctionBuilder::new(into, frontend);
    let first = builder.create_block();
    builder.append_block_params_for_function_params(first);
    builder.switch_to_block(first);
    let [m, regs, budget_in, entry] = *builder.block_params(first) else { unreachable!("four parameters") };
    let budget = builder.declare_var(I64);
    builder.def_var(budget, budget_in);
    let run_sig = builder.import_signature(run_signature(CallConv::SystemV));
    let sigs = [0, 1, 2, 3, 4, 5].map(|n| builder.import_signature(signature(CallConv::SystemV, n, 1)));
    let vars = func.registers.iter().enumerate().map(|(i, info)| {
        let is_float = matches!(info.desc, TypeDesc::Number(kind) if kind.is_float());
        (!func.owns(Reg(i as u16))).then(|| builder.declare_var(if is_float { F64 } else { I64 }))
    });
    let vars = vars.collect();
    let blocks = plan.is_target.iter().map(|&is_target| is_target.then(|| builder.create_block())).collect();
    let mut translator = Translator {
        builder,
        func,
        space,
        plan,
        vec,
        vars,
        budget,
        m,
        regs,
        blocks,
        exits: vec![Exits::default(); func.def.code.len()],
        tags: Tags::of(func, plan),
        outgoing: Vec::new(),
        in_hand: None,
        frame,
        object,
        items,
        run_sig,
        sigs,
    };
    translator.entries(entry);
    translator.code();
    translator.leave();
    let mut builder = translator.builder;
    builder.seal_all_blocks();
    builder.finalize(config);
}

/// How the code is left at an instruction.
#[derive(Clone, Copy, Default)]
struct Exits {
    /// For the interpreter, which does it.
    interpret: Option<Block>,
    /// What was called has left, or said how to.
    unwind: Option<Block>,
}

struct Translator<'a> {
    builder: FunctionBuilder<'a>,
    func: &'static Func,
    space: &'static CodeSpace,
    plan: &'a Plan,
    vec: VecLayout,
    /// By register; none for references that the frame owns.
    vars: Vec<Option<Variable>>,
    budget: Variable,
    m: Value,
    regs: Value,
    blocks: Vec<Option<Block>>,
    exits: Vec<Exits>,
    tags: Tags,
    /// Outgoing values that are not written, since an object is made of them next: the slot and what is in it.
    outgoing: Vec<(usize, Value)>,
    /// What is returned next.
    in_hand: Option<Value>,
    frame: MemFlagsData,
    object: MemFlagsData,
    items: MemFlagsData,
    run_sig: SigRef,
    /// Of the functions in `runtime`, by the number of their parameters.
    sigs: [SigRef; 6],
}

impl Translator<'_> {
    /// From the function's start to where it is entered.
    fn entries(&mut self, entry: Value) {
        let blocks: Vec<Block> = self.plan.entries.iter().map(|_| self.builder.create_block()).collect();
        if let [only] = blocks[..] {
            self.builder.ins().jump(only, &[]);
        } else {
            // First of all: most often it is called.
            let others = self.builder.create_block();
            self.builder.ins().brif(entry, others, &[], blocks[0], &[]);
            self.builder.switch_to_block(others);
            let never = self.builder.create_block();
            let mut call = |block| self.builder.func.dfg.block_call(block, &[]);
            let otherwise = call(never);
            let calls: Vec<_> = blocks[1..].iter().map(|&block| call(block)).collect();
            let table = self.builder.create_jump_table(JumpTableData::new(otherwise, &calls));
            let number = self.builder.ins().ireduce(I32, entry);
            let number = self.builder.ins().iadd_imm_s(number, -1);
            self.builder.ins().br_table(number, table);
            self.builder.switch_to_block(never);
            self.builder.ins().trap(TrapCode::unwrap_user(1));
        }
        for (&pc, block) in self.plan.entries.iter().zip(blocks) {
            self.builder.switch_to_block(block);
            for reg in self.plan.live(pc) {
                self.reload(reg);
            }
            let target = self.block(pc);
            self.builder.ins().jump(target, &[]);
        }
    }

    fn code(&mut self) {
        let mut pc = 0;
        let mut is_reached = false;
        while pc < self.func.def.code.len() {
            if let Some(block) = self.blocks[pc] {
                if is_reached {
                    self.builder.ins().jump(block, &[]);
                }
                self.builder.switch_to_block(block);
                is_reached = true;
            }
            if self.plan.is_target[pc] {
                self.tags.arrive(pc);
            }
            let instr = self.func.def.code[pc];
            if is_reached {
                match self.plan.how[pc] {
                    How::Inline => self.instr(pc, instr),
                    How::Step | How::Group(_) => self.step(pc),
                    How::Leave => {
                        let exit = self.exit(pc);
                        self.builder.ins().jump(exit, &[]);
                    }
                    How::Chain(n) => self.chain(pc, n),
                    How::ItemField => self.item_field(pc),
                }
                is_reached = self.plan.how[pc] != How::Leave && !plan::ends(&instr);
            }
            let after = self.plan.after(pc);
            self.tags.forget_changed(&self.func.def.code[pc..after]);
            if let Some(to) = plan::target(&instr) {
                self.tags.leave(to);
            }
            pc = after;
        }
    }

    /// The blocks in which the code is left.
    fn leave(&mut self) {
        for pc in 0..self.exits.len() {
            let Exits { interpret, unwind } = self.exits[pc];
            if let Some(block) = interpret {
                self.builder.switch_to_block(block);
                self.builder.set_cold_block(block);
                self.write_back(pc);
                let (m, regs, budget) = (self.m, self.regs, self.builder.use_var(self.budget));
                let ip = self.address(self.func.address_of(pc));
                let exit = self.int_const(Exit::Next as i64);
                for (value, at) in
                    [(ip, layout::IP), (regs, layout::REGS), (budget, layout::BUDGET), (exit, layout::EXIT)]
                {
                    self.builder.ins().store(MemFlagsData::trusted(), value, m, at);
                }
                self.left();
            }
            if let Some(block) = unwind {
                self.builder.switch_to_block(block);
                self.builder.set_cold_block(block);
                self.write_back(pc);
                self.left();
            }
        }
    }

    fn write_back(&mut self, pc: usize) {
        for reg in self.plan.live(pc) {
            self.flush(reg);
        }
    }

    fn left(&mut self) {
        let left = self.int_const(LEFT);
        self.builder.ins().return_(&[left, left]);
    }

    fn block(&self, pc: usize) -> Block {
        self.blocks[pc].expect("the plan knows every target")
    }

    /// Where the interpreter does the instruction at `pc` instead.
    fn exit(&mut self, pc: usize) -> Block {
        let builder = &mut self.builder;
        *self.exits[pc].interpret.get_or_insert_with(|| builder.create_block())
    }

    /// Where the code is left because what the instruction at `pc` has called was.
    fn unwind(&mut self, pc: usize) -> Block {
        let builder = &mut self.builder;
        *self.exits[pc].unwind.get_or_insert_with(|| builder.create_block())
    }

    /// Leaves for the interpreter if `condition`.
    fn exit_if(&mut self, condition: Value, pc: usize) {
        let exit = self.exit(pc);
        self.branch_off(condition, exit);
    }

    fn exit_unless(&mut self, condition: Value, pc: usize) {
        let exit = self.exit(pc);
        let on = self.builder.create_block();
        self.builder.ins().brif(condition, on, &[], exit, &[]);
        self.builder.switch_to_block(on);
    }

    /// Goes to `elsewhere` if `condition`, else on.
    fn branch_off(&mut self, condition: Value, elsewhere: Block) {
        let on = self.builder.create_block();
        self.builder.ins().brif(condition, elsewhere, &[], on, &[]);
        self.builder.switch_to_block(on);
    }

    fn int_const(&mut self, x: i64) -> Value {
        self.builder.ins().iconst(I64, x)
    }

    fn address<T>(&mut self, address: *const T) -> Value {
        self.int_const(address as i64)
    }

    fn is_eq(&mut self, x: Value, y: i64) -> Value {
        self.builder.ins().icmp_imm_s(IntCC::Equal, x, y)
    }

    // --- registers -------------------------------------------------------------------------------------------------------

    /// A scalar's 64 bits.
    fn get(&mut self, reg: Reg) -> Value {
        let value = self.var(reg);
        self.as_bits(value)
    }

    fn get_float(&mut self, reg: Reg) -> Value {
        let value = self.var(reg);
        self.as_float(value)
    }

    fn var(&mut self, reg: Reg) -> Value {
        match self.vars[reg.index()] {
            Some(var) => self.builder.use_var(var),
            None => self.slot(reg.index()),
        }
    }

    fn as_bits(&mut self, value: Value) -> Value {
        match self.builder.func.dfg.value_type(value) {
            F64 => self.builder.ins().bitcast(I64, MemFlagsData::new(), value),
            I64 => value,
            _ => self.builder.ins().uextend(I64, value),
        }
    }

    fn as_float(&mut self, value: Value) -> Value {
        match self.builder.func.dfg.value_type(value) {
            F64 => value,
            _ => self.builder.ins().bitcast(F64, MemFlagsData::new(), value),
        }
    }

    /// Writes a scalar: a float, 64 bits, or the result of a comparison.
    fn set(&mut self, reg: Reg, value: Value) {
        let Some(var) = self.vars[reg.index()] else { unreachable!("the verifier keeps scalars in scalar registers") };
        let value = if self.type_of(reg) == F64 { self.as_float(value) } else { self.as_bits(value) };
        self.builder.def_var(var, value);
    }

    /// The type of a register's variable.
    fn type_of(&self, reg: Reg) -> Type {
        let is_float = matches!(self.func.registers[reg.index()].desc, TypeDesc::Number(kind) if kind.is_float());
        if is_float { F64 } else { I64 }
    }

    fn is_ref(&self, reg: Reg) -> bool {
        self.func.registers[reg.index()].is_ref
    }

    /// What the frame has at `slot`.
    fn slot(&mut self, slot: usize) -> Value {
        self.slot_as(I64, slot)
    }

    fn slot_as(&mut self, ty: Type, slot: usize) -> Value {
        self.builder.ins().load(ty, self.frame, self.regs, slot as i32 * 8)
    }

    fn set_slot(&mut self, slot: usize, value: Value) {
        self.builder.ins().store(self.frame, value, self.regs, slot as i32 * 8);
    }

    fn out(&self, out: usize) -> usize {
        self.func.out_base() + out
    }

    /// Writes a scalar register to the frame.
    fn flush(&mut self, reg: usize) {
        if let Some(var) = self.vars[reg] {
            let value = self.builder.use_var(var);
            self.set_slot(reg, value);
        }
    }

    /// Reads a scalar register from the frame.
    fn reload(&mut self, reg: usize) {
        if let Some(var) = self.vars[reg] {
            let ty = self.type_of(Reg(reg as u16));
            let value = self.slot_as(ty, reg);
            self.builder.def_var(var, value);
        }
    }

    // --- instructions ----------------------------------------------------------------------------------------------------

    /// Has the handler do the instruction at `pc`, or the group.
    fn step(&mut self, pc: usize) {
        let code = &self.func.def.code[pc..self.plan.after(pc)];
        let mut made: Vec<Reg> = Vec::new();
        for instr in code {
            for operand in instr.operands() {
                // What the group itself has written is in the frame.
                if let Operand::Use(reg) | Operand::Take(reg) | Operand::Change(reg) = operand
                    && !made.contains(&reg)
                {
                    self.flush(reg.index());
                }
            }
            made.extend(instr.operands().filter_map(|operand| match operand {
                Operand::Def(reg) => Some(reg),
                _ => None,
            }));
        }
        let mut word = super::original(self.func, pc);
        if self.plan.how[pc] == How::Step {
            word = word & !0xffff | alone(crate::interp::op_of(word)) as u64;
        }
        let op = crate::interp::op_of(word);
        let handler = match op {
            Op::call_native => runtime::native as *const u8,
            Op::call_native_ref => runtime::native_ref as *const u8,
            Op::send_message => runtime::send as *const u8,
            Op::tell => runtime::tell as *const u8,
            Op::recv_scalar => runtime::recv_scalar as *const u8,
            Op::recv_ref => runtime::recv_ref as *const u8,
            Op::next_message => runtime::next_message as *const u8,
            Op::send_scalar_to => runtime::send_scalar as *const u8,
            Op::scalar_of => runtime::head::<false> as *const u8,
            Op::ref_of => runtime::head::<true> as *const u8,
            _ => runtime::step as *const u8,
        };
        let budget = self.builder.use_var(self.budget);
        let ip = self.address(self.func.address_of(pc).wrapping_add(1));
        let word = self.int_const(word as i64);
        let left = self.call(handler, &[self.m, ip, self.regs, budget, word]);
        let unwind = self.unwind(pc);
        self.branch_off(left, unwind);
        if matches!(op, Op::call_native | Op::call_native_ref) {
            // Some cost more than the call.
            let budget = self.builder.ins().load(I64, MemFlagsData::trusted(), self.m, layout::BUDGET);
            self.builder.def_var(self.budget, budget);
        }
        for reg in made {
            self.reload(reg.index());
        }
    }

    /// Calls one of the functions in `runtime`.
    fn call(&mut self, function: *const u8, args: &[Value]) -> Value {
        let function = self.address(function);
        let call = self.builder.ins().call_indirect(self.sigs[args.len()], function, args);
        self.builder.inst_results(call)[0]
    }

    fn instr(&mut self, pc: usize, instr: Instr) {
        use Instr::*;
        match instr {
            Jump { to } => self.jump(pc, to.index(), None),
            JumpIf { cond, to } => self.jump(pc, to.index(), Some((cond, true))),
            JumpIfNot { cond, to } => self.jump(pc, to.index(), Some((cond, false))),
            // Calls, else references, else numbers.
            _ => self.calling(pc, instr),
        }
    }

    /// A backward jump that is taken spends from the budget.
    fn jump(&mut self, pc: usize, to: usize, condition: Option<(Reg, bool)>) {
        let target = self.block(to);
        let is_back = to <= pc;
        let taken = if is_back && condition.is_some() { self.builder.create_block() } else { target };
        if let Some((cond, when)) = condition {
            let cond = self.var(cond);
            let on = self.builder.create_block();
            let (yes, no) = if when { (taken, on) } else { (on, taken) };
            self.builder.ins().brif(cond, yes, &[], no, &[]);
            if is_back {
                self.builder.switch_to_block(taken);
                self.spend(pc);
                self.builder.ins().jump(target, &[]);
            }
            self.builder.switch_to_block(on);
            return;
        }
        if is_back {
            self.spend(pc);
        }
        self.builder.ins().jump(target, &[]);
    }

    /// Takes one from the budget, or leaves. A jump that runs as one with the comparison before it is left before that.
    fn spend(&mut self, pc: usize) {
        if !self.space.counts {
            return;
        }
        let pc = if self.plan.is_second[pc] { pc - 1 } else { pc };
        let budget = self.builder.use_var(self.budget);
        let is_spent = self.builder.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, budget, 0);
        self.exit_if(is_spent, pc);
        let rest = self.builder.ins().iadd_imm_s(budget, -1);
        self.builder.def_var(self.budget, rest);
    }
}

/// Offsets in a frame are far below what an instruction can hold: 65,535 slots at most.
const _: () = assert!(u16::MAX as i64 * 2 * 8 < i32::MAX as i64);
