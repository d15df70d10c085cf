//! Regular expressions: the crate `regex`, whose search takes time that grows with the text alone, whatever the pattern.
//!
//! A compiled pattern is a value; compiling the same text again soon finds it in a cache of the thread. Positions are characters.

use super::support::{Outcome, answers, size};
use super::{NativeCx, NativeRow};
use crate::fault::Fault;
use crate::heap::Opaque;
use crate::types::TypeInfo;
use crate::value::Value;
use regex::{Captures, Regex, RegexBuilder};
use std::cell::RefCell;
use std::collections::VecDeque;

pub(super) const TABLE: &[NativeRow] = answers! {
    regex_compile "(String) -> Regex";
    regex_pattern "(Regex) -> String";
    regex_names "(Regex) -> Vec<String>";
    regex_is_match "(Regex, String) -> Bool";
    regex_captures "(Regex, String, Int) -> Vec<Vec<Option<(Int, Int)>>>";
    regex_replace "(Regex, String, String, Int) -> String";
    regex_escape "(String) -> String";
};

/// What one compiled pattern may take, in bytes: the crate's own limit, which a pattern like `(a{1000}){1000}` would pass.
pub const MAX_COMPILED_BYTES: usize = 10 << 20;
/// Patterns that a thread remembers: a guess, more than one loop uses in turn.
const CACHED: usize = 64;

thread_local! {
    /// The last patterns compiled, the newest first.
    static CACHE: RefCell<VecDeque<Regex>> = const { RefCell::new(VecDeque::new()) };
}

#[derive(Clone)]
struct Pattern(Regex);

impl Opaque for Pattern {
    fn type_name(&self) -> &'static str {
        "Regex"
    }

    fn share(&self, info: &'static TypeInfo) -> Option<Value> {
        Some(Value::opaque(info, self.clone()))
    }

    fn show(&self, _: bool, out: &mut String) {
        out.push_str(&format!("Regex({:?})", self.0.as_str()));
    }

    fn equal(&self, other: &dyn Opaque) -> bool {
        other.downcast::<Pattern>().is_some_and(|other| other.0.as_str() == self.0.as_str())
    }
}

fn regex<'a>(cx: &'a NativeCx<'_>) -> &'a Regex {
    &cx.opaque::<Pattern>(0).0
}

/// Why a pattern is none, with the place: the crate's own message is a picture of several lines.
fn reason(pattern: &str, error: &regex::Error) -> String {
    let shown: String = pattern.chars().take(80).collect();
    if let regex::Error::CompiledTooBig(limit) = error {
        return format!("{shown:?} is too large a regular expression: compiled it takes more than {limit} bytes");
    }
    let (what, at) = match regex_syntax::Parser::new().parse(pattern) {
        Err(regex_syntax::Error::Parse(e)) => (e.kind().to_string(), e.span().start.offset),
        Err(regex_syntax::Error::Translate(e)) => (e.kind().to_string(), e.span().start.offset),
        // The last line of the picture says what is wrong.
        _ => (error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string(), 0),
    };
    let at = pattern.get(..at).map_or(0, |before| before.chars().count());
    format!("{shown:?} is not a regular expression: {what} at character {at}")
}

fn regex_compile(cx: &NativeCx<'_>) -> Outcome {
    let pattern = cx.str(0);
    let compiled = CACHE.with_borrow_mut(|cache| {
        let found = cache.iter().position(|regex| regex.as_str() == pattern).and_then(|i| cache.remove(i));
        let regex = match found {
            Some(regex) => regex,
            None => RegexBuilder::new(pattern)
                .size_limit(MAX_COMPILED_BYTES)
                .build()
                .map_err(|error| Fault::value(reason(pattern, &error)))?,
        };
        cache.push_front(regex.clone());
        cache.truncate(CACHED);
        Ok::<Regex, Fault>(regex)
    })?;
    Ok(Value::opaque(cx.ret_type(), Pattern(compiled)))
}

