//! Items to tables: every declaration gets its id, then its signature, before any body is looked at.

mod actors;
mod attributes;
mod functions;
mod impls;

use crate::hir::*;
use crate::session::*;
use crate::types::infer::VarKind;
use crate::types::show::with_article;
use stark_syntax::ast::{self, ItemKind, PatternKind, StmtKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use stark_syntax::visit::Node;
use std::collections::HashMap;
use std::rc::Rc;

pub fn has_attr(attributes: &[ast::Attribute], name: &str) -> bool {
    attributes.iter().any(|a| &*a.name.name == name)
}

/// The text in `@name("text")`.
pub fn attr_text(attributes: &[ast::Attribute], name: &str) -> Option<Rc<str>> {
    attributes.iter().find(|a| &*a.name.name == name)?.args.first().and_then(|arg| match &arg.value.kind {
        ast::ExprKind::Literal(ast::Literal::Str(s)) => Some(s.clone()),
        _ => None,
    })
}

/// Whether `@name("…", flag)` has the flag.
pub fn attr_has_flag(attributes: &[ast::Attribute], name: &str, flag: &str) -> bool {
    let args = attributes.iter().filter(|a| &*a.name.name == name).flat_map(|a| &a.args);
    args.into_iter().any(|arg| matches!(&arg.value.kind, ast::ExprKind::Name(n) if &**n == flag))
}

/// What each item of each module became, in the order of the items.
#[derive(Clone)]
enum Slot {
    Adt(AdtId),
    Trait(TraitId),
    Fn(FnId),
    Const(ConstId),
    Zone(GlobalId),
    None,
}

impl<'a> Checker<'a> {
    pub fn collect(&mut self, root_idx: usize) {
        let parsed: &'a [Parsed] = self.parsed;
        for (m, p) in parsed.iter().enumerate() {
            self.program.modules.push(ModuleInfo { path: p.path.clone(), source: p.source, is_std: p.is_std });
            self.scopes.push(Scope::default());
            if p.is_std && !p.is_prelude {
                self.std_modules.insert(p.path.clone(), ModuleId(m as u32));
            }
        }
        self.declare_variables(root_idx);
        let mut slots: Vec<Vec<Slot>> = Vec::new();
        for (m, p) in parsed.iter().enumerate() {
            slots.push(
                p.ast.items.iter().enumerate().map(|(i, item)| self.declare(m, i, item, m == root_idx)).collect(),
            );
        }
        self.n_zones = self.program.globals.len();
        self.bind_imports();
        self.find_lang();
        for (m, p) in parsed.iter().enumerate() {
            for (item, slot) in p.ast.items.iter().zip(&slots[m]) {
                self.declare_generics(m, item, slot);
            }
        }
        for (m, p) in parsed.iter().enumerate() {
            for (i, (item, slot)) in p.ast.items.iter().zip(&slots[m]).enumerate() {
                self.declare_fields(m, i, item, slot);
            }
        }
        for (m, p) in parsed.iter().enumerate() {
            for (i, (item, slot)) in p.ast.items.iter().zip(&slots[m]).enumerate() {
                self.declare_signatures(m, i, item, slot);
            }
        }
        self.check_recursive_types();
        self.fill_lang_fns();
    }

    fn bind_own(&mut self, module: usize, name: &Rc<str>, def: Def, span: Span, overload: bool) {
        if name.is_empty() {
            return;
        }
        if overload && let (Some(Def::Fns(list)), Def::Fns(new)) = (self.scopes[module].names.get_mut(name), &def) {
            list.extend(new.iter().copied());
            if self.parsed[module].is_prelude {
                self.bind_prelude(name, def);
            }
            return;
        }
        if let Some(first) = self.scopes[module].own.get(name).copied() {
            self.report(
                Diagnostic::error(
                    codes::DUPLICATE_DEFINITION,
                    format!("`{name}` is declared twice"),
                    span,
                    "again here",
                )
                .because(first, "first declared here"),
            );
            return;
        }
        self.scopes[module].own.insert(name.clone(), span);
        self.scopes[module].names.insert(name.clone(), def.clone());
        if self.parsed[module].is_prelude {
            self.bind_prelude(name, def);
        }
    }

    fn bind_prelude(&mut self, name: &Rc<str>, def: Def) {
        match (self.prelude.get_mut(name), &def) {
            (Some(Def::Fns(list)), Def::Fns(new)) => list.extend(new.iter().copied()),
            _ => {
                self.prelude.insert(name.clone(), def);
            }
        }
    }

    fn declare(&mut self, m: usize, i: usize, item: &'a ast::Item, is_root: bool) -> Slot {
        let module = ModuleId(m as u32);
        let attrs = &item.attributes;
        if !self.parsed[m].is_std {
            self.check_attributes(item);
        }
        match &item.kind {
            ItemKind::Fn(f) => {
                let id = self.new_fn(&f.name.name, module, f.name.span, FnSource::Decl(f), i);
                let name = attr_text(attrs, "called").unwrap_or_else(|| f.name.name.clone());
                let overload = has_attr(attrs, "overload");
                self.fns[id.index()].overload = overload;
                self.bind_own(m, &name, Def::Fns(vec![id]), f.name.span, overload);
                Slot::Fn(id)
            }
            ItemKind::Struct(s) => {
                let kind = if has_attr(attrs, "opaque") { AdtKind::Opaque } else { AdtKind::Struct(Vec::new()) };
                self.declare_adt(m, &s.name, kind, has_attr(attrs, "unique"))
            }
            ItemKind::Enum(e) => self.declare_adt(m, &e.name, AdtKind::Enum(Vec::new()), has_attr(attrs, "unique")),
            ItemKind::Actor(a) => {
                let def = ActorDef {
                    fields: Vec::new(),
                    handlers: Vec::new(),
                    has_receive: false,
                    on_start: None,
                    on_stop: None,
                    on_error: None,
                };
                self.declare_adt(m, &a.name, AdtKind::Actor(def), false)
            }
            ItemKind::Trait(t) => {
                let id = TraitId(self.program.traits.len() as u32);
                let name = t.name.name.clone();
                self.program.traits.push(Trait {
                    name: name.clone(),
                    module,
                    methods: Vec::new(),
                    supers: Vec::new(),
                    span: t.name.span,
                });
                let builtin = has_attr(attrs, "builtin").then(|| match &*name {
                    "Integer" => Bound::Integer,
                    "Floating" => Bound::Floating,
                    "Actor" => Bound::Actor,
                    _ => Bound::Number,
                });
                self.traits.push(TraitInfo {
                    n_args: t.generics.params.len(),
                    derived: has_attr(attrs, "derived"),
                    builtin,
                    undynamic: undynamic(t).filter(|_| !self.program.modules[module.index()].is_std),
                });
                self.bind_own(m, &name, Def::Trait(id), t.name.span, false);
                Slot::Trait(id)
            }
            ItemKind::TypeAlias { name, generics, ty } => {
                self.aliases.push(Alias { module, generics, ty, iterable: has_attr(attrs, "iterable"), busy: false });
                self.bind_own(m, &name.name, Def::Alias(self.aliases.len() - 1), name.span, false);
                Slot::None
            }
            ItemKind::Const { name, value, .. } => {
                let init = self.new_fn(&name.name, module, name.span, FnSource::Value(value), i);
                let id = ConstId(self.program.consts.len() as u32);
                self.program.consts.push(Const { name: name.name.clone(), ty: Ty::Error, init });
                self.bind_own(m, &name.name, Def::Const(id), name.span, false);
                Slot::Const(id)
            }
            ItemKind::SharedLet { name, .. } => {
                let id = GlobalId(self.program.globals.len() as u32);
                self.program.globals.push(Global {
                    name: name.name.clone(),
                    ty: Ty::Error,
                    zone_init: None,
                    span: name.span,
                });
                self.bind_own(m, &name.name, Def::Zone(id), name.span, false);
                Slot::Zone(id)
            }
            ItemKind::Import(_) | ItemKind::Impl(_) => Slot::None,
            ItemKind::Stmt(stmt) => {
                if !is_root {
                    if !matches!(stmt.kind, StmtKind::Pass | StmtKind::Error) {
                        self.report(
                            Diagnostic::error(
                                codes::STATEMENT_IN_MODULE,
                                "a module that is imported may hold declarations only",
                                stmt.span,
                                "this is a statement",
                            )
                            .help("move it into a function"),
                        );
                    }
                } else {
                    self.declare_script_let(stmt, i);
                }
                Slot::None
            }
        }
    }

    fn declare_adt(&mut self, m: usize, name: &ast::Ident, kind: AdtKind, unique: bool) -> Slot {
        let id = AdtId(self.program.adts.len() as u32);
        let module = ModuleId(m as u32);
        let mut unique = unique;
        // The guard type of a scope's group and the library's files are marked there.
        if self.parsed[m].is_prelude && matches!(&*name.name, "Future" | "JoinHandle" | "TaskGroup") {
            unique = true;
        }
        self.program.adts.push(Adt {
            name: name.name.clone(),
            module,
            generics: Vec::new(),
            kind,
            unique,
            span: name.span,
        });
        self.adts.push(AdtInfo::default());
        self.bind_own(m, &name.name, Def::Adt(id), name.span, false);
        Slot::Adt(id)
    }

    fn declare_script_let(&mut self, stmt: &'a ast::Stmt, item: usize) {
        let mut names: Vec<(Rc<str>, Span, bool)> = Vec::new();
        match &stmt.kind {
            StmtKind::Let { pattern, mutable, .. } => pattern_names(pattern, *mutable, &mut names),
            StmtKind::SpawnFn(f) => names.push((f.name.name.clone(), f.name.span, false)),
            _ => {}
        }
        for (name, span, mutable) in names {
            let global = GlobalId(0);
            self.script_lets.push(ScriptLet { name, item, global, ty: None, mutable, used: false, span });
        }
    }

    /// A function's row in the tables; its signature comes later.
    pub fn new_fn(&mut self, name: &Rc<str>, module: ModuleId, span: Span, source: FnSource<'a>, item: usize) -> FnId {
        let id = FnId(self.program.fns.len() as u32);
        self.program.fns.push(FnDef {
            name: name.clone(),
            module,
            kind: FnKind::Plain,
            generics: Vec::new(),
            params: Vec::new(),
            ret: Ty::Unit,
            native: None,
            suspends: false,
            in_tasks: false,
            body: None,
            span,
        });
        self.fns.push(FnInfo {
            source,
            around: Vec::new(),
            env: TypeEnv { module, ..TypeEnv::default() },
            ret: RetState::Known,
            has_self: false,
            actor: None,
            overload: false,
            variadic: false,
            special: false,
            type_argument: false,
            default_type: None,
            closure_gets: None,
            checked: false,
            n_outer: 0,
            of_trait: None,
            item,
            iterable: Vec::new(),
        });
        id
    }

    fn find_lang(&mut self) {
        let adt = |c: &Checker, name: &str| match c.prelude.get(name) {
            Some(Def::Adt(id)) => *id,
            _ => AdtId(u32::MAX),
        };
        let tr = |c: &Checker, name: &str| match c.prelude.get(name) {
            Some(Def::Trait(id)) => *id,
            _ => TraitId(u32::MAX),
        };
        let lang = Lang {
            vec: adt(self, "Vec"),
            map: adt(self, "Map"),
            set: adt(self, "Set"),
            range: adt(self, "Range"),
            option: adt(self, "Option"),
            result: adt(self, "Result"),
            ordering: adt(self, "Ordering"),
            future: adt(self, "Future"),
            join_handle: adt(self, "JoinHandle"),
            task_group: adt(self, "TaskGroup"),
            channel: adt(self, "Channel"),
            subscription: adt(self, "Subscription"),
            actor_ref: adt(self, "ActorRef"),
            model_actor_ref: adt(self, "ModelActorRef"),
            model: adt(self, "Model"),
            show: tr(self, "Show"),
            eq: tr(self, "Eq"),
            ord: tr(self, "Ord"),
            hash: tr(self, "Hash"),
            iterator: tr(self, "Iterator"),
            error: tr(self, "Error"),
            prelude_fns: HashMap::new(),
            faults: Vec::new(),
        };
        self.infer.map_adt = lang.map.0;
        self.infer.set_adt = lang.set.0;
        self.infer.signatures = vec![lang.model.0, lang.model_actor_ref.0];
        self.program.lang = lang;
        for name in FAULTS {
            if let Some(Def::Adt(id)) = self.prelude.get(*name) {
                self.program.lang.faults.push((Rc::from(*name), *id));
            }
        }
        for script_let in 0..self.script_lets.len() {
            let id = GlobalId(self.program.globals.len() as u32);
            let row = &mut self.script_lets[script_let];
            row.global = id;
            let (name, span) = (row.name.clone(), row.span);
            self.program.globals.push(Global { name, ty: Ty::Error, zone_init: None, span });
        }
    }

    fn fill_lang_fns(&mut self) {
        for (name, def) in &self.prelude {
            if let Def::Fns(ids) = def
                && let Some(first) = ids.first()
            {
                self.program.lang.prelude_fns.insert(name.clone(), *first);
            }
        }
    }

    fn declare_generics(&mut self, m: usize, item: &'a ast::Item, slot: &Slot) {
        let env = TypeEnv { module: ModuleId(m as u32), ..TypeEnv::default() };
        match (&item.kind, slot) {
            (ItemKind::Struct(ast::Struct { generics, .. }), Slot::Adt(id))
            | (ItemKind::Enum(ast::Enum { generics, .. }), Slot::Adt(id))
            | (ItemKind::Actor(ast::Actor { generics, .. }), Slot::Adt(id)) => {
                let mut env = env;
                let lowered = self.lower_generics(generics, &mut env, 0);
                let args: Vec<Ty> =
                    lowered.iter().enumerate().map(|(i, g)| Ty::Param(i as u32, g.name.clone())).collect();
                env.self_ty = Some(Ty::Adt(*id, args.into()));
                self.program.adts[id.index()].generics = lowered;
                self.adts[id.index()].env = env;
            }
            (ItemKind::Trait(t), Slot::Trait(id)) => {
                let mut env = env;
                env.self_ty = Some(Ty::Param(0, Rc::from("Self")));
                self.lower_generics(&t.generics, &mut env, 1);
                let supers = t
                    .supertraits
                    .iter()
                    .filter_map(|s| match self.lower_whole_bound(s, &env) {
                        Some(Bound::Trait(t, args)) => Some((t, args)),
                        _ => None,
                    })
                    .collect();
                self.program.traits[id.index()].supers = supers;
            }
            _ => {}
        }
    }

    fn lower_fields(&mut self, fields: &'a [ast::FieldDef], env: &TypeEnv, id: AdtId, item: usize) -> Vec<FieldDef> {
        let mut out: Vec<FieldDef> = Vec::new();
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for f in fields {
            if let Some(&first) = seen.get(&*f.name.name) {
                self.report(
                    Diagnostic::error(
                        codes::DUPLICATE_DEFINITION,
                        format!("field `{}` is declared twice", f.name.name),
                        f.name.span,
                        "again here",
                    )
                    .because(first, "first declared here"),
                );
                continue;
            }
            let ty = self.lower(&f.ty, env);
            let default = f.default.as_ref().map(|value| {
                let name: Rc<str> = format!("{}.{}", self.program.adts[id.index()].name, f.name.name).into();
                let func = self.new_fn(&name, env.module, value.span, FnSource::Value(value), item);
                self.program.fns[func.index()].generics = self.program.adts[id.index()].generics.clone();
                self.program.fns[func.index()].ret = ty.clone();
                self.fns[func.index()].env = env.clone();
                func
            });
            seen.insert(&f.name.name, f.span);
            let (name, name_span) = (f.name.name.clone(), f.name.span);
            out.push(FieldDef { name, ty, mutable: f.mutable, default, span: f.span, name_span });
        }
        out
    }

    fn declare_fields(&mut self, m: usize, i: usize, item: &'a ast::Item, slot: &Slot) {
        let module = ModuleId(m as u32);
        match (&item.kind, slot) {
            (ItemKind::Struct(s), Slot::Adt(id)) => {
                let env = self.adts[id.index()].env.clone();
                let fields = self.lower_fields(&s.fields, &env, *id, i);
                if let AdtKind::Struct(list) = &mut self.program.adts[id.index()].kind {
                    *list = fields;
                }
            }
            (ItemKind::Actor(a), Slot::Adt(id)) => {
                let env = self.adts[id.index()].env.clone();
                let fields = self.lower_fields(&a.fields, &env, *id, i);
                if let AdtKind::Actor(def) = &mut self.program.adts[id.index()].kind {
                    def.fields = fields;
                }
            }
            (ItemKind::Enum(e), Slot::Adt(id)) => {
                let env = self.adts[id.index()].env.clone();
                let mut variants = Vec::new();
                for v in &e.variants {
                    let fields = v
                        .fields
                        .iter()
                        .map(|f| FieldDef {
                            name: f.name.as_ref().map_or_else(|| Rc::from(""), |n| n.name.clone()),
                            ty: self.lower(&f.ty, &env),
                            mutable: false,
                            default: None,
                            span: f.ty.span,
                            name_span: f.name.as_ref().map_or(f.ty.span, |n| n.span),
                        })
                        .collect();
                    if self.adts[id.index()].variants.insert(v.name.name.clone(), variants.len() as u32).is_some() {
                        self.error(
                            codes::DUPLICATE_DEFINITION,
                            format!("variant `{}` is declared twice", v.name.name),
                            v.name.span,
                            "again here",
                        );
                    }
                    variants.push(VariantDef { name: v.name.name.clone(), fields, span: v.span });
                }
                if let AdtKind::Enum(list) = &mut self.program.adts[id.index()].kind {
                    *list = variants;
                }
            }
            (ItemKind::Const { ty, .. }, Slot::Const(id)) => {
                let env = TypeEnv { module, ..TypeEnv::default() };
                let init = self.program.consts[id.index()].init;
                match ty {
                    Some(ty) => {
                        let ty = self.lower(ty, &env);
                        self.program.consts[id.index()].ty = ty.clone();
                        self.program.fns[init.index()].ret = ty;
                    }
                    None => {
                        self.fns[init.index()].ret = RetState::Unknown;
                        self.program.fns[init.index()].ret = self.infer.fresh(VarKind::Any, item.span);
                    }
                }
            }
            (ItemKind::SharedLet { name, ty, value }, Slot::Zone(id)) => {
                let env = TypeEnv { module, ..TypeEnv::default() };
                let outer = self.lower(ty, &env);
                let inner = self.zone_inner(&outer, ty.span);
                let source = value.as_ref().map_or(FnSource::EmptyZone, FnSource::Value);
                let init = self.new_fn(&name.name, module, name.span, source, i);
                self.program.fns[init.index()].ret = inner.clone();
                self.fns[init.index()].env = env;
                let global = &mut self.program.globals[id.index()];
                global.ty = inner.clone();
                global.zone_init = Some(init);
                if value.is_none() && !self.has_empty(&inner) {
                    self.error(
                        codes::USED_BEFORE_SET,
                        format!("`{}` needs a first value", name.name),
                        name.span,
                        format!("write `shared let {}: … = …`", name.name),
                    );
                }
            }
            _ => {}
        }
    }

    pub fn has_empty(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Adt(id, _) => [self.program.lang.vec, self.program.lang.map, self.program.lang.set].contains(id),
            Ty::Error => true,
            _ => false,
        }
    }

    fn zone_inner(&mut self, ty: &Ty, span: Span) -> Ty {
        if let Ty::Adt(id, args) = ty {
            let lang = &self.program.lang;
            match &*self.program.adts[id.index()].name {
                "SharedMap" => return Ty::Adt(lang.map, args.clone()),
                "SharedVec" => return Ty::Adt(lang.vec, args.clone()),
                "SharedSet" => return Ty::Adt(lang.set, args.clone()),
                "Shared" => return args.first().cloned().unwrap_or(Ty::Error),
                _ => {}
            }
        }
        if *ty != Ty::Error {
            let shown = self.show(ty);
            self.report(
                Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    format!("`shared let` cannot hold {} directly", with_article(&shown)),
                    span,
                    "not a shared type",
                )
                .help(format!("write `Shared<{shown}>`, or `SharedMap<K, V>`, `SharedVec<T>`")),
            );
        }
        Ty::Error
    }

    fn declare_signatures(&mut self, m: usize, i: usize, item: &'a ast::Item, slot: &Slot) {
        let module = ModuleId(m as u32);
        let env = TypeEnv { module, ..TypeEnv::default() };
        match (&item.kind, slot) {
            (ItemKind::Fn(f), Slot::Fn(id)) => self.sign(*id, f, &item.attributes, &[], &env, None),
            (ItemKind::Struct(ast::Struct { methods, .. }), Slot::Adt(id))
            | (ItemKind::Enum(ast::Enum { methods, .. }), Slot::Adt(id)) => {
                if !methods.is_empty() {
                    self.own_methods(*id, methods, i);
                }
            }
            (ItemKind::Actor(a), Slot::Adt(id)) => self.actor_methods(*id, a, i),
            (ItemKind::Trait(t), Slot::Trait(id)) => self.trait_signatures(*id, t, &env, i),
            (ItemKind::Impl(imp), _) => self.impl_signatures(imp, &env, i, item.span),
            _ => {}
        }
    }

    /// A type that holds itself directly would have no end.
    fn check_recursive_types(&mut self) {
        for i in 0..self.program.adts.len() {
            let mut seen = vec![false; self.program.adts.len()];
            if self.holds(AdtId(i as u32), AdtId(i as u32), &mut seen) {
                let (name, span) = (self.program.adts[i].name.clone(), self.program.adts[i].span);
                self.report(
                    Diagnostic::error(
                        codes::RECURSIVE_TYPE,
                        format!("`{name}` contains itself, so it would have no end"),
                        span,
                        "contains itself",
                    )
                    .help(format!("put `Option<{name}>` or `Vec<{name}>` in between")),
                );
            }
        }
    }

    fn holds(&self, from: AdtId, target: AdtId, seen: &mut [bool]) -> bool {
        if std::mem::replace(&mut seen[from.index()], true) {
            return false;
        }
        let AdtKind::Struct(fields) = &self.program.adts[from.index()].kind else { return false };
        fields.iter().any(|f| self.ty_holds(&f.ty, target, seen))
    }

    fn ty_holds(&self, ty: &Ty, target: AdtId, seen: &mut [bool]) -> bool {
        match ty {
            Ty::Adt(id, _) => *id == target || self.holds(*id, target, seen),
            Ty::Tuple(ts) => ts.iter().any(|t| self.ty_holds(t, target, seen)),
            _ => false,
        }
    }
}

