//! Several operations on the elements of tensors as one pass: an expression over the elements at one place.
//!
//! A [`Builder`] takes the expression as a graph of [`Node`]s, in which equal nodes are one. What it gives, a [`Program`],
//! runs over whole tensors that broadcast against each other: on the processor block by block, each step a vector loop
//! over numbers that stay in the cache (`eval`), on an accelerator as a kernel of its own.
//!
//! Numbers are held in four kinds ([`Ty`]): both float widths, `Int64` for all integers, and Bool. Halves are held in
//! `F32`, smaller integers in `I64`; rounding and range checks are steps of their own. A check that fails anywhere
//! fails the whole run without a word about the place: whoever wants to tell it computes element by element.

mod build;
mod eval;
mod ops;

pub use build::{Builder, Check, Node, Op, Program, Step, Ty};
pub use ops::{Binary, Unary};
