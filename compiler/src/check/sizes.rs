//! The sizes that a signature names: where a call finds them, and the checks at a body's beginning.
//!
//! A name belongs to the outermost function or closure whose parameters have it. There it is a variable: set from the shape of a
//! parameter where one has it, else -1 until a check meets a tensor that says it (`tensor_sizes`). From then on it is that size in
//! every check of the body.

use super::call::let_local;
use super::dims::{asked_names, checkable, dim_names, strip_names};
use super::*;

/// A named size that a body's own signature gives.
#[derive(Clone)]
pub struct NamedSize {
    name: Rc<str>,
    local: LocalId,
    /// The program reads it: it must be there.
    is_read: bool,
}

/// Where a name's size is: an axis of a tensor, that is a parameter or in one.
#[derive(Clone)]
struct SizePlace {
    name: Rc<str>,
    tensor: SizedBy,
    axis: usize,
    dim: Dim,
}

/// A tensor of a parameter: itself, or one inside it.
#[derive(Clone)]
struct SizedBy {
    param: usize,
    steps: Vec<Within>,
}

#[derive(Clone, Copy)]
enum Within {
    /// Of a `Vec`.
    First,
    /// Of a tuple.
    Element(u32),
}

impl<'a> Checker<'a> {
    /// The size that a signature around calls `name`, to be read.
    pub fn dimension(&mut self, name: &str, span: Span) -> Option<Expr> {
        let owner = self.owner_of(name)?;
        let places = self.places(owner);
        let at = places.iter().position(|p| &*p.name == name)?;
        let mut others = Vec::new();
        dim_names(&places[at].dim, &mut others);
        for other in others.into_iter().filter(|other| &**other != name) {
            self.dimension(&other, span);
        }
        self.size_variable(owner, name, true);
        Some(self.size_here(owner, name, span))
    }

    /// Reports a size that a call may not know.
    pub fn is_unreadable_size(&mut self, name: &str, span: Span) -> bool {
        if self.owner_of(name).is_none() {
            return false;
        }
        let title = format!("the size `{name}` cannot be read: no parameter has an axis that gives it");
        let help = "a name that is an axis of a tensor by itself, or of a list's first, can be; so can `n` in `n + 1` and `2 * n`";
        self.report(Diagnostic::error(codes::UNKNOWN_NAME, title, span, "not always known").help(help));
        true
    }

    /// Makes the named sizes of a type known to the current body, for the check of a value at run time.
    pub fn ask_dims(&mut self, ty: &Ty, span: Span) {
        let mut names = Vec::new();
        names_in(ty, &mut names);
        for name in names {
            if let Some(owner) = self.owner_of(&name) {
                self.size_variable(owner, &name, false);
                self.size_here(owner, &name, span);
            }
        }
    }

    /// The outermost body whose parameters have the name.
    fn owner_of(&self, name: &str) -> Option<usize> {
        let has = |ty: &Ty| {
            let mut names = Vec::new();
            names_in(ty, &mut names);
            names.iter().any(|n| &**n == name)
        };
        (0..self.f.bodies.len()).find(|body| self.stated_params(*body).iter().any(has))
    }

    /// What a body's parameters state, by position.
    fn stated_params(&self, body: usize) -> Vec<Ty> {
        match body {
            0 => self.program.fns[self.f.func.index()].params.iter().map(|p| p.ty.clone()).collect(),
            _ => self.f.bodies[body].stated.clone(),
        }
    }

    fn size_variable(&mut self, owner: usize, name: &str, is_read: bool) {
        let cx = &mut self.f.bodies[owner];
        if let Some(size) = cx.sizes.iter_mut().find(|s| &*s.name == name) {
            size.is_read |= is_read;
            return;
        }
        let local = LocalId(cx.locals.len() as u32);
        let at = if owner == 0 { self.program.fns[self.f.func.index()].span } else { cx.ret_span };
        let name: Rc<str> = name.into();
        cx.locals.push(Local { name: name.clone(), ty: Ty::INT, mutable: false, span: at });
        cx.meta.push(LocalMeta { used: true, hidden: true, ..LocalMeta::default() });
        cx.dims.push((name.clone(), local));
        cx.sizes.push(NamedSize { name, local, is_read });
    }

    /// The variable of a body around as one of the current body.
    fn size_here(&mut self, owner: usize, name: &str, span: Span) -> Expr {
        let Some(size) = self.f.bodies[owner].sizes.iter().find(|s| &*s.name == name).cloned() else {
            return self.err(span);
        };
        let read = self.local_expr(owner, size.local, span);
        if let ExprKind::Local(inner) = read.kind
            && !self.body().dims.iter().any(|(n, _)| *n == size.name)
        {
            self.body().dims.push((size.name, inner));
        }
        read
    }

