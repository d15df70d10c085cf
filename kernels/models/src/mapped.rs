//! The bytes of a model file: read into memory when small, mapped when large.
//!
//! A mapped file that shrinks while it is in use raises SIGBUS in whoever touches the lost pages. Small
//! files are therefore read; from [`MAP_FROM`] on, the cost of a second copy outweighs that, and the
//! documentation of [`crate::Model::load`] says that such a file must not be changed while it is loaded.
//!
//! The only unsafe code of this crate is the call that maps.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// Files of this size or more are mapped instead of read.
pub const MAP_FROM: u64 = 64 << 20;

/// The whole file, shared by every tensor that points into it.
#[derive(Clone)]
pub struct FileBytes(Arc<Source>);

enum Source {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl FileBytes {
    /// Reads or maps `path`.
    pub fn open(path: &Path) -> std::io::Result<FileBytes> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "is a directory"));
        }
        if meta.is_file() && meta.len() >= MAP_FROM {
            // SAFETY: the mapping is private and read-only, and is never handed out as `&mut`. Another process
            // that truncates the file can end this one by SIGBUS; `Model::load` documents that duty of the caller.
            let map = unsafe { memmap2::Mmap::map(&file)? };
            return Ok(FileBytes(Arc::new(Source::Mapped(map))));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Whether the bytes are a mapping, whose checksums are not verified because that would read every page.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.0, Source::Mapped(_))
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> FileBytes {
        FileBytes(Arc::new(Source::Read(bytes)))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Source::Read(bytes) => bytes,
            Source::Mapped(map) => map,
        }
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({} bytes)", self.len())
    }
}
