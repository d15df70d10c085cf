//! One page that holds the whole report, without anything to fetch.

use crate::batch::Study;
use crate::figures::{DevicePoint, DeviceUse, DeviceWork, MemoryPeak, N_BUCKETS, actor_name, latencies, percentile};
use crate::flame::Width;
use crate::plot::{Chart, Line};
use crate::text::{bytes, duration};
use crate::tree::{Tree, label, sites};
use crate::{batch, flame, text};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use stark_profile::Profile;
use std::collections::BTreeMap;

/// Rows of each table, lines of each chart.
const MAX_ROWS: usize = 60;
const MAX_LINES: usize = 8;
/// Points of one line; more are thinned out.
const MAX_POINTS: usize = 1000;

const STYLE: &str = "
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 1220px; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; border-bottom: 1px solid #ddd; margin-top: 2em }
table { border-collapse: collapse; margin: .6em 0 } td, th { padding: 2px 10px; text-align: right }
th { border-bottom: 1px solid #bbb } td.name, th.name { text-align: left; font-family: ui-monospace, monospace }
tr:nth-child(even) { background: #f6f6f6 } svg { max-width: 100%; height: auto } .note { color: #666 }
pre { background: #f6f6f6; padding: .8em; overflow-x: auto }
";

/// `target_ms`: the p95 that the batch optimiser is to keep.
pub fn page(profile: &Profile, target_ms: f64) -> String {
    let info = &profile.info;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "stark-prof: " (info.program) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (info.program) }
                p {
                    "pid " (info.pid) ", stark " (info.stark) ", " (duration(info.duration_ns)) " recorded at "
                    (info.rate_hz) " Hz on " (info.n_workers) " workers; " (info.n_turns) " turns, " (info.n_finished)
                    " tasks ended."
                    @if info.n_dropped > 0 { " " strong { (info.n_dropped) " entries came after the limit and are missing." } }
                }
                (samples(profile))
                (allocations(profile))
                (models(profile))
                (devices(profile))
                (device_work(profile))
                (batches(profile, target_ms))
                (actors(profile))
                (memory(profile))
                (tasks(profile))
            }
        }
    };
    page.into_string()
}

fn samples(profile: &Profile) -> Markup {
    let tree = Tree::of(profile);
    let all = tree.nodes[0].total;
    let share = |n: u64| format!("{:.1} %", n as f64 / all.max(1) as f64 * 100.0);
    html! {
        h2 { "Where the time went" }
        @if all == 0 {
            p class="note" { "No samples: nothing ran when the clock ticked." }
        } @else {
            p class="note" { "Width is time. Blue calls await the task that is drawn on them; hover for figures." }
            (flame::svg(profile, Width::Time))
            table {
                tr { th { "own" } th { "total" } th class="name" { "line" } }
                @for (frame, own, total) in tree.lines().into_iter().take(MAX_ROWS) {
                    tr { td { (share(own)) } td { (share(total)) } td class="name" { (label(profile, frame)) } }
                }
            }
        }
    }
}

fn allocations(profile: &Profile) -> Markup {
    let sites = sites(profile);
    let all = sites.iter().map(|site| site.bytes).fold(0, u64::saturating_add);
    html! {
        @if all > 0 {
            h2 { "Where memory was allocated" }
            p class="note" {
                "Width is bytes, about " (bytes(all)) " in all, also of what is gone; one allocation in 512 KiB or more was "
                "looked at and stands for others."
            }
            (flame::svg(profile, Width::Allocations))
            table {
                tr { th { "share" } th { "bytes" } th { "objects" } th class="name" { "line" } }
                @for site in sites.iter().take(MAX_ROWS) {
                    tr {
                        td { (format!("{:.1} %", site.bytes as f64 / all as f64 * 100.0)) } td { (bytes(site.bytes)) }
                        td { (site.objects) } td class="name" { (site.label) }
                    }
                }
            }
        }
    }
}

