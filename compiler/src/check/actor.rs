//! Actors and what the checker itself knows: methods by their bare names, messages, models, tensors.

use super::args::Spec;
use super::dims::strip_names;
use super::*;
use crate::foreign;
use crate::index::Entity;
use crate::types::infer::VarKind;

impl<'a> Checker<'a> {
    /// A method of the actor by its bare name, inside its body.
    pub fn actor_call(
        &mut self,
        (name, name_span): (&str, Span),
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Option<Expr> {
        let adt = self.f.actor?;
        let func = *self.actor_methods.get(&adt)?.get(name)?;
        if self.f.bodies.len() > 1 {
            let task = self.f.bodies.iter().any(|b| b.in_task);
            self.report(
                Diagnostic::error(
                    if task { codes::TASK_MUTATES } else { codes::ASSIGN_CAPTURED },
                    format!("`{name}` may change the actor's state, which this has a copy of only"),
                    span,
                    "called on a copy",
                )
                .help("call it outside, and pass the result in"),
            );
        }
        self.ensure_ret(func, span);
        let generics = self.program.fns[func.index()].generics.clone();
        let mut type_args: Vec<Ty> =
            generics.iter().enumerate().map(|(i, g)| Ty::Param(i as u32, g.name.clone())).collect();
        // A method's own types are found at each call.
        let n_outer = self.fns[func.index()].n_outer;
        for own in type_args.iter_mut().skip(n_outer) {
            *own = self.infer.fresh(VarKind::Any, span);
        }
        let state_ty = self.f.bodies[0].locals.first().map_or(Ty::Error, |l| l.ty.clone());
        let state = Expr { kind: ExprKind::Local(LocalId(0)), ty: state_ty, span };
        Some(self.call_candidates(vec![(func, type_args)], Some(state), args, span, hint, (name, name_span)))
    }

    /// `ref.ask(x)`, `ref.send(x)`, `ref.batch_ask(xs)`, `ref.method(args)`
    pub fn message_call(
        &mut self,
        receiver: &Expr,
        ty: &Ty,
        name: &'a ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Option<Expr> {
        let Ty::Adt(id, targs) = ty else { return None };
        let lang = &self.program.lang;
        let (is_ref, is_model) = (*id == lang.actor_ref, *id == lang.model_actor_ref);
        if !is_ref && !is_model {
            return None;
        }
        let actor = if is_ref { Some(self.infer.shallow(&targs[0])) } else { None };
        let (def, actor_args, actor_id) = match &actor {
            Some(Ty::Adt(a, args)) => match &self.program.adts[a.index()].kind {
                AdtKind::Actor(def) => (Some(def.clone()), args.clone(), Some(*a)),
                _ => (None, Rc::from([]), None),
            },
            _ => (None, Rc::from([]), None),
        };
        let basic = matches!(&*name.name, "ask" | "send" | "batch_ask");
        if let (Some(def), false) = (&def, basic)
            && let Some(position) = def.handlers.iter().position(|h| h.name == name.name && &*h.name != "on_receive")
        {
            let handler = def.handlers[position].clone();
            return Some(self.message_to(receiver, &handler, position as u32, &actor_args, name, args, span, hint));
        }
        if let (Some(a), false) = (actor_id, basic)
            && self.actor_methods.get(&a).is_some_and(|m| m.contains_key(&name.name))
            && self.methods_of(ty, &name.name).is_empty()
        {
            let d = Diagnostic::error(
                codes::PRIVATE_NAME,
                format!("`{}` is not a message: it stays inside the actor", name.name),
                name.span,
                "cannot be sent",
            );
            self.report(match &*name.name {
                "on_receive" | "on_batch" => d.help(format!("`{}.ask(…)` asks it", self.text(receiver.span))),
                "on_start" | "on_stop" | "on_error" => d.help("the runtime calls it"),
                _ => d,
            });
            self.check_stray(args);
            return Some(self.err(span));
        }
        if !basic {
            return None;
        }
        if let Some(receive) = def.as_ref().filter(|d| d.has_receive).and_then(|d| d.handlers.first()) {
            self.note(name.span, Entity::Fn(receive.func));
        }
        let (input, output) = match (&def, is_model) {
            (_, true) => (targs[0].clone(), targs[1].clone()),
            (Some(_), _) => match self.receive_types(&targs[0].clone()) {
                Some(types) => types,
                None if def.as_ref().is_some_and(|d| d.has_receive) => {
                    // Its `on_receive` is wrong, and that is told.
                    self.check_stray(args);
                    return Some(self.err(span));
                }
                None => {
                    let shown = actor.as_ref().map_or(String::new(), |t| self.show(t));
                    self.error(
                        codes::NO_SUCH_MEMBER,
                        format!("`{shown}` has no `on_receive`, so it cannot be asked"),
                        name.span,
                        "only its methods are messages",
                    );
                    self.check_stray(args);
                    return Some(self.err(span));
                }
            },
            (None, _) => {
                // The actor's type is not known: nothing can be said.
                self.check_stray(args);
                if !matches!(actor, Some(Ty::Error)) {
                    let shown = self.show(ty);
                    self.error(
                        codes::CANNOT_INFER,
                        format!("which actor is asked must be known (`{shown}`)"),
                        receiver.span,
                        "not known yet",
                    );
                }
                return Some(self.err(span));
            }
        };
        let (input, output) =
            (strip_names(&input, self.program.lang.model), strip_names(&output, self.program.lang.model));
        let handler = def.as_ref().and_then(|d| d.handlers.first());
        let batched = handler.and_then(|h| h.batch.as_ref()).is_some_and(|b| !b.as_vec);
        let stated = input.clone();
        let input = if batched { self.strip_dims(&input) } else { input };
        let (kind, ty, message_ty, iterable) = match &*name.name {
            "ask" => (MessageKind::Ask, self.future(output), input, false),
            "send" => (MessageKind::Send, Ty::Unit, input, false),
            _ => {
                let list = |t: Ty| Ty::Adt(self.program.lang.vec, Rc::from([t]));
                (MessageKind::BatchAsk, self.future(list(output)), list(input), true)
            }
        };
        let mut specs = vec![Spec {
            name: Rc::from(if iterable { "inputs" } else { "input" }),
            ty: message_ty,
            mode: ParamMode::Value,
            default: None,
            iterable,
            dims: true,
            declared: None,
        }];
        let (timeout, rest) = self.split_timeout(args);
        // A handler's own name for its input may be used, too.
        if let Some(h) = def.as_ref().and_then(|d| d.handlers.first())
            && let Some(p) = self.program.fns[h.func.index()].params.get(1)
            && !iterable
        {
            specs[0].name = p.name.clone();
        }
        self.refuse_kept_borrows(args, &name.name);
        let Some(slots) = self.match_quiet(&name.name, &specs, &rest, span) else {
            return Some(Expr { kind: ExprKind::Error, ty, span });
        };
        let _ = slots;
        let mut arg = self.argument(rest[0], &specs[0]);
        if batched && !iterable {
            arg.value = self.batch_or_row(arg.value, &stated);
        }
        let kind = ExprKind::Message {
            actor: Box::new(receiver.clone()),
            handler: 0,
            kind,
            args: vec![arg.value],
            timeout: timeout.map(Box::new),
        };
        Some(Expr { kind, ty, span })
    }

    fn future(&self, ty: Ty) -> Ty {
        Ty::Adt(self.program.lang.future, Rc::from([ty]))
    }

    /// `timeout = d` out of a message's arguments.
    fn split_timeout(&mut self, args: &'a [ast::Arg]) -> (Option<Expr>, Vec<&'a ast::Arg>) {
        let mut timeout = None;
        let mut rest = Vec::new();
        for arg in args {
            match &arg.name {
                Some(n) if &*n.name == "timeout" => timeout = Some(self.check_expr(&arg.value, &Ty::Duration)),
                _ => rest.push(arg),
            }
        }
        (timeout, rest)
    }

    /// One message, by position or name.
    fn match_quiet(&mut self, what: &str, specs: &[Spec], args: &[&'a ast::Arg], span: Span) -> Option<()> {
        if args.len() == 1 && args[0].name.as_ref().is_none_or(|n| n.name == specs[0].name) {
            return Some(());
        }
        let d = Diagnostic::error(
            codes::ARGUMENTS,
            format!("`{what}` takes one message, {} given", args.len()),
            span,
            "a message is one value",
        );
        let is_plain = args.len() > 1 && args.iter().all(|arg| arg.name.is_none());
        self.report(match args {
            [first, .., last] if is_plain => {
                let all = self.text(first.span.to(last.span)).to_string();
                d.help(format!("several go as a tuple, `{what}(({all}))`, which the handler takes as one parameter"))
            }
            _ => d.help("several go as a tuple or a struct, which the handler takes as one parameter"),
        });
        for arg in args {
            self.expr(&arg.value, None);
        }
        None
    }

    fn message_to(
        &mut self,
        receiver: &Expr,
        handler: &ActorHandler,
        position: u32,
        actor_args: &[Ty],
        name: &'a ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
        _hint: Option<&Ty>,
    ) -> Expr {
        self.note(name.span, Entity::Fn(handler.func));
        self.note_named_params(handler.func, args);
        self.ensure_ret(handler.func, span);
        if self.program.fns[handler.func.index()].generics.len() > self.fns[handler.func.index()].n_outer {
            // That a message has types of its own is told where it is declared.
            self.check_stray(args);
            return self.err(span);
        }
        let has_timeout = args.iter().any(|a| a.name.as_ref().is_some_and(|n| &*n.name == "timeout"));
        let mut specs = self.specs(handler.func, actor_args, 1);
        let stated: Vec<Ty> = specs.iter().map(|s| s.ty.clone()).collect();
        let batched = handler.batch.as_ref().is_some_and(|b| !b.as_vec);
        if batched {
            specs.iter_mut().for_each(|s| s.ty = self.strip_dims(&s.ty));
        }
        let own_timeout = specs.iter().any(|s| &*s.name == "timeout");
        let n = specs.len();
        if has_timeout && !own_timeout {
            specs.push(Spec {
                name: Rc::from("timeout"),
                ty: Ty::Duration,
                mode: ParamMode::Value,
                default: None,
                iterable: false,
                dims: false,
                declared: None,
            });
        }
        let ret = {
            let ret = &self.program.fns[handler.func.index()].ret;
            let ret = if actor_args.is_empty() { ret.clone() } else { ret.subst(actor_args) };
            strip_names(&ret, self.program.lang.model)
        };
        // One row that is asked for is answered by one.
        let ret = self.infer.resolve(&ret);
        let ty = self.future(if batched { self.strip_dims(&ret) } else { ret });
        let Some(slots) = self.matched(&name.name, &specs, args, span) else {
            return Expr { kind: ExprKind::Error, ty, span };
        };
        self.refuse_kept_borrows(args, &name.name);
        let mut values: Vec<Expr> =
            self.arguments(&specs, &slots, args, actor_args, span).into_iter().map(|a| a.value).collect();
        if batched {
            values = values
                .into_iter()
                .enumerate()
                .map(|(i, v)| match stated.get(i) {
                    Some(ty) => self.batch_or_row(v, ty),
                    None => v,
                })
                .collect();
        }
        let timeout = (values.len() > n).then(|| values.pop()).flatten().map(Box::new);
        let kind = ExprKind::Message {
            actor: Box::new(receiver.clone()),
            handler: position,
            kind: MessageKind::Ask,
            args: values,
            timeout,
        };
        Expr { kind, ty, span }
    }

    /// Methods that the checker knows more about than their declaration says.
    pub fn known_method(
        &mut self,
        receiver: &Expr,
        ty: &Ty,
        name: &'a ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Option<Expr> {
        match ty {
            Ty::Adt(id, targs) if *id == self.program.lang.map && &*name.name == "or_insert" => {
                let [key, default] = args else { return None };
                self.require_mutable(receiver, receiver.span, true);
                let key = self.check_expr(&key.value, &targs[0]);
                let default = self.check_expr(&default.value, &targs[1]);
                let kind = ExprKind::OrInsert {
                    map: Box::new(receiver.clone()),
                    key: Box::new(key),
                    default: Box::new(default),
                };
                Some(Expr { kind, ty: targs[1].clone(), span })
            }
            Ty::Adt(id, targs) if *id == self.program.lang.model && &*name.name == "predict" => {
                Some(match self.model_inputs(targs, args, span) {
                    Some(inputs) => self.prediction(receiver, targs, inputs, span, hint),
                    None => self.err(span),
                })
            }
            Ty::Adt(id, _)
                if &*name.name == "with"
                    && matches!(self.program.adts[id.index()].kind, AdtKind::Struct(_))
                    && self.methods_of(ty, "with").is_empty() =>
            {
                Some(self.with_fields(receiver.clone(), args, span))
            }
            Ty::Tensor(t) if &*name.name == "at" => {
                let list: Vec<Expr> = args.iter().map(|a| self.check_expr(&a.value, &Ty::INT)).collect();
                let _ = t;
                let vec = Ty::Adt(self.program.lang.vec, Rc::from([Ty::INT]));
                let list = Expr { kind: ExprKind::List(list), ty: vec, span };
                self.call_method_named(receiver.clone(), "_at", vec![list], span)
            }
            _ => None,
        }
    }

    /// `tensor([[1.0, 2.0]])`: the element type is the context's, else what the literals say.
    pub fn tensor_call(
        &mut self,
        func: FnId,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let [arg] = args else {
            let mut d =
                Diagnostic::error(codes::ARGUMENTS, "`tensor` takes one value", span, "a number or lists of numbers");
            let is_dtype = |arg: &&ast::Arg| arg.name.as_ref().is_some_and(|name| &*name.name == "dtype");
            if let (Some(first), Some(dtype)) = (args.first(), args.iter().find(is_dtype)) {
                let written = self.text(dtype.value.span).rsplit('.').next().unwrap_or_default().to_string();
                let elem = foreign::names(&written).first().map_or(written.clone(), |ours| ours.to_string());
                let first = self.text(first.value.span);
                let first = if first.contains('\n') || first.len() > 40 { "…" } else { first };
                d = d.help(format!("the element type is converted to, `tensor({first}).to({elem})`, or stated, `let t: Tensor<{elem}> = …`"));
                self.report(d);
                return self.err(span);
            }
            d = d.help("a list in brackets: `tensor([1.0, 2.0])`");
            self.report(d);
            self.check_stray(args);
            return self.err(span);
        };
        let data = self.expr(&arg.value, None);
        let mut leaf = self.infer.shallow(&data.ty);
        while let Ty::Adt(id, ts) = &leaf
            && *id == self.program.lang.vec
        {
            leaf = self.infer.shallow(&ts[0]);
        }
        let wanted = written.first().cloned().or_else(|| match hint.map(|h| self.infer.shallow(h)) {
            Some(Ty::Tensor(TensorTy { elem: Some(e), .. })) => match self.infer.shallow(&e) {
                Ty::Infer(_) => None,
                known => Some(known),
            },
            _ => None,
        });
        if let Ty::Infer(v) = leaf {
            let default = match self.infer.kind(v) {
                VarKind::FloatLit => Ty::Num(NumKind::Float32),
                VarKind::IntLit => Ty::INT,
                _ => Ty::Num(NumKind::Float32),
            };
            let elem = wanted.filter(|w| self.infer.kind_allows(self.infer.kind(v), w)).unwrap_or(default);
            self.infer.unify(&leaf, &elem);
            leaf = elem;
        }
        if !matches!(leaf, Ty::Num(_) | Ty::Bool | Ty::Error | Ty::Param(..)) {
            let shown = self.show(&leaf);
            self.error(
                codes::TYPE_MISMATCH,
                format!("a tensor holds numbers, not `{shown}`"),
                arg.span,
                format!("holds `{shown}`"),
            );
            return self.err(span);
        }
        let ty = Ty::Tensor(TensorTy { elem: Some(Rc::new(leaf.clone())), dims: None });
        let type_args = vec![leaf, data.ty.clone()];
        let args = vec![Arg { mode: ParamMode::Value, value: data }];
        let mut call = self.call_fn(func, type_args, args, span);
        call.ty = ty;
        call
    }
}
