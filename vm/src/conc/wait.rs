//! The one place where a suspended task waits for one of several things.
//!
//! A task waits in at most one operation at a time, so it has one `WaitPoint` for its whole life, and waiting allocates
//! nothing. `open` begins a wait and gives its ticket; whatever may end the wait keeps `(task, ticket, arm)` in its
//! list. The first to `fire` the ticket wins and leaves what it brings; the others find the ticket stale and pass on to
//! the next in their list. So a message is never given to a task that has already gone another way.
//!
//! When both sides wait for one of several things (two `select`s at a rendezvous), `meet` ends both waits or neither, so
//! no wait is ever over with nothing to show for it.
//!
//! Locks: a channel or cell is locked before a point is seized, two points are in the order of their addresses, and nothing is
//! locked while one is.
#![allow(unsafe_code)]

use super::sync::{AtomicU64, UnsafeCell, relax};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// A task that can wait: a handle on it and the way to its point.
pub trait Waiter<P>: Clone + PartialEq + Send {
    fn point(&self) -> &WaitPoint<P>;
    fn wake(&self);
    /// Wakes it and gives the handle up.
    fn wake_by(self);
    /// A number that is the task's alone while a handle on it exists.
    fn addr(&self) -> usize;
}

/// Something that takes memory while it waits to be received.
pub trait Weigh {
    /// Bytes, about.
    fn weight(&self) -> usize;
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Fired<P> {
    /// A message was handed over.
    Message(P),
    /// The message to send was taken.
    Sent,
    /// The channel was closed.
    Closed,
    /// A result is there, or a lock was handed over: look at the thing itself.
    Ready,
}

impl<P> Fired<P> {
    /// The message that could not be handed over, back from who was to get it.
    pub(super) fn into_message(self) -> P {
        match self {
            Fired::Message(message) => message,
            _ => unreachable!("what could not be handed over comes back as it was"),
        }
    }
}

/// Where a task waits: a word that says how its last wait stands, and the message that ended it, if one did.
///
/// A wait goes from `OPEN` to `OVER` by the task itself, or by whoever ends it through `BUSY`, while that one writes what it
/// brings, to one of the phases that say what that is. The task alone takes it from there.
pub struct WaitPoint<P> {
    word: AtomicU64,
    message: UnsafeCell<MaybeUninit<P>>,
}

// SAFETY: `message` is reached by the thread that moved the word to `BUSY`, until it moves it on, and by the task's own turns
// while the word is `MESSAGE`, which only they end; and what lies there is `Send`.
unsafe impl<P: Send> Sync for WaitPoint<P> {}
// SAFETY: it owns what lies there.
unsafe impl<P: Send> Send for WaitPoint<P> {}

const OVER: u64 = 0;
const OPEN: u64 = 1;
const BUSY: u64 = 2;
const SENT: u64 = 3;
const CLOSED: u64 = 4;
const READY: u64 = 5;
const MESSAGE: u64 = 6;
const PHASE_BITS: u32 = 3;
const ARM_BITS: u32 = 25;

/// A wait has no more arms.
pub const MAX_ARMS: usize = 1 << ARM_BITS;

/// A number of a wait in the word of its point. It comes again after 2^36 waits; whoever still kept an entry of the old one then
/// would end the new.
const TICKET_BITS: u32 = 64 - ARM_BITS - PHASE_BITS;

fn word(ticket: u64, arm: u32, phase: u64) -> u64 {
    debug_assert!((arm as usize) < MAX_ARMS);
    ticket << (ARM_BITS + PHASE_BITS) | u64::from(arm) << PHASE_BITS | phase
}

fn ticket_of(word: u64) -> u64 {
    word >> (ARM_BITS + PHASE_BITS)
}

fn arm_of(word: u64) -> u32 {
    (word >> PHASE_BITS) as u32 & (MAX_ARMS as u32 - 1)
}

fn phase_of(word: u64) -> u64 {
    word & ((1 << PHASE_BITS) - 1)
}

/// An entry in the list of something that can end a wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<W> {
    pub task: W,
    pub ticket: u64,
    /// Which of the things waited for this is.
    pub arm: u32,
}

