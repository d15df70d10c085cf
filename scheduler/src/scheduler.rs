//! The scheduler from outside: begin it, run a main task, learn how it ended.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::core::{Core, Handle, Home};
use crate::schedule::Taken;
use crate::seeded::Choices;
use crate::sync::queue::LocalQueue;
use crate::task::{Task, TaskRef};
use crate::worker::Worker;

/// Reductions a turn may spend: some tens of microseconds of interpreted code. Turns are shorter when a timer is near.
pub const DEFAULT_BUDGET: u32 = 10_000;
/// Workers that are on duty only while others are in long turns. A guess: with one, what it does itself may take long too; what is
/// known to take long is put off until a worker is free.
const N_RELIEFS: usize = 2;
/// Threads of the blocking pool, as in Tokio.
pub const DEFAULT_BLOCKING_LIMIT: usize = 512;

#[derive(Debug, Clone)]
pub struct Config {
    /// OS threads that run tasks; 0 means as many as the machine has cores.
    pub n_workers: usize,
    /// Reductions a turn may spend, at least 1.
    pub budget: u32,
    /// Most threads of the blocking pool, at least 1.
    pub blocking_limit: usize,
    /// Run everything on the thread that calls [`Scheduler::wait`], with virtual time and every choice from this seed.
    pub seed: Option<u64>,
    /// With a seed: whether the schedule is drawn from it.
    pub choices: Choices,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            n_workers: 0,
            budget: DEFAULT_BUDGET,
            blocking_limit: DEFAULT_BLOCKING_LIMIT,
            seed: None,
            choices: Choices::Drawn,
        }
    }
}

/// How a run ended.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Every task is done.
    Done,
    /// Every task waits, no timer is set and nothing outside is under way: nobody can wake them.
    ///
    /// The tasks are still there: look at them with [`Handle::tasks`], and if some of them should be woken all the
    /// same (idle servers told to stop), do that and call [`Scheduler::wait`] again.
    Deadlock,
    /// [`Handle::stop`] was called.
    Stopped,
}

/// Workers and their tasks. Dropping it stops the workers and drops what tasks are left.
pub struct Scheduler<T: Task> {
    /// For what is begun from outside: the last shard.
    home: &'static Home<T>,
    /// None on the twin.
    n_workers: usize,
}

impl<T: Task> Scheduler<T> {
    /// # Errors
    /// When the system gives no threads.
    pub fn new(config: Config) -> std::io::Result<Self> {
        let n_workers = match (config.seed, config.n_workers) {
            (Some(_), _) => 1,
            (None, 0) => std::thread::available_parallelism().map_or(1, usize::from),
            (None, n) => n,
        };
        let n_all = if config.seed.is_some() { n_workers } else { n_workers + N_RELIEFS };
        let queues: Vec<_> = (0..n_all).map(|_| LocalQueue::new_fifo()).collect();
        let stealers = queues.iter().map(LocalQueue::stealer).collect();
        let seed = config.seed.map(|seed| (seed, config.choices));
        let core = Core::new(n_workers, config.budget.max(1), config.blocking_limit, stealers, seed);
        let core: &'static Core<T> = Box::leak(Box::new(core));
        let shard = if config.seed.is_some() { 0 } else { n_all };
        let n_workers = if config.seed.is_some() { 0 } else { n_workers };
        let scheduler = Self { home: Home::leak(core, shard), n_workers };
        for (index, queue) in queues.into_iter().enumerate().take(if config.seed.is_some() { 0 } else { n_all }) {
            // Kept here, since a thread that does not begin would drop it.
            let queue = Arc::new(Mutex::new(Some(queue)));
            let begin = move || {
                let queue = Arc::clone(&queue);
                let work = move || {
                    if let Some(queue) = queue.lock().take() {
                        Worker::new(core, index, queue).run();
                    }
                };
                let thread = std::thread::Builder::new().name(format!("stark-worker-{index}")).spawn(work)?;
                core.threads.lock().push(thread);
                std::io::Result::Ok(())
            };
            if index == 0 {
                begin()?;
            } else {
                scheduler.home.core.idle.begin_with(index, Box::new(move || begin().is_ok()));
            }
        }
        Ok(scheduler)
    }

    pub fn handle(&self) -> Handle<T> {
        Handle { home: self.home }
    }

    /// Begins `body` and waits until nothing can happen any more.
    pub fn run(&self, body: T, shared: T::Shared) -> RunOutcome {
        self.handle().spawn(body, shared);
        self.wait()
    }

    /// Waits until nothing can happen any more. A panic of a task comes out here.
    pub fn wait(&self) -> RunOutcome {
        let core = self.home.core;
        let outcome = match &core.seeded {
            Some(seeded) => seeded.run(&self.handle()),
            None => self.wait_for_workers(None).expect("without a deadline it waits for the end"),
        };
        match core.take_panic() {
            Some(panic) => resume_unwind(panic),
            None => outcome,
        }
    }

    /// Waits so long at most. `false`: something may still happen, which `wait` waits for. Does not wait for the twin, which
    /// runs only during `wait`.
    pub fn wait_at_most(&self, time: Duration) -> bool {
        self.home.core.seeded.is_none() && self.wait_for_workers(Some(Instant::now() + time)).is_some()
    }

    /// `None`: `until` came first.
    fn wait_for_workers(&self, until: Option<Instant>) -> Option<RunOutcome> {
        let core = self.home.core;
        let mut sleepers = core.idle.lock();
        loop {
            if core.stopping() {
                return Some(RunOutcome::Stopped);
            }
            if core.idle.all_asleep(&sleepers) && core.is_quiet() {
                return Some(match core.registry.n_live() {
                    0 => RunOutcome::Done,
                    _ => RunOutcome::Deadlock,
                });
            }
            sleepers = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(rest) => core.idle.quiet.wait_for(sleepers, rest),
                None => core.idle.quiet.wait(sleepers),
            };
        }
    }

    /// Whether nothing runs, nothing can run any more by itself, and tasks are left: what `wait` calls a deadlock. Does not
    /// wait; of a run with a seed the twin knows it.
    pub fn is_quiet(&self) -> bool {
        let sleepers = self.home.core.idle.lock();
        self.n_workers > 0 && self.home.core.idle.all_asleep(&sleepers) && self.home.core.is_quiet()
    }

    /// The switches that the twin has made, unless its choices are only drawn.
    pub fn switches(&self) -> Vec<Taken> {
        self.home.core.seeded.as_ref().map(|seeded| seeded.taken()).unwrap_or_default()
    }

    /// Stops the workers after the turns under way and drops what tasks are left.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl<T: Task> Drop for Scheduler<T> {
    fn drop(&mut self) {
        let core = self.home.core;
        core.stop();
        core.idle.begin_no_more();
        let threads = std::mem::take(&mut *core.threads.lock());
        for thread in threads {
            // A worker catches its panics; `wait` was the place to hear of them.
            let _ = thread.join();
        }
        core.clear();
    }
}

impl<T: Task> std::fmt::Debug for Scheduler<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("n_workers", &self.n_workers).finish_non_exhaustive()
    }
}

/// A list of tasks for a report.
impl<T: Task> Scheduler<T> {
    pub fn tasks(&self) -> Vec<TaskRef<T>> {
        self.handle().tasks()
    }
}
