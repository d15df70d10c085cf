//! Channels, zones and `select` as natives.

use super::channel::{Channel, Recv, Send};
use super::lock::{Take, ZoneLock};
use super::tasks::{Me, me, pack};
use super::wait::{Entry, Fired, Waiter};
use crate::fault::{Fault, FaultKind};
use crate::heap::{Opaque, Parcel};
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::task::WaitReason;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Chan = Channel<Parcel, Me>;
pub(crate) type Zone = ZoneLock<Parcel, Me>;

#[derive(Clone)]
struct ChannelObj(Arc<Chan>);

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
    zone_init "<T>(Int, T) -> ()";
    zone_read "<T>(Int) -> T" [suspends];
    zone_read_end "(Int) -> ()";
    zone_write "<T>(Int) -> T" [suspends];
    zone_write_end "<T>(Int, T) -> ()";
};

fn closed() -> Fault {
    Fault::new(FaultKind::ChannelClosed, "the channel is closed")
}

fn channel_new(cx: &mut NativeCx<'_>) -> NativeResult {
    let capacity = cx.int(0);
    if capacity < 0 {
        return Err(Fault::value(format!("a channel cannot hold {capacity} messages")));
    }
    let capacity = if cx.bool(1) { None } else { Some(capacity as usize) };
    cx.return_opaque(ChannelObj(Arc::new(Chan::new(capacity))))
}

/// A wait in one channel.
struct Waiting {
    channel: Arc<Chan>,
    me: Me,
    ticket: u64,
    deadline: Option<Instant>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.me.point().close(self.ticket);
        self.channel.forget(&self.me);
    }
}

fn begin(cx: &NativeCx<'_>, channel: Arc<Chan>) -> Result<(Waiting, Entry<Me>), Fault> {
    let me = me(cx)?;
    let ticket = me.point().open();
    let entry = Entry { task: me.clone(), ticket, arm: 0 };
    Ok((Waiting { channel, me, ticket, deadline: None }, entry))
}

fn channel_send(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(waiting) = cx.resumed::<Waiting>() {
        return match waiting.me.point().take(waiting.ticket) {
            Some((_, Fired::Sent)) => cx.return_unit(),
            Some(_) => Err(closed()),
            None => cx.suspend(WaitReason::ChannelSend, waiting.channel.id(), *waiting),
        };
    }
    let message = pack(cx.take(1))?;
    let channel = cx.opaque::<ChannelObj>(0).0.clone();
    let (waiting, entry) = begin(cx, channel)?;
    match waiting.channel.send(message, Some(&entry)) {
        Send::Sent => cx.return_unit(),
        Send::Closed(_) => Err(closed()),
        Send::Waits | Send::Full(_) | Send::Lost(_) => cx.suspend(WaitReason::ChannelSend, waiting.channel.id(), waiting),
    }
}

/// The next message; `None` when the channel is closed and drained, or the time is over.
fn receive(cx: &mut NativeCx<'_>, timeout: Option<Duration>) -> Result<Result<Option<Parcel>, Waiting>, Fault> {
    let waiting = match cx.resumed::<Waiting>() {
        Some(waiting) => {
            match waiting.me.point().take(waiting.ticket) {
                Some((_, Fired::Message(message))) => return Ok(Ok(Some(message))),
                Some(_) => return Ok(Ok(None)),
                None => {}
            }
            *waiting
        }
        None => {
            let channel = cx.opaque::<ChannelObj>(0).0.clone();
            let (mut waiting, entry) = begin(cx, channel)?;
            match waiting.channel.recv(Some(&entry)) {
                Recv::Message(message) => return Ok(Ok(Some(message))),
                Recv::Closed => return Ok(Ok(None)),
                Recv::Waits | Recv::Lost => {}
            }
            if let (Some(timeout), Some(scheduler)) = (timeout, cx.task.program().scheduler()) {
                let deadline = scheduler.now() + timeout;
                scheduler.sleep_until(deadline, waiting.me.0.clone());
                waiting.deadline = Some(deadline);
            }
            waiting
        }
    };
    let late = match (waiting.deadline, cx.task.program().scheduler()) {
        (Some(deadline), Some(scheduler)) => scheduler.now() >= deadline,
        _ => false,
    };
    if late {
        return Ok(Ok(match waiting.me.point().close(waiting.ticket) {
            Some((_, Fired::Message(message))) => Some(message),
            _ => None,
        }));
    }
    Ok(Err(waiting))
}

