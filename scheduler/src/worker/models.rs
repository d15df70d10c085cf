//! Every interleaving of two workers with their own queues, slots and the queue for all: what one has begun is run once,
//! by whichever of them, and not only when the one that has begun it is free again. Up to two preemptions, or what
//! `LOOM_MAX_PREEMPTIONS` says. Run with `RUSTFLAGS="--cfg loom" cargo test --release -p stark-scheduler`.

use super::Worker;
use crate::context::Context;
use crate::core::{Core, Handle, Home};
use crate::sync::queue::LocalQueue;
use crate::task::{Outcome, Task};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What the tasks of a model have done. Not for the model checker to look at.
#[derive(Default)]
struct Log {
    runs: [AtomicUsize; 4],
    n_done: AtomicUsize,
}

/// The last of `n_tasks` stops the workers.
struct Job {
    log: Arc<Log>,
    number: usize,
    n_tasks: usize,
    does: Does,
}

enum Does {
    Nothing,
    /// It gives way so often.
    Yields(u32),
    /// It begins jobs of these numbers in its turn.
    Begins(&'static [usize]),
    /// As `Begins`, and stays in its turn until they are done.
    WaitsFor(&'static [usize]),
}

impl Job {
    fn new(log: &Arc<Log>, n_tasks: usize, number: usize, does: Does) -> Job {
        Job { log: log.clone(), number, n_tasks, does }
    }

    fn begin(&self, numbers: &[usize], cx: &Context<'_, Job>) {
        for &number in numbers {
            cx.spawn(Job::new(&self.log, self.n_tasks, number, Does::Nothing), ());
        }
    }
}

impl Task for Job {
    type Shared = ();

    fn run(&mut self, cx: &mut Context<'_, Job>) -> Outcome {
        match &mut self.does {
            Does::Yields(left) if *left > 0 => {
                *left -= 1;
                return Outcome::Yield;
            }
            Does::Nothing | Does::Yields(_) => {}
            Does::Begins(numbers) => {
                let numbers = *numbers;
                self.begin(numbers, cx);
            }
            Does::WaitsFor(numbers) => {
                let numbers = *numbers;
                self.begin(numbers, cx);
                cx.hand_over();
                while numbers.iter().any(|&number| self.log.runs[number].load(SeqCst) == 0) {
                    thread::yield_now();
                }
            }
        }
        self.log.runs[self.number].fetch_add(1, SeqCst);
        if self.log.n_done.fetch_add(1, SeqCst) + 1 == self.n_tasks {
            cx.stop();
        }
        Outcome::Done
    }
}

/// Runs `n_tasks` jobs, of which the first comes from outside, on two workers.
fn check(n_tasks: usize, from_outside: fn(&Arc<Log>) -> Vec<Job>) {
    check_on(2, n_tasks, from_outside);
}

/// As `check`, on so many workers, and a relief when it is one.
fn check_on(n_workers: usize, n_tasks: usize, from_outside: fn(&Arc<Log>) -> Vec<Job>) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(move || {
        let queues = [LocalQueue::new_fifo(), LocalQueue::new_fifo()];
        let stealers = queues.iter().map(LocalQueue::stealer).collect();
        let place = Box::into_raw(Box::new(Core::new(n_workers, 1, 1, stealers, None)));
        // SAFETY: it is there until the end of the model.
        let core: &'static Core<Job> = unsafe { &*place };
        let log = Arc::new(Log::default());
        let [first, second] = queues;
        let other = thread::spawn(move || {
            // As its thread begins when it is woken first.
            core.idle.begin_asleep(1);
            Worker::new(core, 1, second).run();
        });
        let outside = {
            let handle = Handle { home: Home::leak(core, 2) };
            let jobs = from_outside(&log);
            thread::spawn(move || jobs.into_iter().for_each(|job| drop(handle.spawn(job, ()))))
        };
        Worker::new(core, 0, first).run();
        other.join().unwrap();
        outside.join().unwrap();
        if let Some(panic) = core.take_panic() {
            std::panic::resume_unwind(panic);
        }
        for (number, runs) in log.runs.iter().enumerate().take(n_tasks) {
            assert_eq!(runs.load(SeqCst), 1, "task {number}");
        }
        core.clear();
        // SAFETY: the threads have ended, and with them all tasks and handles. The checker looks for what was left.
        drop(unsafe { Box::from_raw(place) });
    });
}

#[test]
fn what_a_task_begins_is_run_once_by_one_of_the_workers() {
    check(3, |log| vec![Job::new(log, 3, 0, Does::Begins(&[1, 2]))]);
}

#[test]
fn what_waits_behind_a_long_turn_is_taken_by_the_other_worker() {
    check(2, |log| vec![Job::new(log, 2, 0, Does::WaitsFor(&[1]))]);
}

#[test]
fn what_waits_behind_a_long_turn_of_the_only_worker_is_taken_by_its_relief() {
    check_on(1, 2, |log| vec![Job::new(log, 2, 0, Does::WaitsFor(&[1]))]);
}

#[test]
fn tasks_that_give_way_come_to_their_end() {
    check(2, |log| vec![Job::new(log, 2, 0, Does::Yields(2)), Job::new(log, 2, 1, Does::Yields(1))]);
}
