//! The deterministic twin: one thread, virtual time, every choice from the seed.
//!
//! Which runnable task has the next turn, and how long it may run, come from the seed; time stands still while
//! anything can run and jumps to the next timer when all wait. The same program and seed give the same schedule, as
//! long as nothing outside takes part.

use parking_lot::{Condvar, Mutex};

use crate::core::{Core, Handle};
use crate::rng::Rng;
use crate::scheduler::RunOutcome;
use crate::task::{Task, TaskRef, Turn};
use crate::timer::NEVER;

pub(crate) struct Seeded<T: Task> {
    state: Mutex<State<T>>,
    /// Something came from outside.
    changed: Condvar,
}

struct State<T: Task> {
    runnable: Vec<TaskRef<T>>,
    rng: Rng,
    now: u64,
    /// Counts `notify`, so that one between looking and waiting is not lost.
    n_changes: u64,
}

/// What there is to do next.
enum Step<T: Task> {
    Run(TaskRef<T>, u32),
    /// Time jumped: these timers ran out.
    Fire(Vec<TaskRef<T>>),
    End(RunOutcome),
}

impl<T: Task> Seeded<T> {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { runnable: Vec::new(), rng: Rng::new(seed), now: 0, n_changes: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn push(&self, task: TaskRef<T>) {
        let mut state = self.state.lock();
        state.runnable.push(task);
        state.n_changes += 1;
        self.changed.notify_all();
    }

    pub(crate) fn notify(&self) {
        self.state.lock().n_changes += 1;
        self.changed.notify_all();
    }

    pub(crate) fn now(&self) -> u64 {
        self.state.lock().now
    }

    pub(crate) fn random(&self, bound: usize) -> usize {
        self.state.lock().rng.below(bound)
    }

    pub(crate) fn clear(&self) {
        let runnable = std::mem::take(&mut self.state.lock().runnable);
        drop(runnable);
    }

    /// Runs until nothing can happen any more.
    pub(crate) fn run(&self, handle: &Handle<T>) -> RunOutcome {
        let core = &handle.home.core;
        let metrics = &core.metrics[0];
        loop {
            match self.step(core) {
                Step::Run(task, budget) => {
                    metrics.runs.add(1);
                    match task.take_turn(handle, 0, budget).0 {
                        Turn::Parked => {}
                        Turn::Done => metrics.finished.add(1),
                        Turn::Notified(task) => self.push(task),
                        Turn::Yielded(task) => {
                            metrics.yields.add(1);
                            self.push(task);
                        }
                        Turn::Panicked(panic) => core.fail(panic),
                    }
                }
                Step::Fire(due) => {
                    metrics.timers_fired.add(due.len() as u64);
                    due.iter().for_each(TaskRef::wake);
                }
                Step::End(outcome) => return outcome,
            }
        }
    }

    fn step(&self, core: &Core<T>) -> Step<T> {
        let mut state = self.state.lock();
        loop {
            if core.stopping() {
                return Step::End(RunOutcome::Stopped);
            }
            if !state.runnable.is_empty() {
                let n_runnable = state.runnable.len();
                let choice = state.rng.below(n_runnable);
                let task = state.runnable.swap_remove(choice);
                // Between a sixteenth and the whole: long enough to get on, uneven enough to cut anywhere.
                let least = (core.budget / 16).max(1);
                let budget = least + state.rng.below((core.budget - least + 1) as usize) as u32;
                return Step::Run(task, budget);
            }
            if core.registry.n_live() == 0 {
                return Step::End(RunOutcome::Done);
            }
            let n_external = core.n_external();
            let next = core.timers.next();
            if next != NEVER {
                state.now = state.now.max(next);
                let mut due = Vec::new();
                core.timers.expire(state.now, &mut due);
                return Step::Fire(due);
            }
            if n_external == 0 {
                return Step::End(RunOutcome::Deadlock);
            }
            let seen = state.n_changes;
            while state.n_changes == seen {
                self.changed.wait(&mut state);
            }
        }
    }
}
