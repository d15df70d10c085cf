//! Looking into a program that runs: what waits where, samples, traces, figures.
//!
//! Off, it costs a relaxed load where a task's turn begins, where the interpreter leaves its loop anyway, and for each
//! message. A clock thread counts ticks while something is recorded; a worker that finds the count changed at its next
//! safe point notes the stack it is in, once for all ticks since. Turns end when their budget is spent, some tens of
//! microseconds, so a safe point is near; after a long native it stands for as many ticks as the native took.
//! Allocations are found by their bytes (`heap::sampled`) and noted by the instruction that made them.
//!
//! Reading order: this file is what the rest of the VM calls, `recorder` what is kept, `chain` who awaits a task,
//! `models` the figures of models, `control` beginning and ending a recording, `status` questions without one, `serve`
//! the socket.

mod recorder;

mod chain;

mod models;

mod spans;

mod control;

mod status;

mod serve;

use crate::actor::ActorCell;
use crate::conc::tasks::Promise;
use crate::heap::sampled::{self, Allocated};
use crate::interp::Calls;
use crate::task::{TaskBody, TaskCx};
use parking_lot::Mutex;
use stark_bytecode::HandlerDesc;
use stark_profile::model::{Batch, Event, EventKind};
use stark_scheduler::{Context, Outcome, TaskRef, TaskState};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

pub use control::take_recording;
pub use serve::{Server, serve};
pub use spans::{Span, SpanKind, take_spans, trace};
pub use status::{stats, tasks};

pub(crate) use control::{program_begins, program_ended};
pub(crate) use models::predict;

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
}

pub(crate) fn is_recording() -> bool {
    MODE.load(Relaxed) & RECORD != 0
}

/// Whether anybody looks.
#[inline]
pub(crate) fn is_on() -> bool {
    MODE.load(Relaxed) != 0
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
    what: What,
    calls: Calls,
    native: Option<&'static str>,
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
        cx.seen.push(Seen { at: recorder::now(), what: What::Ticks(weight), calls, native });
    }
}

/// What `sampled` has found was allocated in `calls`, or in `native` called from there.
pub(crate) fn allocated(cx: &mut TaskCx, calls: Calls, native: Option<&'static str>) {
    let found = sampled::take();
    if is_recording() {
        cx.seen.push(Seen { at: recorder::now(), what: What::Allocated(found), calls, native });
    }
}

/// The machine came back: keeps where it was seen, under whoever awaits the answer that it works on.
///
/// Only here, and not with every call, is it asked who that is: counting a reference to a promise for each message
/// would cost more than all the rest.
#[inline]
pub(crate) fn settle(cx: &mut TaskCx, answers: impl FnOnce() -> Option<Arc<Promise>>) {
    if !cx.seen.is_empty() {
        keep(cx, answers());
    }
}

#[cold]
fn keep(cx: &mut TaskCx, answers: Option<Arc<Promise>>) {
    let seen = std::mem::take(&mut cx.seen);
    let Some(task) = cx.me().map(|me| me.id().0) else { return };
    let awaiters = answers.map(|promise| chain::awaiters(&promise)).unwrap_or_default();
    for Seen { at, what, calls, native } in seen {
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
}

impl Turn {
    #[inline]
    pub fn begin() -> Turn {
        // What ticked while the worker slept is nobody's.
        SEEN.set(TICKS.load(Relaxed));
        let mode = MODE.load(Relaxed);
        if (mode & RECORD != 0) != sampled::is_on() {
            sampled::switch(mode & RECORD != 0);
        }
        Turn { begun: (mode & TRACE != 0).then(recorder::now), has_spans: mode & SPANS != 0 }
    }

    #[inline]
    pub fn end(self, cx: &Context<'_, TaskBody>, outcome: Outcome) {
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
        let by = cx.me().map_or(0, |me| me.id().0);
        let (at, what) = (recorder::now(), recorder::name(&what()));
        let worker = cx.worker() as u32;
        recorder::event(Event { kind: EventKind::Spawn, at, dur: 0, task: task.id().0, worker, what, id: by });
    }
}

/// `task` was begun for what the task of `cx` does.
#[inline]
pub(crate) fn begun_for(cx: &TaskCx, task: &TaskRef<TaskBody>, what: &str) {
    if spans::is_on() {
        let by = cx.me().map_or(0, |me| me.id().0);
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
        let task = cx.me().map_or(0, |me| me.id().0);
        let (at, id) = (recorder::now(), message_id(actor, sent));
        recorder::event(Event { kind: EventKind::Send, at, dur: 0, task, worker: cx.worker() as u32, what: 0, id });
    }
    if spans::is_on() {
        spans::sent(cx.me().map_or(0, |me| me.id().0), actor, sent);
    }
}

/// What an actor remembers of the messages it works on, for when it is done with them.
#[derive(Default)]
pub(crate) struct Handling(Option<Box<Begun>>);

struct Begun {
    at: u64,
    actor: u64,
    handler: &'static HandlerDesc,
    sent: Vec<Instant>,
    spans: Vec<spans::Handled>,
}

impl Handling {
    /// A handler begins to work on messages sent at these moments.
    #[inline]
    pub fn begin(
        cx: &TaskCx,
        actor: u64,
        handler: &'static HandlerDesc,
        sent: impl Iterator<Item = Instant>,
    ) -> Handling {
        let is_noted = is_tracing() || (handler.batch.is_some() && is_recording()) || spans::is_on();
        if is_noted { Handling::noted(cx, actor, handler, sent.collect()) } else { Handling(None) }
    }

    #[cold]
    fn noted(cx: &TaskCx, actor: u64, handler: &'static HandlerDesc, sent: Vec<Instant>) -> Handling {
        let task = cx.me().map_or(0, |me| me.id().0);
        let spans = if spans::is_on() { spans::handled(task, actor, &handler.name, &sent) } else { Vec::new() };
        Handling(Some(Box::new(Begun { at: recorder::now(), actor, handler, sent, spans })))
    }

    #[inline]
    pub fn end(&mut self, cx: &TaskCx) {
        if let Some(begun) = self.0.take() {
            begun.end(cx);
        }
    }
}

impl Begun {
    #[cold]
    fn end(self: Box<Begun>, cx: &TaskCx) {
        let dur = recorder::now().saturating_sub(self.at);
        if !self.spans.is_empty() {
            spans::answered(cx.me().map_or(0, |me| me.id().0), self.actor, self.spans);
        }
        if self.handler.batch.is_some() && is_recording() {
            let arrivals = self.sent.iter().map(|&sent| recorder::since_began(sent)).collect();
            recorder::batch(Batch { actor: self.actor, at: self.at, dur, arrivals });
        }
        if is_tracing() {
            let (task, what) = (cx.me().map_or(0, |me| me.id().0), recorder::name(&self.handler.name));
            for &sent in &self.sent {
                let (kind, id) = (EventKind::Handle, message_id(self.actor, sent));
                recorder::event(Event { kind, at: self.at, dur, task, worker: cx.worker() as u32, what, id });
            }
        }
    }
}
