//! Patterns: tests that jump to a label when they fail, and the variables they bind.

use super::builder::{FnBuilder, Label};
use crate::hir::{Lit, Pat, PatKind, Ty};
use stark_bytecode::{Field, Instr, Payload, Reg};

impl<'p> FnBuilder<'_, 'p> {
    /// Whether every value matches.
    pub fn irrefutable(&self, pattern: &Pat) -> bool {
        match &pattern.kind {
            PatKind::Wildcard => true,
            PatKind::Bind { sub, .. } => sub.as_ref().is_none_or(|p| self.irrefutable(p)),
            PatKind::Tuple(ps) => ps.iter().all(|p| self.irrefutable(p)),
            PatKind::Struct { fields } => fields.iter().all(|(_, p)| self.irrefutable(p)),
            PatKind::List { before, rest, after } => before.is_empty() && after.is_empty() && rest.is_some(),
            _ => false,
        }
    }

    /// Tests `value` (which stays) and binds; goes to `fail` when it does not match.
    pub fn pattern(&mut self, pattern: &'p Pat, value: Reg, fail: Label) {
        let ty = self.ty(&pattern.ty);
        match &pattern.kind {
            PatKind::Wildcard => {}
            PatKind::Bind { local, sub } => {
                if let Some(sub) = sub {
                    self.pattern(sub, value, fail);
                }
                let dst = self.local(*local);
                self.copy_register(dst, value, &ty);
            }
            PatKind::Lit(lit) => {
                let same = self.temp(&Ty::Bool);
                let wanted = self.temp(&ty);
                self.typed_literal(lit, &ty, wanted);
                self.equality(false, value, wanted, &ty, same);
                self.release(wanted);
                self.jump_if_not(same, fail);
                self.recycle(same);
            }
            PatKind::Range { start, end, inclusive } => {
                if let Some(start) = start {
                    self.bound(start, value, &ty, true, true, fail);
                }
                if let Some(end) = end {
                    self.bound(end, value, &ty, false, *inclusive, fail);
                }
            }
            PatKind::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.part(item, fail, |f, dst| f.emit(Instr::GetField { dst, obj: value, field: Field(i as u16) }));
                }
            }
            PatKind::Struct { fields } => {
                for (i, item) in fields {
                    self.part(item, fail, |f, dst| {
                        f.emit(Instr::GetField { dst, obj: value, field: Field(*i as u16) })
                    });
                }
            }
            PatKind::Variant { variant, fields } => {
                let tag = self.temp(&Ty::INT);
                self.emit(Instr::GetTag { dst: tag, obj: value });
                let wanted = self.int_temp(i64::from(*variant));
                let same = self.temp(&Ty::Bool);
                self.emit(Instr::EqInt { dst: same, lhs: tag, rhs: wanted });
                self.jump_if_not(same, fail);
                self.recycle(same);
                self.recycle(wanted);
                self.recycle(tag);
                self.payload(*variant, fields, value, fail);
            }
            PatKind::List { before, rest, after } => self.list_pattern(before, rest, after, value, &ty, fail),
            PatKind::Or(alternatives) => {
                let matched = self.label();
                let (last, others) = alternatives.split_last().expect("an or-pattern has alternatives");
                for alternative in others {
                    let next = self.label();
                    self.pattern(alternative, value, next);
                    self.jump(matched);
                    self.place_label(next);
                }
                self.pattern(last, value, fail);
                self.place_label(matched);
            }
        }
    }

    /// As `pattern`, of what no other pattern of an exhaustive `match` fits. Which variant it is needs no test where that alone
    /// is asked; reading a payload looks at it in any case.
    pub fn last_pattern(&mut self, pattern: &'p Pat, value: Reg, fail: Label) {
        match &pattern.kind {
            PatKind::Variant { variant, fields } if fields.iter().all(|(_, p)| self.irrefutable(p)) => {
                self.payload(*variant, fields, value, fail);
            }
            _ => self.pattern(pattern, value, fail),
        }
    }

    fn payload(&mut self, variant: u32, fields: &'p [(u32, Pat)], value: Reg, fail: Label) {
        for (i, item) in fields {
            let at = Payload { variant: variant as u16, field: *i as u16 };
            self.part(item, fail, |f, dst| f.emit(Instr::GetPayload { dst, obj: value, at }));
        }
    }

    fn part(&mut self, item: &'p Pat, fail: Label, get: impl FnOnce(&mut Self, Reg)) {
        match &item.kind {
            PatKind::Wildcard => {}
            // The common case needs no temporary.
            PatKind::Bind { local, sub: None } => {
                let dst = self.local(*local);
                get(self, dst);
            }
            _ => {
                // Through a failing jump the register keeps its value until it is written again.
                let part = self.temp(&item.ty);
                get(self, part);
                self.pattern(item, part, fail);
                self.release(part);
            }
        }
    }

    fn list_pattern(
        &mut self,
        before: &'p [Pat],
        rest: &'p Option<Option<crate::hir::LocalId>>,
        after: &'p [Pat],
        value: Reg,
        ty: &Ty,
        fail: Label,
    ) {
        let n = self.temp(&Ty::INT);
        self.emit(Instr::VecLen { dst: n, vec: value });
        let wanted = self.int_temp((before.len() + after.len()) as i64);
        let ok = self.temp(&Ty::Bool);
        if rest.is_some() {
            self.emit(Instr::LeInt { dst: ok, lhs: wanted, rhs: n });
        } else {
            self.emit(Instr::EqInt { dst: ok, lhs: wanted, rhs: n });
        }
        self.jump_if_not(ok, fail);
        self.recycle(ok);
        self.recycle(wanted);
        for (i, item) in before.iter().enumerate() {
            let idx = self.int_temp(i as i64);
            self.part(item, fail, |f, dst| f.emit(Instr::VecGet { dst, vec: value, idx }));
            self.recycle(idx);
        }
        for (i, item) in after.iter().enumerate() {
            let back = self.int_temp((after.len() - i) as i64);
            let idx = self.temp(&Ty::INT);
            self.emit(Instr::SubInt { dst: idx, lhs: n, rhs: back });
            self.part(item, fail, |f, dst| f.emit(Instr::VecGet { dst, vec: value, idx }));
            self.recycle(idx);
            self.recycle(back);
        }
        if let Some(Some(local)) = rest {
            let start = self.int_temp(before.len() as i64);
            let back = self.int_temp(after.len() as i64);
            let end = self.temp(&Ty::INT);
            self.emit(Instr::SubInt { dst: end, lhs: n, rhs: back });
            let dst = self.local(*local);
            let Ty::Adt(_, items) = ty else { return };
            let args = [(value, ty.clone()), (start, Ty::INT), (end, Ty::INT)];
            self.native_into("vec_slice", items, &args, ty, dst);
            self.recycle(end);
            self.recycle(back);
            self.recycle(start);
        }
        self.recycle(n);
    }

    fn bound(&mut self, bound: &'p Lit, value: Reg, ty: &Ty, is_start: bool, inclusive: bool, fail: Label) {
        let limit = self.temp(ty);
        self.typed_literal(bound, ty, limit);
        let ok = self.temp(&Ty::Bool);
        if is_start {
            self.less(limit, value, ty, true, ok);
        } else {
            self.less(value, limit, ty, inclusive, ok);
        }
        self.release(limit);
        self.jump_if_not(ok, fail);
        self.recycle(ok);
    }

    pub fn copy_register(&mut self, dst: Reg, src: Reg, ty: &Ty) {
        if self.is_ref(ty) {
            self.emit(Instr::CopyRef { dst, src });
        } else {
            self.emit(Instr::Copy { dst, src });
        }
    }
}
