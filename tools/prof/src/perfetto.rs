//! Perfetto's protobuf (`perfetto_trace.proto`): track descriptors, then the events of each track in order.

use crate::timeline::Timeline;
use prost::Message;
use stark_profile::Profile;

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(uint32, optional, tag = "13")]
    sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, optional, tag = "3")]
    process: Option<ProcessDescriptor>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(message, optional, tag = "8")]
    counter: Option<CounterDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessDescriptor {
    #[prost(int32, optional, tag = "1")]
    pid: Option<i32>,
    #[prost(string, optional, tag = "6")]
    process_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct CounterDescriptor {}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(int32, optional, tag = "9")]
    kind: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
    #[prost(int64, optional, tag = "30")]
    counter_value: Option<i64>,
    #[prost(fixed64, repeated, tag = "47", packed = "false")]
    flow_ids: Vec<u64>,
    #[prost(fixed64, repeated, tag = "48", packed = "false")]
    terminating_flow_ids: Vec<u64>,
}

const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
const COUNTER: i32 = 4;
/// All packets come from one writer.
const SEQUENCE: u32 = 1;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: nothing before the first packet is referred to.
const CLEARED: u32 = 1;

pub fn encode(profile: &Profile) -> Vec<u8> {
    let timeline = Timeline::of(profile);
    let mut trace = Trace::default();
    let mut uuid = 0;
    let mut describe = |trace: &mut Trace, descriptor: TrackDescriptor| {
        uuid += 1;
        let track_descriptor = Some(TrackDescriptor { uuid: Some(uuid), ..descriptor });
        let sequence_flags = trace.packet.is_empty().then_some(CLEARED);
        trace.packet.push(TracePacket { track_descriptor, sequence_flags, ..packet() });
        uuid
    };
    let mut groups = Vec::new();
    for (pid, group) in (1..).zip(&timeline.groups) {
        let process = ProcessDescriptor { pid: Some(pid), process_name: Some(group.clone()) };
        groups.push(describe(&mut trace, TrackDescriptor { process: Some(process), ..TrackDescriptor::default() }));
    }
    let event = |at: u64, event: TrackEvent| TracePacket { timestamp: Some(at), track_event: Some(event), ..packet() };
    for track in &timeline.tracks {
        let descriptor = TrackDescriptor {
            name: Some(track.name.clone()),
            parent_uuid: Some(groups[track.group]),
            ..TrackDescriptor::default()
        };
        let track_uuid = Some(describe(&mut trace, descriptor));
        for span in &track.spans {
            let begin = TrackEvent {
                kind: Some(SLICE_BEGIN),
                track_uuid,
                name: Some(span.name.clone()),
                flow_ids: span.flows_from.clone(),
                terminating_flow_ids: span.flows_to.clone(),
                ..TrackEvent::default()
            };
            trace.packet.push(event(span.at, begin));
            let end = TrackEvent { kind: Some(SLICE_END), track_uuid, ..TrackEvent::default() };
            trace.packet.push(event(span.at + span.dur, end));
        }
    }
    for counter in &timeline.counters {
        let descriptor = TrackDescriptor {
            name: Some(counter.name.clone()),
            parent_uuid: Some(groups[0]),
            counter: Some(CounterDescriptor {}),
            ..TrackDescriptor::default()
        };
        let track_uuid = Some(describe(&mut trace, descriptor));
        for &(at, value) in &counter.points {
            let counter_value = Some(i64::try_from(value).unwrap_or(i64::MAX));
            trace.packet.push(event(
                at,
                TrackEvent { kind: Some(COUNTER), track_uuid, counter_value, ..TrackEvent::default() },
            ));
        }
    }
    trace.encode_to_vec()
}

fn packet() -> TracePacket {
    TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..TracePacket::default() }
}
