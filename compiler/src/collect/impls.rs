//! Methods: of types, of traits, and of a trait for a type.

use crate::hir::*;
use crate::session::*;
use crate::types::infer::VarKind;
use stark_syntax::ast;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::HashMap;
use std::rc::Rc;

impl<'a> Checker<'a> {
    /// The methods written inside a struct or enum.
    pub fn own_methods(&mut self, adt: AdtId, methods: &'a [ast::Method], item: usize) {
        let env = self.adts[adt.index()].env.clone();
        let generics = self.program.adts[adt.index()].generics.clone();
        let target = env.self_ty.clone().unwrap_or(Ty::Error);
        let span = self.program.adts[adt.index()].span;
        self.inherent_impl(generics, target, methods, &env, item, span);
    }

    fn inherent_impl(
        &mut self,
        generics: Vec<Generic>,
        target: Ty,
        methods: &'a [ast::Method],
        env: &TypeEnv,
        item: usize,
        span: Span,
    ) {
        let id = ImplId(self.program.impls.len() as u32);
        let prefix = self.target_name(&target);
        self.program.impls.push(Impl {
            generics: generics.clone(),
            trait_: None,
            trait_args: Vec::new(),
            target,
            methods: Vec::new(),
            span,
        });
        for m in methods {
            let name: Rc<str> = format!("{prefix}.{}", m.decl.name.name).into();
            let func = self.new_fn(&name, env.module, m.decl.name.span, FnSource::Decl(&m.decl), item);
            self.sign(func, &m.decl, &m.attributes, &generics, env, None);
            let short = super::attr_text(&m.attributes, "called").unwrap_or_else(|| m.decl.name.name.clone());
            self.program.impls[id.index()].methods.push(Some(func));
            let overload = self.fns[func.index()].overload;
            let list = self.inherent.entry(short.clone()).or_default();
            let twice = list.iter().find(|(i, f)| *i == id && !(overload && self.fns[f.index()].overload));
            if let Some((_, first)) = twice {
                let first = self.program.fns[first.index()].span;
                self.report(
                    Diagnostic::error(
                        codes::DUPLICATE_DEFINITION,
                        format!("method `{short}` is declared twice"),
                        m.decl.name.span,
                        "again here",
                    )
                    .because(first, "first declared here"),
                );
                continue;
            }
            self.inherent.entry(short).or_default().push((id, func));
        }
    }

    fn target_name(&self, target: &Ty) -> String {
        match target {
            Ty::Adt(id, _) => self.program.adts[id.index()].name.to_string(),
            Ty::Tensor(_) => "Tensor".into(),
            other => self.show(other),
        }
    }

    pub fn trait_signatures(&mut self, id: TraitId, t: &'a ast::Trait, env: &TypeEnv, item: usize) {
        let self_param = Ty::Param(0, Rc::from("Self"));
        let mut env = env.clone();
        env.self_ty = Some(self_param);
        let mut generics = vec![Generic { name: Rc::from("Self"), bounds: Vec::new() }];
        generics.extend(self.lower_generics(&t.generics, &mut env, 1));
        let own = (1u32..).zip(&t.generics.params).map(|(i, p)| Ty::Param(i, p.name.name.clone())).collect();
        generics[0].bounds.push(Bound::Trait(id, own));
        for m in &t.methods {
            let name: Rc<str> = format!("{}.{}", t.name.name, m.decl.name.name).into();
            let func = self.new_fn(&name, env.module, m.decl.name.span, FnSource::Decl(&m.decl), item);
            let position = self.program.traits[id.index()].methods.len() as u32;
            self.fns[func.index()].of_trait = Some((id, position));
            self.sign(func, &m.decl, &m.attributes, &generics, &env, None);
            self.program.traits[id.index()].methods.push(func);
            self.trait_methods.entry(m.decl.name.name.clone()).or_default().push((id, position));
        }
    }

