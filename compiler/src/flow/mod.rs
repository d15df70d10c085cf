//! Ownership and concurrency, checked over the typed tree when names and types are known.
//!
//! | file | says |
//! | --- | --- |
//! | `moves` | E0505: a unique value after it was moved; E0606: one that would have to be copied |
//! | `guards` | E0603, E0605, W0620: waiting, and zones taken, while a guard is held |
//! | `begun` | E0301: what `spawn_actor` is given is no actor |
//! | `asks` | W0621: actors that wait for each other |
//! | `channels` | W0622: a receive that nothing sends to |
//! | `early` | E0209: a script's `let` that a function reads before it has run |
//! | `lost` | E0610, W0611: futures and results that a statement drops |
//!
//! `unique`, `place`, `graph` and `once` are what `moves` stands on; `calls` and `circle` carry the passes that look across
//! functions. Every pass reads the whole program and reports into
//! `Flow::found`; a pass assumes nothing of a body that has errors of another kind, so that all are reported together.

mod graph;
mod moves;
mod once;
mod place;
mod unique;

mod asks;
mod begun;
mod calls;
mod circle;
mod guards;

mod channels;
mod early;
mod lost;

use crate::hir::*;
use graph::Facts;
use once::Once;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceMap, Span};
use std::collections::HashSet;

pub use unique::Unique;

pub use crate::codegen::children as each;

pub struct Flow<'p> {
    program: &'p Program,
    sources: &'p SourceMap,
    unique: &'p Unique,
    once: &'p Once,
    found: Vec<Diagnostic>,
}

/// Everything there is to say about a program whose bodies are typed, and its `Program::outer_guards`.
pub fn check(program: &Program, sources: &SourceMap) -> (Vec<Diagnostic>, HashSet<Span>) {
    let (unique, once) = (Unique::of(program), Once::default());
    let mut flow = Flow { program, sources, unique: &unique, once: &once, found: Vec::new() };
    flow.check_moves();
    let calls = flow.calls();
    flow.check_guards(&calls);
    flow.check_begun(&calls);
    flow.check_asks(&calls);
    flow.check_channels();
    flow.check_lost();
    flow.check_early();
    (flow.found, guards::outer(&calls))
}

impl<'p> Flow<'p> {
    fn facts(&self) -> Facts<'p> {
        Facts { program: self.program, unique: self.unique, once: self.once }
    }

    fn is_std(&self, span: Span) -> bool {
        self.program.modules.iter().any(|m| m.source == span.source && m.is_std)
    }

    /// The head of a type, for messages.
    fn type_name(&self, ty: &Ty) -> String {
        match ty {
            Ty::Adt(id, _) => self.program.adt(*id).name.to_string(),
            _ => "value".to_string(),
        }
    }
}
