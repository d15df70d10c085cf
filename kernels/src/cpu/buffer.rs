//! Aligned storage of plain numbers, viewed as slices of any of them; a copy may lie in a device's memory.
//!
//! Invariant: `ptr` points at `capacity` initialised bytes, aligned to [`ALIGN`], owned by this buffer, or its alone in
//! a larger block that its home keeps alive. What is lent is there for `bytes`, and never written.
//! What a device computed is fetched when the host first looks; a write by the host drops the device's copy. What is lent
//! from an odd address is fetched likewise: it is copied to where it can be looked at as numbers.
//! Every [`Pod`] is valid for every bit pattern, so a view as another element type is odd but never unsound.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use half::{bf16, f16};

use super::arena::{self, Home, Odd, Taken};
use super::pages::{Pages, Words};
use super::slab::{self, Slab};
use crate::accelerator::{Memory, note_fault};
use crate::error::{Result, TensorError};

/// A cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// The default of [`set_max_tensor_bytes`]: 16 GiB.
pub const DEFAULT_MAX_TENSOR_BYTES: usize = 16 << 30;

static MAX_TENSOR_BYTES: AtomicUsize = AtomicUsize::new(DEFAULT_MAX_TENSOR_BYTES);

/// Bytes of all buffers that are alive. Tensors are shared between tasks, so no task's own limit can count them.
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// From now on storage that would bring all tensors together above `bytes` is refused with [`TensorError::TooLarge`],
/// process-wide.
pub fn set_max_tensor_bytes(bytes: usize) {
    MAX_TENSOR_BYTES.store(bytes.min(isize::MAX as usize - ALIGN), Ordering::Relaxed);
}

/// Bytes of the buffers of all tensors of the process.
pub fn live_tensor_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

static ON_ALLOCATION: OnceLock<fn(usize)> = OnceLock::new();

/// Has `see` called with the bytes of every buffer that is taken from now on, on the thread that takes it. The first call
/// counts.
pub fn on_tensor_allocation(see: fn(usize)) {
    let _ = ON_ALLOCATION.set(see);
}

#[inline]
fn tell(bytes: usize) {
    if let Some(see) = ON_ALLOCATION.get() {
        see(bytes);
    }
}

/// Counts `bytes` among those of all tensors, unless that would pass the limit.
pub(super) fn reserve(bytes: usize) -> bool {
    let before = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed);
    let fits = before.saturating_add(bytes) <= max_tensor_bytes();
    if !fits {
        unreserve(bytes);
    }
    fits
}

pub(super) fn unreserve(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

pub fn max_tensor_bytes() -> usize {
    MAX_TENSOR_BYTES.load(Ordering::Relaxed)
}

/// Plain numbers: any bits are a value.
///
/// # Safety
/// No padding, no invalid bit patterns, alignment at most [`ALIGN`].
pub unsafe trait Pod: Copy + Default + PartialEq + Send + Sync + std::fmt::Debug + 'static {}

/// A stored bool: 0 is false, anything else true. Our own code writes 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bit(pub u8);

macro_rules! pods {
    ($($T:ty),*) => { $(
        // SAFETY: a number (or a transparent wrapper of one) of at most 8 bytes; any bits are a value.
        unsafe impl Pod for $T {}
    )* };
}
pods!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, f16, bf16, Bit);

pub struct Buffer {
    ptr: NonNull<u8>,
    bytes: usize,
    capacity: usize,
    /// Where it came from, when a run is watched or planned.
    home: Option<Home>,
    /// The same bytes on a device.
    device: OnceLock<Arc<dyn Memory>>,
    /// The bytes are a device's, or lent from an odd address; they are at `ptr` once `fetched` is set.
    is_elsewhere: bool,
    fetched: OnceLock<()>,
}

