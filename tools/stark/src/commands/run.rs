//! `stark run FILE|FOLDER [ARGS]`

use crate::limits::{self, Limits};
use crate::load::Target;
use crate::observe;
use crate::start::{self, Policy, Ready};
use crate::testing;
use stark_bundle::{Assets, Bundle};
use stark_bytecode::VerifiedModule;
use stark_profile::model::{DEFAULT_MAX_ENTRIES, DEFAULT_RATE_HZ, RecordOptions};
use stark_vm::jit::Jit;
use stark_vm::schedule::Schedule;
use stark_vm::{Choices, CodeSpace, Console, Ended, Runtime, StartError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

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
    /// Run under this schedule, as a failure has told it
    #[arg(long, value_name = "SCHEDULE", conflicts_with = "seed")]
    schedule: Option<Schedule>,
    /// With --seed: when the program fails, run it again and again to find the fewest switches between tasks that make it fail
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Compile functions to machine code: off, on (those that run long) or always (each at its first call) (environment: STARK_JIT)
    #[arg(long, value_name = "WHEN")]
    jit: Option<Jit>,
    #[command(flatten)]
    limits: Limits,
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
    /// Send the same figures, traces and the lines of `log` to an OpenTelemetry collector every 10 s, as OTLP in JSON over HTTP
    #[arg(long, value_name = "http://HOST:PORT")]
    otlp: Option<String>,
    /// With --otlp: the share of requests (0 to 1) whose messages, tasks and model runs are sent as a trace
    #[arg(long, value_name = "SHARE", requires = "otlp", default_value_t = 0.01, value_parser = share)]
    trace_share: f64,
    /// Open no socket for `stark ps` and `stark-prof attach`
    #[arg(long)]
    no_attach: bool,
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
    /// For the benchmarks: loops do not count what they spend, so nothing interrupts them
    #[arg(long, hide = true)]
    uncounted: bool,
    /// The program, or a folder with a stark.toml
    #[arg(value_name = "FILE|FOLDER")]
    file: PathBuf,
    /// Arguments for the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_string()),
    }
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
    args.jit.map_or(Ok(()), start::jit).map_err(super::refuse)?;
    let mut options = options(args.workers)?;
    options.seed = args.seed;
    if let Some(schedule) = &args.schedule {
        options.seed = Some(schedule.seed);
        options.choices = Choices::Followed(schedule.switches.clone());
    }
    options.denied = policy.denied;
    limits::set(&mut options, Some(&args.limits), target.project.as_ref())?;
    options.dir = target.file.parent().map(PathBuf::from);
    options.record = args.profile.as_ref().map(|_| RecordOptions {
        rate_hz: args.rate,
        trace: args.trace,
        max_entries: args.max_entries,
    });
    let exports = args.metrics.as_deref().map_or(Ok(()), observe::prometheus::serve);
    let name = args.file.display().to_string();
    let otlp = |endpoint| observe::otlp::export(endpoint, &name, args.trace_share);
    exports.and_then(|()| args.otlp.as_deref().map_or(Ok(()), otlp)).map_err(super::refuse)?;
    let runtime = runtime(options, ready.assets, &args.file);
    let _server = (!args.no_attach).then(|| attachable(&runtime));
    let ended_by = args.profile.as_ref().and_then(|_| observe::end_on_signal(runtime.clone()).ok());
    let refused = |error: StartError| super::refuse(format!("{}: {error}", args.file.display()));
    let load = if args.uncounted { stark_vm::load_uncounted } else { stark_vm::load };
    let code = load(ready.module).map_err(|error| refused(StartError::Load(error)))?;
    let ended = runtime.run_function(code, code.entry, args.args.clone(), Console::process()).map_err(refused)?;
    let status = ended.status();
    // What was done since the last time; the figures of a program that is over are of no use.
    if let Some(endpoint) = args.otlp.as_deref() {
        observe::otlp::post_last(endpoint, &name);
    }
    if args.shrink && status != 0 {
        shrink(args, code, &runtime, ended).map_err(refused)?;
    }
    if args.stats {
        eprintln!("stats: {} values copied because they were changed while shared", stark_vm::copies_on_write());
        let jit = stark_vm::jit::stats();
        let ms = jit.time.as_secs_f64() * 1000.0;
        eprintln!("stats: {} functions compiled to {} bytes of machine code in {ms:.1} ms", jit.functions, jit.bytes);
        for line in stark_vm::mapped_functions() {
            eprintln!("stats: parallel_tensor_map of {line}");
        }
    }
    let status = match ended_by.map_or(0, |signal| signal.load(SeqCst)) {
        0 => status,
        signal => 128 + signal,
    };
    Ok(args.profile.as_deref().and_then(save_recording).unwrap_or(status))
}

