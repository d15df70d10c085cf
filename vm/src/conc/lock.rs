//! The lock of a shared zone: one holder, the others served in order, the value inside kept while nobody holds it.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::wait::{Entry, Fired, Waiter};

#[derive(Debug)]
pub struct ZoneLock<P, W>(Mutex<State<P, W>>);

#[derive(Debug)]
struct State<P, W> {
    held: bool,
    value: Option<P>,
    waiting: VecDeque<Entry<W>>,
}

/// What a try to take the lock gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Take<P> {
    /// The lock is the caller's, with the value.
    Value(P),
    /// The entry waits now; it is fired with the value as a message.
    Waits,
    /// No value was ever put in.
    Unset,
}

impl<P, W> Default for ZoneLock<P, W> {
    fn default() -> Self {
        Self(Mutex::new(State { held: false, value: None, waiting: VecDeque::new() }))
    }
}

impl<P: Send, W: Waiter<P>> ZoneLock<P, W> {
    pub fn take(&self, entry: &Entry<W>) -> Take<P> {
        let mut state = self.0.lock();
        if state.held {
            state.waiting.push_back(entry.clone());
            return Take::Waits;
        }
        match state.value.take() {
            Some(value) => {
                state.held = true;
                Take::Value(value)
            }
            None => Take::Unset,
        }
    }

    /// Puts the value back and hands the lock to the next that waits. Also sets the first value.
    pub fn put(&self, mut value: P) {
        let mut state = self.0.lock();
        while let Some(entry) = state.waiting.pop_front() {
            match entry.fire(Fired::Message(value)) {
                Err(Fired::Message(back)) => value = back,
                _ => return,
            }
        }
        state.held = false;
        state.value = Some(value);
    }

    /// A wait is over without having got the lock: forgets its entries.
    pub fn forget(&self, task: &W) {
        self.0.lock().waiting.retain(|entry| entry.task != *task);
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::mock::MockTask;
    use super::*;

    #[test]
    fn the_lock_goes_from_hand_to_hand_in_order() {
        let lock = ZoneLock::default();
        let (a, b) = (MockTask::new(), MockTask::new());
        assert_eq!(lock.take(&a.entry()), Take::Unset);
        lock.put(1);
        assert_eq!(lock.take(&a.entry()), Take::Value(1));
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!((lock.take(&wait_a), lock.take(&wait_b)), (Take::Waits, Take::Waits));
        a.point().close(wait_a.ticket);
        lock.put(2);
        assert_eq!(b.fired(&wait_b), Some(Fired::Message(2)));
        lock.put(3);
        assert_eq!(lock.take(&a.entry()), Take::Value(3));
    }
}
