//! Statements and blocks, and where reading goes on after a mistake.

use super::*;

impl<'s> Parser<'s> {
    // --- blocks --------------------------------------------------------------------------------------------------

    /// `:` and a block. `what` is what the block belongs to.
    pub(super) fn block(&mut self, what: &str) -> Block {
        let start = self.start();
        if !self.open_block(what) {
            return Block { stmts: Vec::new(), span: self.since(start) };
        }
        self.block_after_colon(what)
    }

    /// The `:` that opens a block. Tells of a missing one and says whether a block can be read.
    pub(super) fn open_block(&mut self, what: &str) -> bool {
        if self.eat(TokenKind::Colon) {
            return true;
        }
        if self.recovering {
            // The header was not understood; its block may still be.
            return self.skip_to_colon();
        }
        if self.at(TokenKind::LBrace) {
            self.brace_block();
            return false;
        }
        let gap = self.gap();
        let complaint =
            Diagnostic::error(codes::MISSING_COLON, format!("expected `:` after {what}"), gap, "`:` is missing here")
                .fix("add the `:`", vec![(gap, ":".into())]);
        let word = matches!(self.kind(), TokenKind::Ident) && matches!(self.current_text(), "then" | "do");
        if self.at(TokenKind::Newline) || self.begins_expression(0) || self.begins_statement() {
            if self.at(TokenKind::Newline) && self.kind_at(1) != TokenKind::Indent {
                self.fail(complaint.help("and a block, indented deeper, on the lines below"));
                return false;
            }
            if word {
                self.bump();
            }
            self.complain(complaint);
            return true;
        }
        if self.at(TokenKind::FatArrow) || self.at(TokenKind::Semi) {
            self.complain(complaint);
            self.bump();
            return true;
        }
        let found = self.found();
        let span = if self.kind().is_layout() { gap } else { self.span() };
        let message = format!("expected `:` after {what}, found {found}");
        self.fail(Diagnostic::error(codes::MISSING_COLON, message, span, "expected `:`"));
        self.skip_to_colon()
    }

    /// After a header with a mistake: its `:` at the line's end, if there is one.
    fn skip_to_colon(&mut self) -> bool {
        while !self.kind().is_layout() {
            if self.at(TokenKind::Colon)
                && self.kind_at(1) == TokenKind::Newline
                && self.kind_at(2) == TokenKind::Indent
            {
                self.bump();
                return true;
            }
            self.bump();
        }
        if self.at(TokenKind::Newline) && self.kind_at(1) == TokenKind::Indent {
            return true;
        }
        false
    }

    pub(super) fn block_after_colon(&mut self, what: &str) -> Block {
        let start = self.start();
        let mut stmts = Vec::new();
        if !self.enter() {
            self.leave();
            return Block { stmts, span: self.since(start) };
        }
        let context = std::mem::take(&mut self.context);
        if self.at(TokenKind::Newline) {
            if self.kind_at(1) == TokenKind::Indent {
                self.bump();
                self.bump();
                let start = self.start();
                let inline = std::mem::replace(&mut self.inline, 0);
                self.recovering = self.aborted;
                self.statements(&mut stmts);
                self.inline = inline;
                self.eat(TokenKind::Dedent);
                self.context = context;
                self.leave();
                return Block { stmts, span: self.since(start) };
            }
            self.missing_block(what);
        } else if self.at(TokenKind::LBrace) && self.brace_is_block() {
            self.brace_block();
        } else if self.kind().is_layout() {
            self.missing_block(what);
        } else {
            self.inline += 1;
            loop {
                push(&mut stmts, self.statement());
                if self.recovering || !self.at(TokenKind::Semi) {
                    break;
                }
                if matches!(self.kind_at(1), TokenKind::Newline | TokenKind::Eof) {
                    self.trailing_semicolon();
                    break;
                }
                self.bump();
            }
            self.inline -= 1;
        }
        self.context = context;
        self.leave();
        Block { stmts, span: self.since(start) }
    }

    pub(super) fn missing_block(&mut self, what: &str) {
        let diagnostic = Diagnostic::error(
            codes::MISSING_BLOCK,
            format!("expected a block after {what}"),
            self.gap(),
            "nothing follows",
        )
        .help("indent the lines of the block deeper, or write `pass` for an empty one");
        self.complain(diagnostic);
    }

