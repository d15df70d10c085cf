//! What an actor knows about its own work: `ref.get_stats()`.

use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// Latencies in whole microseconds, in buckets as of an HDR histogram with two significant figures: each up to 128 us has one of its own,
/// above there are 64 to a factor of two. A percentile is right within a hundredth, or the microsecond that was cut off.
///
/// Only buckets that were hit are there, sorted: eight bytes each. An actor that had few messages carries a few bytes, a busy one
/// some hundred buckets, where the dense counters of `hdrhistogram` (which a model's figures have) would take 10 KB an actor.
#[derive(Debug, Clone, Default)]
struct Histogram {
    buckets: SmallVec<[Bucket; 2]>,
    total_us: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    number: u16,
    count: u32,
}

/// Buckets to a factor of two, as a power of two.
const SUB_BITS: u32 = 6;
const N_SUB: u64 = 1 << SUB_BITS;

impl Histogram {
    fn number(us: u64) -> u16 {
        let power = us.checked_ilog2().unwrap_or(0);
        let Some(shift) = power.checked_sub(SUB_BITS) else { return us as u16 };
        // Behind the numbers of all smaller powers, each of which has `N_SUB`.
        (u64::from(shift) * N_SUB + (us >> shift)) as u16
    }

    /// The middle of a bucket, in milliseconds.
    fn middle_ms(number: u16) -> f64 {
        let number = u64::from(number);
        let shift = (number / N_SUB).saturating_sub(1) as u32;
        let first = number - u64::from(shift) * N_SUB;
        (first as f64 + 0.5) * f64::from(shift).exp2() / 1e3
    }

    fn add(&mut self, latency: Duration) {
        let number = Self::number(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        match self.buckets.binary_search_by_key(&number, |bucket| bucket.number) {
            Ok(i) => self.buckets[i].count = self.buckets[i].count.saturating_add(1),
            Err(i) => {
                if self.buckets.len() == self.buckets.capacity() {
                    // One place at first, not four: most actors that are asked have one usual latency.
                    self.buckets.reserve_exact((self.buckets.len() / 2).max(1));
                }
                self.buckets.insert(i, Bucket { number, count: 1 });
            }
        }
        self.total_us += latency.as_secs_f64() * 1e6;
    }

    fn n(&self) -> u64 {
        self.buckets.iter().map(|bucket| u64::from(bucket.count)).sum()
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.n() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for bucket in &self.buckets {
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

    /// Each percentile of `latencies`, against the sorted list of them.
    fn check(latencies: &mut [u64]) {
        let mut stats = ActorStats::new(Instant::now());
        latencies.iter().for_each(|us| stats.count(Some(Duration::from_micros(*us)), false));
        latencies.sort_unstable();
        let right = |share: f64| latencies[(share * latencies.len() as f64).ceil() as usize - 1] as f64 / 1e3;
        let found = stats.latency();
        for (found, right) in [(found.p50_ms, right(0.5)), (found.p95_ms, right(0.95)), (found.p99_ms, right(0.99))] {
            // Half a microsecond: the middle of what was cut off when they were counted.
            assert!((found - right).abs() <= (right / 100.0).max(0.000_501), "{found} for {right}");
        }
        let mean = latencies.iter().map(|us| *us as f64).sum::<f64>() / latencies.len() as f64 / 1e3;
        assert!((found.mean_ms / mean.max(1e-12) - 1.0).abs() < 1e-6 || mean == 0.0);
    }

    #[test]
    fn percentiles_have_two_figures_from_a_microsecond_to_a_day() {
        check(&mut (1..=100).map(|ms| ms * 1000).collect::<Vec<_>>());
        for at in 0..37 {
            check(&mut (0..1000).map(|i| (1 << at) + i * (1 << at) / 700).collect::<Vec<_>>());
        }
        let mut latency = 7_u64;
        let mixed = (0..10_000).map(|_| {
            latency = latency.wrapping_mul(6_364_136_223_846_793_005_u64) % ((1 << 61) - 1);
            latency >> (latency % 55)
        });
        check(&mut mixed.collect::<Vec<_>>());
    }

    #[test]
    fn buckets_are_as_many_as_the_latencies_that_were_seen_and_in_their_order() {
        let mut stats = ActorStats::new(Instant::now());
        for us in (0..100_000).rev() {
            stats.count(Some(Duration::from_micros(us)), false);
        }
        let buckets = &stats.latencies.buckets;
        assert!(buckets.is_sorted_by_key(|bucket| bucket.number));
        assert!(buckets.len() <= 128 + 10 * 64, "{}", buckets.len());
        assert_eq!(size_of::<Bucket>(), 8);
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
