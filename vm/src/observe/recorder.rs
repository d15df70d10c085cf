//! What is kept of a recording, until it ends.
//!
//! Samples come a hundred times a second and share one lock; the events of a trace come from every turn, so each worker
//! has its own list. All count against one limit.

use crate::heap::sampled::Allocated;
use crate::interp::Calls;
use crate::load::Func;
use crate::trace::TraceFrame;
use parking_lot::Mutex;
use stark_profile::Profile;
use stark_profile::model::{
    Actor, Allocation, Batch, DeviceGauge, Event, EventKind, Frame, Gauge, MAX_STACK, Memory, Model, ModelCall,
    Operator, Sample, StackFrame,
};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

static EPOCH: OnceLock<Instant> = OnceLock::new();
/// When the recording began, since the epoch.
static BEGAN: AtomicU64 = AtomicU64::new(0);
static N_ENTRIES: AtomicU64 = AtomicU64::new(0);
static MAX_ENTRIES: AtomicU64 = AtomicU64::new(0);

const N_LISTS: usize = 64;
static EVENTS: [Mutex<Vec<Event>>; N_LISTS] = [const { Mutex::new(Vec::new()) }; N_LISTS];
static NAMES: Mutex<Option<Names>> = Mutex::new(None);
static TABLES: Mutex<Option<Tables>> = Mutex::new(None);

