//! Names in expressions: variables, captured ones, an actor's fields, a script's `let`s, declarations, variants.

use super::dims::strip_names;
use super::*;
use crate::foreign;
use crate::index::Entity;
use crate::types::elements::has_elements;
use crate::types::infer::VarKind;
use crate::types::lower::{Named, builtin_type};

impl<'a> Checker<'a> {
    pub fn err(&self, span: Span) -> Expr {
        Expr { kind: ExprKind::Error, ty: Ty::Error, span }
    }

    /// The innermost binding of a name, with the body it belongs to.
    pub fn find_binding(&self, name: &str) -> Option<(usize, Binding)> {
        self.f.frames.iter().rev().find_map(|frame| {
            frame.names.iter().rev().find(|(n, _)| &**n == name).map(|(_, b)| (frame.body, b.clone()))
        })
    }

    /// The variable as the current body sees it: itself, or the copy that the closures in between capture.
    pub fn local_here(&mut self, body: usize, local: LocalId, span: Span) -> LocalId {
        let last = self.f.bodies.len() - 1;
        self.f.bodies[body].meta[local.index()].used = true;
        let mut current = local;
        for b in body + 1..=last {
            if let Some((_, inner)) = self.f.bodies[b].captures.iter().find(|(outer, _)| *outer == current) {
                current = *inner;
                continue;
            }
            let row = self.f.bodies[b - 1].locals[current.index()].clone();
            let meta = self.f.bodies[b - 1].meta[current.index()].clone();
            let lent = match meta.mode {
                Some(ParamMode::RefMut) => true,
                Some(ParamMode::Ref) => &*row.name != "self",
                _ => false,
            };
            if lent && !self.is_std(span) {
                self.report(
                    Diagnostic::error(
                        codes::BORROW_ESCAPES,
                        format!("`{}` is only lent to this function, so it cannot be captured", row.name),
                        span,
                        "would outlive the call",
                    )
                    .because(row.span, "lent here")
                    .help(format!("copy it first: `let copy = {}`", row.name)),
                );
            }
            if meta.guard {
                let in_task = self.f.bodies[b].in_task;
                self.error(
                    if in_task { codes::CANNOT_CROSS } else { codes::GUARD_ESCAPES },
                    format!(
                        "`{}` stands for a zone's value while its guard is held, so it cannot be captured",
                        row.name
                    ),
                    span,
                    "would outlive the guard",
                );
            }
            let cx = &mut self.f.bodies[b];
            let inner = LocalId(cx.locals.len() as u32);
            cx.locals.push(row);
            cx.meta.push(LocalMeta { used: true, captured: true, hidden: meta.hidden, ..LocalMeta::default() });
            cx.captures.push((current, inner));
            current = inner;
        }
        current
    }

    /// A variable that the program names at this place.
    pub fn local_use(&mut self, body: usize, local: LocalId, span: Span) -> Expr {
        self.note_local(span, body, local);
        self.local_expr(body, local, span)
    }

    pub fn local_expr(&mut self, body: usize, local: LocalId, span: Span) -> Expr {
        let local = self.local_here(body, local, span);
        let ty = self.body().locals[local.index()].ty.clone();
        Expr { kind: ExprKind::Local(local), ty, span }
    }

    /// The actor's state or the method's `self`.
    pub fn self_expr(&mut self, span: Span) -> Expr {
        match self.find_binding("self") {
            Some((body, Binding::Local(local))) => self.local_use(body, local, span),
            _ if self.f.actor.is_some() => {
                self.report(
                    Diagnostic::error(
                        codes::UNKNOWN_NAME,
                        "an actor has no `self`",
                        span,
                        "its fields are in scope by their names",
                    )
                    .help(
                        "call its methods by their names; who has its reference, `spawn_actor(…)`, sends it messages",
                    ),
                );
                self.err(span)
            }
            _ => {
                self.error(
                    codes::UNKNOWN_NAME,
                    "there is no `self` here",
                    span,
                    "only methods that take `self` have one",
                );
                self.err(span)
            }
        }
    }

