//! Expressions: Pratt for operators, one function for each primary form.

use super::*;

/// How tightly operators bind; a larger number binds tighter. Right operands of left-associative ones are read one higher.
pub(super) mod power {
    pub const OR: u8 = 2;
    pub const AND: u8 = 4;
    pub const NOT: u8 = 6;
    pub const COMPARE: u8 = 8;
    pub const RANGE: u8 = 10;
    pub const BIT_OR: u8 = 12;
    pub const BIT_XOR: u8 = 14;
    pub const BIT_AND: u8 = 16;
    pub const SHIFT: u8 = 18;
    pub const ADD: u8 = 20;
    pub const MUL: u8 = 22;
    pub const AS: u8 = 24;
    pub const UNARY: u8 = 26;
    pub const POW: u8 = 28;
    pub const AWAIT: u8 = 30;
    pub const POSTFIX: u8 = 32;
}

#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOp),
    Compare(BinaryOp),
    Range,
    As,
    Postfix,
}

impl<'s> Parser<'s> {
    pub(super) fn expr(&mut self) -> Expr {
        let start = self.start();
        let value = self.expr_bp(0);
        // After a block an `if` begins the next statement.
        if self.at(TokenKind::If) && !self.after_block() && !self.context.clause && !self.recovering {
            return self.python_conditional(start, value);
        }
        value
    }

    /// `x if c else y`: understood and told.
    pub(super) fn python_conditional(&mut self, start: u32, value: Expr) -> Expr {
        self.bump();
        let cond = self.expr_bp(power::OR);
        let slice = |span: Span| &self.text[span.start as usize..span.end as usize];
        if !self.at(TokenKind::Else) {
            let diagnostic =
                Diagnostic::error(codes::CONDITIONAL, "the condition comes first", self.since(start), "Python's order")
                    .help(format!("write `if {}: {}`", slice(cond.span), slice(value.span)));
            self.fail(diagnostic);
            return value;
        }
        self.bump();
        let other = self.expr();
        let slice = |span: Span| &self.text[span.start as usize..span.end as usize];
        let written = format!("if {}: {} else: {}", slice(cond.span), slice(value.span), slice(other.span));
        let span = self.since(start);
        let diagnostic = Diagnostic::error(codes::CONDITIONAL, "the condition comes first", span, "Python's order")
            .help(format!("write `{written}`"))
            .fix("put the condition first", vec![(span, written)]);
        self.complain(diagnostic);
        let block =
            |expr: Expr| Block { span: expr.span, stmts: vec![Stmt { span: expr.span, kind: StmtKind::Expr(expr) }] };
        let branches = vec![(Condition::Expr(Box::new(cond)), block(value))];
        Expr { kind: ExprKind::If { branches, else_block: Some(block(other)) }, span }
    }

    pub(super) fn error_expr(&self, start: u32) -> Expr {
        Expr { kind: ExprKind::Error, span: self.since(start) }
    }

    /// An expression whose operators bind at least as tightly as `min`.
    pub(super) fn expr_bp(&mut self, min: u8) -> Expr {
        let start = self.start();
        if !self.enter() {
            self.leave();
            return self.error_expr(start);
        }
        let outer_height = std::mem::replace(&mut self.height, 0);
        let mut lhs = self.prefix();
        let mut height = self.height + 1;
        let mut compared: Option<Span> = None;
        // A block ends the expression it stands in, except for a `.` at the beginning of the next line.
        while !self.recovering && (!self.after_block() || self.at(TokenKind::Dot)) {
            if min <= power::COMPARE && self.at_word("is") && self.value_follows() {
                lhs = self.python_is(lhs, start);
                height += 1;
                continue;
            }
            let Some((infix, binding, n_tokens)) = self.infix() else { break };
            if binding < min {
                break;
            }
            if height >= MAX_HEIGHT {
                self.abort(
                    format!("an expression of more than {MAX_HEIGHT} operations on top of each other"),
                    "give the parts names with `let`",
                );
                break;
            }
            self.height = 0;
            match infix {
                Infix::Postfix => {
                    if !self.postfix_applies(&lhs) {
                        break;
                    }
                    lhs = self.postfix(start, lhs);
                }
                Infix::As => {
                    if self.context.with_head && self.as_names() {
                        break;
                    }
                    self.bump();
                    let ty = self.cast_type();
                    lhs = Expr {
                        kind: ExprKind::Cast { value: Box::new(lhs), ty: Box::new(ty) },
                        span: self.since(start),
                    };
                }
                Infix::Range => {
                    let inclusive = self.bump().kind == TokenKind::DotDotEq;
                    let end = if self.begins_expression(0) { Some(Box::new(self.expr_bp(binding + 1))) } else { None };
                    lhs = Expr {
                        kind: ExprKind::Range { start: Some(Box::new(lhs)), end, inclusive },
                        span: self.since(start),
                    };
                }
                Infix::Compare(BinaryOp::Lt) if self.at_go_send() => lhs = self.go_send(lhs, start),
                Infix::Binary(op) | Infix::Compare(op) => {
                    let first = self.token();
                    let mut last = first;
                    for _ in 0..n_tokens {
                        last = self.bump();
                    }
                    let op_span = self.span_of(first).to(self.span_of(last));
                    if self.foreign_operator(op, op_span, &lhs) {
                        break;
                    }
                    let is_right = matches!(op, BinaryOp::Pow);
                    let rhs = self.expr_bp(if is_right { binding } else { binding + 1 });
                    if matches!(infix, Infix::Compare(_)) {
                        if let Some(before) = compared {
                            self.chained_comparison(&lhs, before, op_span, &rhs);
                        }
                        compared = Some(op_span);
                    }
                    lhs = Expr {
                        kind: ExprKind::Binary { op, op_span, lhs: Box::new(lhs), rhs: Box::new(rhs) },
                        span: self.since(start),
                    };
                }
            }
            height = height.max(self.height) + 1;
        }
        self.height = outer_height.max(height);
        self.leave();
        lhs
    }

