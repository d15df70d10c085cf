//! The socket through which a program is looked at.
//!
//! One thread accepts, one more for each connection: they sleep unless somebody asks, and workers never wait for them.

use super::control::{Client, FromOutside};
use super::{control, status};
use stark_profile::model::RecordOptions;
use stark_profile::wire::{self, Answer, Request};
use stark_profile::{file, socket};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

/// Connections at once; more are closed without an answer.
const MAX_CONNECTIONS: usize = 16;
/// How long a client may take to greet, and to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open socket. Dropping it removes the file; what is being answered is answered.
#[derive(Debug)]
pub struct Server {
    /// The accepting thread holds the listener for as long as the process lives.
    path: std::path::PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket of this process.
///
/// # Errors
/// Why it cannot be opened, as a sentence.
pub fn serve() -> Result<Server, String> {
    let listener = socket::Listener::open()?;
    let path = listener.path().to_path_buf();
    std::thread::Builder::new()
        .name("stark-socket".into())
        .spawn(move || accept(&listener))
        .map_err(|e| format!("the system gives no thread for the socket: {e}"))?;
    Ok(Server { path })
}

fn accept(listener: &socket::Listener) {
    let n_open = Arc::new(AtomicUsize::new(0));
    // Out of file descriptors, say: the next one may do better, but not at once.
    loop {
        let Ok(stream) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        if n_open.load(Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        n_open.fetch_add(1, Relaxed);
        let n_open_there = n_open.clone();
        let answer = move || {
            // A client that breaks the protocol or goes away is left alone.
            let _ = converse(stream);
            n_open_there.fetch_sub(1, Relaxed);
        };
        if std::thread::Builder::new().name("stark-client".into()).spawn(answer).is_err() {
            n_open.fetch_sub(1, Relaxed);
        }
    }
}

fn converse(mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    wire::greet(&mut stream)?;
    // From here on it may be silent for as long as it likes.
    stream.set_read_timeout(None)?;
    let refused = |reason: &str| Answer::Refused(reason.to_string());
    while let Some(request) = wire::receive(&mut stream, wire::MAX_REQUEST)? {
        let answer = match request {
            Request::Tasks(limit) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                status::tasks(limit).map_or_else(|| refused("no program runs"), Answer::Tasks)
            }
            Request::Stats => status::stats().map_or_else(|| refused("no program runs"), Answer::Stats),
            Request::Record(options) => return record(stream, options),
            Request::Stop => refused("nothing is recorded for this connection"),
        };
        wire::send(&mut stream, &answer)?;
    }
    Ok(())
}

fn record(mut stream: UnixStream, options: RecordOptions) -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    // Dropped at the end of this function, when everything is sent.
    let (_sending, sent) = mpsc::channel::<()>();
    if let Err(reason) = control::begin(options, Some(Client { ended: tell.clone(), sent })) {
        return wire::send(&mut stream, &Answer::Refused(reason));
    }
    let mut listening = stream.try_clone()?;
    let listen = move || {
        let heard = match wire::receive(&mut listening, wire::MAX_REQUEST) {
            Ok(Some(Request::Stop)) => FromOutside::Stop,
            _ => FromOutside::Gone,
        };
        let _ = tell.send(heard);
    };
    let begun = std::thread::Builder::new().name("stark-client".into()).spawn(listen);
    let begun = begun.and_then(|_| wire::send(&mut stream, &Answer::Recording));
    let profile = match begun.map(|()| told.recv()) {
        Ok(Ok(FromOutside::Stop)) => control::stop(),
        Ok(Ok(FromOutside::Ended(profile))) => Some(*profile),
        Ok(Ok(FromOutside::Gone) | Err(_)) | Err(_) => {
            control::stop();
            return Ok(());
        }
    };
    // The program may have ended in the moment it was stopped.
    let profile = profile.or_else(|| match told.recv_timeout(PATIENCE) {
        Ok(FromOutside::Ended(profile)) => Some(*profile),
        _ => None,
    });
    let answer = match profile.as_ref().map(file::encode) {
        Some(Ok(bytes)) => Answer::Profile(bytes),
        Some(Err(reason)) => Answer::Refused(reason),
        None => Answer::Refused("the recording was lost".to_string()),
    };
    wire::send(&mut stream, &answer)?;
    // The thread that listens still holds the socket.
    stream.shutdown(std::net::Shutdown::Both)
}
