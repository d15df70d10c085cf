//! Tasks, futures, scopes, `select`, and zones with their guards.

use super::call::let_local;
use super::*;
use crate::index::Entity;
use crate::types::infer::VarKind;

impl<'a> Checker<'a> {
    fn future_of(&self, ty: Ty) -> Ty {
        Ty::Adt(self.program.lang.future, Rc::from([ty]))
    }

    fn handle_of(&self, ty: Ty) -> Ty {
        Ty::Adt(self.program.lang.join_handle, Rc::from([ty]))
    }

    /// What a task of this type gives, if it is one.
    pub fn awaited(&self, ty: &Ty) -> Option<Ty> {
        match self.infer.shallow(ty) {
            Ty::Adt(id, args) if id == self.program.lang.future || id == self.program.lang.join_handle => {
                args.first().cloned()
            }
            _ => None,
        }
    }

    pub fn await_expr(&mut self, inner: &'a ast::Expr, span: Span, hint: Option<&Ty>) -> Expr {
        if let ast::ExprKind::Tuple(items) = &inner.kind
            && !items.is_empty()
        {
            let values: Vec<Expr> = items
                .iter()
                .map(|e| {
                    let value = self.expr(e, None);
                    self.await_value(value, e.span)
                })
                .collect();
            return self.await_tuple(values, span);
        }
        let wish = hint.map(|h| self.future_of(h.clone()));
        let value = self.expr(inner, wish.as_ref());
        if let Ty::Tuple(ts) = self.infer.shallow(&value.ty) {
            let (first, parts) = self.take_apart(value, &ts, span);
            let values = parts.into_iter().map(|part| self.await_value(part, span)).collect();
            return Self::after(vec![first], self.await_tuple(values, span));
        }
        let value = self.await_value(value, span);
        self.check_awaited(value)
    }

    /// What a future's type says of tensors is checked when they are there: the future may have been one of less.
    fn check_awaited(&mut self, value: Expr) -> Expr {
        let ty = self.infer.resolve(&value.ty);
        if !matches!(value.kind, ExprKind::Await(_)) || !mentions_dims(&ty) {
            return value;
        }
        let plain = self.strip_dims(&ty);
        self.check_arrival(Expr { ty: plain, ..value }, ty)
    }

    /// `await (f(), g())`: all are running before any is waited for, since calls of `async fn` start them; they are waited for
    /// together, and the first failure cancels the rest.
    fn await_tuple(&mut self, values: Vec<Expr>, span: Span) -> Expr {
        let (mut stmts, mut futures, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            match value.kind {
                ExprKind::Await(inner) => {
                    let (ty, at) = (inner.ty.clone(), inner.span);
                    let local = self.temp("future", ty.clone(), at);
                    stmts.push(let_local(local, *inner));
                    futures.push(Expr { kind: ExprKind::Local(local), ty, span: at });
                    // What it waits for follows.
                    out.push(Expr { kind: ExprKind::Await(Box::new(self.err(at))), ..value });
                }
                _ => out.push(value),
            }
        }
        if futures.len() > 1 {
            futures = self.join(futures, span, &mut stmts);
        }
        let mut futures = futures.into_iter();
        for value in &mut out {
            if let ExprKind::Await(inner) = &mut value.kind
                && let Some(future) = futures.next()
            {
                **inner = future;
            }
        }
        let out: Vec<Expr> = out.into_iter().map(|value| self.check_awaited(value)).collect();
        let ty = Ty::Tuple(out.iter().map(|v| v.ty.clone()).collect());
        let tuple = Expr { kind: ExprKind::Tuple(out), ty, span };
        Self::after(stmts, tuple)
    }

