//! Methods: found by the receiver's type, in its own impls, its traits' impls, and the traits its bounds promise.

use super::args::Spec;
use super::*;
use crate::foreign;
use crate::index::Entity;
use crate::types::infer::VarKind;

/// A method found through a trait on a type that is not concrete here, or is derived.
#[derive(Clone, Debug)]
pub struct TraitCall {
    pub trait_: TraitId,
    pub method: u32,
    /// `Self`, the trait's own arguments, then the method's.
    pub args: Vec<Ty>,
}

impl<'a> Checker<'a> {
    /// The functions that `x.name` may mean for an `x` of this type, each with its type arguments.
    pub fn methods_of(&mut self, ty: &Ty, name: &str) -> Vec<(FnId, Vec<Ty>)> {
        self.settle_texts(ty);
        let mut found = self.inherent_of(ty, name, true);
        if found.is_empty() {
            found.extend(self.trait_impl_of(ty, name, true));
        }
        found
    }

    /// `Dataset::load(path)`: what is a text unless something says otherwise is one when it is asked for a method.
    fn settle_texts(&mut self, ty: &Ty) {
        let Ty::Adt(_, args) = ty else { return };
        for arg in args.iter() {
            let arg = self.infer.shallow(arg);
            let Ty::Infer(var) = arg else { continue };
            let is_text = |(of, default): &(Ty, Ty)| {
                *default == Ty::Str && matches!(self.infer.shallow(of), Ty::Infer(other) if other == var)
            };
            if self.f.defaults.iter().any(is_text) {
                self.infer.unify(&arg, &Ty::Str);
            }
        }
    }

    /// The functions that `Type::name` may mean.
    pub fn associated(&mut self, ty: &Ty, name: &str) -> Vec<(FnId, Vec<Ty>)> {
        let mut found = self.inherent_of(ty, name, false);
        if found.is_empty() {
            found.extend(self.trait_impl_of(ty, name, false));
        }
        found
    }

    fn inherent_of(&mut self, ty: &Ty, name: &str, with_self: bool) -> Vec<(FnId, Vec<Ty>)> {
        let Some(rows) = self.inherent.get(name).cloned() else { return Vec::new() };
        let span = Span::default();
        let mut strong = Vec::new();
        let mut weak = Vec::new();
        for (imp, func) in rows {
            if with_self && !self.fns[func.index()].has_self {
                continue;
            }
            let (mark, n_vars) = (self.infer.mark(), self.infer.n_vars());
            // `Dataset::from`: what one impl makes of the open `T` is not what the next one sees.
            let probe = if with_self { ty.clone() } else { self.with_fresh_arguments(ty) };
            match self.impl_fits(imp, &probe) {
                Some(mut args) => {
                    if with_self && self.infer.bound_older_than(mark, n_vars) {
                        self.infer.rollback(mark);
                        weak.push((imp, func));
                        continue;
                    }
                    let own = self.program.fns[func.index()].generics.len() - args.len();
                    args.extend((0..own).map(|_| self.infer.fresh(VarKind::Any, span)));
                    self.default_type_of(func, &args);
                    strong.push((func, args));
                }
                None => self.infer.rollback(mark),
            }
        }
        if strong.is_empty()
            && let Some((imp, func)) = weak.first().copied()
            && let Some(mut args) = self.impl_fits(imp, ty)
        {
            let own = self.program.fns[func.index()].generics.len() - args.len();
            args.extend((0..own).map(|_| self.infer.fresh(VarKind::Any, span)));
            strong.push((func, args));
        }
        strong
    }

    /// The type with a new variable for each argument that is open.
    fn with_fresh_arguments(&mut self, ty: &Ty) -> Ty {
        let Ty::Adt(id, args) = ty else { return ty.clone() };
        let args: Vec<Ty> = args
            .iter()
            .map(|arg| match self.infer.shallow(arg) {
                Ty::Infer(v) if self.infer.kind(v) == VarKind::Any => self.infer.fresh(VarKind::Any, Span::default()),
                known => known,
            })
            .collect();
        Ty::Adt(*id, args.into())
    }

