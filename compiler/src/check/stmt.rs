//! Statements and blocks.

use super::*;
use crate::types::infer::VarKind;
use crate::types::show::with_article;
use stark_syntax::ast::StmtKind;

impl<'a> Checker<'a> {
    /// A block. `value`: `None` as statements; else its last expression is its value, with a hint.
    pub fn block(&mut self, block: &'a ast::Block, value: Option<Option<&Ty>>) -> Expr {
        self.push_frame();
        self.declare_nested(block);
        let mut stmts = Vec::new();
        let mut result = None;
        // `ends` is taken back once the statement after it was reported; `never` stays.
        let (mut ends, mut never) = (None, false);
        for (i, stmt) in block.stmts.iter().enumerate() {
            self.warn_unreachable(&mut ends, stmt.span);
            let last = i + 1 == block.stmts.len();
            if last
                && let Some(hint) = value
                && let Some(e) = self.tail_value(stmt, hint)
            {
                result = (!never).then_some(e);
                continue;
            }
            let first = stmts.len();
            self.stmt_into(stmt, &mut stmts);
            if never {
                // Checked, and then left out: what is never reached has no values, and no code.
                stmts.truncate(first);
                continue;
            }
            if let Some(end) = stmts[first..].iter().position(stmt_ends) {
                stmts.truncate(first + end + 1);
                (ends, never) = (Some(stmt.span), true);
            }
        }
        self.pop_frame();
        let span = block.span;
        let ty = match &result {
            _ if never => Ty::Never,
            Some(e) => e.ty.clone(),
            None => Ty::Unit,
        };
        Expr { kind: ExprKind::Block { stmts, value: result.map(Box::new) }, ty, span }
    }

    pub fn value_block(&mut self, block: &'a ast::Block, hint: Option<&Ty>) -> Expr {
        self.block(block, Some(hint))
    }

    /// The last statement of a block that is used as a value.
    fn tail_value(&mut self, stmt: &'a ast::Stmt, hint: Option<&Ty>) -> Option<Expr> {
        match &stmt.kind {
            StmtKind::Expr(e) => {
                let guards = self.f.call_guards.len();
                let value = self.guarded(e, hint);
                self.escaped_guards(guards);
                Some(value)
            }
            StmtKind::Try { body, catches, finally } => {
                let ty = self.result_ty(hint, stmt.span);
                Some(self.try_stmt(body, catches, finally.as_deref(), stmt.span, Some(&ty)))
            }
            StmtKind::With { items, body } => Some(self.with_stmt(items, body, stmt.span, Some(hint))),
            _ => None,
        }
    }

    /// Functions declared in a block are known in all of it.
    fn declare_nested(&mut self, block: &'a ast::Block) {
        let first = self.fns.len();
        for stmt in &block.stmts {
            let StmtKind::Item(item) = &stmt.kind else { continue };
            match &item.kind {
                ItemKind::Fn(f) => {
                    let env = self.f.env.clone();
                    let id = self.new_fn(&f.name.name, env.module, f.name.span, FnSource::Decl(f), self.f.item);
                    let outer = self.f.generics.clone();
                    self.sign(id, f, &item.attributes, &outer, &env, None);
                    self.bind_name(f.name.name.clone(), Binding::Fn(id));
                }
                ItemKind::Import(_) => {
                    self.error(
                        codes::OUT_OF_PLACE,
                        "imports stand at the top level",
                        item.span,
                        "move it to the top of the file",
                    );
                }
                ItemKind::Stmt(_) => {}
                kind => {
                    self.report(
                        Diagnostic::error(
                            codes::OUT_OF_PLACE,
                            "types, traits, constants and zones are declared at the top level",
                            item.span,
                            "inside of a function",
                        )
                        .help("move it out of the function"),
                    );
                    // What it declares is known, so that its uses say no more.
                    if let ItemKind::SharedLet { name, .. } | ItemKind::Const { name, .. } = kind {
                        let local = self.new_local(&name.name, Ty::Error, false, name.span);
                        self.body().meta[local.index()].hidden = true;
                        self.bind_name(name.name.clone(), Binding::Local(local));
                    }
                }
            }
        }
        if first < self.fns.len() {
            let around: Vec<(Rc<str>, FnId)> = self
                .f
                .frames
                .iter()
                .flat_map(|frame| &frame.names)
                .filter_map(|(name, binding)| match binding {
                    Binding::Fn(id) => Some((name.clone(), *id)),
                    Binding::Local(_) => None,
                })
                .collect();
            self.fns[first..].iter_mut().for_each(|info| info.around = around.clone());
        }
    }