    /// An actor's field by its bare name.
    pub fn actor_field(&mut self, name: &str, span: Span) -> Option<Expr> {
        let adt = self.f.actor?;
        let AdtKind::Actor(def) = &self.program.adts[adt.index()].kind else { return None };
        let index = def.fields.iter().position(|f| &*f.name == name)? as u32;
        let field = def.fields[index as usize].clone();
        self.note(span, Entity::Field { adt, variant: None, index });
        let ty = strip_names(&field.ty, self.program.lang.model);
        let last = self.f.bodies.len() - 1;
        if last == 0 {
            let state = LocalId(0);
            let state_ty = self.f.bodies[0].locals.first().map_or(Ty::Error, |l| l.ty.clone());
            let base = Expr { kind: ExprKind::Local(state), ty: state_ty, span };
            return Some(Expr { kind: ExprKind::Field { base: Box::new(base), index }, ty, span });
        }
        // Inside a closure: the field's value when the outermost closure was made.
        let outermost = &self.f.bodies[1];
        let inner = match outermost.field_captures.iter().find(|(i, _)| *i == index) {
            Some((_, inner)) => *inner,
            None => {
                let cx = &mut self.f.bodies[1];
                let inner = LocalId(cx.locals.len() as u32);
                cx.locals.push(Local {
                    name: field.name.clone(),
                    ty: ty.clone(),
                    mutable: field.mutable,
                    span: field.span,
                });
                cx.meta.push(LocalMeta { used: true, captured: true, hidden: true, ..LocalMeta::default() });
                cx.field_captures.push((index, inner));
                inner
            }
        };
        Some(self.local_expr(1, inner, span))
    }

    /// A script's `let` seen from a function.
    fn script_let(&mut self, name: &str, span: Span) -> Option<Expr> {
        if self.f.is_entry || self.parsed[self.f.env.module.index()].path.len() > 0 {
            return None;
        }
        let item = self.f.item;
        let above = self.script_lets.iter().rposition(|l| &*l.name == name && l.item < item);
        let i = above.or_else(|| self.script_lets.iter().position(|l| &*l.name == name))?;
        let row = &mut self.script_lets[i];
        row.used = true;
        let (global, at, mutable, ty) = (row.global, row.span, row.mutable, row.ty.clone());
        self.note(span, Entity::Local(at));
        if let Some((_, metas)) = &mut self.entry_cx {
            let locals_used = self.program.fns[self.program.entry.index()].body.as_ref();
            if let Some(body) = locals_used
                && let Some(at) = body.locals.iter().position(|l| l.span == at && &*l.name == name)
            {
                metas[at].used = true;
            }
        }
        if mutable {
            self.report(
                Diagnostic::error(
                    codes::UNKNOWN_NAME,
                    format!("a function cannot see the script's mutable variable `{name}`"),
                    span,
                    "not visible here",
                )
                .because(at, "declared `mut` here")
                .help("pass it as an argument, or make it a `shared let`"),
            );
            return Some(self.err(span));
        }
        match ty {
            Some(ty) => Some(Expr { kind: ExprKind::Global(global), ty, span }),
            None => {
                self.report(
                    Diagnostic::error(
                        codes::USED_BEFORE_SET,
                        format!("`{name}` has no value yet when this runs"),
                        span,
                        "read before its `let`",
                    )
                    .because(at, "set here"),
                );
                Some(self.err(span))
            }
        }
    }

    /// The enum a type is, for bare variants.
    pub fn enum_of(&self, ty: Option<&Ty>) -> Option<AdtId> {
        match self.infer.shallow(ty?) {
            Ty::Adt(id, _) if matches!(self.program.adts[id.index()].kind, AdtKind::Enum(_)) => Some(id),
            _ => None,
        }
    }

