//! Inference variables: types that a body's later lines decide.
//!
//! `unify` makes two types equal or says that it cannot. Every binding is written to a trail, so an overload that does not fit is
//! undone by `rollback`. Tensor dimensions never stop unification: shapes are compared elsewhere.

use crate::check::strip_names;
use crate::hir::{NumKind, TensorTy, Ty};
use stark_syntax::source::Span;
use std::rc::Rc;

/// What a variable stands for besides "any type".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarKind {
    Any,
    /// A whole number literal: any number type, `Int` by default.
    IntLit,
    /// A literal with a point: any float type, `Float` by default.
    FloatLit,
    /// `{}`: a `Map` or a `Set`.
    Braces,
}

struct Var {
    kind: VarKind,
    value: Option<Ty>,
    span: Span,
}

/// What arithmetic a type parameter of the function being checked allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ParamNumber {
    #[default]
    No,
    Integer,
    Floating,
    Number,
}

#[derive(Default)]
pub struct Infer {
    vars: Vec<Var>,
    trail: Vec<(u32, VarKind)>,
    /// By parameter index, for the function being checked.
    pub params: Vec<ParamNumber>,
    pub map_adt: u32,
    pub set_adt: u32,
    /// `Model` and `ModelActorRef`: their arguments are a signature of its own, whose names of sizes mean nothing elsewhere.
    pub signatures: Vec<u32>,
}

impl Infer {
    pub fn fresh(&mut self, kind: VarKind, span: Span) -> Ty {
        self.vars.push(Var { kind, value: None, span });
        Ty::Infer(self.vars.len() as u32 - 1)
    }

    pub fn span(&self, var: u32) -> Span {
        self.vars[var as usize].span
    }

    pub fn kind(&self, var: u32) -> VarKind {
        self.vars[var as usize].kind
    }

    pub fn n_vars(&self) -> usize {
        self.vars.len()
    }

    /// Where the trail stands, for `rollback`.
    pub fn mark(&self) -> usize {
        self.trail.len()
    }

    pub fn rollback(&mut self, mark: usize) {
        while self.trail.len() > mark {
            if let Some((var, kind)) = self.trail.pop() {
                self.vars[var as usize].value = None;
                self.vars[var as usize].kind = kind;
            }
        }
    }

    /// Whether a variable older than `n_vars` was given a type since `mark`.
    pub fn bound_older_than(&self, mark: usize, n_vars: usize) -> bool {
        self.trail[mark..].iter().any(|(var, _)| {
            (*var as usize) < n_vars
                && self.vars[*var as usize].value.as_ref().is_some_and(|v| !matches!(self.shallow(v), Ty::Infer(_)))
                && self.vars[*var as usize].kind == VarKind::Any
        })
    }

    /// The type with its outermost variable looked up.
    pub fn shallow(&self, ty: &Ty) -> Ty {
        let mut ty = ty;
        while let Ty::Infer(var) = ty {
            match &self.vars[*var as usize].value {
                Some(value) => ty = value,
                None => break,
            }
        }
        ty.clone()
    }

    /// The type with every variable looked up.
    pub fn resolve(&self, ty: &Ty) -> Ty {
        let list = |ts: &Rc<[Ty]>| -> Rc<[Ty]> { ts.iter().map(|t| self.resolve(t)).collect() };
        match ty {
            Ty::Infer(_) => match self.shallow(ty) {
                Ty::Infer(var) => Ty::Infer(var),
                known => self.resolve(&known),
            },
            Ty::Tuple(ts) => Ty::Tuple(list(ts)),
            Ty::Fn(ps, r) => Ty::Fn(list(ps), Rc::new(self.resolve(r))),
            Ty::Adt(id, ts) => Ty::Adt(*id, list(ts)),
            Ty::Dyn(id, ts) => Ty::Dyn(*id, list(ts)),
            Ty::Tensor(t) => {
                Ty::Tensor(TensorTy { elem: t.elem.as_ref().map(|e| Rc::new(self.resolve(e))), dims: t.dims.clone() })
            }
            other => other.clone(),
        }
    }

