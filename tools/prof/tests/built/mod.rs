//! The commands of this build, for tests that run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub fn root() -> PathBuf {
    std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository")
}

pub fn prof() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_stark-prof"))
}

/// The `stark` of the same build, which `cargo test -p stark-prof` alone does not make.
pub fn stark() -> &'static Path {
    static STARK: OnceLock<PathBuf> = OnceLock::new();
    STARK.get_or_init(|| {
        let path = prof().with_file_name("stark");
        if !path.is_file() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "-p", "stark"]).current_dir(root());
            if !cfg!(debug_assertions) {
                build.arg("--release");
            }
            assert!(build.status().expect("cargo").success(), "stark was not built");
        }
        path
    })
}