    /// A variant by its bare name: of the expected enum, or `Some None Ok Err`.
    pub fn bare_variant(&self, name: &str, hint: Option<&Ty>) -> Option<(AdtId, u32)> {
        if let Some(id) = self.enum_of(hint)
            && let Some(v) = self.adts[id.index()].variants.get(name)
        {
            return Some((id, *v));
        }
        let lang = &self.program.lang;
        let id = match name {
            "Some" | "None" => lang.option,
            "Ok" | "Err" => lang.result,
            _ => return None,
        };
        self.adts.get(id.index())?.variants.get(name).map(|v| (id, *v))
    }

    pub fn name_expr(&mut self, name: &Rc<str>, span: Span, hint: Option<&Ty>) -> Expr {
        match self.find_binding(name) {
            Some((body, Binding::Local(local))) => return self.local_use(body, local, span),
            Some((_, Binding::Fn(id))) => {
                self.note(span, Entity::Fn(id));
                return self.fn_value(&[id], span, hint, &[]);
            }
            None => {}
        }
        if let Some(e) = self.actor_field(name, span) {
            return e;
        }
        // The signature is nearer than the script around it.
        if let Some(e) = self.dimension(name, span) {
            return e;
        }
        if let Some(e) = self.script_let(name, span) {
            return e;
        }
        let module = self.f.env.module;
        if let Some(def) = self.lookup(module, name) {
            self.mark_import_used(module, name);
            let own = self.scopes[module.index()].names.contains_key(name);
            // A bare variant of the expected enum wins over what the library calls by the same name.
            if own || self.bare_variant(name, hint).is_none() {
                return self.def_value(&def, name, span, span, hint);
            }
        }
        if let Some((adt, variant)) = self.bare_variant(name, hint) {
            self.note(span, Entity::Variant { adt, variant });
            return self.variant_value(adt, variant, Vec::new(), span, hint);
        }
        if !self.is_unreadable_size(name, span) {
            self.unknown_name(name, span);
        }
        self.err(span)
    }

    /// `at` is where the name itself stands.
    pub fn def_value(&mut self, def: &Def, name: &str, at: Span, span: Span, hint: Option<&Ty>) -> Expr {
        self.note_def(at, def);
        match def {
            Def::Fns(ids) if ids.is_empty() => self.err(span),
            Def::Fns(ids) => {
                let value = self.fn_value(ids, span, hint, &[]);
                self.note_fn_value(at, &value, ids);
                value
            }
            Def::Const(id) => {
                let init = self.program.consts[id.index()].init;
                self.ensure_ret(init, span);
                let ty = self.program.fns[init.index()].ret.clone();
                let ty = self.infer.resolve(&ty);
                self.program.consts[id.index()].ty = ty.clone();
                Expr { kind: ExprKind::Const(*id), ty, span }
            }
            Def::Zone(_) => {
                self.report(
                    Diagnostic::error(
                        codes::ZONE_WITHOUT_GUARD,
                        format!("`{name}` is shared: it is reached through a guard only"),
                        span,
                        "no guard here",
                    )
                    .help(format!("write `{name}.read()` or `{name}.write()`, or `with {name}.write() as v:`")),
                );
                self.err(span)
            }
            Def::Adt(id) => match &self.program.adts[id.index()].kind {
                AdtKind::Struct(fields) if matches!(hint.map(|t| self.infer.shallow(t)), Some(Ty::Fn(..))) => {
                    let n = fields.iter().filter(|f| f.default.is_none()).count();
                    self.constructor_closure(*id, None, n, span, hint)
                }
                kind => {
                    let (is_actor, is_struct) = (matches!(kind, AdtKind::Actor(_)), matches!(kind, AdtKind::Struct(_)));
                    let d = Diagnostic::error(
                        codes::NOT_A_VALUE,
                        format!("`{name}` is a type, not a value"),
                        span,
                        "a value is needed here",
                    );
                    let error = Bound::plain(self.program.lang.error);
                    let is_error = is_struct && self.meets(&Ty::Adt(*id, Rc::from([])), &error) == Met::Yes;
                    let help = if is_actor {
                        Some(format!("`{name}::new(…)` makes its state"))
                    } else if is_error {
                        Some(format!("`{name}(\"what is wrong\")` makes one"))
                    } else {
                        is_struct.then(|| format!("`{name}(…)` makes one"))
                    };
                    self.report(match help {
                        Some(help) => d.help(help),
                        None => d,
                    });
                    self.err(span)
                }
            },
            Def::Trait(_) | Def::Alias(_) => {
                self.error(
                    codes::NOT_A_VALUE,
                    format!("`{name}` is a type, not a value"),
                    span,
                    "a value is needed here",
                );
                self.err(span)
            }
            Def::Module(_) => {
                self.error(
                    codes::NOT_A_VALUE,
                    format!("`{name}` is a module, not a value"),
                    span,
                    "a value is needed here",
                );
                self.err(span)
            }
        }
    }

