//! The mailbox: many senders, one actor, bounded.
//!
//! What happens at the bound is the actor's choice: senders wait (and are served in order as room comes), are refused,
//! or displace the oldest message. Every operation either succeeds at once or leaves an entry, under one lock. The actor
//! looks at the whole queue before it takes, because a batching handler decides by what waits.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Instant;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::conc::wait::{Entry, Fired, Waiter};

/// What a full mailbox does with a further message. In the order of the library's `Overflow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    Wait,
    Reject,
    DropOldest,
}

impl Overflow {
    pub const ALL: [Overflow; 3] = [Overflow::Wait, Overflow::Reject, Overflow::DropOldest];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes nothing more; what is queued is still worked on.
    Stopping,
    Dead,
}

/// `M` is the message, `W` a task that waits for room, `P` what its waits bring elsewhere.
#[derive(Debug)]
pub struct Inbox<M, W, P>(Mutex<State<M, W>>, PhantomData<fn(P)>);

#[derive(Debug)]
struct State<M, W> {
    queue: VecDeque<M>,
    senders: VecDeque<(Entry<W>, M)>,
    capacity: usize,
    overflow: Overflow,
    phase: Phase,
}

/// What became of a message.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Push<M> {
    /// In the queue: wake the actor.
    Queued,
    /// In the queue instead of the oldest, which is here: wake the actor.
    Displaced(M),
    /// The entry waits; it is fired with `Sent` or `Closed`.
    Waits,
    /// No room.
    Refused(M),
    /// The actor takes no more messages.
    Closed(M),
}

/// How many messages from the front the actor wants now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub n: usize,
    /// With `n == 0`: look again then, or when another message comes.
    pub later: Option<Instant>,
}

/// What the actor found in its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<M> {
    Messages(SmallVec<[M; 1]>),
    Nothing,
    Later(Instant),
    /// It was told to stop and nothing is left.
    Ended,
}

impl<M, W: Waiter<P>, P> Inbox<M, W, P> {
    /// `capacity` is at least 1.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        let state = State {
            queue: VecDeque::new(),
            senders: VecDeque::new(),
            capacity: capacity.max(1),
            overflow,
            phase: Phase::Open,
        };
        Self(Mutex::new(state), PhantomData)
    }

    /// Puts a message in, or leaves it with the entry that `entry` makes, to wait for room.
    pub fn push(&self, message: M, entry: impl FnOnce() -> Entry<W>) -> Push<M> {
        let mut state = self.0.lock();
        if state.phase != Phase::Open {
            return Push::Closed(message);
        }
        if state.queue.len() < state.capacity {
            state.queue.push_back(message);
            return Push::Queued;
        }
        match state.overflow {
            Overflow::Wait => {
                state.senders.push_back((entry(), message));
                Push::Waits
            }
            Overflow::Reject => Push::Refused(message),
            Overflow::DropOldest => {
                let oldest = state.queue.pop_front();
                state.queue.push_back(message);
                oldest.map_or(Push::Queued, Push::Displaced)
            }
        }
    }

    /// Takes as many messages as `choose` says after a look at the queue, which is not empty then. Waiting senders move up.
    ///
    /// `choose` is also told whether the actor is stopping: nothing more will come.
    pub fn take(&self, choose: impl FnOnce(&VecDeque<M>, bool) -> Choice) -> Taken<M> {
        let mut state = self.0.lock();
        if state.queue.is_empty() {
            return if state.phase == Phase::Open { Taken::Nothing } else { Taken::Ended };
        }
        let stopping = state.phase != Phase::Open;
        let choice = choose(&state.queue, stopping);
        if choice.n == 0 {
            return choice.later.map_or(Taken::Nothing, Taken::Later);
        }
        let n = choice.n.min(state.queue.len());
        let messages = state.queue.drain(..n).collect();
        state.refill();
        Taken::Messages(messages)
    }

    /// No more messages; those queued or waiting for room are still worked on. `false`: it was so already.
    pub fn stop(&self) -> bool {
        let mut state = self.0.lock();
        let open = state.phase == Phase::Open;
        if open {
            state.phase = Phase::Stopping;
        }
        open
    }

    /// The end: gives back what was queued, and what senders waited with.
    pub fn close(&self) -> Vec<M> {
        let mut state = self.0.lock();
        state.phase = Phase::Dead;
        let mut left: Vec<M> = std::mem::take(&mut state.queue).into();
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        for (entry, message) in senders {
            // Its message comes back with the others; a sender that has gone another way wanted it dropped.
            if entry.fire(Fired::Closed).is_ok() {
                left.push(message);
            }
        }
        left
    }

    /// A sender's wait is over without this mailbox having ended it: forgets its message.
    pub fn forget(&self, task: &W) {
        let mut state = self.0.lock();
        let (gone, kept) = std::mem::take(&mut state.senders).into_iter().partition(|(entry, _)| entry.task == *task);
        state.senders = kept;
        drop(state);
        // Messages are dropped outside the lock: a drop may be long.
        let gone: VecDeque<(Entry<W>, M)> = gone;
        drop(gone);
    }

    pub fn is_dead(&self) -> bool {
        self.0.lock().phase == Phase::Dead
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().queue.is_empty()
    }

    /// Messages that wait, those without room included.
    pub fn len(&self) -> usize {
        let state = self.0.lock();
        state.queue.len() + state.senders.len()
    }
}

