//! Every task that is alive, in shards: for reports, for the count, and to let go of what never ended.
//!
//! One shard a worker and one for threads outside, so that spawning takes a lock that is almost never contended. The
//! registry holds a strong reference: a parked task that nobody can wake any more must still be found by the report.

use parking_lot::Mutex;

use crate::task::{Task, TaskRef};

#[derive(Debug)]
pub(crate) struct Shard<T: Task> {
    /// One word a task: a million may be parked.
    slots: Vec<Option<TaskRef<T>>>,
    /// The slots without a task.
    free: Vec<u32>,
    /// Counts tasks ever begun in this shard, for ids.
    n_begun: u64,
}

#[derive(Debug)]
pub(crate) struct Registry<T: Task> {
    shards: Vec<Mutex<Shard<T>>>,
}

impl<T: Task> Registry<T> {
    pub(crate) fn new(n_shards: usize) -> Self {
        let shard = || Mutex::new(Shard { slots: Vec::new(), free: Vec::new(), n_begun: 0 });
        Self { shards: (0..n_shards).map(|_| shard()).collect() }
    }

    /// Enters the task that `make(id, slot)` builds, under an id that is never used again.
    pub(crate) fn insert(&self, shard_idx: usize, make: impl FnOnce(u64, u32) -> TaskRef<T>) -> TaskRef<T> {
        let mut shard = self.shards[shard_idx].lock();
        let id = shard.n_begun * self.shards.len() as u64 + shard_idx as u64 + 1;
        shard.n_begun += 1;
        if let Some(slot) = shard.free.pop() {
            let task = make(id, slot);
            shard.slots[slot as usize] = Some(task.clone());
            return task;
        }
        let slot = u32::try_from(shard.slots.len()).expect("fewer than four thousand million live tasks");
        let task = make(id, slot);
        shard.slots.push(Some(task.clone()));
        task
    }

    pub(crate) fn remove(&self, shard_idx: usize, slot: u32) {
        let mut shard = self.shards[shard_idx].lock();
        let before = shard.slots[slot as usize].take();
        shard.free.push(slot);
        drop(shard);
        // After the lock: the last reference may run a destructor.
        drop(before);
    }

    pub(crate) fn n_live(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|shard| shard.slots.len() - shard.free.len()).sum()
    }

    /// The tasks alive now, in order of their ids.
    pub(crate) fn list(&self) -> Vec<TaskRef<T>> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            tasks.extend(shard.lock().slots.iter().flatten().cloned());
        }
        tasks.sort_by_key(TaskRef::id);
        tasks
    }

    /// Empties the registry and gives what was alive.
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
