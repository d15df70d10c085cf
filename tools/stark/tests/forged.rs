//! Bytecode that no compiler wrote: it is refused with a place, or it runs to an end. Never a signal, never a panic.
//!
//! The mutants run in children with little memory, stack and time, and no capabilities. A child says in a file which one
//! it is at, so one that dies is known by its number:
//!
//! ```text
//! STARK_FORGED=100000 cargo test --release -p stark --test forged -- --nocapture     # a long run
//! STARK_FORGED_AT=4711 cargo test --release -p stark --test forged -- --nocapture    # one mutant again
//! ```

mod forge;

use forge::{Rng, forge};
use stark_bytecode::Module;
use stark_vm::natives::Capability;
use stark_vm::{Options, Runtime};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// So many mutants run in one child: what is loaded is never given back.
const PER_CHILD: u64 = 500;
/// A mutant is stopped after this, as any program may run for ever.
const RUN_LIMIT: Duration = Duration::from_millis(300);
/// One that has not stopped by then hangs.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// The child's status then.
const HANGS: i32 = 98;
/// Mutants in a usual test run: a few seconds.
const USUAL: u64 = 3000;

#[test]
fn forged_bytecode_is_refused_or_runs_to_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    build_programs(folder.path());
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (mut at, end) = match number("STARK_FORGED_AT") {
        Some(at) => (at, at + 1),
        None => (0, number("STARK_FORGED").unwrap_or(USUAL)),
    };
    let started = Instant::now();
    let mut failures = Vec::new();
    let mut total = [0; 4];
    while at < end {
        let to = (at + PER_CHILD).min(end);
        match run_child(folder.path(), at, to) {
            Ok(counts) => {
                total.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
                at = to;
            }
            Err((seed, what)) => {
                eprintln!("mutant {seed}: {what}");
                failures.push(format!("mutant {seed}: {what}"));
                at = seed + 1;
            }
        }
    }
    let [unreadable, unverified, unloaded, ran] = total;
    eprintln!(
        "{unreadable} unreadable, {unverified} refused by the verifier, {unloaded} by the loader, {ran} ran; {:.0?}",
        started.elapsed()
    );
    assert!(failures.is_empty(), "{} mutants:\n{}", failures.len(), failures.join("\n"));
}

