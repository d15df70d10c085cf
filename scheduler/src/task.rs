//! What the scheduler runs, and the handle on it.
//!
//! A task is one allocation: the state word, the wait reason, its body and the part that other threads may reach. The
//! body belongs to whoever holds the `Running` state: the worker giving it a turn, or for a moment somebody inspecting
//! a parked task. Everyone else sees [`Task::Shared`] only, by `&`.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use triomphe::Arc as Counted;

use crate::context::Context;
use crate::core::{Core, External, Handle, Home};
use crate::state::{AfterTurn, OnWake, State};
use crate::wait_reason::{WaitCell, WaitReason};
use crate::worker;

pub use crate::state::TaskState;

/// A unit of work that takes turns.
pub trait Task: Send + Sized + 'static {
    /// What other threads may reach while the body runs elsewhere: flags, mailboxes, results.
    type Shared: Send + Sync + 'static;

    /// One turn: runs until it is done, must wait, or has spent [`Context::budget`].
    ///
    /// A panic here ends the whole run and comes out of [`crate::Scheduler::wait`]: a body that wants to outlive the
    /// panics of what it calls catches them itself.
    fn run(&mut self, cx: &mut Context<'_, Self>) -> Outcome;

    /// Where it stands, for whoever reads a schedule.
    fn place(&mut self) -> String {
        String::new()
    }
}

/// How a turn ended.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The budget is spent: another turn as soon as the others had theirs.
    Yield,
    /// Wait for [`TaskRef::wake`]. A wake since the turn began counts.
    Park,
    /// The body is dropped.
    Done,
}

/// A number of a task that is never used again in its scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// No place in the registry.
const NO_SLOT: u32 = u32::MAX;

struct TaskCell<T: Task> {
    state: State,
    /// The place in its shard of the registry, once it has one. Written by whoever holds `Running`.
    slot: AtomicU32,
    id: u64,
    home: &'static Home<T>,
    wait: WaitCell,
    /// `None` once it is done.
    body: UnsafeCell<Option<T>>,
    shared: T::Shared,
}

// SAFETY: `body` is reached only by the thread that moved the state word to `Running`, one at a time (`with_body`),
// and `T: Send`; the other fields are `Sync` by themselves.
unsafe impl<T: Task> Sync for TaskCell<T> {}
// SAFETY: all fields are `Send`.
unsafe impl<T: Task> Send for TaskCell<T> {}

/// A handle on a task. Cheap to clone; does not keep the body alive beyond its end.
///
/// Nobody holds a task weakly, so its cell has no word to count that.
pub struct TaskRef<T: Task>(Counted<TaskCell<T>>);

/// What a worker does with a task after its turn.
pub(crate) enum Turn {
    /// Queue it: it yielded.
    Yielded,
    /// Queue it: it was woken while it ran.
    Notified,
    Parked,
    Done,
    /// The body panicked; it is gone like a done one.
    Panicked(Box<dyn Any + Send>),
}

/// The task whose turn it is on a thread, with its core to tell its type.
#[derive(Clone, Copy)]
struct Current {
    core: *const (),
    task: *const (),
}

const NOBODY: Current = Current { core: ptr::null(), task: ptr::null() };

#[cfg(not(loom))]
std::thread_local! {
    static CURRENT: Cell<Current> = const { Cell::new(NOBODY) };
}
// A model's threads are not the system's.
#[cfg(loom)]
loom::thread_local! {
    static CURRENT: Cell<Current> = Cell::new(NOBODY);
}

/// Calls `f` with the task whose turn it is on this thread, if it is one of `core`'s: no turn counts a reference for that.
pub(crate) fn with_current<T: Task, R>(core: &'static Core<T>, f: impl FnOnce(&TaskRef<T>) -> R) -> Option<R> {
    let current = CURRENT.with(Cell::get);
    if current.core != ptr::from_ref(core).cast() {
        return None;
    }
    // SAFETY: `turn` sets the pair for as long as it has the reference, on this very thread, and tasks of a `Core<T>` are
    // `TaskRef<T>`. A core is never freed, so no other has the same address.
    Some(f(unsafe { &*current.task.cast::<TaskRef<T>>() }))
}

