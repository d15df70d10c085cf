//! What all workers and handles share, and the two ways in: queueing a task and asking for a service.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::blocking::{BlockingPool, Job};
use crate::idle::Idle;
use crate::metrics::{Metrics, WorkerMetrics};
use crate::registry::Registry;
use crate::seeded::{Choices, Seeded};
use crate::sync::queue::{Injector, Steal, Stealer};
use crate::task::{self, Task, TaskRef};
use crate::timer::{NEVER, TimerKey, Timers};
use crate::worker;

pub(crate) struct Core<T: Task> {
    /// Without the reliefs (`idle`), which are numbered behind them.
    pub(crate) n_workers: usize,
    pub(crate) budget: u32,
    epoch: Instant,
    pub(crate) registry: Registry<T>,
    pub(crate) timers: Timers<TaskRef<T>>,
    pub(crate) injector: Injector<TaskRef<T>>,
    /// For workers that have nothing else to do, and for no relief: what takes long.
    pub(crate) put_off: Injector<TaskRef<T>>,
    pub(crate) stealers: Vec<Stealer<TaskRef<T>>>,
    pub(crate) idle: Idle,
    /// The workers' threads that have begun.
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) metrics: Vec<WorkerMetrics>,
    /// Operations under way outside whose end will wake a task.
    n_external: AtomicUsize,
    blocking: BlockingPool,
    pub(crate) stopping: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The deterministic twin: then there are no workers.
    pub(crate) seeded: Option<Seeded<T>>,
}

/// Where a task was begun: its shard of the registry, and the way to the core.
///
/// A core and its homes are leaked: every task and every handle on one refers to them, so that counting references would be
/// most of what a short task costs, and a process has few schedulers.
pub(crate) struct Home<T: Task> {
    pub(crate) core: &'static Core<T>,
    pub(crate) shard: usize,
}

impl<T: Task> Home<T> {
    pub(crate) fn leak(core: &'static Core<T>, shard: usize) -> &'static Self {
        Box::leak(Box::new(Home { core, shard }))
    }
}

impl<T: Task> Core<T> {
    pub(crate) fn new(
        n_workers: usize,
        budget: u32,
        blocking_limit: usize,
        stealers: Vec<Stealer<TaskRef<T>>>,
        seed: Option<(u64, Choices)>,
    ) -> Self {
        let n_all = stealers.len();
        Self {
            n_workers,
            budget,
            epoch: Instant::now(),
            // One more for the threads outside.
            registry: Registry::new(n_all, if seed.is_some() { 1 } else { n_all + 1 }),
            timers: Timers::new(n_all + 1),
            injector: Injector::new(),
            put_off: Injector::new(),
            stealers,
            idle: Idle::new(n_workers, n_all - n_workers),
            threads: Mutex::new(Vec::new()),
            metrics: (0..n_all).map(|_| WorkerMetrics::default()).collect(),
            n_external: AtomicUsize::new(0),
            blocking: BlockingPool::new(blocking_limit),
            stopping: AtomicBool::new(false),
            panic: Mutex::new(None),
            seeded: seed.map(|(seed, choices)| Seeded::new(seed, choices)),
        }
    }

    /// Queues a task whose state has just become `Scheduled`.
    pub(crate) fn schedule(&'static self, task: TaskRef<T>) {
        if let Some(seeded) = &self.seeded {
            seeded.push(task);
        } else if let Some(task) = worker::push_here(self, task) {
            self.injector.push(task);
            self.idle.notify_one();
        }
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        match &self.seeded {
            Some(seeded) => seeded.now(),
            None => nanos(self.epoch.elapsed()),
        }
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.epoch + Duration::from_nanos(at)
    }

