//! Natives of channels and actors that run as instructions: putting a message in, handing it to a receiver that waits, taking it, and
//! waiting. What is rare (the end of a channel, a limit, somebody who asks where time goes) goes on as the native's call.

use super::call::{run_native, run_native_as};
use super::*;
use crate::actor::{ActorRef, end_gathering, has_gathered_nothing};
use crate::conc::arm::SCALAR_WEIGHT;
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

    /// `arg_copy` of a channel, `arg` of a scalar and `send_message`: what is nearly always done needs no count of the channel.
    send_scalar_to(m, ip, regs, budget, w) {
        if send_now(m, ip, regs, w) {
            return go!(m, ip.add(3), regs, budget);
        }
        send_scalar_slowly(m, ip, regs, budget, w)
    }

    #[inline(never)]
    send_scalar_slowly(m, ip, regs, budget, w) {
        match send_of_group(m, ip, regs, budget, w) {
            Exit::Next => go!(m, ip.add(3), regs, budget),
            exit => exit,
        }
    }

    /// The head of a loop over a channel of scalars: `arg_copy` of the channel and what `HEAD` says. As above, and no `Option` is made.
    scalar_of(m, ip, regs, budget, w) {
        if next_now(m, ip, regs, w) {
            return go!(m, ip.add(HEAD), regs, budget);
        }
        scalar_of_slowly(m, ip, regs, budget, w)
    }

    #[inline(never)]
    scalar_of_slowly(m, ip, regs, budget, w) {
        match next_item::<false>(m, ip, regs, budget, w) {
            Next::Message => go!(m, ip.add(HEAD), regs, budget),
            Next::Option => go!(m, ip.add(2), regs, budget),
            Next::Left(exit) => exit,
        }
    }

    /// As `scalar_of`, of a channel of references.
    ref_of(m, ip, regs, budget, w) {
        match next_item::<true>(m, ip, regs, budget, w) {
            Next::Message => go!(m, ip.add(HEAD), regs, budget),
            Next::Option => go!(m, ip.add(2), regs, budget),
            Next::Left(exit) => exit,
        }
    }
}

/// Words of a loop's head behind the first: the call of `channel_next` with its native, `get_tag` of the `Option`, `load_imm` of the
/// tag of `Some`, `ne_int` of the two, a jump out of the loop, `get_payload` with the variant, and `drop_ref` of the `Option`.
const HEAD: usize = 9;

/// How the head of a loop ended.
pub(crate) enum Next {
    /// With a message, behind the head.
    Message,
    /// With the call's answer in its register: what follows the call is still to be done.
    Option,
    Left(Exit),
}

/// Behind the head that has a message: what its instructions leave in registers, and the register that they read the message into.
/// `ip` is behind the first word.
#[inline(always)]
unsafe fn leave_head(ip: *const u64, regs: *mut u64) -> usize {
    let [tag, imm, compare, payload] = [*ip.add(2), *ip.add(3), *ip.add(4), *ip.add(6)];
    let some = distance(imm) as u64;
    set(regs, a(tag), some);
    set(regs, a(imm), some);
    set(regs, a(compare), 0);
    a(payload)
}

/// The whole of `scalar_of`, if the channel has a message and nothing is to be thought of. Calls nothing.
#[inline(always)]
unsafe fn next_now(m: *mut Machine, ip: *const u64, regs: *mut u64, w: u64) -> bool {
    // Nothing is to be dropped from the `Option`'s register.
    if !is_plain(m) || !has_gathered_nothing() || get(regs, a(*ip)) != 0 {
        return false;
    }
    let Some(channel) = channel_at_once(regs.add(b(w))) else { return false };
    let Some(message) = channel.0.take_now(SCALAR_WEIGHT) else { return false };
    let payload = leave_head(ip, regs);
    set(regs, payload, message.into_scalar());
    true
}

