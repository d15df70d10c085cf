//! Spans for OpenTelemetry: what was done for a request, over tasks, messages and models, each under what asked for it.
//!
//! A trace begins where a task that belongs to none sends a message, begins a task or calls a model, and with the chance
//! that was asked for; whatever follows from it belongs to it. What is under way is kept in tables by task and by message,
//! not in them: without traces nobody pays for a field, and with few sampled the tables are small.

use super::{MODE, SPANS};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Spans under way, and spans done that nobody has taken yet: of each at most so many, the others are lost.
const MAX_SPANS: usize = 10_000;
/// When there are too many under way, those that are older are given up: the task that waited for room with its message was
/// cancelled, say.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Looking for them takes a while, and most often there are few.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    /// A message was worked on.
    Server,
    /// A message was sent and answered.
    Client,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// 0 for the first of its trace.
    pub parent: u64,
    pub name: String,
    pub kind: SpanKind,
    pub began_unix_ns: u64,
    pub ended_unix_ns: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
    pub attributes: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy)]
struct Context {
    trace: u128,
    span: u64,
}

/// A span that is under way.
pub(super) struct Open {
    own: Context,
    parent: u64,
    began: Instant,
    name: String,
    kind: SpanKind,
    error: Option<String>,
}

#[derive(Default)]
struct Tables {
    /// What each task works for now.
    active: HashMap<u64, Context>,
    tasks: HashMap<u64, Open>,
    /// By receiver and moment of sending.
    messages: HashMap<(u64, Instant), Open>,
    done: Vec<Span>,
    swept: Option<Instant>,
}

static TABLES: Mutex<Option<Tables>> = Mutex::new(None);
/// Of 2^64.
static SHARE: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on a share (0 to 1) of what begins outside of any trace begins one.
pub fn trace(share: f64) {
    SHARE.store((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64, Relaxed);
    *TABLES.lock() = Some(Tables::default());
    MODE.fetch_or(SPANS, Relaxed);
}

/// The spans that ended since the last time.
pub fn take_spans() -> Vec<Span> {
    TABLES.lock().as_mut().map_or_else(Vec::new, |tables| std::mem::take(&mut tables.done))
}

pub(super) fn is_on() -> bool {
    MODE.load(Relaxed) & SPANS != 0
}

/// A number that never comes twice in a process, and hardly in two.
fn random() -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(COUNT.fetch_add(1, Relaxed)).max(1)
}

fn unix_ns(moment: Instant) -> u64 {
    static EPOCH: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    let (instant, system) = EPOCH.get_or_init(|| (Instant::now(), SystemTime::now()));
    let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    match moment.checked_duration_since(*instant) {
        Some(after) => since_1970(*system + after),
        None => since_1970(*system).saturating_sub(instant.duration_since(moment).as_nanos() as u64),
    }
}

impl Tables {
    /// A span of what `task` does, in the trace that the task belongs to or in a new one; `None` when it is not sampled.
    fn open(&mut self, task: u64, began: Instant, name: String, kind: SpanKind) -> Option<Open> {
        let (trace, parent) = match self.active.get(&task) {
            Some(context) => (context.trace, context.span),
            None if random() <= SHARE.load(Relaxed) => (u128::from(random()) << 64 | u128::from(random()), 0),
            None => return None,
        };
        if self.tasks.len() + self.messages.len() >= MAX_SPANS {
            if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY) {
                self.messages.retain(|_, open| open.began.elapsed() < MAX_AGE);
                self.swept = Some(Instant::now());
            }
            if self.tasks.len() + self.messages.len() >= MAX_SPANS {
                return None;
            }
        }
        Some(Open { own: Context { trace, span: random() }, parent, began, name, kind, error: None })
    }

    fn close(&mut self, open: Open, attributes: Vec<(&'static str, String)>) {
        if self.done.len() < MAX_SPANS {
            let Open { own, parent, began, name, kind, error } = open;
            self.done.push(Span {
                trace: own.trace,
                id: own.span,
                parent,
                name,
                kind,
                began_unix_ns: unix_ns(began),
                ended_unix_ns: unix_ns(Instant::now()),
                error,
                attributes,
            });
        }
    }
}

