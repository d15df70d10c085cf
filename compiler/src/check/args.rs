//! Arguments to parameters: names and positions matched, defaults filled in, overloads chosen.

use super::dims::{mentions_dims, strip_names};
use super::*;
use crate::types::infer::VarKind;

/// A parameter as a call sees it.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: Rc<str>,
    pub ty: Ty,
    pub mode: ParamMode,
    pub default: Option<FnId>,
    pub iterable: bool,
    /// Its declared type states dimensions: what is given to it is checked.
    pub dims: bool,
    /// Where it is declared.
    pub declared: Option<Span>,
}

/// Which argument each parameter got.
pub type Slots = Vec<Option<usize>>;

impl<'a> Checker<'a> {
    pub fn specs(&self, id: FnId, args: &[Ty], skip: usize) -> Vec<Spec> {
        let info = &self.fns[id.index()];
        self.program.fns[id.index()]
            .params
            .iter()
            .enumerate()
            .skip(skip)
            .map(|(i, p)| Spec {
                name: p.name.clone(),
                ty: strip_names(
                    &if args.is_empty() { p.ty.clone() } else { p.ty.subst(args) },
                    self.program.lang.model,
                ),
                mode: p.mode,
                default: p.default,
                iterable: info.iterable.get(i).copied().unwrap_or(false),
                dims: mentions_dims(&p.ty),
                declared: match &info.source {
                    // An actor is its handlers' first parameter, and is not written.
                    FnSource::Decl(f) => {
                        i.checked_sub(usize::from(info.actor.is_some())).and_then(|i| f.params.get(i)).map(|p| p.span)
                    }
                    _ => None,
                },
            })
            .collect()
    }

