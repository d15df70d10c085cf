//! What a task sends to one actor one after the other goes into the mailbox together.
//!
//! A mailbox that tasks on several cores send to is a cache line that these cores take from each other with every message. So the
//! messages of a task that sends to one actor again and again are gathered here. They go into the mailbox when they are many, before
//! the task does anything else that others could see (another native, a spawn, dropping what lives outside the
//! language, as a future or a file), and when its code
//! is left at the end of a turn; so nobody can tell such a task from one that was a little slower. Room is set aside for them, so
//! they never have to wait for it.
//!
//! A thread has one outbox, which is for the task whose code it runs: between turns it is empty.

use super::cell::{ActorCell, ActorRef, Envelope, Extra, MEASURED_OF_GATHERED, Reply};
use super::inbox::SetAside;
use crate::heap::Parcel;
use crate::observe;
use crate::value::ValueRef;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// So many messages in a row are put in one by one, before any are gathered: a task that sends a few pays nothing for more.
const ALONE: u32 = 4;

/// So many messages at most are put in together: 7 KiB, and a core that takes the mailbox from another once for all of them. A guess.
const MOST: u32 = 128;

thread_local! {
    /// The address of the actor that the task has sent to since it did anything else; 0: it has not.
    static TO: Cell<usize> = const { Cell::new(0) };
    /// How often it has.
    static N_SENT: Cell<u32> = const { Cell::new(0) };
    /// Whether there is something in `GATHERED`, which takes longer to look at.
    static IS_GATHERING: Cell<bool> = const { Cell::new(false) };
    /// Counts the messages that are gathered, for which of them are measured: those who send at the same time share no count.
    static N_GATHERED: Cell<u32> = const { Cell::new(0) };
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

struct Gathered {
    cell: Arc<ActorCell>,
    /// Never longer than it was made: a push that may have to grow builds what it pushes on the stack first, and reads it from there
    /// while it is still being written, for which the processor waits.
    envelopes: VecDeque<Envelope>,
    room: SetAside,
}

/// Whether the task's messages to `cell` that nobody waits for the answer of are gathered now; else they are put in one by one.
#[inline]
pub(super) fn gathers_for(cell: &Arc<ActorCell>) -> bool {
    TO.get() == Arc::as_ptr(cell).addr() && IS_GATHERING.get() || begin(cell)
}

/// When the next message that is gathered is sent, if it is one whose latency is measured.
#[inline]
pub(super) fn stamp() -> Option<Instant> {
    let n = N_GATHERED.get().wrapping_add(1);
    N_GATHERED.set(n);
    if !n.is_multiple_of(MEASURED_OF_GATHERED) {
        return None;
    }
    GATHERED.with_borrow(|gathered| Some(gathered.as_ref()?.cell.now()))
}

/// Takes a message to the actor that `gathers_for` has said yes to.
#[inline(always)]
pub(super) fn push(handler: u32, message: Parcel, extra: Option<Box<Extra>>) {
    let is_full = GATHERED.with_borrow_mut(|gathered| {
        let gathered = gathered.as_mut().expect("`gathers_for` has said so");
        gathered.envelopes.push_back(Envelope { handler, message, reply: Reply::Nowhere, extra });
        gathered.envelopes.len() as u32 == gathered.room.n()
    });
    if is_full {
        put_all();
    }
}

impl ActorRef {
    /// Takes a scalar message for the actor that nobody waits for the answer of, if it is like the one before: then nothing is left
    /// to be looked at. `false`: it is not, or something is to be done beside.
    #[inline]
    pub(crate) fn gather(&self, handler: u64, message: ValueRef<'_>) -> bool {
        let n = N_GATHERED.get().wrapping_add(1);
        if TO.get() != Arc::as_ptr(&self.0).addr() || !IS_GATHERING.get() || n.is_multiple_of(MEASURED_OF_GATHERED) {
            return false;
        }
        let is_taken = GATHERED.with_borrow_mut(|gathered| {
            let Some(Gathered { envelopes, room, .. }) = gathered else { return false };
            let Some(last) = envelopes.back() else { return false };
            let is_like = u64::from(last.handler) == handler
                && last.extra.is_none()
                && std::ptr::eq(last.message.info(), message.info())
                && envelopes.len() + 1 < room.n() as usize;
            let Some(message) = Parcel::scalar(message).filter(|_| is_like) else { return false };
            let handler = last.handler;
            // It has. Said so, nothing of the envelope is built anywhere but in its place.
            if envelopes.len() == envelopes.capacity() {
                return false;
            }
            envelopes.push_back(Envelope { handler, message, reply: Reply::Nowhere, extra: None });
            true
        });
        if is_taken {
            N_GATHERED.set(n);
        }
        is_taken
    }
}

#[inline(never)]
fn put_all() {
    // Taken out for the time: a message that comes too late may hold a future, whose drop comes by here.
    if let Some(mut gathered) = GATHERED.take() {
        IS_GATHERING.set(false);
        if gathered.put(MOST) {
            gather(gathered);
        }
    }
}

#[inline(never)]
fn begin(cell: &Arc<ActorCell>) -> bool {
    let to = Arc::as_ptr(cell).addr();
    if TO.get() != to {
        end();
        TO.set(to);
    }
    N_SENT.set(N_SENT.get() + 1);
    if N_SENT.get() <= ALONE {
        return false;
    }
    N_SENT.set(0);
    // Under a seed each message is a choice of its own, and those that are followed are seen at once.
    let is_seeded = cell.program().scheduler().is_none_or(|scheduler| scheduler.is_seeded());
    if is_seeded || observe::follows_messages() {
        return false;
    }
    let envelopes = VecDeque::with_capacity(MOST as usize);
    let mut gathered = Gathered { cell: cell.clone(), envelopes, room: SetAside::default() };
    let is_begun = gathered.put(MOST);
    if is_begun {
        N_GATHERED.set(0);
        gather(gathered);
    }
    is_begun
}

fn gather(gathered: Gathered) {
    GATHERED.set(Some(gathered));
    IS_GATHERING.set(true);
}

/// What the task has gathered goes into the mailbox now: it does something else, or its code is left.
#[inline]
pub(crate) fn end_gathering() {
    if TO.get() != 0 {
        end();
    }
}

/// Whether there is nothing for `end_gathering` to do.
#[inline(always)]
pub(crate) fn has_gathered_nothing() -> bool {
    TO.get() == 0
}

#[cold]
fn end() {
    TO.set(0);
    N_SENT.set(0);
    if let Some(mut gathered) = GATHERED.take() {
        IS_GATHERING.set(false);
        let _ = gathered.put(0);
    }
}

impl Gathered {
    /// Puts in what was gathered. Whether there is room for more.
    fn put(&mut self, more: u32) -> bool {
        let is_awaited = self.cell.inbox.put_all(&mut self.envelopes, &mut self.room, more);
        if is_awaited {
            self.cell.wake();
        }
        // It has ended, and takes no messages.
        self.envelopes.drain(..).for_each(|envelope| envelope.fail(&self.cell, self.cell.gone()));
        self.room.n() > 0
    }
}
