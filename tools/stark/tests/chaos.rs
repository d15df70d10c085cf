//! Chaos under supervisors: `tests/chaos/chaos.stark`, on real threads and on the seeded twin.
//!
//! Small here. In full: `target/release/stark run tests/chaos/chaos.stark 100000 200 500 1 3` for the threads, and
//! `STARK_CHAOS=1000 cargo test --release -p stark --test chaos` for a thousand seeds.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/chaos/chaos.stark")
}

fn chaos(before: &[&str], after: &[&str]) -> Output {
    let stark = env!("CARGO_BIN_EXE_stark");
    let out = Command::new(stark).arg("run").args(before).arg(program()).args(after).output().expect("stark runs");
    let said = String::from_utf8_lossy(&out.stderr);
    let wrong: Vec<&str> = said.lines().filter(|line| line.starts_with("wrong:")).collect();
    let last: Vec<&str> = said.lines().rev().take(20).collect();
    assert!(out.status.success(), "{before:?} {after:?}: {}, {wrong:?}, at last (backwards) {last:#?}", out.status);
    out
}

#[test]
fn no_ask_stays_open_and_no_message_is_lost_on_real_threads() {
    let out = chaos(&[], &["2000", "50", "100", "1", "4"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout).lines().count(), 4);
}

#[test]
fn the_twin_gives_the_same_for_the_same_seed() {
    let n: usize = std::env::var("STARK_CHAOS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let mut seen = std::collections::HashSet::new();
    for seed in 1..=n {
        let seed = seed.to_string();
        let run = || chaos(&["--seed", &seed], &["100", "8", "40", &seed, "2"]).stdout;
        let first = run();
        assert_eq!(first, run(), "seed {seed}");
        seen.insert(first);
    }
    assert!(seen.len() > n / 2, "seeds give different schedules");
}
