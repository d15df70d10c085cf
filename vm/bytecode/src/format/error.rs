//! Why a file is refused.

use std::fmt;

use super::{MAX_SECTIONS, VERSION};
use crate::words::CodeError;

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
    /// The asset data is not the last section.
    NotLast,
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
    TooMany {
        what: &'static str,
        count: u64,
        limit: u64,
    },
    /// Asset data without a manifest.
    NoManifest,
    /// What the manifest of a bundle says does not fit together.
    BadManifest(String),
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
            FormatErrorReason::NotLast => write!(f, "another section follows"),
            FormatErrorReason::MissingSection => write!(f, "the section is missing"),
            FormatErrorReason::NotZero => write!(f, "bytes that must be zero are not"),
            FormatErrorReason::BadNumber => write!(f, "a number is out of range or not in its shortest form"),
            FormatErrorReason::BadTag { what, found } => write!(f, "{found} is no {what}"),
            FormatErrorReason::BadCount { count, left } => write!(f, "{count} rows cannot be in the {left} bytes left"),
            FormatErrorReason::NotUtf8 => write!(f, "a text is not UTF-8"),
            FormatErrorReason::LeftOver { bytes } => write!(f, "{bytes} bytes after the last row"),
            FormatErrorReason::TooMany { what, count, limit } => write!(f, "{count} {what}, the limit is {limit}"),
            FormatErrorReason::NoManifest => write!(f, "there is no manifest that says what is in it"),
            FormatErrorReason::BadManifest(problem) => write!(f, "{problem}"),
            FormatErrorReason::Code { function, error } => write!(f, "function {function}, {error}"),
        }
    }
}

impl std::error::Error for FormatError {}