    pub fn impl_signatures(&mut self, imp: &'a ast::Impl, env: &TypeEnv, item: usize, span: Span) {
        let mut env = env.clone();
        let mut generics = self.lower_generics(&imp.generics, &mut env, 0);
        let target = self.lower(&imp.target, &env);
        // The struct's own bounds hold wherever it can be written.
        if let Ty::Adt(adt, args) = &target {
            let theirs = self.program.adts[adt.index()].generics.clone();
            for (arg, theirs) in args.iter().zip(theirs) {
                if let Ty::Param(i, _) = arg {
                    for bound in theirs.bounds.iter().map(|b| b.subst(args)) {
                        let mine = &mut generics[*i as usize].bounds;
                        if !mine.contains(&bound) {
                            mine.push(bound);
                        }
                    }
                }
            }
        }
        env.self_ty = Some(target.clone());
        let Some(trait_ty) = &imp.trait_ else {
            self.inherent_impl(generics, target, &imp.methods, &env, item, span);
            return;
        };
        let Some(Bound::Trait(trait_, _)) = self.lower_trait(trait_ty, &env, true) else { return };
        let written_args: Vec<Ty> = match &trait_ty.kind {
            ast::TypeKind::Path { args, .. } => args.iter().map(|t| self.lower(t, &env)).collect(),
            _ => Vec::new(),
        };
        let id = ImplId(self.program.impls.len() as u32);
        let prefix = self.target_name(&target);
        let trait_fns = self.program.traits[trait_.index()].methods.clone();
        let trait_name = self.program.traits[trait_.index()].name.clone();
        self.program.impls.push(Impl {
            generics: generics.clone(),
            trait_: Some(trait_),
            trait_args: Vec::new(),
            target: target.clone(),
            methods: vec![None; trait_fns.len()],
            span: imp.target.span,
        });
        self.check_overlap(id, trait_, &target, imp.target.span);
        let mut misspelt: Vec<String> = Vec::new();
        self.impls_of.entry(trait_).or_default().push(id);
        let mut positions: HashMap<Rc<str>, usize> = HashMap::new();
        for (p, f) in trait_fns.iter().enumerate() {
            let full = &self.program.fns[f.index()].name;
            positions.entry(full.rsplit('.').next().unwrap_or(full).into()).or_insert(p);
        }
        for m in &imp.methods {
            let name: Rc<str> = format!("{prefix}.{}", m.decl.name.name).into();
            let func = self.new_fn(&name, env.module, m.decl.name.span, FnSource::Decl(&m.decl), item);
            self.sign(func, &m.decl, &m.attributes, &generics, &env, None);
            match positions.get(&m.decl.name.name) {
                Some(&p) => {
                    self.program.impls[id.index()].methods[p] = Some(func);
                    self.compare_signature(trait_fns[p], func, &trait_name);
                }
                None => {
                    let d = Diagnostic::error(
                        codes::MISSING_METHOD,
                        format!("trait `{trait_name}` has no method `{}`", m.decl.name.name),
                        m.decl.name.span,
                        "not one of the trait's",
                    );
                    // A slip in the name of one that is missing is told once.
                    let given = |n: &str| imp.methods.iter().any(|m| &*m.decl.name.name == n);
                    let names: Vec<String> = trait_fns
                        .iter()
                        .map(|f| crate::check::short_name(&self.program.fns[f.index()].name).to_string())
                        .filter(|n| !given(n))
                        .collect();
                    match nearest(&m.decl.name.name, names.iter().map(|n| &**n)) {
                        Some(near) => {
                            let fix = (m.decl.name.span, near.clone());
                            self.report(
                                d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![fix]),
                            );
                            misspelt.push(near);
                        }
                        None => self.report(d.help(format!("move it to `impl {prefix}:`"))),
                    }
                    self.inherent.entry(m.decl.name.name.clone()).or_default().push((id, func));
                }
            }
        }
        self.require_methods(id, &trait_fns, &trait_name, imp.target.span, &misspelt);
        self.program.impls[id.index()].trait_args = self.trait_args(id, trait_, written_args, &trait_fns, &target);
    }

    fn check_overlap(&mut self, id: ImplId, trait_: TraitId, target: &Ty, span: Span) {
        for other in self.impls_of.get(&trait_).cloned().unwrap_or_default() {
            let theirs = &self.program.impls[other.index()];
            // Most differ at a glance; a trait may have thousands of implementors.
            if let (Ty::Adt(theirs, _), Ty::Adt(mine, _)) = (&theirs.target, target)
                && theirs != mine
            {
                continue;
            }
            let (n, other_target, first) = (theirs.generics.len(), theirs.target.clone(), theirs.span);
            let mark = self.infer.mark();
            let args: Vec<Ty> = (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect();
            let n_mine = self.program.impls[id.index()].generics.len();
            let mine: Vec<Ty> = (0..n_mine).map(|_| self.infer.fresh(VarKind::Any, span)).collect();
            let same = *target != Ty::Error && self.infer.unify(&other_target.subst(&args), &target.subst(&mine));
            self.infer.rollback(mark);
            if same {
                let (name, ty) = (self.program.traits[trait_.index()].name.clone(), self.show(target));
                self.report(
                    Diagnostic::error(
                        codes::DUPLICATE_IMPL,
                        format!("`{name}` is implemented twice for `{ty}`"),
                        span,
                        "again here",
                    )
                    .because(first, "first implemented here"),
                );
                return;
            }
        }
    }

    fn compare_signature(&mut self, wanted: FnId, found: FnId, trait_name: &str) {
        let (w, f) = (&self.program.fns[wanted.index()], &self.program.fns[found.index()]);
        let short = f.name.rsplit('.').next().unwrap_or("").to_string();
        let (want_self, found_self) = (self.fns[wanted.index()].has_self, self.fns[found.index()].has_self);
        let problem = if want_self != found_self {
            Some(if want_self { "takes `&self` there" } else { "has no `self` there" }.to_string())
        } else if w.params.len() != f.params.len() {
            let n = w.params.len() - usize::from(want_self);
            Some(format!("takes {n} argument{} there", if n == 1 { "" } else { "s" }))
        } else {
            w.params
                .iter()
                .zip(&f.params)
                .find(|(a, b)| (a.mode == ParamMode::RefMut) != (b.mode == ParamMode::RefMut))
                .map(|_| "lends its parameters differently there".to_string())
        };
        if let Some(problem) = problem {
            let (span, there) = (f.span, w.span);
            self.report(
                Diagnostic::error(
                    codes::MISSING_METHOD,
                    format!("`{short}` does not fit trait `{trait_name}`"),
                    span,
                    problem,
                )
                .because(there, "declared here"),
            );
        }
    }

    /// Once every body is known: the methods of each impl have the types that the trait states. Operators may take and give others.
    pub fn compare_impl_types(&mut self) {
        let operators = ["Add", "Sub", "Mul", "Div", "Rem", "Pow", "MatMul", "Neg"];
        for i in 0..self.program.impls.len() {
            let imp = self.program.impls[i].clone();
            let Some(trait_) = imp.trait_ else { continue };
            let (trait_module, trait_name) =
                (self.program.traits[trait_.index()].module, self.program.traits[trait_.index()].name.clone());
            if self.parsed[trait_module.index()].is_std && operators.contains(&&*trait_name) {
                continue;
            }
            let wanted = self.program.traits[trait_.index()].methods.clone();
            for (w, f) in wanted.iter().zip(&imp.methods) {
                let Some(f) = *f else { continue };
                let (w, f) = (self.program.fns[w.index()].clone(), self.program.fns[f.index()].clone());
                if self.parsed[f.module.index()].is_std || w.params.len() != f.params.len() {
                    continue;
                }
                let mut args = vec![imp.target.clone()];
                args.extend(imp.trait_args.iter().cloned());
                let own = f.generics.iter().enumerate().skip(imp.generics.len());
                args.extend(own.map(|(i, g)| Ty::Param(i as u32, g.name.clone())));
                let wanted_text = |c: &Checker, ty: &Ty| c.show(&ty.subst(&args));
                let mut problem = None;
                if args.len() != w.generics.len() {
                    let n = w.generics.len() - 1 - imp.trait_args.len();
                    problem = Some(format!("has {n} type parameter{} there", if n == 1 { "" } else { "s" }));
                } else if w.kind != f.kind {
                    problem = Some(
                        if w.kind == FnKind::Async { "is `async` there" } else { "is not `async` there" }.to_string(),
                    );
                }
                for (a, b) in w.params.iter().zip(&f.params) {
                    if problem.is_none() && !self.infer.unify(&a.ty.subst(&args), &b.ty) {
                        let (want, found) = (wanted_text(self, &a.ty), self.show(&b.ty));
                        problem = Some(format!("takes `{found}` for `{}`, and `{want}` there", b.name));
                    }
                }
                let mut shapes = StatedShapes::default();
                for (a, b) in w.params.iter().zip(&f.params) {
                    if problem.is_none() && !shapes.takes(&a.ty, &b.ty) {
                        let (want, found) = (wanted_text(self, &a.ty), self.show(&b.ty));
                        problem = Some(format!("takes `{found}` for `{}`, and `{want}` there", b.name));
                    }
                }
                if problem.is_none() && !shapes.gives(&w.ret, &f.ret) {
                    let (want, found) = (wanted_text(self, &w.ret), self.show(&f.ret));
                    problem = Some(format!("returns `{found}`, and `{want}` there"));
                }
                if problem.is_none() && !self.infer.unify(&w.ret.subst(&args), &f.ret) {
                    let (want, found) = (wanted_text(self, &w.ret), self.show(&f.ret));
                    problem = Some(format!("returns `{found}`, and `{want}` there"));
                }
                if let Some(problem) = problem {
                    let short = f.name.rsplit('.').next().unwrap_or("").to_string();
                    self.report(
                        Diagnostic::error(
                            codes::MISSING_METHOD,
                            format!("`{short}` does not fit trait `{trait_name}`"),
                            f.span,
                            problem,
                        )
                        .because(w.span, "declared here"),
                    );
                }
            }
        }
    }

    fn require_methods(&mut self, id: ImplId, trait_fns: &[FnId], trait_name: &str, span: Span, told: &[String]) {
        let mut missing = Vec::new();
        for (i, f) in trait_fns.iter().enumerate() {
            let has_default = match self.fns[f.index()].source {
                FnSource::Decl(decl) => decl.body.is_some(),
                _ => false,
            } || self.program.fns[f.index()].native.is_some();
            // A derived trait's native default is no reason to leave the method out.
            let needed = !has_default || self.derived_required(*f);
            if needed && self.program.impls[id.index()].methods[i].is_none() {
                let name = self.program.fns[f.index()].name.clone();
                missing.push(name.rsplit('.').next().unwrap_or("").to_string());
            }
        }
        missing.retain(|name| !told.contains(name));
        if !missing.is_empty() {
            let list = missing.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ");
            let target = self.show(&self.program.impls[id.index()].target.clone());
            let mut d = Diagnostic::error(
                codes::MISSING_METHOD,
                format!("`{target}` does not implement {list} of trait `{trait_name}`"),
                span,
                format!("{list} missing"),
            );
            let first = trait_fns
                .iter()
                .find(|f| missing.iter().any(|m| m == crate::check::short_name(&self.program.fns[f.index()].name)));
            if let Some(first) = first {
                let at = self.program.fns[first.index()].span;
                d = d.because(at, "declared here").help("give it a body here, with the types it has there");
            }
            self.report(d);
        }
    }

    fn derived_required(&self, f: FnId) -> bool {
        self.fns[f.index()].of_trait.is_some_and(|(t, _)| self.traits[t.index()].derived)
    }

    /// The arguments of a generic trait: written, or read off the methods. `impl Index<Int>` leaves the last to them.
    fn trait_args(
        &mut self,
        id: ImplId,
        trait_: TraitId,
        written: Vec<Ty>,
        trait_fns: &[FnId],
        target: &Ty,
    ) -> Vec<Ty> {
        let n = self.traits[trait_.index()].n_args;
        if written.len() == n {
            return written;
        }
        let span = self.program.impls[id.index()].span;
        // An operator's trait may name the other operand's type, `impl Mul<Float> for V`, which its method says as well.
        let written = if written.len() > n { Vec::new() } else { written };
        let open = (written.len()..n).map(|_| self.infer.fresh(VarKind::Any, span));
        let vars: Vec<Ty> = written.into_iter().chain(open).collect();
        let mut subst = vec![target.clone()];
        subst.extend(vars.iter().cloned());
        for (i, f) in trait_fns.iter().enumerate() {
            if let Some(mine) = self.program.impls[id.index()].methods[i] {
                let (w, m) = (self.program.fns[f.index()].clone(), self.program.fns[mine.index()].clone());
                for (a, b) in w.params.iter().zip(&m.params).skip(1) {
                    self.infer.unify(&a.ty.subst(&subst), &b.ty);
                }
                self.infer.unify(&w.ret.subst(&subst), &m.ret);
            }
        }
        vars.iter().map(|v| self.infer.resolve(v)).collect()
    }
}

