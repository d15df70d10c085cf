//! One file a subcommand. Each gives the process's exit status.

pub mod asm;
pub mod build;
pub mod bundle;
pub mod check;
pub mod completions;
pub mod devices;
pub mod disasm;
pub mod doc;
pub mod explain;
pub mod fix;
pub mod fmt;
pub mod inspect;
pub mod inspect_bundle;
mod inspect_model;
pub mod keygen;
pub mod lsp;
pub mod man;
mod memory_picture;
pub mod model;
pub mod new;
pub mod ps;
pub mod repl;
pub mod run;
pub mod test;

/// Wrong usage, or a program that does not compile or load.
pub const REFUSED: i32 = 2;

/// Says what went wrong and gives the status for it.
pub fn refuse(message: impl std::fmt::Display) -> i32 {
    eprintln!("error: {message}");
    REFUSED
}
