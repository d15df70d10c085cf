//! Closures and comprehensions.

use super::call::let_local;
use super::*;
use crate::types::infer::VarKind;

impl<'a> Checker<'a> {
    pub fn closure(&mut self, c: &'a ast::Closure, span: Span, hint: Option<&Ty>) -> Expr {
        let (hint_params, hint_ret) = match hint.map(|h| self.infer.shallow(h)) {
            Some(Ty::Fn(params, ret)) if params.len() == c.params.len() => (Some(params), Some((*ret).clone())),
            Some(Ty::Fn(params, _)) => {
                let n = params.len();
                self.error(
                    codes::ARGUMENTS,
                    format!("a function of {n} parameter{} is needed here", if n == 1 { "" } else { "s" }),
                    span,
                    format!("this closure has {}", c.params.len()),
                );
                return self.err(span);
            }
            _ => (None, None),
        };
        let env = self.f.env.clone();
        let mut params = Vec::new();
        for (i, p) in c.params.iter().enumerate() {
            if p.mode == ParamMode::RefMut {
                self.report(
                    Diagnostic::error(
                        codes::BORROW_ESCAPES,
                        "a closure cannot take `&mut`: a function value has no `&mut` parameters",
                        p.span,
                        "lent to a function value",
                    )
                    .help("return the new value, or declare a function with `fn`"),
                );
            }
            let given = hint_params.as_ref().map(|h| h[i].clone());
            let ty = match (&p.ty, given) {
                (Some(t), given) => {
                    let ty = self.lower(t, &env);
                    if let Some(given) = given {
                        let mark = self.infer.mark();
                        if !self.infer.unify(&given, &self.strip_dims(&ty)) {
                            self.infer.rollback(mark);
                        }
                    }
                    ty
                }
                (None, Some(given)) => given,
                (None, None) => self.infer.fresh(VarKind::Any, p.span),
            };
            params.push((p, ty));
        }
        let written = c.ret.as_ref().map(|t| self.lower(t, &env));
        let ret = written.clone().or(hint_ret.clone()).unwrap_or_else(|| self.infer.fresh(VarKind::Any, span));
        let ret_span = c.ret.as_ref().map_or(span, |t| t.span);
        let in_task = std::mem::replace(&mut self.f.args_in_tasks, false);
        self.f.bodies.push(BodyCx {
            kind: BodyKind::Closure,
            in_task,
            ret: Some(ret.clone()),
            ret_span,
            stated: params.iter().map(|(p, ty)| if p.ty.is_some() { ty.clone() } else { Ty::Unit }).collect(),
            ..BodyCx::default()
        });
        self.push_frame();
        let mut param_locals = Vec::new();
        for (p, ty) in &params {
            let local = self.new_local(&p.name.name, ty.clone(), false, p.name.span);
            self.body().meta[local.index()].mode = Some(ParamMode::Value);
            self.body().meta[local.index()].hidden = true;
            self.bind_name(p.name.name.clone(), Binding::Local(local));
            param_locals.push(local);
        }
        let mut stmts = Vec::new();
        for (i, pattern) in &c.taken_apart {
            let ty = params[*i].1.clone();
            let init = Expr { kind: ExprKind::Local(param_locals[*i]), ty: ty.clone(), span: pattern.span };
            let pattern = self.pattern(pattern, &ty, false);
            self.require_irrefutable(&pattern);
            stmts.push(Stmt::Let { pattern, init: Some(init), else_: None });
        }
        let value = match &c.body {
            ast::ClosureBody::Expr(e) => {
                let guards = self.f.call_guards.len();
                let value = self.guarded(e, Some(&ret));
                self.escaped_guards(guards);
                self.closure_value(value, &ret)
            }
            ast::ClosureBody::Block(b) => {
                let value = self.fn_block(b, &ret, ret_span, "this closure");
                if !self.body().saw_return && matches!(self.infer.shallow(&ret), Ty::Infer(_)) && value.ty != Ty::Never
                {
                    self.infer.unify(&ret, &Ty::Unit);
                }
                value
            }
        };
        if value.ty == Ty::Never && matches!(self.infer.shallow(&ret), Ty::Infer(_)) {
            self.f.defaults.push((ret.clone(), Ty::Unit));
        }
        let value = if stmts.is_empty() {
            value
        } else {
            let (ty, span) = (value.ty.clone(), value.span);
            Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(value)) }, ty, span }
        };
        let value = self.check_closure_params(&param_locals, value);
        self.pop_frame();
        self.f.args_in_tasks = in_task;
        let ty = Ty::Fn(params.iter().map(|(_, t)| self.strip_dims(t)).collect(), Rc::new(ret.clone()));
        let outer = self.program.fns[self.f.func.index()].name.clone();
        self.finish_closure(value, param_locals, ret, format!("closure in {outer}").into(), span, |closure| {
            (ExprKind::Closure(Box::new(closure)), ty)
        })
    }

    /// A closure's expression as what it returns; a function that returns nothing drops it.
    fn closure_value(&mut self, value: Expr, ret: &Ty) -> Expr {
        if value.ty == Ty::Never {
            return value;
        }
        if self.infer.shallow(ret) == Ty::Unit && self.infer.shallow(&value.ty) != Ty::Unit {
            let span = value.span;
            return Expr { kind: ExprKind::Block { stmts: vec![Stmt::Expr(value)], value: None }, ty: Ty::Unit, span };
        }
        self.coerce(value, ret)
    }

    /// Pops the body and ties its captures to the variables outside.
    pub fn finish_closure(
        &mut self,
        value: Expr,
        params: Vec<LocalId>,
        ret: Ty,
        name: Rc<str>,
        span: Span,
        make: impl FnOnce(Closure) -> (ExprKind, Ty),
    ) -> Expr {
        let Some(cx) = self.f.bodies.pop() else { return self.err(span) };
        self.lint_locals(&cx.locals, &cx.meta);
        let mut captures = cx.captures.clone();
        let mut stmts = Vec::new();
        for (field, inner) in &cx.field_captures {
            // The actor's field is read when the closure is made.
            let ty = cx.locals[inner.index()].ty.clone();
            let state_ty = self.f.bodies[0].locals.first().map_or(Ty::Error, |l| l.ty.clone());
            let base = Expr { kind: ExprKind::Local(LocalId(0)), ty: state_ty, span };
            let read = Expr { kind: ExprKind::Field { base: Box::new(base), index: *field }, ty: ty.clone(), span };
            let outer = self.temp("field", ty, span);
            stmts.push(let_local(outer, read));
            captures.push((outer, *inner));
        }
        let body = Body { locals: cx.locals, params, value, dims: cx.dims };
        let (kind, ty) = make(Closure { captures, body, ret, name });
        let e = Expr { kind, ty: ty.clone(), span };
        if stmts.is_empty() {
            return e;
        }
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(e)) }, ty, span }
    }

    // --- comprehensions: loops that fill a collection ------------------------------------------------------------------

    pub fn list_comp(
        &mut self,
        element: &'a ast::Expr,
        clauses: &'a [ast::CompClause],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let vec = self.program.lang.vec;
        let elem = self.comp_hint(hint, vec, 0, span);
        let ty = Ty::Adt(vec, Rc::from([elem.clone()]));
        self.comp(clauses, ty, ExprKind::List(Vec::new()), span, |c, out| {
            let value = c.check_expr(element, &elem);
            c.call_method_named(out, "push", vec![value], span)
        })
    }

    pub fn set_comp(
        &mut self,
        element: &'a ast::Expr,
        clauses: &'a [ast::CompClause],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let set = self.program.lang.set;
        let elem = self.comp_hint(hint, set, 0, span);
        let ty = Ty::Adt(set, Rc::from([elem.clone()]));
        self.comp(clauses, ty, ExprKind::Set(Vec::new()), span, |c, out| {
            let value = c.check_expr(element, &elem);
            c.call_method_named(out, "insert", vec![value], span)
        })
    }

    pub fn map_comp(
        &mut self,
        key: &'a ast::Expr,
        value: &'a ast::Expr,
        clauses: &'a [ast::CompClause],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let map = self.program.lang.map;
        let k = self.comp_hint(hint, map, 0, span);
        let v = self.comp_hint(hint, map, 1, span);
        let ty = Ty::Adt(map, Rc::from([k.clone(), v.clone()]));
        self.comp(clauses, ty, ExprKind::Map(Vec::new()), span, |c, out| {
            let key = c.check_expr(key, &k);
            let value = c.check_expr(value, &v);
            // What the key had before goes, as it does in a literal: that is no statement of the program's.
            let call = c.call_method_named(out, "insert", vec![key, value], span)?;
            let pattern = Pat { kind: PatKind::Wildcard, ty: call.ty.clone(), span };
            let stmts = vec![Stmt::Let { pattern, init: Some(call), else_: None }];
            Some(Expr { kind: ExprKind::Block { stmts, value: None }, ty: Ty::Unit, span })
        })
    }

    fn comp_hint(&mut self, hint: Option<&Ty>, adt: AdtId, position: usize, span: Span) -> Ty {
        match hint.map(|h| self.infer.shallow(h)) {
            Some(Ty::Adt(id, args)) if id == adt => args[position].clone(),
            _ => self.infer.fresh(VarKind::Any, span),
        }
    }

    fn comp(
        &mut self,
        clauses: &'a [ast::CompClause],
        ty: Ty,
        empty: ExprKind,
        span: Span,
        add: impl FnOnce(&mut Self, Expr) -> Option<Expr>,
    ) -> Expr {
        let out = self.temp("out", ty.clone(), span);
        let init = Expr { kind: empty, ty: ty.clone(), span };
        let place = Expr { kind: ExprKind::Local(out), ty: ty.clone(), span };
        self.push_frame();
        let body = self.comp_clauses(clauses, place, span, add);
        self.pop_frame();
        let value = Expr { kind: ExprKind::Local(out), ty: ty.clone(), span };
        let stmts = vec![let_local(out, init), Stmt::Expr(body)];
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(value)) }, ty, span }
    }

    fn comp_clauses(
        &mut self,
        clauses: &'a [ast::CompClause],
        out: Expr,
        span: Span,
        add: impl FnOnce(&mut Self, Expr) -> Option<Expr>,
    ) -> Expr {
        let unit = |stmt: Expr| Expr {
            span: stmt.span,
            kind: ExprKind::Block { stmts: vec![Stmt::Expr(stmt)], value: None },
            ty: Ty::Unit,
        };
        match clauses.split_first() {
            None => {
                let call = add(self, out).unwrap_or_else(|| self.err(span));
                unit(call)
            }
            Some((ast::CompClause::If(cond), rest)) => {
                let cond = Cond::Expr(self.condition(cond));
                let then = self.comp_clauses(rest, out, span, add);
                let kind = ExprKind::If { cond: Box::new(cond), then: Box::new(then), else_: None };
                unit(Expr { kind, ty: Ty::Unit, span })
            }
            Some((ast::CompClause::For { pattern, iterable }, rest)) => {
                let (iterable, item) = self.iterable(iterable);
                self.push_frame();
                let pattern = self.pattern(pattern, &item, false);
                self.require_irrefutable(&pattern);
                let body = self.comp_clauses(rest, out, span, add);
                self.pop_frame();
                let kind = ExprKind::For { pattern, iterable: Box::new(iterable), body: Box::new(body) };
                unit(Expr { kind, ty: Ty::Unit, span })
            }
        }
    }
}
