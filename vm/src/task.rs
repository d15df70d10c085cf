//! A task: an interpreter, its heap, and what is to be done with its result. The scheduler's unit of work.

use crate::actor::{Acting, ActorBody, ActorCell, Called, Envelope};
use crate::conc::promise::{Alarm, Promise, PromiseRef};
use crate::fault::{Fault, FaultKind};
use crate::heap::meter::{self, Resting};
use crate::heap::{Heap, Parcel};
use crate::inject::{self, Injecting};
use crate::interp::{Calls, Frames, Interrupt, Machine, TaskEnd, Turn};
use crate::lend;
use crate::load::Func;
use crate::observe;
use crate::panics;
use crate::program::Program;
use crate::session::SessionBody;
use crate::trace::TraceFrame;
use crate::value::Value;
use stark_kernels::Help;
use stark_scheduler::{Context, Outcome, Task, TaskRef};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Instant;

pub use stark_scheduler::WaitReason;

/// What a native or an instruction may know about the task that runs it.
pub struct TaskCx {
    program: &'static Program,
    pub(crate) worker: usize,
    /// The actor whose handler runs in it.
    pub(crate) actor: Option<Arc<ActorCell>>,
    /// When the ask that is worked on is given up; asks made for it end no later.
    pub(crate) deadline: Option<Instant>,
    /// The turn has not been told yet that the task is cancelled, if it is.
    pub(crate) hears_cancel: bool,
    /// The task that is begun next has a part in what this one works on, though it is no `Future`.
    pub(crate) begins_part: bool,
    /// Where a profiler saw it during this turn, until it is known who awaits it.
    pub(crate) seen: Vec<observe::Seen>,
    /// What the entries of a session keep.
    pub(crate) slots: Vec<Option<Value>>,
    /// How many reductions this turn may still lend to tasks that it would wait for.
    lendable: Cell<u32>,
}

impl TaskCx {
    #[inline(always)]
    pub fn new(program: &'static Program) -> TaskCx {
        TaskCx {
            program,
            worker: 0,
            actor: None,
            deadline: None,
            hears_cancel: false,
            begins_part: false,
            seen: Vec::new(),
            slots: Vec::new(),
            lendable: Cell::new(0),
        }
    }

    /// Its turn is over: nothing of it is left for the next task.
    #[inline]
    pub(crate) fn rest(&mut self) {
        self.actor = None;
        self.deadline = None;
        self.hears_cancel = false;
        self.seen.clear();
        if !self.slots.is_empty() {
            self.slots = Vec::new();
        }
    }

    /// Whether a native that takes long should wait for a turn of the task's own: inside another's turn it would keep that one from
    /// hearing of its timers and of being cancelled.
    pub(crate) fn is_guest(&self) -> bool {
        self.program.scheduler().is_some_and(|scheduler| scheduler.is_nested())
    }

    /// Whether a native that takes long should wait for a turn on another worker: this one is there for those that do not.
    pub(crate) fn is_on_relief(&self) -> bool {
        self.program.scheduler().is_some_and(|scheduler| scheduler.is_relief())
    }

    /// Its next turn is one on a worker with nothing else to do.
    pub(crate) fn put_off(&self) {
        if let Some(scheduler) = self.program.scheduler() {
            scheduler.put_off();
        }
    }

    /// A native that takes long is between two of its steps.
    pub(crate) fn pause(&self) {
        if let Some(scheduler) = self.program.scheduler() {
            scheduler.pause();
        }
    }

    /// Whether a native that takes long should leave off: the task was cancelled or its actor killed, or all is to end. What comes of
    /// that the task's next turn says.
    pub(crate) fn is_unwanted(&self) -> bool {
        let Some(scheduler) = self.program.scheduler() else { return false };
        let is_cancelled = || scheduler.with_current(|me| me.shared().is_cancelled()).unwrap_or(false);
        scheduler.is_stopping()
            || self.hears_cancel && is_cancelled()
            || self.actor.as_ref().is_some_and(|actor| actor.is_killed())
    }

