//! `stark test --faults`: a test again and again, each time with one failure where one of its tasks waits.
//!
//! What the failure leads to may come out of the test as an error; nothing else may: no deadlock, no broken assertion, no
//! memory that stays in use.

use super::run::{Order, Outcome, Test, error_kind};
use stark_vm::inject::{Failure, Injecting, Injection};
use stark_vm::{Choices, Ended};
use std::time::Duration;

/// Errors that a cancelled, failing or killed task leads to, in itself and in those who deal with it.
const CONSEQUENCES: &[&str] = &["CancelledError", "ActorError", "ChannelClosed", "TimeoutError"];

/// A test under faults.
#[derive(Default)]
pub struct Tried {
    pub n_faults: usize,
    pub took: Duration,
    /// The first that did what it may not.
    pub found: Option<Found>,
}

pub struct Found {
    pub injection: Injection,
    pub outcome: Outcome,
    /// What it did that it may not, when its output does not say so.
    pub why: Option<String>,
}

/// The test with every failure at every suspension that it has under `seed`.
pub fn try_all(test: &Test, seed: u64) -> Tried {
    let mut tried = Tried::default();
    // Twice: what is made once and kept (constants, the values of globals) is no leak.
    let notes = [Injecting::Noting, Injecting::Noting].map(|injecting| run(test, seed, injecting));
    let [_, left_alone] = notes;
    for (at, possible) in left_alone.suspensions.possible.iter().enumerate() {
        for &failure in *possible {
            let injection = Injection { failure, at };
            let outcome = run(test, seed, Injecting::At(injection));
            tried.n_faults += 1;
            tried.took += outcome.took;
            if let Some(why) = wrong(injection, &outcome, left_alone.bytes_left) {
                tried.found = Some(Found { injection, outcome, why });
                return tried;
            }
        }
    }
    tried
}

/// The test with this failure alone.
pub fn try_one(test: &Test, seed: u64, injection: Injection) -> Tried {
    let notes = [Injecting::Noting, Injecting::Noting].map(|injecting| run(test, seed, injecting));
    let outcome = run(test, seed, Injecting::At(injection));
    let why = match &outcome.suspensions.struck {
        // Not a pass: it was asked for.
        None => Some(Some("the run has no such suspension".to_string())),
        Some(_) => wrong(injection, &outcome, notes[1].bytes_left),
    };
    let took = outcome.took;
    Tried { n_faults: 1, took, found: why.map(|why| Found { injection, outcome, why }) }
}

fn run(test: &Test, seed: u64, injecting: Injecting) -> Outcome {
    test.run(Order::Seed(seed, Choices::Drawn, injecting))
}

/// `Some`: the test did what it may not, and what, when its output does not say so.
fn wrong(injection: Injection, outcome: &Outcome, bytes_kept: usize) -> Option<Option<String>> {
    let stopped = injection.failure == Failure::Stop && outcome.end == Ok(Ended::Stopped);
    let failed_so = outcome.end == Ok(Ended::Failed)
        && error_kind(&outcome.text).is_some_and(|kind| {
            CONSEQUENCES.contains(&kind) || (kind == "IoError" && injection.failure == Failure::Throw)
        });
    if !stopped && !failed_so && !outcome.passed() {
        return Some(outcome.failure().flatten());
    }
    let kept = outcome.bytes_left.saturating_sub(bytes_kept);
    (kept > 0).then(|| Some(format!("{kept} bytes were not given back")))
}