    /// Whether a value or `not` follows the word here on its line.
    pub(super) fn value_follows(&self) -> bool {
        self.begins_expression(1) && self.kind_at(1) != TokenKind::LParen
    }

    /// The right side of a comparison.
    pub(super) fn operand_of_comparison(&mut self) -> Expr {
        self.expr_bp(power::COMPARE + 1)
    }

    pub(super) fn after_block(&self) -> bool {
        self.pos > 0 && self.tokens[self.pos - 1].kind == TokenKind::Dedent
    }

    /// The operator here, how tightly it binds, and how many tokens it has.
    fn infix(&self) -> Option<(Infix, u8, usize)> {
        use TokenKind::*;
        let binary = |op, power| Some((Infix::Binary(op), power, 1));
        let compare = |op, n| Some((Infix::Compare(op), power::COMPARE, n));
        match self.kind() {
            Or | PipePipe => binary(BinaryOp::Or, power::OR),
            And | AmpAmp => binary(BinaryOp::And, power::AND),
            EqEq => compare(BinaryOp::Eq, 1),
            NotEq => compare(BinaryOp::Ne, 1),
            Lt if self.at_type_args() => Some((Infix::Postfix, power::POSTFIX, 1)),
            Lt if self.kind_at(1) == Gt && self.touches(1) => compare(BinaryOp::Ne, 2),
            Lt => compare(BinaryOp::Lt, 1),
            Le => compare(BinaryOp::Le, 1),
            In => compare(BinaryOp::In, 1),
            Not if self.kind_at(1) == In => compare(BinaryOp::NotIn, 2),
            Gt if self.touches(1) && self.kind_at(1) == Eq => compare(BinaryOp::Ge, 2),
            Gt if self.touches(1) && self.kind_at(1) == Gt => {
                // `>>=` assigns.
                let assigns = self.touches(2) && self.kind_at(2) == Eq;
                (!assigns).then_some((Infix::Binary(BinaryOp::Shr), power::SHIFT, 2))
            }
            Gt => compare(BinaryOp::Gt, 1),
            DotDot | DotDotEq => Some((Infix::Range, power::RANGE, 1)),
            Pipe => binary(BinaryOp::BitOr, power::BIT_OR),
            Caret => binary(BinaryOp::BitXor, power::BIT_XOR),
            Amp => binary(BinaryOp::BitAnd, power::BIT_AND),
            Shl => binary(BinaryOp::Shl, power::SHIFT),
            Plus => binary(BinaryOp::Add, power::ADD),
            Minus => binary(BinaryOp::Sub, power::ADD),
            Star => binary(BinaryOp::Mul, power::MUL),
            Slash => binary(BinaryOp::Div, power::MUL),
            Percent => binary(BinaryOp::Rem, power::MUL),
            At => binary(BinaryOp::MatMul, power::MUL),
            As => Some((Infix::As, power::AS, 1)),
            StarStar => binary(BinaryOp::Pow, power::POW),
            Dot | ColonColon | LParen | LBracket | Question => Some((Infix::Postfix, power::POSTFIX, 1)),
            Bang if self.kind_at(1) == LParen && self.touches(1) && self.touches(0) => {
                Some((Infix::Postfix, power::POSTFIX, 1))
            }
            _ => None,
        }
    }

