//! The `.starkbc` container: header, table of contents, sections.
//!
//! All numbers are little-endian. A file opens with a header of 64 bytes:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 4 | format version, [`VERSION`] |
//! | 12 | 4 | number of sections |
//! | 16 | 8 | length of the file |
//! | 24 | 4 | CRC-32 of the header (with zeros here) and the table of contents |
//! | 28 | 36 | zeros |
//!
//! Then, for each section, a row of 32 bytes: kind (4), flags (4; bit 0: may be skipped by who does not know it),
//! offset (8), length (8), CRC-32 of the section (4), zeros (4). Sections follow in the order of the table, each at the
//! next multiple of 64 so that they can be read in place from a memory map; bytes between them are zeros. Nothing
//! else is allowed, so one module has exactly one file and every changed bit is noticed.
//!
//! A bundle has three sections more. `assets` is its manifest: what it carries and needs, with a hash (BLAKE3) of each asset.
//! `asset data` comes last and holds the assets in the order of the manifest, each at the next multiple of 64, with zeros
//! between them. Only its length is checked when a file is read: bit 1 of its flags says so, and its checksum is zero;
//! an asset is held against its hash before its first use, so that a program starts at once however much it carries.
//! `signature` is a public key (32) and an Ed25519 signature (64) of the digest of all other sections but the asset
//! data, whose hashes are in the manifest.
//!
//! What is in a section: `sections`, `manifest`. Reading never reserves more than the bytes that are left can fill.

mod error;
mod manifest;
mod reader;
mod sections;
mod writer;

pub use error::{FormatError, FormatErrorReason};
pub use manifest::Signature;

use crate::manifest::Manifest;
use crate::module::Module;
use reader::Reader;

/// The first bytes of every file; the first of them keeps it from being taken for text.
pub const MAGIC: [u8; 8] = *b"\x7FSTARKBC";
/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 3;
/// More sections than this are refused.
pub const MAX_SECTIONS: u32 = 64;
/// Sections start at multiples of this.
pub const ALIGNMENT: usize = 64;

const HEADER_LEN: usize = 64;
const ROW_LEN: usize = 32;
const CRC_AT: usize = 24;
const FLAG_OPTIONAL: u32 = 1;
const FLAG_UNCHECKED: u32 = 2;

