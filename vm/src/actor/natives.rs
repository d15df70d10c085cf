//! Actors and supervisors as natives.

use super::batch;
use super::body::{ActorBody, Called, Policy};
use super::cell::{ActorCell, ActorRef, BatchAnswer, Config, Envelope, Extra, Reply};
use super::inbox::{Overflow, Push};
use super::outbox;
use super::supervisor::{Supervisor, SupervisorObj};
use crate::conc::promise::{Answer, FutureObj, PromiseRef, late};
use crate::conc::restart::Strategy;
use crate::conc::tasks::{AwaitOne, Me, await_one, pack, room_for_task};
use crate::conc::wait::{Entry, Fired, Waiter};
use crate::fault::{Fault, FaultKind};
use crate::heap::Parcel;
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::task::{TaskBody, TaskShared, WaitReason};
use crate::types::TypeInfo;
use crate::value::Value;
use stark_bytecode::{HandlerDesc, TypeDesc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub(crate) const TABLE: &[NativeRow] = natives! {
    actor_spawn "<A>(A, Policy, Int, Overflow, String) -> ActorRef<A>";
    actor_find "<A>(String) -> Option<ActorRef<A>>";
    actor_ref_as "<A, I, O>(ActorRef<A>) -> ModelActorRef<I, O>";
    actor_monitor "<R>(R) -> Future<ExitReason>";
    actor_ask "<R, M, O>(R, Int, M, Duration) -> Future<O>" [suspends];
    /// `await r.ask(x)` in one.
    actor_call "<R, M, O>(R, Int, M, Duration) -> O" [suspends];
    actor_send "<R, M>(R, Int, M) -> ()" [suspends, gathers];
    actor_batch_ask "<R, I, O>(R, Int, Vec<I>, Duration) -> Future<Vec<O>>" [suspends];
    actor_stats "<R>(R) -> ModelStats";
    actor_stop "<R>(R) -> ()";
    actor_kill "<R>(R) -> ()";
    actor_is_alive "<R>(R) -> Bool";
    actor_name "<R>(R) -> String";
    supervisor_new "(Strategy, Int, Duration) -> Supervisor";
    supervisor_spawn "<A>(Supervisor, A, String, Int, Overflow) -> ActorRef<A>";
    supervisor_stop "(Supervisor) -> ()";
};

#[inline]
fn actor<'a>(cx: &'a NativeCx<'_>) -> &'a Arc<ActorCell> {
    &cx.opaque::<ActorRef>(0).0
}

fn overflow(cx: &NativeCx<'_>, arg: usize) -> Overflow {
    Overflow::ALL[usize::from(cx.arg(arg).tag()).min(2)]
}

// --- beginning and ending --------------------------------------------------------------------------------------------

struct Spawn {
    state: Value,
    policy: Policy,
    name: String,
    capacity: i64,
    overflow: Overflow,
    supervisor: Option<Arc<Supervisor>>,
}

fn begin(cx: &mut NativeCx<'_>, spawn: Spawn) -> NativeResult {
    let info = spawn.state.info();
    if !matches!(info.desc, TypeDesc::Actor(_)) {
        return Err(Fault::value(format!("`{}` is not an actor", info.name())));
    }
    let capacity = usize::try_from(spawn.capacity)
        .ok()
        .filter(|&n| n > 0)
        .ok_or_else(|| Fault::value(format!("a mailbox holds at least one message, not {}", spawn.capacity)))?;
    let program = cx.task.program();
    let scheduler = program.scheduler().ok_or_else(|| Fault::internal("actors need a scheduler"))?;
    let supervisor = match spawn.supervisor {
        Some(supervisor) => {
            let child = supervisor.number().ok_or_else(|| Fault::value("the supervisor has stopped"))?;
            Some((supervisor, child))
        }
        None => None,
    };
    room_for_task(program)?;
    let state = pack(spawn.state)?;
    let name = spawn.name.clone();
    let config = Config { name: spawn.name, capacity, overflow: spawn.overflow, supervisor };
    let cell = ActorCell::new(program, info, config);
    if !name.is_empty() {
        let mut names = program.actors.lock();
        if names.get(&name).is_some_and(|cell| cell.strong_count() > 0) {
            return Err(Fault::value(format!("an actor is called {name:?} already")));
        }
        names.insert(name, Arc::downgrade(&cell));
    }
    if let Some((supervisor, child)) = cell.supervisor() {
        supervisor.adopt(child, &cell);
    }
    let body = TaskBody::actor(program, state, |state| ActorBody::new(cell.clone(), spawn.policy, state));
    let task = scheduler.spawn(body, TaskShared::of_actor(&cell));
    cell.set_task(&task);
    crate::observe::spawned(cx.task, &task, || cell.info.name());
    cx.return_opaque(ActorRef(cell))
}

fn actor_spawn(cx: &mut NativeCx<'_>) -> NativeResult {
    let spawn = Spawn {
        state: cx.take(0),
        policy: Policy::ALL[usize::from(cx.arg(1).tag()).min(2)],
        capacity: cx.int(2),
        overflow: overflow(cx, 3),
        name: cx.str(4).to_string(),
        supervisor: None,
    };
    begin(cx, spawn)
}

fn supervisor_spawn(cx: &mut NativeCx<'_>) -> NativeResult {
    let spawn = Spawn {
        supervisor: Some(cx.opaque::<SupervisorObj>(0).0.clone()),
        state: cx.take(1),
        policy: Policy::Restart,
        name: cx.str(2).to_string(),
        capacity: cx.int(3),
        overflow: overflow(cx, 4),
    };
    begin(cx, spawn)
}

fn supervisor_new(cx: &mut NativeCx<'_>) -> NativeResult {
    let strategy =
        [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][usize::from(cx.arg(0).tag()).min(2)];
    let max_restarts = usize::try_from(cx.int(1))
        .map_err(|_| Fault::value(format!("a supervisor restarts {} times at most", cx.int(1))))?;
    let within = Duration::from_nanos(cx.int(2).max(0) as u64);
    let supervisor = Supervisor::new(cx.task.actor.as_ref(), strategy, max_restarts, within);
    cx.return_opaque(SupervisorObj(supervisor))
}

fn supervisor_stop(cx: &mut NativeCx<'_>) -> NativeResult {
    cx.opaque::<SupervisorObj>(0).0.stop();
    cx.return_unit()
}

fn actor_find(cx: &mut NativeCx<'_>) -> NativeResult {
    let (name, wanted) = (cx.str(0).to_string(), cx.type_arg(0));
    let found = cx.task.program().actors.lock().get(&name).and_then(|cell| cell.upgrade());
    let Some(cell) = found else { return cx.return_none() };
    if !wanted.same_as(cell.info) {
        let (found, wanted) = (cell.info.name(), wanted.name());
        // The name of a generic actor says nothing of its types.
        let text = match found == wanted {
            true => format!("actor {name:?} is a `{found}` of other types"),
            false => format!("actor {name:?} is a `{found}`, not a `{wanted}`"),
        };
        return Err(Fault::value(text));
    }
    let info = cx.ret_type().field(cx.ret_type().variant_named("Some").unwrap_or_default(), 0);
    let reference = Value::opaque(info, ActorRef(cell));
    cx.return_some(reference)
}

/// The same actor, seen by its messages.
fn actor_ref_as(cx: &mut NativeCx<'_>) -> NativeResult {
    let reference = cx.opaque::<ActorRef>(0).clone();
    let handler = reference.0.desc().handlers.first().filter(|_| reference.0.desc().has_receive);
    let fits = handler.is_some_and(|handler| {
        let io = Io::of(cx, handler);
        io.input.is_some_and(|input| input.same_as(cx.type_arg(1))) && io.output.same_as(cx.type_arg(2))
    });
    if !fits {
        return Err(Fault::value(format!("actor {} does not take these messages", reference.0.name())));
    }
    cx.return_opaque(reference)
}

fn actor_monitor(cx: &mut NativeCx<'_>) -> NativeResult {
    if !super::cell::is_exit_reason(cx.ret_type().opaque_arg(0)) {
        return Err(Fault::internal("ExitReason has not the variants that an actor ends with"));
    }
    let promise = Answer::unbound();
    actor(cx).monitor(&promise, cx.ret_type().opaque_arg(0));
    cx.return_opaque(FutureObj::of_answer(promise))
}

fn actor_stop(cx: &mut NativeCx<'_>) -> NativeResult {
    actor(cx).stop();
    cx.return_unit()
}

fn actor_kill(cx: &mut NativeCx<'_>) -> NativeResult {
    actor(cx).kill();
    cx.return_unit()
}

fn actor_is_alive(cx: &mut NativeCx<'_>) -> NativeResult {
    let dead = actor(cx).inbox.is_dead() || actor(cx).is_killed();
    cx.return_bool(!dead)
}

fn actor_name(cx: &mut NativeCx<'_>) -> NativeResult {
    let name = actor(cx).name();
    cx.return_str(name)
}

/// The fields of `ModelStats`, by name.
fn actor_stats(cx: &mut NativeCx<'_>) -> NativeResult {
    let cell = actor(cx).clone();
    let tensor_bytes = cell.tensor_bytes();
    let now = cell.since_start();
    let ((stats, rare), n_requests) = (cell.stats(), cell.n_requests());
    let latency = stats.latency();
    let info = cx.ret_type();
    let TypeDesc::Struct { fields, .. } = &info.desc else { return Err(Fault::internal("ModelStats is a struct")) };
    let values = fields.iter().map(|field| match field.name.as_str() {
        "requests" => Ok(Value::int(n_requests as i64)),
        "errors" => Ok(Value::int(rare.n_errors as i64)),
        "in_flight" => Ok(Value::int(cell.n_in_flight.load(Relaxed) as i64)),
        "queued" => Ok(Value::int(cell.inbox.len() as i64)),
        "mean_ms" => Ok(Value::float(latency.mean_ms)),
        "p50_ms" => Ok(Value::float(latency.p50_ms)),
        "p95_ms" => Ok(Value::float(latency.p95_ms)),
        "p99_ms" => Ok(Value::float(latency.p99_ms)),
        "throughput_per_s" => Ok(Value::float(stats.throughput(n_requests, now))),
        "batches" => Ok(Value::int(rare.n_batches as i64)),
        "mean_batch_size" => Ok(Value::float(rare.mean_batch_size())),
        "tensor_bytes" => Ok(Value::int(tensor_bytes as i64)),
        "restarts" => Ok(Value::int(rare.n_restarts as i64)),
        other => Err(Fault::internal(format!("ModelStats has no `{other}` here"))),
    });
    let values = values.collect::<Result<Vec<_>, _>>()?;
    cx.return_fields(values)
}

// --- messages --------------------------------------------------------------------------------------------------------

/// What one ask brings and gets.
struct Io {
    /// `None`: the handler does not take exactly one argument.
    input: Option<&'static TypeInfo>,
    output: &'static TypeInfo,
}

impl Io {
    fn of(cx: &NativeCx<'_>, handler: &HandlerDesc) -> Io {
        let types = cx.task.program().code.types;
        let (message, ret) = (types.get(handler.message), types.get(handler.ret));
        let input = only_field(message);
        if handler.batch.is_none() {
            return Io { input, output: ret };
        }
        let as_vec = handler.batch.as_ref().is_some_and(|batch| batch.as_vec);
        let inner = |info: &'static TypeInfo| match info.desc {
            TypeDesc::Vec(_) => Some(info.elem()),
            _ => None,
        };
        match (as_vec, input.and_then(inner), inner(ret)) {
            (true, input, output) => Io { input, output: output.unwrap_or(ret) },
            (false, ..) => Io { input, output: ret },
        }
    }
}

