//! Every example of the language reference and of the library's page, and every program under `examples/` that needs no arguments, run.
//!
//! A `stark` block followed by a `text` block is a program and what it prints; without one it must run without an error.

use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::process::run;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIME_LIMIT: Duration = Duration::from_secs(60);

struct Example {
    name: String,
    program: String,
    output: Option<String>,
}

fn main() {
    let args = Arguments::from_args();
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository");
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let mut trials = Vec::new();
    let mut pages = files(&root.join("docs/language"), "md");
    pages.push(root.join("docs/library.md"));
    pages.push(root.join("docs/cookbook.md"));
    pages.push(root.join("docs/images.md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page can be read");
        let stem = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for example in examples(&text, &stem) {
            let (stark, root) = (stark.clone(), root.clone());
            trials.push(Trial::test(example.name.clone(), move || check(&stark, &root, &example)));
        }
    }
    for path in files(&root.join("examples"), "stark") {
        let program = std::fs::read_to_string(&path).expect("an example can be read");
        let name = format!("examples/{}", path.file_stem().unwrap_or_default().to_string_lossy());
        let example = Example { name: name.clone(), program, output: None };
        let (stark, root) = (stark.clone(), root.clone());
        trials.push(Trial::test(name, move || check(&stark, &root, &example)));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == ending)).collect();
    found.sort();
    found
}

fn examples(text: &str, page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut last_end = 0;
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|k| !k.is_empty()) else { continue };
        let body: String =
            lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
        let end = number + body.lines().count() + 1;
        if kind == "stark" {
            found.push(Example { name: format!("docs/{page}:{}", number + 1), program: body, output: None });
        } else if kind == "text"
            && let Some(example) = found.last_mut()
            && number == last_end + 1
        {
            example.output = Some(body);
        }
        last_end = end;
    }
    found
}

/// Runs in the repository's folder, so that paths in examples are what a reader would type.
fn check(stark: &Path, root: &Path, example: &Example) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = folder.path().join("example.stark");
    std::fs::write(&path, &example.program).map_err(|e| e.to_string())?;
    let got = run(stark, &["run", &path.to_string_lossy()], root, &[("NO_COLOR", "1")], "", TIME_LIMIT);
    if got.status != Some(0) {
        return Err(format!("status {:?}\n{}{}", got.status, got.stdout, got.stderr).into());
    }
    match &example.output {
        Some(want) if *want != got.stdout => {
            Err(format!("--- expected\n{want}--- got\n{}{}", got.stdout, got.stderr).into())
        }
        _ => Ok(()),
    }
}
