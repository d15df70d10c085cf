//! Every `>>>` example of the standard library does what it says: one program a file, which prints what each example gives.
//!
//! One file: `cargo test -p stark --test library -- deque`.

#[path = "../src/doc/examples.rs"]
mod examples;

use examples::{MORE, PROMPT, behind};
use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::process::run;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Stands before what an example prints, with its line.
const MARK: char = '\u{1}';

fn main() {
    let args = Arguments::from_args();
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let mut trials = Vec::new();
    for &(path, text) in stark_std::SOURCES {
        let comments = comments(text);
        if comments.iter().all(|c| c.examples.is_empty()) {
            continue;
        }
        let stark = stark.clone();
        trials.push(Trial::test(path, move || check(&stark, path, &comments)));
    }
    trials.push(Trial::test("every public name says what it is", undocumented));
    trials.push(Trial::test("the library and the examples are laid out by `stark fmt`", formatted));
    assert!(trials.len() > 20, "only {} files of the library have examples", trials.len());
    libtest_mimic::run(&args, trials).exit();
}

fn formatted() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stark = std::process::Command::new(env!("CARGO_BIN_EXE_stark"));
    let out = stark.current_dir(root).args(["fmt", "--check", "std/src", "examples"]).output()?;
    match out.status.success() {
        true => Ok(()),
        false => {
            Err(format!("`stark fmt std/src examples` would change\n{}", String::from_utf8_lossy(&out.stdout)).into())
        }
    }
}

/// Public items and methods without a `///` line; of overloads one has it. What an impl of a trait does is said at the trait.
fn undocumented() -> Result<(), Failed> {
    use stark_syntax::ast::{ItemKind, Method, TypeKind};
    let mut missing = Vec::new();
    for &(path, text) in stark_std::SOURCES {
        let module = stark_syntax::parser::parse(text, Default::default()).module;
        if module.doc.is_none() {
            missing.push(format!("std/{path}.stark: the module itself"));
        }
        let mut names: Vec<(String, bool)> = Vec::new();
        let of = |owner: &str, methods: &[Method]| -> Vec<(String, bool)> {
            let name = |m: &Method| (format!("{owner}.{}", m.decl.name.name), m.doc.is_some());
            methods.iter().filter(|m| !m.decl.name.name.starts_with('_')).map(name).collect()
        };
        for item in &module.items {
            let (name, methods) = match &item.kind {
                ItemKind::Fn(decl) => (Some(&decl.name), &[][..]),
                ItemKind::Struct(s) => (Some(&s.name), &s.methods[..]),
                ItemKind::Enum(e) => (Some(&e.name), &e.methods[..]),
                ItemKind::Trait(t) => (Some(&t.name), &t.methods[..]),
                ItemKind::Impl(i) if i.trait_.is_none() => (None, &i.methods[..]),
                _ => continue,
            };
            let owner = match (&item.kind, name) {
                (ItemKind::Impl(i), _) => match &i.target.kind {
                    TypeKind::Path { path, .. } => path.segments.iter().map(|s| &*s.name).collect::<Vec<_>>().join("."),
                    _ => "impl".into(),
                },
                (_, name) => name.map_or_else(String::new, |n| n.name.to_string()),
            };
            // Bounds that the compiler knows share one comment.
            let is_builtin = item.attributes.iter().any(|a| &*a.name.name == "builtin");
            if name.is_some() && !owner.starts_with('_') && !is_builtin {
                names.push((owner.clone(), item.doc.is_some()));
            }
            names.extend(of(&owner, methods));
        }
        let documented: Vec<String> = names.iter().filter(|(_, doc)| *doc).map(|(name, _)| name.clone()).collect();
        let bare = names.into_iter().filter(|(name, doc)| !doc && !documented.contains(name));
        missing.extend(bare.map(|(name, _)| format!("std/{path}.stark: {name}")));
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n").into()) }
}

/// Lines of code and the lines that they print.
struct Example {
    /// The line in its file, from 1.
    line: usize,
    code: Vec<String>,
    output: Vec<String>,
}

/// The examples of one run of `///` lines.
struct Comment {
    examples: Vec<Example>,
}

/// The examples of a doc comment, in order. Output ends at a blank line.
fn examples(doc: &str, first_line: usize) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut open = false;
    for (i, line) in doc.lines().enumerate() {
        if let Some(code) = behind(line, PROMPT) {
            found.push(Example { line: first_line + i, code: vec![code.to_string()], output: Vec::new() });
            open = true;
        } else if open && line.trim().is_empty() {
            open = false;
        } else if open && let Some(example) = found.last_mut() {
            match behind(line, MORE).filter(|_| example.output.is_empty()) {
                Some(code) => example.code.push(code.to_string()),
                None => example.output.push(line.to_string()),
            }
        }
    }
    found
}

