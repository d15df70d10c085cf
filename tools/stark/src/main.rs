//! The `stark` command.
fn main() {}
