//! std or the model checker: the only place that chooses.
//!
//! `state`, `mailbox`, `idle`, `timer` and `worker` are written against these names, so that `RUSTFLAGS="--cfg loom" cargo
//! test` explores their interleavings. Everything else uses std and parking_lot directly. The queues are crossbeam's, which
//! has models of its own; in ours they are lists under a lock (`sync/queue.rs`).
#![allow(unsafe_code)]

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::Arc,
    sync::Mutex as RawMutex,
    sync::MutexGuard,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence},
};

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence},
};

#[cfg(not(loom))]
pub(crate) use parking_lot::MutexGuard;

#[cfg(loom)]
#[path = "sync/queue.rs"]
pub(crate) mod queue;

#[cfg(not(loom))]
pub(crate) mod queue {
    pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker as LocalQueue};
}

/// The one order of all `SeqCst` accesses. std's accesses have it by themselves; loom knows it of fences only and takes
/// `SeqCst` accesses for `AcqRel` ones, so its models need a fence in each place that leans on that order.
pub(crate) fn seq_cst_order() {
    #[cfg(loom)]
    loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// `std::cell::UnsafeCell` with loom's interface, which lets the checker see every access.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to the value. Whoever dereferences it answers for exclusivity.
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A lock, with one interface under both.
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    #[cfg(not(loom))]
    inner: parking_lot::Mutex<T>,
    #[cfg(loom)]
    inner: RawMutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        #[cfg(not(loom))]
        let inner = parking_lot::Mutex::new(value);
        #[cfg(loom)]
        let inner = RawMutex::new(value);
        Self { inner }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(not(loom))]
        return self.inner.lock();
        #[cfg(loom)]
        return self.inner.lock().expect("a model panicked under the lock");
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }
}

/// A condition to wait for under a lock.
#[derive(Debug)]
pub(crate) struct Condvar {
    #[cfg(not(loom))]
    inner: parking_lot::Condvar,
    #[cfg(loom)]
    inner: loom::sync::Condvar,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        #[cfg(not(loom))]
        let inner = parking_lot::Condvar::new();
        #[cfg(loom)]
        let inner = loom::sync::Condvar::new();
        Self { inner }
    }

    pub(crate) fn notify_one(&self) {
        self.inner.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.inner.notify_all();
    }

    #[cfg(not(loom))]
    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.inner.wait(&mut guard);
        guard
    }

    #[cfg(loom)]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.inner.wait(guard).expect("a model panicked under the lock")
    }

    #[cfg(not(loom))]
    pub(crate) fn wait_for<'a, T>(&self, mut guard: MutexGuard<'a, T>, time: std::time::Duration) -> MutexGuard<'a, T> {
        self.inner.wait_for(&mut guard, time);
        guard
    }

    /// In a model all times are short.
    #[cfg(loom)]
    pub(crate) fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, _: std::time::Duration) -> MutexGuard<'a, T> {
        guard
    }
}