    /// Statements up to the `Dedent` or the end.
    fn statements(&mut self, out: &mut Vec<Stmt>) {
        while !matches!(self.kind(), TokenKind::Dedent | TokenKind::Eof) {
            let before = self.pos;
            self.statement_line(out);
            if self.pos == before {
                self.bump();
            }
        }
    }

    /// A line of statements with its end.
    pub(super) fn statement_line(&mut self, out: &mut Vec<Stmt>) {
        match self.kind() {
            TokenKind::Newline => {
                self.bump();
                return;
            }
            TokenKind::Indent => {
                self.unexpected_indent();
                self.bump();
                if self.enter() {
                    self.statements(out);
                }
                self.leave();
                self.eat(TokenKind::Dedent);
                return;
            }
            _ => {}
        }
        loop {
            push(out, self.statement());
            if self.recovering {
                break;
            }
            match self.kind() {
                TokenKind::Newline => {
                    self.bump();
                    break;
                }
                TokenKind::Eof | TokenKind::Dedent => break,
                TokenKind::Semi => {
                    if matches!(self.kind_at(1), TokenKind::Newline | TokenKind::Eof) {
                        self.trailing_semicolon();
                    } else {
                        self.bump();
                    }
                }
                _ if self.pos > 0 && self.tokens[self.pos - 1].kind == TokenKind::Dedent => break,
                _ => {
                    self.unexpected_after(out.last());
                    break;
                }
            }
            if self.kind().is_layout() {
                self.eat(TokenKind::Newline);
                break;
            }
        }
        self.sync();
    }

    pub(super) fn unexpected_indent(&mut self) {
        let diagnostic = Diagnostic::error(
            codes::INDENTATION,
            "this line is indented, but no block was opened",
            self.span_next(),
            "too far right",
        )
        .help("a line ending in `:` opens a block; an expression goes on to the next line only inside brackets");
        self.complain(diagnostic);
    }

    fn span_next(&self) -> Span {
        self.tokens.get(self.pos + 1).map_or(self.gap(), |token| self.span_of(*token))
    }

    /// After `fail`: goes to the end of the statement. Blocks on the way are read, so that their mistakes are told too.
    pub(super) fn sync(&mut self) {
        if !self.recovering {
            return;
        }
        loop {
            match self.kind() {
                TokenKind::Eof | TokenKind::Dedent => break,
                TokenKind::Newline => {
                    self.bump();
                    if !self.at(TokenKind::Indent) {
                        break;
                    }
                    self.skip_block();
                    // A bracket around the block may go on after it.
                    let goes_on = self.kind().closes() || matches!(self.kind(), TokenKind::Comma | TokenKind::Dot);
                    if !goes_on {
                        break;
                    }
                    self.recovering = true;
                }
                TokenKind::Indent => self.skip_block(),
                _ => {
                    self.bump();
                }
            }
        }
        self.recovering = self.aborted;
    }

    /// Reads a block that belongs to nothing, for its mistakes.
    pub(super) fn skip_block(&mut self) {
        self.eat(TokenKind::Indent);
        self.recovering = self.aborted;
        let mut lost = Vec::new();
        if self.enter() {
            self.statements(&mut lost);
        }
        self.leave();
        self.eat(TokenKind::Dedent);
    }

    // --- statements ----------------------------------------------------------------------------------------------

    pub(super) fn begins_statement(&self) -> bool {
        use TokenKind::*;
        matches!(
            self.kind(),
            Let | While | For | Break | Continue | Return | Throw | Assert | Try | With | Scope | Pass | Import | Const
        )
    }

    pub(super) fn statement(&mut self) -> Stmt {
        let start = self.start();
        let kind = if self.enter() { self.statement_kind() } else { StmtKind::Error };
        self.leave();
        Stmt { kind, span: self.since(start) }
    }

