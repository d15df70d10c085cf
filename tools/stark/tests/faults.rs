//! `stark test --faults`: the programs of `tests/faults` with every failure at every suspension, under several seeds; those
//! of `tests/faults/broken` do what one may not then, and are found out (`// finds: …`).
//!
//! Small here. In full, in the folder: `for f in *.stark; do stark test $f --faults --schedules 1000; done`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn programs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults").join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder of programs").flatten().map(|e| e.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "stark")).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn test(program: &Path, options: &[&str]) -> (Output, String) {
    let stark = env!("CARGO_BIN_EXE_stark");
    let folder = program.parent().expect("a program is in a folder");
    let mut command = Command::new(stark);
    let out = command.arg("test").arg(program).args(options).current_dir(folder).output().expect("stark runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    (out, said)
}

#[test]
fn whatever_happens_where_a_task_waits_all_is_let_go_and_others_go_on() {
    for program in programs("") {
        let (out, said) = test(&program, &["--faults", "--schedules", "4"]);
        assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
        let tried = said.lines().filter(|line| line.contains(" ... ok (4 schedules, ") && line.contains(" faults, "));
        assert_eq!(tried.count(), said.matches(" ... ").count(), "every test was tried: {said}");
    }
}

#[test]
fn what_is_not_let_go_is_found_and_comes_again() {
    for program in programs("broken") {
        let text = std::fs::read_to_string(&program).expect("a program");
        let finds = text.lines().next().and_then(|line| line.strip_prefix("// finds: ")).expect("what it finds");
        let (out, _) = test(&program, &[]);
        assert!(out.status.success(), "{}: left alone it goes well", program.display());
        let (out, said) = test(&program, &["--faults"]);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(finds), "{said}");
        let again = said.lines().find_map(|line| line.split_once("--seed ")).expect("how it comes again").1;
        let again: Vec<&str> = std::iter::once("--seed").chain(again.split(' ')).collect();
        let (out, said) = test(&program, &again);
        assert!(out.status.code() == Some(1) && said.contains(finds), "{again:?}: {said}");
    }
}

#[test]
fn a_fault_that_is_none_is_refused_with_its_part() {
    let program = programs("").remove(0);
    for (fault, why) in [("cancel", "`cancel` is no fault"), ("burn@3", "`burn@3` is no fault")] {
        let (out, _) = test(&program, &["--fault", fault]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && said.contains(why), "{said}");
    }
    let (out, said) = test(&program, &["--fault", "stop@100000"]);
    assert!(out.status.code() == Some(1) && said.contains("the run has no such suspension"), "{said}");
}
