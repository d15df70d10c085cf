//! What others may reach of an actor: its mailbox, its controls, its statistics; references, messages and answers.

use super::inbox::{Inbox, Overflow, Ready};
use super::supervisor::Supervisor;
use crate::conc::promise::Answer;
use crate::conc::stats::{ActorStats, RareStats};
use crate::conc::tasks::Me;
use crate::fault::{Fault, FaultKind};
use crate::heap::meter::Outside;
use crate::heap::{Opaque, Parcel};
use crate::observe;
use crate::program::Program;
use crate::task::TaskBody;
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use stark_bytecode::{ActorDesc, TypeDesc};
use stark_scheduler::TaskRef;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// End at once.
const KILL: u8 = 1;
/// Begin again from the first state, by the supervisor's order.
const RESTART: u8 = 2;
/// Fail, as a supervisor of its own has given up.
const FAIL: u8 = 4;

/// The latencies of so many messages of an actor are all measured, so that those that get few have exact figures,
const MEASURED_FIRST: u32 = 64;
/// then those of every so manyth. A prime: messages that come in rounds fall in step with nothing.
const MEASURED_EVERY: u32 = 17;
/// Of those that a sender gathers, since they are many.
pub(super) const MEASURED_OF_GATHERED: u32 = 61;

fn now(program: &Program) -> Instant {
    program.scheduler().map_or_else(Instant::now, |scheduler| scheduler.now())
}

fn since_start(program: &Program) -> Duration {
    program.scheduler().map_or(Duration::ZERO, |scheduler| scheduler.since_start())
}

/// One actor, as everybody but itself sees it.
///
/// What senders write with each message lies at one end, what its own worker writes at the other: with both in one cache line
/// each would wait for the other's core.
#[repr(C)]
pub(crate) struct ActorCell {
    pub(super) inbox: Inbox<Envelope, Me, Parcel>,
    /// Counts messages to it, roughly, for which of them are measured.
    n_sent: AtomicU32,
    control: AtomicU8,
    task: OnceLock<TaskRef<TaskBody>>,
    id: u64,
    pub(super) info: &'static TypeInfo,
    program: &'static Program,
    /// Under its lock nothing is called that may come back here: no promise is finished, no value dropped, nobody woken.
    record: Mutex<Record>,
    /// Messages worked on. Beside the other figures, so that counting one needs no lock; written by its own worker alone.
    n_requests: AtomicU64,
    /// Messages being worked on.
    pub(super) n_in_flight: AtomicU32,
    _outside: Outside<224>,
}

/// What is known of an actor's life. One lock for all of it: a million actors may be parked.
struct Record {
    stats: ActorStats,
    /// What most actors do without.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Empty: the actor is called after its type and its number.
    name: Box<str>,
    supervisor: Option<(Arc<Supervisor>, usize)>,
    stats: RareStats,
    end: End,
}

/// How an actor ended, for those who watch it.
#[derive(Default)]
struct End {
    reason: Option<Ended>,
    /// The last hook has run.
    announced: bool,
    monitors: Vec<(Arc<Answer>, &'static TypeInfo)>,
    /// Those that it made, and why one of them has given up.
    supervisors: Vec<Weak<Supervisor>>,
    given_up: Option<Parcel>,
}

/// The library's `ExitReason`.
pub(super) enum Ended {
    Stopped,
    Killed,
    /// With the error, and what it says.
    Failed(Parcel, Box<str>),
}

impl Ended {
    /// By an error that says `text`.
    pub fn by(error: Value, text: &str) -> Ended {
        Parcel::pack(error).map_or(Ended::Stopped, |error| Ended::Failed(error, text.into()))
    }
}

/// A message in a mailbox.
pub(crate) struct Envelope {
    pub handler: u32,
    /// The handler's only argument, or the tuple of none or several.
    pub message: Parcel,
    pub reply: Reply,
    /// What most messages do without.
    pub extra: Option<Box<Extra>>,
}

/// What only some messages carry.
#[derive(Default)]
pub(crate) struct Extra {
    /// When it was sent, if it is one of those whose latency is measured.
    pub sent: Option<Instant>,
    /// When its ask is given up.
    pub deadline: Option<Instant>,
    /// For a handler that joins tensors.
    pub rows: Option<Box<Rows>>,
}

// A mailbox is written by one core and read by another: a message is no longer than a cache line.
const _: () = assert!(size_of::<Envelope>() <= 64);

impl Extra {
    #[inline]
    pub fn boxed(sent: Option<Instant>, deadline: Option<Instant>, rows: Option<Box<Rows>>) -> Option<Box<Extra>> {
        let is_needed = sent.is_some() || deadline.is_some() || rows.is_some();
        is_needed.then(|| Box::new(Extra { sent, deadline, rows }))
    }
}

impl Envelope {
    /// Nobody waits for an answer, and nothing about it is measured.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        matches!(self.reply, Reply::Nowhere) && self.extra.is_none()
    }

