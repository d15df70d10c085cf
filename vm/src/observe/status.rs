//! What a program answers about itself without a recording.

use super::{MODE, PLACES, SEEN_AT, TICKS, control, models, recorder};
use crate::interp::Calls;
use crate::program::Program;
use crate::task::TaskBody;
use stark_profile::model::{Actor, Frame};
use stark_profile::status::{State, Stats, TaskStatus, Tasks};
use stark_scheduler::{Metrics, TaskRef, TaskState, WaitReason};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long running tasks have to come to a safe point when it is asked where they stand. A turn takes some tens of
/// microseconds; one that is in a long native is told of without a place.
const LOOK: Duration = Duration::from_millis(20);
/// Calls of one task that are told.
const MAX_CALLS: usize = 50;

/// The tasks of the program that runs, at most `limit`; `None` when none runs.
pub fn tasks(limit: usize) -> Option<Tasks> {
    let program = control::current()?;
    let scheduler = program.scheduler()?;
    let mut all = scheduler.tasks();
    let seen = places(all.iter().any(|task| matches!(task.state(), TaskState::Running | TaskState::RunningNotified)));
    let by_actor: HashMap<u64, u64> =
        all.iter().filter_map(|task| Some((task.shared().actor()?.id(), task.id().0))).collect();
    // Those that have not begun are counted and not told.
    let n = all.len().max(scheduler.n_tasks());
    all.truncate(limit);
    let n_told = all.len();
    let tasks = all.iter().filter_map(|task| status(task, &seen, &by_actor)).collect();
    Some(Tasks {
        pid: std::process::id(),
        program: program.options.name.clone(),
        uptime_ns: scheduler.since_start().as_nanos() as u64,
        tasks,
        n_more: n.saturating_sub(n_told) as u64,
    })
}

/// Has running tasks say where they stand.
fn places(is_needed: bool) -> HashMap<u64, Calls> {
    if !is_needed {
        return HashMap::new();
    }
    SEEN_AT.lock().get_or_insert_default();
    MODE.fetch_or(PLACES, Relaxed);
    // While something is recorded the clock ticks by itself, and each of its ticks counts.
    if !control::is_recording() {
        TICKS.fetch_add(1, Relaxed);
    }
    std::thread::sleep(LOOK);
    MODE.fetch_and(!PLACES, Relaxed);
    SEEN_AT.lock().take().unwrap_or_default()
}

fn status(task: &TaskRef<TaskBody>, seen: &HashMap<u64, Calls>, by_actor: &HashMap<u64, u64>) -> Option<TaskStatus> {
    let id = task.id().0;
    let mut title = task.shared().actor().map_or_else(|| "task".to_string(), |cell| format!("actor {}", cell.name()));
    let mut place = seen.get(&id).map(frames).unwrap_or_default();
    let mut heap_bytes = 0;
    let state = match task.state() {
        TaskState::Done => return None,
        TaskState::Running | TaskState::RunningNotified => State::Running,
        TaskState::Scheduled => State::Queued,
        TaskState::Idle => {
            let looked = task.inspect(|body| (body.title(), body.calls(), body.heap_bytes()));
            let Some((known, calls, bytes)) = looked else { return status_of_woken(id, title) };
            (title, place, heap_bytes) = (known, frames(&calls), bytes as u64);
            let (reason, detail) = task.wait();
            let on = match reason {
                WaitReason::Future | WaitReason::Join if place.is_empty() || detail == 0 => None,
                WaitReason::Future | WaitReason::Join => Some(detail),
                WaitReason::Ask | WaitReason::MailboxRoom => by_actor.get(&detail).copied(),
                _ => None,
            };
            let what = match (reason.detail(), detail) {
                ("ms", 1..) => format!("{} of {detail} ms", reason.words()),
                ("channel" | "zone", 1..) => format!("{} ({} {detail})", reason.words(), reason.detail()),
                _ => reason.words().to_string(),
            };
            State::Waits { what, on }
        }
    };
    Some(TaskStatus { id, title, state, place, heap_bytes })
}

/// It was woken while it was looked at.
fn status_of_woken(id: u64, title: String) -> Option<TaskStatus> {
    Some(TaskStatus { id, title, state: State::Queued, place: Vec::new(), heap_bytes: 0 })
}

fn frames(calls: &Calls) -> Vec<Frame> {
    calls.iter().take(MAX_CALLS).map(|&(func, pc)| recorder::place(func, pc)).collect()
}

/// Figures of the program that runs, its workers, actors and models; `None` when none runs.
pub fn stats() -> Option<Stats> {
    let program = control::current()?;
    let scheduler = program.scheduler()?;
    Some(Stats {
        pid: std::process::id(),
        program: program.options.name.clone(),
        uptime_ns: scheduler.since_start().as_nanos() as u64,
        recording: control::is_recording(),
        n_tasks: scheduler.n_tasks() as u64,
        tensor_bytes: stark_kernels::live_tensor_bytes() as u64,
        workers: scheduler.metrics().iter().map(counters).collect(),
        actors: actors(program),
        models: models::stats(),
        devices: models::devices(),
    })
}

fn counters(metrics: &Metrics) -> Vec<(String, u64)> {
    metrics.named().iter().map(|&(name, n)| (name.to_string(), n)).collect()
}

/// The actors that are alive.
pub(super) fn actors(program: &Program) -> Vec<Actor> {
    let Some(scheduler) = program.scheduler() else { return Vec::new() };
    scheduler.tasks().iter().filter_map(|task| Some(task.shared().actor()?.figures())).collect()
}
