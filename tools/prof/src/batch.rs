//! The batch optimiser: which batch size and delay would have served the recorded messages best.
//!
//! How long a batch of `n` takes is measured: the median of the recorded batches of that size when there are enough, and
//! between and beyond them a straight line fitted through all. Then the recorded arrivals are played again for each setting against one
//! actor: a batch begins when the actor is free and either the batch is full or its first message has waited for the
//! delay, as the VM does it.

use crate::figures::percentile;
use stark_profile::Profile;
use std::collections::BTreeMap;

/// Delays that are tried, in milliseconds.
const DELAYS_MS: [u64; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];
/// The largest batch that is tried: a line fitted to batches of up to 32 says little about thousands.
const MAX_SIZE: usize = 1024;

/// Batches of one size whose median is trusted. Fewer may all have been interrupted.
const MIN_BATCHES: usize = 10;

#[derive(Debug)]
pub struct Study {
    pub actor: u64,
    pub n_messages: usize,
    pub n_batches: usize,
    /// What was recorded.
    pub measured: Outcome,
    pub cost: Cost,
    pub trials: Vec<Trial>,
    /// Into `trials`; `None` when no setting meets the target.
    pub best: Option<usize>,
    pub target_ns: u64,
}

/// What a batch of a size takes.
#[derive(Debug)]
pub struct Cost {
    /// Medians, of the sizes of which there were enough.
    pub measured: BTreeMap<usize, u64>,
    pub n_sizes: usize,
    pub largest: usize,
    pub fixed_ns: f64,
    pub each_ns: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub size: usize,
    pub delay_ms: u64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    /// Messages a second, from the first arrival to the last answer.
    pub throughput: f64,
    /// The share of that time in which the actor worked.
    pub busy: f64,
    pub mean_size: f64,
}

/// # Errors
/// Why nothing can be said, as a sentence.
pub fn study(profile: &Profile, actor: Option<&str>, target_ms: f64) -> Result<Study, String> {
    if !(target_ms.is_finite() && target_ms > 0.0) {
        return Err(format!("the target must be a time above 0 ms, it is {target_ms}"));
    }
    let mut by_actor: BTreeMap<u64, usize> = BTreeMap::new();
    for batch in &profile.batches {
        *by_actor.entry(batch.actor).or_default() += batch.arrivals.len();
    }
    let name = |id| crate::figures::actor_name(profile, id);
    let chosen =
        match actor {
            Some(wanted) => by_actor.keys().copied().find(|&id| name(id) == wanted).ok_or_else(|| {
                let names: Vec<String> = by_actor.keys().map(|&id| name(id)).collect();
                format!("no batches of an actor `{wanted}` were recorded; there are some of: {}", names.join(", "))
            })?,
            None => by_actor.iter().max_by_key(|(_, n)| **n).map(|(id, _)| *id).ok_or(
                "no batches were recorded: no handler with `@batch` worked while the recording ran".to_string(),
            )?,
        };
    let batches: Vec<_> = profile.batches.iter().filter(|batch| batch.actor == chosen).collect();
    let cost = Cost::fit(batches.iter().map(|batch| (batch.arrivals.len(), batch.dur)));
    let mut arrivals: Vec<u64> = batches.iter().flat_map(|batch| batch.arrivals.iter().copied()).collect();
    arrivals.sort_unstable();
    let spans = batches.iter().map(|batch| (batch.at, batch.dur, batch.arrivals.as_slice()));
    let measured = Outcome::of(spans);
    let limit = (cost.largest * 4).clamp(64, MAX_SIZE);
    let sizes: Vec<usize> = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n <= limit).collect();
    let mut trials = Vec::new();
    for &size in &sizes {
        for delay_ms in DELAYS_MS {
            // With batches of one there is nothing to wait for.
            if size > 1 || delay_ms == 0 {
                let outcome = simulate(&arrivals, &cost, size, delay_ms * 1_000_000);
                trials.push(Trial { size, delay_ms, outcome });
            }
        }
    }
    let target_ns = (target_ms * 1e6) as u64;
    let (n_messages, n_batches) = (arrivals.len(), batches.len());
    let mut study = Study { actor: chosen, n_messages, n_batches, measured, cost, trials, best: None, target_ns };
    let best = (0..study.trials.len()).min_by(|&a, &b| study.compare(a, b));
    study.best = best.filter(|&i| study.trials[i].outcome.p95 <= target_ns);
    Ok(study)
}