    /// `ends` is the statement before that never goes on.
    pub fn warn_unreachable(&mut self, ends: &mut Option<Span>, span: Span) {
        if let Some(end) = ends.take() {
            self.report(
                Diagnostic::warning(codes::UNREACHABLE, "this is never reached", span, "never reached")
                    .because(end, "nothing goes on after this"),
            );
        }
    }

    fn never(&self, kind: ExprKind, span: Span) -> Stmt {
        Stmt::Expr(Expr { kind, ty: Ty::Never, span })
    }

    pub fn stmt_into(&mut self, stmt: &'a ast::Stmt, out: &mut Vec<Stmt>) {
        let span = stmt.span;
        match &stmt.kind {
            StmtKind::Pass | StmtKind::Error | StmtKind::Item(_) => {}
            StmtKind::Let { mutable, pattern, ty, value, else_block } => {
                self.let_stmt(*mutable, pattern, ty.as_deref(), value.as_ref(), else_block.as_deref(), span, out);
            }
            StmtKind::Assign { target, op, value } => {
                let e = self.assign(target, *op, value, span);
                out.push(Stmt::Expr(e));
            }
            StmtKind::Expr(e) => {
                let value = self.expr_stmt(e);
                self.warn_no_effect(e, &value);
                out.push(Stmt::Expr(value));
            }
            StmtKind::While { cond, body } => {
                self.push_frame();
                let forever = matches!(cond, ast::Condition::Expr(e) if matches!(e.kind, ast::ExprKind::Literal(ast::Literal::Bool(true))));
                let cond = self.cond(cond);
                let (body, broke) = self.loop_body(body);
                self.pop_frame();
                let ty = if forever && !broke { Ty::Never } else { Ty::Unit };
                let kind = ExprKind::While { cond: Box::new(cond), body: Box::new(body) };
                out.push(Stmt::Expr(Expr { kind, ty, span }));
            }
            StmtKind::For { pattern, iterable, body } => {
                let (iterable, item) = self.iterable(iterable);
                self.push_frame();
                let pattern = self.pattern(pattern, &item, false);
                self.require_irrefutable(&pattern);
                let (body, _) = self.loop_body(body);
                self.pop_frame();
                let kind = ExprKind::For { pattern, iterable: Box::new(iterable), body: Box::new(body) };
                out.push(Stmt::Expr(Expr { kind, ty: Ty::Unit, span }));
            }
            StmtKind::Break | StmtKind::Continue => {
                let is_break = matches!(stmt.kind, StmtKind::Break);
                let word = if is_break { "break" } else { "continue" };
                let cx = self.body();
                if cx.loops == 0 {
                    self.error(
                        codes::OUT_OF_PLACE,
                        format!("`{word}` outside of a loop"),
                        span,
                        "no loop around it here",
                    );
                    return;
                }
                if is_break && let Some(last) = cx.breaks.last_mut() {
                    *last = true;
                }
                let kind = if is_break { ExprKind::Break } else { ExprKind::Continue };
                out.push(self.never(kind, span));
            }
            StmtKind::Return(value) => {
                let e = self.return_stmt(value.as_ref(), span);
                out.push(Stmt::Expr(e));
            }
            StmtKind::Throw(e) => {
                let value = self.expr(e, None);
                let e = self.throw(value, span);
                out.push(Stmt::Expr(e));
            }
            StmtKind::Assert { cond, message } => {
                let text: Rc<str> = self.text(cond.span).into();
                let cond = self.condition(cond);
                let message = message.as_ref().map(|m| Box::new(self.check_expr(m, &Ty::Str)));
                let kind = ExprKind::Assert { cond: Box::new(cond), message, text };
                out.push(Stmt::Expr(Expr { kind, ty: Ty::Unit, span }));
            }
            StmtKind::Try { body, catches, finally } => {
                let e = self.try_stmt(body, catches, finally.as_deref(), span, None);
                out.push(Stmt::Expr(e));
            }
            StmtKind::With { items, body } => {
                let e = self.with_stmt(items, body, span, None);
                out.push(Stmt::Expr(e));
            }
            StmtKind::Scope { name, body } => {
                let e = self.scope_stmt(name, body, span);
                out.push(Stmt::Expr(e));
            }
            StmtKind::SpawnFn(f) => self.spawn_fn(f, span, out),
        }
    }

