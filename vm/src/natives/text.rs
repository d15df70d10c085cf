//! Reading numbers and JSON from text; times as text. No values, only Rust types.

use std::fmt::Write;

/// Deeper JSON than this is refused: it would only exhaust whoever walks it.
pub const MAX_JSON_DEPTH: usize = 512;

/// A whole number as STARK writes it: sign, underscores between digits, `0x 0o 0b` when the base says so or is 10.
pub fn parse_int(text: &str, base: u32) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, b)| {
            (base == b || base == 10).then(|| digits.strip_prefix(prefix)).flatten().map(|d| (d, b))
        })
        .unwrap_or((digits, base));
    let digits = without_underscores(digits)?;
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let n = i128::from_str_radix(&digits, base).ok()?;
    i64::try_from(if negative { -n } else { n }).ok()
}

/// A float: what Rust reads, `inf`, `nan`, underscores between digits.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = without_underscores(text)?;
    let unsigned = digits.trim_start_matches(['+', '-']);
    let is_word = ["inf", "infinity", "nan"].iter().any(|w| unsigned.eq_ignore_ascii_case(w));
    if !is_word && !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    digits.parse().ok()
}

/// `1_000` as `1000`; `None` when an underscore does not stand between two digits or letters.
fn without_underscores(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    if parts.len() > 1 && parts.iter().any(|p| p.is_empty()) || text.is_empty() {
        return None;
    }
    Some(parts.concat())
}

/// `2026-01-31T12:00:00Z` from seconds since 1970.
pub fn utc(unix_s: u64) -> String {
    let (days, in_day) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil_from_days(days as i64);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", in_day / 3600, in_day / 60 % 60, in_day % 60)
}

/// Howard Hinnant's `civil_from_days`: the Gregorian date of a day counted from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// One step of a JSON value, depth first: `n t f # s [ ] { }` and `k` for a key, with its text.
pub type JsonEvent = (char, String);

/// Why a text is no JSON value, and where.
#[derive(Debug)]
pub struct JsonError {
    pub what: String,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at line {}, column {} of the JSON text", self.what, self.line, self.column)
    }
}

/// The events of a JSON value, or why it is none.
pub fn json_events(text: &str) -> Result<Vec<JsonEvent>, JsonError> {
    let mut reader = Json { text, at: 0, events: Vec::new(), open: Vec::new() };
    match reader.read() {
        Ok(()) => Ok(reader.events),
        Err(what) => {
            let before = &text[..reader.at.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            Err(JsonError { what, line, column })
        }
    }
}

struct Json<'a> {
    text: &'a str,
    at: usize,
    events: Vec<JsonEvent>,
    /// The brackets that are open.
    open: Vec<char>,
}