fn models(profile: &Profile) -> Markup {
    let seconds = (profile.info.duration_ns as f64 / 1e9).max(1e-9);
    html! {
        @for (i, model) in profile.models.iter().enumerate() {
            @let sorted = latencies(profile, i);
            @let rows: u64 = profile.calls.iter().filter(|c| c.model as usize == i).map(|c| c.rows).fold(0, u64::saturating_add);
            @let at = |share| duration(percentile(&sorted, share));
            h2 { "Model " (model.file) " on " (model.device) }
            p {
                (sorted.len()) " calls, " (format!("{:.1}", sorted.len() as f64 / seconds)) " a second, "
                (format!("{:.1}", rows as f64 / seconds)) " rows a second. Latency p50 " (at(0.5)) ", p95 " (at(0.95))
                ", p99 " (at(0.99)) ", most " (at(1.0)) "."
            }
            (histogram(&sorted))
            @if !model.ops.is_empty() {
                @let all: u64 = model.ops.iter().map(|op| op.total_ns).fold(0, u64::saturating_add).max(1);
                table {
                    tr {
                        th { "share" } th { "runs" } th { "mean" } th { "p95" } th { "runs/s" } th class="name" { "operator" }
                        th { "line" }
                    }
                    @for op in model.ops.iter().take(MAX_ROWS) {
                        tr {
                            td { (format!("{:.1} %", op.total_ns as f64 / all as f64 * 100.0)) }
                            td { (op.runs) }
                            td { (duration(op.total_ns / op.runs.max(1))) }
                            td { (duration(share_of(&op.latencies, 0.95))) }
                            td { (format!("{:.1}", op.runs as f64 / seconds)) }
                            td class="name" { (op.name) }
                            td { @if op.line > 0 { (op.line) } }
                        }
                    }
                }
            }
        }
    }
}

/// A percentile of `(value, count)` pairs.
fn share_of(pairs: &[(u64, u64)], share: f64) -> u64 {
    let all: u64 = pairs.iter().map(|(_, n)| n).fold(0, |a, n| a.saturating_add(*n));
    let rank = (share * all as f64).ceil() as u64;
    let mut seen = 0u64;
    for &(value, n) in pairs {
        seen = seen.saturating_add(n);
        if seen >= rank {
            return value;
        }
    }
    0
}

/// Latencies in bars, each a quarter wider than the one before.
fn histogram(sorted: &[u64]) -> Markup {
    const STEP: f64 = 1.25;
    let bucket = |ns: u64| ((ns.max(1) as f64).ln() / STEP.ln()).floor() as i64;
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for &ns in sorted {
        *counts.entry(bucket(ns)).or_default() += 1;
    }
    let (Some((&first, _)), Some((&last, _))) = (counts.first_key_value(), counts.last_key_value()) else {
        return html! {};
    };
    let most = counts.values().copied().max().unwrap_or(1) as f64;
    let width = 720.0 / (last - first + 1) as f64;
    let bound = |bucket: i64| duration(STEP.powi(bucket as i32) as u64);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 150" width="740" height="150"
            font-family="system-ui, sans-serif" font-size="11" {
            @for (&at, &n) in &counts {
                @let height = n as f64 / most * 110.0;
                g {
                    title { (n) " calls from " (bound(at)) " to " (bound(at + 1)) }
                    rect x=(flame::num(10.0 + (at - first) as f64 * width)) y=(flame::num(122.0 - height))
                        width=(flame::num((width - 1.0).max(0.5))) height=(flame::num(height)) fill="#1f6fb4" {}
                }
            }
            text x="10" y="140" { (bound(first)) }
            text x="730" y="140" text-anchor="end" { (bound(last + 1)) }
            text x="370" y="140" text-anchor="middle" { "latency (logarithmic); height: calls" }
        }
    }
}

