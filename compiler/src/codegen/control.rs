//! Control flow: blocks, branches, loops, `match`, errors and every way out of them.
//!
//! A `finally` is written once for each way out: at the end, on an error, and inline before each jump that leaves it. While it is written inline the regions
//! it guards are paused, so that it never guards itself.

use super::builder::{Cleanup, Exit, FnBuilder, Label};
use crate::hir::{self, BinaryOp, Catch, Cond, Expr, ExprKind, Stmt, Ty};
use stark_bytecode::{Field, Instr, Payload, Reg, Variant};
use std::rc::Rc;

impl<'p> FnBuilder<'_, 'p> {
    pub fn control(&mut self, expr: &'p Expr, dst: Reg) {
        match &expr.kind {
            ExprKind::Block { stmts, value } => {
                self.open_scope();
                for stmt in stmts {
                    self.statement(stmt);
                }
                match value {
                    Some(value) => self.into(value, dst),
                    None => self.unit(dst),
                }
                self.close_scope();
            }
            ExprKind::If { cond, then, else_ } => {
                let (otherwise, end) = (self.label(), self.label());
                self.open_scope();
                self.condition(cond, otherwise);
                self.into(then, dst);
                self.close_scope();
                self.jump(end);
                self.place_label(otherwise);
                match else_ {
                    Some(else_) => self.into(else_, dst),
                    None => self.unit(dst),
                }
                self.place_label(end);
            }
            ExprKind::Match { scrutinee, arms } => {
                let value = self.operand(scrutinee);
                let end = self.label();
                for (i, arm) in arms.iter().enumerate() {
                    let next = self.label();
                    self.open_scope();
                    if i + 1 == arms.len() && arm.guard.is_none() {
                        self.last_pattern(&arm.pattern, value.register, next);
                    } else {
                        self.pattern(&arm.pattern, value.register, next);
                    }
                    if let Some(guard) = &arm.guard {
                        let ok = self.operand(guard);
                        self.jump_if_not(ok.register, next);
                        self.done(ok);
                    }
                    self.into(&arm.body, dst);
                    self.close_scope();
                    self.jump(end);
                    self.place_label(next);
                }
                // Exhaustive: nothing falls through the last arm. The VM is told so with an error rather than trusted.
                self.throw_new("ValueError", "no arm of a `match` fits the value");
                self.place_label(end);
                self.done(value);
            }
            ExprKind::While { cond, body } => {
                let kept = self.keep_literals(expr);
                let (head, end) = (self.label(), self.label());
                // A short condition is written a second time behind the body: one jump a round instead of two.
                let again = match &**cond {
                    Cond::Expr(cond) if is_short(cond) => Some((cond, self.label())),
                    _ => None,
                };
                if again.is_none() {
                    self.place_label(head);
                }
                self.open_scope();
                self.condition(cond, end);
                let (n_scopes, n_regions) = (self.n_scopes() - 1, self.n_regions());
                if let Some((_, body)) = again {
                    self.place_label(body);
                }
                self.exits.push(Exit::Loop { on_break: end, on_continue: head, n_scopes, n_regions });
                self.effect(body);
                self.exits.pop();
                self.close_scope();
                match again {
                    Some((cond, body)) => {
                        self.place_label(head);
                        self.branch(cond, true, body);
                    }
                    None => self.jump(head),
                }
                self.place_label(end);
                self.drop_literals(kept);
                self.unit(dst);
            }
            ExprKind::For { pattern, iterable, body } => {
                let kept = self.keep_literals(body);
                self.for_loop(pattern, iterable, body);
                self.drop_literals(kept);
                self.unit(dst);
            }
            ExprKind::Break => self.leave_loop(true),
            ExprKind::Continue => self.leave_loop(false),
            ExprKind::Return(value) => self.return_value(value.as_deref()),
            ExprKind::Throw { value, again } => self.throw(value, *again),
            ExprKind::Try { body, catches, finally } => self.try_(body, catches, finally.as_deref(), dst),
            ExprKind::Question(value) => self.question(value, dst),
            ExprKind::Assert { cond, message, text } => self.assert(cond, message.as_deref(), text, dst),
            other => {
                let what = format!("this form reached code generation: {}", variant_name(other));
                self.g.unsupported(expr.span, what);
            }
        }
    }

    fn statement(&mut self, stmt: &'p Stmt) {
        match stmt {
            Stmt::Expr(expr) => self.effect_at(expr),
            Stmt::Let { pattern, init, else_ } => {
                let Some(init) = init else { return };
                self.span = init.span;
                if let hir::PatKind::Bind { local, sub: None } = &pattern.kind {
                    let dst = self.local(*local);
                    return self.into(init, dst);
                }
                let value = self.owned_temp(init);
                match else_ {
                    Some(else_) => {
                        let (fail, end) = (self.label(), self.label());
                        self.pattern(pattern, value, fail);
                        self.jump(end);
                        self.place_label(fail);
                        self.effect(else_);
                        self.place_label(end);
                    }
                    None => {
                        let fail = self.label();
                        self.pattern(pattern, value, fail);
                        if !self.irrefutable(pattern) {
                            let end = self.label();
                            self.jump(end);
                            self.place_label(fail);
                            self.throw_new("ValueError", "the value does not fit the pattern");
                            self.place_label(end);
                        } else {
                            self.place_label(fail);
                        }
                    }
                }
                self.release(value);
            }
        }
    }

    fn effect_at(&mut self, expr: &'p Expr) {
        let outer = self.span;
        self.span = expr.span;
        self.effect(expr);
        self.span = outer;
    }

    /// Goes on when the condition holds, else to `otherwise`. Bindings belong to the open scope.
    fn condition(&mut self, cond: &'p Cond, otherwise: Label) {
        match cond {
            Cond::Expr(cond) => self.branch(cond, false, otherwise),
            Cond::Let { pattern, value } => {
                let value = self.operand(value);
                self.pattern(pattern, value.register, otherwise);
                self.done(value);
            }
        }
    }

    /// Jumps to `target` when the condition is `when`, goes on otherwise.
    fn branch(&mut self, cond: &'p Expr, when: bool, target: Label) {
        match &cond.kind {
            ExprKind::And(lhs, rhs) | ExprKind::Or(lhs, rhs) => {
                // What decides alone: false for `and`, true for `or`.
                let decides = matches!(cond.kind, ExprKind::Or(..));
                if when == decides {
                    self.branch(lhs, when, target);
                    self.branch(rhs, when, target);
                } else {
                    let on = self.label();
                    self.branch(lhs, decides, on);
                    self.branch(rhs, when, target);
                    self.place_label(on);
                }
            }
            ExprKind::Unary { op: hir::UnaryOp::Not, operand } => self.branch(operand, !when, target),
            // Decided here: behind a `while true` nothing is reached, and the verifier must see that.
            ExprKind::Lit(hir::Lit::Bool(value)) => {
                if *value == when {
                    self.jump(target);
                }
            }
            _ => {
                let value = self.operand(cond);
                if when {
                    self.jump_if(value.register, target);
                } else {
                    self.jump_if_not(value.register, target);
                }
                self.done(value);
            }
        }
    }

    // --- loops -----------------------------------------------------------------------------------------------------------

    /// Loads the numbers that the outermost loop uses as operands once, in front of it. Gives their registers.
    fn keep_literals(&mut self, of: &'p Expr) -> Vec<Reg> {
        /// More would make large frames of large loops.
        const MAX_KEPT: usize = 16;
        if !self.kept_literals.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<&'p Expr> = Vec::new();
        let mut work = vec![of];
        while let Some(expr) = work.pop() {
            super::place::children(expr, &mut |child| work.push(child));
            match &expr.kind {
                ExprKind::Binary { op, lhs, rhs } => {
                    found.push(lhs);
                    found.extend(self.immediate(*op, &lhs.ty, rhs).is_none().then_some(&**rhs));
                }
                ExprKind::AssignOp { target, op, value } => match op {
                    hir::AssignOp::Binary(op) if self.immediate(*op, &target.ty, value).is_some() => {}
                    _ => found.push(value),
                },
                ExprKind::Assign { target, value } if matches!(target.kind, ExprKind::Index { .. }) => {
                    found.push(value)
                }
                _ => {}
            }
        }
        let mut kept = Vec::new();
        for expr in found {
            let ExprKind::Lit(lit) = &expr.kind else { continue };
            let Some(bits) = self.number_bits(lit, &expr.ty) else { continue };
            let key = (self.type_id(&expr.ty), bits);
            if kept.len() < MAX_KEPT && !self.kept_literals.contains_key(&key) {
                let register = self.temp(&expr.ty);
                self.load_bits(register, bits);
                self.kept_literals.insert(key, register);
                kept.push(register);
            }
        }
        kept
    }

    fn drop_literals(&mut self, kept: Vec<Reg>) {
        if kept.is_empty() {
            return;
        }
        self.kept_literals.clear();
        kept.into_iter().for_each(|register| self.recycle(register));
    }

    fn for_loop(&mut self, pattern: &'p hir::Pat, iterable: &'p Expr, body: &'p Expr) {
        let ty = self.ty(&iterable.ty);
        let lang = self.lang();
        match &ty {
            Ty::Adt(id, _) if *id == lang.range => self.for_range(pattern, iterable, body),
            Ty::Adt(id, items) if *id == lang.vec => {
                let vec = self.looped(iterable);
                self.for_vec(pattern, vec, &items[0], body);
                self.release(vec);
            }
            Ty::Adt(id, items) if *id == lang.map => {
                self.for_listed(pattern, iterable, "map_keys", items, &items[0].clone(), body)
            }
            Ty::Adt(id, items) if *id == lang.set => {
                self.for_listed(pattern, iterable, "set_to_vec", items, &items[0].clone(), body)
            }
            Ty::Str => self.for_listed(pattern, iterable, "str_chars", &[], &Ty::Str, body),
            Ty::Bytes => self.for_listed(pattern, iterable, "bytes_to_vec", &[], &Ty::Num(hir::NumKind::UInt8), body),
            Ty::Adt(id, items) if *id == lang.channel || *id == lang.subscription => {
                let name = if *id == lang.channel { "channel_next" } else { "subscription_next" };
                let source = self.owned_temp(iterable);
                let option = Ty::Adt(lang.option, items.clone());
                let (items, ty) = (items.clone(), ty.clone());
                self.for_next(pattern, body, &option, move |f, next| {
                    f.native_into(name, &items, &[(source, ty.clone())], &option_of(f, &items), next);
                });
                self.release(source);
            }
            Ty::Tensor(t) => {
                // Row by row: a list of them may take many times the tensor's memory.
                let elem = t.elem.as_ref().map(|e| (**e).clone()).unwrap_or(Ty::Error);
                let row = Ty::Tensor(hir::TensorTy { elem: t.elem.clone(), dims: None });
                let source = self.owned_temp(iterable);
                let n =
                    self.native_values("tensor_len", std::slice::from_ref(&elem), &[(source, ty.clone())], &Ty::INT);
                self.for_counted(pattern, n, &row.clone(), body, |f, i, dst| {
                    let args = [(source, ty.clone()), (i, Ty::INT)];
                    f.native_into("tensor_row", std::slice::from_ref(&elem), &args, &row, dst);
                });
                self.recycle(n);
                self.release(source);
            }
            _ => {
                let iterator = lang.iterator;
                let source = self.owned_temp(iterable);
                let Some(method) = self.g.trait_method(iterator, "next") else { return };
                let item = self.g.program.trait_args(iterator, &ty).first().cloned().unwrap_or(Ty::Error);
                let option = Ty::Adt(lang.option, Rc::from([item]));
                let resolved = self.g.resolve_trait(iterator, method, &ty, &[]);
                self.for_next(pattern, body, &option, |f, next| {
                    f.push_arg(0, source, &ty, true);
                    match &resolved {
                        super::Resolved::Fn(func, args) => f.emit_call(*func, args, next),
                        super::Resolved::Dyn(method) => f.emit(Instr::CallDyn { dst: next, method: *method }),
                        super::Resolved::Derived(_) => {}
                    }
                    f.emit(Instr::TakeBack { dst: source, out: stark_bytecode::Out(0) });
                });
                self.release(source);
            }
        }
    }

    /// The list a loop goes over, as it is now. A list of unique values stays in its variable as well: the body may only look at its items.
    fn looped(&mut self, iterable: &'p Expr) -> Reg {
        match &iterable.kind {
            ExprKind::Local(local) if self.single_use.get(local.index()) != Some(&true) => {
                let src = self.local(*local);
                let dst = self.temp(&iterable.ty);
                self.emit(Instr::CopyRef { dst, src });
                dst
            }
            _ => self.owned_temp(iterable),
        }
    }

    /// Over a `Vec` that a native makes of the iterable.
    fn for_listed(
        &mut self,
        pattern: &'p hir::Pat,
        iterable: &'p Expr,
        native: &str,
        type_args: &[Ty],
        item: &Ty,
        body: &'p Expr,
    ) {
        let ty = self.ty(&iterable.ty);
        let list = Ty::Adt(self.lang().vec, Rc::from([item.clone()]));
        let source = self.operand(iterable);
        let vec = self.native_values(native, type_args, &[(source.register, ty)], &list);
        self.done(source);
        self.for_vec(pattern, vec, item, body);
        self.release(vec);
    }

    fn loop_body(&mut self, body: &'p Expr, on_break: Label, on_continue: Label) {
        let (n_scopes, n_regions) = (self.n_scopes() - 1, self.n_regions());
        self.exits.push(Exit::Loop { on_break, on_continue, n_scopes, n_regions });
        self.effect(body);
        self.exits.pop();
        self.close_scope();
    }

    fn for_vec(&mut self, pattern: &'p hir::Pat, vec: Reg, item_ty: &Ty, body: &'p Expr) {
        let n = self.temp(&Ty::INT);
        self.emit(Instr::VecLen { dst: n, vec });
        self.for_counted(pattern, n, item_ty, body, |f, i, dst| f.emit(Instr::VecGet { dst, vec, idx: i }));
        self.recycle(n);
    }

    /// Over `n` items, each of which `get` brings into a register.
    fn for_counted(
        &mut self,
        pattern: &'p hir::Pat,
        n: Reg,
        item_ty: &Ty,
        body: &'p Expr,
        get: impl FnOnce(&mut Self, Reg, Reg),
    ) {
        let (again, next, end) = (self.label(), self.label(), self.label());
        let i = self.int_temp(0);
        let more = self.temp(&Ty::Bool);
        self.emit(Instr::LtInt { dst: more, lhs: i, rhs: n });
        self.jump_if_not(more, end);
        self.place_label(again);
        self.open_scope();
        let item = self.pattern_register(pattern, item_ty);
        get(self, i, item.0);
        self.bind_item(pattern, item);
        self.loop_body(body, end, next);
        self.place_label(next);
        self.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
        self.emit(Instr::LtInt { dst: more, lhs: i, rhs: n });
        self.jump_if(more, again);
        self.place_label(end);
        self.recycle(more);
        self.recycle(i);
    }

    /// The register for a loop's item: the variable itself when the pattern is a plain name.
    fn pattern_register(&mut self, pattern: &'p hir::Pat, ty: &Ty) -> (Reg, bool) {
        match &pattern.kind {
            hir::PatKind::Bind { local, sub: None } => (self.local(*local), false),
            _ => (self.temp(ty), true),
        }
    }

    fn bind_item(&mut self, pattern: &'p hir::Pat, (item, temp): (Reg, bool)) {
        if temp {
            let fail = self.label();
            self.pattern(pattern, item, fail);
            self.place_label(fail);
            self.release(item);
        }
    }

    fn for_range(&mut self, pattern: &'p hir::Pat, iterable: &'p Expr, body: &'p Expr) {
        // A plain name that the body cannot change is the counter itself.
        let own = match &pattern.kind {
            hir::PatKind::Bind { local, sub: None } if self.is_constant.get(local.index()) == Some(&true) => {
                Some(self.local(*local))
            }
            _ => None,
        };
        let i = own.unwrap_or_else(|| self.temp(&Ty::INT));
        let end_value = self.temp(&Ty::INT);
        let mut flag = None;
        let mut always_inclusive = false;
        match &iterable.kind {
            ExprKind::Range { start, end, inclusive } => {
                self.into(start, i);
                self.into(end, end_value);
                always_inclusive = *inclusive;
            }
            _ => {
                let range = self.operand(iterable);
                let inclusive = self.temp(&Ty::Bool);
                for (field, dst) in [(0, i), (1, end_value), (2, inclusive)] {
                    self.emit(Instr::GetField { dst, obj: range.register, field: Field(field) });
                }
                self.done(range);
                flag = Some(inclusive);
            }
        }
        let (head, again, next, end) = (self.label(), self.label(), self.label(), self.label());
        let more = self.temp(&Ty::Bool);
        self.place_label(head);
        match flag {
            None if !always_inclusive => self.emit(Instr::LtInt { dst: more, lhs: i, rhs: end_value }),
            None => self.emit(Instr::LeInt { dst: more, lhs: i, rhs: end_value }),
            Some(inclusive) => {
                let (known, same) = (self.label(), self.temp(&Ty::Bool));
                self.emit(Instr::LtInt { dst: more, lhs: i, rhs: end_value });
                self.jump_if(more, known);
                self.emit(Instr::EqInt { dst: same, lhs: i, rhs: end_value });
                self.emit(Instr::AndInt { dst: more, lhs: same, rhs: inclusive });
                self.place_label(known);
                self.recycle(same);
            }
        }
        self.jump_if_not(more, end);
        self.place_label(again);
        self.open_scope();
        if own.is_none() {
            let item = self.pattern_register(pattern, &Ty::INT);
            self.emit(Instr::Copy { dst: item.0, src: i });
            self.bind_item(pattern, item);
        }
        self.loop_body(body, end, next);
        self.place_label(next);
        if flag.is_none() && !always_inclusive {
            // Below the end, so adding cannot pass the largest integer.
            self.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
            self.emit(Instr::LtInt { dst: more, lhs: i, rhs: end_value });
            self.jump_if(more, again);
        } else {
            // The last value may be the largest integer: leave before adding.
            self.emit(Instr::LtInt { dst: more, lhs: i, rhs: end_value });
            self.jump_if_not(more, end);
            self.emit(Instr::AddIntImm { dst: i, lhs: i, imm: 1 });
            self.jump(if flag.is_some() { head } else { again });
        }
        self.place_label(end);
        self.recycle(more);
        if let Some(flag) = flag {
            self.recycle(flag);
        }
        self.recycle(end_value);
        if own.is_none() {
            self.recycle(i);
        }
    }

    /// `while let Some(item) = next(): body`
    fn for_next(&mut self, pattern: &'p hir::Pat, body: &'p Expr, option: &Ty, next: impl FnOnce(&mut Self, Reg)) {
        let (head, end) = (self.label(), self.label());
        let got = self.temp(option);
        let tag = self.temp(&Ty::INT);
        self.place_label(head);
        next(self, got);
        self.emit(Instr::GetTag { dst: tag, obj: got });
        self.jump_if_not_zero(tag, end);
        self.open_scope();
        let Ty::Adt(_, items) = option else { return };
        let item = self.pattern_register(pattern, &items[0]);
        self.emit(Instr::GetPayload { dst: item.0, obj: got, at: Payload { variant: 0, field: 0 } });
        self.emit(Instr::DropRef { reg: got });
        self.bind_item(pattern, item);
        self.loop_body(body, end, head);
        self.jump(head);
        self.place_label(end);
        self.recycle(tag);
        self.release(got);
    }

    // --- ways out --------------------------------------------------------------------------------------------------------

    /// Writes the cleanups from the innermost out to exit number `keep`, each outside the regions it closes.
    fn run_cleanups(&mut self, keep: usize) {
        let saved = self.exits.clone();
        while self.exits.len() > keep {
            let exit = self.exits.pop();
            if let Some(Exit::Finally { code, region }) = exit {
                self.outside_regions(region, |f| f.cleanup(&code));
            }
        }
        self.exits = saved;
    }

    pub fn cleanup(&mut self, code: &Cleanup<'p>) {
        match code {
            Cleanup::Block(block) => self.effect(block),
            Cleanup::PutZone { zone, register, ty, put } => self.put_zone(put, *zone, *register, ty),
            Cleanup::JoinGroup(group) => self.join_group(*group),
        }
    }

    fn leave_loop(&mut self, is_break: bool) {
        let Some(at) = self.exits.iter().rposition(|e| matches!(e, Exit::Loop { .. })) else { return };
        let Exit::Loop { on_break, on_continue, n_scopes, n_regions } = self.exits[at].clone() else { return };
        self.run_cleanups(at + 1);
        // A handler inside the loop must not find the variables that are dropped on the way out of it.
        self.outside_regions(n_regions, |f| {
            f.leave_scopes(n_scopes);
            f.jump(if is_break { on_break } else { on_continue });
        });
    }

    fn return_value(&mut self, value: Option<&'p Expr>) {
        let ret = self.ret.clone();
        let has_cleanups = self.exits.iter().any(|e| matches!(e, Exit::Finally { .. }));
        match value {
            Some(value) if ret != Ty::Unit => {
                // A variable that ends here anyway is moved out, unless it was lent to us or a `finally` may look.
                let own = match &value.kind {
                    ExprKind::Local(local) if !has_cleanups => Some(self.local(*local)),
                    _ => None,
                };
                let register = match own {
                    Some(register) if !self.inout_registers.contains(&register) => register,
                    _ => self.owned_temp(value),
                };
                self.run_cleanups(0);
                self.return_register(register, &ret);
            }
            _ => {
                if let Some(value) = value {
                    self.effect(value);
                }
                self.run_cleanups(0);
                let unit = self.temp(&Ty::Unit);
                self.emit(Instr::LoadImm { dst: unit, imm: 0 });
                self.emit(Instr::ReturnScalar { src: unit });
                self.recycle(unit);
            }
        }
    }

    // --- errors ----------------------------------------------------------------------------------------------------------

    pub fn error_ty(&self) -> Ty {
        Ty::Dyn(self.lang().error, Rc::from([]))
    }

    fn throw(&mut self, value: &'p Expr, again: Option<hir::LocalId>) {
        if let Some(boxed) = again.and_then(|local| self.caught.get(&local).copied()) {
            let err = self.temp(&self.error_ty());
            self.emit(Instr::CopyRef { dst: err, src: boxed });
            self.emit(Instr::Rethrow { err });
            return self.recycle(err);
        }
        let ty = self.ty(&value.ty);
        if ty == self.error_ty() {
            let err = self.owned_temp(value);
            self.emit(Instr::Throw { err });
            return self.recycle(err);
        }
        let src = self.owned_temp(value);
        self.throw_register(src, &ty);
    }

    /// Throws a concrete error; the register is consumed.
    fn throw_register(&mut self, src: Reg, ty: &Ty) {
        let error = self.error_ty();
        self.g.make_dynamic(&error, ty.clone());
        let err = self.temp(&self.error_ty());
        self.emit(Instr::MakeDyn { dst: err, src });
        self.emit(Instr::Throw { err });
        self.recycle(err);
        self.recycle(src);
    }

    /// Throws a library error with a fixed text.
    pub fn throw_new(&mut self, name: &str, text: &str) {
        let text = self.load_text(text);
        self.throw_text(name, text);
    }

    fn throw_text(&mut self, name: &str, text: Reg) {
        let Some((_, adt)) = self.lang().faults.iter().find(|(n, _)| &**n == name) else {
            return self.g.unsupported(self.span, format!("the library declares no `{name}`"));
        };
        let ty = Ty::Adt(*adt, Rc::from([]));
        let value = self.temp(&ty);
        self.push_arg(0, text, &Ty::Str, true);
        self.emit(Instr::Make { dst: value });
        self.recycle(text);
        self.throw_register(value, &ty);
    }

    fn try_(&mut self, body: &'p Expr, catches: &'p [Catch], finally: Option<&'p Expr>, dst: Reg) {
        match finally {
            None => self.try_catch(body, catches, dst),
            Some(finally) => self.guarded(Cleanup::Block(finally), |f| {
                if catches.is_empty() { f.into(body, dst) } else { f.try_catch(body, catches, dst) }
            }),
        }
    }

    /// Runs `f`, and the cleanup on every way out of it.
    pub fn guarded(&mut self, code: Cleanup<'p>, f: impl FnOnce(&mut Self)) {
        let (on_error, end) = (self.label(), self.label());
        let err = self.temp(&self.error_ty());
        let region = self.n_regions();
        self.open_region(on_error, err);
        self.exits.push(Exit::Finally { code: code.clone(), region });
        f(self);
        self.exits.pop();
        if let Cleanup::JoinGroup(_) = &code {
            // Inside its own region: cancelled while it waits for its tasks, a scope cancels them and waits again.
            self.cleanup(&code);
            self.close_region();
        } else {
            self.close_region();
            self.cleanup(&code);
        }
        self.jump(end);
        self.place_label(on_error);
        if let Cleanup::JoinGroup(group) = &code {
            self.abort_group(*group);
        } else {
            self.cleanup(&code);
        }
        self.emit(Instr::Rethrow { err });
        self.place_label(end);
        self.recycle(err);
    }

    fn try_catch(&mut self, body: &'p Expr, catches: &'p [Catch], dst: Reg) {
        let (on_error, end) = (self.label(), self.label());
        let error_ty = self.error_ty();
        let err = self.temp(&error_ty);
        self.open_region(on_error, err);
        self.into(body, dst);
        self.close_region();
        self.jump(end);
        self.place_label(on_error);
        let hit = self.temp(&Ty::Bool);
        for catch in catches {
            let (next, found) = (self.label(), self.label());
            if catch.types.is_empty() {
                // Cancelling cannot be swallowed by accident. Another actor's end that was caused by it is an error like others.
                if let Some((_, adt)) = self.lang().faults.iter().find(|(n, _)| &**n == "CancelledError") {
                    let ty = self.type_id(&Ty::Adt(*adt, Rc::from([])));
                    self.emit(Instr::IsType { dst: hit, src: err, ty });
                    self.jump_if(hit, next);
                }
            } else {
                for ty in &catch.types {
                    let ty = self.ty(ty);
                    if ty == error_ty {
                        self.jump(found);
                        continue;
                    }
                    self.is_error(err, &ty, hit);
                    self.jump_if(hit, found);
                }
                self.jump(next);
            }
            self.place_label(found);
            self.open_scope();
            if let Some(local) = catch.local {
                let register = self.local(local);
                let ty = self.local_types[local.index()].clone();
                if ty == error_ty {
                    self.emit(Instr::CopyRef { dst: register, src: err });
                } else {
                    self.unbox_error(err, &ty, register);
                }
                self.caught.insert(local, err);
            }
            self.into(&catch.body, dst);
            self.close_scope();
            self.emit(Instr::DropRef { reg: err });
            self.jump(end);
            self.place_label(next);
        }
        self.emit(Instr::Rethrow { err });
        self.place_label(end);
        self.recycle(hit);
        self.recycle(err);
    }

    /// Whether the error is of the type, or an `ActorError` caused by one.
    fn is_error(&mut self, err: Reg, ty: &Ty, hit: Reg) {
        if self.is_actor_error(ty) || !self.g.native_decls.contains_key("error_is") {
            let ty = self.type_id(ty);
            self.emit(Instr::IsType { dst: hit, src: err, ty });
        } else {
            let error_ty = self.error_ty();
            self.g.make_dynamic(&error_ty, ty.clone());
            self.native_into("error_is", &[ty.clone()], &[(err, error_ty)], &Ty::Bool, hit);
        }
    }

    fn unbox_error(&mut self, err: Reg, ty: &Ty, dst: Reg) {
        if self.is_actor_error(ty) || !self.g.native_decls.contains_key("error_as") {
            self.emit(Instr::Unbox { dst, src: err });
        } else {
            let error_ty = self.error_ty();
            self.native_into("error_as", &[ty.clone()], &[(err, error_ty)], ty, dst);
        }
    }

    fn is_actor_error(&self, ty: &Ty) -> bool {
        self.lang()
            .faults
            .iter()
            .any(|(name, adt)| &**name == "ActorError" && matches!(ty, Ty::Adt(id, _) if id == adt))
    }

    fn question(&mut self, value: &'p Expr, dst: Reg) {
        let ty = self.ty(&value.ty);
        let Ty::Adt(id, items) = &ty else { return };
        let is_option = *id == self.lang().option;
        let got = self.operand(value);
        let tag = self.temp(&Ty::INT);
        self.emit(Instr::GetTag { dst: tag, obj: got.register });
        let (bad, end) = (self.label(), self.label());
        self.jump_if_not_zero(tag, bad);
        self.emit(Instr::GetPayload { dst, obj: got.register, at: Payload { variant: 0, field: 0 } });
        self.jump(end);
        self.place_label(bad);
        let ret = self.ret.clone();
        let out = self.temp(&ret);
        if is_option {
            self.emit(Instr::MakeVariant { dst: out, variant: Variant(1) });
        } else {
            let err = self.temp(&items[1]);
            self.emit(Instr::GetPayload { dst: err, obj: got.register, at: Payload { variant: 1, field: 0 } });
            self.push_arg(0, err, &items[1], true);
            self.emit(Instr::MakeVariant { dst: out, variant: Variant(1) });
            self.recycle(err);
        }
        self.run_cleanups(0);
        self.return_register(out, &ret);
        self.recycle(out);
        self.place_label(end);
        self.recycle(tag);
        self.done(got);
    }

    /// A failing assert says its message, or its condition, and the values on both sides of a comparison.
    fn assert(&mut self, cond: &'p Expr, message: Option<&'p Expr>, text: &str, dst: Reg) {
        let ok = self.label();
        let sides = match &cond.kind {
            ExprKind::Binary { op, lhs, rhs } if is_comparison(*op) => Some((*op, lhs, rhs)),
            _ => None,
        };
        let holds = self.temp(&Ty::Bool);
        let mut shown = None;
        match sides {
            Some((op, lhs, rhs)) => {
                let a = self.operand_before(lhs, &[rhs]);
                let b = self.operand(rhs);
                let (lt, rt) = (self.ty(&lhs.ty), self.ty(&rhs.ty));
                self.binary(op, a.register, &lt, b.register, &rt, holds);
                shown = Some((a, lt, b, rt));
            }
            None => self.into(cond, holds),
        }
        self.jump_if(holds, ok);
        let mut texts = Vec::new();
        match message {
            Some(message) => {
                let ty = self.ty(&message.ty);
                let value = self.operand(message);
                let text = self.temp(&Ty::Str);
                self.show(value.register, &ty, text);
                self.done(value);
                texts.push(text);
            }
            None => texts.push(self.load_text(text)),
        }
        if let Some((a, lt, b, rt)) = &shown {
            for (label, operand, ty) in [(": left = ", a, lt), (", right = ", b, rt)] {
                texts.push(self.load_text(label));
                let text = self.temp(&Ty::Str);
                self.show_nested(operand.register, ty, text);
                texts.push(text);
            }
        }
        let whole = self.temp(&Ty::Str);
        if let [one] = texts[..] {
            self.move_register(whole, one, &Ty::Str);
            self.recycle(one);
        } else {
            self.join_texts(texts, whole);
        }
        self.throw_text("AssertionError", whole);
        self.place_label(ok);
        if let Some((a, _, b, _)) = shown {
            self.done(b);
            self.done(a);
        }
        self.recycle(holds);
        self.unit(dst);
    }
}

fn option_of(f: &FnBuilder, items: &Rc<[Ty]>) -> Ty {
    Ty::Adt(f.lang().option, items.clone())
}

fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Eq | Ne | Lt | Le | Gt | Ge)
}

/// The node's name, for a message about a bug of ours.
fn variant_name(kind: &ExprKind) -> String {
    let text = format!("{kind:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_string()
}

/// Whether a condition is so short that writing it twice costs less than a jump: at most a few operations on variables.
fn is_short(cond: &Expr) -> bool {
    fn count(expr: &Expr, n: &mut u32) {
        *n += match &expr.kind {
            ExprKind::Lit(_) | ExprKind::Local(_) => 0,
            ExprKind::Binary { .. } | ExprKind::Unary { .. } | ExprKind::And(..) | ExprKind::Or(..) => 1,
            ExprKind::Index { .. } | ExprKind::Field { .. } => 2,
            _ => 100,
        };
        super::place::children(expr, &mut |child| count(child, n));
    }
    let mut n = 0;
    count(cond, &mut n);
    n <= 8
}
