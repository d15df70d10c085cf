//! Messages on standard input and output, each behind its `Content-Length`.
//!
//! Nothing is reserved that has not arrived, and what is larger than a message can be is refused.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use lsp_server::Message;
use std::io::{BufRead, Read};
use std::thread::JoinHandle;

/// Longest header line that is read; real ones have about 30 bytes.
const MAX_HEADER: u64 = 1024;

pub struct Transport {
    pub sender: Sender<Message>,
    pub receiver: Receiver<Message>,
    reader: JoinHandle<Result<(), String>>,
    writer: JoinHandle<Result<(), String>>,
}

/// Starts the two threads on standard input and output.
pub fn stdio(max_message: u64) -> Transport {
    let (to_client, outgoing) = unbounded::<Message>();
    // A client that floods waits in the pipe, not in memory.
    let (incoming, from_client) = bounded::<Message>(1024);
    let reader = std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(message) = read(&mut input, max_message)? {
            let is_exit = matches!(&message, Message::Notification(n) if n.method == "exit");
            if incoming.send(message).is_err() || is_exit {
                break;
            }
        }
        Ok(())
    });
    let writer = std::thread::spawn(move || {
        let mut output = std::io::stdout().lock();
        for message in outgoing {
            message.write(&mut output).map_err(|e| format!("cannot write to standard output: {e}"))?;
        }
        Ok(())
    });
    Transport { sender: to_client, receiver: from_client, reader, writer }
}

impl Transport {
    /// Waits for what is still to be written. `read_to_end`: the input has ended, so what was wrong with it can be told.
    pub fn finish(self, read_to_end: bool) -> Result<(), String> {
        let Transport { sender, receiver, reader, writer } = self;
        drop(sender);
        drop(receiver);
        let joined = |thread: JoinHandle<Result<(), String>>| {
            thread.join().unwrap_or_else(|_| Err("a thread of the server ended in a panic".to_string()))
        };
        let written = joined(writer);
        if read_to_end {
            joined(reader)?;
        }
        written
    }
}

/// `None` at the end of the input, between two messages.
fn read(input: &mut impl BufRead, max_message: u64) -> Result<Option<Message>, String> {
    let Some(length) = read_header(input)? else { return Ok(None) };
    if length > max_message {
        return Err(format!(
            "a message of {length} bytes, but the limit is {max_message}; `--max-message` sets another one"
        ));
    }
    let mut body = Vec::new();
    input.take(length).read_to_end(&mut body).map_err(|e| format!("cannot read standard input: {e}"))?;
    if (body.len() as u64) < length {
        return Err(format!("the input ended {} bytes before the end of a message", length - body.len() as u64));
    }
    let message = serde_json::from_slice(&body).map_err(|e| format!("a message that is not JSON-RPC: {e}"))?;
    Ok(Some(message))
}

fn read_header(input: &mut impl BufRead) -> Result<Option<u64>, String> {
    let mut length = None;
    let mut is_first = true;
    loop {
        let mut line = Vec::new();
        input.take(MAX_HEADER).read_until(b'\n', &mut line).map_err(|e| format!("cannot read standard input: {e}"))?;
        if line.is_empty() {
            return if is_first { Ok(None) } else { Err("the input ended inside a message's header".to_string()) };
        }
        is_first = false;
        let text = String::from_utf8_lossy(&line);
        let Some(text) = text.strip_suffix('\n') else {
            return Err(not_a_header(&text));
        };
        let text = text.trim_end_matches('\r');
        if text.is_empty() {
            return length.map(Some).ok_or_else(|| "a message without `Content-Length`".to_string());
        }
        let Some((name, value)) = text.split_once(':') else {
            return Err(not_a_header(text));
        };
        if name.trim().eq_ignore_ascii_case("Content-Length") {
            let parsed = value.trim().parse::<u64>();
            length = Some(parsed.map_err(|_| format!("`{}` is not a length of a message", value.trim()))?);
        }
    }
}

fn not_a_header(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!(
        "`{}` is not the header of a message; an editor starts this command, it is not for a terminal",
        shown.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Option<Message>, String> {
        read(&mut text.as_bytes(), 1000)
    }

    #[test]
    fn a_message_is_read_and_the_end_is_seen() {
        let body = r#"{"jsonrpc":"2.0","method":"exit"}"#;
        let text = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        assert!(matches!(read_text(&text), Ok(Some(Message::Notification(n))) if n.method == "exit"));
        assert!(matches!(read_text(""), Ok(None)));
    }

    #[test]
    fn what_is_no_message_says_why() {
        let cases = [
            ("hello\n", "not the header"),
            (&"x".repeat(5000), "not the header"),
            ("Content-Length: 9999999999999999\r\n\r\n", "the limit is 1000"),
            ("Content-Length: -1\r\n\r\n", "not a length"),
            ("Content-Length: 10\r\n\r\n{}", "ended 8 bytes before"),
            ("Content-Length: 2\r\n\r\n[]", "not JSON-RPC"),
            ("Content-Type: x\r\n\r\n", "without `Content-Length`"),
            ("Content-Length: 2\r\n", "inside a message's header"),
        ];
        for (text, why) in cases {
            let error = read_text(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