macro_rules! define_sections {
    ($( $(#[doc = $doc:literal])* $Name:ident = $number:literal, $name:literal, optional: $optional:literal; )*) => {
        /// A kind of section. The numbers are part of the file format.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum SectionKind { $( $(#[doc = $doc])* $Name = $number, )* }

        impl SectionKind {
            pub const ALL: &[SectionKind] = &[$(SectionKind::$Name),*];
            pub fn name(self) -> &'static str { match self { $(SectionKind::$Name => $name),* } }
            pub fn doc(self) -> &'static str { match self { $(SectionKind::$Name => concat!($($doc),*)),* } }
            /// Whether a reader that does not know this kind may skip it.
            pub fn optional(self) -> bool { match self { $(SectionKind::$Name => $optional),* } }
            pub fn from_number(number: u32) -> Option<SectionKind> {
                match number { $($number => Some(SectionKind::$Name),)* _ => None }
            }
        }
    };
}

define_sections! {
    /// The entry function, and the method that gives an error's message.
    Main = 1, "main", optional: false;
    /// The types, as the VM needs them to copy, drop, print, compare and hash values.
    Types = 2, "types", optional: false;
    /// Scalar constants, 8 bytes each.
    Scalars = 3, "scalars", optional: false;
    /// Text constants.
    Strings = 4, "strings", optional: false;
    /// Bytes constants.
    Blobs = 5, "blobs", optional: false;
    /// Natives that the module uses, at concrete types.
    Natives = 6, "natives", optional: false;
    /// Values made once and read from every task.
    Globals = 7, "globals", optional: false;
    /// Methods of dynamic values and what implements them.
    Methods = 8, "methods", optional: false;
    /// Types of the errors that the VM throws.
    Faults = 9, "faults", optional: false;
    /// Functions: signature, registers, handlers, number of words of code.
    Functions = 10, "functions", optional: false;
    /// The words of all functions, one after the other.
    Code = 11, "code", optional: false;
    /// Source files and line tables.
    Lines = 12, "lines", optional: true;
    /// Names of registers.
    DebugNames = 13, "debug names", optional: true;
    /// The manifest of a bundle: its package, what it needs of the host, the assets it carries.
    Assets = 14, "assets", optional: false;
    /// Who signed a bundle, and the signature.
    Signature = 15, "signature", optional: true;
    /// The assets of a bundle, one after the other.
    AssetData = 16, "asset data", optional: false;
}

impl SectionKind {
    /// The flags of a section of this kind.
    pub fn flags(self) -> u32 {
        let unchecked = if self == SectionKind::AssetData { FLAG_UNCHECKED } else { 0 };
        u32::from(self.optional()) | unchecked
    }
}

/// A file in the making: what it holds but for the asset data.
pub struct Draft {
    pub sections: Vec<(SectionKind, Vec<u8>)>,
    /// Bytes of asset data that follow.
    data_len: Option<u64>,
}

impl Draft {
    pub fn of_module(module: &Module) -> Draft {
        Draft { sections: sections::write(module), data_len: None }
    }

    /// `None` when the assets of the manifest take more bytes than there are numbers.
    pub fn of_bundle(module: &Module, manifest: &Manifest) -> Option<Draft> {
        let mut draft = Draft::of_module(module);
        draft.sections.push((SectionKind::Assets, manifest::write(manifest)));
        draft.data_len = Some(manifest.layout()?.1);
        Some(draft)
    }

    pub fn sign(&mut self, signature: Signature) {
        self.sections.push((SectionKind::Signature, signature.to_bytes()));
    }

    /// The file up to the first byte of the asset data; without any it is the whole file.
    pub fn finish(self) -> Vec<u8> {
        let n_rows = self.sections.len() + usize::from(self.data_len.is_some());
        let mut bytes = vec![0; HEADER_LEN + n_rows * ROW_LEN];
        let row = |bytes: &mut [u8], i: usize, kind: SectionKind, offset: u64, len: u64, crc: u32| {
            let row = HEADER_LEN + i * ROW_LEN;
            put(bytes, row, &(kind as u32).to_le_bytes());
            put(bytes, row + 4, &kind.flags().to_le_bytes());
            put(bytes, row + 8, &offset.to_le_bytes());
            put(bytes, row + 16, &len.to_le_bytes());
            put(bytes, row + 24, &crc.to_le_bytes());
        };
        for (i, (kind, section)) in self.sections.iter().enumerate() {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            let offset = bytes.len() as u64;
            row(&mut bytes, i, *kind, offset, section.len() as u64, crc32fast::hash(section));
            bytes.extend_from_slice(section);
        }
        if let Some(len) = self.data_len {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            let offset = bytes.len() as u64;
            row(&mut bytes, n_rows - 1, SectionKind::AssetData, offset, len, 0);
        }
        // No file is that long; readers refuse what says so.
        let len = (bytes.len() as u64).saturating_add(self.data_len.unwrap_or(0));
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 12, &(n_rows as u32).to_le_bytes());
        put(&mut bytes, 16, &len.to_le_bytes());
        let crc = header_crc(&bytes[..HEADER_LEN + n_rows * ROW_LEN]);
        put(&mut bytes, CRC_AT, &crc.to_le_bytes());
        bytes
    }
}

/// The file of `module`: the same bytes for equal modules.
pub fn encode(module: &Module) -> Vec<u8> {
    Draft::of_module(module).finish()
}

/// The module in `bytes`, which still has to be verified. Gives an error with its place for any other bytes.
pub fn decode(bytes: &[u8]) -> Result<Module, FormatError> {
    decode_file(bytes, bytes.len() as u64).map(|file| file.module)
}

/// What is in a file.
#[derive(Debug)]
pub struct Decoded {
    pub module: Module,
    /// Of a bundle.
    pub manifest: Option<Manifest>,
    pub signature: Option<Signature>,
    /// Where the asset data begins.
    pub data_at: u64,
    /// In the order of the file.
    pub sections: Vec<Section>,
}

/// A section of a file: inside it, and with a right checksum but for the asset data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    pub number: u32,
    /// `None` when this build does not know it.
    pub kind: Option<SectionKind>,
    pub flags: u32,
    pub offset: u64,
    pub len: u64,
}

