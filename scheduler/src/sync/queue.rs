//! The queues of `crossbeam_deque` as models see them: each operation is one step.

use super::{Arc, Mutex};
use std::collections::VecDeque;

/// What an attempt to steal came to. A list under a lock always answers at once.
pub(crate) enum Steal<T> {
    Success(T),
    Empty,
    #[allow(dead_code)]
    Retry,
}

#[derive(Debug)]
pub(crate) struct Injector<T>(Mutex<VecDeque<T>>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn push(&self, task: T) {
        self.0.with(|list| list.push_back(task));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.with(|list| list.is_empty())
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.with(VecDeque::pop_front).map_or(Steal::Empty, Steal::Success)
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &LocalQueue<T>) -> Steal<T> {
        batch(&self.0, to)
    }
}

/// The owner's end.
#[derive(Debug)]
pub(crate) struct LocalQueue<T>(Arc<Injector<T>>);

impl<T> LocalQueue<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Injector::new()))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    pub(crate) fn push(&self, task: T) {
        self.0.push(task);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.0.with(VecDeque::pop_front)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The thieves' end.
#[derive(Debug)]
pub(crate) struct Stealer<T>(Arc<Injector<T>>);

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.0.with(|list| list.len())
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &LocalQueue<T>) -> Steal<T> {
        batch(&self.0.0, to)
    }
}

/// Half of the list, of which the first is answered and the rest is the thief's from now on.
fn batch<T>(from: &Mutex<VecDeque<T>>, to: &LocalQueue<T>) -> Steal<T> {
    let mut taken = from.with(|list| {
        let n = list.len().div_ceil(2);
        list.drain(..n).collect::<VecDeque<T>>()
    });
    let first = taken.pop_front();
    taken.into_iter().for_each(|task| to.push(task));
    first.map_or(Steal::Empty, Steal::Success)
}
