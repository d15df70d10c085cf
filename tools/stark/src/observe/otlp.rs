//! OpenTelemetry: the figures as OTLP metrics, the sampled spans as OTLP traces and the lines of `log` as OTLP logs, in
//! JSON, posted to a collector every few seconds.
//!
//! Over HTTP without encryption, as to a collector on the same machine. What a collector does not take is tried again
//! with the next figures: counters are sums since the beginning, so nothing is lost. Spans and lines are: they
//! are not kept.

use super::figures::{BOUNDS, Histogram, Kind, Labels, Metric, metrics};
use serde_json::{Value, json};
use stark_profile::status::Stats;
use stark_vm::natives::http;
use stark_vm::observe::{LogLine, Span, SpanKind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
/// A collector answers with next to nothing.
const MAX_ANSWER: u64 = 1 << 16;

/// Posts to `endpoint` (`http://localhost:4318`) every few seconds, for as long as the process lives.
///
/// # Errors
/// Why nothing can be posted there, as a sentence.
pub fn export(endpoint: &str, program: &str, share: f64) -> Result<(), String> {
    if !endpoint.starts_with("http://") {
        return Err(format!("--otlp {endpoint} does not begin with http://; encrypted addresses are not supported"));
    }
    if share > 0.0 {
        stark_vm::observe::trace(share);
    }
    stark_vm::observe::keep_log();
    let (endpoint, program) = (endpoint.to_string(), program.to_string());
    let post = move || {
        let mut is_told = false;
        loop {
            std::thread::sleep(EVERY);
            let metrics = post_metrics(&endpoint);
            let posted = metrics.and(post_ended(&endpoint, &program));
            // Once is enough: the program has better things to say.
            if let (Err(reason), false) = (&posted, is_told) {
                eprintln!("note: not all metrics, traces and logs could be sent: {reason}");
            }
            is_told = posted.is_err();
        }
    };
    let spawned = std::thread::Builder::new().name("stark-otlp".into()).spawn(post);
    spawned.map(drop).map_err(|e| format!("the system gives no thread to send metrics: {e}"))
}

/// Sends what is left when a program is over.
pub fn post_last(endpoint: &str, program: &str) {
    if let Err(reason) = post_ended(endpoint, program) {
        eprintln!("note: the last traces and lines of the log could not be sent: {reason}");
    }
}

/// Sends the spans that ended and the lines that were written since the last time.
///
/// # Errors
/// Why they are lost.
fn post_ended(endpoint: &str, program: &str) -> Result<(), String> {
    let spans = stark_vm::observe::take_spans();
    let (lines, n_lost) = stark_vm::observe::take_log();
    // A collector may take one kind and not the other.
    let sent_spans = if spans.is_empty() { Ok(()) } else { post(endpoint, "traces", traces(&spans, program)) };
    let sent_lines = if lines.is_empty() { Ok(()) } else { post(endpoint, "logs", logs(&lines, program)) };
    let lost = (n_lost > 0).then(|| format!("more lines of the log waited than are kept, {n_lost} are lost"));
    let reasons: Vec<String> = sent_spans.err().into_iter().chain(sent_lines.err()).chain(lost).collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

fn post_metrics(endpoint: &str) -> Result<(), String> {
    let Some(stats) = stark_vm::observe::stats() else { return Ok(()) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    post(endpoint, "metrics", payload(&stats, now))
}

fn post(endpoint: &str, what: &str, body: Value) -> Result<(), String> {
    let url = format!("{}/v1/{what}", endpoint.trim_end_matches('/'));
    let request = http::Request {
        method: "POST".to_string(),
        url,
        headers: vec![("content-type".to_string(), "application/json".to_string())],
        body: body.to_string().into_bytes(),
        timeout: TIMEOUT,
        max_body: MAX_ANSWER,
    };
    let answer = http::send(&request).map_err(|why| format!("{}: {why}", request.url))?;
    match answer.status {
        200..300 => Ok(()),
        status => Err(format!("{} answered with status {status}", request.url)),
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn scope() -> Value {
    json!({ "name": "stark", "version": env!("CARGO_PKG_VERSION") })
}

/// `ExportTraceServiceRequest`.
fn traces(spans: &[Span], program: &str) -> Value {
    let span = |span: &Span| {
        // `Span.SpanKind`
        let kind = match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        };
        let attributes: Vec<Value> = span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
        let parent = if span.parent == 0 { String::new() } else { format!("{:016x}", span.parent) };
        // `STATUS_CODE_ERROR`, else unset.
        let status = span.error.as_ref().map_or(json!({}), |error| json!({ "code": 2, "message": error }));
        json!({
            "traceId": format!("{:032x}", span.trace), "spanId": format!("{:016x}", span.id), "parentSpanId": parent,
            "name": span.name, "kind": kind, "startTimeUnixNano": span.began_unix_ns.to_string(),
            "endTimeUnixNano": span.ended_unix_ns.to_string(), "attributes": attributes, "status": status,
        })
    };
    let all: Vec<Value> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": resource(program), "scopeSpans": [{ "scope": scope(), "spans": all }],
        }],
    })
}

