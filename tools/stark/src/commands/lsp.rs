//! `stark lsp`

use stark_lsp::{Ended, Options};
use std::time::Duration;

/// Serve an editor over standard input and output (language server protocol)
#[derive(clap::Args)]
#[command(after_help = "An editor starts this command; docs/editor.md tells how to set one up.\n\n\
    Exit status 0 after `shutdown` and `exit`, 1 when the editor left without them, 2 when what it sent is no message.")]
pub struct Args {
    /// Largest message that is read, in MiB
    #[arg(long, default_value_t = 64, value_name = "MIB")]
    max_message: u64,
    /// How long a text is left alone before its diagnostics are sent, in milliseconds
    #[arg(long, default_value_t = 150, value_name = "MS")]
    debounce: u64,
    /// How many files are looked through for references
    #[arg(long, default_value_t = 500, value_name = "N")]
    max_files: usize,
    /// What editors pass by custom; it is the only way
    #[arg(long, hide = true)]
    stdio: bool,
}

pub fn main(args: &Args) -> i32 {
    let options = Options {
        max_message: args.max_message.saturating_mul(1 << 20),
        debounce: Duration::from_millis(args.debounce),
        max_files: args.max_files,
        read_model: |path, method| {
            let model = stark_models::Load::new().method(Some(method)).file(path);
            model.ok().map(|model| model.spec())
        },
    };
    match stark_lsp::run(options) {
        Ok(Ended::Properly) => 0,
        Ok(Ended::WithoutShutdown) => 1,
        Err(message) => super::refuse(message),
    }
}
