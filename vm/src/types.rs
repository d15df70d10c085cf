//! Types as the running VM needs them: each `TypeDesc` with its class and pointer map worked out once.
//!
//! A loaded program's types are leaked: objects point at their `TypeInfo` from every thread, and a process loads few
//! programs, so a plain `&'static` is worth more than getting some kilobytes back.

use crate::heap::Shape;
use stark_bytecode::{Kind, TypeDesc, TypeId};
use std::collections::HashSet;
use std::sync::OnceLock;

/// A deeper type's name ends in `…`; one that a module made to contain itself has no end.
const MAX_NAME_DEPTH: u32 = 6;

/// How much two types must have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The same type.
    Exact,
    /// What the machine sees of their values.
    Layout,
}

/// All types of one loaded program.
pub struct Types {
    infos: Vec<TypeInfo>,
}

/// One concrete type.
pub struct TypeInfo {
    pub id: TypeId,
    pub desc: TypeDesc,
    /// Whether slots of this type hold counted references (else plain 64-bit scalars).
    pub is_ref: bool,
    /// One row for a tuple, struct or actor state, one row a variant for an enum, none for the rest.
    layouts: Vec<FieldLayout>,
    table: OnceLock<&'static Types>,
}

/// The slots of an object made of fields.
pub struct FieldLayout {
    pub types: Vec<TypeId>,
    /// Positions of the slots that hold references: the pointer map.
    pub refs: Vec<u16>,
    /// The same as an object has it in its header.
    pub shape: Shape,
    /// One scalar of an enum's variant: it needs no object when it is small.
    pub packs: bool,
}

/// Types of values that natives make without a declared type at hand.
static BUILTIN: OnceLock<Vec<TypeInfo>> = OnceLock::new();
static STR: OnceLock<TypeInfo> = OnceLock::new();
static BYTES: OnceLock<TypeInfo> = OnceLock::new();

