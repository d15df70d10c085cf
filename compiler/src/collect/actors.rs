//! Actors: their methods as functions over the state, their handlers in the order messages number them, their hooks.

use crate::hir::*;
use crate::session::*;
use stark_syntax::ast;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use std::collections::HashMap;
use std::rc::Rc;

/// What every actor's reference has.
const OWN: &[&str] = &["ask", "send", "batch_ask", "get_stats", "stop", "kill", "is_alive", "name"];

impl<'a> Checker<'a> {
    pub fn actor_methods(&mut self, adt: AdtId, actor: &'a ast::Actor, item: usize) {
        let env = self.adts[adt.index()].env.clone();
        let generics = self.program.adts[adt.index()].generics.clone();
        let mut methods: HashMap<Rc<str>, FnId> = HashMap::new();
        let mut handlers: Vec<ActorHandler> = Vec::new();
        let (mut on_start, mut on_stop, mut on_error, mut receive) = (None, None, None, None);
        for m in &actor.methods {
            let short = m.decl.name.name.clone();
            let name: Rc<str> = format!("{}.{}", actor.name.name, short).into();
            let func = self.new_fn(&name, env.module, m.decl.name.span, FnSource::Decl(&m.decl), item);
            self.sign(func, &m.decl, &m.attributes, &generics, &env, Some(adt));
            if m.decl.kind != ast::FnKind::Plain {
                self.report(
                    Diagnostic::error(
                        codes::BAD_ACTOR,
                        "an actor handles one message at a time; its methods cannot be `async` or `spawn`",
                        m.decl.name.span,
                        "every message is already answered through a `Future`",
                    )
                    .help(format!("write `fn {short}`: it may wait all the same")),
                );
            }
            for p in self.program.fns[func.index()].params.clone().iter().skip(1) {
                if p.mode != ParamMode::Value && !short.starts_with('_') {
                    self.error(
                        codes::BORROW_ESCAPES,
                        format!("`{}` cannot be lent to an actor: a message is a copy", p.name),
                        m.decl.name.span,
                        "take the value",
                    );
                }
            }
            if methods.insert(short.clone(), func).is_some() {
                self.error(
                    codes::DUPLICATE_DEFINITION,
                    format!("method `{short}` is declared twice"),
                    m.decl.name.span,
                    "again here",
                );
            }
            let batch = self.batch_of(&m.attributes, &short);
            if !short.starts_with('_') {
                self.method_fits(func, &m.decl, generics.len(), batch.is_some());
            }
            match &*short {
                "on_start" => on_start = Some(func),
                "on_stop" => on_stop = Some(func),
                "on_error" => on_error = Some(func),
                "on_receive" | "on_batch" => {
                    if receive.is_some() {
                        self.error(
                            codes::BAD_ACTOR,
                            "an actor has one of `on_receive` and `on_batch`",
                            m.decl.name.span,
                            "the second one",
                        );
                    }
                    receive = Some(ActorHandler { name: short, func, batch });
                }
                _ if short.starts_with('_') => {}
                // Told; the reference's own is called.
                name if OWN.contains(&name) => {}
                _ => handlers.push(ActorHandler { name: short, func, batch }),
            }
        }
        let has_receive = receive.is_some();
        if let Some(first) = receive {
            handlers.insert(0, first);
        }
        if let AdtKind::Actor(def) = &mut self.program.adts[adt.index()].kind {
            def.handlers = handlers;
            def.has_receive = has_receive;
            def.on_start = on_start;
            def.on_stop = on_stop;
            def.on_error = on_error;
        }
        self.actor_methods.insert(adt, methods);
    }

    /// What a hook or a message must look like, as far as its signature tells.
    fn method_fits(&mut self, func: FnId, decl: &'a ast::Fn, n_outer: usize, batched: bool) {
        let (name, at) = (&*decl.name.name, decl.name.span);
        let full = self.program.fns[func.index()].name.clone();
        let actor = full.split('.').next().unwrap_or(&full);
        let params: Vec<Ty> = self.program.fns[func.index()].params.iter().skip(1).map(|p| p.ty.clone()).collect();
        let param_at = |i: usize| decl.params.get(i).map_or(at, |p| p.span);
        if decl.params.iter().any(|p| &*p.name.name == "self") {
            // That is told already.
            return;
        }
        let is_hook = is_hook(name);
        if self.program.fns[func.index()].generics.len() > n_outer {
            let first = decl.generics.params.first().map_or(at, |p| p.name.span);
            let problem = if is_hook { "a hook has no types of its own" } else { "a message has no types of its own" };
            self.report(
                Diagnostic::error(codes::BAD_ACTOR, problem, first, "declared by a method")
                    .help(format!("declare it with the actor: `actor {actor}<{}>:`", self.text(first))),
            );
        }
        match name {
            // It would be a message, and `Name::new` would still take the fields.
            "new" => self.report(
                Diagnostic::error(codes::BAD_ACTOR, "an actor's `new` is made from its fields", at, "a second `new`")
                    .help(format!("give fields a default, or let a function make it: `fn make() -> {actor}: return {actor}::new(…)`")),
            ),
            own if OWN.contains(&own) => self.report(
                Diagnostic::error(
                    codes::BAD_ACTOR,
                    format!("every actor's reference has its own `{name}`"),
                    at,
                    "would hide it",
                )
                .help("give the message another name"),
            ),
            "on_start" | "on_stop" if !params.is_empty() => self.report(
                Diagnostic::error(
                    codes::BAD_ACTOR,
                    format!("`{name}` takes no parameters"),
                    param_at(0),
                    "nothing gives it a value",
                )
                .help("what it needs is in the actor's fields"),
            ),
            "on_error" => match &params[..] {
                [error] if *error == Ty::Error || *error == self.error_dyn() => {}
                [_] => self.report(
                    Diagnostic::error(
                        codes::BAD_ACTOR,
                        "`on_error` takes any error",
                        param_at(0),
                        "would fit some errors only",
                    )
                    .help("write `e: Error`; `e.kind()` names its type"),
                ),
                _ => self.report(
                    Diagnostic::error(
                        codes::BAD_ACTOR,
                        "`on_error` takes the error, and nothing else",
                        at,
                        "one parameter is needed",
                    )
                    .help("write `fn on_error(e: Error):`"),
                ),
            },
            "on_receive" | "on_batch" if params.len() != 1 => self.report(
                Diagnostic::error(
                    codes::BAD_ACTOR,
                    format!("`{name}` takes exactly one message"),
                    at,
                    "one parameter is needed",
                )
                .help("several values are one message as a tuple or a struct"),
            ),
            _ if batched && !is_hook && params.len() != 1 => self.report(
                Diagnostic::error(
                    codes::BAD_ACTOR,
                    format!("`{name}` is batched, so it takes exactly one tensor"),
                    at,
                    "one parameter is needed",
                )
                .help("leave `@batch` out, and each message comes by itself"),
            ),
            _ => {}
        }
    }