    /// In the head of a `with`: whether the `as` here is the one that names.
    pub(super) fn as_names(&self) -> bool {
        let is_mut = self.kind_at(1) == TokenKind::Mut && self.kind_at(2) == TokenKind::Ident;
        let n = if is_mut { 2 } else { 1 };
        (self.kind_at(n) == TokenKind::Ident || self.kind_at(n).is_keyword())
            && matches!(self.kind_at(n + 1), TokenKind::Colon | TokenKind::Comma | TokenKind::Newline)
    }

    // --- operators of other languages ----------------------------------------------------------------------------

    /// Reports an operator that another language has. True when it was a postfix one, such as `n++`.
    pub(super) fn foreign_operator(&mut self, op: BinaryOp, op_span: Span, lhs: &Expr) -> bool {
        use TokenKind::*;
        let text = &self.text[op_span.start as usize..op_span.end as usize];
        let instead = match text {
            "&&" => "and",
            "||" => "or",
            "<>" => "!=",
            _ => "",
        };
        if !instead.is_empty() {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                format!("`{text}` is written `{instead}`"),
                op_span,
                "another language's operator",
            )
            .help(format!("write `{instead}`"))
            .fix(format!("write `{instead}`"), vec![(op_span, instead.to_string())]);
            self.complain(diagnostic);
            return false;
        }
        let touches = self.touches(0);
        if matches!(op, BinaryOp::Eq | BinaryOp::Ne) && self.at(Eq) && touches {
            let span = op_span.to(self.span());
            let instead = text.to_string();
            self.bump();
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                format!("`{instead}=` is written `{instead}`"),
                span,
                "another language's operator",
            )
            .help("there is one comparison, and it compares values of one type")
            .fix(format!("write `{instead}`"), vec![(span, instead)]);
            self.complain(diagnostic);
            return false;
        }
        let doubled = (op == BinaryOp::Add && self.at(Plus)) || (op == BinaryOp::Sub && self.at(Minus));
        if doubled && touches {
            let ends =
                matches!(self.kind_at(1), Newline | Semi | Eof | Dedent | RParen | RBracket | RBrace | Comma | Colon);
            let span = op_span.to(self.span());
            let sign = text.to_string();
            if ends {
                self.bump();
                let name = &self.text[lhs.span.start as usize..lhs.span.end as usize];
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    format!("there is no `{sign}{sign}`"),
                    span,
                    "another language's operator",
                )
                .help(format!("write `{name} {sign}= 1` as a statement"))
                .fix(format!("write `{sign}= 1`"), vec![(span, format!(" {sign}= 1"))]);
                self.complain(diagnostic);
                return true;
            }
            if op == BinaryOp::Add {
                self.bump();
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "`++` is written `+`", span, "another language's operator")
                        .help("`+` joins texts and lists")
                        .fix("write `+`", vec![(span, "+".to_string())]);
                self.complain(diagnostic);
            }
        }
        false
    }

    pub(super) fn chained_comparison(&mut self, lhs: &Expr, before: Span, op_span: Span, rhs: &Expr) {
        let slice = |span: Span| &self.text[span.start as usize..span.end as usize];
        // The last operand of what is compared already.
        let middle = match &lhs.kind {
            ExprKind::Binary { rhs, .. } => slice(rhs.span),
            _ => "…",
        };
        let written = format!("{} and {middle} {} {}", slice(lhs.span), slice(op_span), slice(rhs.span));
        let span = lhs.span.to(rhs.span);
        let diagnostic =
            Diagnostic::error(codes::CHAINED_COMPARISON, "comparisons do not chain", op_span, "the second comparison")
                .because(before, "the first")
                .help(format!("write `{written}`"))
                .fix("join two comparisons with `and`", vec![(span, written)]);
        self.complain(diagnostic);
    }

    // --- prefixes ------------------------------------------------------------------------------------------------

    /// Whether the token `n` ahead can begin an expression.
    pub(super) fn begins_expression(&self, n: usize) -> bool {
        use TokenKind::*;
        matches!(
            self.kind_at(n),
            Ident
                | Number
                | Text
                | FormatText
                | BrokenText
                | True
                | False
                | SelfValue
                | LParen
                | LBracket
                | LBrace
                | Minus
                | Tilde
                | Not
                | Bang
                | Await
                | Spawn
                | Async
                | If
                | Match
                | Try
                | Select
                | Pipe
                | PipePipe
                | Amp
                | Plus
        ) || (self.kind_at(n) == Where && self.kind_at(n + 1) == LParen)
    }

    pub(super) fn prefix(&mut self) -> Expr {
        use TokenKind::*;
        let start = self.start();
        match self.kind() {
            Minus | Tilde => {
                let op = if self.bump().kind == Minus { UnaryOp::Neg } else { UnaryOp::BitNot };
                let operand = Box::new(self.expr_bp(power::UNARY));
                Expr { kind: ExprKind::Unary { op, operand }, span: self.since(start) }
            }
            Not => {
                self.bump();
                let operand = Box::new(self.expr_bp(power::NOT));
                Expr { kind: ExprKind::Unary { op: UnaryOp::Not, operand }, span: self.since(start) }
            }
            Bang => {
                let span = self.span();
                self.bump();
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "`!` is written `not`", span, "another language's operator")
                        .help("write `not`")
                        .fix("write `not`", vec![(span, "not ".to_string())]);
                self.complain(diagnostic);
                let operand = Box::new(self.expr_bp(power::UNARY));
                Expr { kind: ExprKind::Unary { op: UnaryOp::Not, operand }, span: self.since(start) }
            }
            Plus => {
                let doubled = self.kind_at(1) == Plus && self.touches(1);
                let span = if doubled { self.span().to(self.span_of(self.tokens[self.pos + 1])) } else { self.span() };
                self.bump();
                let help =
                    if doubled { "write `n += 1` as a statement" } else { "a number without a sign is positive" };
                if doubled {
                    self.bump();
                }
                let message = if doubled { "there is no `++`" } else { "there is no `+` before a value" };
                self.complain(
                    Diagnostic::error(codes::FOREIGN, message, span, "another language's operator").help(help),
                );
                self.expr_bp(power::UNARY)
            }
            Amp => self.stray_borrow(),
            Lt if self.kind_at(1) == Minus && self.touches(1) => self.go_receive(),
            // `*x += 1` of a `&mut` parameter
            Star if self.kind_at(1) == Ident && self.touches(1) => {
                let span = self.span();
                self.bump();
                self.complain(
                    Diagnostic::error(
                        codes::FOREIGN,
                        "a parameter that is lent is used by its name alone",
                        span,
                        "another language's operator",
                    )
                    .help("remove the `*`")
                    .fix("remove the `*`", vec![(span, String::new())]),
                );
                self.expr_bp(power::UNARY)
            }
            Await => {
                self.bump();
                let operand = Box::new(self.expr_bp(power::AWAIT));
                Expr { kind: ExprKind::Await(operand), span: self.since(start) }
            }
            Spawn => self.spawn(),
            Async => self.async_expr(),
            If => self.if_expr(),
            Match => self.match_expr(),
            // As a statement it is read before an expression is looked for, so this one is used as a value.
            Try if matches!(self.kind_at(1), Colon | LBrace) => {
                let stmt = self.statement();
                self.stmt_as_expr(stmt)
            }
            Select => self.select_expr(),
            Pipe | PipePipe => self.closure(),
            DotDot | DotDotEq => {
                let inclusive = self.bump().kind == DotDotEq;
                let end = if self.begins_expression(0) { Some(Box::new(self.expr_bp(power::RANGE + 1))) } else { None };
                Expr { kind: ExprKind::Range { start: None, end, inclusive }, span: self.since(start) }
            }
            _ => self.primary(),
        }
    }

    /// `&x` where no argument stands: there a borrow would outlive its call.
    pub(super) fn stray_borrow(&mut self) -> Expr {
        let start = self.start();
        let mark = self.bump();
        let mutable = self.eat(TokenKind::Mut);
        let value = self.expr_bp(power::UNARY);
        let what = if mutable { "&mut" } else { "&" };
        let diagnostic = Diagnostic::error(
            codes::BORROW_ESCAPES,
            format!("`{what}` lends a value for one call and cannot be kept"),
            self.since(start),
            "not an argument of a call",
        )
        .help("use the value itself: assigning copies it, without cost until one of the two is changed")
        .fix(
            format!("remove the `{what}`"),
            vec![(Span { end: value.span.start, ..self.span_of(mark) }, String::new())],
        );
        self.complain(diagnostic);
        value
    }
}
