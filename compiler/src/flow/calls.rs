//! Who calls whom, and what that leads to: waiting, taking a zone's lock, asking an actor.
//!
//! A node is a function with its type arguments, or a closure or task in one; types are known there, so a trait's method is
//! the one of the type. A closure given to a function counts where that function is called (`Effect::CallsParam`), so one
//! `xs.map(|x| wait(x))` says nothing about another `map`. A function value from elsewhere, a field or a list, stands for all
//! functions of its type.
//!
//! Starting a task is no call: what the task does, it does on its own.

use super::Flow;
use crate::hir::*;
use stark_syntax::source::Span;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub type NodeId = usize;

/// A guard that is held: the zone, and where it was taken.
pub type Held = Vec<(GlobalId, Span)>;

pub struct Node<'p> {
    pub func: FnId,
    pub body: &'p Body,
    type_args: Vec<Ty>,
    /// Function values that captured variables and plain `let`s stand for.
    values: HashMap<LocalId, FnValue>,
    pub is_std: bool,
    pub sites: Vec<Site>,
    pub waits: Vec<Wait>,
    pub locks: Vec<Lock>,
    asks: Vec<(AdtId, Span)>,
    /// Variables that hold the future of an ask.
    asked: HashMap<LocalId, (AdtId, Span)>,
    pub effects: BTreeMap<Effect, Origin>,
}

/// A call.
pub struct Site {
    pub span: Span,
    pub name: String,
    pub held: Held,
    targets: Vec<FnValue>,
    /// By parameter: the function values it is given.
    given: Vec<(usize, FnValue)>,
    /// A task that is started, and whether the caller waits for it.
    started: Option<bool>,
}

/// Something that suspends the task by itself.
pub struct Wait {
    pub span: Span,
    pub what: &'static str,
    pub held: Held,
}

pub struct Lock {
    pub zone: GlobalId,
    pub span: Span,
    pub held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Suspends,
    Locks(GlobalId),
    /// Waits for the answer of an actor.
    Asks(AdtId),
    CallsParam(usize),
}

/// Where an effect comes from in the end.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub span: Span,
    pub what: &'static str,
}

#[derive(Clone, Debug)]
pub enum FnValue {
    Node(NodeId),
    Native(FnId),
    Param(usize),
    /// Any function of that type.
    Any(Ty),
}

pub struct Calls<'p> {
    program: &'p Program,
    pub nodes: Vec<Node<'p>>,
    by_instance: HashMap<(FnId, Vec<Ty>), NodeId>,
    /// Functions that are used as values, by their type.
    by_type: HashMap<Ty, Vec<NodeId>>,
    /// Types of which `spawn_actor` is asked for an actor.
    pub begun: Vec<(Ty, Span)>,
    walked: usize,
}

/// Past these the general form of a generic function stands for its instances.
const MAX_NODES: usize = 20_000;
const MAX_TYPE_DEPTH: usize = 8;

impl<'p> Flow<'p> {
    pub fn calls(&self) -> Calls<'p> {
        let program = self.program;
        let mut calls = Calls {
            program,
            nodes: Vec::new(),
            by_instance: HashMap::new(),
            by_type: HashMap::new(),
            begun: Vec::new(),
            walked: 0,
        };
        let own = |f: &FnDef| !program.modules.get(f.module.index()).is_some_and(|m| m.is_std);
        // Generic functions come last: their general form is looked at only when nothing uses them.
        for generic in [false, true] {
            let instanced: HashSet<FnId> = calls.by_instance.keys().map(|(f, _)| *f).collect();
            for (i, def) in program.fns.iter().enumerate() {
                let id = FnId(i as u32);
                let instanced = generic && instanced.contains(&id);
                if own(def) && def.body.is_some() && def.generics.is_empty() != generic && !instanced {
                    calls.instance(id, identity(&def.generics));
                }
            }
            calls.walk_all();
        }
        calls.settle();
        calls
    }
}

/// Type arguments that change nothing.
fn identity(generics: &[Generic]) -> Vec<Ty> {
    generics.iter().enumerate().map(|(i, g)| Ty::Param(i as u32, g.name.clone())).collect()
}