// SAFETY: the memory is owned, and reached mutably only through `&mut Buffer`.
unsafe impl Send for Buffer {}
// SAFETY: as above; `&Buffer` only reads, save for the one fetch, which `fetched` orders before every read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `n` zeros of `T`.
    pub fn zeroed<T: Pod>(n: usize) -> Result<Buffer> {
        Buffer::zeroed_bytes(n.checked_mul(size_of::<T>()).unwrap_or(usize::MAX))
    }

    /// `n` numbers that the caller overwrites, each of them: until then they are whatever was there before.
    pub fn for_overwrite<T: Pod>(n: usize) -> Result<Buffer> {
        Ok(Buffer::take(n.checked_mul(size_of::<T>()).unwrap_or(usize::MAX))?.0)
    }

    pub fn zeroed_bytes(bytes: usize) -> Result<Buffer> {
        let (mut buffer, is_zeroed) = Buffer::take(bytes)?;
        if !is_zeroed {
            buffer.as_mut_slice::<u8>().fill(0);
        }
        Ok(buffer)
    }

    /// `n` zeros of `T` that stay for long and are read in every run: weights.
    pub fn lasting<T: Pod>(n: usize) -> Result<Buffer> {
        let bytes = n.checked_mul(size_of::<T>()).unwrap_or(usize::MAX);
        if bytes < LASTING { Buffer::zeroed::<T>(n) } else { Buffer::in_slab(bytes, slab::take) }
    }

    /// Zeros in memory of the system's that no allocator has.
    fn in_slab(bytes: usize, take: fn(usize) -> Option<(NonNull<u8>, Arc<Slab>)>) -> Result<Buffer> {
        let too_large = TensorError::too_large(bytes);
        let capacity = bytes.checked_next_multiple_of(ALIGN).filter(|&n| reserve(n)).ok_or(too_large.clone())?;
        let Some((ptr, slab)) = take(bytes) else {
            unreserve(capacity);
            return Err(too_large);
        };
        tell(capacity);
        Ok(Buffer::on_host(ptr, bytes, capacity, Some(Home::Lasting(slab))))
    }

    /// The bytes `range` of `pages`, to be read and not written; `None` when they are not inside. Those that are aligned as a
    /// buffer's are do not count among those of tensors. For others a place is set aside now, so that a later copy needs no
    /// memory.
    pub fn lent(pages: &Arc<Pages>, range: Range<usize>) -> Result<Option<Buffer>> {
        let Some(bytes) = pages.bytes().get(range.clone()) else { return Ok(None) };
        let ptr = NonNull::from(bytes).cast::<u8>();
        if ptr.addr().get().is_multiple_of(ALIGN) {
            let home = Home::Lent(pages.clone(), range);
            return Ok(Some(Buffer::on_host(ptr, bytes.len(), 0, Some(home))));
        }
        let mut buffer = Buffer::in_slab(bytes.len(), slab::take_late)?;
        if let Some(Home::Lasting(place)) = buffer.home.take() {
            buffer.home = Some(Home::Odd(Box::new(Odd { pages: pages.clone(), range, place })));
            buffer.is_elsewhere = true;
        }
        Ok(Some(buffer))
    }

    pub fn is_lent(&self) -> bool {
        matches!(self.home, Some(Home::Lent(..) | Home::Odd(_)))
    }

    /// Whether the bytes are those of a file, which are mapped from now on for who looks at them there.
    pub fn maps_file(&self) -> bool {
        let Some((pages, range)) = self.lent_range().filter(|(pages, _)| pages.is_file()) else { return false };
        pages.map_now(range);
        true
    }

    /// Where the bytes lie that are lent.
    fn lent_range(&self) -> Option<(&Pages, Range<usize>)> {
        match &self.home {
            Some(Home::Odd(odd)) => Some((&odd.pages, odd.range.clone())),
            Some(Home::Lent(pages, range)) => Some((pages, range.clone())),
            _ => None,
        }
    }

    /// All words, for who reads each once: what is lent is not copied to be looked at.
    pub fn words(&self) -> Words<'_> {
        match self.lent_range() {
            Some((pages, range)) => Words::lent(pages, range),
            None => Words::here(self.as_slice::<u8>().as_chunks().0),
        }
    }

    /// Copies bytes from `start` on, as [`Buffer::words`] gives them.
    pub fn copy_bytes(&self, start: usize, into: &mut [u8]) {
        match self.lent_range() {
            Some((pages, range)) => {
                assert!(start + into.len() <= range.len(), "what is copied is there");
                pages.copy(range.start + start, into);
            }
            None => into.copy_from_slice(&self.as_slice::<u8>()[start..][..into.len()]),
        }
    }

    /// A buffer of any bytes, and whether they are zeros.
    fn take(bytes: usize) -> Result<(Buffer, bool)> {
        if bytes >= LASTING && !KEEPS.try_with(Cell::get).unwrap_or(true) {
            return Ok((Buffer::in_slab(bytes, slab::take_alone)?, true));
        }
        let mut home = match arena::take(bytes) {
            Taken::Placed(ptr, home) => {
                let capacity = bytes.next_multiple_of(ALIGN);
                tell(capacity);
                return Ok((Buffer::on_host(ptr, bytes, capacity, Some(home)), false));
            }
            Taken::Watched(home) => Some(home),
            Taken::No => None,
        };
        if let Some(mut buffer) = Buffer::recycled(bytes) {
            buffer.home = home;
            return Ok((buffer, false));
        }
        if let Some((ptr, capacity)) = home.as_mut().and_then(|home| home.take_pooled(bytes)) {
            tell(capacity);
            return Ok((Buffer::on_host(ptr, bytes, capacity, home), false));
        }
        let mut buffer = Buffer::fresh(bytes)?;
        buffer.home = home;
        Ok((buffer, true))
    }

    fn recycled(bytes: usize) -> Option<Buffer> {
        if !RECYCLED_SIZES.contains(&bytes) {
            return None;
        }
        let limit = max_tensor_bytes();
        let (ptr, capacity) = KEPT.try_with(|kept| kept.borrow_mut().take(bytes)).ok().flatten()?;
        let buffer = Buffer::on_host(ptr, bytes, capacity, None);
        // From here on the buffer counts, and gives its count back when it is dropped.
        let before = LIVE_BYTES.fetch_add(capacity, Ordering::Relaxed);
        tell(capacity);
        (before + capacity <= limit).then_some(buffer)
    }

    fn fresh(bytes: usize) -> Result<Buffer> {
        if bytes > max_tensor_bytes() {
            return Err(TensorError::too_large(bytes));
        }
        if bytes == 0 {
            return Ok(Buffer::on_host(dangling(), bytes, 0, None));
        }
        // At the limit a block has no more than is asked for.
        let sizes = [block_size(bytes), bytes.next_multiple_of(ALIGN)];
        let capacity =
            sizes.into_iter().find(|&capacity| reserve(capacity)).ok_or_else(|| TensorError::too_large(bytes))?;
        let ptr = match Layout::from_size_align(capacity, ALIGN) {
            // SAFETY: the layout has a size above 0.
            Ok(layout) => unsafe { alloc_zeroed(layout) },
            Err(_) => std::ptr::null_mut(),
        };
        match NonNull::new(ptr) {
            Some(ptr) => {
                advise_huge(ptr, capacity);
                tell(capacity);
                Ok(Buffer::on_host(ptr, bytes, capacity, None))
            }
            None => {
                unreserve(capacity);
                Err(TensorError::too_large(bytes))
            }
        }
    }

    pub fn from_slice<T: Pod>(values: &[T]) -> Result<Buffer> {
        let mut buffer = Buffer::zeroed::<T>(values.len())?;
        buffer.as_mut_slice().copy_from_slice(values);
        Ok(buffer)
    }

    pub fn n_bytes(&self) -> usize {
        self.bytes
    }

    fn on_host(ptr: NonNull<u8>, bytes: usize, capacity: usize, home: Option<Home>) -> Buffer {
        let (device, fetched) = (OnceLock::new(), OnceLock::new());
        Buffer { ptr, bytes, capacity, home, device, is_elsewhere: false, fetched }
    }

    /// What a device holds. The host's place for it is set aside now, so that a later fetch needs no memory.
    pub fn on_device(memory: Arc<dyn Memory>, bytes: usize) -> Result<Buffer> {
        let mut buffer = Buffer::for_overwrite::<u8>(bytes)?;
        buffer.device = OnceLock::from(memory);
        buffer.is_elsewhere = true;
        Ok(buffer)
    }

    pub fn device(&self) -> Option<&Arc<dyn Memory>> {
        self.device.get()
    }

    /// The device that is to be asked before the bytes can be looked at here.
    pub fn to_fetch(&self) -> Option<&Arc<dyn Memory>> {
        if self.is_here() { None } else { self.device.get() }
    }

    #[inline(always)]
    fn is_here(&self) -> bool {
        !self.is_elsewhere || self.fetched.get().is_some()
    }

    /// Remembers a device's copy of the bytes; the first one stays.
    pub fn set_device(&self, memory: Arc<dyn Memory>) {
        let _ = self.device.set(memory);
    }

    /// From here on the bytes are the host's alone.
    pub fn leave_device(&mut self) {
        self.fetch();
        self.device = OnceLock::new();
    }

    #[inline(always)]
    fn fetch(&self) {
        if !self.is_here() {
            self.fetch_now();
        }
    }

    #[cold]
    fn fetch_now(&self) {
        self.fetched.get_or_init(|| {
            // SAFETY: the invariant gives `bytes` bytes; nobody has a view of them before `fetched` is set, which
            // happens once, after this.
            let into = unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.bytes) };
            if let Some(Home::Odd(odd)) = &self.home {
                return odd.pages.copy(odd.range.start, into);
            }
            let Some(memory) = self.device.get() else { return };
            if let Err(reason) = memory.read(into) {
                into.fill(0);
                note_fault(reason);
            }
        });
    }

    /// All of it as elements of `T`; a remainder smaller than one element is left out.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        self.fetch();
        // SAFETY: the invariant gives `bytes` initialised bytes, aligned for any `Pod`, whose bits are all valid.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }

    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        if self.device.get().is_some() {
            self.leave_device();
        }
        assert!(!self.is_lent(), "what is lent is copied before it is written");
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only view of what is the buffer's own.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }
}

