//! The formatter: one layout for every program, without a change of what it says.
//!
//! A source becomes tokens and a tree (`stark-syntax`). `rules` marks tokens with what only the tree knows, `layout`
//! makes a document of tokens, marks and comments, and `doc` prints it into 100 columns. Since the document is made of
//! the tokens themselves, nothing can get lost on the way; `format` compares all the same before it answers.
//!
//! Indentation, blanks, line ends within brackets, empty lines beyond one and the commas before closing brackets are
//! the formatter's. Names, texts, numbers, comments, parentheses and the ends of statements are the author's. A bracket
//! that ends with a comma on a line of its own stays broken, so an author can ask for one element a line.

mod doc;
mod layout;
mod rules;
mod spacing;
mod tokens;

use stark_syntax::codes;
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceId, Span};
use stark_syntax::token::{Token, TokenKind};
use stark_syntax::{Lexed, lex, parse};

/// The text in the one layout. What is wrong with it when it cannot be read: then it is nobody's to lay out.
///
/// The spans of the diagnostics are of `SourceId(0)`.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let source = SourceId(0);
    let parsed = parse(text, source);
    // A borrow at the wrong place is read well: it is a matter of ownership.
    let is_unread = |d: &Diagnostic| d.severity == Severity::Error && d.code != codes::BORROW_ESCAPES;
    if parsed.diagnostics.iter().any(is_unread) {
        return Err(parsed.diagnostics);
    }
    let lexed = lex(text, source);
    let tokens = tokens::Tokens::new(text, &lexed);
    let marks = rules::mark(&tokens, &parsed.module);
    let commands = layout::document(&tokens, &marks, &lexed.comments);
    let line_end = match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let formatted = doc::print(&commands, line_end);
    if let Some(at) = first_difference(text, &lexed, &formatted) {
        return Err(vec![would_change(Span { source, ..at })]);
    }
    Ok(formatted)
}

/// A mistake of ours, and the last chance to keep it from the file.
fn would_change(at: Span) -> Diagnostic {
    Diagnostic::error(
        codes::FORMATTER,
        "formatting would change the program here",
        at,
        "this would be read differently",
    )
    .note("the text is left as it is")
    .help("this is a mistake of the formatter: please report it with this statement")
}

/// Where the second text says something else than the first one.
fn first_difference(text: &str, lexed: &Lexed, formatted: &str) -> Option<Span> {
    let again = lex(formatted, SourceId(0));
    let (before, after) = (essence(text, lexed), essence(formatted, &again));
    let n = before.iter().zip(&after).take_while(|(a, b)| a.1 == b.1 && a.2 == b.2).count();
    if n < before.len().max(after.len()) {
        return Some(before.get(n).map_or_else(|| Span::new(SourceId(0), text.len(), text.len()), |part| part.0));
    }
    let comments = |text: &'_ str, lexed: &Lexed| -> Vec<String> {
        let slice = |span: Span| text[span.start as usize..span.end as usize].trim_end().to_string();
        lexed.comments.iter().map(|comment| slice(comment.span)).collect()
    };
    let (before, after) = (comments(text, lexed), comments(formatted, &again));
    let n = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    (n < before.len().max(after.len()))
        .then(|| lexed.comments.get(n).map_or_else(|| Span::new(SourceId(0), 0, 0), |comment| comment.span))
}

/// Tokens with their texts, layout included, but for what the formatter may decide: commas before closing brackets, whether
/// a body of one line stands below its header or beside it, and whether attributes do.
fn essence<'t>(text: &'t str, lexed: &Lexed) -> Vec<(Span, TokenKind, &'t str)> {
    struct Block {
        newline: usize,
        n_lines: usize,
    }
    let mut parts: Vec<(Span, TokenKind, &str)> = Vec::with_capacity(lexed.tokens.len());
    let mut is_free = Vec::with_capacity(lexed.tokens.len());
    let mut blocks: Vec<Block> = Vec::new();
    for (i, token) in lexed.tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| lexed.tokens[i].kind);
        let mut free = false;
        match token.kind {
            kind if kind.closes() && before == Some(TokenKind::Comma) => is_free[i - 1] = true,
            TokenKind::Newline => {
                free = ends_attribute(&lexed.tokens[..i]);
                if let Some(block) = blocks.last_mut() {
                    block.n_lines += 1;
                }
            }
            TokenKind::Indent => blocks.push(Block { newline: i - 1, n_lines: 0 }),
            TokenKind::Dedent => {
                if let Some(block) = blocks.pop() {
                    let opener = block.newline.checked_sub(1).map(|i| lexed.tokens[i].kind);
                    if block.n_lines == 1 && opener == Some(TokenKind::Colon) {
                        (is_free[block.newline], is_free[block.newline + 1], free) = (true, true, true);
                    }
                    // Its last line is one of the block around it; a longer block is no line at all.
                    if let Some(outer) = blocks.last_mut() {
                        outer.n_lines += if free { 0 } else { 2 };
                    }
                }
            }
            _ => {}
        }
        is_free.push(free);
        let slice = &text[token.start as usize..token.end as usize];
        parts.push((Span::new(SourceId(0), token.start as usize, token.end as usize), token.kind, slice));
    }
    let mut free = is_free.into_iter();
    parts.retain(|_| free.next() == Some(false));
    parts
}

/// Whether the line that these tokens end with holds attributes alone.
fn ends_attribute(tokens: &[Token]) -> bool {
    let start = tokens.iter().rposition(|token| token.kind.is_layout()).map_or(0, |i| i + 1);
    let mut depth = 0usize;
    let mut expects_at = true;
    for token in &tokens[start..] {
        match token.kind {
            TokenKind::LParen => depth += 1,
            TokenKind::RParen => {
                depth = depth.saturating_sub(1);
                expects_at = depth == 0;
            }
            _ if depth > 0 => {}
            TokenKind::At => expects_at = false,
            TokenKind::Ident if !expects_at => expects_at = true,
            _ => return false,
        }
    }
    start < tokens.len()
}
