//! Channels: bounded, rendezvous and unbounded, first come first served.
//!
//! A message goes straight to a receiver that waits; so while receivers wait the queue is empty, and while senders wait
//! it is full. A waiting sender's message stays with its entry until a receiver makes room. Every operation either
//! succeeds at once or leaves an entry, under one lock, so nothing slips between looking and waiting.
//!
//! Two tasks of one worker need no wait to meet: the one that would wait gives the other a turn inside its own (it lends),
//! and looks again. So that the other gets on meanwhile, a receiver that lends is room for one message more, and what a
//! sender that lends has brought can be taken as if it was in the queue.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::sync::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::wait::{Entry, Fired, Miss, Waiter, Weigh, meet};

#[derive(Debug)]
pub struct Channel<P, W> {
    /// For reports: no two channels of a process have the same.
    id: u64,
    /// `None`: unbounded.
    capacity: Option<usize>,
    /// How many messages can be taken, and put in, without a word to anybody else. Exact for whoever has the lock (`Locked`), a
    /// hint for others.
    n_ready: AtomicUsize,
    room: AtomicUsize,
    state: Mutex<State<P, W>>,
}

#[derive(Debug)]
struct State<P, W> {
    queue: VecDeque<P>,
    /// Receivers that lend: each takes a message as soon as it looks again.
    n_lending: usize,
    /// What senders that lend have brought, behind the queue, with numbers to find it again.
    offers: VecDeque<(u64, P)>,
    n_offers: u64,
    /// What the messages in the queue take.
    bytes: usize,
    closed: bool,
    receivers: VecDeque<Entry<W>>,
    /// So many receivers at most have gone another way and are still in the list.
    n_gone: usize,
    senders: VecDeque<(Entry<W>, P)>,
    /// The addresses of the tasks that last waited here and were served; 0 at first. Whoever waits next most likely waits for
    /// the one on the other side.
    last_receiver: usize,
    last_sender: usize,
}

/// What a task does that finds no message or no room.
#[derive(Debug)]
pub enum Instead<W> {
    /// It waits for this channel, with an entry that no other arm can end before.
    Wait(Entry<W>),
    /// It gives the task on the other side a turn and calls `*_after_lending` then.
    Lend,
    Leave,
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
    /// It can be taken, while its sender lends. Under this number it is found again.
    Offered(u64),
    Closed(P),
    /// What is queued would take more than the limit.
    TooMuch(P),
    /// The entry's wait has been ended by another arm in between.
    Lost(P),
}

/// A channel's state, under its lock. When it is given back, what the short ways go by is right again.
struct Locked<'a, P, W> {
    channel: &'a Channel<P, W>,
    state: MutexGuard<'a, State<P, W>>,
}

impl<P, W> Deref for Locked<'_, P, W> {
    type Target = State<P, W>;
    #[inline(always)]
    fn deref(&self) -> &State<P, W> {
        &self.state
    }
}

impl<P, W> DerefMut for Locked<'_, P, W> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut State<P, W> {
        &mut self.state
    }
}

impl<P, W> Drop for Locked<'_, P, W> {
    #[inline]
    fn drop(&mut self) {
        let (channel, state) = (self.channel, &self.state);
        let n_queued = state.queue.len();
        let is_alone = state.senders.is_empty() && state.offers.is_empty();
        channel.n_ready.store(if is_alone { n_queued } else { 0 }, Relaxed);
        let is_heard = state.closed || !state.receivers.is_empty();
        let most = channel.capacity.map_or(usize::MAX, |capacity| capacity.saturating_add(state.n_lending));
        let room = most.min(state.queue.capacity()).saturating_sub(n_queued);
        channel.room.store(if is_heard { 0 } else { room }, Relaxed);
    }
}

/// A channel, held by one task.
pub struct Held<'a, P, W>(Locked<'a, P, W>);

impl<P, W> std::fmt::Debug for Held<'_, P, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl<P: std::marker::Send + Weigh, W: Waiter<P>> Held<'_, P, W> {
    /// Takes a message. When there is none, `instead` says what the caller does; it is told the address of the task that
    /// most likely sends next.
    pub fn recv_or_else(self, instead: impl FnOnce(usize) -> Instead<W>) -> Recv<P> {
        self.0.channel.recv_or(self.0, None, instead)
    }

