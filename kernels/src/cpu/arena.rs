//! One block of memory for all buffers of a run, each at a place that was found beforehand.
//!
//! A model that runs on inputs of the same shapes asks for the same buffers in the same order. One such run is
//! watched: from when each buffer was taken and dropped follows where it may lie so that no two that are alive
//! together overlap ([`MemoryPlan`]). Later runs take their buffers from one block at these places, and no
//! allocator is asked.
//!
//! Nothing here believes that runs are alike. A request of another size than the watched one's, or one whose place
//! is still in use, gets a buffer of its own, and the run counts it as missed.
//!
//! Only the thread that runs the model is watched, and not inside the pieces of a kernel: which thread runs a piece
//! differs from run to run.

use std::cell::RefCell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::buffer::{ALIGN, max_tensor_bytes, reserve, unreserve};
use super::pages::Pages;
use super::pool::{Pool, Pooled};
use super::slab::Slab;

/// A run that takes more buffers is not planned: finding places takes time by the square of their number.
pub const MAX_BLOCKS: usize = 1024;
/// Bytes of the blocks that all plans keep for their next runs, when no run has them, at most: this or an eighth of what
/// tensors may take. More runs at once allocate theirs. They do not count as tensors.
pub const MAX_IDLE_BYTES: usize = 128 << 20;

static IDLE_BYTES: AtomicUsize = AtomicUsize::new(0);

fn may_keep(bytes: usize) -> bool {
    let limit = MAX_IDLE_BYTES.min(max_tensor_bytes() / 8);
    let fits = IDLE_BYTES.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= limit;
    if !fits {
        IDLE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
    fits
}

/// A buffer of the watched run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub bytes: usize,
    /// When it was taken and when it was dropped, counted in such events. What outlives the run has no end, and gets
    /// memory of its own.
    pub taken: u32,
    pub dropped: Option<u32>,
    /// Where it lies.
    pub offset: Option<usize>,
    /// Earlier buffers whose place overlaps.
    rivals: Box<[u32]>,
}

impl Block {
    fn size(&self) -> usize {
        self.bytes.next_multiple_of(ALIGN)
    }

    /// The place, when it has one in the common block.
    fn place(&self) -> Option<Range<usize>> {
        self.offset.map(|offset| offset..offset + self.size())
    }

    fn is_alive_with(&self, other: &Block) -> bool {
        let end = |block: &Block| block.dropped.unwrap_or(u32::MAX);
        self.taken < end(other) && other.taken < end(self)
    }
}

/// Where the buffers of a run lie.
pub struct MemoryPlan {
    blocks: Vec<Block>,
    bytes: usize,
    idle: Mutex<Vec<Arc<Arena>>>,
    n_runs: AtomicU64,
    n_missed: AtomicU64,
}

impl std::fmt::Debug for MemoryPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryPlan({} buffers in {} bytes)", self.blocks.len(), self.bytes)
    }
}

impl MemoryPlan {
    /// Finds the places: the largest buffer first, each as low as those alive with it allow.
    fn new(mut blocks: Vec<Block>) -> MemoryPlan {
        let mut order: Vec<usize> = (0..blocks.len()).filter(|&i| blocks[i].dropped.is_some()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(blocks[i].bytes), blocks[i].taken));
        for (n, &i) in order.iter().enumerate() {
            let beside = order[..n].iter().filter(|&&j| blocks[j].is_alive_with(&blocks[i]));
            let mut taken: Vec<Range<usize>> = beside.filter_map(|&j| blocks[j].place()).collect();
            taken.sort_by_key(|place| place.start);
            let mut at = 0;
            for place in taken {
                if at + blocks[i].size() <= place.start {
                    break;
                }
                at = at.max(place.end);
            }
            blocks[i].offset = Some(at);
        }
        for i in 0..blocks.len() {
            let Some(place) = blocks[i].place() else { continue };
            let overlaps = |other: Range<usize>| other.start < place.end && place.start < other.end;
            blocks[i].rivals = (0..i as u32).filter(|&j| blocks[j as usize].place().is_some_and(overlaps)).collect();
        }
        let bytes = blocks.iter().filter_map(Block::place).map(|place| place.end).max().unwrap_or(0);
        MemoryPlan { blocks, bytes, idle: Mutex::default(), n_runs: AtomicU64::new(0), n_missed: AtomicU64::new(0) }
    }

    /// The buffers, in the order in which they are taken.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Bytes of the common block.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs in this plan, and how often they went against it.
    pub fn runs(&self) -> (u64, u64) {
        (self.n_runs.load(Ordering::Relaxed), self.n_missed.load(Ordering::Relaxed))
    }

    /// The most bytes of its buffers that are alive at once: no places could need less.
    pub fn live_bytes(&self) -> usize {
        let planned = || self.blocks.iter().filter(|block| block.offset.is_some());
        let at = |time: u32| planned().filter(move |b| b.taken <= time && b.dropped.is_some_and(|end| time < end));
        planned().map(|block| at(block.taken).map(Block::size).sum()).max().unwrap_or(0)
    }

    /// Memory for one run; `None` when it would pass the limit of all tensors.
    fn lend(&self) -> Option<Arc<Arena>> {
        if !reserve(self.bytes) {
            return None;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if idle.is_some() {
            IDLE_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        let arena = idle.or_else(|| Arena::new(self.bytes, self.blocks.len()).map(Arc::new));
        match &arena {
            Some(arena) => arena.counts.store(true, Ordering::Relaxed),
            None => unreserve(self.bytes),
        }
        arena
    }

    /// `false`: a buffer outlives the run against the plan. It keeps the memory, which counts until that is dropped too.
    fn take_back(&self, mut arena: Arc<Arena>) -> bool {
        let Some(own) = Arc::get_mut(&mut arena) else { return false };
        unreserve(own.bytes);
        *own.counts.get_mut() = false;
        if may_keep(self.bytes) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        }
        true
    }
}

