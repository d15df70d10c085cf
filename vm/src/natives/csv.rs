//! Comma-separated values (RFC 4180, with any separator), also of text that comes in pieces.

use super::support::{Outcome, answers};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[NativeRow] = answers! {
    csv_rows "(String, String, Int, Bool) -> (Vec<Vec<String>>, String, Int)";
};

/// A row beyond this is refused: quotes that do not close would take the rest of a file, however long.
pub const MAX_ROW_BYTES: usize = 256 << 20;

/// What a piece of text holds.
#[derive(Debug, PartialEq)]
struct Rows {
    rows: Vec<Vec<String>>,
    /// Where the text behind the last complete row begins, and the line it stands on.
    rest: usize,
    line: i64,
}

/// The complete rows of a text that begins on `line`. Unless it is `at_end`, what has no line end yet may go on.
fn rows(text: &str, sep: char, mut line: i64, at_end: bool) -> Result<Rows, String> {
    let mut found = Rows { rows: Vec::new(), rest: 0, line };
    let (mut row, mut field) = (Vec::new(), String::new());
    let mut chars = text.char_indices().peekable();
    // Whether anything of the current row was seen, and whether its field stood in quotes and is complete.
    let (mut begun, mut quoted) = (false, false);
    while let Some((_, c)) = chars.next() {
        let line_end = c == '\n' || c == '\r' && chars.peek().is_some_and(|(_, c)| *c == '\n');
        match c {
            _ if line_end => {
                if c == '\r' {
                    chars.next();
                }
                line += 1;
                if begun {
                    row.push(std::mem::take(&mut field));
                    found.rows.push(std::mem::take(&mut row));
                }
                (begun, quoted) = (false, false);
                found.rest = chars.peek().map_or(text.len(), |(i, _)| *i);
                found.line = line;
            }
            c if c == sep => {
                row.push(std::mem::take(&mut field));
                (begun, quoted) = (true, false);
            }
            // The other half of a line end may come with the next piece.
            '\r' if !at_end && chars.peek().is_none() => return Ok(found),
            _ if quoted => return Err(format!("line {line}: {c:?} behind the quotes that close a field")),
            '"' if field.is_empty() => {
                begun = true;
                let opened = line;
                loop {
                    match chars.next() {
                        Some((_, '"')) if chars.peek().is_some_and(|(_, c)| *c == '"') => {
                            chars.next();
                            field.push('"');
                        }
                        Some((_, '"')) => break,
                        Some((_, c)) => {
                            line += i64::from(c == '\n');
                            field.push(c);
                        }
                        None if at_end => return Err(format!("line {opened}: the quotes that open here do not close")),
                        None => return Ok(found),
                    }
                }
                quoted = true;
            }
            c => {
                begun = true;
                field.push(c);
            }
        }
    }
    if at_end {
        if begun {
            row.push(field);
            found.rows.push(row);
        }
        (found.rest, found.line) = (text.len(), line);
    }
    Ok(found)
}

fn csv_rows(cx: &NativeCx<'_>) -> Outcome {
    let (text, line, at_end) = (cx.str(0), cx.int(2), cx.bool(3));
    let mut sep = cx.str(1).chars();
    let sep = match (sep.next(), sep.next()) {
        (Some(c), None) if !['"', '\n', '\r'].contains(&c) => c,
        _ => {
            return Err(Fault::value(format!(
                "the separator {:?} is not one character, or a quote or line end",
                cx.str(1)
            )));
        }
    };
    cx.reserve(text.len())?;
    let found = rows(text, sep, line, at_end).map_err(Fault::value)?;
    let rest = &text[found.rest..];
    if rest.len() > MAX_ROW_BYTES {
        return Err(Fault::value(format!("line {}: a row has more than {MAX_ROW_BYTES} bytes", found.line)));
    }
    cx.reserve(found.rows.iter().map(|row| 64 + row.len() * 96).sum())?;
    let rows_type = cx.ret_type().field(0, 0);
    let row = |row: Vec<String>| Value::vec(rows_type.elem(), row.into_iter().map(Value::str));
    let rows = Value::vec(rows_type, found.rows.into_iter().map(row));
    Ok(Value::fields(cx.ret_type(), [rows, Value::str(rest), Value::int(found.line)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_stand_in_quotes() {
        let found = rows("a,b\r\n\"x, \"\"y\"\"\",2\n\nlast,", ',', 1, true).unwrap();
        assert_eq!(found.rows, [vec!["a", "b"], vec!["x, \"y\"", "2"], vec!["last", ""]]);
        assert_eq!(rows("\"\"\n", ',', 1, true).unwrap().rows, [vec![""]]);
        assert_eq!(rows("a\"b,c", ',', 1, true).unwrap().rows, [vec!["a\"b", "c"]]);
    }

    #[test]
    fn what_is_wrong_says_the_line() {
        let open = rows("a\n\"b\nc", ',', 1, true);
        assert_eq!(open, Err("line 2: the quotes that open here do not close".into()));
        let behind = rows("a\n\"b\"c", ',', 1, true);
        assert_eq!(behind, Err("line 2: 'c' behind the quotes that close a field".into()));
    }

    #[test]
    fn pieces_give_the_same_rows_wherever_they_are_cut() {
        let text = "a,\"x\ny\"\r\n\n1,2\n\"\"\"\",é";
        let whole = rows(text, ',', 1, true).unwrap().rows;
        for cut in (0..=text.len()).filter(|i| text.is_char_boundary(*i)) {
            let first = rows(&text[..cut], ',', 1, false).unwrap();
            let rest = format!("{}{}", &text[first.rest..cut], &text[cut..]);
            let last = rows(&rest, ',', first.line, true).unwrap();
            assert_eq!([first.rows, last.rows].concat(), whole, "cut at {cut}");
            assert_eq!(last.line, 5, "cut at {cut}");
        }
    }
}
