//! Reading a section: every step is checked against the bytes that are left.

use super::{FormatError, FormatErrorReason};
use crate::operand::TypeId;

pub type Read<T> = Result<T, FormatError>;

pub struct Reader<'a> {
    section: &'static str,
    /// Offset of the section in the file.
    base: usize,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(section: &'static str, base: usize, bytes: &'a [u8]) -> Reader<'a> {
        Reader { section, base, bytes, at: 0 }
    }

    pub fn error(&self, at: usize, reason: FormatErrorReason) -> FormatError {
        FormatError { section: self.section, offset: (self.base + at) as u64, reason }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        if len > self.left() {
            let reason = FormatErrorReason::Truncated { wanted: len as u64, left: self.left() as u64 };
            return Err(self.error(self.at, reason));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u64(&mut self) -> Read<u64> {
        let start = self.at;
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero says nothing: the shortest form is the only one.
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(number);
            }
        }
        Err(self.error(start, FormatErrorReason::BadNumber))
    }

    pub fn signed(&mut self) -> Read<i64> {
        let number = self.u64()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number that fits `T`.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Read<T> {
        let start = self.at;
        let number = self.u64()?;
        T::try_from(number).map_err(|_| self.error(start, FormatErrorReason::BadNumber))
    }

    pub fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(self.bad_tag("flag", found)),
        }
    }

    /// The byte just read is no `what`.
    pub fn bad_tag(&self, what: &'static str, found: u8) -> FormatError {
        self.error(self.at.saturating_sub(1), FormatErrorReason::BadTag { what, found: u64::from(found) })
    }

    /// A count of rows of at least `min_len` bytes each, which the bytes left can hold.
    pub fn count(&mut self, min_len: usize) -> Read<usize> {
        let start = self.at;
        let count = self.u64()?;
        let left = self.left() as u64;
        if count > left / min_len as u64 {
            return Err(self.error(start, FormatErrorReason::BadCount { count, left }));
        }
        Ok(count as usize)
    }

    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    pub fn text(&mut self) -> Read<String> {
        let start = self.at;
        let bytes = self.bytes()?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error(start, FormatErrorReason::NotUtf8)),
        }
    }

    pub fn ty(&mut self) -> Read<TypeId> {
        Ok(TypeId(self.number()?))
    }

    pub fn list<T>(&mut self, min_len: usize, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.count(min_len)?;
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            rows.push(read(self)?);
        }
        Ok(rows)
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        Ok(if self.flag()? { Some(read(self)?) } else { None })
    }

    pub fn end(&self) -> Read<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.error(self.at, FormatErrorReason::LeftOver { bytes: left as u64 })),
        }
    }
}