    /// The number type that this variable gets by the default of a function that was called.
    fn number_by_default(&mut self, var: u32) -> Option<Ty> {
        let found = self.f.defaults.iter().find(|(of, default)| {
            matches!(default, Ty::Num(_)) && matches!(self.infer.shallow(of), Ty::Infer(other) if other == var)
        });
        found.map(|(_, default)| default.clone())
    }

    /// Gives the variable that a function with a default type has left open that type. A literal with a point makes a tensor of
    /// `Float32` where a whole one makes one of `Int64`.
    pub fn take_default(&mut self, var: &Ty, default: &Ty) {
        let var = self.infer.shallow(var);
        let Ty::Infer(open) = var else { return };
        let is_float = self.infer.kind(open) == VarKind::FloatLit && *default == Ty::Num(NumKind::Int64);
        let default = if is_float { Ty::Num(NumKind::Float32) } else { default.clone() };
        self.infer.unify(&var, &default);
    }

    fn default_type_of(&mut self, func: FnId, args: &[Ty]) {
        self.f.asks_nested |= self.program.fns[func.index()].native.as_deref() == Some("tensor_to_nested");
        let outer = self.fns[func.index()].n_outer;
        if let Some(default) = self.fns[func.index()].default_type.clone()
            && let Some(var) = args.get(outer).or(args.first())
        {
            self.f.defaults.push((var.clone(), default));
        }
        self.open_elements(func, args);
    }

    /// What a native takes tensors of may stay open, as it is for a bare `Tensor`: nothing but the tensor knows it.
    pub fn open_elements(&mut self, func: FnId, args: &[Ty]) {
        let def = &self.program.fns[func.index()];
        if def.native.is_none() {
            return;
        }
        for (i, arg) in args.iter().enumerate().filter(|(_, arg)| matches!(arg, Ty::Infer(_))) {
            let is_element = |ty: &Ty| names_elements_only(ty, i as u32);
            let is_any = def.generics.get(i).is_some_and(|generic| generic.bounds.is_empty());
            if is_any && def.params.iter().all(|param| is_element(&param.ty)) && is_element(&def.ret) {
                self.f.defaults.push((arg.clone(), Ty::Unit));
            }
        }
    }

    fn trait_impl_of(&mut self, ty: &Ty, name: &str, with_self: bool) -> Option<(FnId, Vec<Ty>)> {
        let known = self.infer.shallow(ty);
        if matches!(known, Ty::Param(..) | Ty::Dyn(..)) {
            return None;
        }
        for (trait_, position) in self.trait_methods.get(name).cloned()? {
            let decl = self.program.traits[trait_.index()].methods[position as usize];
            if with_self && !self.fns[decl.index()].has_self {
                continue;
            }
            let mark = self.infer.mark();
            let Some((imp, impl_args)) = self.find_impl(trait_, ty) else {
                self.infer.rollback(mark);
                continue;
            };
            let span = Span::default();
            // One that takes `self` where the trait's does not, or the other way round, was reported: the trait's is called.
            let has_self = self.fns[decl.index()].has_self;
            if let Some(func) = self.program.impls[imp.index()].methods[position as usize]
                && self.fns[func.index()].has_self == has_self
            {
                let mut args = impl_args;
                let own = self.program.fns[func.index()].generics.len().saturating_sub(args.len());
                args.extend((0..own).map(|_| self.infer.fresh(VarKind::Any, span)));
                return Some((func, args));
            }
            if self.traits[trait_.index()].derived {
                self.infer.rollback(mark);
                continue;
            }
            // The trait's default: `Self`, the trait's arguments, its own.
            let mut args = vec![ty.clone()];
            args.extend(self.program.impls[imp.index()].trait_args.iter().map(|t| t.subst(&impl_args)));
            let own = self.program.fns[decl.index()].generics.len().saturating_sub(args.len());
            args.extend((0..own).map(|_| self.infer.fresh(VarKind::Any, span)));
            return Some((decl, args));
        }
        None
    }