/// Tells the fewest switches between tasks with which the program still fails so; what it prints meanwhile is dropped.
fn shrink(args: &Args, code: &'static CodeSpace, first: &Runtime, failed: Ended) -> Result<(), StartError> {
    let run = |choices| {
        let options = stark_vm::Options { choices, observed: false, record: None, ..first.options().clone() };
        let (console, output) = testing::run::captured();
        let runtime = Runtime::new(options);
        let ended = runtime.run_function(code, code.entry, args.args.clone(), console)?;
        let text = output.lock().map(|output| String::from_utf8_lossy(&output.kept).into_owned()).unwrap_or_default();
        Ok((ended, testing::run::error_kind(&text).map(str::to_string), runtime.switches()))
    };
    let seed = args.seed.unwrap_or_default();
    let (again, kind, _) = run(Choices::Drawn)?;
    let found = testing::shrink::shrink(seed, |choices| {
        let (ended, said, taken) = run(choices).ok()?;
        (ended == failed && said == kind).then_some(taken)
    });
    match found {
        Some((schedule, taken)) if again == failed => {
            eprint!("{}", testing::shrink::tell(&taken));
            eprintln!("again with: stark run --schedule {schedule} {}", args.file.display());
        }
        _ => eprintln!("it does not fail in the same way again: something outside takes part"),
    }
    Ok(())
}

/// What the environment says, and the number of workers that was asked for.
fn options(workers: Option<usize>) -> Result<stark_vm::Options, i32> {
    let mut options = stark_vm::Options::default();
    let from_environment = std::env::var_os("STARK_WORKERS").map(|text| text.to_string_lossy().into_owned());
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

/// Lets `stark ps` and `stark-prof` look into the program, once it has run for a moment, while what this gives lives.
fn attachable(runtime: &stark_vm::Runtime) -> Arc<Mutex<Option<stark_vm::observe::Server>>> {
    observe::keep_alive_on_signal();
    let server = Arc::new(Mutex::new(None));
    let begun = server.clone();
    runtime.when_lasting(move || {
        // Neither is worth refusing to run for; whoever wants to look finds out that nobody answers.
        let _ = observe::tell_on_signal();
        *begun.lock().expect("nothing panics with it") = stark_vm::observe::serve().ok();
    });
    server
}

fn runtime(mut options: stark_vm::Options, assets: Option<Arc<Assets>>, shown: &Path) -> Arc<stark_vm::Runtime> {
    options.assets = assets;
    options.name = shown.display().to_string();
    options.observed = true;
    Arc::new(stark_vm::Runtime::new(options))
}

fn begin(runtime: &stark_vm::Runtime, module: VerifiedModule, args: Vec<String>, shown: &Path) -> Result<i32, i32> {
    runtime.run(module, args).map_err(|error| super::refuse(format!("{}: {error}", shown.display())))
}

/// Runs the bundle that this executable carries; every argument is the program's.
pub fn standalone(bundle: Bundle, program: &Path) -> i32 {
    let run = || {
        let ready = start::check(bundle, program, &Policy::default())?;
        let mut options = options(None)?;
        limits::set(&mut options, None, None)?;
        options.dir = program.parent().map(PathBuf::from);
        let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
        let runtime = runtime(options, ready.assets, program);
        let _server = attachable(&runtime);
        begin(&runtime, ready.module, args, program)
    };
    run().unwrap_or_else(|status| status)
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
