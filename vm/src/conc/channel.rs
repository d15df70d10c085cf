//! Channels: bounded, rendezvous and unbounded, first come first served.
//!
//! A message goes straight to a receiver that waits; so while receivers wait the queue is empty, and while senders wait
//! it is full. A waiting sender's message stays with its entry until a receiver makes room. Every operation either
//! succeeds at once or leaves an entry, under one lock, so nothing slips between looking and waiting.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::wait::{Entry, Fired, Waiter};

#[derive(Debug)]
pub struct Channel<P, W> {
    /// For reports: no two channels of a process have the same.
    id: u64,
    state: Mutex<State<P, W>>,
}

#[derive(Debug)]
struct State<P, W> {
    queue: VecDeque<P>,
    /// `None`: unbounded.
    capacity: Option<usize>,
    closed: bool,
    receivers: VecDeque<Entry<W>>,
    senders: VecDeque<(Entry<W>, P)>,
}

/// What a look for a message gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Recv<P> {
    Message(P),
    /// Nothing there; with an entry given, it waits now.
    Waits,
    /// Closed and drained.
    Closed,
    /// The entry's wait has been ended by another arm in between.
    Lost,
}

/// What became of a message to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Send<P> {
    Sent,
    /// No room and no entry: here it is again.
    Full(P),
    /// It waits with its entry.
    Waits,
    Closed(P),
    /// The entry's wait has been ended by another arm in between.
    Lost(P),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl<P: std::marker::Send, W: Waiter<P>> Channel<P, W> {
    pub fn new(capacity: Option<usize>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            capacity,
            closed: false,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
        };
        Self { id: NEXT_ID.fetch_add(1, Relaxed), state: Mutex::new(state) }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes a message, or leaves `entry` to wait for one.
    pub fn recv(&self, entry: Option<&Entry<W>>) -> Recv<P> {
        let mut state = self.state.lock();
        // With a wait open, this arm must win it before it takes anything.
        let claims = |entry: Option<&Entry<W>>| entry.is_none_or(|e| e.task.point().claim(e.ticket));
        if !state.queue.is_empty() {
            if !claims(entry) {
                return Recv::Lost;
            }
            let message = state.queue.pop_front();
            state.refill();
            return message.map_or(Recv::Waits, Recv::Message);
        }
        // A rendezvous: the senders' messages are the only ones.
        let mut own = None;
        while let Some((sender, message)) = state.senders.pop_front() {
            if entry.is_some_and(|e| e.task == sender.task) {
                // The other end of the same `select`: it cannot meet itself.
                own = Some((sender, message));
                continue;
            }
            if !claims(entry) {
                state.senders.push_front((sender, message));
                return Recv::Lost;
            }
            match sender.fire(Fired::Sent) {
                Ok(()) => {
                    if let Some(own) = own {
                        state.senders.push_front(own);
                    }
                    return Recv::Message(message);
                }
                // It has gone another way. This wait is claimed by now, so look on without an entry.
                Err(_) => {
                    let found = state.next_sender();
                    if let Some(own) = own {
                        state.senders.push_front(own);
                    }
                    if let Some(message) = found {
                        return Recv::Message(message);
                    }
                    return match entry {
                        None if state.closed => Recv::Closed,
                        None => Recv::Waits,
                        // Open again under a new ticket is the caller's business.
                        Some(_) => Recv::Lost,
                    };
                }
            }
        }
        if let Some(own) = own {
            state.senders.push_front(own);
        }
        if state.closed {
            return if claims(entry) { Recv::Closed } else { Recv::Lost };
        }
        if let Some(entry) = entry {
            state.receivers.push_back(entry.clone());
        }
        Recv::Waits
    }

    /// Gives a message, or leaves it with `entry` to wait for room.
    pub fn send(&self, mut message: P, entry: Option<&Entry<W>>) -> Send<P> {
        let mut state = self.state.lock();
        let claims = |entry: Option<&Entry<W>>| entry.is_none_or(|e| e.task.point().claim(e.ticket));
        if state.closed {
            return if claims(entry) { Send::Closed(message) } else { Send::Lost(message) };
        }
        let mut claimed = entry.is_none();
        let mut place = 0;
        while place < state.receivers.len() {
            if entry.is_some_and(|e| e.task == state.receivers[place].task) {
                place += 1;
                continue;
            }
            if !claimed && !claims(entry) {
                return Send::Lost(message);
            }
            claimed = true;
            let Some(receiver) = state.receivers.remove(place) else { break };
            match receiver.fire(Fired::Message(message)) {
                Ok(()) => return Send::Sent,
                Err(Fired::Message(back)) => message = back,
                Err(_) => return Send::Sent,
            }
        }
        if state.capacity.is_none_or(|capacity| state.queue.len() < capacity) {
            if !claimed && !claims(entry) {
                return Send::Lost(message);
            }
            state.queue.push_back(message);
            return Send::Sent;
        }
        match entry {
            None => Send::Full(message),
            // Claimed for a receiver that was gone already: the caller opens a new wait and comes back.
            Some(_) if claimed => Send::Lost(message),
            Some(entry) => {
                state.senders.push_back((entry.clone(), message));
                Send::Waits
            }
        }
    }

    /// A wait is over without this channel having ended it: forgets its entries.
    pub fn forget(&self, task: &W) {
        let mut state = self.state.lock();
        state.receivers.retain(|entry| entry.task != *task);
        let (gone, kept) = std::mem::take(&mut state.senders).into_iter().partition(|(entry, _)| entry.task == *task);
        state.senders = kept;
        drop(state);
        // Messages are dropped outside the lock: a drop may be long.
        let gone: VecDeque<(Entry<W>, P)> = gone;
        drop(gone);
    }

    /// No more messages: waiting receivers and senders learn it. What is queued can still be received.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let receivers = std::mem::take(&mut state.receivers);
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        for entry in receivers {
            let _ = entry.fire(Fired::Closed);
        }
        for (entry, _) in senders {
            let _ = entry.fire(Fired::Closed);
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<P: std::marker::Send, W: Waiter<P>> State<P, W> {
    /// The message of the first sender that still waits.
    fn next_sender(&mut self) -> Option<P> {
        while let Some((sender, message)) = self.senders.pop_front() {
            if sender.fire(Fired::Sent).is_ok() {
                return Some(message);
            }
        }
        None
    }

    /// A place in the queue is free: the first sender that still waits gets it.
    fn refill(&mut self) {
        if let Some(message) = self.next_sender() {
            self.queue.push_back(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wait::mock::MockTask;
    use super::*;

    type Ch = Channel<u32, MockTask>;

    #[test]
    fn a_bounded_channel_is_a_queue_with_an_end() {
        let ch = Ch::new(Some(2));
        assert_eq!((ch.send(1, None), ch.send(2, None), ch.send(3, None)), (Send::Sent, Send::Sent, Send::Full(3)));
        assert_eq!((ch.recv(None), ch.recv(None), ch.recv(None)), (Recv::Message(1), Recv::Message(2), Recv::Waits));
    }

    #[test]
    fn waiting_receivers_are_served_in_order() {
        let ch = Ch::new(Some(2));
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!((ch.recv(Some(&wait_a)), ch.recv(Some(&wait_b))), (Recv::Waits, Recv::Waits));
        assert_eq!((ch.send(1, None), ch.send(2, None), ch.send(3, None)), (Send::Sent, Send::Sent, Send::Sent));
        assert_eq!((a.fired(&wait_a), b.fired(&wait_b)), (Some(Fired::Message(1)), Some(Fired::Message(2))));
        assert_eq!(ch.len(), 1);
    }

    #[test]
    fn a_waiting_sender_gets_the_place_a_receiver_frees() {
        let ch = Ch::new(Some(1));
        let a = MockTask::new();
        let wait = a.entry();
        assert_eq!((ch.send(1, None), ch.send(2, Some(&wait))), (Send::Sent, Send::Waits));
        assert_eq!(ch.recv(None), Recv::Message(1));
        assert_eq!(a.fired(&wait), Some(Fired::Sent));
        assert_eq!((ch.recv(None), ch.recv(None)), (Recv::Message(2), Recv::Waits));
    }

    #[test]
    fn a_rendezvous_holds_nothing() {
        let ch = Ch::new(Some(0));
        assert_eq!(ch.send(1, None), Send::Full(1));
        let (a, b) = (MockTask::new(), MockTask::new());
        let sends = a.entry();
        assert_eq!((ch.send(2, Some(&sends)), ch.len()), (Send::Waits, 0));
        assert_eq!(ch.recv(None), Recv::Message(2));
        assert_eq!(a.fired(&sends), Some(Fired::Sent));
        let receives = b.entry();
        assert_eq!(ch.recv(Some(&receives)), Recv::Waits);
        assert_eq!(ch.send(3, None), Send::Sent);
        assert_eq!(b.fired(&receives), Some(Fired::Message(3)));
    }

    #[test]
    fn a_receiver_that_went_another_way_is_passed_over() {
        let ch = Ch::new(Some(0));
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!((ch.recv(Some(&wait_a)), ch.recv(Some(&wait_b))), (Recv::Waits, Recv::Waits));
        a.point().close(wait_a.ticket);
        assert_eq!(ch.send(1, None), Send::Sent);
        assert_eq!((a.fired(&wait_a), b.fired(&wait_b)), (None, Some(Fired::Message(1))));
    }

    #[test]
    fn closing_wakes_everybody_and_leaves_what_is_queued() {
        let ch = Ch::new(Some(1));
        let (a, b) = (MockTask::new(), MockTask::new());
        assert_eq!(ch.send(1, None), Send::Sent);
        let sends = a.entry();
        assert_eq!(ch.send(2, Some(&sends)), Send::Waits);
        ch.close();
        assert_eq!(a.fired(&sends), Some(Fired::Closed));
        assert_eq!(ch.send(3, None), Send::Closed(3));
        assert_eq!((ch.recv(None), ch.recv(None)), (Recv::Message(1), Recv::Closed));
        let receives = b.entry();
        assert_eq!(ch.recv(Some(&receives)), Recv::Closed);
    }

    #[test]
    fn one_select_does_not_meet_itself() {
        let ch = Ch::new(Some(0));
        let task = MockTask::new();
        let sends = task.entry();
        let receives = Entry { arm: 1, ..sends.clone() };
        assert_eq!(ch.send(1, Some(&sends)), Send::Waits);
        assert_eq!(ch.recv(Some(&receives)), Recv::Waits);
        // Another task meets either.
        assert_eq!(ch.recv(None), Recv::Message(1));
        assert_eq!(task.point().take(sends.ticket), Some((0, Fired::Sent)));
        ch.forget(&task);
        assert_eq!(ch.send(2, None), Send::Full(2));
    }

    #[test]
    fn an_arm_that_comes_too_late_takes_nothing() {
        let (first, second) = (Ch::new(Some(1)), Ch::new(Some(1)));
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!(first.recv(Some(&wait)), Recv::Waits);
        assert_eq!(first.send(1, None), Send::Sent);
        assert_eq!(second.send(2, None), Send::Sent);
        assert_eq!(second.recv(Some(&Entry { arm: 1, ..wait.clone() })), Recv::Lost);
        assert_eq!((second.len(), task.fired(&wait)), (1, Some(Fired::Message(1))));
    }
}
