//! What stands behind a value: calls, fields, indices, `?`, type arguments.

use super::*;

/// How far `name<` is looked through for the `>(` or `>::` that makes it type arguments.
const MAX_TYPE_ARGS_LOOK: usize = 200;

impl<'s> Parser<'s> {
    /// Whether `<` here begins type arguments: it touches the name, and a `>` that `(` or `::` touches closes it.
    pub(super) fn at_type_args(&self) -> bool {
        use TokenKind::*;
        if !self.at(Lt) || !self.touches(0) || self.pos == 0 || self.tokens[self.pos - 1].kind != Ident {
            return false;
        }
        let (mut angles, mut brackets) = (0usize, 0usize);
        for n in 0..MAX_TYPE_ARGS_LOOK {
            match self.kind_at(n) {
                Lt => angles += 1,
                Gt => {
                    angles -= 1;
                    if angles == 0 {
                        return brackets == 0
                            && self.touches(n + 1)
                            && matches!(self.kind_at(n + 1), LParen | ColonColon);
                    }
                }
                LParen | LBracket => brackets += 1,
                RParen | RBracket if brackets > 0 => brackets -= 1,
                Ident | Comma | Dot | ColonColon | Fn | Arrow | Amp | Mut => {}
                Number | Plus | Star if brackets > 0 => {}
                _ => return false,
            }
        }
        false
    }

    /// Whether the postfix sign here belongs to `lhs`.
    pub(super) fn postfix_applies(&self, lhs: &Expr) -> bool {
        if self.context.format && self.at(TokenKind::ColonColon) {
            let is_name = self.kind_at(1) == TokenKind::Ident || self.kind_at(1).is_keyword();
            return is_name && path_of(lhs).is_some();
        }
        true
    }

    pub(super) fn postfix(&mut self, start: u32, lhs: Expr) -> Expr {
        let kind = match self.kind() {
            TokenKind::Dot => self.member_of(lhs),
            TokenKind::ColonColon => self.scoped(lhs),
            TokenKind::LParen => {
                let args = self.call_args();
                ExprKind::Call { callee: Box::new(lhs), args }
            }
            TokenKind::LBracket => {
                let indices = self.indices();
                ExprKind::Index { base: Box::new(lhs), indices }
            }
            TokenKind::Question => {
                let apart = !self.touches(0);
                self.bump();
                if apart && self.begins_expression(0) && self.prev_end < self.start() && !self.begins_line(self.start())
                {
                    let diagnostic = Diagnostic::error(
                        codes::FOREIGN,
                        "there is no `c ? x : y`",
                        self.since(start),
                        "another language's order",
                    )
                    .help("write `if c: x else: y`");
                    self.fail(diagnostic);
                }
                ExprKind::Try(Box::new(lhs))
            }
            TokenKind::Lt => {
                let type_args = self.type_args();
                if self.at(TokenKind::ColonColon)
                    && let Some(path) = path_of(&lhs)
                {
                    self.bump();
                    let name = self.member_ident("::");
                    ExprKind::Scoped { path: Box::new(path), type_args, name }
                } else {
                    ExprKind::Instantiate { base: Box::new(lhs), type_args }
                }
            }
            // `print!(…)`
            _ => {
                let span = self.span();
                self.bump();
                let diagnostic = Diagnostic::error(codes::FOREIGN, "there are no macros", span, "not needed")
                    .help("a function is called without `!`")
                    .fix("remove the `!`", vec![(span, String::new())]);
                self.complain(diagnostic);
                return lhs;
            }
        };
        Expr { kind, span: self.since(start) }
    }

