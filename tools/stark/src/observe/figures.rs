//! The figures of a program as both exports tell them: named, with labels.

use stark_profile::model::Actor;
use stark_profile::status::{DeviceStats, ModelStats, Stats};
use std::collections::BTreeMap;

pub struct Metric {
    pub name: String,
    pub help: String,
    pub unit: &'static str,
    pub kind: Kind,
}

pub type Labels = Vec<(&'static str, String)>;

pub enum Kind {
    /// What goes up and down.
    Gauge(Vec<(Labels, f64)>),
    /// What only grows.
    Counter(Vec<(Labels, f64)>),
    Histogram(Vec<(Labels, Histogram)>),
}

pub struct Histogram {
    /// Observations up to each of [`BOUNDS`], and above the last.
    pub counts: [u64; BOUNDS.len() + 1],
    pub sum: f64,
    pub n: u64,
}

/// Upper bounds of the latency buckets, in seconds: Prometheus' own, with three more for small models.
pub const BOUNDS: [f64; 14] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

pub fn metrics(stats: &Stats) -> Vec<Metric> {
    let mut all = Vec::new();
    let mut add = |name: &str, unit, help: &str, kind| {
        all.push(Metric { name: name.to_string(), help: help.to_string(), unit, kind });
    };
    let one = |value: f64| Kind::Gauge(vec![(Labels::new(), value)]);
    add("stark_uptime_seconds", "s", "Time since the program began.", one(seconds(stats.uptime_ns)));
    add("stark_tasks", "1", "Tasks that are alive, actors included.", one(stats.n_tasks as f64));
    add("stark_tensor_bytes", "By", "Bytes of the buffers of all tensors.", one(stats.tensor_bytes as f64));
    for (i, (name, _)) in stats.workers.first().into_iter().flatten().enumerate() {
        let point = |(worker, counters): (usize, &Vec<(String, u64)>)| {
            (vec![("worker", worker.to_string())], counters.get(i).map_or(0.0, |(_, n)| *n as f64))
        };
        let points = stats.workers.iter().enumerate().map(point).collect();
        let help = format!("Counter `{name}` of the scheduler.");
        add(&format!("stark_worker_{name}_total"), "1", &help, Kind::Counter(points));
    }
    actors(&mut add, &stats.actors);
    models(&mut add, &stats.models);
    devices(&mut add, &stats.devices);
    all
}

/// Actors of one name or type together: unnamed ones come and go by the thousand.
fn actors(add: &mut impl FnMut(&str, &'static str, &str, Kind), actors: &[Actor]) {
    let mut kinds: BTreeMap<&str, Vec<&Actor>> = BTreeMap::new();
    for actor in actors {
        kinds.entry(actor.name.split('#').next().unwrap_or_default()).or_default().push(actor);
    }
    let sum = |of: fn(&Actor) -> f64| -> Vec<(Labels, f64)> {
        let point = |(name, members): (&&str, &Vec<&Actor>)| {
            (vec![("actor", name.to_string())], members.iter().map(|actor| of(actor)).sum())
        };
        kinds.iter().map(point).collect()
    };
    let counter = |of| Kind::Counter(sum(of));
    add("stark_actors", "1", "Actors that are alive, by name or type.", Kind::Gauge(sum(|_| 1.0)));
    add("stark_actor_requests_total", "1", "Messages worked on.", counter(|a| a.requests as f64));
    add("stark_actor_errors_total", "1", "Messages whose handler failed.", counter(|a| a.errors as f64));
    add("stark_actor_restarts_total", "1", "Restarts.", counter(|a| a.restarts as f64));
    add("stark_actor_batches_total", "1", "Batches worked on.", counter(|a| a.batches as f64));
    add("stark_actor_queued", "1", "Messages in the mailbox.", Kind::Gauge(sum(|a| a.queued as f64)));
    let latency = counter(|a| a.mean_ms * a.requests as f64 / 1e3);
    add("stark_actor_latency_seconds_total", "s", "Time from sending to answering, summed.", latency);
    let bytes = Kind::Gauge(sum(|a| a.tensor_bytes as f64));
    add("stark_actor_tensor_bytes", "By", "Bytes of the tensors in the state.", bytes);
}

fn models(add: &mut impl FnMut(&str, &'static str, &str, Kind), models: &[ModelStats]) {
    let labels = |model: &ModelStats| vec![("model", model.file.clone()), ("device", model.device.clone())];
    let counter = |of: fn(&ModelStats) -> f64| Kind::Counter(models.iter().map(|m| (labels(m), of(m))).collect());
    add("stark_model_errors_total", "1", "Calls that failed.", counter(|m| m.errors as f64));
    add("stark_model_rows_total", "1", "First dimensions of the first inputs, summed.", counter(|m| m.rows as f64));
    add("stark_model_busy_seconds_total", "s", "Time spent in the model.", counter(|m| seconds(m.busy_ns)));
    let histogram = |model: &ModelStats| {
        let mut counts = [0; BOUNDS.len() + 1];
        for &(ns, n) in &model.latencies {
            counts[BOUNDS.partition_point(|&bound| bound < seconds(ns))] += n;
        }
        (labels(model), Histogram { counts, sum: seconds(model.busy_ns), n: model.calls })
    };
    let latencies = Kind::Histogram(models.iter().map(histogram).collect());
    add("stark_model_latency_seconds", "s", "How long a call took.", latencies);
    let mut devices: BTreeMap<&str, u64> = BTreeMap::new();
    for model in models {
        *devices.entry(&model.device).or_default() += model.busy_ns;
    }
    let busy = devices.into_iter().map(|(device, ns)| (vec![("device", device.to_string())], seconds(ns))).collect();
    let help = "Time in which a device worked for models, summed over what ran at once.";
    add("stark_device_busy_seconds_total", "s", help, Kind::Counter(busy));
}

/// Devices other than the processor, as they count themselves.
fn devices(add: &mut impl FnMut(&str, &'static str, &str, Kind), devices: &[(String, DeviceStats)]) {
    let points = |of: fn(&DeviceStats) -> f64| -> Vec<(Labels, f64)> {
        devices.iter().map(|(name, stats)| (vec![("device", name.clone())], of(stats))).collect()
    };
    let counter = |of| Kind::Counter(points(of));
    add("stark_device_kernels_total", "1", "Kernels that ran.", counter(|d| d.kernels as f64));
    add("stark_device_kernel_seconds_total", "s", "Time in which kernels ran.", counter(|d| seconds(d.busy_ns)));
    add("stark_device_uploads_total", "1", "Copies to the device.", counter(|d| d.uploads as f64));
    add("stark_device_uploaded_bytes_total", "By", "Bytes copied to the device.", counter(|d| d.uploaded_bytes as f64));
    add("stark_device_downloads_total", "1", "Copies from the device.", counter(|d| d.downloads as f64));
    let downloaded = counter(|d| d.downloaded_bytes as f64);
    add("stark_device_downloaded_bytes_total", "By", "Bytes copied from the device.", downloaded);
    let held = Kind::Gauge(points(|d| d.used_bytes as f64));
    add("stark_device_tensor_bytes", "By", "Bytes that tensors hold on the device.", held);
}
