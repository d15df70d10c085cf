//! The loop of one OS thread: local, inject, steal, park.
//!
//! The task woken last waits in a slot of its own and is next: whoever answers a message runs on the same core while
//! the message is in its cache (Go's `runnext`, Tokio's LIFO slot). The slot is not for stealing, so a long turn gives
//! it up first (`hand_over`). A task that is about to wait for that very task may run it inside its own turn
//! (`run_next`), and one that calls a parked task may do so at once (`run_parked`): neither of the two then goes through a
//! queue.
//!
//! A turn may take long, in a native that computes. Then the worker leaves its queue to the others and is relieved (`idle`)
//! until the turn is over, also when it is the only one.
//!
//! Checked by the models in `worker/models.rs`.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use crate::core::{Core, Handle, Home};
use crate::metrics::WorkerMetrics;
use crate::rng::Rng;
use crate::sync::queue::{LocalQueue, Steal};
use crate::task::{Task, TaskRef, Turn};
use crate::timer::NEVER;

/// The global queue is looked at this often even when there is local work (Go and Tokio use the same number: a prime,
/// so that it falls in step with nothing).
const GLOBAL_INTERVAL: u32 = 61;
/// The clock is read this often while turns are short and timers are pending. A guess: reading costs as much as half a
/// short turn.
const CLOCK_INTERVAL: u32 = 16;
/// So long before a timer is due, turns become short: longer than a whole turn of interpreted code takes.
const NEAR_NS: u64 = 300_000;
/// A short turn has this part of the budget: some ten microseconds instead of some hundred. A guess; `timer` in the
/// benchmarks shows what it brings.
const TIMER_SHARE: u32 = 8;
/// So many turns in a row may come from the slot while others wait in the queue. A guess; Tokio's is 3.
const MAX_LIFO_RUN: u32 = 8;
/// Rounds over the other workers' queues before going to sleep, as in Go,
const SEARCH_ROUNDS: u32 = if cfg!(loom) { 1 } else { 4 };
/// and, while another worker is awake that may bring work, so long: about what going to sleep and being woken costs the two
/// of them. Without it a worker that is a little faster than the one that feeds it sleeps after every task.
const SEARCH_NS: u64 = if cfg!(loom) { 0 } else { 10_000 };
/// So long instead after a task that was put off: who helped with a kernel is likely called for the next, when a model runs. On a virtual
/// machine it takes about as long to wake a sleeper, and as long as half a short layer.
const LINGER_NS: u64 = if cfg!(loom) { 0 } else { 50_000 };
/// So many tasks in another's queue are worth fetching at once,
const WORTH_STEALING: usize = 16;
/// and fewer after so long. Whoever takes each task as soon as it is begun makes two cores pass its cache lines and the
/// queue's between them, which costs more than a short task does. A guess; waking a worker takes longer.
const SETTLE_NS: u64 = if cfg!(loom) { 0 } else { 4_000 };
/// A turn that has worked so long between two looks at the clock takes long: a few whole turns of interpreted code.
const LONG_NS: u64 = 200_000;
/// Between two looks: the lines that are looked at are those that the other one works with.
const PAUSES: u32 = if cfg!(loom) { 1 } else { 16 };

/// One worker, on its thread's stack.
pub(crate) struct Worker<T: Task> {
    handle: Handle<T>,
    index: usize,
    queue: LocalQueue<TaskRef<T>>,
    /// The task woken last.
    lifo: Cell<Option<TaskRef<T>>>,
    lifo_run: Cell<u32>,
    /// A turn is under way inside another one.
    nested: Cell<bool>,
    /// When the turn under way paused first, 0 when it has not.
    paused_first: Cell<u64>,
    /// A relief is on duty for the turn under way.
    is_relieved: Cell<bool>,
    /// The task whose turn it is waits for a free worker afterwards.
    puts_off: Cell<bool>,
    /// The task before was put off.
    lingers: Cell<bool>,
    tick: Cell<u32>,
    /// Whether one was, when the clock was read last.
    timer_is_near: Cell<bool>,
    rng: RefCell<Rng>,
    due: RefCell<Vec<TaskRef<T>>>,
}

#[derive(Clone, Copy)]
struct Here {
    core: *const (),
    worker: *const (),
}

const NOWHERE: Here = Here { core: ptr::null(), worker: ptr::null() };

