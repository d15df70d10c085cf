//! From stable instructions to the VM's own words.
//!
//! A word is `op:16 a:16 b:16 c:16`; jumps keep a 32-bit distance in words in `b` and `c`; what does not fit follows in
//! further words. The class of registers is decided here (`get_field` becomes a scalar or a reference variant), `arg*` and
//! `take_back` become plain moves to and from the outgoing area, a return drops what the frame holds before it leaves.
//! Where a comparison is followed by a jump on its result, the two run as one word pair.

use super::held::Held;
use super::{CodeSpace, Func, FuncCode, LoadError};
use crate::heap::Packed;
use crate::interp::{Op, op_of};
use crate::types::TypeInfo;
use stark_bytecode::{Instr, Kind, Module, Reg, Target, TypeDesc};
use std::sync::atomic::AtomicU64;

/// A word from its parts.
fn word(op: Op, a: usize, b: usize, c: usize) -> u64 {
    op as u64 | (a as u64 & 0xffff) << 16 | (b as u64 & 0xffff) << 32 | (c as u64) << 48
}

/// Frames with more references than this drop them through their function's list instead of one word each.
const MAX_DROP_WORDS: usize = 4;

/// No register: a function has fewer.
const NO_REG: usize = u16::MAX as usize;

struct Decoder<'a> {
    func: &'static Func,
    space: &'static CodeSpace,
    module: &'a Module,
    words: Vec<u64>,
    starts: Vec<u32>,
    /// Words whose upper half waits for the distance to an instruction: where, from where the distance counts, to which.
    jumps: Vec<(usize, usize, usize)>,
    /// The type at the cursor inside a chain.
    cursor: Option<&'static TypeInfo>,
    held: Option<Held<'a>>,
}

pub(super) fn decode(func: &'static Func, space: &'static CodeSpace, module: &Module) -> Result<FuncCode, LoadError> {
    let code = &func.def.code;
    let mut is_target = vec![false; code.len() + 1];
    for instr in code {
        if let Instr::Jump { to } | Instr::JumpIf { to, .. } | Instr::JumpIfNot { to, .. } = instr {
            is_target[to.index()] = true;
        }
    }
    for handler in &func.def.handlers {
        is_target[handler.target.index()] = true;
    }
    let (words, starts, jumps, held) = (Vec::new(), Vec::new(), Vec::new(), Held::new(func));
    let mut decoder = Decoder { func, space, module, words, starts, jumps, cursor: None, held };
    let mut pc = 0;
    while pc < code.len() {
        decoder.starts.push(decoder.words.len() as u32);
        if !is_target[pc + 1] && decoder.fuse(pc) {
            // The jump's own start: an error there cannot happen, but every pc has an address.
            decoder.starts.push(decoder.words.len() as u32 - 1);
            pc += 2;
            continue;
        }
        decoder.instr(pc, &code[pc]);
        pc += 1;
    }
    // Distances: `starts` of jumped-over second halves are never targets.
    for (at, from, target) in std::mem::take(&mut decoder.jumps) {
        let distance = decoder.starts[target] as i64 - from as i64;
        decoder.words[at] = decoder.words[at] & 0xffff_ffff | (distance as u64) << 32;
    }
    let mut words = decoder.words;
    super::fuse::fuse(func, space, &mut words, &decoder.starts, &is_target);
    Ok(FuncCode {
        first_op: words.first().map_or(Op::copy, |&word| op_of(word)),
        words: words.into_iter().map(AtomicU64::new).collect(),
        starts: decoder.starts.into(),
    })
}