    /// Whether anybody still waits for the answer, or none was asked for, and the time for it is not over. If not, it is not
    /// worked on.
    #[inline]
    pub fn is_wanted(&self, cell: &ActorCell) -> bool {
        // Its alarm fails the ask; which of the two comes first shall not be seen. A caller has looked at the clock just now.
        let is_late = || self.deadline().is_some_and(|deadline| deadline <= cell.now());
        let is_wanted = self.reply.is_wanted() && (matches!(self.reply, Reply::Caller) || !is_late());
        if !is_wanted {
            observe::dropped(cell.id, self.sent(), || "nobody waits for the answer any more".to_string());
        }
        is_wanted
    }

    /// It will not be worked on.
    pub fn fail(self, cell: &ActorCell, fault: Fault) {
        observe::dropped(cell.id, self.sent(), || fault.message().to_string());
        self.reply.fail(fault);
    }

    #[inline]
    pub fn sent(&self) -> Option<Instant> {
        self.extra.as_ref()?.sent
    }

    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        self.extra.as_ref()?.deadline
    }

    /// Whether somebody asked for an answer.
    pub fn is_asked(&self) -> bool {
        !matches!(self.reply, Reply::Nowhere)
    }

    pub fn rows(&self) -> Option<&Rows> {
        self.extra.as_ref()?.rows.as_deref()
    }
}

/// How a tensor takes part in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// How many rows; `None`: the whole tensor is one row, and the answer has no row axis either.
    pub n: Option<usize>,
    /// The shape of one row.
    pub shape: Box<[usize]>,
}

/// Where an answer goes.
#[derive(Clone)]
pub(crate) enum Reply {
    Nowhere,
    Ask(Arc<Answer>),
    /// To the task whose turn the actor's turn is part of: the actor's body keeps the answer for it.
    Caller,
    /// Number `.1` of a `batch_ask`.
    Item(Arc<BatchAnswer>, u32),
}

/// The answers of a `batch_ask`, until all are there.
pub(crate) struct BatchAnswer {
    promise: Arc<Answer>,
    /// `Vec<O>`
    list: &'static TypeInfo,
    answers: Mutex<(usize, Vec<Option<Parcel>>)>,
}

impl BatchAnswer {
    /// `n` is at least 1.
    pub fn new(promise: Arc<Answer>, list: &'static TypeInfo, n: usize) -> BatchAnswer {
        BatchAnswer { promise, list, answers: Mutex::new((n, (0..n).map(|_| None).collect())) }
    }

    fn put(&self, i: usize, answer: Parcel) {
        let mut answers = self.answers.lock();
        answers.1[i] = Some(answer);
        answers.0 -= 1;
        if answers.0 == 0 {
            let items = std::mem::take(&mut answers.1);
            drop(answers);
            let list = Value::vec(self.list, items.into_iter().flatten().map(Parcel::unpack));
            match Parcel::pack(list) {
                Ok(list) => self.promise.finish(Ok(list)),
                Err(_) => self.promise.fail(refused()),
            }
        }
    }
}

