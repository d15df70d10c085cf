//! Tasks as the language sees them: spawning, awaiting, cancelling, gathering, racing, scopes.

use super::result::{Gathering, ResultCell, Watcher};
use super::wait::{Entry, WaitPoint, Waiter};
use crate::actor::{ActorCell, Edge, wait_for};
use crate::fault::{Fault, FaultKind};
use crate::heap::{Opaque, Parcel};
use crate::interp::TaskEnd;
use crate::load::Func;
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::program::Program;
use crate::task::{OnEnd, TaskBody, TaskCx, TaskShared, WaitReason};
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use smallvec::SmallVec;
use stark_bytecode::TypeDesc;
use stark_scheduler::{Outcome, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::AcqRel, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A task that waits.
#[derive(Clone)]
pub struct Me(pub TaskRef<TaskBody>);

impl PartialEq for Me {
    fn eq(&self, other: &Me) -> bool {
        self.0.addr() == other.0.addr()
    }
}

impl Waiter<Parcel> for Me {
    fn point(&self) -> &WaitPoint<Parcel> {
        &self.0.shared().point
    }
    fn wake(&self) {
        self.0.wake();
    }
    fn wake_by(self) {
        self.0.wake_by();
    }
    fn addr(&self) -> usize {
        self.0.addr()
    }
}

/// The task that runs the native.
pub fn me(cx: &NativeCx<'_>) -> Result<Me, Fault> {
    cx.task.me().cloned().map(Me).ok_or_else(|| Fault::internal("a task that waits needs a scheduler"))
}

/// A value for another task. Nothing in the language is bound to its task, so packing succeeds.
#[inline]
pub fn pack(value: Value) -> Result<Parcel, Fault> {
    Parcel::pack(value).map_err(|_| Fault::value("a value that cannot be copied is still held elsewhere"))
}

type Cell = ResultCell<Parcel, Me>;

/// What a task, or whoever answers later, leaves its result in.
pub struct Promise {
    pub cell: Cell,
    /// The task that runs for it; for an ask with a deadline the one that keeps the deadline.
    task: Mutex<Option<TaskRef<TaskBody>>>,
    /// A `Future`, not a `JoinHandle`.
    is_future: bool,
    /// Dropping the last handle cancels the task: a `Future` that was not detached.
    owning: AtomicBool,
    n_handles: AtomicU32,
    /// `task` keeps the deadline of an ask. Set before anybody can answer.
    has_alarm: AtomicBool,
    /// The actor whose answer it is.
    pub(crate) asked: Option<Arc<ActorCell>>,
}

impl Promise {
    /// For a `Future` (`owning`: it cancels when nobody holds it any more) or a `JoinHandle`.
    fn new(is_future: bool, owning: bool, asked: Option<Arc<ActorCell>>) -> Arc<Promise> {
        Arc::new(Promise {
            cell: Cell::default(),
            task: Mutex::new(None),
            is_future,
            owning: AtomicBool::new(owning),
            n_handles: AtomicU32::new(0),
            has_alarm: AtomicBool::new(false),
            asked,
        })
    }

    /// For something that no task runs for; whoever finishes it lets nobody wait in vain.
    pub(crate) fn unbound() -> Arc<Promise> {
        Promise::new(true, false, None)
    }

    /// For the answer of `actor`, which fails with `TimeoutError` at the deadline.
    pub(crate) fn ask(actor: &Arc<ActorCell>, deadline: Option<Instant>) -> Arc<Promise> {
        let promise = Promise::new(true, true, Some(actor.clone()));
        if let (Some(deadline), Some(scheduler)) = (deadline, actor.program().scheduler()) {
            let alarm = TaskBody::alarm(actor.program(), Alarm { promise: promise.clone(), deadline, timer: None });
            *promise.task.lock() = Some(scheduler.spawn(alarm, TaskShared::default()));
            promise.has_alarm.store(true, Relaxed);
        }
        promise
    }

    /// Sets the result, unless there is one already.
    pub(crate) fn finish(&self, result: super::result::TaskResult<Parcel>) {
        self.cell.complete(result);
        if self.has_alarm.load(Relaxed)
            && let Some(alarm) = self.task.lock().take()
        {
            alarm.wake();
        }
    }

    /// The task that works for it, for cancelling.
    fn run_by(&self, runner: TaskRef<TaskBody>) {
        let mut task = self.task.lock();
        // One that has ended already is let go, with its memory.
        if !self.cell.is_done() {
            *task = Some(runner);
        }
    }

    /// The task that works for it, 0 when none is known.
    fn runner_id(&self) -> u64 {
        self.task.lock().as_ref().map_or(0, |task| task.id().0)
    }

    /// The end of the task that runs for it.
    pub(crate) fn end(&self, cx: &TaskCx, end: TaskEnd) {
        let result = match end {
            TaskEnd::Returned(value) => Parcel::pack(value).map(Ok),
            TaskEnd::Failed(error) => Parcel::pack(error).map(Err),
            TaskEnd::Exit(status) => {
                cx.program().exit(status);
                return;
            }
        };
        if let Ok(result) = result {
            self.cell.complete(result);
        }
        // What waits to be joined is the result, not the task.
        drop(self.task.lock().take());
    }

    /// The address of the task whose turn makes the result, when it may have that turn inside the turn of one that waits. Not
    /// when there is a deadline: that is to be kept also while the task works.
    fn worker(&self) -> Option<usize> {
        match &self.asked {
            Some(_) if self.has_alarm.load(Relaxed) => None,
            Some(actor) => actor.task_addr(),
            None => self.task.lock().as_ref().map(TaskRef::addr),
        }
    }

    /// Fails an ask.
    pub(crate) fn fail(&self, fault: Fault) {
        let Some(actor) = &self.asked else { return };
        if let Ok(error) = Parcel::pack(actor.program().code.error_value(fault)) {
            self.finish(Err(error));
        }
    }

    /// A task hears of it at its next suspension; an ask that is not worked on yet never will be.
    pub fn cancel(&self) {
        if self.asked.is_some() {
            self.fail(Fault::new(FaultKind::CancelledError, "the ask was cancelled"));
        } else if let Some(task) = &*self.task.lock()
            && task.shared().cancel()
        {
            task.wake();
        }
    }
}

/// What fails an ask at its deadline. A task of its own, so that every way of waiting for the answer sees it.
pub(crate) struct Alarm {
    promise: Arc<Promise>,
    deadline: Instant,
    timer: Option<stark_scheduler::TimerKey>,
}

impl Alarm {
    /// Its turn.
    pub fn ring(&mut self, cx: &stark_scheduler::Context<'_, TaskBody>) -> Outcome {
        let over = self.promise.cell.is_done();
        if !over && cx.now() < self.deadline {
            self.timer.get_or_insert_with(|| cx.sleep_until(self.deadline, cx.task().clone()));
            cx.wait_for(WaitReason::Sleep, 0);
            return Outcome::Park;
        }
        if let Some(timer) = self.timer.take() {
            cx.cancel(timer);
        }
        if !over {
            let name = self.promise.asked.as_ref().map_or_else(Default::default, |actor| actor.name());
            self.promise.fail(Fault::new(FaultKind::TimeoutError, format!("no answer of actor {name} in time")));
        }
        Outcome::Done
    }
}

/// A handle on a promise: a `Future` or `JoinHandle`.
pub struct FutureObj(Arc<Promise>);

impl Clone for FutureObj {
    fn clone(&self) -> FutureObj {
        self.0.n_handles.fetch_add(1, Relaxed);
        FutureObj(self.0.clone())
    }
}

impl Drop for FutureObj {
    fn drop(&mut self) {
        let last = self.0.n_handles.fetch_sub(1, AcqRel) == 1;
        if last && self.0.owning.load(Relaxed) && !self.0.cell.is_done() {
            self.0.cancel();
        }
    }
}

impl Opaque for FutureObj {
    fn type_name(&self) -> &'static str {
        if self.0.is_future { "Future" } else { "JoinHandle" }
    }
    fn share(&self) -> Option<Box<dyn Opaque>> {
        Some(Box::new(self.clone()))
    }
}