    /// What a batched handler takes is made from many messages, and what it gives is divided among them: tensors by their rows,
    /// and `Vec`s in `on_batch`. Checked when it is known what every body gives.
    pub fn check_batches(&mut self) {
        for adt in 0..self.program.adts.len() {
            let AdtKind::Actor(def) = &self.program.adts[adt].kind else { continue };
            for handler in def.handlers.clone() {
                if let Some(batch) = &handler.batch {
                    self.batch_fits(&handler, batch.as_vec);
                }
            }
        }
    }

    fn batch_fits(&mut self, handler: &ActorHandler, as_vec: bool) {
        let FnSource::Decl(decl) = self.fns[handler.func.index()].source else { return };
        let def = &self.program.fns[handler.func.index()];
        let (name, ret) = (&handler.name, def.ret.clone());
        let [_, input] = &def.params[..] else { return };
        let input_at = decl.params.first().map_or(decl.name.span, |p| p.span);
        let ret_at = decl.ret.as_ref().map_or(decl.name.span, |t| t.span);
        for (does, ty, at) in [("takes", input.ty.clone(), input_at), ("gives", ret, ret_at)] {
            let fits = match &ty {
                Ty::Error | Ty::Never => true,
                Ty::Adt(id, _) => as_vec && *id == self.program.lang.vec,
                Ty::Tensor(_) => !as_vec,
                _ => false,
            };
            if fits {
                continue;
            }
            let found = self.show(&ty);
            let (what, help) = match (as_vec, &**name) {
                (true, _) => ("a `Vec`, with one element a message", "write `fn on_batch(inputs: Vec<I>) -> Vec<O>`"),
                (false, "on_receive") => (
                    "a tensor",
                    "`fn on_batch(inputs: Vec<I>) -> Vec<O>` takes other types; without `@batch` each message comes by itself",
                ),
                (false, _) => ("a tensor", "leave `@batch` out, and each message comes by itself"),
            };
            let text = format!("`{name}` is batched, so it {does} {what}");
            self.report(Diagnostic::error(codes::BAD_ACTOR, text, at, format!("{does} `{found}`")).help(help));
            return;
        }
    }

    /// `@batch(max_size = 32, max_delay = 5ms, join = "cat")`
    fn batch_of(&mut self, attrs: &'a [ast::Attribute], method: &str) -> Option<Batch> {
        let attr = attrs.iter().find(|a| &*a.name.name == "batch");
        if attr.is_none() && method != "on_batch" {
            return None;
        }
        let mut batch = Batch { max_size: 32, max_delay_ns: 0, as_vec: method == "on_batch", cat: false };
        for arg in attr.into_iter().flat_map(|a| &a.args) {
            let name = arg.name.as_ref().map_or("max_size", |n| &*n.name);
            match (name, &arg.value.kind) {
                ("max_size", ast::ExprKind::Literal(ast::Literal::Int(n, _))) if *n > 0 && *n <= u128::from(u32::MAX) => {
                    batch.max_size = *n as u32;
                }
                ("max_delay", ast::ExprKind::Literal(ast::Literal::Duration(ns))) => batch.max_delay_ns = *ns,
                ("join", ast::ExprKind::Literal(ast::Literal::Str(how))) if matches!(&**how, "cat" | "stack") => {
                    batch.cat = &**how == "cat";
                }
                _ => self.error(
                    codes::BAD_ATTRIBUTE,
                    format!("`@batch` does not take this `{name}`"),
                    arg.span,
                    "it takes `max_size` (a number above 0), `max_delay` (a duration) and `join` (\"cat\" or \"stack\")",
                ),
            }
        }
        Some(batch)
    }
}

/// What the runtime calls by itself; no message.
pub fn is_hook(method: &str) -> bool {
    matches!(method, "on_start" | "on_stop" | "on_error")
}