impl Cost {
    fn fit(batches: impl Iterator<Item = (usize, u64)>) -> Cost {
        let mut by_size: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (size, dur) in batches {
            by_size.entry(size).or_default().push(dur);
        }
        let (n_sizes, largest) = (by_size.len(), by_size.keys().next_back().copied().unwrap_or(1));
        // Least squares, each size weighted with its batches.
        let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut measured = BTreeMap::new();
        for (size, mut durs) in by_size {
            durs.sort_unstable();
            let (weight, x, y) = (durs.len() as f64, size as f64, percentile(&durs, 0.5));
            if durs.len() >= MIN_BATCHES {
                measured.insert(size, y);
            }
            let y = y as f64;
            n += weight;
            sx += weight * x;
            sy += weight * y;
            sxx += weight * x * x;
            sxy += weight * x * y;
        }
        let spread = n * sxx - sx * sx;
        let each = if spread > 0.0 { ((n * sxy - sx * sy) / spread).max(0.0) } else { 0.0 };
        let fixed = if n > 0.0 { ((sy - each * sx) / n).max(0.0) } else { 0.0 };
        // Batches of one size do not tell the two apart; then each message is taken to cost its share.
        let (fixed_ns, each_ns) =
            if spread > 0.0 { (fixed, each) } else { (0.0, if sx > 0.0 { sy / sx } else { 0.0 }) };
        Cost { measured, n_sizes, largest, fixed_ns, each_ns }
    }

    pub fn of(&self, size: usize) -> u64 {
        let line = (self.fixed_ns + self.each_ns * size as f64) as u64;
        let own = self.measured.get(&size).copied().unwrap_or(line);
        // A larger batch is not faster: what says otherwise is noise.
        self.measured.range(..size).map(|(_, &dur)| dur).fold(own, u64::max)
    }
}

impl Outcome {
    fn of<'a>(batches: impl Iterator<Item = (u64, u64, &'a [u64])>) -> Outcome {
        let (mut waits, mut busy, mut n_batches) = (Vec::new(), 0u64, 0u64);
        let (mut from, mut to) = (u64::MAX, 0);
        for (at, dur, arrivals) in batches {
            busy = busy.saturating_add(dur);
            n_batches += 1;
            to = to.max(at + dur);
            for &arrival in arrivals {
                from = from.min(arrival);
                waits.push((at + dur).saturating_sub(arrival));
            }
        }
        waits.sort_unstable();
        let span = (to.saturating_sub(from) as f64 / 1e9).max(1e-9);
        Outcome {
            p50: percentile(&waits, 0.5),
            p95: percentile(&waits, 0.95),
            p99: percentile(&waits, 0.99),
            throughput: waits.len() as f64 / span,
            busy: (busy as f64 / 1e9 / span).min(1.0),
            mean_size: waits.len() as f64 / n_batches.max(1) as f64,
        }
    }
}

/// Plays `arrivals`, ascending, against one actor.
fn simulate(arrivals: &[u64], cost: &Cost, size: usize, delay: u64) -> Outcome {
    let mut batches = Vec::new();
    let (mut free, mut i) = (0u64, 0);
    while i < arrivals.len() {
        let full = arrivals.get(i + size - 1).copied();
        // When the batch is complete: full, or its first message has waited long enough.
        let ready = full.unwrap_or(u64::MAX).min(arrivals[i].saturating_add(delay));
        let at = free.max(ready);
        let n = arrivals[i..].iter().take(size).take_while(|&&arrival| arrival <= at).count().max(1);
        let dur = cost.of(n);
        batches.push((at, dur, &arrivals[i..i + n]));
        free = at.saturating_add(dur);
        i += n;
    }
    Outcome::of(batches.into_iter())
}

impl Study {
    /// Of each size the setting that is best for the target, or nearest to it.
    fn is_shown(&self, i: usize) -> bool {
        let same = (0..self.trials.len()).filter(|&other| self.trials[other].size == self.trials[i].size);
        same.min_by(|&a, &b| self.compare(a, b)) == Some(i)
    }

