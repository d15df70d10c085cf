//! Text and bytes.
//!
//! Positions are characters; `StrObj` finds them in constant time in ASCII text and keeps a cursor for the rest.

use super::support::{Outcome, answers, option, size, slice_range, texts};
use super::text::{parse_float, parse_int};
use super::{NativeCx, NativeRow, format::format_value};
use crate::fault::{Fault, FaultKind};
use crate::value::{Value, ValueRef};
use compact_str::CompactString;

pub(super) const TABLE: &[NativeRow] = answers! {
    str_len "(String) -> Int";
    str_byte_len "(String) -> Int";
    str_concat "(String, String) -> String";
    str_join_parts "(Vec<String>) -> String";
    str_join "(String, Vec<String>) -> String";
    str_repeat "(String, Int) -> String";
    str_index "(String, Int) -> String";
    str_get "(String, Int) -> Option<String>";
    str_slice "(String, Int, Int) -> String";
    str_contains "(String, String) -> Bool";
    str_starts_with "(String, String) -> Bool";
    str_ends_with "(String, String) -> Bool";
    str_find "(String, String) -> Option<Int>";
    str_rfind "(String, String) -> Option<Int>";
    str_count "(String, String) -> Int";
    str_upper "(String) -> String";
    str_lower "(String) -> String";
    str_capitalize "(String) -> String";
    str_strip "(String) -> String";
    str_strip_chars "(String, String) -> String";
    str_trim_start "(String) -> String";
    str_trim_end "(String) -> String";
    str_strip_prefix "(String, String) -> Option<String>";
    str_strip_suffix "(String, String) -> Option<String>";
    str_split_space "(String) -> Vec<String>";
    str_split "(String, String) -> Vec<String>";
    str_split_limit "(String, String, Int) -> Vec<String>";
    str_split_once "(String, String) -> Option<(String, String)>";
    str_lines "(String) -> Vec<String>";
    str_chars "(String) -> Vec<String>";
    str_bytes "(String) -> Bytes";
    str_replace "(String, String, String) -> String";
    str_reverse "(String) -> String";
    str_pad_start "(String, Int, String) -> String";
    str_pad_end "(String, Int, String) -> String";
    str_center "(String, Int, String) -> String";
    str_is_digit "(String) -> Bool";
    str_is_alpha "(String) -> Bool";
    str_is_alnum "(String) -> Bool";
    str_is_space "(String) -> Bool";
    str_is_upper "(String) -> Bool";
    str_is_lower "(String) -> Bool";
    str_chr "(Int) -> String";
    str_ord "(String) -> Int";
    str_parse_int "(String, Int) -> Option<Int>";
    str_parse_float "(String) -> Option<Float>";
    str_format "<T>(T, String) -> String";
    bytes_len "(Bytes) -> Int";
    bytes_index "(Bytes, Int) -> UInt8";
    bytes_slice "(Bytes, Int, Int) -> Bytes";
    bytes_concat "(Bytes, Bytes) -> Bytes";
    bytes_to_vec "(Bytes) -> Vec<UInt8>";
    bytes_from_vec "(Vec<UInt8>) -> Bytes";
    bytes_contains "(Bytes, UInt8) -> Bool";
    bytes_to_hex "(Bytes) -> String";
    bytes_decode "(Bytes) -> String";
    str_equal "(String, String) -> Bool";
    str_quote "(String) -> String";
    str_append "(&mut String, String) -> ()";
};

/// Text that `what` is about to make, within the task's memory limit.
fn make(cx: &NativeCx<'_>, bytes: Option<usize>, what: &str) -> Result<(), Fault> {
    match bytes {
        Some(bytes) => cx.reserve(bytes),
        None => Err(Fault::new(FaultKind::OutOfMemoryError, format!("{what} is longer than memory"))),
    }
}

fn character(c: char) -> Value {
    Value::str(&*c.encode_utf8(&mut [0; 4]))
}

fn str_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.str_obj(0).n_chars() as i64))
}

fn str_byte_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.str(0).len() as i64))
}

/// Appends in place when nobody else has the left text: `s += c` in a loop is linear.
fn str_concat(cx: &mut NativeCx<'_>) -> Outcome {
    make(cx, cx.str(0).len().checked_add(cx.str(1).len()), "text")?;
    let (mut left, right) = (cx.take(0), cx.take(1));
    left.str_mut().push_str(right.as_str());
    Ok(left)
}

fn str_join_parts(cx: &NativeCx<'_>) -> Outcome {
    let parts = cx.vec(0);
    make(cx, Some(parts.iter().map(|p| p.str().len()).sum()), "text")?;
    Ok(Value::str(parts.iter().map(ValueRef::str).collect::<CompactString>()))
}

