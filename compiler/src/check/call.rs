//! Calls: of functions, constructors, conversions, closures, and of what the checker itself knows.

use super::args::Spec;
use super::dims::mentions_dims;
use super::names::short_name;
use super::*;
use crate::foreign;
use crate::index::Entity;
use crate::types::infer::VarKind;
use crate::types::lower::{Named, builtin_type};
use crate::types::show::with_article;

impl<'a> Checker<'a> {
    pub fn call(&mut self, callee: &'a ast::Expr, args: &'a [ast::Arg], span: Span, hint: Option<&Ty>) -> Expr {
        match &callee.kind {
            ast::ExprKind::Name(name) => self.call_name(name, callee.span, &[], args, span, hint),
            ast::ExprKind::Instantiate { base, type_args } => {
                let env = self.f.env.clone();
                let written: Vec<Ty> = type_args.iter().map(|t| self.lower(t, &env)).collect();
                match &base.kind {
                    ast::ExprKind::Name(name) => self.call_name(name, base.span, &written, args, span, hint),
                    ast::ExprKind::Field { base: receiver, name } => {
                        self.call_field(receiver, name, &written, args, span, hint)
                    }
                    ast::ExprKind::Scoped { path, type_args, name } => {
                        let on: Vec<Ty> = type_args.iter().map(|t| self.lower(t, &env)).collect();
                        self.call_scoped(path, on, name, &written, args, span, hint)
                    }
                    _ => self.call_value(callee, args, span),
                }
            }
            ast::ExprKind::Field { base, name } => self.call_field(base, name, &[], args, span, hint),
            ast::ExprKind::Scoped { path, type_args, name } => {
                let env = self.f.env.clone();
                let on: Vec<Ty> = type_args.iter().map(|t| self.lower(t, &env)).collect();
                self.call_scoped(path, on, name, &[], args, span, hint)
            }
            _ => self.call_value(callee, args, span),
        }
    }

    fn call_name(
        &mut self,
        name: &Rc<str>,
        name_span: Span,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        match self.find_binding(name) {
            Some((body, Binding::Local(local))) => {
                let callee = self.local_use(body, local, name_span);
                return self.call_closure(callee, args, span, name);
            }
            Some((_, Binding::Fn(id))) => return self.call_fns(&[id], written, args, span, hint, (name, name_span)),
            None => {}
        }
        if let Some(callee) = self.actor_field(name, name_span) {
            return self.call_closure(callee, args, span, name);
        }
        if let Some(e) = self.actor_call((name, name_span), args, span, hint) {
            return e;
        }
        let module = self.f.env.module;
        let in_root = self.parsed[module.index()].path.is_empty() && !self.f.is_entry;
        let known = self.lookup(module, name);
        let shadowed = in_root && self.script_lets.iter().any(|l| l.name == *name);
        let own = self.scopes[module.index()].names.contains_key(name);
        // A bare variant of the expected enum wins over what the library calls by the same name.
        let is_variant = !own && self.bare_variant(name, hint).is_some();
        if let Some(def) = known.filter(|_| !shadowed && !is_variant) {
            self.mark_import_used(module, name);
            return self.call_def(&def, name, name_span, written, args, span, hint);
        }
        if let Some((adt, variant)) = self.bare_variant(name, hint) {
            self.note(name_span, Entity::Variant { adt, variant });
            return self.call_variant(adt, variant, Vec::new(), args, span, hint);
        }
        if let Some(ty) = builtin_type(name) {
            return self.conversion(ty, name, args, span);
        }
        if let Some((_, ty)) = self.f.env.params.iter().find(|(n, _)| n == name).cloned() {
            return self.conversion(ty, name, args, span);
        }
        let callee = self.name_expr(name, name_span, None);
        if callee.ty == Ty::Error {
            if foreign::way(name).is_none() {
                self.check_stray(args);
            }
            return self.err(span);
        }
        self.call_closure(callee, args, span, name)
    }

