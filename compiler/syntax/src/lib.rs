//! STARK's front door: source map, lexer, layout, syntax tree, parser and diagnostics.

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod layout;
pub mod lexer;
pub mod parser;
pub mod render;
pub mod source;
pub mod stored;
pub mod token;
pub mod visit;

pub use layout::{Comment, CommentKind, Lexed, lex};
pub use parser::{Parse, parse};
