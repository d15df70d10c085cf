//! STARK's bytecode: the instruction table, the module it lives in, its file format, verifier, assembler and disassembler.
//!
//! Read in this order: `ops` (the table), `operand`, `instr`, `module`, `manifest`, `words`, `format`, `verify`, `asm`.

mod append;
pub mod asm;
pub mod format;
pub mod format_spec;
pub mod instr;
pub mod manifest;
pub mod module;
pub mod operand;
pub mod ops;
pub mod verify;
pub mod words;

pub use asm::{AsmError, assemble, disasm};
pub use format::{FormatError, decode, encode};
pub use instr::{Instr, Opcode};
pub use manifest::{Asset, AssetKind, Codec, Manifest};
pub use module::*;
pub use operand::*;
pub use verify::{VerifiedModule, VerifyError, verify};