    /// A trait's method on a parameter with that bound, on a dynamic value, or derived for any type.
    pub fn trait_call_of(&mut self, ty: &Ty, name: &str, with_self: bool) -> Option<TraitCall> {
        let known = self.infer.shallow(ty);
        for (trait_, method) in self.trait_methods.get(name).cloned()? {
            let decl = self.program.traits[trait_.index()].methods[method as usize];
            if with_self && !self.fns[decl.index()].has_self {
                continue;
            }
            if self.meets(&known, &Bound::plain(trait_)) == Met::Yes {
                let n = self.program.fns[decl.index()].generics.len();
                let mut args = vec![known.clone()];
                if matches!(known, Ty::Param(..) | Ty::Dyn(..)) {
                    args.extend(self.trait_args_of(&known, trait_).iter().flat_map(|a| a.iter().cloned()));
                }
                args.extend((args.len()..n).map(|_| self.infer.fresh(VarKind::Any, Span::default())));
                return Some(TraitCall { trait_, method, args });
            }
        }
        None
    }

    pub fn method_call(
        &mut self,
        receiver: Expr,
        name: &'a ast::Ident,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let receiver = self.part_of_zone(receiver, &name.name);
        let mut ty = self.infer.shallow(&receiver.ty);
        if let Ty::Infer(v) = ty {
            match self.infer.kind(v) {
                VarKind::Braces => {
                    let set = matches!(&*name.name, "union" | "intersection" | "difference")
                        || (&*name.name == "insert" && args.len() == 1);
                    let made = if set {
                        Ty::Adt(self.program.lang.set, Rc::from([self.infer.fresh(VarKind::Any, span)]))
                    } else {
                        let (k, v) = (self.infer.fresh(VarKind::Any, span), self.infer.fresh(VarKind::Any, span));
                        Ty::Adt(self.program.lang.map, Rc::from([k, v]))
                    };
                    self.infer.unify(&ty, &made);
                    ty = made;
                }
                // `ones([3]).sum().item().sqrt()`: of the type that the tensor gets when nothing says another.
                VarKind::Any if let Some(default) = self.number_by_default(v) => {
                    self.take_default(&ty, &default);
                    ty = self.infer.shallow(&ty);
                }
                VarKind::Any => {
                    self.report(
                        Diagnostic::error(
                            codes::CANNOT_INFER,
                            format!("the type of this must be known before `.{}`", name.name),
                            receiver.span,
                            "its type is not known yet",
                        )
                        .help("write the type where it is declared"),
                    );
                    self.infer.unify(&ty, &Ty::Error);
                    self.check_stray(args);
                    return self.err(span);
                }
                _ => {}
            }
        }
        if ty == Ty::Error || ty == Ty::Never {
            self.check_stray(args);
            return self.err(span);
        }
        if let Some(e) = self.message_call(&receiver, &ty, name, args, span, hint) {
            return e;
        }
        self.note_known_method(&ty, name);
        if let Some(e) = self.known_method(&receiver, &ty, name, args, span, hint) {
            return e;
        }
        let mut candidates = self.methods_of(&ty, &name.name);
        if let Some(func) = candidates.first().map(|(func, _)| *func) {
            self.check_private_method(func, name);
            let by_type = self.fns[func.index()].type_argument;
            let mut args = args;
            if by_type
                && let Some((first, rest)) = args.split_first()
                && let Some(t) = self.type_argument(&first.value)
            {
                let outer = self.fns[func.index()].n_outer;
                if let Some(slot) = candidates[0].1.get(outer).cloned() {
                    self.infer.unify(&slot, &t);
                }
                candidates.truncate(1);
                args = rest;
            }
            for (id, list) in &candidates {
                let outer = self.fns[id.index()].n_outer;
                for (i, t) in written.iter().enumerate() {
                    if let Some(slot) = list.get(outer + i) {
                        self.infer.unify(slot, t);
                    }
                }
            }
            self.lend_receiver(func, &receiver, span, name);
            let receiver = self.fit_receiver(candidates[0].0, &candidates[0].1.clone(), receiver);
            return self.call_candidates(candidates, Some(receiver), args, span, hint, (&name.name, name.span));
        }
        if let Some(call) = self.trait_call_of(&ty, &name.name, true) {
            return self.trait_call(call, Some((receiver, name)), args, span, hint);
        }
        match self.field_of(receiver, name, span) {
            Ok(callee) => self.call_closure(callee, args, span, &name.name),
            Err(receiver) => {
                let found = receiver.ty.clone();
                self.no_member(&found, name, true, receiver.span);
                self.check_stray(args);
                self.err(span)
            }
        }
    }