    /// Waits for all of `futures`; gives them again.
    fn join(&mut self, futures: Vec<Expr>, span: Span, stmts: &mut Vec<Stmt>) -> Vec<Expr> {
        let Some(join) = self.program.lang.prelude_fns.get("_futures_join").copied() else { return futures };
        let types: Vec<Ty> = futures.iter().map(|f| f.ty.clone()).collect();
        let ty = Ty::Tuple(types.iter().cloned().collect());
        let local = self.temp("futures", ty.clone(), span);
        stmts.push(let_local(local, Expr { kind: ExprKind::Tuple(futures), ty: ty.clone(), span }));
        let all = Expr { kind: ExprKind::Local(local), ty: ty.clone(), span };
        let arg = Arg { mode: ParamMode::Ref, value: all.clone() };
        stmts.push(Stmt::Expr(self.call_fn(join, vec![ty], vec![arg], span)));
        let (apart, parts) = self.take_apart(all, &types, span);
        stmts.push(apart);
        parts
    }

    /// Lets variables stand for the parts of a tuple.
    fn take_apart(&mut self, tuple: Expr, types: &[Ty], span: Span) -> (Stmt, Vec<Expr>) {
        let locals: Vec<LocalId> = types.iter().map(|ty| self.temp("future", ty.clone(), span)).collect();
        let read = |(local, ty): (&LocalId, &Ty)| Expr { kind: ExprKind::Local(*local), ty: ty.clone(), span };
        let parts = locals.iter().zip(types).map(read).collect();
        let bind = |(local, ty): (&LocalId, &Ty)| Pat {
            kind: PatKind::Bind { local: *local, sub: None },
            ty: ty.clone(),
            span,
        };
        let kind = PatKind::Tuple(locals.iter().zip(types).map(bind).collect());
        let pattern = Pat { kind, ty: tuple.ty.clone(), span };
        (Stmt::Let { pattern, init: Some(tuple), else_: None }, parts)
    }

    fn await_value(&mut self, value: Expr, span: Span) -> Expr {
        if let Some(ty) = self.awaited(&value.ty) {
            return Expr { kind: ExprKind::Await(Box::new(value)), ty, span };
        }
        match self.infer.shallow(&value.ty) {
            // `await sleep(d)` waits anyway.
            Ty::Unit | Ty::Error | Ty::Never => value,
            Ty::Infer(v) if self.infer.kind(v) == VarKind::Any => {
                let item = self.infer.fresh(VarKind::Any, span);
                let made = self.future_of(item.clone());
                self.infer.unify(&value.ty, &made);
                Expr { kind: ExprKind::Await(Box::new(value)), ty: item, span }
            }
            other => {
                let shown = self.show(&other);
                let mut d = Diagnostic::error(
                    codes::BAD_AWAIT,
                    format!("`{shown}` is there already: there is nothing to await"),
                    value.span,
                    "neither a `Future` nor a `JoinHandle`",
                );
                if let Ty::Adt(id, args) = &other
                    && *id == self.program.lang.vec
                    && args.first().is_some_and(|t| self.awaited(t).is_some())
                {
                    d = d.help(format!("write `await gather({})`", self.text(value.span)));
                } else if let Ty::Fn(_, ret) = &other
                    && self.awaited(ret).is_some()
                {
                    d = d.help(format!("call it: `await {}(…)`", self.text(value.span)));
                } else if matches!(value.kind, ExprKind::Call { .. }) {
                    d = d.help("leave the `await` out: the call waits for its result");
                }
                let is_meant = d.help.as_ref().is_some_and(|help| !help.starts_with("leave"));
                self.report(d);
                // What waits in it is not what the program goes on with.
                if is_meant { self.err(span) } else { value }
            }
        }
    }

    /// `async:` and `spawn:`
    pub fn task_block(&mut self, block: &'a ast::Block, spawn: bool, span: Span, hint: Option<&Ty>) -> Expr {
        self.task_of(spawn, span, hint, |c, item| c.value_block(block, Some(item)))
    }

