//! Slips that are understood, so that they are told once and what follows is checked as it was meant: `self` in an actor,
//! arguments in another order, a future that is shown, a statement that does nothing.

use super::args::{Slots, Spec, is_closure};
use super::*;

impl<'a> Checker<'a> {
    /// `self` in an actor, as a parameter or before a field: one report for the actor, with a fix for all places.
    pub fn self_in_actor(&mut self, adt: AdtId, span: Span, edit: (Span, String)) {
        if let Some(i) = self.actor_selves.get(&adt).copied()
            && let Some(fix) = self.diagnostics.get_mut(i).and_then(|d| d.fixes.first_mut())
        {
            // A place may be looked at twice.
            if !fix.edits.contains(&edit) {
                fix.edits.push(edit);
            }
            return;
        }
        let first = self.diagnostics.len();
        self.report(
            Diagnostic::error(
                codes::BAD_ACTOR,
                "an actor's fields are in scope by their names, without `self`",
                span,
                "an actor has no `self`",
            )
            .help("remove `self` here and before the fields: `count += 1`")
            .fix("remove `self`", vec![edit]),
        );
        if self.diagnostics.len() > first {
            self.actor_selves.insert(adt, first);
        }
    }

    /// `self.name` in an actor: whether it was one, and is told.
    pub fn is_actor_self(&mut self, base: &ast::Expr, member: &str, name: Span) -> bool {
        let Some(adt) = self.f.actor else { return false };
        if !matches!(base.kind, ast::ExprKind::SelfValue) || self.find_binding("self").is_some() {
            return false;
        }
        // What it has not is asked of the reference that others hold.
        let is_method = self.actor_methods.get(&adt).is_some_and(|methods| methods.contains_key(member));
        if !is_method && !self.is_actor_field(member) {
            return false;
        }
        self.self_in_actor(adt, base.span, (Span { end: name.start, ..base.span }, String::new()));
        true
    }

    /// `Point.origin()`, `T.zero()`: a dot behind a type's name, told.
    pub fn type_with_dot(&mut self, base: &ast::Expr, name: &ast::Ident) -> bool {
        let ast::ExprKind::Name(owner) = &base.kind else { return false };
        if self.find_binding(owner).is_some() || self.is_actor_field(owner) {
            return false;
        }
        if self.script_lets.iter().any(|l| l.name == *owner) {
            return false;
        }
        let is_type = match self.lookup(self.f.env.module, owner) {
            Some(Def::Adt(id)) => {
                let is_actor = matches!(self.program.adts[id.index()].kind, AdtKind::Actor(_));
                if is_actor && matches!(&*name.name, "remote" | "spawn" | "start" | "start_link") {
                    let d = Diagnostic::error(
                        codes::NOT_A_VALUE,
                        format!("`{owner}` is a type, not a value"),
                        base.span,
                        "a value is needed here",
                    );
                    self.report(d.help(format!("`spawn_actor({owner}::new(…))` starts an actor")));
                    return true;
                }
                true
            }
            Some(_) => false,
            None => self.f.env.params.iter().any(|(n, _)| n == owner),
        };
        if !is_type {
            return false;
        }
        let dot = Span { start: base.span.end, end: name.span.start, ..base.span };
        self.report(
            Diagnostic::error(
                codes::NOT_A_VALUE,
                format!("`{owner}` is a type, not a value"),
                base.span,
                "a value is needed here",
            )
            .help(format!("what belongs to a type stands behind `::`: `{owner}::{}`", name.name))
            .fix("write `::`", vec![(dot, "::".into())]),
        );
        true
    }

    /// Whether an argument is a function for all that its text tells.
    fn is_function_like(&mut self, e: &ast::Expr) -> bool {
        is_closure(e) || (matches!(e.kind, ast::ExprKind::Name(_)) && self.fns_named(e).is_some())
    }

    /// E0301, once, for a call that gives a function where a value is wanted and a value where the function is:
    /// `parallel_map(|x| x + 1, [1, 2])`.
    pub fn in_other_order(&mut self, specs: &[Spec], slots: &Slots, args: &'a [ast::Arg], span: Span) -> bool {
        if args.len() < 2 || args.iter().any(|arg| arg.name.is_some()) {
            return false;
        }
        let wants: Vec<Option<bool>> = specs
            .iter()
            .map(|spec| match self.infer.shallow(&spec.ty) {
                Ty::Fn(..) => Some(true),
                Ty::Infer(_) | Ty::Param(..) | Ty::Error | Ty::Dyn(..) => None,
                _ => Some(false),
            })
            .collect();
        let functions: Vec<bool> = args.iter().map(|arg| self.is_function_like(&arg.value)).collect();
        // A parameter of any type may take a function, unless what is given as the function surely is none.
        let plain: Vec<bool> = args.iter().map(|arg| is_plain(&arg.value)).collect();
        let given = || slots.iter().zip(&wants).filter_map(|(slot, want)| slot.map(|i| (i, *want)));
        let surely = given().any(|(i, want)| want == Some(true) && plain[i]);
        let wrong = given().find(|(i, want)| functions[*i] && (*want == Some(false) || (want.is_none() && surely)));
        let takes_one = given().any(|(i, want)| want == Some(true) && !functions[i]);
        let Some((wrong, _)) = wrong.filter(|_| takes_one) else { return false };
        // Functions go to where functions are wanted, the others keep their order.
        let (mut given, mut others): (Vec<usize>, Vec<usize>) = (0..args.len()).partition(|i| functions[*i]);
        given.reverse();
        others.reverse();
        let mut order = Vec::new();
        for want in wants.iter().take(args.len()) {
            let next = if *want == Some(true) {
                given.pop().or_else(|| others.pop())
            } else {
                others.pop().or_else(|| given.pop())
            };
            order.extend(next);
        }
        let all = args[0].span.to(args[args.len() - 1].span);
        let head = self.text(Span { end: all.start, ..span }).to_string();
        let written: Vec<&str> = order.iter().map(|i| self.text(args[*i].span)).collect();
        let written = written.join(", ");
        let at = args[wrong].span;
        let mut d = Diagnostic::error(
            codes::TYPE_MISMATCH,
            "the function stands in another argument's place",
            at,
            "this is a function",
        );
        d = match head.contains('\n') || written.contains('\n') {
            true => d.help("exchange the arguments"),
            false => d.help(format!("write `{head}{written})`")).fix("exchange the arguments", vec![(all, written)]),
        };
        self.report(d);
        true
    }