    /// A part of a zone's value that the method only looks at is taken out, and the guard ends before the arguments are there.
    /// One that it changes stays in its place.
    fn part_of_zone(&mut self, receiver: Expr, method: &str) -> Expr {
        match self.open_guard(&receiver) {
            Some((at, false)) if !self.changes_receiver(&receiver.ty, method) => self.close_guards(receiver, at),
            _ => receiver,
        }
    }

    fn changes_receiver(&mut self, ty: &Ty, method: &str) -> bool {
        let ty = self.infer.shallow(ty);
        if matches!(ty, Ty::Adt(id, _) if id == self.program.lang.map) && method == "or_insert" {
            return true;
        }
        let func = match self.methods_of(&ty, method).first() {
            Some((func, _)) => Some(*func),
            None => self
                .trait_call_of(&ty, method, true)
                .map(|call| self.program.traits[call.trait_.index()].methods[call.method as usize]),
        };
        func.and_then(|f| self.program.fns[f.index()].params.first()).is_some_and(|p| p.mode == ParamMode::RefMut)
    }

    /// A receiver whose tensor type is less known than the method's target is checked when it arrives.
    fn fit_receiver(&mut self, func: FnId, args: &[Ty], receiver: Expr) -> Expr {
        let Some(param) = self.program.fns[func.index()].params.first() else { return receiver };
        if param.mode == ParamMode::RefMut {
            return receiver;
        }
        let ty = param.ty.subst(args);
        match (self.infer.shallow(&receiver.ty), &ty) {
            (Ty::Tensor(TensorTy { elem: None, .. }), Ty::Tensor(_)) => self.coerce(receiver, &ty),
            _ => receiver,
        }
    }

    fn check_private_method(&mut self, func: FnId, name: &ast::Ident) {
        let def = &self.program.fns[func.index()];
        let (theirs, ours) = (def.module, self.f.env.module);
        if name.name.starts_with('_') && theirs != ours && !self.parsed[ours.index()].is_std {
            let at = def.span;
            self.report(
                Diagnostic::error(
                    codes::PRIVATE_NAME,
                    format!("method `{}` is private to its module", name.name),
                    name.span,
                    "cannot be used here",
                )
                .because(at, "declared here"),
            );
        }
    }

    fn lend_receiver(&mut self, func: FnId, receiver: &Expr, span: Span, name: &ast::Ident) {
        if self.program.fns[func.index()].params.first().is_some_and(|p| p.mode == ParamMode::RefMut) {
            let _ = span;
            self.require_mutable(receiver, Span { end: name.span.end, ..receiver.span }, true);
        }
    }