    /// A function as a value.
    pub fn fn_value(&mut self, ids: &[FnId], span: Span, hint: Option<&Ty>, written: &[Ty]) -> Expr {
        let mut chosen = ids[0];
        if self.program.fns[chosen.index()].native.as_deref() == Some("by_compiler") {
            let name = self.program.fns[chosen.index()].name.clone();
            self.report(
                Diagnostic::error(
                    codes::CANNOT_INFER,
                    format!("`{name}` takes any number of values of any type, so it cannot be a value itself"),
                    span,
                    "not called here",
                )
                .help(format!("write `|x| {name}(x)`")),
            );
            return self.err(span);
        }
        if let Some(Ty::Fn(params, ret)) = hint.map(|h| self.infer.shallow(h)) {
            // The first that fits as it is, else the first whose other parameters have defaults.
            let hint = Ty::Fn(params.clone(), ret);
            let fits = |c: &mut Self, id: &FnId| c.fn_fits(*id, &hint, params.len(), span);
            if let Some(id) =
                ids.iter().find(|id| self.program.fns[id.index()].params.len() == params.len() && fits(self, id))
            {
                chosen = *id;
            } else if let Some(id) = ids.iter().find(|id| fits(self, id)) {
                return self.fn_with_defaults(*id, params.len(), span, &hint, written);
            }
        }
        self.ensure_ret(chosen, span);
        let (ty, type_args) = self.instantiate_fn(chosen, span, written);
        if self.program.fns[chosen.index()].params.iter().any(|p| p.mode == ParamMode::RefMut) {
            let name = self.program.fns[chosen.index()].name.clone();
            self.error(
                codes::BORROW_ESCAPES,
                format!("`{name}` takes `&mut`, so it cannot be a value"),
                span,
                "a function value has no `&mut` parameters",
            );
        }
        self.require_fn_bounds(chosen, &type_args, span);
        Expr { kind: ExprKind::FnRef { func: chosen, type_args }, ty, span }
    }

    /// Whether a function fits a function type of `n` parameters; those behind them must have defaults. Binds nothing.
    fn fn_fits(&mut self, id: FnId, hint: &Ty, n: usize, span: Span) -> bool {
        let def = &self.program.fns[id.index()];
        if def.params.len() < n || def.params[n..].iter().any(|p| p.default.is_none()) {
            return false;
        }
        self.ensure_ret(id, span);
        let mark = self.infer.mark();
        let (ty, args) = self.instantiate_fn(id, span, &[]);
        let Ty::Fn(params, ret) = ty else { return false };
        let ty = Ty::Fn(params[..n].into(), ret);
        let mut fits = self.infer.unify(&ty, hint);
        if fits {
            for (g, arg) in self.program.fns[id.index()].generics.clone().iter().zip(&args) {
                fits &= g.bounds.iter().all(|b| self.meets(arg, &b.subst(&args)) != Met::No);
            }
        }
        self.infer.rollback(mark);
        fits
    }

