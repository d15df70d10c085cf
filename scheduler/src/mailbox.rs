//! The mailbox: many senders, one receiver, no lock.
//!
//! A linked list of envelopes (Vyukov's queue). A sender swaps `head` for its own envelope, then links the previous one
//! to it. Between those two steps the list has a gap; `pop` answers `Pop::Retry` for it, never `Pop::Empty`.
//!
//! The low bit of `head` says "empty, and the receiver knows it" (Pony's trick): the receiver sets it in
//! [`Mailbox::mark_idle`] before it parks, the swap of the next sender takes it away and tells that sender, and nobody
//! else, to wake the receiver. So a push is one atomic exchange.
//!
//! A closed mailbox: the receiver's end leaves its place behind a lock, and a sender that was on its way drains in its
//! stead, so no message stays behind unseen. Whoever gets messages back answers for them.
//! Checked by `tests/loom_mailbox.rs`.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};

use crate::sync::{Arc, AtomicBool, AtomicPtr, Mutex, UnsafeCell, seq_cst_order, spin_loop};

/// What the sender owes the receiver after a push.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum OnSend<M> {
    /// The receiver was idle: wake it.
    Schedule,
    /// It is queued or running and will see the message.
    Nothing,
    /// It is gone. These messages, this one among them, will never be received: answer them.
    Dead(Vec<M>),
}

/// What a look into the mailbox gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Pop<M> {
    Message(M),
    /// There is nothing. Call [`Mailbox::mark_idle`] before parking.
    Empty,
    /// A sender is between its two steps: look again in a moment.
    Retry,
}

struct Envelope<M> {
    next: AtomicPtr<Envelope<M>>,
    /// `None` in the envelope that was received last: the list always holds one.
    message: UnsafeCell<Option<M>>,
}

impl<M> Envelope<M> {
    fn boxed(message: Option<M>) -> *mut Self {
        Box::into_raw(Box::new(Self { next: AtomicPtr::new(ptr::null_mut()), message: UnsafeCell::new(message) }))
    }
}

/// The receiver's place in the list: an envelope that was received. Owned by one receiver at a time.
struct Tail<M>(*mut Envelope<M>);

// SAFETY: the place is only used through `&mut`, and what travels with it are messages, which are `Send`.
unsafe impl<M: Send> Send for Tail<M> {}

struct Shared<M> {
    /// The envelope sent last, its low bit set when the receiver found nothing and went idle.
    head: AtomicPtr<Envelope<M>>,
    closed: AtomicBool,
    /// The receiver's place once it has closed.
    left: Mutex<Option<Tail<M>>>,
}

// SAFETY: envelopes are handed from sender to receiver through `head` and `next`; a message is touched by its sender
// before that and by the one holder of the `Tail` after it.
unsafe impl<M: Send> Send for Shared<M> {}
// SAFETY: as above; `&Shared` gives no access to a message but through a `Tail`.
unsafe impl<M: Send> Sync for Shared<M> {}

const IDLE: usize = 1;

fn marked<M>(envelope: *mut Envelope<M>) -> *mut Envelope<M> {
    envelope.map_addr(|addr| addr | IDLE)
}

fn unmarked<M>(envelope: *mut Envelope<M>) -> *mut Envelope<M> {
    envelope.map_addr(|addr| addr & !IDLE)
}

/// A sender's end. Cheap to clone.
pub struct MailboxSender<M>(Arc<Shared<M>>);

impl<M> Clone for MailboxSender<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The receiver's end. Dropping it closes the mailbox and drops what is in it.
pub struct Mailbox<M: Send> {
    shared: Arc<Shared<M>>,
    /// `None` only after `close`.
    tail: Option<Tail<M>>,
}

/// A new mailbox. It starts idle: the first message tells its sender to wake the receiver.
pub fn mailbox<M: Send>() -> (MailboxSender<M>, Mailbox<M>) {
    let stub = Envelope::boxed(None);
    let shared =
        Arc::new(Shared { head: AtomicPtr::new(marked(stub)), closed: AtomicBool::new(false), left: Mutex::new(None) });
    (MailboxSender(Arc::clone(&shared)), Mailbox { shared, tail: Some(Tail(stub)) })
}

impl<M: Send> MailboxSender<M> {
    pub fn push(&self, message: M) -> OnSend<M> {
        if self.is_closed() {
            return OnSend::Dead(vec![message]);
        }
        let envelope = Envelope::boxed(Some(message));
        // SeqCst: in one order with `closed`, so that either `close` sees this envelope or we see `closed`.
        // Its release half publishes the message, its acquire half makes `previous` ours to link.
        let previous = self.0.head.swap(envelope, SeqCst);
        // SAFETY: the receiver frees an envelope only after it has read a `next` that is not null from it, and this
        // store is the one that makes it so.
        unsafe { (*unmarked(previous)).next.store(envelope, Release) };
        seq_cst_order();
        if self.0.closed.load(SeqCst) {
            let left = self.drain_closed();
            if !left.is_empty() {
                return OnSend::Dead(left);
            }
        }
        if previous.addr() & IDLE != 0 { OnSend::Schedule } else { OnSend::Nothing }
    }

    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Acquire)
    }

    /// Takes what arrived after the receiver had left. Empty when the receiver or another sender will take it.
    #[cold]
    fn drain_closed(&self) -> Vec<M> {
        self.0.left.with(|left| left.as_mut().map(|tail| self.0.drain(tail)).unwrap_or_default())
    }
}

