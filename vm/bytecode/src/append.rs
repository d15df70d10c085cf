//! One module behind another, so that a session's values outlive the code that made them: what was there keeps its
//! numbers, the new module's rows come after it, and its types are the old ones where they are the same.

use crate::instr::Instr;
use crate::module::*;
use crate::operand::*;
use std::collections::HashSet;

impl Module {
    /// Puts `next` behind this module; its entry is the entry from now on. `fresh` are types of `next` that are none of the
    /// old ones, though they may look the same: their declaration is new.
    pub fn append(&mut self, next: Module, fresh: &[TypeId]) {
        let mut types = Matching::new(self, &next, fresh);
        types.match_all();
        let mut n_types = self.types.len() as u32;
        let map: Vec<TypeId> = types
            .found
            .iter()
            .map(|found| {
                found.unwrap_or_else(|| {
                    n_types += 1;
                    TypeId(n_types - 1)
                })
            })
            .collect();
        let is_old = types.found;
        let base = Base {
            types: map,
            functions: self.functions.len() as u32,
            natives: self.natives.len() as u32,
            scalars: self.scalars.len() as u32,
            strings: self.strings.len() as u32,
            blobs: self.blobs.len() as u32,
            globals: self.globals.len() as u32,
            methods: self.methods.len() as u32,
            files: self.files.len() as u32,
        };
        for (desc, old) in next.types.iter().zip(&is_old) {
            if old.is_none() {
                self.types.push(renumber(desc, &mut |t| base.types[t.index()], &mut |f| base.function(f)));
            }
        }
        self.functions.extend(next.functions.into_iter().map(|f| base.function_row(f)));
        self.natives.extend(next.natives.into_iter().map(|mut row| {
            row.type_args.iter_mut().for_each(|t| *t = base.types[t.index()]);
            row.params.iter_mut().for_each(|p| p.ty = base.types[p.ty.index()]);
            row.ret = base.types[row.ret.index()];
            row
        }));
        self.globals.extend(next.globals.into_iter().map(|g| Global { ty: base.types[g.ty.index()], ..g }));
        self.methods.extend(next.methods.into_iter().map(|mut row| {
            row.params.iter_mut().for_each(|t| *t = base.types[t.index()]);
            row.ret = base.types[row.ret.index()];
            row.impls.iter_mut().for_each(|(t, f)| (*t, *f) = (base.types[t.index()], base.function(*f)));
            row.impls.sort();
            row
        }));
        self.scalars.extend(next.scalars);
        self.strings.extend(next.strings);
        self.blobs.extend(next.blobs);
        self.files.extend(next.files);
        self.faults = next.faults.into_iter().map(|(name, t)| (name, base.types[t.index()])).collect();
        self.error_message = next.error_message.map(|m| MethodId(m.0 + base.methods));
        self.entry = base.function(next.entry);
    }
}

/// Where the rows of the new module begin.
struct Base {
    types: Vec<TypeId>,
    functions: u32,
    natives: u32,
    scalars: u32,
    strings: u32,
    blobs: u32,
    globals: u32,
    methods: u32,
    files: u32,
}

impl Base {
    fn function(&self, id: FuncId) -> FuncId {
        FuncId(id.0 + self.functions)
    }

    fn function_row(&self, mut f: Function) -> Function {
        f.registers.iter_mut().for_each(|t| *t = self.types[t.index()]);
        f.ret = self.types[f.ret.index()];
        f.lines.iter_mut().for_each(|line| line.file += self.files);
        for instr in &mut f.code {
            let operands: Vec<Operand> = instr.operands().map(|operand| self.operand(operand)).collect();
            if let Some(moved) = Instr::from_operands(instr.opcode(), &operands) {
                *instr = moved;
            }
        }
        f
    }

    fn operand(&self, operand: Operand) -> Operand {
        match operand {
            Operand::FuncId(id) => Operand::FuncId(self.function(id)),
            Operand::NativeId(id) => Operand::NativeId(NativeId(id.0 + self.natives)),
            Operand::TypeId(id) => Operand::TypeId(self.types[id.index()]),
            Operand::ScalarId(id) => Operand::ScalarId(ScalarId(id.0 + self.scalars)),
            Operand::StrId(id) => Operand::StrId(StrId(id.0 + self.strings)),
            Operand::BlobId(id) => Operand::BlobId(BlobId(id.0 + self.blobs)),
            Operand::GlobalId(id) => Operand::GlobalId(GlobalId(id.0 + self.globals)),
            Operand::MethodId(id) => Operand::MethodId(MethodId(id.0 + self.methods)),
            other => other,
        }
    }
}

