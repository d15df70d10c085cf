//! `stark man [FOLDER]`

use clap::CommandFactory;
use std::path::PathBuf;

/// Print stark's man page, or write those of all its commands into a folder
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stark man | man -l -\n  stark man ~/.local/share/man/man1")]
pub struct Args {
    /// Where to write stark.1, stark-run.1 and so on; without it stark.1 goes to standard output
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    match &args.folder {
        None => {
            let mut page = Vec::new();
            if let Err(error) = clap_mangen::Man::new(crate::Cli::command()).render(&mut page) {
                return super::refuse(format!("the man page cannot be made: {error}"));
            }
            // A closed pipe is the reader's way to say that it has enough.
            crate::output::write_all(&page);
            0
        }
        Some(folder) => {
            let written =
                std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(crate::Cli::command(), folder));
            match written {
                Ok(()) => 0,
                Err(error) => super::refuse(format!("cannot write man pages to {}: {error}", folder.display())),
            }
        }
    }
}