impl<M> Shared<M> {
    fn pop(&self, tail: &mut Tail<M>) -> Pop<M> {
        let current = tail.0;
        // SAFETY: `tail` owns its envelope until it moves on; senders only store to its `next`.
        let next = unsafe { (*current).next.load(Acquire) };
        if next.is_null() {
            let head = unmarked(self.head.load(SeqCst));
            return if head == current { Pop::Empty } else { Pop::Retry };
        }
        // SAFETY: the Acquire load above saw the sender's Release store, so the message is written, and nobody but
        // the holder of the tail takes it.
        let message = unsafe { (*next).message.with_mut(|slot| (*slot).take()) };
        tail.0 = next;
        // SAFETY: its `next` is set, so the only sender that knew this envelope is done with it.
        drop(unsafe { Box::from_raw(current) });
        match message {
            Some(message) => Pop::Message(message),
            None => unreachable!("an envelope behind the tail holds its message"),
        }
    }

    fn drain(&self, tail: &mut Tail<M>) -> Vec<M> {
        let mut left = Vec::new();
        loop {
            match self.pop(tail) {
                Pop::Message(message) => left.push(message),
                Pop::Empty => return left,
                Pop::Retry => pause(),
            }
        }
    }
}

/// A sender needs a few instructions to close the gap, unless its thread was set aside: then give it the core.
fn pause() {
    spin_loop();
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}

impl<M: Send> Mailbox<M> {
    pub fn pop(&mut self) -> Pop<M> {
        match &mut self.tail {
            Some(tail) => self.shared.pop(tail),
            None => Pop::Empty,
        }
    }

    /// Says that the receiver will park. `false`: a message came in between, look again.
    #[must_use]
    pub fn mark_idle(&mut self) -> bool {
        let Some(tail) = &self.tail else { return true };
        match self.shared.head.compare_exchange(tail.0, marked(tail.0), AcqRel, Acquire) {
            Ok(_) => true,
            // Still marked from before: woken for another reason.
            Err(head) => head == marked(tail.0),
        }
    }

    /// A sender's end of this mailbox.
    pub fn sender(&self) -> MailboxSender<M> {
        MailboxSender(Arc::clone(&self.shared))
    }

    /// Closes it and gives what was not received. Messages pushed from now on go back to their senders.
    #[must_use]
    pub fn close(mut self) -> Vec<M> {
        self.close_in_place()
    }

    fn close_in_place(&mut self) -> Vec<M> {
        let Some(mut tail) = self.tail.take() else { return Vec::new() };
        self.shared.closed.store(true, SeqCst);
        seq_cst_order();
        let shared = &self.shared;
        shared.left.with(|left| {
            let messages = shared.drain(&mut tail);
            *left = Some(tail);
            messages
        })
    }
}

impl<M: Send> Drop for Mailbox<M> {
    fn drop(&mut self) {
        drop(self.close_in_place());
    }
}

impl<M> Drop for Shared<M> {
    fn drop(&mut self) {
        // Both ends are gone, so the receiver has closed and left its place.
        if let Some(mut tail) = self.left.with(Option::take) {
            drop(self.drain(&mut tail));
            // SAFETY: the last envelope; no sender is left that could know it.
            drop(unsafe { Box::from_raw(tail.0) });
        }
    }
}

impl<M> std::fmt::Debug for MailboxSender<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailboxSender").finish_non_exhaustive()
    }
}

impl<M: Send> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_sender_keep_their_order() {
        let (sender, mut inbox) = mailbox();
        assert_eq!(sender.push(1), OnSend::Schedule);
        assert_eq!(sender.push(2), OnSend::Nothing);
        assert_eq!((inbox.pop(), inbox.pop(), inbox.pop()), (Pop::Message(1), Pop::Message(2), Pop::Empty));
    }

    #[test]
    fn only_the_sender_that_ends_idleness_wakes_the_receiver() {
        let (sender, mut inbox) = mailbox();
        assert!(inbox.mark_idle());
        assert_eq!(sender.push(1), OnSend::Schedule);
        assert!(!inbox.mark_idle());
        assert_eq!(inbox.pop(), Pop::Message(1));
        assert_eq!(sender.push(2), OnSend::Nothing);
        assert_eq!(inbox.pop(), Pop::Message(2));
        assert!(inbox.mark_idle());
        assert!(inbox.mark_idle());
        assert_eq!(sender.push(3), OnSend::Schedule);
    }

    #[test]
    fn a_closed_mailbox_gives_messages_back() {
        let (sender, inbox) = mailbox();
        let _ = sender.push("a");
        let _ = sender.push("b");
        assert_eq!(inbox.close(), ["a", "b"]);
        assert_eq!(sender.push("c"), OnSend::Dead(vec!["c"]));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const N: u64 = 20_000;
        let (sender, mut inbox) = mailbox();
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || (0..N).for_each(|i| drop(sender.push((thread, i)))))
            })
            .collect();
        let mut next = [0; 3];
        while next.iter().sum::<u64>() < 3 * N {
            if let Pop::Message((thread, i)) = inbox.pop() {
                let next: &mut u64 = &mut next[thread];
                assert_eq!(*next, i);
                *next += 1;
            } else {
                std::thread::yield_now();
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
