//! Tasks as the language sees them: spawning, awaiting, cancelling, gathering, racing, scopes.

use super::arm::check_arms;
use super::promise::{FutureObj, Promise, PromiseRef};
use super::result::{Gathering, Hook, Pending, Watcher};
use super::wait::{Entry, WaitPoint, Waiter};
use crate::actor::{Edge, end_gathering, wait_for};
use crate::fault::{Fault, FaultKind};
use crate::heap::{Opaque, Parcel, pages};
use crate::load::Func;
use crate::natives::{Answered, NativeCx, NativeResult, NativeRow, natives};
use crate::program::Program;
use crate::task::{TaskBody, TaskCx, TaskShared, WaitReason};
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};
use parking_lot::Mutex;
use smallvec::SmallVec;
use stark_bytecode::TypeDesc;
use stark_scheduler::TaskRef;
use std::sync::{Arc, Weak};
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
    cx.task.me().map(Me).ok_or_else(no_scheduler)
}

pub(super) fn no_scheduler() -> Fault {
    Fault::internal("a task that waits needs a scheduler")
}

/// The task whose turn it is on this thread.
pub(super) fn current() -> Option<Me> {
    crate::task::program_here()?.scheduler()?.with_current(TaskRef::clone).map(Me)
}

/// A value for another task. Nothing in the language is bound to its task, so packing succeeds.
#[inline]
pub fn pack(value: Value) -> Result<Parcel, Fault> {
    Parcel::pack(value).map_err(|_| Fault::value("a value that cannot be copied is still held elsewhere"))
}

