//! Expressions that hold blocks: tasks, `if`, `match`, `select` and their arms.

use super::expressions::power;
use super::*;

impl<'s> Parser<'s> {
    pub(super) fn spawn(&mut self) -> Expr {
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
            let diagnostic = Diagnostic::error(codes::NOT_A_CALL, "`spawn` starts a call", call.span, "not a call");
            let after = Span { start: call.span.end, ..call.span };
            self.complain(match &call.kind {
                ExprKind::Name(name) => diagnostic
                    .help(format!("write `spawn {name}()`, with its arguments"))
                    .fix("call it", vec![(after, "()".into())]),
                ExprKind::Closure(_) => diagnostic.help("write `spawn:` and what it does, as a block"),
                _ => diagnostic.help("write `spawn f(x)`, or `spawn:` and a block"),
            });
        }
        Expr { kind: ExprKind::SpawnCall(Box::new(call)), span: self.since(start) }
    }

    pub(super) fn async_expr(&mut self) -> Expr {
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
        let word = self.bump();
        if self.at(TokenKind::Pipe) || self.at(TokenKind::PipePipe) {
            let word = self.span_of(word);
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "a closure is not marked `async`: any function may wait",
                word,
                "`async` is not needed",
            )
            .help("remove the word")
            .fix("remove the word", vec![(self.with_blanks(word), String::new())]);
            self.complain(diagnostic);
            return self.closure();
        }
        let block = self.block("`async`");
        Expr { kind: ExprKind::AsyncBlock(block), span: self.since(start) }
    }

    pub(super) fn if_expr(&mut self) -> Expr {
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

    pub(super) fn match_expr(&mut self) -> Expr {
        let start = self.bump().start;
        let scrutinee = Box::new(self.expr());
        let mut arms = Vec::new();
        self.arms("the matched value", |parser| {
            let arm = parser.match_arm();
            arms.push(arm);
        });
        Expr { kind: ExprKind::Match { scrutinee, arms }, span: self.since(start) }
    }

    pub(super) fn select_expr(&mut self) -> Expr {
        let start = self.bump().start;
        let mut arms = Vec::new();
        self.arms("`select`", |parser| {
            let arm = parser.select_arm();
            arms.push(arm);
        });
        Expr { kind: ExprKind::Select { arms }, span: self.since(start) }
    }

    /// `:` and arms, one a line, or separated by `;` on the line of the `:`.
    pub(super) fn arms(&mut self, what: &str, mut arm: impl FnMut(&mut Self)) {
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

    pub(super) fn match_arm(&mut self) -> Arm {
        let start = self.start();
        let pattern = self.pattern();
        if (self.at(TokenKind::PipePipe) || self.at(TokenKind::Or)) && !self.recovering {
            let span = self.span();
            let diagnostic = Diagnostic::error(
                codes::BAD_PATTERN_SYNTAX,
                "the alternatives of a pattern are joined by `|`",
                span,
                "not `|`",
            )
            .help("write `A | B => …`")
            .fix("write `|`", vec![(span, "|".into())]);
            self.fail(diagnostic);
        }
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

    pub(super) fn select_arm(&mut self) -> SelectArm {
        let start = self.start();
        self.foreign_select_word();
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
                    if self.at(TokenKind::Colon) && self.kind_at(1) == TokenKind::Eq && self.touches(1) {
                        self.walrus();
                    }
                    self.expect(TokenKind::Eq, "and what to wait for");
                    Some(pattern)
                } else {
                    None
                };
                let context = std::mem::replace(&mut self.context, Context { clause: true, ..Context::default() });
                let value = self.expr();
                self.context = context;
                self.select_guard();
                SelectKind::Operation { pattern, value }
            }
        };
        self.arm_arrow();
        let body = self.arm_body();
        SelectArm { kind, body, span: self.since(start) }
    }

    /// Whether a `=` stands on this arm before its arrow, outside of brackets.
    pub(super) fn select_has_pattern(&self) -> bool {
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

    pub(super) fn arm_arrow(&mut self) {
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
    pub(super) fn arm_body(&mut self) -> Expr {
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

    pub(super) fn stmt_as_expr(&self, stmt: Stmt) -> Expr {
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
}