fn with_tables<T: Default>(work: impl FnOnce(&mut Tables) -> T) -> T {
    TABLES.lock().as_mut().map(work).unwrap_or_default()
}

/// The task `by` has begun `task`. `is_over` is asked when that is noted: the task may have ended before.
pub(super) fn spawned(by: u64, task: u64, name: String, is_over: impl FnOnce() -> bool) {
    let noted = with_tables(|tables| match tables.open(by, Instant::now(), name, SpanKind::Internal) {
        Some(open) => {
            tables.active.insert(task, open.own);
            tables.tasks.insert(task, open);
            true
        }
        None => false,
    });
    if noted && is_over() {
        task_ended(task);
    }
}

/// `task` is about to end with this error.
pub(super) fn task_failed(task: u64, error: String) {
    with_tables(|tables| {
        if let Some(open) = tables.tasks.get_mut(&task) {
            open.error = Some(error);
        }
    });
}

pub(super) fn task_ended(task: u64) {
    with_tables(|tables| {
        tables.active.remove(&task);
        if let Some(open) = tables.tasks.remove(&task) {
            tables.close(open, vec![("stark.task", task.to_string())]);
        }
    });
}

/// Where a line of the log belongs: the trace and the span that `task` works for now, if it is sampled.
pub(super) fn place(task: u64) -> Option<(u128, u64)> {
    with_tables(|tables| tables.active.get(&task).map(|context| (context.trace, context.span)))
}

/// `task` sends a message to `actor`.
pub(super) fn sent(task: u64, actor: u64, sent: Instant) {
    with_tables(|tables| {
        if let Some(open) = tables.open(task, sent, "send".to_string(), SpanKind::Client) {
            tables.messages.insert((actor, sent), open);
        }
    });
}

/// A message will not be worked on.
pub(super) fn dropped(actor: u64, sent: Instant, error: &str) {
    with_tables(|tables| {
        if let Some(mut open) = tables.messages.remove(&(actor, sent)) {
            open.error = Some(error.to_string());
            tables.close(open, Vec::new());
        }
    });
}

/// A sampled message that is being worked on.
pub(super) struct Handled {
    sent: Instant,
    message: Open,
    work: Open,
}

/// The task of `actor` begins to work on messages that were sent at these moments.
pub(super) fn handled(task: u64, actor: u64, name: &str, sent: &[Instant]) -> Vec<Handled> {
    with_tables(|tables| {
        let mut all = Vec::new();
        for &sent in sent {
            let Some(message) = tables.messages.remove(&(actor, sent)) else { continue };
            let own = Context { trace: message.own.trace, span: random() };
            // What a batch does belongs to the first of its messages.
            if all.is_empty() {
                tables.active.insert(task, own);
            }
            let (parent, name) = (message.own.span, name.to_string());
            let work = Open { own, parent, began: Instant::now(), name, kind: SpanKind::Server, error: None };
            all.push(Handled { sent, message, work });
        }
        all
    })
}

/// `n_messages` were worked on together. `again`: they are worked on again, in parts.
pub(super) fn answered(
    task: u64,
    actor: u64,
    n_messages: usize,
    handled: Vec<Handled>,
    error: Option<&str>,
    again: bool,
) {
    with_tables(|tables| {
        tables.active.remove(&task);
        for Handled { sent, mut message, mut work } in handled {
            let batch = (n_messages > 1).then(|| ("stark.batch", n_messages.to_string()));
            work.error = error.map(str::to_string);
            tables.close(work, [("stark.actor", actor.to_string())].into_iter().chain(batch).collect());
            if again {
                tables.messages.insert((actor, sent), message);
            } else {
                message.error = error.map(str::to_string);
                tables.close(message, Vec::new());
            }
        }
    });
}

/// `task` ran a model, beginning at `began`.
pub(super) fn predicted(task: u64, began: Instant, file: &str, rows: u64, error: Option<String>) {
    with_tables(|tables| {
        if let Some(mut open) = tables.open(task, began, "predict".to_string(), SpanKind::Internal) {
            open.error = error;
            let attributes = vec![("stark.model", file.to_string()), ("stark.rows", rows.to_string())];
            tables.close(open, attributes);
        }
    });
}
