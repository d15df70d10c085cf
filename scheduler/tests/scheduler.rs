//! The scheduler from outside: ends, deadlocks, timers, the blocking pool, the twin, and a bounded stress of wake-ups.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use stark_scheduler::{Config, Context, Outcome, RunOutcome, Scheduler, Task, TaskRef, WaitReason};

/// A task that calls a closure each turn.
struct Turns(Box<dyn FnMut(&mut Context<'_, Turns>) -> Outcome + Send>);

impl Task for Turns {
    type Shared = ();

    fn run(&mut self, cx: &mut Context<'_, Self>) -> Outcome {
        (self.0)(cx)
    }
}

fn turns(f: impl FnMut(&mut Context<'_, Turns>) -> Outcome + Send + 'static) -> Turns {
    Turns(Box::new(f))
}

fn once(f: impl FnOnce(&mut Context<'_, Turns>) + Send + 'static) -> Turns {
    let mut f = Some(f);
    turns(move |cx| {
        f.take().expect("one turn")(cx);
        Outcome::Done
    })
}

fn workers(n_workers: usize) -> Scheduler<Turns> {
    Scheduler::new(Config { n_workers, ..Config::default() }).unwrap()
}

fn seeded(seed: u64) -> Scheduler<Turns> {
    Scheduler::new(Config { seed: Some(seed), ..Config::default() }).unwrap()
}

/// Runs a case on one worker, on several and on the twin.
fn everywhere(case: impl Fn(Scheduler<Turns>)) {
    case(workers(1));
    case(workers(4));
    case(seeded(1));
}

#[test]
fn a_run_ends_when_all_tasks_it_began_have_ended() {
    everywhere(|scheduler| {
        let n_done = Arc::new(AtomicUsize::new(0));
        let n = Arc::clone(&n_done);
        let outcome = scheduler.run(
            once(move |cx| {
                for _ in 0..1000 {
                    let n = Arc::clone(&n);
                    cx.spawn(
                        once(move |_| {
                            n.fetch_add(1, SeqCst);
                        }),
                        (),
                    );
                }
            }),
            (),
        );
        assert_eq!((outcome, n_done.load(SeqCst)), (RunOutcome::Done, 1000));
        assert_eq!(scheduler.handle().n_tasks(), 0);
    });
}

#[test]
fn a_task_is_listed_from_its_first_turn_on() {
    everywhere(|scheduler| {
        let me_listed = |cx: &Context<'_, Turns>| {
            let ids: Vec<_> = cx.tasks().iter().map(TaskRef::id).collect();
            ids.iter().filter(|id| **id == cx.task().id()).count()
        };
        let mut n_turns = 0;
        let outcome = scheduler.run(
            turns(move |cx| {
                n_turns += 1;
                assert_eq!(me_listed(cx), 1, "in turn {n_turns}");
                cx.spawn(once(move |cx| assert_eq!(me_listed(cx), 1)), ());
                if n_turns == 3 { Outcome::Done } else { Outcome::Yield }
            }),
            (),
        );
        assert_eq!((outcome, scheduler.tasks().len()), (RunOutcome::Done, 0));
    });
}

#[test]
fn a_worker_begins_when_there_is_work_for_it() {
    let scheduler = workers(4);
    assert_eq!(scheduler.run(once(|_| {}), ()), RunOutcome::Done);
    let begun = |scheduler: &Scheduler<Turns>| scheduler.handle().metrics().iter().filter(|m| m.parks > 0).count();
    assert_eq!(begun(&scheduler), 1);

    // Each holds its worker until all four are there.
    let barrier = Arc::new(std::sync::Barrier::new(4));
    let outcome = scheduler.run(
        once(move |cx| {
            for _ in 0..4 {
                let barrier = Arc::clone(&barrier);
                cx.spawn(once(move |_| drop(barrier.wait())), ());
            }
        }),
        (),
    );
    assert_eq!((outcome, begun(&scheduler)), (RunOutcome::Done, 4));
}

#[test]
fn tasks_that_nobody_can_wake_are_a_deadlock_with_names_and_reasons() {
    everywhere(|scheduler| {
        let outcome = scheduler.run(
            once(|cx| {
                cx.spawn(
                    turns(|cx| {
                        cx.wait_for(WaitReason::ChannelRecv, 42);
                        Outcome::Park
                    }),
                    (),
                );
            }),
            (),
        );
        assert_eq!(outcome, RunOutcome::Deadlock);
        let waits: Vec<_> = scheduler.tasks().iter().map(TaskRef::wait).collect();
        assert_eq!(waits, [(WaitReason::ChannelRecv, 42)]);
    });
}

#[test]
fn a_run_goes_on_after_a_deadlock_when_somebody_is_woken() {
    everywhere(|scheduler| {
        let mut n_turns = 0;
        let outcome = scheduler.run(
            turns(move |_| {
                n_turns += 1;
                if n_turns == 3 { Outcome::Done } else { Outcome::Park }
            }),
            (),
        );
        assert_eq!(outcome, RunOutcome::Deadlock);
        scheduler.tasks()[0].wake();
        assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
        scheduler.tasks()[0].wake();
        assert_eq!(scheduler.wait(), RunOutcome::Done);
    });
}

#[test]
fn timers_wake_in_order_and_never_early() {
    everywhere(|scheduler| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let begun = scheduler.handle().now();
        for ms in [30, 10, 20, 0] {
            let order = Arc::clone(&order);
            let mut set = false;
            let deadline = begun + Duration::from_millis(ms);
            scheduler.handle().spawn(
                turns(move |cx| {
                    if !std::mem::replace(&mut set, true) {
                        cx.sleep_until(deadline, cx.task().clone());
                        return Outcome::Park;
                    }
                    assert!(cx.now() >= deadline);
                    order.lock().push(ms);
                    Outcome::Done
                }),
                (),
            );
        }
        assert_eq!(scheduler.wait(), RunOutcome::Done);
        assert_eq!(*order.lock(), [0, 10, 20, 30]);
    });
}

#[test]
fn a_timer_fires_beside_tasks_that_never_rest() {
    let scheduler = workers(2);
    let fired = Arc::new(AtomicUsize::new(0));
    for _ in 0..4 {
        let fired = Arc::clone(&fired);
        scheduler
            .handle()
            .spawn(turns(move |_| if fired.load(SeqCst) == 1 { Outcome::Done } else { Outcome::Yield }), ());
    }
    let fire = Arc::clone(&fired);
    let mut set = false;
    let outcome = scheduler.run(
        turns(move |cx| {
            if !std::mem::replace(&mut set, true) {
                cx.sleep_until(cx.now() + Duration::from_millis(5), cx.task().clone());
                return Outcome::Park;
            }
            fire.store(1, SeqCst);
            Outcome::Done
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
}

#[test]
fn a_timer_set_from_outside_reaches_workers_that_sleep() {
    let scheduler = workers(2);
    let outcome = scheduler.run(turns(|_| Outcome::Park), ());
    assert_eq!(outcome, RunOutcome::Deadlock);
    let task = scheduler.tasks().remove(0);
    let begun = Instant::now();
    let external = scheduler.handle().external();
    scheduler.handle().sleep_until(begun + Duration::from_millis(5), task.clone());
    drop(external);
    assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
    assert!(begun.elapsed() >= Duration::from_millis(5));
}

#[test]
fn a_cancelled_timer_keeps_nobody_waiting() {
    everywhere(|scheduler| {
        let begun = Instant::now();
        let outcome = scheduler.run(
            once(|cx| {
                let key = cx.sleep_until(cx.now() + Duration::from_secs(3600), cx.task().clone());
                assert!(cx.cancel(key));
                assert!(!cx.cancel(key));
                cx.spawn(turns(|_| Outcome::Park), ());
            }),
            (),
        );
        assert_eq!(outcome, RunOutcome::Deadlock);
        assert!(begun.elapsed() < Duration::from_secs(60));
    });
}

#[test]
fn virtual_time_jumps() {
    let begun = Instant::now();
    let scheduler = seeded(3);
    let mut n_turns = 0;
    let outcome = scheduler.run(
        turns(move |cx| {
            n_turns += 1;
            if n_turns == 100 {
                return Outcome::Done;
            }
            cx.sleep_until(cx.now() + Duration::from_secs(3600), cx.task().clone());
            Outcome::Park
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(scheduler.handle().now() - begun > Duration::from_secs(99 * 3600 - 1));
}

#[test]
fn work_on_the_blocking_pool_is_not_a_deadlock() {
    everywhere(|scheduler| {
        let n_read = Arc::new(AtomicU64::new(0));
        let n = Arc::clone(&n_read);
        let outcome = scheduler.run(
            turns(move |cx| {
                if n.load(SeqCst) == 1 {
                    return Outcome::Done;
                }
                let (n, task) = (Arc::clone(&n), cx.task().clone());
                cx.spawn_blocking(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    n.store(1, SeqCst);
                    task.wake();
                })
                .unwrap();
                Outcome::Park
            }),
            (),
        );
        assert_eq!((outcome, n_read.load(SeqCst)), (RunOutcome::Done, 1));
    });
}

#[test]
fn stop_ends_a_run_that_would_not_end() {
    everywhere(|scheduler| {
        for _ in 0..3 {
            scheduler.handle().spawn(turns(|_| Outcome::Yield), ());
        }
        assert_eq!(scheduler.run(once(|cx| cx.stop()), ()), RunOutcome::Stopped);
    });
}

#[test]
fn what_never_ended_is_dropped_with_the_scheduler() {
    everywhere(|scheduler| {
        let held = Arc::new(());
        for _ in 0..10 {
            let held = Arc::clone(&held);
            // Holds a handle on itself: a circle that only the scheduler can break.
            let mut me = None;
            scheduler.handle().spawn(
                turns(move |cx| {
                    let _ = &held;
                    me.get_or_insert_with(|| cx.task().clone());
                    Outcome::Park
                }),
                (),
            );
        }
        assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
        assert_eq!(Arc::strong_count(&held), 11);
        drop(scheduler);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
#[should_panic(expected = "a bug in a body")]
fn a_panic_of_a_body_comes_out_of_the_run() {
    let _ = workers(2).run(once(|_| panic!("a bug in a body")), ());
}

#[test]
fn a_parked_body_can_be_looked_at() {
    everywhere(|scheduler| {
        assert_eq!(scheduler.run(turns(|_| Outcome::Park), ()), RunOutcome::Deadlock);
        let task = scheduler.tasks().remove(0);
        assert_eq!(task.inspect(|_| task.wake()), Some(()));
        // The wake during the look takes effect afterwards.
        assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
        assert_eq!(task.inspect(|body| *body = once(|_| {})), Some(()));
        task.wake();
        assert_eq!(scheduler.wait(), RunOutcome::Done);
        assert_eq!(task.inspect(|_| ()), None);
    });
}

#[test]
fn looking_at_tasks_that_wake_each_other_changes_nothing() {
    const N_TURNS: usize = 20_000;
    everywhere(|scheduler| {
        let (both, n_turns) = (Arc::new(Mutex::new(Vec::<TaskRef<Turns>>::new())), Arc::new(AtomicUsize::new(0)));
        for me in 0..2 {
            let (pair, n) = (Arc::clone(&both), Arc::clone(&n_turns));
            let body = turns(move |_| {
                let is_over = n.fetch_add(1, SeqCst) >= N_TURNS;
                let other = pair.lock().get(1 - me).cloned();
                if let Some(other) = other {
                    other.wake();
                }
                if is_over { Outcome::Done } else { Outcome::Park }
            });
            let task = scheduler.handle().spawn(body, ());
            both.lock().push(task);
        }
        let tasks = both.lock().clone();
        let is_over = AtomicUsize::new(0);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                while is_over.load(SeqCst) == 0 {
                    for task in &tasks {
                        task.inspect(|_| ());
                    }
                }
            });
            let outcome = scheduler.wait();
            is_over.store(1, SeqCst);
            outcome
        });
        assert_eq!(outcome, RunOutcome::Done);
        both.lock().clear();
    });
}

/// The order in which ten tasks of some turns each run under a seed.
fn order_under(seed: u64) -> Vec<(u32, u32)> {
    let scheduler = seeded(seed);
    let order = Arc::new(Mutex::new(Vec::new()));
    for name in 0..10 {
        let order = Arc::clone(&order);
        let mut n_turns = 0;
        scheduler.handle().spawn(
            turns(move |cx| {
                n_turns += 1;
                order.lock().push((name, cx.budget()));
                if n_turns == 5 { Outcome::Done } else { Outcome::Yield }
            }),
            (),
        );
    }
    assert_eq!(scheduler.wait(), RunOutcome::Done);
    let order = order.lock().clone();
    order
}

#[test]
fn equal_seeds_give_equal_schedules_and_others_differ() {
    assert_eq!(order_under(11), order_under(11));
    assert_ne!(order_under(11), order_under(12));
}

/// A counter of tokens and the task that waits for them.
struct Seat {
    tokens: AtomicU64,
    task: Mutex<Option<TaskRef<Turns>>>,
}

#[test]
fn no_wake_is_lost_between_tasks_that_wake_each_other() {
    const N_TASKS: usize = 16;
    const N_ROUNDS: u64 = 4_000;
    let scheduler = workers(4);
    let seats: Arc<Vec<Seat>> =
        Arc::new((0..N_TASKS).map(|_| Seat { tokens: AtomicU64::new(0), task: Mutex::new(None) }).collect());
    for place in 0..N_TASKS {
        let seats = Arc::clone(&seats);
        let mut n_taken = 0;
        scheduler.handle().spawn(
            turns(move |cx| {
                seats[place].task.lock().get_or_insert_with(|| cx.task().clone());
                while seats[place].tokens.load(SeqCst) > 0 {
                    seats[place].tokens.fetch_sub(1, SeqCst);
                    n_taken += 1;
                    // To a place that depends on the round, so that paths cross.
                    let to = &seats[(place * 7 + n_taken as usize) % N_TASKS];
                    if n_taken <= N_ROUNDS {
                        to.tokens.fetch_add(1, SeqCst);
                        if let Some(task) = &*to.task.lock() {
                            task.wake();
                        }
                    }
                }
                Outcome::Park
            }),
            (),
        );
    }
    assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
    for seat in seats.iter().take(4) {
        seat.tokens.fetch_add(1, SeqCst);
        seat.task.lock().as_ref().unwrap().wake();
    }
    assert_eq!(scheduler.wait(), RunOutcome::Deadlock);
    // A token that lies unseen would be a wake that was lost.
    assert!(seats.iter().all(|seat| seat.tokens.load(SeqCst) == 0));
    assert!(scheduler.handle().metrics().iter().map(|worker| worker.runs).sum::<u64>() > N_ROUNDS);
}

#[test]
fn wakes_from_threads_outside_all_arrive() {
    const N: u64 = 5_000;
    let scheduler = workers(3);
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..8).map(|_| AtomicU64::new(0)).collect());
    let seen: Arc<Vec<AtomicU64>> = Arc::new((0..8).map(|_| AtomicU64::new(0)).collect());
    let tasks: Vec<_> = (0..8)
        .map(|place| {
            let (counts, seen) = (Arc::clone(&counts), Arc::clone(&seen));
            scheduler.handle().spawn(
                turns(move |_| {
                    seen[place].store(counts[place].load(SeqCst), SeqCst);
                    if seen[place].load(SeqCst) == 2 * N { Outcome::Done } else { Outcome::Park }
                }),
                (),
            )
        })
        .collect();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (tasks, counts, external) = (tasks.clone(), Arc::clone(&counts), scheduler.handle().external());
            std::thread::spawn(move || {
                for _ in 0..N {
                    for (task, count) in tasks.iter().zip(counts.iter()) {
                        count.fetch_add(1, SeqCst);
                        task.wake();
                    }
                }
                drop(external);
            })
        })
        .collect();
    assert_eq!(scheduler.wait(), RunOutcome::Done);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_task_lends_its_turn_to_the_one_that_is_next() {
    let scheduler = workers(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let outcome = scheduler.run(
        once(move |cx| {
            let note = |what: &'static str| {
                let log = Arc::clone(&seen);
                turns(move |cx| {
                    log.lock().push(what);
                    cx.set_spent(3);
                    Outcome::Done
                })
            };
            let first = cx.spawn(note("first"), ());
            let second = cx.spawn(note("second"), ());
            // The one begun last is next; the other is in the queue.
            assert_eq!(cx.run_next(first.addr(), 10), None);
            assert!(cx.can_run_next(second.addr()));
            assert_eq!(cx.run_next(second.addr(), 10), Some(3));
            assert!(second.is_done() && !first.is_done());
            assert!(!cx.can_run_next(second.addr()));
            assert_eq!(cx.run_next(second.addr(), 10), None);
            seen.lock().push("outer");
        }),
        (),
    );
    assert_eq!((outcome, log.lock().clone()), (RunOutcome::Done, vec!["second", "outer", "first"]));
}

#[test]
fn lent_turns_are_not_lent_on() {
    let scheduler = workers(1);
    let outcome = scheduler.run(
        once(|cx| {
            let outer = cx.spawn(
                once(|cx| {
                    let inner = cx.spawn(once(|_| {}), ());
                    assert_eq!(cx.run_next(inner.addr(), 10), None);
                }),
                (),
            );
            assert_eq!(cx.run_next(outer.addr(), 10), Some(10));
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
}

#[test]
fn under_a_seed_no_turn_is_lent() {
    let outcome = seeded(1).run(
        once(|cx| {
            let task = cx.spawn(once(|_| {}), ());
            assert_eq!(cx.run_next(task.addr(), 10), None);
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
}

#[test]
fn a_parked_task_is_run_within_a_turn_and_no_other() {
    let scheduler = workers(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let outcome = scheduler.run(
        once(move |cx| {
            let mut n = 0;
            let task = cx.spawn(
                turns(move |cx| {
                    n += 1;
                    seen.lock().push(n);
                    cx.set_spent(n);
                    cx.wait_for(WaitReason::Mailbox, 7);
                    if n < 3 { Outcome::Park } else { Outcome::Done }
                }),
                (),
            );
            // Queued: it will have its turn by itself.
            assert_eq!(cx.run_parked(&task, 10, |_| true, |_| ()), None);
            assert_eq!(cx.run_next(task.addr(), 10), Some(1));
            // Its body refuses: nothing has happened, and it still says what it waits for.
            assert_eq!(cx.run_parked(&task, 10, |_| false, |_| ()), None);
            assert_eq!(task.wait(), (WaitReason::Mailbox, 7));
            assert_eq!(cx.run_parked(&task, 10, |_| true, |_| "looked"), Some((2, "looked")));
            assert_eq!(cx.run_parked(&task, 10, |_| true, |_| "at the last"), Some((3, "at the last")));
            assert!(task.is_done());
            assert_eq!(cx.run_parked(&task, 10, |_| true, |_| ()), None);
        }),
        (),
    );
    assert_eq!((outcome, log.lock().clone()), (RunOutcome::Done, vec![1, 2, 3]));
}

/// Waits in its turn until `done`; a minute is for ever.
fn hold_until(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody came");
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn timers_and_what_comes_from_outside_do_not_wait_for_long_turns() {
    for n_workers in [1, 2] {
        let scheduler = workers(n_workers);
        let (n_done, n_long) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let main = {
            let (n_done, n_long) = (n_done.clone(), n_long.clone());
            once(move |cx| {
                for _ in 0..n_workers {
                    let (n_done, n_long) = (n_done.clone(), n_long.clone());
                    let long = once(move |cx| {
                        n_long.fetch_add(1, SeqCst);
                        cx.hand_over();
                        // All workers are here before anything else is done.
                        hold_until(|| n_long.load(SeqCst) == n_workers);
                        let n = n_done.clone();
                        let (mut is_set, deadline) = (false, cx.now() + Duration::from_millis(1));
                        let sleeper = turns(move |cx| {
                            if !std::mem::replace(&mut is_set, true) {
                                cx.sleep_until(deadline, cx.task().clone());
                                return Outcome::Park;
                            }
                            n.fetch_add(1, SeqCst);
                            Outcome::Done
                        });
                        let outside = outside_of(cx);
                        std::thread::spawn(move || outside.spawn(sleeper, ())).join().unwrap();
                        hold_until(|| n_done.load(SeqCst) == n_workers);
                    });
                    cx.spawn(long, ());
                }
            })
        };
        assert_eq!(scheduler.run(main, ()), RunOutcome::Done);
        assert_eq!(n_done.load(SeqCst), n_workers);
        assert_eq!(scheduler.handle().n_workers(), n_workers);
    }
}

fn outside_of(cx: &Context<'_, Turns>) -> stark_scheduler::Handle<Turns> {
    (**cx).clone()
}

#[test]
fn a_turn_that_pauses_is_long_in_the_end() {
    let scheduler = workers(1);
    let is_done = Arc::new(AtomicUsize::new(0));
    let outcome = scheduler.run(
        once(move |cx| {
            let done = is_done.clone();
            cx.spawn(once(move |_| done.store(1, SeqCst)), ());
            hold_until(|| {
                cx.pause();
                is_done.load(SeqCst) == 1
            });
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
}

/// The worker that has set the timer comes to help before it looks at the timers again; the relief was called before there was one.
#[test]
fn who_helps_leaves_its_timers_to_who_sleeps() {
    let scheduler = workers(2);
    let n_done = Arc::new(AtomicUsize::new(0));
    let done = n_done.clone();
    let mut is_parked = false;
    let sleeper = turns(move |cx| {
        if std::mem::replace(&mut is_parked, true) {
            done.fetch_add(1, SeqCst);
            return Outcome::Done;
        }
        let (sleeper, done) = (cx.task().clone(), done.clone());
        let long = once(move |cx| {
            cx.hand_over();
            let n = done.clone();
            let helper = once(move |cx| {
                cx.sleep_until(cx.now() + Duration::from_millis(1), sleeper);
                hold_until(|| {
                    let _ = cx.is_wanted();
                    n.load(SeqCst) == 1
                });
            });
            let outside = outside_of(cx);
            std::thread::spawn(move || outside.spawn(helper, ())).join().unwrap();
            hold_until(|| done.load(SeqCst) == 1);
        });
        cx.spawn(long, ());
        Outcome::Park
    });
    assert_eq!(scheduler.run(sleeper, ()), RunOutcome::Done);
    assert_eq!(n_done.load(SeqCst), 1);
}

/// What is put off waits for the worker, however long its turn is and however idle the relief.
#[test]
fn what_is_put_off_no_relief_takes() {
    let scheduler = workers(1);
    let (log, sink) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let noted = log.clone();
    let outcome = scheduler.run(
        once(move |cx| {
            let log = noted.clone();
            let mut n_turns = 0;
            // Its first turn is the relief's.
            cx.spawn(
                turns(move |cx| {
                    n_turns += 1;
                    log.lock().push((n_turns, cx.is_relief()));
                    if n_turns == 2 {
                        return Outcome::Done;
                    }
                    cx.put_off();
                    Outcome::Yield
                }),
                (),
            );
            cx.hand_over();
            hold_until(|| noted.lock().len() == 1);
            // Somebody is there all the time, and takes what comes after it.
            for n in 1..=20 {
                let sink = sink.clone();
                cx.spawn(
                    once({
                        let sink = sink.clone();
                        move |_| sink.lock().push(n)
                    }),
                    (),
                );
                cx.hand_over();
                hold_until(|| sink.lock().len() == n);
            }
            assert_eq!(noted.lock().len(), 1);
        }),
        (),
    );
    assert_eq!(outcome, RunOutcome::Done);
    assert_eq!(*log.lock(), [(1, true), (2, false)]);
}

#[test]
fn reliefs_come_and_go_and_the_run_still_ends() {
    for n_workers in [1, 2, 4] {
        let scheduler = workers(n_workers);
        let n_done = Arc::new(AtomicUsize::new(0));
        let n = n_done.clone();
        let outcome = scheduler.run(
            once(move |cx| {
                for _ in 0..2000 {
                    let n = n.clone();
                    cx.spawn(
                        once(move |cx| {
                            cx.hand_over();
                            n.fetch_add(1, SeqCst);
                        }),
                        (),
                    );
                }
            }),
            (),
        );
        assert_eq!((outcome, n_done.load(SeqCst)), (RunOutcome::Done, 2000));
        assert_eq!(scheduler.run(once(|_| {}), ()), RunOutcome::Done);
    }
}
