//! Every interleaving of adding work and going to sleep, up to three preemptions. A wake that is lost is a deadlock here.
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p stark-scheduler`.

use super::Idle;
use crate::sync::{Arc, AtomicBool, AtomicUsize};
use crate::timer::{NEVER, Timers};
use loom::thread;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What is left to do, in the place of the queues.
struct Pool {
    idle: Idle,
    work: AtomicUsize,
    /// What no relief takes, where a model has it.
    put_off: Option<AtomicUsize>,
    done: AtomicUsize,
    stopping: AtomicBool,
}

impl Pool {
    fn new(n_workers: usize) -> Arc<Pool> {
        Pool::with_reliefs(n_workers, 0)
    }

    fn with_reliefs(n_workers: usize, n_reliefs: usize) -> Arc<Pool> {
        Arc::new(Pool::of(n_workers, n_reliefs))
    }

    fn of(n_workers: usize, n_reliefs: usize) -> Pool {
        Pool {
            idle: Idle::new(n_workers, n_reliefs),
            work: AtomicUsize::new(0),
            put_off: None,
            done: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    fn add(&self) {
        self.work.fetch_add(1, SeqCst);
        self.idle.notify_one();
    }

    fn put_off(&self) {
        self.put_off.as_ref().unwrap().fetch_add(1, SeqCst);
        self.idle.notify_worker();
    }

    fn is_relief(&self, worker: usize) -> bool {
        worker >= self.idle.n_workers
    }

    fn is_put_off(&self) -> bool {
        self.put_off.as_ref().is_some_and(|n| n.load(SeqCst) > 0)
    }

    fn take(&self, worker: usize) -> bool {
        let take = |queue: &AtomicUsize| queue.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
        take(&self.work) || !self.is_relief(worker) && self.put_off.as_ref().is_some_and(take)
    }

    /// As in `Worker`.
    fn pass_on(&self, worker: usize) {
        if self.is_relief(worker) && self.is_put_off() {
            self.idle.notify_worker();
        }
    }

    fn has_work(&self, worker: usize) -> bool {
        self.work.load(SeqCst) > 0 || !self.is_relief(worker) && self.is_put_off()
    }

    /// A worker's loop, which ends when `total` pieces of work were done.
    fn work(&self, worker: usize, total: usize) {
        // As in `Worker`: the first begins as a searcher, the others asleep.
        let searching = worker == 0 || {
            self.idle.begin_asleep(worker);
            self.idle.woken(worker, || self.stopping.load(SeqCst))
        };
        self.go_on(worker, searching, total);
    }

    fn go_on(&self, worker: usize, mut searching: bool, total: usize) {
        while !self.stopping.load(SeqCst) {
            if self.is_relief(worker) && self.idle.is_relief_owed() {
                let work = || {
                    self.pass_on(worker);
                    self.has_work(worker)
                };
                let gone = self.idle.go_off_duty(worker, searching, work, || self.stopping.load(SeqCst));
                searching = gone.unwrap_or(searching);
                continue;
            }
            if !searching {
                searching = self.idle.begin_search();
            }
            if self.take(worker) {
                if std::mem::take(&mut searching) && self.idle.end_search() {
                    self.idle.notify_one();
                    self.pass_on(worker);
                }
                if self.done.fetch_add(1, SeqCst) + 1 == total {
                    self.stopping.store(true, SeqCst);
                    self.idle.wake_all();
                }
                continue;
            }
            let more = || {
                self.pass_on(worker);
                self.has_work(worker) || self.stopping.load(SeqCst)
            };
            searching =
                self.idle.park(worker, searching, || NEVER, more, |_| Duration::ZERO, || self.stopping.load(SeqCst));
        }
    }
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

#[test]
fn work_that_is_added_while_the_only_worker_goes_to_sleep_is_done() {
    model(|| {
        let pool = Pool::new(1);
        let worker = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(0, 2))
        };
        pool.add();
        pool.add();
        worker.join().unwrap();
        assert_eq!(pool.done.load(SeqCst), 2);
    });
}

#[test]
fn of_two_workers_one_is_woken_for_each_piece() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let pool = Pool::new(2);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1, 2))
        };
        let adder = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.add();
                pool.add();
            })
        };
        pool.work(0, 2);
        other.join().unwrap();
        adder.join().unwrap();
        assert_eq!(pool.done.load(SeqCst), 2);
    });
}

#[test]
fn who_waits_for_quiet_hears_of_the_last_one_that_falls_asleep() {
    model(|| {
        let pool = Pool::new(1);
        let worker = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(0, 1))
        };
        let mut sleepers = pool.idle.lock();
        while !pool.idle.all_asleep(&sleepers) {
            sleepers = pool.idle.quiet.wait(sleepers);
        }
        drop(sleepers);
        pool.add();
        worker.join().unwrap();
    });
}

/// The only worker is in a turn that lasts until the relief has done what comes meanwhile. Once the turn is over it does the rest.
#[test]
fn a_relief_does_what_comes_in_a_long_turn() {
    model(|| {
        let pool = Pool::with_reliefs(1, 1);
        let relief = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1, 2))
        };
        let adder = {
            let pool = pool.clone();
            thread::spawn(move || pool.add())
        };
        // As a worker that has found work: it searches no more.
        let _ = pool.idle.end_search();
        assert!(pool.idle.call_relief());
        if pool.work.load(SeqCst) > 0 {
            pool.idle.notify_one();
        }
        while pool.done.load(SeqCst) == 0 {
            thread::yield_now();
        }
        pool.idle.send_back_relief();
        pool.add();
        pool.go_on(0, false, 2);
        relief.join().unwrap();
        adder.join().unwrap();
        assert_eq!(pool.done.load(SeqCst), 2);
    });
}

/// Whoever is sent back, called and sent back again is counted rightly, wherever it is meanwhile.
#[test]
fn a_relief_that_comes_and_goes_leaves_everything_quiet() {
    model(|| {
        let pool = Pool::with_reliefs(1, 1);
        let relief = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1, 2))
        };
        let _ = pool.idle.end_search();
        for _ in 0..2 {
            // Off duty, or owed and not gone yet.
            assert!(pool.idle.call_relief());
            pool.add();
            pool.idle.send_back_relief();
        }
        pool.go_on(0, false, 2);
        relief.join().unwrap();
        assert_eq!(pool.done.load(SeqCst), 2);
    });
}

/// What only workers take comes to the worker also when a relief is searching just then, which looks past it.
#[test]
fn what_only_workers_take_is_not_lost_on_a_relief() {
    model(|| {
        let pool = Arc::new(Pool { put_off: Some(AtomicUsize::new(0)), ..Pool::of(1, 1) });
        let relief = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1, 2))
        };
        let adder = {
            let pool = pool.clone();
            thread::spawn(move || pool.put_off())
        };
        let _ = pool.idle.end_search();
        assert!(pool.idle.call_relief());
        pool.add();
        pool.idle.send_back_relief();
        pool.go_on(0, false, 2);
        relief.join().unwrap();
        adder.join().unwrap();
        assert_eq!(pool.done.load(SeqCst), 2);
    });
}

/// A timer that a thread outside sets reaches a worker that has just gone to sleep without one.
#[test]
fn somebody_keeps_a_timer_that_was_set_from_outside() {
    model(|| {
        let (idle, timers) = (Arc::new(Idle::new(1, 0)), Arc::new(Timers::new(1)));
        let worker = {
            let (idle, timers) = (idle.clone(), timers.clone());
            thread::spawn(move || {
                let (mut due, mut searching) = (Vec::new(), true);
                while due.is_empty() {
                    searching = idle.park(0, searching, || timers.next(), || false, |_| Duration::ZERO, || false);
                    timers.expire(5, &mut due);
                }
                due
            })
        };
        timers.insert(0, 5, "due");
        idle.keep_timer(5);
        assert_eq!(worker.join().unwrap(), ["due"]);
    });
}
