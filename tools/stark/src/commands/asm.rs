//! `stark asm FILE -o OUT`

use crate::load;
use std::path::PathBuf;

/// Turn bytecode text into a .starkbc file
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark asm hello.starkasm -o hello.starkbc\n\nThe result is verified like any other bytecode before it is written."
)]
pub struct Args {
    /// Text as `stark disasm` prints it
    file: PathBuf,
    /// Where to write; by default the text's name with .starkbc
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn main(args: &Args) -> i32 {
    let shown = args.file.display();
    let text = match load::read(&args.file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            return super::refuse(format!("{shown}: not UTF-8 text (byte {})", error.utf8_error().valid_up_to()));
        }
        Err(message) => return super::refuse(message),
    };
    let module = match stark_bytecode::assemble(&text) {
        Ok(module) => module,
        Err(error) => return super::refuse(format!("{shown}:{error}")),
    };
    let module = match stark_bytecode::verify(module) {
        Ok(module) => module,
        Err(error) => return super::refuse(format!("{shown}: {error}")),
    };
    let output = args.output.clone().unwrap_or_else(|| args.file.with_extension("starkbc"));
    match std::fs::write(&output, stark_bytecode::encode(&module)) {
        Ok(()) => 0,
        Err(error) => super::refuse(format!("cannot write {}: {error}", output.display())),
    }
}
