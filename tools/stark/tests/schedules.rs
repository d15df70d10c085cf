//! Programs whose tasks fail in some orders only (`tests/schedules`): a seed that finds one is shrunk to the switches that the
//! failure needs, and the schedule told brings it back.
//!
//! A program opens with what it fails with and how few switches are known to do: `// error: KIND`, `// switches: N`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Seeds that are tried; each of these programs fails under one in three of them or more.
const SEEDS: std::ops::Range<u64> = 0..40;

fn run(options: &[&str], program: &Path) -> Output {
    let stark = env!("CARGO_BIN_EXE_stark");
    Command::new(stark).arg("run").args(options).arg(program).output().expect("stark runs")
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The value of a line `// name: value`.
fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix("// ")?.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no `// {name}: …`"))
}

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/schedules");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("tests/schedules").flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

#[test]
fn a_failing_schedule_is_shrunk_and_comes_again() {
    let programs = programs();
    assert!(!programs.is_empty());
    for program in programs {
        let text = std::fs::read_to_string(&program).expect("a program");
        let (error, fewest) = (header(&text, "error"), header(&text, "switches").parse::<usize>().expect("a number"));
        let mut seen = Vec::new();
        for seed in SEEDS {
            let out = run(&["--seed", &seed.to_string(), "--shrink"], &program);
            let text = said(&out);
            if out.status.success() {
                assert!(!text.contains("--schedule"), "{}: {text}", program.display());
                continue;
            }
            assert!(text.contains(&format!("error: {error}")), "{} --seed {seed}: {text}", program.display());
            let switches =
                text.lines().filter(|line| line.starts_with("  task ") && line.contains(" goes on at ")).count();
            let schedule = text.lines().find_map(|line| line.strip_prefix("again with: stark run --schedule "));
            let schedule = schedule.and_then(|rest| rest.split(' ').next());
            let Some(schedule) = schedule else { panic!("{} --seed {seed}: {text}", program.display()) };
            assert_eq!(schedule.matches('@').count(), switches, "every switch is told with its places: {text}");
            // Exactly: the same words, each time.
            let first = run(&["--schedule", schedule], &program);
            assert_eq!(first.status.code(), out.status.code(), "{schedule}: {}", said(&first));
            assert!(said(&first).contains(&format!("error: {error}")), "{schedule}: {}", said(&first));
            assert_eq!(said(&first), said(&run(&["--schedule", schedule], &program)), "{schedule}");
            // One switch less, and it goes well or fails in another way: none is there for nothing.
            let (of_seed, rest) = schedule.split_once(':').expect("a seed");
            let all: Vec<&str> = rest.split(',').filter(|part| !part.is_empty()).collect();
            for without in 0..all.len() {
                let mut some = all.clone();
                some.remove(without);
                let out = run(&["--schedule", &format!("{of_seed}:{}", some.join(","))], &program);
                let fails_so = !out.status.success() && said(&out).contains(&format!("error: {error}"));
                assert!(!fails_so, "{schedule} needs not its switch {without}");
            }
            seen.push(switches);
            if seen.len() == 5 {
                break;
            }
        }
        assert_eq!(seen.iter().min(), Some(&fewest), "{}: {seen:?}", program.display());
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_its_part() {
    let program = programs().remove(0);
    for (schedule, part) in [("7", "`7`"), ("x:", "`x:`"), ("3:1@2", "`1@2`"), ("3:1@2-3,9", "`9`")] {
        let out = run(&["--schedule", schedule], &program);
        assert_eq!(out.status.code(), Some(2), "{schedule}");
        assert!(said(&out).contains(part), "{schedule}: {}", said(&out));
    }
    let out = run(&["--shrink"], &program);
    assert_eq!(out.status.code(), Some(2), "--shrink needs a seed: {}", said(&out));
}
