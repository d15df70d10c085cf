//! E0505, and the E0606 of values that would have to be copied: unique values after they were moved.
//!
//! The state at a point is every place that may have been moved on some way there, with the place where. It only grows
//! along the graph's edges, so the states are found by going round until nothing is new; then one more pass reports.

use super::Flow;
use super::graph::*;
use super::place::*;
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::{BTreeSet, HashMap};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gone {
    pub span: Span,
    pub how: How,
}

/// A place used at `span` although it, or part of it, may be gone.
#[derive(Debug)]
pub struct Conflict {
    pub place: Place,
    pub span: Span,
    pub gone_place: Place,
    pub gone: Gone,
    pub kind: ConflictKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    Used,
    /// A part of something gone is assigned.
    Assigned,
    /// A borrow `&mut` ends without the value.
    NotGivenBack,
}

pub fn conflicts(graph: &Graph<'_>) -> Vec<Conflict> {
    let moves = Moves::of(graph);
    if moves.list.is_empty() {
        return Vec::new();
    }
    let order = graph.order();
    let mut rank = vec![usize::MAX; graph.blocks.len()];
    order.iter().enumerate().for_each(|(i, block)| rank[*block] = i);
    let mut states: Vec<Option<State>> = vec![None; graph.blocks.len()];
    states[0] = Some(State::new(moves.list.len()));
    // In the order of the program, so that a block mostly waits for all that leads to it.
    let mut pending = BTreeSet::from([0]);
    while let Some(next) = pending.pop_first() {
        let block = order[next];
        let Some(mut state) = states[block].clone() else { continue };
        for (i, event) in graph.blocks[block].events.iter().enumerate() {
            moves.apply(block, i, event, &mut state);
        }
        for next in &graph.blocks[block].next {
            let changed = match &mut states[*next] {
                Some(old) => old.add(&state),
                empty => {
                    *empty = Some(state.clone());
                    true
                }
            };
            if changed {
                pending.insert(rank[*next]);
            }
        }
    }
    let mut out = Vec::new();
    for block in order {
        let Some(mut state) = states[block].take() else { continue };
        for (i, event) in graph.blocks[block].events.iter().enumerate() {
            moves.judge(event, &state, &mut out);
            moves.apply(block, i, event, &mut state);
        }
    }
    out
}

/// Which of the moves may have happened: a bit for each.
#[derive(Clone)]
struct State(Vec<u64>);

impl State {
    fn new(n_moves: usize) -> State {
        State(vec![0; n_moves.div_ceil(64)])
    }

    fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    fn set(&mut self, i: usize, on: bool) {
        let bit = 1 << (i % 64);
        if on { self.0[i / 64] |= bit } else { self.0[i / 64] &= !bit }
    }

    /// Whether that added anything.
    fn add(&mut self, other: &State) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            changed |= *theirs & !*mine != 0;
            *mine |= *theirs;
        }
        changed
    }
}

/// Every move of a graph, in the order of the program.
struct Moves {
    list: Vec<(Place, Gone)>,
    by_event: HashMap<(BlockId, usize), usize>,
    by_root: HashMap<LocalId, Vec<usize>>,
}

impl Moves {
    fn of(graph: &Graph<'_>) -> Moves {
        let mut moves = Moves { list: Vec::new(), by_event: HashMap::new(), by_root: HashMap::new() };
        for (block, row) in graph.blocks.iter().enumerate() {
            for (i, event) in row.events.iter().enumerate() {
                if let Event::Move { place, span, how } = event {
                    moves.by_event.insert((block, i), moves.list.len());
                    moves.by_root.entry(place.root).or_default().push(moves.list.len());
                    moves.list.push((place.clone(), Gone { span: *span, how: *how }));
                }
            }
        }
        for of_root in moves.by_root.values_mut() {
            of_root.sort_by_key(|i| moves.list[*i].1.span.start);
        }
        moves
    }

