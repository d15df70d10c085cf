//! STARK's compiler: names, types and checks, from syntax tree to bytecode module.
