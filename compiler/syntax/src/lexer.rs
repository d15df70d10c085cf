//! Characters to raw tokens: the parts that a regular expression cannot say.
//!
//! `logos` finds the first characters of a token (see `token`); texts, comments and numbers are read on by hand here,
//! because comments nest, format texts hold expressions, and a wrong number should be one wrong token.
//! Every byte belongs to a token: what begins none becomes `Unknown` and a diagnostic.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, Span};
use crate::token::TokenKind;
use logos::Lexer;

/// What the lexer carries along.
#[derive(Clone, Debug, Default)]
pub struct LexState {
    pub source: SourceId,
    /// Where the lexed part begins in its source.
    pub offset: usize,
    pub diagnostics: Vec<Diagnostic>,
}

impl LexState {
    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, self.offset + start, self.offset + end)
    }
}

pub(crate) fn block_comment(lexer: &mut Lexer<'_, TokenKind>) {
    let rest = lexer.remainder().as_bytes();
    let (mut depth, mut i) = (1usize, 0);
    while i < rest.len() && depth > 0 {
        match (rest[i], rest.get(i + 1)) {
            (b'*', Some(b'/')) => (depth, i) = (depth - 1, i + 2),
            (b'/', Some(b'*')) => (depth, i) = (depth + 1, i + 2),
            _ => i += 1,
        }
    }
    let start = lexer.span().start;
    lexer.bump(i);
    if depth > 0 {
        let span = lexer.extras.span(start, start + 2);
        lexer.extras.diagnostics.push(
            Diagnostic::error(codes::OPEN_COMMENT, "this comment is never closed", span, "it begins here")
                .help("block comments nest: each `/*` needs its own `*/`"),
        );
    }
}

/// Digits, a point and exponent, a base, and the letters that touch them: whether they make sense is judged by `literal`.
pub(crate) fn number(lexer: &mut Lexer<'_, TokenKind>) {
    let rest = lexer.remainder().as_bytes();
    let digits = |mut i: usize| {
        while rest.get(i).is_some_and(|b| b.is_ascii_digit() || *b == b'_') {
            i += 1;
        }
        i
    };
    let mut i = 0;
    let based = lexer.slice() == "0" && matches!(rest.first(), Some(b'x' | b'o' | b'b' | b'X' | b'O' | b'B'));
    if !based {
        i = digits(i);
        if rest.get(i) == Some(&b'.') && rest.get(i + 1).is_some_and(u8::is_ascii_digit) {
            i = digits(i + 1);
        }
        if matches!(rest.get(i), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(i + 1), Some(b'+' | b'-')));
            if rest.get(i + 1 + sign).is_some_and(u8::is_ascii_digit) {
                i = digits(i + 1 + sign);
            }
        }
    }
    while rest.get(i).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        i += 1;
    }
    lexer.bump(i);
}

pub(crate) fn text(lexer: &mut Lexer<'_, TokenKind>) -> TokenKind {
    quoted(lexer, TokenKind::Text)
}

pub(crate) fn format_text(lexer: &mut Lexer<'_, TokenKind>) -> TokenKind {
    quoted(lexer, TokenKind::FormatText)
}

/// What a quoted text is inside of, while its end is looked for.
enum Inside {
    Text { quote: u8, triple: bool, format: bool, raw: bool },
    Braces { at: usize },
}

/// The length of a quoted text's opening: 1, or 3 for `"""`.
fn quote_length(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    if bytes.get(at + 1) == Some(&quote) && bytes.get(at + 2) == Some(&quote) { 3 } else { 1 }
}

/// Whether the letters before the quote at `at` make it a format text, and a raw one.
pub(crate) fn text_prefix(bytes: &[u8], at: usize) -> (bool, bool) {
    let letters = bytes[..at].iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').take(3);
    let is_prefix = letters.clone().count() < 3 && letters.clone().all(|b| b"frb".contains(b));
    (is_prefix && letters.clone().any(|b| *b == b'f'), is_prefix && letters.clone().any(|b| *b == b'r'))
}