    /// As `Channel::send_or_else`.
    pub fn send_or_else(self, message: P, limit: usize, instead: impl FnOnce(usize) -> Instead<W>) -> Send<P> {
        self.0.channel.send_or(self.0, message, limit, None, instead)
    }
}

/// A number for a channel, for reports.
pub(super) fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    NEXT_ID.fetch_add(1, Relaxed)
}

impl<P: std::marker::Send + Weigh, W: Waiter<P>> Channel<P, W> {
    pub fn new(capacity: Option<usize>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            n_lending: 0,
            offers: VecDeque::new(),
            n_offers: 0,
            bytes: 0,
            closed: false,
            receivers: VecDeque::new(),
            n_gone: 0,
            senders: VecDeque::new(),
            last_receiver: 0,
            last_sender: 0,
        };
        Self {
            id: next_id(),
            capacity,
            n_ready: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    #[inline(always)]
    fn locked(&self) -> Locked<'_, P, W> {
        Locked { channel: self, state: self.state.lock() }
    }

    /// Takes a message of the queue, if nobody else need hear of it: neither a sender that waits or lends, for the room, nor a
    /// `select`. What nearly every receive from a channel with a buffer is; `None`: it is for `take_or` to look closer. It calls
    /// nothing, so that its caller need save nothing. `weight` is that of every message here.
    #[inline(always)]
    pub fn take_now(&self, weight: usize) -> Option<P> {
        if self.n_ready.load(Relaxed) == 0 {
            return None;
        }
        let mut state = self.state.try_lock()?;
        let n_ready = self.n_ready.load(Relaxed).checked_sub(1)?;
        let message = state.queue.pop_front()?;
        self.n_ready.store(n_ready, Relaxed);
        self.room.store(self.room.load(Relaxed) + 1, Relaxed);
        state.bytes -= weight;
        Some(message)
    }

    /// Puts a message of this weight into the queue, if there is room and nobody waits for it: what nearly every send to a channel
    /// with a buffer is. `false`: it is for `put_or` to look closer, and no message was made. It calls nothing, as `take_now`.
    #[inline(always)]
    pub fn put_now(&self, weight: usize, limit: impl FnOnce() -> usize, message: impl FnOnce() -> P) -> bool {
        if self.room.load(Relaxed) == 0 {
            return false;
        }
        let Some(mut state) = self.state.try_lock() else { return false };
        let Some(room) = self.room.load(Relaxed).checked_sub(1) else { return false };
        let bytes = state.bytes.saturating_add(weight);
        if bytes > limit() || state.queue.len() == state.queue.capacity() {
            return false;
        }
        self.room.store(room, Relaxed);
        self.n_ready.store(self.n_ready.load(Relaxed) + 1, Relaxed);
        state.bytes = bytes;
        state.queue.push_back(message());
        true
    }

    /// As `take_now`, or else `otherwise` goes on with the channel (`Held::recv_or_else`). Inlined, so that what passes between
    /// them stays in registers.
    #[inline(always)]
    pub fn take_or<'a, R>(&'a self, taken: impl FnOnce(P) -> R, otherwise: impl FnOnce(Held<'a, P, W>) -> R) -> R {
        let mut state = self.locked();
        match state.take() {
            Some(message) => {
                drop(state);
                taken(message)
            }
            None => otherwise(Held(state)),
        }
    }

