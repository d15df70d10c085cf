//! Promises: where a task, or whoever answers later, leaves its result, and the handles on that.
//!
//! The promise of a task lies in the task's own cell: a task and its `Future` or `JoinHandle` are one allocation. What no task
//! runs for, the answer to an ask above all, is an [`Answer`] of its own.

use super::result::{ResultCell, TaskResult};
use super::tasks::Me;
use crate::actor::ActorCell;
use crate::fault::{Fault, FaultKind};
use crate::heap::meter::Outside;
use crate::heap::{Opaque, Parcel};
use crate::interp::TaskEnd;
use crate::task::{TaskBody, TaskCx, TaskShared, WaitReason};
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use stark_scheduler::{Outcome, TaskRef};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::time::Instant;

/// A result to come, and its handles.
pub struct Promise {
    pub cell: ResultCell<Parcel, Me>,
    n_handles: AtomicU32,
    /// A `Future`, not a `JoinHandle`.
    is_future: bool,
    /// Dropping the last handle cancels who makes the result: a `Future` that was not detached.
    owning: AtomicBool,
    /// The result is an error that its scope has not heard of: if nobody takes it, it is told.
    is_news: AtomicBool,
}

impl Promise {
    /// For a `Future` (`owning`: it cancels when nobody holds it any more) or a `JoinHandle`.
    pub(crate) fn new(is_future: bool, owning: bool) -> Promise {
        Promise {
            cell: ResultCell::default(),
            n_handles: AtomicU32::new(0),
            is_future,
            owning: AtomicBool::new(owning),
            is_news: AtomicBool::new(false),
        }
    }

    /// The end of the task that runs for it.
    pub(crate) fn end(&self, cx: &TaskCx, end: TaskEnd, was_cancelled: bool) {
        let result = match end {
            TaskEnd::Returned(value) => Parcel::pack(value).map(Ok),
            TaskEnd::Failed(error) => {
                // What a task throws that was cancelled is no news to the scope it belongs to.
                if !was_cancelled {
                    return self.fail(error);
                }
                Parcel::pack(error).map(Err)
            }
            TaskEnd::Exit(status) => {
                cx.program().exit(status);
                return;
            }
        };
        if let Ok(result) = result {
            self.cell.complete(result);
        }
    }

    /// The task has failed: first whoever is to hear of that first does.
    fn fail(&self, error: Value) {
        let hook = self.cell.hook();
        self.is_news.store(hook.is_none(), Relaxed);
        if let Some(hook) = &hook
            && let Ok(copy) = Parcel::pack(error.clone())
        {
            (hook.0)(copy);
        }
        let Ok(error) = Parcel::pack(error) else { return };
        // One that has come since then, as the task began while its scope was still to hear of it.
        if let Some(Some(late)) = self.cell.settle(Err(error))
            && hook.is_none()
            && let Some(copy) = self.cell.with_error(Parcel::copy).flatten()
            && let Ok(copy) = Parcel::pack(copy)
        {
            self.mark_heard();
            (late.0)(copy);
        }
        // The last handle may have gone since it was looked whether there is one.
        if !self.has_handle() {
            self.tell_news();
        }
    }

    /// Its scope knows of the error.
    pub(super) fn mark_heard(&self) {
        self.is_news.store(false, Relaxed);
    }

    /// An error that nobody can take any more is told, by a task of its own: `message()` may be the program's.
    fn tell_news(&self) {
        if !self.is_news.load(Relaxed) {
            return;
        }
        let Some(program) = crate::task::program_here() else { return };
        let Some(scheduler) = program.scheduler().filter(|scheduler| !scheduler.is_stopping()) else { return };
        // Who was cancelled would have heard of it.
        if scheduler.with_current(|me| me.shared().is_cancelled()) == Some(true) {
            return;
        }
        // Whoever takes it is the only one.
        if let Some(Err(error)) = self.cell.take() {
            scheduler.spawn(TaskBody::telling(program, error), TaskShared::default());
        }
    }