    fn loop_body(&mut self, body: &'a ast::Block) -> (Expr, bool) {
        let cx = self.body();
        cx.loops += 1;
        cx.breaks.push(false);
        let value = self.block(body, None);
        let cx = self.body();
        cx.loops -= 1;
        let broke = cx.breaks.pop().unwrap_or(false);
        (value, broke)
    }

    /// What a `for` runs over, and what it gives for each step.
    pub fn iterable(&mut self, e: &'a ast::Expr) -> (Expr, Ty) {
        let value = self.expr(e, None);
        let span = value.span;
        match self.infer.shallow(&value.ty) {
            Ty::Error => (value, Ty::Error),
            Ty::Tensor(t) => {
                let item = Ty::Tensor(TensorTy { elem: t.elem, dims: None });
                (value, item)
            }
            Ty::Infer(v) if self.infer.kind(v) == VarKind::Any || self.infer.kind(v) == VarKind::Braces => {
                self.error(
                    codes::CANNOT_INFER,
                    "the type of this must be known before it is looped over",
                    span,
                    "not known yet",
                );
                (value, Ty::Error)
            }
            ty => {
                let lang = &self.program.lang;
                let direct = match &ty {
                    Ty::Adt(id, _) => {
                        [lang.vec, lang.map, lang.set, lang.range, lang.channel, lang.subscription].contains(id)
                    }
                    Ty::Str | Ty::Bytes => true,
                    _ => false,
                };
                if direct && let Some(item) = self.iterated(&ty) {
                    return (value, item);
                }
                if let Some(item) = self.iterator_item(&ty) {
                    return (value, item);
                }
                if !self.methods_of(&ty, "iter").is_empty()
                    && let Some(list) = self.call_method_named(value.clone(), "iter", Vec::new(), span)
                    && let Some(item) = self.iterated(&list.ty.clone())
                {
                    return (list, item);
                }
                let shown = self.show(&ty);
                let mut d = Diagnostic::error(
                    codes::NOT_ITERABLE,
                    format!("`{shown}` cannot be looped over"),
                    span,
                    format!("this is `{shown}`"),
                );
                if self.is_number(&ty) {
                    d = d.help(format!("write `0..{}` for the numbers below it", self.text(span)));
                } else if matches!(&ty, Ty::Adt(id, _) if self.is_broadcast(*id)) {
                    d = d.help(format!("write `{}.subscribe()`: a subscription receives", self.text(span)));
                } else if let Some(mend) = self.inside(&ty, span) {
                    d = mend.onto(d);
                } else if let Ty::Adt(id, _) = &ty
                    && matches!(self.program.adts[id.index()].kind, AdtKind::Struct(_))
                {
                    d = d.help(format!(
                        "loop over one of its fields, or add `impl Iterator<…> for {shown}:` with `next`"
                    ));
                }
                self.report(d);
                (value, Ty::Error)
            }
        }
    }

