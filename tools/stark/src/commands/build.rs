//! `stark build FILE -o OUT`

use crate::load;
use std::path::PathBuf;

/// Compile a program and all it imports into one .starkbc file
#[derive(clap::Args)]
#[command(after_help = "Example:\n  stark build service.stark -o service.starkbc\n  stark run service.starkbc")]
pub struct Args {
    /// The program
    file: PathBuf,
    /// Where to write; by default the program's name with .starkbc
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    let module = match load::verified(&args.file) {
        Ok(module) => module,
        Err(status) => return status,
    };
    let output = args.output.clone().unwrap_or_else(|| args.file.with_extension("starkbc"));
    if output == args.file {
        return super::refuse(format!("{} would be overwritten; name another file with -o", output.display()));
    }
    match std::fs::write(&output, stark_bytecode::encode(&module)) {
        Ok(()) => 0,
        Err(error) => super::refuse(format!("cannot write {}: {error}", output.display())),
    }
}
