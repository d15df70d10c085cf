//! `docs/commands.md`, `docs/bundles.md`, `docs/tutorial.md` and the pages of `tools/stark/tests/sessions`, typed again
//! (`stark_tests::session`).
//! `STARK_BLESS=1 cargo test -p stark --test sessions` writes what was printed into the pages.

use libtest_mimic::{Arguments, Trial};
use std::path::Path;

fn main() {
    let args = Arguments::from_args();
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository");
    let folder = root.join("tools/stark/tests/sessions");
    let mut pages = ["commands", "bundles", "tutorial"].map(|page| root.join(format!("docs/{page}.md"))).to_vec();
    let entries = std::fs::read_dir(&folder).expect("the folder of sessions");
    pages.extend(entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    pages.sort();
    let bin = Path::new(env!("CARGO_BIN_EXE_stark")).parent().expect("the folder of the build");
    let trials = pages.into_iter().map(|page| {
        let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let root = root.clone();
        Trial::test(name, move || Ok(stark_tests::session::replay(&root, &page, &["examples"], bin)?))
    });
    libtest_mimic::run(&args, trials.collect()).exit();
}