    /// `["1", "2"].map(int)`: a closure that leaves the other parameters to their defaults.
    pub fn fn_with_defaults(&mut self, func: FnId, n: usize, span: Span, hint: &Ty, written: &[Ty]) -> Expr {
        let (ty, type_args) = self.instantiate_fn(func, span, written);
        let Ty::Fn(params, ret) = ty else { return self.err(span) };
        let ty = Ty::Fn(params[..n].into(), ret.clone());
        self.hint_ret(&ty, hint);
        self.require_fn_bounds(func, &type_args, span);
        let specs = self.specs(func, &type_args, 0);
        let mut out: Vec<Option<Arg>> = vec![None; specs.len()];
        let (mut locals, mut inner) = (Vec::new(), Vec::new());
        for (i, spec) in specs.iter().enumerate().take(n) {
            let local = LocalId(i as u32);
            locals.push(Local { name: spec.name.clone(), ty: spec.ty.clone(), mutable: false, span });
            inner.push(local);
            let value = Expr { kind: ExprKind::Local(local), ty: spec.ty.clone(), span };
            out[i] = Some(Arg { mode: spec.mode, value });
        }
        let args = self.fill_defaults(out, &specs, &type_args, span);
        let value = self.call_fn(func, type_args, args, span);
        let body = Body { locals, params: inner, value, dims: Vec::new() };
        let name = self.program.fns[func.index()].name.clone();
        let closure = Closure { captures: Vec::new(), body, ret: (*ret).clone(), name };
        Expr { kind: ExprKind::Closure(Box::new(closure)), ty, span }
    }

    /// The type of a function with fresh type arguments (or those written), and the arguments.
    pub fn instantiate_fn(&mut self, id: FnId, span: Span, written: &[Ty]) -> (Ty, Vec<Ty>) {
        let args = self.fresh_args(id, span, written);
        let def = &self.program.fns[id.index()];
        let params: Vec<Ty> = def.params.iter().map(|p| p.ty.subst(&args)).collect();
        let ret = self.called_ret(id, &args);
        (Ty::Fn(params.into(), Rc::new(ret)), args)
    }

    pub fn fresh_args(&mut self, id: FnId, span: Span, written: &[Ty]) -> Vec<Ty> {
        let n = self.program.fns[id.index()].generics.len();
        let outer = self.fns[id.index()].n_outer;
        let args: Vec<Ty> = (0..n)
            .map(|i| {
                let given = i.checked_sub(outer).and_then(|i| written.get(i));
                given.cloned().unwrap_or_else(|| self.infer.fresh(VarKind::Any, span))
            })
            .collect();
        if let Some(default) = self.fns[id.index()].default_type.clone()
            && let Some(first) = args.first()
        {
            self.f.defaults.push((first.clone(), default));
        }
        self.open_elements(id, &args);
        args
    }

    /// What a call gives: the returned type, in a `Future` or `JoinHandle` for task functions.
    pub fn called_ret(&mut self, id: FnId, args: &[Ty]) -> Ty {
        let def = &self.program.fns[id.index()];
        let ret = if args.is_empty() { def.ret.clone() } else { def.ret.subst(args) };
        // The names of its signature are not ours.
        let ret = strip_names(&ret, self.program.lang.model);
        match def.kind {
            FnKind::Plain => ret,
            FnKind::Async => Ty::Adt(self.program.lang.future, Rc::from([ret])),
            FnKind::Spawn => Ty::Adt(self.program.lang.join_handle, Rc::from([ret])),
        }
    }

