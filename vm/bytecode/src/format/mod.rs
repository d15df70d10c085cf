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
//! What is in a section: `sections`. Reading never reserves more than the bytes that are left can fill.

mod reader;
mod sections;
mod writer;

use std::fmt;

use crate::module::Module;
use crate::words::CodeError;

/// The first bytes of every file; the first of them keeps it from being taken for text.
pub const MAGIC: [u8; 8] = *b"\x7FSTARKBC";
/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;
/// More sections than this are refused.
pub const MAX_SECTIONS: u32 = 64;
/// Sections start at multiples of this.
pub const ALIGNMENT: usize = 64;

const HEADER_LEN: usize = 64;
const ROW_LEN: usize = 32;
const CRC_AT: usize = 24;
const FLAG_OPTIONAL: u32 = 1;

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
    /// Reserved for what a bundle carries: models, tokenizers, data. This version writes none and skips it.
    Assets = 14, "assets", optional: true;
}

/// Why bytes are no module of this format, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The section's name, or `header`, or `table of contents`.
    pub section: &'static str,
    /// From the start of the file.
    pub offset: u64,
    pub reason: FormatErrorReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatErrorReason {
    NotStarkbc,
    WrongVersion {
        found: u32,
    },
    Truncated {
        wanted: u64,
        left: u64,
    },
    WrongLength {
        stated: u64,
        found: u64,
    },
    TooManySections {
        found: u32,
    },
    WrongChecksum {
        stated: u32,
        found: u32,
    },
    Misplaced {
        stated: u64,
        expected: u64,
    },
    UnknownSection {
        kind: u32,
    },
    WrongFlags {
        flags: u32,
    },
    DuplicateSection,
    MissingSection,
    NotZero,
    /// A number that is out of range, or not in its shortest form.
    BadNumber,
    /// A tag or flag with a meaning this version does not know.
    BadTag {
        what: &'static str,
        found: u64,
    },
    /// A count that the bytes left cannot hold.
    BadCount {
        count: u64,
        left: u64,
    },
    NotUtf8,
    /// The section has bytes after its last row.
    LeftOver {
        bytes: u64,
    },
    Code {
        function: u32,
        error: CodeError,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.section, self.offset)?;
        match &self.reason {
            FormatErrorReason::NotStarkbc => write!(f, "this is no .starkbc file, the first 8 bytes differ"),
            FormatErrorReason::WrongVersion { found } if *found > VERSION => write!(
                f,
                "the file has format version {found}, this build of STARK reads version {VERSION}; a newer STARK is needed"
            ),
            FormatErrorReason::WrongVersion { found } => write!(
                f,
                "the file has format version {found}, this build of STARK reads version {VERSION}; build the program again"
            ),
            FormatErrorReason::Truncated { wanted, left } => write!(f, "{wanted} bytes wanted, {left} left"),
            FormatErrorReason::WrongLength { stated, found } => {
                write!(f, "the header states a length of {stated} bytes, the file has {found}")
            }
            FormatErrorReason::TooManySections { found } => {
                write!(f, "{found} sections, the limit is {MAX_SECTIONS}")
            }
            FormatErrorReason::WrongChecksum { stated, found } => {
                write!(f, "the checksum is {found:#010x}, stated is {stated:#010x}; the file is damaged")
            }
            FormatErrorReason::Misplaced { stated, expected } => {
                write!(f, "the section is at byte {stated}, expected is {expected}")
            }
            FormatErrorReason::UnknownSection { kind } => {
                write!(f, "section kind {kind} is not known and may not be skipped")
            }
            FormatErrorReason::WrongFlags { flags } => write!(f, "flags {flags:#x} do not fit this section"),
            FormatErrorReason::DuplicateSection => write!(f, "the section is there twice"),
            FormatErrorReason::MissingSection => write!(f, "the section is missing"),
            FormatErrorReason::NotZero => write!(f, "bytes that must be zero are not"),
            FormatErrorReason::BadNumber => write!(f, "a number is out of range or not in its shortest form"),
            FormatErrorReason::BadTag { what, found } => write!(f, "{found} is no {what}"),
            FormatErrorReason::BadCount { count, left } => write!(f, "{count} rows cannot be in the {left} bytes left"),
            FormatErrorReason::NotUtf8 => write!(f, "a text is not UTF-8"),
            FormatErrorReason::LeftOver { bytes } => write!(f, "{bytes} bytes after the last row"),
            FormatErrorReason::Code { function, error } => write!(f, "function {function}, {error}"),
        }
    }
}

