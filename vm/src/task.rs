//! A task: an interpreter, its heap, and what is to be done with its result. The scheduler's unit of work.

use crate::actor::{ActorBody, ActorCell};
use crate::conc::tasks::Alarm;
use crate::fault::{Fault, FaultKind};
use crate::heap::{Heap, Parcel, meter};
use crate::interp::{Machine, TaskEnd, Turn};
use crate::load::Func;
use crate::panics;
use crate::program::Program;
use crate::session::SessionBody;
use crate::value::Value;
use stark_scheduler::{Context, Outcome, Task, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

pub use stark_scheduler::WaitReason;

/// What a native or an instruction may know about the task that runs it.
pub struct TaskCx {
    program: Arc<Program>,
    pub(crate) me: Option<TaskRef<TaskBody>>,
    pub(crate) worker: usize,
    /// The actor whose handler runs in it.
    pub(crate) actor: Option<Arc<ActorCell>>,
    /// When the ask that is worked on is given up; asks made for it end no later.
    pub(crate) deadline: Option<Instant>,
    /// What the entries of a session keep.
    pub(crate) slots: Vec<Option<Value>>,
}

impl TaskCx {
    pub fn new(program: Arc<Program>) -> TaskCx {
        TaskCx { program, me: None, worker: 0, actor: None, deadline: None, slots: Vec::new() }
    }

    /// The program this task is part of: options, arguments, output.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    pub(crate) fn set_program(&mut self, program: Arc<Program>) {
        self.program = program;
    }

    /// The handle that wakes this task; `None` when it runs without a scheduler (tests of the machine alone).
    pub fn me(&self) -> Option<&TaskRef<TaskBody>> {
        self.me.as_ref()
    }

    /// The worker that gives the current turn.
    pub fn worker(&self) -> usize {
        self.worker
    }
}

/// What other threads may reach of a task while it runs.
#[derive(Default)]
pub struct TaskShared {
    /// Where the task waits.
    pub(crate) point: crate::conc::wait::WaitPoint<Parcel>,
    cancelled: AtomicBool,
}

impl TaskShared {
    /// Asks for a `CancelledError` at the task's next (or present) suspension. The caller wakes the task. Only the first
    /// request counts; answers whether this was it.
    pub fn cancel(&self) -> bool {
        !self.cancelled.swap(true, Relaxed)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
}

/// What is done with a task's end, on its worker and with its heap current: packing the result for whoever waits.
pub type OnEnd = Box<dyn FnOnce(&mut TaskCx, TaskEnd) + Send>;

/// What the scheduler runs: an interpreter with its heap, and what it is for.
pub struct TaskBody {
    machine: Machine,
    heap: Heap,
    role: Role,
}

enum Role {
    Call(Call),
    Actor(Box<ActorBody>),
    Alarm(Alarm),
    Session(SessionBody),
    Ended,
}

/// One function, run to its end.
struct Call {
    begin: Option<(&'static Func, Vec<Parcel>)>,
    on_end: Option<OnEnd>,
    /// Cancelling is delivered once.
    cancel_delivered: bool,
    /// An error that ends it is told on standard error.
    reports: bool,
}

impl TaskBody {
    /// A task that will run `func` with `args`.
    pub(crate) fn new(program: &Arc<Program>, func: &'static Func, args: Vec<Parcel>, on_end: OnEnd) -> TaskBody {
        let call = Call { begin: Some((func, args)), on_end: Some(on_end), cancel_delivered: false, reports: false };
        TaskBody::with_role(program, Role::Call(call))
    }

    pub(crate) fn actor(program: &Arc<Program>, actor: ActorBody) -> TaskBody {
        TaskBody::with_role(program, Role::Actor(Box::new(actor)))
    }

    pub(crate) fn alarm(program: &Arc<Program>, alarm: Alarm) -> TaskBody {
        TaskBody::with_role(program, Role::Alarm(alarm))
    }

    pub(crate) fn session(program: &Arc<Program>, session: SessionBody) -> TaskBody {
        TaskBody::with_role(program, Role::Session(session))
    }

    fn with_role(program: &Arc<Program>, role: Role) -> TaskBody {
        TaskBody { machine: Machine::new(program), heap: Heap::with_limit(program.options.heap_limit), role }
    }