impl<W> Entry<W> {
    /// Ends the wait with `what` and wakes the task. Gives `what` back when the wait was over already.
    pub fn fire<P>(self, what: Fired<P>) -> Result<(), Fired<P>>
    where
        W: Waiter<P>,
    {
        self.end(what)?;
        self.task.wake_by();
        Ok(())
    }

    /// Ends the wait with `what`; the caller wakes the task, when it holds no lock.
    pub fn end<P>(&self, what: Fired<P>) -> Result<(), Fired<P>>
    where
        W: Waiter<P>,
    {
        self.task.point().fire(self.ticket, self.arm, what)
    }

    /// As `end`, with a message.
    #[inline]
    pub fn hand<P>(&self, message: P) -> Result<(), P>
    where
        W: Waiter<P>,
    {
        let point = self.task.point();
        if !point.seize(self.ticket) {
            return Err(message);
        }
        point.bring_message(self.ticket, self.arm, message);
        Ok(())
    }
}

/// Why two waits did not end together. What was to be handed over comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss<P> {
    /// The caller's own wait has been ended by another arm.
    Own(Fired<P>),
    /// The other one has; its entry is stale for good.
    Other(Fired<P>),
}

/// Ends the wait `other` with `what` and, when there is one, the caller's own wait: both or neither. The two belong to
/// different tasks. The caller wakes the other when it holds no lock.
pub fn meet<P, W: Waiter<P>>(own: Option<&Entry<W>>, other: &Entry<W>, what: Fired<P>) -> Result<(), Miss<P>> {
    let Some(own) = own else { return other.end(what).map_err(Miss::Other) };
    let (mine, theirs) = (own.task.point(), other.task.point());
    assert!(!std::ptr::eq(mine, theirs), "a task does not meet itself");
    // In the order of their addresses, so that two that meet from both sides do not hold one each.
    let mine_first = std::ptr::from_ref(mine).addr() < std::ptr::from_ref(theirs).addr();
    if mine_first && !mine.seize(own.ticket) {
        return Err(Miss::Own(what));
    }
    if !theirs.seize(other.ticket) {
        if mine_first {
            mine.give_back(own.ticket);
        } else if !mine.is_open(own.ticket) {
            return Err(Miss::Own(what));
        }
        return Err(Miss::Other(what));
    }
    if !mine_first && !mine.seize(own.ticket) {
        theirs.give_back(other.ticket);
        return Err(Miss::Own(what));
    }
    mine.word.store(word(own.ticket, 0, OVER), Release);
    theirs.bring(other.ticket, other.arm, what);
    Ok(())
}

impl<P> Default for WaitPoint<P> {
    fn default() -> Self {
        Self { word: AtomicU64::new(word(0, 0, OVER)), message: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

impl<P> fmt::Debug for WaitPoint<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitPoint").field(&self.word).finish()
    }
}

impl<P> Drop for WaitPoint<P> {
    fn drop(&mut self) {
        drop(self.take_last());
    }
}

/// By anybody.
impl<P> WaitPoint<P> {
    /// Whether the wait `ticket` goes on, or is just being ended.
    pub fn is_open(&self, ticket: u64) -> bool {
        let now = self.word.load(Acquire);
        now == word(ticket, 0, OPEN) || now == word(ticket, 0, BUSY)
    }

    fn fire(&self, ticket: u64, arm: u32, what: Fired<P>) -> Result<(), Fired<P>> {
        if !self.seize(ticket) {
            return Err(what);
        }
        self.bring(ticket, arm, what);
        Ok(())
    }

    /// From `OPEN` to `BUSY`. `false`: the wait is over.
    fn seize(&self, ticket: u64) -> bool {
        loop {
            match self.word.compare_exchange(word(ticket, 0, OPEN), word(ticket, 0, BUSY), AcqRel, Acquire) {
                Ok(_) => return true,
                // Who has it may give it back.
                Err(now) if now == word(ticket, 0, BUSY) => relax(),
                Err(_) => return false,
            }
        }
    }