/// The errors that the VM throws, by name.
const FAULTS: &[&str] = &[
    "IndexError",
    "KeyError",
    "ValueError",
    "OverflowError",
    "ZeroDivisionError",
    "ShapeError",
    "AssertionError",
    "TimeoutError",
    "CancelledError",
    "OverloadedError",
    "DeadlockError",
    "ChannelClosed",
    "LaggedError",
    "ActorError",
    "IoError",
    "ModelError",
    "OutOfMemoryError",
    "StackOverflowError",
    "PermissionError",
    "InternalError",
    "UnknownError",
];

/// The names a pattern binds.
pub fn pattern_names(pattern: &ast::Pattern, mutable: bool, out: &mut Vec<(Rc<str>, Span, bool)>) {
    match &pattern.kind {
        PatternKind::Name { name, mutable: m } => out.push((name.name.clone(), name.span, mutable || *m)),
        PatternKind::Bind { name, pattern } => {
            out.push((name.name.clone(), name.span, mutable));
            pattern_names(pattern, mutable, out);
        }
        PatternKind::Constructor { fields, .. } => {
            for f in fields {
                pattern_names(&f.pattern, mutable, out);
            }
        }
        PatternKind::Tuple(ps) => ps.iter().for_each(|p| pattern_names(p, mutable, out)),
        PatternKind::List { before, rest, after } => {
            before.iter().chain(after).for_each(|p| pattern_names(p, mutable, out));
            if let Some(name) = rest.as_ref().and_then(|r| r.name.as_ref()) {
                out.push((name.name.clone(), name.span, mutable));
            }
        }
        PatternKind::Or(ps) => {
            if let Some(first) = ps.first() {
                pattern_names(first, mutable, out);
            }
        }
        PatternKind::Wildcard | PatternKind::Literal(_) | PatternKind::Range { .. } | PatternKind::Error => {}
    }
}