    /// Names first, then positions into what is left. `Err` says what is wrong.
    pub fn match_args(&self, specs: &[Spec], args: &[ast::Arg]) -> Result<Slots, (String, Span, String)> {
        let mut slots: Slots = vec![None; specs.len()];
        for (i, arg) in args.iter().enumerate() {
            let Some(name) = &arg.name else { continue };
            match specs.iter().position(|s| s.name == name.name) {
                Some(p) if slots[p].is_some() => {
                    return Err((format!("`{}` is given twice", name.name), name.span, "again here".into()));
                }
                Some(p) => slots[p] = Some(i),
                None => {
                    let near = near_param(&name.name, specs.iter().map(|s| &*s.name));
                    let label = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if specs.is_empty() => "it takes no arguments".into(),
                        None => {
                            let names: Vec<String> = specs.iter().map(|s| format!("`{}`", s.name)).collect();
                            format!("it takes {}", names.join(", "))
                        }
                    };
                    return Err((format!("there is no parameter `{}`", name.name), name.span, label));
                }
            }
        }
        let mut next = 0;
        for (i, arg) in args.iter().enumerate() {
            if arg.name.is_some() {
                continue;
            }
            while next < slots.len() && slots[next].is_some() {
                next += 1;
            }
            if next == slots.len() {
                let n = specs.len();
                return Err((
                    format!("{} arguments given, {n} taken", args.len()),
                    arg.span,
                    "one too many".to_string(),
                ));
            }
            slots[next] = Some(i);
        }
        Ok(slots)
    }

    pub fn missing_args(&self, specs: &[Spec], slots: &Slots) -> Option<String> {
        let missing: Vec<String> = specs
            .iter()
            .zip(slots)
            .filter(|(s, slot)| slot.is_none() && s.default.is_none())
            .map(|(s, _)| format!("`{}`", s.name))
            .collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// `gather(f(), g())`: what takes a list of futures is given them one by one.
    fn wants_a_list(&self, what: &str, args: &[ast::Arg]) -> Option<String> {
        if !matches!(what, "gather" | "race") {
            return None;
        }
        self.as_a_list(what, args)
    }

    /// `zeros(2, 3)`: the call with its arguments as a list.
    fn as_a_list(&self, what: &str, args: &[ast::Arg]) -> Option<String> {
        let (first, last) = (args.first()?, args.last()?);
        if args.len() < 2 || args.iter().any(|arg| arg.name.is_some()) {
            return None;
        }
        let all = Span { end: last.span.end, ..first.span };
        Some(format!("it takes a list: `{what}([{}])`", self.text(all)))
    }

    /// Whether a parameter list begins with a list of numbers and needs nothing else.
    fn takes_numbers_as_list(&self, specs: &[Spec]) -> bool {
        let is_list = |ty: &Ty| match self.infer.shallow(ty) {
            Ty::Adt(id, args) => {
                id == self.program.lang.vec && args.first().is_some_and(|t| self.infer.shallow(t) == Ty::INT)
            }
            _ => false,
        };
        specs.first().is_some_and(|spec| is_list(&spec.ty)) && specs[1..].iter().all(|spec| spec.default.is_some())
    }

    /// The parameters, as the help of a call with others.
    fn signature(&self, what: &str, specs: &[Spec]) -> String {
        let params: Vec<String> = specs
            .iter()
            .map(|s| {
                let default = if s.default.is_some() { " = …" } else { "" };
                format!("{}: {}{default}", s.name, self.show(&s.ty))
            })
            .collect();
        match specs.is_empty() {
            true => format!("`{what}()` takes nothing"),
            false => format!("it is `{what}({})`", params.join(", ")),
        }
    }

    /// Matches and reports; `what` is the callee as messages call it.
    pub fn matched(&mut self, what: &str, specs: &[Spec], args: &'a [ast::Arg], span: Span) -> Option<Slots> {
        match self.match_args(specs, args) {
            Ok(slots) => match self.missing_args(specs, &slots) {
                Some(missing) => {
                    self.report(match self.wants_a_list(what, args) {
                        Some(help) => {
                            let title = format!("`{what}` takes the futures as one list");
                            Diagnostic::error(codes::ARGUMENTS, title, span, "given one by one").help(help)
                        }
                        None => {
                            let d = Diagnostic::error(
                                codes::ARGUMENTS,
                                format!("`{what}` needs {missing}"),
                                span,
                                format!("{missing} not given"),
                            );
                            d.help(self.signature(what, specs))
                        }
                    });
                    self.check_stray(args);
                    None
                }
                None => Some(slots),
            },
            Err((message, at, label)) => {
                let mut d = Diagnostic::error(codes::ARGUMENTS, format!("`{what}`: {message}"), at, label);
                let written = args.iter().filter_map(|arg| arg.name.as_ref()).find(|name| name.span == at);
                let is_given = |name: &str| args.iter().any(|arg| arg.name.as_ref().is_some_and(|n| &*n.name == name));
                let free = specs.iter().map(|spec| &*spec.name).filter(|name| !is_given(name));
                if let Some(near) = written.and_then(|name| near_param(&name.name, free)) {
                    let open = |spec: &&Spec| spec.default.is_none() && *spec.name != *near && !is_given(&spec.name);
                    let n_unnamed = args.iter().filter(|arg| arg.name.is_none()).count();
                    let missing: Vec<String> =
                        specs.iter().filter(open).skip(n_unnamed).map(|spec| format!("`{}`", spec.name)).collect();
                    d = match missing.is_empty() {
                        true => d.help(format!("write `{near}`")).fix(format!("write `{near}`"), vec![(at, near)]),
                        false => d.help(format!("write `{near}`, and give {} too", missing.join(", "))),
                    };
                } else if what == "get" && args.len() == 2 {
                    d = d.help("`get_or(key, default)` gives the default where there is none");
                } else if let Some(help) = self.as_a_list(what, args).filter(|_| self.takes_numbers_as_list(specs)) {
                    d = d.help(help);
                } else {
                    d = d.help(self.signature(what, specs));
                }
                if let Some(help) = self.wants_a_list(what, args) {
                    let title = format!("`{what}` takes the futures as one list");
                    d = Diagnostic::error(codes::ARGUMENTS, title, span, "given one by one").help(help);
                }
                self.report(d);
                self.check_stray(args);
                None
            }
        }
    }

    /// Looks at arguments that have no parameter, for the errors inside them.
    pub fn check_stray(&mut self, args: &'a [ast::Arg]) {
        for arg in args {
            if !matches!(arg.value.kind, ast::ExprKind::Closure(_)) {
                self.expr(&arg.value, None);
            }
        }
    }

    /// One argument for one parameter.
    pub fn argument(&mut self, arg: &'a ast::Arg, spec: &Spec) -> Arg {
        let before = self.diagnostics.len();
        let out = self.argument_inner(arg, spec);
        self.why_given(before, arg, spec);
        out
    }

    /// Says at a wrong argument which parameter it is for.
    pub fn why_given(&mut self, before: usize, arg: &'a ast::Arg, spec: &Spec) {
        if let Some(at) = spec.declared
            && self.diagnostics.len() > before
        {
            let name = &spec.name;
            self.why_expected(before, &arg.value, at, format!("`{name}` is declared here"));
        }
    }

    fn argument_inner(&mut self, arg: &'a ast::Arg, spec: &Spec) -> Arg {
        if spec.iterable {
            // Anything that `for` runs over fits, so the parameter's type is only a wish.
            let value = self.expr(&arg.value, Some(&spec.ty));
            return Arg { mode: spec.mode, value: self.to_vec(value, &spec.ty) };
        }
        let value = match spec.mode {
            ParamMode::RefMut => self.place(&arg.value, Some(&spec.ty)),
            ParamMode::Ref => self.guarded(&arg.value, Some(&spec.ty)),
            ParamMode::Value => self.expr(&arg.value, Some(&spec.ty)),
        };
        self.finish_argument(arg, value, spec)
    }

    pub fn finish_argument(&mut self, arg: &'a ast::Arg, value: Expr, spec: &Spec) -> Arg {
        if spec.iterable {
            return Arg { mode: spec.mode, value: self.to_vec(value, &spec.ty) };
        }
        match (spec.mode, arg.mode) {
            (ParamMode::RefMut, ParamMode::RefMut) => {
                self.require_mutable(&value, arg.span, false);
                // A place keeps its type: no conversion is possible. What tensors may become is asked when all is given (`check_lent`).
                if !self.infer.unify(&spec.ty, &value.ty) {
                    self.mismatch(&spec.ty.clone(), &value.ty.clone(), arg.span);
                }
                return Arg { mode: ParamMode::RefMut, value };
            }
            (ParamMode::RefMut, _) => {
                let text = self.text(arg.value.span).to_string();
                self.report(
                    Diagnostic::error(
                        codes::MUT_MISSING,
                        format!("parameter `{}` changes what it is given", spec.name),
                        arg.span,
                        "lend it with `&mut`",
                    )
                    .fix("add `&mut`", vec![(arg.value.span, format!("&mut {text}"))]),
                );
            }
            (_, ParamMode::RefMut) => {
                self.error(
                    codes::MUT_MISSING,
                    format!("parameter `{}` does not change what it is given", spec.name),
                    arg.span,
                    "`&mut` is not needed here",
                );
            }
            _ => {}
        }
        let want = if spec.dims { spec.ty.clone() } else { self.strip_dims(&self.infer.resolve(&spec.ty)) };
        Arg { mode: spec.mode, value: self.coerce(value, &want) }
    }

    /// Arguments in the order of the parameters: closures last, since the others tell their types.
    pub fn arguments(
        &mut self,
        specs: &[Spec],
        slots: &Slots,
        args: &'a [ast::Arg],
        defaults: &[Ty],
        span: Span,
    ) -> Vec<Arg> {
        let mut out: Vec<Option<Arg>> = vec![None; specs.len()];
        if self.in_other_order(specs, slots, args, span) {
            return specs.iter().map(|spec| Arg { mode: spec.mode, value: self.err(span) }).collect();
        }
        for late in [false, true] {
            for (p, slot) in slots.iter().enumerate() {
                if let Some(i) = slot
                    && is_closure(&args[*i].value) == late
                {
                    out[p] = Some(self.argument(&args[*i], &specs[p]));
                }
            }
        }
        self.warn_swapped(specs, slots, args);
        self.fill_defaults(out, specs, defaults, span)
    }

    pub fn fill_defaults(&mut self, out: Vec<Option<Arg>>, specs: &[Spec], type_args: &[Ty], span: Span) -> Vec<Arg> {
        let mut filled = Vec::with_capacity(out.len());
        for (arg, spec) in out.into_iter().zip(specs) {
            filled.push(match (arg, spec.default) {
                (Some(arg), _) => arg,
                (None, Some(func)) => {
                    let callee = Callee::Fn { func, type_args: type_args.to_vec() };
                    let value = Expr { kind: ExprKind::Call { callee, args: Vec::new() }, ty: spec.ty.clone(), span };
                    Arg { mode: spec.mode, value }
                }
                (None, None) => Arg { mode: spec.mode, value: self.err(span) },
            });
        }
        filled
    }

    /// Arguments run in the order in which they are written, also where names give them to parameters of another order: those whose
    /// order can be seen go into variables first. `given` is in the order of the parameters, as `slots` is.
    pub fn in_written_order(&mut self, slots: &Slots, given: &mut [Arg]) -> Vec<Stmt> {
        let written: Vec<usize> = slots.iter().copied().flatten().collect();
        let is_plain = |e: &Expr| matches!(e.kind, ExprKind::Lit(_) | ExprKind::Closure(_) | ExprKind::Const(_));
        let is_place = |e: &Expr| matches!(e.kind, ExprKind::Local(_) | ExprKind::Field { .. });
        let shows = |a: &Arg| a.mode == ParamMode::Value && !is_plain(&a.value) && !is_place(&a.value);
        if written.is_sorted() || given.iter().zip(slots).filter(|(a, s)| s.is_some() && shows(a)).count() < 2 {
            return Vec::new();
        }
        let mut order: Vec<(usize, usize)> = slots.iter().enumerate().filter_map(|(p, i)| i.map(|i| (i, p))).collect();
        order.sort_unstable();
        let mut stmts = Vec::new();
        for (_, p) in order {
            let arg = &mut given[p];
            if arg.mode != ParamMode::Value || is_plain(&arg.value) {
                continue;
            }
            let (ty, span) = (arg.value.ty.clone(), arg.value.span);
            let local = self.temp("argument", ty.clone(), span);
            let read = Expr { kind: ExprKind::Local(local), ty, span };
            stmts.push(super::call::let_local(local, std::mem::replace(&mut arg.value, read)));
        }
        stmts
    }

    /// `e` after `stmts`.
    pub fn after(stmts: Vec<Stmt>, e: Expr) -> Expr {
        if stmts.is_empty() {
            return e;
        }
        let (ty, span) = (e.ty.clone(), e.span);
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(e)) }, ty, span }
    }

    /// Anything that `for` runs over, as a `Vec`.
    pub fn to_vec(&mut self, value: Expr, want: &Ty) -> Expr {
        let found = self.infer.shallow(&value.ty);
        let is_vec = matches!(&found, Ty::Adt(id, _) if *id == self.program.lang.vec);
        if is_vec || matches!(found, Ty::Infer(_) | Ty::Error | Ty::Never) {
            return self.coerce(value, want);
        }
        let span = value.span;
        for method in ["iter", "to_vec"] {
            if method == "iter" && self.find_impl_quiet(self.program.lang.iterator, &found) {
                continue;
            }
            if !self.methods_of(&found, method).is_empty()
                && let Some(list) = self.call_method_named(value.clone(), method, Vec::new(), span)
            {
                // `iter` may give an iterator, whose items are wanted.
                let list = match self.find_impl_quiet(self.program.lang.iterator, &list.ty) {
                    true => self.call_method_named(list.clone(), "to_vec", Vec::new(), span).unwrap_or(list),
                    false => list,
                };
                return self.coerce(list, want);
            }
        }
        self.coerce(value, want)
    }

    pub fn find_impl_quiet(&mut self, trait_: TraitId, ty: &Ty) -> bool {
        let mark = self.infer.mark();
        let found = self.find_impl(trait_, ty).is_some();
        self.infer.rollback(mark);
        found
    }

    /// Whether a value of type `found` fits a parameter; binds variables when it does.
    fn fits(&mut self, found: &Ty, spec: &Spec) -> bool {
        let found = self.infer.shallow(found);
        if matches!(found, Ty::Never) {
            return true;
        }
        if spec.iterable && !matches!(found, Ty::Infer(_)) {
            let is_vec = matches!(&found, Ty::Adt(id, _) if *id == self.program.lang.vec);
            if is_vec {
                return self.infer.unify(&spec.ty, &found);
            }
            return self.iterated(&found).is_some_and(|item| {
                let list = Ty::Adt(self.program.lang.vec, Rc::from([item]));
                self.infer.unify(&spec.ty, &list)
            });
        }
        let want = self.infer.shallow(&spec.ty);
        if let (Ty::Dyn(t, args), false) = (&want, matches!(found, Ty::Infer(_))) {
            return self.meets(&found, &Bound::Trait(*t, args.clone())) == Met::Yes;
        }
        self.infer.unify(&want, &self.strip_dims(&found))
    }

    /// What `for` gives for each step over a value of this type, without calling anything.
    pub fn iterated(&mut self, ty: &Ty) -> Option<Ty> {
        let lang = &self.program.lang;
        match self.infer.shallow(ty) {
            Ty::Adt(id, args) if [lang.vec, lang.set, lang.channel, lang.subscription, lang.map].contains(&id) => {
                args.first().cloned()
            }
            Ty::Adt(id, _) if id == lang.range => Some(Ty::INT),
            Ty::Str => Some(Ty::Str),
            Ty::Bytes => Some(Ty::Num(NumKind::UInt8)),
            Ty::Tensor(_) | Ty::Infer(_) => None,
            ty => {
                if let Some(item) = self.iterator_item(&ty) {
                    return Some(item);
                }
                let (id, args) = self.methods_of(&ty, "iter").into_iter().next()?;
                self.ensure_ret(id, Span::default());
                let ret = self.called_ret(id, &args);
                match self.infer.shallow(&ret) {
                    Ty::Adt(id, args) if id == self.program.lang.vec => args.first().cloned(),
                    ret => self.iterator_item(&ret),
                }
            }
        }
    }

    /// The item of a type that implements `Iterator`.
    pub fn iterator_item(&mut self, ty: &Ty) -> Option<Ty> {
        self.trait_args_of(ty, self.program.lang.iterator)?.first().cloned()
    }

    /// Chooses among overloads by number and names, then by the types of the arguments. The arguments come back typed when that was needed.
    pub fn choose(
        &mut self,
        candidates: &[(FnId, Vec<Ty>)],
        skip: usize,
        args: &'a [ast::Arg],
    ) -> Option<(usize, Option<Vec<Expr>>)> {
        let mut fitting: Vec<usize> = Vec::new();
        for (i, (id, type_args)) in candidates.iter().enumerate() {
            let specs = self.specs(*id, type_args, skip);
            if let Ok(slots) = self.match_args(&specs, args)
                && self.missing_args(&specs, &slots).is_none()
            {
                fitting.push(i);
            }
        }
        if fitting.len() <= 1 {
            return fitting.first().map(|i| (*i, None));
        }
        // Type every argument once; a closure takes its parameters' types from the first candidate that wants a function there.
        let mut typed: Vec<Expr> = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            if !is_closure(&arg.value) {
                let by_value = fitting.iter().all(|c| {
                    let (id, type_args) = candidates[*c].clone();
                    let specs = self.specs(id, &type_args, skip);
                    let slots = self.match_args(&specs, args).unwrap_or_default();
                    slots.iter().zip(&specs).any(|(slot, s)| *slot == Some(i) && s.mode == ParamMode::Value)
                });
                let value = if by_value { self.expr(&arg.value, None) } else { self.guarded(&arg.value, None) };
                typed.push(self.with_fewer_params(value, i, candidates, &fitting, skip, args));
                continue;
            }
            let mut hint = None;
            for c in &fitting {
                let (id, type_args) = candidates[*c].clone();
                let specs = self.specs(id, &type_args, skip);
                let Ok(slots) = self.match_args(&specs, args) else { continue };
                let Some(p) = slots.iter().position(|s| *s == Some(i)) else { continue };
                if let Ty::Fn(params, _) = self.infer.shallow(&specs[p].ty) {
                    // The other arguments tell the candidate's type parameters.
                    for (q, slot) in slots.iter().enumerate() {
                        if let Some(j) = slot
                            && *j < typed.len()
                        {
                            let mark = self.infer.mark();
                            if !self.fits(&typed[*j].ty.clone(), &specs[q]) {
                                self.infer.rollback(mark);
                            }
                        }
                    }
                    let ret = self.infer.fresh(VarKind::Any, arg.span);
                    hint = Some(Ty::Fn(params, Rc::new(ret)));
                    break;
                }
            }
            typed.push(self.expr(&arg.value, hint.as_ref()));
        }
        self.warn_either_form(candidates, &fitting, skip, args, &typed);
        // What is wrong has been told; a guess at the candidate would only cause more errors.
        if typed.iter().any(|e| e.ty == Ty::Error) {
            return None;
        }
        for strict in [true, false] {
            for c in &fitting {
                let (id, type_args) = candidates[*c].clone();
                let specs = self.specs(id, &type_args, skip);
                let Ok(slots) = self.match_args(&specs, args) else { continue };
                let (mark, n_vars) = (self.infer.mark(), self.infer.n_vars());
                let mut ok = true;
                for (p, slot) in slots.iter().enumerate() {
                    if let Some(i) = slot {
                        ok &= self.fits(&typed[*i].ty.clone(), &specs[p]);
                        // A bare `Tensor` may be one of these elements, and of any others.
                        ok &= !(strict && self.guesses_elements(&typed[*i].ty, &specs[p].ty));
                    }
                }
                if ok {
                    let bounds: Vec<Vec<Bound>> =
                        self.program.fns[id.index()].generics.iter().map(|g| g.bounds.clone()).collect();
                    for (arg, bounds) in type_args.iter().zip(bounds) {
                        // `pow(2, 5)`: a whole literal is a float only where nothing else fits. `sum(zeros([2]))`: nor is
                        // what is still open one of integers.
                        let open = matches!(self.infer.shallow(arg), Ty::Infer(v)
                            if matches!(self.infer.kind(v), VarKind::IntLit | VarKind::Any));
                        ok &= bounds.iter().all(|b| match self.meets(arg, &b.subst(&type_args)) {
                            Met::No => false,
                            Met::Open => !(strict && open),
                            Met::Yes => true,
                        });
                    }
                }
                let decided = strict && self.infer.bound_older_than(mark, n_vars.min(self.first_var(&type_args)));
                self.infer.rollback(mark);
                if ok && !decided {
                    return Some((*c, Some(typed)));
                }
            }
        }
        self.none_takes(candidates, &fitting, skip, args, &typed);
        None
    }

    /// W0805: a closure of which nothing says which of several forms it is. The first form is taken.
    fn warn_either_form(
        &mut self,
        candidates: &[(FnId, Vec<Ty>)],
        fitting: &[usize],
        skip: usize,
        args: &'a [ast::Arg],
        typed: &[Expr],
    ) {
        let Some((i, param, body)) = args.iter().enumerate().find_map(|(i, arg)| match &arg.value.kind {
            ast::ExprKind::Closure(closure) => match (&closure.params[..], &closure.body) {
                ([param], ast::ClosureBody::Expr(body)) if param.ty.is_none() => Some((i, param, body)),
                _ => None,
            },
            _ => None,
        }) else {
            return;
        };
        // What each form gives the closure: its type, and in the library's words.
        let mut forms: Vec<(Ty, Rc<str>)> = Vec::new();
        for c in fitting {
            let (id, type_args) = &candidates[*c];
            let Some(words) = self.fns[id.index()].closure_gets.clone() else { return };
            let specs = self.specs(*id, type_args, skip);
            let Ok(slots) = self.match_args(&specs, args) else { continue };
            let mark = self.infer.mark();
            let others =
                slots.iter().zip(&specs).filter_map(|(slot, spec)| slot.filter(|j| *j != i).map(|j| (j, spec)));
            let fits = others.fold(true, |fits, (j, spec)| fits & self.fits(&typed[j].ty.clone(), spec));
            let given =
                slots.iter().position(|slot| *slot == Some(i)).and_then(|p| match self.infer.shallow(&specs[p].ty) {
                    Ty::Fn(params, _) => params.first().map(|ty| self.infer.resolve(ty)),
                    _ => None,
                });
            self.infer.rollback(mark);
            forms.extend(given.filter(|_| fits).map(|ty| (self.strip_dims(&ty), words)));
        }
        if forms.len() < 2 || !forms.iter().all(|(ty, _)| self.could_take(body, &param.name.name, ty)) {
            return;
        }
        let name = param.name.name.clone();
        let shown: Vec<String> = forms.iter().map(|(ty, _)| self.show(&self.closed(ty))).collect();
        let ways: Vec<String> =
            forms.iter().zip(&shown).map(|((_, words), ty)| format!("`|{name}: {ty}| …` for {words}")).collect();
        let d = Diagnostic::warning(
            codes::EITHER_FORM,
            format!(
                "this closure could be given {}",
                forms.iter().map(|(_, words)| &**words).collect::<Vec<_>>().join(" or ")
            ),
            param.span,
            format!("without a type it is given {}", forms[0].1),
        );
        self.report(d.help(format!("state which: {}", ways.join(", "))));
    }

    /// A type whose elements are still open, with what they become.
    fn closed(&self, ty: &Ty) -> Ty {
        let becomes = || Ty::Num(NumKind::Float32);
        match ty {
            Ty::Infer(_) => becomes(),
            Ty::Tensor(TensorTy { elem: Some(elem), dims }) if matches!(self.infer.shallow(elem), Ty::Infer(_)) => {
                Ty::Tensor(TensorTy { elem: Some(Rc::new(becomes())), dims: dims.clone() })
            }
            ty => ty.clone(),
        }
    }

    /// Whether a closure's body may be right for a parameter `name` of this type, as far as its text tells: arithmetic is for numbers and
    /// tensors, a method must be there.
    fn could_take(&mut self, body: &ast::Expr, name: &str, ty: &Ty) -> bool {
        use ast::ExprKind as K;
        match &body.kind {
            K::Literal(_) => true,
            K::Name(other) if **other == *name => true,
            // Beside a number stands a number.
            K::Name(other) => match self.find_binding(other) {
                Some((body, Binding::Local(local))) => {
                    let ty = self.infer.shallow(&self.f.bodies[body].locals[local.index()].ty);
                    self.is_number(&ty)
                }
                _ => false,
            },
            K::Unary { operand, .. } => self.could_take(operand, name, ty),
            K::Binary { op, lhs, rhs, .. } => {
                *op != ast::BinaryOp::MatMul && self.could_take(lhs, name, ty) && self.could_take(rhs, name, ty)
            }
            K::Call { callee, args } => {
                let values = args.iter().all(|arg| arg.name.is_none() && self.could_take(&arg.value, name, ty));
                values
                    && match &callee.kind {
                        K::Field { base, name: method } => {
                            let on = self.closed(ty);
                            !self.methods_of(&on, &method.name).is_empty() && self.could_take(base, name, ty)
                        }
                        K::Name(function) => {
                            matches!(self.prelude.get(function), Some(Def::Fns(ids)) if ids.len() > 1)
                        }
                        _ => false,
                    }
            }
            // A branch is for numbers, and told with the error that it is for tensors.
            K::If { branches, .. } => branches.iter().all(|(condition, _)| match condition {
                ast::Condition::Expr(e) => self.could_take(e, name, ty),
                _ => false,
            }),
            _ => false,
        }
    }

    /// Whether the one is a tensor of any elements where the other is of certain ones.
    fn guesses_elements(&mut self, found: &Ty, wanted: &Ty) -> bool {
        match (self.infer.shallow(found), self.infer.shallow(wanted)) {
            (Ty::Tensor(TensorTy { elem: None, .. }), Ty::Tensor(TensorTy { elem: Some(elem), .. })) => {
                !matches!(self.infer.shallow(&elem), Ty::Infer(_))
            }
            _ => false,
        }
    }

    /// No overload takes these: what is told is about the one that comes nearest.
    fn none_takes(
        &mut self,
        candidates: &[(FnId, Vec<Ty>)],
        fitting: &[usize],
        skip: usize,
        args: &'a [ast::Arg],
        typed: &[Expr],
    ) {
        let Some(first) = typed.first() else { return };
        let shown: Vec<String> = typed.iter().map(|e| self.show(&e.ty)).collect();
        let name = short_of(&self.program.fns[candidates[0].0.index()].name).to_string();
        // One whose name is a word of the language: `where`.
        let name = name.strip_suffix('_').unwrap_or(&name);
        let is_timeout = name == "timeout";
        let swapped = is_timeout && typed.len() == 2 && self.infer.shallow(&typed[1].ty) == Ty::Duration;
        // The first argument that does not fit, in the overload that takes most before it.
        let mut nearest: Option<(usize, Vec<Ty>)> = None;
        for c in fitting {
            let (id, type_args) = candidates[*c].clone();
            let specs = self.specs(id, &type_args, skip);
            let Ok(slots) = self.match_args(&specs, args) else { continue };
            let mark = self.infer.mark();
            let misfit = slots
                .iter()
                .enumerate()
                .find_map(|(p, slot)| slot.filter(|i| !self.fits(&typed[*i].ty.clone(), &specs[p])).map(|i| (i, p)));
            let want = misfit.map(|(_, p)| self.infer.resolve(&specs[p].ty));
            self.infer.rollback(mark);
            let (Some((i, _)), Some(want)) = (misfit, want) else { continue };
            match &mut nearest {
                Some((before, wants)) if i == *before => wants.push(want),
                Some((before, _)) if i < *before => {}
                _ => nearest = Some((i, vec![want])),
            }
        }
        let at = nearest.as_ref().filter(|_| !swapped).map_or(0, |(i, _)| *i);
        let value = typed.get(at).unwrap_or(first);
        let mut d = Diagnostic::error(
            codes::TYPE_MISMATCH,
            format!("`{name}` does not take ({})", shown.join(", ")),
            value.span,
            format!("this is `{}`", shown[at]),
        );
        if swapped {
            let (future, time) = (self.text(typed[0].span), self.text(typed[1].span));
            d = d.help(format!("the time comes first: `timeout({time}, {future})`"));
        } else if let (true, [a, b]) = (matches!(&*name, "max" | "min"), typed)
            && matches!((self.infer.shallow(&a.ty), self.infer.shallow(&b.ty)), (Ty::Tensor(_), Ty::Tensor(_)))
        {
            let (a, b) = (self.text(a.span), self.text(b.span));
            d = d.help(format!("of two tensors, element by element: `{name}imum({a}, {b})`"));
        } else if let Some((_, wants)) = nearest {
            let mend = wants.iter().find_map(|want| self.mend(want, &value.ty, value.span));
            d = match (mend, &wants[..]) {
                (Some(mend), _) => mend.onto(d),
                (None, [want]) if fitting.len() == 1 => {
                    d.help(format!("here it takes {}", crate::types::show::with_article(&self.show(want))))
                }
                (None, _) => d,
            };
        }
        self.report(d);
    }

    /// A function whose last parameters have defaults, where the overloads want a function of fewer.
    fn with_fewer_params(
        &mut self,
        value: Expr,
        i: usize,
        candidates: &[(FnId, Vec<Ty>)],
        fitting: &[usize],
        skip: usize,
        args: &'a [ast::Arg],
    ) -> Expr {
        let ExprKind::FnRef { func, .. } = &value.kind else { return value };
        let func = *func;
        let params = &self.program.fns[func.index()].params;
        if params.last().is_none_or(|p| p.default.is_none()) {
            return value;
        }
        let (n_params, span) = (params.len(), value.span);
        for c in fitting {
            let (id, type_args) = candidates[*c].clone();
            let specs = self.specs(id, &type_args, skip);
            let Ok(slots) = self.match_args(&specs, args) else { continue };
            let Some(p) = slots.iter().position(|s| *s == Some(i)) else { continue };
            let Ty::Fn(wanted, _) = self.infer.shallow(&specs[p].ty) else { continue };
            let n = wanted.len();
            if n >= n_params || self.program.fns[func.index()].params[n..].iter().any(|p| p.default.is_none()) {
                continue;
            }
            let open: Rc<[Ty]> = (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect();
            let hint = Ty::Fn(open, Rc::new(self.infer.fresh(VarKind::Any, span)));
            return self.fn_with_defaults(func, n, span, &hint, &[]);
        }
        value
    }

    /// The oldest of a candidate's own variables: what is older belongs to the program.
    fn first_var(&self, type_args: &[Ty]) -> usize {
        type_args
            .iter()
            .filter_map(|t| match t {
                Ty::Infer(v) => Some(*v as usize),
                _ => None,
            })
            .min()
            .unwrap_or(usize::MAX)
    }

    /// W0801: an argument that names another parameter of the same type than the one it is given to.
    pub fn warn_swapped(&mut self, specs: &[Spec], slots: &Slots, args: &'a [ast::Arg]) {
        let names: Vec<Option<Vec<String>>> = slots
            .iter()
            .map(|slot| slot.filter(|i| args[*i].name.is_none()).map(|i| words_of(&args[i].value)))
            .collect();
        for (p, words) in names.iter().enumerate() {
            let Some(words) = words else { continue };
            if words.iter().any(|w| same_word(w, &specs[p].name)) {
                continue;
            }
            for (q, other) in specs.iter().enumerate() {
                if q == p || !words.iter().any(|w| same_word(w, &other.name)) {
                    continue;
                }
                let same = {
                    let (a, b) = (self.infer.resolve(&specs[p].ty), self.infer.resolve(&other.ty));
                    self.strip_dims(&a) == self.strip_dims(&b)
                };
                // When the other parameter has its own name's argument, only one of them is odd.
                let taken = names[q].as_ref().is_some_and(|w| w.iter().any(|w| same_word(w, &other.name)));
                if same && !taken {
                    let Some(i) = slots[p] else { continue };
                    let span = args[i].span;
                    let text = self.text(span).to_string();
                    let (want, meant) = (specs[p].name.clone(), other.name.clone());
                    // One warning for a pair that changed places.
                    let first = (0..p)
                        .any(|r| r == q && names[r].as_ref().is_some_and(|w| w.iter().any(|w| same_word(w, &want))));
                    if !first {
                        self.report(
                            Diagnostic::warning(
                                codes::SWAPPED_ARGUMENTS,
                                format!("`{text}` is given to `{want}`, but looks meant for `{meant}`"),
                                span,
                                format!("given to `{want}`"),
                            )
                            .help(format!("name the argument if it is meant so: `{want} = {text}`")),
                        );
                    }
                    break;
                }
            }
        }
    }
}

