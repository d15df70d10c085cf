//! Open files: read and written piece by piece, closed when the value goes.
//!
//! Both directions go through a buffer; what the buffer cannot answer runs on the blocking pool, so a slow disk or a
//! pipe that nobody writes to holds no worker. Only opening needs a capability: who has a file may use it. `file_write` that only fills the buffer does not wait.

use super::support::{Outcome, blocking, size};
use super::{NativeCx, NativeResult, NativeRow, asset, natives};
use crate::fault::Fault;
use crate::heap::Opaque;
use crate::task::WaitReason;
use crate::types::TypeInfo;
use crate::value::Value;
use parking_lot::Mutex;
use stark_models::FileBytes;
use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

pub(super) const TABLE: &[NativeRow] = natives! {
    file_open "(String) -> File" [suspends, Assets];
    file_create "(String, String) -> File" [suspends, Files];
    file_read_line "(File) -> Option<String>" [suspends];
    file_read "(File, Int) -> Bytes" [suspends];
    file_read_text "(File, Int) -> String" [suspends];
    file_write "(File, Bytes) -> ()" [suspends];
    file_flush "(File) -> ()" [suspends];
    file_seek "(File, Int) -> ()" [suspends];
    file_close "(File) -> ()" [suspends];
    file_path "(File) -> String";
};

/// Read or written at once.
const BUFFER: usize = 64 << 10;
/// A line beyond this is refused: nobody wants it, and a file without line ends would fill the memory.
pub const MAX_LINE_BYTES: usize = 256 << 20;

struct Open {
    path: String,
    /// `None` once it is closed.
    file: Option<Handle>,
    /// Whether it was opened for reading; else it is written.
    reads: bool,
    /// Read and not yet asked for (from `at`), or written and not yet in the file.
    buffer: Vec<u8>,
    at: usize,
    is_at_end: bool,
}

enum Handle {
    File(fs::File),
    /// An asset of the program: only read.
    Asset(Cursor<FileBytes>),
}

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Handle::File(file) => file.read(buffer),
            Handle::Asset(bytes) => bytes.read(buffer),
        }
    }
}

