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
use crate::interp::{Begin, Machine, TaskEnd, Turn};
use crate::observe::{self, Handling};
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

pub(crate) struct ActorBody {
    cell: Arc<ActorCell>,
    /// The cell again, for the machine during a turn.
    lent: Option<Arc<ActorCell>>,
    policy: Policy,
    /// One of its handlers answers batches.
    batches: bool,
    /// Messages taken out of the mailbox together.
    ready: Ready<Envelope>,
    /// `None` while a call has it, and after one that failed with nobody to see the state.
    state: Option<Value>,
    /// What a restart begins with.
    first: Option<Box<Value>>,
    /// How often it began again for its children.
    for_children: Option<Box<RestartLimit>>,
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

enum Doing {
    /// Nothing yet: this is the state to begin with.
    Begin(Box<Parcel>),
    /// Nothing: the mailbox is next.
    Idle,
    /// Nothing yet: this message is next, which did not come through the mailbox.
    Called(Envelope),
    /// Nothing: this answer waits for the caller. The actor still waits for a message, as before it was called.
    Answered(Parcel),
    /// `on_start` runs.
    Start,
    /// A handler runs for one message, which is nearly always so.
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
    pub(super) fn new(cell: Arc<ActorCell>, policy: Policy, state: Parcel) -> ActorBody {
        ActorBody {
            batches: cell.desc().handlers.iter().any(|handler| handler.batch.is_some()),
            cell,
            lent: None,
            policy,
            ready: Ready::default(),
            state: None,
            first: None,
            for_children: None,
            before: None,
            doing: Doing::Begin(Box::new(state)),
            timer: None,
            handling: Handling::default(),
            promised: None,
        }
    }

    pub fn cell(&self) -> &Arc<ActorCell> {
        &self.cell
    }

    /// The answer that it works on; of a batch the first.
    pub fn answers(&self) -> Option<Arc<Answer>> {
        match &self.doing {
            Doing::Message(one) => one.reply.promise().cloned(),
            Doing::Batch(job) => job.items.get(job.current.start)?.reply.promise().cloned(),
            _ => None,
        }
    }

