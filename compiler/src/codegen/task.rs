//! Tasks and what they share: `await`, `spawn`, scopes, `select`, zones and messages to actors.

use super::builder::{Cleanup, FnBuilder};
use super::expr::Operand;
use super::place::Place;
use crate::hir::{Callee, Expr, ExprKind, MessageKind, ParamMode, SelectKind, Ty};
use stark_bytecode::{Instr, Reg};
use std::rc::Rc;

/// What a message to an actor gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Future,
    /// The answer itself: the future is awaited at once.
    Answer,
    /// One future of many answers.
    Futures,
}

impl<'p> FnBuilder<'_, 'p> {
    pub fn task_expr(&mut self, expr: &'p Expr, dst: Reg) {
        match &expr.kind {
            ExprKind::Await(value) => {
                if let ExprKind::Call { callee: callee @ (Callee::Fn { .. } | Callee::Trait { .. }), args } =
                    &value.kind
                    && args.iter().all(|a| a.mode != ParamMode::RefMut)
                    && self.call_awaited(callee, args, dst)
                {
                    return;
                }
                if let ExprKind::Message { actor, handler, kind: MessageKind::Ask, args, timeout } = &value.kind {
                    return self.message(actor, *handler, Wanted::Answer, args, timeout.as_deref(), &expr.ty, dst);
                }
                let src = self.owned_temp(value);
                self.emit(Instr::AwaitTask { dst, src });
                self.recycle(src);
            }
            ExprKind::SpawnCall { callee, args } => self.spawn_call(callee, args, dst),
            ExprKind::SpawnBlock(closure) => {
                let func = self.g.reserve();
                let mut function = self.closure_function(closure);
                // Started, not called: what it captured are its parameters.
                function.n_captures = 0;
                self.g.module.functions[func.index()] = function;
                self.push_captures(closure);
                self.emit(Instr::Spawn { dst, func });
            }
            ExprKind::Scope { group, body } => {
                let register = self.local(*group);
                let ty = self.local_types[group.index()].clone();
                self.native_into("group_new", &[], &[], &ty, register);
                self.guarded(Cleanup::JoinGroup(register), |f| f.effect(body));
                self.unit(dst);
            }
            ExprKind::Select { arms } => self.select(arms, dst),
            ExprKind::WithZone { zone, write, local, guard, body } => {
                let ty = self.local_types[local.index()].clone();
                let register = self.local(*local);
                let index = self.int_temp(i64::from(zone.0));
                if *write {
                    self.native_into("zone_write", &[ty.clone()], &[(index, Ty::INT)], &ty, register);
                } else {
                    // Who takes a second zone does not keep others from the first.
                    let is_outer = self.temp(&Ty::Bool);
                    self.load_bits(is_outer, u64::from(self.g.program.outer_guards.contains(guard)));
                    let args = [(index, Ty::INT), (is_outer, Ty::Bool)];
                    self.native_into("zone_read", &[ty.clone()], &args, &ty, register);
                    self.recycle(is_outer);
                }
                self.recycle(index);
                // What is in the zone outlives an error in the body: it is put back on every way out.
                let put = if *write { "zone_write_end" } else { "zone_read_end" };
                self.guards.push(*local);
                self.guarded(Cleanup::PutZone { zone: zone.0, register, ty, put }, |f| f.into(body, dst));
                self.guards.pop();
            }
            ExprKind::Message { actor, handler, kind, args, timeout } => {
                let wanted = match kind {
                    MessageKind::Ask => Wanted::Future,
                    MessageKind::Send => Wanted::Nothing,
                    MessageKind::BatchAsk => Wanted::Futures,
                };
                self.message(actor, *handler, wanted, args, timeout.as_deref(), &expr.ty, dst);
            }
            _ => {}
        }
    }

    /// Ends a guard by the native `put`.
    pub fn put_zone(&mut self, put: &str, zone: u32, register: Reg, ty: &Ty) {
        let index = self.int_temp(i64::from(zone));
        let done = self.native_moving(put, &[ty.clone()], &[(index, Ty::INT), (register, ty.clone())]);
        self.recycle(done);
        self.recycle(index);
    }

    fn group_native(&mut self, name: &str, group: Reg) {
        let ty = Ty::Adt(self.lang().task_group, Rc::from([]));
        let done = self.native_values(name, &[], &[(group, ty)], &Ty::Unit);
        self.recycle(done);
    }

    pub fn join_group(&mut self, group: Reg) {
        self.group_native("group_join", group);
    }

    pub fn abort_group(&mut self, group: Reg) {
        self.group_native("group_abort", group);
    }

    fn message(
        &mut self,
        actor: &'p Expr,
        handler: u32,
        wanted: Wanted,
        args: &'p [Expr],
        timeout: Option<&'p Expr>,
        ty: &'p Ty,
        dst: Reg,
    ) {
        let (actor_ty, ret) = (self.ty(&actor.ty), self.ty(ty));
        let reference = self.operand(actor);
        let handler = self.int_temp(i64::from(handler));
        let timeout = match timeout {
            Some(timeout) => self.owned_temp(timeout),
            None => {
                let register = self.temp(&Ty::Duration);
                self.load_bits(register, i64::MIN as u64);
                register
            }
        };
        match wanted {
            Wanted::Futures => {
                let inputs_ty = self.ty(&args[0].ty);
                let inputs = self.operand(&args[0]);
                let Ty::Adt(_, item) = &inputs_ty else { return };
                let Ty::Adt(_, results) = &ret else { return };
                let Ty::Adt(_, output) = &results[0] else { return };
                let types = [actor_ty.clone(), item[0].clone(), output[0].clone()];
                let values = [
                    (reference.register, actor_ty),
                    (handler, Ty::INT),
                    (inputs.register, inputs_ty.clone()),
                    (timeout, Ty::Duration),
                ];
                self.native_into("actor_batch_ask", &types, &values, &ret, dst);
                self.done(inputs);
            }
            Wanted::Nothing | Wanted::Future | Wanted::Answer => {
                // One argument goes as it is, none or several as a tuple.
                let (message, message_ty) = match args {
                    [only] => (self.argument(only, &[]), self.ty(&only.ty)),
                    _ => {
                        let ty = Ty::Tuple(args.iter().map(|a| self.ty(&a.ty)).collect());
                        let register = self.temp(&ty);
                        self.push_all(&args.iter().collect::<Vec<_>>());
                        self.emit(Instr::Make { dst: register });
                        (Operand::temp(register), ty)
                    }
                };
                let mut values = vec![
                    (reference.register, actor_ty.clone()),
                    (handler, Ty::INT),
                    (message.register, message_ty.clone()),
                ];
                let mut types = vec![actor_ty, message_ty];
                let (name, ret) = match (wanted, &ret) {
                    (Wanted::Answer, output) => {
                        types.push(output.clone());
                        ("actor_call", &ret)
                    }
                    (Wanted::Future, Ty::Adt(_, output)) => {
                        types.push(output[0].clone());
                        ("actor_ask", &ret)
                    }
                    _ => ("actor_send", &Ty::Unit),
                };
                if wanted != Wanted::Nothing {
                    values.push((timeout, Ty::Duration));
                }
                let taken: &[usize] = if message.given { &[2] } else { &[] };
                self.native_taking(name, &types, &values, taken, ret, dst);
                if message.temp {
                    self.recycle(message.register);
                }
            }
        }
        self.recycle(timeout);
        self.recycle(handler);
        self.done(reference);
    }

    // --- select ----------------------------------------------------------------------------------------------------------

    fn select(&mut self, arms: &'p [crate::hir::SelectArm], dst: Reg) {
        let Some(selector_ty) = self.native_ret_checked("select_new") else { return };
        let selector = self.native_values("select_new", &[], &[], &selector_ty);
        let mut kept: Vec<(Reg, Option<Place>)> = Vec::new();
        let mut has_else = None;
        for (i, arm) in arms.iter().enumerate() {
            match &arm.kind {
                SelectKind::Recv(channel) => {
                    let ty = self.ty(&channel.ty);
                    let register = self.operand(channel);
                    let Ty::Adt(id, items) = &ty else { return };
                    let name = if *id == self.lang().channel { "select_recv" } else { "select_subscription" };
                    let done = self.native_values(
                        name,
                        items,
                        &[(selector, selector_ty.clone()), (register.register, ty.clone())],
                        &Ty::Unit,
                    );
                    self.recycle(done);
                    self.done(register);
                }
                SelectKind::Send { channel, value } => {
                    let (ty, value_ty) = (self.ty(&channel.ty), self.ty(&value.ty));
                    let register = self.operand(channel);
                    let value = self.operand(value);
                    let args =
                        [(selector, selector_ty.clone()), (register.register, ty), (value.register, value_ty.clone())];
                    let done = self.native_values("select_send", &[value_ty], &args, &Ty::Unit);
                    self.recycle(done);
                    self.done(value);
                    self.done(register);
                }
                SelectKind::Await(future) => {
                    let ty = self.ty(&future.ty);
                    let Ty::Adt(id, items) = &ty else { return };
                    let register = self.operand(future);
                    let name = if *id == self.lang().future { "select_future" } else { "select_handle" };
                    let done = self.native_values(
                        name,
                        items,
                        &[(selector, selector_ty.clone()), (register.register, ty.clone())],
                        &Ty::Unit,
                    );
                    self.recycle(done);
                    if register.temp {
                        kept.push((register.register, None));
                    }
                }
                SelectKind::After(duration) => {
                    let register = self.operand(duration);
                    let args = [(selector, selector_ty.clone()), (register.register, Ty::Duration)];
                    let done = self.native_values("select_after", &[], &args, &Ty::Unit);
                    self.recycle(done);
                    self.done(register);
                }
                SelectKind::Else => has_else = Some(i),
            }
        }
        let flag = self.temp(&Ty::Bool);
        self.emit(Instr::LoadImm { dst: flag, imm: i16::from(has_else.is_some()) });
        // The position among the arms that wait, in the order they were added; -1 for `else`.
        let args = [(selector, selector_ty.clone()), (flag, Ty::Bool)];
        let chosen = self.native_values("select_wait", &[], &args, &Ty::INT);
        self.recycle(flag);
        let end = self.label();
        let mut position = 0;
        for arm in arms {
            let next = self.label();
            let number = if matches!(arm.kind, SelectKind::Else) {
                -1
            } else {
                position += 1;
                position - 1
            };
            let wanted = self.int_temp(number);
            let same = self.temp(&Ty::Bool);
            self.emit(Instr::EqInt { dst: same, lhs: chosen, rhs: wanted });
            self.jump_if_not(same, next);
            self.recycle(same);
            self.recycle(wanted);
            self.open_scope();
            if let SelectKind::Recv(source) | SelectKind::Await(source) = &arm.kind {
                let Ty::Adt(_, items) = self.ty(&source.ty) else { return };
                let value = self.native_values("select_take", &items, &[(selector, selector_ty.clone())], &items[0]);
                if let Some(pattern) = &arm.pattern {
                    let fail = self.label();
                    self.pattern(pattern, value, fail);
                    self.place_label(fail);
                }
                self.release(value);
            }
            self.into(&arm.body, dst);
            self.close_scope();
            self.jump(end);
            self.place_label(next);
        }
        self.throw_new("ValueError", "no arm of a `select` was chosen");
        self.place_label(end);
        self.recycle(chosen);
        for (register, _) in kept {
            self.release(register);
        }
        self.release(selector);
    }

    fn native_ret_checked(&mut self, name: &str) -> Option<Ty> {
        let ret = self.native_ret(name, &[]);
        (ret != Ty::Unit).then_some(ret)
    }
}
