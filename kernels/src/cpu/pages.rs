//! The pages of a file, which tensors may point into, and the words of a weight there.
//!
//! To map a page and to give it back takes as long as to copy it. Who goes through a weight once reads it from the file instead,
//! some hundred kilobytes at a time, which stay in the second-level cache until they are used.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

/// The bytes of an `f32`, at any address.
pub type Word = [u8; 4];

/// Fewer bytes are looked at where they are mapped.
const READ_FROM: usize = 16 << 10;

/// So many bytes are read at a time: while somebody looks at them, or turns them, they are in the second-level cache.
const READ: usize = 256 << 10;

/// Whoever is told what is read of a file, for a checksum say.
pub trait Witness: Send + Sync {
    /// These are the bytes from `start` on.
    fn see(&self, start: usize, bytes: &[u8]);
}

/// Mapped pages, and the file that they are of, if any: both have the same bytes at the same places.
pub struct Pages {
    map: Mmap,
    file: Option<File>,
    witness: Option<Arc<dyn Witness>>,
}

impl Pages {
    /// All of `file`, when there is one, is in `map`.
    pub fn new(map: Mmap, file: Option<File>) -> Pages {
        Pages { map, file, witness: None }
    }

    /// What is read of the file, and not looked at where it is mapped, `witness` sees too.
    pub fn seen_by(self, witness: Arc<dyn Witness>) -> Pages {
        Pages { witness: Some(witness), ..self }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether they are a file's own, not such as one was read into.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// All pages of `range` are mapped at once, instead of some at each first look.
    pub fn map_now(&self, range: Range<usize>) {
        #[cfg(target_os = "linux")]
        // It may be refused: then they are mapped as they are looked at.
        let _ = self.map.advise_range(memmap2::Advice::PopulateRead, range.start, range.len());
        #[cfg(not(target_os = "linux"))]
        let _ = range;
    }

    /// Copies the bytes from `start` on.
    pub fn copy(&self, start: usize, into: &mut [u8]) {
        if into.len() < READ_FROM {
            into.copy_from_slice(&self.map[start..start + into.len()]);
            return;
        }
        for (i, into) in into.chunks_mut(READ).enumerate() {
            let start = start + i * READ;
            if !self.read(start, into) {
                into.copy_from_slice(&self.map[start..start + into.len()]);
            } else if let Some(witness) = &self.witness {
                witness.see(start, into);
            }
        }
    }

    /// Whether the file gave them.
    #[cfg(unix)]
    fn read(&self, start: usize, into: &mut [u8]) -> bool {
        use std::os::unix::fs::FileExt;
        self.file.as_ref().is_some_and(|file| file.read_exact_at(into, start as u64).is_ok())
    }

    #[cfg(not(unix))]
    fn read(&self, _start: usize, _into: &mut [u8]) -> bool {
        false
    }
}

/// Numbers that are read once, from the first to the last.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    here: &'a [Word],
    /// The same, from this byte on.
    pages: Option<(&'a Pages, usize)>,
}

impl<'a> Words<'a> {
    pub fn here(here: &'a [Word]) -> Words<'a> {
        Words { here, pages: None }
    }

    /// Whole words in `range` of `pages`.
    pub fn lent(pages: &'a Pages, range: Range<usize>) -> Words<'a> {
        let here = pages.bytes()[range.clone()].as_chunks().0;
        Words { here, pages: pages.file.is_some().then_some((pages, range.start)) }
    }

    pub fn len(&self) -> usize {
        self.here.len()
    }

    pub fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    /// To be looked at where they are mapped, more than once.
    pub fn in_place(self) -> Words<'a> {
        Words::here(self.here)
    }

    /// Where they are mapped, to go through in any order.
    pub fn mapped(self) -> &'a [Word] {
        self.here
    }

    pub fn from(self, first: usize) -> Words<'a> {
        let pages = self.pages.map(|(pages, start)| (pages, start + first * size_of::<Word>()));
        Words { here: &self.here[first..], pages }
    }

    /// Those in `range`; `room` may be used for a copy of them.
    pub fn part<'b>(&self, range: Range<usize>, room: &'b mut Vec<Word>) -> &'b [Word]
    where
        'a: 'b,
    {
        if let Some((pages, start)) = self.pages.filter(|_| range.len() * size_of::<Word>() >= READ_FROM) {
            room.resize(range.len(), Word::default());
            pages.copy(start + range.start * size_of::<Word>(), room.as_flattened_mut());
            return room;
        }
        &self.here[range]
    }
}

/// The pages of a file that has these numbers behind `before` other bytes, and no name any more.
#[cfg(test)]
pub(crate) fn of_file(before: usize, numbers: &[f32]) -> Arc<Pages> {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("stark_pages_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut file = File::create_new(&path).unwrap();
    file.write_all(&vec![7; before]).unwrap();
    file.write_all(super::buffer::bytes_of(numbers)).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    // SAFETY: nobody else knows the file, which stays as it is.
    let map = unsafe { Mmap::map(&file) }.unwrap();
    Arc::new(Pages::new(map, Some(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::numbers;
    use crate::ops::{PackedFilter, PackedMatrix};
    use crate::{DType, Tensor};

    #[test]
    fn weights_in_a_file_pack_as_those_in_memory() {
        let n = 48 * 32 * 9;
        let pages = of_file(3, &numbers(n, 1));
        for shape in
            [&[48, 32, 3, 3][..], &[32, 48, 3, 3], &[n, 1, 1, 1], &[288, 48], &[48, 288], &[n / 3, 3], &[3, n / 3]]
        {
            let own = Tensor::from_slice(&numbers(n, 1), shape).unwrap();
            let lent = || Tensor::lent(&pages, 3..3 + 4 * n, DType::F32, shape).unwrap().unwrap();
            assert_eq!(lent().copied().unwrap(), own);
            if let [_, _, ..] = shape[2..] {
                let packed = PackedFilter::new(&lent(), 1).unwrap();
                assert_eq!(packed.to_tensor().unwrap(), own);
                continue;
            }
            for turned in [false, true] {
                let view = |t: Tensor| if turned { t.t().unwrap() } else { t };
                assert_eq!(PackedMatrix::new(&view(lent())).unwrap().to_tensor().unwrap(), view(own.clone()));
                // Every second column: neither rows nor columns lie in one piece.
                let half = |t: Tensor| view(t.as_strided(&[shape[0], shape[1] / 2], &[shape[1], 2], 1).unwrap());
                assert_eq!(PackedMatrix::new(&half(lent())).unwrap().to_tensor().unwrap(), half(own.clone()));
            }
        }
    }
}
