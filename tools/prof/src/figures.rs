//! Figures that more than one view shows.

use stark_profile::Profile;
use stark_profile::model::DeviceGauge;
use std::collections::HashMap;

/// The durations of a model's calls, ascending.
pub fn latencies(profile: &Profile, model: usize) -> Vec<u64> {
    let calls = profile.calls.iter().filter(|call| call.model as usize == model);
    let mut sorted: Vec<u64> = calls.map(|call| call.dur).collect();
    sorted.sort_unstable();
    sorted
}

/// The value below which `share` of `sorted` lies; 0 when there is none.
pub fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// How a device was used by models.
#[derive(Debug, PartialEq)]
pub struct DeviceUse {
    pub name: String,
    /// Of the time of the recording in which at least one call was under way.
    pub busy_share: f64,
    /// When it began, and how long it was.
    pub longest_gap: (u64, u64),
    /// Calls under way at once, at most.
    pub max_depth: usize,
    /// For each of [`N_BUCKETS`] equal parts of the time: the share of it that was busy.
    pub buckets: Vec<f64>,
}

pub const N_BUCKETS: usize = 200;

impl DeviceUse {
    pub fn of(profile: &Profile) -> Vec<DeviceUse> {
        let mut devices: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
        for call in &profile.calls {
            let device = profile.models[call.model as usize].device.as_str();
            devices.entry(device).or_default().push((call.at, call.at + call.dur));
        }
        let mut found: Vec<DeviceUse> =
            devices.into_iter().map(|(name, spans)| DeviceUse::from(name, spans, profile.info.duration_ns)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn from(name: &str, mut spans: Vec<(u64, u64)>, end: u64) -> DeviceUse {
        spans.sort_unstable();
        let mut edges: Vec<(u64, i64)> = spans.iter().flat_map(|&(from, to)| [(from, 1), (to, -1)]).collect();
        // What ends makes room before the next begins.
        edges.sort_unstable();
        let (mut depth, mut max_depth) = (0i64, 0i64);
        for (_, step) in edges {
            depth += step;
            max_depth = max_depth.max(depth);
        }
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in spans {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        let end = merged.last().map_or(end, |last| last.1.max(end)).max(1);
        let busy: u64 = merged.iter().map(|(from, to)| to - from).sum();
        let mut longest_gap = (0, 0);
        let mut before = 0;
        for &(from, to) in merged.iter().chain([&(end, end)]) {
            if from.saturating_sub(before) > longest_gap.1 {
                longest_gap = (before, from - before);
            }
            before = to;
        }
        let width = end as f64 / N_BUCKETS as f64;
        let mut buckets = vec![0.0; N_BUCKETS];
        for &(from, to) in &merged {
            let (mut at, to) = (from as f64, to as f64);
            while at < to {
                let bucket = ((at / width) as usize).min(N_BUCKETS - 1);
                // The next edge lies behind `at` also when rounding says otherwise.
                let edge = ((bucket + 1) as f64 * width).max(at + width * 1e-9);
                buckets[bucket] += (to.min(edge) - at) / width;
                at = if bucket == N_BUCKETS - 1 { to } else { edge };
            }
        }
        buckets.iter_mut().for_each(|share| *share = share.clamp(0.0, 1.0));
        let max_depth = max_depth.max(0) as usize;
        DeviceUse { name: name.to_string(), busy_share: busy as f64 / end as f64, longest_gap, max_depth, buckets }
    }
}

/// What a device other than the processor did between two readings, over time.
#[derive(Debug, PartialEq)]
pub struct DeviceWork {
    pub name: String,
    pub kernels: u64,
    pub busy_ns: u64,
    pub uploaded: u64,
    pub downloaded: u64,
    /// Bytes of tensors on it, at most.
    pub peak: u64,
    /// A point for each reading after the first, in the middle of the time since the one before.
    pub points: Vec<DevicePoint>,
}

#[derive(Debug, PartialEq)]
pub struct DevicePoint {
    pub at: u64,
    /// Of the time, in which kernels ran.
    pub busy_share: f64,
    /// Bytes a second.
    pub uploads: f64,
    pub downloads: f64,
    pub used: u64,
}

impl DeviceWork {
    pub fn of(profile: &Profile) -> Vec<DeviceWork> {
        let work = |(device, name): (usize, &String)| {
            let readings: Vec<&DeviceGauge> =
                profile.device_gauges.iter().filter(|gauge| gauge.device as usize == device).collect();
            let (first, last) = (*readings.first()?, *readings.last()?);
            let since = |of: fn(&DeviceGauge) -> u64| of(last).saturating_sub(of(first));
            Some(DeviceWork {
                name: name.clone(),
                kernels: since(|r| r.kernels),
                busy_ns: since(|r| r.busy_ns),
                uploaded: since(|r| r.uploaded),
                downloaded: since(|r| r.downloaded),
                peak: last.peak,
                points: readings.windows(2).map(|pair| DevicePoint::between(pair[0], pair[1])).collect(),
            })
        };
        profile.devices.iter().enumerate().filter_map(work).collect()
    }
}

impl DevicePoint {
    fn between(a: &DeviceGauge, b: &DeviceGauge) -> DevicePoint {
        let nanos = b.at.saturating_sub(a.at).max(1) as f64;
        let rate = |of: fn(&DeviceGauge) -> u64| of(b).saturating_sub(of(a)) as f64 / nanos;
        DevicePoint {
            at: a.at / 2 + b.at / 2,
            // Kernels that began before the first reading are counted when they end.
            busy_share: rate(|r| r.busy_ns).min(1.0),
            uploads: rate(|r| r.uploaded) * 1e9,
            downloads: rate(|r| r.downloaded) * 1e9,
            used: b.used,
        }
    }
}

/// When tensors took most, and which actors held them then.
#[derive(Debug, PartialEq)]
pub struct MemoryPeak {
    pub at: u64,
    pub bytes: u64,
    /// The largest first; what no actor's state held comes under its own name.
    pub holders: Vec<(String, u64)>,
}

impl MemoryPeak {
    pub fn of(profile: &Profile) -> Option<MemoryPeak> {
        let peak = profile.gauges.iter().max_by_key(|gauge| (gauge.tensor_bytes, std::cmp::Reverse(gauge.at)))?;
        if peak.tensor_bytes == 0 {
            return None;
        }
        // An actor holds what it held when it was last looked at, up to a moment behind the gauge, which is read first.
        const BEHIND: u64 = 50_000_000;
        let mut last: HashMap<u64, u64> = HashMap::new();
        for memory in profile.memory.iter().filter(|memory| memory.at <= peak.at + BEHIND) {
            last.insert(memory.actor, memory.bytes);
        }
        let held: u64 = last.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        let mut holders: Vec<(String, u64)> = last
            .into_iter()
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(actor, bytes)| (format!("actor {}", actor_name(profile, actor)), bytes))
            .collect();
        let rest = peak.tensor_bytes.saturating_sub(held);
        if rest > 0 {
            holders.push(("models, tasks and messages".to_string(), rest));
        }
        holders.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Some(MemoryPeak { at: peak.at, bytes: peak.tensor_bytes, holders })
    }
}

pub fn actor_name(profile: &Profile, id: u64) -> String {
    let known = profile.actors.iter().find(|actor| actor.id == id);
    known.map_or_else(|| format!("#{id}"), |actor| actor.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_of_nothing_is_nothing() {
        assert_eq!(percentile(&[], 0.5), 0);
        assert_eq!((percentile(&[1, 2, 3, 4], 0.5), percentile(&[1, 2, 3, 4], 1.0)), (2, 4));
    }

    #[test]
    fn what_a_device_did_is_the_difference_of_its_readings() {
        let reading = |at, busy_ns, uploaded, used| DeviceGauge {
            at,
            device: 0,
            kernels: busy_ns / 100,
            busy_ns,
            uploaded,
            downloaded: 0,
            used,
            peak: 95,
        };
        let device_gauges =
            vec![reading(0, 500, 1000, 10), reading(1000, 1000, 1000, 90), reading(3000, 1000, 3000, 20)];
        let profile = Profile { devices: vec!["opencl".to_string()], device_gauges, ..Profile::default() };
        let work = &DeviceWork::of(&profile)[0];
        assert_eq!((work.kernels, work.busy_ns, work.uploaded, work.peak), (5, 500, 2000, 95));
        let shares: Vec<(u64, f64, f64)> = work.points.iter().map(|p| (p.at, p.busy_share, p.uploads)).collect();
        assert_eq!(shares, [(500, 0.5, 0.0), (2000, 0.0, 1e9)]);
    }

    #[test]
    fn overlapping_calls_are_busy_once() {
        let device = DeviceUse::from("cpu", vec![(0, 10), (5, 20), (60, 80)], 100);
        assert_eq!((device.busy_share, device.longest_gap, device.max_depth), (0.4, (20, 40), 2));
        let filled: f64 = device.buckets.iter().sum::<f64>() / N_BUCKETS as f64;
        assert!((filled - 0.4).abs() < 1e-9, "{filled}");
    }
}
