//! Expressions: each form to its typed node, the expected type as a hint.

use super::dims::strip_names;
use super::limits::int_range;
use super::*;
use crate::index::Entity;
use crate::types::infer::VarKind;
use crate::types::show::{num_kind, with_article};
use stark_bytecode::format_spec::{Sort, Spec};
use stark_syntax::ast::{Literal, UnaryOp};

impl<'a> Checker<'a> {
    /// The typed form of an expression. `hint` is what the context would like; `coerce` enforces it. Guards that it takes end with
    /// it: what follows has the value, and may take their zones again.
    pub fn expr(&mut self, e: &'a ast::Expr, hint: Option<&Ty>) -> Expr {
        self.expr_but(e, hint, |_| false)
    }

    /// An expression that may be a guard, where that is used (`with`, `&`) or refused (`let`): then it stays open.
    pub fn guarded(&mut self, e: &'a ast::Expr, hint: Option<&Ty>) -> Expr {
        self.expr_but(e, hint, |is_whole| is_whole)
    }

    /// An expression that a method is called on, or that is assigned or lent. A part of a zone's value stays in its place, so the
    /// guard stays open until it is used.
    pub fn place(&mut self, e: &'a ast::Expr, hint: Option<&Ty>) -> Expr {
        self.expr_but(e, hint, |_| true)
    }

    /// `keeps`: whether a guard stays open, of whose value the expression is all (or a part) and its place.
    fn expr_but(&mut self, e: &'a ast::Expr, hint: Option<&Ty>, keeps: impl FnOnce(bool) -> bool) -> Expr {
        let guards = self.f.call_guards.len();
        let value = self.expr_inner(e, hint);
        self.note_type(e.span, &value.ty);
        match self.open_guard(&value) {
            Some((at, is_whole)) if at >= guards && keeps(is_whole) => value,
            _ => self.close_guards(value, guards),
        }
    }

    /// The guard that a place begins at, by its number among those open, and whether the place is all of its value.
    pub fn open_guard(&self, value: &Expr) -> Option<(usize, bool)> {
        let path = place::place_path(value)?;
        let place::Root::Local(root) = path.root else { return None };
        let at = self.f.call_guards.iter().position(|g| g.local == root && g.body == self.f.bodies.len())?;
        Some((at, path.steps.is_empty()))
    }

    pub fn literal(&mut self, lit: &Literal, span: Span, hint: Option<&Ty>) -> Expr {
        let suffix_ty = |s: &Option<Rc<str>>| s.as_deref().and_then(suffix_kind).map(Ty::Num);
        let (lit, ty) = match lit {
            Literal::Int(n, suffix) => {
                let ty = suffix_ty(suffix).unwrap_or_else(|| self.number_hint(hint, VarKind::IntLit, span));
                let n = i128::try_from(*n).unwrap_or(i128::MAX);
                (Lit::Int(n), ty)
            }
            Literal::Float(x, suffix) => {
                let ty = suffix_ty(suffix).unwrap_or_else(|| self.number_hint(hint, VarKind::FloatLit, span));
                (Lit::Float(*x), ty)
            }
            Literal::Bool(b) => (Lit::Bool(*b), Ty::Bool),
            Literal::Str(s) => (Lit::Str(s.clone()), Ty::Str),
            Literal::Bytes(b) => (Lit::Bytes(b.clone()), Ty::Bytes),
            Literal::Duration(ns) => (Lit::Duration(*ns), Ty::Duration),
            Literal::Unit => (Lit::Unit, Ty::Unit),
        };
        Expr { kind: ExprKind::Lit(lit), ty, span }
    }

    fn number_hint(&mut self, hint: Option<&Ty>, kind: VarKind, span: Span) -> Ty {
        if let Some(hint) = hint {
            let hint = self.infer.shallow(hint);
            if matches!(hint, Ty::Num(_) | Ty::Param(..)) && self.infer.kind_allows(kind, &hint) {
                return hint;
            }
        }
        self.infer.fresh(kind, span)
    }

