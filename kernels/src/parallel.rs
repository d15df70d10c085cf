//! How kernels split their work over cores they do not own.
//!
//! A kernel cuts its output into chunks whose results do not depend on each other, and asks the current
//! [`Parallel`] to run them. Without one the chunks run one after the other on the calling thread. Where a
//! chunk ends depends on sizes only, so results are the same on any number of cores.

use std::cell::RefCell;
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

/// Who takes which piece of a kernel. Whose kernel it is goes from the first one up, who helps from the last one down: so, layer after
/// layer, each finds in its own cache what it computed before.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    taken: AtomicUsize,
    /// Of those, from the first up, and from the last down.
    up: AtomicUsize,
    down: AtomicUsize,
}

impl Pieces {
    /// One of `n` that nobody else takes. Both ends never meet, as no more than `n` are taken.
    pub fn take(&self, n: usize, is_owner: bool) -> Option<usize> {
        if self.taken.fetch_add(1, Relaxed) >= n {
            return None;
        }
        Some(if is_owner { self.up.fetch_add(1, Relaxed) } else { n - 1 - self.down.fetch_add(1, Relaxed) })
    }

    pub fn are_left(&self, n: usize) -> bool {
        self.taken.load(Relaxed) < n
    }
}

/// The calling thread alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(body);
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
        _ => (0..n).for_each(body),
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
    fn pieces_are_taken_from_both_ends_once_each() {
        for n in [0, 1, 2, 7] {
            let pieces = Pieces::default();
            let mut all: Vec<usize> = (0..n + 2).filter_map(|i| pieces.take(n, i % 3 == 0)).collect();
            assert!(n == 0 || all[0] == 0);
            assert!(n < 2 || all[1] == n - 1);
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            assert!(!pieces.are_left(n));
        }
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