    pub fn has_vars(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Infer(_) => match self.shallow(ty) {
                Ty::Infer(_) => true,
                known => self.has_vars(&known),
            },
            Ty::Tuple(ts) | Ty::Adt(_, ts) | Ty::Dyn(_, ts) => ts.iter().any(|t| self.has_vars(t)),
            Ty::Fn(ps, r) => ps.iter().any(|t| self.has_vars(t)) || self.has_vars(r),
            Ty::Tensor(t) => t.elem.as_ref().is_some_and(|e| self.has_vars(e)),
            _ => false,
        }
    }

    fn occurs(&self, var: u32, ty: &Ty) -> bool {
        match ty {
            Ty::Infer(_) => match self.shallow(ty) {
                Ty::Infer(other) => other == var,
                known => self.occurs(var, &known),
            },
            Ty::Tuple(ts) | Ty::Adt(_, ts) | Ty::Dyn(_, ts) => ts.iter().any(|t| self.occurs(var, t)),
            Ty::Fn(ps, r) => ps.iter().any(|t| self.occurs(var, t)) || self.occurs(var, r),
            Ty::Tensor(t) => t.elem.as_ref().is_some_and(|e| self.occurs(var, e)),
            _ => false,
        }
    }

    fn number_of(&self, ty: &Ty) -> ParamNumber {
        match ty {
            Ty::Num(k) if k.is_float() => ParamNumber::Floating,
            Ty::Num(_) => ParamNumber::Integer,
            Ty::Param(i, _) => self.params.get(*i as usize).copied().unwrap_or_default(),
            _ => ParamNumber::No,
        }
    }

    /// Whether a variable of this kind may stand for a known type.
    pub fn kind_allows(&self, kind: VarKind, ty: &Ty) -> bool {
        match kind {
            VarKind::Any => true,
            VarKind::IntLit => matches!(ty, Ty::Error) || self.number_of(ty) != ParamNumber::No,
            VarKind::FloatLit => {
                matches!(ty, Ty::Error) || matches!(self.number_of(ty), ParamNumber::Floating | ParamNumber::Number)
            }
            VarKind::Braces => match ty {
                Ty::Adt(id, _) => id.0 == self.map_adt || id.0 == self.set_adt,
                Ty::Error => true,
                _ => false,
            },
        }
    }

    fn bind(&mut self, var: u32, ty: Ty) {
        let kind = self.vars[var as usize].kind;
        self.trail.push((var, kind));
        self.vars[var as usize].value = Some(ty);
    }

    /// Makes both types equal. On `false` some variables may have been bound; callers that go on roll back.
    pub fn unify(&mut self, a: &Ty, b: &Ty) -> bool {
        let (a, b) = (self.shallow(a), self.shallow(b));
        match (&a, &b) {
            (Ty::Error, Ty::Infer(x)) | (Ty::Infer(x), Ty::Error) => {
                // What hangs on something wrong is not asked about again.
                self.bind(*x, Ty::Error);
                true
            }
            (Ty::Error, known) | (known, Ty::Error) => {
                let known = known.clone();
                self.give_up(&known);
                true
            }
            (Ty::Infer(x), Ty::Infer(y)) => {
                if x == y {
                    return true;
                }
                let (kx, ky) = (self.kind(*x), self.kind(*y));
                let kind = match (kx, ky) {
                    (k, VarKind::Any) | (VarKind::Any, k) => k,
                    (j, k) if j == k => k,
                    (VarKind::IntLit, VarKind::FloatLit) | (VarKind::FloatLit, VarKind::IntLit) => VarKind::FloatLit,
                    _ => return false,
                };
                // The older variable stays, so that overloads see what they changed.
                let (old, new) = if x < y { (*x, *y) } else { (*y, *x) };
                self.bind(new, Ty::Infer(old));
                if self.kind(old) != kind {
                    self.trail.push((old, self.kind(old)));
                    self.vars[old as usize].kind = kind;
                }
                true
            }
            (Ty::Infer(x), t) | (t, Ty::Infer(x)) => {
                if !self.kind_allows(self.kind(*x), t) || self.occurs(*x, t) {
                    return false;
                }
                self.bind(*x, t.clone());
                true
            }
            (Ty::Tuple(xs), Ty::Tuple(ys)) => xs.len() == ys.len() && self.unify_all(xs, ys),
            (Ty::Fn(xs, r), Ty::Fn(ys, s)) => xs.len() == ys.len() && self.unify_all(xs, ys) && self.unify(r, s),
            (Ty::Dyn(i, xs), Ty::Dyn(j, ys)) => i == j && xs.len() == ys.len() && self.unify_all(xs, ys),
            (Ty::Adt(i, xs), Ty::Adt(j, ys)) if i == j && self.signatures.contains(&i.0) => {
                let without_names = |ts: &[Ty]| ts.iter().map(|t| strip_names(t, *i)).collect::<Vec<_>>();
                xs.len() == ys.len() && self.unify_all(&without_names(xs), &without_names(ys))
            }
            (Ty::Adt(i, xs), Ty::Adt(j, ys)) => i == j && xs.len() == ys.len() && self.unify_all(xs, ys),
            (Ty::Tensor(x), Ty::Tensor(y)) => match (&x.elem, &y.elem) {
                (Some(x), Some(y)) => self.unify(x, y),
                _ => true,
            },
            (Ty::Num(x), Ty::Num(y)) => x == y,
            (a, b) => a == b,
        }
    }

    /// Nothing more is asked about what is open in this type.
    fn give_up(&mut self, ty: &Ty) {
        if let Ty::Adt(_, args) | Ty::Tuple(args) = ty {
            for arg in args.iter() {
                match self.shallow(arg) {
                    Ty::Infer(v) if self.kind(v) == VarKind::Any => self.bind(v, Ty::Error),
                    inner => self.give_up(&inner),
                }
            }
        }
    }

    pub fn unify_all(&mut self, xs: &[Ty], ys: &[Ty]) -> bool {
        xs.iter().zip(ys).all(|(x, y)| self.unify(x, y))
    }

    /// Gives every literal inside a type its own type.
    pub fn settle_literals(&mut self, ty: &Ty) {
        match self.shallow(ty) {
            Ty::Infer(var) => {
                if let Some(default) = self.default_of(var) {
                    self.bind(var, default);
                }
            }
            Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().for_each(|t| self.settle_literals(t)),
            _ => {}
        }
    }

    /// The type a variable has when nothing else decided: literals have one, others not.
    pub fn default_of(&self, var: u32) -> Option<Ty> {
        match self.kind(var) {
            VarKind::IntLit => Some(Ty::Num(NumKind::Int64)),
            VarKind::FloatLit => Some(Ty::Num(NumKind::Float64)),
            _ => None,
        }
    }
}