    /// Whether somebody holds a `Future` or `JoinHandle` of it.
    pub(crate) fn has_handle(&self) -> bool {
        self.n_handles.load(Relaxed) > 0
    }

    pub(super) fn detach(&self) {
        self.owning.store(false, Relaxed);
    }
}

/// A promise that no task runs for.
pub struct Answer {
    promise: Promise,
    /// The actor whose answer it is.
    asked: Option<Arc<ActorCell>>,
    /// The task that keeps its deadline.
    alarm: Mutex<Option<TaskRef<TaskBody>>>,
    /// There is one.
    has_alarm: AtomicBool,
    _outside: Outside<128>,
}

impl Deref for Answer {
    type Target = Promise;

    fn deref(&self) -> &Promise {
        &self.promise
    }
}

impl Answer {
    fn new(owning: bool, asked: Option<Arc<ActorCell>>) -> Arc<Answer> {
        let (promise, alarm) = (Promise::new(true, owning), Mutex::new(None));
        Arc::new(Answer { promise, asked, alarm, has_alarm: AtomicBool::new(false), _outside: Outside::default() })
    }

    /// Whoever finishes it lets nobody wait in vain.
    pub(crate) fn unbound() -> Arc<Answer> {
        Answer::new(false, None)
    }

    /// Of `actor`. It fails with `TimeoutError` at the deadline.
    pub(crate) fn ask(actor: &Arc<ActorCell>, deadline: Option<Instant>) -> Arc<Answer> {
        let answer = Answer::new(true, Some(actor.clone()));
        if let Some(deadline) = deadline {
            answer.keep(deadline);
        }
        answer
    }

    /// From now on it fails with `TimeoutError` at the deadline.
    pub(crate) fn keep(self: &Arc<Answer>, deadline: Instant) {
        let Some(actor) = &self.asked else { return };
        let Some(scheduler) = actor.program().scheduler() else { return };
        let alarm = TaskBody::alarm(actor.program(), Alarm { answer: self.clone(), deadline, timer: None });
        *self.alarm.lock() = Some(scheduler.spawn(alarm, TaskShared::default()));
        self.has_alarm.store(true, Relaxed);
        // Answered meanwhile, by somebody who saw no alarm.
        if self.cell.is_done() {
            self.end_alarm();
        }
    }

    fn end_alarm(&self) {
        if let Some(alarm) = self.alarm.lock().take() {
            alarm.wake();
        }
    }

    pub(crate) fn asked(&self) -> Option<&Arc<ActorCell>> {
        self.asked.as_ref()
    }

    /// Sets the result, unless there is one already.
    pub(crate) fn finish(&self, result: TaskResult<Parcel>) {
        self.cell.complete(result);
        if self.has_alarm.load(Relaxed) {
            self.end_alarm();
        }
    }

    /// Fails an ask.
    pub(crate) fn fail(&self, fault: Fault) {
        let Some(actor) = &self.asked else { return };
        if let Ok(error) = Parcel::pack(actor.program().code.error_value(fault)) {
            self.finish(Err(error));
        }
    }

    /// An ask that is not worked on yet never will be.
    pub(crate) fn cancel(&self) {
        self.fail(Fault::new(FaultKind::CancelledError, "the ask was cancelled"));
    }
}

/// What an ask of `actor` fails with at its deadline.
pub(crate) fn late(actor: &ActorCell) -> Fault {
    Fault::new(FaultKind::TimeoutError, format!("no answer of actor {} in time", actor.name()))
}

/// What fails an ask at its deadline. A task of its own, so that every way of waiting for the answer sees it.
pub(crate) struct Alarm {
    answer: Arc<Answer>,
    deadline: Instant,
    timer: Option<stark_scheduler::TimerKey>,
}

impl Alarm {
    /// Its turn.
    pub fn ring(&mut self, cx: &stark_scheduler::Context<'_, TaskBody>) -> Outcome {
        let over = self.answer.cell.is_done();
        if !over && cx.now() < self.deadline {
            self.timer.get_or_insert_with(|| cx.sleep_until(self.deadline, cx.task().clone()));
            cx.wait_for(WaitReason::Sleep, 0);
            return Outcome::Park;
        }
        if let Some(timer) = self.timer.take() {
            cx.cancel(timer);
        }
        if !over {
            if let Some(actor) = &self.answer.asked {
                self.answer.fail(late(actor));
            }
        }
        Outcome::Done
    }
}

