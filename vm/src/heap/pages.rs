//! Large pages for a process that has grown.
//!
//! The allocator advises none, since a program of few small objects would pay for whole ones (docs/decisions/0009). One that
//! holds a million tasks, or objects of many megabytes, spends a third of its time in the faults of small pages: so when it has
//! grown that far, what it takes from then on is put on large ones, where the system gives them to who asks.

use parking_lot::Mutex;

/// A task's heap this large is such growth,
pub(super) const LARGE_HEAP: usize = 32 << 20;
/// and so is so much memory of the whole process.
#[cfg(target_os = "linux")]
const LARGE_PROCESS: usize = 64 << 20;

/// Looks whether the process has grown: for who has just begun some thousand tasks.
#[cold]
pub(crate) fn look() {
    #[cfg(target_os = "linux")]
    if resident().is_some_and(|bytes| bytes > LARGE_PROCESS) {
        grown();
    }
}

#[cfg(target_os = "linux")]
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    // As /proc counts them; where pages are larger, the process is larger, too.
    pages.split_ascii_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(4096)
}

/// The process has grown: the area that the allocator takes small blocks from now is put on large pages, once.
#[cold]
pub(crate) fn grown() {
    static ADVISED: Mutex<Vec<std::ops::Range<usize>>> = Mutex::new(Vec::new());
    /// Areas of the allocator are of a gigabyte; the system may also not tell where they are. It is asked so often at most.
    const MAX_AREAS: usize = 64;
    let probe = std::hint::black_box(Box::new([0_u64; 32]));
    let addr = std::ptr::from_ref(&*probe).addr();
    let mut advised = ADVISED.lock();
    if advised.len() == MAX_AREAS || advised.iter().any(|area| area.contains(&addr)) {
        return;
    }
    let area = area_of(addr).unwrap_or(addr..addr + 1);
    advise(&area);
    advised.push(area);
}

/// The writable memory without a file around `addr`.
#[cfg(target_os = "linux")]
fn area_of(addr: usize) -> Option<std::ops::Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let areas = maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let area = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        let is_plain = words.next()? == "rw-p" && words.nth(2)? == "0";
        (is_plain && area.contains(&addr)).then_some(area)
    });
    { areas }.next()
}

#[cfg(target_os = "linux")]
fn advise(area: &std::ops::Range<usize>) {
    // SAFETY: the advice changes nothing that is in the pages, whoever they belong to. It may be refused: then they are small.
    unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(area.start), area.len(), libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn area_of(_: usize) -> Option<std::ops::Range<usize>> {
    None
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &std::ops::Range<usize>) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_area_of_an_address_is_found() {
        let value = Box::new(7);
        let addr = std::ptr::from_ref(&*value).addr();
        assert!(area_of(addr).is_some_and(|area| area.contains(&addr)));
        // Code is not writable.
        let code: fn() = grown;
        assert_eq!(area_of(code as usize), None);
    }
}