impl<T: Task> TaskRef<T> {
    /// A new task, in the state `Scheduled`: the caller queues it.
    ///
    /// It gets its place in the registry when its first turn ends without ending it: many tasks have one turn only. During that
    /// turn its worker shows it.
    pub(crate) fn begin(home: &'static Home<T>, id: u64, body: T, shared: T::Shared) -> Self {
        TaskRef(Counted::new(TaskCell {
            state: State::new(),
            slot: AtomicU32::new(NO_SLOT),
            id,
            home,
            wait: WaitCell::default(),
            body: UnsafeCell::new(Some(body)),
            shared,
        }))
    }

    /// Gives the task another turn. Whatever the caller wrote before is visible to that turn.
    pub fn wake(&self) {
        if self.0.state.wake() == OnWake::Schedule {
            self.core().schedule(self.clone());
        }
    }

    /// As `wake`, for a handle that is not needed any more: it goes to the queue as it is, uncounted.
    pub fn wake_by(self) {
        if self.0.state.wake() == OnWake::Schedule
            && let Some(task) = worker::push_local(self)
        {
            task.core().schedule(task);
        }
    }

    pub fn id(&self) -> TaskId {
        TaskId(self.0.id)
    }

    /// An address that is this task's alone while a handle on it exists.
    pub fn addr(&self) -> usize {
        Counted::as_ptr(&self.0).addr()
    }

    pub fn shared(&self) -> &T::Shared {
        &self.0.shared
    }

    pub fn state(&self) -> TaskState {
        self.0.state.read()
    }

    pub fn is_done(&self) -> bool {
        self.state() == TaskState::Done
    }

    /// Why it waits, and the detail its reason explains. Meaningful while the task is parked.
    pub fn wait(&self) -> (WaitReason, u64) {
        self.0.wait.get()
    }

