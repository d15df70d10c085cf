//! Natives of channels and actors that run as instructions: putting a message in, handing it to a receiver that waits, taking it, and
//! waiting. What is rare (the end of a channel, a limit, somebody who asks where time goes) goes on as the native's call.

use super::call::{run_native, run_native_as};
use super::*;
use crate::actor::ActorRef;
use crate::conc::channel::Held;
use crate::conc::channels::{ChannelObj, OneWait, Received, after_send, answer_with, receive_or_wait, send_or_wait};
use crate::conc::tasks::Me;
use crate::heap::object::OpaqueObj;
use crate::heap::{Parcel, meter, sampled};
use crate::interp::kept::Kept;
use crate::load::BoundNative;
use crate::natives::NativeCx;
use crate::task::WaitReason;
use crate::types::TypeInfo;
use crate::value::{Value, ValueRef};

handlers! {
    /// A call of `channel_send`.
    send_message(m, ip, regs, budget, w) {
        match send(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, budget),
            exit => exit,
        }
    }

    /// A call of `actor_send` of a scalar.
    tell(m, ip, regs, budget, w) {
        match tell_scalar(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, budget),
            exit => exit,
        }
    }

    /// A call of `channel_recv` of scalars.
    recv_scalar(m, ip, regs, budget, w) {
        match receive::<false, false>(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, budget),
            exit => exit,
        }
    }

    /// A call of `channel_recv` of references.
    recv_ref(m, ip, regs, budget, w) {
        match receive::<true, false>(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, budget),
            exit => exit,
        }
    }

    /// A call of `channel_next`.
    next_message(m, ip, regs, budget, w) {
        match receive::<true, true>(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(1), regs, budget),
            exit => exit,
        }
    }
}

/// Whether the call is not the continuation of one that waited, and nobody asks where time goes.
#[inline(always)]
unsafe fn is_plain(m: *mut Machine) -> bool {
    (*m).resume.is_none() && !observe::is_due()
}

/// The channel in the first argument, which is of that type: the module was verified.
#[inline(always)]
unsafe fn channel<'a>(args: *mut u64) -> &'a ChannelObj {
    &*OpaqueObj::body_of(*args as *mut Header).expect("the body is of the type its name says")
}