    /// As `take_or`.
    ///
    /// # Errors
    /// With the channel.
    pub fn take(&self) -> Result<P, Held<'_, P, W>> {
        let mut state = self.locked();
        match state.take() {
            Some(message) => Ok(message),
            None => Err(Held(state)),
        }
    }

    /// Hands a message to a receiver that waits, or puts it into the queue if there is room: what nearly every send is. Else
    /// `otherwise` goes on with the channel (`Held::send_or_else`). Inlined as `take_or` is.
    #[inline(always)]
    pub fn put_or<'a, R>(
        &'a self,
        message: P,
        limit: usize,
        put: impl FnOnce() -> R,
        otherwise: impl FnOnce(Held<'a, P, W>, P) -> R,
    ) -> R {
        let mut message = message;
        let mut state = self.locked();
        if !state.closed {
            while let Some(receiver) = state.receivers.pop_front() {
                match receiver.hand(message) {
                    Ok(()) => {
                        state.last_receiver = receiver.task.addr();
                        drop(state);
                        receiver.task.wake_by();
                        return put();
                    }
                    Err(back) => message = back,
                }
            }
        }
        let bytes = state.bytes.saturating_add(message.weight());
        if state.closed || !self.has_room(&state) || bytes > limit {
            return otherwise(Held(state), message);
        }
        state.bytes = bytes;
        state.queue.push_back(message);
        drop(state);
        put()
    }

    /// As `put_or`.
    ///
    /// # Errors
    /// With the channel and the message.
    pub fn put(&self, message: P, limit: usize) -> Result<(), (Held<'_, P, W>, P)> {
        self.put_or(message, limit, || Ok(()), |held, message| Err((held, message)))
    }

    /// Takes a message, or leaves `entry` to wait for one.
    pub fn recv(&self, entry: Option<&Entry<W>>) -> Recv<P> {
        self.recv_or(self.locked(), entry, |_| entry.cloned().map_or(Instead::Leave, Instead::Wait))
    }

    /// As `recv_or_else`, after the turn that was lent.
    pub fn recv_after_lending(&self, instead: impl FnOnce(usize) -> Instead<W>) -> Recv<P> {
        let mut state = self.locked();
        state.n_lending -= 1;
        self.recv_or(state, None, instead)
    }

    fn recv_or(
        &self,
        state: Locked<'_, P, W>,
        entry: Option<&Entry<W>>,
        instead: impl FnOnce(usize) -> Instead<W>,
    ) -> Recv<P> {
        // Declared before the lock's guard is, so dropped after the lock is free: a drop may be long.
        let mut gone = Vec::new();
        let mut state = state;
        if !state.is_empty() && !claims(entry) {
            return Recv::Lost;
        }
        if let Some(message) = state.pop() {
            state.bytes -= message.weight();
            if !state.senders.is_empty() {
                let let_in = self.refill(&mut state, &mut gone);
                drop(state);
                let_in.into_iter().for_each(Waiter::wake_by);
            }
            return Recv::Message(message);
        }
        // A rendezvous: the senders' messages are the only ones.
        let mut place = 0;
        while let Some((sender, _)) = state.senders.get(place) {
            if entry.is_some_and(|entry| entry.task == sender.task) {
                // Another arm of the same `select`: it cannot meet itself.
                place += 1;
                continue;
            }
            match meet(entry, sender, Fired::Sent) {
                Ok(()) => {
                    let Some((sender, message)) = state.senders.remove(place) else { break };
                    state.last_sender = sender.task.addr();
                    drop(state);
                    sender.task.wake_by();
                    return Recv::Message(message);
                }
                Err(Miss::Own(_)) => return Recv::Lost,
                Err(Miss::Other(_)) => gone.extend(state.senders.remove(place)),
            }
        }
        if state.closed {
            return if claims(entry) { Recv::Closed } else { Recv::Lost };
        }
        match instead(state.last_sender) {
            Instead::Wait(entry) => state.receivers.push_back(entry),
            Instead::Lend => state.n_lending += 1,
            Instead::Leave => {}
        }
        Recv::Waits
    }

    /// Gives a message, or leaves it with `entry` to wait for room.
    pub fn send(&self, message: P, entry: Option<&Entry<W>>) -> Send<P> {
        let instead = |_| entry.cloned().map_or(Instead::Leave, Instead::Wait);
        self.send_or(self.locked(), message, usize::MAX, entry, instead)
    }

    /// Gives a message unless what is queued would take more than `limit` bytes then. When there is no room, `instead` says
    /// what the caller does; it is told the address of the task that most likely receives next.
    pub fn send_or_else(&self, message: P, limit: usize, instead: impl FnOnce(usize) -> Instead<W>) -> Send<P> {
        self.send_or(self.locked(), message, limit, None, instead)
    }

    /// As `send_or_else`, for what was offered as number `offer` during the turn that was lent.
    pub fn send_after_lending(&self, offer: u64, limit: usize, instead: impl FnOnce(usize) -> Instead<W>) -> Send<P> {
        let mut state = self.locked();
        let Some(place) = state.offers.iter().position(|(number, _)| *number == offer) else { return Send::Sent };
        let Some((_, message)) = state.offers.remove(place) else { return Send::Sent };
        state.bytes -= message.weight();
        self.send_or(state, message, limit, None, instead)
    }

    fn send_or(
        &self,
        mut state: Locked<'_, P, W>,
        mut message: P,
        limit: usize,
        entry: Option<&Entry<W>>,
        instead: impl FnOnce(usize) -> Instead<W>,
    ) -> Send<P> {
        if state.closed {
            return if claims(entry) { Send::Closed(message) } else { Send::Lost(message) };
        }
        let mut place = 0;
        while let Some(receiver) = state.receivers.get(place) {
            if entry.is_some_and(|entry| entry.task == receiver.task) {
                place += 1;
                continue;
            }
            match meet(entry, receiver, Fired::Message(message)) {
                Ok(()) => {
                    let receiver = state.receivers.remove(place);
                    state.last_receiver = receiver.as_ref().map_or(0, |receiver| receiver.task.addr());
                    drop(state);
                    receiver.into_iter().for_each(|receiver| receiver.task.wake_by());
                    return Send::Sent;
                }
                Err(Miss::Own(back)) => return Send::Lost(back.into_message()),
                Err(Miss::Other(back)) => {
                    state.receivers.remove(place);
                    message = back.into_message();
                }
            }
        }
        let has_room = self.has_room(&state);
        if !has_room {
            match instead(state.last_receiver) {
                Instead::Wait(entry) => {
                    state.senders.push_back((entry, message));
                    return Send::Waits;
                }
                Instead::Lend => {}
                Instead::Leave => return Send::Full(message),
            }
        }
        let bytes = state.bytes.saturating_add(message.weight());
        if bytes > limit {
            return Send::TooMuch(message);
        }
        if !claims(entry) {
            return Send::Lost(message);
        }
        state.bytes = bytes;
        if has_room {
            state.queue.push_back(message);
            return Send::Sent;
        }
        let number = state.n_offers;
        state.n_offers += 1;
        state.offers.push_back((number, message));
        Send::Offered(number)
    }

    /// A message was handed to a receiver that will not take it (it was cancelled): the next receiver gets it, or it is
    /// the first of the queue again, though that may make the queue longer than its capacity by one.
    pub fn give_back(&self, mut message: P) {
        let mut state = self.locked();
        while let Some(receiver) = state.receivers.pop_front() {
            match receiver.fire(Fired::Message(message)) {
                Ok(()) => return,
                Err(back) => message = back.into_message(),
            }
        }
        state.bytes += message.weight();
        state.queue.push_front(message);
    }

    /// A wait is over without this channel having ended it: forgets its entry, and the message that waited with it.
    pub fn forget(&self, entry: &Entry<W>) {
        let mut state = self.locked();
        state.forget_receiver(entry);
        // From the back: an entry that is forgotten is mostly a young one.
        let place = state.senders.iter().rposition(|(waiting, _)| waiting == entry);
        let gone = place.and_then(|place| state.senders.remove(place));
        // Dropped after the lock is free: a drop may be long.
        drop(state);
        drop(gone);
    }

    /// No more messages: waiting receivers and senders learn it. What is queued can still be received.
    pub fn close(&self) {
        let mut state = self.locked();
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
        self.locked().closed
    }

    /// Closed, and everything has been received: no message will come.
    pub fn is_drained(&self) -> bool {
        let state = self.locked();
        state.closed && state.is_empty()
    }

    pub fn len(&self) -> usize {
        let state = self.locked();
        // What is as good as received is not here any more.
        state.queue.len().saturating_sub(state.n_lending)
    }

    /// Bytes of the messages that nobody has received yet, about.
    pub fn bytes(&self) -> usize {
        self.locked().bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_room(&self, state: &State<P, W>) -> bool {
        self.capacity.is_none_or(|capacity| state.queue.len() < capacity.saturating_add(state.n_lending))
    }

    /// A place in the queue may be free: the first sender that still waits gets it. Gives whom to wake when the lock is free;
    /// those that do not wait any more are left in `gone`.
    fn refill(&self, state: &mut State<P, W>, gone: &mut Vec<(Entry<W>, P)>) -> SmallVec<[W; 1]> {
        let mut let_in = SmallVec::new();
        while self.has_room(state)
            && let Some((sender, message)) = state.senders.pop_front()
        {
            match sender.end(Fired::Sent) {
                Ok(()) => {
                    state.bytes += message.weight();
                    state.queue.push_back(message);
                    state.last_sender = sender.task.addr();
                    let_in.push(sender.task);
                }
                Err(_) => gone.push((sender, message)),
            }
        }
        let_in
    }
}

