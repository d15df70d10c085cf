//! `select` and `select_any` as natives.
//!
//! A `select` is a value for its duration: code generation adds the arms to a `Selector` in the order they are written,
//! `select_wait` gives the position of the one that was first, `select_take` what that one received. Arms are looked at
//! in random order, so that one which is always ready does not starve the others.

use super::arm::{Arm, Arms, Event, Progress, Wait, closed, look, wait};
use super::broadcasts::subscription;
use super::channels::{ChannelObj, channel, duration, packed};
use super::promise::FutureObj;
use crate::fault::Fault;
use crate::heap::{Opaque, Parcel};
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::task::WaitReason;
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Never leaves its task; the lock is for the type system.
#[derive(Default)]
struct Selector(Mutex<Arrangement>);

#[derive(Default)]
struct Arrangement {
    arms: Arms,
    /// Of each of `arms`, among all that were added.
    positions: Vec<i64>,
    /// The shortest `after` and its position.
    after: Option<(Duration, i64)>,
    n_added: i64,
    taken: Option<Parcel>,
}

impl Opaque for Selector {
    fn type_name(&self) -> &'static str {
        "Selector"
    }
    fn share(&self, _: &'static TypeInfo) -> Option<Value> {
        None
    }
}

pub(crate) const TABLE: &[NativeRow] = natives! {
    select_new "() -> Selector";
    select_recv "<T>(Selector, Channel<T>) -> ()";
    select_subscription "<T>(Selector, Subscription<T>) -> ()";
    select_send "<T>(Selector, Channel<T>, T) -> ()";
    select_future "<T>(Selector, Future<T>) -> ()";
    select_handle "<T>(Selector, JoinHandle<T>) -> ()";
    select_after "(Selector, Duration) -> ()";
    select_wait "(Selector, Bool) -> Int" [suspends];
    select_take "<T>(Selector) -> T";
    channel_select_any "<T>(Vec<Channel<T>>) -> (Int, T)" [suspends];
};

fn select_new(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.return_opaque(Selector::default())
}

fn add(cx: &mut NativeCx<'_>, arm: Arm) -> NativeResult {
    let mut state = cx.opaque::<Selector>(0).0.lock();
    let position = state.n_added;
    state.arms.push(arm);
    state.positions.push(position);
    state.n_added += 1;
    drop(state);
    cx.return_unit()
}

fn select_recv(cx: &mut NativeCx<'_>) -> NativeResult {
    let arm = Arm::Recv(channel(cx, 1));
    add(cx, arm)
}

fn select_subscription(cx: &mut NativeCx<'_>) -> NativeResult {
    let arm = Arm::Next(subscription(cx, 1));
    add(cx, arm)
}

fn select_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let message = packed(cx, 1, 2)?;
    let arm = Arm::Send(channel(cx, 1), Some(message));
    add(cx, arm)
}

/// The selector waits for the result without owning the future: dropping it cancels nothing.
fn select_future(cx: &mut NativeCx<'_>) -> NativeResult {
    let arm = Arm::Await(cx.opaque::<FutureObj>(1).promise().clone());
    add(cx, arm)
}

fn select_handle(cx: &mut NativeCx<'_>) -> NativeResult {
    select_future(cx)
}

fn select_after(cx: &mut NativeCx<'_>) -> NativeResult {
    let after = duration(cx, 1);
    let mut state = cx.opaque::<Selector>(0).0.lock();
    let position = state.n_added;
    if state.after.is_none_or(|(shortest, _)| after < shortest) {
        state.after = Some((after, position));
    }
    state.n_added += 1;
    drop(state);
    cx.return_unit()
}

fn select_wait(cx: &mut NativeCx<'_>) -> NativeResult {
    let progress = match cx.resumed::<Wait>() {
        Some(wait) => wait.go_on(cx)?,
        None => {
            let (mut arms, after) = {
                let mut state = cx.opaque::<Selector>(0).0.lock();
                (std::mem::take(&mut state.arms), state.after)
            };
            match (cx.bool(1), after) {
                (true, Some((after, _))) if after.is_zero() => wait(cx, arms, Some(after))?,
                (true, _) => match look(cx, &mut arms) {
                    Some((arm, event)) => Progress::Ready(arm, event),
                    None => return cx.return_int(-1),
                },
                (false, after) => wait(cx, arms, after.map(|(after, _)| after))?,
            }
        }
    };
    let position = match progress {
        Progress::Ready(arm, event) => {
            let message = event.into_message()?;
            let mut state = cx.opaque::<Selector>(0).0.lock();
            state.taken = message;
            state.positions.get(arm).copied()
        }
        Progress::Late => cx.opaque::<Selector>(0).0.lock().after.map(|(_, position)| position),
        Progress::Waits(wait) => {
            let (reason, detail) = wait.reason();
            return cx.suspend(reason, detail, wait);
        }
    };
    cx.return_int(position.ok_or_else(|| Fault::internal("a `select` ended by an arm it does not have"))?)
}

fn select_take(cx: &mut NativeCx<'_>) -> NativeResult {
    let taken = cx.opaque::<Selector>(0).0.lock().taken.take();
    let value = taken.ok_or_else(|| Fault::internal("the chosen arm of a `select` received nothing"))?.unpack();
    cx.return_value(value)
}

/// A wait for any of the channels that are left, with their positions.
struct AnyWait {
    wait: Wait,
    open: Vec<usize>,
}

/// Channels that are closed and drained are passed over; it is the end when all are.
fn channel_select_any(cx: &mut NativeCx<'_>) -> NativeResult {
    if cx.vec(0).is_empty() {
        return Err(Fault::value("select_any of no channels"));
    }
    let channel = |cx: &NativeCx<'_>, i: usize| -> Option<Arc<super::arm::Chan>> {
        Some(cx.vec(0).get(i)?.opaque::<ChannelObj>().0.clone())
    };
    let mut resumed = cx.resumed::<AnyWait>();
    loop {
        let (progress, open) = match resumed.take() {
            Some(state) => (state.wait.go_on(cx)?, state.open),
            None => {
                let mut open = Vec::new();
                let mut arms = Arms::new();
                for i in 0..cx.vec(0).len() {
                    if let Some(channel) = channel(cx, i)
                        && !channel.is_drained()
                    {
                        open.push(i);
                        arms.push(Arm::Recv(channel));
                    }
                }
                if arms.is_empty() {
                    return Err(closed());
                }
                (wait(cx, arms, None)?, open)
            }
        };
        match progress {
            // One less: look again at those that are left.
            Progress::Ready(_, Event::Closed) => {}
            Progress::Ready(arm, event) => {
                let message = event.into_message()?;
                let message = message.ok_or_else(|| Fault::internal("a receive ended without a message"))?.unpack();
                return cx.return_fields([Value::int(open[arm] as i64), message]);
            }
            Progress::Late => return Err(Fault::internal("a wait without a time limit ended by time")),
            Progress::Waits(wait) => {
                return cx.suspend(WaitReason::Select, open.len() as u64, AnyWait { wait, open });
            }
        }
    }
}
