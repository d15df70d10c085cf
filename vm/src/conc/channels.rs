//! Channels as natives.

use super::arm::{Arm, Chan, Event, closed, one};
use super::channel::{Instead, Recv, Send};
use super::tasks::{Me, current, me, pack};
use super::wait::{Entry, Fired, Waiter, Weigh};
use crate::fault::{Fault, FaultKind};
use crate::heap::{Opaque, Parcel};
use crate::natives::{Flow, NativeCx, NativeResult, NativeRow, natives};
use crate::task::WaitReason;
use crate::types::TypeInfo;
use crate::value::Value;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(super) struct ChannelObj(pub(super) Arc<Chan>);

impl Opaque for ChannelObj {
    fn type_name(&self) -> &'static str {
        "Channel"
    }
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
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

/// A message for the channel of a `select`. Refused when what waits there already takes as much as a task may have: a
/// receiver that does not keep up shall not take the whole machine's memory.
pub(super) fn packed(cx: &mut NativeCx<'_>, channel_arg: usize, arg: usize) -> Result<Parcel, Fault> {
    let message = pack(cx.take(arg))?;
    let channel = &cx.opaque::<ChannelObj>(channel_arg).0;
    if channel.bytes().saturating_add(message.weight()) > cx.task.program().options.queue_limit() {
        return Err(too_much(cx, channel));
    }
    Ok(message)
}

fn too_much(cx: &NativeCx<'_>, channel: &Chan) -> Fault {
    let (waiting, limit) = (channel.bytes(), cx.task.program().options.queue_limit());
    let text = format!("{waiting} bytes of messages wait in the channel, and the limit is {limit} bytes");
    Fault::new(FaultKind::OutOfMemoryError, text)
}

/// A wait for one channel and nothing else, without a time limit: what nearly every `send` and `recv` that waits is. It is the
/// wait that its task has begun last, and what happens to it happens in turns of that task. No larger than a pointer. `None`:
/// it is over.
struct OneWait(Option<Arc<Chan>>);

impl OneWait {
    /// Begins one for the channel in the first argument, and keeps it in `begun`.
    fn instead(cx: &NativeCx<'_>, begun: &mut Option<OneWait>) -> Instead<Me> {
        let Ok(me) = me(cx) else { return Instead::Leave };
        let entry = Entry { ticket: me.point().open(), task: me, arm: 0 };
        *begun = Some(OneWait(Some(channel(cx, 0))));
        Instead::Wait(entry)
    }

    /// After a wake-up, which may mean nothing.
    fn take(&mut self, cx: &NativeCx<'_>) -> Option<Fired<Parcel>> {
        let (_, fired) = cx.task.program().scheduler()?.with_current(|me| me.shared().point.take_last())??;
        self.0 = None;
        Some(fired)
    }

    fn suspend(self, cx: &mut NativeCx<'_>, reason: WaitReason) -> NativeResult {
        let channel = self.0.as_ref().map_or(0, |channel| channel.id());
        cx.suspend(reason, channel, self)
    }
}

impl Drop for OneWait {
    fn drop(&mut self) {
        // Between turns it is dropped only when the program has ended, and then nobody waits any more.
        let (Some(channel), Some(me)) = (&self.0, current()) else { return };
        match me.point().close_last() {
            (_, Some((_, Fired::Message(message)))) => channel.give_back(message),
            (_, Some(_)) => {}
            (ticket, None) => channel.forget(&Entry { task: me, ticket, arm: 0 }),
        }
    }
}

fn channel_send(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<OneWait>() {
        return end_of_send(cx, wait);
    }
    let limit = cx.task.program().options.queue_limit();
    let scalar = Parcel::scalar(cx.arg(1));
    if scalar.is_some_and(|message| cx.opaque::<ChannelObj>(0).0.put(message, limit)) {
        return cx.return_unit();
    }
    send_or_wait(cx, limit)
}