    /// The program this task is part of: options, arguments, output.
    pub fn program(&self) -> &'static Program {
        self.program
    }

    pub(crate) fn set_program(&mut self, program: &'static Program) {
        self.program = program;
    }

    /// The handle that wakes this task; `None` when it runs without a scheduler (tests of the machine alone).
    #[inline]
    pub fn me(&self) -> Option<TaskRef<TaskBody>> {
        self.program.scheduler()?.with_current(TaskRef::clone)
    }

    /// Its number in reports; 0 without a scheduler.
    pub(crate) fn id(&self) -> u64 {
        self.program.scheduler().and_then(|scheduler| scheduler.with_current(|me| me.id().0)).unwrap_or(0)
    }

    /// Whether `lend_turn` would run the task at `addr`.
    pub(crate) fn can_lend(&self, addr: usize) -> bool {
        self.lendable.get() > 0 && self.program.scheduler().is_some_and(|scheduler| scheduler.can_run_next(addr))
    }

    /// Instead of waiting for the task at `addr`: runs it, if it is next on this worker, for what is left to lend. The caller
    /// looks again then. `false`: nothing has happened.
    pub(crate) fn lend_turn(&self, addr: usize) -> bool {
        let lendable = self.lendable.get();
        if lendable == 0 {
            return false;
        }
        let spent = self.program.scheduler().and_then(|scheduler| scheduler.run_next(addr, lendable));
        self.lendable.set(lendable.saturating_sub(spent.unwrap_or(0)));
        spent.is_some()
    }

    /// Has `actor`, if it waits for a message, work on `envelope` here and now. `None`: nothing has happened.
    pub(crate) fn call_actor(&self, actor: &ActorCell, envelope: &mut Option<Envelope>) -> Option<Called> {
        let lendable = self.lendable.get();
        // Messages that are followed go through the mailbox.
        if lendable == 0 || observe::follows_messages() {
            return None;
        }
        let scheduler = self.program.scheduler()?;
        let task = actor.task()?;
        // Straight to its place, not through the hands of those that give the turn.
        let mut called = None;
        let after = |body: &mut TaskBody| called = Some(body.called());
        let turn = || scheduler.run_parked(task, lendable, |body| body.take_call(envelope), after);
        let (spent, ()) = observe::call(turn)?;
        self.lendable.set(lendable.saturating_sub(spent));
        called
    }

    /// The worker that gives the current turn.
    pub fn worker(&self) -> usize {
        self.worker
    }
}

thread_local! {
    /// The program of the last turn on this thread.
    static PROGRAM: Cell<Option<&'static Program>> = const { Cell::new(None) };
}

/// The program whose task has its turn on this thread, or had the last one.
pub(crate) fn program_here() -> Option<&'static Program> {
    PROGRAM.get()
}

/// In `TaskShared::interrupts`: cancelling was asked for,
const CANCELLED: u8 = 1;
/// the wait under way is to fail.
const INJECTED: u8 = 2;

/// What other threads may reach of a task while it runs, and of its result for as long as somebody holds that.
#[derive(Default)]
pub struct TaskShared {
    /// Where the task waits.
    pub(crate) point: crate::conc::wait::WaitPoint<Parcel>,
    purpose: Purpose,
    interrupts: AtomicU8,
    /// News of scopes that the task is in, as `ScopeNews` has it.
    scopes: AtomicU32,
    /// The last failure of a scope that the task has heard of. Written by its own turns alone.
    heard: AtomicU16,
    /// The cell that the task is in.
    _outside: meter::Outside<192>,
}

/// What a task's scopes have to tell it, in one word.
#[derive(Clone, Copy)]
struct ScopeNews {
    /// Counts the failures, which have their numbers from it.
    n_failed: u16,
    /// Failures that the task has not heard of, of scopes that have not ended.
    n_unheard: u16,
}

impl ScopeNews {
    fn of(bits: u32) -> ScopeNews {
        ScopeNews { n_failed: bits as u16, n_unheard: (bits >> 16) as u16 }
    }

    fn bits(self) -> u32 {
        u32::from(self.n_unheard) << 16 | u32::from(self.n_failed)
    }
}

/// What a task is there for, as others see it.
#[derive(Default)]
enum Purpose {
    /// The task's result.
    Promise(Promise),
    /// The actor that it runs.
    Actor(Weak<ActorCell>),
    #[default]
    Nothing,
}

