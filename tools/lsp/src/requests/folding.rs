//! What can be folded away: blocks and brackets over several lines, neighbouring comments.

use super::{Refusal, program};
use crate::position::Lines;
use crate::project::Project;
use lsp_types::{FoldingRange, FoldingRangeKind, FoldingRangeParams};
use stark_syntax::token::TokenKind;

pub fn ranges(project: &mut Project, p: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let text = program.sources.text(program.root);
    let lines = Lines::of(text);
    let line = |offset: u32| lines.position(offset).line;
    let lexed = stark_syntax::lex(text, program.root);
    let mut out = Vec::new();
    let mut add = |start: u32, end: u32, kind: Option<FoldingRangeKind>| {
        if start < end {
            out.push(FoldingRange { start_line: start, end_line: end, kind, ..FoldingRange::default() });
        }
    };
    // A block hangs on the line before it; a bracket stays open until its last line.
    let mut open: Vec<u32> = Vec::new();
    let mut last = 0;
    for token in &lexed.tokens {
        match token.kind {
            TokenKind::Indent => open.push(last),
            TokenKind::Dedent => {
                if let Some(start) = open.pop() {
                    add(start, last, None);
                }
            }
            kind if kind.opens() => open.push(line(token.start)),
            kind if kind.closes() => {
                if let Some(start) = open.pop() {
                    add(start, line(token.start).saturating_sub(1), None);
                }
            }
            _ => {}
        }
        if !token.kind.is_layout() {
            last = line(token.end);
        }
    }
    let mut comments: Option<(u32, u32)> = None;
    for comment in &lexed.comments {
        let (start, end) = (line(comment.span.start), line(comment.span.end));
        comments = match comments {
            Some((first, before)) if start == before + 1 => Some((first, end)),
            other => {
                if let Some((first, before)) = other {
                    add(first, before, Some(FoldingRangeKind::Comment));
                }
                Some((start, end))
            }
        };
    }
    if let Some((first, before)) = comments {
        add(first, before, Some(FoldingRangeKind::Comment));
    }
    out.sort_by_key(|r| (r.start_line, r.end_line));
    Ok(Some(out))
}