    /// Which of two settings is better. The one that leaves the actor most idle serves the most when more comes.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let outcome = |i: usize| &self.trials[i].outcome;
        let misses = |i: usize| outcome(i).p95 > self.target_ns;
        let by_latency = outcome(a).p95.cmp(&outcome(b).p95);
        misses(a).cmp(&misses(b)).then_with(|| match misses(a) {
            true => by_latency,
            false => outcome(a).busy.total_cmp(&outcome(b).busy).then(by_latency),
        })
    }

    pub fn render(&self, actor: &str) -> String {
        use crate::text::duration;
        use std::fmt::Write;
        let mut out = String::new();
        let row = |outcome: &Outcome| {
            format!(
                "{:>9} {:>9} {:>9} {:>9.1} {:>6.1} {:>6.1}",
                duration(outcome.p50),
                duration(outcome.p95),
                duration(outcome.p99),
                outcome.throughput,
                outcome.busy * 100.0,
                outcome.mean_size
            )
        };
        let _ = writeln!(out, "actor {actor}: {} messages in {} batches", self.n_messages, self.n_batches);
        let (fixed, each) = (duration(self.cost.fixed_ns as u64), duration(self.cost.each_ns as u64));
        let _ = writeln!(out, "a batch takes {fixed} and {each} for each message (fitted)");
        if self.cost.n_sizes == 1 {
            let _ = writeln!(out, "all batches had one size, so what a batch costs beside its messages is unknown");
        }
        let _ = writeln!(out, "\n  size delay ms       p50       p95       p99      /s  busy%   mean");
        let _ = writeln!(out, "      recorded {}", row(&self.measured));
        for (i, trial) in self.trials.iter().enumerate().filter(|(i, _)| self.is_shown(*i)) {
            let mark = if self.best == Some(i) { '*' } else { ' ' };
            let _ = writeln!(out, "{mark}{:>5} {:>8} {}", trial.size, trial.delay_ms, row(&trial.outcome));
        }
        let target = duration(self.target_ns);
        let _ = match self.best.map(|best| &self.trials[best]) {
            Some(Trial { size, delay_ms, outcome }) => writeln!(
                out,
                "\nbest for a p95 of {target}: size {size}, delay {delay_ms} ms, p95 {}, busy {:.1} %",
                duration(outcome.p95),
                outcome.busy * 100.0
            ),
            None => {
                let nearest = self.trials.iter().min_by_key(|trial| trial.outcome.p95);
                let nearest = nearest.map_or(String::new(), |trial| {
                    let p95 = duration(trial.outcome.p95);
                    format!("; size {} with delay {} ms comes nearest with {p95}", trial.size, trial.delay_ms)
                });
                writeln!(out, "\nno setting keeps a p95 of {target}{nearest}")
            }
        };
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_profile::model::Batch;

    fn cost() -> Cost {
        Cost { measured: BTreeMap::new(), n_sizes: 2, largest: 8, fixed_ns: 8e6, each_ns: 1e6 }
    }

    #[test]
    fn the_fit_finds_the_line() {
        let cost = Cost::fit([(1, 9), (2, 10), (4, 12), (8, 16)].into_iter().map(|(n, ms)| (n, ms * 1_000_000)));
        assert!((cost.fixed_ns - 8e6).abs() < 1.0 && (cost.each_ns - 1e6).abs() < 1.0, "{cost:?}");
        assert_eq!(cost.of(16), 24_000_000);
    }

    #[test]
    fn a_larger_batch_never_costs_less() {
        let batches = [(2usize, 50u64), (4, 10), (8, 60)];
        let cost = Cost::fit(batches.into_iter().flat_map(|batch| [batch; MIN_BATCHES]));
        assert_eq!((cost.of(2), cost.of(4), cost.of(8)), (50, 50, 60));
    }

    #[test]
    fn one_size_alone_costs_its_share_each() {
        assert_eq!(Cost::fit([(4, 12)].into_iter()).of(8), 24);
    }

    #[test]
    fn a_simulated_batch_waits_for_its_fill_or_its_delay() {
        // All at once, batches of two: 10 ms, 20 ms.
        let outcome = simulate(&[0, 0, 0, 0], &cost(), 2, 50_000_000);
        assert_eq!((outcome.p50, outcome.p99), (10_000_000, 20_000_000));
        // Alone: the delay, then 9 ms.
        assert_eq!(simulate(&[0], &cost(), 8, 5_000_000).p50, 14_000_000);
        // A message that comes while the actor works joins those that wait.
        let outcome = simulate(&[0, 1_000_000, 2_000_000], &cost(), 8, 0);
        assert_eq!((outcome.p99, outcome.mean_size), (18_000_000, 1.5));
    }

    #[test]
    fn a_tight_target_wants_small_batches_and_a_loose_one_large() {
        let mut profile = Profile::default();
        for i in 0..200u64 {
            let at = i * 20_000_000;
            let n = 1 + i % 8;
            let arrivals = (0..n).map(|k| at + k * 1_000_000).collect();
            profile.batches.push(Batch { actor: 1, at: at + 8_000_000, dur: 4_000_000 + n * 500_000, arrivals });
        }
        let tight = study(&profile, None, 15.0).unwrap();
        let loose = study(&profile, None, 500.0).unwrap();
        let size = |study: &Study| study.trials[study.best.unwrap()].outcome.mean_size;
        assert!(size(&tight) < size(&loose), "{} {}", size(&tight), size(&loose));
        assert_eq!(study(&profile, None, 0.001).unwrap().best, None);
        assert!(study(&profile, Some("nobody"), 1.0).is_err());
        assert!(study(&profile, None, f64::NAN).is_err());
    }
}