    /// W0610: the text of a future says nothing about what it gives.
    pub fn warn_shown_future(&mut self, value: &Expr) {
        let ty = self.infer.resolve(&value.ty);
        let lang = &self.program.lang;
        let (future, handle, vec) = (lang.future, lang.join_handle, lang.vec);
        let waits = |ty: &Ty| matches!(ty, Ty::Adt(id, _) if *id == future || *id == handle);
        let text = self.text(value.span).to_string();
        let is_short = !text.contains('\n') && text.len() <= 60;
        let name = if is_short { text } else { "…".to_string() };
        let (what, help, edit) = match &ty {
            Ty::Adt(id, _) if *id == future => {
                ("this shows a future, not the value it gives", format!("write `await {name}`"), Some("await "))
            }
            Ty::Adt(id, _) if *id == handle => {
                ("this shows a task's handle, not the value it gives", format!("write `{name}.join()`"), None)
            }
            Ty::Adt(id, args) if *id == vec && args.first().is_some_and(waits) => {
                ("this shows futures, not the values they give", format!("write `await gather({name})`"), None)
            }
            _ => return,
        };
        let d = Diagnostic::warning(codes::UNUSED_FUTURE, what, value.span, "still to come").help(help);
        let before = Span { end: value.span.start, ..value.span };
        self.report(match edit {
            Some(edit) => d.fix("await it", vec![(before, edit.to_string())]),
            None => d,
        });
    }

    /// W0804: `yield_now`, `x == 3` and their like as a statement.
    pub fn warn_no_effect(&mut self, e: &ast::Expr, value: &Expr) {
        use ast::ExprKind as K;
        if self.session.is_some() || value.ty == Ty::Error || value.ty == Ty::Never {
            return;
        }
        let text = self.text(e.span).to_string();
        let is_short = !text.contains('\n') && text.len() <= 60;
        let is_fn = matches!(value.kind, ExprKind::FnRef { .. } | ExprKind::Closure(_));
        let help = match &e.kind {
            K::Name(_) | K::Field { .. } | K::Scoped { .. } if is_fn => Some(format!("call it: `{text}()`")),
            K::Closure(_) => Some("give it a name with `let`, and call it".to_string()),
            K::Binary { op: ast::BinaryOp::Eq, lhs, rhs, .. } if is_short => {
                Some(format!("to assign, write `{} = {}`", self.text(lhs.span), self.text(rhs.span)))
            }
            K::Binary { .. } | K::Name(_) | K::TupleField { .. } => {
                Some("use the value: `return` it, give it a name with `let`, or `print` it".to_string())
            }
            K::Literal(ast::Literal::Str(_)) => {
                Some("a comment begins with `//`, documentation with `///`".to_string())
            }
            K::Literal(lit) if !matches!(lit, ast::Literal::Unit) => {
                Some("use the value: `return` it, give it a name with `let`, or `print` it".to_string())
            }
            _ => None,
        };
        if let Some(help) = help {
            let d =
                Diagnostic::warning(codes::NO_EFFECT, "this does nothing", e.span, "its value is not used").help(help);
            let after = Span { start: e.span.end, ..e.span };
            let takes_none = matches!(self.infer.shallow(&value.ty), Ty::Fn(params, _) if params.is_empty());
            self.report(match is_fn && takes_none && !matches!(e.kind, K::Closure(_)) {
                true => d.fix("call it", vec![(after, "()".into())]),
                false => d,
            });
        }
    }
}

/// A value that is no function, for all that its text tells.
fn is_plain(e: &ast::Expr) -> bool {
    use ast::ExprKind as K;
    matches!(
        e.kind,
        K::Literal(_)
            | K::FString(_)
            | K::List(_)
            | K::Map(_)
            | K::Set(_)
            | K::Tuple(_)
            | K::Range { .. }
            | K::ListComp { .. }
    )
}