impl TaskShared {
    /// Of a task whose result somebody waits for.
    pub(crate) fn promising(promise: Promise) -> TaskShared {
        TaskShared { purpose: Purpose::Promise(promise), ..TaskShared::default() }
    }

    pub(crate) fn of_actor(cell: &Arc<ActorCell>) -> TaskShared {
        TaskShared { purpose: Purpose::Actor(Arc::downgrade(cell)), ..TaskShared::default() }
    }

    /// Of a task that was begun with one.
    #[inline]
    pub(crate) fn promise(&self) -> &Promise {
        match &self.purpose {
            Purpose::Promise(promise) => promise,
            _ => unreachable!("only a task with a promise is referred to as one"),
        }
    }

    fn has_promise(&self) -> bool {
        matches!(self.purpose, Purpose::Promise(_))
    }

    /// Asks for a `CancelledError` at the task's next (or present) suspension. The caller wakes the task. Only the first
    /// request counts; answers whether this was it.
    pub fn cancel(&self) -> bool {
        self.interrupts.fetch_or(CANCELLED, Relaxed) & CANCELLED == 0
    }

    /// Lets what the task waits for fail. The caller wakes the task.
    pub(crate) fn inject_error(&self) {
        self.interrupts.fetch_or(INJECTED, Relaxed);
    }

    /// Whether what it waits for is to fail, which is answered once.
    fn take_injected(&self) -> Option<Interrupt> {
        let set = self.interrupts.load(Relaxed) & INJECTED != 0;
        set.then(|| {
            self.interrupts.fetch_and(!INJECTED, Relaxed);
            Interrupt::Injected
        })
    }

    /// A task of a scope that it is in has failed; gives the failure its number. The caller wakes the task.
    pub(crate) fn fail_scope(&self) -> u16 {
        self.change_scopes(|news| ScopeNews {
            n_failed: news.n_failed.wrapping_add(1),
            n_unheard: news.n_unheard.saturating_add(1),
        })
        .n_failed
        .wrapping_add(1)
    }

    /// The scope with this failure has ended: if the task has not heard of it yet, it need not.
    pub(crate) fn end_scope(&self, failure: u16) {
        if (failure.wrapping_sub(self.heard.load(Relaxed)) as i16) > 0 {
            self.change_scopes(|news| ScopeNews { n_unheard: news.n_unheard.saturating_sub(1), ..news });
        }
    }

    /// Whether scopes have failed that it has not heard of and that have not ended. By its own turn, which then has heard of
    /// all of them.
    pub(crate) fn hear_of_scopes(&self) -> bool {
        let before = self.change_scopes(|news| ScopeNews { n_unheard: 0, ..news });
        self.heard.store(before.n_failed, Relaxed);
        before.n_unheard > 0
    }

    fn change_scopes(&self, change: impl Fn(ScopeNews) -> ScopeNews) -> ScopeNews {
        let changed = self.scopes.fetch_update(Relaxed, Relaxed, |bits| Some(change(ScopeNews::of(bits)).bits()));
        ScopeNews::of(changed.unwrap_or_else(|bits| bits))
    }

    /// What the turn that begins is to deliver, besides cancelling.
    pub(crate) fn interrupt(&self) -> Option<Interrupt> {
        let has_news = ScopeNews::of(self.scopes.load(Relaxed)).n_unheard > 0;
        self.take_injected().or(has_news.then_some(Interrupt::Scope))
    }

    /// The actor that the task runs.
    pub(crate) fn actor(&self) -> Option<Arc<ActorCell>> {
        match &self.purpose {
            Purpose::Actor(cell) => cell.upgrade(),
            _ => None,
        }
    }

    /// Whether somebody may hear of an error of the task: it was cancelled by somebody, or they hold it, or its scope does.
    fn is_awaited(&self) -> bool {
        let promise = self.promise();
        self.is_cancelled() || promise.has_handle() || promise.cell.hook().is_some()
    }

    pub fn is_cancelled(&self) -> bool {
        self.interrupts.load(Relaxed) & CANCELLED != 0
    }
}

/// What is done with a task's end, on its worker and with its heap current.
pub(crate) type EndCall = Box<dyn FnOnce(&mut TaskCx, TaskEnd) + Send>;

