//! What recording costs: the same programs without, with the default recording, and with a trace, in turn.
//!
//! It compares the processor time of the whole process, of the run that a quarter of all was faster than: whatever else the
//! machine does makes a run slower, and the very fastest were lucky with which worker did what. The ways take turns in being
//! the first. The programs run for about a second, so that starting up and writing the recording weigh what they weigh.

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
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The programs of bench/profile, by name
    #[arg(default_values = ["ask", "ring", "spawn", "nbody"])]
    programs: Vec<String>,
}

const WAYS: [(&str, &[&str]); 3] = [("off", &[]), ("recording", &["--profile"]), ("trace", &["--trace", "--profile"])];

fn main() {
    let args = Args::parse();
    let recording = std::env::temp_dir().join(format!("stark-bench-{}.starkprof", std::process::id()));
    println!("processor time, ms, the lower quartile of {} runs; in brackets by that without a recording", args.runs);
    println!("{:<14}{:>10}{:>20}{:>20}", "program", "off", "recording", "trace");
    for name in &args.programs {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("profile").join(format!("{name}.stark"));
        let mut times = [const { Vec::new() }; WAYS.len()];
        for round in 0..args.runs as usize {
            for turn in 0..WAYS.len() {
                let at = (round + turn) % WAYS.len();
                let (way, options) = WAYS[at];
                match measure(&args.stark, options, &recording, &program) {
                    Ok(ms) => times[at].push(ms),
                    Err(why) => {
                        eprintln!("error: {name}, {way}: {why}");
                        std::process::exit(2);
                    }
                }
            }
        }
        let [off, recording, trace] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 4]
        });
        let cell = |ms: f64| format!("{ms:.0} ({:.3})", ms / off);
        println!("{name:<14}{off:>10.0}{:>20}{:>20}", cell(recording), cell(trace));
    }
    let _ = std::fs::remove_file(recording);
}

/// User and system time of one run, in milliseconds, as bash tells them: to a millisecond, where `times` of a plain shell
/// has steps of ten.
fn measure(stark: &Path, options: &[&str], recording: &Path, program: &Path) -> Result<f64, String> {
    let mut command = Command::new("bash");
    command.args(["-c", "TIMEFORMAT='%3U %3S'; time \"$@\" > /dev/null", "bash"]).arg(stark).arg("run").args(options);
    if !options.is_empty() {
        command.arg(recording);
    }
    let out = command.arg(program).output().map_err(|e| format!("cannot start bash: {e}"))?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    if !out.status.success() {
        return Err(text);
    }
    let times = text.lines().last().unwrap_or_default();
    let ms = |time: &str| time.replace(',', ".").parse::<f64>().ok().map(|seconds| seconds * 1e3);
    let sum = times.split_whitespace().map(ms).collect::<Option<Vec<f64>>>().filter(|times| times.len() == 2);
    sum.map(|times| times.iter().sum()).ok_or_else(|| format!("bash tells times in another way: `{times}`"))
}
