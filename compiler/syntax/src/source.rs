//! Texts and places in them.

use std::borrow::Cow;
use std::sync::OnceLock;

/// A text known to a compilation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SourceId(pub u32);

/// A half-open range of bytes in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(source: SourceId, start: usize, end: usize) -> Span {
        Span { source, start: start as u32, end: end as u32 }
    }
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// The texts of a compilation, each with its path as messages show it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

/// A text, its path, and where its lines begin: most texts are never shown, so lines are looked for when they are first asked for.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: String,
    pub text: Cow<'static, str>,
    line_starts: OnceLock<Vec<u32>>,
    /// Where bytes are that begin no character.
    inside: OnceLock<Vec<u32>>,
}

/// A place as people count: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl SourceMap {
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Keeps a text. Ids count up from 0.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.keep(path.into(), Cow::Owned(text.into()))
    }

    /// Keeps a text that is part of the program: nothing is copied.
    pub fn add_static(&mut self, path: impl Into<String>, text: &'static str) -> SourceId {
        self.keep(path.into(), Cow::Borrowed(text))
    }

    fn keep(&mut self, path: String, text: Cow<'static, str>) -> SourceId {
        self.sources.push(Source { path, text, line_starts: OnceLock::new(), inside: OnceLock::new() });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// `None` for an id that this map did not give.
    pub fn get(&self, source: SourceId) -> Option<&Source> {
        self.sources.get(source.0 as usize)
    }

    pub fn text(&self, source: SourceId) -> &str {
        self.get(source).map_or("", |source| &source.text)
    }

    pub fn path(&self, source: SourceId) -> &str {
        self.get(source).map_or("?", |source| &source.path)
    }

    /// The text of a span; empty when the span is not one of this map's.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Path, line and column (in characters, from 1) of where a span begins.
    pub fn location(&self, span: Span) -> (&str, usize, usize) {
        match self.get(span.source) {
            Some(source) => {
                let place = source.place(span.start);
                (&source.path, place.line, place.column)
            }
            None => ("?", 1, 1),
        }
    }
}

impl Source {
    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(i, _)| i as u32 + 1)).collect()
        })
    }

    /// The place of a byte; bytes past the end are at the end.
    pub fn place(&self, offset: u32) -> Place {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_of(offset as u32);
        let start = self.line_starts()[line - 1] as usize;
        Place { line, column: offset - start - self.n_inside(start, offset) + 1 }
    }

    /// How many bytes of a part begin no character. Lines may be long and have many places, so nothing is counted twice.
    fn n_inside(&self, start: usize, end: usize) -> usize {
        let inside = self.inside.get_or_init(|| {
            let bytes = self.text.bytes().enumerate();
            bytes.filter(|(_, byte)| byte & 0xc0 == 0x80).map(|(i, _)| i as u32).collect()
        });
        let before = |at: usize| inside.partition_point(|i| (*i as usize) < at);
        before(end) - before(start)
    }

    /// The line of a byte, from 1.
    pub fn line_of(&self, offset: u32) -> usize {
        self.line_starts().partition_point(|start| *start <= offset).max(1)
    }

    pub fn n_lines(&self) -> usize {
        self.line_starts().len()
    }

    /// A line's text without its end; lines count from 1.
    pub fn line(&self, line: usize) -> &str {
        let Some(start) = line.checked_sub(1).and_then(|line| self.line_starts().get(line)) else { return "" };
        let end = self.line_starts().get(line).map_or(self.text.len(), |end| *end as usize);
        self.text[*start as usize..end].trim_end_matches(['\n', '\r'])
    }

    /// Where a line begins; lines count from 1.
    pub fn line_start(&self, line: usize) -> u32 {
        self.line_starts().get(line.saturating_sub(1)).copied().unwrap_or(self.text.len() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut map = SourceMap::new();
        let id = map.add("a.stark", "héllo = 1\r\nx = 2");
        let at = |start: usize| map.location(Span::new(id, start, start));
        assert_eq!(at(0), ("a.stark", 1, 1));
        assert_eq!(at(3), ("a.stark", 1, 3));
        assert_eq!(at(4), ("a.stark", 1, 4));
        assert_eq!(at(12), ("a.stark", 2, 1));
        assert_eq!(at(999), ("a.stark", 2, 6));
        assert_eq!(map.get(id).unwrap().line(1), "héllo = 1");
    }
}
