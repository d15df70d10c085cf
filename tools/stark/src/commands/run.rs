//! `stark run FILE|FOLDER [ARGS]`

use crate::load::Target;
use crate::observe;
use stark_profile::model::{DEFAULT_MAX_ENTRIES, DEFAULT_RATE_HZ, RecordOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

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
    /// Record a profile from beginning to end into this file, for `stark-prof report`
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// With --profile: also note every turn, wait, message and operator; no longer nearly free
    #[arg(long, requires = "profile")]
    trace: bool,
    /// With --profile: samples a second
    #[arg(long, value_name = "HZ", requires = "profile", default_value_t = DEFAULT_RATE_HZ)]
    rate: u32,
    /// With --profile: entries kept; what comes after them is only counted
    #[arg(long, value_name = "N", requires = "profile", default_value_t = DEFAULT_MAX_ENTRIES)]
    max_entries: u64,
    /// Answer `GET /metrics` in Prometheus' text format here
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// Send the same figures to an OpenTelemetry collector every 10 s, as OTLP in JSON over HTTP
    #[arg(long, value_name = "http://HOST:PORT")]
    otlp: Option<String>,
    /// Open no socket for `stark ps` and `stark-prof attach`
    #[arg(long)]
    no_attach: bool,
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
    options.name = args.file.display().to_string();
    options.observed = true;
    options.record = args.profile.as_ref().map(|_| RecordOptions {
        rate_hz: args.rate,
        trace: args.trace,
        max_entries: args.max_entries,
    });
    let exports = args.metrics.as_deref().map_or(Ok(()), observe::prometheus::serve);
    if let Err(reason) = exports.and_then(|()| args.otlp.as_deref().map_or(Ok(()), observe::otlp::export)) {
        return super::refuse(reason);
    }
    // Neither is worth refusing to run for; whoever wants to look finds out that nobody answers.
    let _server = if args.no_attach { None } else { stark_vm::observe::serve().ok() };
    let _ = observe::tell_on_signal();
    let runtime = Arc::new(stark_vm::Runtime::new(options));
    let ended_by = args.profile.as_ref().and_then(|_| observe::end_on_signal(runtime.clone()).ok());
    match runtime.run(module, args.args.clone()) {
        Ok(status) => {
            if args.stats {
                eprintln!(
                    "stats: {} values copied because they were changed while shared",
                    stark_vm::copies_on_write()
                );
            }
            let status = match ended_by.map_or(0, |signal| signal.load(SeqCst)) {
                0 => status,
                signal => 128 + signal,
            };
            args.profile.as_deref().and_then(save_recording).unwrap_or(status)
        }
        Err(error) => super::refuse(format!("{}: {error}", args.file.display())),
    }
}

/// Writes what was recorded; gives a status when that fails.
fn save_recording(path: &Path) -> Option<i32> {
    let Some(profile) = stark_vm::observe::take_recording() else {
        return Some(super::refuse("nothing was recorded"));
    };
    let saved = stark_profile::file::encode(&profile)
        .and_then(|bytes| std::fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display())));
    saved.err().map(super::refuse)
}
