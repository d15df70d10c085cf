//! Types: variables and unification, written types to `Ty`, what a type can do, and how types are shown.

pub mod bounds;
pub mod elements;
pub mod infer;
pub mod lower;
pub mod show;
