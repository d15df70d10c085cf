//! What is known of a value's shape.

use crate::hir::{AdtId, Closure, Dim, FnId, Lang, TensorTy, Ty};
use stark_shapes::{Dim as _, ShapeError, Symbolic, rules, show};
use std::cell::RefCell;
use std::rc::Rc;

pub type Dims = Vec<Symbolic>;

/// `Any` is always right; everything else says more.
#[derive(Clone, Debug, Default)]
pub enum Val {
    #[default]
    Any,
    /// A whole number that stands in the program.
    Int(i64),
    /// A whole number that is a size.
    Size(Symbolic),
    Bool(bool),
    /// `None`: the rank is open.
    Tensor(Option<Dims>),
    /// A `Vec` whose items are known one by one.
    List(Vec<Val>),
    /// A tuple's parts or a struct's fields.
    Tuple(Vec<Val>),
    /// A value of a generic type, by its type arguments.
    Adt(AdtId, Vec<Val>),
    Function(FnId),
    Closure(Rc<ClosureVal>),
}

/// A closure before it is called: what it captured, and what it has been called with since.
#[derive(Debug)]
pub struct ClosureVal {
    pub closure: Closure,
    pub captured: Vec<Val>,
    pub seen: RefCell<Option<Vec<Val>>>,
}

/// How many items of a list are told apart; a guess: shapes, axes and lists of tensors that a program writes out are short.
pub const MAX_ITEMS: usize = 64;

impl Val {
    pub fn tensor(dims: Dims) -> Val {
        Val::Tensor(Some(dims))
    }

    /// The dimensions of a tensor of known rank.
    pub fn dims(&self) -> Option<&[Symbolic]> {
        match self {
            Val::Tensor(Some(dims)) => Some(dims),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Val::Int(n) => Some(*n),
            Val::Size(s) => s.known().and_then(|n| i64::try_from(n).ok()),
            _ => None,
        }
    }

    /// The number as a dimension.
    pub fn size(&self) -> Symbolic {
        match self {
            Val::Int(n) => usize::try_from(*n).map_or(Symbolic::Unknown, Symbolic::from_usize),
            Val::Size(s) => s.clone(),
            _ => Symbolic::Unknown,
        }
    }

    /// What every item of a `Vec` is.
    pub fn item(&self, lang: &Lang) -> Val {
        match self {
            Val::List(items) => items.iter().cloned().reduce(|a, b| a.join(&b)).unwrap_or_default(),
            Val::Adt(id, args) if *id == lang.vec => args.first().cloned().unwrap_or_default(),
            _ => Val::Any,
        }
    }

    /// What holds of a value that is one of the two.
    pub fn join(&self, other: &Val) -> Val {
        let all = |a: &[Val], b: &[Val]| a.iter().zip(b).map(|(a, b)| a.join(b)).collect::<Vec<_>>();
        match (self, other) {
            (Val::Int(a), Val::Int(b)) if a == b => Val::Int(*a),
            (Val::Int(_) | Val::Size(_), Val::Int(_) | Val::Size(_)) => match self.size().join(&other.size()) {
                Symbolic::Unknown => Val::Any,
                size => Val::Size(size),
            },
            (Val::Bool(a), Val::Bool(b)) if a == b => Val::Bool(*a),
            (Val::Tensor(Some(a)), Val::Tensor(Some(b))) if a.len() == b.len() => {
                Val::tensor(a.iter().zip(b).map(|(a, b)| a.join(b)).collect())
            }
            (Val::Tensor(_), Val::Tensor(_)) => Val::Tensor(None),
            (Val::List(a), Val::List(b)) if a.len() == b.len() => Val::List(all(a, b)),
            (Val::Tuple(a), Val::Tuple(b)) if a.len() == b.len() => Val::Tuple(all(a, b)),
            (Val::Adt(i, a), Val::Adt(j, b)) if i == j && a.len() == b.len() => Val::Adt(*i, all(a, b)),
            (Val::List(items), Val::Adt(id, args)) | (Val::Adt(id, args), Val::List(items)) if args.len() == 1 => {
                Val::Adt(*id, vec![items.iter().fold(args[0].clone(), |a, b| a.join(b))])
            }
            (Val::Function(a), Val::Function(b)) if a == b => Val::Function(*a),
            (Val::Closure(a), Val::Closure(b)) if Rc::ptr_eq(a, b) => self.clone(),
            _ => Val::Any,
        }
    }