    pub fn require_irrefutable(&mut self, pat: &Pat) {
        if let Some(case) = crate::exhaustive::missed(self, &pat.ty.clone(), &[pat]) {
            self.report(
                Diagnostic::error(
                    codes::NOT_EXHAUSTIVE,
                    format!("this pattern misses `{case}`"),
                    pat.span,
                    "does not fit every value",
                )
                .help("use `if let`, `match`, or `let … else:`"),
            );
        }
    }

    fn let_stmt(
        &mut self,
        mutable: bool,
        pattern: &'a ast::Pattern,
        ty: Option<&'a ast::Type>,
        value: Option<&'a ast::Expr>,
        else_block: Option<&'a ast::Block>,
        span: Span,
        out: &mut Vec<Stmt>,
    ) {
        let env = self.f.env.clone();
        let written = ty.map(|t| self.lower(t, &env));
        let guards = self.f.call_guards.len();
        let init = match (value, &written) {
            (Some(e), Some(t)) => {
                let before = self.diagnostics.len();
                let found = self.guarded(e, Some(t));
                let value = self.coerce(found, t);
                if let Some(written) = ty {
                    self.why_expected(before, e, written.span, "the type that is written here");
                }
                Some(self.as_written(value, t))
            }
            (Some(e), None) => {
                let wish = self.pattern_wish(pattern);
                Some(self.guarded(e, wish.as_ref()))
            }
            (None, _) => None,
        };
        let kept_guard = self.f.call_guards.len() > guards;
        self.escaped_guards(guards);
        let ty = match (&written, &init) {
            // Reported: what is done with it says no more.
            _ if kept_guard => Ty::Error,
            (Some(t), _) => t.clone(),
            (None, Some(e)) => {
                // A variable is a context that asks for nothing: its literals take their own types here.
                self.infer.settle_literals(&e.ty);
                // What a type states stays with the value; a variable without one may be given any shape.
                self.strip_dims(&self.infer.resolve(&e.ty))
            }
            (None, None) => self.infer.fresh(VarKind::Any, span),
        };
        if init.is_none() {
            self.report(
                Diagnostic::error(codes::USED_BEFORE_SET, "a variable needs a value", span, "nothing is assigned here")
                    .help("write `let x = …`"),
            );
        }
        let else_ = else_block.map(|b| {
            let e = self.block(b, None);
            if e.ty != Ty::Never {
                self.error(
                    codes::MISSING_RETURN,
                    "the `else` of a `let` must leave: `return`, `throw`, `break` or `continue`",
                    b.span,
                    "goes on after it",
                );
            }
            e
        });
        let ty = if ty == Ty::Never { Ty::Error } else { ty };
        let pattern = self.pattern(pattern, &ty, mutable);
        let else_ = match else_ {
            None => {
                self.require_irrefutable(&pattern);
                None
            }
            Some(e) if self.irrefutable(&pattern) => {
                self.report(Diagnostic::warning(
                    codes::UNREACHABLE,
                    "this `else` is never reached: the pattern fits every value",
                    e.span,
                    "never reached",
                ));
                None
            }
            some => some,
        };
        out.push(Stmt::Let { pattern, init, else_ });
    }

    /// A tuple pattern wishes for a tuple: what a model gives depends on it.
    fn pattern_wish(&mut self, p: &ast::Pattern) -> Option<Ty> {
        match &p.kind {
            ast::PatternKind::Tuple(ps) if !ps.is_empty() => {
                Some(Ty::Tuple(ps.iter().map(|p| self.infer.fresh(VarKind::Any, p.span)).collect()))
            }
            _ => None,
        }
    }

    fn assign(&mut self, target: &'a ast::Expr, op: Option<BinaryOp>, value: &'a ast::Expr, span: Span) -> Expr {
        let guards = self.f.call_guards.len();
        let mut before = Vec::new();
        let e = self.assign_inner(target, op, value, span, &mut before);
        let e = self.close_guards(e, guards);
        Self::after(before, e)
    }

