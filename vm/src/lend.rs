//! The workers, lent to kernels: a tensor operation that splits its work is helped by workers with nothing else to do. Who helps
//! leaves between two pieces for whatever else comes; whose operation it is gets a relief when it takes long.

use crate::program::Program;
use crate::task::{TaskBody, TaskShared};
use stark_kernels::{Crew, Help, Lent, lend};
use stark_scheduler::Handle;
use std::cell::Cell;
use std::sync::Arc;

struct Workers(&'static Program);

impl Crew for Workers {
    fn n_others(&self) -> usize {
        // Under a seed one thread runs everything.
        self.0.scheduler().map_or(0, |scheduler| scheduler.n_workers() - 1)
    }

    fn call(&self, n: usize, help: Help) {
        let Some(scheduler) = self.0.scheduler() else { return };
        let program = self.0;
        // It is asked between two pieces; here before the first.
        let help: Help = Arc::new(move || Workers(program).is_wanted() || help());
        for _ in 0..n {
            scheduler.spawn_elsewhere(TaskBody::helper(self.0, help.clone()), TaskShared::default());
        }
    }

    fn pause(&self) {
        if let Some(scheduler) = self.0.scheduler() {
            scheduler.pause();
        }
    }

    fn is_wanted(&self) -> bool {
        self.0.scheduler().is_some_and(Handle::is_wanted)
    }
}

thread_local! {
    static IS_LENT: Cell<bool> = const { Cell::new(false) };
}

/// From the first turn on, the kernels that this thread, a worker of `program`'s, starts are helped by the other workers.
#[inline]
pub(crate) fn workers_of(program: &'static Program) {
    if !IS_LENT.get() {
        IS_LENT.set(true);
        lend(Arc::new(Lent(Arc::new(Workers(program)))));
    }
}
