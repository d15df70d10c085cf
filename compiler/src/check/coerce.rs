//! Giving a value to a place: types made equal, dynamic values made, tensors checked when they arrive.

use super::*;
use crate::types::infer::VarKind;
use stark_syntax::diagnostic::Label;

impl<'a> Checker<'a> {
    /// An expression that must have the type `ty`.
    pub fn check_expr(&mut self, e: &'a ast::Expr, ty: &Ty) -> Expr {
        let found = self.expr(e, Some(ty));
        self.coerce(found, ty)
    }

    /// `value` as a `ty`, or E0301.
    pub fn coerce(&mut self, value: Expr, ty: &Ty) -> Expr {
        let span = value.span;
        let found = value.ty.clone();
        match self.try_coerce(value, ty) {
            Ok(e) => e,
            Err(e) => {
                self.mismatch(ty, &found, span);
                Expr { ty: Ty::Error, ..e }
            }
        }
    }

    pub fn try_coerce(&mut self, value: Expr, ty: &Ty) -> Result<Expr, Expr> {
        let want = self.infer.shallow(ty);
        if matches!(want, Ty::Dyn(..)) {
            // A trait asks for no number type: a literal has its own.
            self.infer.settle_literals(&value.ty);
        }
        let found = self.infer.shallow(&value.ty);
        let span = value.span;
        let wrap = |value: Expr, kind: Coercion, ty: Ty| Expr {
            kind: ExprKind::Coerce { value: Box::new(value), kind },
            ty,
            span,
        };
        match (&found, &want) {
            (Ty::Error, _) | (_, Ty::Error) => {
                self.infer.unify(&found, &want);
                return Ok(Expr { ty: want, ..value });
            }
            (Ty::Never, Ty::Never) => return Ok(value),
            (Ty::Never, _) => return Ok(wrap(value, Coercion::Same, want)),
            (Ty::Dyn(a, _), Ty::Dyn(b, _)) if a == b => {}
            (_, Ty::Dyn(t, args)) if !matches!(found, Ty::Infer(_)) => {
                let bound = Bound::Trait(*t, args.clone());
                if self.meets(&found, &bound) == Met::No {
                    self.bound_missing(&found, &bound, span, "this place");
                    return Ok(Expr { ty: Ty::Error, ..value });
                }
                self.bind_trait_args(&found, &bound);
                if let Some((method, at)) = self.undynamic_override(*t, &found) {
                    let (found, name) = (self.show(&found), self.program.traits[t.index()].name.clone());
                    self.report(
                        Diagnostic::error(
                            codes::TRAIT_AS_VALUE,
                            format!("`{found}` cannot become a `{name}`: it has its own `{method}`"),
                            span,
                            format!("becomes a `{name}` here"),
                        )
                        .because(at, "with type parameters, so it cannot be chosen when the program runs")
                        .help(format!("write a type parameter, as in `fn f<T: {name}>(x: T)`")),
                    );
                    return Ok(Expr { ty: Ty::Error, ..value });
                }
                return Ok(wrap(value, Coercion::ToDyn, want));
            }
            (Ty::Adt(a, args), Ty::Adt(b, io))
                if *a == self.program.lang.actor_ref && *b == self.program.lang.model_actor_ref =>
            {
                let (actor, io) = (args[0].clone(), io.clone());
                if let Some((input, output)) = self.receive_types(&actor)
                    && self.infer.unify(&io[0], &input)
                    && self.infer.unify(&io[1], &output)
                {
                    return Ok(wrap(value, Coercion::Same, want));
                }
                return Err(value);
            }
            (Ty::Adt(a, f), Ty::Adt(b, w))
                if a == b && *a == self.program.lang.model && (f.is_empty() || w.is_empty()) =>
            {
                let (stated, want) = (w.clone(), want.clone());
                let value = if f.is_empty() { self.check_model(value, &stated) } else { value };
                return Ok(wrap(value, Coercion::Same, want));
            }
            _ => {}
        }
        let mark = self.infer.mark();
        if !self.infer.unify(&want, &self.strip_dims(&found)) {
            self.infer.rollback(mark);
            return Err(value);
        }
        if self.needs_check(&found, &want) {
            self.ask_dims(&want, span);
            return Ok(wrap(value, Coercion::TensorCheck, want));
        }
        if let (Ty::Tensor(TensorTy { elem: Some(_), .. }), Ty::Tensor(TensorTy { elem: None, .. })) =
            (self.infer.shallow(&found), self.infer.shallow(&want))
        {
            return Ok(wrap(value, Coercion::Same, want));
        }
        // A place whose type was open takes what was found, dimensions left out.
        let ty = if matches!(want, Ty::Infer(_)) { found } else { want };
        Ok(Expr { ty, ..value })
    }

