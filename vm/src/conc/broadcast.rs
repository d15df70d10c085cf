//! Broadcast channels: every subscriber sees every message sent after it subscribed.
//!
//! Each subscription has a queue of its own, since each receiving task needs its own copy anyway. One that falls more
//! than the capacity behind loses the oldest and is told how many, once. So does one whose messages take more bytes than
//! it may keep: a subscriber that does not keep up shall not take the whole machine's memory.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::channel::next_id;
use super::wait::{Entry, Fired, Waiter, Weigh};

#[derive(Debug)]
pub struct Broadcast<P, W> {
    /// For reports: no two channels of a process have the same.
    id: u64,
    capacity: usize,
    /// Bytes that a subscription may keep.
    max_bytes: usize,
    state: Mutex<State<P, W>>,
}

#[derive(Debug)]
struct State<P, W> {
    subscriptions: Vec<Weak<Subscription<P, W>>>,
    closed: bool,
}

#[derive(Debug)]
pub struct Subscription<P, W> {
    id: u64,
    inbox: Mutex<Inbox<P, W>>,
}

#[derive(Debug)]
struct Inbox<P, W> {
    queue: VecDeque<P>,
    bytes: usize,
    missed: u64,
    closed: bool,
    waiting: VecDeque<Entry<W>>,
}

/// What a look for a message gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<P> {
    Message(P),
    /// So many messages were lost; the next look goes on with the oldest kept.
    Lagged(u64),
    /// Nothing there; with an entry given, it waits now.
    Waits,
    /// Closed and drained.
    Closed,
    /// The entry's wait has been ended by another arm in between.
    Lost,
}

impl<P: Send + Weigh, W: Waiter<P>> Broadcast<P, W> {
    /// `capacity` is at least 1.
    pub fn new(capacity: usize, max_bytes: usize) -> Self {
        let state = State { subscriptions: Vec::new(), closed: false };
        Self { id: next_id(), capacity: capacity.max(1), max_bytes, state: Mutex::new(state) }
    }

    /// Gives each subscriber a message made by `copy`. `false`: the channel is closed.
    ///
    /// # Errors
    /// What `copy` fails with; the subscribers before have the message then.
    pub fn send<E>(&self, mut copy: impl FnMut() -> Result<P, E>) -> Result<bool, E> {
        // Dropped after the lock is free: a drop may be long.
        let mut gone = Vec::new();
        let mut state = self.state.lock();
        if state.closed {
            return Ok(false);
        }
        let mut failed = None;
        state.subscriptions.retain(|subscription| {
            let Some(subscription) = subscription.upgrade() else { return false };
            if failed.is_none() {
                match copy() {
                    Ok(message) => subscription.push(message, self.capacity, self.max_bytes, &mut gone),
                    Err(error) => failed = Some(error),
                }
            }
            true
        });
        failed.map_or(Ok(true), Err)
    }

    pub fn subscribe(&self) -> Arc<Subscription<P, W>> {
        let mut state = self.state.lock();
        let inbox =
            Inbox { queue: VecDeque::new(), bytes: 0, missed: 0, closed: state.closed, waiting: VecDeque::new() };
        let subscription = Arc::new(Subscription { id: self.id, inbox: Mutex::new(inbox) });
        // Those that were dropped go now, so that subscribing in a loop without sending keeps no more than lives.
        if state.subscriptions.len() == state.subscriptions.capacity() {
            state.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        }
        state.subscriptions.push(Arc::downgrade(&subscription));
        subscription
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for subscription in state.subscriptions.drain(..).filter_map(|subscription| subscription.upgrade()) {
            let mut inbox = subscription.inbox.lock();
            inbox.closed = true;
            for entry in inbox.waiting.drain(..) {
                let _ = entry.fire(Fired::Closed);
            }
        }
    }
}

