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
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gone {
    pub span: Span,
    pub how: How,
}

type State = BTreeMap<Place, Gone>;

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
    let mut states: Vec<Option<State>> = vec![None; graph.blocks.len()];
    states[0] = Some(State::new());
    let mut pending = vec![0];
    while let Some(block) = pending.pop() {
        let Some(mut state) = states[block].clone() else { continue };
        for event in &graph.blocks[block].events {
            apply(event, &mut state);
        }
        for next in &graph.blocks[block].next {
            let changed = match &mut states[*next] {
                Some(old) => {
                    let before = old.len();
                    for (place, gone) in &state {
                        old.entry(place.clone()).or_insert(*gone);
                    }
                    old.len() > before
                }
                empty => {
                    *empty = Some(state.clone());
                    true
                }
            };
            if changed {
                pending.push(*next);
            }
        }
    }
    let mut out = Vec::new();
    for (block, state) in graph.blocks.iter().zip(states) {
        let Some(mut state) = state else { continue };
        for event in &block.events {
            judge(event, &state, &mut out);
            apply(event, &mut state);
        }
    }
    out
}

fn apply(event: &Event, state: &mut State) {
    match event {
        Event::Move { place, span, how } => {
            state.insert(place.clone(), Gone { span: *span, how: *how });
        }
        Event::Set { place, .. } => state.retain(|gone, _| !place.holds(gone)),
        Event::Fresh(local) => state.retain(|gone, _| gone.root != *local),
        Event::Use { .. } | Event::GiveBack(_) => {}
    }
}

fn judge(event: &Event, state: &State, out: &mut Vec<Conflict>) {
    let mut add = |place: &Place, span: Span, kind: ConflictKind, found: Option<(&Place, &Gone)>| {
        if let Some((gone_place, gone)) = found {
            let (place, gone_place, gone) = (place.clone(), gone_place.clone(), *gone);
            out.push(Conflict { place, span, gone_place, gone, kind });
        }
    };
    match event {
        Event::Use { place, span } => {
            // Its elements may have gone one by one: what is asked of the whole is its own.
            let found = state.iter().find(|(g, _)| g.holds(place) || place.holds(g) && !g.is_element_of(place));
            add(place, *span, ConflictKind::Used, found);
        }
        Event::Move { place, span, .. } => {
            let found = state.iter().find(|(g, _)| g.holds(place) || place.holds(g));
            add(place, *span, ConflictKind::Used, found);
        }
        Event::Set { place, span } => {
            let found = state.iter().find(|(g, _)| *g != place && g.holds(place));
            add(place, *span, ConflictKind::Assigned, found);
        }
        Event::GiveBack(local) => {
            let place = Place { root: *local, steps: Vec::new() };
            let found = state.iter().find(|(g, _)| g.root == *local);
            let span = found.map_or(Span::default(), |(_, gone)| gone.span);
            add(&place, span, ConflictKind::NotGivenBack, found);
        }
        Event::Fresh(_) => {}
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

    fn report_conflict(&mut self, body: &Body, c: &Conflict) {
        let local = &body.locals[c.place.root.index()];
        let (shown, gone_shown) = (self.shown(body, &c.place), self.shown(body, &c.gone_place));
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
