//! STARK's standard library, written in STARK and embedded.
//!
//! `prelude/*` is in scope everywhere by bare names; every other file is a module that is visible by its name without an import.
//! The conventions of the declarations (attributes, operators as methods, iteration) stand at the top of `prelude/traits.stark`.

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        /// Every file: its module path (`prelude/vec`, `math`) and its text.
        pub const SOURCES: &[(&str, &str)] = &[$(($path, include_str!(concat!($path, ".stark")))),*];
    };
}

sources![
    "prelude/traits",
    "prelude/option",
    "prelude/errors",
    "prelude/number",
    "prelude/string",
    "prelude/vec",
    "prelude/map",
    "prelude/range",
    "prelude/functions",
    "prelude/io",
    "prelude/clock",
    "prelude/tasks",
    "prelude/channels",
    "prelude/actors",
    "prelude/zones",
    "prelude/internals",
    "prelude/tensors",
    "prelude/models",
    "prelude/datasets",
    "prelude/web",
    "math",
    "time",
    "fs",
    "os",
    "random",
    "http",
    "json",
    "csv",
    "regex",
    "encoding",
    "path",
    "deque",
    "heap",
    "log",
    "testing",
];