    fn task_of(
        &mut self,
        spawn: bool,
        span: Span,
        hint: Option<&Ty>,
        value: impl FnOnce(&mut Self, &Ty) -> Expr,
    ) -> Expr {
        let item = match hint.and_then(|h| self.awaited(h)) {
            Some(item) => item,
            None => self.infer.fresh(VarKind::Any, span),
        };
        self.f.bodies.push(BodyCx {
            kind: BodyKind::Task,
            in_task: true,
            ret: Some(item.clone()),
            ret_span: span,
            ..BodyCx::default()
        });
        let outer_guards = std::mem::take(&mut self.f.guards);
        let value = value(self, &item);
        self.f.guards = outer_guards;
        let value = self.join_value(value, &item);
        if value.ty == Ty::Never && matches!(self.infer.shallow(&item), Ty::Infer(_)) {
            self.infer.unify(&item, &Ty::Unit);
        }
        let name = self.program.fns[self.f.func.index()].name.clone();
        let what = if spawn { "spawn" } else { "async" };
        let ty = if spawn { self.handle_of(item.clone()) } else { self.future_of(item.clone()) };
        self.finish_closure(value, Vec::new(), item, format!("{what} in {name}").into(), span, |c| {
            (ExprKind::SpawnBlock(Box::new(c)), ty)
        })
    }

    /// `async fn name(): …` as an expression, and `spawn fn name(): …` as a statement: a function that starts at once.
    fn started_fn(&mut self, f: &'a ast::Fn, spawn: bool, span: Span, hint: Option<&Ty>) -> Expr {
        let env = self.f.env.clone();
        if let Some(p) = f.params.first() {
            self.error(
                codes::ARGUMENTS,
                format!("`{}` starts at once, so it takes no parameters", f.name.name),
                p.span,
                "nothing gives it a value",
            );
        }
        let item = match (&f.ret, hint.and_then(|h| self.awaited(h))) {
            (Some(t), _) => self.lower(t, &env),
            (None, Some(item)) => item,
            (None, None) => self.infer.fresh(VarKind::Any, span),
        };
        self.f.bodies.push(BodyCx {
            kind: BodyKind::Closure,
            in_task: true,
            ret: Some(item.clone()),
            ret_span: f.name.span,
            ..BodyCx::default()
        });
        // Assigning outer variables is a task's mistake, but `return` is a function's right.
        self.push_frame();
        let empty = ast::Block::default();
        let value = match &f.body {
            Some(b) => {
                self.body().kind = BodyKind::Fn;
                self.fn_block(b, &item, f.name.span, &f.name.name)
            }
            None => {
                let _ = empty;
                self.err(span)
            }
        };
        self.pop_frame();
        if !self.body().saw_return && matches!(self.infer.shallow(&item), Ty::Infer(_)) {
            self.infer.unify(&item, &Ty::Unit);
        }
        self.body().kind = BodyKind::Task;
        let ty = if spawn { self.handle_of(item.clone()) } else { self.future_of(item.clone()) };
        self.finish_closure(value, Vec::new(), item, f.name.name.clone(), span, |c| {
            (ExprKind::SpawnBlock(Box::new(c)), ty)
        })
    }

    pub fn async_fn_expr(&mut self, f: &'a ast::Fn, span: Span, hint: Option<&Ty>) -> Expr {
        self.started_fn(f, false, span, hint)
    }

    pub fn spawn_fn(&mut self, f: &'a ast::Fn, span: Span, out: &mut Vec<Stmt>) {
        let value = self.started_fn(f, true, span, None);
        let local = self.new_local(&f.name.name, value.ty.clone(), false, f.name.span);
        self.body().meta[local.index()].hidden = true;
        self.bind_name(f.name.name.clone(), Binding::Local(local));
        out.push(let_local(local, value));
    }

