//! Getting a recording: of a program started for it, or of one that runs.

use stark_profile::model::RecordOptions;
use stark_profile::wire::{self, Answer, Request};
use stark_profile::{Profile, file, socket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// Largest recording that is read, in bytes as it lies on disk.
const MAX_FILE: u64 = 1 << 30;

/// Reads a recording with a sentence for each way it can fail.
pub fn load(path: &Path) -> Result<Profile, String> {
    let shown = path.display();
    let fail = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => format!("cannot read {shown}: there is no such file"),
        _ => format!("cannot read {shown}: {e}"),
    };
    let meta = std::fs::metadata(path).map_err(fail)?;
    if !meta.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if meta.len() > MAX_FILE {
        return Err(format!("{shown} has {} bytes, the limit is {MAX_FILE}", meta.len()));
    }
    let bytes = std::fs::read(path).map_err(fail)?;
    file::decode(&bytes).map_err(|reason| format!("{shown}: {reason}"))
}

pub fn save(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// The `stark` beside this program, else the one that the shell finds.
fn stark() -> PathBuf {
    let name = format!("stark{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|me| me.with_file_name(&name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Runs a program under the profiler; gives its exit status.
pub fn run(options: &RecordOptions, output: &Path, program: &Path, args: &[String]) -> Result<i32, String> {
    let stark = stark();
    // Whatever lies there from before shall not be taken for this run's.
    match std::fs::remove_file(output) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot write {}: {e}", output.display()));
        }
        _ => {}
    }
    // The signal of Ctrl-C goes to the program, too, which ends and writes what was recorded.
    let _ = ctrlc::set_handler(|| {});
    let mut command = Command::new(&stark);
    command.arg("run").arg("--profile").arg(output);
    command.arg("--rate").arg(options.rate_hz.to_string());
    command.arg("--max-entries").arg(options.max_entries.to_string());
    if options.trace {
        command.arg("--trace");
    }
    command.arg(program).args(args);
    let status = command.status().map_err(|e| format!("cannot start {}: {e}", stark.display()))?;
    status.code().ok_or_else(|| format!("the program was ended from outside: {status}"))
}

/// Records a program that runs, until `stop`, its end, or `seconds` are over. `begun` is called when it has begun.
pub fn attach(
    pid: u32,
    options: RecordOptions,
    seconds: Option<f64>,
    stop: mpsc::Receiver<()>,
    begun: impl FnOnce(),
) -> Result<Vec<u8>, String> {
    let mut stream = socket::connect(pid)?;
    let broken = |e: std::io::Error| socket::no_answer(pid, &e);
    wire::send(&mut stream, &Request::Record(options)).map_err(broken)?;
    match wire::receive(&mut stream, wire::MAX_ANSWER).map_err(broken)? {
        Some(Answer::Recording) => begun(),
        Some(Answer::Refused(reason)) => return Err(format!("process {pid} refuses: {reason}")),
        Some(_) => return Err(format!("process {pid} answered something else")),
        None => return Err(format!("process {pid} ended before it answered")),
    }
    // It answers when the recording ends, however long that takes.
    stream.set_read_timeout(None).map_err(broken)?;
    let mut sending = stream.try_clone().map_err(broken)?;
    let wait = move || {
        let _ = match seconds {
            Some(seconds) => stop.recv_timeout(Duration::from_secs_f64(seconds)).is_ok(),
            None => stop.recv().is_ok(),
        };
        // The program may have ended, and then its answer is on the way already.
        let _ = wire::send(&mut sending, &Request::Stop);
        let _ = sending.set_read_timeout(Some(socket::ANSWER_TIMEOUT));
    };
    std::thread::spawn(wait);
    match wire::receive(&mut stream, wire::MAX_ANSWER).map_err(broken)? {
        Some(Answer::Profile(bytes)) => Ok(bytes),
        Some(Answer::Refused(reason)) => Err(format!("process {pid} refuses: {reason}")),
        Some(_) => Err(format!("process {pid} answered something else")),
        None => Err(format!("process {pid} ended without its recording")),
    }
}
