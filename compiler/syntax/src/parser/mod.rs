//! Tokens to the syntax tree: recursive descent, one function a production, Pratt for operators.
//!
//! Parsing never fails. What cannot be read becomes an `Error` node and a diagnostic, and the parser goes on at the next
//! statement. Two kinds of report keep one mistake from causing ten messages: `complain` is for what the parser
//! understands anyway (`&&`, a missing colon) and reading goes on as if it had been right; `fail` is for what it does not
//! understand, and silences further reports until the next statement begins.
//!
//! Limits: `MAX_NESTING` bounds the recursion here, `MAX_HEIGHT` the height of an expression tree and with it the
//! recursion of whoever walks or drops it. Passing one ends the parse.

mod branches;
mod closures;
mod expressions;
mod foreign;
mod foreign_tasks;
mod items;
mod literals;
mod patterns;
mod postfix;
mod primaries;
mod statements;
mod types;

use crate::ast::*;
use crate::codes;
use crate::diagnostic::{Code, Diagnostic};
use crate::layout::{self, Comment, CommentKind, Lexed};
use crate::source::{SourceId, Span};
use crate::token::{Token, TokenKind};
use hashbrown::{HashMap, HashSet};
use std::rc::Rc;

/// How deep brackets, blocks, types and patterns may stand in each other.
pub const MAX_NESTING: u32 = 256;
/// How many operations may stand on top of each other in one expression: `a + b + c` is two high, `f(g(x))` three.
pub const MAX_HEIGHT: u32 = 500;
/// The largest source that is read.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;
/// More diagnostics than this help nobody.
pub const MAX_DIAGNOSTICS: usize = 200;

/// What a source says.
#[derive(Clone, Debug, Default)]
pub struct Parse {
    pub module: Module,
    /// In the order of the text.
    pub comments: Vec<Comment>,
    /// The names that may mean a module, once each, in no order: those before a `.`, and those behind `import` and `from`.
    pub module_names: Vec<Rc<str>>,
    /// In the order of the text. Errors `E00xx` and `E01xx`, and `E0504` for a `&` outside of an argument.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a source. Gives a tree for any text.
pub fn parse(text: &str, source: SourceId) -> Parse {
    if text.len() > MAX_SOURCE_BYTES {
        let message = format!("a source of {} bytes, but the limit is {MAX_SOURCE_BYTES}", text.len());
        let diagnostic = Diagnostic::error(codes::SOURCE_TOO_LARGE, message, Span::new(source, 0, 0), "this file");
        return Parse { diagnostics: vec![diagnostic], ..Parse::default() };
    }
    let Lexed { tokens, comments, diagnostics } = layout::lex(text, source);
    let mut parser = Parser::new(text, source, tokens, &comments);
    let module = parser.module();
    let mut found = diagnostics;
    found.append(&mut parser.diagnostics);
    let module_names = std::mem::take(&mut parser.module_names).into_iter().collect();
    drop(parser);
    found.sort_by_key(|diagnostic| diagnostic.primary.span.start);
    Parse { module, comments, module_names, diagnostics: found }
}

/// What the surroundings of an expression change about it.
#[derive(Clone, Copy, Default)]
struct Context {
    /// In the head of a `with`: `as` at the end names.
    with_head: bool,
    /// In a clause of a comprehension, or what an arm of `select` waits for: `if` does not choose between two values.
    clause: bool,
    /// In the braces of a format text: `::` that no name follows ends the value.
    format: bool,
}

/// Adds to a list that most often has one element: room for that, where a `Vec` would take four.
fn push<T>(list: &mut Vec<T>, element: T) {
    if list.capacity() == 0 {
        list.reserve_exact(1);
    }
    list.push(element);
}

struct Parser<'s> {
    text: &'s str,
    source: SourceId,
    tokens: Vec<Token>,
    comments: &'s [Comment],
    pos: usize,
    /// The end of the last token that is no layout.
    prev_end: u32,
    diagnostics: Vec<Diagnostic>,
    names: HashMap<&'s str, Rc<str>>,
    module_names: HashSet<Rc<str>>,
    depth: u32,
    /// The height of the highest expression read since the enclosing one began.
    height: u32,
    /// After `fail`, until the next statement.
    recovering: bool,
    /// After a limit was passed: nothing more is read.
    aborted: bool,
    /// How many blocks on one line we are in: an `else` on the next line belongs to the outermost statement.
    inline: u32,
    context: Context,
    reported_semicolon: bool,
    /// The report of the first block in braces, and how many there have been.
    brace_report: Option<(usize, usize)>,
}

