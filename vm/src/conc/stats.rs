//! What an actor knows about its own work: `ref.get_stats()`.

use std::time::{Duration, Instant};

/// Latencies in logarithmic buckets, four to a factor of two: a percentile is right within a fifth.
///
/// Made when the first answer is counted, so that an idle actor carries a pointer.
#[derive(Debug, Clone)]
struct Histogram {
    counts: Box<[u32; N_BUCKETS]>,
    n: u64,
    total_us: f64,
}

/// From under a microsecond to over an hour.
const N_BUCKETS: usize = 128;

impl Histogram {
    fn new() -> Self {
        Self { counts: Box::new([0; N_BUCKETS]), n: 0, total_us: 0.0 }
    }

    fn bucket(latency: Duration) -> usize {
        let us = latency.as_secs_f64() * 1e6;
        // Bucket 0 is everything below a microsecond.
        if us < 1.0 { 0 } else { (1 + (us.log2() * 4.0) as usize).min(N_BUCKETS - 1) }
    }

    /// The middle of a bucket, in milliseconds.
    fn middle_ms(bucket: usize) -> f64 {
        if bucket == 0 { 0.0005 } else { ((bucket as f64 - 0.5) / 4.0).exp2() / 1e3 }
    }

    fn add(&mut self, latency: Duration) {
        let count = &mut self.counts[Self::bucket(latency)];
        *count = count.saturating_add(1);
        self.n += 1;
        self.total_us += latency.as_secs_f64() * 1e6;
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let rank = (share * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return Self::middle_ms(bucket);
            }
        }
        0.0
    }
}

/// The counters of one actor. They outlive its restarts.
#[derive(Debug, Clone)]
pub struct ActorStats {
    pub n_requests: u64,
    pub n_errors: u64,
    pub n_batches: u64,
    /// Messages that were part of a batch.
    pub n_batched: u64,
    pub n_restarts: u64,
    begun: Instant,
    latencies: Option<Histogram>,
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
        Self { n_requests: 0, n_errors: 0, n_batches: 0, n_batched: 0, n_restarts: 0, begun: now, latencies: None }
    }

    /// A message was worked on; `latency` is the time since it was sent.
    pub fn count(&mut self, latency: Duration, failed: bool) {
        self.n_requests += 1;
        self.n_errors += u64::from(failed);
        self.latencies.get_or_insert_with(Histogram::new).add(latency);
    }

    pub fn count_batch(&mut self, n_messages: usize) {
        self.n_batches += 1;
        self.n_batched += n_messages as u64;
    }

    pub fn latency(&self) -> Latency {
        let Some(histogram) = &self.latencies else { return Latency::default() };
        Latency {
            mean_ms: histogram.total_us / histogram.n as f64 / 1e3,
            p50_ms: histogram.percentile_ms(0.50),
            p95_ms: histogram.percentile_ms(0.95),
            p99_ms: histogram.percentile_ms(0.99),
        }
    }

    /// Requests a second since the actor was begun.
    pub fn throughput(&self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.begun).as_secs_f64();
        if seconds > 0.0 { self.n_requests as f64 / seconds } else { 0.0 }
    }

    pub fn mean_batch_size(&self) -> f64 {
        if self.n_batches == 0 { 0.0 } else { self.n_batched as f64 / self.n_batches as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_fifth() {
        let mut stats = ActorStats::new(Instant::now());
        for ms in 1..=100 {
            stats.count(Duration::from_millis(ms), false);
        }
        let latency = stats.latency();
        for (found, right) in [(latency.p50_ms, 50.0), (latency.p95_ms, 95.0), (latency.p99_ms, 99.0)] {
            assert!((found / right - 1.0_f64).abs() < 0.2, "{found} for {right}");
        }
        assert!((latency.mean_ms - 50.5).abs() < 1e-6);
    }

    #[test]
    fn any_latency_has_a_bucket() {
        for latency in [Duration::ZERO, Duration::from_nanos(999), Duration::MAX] {
            assert!(Histogram::bucket(latency) < N_BUCKETS);
        }
    }

    #[test]
    fn an_actor_that_did_nothing_has_zeros() {
        let stats = ActorStats::new(Instant::now());
        assert_eq!((stats.latency(), stats.mean_batch_size()), (Latency::default(), 0.0));
    }
}
