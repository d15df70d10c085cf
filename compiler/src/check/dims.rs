//! Shapes in types: what a stated shape asks of a value, and the names of dimensions in a signature.
//!
//! A dimension in a `Ty` is one that somebody wrote down. Types that inference finds have none: what is known of their values
//! is found later, by the flow of shapes (`crate::shapes`). Names belong to one signature, so they are taken out of every
//! type that leaves it; in the body, a name is a variable that is set at the beginning.

use super::call::let_local;
use super::*;

impl<'a> Checker<'a> {
    /// The type with the dimensions of its tensors left open. What a model or a model's actor takes and gives stays.
    pub fn strip_dims(&self, ty: &Ty) -> Ty {
        let list = |ts: &Rc<[Ty]>| -> Rc<[Ty]> { ts.iter().map(|t| self.strip_dims(t)).collect() };
        match ty {
            Ty::Tensor(t) => Ty::Tensor(TensorTy { elem: t.elem.clone(), dims: None }),
            Ty::Tuple(ts) => Ty::Tuple(list(ts)),
            Ty::Adt(id, _) if *id == self.program.lang.model || *id == self.program.lang.model_actor_ref => ty.clone(),
            Ty::Adt(id, ts) if !ts.is_empty() => Ty::Adt(*id, list(ts)),
            Ty::Fn(ps, r) => Ty::Fn(list(ps), Rc::new(self.strip_dims(r))),
            other => other.clone(),
        }
    }

    /// The size that the function's signature calls `name`, as a variable of the current body.
    pub fn dimension(&mut self, name: &str, span: Span) -> Option<Expr> {
        let bodies = self.f.bodies.len();
        let known = self.f.bodies.first()?.dims.iter().find(|(n, _)| &**n == name).map(|(_, local)| *local);
        let local = match known {
            Some(local) => local,
            None => {
                self.place_of_dim(name)?;
                let name: Rc<str> = name.into();
                let cx = &mut self.f.bodies[0];
                let local = LocalId(cx.locals.len() as u32);
                let at = self.program.fns[self.f.func.index()].span;
                cx.locals.push(Local { name: name.clone(), ty: Ty::INT, mutable: false, span: at });
                cx.meta.push(LocalMeta { used: true, hidden: true, ..LocalMeta::default() });
                cx.dims.push((name, local));
                local
            }
        };
        let read = self.local_expr(0, local, span);
        if bodies > 1
            && let ExprKind::Local(inner) = read.kind
            && !self.body().dims.iter().any(|(n, _)| &**n == name)
        {
            self.body().dims.push((name.into(), inner));
        }
        Some(read)
    }

    /// Makes the named sizes of a type known to the current body, for the check of a value at run time.
    pub fn ask_dims(&mut self, ty: &Ty, span: Span) {
        let mut names = Vec::new();
        names_in(ty, &mut names);
        for name in names {
            self.dimension(&name, span);
        }
    }

