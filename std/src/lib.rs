//! STARK's standard library, written in STARK and embedded: as text, which people read, and parsed, which the compiler reads.
//!
//! `prelude/*` is in scope everywhere by bare names; every other file is a module that is visible by its name without an import.
//! The conventions of the declarations (attributes, operators as methods, iteration) stand at the top of `prelude/traits.stark`.
//! The list of the files is in `build.rs`.

/// Every file: its module path (`prelude/vec`, `math`) and its text.
pub const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// Every file's syntax tree, in the order of `SOURCES`: its module path, and what `stark_syntax::stored::write` gave.
pub const TREES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/trees.rs"));
