//! Benchmarks: the same program in STARK and in its peers, in one run, as ratios.
//!
//! Each program times its own work and prints `ms N` as its last line (`bytes N`, `us N`), so that starting up and compiling
//! are not in the figure; of `hello` the whole process is.
//! What is not installed is skipped by name. A ratio is STARK's median by the peer's: below 1 STARK is faster.

mod goals;
mod peers;

use clap::Parser;
use peers::{Outcome, Peer};
use std::path::{Path, PathBuf};

/// Run STARK programs and the same programs of peers in one run, and print ratios
#[derive(Parser)]
struct Args {
    /// The stark command to measure
    #[arg(long, default_value = "target/release/stark")]
    stark: PathBuf,
    /// Only programs whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Runs of each program; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Write the figures as JSON there
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() {
    let args = Args::parse();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stark = std::fs::canonicalize(&args.stark).unwrap_or_else(|e| {
        eprintln!("error: cannot find {}: {e}; build it with `cargo build --release -p stark`", args.stark.display());
        std::process::exit(2);
    });
    let mut programs: Vec<PathBuf> = std::fs::read_dir(home.join("programs"))
        .expect("bench/programs is part of the repository")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "stark"))
        .collect();
    programs.sort();
    let peers = peers::all(&stark, home);
    for peer in peers.iter().filter(|p| !p.is_there()) {
        println!("skipped: {} ({} is not there)", peer.name, peer.command);
    }
    let there: Vec<&Peer> = peers.iter().filter(|p| p.is_there()).collect();
    println!("median of {} runs, ms (timer: us, memory: bytes); in brackets STARK's time by the peer's", args.runs);
    print!("{:<14}", "program");
    for peer in &there {
        print!("{:>20}", peer.name);
    }
    println!();
    let mut figures = goals::Figures::new();
    for program in programs {
        let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&args.filter) {
            continue;
        }
        print!("{name:<14}");
        let mut stark_ms = None;
        for peer in &there {
            let outcome = peer.measure(&name, args.runs);
            let cell = match &outcome {
                Outcome::Time { ms } => {
                    figures.entry(name.clone()).or_default().insert(peer.name.to_string(), *ms);
                    match stark_ms {
                        None => {
                            stark_ms = Some(*ms);
                            format!("{ms:.1}")
                        }
                        Some(ours) => format!("{ms:.1} ({:.2})", ours / ms),
                    }
                }
                Outcome::Absent => "-".to_string(),
                Outcome::Failed(why) => {
                    eprintln!("{name} on {}: {why}", peer.name);
                    "failed".to_string()
                }
            };
            print!("{cell:>20}");
            use std::io::Write;
            std::io::stdout().flush().ok();
        }
        println!();
    }
    println!();
    goals::print(&figures);
    if let Some(path) = args.json {
        let text = serde_json::to_string_pretty(&figures).expect("figures are plain JSON");
        if let Err(error) = std::fs::write(&path, text) {
            eprintln!("error: cannot write {}: {error}", path.display());
            std::process::exit(2);
        }
    }
}
