//! Deadlines: who is woken when.
//!
//! One 4-ary heap a worker, so that setting a timer takes a lock that is almost never contended. Not a wheel: the heap
//! keeps exact order (equal deadlines fire in the order they were set), is as late as the clock and no later, and a
//! million timers are ten levels. Cancelling removes at once, so timeouts that never fire leave nothing behind and
//! "no timer is pending" means just that.
//!
//! Times are nanoseconds since the scheduler's epoch.

use std::sync::atomic::Ordering::Relaxed;

use crate::sync::{AtomicU64, Mutex};

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// A timer that was set. Cancelling one that has fired does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerKey {
    shard: u32,
    slot: u32,
    generation: u32,
}

/// The timers of all workers.
#[derive(Debug)]
pub(crate) struct Timers<P> {
    shards: Vec<Shard<P>>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Shard<P> {
    /// The earliest deadline, `NEVER` when there is none. Written under the lock.
    next: AtomicU64,
    heap: Mutex<TimerHeap<P>>,
}

impl<P> Timers<P> {
    pub(crate) fn new(n_shards: usize) -> Self {
        let shard = || Shard { next: AtomicU64::new(NEVER), heap: Mutex::new(TimerHeap::new()) };
        Self { shards: (0..n_shards).map(|_| shard()).collect() }
    }

    pub(crate) fn insert(&self, shard_idx: usize, deadline: u64, payload: P) -> TimerKey {
        let shard = &self.shards[shard_idx];
        let mut heap = shard.heap.lock();
        let (slot, generation) = heap.insert(deadline, payload);
        shard.next.store(heap.next(), Relaxed);
        TimerKey { shard: shard_idx as u32, slot, generation }
    }

    /// Gives the payload back if the timer had not fired.
    pub(crate) fn cancel(&self, key: TimerKey) -> Option<P> {
        let shard = &self.shards[key.shard as usize];
        let mut heap = shard.heap.lock();
        let payload = heap.remove(key.slot, key.generation);
        shard.next.store(heap.next(), Relaxed);
        payload
    }

    /// The earliest deadline of all, `NEVER` when there is none.
    pub(crate) fn next(&self) -> u64 {
        self.shards.iter().map(|shard| shard.next.load(Relaxed)).min().unwrap_or(NEVER)
    }

    /// Takes out what is due, a shard's own in order of deadlines.
    pub(crate) fn expire(&self, now: u64, due: &mut Vec<P>) {
        for shard in &self.shards {
            if shard.next.load(Relaxed) > now {
                continue;
            }
            let mut heap = shard.heap.lock();
            while let Some(payload) = heap.pop_due(now) {
                due.push(payload);
            }
            shard.next.store(heap.next(), Relaxed);
        }
    }

    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let old = std::mem::replace(&mut *shard.heap.lock(), TimerHeap::new());
            shard.next.store(NEVER, Relaxed);
            drop(old);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: u64,
    /// Orders equal deadlines.
    serial: u64,
    slot: u32,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.deadline, self.serial) < (other.deadline, other.serial)
    }
}

#[derive(Debug)]
struct Slot<P> {
    /// Counts uses of the slot, so that an old key does not cancel a new timer.
    generation: u32,
    /// The place in the heap; the next free slot when there is no payload.
    place: u32,
    payload: Option<P>,
}

const NO_SLOT: u32 = u32::MAX;
const ARITY: usize = 4;

#[derive(Debug)]
struct TimerHeap<P> {
    heap: Vec<Entry>,
    slots: Vec<Slot<P>>,
    first_free: u32,
    n_set: u64,
}

