//! The result of a task or an ask: set once, taken once, waited for by whoever holds the future.

use std::sync::Arc;
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire};

use super::sync::{AtomicBool, AtomicUsize, Mutex};

use super::wait::{Entry, Fired, Waiter};

/// A value, or the error it ended with.
pub type TaskResult<P> = Result<P, P>;

/// There is no result yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Pending;

/// Called with an error before anybody else hears of it.
pub struct Hook<P>(pub Box<dyn Fn(P) + Send + Sync>);

impl<P> std::fmt::Debug for Hook<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

#[derive(Debug)]
pub struct ResultCell<P, W>(Mutex<State<P, W>>);

#[derive(Debug)]
enum State<P, W> {
    Pending(Watchers<P, W>),
    Ready(TaskResult<P>),
    Taken,
}

/// Nearly always one: every task has room for that, and no more.
#[derive(Debug)]
enum Watchers<P, W> {
    Nobody,
    One(Watcher<P, W>),
    More(Box<Vec<Watcher<P, W>>>),
}

impl<P, W> Watchers<P, W> {
    fn push(&mut self, watcher: Watcher<P, W>) {
        *self = match std::mem::replace(self, Watchers::Nobody) {
            Watchers::Nobody => Watchers::One(watcher),
            Watchers::One(first) => Watchers::More(Box::new(vec![first, watcher])),
            Watchers::More(mut all) => {
                all.push(watcher);
                Watchers::More(all)
            }
        };
    }

    fn as_slice(&self) -> &[Watcher<P, W>] {
        match self {
            Watchers::Nobody => &[],
            Watchers::One(watcher) => std::slice::from_ref(watcher),
            Watchers::More(all) => all,
        }
    }

    fn hook(&self) -> Option<Arc<Hook<P>>> {
        self.as_slice().iter().find_map(|watcher| match watcher {
            Watcher::Hook(hook) => Some(hook.clone()),
            _ => None,
        })
    }

    fn remove_where(&mut self, is_gone: impl Fn(&Watcher<P, W>) -> bool) {
        match self {
            Watchers::Nobody => {}
            Watchers::One(watcher) => {
                if is_gone(watcher) {
                    *self = Watchers::Nobody;
                }
            }
            Watchers::More(all) => all.retain(|watcher| !is_gone(watcher)),
        }
    }
}

/// Who is told when the result is there.
#[derive(Debug)]
pub enum Watcher<P, W> {
    /// A task that waits for this or for something else.
    One(Box<Entry<W>>),
    /// A task that waits for this alone: it is woken and looks.
    Task(W),
    /// A task that waits for many results: all of them, or the first failure.
    All(Arc<Gathering<P, W>>),
    /// Whoever fails the cell calls it first (`hook`).
    Hook(Arc<Hook<P>>),
}

impl<P: Send, W: Waiter<P>> Default for ResultCell<P, W> {
    fn default() -> Self {
        Self(Mutex::new(State::Pending(Watchers::Nobody)))
    }
}

impl<P: Send, W: Waiter<P>> ResultCell<P, W> {
    /// Sets the result and tells the watchers. `false`: it was set before, and stays.
    pub fn complete(&self, result: TaskResult<P>) -> bool {
        self.settle(result).is_some()
    }

    /// As `complete`, for one that asks for the hook: an error's, which may have come after `hook` was asked. `None`: it was set
    /// before.
    pub fn settle(&self, result: TaskResult<P>) -> Option<Option<Arc<Hook<P>>>> {
        let mut state = self.0.lock();
        let State::Pending(watchers) = &mut *state else { return None };
        let watchers = std::mem::replace(watchers, Watchers::Nobody);
        let failed = result.is_err();
        *state = State::Ready(result);
        drop(state);
        let hook = if failed { watchers.hook() } else { None };
        match watchers {
            Watchers::Nobody => {}
            Watchers::One(watcher) => watcher.tell(failed),
            Watchers::More(all) => all.into_iter().for_each(|watcher| watcher.tell(failed)),
        }
        Some(hook)
    }

    pub fn is_done(&self) -> bool {
        !matches!(*self.0.lock(), State::Pending(_))
    }

    /// Whether the result has been taken: there is nothing more to wait for.
    pub fn is_taken(&self) -> bool {
        matches!(*self.0.lock(), State::Taken)
    }

    /// Takes the result when it is there and was not taken before.
    pub fn take(&self) -> Option<TaskResult<P>> {
        self.take_or_wait().ok().flatten()
    }