fn short_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub fn is_closure(e: &ast::Expr) -> bool {
    match &e.kind {
        ast::ExprKind::Closure(_) => true,
        ast::ExprKind::List(items) => !items.is_empty() && items.iter().all(is_closure),
        _ => false,
    }
}

/// The words an argument brings: its name, the last part of a path, or a text inside it without its folder and ending.
fn words_of(e: &ast::Expr) -> Vec<String> {
    let mut out = Vec::new();
    collect_words(e, &mut out);
    out
}

fn collect_words(e: &ast::Expr, out: &mut Vec<String>) {
    match &e.kind {
        ast::ExprKind::Name(name) => out.push(name.to_string()),
        ast::ExprKind::Field { name, .. } => out.push(name.name.to_string()),
        ast::ExprKind::Literal(ast::Literal::Str(text)) => {
            let file = text.rsplit(['/', '\\']).next().unwrap_or(text);
            let word = file.split('.').next().unwrap_or(file);
            // `max("b", "a")`: a letter is a value, not a name.
            if word.chars().count() > 1 {
                out.push(word.to_string());
            }
        }
        ast::ExprKind::Call { args, .. } => {
            for arg in args {
                if let ast::ExprKind::Literal(ast::Literal::Str(_)) = &arg.value.kind {
                    collect_words(&arg.value, out);
                }
            }
        }
        _ => {}
    }
}

fn same_word(word: &str, param: &str) -> bool {
    !word.is_empty() && word.eq_ignore_ascii_case(param)
}

/// The parameter that is meant by a name: as it is called elsewhere, or written almost so.
fn near_param<'s>(name: &str, params: impl Iterator<Item = &'s str> + Clone) -> Option<String> {
    let elsewhere = crate::foreign::parameters(name).iter().find(|ours| params.clone().any(|param| param == **ours));
    elsewhere.map(|ours| ours.to_string()).or_else(|| nearest(name, params))
}
