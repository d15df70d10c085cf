//! The lock of a shared zone: one writer or many readers, served in the order they came, so that neither starves the
//! other. The value is kept here while nobody writes.
//!
//! A reader looks at a copy, since values of one task are not counted for another. It takes the value for itself, copies
//! it and gives it back with `share`; from then on other readers may have it, while writers wait for `read_end`. What is too
//! large for that it keeps, as a writer does, and gives back with `put`.
//!
//! A task that takes a zone which it holds itself would wait for ever: it may read again what it has a copy of, anything else
//! is refused.

use std::collections::VecDeque;

use super::sync::Mutex;

use super::wait::{Entry, Fired, Waiter};

#[derive(Debug)]
pub struct ZoneLock<P, W>(Mutex<State<P, W>>);

#[derive(Debug)]
struct State<P, W> {
    /// Who has the value: a writer, or a reader that copies it.
    holder: Option<W>,
    /// Who reads; as often as it does.
    readers: Vec<W>,
    value: Option<P>,
    waiting: VecDeque<(Entry<W>, Access)>,
}

/// What the lock is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// What a try to take the lock gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Take<P> {
    /// The value is the caller's, until `put` or `share`.
    Value(P),
    /// The entry waits now; it is fired with the value as a message.
    Waits,
    /// No value was ever put in.
    Unset,
    /// The caller holds it itself.
    Held,
}

impl<P, W> Default for ZoneLock<P, W> {
    fn default() -> Self {
        Self(Mutex::new(State { holder: None, readers: Vec::new(), value: None, waiting: VecDeque::new() }))
    }
}

impl<P: Send, W: Waiter<P>> ZoneLock<P, W> {
    pub fn take(&self, entry: &Entry<W>, access: Access) -> Take<P> {
        let mut state = self.0.lock();
        let reads = state.readers.contains(&entry.task);
        if state.holder.as_ref() == Some(&entry.task) || (reads && access == Access::Write) {
            return Take::Held;
        }
        // Nobody overtakes those that wait: a stream of readers would keep a writer out for ever. Only who reads already
        // does, since the writer it would wait for waits for it.
        let overtakes = reads || state.waiting.is_empty();
        if state.holder.is_some() || !overtakes || (access == Access::Write && !state.readers.is_empty()) {
            let waiting = (entry.clone(), access);
            if reads {
                state.waiting.push_front(waiting)
            } else {
                state.waiting.push_back(waiting)
            }
            return Take::Waits;
        }
        match state.value.take() {
            Some(value) => {
                state.holder = Some(entry.task.clone());
                Take::Value(value)
            }
            None => Take::Unset,
        }
    }

    /// Puts the value back and lets the next go on. Also sets the first value.
    pub fn put(&self, value: P) {
        let mut state = self.0.lock();
        state.put(value);
    }

    /// The reader `task` has its copy: puts the value back, for other readers until `read_end`.
    pub fn share(&self, value: P, task: &W) {
        let mut state = self.0.lock();
        state.readers.push(task.clone());
        state.put(value);
    }

    /// Whether `task` has the value.
    pub fn is_held_by(&self, task: &W) -> bool {
        self.0.lock().holder.as_ref() == Some(task)
    }

    /// The reader `task` has ended. `false`: it did not read.
    #[must_use]
    pub fn read_end(&self, task: &W) -> bool {
        let mut state = self.0.lock();
        let Some(place) = state.readers.iter().position(|reader| reader == task) else { return false };
        state.readers.swap_remove(place);
        state.admit();
        true
    }

    /// A wait is over without having got the lock: forgets its entry. Those behind it may go on now.
    pub fn forget(&self, entry: &Entry<W>) {
        let mut state = self.0.lock();
        if let Some(place) = state.waiting.iter().rposition(|(waiting, _)| waiting == entry) {
            state.waiting.remove(place);
            state.admit();
        }
    }
}

impl<P: Send, W: Waiter<P>> State<P, W> {
    fn put(&mut self, value: P) {
        self.holder = None;
        self.value = Some(value);
        self.admit();
    }

