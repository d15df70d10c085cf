//! What people write who come from Python, Rust, C, Go or JavaScript: understood, and answered with STARK's way.

use super::*;

impl<'s> Parser<'s> {
    /// Reports the word at this token as another language's, with a fix. The word stays.
    pub(super) fn foreign_word(&mut self, message: &str, instead: &str) {
        let span = self.span();
        let fix = if instead.is_empty() { "remove the word".to_string() } else { format!("write `{instead}`") };
        let diagnostic = Diagnostic::error(codes::FOREIGN, message, span, "another language's word")
            .help(fix.clone())
            .fix(fix, vec![(if instead.is_empty() { self.with_blanks(span) } else { span }, instead.to_string())]);
        self.complain(diagnostic);
    }

    /// A word and the blanks after it: what goes when the word does.
    pub(super) fn with_blanks(&self, span: Span) -> Span {
        let after = &self.text[span.end as usize..];
        let n_blanks = after.len() - after.trim_start_matches(' ').len();
        Span { end: span.end + n_blanks as u32, ..span }
    }

    /// Turns the token into another kind, so that reading goes on as if it had been written.
    fn read_as(&mut self, kind: TokenKind) {
        let pos = self.pos;
        self.tokens[pos].kind = kind;
    }

    /// Words that stand where a declaration's keyword belongs.
    pub(super) fn foreign_item_word(&mut self) {
        if !self.at(TokenKind::Ident)
            || !matches!(
                self.kind_at(1),
                TokenKind::Ident
                    | TokenKind::Fn
                    | TokenKind::Struct
                    | TokenKind::Enum
                    | TokenKind::Async
                    | TokenKind::Trait
                    | TokenKind::Const
                    | TokenKind::Let
            )
        {
            return;
        }
        let named = self.kind_at(1) == TokenKind::Ident;
        match self.current_text() {
            word @ ("def" | "func" | "function" | "fun") if named => {
                self.foreign_word(&format!("a function is declared with `fn`, not `{word}`"), "fn");
                self.read_as(TokenKind::Fn);
            }
            "class" if named => {
                self.foreign_word("there are no classes: a `struct` has fields and functions", "struct");
                self.read_as(TokenKind::Struct);
            }
            "interface" | "protocol" if named => {
                self.foreign_word("what a type can do is declared with `trait`", "trait");
                self.read_as(TokenKind::Trait);
            }
            word @ ("data" | "sealed" | "abstract" | "final" | "open" | "case")
                if self.tokens.get(self.pos + 1).is_some_and(|token| self.text_of(*token) == "class") =>
            {
                self.foreign_word(
                    &format!("there are no classes, so none is `{word}`: a `struct` has fields and functions"),
                    "",
                );
                self.bump();
                self.read_as(TokenKind::Struct);
            }
            word @ ("pub" | "public" | "export" | "private" | "static") => {
                let message = format!("`{word}` is not needed: names are public unless they begin with `_`");
                self.foreign_word(&message, "");
                self.bump();
                self.foreign_item_word();
            }
            _ => {}
        }
    }