/// What the names of dimensions in a method of an impl are in its trait, which has names of its own. What either leaves open asks
/// nothing; sums and products are left to the run time.
#[derive(Default)]
struct StatedShapes(HashMap<Rc<str>, Dim>);

impl StatedShapes {
    /// Whether a parameter of the impl takes what the trait's is given.
    fn takes(&mut self, wanted: &Ty, found: &Ty) -> bool {
        each_dim(wanted, found, &mut |wanted, found| match found {
            Dim::Name(name) => {
                let first = self.0.entry(name.clone()).or_insert_with(|| wanted.clone());
                agree(first, wanted)
            }
            found => agree(wanted, found),
        })
    }

    /// Whether the impl's result is one that the trait gives.
    fn gives(&self, wanted: &Ty, found: &Ty) -> bool {
        each_dim(wanted, found, &mut |wanted, found| match found {
            Dim::Name(name) => self.0.get(name).is_none_or(|found| agree(wanted, found)),
            found => agree(wanted, found),
        })
    }
}

fn agree(a: &Dim, b: &Dim) -> bool {
    match (a, b) {
        (Dim::Number(a), Dim::Number(b)) => a == b,
        (Dim::Name(a), Dim::Name(b)) => a == b,
        (Dim::Number(_), Dim::Name(_)) | (Dim::Name(_), Dim::Number(_)) => false,
        _ => true,
    }
}

/// Whether ranks agree and `fit` holds for each pair of dimensions, wherever both types state a shape.
fn each_dim(wanted: &Ty, found: &Ty, fit: &mut dyn FnMut(&Dim, &Dim) -> bool) -> bool {
    match (wanted, found) {
        (Ty::Tensor(w), Ty::Tensor(f)) => match (&w.dims, &f.dims) {
            (Some(w), Some(f)) => w.len() == f.len() && w.iter().zip(f.iter()).all(|(w, f)| fit(w, f)),
            _ => true,
        },
        (Ty::Tuple(w), Ty::Tuple(f)) => w.iter().zip(f.iter()).all(|(w, f)| each_dim(w, f, fit)),
        (Ty::Adt(w_id, w), Ty::Adt(f_id, f)) if w_id == f_id => {
            w.iter().zip(f.iter()).all(|(w, f)| each_dim(w, f, fit))
        }
        _ => true,
    }
}
