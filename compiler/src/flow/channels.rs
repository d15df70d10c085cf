//! W0622: a receive that nothing sends to.
//!
//! A channel in a variable of its own is followed through everything that is done with it: methods that only receive, loops,
//! closures and tasks that take it along, functions that only receive from their parameter. Anything else may send, or let
//! another send, and then nothing is said. A channel that is closed ends its receivers.

use super::Flow;
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::HashMap;

/// What is done with a channel, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    receives: Option<Span>,
    /// Something may send, close it, or keep it.
    other: bool,
}

/// Channels handed on through more functions than this are taken to be sent to.
const MAX_DEPTH: usize = 32;

impl<'p> Flow<'p> {
    pub fn check_channels(&mut self) {
        let program = self.program;
        for def in &program.fns {
            if let Some(body) = &def.body
                && !program.modules.get(def.module.index()).is_some_and(|m| m.is_std)
            {
                self.check_channels_in(body);
            }
        }
    }

    fn check_channels_in(&mut self, body: &'p Body) {
        let mut made = Vec::new();
        made_in(self.program, &body.value, &mut made);
        let watched: Watched = made.iter().enumerate().map(|(slot, (local, _))| (*local, slot)).collect();
        let mut search = Search { program: self.program, uses: vec![Uses::default(); made.len()], depth: 0 };
        if !made.is_empty() {
            search.expr(&body.value, &watched, &mut HashMap::new());
        }
        for ((local, span), uses) in made.into_iter().zip(search.uses) {
            if let (Some(receive), false) = (uses.receives, uses.other) {
                let name = &body.locals[local.index()].name;
                self.found.push(
                    Diagnostic::warning(
                        codes::NOTHING_SENDS,
                        format!("nothing ever sends to `{name}`, so this gets no message"),
                        receive,
                        "receives here",
                    )
                    .because(span, "the channel is made here and given to no sender")
                    .help(format!("give `{name}` to a task that sends, or remove the receive")),
                );
            }
        }
        let mut closures = Vec::new();
        super::moves::closures_in(&body.value, &mut closures);
        for c in closures {
            self.check_channels_in(&c.body);
        }
    }
}

/// The variables that hold a channel of their own, with the place where it is made.
fn made_in(program: &Program, e: &Expr, out: &mut Vec<(LocalId, Span)>) {
    if let ExprKind::Block { stmts, .. } = &e.kind {
        for stmt in stmts {
            if let Stmt::Let { pattern: Pat { kind: PatKind::Bind { local, sub: None }, .. }, init: Some(init), .. } =
                stmt
                && let ExprKind::Call { callee: Callee::Fn { func, .. }, .. } = &init.kind
                && program.func(*func).native.as_deref() == Some("channel_new")
            {
                out.push((*local, init.span));
            }
        }
    }
    super::each(e, &mut |child| made_in(program, child, out));
}

/// Variables that hold a channel of interest, with its number.
type Watched = HashMap<LocalId, usize>;
type Seen = HashMap<(FnId, usize), Uses>;

struct Search<'p> {
    program: &'p Program,
    uses: Vec<Uses>,
    depth: usize,
}

impl Search<'_> {
    fn receives(&mut self, slot: usize, span: Span) {
        self.uses[slot].receives.get_or_insert(span);
    }

    fn expr(&mut self, e: &Expr, watched: &Watched, seen: &mut Seen) {
        let slot_of = |e: &Expr| match &e.kind {
            ExprKind::Local(local) => watched.get(local).copied(),
            _ => None,
        };
        match &e.kind {
            ExprKind::Local(_) => {
                if let Some(slot) = slot_of(e) {
                    self.uses[slot].other = true;
                }
            }
            ExprKind::Closure(c) | ExprKind::SpawnBlock(c) => {
                let captured = c.captures.iter().filter_map(|(outer, inner)| Some((*inner, *watched.get(outer)?)));
                let inner: Watched = captured.collect();
                if !inner.is_empty() {
                    self.expr(&c.body.value, &inner, seen);
                }
            }
            ExprKind::For { iterable, body, .. } => {
                match slot_of(iterable) {
                    Some(slot) => self.receives(slot, iterable.span),
                    None => self.expr(iterable, watched, seen),
                }
                self.expr(body, watched, seen);
            }
            ExprKind::Select { arms } => {
                for arm in arms {
                    match &arm.kind {
                        SelectKind::Recv(part) | SelectKind::Await(part) | SelectKind::After(part) => {
                            match slot_of(part) {
                                Some(slot) => self.receives(slot, part.span),
                                None => self.expr(part, watched, seen),
                            }
                        }
                        SelectKind::Send { channel, value } => {
                            self.expr(channel, watched, seen);
                            self.expr(value, watched, seen);
                        }
                        SelectKind::Else => {}
                    }
                    self.expr(&arm.body, watched, seen);
                }
            }
            ExprKind::Call { callee, args } | ExprKind::SpawnCall { callee, args } => {
                if let Callee::Value(f) = callee {
                    self.expr(f, watched, seen);
                }
                for (i, arg) in args.iter().enumerate() {
                    match (slot_of(&arg.value), callee) {
                        (None, _) => self.expr(&arg.value, watched, seen),
                        (Some(slot), Callee::Fn { func, .. }) => {
                            let there = self.of_param(*func, i, seen);
                            self.uses[slot].other |= there.other;
                            if there.receives.is_some() {
                                self.receives(slot, e.span);
                            }
                        }
                        (Some(slot), _) => self.uses[slot].other = true,
                    }
                }
            }
            _ => super::each(e, &mut |child| self.expr(child, watched, seen)),
        }
    }

    /// What a function does with a channel that it is given.
    fn of_param(&self, func: FnId, param: usize, seen: &mut Seen) -> Uses {
        let def = self.program.func(func);
        match def.native.as_deref() {
            Some("channel_recv" | "channel_next" | "channel_recv_timeout" | "channel_try_recv") => {
                return Uses { receives: Some(def.span), other: false };
            }
            Some("channel_len" | "channel_is_closed") => return Uses::default(),
            _ => {}
        }
        let (Some(body), true) = (&def.body, self.depth < MAX_DEPTH) else {
            return Uses { receives: None, other: true };
        };
        if let Some(known) = seen.get(&(func, param)) {
            return *known;
        }
        // Of functions that call each other nothing is said.
        seen.insert((func, param), Uses { receives: None, other: true });
        let mut search = Search { program: self.program, uses: vec![Uses::default()], depth: self.depth + 1 };
        search.expr(&body.value, &HashMap::from([(body.params[param], 0)]), seen);
        seen.insert((func, param), search.uses[0]);
        search.uses[0]
    }
}