    /// Statements that begin in another language's way. `None` when the statement should be read as usual.
    pub(super) fn foreign_statement(&mut self) -> Option<StmtKind> {
        if self.at(TokenKind::Mut) {
            let span = self.span();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a variable is declared with `let mut`", span, "`let` is missing")
                    .fix("write `let mut`", vec![(span, "let mut".into())]),
            );
            self.read_as(TokenKind::Let);
            return None;
        }
        if self.at(TokenKind::Async) && matches!(self.kind_at(1), TokenKind::Ident) {
            // `async def f():`
            if let Some(token) = self.tokens.get(self.pos + 1).copied()
                && matches!(self.text_of(token), "def" | "function" | "func")
                && self.kind_at(2) == TokenKind::Ident
            {
                let start = self.bump();
                self.foreign_item_word();
                self.pos -= 1;
                self.prev_end = start.start;
            }
            return None;
        }
        if self.at(TokenKind::Async) && matches!(self.kind_at(1), TokenKind::For | TokenKind::With) {
            self.foreign_word("any loop or `with` may wait, so `async` is not needed before it", "");
            self.bump();
            return None;
        }
        if !self.at(TokenKind::Ident) {
            return None;
        }
        self.foreign_item_word();
        if !self.at(TokenKind::Ident) {
            return None;
        }
        let next = self.kind_at(1);
        let starts_value = !self.touches(1)
            && (matches!(
                next,
                TokenKind::Ident
                    | TokenKind::Text
                    | TokenKind::FormatText
                    | TokenKind::Number
                    | TokenKind::SelfValue
                    | TokenKind::True
                    | TokenKind::False
            ));
        if let Some(kind) = self.foreign_task_statement(starts_value) {
            return Some(kind);
        }
        match self.current_text() {
            word @ ("var" | "auto" | "val") if next == TokenKind::Ident => {
                let (message, instead) = if word == "val" {
                    ("a value is named with `let`", "let")
                } else {
                    ("a variable is declared with `let mut`", "let mut")
                };
                self.foreign_word(message, instead);
                self.read_as(TokenKind::Let);
            }
            "elif" | "elsif" | "elseif" if starts_value || next == TokenKind::Not || next == TokenKind::LParen => {
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    "`elif` is written `else if`, and here no `if` ends just above",
                    self.span(),
                    "another language's word",
                );
                self.fail(diagnostic);
                return Some(StmtKind::Error);
            }
            "raise" if starts_value => {
                self.foreign_word("an error is thrown with `throw`", "throw");
                self.read_as(TokenKind::Throw);
            }
            "except" if starts_value || next == TokenKind::Colon => {
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    "`except` is written `catch`, and here no `try` ends just above",
                    self.span(),
                    "another language's word",
                );
                self.fail(diagnostic);
                return Some(StmtKind::Error);
            }
            "switch" | "when" if starts_value || next == TokenKind::LParen && self.head_of_block() => {
                let word = self.current_text();
                self.foreign_word(&format!("`{word}` is written `match`"), "match");
                self.read_as(TokenKind::Match);
            }
            "use" | "include" | "require" | "using" if next == TokenKind::Ident => {
                self.foreign_word("a module is brought in with `import`", "import");
                self.read_as(TokenKind::Import);
            }
            "loop" if next == TokenKind::Colon || next == TokenKind::LBrace => {
                self.foreign_word("a loop without end is `while true:`", "while true");
                self.bump();
                let span = self.gap();
                let cond = Expr { kind: ExprKind::Literal(Literal::Bool(true)), span };
                let body = self.block("the loop's head");
                return Some(StmtKind::While { cond: Condition::Expr(Box::new(cond)), body });
            }
            "del" if starts_value => {
                let diagnostic =
                    Diagnostic::error(codes::FOREIGN, "there is no `del`", self.span(), "another language's word")
                        .help("take an element out with `.remove(…)`; a variable ends with its block");
                self.fail(diagnostic);
                return Some(StmtKind::Error);
            }
            word @ ("global" | "nonlocal") if next == TokenKind::Ident => {
                let message = format!("there is no `{word}`");
                let diagnostic = Diagnostic::error(codes::FOREIGN, message, self.span(), "another language's word")
                    .help("give a function what it needs and return what it makes, or use a `shared let`");
                self.fail(diagnostic);
                return Some(StmtKind::Error);
            }
            "yield" if starts_value => {
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    "there are no generators",
                    self.span(),
                    "another language's word",
                )
                .help("send the values through a channel, or implement `Iterator`");
                self.fail(diagnostic);
                return Some(StmtKind::Error);
            }
            _ => {}
        }
        None
    }

    /// Whether this line ends with `:` or `{`.
    fn head_of_block(&self) -> bool {
        let line = self.tokens[self.pos..].iter().take(100).take_while(|token| !token.kind.is_layout());
        line.last().is_some_and(|token| matches!(token.kind, TokenKind::Colon | TokenKind::LBrace))
    }

    /// What follows an expression statement in another language's way.
    pub(super) fn foreign_after_expression(&mut self, target: &Expr, first: usize) -> Option<StmtKind> {
        if self.recovering {
            return None;
        }
        let ExprKind::Name(name) = &target.kind else { return self.tuple_without_parens() };
        if !self.at(TokenKind::Colon) || self.pos != first + 1 {
            return self.tuple_without_parens();
        }
        // `x := 1` and `x: Int = 1`
        if self.kind_at(1) == TokenKind::Eq && self.touches(1) {
            let span = target.span.to(self.span_next_token());
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a name is given to a value with `let`", span, "not a declaration")
                    .fix("write `let`", vec![(span, format!("let {name} ="))]),
            );
            self.bump();
            self.bump();
        } else if matches!(self.kind_at(1), TokenKind::Ident | TokenKind::LParen | TokenKind::LBracket) {
            let at = Span { end: target.span.start, ..target.span };
            self.complain(
                Diagnostic::error(
                    codes::FOREIGN,
                    "a name is given to a value with `let`",
                    target.span,
                    "`let` is missing",
                )
                .fix("write `let`", vec![(at, "let ".into())]),
            );
            self.bump();
            let ty = Some(self.ty());
            let value = if self.eat(TokenKind::Eq) { Some(self.expr()) } else { None };
            return Some(self.let_of(name.clone(), target.span, ty, value));
        } else {
            return None;
        }
        let value = Some(self.expr());
        Some(self.let_of(name.clone(), target.span, None, value))
    }

    fn let_of(&self, name: Rc<str>, span: Span, ty: Option<Type>, value: Option<Expr>) -> StmtKind {
        let kind = PatternKind::Name { name: Ident { name, span }, mutable: false };
        StmtKind::Let {
            mutable: true,
            pattern: Box::new(Pattern { kind, span }),
            ty: ty.map(Box::new),
            value,
            else_block: None,
        }
    }

    fn span_next_token(&self) -> Span {
        self.tokens.get(self.pos + 1).map_or(self.span(), |token| self.span_of(*token))
    }

    /// `a, b = b, a`
    fn tuple_without_parens(&mut self) -> Option<StmtKind> {
        let line = self.tokens[self.pos..].iter().take(100).take_while(|token| !token.kind.is_layout());
        if self.inline == 0 && self.at(TokenKind::Comma) && line.clone().any(|token| token.kind == TokenKind::Eq) {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "several names at once are taken from a value in parentheses",
                self.span(),
                "no `,` here",
            )
            .help("write `let (a, b) = …` for new names, or `swap(&mut a, &mut b)` to exchange two");
            self.fail(diagnostic);
            return Some(StmtKind::Error);
        }
        None
    }

    /// `:=`, at the `:`; the `:` is skipped.
    pub(super) fn walrus(&mut self) {
        let span = self.span().to(self.span_next_token());
        self.complain(
            Diagnostic::error(codes::FOREIGN, "a value is given with `=`", span, "not `=`")
                .fix("write `=`", vec![(span, "=".into())]),
        );
        self.bump();
    }

    /// A `;` before the line's end: told once a file, with a fix for all.
    pub(super) fn trailing_semicolon(&mut self) {
        let span = self.span();
        self.bump();
        if std::mem::replace(&mut self.reported_semicolon, true) {
            return;
        }
        let ends: Vec<Span> = self
            .tokens
            .windows(2)
            .filter(|pair| pair[0].kind == TokenKind::Semi && pair[1].kind == TokenKind::Newline)
            .map(|pair| self.span_of(pair[0]))
            .collect();
        let more = match ends.len().saturating_sub(1) {
            0 => String::new(),
            1 => " (and in 1 more line)".to_string(),
            n => format!(" (and in {n} more lines)"),
        };
        let edits = ends.into_iter().map(|span| (span, String::new())).collect();
        self.complain(
            Diagnostic::error(
                codes::FOREIGN,
                format!("a statement ends with its line, without a `;`{more}"),
                span,
                "not needed",
            )
            .help("`;` stands only between two statements on one line")
            .fix("remove the `;` at the ends of lines", edits),
        );
    }

    /// A block in braces: told, and skipped with all that is in it.
    pub(super) fn brace_block(&mut self) {
        let opener = self.token();
        let span = self.span();
        self.tell_of_braces(span);
        let mut depth = 0usize;
        while !self.at(TokenKind::Eof) {
            match self.kind() {
                TokenKind::LBrace => depth += 1,
                TokenKind::RBrace => depth -= 1,
                // The layout has ended the brace: it was never closed.
                TokenKind::Newline if self.kind_at(1) != TokenKind::Indent && depth <= 1 => break,
                _ => {}
            }
            self.bump();
            if depth == 0 {
                return;
            }
        }
        let diagnostic = Diagnostic::error(
            codes::UNCLOSED_BRACKET,
            "this `{` is never closed",
            self.span_of(opener),
            "it begins here",
        );
        self.fail(diagnostic);
    }

    /// Told once a file, with one fix for all blocks whose braces can go.
    fn tell_of_braces(&mut self, span: Span) {
        let message = "a block is opened by `:` and indentation, not by braces";
        let edits = self.without_braces();
        if let Some((at, n_before)) = self.brace_report {
            let plural = if n_before == 1 { "" } else { "s" };
            if let Some(first) = self.diagnostics.get_mut(at) {
                first.message = format!("{message} (and in {n_before} more place{plural})");
                if let (Some(fix), Some(edits)) = (first.fixes.first_mut(), edits) {
                    fix.edits.extend(edits);
                }
            }
            self.brace_report = Some((at, n_before + 1));
            return;
        }
        let mut diagnostic = Diagnostic::error(codes::FOREIGN, message, span, "a brace")
            .help("write `:` and indent the lines of the block");
        if let Some(edits) = edits {
            diagnostic = diagnostic.fix("write `:` for the braces", edits);
        }
        let at = self.diagnostics.len();
        self.complain(diagnostic);
        if self.diagnostics.len() > at {
            self.brace_report = Some((at, 1));
        }
    }

    /// The changes that make a block of a block in braces: for one whose lines are indented and whose `}` stands on a line
    /// of its own or before an `else`, and for one on a single line.
    fn without_braces(&self) -> Option<Vec<(Span, String)>> {
        let opener = self.token();
        let mut depth = 0usize;
        let closer = *self.tokens[self.pos..].iter().find(|token| {
            match token.kind {
                TokenKind::LBrace => depth += 1,
                TokenKind::RBrace => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        if closer.kind != TokenKind::RBrace {
            return None;
        }
        // The `:` may be there already.
        let has_colon = self.pos > 0 && self.tokens[self.pos - 1].kind == TokenKind::Colon;
        let head = Span { start: self.prev_end, ..self.span() };
        let colon = if has_colon { "" } else { ":" };
        let inside = &self.text[opener.end as usize..closer.start as usize];
        if inside.trim().is_empty() {
            return Some(vec![(Span { end: closer.end, ..head }, format!("{colon} pass"))]);
        }
        if !inside.contains('\n') {
            let last = opener.end + inside.trim_end().trim_end_matches(';').len() as u32;
            let tail = Span { start: last, ..self.span_of(closer) };
            return Some(vec![(head, colon.to_string()), (tail, String::new())]);
        }
        let line_start = self.text[..closer.start as usize].rfind('\n')?;
        let indent = |at: usize| self.text[at..].len() - self.text[at..].trim_start_matches(' ').len();
        let head_line = self.text[..opener.start as usize].rfind('\n').map_or(0, |end| end + 1);
        let body_is_deeper = inside
            .match_indices('\n')
            .map(|(at, _)| opener.end as usize + at + 1)
            .filter(|at| *at <= line_start && !self.text[*at..].trim_start_matches(' ').starts_with(['\n', '\r']))
            .all(|at| indent(at) > indent(head_line));
        let first_line = inside.split('\n').next().unwrap_or_default().trim();
        let is_comment = first_line.starts_with("//") || first_line.starts_with('#');
        if !self.begins_line(closer.start) || !body_is_deeper || !(first_line.is_empty() || is_comment) {
            return None;
        }
        let after = &self.text[closer.end as usize..];
        let rest = after.split('\n').next().unwrap_or_default();
        let tail = if rest.trim().is_empty() {
            Span { start: line_start as u32, end: closer.end + rest.trim_end().len() as u32, ..head }
        } else if rest.trim_start().starts_with("else") || rest.trim_start().starts_with("catch") {
            self.with_blanks(self.span_of(closer))
        } else {
            return None;
        };
        Some(vec![(head, colon.to_string()), (tail, String::new())])
    }

    /// Whether the `{` after a block's `:` opens another language's block: a keyword or `}` follows, or nothing on its line.
    pub(super) fn brace_is_block(&self) -> bool {
        let Some(next) = self.tokens.get(self.pos + 1) else { return false };
        let between = &self.text[self.token().end as usize..(next.start as usize).max(self.token().end as usize)];
        matches!(next.kind, TokenKind::Return | TokenKind::Let | TokenKind::Throw)
            || (between.contains('\n') && next.kind != TokenKind::Text && self.kind_at(2) != TokenKind::Colon)
    }

    /// Names of patterns that other languages write differently. `None` when it is an ordinary name.
    pub(super) fn foreign_pattern_name(&mut self) -> Option<PatternKind> {
        match self.current_text() {
            "case"
                if matches!(
                    self.kind_at(1),
                    TokenKind::Number
                        | TokenKind::Text
                        | TokenKind::Ident
                        | TokenKind::True
                        | TokenKind::False
                        | TokenKind::LBracket
                ) =>
            {
                self.foreign_word("an arm begins with its pattern, without `case`", "");
                self.bump();
                None
            }
            "default" if self.kind_at(1) == TokenKind::Colon => {
                self.foreign_word("the arm for all the rest is `_ =>`", "_");
                self.bump();
                Some(PatternKind::Wildcard)
            }
            word @ ("null" | "nil") => {
                self.foreign_word(
                    &format!(
                        "there is no `{word}`: a value that may be missing is an `Option`, and `None` is its empty one"
                    ),
                    "None",
                );
                let name = self.bump_ident();
                Some(PatternKind::Name { name: Ident { name: Rc::from("None"), ..name }, mutable: false })
            }
            word @ ("True" | "False") => {
                let lower = if word == "True" { "true" } else { "false" };
                self.foreign_word(&format!("`{word}` is written `{lower}`"), lower);
                let span = self.span();
                self.bump();
                let literal = Expr { kind: ExprKind::Literal(Literal::Bool(word == "True")), span };
                Some(PatternKind::Literal(Box::new(literal)))
            }
            _ => None,
        }
    }

    /// Names of values that other languages write differently. `None` when it is an ordinary name.
    pub(super) fn foreign_value_name(&mut self) -> Option<ExprKind> {
        let next = self.kind_at(1);
        match self.current_text() {
            word @ ("null" | "nil" | "undefined" | "nullptr") if !matches!(next, TokenKind::Eq | TokenKind::LParen) => {
                self.foreign_word(
                    &format!(
                        "there is no `{word}`: a value that may be missing is an `Option`, and `None` is its empty one"
                    ),
                    "None",
                );
                self.bump();
                Some(ExprKind::Name(Rc::from("None")))
            }
            word @ ("True" | "False") if !matches!(next, TokenKind::ColonColon | TokenKind::LParen) => {
                let lower = if word == "True" { "true" } else { "false" };
                self.foreign_word(&format!("`{word}` is written `{lower}`"), lower);
                self.bump();
                Some(ExprKind::Literal(Literal::Bool(word == "True")))
            }
            "lambda" if matches!(next, TokenKind::Ident | TokenKind::Colon) => Some(self.lambda()),
            "new" if next == TokenKind::Ident && !self.touches(1) => {
                self.foreign_word("a value is made by calling its type, without `new`", "");
                self.bump();
                None
            }
            word @ ("u" | "F" | "R" | "B" | "U" | "fb" | "bf" | "Rb" | "Fr")
                if matches!(next, TokenKind::Text | TokenKind::FormatText) && self.touches(1) =>
            {
                let lower = word.to_lowercase();
                let (message, instead) = match lower.as_str() {
                    "u" => ("texts are Unicode anyway".to_string(), ""),
                    "f" | "r" | "b" => (format!("the letter before a text is small: `{lower}\"…\"`"), lower.as_str()),
                    _ => (format!("`{word}` is no kind of text"), "f"),
                };
                let span = self.span();
                let diagnostic = Diagnostic::error(codes::FOREIGN, message, span, "not a kind of text")
                    .help("kinds of text are `\"…\"`, `f\"…\"` with values, `r\"…\"` without escapes, and `b\"…\"` for bytes")
                    .fix("change the letter", vec![(span, instead.to_string())]);
                self.complain(diagnostic);
                self.bump();
                let expr = self.literal();
                Some(expr.kind)
            }
            _ => None,
        }
    }

    /// `lambda a, b: e`, read as `|a, b| e`.
    fn lambda(&mut self) -> ExprKind {
        let word = self.bump();
        let mut params = Vec::new();
        while self.at(TokenKind::Ident) {
            let name = self.bump_ident();
            let span = name.span;
            params.push(Param { mode: ParamMode::Value, name, ty: None, default: None, span });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        let colon = self.span();
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "a closure is written `|x| …`",
            self.span_of(word),
            "another language's word",
        )
        .help("write `|x| x + 1` for `lambda x: x + 1`");
        if !self.at(TokenKind::Colon) {
            self.fail(diagnostic);
            return ExprKind::Error;
        }
        self.bump();
        let opener = self.with_blanks(self.span_of(word));
        let edits = match params.is_empty() {
            true => vec![(opener.to(colon), "||".to_string())],
            false => vec![(opener, "|".to_string()), (colon, "|".to_string())],
        };
        self.complain(diagnostic.fix("write `|x| …`", edits));
        let body = ClosureBody::Expr(self.expr());
        ExprKind::Closure(Box::new(Closure { params, taken_apart: Vec::new(), ret: None, body }))
    }

    /// `x is None`, `a is not b`: at the word, after `lhs`. Reads the rest and tells what to write.
    pub(super) fn python_is(&mut self, lhs: Expr, start: u32) -> Expr {
        let word = self.bump();
        let negated = self.eat(TokenKind::Not);
        let operator = Span { end: self.prev_end, ..self.span_of(word) };
        let is_none = self.at_word("None") || self.at_word("null") || self.at_word("nil");
        let before = &self.text[lhs.span.start as usize..lhs.span.end as usize];
        if is_none {
            self.bump();
            let method = if negated { "is_some" } else { "is_none" };
            let span = Span { start: lhs.span.end, end: self.prev_end, ..operator };
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "whether a value is there is asked of its `Option`",
                operator,
                "another language's operator",
            )
            .help(format!("write `{before}.{method}()`"))
            .fix(format!("write `.{method}()`"), vec![(span, format!(".{method}()"))]);
            self.complain(diagnostic);
            let name = Ident { name: self.intern(method), span };
            let callee = Expr { kind: ExprKind::Field { base: Box::new(lhs), name }, span: self.since(start) };
            return Expr {
                kind: ExprKind::Call { callee: Box::new(callee), args: Vec::new() },
                span: self.since(start),
            };
        }
        let (op, sign) = if negated { (BinaryOp::Ne, "!=") } else { (BinaryOp::Eq, "==") };
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "values have no identity: two that are equal are the same",
            operator,
            "another language's operator",
        )
        .help(format!("write `{sign}`"))
        .fix(format!("write `{sign}`"), vec![(operator, sign.to_string())]);
        self.complain(diagnostic);
        let rhs = Box::new(self.operand_of_comparison());
        let kind = ExprKind::Binary { op, op_span: operator, lhs: Box::new(lhs), rhs };
        Expr { kind, span: self.since(start) }
    }

    /// `Point { x: 1 }`, at the brace: what to write instead, when it has only fields.
    fn struct_in_braces(&self, expr: Option<&ExprKind>) -> Option<Diagnostic> {
        let Some(ExprKind::Name(name)) = expr else { return None };
        if !name.starts_with(char::is_uppercase) {
            return None;
        }
        /// Longer ones are not looked through.
        const MAX_LOOK: usize = 400;
        let opener = self.span();
        let mut edits = vec![(Span { start: self.prev_end, ..opener }, "(".to_string())];
        let mut depth = 0usize;
        let mut base = None;
        for n in 0..MAX_LOOK {
            let token = self.tokens.get(self.pos + n)?;
            match token.kind {
                // `..p`
                TokenKind::DotDot => base = self.tokens.get(self.pos + n + 1).map(|token| self.text_of(*token)),
                kind if kind.opens() => depth += 1,
                kind if kind.closes() => {
                    depth -= 1;
                    if depth == 0 {
                        // The blank before the brace goes with it.
                        let before = self.tokens[self.pos + n - 1].end;
                        let is_close = self.text[before as usize..token.start as usize].trim_matches(' ').is_empty();
                        let span = Span { start: if is_close { before } else { token.start }, ..self.span_of(*token) };
                        edits.push((span, ")".to_string()));
                        break;
                    }
                }
                TokenKind::Colon if depth == 1 => edits.push((self.span_of(*token), " =".to_string())),
                kind if kind.is_layout() => return None,
                _ => {}
            }
        }
        let has_base = base.is_some();
        let first = self.with_blanks(opener);
        edits[0].0.end = first.end;
        let diagnostic = Diagnostic::error(
            codes::FOREIGN,
            "a struct is made by a call, not in braces",
            opener,
            "another language's brace",
        )
        .help(match base {
            Some(base) => format!("write `{base}.with(x = 1)` for a copy with some fields changed"),
            None => format!("write `{name}(x = 1)`, or the fields in order: `{name}(1)`"),
        });
        Some(if has_base { diagnostic } else { diagnostic.fix("write it as a call", edits) })
    }

    /// Something stands where the statement should have ended.
    pub(super) fn unexpected_after(&mut self, stmt: Option<&Stmt>) {
        let found = self.found();
        if self.kind().closes() {
            let message = format!("`{}` closes nothing", self.current_text());
            let diagnostic = Diagnostic::error(codes::STRAY_BRACKET, message, self.span(), "no bracket is open");
            return self.fail(diagnostic);
        }
        let mut diagnostic = Diagnostic::error(
            codes::EXPECTED_LINE_END,
            format!("expected the end of the line, found {found}"),
            self.span(),
            "the statement should end before this",
        );
        let expr = match stmt.map(|stmt| &stmt.kind) {
            Some(StmtKind::Expr(expr) | StmtKind::Let { value: Some(expr), .. } | StmtKind::Return(Some(expr))) => {
                Some(&expr.kind)
            }
            Some(StmtKind::Assign { value, .. }) => Some(&value.kind),
            _ => None,
        };
        if self.at(TokenKind::LBrace)
            && let Some(diagnostic) = self.struct_in_braces(expr)
        {
            return self.fail(diagnostic);
        }
        let help = match (expr, self.kind()) {
            (
                Some(ExprKind::Name(name)),
                TokenKind::Ident | TokenKind::Text | TokenKind::FormatText | TokenKind::Number,
            ) => {
                if matches!(&**name, "print" | "println" | "echo" | "puts") {
                    Some("a call needs parentheses: `print(…)`".to_string())
                } else {
                    Some(format!("a call needs parentheses: `{name}(…)`"))
                }
            }
            (
                Some(ExprKind::Literal(Literal::Str(_)) | ExprKind::FString(_)),
                TokenKind::Text | TokenKind::FormatText,
            ) => Some("join texts with `+`".to_string()),
            (Some(ExprKind::Try(_)), _) if !self.kind().is_layout() => {
                Some("a choice between two values is `if c: x else: y`".to_string())
            }
            (_, TokenKind::Comma) => Some("a tuple is written in parentheses: `(a, b)`".to_string()),
            (_, TokenKind::FatArrow) => {
                Some("a closure is written `|x| …`; `=>` belongs in the arms of `match`".to_string())
            }
            (_, TokenKind::LBrace) => Some(
                "a block is opened by `:` and indentation; a struct is made by a call: `Point(x = 1.0)`".to_string(),
            ),
            (Some(ExprKind::Name(name)), TokenKind::Bang) if &**name == "vec" => {
                Some("a list is written `[1, 2, 3]`".to_string())
            }
            (_, TokenKind::Bang) => Some("there are no macros and no `!` operator; `not x` negates".to_string()),
            (_, TokenKind::Colon) => Some("a `:` opens a block after `if`, `for`, `fn` and their like".to_string()),
            _ => None,
        };
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.fail(diagnostic);
    }
}
