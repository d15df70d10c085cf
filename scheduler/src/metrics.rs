//! Counters cheap enough to keep on: each has one writer, its worker.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! define_metrics {
    ($( $(#[doc = $doc:literal])* $name:ident ),* $(,)?) => {
        /// The live counters of one worker.
        // Aligned to two cache lines, so that workers do not write to each other's.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct WorkerMetrics { $( $(#[doc = $doc])* pub(crate) $name: Counter ),* }

        /// A reading of the counters of one worker, or of all together.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Metrics { $( $(#[doc = $doc])* pub $name: u64 ),* }

        impl Metrics {
            /// Each counter with its name.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$( (stringify!($name), self.$name) ),*]
            }
        }

        impl WorkerMetrics {
            pub fn read(&self) -> Metrics {
                Metrics { $( $name: self.$name.get() ),* }
            }
        }

        impl std::ops::AddAssign for Metrics {
            fn add_assign(&mut self, other: Metrics) {
                $( self.$name += other.$name; )*
            }
        }
    };
}

define_metrics! {
    /// Turns given to tasks.
    runs,
    /// Turns that ended because the budget was spent.
    yields,
    /// Tasks begun from this worker.
    spawns,
    /// Tasks that ended here.
    finished,
    /// Tasks made runnable by this worker.
    wakeups,
    /// Turns that came from the slot of the task woken last.
    lifo_hits,
    /// Visits to another worker's queue that brought work.
    steals,
    /// Times the worker went to sleep.
    parks,
    /// Timers that ran out.
    timers_fired,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        // Load and store, not a read-modify-write: there is one writer, and readers may be late.
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
