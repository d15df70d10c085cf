//! Places in a text as the protocol counts them: lines from 0, columns in UTF-16 units.

use lsp_types::{Position, Range};
use stark_syntax::source::Span;

/// Where the lines of a text begin.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<u32>,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t str) -> Lines<'t> {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1));
        Lines { text, starts }
    }

    pub fn position(&self, offset: u32) -> Position {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|s| *s as usize <= offset) - 1;
        let before = &self.text[self.starts[line] as usize..offset];
        Position::new(line as u32, before.encode_utf16().count() as u32)
    }

    /// A place behind a line's end is its end; a line behind the last is the text's end.
    pub fn offset(&self, at: Position) -> u32 {
        let Some(start) = self.starts.get(at.line as usize) else { return self.text.len() as u32 };
        let line = &self.text[*start as usize..];
        let line = line.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let mut units = 0;
        for (i, c) in line.char_indices() {
            // Between the two halves of a character is before it.
            if units + c.len_utf16() as u32 > at.character {
                return start + i as u32;
            }
            units += c.len_utf16() as u32;
        }
        start + line.len() as u32
    }

    pub fn range(&self, span: Span) -> Range {
        Range::new(self.position(span.start), self.position(span.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_utf16_units() {
        let lines = Lines::of("a😀b\r\né = 1");
        assert_eq!(lines.position(5), Position::new(0, 3));
        assert_eq!(lines.offset(Position::new(0, 3)), 5);
        assert_eq!(lines.offset(Position::new(0, 2)), 1, "inside the pair");
        assert_eq!(lines.offset(Position::new(0, 99)), 6, "before the line's end");
        assert_eq!(lines.offset(Position::new(1, 1)), 10);
        assert_eq!(lines.offset(Position::new(9, 0)), 14);
        for at in [0, 1, 5, 6, 8, 10, 14] {
            assert_eq!(lines.offset(lines.position(at)), at);
        }
    }
}
