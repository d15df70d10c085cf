//! `stark completions SHELL`

use clap::CommandFactory;

/// Print a script that completes stark's commands and options in a shell
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stark completions bash > ~/.local/share/bash-completion/completions/stark\n  \
    stark completions zsh > ~/.zfunc/_stark\n  stark completions fish > ~/.config/fish/completions/stark.fish")]
pub struct Args {
    shell: clap_complete::Shell,
}

pub fn main(args: &Args) -> i32 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "stark", &mut script);
    // A closed pipe is the reader's way to say that it has enough.
    crate::output::write_all(&script);
    0
}
