//! What each operator of a run took, for profilers: asked for on the thread that will run the model.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Operators of one run that are told; those behind are not, so that a model with a long loop does not fill the memory.
pub const MAX_RUNS: usize = 100_000;

/// One run of one operator.
#[derive(Debug, Clone, Copy)]
pub struct OpRun {
    pub name: &'static str,
    /// The line of the model's own code.
    pub line: u32,
    pub begun: Instant,
    pub dur: Duration,
}

thread_local! {
    static RUNS: RefCell<Option<Vec<OpRun>>> = const { RefCell::new(None) };
}

/// From now on models that run on this thread note their operators.
pub fn begin() {
    RUNS.set(Some(Vec::new()));
}

/// What was noted since `begin`; nothing more is.
pub fn end() -> Vec<OpRun> {
    RUNS.take().unwrap_or_default()
}

pub(crate) fn is_on() -> bool {
    RUNS.with_borrow(Option::is_some)
}

#[cold]
pub(crate) fn note(name: &'static str, line: u32, begun: Instant) {
    let dur = begun.elapsed();
    RUNS.with_borrow_mut(|runs| {
        if let Some(runs) = runs.as_mut().filter(|runs| runs.len() < MAX_RUNS) {
            runs.push(OpRun { name, line, begun, dur });
        }
    });
}