    fn of_root(&self, root: LocalId) -> impl Iterator<Item = usize> + '_ {
        self.by_root.get(&root).into_iter().flatten().copied()
    }

    fn apply(&self, block: BlockId, i: usize, event: &Event, state: &mut State) {
        match event {
            Event::Move { .. } => {
                if let Some(i) = self.by_event.get(&(block, i)) {
                    state.set(*i, true);
                }
            }
            Event::Set { place, .. } => {
                self.of_root(place.root).filter(|i| place.holds(&self.list[*i].0)).for_each(|i| state.set(i, false));
            }
            Event::Fresh(local) => self.of_root(*local).for_each(|i| state.set(i, false)),
            Event::Use { .. } | Event::GiveBack(_) => {}
        }
    }

    fn judge(&self, event: &Event, state: &State, out: &mut Vec<Conflict>) {
        let mut add = |place: &Place, span: Option<Span>, kind: ConflictKind, bad: &dyn Fn(&Place) -> bool| {
            let gone = self.of_root(place.root).find(|i| state.has(*i) && bad(&self.list[*i].0));
            if let Some((gone_place, gone)) = gone.map(|i| self.list[i].clone()) {
                let span = span.unwrap_or(gone.span);
                out.push(Conflict { place: place.clone(), span, gone_place, gone, kind });
            }
        };
        match event {
            // Its elements may have gone one by one: what is asked of the whole is its own.
            Event::Use { place, span } => add(place, Some(*span), ConflictKind::Used, &|gone| {
                gone.holds(place) || place.holds(gone) && !gone.is_element_of(place)
            }),
            Event::Move { place, span, .. } => {
                add(place, Some(*span), ConflictKind::Used, &|gone| gone.holds(place) || place.holds(gone));
            }
            Event::Set { place, span } => {
                add(place, Some(*span), ConflictKind::Assigned, &|gone| gone != place && gone.holds(place));
            }
            Event::GiveBack(local) => {
                let place = Place { root: *local, steps: Vec::new() };
                add(&place, None, ConflictKind::NotGivenBack, &|_| true);
            }
            Event::Fresh(_) => {}
        }
    }
}

impl<'p> Flow<'p> {
    /// All bodies: functions, and the closures and tasks in them.
    pub fn check_moves(&mut self) {
        let program = self.program;
        for def in &program.fns {
            let Some(body) = &def.body else { continue };
            let modes: Vec<ParamMode> = def.params.iter().map(|p| p.mode).collect();
            self.check_body_moves(body, &modes);
            let mut inner = Vec::new();
            closures_in(&body.value, &mut inner);
            while let Some(c) = inner.pop() {
                self.check_body_moves(&c.body, &[]);
                closures_in(&c.body.value, &mut inner);
            }
        }
    }

    fn check_body_moves(&mut self, body: &'p Body, modes: &[ParamMode]) {
        let param_of = |mode: ParamMode| {
            let params = body.params.iter().zip(modes).filter(move |(_, m)| **m == mode).map(|(p, _)| *p);
            params.filter(|p| self.unique.is(&body.locals[p.index()].ty)).collect::<Vec<_>>()
        };
        let (lent_mut, lent) = (param_of(ParamMode::RefMut), param_of(ParamMode::Ref));
        let graph = Graph::of(self.facts(), body, &lent_mut, None);
        for c in conflicts(&graph) {
            self.report_conflict(body, &c);
        }
        for block in &graph.blocks {
            for event in &block.events {
                if let Event::Move { place, span, .. } = event
                    && lent.contains(&place.root)
                {
                    self.report_taken_from_borrow(body, place, *span);
                }
            }
        }
        for m in &graph.misplaced {
            self.report_misplaced(m);
        }
    }

    /// What has one owner was taken out of a place that goes on.
    fn report_kept(&mut self, c: &Conflict, what: &str, lacks: &str, name: &str) {
        let help = match name {
            // It has no name yet.
            "guard" => "take the zone with `with … as v:`, and put another value in its place".to_string(),
            name => format!("put another value in its place: `let mine = {name}`, then `{name} = …`"),
        };
        let title = format!("{what} has one owner: {lacks}");
        let d = Diagnostic::error(codes::USE_AFTER_MOVE, title, c.gone.span, taken_label(c.gone.how));
        self.found.push(d.help(help));
    }

