//! Kernels on cores that somebody else schedules.
//!
//! The owner of a kernel works on its pieces itself and asks a [`Crew`] for help: whoever of it comes in time takes
//! pieces too. Nobody is waited for but those inside, so a crew with better things to do costs nothing. The pieces lie
//! on the owner's stack: helpers enter through a count, and the owner closes the door and waits until it is 0.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::parallel::Parallel;

/// Threads that may help.
pub trait Crew: Send + Sync {
    /// How many threads there are beside the caller's.
    fn n_others(&self) -> usize;
    /// Has `n` of them call `help`, soon, late or never.
    fn call(&self, n: usize, help: Arc<dyn Fn() + Send + Sync>);
}

/// A crew, lent to kernels.
#[derive(Debug)]
pub struct Lent<C>(pub C);

/// The door is closed: nobody enters any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How often the owner looks for the last helper's leaving before it lets others have the core: some 20 µs.
const SPINS: usize = 4000;

struct Job {
    body: *const (dyn Fn(usize) + Sync),
    n: usize,
    next: AtomicUsize,
    /// Helpers inside, and `CLOSED`.
    door: AtomicUsize,
    panicked: AtomicBool,
}

// SAFETY: `body` is `Sync`, and only called by those who entered while its owner waits for them.
unsafe impl Send for Job {}
// SAFETY: as above; the other fields are atomic.
unsafe impl Sync for Job {}

impl Job {
    fn enter(&self) -> bool {
        let come_in = |door: usize| (door & CLOSED == 0).then_some(door + 1);
        // Acquire: pairs with the creation of the job by its owner, who handed it over.
        self.door.fetch_update(Ordering::Acquire, Ordering::Relaxed, come_in).is_ok()
    }

    fn work(&self) {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.n {
                return;
            }
            // SAFETY: this is the owner, or a helper counted at the door: `body` lives until all have left.
            unsafe { (*self.body)(i) };
        }
    }

    fn help(&self) {
        if !self.enter() {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        // Release: what was computed is seen by the owner, who waits for this.
        self.door.fetch_sub(1, Ordering::Release);
    }
}

/// Closes the door and waits until nobody is inside, also when the owner's own share panics.
struct Close<'a>(&'a Job);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        let mut spins = 0;
        let mut inside = self.0.door.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED;
        while inside > 0 {
            spins += 1;
            if spins > SPINS {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
            inside = self.0.door.load(Ordering::Acquire) & !CLOSED;
        }
    }
}

impl<C: Crew> Parallel for Lent<C> {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        let n_helpers = self.0.n_others().min(n.saturating_sub(1));
        if n_helpers == 0 {
            return (0..n).for_each(body);
        }
        // SAFETY: only the lifetime is forgotten; `Close` waits for all who entered before `body` ends.
        let body = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(
                std::ptr::from_ref(body),
            )
        };
        let job = Arc::new(Job {
            body,
            n,
            next: AtomicUsize::new(0),
            door: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        {
            let close = Close(&job);
            let theirs = job.clone();
            self.0.call(n_helpers, Arc::new(move || theirs.help()));
            close.0.work();
        }
        assert!(!job.panicked.load(Ordering::Relaxed), "a piece of a kernel panicked on another thread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Each call for help is a thread; some come too late.
    struct Threads(Mutex<Vec<std::thread::JoinHandle<()>>>);

    impl Crew for Threads {
        fn n_others(&self) -> usize {
            3
        }
        fn call(&self, n: usize, help: Arc<dyn Fn() + Send + Sync>) {
            for i in 0..n {
                let help = help.clone();
                let late = move || {
                    std::thread::sleep(std::time::Duration::from_micros(200 * i as u64));
                    help();
                };
                self.0.lock().unwrap().push(std::thread::spawn(late));
            }
        }
    }

    #[test]
    fn every_piece_runs_once_and_helpers_may_come_too_late() {
        let lent = Lent(Threads(Mutex::default()));
        for n in [1, 2, 50, 1000] {
            let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            lent.run(n, &|i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
        for thread in lent.0.0.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_panic_in_a_piece_reaches_the_owner() {
        let lent = Lent(Threads(Mutex::default()));
        let run = || lent.run(500, &|i| assert!(i != 300));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let sum = AtomicUsize::new(0);
        lent.run(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}
