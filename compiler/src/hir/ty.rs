//! Types as the checker knows them, with everything a declaration says resolved to ids.

use std::rc::Rc;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u32);
        impl $name { pub fn index(self) -> usize { self.0 as usize } }
    )* };
}

ids! {
    /// A struct, enum, actor or opaque type.
    AdtId;
    TraitId;
    ImplId;
    FnId;
    ConstId;
    GlobalId;
    /// A variable of one body.
    LocalId;
    ModuleId;
}

pub use stark_bytecode::Kind as NumKind;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    Num(NumKind),
    Bool,
    Str,
    Bytes,
    Duration,
    Instant,
    Unit,
    /// The type of `return`, `throw`, …: fits every type.
    Never,
    Tuple(Rc<[Ty]>),
    /// Parameters are values: a function value has no `&mut` parameters.
    Fn(Rc<[Ty]>, Rc<Ty>),
    /// Struct, enum, actor state, or a VM-made type (`Vec`, `Map`, `Option`, `Future`, `Model`, …).
    Adt(AdtId, Rc<[Ty]>),
    Tensor(TensorTy),
    /// A trait's name used as a type, with the trait's arguments.
    Dyn(TraitId, Rc<[Ty]>),
    /// A type parameter: its position in the generics of the function or impl (an impl's, or a trait's `Self`, come first).
    Param(u32, Rc<str>),
    /// Not known yet; only while a body is checked.
    Infer(u32),
    /// Something wrong was already reported.
    Error,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorTy {
    /// A number type or `Bool`; `None` for the bare `Tensor`, whose element type is only known at run time. May be a `Param`.
    pub elem: Option<Rc<Ty>>,
    /// `None`: the rank is open.
    pub dims: Option<Rc<[Dim]>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Dim {
    Number(u64),
    /// A name bound by the function's signature.
    Name(Rc<str>),
    Sum(Rc<Dim>, Rc<Dim>),
    Product(Rc<Dim>, Rc<Dim>),
    /// `_`
    Unknown,
}

impl Ty {
    pub const INT: Ty = Ty::Num(NumKind::Int64);
    pub const FLOAT: Ty = Ty::Num(NumKind::Float64);

    /// The type with parameter `i` replaced by `args[i]`.
    pub fn subst(&self, args: &[Ty]) -> Ty {
        let list = |ts: &Rc<[Ty]>| -> Rc<[Ty]> { ts.iter().map(|t| t.subst(args)).collect() };
        match self {
            Ty::Param(i, _) => args.get(*i as usize).cloned().unwrap_or(Ty::Error),
            _ if args.is_empty() => self.clone(),
            Ty::Tuple(ts) => Ty::Tuple(list(ts)),
            Ty::Fn(ps, r) => Ty::Fn(list(ps), Rc::new(r.subst(args))),
            Ty::Adt(id, ts) => Ty::Adt(*id, list(ts)),
            Ty::Dyn(id, ts) => Ty::Dyn(*id, list(ts)),
            Ty::Tensor(t) => {
                Ty::Tensor(TensorTy { elem: t.elem.as_ref().map(|e| Rc::new(e.subst(args))), dims: t.dims.clone() })
            }
            other => other.clone(),
        }
    }

    /// One-way matching: binds the parameters of `self` (a pattern such as an impl's target) so that it equals `concrete`.
    pub fn match_pattern(&self, concrete: &Ty, bound: &mut Vec<Option<Ty>>) -> bool {
        match (self, concrete) {
            (Ty::Param(i, _), t) => {
                let i = *i as usize;
                if bound.len() <= i {
                    bound.resize(i + 1, None);
                }
                match &bound[i] {
                    Some(known) => known == t,
                    None => {
                        bound[i] = Some(t.clone());
                        true
                    }
                }
            }
            (Ty::Tuple(a), Ty::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.match_pattern(b, bound))
            }
            (Ty::Fn(a, r), Ty::Fn(b, s)) => {
                a.len() == b.len()
                    && a.iter().zip(b.iter()).all(|(a, b)| a.match_pattern(b, bound))
                    && r.match_pattern(s, bound)
            }
            (Ty::Dyn(a, ta), Ty::Dyn(b, tb)) => {
                a == b && ta.len() == tb.len() && ta.iter().zip(tb.iter()).all(|(a, b)| a.match_pattern(b, bound))
            }
            (Ty::Adt(a, ta), Ty::Adt(b, tb)) => {
                a == b && ta.len() == tb.len() && ta.iter().zip(tb.iter()).all(|(a, b)| a.match_pattern(b, bound))
            }
            (Ty::Tensor(a), Ty::Tensor(b)) => match (&a.elem, &b.elem) {
                (Some(a), Some(b)) => a.match_pattern(b, bound),
                (Some(a), None) => a.match_pattern(&Ty::Error, bound),
                (None, None) => true,
                _ => false,
            },
            (a, b) => a == b,
        }
    }
}
