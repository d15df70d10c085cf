//! Lines and columns to `Newline`, `Indent` and `Dedent`.
//!
//! A stack holds what is open: blocks with their column, and brackets. Inside a bracket line ends mean nothing, except
//! that a `:` or `=>` at a line's end opens a block there too; the dedent or the bracket that closes around it ends it.
//! A line that begins with `.` continues the one before.
//!
//! The layout never judges where a block may stand (the parser does); it reports tabs and columns that fit no block.
//! A bracket that is never closed would swallow the rest of the file, so a line that begins with a word which only a
//! statement can begin with, and stands no further right than the statement the bracket is in, ends it.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::lexer::{self, LexState};
use crate::source::{SourceId, Span};
use crate::token::{Token, TokenKind};
use logos::Logos;

/// How many columns a tab counts for after it has been reported.
const TAB_WIDTH: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentKind {
    /// `// …` or `# …`
    Line,
    /// `/// …`
    Doc,
    /// `/* … */`
    Block,
    /// The first line when it begins with `#!`.
    Shebang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comment {
    pub kind: CommentKind,
    pub span: Span,
}

/// A text as tokens. Between tokens and comments there are only blanks and line ends.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    /// The last one is `Eof`.
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a whole source.
pub fn lex(text: &str, source: SourceId) -> Lexed {
    let mut start = 0;
    let mut layout = Layout::new(text, source, Frame::Block { column: 0 });
    if text.starts_with('\u{feff}') {
        start = '\u{feff}'.len_utf8();
    }
    if text[start..].starts_with("#!") {
        let end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let end_of_text = start + text[start..end].trim_end_matches('\r').len();
        let span = Span::new(source, start, end_of_text);
        layout.out.comments.push(Comment { kind: CommentKind::Shebang, span });
        start = end;
    }
    layout.line_start = start as u32;
    layout.run(start, text.len());
    layout.finish()
}

/// Reads a part of a source as if a bracket stood around it: the value in a format text.
pub(crate) fn lex_inside(text: &str, source: SourceId, start: usize, end: usize) -> Lexed {
    let bracket = Frame::Bracket { kind: TokenKind::LBrace, column: 0, line_start: u32::MAX };
    let mut layout = Layout::new(text, source, bracket);
    layout.n_open[bracket_index(TokenKind::LBrace)] += 1;
    // Columns count from the value: looking for the line's start would make a long text of many values slow.
    layout.line_start = start as u32;
    layout.run(start, end);
    layout.finish()
}

#[derive(Clone, Copy)]
enum Frame {
    Block {
        column: u32,
    },
    /// With the column of the block it is in, and the start of its line.
    Bracket {
        kind: TokenKind,
        column: u32,
        line_start: u32,
    },
}

struct Layout<'s> {
    text: &'s str,
    source: SourceId,
    out: Lexed,
    frames: Vec<Frame>,
    /// How many of each kind of bracket are in `frames`.
    n_open: [usize; 3],
    line_start: u32,
    /// The column of the current line's first token or comment.
    column: Option<u32>,
    /// Whether the line has had a token.
    line_has_token: bool,
    /// The column of the last line that had a token.
    code_column: u32,
    tabs: Vec<Span>,
}

fn bracket_index(kind: TokenKind) -> usize {
    match kind {
        TokenKind::LParen | TokenKind::RParen => 0,
        TokenKind::LBracket | TokenKind::RBracket => 1,
        _ => 2,
    }
}

/// Words that only a statement or declaration begins with.
fn begins_statement(kind: TokenKind) -> bool {
    use TokenKind::*;
    matches!(
        kind,
        Let | Fn
            | Struct
            | Enum
            | Trait
            | Impl
            | Actor
            | Import
            | Return
            | While
            | With
            | Try
            | Const
            | Shared
            | Throw
            | Assert
            | Pass
            | Break
            | Continue
            | Scope
            | Type
    )
}

