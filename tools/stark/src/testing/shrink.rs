//! From a seed whose schedule makes a program fail to the fewest switches between tasks that do.

use stark_vm::Choices;
use stark_vm::schedule::{Schedule, Switch, Taken, fewest};
use std::time::{Duration, Instant};

/// A long program is not run again for ever: what is left then is told, though it may not be the fewest. A guess at what
/// somebody waits for an answer that a seed gives as well.
const MAX_TIME: Duration = Duration::from_secs(10);
const MAX_RUNS: usize = 2_000;

/// Runs the program again and again. `fails` runs it with these choices, and gives the switches when it fails as before.
/// `None`: it does not fail again, because something outside takes part.
pub fn shrink(seed: u64, fails: impl Fn(Choices) -> Option<Vec<Taken>>) -> Option<(Schedule, Vec<Taken>)> {
    let switches: Vec<Switch> = fails(Choices::Noted)?.iter().map(|taken| taken.switch).collect();
    let begun = Instant::now();
    let mut n_runs = 0;
    let mut places = Vec::new();
    let left = fewest(&switches, |some| {
        n_runs += 1;
        if n_runs > MAX_RUNS || begun.elapsed() > MAX_TIME {
            return false;
        }
        let taken = fails(Choices::Followed(some.to_vec()));
        // The switches that were not come to are not needed either.
        taken.map(|taken| places = taken).is_some()
    });
    left?;
    let switches = places.iter().map(|taken| taken.switch).collect();
    Some((Schedule { seed, switches }, places))
}

/// One line a switch.
pub fn tell(taken: &[Taken]) -> String {
    if taken.is_empty() {
        return "without a switch between tasks\n".into();
    }
    let n = taken.len();
    let mut text = format!("with {n} {} between tasks:\n", if n == 1 { "switch" } else { "switches" });
    for Taken { switch: Switch { task, next, .. }, from, to } in taken {
        text += &match (task == next, from.is_empty()) {
            // It would have let others go first.
            (true, _) => format!("  task {task} goes on at {to} at once\n"),
            (false, true) => format!("  task {task} ends; task {next} goes on at {to}\n"),
            (false, false) => format!("  task {task} stops at {from}; task {next} goes on at {to}\n"),
        };
    }
    text
}