    /// It has begun and waits for its next message.
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.doing, Doing::Idle) && self.cell.inbox.is_empty()
    }

    /// Takes the message in `envelope`, whose reply is `Caller`, for the next turn; `called` is asked after it. `false`: it does
    /// not wait for a message.
    #[inline]
    pub fn take_call(&mut self, envelope: &mut Option<Envelope>) -> bool {
        // It has found its mailbox empty and parked; what has come in since then, the caller's own messages among it, goes first.
        let waits = self.ready.is_empty() && self.timer.is_none() && self.is_idle();
        if waits
            && !self.batches
            && let Some(envelope) = envelope.take()
        {
            self.doing = Doing::Called(envelope);
            return true;
        }
        false
    }

    /// The heap of the caller is the current one.
    #[inline]
    pub fn called(&mut self) -> Called {
        match std::mem::replace(&mut self.doing, Doing::Idle) {
            Doing::Answered(answer) => Called::Answer(answer.unpack()),
            doing => {
                self.doing = doing;
                self.promise_caller();
                Called::Promised(self.promised.take().unwrap_or_else(|| {
                    let promise = Answer::ask(&self.cell, None);
                    promise.fail(self.cell.gone());
                    promise
                }))
            }
        }
    }

    /// A message that was given directly cannot be answered in this turn: from now on it is an ask like others.
    fn promise_caller(&mut self) {
        let reply = match &mut self.doing {
            Doing::Message(one) => &mut one.reply,
            Doing::Called(envelope) => &mut envelope.reply,
            _ => return,
        };
        if matches!(reply, Reply::Caller) {
            let promise = Answer::ask(&self.cell, None);
            *reply = Reply::Ask(promise.clone());
            self.promised = Some(promise);
        }
    }

    fn answer_caller(&mut self, value: Value) {
        match Parcel::pack(value) {
            Ok(answer) => self.doing = Doing::Answered(answer),
            Err(_) => {
                let promise = Answer::ask(&self.cell, None);
                promise.fail(refused());
                self.promised = Some(promise);
            }
        }
    }

    /// One of its calls is under way.
    pub fn is_handling(&self) -> bool {
        !matches!(self.doing, Doing::Idle)
    }

    /// Not inlined: turns of other tasks are short.
    #[inline(never)]
    pub fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        // Not counted anew for every turn.
        machine.task().actor = self.lent.take().or_else(|| Some(self.cell.clone()));
        machine.task().deadline = self.deadline();
        let outcome = self.work(machine, cx);
        if outcome == Outcome::Park {
            // Not only when half of the mailbox is free: what the handler waits for may be what such a sender does next.
            self.cell.inbox.let_in(&mut self.ready);
        }
        self.lent = machine.task().actor.take();
        outcome
    }

    /// Of the ask that is worked on.
    fn deadline(&self) -> Option<Instant> {
        match &self.doing {
            Doing::Message(one) => one.extra.as_ref()?.deadline,
            _ => None,
        }
    }

    fn work(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if matches!(self.doing, Doing::Begin(_))
            && let Doing::Begin(state) = std::mem::replace(&mut self.doing, Doing::Idle)
        {
            self.cell.set_task(cx.task());
            let state = state.unpack();
            if self.policy == Policy::Restart || self.cell.supervisor().is_some() {
                self.first = Some(Box::new(state.clone()));
            }
            self.start(machine, state);
        }
        if let Some(timer) = self.timer.take() {
            cx.cancel(timer);
        }
        let mut budget = i64::from(cx.budget());
        let mut interrupt = cx.shared().interrupt();
        loop {
            if matches!(self.doing, Doing::Answered(_)) {
                return self.park(machine, cx, budget, WaitReason::Mailbox);
            }
            if self.cell.is_killed() {
                return self.kill(machine);
            }
            // A message that is given directly begins first, as one in the mailbox would wait: the wake-up is on its way.
            if !matches!(self.doing, Doing::Called(_)) {
                if self.cell.take_restart() {
                    self.restart_by_order(machine);
                }
                if let Some(error) = self.cell.take_failure()
                    && self.fail_by_order(machine, error.unpack()) == Life::Over
                {
                    return Outcome::Done;
                }
            }
            if matches!(self.doing, Doing::Idle | Doing::Called(_)) {
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
            observe::settle(machine.task(), || self.answers().map(PromiseRef::Answer));
            match turn {
                Turn::Yield => return Outcome::Yield,
                Turn::Wait(reason, detail) => {
                    cx.set_spent(spent(cx, machine.budget));
                    cx.wait_for(reason, detail);
                    return Outcome::Park;
                }
                Turn::Done(TaskEnd::Exit(status)) => {
                    self.cell.program().exit(status);
                    return Outcome::Done;
                }
                Turn::Done(TaskEnd::Returned(value)) => {
                    self.handling.end();
                    budget = machine.budget - MESSAGE_COST;
                    self.state = machine.take_receiver();
                    self.before = None;
                    if self.returned(machine, value) == Life::Over {
                        return Outcome::Done;
                    }
                }
                Turn::Done(TaskEnd::Failed(error)) => {
                    budget = machine.budget - MESSAGE_COST;
                    match &self.doing {
                        Doing::Batch(job) if job.current.len() > 1 => self.handling.split(|| summary(machine, &error)),
                        _ => self.handling.fail(|| summary(machine, &error)),
                    }
                    // Behind the clone the failed call may have left holes.
                    self.state = self.before.take().map(|state| *state);
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
        cx.wait_for(reason, self.cell.id());
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
        let state = self.state.take().expect("a state is there unless a call has it");
        self.before = keep.then(|| Box::new(state.clone()));
        let mut call = machine.begin(machine.code.funcs[func.index()]);
        call.give(state);
        call
    }

    fn has_witness(&self) -> bool {
        let desc = self.cell.desc();
        self.policy == Policy::Resume || desc.on_error.is_some() || desc.on_stop.is_some()
    }

    /// Begins with `state`: `on_start`, then the mailbox.
    fn start(&mut self, machine: &mut Machine, state: Value) {
        self.state = Some(state);
        match self.cell.desc().on_start {
            Some(hook) => {
                self.doing = Doing::Start;
                self.call(machine, hook, [], self.has_witness());
            }
            None => self.doing = Doing::Idle,
        }
    }

    /// Ends after `on_stop`; the cell is closed.
    fn stop(&mut self, machine: &mut Machine) -> Life {
        match (self.cell.desc().on_stop, &self.state) {
            (Some(hook), Some(_)) => {
                self.doing = Doing::Stop;
                self.call(machine, hook, [], false);
                Life::GoesOn
            }
            _ => self.end(),
        }
    }

    /// Nothing more is taken, what waits fails.
    fn close(&mut self, reason: Ended) {
        self.cell.close(reason, std::mem::take(&mut self.ready));
    }

    fn end(&mut self) -> Life {
        observe::actor_ended(&self.cell);
        self.cell.end_children();
        self.cell.announce();
        self.state = None;
        (self.first, self.before) = (None, None);
        Life::Over
    }

    fn kill(&mut self, machine: &mut Machine) -> Outcome {
        self.promise_caller();
        machine.abandon();
        let gave = std::mem::replace(&mut self.doing, Doing::Idle);
        self.handling.fail(|| "its actor was killed".to_string());
        self.close(Ended::Killed);
        gave.fail_open(&self.cell, || self.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// Ends after a panic in a turn: what is known of the state is not to be trusted.
    pub fn break_off(&mut self, machine: &mut Machine, error: Value) -> Outcome {
        self.promise_caller();
        self.report(machine, &error, "");
        let text = summary(machine, &error);
        self.handling.fail(|| text.clone());
        let doing = std::mem::replace(&mut self.doing, Doing::Idle);
        self.close(Ended::by(error, &text));
        doing.fail_open(&self.cell, || self.cell.gone());
        let _ = self.end();
        Outcome::Done
    }

    /// A sibling failed and its supervisor begins this one again, too.
    fn restart_by_order(&mut self, machine: &mut Machine) {
        if self.is_ending() {
            return;
        }
        let Some(first) = self.first.as_deref().cloned() else { return };
        machine.abandon();
        self.promise_caller();
        let doing = std::mem::replace(&mut self.doing, Doing::Idle);
        let text = format!("actor {} was begun again by its supervisor", self.cell.name());
        self.handling.fail(|| text.clone());
        doing.fail_open(&self.cell, || self.cell.refusal(&text));
        self.cell.stats.lock().count_restart();
        self.cell.end_children();
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
        if let Some(before) = self.before.take() {
            self.state = Some(*before);
        }
        self.handling.fail(|| summary(machine, &error));
        self.cell.n_in_flight.store(0, Relaxed);
        let of = match std::mem::replace(&mut self.doing, Doing::Idle) {
            Doing::Start => Of::Start,
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
        matches!(self.doing, Doing::Stop | Doing::Tell(After::End))
    }

    /// The next message, or what else there is to do.
    fn next(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Next {
        let desc = self.cell.desc();
        if matches!(self.doing, Doing::Called(_))
            && let Doing::Called(envelope) = std::mem::replace(&mut self.doing, Doing::Idle)
        {
            return self.begin_one(machine, envelope);
        }
        let inbox = &self.cell.inbox;
        if !self.batches
            && let Some(envelope) = inbox.next_ready(&mut self.ready)
        {
            return self.begin_message(machine, envelope);
        }
        let taken = if self.batches {
            inbox.take(|queue, stopping| batch::choose(desc, queue, stopping, || cx.now()))
        } else {
            inbox.next(&mut self.ready)
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
                self.timer = Some(cx.sleep_until(at, cx.task().clone()));
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

    /// Where it is not the next of many.
    #[inline(never)]
    fn begin_one(&mut self, machine: &mut Machine, envelope: Envelope) -> Next {
        self.begin_message(machine, envelope)
    }

    /// Inlined: what is in the envelope goes straight to where it is wanted.
    #[inline(always)]
    fn begin_message(&mut self, machine: &mut Machine, envelope: Envelope) -> Next {
        if !envelope.is_wanted(&self.cell) {
            return Next::Again;
        }
        let handler = &self.cell.desc().handlers[envelope.handler as usize];
        self.cell.n_in_flight.store(1, Relaxed);
        machine.task().deadline = envelope.deadline();
        self.handling = Handling::begin(machine.task(), self.cell.id(), handler, envelope.sent().into_iter());
        self.doing = Doing::Message(One { handler, reply: envelope.reply, extra: envelope.extra });
        let mut call = self.begin_call(machine, handler.func, self.has_witness());
        let message = envelope.message.unpack();
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
        envelopes.retain(|envelope| envelope.is_wanted(&self.cell));
        let Some(first) = envelopes.first() else { return Next::Again };
        let handler = &self.cell.desc().handlers[first.handler as usize];
        self.cell.n_in_flight.store(envelopes.len() as u32, Relaxed);
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
            Life::GoesOn if matches!(self.doing, Doing::Idle) => Next::Again,
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
                self.cell.stats.lock().count_batch(items.len());
                self.handling = Handling::begin(
                    machine.task(),
                    self.cell.id(),
                    job.handler,
                    items.iter().filter_map(|item| item.sent),
                );
                // A part of a larger batch that fails alone leaves the state to the parts behind it.
                let keep = job.items.len() > 1 || self.has_witness();
                let func = job.handler.func;
                self.doing = Doing::Batch(job);
                self.call(machine, func, [input], keep);
                Life::GoesOn
            }
            Err(fault) => {
                self.doing = Doing::Batch(job);
                let error = machine.code.error_value(fault);
                self.failed(machine, error)
            }
        }
    }

    // --- what a call came to ---------------------------------------------------------------------------------------

    fn returned(&mut self, machine: &mut Machine, value: Value) -> Life {
        match std::mem::replace(&mut self.doing, Doing::Idle) {
            Doing::Begin(_) | Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => Life::GoesOn,
            Doing::Tell(after) => self.after(machine, after),
            Doing::Stop => self.end(),
            Doing::Message(One { reply, extra, .. }) => {
                let sent = extra.and_then(|extra| extra.sent);
                self.cell.count(sent.map(|sent| self.cell.now().saturating_duration_since(sent)), false);
                self.cell.n_in_flight.store(0, Relaxed);
                match reply {
                    Reply::Caller => self.answer_caller(value),
                    reply => reply.answer(value),
                }
                Life::GoesOn
            }
            Doing::Batch(job) => match job.answer(&self.cell, value) {
                Ok(()) => self.next_part(machine, job),
                Err(fault) => {
                    self.doing = Doing::Batch(job);
                    let error = machine.code.error_value(fault);
                    self.failed(machine, error)
                }
            },
        }
    }

    /// A call failed; the state is as before it, or nobody will look at it.
    fn failed(&mut self, machine: &mut Machine, error: Value) -> Life {
        self.promise_caller();
        match std::mem::replace(&mut self.doing, Doing::Idle) {
            Doing::Begin(_) | Doing::Idle | Doing::Called(_) | Doing::Answered(_) | Doing::Start => {
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
            Doing::Message(one) => {
                self.cell.n_in_flight.store(0, Relaxed);
                let job = Job::failed(one, error.clone());
                self.failure(machine, error, Of::Messages(Box::new(job)), false)
            }
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

    fn next_part(&mut self, machine: &mut Machine, mut job: Box<Job>) -> Life {
        if let Some(part) = job.rest.pop() {
            job.current = part;
            return self.run_part(machine, job);
        }
        self.cell.n_in_flight.store(0, Relaxed);
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
        let verdict = match self.cell.supervisor() {
            Some((supervisor, child)) => {
                let now = self.cell.now();
                Some((supervisor.clone(), supervisor.failed(child, now)))
            }
            None => None,
        };
        let after = match (&verdict, self.policy) {
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
            After::Restart => self.cell.stats.lock().count_restart(),
            After::Resume => {}
        }
        if let Some((supervisor, Verdict::GiveUp)) = &verdict {
            self.fail_upward(machine, supervisor, &error, &text);
        }
        let mut heard = false;
        if let Of::Messages(job) = of {
            let now = self.cell.now();
            for (i, error) in &job.failed {
                let (item, text) = (&job.items[*i], summary(machine, error));
                self.cell.count(item.sent.map(|sent| now.saturating_duration_since(sent)), true);
                heard |= !matches!(item.reply, Reply::Nowhere);
                item.reply.fail(self.cell.failed(error, &text));
            }
        }
        if !heard {
            self.report(machine, &error, "");
        }
        match (self.cell.desc().on_error, &self.state) {
            (Some(hook), Some(_)) => {
                self.doing = Doing::Tell(after);
                self.call(machine, hook, [error], true);
                Life::GoesOn
            }
            _ => self.after(machine, after),
        }
    }

    fn may_begin_again(&mut self) -> bool {
        let (max, within) = FOR_CHILDREN;
        let limit = self.for_children.get_or_insert_with(|| Box::new(RestartLimit::new(max, within)));
        limit.allow(self.cell.now())
    }

    /// Its supervisor has given up: the actor that made that one fails, or at the top standard error is told.
    fn fail_upward(&self, machine: &Machine, supervisor: &Arc<Supervisor>, error: &Value, text: &str) {
        let (limit, name) = (supervisor.limit(), self.cell.name());
        let text = format!("supervisor gives up: {limit}; actor {name} failed last: {text}");
        let fault = Fault::with_fields(FaultKind::ActorError, text.clone(), vec![error.clone()]).caused_by(error);
        let above = supervisor.above().zip(Parcel::pack(machine.code.error_value(fault)).ok());
        if !above.is_some_and(|(above, error)| above.fail(supervisor, error)) {
            self.cell.program().eprint(&format!("error: {text}\n"));
        }
    }

    fn after(&mut self, machine: &mut Machine, after: After) -> Life {
        match after {
            After::Resume => {
                self.doing = Doing::Idle;
                Life::GoesOn
            }
            After::Restart => match self.first.as_deref().cloned() {
                Some(first) => {
                    self.cell.end_children();
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
        self.cell.program().eprint(&format!("{text}  in {what}actor {}\n", self.cell.name()));
    }

    /// Bytes of the tensors in the state; `None` while a call has it.
    pub fn tensor_bytes(&self) -> Option<u64> {
        let state = self.state.as_ref()?;
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
        Some(total)
    }
}

fn holds_refs(info: &TypeInfo) -> bool {
    info.is_ref && !matches!(info.desc, TypeDesc::Str | TypeDesc::Bytes)
}

impl Drop for ActorBody {
    /// Dropped where it stands: the program has ended. What waits in the mailbox is let go, since an envelope holds the
    /// actor that holds it.
    fn drop(&mut self) {
        if !self.cell.inbox.is_dead() {
            self.close(Ended::Killed);
        }
    }
}

impl Doing {
    /// Fails the messages that are worked on and have no answer yet.
    fn fail_open(self, cell: &ActorCell, fault: impl Fn() -> Fault) {
        match self {
            Doing::Message(one) => one.reply.fail(fault()),
            Doing::Called(envelope) => return envelope.reply.fail(fault()),
            // One that was answered does not change any more.
            Doing::Batch(job) => job.items.iter().for_each(|item| item.reply.fail(fault())),
            Doing::Begin(_) | Doing::Idle | Doing::Answered(_) | Doing::Start | Doing::Tell(_) | Doing::Stop => return,
        }
        cell.n_in_flight.store(0, Relaxed);
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

// A million actors may be parked.
const _: () = assert!(size_of::<ActorBody>() <= 224 && size_of::<ActorCell>() <= 256);