impl Types {
    /// Works out and leaks the infos of `descs`. Every `TypeId` in them must be below `descs.len()`, which the verifier checked.
    pub fn leak(descs: &[TypeDesc]) -> &'static Types {
        // Once for all: it walks an enum's variants.
        let refs: Vec<bool> = descs.iter().map(TypeDesc::is_ref).collect();
        let infos =
            descs.iter().enumerate().map(|(i, desc)| TypeInfo::new(TypeId(i as u32), desc.clone(), &refs)).collect();
        let types: &'static Types = Box::leak(Box::new(Types { infos }));
        for info in &types.infos {
            // A fresh table: nobody has set it.
            let _ = info.table.set(types);
        }
        types
    }

    pub fn get(&'static self, id: TypeId) -> &'static TypeInfo {
        &self.infos[id.index()]
    }

    pub fn iter(&'static self) -> impl Iterator<Item = &'static TypeInfo> {
        self.infos.iter()
    }
}

impl TypeInfo {
    /// `refs`: which types of its program are references.
    fn new(id: TypeId, desc: TypeDesc, refs: &[bool]) -> TypeInfo {
        let layout = |types: Vec<TypeId>| {
            let refs: Vec<u16> =
                types.iter().enumerate().filter(|(_, t)| refs[t.index()]).map(|(i, _)| i as u16).collect();
            let packs = matches!(desc, TypeDesc::Enum { .. }) && types.len() == 1 && refs.is_empty();
            FieldLayout { shape: Shape::of(types.len(), &refs), types, refs, packs }
        };
        let layouts = match &desc {
            TypeDesc::Tuple(types) => vec![layout(types.clone())],
            TypeDesc::Struct { fields, .. } => vec![layout(fields.iter().map(|f| f.ty).collect())],
            TypeDesc::Actor(actor) => vec![layout(actor.fields.iter().map(|f| f.ty).collect())],
            TypeDesc::Enum { variants, .. } => {
                variants.iter().map(|v| layout(v.fields.iter().map(|f| f.ty).collect())).collect()
            }
            _ => Vec::new(),
        };
        TypeInfo { id, is_ref: desc.is_ref(), desc, layouts, table: OnceLock::new() }
    }

    /// `String`, for values made outside any module's types.
    pub fn str() -> &'static TypeInfo {
        STR.get_or_init(|| TypeInfo::new(TypeId(u32::MAX), TypeDesc::Str, &[]))
    }

    /// `Bytes`, for values made outside any module's types.
    pub fn bytes() -> &'static TypeInfo {
        BYTES.get_or_init(|| TypeInfo::new(TypeId(u32::MAX - 1), TypeDesc::Bytes, &[]))
    }

    /// A scalar type, outside any module's types.
    pub fn builtin(desc: &TypeDesc) -> &'static TypeInfo {
        let all = BUILTIN.get_or_init(|| {
            let scalars = [TypeDesc::Unit, TypeDesc::Bool, TypeDesc::Duration, TypeDesc::Instant];
            let numbers = Kind::ALL.iter().map(|&kind| TypeDesc::Number(kind));
            scalars.into_iter().chain(numbers).map(|d| TypeInfo::new(TypeId(u32::MAX), d, &[])).collect()
        });
        // By place: natives answer with these all the time.
        let place = match desc {
            TypeDesc::Unit => 0,
            TypeDesc::Bool => 1,
            TypeDesc::Duration => 2,
            TypeDesc::Instant => 3,
            TypeDesc::Number(kind) => 4 + *kind as usize,
            other => panic!("{other:?} is no scalar type"),
        };
        let info = &all[place];
        debug_assert_eq!(info.desc, *desc);
        info
    }

    /// The type with number `id` in the same program.
    pub fn sibling(&self, id: TypeId) -> &'static TypeInfo {
        self.table.get().expect("a type that names others belongs to a program").get(id)
    }

    /// The fields of a tuple, struct or actor state (variant 0), or of an enum's variant.
    pub fn layout(&self, variant: u16) -> &FieldLayout {
        &self.layouts[usize::from(variant)]
    }

    pub fn has_layouts(&self) -> bool {
        !self.layouts.is_empty()
    }

    /// The type of a field (variant 0 for anything but enums).
    pub fn field(&self, variant: u16, field: usize) -> &'static TypeInfo {
        self.sibling(self.layout(variant).types[field])
    }

    /// The element type of a `Vec` or `Set`, the key type of a `Map`.
    pub fn elem(&self) -> &'static TypeInfo {
        match &self.desc {
            TypeDesc::Vec(t) | TypeDesc::Set(t) | TypeDesc::Map(t, _) => self.sibling(*t),
            other => panic!("{other:?} has no elements"),
        }
    }

    /// The value type of a `Map`.
    pub fn map_value(&self) -> &'static TypeInfo {
        match &self.desc {
            TypeDesc::Map(_, v) => self.sibling(*v),
            other => panic!("{other:?} has no values"),
        }
    }

    /// The type's arguments, for a type the VM makes itself (`Channel<T>` …).
    pub fn opaque_arg(&self, i: usize) -> &'static TypeInfo {
        match &self.desc {
            TypeDesc::Opaque { args, .. } => self.sibling(args[i]),
            other => panic!("{other:?} has no type arguments"),
        }
    }

    /// The number of the variant called `name`.
    pub fn variant_named(&self, name: &str) -> Option<u16> {
        match &self.desc {
            TypeDesc::Enum { variants, .. } => variants.iter().position(|v| v.name == name).map(|i| i as u16),
            _ => None,
        }
    }

    /// Whether values of `self` may stand where `other` is declared: what their slots and objects look like is the same
    /// all the way down. All number types are one word; a tensor and a dynamic value know themselves what they hold. Two
    /// rows of a module may describe one type, so this compares what they are, not their numbers.
    pub fn stands_for(&self, other: &TypeInfo) -> bool {
        std::ptr::eq(self, other) || self.alike(other, Likeness::Layout)
    }

    /// Whether both describe the same type, by structure: two rows of a module may. Values of one are values of the other.
    pub fn same_as(&self, other: &TypeInfo) -> bool {
        std::ptr::eq(self, other) || self.alike(other, Likeness::Exact)
    }

    fn alike(&self, other: &TypeInfo, likeness: Likeness) -> bool {
        if self.is_ref != other.is_ref || std::mem::discriminant(&self.desc) != std::mem::discriminant(&other.desc) {
            return false;
        }
        // Most types have no parts: they are told without a worklist.
        match (&self.desc, &other.desc) {
            (
                TypeDesc::Unit
                | TypeDesc::Bool
                | TypeDesc::Number(_)
                | TypeDesc::Duration
                | TypeDesc::Instant
                | TypeDesc::Str
                | TypeDesc::Bytes
                | TypeDesc::Tensor { .. }
                | TypeDesc::Dyn { .. },
                _,
            ) => return likeness == Likeness::Layout || self.desc == other.desc,
            _ => {}
        }
        // Types may contain themselves: a pair that is being compared already is taken for the same.
        let mut seen: HashSet<(TypeId, TypeId)> = HashSet::new();
        let mut work: Vec<(&TypeInfo, &TypeInfo)> = vec![(self, other)];
        while let Some((a, b)) = work.pop() {
            if std::ptr::eq(a, b) {
                continue;
            }
            let mut pairs = |xs: &mut dyn Iterator<Item = TypeId>, ys: &mut dyn Iterator<Item = TypeId>| loop {
                match (xs.next(), ys.next()) {
                    (Some(x), Some(y)) if x == y && a.is_sibling_of(b) => {}
                    (Some(x), Some(y)) => {
                        if seen.insert((x, y)) {
                            work.push((a.sibling(x), b.sibling(y)));
                        }
                    }
                    (None, None) => return true,
                    _ => return false,
                }
            };
            let same = match (&a.desc, &b.desc) {
                (TypeDesc::Number(_), TypeDesc::Number(_))
                | (TypeDesc::Tensor { .. }, TypeDesc::Tensor { .. })
                | (TypeDesc::Dyn { .. }, TypeDesc::Dyn { .. })
                    if likeness == Likeness::Layout =>
                {
                    true
                }
                (TypeDesc::Tuple(xs), TypeDesc::Tuple(ys)) => pairs(&mut xs.iter().copied(), &mut ys.iter().copied()),
                (TypeDesc::Struct { name: n, fields: xs }, TypeDesc::Struct { name: m, fields: ys }) => {
                    n == m && pairs(&mut xs.iter().map(|f| f.ty), &mut ys.iter().map(|f| f.ty))
                }
                (TypeDesc::Enum { name: n, variants: xs }, TypeDesc::Enum { name: m, variants: ys }) => {
                    n == m
                        && xs.len() == ys.len()
                        && xs
                            .iter()
                            .zip(ys)
                            .all(|(x, y)| pairs(&mut x.fields.iter().map(|f| f.ty), &mut y.fields.iter().map(|f| f.ty)))
                }
                (TypeDesc::Vec(x), TypeDesc::Vec(y)) | (TypeDesc::Set(x), TypeDesc::Set(y)) => {
                    pairs(&mut [*x].into_iter(), &mut [*y].into_iter())
                }
                (TypeDesc::Map(k, v), TypeDesc::Map(l, w)) => {
                    pairs(&mut [*k, *v].into_iter(), &mut [*l, *w].into_iter())
                }
                (TypeDesc::Fn { params: xs, ret: r }, TypeDesc::Fn { params: ys, ret: s }) => {
                    pairs(&mut xs.iter().copied().chain([*r]), &mut ys.iter().copied().chain([*s]))
                }
                (TypeDesc::Opaque { name: n, args: xs }, TypeDesc::Opaque { name: m, args: ys }) => {
                    n == m && pairs(&mut xs.iter().copied(), &mut ys.iter().copied())
                }
                (TypeDesc::Actor(x), TypeDesc::Actor(y)) => {
                    x.name == y.name && pairs(&mut x.fields.iter().map(|f| f.ty), &mut y.fields.iter().map(|f| f.ty))
                }
                (x, y) => x == y,
            };
            if !same {
                return false;
            }
        }
        true
    }

    /// Whether both are types of one program, so that equal numbers are equal types.
    fn is_sibling_of(&self, other: &TypeInfo) -> bool {
        match (self.table.get(), other.table.get()) {
            (Some(a), Some(b)) => std::ptr::eq(*a, *b),
            _ => false,
        }
    }

    /// The type as STARK source writes it.
    pub fn name(&self) -> String {
        self.name_to(MAX_NAME_DEPTH)
    }

    fn name_to(&self, depth: u32) -> String {
        if depth == 0 {
            return "…".into();
        }
        let list = |ids: &[TypeId]| {
            let names: Vec<_> = ids.iter().take(16).map(|t| self.sibling(*t).name_to(depth - 1)).collect();
            names.join(", ")
        };
        match &self.desc {
            TypeDesc::Unit => "()".into(),
            TypeDesc::Bool => "Bool".into(),
            TypeDesc::Number(kind) => kind.name().into(),
            TypeDesc::Duration => "Duration".into(),
            TypeDesc::Instant => "Instant".into(),
            TypeDesc::Str => "String".into(),
            TypeDesc::Bytes => "Bytes".into(),
            TypeDesc::Tuple(types) => format!("({})", list(types)),
            TypeDesc::Struct { name, .. } | TypeDesc::Enum { name, .. } => name.clone(),
            TypeDesc::Vec(t) => format!("Vec<{}>", list(&[*t])),
            TypeDesc::Map(k, v) => format!("Map<{}>", list(&[*k, *v])),
            TypeDesc::Set(t) => format!("Set<{}>", list(&[*t])),
            TypeDesc::Fn { params, ret } => format!("fn({}) -> {}", list(params), list(&[*ret])),
            TypeDesc::Dyn { trait_name } => trait_name.clone(),
            TypeDesc::Tensor { elem: Some(elem) } => format!("Tensor<{elem:?}>"),
            TypeDesc::Tensor { elem: None } => "Tensor".into(),
            TypeDesc::Opaque { name, args } if args.is_empty() => name.clone(),
            TypeDesc::Opaque { name, args } => format!("{name}<{}>", list(args)),
            TypeDesc::Actor(actor) => actor.name.clone(),
        }
    }

    /// The number kind, for number types.
    pub fn number(&self) -> Option<Kind> {
        match self.desc {
            TypeDesc::Number(kind) => Some(kind),
            _ => None,
        }
    }
}

