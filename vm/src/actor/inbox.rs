//! The mailbox: many senders, one actor, bounded.
//!
//! What happens at the bound is the actor's choice: senders wait (and are served in order as room comes), are refused,
//! or displace the oldest message. Every operation either succeeds at once or leaves an entry, under one lock. The actor
//! looks at the whole queue before it takes, because a batching handler decides by what waits.
//!
//! Senders that wait are let in together, when half of the queue is free, and woken after the lock is: one by one each
//! would be woken for a single message and wait again, and every message would cost a turn of its sender. Until then
//! further senders wait behind them, so nobody overtakes. At the end of its turn the actor lets in all that have room
//! (`let_in`): a handler may wait for something that such a sender does next.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
pub struct Inbox<M, W, P> {
    state: Mutex<State<M, W>>,
    /// Senders may wait. Written under the lock; read without it by the actor alone, whose last `take` came after the
    /// wait of every sender that there has been room for since.
    crowded: AtomicBool,
    marker: PhantomData<fn(P)>,
}

#[derive(Debug)]
struct State<M, W> {
    queue: VecDeque<M>,
    /// Behind a pointer: most mailboxes are never full.
    senders: Option<Box<VecDeque<(Entry<W>, M)>>>,
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
    Message(M),
    /// More than one.
    Messages(Vec<M>),
    Nothing,
    Later(Instant),
    /// It was told to stop and nothing is left.
    Ended,
}