// The worker whose loop is on this thread's stack, with its core to tell its type.
#[cfg(not(loom))]
std::thread_local! {
    static HERE: Cell<Here> = const { Cell::new(NOWHERE) };
}
// A model's threads are not the system's.
#[cfg(loom)]
loom::thread_local! {
    static HERE: Cell<Here> = Cell::new(NOWHERE);
}

/// Calls `f` with this thread's worker, if it is one of `core`'s.
pub(crate) fn with_here<T: Task, R>(core: &'static Core<T>, f: impl FnOnce(&Worker<T>) -> R) -> Option<R> {
    let here = HERE.with(Cell::get);
    if here.core != ptr::from_ref(core).cast() {
        return None;
    }
    // SAFETY: `run` sets the pair for as long as its worker lives on this very thread. A core is never freed, so no other has
    // the same address, and a core of type `Core<T>` has workers of type `Worker<T>`.
    Some(f(unsafe { &*here.worker.cast::<Worker<T>>() }))
}

pub(crate) fn is_here<T: Task>(core: &'static Core<T>) -> bool {
    HERE.with(Cell::get).core == ptr::from_ref(core).cast()
}

/// Queues a task on this thread's worker. Gives it back when this thread is none of `core`'s.
pub(crate) fn push_here<T: Task>(core: &'static Core<T>, task: TaskRef<T>) -> Option<TaskRef<T>> {
    let mut task = Some(task);
    with_here(core, |worker| task.take().map(|task| worker.push_next(task)));
    task
}

/// Queues a task on this thread's worker, as `push_here`, for a caller that holds nothing but the task.
pub(crate) fn push_local<T: Task>(task: TaskRef<T>) -> Option<TaskRef<T>> {
    let here = HERE.with(Cell::get);
    if here.core != ptr::from_ref(task.core()).cast() {
        return Some(task);
    }
    // SAFETY: as in `with_here`: the worker lives on this thread, and its core is the task's.
    unsafe { (*here.worker.cast::<Worker<T>>()).push_next(task) };
    None
}

pub(crate) fn random<T: Task>(core: &'static Core<T>, bound: usize) -> usize {
    with_here(core, |worker| worker.rng.borrow_mut().below(bound)).unwrap_or_else(|| {
        // A thread outside has no generator of its own; the clock's last digits are as good.
        Rng::new(core.now()).below(bound)
    })
}

/// Whether the turn under way on this thread is inside that of another task.
pub(crate) fn is_nested<T: Task>(core: &'static Core<T>) -> bool {
    with_here(core, |worker| worker.nested.get()).unwrap_or(false)
}

/// Whether `run_next` would run the task at `addr`.
pub(crate) fn can_run_next<T: Task>(core: &'static Core<T>, addr: usize) -> bool {
    with_here(core, |worker| worker.can_run_next(addr)).unwrap_or(false)
}

/// Gives the task at `addr` a turn inside the one under way, if it was woken last on this thread's worker.
pub(crate) fn run_next<T: Task>(core: &'static Core<T>, addr: usize, budget: u32) -> Option<u32> {
    with_here(core, |worker| worker.run_next(addr, budget)).flatten()
}

/// Gives a parked task a turn inside the one under way, with a look at its body before and after.
pub(crate) fn run_parked<T: Task, R>(
    task: &TaskRef<T>,
    budget: u32,
    before: impl FnOnce(&mut T) -> bool,
    after: impl FnOnce(&mut T) -> R,
) -> Option<(u32, R)> {
    with_here(task.core(), |worker| worker.run_parked(task, budget, before, after)).flatten()
}

pub(crate) fn hand_over<T: Task>(core: &'static Core<T>) {
    with_here(core, Worker::hand_over);
}

pub(crate) fn pause<T: Task>(core: &'static Core<T>) {
    with_here(core, Worker::pause);
}

pub(crate) fn is_wanted<T: Task>(core: &'static Core<T>) -> bool {
    with_here(core, Worker::is_wanted).unwrap_or(false)
}

pub(crate) fn put_off<T: Task>(core: &'static Core<T>) {
    with_here(core, |worker| worker.puts_off.set(true));
}

pub(crate) fn is_relief<T: Task>(core: &'static Core<T>) -> bool {
    with_here(core, Worker::is_relief).unwrap_or(false)
}

