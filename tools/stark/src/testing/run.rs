//! One test, run once.

use stark_bundle::Assets;
use stark_bytecode::FuncId;
use stark_vm::inject::{Injecting, Log};
use stark_vm::schedule::Taken;
use stark_vm::{Choices, CodeSpace, Console, Ended, Options, Runtime, StartError};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Bytes of output that are kept of one test.
const MAX_OUTPUT: usize = 1 << 20;

/// How long a test that was stopped may take to end: the turns under way finish first.
const GRACE: Duration = Duration::from_secs(2);

/// What it takes to run a test.
#[derive(Clone)]
pub struct Test {
    pub code: &'static CodeSpace,
    pub entry: FuncId,
    pub dir: Option<PathBuf>,
    /// What the package names as its assets.
    pub assets: Option<Arc<Assets>>,
    pub timeout: Duration,
    /// Its limits.
    pub options: Options,
}

/// How it went.
pub struct Outcome {
    pub end: Result<Ended, String>,
    /// What it printed, and its errors.
    pub text: String,
    /// More was printed than is kept.
    pub is_cut: bool,
    pub took: Duration,
    /// Where its schedule is no matter of course, when that was asked for.
    pub switches: Vec<Taken>,
    /// Where its tasks waited and what happened to one, when that was asked for,
    pub suspensions: Log,
    /// and how much more memory is in use than before.
    pub bytes_left: usize,
}

/// On what it runs.
pub enum Order {
    Threads(usize),
    Seed(u64, Choices, Injecting),
}

impl Outcome {
    /// Whether `other` failed in the same way: with the same kind of error, a deadlock, a status.
    pub fn fails_like(&self, other: &Outcome) -> bool {
        !self.passed() && self.end == other.end && error_kind(&self.text) == error_kind(&other.text)
    }

    pub fn passed(&self) -> bool {
        self.end == Ok(Ended::Returned)
    }

    /// For a test that failed: what its output does not say by itself.
    pub fn failure(&self) -> Option<Option<String>> {
        match &self.end {
            Ok(Ended::Returned) => None,
            Ok(Ended::Failed | Ended::Deadlock) => Some(None),
            Ok(Ended::Exit(status)) => Some(Some(format!("the test ended with `exit({status})` instead of returning"))),
            Ok(Ended::Stopped) => Some(Some("the test was stopped".into())),
            Err(why) => Some(Some(why.clone())),
        }
    }
}

impl Test {
    pub fn run(&self, order: Order) -> Outcome {
        let mut options = Options { dir: self.dir.clone(), assets: self.assets.clone(), ..self.options.clone() };
        match order {
            Order::Threads(n_workers) => options.n_workers = n_workers,
            Order::Seed(seed, choices, injecting) => {
                (options.seed, options.choices, options.injecting) = (Some(seed), choices, injecting);
            }
        }
        if !matches!(options.injecting, Injecting::Nothing) {
            // With a budget all memory is counted together; this one is never reached.
            options.memory.get_or_insert(usize::MAX / 2);
        }
        let runtime = Arc::new(Runtime::new(options));
        let bytes_before = stark_vm::bytes_in_use();
        let (console, output) = captured();
        let (sender, receiver) = mpsc::channel();
        let begun = Instant::now();
        let (test, theirs) = (self.clone(), runtime.clone());
        // Not joined: a native that never comes back must not keep the other tests waiting.
        let thread = std::thread::Builder::new().name("stark-test".into()).spawn(move || {
            let ended = theirs.run_function(test.code, test.entry, Vec::new(), console);
            // Nobody waits any more when it took too long.
            let _ = sender.send(ended);
        });
        let end = match thread {
            Err(error) => Err(format!("no thread for the test: {error}")),
            Ok(_) => match receiver.recv_timeout(self.timeout) {
                Ok(ended) => ended.map_err(|e: StartError| e.to_string()),
                Err(mpsc::RecvTimeoutError::Disconnected) => Err("a bug in STARK's runtime ended the test".into()),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    runtime.stop();
                    let stopped = receiver.recv_timeout(GRACE).is_ok();
                    let left =
                        if stopped { "" } else { "; it is in a call that cannot be stopped and was left behind" };
                    Err(format!("the test did not end within {} s{left}", self.timeout.as_secs_f64()))
                }
            },
        };
        let took = begun.elapsed();
        let (switches, suspensions) = (runtime.switches(), runtime.take_suspensions());
        let bytes_left = stark_vm::bytes_in_use().saturating_sub(bytes_before);
        let output = output.lock().map(|mut o| std::mem::take(&mut *o)).unwrap_or_default();
        let text = String::from_utf8_lossy(&output.kept).into_owned();
        Outcome { end, text, is_cut: output.is_cut, took, switches, suspensions, bytes_left }
    }
}

/// The kind in the last `error: Kind: message`.
pub fn error_kind(text: &str) -> Option<&str> {
    let said = text.lines().rev().find_map(|line| line.strip_prefix("error: "))?;
    said.split(':').next()
}

/// A console whose output is kept.
pub fn captured() -> (Console, Arc<Mutex<Output>>) {
    let output = Arc::new(Mutex::new(Output::default()));
    let (out, err) = (Box::new(Sink(output.clone())), Box::new(Sink(output.clone())));
    (Console { out, err, has_input: false }, output)
}

/// What a test wrote, up to a limit.
#[derive(Default)]
pub struct Output {
    pub kept: Vec<u8>,
    is_cut: bool,
}

struct Sink(Arc<Mutex<Output>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Ok(mut output) = self.0.lock() {
            let n = bytes.len().min(MAX_OUTPUT.saturating_sub(output.kept.len()));
            output.kept.extend_from_slice(&bytes[..n]);
            output.is_cut |= n < bytes.len();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
