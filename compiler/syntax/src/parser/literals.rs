//! Literals: numbers and durations, texts with their escapes, format texts with the expressions in them.

use super::*;

/// Nanoseconds in each unit of time.
const UNITS: [(&str, u64); 5] =
    [("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];
const INT_SUFFIXES: [&str; 8] = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
const FLOAT_SUFFIXES: [&str; 4] = ["f16", "bf16", "f32", "f64"];

impl<'s> Parser<'s> {
    /// The literal at this token.
    pub(super) fn literal(&mut self) -> Expr {
        let token = self.bump();
        let span = self.span_of(token);
        let kind = match token.kind {
            TokenKind::True => ExprKind::Literal(Literal::Bool(true)),
            TokenKind::False => ExprKind::Literal(Literal::Bool(false)),
            TokenKind::Number => match self.number(self.text_of(token)) {
                Ok(literal) => ExprKind::Literal(literal),
                Err((message, help)) => {
                    let diagnostic = Diagnostic::error(codes::BAD_NUMBER, message, span, "this number").help(help);
                    self.complain(diagnostic);
                    ExprKind::Literal(Literal::Int(0, None))
                }
            },
            TokenKind::FormatText => self.format_text(token),
            TokenKind::Text => self.text_literal(token),
            _ => ExprKind::Error,
        };
        Expr { kind, span }
    }

    fn number(&self, text: &str) -> Result<Literal, (String, String)> {
        let (digits, base, name) = match text.get(..2) {
            Some("0x" | "0X") => (&text[2..], 16, "hexadecimal"),
            Some("0b" | "0B") => (&text[2..], 2, "binary"),
            Some("0o" | "0O") => (&text[2..], 8, "octal"),
            _ => (text, 10, "decimal"),
        };
        if base != 10 {
            let mut end = digits.find(|c: char| c != '_' && !c.is_digit(base)).unwrap_or(digits.len());
            // In `0b1u8` the suffix begins where digits end; a digit that is too large is a mistake in the number.
            if digits[end..].starts_with(|c: char| c.is_ascii_digit()) {
                end = digits.len();
            }
            let plain = digits[..end].replace('_', "");
            if plain.is_empty() || !plain.chars().all(|c| c.is_digit(base)) {
                return Err((
                    format!("`{text}` is not a {name} number"),
                    format!("its digits are those of base {base}"),
                ));
            }
            let suffix = &digits[end..];
            let value = u128::from_str_radix(&plain, base).map_err(|_| too_large(text))?;
            return int_with_suffix(text, value, suffix);
        }
        let bytes = text.as_bytes();
        let digits = |mut i: usize| {
            while bytes.get(i).is_some_and(|b| b.is_ascii_digit() || *b == b'_') {
                i += 1;
            }
            i
        };
        let mut end = digits(0);
        let mut is_float = false;
        if bytes.get(end) == Some(&b'.') {
            is_float = true;
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                is_float = true;
                end = digits(end + 1 + sign);
            }
        }
        let (value, suffix) = (text[..end].replace('_', ""), &text[end..]);
        if let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == suffix) {
            return duration(&value, *unit).map(Literal::Duration).ok_or_else(|| {
                (format!("the duration `{text}` is too large"), "the longest is about 292 years".into())
            });
        }
        if FLOAT_SUFFIXES.contains(&suffix) || (is_float && suffix.is_empty()) {
            let number: f64 = value.parse().map_err(|_| too_large(text))?;
            if number.is_infinite() {
                return Err(too_large(text));
            }
            return Ok(Literal::Float(number, (!suffix.is_empty()).then(|| Rc::from(suffix))));
        }
        if is_float {
            return Err(bad_suffix(text, suffix));
        }
        if value.len() > 1
            && value.starts_with('0')
            && value.bytes().all(|b| b.is_ascii_digit())
            && value.bytes().any(|b| b != b'0')
        {
            let octal = value.trim_start_matches('0');
            return Err((
                format!("`{text}` begins with a zero"),
                format!("write `{octal}`, or `0o{octal}` if it is meant in base 8"),
            ));
        }
        let number = value.parse().map_err(|_| too_large(text))?;
        int_with_suffix(text, number, suffix)
    }

    fn text_literal(&mut self, token: Token) -> ExprKind {
        let quoted = Quoted::of(self.text_of(token));
        let start = token.start as usize + quoted.opening;
        let content = &self.text[start..start + quoted.content];
        let lines = if quoted.triple { Lines::of(content, |_| true) } else { Lines::none(content) };
        if quoted.bytes {
            let mut out = Vec::new();
            self.cook_bytes(content, start, &quoted, &lines, &mut out);
            return ExprKind::Literal(Literal::Bytes(Rc::from(out)));
        }
        let mut out = String::new();
        self.cook(content, start, 0..content.len(), &quoted, &lines, &mut out);
        ExprKind::Literal(Literal::Str(Rc::from(out)))
    }

    /// Appends a part of a text, its escapes read and the common indentation of its lines taken away.
    fn cook(
        &mut self,
        content: &str,
        start: usize,
        part: std::ops::Range<usize>,
        quoted: &Quoted,
        lines: &Lines,
        out: &mut String,
    ) {
        let bytes = content.as_bytes();
        let (mut i, end) = (part.start.max(lines.first), part.end.min(lines.last));
        while i < end {
            if lines.indent > 0 && (i == lines.first && lines.first > 0 || i > 0 && bytes[i - 1] == b'\n') {
                let blanks = bytes[i..end].iter().take(lines.indent).take_while(|b| **b == b' ').count();
                i += blanks;
                if i >= end {
                    break;
                }
            }
            match bytes[i] {
                b'\\' if !quoted.raw => {
                    let (character, length) = self.escape(&content[i..end], start + i);
                    out.extend(character);
                    i += length;
                }
                b'\r' if bytes.get(i + 1) == Some(&b'\n') => i += 1,
                b'{' | b'}' if quoted.format => {
                    // The doubled ones; single ones are not in a part.
                    out.push(bytes[i] as char);
                    i += if bytes.get(i + 1) == Some(&bytes[i]) && i + 1 < end { 2 } else { 1 };
                }
                b'\n' => {
                    out.push('\n');
                    i += 1;
                }
                _ => {
                    let rest = &content[i..end];
                    let stop = |c: char| matches!(c, '\\' | '\n' | '\r' | '{' | '}');
                    let length = rest.char_indices().skip(1).find(|(_, c)| stop(*c)).map_or(rest.len(), |(i, _)| i);
                    out.push_str(&rest[..length]);
                    i += length;
                }
            }
        }
    }

    fn cook_bytes(&mut self, content: &str, start: usize, quoted: &Quoted, lines: &Lines, out: &mut Vec<u8>) {
        let mut text = String::new();
        let mut i = 0;
        // Bytes differ from text in `\x41` alone, which text does not have.
        while i < content.len() {
            let rest = &content[i..];
            let hex = rest.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            if !quoted.raw && rest.starts_with("\\x") && hex.is_some() {
                out.append(&mut std::mem::take(&mut text).into_bytes());
                out.extend(hex);
                i += 4;
                continue;
            }
            let step = if !quoted.raw && rest.starts_with('\\') {
                let (_, length) = read_escape(rest);
                length
            } else {
                rest.find('\\').filter(|_| !quoted.raw).unwrap_or(rest.len())
            };
            self.cook(content, start, i..i + step, quoted, lines, &mut text);
            i += step;
        }
        out.append(&mut text.into_bytes());
        if let Some(at) = content.find(|c: char| !c.is_ascii()) {
            let length = content[at..].chars().next().map_or(1, char::len_utf8);
            let span = Span::new(self.source, start + at, start + at + length);
            self.complain(
                Diagnostic::error(codes::BAD_ESCAPE, "bytes are written in ASCII and escapes", span, "not ASCII")
                    .help("write the bytes as `\\x..`, or make them from a text"),
            );
        }
    }

    /// The character of an escape (none when it is wrong) and its length in the source.
    fn escape(&mut self, rest: &str, at: usize) -> (Option<char>, usize) {
        let (character, length) = read_escape(rest);
        if character.is_none() {
            let written = &rest[..length];
            let span = Span::new(self.source, at, at + length);
            let help = if written.starts_with("\\x") {
                "a character is written by its number in `\\u{…}`: `\\u{41}` is `A`"
            } else if written.starts_with("\\u") {
                "write the character's number in braces: `\\u{1F600}`"
            } else {
                "write `\\\\` for a backslash, or `r\"…\"` for a text without escapes"
            };
            let message = format!("`{}` is not an escape", written.escape_debug().to_string().replace("\\\\", "\\"));
            self.complain(Diagnostic::error(codes::BAD_ESCAPE, message, span, "not an escape").help(help));
        }
        (character, length)
    }

    // --- format texts --------------------------------------------------------------------------------------------

    fn format_text(&mut self, token: Token) -> ExprKind {
        let quoted = Quoted::of(self.text_of(token));
        let start = token.start as usize + quoted.opening;
        let content = &self.text[start..start + quoted.content];
        let values = find_values(content, quoted.raw);
        let lines = if quoted.triple {
            Lines::of(content, |at| !values.iter().any(|value| value.start < at && at <= value.end))
        } else {
            Lines::none(content)
        };
        let mut parts = Vec::new();
        let mut from = 0;
        let end = content.len();
        for value in values.into_iter().chain([end..end]) {
            let mut text = String::new();
            self.check_braces(&content[from..value.start], start + from);
            self.cook(content, start, from..value.start, &quoted, &lines, &mut text);
            if !text.is_empty() {
                parts.push(FPart::Text(Rc::from(text)));
            }
            if value.is_empty() {
                break;
            }
            parts.push(self.format_value(start + value.start + 1, start + value.end - 1));
            from = value.end;
        }
        ExprKind::FString(parts)
    }

    fn check_braces(&mut self, text: &str, start: usize) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] == b'}' {
                if bytes.get(i + 1) == Some(&b'}') {
                    i += 1;
                } else {
                    let span = Span::new(self.source, start + i, start + i + 1);
                    self.complain(
                        Diagnostic::error(
                            codes::BAD_FORMAT,
                            "a single `}` in a format text",
                            span,
                            "it closes nothing",
                        )
                        .help("write `}}` for a brace that is text")
                        .fix("double the brace", vec![(span, "}}".into())]),
                    );
                }
            }
            i += 1;
        }
    }

    /// The value between the braces, at `start..end` of the source.
    fn format_value(&mut self, start: usize, end: usize) -> FPart {
        let whole = Span::new(self.source, start, end);
        let none = Span::new(self.source, end, end);
        if self.text[start..end].trim().is_empty() {
            self.complain(
                Diagnostic::error(codes::BAD_FORMAT, "empty braces in a format text", whole, "a value belongs here")
                    .help("write `{{}}` for braces that are text"),
            );
            let expr = Expr { kind: ExprKind::Error, span: whole };
            return FPart::Value { expr, spec: None, nested: Vec::new(), spec_span: none };
        }
        let lexed = layout::lex_inside(self.text, self.source, start, end);
        let outer_tokens = std::mem::replace(&mut self.tokens, lexed.tokens);
        let outer = (self.pos, self.prev_end, self.context, self.inline);
        (self.pos, self.prev_end, self.inline) = (0, start as u32, 0);
        self.context = Context { format: true, ..Context::default() };
        let expr = if self.enter() { self.expr() } else { Expr { kind: ExprKind::Error, span: whole } };
        self.leave();
        let stopped = self.token();
        let mut at = if stopped.kind.is_layout() { end } else { stopped.start as usize };
        let mut spec: Option<Rc<str>> = None;
        let is_spec =
            matches!(stopped.kind, TokenKind::Colon | TokenKind::ColonColon) && !self.recovering && !self.aborted;
        if is_spec {
            at += 1;
            spec = Some(Rc::from(&self.text[at..end]));
        } else if !stopped.kind.is_layout() {
            let conversion = stopped.kind == TokenKind::Bang;
            let mut diagnostic = self.expected(codes::BAD_FORMAT, "`:` or `}` after the value");
            diagnostic = if conversion {
                diagnostic.help("there are no conversions such as `!r`; inside containers text is quoted anyway")
            } else if stopped.kind == TokenKind::Eq {
                diagnostic.help("write the name too: `f\"n = {n}\"`")
            } else {
                diagnostic
            };
            self.fail(diagnostic);
        }
        // What lexing said about the format itself (a quote as fill) is no mistake.
        for diagnostic in lexed.diagnostics {
            if !is_spec || (diagnostic.primary.span.start as usize) < at {
                self.complain(diagnostic);
            }
        }
        self.tokens = outer_tokens;
        if self.aborted {
            self.pos = self.tokens.len() - 1;
            (_, self.prev_end, self.context, self.inline) = outer;
        } else {
            (self.pos, self.prev_end, self.context, self.inline) = outer;
        }
        let spec_span = if spec.is_some() { Span::new(self.source, at, end) } else { none };
        let mut nested = Vec::new();
        if let Some(text) = spec.take_if(|text| text.contains('{')) {
            let mut from = 0;
            for value in find_values(&text, true) {
                if value.start > from {
                    nested.push(FPart::Text(text[from..value.start].into()));
                }
                nested.push(self.format_value(at + value.start + 1, at + value.end - 1));
                from = value.end;
            }
            if from < text.len() {
                nested.push(FPart::Text(text[from..].into()));
            }
        }
        FPart::Value { expr, spec, nested, spec_span }
    }
}

