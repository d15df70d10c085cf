//! E0301: what `spawn_actor` starts must be an actor's state. Its parameter fits every type, so it is looked at where the type is
//! known: in each instance of a generic function that passes it on.

use super::Flow;
use super::calls::Calls;
use crate::hir::*;
use crate::types::show::show_final;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use std::collections::HashSet;

impl<'p> Flow<'p> {
    pub fn check_begun(&mut self, calls: &Calls<'p>) {
        let mut seen = HashSet::new();
        for (ty, span) in &calls.begun {
            let fits = match ty {
                Ty::Adt(id, _) => matches!(self.program.adt(*id).kind, AdtKind::Actor(_)),
                Ty::Param(..) | Ty::Error | Ty::Never | Ty::Infer(_) => true,
                _ => false,
            };
            if fits || self.is_std(*span) || !seen.insert(*span) {
                continue;
            }
            let shown = show_final(self.program, ty);
            self.found.push(
                Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    format!("`spawn_actor` starts actors, and this is `{shown}`"),
                    *span,
                    format!("this is `{shown}`"),
                )
                .help("declare `actor Name:`, and give it `Name::new(…)`"),
            );
        }
    }
}
