//! The `stark-prof` command: recording programs and looking at recordings.
//!
//! Exit status: 0 done; 2 wrong usage, or something cannot be done; `run` gives the program's own.

use clap::{Parser, Subcommand};
use stark_prof::{Format, batch, figures, html, record, render, text, top};
use stark_profile::Profile;
use stark_profile::model::{DEFAULT_MAX_ENTRIES, DEFAULT_RATE_HZ, RecordOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

/// The p95 latency that batches are to keep when nobody says another.
const DEFAULT_TARGET_MS: f64 = 100.0;

/// Where the time and memory of STARK programs go
#[derive(Parser)]
#[command(
    name = "stark-prof",
    version,
    after_help = "Examples:\n  \
        stark-prof run service.stark                      run it, then say where the time went\n  \
        stark-prof attach 4242 --seconds 10               the same for a program that runs\n  \
        stark-prof record 4242 -o now.starkprof --trace   until Ctrl-C\n  \
        stark-prof report now.starkprof --format html -o report.html\n  \
        stark-prof batch now.starkprof --target-ms 50     the best batch size and delay\n  \
        stark-prof top 4242                               live\n\n\
        `stark ps` lists the programs that run."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program, record it, and say where the time went
    Run {
        #[command(flatten)]
        recording: Recording,
        /// The recording
        #[arg(short, long, value_name = "FILE", default_value = "stark.starkprof")]
        output: PathBuf,
        /// Also draw flame graphs, the report and the batch plot into this folder
        #[arg(long, value_name = "FOLDER")]
        pictures: Option<PathBuf>,
        /// The program, or a folder with a stark.toml
        #[arg(value_name = "FILE|FOLDER")]
        program: PathBuf,
        /// Arguments for the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Record a running program for a while, and say where the time went
    Attach {
        #[command(flatten)]
        recording: Recording,
        #[arg(value_name = "PID")]
        pid: u32,
        /// How long; without it, until Ctrl-C or the program's end
        #[arg(long, value_name = "N", value_parser = seconds)]
        seconds: Option<f64>,
        /// Also keep the recording
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Record a running program into a file
    Record {
        #[command(flatten)]
        recording: Recording,
        #[arg(value_name = "PID")]
        pid: u32,
        /// How long; without it, until Ctrl-C or the program's end
        #[arg(long, value_name = "N", value_parser = seconds)]
        seconds: Option<f64>,
        /// The recording
        #[arg(short, long, value_name = "FILE", default_value = "stark.starkprof")]
        output: PathBuf,
    },
    /// Show a recording, as text or in another format
    Report {
        /// The recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Where it goes; without it, standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// For html: the p95 latency that batches are to keep
        #[arg(long, value_name = "N", default_value_t = DEFAULT_TARGET_MS)]
        target_ms: f64,
    },
    /// Find the best batch size and delay for a latency, from the recorded arrivals
    Batch {
        /// The recording
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The p95 latency to keep, from sending to answering
        #[arg(long, value_name = "N")]
        target_ms: f64,
        /// The actor; without it, the one with the most messages in batches
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Draw the settings into this SVG
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
    /// Look at a running program, live
    Top {
        #[arg(value_name = "PID")]
        pid: u32,
        /// Print one picture of two seconds, for a log or a pipe
        #[arg(long)]
        once: bool,
    },
}

#[derive(clap::Args)]
struct Recording {
    /// Also note every turn, wait, message and operator of a model; no longer nearly free
    #[arg(long)]
    trace: bool,
    /// Samples a second
    #[arg(long, value_name = "HZ", default_value_t = DEFAULT_RATE_HZ)]
    rate: u32,
    /// Entries kept; what comes after them is only counted
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ENTRIES)]
    max_entries: u64,
}

impl Recording {
    fn options(&self) -> RecordOptions {
        RecordOptions { rate_hz: self.rate, trace: self.trace, max_entries: self.max_entries }
    }
}

/// A day and more is a slip of the finger; the recording would pass its limit long before.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= 1e6 => Ok(n),
        _ => Err("it must be a number above 0, and at most 1000000".to_string()),
    }
}