fn channel_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    match receive(cx, None)? {
        Ok(Some(message)) => {
            let message = message.unpack();
            cx.return_value(message)
        }
        Ok(None) => Err(closed()),
        Err(waiting) => cx.suspend(WaitReason::ChannelRecv, waiting.channel.id(), waiting),
    }
}

fn option(cx: &mut NativeCx<'_>, timeout: Option<Duration>) -> NativeResult {
    match receive(cx, timeout)? {
        Ok(message) => {
            let message = message.map(Parcel::unpack);
            cx.return_option(message)
        }
        Err(waiting) => cx.suspend(WaitReason::ChannelRecv, waiting.channel.id(), waiting),
    }
}

fn channel_next(cx: &mut NativeCx<'_>) -> NativeResult {
    option(cx, None)
}

fn channel_recv_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let timeout = Duration::from_nanos(cx.int(1).max(0) as u64);
    option(cx, Some(timeout))
}

fn channel_try_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = pack(cx.take(1))?;
    match cx.opaque::<ChannelObj>(0).0.send(message, None) {
        Send::Sent => cx.return_bool(true),
        Send::Closed(_) => Err(closed()),
        _ => cx.return_bool(false),
    }
}

fn channel_try_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = match cx.opaque::<ChannelObj>(0).0.recv(None) {
        Recv::Message(message) => Some(message.unpack()),
        _ => None,
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

// --- zones -----------------------------------------------------------------------------------------------------------

fn zone(cx: &NativeCx<'_>) -> Result<usize, Fault> {
    let index = cx.int(0);
    usize::try_from(index)
        .ok()
        .filter(|i| *i < cx.task.program().zones.len())
        .ok_or_else(|| Fault::internal(format!("there is no zone {index}")))
}

fn zone_init(cx: &mut NativeCx<'_>) -> NativeResult {
    let i = zone(cx)?;
    let value = pack(cx.take(1))?;
    cx.task.program().zones[i].put(value);
    cx.return_unit()
}

struct ZoneWait {
    zone: usize,
    me: Me,
    ticket: u64,
    program: Arc<crate::program::Program>,
}

impl Drop for ZoneWait {
    fn drop(&mut self) {
        if let Some((_, Fired::Message(value))) = self.me.point().close(self.ticket) {
            self.program.zones[self.zone].put(value);
        }
        self.program.zones[self.zone].forget(&self.me);
    }
}

/// Takes the lock and the value.
fn zone_write(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<ZoneWait>() {
        return match wait.me.point().take(wait.ticket) {
            Some((_, Fired::Message(value))) => {
                let value = value.unpack();
                cx.return_value(value)
            }
            _ => cx.suspend(WaitReason::Zone, wait.zone as u64, *wait),
        };
    }
    let (i, me) = (zone(cx)?, me(cx)?);
    let program = cx.task.program().clone();
    let ticket = me.point().open();
    let entry = Entry { task: me.clone(), ticket, arm: 0 };
    match program.zones[i].take(&entry) {
        Take::Value(value) => {
            me.point().close(ticket);
            let value = value.unpack();
            cx.return_value(value)
        }
        Take::Unset => Err(Fault::value("the zone is used before it has a value")),
        Take::Waits => cx.suspend(WaitReason::Zone, i as u64, ZoneWait { zone: i, me, ticket, program }),
    }
}

fn zone_write_end(cx: &mut NativeCx<'_>) -> NativeResult {
    let i = zone(cx)?;
    let value = pack(cx.take(1))?;
    cx.task.program().zones[i].put(value);
    cx.return_unit()
}

/// A copy of the value; the lock is free again at once.
fn zone_read(cx: &mut NativeCx<'_>) -> NativeResult {
    let flow = zone_write(cx)?;
    if let crate::natives::Flow::Done = flow {
        let i = zone(cx)?;
        let copy = cx.copy_result();
        cx.task.program().zones[i].put(pack(copy)?);
    }
    Ok(flow)
}

fn zone_read_end(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.return_unit()
}