/// What the scheduler runs: the frames of an interpreter with their heap, and what they are for.
///
/// A million of these may be parked, so it holds what lasts from turn to turn and nothing else.
pub struct TaskBody {
    program: &'static Program,
    /// What its values take, while it does not run.
    heap: Resting,
    role: Role,
}

// With the five words that every task has besides, it fills a size class of the allocator.
const _: () = assert!(size_of::<TaskBody>() + size_of::<TaskShared>() <= 192 - 40);

/// What a task is for, with the frames of its calls: an actor has some only while it is at something, an alarm and a helper have
/// none.
enum Role {
    Call(Frames, Call),
    Actor(ActorBody),
    Session(Box<(Frames, SessionBody)>),
    Alarm(Box<Alarm>),
    Helper(Box<Help>),
    Teller(Box<Telling>),
    Ended,
}

/// A role without its frames, which a machine has for a turn.
trait Part {
    fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome;

    /// Ends it after a panic outside its code.
    fn fail(&mut self, _machine: &mut Machine, _panic: &str) -> Outcome {
        Outcome::Done
    }
}

/// One function, run to its end.
struct Call {
    /// What few tasks have.
    rare: Option<Box<Rare>>,
    begun: bool,
    /// Cancelling is delivered once.
    cancel_delivered: bool,
}

#[derive(Default)]
struct Rare {
    /// What is done at its end, and an error is told on standard error; `None`: it is for the task's promise.
    on_end: Option<EndCall>,
    /// That of the ask for which it was begun.
    deadline: Option<Instant>,
}

impl TaskBody {
    /// A task that will run `func` with `args`, which become its own.
    pub(crate) fn new(
        program: &'static Program,
        func: &'static Func,
        args: impl IntoIterator<Item = Parcel>,
    ) -> TaskBody {
        let call = Call { rare: None, begun: false, cancel_delivered: false };
        let outside = meter::swap(Heap::with_limit(program.options.heap_limit));
        let frames = Frames::start(func, args.into_iter().map(Parcel::unpack));
        let heap = Resting::of(meter::swap(outside));
        TaskBody { program, heap, role: Role::Call(frames, call) }
    }

    /// One that runs the actor that `begin` makes of its first state.
    pub(crate) fn actor(program: &'static Program, state: Parcel, begin: impl FnOnce(Value) -> ActorBody) -> TaskBody {
        let outside = meter::swap(Heap::with_limit(program.options.heap_limit));
        let state = state.unpack();
        let heap = Resting::of(meter::swap(outside));
        TaskBody { program, heap, role: Role::Actor(begin(state)) }
    }

    pub(crate) fn alarm(program: &'static Program, alarm: Alarm) -> TaskBody {
        TaskBody::with_role(program, Role::Alarm(Box::new(alarm)))
    }

    pub(crate) fn session(program: &'static Program, session: SessionBody) -> TaskBody {
        TaskBody::with_role(program, Role::Session(Box::new((Frames::default(), session))))
    }

    /// One that helps with the pieces of another task's kernel, if it comes in time.
    pub(crate) fn helper(program: &'static Program, help: Help) -> TaskBody {
        TaskBody::with_role(program, Role::Helper(Box::new(help)))
    }

    /// One that tells an error of a task that nobody waits for.
    pub(crate) fn telling(program: &'static Program, error: Parcel) -> TaskBody {
        TaskBody::with_role(program, Role::Teller(Box::new(Telling(Some(error)))))
    }

    fn with_role(program: &'static Program, role: Role) -> TaskBody {
        TaskBody { program, heap: Resting::default(), role }
    }

    /// Those of the calls under way; `None` where there are none.
    fn frames(&self) -> Option<&Frames> {
        match &self.role {
            Role::Call(frames, _) => Some(frames),
            Role::Actor(actor) => actor.frames(),
            Role::Session(session) => Some(&session.0),
            Role::Alarm(_) | Role::Helper(_) | Role::Teller(_) | Role::Ended => None,
        }
    }

    /// The same task, telling an error that ends it on standard error, and the end to `on_end`.
    pub(crate) fn reporting_to(mut self, on_end: EndCall) -> TaskBody {
        if let Role::Call(_, call) = &mut self.role {
            call.rare.get_or_insert_default().on_end = Some(on_end);
        }
        self
    }

