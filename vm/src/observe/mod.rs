//! Looking into a program that runs: what waits where, samples, traces, figures.
//!
//! Off, it costs a relaxed load where a task's turn begins, where the interpreter leaves its loop anyway, and for each
//! message. A clock thread counts ticks while something is recorded; a worker that finds the count changed at its next
//! safe point notes the stack it is in, once for all ticks since. Turns end when their budget is spent, some tens of
//! microseconds, so a safe point is near; after a long native it stands for as many ticks as the native took.
//! Allocations are found by their bytes (`heap::sampled`) and noted by the instruction that made them.
//!
//! Reading order: this file is what the rest of the VM calls, `recorder` what is kept, `chain` who awaits a task,
//! `models` the figures of models, `spans` and `logs` what OpenTelemetry is sent, `control` beginning and ending a recording, `status` questions without one, `serve`
//! the socket.

mod recorder;

mod chain;

mod models;

mod spans;

mod logs;

mod control;

mod status;

mod serve;

use crate::actor::ActorCell;
use crate::conc::promise::PromiseRef;
use crate::heap::sampled::{self, Allocated};
use crate::interp::Calls;
use crate::task::{TaskBody, TaskCx};
use parking_lot::Mutex;
use stark_bytecode::HandlerDesc;
use stark_profile::model::{Batch, Event, EventKind};
use stark_scheduler::{Context, Outcome, TaskRef, TaskState};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

pub use control::take_recording;
pub use logs::{LogLine, keep_log, take_log};
pub use serve::{Server, serve};
pub use spans::{Span, SpanKind, take_spans, trace};
pub use status::{stats, tasks};

pub(crate) use control::{program_begins, program_ended};
pub(crate) use logs::{log_is_kept, logged};
pub(crate) use models::{Prediction, predict};

/// Samples, calls of models and batches are noted.
const RECORD: u8 = 1;
/// So is everything else.
const TRACE: u8 = 2;
/// Somebody asks where running tasks stand.
const PLACES: u8 = 4;
/// Requests are traced.
const SPANS: u8 = 8;

static MODE: AtomicU8 = AtomicU8::new(0);
/// Counted by the clock thread.
static TICKS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The ticks that this worker has accounted for.
    static SEEN: Cell<u32> = const { Cell::new(0) };
    /// Turns of this worker that are inside one another.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The innermost is that of an actor that is called: who awaits its answer is not written anywhere.
    static IS_CALL: Cell<bool> = const { Cell::new(false) };
    /// Where called actors were seen, until their caller says where it stands.
    static CALLED: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
    static HAS_CALLED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn is_recording() -> bool {
    MODE.load(Relaxed) & RECORD != 0
}

fn is_tracing() -> bool {
    MODE.load(Relaxed) & TRACE != 0
}

/// Whether there was a tick during this turn that is not accounted for.
#[inline]
pub(crate) fn is_due() -> bool {
    TICKS.load(Relaxed) != SEEN.get()
}

/// Where running tasks stood when they were last asked.
static SEEN_AT: Mutex<Option<HashMap<u64, Calls>>> = Mutex::new(None);

/// Where a task was seen.
pub(crate) struct Seen {
    at: u64,
    task: u64,
    what: What,
    calls: Calls,
    native: Option<&'static str>,
    /// Where the caller of the actor stood that was seen within a turn of its caller.
    caller: Option<Calls>,
}

enum What {
    /// It ran for so many ticks.
    Ticks(u32),
    Allocated(Allocated),
}

/// Accounts for the ticks since the last look: the task stands in `calls`, or in `native` called from there.
#[cold]
#[inline(never)]
pub(crate) fn look(cx: &mut TaskCx, calls: Calls, native: Option<&'static str>) {
    let ticks = TICKS.load(Relaxed);
    let weight = ticks.wrapping_sub(SEEN.replace(ticks));
    let mode = MODE.load(Relaxed);
    let Some(task) = cx.me().map(|me| me.id().0) else { return };
    if mode & PLACES != 0
        && let Some(places) = &mut *SEEN_AT.lock()
    {
        places.insert(task, calls.clone());
    }
    if mode & RECORD != 0 {
        let what = What::Ticks(weight);
        cx.seen.push(Seen { at: recorder::now(), task, what, calls, native, caller: None });
    }
}

/// What `sampled` has found was allocated in `calls`, or in `native` called from there.
pub(crate) fn allocated(cx: &mut TaskCx, calls: Calls, native: Option<&'static str>) {
    let found = sampled::take();
    if let (true, Some(me)) = (is_recording(), cx.me()) {
        let (at, task, what) = (recorder::now(), me.id().0, What::Allocated(found));
        cx.seen.push(Seen { at, task, what, calls, native, caller: None });
    }
}

