//! What may stand behind a value and a `.`, or behind a type and `::`.

use super::{Entity, Index};
use crate::hir::*;
use std::collections::HashSet;
use std::rc::Rc;

#[derive(Clone, Debug)]
pub struct Member {
    pub name: Rc<str>,
    pub entity: Option<Entity>,
    /// With the receiver's type arguments put in: `Int`, `(f: fn(Int) -> U) -> Vec<U>`.
    pub detail: String,
    pub is_call: bool,
    /// From a trait rather than from the type itself.
    pub of_trait: bool,
}

struct Found {
    members: Vec<Member>,
    seen: HashSet<Rc<str>>,
    from: ModuleId,
}

impl Index {
    /// Fields and methods of a value, as seen from a module.
    pub fn members(&self, ty: &Ty, from: ModuleId) -> Vec<Member> {
        let mut found = Found { members: Vec::new(), seen: HashSet::new(), from };
        self.add_fields(ty, &mut found);
        self.add_messages(ty, &mut found);
        self.add_methods(ty, true, &mut found);
        if let Ty::Adt(id, _) = ty
            && (*id == self.program.lang.future || *id == self.program.lang.join_handle)
        {
            self.push(&mut found, "await", None, "the value, when it is there".into(), false, false);
        }
        found.members.sort_by(|a, b| (a.of_trait, &a.name).cmp(&(b.of_trait, &b.name)));
        found.members
    }

    /// What a type's name reaches with `::`: variants, functions without `self`, `new`.
    pub fn associated(&self, ty: &Ty, from: ModuleId) -> Vec<Member> {
        let mut found = Found { members: Vec::new(), seen: HashSet::new(), from };
        if let Ty::Adt(id, args) = ty {
            match &self.program.adt(*id).kind {
                AdtKind::Enum(variants) => {
                    for (v, variant) in variants.iter().enumerate() {
                        let fields: Vec<String> = variant.fields.iter().map(|f| self.show(&f.ty.subst(args))).collect();
                        let is_call = !fields.is_empty();
                        let detail = if is_call { format!("({})", fields.join(", ")) } else { String::new() };
                        let entity = Entity::Variant { adt: *id, variant: v as u32 };
                        self.push(&mut found, &variant.name, Some(entity), detail, is_call, false);
                    }
                }
                AdtKind::Struct(_) | AdtKind::Actor(_) => {
                    let fields = self.program.fields_of(*id, None);
                    let list: Vec<String> =
                        fields.iter().map(|f| format!("{}: {}", f.name, self.show(&f.ty.subst(args)))).collect();
                    let own = self.program.impls.iter().any(|i| {
                        let names_new = |f: &FnId| self.program.func(*f).name.ends_with(".new");
                        matches!(&i.target, Ty::Adt(t, _) if t == id) && i.methods.iter().flatten().any(names_new)
                    });
                    if !own {
                        let detail = format!("({})", list.join(", "));
                        self.push(&mut found, "new", Some(Entity::Adt(*id)), detail, true, false);
                    }
                }
                AdtKind::Opaque => {}
            }
        }
        self.add_methods(ty, false, &mut found);
        if matches!(ty, Ty::Num(_)) {
            for limit in ["max", "min"] {
                self.push(&mut found, limit, None, self.show(ty), false, false);
            }
        }
        found.members
    }

    fn push(
        &self,
        found: &mut Found,
        name: &str,
        entity: Option<Entity>,
        detail: String,
        is_call: bool,
        of_trait: bool,
    ) {
        let foreign = || entity.and_then(|e| self.home(e)) != Some(found.from);
        if name.is_empty() || (name.starts_with('_') && foreign()) {
            return;
        }
        let name: Rc<str> = Rc::from(name);
        if found.seen.insert(name.clone()) {
            found.members.push(Member { name, entity, detail, is_call, of_trait });
        }
    }

