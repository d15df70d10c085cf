//! What the checker says about programs: types found, errors with their code and line, and the conformance cases.
//!
//! `STARK_CONFORMANCE` names the folder of cases; without it, the one in the repository.

use stark_compiler::{Host, Options, check};
use stark_syntax::source::SourceMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Folder(PathBuf);

impl Host for Folder {
    fn load(&self, module_path: &str) -> Option<(String, String)> {
        let mut path = self.0.clone();
        path.extend(module_path.split('.'));
        path.set_extension("stark");
        let text = fs::read_to_string(&path).ok()?;
        Some((path.display().to_string(), text))
    }
}

/// Code and line of everything that is said about a program.
fn findings(path: &str, text: &str, folder: &Path) -> Vec<(&'static str, usize, String)> {
    let mut sources = SourceMap::new();
    let root = sources.add(path, text);
    let checked = check(&mut sources, root, &Folder(folder.to_path_buf()), &Options::default());
    checked.diagnostics.iter().map(|d| (d.code.0, sources.location(d.primary.span).1, d.message.clone())).collect()
}

/// The value of the program's last `let` must have the type: a place of another type is refused, this one taken.
fn check_type(expr: &str, ty: &str) {
    let fits =
        findings("t.stark", &format!("let _x: {ty} = {expr}\nlet _y = {expr}\nlet _z: {ty} = _y"), Path::new("."));
    assert!(fits.is_empty(), "{expr} as {ty}: {fits:?}");
    struct_mismatch(expr);
}

/// No expression is of a type that nothing else has.
fn struct_mismatch(expr: &str) {
    let text = format!("struct Nothing:\n    x: Int\nlet _x: Nothing = {expr}");
    let found = findings("t.stark", &text, Path::new("."));
    assert!(found.iter().any(|f| f.0 == "E0301" && f.1 == 3), "{expr}: {found:?}");
}

fn check_error(text: &str, code: &str, line: usize) {
    let found = findings("t.stark", text, Path::new("."));
    assert!(
        found.iter().any(|f| f.0 == code && f.1 == line),
        "wanted {code} in line {line} of\n{text}\nfound {found:?}"
    );
}

fn check_clean(text: &str) {
    let found = findings("t.stark", text, Path::new("."));
    assert!(found.is_empty(), "{text}\nfound {found:?}");
}

#[test]
fn expressions_have_types() {
    for (expr, ty) in [
        ("1 + 2", "Int"),
        ("1 + 2.5", "Float"),
        ("[] + [1]", "Vec<Int>"),
        ("[1, 2]", "Vec<Int>"),
        ("{\"a\": [1.5]}", "Map<String, Vec<Float>>"),
        ("{1, 2}", "Set<Int>"),
        ("(1, \"a\")", "(Int, String)"),
        ("[x * 2 for x in 0..3 if x > 0]", "Vec<Int>"),
        ("[1, 2].map(|x| f\"{x}\")", "Vec<String>"),
        ("Some([1])", "Option<Vec<Int>>"),
        ("\"42\".to_int()", "Result<Int, ValueError>"),
        ("if true: 1 else: 2", "Int"),
        ("match 3: 0 => \"a\", _ => \"b\"", "String"),
        ("Float32(1) * 2.0", "Float32"),
        ("3 in [1, 2]", "Bool"),
        ("tensor([1.0, 2.0]) * 2.0", "Tensor<Float32>"),
        ("tensor([1, 2]) > 1", "Tensor<Bool>"),
        ("sorted([3, 1], key = |x| -x)", "Vec<Int>"),
        ("5ms * 2", "Duration"),
        ("|x: Int| x + 1", "fn(Int) -> Int"),
    ] {
        if expr.starts_with("match") {
            continue; // An arm is a line of its own: see `arms_share_a_type`.
        }
        check_type(expr, ty);
    }
}

#[test]
fn arms_share_a_type() {
    check_clean("let x = match 3:\n    0 => \"a\"\n    _ => \"b\"\nprint(x + \"c\")");
    check_error("let x = match 3:\n    0 => \"a\"\n    _ => 1\nprint(x)", "E0301", 3);
}

#[test]
fn later_lines_decide_open_types() {
    check_clean("let mut v = []\nv.push(1)\nprint(v[0] + 1)");
    check_clean("let mut seen = {}\nseen.insert(\"a\")\nprint(\"a\" in seen)");
    check_error("let v = []\nprint(len(v))", "E0304", 1);
}

#[test]
fn a_variable_settles_its_literals() {
    check_error("let n = 3\nlet x = 2.5\nprint(n + x)", "E0301", 3);
    check_error("let b = 300u8\nprint(b)", "E0313", 1);
    check_error("let b: Int8 = 200\nprint(b)", "E0313", 1);
}

#[test]
fn errors_name_what_is_wrong() {
    for (text, code, line) in [
        ("let x: Int = \"a\"", "E0301", 1),
        ("print(y)", "E0201", 1),
        ("fn f(p: Pointt): pass", "E0203", 1),
        ("print(\"a\".uper())", "E0303", 1),
        ("fn f(a: Int) -> Int: return a\nprint(f(1, 2))", "E0302", 2),
        ("let n = 1\nn = 2\nprint(n)", "E0502", 2),
        ("fn f(n: Int) -> Int:\n    if n > 0: return 1", "E0305", 1),
        ("fn f(n: Int): return f(n)", "E0304", 1),
        ("let o: Option<Int> = None\nmatch o:\n    None => print(1)", "E0310", 2),
        ("for i in 3: print(i)", "E0309", 1),
        ("break", "E0314", 1),
    ] {
        check_error(text, code, line);
    }
}

#[test]
fn code_after_a_return_does_not_make_the_function_end_without_one() {
    let found = findings("t.stark", "fn f() -> Int:\n    return 1\n    print(2)\nprint(f())", Path::new("."));
    assert_eq!(found.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>(), [("W0803", 3)]);
}

#[test]
fn the_whole_library_checks() {
    let mut sources = SourceMap::new();
    let root = sources.add("t.stark", "print(1)");
    let options = Options { check_all_of_std: true, ..Options::default() };
    let checked = check(&mut sources, root, &Folder(PathBuf::from(".")), &options);
    let said: Vec<String> = checked
        .diagnostics
        .iter()
        .map(|d| format!("{:?} {} {}", sources.location(d.primary.span), d.code.0, d.message))
        .collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

fn cases() -> PathBuf {
    std::env::var_os("STARK_CONFORMANCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance"), PathBuf::from)
}

#[test]
fn programs_of_the_suite_check() {
    let mut wrong = Vec::new();
    let mut n_programs = 0;
    for area in fs::read_dir(cases()).expect("the folder of cases") {
        let folder = area.expect("an entry").path();
        if !folder.is_dir() || folder.ends_with("20-compile-errors") {
            continue;
        }
        for file in fs::read_dir(&folder).expect("an area") {
            let file = file.expect("an entry").path();
            if file.extension().is_none_or(|e| e != "stark") || file.with_extension("errors").exists() {
                continue;
            }
            n_programs += 1;
            let text = fs::read_to_string(&file).expect("a program");
            for f in findings(&file.display().to_string(), &text, &folder) {
                if f.0.starts_with('E') {
                    wrong.push(format!("{}:{} {} {}", file.display(), f.1, f.0, f.2));
                }
            }
        }
    }
    assert!(n_programs > 0, "no programs in {}", cases().display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