    /// A method with type parameters that the type has in place of the trait's: a value of the trait's type runs the trait's.
    fn undynamic_override(&self, trait_: TraitId, ty: &Ty) -> Option<(Rc<str>, Span)> {
        let (id, _) = self.program.find_impl(trait_, ty)?;
        let def = &self.program.traits[trait_.index()];
        let n_outer = 1 + self.traits[trait_.index()].n_args;
        let own = def.methods.iter().zip(&self.program.impls[id.index()].methods);
        own.filter_map(|(method, mine)| Some((method, (*mine)?)))
            .find(|(method, _)| self.program.func(**method).generics.len() > n_outer)
            .map(|(_, mine)| {
                let def = self.program.func(mine);
                (Rc::from(super::names::short_name(&def.name)), def.span)
            })
    }

    /// Whether the wanted type says more about tensors than is known.
    fn needs_check(&self, found: &Ty, want: &Ty) -> bool {
        match (self.infer.shallow(found), self.infer.shallow(want)) {
            (Ty::Tensor(f), Ty::Tensor(w)) => {
                // A stated shape is always asked for; the flow of shapes takes away the questions it can answer.
                (f.elem.is_none() && w.elem.is_some()) || w.dims.is_some()
            }
            (Ty::Adt(a, f), Ty::Adt(b, w)) if a == b => {
                let lang = &self.program.lang;
                [lang.vec, lang.option, lang.map].contains(&a)
                    && f.iter().zip(w.iter()).any(|(f, w)| self.needs_check(f, w))
            }
            (Ty::Tuple(f), Ty::Tuple(w)) => f.iter().zip(w.iter()).any(|(f, w)| self.needs_check(f, w)),
            _ => false,
        }
    }

    /// Input and output of an actor's `on_receive`.
    pub fn receive_types(&mut self, actor: &Ty) -> Option<(Ty, Ty)> {
        let Ty::Adt(id, args) = self.infer.shallow(actor) else { return None };
        let AdtKind::Actor(def) = &self.program.adts[id.index()].kind else { return None };
        if !def.has_receive {
            return None;
        }
        let handler = def.handlers.first()?.clone();
        self.handler_types(&handler, &args)
    }

    /// What a handler takes as one message and answers.
    pub fn handler_types(&mut self, handler: &ActorHandler, args: &[Ty]) -> Option<(Ty, Ty)> {
        let span = self.program.fns[handler.func.index()].span;
        self.ensure_ret(handler.func, span);
        let def = &self.program.fns[handler.func.index()];
        let input = def.params.get(1)?.ty.subst(args);
        let output = if args.is_empty() { def.ret.clone() } else { def.ret.subst(args) };
        if handler.batch.as_ref().is_some_and(|b| b.as_vec) {
            let inner = |ty: &Ty| match ty {
                Ty::Adt(id, ts) if *id == self.program.lang.vec => ts.first().cloned(),
                _ => None,
            };
            return Some((inner(&input)?, inner(&self.infer.shallow(&output))?));
        }
        if handler.batch.is_some() {
            // An ask brings one row or several, whatever the whole batch has: the actor checks, and the flow of shapes.
            return Some((self.strip_dims(&input), self.strip_dims(&output)));
        }
        Some((input, output))
    }

    pub fn mismatch(&mut self, want: &Ty, found: &Ty, span: Span) {
        let (w, f) = (self.show(want), self.show(found));
        let mut d = Diagnostic::error(
            codes::TYPE_MISMATCH,
            format!("expected `{w}`, found `{f}`"),
            span,
            format!("this is `{f}`"),
        );
        match (self.infer.shallow(want), self.infer.shallow(found)) {
            (Ty::Tensor(a), Ty::Tensor(b)) if a.elem != b.elem => {
                d = Diagnostic::error(
                    codes::ELEMENTS_DIFFER,
                    format!("expected `{w}`, found `{f}`"),
                    span,
                    "its elements have another type",
                );
                if let Some(elem) = &a.elem {
                    d = d.help(format!("convert it with `.to({})`", self.show(elem)));
                }
            }
            _ => {
                if let Some(mend) = self.mend(want, found, span) {
                    d = mend.onto(d);
                }
            }
        }
        self.report(d);
    }

