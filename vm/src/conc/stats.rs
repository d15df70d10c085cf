//! What an actor knows about its own work: `ref.get_stats()`.

use std::time::Duration;

/// Latencies in whole microseconds, in buckets as of an HDR histogram with two significant figures: each up to 128 us has one of its own,
/// above there are 64 to a factor of two. A percentile is right within a hundredth, or the microsecond that was cut off.
///
/// Only buckets that were hit are there, sorted: eight bytes each. An actor that had few messages carries a few bytes, a busy one
/// some hundred buckets, where the dense counters of `hdrhistogram` (which a model's figures have) would take 10 KB an actor.
///
/// Most actors of many have had messages in one bucket at most, which needs no list.
#[derive(Debug, Clone)]
enum Histogram {
    One { number: u16, count: u32, total_us: f64 },
    Many(Box<Buckets>),
}

#[derive(Debug, Clone)]
struct Buckets {
    list: Vec<Bucket>,
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
        let new = Self::number(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        let us = latency.as_secs_f64() * 1e6;
        match self {
            Histogram::One { number, count, total_us } if *count == 0 || *number == new => {
                (*number, *count, *total_us) = (new, count.saturating_add(1), *total_us + us);
            }
            Histogram::One { number, count, total_us } => {
                let mut buckets =
                    Buckets { list: vec![Bucket { number: *number, count: *count }], total_us: *total_us };
                buckets.add(new, us);
                *self = Histogram::Many(Box::new(buckets));
            }
            Histogram::Many(buckets) => buckets.add(new, us),
        }
    }

    /// Sorted by their numbers.
    fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let (one, many) = match self {
            Histogram::One { number, count, .. } => (Some(Bucket { number: *number, count: *count }), &[][..]),
            Histogram::Many(buckets) => (None, &buckets.list[..]),
        };
        one.into_iter().chain(many.iter().copied())
    }

    fn total_us(&self) -> f64 {
        match self {
            Histogram::One { total_us, .. } => *total_us,
            Histogram::Many(buckets) => buckets.total_us,
        }
    }

    fn n(&self) -> u64 {
        self.buckets().map(|bucket| u64::from(bucket.count)).sum()
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.n() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for bucket in self.buckets() {
            seen += u64::from(bucket.count);
            if seen >= rank {
                return Self::middle_ms(bucket.number);
            }
        }
        0.0
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::One { number: 0, count: 0, total_us: 0.0 }
    }
}

impl Buckets {
    fn add(&mut self, number: u16, us: f64) {
        match self.list.binary_search_by_key(&number, |bucket| bucket.number) {
            Ok(i) => self.list[i].count = self.list[i].count.saturating_add(1),
            Err(i) => self.list.insert(i, Bucket { number, count: 1 }),
        }
        self.total_us += us;
    }
}

/// What is counted of every actor. It outlives its restarts, as `RareStats` do.
#[derive(Debug, Clone)]
pub struct ActorStats {
    /// In nanoseconds since the program's begin.
    begun: u64,
    latencies: Histogram,
}

/// What most actors never count.
#[derive(Debug, Clone, Copy, Default)]
pub struct RareStats {
    pub n_errors: u64,
    pub n_batches: u64,
    /// Messages that were part of a batch.
    pub n_batched: u64,
    pub n_restarts: u64,
    /// Bytes of tensors in its state when it was last looked at.
    pub tensor_bytes: u64,
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
    /// Of an actor that is begun `now` after the program.
    pub fn new(now: Duration) -> Self {
        Self { begun: nanos(now), latencies: Histogram::default() }
    }

    /// A message was worked on that long after it was sent.
    pub fn count(&mut self, latency: Duration) {
        self.latencies.add(latency);
    }

    pub fn latency(&self) -> Latency {
        let histogram = &self.latencies;
        let n = histogram.n();
        if n == 0 {
            return Latency::default();
        }
        Latency {
            mean_ms: histogram.total_us() / n as f64 / 1e3,
            p50_ms: histogram.percentile_ms(0.50),
            p95_ms: histogram.percentile_ms(0.95),
            p99_ms: histogram.percentile_ms(0.99),
        }
    }

    /// `n_requests` a second since the actor was begun.
    pub fn throughput(&self, n_requests: u64, now: Duration) -> f64 {
        let seconds = nanos(now).saturating_sub(self.begun) as f64 / 1e9;
        if seconds > 0.0 { n_requests as f64 / seconds } else { 0.0 }
    }
}

impl RareStats {
    pub fn count_batch(&mut self, n_messages: usize) {
        self.n_batches += 1;
        self.n_batched += n_messages as u64;
    }

    pub fn mean_batch_size(&self) -> f64 {
        if self.n_batches == 0 { 0.0 } else { self.n_batched as f64 / self.n_batches as f64 }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// A million actors may be parked.
const _: () = assert!(size_of::<ActorStats>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    /// Each percentile of `latencies`, against the sorted list of them.
    fn check(latencies: &mut [u64]) {
        let mut stats = ActorStats::new(Duration::ZERO);
        latencies.iter().for_each(|us| stats.count(Duration::from_micros(*us)));
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
        let mut stats = ActorStats::new(Duration::ZERO);
        for us in (0..100_000).rev() {
            stats.count(Duration::from_micros(us));
        }
        let buckets: Vec<_> = stats.latencies.buckets().collect();
        assert!(buckets.is_sorted_by_key(|bucket| bucket.number));
        assert!(buckets.len() <= 128 + 10 * 64, "{}", buckets.len());
        assert_eq!(size_of::<Bucket>(), 8);
    }

    #[test]
    fn any_latency_has_a_bucket() {
        for latency in [Duration::ZERO, Duration::from_nanos(999), Duration::MAX] {
            let mut stats = ActorStats::new(Duration::ZERO);
            stats.count(latency);
            assert!(stats.latency().p50_ms > 0.0);
        }
    }

    #[test]
    fn latencies_of_one_bucket_count_as_those_of_many() {
        check(&mut [7; 100]);
        check(&mut [7, 7, 8]);
        check(&mut [8, 7, 7, 9000]);
    }

    #[test]
    fn an_actor_that_did_nothing_has_zeros() {
        let stats = ActorStats::new(Duration::ZERO);
        assert_eq!((stats.latency(), RareStats::default().mean_batch_size()), (Latency::default(), 0.0));
    }
}