impl Json<'_> {
    /// Reads with a stack of its own, so depth is no danger to the native one.
    fn read(&mut self) -> Result<(), String> {
        loop {
            self.value()?;
            // A value has ended: close what ends here, or find the comma before the next.
            loop {
                let Some(&open) = self.open.last() else {
                    self.blanks();
                    return if self.at == self.text.len() {
                        Ok(())
                    } else {
                        Err("text goes on behind the value".into())
                    };
                };
                let opened_now = matches!(self.events.last(), Some((c, _)) if *c == open);
                self.blanks();
                match self.peek() {
                    Some(close @ (b']' | b'}')) if (close == b']') == (open == '[') => {
                        self.at += 1;
                        self.open.pop();
                        self.events.push((close as char, String::new()));
                    }
                    Some(b',') if !opened_now => {
                        self.at += 1;
                        self.key(open)?;
                        break;
                    }
                    _ if opened_now => {
                        self.key(open)?;
                        break;
                    }
                    _ => return Err(format!("`,` or the end of `{open}` is missing")),
                }
            }
        }
    }

    fn key(&mut self, open: char) -> Result<(), String> {
        if open == '{' {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err("a key in quotes is missing".into());
            }
            let key = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err("`:` is missing".into());
            }
            self.at += 1;
            self.events.push(('k', key));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), String> {
        self.blanks();
        for (word, event) in [("null", 'n'), ("true", 't'), ("false", 'f')] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                self.events.push((event, String::new()));
                return Ok(());
            }
        }
        match self.peek() {
            Some(open @ (b'[' | b'{')) => {
                if self.open.len() == MAX_JSON_DEPTH {
                    return Err(format!("more than {MAX_JSON_DEPTH} levels"));
                }
                self.at += 1;
                self.open.push(open as char);
                self.events.push((open as char, String::new()));
                // An empty bracket ends right here, where `read` looks next; else the first item follows.
                Ok(())
            }
            Some(b'"') => {
                let text = self.string()?;
                self.events.push(('s', text));
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err("a value is missing".into()),
            None => Err("the text ends before the value does".into()),
        }
    }

    fn number(&mut self) -> Result<(), String> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        let ends_well =
            digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.ends_with('.') && !digits.contains(".e");
        if leading_zero || !ends_well || text.parse::<f64>().is_err() {
            self.at = start;
            return Err(format!("`{text}` is not a number"));
        }
        self.events.push(('#', text.to_string()));
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else { return Err("a text does not end".into()) };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c if (c as u32) < 0x20 => {
                    self.at -= 1;
                    return Err("a control character in a text".into());
                }
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let c = self.peek().ok_or("a text does not end")?;
        self.at += 1;
        Ok(match c {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high).ok_or("half of a surrogate pair".into());
                }
                if !self.text[self.at..].starts_with("\\u") {
                    return Err("half of a surrogate pair".into());
                }
                self.at += 2;
                let low = self.hex4()?;
                let code = 0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                return char::from_u32(code)
                    .filter(|_| (0xdc00..0xe000).contains(&low))
                    .ok_or("half of a surrogate pair".into());
            }
            _ => {
                self.at -= 1;
                return Err("an escape that JSON does not have".into());
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or("four hexadecimal digits are missing")?;
        self.at += 4;
        Ok(code)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

/// Text as a JSON string, quotes included.
pub fn json_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_the_language_writes_them() {
        for (text, base, n) in [
            ("42", 10, Some(42)),
            (" -7 ", 10, Some(-7)),
            ("1_000", 10, Some(1000)),
            ("0xff", 10, Some(255)),
            ("ff", 16, Some(255)),
            ("-9223372036854775808", 10, Some(i64::MIN)),
            ("9223372036854775808", 10, None),
            ("4x", 10, None),
            ("", 10, None),
            ("-", 10, None),
            ("1__0", 10, None),
            ("--1", 10, None),
        ] {
            assert_eq!(parse_int(text, base), n, "{text}");
        }
    }

    #[test]
    fn floats_are_read_in_every_usual_form() {
        for (text, x) in [
            ("2.5", Some(2.5)),
            ("-1e3", Some(-1000.0)),
            (".5", Some(0.5)),
            ("inf", Some(f64::INFINITY)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(parse_float(text), x, "{text}");
        }
    }

    #[test]
    fn dates_follow_the_gregorian_calendar() {
        for (s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(s), text);
        }
    }

    fn shape(text: &str) -> String {
        json_events(text).map_or_else(|e| format!("error: {e}"), |events| events.iter().map(|(c, _)| *c).collect())
    }

    #[test]
    fn json_becomes_events() {
        for (text, want) in [
            ("null", "n"),
            (r#" [1, -2.5e3, "a\u00e9\ud83d\ude00", []] "#, "[##s[]]"),
            (r#"{"a": {"b": true}, "c": [false]}"#, "{k{kt}k[f]}"),
            ("{}", "{}"),
            ("[1 2]", "error: `,` or the end of `[` is missing at line 1, column 4 of the JSON text"),
            ("[1,]", "error: a value is missing at line 1, column 4 of the JSON text"),
            ("{\n\"a\" 1}", "error: `:` is missing at line 2, column 5 of the JSON text"),
            ("01", "error: `01` is not a number at line 1, column 1 of the JSON text"),
            ("1 2", "error: text goes on behind the value at line 1, column 3 of the JSON text"),
            ("", "error: the text ends before the value does at line 1, column 1 of the JSON text"),
            ("[", "error: the text ends before the value does at line 1, column 2 of the JSON text"),
        ] {
            assert_eq!(shape(text), want, "{text}");
        }
        assert!(shape(&"[".repeat(100_000)).starts_with("error: more than"));
    }
}