fn depth(ty: &Ty) -> usize {
    let deepest = |items: &[Ty]| items.iter().map(depth).max().unwrap_or(0);
    match ty {
        Ty::Tuple(items) | Ty::Adt(_, items) => 1 + deepest(items),
        Ty::Fn(params, ret) => 1 + deepest(params).max(depth(ret)),
        _ => 1,
    }
}

impl<'p> Calls<'p> {
    /// The node of a function, made when it is new. `None` for one without a body.
    pub fn instance(&mut self, func: FnId, type_args: Vec<Ty>) -> Option<NodeId> {
        let def = self.program.func(func);
        let body = def.body.as_ref()?;
        let too_much = self.nodes.len() > MAX_NODES || type_args.iter().any(|t| depth(t) > MAX_TYPE_DEPTH);
        let type_args = if too_much { identity(&def.generics) } else { type_args };
        if let Some(node) = self.by_instance.get(&(func, type_args.clone())) {
            return Some(*node);
        }
        let node = self.node(func, body, type_args.clone(), HashMap::new());
        self.by_instance.insert((func, type_args), node);
        Some(node)
    }

    fn node(&mut self, func: FnId, body: &'p Body, type_args: Vec<Ty>, values: HashMap<LocalId, FnValue>) -> NodeId {
        let module = self.program.func(func).module;
        let is_std = self.program.modules.get(module.index()).is_some_and(|m| m.is_std);
        self.nodes.push(Node {
            func,
            body,
            type_args,
            values,
            is_std,
            sites: Vec::new(),
            waits: Vec::new(),
            locks: Vec::new(),
            asks: Vec::new(),
            asked: HashMap::new(),
            effects: BTreeMap::new(),
        });
        self.nodes.len() - 1
    }

    fn walk_all(&mut self) {
        while self.walked < self.nodes.len() {
            let node = self.walked;
            self.walked += 1;
            let body = self.nodes[node].body;
            let mut walk = Walk { calls: self, node, held: Vec::new(), awaited: false };
            walk.expr(&body.value);
        }
    }

    // --- effects ---------------------------------------------------------------------------------------------------------

    fn settle(&mut self) {
        for node in &mut self.nodes {
            if let Some(wait) = node.waits.first() {
                node.effects.insert(Effect::Suspends, Origin { span: wait.span, what: wait.what });
            }
            for lock in &node.locks {
                node.effects.entry(Effect::Locks(lock.zone)).or_insert(Origin { span: lock.span, what: "taken" });
            }
            for (actor, span) in &node.asks {
                node.effects.entry(Effect::Asks(*actor)).or_insert(Origin { span: *span, what: "asked" });
            }
        }
        let (callers, users) = self.callers();
        // In each round those whose callees have something new. Callees mostly have higher numbers than their callers.
        let mut dirty: BTreeSet<NodeId> = (0..self.nodes.len()).collect();
        while !dirty.is_empty() {
            let mut next = BTreeSet::new();
            while let Some(node) = dirty.pop_last() {
                let mut new = Vec::new();
                for site in &self.nodes[node].sites {
                    new.extend(self.site_effects(site, self.nodes[node].is_std));
                }
                let effects = &mut self.nodes[node].effects;
                let n_before = effects.len();
                for (effect, origin) in new {
                    effects.entry(effect).or_insert(origin);
                }
                if effects.len() > n_before {
                    for caller in callers[node].iter().chain(users.get(&node).into_iter().flatten()) {
                        // Later in this round when its turn has not come.
                        if *caller < node {
                            dirty.insert(*caller)
                        } else {
                            next.insert(*caller)
                        };
                    }
                }
            }
            dirty = next;
        }
    }