impl FutureObj {
    /// The first handle on `promise`.
    pub(crate) fn of(promise: Arc<Promise>) -> FutureObj {
        promise.n_handles.fetch_add(1, Relaxed);
        FutureObj(promise)
    }

    pub(super) fn promise(&self) -> &Arc<Promise> {
        &self.0
    }
}

/// Tasks and actors that may be alive at once. A parked one takes some 600 bytes: with all of them a program has passed
/// what most machines have, and more would only be killed from outside.
const MAX_TASKS: usize = 10_000_000;

/// # Errors
/// `OutOfMemoryError` when so many tasks are alive that no more may begin.
pub(crate) fn room_for_task(program: &Program) -> Result<(), Fault> {
    /// Counting takes the locks of all shards, so each worker looks only so often.
    const INTERVAL: u32 = 4096;
    thread_local! {
        /// How many may begin on this thread before the next look.
        static N_LEFT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let n_left = N_LEFT.get();
    if n_left > 0 {
        N_LEFT.set(n_left - 1);
        return Ok(());
    }
    let n_tasks = program.scheduler().map_or(0, |scheduler| scheduler.n_tasks());
    if n_tasks >= MAX_TASKS {
        let message = format!("{n_tasks} tasks are under way, the limit is {MAX_TASKS}");
        return Err(Fault::new(FaultKind::OutOfMemoryError, message));
    }
    N_LEFT.set(INTERVAL);
    Ok(())
}

fn is_future(info: &TypeInfo) -> bool {
    matches!(&info.desc, TypeDesc::Opaque { name, .. } if name == "Future")
}

/// Starts a task that runs `func(args…)`; the result is its handle, of type `handle`.
pub(crate) fn spawn(
    cx: &mut TaskCx,
    func: &'static Func,
    args: impl Iterator<Item = Value>,
    handle: &'static TypeInfo,
) -> Result<Value, Fault> {
    // Owned first: what fails below drops them.
    let args: SmallVec<[Value; 4]> = args.collect();
    room_for_task(cx.program())?;
    let args = args.into_iter().map(pack).collect::<Result<SmallVec<[Parcel; 4]>, _>>()?;
    let future = is_future(handle);
    let promise = Promise::new(future, future, None);
    let scheduler = cx.program().scheduler().ok_or_else(|| Fault::internal("tasks need a scheduler"))?;
    let body = TaskBody::new(cx.program(), func, args, OnEnd::Promise(promise.clone()));
    let task = scheduler.spawn(body, TaskShared::default());
    crate::observe::spawned(cx, &task, || func.def.name.clone());
    crate::observe::begun_for(cx, &task, &func.def.name);
    promise.run_by(task);
    Ok(Value::opaque(handle, Box::new(FutureObj::of(promise))))
}

/// The result of a promise as the native's answer.
fn deliver(cx: &mut NativeCx<'_>, promise: &Promise) -> NativeResult {
    let result = promise.cell.take();
    answer(cx, result)
}

fn answer(cx: &mut NativeCx<'_>, result: Option<super::result::TaskResult<Parcel>>) -> NativeResult {
    match result {
        Some(Ok(value)) => {
            let value = value.unpack();
            cx.return_value(value)
        }
        Some(Err(error)) => Err(Fault::thrown(error.unpack())),
        None => Err(Fault::value("the result of this future was taken before")),
    }
}

/// A wait for one of several promises, perhaps until a moment.
struct Wait {
    promises: Vec<Arc<Promise>>,
    me: Me,
    deadline: Option<Instant>,
    timer: Option<Timer>,
}

/// A timer that is gone when it is dropped.
pub(super) struct Timer {
    key: stark_scheduler::TimerKey,
    program: &'static Program,
}

impl Timer {
    pub(super) fn start(cx: &NativeCx<'_>, me: &Me, deadline: Instant) -> Option<Timer> {
        let program = cx.task.program();
        let key = program.scheduler()?.sleep_until(deadline, me.0.clone());
        Some(Timer { key, program })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(scheduler) = self.program.scheduler() {
            scheduler.cancel(self.key);
        }
    }
}

impl Wait {
    fn begin(cx: &NativeCx<'_>, promises: Vec<Arc<Promise>>, timeout: Option<Duration>) -> Result<Wait, Fault> {
        let me = me(cx)?;
        let ticket = me.point().open();
        for (arm, promise) in (0u32..).zip(&promises) {
            // One that is done already is found by the first look.
            let _ = promise.cell.watch(Watcher::One(Box::new(Entry { task: me.clone(), ticket, arm })));
        }
        let mut wait = Wait { promises, me, deadline: None, timer: None };
        if let (Some(timeout), Some(scheduler)) = (timeout, cx.task.program().scheduler()) {
            let deadline = scheduler.now() + timeout;
            wait.deadline = Some(deadline);
            wait.timer = Timer::start(cx, &wait.me, deadline);
        }
        Ok(wait)
    }

    fn done(&self) -> Option<&Arc<Promise>> {
        self.promises.iter().find(|p| p.cell.is_done())
    }

    fn is_late(&self, cx: &NativeCx<'_>) -> bool {
        match (self.deadline, cx.task.program().scheduler()) {
            (Some(deadline), Some(scheduler)) => scheduler.now() >= deadline,
            _ => false,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        for promise in &self.promises {
            promise.cell.forget(&self.me);
        }
    }
}

/// `await_task`: a suspending native with the future or handle as its only argument.
pub(crate) static AWAIT: NativeRow = NativeRow {
    name: "await",
    scheme: "<T>(_) -> T",
    suspends: true,
    capability: None,
    carried: None,
    func: await_task,
};

/// A wait for one promise, without a time limit.
pub(crate) struct AwaitOne {
    promise: Arc<Promise>,
    me: Me,
    /// Of an actor's handler that waits for another actor's answer.
    _edge: Option<Edge>,
    /// The only handle, where the program has none.
    _future: Option<FutureObj>,
}

impl Drop for AwaitOne {
    fn drop(&mut self) {
        self.promise.cell.forget(&self.me);
    }
}

impl AwaitOne {
    /// Its turn to look at the result.
    pub(crate) fn go_on(self: Box<Self>, cx: &mut NativeCx<'_>) -> NativeResult {
        if self.promise.cell.is_done() {
            return deliver(cx, &self.promise);
        }
        let (reason, detail) = match &self.promise.asked {
            Some(actor) => (WaitReason::Ask, actor.id()),
            None => (WaitReason::Future, self.promise.runner_id()),
        };
        cx.suspend_again(reason, detail, self)
    }
}

/// Answers with the result of `promise`, waits for it, or runs who makes it. `future`: the only handle on it.
pub(crate) fn await_one(cx: &mut NativeCx<'_>, promise: &Arc<Promise>, future: Option<FutureObj>) -> NativeResult {
    if !promise.cell.is_done() {
        let edge = wait_for(cx.task, std::slice::from_ref(promise))?;
        if !(promise.worker().is_some_and(|task| cx.task.lend_turn(task)) && promise.cell.is_done()) {
            let me = me(cx)?;
            // One that is done by now is found by the look that follows.
            let _ = promise.cell.watch(Watcher::Task(me.clone()));
            return Box::new(AwaitOne { promise: promise.clone(), me, _edge: edge, _future: future }).go_on(cx);
        }
    }
    deliver(cx, promise)
}

fn await_task(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<AwaitOne>() {
        return wait.go_on(cx);
    }
    let promise = cx.opaque::<FutureObj>(0).promise();
    if promise.cell.is_done() {
        // Not counted anew, as for a wait.
        let result = promise.cell.take();
        return answer(cx, result);
    }
    let promise = promise.clone();
    await_one(cx, &promise, None)
}

pub(crate) const TABLE: &[NativeRow] = natives! {
    future_cancel "<T>(Future<T>) -> ()";
    future_detach "<T>(Future<T>) -> ()";
    future_is_done "<T>(Future<T>) -> Bool";
    handle_cancel "<T>(JoinHandle<T>) -> ()";
    handle_is_done "<T>(JoinHandle<T>) -> Bool";
    futures_gather "<T>(Vec<Future<T>>) -> Vec<T>" [suspends];
    handles_gather "<T>(Vec<JoinHandle<T>>) -> Vec<T>" [suspends];
    futures_race "<T>(Vec<Future<T>>) -> T" [suspends];
    future_timeout "<T>(Duration, Future<T>) -> T" [suspends];
    handle_timeout "<T>(Duration, JoinHandle<T>) -> T" [suspends];
    group_new "() -> TaskGroup";
    group_add "<T>(TaskGroup, JoinHandle<T>) -> ()";
    group_join "(TaskGroup) -> ()" [suspends];
    group_abort "(TaskGroup) -> ()" [suspends];
    group_cancel "(TaskGroup) -> ()";
    sleep "(Duration) -> ()" [suspends];
    yield_now "() -> ()" [suspends];
};

fn future_cancel(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<FutureObj>(0).promise().cancel();
    cx.return_unit()
}

fn handle_cancel(cx: &mut NativeCx<'_>) -> NativeResult {
    future_cancel(cx)
}

fn future_detach(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<FutureObj>(0).promise().owning.store(false, Relaxed);
    cx.return_unit()
}

fn future_is_done(cx: &mut NativeCx<'_>) -> NativeResult {
    let done = cx.opaque::<FutureObj>(0).promise().cell.is_done();
    cx.return_bool(done)
}

fn handle_is_done(cx: &mut NativeCx<'_>) -> NativeResult {
    future_is_done(cx)
}

fn promises_of(cx: &NativeCx<'_>, arg: usize) -> Vec<Arc<Promise>> {
    cx.vec(arg).iter().map(|f| f.opaque::<FutureObj>().promise().clone()).collect()
}

struct GatherWait {
    promises: Vec<Arc<Promise>>,
    all: Arc<Gathering<Parcel, Me>>,
    me: Me,
    _edge: Option<Edge>,
}

impl Drop for GatherWait {
    fn drop(&mut self) {
        for promise in &self.promises {
            promise.cell.forget(&self.me);
        }
    }
}

/// All results in order; the first failure cancels the rest.
fn futures_gather(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match cx.resumed::<GatherWait>() {
        Some(wait) => *wait,
        None => {
            let (promises, me) = (promises_of(cx, 0), me(cx)?);
            let edge = wait_for(cx.task, &promises)?;
            let all = Arc::new(Gathering::new(me.clone(), promises.len()));
            for promise in &promises {
                if let Err(watcher) = promise.cell.watch(Watcher::All(all.clone())) {
                    watcher.tell(promise.cell.is_failed());
                }
            }
            GatherWait { promises, all, me, _edge: edge }
        }
    };
    if !wait.all.is_over() {
        return cx.suspend(WaitReason::Future, wait.all.n_left() as u64, wait);
    }
    if let Some(failed) = wait.promises.iter().find(|p| p.cell.is_failed()) {
        for promise in &wait.promises {
            promise.cancel();
        }
        return deliver(cx, failed);
    }
    let mut values = Vec::with_capacity(wait.promises.len());
    for promise in &wait.promises {
        match promise.cell.take() {
            Some(Ok(value)) => values.push(value.unpack()),
            Some(Err(error)) => return Err(Fault::thrown(error.unpack())),
            None => return Err(Fault::value("the result of one of these futures was taken before")),
        }
    }
    cx.return_vec(values)
}

fn handles_gather(cx: &mut NativeCx<'_>) -> NativeResult {
    futures_gather(cx)
}

fn futures_race(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match cx.resumed::<Wait>() {
        Some(wait) => *wait,
        None => Wait::begin(cx, promises_of(cx, 0), None)?,
    };
    let Some(first) = wait.done().cloned() else { return cx.suspend(WaitReason::Future, 0, wait) };
    for promise in wait.promises.iter().filter(|p| !Arc::ptr_eq(p, &first)) {
        promise.cancel();
    }
    deliver(cx, &first)
}

fn duration(cx: &NativeCx<'_>, arg: usize) -> Duration {
    Duration::from_nanos(cx.int(arg).max(0) as u64)
}

fn future_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match cx.resumed::<Wait>() {
        Some(wait) => *wait,
        None => {
            let promise = cx.opaque::<FutureObj>(1).promise().clone();
            let timeout = duration(cx, 0);
            Wait::begin(cx, vec![promise], Some(timeout))?
        }
    };
    if let Some(promise) = wait.done().cloned() {
        return deliver(cx, &promise);
    }
    if wait.is_late(cx) {
        wait.promises[0].cancel();
        return Err(Fault::new(FaultKind::TimeoutError, format!("no result within {:?}", duration(cx, 0))));
    }
    cx.suspend(WaitReason::Future, 0, wait)
}

fn handle_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    future_timeout(cx)
}