    /// `spawn f(args)`: the arguments here, the call in a new task.
    pub fn spawn_call(&mut self, call: &'a ast::Expr, span: Span) -> Expr {
        let value = match self.predicted(call) {
            Some(Predicted::By { model, io, args }) => return self.spawn_prediction(model, &io, args, span),
            Some(Predicted::Otherwise(value)) => value,
            // Guards in its arguments last until the arguments are there: they go around the whole.
            None => {
                let value = self.expr_inner(call, None);
                self.note_type(call.span, &value.ty);
                value
            }
        };
        let ty = value.ty.clone();
        if ty == Ty::Error {
            return self.err(span);
        }
        // Arguments that are named in another order run before the call, here.
        let (before, kind) = match value.kind {
            ExprKind::Block { stmts, value: Some(call) }
                if matches!(call.kind, ExprKind::Call { .. } | ExprKind::Message { .. }) =>
            {
                (stmts, call.kind)
            }
            kind => (Vec::new(), kind),
        };
        if let ExprKind::Message { actor, handler, kind, args, timeout } = kind {
            let task = self.spawn_message(*actor, handler, kind, args, timeout.map(|timeout| *timeout), ty, span);
            return Self::after(before, task);
        }
        match kind {
            ExprKind::Call { callee, args } => {
                for arg in &args {
                    if arg.mode == ParamMode::RefMut && place::place_path(&arg.value).is_some() {
                        let text = self.text(arg.value.span).to_string();
                        if self.open_guard(&arg.value).is_some() {
                            self.report(
                                Diagnostic::error(
                                    codes::CANNOT_CROSS,
                                    format!(
                                        "the guard of `{text}` ends here, and the task would change the zone later"
                                    ),
                                    arg.value.span,
                                    "lent `&mut` to a task",
                                )
                                .help("let the task take the zone: `spawn:` and an indented block"),
                            );
                            continue;
                        }
                        self.report(
                            Diagnostic::error(
                                codes::TASK_MUTATES,
                                format!("a task cannot be lent `{text}`, which belongs to the task around it"),
                                arg.value.span,
                                "lent `&mut` to a task",
                            )
                            .help("let the task give its result, or use a `shared let`"),
                        );
                    }
                }
                let item = if ty == Ty::Never { Ty::Unit } else { ty };
                let func = match &callee {
                    Callee::Fn { func, .. } => Some(*func),
                    Callee::Trait { trait_, method, .. } => {
                        self.program.traits[trait_.index()].methods.get(*method as usize).copied()
                    }
                    Callee::Value(_) => None,
                };
                if func.is_some_and(|func| self.program.fns[func.index()].kind != FnKind::Plain)
                    && let Some(inner) = self.awaited(&item)
                {
                    // An `async fn` and a task function are tasks already: their value is what the handle gives.
                    let handle = self.handle_of(inner);
                    return Self::after(before, Expr { kind: ExprKind::SpawnCall { callee, args }, ty: handle, span });
                }
                if self.awaited(&item).is_some() {
                    // A closure or a function that gives a future: the task ends when the future has.
                    let task = self.spawn_and_await(callee, args, item, span);
                    return Self::after(before, task);
                }
                let handle = self.handle_of(item);
                Self::after(before, Expr { kind: ExprKind::SpawnCall { callee, args }, ty: handle, span })
            }
            _ => {
                let is_actor =
                    matches!(&ty, Ty::Adt(id, _) if matches!(self.program.adts[id.index()].kind, AdtKind::Actor(_)));
                let help = match is_actor {
                    true => format!("`spawn_actor({})` starts an actor", self.text(call.span)),
                    false => "`spawn:` and an indented block start a block".to_string(),
                };
                self.report(
                    Diagnostic::error(
                        codes::NOT_CALLABLE,
                        "`spawn` starts the call of a function in a new task",
                        span,
                        "not a function's call",
                    )
                    .help(help),
                );
                self.err(span)
            }
        }
    }

    /// A task that calls a function, which gives a future or a handle, and waits for that.
    fn spawn_and_await(&mut self, callee: Callee, args: Vec<Arg>, future: Ty, span: Span) -> Expr {
        let modes: Vec<ParamMode> = args.iter().map(|arg| arg.mode).collect();
        let (value, func) = match callee {
            Callee::Value(value) => (Some(*value), None),
            func => (None, Some(func)),
        };
        let values = value.into_iter().chain(args.into_iter().map(|arg| arg.value)).collect();
        self.spawn_given(values, span, |c, mut given, _| {
            let callee = match func {
                Some(func) => func,
                None => Callee::Value(Box::new(given.remove(0))),
            };
            let args = modes.into_iter().zip(given).map(|(mode, value)| Arg { mode, value }).collect();
            let ty = c.awaited(&future).unwrap_or(Ty::Error);
            let call = Expr { kind: ExprKind::Call { callee, args }, ty: future, span };
            Expr { kind: ExprKind::Await(Box::new(call)), ty, span }
        })
    }