    /// Takes the result; `None` when it was taken before.
    ///
    /// # Errors
    /// When it is not there yet.
    pub fn take_or_wait(&self) -> Result<Option<TaskResult<P>>, Pending> {
        let mut state = self.0.lock();
        if matches!(*state, State::Pending(_)) {
            return Err(Pending);
        }
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ready(result) => Ok(Some(result)),
            _ => Ok(None),
        }
    }

    /// What is to be called before the cell is failed.
    pub fn hook(&self) -> Option<Arc<Hook<P>>> {
        match &*self.0.lock() {
            State::Pending(watchers) => watchers.hook(),
            _ => None,
        }
    }

    /// What `look` makes of the error that is there and was not taken.
    pub fn with_error<R>(&self, look: impl FnOnce(&mut P) -> R) -> Option<R> {
        match &mut *self.0.lock() {
            State::Ready(Err(error)) => Some(look(error)),
            _ => None,
        }
    }

    /// Whether the result is there and is an error.
    pub fn is_failed(&self) -> bool {
        matches!(*self.0.lock(), State::Ready(Err(_)))
    }

    /// Watches for the result. Gives the watcher back when it is there already.
    pub fn watch(&self, watcher: Watcher<P, W>) -> Result<(), Watcher<P, W>> {
        match &mut *self.0.lock() {
            State::Pending(watchers) => {
                watchers.push(watcher);
                Ok(())
            }
            _ => Err(watcher),
        }
    }

    /// The task that has waited longest for the result.
    pub fn first_watcher(&self) -> Option<W> {
        match &*self.0.lock() {
            State::Pending(watchers) => watchers.as_slice().iter().find_map(|watcher| match watcher {
                Watcher::One(entry) => Some(entry.task.clone()),
                Watcher::Task(waiting) => Some(waiting.clone()),
                Watcher::All(gathering) => Some(gathering.task.clone()),
                Watcher::Hook(_) => None,
            }),
            _ => None,
        }
    }

    /// A wait is over without this result having ended it: forgets its entries.
    pub fn forget(&self, task: &W) {
        if let State::Pending(watchers) = &mut *self.0.lock() {
            watchers.remove_where(|watcher| match watcher {
                Watcher::One(entry) => entry.task == *task,
                Watcher::Task(waiting) => waiting == task,
                Watcher::All(gathering) => gathering.task == *task,
                Watcher::Hook(_) => false,
            });
        }
    }
}

impl<P: Send, W: Waiter<P>> Watcher<P, W> {
    pub fn tell(self, failed: bool) {
        match self {
            // Stale when another arm was first.
            Watcher::One(entry) => drop(entry.fire(Fired::Ready)),
            Watcher::Task(task) => task.wake_by(),
            Watcher::All(gathering) => gathering.tell(failed),
            Watcher::Hook(_) => {}
        }
    }
}

/// A wait for many results: over when all are there, or one is an error.
#[derive(Debug)]
pub struct Gathering<P, W> {
    task: W,
    n_left: AtomicUsize,
    failed: AtomicBool,
    marker: std::marker::PhantomData<fn(P)>,
}

impl<P: Send, W: Waiter<P>> Gathering<P, W> {
    /// A wait for `n` results, each of which has to `tell` once.
    pub fn new(task: W, n: usize) -> Self {
        Self { task, n_left: AtomicUsize::new(n), failed: AtomicBool::new(false), marker: std::marker::PhantomData }
    }

    pub fn tell(&self, failed: bool) {
        // Release: who sees the last one sees all results; each is behind a lock besides.
        let last = self.n_left.fetch_sub(1, AcqRel) == 1;
        if last || (failed && !self.failed.swap(true, AcqRel)) {
            self.task.wake();
        }
    }

    pub fn is_over(&self) -> bool {
        self.n_left.load(Acquire) == 0 || self.has_failed()
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    #[cfg(any(test, loom))]
    pub fn n_left(&self) -> usize {
        self.n_left.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::mock::MockTask;
    use super::*;

    type Cell = ResultCell<u32, MockTask>;

    #[test]
    fn a_result_is_set_once_and_taken_once() {
        let cell = Cell::default();
        assert_eq!((cell.is_done(), cell.take()), (false, None));
        assert!(cell.complete(Ok(1)));
        assert!(!cell.complete(Err(2)));
        assert_eq!((cell.take(), cell.take(), cell.is_done()), (Some(Ok(1)), None, true));
    }

    #[test]
    fn a_watcher_is_told_or_given_back() {
        let cell = Cell::default();
        let task = MockTask::new();
        let wait = task.entry();
        assert!(cell.watch(Watcher::One(Box::new(wait.clone()))).is_ok());
        assert!(cell.complete(Ok(1)));
        assert_eq!(task.fired(&wait), Some(Fired::Ready));
        assert!(cell.watch(Watcher::One(Box::new(task.entry()))).is_err());
    }

    #[test]
    fn gathering_ends_with_the_last_or_the_first_failure() {
        let task = MockTask::new();
        let all = Arc::new(Gathering::new(task.clone(), 3));
        let cells: Vec<_> = (0..3).map(|_| Cell::default()).collect();
        cells.iter().for_each(|cell| assert!(cell.watch(Watcher::All(all.clone())).is_ok()));
        cells[1].complete(Ok(1));
        assert_eq!((all.is_over(), task.n_wakes()), (false, 0));
        cells[0].complete(Err(2));
        assert_eq!((all.is_over(), all.has_failed(), task.n_wakes()), (true, true, 1));
        cells[2].complete(Ok(3));
        assert_eq!((all.n_left(), task.n_wakes()), (0, 2));
    }
}