fn comments(text: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    let (mut doc, mut first) = (String::new(), 0);
    for (i, line) in text.lines().chain([""]).enumerate() {
        match line.trim_start().strip_prefix("///") {
            Some(rest) => {
                if doc.is_empty() {
                    first = i + 1;
                }
                doc += rest.strip_prefix(' ').unwrap_or(rest);
                doc.push('\n');
            }
            None if !doc.is_empty() => {
                found.push(Comment { examples: examples(&doc, first) });
                doc.clear();
            }
            None => {}
        }
    }
    found
}

/// `ValueError` when the output tells what is thrown.
fn thrown(example: &Example) -> bool {
    let name = example.output.first().and_then(|line| line.split_once(": ")).map_or("", |(name, _)| name);
    (name.ends_with("Error") || name == "ChannelClosed") && name.chars().all(char::is_alphanumeric)
}

/// Statements that print by themselves.
const STATEMENTS: [&str; 9] = ["for", "while", "let", "if", "match", "try", "with", "scope", "throw"];

/// Whether the example is an expression whose value is shown.
fn is_shown(example: &Example) -> bool {
    let code = &example.code[0];
    let first = code.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    !example.output.is_empty() && example.code.len() == 1 && !code.starts_with("print(") && !STATEMENTS.contains(&first)
}

fn program(path: &str, comments: &[Comment]) -> String {
    let (mut imports, mut functions, mut calls) = (String::new(), String::new(), String::new());
    for comment in comments.iter().filter(|c| !c.examples.is_empty()) {
        let name = format!("_examples_{}", comment.examples[0].line);
        calls += &format!("{name}()\n");
        functions += &format!("fn {name}():\n");
        for example in &comment.examples {
            let line = example.line;
            functions += &format!("    print(\"\\u{{1}}{line}\")  // std/{path}.stark:{line}\n");
            let code = &example.code;
            if code[0].starts_with("import ") || code[0].starts_with("from ") {
                let import = format!("{}\n", code[0]);
                if !imports.contains(&import) {
                    imports += &import;
                }
            } else if thrown(example) {
                functions += "    try:\n";
                for line in code {
                    functions += &format!("        {line}\n");
                }
                functions += "    catch e:\n        print(f\"{e.kind()}: {e.message()}\")\n";
            } else if is_shown(example) {
                functions += &format!("    print(repr({}))\n", code[0]);
            } else {
                for line in code {
                    functions += &format!("    {line}\n");
                }
            }
        }
    }
    format!("{imports}\n{functions}\n{calls}")
}

fn check(stark: &Path, path: &str, comments: &[Comment]) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let program = program(path, comments);
    let file = folder.path().join("examples.stark");
    std::fs::write(&file, &program).map_err(|e| e.to_string())?;
    // Examples may write files: they find an empty folder of their own.
    let cwd = folder.path().join("cwd");
    std::fs::create_dir(&cwd).map_err(|e| e.to_string())?;
    let env = [("NO_COLOR", "1"), ("STARK_LOG", "off")];
    let got = run(stark, &["run", &file.to_string_lossy()], &cwd, &env, "", TIME_LIMIT);
    let mut printed: HashMap<usize, String> = HashMap::new();
    for part in got.stdout.split(MARK).skip(1) {
        let (line, output) = part.split_once('\n').unwrap_or((part, ""));
        printed.insert(line.parse().map_err(|_| format!("an example prints {part:?}"))?, output.trim_end().to_string());
    }
    let mut wrong = String::new();
    for example in comments.iter().flat_map(|c| &c.examples) {
        let want = example.output.join("\n");
        match printed.get(&example.line) {
            Some(output) if *output == want => {}
            Some(output) => {
                wrong += &format!(
                    "std/{path}.stark:{}: {}\n--- expected\n{want}\n--- got\n{output}\n",
                    example.line,
                    example.code.join("\n")
                );
            }
            None => {}
        }
    }
    if got.status != Some(0) {
        let numbered: String = program.lines().enumerate().map(|(i, l)| format!("{:4} {l}\n", i + 1)).collect();
        wrong += &format!("status {:?}\n{}\nof the program\n{numbered}", got.status, got.stderr);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into()) }
}
