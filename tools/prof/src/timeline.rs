//! A recording as tracks with spans: what the trace formats are written from.
//!
//! Spans of one track never overlap, so every viewer can show them.

use crate::figures::{DevicePoint, DeviceWork, actor_name};
use stark_profile::Profile;
use stark_profile::model::EventKind;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub struct Timeline {
    pub groups: Vec<String>,
    pub tracks: Vec<Track>,
    pub counters: Vec<Counter>,
}

#[derive(Debug)]
pub struct Track {
    pub group: usize,
    pub name: String,
    /// Ascending.
    pub spans: Vec<Span>,
}

#[derive(Debug, Default)]
pub struct Span {
    pub at: u64,
    pub dur: u64,
    pub name: String,
    /// Arrows that begin here, and that end here.
    pub flows_from: Vec<u64>,
    pub flows_to: Vec<u64>,
}

#[derive(Debug)]
pub struct Counter {
    pub name: String,
    pub points: Vec<(u64, u64)>,
}

const WORKERS: usize = 0;
const TASKS: usize = 1;
const DEVICES: usize = 2;
/// Keeps the numbers of the arrows of spawns and messages apart.
const SPAWN: u64 = 1 << 63;

impl Timeline {
    pub fn of(profile: &Profile) -> Timeline {
        let groups = ["workers", "tasks and actors", "devices"].map(str::to_string).to_vec();
        let mut tracks: BTreeMap<(usize, u64, u64), Track> = BTreeMap::new();
        let mut track = |group: usize, id: u64, lane: u64, name: &dyn Fn() -> String, span: Span| {
            let track = tracks.entry((group, id, lane));
            track.or_insert_with(|| Track { group, name: name(), spans: Vec::new() }).spans.push(span);
        };
        let names = task_names(profile);
        let title =
            |task: u64| names.get(&task).map_or_else(|| format!("task {task}"), |name| format!("{name} {task}"));
        let span = |at, dur, name: String| Span { at, dur, name, ..Span::default() };
        for call in &profile.calls {
            let model = &profile.models[call.model as usize];
            let name = || format!("{} (worker {})", model.device, call.worker);
            let file = model.file.rsplit('/').next().unwrap_or_default();
            track(
                DEVICES,
                call.worker.into(),
                0,
                &name,
                span(call.at, call.dur, format!("{file}, {} rows", call.rows)),
            );
        }
        let mut handled: HashMap<(u64, u64), Span> = HashMap::new();
        let mut first_turns: HashMap<u64, bool> = HashMap::new();
        for event in &profile.events {
            let what = profile.names[event.what as usize].as_str();
            let (task, worker) = (event.task, u64::from(event.worker));
            match event.kind {
                EventKind::Spawn => {
                    first_turns.insert(task, true);
                    let mut begun = span(event.at, 0, format!("spawn {what}"));
                    begun.flows_from.push(SPAWN | task);
                    track(TASKS, event.id, 2, &|| format!("{} sends", title(event.id)), begun);
                }
                EventKind::Turn => {
                    track(WORKERS, worker, 0, &|| format!("worker {worker}"), span(event.at, event.dur, title(task)));
                    let mut turn = span(event.at, event.dur, "runs".to_string());
                    if first_turns.remove(&task).is_some() {
                        turn.flows_to.push(SPAWN | task);
                    }
                    track(TASKS, task, 0, &|| title(task), turn);
                }
                EventKind::Wait => {
                    let waits = span(event.at, event.dur, format!("waits for {what}"));
                    track(TASKS, task, 0, &|| title(task), waits);
                }
                EventKind::End => {
                    track(TASKS, task, 2, &|| format!("{} sends", title(task)), span(event.at, 0, "ends".into()))
                }
                EventKind::Send => {
                    let mut sent = span(event.at, 0, "send".to_string());
                    sent.flows_from.push(event.id & !SPAWN);
                    track(TASKS, task, 2, &|| format!("{} sends", title(task)), sent);
                }
                EventKind::Handle => {
                    // The messages of a batch are worked on in one span.
                    let handle =
                        handled.entry((task, event.at)).or_insert_with(|| span(event.at, event.dur, what.into()));
                    handle.flows_to.push(event.id & !SPAWN);
                }
                EventKind::Operator => {
                    let name = || format!("operators (worker {worker})");
                    track(DEVICES, worker, 1, &name, span(event.at, event.dur, what.to_string()));
                }
            }
        }
        for ((task, _), span) in handled {
            track(TASKS, task, 1, &|| format!("{} messages", title(task)), span);
        }
        let mut tracks: Vec<Track> = tracks.into_values().collect();
        tracks.iter_mut().for_each(Track::settle);
        Timeline { groups, tracks, counters: counters(profile) }
    }
}

impl Track {
    /// Puts the spans in order and cuts one where the next begins: clocks of two workers may differ by a little.
    fn settle(&mut self) {
        self.spans.sort_by_key(|span| (span.at, span.dur));
        for i in 1..self.spans.len() {
            let next = self.spans[i].at;
            let span = &mut self.spans[i - 1];
            span.dur = span.dur.min(next - span.at);
        }
    }
}

/// What each task runs, as far as the trace saw it begin.
fn task_names(profile: &Profile) -> HashMap<u64, String> {
    let spawned = profile.events.iter().filter(|event| event.kind == EventKind::Spawn);
    spawned.map(|event| (event.task, profile.names[event.what as usize].clone())).collect()
}

fn counters(profile: &Profile) -> Vec<Counter> {
    let gauge = |name: &str, of: fn(&stark_profile::model::Gauge) -> u64| Counter {
        name: name.to_string(),
        points: profile.gauges.iter().map(|g| (g.at, of(g))).collect(),
    };
    let mut counters = vec![gauge("tasks", |g| g.tasks), gauge("tensor bytes", |g| g.tensor_bytes)];
    for work in DeviceWork::of(profile) {
        let mut add = |what: &str, of: fn(&DevicePoint) -> u64| {
            let points = work.points.iter().map(|point| (point.at, of(point))).collect();
            counters.push(Counter { name: format!("{} {what}", work.name), points });
        };
        add("busy %", |p| (p.busy_share * 100.0).round() as u64);
        add("bytes/s to it", |p| p.uploads as u64);
        add("bytes/s from it", |p| p.downloads as u64);
        add("tensor bytes", |p| p.used);
    }
    let mut actors: BTreeMap<u64, (Vec<(u64, u64)>, Vec<(u64, u64)>)> = BTreeMap::new();
    for memory in &profile.memory {
        let (bytes, queued) = actors.entry(memory.actor).or_default();
        bytes.push((memory.at, memory.bytes));
        queued.push((memory.at, memory.queued));
    }
    for (actor, (bytes, queued)) in actors {
        let name = actor_name(profile, actor);
        // A line that stays at zero says nothing.
        for (what, points) in [("tensor bytes", bytes), ("mailbox", queued)] {
            if points.iter().any(|(_, value)| *value > 0) {
                counters.push(Counter { name: format!("{what} of {name}"), points });
            }
        }
    }
    counters.retain(|counter| !counter.points.is_empty());
    counters
}
