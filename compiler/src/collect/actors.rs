//! Actors: their methods as functions over the state, their handlers in the order messages number them, their hooks.

use crate::hir::*;
use crate::session::*;
use stark_syntax::ast;
use stark_syntax::codes;
use std::collections::HashMap;
use std::rc::Rc;

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
                self.error(
                    codes::BAD_ACTOR,
                    "an actor handles one message at a time; its methods cannot be `async` or `spawn`",
                    m.decl.name.span,
                    "every message is already answered through a `Future`",
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
            match &*short {
                "on_start" => on_start = Some(func),
                "on_stop" => on_stop = Some(func),
                "on_error" => on_error = Some(func),
                "on_receive" | "on_batch" => {
                    if self.program.fns[func.index()].params.len() != 2 {
                        self.error(
                            codes::BAD_ACTOR,
                            format!("`{short}` takes exactly one message"),
                            m.decl.name.span,
                            "one parameter is needed",
                        );
                    }
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
