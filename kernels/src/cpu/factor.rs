//! The right factor of a product: panels that were packed, or a matrix that is packed while it is multiplied by.
//!
//! The weights of a large model are not packed when it is loaded: its first runs read them where they lie in the file, a few panels
//! at a time, which are gone after each product ([`crate::ops::PackedMatrix::later`]). Panels are the same either way, and so are sums.

use std::ops::Range;

use super::buffer::Buffer;
use super::packing::fill_words;
use super::pages::Words;
use super::tile::WIDTH;
use crate::cpu::arena;
use crate::error::Result;

/// Rows that lie row after row are read for so many panels at a time, so that whole lines and pages of them are used,
const TOGETHER: usize = 8;
/// if that many numbers (512 KiB) stay in the second-level cache.
const PACKED: usize = 128 << 10;

/// A matrix of `rows` by `cols`, in panels or to be packed into them.
#[derive(Clone, Copy)]
pub struct PanelView<'a> {
    source: Source<'a>,
    rows: usize,
    cols: usize,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    /// Panel after panel.
    Packed(&'a [f32]),
    /// Numbers with these strides.
    Lying(Words<'a>, [usize; 2]),
}

impl<'a> PanelView<'a> {
    /// `data` was filled for a matrix of `rows` by `cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> PanelView<'a> {
        assert!(data.len() >= rows * cols.div_ceil(WIDTH) * WIDTH, "panels are whole");
        PanelView { source: Source::Packed(data), rows, cols }
    }

    /// A matrix of these sizes and strides in `from`.
    pub fn lying(from: Words<'a>, [rows, cols]: [usize; 2], strides: [usize; 2]) -> PanelView<'a> {
        if rows > 0 && cols > 0 {
            let last = (rows - 1) * strides[0] + (cols - 1) * strides[1];
            assert!(last < from.len(), "a matrix lies inside its storage");
        }
        PanelView { source: Source::Lying(from, strides), rows, cols }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Where `row` of panel `j` is in memory, if it is.
    pub(super) fn address(&self, j: usize, row: usize) -> Option<*const f32> {
        match self.source {
            Source::Packed(data) => Some(data[(j * self.rows + row) * WIDTH..].as_ptr()),
            Source::Lying(..) => None,
        }
    }

    /// For who goes through `panels` in order, `depth` rows of each at a time.
    pub(super) fn walk(self, panels: Range<usize>, depth: usize) -> Result<Walked<'a>> {
        Ok(match self.source {
            Source::Packed(data) => Walked::Packed { data, rows: self.rows },
            Source::Lying(from, strides) => {
                let most = if strides[1] == 1 { TOGETHER } else { 1 };
                let together = (PACKED / (depth * WIDTH).max(1)).clamp(1, most).min(panels.len());
                // Other runs of the model do without.
                let room = arena::aside(|| Buffer::for_overwrite::<f32>(together * depth * WIDTH))?;
                let (cols, end) = (self.cols, panels.end);
                Walked::Lying(Packing { from, strides, cols, end, together, room, held: 0..0, part: 0..0 })
            }
        })
    }
}

/// The panels of a piece of a product, one after the other.
pub(super) enum Walked<'a> {
    Packed { data: &'a [f32], rows: usize },
    Lying(Packing<'a>),
}

impl Walked<'_> {
    /// The rows `part` of panel `j`.
    #[inline(always)]
    pub(super) fn panel(&mut self, j: usize, part: Range<usize>) -> &[f32] {
        match self {
            Walked::Packed { data, rows } => &data[(j * *rows + part.start) * WIDTH..(j * *rows + part.end) * WIDTH],
            Walked::Lying(packing) => packing.panel(j, part),
        }
    }
}

/// Panels that are packed when they are asked for.
pub(super) struct Packing<'a> {
    from: Words<'a>,
    strides: [usize; 2],
    cols: usize,
    /// The panel behind the last.
    end: usize,
    /// So many are packed at a time,
    together: usize,
    /// here.
    room: Buffer,
    /// Which of them are there, and which rows of each.
    held: Range<usize>,
    part: Range<usize>,
}

impl Packing<'_> {
    #[cold]
    fn panel(&mut self, j: usize, part: Range<usize>) -> &[f32] {
        let (size, strides) = (part.len() * WIDTH, self.strides);
        let room = self.room.as_mut_slice::<f32>();
        if !self.held.contains(&j) || self.part != part {
            let end = (j + self.together).min(self.end);
            let cols = (end * WIDTH).min(self.cols) - j * WIDTH;
            if !part.is_empty() {
                let from = self.from.from(part.start * strides[0] + j * WIDTH * strides[1]);
                fill_words(&mut room[..(end - j) * size], from, [part.len(), cols], strides);
            }
            (self.held, self.part) = (j..end, part);
        }
        &room[(j - self.held.start) * size..][..size]
    }
}
