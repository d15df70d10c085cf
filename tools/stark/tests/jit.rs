//! Machine code does what the interpreter does: same output, same errors at the same places, same schedules.
//!
//! Under a seed the order of tasks follows from what each has spent, and where the output of two runs is the same, so was
//! the count. Programs: `tests/jit`, made for this, and the conformance cases, each with three settings of `--jit`.

use stark_tests::cases;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SETTINGS: [&str; 3] = ["off", "on", "always"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(jit: &str, options: &[&str], program: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
    command.env_remove("STARK_JIT").args(["run", "--no-attach", "--jit", jit]).args(options).arg(program);
    command.stdin(Stdio::null()).output().expect("stark runs")
}

fn said(out: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    format!("{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", out.status)
}

/// Runs `program` with each setting; all must say the same. What they said.
fn compare(options: &[&str], program: &Path) -> String {
    let [off, others @ ..] = SETTINGS;
    let want = said(&run(off, options, program));
    for jit in others {
        let found = said(&run(jit, options, program));
        assert_eq!(found, want, "again with: stark run --jit {jit} {} {}", options.join(" "), program.display());
    }
    want
}

fn programs(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder of programs");
    let mut programs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    programs.sort();
    assert!(!programs.is_empty(), "{folder} has programs");
    programs
}

#[test]
fn programs_say_the_same_compiled_or_not() {
    for program in programs("tests/jit") {
        for seed in 0..4 {
            compare(&["--seed", &seed.to_string()], &program);
        }
    }
}

#[test]
fn conformance_cases_say_the_same_compiled_or_not() {
    let cases = cases::find(&root().join("tests/conformance"));
    let mut n_compared = 0;
    // Models take long to load and are no code of ours.
    for case in cases.into_iter().filter(|case| case.runs() && !case.name.contains("models")) {
        compare(&["--seed", "7"], &case.path);
        n_compared += 1;
    }
    assert!(n_compared > 50, "only {n_compared} cases were compared");
}

#[test]
fn a_failing_schedule_is_the_same_compiled_or_not() {
    let mut n_failed = 0;
    for program in programs("tests/schedules") {
        for seed in 0..6 {
            // The schedule told names switches by what the tasks had spent.
            n_failed +=
                usize::from(compare(&["--seed", &seed.to_string(), "--shrink"], &program).contains("--schedule"));
        }
    }
    assert!(n_failed > 0, "no schedule failed");
}

#[test]
fn what_runs_long_is_compiled_and_nothing_else() {
    let compiled = |jit, program: &str| {
        let out = run(jit, &["--stats"], &root().join(program));
        let text = said(&out);
        let line = text.lines().find(|line| line.contains("functions compiled to")).unwrap_or_default();
        let n = line.trim_start_matches("stats: ").split(' ').next().and_then(|n| n.parse::<usize>().ok());
        n.unwrap_or_else(|| panic!("{text}"))
    };
    if cfg!(not(all(target_arch = "x86_64", unix))) {
        return assert_eq!(compiled("on", "tests/jit/calls.stark"), 0);
    }
    assert!(compiled("on", "tests/jit/calls.stark") >= 3);
    assert_eq!(compiled("off", "tests/jit/calls.stark"), 0);
    assert_eq!(compiled("on", "bench/programs/hello.stark"), 0);
    assert!(compiled("always", "bench/programs/hello.stark") >= 1);
}

/// Workers enter a function by one of its entries while the thread that compiles it still marks the hundreds of others.
#[test]
fn code_is_entered_while_it_is_published() {
    const N_FUNCTIONS: usize = 6;
    let mut source = String::new();
    for i in 0..N_FUNCTIONS {
        let entries: String = (0..550).map(|k| format!("        s += [s, {k}].len()\n")).collect();
        source += &format!(
            "fn long{i}(n: Int) -> Int:\n    let mut s = n\n    if n > 0:\n{entries}    return [n, 1].len() + s\n\n"
        );
        source += &format!(
            "fn many{i}(k: Int, n: Int) -> Int:\n    let mut t = 0\n    for _ in 0..k: t += long{i}(n)\n    return t\n\n"
        );
    }
    for i in 0..N_FUNCTIONS {
        source += &format!("let a{i} = spawn many{i}(400000, 0)\nlet b{i} = spawn many{i}(3000, 1)\n");
        source += &format!("print(a{i}.join(), b{i}.join())\n");
    }
    let program = std::env::temp_dir().join(format!("stark-jit-published-{}.stark", std::process::id()));
    std::fs::write(&program, source).expect("the folder for temporary files takes one");
    let outs: Vec<String> = (0..4).map(|_| said(&run("on", &["--workers", "2"], &program))).collect();
    let _ = std::fs::remove_file(&program);
    let lines = "800000 3309000\n".repeat(N_FUNCTIONS);
    for out in outs {
        assert!(out.contains(&format!("--- stdout\n{lines}\n--- stderr\n")), "{out}");
    }
}

#[test]
fn a_wrong_setting_is_refused() {
    let program = root().join("bench/programs/hello.stark");
    let out = Command::new(env!("CARGO_BIN_EXE_stark")).arg("run").arg(program).env("STARK_JIT", "sometimes").output();
    let text = said(&out.expect("stark runs"));
    assert!(text.contains("STARK_JIT: `sometimes` is none of off, on, always"), "{text}");
}
