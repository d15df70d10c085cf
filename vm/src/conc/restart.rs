//! Who is restarted when a supervised child fails, and when it was too often.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The one that failed.
    OneForOne,
    /// All of them.
    OneForAll,
    /// The one that failed and those begun after it.
    RestForOne,
}

impl Strategy {
    /// The positions of the children to restart, of `n` in the order they were begun.
    pub fn affected(self, failed: usize, n: usize) -> std::ops::Range<usize> {
        match self {
            Strategy::OneForOne => failed..failed + 1,
            Strategy::OneForAll => 0..n,
            Strategy::RestForOne => failed..n,
        }
    }
}

/// At most so many failures within a span.
#[derive(Debug)]
pub struct RestartLimit {
    max: usize,
    within: Duration,
    recent: VecDeque<Instant>,
}

impl RestartLimit {
    pub fn new(max: usize, within: Duration) -> Self {
        Self { max, within, recent: VecDeque::new() }
    }

    /// Counts a failure. `false`: it was one too many.
    #[must_use]
    pub fn allow(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|&first| now.saturating_duration_since(first) > self.within) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.max {
            return false;
        }
        self.recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_names_its_children() {
        let affected = |strategy: Strategy| strategy.affected(1, 4);
        assert_eq!(affected(Strategy::OneForOne), 1..2);
        assert_eq!(affected(Strategy::OneForAll), 0..4);
        assert_eq!(affected(Strategy::RestForOne), 1..4);
    }

    #[test]
    fn failures_long_ago_do_not_count() {
        let begun = Instant::now();
        let mut limit = RestartLimit::new(2, Duration::from_secs(5));
        let at = |s| begun + Duration::from_secs(s);
        let allowed: Vec<_> = [0, 1, 2, 6, 7, 8].into_iter().map(|s| limit.allow(at(s))).collect();
        assert_eq!(allowed, [true, true, false, true, true, false]);
    }
}
