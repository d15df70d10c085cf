//! What every code looks like when it is printed: `tests/diagnostics/CODE.txt`, and the valid twin that must compile.
//!
//! The program and its twin are those of `stark explain CODE`; codes that take a large program or a package get theirs here.
//! `STARK_BLESS=1` renews the files; read what changed before you commit it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stark_syntax::codes;

/// A program as files by name; the one that is checked is `main.stark`.
type Program = Vec<(&'static str, String)>;

fn single(text: &str) -> Program {
    vec![("main.stark", format!("{text}\n"))]
}

fn package(manifest: &str) -> Program {
    vec![("stark.toml", manifest.into()), ("main.stark", "print(1)\n".into())]
}

const PACKAGE: &str = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nentry = \"main.stark\"\n";

/// The program that gets a code, and its twin.
fn programs(page: &codes::Page) -> Option<(Program, Program)> {
    let large = |n: usize| single(&format!("// {}", "x".repeat(n)));
    let deep = |n: usize| single(&format!("let n = {}1{}", "(".repeat(n), ")".repeat(n)));
    let wide = |n: usize| single(&format!("fn f() -> Int:\n{}    return 0\nprint(f())", wide_lines(n)));
    match page.code {
        codes::SOURCE_TOO_LARGE => Some((large(16 << 20), large(1 << 10))),
        codes::NESTED_TOO_DEEP => Some((deep(2_000), deep(20))),
        codes::TOO_LARGE => Some((wide(70_000), wide(7))),
        codes::BAD_MANIFEST => Some((package(&PACKAGE.replace("entry", "enter")), package(PACKAGE))),
        codes::BAD_DEPENDENCY => {
            let with = format!("{PACKAGE}\n[dependencies]\ntill = {{ path = \"till\" }}\n");
            let mut twin = package(&with);
            twin.push(("till/stark.toml", PACKAGE.replace("shop", "till")));
            twin.push(("till/main.stark", "fn total() -> Int: return 1\n".into()));
            Some((package(&with), twin))
        }
        codes::PRIVATE_NAME => {
            let module = || {
                ("helpers.stark", "fn _mark(text: String) -> String: return text\nfn shout(text: String) -> String: return _mark(text)\n".to_string())
            };
            let with = |text: &str| [single(text), vec![module()]].concat();
            Some((with(page.wrong), with(page.right)))
        }
        codes::STATEMENT_IN_MODULE => {
            let with = |text: &str| {
                vec![("main.stark", "import helpers\nprint(1)\n".to_string()), ("helpers.stark", format!("{text}\n"))]
            };
            Some((with(page.wrong), with(page.right)))
        }
        // `stark fmt` says it of itself when its own check fails; no program gets it.
        codes::FORMATTER => None,
        _ => Some((single(page.wrong), single(page.right))),
    }
}

fn wide_lines(n: usize) -> String {
    (0..n).map(|i| format!("    let v{i} = {i}\n    print(v{i})\n")).collect()
}

/// What `stark check` says; sizes are known only when code is made.
fn check(code: &str, program: &Program, folder: &Path) -> Output {
    fs::create_dir_all(folder).expect("a writable folder");
    for (name, text) in program {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        fs::write(path, text).expect("a writable folder");
    }
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/models/digits_mlp.pt");
    if code == codes::MODEL_DIFFERS.0 {
        fs::copy(model, folder.join("digits_mlp.pt")).expect("a writable folder");
    }
    let args: &[&str] = match code.starts_with("E08") {
        true => &["build", "main.stark", "-o", "main.starkbc"],
        false => &["check", "main.stark"],
    };
    Command::new(env!("CARGO_BIN_EXE_stark")).current_dir(folder).args(args).output().expect("stark runs")
}

fn golden(code: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/diagnostics").join(format!("{code}.txt"))
}

#[test]
fn every_code_is_printed_as_its_golden_file_says() {
    let scratch = tempfile::tempdir().expect("a folder");
    let bless = std::env::var_os("STARK_BLESS").is_some();
    let mut stale = Vec::new();
    for page in codes::PAGES {
        let code = page.code.0;
        let Some((wrong, _)) = programs(page) else { continue };
        let said = String::from_utf8(check(code, &wrong, &scratch.path().join(code)).stderr).expect("text");
        let path = golden(code);
        if !said.contains(&format!("[{code}]")) {
            stale.push(format!("{code} is not what its program gets:\n{said}"));
        } else if bless {
            fs::write(&path, &said).expect("a writable folder");
        } else if fs::read_to_string(&path).unwrap_or_default() != said {
            stale.push(format!("{code} now prints:\n{said}"));
        }
    }
    assert!(stale.is_empty(), "{}\nSTARK_BLESS=1 renews the files", stale.join("\n"));
}

#[test]
fn the_twin_of_every_code_compiles() {
    let scratch = tempfile::tempdir().expect("a folder");
    let mut refused = Vec::new();
    for page in codes::PAGES {
        let Some((_, right)) = programs(page) else { continue };
        let out = check(page.code.0, &right, &scratch.path().join(page.code.0));
        let said = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() || said.contains(&format!("[{}]", page.code.0)) {
            refused.push(format!("the twin of {}:\n{said}", page.code.0));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_golden_file_belongs_to_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/diagnostics");
    for entry in fs::read_dir(folder).expect("tests/diagnostics").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let code = name.strip_suffix(".txt").unwrap_or_default();
        assert!(codes::page(code).is_some(), "tests/diagnostics/{name} belongs to no code");
    }
}
