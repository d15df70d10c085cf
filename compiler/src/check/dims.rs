//! Shapes in types: what a stated shape asks of a value, and the names of dimensions in a signature.
//!
//! A dimension in a `Ty` is one that somebody wrote down. Types that inference finds have none: what is known of their values
//! is found later, by the flow of shapes (`crate::shapes`). Names belong to one signature, so they are taken out of every
//! type that leaves it; in the body, a name is a variable that is set at the beginning (`sizes`).

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

/// Whether a check at run time can ask what the type states.
pub fn checkable(c: &Checker<'_>, ty: &Ty) -> bool {
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

pub fn dim_names(dim: &Dim, out: &mut Vec<Rc<str>>) {
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

/// The names of which a value of the type is asked something, also where nothing has said their sizes: those that stand twice, in a
/// sum or product, or in a container, which has many.
pub fn asked_names(ty: &Ty) -> Vec<Rc<str>> {
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    names_in(ty, &mut all);
    bare_names(ty, &mut bare);
    let times = |name: &Rc<str>| all.iter().filter(|other| *other == name).count();
    let mut asked: Vec<Rc<str>> = all.iter().filter(|name| times(name) > 1 || !bare.contains(name)).cloned().collect();
    asked.sort();
    asked.dedup();
    asked
}

/// The names that are an axis of their own, of a tensor that is the value or a part of a tuple.
fn bare_names(ty: &Ty, out: &mut Vec<Rc<str>>) {
    match ty {
        Ty::Tensor(TensorTy { dims: Some(dims), .. }) => {
            out.extend(dims.iter().filter_map(|d| if let Dim::Name(n) = d { Some(n.clone()) } else { None }));
        }
        Ty::Tuple(ts) => ts.iter().for_each(|t| bare_names(t, out)),
        _ => {}
    }
}
