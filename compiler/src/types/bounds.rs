//! What a type can do: whether it implements a trait or meets another bound.

use super::infer::VarKind;
use crate::hir::*;
use crate::session::Checker;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    Yes,
    No,
    /// Depends on a variable that is not known yet.
    Open,
}

impl<'a> Checker<'a> {
    pub fn meets(&mut self, ty: &Ty, bound: &Bound) -> Met {
        let ty = self.infer.shallow(ty);
        let yes = |b: bool| if b { Met::Yes } else { Met::No };
        match (&ty, bound) {
            (Ty::Error | Ty::Never, _) => Met::Yes,
            (Ty::Param(..), Bound::Trait(t, want)) if self.trait_args_of(&ty, *t).is_some() => {
                let have = self.trait_args_of(&ty, *t).unwrap_or_default();
                yes(self.args_fit(&have, want))
            }
            (Ty::Param(i, _), _) => {
                let bounds = self.f.generics.get(*i as usize).map(|g| g.bounds.clone()).unwrap_or_default();
                yes(bounds.iter().any(|have| self.bound_implies(have, bound)) || self.is_derived_bound(bound))
            }
            (Ty::Infer(v), Bound::Integer) => match self.infer.kind(*v) {
                VarKind::IntLit => Met::Yes,
                VarKind::Any => Met::Open,
                _ => Met::No,
            },
            (Ty::Infer(v), Bound::Floating) => match self.infer.kind(*v) {
                VarKind::FloatLit => Met::Yes,
                VarKind::Any | VarKind::IntLit => Met::Open,
                _ => Met::No,
            },
            (Ty::Infer(v), Bound::Number) => match self.infer.kind(*v) {
                VarKind::FloatLit | VarKind::IntLit => Met::Yes,
                VarKind::Any => Met::Open,
                _ => Met::No,
            },
            (Ty::Infer(v), Bound::Trait(t, _)) => match self.infer.kind(*v) {
                VarKind::IntLit | VarKind::FloatLit => yes(self.traits[t.index()].derived || self.has_impl(*t, &ty)),
                _ => Met::Open,
            },
            (Ty::Infer(_), Bound::Actor) => Met::Open,
            (Ty::Num(k), Bound::Integer) => yes(!k.is_float()),
            (Ty::Num(k), Bound::Floating) => yes(k.is_float()),
            (Ty::Num(_), Bound::Number) => Met::Yes,
            (Ty::Adt(id, _), Bound::Actor) => yes(matches!(self.program.adts[id.index()].kind, AdtKind::Actor(_))),
            (_, Bound::Integer | Bound::Floating | Bound::Number | Bound::Actor) => Met::No,
            (Ty::Dyn(..), Bound::Trait(t, want)) => match self.trait_args_of(&ty, *t) {
                Some(have) => yes(self.args_fit(&have, want)),
                None => yes(self.is_derived_bound(bound)),
            },
            (_, Bound::Trait(t, want)) => {
                let mark = self.infer.mark();
                let have = self.trait_args_of(&ty, *t);
                let fits = have.is_some_and(|have| self.args_fit(&have, want));
                self.infer.rollback(mark);
                if fits {
                    return Met::Yes;
                }
                if !self.traits[t.index()].derived {
                    return Met::No;
                }
                let comparing = *t != self.program.lang.show;
                match &ty {
                    Ty::Fn(..) => yes(!comparing),
                    Ty::Tensor(_) => yes(*t != self.program.lang.ord),
                    Ty::Tuple(ts) => {
                        let ts = ts.clone();
                        yes(ts.iter().all(|x| self.meets(x, bound) != Met::No))
                    }
                    _ => Met::Yes,
                }
            }
        }
    }

    fn is_derived_bound(&self, bound: &Bound) -> bool {
        // Every value can be shown and compared structurally; only functions cannot be compared, which the concrete type decides.
        matches!(bound, Bound::Trait(t, _) if self.traits[t.index()].derived)
    }

    fn bound_implies(&self, have: &Bound, want: &Bound) -> bool {
        match (have, want) {
            (a, b) if a == b => true,
            (Bound::Integer | Bound::Floating, Bound::Number) => true,
            (Bound::Integer | Bound::Floating | Bound::Number, Bound::Trait(t, _)) => self.traits[t.index()].derived,
            _ => false,
        }
    }

    /// The arguments with which a type has a trait, when it has it: by a parameter's bounds, a dynamic value's trait, or an impl.
    pub fn trait_args_of(&mut self, ty: &Ty, trait_: TraitId) -> Option<Rc<[Ty]>> {
        let ty = self.infer.shallow(ty);
        match &ty {
            Ty::Param(i, _) => {
                let bounds = &self.f.generics.get(*i as usize)?.bounds;
                bounds.iter().find_map(|b| match b {
                    Bound::Trait(have, args) => self.program.args_of_super(*have, args, &ty, trait_),
                    _ => None,
                })
            }
            Ty::Dyn(have, args) => self.program.args_of_super(*have, args, &ty, trait_),
            _ => {
                let (id, args) = self.find_impl(trait_, &ty)?;
                Some(self.program.impls[id.index()].trait_args.iter().map(|t| t.subst(&args)).collect())
            }
        }
    }