impl Decoder<'_> {
    fn push(&mut self, op: Op, a: usize, b: usize, c: usize) {
        self.words.push(word(op, a, b, c));
    }

    fn push_address<T>(&mut self, address: &'static T) {
        self.words.push(address as *const T as u64);
    }

    fn ty(&self, reg: Reg) -> &'static TypeInfo {
        self.func.registers[reg.index()]
    }

    fn is_ref(&self, reg: Reg) -> bool {
        self.ty(reg).is_ref
    }

    fn out(&self, i: usize) -> usize {
        self.func.out_base() + i
    }

    /// A jump word: the distance counts from the word behind it.
    fn jump(&mut self, op: Op, a: usize, target: Target) {
        self.push(op, a, 0, 0);
        let at = self.words.len() - 1;
        self.jumps.push((at, at + 1, target.index()));
    }

    /// Whether the jump at `pc` goes backward, and so spends a reduction.
    fn counts_jump(&self, pc: usize, to: Target) -> bool {
        self.space.counts && to.index() <= pc
    }

    /// A comparison and the conditional jump behind it, as one.
    fn fuse(&mut self, pc: usize) -> bool {
        let code = &self.func.def.code;
        let (cond, to, if_true) = match code.get(pc + 1) {
            Some(Instr::JumpIf { cond, to }) => (*cond, *to, true),
            Some(Instr::JumpIfNot { cond, to }) => (*cond, *to, false),
            _ => return false,
        };
        let back = self.counts_jump(pc + 1, to);
        let (op, dst, lhs, rhs) = match (code[pc], if_true, back) {
            (Instr::LtInt { dst, lhs, rhs }, true, false) => (Op::lt_int_jump_if, dst, lhs, rhs),
            (Instr::LtInt { dst, lhs, rhs }, false, false) => (Op::lt_int_jump_if_not, dst, lhs, rhs),
            (Instr::LeInt { dst, lhs, rhs }, true, false) => (Op::le_int_jump_if, dst, lhs, rhs),
            (Instr::LeInt { dst, lhs, rhs }, false, false) => (Op::le_int_jump_if_not, dst, lhs, rhs),
            (Instr::EqInt { dst, lhs, rhs }, true, false) => (Op::eq_int_jump_if, dst, lhs, rhs),
            (Instr::EqInt { dst, lhs, rhs }, false, false) => (Op::eq_int_jump_if_not, dst, lhs, rhs),
            (Instr::LtFloat { dst, lhs, rhs }, true, false) => (Op::lt_float_jump_if, dst, lhs, rhs),
            (Instr::LtFloat { dst, lhs, rhs }, false, false) => (Op::lt_float_jump_if_not, dst, lhs, rhs),
            (Instr::LeFloat { dst, lhs, rhs }, true, false) => (Op::le_float_jump_if, dst, lhs, rhs),
            (Instr::LeFloat { dst, lhs, rhs }, false, false) => (Op::le_float_jump_if_not, dst, lhs, rhs),
            (Instr::LtInt { dst, lhs, rhs }, true, true) => (Op::lt_int_jump_back_if, dst, lhs, rhs),
            (Instr::LeInt { dst, lhs, rhs }, true, true) => (Op::le_int_jump_back_if, dst, lhs, rhs),
            (Instr::LtFloat { dst, lhs, rhs }, true, true) => (Op::lt_float_jump_back_if, dst, lhs, rhs),
            (Instr::LeFloat { dst, lhs, rhs }, true, true) => (Op::le_float_jump_back_if, dst, lhs, rhs),
            _ => return false,
        };
        if dst != cond {
            return false;
        }
        self.push(op, dst.index(), lhs.index(), rhs.index());
        self.words.push(0);
        let at = self.words.len() - 1;
        self.jumps.push((at, at + 1, to.index()));
        true
    }

    /// Drops the references of the frame, but for `keep`, before the return at `pc`.
    fn drops(&mut self, pc: usize, keep: Option<Reg>) {
        let func = self.func;
        let may_hold = |reg: u16| self.held.as_ref().is_none_or(|held| held.may_hold(pc, reg));
        let refs: Vec<u16> =
            func.refs.iter().copied().filter(|&r| may_hold(r) && keep.is_none_or(|keep| keep.0 != r)).collect();
        if refs.len() > MAX_DROP_WORDS {
            // The list is the function's: a copy for each return would let a small file fill the memory.
            self.push(Op::drop_list, keep.map_or(NO_REG, Reg::index), 0, 0);
            self.push_address(func);
            return;
        }
        for r in refs {
            self.push(Op::drop_ref, usize::from(r), 0, 0);
        }
    }

    fn call(&mut self, op: Op, dst: Reg, c: usize) {
        self.push(op, dst.index(), self.out(0), c);
    }

    fn instr(&mut self, pc: usize, instr: &Instr) {
        use Op::*;
        macro_rules! binary {
            ($op:ident, $dst:expr, $lhs:expr, $rhs:expr) => {
                self.push($op, $dst.index(), $lhs.index(), $rhs.index())
            };
        }
        macro_rules! unary {
            ($op:ident, $dst:expr, $src:expr) => {
                self.push($op, $dst.index(), $src.index(), 0)
            };
        }
        let class = |is_ref: bool, scalar: Op, reference: Op| if is_ref { reference } else { scalar };
        match *instr {
            Instr::Copy { dst, src } => unary!(copy, dst, src),
            Instr::CopyRef { dst, src } => unary!(copy_ref, dst, src),
            Instr::MoveRef { dst, src } => unary!(move_ref, dst, src),
            Instr::DropRef { reg } => self.push(drop_ref, reg.index(), 0, 0),
            Instr::LoadImm { dst, imm } => {
                // Sign-extended to the bits of whatever type `dst` has.
                self.push(load_imm, dst.index(), 0, 0);
                let at = self.words.len() - 1;
                self.words[at] |= (i64::from(imm) as u64) << 32;
            }
            Instr::LoadScalar { dst, id } => self.constant(dst, self.module.scalars[id.index()]),
            Instr::LoadStr { dst, id } => {
                self.push(load_ref, dst.index(), 0, 0);
                self.words.push(self.space.strings[id.index()]);
            }
            Instr::LoadBytes { dst, id } => {
                self.push(load_ref, dst.index(), 0, 0);
                self.words.push(self.space.blobs[id.index()]);
            }

            Instr::AddInt { dst, lhs, rhs } => binary!(add_int, dst, lhs, rhs),
            Instr::AddIntImm { dst, lhs, imm } => {
                self.push(add_int_imm, dst.index(), lhs.index(), i64::from(imm) as usize & 0xffff)
            }
            Instr::SubInt { dst, lhs, rhs } => binary!(sub_int, dst, lhs, rhs),
            Instr::MulInt { dst, lhs, rhs } => binary!(mul_int, dst, lhs, rhs),
            Instr::DivInt { dst, lhs, rhs } => binary!(div_int, dst, lhs, rhs),
            Instr::RemInt { dst, lhs, rhs } => binary!(rem_int, dst, lhs, rhs),
            Instr::PowInt { dst, lhs, rhs } => binary!(pow_int, dst, lhs, rhs),
            Instr::NegInt { dst, src } => unary!(neg_int, dst, src),
            Instr::AndInt { dst, lhs, rhs } => binary!(and_int, dst, lhs, rhs),
            Instr::OrInt { dst, lhs, rhs } => binary!(or_int, dst, lhs, rhs),
            Instr::XorInt { dst, lhs, rhs } => binary!(xor_int, dst, lhs, rhs),
            Instr::NotInt { dst, src } => unary!(not_int, dst, src),
            Instr::ShlInt { dst, lhs, rhs } => binary!(shl_int, dst, lhs, rhs),
            Instr::ShrInt { dst, lhs, rhs } => binary!(shr_int, dst, lhs, rhs),
            Instr::FitInt { dst, src, kind } => self.kind(fit_int, dst, src, kind),
            Instr::WrapInt { dst, src, kind } => self.kind(wrap_int, dst, src, kind),
            Instr::AddU64 { dst, lhs, rhs } => binary!(add_u64, dst, lhs, rhs),
            Instr::SubU64 { dst, lhs, rhs } => binary!(sub_u64, dst, lhs, rhs),
            Instr::MulU64 { dst, lhs, rhs } => binary!(mul_u64, dst, lhs, rhs),
            Instr::DivU64 { dst, lhs, rhs } => binary!(div_u64, dst, lhs, rhs),
            Instr::RemU64 { dst, lhs, rhs } => binary!(rem_u64, dst, lhs, rhs),
            Instr::PowU64 { dst, lhs, rhs } => binary!(pow_u64, dst, lhs, rhs),
            Instr::ShlU64 { dst, lhs, rhs } => binary!(shl_u64, dst, lhs, rhs),
            Instr::ShrU64 { dst, lhs, rhs } => binary!(shr_u64, dst, lhs, rhs),
            Instr::FitU64 { dst, src, kind } => self.kind(fit_u64, dst, src, kind),

            Instr::AddFloat { dst, lhs, rhs } => binary!(add_float, dst, lhs, rhs),
            Instr::SubFloat { dst, lhs, rhs } => binary!(sub_float, dst, lhs, rhs),
            Instr::MulFloat { dst, lhs, rhs } => binary!(mul_float, dst, lhs, rhs),
            Instr::DivFloat { dst, lhs, rhs } => binary!(div_float, dst, lhs, rhs),
            Instr::RemFloat { dst, lhs, rhs } => binary!(rem_float, dst, lhs, rhs),
            Instr::PowFloat { dst, lhs, rhs } => binary!(pow_float, dst, lhs, rhs),
            Instr::NegFloat { dst, src } => unary!(neg_float, dst, src),
            Instr::RoundFloat { dst, src, kind } => self.kind(round_float, dst, src, kind),
            Instr::IntToFloat { dst, src } => unary!(int_to_float, dst, src),
            Instr::U64ToFloat { dst, src } => unary!(u64_to_float, dst, src),
            Instr::FloatToInt { dst, src, kind } => self.kind(float_to_int, dst, src, kind),

            Instr::EqInt { dst, lhs, rhs } => binary!(eq_int, dst, lhs, rhs),
            Instr::NeInt { dst, lhs, rhs } => binary!(ne_int, dst, lhs, rhs),
            Instr::LtInt { dst, lhs, rhs } => binary!(lt_int, dst, lhs, rhs),
            Instr::LeInt { dst, lhs, rhs } => binary!(le_int, dst, lhs, rhs),
            Instr::LtU64 { dst, lhs, rhs } => binary!(lt_u64, dst, lhs, rhs),
            Instr::LeU64 { dst, lhs, rhs } => binary!(le_u64, dst, lhs, rhs),
            Instr::EqFloat { dst, lhs, rhs } => binary!(eq_float, dst, lhs, rhs),
            Instr::NeFloat { dst, lhs, rhs } => binary!(ne_float, dst, lhs, rhs),
            Instr::LtFloat { dst, lhs, rhs } => binary!(lt_float, dst, lhs, rhs),
            Instr::LeFloat { dst, lhs, rhs } => binary!(le_float, dst, lhs, rhs),
            Instr::NotBool { dst, src } => unary!(not_bool, dst, src),

            Instr::Jump { to } => {
                let op = if self.counts_jump(pc, to) { jump_back } else { jump };
                self.jump(op, 0, to);
            }
            Instr::JumpIf { cond, to } => {
                let op = if self.counts_jump(pc, to) { jump_back_if } else { jump_if };
                self.jump(op, cond.index(), to);
            }
            Instr::JumpIfNot { cond, to } => {
                let op = if self.counts_jump(pc, to) { jump_back_if_not } else { jump_if_not };
                self.jump(op, cond.index(), to);
            }
            Instr::ReturnScalar { src } => {
                self.drops(pc, None);
                self.push(return_scalar, src.index(), 0, 0);
            }
            Instr::ReturnRef { src } => {
                self.drops(pc, Some(src));
                // A `&mut` parameter stays where it is for the caller: what is returned is taken out of it all the same.
                self.push(return_ref, src.index(), 0, 0);
            }
            Instr::Throw { err } => self.push(throw, err.index(), 0, 0),
            Instr::Rethrow { err } => self.push(rethrow, err.index(), 0, 0),

            Instr::Arg { out, src } => self.push(copy, self.out(out.index()), src.index(), 0),
            Instr::ArgCopy { out, src } => self.push(arg_copy, self.out(out.index()), src.index(), 0),
            Instr::ArgMove { out, src } => self.push(arg_move, self.out(out.index()), src.index(), 0),
            Instr::ArgLend { out, src } => self.push(copy, self.out(out.index()), src.index(), 0),
            Instr::Call { dst, func } => {
                self.call(call, dst, 0);
                self.push_address(self.space.funcs[func.index()]);
            }
            Instr::CallNative { dst, native } => {
                let bound = self.space.natives[native.index()];
                if bound.row.name == "float_sqrt" && bound.sig.ret.desc == TypeDesc::Number(Kind::Float64) {
                    return self.push(sqrt_float, dst.index(), self.out(0), 0);
                }
                let op = match bound.row.name {
                    "map_get" => map_get,
                    "map_insert" => map_insert,
                    "channel_send" => send_message,
                    "actor_send" if is_tell(bound) => tell,
                    "channel_recv" => class(bound.sig.ret.is_ref, recv_scalar, recv_ref),
                    "channel_next" => next_message,
                    _ => class(bound.sig.ret.is_ref, call_native, call_native_ref),
                };
                self.call(op, dst, 0);
                self.push_address(bound);
            }
            Instr::CallClosure { dst, closure } => {
                self.call(call_closure, dst, closure.index());
                self.words.push(0);
            }
            Instr::CallDyn { dst, method } => {
                self.call(call_dyn, dst, self.func.hidden.unwrap_or(0));
                self.push_address(self.space.methods[method.index()]);
            }
            Instr::TakeBack { dst, out } => {
                let slot = self.out(out.index());
                match (&self.ty(dst).desc, self.func.hidden) {
                    (TypeDesc::Dyn { .. }, Some(hidden)) if out.index() == 0 => {
                        self.push(take_back_dyn, dst.index(), slot, hidden);
                        self.push_address(self.ty(dst));
                    }
                    _ => self.push(class(self.is_ref(dst), copy, move_ref), dst.index(), slot, 0),
                }
            }

            Instr::Make { dst } => {
                let info = self.ty(dst);
                self.push(make, dst.index(), self.out(0), 0);
                self.push_address(info);
            }
            Instr::MakeVariant { dst, variant } => {
                let info = self.ty(dst);
                if !info.is_ref {
                    self.constant(dst, u64::from(variant.0));
                } else if info.layout(variant.0).types.is_empty() {
                    self.push(load_ref, dst.index(), 0, 0);
                    self.words.push(Packed::bare(variant.0));
                } else {
                    self.push(make, dst.index(), self.out(0), usize::from(variant.0));
                    self.push_address(info);
                }
            }
            Instr::MakeVec { dst, count } => {
                self.push(make_vec, dst.index(), self.out(0), count.index());
                self.push_address(self.ty(dst));
            }
            Instr::MakeClosure { dst, func } => {
                self.push(make_closure, dst.index(), self.out(0), 0);
                self.push_address(self.space.funcs[func.index()]);
                self.push_address(self.ty(dst));
            }
            Instr::MakeDyn { dst, src } => {
                self.push(class(self.is_ref(src), make_dyn, make_dyn_ref), dst.index(), src.index(), 0);
                self.push_address(self.ty(dst));
                self.push_address(self.ty(src));
            }
            Instr::IsType { dst, src, ty } => {
                self.push(is_type, dst.index(), src.index(), 0);
                self.words.push(u64::from(ty.0));
            }
            Instr::Unbox { dst, src } => {
                self.push(class(self.is_ref(dst), unbox, unbox_ref), dst.index(), src.index(), 0);
                self.push_address(self.ty(dst));
            }
            Instr::GetField { dst, obj, field } => {
                self.push(class(self.is_ref(dst), get_field, get_field_ref), dst.index(), obj.index(), field.index());
            }
            Instr::GetTag { dst, obj } => unary_class(self, dst, obj),
            Instr::GetPayload { dst, obj, at } => {
                let op = class(self.is_ref(dst), get_payload, get_payload_ref);
                self.push(op, dst.index(), obj.index(), usize::from(at.field));
                self.words.push(u64::from(at.variant));
            }
            Instr::LendField { dst, obj, field } => {
                self.push(lend_field, dst.index(), obj.index(), field.index());
            }
            Instr::LendPayload { dst, obj, at } => {
                self.push(lend_payload, dst.index(), obj.index(), usize::from(at.field));
                self.words.push(u64::from(at.variant));
            }
            Instr::VecLen { dst, vec } => unary!(vec_len, dst, vec),
            Instr::VecGet { dst, vec, idx } => {
                let op = class(self.is_ref(dst), vec_get, vec_get_ref);
                self.push(op, dst.index(), vec.index(), idx.index());
            }
            Instr::VecSet { vec, idx, src } => {
                let op = class(self.is_ref(src), vec_set, vec_set_ref);
                self.push(op, vec.index(), idx.index(), src.index());
            }
            Instr::VecPush { vec, src } => {
                let op = class(self.is_ref(src), vec_push, vec_push_ref);
                self.push(op, vec.index(), src.index(), 0);
            }

            Instr::AtReg { reg } => {
                self.cursor = Some(self.ty(reg));
                self.push(at_reg, reg.index(), 0, 0);
            }
            Instr::AtField { field } => {
                self.cursor = self.cursor.map(|info| info.field(0, field.index()));
                self.push(at_field, field.index(), 0, 0);
            }
            Instr::AtPayload { at } => {
                self.push(at_payload, usize::from(at.field), usize::from(at.variant), 0);
                // Without a cursor it is never reached.
                self.words.push(self.cursor.map_or(0, |info| info as *const TypeInfo as u64));
                self.cursor = self.cursor.map(|info| info.field(at.variant, usize::from(at.field)));
            }
            Instr::AtIndex { idx } => {
                self.cursor = self.cursor.map(|info| info.elem());
                self.push(at_index, idx.index(), 0, 0);
            }
            Instr::AtKey { key } => {
                self.cursor = self.cursor.map(|info| info.map_value());
                self.push(at_key, key.index(), 0, 0);
            }
            Instr::LoadAt { dst } => {
                self.push(class(self.is_ref(dst), load_at, load_at_ref), dst.index(), 0, 0);
            }
            Instr::StoreAt { src } => {
                self.push(class(self.is_ref(src), store_at, store_at_ref), src.index(), 0, 0);
            }
            Instr::TakeAt { dst } => {
                self.push(class(self.is_ref(dst), load_at, take_at_ref), dst.index(), 0, 0);
            }

            Instr::Spawn { dst, func } => {
                self.push(spawn, dst.index(), self.out(0), 0);
                self.push_address(self.space.funcs[func.index()]);
                self.push_address(self.ty(dst));
            }
            Instr::SpawnClosure { dst, closure } => {
                self.push(spawn_closure, dst.index(), closure.index(), 0);
                self.push_address(self.ty(dst));
            }
            Instr::AwaitTask { dst, src } => {
                let sig = crate::natives::cx::NativeSig {
                    some: None,
                    none: None,
                    type_args: Box::default(),
                    params: [self.ty(src)].into(),
                    inout: [false].into(),
                    ret: self.ty(dst),
                };
                let bound = super::BoundNative::new(&crate::conc::AWAIT, sig);
                let op = class(self.is_ref(dst), call_native, call_native_ref);
                // The future's register is the one-slot argument list.
                self.push(op, dst.index(), src.index(), 0);
                self.push_address(bound);
            }
            Instr::LoadGlobal { dst, global } => {
                let op = class(self.is_ref(dst), load_global, load_global_ref);
                self.push(op, dst.index(), 0, 0);
                self.words.push(u64::from(global.0));
            }
            Instr::StoreGlobal { global, src } => {
                self.push(store_global, src.index(), 0, 0);
                self.words.push(u64::from(global.0));
                self.push_address(self.ty(src));
            }
        }
    }

    fn kind(&mut self, op: Op, dst: Reg, src: Reg, kind: Kind) {
        self.push(op, dst.index(), src.index(), kind as usize);
    }

    fn constant(&mut self, dst: Reg, bits: u64) {
        self.push(Op::load_scalar, dst.index(), 0, 0);
        self.words.push(bits);
    }
}

fn unary_class(decoder: &mut Decoder<'_>, dst: Reg, obj: Reg) {
    let op = if decoder.is_ref(obj) { Op::get_tag } else { Op::copy };
    decoder.push(op, dst.index(), obj.index(), 0);
}

/// Whether a call of `actor_send` sends a scalar to what is a reference to an actor.
fn is_tell(bound: &super::BoundNative) -> bool {
    matches!(&bound.sig.params[0].desc, TypeDesc::Opaque { name, .. } if name == "ActorRef" || name == "ModelActorRef")
        && !bound.sig.params[2].is_ref
}