/// `ExportLogsServiceRequest`.
fn logs(lines: &[LogLine], program: &str) -> Value {
    let line = |line: &LogLine| {
        // The first of the four numbers that a severity has.
        let (severity, number) = match line.level {
            0 => ("DEBUG", 5),
            1 => ("INFO", 9),
            2 => ("WARN", 13),
            _ => ("ERROR", 17),
        };
        let attributes: Vec<Value> = line.fields.iter().map(|(key, value)| attribute(key, value)).collect();
        let mut record = json!({
            "timeUnixNano": line.at_unix_ns.to_string(), "observedTimeUnixNano": line.at_unix_ns.to_string(),
            "severityNumber": number, "severityText": severity, "body": { "stringValue": line.text },
            "attributes": attributes,
        });
        if let Some((trace, span)) = line.span {
            record["traceId"] = json!(format!("{trace:032x}"));
            record["spanId"] = json!(format!("{span:016x}"));
        }
        record
    };
    let all: Vec<Value> = lines.iter().map(line).collect();
    json!({
        "resourceLogs": [{
            "resource": resource(program), "scopeLogs": [{ "scope": scope(), "logRecords": all }],
        }],
    })
}

/// What sends.
fn resource(program: &str) -> Value {
    let attributes = [
        attribute("service.name", program),
        attribute("process.pid", &std::process::id().to_string()),
        attribute("telemetry.sdk.language", "stark"),
    ];
    json!({ "attributes": attributes })
}

/// `ExportMetricsServiceRequest`. Its 64-bit numbers are strings in JSON.
fn payload(stats: &Stats, now: u64) -> Value {
    let began = now.saturating_sub(stats.uptime_ns).to_string();
    let now = now.to_string();
    let attributes =
        |labels: &Labels| -> Vec<Value> { labels.iter().map(|(key, value)| attribute(key, value)).collect() };
    let numbers = |points: &[(Labels, f64)]| -> Vec<Value> {
        let point = |(labels, value): &(Labels, f64)| {
            json!({
                "attributes": attributes(labels), "startTimeUnixNano": began, "timeUnixNano": now, "asDouble": value,
            })
        };
        points.iter().map(point).collect()
    };
    let histogram = |(labels, histogram): &(Labels, Histogram)| {
        let counts: Vec<String> = histogram.counts.iter().map(u64::to_string).collect();
        json!({
            "attributes": attributes(labels), "startTimeUnixNano": began, "timeUnixNano": now,
            "count": histogram.n.to_string(), "sum": histogram.sum, "bucketCounts": counts, "explicitBounds": BOUNDS,
        })
    };
    /// `AGGREGATION_TEMPORALITY_CUMULATIVE`
    const CUMULATIVE: u32 = 2;
    let metric = |Metric { name, help, unit, kind }: &Metric| {
        let mut metric = json!({ "name": name, "description": help, "unit": unit });
        match kind {
            Kind::Gauge(points) => metric["gauge"] = json!({ "dataPoints": numbers(points) }),
            Kind::Counter(points) => {
                metric["sum"] = json!({
                    "dataPoints": numbers(points), "isMonotonic": true, "aggregationTemporality": CUMULATIVE,
                });
            }
            Kind::Histogram(points) => {
                let points: Vec<Value> = points.iter().map(histogram).collect();
                metric["histogram"] = json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE });
            }
        }
        metric
    };
    // A metric without points says nothing, and collectors warn of it.
    let has_points = |metric: &Metric| match &metric.kind {
        Kind::Gauge(points) | Kind::Counter(points) => !points.is_empty(),
        Kind::Histogram(points) => !points.is_empty(),
    };
    let all: Vec<Value> = metrics(stats).iter().filter(|metric| has_points(metric)).map(metric).collect();
    json!({
        "resourceMetrics": [{
            "resource": resource(&stats.program),
            "scopeMetrics": [{ "scope": scope(), "metrics": all }],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_points_with_times() {
        let stats = Stats { uptime_ns: 5, workers: vec![vec![("runs".to_string(), 7)]], ..Stats::default() };
        let payload = payload(&stats, 100);
        let metrics = payload["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
        let runs = metrics.iter().find(|metric| metric["name"] == "stark_worker_runs_total").unwrap();
        let point = &runs["sum"]["dataPoints"][0];
        assert_eq!((&point["startTimeUnixNano"], &point["timeUnixNano"]), (&json!("95"), &json!("100")));
        assert_eq!((&point["asDouble"], &runs["sum"]["isMonotonic"]), (&json!(7.0), &json!(true)));
        for metric in metrics {
            let data = ["gauge", "sum", "histogram"].iter().find_map(|kind| metric[kind]["dataPoints"].as_array());
            assert!(data.is_some_and(|points| !points.is_empty()), "{metric}");
        }
    }
}
