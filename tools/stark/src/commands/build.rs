//! `stark build FILE|FOLDER -o OUT`

use crate::load::Target;
use std::path::PathBuf;

/// Compile a program and all it imports into one .starkbc file
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark build service.stark -o service.starkbc\n  stark run service.starkbc")]
pub struct Args {
    /// The program, or a folder with a stark.toml
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,
    /// Refuse to build when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
    /// Where to write; by default the program's or package's name with .starkbc, beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    let target = match Target::find(&args.file, args.locked) {
        Ok(target) => target,
        Err(status) => return status,
    };
    let module = match target.verified() {
        Ok(module) => module,
        Err(status) => return status,
    };
    let output = args.output.clone().unwrap_or_else(|| match &target.project {
        Some(project) if args.file.is_dir() => args.file.join(project.root().name()).with_extension("starkbc"),
        _ => target.file.with_extension("starkbc"),
    });
    if output == target.file {
        return super::refuse(format!("{} would be overwritten; name another file with -o", output.display()));
    }
    match std::fs::write(&output, stark_bytecode::encode(&module)) {
        Ok(()) => 0,
        Err(error) => super::refuse(format!("cannot write {}: {error}", output.display())),
    }
}
