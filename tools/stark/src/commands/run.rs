//! `stark run FILE|FOLDER [ARGS]`

use crate::load::Target;
use std::path::PathBuf;

/// Run a program: a .stark source (compiled in memory), a .starkbc file, or a folder with a stark.toml
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  stark run service.stark --workers 4 input.txt\n\nOptions of stark come before FILE; everything after FILE goes to the program (`args()`)."
)]
pub struct Args {
    /// Worker threads; by default one for each core (environment: STARK_WORKERS)
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Run on one thread in virtual time, every scheduling choice drawn from this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Largest heap of one task, in bytes; passing it throws OutOfMemoryError in that task
    #[arg(long, value_name = "BYTES")]
    heap_limit: Option<u64>,
    /// Say on standard error, after the program has ended, what it cost
    #[arg(long)]
    stats: bool,
    /// Refuse to run when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
    /// The program, or a folder with a stark.toml
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,
    /// Arguments for the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
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
    let mut options = stark_vm::Options::default();
    let from_environment = std::env::var("STARK_WORKERS").ok();
    match (args.workers, from_environment) {
        (Some(n), _) => options.n_workers = n,
        (None, Some(text)) => match text.parse() {
            Ok(n) if n > 0 => options.n_workers = n,
            _ => return super::refuse(format!("STARK_WORKERS must be a positive number, it is `{text}`")),
        },
        (None, None) => {}
    }
    if args.workers == Some(0) {
        return super::refuse("--workers must be at least 1");
    }
    options.seed = args.seed;
    if let Some(limit) = args.heap_limit {
        options.heap_limit = limit as usize;
    }
    options.dir = target.file.parent().map(PathBuf::from);
    match stark_vm::Runtime::new(options).run(module, args.args.clone()) {
        Ok(status) => {
            if args.stats {
                eprintln!(
                    "stats: {} values copied because they were changed while shared",
                    stark_vm::copies_on_write()
                );
            }
            status
        }
        Err(error) => super::refuse(format!("{}: {error}", args.file.display())),
    }
}