    /// Who must be looked at again when a node has a new effect: its callers, and those that call a function of its type.
    fn callers(&self) -> (Vec<Vec<NodeId>>, HashMap<NodeId, Vec<NodeId>>) {
        let mut callers: Vec<Vec<NodeId>> = vec![Vec::new(); self.nodes.len()];
        let mut of_type: HashMap<&Ty, Vec<NodeId>> = HashMap::new();
        for (caller, node) in self.nodes.iter().enumerate() {
            for site in &node.sites {
                for value in site.targets.iter().chain(site.given.iter().map(|(_, value)| value)) {
                    let list = match value {
                        FnValue::Node(node) => &mut callers[*node],
                        FnValue::Any(ty) => of_type.entry(ty).or_default(),
                        FnValue::Native(_) | FnValue::Param(_) => continue,
                    };
                    if list.last() != Some(&caller) {
                        list.push(caller);
                    }
                }
            }
        }
        let mut users: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for (ty, nodes) in &self.by_type {
            for node in nodes {
                users.entry(*node).or_default().extend(of_type.get(ty).into_iter().flatten());
            }
        }
        (callers, users)
    }

    /// What a call leads to, in the terms of its caller.
    pub fn site_effects(&self, site: &Site, in_std: bool) -> Vec<(Effect, Origin)> {
        let mut out = Vec::new();
        for target in &site.targets {
            self.value_effects(target, site.span, &mut |effect, origin| match effect {
                Effect::CallsParam(i) if matches!(target, FnValue::Node(_)) => {
                    for (_, given) in site.given.iter().filter(|(param, _)| *param == i) {
                        self.value_effects(given, site.span, &mut |effect, origin| out.push((effect, origin)));
                    }
                }
                _ => out.push((effect, origin)),
            });
        }
        if let Some(waited) = site.started {
            // The library waits for what it starts; a task's own waiting is its own.
            out.retain(|(effect, _)| match effect {
                Effect::Asks(_) => waited || in_std,
                Effect::CallsParam(_) => in_std,
                Effect::Suspends | Effect::Locks(_) => false,
            });
        }
        out
    }

    fn value_effects(&self, value: &FnValue, span: Span, each: &mut dyn FnMut(Effect, Origin)) {
        match value {
            FnValue::Node(node) => self.nodes[*node].effects.iter().for_each(|(effect, origin)| each(*effect, *origin)),
            FnValue::Native(func) => {
                if self.program.func(*func).suspends {
                    each(Effect::Suspends, Origin { span, what: "waits" });
                }
            }
            FnValue::Param(i) => each(Effect::CallsParam(*i), Origin { span, what: "called" }),
            FnValue::Any(ty) => {
                for node in self.by_type.get(ty).into_iter().flatten() {
                    let own = self.nodes[*node].effects.iter().filter(|(e, _)| !matches!(e, Effect::CallsParam(_)));
                    own.for_each(|(effect, origin)| each(*effect, *origin));
                }
            }
        }
    }
}

struct Walk<'c, 'p> {
    calls: &'c mut Calls<'p>,
    node: NodeId,
    held: Held,
    /// Inside of what an `await` waits for.
    awaited: bool,
}

