//! The kinds of token, and how messages name them.
//!
//! One table for the lexer (`logos` reads the attributes) and for the parser. `>` is always a token of its own, so that
//! `Vec<Vec<Int>>` needs no splitting; the parser puts `>=` and `>>` together when the signs touch.

use crate::lexer::{self, LexState};
use logos::Logos;

/// A token: its kind and its bytes. The text is the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: u32,
    pub end: u32,
}

macro_rules! keywords {
    ($($name:ident $text:literal,)*) => {
        impl TokenKind {
            /// True for `and`, `let`, … .
            pub fn is_keyword(self) -> bool {
                matches!(self, $(TokenKind::$name)|*)
            }
            fn keyword_text(self) -> Option<&'static str> {
                match self { $(TokenKind::$name => Some($text),)* _ => None }
            }
        }
        /// All keywords, in the order of the alphabet.
        pub const KEYWORDS: &[&str] = &[$($text),*];
    };
}

#[rustfmt::skip]
keywords! {
    Actor "actor", And "and", As "as", Assert "assert", Async "async", Await "await", Break "break", Catch "catch",
    Const "const", Continue "continue", Else "else", Enum "enum", False "false", Finally "finally", Fn "fn", For "for",
    From "from", If "if", Impl "impl", Import "import", In "in", Let "let", Match "match", Mut "mut", Not "not", Or "or",
    Pass "pass", Return "return", Scope "scope", Select "select", SelfValue "self", Shared "shared", Spawn "spawn",
    Struct "struct", Throw "throw", Trait "trait", True "true", Try "try", Type "type", Where "where", While "while", With "with",
}

#[rustfmt::skip]
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[logos(extras = LexState)]
pub enum TokenKind {
    // What stands between tokens; the layout takes these out.
    #[regex(r"[ \t\u{c}]+")] Blank,
    #[regex(r"\r?\n")] LineEnd,
    #[regex(r"(//|#)[^\n]*", allow_greedy = true)] LineComment,
    #[token("/*", lexer::block_comment)] BlockComment,

    // What the layout puts in.
    Newline, Indent, Dedent, Eof,

    #[regex(r"[\p{XID_Start}_]\p{XID_Continue}*")] Ident,
    #[regex("[0-9]", lexer::number)] Number,
    #[regex("(r|b|rb|br)?[\"']", lexer::text)] Text,
    #[regex("(f|fr|rf)[\"']", lexer::format_text)] FormatText,
    /// A text that ended with its line, not with its quote. Reported by the lexer.
    BrokenText,
    /// Characters that begin no token. Reported by the lexer.
    Unknown,

    #[token("actor")] Actor, #[token("and")] And, #[token("as")] As, #[token("assert")] Assert,
    #[token("async")] Async, #[token("await")] Await, #[token("break")] Break, #[token("catch")] Catch,
    #[token("const")] Const, #[token("continue")] Continue, #[token("else")] Else, #[token("enum")] Enum,
    #[token("false")] False, #[token("finally")] Finally, #[token("fn")] Fn, #[token("for")] For,
    #[token("from")] From, #[token("if")] If, #[token("impl")] Impl, #[token("import")] Import,
    #[token("in")] In, #[token("let")] Let, #[token("match")] Match, #[token("mut")] Mut,
    #[token("not")] Not, #[token("or")] Or, #[token("pass")] Pass, #[token("return")] Return,
    #[token("scope")] Scope, #[token("select")] Select, #[token("self")] SelfValue, #[token("shared")] Shared,
    #[token("spawn")] Spawn, #[token("struct")] Struct, #[token("throw")] Throw, #[token("trait")] Trait,
    #[token("true")] True, #[token("try")] Try, #[token("type")] Type, #[token("where")] Where,
    #[token("while")] While, #[token("with")] With,

    #[token("(")] LParen, #[token(")")] RParen, #[token("[")] LBracket, #[token("]")] RBracket,
    #[token("{")] LBrace, #[token("}")] RBrace,
    #[token(",")] Comma, #[token(";")] Semi, #[token(":")] Colon, #[token("::")] ColonColon,
    #[token(".")] Dot, #[token("..")] DotDot, #[token("..=")] DotDotEq, #[token("...")] Ellipsis,
    #[token("->")] Arrow, #[token("=>")] FatArrow, #[token("@")] At, #[token("?")] Question, #[token("!")] Bang,

    #[token("+")] Plus, #[token("-")] Minus, #[token("*")] Star, #[token("**")] StarStar,
    #[token("/")] Slash, #[token("%")] Percent,
    #[token("&")] Amp, #[token("|")] Pipe, #[token("^")] Caret, #[token("~")] Tilde, #[token("<<")] Shl,
    #[token("==")] EqEq, #[token("!=")] NotEq, #[token("<")] Lt, #[token("<=")] Le, #[token(">")] Gt,
    #[token("&&")] AmpAmp, #[token("||")] PipePipe,
    #[token("=")] Eq, #[token("+=")] PlusEq, #[token("-=")] MinusEq, #[token("*=")] StarEq, #[token("/=")] SlashEq,
    #[token("%=")] PercentEq, #[token("**=")] StarStarEq, #[token("@=")] AtEq,
    #[token("&=")] AmpEq, #[token("|=")] PipeEq, #[token("^=")] CaretEq, #[token("<<=")] ShlEq,
}

impl TokenKind {
    pub fn opens(self) -> bool {
        matches!(self, TokenKind::LParen | TokenKind::LBracket | TokenKind::LBrace)
    }

    pub fn closes(self) -> bool {
        matches!(self, TokenKind::RParen | TokenKind::RBracket | TokenKind::RBrace)
    }

    /// True for what the layout puts in.
    pub fn is_layout(self) -> bool {
        matches!(self, TokenKind::Newline | TokenKind::Indent | TokenKind::Dedent | TokenKind::Eof)
    }

    /// How a message names the kind when the text of a token is of no help.
    pub fn describe(self) -> &'static str {
        use TokenKind::*;
        if let Some(text) = self.keyword_text() {
            return text;
        }
        match self {
            Newline | LineEnd => "the end of the line",
            Indent => "a deeper indentation",
            Dedent => "the end of the block",
            Eof => "the end of the file",
            Ident => "a name",
            Number => "a number",
            Text | BrokenText => "a text",
            FormatText => "a format text",
            LParen => "(",
            RParen => ")",
            LBracket => "[",
            RBracket => "]",
            LBrace => "{",
            RBrace => "}",
            Comma => ",",
            Colon => ":",
            ColonColon => "::",
            Dot => ".",
            Arrow => "->",
            FatArrow => "=>",
            Eq => "=",
            Gt => ">",
            Lt => "<",
            Pipe => "|",
            _ => "a sign",
        }
    }
}