/// With a wait open, an arm must win it before it takes anything.
fn claims<P, W: Waiter<P>>(entry: Option<&Entry<W>>) -> bool {
    entry.is_none_or(|entry| entry.task.point().claim(entry.ticket))
}

impl<P: std::marker::Send + Weigh, W: Waiter<P>> State<P, W> {
    #[inline(always)]
    fn take(&mut self) -> Option<P> {
        if !self.senders.is_empty() || !self.offers.is_empty() {
            return None;
        }
        let message = self.queue.pop_front()?;
        self.bytes -= message.weight();
        Some(message)
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.offers.is_empty()
    }

    /// Mostly the youngest, or the oldest where all are ended one after the other. Any other is left until half of the list
    /// has gone: looking for each would take time with the square of the list.
    fn forget_receiver(&mut self, entry: &Entry<W>) {
        if self.receivers.back() == Some(entry) {
            self.receivers.pop_back();
        } else if self.receivers.front() == Some(entry) {
            self.receivers.pop_front();
        } else {
            self.n_gone += 1;
            if 2 * self.n_gone > self.receivers.len() {
                self.receivers.retain(|waiting| waiting.task.point().is_open(waiting.ticket));
                self.n_gone = 0;
            }
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<P> {
        let message = self.queue.pop_front();
        if self.offers.is_empty() {
            return message;
        }
        let offer = self.offers.pop_front().map(|(_, offer)| offer);
        if message.is_none() {
            return offer;
        }
        self.queue.extend(offer);
        message
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
        assert_eq!(ch.bytes(), 8);
        assert_eq!((ch.recv(None), ch.recv(None), ch.recv(None)), (Recv::Message(1), Recv::Message(2), Recv::Waits));
        assert_eq!(ch.bytes(), 0);
    }

    #[test]
    fn of_many_receivers_those_that_gave_up_take_no_room_and_no_message() {
        let ch = Ch::new(Some(2));
        let tasks: Vec<MockTask> = (0..100).map(|_| MockTask::new()).collect();
        let waits: Vec<_> = tasks.iter().map(MockTask::entry).collect();
        waits.iter().for_each(|wait| assert_eq!(ch.recv(Some(wait)), Recv::Waits));
        // From the middle, every one but two.
        for i in (0..100).map(|i| (i + 37) % 100).filter(|i| ![20, 60].contains(i)) {
            assert_eq!(tasks[i].point().close(waits[i].ticket), None);
            ch.forget(&waits[i]);
        }
        assert!(ch.state.lock().receivers.len() <= 4);
        assert_eq!((ch.send(1, None), ch.send(2, None)), (Send::Sent, Send::Sent));
        assert_eq!(tasks[20].fired(&waits[20]), Some(Fired::Message(1)));
        assert_eq!(tasks[60].fired(&waits[60]), Some(Fired::Message(2)));
    }

    #[test]
    fn the_short_way_says_no_where_others_must_hear() {
        let put = |ch: &Ch, message, limit| ch.put(message, limit).is_ok();
        let take = |ch: &Ch| ch.take().ok();
        let ch = Ch::new(Some(2));
        assert_eq!((take(&ch), put(&ch, 1, 100), put(&ch, 2, 100), put(&ch, 3, 100)), (None, true, true, false));
        assert_eq!((take(&ch), ch.bytes(), put(&ch, 3, 7), put(&ch, 3, 8)), (Some(1), 4, false, true));
        // A sender waits for the room.
        let sender = MockTask::new();
        assert_eq!((ch.send(4, Some(&sender.entry())), take(&ch)), (Send::Waits, None));
        assert_eq!((ch.recv(None), take(&ch), take(&ch)), (Recv::Message(2), Some(3), Some(4)));
        // A receiver waits for the message, another has gone another way.
        let (gone, receiver) = (MockTask::new(), MockTask::new());
        let (no, waits) = (gone.entry(), receiver.entry());
        assert_eq!((ch.recv(Some(&no)), ch.recv(Some(&waits))), (Recv::Waits, Recv::Waits));
        assert!(gone.point().claim(no.ticket) && put(&ch, 5, 100));
        assert_eq!((receiver.fired(&waits), receiver.n_wakes(), gone.n_wakes()), (Some(Fired::Message(5)), 1, 0));
        ch.close();
        assert_eq!((put(&ch, 6, 100), take(&ch)), (false, None));
        // What is queued can still be received.
        let ch = Ch::new(None);
        assert!(put(&ch, 7, 100));
        ch.close();
        assert_eq!((take(&ch), ch.recv(None)), (Some(7), Recv::Closed));
        // What was refused goes on from there.
        let ch = Ch::new(Some(1));
        assert!(put(&ch, 8, 100));
        let (held, message) = ch.put(9, 100).unwrap_err();
        assert_eq!(held.send_or_else(message, 100, |_| Instead::Leave), Send::Full(9));
        assert_eq!(ch.take().unwrap(), 8);
        assert_eq!(ch.take().unwrap_err().recv_or_else(|_| Instead::Leave), Recv::Waits);
    }

    #[test]
    fn a_rendezvous_has_no_short_way() {
        let ch = Ch::new(Some(0));
        assert!(ch.put(1, 100).is_err() && ch.take().is_err());
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
    fn a_receiver_that_lends_is_room_for_a_message() {
        let ch = Ch::new(Some(0));
        assert_eq!(ch.take().unwrap_err().recv_or_else(|_| Instead::Lend), Recv::Waits);
        assert_eq!((ch.send(1, None), ch.len(), ch.send(2, None)), (Send::Sent, 0, Send::Full(2)));
        assert_eq!(ch.recv_after_lending(|_| Instead::Leave), Recv::Message(1));
        assert_eq!((ch.send(3, None), ch.recv(None)), (Send::Full(3), Recv::Waits));
        // One that gets nothing is no room any more.
        assert_eq!(ch.take().unwrap_err().recv_or_else(|_| Instead::Lend), Recv::Waits);
        assert_eq!((ch.recv_after_lending(|_| Instead::Leave), ch.send(4, None)), (Recv::Waits, Send::Full(4)));
    }

    #[test]
    fn what_a_sender_offers_is_taken_or_comes_back() {
        for capacity in 0..3 {
            let ch = Ch::new(Some(capacity));
            let fill = |ch: &Ch| (0..capacity as u32).for_each(|i| assert_eq!(ch.send(i, None), Send::Sent));
            let offer = |message| match ch.send_or_else(message, usize::MAX, |_| Instead::Lend) {
                Send::Offered(number) => number,
                other => panic!("{other:?}"),
            };
            fill(&ch);
            let number = offer(7);
            assert_eq!((ch.len(), ch.bytes()), (capacity, 4 * capacity + 4));
            // Nobody wanted it.
            assert_eq!(ch.send_after_lending(number, usize::MAX, |_| Instead::Leave), Send::Full(7));
            assert_eq!((ch.len(), ch.bytes()), (capacity, 4 * capacity));
            // Somebody took one: it, or its place is free.
            let number = offer(8);
            assert_eq!(ch.recv(None), Recv::Message(if capacity == 0 { 8 } else { 0 }));
            assert_eq!(ch.send_after_lending(number, usize::MAX, |_| Instead::Leave), Send::Sent);
            assert_eq!(ch.len(), capacity);
            // Closed before anybody took it.
            let number = offer(9);
            ch.close();
            assert_eq!(ch.send_after_lending(number, usize::MAX, |_| Instead::Leave), Send::Closed(9));
        }
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
        ch.forget(&receives);
        assert_eq!(ch.send(2, None), Send::Full(2));
    }

    #[test]
    fn two_selects_meet_at_a_rendezvous() {
        let (left, right) = (Ch::new(Some(0)), Ch::new(Some(0)));
        let (a, b) = (MockTask::new(), MockTask::new());
        // Each sends on one and receives from the other.
        let (sends_a, sends_b) = (a.entry(), b.entry());
        let (receives_a, receives_b) = (Entry { arm: 1, ..sends_a.clone() }, Entry { arm: 1, ..sends_b.clone() });
        assert_eq!((left.send(1, Some(&sends_a)), right.recv(Some(&receives_a))), (Send::Waits, Recv::Waits));
        assert_eq!(right.send(2, Some(&sends_b)), Send::Sent);
        assert_eq!(a.point().take(sends_a.ticket), Some((1, Fired::Message(2))));
        // B's wait is over, so its other arm finds nothing for itself and leaves A's stale entry behind.
        assert_eq!(left.recv(Some(&receives_b)), Recv::Lost);
        assert_eq!(left.recv(None), Recv::Waits);
    }

    #[test]
    fn two_arms_that_send_on_one_channel_both_stay() {
        let ch = Ch::new(Some(0));
        let task = MockTask::new();
        let first = task.entry();
        let second = Entry { arm: 1, ..first.clone() };
        let receives = Entry { arm: 2, ..first.clone() };
        assert_eq!((ch.send(1, Some(&first)), ch.send(2, Some(&second))), (Send::Waits, Send::Waits));
        assert_eq!(ch.recv(Some(&receives)), Recv::Waits);
        ch.forget(&first);
        assert_eq!((ch.recv(None), ch.recv(None)), (Recv::Message(2), Recv::Waits));
    }

    #[test]
    fn a_message_that_was_not_taken_is_the_next_again() {
        let ch = Ch::new(Some(1));
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!((ch.recv(Some(&wait_a)), ch.send(1, None)), (Recv::Waits, Send::Sent));
        assert_eq!(ch.send(2, None), Send::Sent);
        // A goes away. Its message comes before the one in the queue, and makes no room for a sender.
        assert_eq!(a.point().close(wait_a.ticket), Some((0, Fired::Message(1))));
        ch.give_back(1);
        assert_eq!((ch.send(3, None), ch.recv(None)), (Send::Full(3), Recv::Message(1)));
        assert_eq!((ch.send(3, None), ch.recv(None), ch.recv(None)), (Send::Full(3), Recv::Message(2), Recv::Waits));
        // Somebody waits: they get it.
        assert_eq!(ch.recv(Some(&wait_b)), Recv::Waits);
        ch.give_back(4);
        assert_eq!((b.fired(&wait_b), ch.len()), (Some(Fired::Message(4)), 0));
    }

    #[test]
    fn a_rendezvous_that_was_not_taken_lets_no_second_sender_go() {
        let ch = Ch::new(Some(0));
        let sender = MockTask::new();
        let sends = sender.entry();
        assert_eq!(ch.send(2, Some(&sends)), Send::Waits);
        ch.give_back(1);
        assert_eq!((ch.recv(None), sender.fired(&sends)), (Recv::Message(1), None));
        assert_eq!((ch.recv(None), sender.fired(&sends)), (Recv::Message(2), Some(Fired::Sent)));
        // Closing leaves what came back to be received.
        ch.give_back(3);
        ch.close();
        assert_eq!((ch.recv(None), ch.recv(None)), (Recv::Message(3), Recv::Closed));
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
