//! Any bytes as a program.

use stark_compiler::{Host, Options};
use stark_syntax::source::{SourceId, SourceMap};
use stark_syntax::{layout, parser, render};

/// Bytes that are no UTF-8 never reach the compiler: the command refuses the file.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

fn source_of(text: &str) -> (SourceMap, SourceId) {
    let mut sources = SourceMap::new();
    let id = sources.add("fuzz.stark", text);
    (sources, id)
}

/// Tokens stand in order, inside the text, between characters; indents are closed.
pub fn lex(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (_, id) = source_of(text);
    let lexed = layout::lex(text, id);
    let mut end = 0;
    for token in &lexed.tokens {
        assert!(token.start >= end && token.end >= token.start, "tokens overlap at {}", token.start);
        assert!(text.is_char_boundary(token.start as usize) && text.is_char_boundary(token.end as usize));
        end = token.end;
    }
}

/// There is a tree for any text, and each report can be shown.
pub fn parse(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (sources, id) = source_of(text);
    let parsed = parser::parse(text, id);
    if let Some(first) = parsed.diagnostics.first() {
        render::terminal(&sources, std::slice::from_ref(first), false);
    }
}

struct NoFiles;

impl Host for NoFiles {
    fn load(&self, _module_path: &str) -> Option<(String, String)> {
        None
    }
}

/// A program without errors compiles to a module that the verifier accepts.
pub fn check(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (mut sources, id) = source_of(text);
    let compiled = stark_compiler::compile(&mut sources, id, &NoFiles, &Options::default());
    if let Some(first) = compiled.diagnostics.first() {
        render::json(&sources, std::slice::from_ref(first));
    }
    if let Some(module) = compiled.module
        && let Err(error) = stark_bytecode::verify(module)
    {
        panic!("the compiler made a module that the verifier refuses: {error}");
    }
}

/// What the program compiles to, or the reports.
pub(crate) fn module(text: &str) -> Result<stark_bytecode::Module, String> {
    let (mut sources, id) = source_of(text);
    let compiled = stark_compiler::compile(&mut sources, id, &NoFiles, &Options::default());
    compiled.module.ok_or_else(|| render::terminal(&sources, &compiled.diagnostics, false))
}