impl Reply {
    /// Whether somebody still waits for the answer; a message nobody waits for is not worked on.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        match self {
            Reply::Nowhere | Reply::Caller => true,
            Reply::Ask(promise) => !promise.cell.is_done(),
            Reply::Item(all, _) => !all.promise.cell.is_done(),
        }
    }

    /// What it is answered through.
    pub fn promise(&self) -> Option<&Arc<Answer>> {
        match self {
            Reply::Nowhere | Reply::Caller => None,
            Reply::Ask(promise) => Some(promise),
            Reply::Item(all, _) => Some(&all.promise),
        }
    }

    /// The current heap pays for packing.
    #[inline]
    pub fn answer(&self, value: Value) {
        if matches!(self, Reply::Nowhere | Reply::Caller) {
            return;
        }
        match (self, Parcel::pack(value)) {
            (Reply::Nowhere | Reply::Caller, _) => {}
            (Reply::Item(all, i), Ok(parcel)) => all.put(*i as usize, parcel),
            (Reply::Ask(promise), Ok(parcel)) => promise.finish(Ok(parcel)),
            (_, Err(_)) => self.fail(refused()),
        }
    }

    pub fn fail(&self, fault: Fault) {
        match self {
            Reply::Nowhere | Reply::Caller => {}
            Reply::Ask(promise) => promise.fail(fault),
            Reply::Item(all, _) => all.promise.fail(fault),
        }
    }
}

pub(super) fn refused() -> Fault {
    Fault::value("the answer holds a value that cannot be copied and is still held by the actor")
}

pub(super) struct Config {
    pub name: String,
    pub capacity: usize,
    pub overflow: Overflow,
    pub supervisor: Option<(Arc<Supervisor>, usize)>,
}

impl ActorCell {
    pub(super) fn new(program: &'static Program, info: &'static TypeInfo, config: Config) -> Arc<ActorCell> {
        let id = program.next_actor.fetch_add(1, Relaxed);
        let rare = (!config.name.is_empty() || config.supervisor.is_some()).then(|| {
            let (name, supervisor) = (config.name.into_boxed_str(), config.supervisor);
            Box::new(Rare { name, supervisor, ..Rare::default() })
        });
        let stats = ActorStats::new(since_start(program));
        Arc::new(ActorCell {
            id,
            info,
            program,
            inbox: Inbox::new(config.capacity, config.overflow),
            control: AtomicU8::new(0),
            task: OnceLock::new(),
            record: Mutex::new(Record { stats, rare }),
            n_requests: AtomicU64::new(0),
            n_sent: AtomicU32::new(0),
            n_in_flight: AtomicU32::new(0),
            _outside: Outside::default(),
        })
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn supervisor(&self) -> Option<(Arc<Supervisor>, usize)> {
        self.record.lock().rare.as_ref()?.supervisor.clone()
    }

    pub fn name(&self) -> String {
        match &self.record.lock().rare {
            Some(rare) if !rare.name.is_empty() => rare.name.to_string(),
            _ => format!("{}#{}", self.info.name(), self.id),
        }
    }

    pub fn program(&self) -> &'static Program {
        self.program
    }

    pub(super) fn now(&self) -> Instant {
        now(self.program)
    }

    /// When a message that is sent now is sent, if it is one whose latency is measured: reading the clock twice costs as much
    /// as half of the message.
    #[inline]
    pub(super) fn stamp(&self) -> Option<Instant> {
        // Senders at the same time may count as one: a sample needs no more.
        let n = self.n_sent.load(Relaxed);
        self.n_sent.store(n.wrapping_add(1), Relaxed);
        (n < MEASURED_FIRST || n.is_multiple_of(MEASURED_EVERY) || observe::follows_messages()).then(|| self.now())
    }

    /// A message was worked on; `latency` is the time since it was sent, if it is measured.
    #[inline]
    pub(super) fn count(&self, latency: Option<Duration>, failed: bool) {
        self.n_requests.store(self.n_requests.load(Relaxed) + 1, Relaxed);
        if latency.is_some() || failed {
            self.count_rarely(latency, failed);
        }
    }

    #[inline(never)]
    fn count_rarely(&self, latency: Option<Duration>, failed: bool) {
        let mut record = self.record.lock();
        if failed {
            record.rare_mut().stats.n_errors += 1;
        }
        if let Some(latency) = latency {
            record.stats.count(latency);
        }
    }

