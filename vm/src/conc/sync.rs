//! std and a lock that spins, or the model checker: the only place that chooses for what tasks wait for.
//!
//! `wait`, `channel`, `result` and `lock` are written against these names; `tests/loom` explores their interleavings. A mailbox
//! uses the same lock.
//!
//! The lock spins because it is taken with every message and held for a dozen instructions: one that can put threads to sleep
//! needs a second atomic exchange to be given back, and two of them are most of what a message costs
//! (docs/decisions/0011-the-way-of-a-message.md). So under it nobody runs a program's code, drops a message or waits.

#[cfg(not(loom))]
use std::cell::Cell;
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

#[cfg(not(loom))]
pub type Mutex<T> = spin::mutex::SpinMutex<T, Patient>;
#[cfg(not(loom))]
pub type MutexGuard<'a, T> = spin::mutex::SpinMutexGuard<'a, T, Patient>;

/// How a thread waits for the lock: awake while the holder is running, and out of its way when it may have been set aside.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Patient;

/// Looks at the lock until the core is given to others, some microseconds. A guess; the holder is a fraction of one away.
#[cfg(not(loom))]
const LOOKS: u32 = 64;

#[cfg(not(loom))]
impl spin::RelaxStrategy for Patient {
    #[inline]
    fn relax() {
        thread_local! { static LOOKED: Cell<u32> = const { Cell::new(0) } }
        let looked = LOOKED.get().wrapping_add(1);
        LOOKED.set(looked);
        if looked.is_multiple_of(LOOKS) {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// One look at something that another thread changes in a moment.
#[inline]
pub fn relax() {
    #[cfg(not(loom))]
    <Patient as spin::RelaxStrategy>::relax();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// The checker's interface on a plain cell.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

#[cfg(loom)]
pub use loom::cell::UnsafeCell;
#[cfg(loom)]
pub use loom::sync::MutexGuard;
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// parking_lot's interface on the checker's lock.
#[cfg(loom)]
#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

#[cfg(loom)]
impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model panicked under the lock")
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}