    /// Says at the mismatches in the values of `e`, reported since `before`, where the expected type comes from.
    pub fn why_expected(&mut self, before: usize, e: &ast::Expr, at: Span, text: impl Into<String>) {
        if self.diagnostics.len() == before || self.program.modules.iter().any(|m| m.is_std && m.source == at.source) {
            return;
        }
        let (mut values, text) = (Vec::new(), text.into());
        values_of(e, &mut values);
        for d in &mut self.diagnostics[before..] {
            let is_mismatch = d.code == codes::TYPE_MISMATCH || d.code == codes::ELEMENTS_DIFFER;
            if is_mismatch && d.secondary.is_empty() && values.contains(&d.primary.span) {
                d.secondary.push(Label { span: at, text: text.clone() });
            }
        }
    }

    /// A value that must be a `Bool`: there is no truth in other values.
    pub fn condition(&mut self, e: &'a ast::Expr) -> Expr {
        let value = self.expr(e, Some(&Ty::Bool));
        match self.try_coerce(value, &Ty::Bool) {
            Ok(value) => value,
            Err(value) => {
                let shown = self.show(&value.ty);
                let mut d = Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    format!("a condition is a `Bool`, and this is `{shown}`"),
                    value.span,
                    "not a `Bool`",
                );
                let text = self.text(value.span).to_string();
                let is_future = self.awaited(&value.ty).is_some();
                d = match self.infer.shallow(&value.ty) {
                    _ if is_future => match self.unwrapped(&Ty::Bool, &value.ty.clone(), value.span) {
                        Some(mend) => mend.onto(d),
                        None => d.help(format!("the value is still to come: `await {text}`, which is compared then")),
                    },
                    Ty::Adt(id, _) if id == self.program.lang.option => {
                        d.help(format!("write `{text}.is_some()`, or `if let Some(x) = {text}:` for the value"))
                    }
                    Ty::Adt(id, _)
                        if [self.program.lang.vec, self.program.lang.map, self.program.lang.set].contains(&id) =>
                    {
                        d.help(format!("write `not {text}.is_empty()`"))
                    }
                    Ty::Str => d.help(format!("write `{text} != \"\"`")),
                    Ty::Tuple(_) if text.starts_with('(') => {
                        d.help("`assert c, \"message\"` and `if c:` stand without parentheses around a `,`")
                    }
                    Ty::Tensor(_) if !text.contains('\n') && text.len() <= 60 => {
                        let inner = super::operators::bracketed(&text);
                        d.help(format!(
                            "`{inner}.item()` takes the value out of a tensor of one; `{inner}.all().item()` says whether all are true, `.any()` whether one is"
                        ))
                    }
                    Ty::Num(_) => d.help(format!("write `{text} != 0`")),
                    Ty::Infer(v) if self.infer.kind(v) != VarKind::Any => d.help(format!("write `{text} != 0`")),
                    Ty::Adt(..) => d.help("compare it, or ask `.is_empty()`, `.is_some()`"),
                    _ => d,
                };
                self.report(d);
                Expr { ty: Ty::Error, ..value }
            }
        }
    }
}

/// Where the values stand that become an expression's: its branches, its elements, or itself.
fn values_of(e: &ast::Expr, out: &mut Vec<Span>) {
    use ast::ExprKind::*;
    let mut block = |b: &ast::Block| {
        if let Some(ast::Stmt { kind: ast::StmtKind::Expr(e), .. }) = b.stmts.last() {
            values_of(e, out);
        }
    };
    match &e.kind {
        If { branches, else_block } => branches.iter().map(|(_, b)| b).chain(else_block).for_each(block),
        Block(b) => block(b),
        Match { arms, .. } => arms.iter().for_each(|arm| values_of(&arm.body, out)),
        List(items) | Set(items) | Tuple(items) => items.iter().for_each(|item| values_of(item, out)),
        Map(entries) => entries.iter().for_each(|(k, v)| {
            values_of(k, out);
            values_of(v, out);
        }),
        _ => {}
    }
    out.push(e.span);
}