impl Section {
    fn name(&self) -> &'static str {
        self.kind.map_or("table of contents", SectionKind::name)
    }

    fn error(&self, reason: FormatErrorReason) -> FormatError {
        FormatError { section: self.name(), offset: self.offset, reason }
    }

    /// Its bytes; the asset data has none here.
    pub fn bytes<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let start = self.offset as usize;
        head.get(start..start + self.len as usize).unwrap_or_default()
    }

    fn reader<'a>(&self, head: &'a [u8]) -> Reader<'a> {
        Reader::new(self.name(), self.offset as usize, self.bytes(head))
    }
}

/// The longest that the header with the table of contents can be.
pub const MAX_TOC: usize = HEADER_LEN + MAX_SECTIONS as usize * ROW_LEN;

/// How much of a file has to be in memory to decode it: all but the asset data. `start` is its first [`MAX_TOC`] bytes, or
/// all when it is shorter. Nothing is checked: whatever the answer is, [`decode_file`] refuses what is wrong.
pub fn head_len(start: &[u8], file_len: u64) -> u64 {
    if start.len() < HEADER_LEN {
        return file_len;
    }
    let rows = start[HEADER_LEN..].chunks_exact(ROW_LEN).take(u32_at(start, 12).min(MAX_SECTIONS) as usize);
    let data = rows.into_iter().find(|row| u32_at(row, 0) == SectionKind::AssetData as u32);
    data.map_or(file_len, |row| u64_at(row, 8).min(file_len))
}

/// What is in a file of `file_len` bytes that begins with `head`, which may end where the asset data begins.
pub fn decode_file(head: &[u8], file_len: u64) -> Result<Decoded, FormatError> {
    let found = table_of_contents(head, file_len)?;
    let manifest = manifest::read(head, &found)?;
    let signature = manifest::read_signature(head, &found)?;
    let module = sections::read(head, &found)?;
    let data = found.iter().find(|section| section.kind == Some(SectionKind::AssetData));
    Ok(Decoded { module, manifest, signature, data_at: data.map_or(file_len, |data| data.offset), sections: found })
}

type Found = Vec<Section>;

