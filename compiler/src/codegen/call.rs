//! Calls: of functions, natives, closures, trait methods and dynamic methods, with `&mut` arguments moved in and out.

use super::builder::FnBuilder;
use super::expr::Operand;
use super::place::{Back, Place};
use super::{Instance, Resolved, derive};
use crate::hir::{self, Arg, AssignOp, Callee, Closure, Expr, ExprKind, FnId, FnKind, LocalId, ParamMode, Ty};
use stark_bytecode::{Instr, NativeImport, NativeParam, Out, Reg};

/// A callee at concrete types.
enum Target {
    Fn(FnId, Vec<Ty>),
    Derived(derive::Derived, Ty),
    Dyn(stark_bytecode::MethodId),
    Value(Operand),
}

/// An argument after evaluation, before it is put into the outgoing area.
enum Ready {
    Value { operand: Operand, ty: Ty },
    Lent { place: Place, ty: Ty, register: Reg },
}

impl<'p> FnBuilder<'_, 'p> {
    pub fn call(&mut self, callee: &'p Callee, args: &'p [Arg], dst: Reg) {
        if self.trace_of_error(callee, args, dst) {
            return;
        }
        let target = self.target(callee);
        if self.intrinsic(&target, args, dst) {
            return;
        }
        if let Target::Derived(derived, ty) = &target {
            let operands: Vec<Operand> = args.iter().map(|a| self.operand(&a.value)).collect();
            match (derived, &operands[..]) {
                (derive::Derived::Show, [x]) => self.show(x.register, ty, dst),
                (derive::Derived::Eq, [a, b]) => self.equality(false, a.register, b.register, ty, dst),
                (derive::Derived::Ord, [a, b]) => self.ordering(a.register, b.register, ty, dst),
                (derive::Derived::Hash, [x]) => self.hash(x.register, ty, dst),
                _ => {}
            }
            for operand in operands.into_iter().rev() {
                self.done(operand);
            }
            return;
        }
        self.call_with(target, args, |f, target| match target {
            Target::Fn(func, type_args) => f.emit_call(*func, type_args, dst),
            Target::Dyn(method) => f.emit(Instr::CallDyn { dst, method: *method }),
            Target::Value(closure) => f.emit(Instr::CallClosure { dst, closure: closure.register }),
            Target::Derived(..) => {}
        });
    }

    /// `e.trace()`: the trace is kept with the dynamic value, not in the error inside.
    fn trace_of_error(&mut self, callee: &'p Callee, args: &'p [Arg], dst: Reg) -> bool {
        let program = self.g.program;
        let func = match callee {
            Callee::Trait { trait_, method, .. } => {
                program.traits[trait_.index()].methods.get(*method as usize).copied()
            }
            Callee::Fn { func, .. } => Some(*func),
            Callee::Value(_) => None,
        };
        let [error] = args else { return false };
        if func.is_none_or(|f| program.func(f).native.as_deref() != Some("error_trace")) {
            return false;
        }
        let error_ty = self.error_ty();
        let caught = match &error.value.kind {
            ExprKind::Local(local) => self.caught.get(local).copied(),
            _ => None,
        };
        if caught.is_none() && self.ty(&error.value.ty) != error_ty {
            return false;
        }
        let operand = match caught {
            Some(register) => Operand::variable(register),
            None => self.operand(&error.value),
        };
        self.native_into("error_trace", &[error_ty.clone()], &[(operand.register, error_ty)], &Ty::Str, dst);
        self.done(operand);
        true
    }

    fn target(&mut self, callee: &'p Callee) -> Target {
        match callee {
            Callee::Fn { func, type_args } => Target::Fn(*func, self.tys(type_args)),
            Callee::Trait { trait_, method, self_ty, type_args } => {
                let (self_ty, own) = (self.ty(self_ty), self.tys(type_args));
                match self.g.resolve_trait(*trait_, *method, &self_ty, &own) {
                    Resolved::Fn(func, args) => Target::Fn(func, args),
                    Resolved::Derived(derived) => Target::Derived(derived, self_ty),
                    Resolved::Dyn(method) => Target::Dyn(method),
                }
            }
            Callee::Value(value) => Target::Value(self.operand(value)),
        }
    }

    /// The call instruction for a function of any kind; arguments are in place.
    pub fn emit_call(&mut self, id: FnId, type_args: &[Ty], dst: Reg) {
        let decl = self.g.program.func(id);
        if decl.native.is_some() {
            let native = self.import(id, type_args);
            return self.emit(Instr::CallNative { dst, native });
        }
        let func = self.g.instance(Instance::Fn(id, type_args.to_vec()));
        self.emit(match decl.kind {
            FnKind::Plain => Instr::Call { dst, func },
            FnKind::Async | FnKind::Spawn => Instr::Spawn { dst, func },
        });
    }

    fn import(&mut self, id: FnId, type_args: &[Ty]) -> stark_bytecode::NativeId {
        let decl = self.g.program.func(id);
        let params = decl
            .params
            .iter()
            .map(|p| NativeParam { ty: self.g.type_id(&p.ty.subst(type_args)), inout: p.mode == ParamMode::RefMut })
            .collect();
        let name = decl.native.as_deref().unwrap_or_default().to_string();
        let ret = self.g.type_id(&decl.ret.subst(type_args));
        let type_args = type_args.iter().map(|t| self.g.type_id(t)).collect();
        self.g.import(NativeImport { name, type_args, params, ret })
    }

    /// Evaluates the arguments, lends places, calls, takes places back.
    fn call_with(&mut self, target: Target, args: &'p [Arg], emit: impl FnOnce(&mut Self, &Target)) {
        let mut ready = Vec::with_capacity(args.len());
        let lent: Vec<_> =
            args.iter().filter(|a| a.mode == ParamMode::RefMut).filter_map(|a| root_of(&a.value)).collect();
        for (i, arg) in args.iter().enumerate() {
            let ty = self.ty(&arg.value.ty);
            let later: Vec<&'p Expr> = args[i + 1..].iter().map(|a| &a.value).collect();
            ready.push(match arg.mode {
                ParamMode::RefMut => {
                    let place = self.place(&arg.value);
                    let register = place.root;
                    Ready::Lent { place, ty, register }
                }
                // `v.extend(v)`: the receiver is taken out of its variable for the call, its copy stays.
                ParamMode::Value if matches!(&arg.value.kind, ExprKind::Local(l) if lent.contains(l)) => {
                    let register = self.owned_temp(&arg.value);
                    Ready::Value { operand: Operand::temp(register), ty }
                }
                ParamMode::Value => Ready::Value { operand: self.argument(&arg.value, &later), ty },
                // Lent where it is read last: the callee may drop it.
                ParamMode::Ref if self.is_last_read(&arg.value) => {
                    Ready::Value { operand: self.argument(&arg.value, &later), ty }
                }
                ParamMode::Ref => Ready::Value { operand: self.operand_before(&arg.value, &later), ty },
            });
        }
        // `v.extend(v)`: the argument is what `v` was before it is lent.
        let roots: Vec<Reg> = ready
            .iter()
            .filter_map(|r| match r {
                Ready::Lent { place, .. } => Some(place.root),
                Ready::Value { .. } => None,
            })
            .collect();
        for r in &mut ready {
            if let Ready::Value { operand, ty } = r
                && !operand.temp
                && roots.contains(&operand.register)
            {
                let copy = self.temp(ty);
                self.emit(Instr::Copy { dst: copy, src: operand.register });
                *operand = Operand::temp(copy);
            }
        }
        // All walks are known to succeed before the first value is taken out.
        let n_inner =
            ready.iter().filter(|r| matches!(r, Ready::Lent { place, .. } if !place.steps.is_empty())).count();
        if n_inner > 1 {
            for r in &ready {
                if let Ready::Lent { place, ty, .. } = r {
                    self.probe_place(place, ty);
                }
            }
        }
        for r in &mut ready {
            if let Ready::Lent { place, ty, register, .. } = r {
                *register = self.open_place(place, ty);
            }
        }
        for (i, r) in ready.iter().enumerate() {
            match r {
                Ready::Value { operand, ty } => self.push_arg(i, operand.register, ty, operand.given),
                Ready::Lent { register, ty, .. } => self.push_arg(i, *register, ty, true),
            }
        }
        let at = self.position();
        emit(self, &target);
        let backs: Vec<Back> = ready
            .iter()
            .enumerate()
            .filter_map(|(i, r)| match r {
                Ready::Lent { place, register, .. } => {
                    Some(Back { out: Out(i as u16), register: *register, place: place.clone() })
                }
                Ready::Value { .. } => None,
            })
            .collect();
        for back in &backs {
            self.emit(Instr::TakeBack { dst: back.register, out: back.out });
        }
        if backs.iter().any(|b| self.outlives_error(&b.place)) {
            self.add_pad(at, backs.clone());
        }
        for back in &backs {
            self.put_back(back);
        }
        for r in ready.into_iter().rev() {
            match r {
                Ready::Value { operand, .. } if operand.temp => self.recycle(operand.register),
                Ready::Value { .. } => {}
                Ready::Lent { place, register, .. } => {
                    if !place.steps.is_empty() {
                        self.recycle(register);
                    }
                    self.release_place(place);
                }
            }
        }
        if let Target::Value(closure) = target {
            self.done(closure);
        }
    }

    /// Natives that are instructions.
    fn intrinsic(&mut self, target: &Target, args: &'p [Arg], dst: Reg) -> bool {
        let Target::Fn(id, type_args) = target else { return false };
        let Some(native) = self.g.program.func(*id).native.clone() else { return false };
        match (&*native, args) {
            ("str_format", [value, spec]) => {
                let ty = self.ty(&value.value.ty);
                let (src, spec) = (self.operand(&value.value), self.operand(&spec.value));
                self.format_with(src.register, &ty, spec.register, dst);
                self.done(spec);
                self.done(src);
            }
            ("vec_len", [vec]) => {
                let vec = self.operand(&vec.value);
                self.emit(Instr::VecLen { dst, vec: vec.register });
                self.done(vec);
            }
            ("vec_push", [vec, item]) => {
                let src = self.owned_temp(&item.value);
                let place = self.place(&vec.value);
                let vec_ty = self.ty(&vec.value.ty);
                let holder = self.open_place(&place, &vec_ty);
                self.emit(Instr::VecPush { vec: holder, src });
                self.close_place(&place, holder);
                self.recycle(src);
                self.release_place(place);
                self.unit(dst);
            }
            ("is_structural", []) => {
                let plain = type_args.first().is_some_and(|t| self.is_structural(t));
                self.emit(Instr::LoadImm { dst, imm: i16::from(plain) });
            }
            ("value_show", [x]) => {
                let ty = self.ty(&x.value.ty);
                let x = self.operand(&x.value);
                self.show(x.register, &ty, dst);
                self.done(x);
            }
            ("value_repr", [x]) => {
                let ty = self.ty(&x.value.ty);
                let x = self.operand(&x.value);
                self.show_nested(x.register, &ty, dst);
                self.done(x);
            }
            ("value_equal", [a, b]) => {
                let ty = self.ty(&a.value.ty);
                let (a, b) = (self.operand_before(&a.value, &[&b.value]), self.operand(&b.value));
                self.equality(false, a.register, b.register, &ty, dst);
                self.done(b);
                self.done(a);
            }
            ("value_hash", [x]) => {
                let ty = self.ty(&x.value.ty);
                let x = self.operand(&x.value);
                self.hash(x.register, &ty, dst);
                self.done(x);
            }
            ("value_compare", [a, b]) => {
                let ty = self.ty(&a.value.ty);
                let (a, b) = (self.operand_before(&a.value, &[&b.value]), self.operand(&b.value));
                self.ordering(a.register, b.register, &ty, dst);
                self.done(b);
                self.done(a);
            }
            _ => return false,
        }
        true
    }

    // --- natives by name -------------------------------------------------------------------------------------------------

    fn native_decl(&mut self, name: &str) -> Option<FnId> {
        let found = self.g.native_decls.get(name).copied();
        if found.is_none() {
            let what = format!("the library declares no native `{name}`");
            self.g.unsupported(self.span, what);
        }
        found
    }

    /// The result type that the library declares for a native.
    pub fn native_ret(&mut self, name: &str, type_args: &[Ty]) -> Ty {
        match self.native_decl(name) {
            Some(id) => self.g.program.func(id).ret.subst(type_args),
            None => Ty::Unit,
        }
    }

    fn named_import(
        &mut self,
        name: &str,
        type_args: &[Ty],
        args: &[(Reg, Ty)],
        lent: &[usize],
        ret: &Ty,
    ) -> stark_bytecode::NativeId {
        self.native_decl(name);
        let params = args
            .iter()
            .enumerate()
            .map(|(i, (_, ty))| NativeParam { ty: self.g.type_id(ty), inout: lent.contains(&i) })
            .collect();
        let ret = self.g.type_id(ret);
        let type_args = type_args.iter().map(|t| self.g.type_id(t)).collect();
        self.g.import(NativeImport { name: name.to_string(), type_args, params, ret })
    }

    /// `dst = name(args…)`; arguments stay where they are (shared).
    pub fn native_into(&mut self, name: &str, type_args: &[Ty], args: &[(Reg, Ty)], ret: &Ty, dst: Reg) {
        self.native_taking(name, type_args, args, &[], ret, dst);
    }

    /// `dst = name(args…)`; the arguments with the positions `taken` move into the call.
    pub fn native_taking(
        &mut self,
        name: &str,
        type_args: &[Ty],
        args: &[(Reg, Ty)],
        taken: &[usize],
        ret: &Ty,
        dst: Reg,
    ) {
        let native = self.named_import(name, type_args, args, &[], ret);
        for (i, (register, ty)) in args.iter().enumerate() {
            self.push_arg(i, *register, ty, taken.contains(&i));
        }
        self.emit(Instr::CallNative { dst, native });
    }

    /// Calls a native of type `()` that takes its arguments away.
    pub fn native_moving(&mut self, name: &str, type_args: &[Ty], args: &[(Reg, Ty)]) -> Reg {
        let native = self.named_import(name, type_args, args, &[], &Ty::Unit);
        for (i, (register, ty)) in args.iter().enumerate() {
            self.push_arg(i, *register, ty, true);
        }
        let dst = self.temp(&Ty::Unit);
        self.emit(Instr::CallNative { dst, native });
        dst
    }

    /// Like `native_into`, into a new temporary.
    pub fn native_values(&mut self, name: &str, type_args: &[Ty], args: &[(Reg, Ty)], ret: &Ty) -> Reg {
        let dst = self.temp(ret);
        self.native_into(name, type_args, args, ret, dst);
        dst
    }

    /// Calls a native that changes its first argument in place, which is (in) `place` unless it is still being built: an
    /// error leaves it there. The result is dropped.
    pub fn native_lending(
        &mut self,
        name: &str,
        type_args: &[Ty],
        args: &[(Reg, Ty)],
        place: Option<&Place>,
        ret: &Ty,
    ) {
        let native = self.named_import(name, type_args, args, &[0], ret);
        for (i, (register, ty)) in args.iter().enumerate() {
            self.push_arg(i, *register, ty, i == 0);
        }
        let dst = self.temp(ret);
        let at = self.position();
        self.emit(Instr::CallNative { dst, native });
        let (out, register) = (Out(0), args[0].0);
        self.emit(Instr::TakeBack { dst: register, out });
        if let Some(place) = place.filter(|place| self.outlives_error(place)) {
            self.add_pad(at, vec![Back { out, register, place: place.clone() }]);
        }
        self.release(dst);
    }

    // --- closures --------------------------------------------------------------------------------------------------------

    pub fn closure(&mut self, closure: &'p Closure, dst: Reg) {
        let func = self.g.reserve();
        let function = self.closure_function(closure);
        self.g.module.functions[func.index()] = function;
        self.push_captures(closure);
        self.emit(Instr::MakeClosure { dst, func });
    }

    /// Fills the outgoing area with the captured values.
    pub fn push_captures(&mut self, closure: &'p Closure) {
        let mut registers = Vec::new();
        for (outer, inner) in &closure.captures {
            let ty = self.local_types[outer.index()].clone();
            let register = self.local(*outer);
            let written = &closure.body.locals[inner.index()].ty;
            // A `scope` needs its group at its end.
            let is_group = matches!(written, Ty::Adt(id, _) if *id == self.lang().task_group);
            let is_unique = self.is_unique(written) && !is_group;
            let moves = self.is_ref(&ty) && (self.single_use.get(outer.index()) == Some(&true) || is_unique);
            registers.push((register, ty, moves));
        }
        for (i, (register, ty, moves)) in registers.into_iter().enumerate() {
            self.push_arg(i, register, &ty, moves);
        }
    }

    pub fn closure_function(&mut self, closure: &'p Closure) -> stark_bytecode::Function {
        let ret = self.ty(&closure.ret);
        let type_args = self.type_args.clone();
        let span = closure.body.value.span;
        let mut f = FnBuilder::new(self.g, &closure.name, ret, type_args, span);
        for local in &closure.body.params {
            f.parameter(&closure.body, *local, ParamMode::Value);
        }
        for (_, inner) in &closure.captures {
            f.captured_parameter(&closure.body, *inner);
        }
        f.body(&closure.body);
        f.finish()
    }

    // --- `op=` -----------------------------------------------------------------------------------------------------------

    pub fn assign_op(&mut self, target: &'p Expr, op: &'p AssignOp, value: &'p Expr) {
        let (ty, value_ty) = (self.ty(&target.ty), self.ty(&value.ty));
        if let (ExprKind::Local(local), AssignOp::Binary(op)) = (&target.kind, op)
            && let Some(imm) = self.immediate(*op, &target.ty, value)
        {
            let register = self.local(*local);
            return self.emit(Instr::AddIntImm { dst: register, lhs: register, imm });
        }
        if ty == Ty::Str && value_ty == Ty::Str && self.appends_text(op) {
            return self.append_text(target, value);
        }
        let rhs = self.operand(value);
        // On a plain variable the operation works in place.
        if let (ExprKind::Local(local), AssignOp::Binary(op)) = (&target.kind, op) {
            let register = self.local(*local);
            self.binary(*op, register, &ty, rhs.register, &value_ty, register);
            return self.done(rhs);
        }
        let place = self.place(target);
        let old = self.temp(&ty);
        match op {
            AssignOp::Binary(op) => {
                self.load_place(&place, old);
                let new = self.temp(&ty);
                self.binary(*op, old, &ty, rhs.register, &value_ty, new);
                self.store_place(&place, new);
                self.recycle(new);
            }
            AssignOp::Call { callee, takes, gives, check } => {
                self.load_place(&place, old);
                let (takes, gives) = (self.ty(takes), self.ty(gives));
                let taken = self.fitted(old, &ty, &takes);
                let new = self.temp(&gives);
                let target = self.target(callee);
                self.push_arg(0, taken.unwrap_or(old), &takes, false);
                self.push_arg(1, rhs.register, &value_ty, false);
                match target {
                    Target::Fn(func, args) => self.emit_call(func, &args, new),
                    Target::Dyn(method) => self.emit(Instr::CallDyn { dst: new, method }),
                    Target::Value(closure) => {
                        self.emit(Instr::CallClosure { dst: new, closure: closure.register });
                        self.done(closure);
                    }
                    Target::Derived(..) => {}
                }
                if let Some(taken) = taken {
                    self.release(taken);
                }
                if *check {
                    let checked = self.temp(&ty);
                    self.check_tensors(new, &gives, &ty, checked);
                    self.release(new);
                    self.store_place(&place, checked);
                    self.recycle(checked);
                } else if let Some(fitted) = self.fitted(new, &gives, &ty) {
                    self.release(new);
                    self.store_place(&place, fitted);
                    self.recycle(fitted);
                } else {
                    self.store_place(&place, new);
                    self.recycle(new);
                }
            }
        }
        self.release(old);
        self.release_place(place);
        self.done(rhs);
    }

    /// The value in another register, where the other type is another one to bytecode: that of a bare tensor or of a known one.
    fn fitted(&mut self, value: Reg, from: &Ty, to: &Ty) -> Option<Reg> {
        if self.g.type_id(from) == self.g.type_id(to) {
            return None;
        }
        let fitted = self.temp(to);
        self.check_tensors(value, from, to, fitted);
        Some(fitted)
    }

    /// Whether `op=` on a text puts another one behind it.
    fn appends_text(&mut self, op: &'p AssignOp) -> bool {
        match op {
            AssignOp::Binary(op) => *op == hir::BinaryOp::Add,
            AssignOp::Call { callee, .. } => match self.target(callee) {
                Target::Fn(func, _) => self.g.program.func(func).native.as_deref() == Some("str_concat"),
                _ => false,
            },
        }
    }

    /// `target += value` on texts: the text grows in place when nobody else holds it.
    fn append_text(&mut self, target: &'p Expr, value: &'p Expr) {
        // A value of its own: in `s += s` the target is lent while it is read.
        let more = self.owned_temp(value);
        let place = self.place(target);
        let text = self.open_place(&place, &Ty::Str);
        self.native_lending("str_append", &[], &[(text, Ty::Str), (more, Ty::Str)], Some(&place), &Ty::Unit);
        self.close_place(&place, text);
        self.release_place(place);
        self.release(more);
    }

    // --- tasks -------------------------------------------------------------------------------------------------------------

    /// `dst` = a task that runs the call.
    pub fn spawn_call(&mut self, callee: &'p Callee, args: &'p [Arg], dst: Reg) {
        let mut target = self.target(callee);
        if let Target::Value(closure) = &target {
            if args.is_empty() {
                let closure = *closure;
                self.emit(Instr::SpawnClosure { dst, closure: closure.register });
                return self.done(closure);
            }
            let Callee::Value(value) = callee else { return };
            let ty = self.ty(&value.ty);
            let closure = *closure;
            let func = self.g.instance(Instance::CallValue(ty.clone()));
            let values: Vec<&'p Expr> = args.iter().map(|a| &a.value).collect();
            let operands: Vec<Operand> =
                (0..values.len()).map(|i| self.argument(values[i], &values[i + 1..])).collect();
            self.push_arg(0, closure.register, &ty, closure.temp);
            for (i, (arg, operand)) in args.iter().zip(&operands).enumerate() {
                let ty = self.ty(&arg.value.ty);
                self.push_arg(i + 1, operand.register, &ty, operand.given);
            }
            self.emit(Instr::Spawn { dst, func });
            for operand in operands.into_iter().chain([closure]) {
                if operand.temp {
                    self.recycle(operand.register);
                }
            }
            return;
        }
        if let Target::Derived(derived, ty) = &target {
            let func = self.g.instance(Instance::Derived(*derived, ty.clone()));
            let exprs: Vec<&'p Expr> = args.iter().map(|a| &a.value).collect();
            self.push_all(&exprs);
            return self.emit(Instr::Spawn { dst, func });
        }
        if let Target::Fn(func, type_args) = &mut target {
            let decl = self.g.program.func(*func);
            let instance = if decl.native.is_none() {
                // The body itself is the task, of an `async fn` too.
                Instance::Fn(*func, type_args.clone())
            } else {
                Instance::Wrapper(*func, type_args.clone())
            };
            let func = self.g.instance(instance);
            let exprs: Vec<&'p Expr> = args.iter().map(|a| &a.value).collect();
            self.push_all(&exprs);
            return self.emit(Instr::Spawn { dst, func });
        }
        // A dynamic method: a task that makes the call.
        if let (Target::Dyn(method), Some(receiver)) = (&target, args.first()) {
            let ret = {
                let method = &self.g.module.methods[method.index()];
                (method.params.clone(), method.ret)
            };
            let func = self.g.reserve();
            self.g.module.functions[func.index()] = dyn_task(*method, &receiver.value, ret, self);
            let exprs: Vec<&'p Expr> = args.iter().map(|a| &a.value).collect();
            self.push_all(&exprs);
            self.emit(Instr::Spawn { dst, func });
        }
    }

    /// The value of an `await f(args)` whose task nobody else can see: a plain call.
    pub fn call_awaited(&mut self, callee: &'p Callee, args: &'p [Arg], dst: Reg) -> bool {
        let Target::Fn(func, type_args) = self.target(callee) else { return false };
        let decl = self.g.program.func(func);
        if decl.kind != FnKind::Async || decl.native.is_some() {
            return false;
        }
        self.call_with(Target::Fn(func, type_args), args, |f, target| {
            if let Target::Fn(func, type_args) = target {
                let func = f.g.instance(Instance::Fn(*func, type_args.clone()));
                f.emit(Instr::Call { dst, func });
            }
        });
        true
    }
}

