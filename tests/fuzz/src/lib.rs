//! What the fuzzers run: one function a target, for any bytes. None may panic, hang or ask for memory without bound.
//!
//! Beside them random programs (`program`), which run in the interpreter and as machine code (`tiers`).
//!
//! `libfuzzer/` wraps each function for `cargo fuzz`; `tests/corpus.rs` runs them over the kept corpus on every test run.

mod archive;
mod bundle;
mod image;
mod model;
mod profile;
pub mod program;
mod source;
pub mod tiers;

/// What runs on any bytes.
pub struct Target {
    pub name: &'static str,
    /// Its folder under `corpus/`.
    pub corpus: &'static str,
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, corpus: &'static str, run: fn(&[u8])) -> Target {
    Target { name, corpus, run }
}

pub const TARGETS: &[Target] = &[
    target("lex", "source", source::lex),
    target("parse", "source", source::parse),
    target("check", "source", source::check),
    target("bytecode", "bytecode", model::bytecode),
    target("bundle", "bundle", bundle::bundle),
    target("profile", "profile", profile::profile),
    target("image", "image", image::image),
    target("zip", "zip", model::zip),
    target("pickle", "pickle", model::pickle),
    target("torchscript", "torchscript", model::torchscript),
    target("pt2", "pt2", model::pt2),
    target("onnx", "onnx", model::onnx),
    target("safetensors", "safetensors", model::safetensors),
    target("tokenizer", "tokenizer", model::tokenizer),
];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(data),
        None => panic!("there is no fuzz target `{name}`"),
    }
}