    /// The same task, whose asks end no later than that.
    pub(crate) fn until(mut self, deadline: Instant) -> TaskBody {
        if let Role::Call(_, call) = &mut self.role {
            call.rare.get_or_insert_default().deadline = Some(deadline);
        }
        self
    }

    /// Where it stands, one line a call.
    pub(crate) fn place(&self) -> String {
        self.frames().map(Frames::place).unwrap_or_default().render()
    }

    /// The calls under way.
    pub(crate) fn calls(&self) -> Calls {
        self.frames().map(Frames::calls).unwrap_or_default()
    }

    pub(crate) fn program(&self) -> &'static Program {
        self.program
    }

    pub(crate) fn is_call(&self) -> bool {
        matches!(self.role, Role::Call(..))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap.with_limit(0).bytes
    }

    /// Where its result goes, or the answer that it works on. `task` is its own handle.
    pub(crate) fn answers(&self, task: &TaskRef<TaskBody>) -> Option<PromiseRef> {
        match &self.role {
            Role::Call(..) => promise_of(task),
            Role::Actor(actor) => actor.answers().map(PromiseRef::Answer),
            _ => None,
        }
    }

    /// What a report calls it.
    pub(crate) fn title(&self) -> String {
        match &self.role {
            Role::Actor(actor) => format!("actor {}", actor.cell().name()),
            Role::Helper(_) => "a kernel's helper".to_string(),
            _ => "task".to_string(),
        }
    }

    /// The actor, when it has nothing to do.
    pub(crate) fn idle_actor(&self) -> Option<Arc<ActorCell>> {
        match &self.role {
            Role::Actor(actor) if actor.is_idle() => Some(actor.cell().clone()),
            _ => None,
        }
    }

    /// Gives an actor that waits for a message the one in `envelope`, for its next turn.
    fn take_call(&mut self, envelope: &mut Option<Envelope>) -> bool {
        match &mut self.role {
            Role::Actor(actor) => actor.take_call(envelope),
            _ => false,
        }
    }

    /// What became of it in that turn.
    fn called(&mut self) -> Called {
        match &mut self.role {
            Role::Actor(actor) => actor.called(),
            _ => unreachable!("only an actor takes calls"),
        }
    }

    /// The actor, when one of its calls is under way.
    pub(crate) fn handling_actor(&self) -> Option<Arc<ActorCell>> {
        match &self.role {
            Role::Actor(actor) if actor.is_handling() => Some(actor.cell().clone()),
            _ => None,
        }
    }

    /// Bytes of the tensors in an actor's state; `None` when there is none to look at.
    pub(crate) fn tensor_bytes(&self) -> Option<u64> {
        match &self.role {
            Role::Actor(actor) => actor.tensor_bytes(),
            _ => None,
        }
    }
}

/// `error: Kind: message` and the trace. Asks the error's own `message()`; no call may be under way.
pub(crate) fn describe(machine: &mut Machine, error: &Value) -> String {
    let trace = error.as_ref().trace().map(|t| t.render()).unwrap_or_default();
    format!("error: {}\n{trace}", summary(machine, error))
}

/// `Kind: message`.
pub(crate) fn summary(machine: &mut Machine, error: &Value) -> String {
    let (kind, inner) = {
        let inner = error.as_ref().inner();
        (inner.info().name(), inner.to_owned())
    };
    let message = machine.message_of(inner).unwrap_or_else(|| "its message cannot be told".to_string());
    format!("{kind}: {message}")
}

fn promise_of(task: &TaskRef<TaskBody>) -> Option<PromiseRef> {
    task.shared().has_promise().then(|| PromiseRef::Task(task.clone()))
}