/// The ranges of the values in a format text, braces included.
fn find_values(content: &str, raw: bool) -> Vec<std::ops::Range<usize>> {
    // The lexer has found the end of the text by the same rules, so all braces and quotes have partners.
    let bytes = content.as_bytes();
    let mut values = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'{' if bytes.get(i + 1) == Some(&b'{') => i += 2,
            b'{' => match value_end(bytes, i) {
                Some(end) => {
                    values.push(i..end);
                    i = end;
                }
                None => break,
            },
            // `\u{…}` is an escape; no other escape has a brace.
            b'\\' if !raw && bytes.get(i + 1) == Some(&b'u') && bytes.get(i + 2) == Some(&b'{') => {
                i = bytes[i..].iter().position(|b| *b == b'}').map_or(bytes.len(), |n| i + n + 1);
            }
            b'\\' if !raw => i += 2,
            _ => i += 1,
        }
    }
    values
}

/// The end of the value whose `{` stands at `open`: texts in it are skipped, braces counted.
fn value_end(bytes: &[u8], open: usize) -> Option<usize> {
    // `Some((quote, length, format, raw))` for a text, `None` for braces.
    let mut inside: Vec<Option<(u8, usize, bool, bool)>> = vec![None];
    let mut i = open + 1;
    while i < bytes.len() {
        let byte = bytes[i];
        let triple = bytes.get(i + 1) == Some(&byte) && bytes.get(i + 2) == Some(&byte);
        match inside.last().copied()? {
            None => match byte {
                b'{' => inside.push(None),
                b'}' => {
                    inside.pop();
                    if inside.is_empty() {
                        return Some(i + 1);
                    }
                }
                b'"' | b'\'' => {
                    let (format, raw) = crate::lexer::text_prefix(bytes, i);
                    let length = if triple { 3 } else { 1 };
                    inside.push(Some((byte, length, format, raw)));
                    i += length - 1;
                }
                _ => {}
            },
            Some((quote, length, format, raw)) => {
                if byte == quote && (length == 1 || triple) {
                    inside.pop();
                    i += length - 1;
                } else if byte == b'\\' && !raw {
                    i += 1;
                } else if byte == b'{' && format {
                    if bytes.get(i + 1) == Some(&b'{') {
                        i += 1;
                    } else {
                        inside.push(None);
                    }
                }
            }
        }
        i += 1;
    }
    None
}

