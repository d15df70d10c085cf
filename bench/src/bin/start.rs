//! How long a bundle takes from being started to having run, with a small and with a large asset.
//!
//! The program does nothing but print: what is left is the start of the process, opening and checking the bundle,
//! loading and verifying the code. The fastest run says what it costs, the median what else the machine does.

use clap::Parser;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Bundle assets of several sizes, and time whole runs
#[derive(Parser)]
struct Args {
    /// The stark command to measure
    #[arg(long, default_value = "target/release/stark")]
    stark: PathBuf,
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Sizes of the asset, in megabytes
    #[arg(default_values_t = [0, 500])]
    megabytes: Vec<usize>,
}

const MANIFEST: &str = "[package]\nname = \"start\"\n\n[assets]\ndata = \"data.bin\"\n";

fn main() {
    let args = Args::parse();
    let folder = std::env::temp_dir().join(format!("stark-start-{}", std::process::id()));
    let measured = measure(&args, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(why) = measured {
        eprintln!("error: {why}");
        std::process::exit(2);
    }
}

fn measure(args: &Args, folder: &Path) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    std::fs::create_dir_all(folder).map_err(fail)?;
    std::fs::write(folder.join("stark.toml"), MANIFEST).map_err(fail)?;
    std::fs::write(folder.join("main.stark"), "fn main(): print(\"started\")\n").map_err(fail)?;
    println!("whole runs, ms; fastest and median of {}", args.runs);
    row(args, "stark --version", Command::new(&args.stark).arg("--version"))?;
    for megabytes in &args.megabytes {
        let mut data = std::fs::File::create(folder.join("data.bin")).map_err(fail)?;
        let block: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        (0..*megabytes).try_for_each(|_| data.write_all(&block)).map_err(fail)?;
        let bundle = folder.join("start.starkbc");
        let made = Command::new(&args.stark).arg("bundle").arg(folder).arg("-o").arg(&bundle).output().map_err(fail)?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let name = format!("a bundle with {megabytes} MB");
        row(args, &name, Command::new(&args.stark).arg("run").arg(&bundle))?;
    }
    Ok(())
}

fn row(args: &Args, name: &str, command: &mut Command) -> Result<(), String> {
    let mut times = Vec::new();
    for _ in 0..args.runs.max(1) {
        let began = Instant::now();
        let status = command.stdout(Stdio::null()).status().map_err(|e| format!("{}: {e}", args.stark.display()))?;
        if !status.success() {
            return Err(format!("{name}: {status}"));
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{name:<26}{:>8.1}{:>8.1}", times[0], times[times.len() / 2]);
    Ok(())
}
