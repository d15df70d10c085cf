//! STARK's front door: source map, lexer, layout, syntax tree, parser and diagnostics.

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod source;
