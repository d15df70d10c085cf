//! The report for the terminal.

use crate::figures::{DeviceUse, DeviceWork, MemoryPeak, latencies, percentile};
use crate::tree::{Site, Tree, label, sites};
use stark_profile::Profile;
use stark_profile::model::EventKind;
use std::collections::HashMap;
use std::fmt::Write;

/// Rows of each table.
const MAX_ROWS: usize = 20;

pub fn render(profile: &Profile) -> String {
    let mut out = String::new();
    head(&mut out, profile);
    lines(&mut out, profile);
    allocations(&mut out, profile);
    models(&mut out, profile);
    actors(&mut out, profile);
    memory(&mut out, profile);
    out += &trace(profile);
    out
}

/// `1.5 ms`
pub fn duration(ns: u64) -> String {
    let x = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", x / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", x / 1e6),
        _ => format!("{:.2} s", x / 1e9),
    }
}

pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut x, mut unit) = (n as f64, 0);
    while x >= 1024.0 && unit + 1 < UNITS.len() {
        (x, unit) = (x / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{n} B") } else { format!("{x:.1} {}", UNITS[unit]) }
}

fn head(out: &mut String, profile: &Profile) {
    let info = &profile.info;
    let ticks: u64 = profile.samples.iter().map(|s| u64::from(s.weight)).sum();
    let rate = f64::from(info.rate_hz.max(1));
    let busy = ticks as f64 / rate / (info.duration_ns as f64 / 1e9).max(1e-9) / f64::from(info.n_workers.max(1));
    let _ = writeln!(
        out,
        "{} (pid {}), {} recorded, {} workers busy {:.1} %, {} turns, {} tasks ended",
        info.program,
        info.pid,
        duration(info.duration_ns),
        info.n_workers,
        busy * 100.0,
        info.n_turns,
        info.n_finished
    );
    if info.n_dropped > 0 {
        let _ = writeln!(out, "{} entries came after the limit and are missing below", info.n_dropped);
    }
}

fn lines(out: &mut String, profile: &Profile) {
    let tree = Tree::of(profile);
    let all = tree.nodes[0].total;
    if all == 0 {
        let _ =
            writeln!(out, "\nno samples: nothing ran when the clock ticked {} times a second", profile.info.rate_hz);
        return;
    }
    let _ = writeln!(out, "\n   own  total  line ({all} ticks)");
    for (frame, own, total) in tree.lines().into_iter().take(MAX_ROWS) {
        let share = |n: u64| n as f64 / all as f64 * 100.0;
        let _ = writeln!(out, "{:>5.1}% {:>5.1}%  {}", share(own), share(total), label(profile, frame));
    }
}

fn allocations(out: &mut String, profile: &Profile) {
    let sites = sites(profile);
    let sum = |of: fn(&Site) -> u64| sites.iter().map(of).fold(0, u64::saturating_add);
    let (all, objects) = (sum(|site| site.bytes), sum(|site| site.objects));
    if all == 0 {
        return;
    }
    let _ = writeln!(out, "\nallocated about {} in {objects} objects\n share      bytes    objects  line", bytes(all));
    for Site { label, objects, bytes: n } in sites.iter().take(MAX_ROWS / 2) {
        let share = *n as f64 / all as f64 * 100.0;
        let _ = writeln!(out, "{share:>5.1}% {:>10} {objects:>10}  {label}", bytes(*n));
    }
}

fn models(out: &mut String, profile: &Profile) {
    for (i, model) in profile.models.iter().enumerate() {
        let calls: Vec<_> = profile.calls.iter().filter(|call| call.model as usize == i).collect();
        let sorted = latencies(profile, i);
        let seconds = (profile.info.duration_ns as f64 / 1e9).max(1e-9);
        let rows: u64 = calls.iter().map(|call| call.rows).fold(0, u64::saturating_add);
        let _ = writeln!(
            out,
            "\nmodel {} on {}: {} calls ({} failed), {rows} rows, {:.1} calls/s, {:.1} rows/s",
            model.file,
            model.device,
            calls.len(),
            calls.iter().filter(|call| call.failed).count(),
            calls.len() as f64 / seconds,
            rows as f64 / seconds,
        );
        let at = |share| duration(percentile(&sorted, share));
        let _ = writeln!(out, "  latency p50 {}, p95 {}, p99 {}, most {}", at(0.5), at(0.95), at(0.99), at(1.0));
        let all: u64 = model.ops.iter().map(|op| op.total_ns).fold(0, u64::saturating_add);
        for op in model.ops.iter().take(10) {
            let share = op.total_ns as f64 / all.max(1) as f64 * 100.0;
            let mean = duration(op.total_ns / op.runs.max(1));
            let line = if op.line == 0 { String::new() } else { format!(" (line {})", op.line) };
            let _ = writeln!(out, "  {share:>5.1}%  {:>7} runs, {mean:>9} each  {}{line}", op.runs, op.name);
        }
    }
    for device in DeviceUse::of(profile) {
        let _ = writeln!(
            out,
            "\ndevice {}: busy {:.1} %, longest gap {} at {}, at most {} calls at once",
            device.name,
            device.busy_share * 100.0,
            duration(device.longest_gap.1),
            duration(device.longest_gap.0),
            device.max_depth
        );
    }
    for work in DeviceWork::of(profile) {
        let _ = writeln!(
            out,
            "\ndevice {} by its own count: {} kernels in {}, {} copied to it, {} from it, tensors at most {}",
            work.name,
            work.kernels,
            duration(work.busy_ns),
            bytes(work.uploaded),
            bytes(work.downloaded),
            bytes(work.peak)
        );
    }
}

fn actors(out: &mut String, profile: &Profile) {
    if profile.actors.is_empty() {
        return;
    }
    let mut actors: Vec<_> = profile.actors.iter().collect();
    actors.sort_by(|a, b| b.requests.cmp(&a.requests).then(a.id.cmp(&b.id)));
    let _ = writeln!(out, "\nrequests errors restarts queued   p50 ms   p95 ms   p99 ms  batch  actor");
    for actor in actors.iter().take(MAX_ROWS) {
        let _ = writeln!(
            out,
            "{:>8} {:>6} {:>8} {:>6} {:>8.3} {:>8.3} {:>8.3} {:>6.1}  {}",
            actor.requests,
            actor.errors,
            actor.restarts,
            actor.queued,
            actor.p50_ms,
            actor.p95_ms,
            actor.p99_ms,
            actor.mean_batch_size,
            actor.name
        );
    }
    if actors.len() > MAX_ROWS {
        let _ = writeln!(out, "… {} more", actors.len() - MAX_ROWS);
    }
}

fn memory(out: &mut String, profile: &Profile) {
    let Some(peak) = MemoryPeak::of(profile) else { return };
    let _ = writeln!(out, "\ntensors at most {} at {}", bytes(peak.bytes), duration(peak.at));
    for (name, held) in peak.holders.iter().take(5) {
        let _ = writeln!(out, "  {:>10}  {name}", bytes(*held));
    }
}

/// What a trace counted, and what was waited for; nothing without one.
pub fn trace(profile: &Profile) -> String {
    let mut out = String::new();
    if !profile.info.traced {
        return out;
    }
    let mut waits: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut counts: HashMap<EventKind, u64> = HashMap::new();
    for event in &profile.events {
        *counts.entry(event.kind).or_default() += 1;
        if event.kind == EventKind::Wait {
            let sum = waits.entry(event.what).or_default();
            *sum = (sum.0 + 1, sum.1.saturating_add(event.dur));
        }
    }
    let count = |kind| counts.get(&kind).copied().unwrap_or(0);
    let _ = writeln!(
        out,
        "\ntrace: {} tasks begun, {} turns, {} waits, {} messages sent, {} worked on, {} operators",
        count(EventKind::Spawn),
        count(EventKind::Turn),
        count(EventKind::Wait),
        count(EventKind::Send),
        count(EventKind::Handle),
        count(EventKind::Operator)
    );
    let mut waits: Vec<_> = waits.into_iter().collect();
    waits.sort_by_key(|&(what, (n, total))| (std::cmp::Reverse(total), n, what));
    for (what, (n, total)) in waits.into_iter().take(MAX_ROWS) {
        let _ = writeln!(out, "  {:>10} in {n} waits for {}", duration(total), profile.names[what as usize]);
    }
    out
}
