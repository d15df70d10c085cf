//! The life of an actor: hooks, handlers, and what a failure leads to.
//!
//! A turn goes on until the mailbox is empty, a handler waits, or the budget is spent. A task that asks and waits for the
//! answer may give an actor that has nothing to do its message itself and run it inside its own turn (`take_call`, `called`).
//! A message that fails leaves no
//! trace in the state as far as anybody can see it afterwards: `Resume`, `on_error`, `on_stop` and the parts of a split
//! batch get the state from before it, of which a copy is kept (shared until it is written) only where one of them is
//! there to see it.

mod turn;

use super::batch;
use super::cell::{ActorCell, Ended, Envelope, Extra, Reply, Rows, refused};
use super::inbox::{Ready, Taken};
use super::supervisor::{Supervisor, Verdict};
use crate::conc::promise::{Answer, PromiseRef};
use crate::conc::restart::RestartLimit;
use crate::fault::{Fault, FaultKind};
use crate::heap::Parcel;
use crate::interp::{Begin, Frames, Interrupt, Machine, TaskEnd, Turn};
use crate::observe::{self, Handling};
use crate::spare::Spare;
use crate::task::{TaskBody, WaitReason, describe, spent, summary};
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use stark_bytecode::{FuncId, HandlerDesc, TypeDesc};
use stark_kernels::Tensor;
use stark_scheduler::{Context, Outcome, TimerKey};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// So often within so long an actor without a supervisor begins again for its children, under `Policy::Restart`: what a
/// `Supervisor` that nothing else is said to allows. Unlike a message that fails, nobody has to send anything for the next.
const FOR_CHILDREN: (usize, Duration) = (3, Duration::from_secs(5));

/// What a message costs beside what its handler does, in reductions: taking it, answering it. A guess from the length of
/// the code; it keeps an actor with an endless mailbox from holding its worker.
const MESSAGE_COST: i64 = 20;

/// What becomes of an actor whose handler failed. In the order of the library's `Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Stop,
    Restart,
    Resume,
}

impl Policy {
    pub const ALL: [Policy; 3] = [Policy::Stop, Policy::Restart, Policy::Resume];
}

/// What the scheduler runs of an actor. A million of them may be parked with nothing to do: then it is what the actor keeps,
/// and no more.
pub(crate) struct ActorBody {
    kept: Kept,
    /// `None` while it is at nothing.
    work: Option<Box<Work>>,
}

/// What lasts from message to message.
struct Kept {
    cell: Arc<ActorCell>,
    /// The cell again, for the machine during a turn.
    lent: Option<Arc<ActorCell>>,
    /// `None` while a call has it, and after one that failed with nobody to see the state.
    state: Option<Value>,
    /// What a restart begins with.
    first: Option<Box<First>>,
    policy: Policy,
    /// One of its handlers answers batches.
    batches: bool,
    /// It had its first turn.
    has_begun: bool,
}

struct First {
    state: Value,
    /// How often it began again for its children.
    for_children: Option<RestartLimit>,
}

/// What an actor has while it is at something: taken for a turn, and given back when it parks with nothing to do.
#[derive(Default)]
struct Work {
    frames: Frames,
    now: Now,
}

#[derive(Default)]
struct Now {
    /// Messages taken out of the mailbox together.
    ready: Ready<Envelope>,
    /// The state before the call under way.
    before: Option<Box<Value>>,
    doing: Doing,
    /// Set while a batch gathers.
    timer: Option<TimerKey>,
    /// For a profile.
    handling: Handling,
    /// What the caller waits for instead of an answer.
    promised: Option<Arc<Answer>>,
}

/// An actor in its turn.
pub(crate) struct Acting<'a> {
    kept: &'a mut Kept,
    now: &'a mut Now,
}

thread_local! { static SPARE: Spare<Work> = const { Spare::new() } }