    /// A call through a trait: chosen when the type is concrete.
    pub fn trait_call(
        &mut self,
        call: TraitCall,
        receiver: Option<(Expr, &'a ast::Ident)>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let decl = self.program.traits[call.trait_.index()].methods[call.method as usize];
        let skip = usize::from(receiver.is_some());
        if let Some((_, at)) = &receiver {
            self.note(at.span, Entity::Fn(decl));
        }
        self.note_named_params(decl, args);
        let name = self.program.fns[decl.index()].name.clone();
        let short = super::names::short_name(&name).to_string();
        let specs: Vec<Spec> = self.specs(decl, &call.args, skip);
        let ret = self.called_ret(decl, &call.args);
        let Some(slots) = self.matched(&short, &specs, args, span) else { return self.err(span) };
        if let Some(hint) = hint {
            self.hint_ret(&ret, hint);
        }
        let mut out = self.arguments(&specs, &slots, args, &call.args, span);
        let before = self.in_written_order(&slots, &mut out);
        if let Some((receiver, name)) = receiver {
            let mode = self.program.fns[decl.index()].params[0].mode;
            if mode == ParamMode::RefMut {
                self.require_mutable(&receiver, Span { end: name.span.end, ..receiver.span }, true);
            }
            out.insert(0, Arg { mode, value: receiver });
        }
        self.check_lent(decl, &call.args, &mut out);
        self.check_exclusive(&out, skip == 1);
        let n_trait = self.traits[call.trait_.index()].n_args;
        let own = call.args[(1 + n_trait).min(call.args.len())..].to_vec();
        let callee =
            Callee::Trait { trait_: call.trait_, method: call.method, self_ty: call.args[0].clone(), type_args: own };
        let ty = self.infer.resolve(&ret);
        Self::after(before, Expr { kind: ExprKind::Call { callee, args: out }, ty, span })
    }

    /// `T::zero()` on a type parameter.
    pub fn param_associated(
        &mut self,
        ty: &Ty,
        name: &'a ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Option<Expr> {
        let call = self.trait_call_of(ty, &name.name, false)?;
        let decl = self.program.traits[call.trait_.index()].methods[call.method as usize];
        self.note(name.span, Entity::Fn(decl));
        Some(self.trait_call(call, None, args, span, None))
    }

    /// A method called by the checker itself, with arguments that are typed.
    pub fn call_method_named(&mut self, receiver: Expr, name: &str, args: Vec<Expr>, span: Span) -> Option<Expr> {
        let ty = self.infer.shallow(&receiver.ty);
        if ty == Ty::Error {
            return Some(self.err(span));
        }
        let candidates = self.methods_of(&ty, name);
        for strict in [true, false] {
            for (func, type_args) in &candidates {
                let (func, type_args) = (*func, type_args.clone());
                let specs = self.specs(func, &type_args, 1);
                let enough = specs.iter().skip(args.len()).all(|s| s.default.is_some());
                if specs.len() < args.len() || !enough {
                    continue;
                }
                self.ensure_ret(func, span);
                let mark = self.infer.mark();
                let mut out: Vec<Option<Arg>> = vec![None; specs.len()];
                let mut ok = true;
                for (i, arg) in args.iter().enumerate() {
                    let want = self.infer.shallow(&specs[i].ty);
                    let found = self.infer.shallow(&arg.ty);
                    if strict && !specs[i].iterable && matches!(want, Ty::Infer(_)) && matches!(found, Ty::Tensor(_)) {
                        ok = false;
                        break;
                    }
                    match self.try_coerce(arg.clone(), &specs[i].ty) {
                        Ok(value) => out[i] = Some(Arg { mode: specs[i].mode, value }),
                        Err(_) => {
                            ok = false;
                            break;
                        }
                    }
                }
                if !ok {
                    self.infer.rollback(mark);
                    continue;
                }
                let mut out = self.fill_defaults(out, &specs, &type_args, span);
                let receiver = self.fit_receiver(func, &type_args, receiver);
                let mode = self.program.fns[func.index()].params[0].mode;
                out.insert(0, Arg { mode, value: receiver });
                self.require_fn_bounds(func, &type_args, span);
                return Some(self.call_fn(func, type_args, out, span));
            }
        }
        if candidates.is_empty()
            && let Some(call) = self.trait_call_of(&ty, name, true)
        {
            let decl = self.program.traits[call.trait_.index()].methods[call.method as usize];
            let specs = self.specs(decl, &call.args, 1);
            let ret = self.called_ret(decl, &call.args);
            let mode = self.program.fns[decl.index()].params[0].mode;
            let mut out = vec![Arg { mode, value: receiver }];
            for (spec, arg) in specs.iter().zip(args) {
                out.push(Arg { mode: spec.mode, value: self.coerce(arg, &spec.ty) });
            }
            let n_trait = self.traits[call.trait_.index()].n_args;
            let own = call.args[(1 + n_trait).min(call.args.len())..].to_vec();
            let self_ty = call.args[0].clone();
            let callee = Callee::Trait { trait_: call.trait_, method: call.method, self_ty, type_args: own };
            return Some(Expr { kind: ExprKind::Call { callee, args: out }, ty: ret, span });
        }
        None
    }

    /// Names of what a type offers after the dot.
    fn member_names(&mut self, ty: &Ty) -> Vec<Rc<str>> {
        let mut out: Vec<Rc<str>> = Vec::new();
        let known = self.infer.shallow(ty);
        if let Ty::Adt(id, args) = &known {
            if let AdtKind::Struct(fields) = &self.program.adts[id.index()].kind {
                out.extend(fields.iter().map(|f| f.name.clone()));
            }
            if *id == self.program.lang.actor_ref
                && let Some(Ty::Adt(actor, _)) = args.first()
                && let AdtKind::Actor(def) = &self.program.adts[actor.index()].kind
            {
                out.extend(def.handlers.iter().map(|h| h.name.clone()));
                out.extend(["ask", "send", "batch_ask"].map(Rc::from));
            }
        }
        let rows: Vec<(Rc<str>, ImplId)> =
            self.inherent.iter().flat_map(|(n, l)| l.iter().map(|(i, _)| (n.clone(), *i))).collect();
        for (name, imp) in rows {
            let mark = self.infer.mark();
            if self.impl_fits(imp, &known).is_some() {
                out.push(name);
            }
            self.infer.rollback(mark);
        }
        out
    }

    /// E0303, with what was meant.
    pub fn no_member(&mut self, ty: &Ty, name: &ast::Ident, called: bool, base: Span) {
        let known = self.infer.shallow(ty);
        if known == Ty::Error || matches!(&known, Ty::Adt(id, _) if self.inits.contains(id)) {
            return;
        }
        let shown = self.show(&known);
        let what = if called { "method" } else { "field" };
        let mut d = Diagnostic::error(
            codes::NO_SUCH_MEMBER,
            format!("`{shown}` has no {what} `{}`", name.name),
            name.span,
            format!("not a {what} of `{shown}`"),
        );
        let mut names = self.member_names(&known);
        if let Ty::Dyn(id, _) = &known {
            let methods = self.program.traits[id.index()].methods.clone();
            names.extend(methods.iter().map(|f| Rc::from(super::names::short_name(&self.program.fns[f.index()].name))));
        }
        let has = |n: &str| names.iter().any(|m| &**m == n);
        let is_method = !self.methods_of(&known, &name.name).is_empty() || self.is_message(&known, &name.name);
        if !called && is_method {
            let text = self.text(base);
            let on = if text.contains('\n') || text.len() > 40 { "…" } else { text };
            d = d.help(format!(
                "`{0}` is a method: call it, `.{0}(…)`; where a function is wanted, write `|x| {on}.{0}(x)`",
                name.name
            ));
        } else if let (Ty::Tensor(_), Some(way)) = (&known, foreign::tensor_way(&name.name)) {
            d = d.help(way);
        } else if let Some(ours) = foreign::meant(&name.name, has) {
            // `xs.length` is not a field here, either.
            let is_method =
                !self.methods_of(&known, &ours).is_empty() || self.trait_call_of(&known, &ours, true).is_some();
            let is_call = !called && is_method;
            let ours = if is_call { format!("{ours}()") } else { ours };
            d = d.help(format!("STARK calls it `{ours}`")).fix(format!("write `{ours}`"), vec![(name.span, ours)]);
        } else if let Some(help) = self.meant_for_an_actor(&known, &name.name) {
            d = d.help(help);
        } else if let Some(mend) = self.inside(&known, base) {
            d = mend.onto(d);
        } else if let Some(way) = foreign::member_way(&name.name) {
            d = d.help(way);
        } else if let Some(near) = nearest(&name.name, names.iter().map(|n| &**n)) {
            d = d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![(name.span, near)]);
        } else if let Ty::Param(_, p) = &known
            && let Some(rows) = self.trait_methods.get(&name.name)
        {
            let t = self.program.traits[rows[0].0.index()].name.clone();
            d = d.help(format!("write `<{p}: {t}>` where `{p}` is declared"));
        }
        self.report(d);
    }