/// # Errors
/// `OutOfMemoryError` when so many tasks are alive that no more may begin.
pub(crate) fn room_for_task(program: &Program) -> Result<(), Fault> {
    /// Counting reads what all workers write: far from the limit each looks only so often.
    const INTERVAL: u32 = 4096;
    thread_local! {
        /// How many may begin on this thread, for the program at this address, before the next look.
        static LEFT: std::cell::Cell<(usize, u32)> = const { std::cell::Cell::new((0, 0)) };
    }
    let of = std::ptr::from_ref(program).addr();
    if let (known, n_left @ 1..) = LEFT.get()
        && known == of
    {
        LEFT.set((of, n_left - 1));
        return Ok(());
    }
    let Some(scheduler) = program.scheduler() else { return Ok(()) };
    let (n_tasks, limit) = (scheduler.n_tasks(), program.options.max_tasks);
    if n_tasks >= limit {
        let message = format!("{n_tasks} tasks are under way, the limit (max-tasks) is {limit}");
        return Err(Fault::new(FaultKind::OutOfMemoryError, message));
    }
    // Of what is left, all workers together are given half without a look.
    let is_far = limit - n_tasks > 2 * INTERVAL as usize * scheduler.n_workers();
    if is_far {
        pages::look();
    }
    LEFT.set((of, if is_far { INTERVAL } else { 0 }));
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
    end_gathering();
    // Owned first: what fails below drops them.
    let args: SmallVec<[Value; 4]> = args.collect();
    room_for_task(cx.program())?;
    let mut parcels: SmallVec<[Parcel; 4]> = SmallVec::new();
    for arg in args {
        parcels.push(pack(arg)?);
    }
    let future = is_future(handle);
    let scheduler = cx.program().scheduler().ok_or_else(|| Fault::internal("tasks need a scheduler"))?;
    let is_part = std::mem::take(&mut cx.begins_part) || future;
    let mut body = TaskBody::new(cx.program(), func, parcels);
    if let (true, Some(deadline)) = (is_part, cx.deadline) {
        body = body.until(deadline);
    }
    let task = scheduler.spawn(body, TaskShared::promising(Promise::new(future, future)));
    crate::observe::spawned(cx, &task, || func.def.name.clone());
    crate::observe::begun_for(cx, &task, &func.def.name);
    Ok(Value::opaque(handle, FutureObj::of(PromiseRef::Task(task))))
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
    promises: Vec<PromiseRef>,
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
    fn begin(cx: &NativeCx<'_>, promises: Vec<PromiseRef>, timeout: Option<Duration>) -> Result<Wait, Fault> {
        check_arms(promises.len())?;
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

    fn done(&self) -> Option<&PromiseRef> {
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
    gathers: false,
    capability: None,
    carried: None,
    func: await_task,
};

/// A wait for one promise, without a time limit.
pub(crate) struct AwaitOne {
    promise: PromiseRef,
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
    pub(crate) fn go_on(self, cx: &mut NativeCx<'_>) -> NativeResult {
        match self.promise.cell.take_or_wait() {
            Ok(result) => answer(cx, result),
            Err(Pending) => self.suspend(cx),
        }
    }

    fn suspend(self, cx: &mut NativeCx<'_>) -> NativeResult {
        let (reason, detail) = match self.promise.asked() {
            Some(actor) => (WaitReason::Ask, actor.id()),
            None => (WaitReason::Future, self.promise.runner_id()),
        };
        cx.suspend(reason, detail, self)
    }
}

/// A wait for the result of a task, which is nearly always what is awaited. No larger than a pointer. `None`: it is over.
struct AwaitTask(Option<TaskRef<TaskBody>>);

impl Drop for AwaitTask {
    fn drop(&mut self) {
        if let Some(task) = &self.0
            && let Some(me) = current()
        {
            task.shared().promise().cell.forget(&me);
        }
    }
}

impl AwaitTask {
    /// Its turn to look at the result.
    fn go_on(mut self, cx: &mut NativeCx<'_>) -> NativeResult {
        let result = self.0.as_ref().map(|task| task.shared().promise().cell.take_or_wait());
        match result {
            Some(Err(Pending)) => self.suspend(cx),
            Some(Ok(result)) => {
                self.0 = None;
                answer(cx, result)
            }
            None => Err(Fault::internal("a wait went on after its end")),
        }
    }

    fn suspend(self, cx: &mut NativeCx<'_>) -> NativeResult {
        let runner = self.0.as_ref().map_or(0, |task| task.id().0);
        cx.suspend(WaitReason::Future, runner, self)
    }
}

/// Answers with the result of `promise`, waits for it, or runs who makes it. `future`: the only handle on it.
pub(crate) fn await_one(cx: &mut NativeCx<'_>, promise: PromiseRef, future: Option<FutureObj>) -> NativeResult {
    if let Ok(result) = promise.cell.take_or_wait() {
        return answer(cx, result);
    }
    let edge = wait_for(cx.task, std::slice::from_ref(&promise))?;
    if promise.worker().is_some_and(|task| cx.task.lend_turn(task))
        && let Ok(result) = promise.cell.take_or_wait()
    {
        return answer(cx, result);
    }
    let wakes_me = cx.task.me().map(Me).ok_or_else(no_scheduler)?;
    if promise.cell.watch(Watcher::Task(wakes_me)).is_err() {
        return deliver(cx, &promise);
    }
    match (promise, edge, future) {
        (PromiseRef::Task(task), None, None) => AwaitTask(Some(task)).suspend(cx),
        (promise, edge, future) => AwaitOne { promise, me: me(cx)?, _edge: edge, _future: future }.suspend(cx),
    }
}

fn await_task(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<AwaitTask>() {
        return wait.go_on(cx);
    }
    if let Some(wait) = cx.resumed::<AwaitOne>() {
        return wait.go_on(cx);
    }
    let promise = cx.opaque::<FutureObj>(0).promise();
    if let Ok(result) = promise.cell.take_or_wait() {
        // Not counted anew, as for a wait.
        return answer(cx, result);
    }
    let promise = promise.clone();
    await_one(cx, promise, None)
}

pub(crate) const TABLE: &[NativeRow] = natives! {
    future_cancel "<T>(Future<T>) -> ()";
    future_detach "<T>(Future<T>) -> ()";
    future_is_done "<T>(Future<T>) -> Bool";
    handle_cancel "<T>(JoinHandle<T>) -> ()";
    handle_is_done "<T>(JoinHandle<T>) -> Bool";
    futures_gather "<T>(Vec<Future<T>>) -> Vec<T>" [suspends];
    handles_gather "<T>(Vec<JoinHandle<T>>) -> Vec<T>" [suspends];
    futures_join "<T>(T) -> ()" [suspends];
    futures_race "<T>(Vec<Future<T>>) -> T" [suspends];
    handles_race "<T>(Vec<JoinHandle<T>>) -> T" [suspends];
    future_timeout "<T>(Duration, Future<T>) -> T" [suspends];
    handle_timeout "<T>(Duration, JoinHandle<T>) -> T" [suspends];
    group_new "() -> TaskGroup";
    group_begins "(TaskGroup) -> ()";
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
    cx.opaque::<FutureObj>(0).promise().detach();
    cx.return_unit()
}

fn future_is_done(cx: &mut NativeCx<'_>) -> NativeResult {
    let done = cx.opaque::<FutureObj>(0).promise().cell.is_done();
    cx.return_bool(done)
}

fn handle_is_done(cx: &mut NativeCx<'_>) -> NativeResult {
    future_is_done(cx)
}

fn promises_of(cx: &NativeCx<'_>, arg: usize) -> Vec<PromiseRef> {
    cx.vec(arg).iter().map(|f| f.opaque::<FutureObj>().promise().clone()).collect()
}

struct GatherWait {
    promises: Vec<PromiseRef>,
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

/// Waits for all of `promises`, which are asked for once; the first failure cancels the rest and is thrown. They are given when all
/// are well; `Err`: the answer of a native that waits.
fn gather(
    cx: &mut NativeCx<'_>,
    promises: impl FnOnce(&NativeCx<'_>) -> Result<Vec<PromiseRef>, Fault>,
) -> Result<Result<GatherWait, Answered>, Fault> {
    let wait = match cx.resumed::<GatherWait>() {
        Some(wait) => wait,
        None => {
            let (promises, me) = (promises(cx)?, me(cx)?);
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
        // Zero: it waits for no single task.
        return cx.suspend(WaitReason::Future, 0, wait).map(Err);
    }
    if let Some(failed) = wait.promises.iter().find(|p| p.cell.is_failed()) {
        for promise in &wait.promises {
            promise.cancel();
        }
        return deliver(cx, failed).map(Err);
    }
    Ok(Ok(wait))
}

/// All results in order.
fn futures_gather(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match gather(cx, |cx| Ok(promises_of(cx, 0)))? {
        Ok(wait) => wait,
        Err(waits) => return Ok(waits),
    };
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

fn promise_in(field: ValueRef<'_>) -> Result<PromiseRef, Fault> {
    match &field.info().desc {
        TypeDesc::Opaque { name, .. } if name == "Future" || name == "JoinHandle" => match field.is_hole() {
            true => Err(Fault::value("the value is lent elsewhere")),
            false => Ok(field.opaque::<FutureObj>().promise().clone()),
        },
        _ => Err(Fault::internal("a tuple of futures expected")),
    }
}

/// Waits for all futures in a tuple, whose results stay in them.
fn futures_join(cx: &mut NativeCx<'_>) -> NativeResult {
    let joined = gather(cx, |cx| {
        let tuple = cx.arg(0);
        let TypeDesc::Tuple(types) = &tuple.info().desc else {
            return Err(Fault::internal("a tuple of futures expected"));
        };
        (0..types.len()).map(|i| promise_in(tuple.field(i))).collect()
    })?;
    match joined {
        Ok(_) => cx.return_unit(),
        Err(waits) => Ok(waits),
    }
}

fn handles_gather(cx: &mut NativeCx<'_>) -> NativeResult {
    futures_gather(cx)
}

fn futures_race(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match cx.resumed::<Wait>() {
        Some(wait) => wait,
        None => Wait::begin(cx, promises_of(cx, 0), None)?,
    };
    let Some(first) = wait.done().cloned() else { return cx.suspend(WaitReason::Future, 0, wait) };
    for promise in wait.promises.iter().filter(|p| !p.is_same(&first)) {
        promise.cancel();
    }
    deliver(cx, &first)
}

fn handles_race(cx: &mut NativeCx<'_>) -> NativeResult {
    futures_race(cx)
}

fn duration(cx: &NativeCx<'_>, arg: usize) -> Duration {
    Duration::from_nanos(cx.int(arg).max(0) as u64)
}

fn future_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let wait = match cx.resumed::<Wait>() {
        Some(wait) => wait,
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
#[derive(Clone)]
struct Group(Arc<Scope>);

struct Scope {
    /// The task whose block it is.
    owner: Me,
    tasks: Mutex<Members>,
    failure: Mutex<Failure>,
    hook: Arc<Hook<Parcel>>,
}

/// The tasks of a scope that may not have ended, or not well.
#[derive(Default)]
struct Members {
    list: Vec<PromiseRef>,
    /// With so many it is looked which have ended: a server's scope sees any number of tasks, few at a time.
    sweep_at: usize,
}

impl Members {
    const FEWEST: usize = 64;

    fn add(&mut self, task: PromiseRef) {
        if self.list.len() >= self.sweep_at.max(Members::FEWEST) {
            self.list.retain(|task| !task.cell.is_done() || task.cell.is_failed());
            self.sweep_at = 2 * self.list.len();
        }
        self.list.push(task);
    }
}

/// The first error of a task that nobody had cancelled.
#[derive(Default)]
struct Failure {
    error: Option<Parcel>,
    /// The number under which the owner hears of it where it waits.
    news: Option<u16>,
    /// The block has ended, and the owner looks by itself.
    is_awaited: bool,
}

impl Scope {
    fn new(owner: Me) -> Arc<Scope> {
        Arc::new_cyclic(|scope: &Weak<Scope>| {
            let scope = scope.clone();
            let hook = Hook(Box::new(move |error| {
                if let Some(scope) = scope.upgrade() {
                    scope.fail(error);
                }
            }));
            Scope { owner, tasks: Mutex::default(), failure: Mutex::default(), hook: Arc::new(hook) }
        })
    }

    /// Cancels the others, and the owner's wait.
    fn fail(&self, error: Parcel) {
        let mut failure = self.failure.lock();
        if failure.error.is_some() {
            return;
        }
        failure.error = Some(error);
        failure.news = (!failure.is_awaited).then(|| self.owner.0.shared().fail_scope());
        let is_news = failure.news.is_some();
        drop(failure);
        self.cancel();
        if is_news {
            self.owner.wake();
        }
    }

    fn cancel(&self) {
        let tasks = self.tasks.lock().list.clone();
        tasks.iter().filter(|task| !task.cell.is_done()).for_each(PromiseRef::cancel);
    }

    /// The block has ended; what had failed before. By the owner.
    fn end(&self) -> Option<Parcel> {
        let mut failure = self.failure.lock();
        failure.is_awaited = true;
        if let Some(news) = failure.news.take() {
            self.owner.0.shared().end_scope(news);
        }
        failure.error.take()
    }
}

impl Drop for Scope {
    /// Of a block that was left without its end being run: its actor was killed, or begun again.
    fn drop(&mut self) {
        self.end();
        self.cancel();
    }
}

impl Opaque for Group {
    fn type_name(&self) -> &'static str {
        "TaskGroup"
    }
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }
}

fn group_new(cx: &mut NativeCx<'_>) -> NativeResult {
    let owner = me(cx)?;
    cx.return_opaque(Group(Scope::new(owner)))
}

/// The task that is begun next will be of the group.
fn group_begins(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.task.begins_part = true;
    cx.return_unit()
}

fn group_add(cx: &mut NativeCx<'_>) -> NativeResult {
    let promise = cx.opaque::<FutureObj>(1).promise().clone();
    let scope = cx.opaque::<Group>(0).0.clone();
    scope.tasks.lock().add(promise.clone());
    if promise.cell.watch(Watcher::Hook(scope.hook.clone())).is_err() {
        // It has ended already, on another worker, perhaps with an error.
        promise.mark_heard();
        let error = promise.cell.with_error(Parcel::copy).flatten();
        if let Some(error) = error
            && let Ok(error) = Parcel::pack(error)
        {
            scope.fail(error);
        }
    }
    if scope.failure.lock().error.is_some() {
        promise.cancel();
    }
    cx.return_unit()
}

fn group_cancel(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<Group>(0).0.cancel();
    cx.return_unit()
}

/// A wait for the tasks of a scope whose block has failed. Nothing interrupts it: a scope ends when all its tasks have.
pub(crate) struct Aborting(GroupWait);

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

/// Waits for every task; the first failure cancels the others and is thrown when all have ended. `throw`: also one that was not
/// there when the block ended.
fn group_end(cx: &mut NativeCx<'_>, throw: bool) -> NativeResult {
    let scope = cx.opaque::<Group>(0).0.clone();
    let resumed = if throw { cx.resumed::<GroupWait>() } else { cx.resumed::<Aborting>().map(|abort| abort.0) };
    let mut state = resumed.unwrap_or_else(|| GroupWait { waits: None, failed: scope.end() });
    loop {
        state.waits = None;
        if throw && state.failed.is_none() {
            state.failed = scope.end();
        }
        let promises: Vec<PromiseRef> = scope.tasks.lock().list.clone();
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
            scope.tasks.lock().list.clear();
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
        return match throw {
            true => cx.suspend(WaitReason::Scope, n_open, state),
            false => cx.suspend(WaitReason::Scope, n_open, Aborting(state)),
        };
    }
}

fn group_join(cx: &mut NativeCx<'_>) -> NativeResult {
    group_end(cx, true)
}

fn group_abort(cx: &mut NativeCx<'_>) -> NativeResult {
    if cx.resume.is_none() {
        cx.opaque::<Group>(0).0.cancel();
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
    // For no time at all it only offers the others a turn.
    if cx.resumed::<Yielded>().is_some() {
        return cx.return_unit();
    }
    let state = match cx.resumed::<Sleep>() {
        Some(state) => state,
        None if duration(cx, 0).is_zero() => {
            me.0.wake();
            return cx.suspend(WaitReason::Nothing, 0, Yielded);
        }
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
