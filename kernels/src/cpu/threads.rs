//! A small pool of threads that lends itself to kernels, for programs that have no workers of their own.
//!
//! One kernel runs at a time; a second caller meanwhile computes alone. The job lies on the caller's stack: workers
//! enter it through a door that counts them, and `run` closes the door and returns only after the last has left. A
//! worker that looks for work is told of it by one store, so layers of some microseconds are worth sharing out; one that
//! sleeps is woken.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::parallel::{self, Parallel, Pieces};

/// How often a worker looks for the next job before it sleeps: some 20 µs, about what a wake-up costs.
const SPINS: usize = 4000;
/// Work that takes some 2 µs on one core: handing half of it over costs less than half a microsecond.
const WORTH: usize = 1 << 18;

/// `n` threads, the caller's counted in.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    /// The workers inside the current job, `OPEN` while more may enter, and above it how many jobs there were. Only the
    /// caller whose turn it is opens and closes it.
    door: AtomicU64,
    /// The current job. It is read by those alone who have entered.
    job: AtomicPtr<Job<'static>>,
    /// Workers that sleep, or are about to.
    sleepers: AtomicUsize,
    /// Whether all is over.
    stop: Mutex<bool>,
    wake: Condvar,
}

const OPEN: u64 = 1 << 16;
const INSIDE: u64 = OPEN - 1;

/// Which job a door is of.
fn number(door: u64) -> u64 {
    door / (2 * OPEN)
}

struct Job<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    pieces: Pieces,
    panicked: AtomicBool,
}

impl Job<'_> {
    fn work(&self, is_owner: bool) {
        while let Some(i) = self.pieces.take(is_owner) {
            (self.body)(i);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// A pool of `n` threads; as many as the system gives when it gives fewer.
    pub fn new(n: usize) -> Threads {
        let shared = Arc::new(Shared::default());
        let workers = (1..n.min(INSIDE as usize)).map_while(|i| {
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
        if self.workers.is_empty() {
            return parallel::alone(n, body);
        }
        let Ok(_turn) = self.turn.try_lock() else { return parallel::alone(n, body) };
        let job = Job { body, pieces: Pieces::new(n), panicked: AtomicBool::new(false) };
        // Also when the caller's own share panics, nobody may be left inside.
        struct Leave<'a>(&'a Shared);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                let mut door = self.0.door.fetch_and(!OPEN, Ordering::AcqRel);
                let mut spins = 0;
                // Acquire: pairs with the Release of a leaving worker, so that its writes are seen.
                while door & INSIDE > 0 {
                    spins += 1;
                    if spins > SPINS {
                        std::thread::yield_now()
                    } else {
                        std::hint::spin_loop()
                    }
                    door = self.0.door.load(Ordering::Acquire);
                }
            }
        }
        let shared = &*self.shared;
        // Closed, and empty: this is the only caller.
        let door = shared.door.load(Ordering::Relaxed);
        shared.job.store((&raw const job).cast_mut().cast(), Ordering::Relaxed);
        {
            let leave = Leave(shared);
            // SeqCst: a worker counts itself among the sleepers before it looks at the door for the last time, so either it
            // sees the open door or it is seen here. It publishes the job, too.
            leave.0.door.store((number(door) + 1) * 2 * OPEN | OPEN, Ordering::SeqCst);
            if shared.sleepers.load(Ordering::SeqCst) > 0 {
                // Under the lock: a sleeper that saw the old door waits by the time this has it.
                drop(lock(&shared.stop));
                shared.wake.notify_all();
            }
            job.work(true);
        }
        assert!(!job.panicked.load(Ordering::Relaxed), "a piece of a kernel panicked on another thread");
    }

    fn worth(&self) -> usize {
        if self.workers.is_empty() { usize::MAX } else { WORTH }
    }
}

fn serve(shared: &Shared) {
    let mut seen = 0;
    loop {
        let mut door = shared.door.load(Ordering::Acquire);
        for _ in 0..SPINS {
            if number(door) != seen {
                break;
            }
            std::hint::spin_loop();
            door = shared.door.load(Ordering::Acquire);
        }
        if number(door) == seen {
            let mut stop = lock(&shared.stop);
            shared.sleepers.fetch_add(1, Ordering::SeqCst);
            while !*stop && number(shared.door.load(Ordering::SeqCst)) == seen {
                stop = shared.wake.wait(stop).unwrap_or_else(PoisonError::into_inner);
            }
            shared.sleepers.fetch_sub(1, Ordering::SeqCst);
            if *stop {
                return;
            }
            continue;
        }
        seen = number(door);
        // Acquire: pairs with the store that opened the door, so that the job is seen.
        let come_in = |door: u64| (number(door) == seen && door & OPEN != 0).then_some(door + 1);
        if shared.door.fetch_update(Ordering::Acquire, Ordering::Relaxed, come_in).is_err() {
            continue;
        }
        // SAFETY: the door was open and counts this thread, so the job's owner waits for it before the job and its body
        // end; only their lifetimes were forgotten.
        let job = unsafe { &*shared.job.load(Ordering::Relaxed) };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job.work(false))) {
            job.panicked.store(true, Ordering::Relaxed);
            drop(panic);
        }
        shared.door.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        *lock(&self.shared.stop) = true;
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

    /// Jobs beside workers that sleep, that are about to, and that look for work.
    #[test]
    fn no_job_waits_for_a_worker_that_missed_it() {
        let pool = Threads::new(3);
        let sum = AtomicUsize::new(0);
        for i in 0..2000u64 {
            pool.run(3, &|_| {
                sum.fetch_add(1, Ordering::Relaxed);
            });
            if i % 100 == 0 {
                std::thread::sleep(std::time::Duration::from_micros(i));
            }
        }
        assert_eq!(sum.into_inner(), 6000);
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