fn quoted(lexer: &mut Lexer<'_, TokenKind>, kind: TokenKind) -> TokenKind {
    let start = lexer.span().start;
    let opening = lexer.span().end - 1;
    let bytes = lexer.source().as_bytes();
    let prefix = &bytes[start..opening];
    let triple = quote_length(bytes, opening) == 3;
    let first = Inside::Text {
        quote: bytes[opening],
        triple,
        format: kind == TokenKind::FormatText,
        raw: prefix.contains(&b'r'),
    };
    let mut n_one_line = usize::from(!triple);
    let mut inside = vec![first];
    let mut i = opening + if triple { 3 } else { 1 };
    while i < bytes.len() {
        let byte = bytes[i];
        if byte == b'\n' && n_one_line > 0 {
            break;
        }
        match inside.last() {
            None => break,
            Some(&Inside::Text { quote, triple, format, raw }) => {
                if byte == quote && (!triple || quote_length(bytes, i) == 3) {
                    inside.pop();
                    n_one_line -= usize::from(!triple);
                    i += if triple { 3 } else { 1 };
                } else if byte == b'\\' && !raw && bytes.get(i + 1).is_some_and(|b| *b != b'\n' && *b != b'\r') {
                    i += 2;
                } else if byte == b'{' && format {
                    if bytes.get(i + 1) == Some(&b'{') {
                        i += 2;
                    } else {
                        inside.push(Inside::Braces { at: i });
                        i += 1;
                    }
                } else {
                    i += 1;
                }
            }
            Some(Inside::Braces { .. }) => match byte {
                b'{' => {
                    inside.push(Inside::Braces { at: i });
                    i += 1;
                }
                b'}' => {
                    inside.pop();
                    i += 1;
                }
                b'"' | b'\'' => {
                    let triple = quote_length(bytes, i) == 3;
                    let (format, raw) = text_prefix(bytes, i);
                    inside.push(Inside::Text { quote: byte, triple, format, raw });
                    n_one_line += usize::from(!triple);
                    i += if triple { 3 } else { 1 };
                }
                _ => i += 1,
            },
        }
    }
    if inside.is_empty() {
        lexer.bump(i - lexer.span().end);
        return kind;
    }
    // A line's end closes nothing in `"""`, so such a text runs to the end of the file.
    let mut end = i.min(bytes.len());
    if end < bytes.len() && end > 0 && bytes[end - 1] == b'\r' {
        end -= 1;
    }
    while !lexer.source().is_char_boundary(end) {
        end += 1;
    }
    lexer.bump(end - lexer.span().end);
    let diagnostic = match inside.get(1) {
        Some(&Inside::Braces { at }) => {
            let span = lexer.extras.span(at, at + 1);
            Diagnostic::error(codes::BAD_FORMAT, "this `{` is never closed", span, "it begins a value in a format text")
                .help("close it with `}`, or write `{{` for a brace that is text")
        }
        _ => {
            let quote = if triple { 3 } else { 1 };
            let span = lexer.extras.span(start, opening + quote);
            let help = if triple {
                "close it with the same three quotes"
            } else {
                "close it on this line, or use `\"\"\"` for a text of several lines"
            };
            Diagnostic::error(codes::OPEN_TEXT, "this text is never closed", span, "it begins here").help(help)
        }
    };
    lexer.extras.diagnostics.push(diagnostic);
    TokenKind::BrokenText
}

/// A diagnostic for characters that begin no token.
pub(crate) fn unknown(text: &str, span: Span) -> Diagnostic {
    let first = text.chars().next().unwrap_or(' ');
    let shown: String = text.chars().take(20).collect();
    let (message, help) = match first {
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
            (format!("`{first}` is not a quote that begins a text"), Some("write `\"` or `'`"))
        }
        '\\' => (
            "a backslash does not continue a line".to_string(),
            Some("put parentheses around an expression that spans lines"),
        ),
        '$' => ("`$` means nothing here".to_string(), Some("in a format text a value stands in braces: `f\"{name}\"`")),
        '`' => ("a backtick means nothing here".to_string(), Some("texts stand in `\"` or `'`")),
        '\r' => ("a carriage return without its line feed".to_string(), Some("end lines with `\\n` or `\\r\\n`")),
        c if c.is_whitespace() || c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{feff}' => {
            (format!("the invisible character U+{:04X} means nothing here", c as u32), Some("replace it by a space"))
        }
        '×' | '·' => (format!("`{first}` is not an operator"), Some("multiplication is `*`")),
        '÷' => (format!("`{first}` is not an operator"), Some("division is `/`")),
        '−' | '–' => (format!("`{first}` is not the minus sign of programs"), Some("write `-`")),
        '≤' => (format!("`{first}` is not an operator"), Some("write `<=`")),
        '≥' => (format!("`{first}` is not an operator"), Some("write `>=`")),
        '≠' => (format!("`{first}` is not an operator"), Some("write `!=`")),
        _ => (format!("`{shown}` means nothing here"), None),
    };
    let diagnostic = Diagnostic::error(codes::BAD_CHARACTER, message, span, "not a part of the language");
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
