//! One thing that a task may wait for, and the wait for the first of several.
//!
//! A channel's `recv` is a wait with one arm, a `select` one with many. Looking comes first and needs no wait: an arm
//! that is ready is taken as it is. Only when none is does the task begin a wait and leave an entry with every arm; the
//! first to be ready after that wins the wait (see `wait`).
//!
//! A wait that ends early (its task was cancelled) takes nothing with it: a message that was handed over already goes
//! back to where it came from, entries and the timer are removed.

use super::broadcast::{Next, Subscription};
use super::channel::{Channel, Recv, Send};
use super::promise::PromiseRef;
use super::result::{TaskResult, Watcher};
use super::tasks::{Me, Timer, me};
use super::wait::{Entry, Fired, MAX_ARMS, Waiter, Weigh};
use crate::fault::{Fault, FaultKind};
use crate::heap::Parcel;
use crate::natives::{Answered, NativeCx};
use crate::task::WaitReason;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Weigh for Parcel {
    fn weight(&self) -> usize {
        self.bytes() + SCALAR_WEIGHT
    }
}

/// The weight of a message that is a scalar: the parcel itself and its place in the queue.
pub(crate) const SCALAR_WEIGHT: usize = 2 * size_of::<Parcel>();

pub(super) type Chan = Channel<Parcel, Me>;
pub(super) type Sub = Subscription<Parcel, Me>;

/// One thing to wait for.
pub(super) enum Arm {
    Recv(Arc<Chan>),
    /// The message moves to the channel while it waits there.
    Send(Arc<Chan>, Option<Parcel>),
    Next(Arc<Sub>),
    Await(PromiseRef),
}

/// What an arm gave.
pub(super) enum Event {
    Message(Parcel),
    Sent,
    Closed,
    /// So many messages of a broadcast channel were missed.
    Lagged(u64),
    Result(TaskResult<Parcel>),
}

enum Look {
    Ready(Event),
    Waits,
    /// It waits for a result that was taken before: it will never be ready.
    Never,
    /// Another arm has ended the wait.
    Lost,
}

impl Event {
    /// The message or result, or the error that stands for it; `None` for a message that was sent.
    pub(super) fn into_message(self) -> Result<Option<Parcel>, Fault> {
        match self {
            Event::Message(message) | Event::Result(Ok(message)) => Ok(Some(message)),
            Event::Result(Err(error)) => Err(Fault::thrown(error.unpack())),
            Event::Sent => Ok(None),
            Event::Closed => Err(closed()),
            Event::Lagged(n) => Err(lagged(n)),
        }
    }

    /// The message; `None` at the end of the channel.
    pub(super) fn into_next(self) -> Result<Option<Parcel>, Fault> {
        match self {
            Event::Closed => Ok(None),
            event => event.into_message(),
        }
    }
}

pub(super) fn closed() -> Fault {
    Fault::new(FaultKind::ChannelClosed, "the channel is closed")
}

fn taken_before() -> Fault {
    Fault::value("nothing to wait for: the results of all these futures were taken before")
}

fn lagged(n: u64) -> Fault {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    let messages = if n == 1 { "message was" } else { "messages were" };
    let message = format!("{n} {messages} missed: the subscriber was more than the channel's capacity behind");
    Fault::with_fields(FaultKind::LaggedError, message, vec![crate::value::Value::int(n)])
}