/// Whether an actor was seen in a turn inside the one under way.
#[inline]
pub(crate) fn has_called() -> bool {
    HAS_CALLED.get()
}

/// The actors that were seen were called from `calls`.
#[cold]
#[inline(never)]
pub(crate) fn called(cx: &mut TaskCx, calls: Calls) {
    HAS_CALLED.set(false);
    let seen = CALLED.take();
    cx.seen.extend(seen.into_iter().map(|seen| Seen { caller: Some(calls.clone()), ..seen }));
}

/// Runs `turn`, a turn of an actor that is called.
#[inline]
pub(crate) fn call<R>(turn: impl FnOnce() -> R) -> R {
    IS_CALL.set(true);
    let out = turn();
    IS_CALL.set(false);
    out
}

/// The machine came back: keeps where it was seen, under whoever awaits the answer that it works on.
///
/// Only here, and not with every call, is it asked who that is: counting a reference to a promise for each message
/// would cost more than all the rest.
#[inline]
pub(crate) fn settle(cx: &mut TaskCx, answers: impl FnOnce() -> Option<PromiseRef>) {
    if !cx.seen.is_empty() {
        keep(cx, answers());
    }
}

#[cold]
fn keep(cx: &mut TaskCx, answers: Option<PromiseRef>) {
    let seen = std::mem::take(&mut cx.seen);
    if IS_CALL.get() {
        HAS_CALLED.set(true);
        return CALLED.with_borrow_mut(|called| called.extend(seen));
    }
    let awaiters = answers.map(|promise| chain::awaiters(&promise)).unwrap_or_default();
    for Seen { at, task, what, calls, native, caller } in seen {
        let awaiters: Vec<_> = caller.into_iter().chain(awaiters.iter().cloned()).collect();
        let stack = recorder::Stack { calls: &calls, native, awaiters: &awaiters };
        match what {
            What::Ticks(weight) => recorder::sample(at, task, cx.worker(), weight, stack),
            What::Allocated(found) => recorder::allocation(found, stack),
        }
    }
}

/// A task's turn, from before its first instruction.
pub(crate) struct Turn {
    /// When it began, if turns are noted.
    begun: Option<u64>,
    has_spans: bool,
    /// Ticks that the turn around this one has not accounted for.
    owed: u32,
}

impl Turn {
    #[inline]
    pub fn begin() -> Turn {
        let (ticks, depth) = (TICKS.load(Relaxed), DEPTH.get());
        // What ticked while the worker slept is nobody's.
        let owed = if depth > 0 { ticks.wrapping_sub(SEEN.get()) } else { 0 };
        SEEN.set(ticks);
        DEPTH.set(depth + 1);
        let mode = MODE.load(Relaxed);
        if (mode & RECORD != 0) != sampled::is_on() {
            sampled::switch(mode & RECORD != 0);
        }
        Turn { begun: (mode & TRACE != 0).then(recorder::now), has_spans: mode & SPANS != 0, owed }
    }

    #[inline]
    pub fn end(self, cx: &Context<'_, TaskBody>, outcome: Outcome) {
        DEPTH.set(DEPTH.get() - 1);
        SEEN.set(SEEN.get().wrapping_sub(self.owed));
        if let Some(begun) = self.begun {
            self::turn_ended(begun, cx, outcome);
        }
        if self.has_spans && outcome == Outcome::Done {
            spans::task_ended(cx.task().id().0);
        }
    }
}

#[cold]
fn turn_ended(begun: u64, cx: &Context<'_, TaskBody>, outcome: Outcome) {
    let (task, worker, now) = (cx.task().id().0, cx.worker(), recorder::now());
    let event = |kind, at, dur, what, id| Event { kind, at, dur, task, worker: worker as u32, what, id };
    recorder::event(event(EventKind::Turn, begun, now.saturating_sub(begun), 0, 0));
    match outcome {
        Outcome::Yield => {}
        Outcome::Park => {
            let (reason, detail) = cx.task().wait();
            // How long, the recorder finds out when the task goes on.
            recorder::event(event(EventKind::Wait, now, 0, recorder::name(reason.words()), detail));
        }
        Outcome::Done => recorder::event(event(EventKind::End, now, 0, 0, 0)),
    }
}

/// `task` was begun to run `what`.
#[inline]
pub(crate) fn spawned(cx: &TaskCx, task: &TaskRef<TaskBody>, what: impl FnOnce() -> String) {
    if is_tracing() {
        let by = cx.id();
        let (at, what) = (recorder::now(), recorder::name(&what()));
        let worker = cx.worker() as u32;
        recorder::event(Event { kind: EventKind::Spawn, at, dur: 0, task: task.id().0, worker, what, id: by });
    }
}

/// A task is about to end with an error.
#[inline]
pub(crate) fn failed(task: u64, error: impl FnOnce() -> String) {
    if spans::is_on() {
        spans::task_failed(task, error());
    }
}