/// The outside of a text: prefix, quotes, and how long the inside is.
struct Quoted {
    raw: bool,
    bytes: bool,
    format: bool,
    triple: bool,
    opening: usize,
    content: usize,
}

impl Quoted {
    fn of(text: &str) -> Quoted {
        let prefix = text.find(['"', '\'']).unwrap_or(0);
        let quotes = &text.as_bytes()[prefix..];
        let triple = quotes.len() >= 6 && quotes[1] == quotes[0] && quotes[2] == quotes[0];
        let length = if triple { 3 } else { 1 };
        let letters = &text[..prefix];
        Quoted {
            raw: letters.contains('r'),
            bytes: letters.contains('b'),
            format: letters.contains('f'),
            triple,
            opening: prefix + length,
            content: text.len().saturating_sub(prefix + 2 * length),
        }
    }
}

/// What the layout of a text in `"""` takes away: an empty first line, a last line of blanks, the common indentation.
struct Lines {
    first: usize,
    last: usize,
    indent: usize,
}

impl Lines {
    fn none(content: &str) -> Lines {
        Lines { first: 0, last: content.len(), indent: 0 }
    }

    /// `is_text` tells whether a byte begins a line of the text itself, not of a value inside.
    fn of(content: &str, is_text: impl std::ops::Fn(usize) -> bool) -> Lines {
        let mut lines = Lines::none(content);
        let Some(first_end) = content.find('\n') else { return lines };
        if content[..first_end].trim().is_empty() {
            lines.first = first_end + 1;
        }
        if let Some(at) = content.rfind('\n')
            && content[at..].trim().is_empty()
            && is_text(at + 1)
        {
            lines.last = if at > 0 && content.as_bytes()[at - 1] == b'\r' { at - 1 } else { at };
            lines.last = lines.last.max(lines.first);
        }
        let mut start = if lines.first > 0 { lines.first } else { first_end + 1 };
        let mut common: Option<usize> = None;
        while start < lines.last {
            let end = content[start..lines.last].find('\n').map_or(lines.last, |n| start + n);
            let line = &content[start..end];
            if !line.trim().is_empty() && is_text(start) {
                let indent = line.len() - line.trim_start_matches(' ').len();
                common = Some(common.map_or(indent, |least| least.min(indent)));
            }
            start = end + 1;
        }
        lines.indent = common.unwrap_or(0);
        lines
    }
}

