//! Sessions at a terminal: pages of the documentation, typed again.
//!
//! In a page a block ` ```LANGUAGE PATH ` is a file, and a block ` ```console ` holds commands after `$ ` with what they
//! print, standard error after standard output. A line `[status 2]` ends the output of a command that ends so. `cd` holds
//! for the rest of the page. Times are compared as `N ms`, sizes of code and files as `N bytes`, public keys as one key. Of a
//! block ` ```console varies `, which shows figures, the first line and the headings are compared. Each page runs in a folder of
//! its own.
//! With `STARK_BLESS=1` what was printed is written into the pages.

use crate::process::run;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Words behind numbers that need not be the same.
const UNITS: &[&str] = &["ms", "bytes", "functions", "instructions", "modules"];

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Types the commands of `page` again, in a folder with these `links` into the repository, with the commands of the build in
/// `bin`.
///
/// # Errors
/// The first lines that differ.
pub fn replay(root: &Path, page: &Path, links: &[&str], bin: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(page).map_err(|e| e.to_string())?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut cwd = folder.path().to_path_buf();
    for link in links {
        std::os::unix::fs::symlink(root.join(link), cwd.join(link)).map_err(|e| e.to_string())?;
    }
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let Some(info) = line.strip_prefix("```").filter(|i| !i.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
        if info == "console" || info == "console varies" {
            let same = if info == "console" { same } else { alike };
            for (command, expected) in commands(&body) {
                let printed = perform(&command, &mut cwd, bin);
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
    ))
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

fn perform(command: &str, cwd: &mut PathBuf, bin: &Path) -> String {
    if let Some(folder) = command.strip_prefix("cd ") {
        *cwd = cwd.join(folder);
        return String::new();
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
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

/// Whether two outputs of figures are of one kind: the first line but for its numbers, and the headings, which are the lines
/// with a letter and without a number, in the same order. One may lack a heading of the other: a report leaves out what was
/// never sampled. A digit behind a letter belongs to a word.
fn alike(a: &str, b: &str) -> bool {
    let without_numbers = |line: &str| {
        let (mut out, mut before) = (String::new(), ' ');
        for c in line.chars() {
            match c {
                '0'..='9' | '.' if before == 'N' && out.ends_with('N') => continue,
                '0'..='9' if !before.is_alphanumeric() && before != '_' => out.push('N'),
                c => out.push(c),
            }
            before = out.chars().last().unwrap_or(' ');
        }
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let kind = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| (line, without_numbers(line))).enumerate();
        let is_heading = |line: &str, plain: &str| {
            line.contains(char::is_alphabetic) && line.split_whitespace().eq(plain.split(' '))
        };
        lines.filter(|(i, (line, plain))| *i == 0 || is_heading(line, plain)).map(|(_, (_, plain))| plain).collect()
    };
    let (a, b) = (kind(a), kind(b));
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut rest = many.iter();
    few.first() == many.first() && many.len() - few.len() <= 1 && few.iter().all(|line| rest.any(|other| other == line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_but_for_times_or_by_their_headings() {
        assert!(same("it took 5 ms\n", "it took 71 ms\n") && !same("it took 5 ms\n", "he took 5 ms\n"));
        assert!(same("9 left\n", "9 left\n") && !same("9 left\n", "8 left\n"));
        assert!(alike("p50 ms  p95 ms\n 1.0 2.0\n", "p50 ms p95 ms\n 3.0 4.0\n 5.0 6.0\n"));
        assert!(!alike("p50 ms\n1.0\n", "p99 ms\n1.0\n"));
        assert!(alike("pid 12, 1.5 s\n7 of a\n", "pid 3, 0.1 s\n8 of b\n") && !alike("pid 12 ran\n", "pid 12 runs\n"));
        assert!(!alike("", "pid 1\n"));
    }
}