impl<P: Send + Weigh, W: Waiter<P>> Subscription<P, W> {
    /// How many messages wait to be received.
    pub fn len(&self) -> usize {
        self.inbox.lock().queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of the channel, for reports.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Messages that have to go for this one are left in `gone`.
    fn push(&self, mut message: P, capacity: usize, max_bytes: usize, gone: &mut Vec<P>) {
        let mut inbox = self.inbox.lock();
        while let Some(entry) = inbox.waiting.pop_front() {
            match entry.fire(Fired::Message(message)) {
                Ok(()) => return,
                Err(back) => message = back.into_message(),
            }
        }
        let weight = message.weight();
        while inbox.queue.len() >= capacity || inbox.bytes.saturating_add(weight) > max_bytes {
            let Some(oldest) = inbox.queue.pop_front() else { break };
            inbox.bytes -= oldest.weight();
            inbox.missed += 1;
            gone.push(oldest);
        }
        inbox.bytes += weight;
        inbox.queue.push_back(message);
    }

    /// Takes a message, or leaves `entry` to wait for one.
    pub fn next(&self, entry: Option<&Entry<W>>) -> Next<P> {
        let mut inbox = self.inbox.lock();
        let ready = inbox.missed > 0 || !inbox.queue.is_empty() || inbox.closed;
        if ready && !entry.is_none_or(|entry| entry.task.point().claim(entry.ticket)) {
            return Next::Lost;
        }
        if inbox.missed > 0 {
            return Next::Lagged(std::mem::take(&mut inbox.missed));
        }
        if let Some(message) = inbox.queue.pop_front() {
            inbox.bytes -= message.weight();
            return Next::Message(message);
        }
        if inbox.closed {
            return Next::Closed;
        }
        if let Some(entry) = entry {
            inbox.waiting.push_back(entry.clone());
        }
        Next::Waits
    }

    /// A message was handed to a task that will not take it (it was cancelled): another that waits here gets it, or it
    /// is the first of the queue again.
    pub fn give_back(&self, mut message: P) {
        let mut inbox = self.inbox.lock();
        while let Some(entry) = inbox.waiting.pop_front() {
            match entry.fire(Fired::Message(message)) {
                Ok(()) => return,
                Err(back) => message = back.into_message(),
            }
        }
        if inbox.missed > 0 {
            // Younger ones were dropped meanwhile, so it is among the missed: what is received stays in order.
            inbox.missed += 1;
            drop(inbox);
            drop(message);
            return;
        }
        inbox.bytes += message.weight();
        inbox.queue.push_front(message);
    }

    /// A wait is over without this subscription having ended it: forgets its entry.
    pub fn forget(&self, entry: &Entry<W>) {
        let mut inbox = self.inbox.lock();
        if let Some(place) = inbox.waiting.iter().rposition(|waiting| waiting == entry) {
            inbox.waiting.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::mock::MockTask;
    use super::*;

    fn send(channel: &Broadcast<u32, MockTask>, message: u32) {
        assert_eq!(channel.send(|| Ok::<_, ()>(message)), Ok(true));
    }

    #[test]
    fn a_slow_subscriber_learns_once_what_it_missed() {
        let channel = Broadcast::new(3, usize::MAX);
        let slow = channel.subscribe();
        (0..5).for_each(|message| send(&channel, message));
        let seen: Vec<_> = (0..5).map(|_| slow.next(None)).collect();
        assert_eq!(seen, [Next::Lagged(2), Next::Message(2), Next::Message(3), Next::Message(4), Next::Waits]);
    }

    #[test]
    fn a_subscriber_sees_what_comes_after_it() {
        let channel = Broadcast::new(3, usize::MAX);
        send(&channel, 1);
        let late = channel.subscribe();
        send(&channel, 2);
        channel.close();
        assert_eq!((late.next(None), late.next(None)), (Next::Message(2), Next::Closed));
        assert_eq!(channel.send(|| Ok::<_, ()>(3)), Ok(false));
    }

    #[test]
    fn a_waiting_subscriber_is_handed_the_message() {
        let channel = Broadcast::new(1, usize::MAX);
        let subscription = channel.subscribe();
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!(subscription.next(Some(&wait)), Next::Waits);
        send(&channel, 7);
        assert_eq!(task.fired(&wait), Some(Fired::Message(7)));
    }

    #[test]
    fn a_message_that_was_not_taken_is_the_next_again_or_missed() {
        let channel = Broadcast::new(1, usize::MAX);
        let subscription = channel.subscribe();
        subscription.give_back(0);
        assert_eq!(subscription.next(None), Next::Message(0));
        (1..3).for_each(|message| send(&channel, message));
        subscription.give_back(0);
        let seen: Vec<_> = (0..3).map(|_| subscription.next(None)).collect();
        assert_eq!(seen, [Next::Lagged(2), Next::Message(2), Next::Waits]);
    }

    #[test]
    fn a_subscriber_keeps_no_more_bytes_than_it_may() {
        let channel = Broadcast::new(100, 10);
        let subscription = channel.subscribe();
        (0..5).for_each(|message| send(&channel, message));
        let seen: Vec<_> = (0..4).map(|_| subscription.next(None)).collect();
        assert_eq!(seen, [Next::Lagged(3), Next::Message(3), Next::Message(4), Next::Waits]);
    }
}
