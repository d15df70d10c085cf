//! What an actor knows about its own work: `ref.get_stats()`.

use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// Latencies in buckets, four to a factor of two: a percentile is right within a seventh.
///
/// Only buckets that were hit are there: an actor that had few messages carries a few bytes, and one with many finds
/// its usual ones at the front, since each hit moves a bucket a place forward.
#[derive(Debug, Clone, Default)]
struct Histogram {
    buckets: SmallVec<[Bucket; 2]>,
    total_us: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: u8,
    count: u32,
}

/// From under a microsecond to over an hour.
const N_BUCKETS: u32 = 128;

impl Histogram {
    fn number(us: u64) -> u8 {
        // Bucket 0 is everything below a microsecond. Above, the power of two and the two bits behind its highest.
        let Some(power) = us.checked_ilog2() else { return 0 };
        let quarter = if power >= 2 { us >> (power - 2) & 3 } else { us << (2 - power) & 3 };
        (1 + power * 4 + quarter as u32).min(N_BUCKETS - 1) as u8
    }

    /// The middle of a bucket, in milliseconds.
    fn middle_ms(number: u8) -> f64 {
        let Some(place) = number.checked_sub(1) else { return 0.0005 };
        let (power, quarter) = (f64::from(place / 4), f64::from(place % 4));
        power.exp2() * (1.0 + (quarter + 0.5) / 4.0) / 1e3
    }

    fn add(&mut self, latency: Duration) {
        let number = Self::number(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        match self.buckets.iter().position(|bucket| bucket.number == number) {
            Some(i) => {
                self.buckets[i].count = self.buckets[i].count.saturating_add(1);
                self.buckets.swap(i, i.saturating_sub(1));
            }
            None => self.buckets.push(Bucket { number, count: 1 }),
        }
        self.total_us += latency.as_secs_f64() * 1e6;
    }

    fn n(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(bucket.count)).sum()
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.n() as f64).ceil().max(1.0) as u64;
        let mut sorted = self.buckets.clone();
        sorted.sort_by_key(|bucket| bucket.number);
        let mut seen = 0;
        for bucket in sorted {
            seen += u64::from(bucket.count);
            if seen >= rank {
                return Self::middle_ms(bucket.number);
            }
        }
        0.0
    }
}

/// What is counted of one actor. It outlives its restarts.
#[derive(Debug, Clone)]
pub struct ActorStats {
    begun: Instant,
    latencies: Histogram,
    /// `None` while all of them are 0: most actors of many never need it.
    rare: Option<Box<RareStats>>,
}

/// What most actors never count.
#[derive(Debug, Clone, Copy, Default)]
pub struct RareStats {
    pub n_errors: u64,
    pub n_batches: u64,
    /// Messages that were part of a batch.
    pub n_batched: u64,
    pub n_restarts: u64,
}

/// What `get_stats` reports of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

impl ActorStats {
    pub fn new(now: Instant) -> Self {
        Self { begun: now, latencies: Histogram::default(), rare: None }
    }

    /// A message was worked on; `latency` is the time since it was sent, if it is measured.
    pub fn count(&mut self, latency: Option<Duration>, failed: bool) {
        if failed {
            self.rare_mut().n_errors += 1;
        }
        if let Some(latency) = latency {
            self.latencies.add(latency);
        }
    }

    pub fn count_batch(&mut self, n_messages: usize) {
        let rare = self.rare_mut();
        rare.n_batches += 1;
        rare.n_batched += n_messages as u64;
    }

    pub fn count_restart(&mut self) {
        self.rare_mut().n_restarts += 1;
    }

    pub fn rare(&self) -> RareStats {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    fn rare_mut(&mut self) -> &mut RareStats {
        self.rare.get_or_insert_default()
    }

    pub fn latency(&self) -> Latency {
        let histogram = &self.latencies;
        if histogram.buckets.is_empty() {
            return Latency::default();
        }
        Latency {
            mean_ms: histogram.total_us / histogram.n() as f64 / 1e3,
            p50_ms: histogram.percentile_ms(0.50),
            p95_ms: histogram.percentile_ms(0.95),
            p99_ms: histogram.percentile_ms(0.99),
        }
    }

    /// `n_requests` a second since the actor was begun.
    pub fn throughput(&self, n_requests: u64, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.begun).as_secs_f64();
        if seconds > 0.0 { n_requests as f64 / seconds } else { 0.0 }
    }

    pub fn mean_batch_size(&self) -> f64 {
        let RareStats { n_batches, n_batched, .. } = self.rare();
        if n_batches == 0 { 0.0 } else { n_batched as f64 / n_batches as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_seventh() {
        let mut stats = ActorStats::new(Instant::now());
        for ms in 1..=100 {
            stats.count(Some(Duration::from_millis(ms)), false);
        }
        let latency = stats.latency();
        for (found, right) in [(latency.p50_ms, 50.0), (latency.p95_ms, 95.0), (latency.p99_ms, 99.0)] {
            assert!((found / right - 1.0_f64).abs() < 1.0 / 7.0, "{found} for {right}");
        }
        assert!((latency.mean_ms - 50.5).abs() < 1e-6);
    }

    #[test]
    fn any_latency_has_a_bucket() {
        for latency in [Duration::ZERO, Duration::from_nanos(999), Duration::MAX] {
            let mut stats = ActorStats::new(Instant::now());
            stats.count(Some(latency), false);
            assert!(stats.latency().p50_ms > 0.0);
        }
    }

    #[test]
    fn an_actor_that_did_nothing_has_zeros() {
        let stats = ActorStats::new(Instant::now());
        assert_eq!((stats.latency(), stats.mean_batch_size()), (Latency::default(), 0.0));
    }
}
