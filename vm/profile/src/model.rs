//! A recording: tables of names, and what happened in the order it was noted.
//!
//! Moments and durations are nanoseconds; moments count from the beginning of the recording. Other tables are named by
//! position. A file may be forged, so [`Profile::check`] is asked before any position is used.

use serde::{Deserialize, Serialize};

/// What a recording is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordOptions {
    /// Looks at the workers a second; 0 looks never.
    pub rate_hz: u32,
    /// Also note every turn, wait, message and operator of a model: complete, and no longer nearly free.
    pub trace: bool,
    /// Entries kept, over all tables; what comes after them is counted only.
    pub max_entries: u64,
}

/// Samples a second. A prime, so that it falls in step with nothing a program does at round intervals.
pub const DEFAULT_RATE_HZ: u32 = 97;
pub const MAX_RATE_HZ: u32 = 10_000;
/// About 200 MB of them in the process that records.
pub const DEFAULT_MAX_ENTRIES: u64 = 4_000_000;

impl Default for RecordOptions {
    fn default() -> Self {
        Self { rate_hz: DEFAULT_RATE_HZ, trace: false, max_entries: DEFAULT_MAX_ENTRIES }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub info: Info,
    pub frames: Vec<Frame>,
    pub stacks: Vec<Vec<StackFrame>>,
    pub samples: Vec<Sample>,
    pub allocations: Vec<Allocation>,
    pub actors: Vec<Actor>,
    pub models: Vec<Model>,
    pub calls: Vec<ModelCall>,
    pub batches: Vec<Batch>,
    pub memory: Vec<Memory>,
    pub gauges: Vec<Gauge>,
    /// Names of devices other than the processor.
    pub devices: Vec<String>,
    pub device_gauges: Vec<DeviceGauge>,
    /// Of a trace: names of operators and functions that events mention.
    pub names: Vec<String>,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Info {
    pub program: String,
    pub stark: String,
    pub pid: u32,
    /// Milliseconds since 1970.
    pub began_unix_ms: u64,
    pub duration_ns: u64,
    pub n_workers: u32,
    pub rate_hz: u32,
    pub traced: bool,
    /// The program ended before the recording was stopped.
    pub ended: bool,
    /// Entries that came after the limit.
    pub n_dropped: u64,
    /// Turns given to tasks, and tasks that ended, during the recording.
    pub n_turns: u64,
    pub n_finished: u64,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    pub function: String,
    /// Empty for code without line information.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// One level of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StackFrame {
    pub frame: u32,
    /// The next frame inwards belongs to another task or actor, whose result this one awaits.
    pub awaits: bool,
}

/// A worker was seen in a stack, outermost frame first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: u64,
    pub stack: u32,
    pub task: u64,
    pub worker: u32,
    /// Ticks of the sampling clock it stands for.
    pub weight: u32,
}

/// What was allocated in a stack, as far as chance tells: one allocation in about 512 KiB was looked at and stands for
/// others like it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    pub stack: u32,
    pub objects: u64,
    /// Of values and tensors, also of those that are gone.
    pub bytes: u64,
}

/// An actor's own figures at the end of the recording, since the actor began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    pub id: u64,
    pub name: String,
    pub requests: u64,
    pub errors: u64,
    pub restarts: u64,
    pub queued: u64,
    pub batches: u64,
    pub mean_batch_size: f64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub tensor_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub file: String,
    pub device: String,
    pub ops: Vec<Operator>,
}

/// An operator of a model's graph: all runs of one place in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    pub name: String,
    /// The line of the model's own code; 0 when it has none.
    pub line: u32,
    pub runs: u64,
    pub total_ns: u64,
    /// How often a run took up to so long: ascending `(ns, runs)`.
    pub latencies: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCall {
    pub model: u32,
    pub at: u64,
    pub dur: u64,
    pub task: u64,
    pub worker: u32,
    /// The first dimension of the first input.
    pub rows: u64,
    pub failed: bool,
}

/// Messages that a batching handler worked on together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub actor: u64,
    pub at: u64,
    pub dur: u64,
    /// When each was sent: may lie before the recording, then 0.
    pub arrivals: Vec<u64>,
}

/// Bytes of the tensors in an actor's state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub at: u64,
    pub actor: u64,
    pub bytes: u64,
    /// Messages in its mailbox.
    pub queued: u64,
}

/// The whole program at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    pub at: u64,
    pub tasks: u64,
    /// Turns given since the program began.
    pub turns: u64,
    /// Bytes of the buffers of all tensors.
    pub tensor_bytes: u64,
}

