//! Patterns: against the type they look at; their names bound.

use super::*;
use crate::index::Entity;
use crate::types::infer::VarKind;
use crate::types::lower::Named;
use crate::types::show::with_article;
use stark_syntax::ast::PatternKind;

impl<'a> Checker<'a> {
    /// Binds a pattern's names in the innermost frame.
    pub fn pattern(&mut self, p: &'a ast::Pattern, ty: &Ty, mutable: bool) -> Pat {
        let mut bound: Vec<(Rc<str>, LocalId)> = Vec::new();
        self.pat(p, ty, mutable, &mut bound)
    }

    fn bind_pat(&mut self, name: &ast::Ident, ty: &Ty, mutable: bool, bound: &mut Vec<(Rc<str>, LocalId)>) -> LocalId {
        // The second side of `A | B` binds the variables of the first.
        if let Some((_, local)) = bound.iter().find(|(n, _)| *n == name.name) {
            let local = *local;
            let body = self.f.bodies.len().saturating_sub(1);
            self.note_local(name.span, body, local);
            let have = self.body().locals[local.index()].ty.clone();
            if !self.infer.unify(&have, ty) {
                self.mismatch(&have, ty, name.span);
            }
            return local;
        }
        let local = self.new_local(&name.name, ty.clone(), mutable, name.span);
        bound.push((name.name.clone(), local));
        self.bind_name(name.name.clone(), Binding::Local(local));
        local
    }

    fn bad_pattern(&mut self, what: &str, ty: &Ty, span: Span) -> Pat {
        if self.infer.shallow(ty) != Ty::Error {
            let shown = self.show(ty);
            let d = Diagnostic::error(
                codes::BAD_PATTERN,
                format!("{what} does not fit {}", with_article(&shown)),
                span,
                format!("the value is {}", with_article(&shown)),
            );
            let help = self.pattern_help(what, ty);
            self.report(match help {
                Some(help) => d.help(help),
                None => d,
            });
        }
        Pat { kind: PatKind::Wildcard, ty: Ty::Error, span }
    }

    /// What to do about a pattern for another type than the value's.
    fn pattern_help(&self, what: &str, ty: &Ty) -> Option<String> {
        let looked_at = self.text(self.f.looked_at);
        if self.awaited(ty).is_some() && !looked_at.is_empty() {
            return Some(format!("the value is still to come: `await {looked_at}`"));
        }
        if what.contains("`Option`") {
            if looked_at.ends_with(".recv()") {
                return Some(
                    "`recv()` gives the message itself and throws `ChannelClosed` at the end; `next()` gives an `Option`"
                        .to_string(),
                );
            }
            let shown = self.show(ty);
            return Some(format!("{} is always there: take it without `Some` and `None`", with_article(&shown)));
        }
        if what.starts_with("a tuple of")
            && let Ty::Tuple(parts) = self.infer.shallow(ty)
        {
            let names: Vec<&str> = ["a", "b", "c", "d", "e", "f"].into_iter().take(parts.len()).collect();
            return Some(format!(
                "it has {} parts: `({})`, with `_` for one that does not matter",
                parts.len(),
                names.join(", ")
            ));
        }
        if what.contains("`Result`") {
            return Some("an error is thrown, not returned: `try:` and `catch e:` see it".to_string());
        }
        None
    }

