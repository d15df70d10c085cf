//! The tokens of a source with what stands around each: layout before it, its bracket, its line.

use stark_syntax::Lexed;
use stark_syntax::token::{Token, TokenKind};

/// A token that is written, or the end of the file.
#[derive(Clone, Debug)]
pub struct Tok {
    pub kind: TokenKind,
    pub start: u32,
    pub end: u32,
    /// What the layout put before it: at most one `Newline`, then one `Indent` or some `Dedent`s.
    pub newline: bool,
    pub indent: bool,
    pub n_dedents: usize,
    /// For an opening bracket its closing one, and the other way round.
    pub partner: Option<usize>,
    /// The bracket it is directly in, unless a block stands between them.
    pub bracket: Option<usize>,
    /// The lines (from 0) on which it begins and ends.
    pub line: u32,
    pub end_line: u32,
    /// The column of a line's first token, in bytes.
    pub column: u32,
}

impl Tok {
    /// Whether a line ends before it for the layout.
    pub fn has_layout(&self) -> bool {
        self.newline || self.indent || self.n_dedents > 0
    }
}

pub struct Tokens<'s> {
    pub text: &'s str,
    /// The last one is the end of the file.
    pub all: Vec<Tok>,
    line_starts: Vec<u32>,
}

impl<'s> Tokens<'s> {
    pub fn new(text: &'s str, lexed: &Lexed) -> Tokens<'s> {
        let mut line_starts = vec![0];
        line_starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(i, _)| i as u32 + 1));
        let mut tokens = Tokens { text, all: Vec::with_capacity(lexed.tokens.len()), line_starts };
        let mut pending: Vec<TokenKind> = Vec::new();
        // Open brackets (by index) and blocks (`None`).
        let mut frames: Vec<Option<usize>> = Vec::new();
        for token in &lexed.tokens {
            match token.kind {
                TokenKind::Newline => {}
                TokenKind::Indent => frames.push(None),
                TokenKind::Dedent => {
                    frames.pop();
                }
                _ => {
                    tokens.push(*token, &pending, &mut frames);
                    pending.clear();
                    continue;
                }
            }
            pending.push(token.kind);
        }
        tokens
    }

    fn push(&mut self, token: Token, layout: &[TokenKind], frames: &mut Vec<Option<usize>>) {
        let index = self.all.len();
        let mut partner = None;
        if token.kind.closes()
            && let Some(Some(opener)) = frames.last().copied()
        {
            frames.pop();
            self.all[opener].partner = Some(index);
            partner = Some(opener);
        }
        let line = self.line_of(token.start);
        self.all.push(Tok {
            kind: token.kind,
            start: token.start,
            end: token.end,
            newline: layout.contains(&TokenKind::Newline),
            indent: layout.contains(&TokenKind::Indent),
            n_dedents: layout.iter().filter(|kind| **kind == TokenKind::Dedent).count(),
            partner,
            bracket: frames.last().copied().flatten(),
            line,
            end_line: self.line_of(token.end),
            column: token.start - self.line_starts[line as usize],
        });
        if token.kind.opens() {
            frames.push(Some(index));
        }
    }

    pub fn line_of(&self, at: u32) -> u32 {
        self.line_starts.partition_point(|start| *start <= at) as u32 - 1
    }

    /// The column of a byte in characters.
    pub fn column_of(&self, at: u32) -> usize {
        let start = self.line_starts[self.line_of(at) as usize];
        self.text[start as usize..at as usize].chars().count()
    }

    pub fn slice(&self, index: usize) -> &'s str {
        let token = &self.all[index];
        &self.text[token.start as usize..token.end as usize]
    }

    /// The first token that begins at `at` or after it.
    pub fn at_or_after(&self, at: u32) -> usize {
        self.all.partition_point(|token| token.start < at).min(self.all.len() - 1)
    }

    /// The last token that ends at `at` or before it.
    pub fn ending_by(&self, at: u32) -> usize {
        self.all.partition_point(|token| token.end <= at && token.kind != TokenKind::Eof).saturating_sub(1)
    }

    /// Whether a block begins among the tokens after `first`, up to `last`.
    pub fn holds_block(&self, first: usize, last: usize) -> bool {
        self.all[first..=last].iter().skip(1).any(|token| token.indent)
    }

    /// Whether it is the first token of its line.
    pub fn begins_line(&self, index: usize) -> bool {
        index == 0 || self.all[index - 1].end_line < self.all[index].line
    }
}