    /// Whether a trait's arguments can be those that are wanted; binds nothing.
    fn args_fit(&mut self, have: &[Ty], want: &[Ty]) -> bool {
        let mark = self.infer.mark();
        let fit = want.is_empty() || have.is_empty() || self.infer.unify_all(have, want);
        self.infer.rollback(mark);
        fit
    }

    /// `<T, I: Iterator<T>>`: what `I` is decides `T`.
    pub fn bind_trait_args(&mut self, ty: &Ty, bound: &Bound) {
        if let Bound::Trait(t, want) = bound
            && want.iter().any(|w| self.infer.has_vars(w))
            && let Some(have) = self.trait_args_of(ty, *t)
        {
            self.infer.unify_all(&have, want);
        }
    }

    fn has_impl(&mut self, trait_: TraitId, ty: &Ty) -> bool {
        let mark = self.infer.mark();
        let found = self.find_impl(trait_, ty).is_some();
        self.infer.rollback(mark);
        found
    }

    /// The impl of a trait for a type, with the impl's arguments as variables bound to it.
    pub fn find_impl(&mut self, trait_: TraitId, ty: &Ty) -> Option<(ImplId, Vec<Ty>)> {
        let candidates = self.impls_of.get(&trait_)?.clone();
        for id in candidates {
            let mark = self.infer.mark();
            if let Some(args) = self.impl_fits(id, ty) {
                return Some((id, args));
            }
            self.infer.rollback(mark);
        }
        None
    }

    /// Binds an impl's parameters so that its target is `ty`; bounds included.
    pub fn impl_fits(&mut self, id: ImplId, ty: &Ty) -> Option<Vec<Ty>> {
        let decl = &self.program.impls[id.index()];
        let (n, target, span) = (decl.generics.len(), decl.target.clone(), decl.span);
        let args: Vec<Ty> = (0..n).map(|_| self.infer.fresh(VarKind::Any, span)).collect();
        // What a model can do does not depend on the signature that its type states.
        let is_model = |ty: &Ty| matches!(ty, Ty::Adt(id, _) if *id == self.program.lang.model);
        if !(is_model(&target) && is_model(&self.infer.shallow(ty))) && !self.infer.unify(&target.subst(&args), ty) {
            return None;
        }
        for (i, arg) in args.iter().enumerate() {
            for bound in self.program.impls[id.index()].generics[i].bounds.clone() {
                let bound = bound.subst(&args);
                // Whether `Vec<T>` can be sorted is asked when the method is called, so that the message can say what is missing.
                let hard = matches!(bound, Bound::Integer | Bound::Floating | Bound::Number);
                let met = self.meets(arg, &bound);
                if met == Met::No && (hard || self.program.impls[id.index()].trait_.is_some()) {
                    return None;
                }
                if met == Met::Yes {
                    self.bind_trait_args(arg, &bound);
                }
            }
        }
        Some(args)
    }

    pub fn bound_name(&self, bound: &Bound) -> String {
        match bound {
            Bound::Trait(t, args) => self.show(&Ty::Dyn(*t, args.clone())),
            Bound::Integer => "Integer".into(),
            Bound::Floating => "Floating".into(),
            Bound::Number => "Number".into(),
            Bound::Actor => "Actor".into(),
        }
    }

    /// Reports a type argument that does not meet a bound, now or when it is known.
    pub fn require(&mut self, ty: &Ty, bound: &Bound, span: Span, what: &str) {
        if let (Ty::Infer(v), Bound::Floating) = (self.infer.shallow(ty), bound)
            && self.infer.kind(v) == VarKind::IntLit
        {
            // `sigmoid(2)`: a literal takes the type its context asks for.
            let float = self.infer.fresh(VarKind::FloatLit, span);
            self.infer.unify(ty, &float);
        }
        match self.meets(ty, bound) {
            Met::Yes => self.bind_trait_args(ty, bound),
            Met::Open => self.f.obligations.push((ty.clone(), bound.clone(), span, what.to_string())),
            Met::No => self.bound_missing(ty, bound, span, what),
        }
    }

    pub fn bound_missing(&mut self, ty: &Ty, bound: &Bound, span: Span, what: &str) {
        let (ty_text, trait_name) = (self.show(ty), self.bound_name(bound));
        let mut d = Diagnostic::error(
            codes::BOUND_NOT_MET,
            format!("`{ty_text}` does not implement `{trait_name}`"),
            span,
            format!("{what} needs `{trait_name}`"),
        );
        d = match self.infer.shallow(ty) {
            Ty::Param(_, name) => d.help(format!("write `<{name}: {trait_name}>` where `{name}` is declared")),
            Ty::Adt(..) => d.help(format!("add `impl {trait_name} for {ty_text}:`")),
            _ => d,
        };
        self.report(d);
    }

    /// Asks the bounds that waited for their types.
    pub fn settle_obligations(&mut self) {
        for (ty, bound, span, what) in std::mem::take(&mut self.f.obligations) {
            match self.meets(&ty, &bound) {
                Met::No => self.bound_missing(&ty, &bound, span, &what),
                _ => self.bind_trait_args(&ty, &bound),
            }
        }
    }
}