    pub(super) fn member_of(&mut self, lhs: Expr) -> ExprKind {
        self.bump();
        let base = Box::new(lhs);
        match self.kind() {
            TokenKind::Await => {
                self.bump();
                if self.at(TokenKind::LParen) && self.kind_at(1) == TokenKind::RParen {
                    self.bump();
                    self.bump();
                }
                ExprKind::Await(base)
            }
            TokenKind::Number => {
                let token = self.bump();
                let text = self.text_of(token);
                // `t.0.1` is read as `t`, `.`, `0.1`.
                let mut kind = ExprKind::Error;
                let (mut base, mut at) = (Some(base), token.start);
                for (i, digits) in text.split('.').enumerate() {
                    let index_span = Span { source: self.source, start: at, end: at + digits.len() as u32 };
                    at = index_span.end + 1;
                    let Ok(index) = digits.parse::<u32>() else {
                        let message = format!("`{text}` is not the index of a tuple");
                        self.complain(Diagnostic::error(
                            codes::EXPECTED,
                            message,
                            self.span_of(token),
                            "not a whole number",
                        ));
                        return ExprKind::Error;
                    };
                    if i > 0 {
                        let span = Span { source: self.source, start: base_start(&kind), end: index_span.start - 1 };
                        base = Some(Box::new(Expr { kind, span }));
                    }
                    let Some(inner) = base.take() else { return ExprKind::Error };
                    kind = ExprKind::TupleField { base: inner, index, index_span };
                }
                kind
            }
            _ => {
                let name = self.member_ident(".");
                ExprKind::Field { base, name }
            }
        }
    }

    pub(super) fn scoped(&mut self, lhs: Expr) -> ExprKind {
        let sign = self.bump();
        if self.at(TokenKind::Lt) {
            // `Vec::<Int>::new()`
            let span = self.span_of(sign);
            let diagnostic =
                Diagnostic::error(codes::FOREIGN, "type arguments stand directly after the name", span, "not needed")
                    .fix("remove the `::`", vec![(span, String::new())]);
            self.complain(diagnostic);
            let type_args = self.type_args();
            if let Some(path) = path_of(&lhs)
                && self.eat(TokenKind::ColonColon)
            {
                let name = self.member_ident("::");
                return ExprKind::Scoped { path: Box::new(path), type_args, name };
            }
            return ExprKind::Instantiate { base: Box::new(lhs), type_args };
        }
        let (path, type_args) = match &lhs.kind {
            ExprKind::Instantiate { base, type_args } => (path_of(base), type_args.clone()),
            _ => (path_of(&lhs), Vec::new()),
        };
        let name = self.member_ident("::");
        match path {
            Some(path) => ExprKind::Scoped { path: Box::new(path), type_args, name },
            None => {
                let diagnostic = Diagnostic::error(
                    codes::EXPECTED,
                    "`::` follows the name of a type",
                    lhs.span,
                    "not a type's name",
                )
                .help("fields and methods of a value are reached with `.`");
                self.complain(diagnostic);
                ExprKind::Field { base: Box::new(lhs), name }
            }
        }
    }

    /// `(a, name = b, &mut c)`.
    pub(super) fn call_args(&mut self) -> Vec<Arg> {
        let opener = self.bump();
        let context = std::mem::take(&mut self.context);
        let mut args = Vec::new();
        while !self.closes_or_ends(TokenKind::RParen) {
            push(&mut args, self.arg());
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if self.at(TokenKind::FatArrow) && !self.recovering {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "a closure is written `|x| …`",
                self.span(),
                "another language's arrow",
            )
            .help("write `|x| x + 1` for `x => x + 1`");
            self.fail(diagnostic);
        }
        self.expect_close(TokenKind::RParen, opener);
        self.context = context;
        args
    }

