//! `stark ps [PID]`

use stark_profile::socket;
use stark_profile::wire::{Answer, Request};

/// Show the tasks of a running program: what each waits for, and where
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stark ps            the programs of this user that run\n  stark ps 4242       the tasks of process 4242"
)]
pub struct Args {
    /// The process that `stark run` runs in; without one, lists them
    #[arg(value_name = "PID")]
    pid: Option<u32>,
    /// Tasks to show at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> i32 {
    match args.pid {
        Some(pid) => match socket::ask(pid, &Request::Tasks(args.limit)) {
            Ok(Answer::Tasks(tasks)) if args.json => print_json(&tasks),
            Ok(Answer::Tasks(tasks)) => {
                print!("{}", tasks.render());
                0
            }
            Ok(_) => super::refuse(format!("process {pid} answered something else")),
            Err(reason) => super::refuse(reason),
        },
        None => list(args.json),
    }
}

/// The programs that answer; one that ended without a word is passed over.
fn list(json: bool) -> i32 {
    let ask = |pid| match socket::ask(pid, &Request::Stats) {
        Ok(Answer::Stats(stats)) => Some(stats),
        _ => None,
    };
    let found: Vec<_> = socket::processes().into_iter().filter_map(ask).collect();
    if json {
        return print_json(&found);
    }
    for stats in found {
        let seconds = stats.uptime_ns as f64 / 1e9;
        println!("{:>8}  {seconds:>9.1} s  {:>7} tasks  {}", stats.pid, stats.n_tasks, stats.program);
    }
    0
}

fn print_json(value: &impl serde::Serialize) -> i32 {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            println!("{text}");
            0
        }
        Err(error) => super::refuse(format!("the answer cannot be written as JSON: {error}")),
    }
}
