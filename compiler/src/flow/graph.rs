//! A body as a graph of what happens to its unique values: used, moved, set again.
//!
//! The tree is walked once, in the order in which the program runs. Whether an expression takes a value or only looks at it
//! depends on where it stands: an argument of a `&self` parameter is looked at, the operand of `await` is taken.
//!
//! A pattern that binds part of a unique value takes it out only when the variable is taken later: `match f: Some(x) => x.is_done()`
//! looks at `f`. So the walk is repeated until it is known which variables are taken (`Graph::taken`).

use super::once::Once;
use super::place::*;
use super::unique::Unique;
use crate::hir::*;
use stark_syntax::source::Span;
use std::collections::HashSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Moved,
    Awaited,
    /// Into a task that is started here.
    IntoTask,
    /// `for x in xs`.
    Looped,
    /// Called, when the value is a function that may run once.
    Called,
}

/// When and where a closure runs.
#[derive(Clone, Copy, Default)]
struct Runs {
    once: bool,
    /// During the call that it is given to, in the same task.
    here: bool,
}

#[derive(Clone, Debug)]
pub enum Event {
    Use {
        place: Place,
        span: Span,
    },
    Move {
        place: Place,
        span: Span,
        how: How,
    },
    /// The place has a value of its own again.
    Set {
        place: Place,
        span: Span,
    },
    /// A new variable, or the same one in a new round.
    Fresh(LocalId),
    /// The end of a borrow `&mut`: the lender gets the place back.
    GiveBack(LocalId),
}

#[derive(Default, Debug)]
pub struct Block {
    pub events: Vec<Event>,
    pub next: Vec<BlockId>,
}

pub type BlockId = usize;

/// What is wrong whatever the order is.
#[derive(Debug)]
pub enum Misplaced<'p> {
    /// A script's unique variable taken by a function.
    Global { global: GlobalId, span: Span },
    /// Captured by a closure that may run many times.
    Captured { name: &'p str, span: Span, group: bool },
    /// A task group given to a task.
    GroupCrosses { span: Span },
    /// A task group moved out of its `scope`.
    GroupTaken { span: Span },
    /// A unique value sent to every subscriber.
    Broadcast { span: Span },
    /// A unique value lent to a task, which would need a copy of it.
    LentToTask { span: Span, callee: &'p str },
}

pub struct Graph<'p> {
    pub blocks: Vec<Block>,
    pub misplaced: Vec<Misplaced<'p>>,
    /// Variables some of whose value is taken somewhere.
    pub taken: HashSet<LocalId>,
    /// The followed function value is used in a way that may call it again.
    pub reused: bool,
}

/// The facts that a walk leans on.
#[derive(Clone, Copy)]
pub struct Facts<'p> {
    pub program: &'p Program,
    pub unique: &'p Unique,
    pub once: &'p Once,
}

pub struct Builder<'p> {
    facts: Facts<'p>,
    graph: Graph<'p>,
    now: BlockId,
    tracked: Vec<bool>,
    taken_before: HashSet<LocalId>,
    /// `&mut` parameters with unique values, and those of zones whose guards are held here.
    lent: Vec<LocalId>,
    /// Head, end, and how many of `lent` were there before.
    loops: Vec<(BlockId, BlockId, usize)>,
    /// Where an error goes from here.
    handlers: Vec<BlockId>,
    finals: u32,
    /// A function value whose calls are counted: see `once`.
    followed: Option<LocalId>,
}

/// Walks deeper than this into `finally` blocks of `finally` blocks share one copy for all ways out.
const MAX_FINALS: u32 = 3;
const MAX_WALKS: usize = 16;

impl<'p> Graph<'p> {
    pub fn of(facts: Facts<'p>, body: &'p Body, lent: &[LocalId], followed: Option<LocalId>) -> Graph<'p> {
        let tracked: Vec<bool> = body
            .locals
            .iter()
            .enumerate()
            .map(|(i, l)| facts.unique.is(&l.ty) || followed == Some(LocalId(i as u32)))
            .collect();
        let mut taken = HashSet::new();
        for _ in 0..MAX_WALKS {
            let graph = Builder::walk(facts, body, &tracked, lent, followed, taken.clone());
            if graph.taken == taken {
                return graph;
            }
            taken = graph.taken;
        }
        Builder::walk(facts, body, &tracked, lent, followed, taken)
    }

    /// The blocks that are reached, each after those that lead to it but for the ends of loops.
    pub fn order(&self) -> Vec<BlockId> {
        let mut seen = vec![false; self.blocks.len()];
        let mut out = Vec::new();
        let mut stack = vec![(0, 0)];
        seen[0] = true;
        while let Some((block, next)) = stack.pop() {
            match self.blocks[block].next.get(next) {
                Some(to) => {
                    stack.push((block, next + 1));
                    if !std::mem::replace(&mut seen[*to], true) {
                        stack.push((*to, 0));
                    }
                }
                None => out.push(block),
            }
        }
        out.reverse();
        out
    }
}

