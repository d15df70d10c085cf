//! Whether a blank stands between two tokens on a line.

use crate::rules::Marks;
use crate::tokens::Tokens;
use stark_syntax::token::TokenKind::{self, *};

/// Whether a blank stands between the token before `next` and `next`.
pub fn blank_before(tokens: &Tokens<'_>, marks: &Marks, next: usize) -> bool {
    let Some(prev) = next.checked_sub(1) else { return false };
    let kind = |index: usize| tokens.all[index].kind;
    let is_operator = |index: usize| marks.operators.contains(&index);
    let is_angle = |index: usize| matches!(kind(index), Lt | Gt) && !is_operator(index);

    match kind(next) {
        _ if marks.joined.contains(&next) => return false,
        Comma | Semi | Colon | ColonColon | Dot | Question | RParen | RBracket | RBrace => return false,
        Lt | Gt if is_angle(next) => return false,
        Pipe if marks.closure_closes.contains(&next) => return false,
        _ => {}
    }
    match kind(prev) {
        LParen | LBracket | LBrace | Dot | ColonColon | Tilde => return false,
        At if marks.attributes.contains(&prev) => return false,
        Minus | Amp if !is_operator(prev) => return false,
        Pipe if marks.closure_opens.contains(&prev) => return false,
        Lt if is_angle(prev) => return false,
        // `2.. if ready` and `0..n`
        DotDot | DotDotEq => return is_word(tokens, next),
        _ => {}
    }
    match kind(next) {
        DotDot | DotDotEq => !ends_value(tokens, marks, prev),
        LParen if marks.spaced_parens.contains(&next) => true,
        LParen => !(ends_value(tokens, marks, prev) || kind(prev) == Fn || is_where_function(tokens, prev)),
        LBracket => !ends_value(tokens, marks, prev),
        _ => true,
    }
}

/// Whether a token can be the end of a value or type, so that `(` after it calls and `[` indexes.
pub fn ends_value(tokens: &Tokens<'_>, marks: &Marks, index: usize) -> bool {
    match tokens.all[index].kind {
        Ident | Number | Text | FormatText | RParen | RBracket | RBrace | Question => true,
        Gt => !marks.operators.contains(&index),
        kind if kind.is_keyword() => !is_word(tokens, index),
        _ => false,
    }
}

/// A keyword that is no value and no name.
fn is_word(tokens: &Tokens<'_>, index: usize) -> bool {
    let kind = tokens.all[index].kind;
    let after = |sign: TokenKind| index > 0 && tokens.all[index - 1].kind == sign;
    kind.is_keyword() && !matches!(kind, True | False | SelfValue) && !after(Dot) && !after(ColonColon)
}

/// `where(`, the tensor function: the clause is followed by a name.
fn is_where_function(tokens: &Tokens<'_>, index: usize) -> bool {
    tokens.all[index].kind == Where
}
