//! References: counting, fields, vectors and chains of places.

use super::*;
use crate::heap::{self, Packed, local};
use crate::types::TypeInfo;

/// Whether a reference of this type may be an immediate.
fn may_pack(info: &TypeInfo) -> bool {
    matches!(info.desc, TypeDesc::Enum { .. })
}

impl Translator<'_> {
    // --- counting --------------------------------------------------------------------------------------------------------

    /// Takes a reference out of its register.
    pub(super) fn take(&mut self, reg: Reg) -> Value {
        let bits = self.slot(reg.index());
        let null = self.int_const(0);
        self.set_slot(reg.index(), null);
        bits
    }

    /// Puts a reference into its register; drops what was there.
    pub(super) fn set_ref(&mut self, pc: usize, reg: Reg, bits: Value) {
        // What a chain has read already is not told.
        if !self.plan.held.may(pc, reg) && !matches!(self.plan.how[pc], How::Chain(_)) {
            if self.is_returned(pc, reg) {
                self.in_hand = Some(bits);
                return;
            }
            return self.set_slot(reg.index(), bits);
        }
        let old = self.slot(reg.index());
        self.set_slot(reg.index(), bits);
        self.release(pc, old, self.func.registers[reg.index()]);
    }

    /// Whether what comes next returns the register and has nothing else to drop: then its value needs no place in between.
    fn is_returned(&self, pc: usize, reg: Reg) -> bool {
        let next = self.plan.after(pc);
        let is_next = matches!(self.func.def.code.get(next), Some(Instr::ReturnRef { src }) if *src == reg);
        is_next && !self.plan.is_target[next] && self.others_held(next, Some(reg)).next().is_none()
    }

    /// One more owner of what is in a register or a place, which is not null.
    pub(super) fn retain(&mut self, bits: Value, info: &TypeInfo) {
        let done = self.builder.create_block();
        if may_pack(info) {
            let is_packed = self.builder.ins().band_imm_s(bits, 1);
            self.branch_off(is_packed, done);
        }
        let rc = self.builder.ins().load(I32, self.object, bits, layout::RC);
        let is_immortal = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, rc, 0);
        self.branch_off(is_immortal, done);
        let more = self.builder.ins().iadd_imm_s(rc, 1);
        self.builder.ins().store(self.object, more, bits, layout::RC);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(done);
    }

    /// One owner less of what may be null, and is in no slot any more.
    pub(super) fn release(&mut self, pc: usize, bits: Value, info: &TypeInfo) {
        let (some, done) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(bits, some, &[], done, &[]);
        self.builder.switch_to_block(some);
        if may_pack(info) {
            let is_packed = self.builder.ins().band_imm_s(bits, 1);
            self.branch_off(is_packed, done);
        }
        let rc = self.builder.ins().load(I32, self.object, bits, layout::RC);
        let (last, shared) = (self.builder.create_block(), self.builder.create_block());
        let is_last = self.is_eq(rc, 1);
        self.builder.ins().brif(is_last, last, &[], shared, &[]);

        self.builder.switch_to_block(shared);
        let is_immortal = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, rc, 0);
        self.branch_off(is_immortal, done);
        let less = self.builder.ins().iadd_imm_s(rc, -1);
        self.builder.ins().store(self.object, less, bits, layout::RC);
        self.builder.ins().jump(done, &[]);

        self.builder.switch_to_block(last);
        let left = self.call(runtime::free as *const u8, &[self.m, bits]);
        let unwind = self.unwind(pc);
        self.builder.ins().brif(left, unwind, &[], done, &[]);
        self.builder.switch_to_block(done);
    }

    /// Leaves unless the object has no other owner.
    fn unique(&mut self, pc: usize, object: Value) {
        let rc = self.builder.ins().load(I32, self.object, object, layout::RC);
        let is_shared = self.builder.ins().icmp_imm_s(IntCC::NotEqual, rc, 1);
        self.exit_if(is_shared, pc);
    }

    // --- reading ---------------------------------------------------------------------------------------------------------

    /// The address of a vector's item; leaves when there is none.
    fn item(&mut self, pc: usize, vec: Value, idx: Reg) -> Value {
        let idx = self.get(idx);
        let len = self.builder.ins().load(I64, self.object, vec, self.vec.len);
        // A negative index is a very large one.
        let is_inside = self.builder.ins().icmp(IntCC::UnsignedLessThan, idx, len);
        self.exit_unless(is_inside, pc);
        let items = self.builder.ins().load(I64, self.object, vec, self.vec.items);
        let offset = self.builder.ins().ishl_imm_u(idx, 3);
        self.builder.ins().iadd(items, offset)
    }

    /// `dst` = a copy of what is at `place`; leaves when that is a hole.
    fn load(&mut self, pc: usize, dst: Reg, flags: MemFlagsData, place: Value, offset: i32) {
        if !self.is_ref(dst) {
            let ty = self.type_of(dst);
            let value = self.builder.ins().load(ty, flags, place, offset);
            return self.set(dst, value);
        }
        let bits = self.builder.ins().load(I64, flags, place, offset);
        let is_hole = self.is_eq(bits, 0);
        self.exit_if(is_hole, pc);
        self.retain(bits, self.func.registers[dst.index()]);
        self.set_ref(pc, dst, bits);
    }

    /// `dst`, which is lent, = what is at `place`; leaves when that is a hole.
    fn lend(&mut self, pc: usize, dst: Reg, place: Value, offset: i32) {
        let bits = self.builder.ins().load(I64, self.object, place, offset);
        let is_hole = self.is_eq(bits, 0);
        self.exit_if(is_hole, pc);
        self.set(dst, bits);
    }

    pub(super) fn object(&mut self, pc: usize, instr: Instr) {
        use Instr::*;
        match instr {
            CopyRef { dst, src } => {
                let bits = self.var(src);
                self.retain(bits, self.func.registers[src.index()]);
                self.set_ref(pc, dst, bits);
            }
            MoveRef { dst, src } => {
                let bits = self.take(src);
                self.set_ref(pc, dst, bits);
            }
            DropRef { reg } if !self.plan.held.may(pc, reg) => {}
            DropRef { reg } => {
                let old = self.take(reg);
                self.release(pc, old, self.func.registers[reg.index()]);
            }
            LoadStr { dst, id } => self.load_const(pc, dst, self.space.strings[id.index()]),
            LoadBytes { dst, id } => self.load_const(pc, dst, self.space.blobs[id.index()]),
            MakeVariant { dst, variant } if self.is_ref(dst) => {
                let info = self.func.registers[dst.index()];
                if !info.layout(variant.0).types.is_empty() {
                    return self.make(pc, dst, variant.0);
                }
                self.load_const(pc, dst, Packed::bare(variant.0));
            }
            Make { dst, .. } => self.make(pc, dst, 0),
            MakeVariant { dst, variant } => {
                let variant = self.int_const(i64::from(variant.0));
                self.set(dst, variant);
            }
            GetField { dst, obj, field } => {
                let object = self.var(obj);
                self.load(pc, dst, self.object, object, field_offset(field.index()));
            }
            LendField { dst, obj, field } => {
                let object = self.var(obj);
                self.lend(pc, dst, object, field_offset(field.index()));
            }
            GetTag { dst, obj } if self.is_ref(obj) => {
                let bits = self.var(obj);
                let tag = self.tag(obj, bits);
                self.set(dst, tag);
            }
            GetTag { dst, obj } => {
                let tag = self.get(obj);
                self.set(dst, tag);
            }
            GetPayload { dst, obj, at } | LendPayload { dst, obj, at } => self.payload(pc, dst, obj, at),
            VecLen { dst, vec } => {
                let vec = self.var(vec);
                let len = self.builder.ins().load(I64, self.object, vec, self.vec.len);
                self.set(dst, len);
            }
            VecGet { dst, vec, idx } => {
                let vec = self.var(vec);
                let item = self.item(pc, vec, idx);
                self.load(pc, dst, self.items, item, 0);
            }
            VecSet { vec, idx, src } => {
                let vec = self.slot(vec.index());
                self.unique(pc, vec);
                let item = self.item(pc, vec, idx);
                self.store(pc, src, self.items, item, 0);
            }
            VecPush { vec, src } => self.push(pc, vec, src),
            _ => self.number(pc, instr),
        }
    }

    /// A tuple, a struct or a variant of the outgoing values: in a cell of the thread, if there is one.
    fn make(&mut self, pc: usize, dst: Reg, variant: u16) {
        let info = self.func.registers[dst.index()];
        let layout = info.layout(variant);
        let words = heap::n_words(layout.types.len());
        if layout.packs || words > local::MAX_WORDS {
            let bits = self.make_slowly(pc);
            self.outgoing.clear();
            return self.set_ref(pc, dst, bits);
        }
        let slow = self.builder.create_block();
        let done = self.builder.create_block();
        let made = self.builder.append_block_param(done, I64);
        let memory = MemFlagsData::trusted();
        let local = self.builder.ins().load(I64, memory, self.m, layout::LOCAL);
        let (first, room) = local::list(words);
        let cell = self.builder.ins().load(I64, memory, local, first as i32);
        let is_none = self.is_eq(cell, 0);
        self.branch_off(is_none, slow);
        let n_bytes = words as i64 * 8;
        let left = self.builder.ins().load(I64, memory, local, local::LEFT as i32);
        let left = self.builder.ins().iadd_imm_s(left, -n_bytes);
        let is_found = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        self.branch_off(is_found, slow);
        self.builder.ins().store(memory, left, local, local::LEFT as i32);
        for (at, more) in [(local::BYTES, n_bytes), (room, 1)] {
            let n = self.builder.ins().load(I64, memory, local, at as i32);
            let n = self.builder.ins().iadd_imm_s(n, more);
            self.builder.ins().store(memory, n, local, at as i32);
        }
        let next = self.builder.ins().load(I64, self.object, cell, 0);
        self.builder.ins().store(memory, next, local, first as i32);
        let header = self.int_const(layout::header_word(variant, layout.shape));
        self.builder.ins().store(self.object, header, cell, 0);
        let address = self.address(info);
        self.builder.ins().store(self.object, address, cell, layout::INFO);
        for field in 0..layout.types.len() {
            let known = self.outgoing.iter().rev().find(|(out, _)| *out == field).map(|(_, value)| *value);
            let value = known.unwrap_or_else(|| self.slot(self.out(field)));
            self.builder.ins().store(self.object, value, cell, field_offset(field));
        }
        self.builder.ins().jump(done, &[cell.into()]);
        self.builder.switch_to_block(slow);
        self.builder.set_cold_block(slow);
        let bits = self.make_slowly(pc);
        self.builder.ins().jump(done, &[bits.into()]);
        self.builder.switch_to_block(done);
        self.outgoing.clear();
        self.set_ref(pc, dst, made);
    }

    fn make_slowly(&mut self, pc: usize) -> Value {
        for at in 0..self.outgoing.len() {
            let (out, value) = self.outgoing[at];
            self.set_slot(self.out(out), value);
        }
        let word = self.int_const(super::super::original(self.func, pc) as i64);
        let ip = self.address(self.func.address_of(pc).wrapping_add(1));
        self.call(runtime::make as *const u8, &[self.m, ip, self.regs, word])
    }

    fn load_const(&mut self, pc: usize, dst: Reg, bits: u64) {
        let bits = self.int_const(bits as i64);
        self.set_ref(pc, dst, bits);
    }

    /// The variant of the enum's value with payloads in a register; that of a hole is 65,535.
    fn tag(&mut self, reg: Reg, bits: Value) -> Value {
        if let Some(tag) = self.tags.get(reg) {
            return tag;
        }
        let tag = self.read_tag(bits);
        self.tags.set(reg, tag);
        tag
    }

    fn read_tag(&mut self, bits: Value) -> Value {
        let (packed, object, hole, done) = (
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
            self.builder.create_block(),
        );
        let tag = self.builder.append_block_param(done, I64);
        let is_packed = self.builder.ins().band_imm_s(bits, 1);
        let unpacked = self.builder.create_block();
        self.builder.ins().brif(is_packed, packed, &[], unpacked, &[]);
        self.builder.switch_to_block(packed);
        let shifted = self.builder.ins().ushr_imm_u(bits, 1);
        let variant = self.builder.ins().band_imm_s(shifted, 0xffff);
        self.builder.ins().jump(done, &[variant.into()]);
        self.builder.switch_to_block(unpacked);
        self.builder.ins().brif(bits, object, &[], hole, &[]);
        self.builder.switch_to_block(object);
        let variant = self.builder.ins().uload16(I64, self.object, bits, layout::VARIANT);
        self.builder.ins().jump(done, &[variant.into()]);
        self.builder.switch_to_block(hole);
        self.builder.set_cold_block(hole);
        let none = self.int_const(i64::from(u16::MAX));
        self.builder.ins().jump(done, &[none.into()]);
        self.builder.switch_to_block(done);
        tag
    }

    fn payload(&mut self, pc: usize, dst: Reg, obj: Reg, at: stark_bytecode::Payload) {
        let bits = self.var(obj);
        let tag = self.tag(obj, bits);
        let is_wrong = self.builder.ins().icmp_imm_s(IntCC::NotEqual, tag, i64::from(at.variant));
        self.exit_if(is_wrong, pc);
        let offset = field_offset(usize::from(at.field));
        if self.is_ref(dst) {
            // A variant with references is never an immediate, unless somebody forged it.
            let is_packed = self.builder.ins().band_imm_s(bits, 1);
            self.exit_if(is_packed, pc);
            return match self.func.owns(dst) {
                true => self.load(pc, dst, self.object, bits, offset),
                false => self.lend(pc, dst, bits, offset),
            };
        }
        let (packed, object, done) =
            (self.builder.create_block(), self.builder.create_block(), self.builder.create_block());
        let payload = self.builder.append_block_param(done, I64);
        let is_packed = self.builder.ins().band_imm_s(bits, 1);
        self.builder.ins().brif(is_packed, packed, &[], object, &[]);
        self.builder.switch_to_block(packed);
        let value = self.builder.ins().sshr_imm_u(bits, i64::from(Packed::PAYLOAD));
        self.builder.ins().jump(done, &[value.into()]);
        self.builder.switch_to_block(object);
        let value = self.builder.ins().load(I64, self.object, bits, offset);
        self.builder.ins().jump(done, &[value.into()]);
        self.builder.switch_to_block(done);
        self.set(dst, payload);
    }

    /// `vec_get` of an object, `get_field` of a number in it, `drop_ref` of it: without counting.
    pub(super) fn item_field(&mut self, pc: usize) {
        let code = &self.func.def.code;
        let (Instr::VecGet { dst: item, vec, idx }, Instr::GetField { dst, field, .. }) = (code[pc], code[pc + 1])
        else {
            unreachable!("the plan has found them");
        };
        let old = self.slot(item.index());
        self.exit_if(old, pc);
        let vec = self.var(vec);
        let place = self.item(pc, vec, idx);
        let object = self.builder.ins().load(I64, self.items, place, 0);
        let is_hole = self.is_eq(object, 0);
        self.exit_if(is_hole, pc);
        self.load(pc, dst, self.object, object, field_offset(field.index()));
    }

    // --- changing --------------------------------------------------------------------------------------------------------

    /// What is at `place` = `src`, a reference being taken out of its register.
    fn store(&mut self, pc: usize, src: Reg, flags: MemFlagsData, place: Value, offset: i32) {
        if !self.is_ref(src) {
            let value = self.var(src);
            self.builder.ins().store(flags, value, place, offset);
            return;
        }
        let bits = self.take(src);
        let old = self.builder.ins().load(I64, flags, place, offset);
        self.builder.ins().store(flags, bits, place, offset);
        self.release(pc, old, self.func.registers[src.index()]);
    }

    /// Appends when the vector has no other owner and has room; else its handler does.
    fn push(&mut self, pc: usize, vec: Reg, src: Reg) {
        let (stepped, done) = (self.builder.create_block(), self.builder.create_block());
        let object = self.slot(vec.index());
        let rc = self.builder.ins().load(I32, self.object, object, layout::RC);
        let is_shared = self.builder.ins().icmp_imm_s(IntCC::NotEqual, rc, 1);
        self.branch_off(is_shared, stepped);
        let len = self.builder.ins().load(I64, self.object, object, self.vec.len);
        let capacity = self.builder.ins().load(I64, self.object, object, self.vec.capacity);
        let is_full = self.builder.ins().icmp(IntCC::Equal, len, capacity);
        self.branch_off(is_full, stepped);
        let items = self.builder.ins().load(I64, self.object, object, self.vec.items);
        let offset = self.builder.ins().ishl_imm_u(len, 3);
        let place = self.builder.ins().iadd(items, offset);
        let value = if self.is_ref(src) { self.take(src) } else { self.var(src) };
        self.builder.ins().store(self.items, value, place, 0);
        let longer = self.builder.ins().iadd_imm_s(len, 1);
        self.builder.ins().store(self.object, longer, object, self.vec.len);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(stepped);
        self.builder.set_cold_block(stepped);
        self.step(pc);
        self.builder.ins().jump(done, &[]);
        self.builder.switch_to_block(done);
    }

    /// A chain to a place. Whatever keeps it from its end leaves at its beginning: until then nothing has changed.
    pub(super) fn chain(&mut self, pc: usize, n: usize) {
        let code = &self.func.def.code;
        let Instr::AtReg { reg } = code[pc] else { unreachable!("a chain begins with its register") };
        let (mut flags, mut place, mut offset) = (self.frame, self.regs, reg.index() as i32 * 8);
        for instr in &code[pc + 1..pc + n] {
            use Instr::*;
            if let AtIndex { .. } | AtField { .. } = instr {
                let object = self.builder.ins().load(I64, flags, place, offset);
                let is_hole = self.is_eq(object, 0);
                self.exit_if(is_hole, pc);
                self.unique(pc, object);
                place = object;
            }
            match *instr {
                AtIndex { idx } => {
                    place = self.item(pc, place, idx);
                    (flags, offset) = (self.items, 0);
                }
                AtField { field } => (flags, offset) = (self.object, field_offset(field.index())),
                LoadAt { dst } => self.load(pc, dst, flags, place, offset),
                StoreAt { src } => self.store(pc, src, flags, place, offset),
                TakeAt { dst } if self.is_ref(dst) => {
                    let bits = self.builder.ins().load(I64, flags, place, offset);
                    let is_hole = self.is_eq(bits, 0);
                    self.exit_if(is_hole, pc);
                    let null = self.int_const(0);
                    self.builder.ins().store(flags, null, place, offset);
                    self.set_ref(pc, dst, bits);
                }
                TakeAt { dst } => self.load(pc, dst, flags, place, offset),
                _ => unreachable!("the plan leaves other chains"),
            }
        }
    }
}

fn field_offset(field: usize) -> i32 {
    layout::FIELDS + field as i32 * 8
}