    /// Where a call finds the sizes of a body's signature, each after those it is found with. An axis that is the name alone comes before one
    /// with something added or times a number, and a tensor that is a parameter before one inside: an empty `Vec` has no sizes.
    fn places(&self, body: usize) -> Vec<SizePlace> {
        let mut tensors = Vec::new();
        for (param, ty) in self.stated_params(body).iter().enumerate() {
            tensors_in(ty, &mut SizedBy { param, steps: Vec::new() }, self.program.lang.vec, &mut tensors);
        }
        let (outer, inner): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(place, _)| place.steps.is_empty());
        let mut found: Vec<SizePlace> = Vec::new();
        let next = |found: &[SizePlace]| {
            [&outer, &inner].into_iter().find_map(|tensors| {
                let axes =
                    || tensors.iter().flat_map(|(by, dims)| dims.iter().enumerate().map(move |(i, d)| (by, i, d)));
                let place = |name: Rc<str>, (by, axis, dim): (&SizedBy, usize, &Dim)| SizePlace {
                    name,
                    tensor: by.clone(),
                    axis,
                    dim: dim.clone(),
                };
                let is_new = |name: &Rc<str>| !found.iter().any(|p| p.name == *name);
                let bare = axes().find_map(|axis| match axis.2 {
                    Dim::Name(name) if is_new(name) => Some(place(name.clone(), axis)),
                    _ => None,
                });
                bare.or_else(|| axes().find_map(|axis| Some(place(solvable(axis.2, &is_new)?, axis))))
            })
        };
        while let Some(place) = next(&found) {
            found.push(place);
        }
        found
    }

    /// Puts before a function's body: the checks of what its parameters' types state, and the sizes that have names.
    pub fn check_params(&mut self, func: FnId, locals: &[LocalId], value: Expr) -> Expr {
        let span = self.program.fns[func.index()].span;
        self.check_stated(locals, value, span)
    }

    /// The same for a closure.
    pub fn check_closure_params(&mut self, locals: &[LocalId], value: Expr) -> Expr {
        let span = value.span;
        self.check_stated(locals, value, span)
    }

    fn check_stated(&mut self, locals: &[LocalId], value: Expr, span: Span) -> Expr {
        let body = self.f.bodies.len() - 1;
        let params = self.stated_params(body);
        let stated: Vec<(LocalId, &Ty)> =
            locals.iter().copied().zip(&params).filter(|(_, ty)| checkable(self, ty)).collect();
        if stated.is_empty() {
            return value;
        }
        let asked = asked_names(&Ty::Tuple(stated.iter().map(|(_, ty)| (*ty).clone()).collect()));
        // What only a size asks that is known by then: those of a function around, and those that other parameters have.
        let is_asked = |name: &Rc<str>| asked.contains(name) || self.owner_of(name).is_some_and(|owner| owner < body);
        let second: Vec<(LocalId, &Ty)> = stated
            .iter()
            .copied()
            .filter(|(_, ty)| {
                let mut names = Vec::new();
                names_in(ty, &mut names);
                names.iter().any(is_asked)
            })
            .collect();
        for (_, ty) in &second {
            self.ask_dims(ty, span);
        }
        let model = self.program.lang.model;
        let mut stmts: Vec<Stmt> =
            stated.iter().map(|(local, ty)| self.param_check(*local, strip_names(ty, model), span)).collect();
        let places = self.places(body);
        let place_of = |name: &str| places.iter().position(|p| &*p.name == name);
        let mut sizes = self.f.bodies[body].sizes.clone();
        sizes.sort_by_key(|size| place_of(&size.name));
        for size in sizes {
            let place = place_of(&size.name).map(|at| &places[at]).filter(|p| size.is_read || p.is_sure());
            let value = place.and_then(|p| self.size_at(p, locals, span)).unwrap_or_else(|| self.int_lit(-1, span));
            stmts.push(let_local(size.local, value));
        }
        // Sums last: what is added to a name is known by then. Those of several parameters may tell each other's.
        let (sums, plain): (Vec<_>, Vec<_>) = second.into_iter().partition(|(_, ty)| has_sums(ty));
        let again = if sums.len() > 1 { sums.clone() } else { Vec::new() };
        for (local, ty) in plain.into_iter().chain(sums).chain(again) {
            stmts.push(self.param_check(local, ty.clone(), span));
        }
        before(stmts, value)
    }

    fn param_check(&self, local: LocalId, ty: Ty, span: Span) -> Stmt {
        let found = self.f.bodies.last().and_then(|b| b.locals.get(local.index())).map_or(Ty::Error, |l| l.ty.clone());
        let read = Expr { kind: ExprKind::Local(local), ty: self.strip_dims(&found), span };
        let kind = ExprKind::Coerce { value: Box::new(read), kind: Coercion::TensorCheck };
        let pattern = Pat { kind: PatKind::Wildcard, ty: ty.clone(), span };
        Stmt::Let { pattern, init: Some(Expr { kind, ty, span }), else_: None }
    }

    /// `t.shape()[axis]`, solved for the name in it. What has no solution is refused by the check that follows.
    fn size_at(&mut self, place: &SizePlace, locals: &[LocalId], span: Span) -> Option<Expr> {
        let param = *locals.get(place.tensor.param)?;
        let ty = self.body().locals[param.index()].ty.clone();
        let mut tensor = Expr { kind: ExprKind::Local(param), ty, span };
        for step in &place.tensor.steps {
            let base = Box::new(tensor);
            let (kind, ty) = match (step, &base.ty) {
                (Within::First, Ty::Adt(_, items)) => {
                    let (ty, index) = (items.first()?.clone(), Box::new(self.int_lit(0, span)));
                    (ExprKind::Index { base, index }, ty)
                }
                (Within::Element(i), Ty::Tuple(items)) => {
                    let ty = items.get(*i as usize)?.clone();
                    (ExprKind::Field { base, index: *i }, ty)
                }
                _ => return None,
            };
            tensor = Expr { kind, ty, span };
        }
        let shape = self.call_method_named(tensor, "shape", Vec::new(), span)?;
        let index = Box::new(self.int_lit(place.axis as i128, span));
        let size = Expr { kind: ExprKind::Index { base: Box::new(shape), index }, ty: Ty::INT, span };
        let (op, by) = match &place.dim {
            Dim::Sum(a, b) => (BinaryOp::Sub, [a, b]),
            Dim::Product(a, b) => (BinaryOp::Div, [a, b]),
            _ => return Some(size),
        };
        let other = by.into_iter().find(|d| !matches!(&***d, Dim::Name(name) if *name == place.name))?;
        let rhs = match &**other {
            Dim::Number(n) => self.int_lit(i128::from(*n), span),
            Dim::Name(name) => self.size_here(self.f.bodies.len() - 1, name, span),
            _ => return None,
        };
        let kind = ExprKind::Binary { op, lhs: Box::new(size), rhs: Box::new(rhs) };
        Some(Expr { kind, ty: Ty::INT, span })
    }
}