impl<'s> Layout<'s> {
    fn new(text: &'s str, source: SourceId, frame: Frame) -> Layout<'s> {
        Layout {
            text,
            source,
            out: Lexed::default(),
            frames: vec![frame],
            n_open: [0; 3],
            line_start: 0,
            column: None,
            line_has_token: false,
            code_column: 0,
            tabs: Vec::new(),
        }
    }

    fn run(&mut self, start: usize, end: usize) {
        let state = LexState { source: self.source, offset: start, diagnostics: Vec::new() };
        let mut lexer = TokenKind::lexer_with_extras(&self.text[start..end], state);
        self.out.tokens.reserve((end - start) / 4);
        while let Some(kind) = lexer.next() {
            let range = lexer.span();
            let (from, to) = ((range.start + start) as u32, (range.end + start) as u32);
            match kind {
                Ok(TokenKind::Blank) => {}
                Ok(TokenKind::LineEnd) => {
                    self.line_start = to;
                    self.column = None;
                    self.line_has_token = false;
                }
                Ok(TokenKind::LineComment) => {
                    self.note_column(from);
                    let slice = lexer.slice().trim_end_matches('\r');
                    let doc = slice.starts_with("///") && !slice.starts_with("////");
                    let span = Span::new(self.source, from as usize, from as usize + slice.len());
                    let kind = if doc { CommentKind::Doc } else { CommentKind::Line };
                    self.out.comments.push(Comment { kind, span });
                }
                Ok(TokenKind::BlockComment) => {
                    self.note_column(from);
                    let span = Span::new(self.source, from as usize, to as usize);
                    self.out.comments.push(Comment { kind: CommentKind::Block, span });
                }
                Ok(kind) => self.token(Token { kind, start: from, end: to }),
                Err(()) => self.unknown(from, to),
            }
        }
        self.out.diagnostics.append(&mut lexer.extras.diagnostics);
    }

    fn note_column(&mut self, at: u32) {
        if self.column.is_some() {
            return;
        }
        let blanks = &self.text.as_bytes()[self.line_start as usize..at as usize];
        let mut column = 0;
        for byte in blanks {
            column = if *byte == b'\t' { (column / TAB_WIDTH + 1) * TAB_WIDTH } else { column + 1 };
        }
        self.column = Some(column);
    }

    fn unknown(&mut self, start: u32, end: u32) {
        // Neighbours become one token and one diagnostic.
        if let Some(last) = self.out.tokens.last_mut()
            && last.kind == TokenKind::Unknown
            && last.end == start
        {
            last.end = end;
            return;
        }
        self.token(Token { kind: TokenKind::Unknown, start, end });
    }

    fn token(&mut self, token: Token) {
        self.note_column(token.start);
        let column = self.column.unwrap_or(0);
        if !self.line_has_token {
            self.line_has_token = true;
            let indentation = self.line_start as usize..token.start as usize;
            if let Some(tab) = self.text[indentation.clone()].find('\t')
                && self.text[indentation.clone()].trim_matches([' ', '\t']).is_empty()
            {
                let tabs = self.text[indentation.start + tab..indentation.end].len();
                let start = indentation.start + tab;
                self.tabs.push(Span::new(self.source, start, start + tabs));
            }
            let closes_open = token.kind.closes() && self.n_open[bracket_index(token.kind)] > 0;
            if !closes_open {
                self.begin_line(column, token);
            }
            self.code_column = column;
        }
        if token.kind.opens() {
            self.n_open[bracket_index(token.kind)] += 1;
            let column = match self.frames.last() {
                Some(Frame::Block { column } | Frame::Bracket { column, .. }) => *column,
                None => 0,
            };
            self.frames.push(Frame::Bracket { kind: token.kind, column, line_start: self.line_start });
        } else if token.kind.closes() && self.n_open[bracket_index(token.kind)] > 0 {
            self.close(token.kind);
        } else if token.kind == TokenKind::BrokenText {
            // The brackets of this line end with it: their partners are in the text.
            while let Some(Frame::Bracket { kind, line_start, .. }) = self.frames.last()
                && *line_start == self.line_start
            {
                self.n_open[bracket_index(*kind)] -= 1;
                self.frames.pop();
            }
        }
        self.out.tokens.push(token);
    }

    fn last_kind(&self) -> Option<TokenKind> {
        self.out.tokens.last().map(|token| token.kind)
    }

    fn end_line(&mut self) {
        if let Some(last) = self.out.tokens.last()
            && !last.kind.is_layout()
        {
            let at = last.end;
            self.out.tokens.push(Token { kind: TokenKind::Newline, start: at, end: at });
        }
    }

    fn mark(&mut self, kind: TokenKind, at: u32) {
        self.out.tokens.push(Token { kind, start: at, end: at });
    }

    fn begin_line(&mut self, column: u32, token: Token) {
        let Some(last) = self.last_kind() else {
            if column > 0 && matches!(self.frames.last(), Some(Frame::Block { .. })) {
                self.misplaced(token, "the first statement is indented");
            }
            return;
        };
        if let Some(Frame::Bracket { kind, column: outer, .. }) = self.frames.last().copied() {
            let opens_block = matches!(last, TokenKind::Colon | TokenKind::FatArrow)
                && column > outer
                && (kind != TokenKind::LBrace || column > self.code_column);
            if opens_block {
                self.end_line();
                self.frames.push(Frame::Block { column });
                self.mark(TokenKind::Indent, token.start);
                return;
            }
            if !(begins_statement(token.kind) && column <= outer) || self.frames.len() < 2 {
                return;
            }
            while let Some(Frame::Bracket { kind, .. }) = self.frames.last() {
                self.n_open[bracket_index(*kind)] -= 1;
                self.frames.pop();
            }
            if self.frames.is_empty() {
                self.frames.push(Frame::Block { column: 0 });
            }
        }
        let Some(Frame::Block { column: current }) = self.frames.last().copied() else { return };
        if token.kind == TokenKind::Dot && column >= current && !last.is_layout() {
            return;
        }
        self.end_line();
        if column > current {
            self.frames.push(Frame::Block { column });
            self.mark(TokenKind::Indent, token.start);
        } else if column < current {
            while let Some(Frame::Block { column: open }) = self.frames.last()
                && *open > column
            {
                self.frames.pop();
                self.mark(TokenKind::Dedent, token.start);
            }
            if let Some(Frame::Block { column: open }) = self.frames.last()
                && *open < column
            {
                self.misplaced(token, "this line's indentation fits no block");
            }
        }
    }

    fn misplaced(&mut self, token: Token, message: &str) {
        let span = Span::new(self.source, token.start as usize, token.end as usize);
        self.out.diagnostics.push(
            Diagnostic::error(codes::INDENTATION, message, span, "this column belongs to no block")
                .help("give all lines of a block the same indentation"),
        );
    }

    /// Ends what is open up to the bracket that `closer` closes.
    fn close(&mut self, closer: TokenKind) {
        let at = self.out.tokens.last().map_or(0, |token| token.end);
        while let Some(frame) = self.frames.pop() {
            match frame {
                Frame::Block { .. } => {
                    self.end_line();
                    self.mark(TokenKind::Dedent, at);
                }
                Frame::Bracket { kind, .. } => {
                    self.n_open[bracket_index(kind)] -= 1;
                    if bracket_index(kind) == bracket_index(closer) {
                        break;
                    }
                }
            }
        }
        if self.frames.is_empty() {
            self.frames.push(Frame::Block { column: 0 });
        }
    }

    fn finish(mut self) -> Lexed {
        self.end_line();
        let end = self.text.len() as u32;
        while self.frames.len() > 1 {
            if let Some(Frame::Block { .. }) = self.frames.pop() {
                self.end_line();
                self.mark(TokenKind::Dedent, end);
            }
        }
        self.mark(TokenKind::Eof, end);
        for token in self.out.tokens.iter().filter(|token| token.kind == TokenKind::Unknown) {
            let text = &self.text[token.start as usize..token.end as usize];
            let span = Span::new(self.source, token.start as usize, token.end as usize);
            self.out.diagnostics.push(lexer::unknown(text, span));
        }
        if let Some(first) = self.tabs.first() {
            let more = match self.tabs.len() - 1 {
                0 => String::new(),
                1 => " (and in 1 more line)".to_string(),
                n => format!(" (and in {n} more lines)"),
            };
            let edits = self.tabs.iter().map(|span| (*span, spaces(self.text, *span))).collect();
            self.out.diagnostics.push(
                Diagnostic::error(
                    codes::TAB_IN_INDENTATION,
                    format!("a tab in the indentation{more}"),
                    *first,
                    "a tab",
                )
                .help("indent with spaces, four for each level")
                .fix("replace the tabs by spaces", edits),
            );
        }
        self.out
    }
}

fn spaces(text: &str, span: Span) -> String {
    let blanks = &text[span.start as usize..span.end as usize];
    blanks.chars().map(|c| if c == '\t' { "    " } else { " " }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layout tokens by sign, others by their text.
    fn check(text: &str, want: &str) {
        let lexed = lex(text, SourceId(0));
        let shown: Vec<&str> = lexed
            .tokens
            .iter()
            .map(|token| match token.kind {
                TokenKind::Newline => "⏎",
                TokenKind::Indent => "→",
                TokenKind::Dedent => "←",
                TokenKind::Eof => "∎",
                _ => &text[token.start as usize..token.end as usize],
            })
            .collect();
        assert_eq!(shown.join(" "), want, "{text}");
    }

    #[test]
    fn lines_and_blocks() {
        check("a\nb", "a ⏎ b ⏎ ∎");
        check("", "∎");
        check("if a:\n  b\n\n  // note\n  c\nd", "if a : ⏎ → b ⏎ c ⏎ ← d ⏎ ∎");
        check("if a:\n  if b:\n    c", "if a : ⏎ → if b : ⏎ → c ⏎ ← ← ∎");
        check("x\n  .a()\n\n  // why\n  .b()\ny", "x . a ( ) . b ( ) ⏎ y ⏎ ∎");
        check("#!/bin/stark\na", "a ⏎ ∎");
    }

    #[test]
    fn brackets_hide_lines_except_after_a_colon() {
        check("f(a,\n b\n)\nc", "f ( a , b ) ⏎ c ⏎ ∎");
        check("f(|x|:\n  a\n  b\n, c)", "f ( | x | : ⏎ → a ⏎ b ⏎ ← , c ) ⏎ ∎");
        check("f(|x|:\n  a)\nb", "f ( | x | : ⏎ → a ⏎ ← ) ⏎ b ⏎ ∎");
        check("[\n  |x|:\n    a\n  ,\n  b\n]", "[ | x | : ⏎ → a ⏎ ← , b ] ⏎ ∎");
        check("f(|x|:\n  if a:\n    b\n)", "f ( | x | : ⏎ → if a : ⏎ → b ⏎ ← ← ) ⏎ ∎");
    }

    #[test]
    fn an_open_bracket_ends_where_a_statement_must_begin() {
        check("f(a\nlet b = 1", "f ( a ⏎ let b = 1 ⏎ ∎");
        check("if a:\n  f(b\n  return c", "if a : ⏎ → f ( b ⏎ return c ⏎ ← ∎");
    }

    #[test]
    fn tabs_are_reported_once() {
        let lexed = lex("if a:\n\tb\n\tc\n", SourceId(0));
        let messages: Vec<&str> = lexed.diagnostics.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["a tab in the indentation (and in 1 more line)"]);
    }

    #[test]
    fn a_column_between_two_blocks_fits_none() {
        let lexed = lex("if a:\n    b\n  c\n", SourceId(0));
        assert_eq!(lexed.diagnostics[0].code, codes::INDENTATION);
    }
}