fn regex_pattern(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(regex(cx).as_str()))
}

/// The groups' names in order, empty for those without; the first is the whole match.
fn regex_names(cx: &NativeCx<'_>) -> Outcome {
    let names = regex(cx).capture_names().map(|name| Value::str(name.unwrap_or_default()));
    Ok(Value::vec(cx.ret_type(), names))
}

fn regex_is_match(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::bool(regex(cx).is_match(cx.str(1))))
}

/// Character positions of byte positions that are asked for in rising order, mostly: text is walked once.
struct Positions<'a> {
    text: &'a str,
    byte: usize,
    chars: usize,
}

impl Positions<'_> {
    fn at(&mut self, byte: usize) -> i64 {
        if byte < self.byte {
            self.chars -= self.text[byte..self.byte].chars().count();
        } else {
            self.chars += self.text[self.byte..byte].chars().count();
        }
        self.byte = byte;
        self.chars as i64
    }
}

/// Where each group of each match begins and ends; at most `limit` matches (0: all).
fn regex_captures(cx: &NativeCx<'_>) -> Outcome {
    let (text, limit) = (cx.str(1), size(cx.int(2), "the number of matches")?);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let groups_type = cx.ret_type().elem();
    let group_type = groups_type.elem();
    let some = group_type.variant_named("Some").expect("an Option");
    let pair = group_type.field(some, 0);
    let mut positions = Positions { text, byte: 0, chars: 0 };
    let mut found = Vec::new();
    for captures in regex(cx).captures_iter(text).take(limit) {
        // A group is an option with a pair in it: about a hundred bytes.
        cx.reserve(100 * captures.len())?;
        let mut groups = Vec::with_capacity(captures.len());
        for group in captures.iter() {
            groups.push(match group {
                Some(m) => {
                    let (start, end) = (positions.at(m.start()), positions.at(m.end()));
                    Value::variant(group_type, some, [Value::fields(pair, [Value::int(start), Value::int(end)])])
                }
                None => Value::variant_named(group_type, "None", []),
            });
        }
        found.push(Value::vec(groups_type, groups));
    }
    Ok(Value::vec(cx.ret_type(), found))
}

/// At most `limit` replacements (0: all); `$1`, `${name}` and `$$` in the new text.
fn regex_replace(cx: &NativeCx<'_>) -> Outcome {
    let (text, with, limit) = (cx.str(1), cx.str(2), size(cx.int(3), "the number of replacements")?);
    // The result grows with each match: refused before it passes what the task may have.
    let mut grown = text.len();
    let mut too_large = false;
    let replaced = regex(cx).replacen(text, limit, |captures: &Captures<'_>| {
        let mut out = String::new();
        if !too_large {
            captures.expand(with, &mut out);
            grown = grown.saturating_add(out.len());
            too_large = cx.reserve(grown).is_err();
        }
        out
    });
    if too_large { Err(Fault::out_of_memory()) } else { Ok(Value::str(replaced.into_owned())) }
}

fn regex_escape(cx: &NativeCx<'_>) -> Outcome {
    Ok(Value::str(regex::escape(cx.str(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_says_where_and_why() {
        for (pattern, why) in [
            ("é(a", "unclosed group at character 1"),
            ("a**b)", "unopened group at character 4"),
            ("[z-a]", "invalid character class range, the start must be <= the end at character 1"),
            ("(?=x)", "look-around, including look-ahead and look-behind, is not supported at character 0"),
            (r"\p{Foo}", "Unicode property not found at character 0"),
        ] {
            let error = Regex::new(pattern).expect_err(pattern);
            let reason = reason(pattern, &error);
            assert!(reason.ends_with(why), "{reason}");
        }
    }

    #[test]
    fn positions_are_characters() {
        let mut positions = Positions { text: "aéb€", byte: 0, chars: 0 };
        assert_eq!([0, 3, 1, 7].map(|byte| positions.at(byte)), [0, 2, 1, 4]);
    }
}