    fn statement_kind(&mut self) -> StmtKind {
        use TokenKind::*;
        if let Some(kind) = self.foreign_statement() {
            return kind;
        }
        if self.at_item() {
            return StmtKind::Item(Box::new(self.item()));
        }
        match self.kind() {
            Let => self.let_statement(),
            Pass => {
                self.bump();
                StmtKind::Pass
            }
            Break => {
                self.bump();
                StmtKind::Break
            }
            Continue => {
                self.bump();
                StmtKind::Continue
            }
            Return => {
                self.bump();
                let value = if self.begins_expression(0) { Some(self.expr()) } else { None };
                StmtKind::Return(value)
            }
            Throw => {
                self.bump();
                let error = self.expr();
                if self.at(From) && !self.recovering {
                    let diagnostic = Diagnostic::error(
                        codes::FOREIGN,
                        "an error has no cause of its own",
                        self.span(),
                        "another language's word",
                    )
                    .help("put it into the message: `throw ValueError(f\"…: {e.message()}\")`");
                    self.fail(diagnostic);
                }
                StmtKind::Throw(error)
            }
            Assert => {
                self.bump();
                let cond = self.expr();
                let message = if self.eat(Comma) { Some(self.expr()) } else { None };
                StmtKind::Assert { cond, message: message.map(Box::new) }
            }
            While => {
                self.bump();
                let cond = self.condition();
                let body = self.block("the condition");
                self.foreign_else("loop", "what is done after it stands on the lines below; `break` leaves it early");
                StmtKind::While { cond, body }
            }
            For => self.for_statement(),
            Try => self.try_statement(),
            With => self.with_statement(),
            Scope => {
                self.bump();
                let name = self.scope_name();
                StmtKind::Scope { name, body: self.block("the task group") }
            }
            Spawn if self.kind_at(1) == Fn => StmtKind::SpawnFn(Box::new(self.function(false))),
            Else | Catch | Finally => {
                let word = self.current_text();
                let needs = if word == "else" { "if" } else { "try" };
                let message = format!("`{word}` without an `{needs}`").replace("an `try`", "a `try`");
                let diagnostic =
                    Diagnostic::error(codes::EXPECTED, message, self.span(), format!("no `{needs}` ends just above"))
                        .help(format!("it stands in the column of its `{needs}`"));
                self.fail(diagnostic);
                StmtKind::Error
            }
            RParen | RBracket | RBrace => {
                let message = format!("`{}` closes nothing", self.current_text());
                let diagnostic = Diagnostic::error(codes::STRAY_BRACKET, message, self.span(), "no bracket is open");
                self.fail(diagnostic);
                StmtKind::Error
            }
            _ => self.expression_statement(),
        }
    }

    fn expression_statement(&mut self) -> StmtKind {
        let first = self.pos;
        let target = self.expr();
        self.assignment_or(target, first)
    }

    /// What follows an expression that may be the target of an assignment. `first` is the expression's first token.
    pub(super) fn assignment_or(&mut self, target: Expr, first: usize) -> StmtKind {
        if let Some((op, n_tokens)) = self.assign_op() {
            self.check_place(&target);
            for _ in 0..n_tokens {
                self.bump();
            }
            let value = self.expr();
            if self.at(TokenKind::Eq) && !self.recovering {
                let diagnostic =
                    Diagnostic::error(codes::BAD_ASSIGNMENT, "assignments do not chain", self.span(), "a second `=`")
                        .help("assign in two statements");
                self.fail(diagnostic);
            }
            return StmtKind::Assign { target: Box::new(target), op, value };
        }
        if let Some(kind) = self.foreign_after_expression(&target, first) {
            return kind;
        }
        StmtKind::Expr(target)
    }

    /// The operator of an assignment here, and how many tokens it has.
    pub(super) fn assign_op(&self) -> Option<(Option<BinaryOp>, usize)> {
        use TokenKind::*;
        let op = match self.kind() {
            Eq => return Some((None, 1)),
            PlusEq => BinaryOp::Add,
            MinusEq => BinaryOp::Sub,
            StarEq => BinaryOp::Mul,
            SlashEq => BinaryOp::Div,
            PercentEq => BinaryOp::Rem,
            StarStarEq => BinaryOp::Pow,
            AtEq => BinaryOp::MatMul,
            AmpEq => BinaryOp::BitAnd,
            PipeEq => BinaryOp::BitOr,
            CaretEq => BinaryOp::BitXor,
            ShlEq => BinaryOp::Shl,
            Gt if self.kind_at(1) == Gt && self.kind_at(2) == Eq && self.touches(1) && self.touches(2) => {
                return Some((Some(BinaryOp::Shr), 3));
            }
            _ => return None,
        };
        Some((Some(op), 1))
    }