/// Weights of fewer bytes than this are cached anyway, and would share a large page with others for nothing.
const LASTING: usize = 32 << 10;
/// Blocks of these sizes are kept for the next tensor: smaller ones the allocator gives quickly, larger ones are rare.
const RECYCLED_SIZES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 20;
/// What each thread keeps at most: blocks, and bytes of all together.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 128 << 20;

/// The size of a block for `bytes`. Blocks that are kept come in four sizes from one power of two to the next, so that a
/// tensor that grows with each step, as a cache of keys and values does, finds the one of an earlier step. What is beyond the
/// tensor counts, but is not touched.
pub(super) fn block_size(bytes: usize) -> usize {
    match RECYCLED_SIZES.contains(&bytes) {
        true => bytes.next_multiple_of(bytes.next_power_of_two() / 8),
        false => bytes.next_multiple_of(ALIGN),
    }
}

/// Blocks of dropped buffers. A model asks for the same sizes in every run, and a fresh large block costs a page
/// fault every 4 KiB (some 0.5 µs each), more than many kernels take for that much.
#[derive(Default)]
struct Kept {
    /// The oldest first.
    blocks: Vec<(NonNull<u8>, usize)>,
    bytes: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
    static KEEPS: Cell<bool> = const { Cell::new(true) };
}