impl Handle {
    fn seek(&mut self, to: u64) -> std::io::Result<u64> {
        match self {
            Handle::File(file) => file.seek(SeekFrom::Start(to)),
            Handle::Asset(bytes) => bytes.seek(SeekFrom::Start(to)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Handle::File(file) => file.write_all(bytes),
            Handle::Asset(_) => Err(std::io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}

struct FileObj(Arc<Mutex<Open>>);

impl Opaque for FileObj {
    fn type_name(&self) -> &'static str {
        "File"
    }

    fn share(&self, _: &'static TypeInfo) -> Option<Value> {
        None
    }

    fn show(&self, _: bool, out: &mut String) {
        out.push_str(&format!("File({:?})", self.0.lock().path));
    }

    fn size() -> usize {
        BUFFER
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Whoever wants to know whether the last bytes arrived calls `close`.
        let _ = self.flush();
    }
}

impl Open {
    fn new(path: String, reads: bool, file: Handle) -> Open {
        Open { path, file: Some(file), reads, buffer: Vec::new(), at: 0, is_at_end: false }
    }

    fn wrong(&self, what: &str, e: &std::io::Error) -> String {
        wrong(what, &self.path, e)
    }

    fn usable(&self, reads: bool) -> Result<(), String> {
        let (does, asked) = if self.reads { ("reading", "written") } else { ("writing", "read") };
        if self.file.is_none() {
            return Err(format!("{} is closed", self.path));
        }
        if self.reads != reads {
            return Err(format!("{} was opened for {does}, it cannot be {asked}", self.path));
        }
        Ok(())
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads until `enough` says so or the file ends.
    fn fill(&mut self, enough: impl Fn(&[u8]) -> bool, limit: usize) -> Result<(), String> {
        self.usable(true)?;
        while !self.is_at_end && !enough(self.unread()) {
            if self.unread().len() > limit {
                return Err(format!("cannot read {}: a line has more than {limit} bytes", self.path));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let len = self.buffer.len();
            // Ever larger steps: a long line is not copied again for each of its blocks.
            self.buffer.resize(len + BUFFER.max(len), 0);
            let Some(file) = self.file.as_mut() else { break };
            let got = loop {
                match file.read(&mut self.buffer[len..]) {
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.buffer.truncate(len + *got.as_ref().unwrap_or(&0));
            self.is_at_end = got.map_err(|e| self.wrong("read", &e))? == 0;
        }
        Ok(())
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.unread().len());
        let taken = self.buffer[self.at..self.at + n].to_vec();
        self.at += n;
        taken
    }

    /// The next line without its end; `None` at the file's end.
    fn take_line(&mut self) -> Result<Option<String>, String> {
        let unread = self.unread();
        if unread.is_empty() {
            return Ok(None);
        }
        let n = unread.iter().position(|b| *b == b'\n').map_or(unread.len(), |i| i + 1);
        let mut line = self.take(n);
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        match String::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                Err(format!("cannot read {} as text: byte {at} of a line is not UTF-8", self.path))
            }
        }
    }

    /// At most `n` bytes of whole characters, at least one character unless the file ends.
    fn take_text(&mut self, n: usize) -> Result<String, String> {
        let unread = self.unread();
        let n = n.min(unread.len());
        let end = match std::str::from_utf8(&unread[..n]) {
            Ok(_) => n,
            // Cut inside a character: up to it; all of it when nothing else is there.
            Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => e.valid_up_to(),
            Err(_) => {
                let first = unread.utf8_chunks().next().map_or("", |c| c.valid());
                first.chars().next().map_or(0, char::len_utf8)
            }
        };
        match String::from_utf8(self.take(end)) {
            Ok(text) if !text.is_empty() || n == 0 => Ok(text),
            _ => Err(format!("cannot read {} as text: there is a byte that is not UTF-8", self.path)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.usable(false)?;
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|e| self.wrong("write", &e))
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.reads || self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(&self.buffer));
        self.buffer.clear();
        written.map_err(|e| self.wrong("write", &e))
    }

    fn seek(&mut self, to: u64) -> Result<(), String> {
        self.flush()?;
        self.usable(self.reads)?;
        self.buffer.clear();
        (self.at, self.is_at_end) = (0, false);
        let moved = self.file.as_mut().map_or(Ok(0), |file| file.seek(to));
        moved.map(drop).map_err(|e| self.wrong("move in", &e))
    }
}

fn wrong(what: &str, path: &str, e: &std::io::Error) -> String {
    let why = e.to_string();
    format!("cannot {what} {path}: {}", why.split(" (os error").next().unwrap_or(&why).to_lowercase())
}

fn open(cx: &NativeCx<'_>) -> Arc<Mutex<Open>> {
    cx.opaque::<FileObj>(0).0.clone()
}

/// Answers from the buffer when `ready` is content with it, else after `job` on the blocking pool.
fn on_file<R: Send + 'static>(
    cx: &mut NativeCx<'_>,
    ready: impl FnOnce(&Open) -> bool,
    job: impl FnOnce(&mut Open) -> Result<R, String> + Send + 'static,
    answer: impl FnOnce(&NativeCx<'_>, R) -> Value,
) -> NativeResult {
    // Another task cannot have it: the value is unique. Only this task's own job, while it waits.
    if cx.resume.is_none() {
        let file = open(cx);
        let mut file = file.lock();
        if ready(&file) {
            let found = job(&mut file).map_err(Fault::io)?;
            let value = answer(cx, found);
            return cx.return_value(value);
        }
    }
    let begin = |cx: &NativeCx<'_>| {
        let file = open(cx);
        Ok(move || job(&mut file.lock()))
    };
    blocking(cx, WaitReason::Blocking, begin, |cx, found| found.map(|found| answer(cx, found)).map_err(Fault::io))
}

fn file_open(cx: &mut NativeCx<'_>) -> NativeResult {
    let begin = |cx: &NativeCx<'_>| {
        let path = cx.str(0).to_string();
        let asset = asset::lookup(cx, &path);
        Ok(move || match asset {
            Some(asset) => Ok(Open::new(path, true, Handle::Asset(Cursor::new(asset()?)))),
            None => open_file(path, fs::OpenOptions::new().read(true), true, "open"),
        })
    };
    blocking(cx, WaitReason::Blocking, begin, opened)
}

fn file_create(cx: &mut NativeCx<'_>) -> NativeResult {
    let begin = |cx: &NativeCx<'_>| {
        let (path, mode) = (cx.str(0).to_string(), cx.str(1));
        let mut options = fs::OpenOptions::new();
        let (options, what) = match mode {
            "w" => (options.write(true).create(true).truncate(true), "write"),
            "a" => (options.append(true).create(true), "append to"),
            "x" => (options.write(true).create_new(true), "create"),
            _ => {
                let modes = "\"r\" to read, \"w\" to write, \"a\" to append, \"x\" to write a new file";
                return Err(Fault::value(format!("the mode {mode:?} is none of {modes}")));
            }
        };
        let options = options.clone();
        Ok(move || open_file(path, &options, false, what))
    };
    blocking(cx, WaitReason::Blocking, begin, opened)
}

fn open_file(path: String, options: &fs::OpenOptions, reads: bool, what: &str) -> Result<Open, String> {
    let file = options.open(&path).map_err(|e| wrong(what, &path, &e))?;
    // Opening a folder succeeds and reading it fails with words that help nobody.
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(format!("cannot {what} {path}: it is a folder"));
    }
    Ok(Open::new(path, reads, Handle::File(file)))
}

