//! The mailbox: many senders, one actor, bounded.
//!
//! What happens at the bound is the actor's choice: senders wait (and are served in order as room comes), are refused,
//! or displace the oldest message. Every operation either succeeds at once or leaves an entry, under one lock.
//!
//! The actor takes out everything that waits with one visit (`next`) and works it off without the lock: those messages are
//! `Ready`, still count as waiting, and a sender wakes the actor only when it has found nothing. An actor that batches looks
//! at the whole queue before it takes (`take`), because it decides by what waits.
//!
//! Senders that wait are let in a few at a time, when half of the mailbox is free, and may then go on past those that still
//! wait, for as many messages as there is room (`credit`): if all of them were woken, each would find room for one message
//! and wait again, and every message would cost a turn of its sender. Where a handler waits all that have room are let in
//! (`let_in`): it may wait for something that such a sender does next.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::time::Instant;

use smallvec::SmallVec;

use crate::conc::sync::{Mutex, MutexGuard};
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

/// For each sender that is let in so much room is left: it goes on sending, and one that waits again after a single message
/// costs more than the message. A guess; 32 and 128 are as fast.
const BURST: usize = 64;

/// While more are ready, so many are worked off until senders hear of the room: telling them costs a cache line that they use,
/// too.
const COARSE: u32 = 16;

/// An actor that was behind by fewer messages than this gives the memory of its mailbox back when it waits. A guess: mailboxes
/// of actors that nobody hurries are as good as free, and those of busy ones are not allocated again and again.
const KEPT: u32 = 32;

/// `M` is the message, `W` a task that waits for room, `P` what its waits bring elsewhere.
#[derive(Debug)]
pub struct Inbox<M, W, P> {
    state: Mutex<State<M, W>>,
    /// Messages in the actor's `Ready`. Written by the actor alone: as it works them off there is room for others.
    n_ready: AtomicU32,
    overflow: Overflow,
    /// Senders may wait. Written under the lock, read without it by the actor alone (`made_room`).
    crowded: AtomicBool,
    marker: PhantomData<fn(P)>,
}

#[derive(Debug)]
struct State<M, W> {
    queue: VecDeque<M>,
    /// Behind a pointer: most mailboxes are never full.
    senders: Option<Box<VecDeque<(Entry<W>, M)>>>,
    /// At most so many messages wait.
    capacity: u32,
    /// How many messages may still be sent past the senders that wait.
    credit: u32,
    /// Places that are set aside for what senders gather.
    n_set_aside: u32,
    phase: Phase,
    /// The actor has found nothing to do: the next message wakes it.
    is_awaited: bool,
    /// Senders that were let in have had a turn to use their credit.
    is_credit_old: bool,
}

/// Places that are set aside for one sender.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SetAside(u32);

impl SetAside {
    pub fn n(&self) -> u32 {
        self.0
    }
}

/// Messages that the actor has taken out together and not begun on.
#[derive(Debug)]
pub struct Ready<M> {
    queue: VecDeque<M>,
    /// When so many are left, it is time to see who waits for room.
    half: u32,
    /// The most that were taken out together since the actor last waited.
    peak: u32,
    /// Senders were told how many are left, but not by a fence.
    is_untold: bool,
}

impl<M> Default for Ready<M> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), half: 0, peak: 0, is_untold: false }
    }
}

impl<M> Ready<M> {
    fn len(&self) -> u32 {
        // They were in a mailbox, whose memory a program has not for more.
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next of them.
    #[inline]
    pub fn first(&self) -> Option<&M> {
        self.queue.front()
    }

    /// Nothing is in it, and it has no memory for anything.
    pub fn is_unused(&self) -> bool {
        self.queue.capacity() == 0
    }
}

/// What became of a message.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Push<M> {
    /// In the queue of an actor that waits for it: wake the actor.
    Wake,
    /// In the queue of an actor that will see it.
    Queued,
    /// In the queue instead of the oldest, which is here.
    Displaced(M),
    /// The entry waits; it is fired with `Sent` or `Closed`.
    Waits,
    /// No room.
    Refused(M),
    /// The actor takes no more messages.
    Closed(M),
}

/// Which messages the actor wants now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// So many from the front,
    pub n: usize,
    /// but for those at these places, in rising order, which stay for later and are not counted.
    pub but: Vec<usize>,
    /// With `n == 0`: look again then, or when another message comes.
    pub later: Option<Instant>,
}

