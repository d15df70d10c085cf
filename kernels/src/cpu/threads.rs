//! A small pool of threads that lends itself to kernels, for programs that have no workers of their own.
//!
//! One kernel runs at a time; a second caller meanwhile computes alone. The job lies on the caller's stack:
//! workers enter it under the lock, and `run` returns only after the last has left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::parallel::Parallel;

/// How often a worker looks for the next job before it sleeps: some 20 µs, about what a wake-up costs.
const SPINS: usize = 4000;

/// `n` threads, the caller's counted in.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Counts jobs, so that a spinning worker sees a new one without the lock.
    epoch: AtomicU64,
    /// Workers inside the current job.
    inside: AtomicUsize,
}

#[derive(Default)]
struct State {
    job: Option<JobRef>,
    stop: bool,
}

struct Job<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    n: usize,
    next: AtomicUsize,
    panicked: AtomicBool,
}

impl Job<'_> {
    fn work(&self) {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.n {
                return;
            }
            (self.body)(i);
        }
    }
}

#[derive(Clone, Copy)]
struct JobRef(*const Job<'static>);

// SAFETY: a `Job` is only shared (`&Job`), and its body is `Sync`.
unsafe impl Send for JobRef {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// A pool of `n` threads; as many as the system gives when it gives fewer.
    pub fn new(n: usize) -> Threads {
        let shared = Arc::new(Shared::default());
        let workers = (1..n).map_while(|i| {
            let shared = shared.clone();
            std::thread::Builder::new().name(format!("kernels-{i}")).spawn(move || serve(&shared)).ok()
        });
        Threads { workers: workers.collect(), shared, turn: Mutex::new(()) }
    }

    /// Threads that work, the caller's counted in.
    pub fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }
}

impl Parallel for Threads {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        let Ok(_turn) = self.turn.try_lock() else { return (0..n).for_each(body) };
        let job = Job { body, n, next: AtomicUsize::new(0), panicked: AtomicBool::new(false) };
        // Also when the caller's own share panics, nobody may be left inside.
        struct Leave<'a>(&'a Shared);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                lock(&self.0.state).job = None;
                let mut spins = 0;
                // Acquire: pairs with the Release of a leaving worker, so that its writes are seen.
                while self.0.inside.load(Ordering::Acquire) > 0 {
                    spins += 1;
                    if spins > SPINS { std::thread::yield_now() } else { std::hint::spin_loop() }
                }
            }
        }
        {
            let leave = Leave(&self.shared);
            // SAFETY: only the lifetime is forgotten; `leave` takes the job back and waits for all who entered it
            // before `job` and `body` end.
            let job_ref = JobRef(unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(&raw const job) });
            lock(&leave.0.state).job = Some(job_ref);
            leave.0.epoch.fetch_add(1, Ordering::Release);
            leave.0.wake.notify_all();
            job.work();
        }
        assert!(!job.panicked.load(Ordering::Relaxed), "a piece of a kernel panicked on another thread");
    }
}

fn serve(shared: &Shared) {
    let mut seen = 0;
    loop {
        for _ in 0..SPINS {
            if shared.epoch.load(Ordering::Acquire) != seen {
                break;
            }
            std::hint::spin_loop();
        }
        let job = {
            let mut state = lock(&shared.state);
            loop {
                if state.stop {
                    return;
                }
                let epoch = shared.epoch.load(Ordering::Acquire);
                if epoch != seen {
                    seen = epoch;
                    if let Some(job) = state.job {
                        shared.inside.fetch_add(1, Ordering::Relaxed);
                        break job;
                    }
                }
                state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // SAFETY: it was found under the lock and `inside` counts this thread, so its owner still waits.
        let job = unsafe { &*job.0 };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job.work())) {
            job.panicked.store(true, Ordering::Relaxed);
            drop(panic);
        }
        shared.inside.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.epoch.fetch_add(1, Ordering::Release);
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            if let Err(panic) = worker.join() {
                resume_unwind(panic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs_once_on_some_thread() {
        let pool = Threads::new(4);
        for n in [0, 1, 7, 1000] {
            let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..50 {
                pool.run(n, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 50));
        }
    }

    #[test]
    fn a_panic_in_a_piece_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Threads::new(3);
        let run = || pool.run(64, &|i| assert!(i != 40));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let sum = AtomicUsize::new(0);
        pool.run(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}
