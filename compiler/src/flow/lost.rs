//! Values that get lost: E0610 a future that nobody waits for, W0611 a `Result` that nobody looks at.
//!
//! A statement drops its value. So does a closure whose function returns nothing, and an arm of a `match` or `select` that is
//! a statement: all are statements in the typed tree.

use super::{Flow, Unique};
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;

impl<'p> Flow<'p> {
    pub fn check_lost(&mut self) {
        let program = self.program;
        let futures = Unique::holding(program, program.lang.future);
        for def in &program.fns {
            if let Some(body) = &def.body
                && !program.modules.get(def.module.index()).is_some_and(|m| m.is_std)
            {
                self.lost_in(&body.value, &futures);
            }
        }
    }

    fn lost_in(&mut self, e: &'p Expr, futures: &Unique) {
        match &e.kind {
            ExprKind::Block { stmts, .. } => {
                for stmt in stmts {
                    if let Stmt::Expr(e) = stmt {
                        self.lost(e, futures);
                    }
                }
            }
            ExprKind::Closure(c) | ExprKind::SpawnBlock(c) => self.lost_in(&c.body.value, futures),
            // What its function gives goes nowhere.
            ExprKind::Call { callee: Callee::Fn { func, type_args }, args }
                if self.program.lang.prelude_fns.get("parallel_for_each") == Some(func)
                    && type_args.last().is_some_and(|result| futures.is(result)) =>
            {
                let at = args.last().map_or(e.span, |f| f.value.span);
                self.lost_in_task(at);
            }
            _ => {}
        }
        super::each(e, &mut |child| self.lost_in(child, futures));
    }

    fn lost(&mut self, e: &Expr, futures: &Unique) {
        let Ty::Adt(id, args) = &e.ty else {
            if futures.is(&e.ty) {
                self.lost_futures(e);
            }
            return;
        };
        let text = self.sources.slice(e.span).to_string();
        let short = !text.contains('\n') && text.len() <= 60;
        if *id == self.program.lang.future {
            let help = match short {
                true => format!("write `await {text}`, or `{text}.detach()` to let it run on"),
                false => "`await` it, or call `.detach()` on it to let it run on".to_string(),
            };
            let at = Span { end: e.span.start, ..e.span };
            self.found.push(
                Diagnostic::error(
                    codes::BARE_FUTURE,
                    "nobody waits for this future, so its task is cancelled at once",
                    e.span,
                    "a `Future` as a statement",
                )
                .help(help)
                .fix("await it", vec![(at, "await ".to_string())]),
            );
        } else if *id == self.program.lang.result {
            self.found.push(
                Diagnostic::warning(codes::IGNORED_RESULT, "this `Result` is ignored", e.span, "may hold an error")
                    .help("use `?`, `match`, or `let _ = …`"),
            );
        } else if *id == self.program.lang.join_handle && args.iter().any(|result| futures.is(result)) {
            self.lost_in_task(e.span);
        } else if let (true, ExprKind::Call { callee: Callee::Fn { func, .. }, args: given }) =
            (futures.is(&e.ty), &e.kind)
            && self.program.func(*func).native.as_deref() == Some("map_insert")
            && let [map, key, _] = &given[..]
        {
            let text = |arg: &Arg| self.sources.slice(arg.value.span).to_string();
            let help = format!("write `{}[{}] = …`", text(map), text(key));
            self.found.push(
                Diagnostic::error(
                    codes::BARE_FUTURE,
                    "`insert` gives back what was there before, and nobody waits for the futures in it",
                    e.span,
                    "gives futures that are dropped here",
                )
                .help(help),
            );
        } else if futures.is(&e.ty) && !matches!(e.kind, ExprKind::Local(_)) {
            self.lost_futures(e);
        }
    }

    /// A task ends when its function does, not when the future has that the function gives.
    fn lost_in_task(&mut self, span: Span) {
        self.found.push(
            Diagnostic::error(
                codes::BARE_FUTURE,
                "nobody waits for the future that this task gives, so it is cancelled when the task ends",
                span,
                "gives a future that is dropped",
            )
            .help("`await` it inside the task, as in `|| await work()`"),
        );
    }

    fn lost_futures(&mut self, e: &Expr) {
        self.found.push(
            Diagnostic::error(
                codes::BARE_FUTURE,
                "nobody waits for the futures in this, so their tasks are cancelled at once",
                e.span,
                "holds futures that are dropped here",
            )
            .help("`await` them, together with `gather` for example, or `.detach()` each"),
        );
    }
}
