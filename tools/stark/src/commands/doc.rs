//! `stark doc [FILE|FOLDER] [-o DIR] [--std]`

use crate::doc::{self, Input, Output};
use crate::load;
use stark_syntax::source::SourceMap;
use std::path::{Path, PathBuf};

/// Write the documentation of modules as HTML
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    stark doc                  the modules in this folder, to doc/\n  \
    stark doc service.stark -o site\n  \
    stark doc --std            the standard library\n\n\
    What a page shows is what the `///` comments above the declarations say, in Markdown; lines behind `>>>` are examples.\n\
    The pages need no server: open index.html.")]
pub struct Args {
    /// A module, or a folder of modules; this folder when nothing is named
    path: Option<PathBuf>,
    /// The folder to write to; files of the same names in it are replaced
    #[arg(short = 'o', long = "out", value_name = "DIR", default_value = "doc")]
    out: PathBuf,
    /// The standard library: alone, or beside the modules that are named
    #[arg(long)]
    std: bool,
}

/// More modules than this in one folder were hardly meant.
const MAX_MODULES: usize = 10_000;

pub fn main(args: &Args) -> i32 {
    match generate(args) {
        Ok((n_modules, files)) => {
            if let Err(message) = write(&args.out, &files) {
                return super::refuse(message);
            }
            let modules = if n_modules == 1 { "module" } else { "modules" };
            println!("{n_modules} {modules} documented: {}", args.out.join("index.html").display());
            0
        }
        Err(Some(message)) => super::refuse(message),
        Err(None) => super::REFUSED,
    }
}

/// The pages; an error without a message was reported already.
fn generate(args: &Args) -> Result<(usize, Vec<Output>), Option<String>> {
    let mut sources = SourceMap::new();
    let mut inputs = Vec::new();
    let mut title = "The STARK standard library".to_string();
    let root = match (&args.path, args.std) {
        (Some(path), _) => Some(path.clone()),
        (None, false) => Some(PathBuf::from(".")),
        (None, true) => None,
    };
    if let Some(root) = root {
        for (name, path) in modules(&root)? {
            let text = load::text(&path)?;
            let source = sources.add(path.display().to_string(), text);
            inputs.push(Input { name, source, is_std: false });
        }
        title = name_of(&root);
    }
    if args.std {
        for &(path, text) in stark_std::SOURCES {
            let source = sources.add(format!("std/{path}.stark"), text);
            inputs.push(Input { name: path.to_string(), source, is_std: true });
        }
    }
    // The library's own order is that of its parts; a reader looks names up.
    inputs.sort_by(|a, b| (a.is_std, &a.name).cmp(&(b.is_std, &b.name)));
    let n_modules = inputs.len();
    let files = doc::generate(&title, &sources, &inputs).map_err(|diagnostics| {
        load::report(&sources, &diagnostics, false);
        None
    })?;
    Ok((n_modules, files))
}

/// What the site is called: the file's or folder's name.
fn name_of(path: &Path) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    whole.file_stem().map_or_else(|| "STARK".into(), |name| name.to_string_lossy().into_owned())
}

/// The modules at a path, by the names that a program beside them would import.
fn modules(root: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    if !root.is_dir() {
        let name = root.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        return Ok(vec![(name, root.to_path_buf())]);
    }
    let mut found = Vec::new();
    let mut pending = vec![(String::new(), root.to_path_buf())];
    while let Some((prefix, folder)) = pending.pop() {
        let wrong = |e: std::io::Error| format!("cannot list {}: {e}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().map_err(wrong)?;
            if kind.is_dir() && !name.starts_with('.') && name != "target" {
                pending.push((format!("{prefix}{name}."), path));
            } else if !kind.is_dir()
                && let Some(stem) = name.strip_suffix(".stark").filter(|s| !s.is_empty())
            {
                if found.len() == MAX_MODULES {
                    return Err(format!(
                        "{} holds more than {MAX_MODULES} modules; name a smaller folder",
                        root.display()
                    ));
                }
                found.push((format!("{prefix}{stem}"), path));
            }
        }
    }
    if found.is_empty() {
        return Err(format!(
            "there is no .stark file in {}; `stark doc --std` documents the standard library",
            root.display()
        ));
    }
    found.sort();
    Ok(found)
}

fn write(out: &Path, files: &[Output]) -> Result<(), String> {
    for file in files {
        let path = out.join(&file.path);
        let folder = path.parent().unwrap_or(out);
        std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        std::fs::write(&path, &file.text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}
