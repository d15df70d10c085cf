//! How kernels split their work over cores they do not own.
//!
//! A kernel cuts its output into chunks whose results do not depend on each other, and asks the current
//! [`Parallel`] to run them. Without one the chunks run one after the other on the calling thread. Where a
//! chunk ends depends on sizes only, so results are the same on any number of cores.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;

use crate::cpu::arena;
use crate::error::Result;

/// Runs independent pieces of one kernel.
pub trait Parallel: Send + Sync {
    /// Calls `body(i)` once for each `i` in `0..n`, in any order and on any threads, and returns when all are done.
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync));

    /// Work, in multiplications of a matrix product, that is worth handing out; what is less the calling thread does alone.
    fn worth(&self) -> usize {
        2 * LARGE
    }
}

/// A piece of so many multiplications is worth a wake-up (some 10 µs).
const LARGE: usize = 1 << 20;
/// A piece of so many (some 1 µs) is worth a thread that looks for work.
const SMALL: usize = 1 << 17;
/// No piece has many more: about a millisecond of one core, after which its thread looks whether it is wanted elsewhere.
pub(crate) const HEAVY: usize = 1 << 25;
/// Pieces that a small kernel is cut into, at most; a guess: more are for more cores than it is worth, and each begins and
/// ends on its own.
const ENOUGH: usize = 4;

/// Multiplications for a piece of a kernel with `work` of them: not by what is lent, which no result may depend on.
pub(crate) fn piece(work: usize) -> usize {
    (work / ENOUGH).clamp(SMALL, LARGE)
}

thread_local! {
    static IS_BACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the kernel that this thread starts now goes through its pieces backwards: every other one does. What a kernel touched last is what
/// the cache still has of data that just outgrows it, so there the next one begins.
fn turn() -> bool {
    IS_BACK.replace(!IS_BACK.get())
}

/// Calls `body` for each piece on this thread.
pub(crate) fn alone(n: usize, body: impl FnMut(usize)) {
    if n > 1 && turn() { (0..n).rev().for_each(body) } else { (0..n).for_each(body) }
}

/// Who takes which piece of a kernel. Whose kernel it is takes those of the first half, who helps those of the second, from the ends to the
/// middle or back: so, kernel after kernel, each finds in its own cache what it touched before. Whoever is done goes on in the other half, at the
/// end that is reached last.
#[derive(Debug)]
pub(crate) struct Pieces {
    n: usize,
    is_back: bool,
    taken: AtomicUsize,
    /// Of those, by the owner, and by helpers.
    owner: AtomicUsize,
    helpers: AtomicUsize,
}

impl Pieces {
    pub fn new(n: usize) -> Pieces {
        Pieces { n, is_back: turn(), taken: 0.into(), owner: 0.into(), helpers: 0.into() }
    }

    /// One that nobody else takes. Both sides never meet, as no more than `n` are taken.
    pub fn take(&self, is_owner: bool) -> Option<usize> {
        let Pieces { n, is_back, .. } = *self;
        if self.taken.fetch_add(1, Relaxed) >= n {
            return None;
        }
        let i = if is_owner { self.owner.fetch_add(1, Relaxed) } else { n - 1 - self.helpers.fetch_add(1, Relaxed) };
        Some(match i.checked_sub(n / 2) {
            _ if !is_back => i,
            None => n / 2 - 1 - i,
            Some(beyond) => n - 1 - beyond,
        })
    }

    pub fn are_left(&self) -> bool {
        self.taken.load(Relaxed) < self.n
    }
}

/// The calling thread alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        alone(n, body);
    }

    fn worth(&self) -> usize {
        usize::MAX
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Parallel>>> = const { RefCell::new(None) };
}

/// Lends `parallel` to every kernel that this thread starts from now on.
pub fn lend(parallel: Arc<dyn Parallel>) {
    CURRENT.set(Some(parallel));
}

/// Runs `work` with `parallel` lent to every kernel that this thread starts meanwhile.
pub fn with_parallel<R>(parallel: Arc<dyn Parallel>, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<dyn Parallel>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(parallel)));
    work()
}

/// Runs `body` once for each piece, on the lent cores when there are any. Unsafe code stands on the "once", so it does not
/// depend on who lends them.
pub(crate) fn run(n: usize, body: &(dyn Fn(usize) + Sync)) {
    run_worth(n, usize::MAX, body);
}

/// [`run`] of pieces with so much work in all, in multiplications: not on other cores when that is too little.
pub(crate) fn run_worth(n: usize, work: usize, body: &(dyn Fn(usize) + Sync)) {
    if n <= 1 || crate::device::is_reference() {
        return (0..n).for_each(body);
    }
    // Whichever thread runs a piece: its scratch is not the run's own.
    arena::aside(|| match CURRENT.with_borrow(|current| current.clone()) {
        Some(parallel) if work >= parallel.worth() => {
            let given: SmallVec<[AtomicBool; 64]> = (0..n).map(|_| false.into()).collect();
            parallel.run(n, &|i| {
                // A `Parallel` that repeats an index must not give two threads the same piece.
                if given.get(i).is_some_and(|given| !given.swap(true, Relaxed)) {
                    body(i);
                }
            });
        }
        _ => alone(n, body),
    });
}

/// [`run_worth`] of pieces that may lack memory: the error of one of them, when there is any.
pub(crate) fn run_all(n: usize, work: usize, piece: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    if n == 1 {
        return piece(0);
    }
    let failed = Mutex::new(None);
    run_worth(n, work, &|i| {
        if let Err(error) = piece(i) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_once_each_from_the_ends_to_the_middle_and_back() {
        for n in [0, 1, 2, 7] {
            for _ in 0..2 {
                let pieces = Pieces::new(n);
                let mut all: Vec<usize> = (0..n + 2).filter_map(|i| pieces.take(i % 3 == 0)).collect();
                let (first, second) = if pieces.is_back { (n / 2 - n.min(1), n / 2) } else { (0, n - n.min(1)) };
                assert!(n < 2 || all[..2] == [first, second], "{all:?}");
                all.sort_unstable();
                assert_eq!(all, (0..n).collect::<Vec<_>>());
                assert!(!pieces.are_left());
            }
        }
    }

    #[test]
    fn every_other_kernel_of_a_thread_goes_backwards() {
        let order = || {
            let order = Mutex::new(Vec::new());
            run(3, &|i| order.lock().unwrap().push(i));
            order.into_inner().unwrap()
        };
        let mut both = [order(), order()];
        both.sort();
        assert_eq!(both, [[0, 1, 2], [2, 1, 0]]);
    }

    #[test]
    fn a_piece_is_given_out_once_whoever_lends_the_cores() {
        struct Wild;
        impl Parallel for Wild {
            fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
                (0..n + 3).chain(0..n).for_each(body);
            }
        }
        let counts: Vec<AtomicUsize> = (0..5).map(|_| AtomicUsize::new(0)).collect();
        with_parallel(Arc::new(Wild), || {
            run(counts.len(), &|i| {
                counts[i].fetch_add(1, Relaxed);
            });
        });
        assert!(counts.iter().all(|count| count.load(Relaxed) == 1));
    }
}