    fn since_epoch(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    pub(crate) fn n_external(&self) -> usize {
        self.n_external.load(SeqCst)
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Nothing is running and nothing will: to be asked under the lock of the sleepers, when all sleep.
    pub(crate) fn is_quiet(&self) -> bool {
        // In this order: an operation outside queues its task before it counts itself as over.
        (self.registry.n_live() == 0 || (self.n_external() == 0 && self.timers.next() == NEVER))
            && self.injector.is_empty()
            && self.put_off.is_empty()
    }

    /// Whether a task that `worker` may take waits in some queue: everything that was published before the caller's last fence
    /// is seen.
    pub(crate) fn has_work(&self, worker: usize) -> bool {
        !self.injector.is_empty()
            || self.stealers.iter().any(|stealer| !stealer.is_empty())
            || worker < self.n_workers && !self.put_off.is_empty()
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, SeqCst);
        self.wake_waiter();
    }

    fn wake_waiter(&self) {
        match &self.seeded {
            Some(seeded) => seeded.notify(),
            None => self.idle.wake_all(),
        }
    }

    /// Ends the run with a panic that `Scheduler::wait` passes on. The first one counts.
    pub(crate) fn fail(&self, panic: Box<dyn Any + Send>) {
        self.panic.lock().get_or_insert(panic);
        self.stop();
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().take()
    }

    /// Lets go of everything, when no worker is left.
    pub(crate) fn clear(&self) {
        self.blocking.close();
        self.timers.clear();
        let tasks = self.registry.drain();
        tasks.iter().for_each(TaskRef::discard);
        if let Some(seeded) = &self.seeded {
            seeded.clear();
        }
        for queue in [&self.injector, &self.put_off] {
            while !queue.is_empty() {
                if let Steal::Success(task) = queue.steal() {
                    task.discard();
                }
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}

/// The scheduler as seen from anywhere: tasks (through [`crate::Context`]), natives, reactor threads. Cheap to clone.
pub struct Handle<T: Task> {
    pub(crate) home: &'static Home<T>,
}

impl<T: Task> Handle<T> {
    /// Begins a task. From a worker it goes to that worker's own queue.
    pub fn spawn(&self, body: T, shared: T::Shared) -> TaskRef<T> {
        let core = self.home.core;
        // Whoever holds the handle: on a worker's thread the task is that worker's.
        let mut parts = Some((body, shared));
        let begun = worker::with_here(core, |worker| {
            let (body, shared) = parts.take()?;
            let task = worker.begin(body, shared);
            worker.push_next(task.clone());
            Some(task)
        });
        if let Some(task) = begun.flatten() {
            return task;
        }
        let Some((body, shared)) = parts else { unreachable!("no worker has taken it") };
        let task = TaskRef::begin(self.home, core.registry.begun_outside(), body, shared);
        core.schedule(task.clone());
        task
    }

    /// Begins a task for whichever worker has nothing else to do.
    pub fn spawn_elsewhere(&self, body: T, shared: T::Shared) {
        let task = TaskRef::begin(self.home, self.home.core.registry.begun_outside(), body, shared);
        match &self.home.core.seeded {
            Some(seeded) => seeded.push(task),
            None => {
                self.home.core.put_off.push(task);
                self.home.core.idle.notify_worker();
            }
        }
    }

    /// The time, virtual under a seed.
    pub fn now(&self) -> Instant {
        let core = self.home.core;
        if core.seeded.is_some() { core.instant(core.now()) } else { Instant::now() }
    }

    /// How long it has run, in virtual time under a seed.
    pub fn since_start(&self) -> Duration {
        Duration::from_nanos(self.home.core.now())
    }

    /// The choices of this run come from a seed, and time is virtual.
    pub fn is_seeded(&self) -> bool {
        self.home.core.seeded.is_some()
    }

    /// Wakes `task` at `deadline`, or as soon after it as a worker looks. [`Handle::now`] is then not before it.
    pub fn sleep_until(&self, deadline: Instant, task: TaskRef<T>) -> TimerKey {
        let core = self.home.core;
        let deadline = core.since_epoch(deadline);
        let key = core.timers.insert(self.home.shard, deadline, task);
        if core.seeded.is_some() {
            core.wake_waiter();
        } else if !worker::is_here(core) {
            core.idle.keep_timer(deadline);
        }
        key
    }

    /// In a turn, before work that holds this worker for long (a kernel, a search of a large text): lets the others have what waits
    /// for it, calls a relief for as long as the turn lasts, and sees to it that somebody keeps the timers.
    pub fn hand_over(&self) {
        worker::hand_over(self.home.core);
    }

    /// In a turn, between two pieces of work: once that takes long, as `hand_over`.
    pub fn pause(&self) {
        worker::pause(self.home.core);
    }

    /// In a turn that could as well be somebody else's, before each piece of its work: whether this worker has better things to do. When
    /// it has not, somebody else keeps the timers.
    pub fn is_wanted(&self) -> bool {
        worker::is_wanted(self.home.core)
    }

    /// Has the task whose turn it is, when that is over, wait for a worker with nothing else to do.
    pub fn put_off(&self) {
        worker::put_off(self.home.core);
    }

    /// Whether this is the thread of a relief, on duty while a worker is in a long turn: what takes long is not for it.
    pub fn is_relief(&self) -> bool {
        worker::is_relief(self.home.core)
    }

    /// `true`: the timer had not fired and will not.
    pub fn cancel(&self, key: TimerKey) -> bool {
        self.home.core.timers.cancel(key).is_some()
    }

    /// Calls `f` with the task whose turn it is on this thread, if it is one of this scheduler's.
    #[inline]
    pub fn with_current<R>(&self, f: impl FnOnce(&TaskRef<T>) -> R) -> Option<R> {
        task::with_current(self.home.core, f)
    }

    /// Whether the turn under way on this thread is inside that of another task, which waits for as long.
    pub fn is_nested(&self) -> bool {
        worker::is_nested(self.home.core)
    }

    /// Whether [`Handle::run_next`] would run the task at `addr`.
    pub fn can_run_next(&self, addr: usize) -> bool {
        worker::can_run_next(self.home.core, addr)
    }

    /// Gives the task at `addr` (see [`TaskRef::addr`]), if it is the one woken last on this worker and so its next, a turn
    /// of at most `budget` inside the turn of the task that calls: for one that would wait for it otherwise. Answers how much
    /// of the budget it has used.
    ///
    /// `None`: nothing has happened. Turns are nested once and no deeper, and never under a seed, where the seed says who is
    /// next.
    pub fn run_next(&self, addr: usize, budget: u32) -> Option<u32> {
        worker::run_next(self.home.core, addr, budget)
    }

    /// Gives `task`, if it is parked, a turn of at most `budget` inside the turn of the task that calls. `before` looks at its
    /// body first and may refuse (`false`); what `after` makes of it then is answered, with how much of the budget was used.
    ///
    /// `None`: nothing has happened. As for `run_next`, turns are nested once, and never under a seed.
    pub fn run_parked<R>(
        &self,
        task: &TaskRef<T>,
        budget: u32,
        before: impl FnOnce(&mut T) -> bool,
        after: impl FnOnce(&mut T) -> R,
    ) -> Option<(u32, R)> {
        worker::run_parked(task, budget, before, after)
    }

    /// Runs `job` where holding a thread hurts nobody. It is counted like [`Handle::external`] until it returns.
    ///
    /// Under a seed it runs here and now.
    ///
    /// # Errors
    /// When the system gives no thread for it; `job` has not run.
    pub fn spawn_blocking(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let core = self.home.core;
        if core.seeded.is_some() {
            job();
            return Ok(());
        }
        let external = self.external();
        let job: Job = Box::new(move || {
            // Held to the end, also when `job` panics: until then a deadlock is not one.
            let _external = external;
            job();
        });
        core.blocking.submit(job).map_err(|(_, error)| error)
    }

    /// Counts an operation outside whose end will wake a task: while the guard lives, waiting tasks are no deadlock.
    /// Wake first, then drop it.
    pub fn external(&self) -> External<T> {
        External::begin(self.home.core)
    }

    /// The tasks that have begun and are alive, in order of their ids.
    pub fn tasks(&self) -> Vec<TaskRef<T>> {
        self.home.core.registry.list()
    }

    /// How many are alive, those included that have not begun. Others begin and end meanwhile: there were so many at least.
    pub fn n_tasks(&self) -> usize {
        self.home.core.registry.n_live_at_least()
    }

    /// Ends the run: turns under way finish, nothing new begins, [`crate::Scheduler::wait`] answers `Stopped`.
    pub fn stop(&self) {
        self.home.core.stop();
    }

    pub fn is_stopping(&self) -> bool {
        self.home.core.stopping()
    }

    pub fn n_workers(&self) -> usize {
        self.home.core.n_workers
    }

    /// The counters of each worker, and of each relief that has run something.
    pub fn metrics(&self) -> Vec<Metrics> {
        let all = self.home.core.metrics.iter().map(WorkerMetrics::read).enumerate();
        all.filter(|(i, metrics)| *i < self.n_workers() || metrics.runs > 0).map(|(_, metrics)| metrics).collect()
    }

    /// A number below `bound`, from the seed when there is one: for fair choices.
    pub fn random(&self, bound: usize) -> usize {
        let core = self.home.core;
        match &core.seeded {
            Some(seeded) => seeded.random(bound),
            None => worker::random(core, bound),
        }
    }
}

impl<T: Task> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { home: self.home }
    }
}

impl<T: Task> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("n_workers", &self.n_workers()).finish_non_exhaustive()
    }
}

/// An operation under way outside the scheduler. See [`Handle::external`].
pub struct External<T: Task> {
    core: &'static Core<T>,
}

impl<T: Task> External<T> {
    pub(crate) fn begin(core: &'static Core<T>) -> Self {
        core.n_external.fetch_add(1, SeqCst);
        External { core }
    }
}

impl<T: Task> Drop for External<T> {
    fn drop(&mut self) {
        if self.core.n_external.fetch_sub(1, SeqCst) == 1 {
            match &self.core.seeded {
                Some(seeded) => seeded.notify(),
                None => self.core.idle.recheck(),
            }
        }
    }
}

impl<T: Task> std::fmt::Debug for External<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External").finish_non_exhaustive()
    }
}