/// Not inlined: what nearly every send does stays in registers.
#[inline(never)]
fn send_or_wait(cx: &mut NativeCx<'_>, limit: usize) -> NativeResult {
    let message = pack(cx.take(1))?;
    let channel = &cx.opaque::<ChannelObj>(0).0;
    let mut begun = None;
    let mut partner = 0;
    let mut sent = channel.send_or_else(message, limit, |receiver| {
        if cx.task.can_lend(receiver) {
            partner = receiver;
            return Instead::Lend;
        }
        OneWait::instead(cx, &mut begun)
    });
    if let Send::Offered(number) = sent {
        cx.task.lend_turn(partner);
        sent = channel.send_after_lending(number, limit, |_| OneWait::instead(cx, &mut begun));
    }
    match sent {
        Send::Sent => return cx.return_unit(),
        Send::Closed(_) => return Err(closed()),
        Send::TooMuch(_) => return Err(too_much(cx, channel)),
        Send::Full(_) | Send::Waits | Send::Offered(_) | Send::Lost(_) => {}
    }
    // What may have ended it by now has woken the task, too: it looks in its next turn.
    let wait = begun.ok_or_else(no_scheduler)?;
    wait.suspend(cx, WaitReason::ChannelSend)
}

fn end_of_send(cx: &mut NativeCx<'_>, mut wait: OneWait) -> NativeResult {
    match wait.take(cx) {
        Some(Fired::Closed) => Err(closed()),
        Some(_) => cx.return_unit(),
        None => wait.suspend(cx, WaitReason::ChannelSend),
    }
}

fn no_scheduler() -> Fault {
    Fault::internal("a task that waits needs a scheduler")
}

/// The first message of the queue, if a task that does not wait yet may have it as it is.
#[inline]
fn first(cx: &NativeCx<'_>) -> Option<Value> {
    if cx.resume.is_some() {
        return None;
    }
    cx.opaque::<ChannelObj>(0).0.take().map(Parcel::unpack)
}

/// A message (`None`: the channel has ended), or the answer of a native that waits. Not inlined, as `send_or_wait`.
#[inline(never)]
fn receive(cx: &mut NativeCx<'_>) -> Result<Result<Option<Value>, Flow>, Fault> {
    let mut wait = match cx.resumed::<OneWait>() {
        Some(wait) => wait,
        None => {
            let channel = &cx.opaque::<ChannelObj>(0).0;
            let mut begun = None;
            let mut partner = None;
            let mut received = channel.recv_or_else(|sender| {
                if cx.task.can_lend(sender) {
                    partner = Some(sender);
                    return Instead::Lend;
                }
                OneWait::instead(cx, &mut begun)
            });
            if let Some(sender) = partner {
                cx.task.lend_turn(sender);
                received = channel.recv_after_lending(|_| OneWait::instead(cx, &mut begun));
            }
            match received {
                Recv::Message(message) => return Ok(Ok(Some(message.unpack()))),
                Recv::Closed => return Ok(Ok(None)),
                Recv::Waits | Recv::Lost => {}
            }
            let wait = begun.ok_or_else(no_scheduler)?;
            return wait.suspend(cx, WaitReason::ChannelRecv).map(Err);
        }
    };
    match wait.take(cx) {
        Some(Fired::Message(message)) => Ok(Ok(Some(message.unpack()))),
        Some(_) => Ok(Ok(None)),
        None => wait.suspend(cx, WaitReason::ChannelRecv).map(Err),
    }
}

fn channel_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(value) = first(cx) {
        return cx.return_value(value);
    }
    match receive(cx)? {
        Ok(Some(value)) => cx.return_value(value),
        Ok(None) => Err(closed()),
        Err(waits) => Ok(waits),
    }
}

fn channel_next(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(value) = first(cx) {
        return cx.return_some(value);
    }
    match receive(cx)? {
        Ok(value) => cx.return_option(value),
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

fn channel_recv_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let timeout = duration(cx, 1);
    match one(cx, Some(timeout), |cx| Ok(Arm::Recv(channel(cx, 0))))? {
        Ok(event) => answer_option(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn channel_try_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = pack(cx.take(1))?;
    let limit = cx.task.program().options.queue_limit();
    let channel = &cx.opaque::<ChannelObj>(0).0;
    match channel.send_or_else(message, limit, |_| Instead::Leave) {
        Send::Sent => cx.return_bool(true),
        Send::Closed(_) => Err(closed()),
        Send::TooMuch(_) => Err(too_much(cx, channel)),
        Send::Full(_) | Send::Waits | Send::Offered(_) | Send::Lost(_) => cx.return_bool(false),
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
