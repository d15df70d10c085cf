//! The JSON of Chrome's trace viewer, which Perfetto reads too.

use crate::timeline::Timeline;
use serde_json::{Value, json};
use stark_profile::Profile;

pub fn json(profile: &Profile) -> Value {
    let timeline = Timeline::of(profile);
    let micros = |ns: u64| ns as f64 / 1e3;
    let mut events = Vec::new();
    for (pid, group) in (1..).zip(&timeline.groups) {
        events.push(json!({ "ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": { "name": group } }));
    }
    for (tid, track) in (1..).zip(&timeline.tracks) {
        let pid = track.group + 1;
        events
            .push(json!({ "ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": { "name": track.name } }));
        for span in &track.spans {
            let ts = micros(span.at);
            events.push(
                json!({ "ph": "X", "pid": pid, "tid": tid, "ts": ts, "dur": micros(span.dur), "name": span.name }),
            );
            for id in &span.flows_from {
                events.push(json!({
                    "ph": "s", "pid": pid, "tid": tid, "ts": ts, "id": id.to_string(), "name": "message", "cat": "flow",
                }));
            }
            for id in &span.flows_to {
                events.push(json!({
                    "ph": "f", "bp": "e", "pid": pid, "tid": tid, "ts": ts, "id": id.to_string(), "name": "message",
                    "cat": "flow",
                }));
            }
        }
    }
    for counter in &timeline.counters {
        for &(at, value) in &counter.points {
            let args = json!({ "value": value });
            events.push(json!({ "ph": "C", "pid": 1, "tid": 0, "ts": micros(at), "name": counter.name, "args": args }));
        }
    }
    json!({
        "displayTimeUnit": "ns",
        "otherData": { "program": profile.info.program, "version": profile.info.stark },
        "traceEvents": events,
    })
}