    /// Looks at the body of a parked task. `None` when it is queued, running or done.
    ///
    /// Keep it short: a wake in the meantime takes effect afterwards.
    pub fn inspect<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        /// Gives the body back even when `look` panics.
        struct Claim<'a, T: Task>(&'a TaskRef<T>);
        impl<T: Task> Drop for Claim<'_, T> {
            fn drop(&mut self) {
                if self.0.0.state.park() == AfterTurn::RunAgain {
                    self.0.0.home.core.schedule(self.0.clone());
                }
            }
        }

        // Who wakes the task meanwhile leaves it to this thread to queue it: until then the workers may all sleep (this one
        // does not, if it is one), and it is no deadlock. Before the claim, which ends first.
        let core = self.core();
        let _outside = match &core.seeded {
            Some(seeded) => (Some(seeded.look()?), None),
            None => (None, (!worker::is_here(core)).then(|| External::begin(core))),
        };
        if !self.0.state.claim_idle() {
            return None;
        }
        let _claim = Claim(self);
        // SAFETY: `claim_idle` moved the state to `Running`, and `_claim` ends that after the borrow has ended.
        let body = unsafe { &mut *self.0.body.get() };
        body.as_mut().map(look)
    }

    /// Looks at the body between two turns, for the twin, which gives all of them itself. `None`: it is done.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !self.0.state.claim_scheduled() {
            return self.inspect(look);
        }
        // SAFETY: `claim_scheduled` moved the state to `Running`, and `yield_now` ends that when the borrow has ended.
        let seen = unsafe { &mut *self.0.body.get() }.as_mut().map(look);
        self.0.state.yield_now();
        seen
    }

    pub(crate) fn core(&self) -> &'static Core<T> {
        self.0.home.core
    }

    /// Lists it: its first turn is over, and it goes on.
    fn register(&self) {
        if self.0.slot.load(Relaxed) == NO_SLOT {
            let slot = self.core().registry.insert(self.0.home.shard, self.clone());
            self.0.slot.store(slot, Relaxed);
        }
    }

    #[inline]
    pub(crate) fn set_wait(&self, reason: WaitReason, detail: u64) {
        self.0.wait.set(reason, detail);
    }

    /// One turn, by the worker that took the task from a queue. Answers also how much of the budget it has used.
    pub(crate) fn take_turn(&self, handle: &Handle<T>, worker: usize, budget: u32) -> (Turn, u32) {
        self.0.state.begin_run();
        let (turn, spent, _) = self.turn(handle, worker, budget, |body, cx| {
            self.0.wait.clear();
            (body.run(cx), ())
        });
        (turn, spent)
    }

    /// A turn of a parked task, with a look at its body before (`false`: it will not have one) and after. `None`: it is not
    /// parked.
    pub(crate) fn take_turn_parked<R>(
        &self,
        handle: &Handle<T>,
        worker: usize,
        budget: u32,
        before: impl FnOnce(&mut T) -> bool,
        after: impl FnOnce(&mut T) -> R,
    ) -> Option<(Turn, u32, Option<R>)> {
        if !self.0.state.claim_idle() {
            return None;
        }
        let (turn, spent, seen) = self.turn(handle, worker, budget, |body, cx| {
            if !before(body) {
                return (Outcome::Park, None);
            }
            self.0.wait.clear();
            (body.run(cx), Some(after(body)))
        });
        Some((turn, spent, seen.flatten()))
    }

    /// What `work` does with the body is a turn. The caller has moved the state to `Running`.
    fn turn<R>(
        &self,
        handle: &Handle<T>,
        worker: usize,
        budget: u32,
        work: impl FnOnce(&mut T, &mut Context<'_, T>) -> (Outcome, R),
    ) -> (Turn, u32, Option<R>) {
        let here = Current { core: ptr::from_ref(self.core()).cast(), task: ptr::from_ref(self).cast() };
        // Of a turn that this one is part of.
        let before = CURRENT.with(|current| current.replace(here));
        let is_inner = !before.task.is_null();
        let is_first = self.0.slot.load(Relaxed) == NO_SLOT;
        if is_first {
            self.core().registry.show(worker, is_inner, self);
        }
        let mut cx = Context::new(handle, self, worker, budget);
        // SAFETY: this thread is the one that moved the state to `Running`; `cx` gives no way to the body.
        let slot = unsafe { &mut *self.0.body.get() };
        let Some(body) = slot.as_mut() else { unreachable!("a done task has no turns") };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(body, &mut cx)));
        let spent = cx.spent();
        let (turn, seen) = match outcome {
            Ok((Outcome::Yield, seen)) => {
                self.register();
                self.0.state.yield_now();
                (Turn::Yielded, Some(seen))
            }
            Ok((Outcome::Park, seen)) => {
                self.register();
                match self.0.state.park() {
                    AfterTurn::Parked => (Turn::Parked, Some(seen)),
                    AfterTurn::RunAgain => (Turn::Notified, Some(seen)),
                }
            }
            Ok((Outcome::Done, seen)) => match self.end(slot, worker) {
                Ok(()) => (Turn::Done, Some(seen)),
                Err(panic) => (Turn::Panicked(panic), Some(seen)),
            },
            Err(panic) => {
                let _ = self.end(slot, worker);
                (Turn::Panicked(panic), None)
            }
        };
        if is_first {
            self.core().registry.hide(worker, is_inner);
        }
        CURRENT.with(|current| current.set(before));
        (turn, spent, seen)
    }

    /// Drops the body. The state stays `Running` until it is gone, so destructors may wake this task without harm.
    fn end(&self, slot: &mut Option<T>, worker: usize) -> std::thread::Result<()> {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(slot.take())));
        self.0.state.finish();
        let registry = &self.core().registry;
        match self.0.slot.load(Relaxed) {
            NO_SLOT => {}
            slot => registry.remove(self.0.home.shard, slot),
        }
        registry.ended_on(worker);
        dropped
    }

    /// Drops the body of a task that will never run again, when no worker is left.
    pub(crate) fn discard(&self) {
        while !self.0.state.claim_waiting() {
            if self.is_done() {
                return;
            }
            // Somebody inspects it: a matter of moments.
            std::thread::yield_now();
        }
        // SAFETY: `claim_waiting` moved the state to `Running`, which `finish` ends.
        let body = unsafe { (*self.0.body.get()).take() };
        drop(body);
        self.0.state.finish();
        self.core().registry.ended_outside();
    }
}

impl<T: Task> Clone for TaskRef<T> {
    fn clone(&self) -> Self {
        Self(Counted::clone(&self.0))
    }
}

impl<T: Task> PartialEq for TaskRef<T> {
    fn eq(&self, other: &Self) -> bool {
        Counted::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Task> Eq for TaskRef<T> {}

impl<T: Task> fmt::Debug for TaskRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRef").field("id", &self.0.id).field("state", &self.state()).finish_non_exhaustive()
    }
}