fn str_join(cx: &NativeCx<'_>) -> Outcome {
    let (sep, parts) = (cx.str(0), cx.vec(1));
    let bytes = parts.iter().try_fold(0usize, |sum, p| sum.checked_add(p.str().len())?.checked_add(sep.len()));
    make(cx, bytes, "text")?;
    let mut out = String::with_capacity(bytes.unwrap_or(0));
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push_str(sep);
        }
        out.push_str(part.str());
    }
    Ok(Value::str(out))
}

/// None for a count below 1, as in Python.
fn str_repeat(cx: &NativeCx<'_>) -> Outcome {
    let (text, n) = (cx.str(0), usize::try_from(cx.int(1)).unwrap_or(0));
    make(cx, text.len().checked_mul(n), "text")?;
    Ok(Value::str(text.repeat(n)))
}

/// The byte offset of character `i`, which must be inside.
fn offset(cx: &NativeCx<'_>, i: i64) -> Result<usize, Fault> {
    let text = cx.str_obj(0);
    usize::try_from(i)
        .ok()
        .filter(|&at| at < text.n_chars())
        .and_then(|at| text.byte_offset(at))
        .ok_or_else(|| Fault::index(i, "String", text.n_chars()))
}

fn character_at(text: &str, at: usize) -> Value {
    let c = text[at..].chars().next().expect("the offset is inside");
    character(c)
}

fn str_index(cx: &NativeCx<'_>) -> Outcome {
    Ok(character_at(cx.str(0), offset(cx, cx.int(1))?))
}

fn str_get(cx: &NativeCx<'_>) -> Outcome {
    Ok(option(cx, offset(cx, cx.int(1)).ok().map(|at| character_at(cx.str(0), at))))
}

fn str_slice(cx: &NativeCx<'_>) -> Outcome {
    let text = cx.str_obj(0);
    let range = slice_range(cx.int(1), cx.int(2), text.n_chars(), "String")?;
    let (Some(start), Some(end)) = (text.byte_offset(range.start), text.byte_offset(range.end)) else {
        return Err(Fault::index(cx.int(2), "String", text.n_chars()));
    };
    make(cx, Some(end - start), "text")?;
    Ok(Value::str(&text.as_str()[start..end]))
}

fn str_contains(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.str(0).contains(cx.str(1))))
}

fn str_starts_with(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.str(0).starts_with(cx.str(1))))
}

fn str_ends_with(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.str(0).ends_with(cx.str(1))))
}

/// A byte offset as a character's position.
fn position(text: &str, at: Option<usize>) -> Option<Value> {
    at.map(|at| Value::int(text[..at].chars().count() as i64))
}

fn str_find(cx: &NativeCx<'_>) -> Outcome {
    let text = cx.str(0);
    Ok(option(cx, position(text, text.find(cx.str(1)))))
}

fn str_rfind(cx: &NativeCx<'_>) -> Outcome {
    let text = cx.str(0);
    Ok(option(cx, position(text, text.rfind(cx.str(1)))))
}

fn str_count(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.str(0).matches(cx.str(1)).count() as i64))
}

fn str_upper(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).to_uppercase()))
}

fn str_lower(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).to_lowercase()))
}

fn str_capitalize(cx: &NativeCx<'_>) -> Outcome {
    let mut chars = cx.str(0).chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    Ok(Value::str(first.chain(chars.flat_map(char::to_lowercase)).collect::<String>()))
}

fn str_strip(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).trim()))
}

fn str_strip_chars(cx: &NativeCx<'_>) -> Outcome {
    let chars = cx.str(1);
    Ok(Value::str(cx.str(0).trim_matches(|c| chars.contains(c))))
}

fn str_trim_start(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).trim_start()))
}

fn str_trim_end(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).trim_end()))
}

fn str_strip_prefix(cx: &NativeCx<'_>) -> Outcome {
    Ok(option(cx, cx.str(0).strip_prefix(cx.str(1)).map(Value::str)))
}

fn str_strip_suffix(cx: &NativeCx<'_>) -> Outcome {
    Ok(option(cx, cx.str(0).strip_suffix(cx.str(1)).map(Value::str)))
}

/// Bytes that one small text costs in the list of a split, roughly; for the memory limit only.
const TEXT_COST: usize = 64;

fn str_split_space(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.str(0).split_whitespace().count() * TEXT_COST)?;
    Ok(texts(cx, cx.str(0).split_whitespace()))
}

