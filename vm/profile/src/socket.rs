//! Where a running program is reached: a socket in a folder that only its owner can enter.
//!
//! The folder is `stark` in `$XDG_RUNTIME_DIR`, else `/tmp/stark-UID`, of mode 0700; the socket is named after the
//! process, of mode 0600. Who can pass both is the owner or root; the program asks the system all the same who calls.

use crate::wire;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a program may take to begin an answer. It answers from a thread of its own, so longer means it is stopped
/// or the machine is overloaded.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir()) {
        Some(dir) => dir.join("stark"),
        None => PathBuf::from(format!("/tmp/stark-{}", rustix::process::geteuid().as_raw())),
    }
}

fn path(pid: u32) -> PathBuf {
    folder().join(format!("{pid}.sock"))
}

/// The folder, made when it is not there, if it is ours alone.
fn own_folder() -> Result<PathBuf, String> {
    let folder = folder();
    let shown = folder.display();
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(format!("cannot make {shown}: {e}")),
        _ => {}
    }
    // Not through a link: in /tmp somebody else may have put one there.
    let meta = fs::symlink_metadata(&folder).map_err(|e| format!("cannot look at {shown}: {e}"))?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{shown} is not a folder of this user"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(format!("{shown} can be entered by others: its mode is {:o}, not 700", meta.mode() & 0o777));
    }
    Ok(folder)
}

/// The program's end of its socket; the file goes when this does.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Opens the socket of this process.
    ///
    /// # Errors
    /// Why it cannot be reached, as a sentence.
    pub fn open() -> Result<Listener, String> {
        let folder = own_folder()?;
        forget_the_dead();
        let path = folder.join(format!("{}.sock", std::process::id()));
        // Of an earlier process with the same number.
        let _ = fs::remove_file(&path);
        let fail = |e: io::Error| format!("cannot open {}: {e}", path.display());
        let listener = UnixListener::bind(&path).map_err(fail)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(fail)?;
        Ok(Listener { listener, path })
    }

    /// The next caller of the same user.
    pub fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept()?;
            if is_same_user(&stream) {
                return Ok(stream);
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(target_os = "linux")]
fn is_same_user(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

#[cfg(not(target_os = "linux"))]
fn is_same_user(_: &UnixStream) -> bool {
    // Elsewhere the modes of folder and socket alone keep others out.
    true
}

/// Removes the sockets of processes that were killed. One of another container may have a number that is nobody's here:
/// it still answers.
fn forget_the_dead() {
    for pid in processes() {
        let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let is_dead =
            number.is_some_and(|pid| matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)));
        let refuses = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
        if is_dead && UnixStream::connect(path(pid)).is_err_and(refuses) {
            let _ = fs::remove_file(path(pid));
        }
    }
}

/// Reaches the program that runs as process `pid`.
///
/// # Errors
/// Why it cannot be reached, as a sentence.
pub fn connect(pid: u32) -> Result<UnixStream, String> {
    let alive = rustix::process::Pid::from_raw(pid.try_into().unwrap_or(0));
    let alive = alive.ok_or_else(|| format!("{pid} is not the number of a process"))?;
    match rustix::process::test_kill_process(alive) {
        Ok(()) => {}
        Err(rustix::io::Errno::PERM) => return Err(format!("process {pid} belongs to another user")),
        Err(rustix::io::Errno::SRCH) => return Err(format!("there is no process {pid}")),
        Err(error) => return Err(format!("cannot look at process {pid}: {error}")),
    }
    let path = path(pid);
    let mut stream = UnixStream::connect(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
            "process {pid} cannot be looked at: it is no program that `stark run` runs, was started with --no-attach, or \
             has another $XDG_RUNTIME_DIR"
        ),
        _ => format!("cannot open {}: {e}", path.display()),
    })?;
    let greeted = stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .and_then(|()| stream.set_write_timeout(Some(ANSWER_TIMEOUT)))
        .and_then(|()| wire::greet(&mut stream));
    greeted.map_err(|e| no_answer(pid, &e))?;
    Ok(stream)
}

/// A sentence for a connection that broke.
pub fn no_answer(pid: u32, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("process {pid} did not answer for {} s: it is stopped or too busy", ANSWER_TIMEOUT.as_secs())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            format!("process {pid} ended before it answered")
        }
        _ => format!("process {pid} did not answer: {error}"),
    }
}

/// Asks one thing.
pub fn ask(pid: u32, request: &wire::Request) -> Result<wire::Answer, String> {
    let mut stream = connect(pid)?;
    let answer = wire::send(&mut stream, request).and_then(|()| wire::receive(&mut stream, wire::MAX_ANSWER));
    match answer.map_err(|e| no_answer(pid, &e))? {
        Some(wire::Answer::Refused(reason)) => Err(format!("process {pid} refuses: {reason}")),
        Some(answer) => Ok(answer),
        None => Err(format!("process {pid} ended before it answered")),
    }
}

/// The processes of this user that have a socket. One that was killed has left its own behind.
pub fn processes() -> Vec<u32> {
    let number = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".sock")?.parse().ok();
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    let mut found: Vec<u32> = entries.filter_map(|entry| number(entry.file_name())).collect();
    found.sort_unstable();
    found
}