    pub(super) fn count_batch(&self, n_messages: usize) {
        self.record.lock().rare_mut().stats.count_batch(n_messages);
    }

    pub(super) fn count_restart(&self) {
        self.record.lock().rare_mut().stats.n_restarts += 1;
    }

    pub(super) fn stats(&self) -> (ActorStats, RareStats) {
        let record = self.record.lock();
        (record.stats.clone(), record.rare_stats())
    }

    /// How it ended and who watches it; `None`: nobody does, nothing has ended it, and it has no supervisors.
    fn end(&self) -> Option<MappedMutexGuard<'_, End>> {
        MutexGuard::try_map(self.record.lock(), |record| record.rare.as_mut().map(|rare| &mut rare.end)).ok()
    }

    fn end_mut(&self) -> MappedMutexGuard<'_, End> {
        MutexGuard::map(self.record.lock(), |record| &mut record.rare_mut().end)
    }

    /// How long the program has run, for its statistics.
    pub(super) fn since_start(&self) -> Duration {
        since_start(self.program)
    }

    /// Messages worked on since it was begun.
    pub(super) fn n_requests(&self) -> u64 {
        self.n_requests.load(Relaxed)
    }

    #[inline]
    pub(super) fn desc(&self) -> &'static ActorDesc {
        match &self.info.desc {
            TypeDesc::Actor(desc) => desc,
            other => panic!("{other:?} is not an actor's state"),
        }
    }

    /// The task that runs it; set by whichever of spawner and first turn is first.
    pub(super) fn set_task(&self, task: &TaskRef<TaskBody>) {
        let _ = self.task.set(task.clone());
    }

    pub(super) fn wake(&self) {
        // Without a task it has not had its first turn, which will look at everything.
        if let Some(task) = self.task.get() {
            task.wake();
        }
    }

    /// Its task, when it has had a turn or is about to.
    pub(crate) fn task(&self) -> Option<&TaskRef<TaskBody>> {
        self.task.get()
    }

    /// The address of its task.
    pub(crate) fn task_addr(&self) -> Option<usize> {
        self.task.get().map(TaskRef::addr)
    }

    /// Ends it when its mailbox is worked off.
    pub(crate) fn stop(&self) {
        if self.inbox.stop() {
            self.wake();
        }
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        self.control.fetch_or(KILL, AcqRel);
        self.wake();
    }

    pub(super) fn restart(&self) {
        self.control.fetch_or(RESTART, AcqRel);
        self.wake();
    }

    /// Whether it is to end or to begin again.
    #[inline]
    pub(super) fn has_orders(&self) -> bool {
        self.control.load(Acquire) != 0
    }

    #[inline]
    pub(crate) fn is_killed(&self) -> bool {
        self.control.load(Acquire) & KILL != 0
    }

    /// Whether a restart was ordered since the last look.
    #[inline]
    pub(super) fn take_restart(&self) -> bool {
        self.control.load(Acquire) & RESTART != 0 && self.control.fetch_and(!RESTART, AcqRel) & RESTART != 0
    }

    /// It made a supervisor.
    pub(super) fn has_supervisor(&self, supervisor: &Arc<Supervisor>) {
        let supervisors = &mut self.end_mut().supervisors;
        // Looked through once for as many new ones as there are.
        if supervisors.len() == supervisors.capacity() {
            supervisors.retain(|one| one.strong_count() > 0);
            supervisors.reserve(supervisors.len() + 1);
        }
        supervisors.push(Arc::downgrade(supervisor));
    }

    /// A supervisor that it made has given up: it is to fail. `false`: it has ended already, or has begun again without that one.
    pub(super) fn fail(&self, supervisor: &Arc<Supervisor>, error: Parcel) -> bool {
        let Some(mut end) = self.end() else { return false };
        let is_there = end.supervisors.iter().any(|one| std::ptr::eq(one.as_ptr(), Arc::as_ptr(supervisor)));
        let fails = is_there && end.reason.is_none();
        let mut error = Some(error);
        if fails && end.given_up.is_none() {
            end.given_up = error.take();
        }
        drop(end);
        if fails {
            self.control.fetch_or(FAIL, AcqRel);
            self.wake();
        }
        fails
    }

    /// Why it is to fail, if that was ordered since the last look.
    pub(super) fn take_failure(&self) -> Option<Parcel> {
        if self.control.load(Acquire) & FAIL == 0 || self.control.fetch_and(!FAIL, AcqRel) & FAIL == 0 {
            return None;
        }
        self.end()?.given_up.take()
    }

    /// Its life is over: ends the children of the supervisors that it made, at once unless it has stopped by itself.
    pub(super) fn end_children(&self) {
        let Some(mut end) = self.end() else { return };
        let supervisors = std::mem::take(&mut end.supervisors);
        let given_up = end.given_up.take();
        let has_stopped = matches!(end.reason, Some(Ended::Stopped));
        drop(end);
        drop(given_up);
        for supervisor in supervisors.iter().filter_map(Weak::upgrade) {
            if has_stopped { supervisor.stop() } else { supervisor.kill() }
        }
    }

    /// Bytes of the tensors in its state. Of an actor that is running, what they were when it was last looked at.
    pub(crate) fn tensor_bytes(&self) -> u64 {
        let now = self.task.get().and_then(|task| task.inspect(|body| body.tensor_bytes())).flatten();
        let mut record = self.record.lock();
        if let Some(bytes) = now.filter(|bytes| *bytes != record.rare_stats().tensor_bytes) {
            record.rare_mut().stats.tensor_bytes = bytes;
        }
        record.rare_stats().tensor_bytes
    }

    /// Messages in its mailbox.
    pub(crate) fn n_queued(&self) -> usize {
        self.inbox.len()
    }

    /// What it did since it was begun, for a profile.
    pub(crate) fn figures(&self) -> stark_profile::model::Actor {
        let tensor_bytes = self.tensor_bytes();
        let (stats, rare) = self.stats();
        let latency = stats.latency();
        stark_profile::model::Actor {
            id: self.id,
            name: self.name(),
            requests: self.n_requests(),
            errors: rare.n_errors,
            restarts: rare.n_restarts,
            queued: self.inbox.len() as u64,
            batches: rare.n_batches,
            mean_batch_size: rare.mean_batch_size(),
            mean_ms: latency.mean_ms,
            p50_ms: latency.p50_ms,
            p95_ms: latency.p95_ms,
            p99_ms: latency.p99_ms,
            tensor_bytes,
        }
    }

    /// Why a message to it fails once it has ended.
    pub(super) fn gone(&self) -> Fault {
        let name = self.name();
        let mut end = self.end();
        let (how, text, cause) = match end.as_mut().and_then(|end| end.reason.as_mut()) {
            Some(Ended::Failed(error, text)) => ("has failed: ", &**text, error.copy()),
            Some(Ended::Killed) => ("was killed", "", None),
            Some(Ended::Stopped) => ("has stopped", "", None),
            None => ("is stopping", "", None),
        };
        let message = format!("actor {name} {how}{text}");
        match cause {
            Some(cause) => Fault::with_fields(FaultKind::ActorError, message, vec![cause.clone()]).caused_by(&cause),
            None => self.refusal(&message),
        }
    }

    /// A message was given up for another reason than an error.
    pub(super) fn refusal(&self, text: &str) -> Fault {
        let cause = self.program.code.error_value(Fault::new(FaultKind::CancelledError, text));
        Fault::with_fields(FaultKind::ActorError, text, vec![cause])
    }

    /// Fails the ask of a handler that threw `error`.
    pub(super) fn failed(&self, error: &Value, text: &str) -> Fault {
        let message = format!("actor {} failed: {text}", self.name());
        Fault::with_fields(FaultKind::ActorError, message, vec![error.clone()]).caused_by(error)
    }

    /// A future that is told how the actor ends. `reason` is the library's `ExitReason`.
    pub(super) fn monitor(&self, promise: &Arc<Answer>, reason: &'static TypeInfo) {
        let ended = match &mut *self.end_mut() {
            End { announced: true, reason: Some(ended), .. } => exit_reason(reason, ended),
            end => return add_monitor(&mut end.monitors, promise, reason),
        };
        tell(promise, ended);
    }

    /// Nothing more is taken, what waits fails, the name is free. The first reason counts.
    pub(super) fn close(&self, reason: Ended, ready: Ready<Envelope>) {
        let mut reason = Some(reason);
        {
            let mut end = self.end_mut();
            if end.reason.is_none() {
                end.reason = reason.take();
            }
        }
        drop(reason);
        for envelope in self.inbox.close(ready) {
            envelope.fail(self, self.gone());
        }
        let given = self.record.lock().rare.as_ref().map(|rare| rare.name.clone());
        if let Some(name) = given.filter(|name| !name.is_empty()) {
            let mut names = self.program.actors.lock();
            // Only its own entry: after it has ended the name may be another's.
            if names.get(&*name).is_some_and(|cell| std::ptr::eq(cell.as_ptr(), self)) {
                names.remove(&*name);
            }
        }
        if let Some((supervisor, child)) = self.supervisor() {
            supervisor.forget(child);
        }
    }

    /// Tells those who watch, when the last hook has run.
    pub(super) fn announce(&self) {
        let mut end = self.end_mut();
        end.announced = true;
        let monitors = std::mem::take(&mut end.monitors);
        let Some(reason) = &mut end.reason else { return };
        let told: Vec<_> = monitors.into_iter().map(|(promise, info)| (promise, exit_reason(info, reason))).collect();
        drop(end);
        told.into_iter().for_each(|(promise, ended)| tell(&promise, ended));
    }
}

