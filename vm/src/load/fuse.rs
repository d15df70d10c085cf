//! Neighbouring instructions that run as one.
//!
//! Chosen from the inner loops of the benchmarks. Only the opcode of the first word changes: what the group's handler
//! needs it finds in the words behind it, where each instruction still stands by itself.

use super::{CodeSpace, Func};
use crate::interp::Op;
use stark_bytecode::{Instr, NativeId, Reg};

/// Instructions of the longest group.
pub(crate) const MAX_GROUP: usize = 8;

/// Changes the first words of groups in the decoded `words` of `func`, whose instructions begin at `starts`. Nothing jumps
/// into a group (`is_target`): the JIT compiler may change the words that are jumped to, while others read the group's.
pub(super) fn fuse(func: &Func, space: &CodeSpace, words: &mut [u64], starts: &[u32], is_target: &[bool]) {
    let code = &func.def.code;
    for pc in 0..code.len() {
        let longest = code.len().min(pc + MAX_GROUP);
        let end = (pc + 1..longest).find(|&pc| is_target[pc]).unwrap_or(longest);
        if let Some(op) = group(func, space, pc, end) {
            let first = &mut words[starts[pc] as usize];
            *first = *first & !0xffff | op as u64;
        }
    }
}

/// The group that begins at `pc` and ends before `end`.
fn group(func: &Func, space: &CodeSpace, pc: usize, end: usize) -> Option<Op> {
    use Instr::*;
    let is_forward = |at: usize| is_forward(&func.def.code, pc + at);
    let scalar = |reg: Reg| !func.registers[reg.index()].is_ref;
    let is_native = |native: NativeId, name| space.natives[native.index()].row.name == name;
    Some(match func.def.code[pc..end] {
        [LoadImm { dst: imm, .. }, LtInt { dst, lhs, rhs }, JumpIfNot { cond, .. }, ..]
            if rhs == imm && lhs != imm && dst == cond && is_forward(2) =>
        {
            Op::imm_lt_int_jump_if_not
        }
        [GetTag { dst: tag, obj }, LoadImm { dst: imm, .. }, EqInt { dst, lhs, rhs }, JumpIfNot { cond, .. }, ..]
            if !scalar(obj) && lhs == tag && rhs == imm && tag != imm && dst == cond && is_forward(3) =>
        {
            Op::tag_jump_if_not
        }
        [AddIntImm { dst: sum, .. }, LtInt { dst, lhs, rhs }, JumpIf { cond, .. }, ..]
            if lhs == sum && rhs != sum && dst == cond && !is_forward(2) =>
        {
            if space.counts {
                Op::step_lt_int_jump_back_if
            } else {
                Op::step_lt_int_jump_uncounted_if
            }
        }
        [AddIntImm { dst, .. }, Arg { src, .. }, ..] if dst == src => Op::add_int_imm_arg,
        [MulFloat { .. }, MulFloat { .. }, ..] => Op::mul_float_mul,
        [MulFloat { .. }, AddFloat { .. }, ..] => Op::mul_float_add,
        [MulFloat { .. }, SubFloat { .. }, ..] => Op::mul_float_sub,
        [VecGet { dst: item, .. }, GetField { dst, obj, .. }, DropRef { reg }, ..]
            if item == obj && item == reg && !scalar(item) && scalar(dst) =>
        {
            Op::vec_get_field
        }
        [MakeVec { dst: list, .. }, ArgCopy { src, .. }, CallNative { native, .. }, DropRef { reg }, ..]
            if src == list && reg == list && is_native(native, "str_join_parts") =>
        {
            Op::join_texts
        }
        [ArgCopy { src, .. }, Arg { .. }, CallNative { native, .. }, ..]
            if !scalar(src) && is_native(native, "channel_send") =>
        {
            Op::send_scalar_to
        }
        [ArgCopy { src, .. }, ref head @ ..] if !scalar(src) => match next_item(func, space, head, is_forward(5))? {
            true => Op::ref_of,
            false => Op::scalar_of,
        },
        [AtReg { .. }, AtIndex { .. }, AtField { .. }, LoadAt { dst }, ..] if scalar(dst) => Op::at_index_field_load,
        [AtReg { .. }, AtIndex { .. }, AtField { .. }, StoreAt { src }, ..] if scalar(src) => Op::at_index_field_store,
        [AtReg { .. }, AtIndex { .. }, AtField { .. }, ..] => Op::at_reg_index_field,
        [AtReg { .. }, AtIndex { .. }, LoadAt { dst }, ..] if scalar(dst) => Op::at_index_load,
        [AtReg { .. }, AtIndex { .. }, StoreAt { src }, ..] if scalar(src) => Op::at_index_store,
        [AtReg { .. }, AtField { .. }, LoadAt { dst }, ..] if scalar(dst) => Op::at_field_load,
        [AtReg { .. }, AtField { .. }, StoreAt { src }, ..] if scalar(src) => Op::at_field_store,
        _ => return None,
    })
}

/// Whether the items are references, if `code` is the head of a loop over a channel: a call of `channel_next` and what is done with
/// the `Option` that it answers with, when the loop goes on.
fn next_item(func: &Func, space: &CodeSpace, code: &[Instr], is_forward: bool) -> Option<bool> {
    use Instr::*;
    let [
        CallNative { dst: option, native },
        GetTag { dst: tag, obj },
        LoadImm { dst: imm, imm: some },
        NeInt { dst: differs, lhs, rhs },
        JumpIf { cond, .. },
        GetPayload { dst: item, obj: of, at },
        DropRef { reg },
        ..,
    ] = *code
    else {
        return None;
    };
    let bound = space.natives[native.index()];
    let some =
        u16::try_from(some).ok().filter(|some| bound.row.name == "channel_next" && bound.sig.some == Some(*some))?;
    let is_one = obj == option && of == option && reg == option && at.variant == some && at.field == 0;
    let is_test = lhs == tag && rhs == imm && tag != imm && cond == differs && is_forward;
    (is_one && is_test).then(|| func.registers[item.index()].is_ref)
}

/// What the first instruction of the group `op` is by itself; `op` when it is no group.
pub(crate) fn alone(op: Op) -> Op {
    match op {
        Op::imm_lt_int_jump_if_not => Op::load_imm,
        Op::tag_jump_if_not => Op::get_tag,
        Op::step_lt_int_jump_back_if | Op::step_lt_int_jump_uncounted_if | Op::add_int_imm_arg => Op::add_int_imm,
        Op::mul_float_mul | Op::mul_float_add | Op::mul_float_sub => Op::mul_float,
        Op::vec_get_field => Op::vec_get_ref,
        Op::join_texts => Op::make_vec,
        Op::send_scalar_to | Op::scalar_of | Op::ref_of => Op::arg_copy,
        Op::at_reg_index_field
        | Op::at_index_field_load
        | Op::at_index_field_store
        | Op::at_index_load
        | Op::at_index_store
        | Op::at_field_load
        | Op::at_field_store => Op::at_reg,
        _ => op,
    }
}

/// Whether the jump at `code[at]`, `pc` of the function, goes forward.
fn is_forward(code: &[Instr], pc: usize) -> bool {
    match code.get(pc) {
        Some(Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. }) => to.index() > pc,
        _ => false,
    }
}
