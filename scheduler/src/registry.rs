//! Every task that is alive, in shards: for reports, for the count, and to let go of what never ended.
//!
//! All tasks are counted; those that have begun are listed. One shard a worker and one for threads outside, so that entering a
//! task takes a lock that is almost never contended, and counting none. The registry holds a strong reference: a parked task that
//! nobody can wake any more must still be found by the report. A task in its first turn, which nearly always is a short one's
//! last, is not entered but shown by its worker for so long.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
use std::sync::atomic::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst};

use parking_lot::Mutex;

use crate::task::{Task, TaskRef};

#[derive(Debug)]
pub(crate) struct Shard<T: Task> {
    /// One word a task: a million may be parked.
    slots: Vec<Option<TaskRef<T>>>,
    /// The slots without a task.
    free: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Registry<T: Task> {
    shards: Vec<Mutex<Shard<T>>>,
    /// By worker.
    workers: Vec<Place<T>>,
    outside: Counts,
    /// How many are about to look at what workers show.
    n_lookers: AtomicUsize,
    looking: Mutex<()>,
}

/// What one worker alone writes. Aligned to two cache lines, so that workers do not write to each other's.
#[derive(Debug)]
#[repr(align(128))]
struct Place<T: Task> {
    counts: Counts,
    /// The references of the turns under way, the second inside the first, while those are their tasks' first turns.
    shown: [AtomicPtr<TaskRef<T>>; 2],
}

/// Of tasks begun and ended in one place.
#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Adds one to a counter that this thread alone writes; what it was. Who reads it sees what was done before.
fn count(counter: &AtomicU64) -> u64 {
    let before = counter.load(Relaxed);
    counter.store(before + 1, Release);
    before
}

impl<T: Task> Registry<T> {
    pub(crate) fn new(n_workers: usize, n_shards: usize) -> Self {
        let shard = || Mutex::new(Shard { slots: Vec::new(), free: Vec::new() });
        Self {
            shards: (0..n_shards).map(|_| shard()).collect(),
            workers: (0..n_workers).map(|_| Place { counts: Counts::default(), shown: Default::default() }).collect(),
            outside: Counts::default(),
            n_lookers: AtomicUsize::new(0),
            looking: Mutex::new(()),
        }
    }

    /// The id of a task that is begun by worker `worker`, on its thread: one that is never used again.
    pub(crate) fn begun_on(&self, worker: usize) -> u64 {
        self.id(count(&self.workers[worker].counts.begun), worker)
    }

    /// As `begun_on`, of one that no worker's turn begins.
    pub(crate) fn begun_outside(&self) -> u64 {
        self.id(self.outside.begun.fetch_add(1, Relaxed), self.shards.len() - 1)
    }

    fn id(&self, n_before: u64, place: usize) -> u64 {
        n_before * self.shards.len() as u64 + place as u64 + 1
    }

    /// A task has ended in a turn that worker `worker` gave it, on its thread.
    pub(crate) fn ended_on(&self, worker: usize) {
        count(&self.workers[worker].counts.ended);
    }

    /// A task was let go of outside of turns.
    pub(crate) fn ended_outside(&self) {
        self.outside.ended.fetch_add(1, Release);
    }

    /// Lists `task`, which is not done; answers its place in the shard.
    pub(crate) fn insert(&self, shard_idx: usize, task: TaskRef<T>) -> u32 {
        let mut shard = self.shards[shard_idx].lock();
        if let Some(slot) = shard.free.pop() {
            shard.slots[slot as usize] = Some(task);
            return slot;
        }
        let slot = u32::try_from(shard.slots.len()).expect("fewer than four thousand million live tasks");
        shard.slots.push(Some(task));
        slot
    }

    pub(crate) fn remove(&self, shard_idx: usize, slot: u32) {
        let mut shard = self.shards[shard_idx].lock();
        let before = shard.slots[slot as usize].take();
        shard.free.push(slot);
        drop(shard);
        // After the lock: the last reference may run a destructor.
        drop(before);
    }

    fn all_counts(&self) -> impl Iterator<Item = &Counts> {
        self.workers.iter().map(|place| &place.counts).chain([&self.outside])
    }

    fn n_begun(&self) -> u64 {
        self.all_counts().map(|counts| counts.begun.load(Acquire)).sum()
    }

    fn n_ended(&self) -> u64 {
        self.all_counts().map(|counts| counts.ended.load(Acquire)).sum()
    }

    /// How many were begun and have not ended. While workers run it may be too many, and is never too few.
    pub(crate) fn n_live(&self) -> usize {
        // The ends first: who ends after that has begun, too.
        let n_ended = self.n_ended();
        usize::try_from(self.n_begun().saturating_sub(n_ended)).unwrap_or(usize::MAX)
    }

    /// As `n_live`; while workers run it may be too few, and at some moment of the call there were so many: for limits.
    pub(crate) fn n_live_at_least(&self) -> usize {
        let n_begun = self.n_begun();
        usize::try_from(n_begun.saturating_sub(self.n_ended())).unwrap_or(usize::MAX)
    }

    /// Shows `task`, whose first turn begins on worker `worker`, on its thread; `is_inner`: inside another turn. Until `hide` the
    /// reference stays where it is.
    pub(crate) fn show(&self, worker: usize, is_inner: bool, task: &TaskRef<T>) {
        self.workers[worker].shown[usize::from(is_inner)].store(ptr::from_ref(task).cast_mut(), Release);
    }

    /// The turn is over, and the task has ended or is listed.
    pub(crate) fn hide(&self, worker: usize, is_inner: bool) {
        self.workers[worker].shown[usize::from(is_inner)].swap(ptr::null_mut(), SeqCst);
        // Who looks has said so before: either it is seen here, or it sees that nothing is shown any more.
        if self.n_lookers.load(SeqCst) > 0 {
            drop(self.looking.lock());
        }
    }

    /// The tasks that have begun and are alive now, in order of their ids.
    pub(crate) fn list(&self) -> Vec<TaskRef<T>> {
        // First what is shown: it is listed before it is shown no more.
        let mut tasks = self.list_shown();
        for shard in &self.shards {
            tasks.extend(shard.lock().slots.iter().flatten().cloned());
        }
        tasks.sort_by_key(TaskRef::id);
        tasks.dedup();
        tasks
    }

    fn list_shown(&self) -> Vec<TaskRef<T>> {
        self.n_lookers.fetch_add(1, SeqCst);
        let looking = self.looking.lock();
        let shown = self.workers.iter().flat_map(|place| &place.shown).map(|shown| shown.load(SeqCst));
        // SAFETY: what is shown is there until `hide`, which comes after this load, so it sees that somebody looks and waits for
        // the lock.
        let tasks = shown.filter_map(|task| unsafe { task.as_ref() }.cloned()).collect();
        drop(looking);
        self.n_lookers.fetch_sub(1, SeqCst);
        tasks
    }

    /// Empties the registry and gives what was in it.
    pub(crate) fn drain(&self) -> Vec<TaskRef<T>> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.free = Vec::new();
            tasks.extend(std::mem::take(&mut shard.slots).into_iter().flatten());
        }
        tasks
    }
}
