//! The `stark` command: every subcommand is one file in `commands`.
//!
//! Exit status: 0 done; 1 an error nobody caught; 2 wrong usage, or the program does not compile or load; 3 deadlock; `exit(n)` gives n.

// As the standard ones, but for a standard output that cannot be written: those panic.
macro_rules! print {
    ($($what:tt)*) => { $crate::output::write(format_args!($($what)*)) };
}
macro_rules! println {
    () => { $crate::output::write(format_args!("\n")) };
    ($($what:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($what)*))) };
}

#[cfg(feature = "mimalloc")]
mod alloc;
mod bundle;
mod commands;
mod doc;
mod host;
mod limits;
mod load;
mod observe;
mod output;
mod repl;
mod start;
mod testing;

use clap::{Parser, Subcommand};
use stark_bundle::{Bundle, BundleError};
use std::path::PathBuf;

// Without the feature each object comes from the system, where a sanitizer sees it (tests/sanitize.sh).
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: alloc::Allocator = alloc::Allocator;

/// STARK: a language and virtual machine for AI services.
#[derive(Parser)]
#[command(
    name = "stark",
    version,
    about = "STARK: a language and virtual machine for AI services",
    after_help = "Examples:\n  \
        stark run hello.stark                 compile in memory and run\n  \
        stark build service.stark -o s.starkbc   one file that runs without the source\n  \
        stark run s.starkbc -- one two        arguments for the program follow\n  \
        stark bundle service -o s.starkbc     with its models and data, which run anywhere\n  \
        stark ps                              the programs that run; with a PID the tasks of one\n  \
        stark new greeter                     a package to begin with\n  \
        stark test greeter                    runs its `@test` functions\n  \
        stark check service.stark             all errors and warnings, nothing is run\n  \
        stark fmt                             lays out every program of this folder\n  \
        stark explain E0601                   what a code means, with examples\n  \
        stark inspect classifier.pt           inputs, outputs and parameters of a model\n  \
        stark doc --std                       the standard library as HTML\n\n\
        Exit status: 0 done, 1 an error nobody caught, 2 wrong usage or the program does not compile, 3 deadlock."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(commands::run::Args),
    Ps(commands::ps::Args),
    Test(commands::test::Args),
    New(commands::new::Args),
    Repl(commands::repl::Args),
    Build(commands::build::Args),
    Bundle(commands::bundle::Args),
    Keygen(commands::keygen::Args),
    Check(commands::check::Args),
    Fix(commands::fix::Args),
    Fmt(commands::fmt::Args),
    Disasm(commands::disasm::Args),
    Asm(commands::asm::Args),
    Inspect(commands::inspect::Args),
    Explain(commands::explain::Args),
    Lsp(commands::lsp::Args),
    Model(commands::model::Args),
    Devices(commands::devices::Args),
    Doc(commands::doc::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

/// The bundle that this executable carries, when it was made by `stark build --standalone`.
fn carried() -> Option<(PathBuf, Result<Bundle, BundleError>)> {
    // An executable that cannot be read carries nothing that could be run.
    let program = std::env::current_exe().ok()?;
    match Bundle::of_program(&program) {
        Ok(bundle) => bundle.map(|bundle| (program, Ok(bundle))),
        Err(BundleError::Io { .. }) => None,
        Err(error) => Some((program, Err(error))),
    }
}

fn main() {
    if let Err(error) = start::jit_from_environment() {
        end(commands::refuse(error));
    }
    if let Some((program, bundle)) = carried() {
        let status = match bundle {
            Ok(bundle) => commands::run::standalone(bundle, &program),
            Err(error) => commands::refuse(format!("{}: {error}", program.display())),
        };
        end(status);
    }
    let status = match Cli::parse().command {
        Command::Run(args) => commands::run::main(&args),
        Command::Ps(args) => commands::ps::main(&args),
        Command::Test(args) => commands::test::main(&args),
        Command::New(args) => commands::new::main(&args),
        Command::Repl(args) => commands::repl::main(&args),
        Command::Build(args) => commands::build::main(&args),
        Command::Bundle(args) => commands::bundle::main(&args),
        Command::Keygen(args) => commands::keygen::main(&args),
        Command::Check(args) => commands::check::main(&args),
        Command::Fix(args) => commands::fix::main(&args),
        Command::Fmt(args) => commands::fmt::main(&args),
        Command::Disasm(args) => commands::disasm::main(&args),
        Command::Asm(args) => commands::asm::main(&args),
        Command::Inspect(args) => commands::inspect::main(&args),
        Command::Explain(args) => commands::explain::main(&args),
        Command::Lsp(args) => commands::lsp::main(&args),
        Command::Model(args) => commands::model::main(&args),
        Command::Devices(args) => commands::devices::main(&args),
        Command::Doc(args) => commands::doc::main(&args),
        Command::Completions(args) => commands::completions::main(&args),
        Command::Man(args) => commands::man::main(&args),
    };
    end(status)
}

/// Ends the process, whose memory the system takes back at once: giving it back piece by piece first, as the allocator does at
/// an exit in order, takes a tenth of a short program's time.
fn end(status: i32) -> ! {
    output::flush();
    // A status outside 0..=255 keeps its low byte, as the operating system would do it.
    #[cfg(unix)]
    signal_hook::low_level::exit(status & 0xff);
    #[cfg(not(unix))]
    std::process::exit(status & 0xff);
}
