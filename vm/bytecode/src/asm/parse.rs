//! From text to pairs of the grammar, and what both halves of the assembler need to read them.

use std::fmt;

use pest::Parser;
use pest::iterators::Pair;

/// Grown from the grammar.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "asm/starkasm.pest"]
    pub struct StarkAsm;
}

pub use grammar::Rule;

/// Why a text is no module, and where; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    pub line: usize,
    pub col: usize,
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.col, self.message)
    }
}

impl std::error::Error for AsmError {}

pub type Asm<T> = Result<T, AsmError>;

/// Longer texts are refused: positions in the tree are kept as numbers of this size.
pub const MAX_TEXT: usize = 1 << 30;

pub fn parse(text: &str) -> Asm<Pair<'_, Rule>> {
    if text.len() > MAX_TEXT {
        let message = format!("the text has {} bytes, the limit is {MAX_TEXT}", text.len());
        return Err(AsmError { line: 1, col: 1, message });
    }
    let mut pairs = grammar::StarkAsm::parse(Rule::module, text).map_err(|error| {
        let (line, col) = match error.line_col {
            pest::error::LineColLocation::Pos(at) | pest::error::LineColLocation::Span(at, _) => at,
        };
        AsmError { line, col, message: error.variant.message().into_owned() }
    })?;
    pairs.next().ok_or(AsmError { line: 1, col: 1, message: "there is no module".to_owned() })
}

pub fn error(pair: &Pair<Rule>, message: impl Into<String>) -> AsmError {
    let (line, col) = pair.line_col();
    AsmError { line, col, message: message.into() }
}

/// The next pair inside `outer`; the grammar has it.
pub fn next<'a>(outer: &Pair<'a, Rule>, inner: &mut impl Iterator<Item = Pair<'a, Rule>>) -> Asm<Pair<'a, Rule>> {
    inner.next().ok_or_else(|| error(outer, "something is missing at the end"))
}

/// The text between quotes, escapes resolved.
pub fn text(pair: &Pair<Rule>) -> Asm<String> {
    let mut text = String::new();
    for part in pair.clone().into_inner() {
        let raw = part.as_str();
        match (part.as_rule(), raw.get(1..).unwrap_or_default()) {
            (Rule::escape, "n") => text.push('\n'),
            (Rule::escape, "r") => text.push('\r'),
            (Rule::escape, "t") => text.push('\t'),
            (Rule::escape, "0") => text.push('\0'),
            (Rule::escape, "\\") => text.push('\\'),
            (Rule::escape, "\"") => text.push('"'),
            (Rule::escape, hex) => {
                let digits = hex.get(2..hex.len() - 1).unwrap_or_default();
                let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                text.push(c.ok_or_else(|| error(&part, format!("{raw} is no character")))?);
            }
            _ => text.push_str(raw),
        }
    }
    Ok(text)
}

/// A number that fits `T`, decimal or hexadecimal.
pub fn number<T: TryFrom<i128>>(pair: &Pair<Rule>) -> Asm<T> {
    let raw = pair.as_str();
    let (sign, digits) = raw.strip_prefix('-').map_or((1, raw), |digits| (-1, digits));
    let number = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => digits.parse::<i128>(),
    };
    let number = number.ok().and_then(|number| T::try_from(sign * number).ok());
    number.ok_or_else(|| error(pair, format!("{raw} is out of range")))
}

/// The number behind `letter`, as in `t3`; an empty letter stands for a bare number.
pub fn numbered<T: TryFrom<u64>>(pair: &Pair<Rule>, letter: &str, what: &str) -> Asm<T> {
    let raw = pair.as_str();
    let digits = raw.strip_prefix(letter).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| error(pair, format!("`{raw}` is no {what}, which looks like {letter}0")))
}
