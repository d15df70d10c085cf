//! Prometheus' text format, version 0.0.4.

use super::figures::{BOUNDS, Histogram, Kind, Labels, Metric, metrics};
use stark_profile::status::Stats;
use std::fmt::{Display, Write};
use std::net::ToSocketAddrs;

/// Answers `GET /metrics` at `address` for as long as the process lives.
///
/// # Errors
/// Why nothing can be served there, as a sentence.
pub fn serve(address: &str) -> Result<(), String> {
    // Looked up here: the server would only say that there is none.
    let resolved = address.to_socket_addrs().map_err(|e| format!("--metrics {address} is not HOST:PORT: {e}"))?;
    let resolved: Vec<_> = resolved.collect();
    let server = tiny_http::Server::http(&resolved[..]).map_err(|e| format!("cannot serve at {address}: {e}"))?;
    let serve = move || {
        for request in server.incoming_requests() {
            let path = request.url().split('?').next().unwrap_or_default().to_string();
            let (status, text) = match (request.method(), path.as_str()) {
                (tiny_http::Method::Get, "/metrics") => {
                    (200, stark_vm::observe::stats().map_or(String::new(), |s| page(&s)))
                }
                (tiny_http::Method::Get, _) => (404, "there is only /metrics\n".to_string()),
                _ => (405, "only GET is answered\n".to_string()),
            };
            let kind = tiny_http::Header::from_bytes(b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8");
            let response = tiny_http::Response::from_string(text).with_status_code(status);
            let response = kind.into_iter().fold(response, tiny_http::Response::with_header);
            // A client that has gone needs no answer.
            let _ = request.respond(response);
        }
    };
    let spawned = std::thread::Builder::new().name("stark-metrics".into()).spawn(serve);
    spawned.map(drop).map_err(|e| format!("the system gives no thread to serve metrics: {e}"))
}

fn page(stats: &Stats) -> String {
    let mut out = String::new();
    for metric in metrics(stats) {
        let Metric { name, help, kind, .. } = &metric;
        let (word, points) = match kind {
            Kind::Gauge(points) => ("gauge", points.as_slice()),
            Kind::Counter(points) => ("counter", points.as_slice()),
            Kind::Histogram(_) => ("histogram", &[][..]),
        };
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {word}");
        points.iter().for_each(|(labels, value)| line(&mut out, name, labels, value));
        if let Kind::Histogram(histograms) = kind {
            histograms.iter().for_each(|(labels, histogram)| buckets(&mut out, name, labels, histogram));
        }
    }
    out
}

fn buckets(out: &mut String, name: &str, labels: &Labels, histogram: &Histogram) {
    let mut below = 0;
    let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_string()]);
    for (bound, n) in bounds.zip(histogram.counts) {
        below += n;
        let labels: Labels = labels.iter().cloned().chain([("le", bound)]).collect();
        line(out, &format!("{name}_bucket"), &labels, below);
    }
    line(out, &format!("{name}_sum"), labels, histogram.sum);
    line(out, &format!("{name}_count"), labels, below);
}

fn line(out: &mut String, name: &str, labels: &Labels, value: impl Display) {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
    let _ = match labels.len() {
        0 => writeln!(out, "{name} {value}"),
        _ => writeln!(out, "{name}{{{}}} {value}", labels.join(",")),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_profile::status::ModelStats;

    #[test]
    fn buckets_are_cumulative_and_labels_are_quoted() {
        let model = ModelStats {
            file: "a\"b.pt".into(),
            device: "cpu".into(),
            calls: 3,
            errors: 1,
            rows: 12,
            busy_ns: 30_000_000,
            latencies: vec![(400_000, 1), (20_000_000, 2)],
        };
        let page = page(&Stats { models: vec![model], ..Stats::default() });
        let bucket = |le: &str| {
            let start =
                format!("stark_model_latency_seconds_bucket{{model=\"a\\\"b.pt\",device=\"cpu\",le=\"{le}\"}} ");
            let line = page.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("{start} in {page}")).parse::<u64>().unwrap()
        };
        assert_eq!((bucket("0.0001"), bucket("0.0005"), bucket("0.025"), bucket("+Inf")), (0, 1, 3, 3));
    }
}
