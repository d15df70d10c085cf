//! Every case under `tests/conformance`, in both modes, each under its own name.
//!
//! `STARK_MODELS` names the folder with the large model files; cases that need it are ignored, by name, when it is not set.
//! One case: `cargo test -p stark --test conformance -- 10-actors/counter`.

use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::cases::{Mode, find};
use std::path::{Path, PathBuf};

fn main() {
    let args = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let models =
        std::env::var_os("STARK_MODELS").map(|m| std::fs::canonicalize(&m).unwrap_or_else(|_| PathBuf::from(m)));
    let url = stark_tests::http::serve();
    let mut trials = Vec::new();
    for case in find(&root) {
        for mode in [Mode::Run, Mode::Build] {
            if mode == Mode::Build && !case.runs() {
                continue;
            }
            let missing = case.missing(models.as_deref());
            let mut name = format!("{} ({})", case.name, mode.name());
            if let Some(why) = &missing {
                name = format!("{name}: {why}");
            }
            let (case, stark, models, url) = (case.clone(), stark.clone(), models.clone(), url.clone());
            let trial = Trial::test(name, move || {
                let bad = case.run(&stark, mode, models.as_deref(), &url);
                if bad.is_empty() { Ok(()) } else { Err(Failed::from(bad.join("\n"))) }
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}
