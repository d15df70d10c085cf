//! `stark check FILE|FOLDER…`

use crate::load::{self, Target};
use std::path::PathBuf;

/// Report all errors and warnings; nothing is run
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark check service.stark\n  stark check --json service.stark\n\nExit status 2 when there is an error, else 0. `stark explain CODE` tells more about a code."
)]
pub struct Args {
    /// The programs, or folders with a stark.toml
    #[arg(required = true, value_name = "FILE|FOLDER")]
    files: Vec<PathBuf>,
    /// One JSON object a line, for tools
    #[arg(long)]
    json: bool,
    /// Refuse when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
}

pub fn main(args: &Args) -> i32 {
    let mut status = 0;
    for file in &args.files {
        let target = match Target::find(file, args.locked) {
            Ok(target) => target,
            Err(refused) => {
                status = refused;
                continue;
            }
        };
        match target.compile(false, &stark_compiler::Options::default()) {
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
