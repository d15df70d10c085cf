//! A session: programs run one after the other that share their values, actors and tasks.
//!
//! Each entry of a session is a module of its own, which is put behind what was loaded before (`Module::append`), so that
//! types keep their numbers. All entries run in one task after each other; what they keep lies in slots of that task, in its heap, and
//! goes from entry to entry by the natives `session_take` and `session_put`. Tasks and actors that an entry starts
//! go on while the next ones run, with the code they were made of.
//!
//! An entry that fails or is interrupted leaves the slots as they were, but for unique values that it took.

use crate::fault::Fault;
use crate::interp::{Machine, TaskEnd, Turn};
use crate::load::{CodeSpace, Func, load, load_more};
use crate::natives::{NativeCx, NativeResult, NativeRow, natives};
use crate::program::{Console, Options, Program};
use crate::runtime::{Ended, StartError};
use crate::task::{TaskBody, TaskShared, WaitReason, describe};
use crate::value::Value;
use parking_lot::Mutex;
use stark_bytecode::{Module, TypeId, VerifyError, verify};
use stark_scheduler::{Config, Context, Outcome, Scheduler, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

pub(crate) const TABLE: &[NativeRow] = natives! {
    /// What an earlier entry kept in a slot; a unique value leaves it.
    session_take "<T>(Int, Bool) -> T";
    /// Keeps a value for later entries.
    session_put "<T>(Int, T) -> ()";
};

/// How often the session looks whether an entry is stuck.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why an entry was not run.
#[derive(Debug)]
pub enum EntryError {
    Verify(VerifyError),
    Start(StartError),
}

impl std::fmt::Display for EntryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EntryError::Verify(error) => error.fmt(f),
            EntryError::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EntryError {}

/// See the module's text.
pub struct Session {
    scheduler: Scheduler<TaskBody>,
    options: Options,
    /// All that was loaded, as a module and as code.
    loaded: Option<(Module, &'static CodeSpace)>,
    last: Option<&'static Program>,
    task: Option<TaskRef<TaskBody>>,
    desk: Arc<Desk>,
    ended: Receiver<Ended>,
}

/// Where the session's task finds its work.
struct Desk {
    entry: Mutex<Option<(&'static Program, &'static Func)>>,
    ended: Sender<Ended>,
    interrupted: AtomicBool,
}

/// Stops the entry that runs, from another thread.
#[derive(Clone)]
pub struct Interrupt(Arc<Desk>, Arc<Mutex<Option<TaskRef<TaskBody>>>>);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Interrupt {
    pub fn stop_entry(&self) {
        self.0.interrupted.store(true, SeqCst);
        if let Some(task) = &*self.1.lock() {
            task.wake();
        }
    }
}

impl Session {
    /// A session without entries, and the way to interrupt one.
    pub fn new(options: Options) -> Result<(Session, Interrupt), StartError> {
        crate::panics::install_hook();
        let config = Config { n_workers: options.n_workers, ..Config::default() };
        let scheduler = Scheduler::new(config).map_err(StartError::Threads)?;
        let (sender, ended) = channel();
        let desk = Arc::new(Desk { entry: Mutex::default(), ended: sender, interrupted: AtomicBool::new(false) });
        let session = Session { scheduler, options, loaded: None, last: None, task: None, desk, ended };
        let interrupt = Interrupt(session.desk.clone(), Arc::default());
        Ok((session, interrupt))
    }

    /// Runs the entry of `module`; `fresh` are its types whose declaration is new.
    pub fn run(&mut self, module: Module, fresh: &[TypeId], interrupt: &Interrupt) -> Result<Ended, EntryError> {
        let mut all = module;
        if let Some((loaded, _)) = &self.loaded {
            let mut joined = loaded.clone();
            joined.append(all, fresh);
            all = joined;
        }
        let verified = verify(all.clone()).map_err(EntryError::Verify)?;
        let code = match &self.loaded {
            Some((_, code)) => load_more(verified, code),
            None => load(verified),
        };
        let code = code.map_err(|e| EntryError::Start(StartError::Load(e)))?;
        self.loaded = Some((all, code));
        let program = match &self.last {
            Some(last) => last.successor(code, Console::process()),
            None => Program::new(code, self.options.clone(), Vec::new(), Console::process()),
        };
        let program: &'static Program = Box::leak(Box::new(program));
        let _ = program.handle.set(self.scheduler.handle());
        self.last = Some(program);
        self.desk.interrupted.store(false, SeqCst);
        *self.desk.entry.lock() = Some((program, code.funcs[code.entry.index()]));
        match &self.task {
            Some(task) => task.wake(),
            None => {
                let body = TaskBody::session(program, SessionBody::at(self.desk.clone()));
                let task = self.scheduler.handle().spawn(body, TaskShared::default());
                *interrupt.1.lock() = Some(task.clone());
                self.task = Some(task);
            }
        }
        let ended = self.wait(program, interrupt);
        program.flush();
        Ok(ended)
    }

    fn wait(&self, program: &Program, interrupt: &Interrupt) -> Ended {
        loop {
            match self.ended.recv_timeout(LOOK_EVERY) {
                Ok(ended) => return ended,
                Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
                Err(RecvTimeoutError::Timeout) => {}
            }
            program.flush();
            if self.scheduler.handle().is_stopping() {
                return Ended::Exit(program.exit_status().unwrap_or(0));
            }
            if self.scheduler.is_quiet() {
                // It may have ended just now.
                if let Ok(ended) = self.ended.try_recv() {
                    return ended;
                }
                let place = self.task.as_ref().and_then(|task| task.inspect(|body| body.place())).unwrap_or_default();
                program.eprint(&format!("error: deadlock: this waits and nothing can wake it\n{place}"));
                interrupt.stop_entry();
                // The task's next turn answers.
                let _ = self.ended.recv();
                return Ended::Deadlock;
            }
        }
    }
}

/// The task that runs the entries.
pub(crate) struct SessionBody {
    desk: Arc<Desk>,
    is_running: bool,
    /// What the entries keep; in the task's context while it runs.
    slots: Vec<Option<Value>>,
}

impl SessionBody {
    fn at(desk: Arc<Desk>) -> SessionBody {
        SessionBody { desk, is_running: false, slots: Vec::new() }
    }

    pub(crate) fn turn(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        std::mem::swap(&mut self.slots, &mut machine.task().slots);
        let outcome = self.step(machine, cx);
        std::mem::swap(&mut self.slots, &mut machine.task().slots);
        outcome
    }

    fn step(&mut self, machine: &mut Machine, cx: &Context<'_, TaskBody>) -> Outcome {
        if self.is_running && self.desk.interrupted.swap(false, SeqCst) {
            machine.abandon();
            return self.end(machine, Ended::Stopped);
        }
        if !self.is_running {
            let Some((program, func)) = self.desk.entry.lock().take() else {
                cx.wait_for(WaitReason::Mailbox, 0);
                return Outcome::Park;
            };
            machine.go_on_with(program);
            machine.start(func, []);
            self.is_running = true;
        }
        machine.task().worker = cx.worker();
        match machine.run(cx.budget(), cx.shared().interrupt()) {
            Turn::Yield => Outcome::Yield,
            Turn::Wait => {
                let (reason, detail) = machine.wait();
                cx.wait_for(reason, detail);
                Outcome::Park
            }
            Turn::Done(TaskEnd::Returned(_)) => self.end(machine, Ended::Returned),
            Turn::Done(TaskEnd::Exit(status)) => self.end(machine, Ended::Exit(status)),
            Turn::Done(TaskEnd::Failed(error)) => {
                let text = describe(machine, &error);
                machine.task().program().eprint(&text);
                self.end(machine, Ended::Failed)
            }
        }
    }

    /// After a panic outside of its code.
    pub(crate) fn fail(&mut self, machine: &mut Machine, panic: &str) -> Outcome {
        self.slots = std::mem::take(&mut machine.task().slots);
        machine.task().program().eprint(&format!("error: InternalError: {panic}\n"));
        self.end(machine, Ended::Failed)
    }

    fn end(&mut self, machine: &mut Machine, ended: Ended) -> Outcome {
        self.is_running = false;
        machine.task().program().flush();
        // The session is gone when nobody hears it.
        let _ = self.desk.ended.send(ended);
        Outcome::Park
    }
}

fn session_take(cx: &mut NativeCx<'_>) -> NativeResult {
    let (slot, is_unique) = (cx.int(0) as usize, cx.bool(1));
    let slots = &mut cx.task.slots;
    let value = slots.get_mut(slot).and_then(|slot| if is_unique { slot.take() } else { slot.clone() });
    let value = value.filter(|value| value.as_ref().info().same_as(cx.ret_type()));
    let value = value.ok_or_else(|| Fault::value("this variable has no value any more"))?;
    cx.return_value(value)
}

fn session_put(cx: &mut NativeCx<'_>) -> NativeResult {
    /// Far more variables than anybody names.
    const MAX_SLOTS: usize = 1 << 20;
    let slot = cx.int(0) as usize;
    if slot >= MAX_SLOTS {
        return Err(Fault::value(format!("a session keeps {MAX_SLOTS} variables")));
    }
    let value = cx.take(1);
    let slots = &mut cx.task.slots;
    if slots.len() <= slot {
        slots.resize_with(slot + 1, || None);
    }
    slots[slot] = Some(value);
    cx.return_unit()
}