fn separator<'a>(cx: &'a NativeCx<'_>) -> Result<&'a str, Fault> {
    match cx.str(1) {
        "" => Err(Fault::value("the separator of a split is empty; `chars()` gives the characters")),
        sep => Ok(sep),
    }
}

fn str_split(cx: &NativeCx<'_>) -> Outcome {
    let sep = separator(cx)?;
    // Looking for one byte is several times as fast as for a text.
    if let [byte @ ..=0x7f] = sep.as_bytes() {
        let sep = char::from(*byte);
        cx.reserve((cx.str(0).matches(sep).count() + 1) * TEXT_COST)?;
        return Ok(texts(cx, cx.str(0).split(sep)));
    }
    cx.reserve((cx.str(0).matches(sep).count() + 1) * TEXT_COST)?;
    Ok(texts(cx, cx.str(0).split(sep)))
}

fn str_split_limit(cx: &NativeCx<'_>) -> Outcome {
    let (sep, limit) = (separator(cx)?, size(cx.int(2), "the limit of a split")?);
    cx.reserve((cx.str(0).matches(sep).count().min(limit) + 1) * TEXT_COST)?;
    Ok(texts(cx, cx.str(0).splitn(limit.saturating_add(1), sep)))
}

fn str_split_once(cx: &NativeCx<'_>) -> Outcome {
    let ret = cx.ret_type();
    let Some((before, after)) = cx.str(0).split_once(separator(cx)?) else { return Ok(option(cx, None)) };
    let some = ret.variant_named("Some").ok_or_else(|| Fault::internal("Option without Some"))?;
    let pair = Value::fields(ret.field(some, 0), [Value::str(before), Value::str(after)]);
    Ok(option(cx, Some(pair)))
}

fn str_lines(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.str(0).lines().count() * TEXT_COST)?;
    Ok(texts(cx, cx.str(0).lines()))
}

fn str_chars(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.str_obj(0).n_chars().saturating_mul(TEXT_COST))?;
    Ok(Value::vec(cx.ret_type(), cx.str(0).chars().map(character)))
}

fn str_bytes(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.str(0).len())?;
    Ok(Value::bytes(cx.str(0).as_bytes()))
}

fn str_replace(cx: &NativeCx<'_>) -> Outcome {
    let (text, old, new) = (cx.str(0), cx.str(1), cx.str(2));
    let grown = text.matches(old).count().checked_mul(new.len()).and_then(|n| n.checked_add(text.len()));
    make(cx, grown, "text")?;
    Ok(Value::str(text.replace(old, new)))
}

fn str_reverse(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.str(0).chars().rev().collect::<String>()))
}

/// How many fill characters are missing, and the fill character.
fn padding(cx: &NativeCx<'_>) -> Result<(usize, char), Fault> {
    let mut fill = cx.str(2).chars();
    let (Some(c), None) = (fill.next(), fill.next()) else {
        return Err(Fault::value(format!("the fill {:?} is not one character", cx.str(2))));
    };
    let missing = usize::try_from(cx.int(1)).unwrap_or(0).saturating_sub(cx.str_obj(0).n_chars());
    make(cx, missing.checked_mul(c.len_utf8()).and_then(|n| n.checked_add(cx.str(0).len())), "text")?;
    Ok((missing, c))
}

fn run(n: usize, c: char) -> String {
    std::iter::repeat_n(c, n).collect()
}

fn str_pad_start(cx: &NativeCx<'_>) -> Outcome {
    let (missing, c) = padding(cx)?;
    Ok(Value::str(run(missing, c) + cx.str(0)))
}

fn str_pad_end(cx: &NativeCx<'_>) -> Outcome {
    let (missing, c) = padding(cx)?;
    Ok(Value::str(cx.str(0).to_string() + &run(missing, c)))
}

fn str_center(cx: &NativeCx<'_>) -> Outcome {
    let (missing, c) = padding(cx)?;
    Ok(Value::str(format!("{}{}{}", run(missing / 2, c), cx.str(0), run(missing - missing / 2, c))))
}

/// Whether there is a character and `test` holds for all.
fn all_chars(cx: &NativeCx<'_>, test: impl Fn(char) -> bool) -> Outcome {
    let text = cx.str(0);
    Ok(Value::bool(!text.is_empty() && text.chars().all(test)))
}

fn str_is_digit(cx: &NativeCx<'_>) -> Outcome {
    all_chars(cx, |c| c.is_ascii_digit())
}

fn str_is_alpha(cx: &NativeCx<'_>) -> Outcome {
    all_chars(cx, char::is_alphabetic)
}