fn table_of_contents(bytes: &[u8], file_len: u64) -> Result<Found, FormatError> {
    let error = |section, offset: usize, reason| FormatError { section, offset: offset as u64, reason };
    let left = bytes.len() as u64;
    if bytes.len() >= MAGIC.len() && bytes[..MAGIC.len()] != MAGIC {
        return Err(error("header", 0, FormatErrorReason::NotStarkbc));
    }
    // The version comes before everything else: a newer header may look different behind it.
    if bytes.len() >= 12 && u32_at(bytes, 8) != VERSION {
        return Err(error("header", 8, FormatErrorReason::WrongVersion { found: u32_at(bytes, 8) }));
    }
    if bytes.len() < HEADER_LEN {
        return Err(error("header", 0, FormatErrorReason::Truncated { wanted: HEADER_LEN as u64, left }));
    }
    let n_sections = u32_at(bytes, 12);
    if n_sections > MAX_SECTIONS {
        return Err(error("header", 12, FormatErrorReason::TooManySections { found: n_sections }));
    }
    let stated = u64_at(bytes, 16);
    if stated != file_len {
        return Err(error("header", 16, FormatErrorReason::WrongLength { stated, found: file_len }));
    }
    let toc_end = HEADER_LEN + n_sections as usize * ROW_LEN;
    if bytes.len() < toc_end {
        let wanted = (n_sections as usize * ROW_LEN) as u64;
        let left = left - HEADER_LEN as u64;
        return Err(error("table of contents", HEADER_LEN, FormatErrorReason::Truncated { wanted, left }));
    }
    let crc = header_crc(&bytes[..toc_end]);
    if crc != u32_at(bytes, CRC_AT) {
        let reason = FormatErrorReason::WrongChecksum { stated: u32_at(bytes, CRC_AT), found: crc };
        return Err(error("header", CRC_AT, reason));
    }
    if bytes[CRC_AT + 4..HEADER_LEN].iter().any(|&byte| byte != 0) {
        return Err(error("header", CRC_AT + 4, FormatErrorReason::NotZero));
    }

    let mut found: Found = Vec::with_capacity(n_sections as usize);
    let mut end = toc_end;
    let mut data_len = 0;
    for i in 0..n_sections as usize {
        let row = HEADER_LEN + i * ROW_LEN;
        let number = u32_at(bytes, row);
        let section = Section {
            number,
            kind: SectionKind::from_number(number),
            flags: u32_at(bytes, row + 4),
            offset: u64_at(bytes, row + 8),
            len: u64_at(bytes, row + 16),
        };
        let Section { kind, flags, offset, len, .. } = section;
        let name = section.name();
        if kind.map_or(flags & !FLAG_OPTIONAL != 0, |kind| kind.flags() != flags) {
            return Err(error(name, row + 4, FormatErrorReason::WrongFlags { flags }));
        }
        if kind.is_none() && flags & FLAG_OPTIONAL == 0 {
            return Err(error(name, row, FormatErrorReason::UnknownSection { kind: number }));
        }
        if u32_at(bytes, row + 28) != 0 {
            return Err(error(name, row + 28, FormatErrorReason::NotZero));
        }
        let start = end.next_multiple_of(ALIGNMENT);
        if offset != start as u64 {
            let reason = FormatErrorReason::Misplaced { stated: offset, expected: start as u64 };
            return Err(error(name, row + 8, reason));
        }
        let is_data = kind == Some(SectionKind::AssetData);
        let left = if is_data { file_len } else { bytes.len() as u64 }.saturating_sub(start as u64);
        if start > bytes.len() || len > left {
            return Err(error(name, row + 16, FormatErrorReason::Truncated { wanted: len, left }));
        }
        if bytes[end..start].iter().any(|&byte| byte != 0) {
            return Err(error(name, end, FormatErrorReason::NotZero));
        }
        if found.iter().any(|other| other.number == number) {
            return Err(error(name, row, FormatErrorReason::DuplicateSection));
        }
        let stated = u32_at(bytes, row + 24);
        if is_data {
            if i + 1 != n_sections as usize {
                return Err(error(name, row, FormatErrorReason::NotLast));
            }
            if stated != 0 {
                return Err(error(name, row + 24, FormatErrorReason::NotZero));
            }
            (end, data_len) = (start, len);
        } else {
            end = start + len as usize;
            let crc = crc32fast::hash(&bytes[start..end]);
            if crc != stated {
                return Err(error(name, start, FormatErrorReason::WrongChecksum { stated, found: crc }));
            }
        }
        found.push(section);
    }
    let end = end as u64 + data_len;
    if end != file_len {
        let reason = FormatErrorReason::LeftOver { bytes: file_len - end };
        return Err(FormatError { section: "table of contents", offset: end, reason });
    }
    Ok(found)
}

/// `toc` is the header with the table of contents; its own checksum counts as zeros.
fn header_crc(toc: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&toc[..CRC_AT]);
    hasher.update(&[0; 4]);
    hasher.update(&toc[CRC_AT + 4..]);
    hasher.finalize()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