/// Does `work`, whose buffers come from the system and go back to it when they are dropped: what is done once would only keep
/// memory from others. Small ones are not worth that.
pub fn without_keeping<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            KEEPS.set(self.0);
        }
    }
    let _restore = Restore(KEEPS.replace(false));
    work()
}

impl Kept {
    /// The newest block with room for `bytes` that is not much larger: its memory is likely still in the cache.
    fn take(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)> {
        let room = bytes..=block_size(bytes).max(bytes + bytes / 4 + ALIGN);
        let at = self.blocks.iter().rposition(|(_, capacity)| room.contains(capacity))?;
        let block = self.blocks.remove(at);
        self.bytes -= block.1;
        Some(block)
    }

    /// Whether the block was kept; room is made by letting the oldest go.
    fn put(&mut self, ptr: NonNull<u8>, capacity: usize) -> bool {
        while self.blocks.len() >= MAX_KEPT || (self.bytes + capacity > MAX_KEPT_BYTES && !self.blocks.is_empty()) {
            let (ptr, capacity) = self.blocks.remove(0);
            self.bytes -= capacity;
            free(ptr, capacity);
        }
        self.blocks.push((ptr, capacity));
        self.bytes += capacity;
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.blocks.drain(..).for_each(|(ptr, capacity)| free(ptr, capacity));
    }
}

