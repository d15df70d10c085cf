//! Other languages' words for tasks, channels and locks: Go's `go`, `defer` and `<-`, a lock's block, guards and `let` in `select`.

use super::expressions::power;
use super::*;

impl<'s> Parser<'s> {
    /// A statement that begins with a word for tasks or locks. `None` when it should be read as usual.
    pub(super) fn foreign_task_statement(&mut self, starts_value: bool) -> Option<StmtKind> {
        match self.current_text() {
            "go" if self.kind_at(1) == TokenKind::Fn || (starts_value && self.at_next("func")) => {
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    "a task is started with `spawn`, not `go`",
                    self.span(),
                    "another language's word",
                )
                .help("write `spawn:` and an indented block");
                self.fail(diagnostic);
                Some(StmtKind::Error)
            }
            word @ ("go" | "launch") if starts_value && self.kind_at(1) == TokenKind::Ident => {
                self.foreign_word(&format!("a task is started with `spawn`, not `{word}`"), "spawn");
                let pos = self.pos;
                self.tokens[pos].kind = TokenKind::Spawn;
                None
            }
            "defer" if starts_value => {
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "there is no `defer`", self.span(), "another language's word")
                        .help("write `try:` and the block, then `finally:` with what is done at its end");
                self.fail(diagnostic);
                Some(StmtKind::Error)
            }
            word @ ("lock" | "synchronized" | "acquire") if starts_value && self.kind_at(1) == TokenKind::Ident => {
                let zone = self.tokens.get(self.pos + 1).map_or("zone", |token| self.text_of(*token));
                let help = format!("write `with {zone}.write() as v:` for a `shared let {zone}`");
                let message = format!("a zone is taken with `with`, not `{word}`");
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, message, self.span(), "another language's word").help(help);
                self.fail(diagnostic);
                Some(StmtKind::Error)
            }
            _ => None,
        }
    }

    fn at_next(&self, word: &str) -> bool {
        self.tokens.get(self.pos + 1).is_some_and(|token| self.text_of(*token) == word)
    }

    /// `ch <- x`: whether Go's arrow stands here, at its `<`. `a <-3` compares.
    pub(super) fn at_go_send(&self) -> bool {
        self.at(TokenKind::Lt) && self.kind_at(1) == TokenKind::Minus && self.touches(1) && !self.touches(2)
    }

    /// At the `<` of `ch <- x`.
    pub(super) fn go_send(&mut self, channel: Expr, start: u32) -> Expr {
        let arrow = self.span();
        self.bump();
        let arrow = arrow.to(self.span());
        self.bump();
        let value = self.expr_bp(power::OR);
        let end = Span { start: value.span.end, ..value.span };
        let text = |span: Span| &self.text[span.start as usize..span.end as usize];
        let written = format!("{}.send({})", text(channel.span), text(value.span));
        let between = Span { start: channel.span.end, end: value.span.start, ..arrow };
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "a message is sent with `.send(…)`, not `<-`",
            arrow,
            "another language's operator",
        )
        .help(format!("write `{written}`"))
        .fix("write `.send(…)`", vec![(between, ".send(".into()), (end, ")".into())]);
        self.complain(diagnostic);
        let arg = Arg { name: None, mode: ParamMode::Value, span: value.span, value };
        self.method(channel, "send", vec![arg], start)
    }

    /// At the `<` of `<-ch`.
    pub(super) fn go_receive(&mut self) -> Expr {
        let start = self.start();
        let arrow = self.span();
        self.bump();
        let arrow = arrow.to(self.span());
        self.bump();
        let channel = self.expr_bp(power::UNARY);
        let end = Span { start: channel.span.end, ..channel.span };
        let before = Span { end: channel.span.start, ..arrow };
        let name = &self.text[channel.span.start as usize..channel.span.end as usize];
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "a message is received with `.recv()`, not `<-`",
            arrow,
            "another language's operator",
        )
        .help(format!("write `{name}.recv()`"))
        .fix("write `.recv()`", vec![(before, String::new()), (end, ".recv()".into())]);
        self.complain(diagnostic);
        self.method(channel, "recv", Vec::new(), start)
    }

    fn method(&mut self, base: Expr, name: &'static str, args: Vec<Arg>, start: u32) -> Expr {
        let name = Ident { name: self.intern(name), span: base.span };
        let callee = Expr { kind: ExprKind::Field { base: Box::new(base), name }, span: self.since(start) };
        Expr { kind: ExprKind::Call { callee: Box::new(callee), args }, span: self.since(start) }
    }

    /// Words before what an arm of `select` waits for.
    pub(super) fn foreign_select_word(&mut self) {
        let word = self.current_text();
        let names = self.kind_at(1) == TokenKind::Ident || self.kind_at(1) == TokenKind::Lt;
        if self.at(TokenKind::Let) || (self.at(TokenKind::Ident) && matches!(word, "case" | "when") && names) {
            self.foreign_word(&format!("an arm of `select` begins with what it gets, without `{word}`"), "");
            self.bump();
        }
        if self.at_word("default") && matches!(self.kind_at(1), TokenKind::Colon | TokenKind::FatArrow) {
            self.foreign_word("the arm for when nothing is ready is `else =>`", "else");
            let pos = self.pos;
            self.tokens[pos].kind = TokenKind::Else;
        }
    }

    /// `x = ch.recv() if c => …`, at the `if`.
    pub(super) fn select_guard(&mut self) {
        if !self.at(TokenKind::If) || self.recovering {
            return;
        }
        let span = self.span();
        self.bump();
        let cond = self.expr_bp(power::OR);
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "an arm of `select` has no condition",
            span.to(cond.span),
            "every arm waits",
        )
        .help("put an `if` around the `select`, with the arm in one of two, or ask in the arm's body");
        self.complain(diagnostic);
    }

    /// `scope:` without a name for the task group.
    pub(super) fn scope_name(&mut self) -> Ident {
        if self.at(TokenKind::Colon) && !self.recovering {
            let gap = self.gap();
            let diagnostic =
                Diagnostic::error(codes::EXPECTED, "a `scope` has a name for its tasks", gap, "the name is missing")
                    .help("write `scope s:`; `s.spawn(|| f(x))` starts a task that the block waits for")
                    .fix("write `scope s:`", vec![(gap, " s".into())]);
            self.complain(diagnostic);
            return Ident { name: self.intern("s"), span: gap };
        }
        self.ident("a name for the task group")
    }

    /// `struct Dog(Animal):`, `class P(x: Int)`: told once, and read past.
    pub(super) fn parents_of_struct(&mut self) {
        if !self.at(TokenKind::LParen) || self.recovering {
            return;
        }
        let start = self.span();
        let mut depth = 0usize;
        let mut is_fields = false;
        while !self.kind().is_layout() {
            match self.kind() {
                kind if kind.opens() => depth += 1,
                kind if kind.closes() => depth = depth.saturating_sub(1),
                TokenKind::Colon if depth > 0 => is_fields = true,
                _ => {}
            }
            self.bump();
            if depth == 0 {
                break;
            }
        }
        let span = Span { end: self.prev_end, ..start };
        let (title, help) = match is_fields {
            true => ("the fields of a struct stand in its block", "write `struct P:`, and `x: Int` on lines below"),
            false => (
                "there is no inheritance",
                "a type holds another as a field; `impl Error for E:` makes it an error, and traits say what types have in common",
            ),
        };
        // `class` has been told of on this line.
        let line = self.text[..start.start as usize].rfind('\n').map_or(0, |at| at + 1);
        if let Some(last) = self.diagnostics.last_mut()
            && last.code == codes::FOREIGN
            && last.primary.span.start as usize >= line
        {
            last.help = Some(format!("write `struct`; {help}"));
            last.fixes.clear();
        } else {
            self.complain(Diagnostic::error(codes::FOREIGN, title, span, "not a part of a struct").help(help));
        }
        if self.kind().is_layout() && self.kind_at(1) != TokenKind::Indent {
            // No block follows: the whole is told.
            self.recovering = true;
        }
    }

    /// `else` behind a loop or a `try`, at the word: told, and its block is read.
    pub(super) fn foreign_else(&mut self, what: &str, help: &str) {
        if !self.at(TokenKind::Else) || !self.after_block() || self.recovering {
            return;
        }
        let diagnostic =
            Diagnostic::error(codes::FOREIGN, format!("a {what} has no `else`"), self.span(), "belongs to no `if`")
                .help(help);
        self.complain(diagnostic);
        self.bump();
        self.block("`else`");
    }

    /// `for i, x in xs:`, at the first comma.
    pub(super) fn names_of_for(&mut self, first: Pattern) -> Pattern {
        if !self.at(TokenKind::Comma) || self.recovering {
            return first;
        }
        let start = first.span;
        let mut parts = vec![first];
        while self.eat(TokenKind::Comma) {
            parts.push(self.pattern());
        }
        let span = Span { end: self.prev_end, ..start };
        let names = self.text[span.start as usize..span.end as usize].to_string();
        let is_go = self.at(TokenKind::Colon);
        let help = match is_go {
            true => format!("write `for ({names}) in enumerate(xs):`"),
            false => format!("write `for ({names}) in …:`"),
        };
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "several names are taken out of a value in parentheses",
            span,
            "no parentheses around these",
        )
        .help(help);
        if is_go {
            self.fail(diagnostic);
        } else {
            self.complain(diagnostic.fix("write parentheses", vec![(span, format!("({names})"))]));
        }
        Pattern { kind: PatternKind::Tuple(parts), span }
    }
}
