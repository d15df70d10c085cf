//! Ways into a program that runs: `SIGUSR1`, an endpoint for Prometheus, figures for OpenTelemetry. Its socket is the VM's.

mod figures;

pub mod prometheus;

pub mod otlp;

use stark_vm::observe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// Tasks that the answer to a signal shows at most.
const MAX_TOLD: usize = 1000;

/// A `SIGUSR1` that comes before `tell_on_signal` does nothing, where the system would end the program.
pub fn keep_alive_on_signal() {
    let _ = signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::default());
}

/// `SIGUSR1` has the tasks told on standard error.
pub fn tell_on_signal() -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1])?;
    let tell = move || {
        for _ in signals.forever() {
            match observe::tasks(MAX_TOLD) {
                Some(tasks) => eprint!("{}", tasks.render()),
                None => eprintln!("no program runs"),
            }
        }
    };
    std::thread::Builder::new().name("stark-signal".into()).spawn(tell).map(drop)
}

/// Ctrl-C and `SIGTERM` end the program in order, so that what was recorded is kept; a second one ends it at once.
/// Gives where the number of the signal is found then.
pub fn end_on_signal(runtime: Arc<stark_vm::Runtime>) -> std::io::Result<Arc<AtomicI32>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let ended_by = Arc::new(AtomicI32::new(0));
    let heard = ended_by.clone();
    let end = move || {
        for signal in signals.forever() {
            if heard.swap(signal, SeqCst) != 0 {
                std::process::exit(128 + signal);
            }
            runtime.stop();
        }
    };
    std::thread::Builder::new().name("stark-signal".into()).spawn(end)?;
    Ok(ended_by)
}
