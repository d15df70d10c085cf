//! A program that runs: what all its tasks share.

use crate::actor::{ActorCell, Circles};
use crate::fault::{Fault, FaultKind};
use crate::inject::{Injecting, Suspensions};
use crate::load::CodeSpace;
use crate::natives::Capability;
use crate::natives::rng::Rng;
use crate::task::TaskBody;
use parking_lot::Mutex;
use stark_bundle::Assets;
use stark_models::Tokenizer;
use stark_profile::model::RecordOptions;
use stark_scheduler::{Choices, Handle};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::{OnceLock, Weak};
use std::time::{Duration, Instant};

/// What the host decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// OS threads that run tasks; 0 takes one a core.
    pub n_workers: usize,
    /// Runs everything on one thread in an order that depends on this number alone, in virtual time.
    pub seed: Option<u64>,
    /// With a seed: whether the order of the tasks is drawn from it.
    pub choices: Choices,
    /// With a seed: whether it is made to fail where a task waits.
    pub injecting: Injecting,
    /// Bytes a task's values may take.
    pub heap_limit: usize,
    /// Bytes that all values, messages and tensors of the process may take together; `None`: no such limit.
    pub memory: Option<usize>,
    /// Bytes a task's calls may take.
    pub stack_limit: usize,
    /// Tasks and actors that may be alive at once.
    pub max_tasks: usize,
    /// Threads that wait for the outside world.
    pub blocking_threads: usize,
    /// What the program may not do.
    pub denied: Vec<Capability>,
    /// The folder the program is in: its tokenizer may lie there.
    pub dir: Option<PathBuf>,
    /// What the program carries: relative paths that it reads are looked for here first.
    pub assets: Option<Arc<Assets>>,
    /// What a profile calls the program.
    pub name: String,
    /// It can be looked at (`observe`); of the programs of a process one at a time.
    pub observed: bool,
    /// It is recorded from its beginning; `observe::take_recording` gives what was.
    pub record: Option<RecordOptions>,
}

impl Options {
    /// Bytes that the messages waiting in one channel may take: as much as a task may have, and no more than all may.
    pub fn queue_limit(&self) -> usize {
        self.heap_limit.min(self.memory.unwrap_or(usize::MAX))
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            n_workers: 0,
            seed: None,
            choices: Choices::Drawn,
            injecting: Injecting::Nothing,
            // Far above what a reasonable task holds, below what a small machine has.
            heap_limit: 8 << 30,
            memory: None,
            stack_limit: 64 << 20,
            // A parked one takes some 460 bytes: with all of them a program has passed what most machines have, and more would
            // only be killed from outside.
            max_tasks: 10_000_000,
            blocking_threads: stark_scheduler::scheduler::DEFAULT_BLOCKING_LIMIT,
            denied: Vec::new(),
            dir: None,
            assets: None,
            name: String::new(),
            observed: false,
            record: None,
        }
    }
}

/// Output waits in the buffer no longer than this while the program keeps printing.
const FLUSH_AFTER: Duration = Duration::from_millis(20);

/// Where a program's input comes from and its output goes.
pub struct Console {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    /// Whether it reads the process's standard input; else it finds nothing there.
    pub has_input: bool,
}

impl Console {
    /// That of the process.
    pub fn process() -> Console {
        Console { out: Box::new(io::stdout()), err: Box::new(io::stderr()), has_input: true }
    }
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("has_input", &self.has_input).finish_non_exhaustive()
    }
}

/// Leaked like its code: tasks point at it without counting.
pub struct Program {
    pub(crate) code: &'static CodeSpace,
    pub(crate) globals: Box<[OnceLock<u64>]>,
    pub args: Vec<String>,
    pub options: Options,
    out: Mutex<Output>,
    err: Mutex<Box<dyn Write + Send>>,
    pub(crate) has_input: bool,
    /// When it first asked for the time.
    pub(crate) started: OnceLock<Instant>,
    pub(crate) handle: OnceLock<Handle<TaskBody>>,
    /// By the number of their global.
    pub(crate) zones: Box<[crate::conc::zones::Zone]>,
    status: Mutex<Option<i32>>,
    /// Actors that were begun with a name and have not ended.
    pub(crate) actors: Arc<Mutex<HashMap<String, Weak<ActorCell>>>>,
    /// Which actors wait for which.
    pub(crate) circles: Arc<Circles>,
    /// What `tokenize` uses, once it is known.
    pub(crate) tokenizer: Arc<Mutex<Option<Tokenizer>>>,
    /// Where random numbers come from, once one was drawn or a seed was given.
    pub(crate) rng: Arc<Mutex<Option<Rng>>>,
    pub(crate) suspensions: Suspensions,
    /// The number of the next actor.
    pub(crate) next_actor: Arc<AtomicU64>,
}