    /// Whether an actor's reference takes this as a message.
    fn is_message(&self, ty: &Ty, name: &str) -> bool {
        let Ty::Adt(id, args) = ty else { return false };
        if *id != self.program.lang.actor_ref {
            return false;
        }
        let Some(Ty::Adt(actor, _)) = args.first().map(|t| self.infer.shallow(t)) else { return false };
        matches!(&self.program.adts[actor.index()].kind, AdtKind::Actor(def) if def.handlers.iter().any(|h| &*h.name == name))
    }

    pub fn is_broadcast(&self, id: AdtId) -> bool {
        &*self.program.adts[id.index()].name == "BroadcastChannel"
    }

    /// What to do instead, when the name is one of an actor's reference, its state, or of a subscription.
    fn meant_for_an_actor(&self, ty: &Ty, name: &str) -> Option<String> {
        let Ty::Adt(id, args) = ty else { return None };
        if self.is_broadcast(*id) {
            return (name == "recv").then(|| "`subscribe()` gives one that receives".to_string());
        }
        if matches!(self.program.adts[id.index()].kind, AdtKind::Actor(_)) {
            let is_message = self.actor_methods.get(id).is_some_and(|methods| methods.contains_key(name));
            return (matches!(name, "ask" | "send" | "batch_ask") || is_message)
                .then(|| "`spawn_actor(…)` starts it, and gives the reference that takes messages".to_string());
        }
        if *id != self.program.lang.actor_ref {
            return None;
        }
        let Ty::Adt(actor, _) = self.infer.shallow(args.first()?) else { return None };
        match &self.program.adts[actor.index()].kind {
            AdtKind::Actor(def) if def.fields.iter().any(|f| &*f.name == name) => {
                Some(format!("an actor's state is its own: give it a method that answers with `{name}`"))
            }
            _ => None,
        }
    }