/// The tasks of a `scope`.
#[derive(Clone, Default)]
struct Group(Arc<Mutex<Vec<Arc<Promise>>>>);

impl Opaque for Group {
    fn type_name(&self) -> &'static str {
        "TaskGroup"
    }
    fn share(&self) -> Option<Box<dyn Opaque>> {
        Some(Box::new(self.clone()))
    }
}

fn group_new(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.return_opaque(Group::default())
}

fn group_add(cx: &mut NativeCx<'_>) -> NativeResult {
    let promise = cx.opaque::<FutureObj>(1).promise().clone();
    cx.opaque::<Group>(0).0.lock().push(promise);
    cx.return_unit()
}

fn group_cancel(cx: &mut NativeCx<'_>) -> NativeResult {
    for promise in cx.opaque::<Group>(0).0.lock().iter() {
        promise.cancel();
    }
    cx.return_unit()
}

struct GroupWait {
    waits: Option<Wait>,
    failed: Option<Parcel>,
}

impl Drop for GroupWait {
    /// Still waiting: the task was cancelled, and so are those it waited for.
    fn drop(&mut self) {
        for promise in self.waits.iter().flat_map(|wait| &wait.promises) {
            promise.cancel();
        }
    }
}

/// Waits for every task; the first failure cancels the others and is thrown when all have ended.
fn group_end(cx: &mut NativeCx<'_>, throw: bool) -> NativeResult {
    let mut state = match cx.resumed::<GroupWait>() {
        Some(state) => *state,
        None => GroupWait { waits: None, failed: None },
    };
    let group = cx.opaque::<Group>(0).clone();
    loop {
        state.waits = None;
        let promises: Vec<Arc<Promise>> = group.0.lock().clone();
        let mut open = Vec::new();
        for promise in promises {
            if !promise.cell.is_done() {
                open.push(promise);
            } else if promise.cell.is_failed() && state.failed.is_none() && throw {
                if let Some(Err(error)) = promise.cell.take() {
                    state.failed = Some(error);
                }
            }
        }
        if open.is_empty() {
            group.0.lock().clear();
            return match state.failed.take() {
                Some(error) => Err(Fault::thrown(error.unpack())),
                None => cx.return_unit(),
            };
        }
        if state.failed.is_some() {
            for promise in &open {
                promise.cancel();
            }
        }
        let n_open = open.len() as u64;
        let wait = Wait::begin(cx, open, None)?;
        if wait.done().is_some() {
            continue;
        }
        state.waits = Some(wait);
        return cx.suspend(WaitReason::Scope, n_open, state);
    }
}

