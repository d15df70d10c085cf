//! STARK's bytecode: instruction table, module format, verifier, assembler.