/// The head of a loop whose messages are references or not. It is gone back to its beginning after a wait.
#[inline(never)]
unsafe fn next_item<const IS_REF: bool>(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Next {
    let call = *ip;
    let bits = if (*m).resume.is_some() {
        // It has waited here, and nearly always for this.
        OneWait::take_message(&mut (*m).resume, &(*m).task).map(item::<IS_REF>)
    } else if is_plain(m) {
        end_gathering();
        let taken = |message| Ok(item::<IS_REF>(message));
        match channel(regs.add(b(w))).0.take_or(taken, |held| item_or_wait::<IS_REF>(m, ip, regs, budget, w, held)) {
            Ok(bits) => Some(bits),
            Err(Exit::Next) => return Next::Option,
            Err(exit) => return Next::Left(exit),
        }
    } else {
        None
    };
    let Some(bits) = bits else {
        // As its instructions do it.
        fill(regs, w);
        return match receive::<true, true>(m, ip.add(1), regs, budget, call) {
            Exit::Next => Next::Option,
            exit => Next::Left(exit),
        };
    };
    if IS_REF && meter::is_over() {
        return Next::Left(past_limit(m, ip.add(1), regs, budget, bits));
    }
    set_ref(regs, a(call), 0);
    let payload = leave_head(ip, regs);
    if IS_REF {
        set_ref(regs, payload, bits);
    } else {
        set(regs, payload, bits);
    }
    Next::Message
}

/// As `receive_on`, for a whole head. `Err(Exit::Next)`: the call has answered.
#[inline(never)]
unsafe fn item_or_wait<const IS_REF: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    held: Held<'_, Parcel, Me>,
) -> Result<u64, Exit> {
    let native = &*(*ip.add(1) as *const BoundNative);
    let args = &mut [get(regs, b(w))];
    match in_context(m, ip, regs, budget, native, args, |cx| receive_or_wait(cx, held)) {
        Ok(Received::Waits(wait)) if is_unseen() => Err(suspend(m, ip, wait, WaitReason::ChannelRecv)),
        Ok(Received::Message(message)) if is_unseen() => Ok(item::<IS_REF>(message)),
        got => {
            fill(regs, w);
            Err(run_native_as::<true>(m, ip.add(1), regs, budget, *ip, |cx| answer_with::<true>(cx, got?)))
        }
    }
}

/// A message as a word in a register: one that is handed on in memory is read while it is still being written.
#[inline(always)]
fn unpacked(message: Parcel) -> u64 {
    message.unpack().into_raw().0
}

/// As `unpacked`, of which is known whether it is a reference.
#[inline(always)]
fn item<const IS_REF: bool>(message: Parcel) -> u64 {
    if IS_REF { unpacked(message) } else { message.into_scalar() }
}

/// What was received takes the task past its limit.
#[cold]
#[inline(never)]
unsafe fn past_limit(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, bits: u64) -> Exit {
    heap::release(bits);
    fault(m, ip, regs, budget, Fault::out_of_memory())
}

/// Does an `arg_copy`.
#[inline(always)]
unsafe fn fill(regs: *mut u64, w: u64) {
    let bits = get(regs, b(w));
    heap::retain(bits);
    set(regs, a(w), bits);
}

/// As the handlers `scalar_of` and `ref_of`, for machine code. `None`: there is a message. `Exit::Next`: the interpreter goes on where
/// the machine stands, in the middle.
pub(crate) unsafe fn head<const IS_REF: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
) -> Option<Exit> {
    if !IS_REF && next_now(m, ip, regs, w) {
        return None;
    }
    match next_item::<IS_REF>(m, ip, regs, budget, w) {
        Next::Message => None,
        Next::Option => {
            save(m, ip.add(2), regs, budget);
            Some(Exit::Next)
        }
        Next::Left(exit) => Some(exit),
    }
}

/// The whole of `send_scalar_to`, if the channel has room and nothing is to be thought of. Calls nothing.
#[inline(always)]
unsafe fn send_now(m: *mut Machine, ip: *const u64, regs: *mut u64, w: u64) -> bool {
    if !is_plain(m) || !has_gathered_nothing() {
        return false;
    }
    let Some(channel) = channel_at_once(regs.add(b(w))) else { return false };
    let [arg, call] = [*ip, *ip.add(1)];
    let native = &*(*ip.add(2) as *const BoundNative);
    let program = (*m).task.program();
    let message = || Parcel::of_scalar(get(regs, b(arg)), native.sig.type_args[0]);
    if !channel.0.put_now(SCALAR_WEIGHT, || program.options.queue_limit(), message) {
        return false;
    }
    set(regs, a(call), 0);
    true
}

