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

/// How deep calls are followed, and how many variables a function is known to read. Whoever goes further is told when the
/// program runs; both keep the time in proportion to the program, and the stack small.
const MAX_DEPTH: usize = 64;
const MAX_READS: usize = 64;

/// What a function surely reads, and where; nothing yet while it is looked at, which ends recursion.
type Reads = HashMap<FnId, Vec<(GlobalId, Span)>>;

impl Flow<'_> {
    pub fn check_early(&mut self) {
        let program = self.program;
        let Some(body) = &program.func(program.entry).body else { return };
        let ExprKind::Block { stmts, .. } = &body.value.kind else { return };
        let mut unset: HashSet<GlobalId> = stmts.iter().filter_map(stored).collect();
        if unset.is_empty() {
            return;
        }
        let mut reads = Reads::new();
        let mut walk = Walk { program, reads: &mut reads, depth: 0, called: HashSet::new(), found: Vec::new() };
        for stmt in stmts {
            let goes_on = walk.stmt(stmt);
            for (global, read, call) in walk.found.drain(..) {
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

/// One body, in the order in which it runs.
struct Walk<'p, 'r> {
    program: &'p Program,
    reads: &'r mut Reads,
    /// Calls between the script and this body.
    depth: usize,
    /// Functions that this body has called: a second call reads nothing new.
    called: HashSet<FnId>,
    /// Variables that are surely read, where, and at which call of this body.
    found: Vec<(GlobalId, Span, Option<Span>)>,
}

impl<'p> Walk<'p, '_> {
    fn stmt(&mut self, stmt: &'p Stmt) -> bool {
        match stmt {
            Stmt::Let { init, else_, .. } => init.as_ref().is_none_or(|e| self.expr(e)) && else_.is_none(),
            Stmt::Expr(e) => self.expr(e),
        }
    }

    /// What is surely read when `e` is evaluated; false when control may not come out at its end.
    fn expr(&mut self, e: &'p Expr) -> bool {
        use ExprKind::*;
        match &e.kind {
            Global(global) => {
                self.found.push((*global, e.span, None));
                true
            }
            Block { stmts, value } => {
                stmts.iter().all(|stmt| self.stmt(stmt)) && value.as_ref().is_none_or(|e| self.expr(e))
            }
            Call { callee, .. } => {
                if !self.parts(e) {
                    return false;
                }
                // A task of its own runs later.
                if let Callee::Fn { func, .. } = callee
                    && self.program.func(*func).kind == FnKind::Plain
                    && self.called.insert(*func)
                {
                    let reads = self.reads_of(*func);
                    self.found.extend(reads.into_iter().map(|(global, read)| (global, read, Some(e.span))));
                }
                e.ty != Ty::Never
            }
            And(first, _) | Or(first, _) => self.expr(first),
            If { cond, .. } | While { cond, .. } => {
                let (Cond::Expr(first) | Cond::Let { value: first, .. }) = &**cond;
                self.expr(first);
                false
            }
            Match { scrutinee: first, .. } | For { iterable: first, .. } => {
                self.expr(first);
                false
            }
            Question(value) => {
                self.expr(value);
                false
            }
            Return(_) | Throw { .. } => {
                self.parts(e);
                false
            }
            Break | Continue | Try { .. } | Scope { .. } | Select { .. } | WithZone { .. } | Message { .. } | Error => {
                false
            }
            _ => self.parts(e),
        }
    }

    /// Its parts are all evaluated, in order.
    fn parts(&mut self, e: &'p Expr) -> bool {
        let mut goes_on = true;
        each(e, &mut |child| goes_on = goes_on && self.expr(child));
        goes_on
    }

    fn reads_of(&mut self, func: FnId) -> Vec<(GlobalId, Span)> {
        if let Some(known) = self.reads.get(&func) {
            return known.clone();
        }
        let Some(body) = self.program.func(func).body.as_ref().filter(|_| self.depth < MAX_DEPTH) else {
            return Vec::new();
        };
        self.reads.insert(func, Vec::new());
        let mut inner = Walk {
            program: self.program,
            reads: self.reads,
            depth: self.depth + 1,
            called: HashSet::new(),
            found: Vec::new(),
        };
        inner.expr(&body.value);
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        for (global, read, _) in inner.found {
            if all.len() < MAX_READS && seen.insert(global) {
                all.push((global, read));
            }
        }
        self.reads.insert(func, all.clone());
        all
    }
}
