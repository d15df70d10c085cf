//! Expressions: Pratt for operators, one function for each primary form.

use super::*;

/// How tightly operators bind; a larger number binds tighter. Right operands of left-associative ones are read one higher.
mod power {
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

/// How far `name<` is looked through for the `>(` or `>::` that makes it type arguments.
const MAX_TYPE_ARGS_LOOK: usize = 200;

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
    fn python_conditional(&mut self, start: u32, value: Expr) -> Expr {
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

    fn error_expr(&self, start: u32) -> Expr {
        Expr { kind: ExprKind::Error, span: self.since(start) }
    }

    /// An expression whose operators bind at least as tightly as `min`.
    fn expr_bp(&mut self, min: u8) -> Expr {
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
    fn value_follows(&self) -> bool {
        self.begins_expression(1) && self.kind_at(1) != TokenKind::LParen
    }

    /// The right side of a comparison.
    pub(super) fn operand_of_comparison(&mut self) -> Expr {
        self.expr_bp(power::COMPARE + 1)
    }

    fn after_block(&self) -> bool {
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
    fn as_names(&self) -> bool {
        (self.kind_at(1) == TokenKind::Ident || self.kind_at(1).is_keyword())
            && matches!(self.kind_at(2), TokenKind::Colon | TokenKind::Comma | TokenKind::Newline)
    }

    // --- operators of other languages ----------------------------------------------------------------------------

    /// Reports an operator that another language has. True when it was a postfix one, such as `n++`.
    fn foreign_operator(&mut self, op: BinaryOp, op_span: Span, lhs: &Expr) -> bool {
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

    fn chained_comparison(&mut self, lhs: &Expr, before: Span, op_span: Span, rhs: &Expr) {
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

    fn prefix(&mut self) -> Expr {
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
    fn stray_borrow(&mut self) -> Expr {
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

    fn spawn(&mut self) -> Expr {
        let start = self.start();
        let word = self.bump();
        if self.at(TokenKind::Colon) {
            let block = self.block("`spawn`");
            return Expr { kind: ExprKind::SpawnBlock(block), span: self.since(start) };
        }
        if self.at(TokenKind::Fn) {
            let diagnostic =
                Diagnostic::error(codes::EXPECTED, "`spawn fn` is a statement", self.span_of(word), "not a value here")
                    .help("a task made of a block is `spawn:` and the block");
            self.complain(diagnostic);
            let decl = self.function(false);
            let block = decl.body.unwrap_or_default();
            return Expr { kind: ExprKind::SpawnBlock(block), span: self.since(start) };
        }
        if self.at(TokenKind::LBrace) {
            let block = self.block("`spawn`");
            return Expr { kind: ExprKind::SpawnBlock(block), span: self.since(start) };
        }
        let call = self.expr_bp(power::AWAIT);
        if !matches!(call.kind, ExprKind::Call { .. } | ExprKind::Error) {
            let diagnostic = Diagnostic::error(codes::NOT_A_CALL, "`spawn` starts a call", call.span, "not a call")
                .help("write `spawn f(x)`, or `spawn:` and a block");
            self.complain(diagnostic);
        }
        Expr { kind: ExprKind::SpawnCall(Box::new(call)), span: self.since(start) }
    }

    fn async_expr(&mut self) -> Expr {
        let start = self.start();
        if self.kind_at(1) == TokenKind::Fn {
            let decl = self.function(false);
            if let (Some(first), Some(last)) = (decl.params.first(), decl.params.last()) {
                let span = first.span.to(last.span);
                let diagnostic = Diagnostic::error(
                    codes::EXPECTED,
                    "an `async fn` used as a value has no parameters",
                    span,
                    "nothing gives these a value",
                )
                .help("it starts at once; declare it as a statement to call it later");
                self.complain(diagnostic);
            }
            return Expr { kind: ExprKind::AsyncFn(Box::new(decl)), span: self.since(start) };
        }
        self.bump();
        if self.at(TokenKind::Pipe) || self.at(TokenKind::PipePipe) {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "a closure is not marked `async`: any function may wait",
                self.gap(),
                "`async` is not needed",
            );
            self.complain(diagnostic);
            return self.closure();
        }
        let block = self.block("`async`");
        Expr { kind: ExprKind::AsyncBlock(block), span: self.since(start) }
    }

    fn if_expr(&mut self) -> Expr {
        let start = self.bump().start;
        let mut branches = Vec::new();
        let mut else_block = None;
        let cond = self.condition();
        branches.push((cond, self.block("the condition")));
        loop {
            self.next_line_goes_on(&[TokenKind::Else], &["elif", "elsif", "elseif"]);
            if self.at_word("elif") || self.at_word("elsif") || self.at_word("elseif") {
                self.foreign_word("`elif` is written `else if`", "else if");
                self.bump();
                let cond = self.condition();
                branches.push((cond, self.block("the condition")));
            } else if self.at(TokenKind::Else) {
                self.bump();
                if self.eat(TokenKind::If) {
                    let cond = self.condition();
                    branches.push((cond, self.block("the condition")));
                    continue;
                }
                else_block = Some(self.block("`else`"));
                break;
            } else {
                break;
            }
        }
        Expr { kind: ExprKind::If { branches, else_block }, span: self.since(start) }
    }

    // --- match and select ----------------------------------------------------------------------------------------

    fn match_expr(&mut self) -> Expr {
        let start = self.bump().start;
        let scrutinee = Box::new(self.expr());
        let mut arms = Vec::new();
        self.arms("the matched value", |parser| {
            let arm = parser.match_arm();
            arms.push(arm);
        });
        Expr { kind: ExprKind::Match { scrutinee, arms }, span: self.since(start) }
    }

    fn select_expr(&mut self) -> Expr {
        let start = self.bump().start;
        let mut arms = Vec::new();
        self.arms("`select`", |parser| {
            let arm = parser.select_arm();
            arms.push(arm);
        });
        Expr { kind: ExprKind::Select { arms }, span: self.since(start) }
    }

    /// `:` and arms, one a line, or separated by `;` on the line of the `:`.
    fn arms(&mut self, what: &str, mut arm: impl FnMut(&mut Self)) {
        if !self.open_block(what) || !self.enter() {
            return;
        }
        let context = std::mem::take(&mut self.context);
        if !self.at(TokenKind::Newline) {
            self.inline += 1;
            loop {
                arm(self);
                if self.recovering || !self.at(TokenKind::Semi) || self.kind_at(1) == TokenKind::Newline {
                    break;
                }
                self.bump();
            }
            self.inline -= 1;
        } else if self.kind_at(1) != TokenKind::Indent {
            self.missing_block(what);
        } else {
            self.bump();
            self.bump();
            let inline = std::mem::replace(&mut self.inline, 0);
            while !matches!(self.kind(), TokenKind::Dedent | TokenKind::Eof) {
                let before = self.pos;
                if self.at(TokenKind::Indent) {
                    self.unexpected_indent();
                    self.skip_block();
                    continue;
                }
                if self.eat(TokenKind::Newline) {
                    continue;
                }
                arm(self);
                let ended = self.after_block() || self.at(TokenKind::Dedent) || self.at(TokenKind::Eof);
                if !self.recovering && !ended {
                    match self.kind() {
                        TokenKind::Comma => {
                            let span = self.span();
                            self.bump();
                            let diagnostic = Diagnostic::error(
                                codes::FOREIGN,
                                "arms are separated by lines, not by commas",
                                span,
                                "not needed",
                            )
                            .fix("remove the comma", vec![(span, String::new())]);
                            self.complain(diagnostic);
                        }
                        TokenKind::Semi => self.trailing_semicolon(),
                        _ => {}
                    }
                    if !self.eat(TokenKind::Newline) && !matches!(self.kind(), TokenKind::Dedent | TokenKind::Eof) {
                        self.unexpected_after(None);
                    }
                }
                self.sync();
                if self.pos == before {
                    self.bump();
                }
            }
            self.inline = inline;
            self.eat(TokenKind::Dedent);
        }
        self.context = context;
        self.leave();
    }

    fn match_arm(&mut self) -> Arm {
        let start = self.start();
        let pattern = self.pattern();
        let guard = if self.eat(TokenKind::If) { Some(self.expr()) } else { None };
        if self.at(TokenKind::Comma) && !self.recovering {
            let diagnostic = Diagnostic::error(
                codes::BAD_PATTERN_SYNTAX,
                "a pattern ends before the `,`",
                self.span(),
                "no `,` here",
            )
            .help("alternatives are `A | B`, a tuple stands in parentheses");
            self.fail(diagnostic);
        }
        self.arm_arrow();
        let body = self.arm_body();
        Arm { pattern, guard, body, span: self.since(start) }
    }

    fn select_arm(&mut self) -> SelectArm {
        let start = self.start();
        let kind = match self.kind() {
            TokenKind::Else => {
                self.bump();
                SelectKind::Else
            }
            TokenKind::Ident if self.current_text() == "_" && matches!(self.kind_at(1), TokenKind::FatArrow) => {
                self.foreign_word("the arm for when nothing is ready is `else =>`", "else");
                self.bump();
                SelectKind::Else
            }
            TokenKind::Ident if self.current_text() == "after" && self.begins_expression(1) && !self.touches(1) => {
                self.bump();
                SelectKind::After(self.expr())
            }
            _ => {
                let pattern = if self.select_has_pattern() {
                    let pattern = self.pattern();
                    self.expect(TokenKind::Eq, "and what to wait for");
                    Some(pattern)
                } else {
                    None
                };
                SelectKind::Operation { pattern, value: self.expr() }
            }
        };
        self.arm_arrow();
        let body = self.arm_body();
        SelectArm { kind, body, span: self.since(start) }
    }

    /// Whether a `=` stands on this arm before its arrow, outside of brackets.
    fn select_has_pattern(&self) -> bool {
        let mut depth = 0usize;
        for token in self.tokens[self.pos..].iter().take(100) {
            match token.kind {
                kind if kind.opens() => depth += 1,
                kind if kind.closes() => depth = depth.saturating_sub(1),
                TokenKind::Eq if depth == 0 => return true,
                TokenKind::FatArrow | TokenKind::Newline | TokenKind::Eof if depth == 0 => return false,
                _ => {}
            }
        }
        false
    }

    fn arm_arrow(&mut self) {
        if self.eat(TokenKind::FatArrow) || self.recovering {
            return;
        }
        let span = self.span();
        if matches!(self.kind(), TokenKind::Colon | TokenKind::Arrow) {
            self.bump();
            let diagnostic = Diagnostic::error(codes::ARM_ARROW, "an arm is `pattern => …`", span, "not `=>`")
                .fix("write `=>`", vec![(span, " =>".to_string())]);
            self.complain(diagnostic);
            return;
        }
        let diagnostic = self.expected(codes::ARM_ARROW, "`=>` and what the arm gives");
        self.fail(diagnostic);
    }

    /// An expression, a simple statement, or an indented block.
    fn arm_body(&mut self) -> Expr {
        let start = self.start();
        if self.recovering {
            return self.error_expr(start);
        }
        if self.at(TokenKind::Newline) {
            let block = self.block_after_colon("`=>`");
            return Expr { span: block.span, kind: ExprKind::Block(block) };
        }
        self.inline += 1;
        let stmt = self.statement();
        self.inline -= 1;
        self.stmt_as_expr(stmt)
    }

    fn stmt_as_expr(&self, stmt: Stmt) -> Expr {
        let span = stmt.span;
        let kind = match stmt.kind {
            StmtKind::Expr(expr) => return expr,
            StmtKind::Return(_) | StmtKind::Throw(_) | StmtKind::Break | StmtKind::Continue => {
                ExprKind::Diverge(Box::new(stmt))
            }
            StmtKind::Error => ExprKind::Error,
            _ => ExprKind::Block(Block { stmts: vec![stmt], span }),
        };
        Expr { kind, span }
    }

    // --- closures ------------------------------------------------------------------------------------------------

    fn closure(&mut self) -> Expr {
        let start = self.start();
        let mut params = Vec::new();
        let mut taken_apart = Vec::new();
        let opener = self.bump();
        if opener.kind == TokenKind::Pipe {
            while !self.at(TokenKind::Pipe) && !self.kind().is_layout() && !self.recovering {
                let (param, pattern) = self.closure_param();
                taken_apart.extend(pattern.map(|pattern| (params.len(), pattern)));
                params.push(param);
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
            if !self.eat(TokenKind::Pipe) {
                let diagnostic = self
                    .expected(codes::EXPECTED, "`,` or `|`")
                    .because(self.span_of(opener), "the closure's parameters begin here");
                self.fail(diagnostic);
                return self.error_expr(start);
            }
        }
        let ret = if self.eat(TokenKind::Arrow) { Some(self.ty()) } else { None };
        if self.at(TokenKind::FatArrow) {
            let span = self.span();
            self.bump();
            let diagnostic = Diagnostic::error(codes::FOREIGN, "a closure is written `|x| …`", span, "not needed")
                .fix("remove `=>`", vec![(span, String::new())]);
            self.complain(diagnostic);
        }
        let is_block = self.at(TokenKind::Colon) && !(self.context.format && self.depth_of_format());
        let body = if ret.is_some() || is_block || self.at(TokenKind::LBrace) && self.brace_is_block() {
            ClosureBody::Block(self.block("the closure's head"))
        } else {
            self.closure_body()
        };
        Expr { kind: ExprKind::Closure(Box::new(Closure { params, taken_apart, ret, body })), span: self.since(start) }
    }

    /// In a format text a `:` after a closure's head can only be the format of an unfinished value.
    fn depth_of_format(&self) -> bool {
        self.kind_at(1).is_layout()
    }

    /// A name, or a pattern that takes the value apart.
    fn closure_param(&mut self) -> (Param, Option<Pattern>) {
        let start = self.start();
        let mut mode = self.param_mode();
        let is_pattern = matches!(self.kind(), TokenKind::LParen | TokenKind::LBracket)
            || self.at(TokenKind::Ident) && self.kind_at(1) == TokenKind::LParen;
        if self.at(TokenKind::Mut) {
            self.foreign_word("a closure's parameter is not marked `mut`", "");
            self.bump();
        }
        let (name, pattern) = if is_pattern {
            // Not `pattern`: a `|` ends the parameters here.
            let pattern = self.one_pattern();
            (Ident { name: self.intern("_"), span: pattern.span }, Some(pattern))
        } else {
            (self.ident("a parameter"), None)
        };
        let ty = if self.eat(TokenKind::Colon) {
            let written = self.param_mode();
            if written != ParamMode::Value {
                mode = written;
            }
            Some(self.ty())
        } else {
            None
        };
        (Param { mode, name, ty, default: None, span: self.since(start) }, pattern)
    }

    /// `|x| e`, where `e` may also be `throw e`, `return e` or an assignment.
    fn closure_body(&mut self) -> ClosureBody {
        use TokenKind::*;
        let start = self.start();
        if matches!(self.kind(), Return | Throw | Break | Continue | Assert | Pass) {
            let stmt = self.statement();
            return ClosureBody::Expr(self.stmt_as_expr(stmt));
        }
        let first = self.pos;
        let value = self.expr();
        if self.assign_op().is_none() || self.recovering {
            return ClosureBody::Expr(value);
        }
        let kind = self.assignment_or(value, first);
        let span = self.since(start);
        ClosureBody::Block(Block { stmts: vec![Stmt { kind, span }], span })
    }

    // --- postfix -------------------------------------------------------------------------------------------------

    /// Whether `<` here begins type arguments: it touches the name, and a `>` that `(` or `::` touches closes it.
    fn at_type_args(&self) -> bool {
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
    fn postfix_applies(&self, lhs: &Expr) -> bool {
        if self.context.format && self.at(TokenKind::ColonColon) {
            return matches!(self.kind_at(1), TokenKind::Ident) && path_of(lhs).is_some();
        }
        true
    }

    fn postfix(&mut self, start: u32, lhs: Expr) -> Expr {
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

    fn member_of(&mut self, lhs: Expr) -> ExprKind {
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

    fn scoped(&mut self, lhs: Expr) -> ExprKind {
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
            args.push(self.arg());
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

    fn arg(&mut self) -> Arg {
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

    fn indices(&mut self) -> Vec<Index> {
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
    fn python_slice(&mut self, start: u32, _first: Option<Expr>) {
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

    // --- primaries -----------------------------------------------------------------------------------------------

    fn primary(&mut self) -> Expr {
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
                if kind == Newline {
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
    fn parens(&mut self) -> Expr {
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
    fn not_an_assignment(&mut self) {
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

    fn list(&mut self) -> Expr {
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

    fn no_spread(&mut self) {
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
    fn braces(&mut self) -> Expr {
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
    fn map_value(&mut self) -> Expr {
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
    fn clauses(&mut self) -> Vec<CompClause> {
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
