//! Concrete types as rows of the module's type table. Tensor shapes are left out: they are checked, not represented.

use super::{Generator, Instance, inout_positions};
use crate::hir::{self, AdtKind, Ty};
use stark_bytecode as bc;
use stark_bytecode::{Elem, FieldDesc, Kind as NumKind, TypeDesc, TypeId};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Default)]
pub struct TypeTable {
    ids: HashMap<Ty, TypeId>,
}

impl TypeTable {
    /// The rows of the types that `wanted` picks.
    pub fn those(&self, wanted: impl Fn(&Ty) -> bool) -> Vec<TypeId> {
        self.ids.iter().filter(|(ty, _)| wanted(ty)).map(|(_, id)| *id).collect()
    }
}

/// Without what bytecode does not tell apart: shapes, and the signature that a model was checked against.
fn erase(ty: &Ty, model: hir::AdtId) -> Ty {
    let erase = |ty: &Ty| erase(ty, model);
    let list = |ts: &Rc<[Ty]>| -> Rc<[Ty]> { ts.iter().map(erase).collect() };
    match ty {
        Ty::Never => Ty::Unit,
        // Where nothing has decided the element type it is as open as that of a bare `Tensor`.
        Ty::Tensor(t) => {
            let elem = t.elem.clone().filter(|of| elem(of).is_some());
            Ty::Tensor(hir::TensorTy { elem, dims: None })
        }
        Ty::Tuple(ts) => Ty::Tuple(list(ts)),
        Ty::Adt(id, _) if *id == model => Ty::Adt(*id, Rc::from([])),
        Ty::Adt(id, ts) => Ty::Adt(*id, list(ts)),
        Ty::Fn(ps, r) => Ty::Fn(list(ps), Rc::new(erase(r))),
        other => other.clone(),
    }
}

/// The element type of a tensor type.
pub fn elem(ty: &Ty) -> Option<Elem> {
    Some(match ty {
        Ty::Bool => Elem::Bool,
        Ty::Num(kind) => match kind {
            NumKind::Float16 => Elem::Float16,
            NumKind::BFloat16 => Elem::BFloat16,
            NumKind::Float32 => Elem::Float32,
            NumKind::Float64 => Elem::Float64,
            NumKind::Int8 => Elem::Int8,
            NumKind::UInt8 => Elem::UInt8,
            NumKind::Int16 => Elem::Int16,
            NumKind::Int32 => Elem::Int32,
            NumKind::Int64 => Elem::Int64,
            _ => return None,
        },
        _ => return None,
    })
}