impl<'p> Builder<'p> {
    fn walk(
        facts: Facts<'p>,
        body: &'p Body,
        tracked: &[bool],
        lent: &[LocalId],
        followed: Option<LocalId>,
        taken_before: HashSet<LocalId>,
    ) -> Graph<'p> {
        let graph =
            Graph { blocks: vec![Block::default()], misplaced: Vec::new(), taken: HashSet::new(), reused: false };
        let mut b = Builder {
            facts,
            graph,
            now: 0,
            tracked: tracked.to_vec(),
            taken_before,
            lent: lent.to_vec(),
            loops: Vec::new(),
            handlers: Vec::new(),
            finals: 0,
            followed,
        };
        b.take(&body.value, How::Moved);
        b.give_back(0);
        b.graph
    }

    // --- the graph -------------------------------------------------------------------------------------------------------

    fn block(&mut self) -> BlockId {
        self.graph.blocks.push(Block::default());
        self.graph.blocks.len() - 1
    }

    fn edge(&mut self, to: BlockId) {
        let now = self.now;
        self.graph.blocks[now].next.push(to);
    }

    /// Goes on in a new block that follows this one.
    fn step(&mut self) {
        let next = self.block();
        self.edge(next);
        self.now = next;
    }

    /// What follows is never reached from here.
    fn stop(&mut self) {
        self.now = self.block();
    }

    fn event(&mut self, event: Event) {
        let now = self.now;
        self.graph.blocks[now].events.push(event);
    }

    fn tracks(&self, place: &Place) -> bool {
        self.tracked.get(place.root.index()).copied().unwrap_or(false)
    }

    fn use_of(&mut self, place: Place, span: Span) {
        if self.tracks(&place) {
            self.event(Event::Use { place, span });
        }
    }

    fn move_of(&mut self, place: Place, span: Span, how: How) {
        if !self.tracks(&place) {
            return;
        }
        self.graph.taken.insert(place.root);
        self.event(Event::Move { place, span, how });
        // What follows may throw: the handler sees the value gone.
        if let Some(handler) = self.handlers.last().copied() {
            self.edge(handler);
            self.step();
        }
    }

    /// Those lent since `from` go back.
    fn give_back(&mut self, from: usize) {
        for local in self.lent[from..].to_vec() {
            self.event(Event::GiveBack(local));
        }
    }

    fn is_unique(&self, ty: &Ty) -> bool {
        self.facts.unique.is(ty)
    }

    fn is_group(&self, ty: &Ty) -> bool {
        matches!(ty, Ty::Adt(id, _) if *id == self.facts.program.lang.task_group)
    }

    // --- expressions -----------------------------------------------------------------------------------------------------

    /// The expressions inside a place: its keys.
    fn keys(&mut self, e: &'p Expr) {
        match &e.kind {
            ExprKind::Field { base, .. } => self.keys(base),
            ExprKind::Coerce { value, .. } => self.keys(value),
            ExprKind::Index { base, index } => {
                self.keys(base);
                self.take(index, How::Moved);
            }
            ExprKind::OrInsert { map, key, default } => {
                self.keys(map);
                self.take(key, How::Moved);
                self.take(default, How::Moved);
            }
            _ => {}
        }
    }

    /// The expression is looked at.
    fn look(&mut self, e: &'p Expr) {
        match Place::of(e) {
            Some(place) => {
                self.keys(e);
                self.use_of(place, e.span);
            }
            None => match &e.kind {
                ExprKind::Global(_) => {}
                ExprKind::Field { base, .. } => self.look(base),
                ExprKind::Coerce { value, .. } => self.look(value),
                ExprKind::WithZone { local, body, .. } => self.with_zone(*local, |s| s.look(body)),
                _ => self.take(e, How::Moved),
            },
        }
    }

    fn with_zone(&mut self, local: LocalId, walk: impl FnOnce(&mut Self)) {
        self.event(Event::Fresh(local));
        let n_lent = self.lent.len();
        if self.tracked.get(local.index()).copied().unwrap_or(false) {
            self.lent.push(local);
        }
        walk(self);
        self.give_back(n_lent);
        self.lent.truncate(n_lent);
    }

    /// The expression's value goes elsewhere.
    fn take(&mut self, e: &'p Expr, how: How) {
        use ExprKind::*;
        if let Some(place) = Place::of(e) {
            self.keys(e);
            if self.followed == Some(place.root) {
                // Kept, returned or given to something that is not known to call it once.
                self.graph.reused = true;
            }
            if self.is_group(&e.ty) {
                self.graph.misplaced.push(Misplaced::GroupTaken { span: e.span });
                return;
            }
            match self.is_unique(&e.ty) {
                true => self.move_of(place, e.span, how),
                false => self.use_of(place, e.span),
            }
            return;
        }
        match &e.kind {
            Lit(_) | Local(_) | Const(_) | FnRef { .. } | Error => {}
            Global(global) => {
                if self.is_unique(&e.ty) {
                    self.graph.misplaced.push(Misplaced::Global { global: *global, span: e.span });
                }
            }
            // The script goes on using its own variable.
            StoreGlobal { value, .. } => self.look(value),
            Closure(c) => self.closure(c, e.span, Runs::default()),
            SpawnBlock(c) => self.task(c, e.span),
            Call { callee, args } => self.call(callee, args, false),
            SpawnCall { callee, args } => self.call(callee, args, true),
            Struct { fields, .. } | Variant { fields, .. } | Tuple(fields) | List(fields) | Set(fields) => {
                fields.iter().for_each(|f| self.take(f, How::Moved));
            }
            Map(pairs) => pairs.iter().for_each(|(k, v)| {
                self.take(k, How::Moved);
                self.take(v, How::Moved);
            }),
            Range { start: a, end: b, .. } | Binary { lhs: a, rhs: b, .. } => {
                self.look(a);
                self.look(b);
            }
            Unary { operand: value, .. } | Cast(value) => self.look(value),
            Coerce { value, .. } => self.take(value, how),
            Format(parts) => parts.iter().for_each(|p| {
                if let FormatPart::Value { value, .. } = p {
                    self.look(value);
                }
            }),
            Field { base, .. } => self.look(base),
            Index { base, index } => {
                self.look(base);
                self.take(index, How::Moved);
            }
            OrInsert { map, key, default } => {
                self.look(map);
                self.take(key, How::Moved);
                self.take(default, How::Moved);
            }
            And(a, b) | Or(a, b) => {
                self.look(a);
                self.maybe(|s| s.look(b));
            }
            Block { stmts, value } => {
                stmts.iter().for_each(|s| self.stmt(s));
                if let Some(value) = value {
                    self.take(value, how);
                }
            }
            If { cond, then, else_ } => {
                let (no, end) = (self.block(), self.block());
                self.cond(cond, no);
                self.take(then, how);
                self.edge(end);
                self.now = no;
                if let Some(e) = else_ {
                    self.take(e, how);
                }
                self.edge(end);
                self.now = end;
            }
            Match { scrutinee, arms } => self.match_(scrutinee, arms, how),
            While { cond, body } => {
                self.step();
                let (head, end) = (self.now, self.block());
                self.cond(cond, end);
                self.loop_body(head, end, body);
            }
            For { pattern, iterable, body } => {
                self.matched(iterable, &[pattern], How::Looped);
                self.step();
                let (head, end) = (self.now, self.block());
                self.edge(end);
                self.step();
                self.fresh(pattern);
                self.loop_body(head, end, body);
            }
            Break | Continue => {
                if let Some((head, end, n_lent)) = self.loops.last().copied() {
                    self.give_back(n_lent);
                    self.edge(if matches!(e.kind, Break) { end } else { head });
                }
                self.leave();
            }
            Return(value) => {
                if let Some(value) = value {
                    self.take(value, How::Moved);
                }
                self.give_back(0);
                self.leave();
            }
            Assign { target, value } => {
                self.take(value, How::Moved);
                self.assign(target);
            }
            AssignOp { target, value, .. } => {
                self.take(value, How::Moved);
                self.look(target);
            }
            Throw { value, again } => {
                self.take(value, How::Moved);
                if let Some(local) = again {
                    self.use_of(Place { root: *local, steps: Vec::new() }, e.span);
                }
                self.leave();
            }
            Try { body, catches, finally } => self.try_(body, catches, finally.as_deref(), how),
            Question(value) => {
                self.take(value, How::Moved);
                let here = self.now;
                self.step();
                let on = self.now;
                self.now = here;
                self.step();
                self.give_back(0);
                self.leave();
                self.now = on;
            }
            Assert { cond, message, .. } => {
                self.look(cond);
                if let Some(message) = message {
                    let end = self.block();
                    self.edge(end);
                    self.step();
                    self.take(message, How::Moved);
                    self.leave();
                    self.now = end;
                }
            }
            Await(value) => self.take(value, How::Awaited),
            Scope { group, body } => {
                self.event(Event::Fresh(*group));
                self.take(body, how);
            }
            WithZone { local, body, .. } => {
                self.with_zone(*local, |s| s.take(body, how));
            }
            Select { arms } => self.select(arms, how),
            Message { actor, args, timeout, .. } => {
                self.look(actor);
                for arg in args {
                    self.not_a_group(arg);
                    self.take(arg, How::Moved);
                }
                if let Some(timeout) = timeout {
                    self.take(timeout, How::Moved);
                }
            }
        }
    }

    /// Leaves for a handler, a loop's end or the caller; nothing follows.
    fn leave(&mut self) {
        if let Some(handler) = self.handlers.last().copied() {
            self.edge(handler);
        }
        self.stop();
    }

    fn maybe(&mut self, run: impl FnOnce(&mut Self)) {
        let end = self.block();
        self.edge(end);
        self.step();
        run(self);
        self.edge(end);
        self.now = end;
    }

    fn stmt(&mut self, stmt: &'p Stmt) {
        match stmt {
            // A value that nobody takes is an error of its own when it matters.
            Stmt::Expr(e) => match Place::of(e) {
                Some(_) => self.look(e),
                None => self.take(e, How::Moved),
            },
            Stmt::Let { pattern, init, else_ } => {
                // It takes the whole value, whatever its pattern keeps of it.
                if let Some(init) = init {
                    self.take(init, How::Moved);
                }
                if let Some(e) = else_ {
                    let end = self.block();
                    self.edge(end);
                    self.step();
                    self.take(e, How::Moved);
                    self.stop();
                    self.now = end;
                }
                self.fresh(pattern);
            }
        }
    }

    fn fresh(&mut self, pattern: &'p Pat) {
        let mut bound = Vec::new();
        bindings(pattern, &mut Vec::new(), &mut bound);
        for (local, _, _) in bound {
            if self.tracked.get(local.index()).copied().unwrap_or(false) {
                self.event(Event::Fresh(local));
            }
        }
    }

    /// A value that patterns look into: taken as far as the variables are that they bind.
    fn matched(&mut self, value: &'p Expr, patterns: &[&'p Pat], how: How) {
        let Some(place) = Place::of(value) else { return self.take(value, How::Moved) };
        self.keys(value);
        let whole = how == How::Looped;
        let mut moved = Vec::new();
        for pattern in patterns {
            let mut bound = Vec::new();
            bindings(pattern, &mut Vec::new(), &mut bound);
            for (local, steps, ty) in bound {
                if self.is_unique(ty) && self.taken_before.contains(&local) {
                    let mut at = place.clone();
                    if !whole {
                        at.steps.extend(steps);
                    }
                    if !moved.contains(&at) {
                        moved.push(at);
                    }
                }
            }
        }
        if moved.is_empty() {
            return self.use_of(place, value.span);
        }
        for at in moved {
            self.move_of(at, value.span, how);
        }
    }

    /// Goes on where the condition holds; the other way leads to `no`.
    fn cond(&mut self, cond: &'p Cond, no: BlockId) {
        match cond {
            Cond::Expr(e) => {
                self.look(e);
                self.edge(no);
                self.step();
            }
            Cond::Let { pattern, value } => {
                let is_place = Place::of(value).is_some();
                if !is_place {
                    self.take(value, How::Moved);
                } else {
                    self.look(value);
                }
                self.edge(no);
                self.step();
                if is_place {
                    self.matched(value, &[pattern], How::Moved);
                }
                self.fresh(pattern);
            }
        }
    }

    fn match_(&mut self, scrutinee: &'p Expr, arms: &'p [Arm], how: How) {
        match &scrutinee.kind {
            // The arms have what was in the zone.
            ExprKind::WithZone { .. } => self.take(scrutinee, How::Moved),
            _ => self.look(scrutinee),
        }
        let is_place = Place::of(scrutinee).is_some();
        let end = self.block();
        for arm in arms {
            let next = self.block();
            self.edge(next);
            self.step();
            self.fresh(&arm.pattern);
            if let Some(guard) = &arm.guard {
                self.look(guard);
                self.edge(next);
                self.step();
            }
            if is_place {
                self.matched(scrutinee, &[&arm.pattern], How::Moved);
                self.fresh(&arm.pattern);
            }
            self.take(&arm.body, how);
            self.edge(end);
            self.now = next;
        }
        // The arms take every case.
        self.now = end;
    }

    fn loop_body(&mut self, head: BlockId, end: BlockId, body: &'p Expr) {
        self.loops.push((head, end, self.lent.len()));
        self.take(body, How::Moved);
        self.loops.pop();
        self.edge(head);
        self.now = end;
    }

    fn assign(&mut self, target: &'p Expr) {
        match Place::of(target) {
            Some(place) => {
                self.keys(target);
                if self.tracks(&place) {
                    self.event(Event::Set { place, span: target.span });
                }
            }
            None => self.look(target),
        }
    }

    fn try_(&mut self, body: &'p Expr, catches: &'p [Catch], finally: Option<&'p Expr>, how: How) {
        let (failed, normal) = (self.block(), self.block());
        let outer = self.handlers.last().copied();
        // The way of errors that nothing here takes, through `finally`.
        let unhandled = match finally {
            Some(_) => Some(self.block()),
            None => outer,
        };
        self.handlers.push(failed);
        self.edge(failed);
        self.step();
        self.take(body, how);
        self.handlers.pop();
        self.edge(normal);
        if let Some(unhandled) = unhandled {
            self.handlers.push(unhandled);
        }
        self.now = failed;
        for catch in catches {
            let next = self.block();
            self.edge(next);
            self.step();
            self.take(&catch.body, how);
            self.edge(normal);
            self.now = next;
        }
        if let Some(unhandled) = unhandled {
            self.edge(unhandled);
            self.handlers.pop();
        }
        self.now = normal;
        if let (Some(finally), Some(unhandled)) = (finally, unhandled) {
            self.finals += 1;
            if self.finals > MAX_FINALS {
                self.edge(unhandled);
                self.now = unhandled;
                self.take(finally, How::Moved);
            } else {
                self.take(finally, How::Moved);
                let after = self.now;
                self.now = unhandled;
                self.take(finally, How::Moved);
                if let Some(outer) = outer {
                    self.edge(outer);
                }
                self.now = after;
            }
            self.finals -= 1;
        }
    }

    fn select(&mut self, arms: &'p [SelectArm], how: How) {
        for arm in arms {
            match &arm.kind {
                SelectKind::Recv(e) | SelectKind::Await(e) | SelectKind::After(e) => self.look(e),
                SelectKind::Send { channel, value } => {
                    self.look(channel);
                    self.look(value);
                }
                SelectKind::Else => {}
            }
        }
        let end = self.block();
        for arm in arms {
            let next = self.block();
            self.edge(next);
            self.step();
            // Only the arm that was chosen sends its value. A future in an arm that was not chosen is still there, and which one
            // was chosen the program remembers in its own way: taking a result twice is found when it runs.
            if let SelectKind::Send { value, .. } = &arm.kind
                && let Some(place) = Place::of(value)
                && self.is_unique(&value.ty)
            {
                self.move_of(place, value.span, How::Moved);
            }
            if let Some(pattern) = &arm.pattern {
                self.fresh(pattern);
            }
            self.take(&arm.body, how);
            self.edge(end);
            self.now = next;
        }
        self.now = end;
    }

    // --- calls, closures, tasks --------------------------------------------------------------------------------------------

    fn not_a_group(&mut self, e: &Expr) {
        if self.is_group(&e.ty) {
            self.graph.misplaced.push(Misplaced::GroupCrosses { span: e.span });
        }
    }

    fn call(&mut self, callee: &'p Callee, args: &'p [Arg], spawned: bool) {
        let program = self.facts.program;
        let def = match callee {
            Callee::Fn { func, .. } => Some((*func, program.func(*func))),
            Callee::Trait { trait_, method, .. } => {
                program.traits[trait_.index()].methods.get(*method as usize).map(|f| (*f, program.func(*f)))
            }
            Callee::Value(_) => None,
        };
        let in_task = spawned || def.is_some_and(|(_, d)| d.kind != FnKind::Plain);
        if let Callee::Value(f) = callee {
            match Place::of(f) {
                Some(place) if self.followed == Some(place.root) => self.move_of(place, f.span, How::Called),
                _ => self.look(f),
            }
        }
        let mut lent = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let to_send = def.is_some_and(|(_, d)| {
                matches!(d.native.as_deref(), Some("channel_send" | "channel_try_send" | "broadcast_send"))
            });
            if in_task || to_send && i > 0 {
                self.not_a_group(&arg.value);
            }
            let to_all = i > 0 && def.is_some_and(|(_, d)| d.native.as_deref() == Some("broadcast_send"));
            if to_all && self.is_unique(&arg.value.ty) && !self.is_group(&arg.value.ty) {
                self.graph.misplaced.push(Misplaced::Broadcast { span: arg.value.span });
            }
            if arg.mode != ParamMode::Value {
                if in_task && self.is_unique(&arg.value.ty) && !self.is_group(&arg.value.ty) {
                    let callee = def.map_or("the call", |(_, d)| &*d.name);
                    self.graph.misplaced.push(Misplaced::LentToTask { span: arg.value.span, callee });
                }
                match Place::of(&arg.value) {
                    // Lent when all arguments are there.
                    Some(place) => {
                        self.keys(&arg.value);
                        lent.push((place, arg.value.span));
                    }
                    None => self.look(&arg.value),
                }
                continue;
            }
            let once = def.is_some_and(|(f, _)| self.facts.once.calls_once(self.facts, f, i));
            match (&arg.value.kind, Place::of(&arg.value)) {
                (ExprKind::Closure(c), _) => {
                    // What the library runs without a task runs here and now.
                    let is_std = |d: &FnDef| program.modules.get(d.module.index()).is_some_and(|m| m.is_std);
                    let here = !in_task && def.is_some_and(|(_, d)| is_std(d) && !d.in_tasks);
                    let how = Runs { once, here };
                    self.closure(c, arg.value.span, how);
                }
                (_, Some(place)) if self.followed == Some(place.root) && once => {
                    self.move_of(place, arg.value.span, How::Moved);
                }
                _ => self.take(&arg.value, if in_task { How::IntoTask } else { How::Moved }),
            }
        }
        for (place, span) in lent {
            self.use_of(place, span);
        }
    }

    fn closure(&mut self, c: &'p Closure, span: Span, runs: Runs) {
        for (outer, inner) in &c.captures {
            let ty = &c.body.locals[inner.index()].ty;
            let place = Place { root: *outer, steps: Vec::new() };
            if self.followed == Some(*outer) {
                self.graph.reused = true;
            }
            if !self.is_unique(ty) {
                continue;
            }
            if runs.once && !self.is_group(ty) {
                self.move_of(place, span, How::Moved);
            } else if runs.here && self.is_group(ty) {
                self.use_of(place, span);
            } else {
                self.graph.misplaced.push(Misplaced::Captured {
                    name: &c.body.locals[inner.index()].name,
                    span,
                    group: self.is_group(ty),
                });
                self.use_of(place, span);
            }
        }
    }

    fn task(&mut self, c: &'p Closure, span: Span) {
        for (outer, inner) in &c.captures {
            let ty = &c.body.locals[inner.index()].ty;
            let place = Place { root: *outer, steps: Vec::new() };
            if self.followed == Some(*outer) {
                if !self.facts.once.body_calls_once(self.facts, &c.body, *inner) {
                    self.graph.reused = true;
                }
                self.move_of(place, span, How::IntoTask);
            } else if self.is_group(ty) {
                self.graph.misplaced.push(Misplaced::Captured {
                    name: &c.body.locals[inner.index()].name,
                    span,
                    group: true,
                });
            } else if self.is_unique(ty) {
                self.move_of(place, span, How::IntoTask);
            }
        }
    }
}