    /// Both hold: what is known after a check. Where they contradict the program stops there, so either will do.
    pub fn meet(&self, other: &Val) -> Val {
        let all = |a: &[Val], b: &[Val]| a.iter().zip(b).map(|(a, b)| a.meet(b)).collect::<Vec<_>>();
        match (self, other) {
            (Val::Any, v) | (v, Val::Any) => v.clone(),
            (Val::Tensor(None), v @ Val::Tensor(_)) | (v @ Val::Tensor(_), Val::Tensor(None)) => v.clone(),
            (Val::Tensor(Some(a)), Val::Tensor(Some(b))) if a.len() == b.len() => {
                Val::tensor(a.iter().zip(b).map(|(a, b)| a.meet(b).unwrap_or_else(|| b.clone())).collect())
            }
            (Val::Tuple(a), Val::Tuple(b)) if a.len() == b.len() => Val::Tuple(all(a, b)),
            (Val::Adt(i, a), Val::Adt(j, b)) if i == j && a.len() == b.len() => Val::Adt(*i, all(a, b)),
            (Val::List(items), Val::Adt(_, args)) if args.len() == 1 => {
                Val::List(items.iter().map(|v| v.meet(&args[0])).collect())
            }
            _ => self.clone(),
        }
    }

    /// What a written type says, and of what has no shape in it, what is known of the value.
    pub fn over(&self, value: &Val) -> Val {
        let all = |a: &[Val], b: &[Val]| a.iter().zip(b).map(|(a, b)| a.over(b)).collect::<Vec<_>>();
        match (self, value) {
            (Val::Any, v) => v.clone(),
            (Val::Tuple(a), Val::Tuple(b)) if a.len() == b.len() => Val::Tuple(all(a, b)),
            (Val::Adt(i, a), Val::Adt(j, b)) if i == j && a.len() == b.len() => Val::Adt(*i, all(a, b)),
            (Val::Adt(_, args), Val::List(items)) if args.len() == 1 => {
                Val::List(items.iter().map(|v| args[0].over(v)).collect())
            }
            (typed, _) => typed.clone(),
        }
    }

    fn is_same(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Tensor(Some(a)), Val::Tensor(Some(b))) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b) || (a == b))
            }
            (Val::Tensor(None), Val::Tensor(None)) | (Val::Any, Val::Any) => true,
            (Val::Tuple(a), Val::Tuple(b)) | (Val::List(a), Val::List(b)) | (Val::Adt(_, a), Val::Adt(_, b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
            }
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Size(a), Val::Size(b)) => a == b,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            _ => false,
        }
    }

    /// Joins `more` in; whether that changed anything.
    pub fn widen(&mut self, more: &Val) -> bool {
        let joined = self.join(more);
        let changed = !self.is_same(&joined);
        *self = joined;
        changed
    }
}

/// How a value fits a place that states shapes.
#[derive(Debug)]
pub enum Fit {
    /// It always does.
    Proven,
    /// Only the running program can tell.
    Open,
    /// It never does.
    Differs(ShapeError),
}

impl Fit {
    fn and(self, other: Fit) -> Fit {
        match (self, other) {
            (Fit::Differs(why), _) | (_, Fit::Differs(why)) => Fit::Differs(why),
            (Fit::Open, _) | (_, Fit::Open) => Fit::Open,
            _ => Fit::Proven,
        }
    }
}

