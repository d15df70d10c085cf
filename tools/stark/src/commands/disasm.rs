//! `stark disasm FILE`

use crate::load;
use std::path::PathBuf;

/// Print a program's bytecode as text that `stark asm` reads back
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark disasm hello.stark > hello.starkasm\n  stark asm hello.starkasm -o hello.starkbc"
)]
pub struct Args {
    /// A .stark or .starkbc file
    file: PathBuf,
}

pub fn main(args: &Args) -> i32 {
    match load::verified(&args.file) {
        Ok(module) => {
            let text = stark_bytecode::disasm(&module);
            // A closed pipe is the reader's way to say that it has enough.
            crate::output::write_all(text.as_bytes());
            0
        }
        Err(status) => status,
    }
}
