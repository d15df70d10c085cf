//! Random programs do the same in the interpreter and as machine code.
//!
//! They run in children, as what is loaded is never given back. A child that dies, or a program that differs, is known by
//! its number:
//!
//! ```text
//! STARK_PROGRAMS=100000 cargo test --release -p stark-fuzz --test tiers -- --nocapture     # a long run
//! STARK_PROGRAM=4711 cargo test --release -p stark-fuzz --test tiers -- --nocapture        # one again, and shrunk
//! ```

use stark_fuzz::program::program;
use stark_fuzz::tiers::{Compared, compare, shrink};
use stark_vm::jit::{self, Jit};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Programs in a usual test run.
const USUAL: u64 = 100;
/// So many run in one child.
const PER_CHILD: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn random_programs_do_the_same_compiled_or_not() {
    if let Err(reason) = jit::set(Jit::Always) {
        return eprintln!("skipped, there is no machine code here: {reason}");
    }
    if let Some(at) = number("STARK_PROGRAM") {
        return one(at);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (mut at, end) = (number("STARK_PROGRAMS_FROM").unwrap_or(0), number("STARK_PROGRAMS").unwrap_or(USUAL));
    let started = Instant::now();
    let (mut n_same, mut wrong) = (0, Vec::new());
    while at < end {
        let to = (at + PER_CHILD).min(end);
        let status = run_child(folder.path(), at, to);
        let told = std::fs::read_to_string(folder.path().join("told")).unwrap_or_default();
        for line in told.lines() {
            match line.split_once(' ').expect("a number and a word") {
                (_, "same") => n_same += 1,
                (number, what) => wrong.push(format!("program {number}: {what}")),
            }
        }
        let n_told = told.lines().count() as u64;
        at += n_told;
        if n_told < to - (at - n_told) {
            wrong.push(format!("program {at}: the child ended with {status}"));
            at += 1;
        }
    }
    eprintln!("{n_same} programs do the same; {:.0?}", started.elapsed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Shows a program, and the smallest part of it that differs.
fn one(at: u64) {
    let text = program(at);
    eprintln!("{text}");
    match compare(&text, at) {
        Err(reports) => panic!("program {at} does not compile:\n{reports}"),
        Ok(Compared::Different(..)) => {
            let least = shrink(&text, at);
            let Ok(Compared::Different(interpreted, compiled)) = compare(&least, at) else { unreachable!() };
            panic!("program {at}, shrunk:\n{least}\ninterpreted:\n{interpreted}\ncompiled:\n{compiled}");
        }
        Ok(compared) => eprintln!("{compared:?}"),
    }
}

fn run_child(folder: &Path, from: u64, to: u64) -> std::process::ExitStatus {
    std::fs::write(folder.join("told"), "").expect("a file");
    Command::new(std::env::current_exe().expect("this test"))
        .args(["child", "--exact", "--nocapture", "--test-threads", "1"])
        .env("STARK_TIERS_CHILD", folder)
        .env("STARK_TIERS_RANGE", format!("{from} {to}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("the test starts itself")
}

/// Not a test of its own: what the children run.
#[test]
fn child() {
    let Some(folder) = std::env::var_os("STARK_TIERS_CHILD") else { return };
    let range = std::env::var("STARK_TIERS_RANGE").expect("a range");
    let (from, to) = range.split_once(' ').expect("two numbers");
    let mut told = String::new();
    for at in from.parse().expect("a number")..to.parse::<u64>().expect("a number") {
        let line = match compare(&program(at), at) {
            Err(reports) => format!("does not compile: {}", reports.lines().next().unwrap_or_default()),
            Ok(Compared::Same) => "same".to_string(),
            Ok(Compared::Hangs) => "hangs".to_string(),
            Ok(Compared::Different(interpreted, compiled)) => {
                let (mut interpreted, mut compiled) = (interpreted.lines(), compiled.lines());
                let first = loop {
                    let pair = (interpreted.next(), compiled.next());
                    if pair.0 != pair.1 || pair.0.is_none() {
                        break pair;
                    }
                };
                format!("interpreted: {:?}, compiled: {:?}", first.0, first.1)
            }
        };
        told += &format!("{at} {line}\n");
        std::fs::write(Path::new(&folder).join("told"), &told).expect("a file");
    }
}
