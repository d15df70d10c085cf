//! The life of an actor: hooks, handlers, and what a failure leads to.
//!
//! A turn goes on until the mailbox is empty, a handler waits, or the budget is spent. A task that asks and waits for the
//! answer may give an actor that has nothing to do its message itself and run it inside its own turn (`take_call`, `called`).
//! A message that fails leaves no
//! trace in the state as far as anybody can see it afterwards: `Resume`, `on_error`, `on_stop` and the parts of a split
//! batch get the state from before it, of which a copy is kept (shared until it is written) only where one of them is
//! there to see it.

use super::batch;
use super::cell::{ActorCell, Ended, Envelope, Extra, Reply, Rows, refused};
use super::inbox::{Ready, Taken};
use super::supervisor::{Supervisor, Verdict};
use crate::conc::promise::{Answer, PromiseRef};
use crate::conc::restart::RestartLimit;
use crate::fault::{Fault, FaultKind};
use crate::heap::Parcel;
use crate::interp::{Begin, Frames, Machine, TaskEnd, Turn};
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

    /// Its turn is over: gives back what it has no need for now.
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

impl Acting<'_> {
    /// What became of the message that it was given directly.
    #[inline]
    fn called(&mut self) -> Called {
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Answered(answer) => Called::Answer(answer.unpack()),
            doing => {
                self.now.doing = doing;
                self.promise_caller();
                Called::Promised(self.now.promised.take().unwrap_or_else(|| {
                    let promise = Answer::ask(&self.kept.cell, None);
                    promise.fail(self.kept.cell.gone());
                    promise
                }))
            }
        }
    }

    /// A message that was given directly cannot be answered in this turn: from now on it is an ask like others.
    fn promise_caller(&mut self) {
        let reply = match &mut self.now.doing {
            Doing::Message(one) => &mut one.reply,
            Doing::Called(envelope) => &mut envelope.reply,
            _ => return,
        };
        if matches!(reply, Reply::Caller) {
            let promise = Answer::ask(&self.kept.cell, None);
            *reply = Reply::Ask(promise.clone());
            self.now.promised = Some(promise);
        }
    }

    fn answer_caller(&mut self, value: Value) {
        match Parcel::pack(value) {
            Ok(answer) => self.now.doing = Doing::Answered(answer),
            Err(_) => {
                let promise = Answer::ask(&self.kept.cell, None);
                promise.fail(refused());
                self.now.promised = Some(promise);
            }
        }
    }

    /// Not inlined: turns of other tasks are short.
    #[inline(never)]
    pub fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        // Not counted anew for every turn.
        machine.task().actor = self.kept.lent.take().or_else(|| Some(self.kept.cell.clone()));
        machine.task().deadline = self.deadline();
        let outcome = self.work(machine, cx);
        if outcome == Outcome::Park {
            // Not only when half of the mailbox is free: what the handler waits for may be what such a sender does next.
            self.kept.cell.inbox.let_in(&mut self.now.ready);
        }
        self.kept.lent = machine.task().actor.take();
        outcome
    }

    /// Of the ask that is worked on.
    fn deadline(&self) -> Option<Instant> {
        match &self.now.doing {
            Doing::Message(one) => one.extra.as_ref()?.deadline,
            _ => None,
        }
    }

    fn work(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if !std::mem::replace(&mut self.kept.has_begun, true)
            && let Some(state) = self.kept.state.take()
        {
            self.kept.cell.set_task(cx.task());
            if self.kept.policy == Policy::Restart || self.kept.cell.supervisor().is_some() {
                self.kept.first = Some(Box::new(First { state: state.clone(), for_children: None }));
            }
            self.start(machine, state);
        }
        if let Some(timer) = self.now.timer.take() {
            cx.cancel(timer);
        }
        let mut budget = i64::from(cx.budget());
        let mut interrupt = cx.shared().interrupt();
        loop {
            if matches!(self.now.doing, Doing::Answered(_)) {
                return self.park(machine, cx, budget, WaitReason::Mailbox);
            }
            let has_orders = self.kept.cell.has_orders();
            if has_orders && self.kept.cell.is_killed() {
                return self.kill(machine);
            }
            // A message that is given directly begins first, as one in the mailbox would wait: the wake-up is on its way.
            if has_orders && !matches!(self.now.doing, Doing::Called(_)) {
                if self.kept.cell.take_restart() {
                    self.restart_by_order(machine);
                }
                if let Some(error) = self.kept.cell.take_failure()
                    && self.fail_by_order(machine, error.unpack()) == Life::Over
                {
                    return Outcome::Done;
                }
            }
            if matches!(self.now.doing, Doing::Idle | Doing::Called(_)) {
                match self.next(machine, cx) {
                    Next::Begun => {}
                    Next::Again => {
                        budget -= MESSAGE_COST;
                        continue;
                    }
                    Next::Park(reason) => return self.park(machine, cx, budget, reason),
                    Next::Yield => return Outcome::Yield,
                    Next::Ended => return Outcome::Done,
                }
            }
            if budget <= 0 {
                return Outcome::Yield;
            }
            let turn = machine.run(budget as u32, interrupt.take());
            observe::settle(machine.task(), || self.now.doing.answers().map(PromiseRef::Answer));
            match turn {
                Turn::Yield => return Outcome::Yield,
                Turn::Wait(reason, detail) => {
                    cx.set_spent(spent(cx, machine.budget));
                    cx.wait_for(reason, detail);
                    return Outcome::Park;
                }
                Turn::Done(TaskEnd::Exit(status)) => {
                    self.kept.cell.program().exit(status);
                    return Outcome::Done;
                }
                Turn::Done(TaskEnd::Returned(value)) => {
                    self.now.handling.end();
                    budget = machine.budget - MESSAGE_COST;
                    self.kept.state = machine.take_receiver();
                    self.now.before = None;
                    if self.returned(machine, value) == Life::Over {
                        return Outcome::Done;
                    }
                }
                Turn::Done(TaskEnd::Failed(error)) => {
                    budget = machine.budget - MESSAGE_COST;
                    match &self.now.doing {
                        Doing::Batch(job) if job.current.len() > 1 => {
                            self.now.handling.split(|| summary(machine, &error))
                        }
                        _ => self.now.handling.fail(|| summary(machine, &error)),
                    }
                    // Behind the clone the failed call may have left holes.
                    self.kept.state = self.now.before.take().map(|state| *state);
                    if self.failed(machine, error) == Life::Over {
                        return Outcome::Done;
                    }
                }
            }
        }
    }

    fn park(&self, machine: &mut Machine, cx: &Context<'_, TaskBody>, budget: i64, reason: WaitReason) -> Outcome {
        machine.give_back_stack();
        cx.set_spent(spent(cx, budget));
        cx.wait_for(reason, self.kept.cell.id());
        Outcome::Park
    }

    // --- beginning calls -------------------------------------------------------------------------------------------

    /// Calls `func` with the state and `args`; `keep`: somebody will see the state if it fails.
    fn call(&mut self, machine: &mut Machine, func: FuncId, args: impl IntoIterator<Item = Value>, keep: bool) {
        let mut call = self.begin_call(machine, func, keep);
        args.into_iter().for_each(|arg| call.give(arg));
        call.go();
    }

    /// Begins a call of `func` with the state; the arguments follow.
    #[inline(always)]
    fn begin_call<'a>(&mut self, machine: &'a mut Machine, func: FuncId, keep: bool) -> Begin<'a> {
        let state = self.kept.state.take().expect("a state is there unless a call has it");
        self.now.before = keep.then(|| Box::new(state.clone()));
        let mut call = machine.begin(machine.code.funcs[func.index()]);
        call.give(state);
        call
    }

    fn has_witness(&self) -> bool {
        let desc = self.kept.cell.desc();
        self.kept.policy == Policy::Resume || desc.on_error.is_some() || desc.on_stop.is_some()
    }

    /// Begins with `state`: `on_start`, then the mailbox.
    fn start(&mut self, machine: &mut Machine, state: Value) {
        self.kept.state = Some(state);
        match self.kept.cell.desc().on_start {
            Some(hook) => {
                self.now.doing = Doing::Start;
                self.call(machine, hook, [], self.has_witness());
            }
            None => self.now.doing = Doing::Idle,
        }
    }

    /// Ends after `on_stop`; the cell is closed.
    fn stop(&mut self, machine: &mut Machine) -> Life {
        match (self.kept.cell.desc().on_stop, &self.kept.state) {
            (Some(hook), Some(_)) => {
                self.now.doing = Doing::Stop;
                self.call(machine, hook, [], false);
                Life::GoesOn
            }
            _ => self.end(),
        }
    }

    /// Nothing more is taken, what waits fails.
    fn close(&mut self, reason: Ended) {
        self.kept.cell.close(reason, std::mem::take(&mut self.now.ready));
    }

    fn end(&mut self) -> Life {
        observe::actor_ended(&self.kept.cell);
        self.kept.cell.end_children();
        self.kept.cell.announce();
        self.kept.state = None;
        (self.kept.first, self.now.before) = (None, None);
        Life::Over
    }

    fn kill(&mut self, machine: &mut Machine) -> Outcome {
        self.promise_caller();
        machine.abandon();
        let gave = std::mem::replace(&mut self.now.doing, Doing::Idle);
        self.now.handling.fail(|| "its actor was killed".to_string());
        self.close(Ended::Killed);
        gave.fail_open(&self.kept.cell, || self.kept.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// Ends after a panic in a turn: what is known of the state is not to be trusted.
    pub fn break_off(&mut self, machine: &mut Machine, error: Value) -> Outcome {
        self.promise_caller();
        self.report(machine, &error, "");
        let text = summary(machine, &error);
        self.now.handling.fail(|| text.clone());
        let doing = std::mem::replace(&mut self.now.doing, Doing::Idle);
        self.close(Ended::by(error, &text));
        doing.fail_open(&self.kept.cell, || self.kept.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// A sibling failed and its supervisor begins this one again, too.
    fn restart_by_order(&mut self, machine: &mut Machine) {
        if self.is_ending() {
            return;
        }
        let Some(first) = self.first_state() else { return };
        machine.abandon();
        self.promise_caller();
        let doing = std::mem::replace(&mut self.now.doing, Doing::Idle);
        let text = format!("actor {} was begun again by its supervisor", self.kept.cell.name());
        self.now.handling.fail(|| text.clone());
        doing.fail_open(&self.kept.cell, || self.kept.cell.refusal(&text));
        self.kept.cell.count_restart();
        self.kept.cell.end_children();
        self.now.before = None;
        self.start(machine, first);
    }

    /// A supervisor that it made has given up: it fails, whatever it is at, and what is above decides.
    fn fail_by_order(&mut self, machine: &mut Machine, error: Value) -> Life {
        if self.is_ending() {
            self.report(machine, &error, "");
            return Life::GoesOn;
        }
        machine.abandon();
        self.promise_caller();
        if let Some(before) = self.now.before.take() {
            self.kept.state = Some(*before);
        }
        self.now.handling.fail(|| summary(machine, &error));
        self.kept.cell.n_in_flight.store(0, Relaxed);
        let of = match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Start => Of::Start,
            Doing::Plain(handler) => Of::Messages(Box::new(Job::failed(One::plain(handler), error.clone()))),
            Doing::Message(one) => Of::Messages(Box::new(Job::failed(one, error.clone()))),
            Doing::Batch(mut job) => {
                job.fail_open(&error);
                Of::Messages(job)
            }
            _ => Of::Nothing,
        };
        self.failure(machine, error, of, true)
    }

    /// The cell is closed already.
    fn is_ending(&self) -> bool {
        matches!(self.now.doing, Doing::Stop | Doing::Tell(After::End))
    }

    /// The next message, or what else there is to do.
    fn next(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Next {
        let desc = self.kept.cell.desc();
        if matches!(self.now.doing, Doing::Called(_))
            && let Doing::Called(envelope) = std::mem::replace(&mut self.now.doing, Doing::Idle)
        {
            return self.begin_one(machine, envelope);
        }
        let inbox = &self.kept.cell.inbox;
        if !self.kept.batches {
            // Most messages are plain. Looked at where they are: what is moved as a whole right after it was written part by part
            // costs more than the rest of the way.
            machine.task().deadline = None;
            if self.now.ready.first().is_some_and(Envelope::is_plain)
                && let Some(Envelope { handler, message, .. }) = inbox.next_ready(&mut self.now.ready)
            {
                let handler = &desc.handlers[handler as usize];
                return self.begin_handler(machine, handler, message, None, Doing::Plain(handler));
            }
            if let Some(envelope) = inbox.next_ready(&mut self.now.ready) {
                return self.begin_one(machine, envelope);
            }
        }
        let taken = if self.kept.batches {
            inbox.take(|queue, stopping| batch::choose(desc, queue, stopping, || cx.now()))
        } else {
            inbox.next(&mut self.now.ready)
        };
        let envelopes = match taken {
            Taken::Message(envelope) => {
                if desc.handlers[envelope.handler as usize].batch.is_none() {
                    return self.begin_one(machine, envelope);
                }
                vec![envelope]
            }
            Taken::Messages(envelopes) => envelopes,
            Taken::Nothing => return Next::Park(WaitReason::Mailbox),
            Taken::Soon => return Next::Yield,
            Taken::Later(at) => {
                self.now.timer = Some(cx.sleep_until(at, cx.task().clone()));
                return Next::Park(WaitReason::Batch);
            }
            Taken::Ended => {
                self.close(Ended::Stopped);
                return match self.stop(machine) {
                    Life::Over => Next::Ended,
                    Life::GoesOn => Next::Begun,
                };
            }
        };
        self.begin_batch(machine, envelopes)
    }

    /// Not inlined: those that many are of do not come by here.
    #[inline(never)]
    fn begin_one(&mut self, machine: &mut Machine, envelope: Envelope) -> Next {
        if !envelope.is_wanted(&self.kept.cell) {
            return Next::Again;
        }
        let Envelope { handler, message, reply, extra } = envelope;
        let handler = &self.kept.cell.desc().handlers[handler as usize];
        machine.task().deadline = extra.as_ref().and_then(|extra| extra.deadline);
        let sent = extra.as_ref().and_then(|extra| extra.sent);
        self.begin_handler(machine, handler, message, sent, Doing::Message(One { handler, reply, extra }))
    }

    /// Inlined: what is in the envelope goes straight to where it is wanted.
    #[inline(always)]
    fn begin_handler(
        &mut self,
        machine: &mut Machine,
        handler: &'static HandlerDesc,
        message: Parcel,
        sent: Option<Instant>,
        doing: Doing,
    ) -> Next {
        self.kept.cell.n_in_flight.store(1, Relaxed);
        self.now.handling = Handling::begin(machine.task(), self.kept.cell.id(), handler, sent.into_iter());
        // What was before is nothing, which needs no drop.
        let before = std::mem::replace(&mut self.now.doing, doing);
        debug_assert!(matches!(before, Doing::Idle));
        std::mem::forget(before);
        let mut call = self.begin_call(machine, handler.func, self.has_witness());
        let message = message.unpack();
        if call.n_missing() == 1 {
            call.give(message);
        } else {
            message.into_fields().into_iter().for_each(|arg| call.give(arg));
        }
        call.go();
        Next::Begun
    }

    /// The handler of all `envelopes`, which are at least one, answers batches.
    fn begin_batch(&mut self, machine: &mut Machine, mut envelopes: Vec<Envelope>) -> Next {
        envelopes.retain(|envelope| envelope.is_wanted(&self.kept.cell));
        let Some(first) = envelopes.first() else { return Next::Again };
        let handler = &self.kept.cell.desc().handlers[first.handler as usize];
        self.kept.cell.n_in_flight.store(envelopes.len() as u32, Relaxed);
        let items = envelopes.into_iter().map(|envelope| Item {
            sent: envelope.sent(),
            input: Some(envelope.message.unpack()),
            rows: envelope.extra.and_then(|extra| extra.rows),
            reply: envelope.reply,
        });
        let items: Vec<Item> = items.collect();
        let current = 0..items.len();
        machine.task().deadline = None;
        let job = Job { handler, items, current, rest: Vec::new(), failed: Vec::new() };
        match self.run_part(machine, Box::new(job)) {
            Life::Over => Next::Ended,
            Life::GoesOn if matches!(self.now.doing, Doing::Idle) => Next::Again,
            Life::GoesOn => Next::Begun,
        }
    }

    /// Calls the handler for the current part of a batch.
    fn run_part(&mut self, machine: &mut Machine, job: Box<Job>) -> Life {
        let Some(batch) = &job.handler.batch else { return Life::GoesOn };
        let items = &job.items[job.current.clone()];
        let parts: Vec<_> = items.iter().filter_map(|i| Some((i.input.as_ref()?, i.rows.as_deref()))).collect();
        let info = machine.code.types.get(job.handler.message).field(0, 0);
        match batch::join(batch, info, &parts) {
            Ok(input) => {
                self.kept.cell.count_batch(items.len());
                self.now.handling = Handling::begin(
                    machine.task(),
                    self.kept.cell.id(),
                    job.handler,
                    items.iter().filter_map(|item| item.sent),
                );
                // A part of a larger batch that fails alone leaves the state to the parts behind it.
                let keep = job.items.len() > 1 || self.has_witness();
                let func = job.handler.func;
                self.now.doing = Doing::Batch(job);
                self.call(machine, func, [input], keep);
                Life::GoesOn
            }
            Err(fault) => {
                self.now.doing = Doing::Batch(job);
                let error = machine.code.error_value(fault);
                self.failed(machine, error)
            }
        }
    }

    // --- what a call came to ---------------------------------------------------------------------------------------

    fn returned(&mut self, machine: &mut Machine, value: Value) -> Life {
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => Life::GoesOn,
            Doing::Tell(after) => self.after(machine, after),
            Doing::Stop => self.end(),
            Doing::Plain(_) => {
                self.kept.cell.count(None, false);
                self.kept.cell.n_in_flight.store(0, Relaxed);
                Life::GoesOn
            }
            Doing::Message(One { reply, extra, .. }) => {
                let sent = extra.and_then(|extra| extra.sent);
                self.kept.cell.count(sent.map(|sent| self.kept.cell.now().saturating_duration_since(sent)), false);
                self.kept.cell.n_in_flight.store(0, Relaxed);
                match reply {
                    Reply::Nowhere => {}
                    Reply::Caller => self.answer_caller(value),
                    reply => reply.answer(value),
                }
                Life::GoesOn
            }
            Doing::Batch(job) => match job.answer(&self.kept.cell, value) {
                Ok(()) => self.next_part(machine, job),
                Err(fault) => {
                    self.now.doing = Doing::Batch(job);
                    let error = machine.code.error_value(fault);
                    self.failed(machine, error)
                }
            },
        }
    }

    /// A call failed; the state is as before it, or nobody will look at it.
    fn failed(&mut self, machine: &mut Machine, error: Value) -> Life {
        self.promise_caller();
        match std::mem::replace(&mut self.now.doing, Doing::Idle) {
            Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => {
                self.failure(machine, error, Of::Start, false)
            }
            Doing::Tell(after) => {
                self.report(machine, &error, "`on_error` of ");
                self.after(machine, after)
            }
            Doing::Stop => {
                self.report(machine, &error, "`on_stop` of ");
                self.end()
            }
            Doing::Plain(handler) => self.message_failed(machine, One::plain(handler), error),
            Doing::Message(one) => self.message_failed(machine, one, error),
            Doing::Batch(mut job) => {
                let (start, end) = (job.current.start, job.current.end);
                if end - start > 1 {
                    let middle = start + (end - start) / 2;
                    job.rest.push(middle..end);
                    job.current = start..middle;
                    return self.run_part(machine, job);
                }
                job.failed.push((start, error));
                self.next_part(machine, job)
            }
        }
    }

    fn message_failed(&mut self, machine: &mut Machine, one: One, error: Value) -> Life {
        self.kept.cell.n_in_flight.store(0, Relaxed);
        let job = Job::failed(one, error.clone());
        self.failure(machine, error, Of::Messages(Box::new(job)), false)
    }

    fn next_part(&mut self, machine: &mut Machine, mut job: Box<Job>) -> Life {
        if let Some(part) = job.rest.pop() {
            job.current = part;
            return self.run_part(machine, job);
        }
        self.kept.cell.n_in_flight.store(0, Relaxed);
        match job.failed.last() {
            None => Life::GoesOn,
            Some((_, error)) => {
                let error = error.clone();
                self.failure(machine, error, Of::Messages(job), false)
            }
        }
    }

    /// Decides what follows, answers those whose messages failed, lets `on_error` see it. `by_children`: it is a supervisor of its own
    /// that has given up.
    fn failure(&mut self, machine: &mut Machine, error: Value, of: Of, by_children: bool) -> Life {
        let text = summary(machine, &error);
        let starting = matches!(of, Of::Start);
        let verdict = match self.kept.cell.supervisor() {
            Some((supervisor, child)) => {
                let now = self.kept.cell.now();
                let verdict = supervisor.failed(child, now);
                Some((supervisor, verdict))
            }
            None => None,
        };
        let after = match (&verdict, self.kept.policy) {
            (Some((_, Verdict::Restart)), _) => After::Restart,
            (Some(_), _) => After::End,
            // One that cannot even start would begin again for ever.
            (None, _) if starting => After::End,
            (None, Policy::Stop) => After::End,
            (None, Policy::Restart) if by_children && !self.may_begin_again() => After::End,
            (None, Policy::Restart) => After::Restart,
            (None, Policy::Resume) => After::Resume,
        };
        // Before anybody hears of the failure, so that what they see then is what holds from now on.
        match &after {
            After::End => self.close(Ended::by(error.clone(), &text)),
            After::Restart => self.kept.cell.count_restart(),
            After::Resume => {}
        }
        if let Some((supervisor, Verdict::GiveUp)) = &verdict {
            self.fail_upward(machine, supervisor, &error, &text);
        }
        let mut heard = false;
        if let Of::Messages(job) = of {
            let now = self.kept.cell.now();
            for (i, error) in &job.failed {
                let (item, text) = (&job.items[*i], summary(machine, error));
                self.kept.cell.count(item.sent.map(|sent| now.saturating_duration_since(sent)), true);
                heard |= !matches!(item.reply, Reply::Nowhere);
                item.reply.fail(self.kept.cell.failed(error, &text));
            }
        }
        if !heard {
            self.report(machine, &error, "");
        }
        match (self.kept.cell.desc().on_error, &self.kept.state) {
            (Some(hook), Some(_)) => {
                self.now.doing = Doing::Tell(after);
                self.call(machine, hook, [error], true);
                Life::GoesOn
            }
            _ => self.after(machine, after),
        }
    }

    fn may_begin_again(&mut self) -> bool {
        let (max, within) = FOR_CHILDREN;
        // Only what has a state to begin with may begin again.
        let Some(first) = &mut self.kept.first else { return false };
        first.for_children.get_or_insert_with(|| RestartLimit::new(max, within)).allow(self.kept.cell.now())
    }

    fn first_state(&self) -> Option<Value> {
        self.kept.first.as_ref().map(|first| first.state.clone())
    }

    /// Its supervisor has given up: the actor that made that one fails, or at the top standard error is told.
    fn fail_upward(&self, machine: &Machine, supervisor: &Arc<Supervisor>, error: &Value, text: &str) {
        let (limit, name) = (supervisor.limit(), self.kept.cell.name());
        let text = format!("supervisor gives up: {limit}; actor {name} failed last: {text}");
        let fault = Fault::with_fields(FaultKind::ActorError, text.clone(), vec![error.clone()]).caused_by(error);
        let above = supervisor.above().zip(Parcel::pack(machine.code.error_value(fault)).ok());
        if !above.is_some_and(|(above, error)| above.fail(supervisor, error)) {
            self.kept.cell.program().eprint(&format!("error: {text}\n"));
        }
    }

    fn after(&mut self, machine: &mut Machine, after: After) -> Life {
        match after {
            After::Resume => {
                self.now.doing = Doing::Idle;
                Life::GoesOn
            }
            After::Restart => match self.first_state() {
                Some(first) => {
                    self.kept.cell.end_children();
                    self.start(machine, first);
                    Life::GoesOn
                }
                None => self.end(),
            },
            After::End => self.stop(machine),
        }
    }

    /// An error that reaches nobody is told on standard error.
    fn report(&mut self, machine: &mut Machine, error: &Value, what: &str) {
        let text = describe(machine, error);
        self.kept.cell.program().eprint(&format!("{text}  in {what}actor {}\n", self.kept.cell.name()));
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

/// Whether the actor is still there after a step.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    Over,
}

#[must_use]
enum Next {
    /// A call has begun.
    Begun,
    /// Look again.
    Again,
    Park(WaitReason),
    /// Look again when others have had their turns.
    Yield,
    Ended,
}

// A million actors may be parked: with this a body is no larger than that of a task.
const _: () = assert!(size_of::<ActorBody>() <= 64 && size_of::<ActorCell>() <= 176);