impl<T: Task> Worker<T> {
    pub(crate) fn new(core: &'static Core<T>, index: usize, queue: LocalQueue<TaskRef<T>>) -> Self {
        Self {
            handle: Handle { home: Home::leak(core, index) },
            index,
            queue,
            lifo: Cell::new(None),
            lifo_run: Cell::new(0),
            nested: Cell::new(false),
            paused_first: Cell::new(0),
            is_relieved: Cell::new(false),
            puts_off: Cell::new(false),
            lingers: Cell::new(false),
            tick: Cell::new(0),
            timer_is_near: Cell::new(false),
            rng: RefCell::new(Rng::new(index as u64)),
            due: RefCell::new(Vec::new()),
        }
    }

    /// The whole life of the thread. A panic of the worker itself ends the run like one of a task.
    pub(crate) fn run(self) {
        let here = Here { core: ptr::from_ref(self.core()).cast(), worker: ptr::from_ref(&self).cast() };
        HERE.with(|place| place.set(here));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        // Nobody runs what is left. It is dropped when all workers have ended: others may be in a turn that would see it.
        while let Some(task) = self.lifo.take().or_else(|| self.queue.pop()) {
            self.core().injector.push(task);
        }
        HERE.with(|place| place.set(NOWHERE));
        if let Err(panic) = outcome {
            self.core().fail(panic);
        }
    }

    /// A task begun on this thread.
    pub(crate) fn begin(&self, body: T, shared: T::Shared) -> TaskRef<T> {
        self.metrics().spawns.add(1);
        TaskRef::begin(self.handle.home, self.core().registry.begun_on(self.index), body, shared)
    }