    /// `before` gets what runs before the target's zone is taken.
    fn assign_inner(
        &mut self,
        target: &'a ast::Expr,
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        before: &mut Vec<Stmt>,
    ) -> Expr {
        if let ast::ExprKind::Index { base, indices } = &target.kind {
            let is_slice = indices.iter().any(|i| matches!(i, ast::Index::Range { .. }));
            let typed = self.place(base, None);
            if matches!(self.infer.shallow(&typed.ty), Ty::Tensor(_)) {
                return self.tensor_assign(typed, indices, op, value, span);
            }
            if is_slice {
                self.error(
                    codes::NOT_A_PLACE,
                    "a slice is a new value and cannot be assigned",
                    target.span,
                    "not a place",
                );
                return self.err(span);
            }
            let place = self.index_of(typed, indices, target.span);
            return self.assign_to(place, op, value, span, before);
        }
        if let ast::ExprKind::Name(name) = &target.kind
            && self.find_binding(name).is_none()
            && !self.is_actor_field(name)
        {
            if let Some(Def::Const(id)) = self.lookup(self.f.env.module, name) {
                let name = self.program.consts[id.index()].name.clone();
                self.error(
                    codes::ASSIGN_IMMUTABLE,
                    format!("the constant `{name}` cannot change"),
                    target.span,
                    "declared with `const`",
                );
                self.expr(value, None);
                return self.err(span);
            }
            let known =
                self.lookup(self.f.env.module, name).is_some() || self.script_lets.iter().any(|l| l.name == *name);
            if !known {
                self.report(
                    Diagnostic::error(
                        codes::UNKNOWN_NAME,
                        format!("there is no `{name}` to assign to"),
                        target.span,
                        "not known",
                    )
                    .help(format!("`let {name} = …` declares a variable"))
                    .fix(
                        "declare it with `let`",
                        vec![(Span { end: target.span.start, ..target.span }, "let ".into())],
                    ),
                );
                self.expr(value, None);
                return self.err(span);
            }
        }
        let used = self.local_used(target);
        let place = self.place(target, None);
        if op.is_none() {
            // Being assigned is no use.
            self.restore_used(used);
        }
        self.assign_to(place, op, value, span, before)
    }

    fn local_used(&mut self, target: &ast::Expr) -> Option<(LocalId, bool)> {
        let ast::ExprKind::Name(name) = &target.kind else { return None };
        match self.find_binding(name) {
            Some((body, Binding::Local(l))) if body + 1 == self.f.bodies.len() => {
                Some((l, self.body().meta[l.index()].used))
            }
            _ => None,
        }
    }

    fn restore_used(&mut self, used: Option<(LocalId, bool)>) {
        if let Some((local, used)) = used {
            self.body().meta[local.index()].used = used;
        }
    }

