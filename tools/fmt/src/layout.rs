//! Tokens, marks and comments to a document.
//!
//! One pass over the tokens. Each writes its gap (comments, line ends, a blank) and itself, so all tokens and comments
//! are written once and in their order. What comes before a token at a line's end or in the middle of a line is decided
//! here; whether a line that may break does is the printer's business.

mod comments;

use crate::doc::{Cmd, Line};
use crate::rules::{Marks, RangeKind};
use crate::spacing::{blank_before, ends_value};
use crate::tokens::Tokens;
use comments::Waiting;
use stark_syntax::layout::Comment;
use stark_syntax::token::TokenKind;

/// How a bracket's elements are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// No line of its own: an index, an empty bracket, one whose only element brings its own lines.
    Tight,
    /// One element a line, if it breaks.
    Lines { forced: bool, comma: bool, fill: bool },
}

pub fn document<'s>(tokens: &Tokens<'s>, marks: &Marks, comments: &[Comment]) -> Vec<Cmd<'s>> {
    let mut writer = Writer {
        tokens,
        marks,
        comments,
        brackets: vec![Layout::Tight; tokens.all.len()],
        is_dropped: vec![false; tokens.all.len()],
        next_comment: 0,
        waiting: Waiting::default(),
        blocks: vec![0],
        open: Vec::new(),
        out: Vec::with_capacity(tokens.all.len() * 3),
    };
    writer.lay_out_brackets();
    for index in 0..tokens.all.len() {
        writer.token(index);
    }
    writer.out
}

struct Writer<'t, 's> {
    tokens: &'t Tokens<'s>,
    marks: &'t Marks,
    comments: &'t [Comment],
    /// By the index of the opening bracket.
    brackets: Vec<Layout>,
    /// Trailing commas: written anew where they belong.
    is_dropped: Vec<bool>,
    next_comment: usize,
    waiting: Waiting<'s>,
    /// The columns of the open blocks in the source.
    blocks: Vec<u32>,
    open: Vec<Open>,
    out: Vec<Cmd<'s>>,
}

/// A range whose last token is not written yet.
struct Open {
    last: usize,
    is_group: bool,
    is_indented: bool,
}