/// The character an escape stands for (none when it is wrong) and its length. `rest` begins with the backslash.
fn read_escape(rest: &str) -> (Option<char>, usize) {
    let Some(letter) = rest[1..].chars().next() else { return (None, rest.len().min(1)) };
    let plain = match letter {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '0' => Some('\0'),
        '\\' | '"' | '\'' => Some(letter),
        'u' if rest[2..].starts_with('{') => {
            let Some(close) = rest.find('}') else { return (None, 2) };
            let number = rest[3..close].replace('_', "");
            let character = u32::from_str_radix(&number, 16).ok().and_then(char::from_u32);
            return (character, close + 1);
        }
        _ => None,
    };
    (plain, 1 + letter.len_utf8())
}

/// Nanoseconds of `1.5` units, exactly for whole numbers.
fn duration(value: &str, unit: u64) -> Option<i64> {
    if let Ok(whole) = value.parse::<u64>() {
        return whole.checked_mul(unit).and_then(|n| i64::try_from(n).ok());
    }
    let ns = value.parse::<f64>().ok()? * unit as f64;
    (ns < i64::MAX as f64).then_some(ns.round() as i64)
}

fn int_with_suffix(text: &str, value: u128, suffix: &str) -> Result<Literal, (String, String)> {
    if suffix.is_empty() {
        return Ok(Literal::Int(value, None));
    }
    if INT_SUFFIXES.contains(&suffix) {
        return Ok(Literal::Int(value, Some(Rc::from(suffix))));
    }
    Err(bad_suffix(text, suffix))
}

fn bad_suffix(text: &str, suffix: &str) -> (String, String) {
    (
        format!("`{suffix}` is no suffix of a number, in `{text}`"),
        "suffixes are types (`i8` to `i64`, `u8` to `u64`, `f16`, `bf16`, `f32`, `f64`) and times (`us`, `ms`, `s`, `m`, `h`)".into(),
    )
}

fn too_large(text: &str) -> (String, String) {
    let shown: String = text.chars().take(40).collect();
    (format!("the number `{shown}` is too large"), "whole numbers have up to 64 bits".into())
}