    fn check_place(&mut self, target: &Expr) {
        let help = match &target.kind {
            ExprKind::Name(_)
            | ExprKind::SelfValue
            | ExprKind::Field { .. }
            | ExprKind::TupleField { .. }
            | ExprKind::Index { .. }
            | ExprKind::Call { .. }
            | ExprKind::Scoped { .. }
            | ExprKind::Error => return,
            ExprKind::Tuple(_) | ExprKind::List(_) => "`let (a, b) = …` takes a value apart into new names",
            ExprKind::Binary { .. } => "to compare, write `==`",
            _ => "assign to a variable, a field or an element",
        };
        let diagnostic =
            Diagnostic::error(codes::BAD_ASSIGNMENT, "this cannot be assigned to", target.span, "not a place")
                .help(help);
        self.complain(diagnostic);
    }

    fn let_statement(&mut self) -> StmtKind {
        self.bump();
        let mutable = self.eat(TokenKind::Mut);
        let pattern = if self.kind() == TokenKind::Eq {
            self.fail_here(codes::EXPECTED, "a name or a pattern");
            Pattern { kind: PatternKind::Error, span: self.gap() }
        } else {
            self.pattern()
        };
        if self.at(TokenKind::Colon) && self.kind_at(1) == TokenKind::Eq && self.touches(1) {
            self.walrus();
        }
        let ty = if self.eat(TokenKind::Colon) { Some(self.ty()) } else { None };
        if self.at(TokenKind::EqEq) {
            let span = self.span();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "`==` compares, `=` gives the value", span, "not `=`")
                    .fix("write `=`", vec![(span, "=".into())]),
            );
            self.bump();
            let value = Some(self.expr());
            return StmtKind::Let {
                mutable,
                pattern: Box::new(pattern),
                ty: ty.map(Box::new),
                value,
                else_block: None,
            };
        }
        if self.at(TokenKind::Comma) && !self.recovering {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "several names are taken out of a value in parentheses",
                self.span(),
                "no `,` here",
            )
            .help("write `let (a, b) = …`");
            self.fail(diagnostic);
        }
        let value = if self.eat(TokenKind::Eq) { Some(self.expr()) } else { None };
        if self.at(TokenKind::Comma) && value.is_some() && !self.recovering {
            let diagnostic =
                Diagnostic::error(codes::FOREIGN, "a tuple is written in parentheses", self.span(), "no `,` here")
                    .help("write `(a, b)`");
            self.fail(diagnostic);
        }
        let mut else_block = None;
        if self.at(TokenKind::Else) && value.is_some() {
            self.bump();
            else_block = Some(Box::new(self.block("`else`")));
        }
        StmtKind::Let { mutable, pattern: Box::new(pattern), ty: ty.map(Box::new), value, else_block }
    }

    /// `if`'s and `while`'s test.
    pub(super) fn condition(&mut self) -> Condition {
        if self.at(TokenKind::Let) {
            self.bump();
            let pattern = Box::new(self.pattern());
            self.expect(TokenKind::Eq, "and the value to match");
            let value = Box::new(self.expr());
            if let ExprKind::Binary { op: BinaryOp::And, op_span, .. } = value.kind
                && !matches!(pattern.kind, PatternKind::Name { .. } | PatternKind::Wildcard | PatternKind::Literal(_))
            {
                let diagnostic = Diagnostic::error(
                    codes::EXPECTED,
                    "`if let` and `while let` take one pattern and one value",
                    op_span,
                    "no further condition fits here",
                )
                .help("put the condition into an `if` of its own inside, or into the guard of a `match` arm");
                self.fail(diagnostic);
            }
            return Condition::Let { pattern, value };
        }
        let start = self.start();
        let mut cond = self.expr();
        if self.at(TokenKind::Eq) && !self.recovering {
            let span = self.span();
            self.complain(
                Diagnostic::error(
                    codes::ASSIGN_IN_CONDITION,
                    "`=` assigns; a condition compares with `==`",
                    span,
                    "not `==`",
                )
                .fix("write `==`", vec![(span, "==".into())]),
            );
            self.bump();
            let rhs = Box::new(self.expr());
            let kind = ExprKind::Binary { op: BinaryOp::Eq, op_span: span, lhs: Box::new(cond), rhs };
            cond = Expr { kind, span: self.since(start) };
        }
        Condition::Expr(Box::new(cond))
    }

    fn for_statement(&mut self) -> StmtKind {
        self.bump();
        let opener = self.token();
        let pattern = self.pattern();
        let pattern = self.names_of_for(pattern);
        // `for (let i = 0; …`
        if self.recovering && opener.kind == TokenKind::LParen && self.pos > 0 {
            let has_semicolon = self.tokens[self.pos..].iter().take(20).any(|token| token.kind == TokenKind::Semi);
            if has_semicolon
                && let Some(last) = self.diagnostics.last_mut()
                && last.primary.span.start >= opener.start
            {
                last.help = Some("a loop goes over the elements of a value: `for i in 0..n:`".into());
            }
        }
        if !self.eat(TokenKind::In) {
            let mut diagnostic = self.expected(codes::EXPECTED, "`in` and what to loop over");
            if self.at(TokenKind::Eq) || self.at_word("of") || self.at(TokenKind::Colon) {
                diagnostic = diagnostic.help("a loop goes over the elements of a value: `for i in 0..n:`");
            }
            let of = self.at_word("of");
            self.fail(diagnostic);
            if of {
                self.bump();
            }
        }
        let iterable = self.expr();
        let body = self.block("the loop's head");
        self.foreign_else("loop", "what is done after it stands on the lines below; `break` leaves it early");
        StmtKind::For { pattern: Box::new(pattern), iterable: Box::new(iterable), body }
    }

    fn try_statement(&mut self) -> StmtKind {
        let word = self.bump();
        let body = self.block("`try`");
        let mut catches = Vec::new();
        let mut finally = None;
        loop {
            self.next_line_goes_on(&[TokenKind::Catch, TokenKind::Finally], &["except"]);
            if self.at_word("except") && self.kind_at(1) != TokenKind::Eq {
                catches.push(self.except());
                self.foreign_else("`try`", "what is done when nothing fails stands at the end of the `try` block");
            } else if self.at(TokenKind::Catch) {
                catches.push(self.catch());
                self.foreign_else("`try`", "what is done when nothing fails stands at the end of the `try` block");
            } else if self.at(TokenKind::Finally) {
                self.bump();
                finally = Some(Box::new(self.block("`finally`")));
                break;
            } else {
                break;
            }
        }
        if catches.is_empty() && finally.is_none() && !self.recovering {
            let diagnostic = Diagnostic::error(
                codes::EXPECTED,
                "`try` without a `catch` or `finally`",
                self.span_of(word),
                "nothing handles its errors",
            )
            .help("add `catch e:` and a block");
            self.complain(diagnostic);
        }
        StmtKind::Try { body, catches, finally }
    }

    /// Python's `except`, with its `as` told in the same breath.
    fn except(&mut self) -> Catch {
        let word = self.span();
        let n_types = self.types_until_as(1);
        let binding = n_types.and_then(|n| self.tokens.get(self.pos + n + 2)).copied();
        let Some((n_types, binding)) = n_types.zip(binding.filter(|token| token.kind == TokenKind::Ident)) else {
            self.foreign_word("`except` is written `catch`", "catch");
            return self.catch();
        };
        let first = self.tokens[self.pos + 1];
        let last = self.tokens[self.pos + n_types];
        let types = self.text[first.start as usize..last.end as usize].replace(',', " |").replace(['(', ')'], "");
        let name = self.text_of(binding);
        let span = word.to(self.span_of(binding));
        let written = format!("catch {name}: {types}");
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "`except … as` is written `catch`, with the name before the type",
            span,
            "another language's words",
        )
        .help(format!("write `{written}:`"))
        .fix(format!("write `{written}`"), vec![(span, written)]);
        self.complain(diagnostic);
        // What `catch` would say about its parts has been said.
        let n_before = self.diagnostics.len();
        let catch = self.catch();
        let is_about_head = |d: &Diagnostic| d.primary.span.start < span.end;
        let told: Vec<Diagnostic> = self.diagnostics.drain(n_before..).filter(|d| !is_about_head(d)).collect();
        self.diagnostics.extend(told);
        catch
    }

    /// How many tokens from `from` on are types and commas, when `as` follows them.
    fn types_until_as(&self, from: usize) -> Option<usize> {
        use TokenKind::*;
        let is_type = |n: &usize| matches!(self.kind_at(*n), Ident | Dot | Comma | LParen | RParen);
        let n = (from..from + 50).take_while(is_type).count();
        (n > 0 && self.kind_at(from + n) == As).then_some(n)
    }

    /// `catch` (at the word) with what it takes.
    fn catch(&mut self) -> Catch {
        let start = self.bump().start;
        let (mut name, mut types) = (None, Vec::new());
        let in_parens = self.at(TokenKind::LParen) && self.types_until_colon(0).is_some();
        if in_parens {
            let opener = self.bump();
            let span = self.span_of(opener);
            self.complain(
                Diagnostic::error(
                    codes::FOREIGN,
                    "the errors of a `catch` stand without parentheses",
                    span,
                    "not needed",
                )
                .help("write `catch e: A | B:`"),
            );
        }
        if self.at(TokenKind::Ident) {
            let typed_after_name = self.kind_at(1) == TokenKind::Colon && self.types_until_colon(2).is_some();
            let first = self.current_text().chars().next();
            let is_binding =
                typed_after_name || (self.kind_at(1) == TokenKind::Colon && !first.is_some_and(char::is_uppercase));
            if is_binding {
                name = Some(self.bump_ident());
                if typed_after_name {
                    self.bump();
                    types = self.catch_types();
                }
            } else {
                let first = self.span();
                types = self.catch_types();
                // `catch ValueError as e:` and `catch ValueError e:`
                let end = Span { end: self.prev_end, ..first };
                if self.at(TokenKind::As) || (self.at(TokenKind::Ident) && !self.recovering) {
                    let mut span = self.span();
                    if self.eat(TokenKind::As) {
                        span = span.to(self.span());
                    }
                    let binding = self.ident("a name for the error");
                    let types = self.text[end.start as usize..end.end as usize].replace(',', " |");
                    let written = format!("{}: {types}", binding.name);
                    let diagnostic = Diagnostic::error(
                        codes::FOREIGN,
                        "the name of a caught error stands before its type",
                        span,
                        "the wrong way round",
                    )
                    .help(format!("write `catch {written}:`"))
                    .fix(format!("write `catch {written}:`"), vec![(end.to(span), written)]);
                    self.complain(diagnostic);
                    name = Some(binding);
                }
            }
        }
        if in_parens {
            self.eat(TokenKind::RParen);
        }
        let body = self.block("`catch`");
        Catch { name, types, body, span: self.since(start) }
    }

    fn catch_types(&mut self) -> Vec<Type> {
        let mut types = vec![self.ty()];
        while self.eat(TokenKind::Pipe) || self.eat(TokenKind::Comma) {
            types.push(self.ty());
        }
        types
    }

    fn with_statement(&mut self) -> StmtKind {
        self.bump();
        let mut items = Vec::new();
        loop {
            let context = std::mem::replace(&mut self.context, Context { with_head: true, ..Context::default() });
            let value = self.expr();
            self.context = context;
            let name = if self.eat(TokenKind::As) {
                if self.at(TokenKind::Mut) {
                    self.foreign_word("what a zone's `write()` gives may change anyway", "");
                    self.bump();
                }
                Some(self.ident("a name for the value"))
            } else {
                None
            };
            items.push(WithItem { value, name });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        StmtKind::With { items, body: self.block("the head of `with`") }
    }

    /// Goes over a line's end when the next line begins with one of `kinds` or `words` and belongs to this statement.
    pub(super) fn next_line_goes_on(&mut self, kinds: &[TokenKind], words: &[&str]) {
        if !self.at(TokenKind::Newline) || self.inline > 0 || self.recovering {
            return;
        }
        let Some(next) = self.tokens.get(self.pos + 1).copied() else { return };
        if kinds.contains(&next.kind) || (next.kind == TokenKind::Ident && words.contains(&self.text_of(next))) {
            self.bump();
        }
    }
}