#[derive(Default)]
struct Names {
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

#[derive(Default)]
struct Tables {
    profile: Profile,
    /// By function and instruction; a native by its name's address.
    frames: HashMap<(usize, u32), u32>,
    stacks: HashMap<Vec<StackFrame>, u32>,
    /// By file and device.
    models: HashMap<(String, String), u32>,
    /// By model, operator and line.
    operators: HashMap<(u32, &'static str, u32), OperatorStats>,
    /// By stack.
    allocations: HashMap<u32, Allocated>,
}

struct OperatorStats {
    runs: u64,
    total_ns: u64,
    latencies: hdrhistogram::Histogram<u64>,
}

/// The part of a stack that belongs to one task, innermost call first.
pub(super) type Segment = Calls;

fn nanos(since: Instant) -> u64 {
    let epoch = *EPOCH.get_or_init(Instant::now);
    since.saturating_duration_since(epoch).as_nanos() as u64
}

/// Nanoseconds since the recording began.
pub(super) fn now() -> u64 {
    since_began(Instant::now())
}

pub(super) fn since_began(moment: Instant) -> u64 {
    nanos(moment).saturating_sub(BEGAN.load(Relaxed))
}

pub(super) fn begin(max_entries: u64) {
    EPOCH.get_or_init(Instant::now);
    BEGAN.store(nanos(Instant::now()), Relaxed);
    N_ENTRIES.store(0, Relaxed);
    MAX_ENTRIES.store(max_entries, Relaxed);
    EVENTS.iter().for_each(|list| list.lock().clear());
    let mut names = Names::default();
    // Number 0 is for events without a name.
    names.id("");
    *NAMES.lock() = Some(names);
    *TABLES.lock() = Some(Tables::default());
}

/// Ends the recording and gives what it holds; the caller adds what it knows itself.
pub(super) fn end() -> Option<Profile> {
    let tables = TABLES.lock().take()?;
    let mut profile = tables.finish();
    profile.names = NAMES.lock().take().unwrap_or_default().names;
    for list in &EVENTS {
        profile.events.append(&mut list.lock());
    }
    // A turn before the wait it ended in, which begins at the same moment.
    profile.events.sort_by_key(|event| (event.at, event.kind != EventKind::Turn));
    close_waits(&mut profile.events, now());
    profile.info.duration_ns = now();
    let n = N_ENTRIES.load(Relaxed);
    profile.info.n_dropped = n.saturating_sub(MAX_ENTRIES.load(Relaxed));
    Some(profile)
}

/// A wait ends with the next turn of its task.
fn close_waits(events: &mut [Event], end: u64) {
    let mut open: HashMap<u64, usize> = HashMap::new();
    for i in 0..events.len() {
        let (kind, at, task) = (events[i].kind, events[i].at, events[i].task);
        match kind {
            EventKind::Turn => {
                if let Some(wait) = open.remove(&task) {
                    events[wait].dur = at.saturating_sub(events[wait].at);
                }
            }
            EventKind::Wait => {
                open.insert(task, i);
            }
            _ => {}
        }
    }
    for wait in open.into_values() {
        events[wait].dur = end.saturating_sub(events[wait].at);
    }
}

/// Whether there is room for one more; counts it.
fn has_room() -> bool {
    N_ENTRIES.fetch_add(1, Relaxed) < MAX_ENTRIES.load(Relaxed)
}

/// The number of a name.
pub(super) fn name(text: &str) -> u32 {
    NAMES.lock().as_mut().map_or(0, |names| names.id(text))
}

impl Names {
    fn id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.push(text.to_string());
        self.ids.insert(text.to_string(), id);
        id
    }
}

pub(super) fn event(event: Event) {
    if has_room() {
        EVENTS[event.worker as usize % N_LISTS].lock().push(event);
    }
}

fn with_tables(work: impl FnOnce(&mut Tables)) {
    if let Some(tables) = &mut *TABLES.lock()
        && has_room()
    {
        work(tables);
    }
}

pub(super) fn batch(batch: Batch) {
    with_tables(|tables| tables.profile.batches.push(batch));
}

pub(super) fn actor(figures: Actor) {
    with_tables(|tables| tables.profile.actors.push(figures));
}

pub(super) fn memory(memory: Memory) {
    with_tables(|tables| tables.profile.memory.push(memory));
}

pub(super) fn gauge(gauge: Gauge) {
    with_tables(|tables| tables.profile.gauges.push(gauge));
}

/// What the device `name` did so far; `reading.device` is not set yet.
pub(super) fn device(name: &str, reading: DeviceGauge) {
    with_tables(|tables| {
        let devices = &mut tables.profile.devices;
        let device = devices.iter().position(|device| device == name).unwrap_or_else(|| {
            devices.push(name.to_string());
            devices.len() - 1
        });
        tables.profile.device_gauges.push(DeviceGauge { device: device as u32, ..reading });
    });
}

/// A call of the model in `file`; `model` in `call` is not set yet.
pub(super) fn call(file: &str, device: &str, call: ModelCall, ops: &[stark_models::observe::OpRun]) {
    with_tables(|tables| {
        let model = tables.model(file, device);
        tables.profile.calls.push(ModelCall { model, ..call });
        for op in ops {
            let stats = tables.operators.entry((model, op.name, op.line)).or_insert_with(OperatorStats::new);
            stats.runs += 1;
            stats.total_ns += op.dur.as_nanos() as u64;
            stats.latencies.saturating_record(op.dur.as_nanos() as u64);
        }
    });
}

/// Where something happened.
pub(super) struct Stack<'a> {
    pub calls: &'a Calls,
    /// Called from there.
    pub native: Option<&'static str>,
    /// Who awaits it, the nearest first.
    pub awaiters: &'a [Segment],
}

pub(super) fn sample(at: u64, task: u64, worker: usize, weight: u32, stack: Stack) {
    with_tables(|tables| {
        if let Some(stack) = tables.whole(stack) {
            tables.profile.samples.push(Sample { at, stack, task, worker: worker as u32, weight });
        }
    });
}

/// By stack: however many there are, they take no more room than the program has places.
pub(super) fn allocation(found: Allocated, stack: Stack) {
    let Some(tables) = &mut *TABLES.lock() else { return };
    let Some(stack) = tables.whole(stack) else { return };
    match tables.allocations.get_mut(&stack) {
        Some(sum) => {
            sum.objects += found.objects;
            sum.bytes += found.bytes;
        }
        None if has_room() => drop(tables.allocations.insert(stack, found)),
        None => {}
    }
}

impl Tables {
    fn whole(&mut self, Stack { calls, native, awaiters }: Stack) -> Option<u32> {
        let mut stack = Vec::with_capacity(calls.len() + 1);
        // Outermost first: the last awaiter is the one that nobody awaits.
        for segment in awaiters.iter().rev() {
            self.push(&mut stack, segment);
            if let Some(last) = stack.last_mut() {
                last.awaits = true;
            }
        }
        self.push(&mut stack, calls);
        if let Some(native) = native {
            let frame = self.native(native);
            stack.push(StackFrame { frame, awaits: false });
        }
        // The innermost calls say most.
        stack.drain(..stack.len().saturating_sub(MAX_STACK));
        (!stack.is_empty()).then(|| self.stack(stack))
    }
}