    fn pat(&mut self, p: &'a ast::Pattern, ty: &Ty, mutable: bool, bound: &mut Vec<(Rc<str>, LocalId)>) -> Pat {
        let span = p.span;
        let known = self.infer.shallow(ty);
        let kind = match &p.kind {
            PatternKind::Wildcard | PatternKind::Error => PatKind::Wildcard,
            PatternKind::Name { name, mutable: m } => {
                if let Some((adt, variant)) = self.bare_variant(&name.name, Some(&known)) {
                    let fits = matches!(&known, Ty::Adt(id, _) if *id == adt);
                    if fits || matches!(known, Ty::Infer(_)) {
                        self.note(name.span, Entity::Variant { adt, variant });
                    }
                    if fits {
                        return self.variant_pat(adt, variant, &[], false, false, &known, span, mutable, bound);
                    }
                    if matches!(known, Ty::Infer(_)) {
                        let made = Ty::Adt(adt, self.adt_args(adt, Vec::new(), span).into());
                        self.infer.unify(&known, &made);
                        return self.variant_pat(adt, variant, &[], false, false, &made, span, mutable, bound);
                    }
                    if known != Ty::Error {
                        let name = self.program.adts[adt.index()].name.clone();
                        return self.bad_pattern(&format!("a variant of `{name}`"), ty, span);
                    }
                    return Pat { kind: PatKind::Wildcard, ty: Ty::Error, span };
                }
                if let Some(Def::Const(id)) = self.lookup(self.f.env.module, &name.name)
                    && name.name.chars().next().is_some_and(char::is_uppercase)
                    && let Some(lit) = self.const_literal(id)
                {
                    self.note(name.span, Entity::Const(id));
                    PatKind::Lit(lit)
                } else {
                    let local = self.bind_pat(name, ty, mutable || *m, bound);
                    PatKind::Bind { local, sub: None }
                }
            }
            PatternKind::Bind { name, pattern } => {
                let local = self.bind_pat(name, ty, mutable, bound);
                let sub = self.pat(pattern, ty, mutable, bound);
                PatKind::Bind { local, sub: Some(Box::new(sub)) }
            }
            PatternKind::Literal(e) => {
                let value = self.expr(e, Some(&known));
                match self.try_coerce(value, ty) {
                    Ok(Expr { kind: ExprKind::Lit(lit), .. }) => PatKind::Lit(lit),
                    Ok(Expr { ty: Ty::Error, .. }) => PatKind::Wildcard,
                    Ok(_) => {
                        self.error(
                            codes::BAD_PATTERN,
                            "a pattern holds literals, not computed values",
                            span,
                            "not a literal",
                        );
                        PatKind::Wildcard
                    }
                    Err(value) => {
                        let (w, f) = (self.show(ty), self.show(&value.ty));
                        self.error(
                            codes::TYPE_MISMATCH,
                            format!("this pattern is {}, but the value is {}", with_article(&f), with_article(&w)),
                            span,
                            format!("this is `{f}`"),
                        );
                        PatKind::Wildcard
                    }
                }
            }
            PatternKind::Range { start, end, inclusive } => {
                let mut lits = Vec::new();
                for side in [start, end] {
                    lits.push(match side {
                        None => None,
                        Some(e) => match self.check_expr(e, ty).kind {
                            ExprKind::Lit(lit @ (Lit::Int(_) | Lit::Float(_) | Lit::Duration(_))) => Some(lit),
                            _ => {
                                if !self.reports_inside(span) {
                                    self.error(
                                        codes::BAD_PATTERN,
                                        "a range in a pattern has numbers at its ends",
                                        span,
                                        "here",
                                    );
                                }
                                return Pat { kind: PatKind::Wildcard, ty: Ty::Error, span };
                            }
                        },
                    });
                }
                let end = lits.pop().flatten();
                let start = lits.pop().flatten();
                PatKind::Range { start, end, inclusive: *inclusive }
            }
            PatternKind::Tuple(ps) => {
                let types = match &known {
                    Ty::Tuple(ts) if ts.len() == ps.len() => ts.to_vec(),
                    Ty::Infer(_) => {
                        let vars: Vec<Ty> = ps.iter().map(|p| self.infer.fresh(VarKind::Any, p.span)).collect();
                        self.infer.unify(&known, &Ty::Tuple(vars.clone().into()));
                        vars
                    }
                    Ty::Unit if ps.is_empty() => Vec::new(),
                    _ => {
                        for p in ps {
                            self.pat(p, &Ty::Error, mutable, bound);
                        }
                        let n = ps.len();
                        return self.bad_pattern(&format!("a tuple of {n}"), ty, span);
                    }
                };
                PatKind::Tuple(ps.iter().zip(&types).map(|(p, t)| self.pat(p, t, mutable, bound)).collect())
            }
            PatternKind::List { before, rest, after } => {
                let elem = match &known {
                    Ty::Adt(id, args) if *id == self.program.lang.vec => args[0].clone(),
                    Ty::Infer(_) => {
                        let elem = self.infer.fresh(VarKind::Any, span);
                        self.infer.unify(&known, &Ty::Adt(self.program.lang.vec, Rc::from([elem.clone()])));
                        elem
                    }
                    _ => {
                        for p in before.iter().chain(after) {
                            self.pat(p, &Ty::Error, mutable, bound);
                        }
                        return self.bad_pattern("a list", ty, span);
                    }
                };
                let before = before.iter().map(|p| self.pat(p, &elem, mutable, bound)).collect();
                let rest = rest.as_ref().map(|r| r.name.as_ref().map(|n| self.bind_pat(n, ty, mutable, bound)));
                let after = after.iter().map(|p| self.pat(p, &elem, mutable, bound)).collect();
                PatKind::List { before, rest, after }
            }
            PatternKind::Or(ps) => {
                let mut names: Option<Vec<Rc<str>>> = None;
                let mut out = Vec::new();
                for p in ps {
                    out.push(self.pat(p, ty, mutable, bound));
                    let mut mine = Vec::new();
                    crate::collect::pattern_names(p, false, &mut mine);
                    let mut mine: Vec<Rc<str>> =
                        mine.into_iter().map(|(n, _, _)| n).filter(|n| bound.iter().any(|(b, _)| b == n)).collect();
                    mine.sort();
                    match &names {
                        None => names = Some(mine),
                        Some(first) if *first != mine => {
                            self.error(
                                codes::BAD_PATTERN,
                                "both sides of `|` must bind the same names",
                                p.span,
                                "binds other names",
                            );
                        }
                        Some(_) => {}
                    }
                }
                PatKind::Or(out)
            }
            PatternKind::Constructor { path, fields, rest, has_parens } => {
                return self.constructor_pat(path, fields, *rest, *has_parens, ty, span, mutable, bound);
            }
        };
        Pat { kind, ty: ty.clone(), span }
    }