fn devices(profile: &Profile) -> Markup {
    let second = profile.info.duration_ns as f64 / 1e9;
    html! {
        @for device in DeviceUse::of(profile) {
            h2 { "Device " (device.name) }
            p {
                "Busy " (format!("{:.1} %", device.busy_share * 100.0)) " of the time; at most " (device.max_depth)
                " calls at once; longest gap " (duration(device.longest_gap.1)) " at " (duration(device.longest_gap.0)) "."
                @if device.name == "cpu" { " The processor computes where the tensors lie: there are no transfers." }
            }
            @let points = device.buckets.iter().enumerate()
                .map(|(i, share)| ((i as f64 + 0.5) * second / N_BUCKETS as f64, share * 100.0)).collect();
            (Chart {
                title: "use over time",
                x: "s",
                y: "busy %",
                lines: vec![Line { name: device.name.clone(), points }],
                marks: Vec::new(),
                limit: None,
                filled: true,
            }.svg())
        }
    }
}

/// What devices say of themselves: when their kernels ran, and what was copied.
fn device_work(profile: &Profile) -> Markup {
    let chart = |title, y, lines| Chart { title, x: "s", y, lines, marks: Vec::new(), limit: None, filled: true }.svg();
    let line = |name: &str, work: &DeviceWork, of: fn(&DevicePoint) -> f64| Line {
        name: name.to_string(),
        points: thinned(work.points.iter().map(|point| (point.at as f64 / 1e9, of(point))).collect()),
    };
    const MIB: f64 = (1 << 20) as f64;
    html! {
        @for work in DeviceWork::of(profile) {
            h2 { "Device " (work.name) " by its own count" }
            p {
                (work.kernels) " kernels in " (duration(work.busy_ns)) "; " (bytes(work.uploaded)) " copied to it, "
                (bytes(work.downloaded)) " from it; tensors held at most " (bytes(work.peak)) "."
            }
            @if !work.points.is_empty() {
                (chart("kernels over time", "busy %", vec![line(&work.name, &work, |p| p.busy_share * 100.0)]))
                (chart("transfers over time", "MiB/s", vec![
                    line("to the device", &work, |p| p.uploads / MIB),
                    line("from the device", &work, |p| p.downloads / MIB),
                ]))
            }
        }
    }
}

fn batches(profile: &Profile, target_ms: f64) -> Markup {
    match batch::study(profile, None, target_ms) {
        Ok(study) => {
            let name = actor_name(profile, study.actor);
            html! {
                h2 { "Batches of " (name) }
                (chart(&study))
                pre { (study.render(&name)) }
            }
        }
        Err(_) => html! {},
    }
}

/// The latency of each setting over how busy it keeps the actor.
pub fn chart(study: &Study) -> Markup {
    let mut lines: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for trial in &study.trials {
        let point = (trial.outcome.mean_size, trial.outcome.p95 as f64 / 1e6);
        lines.entry(trial.delay_ms).or_default().push(point);
    }
    let mark = study.best.map(|best| {
        let trial = &study.trials[best];
        let words = format!("best: size {}, delay {} ms", trial.size, trial.delay_ms);
        (trial.outcome.mean_size, trial.outcome.p95 as f64 / 1e6, words)
    });
    let line = |(delay, points): (u64, Vec<(f64, f64)>)| Line { name: format!("delay {delay} ms"), points };
    // A setting that cannot keep up would leave no room for the others.
    let limit = study.target_ns as f64 / 1e6;
    let lines = lines.into_iter().map(line).map(|mut line| {
        line.points.retain(|(_, p95)| *p95 <= limit * 4.0);
        line
    });
    Chart {
        title: "simulated p95 latency by mean batch size",
        x: "messages in a batch, mean",
        y: "p95 ms",
        lines: lines.filter(|line| !line.points.is_empty()).collect(),
        marks: mark.into_iter().collect(),
        limit: Some(limit),
        filled: false,
    }
    .svg()
}