/// A device other than the processor at one moment: what it did since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceGauge {
    pub at: u64,
    pub device: u32,
    pub kernels: u64,
    /// Nanoseconds in which its kernels ran.
    pub busy_ns: u64,
    /// Bytes that were copied to it, and from it.
    pub uploaded: u64,
    pub downloaded: u64,
    /// Bytes that tensors hold there now, and held at most.
    pub used: u64,
    pub peak: u64,
}

/// Something that a trace noted. What `what` and `id` mean depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub kind: EventKind,
    pub at: u64,
    pub dur: u64,
    pub task: u64,
    pub worker: u32,
    /// A name.
    pub what: u32,
    pub id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// `task` was begun by the task `id` to run the function `what`.
    Spawn,
    /// `task` had a turn.
    Turn,
    /// `task` waited for `what`; `id` is the task or actor it waited for, 0 when it is neither.
    Wait,
    End,
    /// `task` sent a message; `id` is the message, which [`EventKind::Handle`] names again.
    Send,
    /// `task`, an actor's, worked on the message `id` with the handler `what`.
    Handle,
    /// An operator `what` of a model ran.
    Operator,
}

/// The most frames of one stack that a file may hold.
pub const MAX_STACK: usize = 1000;

impl Profile {
    /// Whether every position leads into its table and every figure can be computed with.
    ///
    /// # Errors
    /// What is wrong, as a sentence without its subject's file.
    pub fn check(&self) -> Result<(), String> {
        let within = |what: &str, i: usize, at: u32, n: usize| {
            if (at as usize) < n { Ok(()) } else { Err(format!("{what} {i} names entry {at} of {n}")) }
        };
        // Half of the range leaves room for every sum of two.
        let moment = |what: &str, i: usize, at: u64, dur: u64| {
            const MAX: u64 = u64::MAX / 4;
            if at < MAX && dur < MAX { Ok(()) } else { Err(format!("{what} {i} lies outside of all time")) }
        };
        moment("the recording", 0, self.info.duration_ns, 0)?;
        if self.info.rate_hz > MAX_RATE_HZ {
            return Err(format!("it was sampled {} times a second, the limit is {MAX_RATE_HZ}", self.info.rate_hz));
        }
        for (i, stack) in self.stacks.iter().enumerate() {
            if stack.len() > MAX_STACK || stack.is_empty() {
                return Err(format!("stack {i} has {} frames, 1 to {MAX_STACK} are allowed", stack.len()));
            }
            stack.iter().try_for_each(|level| within("stack", i, level.frame, self.frames.len()))?;
        }
        for (i, sample) in self.samples.iter().enumerate() {
            within("sample", i, sample.stack, self.stacks.len())?;
            moment("sample", i, sample.at, 0)?;
        }
        for (i, allocation) in self.allocations.iter().enumerate() {
            within("allocation", i, allocation.stack, self.stacks.len())?;
            moment("allocation", i, allocation.objects, allocation.bytes)?;
        }
        for (i, call) in self.calls.iter().enumerate() {
            within("model call", i, call.model, self.models.len())?;
            moment("model call", i, call.at, call.dur)?;
        }
        for (i, batch) in self.batches.iter().enumerate() {
            moment("batch", i, batch.at, batch.dur)?;
            batch.arrivals.iter().try_for_each(|&at| moment("batch", i, at, 0))?;
            if batch.arrivals.is_empty() {
                return Err(format!("batch {i} is empty"));
            }
        }
        for (i, memory) in self.memory.iter().enumerate() {
            moment("memory reading", i, memory.at, 0)?;
        }
        for (i, gauge) in self.gauges.iter().enumerate() {
            moment("gauge", i, gauge.at, 0)?;
        }
        for (i, gauge) in self.device_gauges.iter().enumerate() {
            moment("device gauge", i, gauge.at, gauge.busy_ns)?;
            within("device gauge", i, gauge.device, self.devices.len())?;
        }
        for (i, event) in self.events.iter().enumerate() {
            moment("event", i, event.at, event.dur)?;
            within("event", i, event.what, self.names.len())?;
        }
        for (i, model) in self.models.iter().enumerate() {
            for op in &model.ops {
                moment("model", i, op.total_ns, op.runs)?;
                op.latencies.iter().try_for_each(|&(ns, runs)| moment("model", i, ns, runs))?;
            }
        }
        let figures = self.actors.iter().flat_map(|a| [a.mean_batch_size, a.mean_ms, a.p50_ms, a.p95_ms, a.p99_ms]);
        if figures.into_iter().any(|x| !x.is_finite()) {
            return Err("an actor has a figure that is no number".to_string());
        }
        Ok(())
    }
}