/// `fn(dyn, args…) = method(dyn, args…)`
fn dyn_task(
    method: stark_bytecode::MethodId,
    receiver: &Expr,
    (params, ret): (Vec<stark_bytecode::TypeId>, stark_bytecode::TypeId),
    outer: &mut FnBuilder,
) -> stark_bytecode::Function {
    let mut code = Vec::new();
    let is_ref: Vec<bool> = params.iter().map(|p| outer.g.module.is_ref(*p)).collect();
    for (i, is_ref) in (0u16..).zip(&is_ref) {
        let (out, src) = (Out(i), Reg(i));
        code.push(if *is_ref { Instr::ArgMove { out, src } } else { Instr::Arg { out, src } });
    }
    let dst = Reg(params.len() as u16);
    code.push(Instr::CallDyn { dst, method });
    code.push(if outer.g.module.is_ref(ret) {
        Instr::ReturnRef { src: dst }
    } else {
        Instr::ReturnScalar { src: dst }
    });
    let (_, line, col) = outer.g.sources.location(receiver.span);
    let file = outer.g.file(receiver.span.source);
    let mut registers = params.clone();
    registers.push(ret);
    stark_bytecode::Function {
        name: "task".to_string(),
        n_params: params.len() as u16,
        registers,
        n_out: params.len() as u16,
        ret,
        code,
        lines: vec![stark_bytecode::Line { pc: 0, file, line: line as u32, col: col as u32 }],
        ..Default::default()
    }
}

/// The variable that a place begins with.
fn root_of(place: &Expr) -> Option<LocalId> {
    match &place.kind {
        ExprKind::Local(local) => Some(*local),
        ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => root_of(base),
        ExprKind::OrInsert { map, .. } => root_of(map),
        _ => None,
    }
}
