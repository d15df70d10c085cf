//! Every interleaving of two senders and a receiver. Run with `RUSTFLAGS="--cfg loom" cargo test -p stark-scheduler`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use stark_scheduler::mailbox::{OnSend, Pop, mailbox};

/// Exactly one sender is told to wake an idle receiver, and nothing is lost.
#[test]
fn one_sender_wakes_an_idle_receiver() {
    loom::model(|| {
        let (sender, mut inbox) = mailbox::<usize>();
        let senders: Vec<_> = (1..=2)
            .map(|message| {
                let sender = sender.clone();
                thread::spawn(move || sender.push(message) == OnSend::Schedule)
            })
            .collect();
        let n_wakes = senders.into_iter().filter_map(|sender| sender.join().ok().filter(|woke| *woke)).count();
        assert_eq!(n_wakes, 1);
        let mut sum = 0;
        while let Pop::Message(message) = inbox.pop() {
            sum += message;
        }
        assert_eq!(sum, 3);
    });
}

/// A receiver that goes idle while a message arrives either sees it or its sender is told to wake it.
#[test]
fn no_message_meets_a_receiver_that_sleeps_unknown() {
    loom::model(|| {
        let (sender, mut inbox) = mailbox::<usize>();
        assert_eq!(sender.push(1), OnSend::Schedule);
        let other = thread::spawn(move || sender.push(2) == OnSend::Schedule);
        let mut n_seen = 0;
        let idle = loop {
            match inbox.pop() {
                Pop::Message(_) => n_seen += 1,
                Pop::Retry => thread::yield_now(),
                Pop::Empty if inbox.mark_idle() => break true,
                Pop::Empty => {}
            }
            if n_seen == 2 {
                break false;
            }
        };
        assert_eq!(other.join().unwrap(), idle);
    });
}

/// Every message is received, handed back to its sender, or left for `close`: each exactly once.
#[test]
fn closing_leaves_no_message_behind() {
    loom::model(|| {
        let (sender, mut inbox) = mailbox::<usize>();
        let n_back = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..2)
            .map(|message| {
                let (sender, n_back) = (sender.clone(), n_back.clone());
                thread::spawn(move || {
                    if let OnSend::Dead(back) = sender.push(message) {
                        n_back.fetch_add(back.len(), SeqCst);
                    }
                })
            })
            .collect();
        let n_received = usize::from(matches!(inbox.pop(), Pop::Message(_)));
        let n_left = inbox.close().len();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(n_received + n_left + n_back.load(SeqCst), 2);
    });
}