impl Part for Call {
    #[inline]
    fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if let Some(rare) = &self.rare {
            machine.task().deadline = rare.deadline;
        }
        let cancel = !self.cancel_delivered && cx.shared().is_cancelled();
        if !std::mem::replace(&mut self.begun, true) && cancel {
            machine.abandon();
            let fault = Fault::new(FaultKind::CancelledError, "the task was cancelled before it began");
            let error = machine.code.error_value(fault);
            return self.end(machine, TaskEnd::Failed(error));
        }
        let interrupt = if cancel { Some(Interrupt::Cancel) } else { cx.shared().interrupt() };
        machine.task().hears_cancel = !self.cancel_delivered;
        let turn = machine.run(cx.budget(), interrupt);
        observe::settle(machine.task(), || promise_of(cx.task()));
        // If it does not wait yet, it will be delivered when it does.
        self.cancel_delivered |= machine.has_delivered_cancel();
        cx.set_spent(spent(cx, machine.budget));
        match turn {
            Turn::Yield => Outcome::Yield,
            Turn::Wait => {
                let (reason, detail) = machine.wait();
                cx.wait_for(reason, detail);
                Outcome::Park
            }
            Turn::Done(end) => self.end(machine, end),
        }
    }

    fn fail(&mut self, machine: &mut Machine, panic: &str) -> Outcome {
        self.end(machine, TaskEnd::Failed(machine.code.error_value(Fault::internal(panic))))
    }
}

impl Part for Acting<'_> {
    #[inline]
    fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        Acting::turn(self, machine, cx)
    }

    fn fail(&mut self, machine: &mut Machine, panic: &str) -> Outcome {
        self.break_off(machine, machine.code.error_value(Fault::internal(panic)))
    }
}

impl Part for SessionBody {
    fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        SessionBody::turn(self, machine, cx)
    }

    fn fail(&mut self, machine: &mut Machine, panic: &str) -> Outcome {
        SessionBody::fail(self, machine, panic)
    }
}

impl Part for Alarm {
    fn turn(&mut self, _machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        self.ring(cx)
    }
}

/// An error that is to be told.
struct Telling(Option<Parcel>);

impl Part for Telling {
    fn turn(&mut self, machine: &mut Machine, _cx: &Context<'_, TaskBody>) -> Outcome {
        if let Some(error) = self.0.take() {
            tell(machine, &error.unpack());
        }
        machine.give_back_stack();
        Outcome::Done
    }
}

/// An error that reaches nobody.
fn tell(machine: &mut Machine, error: &Value) {
    let text = describe(machine, error);
    machine.task().program().eprint(&format!("{text}  in a task that nobody waits for\n"));
}

impl Part for Help {
    fn turn(&mut self, _machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if !self() {
            return Outcome::Done;
        }
        // What else there is comes first.
        cx.put_off();
        Outcome::Yield
    }
}

impl Call {
    fn end(&mut self, machine: &mut Machine, end: TaskEnd) -> Outcome {
        let on_end = self.rare.take().and_then(|rare| rare.on_end);
        let mut is_told = false;
        if let TaskEnd::Failed(error) = &end {
            let me = machine.task().me();
            let is_alone = || me.as_ref().is_some_and(|me| me.shared().has_promise() && !me.shared().is_awaited());
            if on_end.is_some() {
                let text = describe(machine, error);
                machine.task().program().eprint(&text);
            } else if is_alone() {
                tell(machine, error);
                is_told = true;
            }
            if let Some(me) = me {
                observe::failed(me.id().0, || summary(machine, error));
            }
        }
        let cx = machine.task();
        match on_end {
            Some(call) => call(cx, end),
            None => {
                let mut end = Some(end);
                let program = cx.program;
                if let Some(scheduler) = program.scheduler() {
                    scheduler.with_current(|me| {
                        if let (true, Some(end)) = (me.shared().has_promise(), end.take()) {
                            // One that was told already is no news.
                            me.shared().promise().end(cx, end, me.shared().is_cancelled() || is_told);
                        }
                    });
                }
            }
        }
        machine.give_back_stack();
        Outcome::Done
    }
}

/// What a turn costs beside what its code does. A guess; it bounds how often a turn is lent.
const TURN_COST: i64 = 50;

/// How much of a turn's budget is used when `left` is left of it.
pub(crate) fn spent(cx: &Context<'_, TaskBody>, left: i64) -> u32 {
    // The twin lends nothing, and names places in a task's progress by what was spent.
    let least = if cx.is_seeded() { 0 } else { TURN_COST };
    (i64::from(cx.budget()) - left).max(least) as u32
}

