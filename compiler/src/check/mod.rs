//! Bodies: from syntax to the typed tree, one function at a time, each when it is first needed.

mod actor;
mod args;
mod call;
mod closure;
mod coerce;
mod concurrency;
mod construct;
mod dims;
mod expr;
mod index;
mod lent;
pub(crate) mod limits;
mod mend;
mod method;
mod model;
mod names;
mod nested;
mod operators;
mod pattern;
mod place;
mod predict;
mod sizes;
mod slips;
mod stmt;
mod zonk;

pub use call::let_local;
pub use dims::{asked_names, mentions_dims, names_in, strip_names};
pub use names::short_name;

use crate::hir::*;
use crate::session::*;
use crate::types::bounds::Met;
use crate::types::infer::{Infer, ParamNumber};
use crate::{Checked, Host, Options};
use stark_syntax::ast::{self, ItemKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceMap, Span};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BodyKind {
    #[default]
    Fn,
    Closure,
    /// `spawn:`, `async:`, `spawn fn`
    Task,
}

/// What is known about a variable besides its type.
#[derive(Clone, Debug, Default)]
pub struct LocalMeta {
    pub used: bool,
    pub mode: Option<ParamMode>,
    /// The copy inside a closure or task of a variable outside.
    pub captured: bool,
    /// Written by the checker itself: no lint speaks about it.
    pub hidden: bool,
    /// `v` in `with zone.write() as v`.
    pub guard: bool,
}

#[derive(Default)]
pub struct BodyCx {
    pub kind: BodyKind,
    /// Runs in a task of its own: a task's block, or a closure given to `parallel_map` and its like.
    pub in_task: bool,
    pub locals: Vec<Local>,
    pub meta: Vec<LocalMeta>,
    pub captures: Vec<(LocalId, LocalId)>,
    /// An actor's fields read inside a closure: field and the variable inside.
    pub field_captures: Vec<(u32, LocalId)>,
    /// Named dimensions that the body asks for.
    pub dims: Vec<(Rc<str>, LocalId)>,
    /// Those of them that its own signature gives.
    pub sizes: Vec<sizes::NamedSize>,
    /// What the parameters of a closure state, by position.
    pub stated: Vec<Ty>,
    pub ret: Option<Ty>,
    pub ret_span: Span,
    pub saw_return: bool,
    pub loops: u32,
    /// Whether a `break` was seen, for each loop around.
    pub breaks: Vec<bool>,
}

#[derive(Clone, Debug)]
pub enum Binding {
    Local(LocalId),
    Fn(FnId),
}

#[derive(Default)]
pub struct Frame {
    pub body: usize,
    pub names: Vec<(Rc<str>, Binding)>,
}

/// What is known while one function's body is checked.
#[derive(Default)]
pub struct FnState<'a> {
    pub func: FnId,
    pub env: TypeEnv,
    pub generics: Vec<Generic>,
    pub bodies: Vec<BodyCx>,
    pub frames: Vec<Frame>,
    pub actor: Option<AdtId>,
    pub item: usize,
    pub is_entry: bool,
    pub obligations: Vec<(Ty, Bound, Span, String)>,
    /// Type arguments with a type of last resort.
    pub defaults: Vec<(Ty, Ty)>,
    /// Types that tensors are to have as elements, with where.
    pub elements: Vec<(Ty, Span)>,
    /// There is a `to_nested` whose type may be open.
    pub asks_nested: bool,
    /// Variables that a `catch` around binds, for `throw e`.
    pub caught: Vec<LocalId>,
    /// Zones whose guard is held here.
    pub guards: Vec<(GlobalId, Span)>,
    /// Guards of the call being checked: they live until it has returned.
    pub call_guards: Vec<PendingGuard>,
    /// The call whose arguments are checked runs closures in other tasks.
    pub args_in_tasks: bool,
    /// The value whose patterns are checked.
    pub looked_at: Span,
    pub marker: std::marker::PhantomData<&'a ()>,
}

#[derive(Clone, Debug)]
pub struct PendingGuard {
    pub zone: GlobalId,
    pub write: bool,
    pub local: LocalId,
    /// How many bodies deep its variable is.
    pub body: usize,
    pub span: Span,
}