fn opened(cx: &NativeCx<'_>, found: Result<Open, String>) -> Outcome {
    let open = found.map_err(Fault::io)?;
    cx.reserve(BUFFER)?;
    Ok(Value::opaque(cx.ret_type(), FileObj(Arc::new(Mutex::new(open)))))
}

fn file_read_line(cx: &mut NativeCx<'_>) -> NativeResult {
    let job = |file: &mut Open| {
        file.fill(|unread| unread.contains(&b'\n'), MAX_LINE_BYTES)?;
        file.take_line()
    };
    on_file(cx, |file| file.unread().contains(&b'\n'), job, |cx, line| super::support::option(cx, line.map(Value::str)))
}

fn chunk(cx: &NativeCx<'_>) -> Result<usize, Fault> {
    let n = size(cx.int(1), "the number of bytes")?;
    if n == 0 {
        return Err(Fault::value("a chunk of 0 bytes"));
    }
    cx.reserve(n)?;
    Ok(n)
}

fn file_read(cx: &mut NativeCx<'_>) -> NativeResult {
    let n = chunk(cx)?;
    let job = move |file: &mut Open| {
        file.fill(|unread| unread.len() >= n, usize::MAX)?;
        Ok(file.take(n))
    };
    on_file(cx, |file| file.unread().len() >= n, job, |_, bytes| Value::bytes(bytes))
}

fn file_read_text(cx: &mut NativeCx<'_>) -> NativeResult {
    // A character takes up to four bytes: with them at hand none is cut.
    let n = chunk(cx)?;
    let job = move |file: &mut Open| {
        file.fill(|unread| unread.len() >= n.max(4), usize::MAX)?;
        file.take_text(n)
    };
    on_file(cx, |file| file.unread().len() >= n.max(4), job, |_, text| Value::str(text))
}

fn file_write(cx: &mut NativeCx<'_>) -> NativeResult {
    let bytes = if cx.resume.is_none() { cx.bytes(1).to_vec() } else { Vec::new() };
    let n = bytes.len();
    on_file(cx, |file| file.buffer.len() + n <= BUFFER, move |file| file.write(&bytes), |_, ()| Value::unit())
}

fn file_flush(cx: &mut NativeCx<'_>) -> NativeResult {
    on_file(cx, |_| false, Open::flush, |_, ()| Value::unit())
}

fn file_seek(cx: &mut NativeCx<'_>) -> NativeResult {
    let to = size(cx.int(1), "the position")? as u64;
    on_file(cx, |_| false, move |file| file.seek(to), |_, ()| Value::unit())
}

/// Closing twice is no error; what could not be written is.
fn file_close(cx: &mut NativeCx<'_>) -> NativeResult {
    let job = |file: &mut Open| {
        let written = file.flush();
        file.file = None;
        file.buffer = Vec::new();
        file.at = 0;
        written
    };
    on_file(cx, |_| false, job, |_, ()| Value::unit())
}

fn file_path(cx: &mut NativeCx<'_>) -> NativeResult {
    let path = open(cx).lock().path.clone();
    cx.return_str(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(bytes: &[u8]) -> Open {
        let buffer = bytes.to_vec();
        Open { path: "notes.txt".into(), file: None, reads: true, buffer, at: 0, is_at_end: true }
    }

    #[test]
    fn lines_come_without_their_ends() {
        let mut file = holding(b"one\r\n\ntwo");
        for want in [Some("one"), Some(""), Some("two"), None] {
            assert_eq!(file.take_line(), Ok(want.map(String::from)));
        }
        assert_eq!(
            holding(b"a\xff\n").take_line(),
            Err("cannot read notes.txt as text: byte 1 of a line is not UTF-8".into())
        );
    }

    #[test]
    fn text_is_never_cut_inside_a_character() {
        let mut file = holding("a€b".as_bytes());
        for want in ["a", "€", "b", ""] {
            assert_eq!(file.take_text(2).as_deref(), Ok(want));
        }
        assert!(holding(b"\xff").take_text(4).is_err());
    }
}
