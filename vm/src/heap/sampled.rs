//! Which allocations a recording notes: by chance, one in about so many bytes.
//!
//! Every allocation on a thread takes its bytes from a count, and the one that brings it below zero is found. The count
//! begins again at a random number (exponential, so that every byte has the same chance and no pattern of sizes hides
//! from it), and what is found stands for as many allocations of its size as the chance says. Whoever made it asks
//! `is_found` afterwards, where it is known which line of the program that was.
//!
//! Off, the count is never used up: an allocation costs a subtraction and a jump not taken.

use super::local;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Bytes between two that are found, in the mean; what pprof's readers know from Go.
pub const MEAN_BYTES: f64 = (512 << 10) as f64;
/// A thread that allocates very much has fewer found, down to one in so many bytes:
const MAX_MEAN_BYTES: f64 = (64 << 20) as f64;
/// it shall not come to more than one in so long. One takes some microseconds to note.
const SPACING: Duration = Duration::from_millis(1);

thread_local! {
    static IS_FOUND: Cell<bool> = const { Cell::new(false) };
    static SAMPLER: Cell<Option<Sampler>> = const { Cell::new(None) };
}

/// Allocations that what was found stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allocated {
    pub objects: f64,
    pub bytes: f64,
}

#[derive(Clone, Copy)]
struct Sampler {
    found: Allocated,
    mean_bytes: f64,
    last: Instant,
    random: u64,
}

/// Bytes until the next that is found.
#[inline(always)]
fn left() -> i64 {
    local::with(|local| local.left.get())
}

#[inline(always)]
fn set_left(bytes: i64) {
    local::with(|local| local.left.set(bytes));
}

/// Something was allocated on this thread.
#[inline(always)]
pub(crate) fn allocated(bytes: usize) {
    let left = left().wrapping_sub(bytes as i64);
    set_left(left);
    if left < 0 {
        find(bytes);
    }
}

/// As `allocated`, for whoever calls back through a pointer.
pub(crate) fn tensor_allocated(bytes: usize) {
    allocated(bytes);
}

#[cold]
#[inline(never)]
fn find(bytes: usize) {
    let Some(mut sampler) = SAMPLER.get() else {
        // Off, and 2^63 bytes were allocated.
        return set_left(i64::MAX);
    };
    set_left(sampler.find(bytes, Instant::now()));
    SAMPLER.set(Some(sampler));
    IS_FOUND.set(true);
}

impl Sampler {
    /// Notes one of so many bytes and gives the bytes until the next.
    fn find(&mut self, bytes: usize, now: Instant) -> i64 {
        // The chance with which one of this size is found.
        let chance = 1.0 - (-(bytes as f64) / self.mean_bytes).exp();
        self.found.objects += 1.0 / chance;
        self.found.bytes += bytes as f64 / chance;
        let since = now - self.last;
        self.last = now;
        if since < SPACING {
            self.mean_bytes = (self.mean_bytes * 2.0).min(MAX_MEAN_BYTES);
        } else if since > SPACING * 4 {
            self.mean_bytes = (self.mean_bytes / 2.0).max(MEAN_BYTES);
        }
        self.draw()
    }

    fn draw(&mut self) -> i64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        let uniform = (bits as f64 + 1.0) / (1u64 << 53) as f64;
        (-uniform.ln() * self.mean_bytes) as i64
    }
}

/// Whether one was found since the last `take`.
#[inline(always)]
pub(crate) fn is_found() -> bool {
    IS_FOUND.get()
}

/// What was found since the last time.
pub(crate) fn take() -> Allocated {
    IS_FOUND.set(false);
    let Some(mut sampler) = SAMPLER.get() else { return Allocated::default() };
    let found = std::mem::take(&mut sampler.found);
    SAMPLER.set(Some(sampler));
    found
}

#[inline(always)]
pub(crate) fn is_on() -> bool {
    // Drawn counts are far below.
    left() < i64::MAX / 2
}

/// From now on allocations of this thread are found, or not.
#[cold]
#[inline(never)]
pub(crate) fn switch(on: bool) {
    IS_FOUND.set(false);
    if !on {
        SAMPLER.set(None);
        return set_left(i64::MAX);
    }
    let now = Instant::now();
    // Another sequence on each thread: the address of a variable of its own is random enough.
    let random = (&raw const now).addr() as u64 ^ std::process::id() as u64 | 1;
    let mut sampler = Sampler { found: Allocated::default(), mean_bytes: MEAN_BYTES, last: now, random };
    set_left(sampler.draw());
    SAMPLER.set(Some(sampler));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `n` allocations of these sizes in turn are taken for, when one takes so long.
    fn estimate(sizes: &[usize], n: usize, each: Duration) -> Allocated {
        let began = Instant::now();
        let mut sampler = Sampler { found: Allocated::default(), mean_bytes: MEAN_BYTES, last: began, random: 1 };
        let mut left = sampler.draw();
        for i in 0..n {
            let bytes = sizes[i % sizes.len()];
            left -= bytes as i64;
            if left < 0 {
                left = sampler.find(bytes, began + each * i as u32);
            }
        }
        sampler.found
    }

    #[test]
    fn what_is_found_stands_for_all_there_was() {
        let cases: [(&[usize], usize, u64); 4] = [
            (&[64], 20_000_000, 500),
            (&[64], 20_000_000, 10),
            (&[16, 100_000], 100_000, 1000),
            (&[4 << 20], 1000, 10),
        ];
        for (sizes, n, each_ns) in cases {
            let found = estimate(sizes, n, Duration::from_nanos(each_ns));
            let bytes: f64 = (0..n).map(|i| sizes[i % sizes.len()] as f64).sum();
            let ratio = (found.bytes / bytes, found.objects / n as f64);
            assert!((0.7..1.3).contains(&ratio.0), "{sizes:?}: {ratio:?}");
            // Of small ones among large ones too few are found to say how many they are.
            assert!(sizes.len() > 1 || (0.7..1.3).contains(&ratio.1), "{sizes:?}: {ratio:?}");
        }
    }

    #[test]
    fn a_thread_that_allocates_very_much_has_few_found() {
        let began = Instant::now();
        let mut sampler = Sampler { found: Allocated::default(), mean_bytes: MEAN_BYTES, last: began, random: 1 };
        for i in 0..20 {
            sampler.find(64, began + Duration::from_micros(i));
        }
        assert_eq!(sampler.mean_bytes, MAX_MEAN_BYTES);
        for i in 1..20 {
            sampler.find(64, began + Duration::from_secs(i));
        }
        assert_eq!(sampler.mean_bytes, MEAN_BYTES);
    }

    #[test]
    fn nothing_is_found_when_it_is_off() {
        let find = || {
            allocated(1 << 40);
            let off = (is_found(), is_on());
            switch(true);
            allocated(1 << 40);
            let on = (is_found(), is_on(), take().objects, is_found());
            switch(false);
            (off, on, is_on())
        };
        let found = std::thread::spawn(find).join().expect("it ends");
        assert_eq!(found, ((false, false), (true, true, 1.0, false), false));
    }
}