/// Compares a value with what a place asks for; `want` comes from a type.
pub fn fit(have: &Val, want: &Val) -> Fit {
    let all = |a: &[Val], b: &[Val]| a.iter().zip(b).map(|(a, b)| fit(a, b)).fold(Fit::Proven, Fit::and);
    match (have, want) {
        (_, Val::Any | Val::Tensor(None)) => Fit::Proven,
        (Val::Tensor(Some(have)), Val::Tensor(Some(want))) => match rules::fits(have, want) {
            Err(why) => Fit::Differs(why),
            Ok(_) if have.iter().zip(want).all(|(h, w)| *w == Symbolic::Unknown || h.same(w)) => Fit::Proven,
            Ok(_) => Fit::Open,
        },
        (Val::List(items), Val::Adt(_, args)) if args.len() == 1 => {
            items.iter().map(|v| fit(v, &args[0])).fold(Fit::Proven, Fit::and)
        }
        (Val::Tuple(a), Val::Tuple(b)) if a.len() == b.len() => all(a, b),
        (Val::Adt(i, a), Val::Adt(j, b)) if i == j && a.len() == b.len() => all(a, b),
        _ => Fit::Open,
    }
}

/// What a written type says, with `name` giving the sizes of names. `deep` also says what no check has made sure of: what is inside a
/// `Future`, a `Channel`, ….
pub fn stated(ty: &Ty, lang: &Lang, name: &dyn Fn(&str) -> Symbolic, deep: bool) -> Val {
    match ty {
        Ty::Tensor(TensorTy { dims, .. }) => {
            Val::Tensor(dims.as_ref().map(|dims| dims.iter().map(|d| size_of(d, name)).collect()))
        }
        Ty::Tuple(ts) => Val::Tuple(ts.iter().map(|t| stated(t, lang, name, deep)).collect()),
        Ty::Adt(id, ts) if !ts.is_empty() && (deep || [lang.vec, lang.option, lang.map].contains(id)) => {
            Val::Adt(*id, ts.iter().map(|t| stated(t, lang, name, deep)).collect())
        }
        _ => Val::Any,
    }
}

pub fn size_of(dim: &Dim, name: &dyn Fn(&str) -> Symbolic) -> Symbolic {
    match dim {
        Dim::Number(n) => usize::try_from(*n).map_or(Symbolic::Unknown, Symbolic::from_usize),
        Dim::Name(n) => name(n),
        Dim::Sum(a, b) => size_of(a, name).add(&size_of(b, name)).unwrap_or(Symbolic::Unknown),
        Dim::Product(a, b) => size_of(a, name).mul(&size_of(b, name)).unwrap_or(Symbolic::Unknown),
        Dim::Unknown => Symbolic::Unknown,
    }
}

/// A type with the shapes that are known of its values, to be shown; `None` when they add nothing.
pub fn refined(ty: &Ty, val: &Val, lang: &Lang) -> Option<Ty> {
    let all = |tys: &[Ty], vals: &[Val]| -> Option<Rc<[Ty]>> {
        let new: Vec<Option<Ty>> = tys.iter().zip(vals).map(|(t, v)| refined(t, v, lang)).collect();
        let any = tys.len() == vals.len() && new.iter().any(Option::is_some);
        any.then(|| new.into_iter().zip(tys).map(|(n, t)| n.unwrap_or_else(|| t.clone())).collect())
    };
    match (ty, val) {
        (Ty::Tensor(t), Val::Tensor(Some(dims))) => {
            let dims = dims.iter().map(|d| match (d, d.known()) {
                (_, Some(n)) => Dim::Number(n as u64),
                (Symbolic::Unknown, None) => Dim::Unknown,
                // Sums and products of names are only shown from here on.
                (sum, None) => Dim::Name(Rc::from(sum.to_string())),
            });
            Some(Ty::Tensor(TensorTy { elem: t.elem.clone(), dims: Some(dims.collect()) }))
        }
        (Ty::Tuple(tys), Val::Tuple(vals)) => Some(Ty::Tuple(all(tys, vals)?)),
        (Ty::Adt(id, tys), Val::Adt(of, vals)) if id == of => Some(Ty::Adt(*id, all(tys, vals)?)),
        (Ty::Adt(id, tys), Val::List(_)) if *id == lang.vec => Some(Ty::Adt(*id, all(tys, &[val.item(lang)])?)),
        _ => None,
    }
}

/// `shape [2, 3]`, as labels say it.
pub fn describe(val: &Val) -> Option<String> {
    val.dims().map(|dims| format!("this has shape {}", show(dims)))
}
