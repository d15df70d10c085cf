//! The bytes of a model file: read into memory when small, mapped when large.
//!
//! A mapped file that shrinks while it is in use raises SIGBUS in whoever touches the lost pages. Small
//! files are therefore read; from [`MAP_FROM`] on, the cost of a second copy outweighs that, and the
//! documentation of [`crate::Model::load`] says that such a file must not be changed until its weights are packed.
//!
//! Weights that are packed while a model loads are read from the file: [`stark_kernels::cpu::pages`]. Others are looked at where they
//! are mapped, until `prepack` has packed them.
//!
//! The assets of a bundle are ranges of one mapping: [`FileBytes::map`] and [`FileBytes::slice`].
//!
//! The only unsafe code of this crate is the call that maps.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use stark_kernels::cpu::pages::Pages;
use stark_kernels::{DType, Tensor};

use crate::seals::Seals;

/// Files of this size or more are mapped instead of read.
pub const MAP_FROM: u64 = 16 << 20;
/// Files of this size or more are read into pages of their own, which tensors can point into, and which the system has back as
/// soon as nobody needs them: an allocator would keep them.
const PAGES_FROM: u64 = 64 << 10;
/// Bytes of what does not say how many it has: as much as the library reads of a file at once.
const MAX_UNSIZED: u64 = 4 << 30;
/// A large page of x86-64 and of most ARM systems.
const LARGE_PAGE: usize = 2 << 20;
/// So many bytes of numbers cost more to copy than to keep track of; a guess.
const LENT_FROM: usize = 4 << 10;
/// So many bytes of an entry cost more to read twice than to keep a seal; a guess.
pub const SEALED_FROM: usize = 64 << 10;

/// A file or a part of one, shared by every tensor that points into it.
#[derive(Clone)]
pub struct FileBytes {
    source: Arc<Source>,
    range: Range<usize>,
    /// Of a file that is read in parts while it is loaded.
    seals: Option<Arc<Seals>>,
}

enum Source {
    Read(Vec<u8>),
    /// The file's own, or such as it was read into.
    Pages(Arc<Pages>),
}

impl FileBytes {
    /// Reads or maps `path`. What tells no size (a pipe, a device) is read as long as tensors may take its bytes, and up to 4 GiB.
    pub fn open(path: &Path) -> std::io::Result<FileBytes> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "is a directory"));
        }
        if meta.is_file() && meta.len() >= MAP_FROM {
            let seals = Arc::new(Seals::default());
            let pages = pages(&file)?.seen_by(seals.clone());
            let range = 0..pages.bytes().len();
            return Ok(FileBytes { source: Arc::new(Source::Pages(Arc::new(pages))), range, seals: Some(seals) });
        }
        if meta.is_file() && meta.len() >= PAGES_FROM {
            // One that is cut meanwhile is an error.
            let n = meta.len() as usize;
            let room = if n < LARGE_PAGE / 4 { 0 } else { LARGE_PAGE };
            let mut pages = memmap2::MmapMut::map_anon(n.next_multiple_of(room.max(1)) + room)?;
            // One fault takes in 2 MiB, from where such pages begin; a system without large pages serves small ones.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            let start = pages.as_ptr().align_offset(room.max(1));
            let range = start..start + n;
            file.read_exact(&mut pages[range.clone()])?;
            return Ok(FileBytes {
                source: Arc::new(Source::Pages(Arc::new(Pages::new(pages.make_read_only()?, None)))),
                range,
                seals: None,
            });
        }
        let most = MAX_UNSIZED.min(stark_kernels::max_tensor_bytes() as u64);
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(std::io::Error::other(format!("it has more than {most} bytes and does not say how many")));
        }
        Ok(bytes.into())
    }

    /// Maps a file of any size: nothing is read before it is looked at.
    pub fn map(file: &File) -> std::io::Result<FileBytes> {
        let pages = pages(file)?;
        let range = 0..pages.bytes().len();
        Ok(FileBytes { source: Arc::new(Source::Pages(Arc::new(pages))), range, seals: None })
    }

    /// Where checksums can wait until the bytes are read, from [`SEALED_FROM`] of them on.
    pub fn seals(&self) -> Option<&Seals> {
        self.seals.as_deref()
    }

    /// A part of these bytes, without a copy; `None` when it is not inside them.
    pub fn slice(&self, range: Range<usize>) -> Option<FileBytes> {
        self.get(range.clone())?;
        let start = self.range.start;
        // What a seal is of is counted from the beginning of the file.
        Some(FileBytes { source: self.source.clone(), range: start + range.start..start + range.end, seals: None })
    }

    /// The numbers in `bytes`, a part of these. Many of them stay where they are until the model is loaded:
    /// [`crate::place::keep_constants`] copies what it needs further on.
    pub fn tensor(&self, bytes: &[u8], dtype: DType, shape: &[usize]) -> stark_kernels::Result<Tensor> {
        let lent = match &*self.source {
            Source::Pages(pages) if bytes.len() >= LENT_FROM => {
                let start = bytes.as_ptr().addr().wrapping_sub(pages.bytes().as_ptr().addr());
                Tensor::lent(pages, start..start.saturating_add(bytes.len()), dtype, shape)?
            }
            _ => None,
        };
        lent.map_or_else(|| Tensor::from_bytes(bytes, dtype, shape), Ok)
    }

    /// Whether the bytes lie in pages of their own, as those of a mapped file do.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.source, Source::Pages(_))
    }
}

fn pages(file: &File) -> std::io::Result<Pages> {
    // SAFETY: the mapping is private and read-only, and is never handed out as `&mut`. Another process that truncates
    // the file can end this one by SIGBUS; `Model::load` and `docs/bundles.md` document that duty of the caller.
    let map = unsafe { memmap2::Mmap::map(file)? };
    // Without a second handle everything is looked at where it is mapped.
    Ok(Pages::new(map, file.try_clone().ok()))
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> FileBytes {
        let range = 0..bytes.len();
        FileBytes { source: Arc::new(Source::Read(bytes)), range, seals: None }
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &*self.source {
            Source::Read(bytes) => bytes,
            Source::Pages(pages) => pages.bytes(),
        };
        &all[self.range.clone()]
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