#[derive(Default)]
enum Doing {
    /// Nothing: the mailbox is next.
    #[default]
    Idle,
    /// Nothing yet: this message is next, which did not come through the mailbox.
    Called(Envelope),
    /// Nothing: this answer waits for the caller. The actor still waits for a message, as before it was called.
    Answered(Parcel),
    /// `on_start` runs.
    Start,
    /// A handler runs for one message of which nothing is to be kept, as for most.
    Plain(&'static HandlerDesc),
    /// A handler runs for one message.
    Message(One),
    /// A handler runs for a batch, or for a part of one.
    Batch(Box<Job>),
    /// `on_error` runs; then this.
    Tell(After),
    /// `on_stop` runs; nothing more is taken.
    Stop,
}

/// What became of a message that was given to the actor directly.
pub(crate) enum Called {
    Answer(Value),
    /// The handler waits, or has failed.
    Promised(Arc<Answer>),
}

/// What follows a failure.
enum After {
    /// The cell is closed already.
    End,
    Restart,
    Resume,
}

/// What it was at when it failed.
enum Of {
    Start,
    Messages(Box<Job>),
    /// It was at nothing.
    Nothing,
}

/// A message that is worked on alone.
struct One {
    handler: &'static HandlerDesc,
    reply: Reply,
    extra: Option<Box<Extra>>,
}

/// Messages worked on together, or one that failed.
struct Job {
    handler: &'static HandlerDesc,
    items: Vec<Item>,
    /// Which of them the call under way is for, and which are still to come, last first.
    current: Range<usize>,
    rest: Vec<Range<usize>>,
    /// The items that failed on their own, and with what.
    failed: Vec<(usize, Value)>,
}

struct Item {
    /// Kept for a batch, which may be split.
    input: Option<Value>,
    rows: Option<Box<Rows>>,
    reply: Reply,
    sent: Option<Instant>,
}

impl ActorBody {
    /// The heap that `state` is in is the new task's.
    pub(super) fn new(cell: Arc<ActorCell>, policy: Policy, state: Value) -> ActorBody {
        let batches = cell.desc().handlers.iter().any(|handler| handler.batch.is_some());
        let kept = Kept { cell, lent: None, state: Some(state), first: None, policy, batches, has_begun: false };
        ActorBody { kept, work: None }
    }

    /// The actor with all that it needs for a turn.
    #[inline]
    pub fn act(&mut self) -> (&mut Frames, Acting<'_>) {
        if self.work.is_none() {
            self.work = Some(SPARE.with(Spare::take).unwrap_or_else(new_work));
        }
        let Some(work) = &mut self.work else { unreachable!("set above") };
        (&mut work.frames, Acting { kept: &mut self.kept, now: &mut work.now })
    }

    /// Its turn is over. An actor with nothing to do gives its working part back.
    #[inline(always)]
    pub fn rest(&mut self) {
        if let Some(work) = &self.work
            && work.now.is_nothing()
            && work.frames.are_none()
            && let Some(work) = self.work.take()
        {
            SPARE.with(|spare| spare.put(work));
        }
    }

    pub fn frames(&self) -> Option<&Frames> {
        self.work.as_ref().map(|work| &work.frames)
    }

    pub fn take_frames(&mut self) -> Frames {
        self.work.as_mut().map(|work| std::mem::take(&mut work.frames)).unwrap_or_default()
    }

    fn doing(&self) -> &Doing {
        self.work.as_ref().map_or(&Doing::Idle, |work| &work.now.doing)
    }

    pub fn cell(&self) -> &Arc<ActorCell> {
        &self.kept.cell
    }

    /// The answer that it works on; of a batch the first.
    pub fn answers(&self) -> Option<Arc<Answer>> {
        self.doing().answers()
    }

    /// It has begun and waits for its next message.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.kept.has_begun && matches!(self.doing(), Doing::Idle) && self.kept.cell.inbox.is_empty()
    }

    /// One of its calls is under way, or its first turn is to come.
    pub fn is_handling(&self) -> bool {
        !self.kept.has_begun || !matches!(self.doing(), Doing::Idle)
    }

    /// Takes the message in `envelope`, whose reply is `Caller`, for the next turn; `called` is asked after it. `false`: it does
    /// not wait for a message.
    #[inline]
    pub fn take_call(&mut self, envelope: &mut Option<Envelope>) -> bool {
        // It has found its mailbox empty and parked; what has come in since then, the caller's own messages among it, goes first.
        let gathers = self.work.as_ref().is_some_and(|work| !work.now.ready.is_empty() || work.now.timer.is_some());
        if !gathers
            && !self.kept.batches
            && self.is_idle()
            && let Some(envelope) = envelope.take()
        {
            self.act().1.now.doing = Doing::Called(envelope);
            return true;
        }
        false
    }

    /// The heap of the caller is the current one.
    #[inline]
    pub fn called(&mut self) -> Called {
        // A turn after `take_call` leaves its answer, or what it still does.
        let called = self.act().1.called();
        self.rest();
        called
    }

    /// Bytes of the tensors in the state; `None` while a call has it.
    pub fn tensor_bytes(&self) -> Option<u64> {
        self.kept.state.as_ref().map(tensor_bytes)
    }
}

#[cold]
fn new_work() -> Box<Work> {
    Box::default()
}

impl Now {
    #[inline]
    fn is_nothing(&self) -> bool {
        matches!(self.doing, Doing::Idle)
            && self.ready.is_unused()
            && self.timer.is_none()
            && self.promised.is_none()
            && self.before.is_none()
            && self.handling.is_none()
    }
}

