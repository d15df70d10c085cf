//! Tasks for the models: a thread that sleeps until it is woken.

use crate::conc::channel::{Channel, Recv, Send};
use crate::conc::wait::{Entry, Fired, WaitPoint, Waiter, Weigh};
use loom::sync::{Condvar, Mutex};
use std::sync::Arc;

impl Weigh for u32 {
    fn weight(&self) -> usize {
        4
    }
}

struct Cell {
    point: WaitPoint<u32>,
    woken: Mutex<bool>,
    more: Condvar,
}

/// One of a few tasks that lie side by side: points are locked in the order of their addresses, which must be the same in
/// every run of a model.
#[derive(Clone)]
pub struct Task(Arc<[Cell]>, usize);

/// `n` tasks.
pub fn tasks(n: usize) -> Vec<Task> {
    let cell = |_| Cell { point: WaitPoint::default(), woken: Mutex::new(false), more: Condvar::new() };
    let cells: Arc<[Cell]> = (0..n).map(cell).collect();
    (0..n).map(|i| Task(cells.clone(), i)).collect()
}

impl Task {
    fn cell(&self) -> &Cell {
        &self.0[self.1]
    }

    /// Sleeps until it is woken. A wake before that counts.
    pub fn park(&self) {
        let mut woken = self.cell().woken.lock().unwrap();
        while !*woken {
            woken = self.cell().more.wait(woken).unwrap();
        }
        *woken = false;
    }

    /// Begins a wait with one arm.
    pub fn entry(&self) -> Entry<Task> {
        Entry { task: self.clone(), ticket: self.point().open(), arm: 0 }
    }

    /// Sleeps until the wait has ended.
    pub fn fired(&self, ticket: u64) -> (u32, Fired<u32>) {
        loop {
            if let Some(fired) = self.point().take(ticket) {
                return fired;
            }
            self.park();
        }
    }

    /// Receives as the VM does: `None` when the channel is closed.
    pub fn recv(&self, channel: &Channel<u32, Task>) -> Option<u32> {
        let entry = self.entry();
        match channel.recv(Some(&entry)) {
            Recv::Message(message) => Some(message),
            Recv::Closed => None,
            Recv::Lost => unreachable!("the wait has one arm"),
            Recv::Waits => match self.fired(entry.ticket).1 {
                Fired::Message(message) => Some(message),
                Fired::Closed => None,
                other => unreachable!("{other:?} ends no receive"),
            },
        }
    }

    /// Sends as the VM does. `false`: the channel is closed.
    pub fn send(&self, channel: &Channel<u32, Task>, message: u32) -> bool {
        let entry = self.entry();
        match channel.send(message, Some(&entry)) {
            Send::Sent => true,
            Send::Closed(_) => false,
            Send::Waits => match self.fired(entry.ticket).1 {
                Fired::Sent => true,
                Fired::Closed => false,
                other => unreachable!("{other:?} ends no send"),
            },
            other => unreachable!("{other:?}"),
        }
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.cell(), other.cell())
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task({})", self.1)
    }
}

impl Waiter<u32> for Task {
    fn point(&self) -> &WaitPoint<u32> {
        &self.cell().point
    }

    fn wake(&self) {
        *self.cell().woken.lock().unwrap() = true;
        self.cell().more.notify_one();
    }

    fn wake_by(self) {
        self.wake();
    }

    fn addr(&self) -> usize {
        std::ptr::from_ref(self.cell()).addr()
    }
}

/// Checks a model in which threads are preempted so often at most.
pub fn model(preemptions: usize, check: impl Fn() + std::marker::Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}
