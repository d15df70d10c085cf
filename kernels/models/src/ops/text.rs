//! Python's methods of texts that scripts use on names and modes.

use super::{Args, OpResult};
use crate::value::{MAX_TEXT, Value};

/// `text.split(separator, max)`: at white space when there is no separator.
pub fn split(a: &Args<'_>) -> OpResult {
    let text = a.str(0)?;
    // Negative: as often as it is there.
    let most = a.opt_int(2)?.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    if a.is_none(1) {
        rest = rest.trim_start();
        while let Some(at) = rest.find(char::is_whitespace).filter(|_| parts.len() < most) {
            parts.push(&rest[..at]);
            rest = rest[at..].trim_start();
        }
        // White space at the end makes no empty text, and stays where no more is split.
        let last = if parts.len() < most { rest.trim_end() } else { rest };
        parts.extend(Some(last).filter(|last| !last.is_empty()));
    } else {
        let separator = a.str(1)?;
        if separator.is_empty() {
            return Err("an empty separator".into());
        }
        while let Some((part, after)) = rest.split_once(separator).filter(|_| parts.len() < most) {
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
    }
    Value::list(parts.into_iter().map(Value::str).collect())
}

/// At the ends of lines, which stay when `keepends` says so.
pub fn split_lines(a: &Args<'_>) -> OpResult {
    let (mut rest, keeps) = (a.str(0)?, a.bool(1)?);
    let mut lines = Vec::new();
    while let Some(at) =
        rest.find(['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'])
    {
        let end = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keeps { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    lines.extend(Some(rest).filter(|rest| !rest.is_empty()));
    Value::list(lines.into_iter().map(Value::str).collect())
}

pub fn lower(a: &Args<'_>) -> OpResult {
    Ok(Value::str(a.str(0)?.to_lowercase()))
}

pub fn upper(a: &Args<'_>) -> OpResult {
    Ok(Value::str(a.str(0)?.to_uppercase()))
}

/// Without the given characters at both ends, which are white space unless said otherwise.
pub fn strip(a: &Args<'_>) -> OpResult {
    let text = a.str(0)?;
    Ok(Value::str(match a.is_none(1) {
        true => text.trim(),
        false => {
            let characters = a.str(1)?;
            text.trim_matches(|c| characters.contains(c))
        }
    }))
}

/// The part of the text that is looked at, by characters as Python's slices are.
fn part(a: &Args<'_>) -> Result<String, String> {
    let text: Vec<char> = a.str(0)?.chars().collect();
    let n = text.len() as i64;
    let place = |at: i64| if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
    let (start, end) = (place(a.int(2)?), a.opt_int(3)?.map_or(n, place));
    Ok(text.get(start as usize..end.max(start) as usize).unwrap_or(&[]).iter().collect())
}

pub fn starts_with(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(part(a)?.starts_with(a.str(1)?)))
}

pub fn ends_with(a: &Args<'_>) -> OpResult {
    Ok(Value::Bool(part(a)?.ends_with(a.str(1)?)))
}

pub fn replace(a: &Args<'_>) -> OpResult {
    let (text, old, new) = (a.str(0)?, a.str(1)?, a.str(2)?);
    let most = usize::try_from(a.int(3)?).unwrap_or(usize::MAX);
    let n = text.matches(old).count().min(most);
    if n.saturating_mul(new.len()).saturating_add(text.len()) > MAX_TEXT {
        return Err(format!("a text of more than {MAX_TEXT} bytes"));
    }
    Ok(Value::str(text.replacen(old, new, most)))
}

/// `text.rsplit(separator, max)`: as `split`, counted from the end.
pub fn rsplit(a: &Args<'_>) -> OpResult {
    let (text, separator) = (a.str(0)?, a.str(1)?);
    if separator.is_empty() {
        return Err("an empty separator".into());
    }
    let most = usize::try_from(a.int(2)?).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
    parts.reverse();
    Value::list(parts.into_iter().map(Value::str).collect())
}

/// The number of a text of one character; PyTorch counts bytes.
pub fn ord(a: &Args<'_>) -> OpResult {
    match a.str(0)?.as_bytes() {
        [byte] => Ok(Value::Int((*byte).into())),
        bytes => Err(format!("String for ord() must be 1 character long, not {} bytes", bytes.len())),
    }
}