fn group_join(cx: &mut NativeCx<'_>) -> NativeResult {
    group_end(cx, true)
}

fn group_abort(cx: &mut NativeCx<'_>) -> NativeResult {
    for promise in cx.opaque::<Group>(0).0.lock().iter() {
        promise.cancel();
    }
    group_end(cx, false)
}

struct Sleep {
    deadline: Instant,
    _timer: Option<Timer>,
}

fn sleep(cx: &mut NativeCx<'_>) -> NativeResult {
    let me = me(cx)?;
    let program = cx.task.program();
    let scheduler = program.scheduler().ok_or_else(|| Fault::internal("sleeping needs a scheduler"))?;
    let state = match cx.resumed::<Sleep>() {
        Some(state) => *state,
        None => {
            program.flush();
            let deadline = scheduler.now() + duration(cx, 0);
            Sleep { deadline, _timer: Timer::start(cx, &me, deadline) }
        }
    };
    if scheduler.now() >= state.deadline {
        return cx.return_unit();
    }
    cx.suspend(WaitReason::Sleep, duration(cx, 0).as_millis() as u64, state)
}

struct Yielded;

fn yield_now(cx: &mut NativeCx<'_>) -> NativeResult {
    if cx.resumed::<Yielded>().is_some() {
        return cx.return_unit();
    }
    me(cx)?.0.wake();
    cx.suspend(WaitReason::Nothing, 0, Yielded)
}
