//! STARK's compiler: from sources to a bytecode module. Pure: sources and model signatures reach it through `Host`.

pub mod hir;

pub mod codegen;