    fn assign_to(
        &mut self,
        place: Expr,
        op: Option<BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        before: &mut Vec<Stmt>,
    ) -> Expr {
        let lang_vec_str = matches!(place.kind, ExprKind::Call { .. });
        if lang_vec_str && place.ty != Ty::Error {
            let shown = self.text(place.span).to_string();
            self.error(codes::NOT_A_PLACE, format!("`{shown}` cannot be assigned"), place.span, "a value, not a place");
            self.expr(value, None);
            return self.err(span);
        }
        self.require_mutable(&place, place.span, false);
        let ty = place.ty.clone();
        // The value comes first: it may wait, or look at the zone.
        let held = self.open_guard(&place).map_or_else(Vec::new, |(at, _)| self.f.call_guards.split_off(at));
        match op {
            None => {
                let n_told = self.diagnostics.len();
                let written = value;
                let value = self.check_expr(value, &ty);
                let value = self.reopen(held, value, before);
                if let ExprKind::Local(local) = place.kind
                    && self.diagnostics.len() > n_told
                {
                    let at = self.body().locals[local.index()].span;
                    let text = format!("declared here, as `{}`", self.show(&ty));
                    self.why_expected(n_told, written, at, text);
                }
                Expr { kind: ExprKind::Assign { target: Box::new(place), value: Box::new(value) }, ty: Ty::Unit, span }
            }
            Some(op) => {
                let value = self.expr(value, if self.is_number(&ty) { Some(&ty) } else { None });
                let value = self.reopen(held, value, before);
                if ty == Ty::Error || value.ty == Ty::Error {
                    return self.err(span);
                }
                let combined = self.assign_op_call(op, &place, value, span);
                match combined.kind {
                    ExprKind::Binary { op, rhs, .. } => {
                        if !self.infer.unify(&combined.ty, &ty) {
                            self.mismatch(&ty, &combined.ty, span);
                        }
                        let kind = ExprKind::AssignOp { target: Box::new(place), op: AssignOp::Binary(op), value: rhs };
                        Expr { kind, ty: Ty::Unit, span }
                    }
                    ExprKind::Call { callee, mut args } if args.len() == 2 => {
                        let gives = combined.ty;
                        // What assigning it would ask of it.
                        let result = Expr { kind: ExprKind::Lit(Lit::Unit), ty: gives.clone(), span };
                        let asked = self.coerce(result, &ty).kind;
                        let check = matches!(asked, ExprKind::Coerce { kind: Coercion::TensorCheck, .. });
                        let takes = args[0].value.ty.clone();
                        let Some(second) = args.pop() else { return self.err(span) };
                        let kind = ExprKind::AssignOp {
                            target: Box::new(place),
                            op: AssignOp::Call { callee, takes, gives, check },
                            value: Box::new(second.value),
                        };
                        Expr { kind, ty: Ty::Unit, span }
                    }
                    ExprKind::Call { .. } => {
                        let value = self.coerce(combined, &ty);
                        let kind = ExprKind::Assign { target: Box::new(place), value: Box::new(value) };
                        Expr { kind, ty: Ty::Unit, span }
                    }
                    _ => self.err(span),
                }
            }
        }
    }

    /// An expression as a statement: branches need no common type.
    fn expr_stmt(&mut self, e: &'a ast::Expr) -> Expr {
        let guards = self.f.call_guards.len();
        let value = match &e.kind {
            ast::ExprKind::If { branches, else_block } => {
                self.if_expr(branches, else_block.as_ref(), e.span, None, false)
            }
            ast::ExprKind::Match { scrutinee, arms } => self.match_expr(scrutinee, arms, e.span, None, false),
            ast::ExprKind::Select { arms } => self.select_expr(arms, e.span, None, false),
            ast::ExprKind::Block(b) => self.block(b, None),
            _ => self.guarded(e, None),
        };
        self.escaped_guards(guards);
        value
    }

