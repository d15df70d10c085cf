//! Beginning and ending a recording: one at a time in a process.

use super::{MODE, RECORD, TICKS, TRACE, models, recorder, status};
use crate::program::Program;
use parking_lot::Mutex;
use stark_profile::Profile;
use stark_profile::model::{DeviceGauge, Gauge, MAX_RATE_HZ, Memory, RecordOptions};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The program that is looked at.
static CURRENT: Mutex<Option<&'static Program>> = Mutex::new(None);
static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);
/// What `Options::record` asked for, when its program has ended.
static RECORDED: Mutex<Option<Profile>> = Mutex::new(None);
/// Another number for each recording, which tells the clock of an old one to end.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// How long a program that has ended waits for a client to take what it recorded.
const LINGER: Duration = Duration::from_secs(10);
/// How often the program as a whole is looked at; more often in the beginning, for programs that are soon over.
const GAUGE_EVERY: Duration = Duration::from_millis(100);
const FIRST_GAUGE: Duration = Duration::from_millis(4);
/// With more tasks than this, actors are not looked at one by one.
const MAX_LOOKED_AT: usize = 10_000;

struct Recording {
    program: &'static Program,
    options: RecordOptions,
    began: SystemTime,
    turns_before: (u64, u64),
    /// Who asked for it and is told when the program ends.
    client: Option<Client>,
}

/// The other side of a recording through the socket.
pub(super) struct Client {
    pub ended: mpsc::Sender<FromOutside>,
    /// Hung up when everything is sent.
    pub sent: mpsc::Receiver<()>,
}

/// What ends a recording through the socket.
pub(super) enum FromOutside {
    Stop,
    Gone,
    /// The program ended; here is the recording.
    Ended(Box<Profile>),
}

pub(super) fn current() -> Option<&'static Program> {
    *CURRENT.lock()
}

pub(super) fn is_recording() -> bool {
    RECORDING.lock().is_some()
}

/// A program begins that is to be looked at.
///
/// # Errors
/// Why it cannot be recorded.
pub(crate) fn program_begins(program: &'static Program) -> Result<(), String> {
    *CURRENT.lock() = Some(program);
    match program.options.record {
        Some(options) => begin(options, None),
        None => Ok(()),
    }
}

/// The program has ended: what is being recorded ends, too, and goes to whoever asked for it.
pub(crate) fn program_ended(program: &'static Program) {
    let recording = {
        let mut recording = RECORDING.lock();
        if recording.as_ref().is_some_and(|r| std::ptr::eq(r.program, program)) { recording.take() } else { None }
    };
    if let Some(recording) = recording {
        let client = recording.end(true);
        match client {
            (Some(profile), Some(client)) => {
                if client.ended.send(FromOutside::Ended(Box::new(profile))).is_ok() {
                    // Answers when the sender is dropped, which is what is waited for.
                    let _ = client.sent.recv_timeout(LINGER);
                }
            }
            (profile, None) => *RECORDED.lock() = profile,
            (None, Some(_)) => {}
        }
    }
    let mut current = CURRENT.lock();
    if current.is_some_and(|current| std::ptr::eq(current, program)) {
        *current = None;
    }
}

/// What was recorded because of `Options::record`, once.
pub fn take_recording() -> Option<Profile> {
    RECORDED.lock().take()
}

/// # Errors
/// Why nothing is recorded.
pub(super) fn begin(options: RecordOptions, client: Option<Client>) -> Result<(), String> {
    let program = current().ok_or("no program runs")?;
    if options.rate_hz > MAX_RATE_HZ {
        return Err(format!("it cannot be sampled {} times a second, the limit is {MAX_RATE_HZ}", options.rate_hz));
    }
    if program.options.seed.is_some() {
        return Err("a run with a seed has a time of its own, which says nothing about speed".to_string());
    }
    let mut recording = RECORDING.lock();
    if recording.is_some() {
        return Err("it is being recorded already".to_string());
    }
    let turns_before = turns(program);
    recorder::begin(options.max_entries);
    stark_kernels::on_tensor_allocation(crate::heap::sampled::tensor_allocated);
    let generation = GENERATION.fetch_add(1, Relaxed) + 1;
    let clock = move || clock(program, options.rate_hz, generation);
    std::thread::Builder::new()
        .name("stark-clock".into())
        .spawn(clock)
        .map_err(|e| format!("the system gives no thread for the clock: {e}"))?;
    *recording = Some(Recording { program, options, began: SystemTime::now(), turns_before, client });
    MODE.fetch_or(RECORD | if options.trace { TRACE } else { 0 }, Relaxed);
    Ok(())
}