impl<'a> Checker<'a> {
    pub fn new(
        sources: &'a SourceMap,
        parsed: &'a [Parsed],
        host: &'a dyn Host,
        diagnostics: Vec<Diagnostic>,
    ) -> Checker<'a> {
        Checker {
            sources,
            parsed,
            host,
            program: Program::default(),
            diagnostics,
            scopes: Vec::new(),
            prelude: HashMap::new(),
            std_modules: HashMap::new(),
            adts: Vec::new(),
            traits: Vec::new(),
            fns: Vec::new(),
            aliases: Vec::new(),
            inherent: HashMap::new(),
            trait_methods: HashMap::new(),
            impls_of: HashMap::new(),
            actor_methods: HashMap::new(),
            script_lets: Vec::new(),
            inits: HashSet::new(),
            actor_selves: HashMap::new(),
            n_zones: 0,
            infer: Infer::default(),
            f: FnState::default(),
            reported: HashSet::new(),
            depth: 0,
            entry_cx: None,
            for_tests: false,
            recorder: None,
            session: None,
        }
    }

    pub fn run(&mut self, root_idx: usize, options: &Options) {
        self.collect(root_idx);
        let parsed: &'a [Parsed] = self.parsed;
        let root = ModuleId(root_idx as u32);
        let name: Rc<str> = Rc::from("main");
        let span = Span::new(parsed[root_idx].source, 0, 0);
        let entry = self.new_fn(&name, root, span, FnSource::Entry, usize::MAX);
        self.program.entry = entry;
        self.for_tests = options.tests;
        self.check_fn(entry);
        if options.tests {
            self.collect_tests(root);
        }
        // The program's own functions are all checked; the library's when something leads to them.
        let mut next = 0;
        while next < self.fns.len() {
            let own = !parsed[self.program.fns[next].module.index()].is_std;
            if own || options.check_all_of_std {
                self.check_fn(FnId(next as u32));
            }
            next += 1;
        }
        self.check_reachable();
        self.compare_impl_types();
        self.check_batches();
        if let Some((locals, metas)) = self.entry_cx.take() {
            self.lint_locals(&locals, &metas);
        }
        self.report_unused_imports();
        self.drop_unread_globals();
        let (found, outer_guards) = crate::flow::check(&self.program, self.sources);
        self.program.outer_guards = outer_guards;
        for d in found {
            self.report(d);
        }
        crate::shapes::flow(self);
    }

    pub fn sort_diagnostics(&mut self) {
        let source_order = |d: &Diagnostic| (d.primary.span.source, d.primary.span.start);
        self.diagnostics.sort_by_key(source_order);
    }

    pub fn finish(mut self) -> Checked {
        self.sort_diagnostics();
        let failed = self.diagnostics.iter().any(|d| d.severity == Severity::Error);
        if failed {
            // A lint may be no more than what the error left behind.
            self.diagnostics.retain(|d| !d.code.0.starts_with("W08"));
        }
        Checked { program: (!failed).then_some(self.program), diagnostics: self.diagnostics }
    }

    /// The library functions that checked bodies lead to, until there are no more.
    fn check_reachable(&mut self) {
        let mut seen = vec![false; self.fns.len()];
        let mut todo: Vec<FnId> =
            (0..self.fns.len()).filter(|i| self.fns[*i].checked).map(|i| FnId(i as u32)).collect();
        todo.extend(self.program.consts.iter().map(|c| c.init));
        todo.extend(self.program.globals.iter().filter_map(|g| g.zone_init));
        // What the VM and code generation call by themselves.
        todo.extend(self.program.lang.prelude_fns.iter().filter(|(n, _)| n.starts_with('_')).map(|(_, f)| *f));
        for imp in &self.program.impls {
            if imp.trait_.is_some() {
                todo.extend(imp.methods.iter().flatten().copied());
            }
        }
        for t in &self.program.traits {
            todo.extend(t.methods.iter().copied());
        }
        while let Some(f) = todo.pop() {
            if seen.len() < self.fns.len() {
                seen.resize(self.fns.len(), false);
            }
            if std::mem::replace(&mut seen[f.index()], true) {
                continue;
            }
            self.check_fn(f);
            let def = &self.program.fns[f.index()];
            todo.extend(def.params.iter().filter_map(|p| p.default));
            if let Some(body) = &def.body {
                zonk::called_fns(&body.value, &mut todo);
            }
        }
        for adt in 0..self.program.adts.len() {
            let fields = match &self.program.adts[adt].kind {
                AdtKind::Struct(fields) => fields.clone(),
                AdtKind::Actor(def) => def.fields.clone(),
                _ => continue,
            };
            for f in fields.iter().filter_map(|f| f.default) {
                self.check_fn(f);
            }
        }
    }

    /// What the function returns, found from its body when it is not written.
    pub fn ensure_ret(&mut self, id: FnId, at: Span) {
        match self.fns[id.index()].ret {
            RetState::Known => {}
            RetState::Unknown => self.check_fn(id),
            RetState::Busy => {
                let (name, span) = (self.program.fns[id.index()].name.clone(), self.program.fns[id.index()].span);
                let ret = self.program.fns[id.index()].ret.clone();
                // Its own body may have decided already, by an earlier `return`.
                if matches!(self.infer.shallow(&ret), Ty::Infer(_)) {
                    self.report(
                        Diagnostic::error(
                            codes::CANNOT_INFER,
                            format!("`{name}` calls itself, so what it returns must be written"),
                            span,
                            "add `-> Type`",
                        )
                        .because(at, "called here before its type is known"),
                    );
                    self.infer.unify(&ret, &Ty::Error);
                }
            }
        }
    }

    pub fn check_fn(&mut self, id: FnId) {
        if std::mem::replace(&mut self.fns[id.index()].checked, true) {
            return;
        }
        let source = self.fns[id.index()].source;
        if let FnSource::Decl(f) = source
            && f.body.is_none()
        {
            return;
        }
        if self.depth > MAX_DEPTH {
            let span = self.program.fns[id.index()].span;
            self.error(
                codes::CANNOT_INFER,
                "functions whose types depend on each other too deeply",
                span,
                "write its return type",
            );
            return;
        }
        self.depth += 1;
        let generics = self.program.fns[id.index()].generics.clone();
        let params = generics.iter().map(param_number).collect();
        let info = &mut self.fns[id.index()];
        if info.ret == RetState::Unknown {
            info.ret = RetState::Busy;
        }
        let state = FnState {
            func: id,
            env: info.env.clone(),
            generics,
            actor: info.actor,
            item: info.item,
            is_entry: matches!(source, FnSource::Entry),
            ..FnState::default()
        };
        let outer = std::mem::replace(&mut self.f, state);
        let outer_params = std::mem::replace(&mut self.infer.params, params);
        self.check_body(id, source);
        self.f = outer;
        self.infer.params = outer_params;
        self.depth -= 1;
    }

    fn check_body(&mut self, id: FnId, source: FnSource<'a>) {
        let def = &self.program.fns[id.index()];
        let (ret, span, params) = (def.ret.clone(), def.span, def.params.clone());
        self.f.bodies.push(BodyCx { ret: Some(ret.clone()), ret_span: span, ..BodyCx::default() });
        self.push_frame();
        for (name, func) in self.fns[id.index()].around.clone() {
            self.bind_name(name, Binding::Fn(func));
        }
        let mut param_locals = Vec::new();
        for (i, p) in params.iter().enumerate() {
            let at = match source {
                FnSource::Decl(f) => {
                    let shift = usize::from(self.f.actor.is_some());
                    i.checked_sub(shift).and_then(|i| f.params.get(i)).map_or(span, |p| p.name.span)
                }
                _ => span,
            };
            let local = self.new_local(&p.name, p.ty.clone(), p.mode == ParamMode::RefMut, at);
            let meta = &mut self.body().meta[local.index()];
            meta.mode = Some(p.mode);
            meta.hidden = true;
            let hidden = self.f.actor.is_some() && i == 0;
            if !hidden {
                self.bind_name(p.name.clone(), Binding::Local(local));
            }
            param_locals.push(local);
        }
        let value = match source {
            FnSource::Decl(f) => match &f.body {
                Some(block) => self.fn_block(block, &ret, f.name.span, &f.name.name),
                None => return,
            },
            FnSource::Value(e) => {
                let value = self.check_expr(e, &ret);
                self.fns[id.index()].ret = RetState::Known;
                value
            }
            FnSource::EmptyZone => {
                let kind = match &ret {
                    Ty::Adt(id, _) if *id == self.program.lang.map => ExprKind::Map(Vec::new()),
                    Ty::Adt(id, _) if *id == self.program.lang.set => ExprKind::Set(Vec::new()),
                    _ => ExprKind::List(Vec::new()),
                };
                Expr { kind, ty: ret.clone(), span }
            }
            FnSource::Entry => self.entry_body(),
            FnSource::Test(test) => {
                let script = self.call_fn(self.program.entry, Vec::new(), Vec::new(), span);
                let test = self.call_and_wait(test);
                let stmts = vec![Stmt::Expr(script), Stmt::Expr(test)];
                Expr { kind: ExprKind::Block { stmts, value: None }, ty: Ty::Unit, span }
            }
        };
        let value = self.check_params(id, &param_locals, value);
        self.pop_frame();
        if self.fns[id.index()].ret == RetState::Busy {
            // Nothing but `return` without a value, or none at all.
            if matches!(self.infer.shallow(&ret), Ty::Infer(_)) && !self.body().saw_return {
                self.infer.unify(&ret, &Ty::Unit);
            }
            self.fns[id.index()].ret = RetState::Known;
        }
        self.settle_obligations();
        self.settle_nested(&value);
        let mut defaults = std::mem::take(&mut self.f.defaults);
        // `save_npy(path, ones([2]))`: what may stay open takes the default of what makes it.
        defaults.sort_by_key(|(_, default)| *default == Ty::Unit);
        for (var, default) in defaults {
            self.take_default(&var, &default);
        }
        self.settle_elements();
        let Some(mut cx) = self.f.bodies.pop() else { return };
        let mut value = value;
        self.zonk_body(&mut value, &mut cx.locals);
        let ret = self.zonk_ty(&ret, span);
        self.program.fns[id.index()].ret = ret;
        if self.f.is_entry {
            // Functions may still read its variables: judged at the end.
            self.entry_cx = Some((cx.locals.clone(), std::mem::take(&mut cx.meta)));
        } else {
            self.lint_locals(&cx.locals, &cx.meta);
        }
        self.program.fns[id.index()].body =
            Some(Body { locals: cx.locals, params: param_locals, value, dims: cx.dims });
    }

    /// A function's block: it must not end without the value that it promises.
    pub fn fn_block(&mut self, block: &'a ast::Block, ret: &Ty, at: Span, name: &str) -> Expr {
        let body = self.block(block, None);
        let ends = body.ty == Ty::Never;
        let ret = self.infer.shallow(ret);
        let unit = match &ret {
            Ty::Unit | Ty::Error | Ty::Never => true,
            Ty::Infer(_) => !self.body().saw_return,
            _ => false,
        };
        if !ends && !unit {
            let shown = self.show(&ret);
            let mut d = Diagnostic::error(
                codes::MISSING_RETURN,
                format!("`{name}` may end without returning its `{shown}`"),
                at,
                "not every way through it ends in `return`",
            );
            if let Some(last) = block.stmts.last()
                && matches!(last.kind, ast::StmtKind::Expr(_))
            {
                d = d.because(last.span, "a body written as a block needs `return`").fix(
                    "return the last value",
                    vec![(Span { end: last.span.start, ..last.span }, "return ".to_string())],
                );
            }
            self.report(d);
        }
        body
    }

    fn entry_body(&mut self) -> Expr {
        let parsed: &'a [Parsed] = self.parsed;
        let root = self.program.fns[self.f.func.index()].module;
        self.f.env.module = root;
        let items = &parsed[root.index()].ast.items;
        let main = match self.scopes[root.index()].names.get("main") {
            // In a session `main` is a function like others.
            Some(Def::Fns(ids)) if self.session.is_none() => ids.first().copied(),
            _ => None,
        };
        let mut stmts = Vec::new();
        self.take_variables(root, &mut stmts);
        let (mut dead, mut never) = (None, false);
        for (i, item) in items.iter().enumerate() {
            let ItemKind::Stmt(stmt) = &item.kind else { continue };
            if let Some(main) = main
                && !matches!(stmt.kind, ast::StmtKind::Pass | ast::StmtKind::Let { .. })
            {
                let at = self.program.fns[main.index()].span;
                self.report(
                    Diagnostic::error(
                        codes::BAD_MAIN,
                        "a program is a script or has a `main`, not both",
                        stmt.span,
                        "a statement outside of `main`",
                    )
                    .because(at, "`main` is declared here")
                    .help(match self.text(stmt.span).contains("main()") {
                        true => "remove it: `main` is run by itself",
                        false => "move it into `main`, or give `main` another name",
                    }),
                );
                if self.text(stmt.span).contains("main()") {
                    // It goes.
                    continue;
                }
            }
            self.f.item = i;
            self.warn_unreachable(&mut dead, stmt.span);
            let first = stmts.len();
            self.stmt_into(stmt, &mut stmts);
            let ended = stmts[first..].iter().any(stmt_ends);
            if self.session.is_some() && i + 1 == items.len() && matches!(stmt.kind, ast::StmtKind::Expr(_)) {
                self.print_value(first, &mut stmts);
            }
            self.store_script_lets(i, stmt.span, &mut stmts);
            if never {
                stmts.truncate(first);
            } else if ended {
                (dead, never) = (Some(stmt.span), true);
            }
        }
        if !never {
            self.put_variables(&mut stmts);
        }
        let span = self.program.fns[self.f.func.index()].span;
        if let Some(main) = main {
            self.ensure_ret(main, span);
            let call = self.call_and_wait(main);
            if !self.program.fns[main.index()].params.is_empty() {
                let at = self.program.fns[main.index()].span;
                self.error(
                    codes::BAD_MAIN,
                    "`main` takes no parameters",
                    at,
                    "use `args()` for the program's arguments",
                );
            }
            if !self.for_tests {
                stmts.push(Stmt::Expr(call));
            }
        }
        Expr { kind: ExprKind::Block { stmts, value: None }, ty: Ty::Unit, span }
    }

    /// A call without arguments, awaited when it starts a task.
    fn call_and_wait(&mut self, id: FnId) -> Expr {
        let call = self.call_fn(id, Vec::new(), Vec::new(), self.program.fns[id.index()].span);
        match self.program.fns[id.index()].kind {
            FnKind::Plain => call,
            _ => {
                let (ty, span) = (self.program.fns[id.index()].ret.clone(), call.span);
                Expr { kind: ExprKind::Await(Box::new(call)), ty, span }
            }
        }
    }

    /// After a script's `let`: functions may read the value from here on.
    fn store_script_lets(&mut self, item: usize, span: Span, stmts: &mut Vec<Stmt>) {
        // They are in the order of their items.
        let first = self.script_lets.partition_point(|row| row.item < item);
        for i in first..self.script_lets.len() {
            if self.script_lets[i].item != item {
                break;
            }
            if self.script_lets[i].ty.is_some() {
                continue;
            }
            let name = self.script_lets[i].name.clone();
            let Some((_, Binding::Local(local))) = self.find_binding(&name) else { continue };
            let ty = self.body().locals[local.index()].ty.clone();
            self.script_lets[i].ty = Some(ty.clone());
            if self.script_lets[i].mutable {
                continue;
            }
            let value = Expr { kind: ExprKind::Local(local), ty, span };
            let global = self.script_lets[i].global;
            stmts.push(Stmt::Expr(Expr {
                kind: ExprKind::StoreGlobal { global, value: Box::new(value) },
                ty: Ty::Unit,
                span,
            }));
        }
    }

    /// Takes out what was stored for functions that do not exist.
    fn drop_unread_globals(&mut self) {
        let entry = self.program.entry;
        for i in 0..self.script_lets.len() {
            let row = &self.script_lets[i];
            let ty = row.ty.clone().unwrap_or(Ty::Error);
            let global = row.global;
            if row.used {
                let span = row.span;
                self.program.globals[global.index()].ty = self.zonk_ty(&ty, span);
            } else {
                self.program.globals[global.index()].ty = Ty::Unit;
            }
        }
        let unread: HashSet<GlobalId> = self.script_lets.iter().filter(|l| !l.used).map(|l| l.global).collect();
        if let Some(body) = &mut self.program.fns[entry.index()].body
            && let ExprKind::Block { stmts, .. } = &mut body.value.kind
        {
            stmts.retain(|s| {
                !matches!(s, Stmt::Expr(Expr { kind: ExprKind::StoreGlobal { global, .. }, .. }) if unread.contains(global))
            });
        }
    }

    // --- variables ---------------------------------------------------------------------------------------------------

    pub fn body(&mut self) -> &mut BodyCx {
        if self.f.bodies.is_empty() {
            self.f.bodies.push(BodyCx::default());
        }
        let last = self.f.bodies.len() - 1;
        &mut self.f.bodies[last]
    }

    pub fn push_frame(&mut self) {
        let body = self.f.bodies.len().saturating_sub(1);
        self.f.frames.push(Frame { body, names: Vec::new() });
    }

    pub fn pop_frame(&mut self) {
        self.f.frames.pop();
    }

    pub fn bind_name(&mut self, name: Rc<str>, binding: Binding) {
        self.note_binding(&binding);
        if self.f.frames.is_empty() {
            self.push_frame();
        }
        if let Some(frame) = self.f.frames.last_mut() {
            frame.names.push((name, binding));
        }
    }

    pub fn new_local(&mut self, name: &Rc<str>, ty: Ty, mutable: bool, span: Span) -> LocalId {
        let body = self.body();
        let id = LocalId(body.locals.len() as u32);
        body.locals.push(Local { name: name.clone(), ty, mutable, span });
        body.meta.push(LocalMeta::default());
        id
    }

    /// A variable the program does not see.
    pub fn temp(&mut self, name: &str, ty: Ty, span: Span) -> LocalId {
        let id = self.new_local(&Rc::from(name), ty, true, span);
        self.body().meta[id.index()].hidden = true;
        id
    }

    /// `Error` as the type of a value.
    pub fn error_dyn(&self) -> Ty {
        Ty::Dyn(self.program.lang.error, Rc::from([]))
    }

    /// Variables that nothing reads.
    pub fn lint_locals(&mut self, locals: &[Local], metas: &[LocalMeta]) {
        for (local, meta) in locals.iter().zip(metas) {
            if meta.used || meta.hidden || meta.captured || local.name.starts_with('_') {
                continue;
            }
            let ty = self.infer.resolve(&local.ty);
            let is_future = matches!(&ty, Ty::Adt(id, _) if *id == self.program.lang.future);
            let d = if is_future {
                Diagnostic::warning(
                    codes::UNUSED_FUTURE,
                    format!("the future in `{}` is never used, so its task is cancelled", local.name),
                    local.span,
                    "neither awaited nor detached",
                )
                .help("await it, or call `.detach()`")
            } else if self.holds_future(&ty) {
                Diagnostic::warning(
                    codes::UNUSED_FUTURE,
                    format!("the futures in `{}` are never used, so their tasks are cancelled", local.name),
                    local.span,
                    "neither awaited nor detached",
                )
                .help("await them, together with `gather` for example, or `.detach()` each")
            } else if self.is_script_let(local.span) {
                continue;
            } else {
                Diagnostic::warning(codes::UNUSED, format!("`{}` is never used", local.name), local.span, "never used")
                    .help(format!("remove it, or call it `_{}`", local.name))
            };
            self.report(d);
        }
    }

    fn holds_future(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Tuple(items) => items.iter().any(|item| self.holds_future(item)),
            Ty::Adt(id, args) => {
                let lang = &self.program.lang;
                let holds_items = [lang.vec, lang.map, lang.option, lang.result].contains(id);
                *id == lang.future || holds_items && args.iter().any(|arg| self.holds_future(arg))
            }
            _ => false,
        }
    }

    fn is_script_let(&self, span: Span) -> bool {
        // They are in the order of the text.
        let first = self.script_lets.partition_point(|row| row.span.start < span.start);
        self.script_lets[first..]
            .iter()
            .take_while(|row| row.span.start == span.start)
            .any(|l| l.span == span && l.used)
    }
}

const MAX_DEPTH: u32 = 64;

pub fn stmt_ends(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Expr(e) => e.ty == Ty::Never,
        Stmt::Let { init, .. } => init.as_ref().is_some_and(|e| e.ty == Ty::Never),
    }
}

fn param_number(g: &Generic) -> ParamNumber {
    let has = |b: &Bound| g.bounds.contains(b);
    if has(&Bound::Integer) {
        ParamNumber::Integer
    } else if has(&Bound::Floating) {
        ParamNumber::Floating
    } else if has(&Bound::Number) {
        ParamNumber::Number
    } else {
        ParamNumber::No
    }
}