/// The first method that cannot be called on a value whose type is only known when the program runs.
fn undynamic(t: &ast::Trait) -> Option<(Span, String)> {
    fn names_self(ty: &ast::Type) -> bool {
        let is_self = matches!(&ty.kind, ast::TypeKind::Path { path, .. } if path.segments.len() == 1 && &*path.segments[0].name == "Self");
        let mut found = is_self;
        Node::Type(ty).children(&mut |child| {
            if let Node::Type(inner) = child {
                found |= names_self(inner);
            }
        });
        found
    }
    t.methods.iter().find_map(|method| {
        let decl = &method.decl;
        let name = &decl.name.name;
        let types = || decl.params.iter().filter_map(|p| p.ty.as_ref()).chain(&decl.ret);
        let why = if decl.params.first().is_none_or(|p| &*p.name.name != "self") {
            format!("`{name}` takes no `&self`")
        } else if !decl.generics.params.is_empty() && decl.body.is_none() {
            format!("`{name}` has type parameters of its own and no body")
        } else if decl.kind != ast::FnKind::Plain {
            format!("`{name}` starts a task; a plain `fn {name}(…) -> Future<…>` can do so as well")
        } else if types().any(names_self) {
            format!("`{name}` names `Self`, another type for each implementor")
        } else {
            return None;
        };
        Some((decl.name.span, why))
    })
}
