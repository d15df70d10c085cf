//! Channels as natives.

use super::arm::{Arm, Chan, Event, closed, one};
use super::channel::{Held, Instead, Recv, Send};
use super::tasks::{Me, current, no_scheduler, pack};
use super::wait::{Entry, Fired, Waiter, Weigh};
use crate::fault::{Fault, FaultKind};
use crate::heap::{self, Opaque, Parcel};
use crate::interp::kept::Kept;
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::task::{TaskCx, WaitReason};
use crate::types::TypeInfo;
use crate::value::Value;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct ChannelObj(pub(crate) Arc<Chan>);

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
pub(crate) struct OneWait(Option<heap::Held<ChannelObj>>);

impl OneWait {
    /// What a task does that cannot be served and does not lend: it begins a wait.
    ///
    /// Inlined, with nothing behind it that could fail, so that the entry is made where it is kept: handed on in memory, it would be
    /// read while it is still being written, and the processor waits for that.
    #[inline(always)]
    fn instead(cx: &NativeCx<'_>, begins: &mut bool) -> Instead<Me> {
        let Some(me) = cx.task.me().map(Me) else { return Instead::Leave };
        *begins = true;
        let ticket = me.point().open();
        Instead::Wait(Entry { task: me, ticket, arm: 0 })
    }

    /// The wait that `instead` has begun for the channel in the first argument.
    fn of(cx: &NativeCx<'_>, begins: bool) -> Result<OneWait, Fault> {
        if begins { Ok(OneWait(Some(cx.held(0)))) } else { Err(no_scheduler()) }
    }

    /// After a wake-up, which may mean nothing.
    fn take(&mut self, cx: &NativeCx<'_>) -> Option<Fired<Parcel>> {
        let (_, fired) = cx.task.program().scheduler()?.with_current(|me| me.shared().point.take_last())??;
        self.0 = None;
        Some(fired)
    }

    /// The message that has ended the wait that is kept in `resume`, if that is one for a channel alone and a message has.
    /// Anything else is left.
    #[inline]
    pub(crate) fn take_message(resume: &mut Option<Kept>, task: &TaskCx) -> Option<Parcel> {
        if !resume.as_ref()?.is::<OneWait>() {
            return None;
        }
        let message = task.program().scheduler()?.with_current(|me| me.shared().point.take_message())??;
        if let Ok(mut wait) = resume.take()?.take::<OneWait>() {
            wait.0 = None;
        }
        Some(message)
    }

    /// The number of the channel that it is for.
    pub(crate) fn channel(&self) -> u64 {
        self.0.as_ref().map_or(0, |channel| channel.0.id())
    }

    fn suspend(self, cx: &mut NativeCx<'_>, reason: WaitReason) -> NativeResult {
        cx.suspend(reason, self.channel(), self)
    }
}

impl Drop for OneWait {
    fn drop(&mut self) {
        let Some(channel) = &self.0 else { return };
        // Between turns it is dropped only when the program has ended, and then nobody waits any more.
        let Some(me) = current() else { return };
        match me.point().close_last() {
            (_, Some((_, Fired::Message(message)))) => channel.0.give_back(message),
            (_, Some(_)) => {}
            (ticket, None) => channel.0.forget(&Entry { task: me, ticket, arm: 0 }),
        }
    }
}

fn channel_send(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<OneWait>() {
        return end_of_send(cx, wait);
    }
    let limit = cx.task.program().options.queue_limit();
    let message = match Parcel::scalar(cx.arg(1)) {
        Some(message) => message,
        None => pack(cx.take(1))?,
    };
    let wait = match cx.opaque::<ChannelObj>(0).0.put(message, limit) {
        Ok(()) => None,
        Err((held, message)) => send_or_wait(cx, held, message, limit)?,
    };
    after_send(cx, wait)
}

/// The native's answer: `wait` has begun, or the message is sent.
pub(crate) fn after_send(cx: &mut NativeCx<'_>, wait: Option<OneWait>) -> NativeResult {
    match wait {
        // What may have ended it by now has woken the task, too: it looks in its next turn.
        Some(wait) => wait.suspend(cx, WaitReason::ChannelSend),
        None => cx.return_unit(),
    }
}

