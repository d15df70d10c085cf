//! API documentation as HTML: from syntax trees to pages.
//!
//!     sources → model (what a module offers) → html (pages, with signature and text inside) → files
//!
//! Everything comes from the text of the modules alone, in an order that the text decides: equal sources give equal bytes.

pub mod examples;
mod html;
mod model;
mod signature;
mod text;

use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, SourceMap};

/// A module to document.
pub struct Input {
    /// As a program imports it: `a.b`; for the library's own files `math`, `prelude/vec`.
    pub name: String,
    pub source: SourceId,
    pub is_std: bool,
}

/// A file of the result: its path below the folder, with `/`, and its text.
pub struct Output {
    pub path: String,
    pub text: String,
}

/// The pages for `inputs`, or the syntax errors in them.
pub fn generate(title: &str, sources: &SourceMap, inputs: &[Input]) -> Result<Vec<Output>, Vec<Diagnostic>> {
    let mut modules = Vec::new();
    let mut wrong = Vec::new();
    for input in inputs {
        let parsed = stark_syntax::parser::parse(sources.text(input.source), input.source);
        wrong.extend(parsed.diagnostics);
        modules.push(model::module(input, &parsed.module, sources));
    }
    if wrong.is_empty() { Ok(html::site(title, &modules)) } else { Err(wrong) }
}

#[cfg(test)]
mod tests;
