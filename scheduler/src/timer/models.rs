//! Every interleaving of setting, cancelling and firing: what a timer carries comes out once.

use super::{NEVER, Timers};
use crate::sync::Arc;
use loom::thread;

#[test]
fn a_timer_that_is_cancelled_while_it_fires_gives_its_payload_once() {
    loom::model(|| {
        let timers = Arc::new(Timers::new(1));
        let key = timers.insert(0, 5, 1);
        let firing = {
            let timers = timers.clone();
            thread::spawn(move || {
                let mut due = Vec::new();
                timers.expire(5, &mut due);
                due.len()
            })
        };
        let cancelled = timers.cancel(key).is_some();
        assert_eq!(firing.join().unwrap() + usize::from(cancelled), 1);
        assert_eq!(timers.next(), NEVER);
    });
}

#[test]
fn an_old_key_does_not_cancel_the_timer_that_has_its_place() {
    loom::model(|| {
        let timers = Arc::new(Timers::new(1));
        let old = timers.insert(0, 5, 1);
        let other = {
            let timers = timers.clone();
            thread::spawn(move || {
                timers.cancel(old);
                timers.insert(0, 7, 2)
            })
        };
        let again = timers.cancel(old);
        assert!(again.is_none_or(|payload| payload == 1));
        let key = other.join().unwrap();
        assert_eq!((timers.next(), timers.cancel(key)), (7, Some(2)));
    });
}

#[test]
fn the_earliest_is_known_when_all_are_set() {
    loom::model(|| {
        let timers = Arc::new(Timers::new(2));
        let other = {
            let timers = timers.clone();
            thread::spawn(move || timers.insert(1, 3, 1))
        };
        timers.insert(0, 9, 2);
        other.join().unwrap();
        assert_eq!(timers.next(), 3);
        let mut due = Vec::new();
        timers.expire(9, &mut due);
        due.sort_unstable();
        assert_eq!((due, timers.next()), (vec![1, 2], NEVER));
    });
}
