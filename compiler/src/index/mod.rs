//! What an editor asks about a program, also about one that does not compile: what a name means, which type an expression has, what
//! a type offers.
//!
//! The checker notes meanings and types by their places (`record`); the tables it worked with are kept as they are. Names are
//! told apart by [`Entity`]; a declaration has one place, the span of its name.
//!
//! Read next: `describe` (as people read it), `members` (what may stand after a `.`).

mod describe;
mod members;
pub(crate) mod record;

pub use describe::{Described, EntityKind, Param as ShownParam, Signature};
pub use members::Member;

use crate::hir::*;
use crate::session::{Checker, Def, FnSource, Parsed, Scope};
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, Span};
use std::collections::HashMap;
use std::rc::Rc;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// A variable or parameter, by the place of its declaration.
    Local(Span),
    Fn(FnId),
    Adt(AdtId),
    Trait(TraitId),
    Alias(u32),
    Const(ConstId),
    Zone(GlobalId),
    Module(ModuleId),
    /// A field of a struct or actor, or a named value of a variant.
    Field {
        adt: AdtId,
        variant: Option<u32>,
        index: u32,
    },
    Variant {
        adt: AdtId,
        variant: u32,
    },
}

impl Entity {
    /// `None` for a name that stands for nothing known. Of overloads, the first.
    pub fn of(def: &Def) -> Option<Entity> {
        Some(match def {
            Def::Fns(ids) => Entity::Fn(*ids.first()?),
            Def::Adt(id) => Entity::Adt(*id),
            Def::Trait(id) => Entity::Trait(*id),
            Def::Alias(i) => Entity::Alias(*i as u32),
            Def::Const(id) => Entity::Const(*id),
            Def::Zone(id) => Entity::Zone(*id),
            Def::Module(id) => Entity::Module(*id),
        })
    }
}

#[derive(Clone, Debug)]
pub struct LocalDecl {
    pub name: Rc<str>,
    pub ty: Ty,
    pub mutable: bool,
}

/// What a declared function has beyond its typed form.
#[derive(Clone, Debug, Default)]
struct FnFacts {
    /// Where its parameters' names stand, in the order of the typed form; an actor's state has none.
    params: Vec<Span>,
    /// Written with `fn`; the others make defaults, constants and first values.
    is_declared: bool,
    has_self: bool,
    is_handler: bool,
    of_trait: Option<(TraitId, u32)>,
}

/// A program as far as it could be understood.
pub struct Index {
    /// Bodies may be missing or hold errors.
    pub program: Program,
    /// In the order of `ModuleId`.
    pub modules: Vec<Parsed>,
    /// Sorted by place. No two overlap.
    uses: Vec<(Span, Entity)>,
    types: HashMap<Span, Ty>,
    locals: HashMap<Span, LocalDecl>,
    fns: Vec<FnFacts>,
    scopes: Vec<Scope>,
    prelude: HashMap<Rc<str>, Def>,
    std_modules: HashMap<Rc<str>, ModuleId>,
    /// Names of the aliases with the module each is in.
    aliases: Vec<(Rc<str>, ModuleId, Span)>,
}

/// What is left of a checker that took notes; the parsed files it looked at come back in [`Index::new`].
pub(crate) struct Notes {
    index: Index,
}