/// Which types of a new module are which old ones.
///
/// Types may contain themselves, through structs, enums and actors: such a type is taken for the old one while its parts
/// are compared, and not when one of them differs.
struct Matching<'m> {
    old: &'m Module,
    new: &'m Module,
    fresh: HashSet<TypeId>,
    found: Vec<Option<TypeId>>,
    taken: HashSet<TypeId>,
    /// What was assumed since the comparison began.
    trail: Vec<TypeId>,
}

impl<'m> Matching<'m> {
    fn new(old: &'m Module, new: &'m Module, fresh: &[TypeId]) -> Matching<'m> {
        Matching {
            old,
            new,
            fresh: fresh.iter().copied().collect(),
            found: vec![None; new.types.len()],
            taken: HashSet::new(),
            trail: Vec::new(),
        }
    }

    fn match_all(&mut self) {
        for id in (0..self.new.types.len() as u32).map(TypeId) {
            // The youngest first: it is the one that is visible now.
            for old in (0..self.old.types.len() as u32).rev().map(TypeId) {
                if self.found[id.index()].is_some() {
                    break;
                }
                let begun = self.trail.len();
                if !self.same(id, old) {
                    for undone in self.trail.drain(begun..) {
                        if let Some(old) = self.found[undone.index()].take() {
                            self.taken.remove(&old);
                        }
                    }
                }
            }
        }
    }

    fn same(&mut self, new: TypeId, old: TypeId) -> bool {
        let mut work = vec![(new, old)];
        while let Some((new, old)) = work.pop() {
            if let Some(found) = self.found[new.index()] {
                if found != old {
                    return false;
                }
                continue;
            }
            let (a, b) = (&self.new.types[new.index()], &self.old.types[old.index()]);
            if std::mem::discriminant(a) != std::mem::discriminant(b)
                || self.taken.contains(&old)
                || self.fresh.contains(&new)
            {
                return false;
            }
            let (mut parts, mut others) = (Vec::new(), Vec::new());
            let blank = |desc: &TypeDesc, parts: &mut Vec<TypeId>| {
                let mut note = |t: TypeId| {
                    parts.push(t);
                    TypeId(0)
                };
                renumber(desc, &mut note, &mut |_| FuncId(0))
            };
            if blank(a, &mut parts) != blank(b, &mut others) {
                return false;
            }
            self.found[new.index()] = Some(old);
            self.taken.insert(old);
            self.trail.push(new);
            work.extend(parts.into_iter().zip(others));
        }
        true
    }
}

/// The same type with other numbers in it.
fn renumber(
    desc: &TypeDesc,
    ty: &mut impl FnMut(TypeId) -> TypeId,
    func: &mut impl FnMut(FuncId) -> FuncId,
) -> TypeDesc {
    let mut desc = desc.clone();
    let fields = |fields: &mut Vec<FieldDesc>, ty: &mut dyn FnMut(TypeId) -> TypeId| {
        fields.iter_mut().for_each(|f| f.ty = ty(f.ty));
    };
    match &mut desc {
        TypeDesc::Tuple(types) | TypeDesc::Opaque { args: types, .. } => types.iter_mut().for_each(|t| *t = ty(*t)),
        TypeDesc::Struct { fields: list, .. } => fields(list, ty),
        TypeDesc::Enum { variants, .. } => variants.iter_mut().for_each(|v| fields(&mut v.fields, ty)),
        TypeDesc::Vec(t) | TypeDesc::Set(t) => *t = ty(*t),
        TypeDesc::Map(k, v) => (*k, *v) = (ty(*k), ty(*v)),
        TypeDesc::Fn { params, ret } => {
            params.iter_mut().for_each(|t| *t = ty(*t));
            *ret = ty(*ret);
        }
        TypeDesc::Actor(actor) => {
            fields(&mut actor.fields, ty);
            for handler in &mut actor.handlers {
                (handler.message, handler.ret) = (ty(handler.message), ty(handler.ret));
                handler.func = func(handler.func);
            }
            for hook in [&mut actor.on_start, &mut actor.on_stop, &mut actor.on_error] {
                *hook = hook.map(&mut *func);
            }
        }
        TypeDesc::Unit
        | TypeDesc::Bool
        | TypeDesc::Number(_)
        | TypeDesc::Duration
        | TypeDesc::Instant
        | TypeDesc::Str
        | TypeDesc::Bytes
        | TypeDesc::Dyn { .. }
        | TypeDesc::Tensor { .. } => {}
    }
    desc
}
