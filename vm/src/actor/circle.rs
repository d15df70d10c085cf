//! Asks that wait for each other: an actor whose handler waits for an answer cannot answer itself.
//!
//! While a handler waits for one answer there is an edge from its actor to the asked one. An edge that would close a
//! circle is refused with `DeadlockError`, which names the circle. An edge whose answer is there already counts no more,
//! even before its actor has run again. Only waits for a single answer (or for all of several) make edges; what is
//! beyond them (a wait in a task that a handler began, a race) is left to timeouts and the deadlock report.

use super::cell::ActorCell;
use crate::conc::promise::{Answer, PromiseRef};
use crate::fault::{Fault, FaultKind};
use crate::task::TaskCx;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// All edges of a program, by the waiting actor's id.
#[derive(Default)]
pub(crate) struct Circles(Mutex<HashMap<u64, Vec<Arc<Answer>>>>);

/// One edge (or several); dropping it ends the wait.
pub(crate) struct Edge(Arc<ActorCell>);

impl Drop for Edge {
    fn drop(&mut self) {
        self.0.program().circles.0.lock().remove(&self.0.id());
    }
}

/// The current task is about to wait for all of `promises`. `None` when that cannot close a circle.
///
/// # Errors
/// `DeadlockError`: one of them is the answer of an actor that waits, over any number of others, for this one.
pub(crate) fn wait_for(cx: &TaskCx, promises: &[PromiseRef]) -> Result<Option<Edge>, Fault> {
    let Some(me) = &cx.actor else { return Ok(None) };
    let asked: Vec<Arc<Answer>> = promises
        .iter()
        .filter_map(|promise| match promise {
            PromiseRef::Answer(answer) if answer.asked().is_some() && !answer.cell.is_done() => Some(answer.clone()),
            _ => None,
        })
        .collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let mut edges = me.program().circles.0.lock();
    for promise in &asked {
        if let Some(path) = find_path(&edges, promise, me) {
            let names: Vec<_> = path.iter().map(|cell| cell.name()).collect();
            return Err(Fault::new(
                FaultKind::DeadlockError,
                format!("actors wait for each other: {} asks {}", me.name(), names.join(", which asks ")),
            ));
        }
    }
    edges.insert(me.id(), asked);
    Ok(Some(Edge(me.clone())))
}

/// The actors from the one that `promise` waits for to `goal`, over live edges.
fn find_path(
    edges: &HashMap<u64, Vec<Arc<Answer>>>,
    promise: &Answer,
    goal: &Arc<ActorCell>,
) -> Option<Vec<Arc<ActorCell>>> {
    let first = promise.asked()?.clone();
    // Each actor with the place in the list it was reached from.
    let mut seen: Vec<(Arc<ActorCell>, usize)> = vec![(first, 0)];
    let mut next = 0;
    while next < seen.len() {
        let here = seen[next].0.clone();
        if Arc::ptr_eq(&here, goal) {
            let mut path = vec![here];
            let mut at = next;
            while at != 0 {
                at = seen[at].1;
                path.push(seen[at].0.clone());
            }
            path.reverse();
            return Some(path);
        }
        for promise in edges.get(&here.id()).into_iter().flatten().filter(|p| !p.cell.is_done()) {
            if let Some(cell) = promise.asked()
                && !seen.iter().any(|(c, _)| Arc::ptr_eq(c, cell))
            {
                seen.push((cell.clone(), next));
            }
        }
        next += 1;
    }
    None
}
