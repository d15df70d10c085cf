//! A task: an interpreter, its heap, and what is to be done with its result. The scheduler's unit of work.

use crate::fault::{Fault, FaultKind};
use crate::heap::{Heap, Parcel, meter};
use crate::interp::{Machine, TaskEnd, Turn};
use crate::load::Func;
use crate::program::Program;
use crate::value::Value;
use stark_scheduler::{Context, Outcome, Task, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub use stark_scheduler::WaitReason;

/// What a native or an instruction may know about the task that runs it.
pub struct TaskCx {
    program: Arc<Program>,
    pub(crate) me: Option<TaskRef<TaskBody>>,
    pub(crate) worker: usize,
}

impl TaskCx {
    pub fn new(program: Arc<Program>) -> TaskCx {
        TaskCx { program, me: None, worker: 0 }
    }

    /// The program this task is part of: options, arguments, output.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
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

/// The body of a task that runs one function.
pub struct TaskBody {
    machine: Machine,
    heap: Heap,
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
        TaskBody {
            machine: Machine::new(program),
            heap: Heap::with_limit(program.options.heap_limit),
            begin: Some((func, args)),
            on_end: Some(on_end),
            cancel_delivered: false,
            reports: false,
        }
    }

    /// The same task, telling an error that ends it on standard error.
    pub(crate) fn reporting(mut self) -> TaskBody {
        self.reports = true;
        self
    }

    /// Where it stands, one line a call.
    pub(crate) fn place(&mut self) -> String {
        self.machine.place().render()
    }

    /// `error: Kind: message` and the trace. Asks the error's own `message()`.
    fn describe(&mut self, error: &Value) -> String {
        let (kind, inner) = {
            let inner = error.as_ref().inner();
            (inner.info().name(), inner.to_owned())
        };
        let trace = error.as_ref().trace().map(|t| t.render()).unwrap_or_default();
        let message = match self.machine.message_of(inner) {
            Some(message) => message,
            None => "its message cannot be told".to_string(),
        };
        format!("error: {kind}: {message}\n{trace}")
    }

    /// Bytes its values take, while it does not run.
    pub fn heap(&self) -> Heap {
        self.heap
    }

    fn turn(&mut self, cx: &Context<'_, TaskBody>) -> Outcome {
        let cancel = !self.cancel_delivered && cx.shared().is_cancelled();
        if let Some((func, args)) = self.begin.take() {
            self.machine.task().me = Some(cx.task().clone());
            if cancel {
                drop(args);
                let fault = Fault::new(FaultKind::CancelledError, "the task was cancelled before it began");
                let error = self.machine.error_value(fault);
                return self.end(TaskEnd::Failed(error));
            }
            let args: Vec<Value> = args.into_iter().map(Parcel::unpack).collect();
            self.machine.start(func, args);
        }
        self.machine.task().worker = cx.worker();
        self.cancel_delivered |= cancel;
        match self.machine.run(cx.budget(), cancel) {
            Turn::Yield => {
                // Not waiting yet: it will be delivered when it does.
                self.cancel_delivered &= !cancel;
                Outcome::Yield
            }
            Turn::Wait(reason, detail) => {
                cx.wait_for(reason, detail);
                Outcome::Park
            }
            Turn::Done(end) => self.end(end),
        }
    }

    fn end(&mut self, end: TaskEnd) -> Outcome {
        if let (true, TaskEnd::Failed(error)) = (self.reports, &end) {
            let text = self.describe(error);
            self.machine.task().program().eprint(&text);
        }
        if let Some(on_end) = self.on_end.take() {
            on_end(self.machine.task(), end);
        }
        Outcome::Done
    }
}

impl Task for TaskBody {
    type Shared = TaskShared;

    fn run(&mut self, cx: &mut Context<'_, TaskBody>) -> Outcome {
        let outside = meter::swap(self.heap);
        let outcome = self.turn(cx);
        self.heap = meter::swap(outside);
        outcome
    }
}

impl Drop for TaskBody {
    fn drop(&mut self) {
        let outside = meter::swap(self.heap);
        self.begin = None;
        self.machine.abandon();
        meter::swap(outside);
    }
}
