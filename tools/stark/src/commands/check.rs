//! `stark check FILE…`

use crate::load;
use std::path::PathBuf;

/// Report all errors and warnings; nothing is run
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark check service.stark\n  stark check --json service.stark\n\nExit status 2 when there is an error, else 0. `stark explain CODE` tells more about a code.")]
pub struct Args {
    /// The programs
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// One JSON object a line, for tools
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> i32 {
    let mut status = 0;
    for file in &args.files {
        match load::compile(file, false) {
            Ok(compiled) => {
                load::report(&compiled.sources, &compiled.diagnostics, args.json);
                if compiled.has_errors() {
                    status = super::REFUSED;
                }
            }
            Err(message) => status = super::refuse(message),
        }
    }
    status
}