/// As `run_native`: `Exit::Next` when it is done.
#[inline(never)]
pub(crate) unsafe fn send(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Exit {
    if !is_plain(m) {
        return run_native::<false>(m, ip, regs, budget, w);
    }
    crate::actor::end_gathering();
    let native = &*(*ip as *const BoundNative);
    let args = regs.add(b(w));
    let limit = (*m).task.program().options.queue_limit();
    let info = native.sig.params[1];
    let message = match Parcel::scalar(ValueRef::from_raw(*args.add(1), info)) {
        Some(message) => message,
        None => match pack(m, ip, regs, budget, args.add(1), info) {
            Some(message) => message,
            // It says why not.
            None => return run_native::<false>(m, ip, regs, budget, w),
        },
    };
    let mut is_sent = false;
    let otherwise = |held, message| send_on(m, ip, regs, budget, w, held, message);
    let sent = || {
        is_sent = true;
        Exit::Next
    };
    let exit = channel(args).0.put_or(message, limit, sent, otherwise);
    if is_sent {
        // Not before the channel is left: this may be the last handle on it.
        heap::release(std::mem::take(&mut *args));
        set(regs, a(w), 0);
    }
    exit
}

/// As `send`, to an actor: most messages go to what the task gathers for it.
#[inline(never)]
pub(crate) unsafe fn tell_scalar(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Exit {
    let native = &*(*ip as *const BoundNative);
    let args = regs.add(b(w));
    // What is lent elsewhere is null.
    if is_plain(m) && heap::is_object(*args) {
        let message = ValueRef::from_raw(*args.add(2), native.sig.params[2]);
        let actor = OpaqueObj::body_of::<ActorRef>(*args as *mut Header);
        if actor.is_some_and(|actor| (*actor).gather(*args.add(1), message)) {
            heap::release(std::mem::take(&mut *args));
            set(regs, a(w), 0);
            return Exit::Next;
        }
    }
    run_native::<false>(m, ip, regs, budget, w)
}

/// The reference in `slot`, packed; `None` when it cannot be, and it is there as before.
#[inline(never)]
unsafe fn pack(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    slot: *mut u64,
    info: &'static TypeInfo,
) -> Option<Parcel> {
    // As in `run_native`: if it panics, this is where the fault is.
    save(m, ip, regs, budget);
    (*m).is_saved = true;
    let packed = Parcel::pack(Value::from_raw(std::mem::take(&mut *slot), info));
    (*m).is_saved = false;
    allocated(m, ip, regs);
    packed.map_err(|value| *slot = value.into_raw().0).ok()
}

/// Where the message can neither be handed over nor put in: what nearly always follows is a wait.
#[inline(never)]
unsafe fn send_on(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    held: Held<'_, Parcel, Me>,
    message: Parcel,
) -> Exit {
    let limit = (*m).task.program().options.queue_limit();
    let sent = with_context(m, ip, regs, budget, w, |cx| send_or_wait(cx, held, message, limit));
    match sent {
        Ok(Some(wait)) if is_unseen() => suspend(m, ip, wait, WaitReason::ChannelSend),
        sent => run_native_as::<false>(m, ip, regs, budget, w, |cx| after_send(cx, sent?)),
    }
}

/// What a part of a native needs of its context. Nobody reads its result.
#[inline(always)]
unsafe fn with_context<R>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    part: impl FnOnce(&NativeCx<'_>) -> R,
) -> R {
    let native: &'static BoundNative = &*(*ip as *const BoundNative);
    // As in `run_native`: if it panics, this is where the fault is.
    save(m, ip, regs, budget);
    let machine = &mut *m;
    machine.is_saved = true;
    let args = std::slice::from_raw_parts_mut(regs.add(b(w)), native.sig.params.len());
    let (task, resume) = (&mut machine.task, &mut machine.resume);
    let result = part(&NativeCx { args, sig: &native.sig, ret: 0, waits: None, resume, task });
    machine.is_saved = false;
    result
}

/// Nobody asks where time and memory go: `run_native_as` tells those who do.
#[inline(always)]
fn is_unseen() -> bool {
    !observe::has_called() && !observe::is_due() && !sampled::is_found()
}

/// The call waits, and is made again after a wake-up.
#[inline(always)]
unsafe fn suspend(m: *mut Machine, ip: *const u64, wait: OneWait, reason: WaitReason) -> Exit {
    (*m).wait = (reason, wait.channel());
    (*m).resume = Some(Kept::new(wait));
    (*m).ip = ip.sub(1);
    Exit::Suspend
}

/// As `send`. `IS_REF`: the answer is counted. `NEXT`: it is an `Option`.
#[inline(never)]
pub(crate) unsafe fn receive<const IS_REF: bool, const NEXT: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
) -> Exit {
    if !is_plain(m) {
        // It has waited, and nearly always for this.
        return match OneWait::take_message(&mut (*m).resume, &(*m).task) {
            Some(message) => received::<IS_REF, NEXT>(m, ip, regs, budget, w, message),
            None => run_native::<IS_REF>(m, ip, regs, budget, w),
        };
    }
    crate::actor::end_gathering();
    let mut message = None;
    let exit = channel(regs.add(b(w))).0.take_or(
        |taken| {
            message = Some(taken);
            Exit::Next
        },
        |held| receive_on::<IS_REF, NEXT>(m, ip, regs, budget, w, held),
    );
    match message {
        Some(message) => received::<IS_REF, NEXT>(m, ip, regs, budget, w, message),
        None => exit,
    }
}

#[inline(always)]
unsafe fn received<const IS_REF: bool, const NEXT: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    message: Parcel,
) -> Exit {
    let native = &*(*ip as *const BoundNative);
    let (bits, _) = message.unpack().into_raw();
    let result = if NEXT { map::option(native, Some(bits)) } else { bits };
    heap::release(std::mem::take(&mut *regs.add(b(w))));
    if IS_REF && meter::is_over() {
        heap::release(result);
        (*m).pending = Some(Pending::Fault(Fault::out_of_memory()));
        save(m, ip, regs, budget);
        return Exit::Fault;
    }
    if NEXT {
        allocated(m, ip, regs);
    }
    if IS_REF {
        set_ref(regs, a(w), result);
    } else {
        set(regs, a(w), result);
    }
    Exit::Next
}

/// Where there is no message: what nearly always follows is a wait.
#[inline(never)]
unsafe fn receive_on<const IS_REF: bool, const NEXT: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    held: Held<'_, Parcel, Me>,
) -> Exit {
    match with_context(m, ip, regs, budget, w, |cx| receive_or_wait(cx, held)) {
        Ok(Received::Waits(wait)) if is_unseen() => suspend(m, ip, wait, WaitReason::ChannelRecv),
        Ok(Received::Message(message)) if is_unseen() => received::<IS_REF, NEXT>(m, ip, regs, budget, w, message),
        got => run_native_as::<IS_REF>(m, ip, regs, budget, w, |cx| answer_with::<NEXT>(cx, got?)),
    }
}