/// What the actor found in its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<M> {
    Message(M),
    /// More than one.
    Messages(Vec<M>),
    /// The next message wakes the actor.
    Nothing,
    /// Nothing yet: those that were let in have their turn first, then look again.
    Soon,
    Later(Instant),
    /// It was told to stop and nothing is left.
    Ended,
}

impl<M, W: Waiter<P>, P> Inbox<M, W, P> {
    /// `capacity` is at least 1.
    pub fn new(capacity: usize, overflow: Overflow) -> Self {
        let state = State {
            queue: VecDeque::new(),
            senders: None,
            // A program has not the memory for more.
            capacity: u32::try_from(capacity.max(1)).unwrap_or(u32::MAX),
            credit: 0,
            n_set_aside: 0,
            phase: Phase::Open,
            is_awaited: false,
            is_credit_old: false,
        };
        Self {
            state: Mutex::new(state),
            n_ready: AtomicU32::new(0),
            overflow,
            crowded: AtomicBool::new(false),
            marker: PhantomData,
        }
    }

    /// Puts a message in, or leaves it with the entry that `entry` makes, to wait for room.
    #[inline]
    pub fn push(&self, message: M, entry: impl FnOnce() -> Entry<W>) -> Push<M> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Push::Closed(message);
        }
        let mut is_let_in = self.has_room(&state);
        if !is_let_in && self.overflow == Overflow::Wait {
            // Pairs with the fence in `made_room`: the actor sees that somebody waits, or this sees the room.
            self.crowded.store(true, Relaxed);
            fence(SeqCst);
            is_let_in = self.has_room(&state);
        }
        if is_let_in {
            state.credit = state.credit.saturating_sub(1);
            if state.queue.capacity() == 0 {
                // One place, not four: most actors that are asked never have two messages.
                state.queue.reserve_exact(1);
            }
            state.queue.push_back(message);
            return if std::mem::take(&mut state.is_awaited) { Push::Wake } else { Push::Queued };
        }
        self.push_past_room(state, message, entry)
    }

    /// What happens at the bound.
    #[inline(never)]
    fn push_past_room(
        &self,
        mut state: MutexGuard<'_, State<M, W>>,
        message: M,
        entry: impl FnOnce() -> Entry<W>,
    ) -> Push<M> {
        match self.overflow {
            Overflow::Wait => {
                state.senders.get_or_insert_default().push_back((entry(), message));
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

    /// Puts in what a sender has gathered, for which it has `room`, and sets room aside for up to `more` other messages: of what is
    /// free for it the half, and only where a full mailbox makes senders wait. Gives whether to wake the actor. What is left of
    /// `messages` comes too late: the actor takes no more.
    pub fn put_all(&self, messages: &mut VecDeque<M>, room: &mut SetAside, more: u32) -> bool {
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        let before = std::mem::take(&mut room.0);
        state.n_set_aside -= before;
        if state.phase != Phase::Open {
            return false;
        }
        let n_before = state.queue.len();
        let n_unused = before - messages.len() as u32;
        state.queue.append(messages);
        if state.senders.is_some() {
            state.credit = state.credit.saturating_add(n_unused);
        }
        if self.overflow == Overflow::Wait && self.has_room(&state) {
            let n_free = u32::try_from(self.room(&state)).unwrap_or(u32::MAX);
            let n_free = if state.senders.is_some() { n_free.min(state.credit) } else { n_free };
            room.0 = more.min(n_free / 2);
            state.n_set_aside += room.0;
            state.credit = state.credit.saturating_sub(room.0);
        }
        // Nobody else may come by and see that this room is free again.
        if n_unused > room.0 && state.senders.is_some() {
            self.refill(&mut state, 1, &mut let_in);
            self.crowded.store(state.senders.is_some(), Relaxed);
        }
        // Also of what others had waiting: with that a batch may be whole.
        let is_awaited = state.queue.len() > n_before && std::mem::take(&mut state.is_awaited);
        drop(state);
        let_in.into_iter().for_each(Waiter::wake_by);
        is_awaited
    }

    /// Takes the next of the messages in `ready`: in most cases there is one.
    #[inline]
    pub fn next_ready(&self, ready: &mut Ready<M>) -> Option<M> {
        let n_ready = ready.len().checked_sub(1)?;
        // A sender that waits for a place a little longer than it must loses nothing; one that is refused does.
        if n_ready < COARSE || n_ready.is_multiple_of(COARSE) || self.overflow == Overflow::Reject {
            self.n_ready.store(n_ready, Relaxed);
            ready.is_untold = true;
        }
        if n_ready == ready.half && self.made_room(n_ready) {
            self.serve();
        }
        // Last, so that it goes straight to where it is wanted.
        ready.queue.pop_front()
    }

    /// Takes the next message.
    pub fn next(&self, ready: &mut Ready<M>) -> Taken<M> {
        match self.next_ready(ready) {
            Some(message) => Taken::Message(message),
            None => self.visit(ready),
        }
    }

    /// Takes everything that waits.
    fn visit(&self, ready: &mut Ready<M>) -> Taken<M> {
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        // Whoever looks for room after this look at who waits sees how many are left: both are under the lock.
        ready.is_untold = false;
        if state.queue.is_empty() && state.senders.is_some() {
            if state.credit > 0 && !std::mem::replace(&mut state.is_credit_old, true) {
                return Taken::Soon;
            }
            self.refill(&mut state, BURST, &mut let_in);
            self.crowded.store(state.senders.is_some(), Relaxed);
        }
        let taken = match state.queue.pop_front() {
            // What it does not need now is for others, unless it will need as much again soon.
            None => {
                if std::mem::take(&mut ready.peak) < KEPT {
                    ready.queue = VecDeque::new();
                    state.queue = VecDeque::new();
                }
                state.end()
            }
            Some(message) => {
                // Where the oldest gives way to the newest, they stay within reach.
                if !state.queue.is_empty() && self.overflow != Overflow::DropOldest {
                    std::mem::swap(&mut ready.queue, &mut state.queue);
                    self.n_ready.store(ready.len(), Relaxed);
                    ready.half = ready.len() / 2;
                    ready.peak = ready.peak.max(ready.len());
                }
                Taken::Message(message)
            }
        };
        drop(state);
        let_in.into_iter().for_each(Waiter::wake_by);
        taken
    }

    /// Lets some of the senders in that wait, if half of the mailbox is free.
    #[cold]
    fn serve(&self) {
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        if self.room(&state) >= state.capacity.div_ceil(2) as usize {
            self.refill(&mut state, BURST, &mut let_in);
            self.crowded.store(state.senders.is_some(), Relaxed);
        }
        drop(state);
        let_in.into_iter().for_each(Waiter::wake_by);
    }

    /// Takes as many messages as `choose` says after a look at the queue, which is not empty then. Waiting senders move up.
    ///
    /// `choose` is also told whether the actor is stopping: nothing more will come.
    pub fn take(&self, choose: impl Fn(&VecDeque<M>, bool) -> Choice) -> Taken<M> {
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        let taken = self.choose(&mut state, choose, &mut let_in);
        self.crowded.store(state.senders.is_some(), Relaxed);
        drop(state);
        let_in.into_iter().for_each(Waiter::wake_by);
        taken
    }

    /// Lets all senders in that wait although there is room: the actor is about to wait for something else than a message.
    pub fn let_in(&self, ready: &mut Ready<M>) {
        let is_told = !std::mem::take(&mut ready.is_untold) && self.n_ready() == ready.queue.len();
        let crowded = if is_told { self.crowded.load(Relaxed) } else { self.made_room(ready.len()) };
        if !crowded {
            return;
        }
        let mut let_in = SmallVec::new();
        let mut state = self.state.lock();
        self.refill(&mut state, 1, &mut let_in);
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
    pub fn close(&self, ready: Ready<M>) -> Vec<M> {
        let mut left: Vec<M> = ready.queue.into();
        let mut state = self.state.lock();
        state.phase = Phase::Dead;
        self.n_ready.store(0, Relaxed);
        left.extend(std::mem::take(&mut state.queue));
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
        self.n_ready.load(Relaxed) == 0 && self.state.lock().queue.is_empty()
    }

    /// Messages that wait, those without room included.
    pub fn len(&self) -> usize {
        let state = self.state.lock();
        self.n_ready() + state.queue.len() + state.senders.as_ref().map_or(0, |senders| senders.len())
    }
}

impl<M, W: Waiter<P>, P> Inbox<M, W, P> {
    fn n_ready(&self) -> usize {
        self.n_ready.load(Relaxed) as usize
    }

    /// Tells senders how many messages are left in the actor's `Ready`. `true`: some may wait.
    fn made_room(&self, n_ready: u32) -> bool {
        self.n_ready.store(n_ready, Relaxed);
        // Pairs with the one in `push`.
        fence(SeqCst);
        self.crowded.load(Relaxed)
    }

    /// Whether a sender may put a message in now.
    fn has_room(&self, state: &State<M, W>) -> bool {
        self.room(state) > 0 && (state.senders.is_none() || state.credit > 0)
    }

    /// Places that are free.
    fn room(&self, state: &State<M, W>) -> usize {
        (state.capacity as usize).saturating_sub(self.n_ready() + state.queue.len() + state.n_set_aside as usize)
    }

    fn choose(
        &self,
        state: &mut State<M, W>,
        choose: impl Fn(&VecDeque<M>, bool) -> Choice,
        let_in: &mut SmallVec<[W; 8]>,
    ) -> Taken<M> {
        if state.queue.is_empty() && !self.refill(state, 1, let_in) {
            state.queue = VecDeque::new();
            return state.end();
        }
        let stopping = state.phase != Phase::Open;
        let mut choice = choose(&state.queue, stopping);
        if choice.n == 0 && self.refill(state, 1, let_in) {
            // A batch wants more, and more was waiting.
            choice = choose(&state.queue, stopping);
        }
        if choice.n == 0 {
            state.is_awaited = true;
            return choice.later.map_or(Taken::Nothing, Taken::Later);
        }
        let n = (choice.n + choice.but.len()).min(state.queue.len());
        let taken = match state.queue.pop_front() {
            Some(message) if n == 1 => Taken::Message(message),
            first => {
                let (mut wanted, mut kept) = (Vec::with_capacity(choice.n), Vec::with_capacity(choice.but.len()));
                let mut but = choice.but.iter().peekable();
                for (place, message) in first.into_iter().chain(state.queue.drain(..n - 1)).enumerate() {
                    if but.next_if(|&&at| at == place).is_some() { kept.push(message) } else { wanted.push(message) }
                }
                kept.into_iter().rev().for_each(|message| state.queue.push_front(message));
                Taken::Messages(wanted)
            }
        };
        if state.queue.len() <= state.capacity as usize / 2 {
            self.refill(state, 1, let_in);
        }
        taken
    }

    /// Lets waiting senders in, one for each `burst` of places that are free; the caller wakes them when the lock is free.
    fn refill(&self, state: &mut State<M, W>, burst: usize, let_in: &mut SmallVec<[W; 8]>) -> bool {
        let before = state.queue.len();
        let n_most = self.room(state).div_ceil(burst);
        while state.queue.len() < before + n_most {
            let Some(senders) = &mut state.senders else { break };
            let Some((entry, message)) = senders.pop_front() else { break };
            // One that has gone another way takes its message along.
            if entry.end(Fired::Sent).is_ok() {
                state.queue.push_back(message);
                let_in.push(entry.task);
            }
        }
        if state.senders.as_ref().is_some_and(|senders| senders.is_empty()) {
            state.senders = None;
        }
        state.credit = u32::try_from(self.room(state)).unwrap_or(u32::MAX);
        state.is_credit_old = false;
        state.queue.len() > before
    }
}

impl<M, W> State<M, W> {
    /// Nothing is there and nobody waits for room.
    fn end(&mut self) -> Taken<M> {
        if self.phase != Phase::Open {
            return Taken::Ended;
        }
        self.is_awaited = true;
        Taken::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conc::wait::mock::MockTask;

    type Box3 = Inbox<u32, MockTask, u32>;

    fn take(inbox: &Box3, n: usize) -> Taken<u32> {
        inbox.take(|_, _| Choice { n, but: Vec::new(), later: None })
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
    fn before_a_handler_waits_senders_hear_of_all_room() {
        let (inbox, mut ready) = (Box3::new(64, Overflow::Wait), Ready::default());
        (0..64).for_each(|i| assert_eq!(inbox.push(i, no_entry), Push::Queued));
        (0..8).for_each(|i| assert_eq!(inbox.next(&mut ready), messages(&[i])));
        inbox.let_in(&mut ready);
        assert_eq!(inbox.len(), 56);
        (0..8).for_each(|i| assert_eq!(inbox.push(i, no_entry), Push::Queued));
        let task = MockTask::new();
        assert_eq!(inbox.push(8, || task.entry()), Push::Waits);
    }

    #[test]
    fn the_first_message_and_no_other_wakes_the_actor() {
        let (inbox, mut ready) = (Box3::new(4, Overflow::Wait), Ready::default());
        // A new actor has its first turn before it.
        assert_eq!(inbox.push(1, no_entry), Push::Queued);
        assert_eq!((inbox.next(&mut ready), inbox.next(&mut ready)), (messages(&[1]), Taken::Nothing));
        assert_eq!((inbox.push(2, no_entry), inbox.push(3, no_entry)), (Push::Wake, Push::Queued));
        assert_eq!((inbox.next(&mut ready), inbox.push(4, no_entry)), (messages(&[2]), Push::Queued));
    }

    #[test]
    fn messages_taken_along_still_wait() {
        let (inbox, mut ready) = (Box3::new(3, Overflow::Reject), Ready::default());
        for message in 1..=3 {
            assert_eq!(inbox.push(message, no_entry), Push::Queued);
        }
        assert_eq!((inbox.next(&mut ready), inbox.len(), inbox.is_empty()), (messages(&[1]), 2, false));
        assert_eq!((inbox.push(4, no_entry), inbox.push(5, no_entry)), (Push::Queued, Push::Refused(5)));
        assert_eq!((inbox.next(&mut ready), inbox.push(6, no_entry)), (messages(&[2]), Push::Queued));
        assert_eq!(inbox.close(ready), [3, 4, 6]);
    }

    #[test]
    fn a_few_senders_are_let_in_and_go_on_past_those_that_wait() {
        let (inbox, mut ready) = (Box3::new(4, Overflow::Wait), Ready::default());
        for message in 1..=4 {
            assert_eq!(inbox.push(message, no_entry), Push::Queued);
        }
        let tasks = [MockTask::new(), MockTask::new(), MockTask::new()];
        let waits = tasks.each_ref().map(MockTask::entry);
        assert_eq!(inbox.push(5, || waits[0].clone()), Push::Waits);
        assert_eq!(inbox.next(&mut ready), messages(&[1]));
        // There is room, but somebody waits for it.
        assert_eq!(inbox.push(6, || waits[1].clone()), Push::Waits);
        assert_eq!((tasks[0].n_wakes(), inbox.len()), (0, 5));
        assert_eq!((inbox.next(&mut ready), inbox.next(&mut ready)), (messages(&[2]), messages(&[3])));
        assert_eq!(tasks.each_ref().map(MockTask::n_wakes), [1, 0, 0]);
        assert_eq!((inbox.push(7, no_entry), inbox.push(8, no_entry)), (Push::Queued, Push::Queued));
        // There is none left.
        assert_eq!(inbox.push(9, || waits[2].clone()), Push::Waits);
        for message in [4, 5, 7, 8, 6] {
            assert_eq!(inbox.next(&mut ready), messages(&[message]));
        }
        assert_eq!(tasks.each_ref().map(MockTask::n_wakes), [1, 1, 0]);
        // The second has room for more, so the third is let in when it had its turn.
        assert_eq!(inbox.next(&mut ready), Taken::Soon);
        assert_eq!((inbox.next(&mut ready), inbox.next(&mut ready)), (messages(&[9]), Taken::Nothing));
    }

    #[test]
    fn before_the_actor_waits_whoever_has_room_is_let_in() {
        let (inbox, mut ready) = (Box3::new(4, Overflow::Wait), Ready::default());
        for message in 1..=4 {
            assert_eq!(inbox.push(message, no_entry), Push::Queued);
        }
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!(inbox.push(5, || wait.clone()), Push::Waits);
        inbox.let_in(&mut ready);
        assert_eq!((inbox.next(&mut ready), task.n_wakes()), (messages(&[1]), 0));
        inbox.let_in(&mut ready);
        assert_eq!((task.n_wakes(), inbox.len()), (1, 4));
    }

    #[test]
    fn what_a_sender_gathers_has_room_and_goes_in_together() {
        let (inbox, mut ready, mut room) = (Box3::new(8, Overflow::Wait), Ready::default(), SetAside::default());
        assert_eq!(inbox.next(&mut ready), Taken::Nothing);
        assert!(!inbox.put_all(&mut VecDeque::new(), &mut room, 100));
        assert_eq!((room.n(), inbox.len()), (4, 0));
        // Others have the other half.
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!(inbox.push(1, no_entry), Push::Wake);
        (2..=4).for_each(|i| assert_eq!(inbox.push(i, no_entry), Push::Queued));
        assert_eq!(inbox.push(5, || wait.clone()), Push::Waits);
        let mut gathered = VecDeque::from([6, 7, 8]);
        assert!(!inbox.put_all(&mut gathered, &mut room, 100));
        // The one place that it did not use is for the sender that waits.
        assert_eq!((room.n(), gathered.len(), task.n_wakes(), inbox.len()), (0, 0, 1, 8));
        for message in [1, 2, 3, 4, 6, 7, 8, 5] {
            assert_eq!(inbox.next(&mut ready), messages(&[message]));
        }
        assert_eq!(inbox.next(&mut ready), Taken::Nothing);
        assert!(!inbox.put_all(&mut VecDeque::new(), &mut room, 1));
        assert!(inbox.put_all(&mut VecDeque::from([9]), &mut room, 0));
        assert_eq!((room.n(), inbox.next(&mut ready)), (0, messages(&[9])));
    }

    #[test]
    fn what_is_gathered_comes_too_late_for_an_actor_that_has_ended() {
        let (inbox, mut room) = (Box3::new(8, Overflow::Wait), SetAside::default());
        assert!(!inbox.put_all(&mut VecDeque::new(), &mut room, 3));
        inbox.stop();
        let mut gathered = VecDeque::from([1, 2]);
        assert!(!inbox.put_all(&mut gathered, &mut room, 3));
        assert_eq!((room.n(), gathered.len(), take(&inbox, 1)), (0, 2, Taken::Ended));
    }

    #[test]
    fn nothing_is_set_aside_where_the_last_place_counts_or_senders_do_not_wait() {
        for inbox in [Box3::new(1, Overflow::Wait), Box3::new(8, Overflow::Reject), Box3::new(8, Overflow::DropOldest)]
        {
            let mut room = SetAside::default();
            assert!(!inbox.put_all(&mut VecDeque::new(), &mut room, 3));
            assert_eq!(room.n(), 0);
        }
    }

    #[test]
    fn a_batch_that_wants_more_gets_what_waits() {
        let inbox = Box3::new(2, Overflow::Wait);
        let task = MockTask::new();
        let wait = task.entry();
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!(inbox.push(3, || wait.clone()), Push::Waits);
        let pairs = |queue: &VecDeque<u32>, _: bool| {
            let n = if queue.len() < 2 { 0 } else { queue.len() };
            Choice { n, but: Vec::new(), later: None }
        };
        assert_eq!(take(&inbox, 1), messages(&[1]));
        assert_eq!(inbox.take(pairs), messages(&[2, 3]));
    }

    #[test]
    fn messages_that_do_not_join_stay_in_their_order() {
        let inbox = Box3::new(8, Overflow::Wait);
        (1..=6).for_each(|i| assert_eq!(inbox.push(i, no_entry), Push::Queued));
        let odd = Choice { n: 3, but: vec![1, 3], later: None };
        assert_eq!(inbox.take(|_, _| odd.clone()), messages(&[1, 3, 5]));
        assert_eq!(take(&inbox, 8), messages(&[2, 4, 6]));
    }

    #[test]
    fn a_full_mailbox_refuses_or_displaces() {
        let inbox = Box3::new(2, Overflow::Reject);
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!(inbox.push(3, no_entry), Push::Refused(3));
        let (inbox, mut ready) = (Box3::new(2, Overflow::DropOldest), Ready::default());
        assert_eq!((inbox.push(1, no_entry), inbox.push(2, no_entry)), (Push::Queued, Push::Queued));
        assert_eq!((inbox.push(3, no_entry), inbox.next(&mut ready)), (Push::Displaced(1), messages(&[2])));
        // What the actor has not begun on can still give way.
        assert_eq!((inbox.push(4, no_entry), inbox.push(5, no_entry)), (Push::Queued, Push::Displaced(3)));
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
        assert_eq!((inbox.close(Ready::default()), a.fired(&wait)), (vec![1, 2], Some(Fired::Closed)));
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
        assert_eq!(inbox.take(|_, _| Choice { n: 0, but: Vec::new(), later: Some(at) }), Taken::Later(at));
        inbox.stop();
        assert_eq!(
            inbox.take(|_, stopping| Choice { n: usize::from(stopping), but: Vec::new(), later: None }),
            messages(&[1])
        );
    }
}