    /// The same task, telling an error that ends it on standard error.
    pub(crate) fn reporting(mut self) -> TaskBody {
        if let Role::Call(call) = &mut self.role {
            call.reports = true;
        }
        self
    }

    /// Where it stands, one line a call.
    pub(crate) fn place(&mut self) -> String {
        self.machine.place().render()
    }

    /// What a report calls it.
    pub(crate) fn title(&self) -> String {
        match &self.role {
            Role::Actor(actor) => format!("actor {}", actor.cell().name()),
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

    /// Bytes of the tensors in an actor's state; `None` when there is none to look at.
    pub(crate) fn tensor_bytes(&self) -> Option<u64> {
        match &self.role {
            Role::Actor(actor) => actor.tensor_bytes(),
            _ => None,
        }
    }

    /// Bytes its values take, while it does not run.
    pub fn heap(&self) -> Heap {
        self.heap
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

impl Call {
    fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        let cancel = !self.cancel_delivered && cx.shared().is_cancelled();
        if let Some((func, args)) = self.begin.take() {
            machine.task().me = Some(cx.task().clone());
            if cancel {
                drop(args);
                let fault = Fault::new(FaultKind::CancelledError, "the task was cancelled before it began");
                let error = machine.code.error_value(fault);
                return self.end(machine, TaskEnd::Failed(error));
            }
            let args: Vec<Value> = args.into_iter().map(Parcel::unpack).collect();
            machine.start(func, args);
        }
        machine.task().worker = cx.worker();
        let turn = machine.run(cx.budget(), cancel);
        // If it does not wait yet, it will be delivered when it does.
        self.cancel_delivered |= machine.has_delivered_cancel();
        match turn {
            Turn::Yield => Outcome::Yield,
            Turn::Wait(reason, detail) => {
                cx.wait_for(reason, detail);
                Outcome::Park
            }
            Turn::Done(end) => self.end(machine, end),
        }
    }

    fn end(&mut self, machine: &mut Machine, end: TaskEnd) -> Outcome {
        if let (true, TaskEnd::Failed(error)) = (self.reports, &end) {
            let text = describe(machine, error);
            machine.task().program().eprint(&text);
        }
        if let Some(on_end) = self.on_end.take() {
            on_end(machine.task(), end);
        }
        Outcome::Done
    }
}

impl TaskBody {
    /// Ends the task after a panic outside its code. Nobody waits for it in vain, and the others never notice.
    fn fail(&mut self, panic: String) -> Outcome {
        crate::heap::after_panic();
        self.machine.forget_frames();
        let failed = panics::catch(|| {
            let error = self.machine.code.error_value(Fault::internal(panic.clone()));
            match &mut self.role {
                Role::Call(call) => call.end(&mut self.machine, TaskEnd::Failed(error)),
                Role::Actor(actor) => actor.break_off(&mut self.machine, error),
                Role::Session(session) => session.fail(&mut self.machine, &panic),
                Role::Alarm(_) | Role::Ended => Outcome::Done,
            }
        });
        failed.unwrap_or_else(|panic| {
            self.machine.forget_frames();
            self.machine.task().program().eprint(&format!("error: InternalError: {panic}\n"));
            Outcome::Done
        })
    }
}

impl Task for TaskBody {
    type Shared = TaskShared;

    fn run(&mut self, cx: &mut Context<'_, TaskBody>) -> Outcome {
        let outside = meter::swap(self.heap);
        let (role, machine) = (&mut self.role, &mut self.machine);
        let turn = panics::catch(|| match role {
            Role::Call(call) => call.turn(machine, cx),
            Role::Actor(actor) => actor.turn(machine, cx),
            Role::Alarm(alarm) => alarm.ring(cx),
            Role::Session(session) => session.turn(machine, cx),
            Role::Ended => Outcome::Done,
        });
        let outcome = turn.unwrap_or_else(|panic| self.fail(panic));
        self.heap = meter::swap(outside);
        outcome
    }
}

impl Drop for TaskBody {
    fn drop(&mut self) {
        let outside = meter::swap(self.heap);
        self.role = Role::Ended;
        self.machine.abandon();
        self.machine.task().slots.clear();
        meter::swap(outside);
    }
}