/// Bytes of the tensors in `state`.
fn tensor_bytes(state: &Value) -> u64 {
    let mut total = 0;
    let mut work: Vec<ValueRef<'_>> = vec![state.as_ref()];
    while let Some(value) = work.pop() {
        // A field that a forged module took and never gave back.
        if value.is_hole() {
            continue;
        }
        match &value.info().desc {
            TypeDesc::Tensor { .. } => total += value.opaque::<Tensor>().n_bytes() as u64,
            TypeDesc::Vec(elem) if holds_refs(value.info().sibling(*elem)) => work.extend(value.vec().iter()),
            TypeDesc::Map(..) | TypeDesc::Set(_) => {
                value.map().iter().for_each(|(key, value)| work.extend([key, value]));
            }
            TypeDesc::Dyn { .. } => work.push(value.inner()),
            TypeDesc::Tuple(_) | TypeDesc::Struct { .. } | TypeDesc::Enum { .. } | TypeDesc::Actor(_)
                if value.info().is_ref =>
            {
                work.extend((0..value.n_fields()).map(|i| value.field(i)));
            }
            _ => {}
        }
    }
    total
}

fn holds_refs(info: &TypeInfo) -> bool {
    info.is_ref && !matches!(info.desc, TypeDesc::Str | TypeDesc::Bytes)
}

impl Drop for ActorBody {
    /// Dropped where it stands: the program has ended. What waits in the mailbox is let go, since an envelope holds the
    /// actor that holds it.
    fn drop(&mut self) {
        if !self.kept.cell.inbox.is_dead() {
            let ready = self.work.as_mut().map(|work| std::mem::take(&mut work.now.ready)).unwrap_or_default();
            self.kept.cell.close(Ended::Killed, ready);
        }
    }
}

impl Doing {
    /// The answer that is worked on; of a batch the first.
    fn answers(&self) -> Option<Arc<Answer>> {
        match self {
            Doing::Message(one) => one.reply.promise().cloned(),
            Doing::Batch(job) => job.items.get(job.current.start)?.reply.promise().cloned(),
            _ => None,
        }
    }

    /// Fails the messages that are worked on and have no answer yet.
    fn fail_open(self, cell: &ActorCell, fault: impl Fn() -> Fault) {
        match self {
            Doing::Plain(_) => {}
            Doing::Message(one) => one.reply.fail(fault()),
            Doing::Called(envelope) => return envelope.reply.fail(fault()),
            // One that was answered does not change any more.
            Doing::Batch(job) => job.items.iter().for_each(|item| item.reply.fail(fault())),
            Doing::Idle | Doing::Answered(_) | Doing::Start | Doing::Tell(_) | Doing::Stop => return,
        }
        cell.n_in_flight.store(0, Relaxed);
    }
}

impl One {
    fn plain(handler: &'static HandlerDesc) -> One {
        One { handler, reply: Reply::Nowhere, extra: None }
    }
}

impl Job {
    fn failed(one: One, error: Value) -> Job {
        let sent = one.extra.and_then(|extra| extra.sent);
        let item = Item { input: None, rows: None, reply: one.reply, sent };
        Job { handler: one.handler, items: vec![item], current: 0..1, rest: Vec::new(), failed: vec![(0, error)] }
    }

    /// Those that have no answer yet fail with `error`.
    fn fail_open(&mut self, error: &Value) {
        let open = std::mem::take(&mut self.rest).into_iter().chain([self.current.clone()]).flatten();
        self.failed.extend(open.map(|i| (i, error.clone())));
    }

    /// Answers the messages of the current part.
    fn answer(&self, cell: &ActorCell, value: Value) -> Result<(), Fault> {
        let items = &self.items[self.current.clone()];
        let Some(batch) = &self.handler.batch else { return Ok(()) };
        let parts: Vec<_> = items.iter().map(|item| item.rows.as_deref()).collect();
        let answers = batch::split(batch, &value, &parts)?;
        let now = cell.now();
        for item in items {
            cell.count(item.sent.map(|sent| now.saturating_duration_since(sent)), false);
        }
        cell.n_in_flight.fetch_sub((items.len() as u32).min(cell.n_in_flight.load(Relaxed)), Relaxed);
        for (item, answer) in items.iter().zip(answers) {
            item.reply.answer(answer);
        }
        Ok(())
    }
}

// A million actors may be parked: with this a body is no larger than that of a task.
const _: () = assert!(size_of::<ActorBody>() <= 64 && size_of::<ActorCell>() <= 176);
