//! Who sleeps, who searches, who is woken, and when nothing can happen any more.
//!
//! A worker without work searches other queues, but at most half of them do at a time. Whoever adds work wakes one
//! sleeper, and only while nobody searches: the one woken searches, and the last searcher that finds something wakes
//! the next. So a burst of work wakes workers one after the other, and a single task wakes one at most.
//!
//! No wake is lost: who adds work publishes it, fences and looks for sleepers; who goes to sleep registers, fences and
//! looks for work once more. One of the two sees the other.
//!
//! One sleeper at a time, the keeper, sleeps no longer than the next timer.
//!
//! A worker is asleep before its thread begins, and its thread begins when it is woken first: a program of one task has one
//! thread for it, however many cores there are. Only the first worker's thread begins with the scheduler.
//!
//! A worker whose turn takes long is relieved: one more, numbered behind the others, is on duty as long as that turn lasts, so
//! that timers and what comes from outside find somebody. Off duty it neither sleeps nor counts. There are as many on duty as
//! were called and not yet sent back: who is sent back while it is awake is owed, and goes when it has ended its turn.
//!
//! Checked by the models in `idle/models.rs`.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, fence};

#[derive(Debug)]
pub(crate) struct Idle {
    n_workers: usize,
    n_searching: AtomicUsize,
    n_sleeping: AtomicUsize,
    /// The workers, and the reliefs that are on duty. Written under the lock.
    n_on_duty: AtomicUsize,
    /// Reliefs that are on duty and should go. Written under the lock.
    n_owed: AtomicUsize,
    sleepers: Mutex<Sleepers>,
    /// Told whenever the answer to "is everything quiet?" may have become yes.
    pub(crate) quiet: Condvar,
    parkers: Vec<Parker>,
}

#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    /// The workers asleep, the one that went to sleep last at the end: it has the warmest cache.
    stack: Vec<usize>,
    /// Who sleeps until the next timer, and until when.
    keeper: Option<(usize, u64)>,
    /// The reliefs that are not needed.
    off_duty: Vec<usize>,
}

impl Sleepers {
    fn n_asleep(&self) -> usize {
        self.stack.len()
    }

    fn remove(&mut self, worker: usize) -> bool {
        if self.keeper.is_some_and(|(keeper, _)| keeper == worker) {
            self.keeper = None;
        }
        let place = self.stack.iter().position(|&other| other == worker);
        place.map(|place| self.stack.remove(place)).is_some()
    }

    /// The one of the first `n` to wake: rather not the keeper, who would leave the timers to nobody.
    fn pick(&mut self, n: usize) -> Option<usize> {
        let keeper = self.keeper.map(|(keeper, _)| keeper);
        let place = self.stack.iter().rposition(|&worker| worker < n && Some(worker) != keeper);
        let worker = place.map(|place| self.stack[place]).or(keeper.filter(|&keeper| keeper < n))?;
        self.remove(worker).then_some(worker)
    }
}

impl Idle {
    pub(crate) fn new(n_workers: usize, n_reliefs: usize) -> Self {
        // The lowest number is woken first.
        let stack: Vec<usize> = (1..n_workers).rev().collect();
        let off_duty = (n_workers..n_workers + n_reliefs).rev().collect();
        Self {
            n_workers,
            // The first worker, whose thread begins with the scheduler.
            n_searching: AtomicUsize::new(1),
            n_sleeping: AtomicUsize::new(stack.len()),
            n_on_duty: AtomicUsize::new(n_workers),
            n_owed: AtomicUsize::new(0),
            sleepers: Mutex::new(Sleepers { stack, keeper: None, off_duty }),
            quiet: Condvar::new(),
            parkers: (0..n_workers + n_reliefs).map(|_| Parker::new()).collect(),
        }
    }

    /// Has `begin` begin the worker's thread when it is woken first; `false` from it: the system gives no thread.
    pub(crate) fn begin_with(&self, worker: usize, begin: Begin) {
        self.parkers[worker].state.lock().begin = Some(begin);
    }

    /// In a model, where threads begin at once: waits as a worker whose thread begins when it is woken first.
    #[cfg(all(test, loom))]
    pub(crate) fn begin_asleep(&self, worker: usize) {
        self.parkers[worker].park();
    }