struct Output {
    sink: io::BufWriter<Box<dyn Write + Send>>,
    flushed: Instant,
}

impl Program {
    pub fn new(code: &'static CodeSpace, options: Options, args: Vec<String>, console: Console) -> Program {
        let out = Output { sink: io::BufWriter::with_capacity(1 << 16, console.out), flushed: Instant::now() };
        let globals = code.globals.iter().map(|_| OnceLock::new()).collect();
        let zones = code.globals.iter().map(|_| Default::default()).collect();
        Program {
            code,
            globals,
            args,
            options,
            out: Mutex::new(out),
            err: Mutex::new(console.err),
            has_input: console.has_input,
            started: OnceLock::new(),
            handle: OnceLock::new(),
            zones,
            status: Mutex::new(None),
            actors: Arc::default(),
            circles: Arc::default(),
            tokenizer: Arc::default(),
            rng: Arc::default(),
            suspensions: Suspensions::default(),
            next_actor: Arc::new(AtomicU64::new(1)),
        }
    }

    /// A program that goes on with what this one has: its actors' names and numbers, its tokenizer, its random numbers.
    pub(crate) fn successor(&self, code: &'static CodeSpace, console: Console) -> Program {
        let mut next = Program::new(code, self.options.clone(), self.args.clone(), console);
        next.actors = self.actors.clone();
        next.circles = self.circles.clone();
        next.tokenizer = self.tokenizer.clone();
        next.rng = self.rng.clone();
        next.next_actor = self.next_actor.clone();
        next
    }

    /// The scheduler that runs this program's tasks; `None` before it runs and for a machine that runs alone.
    pub fn scheduler(&self) -> Option<&Handle<TaskBody>> {
        self.handle.get()
    }

    /// Writes to standard output, through a buffer that is flushed at the end, before anything goes to standard error,
    /// and when it has held text for a while.
    pub fn print(&self, text: &str) -> Result<(), Fault> {
        let mut out = self.out.lock();
        let written = out.sink.write_all(text.as_bytes()).and_then(|()| {
            if out.flushed.elapsed() < FLUSH_AFTER {
                return Ok(());
            }
            out.flushed = Instant::now();
            out.sink.flush()
        });
        written.map_err(|e| Fault::new(FaultKind::IoError, format!("standard output cannot be written: {e}")))
    }

    pub fn eprint(&self, text: &str) {
        self.flush();
        // Nobody is left to tell when standard error itself is gone.
        let _ = self.err.lock().write_all(text.as_bytes());
    }

    /// Ends the program; the first status counts. Answers whether this was it.
    pub fn exit(&self, status: i32) -> bool {
        let mut known = self.status.lock();
        let is_first = known.is_none();
        known.get_or_insert(status);
        drop(known);
        if let Some(scheduler) = self.scheduler() {
            scheduler.stop();
        }
        is_first
    }

    pub fn exit_status(&self) -> Option<i32> {
        *self.status.lock()
    }

    /// Before waiting. What cannot be written stays, for a later attempt.
    pub fn flush(&self) {
        let _ = self.out.lock().sink.flush();
    }

    /// At the end. Why what was printed is lost, unless its reader has gone, who misses nothing.
    pub fn lost_output(&self) -> Option<io::Error> {
        let lost = self.out.lock().sink.flush().err();
        lost.filter(|e| e.kind() != io::ErrorKind::BrokenPipe)
    }

    pub fn is_denied(&self, capability: Capability) -> bool {
        // What comes over the network does not follow from a seed.
        let is_foreign = capability == Capability::Network && self.options.seed.is_some();
        is_foreign || self.options.denied.contains(&capability)
    }
}