/// `task` was begun for what the task of `cx` does.
#[inline]
pub(crate) fn begun_for(cx: &TaskCx, task: &TaskRef<TaskBody>, what: &str) {
    if spans::is_on() {
        let by = cx.id();
        spans::spawned(by, task.id().0, what.to_string(), || task.state() == TaskState::Done);
    }
}

/// An actor is about to be gone, with its figures.
#[inline]
pub(crate) fn actor_ended(cell: &ActorCell) {
    if is_recording() {
        recorder::actor(cell.figures());
    }
}

/// A message is named by its receiver and the moment it was sent.
fn message_id(actor: u64, sent: Instant) -> u64 {
    recorder::since_began(sent).wrapping_mul(4096).wrapping_add(actor & 4095)
}

/// Whether messages are known by the moment they were sent.
#[inline]
pub(crate) fn follows_messages() -> bool {
    MODE.load(Relaxed) & (TRACE | SPANS) != 0
}

/// The task sent a message.
#[inline]
pub(crate) fn sent(cx: &TaskCx, actor: u64, sent: Instant) {
    if is_tracing() {
        let task = cx.id();
        let (at, id) = (recorder::now(), message_id(actor, sent));
        recorder::event(Event { kind: EventKind::Send, at, dur: 0, task, worker: cx.worker() as u32, what: 0, id });
    }
    if spans::is_on() {
        spans::sent(cx.id(), actor, sent);
    }
}

/// A message that was sent to `actor` will not be worked on.
pub(crate) fn dropped(actor: u64, sent: Option<Instant>, why: impl FnOnce() -> String) {
    if let (Some(sent), true) = (sent, spans::is_on()) {
        spans::dropped(actor, sent, &why());
    }
}

/// What an actor remembers of the messages it works on, for when it is done with them.
#[derive(Default)]
pub(crate) struct Handling(Option<Box<Begun>>);

struct Begun {
    at: u64,
    task: u64,
    worker: u32,
    actor: u64,
    handler: &'static HandlerDesc,
    sent: Vec<Instant>,
    spans: Vec<spans::Handled>,
}

impl Handling {
    #[inline]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// A handler begins to work on messages sent at these moments.
    #[inline]
    pub fn begin(
        cx: &TaskCx,
        actor: u64,
        handler: &'static HandlerDesc,
        sent: impl Iterator<Item = Instant>,
    ) -> Handling {
        if Handling::is_noted(handler) { Handling::noted(cx, actor, handler, sent.collect()) } else { Handling(None) }
    }

    /// Whether somebody wants to know of this handler's work.
    #[inline]
    pub fn is_noted(handler: &HandlerDesc) -> bool {
        is_tracing() || (handler.batch.is_some() && is_recording()) || spans::is_on()
    }

    #[cold]
    fn noted(cx: &TaskCx, actor: u64, handler: &'static HandlerDesc, sent: Vec<Instant>) -> Handling {
        let task = cx.id();
        let spans = if spans::is_on() { spans::handled(task, actor, &handler.name, &sent) } else { Vec::new() };
        let (at, worker) = (recorder::now(), cx.worker() as u32);
        Handling(Some(Box::new(Begun { at, task, worker, actor, handler, sent, spans })))
    }

    /// The handler came back.
    #[inline]
    pub fn end(&mut self) {
        if let Some(begun) = self.0.take() {
            begun.end(None, false);
        }
    }

    /// The handler threw, or its actor was ended while it worked.
    #[inline]
    pub fn fail(&mut self, error: impl FnOnce() -> String) {
        if let Some(begun) = self.0.take() {
            begun.end(Some(&error()), false);
        }
    }

    /// The handler threw at a batch, which is tried again in parts.
    pub fn split(&mut self, error: impl FnOnce() -> String) {
        if let Some(begun) = self.0.take() {
            begun.end(Some(&error()), true);
        }
    }
}

impl Begun {
    #[cold]
    fn end(self: Box<Begun>, error: Option<&str>, again: bool) {
        let Begun { at, task, worker, actor, handler, sent, spans } = *self;
        let dur = recorder::now().saturating_sub(at);
        if !spans.is_empty() {
            spans::answered(task, actor, sent.len(), spans, error, again);
        }
        if handler.batch.is_some() && is_recording() {
            let arrivals = sent.iter().map(|&sent| recorder::since_began(sent)).collect();
            recorder::batch(Batch { actor, at, dur, arrivals });
        }
        if is_tracing() {
            let what = recorder::name(&handler.name);
            for sent in sent {
                let (kind, id) = (EventKind::Handle, message_id(actor, sent));
                recorder::event(Event { kind, at, dur, task, worker, what, id });
            }
        }
    }
}
