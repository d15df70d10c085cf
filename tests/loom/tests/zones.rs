//! The lock of a zone: one writer alone, nobody waits for ever, and the value is never gone.
#![cfg(loom)]

use loom::thread;
use stark_loom::conc::lock::{Access, Take, ZoneLock};
use stark_loom::conc::wait::{Fired, Waiter};
use stark_loom::task::{Task, model, tasks};
use std::sync::Arc;

type Zone = Arc<ZoneLock<u32, Task>>;

fn zone() -> Zone {
    let zone = Zone::default();
    zone.put(0);
    zone
}

fn take(me: &Task, zone: &Zone, access: Access) -> u32 {
    let entry = me.entry();
    match zone.take(&entry, access) {
        Take::Value(value) => value,
        Take::Waits => match me.fired(entry.ticket).1 {
            Fired::Message(value) => value,
            other => unreachable!("{other:?}"),
        },
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn writers_come_one_after_the_other() {
    model(2, || {
        let (zone, tasks) = (zone(), tasks(3));
        let others: Vec<_> = tasks[1..]
            .iter()
            .map(|me| {
                let (zone, me) = (zone.clone(), me.clone());
                thread::spawn(move || zone.put(take(&me, &zone, Access::Write) + 1))
            })
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(take(&tasks[0], &zone, Access::Write), 2);
    });
}

#[test]
fn a_writer_waits_for_readers_and_a_reader_for_the_writer() {
    model(2, || {
        let (zone, tasks) = (zone(), tasks(3));
        let writer = {
            let (zone, me) = (zone.clone(), tasks[1].clone());
            thread::spawn(move || zone.put(take(&me, &zone, Access::Write) + 1))
        };
        let reader = {
            let (zone, me) = (zone.clone(), tasks[2].clone());
            thread::spawn(move || {
                let value = take(&me, &zone, Access::Read);
                zone.share(value, &me);
                assert!(zone.read_end(&me));
                value
            })
        };
        let seen = reader.join().unwrap();
        writer.join().unwrap();
        assert!(seen <= 1);
        assert_eq!(take(&tasks[0], &zone, Access::Write), 1);
    });
}

/// As a cancelled task: it gives back what it was handed, or lets those behind it go on.
#[test]
fn a_wait_that_is_given_up_leaves_the_zone_to_others() {
    model(3, || {
        let (zone, tasks) = (zone(), tasks(3));
        let cancelled = {
            let (zone, me) = (zone.clone(), tasks[1].clone());
            thread::spawn(move || {
                let entry = me.entry();
                match zone.take(&entry, Access::Write) {
                    Take::Value(value) => zone.put(value),
                    Take::Waits => match me.point().close(entry.ticket) {
                        Some((_, Fired::Message(value))) => zone.put(value),
                        _ => zone.forget(&entry),
                    },
                    other => unreachable!("{other:?}"),
                }
            })
        };
        let other = {
            let (zone, me) = (zone.clone(), tasks[2].clone());
            thread::spawn(move || zone.put(take(&me, &zone, Access::Write) + 1))
        };
        cancelled.join().unwrap();
        other.join().unwrap();
        assert_eq!(take(&tasks[0], &zone, Access::Write), 1);
    });
}
