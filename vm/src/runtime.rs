//! Running a whole program: load it, start its entry on the scheduler, wait for every task, say how it ended.

use crate::heap::meter;
use crate::inject::Log;
use crate::interp::TaskEnd;
use crate::load::{CodeSpace, LoadError, load};
use crate::observe;
use crate::program::{Console, Options, Program};
use crate::task::{EndCall, TaskBody, TaskCx, TaskShared};
use parking_lot::Mutex;
use stark_bytecode::{FuncId, VerifiedModule};
use stark_scheduler::schedule::Taken;
use stark_scheduler::{Config, Handle, RunOutcome, Scheduler, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;

/// The exit status of a program in which every task waits on another.
pub const DEADLOCK_STATUS: i32 = 3;

/// How long a deadlock report may get, in tasks.
const MAX_REPORTED_TASKS: usize = 50;

/// Why a program could not be started.
#[derive(Debug)]
pub enum StartError {
    Load(LoadError),
    /// The function to run is not there or takes parameters.
    NoEntry,
    /// The operating system gave no threads.
    Threads(std::io::Error),
    /// It cannot be recorded.
    Record(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Load(error) => error.fmt(f),
            StartError::NoEntry => f.write_str("the function to run is not there or takes parameters"),
            StartError::Record(reason) => f.write_str(reason),
            StartError::Threads(error) => write!(f, "no worker threads: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Returned,
    /// An error nobody caught, told on the console.
    Failed,
    /// `exit(status)` was called.
    Exit(i32),
    /// Every task waited on another, told on the console.
    Deadlock,
    /// `Runtime::stop` was called.
    Stopped,
}

/// A program that runs for longer is one that somebody may look into.
const LASTING: Duration = Duration::from_millis(5);

impl Ended {
    /// The exit status that tells it.
    pub fn status(self) -> i32 {
        match self {
            Ended::Returned => 0,
            Ended::Failed => 1,
            Ended::Exit(status) => status,
            Ended::Deadlock => DEADLOCK_STATUS,
            // Whoever stops it from outside knows why.
            Ended::Stopped => 0,
        }
    }
}

/// A virtual machine with its options.
#[derive(Default)]
pub struct Runtime {
    options: Options,
    running: Mutex<Option<Handle<TaskBody>>>,
    stopped: AtomicBool,
    /// Of the run before.
    switches: Mutex<Vec<Taken>>,
    suspensions: Mutex<Log>,
    lasting: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Runtime {
    pub fn new(options: Options) -> Runtime {
        if let Some(bytes) = options.memory {
            crate::heap::meter::set_budget(bytes);
        }
        Runtime {
            options,
            running: Mutex::default(),
            stopped: AtomicBool::new(false),
            switches: Mutex::default(),
            suspensions: Mutex::default(),
            lasting: Mutex::default(),
        }
    }

    /// Has `begin` called when a program has run for five milliseconds, once: what opens a program to others takes as long as a
    /// small program. With a seed it is called at once.
    pub fn when_lasting(&self, begin: impl FnOnce() + Send + 'static) {
        *self.lasting.lock() = Some(Box::new(begin));
    }

    /// Where the twin did not just go on with the task that ran, in the run before; nothing when its choices are only drawn.
    pub fn switches(&self) -> Vec<Taken> {
        self.switches.lock().clone()
    }

    /// What `Options::injecting` asked for, of the run before.
    pub fn take_suspensions(&self) -> Log {
        std::mem::take(&mut self.suspensions.lock())
    }

    /// Ends the program that runs, from another thread: its tasks are dropped where they stand. Nothing runs here any
    /// more after that.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
        if let Some(scheduler) = &*self.running.lock() {
            scheduler.stop();
        }
    }

    /// Runs the program on the process's console; gives the exit status.
    pub fn run(&self, module: VerifiedModule, args: Vec<String>) -> Result<i32, StartError> {
        let code = load(module).map_err(StartError::Load)?;
        Ok(self.run_function(code, code.entry, args, Console::process())?.status())
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Runs one function without parameters as a program of its own: nothing is left of an earlier run.
    pub fn run_function(
        &self,
        code: &'static CodeSpace,
        function: FuncId,
        args: Vec<String>,
        console: Console,
    ) -> Result<Ended, StartError> {
        crate::panics::install_hook();
        let entry = code.funcs.get(function.index()).filter(|f| f.params().is_empty()).ok_or(StartError::NoEntry)?;
        let config = Config {
            n_workers: self.options.n_workers,
            blocking_limit: self.options.blocking_threads,
            seed: self.options.seed,
            choices: self.options.choices.clone(),
            ..Config::default()
        };
        let scheduler = Scheduler::new(config).map_err(StartError::Threads)?;
        let program: &'static Program = Box::leak(Box::new(Program::new(code, self.options.clone(), args, console)));
        let _ = program.handle.set(scheduler.handle());
        *self.running.lock() = Some(scheduler.handle());
        if self.stopped.load(SeqCst) {
            scheduler.handle().stop();
        }
        if program.options.observed {
            observe::program_begins(program).map_err(StartError::Record)?;
        }
        let failed = Arc::new(AtomicBool::new(false));
        let has_failed = failed.clone();
        let on_end: EndCall = Box::new(move |cx: &mut TaskCx, end: TaskEnd| match end {
            TaskEnd::Returned(_) => {}
            TaskEnd::Exit(status) => {
                cx.program().exit(status);
            }
            // Reported by the task itself, which could still call `message()`.
            TaskEnd::Failed(_) => has_failed.store(cx.program().exit(1), Relaxed),
        });
        let main = TaskBody::new(program, entry, []).reporting_to(on_end);
        scheduler.handle().spawn(main, TaskShared::default());
        if let Some(begin) = self.lasting.lock().take()
            && !scheduler.wait_at_most(LASTING)
        {
            begin();
        }
        let mut outcome = scheduler.wait();
        let ended = loop {
            program.flush();
            match outcome {
                _ if failed.load(Relaxed) => break Ended::Failed,
                RunOutcome::Done => break program.exit_status().map_or(Ended::Returned, Ended::Exit),
                RunOutcome::Stopped => break program.exit_status().map_or(Ended::Stopped, Ended::Exit),
                RunOutcome::Deadlock if stop_idle_actors(&scheduler) => outcome = scheduler.wait(),
                RunOutcome::Deadlock => {
                    self.report_deadlock(program, &scheduler);
                    break Ended::Deadlock;
                }
            }
        };
        *self.switches.lock() = scheduler.switches();
        *self.suspensions.lock() = program.suspensions.take();
        *self.running.lock() = None;
        // Lost output must not look like success.
        let ended = match program.lost_output() {
            Some(e) if matches!(ended, Ended::Returned | Ended::Exit(0) | Ended::Stopped) => {
                program.eprint(&format!("error: standard output cannot be written: {e}\n"));
                Ended::Failed
            }
            _ => ended,
        };
        if program.options.observed {
            observe::program_ended(program);
        }
        // Tasks that are left are dropped, and what they held is counted, before anybody looks.
        scheduler.shutdown();
        meter::settle();
        Ok(ended)
    }

    fn report_deadlock(&self, program: &Program, scheduler: &Scheduler<TaskBody>) {
        // An actor that waits for its next message is not stuck itself.
        let mut tasks = scheduler.tasks();
        tasks.retain(|task| task.inspect(|body| body.idle_actor()).flatten().is_none());
        let mut text = format!("error: deadlock: {} waiting and nothing can wake one\n", count(tasks.len()));
        for task in tasks.iter().take(MAX_REPORTED_TASKS) {
            let (reason, _) = task.wait();
            let (title, place) = task.inspect(|body| (body.title(), body.place())).unwrap_or_default();
            text += &format!("  {title} {} waits for {}\n{place}", task.id(), reason.words());
        }
        if tasks.len() > MAX_REPORTED_TASKS {
            text += &format!("  … {} more\n", tasks.len() - MAX_REPORTED_TASKS);
        }
        program.eprint(&text);
    }
}

/// When only idle actors are left the program is over: tells them to stop. `false` when something else is left.
fn stop_idle_actors(scheduler: &Scheduler<TaskBody>) -> bool {
    let idle = |task: &TaskRef<TaskBody>| task.inspect(|body| body.idle_actor()).flatten();
    match scheduler.tasks().iter().map(idle).collect::<Option<Vec<_>>>() {
        Some(actors) => {
            actors.iter().for_each(|actor| actor.stop());
            true
        }
        None => false,
    }
}

fn count(n: usize) -> String {
    if n == 1 { "1 task is".to_string() } else { format!("{n} tasks are") }
}
