//! Channels and `select`: a message is received once or is still there.
#![cfg(loom)]

use loom::thread;
use stark_loom::conc::channel::{Channel, Recv, Send};
use stark_loom::conc::wait::{Entry, Fired, Waiter};
use stark_loom::task::{Task, model, tasks};
use std::sync::Arc;

type Chan = Arc<Channel<u32, Task>>;

fn channel(capacity: usize) -> Chan {
    Arc::new(Channel::new(Some(capacity)))
}

#[test]
fn two_messages_through_one_place_come_in_order() {
    for capacity in [0, 1] {
        model(3, move || {
            let (ch, tasks) = (channel(capacity), tasks(2));
            let sender = {
                let (ch, me) = (ch.clone(), tasks[1].clone());
                thread::spawn(move || assert!(me.send(&ch, 1) && me.send(&ch, 2)))
            };
            assert_eq!((tasks[0].recv(&ch), tasks[0].recv(&ch)), (Some(1), Some(2)));
            sender.join().unwrap();
        });
    }
}

#[test]
fn two_senders_and_a_receiver_at_a_rendezvous() {
    model(2, || {
        let (ch, tasks) = (channel(0), tasks(3));
        let senders: Vec<_> = (1..=2)
            .map(|message| {
                let (ch, me) = (ch.clone(), tasks[message as usize].clone());
                thread::spawn(move || assert!(me.send(&ch, message)))
            })
            .collect();
        let got = [tasks[0].recv(&ch), tasks[0].recv(&ch)].map(Option::unwrap);
        assert_eq!(got[0] + got[1], 3);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// Closing ends every wait; what was accepted before can still be received.
#[test]
fn close_wakes_who_waits() {
    model(3, || {
        let (ch, tasks) = (channel(1), tasks(3));
        let sender = {
            let (ch, me) = (ch.clone(), tasks[1].clone());
            thread::spawn(move || me.send(&ch, 1))
        };
        let closer = {
            let ch = ch.clone();
            thread::spawn(move || ch.close())
        };
        let got = tasks[0].recv(&ch);
        let sent = sender.join().unwrap();
        closer.join().unwrap();
        assert_eq!(sent, got.is_some());
    });
}

/// Ends the wait as a cancelled task does.
fn cancel(me: &Task, ch: &Channel<u32, Task>, entry: &Entry<Task>) {
    match me.point().close(entry.ticket) {
        Some((_, Fired::Message(message))) => ch.give_back(message),
        Some(_) => {}
        None => ch.forget(entry),
    }
}

#[test]
fn what_was_handed_to_a_cancelled_receiver_goes_to_the_next() {
    model(3, || {
        let (ch, tasks) = (channel(1), tasks(3));
        let cancelled = {
            let (ch, me) = (ch.clone(), tasks[1].clone());
            thread::spawn(move || {
                let entry = me.entry();
                match ch.recv(Some(&entry)) {
                    Recv::Waits => cancel(&me, &ch, &entry),
                    Recv::Message(message) => ch.give_back(message),
                    other => unreachable!("{other:?}"),
                }
            })
        };
        let sender = {
            let (ch, me) = (ch.clone(), tasks[2].clone());
            thread::spawn(move || assert!(me.send(&ch, 7)))
        };
        assert_eq!(tasks[0].recv(&ch), Some(7));
        cancelled.join().unwrap();
        sender.join().unwrap();
        assert!(ch.is_empty());
    });
}

/// Waits for the first of two receives, as `select` does, and lets go of the other.
fn first_of(me: &Task, channels: [&Chan; 2]) -> (usize, u32) {
    let ticket = me.point().open();
    let entry = |arm: usize| Entry { task: me.clone(), ticket, arm: arm as u32 };
    let mut entered = 0;
    let mut found = None;
    for (arm, ch) in channels.iter().enumerate() {
        entered = arm + 1;
        match ch.recv(Some(&entry(arm))) {
            Recv::Message(message) => found = Some((arm, message)),
            Recv::Waits => continue,
            Recv::Lost => {}
            Recv::Closed => unreachable!("nobody closes"),
        }
        break;
    }
    let (arm, message) = found.unwrap_or_else(|| match me.fired(ticket) {
        (arm, Fired::Message(message)) => (arm as usize, message),
        other => unreachable!("{other:?}"),
    });
    for other in (0..entered).filter(|other| *other != arm) {
        channels[other].forget(&entry(other));
    }
    (arm, message)
}

#[test]
fn select_takes_one_of_two_and_leaves_the_other() {
    model(2, || {
        let (a, b, tasks) = (channel(1), channel(1), tasks(3));
        let senders: Vec<_> = [(&a, 1), (&b, 2)]
            .into_iter()
            .map(|(ch, i)| {
                let (ch, me) = (ch.clone(), tasks[i].clone());
                thread::spawn(move || assert!(me.send(&ch, i as u32)))
            })
            .collect();
        let (arm, message) = first_of(&tasks[0], [&a, &b]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(message, arm as u32 + 1);
        assert_eq!((a.len(), b.len()), if arm == 0 { (0, 1) } else { (1, 0) });
        // No entry is left: the next message is not handed to one that has gone on.
        let other = if arm == 0 { &a } else { &b };
        assert_eq!(other.send(5, None), Send::Sent);
        assert_eq!(other.recv(None), Recv::Message(5));
    });
}

/// One may send to the other or receive from it; both arms of each are open. They agree on one of the two, or neither waits
/// alone.
#[test]
fn two_selects_meet_in_one_way() {
    model(2, || {
        let (a, b, tasks) = (channel(0), channel(0), tasks(2));
        // Sends on the first channel or receives on the second; tells what it received.
        let either = |me: &Task, out: &Chan, into: &Chan, message: u32| {
            let ticket = me.point().open();
            let entry = |arm| Entry { task: me.clone(), ticket, arm };
            let received = match out.send(message, Some(&entry(0))) {
                Send::Sent => None,
                Send::Lost(_) | Send::Waits => match into.recv(Some(&entry(1))) {
                    Recv::Message(message) => Some(message),
                    Recv::Lost | Recv::Waits => match me.fired(ticket) {
                        (_, Fired::Message(message)) => Some(message),
                        (_, Fired::Sent) => None,
                        other => unreachable!("{other:?}"),
                    },
                    Recv::Closed => unreachable!("nobody closes"),
                },
                other => unreachable!("{other:?}"),
            };
            out.forget(&entry(0));
            into.forget(&entry(1));
            received
        };
        let other = {
            let (a, b, me) = (a.clone(), b.clone(), tasks[1].clone());
            thread::spawn(move || either(&me, &b, &a, 2))
        };
        let (mine, theirs) = (either(&tasks[0], &a, &b, 1), other.join().unwrap());
        assert!(matches!((mine, theirs), (Some(2), None) | (None, Some(1))), "{mine:?} {theirs:?}");
    });
}
