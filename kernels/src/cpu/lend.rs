//! Kernels on cores that somebody else schedules.
//!
//! The owner of a kernel works on its pieces itself and asks a [`Crew`] for help: whoever of it comes in time takes
//! pieces too. Nobody is waited for but those inside, so a crew with better things to do costs nothing. The pieces lie
//! on the owner's stack: helpers enter through a count, and the owner closes the door and waits until it is 0.
//!
//! Between two pieces a helper leaves when it has better things to do, and may come again, and the owner tells the crew that
//! it is still at it. Pieces are of a millisecond at most (`parallel::HEAVY`), so neither is deaf for longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::parallel::{self, Parallel, Pieces};

/// Takes pieces of a kernel until there are none, or until this thread is wanted elsewhere. `true`: there were some left.
pub type Help = Arc<dyn Fn() -> bool + Send + Sync>;

/// Threads that may help.
pub trait Crew: Send + Sync {
    /// How many threads there are beside the caller's.
    fn n_others(&self) -> usize;
    /// Has `n` of them call `help`, soon, late or never, and again when some was left.
    fn call(&self, n: usize, help: Help);
    /// The calling thread owns a kernel and is between two of its pieces.
    fn pause(&self) {}
    /// Whether the calling thread, which helps, has better things to do.
    fn is_wanted(&self) -> bool {
        false
    }
}

/// A crew, lent to kernels.
#[derive(Debug)]
pub struct Lent<C>(pub Arc<C>);

/// The door is closed: nobody enters any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How often the owner looks for the last helper's leaving before it lets others have the core: some 20 µs.
const SPINS: usize = 4000;

struct Job {
    body: *const (dyn Fn(usize) + Sync),
    pieces: Pieces,
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

    /// Until there are no pieces left, or `leaves` after one of them says so.
    fn work(&self, is_owner: bool, leaves: impl Fn() -> bool) {
        while let Some(i) = self.pieces.take(is_owner) {
            // SAFETY: this is the owner, or a helper counted at the door: `body` lives until all have left.
            unsafe { (*self.body)(i) };
            if leaves() {
                return;
            }
        }
    }

    fn help(&self, leaves: impl Fn() -> bool) -> bool {
        if !self.enter() {
            return false;
        }
        if catch_unwind(AssertUnwindSafe(|| self.work(false, leaves))).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        let is_left = self.pieces.are_left();
        // Release: what was computed is seen by the owner, who waits for this.
        self.door.fetch_sub(1, Ordering::Release);
        is_left
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

impl<C: Crew + 'static> Parallel for Lent<C> {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        let crew = &self.0;
        let n_helpers = crew.n_others().min(n.saturating_sub(1));
        if n_helpers == 0 {
            return parallel::alone(n, |i| {
                body(i);
                crew.pause();
            });
        }
        // SAFETY: only the lifetime is forgotten; `Close` waits for all who entered before `body` ends.
        let body = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(
                std::ptr::from_ref(body),
            )
        };
        let job =
            Arc::new(Job { body, pieces: Pieces::new(n), door: AtomicUsize::new(0), panicked: AtomicBool::new(false) });
        {
            let close = Close(&job);
            let (theirs, them) = (job.clone(), crew.clone());
            crew.call(n_helpers, Arc::new(move || theirs.help(|| them.is_wanted())));
            close.0.work(true, || {
                crew.pause();
                false
            });
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
        fn call(&self, n: usize, help: Help) {
            for i in 0..n {
                let help = help.clone();
                let late = move || {
                    std::thread::sleep(std::time::Duration::from_micros(200 * i as u64));
                    while help() {}
                };
                self.0.lock().unwrap().push(std::thread::spawn(late));
            }
        }
    }

    #[test]
    fn every_piece_runs_once_and_helpers_may_come_too_late() {
        let lent = Lent(Arc::new(Threads(Mutex::default())));
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

    /// A helper that is wanted after each piece, and comes again.
    #[derive(Default)]
    struct Torn {
        threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
        n_visits: Arc<AtomicUsize>,
        n_wanted: AtomicUsize,
        n_pauses: AtomicUsize,
    }

    impl Crew for Torn {
        fn n_others(&self) -> usize {
            1
        }
        fn call(&self, _: usize, help: Help) {
            let n_visits = self.n_visits.clone();
            self.threads.lock().unwrap().push(std::thread::spawn(move || {
                loop {
                    n_visits.fetch_add(1, Ordering::Relaxed);
                    if !help() {
                        return;
                    }
                }
            }));
        }
        fn pause(&self) {
            self.n_pauses.fetch_add(1, Ordering::Relaxed);
        }
        fn is_wanted(&self) -> bool {
            self.n_wanted.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    #[test]
    fn a_helper_leaves_between_two_pieces_and_the_owner_pauses_there() {
        let lent = Lent(Arc::new(Torn::default()));
        let owner = std::thread::current().id();
        let (n_owner, n_helper) = (AtomicUsize::new(0), AtomicUsize::new(0));
        lent.run(40, &|_| {
            if std::thread::current().id() == owner {
                // One piece is the owner's; it leaves the others to the helper.
                n_owner.fetch_add(1, Ordering::Relaxed);
                while n_helper.load(Ordering::Relaxed) < 30 {
                    std::thread::yield_now();
                }
            } else {
                n_helper.fetch_add(1, Ordering::Relaxed);
            }
        });
        for thread in lent.0.threads.lock().unwrap().drain(..) {
            thread.join().unwrap();
        }
        let (n_owner, n_helper) = (n_owner.into_inner(), n_helper.into_inner());
        assert_eq!(n_owner + n_helper, 40);
        assert!(n_helper >= 30, "it came again after each piece");
        assert_eq!(lent.0.n_wanted.load(Ordering::Relaxed), n_helper, "asked after each piece");
        assert!(lent.0.n_visits.load(Ordering::Relaxed) >= n_helper, "one piece a visit");
        assert_eq!(lent.0.n_pauses.load(Ordering::Relaxed), n_owner);
    }

    #[test]
    fn an_owner_alone_pauses_after_each_piece() {
        struct Alone(AtomicUsize);
        impl Crew for Alone {
            fn n_others(&self) -> usize {
                0
            }
            fn call(&self, _: usize, _: Help) {}
            fn pause(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let lent = Lent(Arc::new(Alone(AtomicUsize::new(0))));
        lent.run(5, &|_| {});
        assert_eq!(lent.0.0.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_panic_in_a_piece_reaches_the_owner() {
        let lent = Lent(Arc::new(Threads(Mutex::default())));
        let run = || lent.run(500, &|i| assert!(i != 300));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        let sum = AtomicUsize::new(0);
        lent.run(10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}
