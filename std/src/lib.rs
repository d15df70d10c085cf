//! STARK's standard library, written in STARK and embedded.
