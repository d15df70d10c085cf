//! `stark fmt [PATH…]`

use crate::load;
use stark_syntax::source::SourceMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Lay out programs in the one way
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stark fmt                  every .stark file in this folder and below\n  stark fmt service.stark    one file\n  stark fmt --check src      lists the files that would change\n  stark fmt --stdin < a.stark\n\nOnly layout changes: names, texts, comments and the order of things stay. A file with a syntax error is left as it is.\nExit status: 0 done, 1 with --check when a file would change, 2 when a file could not be read or has a syntax error."
)]
pub struct Args {
    /// Files, or folders to look through for .stark files; the current folder when none is named
    paths: Vec<PathBuf>,
    /// Write nothing; list the files that would change
    #[arg(long)]
    check: bool,
    /// Read a program from standard input and write it to standard output
    #[arg(long, conflicts_with_all = ["paths", "check"])]
    stdin: bool,
}

/// With `--check`, and only then: a file would change.
const WOULD_CHANGE: i32 = 1;
/// Folders deeper than this are a loop of links, or a mistake.
const MAX_DEPTH: usize = 64;

pub fn main(args: &Args) -> i32 {
    if args.stdin {
        return stdin();
    }
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here[..] } else { &args.paths[..] };
    let mut files = Vec::new();
    let mut status = 0;
    for path in paths {
        if let Err(message) = find(path, 0, &mut files) {
            status = super::refuse(message);
        }
    }
    files.dedup();
    for file in &files {
        match file_status(file, args.check) {
            Ok(Outcome::Same) => {}
            Ok(Outcome::Changed) if args.check => {
                println!("{}", file.display());
                status = status.max(WOULD_CHANGE);
            }
            Ok(Outcome::Changed) => println!("formatted {}", file.display()),
            Err(Failure::Said) => status = super::REFUSED,
            Err(Failure::Message(message)) => status = super::refuse(message),
        }
    }
    status
}

enum Outcome {
    Same,
    Changed,
}

enum Failure {
    /// Its diagnostics have been printed.
    Said,
    Message(String),
}

fn file_status(path: &Path, check: bool) -> Result<Outcome, Failure> {
    let text = load::text(path).map_err(Failure::Message)?;
    let formatted = format(path, &text).ok_or(Failure::Said)?;
    if formatted == text {
        return Ok(Outcome::Same);
    }
    if !check {
        load::write_atomically(path, formatted.as_bytes()).map_err(Failure::Message)?;
    }
    Ok(Outcome::Changed)
}

/// `None` when the text has syntax errors, which have been printed then.
fn format(path: &Path, text: &str) -> Option<String> {
    match stark_fmt::format(text) {
        Ok(formatted) => Some(formatted),
        Err(diagnostics) => {
            let mut sources = SourceMap::new();
            sources.add(path.display().to_string(), text);
            load::report(&sources, &diagnostics, false);
            None
        }
    }
}

fn stdin() -> i32 {
    let mut bytes = Vec::new();
    if let Err(e) = std::io::stdin().lock().take(load::MAX_FILE).read_to_end(&mut bytes) {
        return super::refuse(format!("cannot read standard input: {e}"));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return super::refuse("standard input is not UTF-8 text");
    };
    let Some(formatted) = format(Path::new("<stdin>"), &text) else { return super::REFUSED };
    crate::output::write_all(formatted.as_bytes());
    0
}

/// The `.stark` files of a folder and below, in the order of their names; a file is taken as it is named.
fn find(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let shown = path.display();
    if depth > MAX_DEPTH {
        return Err(format!("{shown} is more than {MAX_DEPTH} folders deep"));
    }
    if !path.is_dir() {
        if load::is_bytecode(path)? {
            return Err(format!("{shown} is bytecode; `stark fmt` lays out .stark files"));
        }
        files.push(path.to_path_buf());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|e| format!("cannot read the folder {shown}: {e}"))?;
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        let is_hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link to a folder is not followed: it may lead back here.
        let is_folder = entry.is_dir() && !entry.is_symlink();
        if is_folder && !is_hidden {
            find(&entry, depth + 1, files)?;
        } else if entry.is_file() && entry.extension().is_some_and(|e| e == "stark") {
            files.push(entry);
        }
    }
    Ok(())
}