/// The handler with the number the program gives, when it exists.
#[inline(always)]
fn handler_of(cx: &NativeCx<'_>, cell: &ActorCell) -> Result<(u32, &'static HandlerDesc), Fault> {
    let number = cx.int(1);
    let handler = usize::try_from(number).ok().and_then(|i| cell.desc().handlers.get(i));
    match handler {
        Some(handler) => Ok((number as u32, handler)),
        None => Err(no_handler(cell, number)),
    }
}

#[cold]
fn no_handler(cell: &ActorCell, number: i64) -> Fault {
    Fault::internal(format!("actor {} has no handler {number}", cell.name()))
}

/// A message's parts but its reply.
struct Checked {
    handler: u32,
    message: Parcel,
    extra: Option<Box<Extra>>,
}

impl Checked {
    #[inline]
    fn with_reply(self, reply: Reply) -> Envelope {
        let Checked { handler, message, extra } = self;
        Envelope { handler, message, reply, extra }
    }
}

/// The message in argument 2, checked against what the handler takes. Inlined: its parts go to their places once, and are not
/// moved while they are on their way there.
#[inline(always)]
fn message(
    cx: &mut NativeCx<'_>,
    deadline: Option<Instant>,
    stamp: impl FnOnce(&NativeCx<'_>) -> Option<Instant>,
) -> Result<Checked, Fault> {
    let cell = actor(cx);
    let (number, handler) = handler_of(cx, cell)?;
    let arguments = cx.task.program().code.types.get(handler.message);
    let given = cx.arg(2);
    let only = only_field(arguments);
    let fits = match &handler.batch {
        Some(batch) if batch.as_vec => Io::of(cx, handler).input.is_some_and(|input| input.same_as(given.info())),
        _ => only.unwrap_or(arguments).same_as(given.info()),
    };
    if !fits {
        return Err(misfit(cx, handler));
    }
    let is_lent =
        if only.is_some() { given.is_hole() } else { (0..given.n_fields()).any(|i| given.field(i).is_hole()) };
    if is_lent {
        return Err(Fault::value("the value is lent elsewhere"));
    }
    let rows = match &handler.batch {
        Some(batch) => batch::rows_of(batch, given)?,
        None => None,
    };
    // How long a batch may gather counts from when its first message was sent.
    let sent = if handler.batch.is_some() { Some(cell.now()) } else { stamp(cx) };
    let message = match Parcel::scalar(cx.arg(2)) {
        Some(message) => message,
        None => pack(cx.take(2))?,
    };
    Ok(Checked { handler: number, message, extra: Extra::boxed(sent, deadline, rows) })
}

/// When a message that goes to the actor by itself is sent, if it is one whose latency is measured.
#[inline]
fn stamp(cx: &NativeCx<'_>) -> Option<Instant> {
    actor(cx).stamp()
}

/// The type of a handler's only argument, which is sent as it is; none or several are sent as a tuple.
#[inline]
fn only_field(arguments: &'static TypeInfo) -> Option<&'static TypeInfo> {
    (arguments.layout(0).types.len() == 1).then(|| arguments.field(0, 0))
}

#[cold]
fn misfit(cx: &NativeCx<'_>, handler: &HandlerDesc) -> Fault {
    let (given, name) = (cx.arg(2).info().name(), &handler.name);
    Fault::internal(format!("`{name}` of actor {} does not take {given}", actor(cx).name()))
}

/// The timeout of an ask that has none. Any other below zero is one that is over.
const NO_TIMEOUT: i64 = i64::MIN;

/// When an ask with the timeout in argument `arg` is given up: no later than the ask that the asking handler works on.
fn deadline(cx: &NativeCx<'_>, cell: &ActorCell, arg: usize) -> Option<Instant> {
    let timeout = cx.int(arg);
    let own = (timeout != NO_TIMEOUT).then(|| cell.now() + Duration::from_nanos(timeout.max(0) as u64));
    match (own, cx.task.deadline) {
        (Some(own), Some(outer)) => Some(own.min(outer)),
        (own, outer) => own.or(outer),
    }
}

/// A sender that waits for room in a mailbox; the message is in the mailbox's hands.
struct Room {
    cell: Arc<ActorCell>,
    me: Me,
    ticket: u64,
    /// The mailbox has ended the wait and knows nothing of it any more.
    ended: bool,
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.me.point().close(self.ticket);
        self.cell.inbox.forget(&self.me);
    }
}

enum Sent {
    Done,
    Waits(Room),
}

/// Puts a message into a mailbox.
///
/// # Errors
/// `OverloadedError` when the mailbox is full and refuses.
#[inline]
fn post(cx: &NativeCx<'_>, cell: &Arc<ActorCell>, envelope: Envelope) -> Result<Sent, Fault> {
    let mut waiting = None;
    if let Some(sent) = envelope.sent() {
        crate::observe::sent(cx.task, cell.id(), sent);
    }
    match cell.inbox.push(envelope, || {
        let Some(me) = cx.task.me().map(Me) else { unreachable!("where there are actors there is a scheduler") };
        let entry = Entry { ticket: me.point().open(), task: me.clone(), arm: 0 };
        waiting = Some((me, entry.ticket));
        entry
    }) {
        Push::Wake => cell.wake(),
        Push::Queued => {}
        Push::Displaced(oldest) => oldest.fail(cell, overloaded(cell, "a newer message took the place of this one")),
        Push::Waits => {
            let Some((me, ticket)) = waiting else { unreachable!("a push that waits has made an entry") };
            return Ok(Sent::Waits(Room { cell: cell.clone(), me, ticket, ended: false }));
        }
        Push::Refused(envelope) => {
            let fault = overloaded(cell, "the message was refused");
            crate::observe::dropped(cell.id(), envelope.sent(), || fault.message().to_string());
            return Err(fault);
        }
        Push::Closed(envelope) => envelope.fail(cell, cell.gone()),
    }
    Ok(Sent::Done)
}

#[cold]
fn overloaded(cell: &ActorCell, what: &str) -> Fault {
    Fault::new(FaultKind::OverloadedError, format!("the mailbox of actor {} is full: {what}", cell.name()))
}

/// After a wake-up: whether the wait for room is over. The actor may have ended meanwhile; an ask has failed then.
fn has_room(room: &mut Room) -> bool {
    room.ended |= matches!(room.me.point().take(room.ticket), Some((_, Fired::Sent | Fired::Closed)));
    room.ended
}

fn actor_send(cx: &mut NativeCx<'_>) -> NativeResult {
    let mut room = match cx.resumed::<Room>() {
        Some(room) => room,
        None => {
            if outbox::gathers_for(actor(cx)) {
                let Checked { handler, message, extra } = message(cx, None, |_| outbox::stamp())?;
                outbox::push(handler, message, extra);
                return cx.return_unit();
            }
            let envelope = message(cx, None, stamp)?.with_reply(Reply::Nowhere);
            match post(cx, actor(cx), envelope)? {
                Sent::Done => return cx.return_unit(),
                Sent::Waits(room) => room,
            }
        }
    };
    if has_room(&mut room) {
        return cx.return_unit();
    }
    cx.suspend(WaitReason::MailboxRoom, room.cell.id(), room)
}

/// An ask that waits for room.
struct Asking {
    promise: Arc<Answer>,
    room: Room,
}

/// An ask that is in the mailbox, or waits for room there.
type Asked = Result<Arc<Answer>, Asking>;

/// Puts the ask in `envelope` into the mailbox.
fn ask(cx: &NativeCx<'_>, envelope: Envelope, deadline: Option<Instant>) -> Result<Asked, Fault> {
    let promise = Answer::ask(actor(cx), deadline);
    let envelope = Envelope { reply: Reply::Ask(promise.clone()), ..envelope };
    match post(cx, actor(cx), envelope) {
        Ok(Sent::Done) => Ok(Ok(promise)),
        Ok(Sent::Waits(room)) => Ok(Err(Asking { promise, room })),
        Err(fault) => {
            // Ends the keeper of its deadline.
            promise.cancel();
            Err(fault)
        }
    }
}

impl Asking {
    /// After a wake-up.
    fn go_on(mut self) -> Asked {
        if has_room(&mut self.room) || self.promise.cell.is_done() { Ok(self.promise.clone()) } else { Err(self) }
    }

    fn suspend(self, cx: &mut NativeCx<'_>) -> NativeResult {
        cx.suspend(WaitReason::MailboxRoom, self.room.cell.id(), self)
    }
}

/// Whether the handler answers with `output`.
#[inline]
fn check_output(cx: &NativeCx<'_>, output: &'static TypeInfo) -> Result<(), Fault> {
    let (_, handler) = handler_of(cx, actor(cx))?;
    if Io::of(cx, handler).output.same_as(output) {
        return Ok(());
    }
    Err(Fault::internal(format!("`{}` answers with another type", handler.name)))
}

fn actor_ask(cx: &mut NativeCx<'_>) -> NativeResult {
    let asked = match cx.resumed::<Asking>() {
        Some(asking) => asking.go_on(),
        None => {
            check_output(cx, cx.ret_type().opaque_arg(0))?;
            let deadline = deadline(cx, actor(cx), 3);
            match message(cx, deadline, stamp) {
                Ok(message) => ask(cx, message.with_reply(Reply::Nowhere), deadline)?,
                // A message of a wrong shape fails its future alone.
                Err(fault) if fault.kind() == Some(FaultKind::ShapeError) => {
                    let promise = Answer::ask(actor(cx), None);
                    promise.fail(fault);
                    Ok(promise)
                }
                Err(fault) => return Err(fault),
            }
        }
    };
    match asked {
        Ok(promise) => cx.return_opaque(FutureObj::of_answer(promise)),
        Err(asking) => asking.suspend(cx),
    }
}

/// Asks and waits for the answer. Nobody else holds the future, so mostly there is none: an actor that has nothing to do
/// answers within this turn.
fn actor_call(cx: &mut NativeCx<'_>) -> NativeResult {
    if let Some(wait) = cx.resumed::<AwaitOne>() {
        return wait.go_on(cx);
    }
    let asked = match cx.resumed::<Asking>() {
        Some(asking) => asking.go_on(),
        None => {
            check_output(cx, cx.ret_type())?;
            let deadline = deadline(cx, actor(cx), 3);
            let mut envelope = Some(message(cx, deadline, stamp)?.with_reply(Reply::Caller));
            let is_late = |cx: &NativeCx<'_>| deadline.is_some_and(|deadline| deadline <= actor(cx).now());
            // An actor that waits for another is an edge between the two.
            let called = match &cx.task.actor {
                None if !is_late(cx) => cx.task.call_actor(actor(cx), &mut envelope),
                _ => None,
            };
            match called {
                // However short the turn was, the answer may be too late.
                Some(Called::Answer(_)) if is_late(cx) => return Err(late(actor(cx))),
                Some(Called::Answer(answer)) => return cx.return_value(answer),
                Some(Called::Promised(promise)) => {
                    if let Some(deadline) = deadline {
                        promise.keep(deadline);
                    }
                    Ok(promise)
                }
                None => match envelope {
                    Some(envelope) => ask(cx, envelope, deadline)?,
                    None => return Err(Fault::internal("an actor took a message and had no turn")),
                },
            }
        }
    };
    match asked {
        Ok(promise) => {
            let future = FutureObj::of_answer(promise.clone());
            await_one(cx, PromiseRef::Answer(promise), Some(future))
        }
        Err(asking) => asking.suspend(cx),
    }
}

/// A `batch_ask` on its way into the mailbox.
struct BatchAsking {
    promise: Arc<Answer>,
    left: VecDeque<Envelope>,
    cell: Arc<ActorCell>,
    room: Option<Room>,
}

fn actor_batch_ask(cx: &mut NativeCx<'_>) -> NativeResult {
    let mut asking = match cx.resumed::<BatchAsking>() {
        Some(asking) => asking,
        None => match begin_batch(cx)? {
            Some(asking) => asking,
            None => {
                // Nothing to ask: the answer is there.
                let promise = Answer::ask(&actor(cx).clone(), None);
                let empty = Value::vec(cx.ret_type().opaque_arg(0), []);
                promise.finish(Ok(pack(empty)?));
                return cx.return_opaque(FutureObj::of_answer(promise));
            }
        },
    };
    if asking.room.as_mut().is_some_and(has_room) {
        asking.room = None;
    }
    // One that failed (an item was refused, the actor ended, the time is over) needs no more messages.
    while asking.room.is_none() && !asking.promise.cell.is_done() {
        let Some(envelope) = asking.left.pop_front() else { break };
        let cell = asking.cell.clone();
        match post(cx, &cell, envelope) {
            Ok(Sent::Done) => {}
            Ok(Sent::Waits(room)) => asking.room = Some(room),
            Err(fault) => {
                asking.promise.cancel();
                return Err(fault);
            }
        }
    }
    if asking.room.is_some() && !asking.promise.cell.is_done() {
        return cx.suspend(WaitReason::MailboxRoom, asking.cell.id(), asking);
    }
    cx.return_opaque(FutureObj::of_answer(asking.promise))
}

/// One message for each input; `None` when there are none.
fn begin_batch(cx: &mut NativeCx<'_>) -> Result<Option<BatchAsking>, Fault> {
    let cell = actor(cx).clone();
    let (number, handler) = handler_of(cx, &cell)?;
    let (io, list) = (Io::of(cx, handler), cx.ret_type().opaque_arg(0));
    let inputs: Vec<Value> = cx.vec(2).iter().map(|input| input.to_owned()).collect();
    let fits = io.input.is_some_and(|input| input.same_as(cx.vec(2).elem()))
        && matches!(list.desc, TypeDesc::Vec(_))
        && io.output.same_as(list.elem());
    if !fits {
        return Err(Fault::internal(format!("`{}` takes and gives other types", handler.name)));
    }
    if inputs.is_empty() {
        return Ok(None);
    }
    if inputs.iter().any(|input| input.as_ref().is_hole()) {
        return Err(Fault::value("the value is lent elsewhere"));
    }
    // The inputs move into their messages.
    drop(cx.take(2));
    let (deadline, sent) = (deadline(cx, &cell, 3), Some(cell.now()));
    let promise = Answer::ask(&cell, deadline);
    let all = Arc::new(BatchAnswer::new(promise.clone(), list, inputs.len()));
    let mut left = VecDeque::with_capacity(inputs.len());
    for (i, input) in (0u32..).zip(inputs) {
        let rows = match &handler.batch {
            Some(batch) => match batch::rows_of(batch, input.as_ref()) {
                Ok(rows) => rows,
                Err(fault) => {
                    promise.fail(fault);
                    left.clear();
                    break;
                }
            },
            None => None,
        };
        let message = pack(input)?;
        let extra = Extra::boxed(sent, deadline, rows);
        left.push_back(Envelope { handler: number, message, reply: Reply::Item(all.clone(), i), extra });
    }
    Ok(Some(BatchAsking { promise, left, cell, room: None }))
}

const _: () = assert!(size_of::<Parcel>() <= 24);
