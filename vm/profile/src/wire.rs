//! Requests and answers between a running program and whoever looks at it.
//!
//! Both sides open with [`HELLO`]. Then each frame is a length of four bytes, little-endian, and a message as postcard
//! writes it. The client asks, the program answers; a recording is answered twice: when it begins and when it ends.

use crate::model::RecordOptions;
use crate::status::{Stats, Tasks};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Names the protocol with its version.
pub const HELLO: [u8; 8] = *b"STARKOB3";
pub const MAX_REQUEST: usize = 1 << 16;
pub const MAX_ANSWER: usize = 1 << 30;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// The tasks, at most so many.
    Tasks(u64),
    Stats,
    /// Begin to record. It ends with `Stop`, with the program, or, thrown away, with the connection.
    Record(RecordOptions),
    Stop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Tasks(Tasks),
    Stats(Stats),
    Recording,
    /// The bytes of a `.starkprof`.
    Profile(Vec<u8>),
    /// Why not.
    Refused(String),
}

pub fn greet(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&HELLO)?;
    let mut theirs = [0; HELLO.len()];
    stream.read_exact(&mut theirs)?;
    if theirs == HELLO { Ok(()) } else { Err(malformed("the other side speaks another protocol or version")) }
}

pub fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(|e| malformed(&e.to_string()))?;
    let length = u32::try_from(bytes.len()).map_err(|_| malformed("the message is too long"))?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&bytes)?;
    stream.flush()
}

/// `None`: the other side has closed the connection between two messages.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read, limit: usize) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    let n = stream.read(&mut length)?;
    if n == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[n..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(malformed(&format!("a message of {length} bytes, the limit is {limit}")));
    }
    // Grows with what really comes.
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match postcard::take_from_bytes(&bytes) {
        Ok((message, [])) => Ok(Some(message)),
        Ok(_) => Err(malformed("bytes follow the message")),
        Err(error) => Err(malformed(&format!("a malformed message: {error}"))),
    }
}

fn malformed(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_come_through() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Tasks(7)).unwrap();
        send(&mut bytes, &Request::Stop).unwrap();
        let mut stream = &bytes[..];
        assert_eq!(receive(&mut stream, MAX_REQUEST).unwrap(), Some(Request::Tasks(7)));
        assert_eq!(receive(&mut stream, MAX_REQUEST).unwrap(), Some(Request::Stop));
        assert_eq!(receive::<Request>(&mut stream, MAX_REQUEST).unwrap(), None);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_read() {
        let error = receive::<Request>(&mut &[255, 255, 255, 255][..], MAX_REQUEST).unwrap_err();
        assert_eq!(error.to_string(), "a message of 4294967295 bytes, the limit is 65536");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = receive::<Request>(&mut &bytes[..], MAX_REQUEST);
        }
    }
}