impl SizePlace {
    /// Whether every call has it, without another name: it is no more than a look at the shape.
    fn is_sure(&self) -> bool {
        let mut names = Vec::new();
        dim_names(&self.dim, &mut names);
        self.tensor.steps.is_empty() && names.len() == 1
    }
}

/// The name that a sum or product tells, where all else in it is known.
fn solvable(dim: &Dim, is_new: &dyn Fn(&Rc<str>) -> bool) -> Option<Rc<str>> {
    let (a, b, is_sum) = match dim {
        Dim::Sum(a, b) => (&**a, &**b, true),
        Dim::Product(a, b) => (&**a, &**b, false),
        _ => return None,
    };
    let known = |dim: &Dim| match dim {
        Dim::Number(n) => is_sum || *n > 0,
        // A product with a size that may be 0 tells nothing.
        Dim::Name(name) => is_sum && !is_new(name),
        _ => false,
    };
    [(a, b), (b, a)].into_iter().find_map(|(one, other)| match one {
        Dim::Name(name) if is_new(name) && known(other) => Some(name.clone()),
        _ => None,
    })
}

fn tensors_in(ty: &Ty, place: &mut SizedBy, vec: AdtId, out: &mut Vec<(SizedBy, Rc<[Dim]>)>) {
    let mut inside = |step: Within, ty: &Ty| {
        place.steps.push(step);
        tensors_in(ty, place, vec, out);
        place.steps.pop();
    };
    match ty {
        Ty::Tensor(TensorTy { dims: Some(dims), .. }) => out.push((place.clone(), dims.clone())),
        Ty::Tuple(tys) => tys.iter().enumerate().for_each(|(i, ty)| inside(Within::Element(i as u32), ty)),
        Ty::Adt(id, tys) if *id == vec => tys.iter().for_each(|ty| inside(Within::First, ty)),
        _ => {}
    }
}

fn has_sums(ty: &Ty) -> bool {
    match ty {
        Ty::Tensor(TensorTy { dims: Some(dims), .. }) => {
            dims.iter().any(|d| matches!(d, Dim::Sum(..) | Dim::Product(..)))
        }
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().any(has_sums),
        _ => false,
    }
}

/// The statements, then the value as it was.
fn before(mut stmts: Vec<Stmt>, value: Expr) -> Expr {
    let (ty, span) = (value.ty.clone(), value.span);
    let kind = match value.kind {
        ExprKind::Block { stmts: rest, value } => {
            stmts.extend(rest);
            ExprKind::Block { stmts, value }
        }
        kind => ExprKind::Block { stmts, value: Some(Box::new(Expr { kind, ty: ty.clone(), span })) },
    };
    Expr { kind, ty, span }
}
