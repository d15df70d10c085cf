//! A standalone program: the `stark` executable, zeros up to a multiple of 64, a bundle, and a trailer that says where it is.
//!
//! The trailer is the last 64 bytes: a magic of 16, where the bundle begins (8), its length (8), zeros (28), and the first 4
//! of the BLAKE3 of those 60. Executables do not mind what follows them.

use crate::BundleError;
use stark_bytecode::format::ALIGNMENT;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: [u8; 16] = *b"\x7FSTARK program\0\0";
const LEN: usize = 64;

/// Where a program carries its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    pub at: u64,
    pub len: u64,
}

impl Trailer {
    fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..24].copy_from_slice(&self.at.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.len.to_le_bytes());
        let hash = blake3::hash(&bytes[..LEN - 4]);
        bytes[LEN - 4..].copy_from_slice(&hash.as_bytes()[..4]);
        bytes
    }

    fn parse(bytes: &[u8; LEN], file_len: u64) -> Option<Trailer> {
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
        let trailer = Trailer { at: number(16), len: number(24) };
        let end = trailer.at.checked_add(trailer.len)?.checked_add(LEN as u64)?;
        (trailer.to_bytes() == *bytes && end == file_len).then_some(trailer)
    }
}

/// The trailer of a program; `None` when it carries no bundle.
pub(crate) fn find(file: &mut File) -> io::Result<Option<Trailer>> {
    let len = file.metadata()?.len();
    if len < LEN as u64 {
        return Ok(None);
    }
    let mut bytes = [0; LEN];
    file.seek(SeekFrom::Start(len - LEN as u64))?;
    file.read_exact(&mut bytes)?;
    Ok(Trailer::parse(&bytes, len))
}

/// Writes a program: the executable at `stark` with the bundle at `bundle` behind it.
pub fn write(stark: &Path, bundle: &Path, out: &mut File) -> Result<(), BundleError> {
    let cannot = |path: &Path| format!("cannot read {}", path.display());
    let mut own = File::open(stark).map_err(BundleError::io(cannot(stark)))?;
    if let Some(Trailer { at, .. }) = find(&mut own).map_err(BundleError::io(cannot(stark)))? {
        let reason = format!("{} carries a bundle already, from byte {at}; use a plain stark", stark.display());
        return Err(BundleError::Source(reason));
    }
    own.seek(SeekFrom::Start(0)).map_err(BundleError::io(cannot(stark)))?;
    let cannot_write = || BundleError::io("cannot write the program");
    let n = io::copy(&mut own, out).map_err(cannot_write())?;
    let at = n.next_multiple_of(ALIGNMENT as u64);
    out.write_all(&[0; ALIGNMENT][..(at - n) as usize]).map_err(cannot_write())?;
    let mut bundle_file = File::open(bundle).map_err(BundleError::io(cannot(bundle)))?;
    let len = io::copy(&mut bundle_file, out).map_err(cannot_write())?;
    out.write_all(&Trailer { at, len }.to_bytes()).map_err(cannot_write())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_is_read_back_and_a_changed_one_is_none() {
        let trailer = Trailer { at: 128, len: 1000 };
        let bytes = trailer.to_bytes();
        assert_eq!(Trailer::parse(&bytes, 1192), Some(trailer));
        assert_eq!(Trailer::parse(&bytes, 1193), None);
        for at in 0..LEN {
            let mut changed = bytes;
            changed[at] ^= 4;
            assert_eq!(Trailer::parse(&changed, 1192), None, "byte {at}");
        }
    }
}
