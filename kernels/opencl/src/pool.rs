//! Device memory: blocks are kept by size for the next tensor, all together below a limit.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ocl::core::Mem;

use crate::driver::Driver;
use crate::{Error, Result};

/// Blocks and counts of one device.
pub struct Pool {
    limit: u64,
    state: Mutex<State>,
}

/// A block that somebody uses.
pub struct Taken {
    pub mem: Mem,
    pub size: usize,
    /// Its size is one that is asked for again.
    pub is_kept: bool,
}

#[derive(Default)]
struct State {
    kept: BTreeMap<usize, Vec<Mem>>,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub used: u64,
    pub peak: u64,
    pub kept: u64,
}

/// Sizes are rounded up to eighths of a power of two, so that a model with varying lengths finds its blocks again.
fn class(bytes: usize) -> usize {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 16).max(64);
    bytes.next_multiple_of(step)
}

impl Pool {
    pub fn new(limit: u64) -> Pool {
        Pool { limit, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// A block of at least `bytes`.
    pub fn take(&self, driver: &Driver, bytes: usize) -> Result<Taken> {
        let size = class(bytes);
        let mut state = self.state();
        if let Some(mem) = state.kept.get_mut(&size).and_then(Vec::pop) {
            state.counts.kept -= size as u64;
            state.counts.use_more(size);
            return Ok(Taken { mem, size, is_kept: true });
        }
        let mem = self.make(&mut state, size, || driver.allocate(size))?;
        Ok(Taken { mem, size, is_kept: true })
    }

    /// A block that holds `bytes` for a while.
    pub fn filled(&self, driver: &Driver, bytes: &[u8]) -> Result<Taken> {
        // Where memory is the host's a block of its own is filled at once, and not behind the kernels.
        if driver.is_unified {
            return self.copy_of(driver, bytes);
        }
        let taken = self.take(driver, bytes.len())?;
        if let Err(error) = driver.write(&taken.mem, bytes) {
            self.give_back(taken);
            return Err(error);
        }
        Ok(taken)
    }

    /// A block that holds `bytes`, of just their size, and goes when it is given back.
    pub fn copy_of(&self, driver: &Driver, bytes: &[u8]) -> Result<Taken> {
        let size = bytes.len().max(1);
        let mut state = self.state();
        let mem = self.make(&mut state, size, || driver.copy_of(bytes))?;
        Ok(Taken { mem, size, is_kept: false })
    }

    /// Takes back what `take` or `copy_of` gave; kernels that use it may still be queued.
    pub fn give_back(&self, taken: Taken) {
        let Taken { mem, size, is_kept } = taken;
        let mut state = self.state();
        state.counts.used -= size as u64;
        if is_kept {
            state.counts.kept += size as u64;
            state.kept.entry(size).or_default().push(mem);
        }
    }

    /// What `make` makes, of `size` bytes. When the device refuses although the limit does not, what is kept is let go first.
    fn make(&self, state: &mut State, size: usize, make: impl Fn() -> Result<Mem>) -> Result<Mem> {
        self.make_room(state, size)?;
        let mem = match make() {
            Ok(mem) => mem,
            Err(_) => {
                state.kept.clear();
                state.counts.kept = 0;
                let full = Error::Memory { bytes: size as u64, used: state.counts.used, limit: self.limit };
                make().map_err(|_| full)?
            }
        };
        state.counts.use_more(size);
        Ok(mem)
    }

    fn make_room(&self, state: &mut State, size: usize) -> Result<()> {
        let fits = |counts: &Counts| counts.used + counts.kept + size as u64 <= self.limit;
        while !fits(&state.counts) {
            let Some(mut last) = state.kept.last_entry() else {
                return Err(Error::Memory { bytes: size as u64, used: state.counts.used, limit: self.limit });
            };
            let size = *last.key();
            last.get_mut().pop();
            if last.get().is_empty() {
                last.remove();
            }
            state.counts.kept -= size as u64;
        }
        Ok(())
    }
}

impl Counts {
    fn use_more(&mut self, size: usize) {
        self.used += size as u64;
        self.peak = self.peak.max(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_close_and_stable() {
        for bytes in (0..100_000).step_by(37).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let size = class(bytes);
            assert!(size >= bytes && size <= bytes.max(256) + bytes / 8 + 64, "{bytes}: {size}");
            assert_eq!(class(size), size);
        }
    }
}
