//! Ownership and concurrency, checked over the typed tree when names and types are known.
//!
//! | file | says |
//! | --- | --- |
//! | `moves` | E0505: a unique value after it was moved; E0606: one that would have to be copied |
//!
//! `unique`, `place`, `graph` and `once` are what `moves` stands on. Every pass reads the whole program and reports into
//! `Flow::found`; a pass assumes nothing of a body that has errors of another kind, so that all are reported together.

mod graph;
mod moves;
mod once;
mod place;
mod unique;

use crate::hir::*;
use graph::Facts;
use once::Once;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::SourceMap;

pub use unique::Unique;

pub use crate::codegen::children as each;

pub struct Flow<'p> {
    program: &'p Program,
    sources: &'p SourceMap,
    unique: &'p Unique,
    once: &'p Once,
    found: Vec<Diagnostic>,
}

/// Everything there is to say about a program whose bodies are typed.
pub fn check(program: &Program, sources: &SourceMap) -> Vec<Diagnostic> {
    let (unique, once) = (Unique::of(program), Once::default());
    let mut flow = Flow { program, sources, unique: &unique, once: &once, found: Vec::new() };
    flow.check_moves();
    flow.found
}

impl<'p> Flow<'p> {
    fn facts(&self) -> Facts<'p> {
        Facts { program: self.program, unique: self.unique, once: self.once }
    }

    /// The head of a type, for messages.
    fn type_name(&self, ty: &Ty) -> String {
        match ty {
            Ty::Adt(id, _) => self.program.adt(*id).name.to_string(),
            _ => "value".to_string(),
        }
    }
}