    /// No thread begins any more.
    pub(crate) fn begin_no_more(&self) {
        for parker in &self.parkers {
            let begin = parker.state.lock().begin.take();
            drop(begin);
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock()
    }

    /// Whether everybody on duty sleeps.
    pub(crate) fn all_asleep(&self, sleepers: &Sleepers) -> bool {
        sleepers.n_asleep() == self.n_on_duty.load(SeqCst)
    }

    /// Somebody sleeps who will hear of what is published.
    pub(crate) fn has_sleepers(&self) -> bool {
        self.n_sleeping.load(Relaxed) > 0
    }

    /// Work was published: wakes one sleeper unless somebody searches already.
    pub(crate) fn notify_one(&self) {
        self.notify(usize::MAX);
    }

    /// As `notify_one`, of work that no relief takes. Where a relief searches just then, the work is left to it like any other: after its
    /// search it looks for such work and calls this again.
    pub(crate) fn notify_worker(&self) {
        self.notify(self.n_workers);
    }

    /// One of the first `n`.
    fn notify(&self, n: usize) {
        // Pairs with the fence in `park`.
        fence(SeqCst);
        if self.n_sleeping.load(SeqCst) == 0 || self.n_searching.load(SeqCst) > 0 {
            return;
        }
        self.wake_one(n);
    }

    #[cold]
    fn wake_one(&self, n: usize) {
        let mut sleepers = self.lock();
        if self.n_searching.load(SeqCst) > 0 {
            return;
        }
        let Some(worker) = sleepers.pick(n) else { return };
        self.n_sleeping.fetch_sub(1, SeqCst);
        // It begins as a searcher, so that the next `notify_one` leaves the others asleep.
        self.n_searching.fetch_add(1, SeqCst);
        drop(sleepers);
        if !self.parkers[worker].unpark() {
            // No thread for it now: it is the last to be tried again, and those who run come to the work in time.
            let mut sleepers = self.lock();
            sleepers.stack.insert(0, worker);
            self.n_sleeping.fetch_add(1, SeqCst);
            self.n_searching.fetch_sub(1, SeqCst);
            if let Some((keeper, _)) = sleepers.keeper {
                // It was passed over, and may be the only one with a thread.
                let _ = self.parkers[keeper].unpark();
            }
            // While the worker was not counted, nobody could tell that all are asleep.
            if self.all_asleep(&sleepers) {
                self.quiet.notify_all();
            }
        }
    }

    /// The caller's turn takes long: one more is on duty, asleep, from now on. `false`: there is none. The caller looks at all queues
    /// afterwards.
    #[must_use]
    pub(crate) fn call_relief(&self) -> bool {
        let mut sleepers = self.lock();
        if self.n_owed.load(Relaxed) > 0 {
            self.n_owed.fetch_sub(1, SeqCst);
            return true;
        }
        let Some(relief) = sleepers.off_duty.pop() else { return false };
        // The last to be woken.
        sleepers.stack.insert(0, relief);
        self.n_sleeping.fetch_add(1, SeqCst);
        self.n_on_duty.fetch_add(1, SeqCst);
        drop(sleepers);
        // Pairs with the fence in `notify`: who has added work either saw the relief, or the caller sees the work.
        fence(SeqCst);
        true
    }

    /// The end of a turn that was relieved.
    pub(crate) fn send_back_relief(&self) {
        let mut sleepers = self.lock();
        let asleep = sleepers.stack.iter().copied().find(|&worker| worker >= self.n_workers);
        match asleep {
            Some(relief) => {
                sleepers.remove(relief);
                sleepers.off_duty.push(relief);
                self.n_sleeping.fetch_sub(1, SeqCst);
                self.n_on_duty.fetch_sub(1, SeqCst);
            }
            None => {
                self.n_owed.fetch_add(1, SeqCst);
            }
        }
    }

    /// Whether a relief should go off duty. It may have changed when it does.
    pub(crate) fn is_relief_owed(&self) -> bool {
        self.n_owed.load(Relaxed) > 0
    }

    /// Goes off duty until called, when a relief is owed. Answers what `park` does; `None`: it stays.
    ///
    /// The caller has left its queue to the others. `work` is a last look at all queues; `is_over`: nobody will be called any
    /// more.
    pub(crate) fn go_off_duty(
        &self,
        relief: usize,
        searching: bool,
        work: impl FnOnce() -> bool,
        is_over: impl Fn() -> bool,
    ) -> Option<bool> {
        let mut sleepers = self.lock();
        if self.n_owed.load(Relaxed) == 0 {
            return None;
        }
        self.n_owed.fetch_sub(1, SeqCst);
        self.n_on_duty.fetch_sub(1, SeqCst);
        sleepers.off_duty.push(relief);
        if searching {
            self.n_searching.fetch_sub(1, SeqCst);
        }
        if self.all_asleep(&sleepers) {
            self.quiet.notify_all();
        }
        drop(sleepers);
        // As in `park`: who has added work may have left it to this searcher.
        fence(SeqCst);
        if work() {
            self.notify_one();
        }
        Some(self.woken(relief, is_over))
    }

    /// Whether all workers but the caller sleep. It may have changed when it is looked at.
    pub(crate) fn is_last_awake(&self) -> bool {
        self.n_sleeping.load(Relaxed) + 1 >= self.n_on_duty.load(Relaxed)
    }

    /// `true`: the worker may search, and ends that with `end_search` or `park`.
    pub(crate) fn begin_search(&self) -> bool {
        if 2 * self.n_searching.load(SeqCst) >= self.n_workers {
            return false;
        }
        self.n_searching.fetch_add(1, SeqCst);
        true
    }

    /// A searcher found something. `true`: it was the last one and owes the others a `notify_one` if there is more.
    #[must_use]
    pub(crate) fn end_search(&self) -> bool {
        let was_last = self.n_searching.fetch_sub(1, SeqCst) == 1;
        // Who adds work from here on sees that nobody searches; what was added before, the caller sees. Pairs with the
        // fence in `notify_one`.
        fence(SeqCst);
        was_last
    }

    /// Goes to sleep until woken or, as the keeper, until the next timer. Answers whether the worker is a searcher now.
    ///
    /// `next_timer` and `work` are asked with the worker registered as asleep; `work` is a last look at all queues;
    /// `sleep_for` turns a deadline into a time from now; `is_over`: nobody will be woken any more.
    pub(crate) fn park(
        &self,
        worker: usize,
        searching: bool,
        next_timer: impl FnOnce() -> u64,
        work: impl FnOnce() -> bool,
        sleep_for: impl FnOnce(u64) -> Duration,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let mut sleepers = self.lock();
        sleepers.stack.push(worker);
        self.n_sleeping.fetch_add(1, SeqCst);
        if searching {
            self.n_searching.fetch_sub(1, SeqCst);
        }
        let deadline = next_timer();
        let keeps = deadline != crate::timer::NEVER && sleepers.keeper.is_none_or(|(_, until)| until > deadline);
        if keeps {
            sleepers.keeper = Some((worker, deadline));
        }
        if self.all_asleep(&sleepers) {
            self.quiet.notify_all();
        }
        drop(sleepers);

        // Pairs with the fence in `notify_one`.
        fence(SeqCst);
        if work() {
            let mut sleepers = self.lock();
            if sleepers.remove(worker) {
                self.n_sleeping.fetch_sub(1, SeqCst);
                self.n_searching.fetch_add(1, SeqCst);
                return true;
            }
            let is_off_duty = sleepers.off_duty.contains(&worker);
            drop(sleepers);
            if is_off_duty {
                // Sent back a moment ago. The work may have been left to this searcher.
                self.notify_one();
            }
            // Else somebody has just picked this worker: take the token, so that it does not end the next sleep.
        }
        let parker = &self.parkers[worker];
        if keeps {
            parker.park_for(sleep_for(deadline))
        } else {
            parker.park()
        }
        self.woken(worker, is_over)
    }

    /// The end of a sleep, and the beginning of a thread. Answers whether the worker is a searcher now. A relief that was sent back
    /// meanwhile sleeps on.
    pub(crate) fn woken(&self, worker: usize, is_over: impl Fn() -> bool) -> bool {
        loop {
            let mut sleepers = self.lock();
            if sleepers.remove(worker) {
                // The time is up, or `poke`: nobody counted this worker as a searcher.
                self.n_sleeping.fetch_sub(1, SeqCst);
                return false;
            }
            let is_off_duty = sleepers.off_duty.contains(&worker);
            drop(sleepers);
            if !is_off_duty {
                self.parkers[worker].take_token();
                return true;
            }
            if is_over() {
                return false;
            }
            self.parkers[worker].park();
        }
    }

    /// Makes sure that a sleeper knows of a deadline that a busy worker or a thread outside has set.
    pub(crate) fn keep_timer(&self, deadline: u64) {
        let sleepers = self.lock();
        if sleepers.keeper.is_some_and(|(_, until)| until <= deadline) {
            return;
        }
        // It looks at the timers again and goes back to sleep as the keeper.
        if let Some(&worker) = sleepers.stack.last() {
            // Without a thread for it the timers are looked at by those who run.
            let _ = self.parkers[worker].unpark();
        }
    }

    /// Something that could have woken a task is over: lets `wait` look again.
    pub(crate) fn recheck(&self) {
        let _sleepers = self.lock();
        self.quiet.notify_all();
    }

    pub(crate) fn wake_all(&self) {
        self.recheck();
        for parker in &self.parkers {
            parker.give_token(&mut parker.state.lock());
        }
    }
}

/// Begins a worker's thread.
pub(crate) type Begin = Box<dyn FnMut() -> bool + Send>;

/// A token and a place to wait for it.
struct Parker {
    state: Mutex<ParkerState>,
    more: Condvar,
}

#[derive(Default)]
struct ParkerState {
    token: bool,
    /// The worker's thread has not begun.
    begin: Option<Begin>,
}

impl std::fmt::Debug for Parker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

impl Parker {
    fn new() -> Self {
        Self { state: Mutex::new(ParkerState::default()), more: Condvar::new() }
    }

    fn park(&self) {
        let mut state = self.state.lock();
        while !state.token {
            state = self.more.wait(state);
        }
        state.token = false;
    }

    fn park_for(&self, duration: Duration) {
        let mut state = self.state.lock();
        if !state.token {
            state = self.more.wait_for(state, duration);
        }
        state.token = false;
    }

    fn take_token(&self) {
        self.state.lock().token = false;
    }

    /// `false`: the worker has no thread yet, and there is none for it.
    #[must_use]
    fn unpark(&self) -> bool {
        let mut state = self.state.lock();
        if let Some(begin) = &mut state.begin {
            if !begin() {
                return false;
            }
            state.begin = None;
        }
        self.give_token(&mut state);
        true
    }

    fn give_token(&self, state: &mut ParkerState) {
        state.token = true;
        self.more.notify_one();
    }
}

#[cfg(all(test, loom))]
mod models;