    fn add_fields(&self, ty: &Ty, found: &mut Found) {
        match ty {
            Ty::Adt(id, args) => {
                let AdtKind::Struct(fields) = &self.program.adt(*id).kind else { return };
                for (i, f) in fields.iter().enumerate() {
                    let entity = Entity::Field { adt: *id, variant: None, index: i as u32 };
                    let detail = self.show(&f.ty.subst(args));
                    self.push(found, &f.name, Some(entity), detail, false, false);
                }
            }
            Ty::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.push(found, &i.to_string(), None, self.show(item), false, false);
                }
            }
            _ => {}
        }
    }

    /// What an actor may be asked.
    fn add_messages(&self, ty: &Ty, found: &mut Found) {
        let Ty::Adt(id, args) = ty else { return };
        let lang = &self.program.lang;
        if *id == lang.model_actor_ref
            && let [input, output] = &args[..]
        {
            let (input, output) = (self.show(input), self.show(output));
            self.push(found, "ask", None, format!("(input: {input}) -> Future<{output}>"), true, false);
            self.push(found, "send", None, format!("(input: {input})"), true, false);
            let detail = format!("(inputs: Vec<{input}>) -> Future<Vec<{output}>>");
            self.push(found, "batch_ask", None, detail, true, false);
        }
        if *id != lang.actor_ref {
            return;
        }
        let Some(Ty::Adt(actor, actor_args)) = args.first() else { return };
        let AdtKind::Actor(def) = &self.program.adt(*actor).kind else { return };
        for handler in &def.handlers {
            let entity = Entity::Fn(handler.func);
            let (params, ret) = self.call_parts(handler.func, actor_args, 1);
            let first = def.has_receive && def.handlers.first().is_some_and(|h| h.func == handler.func);
            if first {
                self.push(found, "ask", Some(entity), format!("({params}) -> Future<{ret}>"), true, false);
                self.push(found, "send", Some(entity), format!("({params})"), true, false);
                let detail = format!("(inputs: Vec<…>) -> Future<Vec<{ret}>>");
                self.push(found, "batch_ask", Some(entity), detail, true, false);
            } else {
                self.push(found, &handler.name, Some(entity), format!("({params}) -> Future<{ret}>"), true, false);
            }
        }
    }

    fn call_parts(&self, func: FnId, args: &[Ty], skip: usize) -> (String, String) {
        let def = self.program.func(func);
        // The method's own parameters stay as they are.
        let own = (args.len()..def.generics.len()).map(|i| Ty::Param(i as u32, def.generics[i].name.clone()));
        let args: Vec<Ty> = args.iter().cloned().chain(own).collect();
        let params: Vec<String> =
            def.params.iter().skip(skip).map(|p| format!("{}: {}", p.name, self.show(&p.ty.subst(&args)))).collect();
        (params.join(", "), self.show(&def.ret.subst(&args)))
    }

    fn add_method(&self, func: FnId, args: &[Ty], with_self: bool, of_trait: bool, found: &mut Found) {
        let facts = &self.fns[func.index()];
        if facts.has_self != with_self {
            return;
        }
        let (params, ret) = self.call_parts(func, args, usize::from(with_self));
        let detail = if ret == "()" { format!("({params})") } else { format!("({params}) -> {ret}") };
        let name = self.name_of(Entity::Fn(func));
        self.push(found, &name, Some(Entity::Fn(func)), detail, true, of_trait);
    }

    fn add_methods(&self, ty: &Ty, with_self: bool, found: &mut Found) {
        if let Ty::Param(i, _) = ty {
            return self.add_bounds(*i, ty, with_self, found);
        }
        if let Ty::Dyn(id, args) = ty {
            return self.add_trait(*id, args, ty, with_self, found);
        }
        for imp in &self.program.impls {
            let mut bound = vec![None; imp.generics.len()];
            if !imp.target.match_pattern(ty, &mut bound) {
                continue;
            }
            let args: Vec<Ty> = bound
                .into_iter()
                .enumerate()
                .map(|(i, t)| t.unwrap_or_else(|| Ty::Param(i as u32, imp.generics[i].name.clone())))
                .collect();
            let fits = imp.generics.iter().zip(&args).all(|(g, arg)| g.bounds.iter().all(|b| self.can(arg, b)));
            if !fits {
                continue;
            }
            for func in imp.methods.iter().flatten() {
                self.add_method(*func, &args, with_self, imp.trait_.is_some(), found);
            }
            let Some(trait_) = imp.trait_ else { continue };
            for (default, own) in self.program.traits[trait_.index()].methods.iter().zip(&imp.methods) {
                if own.is_none() {
                    let mut all = vec![ty.clone()];
                    all.extend(imp.trait_args.iter().map(|t| t.subst(&args)));
                    self.add_method(*default, &all, with_self, true, found);
                }
            }
        }
        for trait_ in [self.program.lang.show, self.program.lang.eq, self.program.lang.ord, self.program.lang.hash] {
            if self.program.traits.get(trait_.index()).is_some() {
                self.add_trait(trait_, &Rc::from([]), ty, with_self, found);
            }
        }
    }

    /// Whether a type argument may be what a bound asks for; what is not known may.
    fn can(&self, ty: &Ty, bound: &Bound) -> bool {
        let lang = &self.program.lang;
        match (ty, bound) {
            (Ty::Param(..) | Ty::Infer(_) | Ty::Error, _) => true,
            (Ty::Num(kind), Bound::Integer) => !kind.is_float(),
            (Ty::Num(kind), Bound::Floating) => kind.is_float(),
            (Ty::Num(_), Bound::Number) => true,
            (_, Bound::Integer | Bound::Floating | Bound::Number) => false,
            (Ty::Adt(id, _), Bound::Actor) => matches!(self.program.adt(*id).kind, AdtKind::Actor(_)),
            (_, Bound::Actor) => false,
            (_, Bound::Trait(id, _)) if [lang.show, lang.eq, lang.ord, lang.hash].contains(id) => true,
            (ty, Bound::Trait(id, _)) => self.program.find_impl(*id, ty).is_some(),
        }
    }

    fn add_trait(&self, id: TraitId, args: &Rc<[Ty]>, self_ty: &Ty, with_self: bool, found: &mut Found) {
        let mut seen = vec![id];
        let mut todo = vec![(id, args.clone())];
        while let Some((id, args)) = todo.pop() {
            let all: Vec<Ty> = std::iter::once(self_ty.clone()).chain(args.iter().cloned()).collect();
            for func in &self.program.traits[id.index()].methods {
                self.add_method(*func, &all, with_self, true, found);
            }
            for (next, theirs) in &self.program.traits[id.index()].supers {
                if !seen.contains(next) {
                    seen.push(*next);
                    todo.push((*next, theirs.iter().map(|t| t.subst(&all)).collect()));
                }
            }
        }
    }

    /// The traits that a type parameter promises: those of every declaration that has a parameter of this name at this position.
    fn add_bounds(&self, position: u32, ty: &Ty, with_self: bool, found: &mut Found) {
        let Ty::Param(_, name) = ty else { return };
        let own = self.program.fns.iter().filter(|f| f.module == found.from);
        let bounds: Vec<Bound> = own
            .filter_map(|f| f.generics.get(position as usize))
            .filter(|g| g.name == *name)
            .flat_map(|g| g.bounds.iter().cloned())
            .collect();
        for bound in bounds {
            if let Bound::Trait(id, args) = bound {
                self.add_trait(id, &args, ty, with_self, found);
            }
        }
    }
}