    fn report_conflict(&mut self, body: &Body, c: &Conflict) {
        let local = &body.locals[c.place.root.index()];
        let (shown, gone_shown) = (self.shown(body, &c.place), self.shown(body, &c.gone_place));
        if c.kind == ConflictKind::NotGivenBack && !body.params.contains(&c.place.root) {
            return self.report_kept(c, "the zone's value", "the zone would go on without it", &local.name);
        }
        let of_actor =
            |ty: &Ty| matches!(ty, Ty::Adt(id, _) if matches!(self.program.adt(*id).kind, AdtKind::Actor(_)));
        if c.kind == ConflictKind::NotGivenBack && of_actor(&local.ty) {
            let what = format!("the field `{gone_shown}`");
            return self.report_kept(c, &what, "the actor would go on without its value", &gone_shown);
        }
        if c.kind == ConflictKind::NotGivenBack {
            return self.found.push(
                Diagnostic::error(
                    codes::USE_AFTER_MOVE,
                    format!("`{gone_shown}` is lent `&mut` and would go back without its value"),
                    c.gone.span,
                    taken_label(c.gone.how),
                )
                .because(local.span, "lent here")
                .help("put another value in its place before the borrow ends, or take the parameter by value"),
            );
        }
        let same = c.gone.span == c.span;
        let part = c.place.holds(&c.gone_place) && c.place != c.gone_place;
        let message = match (part, c.kind) {
            (true, _) if gone_shown == shown => format!("`{shown}` is not whole any more: what it held was moved"),
            (true, _) => format!("`{shown}` is not whole any more: `{gone_shown}` was moved"),
            (_, ConflictKind::Assigned) => format!("`{gone_shown}` was moved, so nothing can be put into it"),
            _ => format!("`{gone_shown}` was moved and cannot be used again"),
        };
        let label = if same { "moved in an earlier round of the loop" } else { "used after it was moved" };
        let mut d = Diagnostic::error(codes::USE_AFTER_MOVE, message, c.span, label);
        if !same {
            d = d.because(c.gone.span, taken_label(c.gone.how));
        }
        let head = self.type_name(&local.ty);
        d = d.help(match c.gone.how {
            _ if same => "make a new one in each round, or move it once, outside of the loop".to_string(),
            How::Awaited => "await it once and keep what it gave: `let value = await …`".to_string(),
            _ if head == "JoinHandle" || head == "Future" => {
                "what it gives can be used often: wait once, and keep it with `let value = …`".to_string()
            }
            How::Looped => "the loop takes the items out: keep what it makes of them in a new list".to_string(),
            How::IntoTask => "let the task give back what is needed here".to_string(),
            _ => format!("`{head}` has one owner: use it before it is moved, or let the function take it as `&{head}`"),
        });
        self.found.push(d);
    }

    fn report_taken_from_borrow(&mut self, body: &Body, place: &Place, span: Span) {
        let local = &body.locals[place.root.index()];
        let shown = self.shown(body, place);
        let help = match &*local.name {
            "self" => "take `self`: the method then uses the value up".to_string(),
            name => format!("take `{name}` by value, without `&`"),
        };
        self.found.push(
            Diagnostic::error(
                codes::USE_AFTER_MOVE,
                format!("`{shown}` is only lent here and cannot be moved away"),
                span,
                "moved here",
            )
            .because(local.span, "lent with `&`")
            .help(help),
        );
    }