/// Whoever watches again and again, for each request say, leaves behind futures that nobody holds. They go when the list is full,
/// and it grows when that has not emptied half of it, so adding costs the same however many there are.
fn add_monitor(monitors: &mut Vec<(Arc<Answer>, &'static TypeInfo)>, promise: &Arc<Answer>, reason: &'static TypeInfo) {
    if monitors.len() == monitors.capacity() {
        monitors.retain(|(promise, _)| Arc::strong_count(promise) > 1);
        if monitors.len() > monitors.capacity() / 2 {
            monitors.reserve(monitors.capacity());
        }
    }
    monitors.push((promise.clone(), reason));
}

impl Record {
    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn rare_stats(&self) -> RareStats {
        self.rare.as_ref().map(|rare| rare.stats).unwrap_or_default()
    }
}

/// Whether `info` is an enum with the variants that `exit_reason` makes. A module declares it by itself.
pub(super) fn is_exit_reason(info: &TypeInfo) -> bool {
    let fields = |name| info.variant_named(name).map(|variant| info.layout(variant).types.as_slice());
    let is_error = |ty| matches!(&info.sibling(ty).desc, TypeDesc::Dyn { .. });
    fields("Stopped") == Some(&[])
        && fields("Killed") == Some(&[])
        && matches!(fields("Failed"), Some(&[ty]) if is_error(ty))
}

/// The library's `ExitReason`; `None` when the error cannot be copied.
fn exit_reason(info: &'static TypeInfo, ended: &mut Ended) -> Option<Value> {
    match ended {
        Ended::Stopped => Some(Value::variant_named(info, "Stopped", [])),
        Ended::Killed => Some(Value::variant_named(info, "Killed", [])),
        Ended::Failed(error, _) => Some(Value::variant_named(info, "Failed", [error.copy()?])),
    }
}

fn tell(promise: &Arc<Answer>, ended: Option<Value>) {
    if let Some(Ok(parcel)) = ended.map(Parcel::pack) {
        promise.finish(Ok(parcel));
    }
}

/// `ActorRef<A>` or `ModelActorRef<I, O>`.
#[derive(Clone)]
pub(crate) struct ActorRef(pub Arc<ActorCell>);

impl Opaque for ActorRef {
    fn type_name(&self) -> &'static str {
        "ActorRef"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn show(&self, _nested: bool, out: &mut String) {
        out.push_str("ActorRef(");
        out.push_str(&self.0.name());
        out.push(')');
    }

    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<ActorRef>().is_some_and(|other| Arc::ptr_eq(&self.0, &other.0))
    }
}
