//! The life of a task in one word, with named transitions.
//!
//! ```text
//!            wake                begin_run               finish
//!   Idle ───────────► Scheduled ───────────► Running ───────────► Done
//!    ▲                    ▲                   │  │ wake
//!    └────────────────────┼───────────────────┘  ▼
//!            park         └──────────── RunningNotified
//!                              park / yield_now
//! ```
//!
//! `wake` is one `fetch_or` and never a plain load: even when there is nothing to do, its release half makes what the
//! waker wrote before visible to the next turn, whose `begin_run` acquires. A wake during a turn sets the second bit,
//! and `park` then answers "run again" instead of parking: no wake is ever lost.
//! Checked by `tests/loom_state.rs`.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::sync::AtomicU8;

/// A worker is running the body.
const RUNNING: u8 = 1;
/// Alone: in a queue, waiting for a turn. With `RUNNING`: woken during the turn.
const NOTIFIED: u8 = 2;
/// The body is gone. Other bits may be set beside it by late wakes and mean nothing.
const DONE: u8 = 4;

/// What a waker owes the task.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWake {
    /// It was idle: put it on a queue.
    Schedule,
    /// It is queued, running (and will be given another turn), or gone.
    Nothing,
}

/// What a worker owes a task that asked to park.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTurn {
    /// It is idle: whoever wakes it schedules it.
    Parked,
    /// It was woken during its turn and is scheduled again: put it on a queue.
    RunAgain,
}

/// The state word of one task.
#[derive(Debug)]
pub struct State(AtomicU8);

/// A reading of the word, for reports. It may be stale when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    Idle,
    Scheduled,
    Running,
    RunningNotified,
    Done,
}

#[allow(clippy::new_without_default)]
impl State {
    /// A new task is scheduled: whoever creates it puts it on a queue.
    pub fn new() -> Self {
        Self(AtomicU8::new(NOTIFIED))
    }

    #[inline]
    pub fn wake(&self) -> OnWake {
        // Release: what the waker wrote is seen by the turn that this wake causes or joins.
        match self.0.fetch_or(NOTIFIED, AcqRel) {
            0 => OnWake::Schedule,
            _ => OnWake::Nothing,
        }
    }

    /// `Scheduled` to `Running`, by the worker that took the task from a queue.
    #[inline]
    pub fn begin_run(&self) {
        // A swap, not a store: it acquires from every wake that was absorbed while the task was queued.
        let before = self.0.swap(RUNNING, AcqRel);
        debug_assert_eq!(before, NOTIFIED, "a task was queued that was not scheduled");
    }

    /// `Running` to `Idle`, or to `Scheduled` when a wake came during the turn.
    #[inline]
    pub fn park(&self) -> AfterTurn {
        match self.0.compare_exchange(RUNNING, 0, AcqRel, Acquire) {
            Ok(_) => AfterTurn::Parked,
            Err(_) => {
                self.yield_now();
                AfterTurn::RunAgain
            }
        }
    }

    /// `Running` to `Scheduled`: the worker puts the task on a queue.
    #[inline]
    pub fn yield_now(&self) {
        self.0.swap(NOTIFIED, AcqRel);
    }

    /// `Running` to `Done`. Later wakes find nothing to do.
    #[inline]
    pub fn finish(&self) {
        self.0.swap(DONE, AcqRel);
    }

    /// `Idle` to `Running` by somebody who wants to look at a parked body. Ends with `park`, like a turn.
    #[inline]
    pub fn claim_idle(&self) -> bool {
        self.0.compare_exchange(0, RUNNING, AcqRel, Relaxed).is_ok()
    }

    /// `Idle` or `Scheduled` to `Running`, when no worker is left to take it from a queue. Ends with `finish`.
    pub fn claim_waiting(&self) -> bool {
        self.claim_idle() || self.claim_scheduled()
    }

    /// `Scheduled` to `Running`, by somebody who knows that no worker takes it from its queue meanwhile. Ends with `yield_now`.
    pub fn claim_scheduled(&self) -> bool {
        self.0.compare_exchange(NOTIFIED, RUNNING, AcqRel, Relaxed).is_ok()
    }

    #[inline]
    pub fn read(&self) -> TaskState {
        match self.0.load(Acquire) {
            0 => TaskState::Idle,
            NOTIFIED => TaskState::Scheduled,
            RUNNING => TaskState::Running,
            both if both == RUNNING | NOTIFIED => TaskState::RunningNotified,
            _ => TaskState::Done,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_of_an_idle_task_schedules_it_once() {
        let state = State::new();
        state.begin_run();
        assert_eq!(state.park(), AfterTurn::Parked);
        assert_eq!(state.wake(), OnWake::Schedule);
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.read(), TaskState::Scheduled);
    }

    #[test]
    fn a_wake_during_a_turn_gives_another_turn() {
        let state = State::new();
        state.begin_run();
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.read(), TaskState::RunningNotified);
        assert_eq!(state.park(), AfterTurn::RunAgain);
        state.begin_run();
        assert_eq!(state.park(), AfterTurn::Parked);
    }

    #[test]
    fn a_finished_task_stays_finished() {
        let state = State::new();
        state.begin_run();
        state.finish();
        assert_eq!(state.wake(), OnWake::Nothing);
        assert_eq!(state.read(), TaskState::Done);
        assert!(!state.claim_idle());
    }
}
