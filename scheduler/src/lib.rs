//! STARK's M:N scheduler: many tasks on a few OS threads.
//!
//! It knows neither bytecode nor values. What it runs is a [`Task`]: a body that is given a turn on one worker at a
//! time and answers whether it wants another turn at once, waits to be woken, or is done. Everything a program waits
//! for (timers, files, devices, other tasks) ends in [`TaskRef::wake`].
//!
//! Reading order: [`task`] is what is run, `state` its life in one word, `worker` the loop that runs it, `idle` who
//! sleeps and who is woken, [`scheduler`] the outside. `seeded` is the deterministic twin with the same interface,
//! [`schedule`] what it did, written down.

pub mod task;

mod state;

pub mod scheduler;

mod context;

mod core;

mod worker;

mod idle;

mod registry;

pub mod timer;

mod blocking;

mod seeded;

pub mod schedule;

pub mod mailbox;

pub mod metrics;

mod rng;

mod sync;

pub mod wait_reason;

pub use context::Context;
pub use core::{External, Handle};
pub use mailbox::{Mailbox, MailboxSender, OnSend, Pop};
pub use metrics::{Metrics, WorkerMetrics};
pub use rng::Rng;
pub use schedule::Schedule;
pub use scheduler::{Config, RunOutcome, Scheduler};
pub use seeded::Choices;
pub use task::{Outcome, Task, TaskId, TaskRef, TaskState};
pub use timer::TimerKey;
pub use wait_reason::WaitReason;

/// The parts that the model checker looks at from outside (`tests/loom_*.rs`).
#[cfg(loom)]
pub mod model {
    pub use crate::state::{AfterTurn, OnWake, State};
}