/// The way to a promise, wherever it lies.
#[derive(Clone)]
pub(crate) enum PromiseRef {
    /// In the cell of this task, which makes its result.
    Task(TaskRef<TaskBody>),
    Answer(Arc<Answer>),
}

impl Deref for PromiseRef {
    type Target = Promise;

    #[inline]
    fn deref(&self) -> &Promise {
        match self {
            PromiseRef::Task(task) => task.shared().promise(),
            PromiseRef::Answer(answer) => answer,
        }
    }
}

impl PromiseRef {
    /// The actor whose answer it is.
    pub(crate) fn asked(&self) -> Option<&Arc<ActorCell>> {
        match self {
            PromiseRef::Task(_) => None,
            PromiseRef::Answer(answer) => answer.asked(),
        }
    }

    fn is_cancelled(&self) -> bool {
        matches!(self, PromiseRef::Task(task) if task.shared().is_cancelled())
    }

    pub(super) fn is_same(&self, other: &PromiseRef) -> bool {
        std::ptr::eq::<Promise>(&**self, &**other)
    }

    /// The task that works for it, 0 when none is known.
    pub(super) fn runner_id(&self) -> u64 {
        match self {
            PromiseRef::Task(task) => task.id().0,
            PromiseRef::Answer(_) => 0,
        }
    }

    /// The address of the task whose turn makes the result, when it may have that turn inside the turn of one that waits. Not
    /// when there is a deadline: that is to be kept also while the task works.
    pub(super) fn worker(&self) -> Option<usize> {
        match self {
            PromiseRef::Task(task) => Some(task.addr()),
            PromiseRef::Answer(answer) if answer.has_alarm.load(Relaxed) => None,
            PromiseRef::Answer(answer) => answer.asked()?.task_addr(),
        }
    }

    /// A task hears of it at its next suspension.
    pub(crate) fn cancel(&self) {
        match self {
            PromiseRef::Task(task) => {
                if task.shared().cancel() {
                    task.wake();
                }
            }
            PromiseRef::Answer(answer) => answer.cancel(),
        }
    }
}

/// A handle on a promise: a `Future` or `JoinHandle`.
pub struct FutureObj(PromiseRef);

impl FutureObj {
    pub(crate) fn of(promise: PromiseRef) -> FutureObj {
        // The first is made before anybody else could make one.
        match promise.n_handles.load(Relaxed) {
            0 => promise.n_handles.store(1, Relaxed),
            _ => _ = promise.n_handles.fetch_add(1, Relaxed),
        }
        FutureObj(promise)
    }

    pub(crate) fn of_answer(answer: Arc<Answer>) -> FutureObj {
        FutureObj::of(PromiseRef::Answer(answer))
    }

    pub(super) fn promise(&self) -> &PromiseRef {
        &self.0
    }
}

impl Clone for FutureObj {
    fn clone(&self) -> FutureObj {
        FutureObj::of(self.0.clone())
    }
}

impl Drop for FutureObj {
    fn drop(&mut self) {
        // Who has the only handle need not take it off the count: nobody makes another meanwhile.
        let last = match self.0.n_handles.load(Acquire) {
            1 => {
                self.0.n_handles.store(0, Relaxed);
                true
            }
            _ => self.0.n_handles.fetch_sub(1, AcqRel) == 1,
        };
        if !last {
            return;
        }
        if self.0.owning.load(Relaxed) && !self.0.cell.is_done() {
            self.0.cancel();
        } else if !self.0.is_cancelled() {
            self.0.tell_news();
        }
    }
}

impl Opaque for FutureObj {
    fn type_name(&self) -> &'static str {
        if self.0.is_future { "Future" } else { "JoinHandle" }
    }
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }
}