fn main() -> ExitCode {
    let status = perform(Cli::parse().command).unwrap_or_else(|reason| {
        eprintln!("error: {reason}");
        2
    });
    ExitCode::from(status as u8)
}

fn perform(command: Command) -> Result<i32, String> {
    match command {
        Command::Run { recording, output, pictures, program, args } => {
            let status = record::run(&recording.options(), &output, &program, &args)?;
            // Without a recording the program did not get as far as running, and has said why.
            if output.is_file() {
                let profile = record::load(&output)?;
                eprint!("\n{}\nkept in {}\n", text::render(&profile), output.display());
                if let Some(folder) = pictures {
                    draw(&profile, &folder)?;
                }
            }
            Ok(status)
        }
        Command::Attach { recording, pid, seconds, output } => {
            let bytes = attach(pid, recording.options(), seconds)?;
            if let Some(output) = &output {
                record::save(output, &bytes)?;
            }
            let profile =
                stark_profile::file::decode(&bytes).map_err(|e| format!("the answer of process {pid}: {e}"))?;
            print(text::render(&profile).as_bytes(), None)
        }
        Command::Record { recording, pid, seconds, output } => {
            let bytes = attach(pid, recording.options(), seconds)?;
            record::save(&output, &bytes)?;
            eprintln!("kept in {}", output.display());
            Ok(0)
        }
        Command::Report { file, format, output, target_ms } => {
            let profile = record::load(&file)?;
            print(&render(&profile, format, target_ms)?, output.as_deref())
        }
        Command::Batch { file, target_ms, actor, plot } => {
            let profile = record::load(&file)?;
            let study = batch::study(&profile, actor.as_deref(), target_ms)?;
            if let Some(plot) = plot {
                record::save(&plot, html::chart(&study).into_string().as_bytes())?;
            }
            let name = figures::actor_name(&profile, study.actor);
            print(study.render(&name).as_bytes(), None)
        }
        Command::Top { pid, once: true } => print(top::picture(pid)?.as_bytes(), None),
        Command::Top { pid, once: false } => top::run(pid).map(|()| 0),
    }
}

/// Every picture there is of a recording; the batch plot when batches were recorded.
fn draw(profile: &Profile, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let pictures =
        [("report.html", Format::Html), ("flame.svg", Format::Flame), ("allocations.svg", Format::FlameAllocations)];
    for (name, format) in pictures {
        record::save(&folder.join(name), &render(profile, format, DEFAULT_TARGET_MS)?)?;
    }
    let mut names = "report.html, flame.svg, allocations.svg".to_string();
    if let Ok(study) = batch::study(profile, None, DEFAULT_TARGET_MS) {
        record::save(&folder.join("batch.svg"), html::chart(&study).into_string().as_bytes())?;
        names += ", batch.svg";
    }
    eprintln!("drawn in {}: {names}", folder.display());
    Ok(())
}

/// Records until Ctrl-C, the time, or the program's end.
fn attach(pid: u32, options: RecordOptions, seconds: Option<f64>) -> Result<Vec<u8>, String> {
    let (interrupt, stop) = mpsc::channel();
    let told = interrupt.clone();
    // Without a handler Ctrl-C ends this program, and the recording is thrown away.
    let _ = ctrlc::set_handler(move || {
        let _ = told.send(());
    });
    let words = if seconds.is_none() { "; Ctrl-C ends it" } else { "" };
    let bytes = record::attach(pid, options, seconds, stop, || eprintln!("recording process {pid}{words}"));
    drop(interrupt);
    bytes
}

fn print(bytes: &[u8], output: Option<&Path>) -> Result<i32, String> {
    match output {
        Some(path) => record::save(path, bytes)?,
        None => {
            let mut out = std::io::stdout().lock();
            match out.write_all(bytes).and_then(|()| out.flush()) {
                // `| head` has seen enough.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
                Err(e) => return Err(format!("standard output cannot be written: {e}")),
                Ok(()) => {}
            }
        }
    }
    Ok(0)
}