    fn call_def(
        &mut self,
        def: &Def,
        name: &str,
        name_span: Span,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        self.note_def(name_span, def);
        match def {
            Def::Fns(ids) if ids.is_empty() => {
                self.check_stray(args);
                self.err(span)
            }
            Def::Fns(ids) => {
                let ids = ids.clone();
                if self.fns[ids[0].index()].variadic {
                    return self.print_call(ids[0], args, span);
                }
                if self.fns[ids[0].index()].special && name == "tensor" {
                    return self.tensor_call(ids[0], written, args, span, hint);
                }
                self.call_fns(&ids, written, args, span, hint, (name, name_span))
            }
            Def::Adt(id) => self.construct(*id, written.to_vec(), args, span, hint),
            Def::Alias(_) => match self.apply_def(def, written.to_vec(), name, name_span, true) {
                Ty::Adt(id, targs) => self.construct(id, targs.to_vec(), args, span, hint),
                Ty::Error => self.err(span),
                ty => self.conversion(ty, name, args, span),
            },
            Def::Module(_) | Def::Trait(_) => {
                self.error(
                    codes::NOT_CALLABLE,
                    format!("`{name}` cannot be called"),
                    name_span,
                    if matches!(def, Def::Trait(_)) { "a trait" } else { "a module" },
                );
                self.check_stray(args);
                self.err(span)
            }
            Def::Const(_) | Def::Zone(_) => {
                let callee = self.def_value(def, name, name_span, name_span, None);
                self.call_closure(callee, args, span, name)
            }
        }
    }

    /// `Int8(x)`, `Float(x)`, `String(x)`
    fn conversion(&mut self, ty: Ty, name: &str, args: &'a [ast::Arg], span: Span) -> Expr {
        let [arg] = args else {
            self.error(codes::ARGUMENTS, format!("`{name}` converts one value"), span, format!("{} given", args.len()));
            self.check_stray(args);
            return self.err(span);
        };
        let literal = matches!(arg.value.kind, ast::ExprKind::Literal(_));
        let value = self.expr(&arg.value, if literal { Some(&ty) } else { None });
        if ty == Ty::Str {
            self.report(
                Diagnostic::error(codes::NOT_CALLABLE, "`String` is not a conversion", span, "not a function")
                    .help("`str(x)` gives the text of a value"),
            );
            return self.err(span);
        }
        if let (Ty::Num(_), Ty::Str) = (&ty, self.infer.shallow(&value.ty)) {
            let reader = if matches!(ty, Ty::Num(k) if k.is_float()) { "float" } else { "int" };
            self.report(
                Diagnostic::error(
                    codes::BAD_CAST,
                    format!("there is no conversion from `String` to `{name}`"),
                    span,
                    "this is text",
                )
                .help(format!("`{reader}(text)` reads a number from text")),
            );
            return self.err(span);
        }
        self.cast(value, ty, span)
    }