impl Arm {
    /// Takes what is ready, or leaves `entry` to wait for it.
    fn look(&mut self, entry: Option<&Entry<Me>>) -> Look {
        match self {
            Arm::Recv(channel) => match channel.recv(entry) {
                Recv::Message(message) => Look::Ready(Event::Message(message)),
                Recv::Waits => Look::Waits,
                Recv::Closed => Look::Ready(Event::Closed),
                Recv::Lost => Look::Lost,
            },
            Arm::Send(channel, slot) => {
                let Some(message) = slot.take() else { return Look::Waits };
                let (look, back) = match channel.send(message, entry) {
                    Send::Sent => (Look::Ready(Event::Sent), None),
                    Send::Full(message) | Send::TooMuch(message) => (Look::Waits, Some(message)),
                    Send::Waits | Send::Offered(_) => (Look::Waits, None),
                    Send::Closed(message) => (Look::Ready(Event::Closed), Some(message)),
                    Send::Lost(message) => (Look::Lost, Some(message)),
                };
                *slot = back;
                look
            }
            Arm::Next(subscription) => match subscription.next(entry) {
                Next::Message(message) => Look::Ready(Event::Message(message)),
                Next::Lagged(n) => Look::Ready(Event::Lagged(n)),
                Next::Waits => Look::Waits,
                Next::Closed => Look::Ready(Event::Closed),
                Next::Lost => Look::Lost,
            },
            Arm::Await(promise) => {
                // Only this task holds the future, so a result that is there stays there until it is taken below.
                let cell = &promise.cell;
                if cell.is_taken() {
                    return Look::Never;
                }
                if let Some(entry) = entry {
                    if cell.watch(Watcher::One(Box::new(entry.clone()))).is_ok() {
                        return Look::Waits;
                    }
                    if !entry.task.point().claim(entry.ticket) {
                        return Look::Lost;
                    }
                }
                cell.take().map_or(Look::Waits, |result| Look::Ready(Event::Result(result)))
            }
        }
    }

    /// What the arm gives when the wait was ended by it.
    fn event(&self, fired: Fired<Parcel>) -> Option<Event> {
        match (fired, self) {
            (Fired::Message(message), _) => Some(Event::Message(message)),
            (Fired::Sent, _) => Some(Event::Sent),
            (Fired::Closed, _) => Some(Event::Closed),
            (Fired::Ready, Arm::Await(promise)) => promise.cell.take().map(Event::Result),
            (Fired::Ready, _) => None,
        }
    }

    /// The wait was ended by this arm, but the task will not take what it gives.
    fn give_back(&self, fired: Fired<Parcel>) {
        match (fired, self) {
            (Fired::Message(message), Arm::Recv(channel)) => channel.give_back(message),
            (Fired::Message(message), Arm::Next(subscription)) => subscription.give_back(message),
            // What was sent is sent, and a result stays in its cell.
            _ => {}
        }
    }

    fn forget(&self, entry: &Entry<Me>) {
        match self {
            Arm::Recv(channel) | Arm::Send(channel, _) => channel.forget(entry),
            Arm::Next(subscription) => subscription.forget(entry),
            Arm::Await(promise) => promise.cell.forget(&entry.task),
        }
    }
}

pub(super) type Arms = SmallVec<[Arm; 1]>;

/// A native that waits for one arm: what it gave (`None`: the time is over), or the answer of a native that waits on.
pub(super) fn one(
    cx: &mut NativeCx<'_>,
    timeout: Option<Duration>,
    arm: impl FnOnce(&mut NativeCx<'_>) -> Result<Arm, Fault>,
) -> Result<Result<Option<Event>, Answered>, Fault> {
    let progress = match cx.resumed::<Wait>() {
        Some(wait) => wait.go_on(cx)?,
        None => {
            let arm = arm(cx)?;
            wait(cx, smallvec![arm], timeout)?
        }
    };
    match progress {
        Progress::Ready(_, event) => Ok(Ok(Some(event))),
        Progress::Late => Ok(Ok(None)),
        Progress::Waits(wait) => {
            let (reason, detail) = wait.reason();
            cx.suspend(reason, detail, wait).map(Err)
        }
    }
}

/// How a look at several arms, or a wait for them, stands.
pub(super) enum Progress {
    Ready(usize, Event),
    /// The time is over.
    Late,
    Waits(Wait),
}

/// Takes from the first arm that is ready, beginning anywhere, so that no arm starves another.
pub(super) fn look(cx: &NativeCx<'_>, arms: &mut [Arm]) -> Option<(usize, Event)> {
    if let [arm] = arms {
        return match arm.look(None) {
            Look::Ready(event) => Some((0, event)),
            _ => None,
        };
    }
    let mut order: SmallVec<[usize; 8]> = (0..arms.len()).collect();
    for left in (1..=order.len()).rev() {
        // A shuffle that stops as soon as an arm is ready. Not only a random start: behind an arm that is never ready,
        // the next would be chosen twice as often.
        let chosen = cx.task.program().scheduler().map_or(0, |scheduler| scheduler.random(left));
        let i = order.swap_remove(chosen.min(left - 1));
        if let Look::Ready(event) = arms[i].look(None) {
            return Some((i, event));
        }
    }
    None
}

/// # Errors
/// `ValueError` when a wait cannot have so many arms.
pub(super) fn check_arms(n: usize) -> Result<(), Fault> {
    match n {
        0..=MAX_ARMS => Ok(()),
        _ => Err(Fault::value(format!("{n} things cannot be waited for at once, the limit is {MAX_ARMS}"))),
    }
}

/// Takes from an arm that is ready, or begins to wait for one, for `timeout` at most.
pub(super) fn wait(cx: &NativeCx<'_>, mut arms: Arms, timeout: Option<Duration>) -> Result<Progress, Fault> {
    if let Some((i, event)) = look(cx, &mut arms) {
        return Ok(Progress::Ready(i, event));
    }
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Ok(Progress::Late);
    }
    check_arms(arms.len())?;
    let me = me(cx)?;
    let ticket = me.point().open();
    let mut wait = Wait { arms, n_entered: 0, me, ticket, ended_by: None, deadline: None, timer: None };
    let mut hopeless = timeout.is_none();
    for i in 0..wait.arms.len() {
        let entry = wait.entry(i);
        wait.n_entered = i + 1;
        match wait.arms[i].look(Some(&entry)) {
            Look::Ready(event) => {
                wait.ended_by = Some(i);
                return Ok(Progress::Ready(i, event));
            }
            Look::Waits => hopeless = false,
            Look::Never => {}
            Look::Lost => return wait.go_on(cx),
        }
    }
    if hopeless {
        return Err(taken_before());
    }
    if let (Some(timeout), Some(scheduler)) = (timeout, cx.task.program().scheduler()) {
        // As before a `sleep`: what was printed is seen before the pause.
        cx.task.program().flush();
        let deadline = scheduler.now() + timeout;
        wait.deadline = Some(deadline);
        wait.timer = Timer::start(cx, &wait.me, deadline);
    }
    Ok(Progress::Waits(wait))
}