/// As `send_now`, where that is not all; `Exit::Next` when it is done.
#[inline(never)]
unsafe fn send_of_group(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Exit {
    let [arg, call] = [*ip, *ip.add(1)];
    if !is_plain(m) {
        // As its instructions do it.
        fill(regs, w);
        set(regs, a(arg), get(regs, b(arg)));
        return send(m, ip.add(2), regs, budget, call);
    }
    end_gathering();
    let native = &*(*ip.add(2) as *const BoundNative);
    let limit = (*m).task.program().options.queue_limit();
    let message = Parcel::of_scalar(get(regs, b(arg)), native.sig.type_args[0]);
    let otherwise = |held, message| send_scalar_on(m, ip, regs, budget, w, held, message);
    let exit = channel(regs.add(b(w))).0.put_or(message, limit, || Exit::Next, otherwise);
    if exit == Exit::Next {
        set(regs, a(call), 0);
    }
    exit
}

/// As `send_on`, for a whole group, to whose beginning it comes back when it has waited.
#[inline(never)]
unsafe fn send_scalar_on(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    held: Held<'_, Parcel, Me>,
    message: Parcel,
) -> Exit {
    let [arg, call] = [*ip, *ip.add(1)];
    let native = &*(*ip.add(2) as *const BoundNative);
    let limit = (*m).task.program().options.queue_limit();
    let args = &mut [get(regs, b(w)), get(regs, b(arg))];
    match in_context(m, ip, regs, budget, native, args, |cx| send_or_wait(cx, held, message, limit)) {
        Ok(Some(wait)) if is_unseen() => suspend(m, ip, wait, WaitReason::ChannelSend),
        Ok(None) if is_unseen() => Exit::Next,
        sent => {
            fill(regs, w);
            set(regs, a(arg), get(regs, b(arg)));
            run_native_as::<false>(m, ip.add(2), regs, budget, call, |cx| after_send(cx, sent?))
        }
    }
}

/// As the handler `send_scalar_to`, for machine code.
pub(crate) unsafe fn send_scalar(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Exit {
    if send_now(m, ip, regs, w) { Exit::Next } else { send_of_group(m, ip, regs, budget, w) }
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

/// As `channel`, as far as it can be told without a call.
#[inline(always)]
unsafe fn channel_at_once<'a>(args: *mut u64) -> Option<&'a ChannelObj> {
    OpaqueObj::body_at_once(*args as *mut Header).map(|channel| &*channel)
}

/// As `run_native`: `Exit::Next` when it is done.
#[inline(never)]
pub(crate) unsafe fn send(m: *mut Machine, ip: *const u64, regs: *mut u64, budget: i64, w: u64) -> Exit {
    if !is_plain(m) {
        return run_native::<false>(m, ip, regs, budget, w);
    }
    end_gathering();
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
    let args = std::slice::from_raw_parts_mut(regs.add(b(w)), native.sig.params.len());
    in_context(m, ip, regs, budget, native, args, part)
}

/// As `with_context`, of a call of `native` with `args`. They need not be in the frame: what the part keeps of them it counts.
#[inline(always)]
unsafe fn in_context<R>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    native: &'static BoundNative,
    args: &mut [u64],
    part: impl FnOnce(&NativeCx<'_>) -> R,
) -> R {
    // As in `run_native`: if it panics, this is where the fault is.
    save(m, ip, regs, budget);
    let machine = &mut *m;
    machine.is_saved = true;
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
    let bits = if is_plain(m) {
        end_gathering();
        let taken = |message| Ok(unpacked(message));
        channel(regs.add(b(w))).0.take_or(taken, |held| receive_on::<IS_REF, NEXT>(m, ip, regs, budget, w, held))
    } else {
        // It has waited, and nearly always for this.
        match OneWait::take_message(&mut (*m).resume, &(*m).task) {
            Some(message) => Ok(unpacked(message)),
            None => Err(run_native::<IS_REF>(m, ip, regs, budget, w)),
        }
    };
    let bits = match bits {
        Ok(bits) => bits,
        Err(exit) => return exit,
    };
    let native = &*(*ip as *const BoundNative);
    let result = if NEXT { map::option(native, Some(bits)) } else { bits };
    heap::release(std::mem::take(&mut *regs.add(b(w))));
    if IS_REF && meter::is_over() {
        return past_limit(m, ip, regs, budget, result);
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

/// Where there is no message: what nearly always follows is a wait. `Err(Exit::Next)`: the native has answered.
#[inline(never)]
unsafe fn receive_on<const IS_REF: bool, const NEXT: bool>(
    m: *mut Machine,
    ip: *const u64,
    regs: *mut u64,
    budget: i64,
    w: u64,
    held: Held<'_, Parcel, Me>,
) -> Result<u64, Exit> {
    match with_context(m, ip, regs, budget, w, |cx| receive_or_wait(cx, held)) {
        Ok(Received::Waits(wait)) if is_unseen() => Err(suspend(m, ip, wait, WaitReason::ChannelRecv)),
        Ok(Received::Message(message)) if is_unseen() => Ok(unpacked(message)),
        got => Err(run_native_as::<IS_REF>(m, ip, regs, budget, w, |cx| answer_with::<NEXT>(cx, got?))),
    }
}
