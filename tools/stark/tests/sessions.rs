//! Sessions at a terminal: `docs/commands.md`, `docs/bundles.md` and the pages of `tools/stark/tests/sessions`, typed again.
//!
//! In a page a block ` ```LANGUAGE PATH ` is a file, and a block ` ```console ` holds commands after `$ ` with what they
//! print, standard error after standard output. A line `[status 2]` ends the output of a command that ends so. `cd` holds
//! for the rest of the page. Times are compared as `N ms`, sizes of code and files as `N bytes`, public keys as one key. Each page runs in a folder of its
//! own, with the repository's `examples` in it.
//! `STARK_BLESS=1 cargo test -p stark --test sessions` writes what was printed into the pages.

use libtest_mimic::{Arguments, Failed, Trial};
use stark_tests::process::run;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Words behind numbers that need not be the same.
const UNITS: &[&str] = &["ms", "bytes", "functions", "instructions", "modules"];

const TIME_LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let args = Arguments::from_args();
    let root = std::fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository");
    let folder = root.join("tools/stark/tests/sessions");
    let mut pages = ["commands", "bundles", "tutorial"].map(|page| root.join(format!("docs/{page}.md"))).to_vec();
    let entries = std::fs::read_dir(&folder).expect("the folder of sessions");
    pages.extend(entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    pages.sort();
    let trials = pages.into_iter().map(|page| {
        let name = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let root = root.clone();
        Trial::test(name, move || replay(&root, &page))
    });
    libtest_mimic::run(&args, trials.collect()).exit();
}

fn replay(root: &Path, page: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(page).map_err(|e| e.to_string())?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut cwd = folder.path().to_path_buf();
    std::os::unix::fs::symlink(root.join("examples"), cwd.join("examples")).map_err(|e| e.to_string())?;
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let Some(info) = line.strip_prefix("```").filter(|i| !i.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
        if info == "console" {
            for (command, expected) in commands(&body) {
                let printed = perform(&command, &mut cwd);
                let printed = if same(&printed, &expected) { expected } else { printed };
                out += &format!("$ {command}\n{printed}");
            }
        } else {
            let text: String = body.iter().map(|l| format!("{l}\n")).collect();
            if let Some((_, path)) = info.split_once(' ') {
                let path = folder.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(|e| e.to_string())?;
                std::fs::write(path, &text).map_err(|e| e.to_string())?;
            }
            out += &text;
        }
        out += "```\n";
    }
    if out == text {
        return Ok(());
    }
    if std::env::var_os("STARK_BLESS").is_some() {
        std::fs::write(page, out).map_err(|e| e.to_string())?;
        return Ok(());
    }
    let differ = text.lines().zip(out.lines()).position(|(a, b)| a != b).unwrap_or(0);
    let excerpt = |text: &str| text.lines().skip(differ).take(12).map(|l| format!("{l}\n")).collect::<String>();
    Err(format!(
        "{}:{}: differs\n--- expected\n{}--- got\n{}",
        page.display(),
        differ + 1,
        excerpt(&text),
        excerpt(&out)
    )
    .into())
}

/// Each command with the lines below it.
fn commands(body: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_string(), String::new())),
            (None, Some((_, output))) => *output += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    found
}

fn perform(command: &str, cwd: &mut PathBuf) -> String {
    if let Some(folder) = command.strip_prefix("cd ") {
        *cwd = cwd.join(folder);
        return String::new();
    }
    let stark = PathBuf::from(env!("CARGO_BIN_EXE_stark"));
    let path = format!("{}:/usr/bin:/bin", stark.parent().unwrap_or(Path::new("/")).display());
    let env = [("NO_COLOR", "1"), ("PATH", &*path)];
    let got = run(Path::new("/bin/sh"), &["-c", command], cwd, &env, "", TIME_LIMIT);
    let mut printed = got.stdout + &got.stderr;
    if !printed.is_empty() && !printed.ends_with('\n') {
        printed.push('\n');
    }
    match got.status {
        Some(0) => {}
        Some(status) => printed += &format!("[status {status}]\n"),
        None => printed += "[did not end]\n",
    }
    printed
}

/// Whether two outputs differ in times, sizes and keys alone.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let mut out = Vec::new();
        for line in text.lines() {
            let mut words: Vec<&str> = line.split(' ').collect();
            for i in 0..words.len() {
                let is_unit = UNITS.iter().any(|unit| words[i].starts_with(unit));
                if i > 0 && is_unit && words[i - 1].trim_start_matches('(').parse::<f64>().is_ok() {
                    words[i - 1] = "N";
                }
                if words[i].starts_with("stark-public-key:") {
                    words[i] = "stark-public-key:K";
                }
            }
            out.push(words.join(" "));
        }
        out
    };
    plain(a) == plain(b)
}