impl<M, W> State<M, W> {
    fn refill<P>(&mut self)
    where
        W: Waiter<P>,
    {
        while self.queue.len() < self.capacity {
            let Some((entry, message)) = self.senders.pop_front() else { return };
            // One that has gone another way takes its message along.
            if entry.fire(Fired::Sent).is_ok() {
                self.queue.push_back(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conc::wait::mock::MockTask;

    type Box3 = Inbox<u32, MockTask, u32>;

    fn take(inbox: &Box3, n: usize) -> Taken<u32> {
        inbox.take(|_, _| Choice { n, later: None })
    }

    fn messages(of: &[u32]) -> Taken<u32> {
        Taken::Messages(of.into())
    }

    fn no_entry() -> Entry<MockTask> {
        panic!("nobody waits here")
    }

    #[test]
    fn senders_wait_in_order_for_room() {
        let inbox = Box3::new(1, Overflow::Wait);
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!(inbox.push(1, no_entry), Push::Queued);
        assert_eq!(inbox.push(2, || wait_a.clone()), Push::Waits);
        assert_eq!(inbox.push(3, || wait_b.clone()), Push::Waits);
        assert_eq!((take(&inbox, 5), a.fired(&wait_a), b.fired(&wait_b)), (messages(&[1]), Some(Fired::Sent), None));
        assert_eq!((take(&inbox, 5), b.fired(&wait_b)), (messages(&[2]), Some(Fired::Sent)));
        assert_eq!((take(&inbox, 5), take(&inbox, 5)), (messages(&[3]), Taken::Nothing));
    }

    #[test]
    fn a_full_mailbox_refuses_or_displaces() {
        let inbox = Box3::new(2, Overflow::Reject);
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!(inbox.push(3, no_entry), Push::Refused(3));
        let inbox = Box3::new(2, Overflow::DropOldest);
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!((inbox.push(3, no_entry), take(&inbox, 2)), (Push::Displaced(1), messages(&[2, 3])));
    }

    #[test]
    fn stopping_works_off_what_is_there_and_closing_gives_it_back() {
        let inbox = Box3::new(1, Overflow::Wait);
        let a = MockTask::new();
        let wait = a.entry();
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, || wait.clone())), (Push::Queued, Push::Waits));
        assert!(inbox.stop() && !inbox.stop());
        assert_eq!(inbox.push(3, no_entry), Push::Closed(3));
        assert_eq!((take(&inbox, 1), take(&inbox, 1), take(&inbox, 1)), (messages(&[1]), messages(&[2]), Taken::Ended));

        let inbox = Box3::new(1, Overflow::Wait);
        let wait = a.entry();
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, || wait.clone())), (Push::Queued, Push::Waits));
        assert_eq!((inbox.close(), a.fired(&wait)), (vec![1, 2], Some(Fired::Closed)));
        assert!(inbox.is_dead());
    }

    #[test]
    fn a_sender_that_was_cancelled_takes_its_message_along() {
        let inbox = Box3::new(1, Overflow::Wait);
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!(inbox.push(1, no_entry), Push::Queued);
        assert_eq!((inbox.push(2, || wait_a), inbox.push(3, || wait_b)), (Push::Waits, Push::Waits));
        inbox.forget(&a);
        assert_eq!(
            (take(&inbox, 1), take(&inbox, 1), take(&inbox, 1)),
            (messages(&[1]), messages(&[3]), Taken::Nothing)
        );
    }

    #[test]
    fn a_handler_that_gathers_is_told_when_to_look_again() {
        let inbox = Box3::new(4, Overflow::Wait);
        let at = Instant::now();
        assert_eq!(inbox.push(1, no_entry), Push::Queued);
        assert_eq!(inbox.take(|_, _| Choice { n: 0, later: Some(at) }), Taken::Later(at));
        inbox.stop();
        assert_eq!(inbox.take(|_, stopping| Choice { n: usize::from(stopping), later: None }), messages(&[1]));
    }
}