/// Ends the recording that a client asked for.
pub(super) fn stop() -> Option<Profile> {
    let recording = RECORDING.lock().take()?;
    recording.end(false).0
}

fn turns(program: &Program) -> (u64, u64) {
    let metrics = program.scheduler().map(|s| s.metrics()).unwrap_or_default();
    metrics.iter().fold((0, 0), |(turns, finished), worker| (turns + worker.runs, finished + worker.finished))
}

impl Recording {
    fn end(self, ended: bool) -> (Option<Profile>, Option<Client>) {
        MODE.fetch_and(!(RECORD | TRACE), Relaxed);
        GENERATION.fetch_add(1, Relaxed);
        let program = self.program;
        // Much may have happened since the clock looked.
        device_gauges();
        let profile = recorder::end().map(|mut profile| {
            let info = &mut profile.info;
            info.program = program.options.name.clone();
            info.stark = env!("CARGO_PKG_VERSION").to_string();
            info.pid = std::process::id();
            info.began_unix_ms = self.began.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
            info.n_workers = program.scheduler().map_or(0, |s| s.n_workers() as u32);
            info.rate_hz = self.options.rate_hz;
            info.traced = self.options.trace;
            info.ended = ended;
            let (turns, finished) = turns(program);
            info.n_turns = turns.saturating_sub(self.turns_before.0);
            info.n_finished = finished.saturating_sub(self.turns_before.1);
            profile.actors.extend(status::actors(program));
            profile.actors.sort_by_key(|actor| actor.id);
            profile.actors.dedup_by_key(|actor| actor.id);
            profile
        });
        (profile, self.client)
    }
}

/// Counts ticks as the time goes, also those that it slept through, and looks at the whole now and then.
fn clock(program: &'static Program, rate_hz: u32, generation: u64) {
    let began = Instant::now();
    let (mut n_ticks, mut next_gauge, mut pause) = (0u64, Duration::ZERO, FIRST_GAUGE);
    while GENERATION.load(Relaxed) == generation {
        let elapsed = began.elapsed();
        let due = (elapsed.as_secs_f64() * f64::from(rate_hz)) as u64;
        TICKS.fetch_add((due - n_ticks) as u32, Relaxed);
        n_ticks = due;
        if elapsed >= next_gauge {
            gauge(program);
            device_gauges();
            // Large states take long to look through: then less often, so that it stays a hundredth of the time.
            next_gauge = elapsed + pause.max((began.elapsed() - elapsed) * 100);
            pause = (pause * 2).min(GAUGE_EVERY);
        }
        let next_tick = match rate_hz {
            0 => next_gauge,
            _ => Duration::from_secs_f64((n_ticks + 1) as f64 / f64::from(rate_hz)),
        };
        std::thread::sleep(next_tick.min(next_gauge).saturating_sub(began.elapsed()));
    }
}

fn gauge(program: &'static Program) {
    let Some(scheduler) = program.scheduler() else { return };
    let (at, n_tasks) = (recorder::now(), scheduler.n_tasks());
    let tensor_bytes = stark_kernels::live_tensor_bytes() as u64;
    recorder::gauge(Gauge { at, tasks: n_tasks as u64, turns: turns(program).0, tensor_bytes });
    if n_tasks <= MAX_LOOKED_AT {
        for cell in scheduler.tasks().iter().filter_map(|task| task.shared().actor()) {
            let (actor, bytes, queued) = (cell.id(), cell.tensor_bytes(), cell.n_queued() as u64);
            recorder::memory(Memory { at, actor, bytes, queued });
        }
    }
}

fn device_gauges() {
    let at = recorder::now();
    for (name, done) in models::devices() {
        let reading = DeviceGauge {
            at,
            device: 0,
            kernels: done.kernels,
            busy_ns: done.busy_ns,
            uploaded: done.uploaded_bytes,
            downloaded: done.downloaded_bytes,
            used: done.used_bytes,
            peak: done.peak_bytes,
        };
        recorder::device(&name, reading);
    }
}
