//! `stark repl [FOLDER]`

use crate::{load, repl};
use std::path::{Path, PathBuf};

/// Type programs in, entry by entry
#[derive(clap::Args)]
#[command(after_help = "Expressions print their value; what is declared stays. A block ends with an empty line.\n\
    `:help` lists the commands of the session. With piped input the session runs it as a script.")]
pub struct Args {
    /// The folder whose modules can be imported; by default this one
    folder: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    let folder = args.folder.as_deref().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return super::refuse(format!("{} is not a folder", folder.display()));
    }
    match stark_project::Project::of_file(&folder.join("repl.stark")) {
        Ok(project) => repl::main(project),
        Err(refusal) => load::refused(refusal),
    }
}
