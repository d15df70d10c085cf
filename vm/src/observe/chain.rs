//! Who awaits a task: from the promise it works for to the task that waits on it, and on from there.

use super::recorder::Segment;
use crate::conc::promise::PromiseRef;

/// Steps of a chain that are followed. Longer ones are rare, and their innermost steps say most.
const MAX_STEPS: usize = 16;

/// The calls of each task in the chain that waits for `promise`, the nearest first.
pub(super) fn awaiters(promise: &PromiseRef) -> Vec<Segment> {
    let mut chain = Vec::new();
    let mut promise = promise.clone();
    while chain.len() < MAX_STEPS {
        let Some(task) = promise.cell.first_watcher() else { break };
        // Of one that is just being woken nothing is known.
        let Some((calls, next)) = task.0.inspect(|body| (body.calls(), body.answers(&task.0))) else { break };
        chain.push(calls);
        match next {
            Some(next) => promise = next,
            None => break,
        }
    }
    chain
}
