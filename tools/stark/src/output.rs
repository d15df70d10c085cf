//! Standard output of the commands.

use std::fmt::Arguments;
use std::io::{self, Write};

/// The status of a command that a closed pipe ended, as a shell gives it.
const CLOSED: i32 = 128 + 13;

pub fn write(what: Arguments<'_>) {
    check(io::stdout().lock().write_fmt(what));
}

pub fn write_all(bytes: &[u8]) {
    check(io::stdout().lock().write_all(bytes));
}

pub fn flush() {
    check(io::stdout().flush());
}

/// A reader that has gone, as `head` does when it has read enough, ends the command without a word; output that is lost is an error.
fn check(written: io::Result<()>) {
    let Err(e) = written else { return };
    if e.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(CLOSED);
    }
    // Nobody is left to tell when standard error is gone, too.
    let _ = writeln!(io::stderr(), "error: cannot write to standard output: {e}");
    std::process::exit(crate::commands::REFUSED);
}
