//! Making values of declared types: `Point(1.0)`, `Point::new(1.0)`, variants, `point.with(x = 2.0)`.

use super::args::Spec;
use super::call::let_local;
use super::dims::strip_names;
use super::*;
use crate::types::infer::VarKind;

impl<'a> Checker<'a> {
    /// The fields of a struct or actor as parameters.
    fn field_specs(&self, id: AdtId, args: &[Ty]) -> Vec<Spec> {
        let fields = match &self.program.adts[id.index()].kind {
            AdtKind::Struct(fields) => fields,
            AdtKind::Actor(def) => &def.fields,
            _ => return Vec::new(),
        };
        fields
            .iter()
            .map(|f| Spec {
                name: f.name.clone(),
                ty: strip_names(
                    &if args.is_empty() { f.ty.clone() } else { f.ty.subst(args) },
                    self.program.lang.model,
                ),
                mode: ParamMode::Value,
                default: f.default,
                iterable: false,
                dims: true,
                declared: Some(f.span),
            })
            .collect()
    }

    pub fn adt_args(&mut self, id: AdtId, written: Vec<Ty>, span: Span) -> Vec<Ty> {
        let n = self.program.adts[id.index()].generics.len();
        if written.len() == n {
            return written;
        }
        if !written.is_empty() {
            let name = self.program.adts[id.index()].name.clone();
            self.type_args_wrong(&name, n, written.len(), span);
        }
        (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect()
    }

    /// `Point(1.0, y = 2.0)`
    pub fn construct(
        &mut self,
        id: AdtId,
        written: Vec<Ty>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let name = self.program.adts[id.index()].name.clone();
        match &self.program.adts[id.index()].kind {
            AdtKind::Struct(_) => self.construct_fields(id, written, args, span, hint, false),
            AdtKind::Actor(_) => {
                self.report(
                    Diagnostic::error(codes::NOT_CALLABLE, format!("`{name}` is an actor"), span, "not a function")
                        .help(format!(
                            "`{name}::new(…)` makes its state, and `spawn_actor({name}::new(…))` starts one"
                        )),
                );
                self.check_stray(args);
                self.err(span)
            }
            AdtKind::Enum(variants) => {
                let first = variants.first().map_or_else(|| Rc::from("…"), |v| v.name.clone());
                self.report(
                    Diagnostic::error(codes::NOT_CALLABLE, format!("`{name}` is an enum"), span, "not a function")
                        .help(format!("name a variant: `{name}::{first}`")),
                );
                self.check_stray(args);
                self.err(span)
            }
            AdtKind::Opaque => {
                let ty = Ty::Adt(id, self.adt_args(id, written, span).into());
                let candidates = self.associated(&ty, "new");
                if candidates.is_empty() {
                    let d = Diagnostic::error(
                        codes::NOT_CALLABLE,
                        format!("`{name}` cannot be made like this"),
                        span,
                        "not a function",
                    );
                    self.report(match made_by(&name) {
                        Some(help) => d.help(help),
                        None => d,
                    });
                    self.check_stray(args);
                    return self.err(span);
                }
                self.call_candidates(candidates, None, args, span, hint, (&name, Span::default()))
            }
        }
    }

    /// `Point::new(…)` where the type has no `new` of its own.
    pub fn construct_new(
        &mut self,
        id: AdtId,
        written: Vec<Ty>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        if self.actor_methods.get(&id).is_some_and(|methods| methods.contains_key("new")) {
            // That an actor has no `new` of its own is told where it is declared.
            self.check_stray(args);
            return self.err(span);
        }
        self.construct_fields(id, written, args, span, hint, true)
    }

    /// With `new`, the fields without defaults come first.
    fn construct_fields(
        &mut self,
        id: AdtId,
        written: Vec<Ty>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
        as_new: bool,
    ) -> Expr {
        if self.inits.contains(&id) {
            self.check_stray(args);
            return self.err(span);
        }
        let type_args = self.adt_args(id, written, span);
        let ty = Ty::Adt(id, type_args.clone().into());
        if let Some(hint) = hint {
            self.hint_ret(&ty, hint);
        }
        let specs = self.field_specs(id, &type_args);
        let mut order: Vec<usize> = (0..specs.len()).collect();
        if as_new {
            order.sort_by_key(|i| specs[*i].default.is_some());
        }
        let sorted: Vec<Spec> = order.iter().map(|i| specs[*i].clone()).collect();
        let name = self.program.adts[id.index()].name.clone();
        self.note_named_fields(id, None, args);
        let Some(slots) = self.matched(&name, &sorted, args, span) else {
            let ty = if self.infer.has_vars(&ty) { Ty::Error } else { ty };
            return Expr { kind: ExprKind::Error, ty, span };
        };
        self.refuse_kept_borrows(args, &name);
        let mut given = self.arguments(&sorted, &slots, args, &type_args, span);
        let before = self.in_written_order(&slots, &mut given);
        let mut fields: Vec<Option<Expr>> = vec![None; specs.len()];
        for (arg, i) in given.into_iter().zip(order) {
            fields[i] = Some(arg.value);
        }
        let fields = fields.into_iter().map(|f| f.unwrap_or_else(|| self.err(span))).collect();
        let generics = self.program.adts[id.index()].generics.clone();
        for (g, arg) in generics.iter().zip(&type_args) {
            for bound in &g.bounds {
                self.require(arg, &bound.subst(&type_args), span, &format!("`{name}`"));
            }
        }
        Self::after(before, Expr { kind: ExprKind::Struct { adt: id, fields }, ty, span })
    }

    fn variant_specs(&self, id: AdtId, variant: u32, args: &[Ty]) -> Vec<Spec> {
        let AdtKind::Enum(variants) = &self.program.adts[id.index()].kind else { return Vec::new() };
        let Some(variant) = variants.get(variant as usize) else { return Vec::new() };
        variant
            .fields
            .iter()
            .map(|f| Spec {
                name: f.name.clone(),
                ty: strip_names(
                    &if args.is_empty() { f.ty.clone() } else { f.ty.subst(args) },
                    self.program.lang.model,
                ),
                mode: ParamMode::Value,
                default: None,
                iterable: false,
                dims: true,
                declared: Some(f.span),
            })
            .collect()
    }

    pub fn variant_name(&self, id: AdtId, variant: u32) -> String {
        match &self.program.adts[id.index()].kind {
            AdtKind::Enum(variants) => variants.get(variant as usize).map_or(String::new(), |v| v.name.to_string()),
            _ => String::new(),
        }
    }

    pub fn call_variant(
        &mut self,
        id: AdtId,
        variant: u32,
        written: Vec<Ty>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let type_args = self.adt_args(id, written, span);
        let ty = Ty::Adt(id, type_args.clone().into());
        if let Some(hint) = hint {
            self.hint_ret(&ty, hint);
        }
        let specs = self.variant_specs(id, variant, &type_args);
        let name = self.variant_name(id, variant);
        self.note_named_fields(id, Some(variant), args);
        let Some(slots) = self.matched(&name, &specs, args, span) else {
            let ty = if self.infer.has_vars(&ty) { Ty::Error } else { ty };
            return Expr { kind: ExprKind::Error, ty, span };
        };
        self.refuse_kept_borrows(args, &name);
        let mut given = self.arguments(&specs, &slots, args, &[], span);
        let before = self.in_written_order(&slots, &mut given);
        let fields = given.into_iter().map(|a| a.value).collect();
        Self::after(before, Expr { kind: ExprKind::Variant { adt: id, variant, fields }, ty, span })
    }

    /// A variant without parentheses: a value, or a function that makes it.
    pub fn variant_value(&mut self, id: AdtId, variant: u32, written: Vec<Ty>, span: Span, hint: Option<&Ty>) -> Expr {
        let n = self.variant_specs(id, variant, &[]).len();
        if n > 0 {
            if !written.is_empty() || matches!(hint.map(|h| self.infer.shallow(h)), Some(Ty::Fn(..))) {
                return self.constructor_closure(id, Some(variant), n, span, hint);
            }
            let name = self.variant_name(id, variant);
            self.error(
                codes::ARGUMENTS,
                format!("`{name}` carries {n} value{}", if n == 1 { "" } else { "s" }),
                span,
                "its values are missing",
            );
            return self.err(span);
        }
        let type_args = self.adt_args(id, written, span);
        let ty = Ty::Adt(id, type_args.into());
        if let Some(hint) = hint {
            self.hint_ret(&ty, hint);
        }
        Expr { kind: ExprKind::Variant { adt: id, variant, fields: Vec::new() }, ty, span }
    }

    /// `xs.map(Some)`: the constructor as a closure.
    pub fn constructor_closure(
        &mut self,
        id: AdtId,
        variant: Option<u32>,
        n: usize,
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let type_args = self.adt_args(id, Vec::new(), span);
        let ty = Ty::Adt(id, type_args.clone().into());
        let specs = match variant {
            Some(v) => self.variant_specs(id, v, &type_args),
            None => self.field_specs(id, &type_args),
        };
        let made = Ty::Fn(specs.iter().take(n).map(|s| s.ty.clone()).collect(), Rc::new(ty.clone()));
        if let Some(hint) = hint {
            self.hint_ret(&made, hint);
        }
        let mut locals = Vec::new();
        let mut params = Vec::new();
        let mut fields = Vec::new();
        for (i, spec) in specs.iter().enumerate() {
            if i < n {
                let local = LocalId(i as u32);
                locals.push(Local { name: Rc::from("x"), ty: spec.ty.clone(), mutable: false, span });
                params.push(local);
                fields.push(Expr { kind: ExprKind::Local(local), ty: spec.ty.clone(), span });
            } else if let Some(func) = spec.default {
                fields.push(self.call_fn(func, type_args.clone(), Vec::new(), span));
            }
        }
        let kind = match variant {
            Some(variant) => ExprKind::Variant { adt: id, variant, fields },
            None => ExprKind::Struct { adt: id, fields },
        };
        let value = Expr { kind, ty: ty.clone(), span };
        let body = Body { locals, params, value, dims: Vec::new() };
        let name: Rc<str> = self.program.adts[id.index()].name.clone();
        Expr {
            kind: ExprKind::Closure(Box::new(Closure { captures: Vec::new(), body, ret: ty, name })),
            ty: made,
            span,
        }
    }

    /// `point.with(x = 2.0)`: a copy with changed fields.
    pub fn with_fields(&mut self, receiver: Expr, args: &'a [ast::Arg], span: Span) -> Expr {
        let Ty::Adt(id, targs) = self.infer.shallow(&receiver.ty) else { return self.err(span) };
        let specs = self.field_specs(id, &targs);
        let ty = receiver.ty.clone();
        let local = self.temp("copy", ty.clone(), span);
        self.note_named_fields(id, None, args);
        let mut stmts = vec![let_local(local, receiver)];
        let mut changed: Vec<Option<Expr>> = vec![None; specs.len()];
        for arg in args {
            let Some(name) = &arg.name else {
                self.error(codes::ARGUMENTS, "`with` takes fields by name", arg.span, "write `field = value`");
                self.expr(&arg.value, None);
                continue;
            };
            match specs.iter().position(|s| s.name == name.name) {
                Some(i) => changed[i] = Some(self.check_expr(&arg.value, &specs[i].ty.clone())),
                None => {
                    let shown = self.show(&ty);
                    let near = nearest(&name.name, specs.iter().map(|s| &*s.name));
                    let label = near.map_or("not a field".to_string(), |n| format!("did you mean `{n}`?"));
                    self.error(codes::ARGUMENTS, format!("`{shown}` has no field `{}`", name.name), name.span, label);
                    self.expr(&arg.value, None);
                }
            }
        }
        // The new values are computed before the copy's old ones are read: both are values, so the order cannot be seen.
        let fields = changed
            .into_iter()
            .enumerate()
            .map(|(i, value)| {
                value.unwrap_or_else(|| {
                    let base = Expr { kind: ExprKind::Local(local), ty: ty.clone(), span };
                    Expr {
                        kind: ExprKind::Field { base: Box::new(base), index: i as u32 },
                        ty: specs[i].ty.clone(),
                        span,
                    }
                })
            })
            .collect();
        let made = Expr { kind: ExprKind::Struct { adt: id, fields }, ty: ty.clone(), span };
        stmts.shrink_to_fit();
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(made)) }, ty, span }
    }
}

/// How a value is made whose type has no `new`.
pub fn made_by(ty: &str) -> Option<&'static str> {
    match ty {
        "Channel" => Some("`channel()` makes one, `channel(n)` one that holds `n` messages"),
        "BroadcastChannel" => Some("`broadcast()` makes one"),
        "Shared" => Some("a zone is declared at the top level: `shared let n: Shared<Int> = 0`"),
        "SharedMap" => Some("a zone is declared at the top level: `shared let m: SharedMap<String, Int>`"),
        "SharedVec" => Some("a zone is declared at the top level: `shared let v: SharedVec<Int>`"),
        _ => None,
    }
}