    pub(super) fn arg(&mut self) -> Arg {
        let start = self.start();
        if matches!(self.kind(), TokenKind::Star | TokenKind::StarStar | TokenKind::Ellipsis) {
            let span = self.span();
            self.bump();
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "a list is not spread over arguments",
                span,
                "another language's sign",
            )
            .help("pass the list itself, or its elements one by one");
            self.complain(diagnostic);
        }
        let named = (self.at(TokenKind::Ident) || self.kind().is_keyword())
            && self.kind_at(1) == TokenKind::Eq
            && !(self.kind_at(2) == TokenKind::Eq && self.touches(2));
        let name = if named {
            let name = self.bump_ident();
            self.bump();
            Some(name)
        } else if self.at(TokenKind::Ident) && self.kind_at(1) == TokenKind::Colon && self.begins_expression(2) {
            let span = self.span_of(self.tokens[self.pos + 1]);
            let name = self.bump_ident();
            self.bump();
            let diagnostic = Diagnostic::error(codes::FOREIGN, "a named argument is written with `=`", span, "not `=`")
                .fix("write `=`", vec![(span, " =".to_string())]);
            self.complain(diagnostic);
            Some(name)
        } else {
            None
        };
        let mode = self.param_mode();
        let mut value = self.expr();
        if self.at(TokenKind::For) && !self.recovering {
            let clauses = self.clauses();
            let span = self.since(start);
            let inner = &self.text[span.start as usize..span.end as usize];
            let diagnostic =
                Diagnostic::error(codes::FOREIGN, "a comprehension stands in brackets", span, "brackets are missing")
                    .help(format!("write `[{inner}]`"))
                    .fix("add the brackets", vec![(span, format!("[{inner}]"))]);
            self.complain(diagnostic);
            value = Expr { kind: ExprKind::ListComp { element: Box::new(value), clauses }, span };
        }
        Arg { name, mode, value, span: self.since(start) }
    }

    pub(super) fn indices(&mut self) -> Vec<Index> {
        let opener = self.bump();
        let context = std::mem::take(&mut self.context);
        let mut indices = Vec::new();
        while !self.closes_or_ends(TokenKind::RBracket) {
            let start = self.start();
            if self.at(TokenKind::Colon) {
                self.python_slice(start, None);
                break;
            }
            let expr = self.expr();
            if self.at(TokenKind::Colon) && !self.recovering {
                self.python_slice(start, Some(expr));
                break;
            }
            indices.push(match expr.kind {
                ExprKind::Range { start, end, inclusive } => {
                    Index::Range { start: start.map(|e| *e), end: end.map(|e| *e), inclusive, span: expr.span }
                }
                _ => Index::At(expr),
            });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if indices.is_empty() && !self.recovering {
            self.fail_here(codes::EXPECTED_EXPRESSION, "an index");
        }
        self.expect_close(TokenKind::RBracket, opener);
        self.context = context;
        indices
    }

    /// `v[a:b]`
    pub(super) fn python_slice(&mut self, start: u32, _first: Option<Expr>) {
        let sign = self.bump();
        if self.begins_expression(0) {
            self.expr();
        }
        let before = &self.text[start as usize..sign.start as usize];
        let after = &self.text[sign.end as usize..self.prev_end.max(sign.end) as usize];
        let written = format!("{}..{}", before.trim(), after.trim());
        let span = self.since(start);
        let diagnostic =
            Diagnostic::error(codes::FOREIGN, "a slice is written with `..`", self.span_of(sign), "not `..`")
                .help(format!("write `[{written}]`"))
                .fix("write `..`", vec![(span, written)]);
        self.fail(diagnostic);
    }
}

fn base_start(kind: &ExprKind) -> u32 {
    match kind {
        ExprKind::TupleField { base, .. } => base.span.start,
        _ => 0,
    }
}

/// A chain of names, `a`, `a.b` or `a::b`, as a path.
fn path_of(expr: &Expr) -> Option<Path> {
    let mut segments = Vec::new();
    let mut at = expr;
    loop {
        match &at.kind {
            ExprKind::Name(name) => {
                segments.push(Ident { name: name.clone(), span: at.span });
                break;
            }
            ExprKind::Field { base, name } => {
                segments.push(name.clone());
                at = base;
            }
            ExprKind::Scoped { path, type_args, name } if type_args.is_empty() => {
                segments.push(name.clone());
                segments.extend(path.segments.iter().rev().cloned());
                break;
            }
            _ => return None,
        }
    }
    segments.reverse();
    Some(Path { segments, span: expr.span })
}
