//! The protobuf of pprof (`profile.proto` of github.com/google/pprof), not compressed, which its readers take too.

use crate::tree::ticks;
use prost::Message;
use stark_profile::Profile;
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
struct Pprof {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    /// What is shown when nobody asks for another.
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// Innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

#[derive(Default)]
struct Builder {
    pprof: Pprof,
    strings: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    locations: HashMap<(u32, bool), u64>,
}

pub fn encode(profile: &Profile) -> Vec<u8> {
    let mut builder = Builder::default();
    // Number 0 has to be the empty string.
    builder.string("");
    let samples = ValueType { kind: builder.string("samples"), unit: builder.string("count") };
    let time = ValueType { kind: builder.string("time"), unit: builder.string("nanoseconds") };
    // Named as Go names them.
    let objects = ValueType { kind: builder.string("alloc_objects"), unit: samples.unit };
    let space = ValueType { kind: builder.string("alloc_space"), unit: builder.string("bytes") };
    builder.pprof.default_sample_type = time.kind;
    builder.pprof.sample_type = vec![samples, time.clone(), objects, space];
    let period = 1_000_000_000 / i64::from(profile.info.rate_hz.max(1));
    builder.pprof.period_type = Some(time);
    builder.pprof.period = period;
    builder.pprof.time_nanos = i64::try_from(profile.info.began_unix_ms).unwrap_or(0).saturating_mul(1_000_000);
    builder.pprof.duration_nanos = profile.info.duration_ns as i64;
    let mut values: Vec<[i64; 4]> = ticks(profile)
        .into_iter()
        .map(|ticks| i64::try_from(ticks).unwrap_or(i64::MAX))
        .map(|ticks| [ticks, ticks.saturating_mul(period), 0, 0])
        .collect();
    for allocation in &profile.allocations {
        let [_, _, objects, bytes] = &mut values[allocation.stack as usize];
        *objects = objects.saturating_add_unsigned(allocation.objects);
        *bytes = bytes.saturating_add_unsigned(allocation.bytes);
    }
    for (stack, values) in profile.stacks.iter().zip(values).filter(|(_, values)| *values != [0; 4]) {
        let location_id =
            stack.iter().rev().map(|level| builder.location(profile, level.frame, level.awaits)).collect();
        builder.pprof.sample.push(Sample { location_id, value: values.to_vec() });
    }
    builder.pprof.encode_to_vec()
}

impl Builder {
    fn string(&mut self, text: &str) -> i64 {
        if let Some(&id) = self.strings.get(text) {
            return id;
        }
        let id = self.pprof.string_table.len() as i64;
        self.pprof.string_table.push(text.to_string());
        self.strings.insert(text.to_string(), id);
        id
    }

    fn location(&mut self, profile: &Profile, frame: u32, awaits: bool) -> u64 {
        if let Some(&id) = self.locations.get(&(frame, awaits)) {
            return id;
        }
        let place = &profile.frames[frame as usize];
        let name = self.string(&format!("{}{}", place.function, if awaits { " (awaits)" } else { "" }));
        let filename = self.string(&place.file);
        let function_id = self.function(name, filename);
        let id = self.pprof.location.len() as u64 + 1;
        self.pprof.location.push(Location { id, line: vec![Line { function_id, line: i64::from(place.line) }] });
        self.locations.insert((frame, awaits), id);
        id
    }

    fn function(&mut self, name: i64, filename: i64) -> u64 {
        if let Some(&id) = self.functions.get(&(name, filename)) {
            return id;
        }
        let id = self.pprof.function.len() as u64 + 1;
        self.pprof.function.push(Function { id, name, system_name: name, filename });
        self.functions.insert((name, filename), id);
        id
    }
}
