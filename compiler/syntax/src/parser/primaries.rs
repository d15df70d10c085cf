//! Expressions that begin anew: names, literals, brackets and comprehensions.

use super::*;

impl<'s> Parser<'s> {
    pub(super) fn primary(&mut self) -> Expr {
        use TokenKind::*;
        let start = self.start();
        match self.kind() {
            Number | Text | FormatText | True | False => self.literal(),
            BrokenText => {
                self.bump();
                self.error_expr(start)
            }
            Ident => {
                if let Some(kind) = self.foreign_value_name() {
                    return Expr { kind, span: self.since(start) };
                }
                let ident = self.bump_ident();
                Expr { kind: ExprKind::Name(ident.name), span: ident.span }
            }
            SelfValue => {
                self.bump();
                Expr { kind: ExprKind::SelfValue, span: self.since(start) }
            }
            Where if self.kind_at(1) == LParen => {
                let ident = self.bump_ident();
                Expr { kind: ExprKind::Name(ident.name), span: ident.span }
            }
            LParen => self.parens(),
            LBracket => self.list(),
            LBrace => self.braces(),
            Unknown => {
                self.recovering = true;
                self.bump();
                self.error_expr(start)
            }
            Return | Throw | Break | Continue => {
                let word = self.current_text();
                let message = format!("`{word}` is a statement");
                let diagnostic =
                    Diagnostic::error(codes::EXPECTED_EXPRESSION, message, self.span(), "a value was expected")
                        .help("it may stand alone in a branch, in an arm, or after `|x|`");
                self.fail(diagnostic);
                self.error_expr(start)
            }
            kind if kind.is_keyword() => {
                let word = self.current_text();
                let names = matches!(
                    self.kind_at(1),
                    Eq | Dot | Comma | RParen | RBracket | Newline | Plus | Minus | Star | LBracket
                );
                if names && !matches!(kind, Else | Catch | Finally | In | As | And | Or) {
                    let message = format!("`{word}` is a keyword and cannot be a name");
                    let diagnostic = Diagnostic::error(codes::KEYWORD_AS_NAME, message, self.span(), "a keyword")
                        .help(format!("choose another name, such as `{word}_`"));
                    self.complain(diagnostic);
                    self.bump();
                    return self.error_expr(start);
                }
                self.fail_here(codes::EXPECTED_EXPRESSION, "an expression");
                self.error_expr(start)
            }
            kind => {
                let mut diagnostic = self.expected(codes::EXPECTED_EXPRESSION, "an expression");
                let is_index = self.pos > 0 && matches!(self.tokens[self.pos - 1].kind, LBracket | Comma);
                if kind == Ellipsis && is_index {
                    diagnostic = diagnostic.help("all of an axis is `..`, and each axis is named: `t[.., .., 0]`");
                } else if kind == ColonColon && is_index {
                    diagnostic = diagnostic.help("a slice is `a..b` and has no step: `t.index_select(axis, arange(a, b, step))` picks every other");
                } else if kind == Newline {
                    diagnostic = diagnostic.help("an expression goes on to the next line only inside brackets, or when that line begins with `.`");
                } else if matches!(kind, Star | Slash | Percent | EqEq | NotEq | Lt | Le | Gt | Caret | Question | Dot)
                {
                    diagnostic = diagnostic.help(
                        "a value is missing before the operator; an expression that spans lines stands in parentheses",
                    );
                }
                self.fail(diagnostic);
                self.error_expr(start)
            }
        }
    }

