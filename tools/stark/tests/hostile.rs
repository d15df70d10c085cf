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
        (
            "in a task",
            "fn f() -> Int: throw ValueError(\"bad\")\nlet h = spawn f()\nprint(h.join())\n",
            1,
            "ValueError: bad",
        ),
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

/// Sources of a size that only a machine writes: time grows with the size, and what has a limit says so.
#[test]
fn large_sources_take_time_in_proportion() {
    let n = 30_000;
    let lines = |line: &dyn Fn(usize) -> String, n: usize| (0..n).map(line).collect::<String>();
    let deep =
        |open: &str, inside: &str, close: &str| format!("let a = {}{inside}{}\n", open.repeat(n), close.repeat(n));
    let in_match =
        |arms: String| format!("fn f(x: Int) -> Int:\n    return match x:\n{arms}        _ => 0\nprint(f(1))\n");
    let cases: &[(&str, String, i32)] = &[
        ("brackets", "(".repeat(n * 10), 2),
        ("a sum", deep("1 + ", "1", ""), 2),
        ("signs", deep("-", "1", ""), 2),
        ("fields", format!("let a = x{}\n", ".y".repeat(n)), 2),
        ("lists in lists", deep("[", "1", "]"), 2),
        ("types in types", format!("let a: {}Int{} = []\n", "Vec<".repeat(n), ">".repeat(n)), 2),
        ("format texts in each other", format!("let a = {}", "f\"{".repeat(n)), 2),
        ("a format text of many values", format!("let _a = f\"{}\"\n", "{1}".repeat(n * 3)), 0),
        ("an open comment", "/* ".repeat(n), 2),
        ("a long line", format!("let _a = [{}]\n", "1, ".repeat(n)), 0),
        ("a long name", format!("print({})\n", "é".repeat(n * 5)), 2),
        ("errors in one line", "a < ".repeat(n), 2),
        ("errors in many lines", lines(&|i| format!("print(x{i})\n"), n), 2),
        ("variables", lines(&|i| format!("let _a{i} = {i}\n"), n), 0),
        ("functions", lines(&|i| format!("fn f{i}(x: Int) -> Int: return x + {i}\n"), n), 0),
        ("fields of a struct", format!("struct S:\n{}", lines(&|i| format!("    f{i}: Int\n"), n)), 0),
        ("arms of a match", in_match(lines(&|i| format!("        {i} => {i}\n"), n / 3)), 0),
        ("alternatives", in_match(format!("        {}0 => 1\n", lines(&|i| format!("{i} | "), n / 3))), 0),
        ("an else for each", "else:\n".repeat(n), 2),
        ("blocks in blocks", lines(&|i| format!("{}if true:\n", " ".repeat(i)), 1000), 2),
        ("imports", "import a\n".repeat(n), 2),
        (
            "implementors",
            format!(
                "trait A:\n    fn f(&self) -> Int\n{}",
                lines(
                    &|i| format!("struct S{i}:\n    x: Int\nimpl A for S{i}:\n    fn f(&self) -> Int: return {i}\n"),
                    n / 10
                )
            ),
            0,
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (what, source, status) in cases {
        let got = run_file(folder.path(), "check", "large.stark", source.as_bytes());
        let start: String = got.stderr.chars().take(300).collect();
        assert!(got.status.is_some(), "{what}: still running after {TIME_LIMIT:?}\n{start}");
        assert_clean(&got, what);
        assert_eq!(got.status, Some(*status), "{what}:\n{start}");
    }
}

#[test]
fn a_long_chain_of_calls_does_not_take_the_compilers_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let n = 60_000;
    let mut text: String = (0..n).map(|i| format!("fn f{i}() -> Int: return f{}() + limit\n", i + 1)).collect();
    text += &format!("fn f{n}() -> Int: return 1\nprint(f0())\nlet limit = 3\n");
    let got = run_file(folder.path(), "check", "chain.stark", text.as_bytes());
    assert_clean(&got, "a chain of calls");
    // The nearest read is seen, however long the chain is.
    assert!(got.stderr.contains("E0209"), "{}", got.stderr);
}

#[test]
fn soups_of_words_and_signs_never_panic_the_compiler() {
    const WORDS: &[&str] = &[
        "let",
        "mut",
        "fn",
        "if",
        "else",
        "match",
        "while",
        "for",
        "in",
        "return",
        "struct",
        "enum",
        "trait",
        "impl",
        "actor",
        "async",
        "await",
        "spawn",
        "scope",
        "select",
        "try",
        "catch",
        "finally",
        "throw",
        "with",
        "as",
        "not",
        "and",
        "or",
        "x",
        "y",
        "T",
        "Int",
        "String",
        "Vec",
        "Tensor",
        "self",
        "Some",
        "None",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
        ":",
        ",",
        ".",
        "..",
        "..=",
        "=",
        "==",
        "=>",
        "->",
        "+",
        "-",
        "*",
        "**",
        "/",
        "%",
        "@",
        "&",
        "|",
        "^",
        "~",
        "?",
        "_",
        ";",
        "\n",
        "\n    ",
        "\n        ",
        "\n",
        "1",
        "2.5",
        "0xff",
        "\"a\"",
        "f\"{",
        "}\"",
        "b\"x\"",
        "true",
        "5s",
        "#c\n",
        "/*",
        "*/",
        "&mut",
        "::",
        "print",
        "shared",
        "const",
        "type",
        "where",
        "import",
        "from",
        "assert",
        "break",
        "continue",
        "pass",
        "\\",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = Rng(23);
    let mut files = Vec::new();
    for round in 0..400 {
        let n = 1 + rng.below(80);
        let soup: String =
            (0..n).map(|_| WORDS[rng.below(WORDS.len())].to_string() + [" ", ""][rng.below(2)]).collect();
        let name = format!("soup{round}.stark");
        std::fs::write(folder.path().join(&name), soup).expect("a temporary file");
        files.push(name);
    }
    for chunk in files.chunks(100) {
        let mut args = vec!["check"];
        args.extend(chunk.iter().map(String::as_str));
        let got = run(&stark(), &args, folder.path(), &[("NO_COLOR", "1")], "", TIME_LIMIT);
        assert_clean(&got, &format!("one of {chunk:?}"));
        assert!(matches!(got.status, Some(0 | 2)), "{:?}\n{}", got.status, got.stderr);
    }
}

/// Programs that want everything: each ends by itself, and what it took was bounded.
#[test]
fn greedy_programs_end_with_an_error_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = "fn f(n: Int) -> Int: return f(n + 1) + 1\n";
    let chain = "struct N:\n    v: Int\n    next: Option<N>\nlet mut n: Option<N> = None\nfor i in 0..200000: n = Some(N(i, n))\n";
    let cases: &[(&str, String, i32, &str)] = &[
        ("a task without end", format!("{deep}let h = spawn f(0)\nprint(h.join())\n"), 1, "StackOverflowError"),
        ("a text", "let mut s = \"abc\"\nwhile true: s = s + s\n".into(), 1, "OutOfMemoryError"),
        ("a list", "let mut v = [0]\nwhile true: v.push(1)\n".into(), 1, "OutOfMemoryError"),
        ("a repeated text", "print(len(\"ab\" * 100000000000))\n".into(), 1, "OutOfMemoryError"),
        (
            "a silly shape",
            "let t: Tensor<Float32> = zeros([100000000, 100000000])\nprint(t.shape())\n".into(),
            1,
            "OutOfMemoryError",
        ),
        (
            "a shape past all numbers",
            "let t: Tensor<Float32> = zeros([4611686018427387904, 4])\nprint(t)\n".into(),
            1,
            "ShapeError",
        ),
        (
            "tensors without end",
            "let mut v: Vec<Tensor<Float32>> = []\nwhile true: v.push(zeros([16384, 16384]))\n".into(),
            1,
            "OutOfMemoryError",
        ),
        ("a long chain", format!("{chain}let m = n\nprint(m == n)\nn = None\nexit(7)\n"), 7, ""),
        ("deep JSON", "print(json.parse(\"[\" * 100000))\n".into(), 1, "ValueError"),
        ("leaving a task", "fn f(): exit(5)\nspawn f()\nsleep(20s)\n".into(), 5, ""),
        ("input at its end", "print(input())\nexit(6)\n".into(), 6, ""),
        (
            "throwing in finally",
            "fn f():\n    try:\n        throw ValueError(\"a\")\n    finally:\n        throw ValueError(\"b\")\nf()\n"
                .into(),
            1,
            "ValueError: b",
        ),
    ];
    for (what, program, status, text) in cases {
        std::fs::write(folder.path().join("greedy.stark"), program).expect("a temporary file");
        let args = ["run", "--heap-limit", "200000000", "greedy.stark"];
        let got = run(&stark(), &args, folder.path(), &[("NO_COLOR", "1")], "", TIME_LIMIT);
        assert_clean(&got, what);
        assert_eq!(got.status, Some(*status), "{what}:\n{}", got.stderr);
        assert!(got.stderr.contains(text), "{what}:\n{}", got.stderr);
    }
}