impl<'s> Parser<'s> {
    fn new(text: &'s str, source: SourceId, tokens: Vec<Token>, comments: &'s [Comment]) -> Parser<'s> {
        Parser {
            text,
            source,
            tokens,
            comments,
            pos: 0,
            prev_end: 0,
            diagnostics: Vec::new(),
            names: HashMap::new(),
            module_names: HashSet::new(),
            depth: 0,
            height: 0,
            recovering: false,
            aborted: false,
            inline: 0,
            context: Context::default(),
            reported_semicolon: false,
            brace_report: None,
        }
    }

    // --- looking -------------------------------------------------------------------------------------------------

    fn token(&self) -> Token {
        self.tokens[self.pos]
    }

    fn kind(&self) -> TokenKind {
        self.tokens[self.pos].kind
    }

    /// The kind `n` tokens ahead; `Eof` past the end.
    fn kind_at(&self, n: usize) -> TokenKind {
        self.tokens.get(self.pos + n).map_or(TokenKind::Eof, |token| token.kind)
    }

    fn at(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    fn span_of(&self, token: Token) -> Span {
        Span { source: self.source, start: token.start, end: token.end }
    }

    fn span(&self) -> Span {
        self.span_of(self.token())
    }

    fn text_of(&self, token: Token) -> &'s str {
        &self.text[token.start as usize..token.end as usize]
    }

    fn current_text(&self) -> &'s str {
        self.text_of(self.token())
    }

    /// Whether the token `n` ahead touches the one before it.
    fn touches(&self, n: usize) -> bool {
        match (self.tokens.get((self.pos + n).wrapping_sub(1)), self.tokens.get(self.pos + n)) {
            (Some(before), Some(token)) => before.end == token.start,
            _ => false,
        }
    }

    fn at_word(&self, word: &str) -> bool {
        self.at(TokenKind::Ident) && self.current_text() == word
    }

    /// A place between the last token and this one.
    fn gap(&self) -> Span {
        Span { source: self.source, start: self.prev_end, end: self.prev_end }
    }

    fn since(&self, start: u32) -> Span {
        Span { source: self.source, start, end: self.prev_end.max(start) }
    }

    fn start(&self) -> u32 {
        self.token().start
    }

    // --- going on ------------------------------------------------------------------------------------------------

    fn bump(&mut self) -> Token {
        let token = self.token();
        if !token.kind.is_layout() {
            self.prev_end = token.end;
        }
        if self.pos + 1 < self.tokens.len() {
            self.pos += 1;
        }
        token
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let here = self.at(kind);
        if here {
            self.bump();
        }
        here
    }

    fn expect(&mut self, kind: TokenKind, why: &str) -> bool {
        if self.eat(kind) {
            return true;
        }
        let wanted = if kind.is_keyword() || !kind.describe().starts_with("a ") {
            format!("`{}`", kind.describe())
        } else {
            kind.describe().to_string()
        };
        self.fail_here(codes::EXPECTED, &format!("{wanted} {why}"));
        false
    }

    /// A closing bracket. A missing one is told at the opening one.
    fn expect_close(&mut self, kind: TokenKind, opener: Token) {
        if self.eat(kind) {
            return;
        }
        // The partner is in a text that was never closed, which has been told.
        if self.pos > 0 && self.tokens[self.pos - 1].kind == TokenKind::BrokenText {
            return;
        }
        let opening = self.text_of(opener);
        // A line that begins no deeper than the bracket's own is the next statement.
        let next_statement = self.begins_line(self.start()) && {
            let column = |at: u32| at as usize - self.text[..at as usize].rfind('\n').map_or(0, |n| n + 1);
            let line = self.text[..opener.start as usize].rfind('\n').map_or(0, |n| n + 1);
            let indent = self.text[line..].len() - self.text[line..].trim_start_matches(' ').len();
            self.start() as usize > line && column(self.start()) <= indent && self.prev_end < self.start()
        };
        if self.kind().is_layout() || next_statement {
            let diagnostic = Diagnostic::error(
                codes::UNCLOSED_BRACKET,
                format!("this `{opening}` is never closed"),
                self.span_of(opener),
                "it begins here",
            )
            .because(self.gap(), format!("`{}` is missing", kind.describe()));
            // `(a // b)`
            let rest = self.text[self.prev_end as usize..].trim_start_matches(' ');
            let is_comment =
                rest.starts_with("//") && rest.lines().next().is_some_and(|line| line.contains(kind.describe()));
            self.fail(match is_comment {
                true => diagnostic.help(
                    "`//` begins a comment: `/` divides, of whole numbers without a rest, and `.floor()` rounds down",
                ),
                false => diagnostic,
            });
        } else if self.kind().closes() {
            let message = format!("`{}` does not close `{opening}`", self.current_text());
            let diagnostic = Diagnostic::error(codes::STRAY_BRACKET, message, self.span(), "another kind of bracket")
                .because(self.span_of(opener), "this is open")
                .help(format!("close it with `{}`", kind.describe()));
            self.fail(diagnostic);
        } else {
            self.fail_here(codes::EXPECTED, &format!("`,` or `{}`", kind.describe()));
        }
    }

    // --- telling -------------------------------------------------------------------------------------------------

    /// Reports what was understood anyway.
    fn complain(&mut self, diagnostic: Diagnostic) {
        if !self.recovering && !self.aborted && self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports what was not understood; the rest of the statement is read in silence.
    fn fail(&mut self, diagnostic: Diagnostic) {
        let broken = |kind: TokenKind| matches!(kind, TokenKind::BrokenText | TokenKind::Unknown);
        let told = broken(self.kind()) || (self.pos > 0 && broken(self.tokens[self.pos - 1].kind));
        if !told {
            self.complain(diagnostic);
        }
        self.recovering = true;
    }

    /// `expected X, found Y`, at this token.
    fn fail_here(&mut self, code: Code, wanted: &str) {
        let diagnostic = self.expected(code, wanted);
        self.fail(diagnostic);
    }

    fn expected(&self, code: Code, wanted: &str) -> Diagnostic {
        let found = self.found();
        let span = if self.kind().is_layout() { self.gap() } else { self.span() };
        Diagnostic::error(code, format!("expected {wanted}, found {found}"), span, format!("expected {wanted}"))
    }

    fn found(&self) -> String {
        let kind = self.kind();
        if kind.is_layout() {
            return kind.describe().to_string();
        }
        let text = self.current_text();
        match kind {
            TokenKind::Text | TokenKind::FormatText | TokenKind::BrokenText => kind.describe().to_string(),
            _ if kind.is_keyword() => format!("the keyword `{text}`"),
            _ if text.chars().count() > 30 => kind.describe().to_string(),
            _ => format!("`{text}`"),
        }
    }

    // --- limits --------------------------------------------------------------------------------------------------

    /// One level deeper; false when that is too deep and the parse has been ended. Pair with `leave`.
    fn enter(&mut self) -> bool {
        self.depth += 1;
        if self.depth > MAX_NESTING && !self.aborted {
            let message = format!("nesting deeper than {MAX_NESTING} levels");
            self.abort(message, "give the parts names with `let`, or make functions of them");
        }
        !self.aborted
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn abort(&mut self, message: String, help: &str) {
        let diagnostic = Diagnostic::error(codes::NESTED_TOO_DEEP, message, self.span(), "too deep here").help(help);
        self.recovering = false;
        self.complain(diagnostic);
        self.aborted = true;
        self.recovering = true;
        self.pos = self.tokens.len() - 1;
    }

    // --- names ---------------------------------------------------------------------------------------------------

    fn intern(&mut self, text: &'s str) -> Rc<str> {
        self.names.entry(text).or_insert_with(|| Rc::from(text)).clone()
    }

    /// The token as a name, whatever its kind.
    fn bump_ident(&mut self) -> Ident {
        let before = self.pos.checked_sub(1).map(|i| self.tokens[i].kind);
        let token = self.bump();
        let name = self.intern(self.text_of(token));
        let imported = matches!(before, Some(TokenKind::Import | TokenKind::From));
        if imported || self.at(TokenKind::Dot) && before != Some(TokenKind::Dot) {
            self.module_names.insert(name.clone());
        }
        Ident { name, span: self.span_of(token) }
    }

    fn missing_ident(&mut self) -> Ident {
        Ident { name: self.intern(""), span: self.gap() }
    }

    /// A name; `what` says whose: `a name for the function`.
    fn ident(&mut self, what: &str) -> Ident {
        if self.at(TokenKind::Ident) {
            return self.bump_ident();
        }
        if self.kind().is_keyword() {
            let word = self.current_text();
            let message = format!("`{word}` is a keyword and cannot be {what}");
            let diagnostic = Diagnostic::error(codes::KEYWORD_AS_NAME, message, self.span(), "a keyword")
                .help(format!("choose another name, such as `{word}_`"));
            self.complain(diagnostic);
            // Followed by what follows a name, it was meant as one.
            return self.bump_ident();
        }
        self.fail_here(codes::EXPECTED, what);
        self.missing_ident()
    }

    /// A name after `.` or `::`, where keywords are names too.
    fn member_ident(&mut self, after: &str) -> Ident {
        if self.at(TokenKind::Ident) || self.kind().is_keyword() {
            return self.bump_ident();
        }
        self.fail_here(codes::EXPECTED, &format!("a name after `{after}`"));
        self.missing_ident()
    }

    // --- comments ------------------------------------------------------------------------------------------------

    /// The `///` lines directly above what begins at `start`.
    fn doc_before(&self, start: u32) -> Option<String> {
        let end = self.comments.partition_point(|comment| comment.span.end <= start);
        let mut first = end;
        let mut below = start;
        while let Some(comment) = first.checked_sub(1).map(|i| &self.comments[i]) {
            // Looked at from below: the text up to the last comment may be long, the blanks are not.
            let above = self.text[..below as usize].trim_end().len();
            let is_next = above == comment.span.end as usize
                && self.text[above..below as usize].bytes().filter(|b| *b == b'\n').count() == 1;
            if comment.kind != CommentKind::Doc || !is_next || !self.begins_line(comment.span.start) {
                break;
            }
            below = comment.span.start;
            first -= 1;
        }
        self.doc_text(&self.comments[first..end])
    }

    /// A first doc comment that a blank line follows is the file's.
    fn file_doc(&self) -> Option<String> {
        let first = self.comments.iter().position(|comment| comment.kind != CommentKind::Shebang)?;
        let mut end = first;
        while let Some(comment) = self.comments.get(end) {
            let after_last = end == first || {
                let between = &self.text[self.comments[end - 1].span.end as usize..comment.span.start as usize];
                between.trim().is_empty() && between.bytes().filter(|b| *b == b'\n').count() == 1
            };
            if comment.kind != CommentKind::Doc || !after_last {
                break;
            }
            end += 1;
        }
        if end == first || self.tokens[0].start < self.comments[first].span.start {
            return None;
        }
        let rest = &self.text[self.comments[end - 1].span.end as usize..];
        let blanks = &rest[..rest.len() - rest.trim_start().len()];
        let alone = blanks.bytes().filter(|b| *b == b'\n').count() > 1 || blanks.len() == rest.len();
        if alone { self.doc_text(&self.comments[first..end]) } else { None }
    }

    fn begins_line(&self, at: u32) -> bool {
        self.text[..at as usize].bytes().rev().take_while(|b| *b != b'\n').all(|b| b == b' ' || b == b'\t')
    }

    fn doc_text(&self, comments: &[Comment]) -> Option<String> {
        if comments.is_empty() {
            return None;
        }
        let lines: Vec<&str> = comments
            .iter()
            .map(|comment| {
                let line = &self.text[comment.span.start as usize + 3..comment.span.end as usize];
                line.strip_prefix(' ').unwrap_or(line).trim_end()
            })
            .collect();
        Some(lines.join("\n"))
    }
}