    pub fn require_fn_bounds(&mut self, id: FnId, args: &[Ty], span: Span) {
        let generics = self.program.fns[id.index()].generics.clone();
        let name = self.program.fns[id.index()].name.clone();
        let is_trait_fn = self.fns[id.index()].of_trait.is_some();
        for (i, (g, arg)) in generics.iter().zip(args).enumerate() {
            if i == 0 && is_trait_fn {
                continue;
            }
            let def = &self.program.fns[id.index()];
            let signature = || def.params.iter().map(|p| &p.ty).chain([&def.ret]);
            if signature().any(|ty| has_elements(ty, i as u32)) {
                self.require_element(arg, span);
            }
            for bound in &g.bounds {
                self.require(arg, &bound.subst(args), span, &format!("`{}`", short_name(&name)));
            }
        }
    }

    /// `Command::Reset`, `Point::origin`, `Stack<Int>::new` as a value.
    pub fn scoped_value(
        &mut self,
        path: &ast::Path,
        type_args: &'a [ast::Type],
        name: &ast::Ident,
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let env = self.f.env.clone();
        let written: Vec<Ty> = type_args.iter().map(|t| self.lower(t, &env)).collect();
        match self.resolve_path(path, &env) {
            Named::Def(Def::Adt(id)) if self.adts[id.index()].variants.contains_key(&name.name) => {
                let variant = self.adts[id.index()].variants[&name.name];
                self.note(name.span, Entity::Variant { adt: id, variant });
                self.variant_value(id, variant, written, span, hint)
            }
            Named::Def(Def::Module(m)) => match self.lookup_in(m, &name.name, env.module, name.span) {
                Some(def) => self.def_value(&def, &name.name, name.span, span, hint),
                None => self.err(span),
            },
            named => {
                let Some(ty) = self.named_ty(named, written, path, &env) else { return self.err(span) };
                if let Ty::Num(kind) = ty
                    && let Some(lit) = super::limits::limit(kind, &name.name)
                {
                    return Expr { kind: ExprKind::Lit(lit), ty, span };
                }
                let candidates = self.associated(&ty, &name.name);
                match candidates.first() {
                    Some((id, args)) => {
                        let (id, args) = (*id, args.clone());
                        self.note(name.span, Entity::Fn(id));
                        self.ensure_ret(id, span);
                        let params: Vec<Ty> =
                            self.program.fns[id.index()].params.iter().map(|p| p.ty.subst(&args)).collect();
                        let ret = self.called_ret(id, &args);
                        let ty = Ty::Fn(params.into(), Rc::new(ret));
                        Expr { kind: ExprKind::FnRef { func: id, type_args: args }, ty, span }
                    }
                    None => {
                        self.no_associated(&ty, name);
                        self.err(span)
                    }
                }
            }
        }
    }

    /// The type before `::`.
    pub fn named_ty(&mut self, named: Named, written: Vec<Ty>, path: &ast::Path, env: &TypeEnv) -> Option<Ty> {
        let last = path.segments.last()?;
        match named {
            Named::Ty(Ty::Tensor(_)) if &*last.name == "Tensor" => {
                let elem = written.first().cloned().unwrap_or_else(|| self.infer.fresh(VarKind::Any, path.span));
                Some(Ty::Tensor(TensorTy { elem: Some(Rc::new(elem)), dims: None }))
            }
            Named::Ty(ty) => Some(ty),
            Named::Def(def @ (Def::Adt(_) | Def::Alias(_))) => {
                Some(self.apply_def(&def, written, &last.name, path.span, true))
            }
            Named::Def(Def::Trait(id)) => {
                let n = self.traits[id.index()].n_args;
                Some(Ty::Dyn(id, (0..n).map(|_| self.infer.fresh(VarKind::Any, path.span)).collect()))
            }
            Named::Def(_) => {
                self.error(codes::NOT_A_VALUE, format!("`{}` is not a type", last.name), path.span, "not a type");
                None
            }
            Named::Missing => {
                self.unknown_type(&last.name.clone(), last.span, env);
                None
            }
        }
    }