    /// Hands the value to the first that waits and may have it.
    fn admit(&mut self) {
        while self.holder.is_none()
            && self.waiting.front().is_some_and(|(_, access)| *access == Access::Read || self.readers.is_empty())
            && let Some(value) = self.value.take()
        {
            let Some((entry, _)) = self.waiting.pop_front() else { break };
            match entry.end(Fired::Message(value)) {
                Ok(()) => {
                    entry.task.wake();
                    self.holder = Some(entry.task);
                }
                Err(back) => self.value = Some(back.into_message()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::mock::MockTask;
    use super::Access::{Read, Write};
    use super::*;

    type Lock = ZoneLock<u32, MockTask>;

    #[test]
    fn the_lock_goes_from_hand_to_hand_in_order() {
        let lock = Lock::default();
        let a = MockTask::new();
        assert_eq!(lock.take(&a.entry(), Write), Take::Unset);
        lock.put(1);
        assert_eq!(lock.take(&a.entry(), Write), Take::Value(1));
        assert_eq!((lock.take(&a.entry(), Write), lock.take(&a.entry(), Read)), (Take::Held, Take::Held));
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!((lock.take(&wait_a, Write), lock.take(&wait_b, Write)), (Take::Waits, Take::Waits));
        a.point().close(wait_a.ticket);
        lock.put(2);
        assert_eq!(b.fired(&wait_b), Some(Fired::Message(2)));
        lock.put(3);
        assert_eq!(lock.take(&a.entry(), Write), Take::Value(3));
    }

    #[test]
    fn readers_are_in_together_and_a_writer_waits_for_all() {
        let lock = Lock::default();
        lock.put(1);
        let (a, b, c) = (MockTask::new(), MockTask::new(), MockTask::new());
        for reader in [&a, &b] {
            assert_eq!(lock.take(&reader.entry(), Read), Take::Value(1));
            lock.share(1, reader);
        }
        let d = MockTask::new();
        let (writes, reads) = (c.entry(), d.entry());
        assert_eq!(lock.take(&writes, Write), Take::Waits);
        // The reader that comes after the writer does not overtake it.
        assert_eq!(lock.take(&reads, Read), Take::Waits);
        assert!(lock.read_end(&a));
        assert_eq!(c.fired(&writes), None);
        assert!(lock.read_end(&b));
        assert_eq!((c.fired(&writes), d.fired(&reads)), (Some(Fired::Message(1)), None));
        lock.put(2);
        assert_eq!(d.fired(&reads), Some(Fired::Message(2)));
        lock.share(2, &d);
        assert!(lock.read_end(&d));
        assert!(!lock.read_end(&d));
    }

    #[test]
    fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
        let lock = Lock::default();
        lock.put(1);
        let (a, b, c) = (MockTask::new(), MockTask::new(), MockTask::new());
        assert_eq!(lock.take(&a.entry(), Read), Take::Value(1));
        lock.share(1, &a);
        let (writes, reads) = (b.entry(), c.entry());
        assert_eq!((lock.take(&writes, Write), lock.take(&reads, Read)), (Take::Waits, Take::Waits));
        b.point().close(writes.ticket);
        lock.forget(&writes);
        assert_eq!(c.fired(&reads), Some(Fired::Message(1)));
    }

    #[test]
    fn who_reads_may_read_again_before_a_writer_that_waits() {
        let lock = Lock::default();
        lock.put(1);
        let (a, b) = (MockTask::new(), MockTask::new());
        assert_eq!(lock.take(&a.entry(), Read), Take::Value(1));
        lock.share(1, &a);
        let writes = b.entry();
        assert_eq!(lock.take(&writes, Write), Take::Waits);
        assert_eq!((lock.take(&a.entry(), Write), lock.take(&a.entry(), Read)), (Take::Held, Take::Value(1)));
        lock.share(1, &a);
        assert!(lock.read_end(&a) && lock.read_end(&a));
        assert_eq!(b.fired(&writes), Some(Fired::Message(1)));
    }
}