    /// What `call` is if it may be a model's prediction.
    fn predicted(&mut self, call: &'a ast::Expr) -> Option<Predicted<'a>> {
        let ast::ExprKind::Call { callee, args } = &call.kind else { return None };
        let ast::ExprKind::Field { base, name } = &callee.kind else { return None };
        if &*name.name != "predict" || self.module_of(base).is_some() {
            return None;
        }
        let model = self.expr(base, None);
        match self.infer.shallow(&model.ty) {
            Ty::Adt(id, io) if id == self.program.lang.model => Some(Predicted::By { model, io, args }),
            _ => Some(Predicted::Otherwise(self.method_call(model, name, &[], args, call.span, None))),
        }
    }

    /// A prediction is no call of one function, so it is a block of its own, which has the model and its inputs from here.
    fn spawn_prediction(&mut self, model: Expr, io: &[Ty], args: &'a [ast::Arg], span: Span) -> Expr {
        let Some(mut inputs) = self.model_inputs(io, args, span) else { return self.err(span) };
        let values = std::iter::once(model).chain(std::mem::take(&mut inputs.values)).collect();
        self.spawn_given(values, span, |c, mut given, item| {
            let model = given.remove(0);
            inputs.values = given;
            c.prediction(&model, io, inputs, span, Some(item))
        })
    }

    /// As a prediction, a message to an actor. The handle gives the answer, or nothing when a `send` has found room.
    fn spawn_message(
        &mut self,
        actor: Expr,
        handler: u32,
        kind: MessageKind,
        args: Vec<Expr>,
        timeout: Option<Expr>,
        ty: Ty,
        span: Span,
    ) -> Expr {
        let has_timeout = timeout.is_some();
        let values = std::iter::once(actor).chain(args).chain(timeout).collect();
        self.spawn_given(values, span, |c, mut given, _| {
            let actor = Box::new(given.remove(0));
            let timeout = if has_timeout { given.pop().map(Box::new) } else { None };
            let answer = c.awaited(&ty);
            let message = Expr { kind: ExprKind::Message { actor, handler, kind, args: given, timeout }, ty, span };
            match answer {
                Some(answer) => Expr { kind: ExprKind::Await(Box::new(message)), ty: answer, span },
                None => message,
            }
        })
    }

    /// A task whose block is `body` of these values, which are made here.
    fn spawn_given(
        &mut self,
        values: Vec<Expr>,
        span: Span,
        body: impl FnOnce(&mut Self, Vec<Expr>, &Ty) -> Expr,
    ) -> Expr {
        let here = self.f.bodies.len() - 1;
        let mut lets = Vec::new();
        let mut given = Vec::new();
        for value in values {
            let local = self.temp("given", value.ty.clone(), value.span);
            given.push((local, value.span));
            lets.push(let_local(local, value));
        }
        let task = self.task_of(true, span, None, |c, item| {
            let given = given.into_iter().map(|(local, at)| c.local_expr(here, local, at)).collect();
            body(c, given, item)
        });
        Self::after(lets, task)
    }

    pub fn scope_stmt(&mut self, name: &'a ast::Ident, body: &'a ast::Block, span: Span) -> Expr {
        let ty = Ty::Adt(self.program.lang.task_group, Rc::from([]));
        self.push_frame();
        let group = self.new_local(&name.name, ty, false, name.span);
        self.body().meta[group.index()].hidden = true;
        self.bind_name(name.name.clone(), Binding::Local(group));
        let body = self.block(body, None);
        self.pop_frame();
        let ty = body.ty.clone();
        Expr { kind: ExprKind::Scope { group, body: Box::new(body) }, ty, span }
    }

    pub fn select_expr(&mut self, arms: &'a [ast::SelectArm], span: Span, hint: Option<&Ty>, as_value: bool) -> Expr {
        let result = self.result_ty(hint, span);
        let mut out = Vec::new();
        let mut all_end = !arms.is_empty();
        for arm in arms {
            self.push_frame();
            let mut pattern = None;
            let kind = match &arm.kind {
                ast::SelectKind::After(d) => SelectKind::After(self.check_expr(d, &Ty::Duration)),
                ast::SelectKind::Else => SelectKind::Else,
                ast::SelectKind::Operation { pattern: p, value } => {
                    let (kind, item) = self.select_operation(value);
                    if let Some(p) = p {
                        let pat = self.pattern(p, &item, false);
                        self.require_irrefutable(&pat);
                        pattern = Some(pat);
                    }
                    kind
                }
            };
            let body = if as_value {
                let body = self.expr(&arm.body, Some(&result));
                self.join_value(body, &result)
            } else {
                let body = self.expr(&arm.body, None);
                let at = body.span;
                if matches!(body.ty, Ty::Never | Ty::Unit) {
                    body
                } else {
                    Expr {
                        kind: ExprKind::Block { stmts: vec![Stmt::Expr(body)], value: None },
                        ty: Ty::Unit,
                        span: at,
                    }
                }
            };
            self.pop_frame();
            all_end &= body.ty == Ty::Never;
            out.push(SelectArm { kind, pattern, body });
        }
        let ty = if all_end {
            Ty::Never
        } else if as_value {
            self.infer.resolve(&result)
        } else {
            Ty::Unit
        };
        Expr { kind: ExprKind::Select { arms: out }, ty, span }
    }

    fn select_operation(&mut self, value: &'a ast::Expr) -> (SelectKind, Ty) {
        match &value.kind {
            ast::ExprKind::Await(inner) => {
                let future = self.expr(inner, None);
                match self.awaited(&future.ty) {
                    Some(item) => return (SelectKind::Await(future), item),
                    None if future.ty == Ty::Error => return (SelectKind::Else, Ty::Error),
                    None => {}
                }
            }
            ast::ExprKind::Call { callee, args } => {
                if let ast::ExprKind::Field { base, name } = &callee.kind {
                    let lang = (self.program.lang.channel, self.program.lang.subscription);
                    let receives = &*name.name == "recv" && args.is_empty();
                    let sends = &*name.name == "send" && args.len() == 1;
                    if receives || sends {
                        let channel = self.expr(base, None);
                        match self.infer.shallow(&channel.ty) {
                            Ty::Adt(id, ts) if receives && (id == lang.0 || id == lang.1) => {
                                return (SelectKind::Recv(channel), ts[0].clone());
                            }
                            Ty::Adt(id, ts) if sends && id == lang.0 => {
                                let value = self.check_expr(&args[0].value, &ts[0]);
                                return (SelectKind::Send { channel, value }, Ty::Unit);
                            }
                            Ty::Error => return (SelectKind::Else, Ty::Error),
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
        let n_told = self.diagnostics.len();
        let help = self.waited_for(value);
        if self.diagnostics.len() > n_told {
            return (SelectKind::Else, Ty::Error);
        }
        let d = Diagnostic::error(
            codes::BAD_AWAIT,
            "an arm of `select` waits for one thing",
            value.span,
            "not something to wait for",
        );
        self.report(match help {
            Some(help) => d.help(help),
            None => d.help(
                "write `x = ch.recv() => …`, `ch.send(x) => …`, `x = await f => …`, `after 1s => …` or `else => …`",
            ),
        });
        (SelectKind::Else, Ty::Error)
    }

    /// What to write for an arm of `select` that waits in another way: `v = h.join()`, `v = load()`.
    fn waited_for(&mut self, value: &'a ast::Expr) -> Option<String> {
        if let ast::ExprKind::Call { callee, args } = &value.kind
            && let ast::ExprKind::Field { base, name } = &callee.kind
            && args.is_empty()
            && &*name.name == "join"
        {
            return Some(format!("write `v = await {} => …`", self.text(base.span)));
        }
        let found = self.expr(value, None);
        let lang = (self.program.lang.channel, self.program.lang.subscription);
        match self.infer.shallow(&found.ty) {
            Ty::Adt(id, _) if id == lang.0 || id == lang.1 => {
                Some(format!("write `x = {}.recv() => …`", self.text(value.span)))
            }
            Ty::Duration => Some(format!("write `after {} => …`", self.text(value.span))),
            ty if self.awaited(&ty).is_some() => Some(format!("write `x = await {} => …`", self.text(value.span))),
            _ => None,
        }
    }

    // --- zones -------------------------------------------------------------------------------------------------------

    /// The zone that an expression names.
    fn zone_named(&mut self, e: &ast::Expr) -> Option<GlobalId> {
        match &e.kind {
            ast::ExprKind::Name(name) if self.find_binding(name).is_none() && !self.is_actor_field(name) => {
                let module = self.f.env.module;
                match self.lookup(module, name)? {
                    Def::Zone(id) => {
                        self.note(e.span, Entity::Zone(id));
                        self.mark_import_used(module, name);
                        Some(id)
                    }
                    _ => None,
                }
            }
            ast::ExprKind::Field { base, name } => {
                let module = self.module_of(base)?;
                match self.scopes[module.index()].names.get(&name.name)? {
                    Def::Zone(id) => {
                        let id = *id;
                        self.note(name.span, Entity::Zone(id));
                        Some(id)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// `zone.read()`, `zone.write()`, `zone.lock()`: a guard that lives for the call around it.
    pub fn zone_guard(
        &mut self,
        base: &'a ast::Expr,
        name: &ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Option<Expr> {
        let zone = self.zone_named(base)?;
        let write = match &*name.name {
            "read" => false,
            "write" | "lock" => true,
            _ => {
                let shown = self.program.globals[zone.index()].name.clone();
                self.report(
                    Diagnostic::error(
                        codes::ZONE_WITHOUT_GUARD,
                        format!("`{shown}` is shared: it is reached through a guard only"),
                        base.span,
                        "no guard here",
                    )
                    .help(format!("write `{shown}.read().{}(…)` or `{shown}.write().{}(…)`", name.name, name.name)),
                );
                self.check_stray(args);
                return Some(self.err(span));
            }
        };
        if let Some(arg) = args.first() {
            self.error(codes::ARGUMENTS, format!("`{}` takes no arguments", name.name), arg.span, "one too many");
        }
        self.take_zone(zone, span);
        let ty = self.program.globals[zone.index()].ty.clone();
        let local = self.guard_local(&Rc::from("guard"), ty.clone(), write, span);
        self.body().meta[local.index()].hidden = true;
        let body = self.f.bodies.len();
        self.f.call_guards.push(PendingGuard { zone, write, local, body, span });
        Some(Expr { kind: ExprKind::Local(local), ty, span })
    }

    fn guard_local(&mut self, name: &Rc<str>, ty: Ty, write: bool, span: Span) -> LocalId {
        let local = self.new_local(name, ty, write, span);
        self.body().meta[local.index()].guard = true;
        local
    }

    fn take_zone(&mut self, zone: GlobalId, span: Span) {
        let held = self
            .f
            .guards
            .iter()
            .map(|(z, s)| (*z, *s))
            .chain(self.f.call_guards.iter().map(|g| (g.zone, g.span)))
            .find(|(z, _)| *z == zone);
        if let Some((_, first)) = held {
            let name = self.program.globals[zone.index()].name.clone();
            self.report(
                Diagnostic::error(
                    codes::ZONE_LOCKED_TWICE,
                    format!("`{name}` is taken while it is held, which would never end"),
                    span,
                    "taken again here",
                )
                .because(first, "held from here on")
                .help(format!(
                    "take the value into a variable before, or use one `with {name}.write() as v:` for both"
                )),
            );
        }
    }

    /// Puts the guards taken since `from` around an expression.
    pub fn close_guards(&mut self, value: Expr, from: usize) -> Expr {
        let mut value = value;
        while self.f.call_guards.len() > from {
            if let Some(g) = self.f.call_guards.pop() {
                let (ty, span) = (value.ty.clone(), value.span);
                let kind = ExprKind::WithZone {
                    zone: g.zone,
                    write: g.write,
                    local: g.local,
                    guard: g.span,
                    body: Box::new(value),
                };
                value = Expr { kind, ty, span };
            }
        }
        value
    }

    /// Takes the guards in `held` up again, which were put aside for `value`: it is there before them, by a statement in `before`
    /// unless it is a variable or a constant.
    pub fn reopen(&mut self, held: Vec<PendingGuard>, value: Expr, before: &mut Vec<Stmt>) -> Expr {
        let is_there = held.is_empty() || matches!(value.kind, ExprKind::Lit(_) | ExprKind::Local(_));
        self.f.call_guards.extend(held);
        if is_there || value.ty == Ty::Error {
            return value;
        }
        let (ty, span) = (value.ty.clone(), value.span);
        let local = self.temp("value", ty.clone(), span);
        before.push(let_local(local, value));
        Expr { kind: ExprKind::Local(local), ty, span }
    }

    /// Guards that no call around them ended: they would be kept.
    pub fn escaped_guards(&mut self, from: usize) {
        while self.f.call_guards.len() > from {
            if let Some(g) = self.f.call_guards.pop() {
                let name = self.program.globals[g.zone.index()].name.clone();
                self.report(
                    Diagnostic::error(
                        codes::GUARD_ESCAPES,
                        format!("the guard of `{name}` lives for one expression and cannot be kept"),
                        g.span,
                        "kept here",
                    )
                    .help(match g.write {
                        true => format!("write `with {name}.write() as v:` and a block"),
                        false => format!("write `with {name}.read() as v:` and a block"),
                    }),
                );
            }
        }
    }

    /// `with zone.write() as v: …`; of any other value, a block in which it has a name.
    pub fn with_stmt(
        &mut self,
        items: &'a [ast::WithItem],
        body: &'a ast::Block,
        span: Span,
        value: Option<Option<&Ty>>,
    ) -> Expr {
        let Some((item, rest)) = items.split_first() else { return self.block(body, value) };
        let guards = self.f.call_guards.len();
        let head = self.guarded(&item.value, None);
        let guard = (self.f.call_guards.len() > guards).then(|| self.f.call_guards.pop()).flatten();
        self.push_frame();
        let out = match guard {
            Some(g) => {
                self.f.guards.push((g.zone, g.span));
                if let Some(name) = &item.name {
                    let row = &mut self.body().locals[g.local.index()];
                    row.name = name.name.clone();
                    row.span = name.span;
                    self.bind_name(name.name.clone(), Binding::Local(g.local));
                }
                let inner = self.with_stmt(rest, body, span, value);
                self.f.guards.pop();
                let ty = inner.ty.clone();
                let kind = ExprKind::WithZone {
                    zone: g.zone,
                    write: g.write,
                    local: g.local,
                    guard: g.span,
                    body: Box::new(inner),
                };
                Expr { kind, ty, span }
            }
            None => {
                let ty = head.ty.clone();
                let name = item.name.as_ref().map_or_else(|| Rc::from("_with"), |n| n.name.clone());
                let at = item.name.as_ref().map_or(item.value.span, |n| n.span);
                let local = self.new_local(&name, ty, false, at);
                self.bind_name(name, Binding::Local(local));
                let first = let_local(local, head);
                let inner = self.with_stmt(rest, body, span, value);
                let ty = inner.ty.clone();
                Expr { kind: ExprKind::Block { stmts: vec![first], value: Some(Box::new(inner)) }, ty, span }
            }
        };
        self.pop_frame();
        out
    }
}

/// A call of something by the name of `predict`.
enum Predicted<'a> {
    By {
        model: Expr,
        io: Rc<[Ty]>,
        args: &'a [ast::Arg],
    },
    /// Of another type; checked.
    Otherwise(Expr),
}
