//! Channels as natives.

use super::arm::{Arm, Chan, Event, closed, one};
use super::channel::{Recv, Send};
use super::tasks::pack;
use crate::fault::{Fault, FaultKind};
use crate::heap::{Opaque, Parcel};
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct ChannelObj(pub(super) Arc<Chan>);

impl Opaque for ChannelObj {
    fn type_name(&self) -> &'static str {
        "Channel"
    }
    fn share(&self) -> Option<Box<dyn Opaque>> {
        Some(Box::new(self.clone()))
    }
    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<ChannelObj>().is_some_and(|o| Arc::ptr_eq(&self.0, &o.0))
    }
}

pub(crate) const TABLE: &[NativeRow] = natives! {
    channel_new "<T>(Int, Bool) -> Channel<T>";
    channel_send "<T>(Channel<T>, T) -> ()" [suspends];
    channel_recv "<T>(Channel<T>) -> T" [suspends];
    channel_next "<T>(Channel<T>) -> Option<T>" [suspends];
    channel_recv_timeout "<T>(Channel<T>, Duration) -> Option<T>" [suspends];
    channel_try_send "<T>(Channel<T>, T) -> Bool";
    channel_try_recv "<T>(Channel<T>) -> Option<T>";
    channel_close "<T>(Channel<T>) -> ()";
    channel_is_closed "<T>(Channel<T>) -> Bool";
    channel_len "<T>(Channel<T>) -> Int";
};

fn channel_new(cx: &mut NativeCx<'_>) -> NativeResult {
    let capacity = cx.int(0);
    if capacity < 0 {
        return Err(Fault::value(format!("a channel cannot hold {capacity} messages")));
    }
    let capacity = if cx.bool(1) { None } else { Some(capacity as usize) };
    cx.return_opaque(ChannelObj(Arc::new(Chan::new(capacity))))
}

pub(super) fn channel(cx: &NativeCx<'_>, arg: usize) -> Arc<Chan> {
    cx.opaque::<ChannelObj>(arg).0.clone()
}

/// A duration that is not negative: less than nothing is nothing.
pub(super) fn duration(cx: &NativeCx<'_>, arg: usize) -> Duration {
    Duration::from_nanos(cx.int(arg).max(0) as u64)
}

/// A message for the channel. Refused when what waits there already takes as much as a task may have: a receiver that
/// does not keep up shall not take the whole machine's memory.
pub(super) fn packed(cx: &mut NativeCx<'_>, channel_arg: usize, arg: usize) -> Result<Parcel, Fault> {
    let message = pack(cx.take(arg))?;
    let limit = cx.task.program().options.heap_limit;
    let waiting = cx.opaque::<ChannelObj>(channel_arg).0.bytes();
    if waiting.saturating_add(message.bytes()) <= limit {
        return Ok(message);
    }
    let text = format!("{waiting} bytes of messages wait in the channel, and a task's limit is {limit} bytes");
    Err(Fault::new(FaultKind::OutOfMemoryError, text))
}

fn channel_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let answer = one(cx, None, |cx| {
        let message = packed(cx, 0, 1)?;
        Ok(Arm::Send(channel(cx, 0), Some(message)))
    })?;
    match answer {
        Ok(Some(Event::Sent) | None) => cx.return_unit(),
        Ok(Some(_)) => Err(closed()),
        Err(waits) => Ok(waits),
    }
}

fn channel_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    match one(cx, None, |cx| Ok(Arm::Recv(channel(cx, 0))))? {
        Ok(event) => answer(cx, event),
        Err(waits) => Ok(waits),
    }
}

/// The message as the native's answer; `ChannelClosed` at the end.
pub(super) fn answer(cx: &mut NativeCx<'_>, event: Option<Event>) -> NativeResult {
    let message = event.map_or(Ok(None), Event::into_message)?;
    let message = message.ok_or_else(|| Fault::internal("a receive ended without a message"))?.unpack();
    cx.return_value(message)
}

/// The message as the native's answer; `None` at the end or when the time is over.
pub(super) fn answer_option(cx: &mut NativeCx<'_>, event: Option<Event>) -> NativeResult {
    let message = event.map_or(Ok(None), Event::into_next)?.map(Parcel::unpack);
    cx.return_option(message)
}

fn channel_next(cx: &mut NativeCx<'_>) -> NativeResult {
    match one(cx, None, |cx| Ok(Arm::Recv(channel(cx, 0))))? {
        Ok(event) => answer_option(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn channel_recv_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let timeout = duration(cx, 1);
    match one(cx, Some(timeout), |cx| Ok(Arm::Recv(channel(cx, 0))))? {
        Ok(event) => answer_option(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn channel_try_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = packed(cx, 0, 1)?;
    match cx.opaque::<ChannelObj>(0).0.send(message, None) {
        Send::Sent => cx.return_bool(true),
        Send::Closed(_) => Err(closed()),
        Send::Full(_) | Send::Waits | Send::Lost(_) => cx.return_bool(false),
    }
}

fn channel_try_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = match cx.opaque::<ChannelObj>(0).0.recv(None) {
        Recv::Message(message) => Some(message.unpack()),
        Recv::Waits | Recv::Closed | Recv::Lost => None,
    };
    cx.return_option(message)
}

fn channel_close(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<ChannelObj>(0).0.close();
    cx.return_unit()
}

fn channel_is_closed(cx: &mut NativeCx<'_>) -> NativeResult {
    let closed = cx.opaque::<ChannelObj>(0).0.is_closed();
    cx.return_bool(closed)
}

fn channel_len(cx: &mut NativeCx<'_>) -> NativeResult {
    let n = cx.opaque::<ChannelObj>(0).0.len();
    cx.return_len(n)
}
