//! The container of `.pt`, `.pth` and `.pt2` files: a zip, read strictly through its central directory.
//!
//! PyTorch's writer leaves sizes and checksums in local headers empty, pads payloads to 64 bytes with an
//! extra field there, and always writes a ZIP64 end record. So everything is taken from the central
//! directory; the local header only tells how long it is. A file that two readers could understand
//! differently (duplicate names, overlapping entries, names that disagree) is refused.
//!
//! Stored entries are ranges of the file, never copied. Deflated entries are inflated on demand, bounded by
//! [`MAX_INFLATED`], [`MAX_RATIO`] and [`MAX_INFLATED_TOTAL`], and stop at their announced size.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ModelError;
use crate::mapped::{FileBytes, SEALED_FROM};

/// The largest deflated entry, in bytes after inflating.
pub const MAX_INFLATED: u64 = 16 << 20;
/// The largest factor by which an entry may grow.
pub const MAX_RATIO: u64 = 200;
/// Up to this size, in bytes, an entry may grow by any factor.
pub const FREE_GROWTH: u64 = 1 << 20;
/// What all deflated entries of one archive may come to.
pub const MAX_INFLATED_TOTAL: u64 = 64 << 20;
/// How many entries an archive may have.
pub const MAX_ENTRIES: u64 = 1 << 20;

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const FLAG_ENCRYPTED: u16 = 1;

/// One file inside the archive.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// The payload in the file, compressed or not.
    pub data: Range<usize>,
    /// Size after inflating, in bytes.
    pub size: u64,
    crc: u32,
    deflated: bool,
}

/// An archive whose directory passed every check.
#[derive(Debug)]
pub struct Archive {
    file: Arc<str>,
    bytes: FileBytes,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    inflated: AtomicU64,
}

impl Archive {
    /// Reads and checks the directory of `bytes`; `file` is the name for errors.
    pub fn open(file: &Arc<str>, bytes: FileBytes) -> Result<Archive, ModelError> {
        let directory = Directory::find(&bytes).map_err(|reason| refuse(file, None, reason))?;
        let mut entries = Vec::new();
        let mut by_name = HashMap::new();
        let mut spans = Vec::new();
        let mut at = directory.start;
        for _ in 0..directory.n_entries {
            let (central, next) = Central::parse(&bytes[..directory.end], at).map_err(|r| refuse(file, None, r))?;
            at = next;
            let (span, entry) =
                central.locate(&bytes, directory.start).map_err(|r| refuse(file, Some(&central.name), r))?;
            if by_name.insert(entry.name.clone(), entries.len()).is_some() {
                return Err(refuse(file, Some(&entry.name), "two entries have this name"));
            }
            spans.push((span, entries.len()));
            entries.push(entry);
        }
        if at != directory.end {
            return Err(refuse(file, None, "the central directory is longer than its entries"));
        }
        spans.sort_by_key(|(span, _)| (span.start, span.end));
        for pair in spans.windows(2) {
            if pair[0].0.end > pair[1].0.start {
                let (a, b) = (&entries[pair[0].1].name, &entries[pair[1].1].name);
                return Err(refuse(file, Some(b), format!("overlaps entry `{a}`")));
            }
        }
        let archive = Archive { file: file.clone(), bytes, entries, by_name, inflated: AtomicU64::new(0) };
        archive.entries.iter().try_for_each(|entry| archive.check_growth(entry))?;
        Ok(archive)
    }

