//! What recording costs: the same programs without, with the default recording, and with a trace, in turn.
//!
//! The fastest run of each counts: whatever else the machine does only ever makes a run slower.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run programs with and without a recording, and print ratios
#[derive(Parser)]
struct Args {
    /// The stark command to measure
    #[arg(long, default_value = "target/release/stark")]
    stark: PathBuf,
    /// Rounds; in each every program runs once in each way
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// The programs, by name
    #[arg(default_values = ["fib", "nbody", "binary_trees", "spawn", "skynet", "ring", "ask", "channel"])]
    programs: Vec<String>,
}

const WAYS: [(&str, &[&str]); 3] = [("off", &[]), ("recording", &["--profile"]), ("trace", &["--trace", "--profile"])];

fn main() {
    let args = Args::parse();
    let recording = std::env::temp_dir().join(format!("stark-bench-{}.starkprof", std::process::id()));
    println!("fastest of {} runs, ms; in brackets the time by that without a recording", args.runs);
    println!("{:<14}{:>10}{:>20}{:>20}", "program", "off", "recording", "trace");
    for name in &args.programs {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(format!("{name}.stark"));
        let mut fastest = [f64::INFINITY; WAYS.len()];
        for _ in 0..args.runs {
            for (best, (way, options)) in fastest.iter_mut().zip(WAYS) {
                match measure(&args.stark, options, &recording, &program) {
                    Ok(ms) => *best = best.min(ms),
                    Err(why) => {
                        eprintln!("error: {name}, {way}: {why}");
                        std::process::exit(2);
                    }
                }
            }
        }
        let [off, recording, trace] = fastest;
        let cell = |ms: f64| format!("{ms:.1} ({:.3})", ms / off);
        println!("{name:<14}{off:>10.1}{:>20}{:>20}", cell(recording), cell(trace));
    }
    let _ = std::fs::remove_file(recording);
}

/// The time that the program says it took.
fn measure(stark: &Path, options: &[&str], recording: &Path, program: &Path) -> Result<f64, String> {
    let mut command = Command::new(stark);
    command.arg("run").args(options);
    if !options.is_empty() {
        command.arg(recording);
    }
    let out = command.arg(program).output().map_err(|e| format!("cannot start {}: {e}", stark.display()))?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let last = text.lines().next_back().unwrap_or_default();
    let ms = last.strip_prefix("ms ").and_then(|ms| ms.trim().parse().ok());
    ms.ok_or_else(|| format!("it did not end with its time but with `{last}`"))
}
