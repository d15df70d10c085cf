//! Aligned storage of plain numbers, viewed as slices of any of them.
//!
//! Invariant: `ptr` points at `capacity` initialised bytes, aligned to [`ALIGN`], owned by this buffer.
//! Every [`Pod`] is valid for every bit pattern, so a view as another element type is odd but never unsound.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::{bf16, f16};

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
}

// SAFETY: the memory is owned, and reached mutably only through `&mut Buffer`.
unsafe impl Send for Buffer {}
// SAFETY: as above; `&Buffer` only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `n` zeros of `T`.
    pub fn zeroed<T: Pod>(n: usize) -> Result<Buffer> {
        Buffer::zeroed_bytes(n.checked_mul(size_of::<T>()).unwrap_or(usize::MAX))
    }

    pub fn zeroed_bytes(bytes: usize) -> Result<Buffer> {
        let limit = max_tensor_bytes();
        let too_large = TensorError::TooLarge { bytes, limit };
        if bytes > limit {
            return Err(too_large);
        }
        let capacity = bytes.next_multiple_of(ALIGN);
        if capacity == 0 {
            return Ok(Buffer { ptr: dangling(), bytes, capacity });
        }
        let layout = Layout::from_size_align(capacity, ALIGN).map_err(|_| too_large.clone())?;
        // Relaxed: it is a count, nothing is read because of it.
        let before = LIVE_BYTES.fetch_add(capacity, Ordering::Relaxed);
        // SAFETY: the layout has a size above 0.
        let ptr = if before + capacity <= limit { unsafe { alloc_zeroed(layout) } } else { std::ptr::null_mut() };
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Buffer { ptr, bytes, capacity }),
            None => {
                LIVE_BYTES.fetch_sub(capacity, Ordering::Relaxed);
                Err(too_large)
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

    /// All of it as elements of `T`; a remainder smaller than one element is left out.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        // SAFETY: the invariant gives `bytes` initialised bytes, aligned for any `Pod`, whose bits are all valid.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }

    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().cast(), self.bytes / size_of::<T>()) }
    }
}

fn dangling() -> NonNull<u8> {
    // SAFETY: ALIGN is not zero, so neither is the address.
    unsafe { NonNull::new_unchecked(std::ptr::without_provenance_mut(ALIGN)) }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.capacity > 0 {
            LIVE_BYTES.fetch_sub(self.capacity, Ordering::Relaxed);
            // SAFETY: allocated in `zeroed_bytes` with this very size and alignment.
            unsafe { dealloc(self.ptr.as_ptr(), Layout::from_size_align_unchecked(self.capacity, ALIGN)) }
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
    fn storage_is_zeroed_aligned_and_limited() {
        let buffer = Buffer::zeroed::<f32>(5).unwrap();
        assert_eq!(buffer.as_slice::<f32>(), [0.0; 5]);
        assert_eq!(buffer.as_slice::<f32>().as_ptr() as usize % ALIGN, 0);
        assert_eq!(Buffer::zeroed::<f64>(0).unwrap().as_slice::<f64>(), [0.0; 0]);
        assert!(matches!(Buffer::zeroed::<u64>(usize::MAX / 2), Err(TensorError::TooLarge { .. })));
    }
}