    /// The name of the archive's file, for errors.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// All entries, in the order of the directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|&idx| &self.entries[idx])
    }

    /// The content of an entry, inflated when needed, with its checksum verified.
    pub fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, ModelError> {
        let entry = self.get(name).ok_or_else(|| refuse(&self.file, Some(name), "is missing"))?;
        let payload = &self.bytes[entry.data.clone()];
        let content = if entry.deflated { Cow::Owned(self.inflate(entry, payload)?) } else { Cow::Borrowed(payload) };
        self.check_crc(entry, &content)?;
        Ok(content)
    }

    /// The range of the file that holds a stored entry, and the file. The checksum is verified, or becomes a seal, which
    /// [`Model::load`](crate::Model::load) tests.
    pub fn stored(&self, name: &str) -> Result<(FileBytes, Range<usize>), ModelError> {
        let entry = self.get(name).ok_or_else(|| refuse(&self.file, Some(name), "is missing"))?;
        if entry.deflated {
            return Err(refuse(&self.file, Some(name), "tensor data must be stored, not deflated"));
        }
        match self.bytes.seals().filter(|_| entry.data.len() >= SEALED_FROM) {
            Some(seals) => seals.add(&entry.name, entry.data.clone(), entry.crc),
            None => self.check_crc(entry, &self.bytes[entry.data.clone()])?,
        }
        Ok((self.bytes.clone(), entry.data.clone()))
    }

    /// Whether an entry announces more than an honest one would.
    fn check_growth(&self, entry: &Entry) -> Result<(), ModelError> {
        if !entry.deflated {
            return Ok(());
        }
        let packed = entry.data.len() as u64;
        if entry.size > MAX_INFLATED {
            let reason = format!("inflates to {} bytes, the limit is {MAX_INFLATED}", entry.size);
            return Err(refuse(&self.file, Some(&entry.name), reason));
        }
        if entry.size > FREE_GROWTH && entry.size > packed.saturating_mul(MAX_RATIO) {
            let reason = format!("inflates {packed} bytes to {}, the limit is {MAX_RATIO}:1", entry.size);
            return Err(refuse(&self.file, Some(&entry.name), reason));
        }
        Ok(())
    }

    fn inflate(&self, entry: &Entry, payload: &[u8]) -> Result<Vec<u8>, ModelError> {
        let fail = |reason: String| refuse(&self.file, Some(&entry.name), reason);
        let total = self.inflated.fetch_add(entry.size, Ordering::Relaxed).saturating_add(entry.size);
        if total > MAX_INFLATED_TOTAL {
            return Err(fail(format!("the archive inflates to more than {MAX_INFLATED_TOTAL} bytes")));
        }
        let content = miniz_oxide::inflate::decompress_to_vec_with_limit(payload, entry.size as usize)
            .map_err(|e| fail(format!("does not inflate: {:?}", e.status)))?;
        if content.len() as u64 != entry.size {
            return Err(fail(format!("inflates to {} bytes, the directory says {}", content.len(), entry.size)));
        }
        Ok(content)
    }

    fn check_crc(&self, entry: &Entry, content: &[u8]) -> Result<(), ModelError> {
        let found = crc32fast::hash(content);
        match found == entry.crc {
            true => Ok(()),
            false => Err(damaged(&self.file, &entry.name, found, entry.crc)),
        }
    }
}

/// Tests what [`Archive::stored`] has sealed of `bytes`, if anything.
pub fn test_seals(file: &Arc<str>, bytes: &FileBytes) -> Result<(), ModelError> {
    let tested = bytes.seals().map_or(Ok(()), |seals| seals.test(bytes));
    tested.map_err(|broken| damaged(file, &broken.entry, broken.found, broken.expected))
}

fn damaged(file: &Arc<str>, entry: &str, found: u32, expected: u32) -> ModelError {
    refuse(file, Some(entry), format!("CRC-32 is {found:08x}, the directory says {expected:08x}: the file is damaged"))
}

fn refuse(file: &Arc<str>, entry: Option<&str>, reason: impl Into<String>) -> ModelError {
    ModelError::Archive { file: file.clone(), entry: entry.map(str::to_string), reason: reason.into() }
}

/// Where the central directory lies.
struct Directory {
    start: usize,
    end: usize,
    n_entries: u64,
}

impl Directory {
    fn find(bytes: &[u8]) -> Result<Directory, String> {
        let end_at = Self::find_end(bytes).ok_or("no end-of-central-directory record: the file is cut or no zip")?;
        let end = Fields { bytes, at: end_at };
        let (disk, start_disk) = (end.u16(4)?, end.u16(6)?);
        let (mut on_disk, mut n_entries) = (u64::from(end.u16(8)?), u64::from(end.u16(10)?));
        let (mut size, mut start) = (u64::from(end.u32(12)?), u64::from(end.u32(16)?));
        if disk != 0 || start_disk != 0 {
            return Err("archives of several disks are refused".into());
        }
        let mut limit = end_at;
        if let Some(locator_at) = end_at.checked_sub(20)
            && (Fields { bytes, at: locator_at }).u32(0)? == LOCATOR64
        {
            let end64_at = usize::try_from(Fields { bytes, at: locator_at }.u64(8)?)
                .map_err(|_| "the ZIP64 end record lies outside the file")?;
            let end64 = Fields { bytes, at: end64_at };
            if end64_at >= locator_at || end64.u32(0)? != END64 {
                return Err("the ZIP64 locator does not point at a ZIP64 end record".into());
            }
            limit = end64_at;
            for (ordinary, sentinel, wide) in [
                (&mut on_disk, u64::from(u16::MAX), end64.u64(24)?),
                (&mut n_entries, u64::from(u16::MAX), end64.u64(32)?),
                (&mut size, u64::from(u32::MAX), end64.u64(40)?),
                (&mut start, u64::from(u32::MAX), end64.u64(48)?),
            ] {
                if *ordinary == sentinel {
                    *ordinary = wide;
                } else if *ordinary != wide {
                    return Err("the ZIP64 end record and the ordinary one disagree".into());
                }
            }
        }
        if on_disk != n_entries {
            return Err("archives of several disks are refused".into());
        }
        if n_entries > MAX_ENTRIES {
            return Err(format!("{n_entries} entries, the limit is {MAX_ENTRIES}"));
        }
        match start.checked_add(size) {
            Some(stop) if stop <= limit as u64 && n_entries.saturating_mul(46) <= size => {
                Ok(Directory { start: start as usize, end: stop as usize, n_entries })
            }
            _ => Err(format!("the central directory ({size} bytes at {start}) does not fit in the file")),
        }
    }