impl Generator<'_> {
    /// The row of a concrete type.
    pub fn type_id(&mut self, ty: &Ty) -> TypeId {
        if let Some(id) = self.types.ids.get(ty) {
            return *id;
        }
        let erased = erase(ty, self.program.lang.model);
        if erased != *ty {
            let id = self.type_id(&erased);
            self.types.ids.insert(ty.clone(), id);
            return id;
        }
        // Reserved first: a type may contain itself.
        let id = TypeId(self.module.types.len() as u32);
        self.module.types.push(TypeDesc::Unit);
        self.types.ids.insert(ty.clone(), id);
        let desc = self.describe(ty);
        self.module.types[id.index()] = desc;
        id
    }

    fn type_ids(&mut self, tys: &[Ty]) -> Vec<TypeId> {
        tys.iter().map(|t| self.type_id(t)).collect()
    }

    fn describe(&mut self, ty: &Ty) -> TypeDesc {
        match ty {
            Ty::Num(kind) => TypeDesc::Number(*kind),
            Ty::Bool => TypeDesc::Bool,
            Ty::Str => TypeDesc::Str,
            Ty::Bytes => TypeDesc::Bytes,
            Ty::Duration => TypeDesc::Duration,
            Ty::Instant => TypeDesc::Instant,
            // A type that nothing decides (`None` that is never looked into) has no values: any row will do.
            Ty::Unit | Ty::Never | Ty::Error | Ty::Infer(_) | Ty::Param(..) => TypeDesc::Unit,
            Ty::Tuple(ts) => TypeDesc::Tuple(self.type_ids(ts)),
            Ty::Fn(params, ret) => TypeDesc::Fn { params: self.type_ids(params), ret: self.type_id(ret) },
            Ty::Tensor(t) => TypeDesc::Tensor { elem: t.elem.as_ref().and_then(|e| elem(e)) },
            Ty::Dyn(..) => TypeDesc::Dyn { trait_name: self.trait_name(ty) },
            Ty::Adt(id, args) => self.describe_adt(*id, args),
        }
    }

    /// `Shape`, `Iterator<Int>`: dynamic types of different arguments are different types.
    fn trait_name(&self, ty: &Ty) -> String {
        let Ty::Dyn(trait_, args) = ty else { return String::new() };
        let name = self.program.traits[trait_.index()].name.to_string();
        if args.is_empty() {
            name
        } else {
            format!("{name}<{}>", args.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(", "))
        }
    }

    fn describe_adt(&mut self, id: hir::AdtId, args: &[Ty]) -> TypeDesc {
        let program = self.program;
        let adt = program.adt(id);
        let name = adt.name.to_string();
        match &adt.kind {
            AdtKind::Struct(fields) => TypeDesc::Struct { name, fields: self.fields(fields, args) },
            AdtKind::Enum(variants) => TypeDesc::Enum {
                name,
                variants: variants
                    .iter()
                    .map(|v| bc::VariantDesc { name: v.name.to_string(), fields: self.fields(&v.fields, args) })
                    .collect(),
            },
            AdtKind::Opaque => {
                let ids = self.type_ids(args);
                match (&*name, &ids[..]) {
                    ("Vec", [t]) => TypeDesc::Vec(*t),
                    ("Map", [k, v]) => TypeDesc::Map(*k, *v),
                    ("Set", [t]) => TypeDesc::Set(*t),
                    _ => TypeDesc::Opaque { name, args: ids },
                }
            }
            AdtKind::Actor(actor) => {
                let size = |dim: &hir::Dim| match dim {
                    hir::Dim::Number(n) => u64::try_from(*n).ok(),
                    _ => None,
                };
                let handlers = actor
                    .handlers
                    .iter()
                    .map(|h| {
                        let decl = program.func(h.func);
                        let message: Rc<[Ty]> = decl.params[1..].iter().map(|p| p.ty.subst(args)).collect();
                        let batch = h.batch.as_ref().map(|b| bc::BatchDesc {
                            max_size: b.max_size,
                            max_delay_ns: b.max_delay_ns,
                            as_vec: b.as_vec,
                            dims: match message.first() {
                                Some(Ty::Tensor(t)) => t.dims.as_ref().map(|dims| dims.iter().map(size).collect()),
                                _ => None,
                            },
                            cat: b.cat,
                        });
                        debug_assert_eq!(inout_positions(&decl.params), [0]);
                        bc::HandlerDesc {
                            name: h.name.to_string(),
                            func: self.instance(Instance::Fn(h.func, args.to_vec())),
                            message: self.type_id(&Ty::Tuple(message)),
                            ret: self.type_id(&decl.ret.subst(args)),
                            batch,
                        }
                    })
                    .collect();
                let mut hook = |f: Option<hir::FnId>| f.map(|f| self.instance(Instance::Fn(f, args.to_vec())));
                let (on_start, on_stop, on_error) = (hook(actor.on_start), hook(actor.on_stop), hook(actor.on_error));
                let fields = self.fields(&actor.fields, args);
                let has_receive = actor.has_receive;
                TypeDesc::Actor(Box::new(bc::ActorDesc {
                    name,
                    fields,
                    handlers,
                    has_receive,
                    on_start,
                    on_stop,
                    on_error,
                }))
            }
        }
    }

    fn fields(&mut self, fields: &[hir::FieldDef], args: &[Ty]) -> Vec<FieldDesc> {
        fields.iter().map(|f| FieldDesc { name: f.name.to_string(), ty: self.type_id(&f.ty.subst(args)) }).collect()
    }
}
