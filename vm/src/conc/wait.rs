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
//! Locks: a channel or cell is locked before a point, two points in the order of their addresses, and nothing else is
//! locked under a point.

use super::sync::Mutex;

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

#[derive(Debug)]
pub struct WaitPoint<P>(Mutex<State<P>>);

#[derive(Debug)]
struct State<P> {
    ticket: u64,
    phase: Phase<P>,
}

/// How the last wait stands, and which arm has ended it. What is fired is spread over the variants, so that the arm lies in
/// the word of the tag: every task has a point.
#[derive(Debug)]
enum Phase<P> {
    Open,
    Message(u32, P),
    Sent(u32),
    Closed(u32),
    Ready(u32),
    /// What ended it was taken, or it was closed.
    Over,
}

impl<P> Phase<P> {
    fn fired(arm: u32, what: Fired<P>) -> Self {
        match what {
            Fired::Message(message) => Phase::Message(arm, message),
            Fired::Sent => Phase::Sent(arm),
            Fired::Closed => Phase::Closed(arm),
            Fired::Ready => Phase::Ready(arm),
        }
    }
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
    let (mut mine, mut theirs) = if std::ptr::from_ref(mine).addr() < std::ptr::from_ref(theirs).addr() {
        let mine = mine.0.lock();
        (mine, theirs.0.lock())
    } else {
        let theirs = theirs.0.lock();
        (mine.0.lock(), theirs)
    };
    if !mine.is_open(own.ticket) {
        return Err(Miss::Own(what));
    }
    if !theirs.is_open(other.ticket) {
        return Err(Miss::Other(what));
    }
    mine.phase = Phase::Over;
    theirs.phase = Phase::fired(other.arm, what);
    Ok(())
}

impl<P> State<P> {
    fn is_open(&self, ticket: u64) -> bool {
        self.ticket == ticket && matches!(self.phase, Phase::Open)
    }

    /// What has ended the wait, unless it is open, which it stays.
    fn take_fired(&mut self) -> Option<(u32, Fired<P>)> {
        if matches!(self.phase, Phase::Open) {
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Message(arm, message) => Some((arm, Fired::Message(message))),
            Phase::Sent(arm) => Some((arm, Fired::Sent)),
            Phase::Closed(arm) => Some((arm, Fired::Closed)),
            Phase::Ready(arm) => Some((arm, Fired::Ready)),
            Phase::Open | Phase::Over => None,
        }
    }

    fn close(&mut self) -> Option<(u32, Fired<P>)> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Open => None,
            phase => {
                self.phase = phase;
                self.take_fired()
            }
        }
    }
}

impl<P> Default for WaitPoint<P> {
    fn default() -> Self {
        Self(Mutex::new(State { ticket: 0, phase: Phase::Over }))
    }
}

impl<P> WaitPoint<P> {
    /// Begins a wait. Tickets of earlier waits are stale from now on.
    pub fn open(&self) -> u64 {
        let mut state = self.0.lock();
        state.ticket += 1;
        state.phase = Phase::Open;
        state.ticket
    }

    /// Whether the wait `ticket` goes on.
    pub fn is_open(&self, ticket: u64) -> bool {
        self.0.lock().is_open(ticket)
    }

    fn fire(&self, ticket: u64, arm: u32, what: Fired<P>) -> Result<(), Fired<P>> {
        let mut state = self.0.lock();
        if !state.is_open(ticket) {
            return Err(what);
        }
        state.phase = Phase::fired(arm, what);
        Ok(())
    }

    /// The task itself found arm `arm` ready while it was still looking. `false`: another arm has fired in between.
    pub fn claim(&self, ticket: u64) -> bool {
        let mut state = self.0.lock();
        let is_open = state.is_open(ticket);
        if is_open {
            state.phase = Phase::Over;
        }
        is_open
    }

    /// What ended the wait `ticket`, if anything did; the wait goes on otherwise.
    pub fn take(&self, ticket: u64) -> Option<(u32, Fired<P>)> {
        let mut state = self.0.lock();
        if state.ticket == ticket { state.take_fired() } else { None }
    }

    /// Ends the wait `ticket` for good and gives what had ended it before, if anything.
    pub fn close(&self, ticket: u64) -> Option<(u32, Fired<P>)> {
        let mut state = self.0.lock();
        if state.ticket == ticket { state.close() } else { None }
    }

    /// As `take`, of the wait that was begun last, for a task that is still in it.
    pub fn take_last(&self) -> Option<(u32, Fired<P>)> {
        self.0.lock().take_fired()
    }

    /// As `close`, of the wait that was begun last, with its ticket.
    pub fn close_last(&self) -> (u64, Option<(u32, Fired<P>)>) {
        let mut state = self.0.lock();
        (state.ticket, state.close())
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
