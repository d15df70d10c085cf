//! Lines of the module `log` for OpenTelemetry: kept until they are sent, with the span that they were written in.

use super::spans;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Lines that wait to be sent at most, and bytes of them; what comes when there are so many is counted.
const MAX_LINES: usize = 10_000;
const MAX_BYTES: usize = 16 << 20;

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub at_unix_ns: u64,
    /// 0 to 3: `debug`, `info`, `warn`, `error`.
    pub level: u8,
    pub text: String,
    pub fields: Vec<(String, String)>,
    /// The trace and the span that the task worked for.
    pub span: Option<(u128, u64)>,
}

#[derive(Default)]
struct Lines {
    kept: Vec<LogLine>,
    bytes: usize,
    n_lost: u64,
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static LINES: Mutex<Lines> = Mutex::new(Lines { kept: Vec::new(), bytes: 0, n_lost: 0 });

/// From now on lines are kept for [`take_log`].
pub fn keep_log() {
    IS_ON.store(true, Relaxed);
}

pub(crate) fn log_is_kept() -> bool {
    IS_ON.load(Relaxed)
}

/// The lines since the last time, and how many more there were.
pub fn take_log() -> (Vec<LogLine>, u64) {
    let Lines { kept, n_lost, .. } = std::mem::take(&mut *LINES.lock());
    (kept, n_lost)
}

/// `task` wrote a line.
pub(crate) fn logged(task: u64, level: u8, text: &str, fields: Vec<(String, String)>) {
    let span = if spans::is_on() { spans::place(task) } else { None };
    let at_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let n_bytes = text.len() + fields.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    let mut lines = LINES.lock();
    if lines.kept.len() < MAX_LINES && lines.bytes.saturating_add(n_bytes) <= MAX_BYTES {
        lines.bytes += n_bytes;
        lines.kept.push(LogLine { at_unix_ns, level, text: text.to_string(), fields, span });
    } else {
        lines.n_lost += 1;
    }
}