impl<'p> Walk<'_, 'p> {
    fn here(&mut self) -> &mut Node<'p> {
        &mut self.calls.nodes[self.node]
    }

    fn ty(&self, ty: &Ty) -> Ty {
        ty.subst(&self.calls.nodes[self.node].type_args)
    }

    fn tys(&self, types: &[Ty]) -> Vec<Ty> {
        types.iter().map(|t| self.ty(t)).collect()
    }

    fn wait(&mut self, span: Span, what: &'static str) {
        let held = self.held.clone();
        self.here().waits.push(Wait { span, what, held });
    }

    /// `name` is a function of the prelude that code generation calls for this expression.
    fn wait_if_native(&mut self, name: &str, span: Span, what: &'static str) {
        let program = self.calls.program;
        if program.lang.prelude_fns.get(name).is_some_and(|f| program.func(*f).suspends) {
            self.wait(span, what);
        }
    }

    fn site(
        &mut self,
        span: Span,
        name: String,
        targets: Vec<FnValue>,
        given: Vec<(usize, FnValue)>,
        started: Option<bool>,
    ) {
        if !targets.is_empty() {
            let held = self.held.clone();
            self.here().sites.push(Site { span, name, held, targets, given, started });
        }
    }

    fn children(&mut self, e: &'p Expr) {
        super::each(e, &mut |child| self.expr(child));
    }

    fn expr(&mut self, e: &'p Expr) {
        match &e.kind {
            ExprKind::Local(local) => {
                if self.awaited
                    && let Some(ask) = self.here().asked.get(local).copied()
                {
                    self.here().asks.push(ask);
                }
            }
            ExprKind::Closure(c) => {
                self.closure(c, &e.ty);
            }
            ExprKind::SpawnBlock(c) => {
                let task = self.closure_node(c);
                let waited = self.awaited;
                self.site(e.span, c.name.to_string(), vec![FnValue::Node(task)], Vec::new(), Some(waited));
            }
            ExprKind::FnRef { .. } => {
                self.value(e);
            }
            ExprKind::Call { callee, args } => self.call(e, callee, args, false),
            ExprKind::SpawnCall { callee, args } => self.call(e, callee, args, true),
            ExprKind::AssignOp { op: AssignOp::Call { callee, .. }, .. } => {
                self.children(e);
                let targets = self.targets(callee);
                self.site(e.span, callee_name(self.calls.program, callee), targets, Vec::new(), None);
            }
            ExprKind::Await(value) => {
                let outer = std::mem::replace(&mut self.awaited, true);
                self.expr(value);
                self.awaited = outer;
                self.wait(e.span, "`await` waits here");
            }
            ExprKind::Block { stmts, value } => {
                for stmt in stmts {
                    match stmt {
                        Stmt::Let { pattern, init, else_ } => {
                            if let (PatKind::Bind { local, sub: None }, Some(init)) = (&pattern.kind, init) {
                                self.named(*local, init);
                            } else {
                                init.iter().for_each(|e| self.statement(e));
                            }
                            else_.iter().for_each(|e| self.expr(e));
                        }
                        Stmt::Expr(e) => self.statement(e),
                    }
                }
                if let Some(value) = value {
                    self.expr(value);
                }
            }
            ExprKind::For { iterable, .. } => {
                self.children(e);
                let program = self.calls.program;
                let ty = self.ty(&iterable.ty);
                match &ty {
                    Ty::Adt(id, _) if *id == program.lang.channel || *id == program.lang.subscription => {
                        self.wait(iterable.span, "the loop waits for a message here");
                    }
                    _ => {
                        let targets = self.method(program.lang.iterator, 0, &ty, &[]);
                        self.site(iterable.span, "next".to_string(), targets, Vec::new(), None);
                    }
                }
            }
            ExprKind::Format(parts) => {
                self.children(e);
                for part in parts {
                    if let FormatPart::Value { value, .. } = part {
                        let ty = self.ty(&value.ty);
                        if let Ty::Adt(..) = &ty {
                            let targets = self.method(self.calls.program.lang.show, 0, &ty, &[]);
                            self.site(value.span, "show".to_string(), targets, Vec::new(), None);
                        }
                    }
                }
            }
            ExprKind::Scope { .. } => {
                self.children(e);
                self.wait(e.span, "a `scope` waits for its tasks");
            }
            ExprKind::Select { arms } => {
                if !arms.iter().any(|a| matches!(a.kind, SelectKind::Else)) {
                    self.wait(e.span, "`select` waits here");
                }
                self.children(e);
            }
            ExprKind::WithZone { zone, body, .. } => {
                let span = guard_span(e);
                let held = self.held.clone();
                self.here().locks.push(Lock { zone: *zone, span, held });
                self.held.push((*zone, span));
                self.expr(body);
                self.held.pop();
            }
            ExprKind::Message { actor, kind, .. } => {
                self.children(e);
                match kind {
                    MessageKind::Send => {
                        self.wait_if_native("_actor_send", e.span, "a full mailbox makes the sender wait")
                    }
                    MessageKind::Ask | MessageKind::BatchAsk => {
                        let name = if *kind == MessageKind::Ask { "_actor_ask" } else { "_actor_batch_ask" };
                        self.wait_if_native(name, e.span, "a full mailbox makes the sender wait");
                        if self.awaited
                            && let Some(actor) = self.actor_of(actor)
                        {
                            self.here().asks.push((actor, e.span));
                        }
                    }
                }
            }
            _ => self.children(e),
        }
    }

    /// A statement's value is its own: an `await` around the block does not wait for it.
    fn statement(&mut self, e: &'p Expr) {
        let outer = std::mem::replace(&mut self.awaited, false);
        self.expr(e);
        self.awaited = outer;
    }

    /// `let local = init`: the function, or the ask's future, that the variable stands for.
    fn named(&mut self, local: LocalId, init: &'p Expr) {
        if !self.here().body.locals[local.index()].mutable
            && matches!(init.kind, ExprKind::Closure(_) | ExprKind::FnRef { .. } | ExprKind::Local(_))
            && matches!(init.ty, Ty::Fn(..))
        {
            let value = self.value(init);
            self.here().values.insert(local, value);
            return;
        }
        if let ExprKind::Message { actor, kind: MessageKind::Ask | MessageKind::BatchAsk, .. } = &init.kind
            && let Some(actor) = self.actor_of(actor)
        {
            self.here().asked.insert(local, (actor, init.span));
        }
        self.statement(init);
    }

    fn actor_of(&self, reference: &Expr) -> Option<AdtId> {
        match self.ty(&reference.ty) {
            Ty::Adt(id, args) if id == self.calls.program.lang.actor_ref => match args.first() {
                Some(Ty::Adt(actor, _)) => Some(*actor),
                _ => None,
            },
            _ => None,
        }
    }

    // --- function values -------------------------------------------------------------------------------------------------

    fn closure_node(&mut self, c: &'p Closure) -> NodeId {
        let mut values = HashMap::new();
        for (outer, inner) in &c.captures {
            let ty = &c.body.locals[inner.index()].ty;
            if let Ty::Fn(..) = ty {
                let value = match self.local_value(*outer) {
                    Some(known @ (FnValue::Node(_) | FnValue::Native(_))) => known,
                    // The closure may run when the function around it is long over.
                    _ => FnValue::Any(self.ty(ty)),
                };
                values.insert(*inner, value);
            }
        }
        let (func, type_args) = (self.here().func, self.here().type_args.clone());
        self.calls.node(func, &c.body, type_args, values)
    }

    fn closure(&mut self, c: &'p Closure, ty: &Ty) -> FnValue {
        let node = self.closure_node(c);
        let ty = self.ty(ty);
        self.calls.by_type.entry(ty).or_default().push(node);
        FnValue::Node(node)
    }

    fn local_value(&mut self, local: LocalId) -> Option<FnValue> {
        if let Some(value) = self.here().values.get(&local) {
            return Some(value.clone());
        }
        self.here().body.params.iter().position(|p| *p == local).map(FnValue::Param)
    }

    fn value(&mut self, e: &'p Expr) -> FnValue {
        match &e.kind {
            ExprKind::Closure(c) => self.closure(c, &e.ty),
            ExprKind::FnRef { func, type_args } => {
                let type_args = self.tys(type_args);
                self.begins(*func, &type_args, e.span);
                let ty = self.ty(&e.ty);
                let started = self.calls.program.func(*func).kind != FnKind::Plain;
                match self.calls.instance(*func, type_args) {
                    // As a value it starts a task when it is called: that is no call of its body.
                    Some(_) if started => FnValue::Any(Ty::Error),
                    Some(node) => {
                        let nodes = self.calls.by_type.entry(ty).or_default();
                        if !nodes.contains(&node) {
                            nodes.push(node);
                        }
                        FnValue::Node(node)
                    }
                    None => FnValue::Native(*func),
                }
            }
            ExprKind::Local(local) => match self.local_value(*local) {
                Some(value) => value,
                None => FnValue::Any(self.ty(&e.ty)),
            },
            ExprKind::Coerce { value, .. } => self.value(value),
            _ => {
                self.expr(e);
                FnValue::Any(self.ty(&e.ty))
            }
        }
    }

    // --- calls -----------------------------------------------------------------------------------------------------------

    fn targets(&mut self, callee: &'p Callee) -> Vec<FnValue> {
        match callee {
            Callee::Fn { func, type_args } => {
                let type_args = self.tys(type_args);
                vec![self.calls.instance(*func, type_args).map_or(FnValue::Native(*func), FnValue::Node)]
            }
            Callee::Trait { trait_, method, self_ty, type_args } => {
                let (self_ty, own) = (self.ty(self_ty), self.tys(type_args));
                self.method(*trait_, *method, &self_ty, &own)
            }
            Callee::Value(value) => vec![self.value(value)],
        }
    }

    /// The functions a trait's method stands for: one when the type is known, else that of every type.
    fn method(&mut self, trait_: TraitId, method: u32, self_ty: &Ty, own: &[Ty]) -> Vec<FnValue> {
        let program = self.calls.program;
        let mut found = Vec::new();
        if matches!(self_ty, Ty::Dyn(..) | Ty::Param(..)) {
            for imp in program.impls.iter().filter(|i| i.trait_ == Some(trait_)) {
                if let Some(func) = imp.methods.get(method as usize).copied().flatten() {
                    found.push((func, identity(&program.func(func).generics)));
                }
            }
        } else if let Some((imp, mut args)) = program.find_impl(trait_, self_ty) {
            match program.impls[imp.index()].methods.get(method as usize).copied().flatten() {
                Some(func) => {
                    args.extend_from_slice(own);
                    found.push((func, args));
                }
                None => {
                    if let Some(default) = program.traits[trait_.index()].methods.get(method as usize) {
                        let mut args = vec![self_ty.clone()];
                        args.extend_from_slice(own);
                        found.push((*default, args));
                    }
                }
            }
        }
        found.into_iter().filter_map(|(func, args)| self.calls.instance(func, args).map(FnValue::Node)).collect()
    }

    fn begins(&mut self, func: FnId, type_args: &[Ty], span: Span) {
        let native = self.calls.program.func(func).native.as_deref();
        if let (Some("actor_spawn" | "supervisor_spawn"), Some(state)) = (native, type_args.last()) {
            self.calls.begun.push((state.clone(), span));
        }
    }

    fn call(&mut self, e: &'p Expr, callee: &'p Callee, args: &'p [Arg], spawned: bool) {
        let program = self.calls.program;
        let mut given = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            if matches!(arg.value.ty, Ty::Fn(..)) {
                given.push((i, self.value(&arg.value)));
            } else if let (ExprKind::List(items), Ty::Adt(..)) = (&arg.value.kind, &arg.value.ty) {
                // A list of functions: each may be called.
                for item in items {
                    if matches!(item.ty, Ty::Fn(..)) {
                        given.push((i, self.value(item)));
                    } else {
                        self.expr(item);
                    }
                }
            } else {
                self.expr(&arg.value);
            }
        }
        if let Callee::Fn { func, type_args } = callee {
            let type_args = self.tys(type_args);
            let state = args.iter().find(|arg| type_args.last() == Some(&self.ty(&arg.value.ty)));
            self.begins(*func, &type_args, state.map_or(e.span, |arg| arg.value.span));
        }
        let targets = self.targets(callee);
        let kind = match callee {
            Callee::Fn { func, .. } => program.func(*func).kind,
            Callee::Trait { trait_, method, .. } => program.traits[trait_.index()]
                .methods
                .get(*method as usize)
                .map_or(FnKind::Plain, |f| program.func(*f).kind),
            Callee::Value(_) => FnKind::Plain,
        };
        let started = (spawned || kind != FnKind::Plain).then_some(self.awaited);
        self.site(e.span, callee_name(program, callee), targets, given, started);
    }
}

fn callee_name(program: &Program, callee: &Callee) -> String {
    let func = match callee {
        Callee::Fn { func, .. } => Some(*func),
        Callee::Trait { trait_, method, .. } => program.traits[trait_.index()].methods.get(*method as usize).copied(),
        Callee::Value(_) => None,
    };
    match func {
        Some(func) => {
            let name = &program.func(func).name;
            name.rsplit('.').next().unwrap_or(name).trim_end_matches('_').to_string()
        }
        None => "this function".to_string(),
    }
}

/// Where a guard is taken: the head of a `with`, or the call that gives it.
fn guard_span(e: &Expr) -> Span {
    match &e.kind {
        ExprKind::WithZone { guard, .. } => *guard,
        _ => e.span,
    }
}