    fn report_misplaced(&mut self, m: &Misplaced<'p>) {
        let d = match m {
            Misplaced::Global { global, span } => {
                let global = &self.program.globals[global.index()];
                let head = self.type_name(&global.ty);
                Diagnostic::error(
                    codes::USE_AFTER_MOVE,
                    format!("`{}` belongs to the script, and a `{head}` cannot be copied into a function", global.name),
                    *span,
                    "moved out of the script here",
                )
                .because(global.span, "the script's own")
                .help("give it to the function as an argument")
            }
            Misplaced::Captured { name, span, group: true } => Diagnostic::error(
                codes::CANNOT_CROSS,
                format!("the task group `{name}` stays in the task whose `scope` it belongs to"),
                *span,
                format!("captures `{name}`"),
            )
            .help(format!("start the tasks from the `scope` itself, with `{name}.spawn(…)`")),
            Misplaced::Captured { name, span, .. } => Diagnostic::error(
                codes::CANNOT_CROSS,
                format!("`{name}` cannot be copied into a closure that may run many times"),
                *span,
                format!("captures `{name}`, which has one owner"),
            )
            .help(format!("get its value first, as in `let value = await {name}`, and use that inside")),
            Misplaced::GroupCrosses { span } => Diagnostic::error(
                codes::CANNOT_CROSS,
                "a task group stays in the task whose `scope` it belongs to",
                *span,
                "would reach another task here",
            )
            .help("start the tasks from the `scope` itself"),
            Misplaced::GroupTaken { span } => Diagnostic::error(
                codes::CANNOT_CROSS,
                "a task group belongs to its `scope` and cannot be moved away",
                *span,
                "moved here",
            )
            .help("lend it: take the parameter as `&TaskGroup`"),
            Misplaced::Broadcast { span } => Diagnostic::error(
                codes::CANNOT_CROSS,
                "every subscriber would need a copy of this, which has one owner",
                *span,
                "sent to all subscribers",
            )
            .help("send it through a `Channel`, where one receiver takes it"),
            Misplaced::LentToTask { span, callee } => Diagnostic::error(
                codes::CANNOT_CROSS,
                format!("`{callee}` runs as a task and would need a copy of this, which has one owner"),
                *span,
                "lent to a task",
            )
            .help("let the function take it by value"),
        };
        self.found.push(d);
    }

    /// The place as a program writes it; a variant's payload by the name of what holds it.
    fn shown(&self, body: &Body, place: &Place) -> String {
        let local = &body.locals[place.root.index()];
        let (mut out, mut ty) = (local.name.to_string(), local.ty.clone());
        for step in &place.steps {
            match step {
                Step::Element(Some(Key::Int(n))) => out += &format!("[{n}]"),
                Step::Element(Some(Key::Text(text))) => out += &format!("[{text:?}]"),
                Step::Element(None) => out += "[…]",
                Step::Field(_) => {}
            }
            let Step::Field(field) = step else {
                match &ty {
                    Ty::Adt(_, args) if !args.is_empty() => ty = args[args.len() - 1].clone(),
                    _ => return out,
                }
                continue;
            };
            let field = *field as usize;
            ty = match &ty {
                Ty::Tuple(items) if field < items.len() => {
                    out += &format!(".{field}");
                    items[field].clone()
                }
                Ty::Adt(id, args) => match &self.program.adt(*id).kind {
                    AdtKind::Struct(fields) if field < fields.len() => {
                        out += &format!(".{}", fields[field].name);
                        fields[field].ty.subst(args)
                    }
                    // An actor's fields have no `self` before them.
                    AdtKind::Actor(def) if field < def.fields.len() => {
                        out = def.fields[field].name.to_string();
                        def.fields[field].ty.subst(args)
                    }
                    _ => return out,
                },
                _ => return out,
            };
        }
        out
    }
}

fn taken_label(how: How) -> &'static str {
    match how {
        How::Moved => "moved here",
        How::Awaited => "awaited here, which uses it up",
        How::IntoTask => "moved into a task here",
        How::Looped => "its items are taken out by this loop",
        How::Called => "called here",
    }
}

/// The closures and tasks made directly in an expression.
pub fn closures_in<'p>(e: &'p Expr, out: &mut Vec<&'p Closure>) {
    if let ExprKind::Closure(c) | ExprKind::SpawnBlock(c) = &e.kind {
        out.push(c);
    }
    super::each(e, &mut |child| closures_in(child, out));
}
