//! `stark test [FILE|FOLDER…]`

use crate::testing::{self, Faults, Settings};
use stark_vm::inject::Injection;
use stark_vm::schedule::Schedule;
use std::path::PathBuf;
use std::time::Duration;

/// Run the `@test` functions of programs
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  stark test                          the tests in this folder and below\n  \
    stark test greeter --filter greets  those whose name contains `greets`\n  \
    stark test race.stark --schedules 100   each test under a hundred orders of its tasks\n  \
    stark test race.stark --faults      each test with every failure at every place where a task waits\n\n\
    Each test runs in a virtual machine of its own, on one thread and in virtual time; the order of its tasks and its random\n\
    numbers follow from the seed. The statements at the top level of its file run before it, `main` does not.\n\n\
    Exit status: 0 all passed, 1 a test failed, 2 a file does not compile.")]
pub struct Args {
    /// Programs, or folders: all programs below them
    #[arg(value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// The seed of the first schedule
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Run each test under this many schedules, with seeds that count up; the first that fails is reported, with the fewest switches between tasks that make it fail
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// Run under this schedule, as a failure has told it
    #[arg(long, value_name = "SCHEDULE", conflicts_with_all = ["seed", "schedules"])]
    schedule: Option<Schedule>,
    /// Run each test again for every place where one of its tasks waits, with that task cancelled there, given an error, killed (an actor), and the whole test stopped
    #[arg(long, conflicts_with = "schedule")]
    faults: bool,
    /// Run with this fault alone, as a failure has told it
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["schedule", "schedules", "faults"])]
    fault: Option<Injection>,
    /// Tests that run at the same time; by default one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Seconds that a test may take under one schedule, on a real clock
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    timeout: f64,
    /// Run on this many threads and in real time instead, without a seed: for tests that need the network
    #[arg(long, value_name = "N", conflicts_with_all = ["seed", "schedules", "schedule", "faults", "fault"], value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Refuse when a dependency is not as stark.lock says
    #[arg(long)]
    locked: bool,
}

pub fn main(args: &Args) -> i32 {
    let timeout = match Duration::try_from_secs_f64(args.timeout) {
        Ok(timeout) if !timeout.is_zero() => timeout,
        _ => return super::refuse(format!("--timeout must be a number of seconds above 0, it is {}", args.timeout)),
    };
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let faults = match args.fault {
        _ if args.faults => Faults::All,
        Some(injection) => Faults::One(injection),
        None => Faults::None,
    };
    // What is in use is counted for the whole process.
    let jobs = if faults == Faults::None { jobs } else { 1 };
    let here = [PathBuf::from(".")];
    testing::main(&Settings {
        paths: if args.paths.is_empty() { &here } else { &args.paths },
        filter: &args.filter,
        seed: args.seed,
        n_schedules: args.schedules,
        schedule: args.schedule.as_ref(),
        faults,
        workers: args.workers.map(usize::from),
        jobs,
        timeout,
        locked: args.locked,
    })
}