impl Checker<'_> {
    pub(crate) fn finish_with_notes(mut self) -> (Vec<Diagnostic>, Notes) {
        self.sort_diagnostics();
        (std::mem::take(&mut self.diagnostics), self.into_notes())
    }

    fn into_notes(mut self) -> Notes {
        let recorder = self.recorder.take().unwrap_or_default();
        let mut uses: Vec<(Span, Entity)> = recorder.uses.into_iter().filter(|(at, _)| at.start < at.end).collect();
        uses.sort_unstable();
        let types = recorder.types.into_iter().map(|(at, ty)| (at, self.infer.resolve(&ty))).collect();
        let mut locals = recorder.locals;
        locals.values_mut().for_each(|l| l.ty = self.infer.resolve(&l.ty));
        let fns = self
            .fns
            .iter()
            .map(|info| {
                let mut params: Vec<Span> = Vec::new();
                let is_declared = matches!(info.source, FnSource::Decl(_));
                if let FnSource::Decl(decl) = info.source {
                    params.extend(info.actor.map(|_| Span::default()));
                    params.extend(decl.params.iter().map(|p| p.name.span));
                }
                let (has_self, is_handler) = (info.has_self, info.actor.is_some());
                FnFacts { params, is_declared, has_self, is_handler, of_trait: info.of_trait }
            })
            .collect();
        let mut aliases = vec![(Rc::from(""), ModuleId(0), Span::default()); self.aliases.len()];
        for (m, scope) in self.scopes.iter().enumerate() {
            for (name, def) in &scope.names {
                if let (Def::Alias(i), Some(at)) = (def, scope.own.get(name)) {
                    aliases[*i] = (name.clone(), ModuleId(m as u32), *at);
                }
            }
        }
        for def in &mut self.program.fns {
            def.ret = self.infer.resolve(&def.ret);
        }
        Notes {
            index: Index {
                program: self.program,
                modules: Vec::new(),
                uses,
                types,
                locals,
                fns,
                scopes: self.scopes,
                prelude: self.prelude,
                std_modules: self.std_modules,
                aliases,
            },
        }
    }
}

impl Index {
    pub(crate) fn new(notes: Notes, parsed: Vec<Parsed>) -> Index {
        Index { modules: parsed, ..notes.index }
    }

    pub fn module_of(&self, source: SourceId) -> Option<ModuleId> {
        self.modules.iter().position(|m| m.source == source).map(|i| ModuleId(i as u32))
    }

    pub fn is_std(&self, source: SourceId) -> bool {
        self.modules.iter().any(|m| m.source == source && m.is_std)
    }

    /// What the name at a place means: its span, and the entity. A place just behind a name counts.
    pub fn entity_at(&self, source: SourceId, offset: u32) -> Option<(Span, Entity)> {
        let after = self.uses.partition_point(|(at, _)| (at.source, at.start) <= (source, offset));
        let used = self.uses[..after].iter().rev().take_while(|(at, _)| at.source == source);
        let mut near = used.take(4).filter(|(at, _)| at.end >= offset).map(|(at, e)| (*at, *e));
        near.next().or_else(|| self.declared_at(source, offset))
    }

    fn declared_at(&self, source: SourceId, offset: u32) -> Option<(Span, Entity)> {
        let covers = |at: &Span| at.source == source && at.start <= offset && offset <= at.end;
        if let Some(at) = self.locals.keys().find(|at| covers(at)) {
            return Some((*at, Entity::Local(*at)));
        }
        self.entities().map(|e| (self.place(e), e)).find(|(at, _)| at.start < at.end && covers(at))
    }