    fn core(&self) -> &'static Core<T> {
        self.handle.home.core
    }

    fn metrics(&self) -> &WorkerMetrics {
        &self.core().metrics[self.index]
    }

    fn work(&self) {
        // The first begins by itself, as a searcher; the others when they are woken.
        let mut searching = self.index == 0 || self.core().idle.woken(self.index, || self.core().stopping());
        while !self.core().stopping() {
            if self.is_relief() && self.core().idle.is_relief_owed() {
                searching = self.go_off_duty(searching);
                continue;
            }
            let tick = self.tick.get().wrapping_add(1);
            self.tick.set(tick);
            if tick.is_multiple_of(CLOCK_INTERVAL) {
                self.fire_timers();
            }
            let found = self.next(tick).or_else(|| self.idle(&mut searching));
            let Some(task) = found else {
                searching = self.park(searching);
                continue;
            };
            if std::mem::take(&mut searching) && self.core().idle.end_search() {
                if self.core().has_work(self.index) {
                    self.core().idle.notify_one();
                }
                self.pass_on();
            }
            self.turn(task);
        }
        if searching {
            let _ = self.core().idle.end_search();
        }
    }

    /// Gives a task its turn. `true`: it took all of its budget.
    fn turn(&self, task: TaskRef<T>) -> bool {
        self.paused_first.set(0);
        let (turn, _) = task.take_turn(&self.handle, self.index, self.budget());
        let took_all = self.after(turn, || task);
        if self.is_relieved.take() {
            self.core().idle.send_back_relief();
        }
        took_all
    }

    /// What a turn may spend: less when a timer is near, since nobody notices in the middle of a turn that it is due.
    fn budget(&self) -> u32 {
        let budget = self.core().budget;
        if self.timer_is_near.get() { (budget / TIMER_SHARE).max(1) } else { budget }
    }

    /// Whether the task at `addr` is in the slot and may have a turn inside the one under way.
    fn can_run_next(&self, addr: usize) -> bool {
        // One level: the native stack is bounded, whatever the tasks do.
        if self.nested.get() {
            return false;
        }
        let next = self.lifo.take();
        let is_next = next.as_ref().is_some_and(|next| next.addr() == addr);
        self.lifo.set(next);
        is_next
    }

    fn run_next(&self, addr: usize, budget: u32) -> Option<u32> {
        if !self.can_run_next(addr) {
            return None;
        }
        let next = self.lifo.take()?;
        self.metrics().lifo_hits.add(1);
        self.nested.set(true);
        let (turn, spent) = next.take_turn(&self.handle, self.index, budget.min(self.budget()));
        self.nested.set(false);
        self.after(turn, || next);
        Some(spent)
    }

    fn run_parked<R>(
        &self,
        task: &TaskRef<T>,
        budget: u32,
        before: impl FnOnce(&mut T) -> bool,
        after: impl FnOnce(&mut T) -> R,
    ) -> Option<(u32, R)> {
        if self.nested.get() {
            return None;
        }
        let budget = budget.min(self.budget());
        self.nested.set(true);
        let turn = task.take_turn_parked(&self.handle, self.index, budget, before, after);
        self.nested.set(false);
        let (turn, spent, seen) = turn?;
        self.after(turn, || task.clone());
        Some((spent, seen?))
    }

    /// Deals with how a turn of `task` ended. `true`: it took all of its budget.
    fn after(&self, turn: Turn, task: impl FnOnce() -> TaskRef<T>) -> bool {
        self.metrics().runs.add(1);
        let puts_off = self.puts_off.take();
        match turn {
            Turn::Parked => {}
            Turn::Done => self.metrics().finished.add(1),
            // Woken by what it did itself or by another core: to the end of the queue, so that two tasks that wake
            // each other all the time leave room for the rest.
            Turn::Notified => self.requeue(task(), puts_off),
            Turn::Yielded => {
                self.metrics().yields.add(1);
                // Before it: whose time has come has its turn first.
                self.fire_timers();
                self.requeue(task(), puts_off);
                return true;
            }
            Turn::Panicked(panic) => self.core().fail(panic),
        }
        false
    }

    fn requeue(&self, task: TaskRef<T>, puts_off: bool) {
        if puts_off {
            self.core().put_off.push(task);
            return self.core().idle.notify_worker();
        }
        let alone = self.queue.is_empty() && !self.has_next();
        self.queue.push(task);
        // Alone, it is this worker's next: nobody need wake up to steal it.
        if !alone {
            self.core().idle.notify_one();
        }
    }

    fn has_next(&self) -> bool {
        let next = self.lifo.take();
        let has = next.is_some();
        self.lifo.set(next);
        has
    }

    /// A task was woken or begun by the task whose turn it is.
    pub(crate) fn push_next(&self, task: TaskRef<T>) {
        self.metrics().wakeups.add(1);
        if let Some(displaced) = self.lifo.replace(Some(task)) {
            self.queue.push(displaced);
            self.core().idle.notify_one();
        }
    }

    fn next(&self, tick: u32) -> Option<TaskRef<T>> {
        if tick.is_multiple_of(GLOBAL_INTERVAL) {
            // In turns, so that neither of the two keeps from the other what comes round so seldom.
            let found = match tick.is_multiple_of(2 * GLOBAL_INTERVAL) {
                true => self.next_put_off().or_else(|| retry(|| self.core().injector.steal())),
                false => retry(|| self.core().injector.steal()).or_else(|| self.next_put_off()),
            };
            if found.is_some() {
                return found;
            }
        }
        if let Some(task) = self.lifo.take() {
            let run = self.lifo_run.get();
            if run < MAX_LIFO_RUN || self.queue.is_empty() {
                self.lifo_run.set(run + 1);
                self.metrics().lifo_hits.add(1);
                return Some(task);
            }
            self.queue.push(task);
        }
        self.lifo_run.set(0);
        self.queue.pop().or_else(|| retry(|| self.core().injector.steal_batch_and_pop(&self.queue)))
    }

    fn next_put_off(&self) -> Option<TaskRef<T>> {
        let is_for_all = self.is_relief() || self.core().put_off.is_empty();
        let task = if is_for_all { None } else { retry(|| self.core().put_off.steal()) };
        self.lingers.set(self.lingers.get() || task.is_some());
        task
    }

    /// There is no work here: timers, then the others' queues.
    fn idle(&self, searching: &mut bool) -> Option<TaskRef<T>> {
        if self.fire_timers() {
            return self.queue.pop();
        }
        if !*searching {
            *searching = self.core().idle.begin_search();
        }
        if *searching { self.search() } else { None }
    }

    fn search(&self) -> Option<TaskRef<T>> {
        let core = self.core();
        let begun = core.now();
        let patience = if self.lingers.take() { LINGER_NS } else { SEARCH_NS };
        let mut now = begun;
        for round in 1_u32.. {
            let is_settled = now >= begun + SETTLE_NS;
            let first = self.rng.borrow_mut().below(core.stealers.len());
            for victim in (first..core.stealers.len()).chain(0..first).filter(|&victim| victim != self.index) {
                let stealer = &core.stealers[victim];
                if !is_settled && stealer.len() < WORTH_STEALING {
                    continue;
                }
                if let Some(task) = retry(|| stealer.steal_batch_and_pop(&self.queue)) {
                    self.metrics().steals.add(1);
                    return Some(task);
                }
            }
            if let Some(task) = retry(|| core.injector.steal_batch_and_pop(&self.queue)) {
                return Some(task);
            }
            if let Some(task) = self.next_put_off() {
                return Some(task);
            }
            let until = (begun + patience).min(core.timers.next());
            if round >= SEARCH_ROUNDS && (core.idle.is_last_awake() || now >= until) {
                break;
            }
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            now = core.now();
        }
        None
    }

    /// Queues the tasks whose timers ran out. `true`: there were some.
    fn fire_timers(&self) -> bool {
        let timers = &self.core().timers;
        let next = timers.next();
        if next == NEVER {
            self.timer_is_near.set(false);
            return false;
        }
        let now = self.core().now();
        self.timer_is_near.set(next.saturating_sub(now) < NEAR_NS);
        if next > now {
            return false;
        }
        // Taken out for the time: waking a task runs no code of ours that could come back here, but a payload dropped
        // might.
        let mut due = self.due.take();
        timers.expire(now, &mut due);
        let fired = !due.is_empty();
        self.metrics().timers_fired.add(due.len() as u64);
        for task in due.drain(..) {
            task.wake();
        }
        self.due.replace(due);
        // From the slot to the queue, where others may have it, and where a timer does not overtake a message.
        if let Some(task) = self.lifo.take() {
            self.queue.push(task);
        }
        fired
    }

    fn is_relief(&self) -> bool {
        self.index >= self.core().n_workers
    }

    /// To the queue for all, in the order of their turns.
    fn leave_queue(&self) {
        while let Some(task) = self.lifo.take().or_else(|| self.queue.pop()) {
            self.core().injector.push(task);
        }
    }

    fn hand_over(&self) {
        let core = self.core();
        self.leave_queue();
        if !self.is_relieved.get() && core.idle.call_relief() {
            self.is_relieved.set(true);
        }
        if core.has_work(usize::MAX) {
            core.idle.notify_one();
        }
        let next = core.timers.next();
        if next != NEVER {
            core.idle.keep_timer(next);
        }
    }

    fn pause(&self) {
        if self.is_relieved.get() {
            return;
        }
        let now = self.core().now();
        match self.paused_first.get() {
            0 => self.paused_first.set(now),
            first if now.saturating_sub(first) >= LONG_NS => self.hand_over(),
            _ => {}
        }
    }

    fn is_wanted(&self) -> bool {
        let core = self.core();
        // A timer that was set on this worker has no keeper but it, until it sleeps itself.
        let next = core.timers.next();
        if next != NEVER && core.idle.has_sleepers() {
            core.idle.keep_timer(next);
        }
        // What is in the queue for all, who sleeps is woken for.
        !self.queue.is_empty()
            || self.has_next()
            || !core.idle.has_sleepers() && (!core.injector.is_empty() || next <= core.now())
    }

    /// After a search that has ended: what only workers take was left to it as well, and a relief has not looked at that.
    fn pass_on(&self) {
        let core = self.core();
        if self.is_relief() && !core.put_off.is_empty() {
            core.idle.notify_worker();
        }
    }

    /// Off duty until called, if it is owed. Answers whether it is a searcher now.
    fn go_off_duty(&self, searching: bool) -> bool {
        let core = self.core();
        self.leave_queue();
        let work = || {
            self.pass_on();
            core.has_work(self.index)
        };
        core.idle.go_off_duty(self.index, searching, work, || core.stopping()).unwrap_or(searching)
    }

    fn park(&self, searching: bool) -> bool {
        self.metrics().parks.add(1);
        let core = self.core();
        core.idle.park(
            self.index,
            searching,
            || core.timers.next(),
            || {
                self.pass_on();
                core.stopping() || core.has_work(self.index)
            },
            |deadline| Duration::from_nanos(deadline.saturating_sub(core.now())),
            || core.stopping(),
        )
    }
}

fn retry<T>(mut attempt: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match attempt() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

#[cfg(all(test, loom))]
mod models;
