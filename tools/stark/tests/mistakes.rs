//! Programs with one mistake each, as people make them who come from other languages: `tests/mistakes`.
//!
//! One mistake gives one report. `docs/mistakes.md` shows what is said and is written by this test: `STARK_BLESS=1` renews it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository")
}

fn stark(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stark")).current_dir(folder).args(args).output().expect("stark runs")
}

struct Mistake {
    from: String,
    what: String,
    /// Beside what other compilers say; not every case has it.
    judged: String,
    /// What `stark check` says, without the count at the end.
    said: String,
    is_fixed: bool,
}

fn mistake(path: &Path, scratch: &Path) -> Mistake {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("a case");
    let mut lines = text.lines();
    let head = lines.next().and_then(|line| line.strip_prefix("// ")).expect("a first line `// LANGUAGE: mistake`");
    let (from, what) = head.split_once(": ").expect("`// LANGUAGE: mistake`");
    let judged = lines.next().and_then(|line| line.strip_prefix("// Judged: ")).unwrap_or_default();

    let folder = path.parent().expect("a folder");
    let said = String::from_utf8(stark(folder, &["check", &name]).stderr).expect("text");
    let n_reports = said.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning[")).count();
    assert_eq!(n_reports, 1, "{name}: one mistake, one report\n{said}");
    // Something to do, or at least the two places that do not go together.
    let n_marks = said.matches("`-").count();
    assert!(said.contains("  help: ") || n_marks > 1, "{name}: the way out is missing\n{said}");
    let said = said.split("\n\n").next().unwrap_or_default().trim_end().to_string();

    let copy = scratch.join(&name);
    std::fs::write(&copy, &text).expect("a writable folder");
    let fixed = stark(scratch, &["fix", &name]);
    let is_fixed = fixed.status.code() == Some(0);
    if is_fixed {
        let check = stark(scratch, &["check", &name]);
        let left = String::from_utf8_lossy(&check.stderr);
        assert!(!left.contains("error["), "{name}: after `stark fix`\n{left}");
        let dry = stark(scratch, &["fix", "--dry-run", &name]);
        assert!(String::from_utf8_lossy(&dry.stdout).contains("would apply 0 fixes"), "{name}: fixed twice");
    }
    Mistake { from: from.into(), what: what.into(), judged: judged.into(), said, is_fixed }
}

#[test]
fn one_mistake_gives_one_report_and_the_page_shows_it() {
    let root = root();
    let scratch = tempfile::tempdir().expect("a folder");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root.join("tests/mistakes"))
        .expect("tests/mistakes")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "stark"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mistakes: Vec<Mistake> = cases.iter().map(|path| mistake(path, scratch.path())).collect();
    let page_path = root.join("docs/mistakes.md");
    let page = page(&mistakes);
    if std::env::var_os("STARK_BLESS").is_some() {
        std::fs::write(&page_path, &page).expect("a writable folder");
    }
    assert!(
        std::fs::read_to_string(&page_path).unwrap_or_default() == page,
        "docs/mistakes.md is stale: STARK_BLESS=1 renews it"
    );
}

fn page(mistakes: &[Mistake]) -> String {
    let n_fixed = mistakes.iter().filter(|m| m.is_fixed).count();
    let mut out = format!(
        "# What STARK says to typical mistakes\n\n\
         Written by `tools/stark/tests/mistakes.rs` from `tests/mistakes`; do not edit.\n\n\
         Habits of other languages, one mistake a program. Each gets one report; `stark fix` mends {n_fixed} of {}.\n\
         The last column is our own judgement of some beside what rustc, Elm and Gleam say in the same place, from knowledge of them: they are not run here.\n\n\
         | from | mistake | what STARK says | mended by `stark fix` | judged |\n| --- | --- | --- | --- | --- |\n",
        mistakes.len()
    );
    let cell = |text: &str| text.replace('|', "\\|");
    for m in mistakes {
        let title = m.said.lines().next().unwrap_or_default();
        let help = m.said.lines().find_map(|line| line.strip_prefix("  help: ")).unwrap_or_default();
        let says = if help.is_empty() { title.to_string() } else { format!("{title}<br>help: {help}") };
        let fixed = if m.is_fixed { "yes" } else { "no" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {fixed} | {} |", m.from, cell(&m.what), cell(&says), cell(&m.judged));
    }
    out.push_str("\n## In full\n");
    for m in mistakes {
        let _ = write!(out, "\n{}, {}:\n\n```text\n{}\n```\n", m.from, m.what, m.said);
    }
    out
}

#[test]
fn the_documented_json_is_what_is_printed() {
    let root = root();
    let page = std::fs::read_to_string(root.join("docs/diagnostics.md")).expect("docs/diagnostics.md");
    let shown = page.split("```json\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("an example");
    let printed = stark(&root.join("tests/mistakes"), &["check", "--json", "py_elif.stark"]);
    assert_eq!(shown, String::from_utf8_lossy(&printed.stderr).trim_end(), "docs/diagnostics.md is stale");
}