impl<M, W: Waiter<P>, P> Inbox<M, W, P> {
    /// `capacity` is at least 1.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        let state =
            State { queue: VecDeque::new(), senders: None, capacity: capacity.max(1), overflow, phase: Phase::Open };
        Self { state: Mutex::new(state), crowded: AtomicBool::new(false), marker: PhantomData }
    }

    /// Puts a message in, or leaves it with the entry that `entry` makes, to wait for room.
    pub fn push(&self, message: M, entry: impl FnOnce() -> Entry<W>) -> Push<M> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Closed(message);
        }
        // Not past those that wait, who are let in together.
        if state.queue.len() < state.capacity && state.senders.is_none() {
            if state.queue.capacity() == 0 {
                // One place, not four: most actors that are asked never have two messages.
                state.queue.reserve_exact(1);
            }
            state.queue.push_back(message);
            return Push::Queued;
        }
        match state.overflow {
            Overflow::Wait => {
                state.senders.get_or_insert_default().push_back((entry(), message));
                self.crowded.store(true, Relaxed);
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
    pub fn take(&self, choose: impl Fn(&VecDeque<M>, bool) -> Choice) -> Taken<M> {
        let mut let_in = SmallVec::new();
        let taken = self.state.lock().take(choose, &mut let_in);
        let_in.into_iter().for_each(Waiter::wake_by);
        taken
    }

    /// Lets senders in that wait although there is room: the actor goes about something else than taking.
    pub fn let_in(&self) {
        if !self.crowded.load(Relaxed) {
            return;
        }
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        state.refill(&mut let_in);
        self.crowded.store(state.senders.is_some(), Relaxed);
        drop(state);
        let_in.into_iter().for_each(Waiter::wake_by);
    }

    /// No more messages; those queued or waiting for room are still worked on. `false`: it was so already.
    pub fn stop(&self) -> bool {
        let mut state = self.state.lock();
        let open = state.phase == Phase::Open;
        if open {
            state.phase = Phase::Stopping;
        }
        open
    }

    /// The end: gives back what was queued, and what senders waited with.
    pub fn close(&self) -> Vec<M> {
        let mut state = self.state.lock();
        state.phase = Phase::Dead;
        let mut left: Vec<M> = std::mem::take(&mut state.queue).into();
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        for (entry, message) in senders.into_iter().flat_map(|senders| *senders) {
            // Its message comes back with the others; a sender that has gone another way wanted it dropped.
            if entry.fire(Fired::Closed).is_ok() {
                left.push(message);
            }
        }
        left
    }

    /// A sender's wait is over without this mailbox having ended it: forgets its message.
    pub fn forget(&self, task: &W) {
        let mut state = self.state.lock();
        let Some(senders) = state.senders.take() else { return };
        type Senders<M, W> = VecDeque<(Entry<W>, M)>;
        let (gone, kept): (Senders<M, W>, Senders<M, W>) =
            senders.into_iter().partition(|(entry, _)| entry.task == *task);
        state.senders = (!kept.is_empty()).then(|| Box::new(kept));
        // Messages are dropped outside the lock: a drop may be long.
        drop(state);
        drop(gone);
    }

    pub fn is_dead(&self) -> bool {
        self.state.lock().phase == Phase::Dead
    }

    pub fn is_empty(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Messages that wait, those without room included.
    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.queue.len() + state.senders.as_ref().map_or(0, |senders| senders.len())
    }
}

impl<M, W> State<M, W> {
    fn take<P>(&mut self, choose: impl Fn(&VecDeque<M>, bool) -> Choice, let_in: &mut SmallVec<[W; 8]>) -> Taken<M>
    where
        W: Waiter<P>,
    {
        if self.queue.is_empty() {
            // The actor is about to wait: what it does not need now is for others.
            self.queue = VecDeque::new();
            return if self.phase == Phase::Open { Taken::Nothing } else { Taken::Ended };
        }
        let stopping = self.phase != Phase::Open;
        let mut choice = choose(&self.queue, stopping);
        if choice.n == 0 && self.refill(let_in) {
            // A batch wants more, and more was waiting.
            choice = choose(&self.queue, stopping);
        }
        if choice.n == 0 {
            return choice.later.map_or(Taken::Nothing, Taken::Later);
        }
        let n = choice.n.min(self.queue.len());
        let taken = match self.queue.pop_front() {
            Some(message) if n == 1 => Taken::Message(message),
            first => Taken::Messages(first.into_iter().chain(self.queue.drain(..n - 1)).collect()),
        };
        if self.queue.len() <= self.capacity / 2 {
            self.refill(let_in);
        }
        taken
    }

    /// Lets waiting senders in, as many as have room; the caller wakes them when the lock is free.
    fn refill<P>(&mut self, let_in: &mut SmallVec<[W; 8]>) -> bool
    where
        W: Waiter<P>,
    {
        let before = self.queue.len();
        while self.queue.len() < self.capacity {
            let Some(senders) = &mut self.senders else { break };
            let Some((entry, message)) = senders.pop_front() else {
                self.senders = None;
                break;
            };
            // One that has gone another way takes its message along.
            if entry.end(Fired::Sent).is_ok() {
                self.queue.push_back(message);
                let_in.push(entry.task);
            }
        }
        self.queue.len() > before
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
        match of {
            [message] => Taken::Message(*message),
            messages => Taken::Messages(messages.into()),
        }
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
    fn senders_are_let_in_together_and_in_order() {
        let inbox = Box3::new(4, Overflow::Wait);
        for message in 1..=4 {
            assert_eq!(inbox.push(message, no_entry), Push::Queued);
        }
        let tasks = [MockTask::new(), MockTask::new(), MockTask::new()];
        let waits = [tasks[0].entry(), tasks[1].entry(), tasks[2].entry()];
        assert_eq!(inbox.push(5, || waits[0].clone()), Push::Waits);
        assert_eq!(take(&inbox, 1), messages(&[1]));
        // There is room, but somebody waits for it.
        assert_eq!(inbox.push(6, || waits[1].clone()), Push::Waits);
        assert_eq!((tasks[0].n_wakes(), inbox.len()), (0, 5));
        assert_eq!(take(&inbox, 1), messages(&[2]));
        assert_eq!((tasks[0].n_wakes(), tasks[1].n_wakes()), (1, 1));
        assert_eq!(inbox.push(7, || waits[2].clone()), Push::Waits);
        assert_eq!((take(&inbox, 2), take(&inbox, 9)), (messages(&[3, 4]), messages(&[5, 6, 7])));
    }

    #[test]
    fn at_the_end_of_a_turn_whoever_has_room_is_let_in() {
        let inbox = Box3::new(4, Overflow::Wait);
        for message in 1..=4 {
            assert_eq!(inbox.push(message, no_entry), Push::Queued);
        }
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!(inbox.push(5, || wait.clone()), Push::Waits);
        inbox.let_in();
        assert_eq!((take(&inbox, 1), task.n_wakes()), (messages(&[1]), 0));
        inbox.let_in();
        assert_eq!((task.n_wakes(), take(&inbox, 9)), (1, messages(&[2, 3, 4, 5])));
    }

    #[test]
    fn a_batch_that_wants_more_gets_what_waits() {
        let inbox = Box3::new(2, Overflow::Wait);
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!(inbox.push(3, || wait.clone()), Push::Waits);
        let pairs =
            |queue: &VecDeque<u32>, _: bool| Choice { n: if queue.len() < 2 { 0 } else { queue.len() }, later: None };
        assert_eq!(take(&inbox, 1), messages(&[1]));
        assert_eq!(inbox.take(pairs), messages(&[2, 3]));
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