    /// `print(a, b, sep = " ", end = "\n")`: one text, given to the native that prints.
    fn print_call(&mut self, id: FnId, args: &'a [ast::Arg], span: Span) -> Expr {
        let name = self.program.fns[id.index()].name.clone();
        let native = if &*name == "eprint" { "_io_eprint" } else { "_io_print" };
        let (mut sep, mut end): (FormatPart, FormatPart) =
            (FormatPart::Text(Rc::from(" ")), FormatPart::Text(Rc::from("\n")));
        let mut values = Vec::new();
        let mut stmts = Vec::new();
        for arg in args {
            match &arg.name {
                None => {
                    let value = self.expr(&arg.value, None);
                    self.warn_shown_future(&value);
                    values.push(value);
                }
                Some(n) if &*n.name == "sep" || &*n.name == "end" => {
                    let value = self.check_expr(&arg.value, &Ty::Str);
                    let part = match value.kind {
                        ExprKind::Lit(Lit::Str(text)) => FormatPart::Text(text),
                        _ => {
                            let at = value.span;
                            let local = self.temp(&n.name, Ty::Str, at);
                            stmts.push(let_local(local, value));
                            let value = Expr { kind: ExprKind::Local(local), ty: Ty::Str, span: at };
                            FormatPart::Value { value, spec: None }
                        }
                    };
                    if &*n.name == "sep" { sep = part } else { end = part }
                }
                Some(n) => {
                    self.error(
                        codes::ARGUMENTS,
                        format!("`{name}` has no parameter `{}`", n.name),
                        n.span,
                        "it takes `sep` and `end`",
                    );
                    self.expr(&arg.value, None);
                }
            }
        }
        let mut parts = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            if value.ty == Ty::Never {
                continue;
            }
            if i > 0 {
                parts.push(sep.clone());
            }
            parts.push(FormatPart::Value { value, spec: None });
        }
        parts.push(end);
        let text = Expr { kind: ExprKind::Format(parts), ty: Ty::Str, span };
        let Some(func) = self.prelude_fn(native) else { return self.err(span) };
        let call = self.call_fn(func, Vec::new(), vec![Arg { mode: ParamMode::Value, value: text }], span);
        if stmts.is_empty() {
            return call;
        }
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(call)) }, ty: Ty::Unit, span }
    }

    pub fn prelude_fn(&mut self, name: &str) -> Option<FnId> {
        match self.prelude.get(name) {
            Some(Def::Fns(ids)) => ids.first().copied(),
            _ => None,
        }
    }

    /// A call that is already typed.
    pub fn call_fn(&mut self, func: FnId, type_args: Vec<Ty>, args: Vec<Arg>, span: Span) -> Expr {
        let ty = self.called_ret(func, &type_args);
        Expr { kind: ExprKind::Call { callee: Callee::Fn { func, type_args }, args }, ty, span }
    }

    /// A call of a named function, overloaded or not.
    pub fn call_fns(
        &mut self,
        ids: &[FnId],
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
        name: (&str, Span),
    ) -> Expr {
        let mut args = args;
        let mut written = written.to_vec();
        if self.fns[ids[0].index()].type_argument
            && let Some((first, rest)) = args.split_first()
            && let Some(ty) = self.type_argument(&first.value)
        {
            written.insert(0, ty);
            args = rest;
        }
        let candidates: Vec<(FnId, Vec<Ty>)> =
            ids.iter().map(|id| (*id, self.fresh_args(*id, span, &written))).collect();
        self.call_candidates(candidates, None, args, span, hint, name)
    }

    /// The type that an argument names, for `@type_argument` functions.
    pub fn type_argument(&mut self, e: &'a ast::Expr) -> Option<Ty> {
        let ast::ExprKind::Name(name) = &e.kind else { return None };
        if self.find_binding(name).is_some() {
            return None;
        }
        let env = self.f.env.clone();
        let ident = ast::Ident { name: name.clone(), span: e.span };
        let path = ast::Path { segments: vec![ident], span: e.span };
        match self.resolve_path(&path, &env) {
            Named::Ty(ty) => Some(ty),
            Named::Def(Def::Adt(id)) => Some(self.apply_def(&Def::Adt(id), Vec::new(), name, e.span, true)),
            _ => None,
        }
    }

    /// A call of one of several functions, which go by a name written at a place; the receiver, when there is one, is typed already.
    pub fn call_candidates(
        &mut self,
        candidates: Vec<(FnId, Vec<Ty>)>,
        receiver: Option<Expr>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
        name: (&str, Span),
    ) -> Expr {
        let in_tasks = candidates.iter().any(|(func, _)| self.program.fns[func.index()].in_tasks);
        let outer = std::mem::replace(&mut self.f.args_in_tasks, in_tasks);
        let call = self.call_candidate(candidates, receiver, args, span, hint, name);
        self.f.args_in_tasks = outer;
        call
    }

    fn call_candidate(
        &mut self,
        candidates: Vec<(FnId, Vec<Ty>)>,
        receiver: Option<Expr>,
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
        (name, name_span): (&str, Span),
    ) -> Expr {
        let skip = usize::from(receiver.is_some());
        self.note(name_span, Entity::Fn(candidates[0].0));
        let (mut chosen, mut typed) = (0, None);
        if candidates.len() > 1 {
            match self.choose(&candidates, skip, args) {
                Some((i, exprs)) => (chosen, typed) = (i, exprs),
                None => {
                    // The closest one tells what is wrong with the number or names.
                    if !self.reports_inside(span) {
                        let n = |c: &(FnId, Vec<Ty>)| {
                            let params = &self.program.fns[c.0.index()].params[skip..];
                            // One that has the names, as they are called here or elsewhere, is meant before others.
                            let named = args.iter().filter_map(|arg| arg.name.as_ref());
                            let is_there = |name: &str| {
                                let elsewhere = foreign::parameters(name);
                                params.iter().any(|p| &*p.name == name || elsewhere.contains(&&*p.name))
                            };
                            let unknown = named.filter(|name| !is_there(&name.name)).count();
                            (unknown, params.len().abs_diff(args.len()))
                        };
                        let best = (0..candidates.len()).min_by_key(|i| n(&candidates[*i])).unwrap_or(0);
                        let specs = self.specs(candidates[best].0, &candidates[best].1.clone(), skip);
                        self.matched(name, &specs, args, span);
                    }
                    return self.err(span);
                }
            }
        }
        let (func, type_args) = candidates[chosen].clone();
        self.note(name_span, Entity::Fn(func));
        self.note_named_params(func, args);
        if let Some(native) = &self.program.fns[func.index()].native
            && KEEPERS.contains(&&**native)
        {
            self.refuse_kept_borrows(args, name);
        }
        self.ensure_ret(func, span);
        let mut specs = self.specs(func, &type_args, skip);
        if let Some(receiver) = &receiver
            && self.is_shared(&receiver.ty)
        {
            // What goes into a channel with a stated shape is checked, whatever the method calls its type.
            specs.iter_mut().for_each(|s| s.dims = true);
        }
        let ret = self.called_ret(func, &type_args);
        let Some(slots) = self.matched(name, &specs, args, span) else {
            if let Some(hint) = hint {
                self.infer.unify(&ret, hint);
            }
            // The result's type is known all the same, unless another function may be meant: one that takes more.
            let is_open = self.infer.has_vars(&ret) || args.len() > specs.len();
            return Expr { kind: ExprKind::Error, ty: if is_open { Ty::Error } else { ret }, span };
        };
        if let Some(hint) = hint {
            self.hint_ret(&ret, hint);
        }
        let mut out = match typed {
            Some(typed) => {
                let mut slots_out: Vec<Option<Arg>> = vec![None; specs.len()];
                let mut typed: Vec<Option<Expr>> = typed.into_iter().map(Some).collect();
                for (p, slot) in slots.iter().enumerate() {
                    if let Some(i) = slot
                        && let Some(value) = typed[*i].take()
                    {
                        let before = self.diagnostics.len();
                        slots_out[p] = Some(self.finish_argument(&args[*i], value, &specs[p]));
                        self.why_given(before, &args[*i], &specs[p]);
                    }
                }
                self.warn_swapped(&specs, &slots, args);
                self.fill_defaults(slots_out, &specs, &type_args, span)
            }
            None => self.arguments(&specs, &slots, args, &type_args, span),
        };
        if name == "str"
            && let Some(arg) = out.first()
        {
            self.warn_shown_future(&arg.value.clone());
        }
        let before = self.in_written_order(&slots, &mut out);
        let has_receiver = receiver.is_some();
        if let Some(receiver) = receiver {
            let mode = self.program.fns[func.index()].params[0].mode;
            out.insert(0, Arg { mode, value: receiver });
        }
        self.require_fn_bounds(func, &type_args, span);
        self.check_lent(func, &type_args, &mut out);
        self.check_exclusive(&out, has_receiver);
        let mut ty = self.infer.resolve(&ret);
        if self.program.fns[func.index()].ret == Ty::Never && self.program.fns[func.index()].kind == FnKind::Plain {
            ty = Ty::Never;
        }
        let call = Expr { kind: ExprKind::Call { callee: Callee::Fn { func, type_args }, args: out }, ty, span };
        Self::after(before, call)
    }

    /// Whether a method may store its arguments in the receiver without changing it: that stands for something shared.
    fn is_shared(&self, receiver: &Ty) -> bool {
        matches!(self.infer.shallow(receiver), Ty::Adt(id, _) if id == self.program.lang.channel)
    }

    pub fn reports_inside(&self, span: Span) -> bool {
        self.diagnostics.iter().any(|d| {
            let at = d.primary.span;
            at.source == span.source && at.start >= span.start && at.end <= span.end
        })
    }

    /// Lets the expected type decide type arguments; what does not fit is reported where the value is used.
    pub fn hint_ret(&mut self, ret: &Ty, hint: &Ty) {
        let hint = self.infer.shallow(hint);
        if matches!(hint, Ty::Infer(_) | Ty::Dyn(..) | Ty::Error) || !self.infer.has_vars(ret) {
            return;
        }
        let mark = self.infer.mark();
        if !self.infer.unify(ret, &self.strip_dims(&self.infer.resolve(&hint))) {
            self.infer.rollback(mark);
        }
    }

    fn call_value(&mut self, callee: &'a ast::Expr, args: &'a [ast::Arg], span: Span) -> Expr {
        let text: Rc<str> = self.text(callee.span).into();
        let callee = self.expr(callee, None);
        self.call_closure(callee, args, span, &text)
    }

    /// A call of a function value.
    pub fn call_closure(&mut self, callee: Expr, args: &'a [ast::Arg], span: Span, name: &str) -> Expr {
        let outer = std::mem::replace(&mut self.f.args_in_tasks, false);
        let call = self.call_closure_with(callee, args, span, name);
        self.f.args_in_tasks = outer;
        call
    }

    fn call_closure_with(&mut self, callee: Expr, args: &'a [ast::Arg], span: Span, name: &str) -> Expr {
        let mut ty = self.infer.shallow(&callee.ty);
        if let Ty::Infer(v) = ty
            && self.infer.kind(v) == VarKind::Any
        {
            let params: Rc<[Ty]> = args.iter().map(|a| self.infer.fresh(VarKind::Any, a.span)).collect();
            let ret = self.infer.fresh(VarKind::Any, span);
            let made = Ty::Fn(params, Rc::new(ret));
            self.infer.unify(&ty, &made);
            ty = made;
        }
        match ty {
            Ty::Fn(params, ret) => {
                if args.iter().any(|a| a.name.is_some()) {
                    let at = args.iter().find_map(|a| a.name.as_ref()).map_or(span, |n| n.span);
                    self.error(
                        codes::ARGUMENTS,
                        format!("`{name}` is a function value: its parameters have no names"),
                        at,
                        "give it by position",
                    );
                    self.check_stray(args);
                    return self.err(span);
                }
                if args.len() != params.len() {
                    let n = params.len();
                    let shown = self.show(&callee.ty);
                    self.report(
                        Diagnostic::error(
                            codes::ARGUMENTS,
                            format!(
                                "`{name}` takes {n} argument{}, {} given",
                                if n == 1 { "" } else { "s" },
                                args.len()
                            ),
                            span,
                            "here",
                        )
                        .help(format!("it is a `{shown}`")),
                    );
                    self.check_stray(args);
                    return self.err(span);
                }
                let specs: Vec<Spec> = params
                    .iter()
                    .map(|t| Spec {
                        name: Rc::from(""),
                        ty: t.clone(),
                        mode: ParamMode::Value,
                        default: None,
                        iterable: false,
                        dims: true,
                        declared: None,
                    })
                    .collect();
                let slots = (0..args.len()).map(Some).collect();
                let out = self.arguments(&specs, &slots, args, &[], span);
                let stated = mentions_dims(&ret);
                let ty = if stated { self.strip_dims(&ret) } else { (*ret).clone() };
                let call =
                    Expr { kind: ExprKind::Call { callee: Callee::Value(Box::new(callee)), args: out }, ty, span };
                // A function value may be any function of its element types.
                if stated { self.check_arrival(call, (*ret).clone()) } else { call }
            }
            Ty::Error => {
                self.check_stray(args);
                self.err(span)
            }
            other => {
                let shown = self.show(&other);
                let mut d = Diagnostic::error(
                    codes::NOT_CALLABLE,
                    format!("`{name}` is {} and cannot be called", with_article(&shown)),
                    callee.span,
                    "not a function",
                );
                let is_model = matches!(&other, Ty::Adt(id, _) if *id == self.program.lang.model);
                if matches!(self.prelude.get(name), Some(Def::Fns(_))) {
                    d = d.help(format!("it hides the function `{name}`: give the variable another name"));
                    if let ExprKind::Local(local) = callee.kind {
                        let at = self.body().locals[local.index()].span;
                        d = d.because(at, "hides the function from here on");
                    }
                } else if is_model {
                    d = d.help(format!("write `{name}.predict(…)`"));
                } else if matches!(other, Ty::Adt(id, _) if id == self.program.lang.vec || id == self.program.lang.map)
                {
                    d = d.help(format!("an element is taken with brackets: `{name}[…]`"));
                } else if let Some(mend) = self.inside(&other, callee.span) {
                    d = mend.onto(d);
                }
                self.report(d);
                self.check_stray(args);
                self.err(span)
            }
        }
    }

    /// `x.name(args)`: a module's function, a method, a message, or a field that holds a function.
    fn call_field(
        &mut self,
        base: &'a ast::Expr,
        name: &'a ast::Ident,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        if let Some(module) = self.module_of(base) {
            return match self.lookup_in(module, &name.name, self.f.env.module, name.span) {
                Some(def) => self.call_def(&def, &name.name, name.span, written, args, span, hint),
                None => {
                    self.check_stray(args);
                    self.err(span)
                }
            };
        }
        if let Some(guard) = self.zone_guard(base, name, args, span) {
            return guard;
        }
        if self.type_with_dot(base, name) {
            self.check_stray(args);
            return self.err(span);
        }
        if self.is_actor_self(base, &name.name, name.span) {
            return self.call_name(&name.name, name.span, written, args, span, hint);
        }
        let receiver = self.place(base, None);
        self.method_call(receiver, name, written, args, span, hint)
    }

    /// `Type::name(args)`
    fn call_scoped(
        &mut self,
        path: &'a ast::Path,
        on: Vec<Ty>,
        name: &'a ast::Ident,
        written: &[Ty],
        args: &'a [ast::Arg],
        span: Span,
        hint: Option<&Ty>,
    ) -> Expr {
        let env = self.f.env.clone();
        match self.resolve_path(path, &env) {
            Named::Def(Def::Adt(id)) if self.adts[id.index()].variants.contains_key(&name.name) => {
                let variant = self.adts[id.index()].variants[&name.name];
                self.note(name.span, Entity::Variant { adt: id, variant });
                self.call_variant(id, variant, on, args, span, hint)
            }
            Named::Def(Def::Module(m)) => match self.lookup_in(m, &name.name, env.module, name.span) {
                Some(def) => self.call_def(&def, &name.name, name.span, written, args, span, hint),
                None => self.err(span),
            },
            named => {
                let Some(ty) = self.named_ty(named, on, path, &env) else {
                    if path.segments.last().is_none_or(|last| foreign::way(&last.name).is_none()) {
                        self.check_stray(args);
                    }
                    return self.err(span);
                };
                if ty == Ty::Error {
                    return self.err(span);
                }
                if let Ty::Param(..) = ty
                    && let Some(e) = self.param_associated(&ty, name, args, span)
                {
                    return e;
                }
                let mut candidates = self.associated(&ty, &name.name);
                if candidates.is_empty() {
                    if &*name.name == "new"
                        && let Ty::Adt(id, targs) = &ty
                        && !matches!(self.program.adts[id.index()].kind, AdtKind::Enum(_) | AdtKind::Opaque)
                    {
                        self.note(name.span, Entity::Adt(*id));
                        return self.construct_new(*id, targs.to_vec(), args, span, hint);
                    }
                    self.no_associated(&ty, name);
                    self.check_stray(args);
                    return self.err(span);
                }
                for (id, list) in &mut candidates {
                    let outer = self.fns[id.index()].n_outer;
                    for (i, t) in written.iter().enumerate() {
                        if let Some(slot) = list.get(outer + i).cloned() {
                            self.infer.unify(&slot, t);
                        }
                    }
                }
                let text = format!("{}::{}", self.show(&ty), name.name);
                let _ = short_name(&text);
                self.call_candidates(candidates, None, args, span, hint, (&text, name.span))
            }
        }
    }
}

/// Natives that put what they are given into a collection or a message.
const KEEPERS: &[&str] = &[
    "vec_push",
    "vec_insert",
    "map_insert",
    "set_insert",
    "channel_send",
    "channel_try_send",
    "broadcast_send",
    "actor_spawn",
    "supervisor_spawn",
];

/// `let local = value`, as a statement.
pub fn let_local(local: LocalId, value: Expr) -> Stmt {
    let pattern = Pat { kind: PatKind::Bind { local, sub: None }, ty: value.ty.clone(), span: value.span };
    Stmt::Let { pattern, init: Some(value), else_: None }
}