impl Drop for MemoryPlan {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        IDLE_BYTES.fetch_sub(idle.len() * self.bytes, Ordering::Relaxed);
    }
}

/// The memory of one run.
///
/// Invariant: a part of the memory is touched through the buffer alone that was placed there, for as long as its flag
/// in `live` is set.
pub struct Arena {
    memory: Slab,
    bytes: usize,
    live: Box<[AtomicBool]>,
    /// Whether the bytes are counted among those of tensors.
    counts: AtomicBool,
}

impl Arena {
    fn new(bytes: usize, n_blocks: usize) -> Option<Arena> {
        let live = (0..n_blocks).map(|_| AtomicBool::new(false)).collect();
        let memory = Slab::new(bytes)?;
        memory.enlarge();
        Some(Arena { memory, bytes, live, counts: AtomicBool::new(false) })
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if *self.counts.get_mut() {
            unreserve(self.bytes);
        }
    }
}

/// Where a buffer comes from, when it is not an allocation of its own that nobody watches.
pub enum Home {
    /// The `i`th one of a run that is watched, with memory of its own or of the run's pool.
    Watched { run: u64, i: u32, pool: Option<Arc<Slab>> },
    /// The `i`th place of a block.
    Placed { arena: Arc<Arena>, i: u32 },
    /// A part of memory that lasts.
    Lasting(Arc<Slab>),
    /// A part of a file's pages, for reading.
    Lent(Arc<Pages>, Range<usize>),
    /// A place in memory for a part of a file's pages that begins at an odd address.
    Odd(Box<Odd>),
}

/// What is copied when it is first looked at as numbers.
pub struct Odd {
    pub pages: Arc<Pages>,
    /// Inside `pages`.
    pub range: Range<usize>,
    pub place: Arc<Slab>,
}

impl Home {
    /// Memory from the pool of a run that is watched.
    pub fn take_pooled(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)> {
        let Home::Watched { run, pool, .. } = self else { return None };
        let take = |current: &RefCell<Option<Run>>| match &mut *current.borrow_mut() {
            Some(Run::Watch(watch)) if watch.id == *run => watch.pool.take(bytes),
            _ => None,
        };
        let block = RUN.try_with(take).ok()??;
        *pool = Some(block.slab);
        Some((block.ptr, block.capacity))
    }

    /// The buffer is dropped, with its `capacity` at `ptr`. Whether its memory goes with it, or stays a part of a block.
    pub fn leave(self, ptr: NonNull<u8>, capacity: usize) -> bool {
        match self {
            Home::Watched { run, i, pool } => {
                let is_own = pool.is_none();
                let mut block = pool.map(|slab| Pooled { ptr, capacity, slab });
                let _ = RUN.try_with(|current| match &mut *current.borrow_mut() {
                    Some(Run::Watch(watch)) if watch.id == run => {
                        watch.dropped(i);
                        watch.pool.give_back(block.take());
                    }
                    // It outlived the run, or is dropped by another thread.
                    _ => {}
                });
                if !is_own {
                    unreserve(capacity);
                }
                if let Some(block) = block {
                    block.slab.give_back(ptr, capacity);
                }
                is_own
            }
            Home::Placed { arena, i } => {
                // Release: pairs with the Acquire in `Planned::take`, so that all use of the place is over.
                arena.live[i as usize].store(false, Ordering::Release);
                false
            }
            Home::Lasting(_) | Home::Lent(..) | Home::Odd(_) => false,
        }
    }
}