/// Ends a task after a panic outside its code. Nobody waits for it in vain, and the others never notice.
#[cold]
fn fail(machine: &mut Machine, part: &mut impl Part, panic: &str) -> Outcome {
    crate::heap::after_panic();
    machine.forget_frames();
    panics::catch(|| part.fail(machine, panic)).unwrap_or_else(|panic| {
        machine.forget_frames();
        machine.task().program().eprint(&format!("error: InternalError: {panic}\n"));
        Outcome::Done
    })
}

/// A turn of `part`, by a machine that goes on with its frames, its heap current. Compiled for each kind of task by itself: the
/// turns of most are short.
#[inline(always)]
fn give_turn(
    program: &mut &'static Program,
    heap: &mut Resting,
    frames: &mut Frames,
    part: &mut impl Part,
    cx: &Context<'_, TaskBody>,
) -> Outcome {
    let outside = meter::swap(heap.with_limit(program.options.heap_limit));
    let outcome = Machine::with(*program, frames, |machine| {
        machine.task.worker = cx.worker();
        // As much as the task itself may spend: whatever it waits for, its worker is back for others after twice that.
        machine.task.lendable.set(cx.budget());
        let outcome = panics::catch(|| part.turn(machine, cx));
        let outcome = outcome.unwrap_or_else(|panic| fail(machine, part, &panic));
        // A session goes on with another program.
        *program = machine.task.program;
        outcome
    });
    *heap = Resting::of(meter::swap(outside));
    outcome
}

impl Task for TaskBody {
    type Shared = TaskShared;

    fn run(&mut self, cx: &mut Context<'_, TaskBody>) -> Outcome {
        PROGRAM.set(Some(self.program));
        lend::workers_of(self.program);
        let observed = observe::Turn::begin();
        let TaskBody { program, heap, role } = self;
        let outcome = match role {
            Role::Call(frames, call) => give_turn(program, heap, frames, call, cx),
            Role::Actor(actor) => {
                let (frames, mut acting) = actor.act();
                let outcome = give_turn(program, heap, frames, &mut acting, cx);
                actor.rest();
                outcome
            }
            Role::Session(session) => give_turn(program, heap, &mut session.0, &mut session.1, cx),
            Role::Alarm(alarm) => give_turn(program, heap, &mut Frames::default(), &mut **alarm, cx),
            Role::Helper(help) => give_turn(program, heap, &mut Frames::default(), &mut **help, cx),
            Role::Teller(telling) => give_turn(program, heap, &mut Frames::default(), &mut **telling, cx),
            Role::Ended => Outcome::Done,
        };
        observed.end(cx, outcome);
        if outcome == Outcome::Park && !matches!(self.program.options.injecting, Injecting::Nothing) {
            inject::suspended(self, cx);
        }
        outcome
    }

    /// `file.stark:12 (in withdraw)`, of the innermost call that is not the library's.
    fn place(&mut self) -> String {
        let trace = self.frames().map(Frames::place).unwrap_or_default();
        let own = |frame: &&TraceFrame| frame.at().is_some_and(|(file, ..)| !file.starts_with("std/"));
        let frame = trace.frames.iter().find(own).or(trace.frames.first());
        let Some(frame) = frame else { return self.title() };
        match frame.at() {
            Some((file, line, _)) => format!("{file}:{line} in {}", frame.function()),
            None => frame.function().to_string(),
        }
    }
}

impl Drop for TaskBody {
    fn drop(&mut self) {
        // A call that has come to its end has given everything back.
        if let Role::Call(frames, _) = &self.role
            && frames.are_none()
        {
            return;
        }
        let outside = meter::swap(self.heap.with_limit(self.program.options.heap_limit));
        let mut role = std::mem::replace(&mut self.role, Role::Ended);
        let mut frames = match &mut role {
            Role::Call(frames, _) => std::mem::take(frames),
            Role::Actor(actor) => actor.take_frames(),
            Role::Session(session) => std::mem::take(&mut session.0),
            Role::Alarm(_) | Role::Helper(_) | Role::Teller(_) | Role::Ended => Frames::default(),
        };
        Machine::with(self.program, &mut frames, |machine| {
            drop(role);
            machine.abandon();
            machine.give_back_stack();
        });
        drop(frames);
        self.heap = Resting::of(meter::swap(outside));
    }
}