fn str_is_alnum(cx: &NativeCx<'_>) -> Outcome {
    all_chars(cx, char::is_alphanumeric)
}

fn str_is_space(cx: &NativeCx<'_>) -> Outcome {
    all_chars(cx, char::is_whitespace)
}

fn str_is_upper(cx: &NativeCx<'_>) -> Outcome {
    let text = cx.str(0);
    Ok(Value::bool(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)))
}

fn str_is_lower(cx: &NativeCx<'_>) -> Outcome {
    let text = cx.str(0);
    Ok(Value::bool(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)))
}

fn str_chr(cx: &NativeCx<'_>) -> Outcome {
    let code = cx.int(0);
    let c = u32::try_from(code).ok().and_then(char::from_u32);
    c.map(character).ok_or_else(|| Fault::value(format!("{code} is not a character's number")))
}

fn str_ord(cx: &NativeCx<'_>) -> Outcome {
    let mut chars = cx.str(0).chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Value::int(c as i64)),
        _ => Err(Fault::value(format!("ord of a text of {} characters", cx.str_obj(0).n_chars()))),
    }
}

fn str_parse_int(cx: &NativeCx<'_>) -> Outcome {
    match u32::try_from(cx.int(1)) {
        Ok(base @ 2..=36) => Ok(option(cx, parse_int(cx.str(0), base).map(Value::int))),
        _ => Err(Fault::value(format!("base {} is not in 2..=36", cx.int(1)))),
    }
}

fn str_parse_float(cx: &NativeCx<'_>) -> Outcome {
    Ok(option(cx, parse_float(cx.str(0)).map(Value::float)))
}

fn str_format(cx: &NativeCx<'_>) -> Outcome {
    format_value(cx.arg(0), cx.str(1)).map(Value::str)
}

fn bytes_len(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::int(cx.bytes(0).len() as i64))
}

fn bytes_index(cx: &NativeCx<'_>) -> Outcome {
    let (bytes, i) = (cx.bytes(0), cx.int(1));
    let byte =
        usize::try_from(i).ok().and_then(|i| bytes.get(i)).ok_or_else(|| Fault::index(i, "Bytes", bytes.len()))?;
    Ok(Value::scalar(cx.ret_type(), u64::from(*byte)))
}

fn bytes_slice(cx: &NativeCx<'_>) -> Outcome {
    let bytes = cx.bytes(0);
    let range = slice_range(cx.int(1), cx.int(2), bytes.len(), "Bytes")?;
    cx.reserve(range.len())?;
    Ok(Value::bytes(&bytes[range]))
}

fn bytes_concat(cx: &NativeCx<'_>) -> Outcome {
    make(cx, cx.bytes(0).len().checked_add(cx.bytes(1).len()), "the result")?;
    Ok(Value::bytes([cx.bytes(0), cx.bytes(1)].concat()))
}

fn bytes_to_vec(cx: &NativeCx<'_>) -> Outcome {
    make(cx, cx.bytes(0).len().checked_mul(8), "the result")?;
    Ok(Value::vec_of_scalars(cx.ret_type(), cx.bytes(0).iter().map(|&b| u64::from(b)).collect()))
}

fn bytes_from_vec(cx: &NativeCx<'_>) -> Outcome {
    // `UInt8` slots hold 0 to 255.
    Ok(Value::bytes(cx.vec(0).scalars().iter().map(|&b| b as u8).collect::<Vec<u8>>()))
}

fn bytes_contains(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.bytes(0).contains(&(cx.arg(1).scalar_bits() as u8))))
}

fn bytes_to_hex(cx: &NativeCx<'_>) -> Outcome {
    make(cx, cx.bytes(0).len().checked_mul(2), "text")?;
    Ok(Value::str(cx.bytes(0).iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

fn bytes_decode(cx: &NativeCx<'_>) -> Outcome {
    cx.reserve(cx.bytes(0).len())?;
    match std::str::from_utf8(cx.bytes(0)) {
        Ok(text) => Ok(Value::str(text)),
        Err(e) => Err(Fault::value(format!("the bytes from {} on are not UTF-8", e.valid_up_to()))),
    }
}

fn str_equal(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(cx.str(0) == cx.str(1)))
}

fn str_quote(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(cx.arg(0).show()))
}

fn str_append(cx: &mut NativeCx<'_>) -> Outcome {
    make(cx, cx.str(0).len().checked_add(cx.str(1).len()), "text")?;
    let more = cx.take(1);
    cx.str_mut(0).push_str(more.as_str());
    Ok(Value::unit())
}