    /// The last end record whose comment reaches exactly to the end of the file.
    fn find_end(bytes: &[u8]) -> Option<usize> {
        let last = bytes.len().checked_sub(22)?;
        let first = last.saturating_sub(usize::from(u16::MAX));
        (first..=last).rev().find(|&at| {
            let fields = Fields { bytes, at };
            fields.u32(0) == Ok(END) && fields.u16(20).is_ok_and(|len| at + 22 + usize::from(len) == bytes.len())
        })
    }
}

/// One record of the central directory.
struct Central {
    name: String,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    local_at: u64,
}

impl Central {
    fn parse(bytes: &[u8], at: usize) -> Result<(Central, usize), String> {
        let fields = Fields { bytes, at };
        if fields.u32(0)? != CENTRAL {
            return Err(format!("no central directory record at byte {at}"));
        }
        let (flags, method, crc) = (fields.u16(8)?, fields.u16(10)?, fields.u32(16)?);
        let (mut packed, mut size) = (u64::from(fields.u32(20)?), u64::from(fields.u32(24)?));
        let (n_name, n_extra, n_comment) =
            (usize::from(fields.u16(28)?), usize::from(fields.u16(30)?), usize::from(fields.u16(32)?));
        let mut local_at = u64::from(fields.u32(42)?);
        let name = std::str::from_utf8(fields.slice(46, n_name)?)
            .map_err(|_| format!("the entry name at byte {at} is not UTF-8"))?
            .to_string();
        let mut extra = fields.slice(46 + n_name, n_extra)?;
        while extra.len() >= 4 {
            let (id, len) = (u16::from_le_bytes([extra[0], extra[1]]), u16::from_le_bytes([extra[2], extra[3]]));
            let body = extra.get(4..4 + usize::from(len)).ok_or("an extra field runs past its record")?;
            if id == 1 {
                let mut wide = body.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap_or_default()));
                for field in [&mut size, &mut packed, &mut local_at] {
                    if *field == u64::from(u32::MAX) {
                        *field = wide.next().ok_or("a ZIP64 extra field is too short")?;
                    }
                }
            }
            extra = &extra[4 + usize::from(len)..];
        }
        fields.slice(46 + n_name + n_extra, n_comment)?;
        if flags & FLAG_ENCRYPTED != 0 {
            return Err(format!("entry `{name}` is encrypted"));
        }
        let central = Central { name, method, crc, packed, size, local_at };
        Ok((central, at + 46 + n_name + n_extra + n_comment))
    }

    /// Finds the payload; the span covers header and payload. Nothing may reach past `limit`.
    fn locate(&self, bytes: &[u8], limit: usize) -> Result<(Range<usize>, Entry), String> {
        let unsafe_part = self.name.split('/').any(|part| part == "..");
        if self.name.is_empty() || self.name.starts_with('/') || self.name.contains(['\\', '\0']) || unsafe_part {
            return Err("unsafe entry name".into());
        }
        let deflated = match self.method {
            STORED if self.packed != self.size => {
                return Err(format!("stored, yet {} bytes become {}", self.packed, self.size));
            }
            STORED => false,
            DEFLATED => true,
            method => return Err(format!("compression method {method} is refused")),
        };
        let at = usize::try_from(self.local_at).map_err(|_| "the local header lies outside the file")?;
        if at >= limit {
            return Err(format!("the local header at byte {at} lies outside the file"));
        }
        let local = Fields { bytes: &bytes[..limit], at };
        if local.u32(0)? != LOCAL {
            return Err(format!("no local header at byte {at}"));
        }
        let (n_name, n_extra) = (usize::from(local.u16(26)?), usize::from(local.u16(28)?));
        if local.slice(30, n_name)? != self.name.as_bytes() {
            return Err("the local header has another name".into());
        }
        local.slice(30 + n_name, n_extra)?;
        let start = at + 30 + n_name + n_extra;
        let end = usize::try_from(self.packed).ok().and_then(|n| start.checked_add(n)).filter(|&end| end <= limit);
        let end = end.ok_or_else(|| format!("{} bytes at {start} reach past the end of the entries", self.packed))?;
        let entry = Entry { name: self.name.clone(), data: start..end, size: self.size, crc: self.crc, deflated };
        Ok((at..end, entry))
    }
}

/// Little-endian fields relative to `at`, bounds checked.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn slice(&self, offset: usize, len: usize) -> Result<&[u8], String> {
        let start = self.at.checked_add(offset);
        start
            .and_then(|start| self.bytes.get(start..start.checked_add(len)?))
            .ok_or_else(|| format!("a record at byte {} runs past the end", self.at))
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(offset, N)?);
        Ok(out)
    }

    fn u16(&self, offset: usize) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array(offset)?))
    }

    fn u32(&self, offset: usize) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array(offset)?))
    }

    fn u64(&self, offset: usize) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array(offset)?))
    }
}
