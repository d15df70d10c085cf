//! Patterns.

use super::*;

impl<'s> Parser<'s> {
    /// `A | B | C`.
    pub(super) fn pattern(&mut self) -> Pattern {
        let start = self.start();
        if !self.enter() {
            self.leave();
            return Pattern { kind: PatternKind::Error, span: self.since(start) };
        }
        let first = self.one_pattern();
        let pattern = if self.at(TokenKind::Pipe) {
            let mut alternatives = vec![first];
            while self.eat(TokenKind::Pipe) {
                alternatives.push(self.one_pattern());
            }
            Pattern { kind: PatternKind::Or(alternatives), span: self.since(start) }
        } else {
            first
        };
        self.leave();
        pattern
    }

    /// A pattern that is not an alternative of several.
    pub(super) fn one_pattern(&mut self) -> Pattern {
        let start = self.start();
        let kind = self.pattern_kind();
        Pattern { kind, span: self.since(start) }
    }

    fn pattern_kind(&mut self) -> PatternKind {
        match self.kind() {
            TokenKind::Ident => self.name_pattern(),
            TokenKind::Mut => {
                self.bump();
                PatternKind::Name { name: self.ident("a name"), mutable: true }
            }
            TokenKind::Number
            | TokenKind::Text
            | TokenKind::BrokenText
            | TokenKind::True
            | TokenKind::False
            | TokenKind::Minus => {
                let start = self.pattern_literal();
                let inclusive = self.at(TokenKind::DotDotEq);
                if self.eat(TokenKind::DotDot) || self.eat(TokenKind::DotDotEq) {
                    let ends = matches!(self.kind(), TokenKind::Number | TokenKind::Text | TokenKind::Minus);
                    let end = if ends { Some(self.pattern_literal()) } else { None };
                    return PatternKind::Range { start: Some(Box::new(start)), end: end.map(Box::new), inclusive };
                }
                PatternKind::Literal(Box::new(start))
            }
            TokenKind::DotDot | TokenKind::DotDotEq => {
                let inclusive = self.bump().kind == TokenKind::DotDotEq;
                let ends = matches!(self.kind(), TokenKind::Number | TokenKind::Text | TokenKind::Minus);
                if !ends {
                    self.fail_here(codes::BAD_PATTERN_SYNTAX, "the end of a range");
                    return PatternKind::Error;
                }
                PatternKind::Range { start: None, end: Some(Box::new(self.pattern_literal())), inclusive }
            }
            TokenKind::LParen => self.tuple_pattern(),
            TokenKind::LBracket => self.list_pattern(),
            TokenKind::FormatText => {
                let span = self.span();
                self.bump();
                self.complain(
                    Diagnostic::error(
                        codes::BAD_PATTERN_SYNTAX,
                        "a format text cannot be a pattern",
                        span,
                        "not a pattern",
                    )
                    .help("bind a name and compare in a guard: `t if t == f\"…\" =>`"),
                );
                PatternKind::Error
            }
            kind if kind.is_keyword() => {
                use TokenKind::*;
                let meant_as_name =
                    matches!(self.kind_at(1), In | FatArrow | Comma | RParen | RBracket | Eq | Pipe | Colon | If);
                if !meant_as_name {
                    self.fail_here(codes::BAD_PATTERN_SYNTAX, "a pattern");
                    return PatternKind::Error;
                }
                let name = self.ident("a pattern");
                PatternKind::Name { name, mutable: false }
            }
            _ => {
                self.fail_here(codes::BAD_PATTERN_SYNTAX, "a pattern");
                PatternKind::Error
            }
        }
    }

    /// A literal, or a minus sign and a number.
    fn pattern_literal(&mut self) -> Expr {
        let start = self.start();
        if self.eat(TokenKind::Minus) {
            if !self.at(TokenKind::Number) {
                self.fail_here(codes::BAD_PATTERN_SYNTAX, "a number after `-`");
                return Expr { kind: ExprKind::Error, span: self.since(start) };
            }
            let operand = Box::new(self.literal());
            return Expr { kind: ExprKind::Unary { op: UnaryOp::Neg, operand }, span: self.since(start) };
        }
        self.literal()
    }

