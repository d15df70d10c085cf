//! How kernels split their work over cores they do not own.
//!
//! A kernel cuts its output into chunks whose results do not depend on each other, and asks the current
//! [`Parallel`] to run them. Without one the chunks run one after the other on the calling thread. Where a
//! chunk ends depends on sizes only, so results are the same on any number of cores.

use std::cell::RefCell;
use std::sync::Arc;

/// Runs independent pieces of one kernel.
pub trait Parallel: Send + Sync {
    /// Calls `body(i)` once for each `i` in `0..n`, in any order and on any threads, and returns when all are done.
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        (0..n).for_each(body);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Parallel>>> = const { RefCell::new(None) };
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

/// Runs `body` for each piece, on the lent cores when there are any.
pub(crate) fn run(n: usize, body: &(dyn Fn(usize) + Sync)) {
    if n <= 1 || crate::device::is_reference() {
        return (0..n).for_each(body);
    }
    match CURRENT.with_borrow(|current| current.clone()) {
        Some(parallel) => parallel.run(n, body),
        _ => (0..n).for_each(body),
    }
}
