//! Supervisors: who begins again when a child fails, and when it was too often.
//!
//! One that an actor makes is part of that actor: when it gives up the actor fails, and what is above decides about it;
//! when the actor ends or begins again, its children end. So supervisors make a tree by their actors.

use super::cell::ActorCell;
use crate::conc::restart::{RestartLimit, Strategy};
use crate::heap::Opaque;
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(crate) struct Supervisor {
    /// The actor that made it.
    above: Option<Weak<ActorCell>>,
    strategy: Strategy,
    max_restarts: usize,
    within: Duration,
    state: Mutex<State>,
}

struct State {
    /// By number, which is the order they were begun in; a child that has ended is not in it.
    children: BTreeMap<usize, Weak<ActorCell>>,
    n_begun: usize,
    limit: RestartLimit,
    /// It was told to stop, or has given up.
    stopped: bool,
}

/// What a failed child does.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Begin again from the first state.
    Restart,
    /// It was one failure too many: all children end.
    GiveUp,
    /// The supervisor was stopped.
    Stop,
}

impl Supervisor {
    pub fn new(
        above: Option<&Arc<ActorCell>>,
        strategy: Strategy,
        max_restarts: usize,
        within: Duration,
    ) -> Arc<Supervisor> {
        let limit = RestartLimit::new(max_restarts, within);
        let state = Mutex::new(State { children: BTreeMap::new(), n_begun: 0, limit, stopped: false });
        let supervisor =
            Arc::new(Supervisor { above: above.map(Arc::downgrade), strategy, max_restarts, within, state });
        if let Some(cell) = above {
            cell.has_supervisor(&supervisor);
        }
        supervisor
    }

    /// The actor that fails when it gives up; `None` at the top.
    pub fn above(&self) -> Option<Arc<ActorCell>> {
        self.above.as_ref()?.upgrade()
    }

    /// The number of the next child; `None` when it was stopped.
    pub fn number(&self) -> Option<usize> {
        let mut state = self.state.lock();
        state.n_begun += 1;
        (!state.stopped).then_some(state.n_begun)
    }

    pub fn adopt(&self, child: usize, cell: &Arc<ActorCell>) {
        let mut state = self.state.lock();
        state.children.insert(child, Arc::downgrade(cell));
        let stopped = state.stopped;
        drop(state);
        if stopped {
            cell.stop();
        }
    }

    /// The child has ended for good.
    pub fn forget(&self, child: usize) {
        self.state.lock().children.remove(&child);
    }

    /// A child has failed: tells the others what the strategy says, and the child what to do itself.
    pub fn failed(&self, child: usize, now: Instant) -> Verdict {
        let mut state = self.state.lock();
        if state.stopped {
            return Verdict::Stop;
        }
        let (n, place) = (state.children.len(), state.children.range(..child).count());
        let give_up = !state.limit.allow(now);
        state.stopped |= give_up;
        let affected = if give_up { 0..n } else { self.strategy.affected(place, n) };
        let others: Vec<Arc<ActorCell>> = state
            .children
            .iter()
            .enumerate()
            .filter(|(i, (number, _))| affected.contains(i) && **number != child)
            .filter_map(|(_, (_, cell))| cell.upgrade())
            .collect();
        drop(state);
        for cell in others {
            if give_up { cell.kill() } else { cell.restart() }
        }
        if give_up { Verdict::GiveUp } else { Verdict::Restart }
    }

    /// Ends all children when their mailboxes are worked off, and takes no more.
    pub fn stop(&self) {
        self.close().iter().for_each(|cell| cell.stop());
    }

    /// Ends all children at once, and takes no more.
    pub fn kill(&self) {
        self.close().iter().for_each(|cell| cell.kill());
    }

    /// Takes no more; the children there are.
    fn close(&self) -> Vec<Arc<ActorCell>> {
        let mut state = self.state.lock();
        state.stopped = true;
        state.children.values().filter_map(Weak::upgrade).collect()
    }

    /// What it does not go on after, in words.
    pub fn limit(&self) -> String {
        format!("more than {} failures within {:?}", self.max_restarts, self.within)
    }
}

#[derive(Clone)]
pub(super) struct SupervisorObj(pub Arc<Supervisor>);

impl Opaque for SupervisorObj {
    fn type_name(&self) -> &'static str {
        "Supervisor"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<SupervisorObj>().is_some_and(|other| Arc::ptr_eq(&self.0, &other.0))
    }
}
