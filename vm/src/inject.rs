//! A run that is made to fail where a task waits, to see whether the program lets go of what it holds and goes on.
//!
//! Under a seed the n-th suspension is the same moment in every run, up to where two runs first differ. So one run that is
//! left alone notes its suspensions, and then there is one run for each of them and for each failure that can happen there
//! (`stark test --faults`).

use crate::task::TaskBody;
use parking_lot::Mutex;
use stark_scheduler::Context;
use std::fmt;
use std::str::FromStr;

/// What happens to a task that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is cancelled; of an actor, the ask that it works on.
    Cancel,
    /// What it waits for throws an `IoError`.
    Throw,
    /// The actor is killed.
    Kill,
    /// The whole program ends: every task is dropped where it stands.
    Stop,
}

impl Failure {
    const ALL: [(Failure, &str, &str); 4] = [
        (Failure::Cancel, "cancel", "was cancelled"),
        (Failure::Throw, "throw", "got an error"),
        (Failure::Kill, "kill", "was killed"),
        (Failure::Stop, "stop", "was dropped with all others"),
    ];

    fn words(self) -> (&'static str, &'static str) {
        let row = Failure::ALL.iter().find(|row| row.0 == self).expect("every failure has a row");
        (row.1, row.2)
    }
}

/// A failure at suspension number `at` of a run, from 0. `cancel@17` when it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    pub failure: Failure,
    pub at: usize,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.failure.words().0, self.at)
    }
}

impl FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, at) = text.split_once('@').unwrap_or((text, ""));
        let failure = Failure::ALL.iter().find(|row| row.1 == name).map(|row| row.0);
        match (failure, at.parse()) {
            (Some(failure), Ok(at)) => Ok(Injection { failure, at }),
            _ => Err(format!(
                "`{text}` is no fault; one is `cancel`, `throw`, `kill` or `stop` with a number, as in `cancel@17`"
            )),
        }
    }
}

/// What a seeded run does at its suspensions.
#[derive(Debug, Clone, Copy, Default)]
pub enum Injecting {
    #[default]
    Nothing,
    /// It notes them.
    Noting,
    At(Injection),
}

/// What a run has come to.
#[derive(Debug, Default)]
pub(crate) struct Suspensions(Mutex<Log>);

/// What is known of the suspensions of a run.
#[derive(Debug, Default)]
pub struct Log {
    n: usize,
    /// What can happen at each, when they are noted.
    pub possible: Vec<&'static [Failure]>,
    /// Whom the failure struck, and where.
    pub struck: Option<String>,
}

impl Suspensions {
    pub fn take(&self) -> Log {
        std::mem::take(&mut self.0.lock())
    }
}

/// After a turn that ended with a wait.
#[cold]
pub(crate) fn suspended(body: &mut TaskBody, cx: &Context<'_, TaskBody>) {
    let possible: &'static [Failure] = match (body.is_call(), body.handling_actor(), body.idle_actor()) {
        (true, ..) => &[Failure::Cancel, Failure::Throw, Failure::Stop],
        (_, Some(_), _) => &[Failure::Cancel, Failure::Throw, Failure::Kill, Failure::Stop],
        (.., Some(_)) => &[Failure::Kill, Failure::Stop],
        // A deadline that runs, a helper: nothing of the program's.
        _ => return,
    };
    let program = body.program();
    let mut log = program.suspensions.0.lock();
    let at = log.n;
    log.n += 1;
    let failure = match program.options.injecting {
        Injecting::Nothing => return,
        Injecting::Noting => return log.possible.push(possible),
        Injecting::At(injection) if injection.at != at || !possible.contains(&injection.failure) => return,
        Injecting::At(Injection { failure, .. }) => failure,
    };
    let (title, place) = (body.title(), stark_scheduler::Task::place(body));
    let (reason, _) = cx.task().wait();
    let happened = failure.words().1;
    let place = if body.is_call() || body.idle_actor().is_none() { format!(" at {place}") } else { String::new() };
    log.struck = Some(format!("{title} {} {happened} while it waited for {}{place}", cx.task().id(), reason.words()));
    drop(log);
    match failure {
        Failure::Cancel if body.is_call() => drop(cx.shared().cancel()),
        Failure::Cancel => body.answers(cx.task()).iter().for_each(|promise| promise.cancel()),
        Failure::Throw => cx.shared().inject_error(),
        Failure::Kill => {
            if let Some(actor) = body.handling_actor().or_else(|| body.idle_actor()) {
                actor.kill();
            }
        }
        Failure::Stop => cx.stop(),
    }
    // Not at once, but with the next turn: so it meets what others do to the same wait meanwhile.
    cx.task().wake();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_back() {
        for (failure, ..) in Failure::ALL {
            let injection = Injection { failure, at: 17 };
            assert_eq!(injection.to_string().parse(), Ok(injection));
        }
        for wrong in ["", "cancel", "cancel@", "cancel@-1", "fail@3", "@3"] {
            assert!(wrong.parse::<Injection>().unwrap_err().contains("is no fault"), "{wrong}");
        }
    }
}