    /// Whether a struct has a field, or any type a method, of that name.
    fn has_member(&mut self, ty: &Ty, name: &str) -> bool {
        let Ty::Adt(id, _) = ty else { return false };
        let is_field = matches!(&self.program.adts[id.index()].kind, AdtKind::Struct(fields) if fields.iter().any(|f| &*f.name == name));
        is_field || !self.methods_of(ty, name).is_empty()
    }

    pub fn unknown_name(&mut self, name: &str, span: Span) {
        if builtin_type(name).is_some() {
            self.error(codes::NOT_A_VALUE, format!("`{name}` is a type, not a value"), span, "a value is needed here");
            return;
        }
        if name == "this"
            && let Some(adt) = self.f.actor
        {
            let dot = Span { end: span.end + 1, ..span };
            let edit = if self.text(dot).ends_with('.') { dot } else { span };
            return self.self_in_actor(adt, span, (edit, String::new()));
        }
        if self.f.env.params.iter().any(|(n, _)| &**n == name) {
            self.error(codes::NOT_A_VALUE, format!("`{name}` is a type, not a value"), span, "a value is needed here");
            return;
        }
        let mut d = Diagnostic::error(codes::UNKNOWN_NAME, format!("there is no `{name}` here"), span, "not known");
        let mut names: Vec<Rc<str>> =
            self.f.frames.iter().flat_map(|f| f.names.iter().map(|(n, _)| n.clone())).collect();
        let module = self.f.env.module;
        names.extend(self.scopes[module.index()].names.keys().cloned());
        names.extend(self.prelude.keys().cloned());
        names.extend(crate::resolve::graph::std_module_names().map(Rc::from));
        names.extend(self.script_lets.iter().map(|l| l.name.clone()));
        if let Some(adt) = self.f.actor
            && let AdtKind::Actor(def) = &self.program.adts[adt.index()].kind
        {
            names.extend(def.fields.iter().map(|f| f.name.clone()));
            names.extend(self.actor_methods.get(&adt).into_iter().flatten().map(|(n, _)| n.clone()));
        }
        let of_self = self.find_binding("self").and_then(|(body, binding)| match binding {
            Binding::Local(local) => Some(self.infer.shallow(&self.f.bodies[body].locals[local.index()].ty)),
            Binding::Fn(_) => None,
        });
        let is_member = of_self.as_ref().is_some_and(|ty| self.has_member(ty, name));
        if name == "this" && of_self.is_some() {
            d = d.help("STARK calls it `self`").fix("write `self`", vec![(span, "self".into())]);
        } else if is_member {
            d = d
                .help(format!("write `self.{name}`"))
                .fix(format!("write `self.{name}`"), vec![(span, format!("self.{name}"))]);
        } else if let Some(owner) = self.adts.iter().position(|a| a.variants.contains_key(name)) {
            let owner = self.program.adts[owner].name.clone();
            d = d
                .help(format!("write `{owner}::{name}`"))
                .fix(format!("write `{owner}::{name}`"), vec![(span, format!("{owner}::{name}"))]);
        } else if let Some(ours) = foreign::meant(name, |o| {
            // `Error` is a trait: as a value another error is meant.
            let is_known = names.iter().any(|n| &**n == o) || builtin_type(o).is_some();
            (is_known || matches!(o, "None" | "true" | "false")) && o != "Error"
        }) {
            d = d.help(format!("STARK calls it `{ours}`")).fix(format!("write `{ours}`"), vec![(span, ours)]);
        } else if let Some(way) = foreign::way(name).or_else(|| foreign::module_way(name)) {
            d = d.help(way);
        } else if let Some(near) = nearest(name, names.iter().map(|n| &**n)) {
            // It is the one that was meant, so it is not unused as well.
            if let Some((body, Binding::Local(local))) = self.find_binding(&near) {
                self.f.bodies[body].meta[local.index()].used = true;
            }
            d = d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![(span, near)]);
        }
        self.report(d);
    }
}

pub fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