fn actors(profile: &Profile) -> Markup {
    let mut actors: Vec<_> = profile.actors.iter().collect();
    actors.sort_by(|a, b| b.requests.cmp(&a.requests).then(a.id.cmp(&b.id)));
    html! {
        @if !actors.is_empty() {
            h2 { "Actors" }
            table {
                tr {
                    th class="name" { "actor" } th { "requests" } th { "errors" } th { "restarts" } th { "queued" }
                    th { "p50 ms" } th { "p95 ms" } th { "p99 ms" } th { "batches" } th { "mean size" } th { "tensors" }
                }
                @for actor in actors.iter().take(MAX_ROWS) {
                    tr {
                        td class="name" { (actor.name) } td { (actor.requests) } td { (actor.errors) } td { (actor.restarts) }
                        td { (actor.queued) } td { (format!("{:.3}", actor.p50_ms)) } td { (format!("{:.3}", actor.p95_ms)) }
                        td { (format!("{:.3}", actor.p99_ms)) } td { (actor.batches) }
                        td { (format!("{:.1}", actor.mean_batch_size)) } td { (bytes(actor.tensor_bytes)) }
                    }
                }
            }
            @if actors.len() > MAX_ROWS { p class="note" { (actors.len() - MAX_ROWS) " more actors." } }
        }
    }
}

fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    points.into_iter().step_by(step).collect()
}

fn memory(profile: &Profile) -> Markup {
    let Some(peak) = MemoryPeak::of(profile) else { return html! {} };
    let mib = |n: u64| n as f64 / (1 << 20) as f64;
    let second = |ns: u64| ns as f64 / 1e9;
    let all = profile.gauges.iter().map(|g| (second(g.at), mib(g.tensor_bytes))).collect();
    let mut lines = vec![Line { name: "all tensors (cpu)".to_string(), points: thinned(all) }];
    for work in DeviceWork::of(profile) {
        let points = work.points.iter().map(|point| (second(point.at), mib(point.used))).collect();
        lines.push(Line { name: format!("on {}", work.name), points: thinned(points) });
    }
    let mut actors: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for memory in profile.memory.iter() {
        actors.entry(memory.actor).or_default().push((second(memory.at), mib(memory.bytes)));
    }
    let mut actors: Vec<_> = actors.into_iter().collect();
    let most = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(0.0, f64::max);
    actors.retain(|(_, points)| most(points) > 0.0);
    actors.sort_by(|a, b| most(&b.1).total_cmp(&most(&a.1)));
    for (actor, points) in actors.into_iter().take(MAX_LINES) {
        lines.push(Line { name: actor_name(profile, actor), points: thinned(points) });
    }
    html! {
        h2 { "Memory of tensors" }
        (Chart { title: "tensor bytes over time", x: "s", y: "MiB", lines, marks: Vec::new(), limit: None, filled: true }.svg())
        p { "At most " (bytes(peak.bytes)) ", at " (duration(peak.at)) ", held by" }
        table {
            @for (name, held) in peak.holders.iter().take(MAX_ROWS) {
                tr { td class="name" { (name) } td { (bytes(*held)) } }
            }
        }
    }
}

fn tasks(profile: &Profile) -> Markup {
    let count = profile.gauges.iter().map(|g| (g.at as f64 / 1e9, g.tasks as f64)).collect();
    let turns = profile.gauges.windows(2).map(|pair| {
        let seconds = (pair[1].at.saturating_sub(pair[0].at) as f64 / 1e9).max(1e-9);
        (pair[1].at as f64 / 1e9, pair[1].turns.saturating_sub(pair[0].turns) as f64 / seconds)
    });
    let line = |name: &str, points| vec![Line { name: name.to_string(), points: thinned(points) }];
    let chart = |title, y, lines| Chart { title, x: "s", y, lines, marks: Vec::new(), limit: None, filled: true }.svg();
    html! {
        @if profile.gauges.len() > 1 {
            h2 { "Tasks" }
            (chart("tasks alive over time", "tasks", line("tasks", count)))
            (chart("turns over time", "turns/s", line("turns", turns.collect())))
        }
        @if profile.info.traced {
            h2 { "Trace" }
            pre { (text::trace(profile)) }
            p class="note" { "For the tracks: stark-prof report --format perfetto, in ui.perfetto.dev." }
        } @else {
            p class="note" {
                "Turns, waits, messages and single operators were not noted; --trace notes them, for the formats perfetto "
                "and chrome."
            }
        }
    }
}