/// Compiles the conformance programs and the examples into `folder`.
fn build_programs(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut programs: Vec<PathBuf> =
        stark_tests::cases::find(&root.join("tests/conformance")).into_iter().map(|case| case.path).collect();
    let examples = std::fs::read_dir(root.join("examples")).expect("examples");
    programs.extend(examples.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "stark")));
    programs.sort();
    let mut n_built = 0;
    for program in programs {
        let out = folder.join(format!("{n_built:04}.starkbc"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_stark"));
        command.arg("build").arg(&program).arg("-o").arg(&out).stderr(Stdio::null());
        // Some are there because they do not compile.
        n_built += usize::from(command.status().expect("stark runs").success());
    }
    assert!(n_built > 30, "only {n_built} programs were built");
}

/// Runs the mutants `from..to`; counts of how they ended, or the one that ended the child.
fn run_child(folder: &Path, from: u64, to: u64) -> Result<[u64; 4], (u64, String)> {
    let stderr = std::fs::File::create(folder.join("stderr")).expect("a file");
    let at = folder.join("at");
    std::fs::write(&at, from.to_string()).expect("a file");
    let status = Command::new("sh")
        .args(["-c", "ulimit -v 8000000; ulimit -c 0; exec \"$0\" child --exact --nocapture --test-threads 1"])
        .arg(std::env::current_exe().expect("this test"))
        .env("STARK_FORGED_CHILD", folder)
        .env("STARK_FORGED_RANGE", format!("{from} {to}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .status()
        .expect("the test starts itself");
    let said = std::fs::read(folder.join("stderr")).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let seed = std::fs::read_to_string(&at).ok().and_then(|text| text.parse().ok()).unwrap_or(from);
    if let Some(start) = said.find("panicked at") {
        return Err((seed, said[start..].chars().take(600).collect()));
    }
    if status.code() != Some(0) {
        let end: String = said.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
        return Err((seed, format!("{status}; {}", end.chars().take(400).collect::<String>())));
    }
    let counts = std::fs::read_to_string(folder.join("counts")).expect("a child that ends well leaves its counts");
    let counts: Vec<u64> = counts.split(' ').map(|n| n.parse().expect("a number")).collect();
    Ok(counts.try_into().expect("four counts"))
}

/// Not a test of its own: what the children run.
#[test]
fn child() {
    let Some(folder) = std::env::var_os("STARK_FORGED_CHILD").map(PathBuf::from) else { return };
    let range = std::env::var("STARK_FORGED_RANGE").expect("a range");
    let (from, to) = range.split_once(' ').expect("two numbers");
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));

    let mut programs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "starkbc"))
        .collect();
    programs.sort();
    let mut loaded: Vec<Option<Module>> = vec![None; programs.len()];
    let natives: Vec<&'static str> = stark_vm::natives::all().map(|row| row.name).collect();
    let beat = Arc::new(AtomicU64::new(from));
    watch(beat.clone());
    let mut counts = [0u64; 4];
    for seed in from..to {
        std::fs::write(folder.join("at"), seed.to_string()).expect("a file");
        beat.store(seed, SeqCst);
        let mut rng = Rng(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let i = rng.below(programs.len());
        let good = loaded[i].get_or_insert_with(|| {
            let bytes = std::fs::read(&programs[i]).expect("it was built");
            stark_bytecode::decode(&bytes).expect("the compiler writes what the decoder reads")
        });
        let file = forge(good, &natives, &mut rng);
        if from + 1 == to {
            std::fs::write(std::env::temp_dir().join("forged.starkbc"), &file).expect("a file");
        }
        counts[run_mutant(&file, seed)] += 1;
    }
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    std::fs::write(folder.join("counts"), counts.join(" ")).expect("a file");
}

/// How far it came.
fn run_mutant(file: &[u8], seed: u64) -> usize {
    let module = match stark_bytecode::decode(file) {
        Ok(module) => module,
        Err(error) => return said(&error, 0),
    };
    let module = match stark_bytecode::verify(module) {
        Ok(module) => module,
        Err(error) => return said(&error, 1),
    };
    let options = Options {
        n_workers: 2,
        // Mostly the deterministic scheduler, in whose time nobody sleeps.
        seed: Some(seed).filter(|seed| seed % 8 != 0),
        heap_limit: 32 << 20,
        stack_limit: 1 << 20,
        denied: Capability::ALL.to_vec(),
        ..Options::default()
    };
    let runtime = Arc::new(Runtime::new(options));
    let (done, stop) = (Arc::new(AtomicU64::new(0)), runtime.clone());
    let theirs = done.clone();
    let stopper = std::thread::spawn(move || {
        let started = Instant::now();
        while theirs.load(SeqCst) == 0 {
            std::thread::park_timeout(Duration::from_millis(20));
            if started.elapsed() > RUN_LIMIT {
                stop.stop();
            }
        }
    });
    let outcome = runtime.run(module, vec!["one".into(), "two".into()]);
    done.store(1, SeqCst);
    stopper.thread().unpark();
    stopper.join().expect("it only waits");
    match outcome {
        Ok(_) => 3,
        Err(error) => said(&error, 2),
    }
}

/// A refusal is a sentence.
fn said(error: &dyn std::fmt::Display, count: usize) -> usize {
    assert!(error.to_string().len() > 10, "`{error}` says nothing");
    count
}

/// Ends the process when it stays at one mutant.
fn watch(beat: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let (mut last, mut since) = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let now = beat.load(SeqCst);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > STOP_LIMIT {
                eprintln!("mutant {now} hangs");
                std::process::exit(HANGS);
            }
        }
    });
}