    pub fn expr_inner(&mut self, e: &'a ast::Expr, hint: Option<&Ty>) -> Expr {
        let span = e.span;
        match &e.kind {
            ast::ExprKind::Literal(lit) => self.literal(lit, span, hint),
            ast::ExprKind::FString(parts) => self.fstring(parts, span),
            ast::ExprKind::Name(name) => self.name_expr(name, span, hint),
            ast::ExprKind::SelfValue => self.self_expr(span),
            ast::ExprKind::Scoped { path, type_args, name } => self.scoped_value(path, type_args, name, span, hint),
            ast::ExprKind::Instantiate { base, type_args } => self.instantiated(base, type_args, span, hint),
            ast::ExprKind::Unary { op, operand } => self.unary(*op, operand, span, hint),
            ast::ExprKind::Binary { op, op_span, lhs, rhs } => self.binary(*op, *op_span, lhs, rhs, span, hint),
            ast::ExprKind::Call { callee, args } => self.call(callee, args, span, hint),
            ast::ExprKind::Field { base, name } => self.field(base, name, span, hint),
            ast::ExprKind::TupleField { base, index, index_span } => {
                let base = self.place(base, None);
                match self.infer.shallow(&base.ty) {
                    Ty::Tuple(ts) if (*index as usize) < ts.len() => {
                        let ty = ts[*index as usize].clone();
                        Expr { kind: ExprKind::Field { base: Box::new(base), index: *index }, ty, span }
                    }
                    Ty::Error => self.err(span),
                    other => {
                        let shown = self.show(&other);
                        let d = Diagnostic::error(
                            codes::NO_SUCH_MEMBER,
                            format!("`{shown}` has no element {index}"),
                            *index_span,
                            "no such element",
                        );
                        let mend = self.inside(&other, base.span);
                        self.report(match (mend, &other) {
                            (Some(mend), _) => mend.onto(d),
                            (None, Ty::Tuple(ts)) => {
                                d.help(format!("its elements are `.0` to `.{}`", ts.len().saturating_sub(1)))
                            }
                            (None, _) => d.help("only tuples have elements by number; a list has `xs[0]`"),
                        });
                        self.err(span)
                    }
                }
            }
            ast::ExprKind::Index { base, indices } => self.index(base, indices, span),
            ast::ExprKind::Range { start, end, inclusive } => {
                let (Some(start), Some(end)) = (start, end) else {
                    self.error(
                        codes::CANNOT_INFER,
                        "a range that is open at an end only stands inside `[…]` and patterns",
                        span,
                        "write both ends",
                    );
                    return self.err(span);
                };
                let start = self.check_expr(start, &Ty::INT);
                let end = self.check_expr(end, &Ty::INT);
                let ty = Ty::Adt(self.program.lang.range, Rc::from([]));
                Expr {
                    kind: ExprKind::Range { start: Box::new(start), end: Box::new(end), inclusive: *inclusive },
                    ty,
                    span,
                }
            }
            ast::ExprKind::Tuple(items) => {
                let hints = match hint.map(|h| self.infer.shallow(h)) {
                    Some(Ty::Tuple(ts)) if ts.len() == items.len() => Some(ts),
                    _ => None,
                };
                let mut out = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    let hint = hints.as_ref().map(|h| h[i].clone());
                    let value = self.expr(item, hint.as_ref());
                    // A dynamic or checked element is converted here, where its place is known.
                    out.push(match &hint {
                        Some(h) => self.try_coerce(value, h).unwrap_or_else(|v| v),
                        None => value,
                    });
                }
                if out.is_empty() {
                    return Expr { kind: ExprKind::Lit(Lit::Unit), ty: Ty::Unit, span };
                }
                let ty = Ty::Tuple(out.iter().map(|e| e.ty.clone()).collect());
                Expr { kind: ExprKind::Tuple(out), ty, span }
            }
            ast::ExprKind::List(items) => {
                let elem = self.element_hint(hint, self.program.lang.vec, 0, span);
                let wanted = hint.is_some();
                let first = items.first().map(|x| x.span);
                let items = items
                    .iter()
                    .map(|x| {
                        let before = self.diagnostics.len();
                        let value = self.check_expr(x, &elem);
                        if let Some(first) = first.filter(|first| *first != x.span && !wanted) {
                            self.why_expected(before, x, first, "the first element decides the type");
                        }
                        value
                    })
                    .collect();
                let ty = Ty::Adt(self.program.lang.vec, Rc::from([elem]));
                Expr { kind: ExprKind::List(items), ty, span }
            }
            ast::ExprKind::Set(items) => {
                let elem = self.element_hint(hint, self.program.lang.set, 0, span);
                let items = items.iter().map(|x| self.check_expr(x, &elem)).collect();
                let ty = Ty::Adt(self.program.lang.set, Rc::from([elem.clone()]));
                self.require(&elem, &Bound::plain(self.program.lang.hash), span, "an element of a `Set`");
                Expr { kind: ExprKind::Set(items), ty, span }
            }
            ast::ExprKind::Map(entries) if entries.is_empty() => {
                let ty = match hint.map(|h| self.infer.shallow(h)) {
                    Some(t @ Ty::Adt(id, _)) if id == self.program.lang.map || id == self.program.lang.set => t,
                    _ => self.infer.fresh(VarKind::Braces, span),
                };
                Expr { kind: ExprKind::Map(Vec::new()), ty, span }
            }
            ast::ExprKind::Map(entries) => {
                let key = self.element_hint(hint, self.program.lang.map, 0, span);
                let value = self.element_hint(hint, self.program.lang.map, 1, span);
                let entries =
                    entries.iter().map(|(k, v)| (self.check_expr(k, &key), self.check_expr(v, &value))).collect();
                self.require(&key, &Bound::plain(self.program.lang.hash), span, "a key of a `Map`");
                let ty = Ty::Adt(self.program.lang.map, Rc::from([key, value]));
                Expr { kind: ExprKind::Map(entries), ty, span }
            }
            ast::ExprKind::ListComp { element, clauses } => self.list_comp(element, clauses, span, hint),
            ast::ExprKind::SetComp { element, clauses } => self.set_comp(element, clauses, span, hint),
            ast::ExprKind::MapComp { key, value, clauses } => self.map_comp(key, value, clauses, span, hint),
            ast::ExprKind::Closure(c) => self.closure(c, span, hint),
            ast::ExprKind::If { branches, else_block } => self.if_expr(branches, else_block.as_ref(), span, hint, true),
            ast::ExprKind::Match { scrutinee, arms } => self.match_expr(scrutinee, arms, span, hint, true),
            ast::ExprKind::Select { arms } => self.select_expr(arms, span, hint, true),
            ast::ExprKind::Await(inner) => self.await_expr(inner, span, hint),
            ast::ExprKind::Try(inner) => self.question(inner, span),
            ast::ExprKind::Cast { value, ty } => {
                let env = self.f.env.clone();
                let ty = self.lower(ty, &env);
                let value = self.expr(value, None);
                self.cast(value, ty, span)
            }
            ast::ExprKind::AsyncBlock(block) => self.task_block(block, false, span, hint),
            ast::ExprKind::SpawnBlock(block) => self.task_block(block, true, span, hint),
            ast::ExprKind::AsyncFn(f) => self.async_fn_expr(f, span, hint),
            ast::ExprKind::SpawnCall(call) => self.spawn_call(call, span),
            ast::ExprKind::Diverge(stmt) => {
                let mut stmts = Vec::new();
                self.stmt_into(stmt, &mut stmts);
                match stmts.pop() {
                    Some(Stmt::Expr(only)) if stmts.is_empty() => only,
                    Some(last) => {
                        stmts.push(last);
                        let ty = if stmts.iter().any(stmt_ends) { Ty::Never } else { Ty::Unit };
                        Expr { kind: ExprKind::Block { stmts, value: None }, ty, span }
                    }
                    None => Expr { kind: ExprKind::Lit(Lit::Unit), ty: Ty::Unit, span },
                }
            }
            ast::ExprKind::Block(block) => self.value_block(block, hint),
            ast::ExprKind::Error => self.err(span),
        }
    }

    fn element_hint(&mut self, hint: Option<&Ty>, adt: AdtId, position: usize, span: Span) -> Ty {
        if let Some(hint) = hint
            && let Ty::Adt(id, args) = self.infer.shallow(hint)
            && id == adt
            && let Some(arg) = args.get(position)
        {
            return arg.clone();
        }
        self.infer.fresh(VarKind::Any, span)
    }

    fn fstring(&mut self, parts: &'a [ast::FPart], span: Span) -> Expr {
        let mut out = Vec::new();
        for part in parts {
            out.push(match part {
                ast::FPart::Text(t) => FormatPart::Text(t.clone()),
                ast::FPart::Value { expr, nested, .. } if !nested.is_empty() => {
                    let value = self.expr(expr, None);
                    let spec = self.fstring(nested, expr.span);
                    let Some(format) = self.program.lang.prelude_fns.get("format").copied() else { continue };
                    let (ty, at) = (value.ty.clone(), value.span);
                    let args = vec![Arg { mode: ParamMode::Ref, value }, Arg { mode: ParamMode::Value, value: spec }];
                    FormatPart::Value { value: self.call_fn(format, vec![ty], args, at), spec: None }
                }
                ast::FPart::Value { expr, spec, spec_span, .. } => {
                    let value = self.expr(expr, None);
                    self.warn_shown_future(&value);
                    if let Some(spec) = spec {
                        self.format_fits(spec, *spec_span, &value);
                    }
                    FormatPart::Value { value, spec: spec.clone() }
                }
            });
        }
        Expr { kind: ExprKind::Format(out), ty: Ty::Str, span }
    }

    /// A specification must make sense and fit the value, where its type is known.
    fn format_fits(&mut self, spec: &str, span: Span, value: &Expr) {
        let spec = match Spec::parse(spec) {
            Ok(spec) => spec,
            Err(why) => {
                self.report(Diagnostic::error(codes::BAD_FORMAT, why, span, "this format").help(
                    "a format is `[[fill]<^>][+][#][0][width][,][.precision][x b o e % f g d s]`, as in `{x:>8.2}`",
                ));
                return;
            }
        };
        let sort = match self.infer.shallow(&value.ty) {
            Ty::Num(kind) if kind.is_float() => Sort::Float,
            Ty::Num(_) => Sort::Int,
            Ty::Infer(_) | Ty::Param(..) | Ty::Never | Ty::Error => return,
            // What everything else shows is laid out as text.
            _ => Sort::Text,
        };
        if let Err(why) = spec.check(sort) {
            let ty = self.show(&value.ty);
            let mut d = Diagnostic::error(codes::BAD_FORMAT_SPEC, why, span, "this format")
                .because(value.span, format!("this is `{ty}`"));
            if matches!(self.infer.shallow(&value.ty), Ty::Tensor(_)) {
                let number = format!("{}.item()", super::operators::bracketed(self.text(value.span)));
                d = d.help(format!("`{number}` is the number in a tensor of one; several are shown with 4 decimals"));
            }
            self.report(d);
        }
    }

    fn instantiated(&mut self, base: &'a ast::Expr, type_args: &'a [ast::Type], span: Span, hint: Option<&Ty>) -> Expr {
        let env = self.f.env.clone();
        let written: Vec<Ty> = type_args.iter().map(|t| self.lower(t, &env)).collect();
        if let Some(ids) = self.fns_named(base) {
            let value = self.fn_value(&ids, span, hint, &written);
            self.note_fn_value(name_end(base), &value, &ids);
            return value;
        }
        self.error(codes::TYPE_ARGUMENTS, "only functions and types take type arguments", span, "neither here");
        self.err(span)
    }

    /// The functions an expression names, when it does.
    pub fn fns_named(&mut self, e: &ast::Expr) -> Option<Vec<FnId>> {
        match &e.kind {
            ast::ExprKind::Name(name) => match self.find_binding(name) {
                Some((_, Binding::Fn(id))) => Some(vec![id]),
                Some(_) => None,
                None => match self.lookup(self.f.env.module, name)? {
                    Def::Fns(ids) => Some(ids),
                    _ => None,
                },
            },
            ast::ExprKind::Field { base, name } => {
                let module = self.module_of(base)?;
                match self.lookup_in(module, &name.name, self.f.env.module, name.span)? {
                    Def::Fns(ids) => Some(ids),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The module that `a` or `a.b` names, unless a variable of that name is nearer.
    pub fn module_of(&mut self, e: &ast::Expr) -> Option<ModuleId> {
        let mut names: Vec<&str> = Vec::new();
        let mut at = e;
        loop {
            match &at.kind {
                ast::ExprKind::Name(name) => {
                    names.push(name);
                    break;
                }
                ast::ExprKind::Field { base, name } => {
                    names.push(&name.name);
                    at = base;
                }
                _ => return None,
            }
        }
        names.reverse();
        if self.find_binding(names[0]).is_some() || self.is_actor_field(names[0]) {
            return None;
        }
        let module = self.f.env.module;
        if self.script_lets.iter().any(|l| &*l.name == names[0]) && self.parsed[module.index()].path.is_empty() {
            return None;
        }
        let found = self.module_by_path(module, &names)?;
        self.note_module(e.span, found);
        Some(found)
    }

    pub fn is_actor_field(&self, name: &str) -> bool {
        let Some(adt) = self.f.actor else { return false };
        matches!(&self.program.adts[adt.index()].kind, AdtKind::Actor(def) if def.fields.iter().any(|f| &*f.name == name))
    }

    /// `x.name` that is not called.
    fn field(&mut self, base: &'a ast::Expr, name: &'a ast::Ident, span: Span, hint: Option<&Ty>) -> Expr {
        if let Some(module) = self.module_of(base) {
            return match self.lookup_in(module, &name.name, self.f.env.module, name.span) {
                Some(def) => self.def_value(&def, &name.name, name.span, span, hint),
                None => self.err(span),
            };
        }
        if let Some(limit) = self.number_limit(base, name, span) {
            return limit;
        }
        if self.is_actor_self(base, &name.name, name.span) {
            return self.name_expr(&name.name, name.span, hint);
        }
        if self.type_with_dot(base, name) {
            return self.err(span);
        }
        let base = self.place(base, None);
        match self.field_of(base, name, span) {
            Ok(e) => e,
            Err(base) => {
                self.no_member(&base.ty.clone(), name, false, base.span);
                self.err(span)
            }
        }
    }

    /// A field of a struct; gives the base back when there is none.
    pub fn field_of(&mut self, base: Expr, name: &ast::Ident, span: Span) -> Result<Expr, Expr> {
        let Ty::Adt(id, args) = self.infer.shallow(&base.ty) else { return Err(base) };
        let fields = match &self.program.adts[id.index()].kind {
            AdtKind::Struct(fields) => fields,
            _ => return Err(base),
        };
        let Some(index) = fields.iter().position(|f| f.name == name.name) else { return Err(base) };
        self.note(name.span, Entity::Field { adt: id, variant: None, index: index as u32 });
        let AdtKind::Struct(fields) = &self.program.adts[id.index()].kind else { return Err(base) };
        let ty = if args.is_empty() { fields[index].ty.clone() } else { fields[index].ty.subst(&args) };
        let ty = strip_names(&ty, self.program.lang.model);
        let adt = &self.program.adts[id.index()];
        if name.name.starts_with('_')
            && adt.module != self.f.env.module
            && !self.parsed[self.f.env.module.index()].is_std
        {
            let at = fields[index].span;
            self.report(
                Diagnostic::error(
                    codes::PRIVATE_NAME,
                    format!("field `{}` is private to its module", name.name),
                    name.span,
                    "cannot be used here",
                )
                .because(at, "declared here"),
            );
        }
        Ok(Expr { kind: ExprKind::Field { base: Box::new(base), index: index as u32 }, ty, span })
    }

    pub fn if_expr(
        &mut self,
        branches: &'a [(ast::Condition, ast::Block)],
        else_block: Option<&'a ast::Block>,
        span: Span,
        hint: Option<&Ty>,
        as_value: bool,
    ) -> Expr {
        let as_value = as_value && else_block.is_some();
        let result = self.result_ty(hint, span);
        self.if_chain(branches, else_block, span, &result, as_value)
    }

    fn if_chain(
        &mut self,
        branches: &'a [(ast::Condition, ast::Block)],
        else_block: Option<&'a ast::Block>,
        span: Span,
        result: &Ty,
        as_value: bool,
    ) -> Expr {
        let Some(((cond, block), rest)) = branches.split_first() else { return self.err(span) };
        self.push_frame();
        let cond = self.cond(cond);
        let then = self.branch(block, result, as_value);
        self.pop_frame();
        let else_ = if rest.is_empty() {
            else_block.map(|b| self.branch(b, result, as_value))
        } else {
            Some(self.if_chain(rest, else_block, span, result, as_value))
        };
        let both_end = then.ty == Ty::Never && else_.as_ref().is_some_and(|e| e.ty == Ty::Never);
        let ty = if both_end {
            Ty::Never
        } else if as_value {
            self.infer.resolve(result)
        } else {
            Ty::Unit
        };
        Expr { kind: ExprKind::If { cond: Box::new(cond), then: Box::new(then), else_: else_.map(Box::new) }, ty, span }
    }

    /// A branch of an `if`: its value coerced to what all branches give, or a statement.
    fn branch(&mut self, block: &'a ast::Block, result: &Ty, as_value: bool) -> Expr {
        if !as_value {
            return self.block(block, None);
        }
        let value = self.block(block, Some(Some(result)));
        self.join_value(value, result)
    }

    /// The type that branches share: the hint, or what the first one gives.
    pub fn result_ty(&mut self, hint: Option<&Ty>, span: Span) -> Ty {
        match hint.map(|h| self.infer.shallow(h)) {
            Some(Ty::Infer(_)) | None => self.infer.fresh(VarKind::Any, span),
            Some(known) => known,
        }
    }

    pub fn join_value(&mut self, value: Expr, result: &Ty) -> Expr {
        if value.ty == Ty::Never {
            return value;
        }
        let open = matches!(self.infer.shallow(result), Ty::Infer(_));
        let value = self.coerce(value, result);
        if open { Expr { ty: self.strip_dims(&value.ty), ..value } } else { value }
    }

    pub fn cond(&mut self, cond: &'a ast::Condition) -> Cond {
        match cond {
            ast::Condition::Expr(e) => Cond::Expr(self.condition(e)),
            ast::Condition::Let { pattern, value } => {
                let value = self.expr(value, None);
                self.f.looked_at = value.span;
                let pattern = self.pattern(pattern, &value.ty.clone(), false);
                Cond::Let { pattern, value }
            }
        }
    }

    /// `T(e)` and `e as T`.
    pub fn cast(&mut self, value: Expr, ty: Ty, span: Span) -> Expr {
        let found = self.infer.shallow(&value.ty);
        let is_num = |t: &Ty, c: &Checker| {
            matches!(t, Ty::Num(_))
                || matches!(t, Ty::Infer(v) if matches!(c.infer.kind(*v), VarKind::IntLit | VarKind::FloatLit))
                || matches!(t, Ty::Param(i, _) if c.infer.params.get(*i as usize).is_some_and(|p| *p != ParamNumber::No))
        };
        match (&found, &ty) {
            (Ty::Error, _) | (_, Ty::Error) => return Expr { ty, ..value },
            // A literal that the type can hold takes it at once; any other is converted, which throws.
            (Ty::Infer(_), Ty::Num(k)) if is_num(&found, self) => {
                let literal_fits = match &value.kind {
                    ExprKind::Lit(Lit::Int(n)) => k.is_float() || (int_range(*k).0..=int_range(*k).1).contains(n),
                    ExprKind::Lit(Lit::Float(_)) => k.is_float(),
                    _ => false,
                };
                if literal_fits && self.infer.unify(&found, &ty) {
                    return Expr { ty, span, ..value };
                }
            }
            (Ty::Bool, Ty::Num(k)) if !k.is_float() => {}
            (f, t) if is_num(f, self) && is_num(t, self) => {}
            (f, t) if f == t => return value,
            _ => {
                let (f, t) = (self.show(&found), self.show(&ty));
                let mut d = Diagnostic::error(
                    codes::BAD_CAST,
                    format!("there is no conversion from `{f}` to `{t}`"),
                    span,
                    format!("this is `{f}`"),
                );
                if matches!(found, Ty::Str) && matches!(ty, Ty::Num(_)) {
                    d = d.help("`int(text)` and `float(text)` read numbers from text");
                }
                if ty == Ty::Str {
                    d = d.help("`str(x)` gives the text of a value");
                }
                self.report(d);
                return Expr { ty: Ty::Error, ..value };
            }
        }
        Expr { kind: ExprKind::Cast(Box::new(value)), ty, span }
    }

    /// `e?`
    fn question(&mut self, inner: &'a ast::Expr, span: Span) -> Expr {
        let value = self.expr(inner, None);
        let lang = (self.program.lang.option, self.program.lang.result);
        let found = self.infer.shallow(&value.ty);
        let ret = self.body().ret.clone().unwrap_or(Ty::Error);
        let ret_now = self.infer.shallow(&ret);
        self.body().saw_return = true;
        let ty = match &found {
            Ty::Adt(id, args) if *id == lang.0 => {
                let other = self.infer.fresh(VarKind::Any, span);
                let want = Ty::Adt(lang.0, Rc::from([other]));
                if !self.infer.unify(&ret_now, &want) {
                    self.bad_question(&ret_now, "Option", span);
                }
                args[0].clone()
            }
            Ty::Adt(id, args) if *id == lang.1 => {
                let other = self.infer.fresh(VarKind::Any, span);
                let want = Ty::Adt(lang.1, Rc::from([other, args[1].clone()]));
                if !self.infer.unify(&ret_now, &want) {
                    self.bad_question(&ret_now, "Result", span);
                }
                args[0].clone()
            }
            Ty::Error => return self.err(span),
            other => {
                let shown = self.show(other);
                let d = Diagnostic::error(
                    codes::BAD_QUESTION_MARK,
                    format!("`?` works on `Option` and `Result`, and this is `{shown}`"),
                    span,
                    "neither of them",
                );
                let text = self.text(inner.span).to_string();
                let d = match self.awaited(other) {
                    Some(item) if !self.is_carrier(&item) => {
                        d.help("an error reaches the caller by itself: `await` is enough, without `?`")
                    }
                    // `await f()?` is `await (f()?)`.
                    Some(_) => d.help(format!("write `(await {text})?`")),
                    None => d.help("leave the `?` out: an error that is thrown reaches the caller by itself"),
                };
                self.report(d);
                return self.err(span);
            }
        };
        Expr { kind: ExprKind::Question(Box::new(value)), ty, span }
    }

    fn is_carrier(&self, ty: &Ty) -> bool {
        let lang = &self.program.lang;
        matches!(self.infer.shallow(ty), Ty::Adt(id, _) if id == lang.option || id == lang.result)
    }

    fn bad_question(&mut self, ret: &Ty, wanted: &str, span: Span) {
        let (shown, at) = (self.show(ret), self.body().ret_span);
        if self.f.is_entry && self.f.bodies.len() == 1 {
            self.report(
                Diagnostic::error(
                    codes::BAD_QUESTION_MARK,
                    format!("`?` leaves a function with {}, and a script is none", with_article(&wanted)),
                    span,
                    "nothing to return from",
                )
                .help("use `match`, `.unwrap_or(…)` or `.unwrap()`, or a function that returns it"),
            );
            return;
        }
        self.report(
            Diagnostic::error(
                codes::BAD_QUESTION_MARK,
                format!("`?` leaves this function with {}, but it returns `{shown}`", with_article(&wanted)),
                span,
                "does not fit what the function returns",
            )
            .because(at, format!("returns `{shown}`"))
            .help(format!("let it return {}, or use `match` or `.unwrap()`", with_article(&wanted))),
        );
    }

    /// A minus before a literal belongs to the literal.
    pub fn unary(&mut self, op: UnaryOp, operand: &'a ast::Expr, span: Span, hint: Option<&Ty>) -> Expr {
        let hint = if op == UnaryOp::Not { Some(&Ty::Bool) } else { hint };
        let value = self.expr(operand, hint);
        self.unary_op(op, value, span)
    }
}

/// Where the name stands that an expression ends with.
fn name_end(e: &ast::Expr) -> Span {
    match &e.kind {
        ast::ExprKind::Field { name, .. } | ast::ExprKind::Scoped { name, .. } => name.span,
        _ => e.span,
    }
}

fn suffix_kind(suffix: &str) -> Option<NumKind> {
    num_kind(suffix).or(match suffix {
        "i8" => Some(NumKind::Int8),
        "i16" => Some(NumKind::Int16),
        "i32" => Some(NumKind::Int32),
        "i64" | "i" => Some(NumKind::Int64),
        "u8" => Some(NumKind::UInt8),
        "u16" => Some(NumKind::UInt16),
        "u32" => Some(NumKind::UInt32),
        "u64" | "u" => Some(NumKind::UInt64),
        "f16" => Some(NumKind::Float16),
        "bf16" => Some(NumKind::BFloat16),
        "f32" => Some(NumKind::Float32),
        "f64" | "f" => Some(NumKind::Float64),
        _ => None,
    })
}
