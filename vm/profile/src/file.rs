//! A recording on disk: `.starkprof`.
//!
//! A header of 24 bytes (magic, version, checksum of all behind it, length of the content), then the content deflated.
//! Inside is [`Profile`] as postcard writes it, so another field is another version.

use crate::Profile;

pub const MAGIC: [u8; 8] = *b"STARKPRF";
pub const VERSION: u32 = 3;
/// The most bytes that a recording may unpack to, against files made to fill the memory.
pub const MAX_CONTENT: u64 = 2 << 30;
const HEADER: usize = 24;

/// Fast rather than small: it is written while the program waits to end.
const LEVEL: u8 = 1;

pub fn encode(profile: &Profile) -> Result<Vec<u8>, String> {
    let content = postcard::to_stdvec(profile).map_err(|e| format!("the recording cannot be written: {e}"))?;
    if content.len() as u64 > MAX_CONTENT {
        return Err(format!("the recording has {} bytes, the limit is {MAX_CONTENT}", content.len()));
    }
    Ok(wrap(&content))
}

/// Content with the header it needs to be read, whether it makes sense or not.
pub fn wrap(content: &[u8]) -> Vec<u8> {
    let packed = miniz_oxide::deflate::compress_to_vec(content, LEVEL);
    let mut tail = Vec::with_capacity(packed.len() + 8);
    tail.extend_from_slice(&(content.len() as u64).to_le_bytes());
    tail.extend_from_slice(&packed);
    let mut bytes = Vec::with_capacity(tail.len() + 16);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&tail).to_le_bytes());
    bytes.extend_from_slice(&tail);
    bytes
}

/// # Errors
/// Why these bytes are no recording, without the name of the file.
pub fn decode(bytes: &[u8]) -> Result<Profile, String> {
    let shared = bytes.len().min(MAGIC.len());
    if bytes.is_empty() || bytes[..shared] != MAGIC[..shared] {
        return Err("it is not a recording of stark-prof".to_string());
    }
    if bytes.len() < HEADER {
        return Err(format!("it ends after {} bytes, within the header", bytes.len()));
    }
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
    let version = word(8);
    if version != VERSION {
        return Err(format!("it is of version {version}, this stark-prof reads version {VERSION}"));
    }
    let tail = &bytes[16..];
    if crc32fast::hash(tail) != word(12) {
        return Err("its checksum is wrong: it was cut or changed".to_string());
    }
    let length = u64::from(word(16)) | u64::from(word(20)) << 32;
    if length > MAX_CONTENT {
        return Err(format!("it says to hold {length} bytes, the limit is {MAX_CONTENT}"));
    }
    let content = miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes[HEADER..], length as usize)
        .map_err(|e| format!("its content cannot be unpacked: {:?}", e.status))?;
    if content.len() as u64 != length {
        return Err(format!("it says to hold {length} bytes and holds {}", content.len()));
    }
    let (profile, rest): (Profile, _) =
        postcard::take_from_bytes(&content).map_err(|e| format!("its content is malformed: {e}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow its content", rest.len()));
    }
    profile.check()?;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Frame, Sample, StackFrame};
    use proptest::prelude::*;

    fn example() -> Profile {
        let mut profile = Profile::default();
        profile.info.program = "a.stark".into();
        profile.frames = vec![Frame { function: "main".into(), file: "a.stark".into(), line: 3, column: 5 }];
        profile.stacks = vec![vec![StackFrame { frame: 0, awaits: false }]];
        profile.samples = vec![Sample { at: 5, stack: 0, task: 1, worker: 0, weight: 2 }];
        profile
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode(&encode(&example()).unwrap()), Ok(example()));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let bytes = encode(&example()).unwrap();
        for n in 0..bytes.len() {
            assert!(decode(&bytes[..n]).is_err(), "cut to {n}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
        }
    }

    /// With the right checksum and length around it.
    fn forged(content: &[u8], length: u64) -> Vec<u8> {
        let packed = miniz_oxide::deflate::compress_to_vec(content, 1);
        let tail = [&length.to_le_bytes()[..], &packed].concat();
        [&MAGIC[..], &VERSION.to_le_bytes(), &crc32fast::hash(&tail).to_le_bytes(), &tail].concat()
    }

    #[test]
    fn a_position_outside_its_table_is_refused_by_name() {
        let mut profile = example();
        profile.samples[0].stack = 7;
        let bytes = encode(&profile).unwrap();
        assert_eq!(decode(&bytes), Err("sample 0 names entry 7 of 1".to_string()));
    }

    #[test]
    fn a_content_that_unpacks_to_more_than_it_says_is_refused() {
        let error = decode(&forged(&vec![0; 1 << 20], 10)).unwrap_err();
        assert!(error.contains("cannot be unpacked"), "{error}");
        let error = decode(&forged(b"", u64::MAX)).unwrap_err();
        assert!(error.contains("the limit is"), "{error}");
    }

    proptest! {
        #[test]
        fn any_content_is_read_or_refused(content in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&forged(&content, content.len() as u64));
        }

        #[test]
        fn a_changed_content_is_read_or_refused(at in 0usize..60, to in any::<u8>()) {
            let mut content = postcard::to_stdvec(&example()).unwrap();
            let at = at % content.len();
            content[at] = to;
            let _ = decode(&forged(&content, content.len() as u64));
        }
    }
}