/// A wait for the first of several arms.
pub(super) struct Wait {
    arms: Arms,
    /// So many arms, from the first, may have an entry of this wait.
    n_entered: usize,
    me: Me,
    ticket: u64,
    ended_by: Option<usize>,
    deadline: Option<Instant>,
    timer: Option<Timer>,
}

impl Wait {
    fn entry(&self, arm: usize) -> Entry<Me> {
        Entry { task: self.me.clone(), ticket: self.ticket, arm: arm as u32 }
    }

    /// Why its task waits, and the detail of that reason.
    pub(super) fn reason(&self) -> (WaitReason, u64) {
        match &*self.arms {
            [] => (WaitReason::Sleep, 0),
            [Arm::Recv(channel)] => (WaitReason::ChannelRecv, channel.id()),
            [Arm::Send(channel, _)] => (WaitReason::ChannelSend, channel.id()),
            [Arm::Next(subscription)] => (WaitReason::BroadcastRecv, subscription.id()),
            [Arm::Await(_)] => (WaitReason::Future, 0),
            arms => (WaitReason::Select, arms.len() as u64),
        }
    }

    /// After a wake-up, which may mean nothing.
    pub(super) fn go_on(mut self, cx: &NativeCx<'_>) -> Result<Progress, Fault> {
        let late = match (self.deadline, cx.task.program().scheduler()) {
            (Some(deadline), Some(scheduler)) => scheduler.now() >= deadline,
            _ => false,
        };
        let point = self.me.point();
        // Late or not, what was handed over in time counts.
        let fired = if late { point.close(self.ticket) } else { point.take(self.ticket) };
        if let Some((arm, fired)) = fired {
            let arm = arm as usize;
            self.ended_by = Some(arm);
            let event = self.arms[arm].event(fired).ok_or_else(taken_before)?;
            return Ok(Progress::Ready(arm, event));
        }
        Ok(if late { Progress::Late } else { Progress::Waits(self) })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.ended_by.is_none()
            && let Some((arm, fired)) = self.me.point().close(self.ticket)
        {
            self.ended_by = Some(arm as usize);
            self.arms[arm as usize].give_back(fired);
        }
        // The arm that ended the wait has taken its entry out.
        for i in (0..self.n_entered).filter(|i| self.ended_by != Some(*i)) {
            self.arms[i].forget(&self.entry(i));
        }
    }
}