    fn const_literal(&mut self, id: ConstId) -> Option<Lit> {
        let init = self.program.consts[id.index()].init;
        self.check_fn(init);
        match &self.program.fns[init.index()].body.as_ref()?.value.kind {
            ExprKind::Lit(lit) => Some(lit.clone()),
            _ => None,
        }
    }

    fn constructor_pat(
        &mut self,
        path: &'a ast::Path,
        fields: &'a [ast::FieldPattern],
        rest: bool,
        has_parens: bool,
        ty: &Ty,
        span: Span,
        mutable: bool,
        bound: &mut Vec<(Rc<str>, LocalId)>,
    ) -> Pat {
        let Some(last) = path.segments.last() else { return self.bad_pattern("this", ty, span) };
        let known = self.infer.shallow(ty);
        let mut found = None;
        if path.segments.len() == 1 {
            found = self.bare_variant(&last.name, Some(&known));
        } else {
            let outer = ast::Path { segments: path.segments[..path.segments.len() - 1].to_vec(), span: path.span };
            let env = self.f.env.clone();
            if let Named::Def(def @ (Def::Adt(_) | Def::Alias(_))) = self.resolve_path(&outer, &env)
                && let Ty::Adt(id, _) = self.apply_def(&def, Vec::new(), &last.name, path.span, true)
            {
                match self.adts[id.index()].variants.get(&last.name) {
                    Some(v) => found = Some((id, *v)),
                    None if matches!(self.program.adts[id.index()].kind, AdtKind::Enum(_)) => {
                        let made = Ty::Adt(id, self.adt_args(id, Vec::new(), span).into());
                        self.no_associated(&made, last);
                        return Pat { kind: PatKind::Wildcard, ty: Ty::Error, span };
                    }
                    None => {}
                }
            }
        }
        if let Some((adt, variant)) = found {
            self.note(last.span, Entity::Variant { adt, variant });
            fields.iter().filter_map(|f| f.name.as_ref()).for_each(|n| self.note_field_named(adt, Some(variant), n));
            let target = match &known {
                Ty::Adt(id, _) if *id == adt => known.clone(),
                _ => {
                    let made = Ty::Adt(adt, self.adt_args(adt, Vec::new(), span).into());
                    if !self.infer.unify(&known, &made) {
                        self.bind_stray(fields, mutable, bound);
                        let name = self.program.adts[adt.index()].name.clone();
                        return self.bad_pattern(&format!("a variant of `{name}`"), ty, span);
                    }
                    made
                }
            };
            return self.variant_pat(adt, variant, fields, rest, has_parens, &target, span, mutable, bound);
        }
        // A struct's name.
        let env = self.f.env.clone();
        let named = match self.resolve_path(path, &env) {
            Named::Def(def @ (Def::Adt(_) | Def::Alias(_))) => self.apply_def(&def, Vec::new(), &last.name, span, true),
            _ => {
                self.bind_stray(fields, mutable, bound);
                if known == Ty::Error {
                    return Pat { kind: PatKind::Wildcard, ty: Ty::Error, span };
                }
                let shown = self.show(&known);
                let mut d = Diagnostic::error(
                    codes::UNKNOWN_NAME,
                    format!("there is no `{}` in `{shown}`", last.name),
                    last.span,
                    "not a variant of it",
                );
                if let Some(id) = self.enum_of(Some(&known)) {
                    let names: Vec<Rc<str>> = self.adts[id.index()].variants.keys().cloned().collect();
                    if let Some(near) = nearest(&last.name, names.iter().map(|n| &**n)) {
                        d = d.help(format!("did you mean `{near}`?"));
                    }
                }
                self.report(d);
                return Pat { kind: PatKind::Wildcard, ty: Ty::Error, span };
            }
        };
        let Ty::Adt(id, args) = named.clone() else {
            self.bind_stray(fields, mutable, bound);
            return self.bad_pattern("this", ty, span);
        };
        fields.iter().filter_map(|f| f.name.as_ref()).for_each(|n| self.note_field_named(id, None, n));
        let AdtKind::Struct(defs) = self.program.adts[id.index()].kind.clone() else {
            self.bind_stray(fields, mutable, bound);
            return self.bad_pattern("this", ty, span);
        };
        if !self.infer.unify(&known, &named) {
            self.bind_stray(fields, mutable, bound);
            let shown = self.show(&named);
            return self.bad_pattern(&with_article(&shown), ty, span);
        }
        let fields = self.field_pats(&defs, &args, fields, rest, &last.name.clone(), span, mutable, bound);
        Pat { kind: PatKind::Struct { fields }, ty: ty.clone(), span }
    }

