//! The JSON of speedscope.app: every sample in order, one profile for each worker, and one of what was allocated.

use serde_json::{Value, json};
use stark_profile::Profile;
use stark_profile::model::StackFrame;
use std::collections::BTreeMap;

pub fn json(profile: &Profile) -> Value {
    // Each place twice: as what runs, and as what awaits.
    let n = profile.frames.len();
    let frame = |suffix: &str, f: &stark_profile::model::Frame| {
        let name = format!("{}{suffix}", f.function);
        if f.file.is_empty() {
            json!({ "name": name })
        } else {
            json!({ "name": name, "file": f.file, "line": f.line, "col": f.column })
        }
    };
    let frames: Vec<Value> = profile.frames.iter().map(|f| frame("", f)).collect();
    let awaiting = profile.frames.iter().map(|f| frame(" (awaits)", f));
    let frames: Vec<Value> = frames.into_iter().chain(awaiting).collect();
    let rate = f64::from(profile.info.rate_hz.max(1));
    let levels = |stack: &[StackFrame]| -> Vec<usize> {
        stack.iter().map(|level| level.frame as usize + if level.awaits { n } else { 0 }).collect()
    };
    let mut workers: BTreeMap<u32, (Vec<Vec<usize>>, Vec<f64>)> = BTreeMap::new();
    for sample in &profile.samples {
        let stack = &profile.stacks[sample.stack as usize];
        let levels = levels(stack);
        let (samples, weights) = workers.entry(sample.worker).or_default();
        samples.push(levels);
        weights.push(f64::from(sample.weight) / rate);
    }
    let mut profiles: Vec<Value> = workers
        .into_iter()
        .map(|(worker, (samples, weights))| {
            let end: f64 = weights.iter().sum();
            json!({
                "type": "sampled",
                "name": format!("worker {worker}"),
                "unit": "seconds",
                "startValue": 0,
                "endValue": end,
                "samples": samples,
                "weights": weights,
            })
        })
        .collect();
    if !profile.allocations.is_empty() {
        let samples: Vec<_> = profile.allocations.iter().map(|a| levels(&profile.stacks[a.stack as usize])).collect();
        let weights: Vec<u64> = profile.allocations.iter().map(|a| a.bytes).collect();
        profiles.push(json!({
            "type": "sampled",
            "name": "allocations",
            "unit": "bytes",
            "startValue": 0,
            "endValue": weights.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes)),
            "samples": samples,
            "weights": weights,
        }));
    }
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("stark-prof ", env!("CARGO_PKG_VERSION")),
        "name": profile.info.program,
        "activeProfileIndex": 0,
        "shared": { "frames": frames },
        "profiles": profiles,
    })
}