    /// From `BUSY` back to `OPEN`, by who seized it.
    fn give_back(&self, ticket: u64) {
        self.word.store(word(ticket, 0, OPEN), Release);
    }

    /// From `BUSY` to what is brought, by who seized it.
    fn bring(&self, ticket: u64, arm: u32, what: Fired<P>) {
        let phase = match what {
            Fired::Message(message) => return self.bring_message(ticket, arm, message),
            Fired::Sent => SENT,
            Fired::Closed => CLOSED,
            Fired::Ready => READY,
        };
        self.word.store(word(ticket, arm, phase), Release);
    }

    /// As `bring`, a message.
    #[inline]
    fn bring_message(&self, ticket: u64, arm: u32, message: P) {
        // SAFETY: the word is `BUSY`, by this thread, and no message lies there then.
        self.message.with_mut(|place| unsafe { (*place).write(message) });
        self.word.store(word(ticket, arm, MESSAGE), Release);
    }
}

/// By the task whose point it is, in its turns.
impl<P> WaitPoint<P> {
    /// Begins a wait. Tickets of earlier waits are stale from now on.
    #[inline]
    pub fn open(&self) -> u64 {
        let last = self.word.load(Relaxed);
        if phase_of(last) != OVER {
            drop(self.close(ticket_of(last)));
        }
        let ticket = (ticket_of(last) + 1) & (u64::MAX >> (64 - TICKET_BITS));
        // Nobody else changes a word that is `OVER`.
        self.word.store(word(ticket, 0, OPEN), Release);
        ticket
    }

    /// The task found arm `arm` ready while it was still looking. `false`: another arm has fired in between.
    pub fn claim(&self, ticket: u64) -> bool {
        let is_seized = self.seize(ticket);
        if is_seized {
            self.word.store(word(ticket, 0, OVER), Release);
        }
        is_seized
    }

    /// What ended the wait `ticket`, if anything did; the wait goes on otherwise.
    #[inline]
    pub fn take(&self, ticket: u64) -> Option<(u32, Fired<P>)> {
        let now = self.word.load(Acquire);
        if ticket_of(now) != ticket {
            return None;
        }
        let fired = match phase_of(now) {
            // SAFETY: the word is `MESSAGE` until this turn of the task moves it on, which it does right below.
            MESSAGE => Fired::Message(self.message.with_mut(|place| unsafe { (*place).assume_init_read() })),
            SENT => Fired::Sent,
            CLOSED => Fired::Closed,
            READY => Fired::Ready,
            _ => return None,
        };
        self.word.store(word(ticket, 0, OVER), Release);
        Some((arm_of(now), fired))
    }

    /// Ends the wait `ticket` for good and gives what had ended it before, if anything.
    pub fn close(&self, ticket: u64) -> Option<(u32, Fired<P>)> {
        if self.claim(ticket) { None } else { self.take(ticket) }
    }

    /// As `take`, of the wait that was begun last, for a task that is still in it.
    #[inline]
    pub fn take_last(&self) -> Option<(u32, Fired<P>)> {
        self.take(ticket_of(self.word.load(Relaxed)))
    }

    /// The message that has ended the wait that was begun last, if one has; anything else is left.
    #[inline]
    pub fn take_message(&self) -> Option<P> {
        let now = self.word.load(Acquire);
        if phase_of(now) != MESSAGE {
            return None;
        }
        // SAFETY: as in `take`.
        let message = self.message.with_mut(|place| unsafe { (*place).assume_init_read() });
        self.word.store(word(ticket_of(now), 0, OVER), Release);
        Some(message)
    }

    /// As `close`, of the wait that was begun last, with its ticket.
    pub fn close_last(&self) -> (u64, Option<(u32, Fired<P>)>) {
        let ticket = ticket_of(self.word.load(Relaxed));
        (ticket, self.close(ticket))
    }
}

/// Tasks for the tests of this folder: a number, a point, a count of wakes.
#[cfg(test)]
pub mod mock {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    impl Weigh for u32 {
        fn weight(&self) -> usize {
            4
        }
    }

