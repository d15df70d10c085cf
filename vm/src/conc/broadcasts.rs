//! Broadcast channels and their subscriptions as natives.

use super::arm::{Arm, Event, Sub, closed, one};
use super::broadcast::{Broadcast, Next};
use super::channels::{answer, answer_option, duration};
use super::tasks::{Me, pack};
use crate::fault::Fault;
use crate::heap::{Opaque, Parcel};
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::types::TypeInfo;
use crate::value::Value;
use std::sync::Arc;

#[derive(Clone)]
struct BroadcastObj(Arc<Broadcast<Parcel, Me>>);

impl Opaque for BroadcastObj {
    fn type_name(&self) -> &'static str {
        "BroadcastChannel"
    }
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }
    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<BroadcastObj>().is_some_and(|o| Arc::ptr_eq(&self.0, &o.0))
    }
}

/// Copies are handles on the same subscription: each message goes to one of the tasks that receive from it.
#[derive(Clone)]
pub(super) struct SubscriptionObj(pub(super) Arc<Sub>);

impl Opaque for SubscriptionObj {
    fn type_name(&self) -> &'static str {
        "Subscription"
    }
    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }
    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<SubscriptionObj>().is_some_and(|o| Arc::ptr_eq(&self.0, &o.0))
    }
}

pub(crate) const TABLE: &[NativeRow] = natives! {
    broadcast_new "<T>(Int) -> BroadcastChannel<T>";
    broadcast_send "<T>(BroadcastChannel<T>, T) -> ()";
    broadcast_subscribe "<T>(BroadcastChannel<T>) -> Subscription<T>";
    broadcast_close "<T>(BroadcastChannel<T>) -> ()";
    broadcast_is_closed "<T>(BroadcastChannel<T>) -> Bool";
    subscription_recv "<T>(Subscription<T>) -> T" [suspends];
    subscription_next "<T>(Subscription<T>) -> Option<T>" [suspends];
    subscription_recv_timeout "<T>(Subscription<T>, Duration) -> Option<T>" [suspends];
    subscription_try_recv "<T>(Subscription<T>) -> Option<T>";
    subscription_len "<T>(Subscription<T>) -> Int";
};

fn broadcast_new(cx: &mut NativeCx<'_>) -> NativeResult {
    let max_bytes = cx.task.program().options.queue_limit();
    match usize::try_from(cx.int(0)) {
        Ok(capacity) if capacity > 0 => cx.return_opaque(BroadcastObj(Arc::new(Broadcast::new(capacity, max_bytes)))),
        _ => Err(Fault::value(format!("a broadcast channel keeps 1 message or more, not {}", cx.int(0)))),
    }
}

fn broadcast_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = cx.take(1);
    let is_open = cx.opaque::<BroadcastObj>(0).0.send(|| pack(message.clone()))?;
    if is_open { cx.return_unit() } else { Err(closed()) }
}

fn broadcast_subscribe(cx: &mut NativeCx<'_>) -> NativeResult {
    let subscription = cx.opaque::<BroadcastObj>(0).0.subscribe();
    cx.return_opaque(SubscriptionObj(subscription))
}

fn broadcast_close(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<BroadcastObj>(0).0.close();
    cx.return_unit()
}

fn broadcast_is_closed(cx: &mut NativeCx<'_>) -> NativeResult {
    let closed = cx.opaque::<BroadcastObj>(0).0.is_closed();
    cx.return_bool(closed)
}

pub(super) fn subscription(cx: &NativeCx<'_>, arg: usize) -> Arc<Sub> {
    cx.opaque::<SubscriptionObj>(arg).0.clone()
}

fn subscription_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    match one(cx, None, |cx| Ok(Arm::Next(subscription(cx, 0))))? {
        Ok(event) => answer(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn subscription_next(cx: &mut NativeCx<'_>) -> NativeResult {
    match one(cx, None, |cx| Ok(Arm::Next(subscription(cx, 0))))? {
        Ok(event) => answer_option(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn subscription_recv_timeout(cx: &mut NativeCx<'_>) -> NativeResult {
    let timeout = duration(cx, 1);
    match one(cx, Some(timeout), |cx| Ok(Arm::Next(subscription(cx, 0))))? {
        Ok(event) => answer_option(cx, event),
        Err(waits) => Ok(waits),
    }
}

fn subscription_try_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    let event = match cx.opaque::<SubscriptionObj>(0).0.next(None) {
        Next::Message(message) => Some(Event::Message(message)),
        Next::Lagged(n) => Some(Event::Lagged(n)),
        Next::Waits | Next::Closed | Next::Lost => None,
    };
    answer_option(cx, event)
}

fn subscription_len(cx: &mut NativeCx<'_>) -> NativeResult {
    let n = cx.opaque::<SubscriptionObj>(0).0.len();
    cx.return_len(n)
}
