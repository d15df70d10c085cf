//! What a native keeps while it waits: a value of any type. One that is no larger than a pointer lies in the handle itself, so
//! most waits allocate nothing; another is boxed.

use std::any::TypeId;
use std::mem::{ManuallyDrop, MaybeUninit};

pub(crate) struct Kept {
    of: &'static KeptType,
    /// A `T` or a `Box<T>`, as `is_small` says.
    word: Word,
}

type Word = MaybeUninit<*mut ()>;

struct KeptType {
    id: TypeId,
    /// Drops what is in the word, which is not used again.
    drop: unsafe fn(&mut Word),
}

const fn is_small<T>() -> bool {
    size_of::<T>() <= size_of::<Word>() && align_of::<T>() <= align_of::<Word>()
}

trait Keep: Send + 'static {
    const TYPE: KeptType;
}

impl<T: Send + 'static> Keep for T {
    const TYPE: KeptType = KeptType { id: TypeId::of::<T>(), drop: drop_word::<T> };
}

/// # Safety
/// `word` is that of a `Kept` that was made of a `T`, and is not used again.
unsafe fn drop_word<T>(word: &mut Word) {
    // SAFETY: the caller's promise.
    unsafe {
        if is_small::<T>() {
            word.as_mut_ptr().cast::<T>().drop_in_place();
        } else {
            word.as_mut_ptr().cast::<Box<T>>().drop_in_place();
        }
    }
}

// SAFETY: only values that are `Send` are kept.
unsafe impl Send for Kept {}

impl Kept {
    #[inline]
    pub fn new<T: Send + 'static>(value: T) -> Kept {
        let mut word = Word::uninit();
        // SAFETY: the word has room for what is written, and is aligned for it.
        unsafe {
            if is_small::<T>() {
                word.as_mut_ptr().cast::<T>().write(value);
            } else {
                word.as_mut_ptr().cast::<Box<T>>().write(Box::new(value));
            }
        }
        Kept { of: const { &<T as Keep>::TYPE }, word }
    }

    /// Whether the value is a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.of.id == TypeId::of::<T>()
    }

    /// The value.
    ///
    /// # Errors
    /// With itself, when the value is no `T`.
    #[inline]
    pub fn take<T: Send + 'static>(self) -> Result<T, Kept> {
        if self.of.id != TypeId::of::<T>() {
            return Err(self);
        }
        let kept = ManuallyDrop::new(self);
        // SAFETY: the type is the one that it was made of, and the word is not used again.
        unsafe {
            Ok(match is_small::<T>() {
                true => kept.word.as_ptr().cast::<T>().read(),
                false => *kept.word.as_ptr().cast::<Box<T>>().read(),
            })
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the word is of this type, and is dropped once: `take` forgets what it has taken.
        unsafe { (self.of.drop)(&mut self.word) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn small_and_large_values_come_back_once() {
        let count = Arc::new(());
        let n_owners = || Arc::strong_count(&count);
        let small = Kept::new(count.clone());
        let large = Kept::new([count.clone(), count.clone()]);
        let (small, large) = (small.take::<u64>().unwrap_err(), large.take::<Arc<()>>().unwrap_err());
        assert_eq!(n_owners(), 4);
        drop(small.take::<Arc<()>>().unwrap_or_else(|_| unreachable!("it is one")));
        assert_eq!(n_owners(), 3);
        drop(large);
        assert_eq!(n_owners(), 1);
        assert!(Kept::new(()).take::<()>().is_ok());
    }

    const _: () = assert!(size_of::<Option<Kept>>() == 2 * size_of::<usize>());
}