impl std::fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_contain_themselves_are_named_and_compared_in_the_end() {
        let node = |elem: u32, text: u32| TypeDesc::Struct {
            name: "Node".into(),
            fields: [elem, text].map(|ty| stark_bytecode::FieldDesc { name: String::new(), ty: TypeId(ty) }).into(),
        };
        let list = |ty: u32| TypeDesc::Vec(TypeId(ty));
        let types = Types::leak(&[
            list(0),
            list(2),
            node(1, 5),
            list(4),
            node(3, 5),
            TypeDesc::Str,
            list(7),
            node(6, 8),
            TypeDesc::Bytes,
        ]);
        let at = |id: u32| types.get(TypeId(id));
        assert!(at(0).name().ends_with("…>>>>>>"), "{}", at(0).name());
        assert!(at(2).same_as(at(4)) && at(1).stands_for(at(3)));
        assert!(!at(2).same_as(at(7)) && !at(1).stands_for(at(6)));
    }

    #[test]
    fn values_stand_where_their_layout_is_the_same() {
        let number = |kind| TypeDesc::Number(kind);
        let types = Types::leak(&[
            number(Kind::Int64),
            number(Kind::Int8),
            TypeDesc::Vec(TypeId(0)),
            TypeDesc::Vec(TypeId(1)),
            TypeDesc::Str,
            TypeDesc::Vec(TypeId(4)),
        ]);
        let at = |id: u32| types.get(TypeId(id));
        assert!(at(2).stands_for(at(3)) && !at(2).same_as(at(3)));
        assert!(!at(2).stands_for(at(5)) && !at(0).stands_for(at(4)));
    }
}