    pub fn no_associated(&mut self, ty: &Ty, name: &ast::Ident) {
        if *ty == Ty::Error {
            return;
        }
        let shown = self.show(ty);
        let mut names: Vec<Rc<str>> = self.member_names(ty);
        if let Ty::Adt(id, _) = ty {
            names.extend(self.adts[id.index()].variants.keys().cloned());
        }
        let mut d = Diagnostic::error(
            codes::NO_SUCH_MEMBER,
            format!("`{shown}` has no `{}`", name.name),
            name.span,
            "not found there",
        );
        let head = match ty {
            Ty::Adt(id, _) if &*name.name == "new" => self.program.adts[id.index()].name.clone(),
            _ => Rc::from(""),
        };
        if let Some(help) = super::construct::made_by(&head) {
            d = d.help(help);
        } else if *ty == Ty::Str {
            d = d.help("a text is a value already: `\"abc\"`; `str(x)` gives the text of another value");
        } else if let Some(near) = nearest(&name.name, names.iter().map(|n| &**n)) {
            d = d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![(name.span, near)]);
        }
        self.report(d);
    }
}

/// Whether type parameter number `i` is in `ty` at most as the element type of tensors.
fn names_elements_only(ty: &Ty, i: u32) -> bool {
    let all = |tys: &[Ty]| tys.iter().all(|ty| names_elements_only(ty, i));
    match ty {
        Ty::Param(at, _) => *at != i,
        Ty::Tuple(tys) | Ty::Adt(_, tys) | Ty::Dyn(_, tys) => all(tys),
        Ty::Fn(params, ret) => all(params) && names_elements_only(ret, i),
        _ => true,
    }
}
