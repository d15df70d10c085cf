//! Modules and their names: which files belong to a program, what each name in them stands for.

pub mod graph;
pub mod scope;
