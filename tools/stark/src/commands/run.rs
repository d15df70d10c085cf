//! `stark run FILE|FOLDER [ARGS]`

use crate::load::Target;
use crate::start::{self, Policy, Ready};
use stark_bundle::Bundle;
use std::path::{Path, PathBuf};

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
    /// Allow only these capabilities: files, network, environment, process (with commas between), or none; all without it
    #[arg(long, value_name = "LIST")]
    allow: Option<Vec<String>>,
    /// Deny these capabilities
    #[arg(long, value_name = "LIST")]
    deny: Vec<String>,
    /// Refuse to run unless FILE is signed with this public key: a .pub file, or the key itself
    #[arg(long, value_name = "KEY")]
    require_signature: Option<String>,
    /// Largest size of one compressed asset in memory, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = stark_bundle::DEFAULT_ASSET_LIMIT)]
    asset_limit: u64,
    /// The program, or a folder with a stark.toml
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,
    /// Arguments for the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn main(args: &Args) -> i32 {
    run(args).unwrap_or_else(|status| status)
}

fn run(args: &Args) -> Result<i32, i32> {
    let mut policy = Policy { asset_limit: Some(args.asset_limit), ..Policy::default() };
    policy.denied = start::denied(args.allow.as_deref(), &args.deny).map_err(super::refuse)?;
    policy.required_key =
        args.require_signature.as_deref().map(start::public_key).transpose().map_err(super::refuse)?;
    let target = Target::find(&args.file, args.locked)?;
    let ready = match target.bundle()? {
        Some(bundle) => start::check(bundle, &target.file, &policy)?,
        None if policy.required_key.is_some() => {
            return Err(super::refuse(format!("{} is source, which nobody signs; bundle it first", target.shown())));
        }
        None => Ready { module: target.verified()?, assets: target.assets()? },
    };
    let mut options = options(args.workers)?;
    options.seed = args.seed;
    options.denied = policy.denied;
    if let Some(limit) = args.heap_limit {
        options.heap_limit = limit as usize;
    }
    options.dir = target.file.parent().map(PathBuf::from);
    let status = begin(ready, options, args.args.clone(), &args.file)?;
    if args.stats {
        eprintln!("stats: {} values copied because they were changed while shared", stark_vm::copies_on_write());
    }
    Ok(status)
}

/// What the environment says, and the number of workers that was asked for.
fn options(workers: Option<usize>) -> Result<stark_vm::Options, i32> {
    let mut options = stark_vm::Options::default();
    let from_environment = std::env::var("STARK_WORKERS").ok();
    match (workers, from_environment) {
        (Some(0), _) => return Err(super::refuse("--workers must be at least 1")),
        (Some(n), _) => options.n_workers = n,
        (None, Some(text)) => match text.parse() {
            Ok(n) if n > 0 => options.n_workers = n,
            _ => return Err(super::refuse(format!("STARK_WORKERS must be a positive number, it is `{text}`"))),
        },
        (None, None) => {}
    }
    Ok(options)
}

fn begin(ready: Ready, mut options: stark_vm::Options, args: Vec<String>, shown: &Path) -> Result<i32, i32> {
    options.assets = ready.assets;
    stark_vm::Runtime::new(options)
        .run(ready.module, args)
        .map_err(|error| super::refuse(format!("{}: {error}", shown.display())))
}

/// Runs the bundle that this executable carries; every argument is the program's.
pub fn standalone(bundle: Bundle, program: &Path) -> i32 {
    let run = || {
        let ready = start::check(bundle, program, &Policy::default())?;
        let mut options = options(None)?;
        options.dir = program.parent().map(PathBuf::from);
        let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        begin(ready, options, args, program)
    };
    run().unwrap_or_else(|status| status)
}
