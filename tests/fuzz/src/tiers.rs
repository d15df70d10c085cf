//! A program in the interpreter and as machine code: it says the same, fails at the same places, and its tasks have
//! turns in the same order after the same steps.

use crate::source;
use stark_bytecode::Module;
use stark_vm::jit::{self, Jit};
use stark_vm::{Choices, Console, Options, Runtime};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Programs end by themselves. One that takes so long hangs, and is stopped.
const RUN_LIMIT: Duration = Duration::from_secs(60);
/// Output beyond this is not compared.
const MAX_OUTPUT: usize = 1 << 20;

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
pub enum Compared {
    Same,
    /// It did not end.
    Hangs,
    /// What it did in the interpreter and as machine code.
    Different(String, String),
}

/// Runs the program twice. An error: it does not compile, with the reports.
pub fn compare(text: &str, seed: u64) -> Result<Compared, String> {
    let module = source::module(text)?;
    let [interpreted, compiled] = [Jit::Off, Jit::Always].map(|tier| run(&module, tier, seed));
    Ok(match (interpreted, compiled) {
        (Some(interpreted), Some(compiled)) if interpreted == compiled => Compared::Same,
        (Some(interpreted), Some(compiled)) => Compared::Different(interpreted, compiled),
        _ => Compared::Hangs,
    })
}

/// The smallest part of a program that still differs: lines are taken out, with the blocks that they open, for as long as
/// one can be spared.
pub fn shrink(text: &str, seed: u64) -> String {
    let differs = |lines: &[&str]| matches!(compare(&lines.join("\n"), seed), Ok(Compared::Different(..)));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    loop {
        let before = lines.len();
        for at in (0..before).rev() {
            let Some(line) = lines.get(at) else { continue };
            let block = lines[at + 1..].iter().take_while(|inner| indent(inner) > indent(line)).count();
            let rest: Vec<&str> = lines[..at].iter().chain(&lines[at + 1 + block..]).copied().collect();
            if differs(&rest) {
                lines = rest;
            }
        }
        if lines.len() == before {
            return lines.join("\n") + "\n";
        }
    }
}

/// What the program does; `None` when it hangs.
fn run(module: &Module, tier: Jit, seed: u64) -> Option<String> {
    jit::set(tier).expect("the test has asked whether there is machine code");
    let module = stark_bytecode::verify(module.clone()).expect("the compiler makes what the verifier takes");
    let code = stark_vm::load(module).expect("what is verified can be loaded");
    let options = Options {
        seed: Some(seed),
        // Each switch names what its task has spent.
        choices: Choices::Noted,
        heap_limit: 64 << 20,
        stack_limit: 1 << 20,
        ..Options::default()
    };
    let runtime = Arc::new(Runtime::new(options));
    let (done, is_done) = mpsc::channel::<()>();
    let theirs = runtime.clone();
    let stopper = std::thread::spawn(move || {
        let is_late = is_done.recv_timeout(RUN_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            theirs.stop();
        }
        is_late
    });
    let said = Said::default();
    let console = Console { out: Box::new(said.clone()), err: Box::new(said.clone()), has_input: false };
    let ended = runtime.run_function(code, code.entry, Vec::new(), console);
    drop(done);
    let was_stopped = stopper.join().expect("it only waits");
    let mut all = String::from_utf8_lossy(&said.0.lock().expect("nobody panics with it")).into_owned();
    let _ = writeln!(all, "{ended:?}");
    for taken in runtime.switches() {
        let _ = writeln!(all, "{}@{}-{}", taken.switch.task, taken.switch.at, taken.switch.next);
    }
    (!was_stopped).then_some(all)
}

/// The beginning of what a program prints.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut kept = self.0.lock().expect("nobody panics with it");
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
