//! Every interleaving of wakes and turns of one task. Run with `RUSTFLAGS="--cfg loom" cargo test -p stark-scheduler`.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use stark_scheduler::model::{AfterTurn, OnWake, State};

/// The waker writes, then wakes; whoever runs the last turn must see the write. Who owes the task a place in a queue
/// gives it a turn here and now, as a worker would.
#[test]
fn what_was_written_before_a_wake_is_seen_by_a_turn() {
    loom::model(|| {
        let state = Arc::new(State::new());
        let (written, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let turn = {
            let (state, written, seen) = (state.clone(), written.clone(), seen.clone());
            move || {
                loop {
                    state.begin_run();
                    seen.store(written.load(Relaxed), Relaxed);
                    if state.park() == AfterTurn::Parked {
                        return;
                    }
                }
            }
        };
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let (state, written, turn) = (state.clone(), written.clone(), turn.clone());
                thread::spawn(move || {
                    written.fetch_add(1, Relaxed);
                    if state.wake() == OnWake::Schedule {
                        turn();
                    }
                })
            })
            .collect();
        turn();
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert_eq!(seen.load(Relaxed), 2);
    });
}

#[test]
fn a_finished_task_is_never_scheduled_again() {
    loom::model(|| {
        let state = Arc::new(State::new());
        let waker = {
            let state = state.clone();
            thread::spawn(move || state.wake())
        };
        state.begin_run();
        state.finish();
        assert_eq!(waker.join().unwrap(), OnWake::Nothing);
    });
}

/// A parked task is given a turn by somebody who calls it while others wake it: one turn at a time, and no wake is lost.
#[test]
fn a_turn_for_a_caller_loses_no_wake() {
    loom::model(|| {
        let state = Arc::new(State::new());
        let (written, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let n_running = Arc::new(AtomicUsize::new(0));
        state.begin_run();
        assert_eq!(state.park(), AfterTurn::Parked);
        // The state is `Running` when it begins.
        let turn = {
            let (state, written, seen) = (state.clone(), written.clone(), seen.clone());
            move || {
                loop {
                    assert_eq!(n_running.fetch_add(1, Relaxed), 0);
                    seen.store(written.load(Relaxed), Relaxed);
                    n_running.fetch_sub(1, Relaxed);
                    if state.park() == AfterTurn::Parked {
                        return;
                    }
                    state.begin_run();
                }
            }
        };
        let waker = {
            let (state, written, turn) = (state.clone(), written.clone(), turn.clone());
            thread::spawn(move || {
                written.fetch_add(1, Relaxed);
                if state.wake() == OnWake::Schedule {
                    state.begin_run();
                    turn();
                }
            })
        };
        if state.claim_idle() {
            turn();
        }
        waker.join().unwrap();
        assert_eq!(seen.load(Relaxed), 1);
    });
}