    fn return_stmt(&mut self, value: Option<&'a ast::Expr>, span: Span) -> Expr {
        if self.body().kind == BodyKind::Task {
            self.report(
                Diagnostic::error(
                    codes::OUT_OF_PLACE,
                    "`return` does not leave a task's block",
                    span,
                    "the block's value is its last expression",
                )
                .help("move the code into a function"),
            );
        }
        let ret = self.body().ret.clone().unwrap_or(Ty::Error);
        let ret_span = self.body().ret_span;
        let guards = self.f.call_guards.len();
        let value = match value {
            Some(e) => {
                self.body().saw_return = true;
                let before = self.diagnostics.len();
                let found = self.guarded(e, Some(&ret));
                let shown = found.ty.clone();
                let returned = match self.try_coerce(found, &ret) {
                    Ok(v) => Some(Box::new(v)),
                    Err(v) => {
                        let at = v.span;
                        let f = self.show(&shown);
                        if self.infer.shallow(&ret) == Ty::Unit {
                            self.report(
                                Diagnostic::error(
                                    codes::TYPE_MISMATCH,
                                    format!("this function returns nothing, and here {}", with_article(&f)),
                                    at,
                                    format!("this is `{f}`"),
                                )
                                .because(ret_span, "declared without `->`"),
                            );
                        } else {
                            self.mismatch(&ret, &shown, at);
                        }
                        Some(Box::new(Expr { ty: Ty::Error, ..v }))
                    }
                };
                if ret_span != Span::default() && self.diagnostics.len() > before {
                    let text = format!("returns `{}`", self.show(&ret));
                    self.why_expected(before, e, ret_span, text);
                }
                returned
            }
            None => {
                let now = self.infer.shallow(&ret);
                match now {
                    Ty::Infer(_) if !self.body().saw_return => {
                        self.infer.unify(&now, &Ty::Unit);
                    }
                    Ty::Unit | Ty::Error => {}
                    _ => {
                        let shown = self.show(&ret);
                        self.error(
                            codes::TYPE_MISMATCH,
                            format!("`return` without the `{shown}` that is promised"),
                            span,
                            "a value is missing",
                        );
                    }
                }
                self.body().saw_return = true;
                None
            }
        };
        self.escaped_guards(guards);
        Expr { kind: ExprKind::Return(value), ty: Ty::Never, span }
    }

    pub fn throw(&mut self, value: Expr, span: Span) -> Expr {
        let error = self.program.lang.error;
        let ty = self.infer.shallow(&value.ty);
        if ty != Ty::Error && self.meets(&ty, &Bound::plain(error)) == Met::No {
            let shown = self.show(&ty);
            let mut d = Diagnostic::error(
                codes::BOUND_NOT_MET,
                format!("`{shown}` is not an error and cannot be thrown"),
                value.span,
                "does not implement `Error`",
            );
            d = match ty {
                Ty::Str => d.help(format!("throw `ValueError({})`", self.text(value.span))),
                _ => d.help(format!("add `impl Error for {shown}:`")),
            };
            self.report(d);
        }
        let again = match &value.kind {
            ExprKind::Local(l) if self.f.caught.contains(l) => Some(*l),
            _ => None,
        };
        Expr { kind: ExprKind::Throw { value: Box::new(value), again }, ty: Ty::Never, span }
    }

