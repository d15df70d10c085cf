//! What a task sends to one actor one after the other goes into the mailbox together.
//!
//! A mailbox that tasks on several cores send to is a cache line that these cores take from each other with every message. So the
//! messages of a task that sends to one actor again and again are gathered here. They go into the mailbox when they are many, before
//! the task does anything else that others could see (another native, a spawn), and at the end of its turn; so nobody can tell such a
//! task from one that was a little slower. Room is set aside for them, so they never have to wait for it.

use super::cell::{ActorCell, Envelope, MEASURED_EVERY};
use super::inbox::SetAside;
use crate::observe;
use std::sync::Arc;
use std::time::Instant;

/// So many messages in a row are put in one by one, before any are gathered: a task that sends a few pays nothing for more.
const ALONE: u32 = 4;

/// So many messages at most are put in together. A guess: 2 KiB, and a core that takes the mailbox from another once for all of them.
const MOST: u32 = 128;

#[derive(Default)]
pub(crate) struct Outbox {
    /// The address of the actor that the task has sent to since it did anything else; 0: it has not.
    to: usize,
    /// How often it has.
    n_sent: u32,
    /// Behind a pointer: every turn has an outbox, and few gather.
    gathered: Option<Box<Gathered>>,
}

struct Gathered {
    cell: Arc<ActorCell>,
    envelopes: Vec<Envelope>,
    room: SetAside,
    /// Counts the messages, for which of them are measured: those who send at the same time share no count.
    n_sent: u32,
}

impl Outbox {
    /// Whether there is something to end before the task does anything else.
    #[inline]
    pub fn is_begun(&self) -> bool {
        self.to != 0
    }

    /// Whether messages to `cell` that nobody waits for the answer of are gathered now; else they are put in one by one.
    #[inline]
    pub fn gathers_for(&mut self, cell: &Arc<ActorCell>) -> bool {
        self.to == Arc::as_ptr(cell).addr() && self.gathered.is_some() || self.begin(cell)
    }

    /// When the next message that is gathered is sent, if it is one whose latency is measured.
    #[inline]
    pub fn stamp(&mut self) -> Option<Instant> {
        let gathered = self.gathered.as_mut()?;
        gathered.n_sent = gathered.n_sent.wrapping_add(1);
        gathered.n_sent.is_multiple_of(MEASURED_EVERY).then(|| gathered.cell.now())
    }

    /// Takes a message to the actor that `gathers_for` was asked about.
    #[inline]
    pub fn push(&mut self, envelope: Envelope) {
        let gathered = self.gathered.as_mut().expect("`gathers_for` has said so");
        gathered.envelopes.push(envelope);
        if gathered.envelopes.len() as u32 == gathered.room.n() && !gathered.put(MOST) {
            self.gathered = None;
        }
    }

    #[inline(never)]
    fn begin(&mut self, cell: &Arc<ActorCell>) -> bool {
        let to = Arc::as_ptr(cell).addr();
        if self.to != to {
            self.end();
            self.to = to;
        }
        self.n_sent += 1;
        if self.n_sent <= ALONE {
            return false;
        }
        self.n_sent = 0;
        // Under a seed each message is a choice of its own, and those that are followed are seen at once.
        let is_seeded = cell.program().scheduler().is_none_or(|scheduler| scheduler.is_seeded());
        if is_seeded || observe::follows_messages() {
            return false;
        }
        let mut gathered = Gathered {
            cell: cell.clone(),
            envelopes: Vec::with_capacity(MOST as usize),
            room: SetAside::default(),
            n_sent: 0,
        };
        let is_begun = gathered.put(MOST);
        self.gathered = is_begun.then(|| Box::new(gathered));
        is_begun
    }

    /// The task is about to do something else, or its turn is over.
    #[cold]
    pub fn end(&mut self) {
        (self.to, self.n_sent) = (0, 0);
        if let Some(mut gathered) = self.gathered.take() {
            let _ = gathered.put(0);
        }
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
