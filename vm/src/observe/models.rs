//! The figures of models and devices: always the sums, and while something is recorded each call with its operators.

use super::{is_recording, is_tracing, recorder, spans};
use crate::task::TaskCx;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use stark_kernels::accelerator::Accelerator;
use stark_models::observe::OpRun;
use stark_models::{Model, ModelError, Stop, Value};
use stark_profile::model::{Event, EventKind, ModelCall};
use stark_profile::status::{DeviceStats, ModelStats};
use std::time::Instant;

/// Where a model runs, as `--device` takes it.
fn device(model: &Model) -> &str {
    model.accelerator().map_or("cpu", |accelerator| accelerator.name())
}

/// Models by file and device that are counted; the others go uncounted, so that a program that loads ever new files does not grow.
const MAX_MODELS: usize = 1000;

struct Counted {
    file: String,
    device: String,
    calls: u64,
    errors: u64,
    rows: u64,
    busy_ns: u64,
    latencies: Histogram<u64>,
}

static COUNTED: Mutex<Vec<Counted>> = Mutex::new(Vec::new());

/// The longest latency that is told apart from longer ones: an hour, in nanoseconds.
const MAX_LATENCY: u64 = 3_600_000_000_000;

/// Latencies in nanoseconds, within a hundredth. With its bounds from the beginning: one that has to grow takes what is
/// beyond its bounds, when asked not to fail, for the largest it knows.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY, 2)
        .unwrap_or_else(|_| unreachable!("two digits are among the precisions it knows"))
}

pub(super) fn buckets(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|b| (b.value_iterated_to(), b.count_at_value())).collect()
}

/// A `model.predict` under way: what is known of it when a device has its work.
pub(crate) struct Prediction {
    begun: Instant,
    rows: u64,
    /// While something is recorded.
    ops: Option<Vec<OpRun>>,
}

/// Queues `model.predict`, or does it, until `stop` says so; [`Prediction::end`] when the results are there.
pub(crate) fn predict(
    model: &Model,
    given: Vec<Option<Value>>,
    rows: u64,
    stop: &Stop<'_>,
) -> (Prediction, Result<Value, ModelError>) {
    let recorded = is_recording();
    let begun = Instant::now();
    if recorded {
        stark_models::observe::begin();
    }
    let result = model.predict_queued(given, stop);
    let ops = recorded.then(stark_models::observe::end);
    (Prediction { begun, rows, ops }, result)
}

impl Prediction {
    /// Counts it, with the time from its beginning to now.
    pub fn end(self, cx: &TaskCx, model: &Model, result: &Result<Value, ModelError>) {
        let Prediction { begun, rows, ops } = self;
        let dur = begun.elapsed().as_nanos() as u64;
        count(model, rows, dur, result.is_err());
        if spans::is_on() {
            let task = cx.id();
            spans::predicted(task, begun, model.file(), rows, result.as_ref().err().map(ToString::to_string));
        }
        let Some(ops) = ops else { return };
        let (at, task) = (recorder::since_began(begun), cx.id());
        let worker = cx.worker() as u32;
        let call = ModelCall { model: 0, at, dur, task, worker, rows, failed: result.is_err() };
        recorder::call(model.file(), device(model), call, &ops);
        if is_tracing() {
            for op in &ops {
                let (at, dur) = (recorder::since_began(op.begun), op.dur.as_nanos() as u64);
                let what = recorder::name(op.name);
                recorder::event(Event { kind: EventKind::Operator, at, dur, task, worker, what, id: op.line.into() });
            }
        }
    }
}

fn count(model: &Model, rows: u64, dur: u64, failed: bool) {
    let (file, device) = (model.file(), device(model));
    let mut counted = COUNTED.lock();
    let at = match counted.iter().position(|model| model.file == file && model.device == device) {
        Some(at) => at,
        None if counted.len() == MAX_MODELS => return,
        None => {
            let latencies = histogram();
            let (file, device) = (file.to_string(), device.to_string());
            counted.push(Counted { file, device, calls: 0, errors: 0, rows: 0, busy_ns: 0, latencies });
            counted.len() - 1
        }
    };
    let model = &mut counted[at];
    model.calls += 1;
    model.errors += u64::from(failed);
    model.rows += rows;
    model.busy_ns += dur;
    model.latencies.saturating_record(dur);
}

pub(super) fn stats() -> Vec<ModelStats> {
    let stats = |model: &Counted| ModelStats {
        file: model.file.clone(),
        device: model.device.clone(),
        calls: model.calls,
        errors: model.errors,
        rows: model.rows,
        busy_ns: model.busy_ns,
        latencies: buckets(&model.latencies),
    };
    COUNTED.lock().iter().map(stats).collect()
}

/// The devices other than the processor that were opened, by name.
pub(super) fn devices() -> Vec<(String, DeviceStats)> {
    let stats = |(_, device): (usize, std::sync::Arc<stark_opencl::OpenCl>)| {
        let done = device.statistics();
        let stats = DeviceStats {
            kernels: done.n_kernels,
            busy_ns: done.busy_ns,
            uploads: done.n_uploads,
            uploaded_bytes: done.uploaded_bytes,
            downloads: done.n_downloads,
            downloaded_bytes: done.downloaded_bytes,
            used_bytes: done.used_bytes,
            peak_bytes: done.peak_bytes,
        };
        (device.name().to_string(), stats)
    };
    stark_opencl::opened().into_iter().map(stats).collect()
}
