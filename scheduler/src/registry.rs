//! Every task that is alive, in shards: for reports, for the count, and to let go of what never ended.
//!
//! All tasks are counted; those that have had a turn and go on are listed. One shard a worker and one for threads outside, so
//! that entering a task takes a lock that is almost never contended, and counting none. The registry holds a strong reference: a
//! parked task that nobody can wake any more must still be found by the report.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

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
    workers: Vec<Counts>,
    outside: Counts,
}

/// Of tasks begun and ended in one place. Aligned to two cache lines, so that workers do not write to each other's.
#[derive(Debug, Default)]
#[repr(align(128))]
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
            workers: (0..n_workers).map(|_| Counts::default()).collect(),
            outside: Counts::default(),
        }
    }

    /// The id of a task that is begun by worker `worker`, on its thread: one that is never used again.
    pub(crate) fn begun_on(&self, worker: usize) -> u64 {
        self.id(count(&self.workers[worker].begun), worker)
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
        count(&self.workers[worker].ended);
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

    /// How many were begun and have not ended. While workers run it may be too many, and is never too few.
    pub(crate) fn n_live(&self) -> usize {
        let all = || self.workers.iter().chain([&self.outside]);
        // The ends first: who ends after that has begun, too.
        let n_ended: u64 = all().map(|counts| counts.ended.load(Acquire)).sum();
        let n_begun: u64 = all().map(|counts| counts.begun.load(Relaxed)).sum();
        usize::try_from(n_begun.saturating_sub(n_ended)).unwrap_or(usize::MAX)
    }

    /// The tasks that have had a turn and are alive now, in order of their ids.
    pub(crate) fn list(&self) -> Vec<TaskRef<T>> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            tasks.extend(shard.lock().slots.iter().flatten().cloned());
        }
        tasks.sort_by_key(TaskRef::id);
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