    /// `()`, `(e)`, `(a,)`, `(a, b)`. The span of `(e)` includes its parentheses.
    pub(super) fn parens(&mut self) -> Expr {
        let opener = self.bump();
        let context = std::mem::take(&mut self.context);
        let mut parts = Vec::new();
        let mut comma = false;
        while !self.closes_or_ends(TokenKind::RParen) {
            let mut value = self.expr();
            if self.at(TokenKind::For) && !self.recovering {
                let clauses = self.clauses();
                let span = Span { end: self.prev_end, ..value.span };
                let inner = &self.text[span.start as usize..span.end as usize];
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "a comprehension stands in `[ ]`", span, "not in `( )`")
                        .help(format!("write `[{inner}]`"));
                self.complain(diagnostic);
                value = Expr { kind: ExprKind::ListComp { element: Box::new(value), clauses }, span };
            }
            self.not_an_assignment();
            parts.push(value);
            comma = self.eat(TokenKind::Comma);
            if !comma {
                break;
            }
        }
        self.expect_close(TokenKind::RParen, opener);
        self.context = context;
        let span = self.since(opener.start);
        let kind = match parts.pop() {
            None => ExprKind::Literal(Literal::Unit),
            Some(only) if parts.is_empty() && !comma => only.kind,
            Some(last) => {
                parts.push(last);
                ExprKind::Tuple(parts)
            }
        };
        Expr { kind, span }
    }

    /// `(x = 1)` and `(x := 1)`
    pub(super) fn not_an_assignment(&mut self) {
        let walrus = self.at(TokenKind::Colon) && self.kind_at(1) == TokenKind::Eq && self.touches(1);
        if self.recovering || !(walrus || self.at(TokenKind::Eq)) {
            return;
        }
        let span = self.span();
        let diagnostic = if walrus {
            Diagnostic::error(codes::FOREIGN, "an assignment is a statement", span, "not inside an expression")
                .help("assign with `let` on the line before")
        } else {
            Diagnostic::error(
                codes::ASSIGN_IN_CONDITION,
                "`=` assigns; `==` compares",
                span,
                "not inside an expression",
            )
            .fix("write `==`", vec![(span, "==".to_string())])
        };
        self.complain(diagnostic);
        if walrus {
            self.bump();
        }
        self.bump();
        self.expr();
    }

    pub(super) fn list(&mut self) -> Expr {
        let opener = self.bump();
        let context = std::mem::take(&mut self.context);
        let mut elements = Vec::new();
        let mut clauses = None;
        while !self.closes_or_ends(TokenKind::RBracket) {
            self.no_spread();
            elements.push(self.expr());
            if self.at(TokenKind::For) && elements.len() == 1 {
                clauses = Some(self.clauses());
                break;
            }
            if self.at(TokenKind::Semi) && elements.len() == 1 && !self.recovering {
                let span = self.span();
                let slice = &self.text[opener.end as usize..self.prev_end as usize];
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "a list is repeated with `*`", span, "another language's sign")
                        .help(format!("write `[{}] * n`", slice.trim()));
                self.fail(diagnostic);
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::RBracket, opener);
        self.context = context;
        let kind = match (clauses, elements.pop()) {
            (Some(clauses), Some(element)) => ExprKind::ListComp { element: Box::new(element), clauses },
            (_, Some(last)) => {
                elements.push(last);
                ExprKind::List(elements)
            }
            (_, None) => ExprKind::List(elements),
        };
        Expr { kind, span: self.since(opener.start) }
    }

    pub(super) fn no_spread(&mut self) {
        if matches!(self.kind(), TokenKind::Star | TokenKind::StarStar | TokenKind::Ellipsis) {
            let span = self.span();
            self.bump();
            let diagnostic =
                Diagnostic::error(codes::FOREIGN, "a list is not spread into another", span, "another language's sign")
                    .help("join lists with `+`");
            self.complain(diagnostic);
        }
    }

    /// `{}`, `{k: v}`, `{a, b}` and their comprehensions.
    pub(super) fn braces(&mut self) -> Expr {
        let opener = self.bump();
        let context = std::mem::take(&mut self.context);
        let (mut entries, mut elements) = (Vec::new(), Vec::new());
        let mut clauses = None;
        while !self.closes_or_ends(TokenKind::RBrace) {
            self.no_spread();
            let key = self.expr();
            if self.at(TokenKind::Colon) && elements.is_empty() {
                self.bump();
                let value = self.map_value();
                entries.push((key, value));
            } else if !entries.is_empty() {
                let diagnostic = self.expected(codes::EXPECTED, "`:` and the value of this key");
                self.fail(diagnostic);
            } else {
                elements.push(key);
            }
            if self.at(TokenKind::For) && entries.len() + elements.len() == 1 {
                clauses = Some(self.clauses());
                break;
            }
            // The comma may have been the last of an indented value.
            if !self.eat(TokenKind::Comma) && !(self.after_block() && !self.at(TokenKind::RBrace)) {
                break;
            }
        }
        self.expect_close(TokenKind::RBrace, opener);
        self.context = context;
        let kind = match clauses {
            Some(clauses) => match (entries.pop(), elements.pop()) {
                (Some((key, value)), _) => ExprKind::MapComp { key: Box::new(key), value: Box::new(value), clauses },
                (None, Some(element)) => ExprKind::SetComp { element: Box::new(element), clauses },
                (None, None) => ExprKind::Error,
            },
            None if elements.is_empty() => ExprKind::Map(entries),
            None => ExprKind::Set(elements),
        };
        Expr { kind, span: self.since(opener.start) }
    }

    /// A map's value; one on the line below its key was laid out as a block.
    pub(super) fn map_value(&mut self) -> Expr {
        if !(self.at(TokenKind::Newline) && self.kind_at(1) == TokenKind::Indent) {
            return self.expr();
        }
        self.bump();
        self.bump();
        let value = self.expr();
        self.eat(TokenKind::Comma);
        self.eat(TokenKind::Newline);
        if !self.eat(TokenKind::Dedent) && !self.recovering {
            self.fail_here(codes::EXPECTED, "the end of the map's value");
        }
        value
    }

    /// `for p in xs if c …`, one or more.
    pub(super) fn clauses(&mut self) -> Vec<CompClause> {
        let context = std::mem::replace(&mut self.context, Context { clause: true, ..Context::default() });
        let mut clauses = Vec::new();
        while !self.recovering {
            if self.eat(TokenKind::For) {
                let pattern = self.pattern();
                self.expect(TokenKind::In, "and what to loop over");
                clauses.push(CompClause::For { pattern, iterable: self.expr() });
            } else if self.eat(TokenKind::If) {
                clauses.push(CompClause::If(self.expr()));
            } else {
                break;
            }
        }
        self.context = context;
        clauses
    }
}