/// What the current run says to a request for memory.
pub enum Taken {
    /// Nothing: an allocator serves it.
    No,
    /// An allocator serves it, and the buffer keeps this.
    Watched(Home),
    /// Here it is, alone at its place for as long as it keeps the home.
    Placed(NonNull<u8>, Home),
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

enum Run {
    Watch(Watch),
    Planned(Planned),
}

struct Watch {
    id: u64,
    pool: Pool,
    blocks: Vec<Block>,
    clock: u32,
    is_too_long: bool,
}

impl Watch {
    fn take(&mut self, bytes: usize) -> Taken {
        if self.blocks.len() >= MAX_BLOCKS {
            self.is_too_long = true;
            return Taken::No;
        }
        let i = self.blocks.len() as u32;
        let taken = self.tick();
        self.blocks.push(Block { bytes, taken, dropped: None, offset: None, rivals: Box::default() });
        Taken::Watched(Home::Watched { run: self.id, i, pool: None })
    }

    fn dropped(&mut self, i: u32) {
        let now = self.tick();
        if let Some(block) = self.blocks.get_mut(i as usize) {
            block.dropped = Some(now);
        }
    }

    fn tick(&mut self) -> u32 {
        self.clock += 1;
        self.clock
    }
}

struct Planned {
    plan: Arc<MemoryPlan>,
    arena: Arc<Arena>,
    next: usize,
    /// Requests since the run took another way than the watched one are missed.
    is_lost: bool,
    n_missed: usize,
}

impl Planned {
    fn take(&mut self, bytes: usize) -> Taken {
        let i = self.next;
        self.next += 1;
        let block = self.plan.blocks.get(i).filter(|block| block.bytes == bytes && !self.is_lost);
        let Some(block) = block else {
            self.is_lost = true;
            self.n_missed += 1;
            return Taken::No;
        };
        let Some(place) = block.place() else { return Taken::No };
        // Acquire: pairs with the Release in `Home::leave`.
        if block.rivals.iter().any(|&j| self.arena.live[j as usize].load(Ordering::Acquire)) {
            self.n_missed += 1;
            return Taken::No;
        }
        // Relaxed: only this thread places buffers.
        self.arena.live[i].store(true, Ordering::Relaxed);
        assert!(place.end <= self.arena.bytes, "places lie inside the block");
        // SAFETY: the place lies inside the memory.
        let ptr = unsafe { self.arena.memory.start().add(place.start) };
        Taken::Placed(ptr, Home::Placed { arena: self.arena.clone(), i: i as u32 })
    }
}

/// A request for `bytes` on this thread.
pub fn take(bytes: usize) -> Taken {
    if bytes == 0 {
        return Taken::No;
    }
    let take = |current: &RefCell<Option<Run>>| match &mut *current.borrow_mut() {
        None => Taken::No,
        Some(Run::Watch(watch)) => watch.take(bytes),
        Some(Run::Planned(planned)) => planned.take(bytes),
    };
    // A thread that ends has no run.
    RUN.try_with(take).unwrap_or(Taken::No)
}

/// Puts back what was there, also when the work panics.
struct Restore(Option<Run>);

impl Restore {
    fn enter(run: Option<Run>) -> Restore {
        Restore(RUN.replace(run))
    }