impl<P> TimerHeap<P> {
    fn new() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), first_free: NO_SLOT, n_set: 0 }
    }

    fn next(&self) -> u64 {
        self.heap.first().map_or(NEVER, |entry| entry.deadline)
    }

    fn insert(&mut self, deadline: u64, payload: P) -> (u32, u32) {
        let slot = if self.first_free == NO_SLOT {
            let slot = u32::try_from(self.slots.len()).expect("fewer than four thousand million timers");
            self.slots.push(Slot { generation: 0, place: 0, payload: Some(payload) });
            slot
        } else {
            let slot = self.first_free;
            let free = &mut self.slots[slot as usize];
            self.first_free = free.place;
            free.payload = Some(payload);
            slot
        };
        let serial = self.n_set;
        self.n_set += 1;
        // `NEVER` itself means "no timer".
        self.heap.push(Entry { deadline: deadline.min(NEVER - 1), serial, slot });
        self.sift_up(self.heap.len() - 1);
        (slot, self.slots[slot as usize].generation)
    }

    fn remove(&mut self, slot: u32, generation: u32) -> Option<P> {
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.generation != generation {
            return None;
        }
        let payload = entry.payload.take()?;
        entry.generation = generation.wrapping_add(1);
        let place = std::mem::replace(&mut entry.place, self.first_free) as usize;
        self.first_free = slot;
        let last = self.heap.pop()?;
        if place < self.heap.len() {
            self.heap[place] = last;
            self.slots[last.slot as usize].place = place as u32;
            self.sift_down(place);
            self.sift_up(place);
        }
        Some(payload)
    }

    fn pop_due(&mut self, now: u64) -> Option<P> {
        let first = self.heap.first().filter(|entry| entry.deadline <= now)?;
        let slot = first.slot;
        self.remove(slot, self.slots[slot as usize].generation)
    }

    fn sift_up(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if !entry.before(&self.heap[parent]) {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
    }

    fn sift_down(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let first = place * ARITY + 1;
            let children = first..self.heap.len().min(first + ARITY);
            let least = children.reduce(|a, b| if self.heap[b].before(&self.heap[a]) { b } else { a });
            let Some(least) = least.filter(|&least| self.heap[least].before(&entry)) else { break };
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.slots[entry.slot as usize].place = place as u32;
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn due(timers: &Timers<u32>, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        timers.expire(now, &mut due);
        due
    }

    #[test]
    fn timers_fire_in_order_and_equal_ones_in_the_order_they_were_set() {
        let timers = Timers::new(1);
        for (deadline, name) in [(30, 3), (10, 1), (20, 2), (10, 11), (10, 12)] {
            timers.insert(0, deadline, name);
        }
        assert_eq!(timers.next(), 10);
        assert_eq!(due(&timers, 9), []);
        assert_eq!(due(&timers, 10), [1, 11, 12]);
        assert_eq!(due(&timers, 100), [2, 3]);
        assert_eq!(timers.next(), NEVER);
    }

    #[test]
    fn a_cancelled_timer_is_gone_and_its_key_is_dead() {
        let timers = Timers::new(2);
        let key = timers.insert(1, 5, 1);
        assert_eq!(timers.cancel(key), Some(1));
        assert_eq!(timers.next(), NEVER);
        let reused = timers.insert(1, 6, 2);
        assert_eq!(timers.cancel(key), None);
        assert_eq!(due(&timers, 6), [2]);
        assert_eq!(timers.cancel(reused), None);
    }

    #[test]
    fn a_deadline_beyond_time_is_still_a_timer() {
        let timers = Timers::new(1);
        let key = timers.insert(0, NEVER, 1);
        assert!(timers.next() < NEVER);
        assert_eq!(timers.cancel(key), Some(1));
    }

    #[test]
    fn any_mix_of_setting_and_cancelling_keeps_the_order() {
        let mut rng = Rng::new(7);
        let timers = Timers::new(1);
        let mut expected: Vec<(u64, u32)> = Vec::new();
        let mut keys = Vec::new();
        for name in 0..2_000 {
            let deadline = rng.next_u64() % 500;
            keys.push((timers.insert(0, deadline, name), name));
            expected.push((deadline, name));
            if rng.below(3) == 0 {
                let (key, name) = keys.swap_remove(rng.below(keys.len()));
                assert_eq!(timers.cancel(key), Some(name));
                expected.retain(|(_, other)| *other != name);
            }
        }
        expected.sort();
        assert_eq!(due(&timers, 500), expected.into_iter().map(|(_, name)| name).collect::<Vec<_>>());
    }
}