impl Tables {
    fn push(&mut self, stack: &mut Vec<StackFrame>, calls: &Calls) {
        for &(func, pc) in calls.iter().rev() {
            let frame = self.frame(func, pc);
            stack.push(StackFrame { frame, awaits: false });
        }
    }

    fn frame(&mut self, func: &'static Func, pc: u32) -> u32 {
        let frames = &mut self.profile.frames;
        *self.frames.entry((std::ptr::from_ref(func).addr(), pc)).or_insert_with(|| {
            frames.push(place(func, pc));
            frames.len() as u32 - 1
        })
    }

    fn native(&mut self, name: &'static str) -> u32 {
        let frames = &mut self.profile.frames;
        *self.frames.entry((name.as_ptr().addr(), u32::MAX)).or_insert_with(|| {
            frames.push(Frame { function: name.to_string(), file: String::new(), line: 0, column: 0 });
            frames.len() as u32 - 1
        })
    }

    fn stack(&mut self, stack: Vec<StackFrame>) -> u32 {
        if let Some(&id) = self.stacks.get(&stack) {
            return id;
        }
        let id = self.profile.stacks.len() as u32;
        self.profile.stacks.push(stack.clone());
        self.stacks.insert(stack, id);
        id
    }

    fn model(&mut self, file: &str, device: &str) -> u32 {
        let key = (file.to_string(), device.to_string());
        if let Some(&id) = self.models.get(&key) {
            return id;
        }
        let id = self.profile.models.len() as u32;
        self.profile.models.push(Model { file: file.to_string(), device: device.to_string(), ops: Vec::new() });
        self.models.insert(key, id);
        id
    }

    fn finish(mut self) -> Profile {
        for ((model, name, line), stats) in self.operators.drain() {
            let operator = Operator {
                name: name.to_string(),
                line,
                runs: stats.runs,
                total_ns: stats.total_ns,
                latencies: super::models::buckets(&stats.latencies),
            };
            self.profile.models[model as usize].ops.push(operator);
        }
        for model in &mut self.profile.models {
            model.ops.sort_by(|a, b| b.total_ns.cmp(&a.total_ns).then(a.name.cmp(&b.name)).then(a.line.cmp(&b.line)));
        }
        let round = |(stack, sum): (u32, Allocated)| Allocation {
            stack,
            objects: sum.objects.round() as u64,
            bytes: sum.bytes.round() as u64,
        };
        self.profile.allocations = self.allocations.into_iter().map(round).collect();
        self.profile.allocations.sort_by_key(|allocation| allocation.stack);
        self.profile
    }
}

impl OperatorStats {
    fn new() -> OperatorStats {
        OperatorStats { runs: 0, total_ns: 0, latencies: super::models::histogram() }
    }
}

/// Where an instruction stands in the source.
pub(super) fn place(func: &'static Func, pc: u32) -> Frame {
    let place = TraceFrame { func, pc: pc as usize };
    let (file, line, column) =
        place.at().map_or_else(Default::default, |(file, line, col)| (file.to_string(), line, col));
    Frame { function: place.function().to_string(), file, line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, at: u64, dur: u64, task: u64) -> Event {
        Event { kind, at, dur, task, worker: 0, what: 0, id: 0 }
    }

    #[test]
    fn a_wait_lasts_until_the_next_turn_of_its_task_or_to_the_end() {
        let mut events = vec![
            event(EventKind::Turn, 0, 10, 1),
            event(EventKind::Wait, 10, 0, 1),
            event(EventKind::Turn, 12, 3, 2),
            event(EventKind::Wait, 15, 0, 2),
            event(EventKind::Turn, 40, 1, 1),
        ];
        close_waits(&mut events, 100);
        assert_eq!((events[1].dur, events[3].dur), (30, 85));
    }
}
