//! `stark test`: finding the tests of programs, running each in a virtual machine of its own, telling how it went.
//!
//! `find` walks folders for programs with tests; `run` runs one test under one schedule; this file compiles the
//! programs, spreads their tests over threads and reports in the order of the text.

mod find;
mod run;

use crate::commands::{REFUSED, refuse};
use crate::load::{self, Target};
use run::{Outcome, Test};
use stark_compiler::TestEntry;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

/// What the command line says.
pub struct Settings<'a> {
    pub paths: &'a [PathBuf],
    pub filter: &'a str,
    pub seed: u64,
    pub n_schedules: u64,
    /// Real threads and time instead of a seed.
    pub workers: Option<usize>,
    pub jobs: usize,
    pub timeout: Duration,
    pub locked: bool,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    filtered: usize,
}

/// Runs the tests; gives the exit status.
pub fn main(settings: &Settings) -> i32 {
    let mut counts = Counts::default();
    let mut refused = false;
    let mut files = Vec::new();
    for path in settings.paths {
        match find::programs(path) {
            Ok(found) => files.extend(found),
            Err(message) => {
                refuse(message);
                refused = true;
            }
        }
    }
    for file in &files {
        refused |= test_file(file, settings, &mut counts).is_err();
    }
    let Counts { passed, failed, filtered } = counts;
    if passed + failed + filtered == 0 && !refused {
        println!("no tests: mark a function with `@test` to have one");
    }
    let left_out = if filtered > 0 { format!(", {filtered} filtered out") } else { String::new() };
    println!("{passed} passed, {failed} failed{left_out}");
    match (refused, failed) {
        (true, _) => REFUSED,
        (false, 0) => 0,
        (false, _) => 1,
    }
}

/// `Err`: the file does not compile, which has been told.
fn test_file(file: &Path, settings: &Settings, counts: &mut Counts) -> Result<(), i32> {
    let target = Target::find(file, settings.locked)?;
    let options = stark_compiler::Options { tests: true, ..Default::default() };
    let compiled = target.compile(true, &options).map_err(refuse)?;
    load::report(&compiled.sources, &compiled.diagnostics, false);
    let module = compiled.module.ok_or(REFUSED)?;
    let wanted = |test: &&TestEntry| test.name.contains(settings.filter);
    let tests: Vec<&TestEntry> = compiled.tests.iter().filter(wanted).collect();
    counts.filtered += compiled.tests.len() - tests.len();
    if tests.is_empty() {
        return Ok(());
    }
    let module = load::verify(module, file)?;
    let code = stark_vm::load(module).map_err(|e| refuse(format!("{}: {e}", file.display())))?;
    let dir = file.parent().map(Path::to_path_buf);
    let assets = target.assets()?;
    let run = |test: &&TestEntry| {
        let (dir, assets) = (dir.clone(), assets.clone());
        let test = Test { code, entry: test.entry, dir, assets, timeout: settings.timeout };
        under_schedules(&test, settings)
    };
    println!("{}", file.display());
    in_order(&tests, settings.jobs, run, |test, result| {
        if result.outcome.passed() {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
        report(file, &test.name, &result, settings);
    });
    Ok(())
}

/// How a test went under the last schedule it ran under.
struct TestResult {
    outcome: Outcome,
    n_schedules: u64,
    seed: u64,
    took: Duration,
}

/// Stops at the first schedule that fails.
fn under_schedules(test: &Test, settings: &Settings) -> TestResult {
    let mut took = Duration::ZERO;
    let mut n_schedules = 0;
    loop {
        let seed = settings.seed.wrapping_add(n_schedules);
        let outcome = test.run(settings.workers.is_none().then_some(seed), settings.workers.unwrap_or(1));
        took += outcome.took;
        n_schedules += 1;
        if !outcome.passed() || n_schedules == settings.n_schedules {
            return TestResult { outcome, n_schedules, seed, took };
        }
    }
}

fn report(file: &Path, name: &str, result: &TestResult, settings: &Settings) {
    let word = if result.outcome.passed() { "ok" } else { "FAILED" };
    let ms = result.took.as_secs_f64() * 1e3;
    let schedules = match (settings.n_schedules, result.n_schedules) {
        (1, _) => String::new(),
        (_, 1) => "1 schedule, ".into(),
        (_, n) => format!("{n} schedules, "),
    };
    println!("  {name} ... {word} ({schedules}{ms:.1} ms)");
    let Some(why) = result.outcome.failure() else { return };
    for line in result.outcome.text.lines() {
        println!("      {line}");
    }
    if result.outcome.is_cut {
        println!("      … the rest of its output was dropped");
    }
    if let Some(why) = why {
        println!("      {why}");
    }
    if settings.workers.is_none() && (settings.n_schedules > 1 || settings.seed != 0) {
        println!("      again with: stark test {} --filter {name} --seed {}", file.display(), result.seed);
    }
}

/// Runs `work` on each item, `jobs` at a time, and tells the results in the order of the items.
fn in_order<T: Sync, R: Send>(items: &[T], jobs: usize, work: impl Fn(&T) -> R + Sync, mut tell: impl FnMut(&T, R)) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| {
                let sender = sender.lock().map(|s| s.clone()).expect("nothing panics while it is held");
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(item) = items.get(index) else { break };
                    // The receiver lives as long as this scope.
                    let _ = sender.send((index, work(item)));
                }
            });
        }
        let mut waiting: Vec<Option<R>> = items.iter().map(|_| None).collect();
        let mut n_told = 0;
        while n_told < items.len() {
            let Ok((index, result)) = receiver.recv() else { break };
            waiting[index] = Some(result);
            while let Some(result) = waiting.get_mut(n_told).and_then(Option::take) {
                tell(&items[n_told], result);
                n_told += 1;
            }
        }
    });
}