    #[derive(Clone)]
    pub struct MockTask(Arc<(WaitPoint<u32>, AtomicUsize)>);

    impl MockTask {
        pub fn new() -> Self {
            Self(Arc::new((WaitPoint::default(), AtomicUsize::new(0))))
        }

        pub fn n_wakes(&self) -> usize {
            self.0.1.load(SeqCst)
        }

        /// Begins a wait with one arm.
        pub fn entry(&self) -> Entry<MockTask> {
            Entry { task: self.clone(), ticket: self.point().open(), arm: 0 }
        }

        pub fn fired(&self, entry: &Entry<MockTask>) -> Option<Fired<u32>> {
            self.point().take(entry.ticket).map(|(_, fired)| fired)
        }
    }

    impl PartialEq for MockTask {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    impl Waiter<u32> for MockTask {
        fn point(&self) -> &WaitPoint<u32> {
            &self.0.0
        }

        fn wake(&self) {
            self.0.1.fetch_add(1, SeqCst);
        }

        fn wake_by(self) {
            self.wake();
        }

        fn addr(&self) -> usize {
            Arc::as_ptr(&self.0).addr()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mock::MockTask;
    use super::*;

    #[test]
    fn the_first_to_fire_wins_and_the_others_keep_what_they_bring() {
        let task = MockTask::new();
        let entry = task.entry();
        assert_eq!(entry.clone().fire(Fired::Message(1)), Ok(()));
        assert_eq!(entry.clone().fire(Fired::Message(2)), Err(Fired::Message(2)));
        assert_eq!(task.fired(&entry), Some(Fired::Message(1)));
        assert_eq!(task.n_wakes(), 1);
    }

    #[test]
    fn two_waits_end_together_or_not_at_all() {
        let (a, b) = (MockTask::new(), MockTask::new());
        let (wait_a, wait_b) = (a.entry(), b.entry());
        assert_eq!(meet(Some(&wait_a), &wait_b, Fired::Message(1)), Ok(()));
        assert_eq!((a.fired(&wait_a), b.fired(&wait_b)), (None, Some(Fired::Message(1))));
        assert!(!a.point().claim(wait_a.ticket));
        // The other is gone: the own wait goes on.
        let (wait_a, other) = (a.entry(), wait_b);
        assert_eq!(meet(Some(&wait_a), &other, Fired::Message(2)), Err(Miss::Other(Fired::Message(2))));
        // The own wait is over: the other goes on.
        assert!(a.point().claim(wait_a.ticket));
        let wait_b = b.entry();
        assert_eq!(meet(Some(&wait_a), &wait_b, Fired::Message(3)), Err(Miss::Own(Fired::Message(3))));
        assert!(b.point().claim(wait_b.ticket));
    }

    #[test]
    fn the_arm_that_ended_a_wait_is_told_whatever_its_number() {
        let task = MockTask::new();
        for arm in [0, 1, 1000, MAX_ARMS as u32 - 1] {
            let ticket = task.point().open();
            let entry = Entry { task: task.clone(), ticket, arm };
            assert_eq!(entry.end(Fired::Message(arm)), Ok(()));
            assert_eq!(task.point().take(ticket), Some((arm, Fired::Message(arm))));
        }
    }

    #[test]
    fn what_nobody_took_is_dropped_with_the_point() {
        let value = std::sync::Arc::new(());
        let point: WaitPoint<std::sync::Arc<()>> = WaitPoint::default();
        assert_eq!(point.fire(point.open(), 0, Fired::Message(value.clone())), Ok(()));
        assert_eq!(std::sync::Arc::strong_count(&value), 2);
        drop(point);
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }

    #[test]
    fn an_old_ticket_ends_no_new_wait() {
        let task = MockTask::new();
        let old = task.entry();
        let new = task.entry();
        assert_eq!(old.clone().fire(Fired::Sent), Err(Fired::Sent));
        assert_eq!(task.fired(&new), None);
        assert_eq!(task.point().close(new.ticket), None);
        assert_eq!(new.clone().fire(Fired::Sent), Err(Fired::Sent));
    }
}