    /// Everything that is declared, variables left out.
    pub fn entities(&self) -> impl Iterator<Item = Entity> + '_ {
        let adts = self.program.adts.iter().enumerate().flat_map(|(i, adt)| {
            let id = AdtId(i as u32);
            let fields = |variant: Option<u32>, n: usize| {
                (0..n as u32).map(move |index| Entity::Field { adt: id, variant, index })
            };
            let mut out = vec![Entity::Adt(id)];
            match &adt.kind {
                AdtKind::Enum(variants) => {
                    for (v, variant) in variants.iter().enumerate() {
                        out.push(Entity::Variant { adt: id, variant: v as u32 });
                        out.extend(fields(Some(v as u32), variant.fields.len()));
                    }
                }
                _ => out.extend(fields(None, self.program.fields_of(id, None).len())),
            }
            out
        });
        let fns = self.fns.iter().enumerate().filter(|(_, f)| f.is_declared).map(|(i, _)| Entity::Fn(FnId(i as u32)));
        let traits = (0..self.program.traits.len()).map(|i| Entity::Trait(TraitId(i as u32)));
        let aliases = (0..self.aliases.len()).map(|i| Entity::Alias(i as u32));
        let consts = (0..self.program.consts.len()).map(|i| Entity::Const(ConstId(i as u32)));
        let zones = self.program.globals.iter().enumerate().filter(|(_, g)| g.zone_init.is_some());
        let zones = zones.map(|(i, _)| Entity::Zone(GlobalId(i as u32)));
        adts.chain(traits).chain(aliases).chain(consts).chain(zones).chain(fns)
    }

    /// Where the entity's name is declared; a module is its file's first byte.
    pub fn place(&self, entity: Entity) -> Span {
        match entity {
            Entity::Local(at) => at,
            Entity::Fn(id) => self.program.func(id).span,
            Entity::Adt(id) => self.program.adt(id).span,
            Entity::Trait(id) => self.program.traits[id.index()].span,
            Entity::Alias(i) => self.aliases[i as usize].2,
            Entity::Const(id) => self.program.func(self.program.consts[id.index()].init).span,
            Entity::Zone(id) => self.program.globals[id.index()].span,
            Entity::Module(id) => self.modules.get(id.index()).map_or(Span::default(), |m| Span::new(m.source, 0, 0)),
            Entity::Field { adt, variant, index } => {
                self.program.fields_of(adt, variant).get(index as usize).map_or(Span::default(), |f| f.name_span)
            }
            Entity::Variant { adt, variant } => match &self.program.adt(adt).kind {
                AdtKind::Enum(variants) => variants
                    .get(variant as usize)
                    .map_or(Span::default(), |v| Span { end: v.span.start + v.name.len() as u32, ..v.span }),
                _ => Span::default(),
            },
        }
    }

    /// The module it is declared in.
    pub fn home(&self, entity: Entity) -> Option<ModuleId> {
        match entity {
            Entity::Module(id) => Some(id),
            other => self.module_of(self.place(other).source),
        }
    }

    /// The places that name any of these entities, declarations left out, in order.
    pub fn uses_of<'i>(&'i self, entities: &'i [Entity]) -> impl Iterator<Item = Span> + 'i {
        self.uses.iter().filter(|(_, e)| entities.contains(e)).map(|(at, _)| *at)
    }

    /// How many names have a known meaning.
    pub fn n_uses(&self) -> usize {
        self.uses.len()
    }

    /// Every use in a file, in order.
    pub fn uses_in(&self, source: SourceId) -> &[(Span, Entity)] {
        let from = self.uses.partition_point(|(at, _)| at.source < source);
        let to = self.uses.partition_point(|(at, _)| at.source <= source);
        &self.uses[from..to]
    }

    pub fn locals_in(&self, source: SourceId) -> impl Iterator<Item = (Span, &LocalDecl)> {
        self.locals.iter().filter(move |(at, _)| at.source == source).map(|(at, l)| (*at, l))
    }

    pub fn local(&self, at: Span) -> Option<&LocalDecl> {
        self.locals.get(&at)
    }

    /// The type of the expression that takes up exactly this place.
    pub fn type_of(&self, at: Span) -> Option<&Ty> {
        self.types.get(&at)
    }

    /// The smallest typed expression around a place.
    pub fn type_at(&self, source: SourceId, offset: u32) -> Option<(Span, &Ty)> {
        let covers = |at: &Span| at.source == source && at.start <= offset && offset <= at.end;
        let around = self.types.iter().filter(|(at, _)| covers(at));
        around.min_by_key(|(at, _)| (at.end - at.start, at.start)).map(|(at, ty)| (*at, ty))
    }

    /// The type of the smallest typed expression around a name: what a call of it gives, what a field holds.
    pub fn type_around(&self, at: Span) -> Option<&Ty> {
        let covers = |e: &Span| e.source == at.source && e.start <= at.start && at.end <= e.end;
        let around = self.types.iter().filter(|(e, _)| covers(e));
        around.min_by_key(|(e, _)| e.end - e.start).map(|(_, ty)| ty)
    }

    /// What a `.` at a place looks into: of the typed expressions that end there the smallest one.
    pub fn type_ending_at(&self, source: SourceId, offset: u32) -> Option<&Ty> {
        let ends = self.types.iter().filter(|(at, _)| at.source == source && at.end == offset);
        ends.max_by_key(|(at, _)| at.start).map(|(_, ty)| ty)
    }

    /// A trait's method and its implementations are one name: all of them, for any of them.
    pub fn family(&self, entity: Entity) -> Vec<Entity> {
        let Entity::Fn(id) = entity else { return vec![entity] };
        let of_impl = self.program.impls.iter().find_map(|imp| {
            let position = imp.methods.iter().position(|m| *m == Some(id))?;
            Some((imp.trait_?, position))
        });
        let of_trait = self.fns[id.index()].of_trait.map(|(t, p)| (t, p as usize));
        let Some((trait_, position)) = of_impl.or(of_trait) else { return vec![entity] };
        let mut out = vec![Entity::Fn(self.program.traits[trait_.index()].methods[position])];
        let impls = self.program.impls.iter().filter(|i| i.trait_ == Some(trait_));
        out.extend(impls.filter_map(|i| i.methods.get(position).copied().flatten()).map(Entity::Fn));
        out
    }

    /// What may be named in a module without a variable: its own and imported names, the library's.
    pub fn names(&self, module: ModuleId) -> Vec<(Rc<str>, Entity)> {
        let own = self.scopes.get(module.index()).map(|s| &s.names);
        let mut seen: HashMap<Rc<str>, Entity> = HashMap::new();
        for (name, def) in own.into_iter().flatten() {
            seen.extend(Entity::of(def).map(|e| (name.clone(), e)));
        }
        for (name, def) in self.prelude.iter().filter(|(n, _)| !n.starts_with('_')) {
            if let (false, Some(e)) = (seen.contains_key(name), Entity::of(def)) {
                seen.insert(name.clone(), e);
            }
        }
        for (name, id) in &self.std_modules {
            seen.entry(name.clone()).or_insert(Entity::Module(*id));
        }
        let mut out: Vec<_> = seen.into_iter().collect();
        out.sort();
        out
    }

    /// What other modules may name of a module.
    pub fn exports(&self, module: ModuleId) -> Vec<(Rc<str>, Entity)> {
        let Some(scope) = self.scopes.get(module.index()) else { return Vec::new() };
        let own = scope.own.keys().filter(|n| !n.starts_with('_'));
        let mut out: Vec<_> = own.filter_map(|n| Some((n.clone(), Entity::of(scope.names.get(n)?)?))).collect();
        out.sort();
        out
    }

    /// The library's modules, and the program's by their dotted paths.
    pub fn module_names(&self) -> Vec<(Rc<str>, ModuleId)> {
        let known = self.modules.iter().enumerate().filter(|(_, m)| !m.is_prelude && !m.path.is_empty());
        known.map(|(i, m)| (m.path.clone(), ModuleId(i as u32))).collect()
    }

    /// The types that are part of the language, by name.
    pub fn builtin_types(&self) -> &'static [&'static str] {
        crate::types::lower::BUILTIN_TYPES
    }

    pub fn builtin_type(&self, name: &str) -> Option<Ty> {
        crate::types::lower::builtin_type(name)
    }

    /// What a bare name means in a module.
    pub fn named(&self, module: ModuleId, name: &str) -> Option<Entity> {
        let def = self.scopes.get(module.index())?.names.get(name).or_else(|| self.prelude.get(name));
        match def {
            Some(def) => Entity::of(def),
            None => self.std_modules.get(name).map(|id| Entity::Module(*id)),
        }
    }

    /// Every function that a name means where it is overloaded.
    pub fn overloads(&self, entity: Entity) -> Vec<FnId> {
        let Entity::Fn(id) = entity else { return Vec::new() };
        let all = self.scopes.iter().flat_map(|s| s.names.values()).chain(self.prelude.values());
        let mut sets = all.filter_map(|def| match def {
            Def::Fns(ids) if ids.len() > 1 && ids.contains(&id) => Some(ids.clone()),
            _ => None,
        });
        if let Some(ids) = sets.next() {
            return ids;
        }
        // Methods of one type with one name.
        let home = self.program.impls.iter().find(|i| i.methods.contains(&Some(id)) && i.trait_.is_none());
        let name = &self.program.func(id).name;
        let same = |f: &FnId| self.program.func(*f).name == *name;
        match home {
            Some(imp) => imp.methods.iter().flatten().copied().filter(same).collect(),
            None => vec![id],
        }
    }
}