    fn bind_stray(&mut self, fields: &'a [ast::FieldPattern], mutable: bool, bound: &mut Vec<(Rc<str>, LocalId)>) {
        for f in fields {
            self.pat(&f.pattern, &Ty::Error, mutable, bound);
        }
    }

    fn variant_pat(
        &mut self,
        adt: AdtId,
        variant: u32,
        fields: &'a [ast::FieldPattern],
        rest: bool,
        has_parens: bool,
        ty: &Ty,
        span: Span,
        mutable: bool,
        bound: &mut Vec<(Rc<str>, LocalId)>,
    ) -> Pat {
        let Ty::Adt(_, args) = self.infer.shallow(ty) else { return self.bad_pattern("this", ty, span) };
        let AdtKind::Enum(variants) = &self.program.adts[adt.index()].kind else {
            return self.bad_pattern("this", ty, span);
        };
        let def = variants[variant as usize].clone();
        if !has_parens && !def.fields.is_empty() {
            let n = def.fields.len();
            self.report(
                Diagnostic::error(
                    codes::BAD_PATTERN,
                    format!("`{}` carries {n} value{}", def.name, if n == 1 { "" } else { "s" }),
                    span,
                    "its values are missing",
                )
                .help(format!("write `{}(..)` to ignore them", def.name)),
            );
            return Pat { kind: PatKind::Variant { variant, fields: Vec::new() }, ty: ty.clone(), span };
        }
        let fields = self.field_pats(&def.fields, &args, fields, rest, &def.name.clone(), span, mutable, bound);
        Pat { kind: PatKind::Variant { variant, fields }, ty: ty.clone(), span }
    }

    fn field_pats(
        &mut self,
        defs: &[FieldDef],
        args: &[Ty],
        fields: &'a [ast::FieldPattern],
        rest: bool,
        name: &str,
        span: Span,
        mutable: bool,
        bound: &mut Vec<(Rc<str>, LocalId)>,
    ) -> Vec<(u32, Pat)> {
        let mut out: Vec<(u32, Pat)> = Vec::new();
        let mut next = 0;
        for f in fields {
            let index = match &f.name {
                Some(n) => match defs.iter().position(|d| d.name == n.name) {
                    Some(i) => i,
                    None => {
                        let near = nearest(&n.name, defs.iter().map(|d| &*d.name));
                        let label = near.map_or("not a field".to_string(), |x| format!("did you mean `{x}`?"));
                        self.error(codes::BAD_PATTERN, format!("`{name}` has no field `{}`", n.name), n.span, label);
                        self.pat(&f.pattern, &Ty::Error, mutable, bound);
                        continue;
                    }
                },
                None => {
                    let i = next;
                    next += 1;
                    i
                }
            };
            let Some(def) = defs.get(index) else {
                let n = defs.len();
                self.error(
                    codes::BAD_PATTERN,
                    format!("`{name}` has {n} value{}", if n == 1 { "" } else { "s" }),
                    f.pattern.span,
                    "one too many",
                );
                self.pat(&f.pattern, &Ty::Error, mutable, bound);
                continue;
            };
            let ty = if args.is_empty() { def.ty.clone() } else { def.ty.subst(args) };
            out.push((index as u32, self.pat(&f.pattern, &ty, mutable, bound)));
        }
        let covered = (0..defs.len()).all(|i| out.iter().any(|(j, _)| *j as usize == i));
        let all_named = !fields.is_empty() && fields.iter().all(|f| f.name.is_some());
        if !covered && !rest && !all_named && !self.reports_inside(span) {
            let n = defs.len();
            self.report(
                Diagnostic::error(
                    codes::BAD_PATTERN,
                    format!("`{name}` has {n} value{}, the pattern has {}", if n == 1 { "" } else { "s" }, out.len()),
                    span,
                    "some are missing",
                )
                .help("write `..` for those that do not matter"),
            );
        }
        out
    }

    /// Whether a pattern takes every value of its type.
    pub fn irrefutable(&mut self, pat: &Pat) -> bool {
        crate::exhaustive::missed(self, &pat.ty.clone(), &[pat]).is_none()
    }
}
