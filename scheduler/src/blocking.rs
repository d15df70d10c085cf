//! The pool for work that holds its thread: files, processes, anything that waits in the kernel.
//!
//! Threads are begun when none is free, up to a limit, and leave after a while without work. Nobody joins them: a read
//! from a terminal must not keep a finished program alive.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// How long a thread waits for work before it leaves. A guess: longer than the pauses inside one request, shorter
/// than a reader of `top` wonders about.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct BlockingPool {
    shared: Arc<Shared>,
    limit: usize,
}

struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    n_threads: usize,
    n_idle: usize,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl BlockingPool {
    pub(crate) fn new(limit: usize) -> Self {
        let shared = Arc::new(Shared { state: Mutex::new(State::default()), more: Condvar::new() });
        Self { shared, limit: limit.max(1) }
    }

    /// Runs `job` on a thread of the pool, later when all are busy. After `close` it is dropped.
    ///
    /// # Errors
    /// When not even a first thread can be begun: the job comes back with the reason.
    pub(crate) fn submit(&self, job: Job) -> Result<(), (Job, std::io::Error)> {
        let mut state = self.shared.state.lock();
        if state.closed {
            return Ok(());
        }
        state.jobs.push_back(job);
        if state.n_idle >= state.jobs.len() {
            self.shared.more.notify_one();
            return Ok(());
        }
        if state.n_threads == self.limit {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        match std::thread::Builder::new().name("stark-blocking".into()).spawn(move || shared.work()) {
            Ok(_) => state.n_threads += 1,
            // The threads there are will come to it.
            Err(_) if state.n_threads > 0 => {}
            Err(error) => {
                let job = state.jobs.pop_back().expect("just pushed under this lock");
                return Err((job, error));
            }
        }
        Ok(())
    }

    /// Lets the threads go once what they do is done; queued jobs are dropped.
    pub(crate) fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        self.shared.more.notify_all();
        drop(jobs);
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A job that panics was given no way to say so; its guard still counts it as over.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                state = self.state.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.n_idle += 1;
            let timed_out = self.more.wait_for(&mut state, KEEP_ALIVE).timed_out();
            state.n_idle -= 1;
            if timed_out && state.jobs.is_empty() {
                break;
            }
        }
        state.n_threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_that_wait_for_each_other_get_threads_of_their_own() {
        let pool = BlockingPool::new(8);
        let (sender, receiver) = mpsc::channel();
        let (back, answers) = mpsc::channel();
        assert!(pool.submit(Box::new(move || back.send(receiver.recv().unwrap()).unwrap())).is_ok());
        assert!(pool.submit(Box::new(move || sender.send(5).unwrap())).is_ok());
        assert_eq!(answers.recv().unwrap(), 5);
    }

    #[test]
    fn a_full_pool_queues() {
        let pool = BlockingPool::new(1);
        let (sender, receiver) = mpsc::channel();
        for i in 0..10 {
            let sender = sender.clone();
            assert!(pool.submit(Box::new(move || sender.send(i).unwrap())).is_ok());
        }
        drop(sender);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