    fn name_pattern(&mut self) -> PatternKind {
        if self.current_text() == "_" {
            self.bump();
            return PatternKind::Wildcard;
        }
        if let Some(kind) = self.foreign_pattern_name() {
            return kind;
        }
        let path = self.pattern_path();
        if self.at(TokenKind::LParen) {
            return self.constructor_pattern(path);
        }
        if let Some(name) = path.segments.first()
            && path.segments.len() == 1
        {
            let name = name.clone();
            if self.eat(TokenKind::At) {
                let pattern = Box::new(if self.enter() {
                    self.one_pattern()
                } else {
                    Pattern { kind: PatternKind::Error, span: self.gap() }
                });
                self.leave();
                return PatternKind::Bind { name, pattern };
            }
            return PatternKind::Name { name, mutable: false };
        }
        PatternKind::Constructor { path, fields: Vec::new(), rest: false, has_parens: false }
    }

    fn pattern_path(&mut self) -> Path {
        let start = self.start();
        let mut segments = vec![self.bump_ident()];
        while matches!(self.kind(), TokenKind::Dot | TokenKind::ColonColon) {
            let sign = self.bump();
            segments.push(self.member_ident(if sign.kind == TokenKind::Dot { "." } else { "::" }));
        }
        Path { segments, span: self.since(start) }
    }

    fn constructor_pattern(&mut self, path: Path) -> PatternKind {
        let opener = self.bump();
        let mut fields = Vec::new();
        let mut rest = false;
        while !self.closes_or_ends(TokenKind::RParen) {
            if self.at(TokenKind::DotDot) && matches!(self.kind_at(1), TokenKind::RParen | TokenKind::Comma) {
                self.bump();
                rest = true;
            } else if self.at(TokenKind::Ident) && matches!(self.kind_at(1), TokenKind::Eq | TokenKind::Colon) {
                let name = self.bump_ident();
                let sign = self.bump();
                if sign.kind == TokenKind::Colon {
                    let span = self.span_of(sign);
                    self.complain(
                        Diagnostic::error(codes::FOREIGN, "a field's pattern is written with `=`", span, "not `:`")
                            .fix("write `=`", vec![(span, " =".into())]),
                    );
                }
                fields.push(FieldPattern { name: Some(name), pattern: self.pattern() });
            } else {
                fields.push(FieldPattern { name: None, pattern: self.pattern() });
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::RParen, opener);
        PatternKind::Constructor { path, fields, rest, has_parens: true }
    }

    fn tuple_pattern(&mut self) -> PatternKind {
        let opener = self.bump();
        let mut parts = Vec::new();
        let mut comma = false;
        while !self.closes_or_ends(TokenKind::RParen) {
            parts.push(self.pattern());
            comma = self.eat(TokenKind::Comma);
            if !comma {
                break;
            }
        }
        self.expect_close(TokenKind::RParen, opener);
        match parts.pop() {
            Some(only) if parts.is_empty() && !comma => only.kind,
            Some(last) => {
                parts.push(last);
                PatternKind::Tuple(parts)
            }
            None => PatternKind::Tuple(parts),
        }
    }

    fn list_pattern(&mut self) -> PatternKind {
        let opener = self.bump();
        let (mut before, mut rest, mut after) = (Vec::new(), None::<ListRest>, Vec::new());
        while !self.closes_or_ends(TokenKind::RBracket) {
            if self.at(TokenKind::DotDot) || self.at(TokenKind::Ellipsis) || self.at(TokenKind::Star) {
                let sign = self.bump();
                if sign.kind != TokenKind::DotDot {
                    let span = self.span_of(sign);
                    self.complain(
                        Diagnostic::error(codes::FOREIGN, "the rest of a list is `..rest`", span, "not this sign")
                            .fix("write `..`", vec![(span, "..".into())]),
                    );
                }
                let name = if self.at(TokenKind::Ident) { Some(self.bump_ident()) } else { None };
                let span = self.since(sign.start);
                if let Some(first) = &rest {
                    let diagnostic = Diagnostic::error(
                        codes::BAD_PATTERN_SYNTAX,
                        "a list pattern has one `..` at most",
                        span,
                        "the second one",
                    )
                    .because(first.span, "the first one");
                    self.complain(diagnostic);
                } else {
                    rest = Some(ListRest { name, span });
                }
            } else if rest.is_some() {
                after.push(self.pattern());
            } else {
                before.push(self.pattern());
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::RBracket, opener);
        PatternKind::List { before, rest, after }
    }
}
