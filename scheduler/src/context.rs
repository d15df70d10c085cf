//! What a task may ask of its scheduler during a turn.

use std::cell::Cell;
use std::ops::Deref;

use crate::core::Handle;
use crate::task::{Task, TaskRef};
use crate::wait_reason::WaitReason;

/// One turn of one task. Everything a [`Handle`] offers is here too.
pub struct Context<'a, T: Task> {
    handle: &'a Handle<T>,
    task: &'a TaskRef<T>,
    worker: usize,
    budget: u32,
    spent: Cell<u32>,
}

impl<'a, T: Task> Context<'a, T> {
    pub(crate) fn new(handle: &'a Handle<T>, task: &'a TaskRef<T>, worker: usize, budget: u32) -> Self {
        Self { handle, task, worker, budget, spent: Cell::new(budget) }
    }

    /// The task whose turn it is.
    pub fn task(&self) -> &'a TaskRef<T> {
        self.task
    }

    pub fn shared(&self) -> &'a T::Shared {
        self.task.shared()
    }

    /// The worker that gives this turn, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How many reductions this turn may spend.
    pub fn budget(&self) -> u32 {
        self.budget
    }

    /// Says how much of the budget this turn has used. Without a word, all of it.
    pub fn set_spent(&self, reductions: u32) {
        self.spent.set(reductions.min(self.budget));
    }

    pub(crate) fn spent(&self) -> u32 {
        self.spent.get()
    }

    /// Says why the task is about to park.
    #[inline]
    pub fn wait_for(&self, reason: WaitReason, detail: u64) {
        self.task.set_wait(reason, detail);
    }
}

impl<T: Task> Deref for Context<'_, T> {
    type Target = Handle<T>;

    fn deref(&self) -> &Handle<T> {
        self.handle
    }
}
