//! Bad input of every kind: sources, bytecode, programs' own errors. Each ends with the right status and a sentence; nothing panics or hangs.

use stark_tests::process::{Finished, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(30);

fn stark() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_stark"))
}

fn run_file(folder: &Path, command: &str, name: &str, content: &[u8]) -> Finished {
    std::fs::write(folder.join(name), content).expect("a temporary file");
    run(&stark(), &[command, name], folder, &[("NO_COLOR", "1")], "", TIME_LIMIT)
}

fn assert_clean(got: &Finished, what: &str) {
    assert!(got.status.is_some(), "{what}: hung or was killed\n{}", got.stderr);
    for sign in ["panicked", "RUST_BACKTRACE", "overflowed its stack", "core dumped"] {
        assert!(!got.stderr.contains(sign), "{what}:\n{}", got.stderr);
    }
}

/// A small generator with a fixed seed: the same inputs in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

#[test]
fn sources_that_are_no_programs_are_refused_with_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = "(".repeat(100_000);
    let cases: &[(&str, &[u8])] = &[
        ("not utf-8", b"print(\xff\xfe)"),
        ("nul bytes", b"\0\0\0"),
        ("an unclosed text", b"let a = \"abc"),
        ("a tab", b"fn f():\n\treturn 1\n"),
        ("deep nesting", deep.as_bytes()),
        ("a lone bracket", b")"),
        ("a missing module", b"import nowhere.at.all\n"),
        ("an unknown name", b"print(nothing)\n"),
    ];
    for (what, content) in cases {
        for command in ["check", "run", "build"] {
            let got = run_file(folder.path(), command, "bad.stark", content);
            assert_clean(&got, what);
            assert_eq!(got.status, Some(2), "{what} ({command}):\n{}", got.stderr);
            assert!(got.stderr.contains("error"), "{what}: no message");
        }
    }
}

#[test]
fn a_program_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in ["run", "check", "build", "disasm", "asm", "inspect"] {
        let got = run(&stark(), &[command, "missing.stark"], folder.path(), &[], "", TIME_LIMIT);
        assert_eq!(got.status, Some(2), "{command}: {}", got.stderr);
        assert!(got.stderr.contains("missing.stark"), "{command}: {}", got.stderr);
    }
}

#[test]
fn cut_and_flipped_bytecode_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = b"fn twice(n: Int) -> Int: return n * 2\nprint(twice(21), [1, 2], \"text\")\n";
    std::fs::write(folder.path().join("good.stark"), program).expect("a temporary file");
    let built = run(&stark(), &["build", "good.stark", "-o", "good.starkbc"], folder.path(), &[], "", TIME_LIMIT);
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    let good = std::fs::read(folder.path().join("good.starkbc")).expect("it was built");
    let mut rng = Rng(7);
    for round in 0..40 {
        let mut bytes = good.clone();
        let what = if round % 2 == 0 {
            bytes.truncate(rng.below(good.len()));
            format!("cut to {} of {} bytes", bytes.len(), good.len())
        } else {
            let at = rng.below(good.len());
            bytes[at] ^= 1 << rng.below(8);
            format!("a bit of byte {at} flipped")
        };
        let got = run_file(folder.path(), "run", "bad.starkbc", &bytes);
        assert_clean(&got, &what);
        // Bits in the padding between sections belong to nobody.
        let harmless = got.status == Some(0) && got.stdout == "42 [1, 2] text\n" && round % 2 == 1;
        assert!(harmless || got.status == Some(2), "{what}: {:?}\n{}", got.status, got.stderr);
    }
}

#[test]
fn mutated_programs_never_panic_the_compiler() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let sources: Vec<Vec<u8>> =
        stark_tests::cases::find(&root).iter().map(|c| std::fs::read(&c.path).expect("a case")).collect();
    let mut rng = Rng(11);
    let rounds = 300;
    let mut files = Vec::new();
    for round in 0..rounds {
        let mut bytes = sources[rng.below(sources.len())].clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => drop(bytes.drain(at..(at + rng.below(20)).min(bytes.len()))),
                1 => bytes.insert(at, b"()[]{}:,.=<>&|@\n \"'"[rng.below(19)]),
                2 => bytes.truncate(at),
                _ => {
                    let piece = bytes[at..(at + 12).min(bytes.len())].to_vec();
                    let to = rng.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let name = format!("mutated{round}.stark");
        std::fs::write(folder.path().join(&name), bytes).expect("a temporary file");
        files.push(name);
    }
    for chunk in files.chunks(50) {
        let mut args = vec!["check"];
        args.extend(chunk.iter().map(String::as_str));
        let got = run(&stark(), &args, folder.path(), &[("NO_COLOR", "1")], "", TIME_LIMIT);
        assert_clean(&got, &format!("one of {chunk:?}"));
        assert!(matches!(got.status, Some(0 | 2)), "{:?}\n{}", got.status, got.stderr);
    }
}

#[test]
fn a_programs_own_errors_end_as_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: &[(&str, &str, i32, &str)] = &[
        ("an index", "let v = [1]\nprint(v[3])\n", 1, "IndexError"),
        ("runaway recursion", "fn f(n: Int) -> Int: return f(n + 1) + 1\nprint(f(0))\n", 1, "StackOverflowError"),
        ("own status", "exit(7)\n", 7, ""),
        ("a deadlock", "let c: Channel<Int> = channel()\nprint(c.recv())\n", 3, "deadlock"),
        ("a failed assert", "assert 1 == 2, \"one is two\"\n", 1, "one is two"),
        ("in a task", "fn f() -> Int: throw ValueError(\"bad\")\nlet h = spawn f()\nprint(h.join())\n", 1, "ValueError: bad"),
        ("division", "let z = 0\nprint(1 / z)\n", 1, "ZeroDivisionError"),
        ("a missing file", "print(fs.read_text(\"nowhere.txt\"))\n", 1, "IoError"),
        ("a broken model", "let m = load_model(\"bad.stark\")\nprint(m.inputs())\n", 1, "ModelError"),
    ];
    for (what, program, status, text) in cases {
        let got = run_file(folder.path(), "run", "bad.stark", program.as_bytes());
        assert_clean(&got, what);
        assert_eq!(got.status, Some(*status), "{what}:\n{}", got.stderr);
        assert!(got.stderr.to_lowercase().contains(&text.to_lowercase()), "{what}:\n{}", got.stderr);
    }
}

#[test]
fn runaway_allocation_ends_that_program_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = "let mut v = [0]\nwhile true: v.extend(v)\n";
    std::fs::write(folder.path().join("grow.stark"), program).expect("a temporary file");
    let got = run(&stark(), &["run", "--heap-limit", "50000000", "grow.stark"], folder.path(), &[], "", TIME_LIMIT);
    assert_clean(&got, "growing without end");
    assert_eq!(got.status, Some(1), "{}", got.stderr);
    assert!(got.stderr.contains("OutOfMemoryError"), "{}", got.stderr);
}