impl<'s> Writer<'_, 's> {
    fn kind(&self, index: usize) -> TokenKind {
        self.tokens.all[index].kind
    }

    // --- brackets ------------------------------------------------------------------------------------------------

    fn lay_out_brackets(&mut self) {
        let n = self.tokens.all.len();
        // Commas directly in a bracket, and the outermost blocks, by bracket.
        let mut n_commas = vec![0u32; n];
        let mut blocks: Vec<Vec<usize>> = vec![Vec::new(); n];
        // Where the blocks of a bracket end: the first token after each.
        let mut frames: Vec<Option<usize>> = Vec::new();
        for (index, token) in self.tokens.all.iter().enumerate() {
            for _ in 0..token.n_dedents {
                frames.pop();
            }
            if token.indent {
                if let Some(Some(bracket)) = frames.last().copied() {
                    blocks[bracket].push(index);
                }
                frames.push(None);
            }
            if token.kind.closes() {
                frames.pop();
            }
            if token.kind == TokenKind::Comma
                && let Some(bracket) = token.bracket
                && !self.marks.in_angles.contains(&index)
            {
                n_commas[bracket] += 1;
            }
            if token.kind.opens() {
                frames.push(Some(index));
            }
        }
        for opener in 0..n {
            if let Some(closer) = self.tokens.all[opener].partner
                && closer > opener
            {
                self.brackets[opener] = self.bracket(opener, closer, n_commas[opener], blocks[opener].len());
            }
        }
    }

    fn bracket(&mut self, opener: usize, closer: usize, n_commas: u32, n_blocks: usize) -> Layout {
        let tokens = self.tokens;
        let kind = self.kind(opener);
        if self.marks.in_angles.contains(&opener) || self.marks.tight.contains(&opener) {
            return Layout::Tight;
        }
        let is_postfix =
            opener > 0 && ends_value(tokens, self.marks, opener - 1) && !self.marks.spaced_parens.contains(&opener)
                || opener > 0 && self.kind(opener - 1) == TokenKind::Where;
        let is_group = kind == TokenKind::LParen && !is_postfix && n_commas == 0;
        // A comma before the closing bracket: it stays where it makes a tuple, or ends a block's line.
        let trailing = closer - 1;
        let ends_with_comma = trailing > opener && self.kind(trailing) == TokenKind::Comma;
        let is_single_tuple = kind == TokenKind::LParen && !is_postfix && n_commas == 1 && ends_with_comma;
        let has_trailing = ends_with_comma
            && !is_single_tuple
            && !tokens.all[closer].has_layout()
            && !tokens.all[trailing].has_layout();
        let stays_broken = has_trailing && tokens.all[trailing].line < tokens.all[closer].line;
        self.is_dropped[trailing] |= has_trailing;

        let inside = tokens.all[opener].end..tokens.all[closer].start;
        let has_comments = |at: std::ops::Range<u32>| {
            let first = self.comments.partition_point(|comment| comment.span.start < at.start);
            self.comments.get(first).is_some_and(|comment| comment.span.start < at.end)
        };
        if opener + 1 == closer {
            return match has_comments(inside) {
                true => Layout::Lines { forced: false, comma: false, fill: false },
                false => Layout::Tight,
            };
        }
        let comments_at_ends = has_comments(tokens.all[opener].end..tokens.all[opener + 1].start)
            || has_comments(tokens.all[closer - 1].end..tokens.all[closer].start);
        if !comments_at_ends {
            let ends_with_its_block = n_blocks == 1 && tokens.all[closer].n_dedents > 0;
            let hugs = self.marks.hugs.contains(&opener) && n_blocks == 0;
            let is_index = kind == TokenKind::LBracket && is_postfix;
            if ends_with_its_block || hugs || is_index {
                return Layout::Tight;
            }
        }
        let first_line = tokens.all[opener].line;
        let second_element = || {
            let comma = (opener + 1..closer)
                .find(|i| self.kind(*i) == TokenKind::Comma && tokens.all[*i].bracket == Some(opener));
            comma.is_some_and(|comma| tokens.begins_line(comma + 1))
        };
        let kept = self.marks.keeps_lines.contains(&opener)
            && (kind == TokenKind::LBrace && tokens.all[opener + 1].line > first_line
                || kind == TokenKind::LBracket && second_element());
        Layout::Lines {
            forced: stays_broken || kept,
            // After a block a comma would stand alone on a line.
            comma: !is_group
                && ends_with_comma == has_trailing
                && !self.marks.comprehensions.contains(&opener)
                && tokens.all[closer].n_dedents == 0,
            fill: self.marks.fills.contains(&opener),
        }
    }

    // --- tokens --------------------------------------------------------------------------------------------------

    fn token(&mut self, index: usize) {
        if self.is_dropped[index] {
            // Its comments go to the closing bracket.
            self.take_comments(index);
            return;
        }
        self.gap(index);
        self.open_ranges(index);
        if self.kind(index) == TokenKind::Eof {
            return;
        }
        if let Layout::Lines { forced, .. } = self.brackets[index] {
            self.out.push(Cmd::Open { forced });
        }
        self.out.push(Cmd::Text(self.tokens.slice(index)));
        if let Layout::Lines { .. } = self.brackets[index] {
            self.out.push(Cmd::Indent);
        }
        if self.closes_lines(index).is_some() {
            self.out.push(Cmd::Close);
        }
        while let Some(range) = self.open.pop_if(|range| range.last == index) {
            if range.is_indented {
                self.out.push(Cmd::Dedent);
            }
            if range.is_group {
                self.out.push(Cmd::Close);
            }
        }
    }

    /// For a closing bracket whose elements stand on lines: whether a comma ends the last.
    fn closes_lines(&self, index: usize) -> Option<bool> {
        let token = &self.tokens.all[index];
        if !token.kind.closes() {
            return None;
        }
        match self.brackets[token.partner?] {
            Layout::Lines { comma, .. } => Some(comma),
            Layout::Tight => None,
        }
    }

    fn open_ranges(&mut self, index: usize) {
        let Some(ranges) = self.marks.ranges.get(&index) else { return };
        for range in ranges {
            let breaks = match range.kind {
                RangeKind::Chain { .. } | RangeKind::Header => true,
                RangeKind::Operands => {
                    self.tokens.all[index].bracket.is_some_and(|b| self.brackets[b] != Layout::Tight)
                }
            };
            if !breaks {
                continue;
            }
            let is_indented = match range.kind {
                RangeKind::Chain { .. } => true,
                RangeKind::Header => false,
                // Alone in its bracket it stands where the elements do.
                RangeKind::Operands => {
                    let after = range.last + 1 + usize::from(self.is_dropped[range.last + 1]);
                    let fills_bracket = index > 0
                        && self.tokens.all[index - 1].partner == Some(after)
                        && self.brackets[index - 1] != Layout::Tight;
                    !fills_bracket
                }
            };
            let forced = range.kind == RangeKind::Chain { was_broken: true };
            self.out.push(Cmd::Open { forced });
            if is_indented {
                self.out.push(Cmd::Indent);
            }
            self.open.push(Open { last: range.last, is_group: true, is_indented });
        }
    }

    // --- gaps ----------------------------------------------------------------------------------------------------

    /// What stands between a token and the one before it.
    fn gap(&mut self, index: usize) {
        self.take_comments(index);
        if self.tokens.all[index].has_layout() || index == 0 || self.kind(index) == TokenKind::Eof {
            self.line_gap(index);
        } else {
            self.inner_gap(index);
        }
    }

    /// A gap where a statement ends or a block begins or ends.
    fn line_gap(&mut self, index: usize) {
        let tokens = self.tokens;
        let token = &tokens.all[index];
        let is_eof = token.kind == TokenKind::Eof;
        if token.indent {
            self.blocks.push(token.column);
            self.out.push(Cmd::Indent);
        }
        self.trailing_comments();
        let mut n_dedents = token.n_dedents;
        let mut is_first = token.indent || index == 0;
        for comment in self.waiting.take_own_lines() {
            while n_dedents > 0 && self.blocks.last().is_some_and(|column| comment.column < *column) {
                self.blocks.pop();
                self.out.push(Cmd::Dedent);
                n_dedents -= 1;
            }
            self.out.push(Cmd::Hard { blank: comment.blank_above && !is_first });
            self.out.push(Cmd::Text(comment.text));
            is_first = false;
        }
        for _ in 0..n_dedents {
            self.blocks.pop();
            self.out.push(Cmd::Dedent);
        }
        if is_eof {
            return;
        }
        let goes_on =
            matches!(self.kind(index), TokenKind::Else | TokenKind::Catch | TokenKind::Finally) || token.kind.closes();
        let blank = self.waiting.blank_below && !is_first && !goes_on;
        if self.closes_lines(index).is_some() {
            self.out.push(Cmd::Dedent);
        }
        self.out.push(Cmd::Hard { blank });
        self.inline_comments();
    }

    /// A gap in the middle of a statement.
    fn inner_gap(&mut self, index: usize) {
        let tokens = self.tokens;
        let prev = index - 1;
        let comma = self.closes_lines(index);
        if comma == Some(true) {
            self.out.push(Cmd::IfBroken(","));
        }
        let bodies = &self.marks.bodies;
        if let Some(last) = bodies.get(&index)
            && self.waiting.is_empty()
        {
            self.out.extend([Cmd::Indent, Cmd::Line(Line::SPACE)]);
            self.open.push(Open { last: *last, is_group: false, is_indented: true });
            return;
        }
        let line = self.line_before(index);
        let ends_line = self.waiting.ends_line();
        if line.is_none() || !ends_line {
            // A comment that ends a line goes on to the next place where a line may end.
            if ends_line {
                self.waiting.carry();
            } else {
                self.trailing_comments();
            }
            if comma.is_some() {
                self.out.push(Cmd::Dedent);
            }
            let blank = self.waiting.blank_below && comma.is_none() && self.kind(prev) == TokenKind::Comma;
            match line {
                Some(line) => self.out.push(Cmd::Line(Line { blank, ..line })),
                None if blank_before(tokens, self.marks, index) => self.out.push(Cmd::Space),
                None => {}
            }
            self.inline_comments();
            return;
        }
        self.trailing_comments();
        let mut is_first = self.opens_lines(prev);
        for comment in self.waiting.take_own_lines() {
            self.out.push(Cmd::Hard { blank: comment.blank_above && !is_first });
            self.out.push(Cmd::Text(comment.text));
            is_first = false;
        }
        if comma.is_some() {
            self.out.push(Cmd::Dedent);
        }
        self.out.push(Cmd::Hard { blank: self.waiting.blank_below && comma.is_none() && !is_first });
        self.inline_comments();
    }

    fn opens_lines(&self, index: usize) -> bool {
        self.kind(index).opens() && self.brackets[index] != Layout::Tight
    }

    /// The line that may end before a token.
    fn line_before(&self, index: usize) -> Option<Line> {
        let token = &self.tokens.all[index];
        if self.opens_lines(index - 1) || self.closes_lines(index).is_some() {
            return Some(Line::TIGHT);
        }
        if self.marks.attribute_ends.contains(&index) {
            return Some(Line::SPACE);
        }
        let bracket = token.bracket.map(|bracket| self.brackets[bracket]);
        if self.marks.breaks.contains(&index) {
            return match (token.kind, bracket) {
                (TokenKind::Dot, _) => Some(Line::TIGHT),
                (_, Some(Layout::Lines { .. })) => Some(Line::SPACE),
                _ => None,
            };
        }
        match bracket {
            Some(Layout::Lines { fill, .. })
                if self.kind(index - 1) == TokenKind::Comma && !self.marks.in_angles.contains(&(index - 1)) =>
            {
                Some(Line { fill, ..Line::SPACE })
            }
            _ => None,
        }
    }
}