/// Blocks from this size on are put on huge pages where the system gives them only to who asks (Linux's `madvise`): their
/// tables are shorter and one fault takes in 2 MiB. The allocator asks for none, since a process of few small objects
/// would pay for whole ones.
const HUGE_FROM: usize = 4 << 20;

#[cfg(target_os = "linux")]
fn advise_huge(ptr: NonNull<u8>, capacity: usize) {
    /// The largest page that a system counts by (64 KiB, on some ARM systems).
    const PAGE: usize = 64 << 10;
    if capacity < HUGE_FROM {
        return;
    }
    let skipped = ptr.as_ptr().align_offset(PAGE);
    // SAFETY: the pages from `skipped` on lie within the block, and the advice changes nothing that is in them. It may be
    // refused: then the pages are small.
    unsafe { libc::madvise(ptr.as_ptr().add(skipped).cast(), (capacity - skipped) & !(PAGE - 1), libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge(_: NonNull<u8>, _: usize) {}

/// Gives back what `Buffer::fresh` took: called once for each block, by its last owner.
fn free(ptr: NonNull<u8>, capacity: usize) {
    // SAFETY: allocated in `Buffer::fresh` with this very size and alignment, and nobody owns it any more.
    unsafe { dealloc(ptr.as_ptr(), Layout::from_size_align_unchecked(capacity, ALIGN)) }
}

fn dangling() -> NonNull<u8> {
    // SAFETY: ALIGN is not zero, so neither is the address.
    unsafe { NonNull::new_unchecked(std::ptr::without_provenance_mut(ALIGN)) }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let home = self.home.take();
        let slab = match &home {
            Some(Home::Lasting(slab)) => Some(slab),
            Some(Home::Odd(odd)) => Some(&odd.place),
            _ => None,
        };
        if let Some(slab) = slab {
            slab.give_back(self.ptr, self.capacity);
            unreserve(self.capacity);
            return;
        }
        let owns = home.is_none_or(|home| home.leave(self.ptr, self.capacity));
        if owns && self.capacity > 0 {
            LIVE_BYTES.fetch_sub(self.capacity, Ordering::Relaxed);
            let keep = |kept: &RefCell<Kept>| kept.borrow_mut().put(self.ptr, self.capacity);
            let is_kept = RECYCLED_SIZES.contains(&self.capacity) && KEEPS.try_with(Cell::get).unwrap_or(false);
            if is_kept && KEPT.try_with(keep).unwrap_or(false) {
                return;
            }
            free(self.ptr, self.capacity);
        }
    }
}

/// Bytes of any plain numbers.
pub fn bytes_of<T: Pod>(values: &[T]) -> &[u8] {
    // SAFETY: a `Pod` has no padding, so all its bytes are initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_again_and_zeros_are_zeros() {
        let mut buffer = Buffer::zeroed::<f32>(5000).unwrap();
        buffer.as_mut_slice::<f32>().fill(1.0);
        let place = buffer.ptr;
        drop(buffer);
        let again = Buffer::zeroed::<f32>(4800).unwrap();
        assert_eq!(again.ptr, place);
        assert!(again.as_slice::<f32>().len() == 4800 && again.as_slice::<f32>().iter().all(|x| *x == 0.0));
        drop(again);
        assert_eq!(Buffer::for_overwrite::<u8>(20_000).unwrap().ptr, place);
        assert_ne!(Buffer::for_overwrite::<u8>(9_000).unwrap().ptr, place);
    }

    #[test]
    fn what_grows_little_by_little_finds_the_block_of_an_earlier_step() {
        let mut places = std::collections::HashSet::new();
        let mut before = Buffer::for_overwrite::<f32>(64 << 10).unwrap();
        for n in (64 << 10..128 << 10).step_by(64) {
            // Both are alive for a moment: the new one takes over what is in the old one.
            let next = Buffer::for_overwrite::<f32>(n).unwrap();
            places.insert(next.ptr);
            before = next;
        }
        drop(before);
        // Two of each of the four sizes, and what the allocator puts elsewhere.
        assert!(places.len() <= 12, "{} places for 1024 steps", places.len());
    }

    #[test]
    fn what_is_lent_is_copied_before_it_is_written() {
        use crate::{DType, Tensor};
        let mut pages = memmap2::MmapMut::map_anon(4096).unwrap();
        pages[64..72].copy_from_slice(bytes_of(&[1.0f32, 2.0]));
        let pages = Arc::new(Pages::new(pages.make_read_only().unwrap(), None));
        let lent = |range, dtype, shape: &[usize]| Tensor::lent(&pages, range, dtype, shape).unwrap();
        let mut t = lent(64..72, DType::F32, &[2]).unwrap();
        assert!(t.is_lent() && !t.is_unique() && t.to_vec::<f32>().unwrap() == [1.0, 2.0]);
        t.set(&[0], 5.0).unwrap();
        let mut other = lent(64..72, DType::F32, &[2]).unwrap();
        other.make_mut::<f32>().unwrap()[1] = 7.0;
        let again = lent(64..72, DType::F32, &[2]).unwrap();
        assert_eq!([t, other, again].map(|t| t.to_vec::<f32>().unwrap()), [[5.0, 2.0], [1.0, 7.0], [1.0, 2.0]]);
        // From an odd address as well.
        let (odd, bytes) = (lent(67..71, DType::F32, &[1]).unwrap(), &pages.bytes()[67..71]);
        assert!(odd.is_lent() && odd.copied().unwrap().to_bytes().unwrap() == bytes);
        assert_eq!(
            (odd.words().part(0..1, &mut Vec::new()), odd.to_bytes().unwrap()),
            (bytes.as_chunks().0, bytes.into())
        );
        let mut own = odd.clone();
        own.set(&[0], 3.0).unwrap();
        assert_eq!((own.to_vec::<f32>().unwrap(), odd.to_bytes().unwrap()), (vec![3.0], bytes.into()));
        assert!(lent(64..72, DType::F32, &[3]).is_none(), "not as many");
        assert!(lent(4096..4100, DType::F32, &[1]).is_none(), "not inside");
        assert!(lent(64..65, DType::Bool, &[1]).is_none());
    }

    #[test]
    fn storage_is_zeroed_aligned_and_limited() {
        let buffer = Buffer::zeroed::<f32>(5).unwrap();
        assert_eq!(buffer.as_slice::<f32>(), [0.0; 5]);
        assert_eq!(buffer.as_slice::<f32>().as_ptr() as usize % ALIGN, 0);
        assert_eq!(Buffer::zeroed::<f64>(0).unwrap().as_slice::<f64>(), [0.0; 0]);
        assert!(matches!(Buffer::zeroed::<u64>(usize::MAX / 2), Err(TensorError::TooLarge { .. })));
    }
}
