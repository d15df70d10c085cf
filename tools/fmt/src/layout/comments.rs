//! Where comments go: at the end of their line, on lines of their own, or between two tokens of a line.

use super::Writer;
use crate::doc::Cmd;
use stark_syntax::layout::{Comment, CommentKind};

/// The comments before a token that are not written yet.
#[derive(Default)]
pub struct Waiting<'s> {
    /// At the end of the line of the token before, with the column at which each stood.
    trailing: Vec<(&'s str, usize)>,
    own_lines: Vec<OwnLine<'s>>,
    /// On the line of the token that follows.
    inline: Vec<&'s str>,
    /// Whether the source has an empty line directly above the token.
    pub blank_below: bool,
    /// Whether one of `trailing` runs to the end of its line.
    has_line_comment: bool,
}

pub struct OwnLine<'s> {
    pub text: &'s str,
    /// In bytes, as the layout counts.
    pub column: u32,
    pub blank_above: bool,
}

impl<'s> Waiting<'s> {
    /// Whether the line has to end before the token.
    pub fn ends_line(&self) -> bool {
        self.has_line_comment || !self.own_lines.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.trailing.is_empty() && self.own_lines.is_empty() && self.inline.is_empty()
    }

    /// Keeps them for the gap of another token, in their order.
    pub fn carry(&mut self) {
        let inline = std::mem::take(&mut self.inline);
        self.own_lines.extend(inline.into_iter().map(|text| OwnLine { text, column: u32::MAX, blank_above: false }));
    }

    pub fn take_own_lines(&mut self) -> Vec<OwnLine<'s>> {
        std::mem::take(&mut self.own_lines)
    }
}

impl<'s> Writer<'_, 's> {
    /// Reads the comments between a token and the one before it.
    pub(super) fn take_comments(&mut self, index: usize) {
        let tokens = self.tokens;
        let token = &tokens.all[index];
        let mut line = index.checked_sub(1).map(|prev| tokens.all[prev].end_line);
        let mut above = line;
        while let Some(comment) = self.comments.get(self.next_comment)
            && comment.span.start < token.start
        {
            self.next_comment += 1;
            let (start, end) = (tokens.line_of(comment.span.start), tokens.line_of(comment.span.end));
            let text = comment_text(tokens.text, comment);
            let next_start = match self.comments.get(self.next_comment) {
                Some(next) if next.span.start < token.start => tokens.line_of(next.span.start),
                _ => token.line,
            };
            let blank_above = above.is_some_and(|above| start > above + 1);
            above = Some(end);
            let is_block = comment.kind == CommentKind::Block;
            let is_eof = token.kind == stark_syntax::token::TokenKind::Eof;
            let before_token = is_block && end == token.line && !is_eof;
            if before_token && (!token.has_layout() || line != Some(start)) {
                self.waiting.inline.push(text);
            } else if line == Some(start) && !self.waiting.ends_line() && !text.contains('\n') {
                self.waiting.trailing.push((text, tokens.column_of(comment.span.start)));
                self.waiting.has_line_comment |= !is_block || next_start > end;
                continue;
            } else {
                let column = comment.span.start - line_start(tokens.text, comment.span.start);
                self.waiting.own_lines.push(OwnLine { text, column, blank_above });
            }
            line = None;
        }
        self.waiting.blank_below = above.is_some_and(|above| token.line > above + 1);
    }

    pub(super) fn trailing_comments(&mut self) {
        self.waiting.has_line_comment = false;
        for (text, column) in std::mem::take(&mut self.waiting.trailing) {
            self.out.push(Cmd::Trailing { text, column });
        }
    }

    pub(super) fn inline_comments(&mut self) {
        for text in std::mem::take(&mut self.waiting.inline) {
            self.out.push(Cmd::Text(text));
            self.out.push(Cmd::Space);
        }
    }
}

fn comment_text<'s>(text: &'s str, comment: &Comment) -> &'s str {
    text[comment.span.start as usize..comment.span.end as usize].trim_end()
}

fn line_start(text: &str, at: u32) -> u32 {
    text[..at as usize].rfind('\n').map_or(0, |end| end as u32 + 1)
}