impl std::error::Error for FormatError {}

/// The file of `module`: the same bytes for equal modules.
pub fn encode(module: &Module) -> Vec<u8> {
    let sections = sections::write(module);
    let mut bytes = vec![0; HEADER_LEN + sections.len() * ROW_LEN];
    for (i, (kind, section)) in sections.iter().enumerate() {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let row = HEADER_LEN + i * ROW_LEN;
        let offset = bytes.len() as u64;
        put(&mut bytes, row, &(*kind as u32).to_le_bytes());
        put(&mut bytes, row + 4, &u32::from(kind.optional()).to_le_bytes());
        put(&mut bytes, row + 8, &offset.to_le_bytes());
        put(&mut bytes, row + 16, &(section.len() as u64).to_le_bytes());
        put(&mut bytes, row + 24, &crc32fast::hash(section).to_le_bytes());
        bytes.extend_from_slice(section);
    }
    let len = bytes.len() as u64;
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 8, &VERSION.to_le_bytes());
    put(&mut bytes, 12, &(sections.len() as u32).to_le_bytes());
    put(&mut bytes, 16, &len.to_le_bytes());
    let crc = header_crc(&bytes[..HEADER_LEN + sections.len() * ROW_LEN]);
    put(&mut bytes, CRC_AT, &crc.to_le_bytes());
    bytes
}

/// The module in `bytes`, which still has to be verified. Gives an error with its place for any other bytes.
pub fn decode(bytes: &[u8]) -> Result<Module, FormatError> {
    let found = table_of_contents(bytes)?;
    sections::read(bytes, &found)
}

/// Where known sections are: their kind, offset and length, all inside the file and with a right checksum.
type Found = Vec<(SectionKind, usize, usize)>;

fn table_of_contents(bytes: &[u8]) -> Result<Found, FormatError> {
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
    if stated != left {
        return Err(error("header", 16, FormatErrorReason::WrongLength { stated, found: left }));
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
    for i in 0..n_sections as usize {
        let row = HEADER_LEN + i * ROW_LEN;
        let (number, flags) = (u32_at(bytes, row), u32_at(bytes, row + 4));
        let (offset, len) = (u64_at(bytes, row + 8), u64_at(bytes, row + 16));
        let kind = SectionKind::from_number(number);
        let name = kind.map_or("table of contents", SectionKind::name);
        if flags & !FLAG_OPTIONAL != 0 || kind.is_some_and(|kind| u32::from(kind.optional()) != flags) {
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
        let left = bytes.len().saturating_sub(start) as u64;
        if start > bytes.len() || len > left {
            return Err(error(name, row + 16, FormatErrorReason::Truncated { wanted: len, left }));
        }
        if bytes[end..start].iter().any(|&byte| byte != 0) {
            return Err(error(name, end, FormatErrorReason::NotZero));
        }
        end = start + len as usize;
        let crc = crc32fast::hash(&bytes[start..end]);
        if crc != u32_at(bytes, row + 24) {
            let reason = FormatErrorReason::WrongChecksum { stated: u32_at(bytes, row + 24), found: crc };
            return Err(error(name, start, reason));
        }
        if let Some(kind) = kind {
            if found.iter().any(|&(other, ..)| other == kind) {
                return Err(error(name, row, FormatErrorReason::DuplicateSection));
            }
            found.push((kind, start, end - start));
        }
    }
    if end != bytes.len() {
        let bytes = (bytes.len() - end) as u64;
        return Err(error("table of contents", end, FormatErrorReason::LeftOver { bytes }));
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