    /// Where a call binds a name: the first parameter with an axis of that size, or of that size with a number added or times a
    /// number; else the first that has one inside, as the first item of a `Vec` or an element of a tuple.
    fn place_of_dim(&self, name: &str) -> Option<(SizedBy, usize, Dim)> {
        let params = &self.program.fns[self.f.func.index()].params;
        let mut tensors = Vec::new();
        for (param, p) in params.iter().enumerate() {
            tensors_in(&p.ty, &mut SizedBy { param, steps: Vec::new() }, self.program.lang.vec, &mut tensors);
        }
        // An empty `Vec` has no sizes.
        let (outer, inner): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(place, _)| place.steps.is_empty());
        place_in(&outer, name).or_else(|| place_in(&inner, name))
    }

    /// Puts before a function's body: the checks of what its parameters' types state, and the sizes that have names.
    pub fn check_params(&mut self, func: FnId, locals: &[LocalId], value: Expr) -> Expr {
        let params = self.program.fns[func.index()].params.clone();
        let stated: Vec<(LocalId, Ty)> = params
            .iter()
            .zip(locals)
            .filter(|(p, _)| checkable(self, &p.ty))
            .map(|(p, l)| (*l, p.ty.clone()))
            .collect();
        if stated.is_empty() {
            return value;
        }
        let span = self.program.fns[func.index()].span;
        let mut names = Vec::new();
        stated.iter().for_each(|(_, ty)| names_in(ty, &mut names));
        // A name that stands once, alone, asks nothing.
        let asks = |ty: &Ty| {
            let mut own = Vec::new();
            names_in(ty, &mut own);
            let bare = |name: &Rc<str>| bare_name(ty, name);
            own.iter().any(|n| names.iter().filter(|m| *m == n).count() > 1 || !bare(n))
        };
        let second: Vec<(LocalId, Ty)> = stated.iter().filter(|(_, ty)| asks(ty)).cloned().collect();
        for (_, ty) in &second {
            self.ask_dims(ty, span);
        }
        let model = self.program.lang.model;
        let mut stmts: Vec<Stmt> =
            stated.iter().map(|(local, ty)| self.param_check(*local, strip_names(ty, model), span)).collect();
        for (name, local) in self.body().dims.clone() {
            let Some((place, axis, dim)) = self.place_of_dim(&name) else { continue };
            if let Some(size) = self.size_of(locals[place.param], &place.steps, axis, &dim, span) {
                stmts.push(let_local(local, size));
            }
        }
        for (local, ty) in second {
            stmts.push(self.param_check(local, ty, span));
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

    /// `t.shape()[axis]`, solved for the name in it. What does not divide is refused by the check that follows.
    fn size_of(&mut self, param: LocalId, steps: &[Within], axis: usize, dim: &Dim, span: Span) -> Option<Expr> {
        let ty = self.body().locals[param.index()].ty.clone();
        let mut tensor = Expr { kind: ExprKind::Local(param), ty, span };
        for step in steps {
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
        let index = Box::new(self.int_lit(axis as i128, span));
        let size = Expr { kind: ExprKind::Index { base: Box::new(shape), index }, ty: Ty::INT, span };
        let (op, by) = match dim {
            Dim::Sum(a, b) => (BinaryOp::Sub, [a, b]),
            Dim::Product(a, b) => (BinaryOp::Div, [a, b]),
            _ => return Some(size),
        };
        let n = by.iter().find_map(|d| if let Dim::Number(n) = ***d { Some(n) } else { None })?;
        let rhs = Box::new(self.int_lit(i128::from(n), span));
        Some(Expr { kind: ExprKind::Binary { op, lhs: Box::new(size), rhs }, ty: Ty::INT, span })
    }

    /// The same for a closure: its parameters' own types are checked, with the sizes that the function around it names.
    pub fn check_closure_params(&mut self, stated: &[(LocalId, Ty)], value: Expr) -> Expr {
        let stated: Vec<&(LocalId, Ty)> = stated.iter().filter(|(_, ty)| checkable(self, ty)).collect();
        if stated.is_empty() {
            return value;
        }
        let span = value.span;
        let mut stmts = Vec::new();
        for (local, ty) in stated {
            self.ask_dims(ty, span);
            stmts.push(self.param_check(*local, ty.clone(), span));
        }
        before(stmts, value)
    }

    /// A tensor for a batching handler: a batch as its type states, or one row of it, without the first axis.
    pub fn batch_or_row(&mut self, value: Expr, ty: &Ty) -> Expr {
        let Ty::Tensor(TensorTy { elem, dims: Some(dims) }) = ty else { return value };
        if dims.is_empty() || !matches!(self.infer.shallow(&value.ty), Ty::Tensor(_)) {
            return value;
        }
        let span = value.span;
        let row = Ty::Tensor(TensorTy { elem: elem.clone(), dims: Some(dims[1..].into()) });
        let plain = self.strip_dims(&value.ty);
        let local = self.temp("message", plain.clone(), span);
        let read = Expr { kind: ExprKind::Local(local), ty: plain.clone(), span };
        let Some(rank) = self.call_method_named(read.clone(), "rank", Vec::new(), span) else { return value };
        let of_row = self.int_lit(dims.len() as i128 - 1, span);
        let kind = ExprKind::Binary { op: BinaryOp::Eq, lhs: Box::new(rank), rhs: Box::new(of_row) };
        let cond = Cond::Expr(Expr { kind, ty: Ty::Bool, span });
        let check = |ty: Ty| {
            let kind = ExprKind::Coerce { value: Box::new(read.clone()), kind: Coercion::TensorCheck };
            let checked = Expr { kind, ty: ty.clone(), span };
            Expr { kind: ExprKind::Block { stmts: Vec::new(), value: Some(Box::new(checked)) }, ty, span }
        };
        let kind =
            ExprKind::If { cond: Box::new(cond), then: Box::new(check(row)), else_: Some(Box::new(check(ty.clone()))) };
        let checked = Expr { kind, ty: plain.clone(), span };
        let stmts = vec![let_local(local, value)];
        Expr { kind: ExprKind::Block { stmts, value: Some(Box::new(checked)) }, ty: plain, span }
    }

    /// A variable's value with its written type. What the type leaves open is not known any more, so that is told to the flow of shapes.
    pub fn as_written(&self, value: Expr, ty: &Ty) -> Expr {
        let asked = matches!(value.kind, ExprKind::Coerce { .. }) || value.ty == Ty::Never;
        if asked || !reaches(self, ty, &|_| true) || self.is_std(value.span) {
            return value;
        }
        let span = value.span;
        let kind = ExprKind::Coerce { value: Box::new(value), kind: Coercion::TensorCheck };
        Expr { kind, ty: ty.clone(), span }
    }

    /// A value whose type states a shape that nobody has checked yet.
    pub fn check_arrival(&mut self, value: Expr, ty: Ty) -> Expr {
        let span = value.span;
        self.ask_dims(&ty, span);
        Expr { kind: ExprKind::Coerce { value: Box::new(value), kind: Coercion::TensorCheck }, ty, span }
    }
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

/// Where such a tensor has an axis of that size, or of that size with a number added or times a number.
fn place_in(tensors: &[(SizedBy, Rc<[Dim]>)], name: &str) -> Option<(SizedBy, usize, Dim)> {
    let axes =
        || tensors.iter().flat_map(|(place, dims)| dims.iter().enumerate().map(|(j, d)| (place.clone(), j, d.clone())));
    let is_name = |d: &Dim| matches!(d, Dim::Name(n) if &**n == name);
    let number = |d: &Dim| matches!(d, Dim::Number(_));
    axes().find(|(_, _, d)| is_name(d)).or_else(|| {
        axes().find(|(_, _, d)| match d {
            Dim::Sum(a, b) => (is_name(a) && number(b)) || (number(a) && is_name(b)),
            Dim::Product(a, b) => {
                let factor = if is_name(a) { b } else { a };
                (is_name(a) || is_name(b)) && matches!(**factor, Dim::Number(n) if n > 0)
            }
            _ => false,
        })
    })
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

/// Whether a check at run time can ask what the type states.
fn checkable(c: &Checker<'_>, ty: &Ty) -> bool {
    reaches(c, ty, &|t| t.dims.is_some())
}

/// Whether a check at run time comes to such a tensor: it reaches into `Vec`, `Option`, `Map` and tuples.
fn reaches(c: &Checker<'_>, ty: &Ty, tensor: &dyn Fn(&TensorTy) -> bool) -> bool {
    match ty {
        Ty::Tensor(t) => tensor(t),
        Ty::Tuple(ts) => ts.iter().any(|t| reaches(c, t, tensor)),
        Ty::Adt(id, ts) if [c.program.lang.vec, c.program.lang.option, c.program.lang.map].contains(id) => {
            ts.iter().any(|t| reaches(c, t, tensor))
        }
        _ => false,
    }
}

pub fn mentions_dims(ty: &Ty) -> bool {
    match ty {
        Ty::Tensor(t) => t.dims.is_some(),
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().any(mentions_dims),
        _ => false,
    }
}

/// The type with named sizes as `_`. A model's type is a signature of its own and keeps its names.
pub fn strip_names(ty: &Ty, model: AdtId) -> Ty {
    if !mentions_dims(ty) && !matches!(ty, Ty::Fn(..)) {
        return ty.clone();
    }
    let list = |ts: &Rc<[Ty]>| -> Rc<[Ty]> { ts.iter().map(|t| strip_names(t, model)).collect() };
    match ty {
        Ty::Tensor(t) => {
            let dims = t.dims.as_ref().map(|dims| dims.iter().map(without_names).collect());
            Ty::Tensor(TensorTy { elem: t.elem.clone(), dims })
        }
        Ty::Tuple(ts) => Ty::Tuple(list(ts)),
        Ty::Adt(id, ts) if *id != model => Ty::Adt(*id, list(ts)),
        Ty::Fn(ps, r) => Ty::Fn(list(ps), Rc::new(strip_names(r, model))),
        other => other.clone(),
    }
}

fn without_names(dim: &Dim) -> Dim {
    let mut names = Vec::new();
    dim_names(dim, &mut names);
    if names.is_empty() { dim.clone() } else { Dim::Unknown }
}

fn dim_names(dim: &Dim, out: &mut Vec<Rc<str>>) {
    match dim {
        Dim::Name(name) => out.push(name.clone()),
        Dim::Sum(a, b) | Dim::Product(a, b) => {
            dim_names(a, out);
            dim_names(b, out);
        }
        Dim::Number(_) | Dim::Unknown => {}
    }
}

/// Every occurrence of a name in the dimensions of a type.
pub fn names_in(ty: &Ty, out: &mut Vec<Rc<str>>) {
    match ty {
        Ty::Tensor(TensorTy { dims: Some(dims), .. }) => dims.iter().for_each(|d| dim_names(d, out)),
        Ty::Tuple(ts) | Ty::Adt(_, ts) => ts.iter().for_each(|t| names_in(t, out)),
        _ => {}
    }
}

/// Whether a name stands alone as an axis of a tensor type.
fn bare_name(ty: &Ty, name: &str) -> bool {
    matches!(ty, Ty::Tensor(TensorTy { dims: Some(dims), .. })
        if dims.iter().any(|d| matches!(d, Dim::Name(n) if &**n == name)))
}