    /// The run that ends.
    fn leave(mut self) -> Option<Run> {
        let before = self.0.take();
        let run = RUN.replace(before);
        std::mem::forget(self);
        run
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let _ended = RUN.replace(self.0.take());
    }
}

/// Runs `work` as if no run were planned: what it takes is not the run's own.
pub fn aside<R>(work: impl FnOnce() -> R) -> R {
    if RUN.with_borrow(Option::is_none) {
        return work();
    }
    let _restore = Restore::enter(None);
    work()
}

/// Runs `work` and finds places for what it takes; `None` when it takes more than [`MAX_BLOCKS`] buffers.
pub fn watch<R>(work: impl FnOnce() -> R) -> (R, Option<MemoryPlan>) {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    let restore = Restore::enter(Some(Run::Watch(Watch {
        id,
        pool: Pool::default(),
        blocks: Vec::new(),
        clock: 0,
        is_too_long: false,
    })));
    let out = work();
    match restore.leave() {
        Some(Run::Watch(watch)) if !watch.is_too_long => (out, Some(MemoryPlan::new(watch.blocks))),
        _ => (out, None),
    }
}

/// Runs `work` in the places of `plan`, and says how often it went against the plan: buffers that came from elsewhere, and
/// whether one outlives the run that should not.
pub fn run<R>(plan: &Arc<MemoryPlan>, work: impl FnOnce() -> R) -> (R, usize) {
    let Some(arena) = plan.lend() else { return (work(), 0) };
    let planned = Planned { plan: plan.clone(), arena, next: 0, is_lost: false, n_missed: 0 };
    let restore = Restore::enter(Some(Run::Planned(planned)));
    let out = work();
    match restore.leave() {
        Some(Run::Planned(planned)) => {
            let n_missed = planned.n_missed + usize::from(!plan.take_back(planned.arena));
            plan.n_runs.fetch_add(1, Ordering::Relaxed);
            plan.n_missed.fetch_add(n_missed as u64, Ordering::Relaxed);
            (out, n_missed)
        }
        _ => (out, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpu::buffer::Buffer;

    fn block(bytes: usize, taken: u32, dropped: Option<u32>) -> Block {
        Block { bytes, taken, dropped, offset: None, rivals: Box::default() }
    }

    proptest! {
        #[test]
        fn no_two_buffers_that_are_alive_together_overlap(
            spans in proptest::collection::vec((1usize..5000, 0u32..60, 1u32..30, any::<bool>()), 0..60),
        ) {
            let blocks = spans.iter().map(|&(bytes, from, length, ends)| block(bytes, from, ends.then_some(from + length)));
            let plan = MemoryPlan::new(blocks.collect());
            for (i, a) in plan.blocks().iter().enumerate() {
                prop_assert_eq!(a.offset.is_some(), a.dropped.is_some());
                for (j, b) in plan.blocks()[..i].iter().enumerate() {
                    let (Some(x), Some(y)) = (a.place(), b.place()) else { continue };
                    let overlap = x.start < y.end && y.start < x.end;
                    prop_assert!(!(overlap && a.is_alive_with(b)), "{:?} {:?}", a, b);
                    prop_assert_eq!(overlap, a.rivals.contains(&(j as u32)));
                }
            }
            prop_assert!(plan.bytes() >= plan.live_bytes());
        }
    }

    /// Takes buffers of these sizes, keeps `keep` of them at a time, and gives their places.
    fn steps(sizes: &[usize], keep: usize) -> Vec<usize> {
        let mut alive = std::collections::VecDeque::new();
        let mut places = Vec::new();
        for (i, &n) in sizes.iter().enumerate() {
            let mut buffer = Buffer::for_overwrite::<u8>(n).unwrap();
            buffer.as_mut_slice::<u8>().fill(i as u8);
            places.push(buffer.as_slice::<u8>().as_ptr().addr());
            alive.push_back((i, buffer));
            for (i, buffer) in &alive {
                assert!(buffer.as_slice::<u8>().iter().all(|x| *x == *i as u8), "nobody else writes here");
            }
            if alive.len() > keep {
                alive.pop_front();
            }
        }
        places
    }

    #[test]
    fn a_planned_run_takes_no_other_memory_and_a_run_that_differs_stays_right() {
        let sizes = [100, 5000, 64, 5000, 70_000, 64, 100];
        let ((), plan) = watch(|| drop(steps(&sizes, 2)));
        let plan = Arc::new(plan.unwrap());
        assert_eq!(plan.blocks().len(), sizes.len());
        assert!(plan.bytes() < sizes.iter().sum::<usize>() && plan.bytes() >= plan.live_bytes());
        let (first, missed) = run(&plan, || steps(&sizes, 2));
        assert_eq!(missed, 0);
        assert_eq!(run(&plan, || steps(&sizes, 2)), (first, 0));
        // Buffers that live longer than the plan says get memory of their own.
        let (_, missed) = run(&plan, || steps(&sizes, 4));
        assert!(missed > 0);
        // So do those of another size, and all after them.
        let (_, missed) = run(&plan, || steps(&[100, 5001, 64], 2));
        assert_eq!(missed, 2);
        assert_eq!(run(&plan, || aside(|| steps(&[9, 9], 1)).len()), (2, 0));
    }

    #[test]
    fn a_buffer_that_outlives_its_run_keeps_its_bytes() {
        let ((), plan) = watch(|| drop(Buffer::for_overwrite::<u8>(500)));
        let plan = Arc::new(plan.unwrap());
        let (kept, missed) = run(&plan, || Buffer::from_slice(&[7u8; 500]).unwrap());
        let (other, _) = run(&plan, || Buffer::from_slice(&[8u8; 500]).unwrap());
        assert_eq!(missed, 1, "it was watched to be dropped");
        assert!(kept.as_slice::<u8>().iter().all(|x| *x == 7) && other.as_slice::<u8>().iter().all(|x| *x == 8));
        drop(plan);
        assert_eq!(kept.as_slice::<u8>()[499], 7);
    }
}
