//! Running a whole program: load it, start its entry on the scheduler, wait for every task, say how it ended.

use crate::interp::TaskEnd;
use crate::load::{LoadError, load};
use crate::program::{Options, Program};
use crate::task::{OnEnd, TaskBody, TaskCx, TaskShared};
use parking_lot::Mutex;
use stark_bytecode::VerifiedModule;
use stark_scheduler::{Config, Handle, RunOutcome, Scheduler, TaskRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The exit status of a program in which every task waits on another.
pub const DEADLOCK_STATUS: i32 = 3;

/// How long a deadlock report may get, in tasks.
const MAX_REPORTED_TASKS: usize = 50;

/// Why a program could not be started.
#[derive(Debug)]
pub enum StartError {
    Load(LoadError),
    /// The operating system gave no threads.
    Threads(std::io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Load(error) => error.fmt(f),
            StartError::Threads(error) => write!(f, "no worker threads: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A virtual machine with its options.
#[derive(Default)]
pub struct Runtime {
    options: Options,
    running: Mutex<Option<Handle<TaskBody>>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Runtime {
    pub fn new(options: Options) -> Runtime {
        Runtime { options, running: Mutex::default() }
    }

    /// Ends the program that `run` runs, from another thread: its tasks are dropped where they stand.
    pub fn stop(&self) {
        if let Some(scheduler) = &*self.running.lock() {
            scheduler.stop();
        }
    }

    /// Runs the program with standard output as its output; gives the exit status.
    pub fn run(&self, module: VerifiedModule, args: Vec<String>) -> Result<i32, StartError> {
        crate::panics::install_hook();
        let code: &'static _ = Box::leak(Box::new(load(module).map_err(StartError::Load)?));
        let config = Config { n_workers: self.options.n_workers, seed: self.options.seed, ..Config::default() };
        let scheduler = Scheduler::new(config).map_err(StartError::Threads)?;
        let program: &'static Program =
            Box::leak(Box::new(Program::new(code, self.options.clone(), args, Box::new(std::io::stdout()))));
        let _ = program.handle.set(scheduler.handle());
        *self.running.lock() = Some(scheduler.handle());
        let status = Arc::new(AtomicI32::new(0));
        let ended = status.clone();
        let entry = code.funcs[code.entry.index()];
        let on_end = OnEnd::Call(Box::new(move |cx: &mut TaskCx, end: TaskEnd| match end {
            TaskEnd::Returned(_) => {}
            TaskEnd::Exit(status) => cx.program().exit(status),
            TaskEnd::Failed(_) => {
                // Reported by the task itself, which could still call `message()`.
                ended.store(1, Relaxed);
                cx.program().exit(1);
            }
        }));
        let main = TaskBody::new(program, entry, [], on_end).reporting();
        let mut outcome = scheduler.run(main, TaskShared::default());
        let status = loop {
            program.flush();
            match outcome {
                RunOutcome::Done | RunOutcome::Stopped => {
                    break program.exit_status().unwrap_or(status.load(Relaxed));
                }
                RunOutcome::Deadlock if stop_idle_actors(&scheduler) => outcome = scheduler.wait(),
                RunOutcome::Deadlock => {
                    self.report_deadlock(program, &scheduler);
                    break DEADLOCK_STATUS;
                }
            }
        };
        program.flush();
        Ok(status)
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