    fn try_stmt(
        &mut self,
        body: &'a ast::Block,
        catches: &'a [ast::Catch],
        finally: Option<&'a ast::Block>,
        span: Span,
        result: Option<&Ty>,
    ) -> Expr {
        let run = |c: &mut Self, block: &'a ast::Block| match result {
            Some(ty) => {
                let value = c.block(block, Some(Some(ty)));
                c.join_value(value, ty)
            }
            None => c.block(block, None),
        };
        let value = run(self, body);
        let mut out = Vec::new();
        let mut all_end = value.ty == Ty::Never;
        let mut caught_all: Option<Span> = None;
        for c in catches {
            if let Some(earlier) = caught_all {
                self.report(
                    Diagnostic::warning(
                        codes::UNREACHABLE,
                        "this `catch` is never reached: one before it takes every error",
                        c.span,
                        "never reached",
                    )
                    .because(earlier, "takes every error"),
                );
            }
            let env = self.f.env.clone();
            let mut types = Vec::new();
            for t in &c.types {
                let ty = self.lower(t, &env);
                if ty == self.error_dyn() {
                    caught_all.get_or_insert(c.span);
                    continue;
                }
                self.require(&ty, &Bound::plain(self.program.lang.error), t.span, "`catch`");
                types.push(ty);
            }
            if c.types.is_empty() {
                caught_all.get_or_insert(c.span);
            }
            self.push_frame();
            let local = c.name.as_ref().map(|name| {
                let ty = match types.as_slice() {
                    [one] => one.clone(),
                    _ => self.error_dyn(),
                };
                let local = self.new_local(&name.name, ty, false, name.span);
                self.body().meta[local.index()].hidden = true;
                self.bind_name(name.name.clone(), Binding::Local(local));
                self.f.caught.push(local);
                local
            });
            let body = run(self, &c.body);
            if local.is_some() {
                self.f.caught.pop();
            }
            self.pop_frame();
            all_end &= body.ty == Ty::Never;
            out.push(Catch { types, local, body });
        }
        let finally = finally.map(|b| self.block(b, None));
        let finally_ends = finally.as_ref().is_some_and(|f| f.ty == Ty::Never);
        let ty = if all_end || finally_ends { Ty::Never } else { result.map_or(Ty::Unit, |t| self.infer.resolve(t)) };
        Expr { kind: ExprKind::Try { body: Box::new(value), catches: out, finally: finally.map(Box::new) }, ty, span }
    }

    pub fn match_expr(
        &mut self,
        scrutinee: &'a ast::Expr,
        arms: &'a [ast::Arm],
        span: Span,
        hint: Option<&Ty>,
        as_value: bool,
    ) -> Expr {
        let value = self.expr(scrutinee, None);
        let mut ty = value.ty.clone();
        let result = self.result_ty(hint, span);
        let mut out: Vec<Arm> = Vec::new();
        let mut all_end = true;
        for arm in arms {
            self.push_frame();
            self.f.looked_at = scrutinee.span;
            let pattern = self.pattern(&arm.pattern, &ty, false);
            if pattern.ty == Ty::Error {
                // Told; the other arms are wrong in the same way.
                ty = Ty::Error;
            }
            let guard = arm.guard.as_ref().map(|g| self.condition(g));
            let body = if as_value {
                let body = self.expr(&arm.body, Some(&result));
                self.join_value(body, &result)
            } else {
                self.expr_stmt(&arm.body)
            };
            self.pop_frame();
            all_end &= body.ty == Ty::Never;
            let body = if as_value || matches!(body.ty, Ty::Never | Ty::Unit) {
                body
            } else {
                let at = body.span;
                Expr { kind: ExprKind::Block { stmts: vec![Stmt::Expr(body)], value: None }, ty: Ty::Unit, span: at }
            };
            out.push(Arm { pattern, guard, body });
        }
        self.check_exhaustive(&ty, &out, span, value.span);
        let ty = if all_end && !arms.is_empty() {
            Ty::Never
        } else if as_value {
            self.infer.resolve(&result)
        } else {
            Ty::Unit
        };
        Expr { kind: ExprKind::Match { scrutinee: Box::new(value), arms: out }, ty, span }
    }

    fn check_exhaustive(&mut self, ty: &Ty, arms: &[Arm], span: Span, at: Span) {
        self.infer.settle_literals(ty);
        let ty = self.infer.resolve(ty);
        if ty == Ty::Error {
            return;
        }
        let rows: Vec<&Pat> = arms.iter().filter(|a| a.guard.is_none()).map(|a| &a.pattern).collect();
        if let Some(case) = crate::exhaustive::missed(self, &ty, &rows) {
            let head = Span { end: at.end, ..span };
            self.report(
                Diagnostic::error(
                    codes::NOT_EXHAUSTIVE,
                    format!("this `match` misses `{case}`"),
                    head,
                    format!("`{case}` has no arm"),
                )
                .help(match case.as_str() {
                    "_" => "add `_ => …` for all others".to_string(),
                    case => format!("add `{case} => …`, or `_ => …` for all others"),
                }),
            );
            return;
        }
        let patterns: Vec<(&Pat, bool)> = arms.iter().map(|arm| (&arm.pattern, arm.guard.is_none())).collect();
        for i in crate::exhaustive::useless(self, &ty, &patterns) {
            self.report(Diagnostic::warning(
                codes::UNREACHABLE,
                "no value reaches this arm",
                arms[i].pattern.span,
                "the arms above take everything it fits",
            ));
        }
    }
}