/// Goes on where neither room nor a receiver was found at once, or the channel is closed. `None`: the message is sent. Not inlined:
/// what nearly every send does stays in registers.
#[inline(never)]
pub(crate) fn send_or_wait(
    cx: &NativeCx<'_>,
    held: Held<'_, Parcel, Me>,
    message: Parcel,
    limit: usize,
) -> Result<Option<OneWait>, Fault> {
    let channel = &cx.opaque::<ChannelObj>(0).0;
    let mut begins = false;
    let mut partner = 0;
    let mut sent = held.send_or_else(message, limit, |receiver| {
        if cx.task.can_lend(receiver) {
            partner = receiver;
            return Instead::Lend;
        }
        OneWait::instead(cx, &mut begins)
    });
    if let Send::Offered(number) = sent {
        cx.task.lend_turn(partner);
        sent = channel.send_after_lending(number, limit, |_| OneWait::instead(cx, &mut begins));
    }
    match sent {
        Send::Sent => Ok(None),
        Send::Closed(_) => Err(closed()),
        Send::TooMuch(_) => Err(too_much(cx, channel)),
        Send::Full(_) | Send::Waits | Send::Offered(_) | Send::Lost(_) => OneWait::of(cx, begins).map(Some),
    }
}

fn end_of_send(cx: &mut NativeCx<'_>, mut wait: OneWait) -> NativeResult {
    match wait.take(cx) {
        Some(Fired::Closed) => Err(closed()),
        Some(_) => cx.return_unit(),
        None => wait.suspend(cx, WaitReason::ChannelSend),
    }
}

/// How a receive stands.
pub(crate) enum Received {
    Message(Parcel),
    /// The channel has ended.
    End,
    Waits(OneWait),
}

fn receive(cx: &mut NativeCx<'_>) -> Result<Received, Fault> {
    if cx.resume.is_some() {
        return end_of_receive(cx);
    }
    match cx.opaque::<ChannelObj>(0).0.take() {
        Ok(message) => Ok(Received::Message(message)),
        Err(held) => receive_or_wait(cx, held),
    }
}

/// Goes on where there was no message at once, or a sender waits whose message takes its place. Not inlined, as `send_or_wait`.
#[inline(never)]
pub(crate) fn receive_or_wait(cx: &NativeCx<'_>, held: Held<'_, Parcel, Me>) -> Result<Received, Fault> {
    let mut begins = false;
    let mut partner = None;
    let mut received = held.recv_or_else(|sender| {
        if cx.task.can_lend(sender) {
            partner = Some(sender);
            return Instead::Lend;
        }
        OneWait::instead(cx, &mut begins)
    });
    if let Some(sender) = partner {
        cx.task.lend_turn(sender);
        let channel = &cx.opaque::<ChannelObj>(0).0;
        received = channel.recv_after_lending(|_| OneWait::instead(cx, &mut begins));
    }
    match received {
        Recv::Message(message) => Ok(Received::Message(message)),
        Recv::Closed => Ok(Received::End),
        Recv::Waits | Recv::Lost => OneWait::of(cx, begins).map(Received::Waits),
    }
}

#[inline(never)]
fn end_of_receive(cx: &mut NativeCx<'_>) -> Result<Received, Fault> {
    let Some(mut wait) = cx.resumed::<OneWait>() else {
        return Err(Fault::internal("a receive goes on with the wait of another call"));
    };
    Ok(match wait.take(cx) {
        Some(Fired::Message(message)) => Received::Message(message),
        Some(_) => Received::End,
        None => Received::Waits(wait),
    })
}

/// The native's answer. `NEXT`: as of `channel_next`.
pub(crate) fn answer_with<const NEXT: bool>(cx: &mut NativeCx<'_>, received: Received) -> NativeResult {
    match received {
        Received::Message(message) if NEXT => cx.return_some(message.unpack()),
        Received::Message(message) => cx.return_value(message.unpack()),
        Received::End if NEXT => cx.return_none(),
        Received::End => Err(closed()),
        Received::Waits(wait) => wait.suspend(cx, WaitReason::ChannelRecv),
    }
}

fn channel_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    let received = receive(cx)?;
    answer_with::<false>(cx, received)
}

fn channel_next(cx: &mut NativeCx<'_>) -> NativeResult {
    let received = receive(cx)?;
    answer_with::<true>(cx, received)
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
