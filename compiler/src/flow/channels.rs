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
        let mut seen = HashMap::new();
        for (local, span) in made {
            let mut uses = Uses::default();
            uses_of(self.program, &body.value, local, &mut uses, &mut seen, 0);
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

type Seen = HashMap<(FnId, usize), Uses>;

fn uses_of(program: &Program, e: &Expr, local: LocalId, uses: &mut Uses, seen: &mut Seen, depth: usize) {
    let is_it = |e: &Expr| matches!(e.kind, ExprKind::Local(l) if l == local);
    let receive = |uses: &mut Uses, span: Span| {
        uses.receives.get_or_insert(span);
    };
    match &e.kind {
        _ if uses.other => {}
        ExprKind::Local(l) if *l == local => uses.other = true,
        ExprKind::Assign { target, value } => {
            // Another channel may be in it afterwards.
            uses.other |= is_it(target);
            for part in [target, value] {
                uses_of(program, part, local, uses, seen, depth);
            }
        }
        ExprKind::Closure(c) | ExprKind::SpawnBlock(c) => {
            for (_, inner) in c.captures.iter().filter(|(outer, _)| *outer == local) {
                uses_of(program, &c.body.value, *inner, uses, seen, depth);
            }
        }
        ExprKind::For { iterable, body, .. } if is_it(iterable) => {
            receive(uses, iterable.span);
            uses_of(program, body, local, uses, seen, depth);
        }
        ExprKind::Select { arms } => {
            for arm in arms {
                match &arm.kind {
                    SelectKind::Recv(channel) if is_it(channel) => receive(uses, channel.span),
                    SelectKind::Recv(part) | SelectKind::Await(part) | SelectKind::After(part) => {
                        uses_of(program, part, local, uses, seen, depth);
                    }
                    SelectKind::Send { channel, value } => {
                        uses_of(program, channel, local, uses, seen, depth);
                        uses_of(program, value, local, uses, seen, depth);
                    }
                    SelectKind::Else => {}
                }
                uses_of(program, &arm.body, local, uses, seen, depth);
            }
        }
        ExprKind::Call { callee, args } | ExprKind::SpawnCall { callee, args } => {
            if let Callee::Value(f) = callee {
                uses_of(program, f, local, uses, seen, depth);
            }
            for (i, arg) in args.iter().enumerate() {
                if !is_it(&arg.value) {
                    uses_of(program, &arg.value, local, uses, seen, depth);
                    continue;
                }
                let Callee::Fn { func, .. } = callee else {
                    uses.other = true;
                    continue;
                };
                let there = uses_of_param(program, *func, i, seen, depth);
                uses.other |= there.other;
                if there.receives.is_some() {
                    receive(uses, e.span);
                }
            }
        }
        _ => super::each(e, &mut |child| uses_of(program, child, local, uses, seen, depth)),
    }
}

/// What a function does with a channel that it is given.
fn uses_of_param(program: &Program, func: FnId, param: usize, seen: &mut Seen, depth: usize) -> Uses {
    let def = program.func(func);
    match def.native.as_deref() {
        Some("channel_recv" | "channel_next" | "channel_recv_timeout" | "channel_try_recv") => {
            return Uses { receives: Some(def.span), other: false };
        }
        Some("channel_len" | "channel_is_closed") => return Uses::default(),
        _ => {}
    }
    let other = Uses { receives: None, other: true };
    let (Some(body), false) = (&def.body, depth > MAX_DEPTH) else { return other };
    if let Some(known) = seen.get(&(func, param)) {
        return *known;
    }
    // A recursive call adds nothing of its own.
    seen.insert((func, param), Uses::default());
    let mut uses = Uses::default();
    uses_of(program, &body.value, body.params[param], &mut uses, seen, depth + 1);
    seen.insert((func, param), uses);
    uses
}
