//! Bytecode as text: `stark disasm` and `stark asm`.
//!
//! The text says everything that the module says, so assembling it gives the same module again. Rows of the module's tables come
//! first, each with its number (`type t3 = Vec t1`), then the functions. An operand is written by its kind:
//!
//! | kind | text |
//! |---|---|
//! | register, outgoing slot | `r4`, `o0` |
//! | target | `L2`, a label of this function |
//! | function, native, global, method | `@name` when only one has it, else `f3`, `n3`, `g3`, `m3` |
//! | text constant | `"hello"`, added to the table when it is not there; `s3` |
//! | type, scalar, blob | `t3`, `c3`, `b3` |
//! | field, variant, count, number | `2`, `-1` |
//! | payload | `1.0`: variant, field |
//! | number type | `UInt8` |
//!
//! `;` begins a comment. A function opens with its registers (`param`, `inout`, `capture`, `reg`) and handlers; `.line 0:3:5` gives file, line and column of
//! what follows. Names that are no plain words are quoted: `@"closure in main"`. The grammar is `starkasm.pest`.

mod assemble;
mod disasm;
mod parse;

pub use assemble::assemble;
pub use disasm::disasm;
pub use parse::AsmError;

/// A name that needs no quotes behind `@`.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}
