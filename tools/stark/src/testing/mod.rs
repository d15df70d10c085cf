//! `stark test`: finding the tests of programs, running each in a virtual machine of its own, telling how it went.
//!
//! `find` walks folders for programs with tests; `run` runs one test under one schedule; this file compiles the
//! programs, spreads their tests over threads and reports in the order of the text.

mod faults;
mod find;
pub mod run;
pub mod shrink;

use crate::commands::{REFUSED, refuse};
use crate::limits;
use crate::load::{self, Target};
use run::{Order, Outcome, Test};
use stark_compiler::TestEntry;
use stark_vm::Choices;
use stark_vm::inject::{Injecting, Injection};
use stark_vm::schedule::{Schedule, Taken};
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
    /// This one only, instead of what seeds give.
    pub schedule: Option<&'a Schedule>,
    pub faults: Faults,
    /// Real threads and time instead of a seed.
    pub workers: Option<usize>,
    pub jobs: usize,
    pub timeout: Duration,
    pub locked: bool,
}

/// Failures that are made to happen where a test's tasks wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    None,
    /// Each at each place.
    All,
    One(Injection),
}

impl Settings<'_> {
    /// Whether the order of the tasks is what is looked at.
    fn asks_for_orders(&self) -> bool {
        self.n_schedules > 1 || self.seed != 0
    }
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
    let mut options = stark_vm::Options::default();
    limits::set(&mut options, None, target.project.as_ref())?;
    let run = |test: &&TestEntry| {
        let (dir, assets, options) = (dir.clone(), assets.clone(), options.clone());
        let test = Test { code, entry: test.entry, dir, assets, timeout: settings.timeout, options };
        under_schedules(&test, settings)
    };
    println!("{}", file.display());
    in_order(&tests, settings.jobs, run, |test, result| {
        if result.failure.is_none() {
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
    /// Of a failure: what the output does not say by itself.
    failure: Option<Option<String>>,
    n_schedules: u64,
    n_faults: usize,
    took: Duration,
    /// Of a failure: how it comes again.
    again: Again,
}

enum Again {
    /// On real threads nobody knows.
    Nothing,
    Seed(u64),
    Fault(u64, Injection),
    /// With the places of its switches.
    Schedule(Schedule, Vec<Taken>),
}

impl TestResult {
    fn of_one(outcome: Outcome, again: Again) -> TestResult {
        TestResult { failure: outcome.failure(), took: outcome.took, outcome, n_schedules: 1, n_faults: 0, again }
    }
}

/// Stops at the first schedule that fails.
fn under_schedules(test: &Test, settings: &Settings) -> TestResult {
    if let Some(n_workers) = settings.workers {
        let outcome = test.run(Order::Threads(n_workers));
        return TestResult::of_one(outcome, Again::Nothing);
    }
    if let Some(schedule) = settings.schedule {
        let mut outcome =
            test.run(Order::Seed(schedule.seed, Choices::Followed(schedule.switches.clone()), Injecting::Nothing));
        let again = Again::Schedule(schedule.clone(), std::mem::take(&mut outcome.switches));
        return TestResult::of_one(outcome, again);
    }
    let mut took = Duration::ZERO;
    let (mut n_schedules, mut n_faults) = (0, 0);
    loop {
        let seed = settings.seed.wrapping_add(n_schedules);
        let outcome = test.run(Order::Seed(seed, Choices::Drawn, Injecting::Nothing));
        took += outcome.took;
        n_schedules += 1;
        if outcome.passed() {
            let tried = match settings.faults {
                Faults::None => faults::Tried::default(),
                Faults::All => faults::try_all(test, seed),
                Faults::One(injection) => faults::try_one(test, seed, injection),
            };
            took += tried.took;
            n_faults += tried.n_faults;
            if let Some(found) = tried.found {
                let again = Again::Fault(seed, found.injection);
                let (outcome, failure) = (found.outcome, Some(found.why));
                return TestResult { outcome, failure, n_schedules, n_faults, took, again };
            }
        }
        if outcome.passed() && n_schedules < settings.n_schedules {
            continue;
        }
        let shrunk = if outcome.passed() || !settings.asks_for_orders() { None } else { shrink(test, seed, &outcome) };
        let again = shrunk.map_or(Again::Seed(seed), |(schedule, taken)| Again::Schedule(schedule, taken));
        return TestResult { failure: outcome.failure(), outcome, n_schedules, n_faults, took, again };
    }
}

/// The fewest switches of a seed's schedule with which the test still fails so.
fn shrink(test: &Test, seed: u64, failed: &Outcome) -> Option<(Schedule, Vec<Taken>)> {
    shrink::shrink(seed, |choices| {
        let mut outcome = test.run(Order::Seed(seed, choices, Injecting::Nothing));
        outcome.fails_like(failed).then(|| std::mem::take(&mut outcome.switches))
    })
}

fn report(file: &Path, name: &str, result: &TestResult, settings: &Settings) {
    let word = if result.failure.is_none() { "ok" } else { "FAILED" };
    let ms = result.took.as_secs_f64() * 1e3;
    let schedules = match (settings.n_schedules, result.n_schedules) {
        (1, _) => String::new(),
        (_, 1) => "1 schedule, ".into(),
        (_, n) => format!("{n} schedules, "),
    };
    let faults = match result.n_faults {
        0 => String::new(),
        1 => "1 fault, ".into(),
        n => format!("{n} faults, "),
    };
    println!("  {name} ... {word} ({schedules}{faults}{ms:.1} ms)");
    let Some(why) = &result.failure else { return };
    if let Some(struck) = &result.outcome.suspensions.struck {
        println!("      {struck}");
    }
    for line in result.outcome.text.lines() {
        println!("      {line}");
    }
    if result.outcome.is_cut {
        println!("      … the rest of its output was dropped");
    }
    if let Some(why) = why {
        println!("      {why}");
    }
    let again = |options: String| {
        println!("      again with: stark test {} --filter {name} {options}", file.display());
    };
    match &result.again {
        Again::Seed(seed) if settings.asks_for_orders() => again(format!("--seed {seed}")),
        Again::Fault(seed, injection) => again(format!("--seed {seed} --fault {injection}")),
        Again::Schedule(schedule, taken) => {
            shrink::tell(taken).lines().for_each(|line| println!("      {line}"));
            if settings.schedule.is_none() {
                again(format!("--seed {}", schedule.seed));
            }
            again(format!("--schedule {schedule}"));
        }
        Again::Nothing | Again::Seed(_) => {}
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
