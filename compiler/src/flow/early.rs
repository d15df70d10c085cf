//! E0209: a script's `let` that a function reads before it has run.
//!
//! Only what surely happens is reported: calls that the script's own statements make, and reads that the called function makes
//! before it could go another way. The rest is a fault when it happens.

use super::{Flow, each};
use crate::hir::*;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::collections::{HashMap, HashSet};

/// What a function surely reads, and where; `None` while it is looked at, which ends recursion.
type Reads = HashMap<FnId, Option<Vec<(GlobalId, Span)>>>;

impl Flow<'_> {
    pub fn check_early(&mut self) {
        let program = self.program;
        let Some(body) = &program.func(program.entry).body else { return };
        let ExprKind::Block { stmts, .. } = &body.value.kind else { return };
        let mut unset: HashSet<GlobalId> = stmts.iter().filter_map(stored).collect();
        let mut reads = Reads::new();
        for stmt in stmts {
            let mut found = Vec::new();
            let goes_on = sure_of_stmt(program, stmt, &mut reads, &mut |read| found.push(read));
            for (global, read, call) in found {
                // Once is enough for a variable.
                if unset.remove(&global) {
                    self.found.push(early(program, global, read, call));
                }
            }
            if let Some(global) = stored(stmt) {
                unset.remove(&global);
            }
            let leaves = matches!(stmt, Stmt::Expr(e) if e.ty == Ty::Never);
            if !goes_on && leaves {
                break;
            }
        }
    }
}

fn stored(stmt: &Stmt) -> Option<GlobalId> {
    match stmt {
        Stmt::Expr(Expr { kind: ExprKind::StoreGlobal { global, .. }, .. }) => Some(*global),
        _ => None,
    }
}

fn early(program: &Program, global: GlobalId, read: Span, call: Option<Span>) -> Diagnostic {
    let def = &program.globals[global.index()];
    let (title, at) = (format!("`{}` has no value yet when this runs", def.name), call.unwrap_or(read));
    let mut report = Diagnostic::error(codes::USED_BEFORE_SET, title, at, "runs before the `let`");
    if call.is_some() {
        report = report.because(read, "read here");
    }
    report.because(def.span, "set only here").help(format!("move this below `let {}`", def.name))
}

/// A global that is surely read, where, and at which call of the body that is looked at.
type Found<'f> = dyn FnMut((GlobalId, Span, Option<Span>)) + 'f;

fn sure_of_stmt(program: &Program, stmt: &Stmt, reads: &mut Reads, found: &mut Found<'_>) -> bool {
    match stmt {
        Stmt::Let { init, else_, .. } => {
            init.as_ref().is_none_or(|e| sure(program, e, reads, found)) && else_.is_none()
        }
        Stmt::Expr(e) => sure(program, e, reads, found),
    }
}

/// Hands on what is surely read when `e` is evaluated; false when control may not come out at its end.
fn sure(program: &Program, e: &Expr, reads: &mut Reads, found: &mut Found<'_>) -> bool {
    use ExprKind::*;
    match &e.kind {
        Global(global) => {
            found((*global, e.span, None));
            true
        }
        Block { stmts, value } => {
            stmts.iter().all(|stmt| sure_of_stmt(program, stmt, reads, found))
                && value.as_ref().is_none_or(|e| sure(program, e, reads, found))
        }
        Call { callee, .. } => {
            if !strict(program, e, reads, found) {
                return false;
            }
            // A task of its own runs later.
            if let Callee::Fn { func, .. } = callee
                && program.func(*func).kind == FnKind::Plain
            {
                for (global, read) in reads_of(program, *func, reads) {
                    found((global, read, Some(e.span)));
                }
            }
            e.ty != Ty::Never
        }
        And(first, _) | Or(first, _) => sure(program, first, reads, found),
        If { cond, .. } | While { cond, .. } => {
            let (Cond::Expr(first) | Cond::Let { value: first, .. }) = &**cond;
            sure(program, first, reads, found);
            false
        }
        Match { scrutinee: first, .. } | For { iterable: first, .. } => {
            sure(program, first, reads, found);
            false
        }
        Question(value) => {
            sure(program, value, reads, found);
            false
        }
        Return(_) | Throw { .. } => {
            strict(program, e, reads, found);
            false
        }
        Break | Continue | Try { .. } | Scope { .. } | Select { .. } | WithZone { .. } | Message { .. } | Error => {
            false
        }
        _ => strict(program, e, reads, found),
    }
}

/// Its parts are all evaluated, in order.
fn strict(program: &Program, e: &Expr, reads: &mut Reads, found: &mut Found<'_>) -> bool {
    let mut goes_on = true;
    each(e, &mut |child| goes_on = goes_on && sure(program, child, reads, found));
    goes_on
}

fn reads_of(program: &Program, func: FnId, reads: &mut Reads) -> Vec<(GlobalId, Span)> {
    if let Some(known) = reads.get(&func) {
        return known.clone().unwrap_or_default();
    }
    reads.insert(func, None);
    let mut all = Vec::new();
    if let Some(body) = &program.func(func).body {
        sure(program, &body.value, reads, &mut |(global, read, _)| {
            if !all.iter().any(|&(seen, _)| seen == global) {
                all.push((global, read));
            }
        });
    }
    reads.insert(func, Some(all.clone()));
    all
}
