//! Types: paths with arguments and dimensions, tuples, functions, borrows.

use super::*;

impl<'s> Parser<'s> {
    pub(super) fn ty(&mut self) -> Type {
        let start = self.start();
        if !self.enter() {
            self.leave();
            return Type { kind: TypeKind::Error, span: self.since(start) };
        }
        let kind = self.type_kind(true);
        let mut ty = Type { kind, span: self.since(start) };
        if self.at(TokenKind::Question) && self.touches(0) {
            let mark = self.bump();
            let inner = &self.text[start as usize..mark.start as usize];
            let written = format!("Option<{inner}>");
            let span = self.since(start);
            let diagnostic =
                Diagnostic::error(codes::FOREIGN, "a value that may be missing is an `Option`", span, "not a type")
                    .help(format!("write `{written}`"))
                    .fix(format!("write `{written}`"), vec![(span, written)]);
            self.complain(diagnostic);
            let option = Ident { name: self.intern("Option"), span };
            let path = Path { segments: vec![option], span };
            ty = Type { kind: TypeKind::Path { path, args: vec![ty], dims: None }, span };
        }
        self.leave();
        ty
    }

    /// After `as`: a `[` that follows a plain name indexes the value.
    pub(super) fn cast_type(&mut self) -> Type {
        let start = self.start();
        let kind = if self.enter() { self.type_kind(false) } else { TypeKind::Error };
        self.leave();
        Type { kind, span: self.since(start) }
    }

    fn type_kind(&mut self, dims_after_name: bool) -> TypeKind {
        match self.kind() {
            TokenKind::Ident if self.current_text() == "_" => {
                self.bump();
                TypeKind::Infer
            }
            TokenKind::Ident => {
                if matches!(self.current_text(), "dyn" | "impl") && self.kind_at(1) == TokenKind::Ident {
                    let diagnostic = Diagnostic::error(
                        codes::FOREIGN,
                        "a trait's name alone is the type of any value that implements it",
                        self.span(),
                        "not needed",
                    )
                    .fix("remove the word", vec![(self.with_blanks(self.span()), String::new())]);
                    self.complain(diagnostic);
                    self.bump();
                }
                let path = self.type_path();
                let args = if self.at(TokenKind::Lt) { self.type_args() } else { Vec::new() };
                let takes_dims = self.at(TokenKind::LBracket) && (dims_after_name || !args.is_empty());
                let dims = if takes_dims { Some(self.dims()) } else { None };
                TypeKind::Path { path, args, dims }
            }
            TokenKind::LParen => {
                let opener = self.bump();
                let mut parts = Vec::new();
                let mut comma = false;
                while !self.closes_or_ends(TokenKind::RParen) {
                    parts.push(self.ty());
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
                        TypeKind::Tuple(parts)
                    }
                    None => TypeKind::Tuple(parts),
                }
            }
            TokenKind::LBracket => {
                let opener = self.bump();
                let inner = self.ty();
                self.expect_close(TokenKind::RBracket, opener);
                let span = self.since(opener.start);
                let text = &self.text[inner.span.start as usize..inner.span.end as usize];
                let written = format!("Vec<{text}>");
                let diagnostic = Diagnostic::error(codes::FOREIGN, "the type of a list is `Vec`", span, "not a type")
                    .help(format!("write `{written}`"))
                    .fix(format!("write `{written}`"), vec![(span, written)]);
                self.complain(diagnostic);
                let vec = Ident { name: self.intern("Vec"), span };
                TypeKind::Path { path: Path { segments: vec![vec], span }, args: vec![inner], dims: None }
            }
            TokenKind::Fn => {
                self.bump();
                let opener = self.token();
                if !self.expect(TokenKind::LParen, "after `fn`: a function's type is `fn(A) -> B`") {
                    return TypeKind::Error;
                }
                let mut params = Vec::new();
                while !self.closes_or_ends(TokenKind::RParen) {
                    // `fn(name: A)` as well: the name says nothing to the type.
                    if self.at(TokenKind::Ident) && self.kind_at(1) == TokenKind::Colon {
                        self.bump();
                        self.bump();
                    }
                    let mode = self.param_mode();
                    params.push((mode, self.ty()));
                    if !self.eat(TokenKind::Comma) {
                        break;
                    }
                }
                self.expect_close(TokenKind::RParen, opener);
                let ret = if self.eat(TokenKind::Arrow) { Some(Box::new(self.ty())) } else { None };
                TypeKind::Fn { params, ret }
            }
            TokenKind::Amp => {
                self.bump();
                let mutable = self.eat(TokenKind::Mut);
                TypeKind::Ref { mutable, inner: Box::new(self.ty()) }
            }
            TokenKind::Star => {
                self.fail_here(codes::EXPECTED, "a type (there are no pointers: values are owned, `&T` lends one)");
                TypeKind::Error
            }
            kind if kind.is_keyword() => {
                let _ = self.ident("a type");
                TypeKind::Error
            }
            _ => {
                self.fail_here(codes::EXPECTED, "a type");
                TypeKind::Error
            }
        }
    }

    /// `&`, `&mut` or nothing.
    pub(super) fn param_mode(&mut self) -> ParamMode {
        if !self.eat(TokenKind::Amp) {
            ParamMode::Value
        } else if self.eat(TokenKind::Mut) {
            ParamMode::RefMut
        } else {
            ParamMode::Ref
        }
    }

    /// `a.b.C` or `a::C`.
    pub(super) fn type_path(&mut self) -> Path {
        let start = self.start();
        let mut segments = vec![self.ident("a type")];
        while matches!(self.kind(), TokenKind::Dot | TokenKind::ColonColon)
            && (self.kind_at(1) == TokenKind::Ident || self.kind_at(1).is_keyword())
        {
            self.bump();
            segments.push(self.member_ident("."));
        }
        Path { segments, span: self.since(start) }
    }

    /// `<A, B>`.
    pub(super) fn type_args(&mut self) -> Vec<Type> {
        let opener = self.bump();
        let mut args = Vec::new();
        while !self.at(TokenKind::Gt) && !self.kind().is_layout() && !self.recovering {
            push(&mut args, self.ty());
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if !self.eat(TokenKind::Gt) {
            let wanted = "`,` or `>`";
            let diagnostic =
                self.expected(codes::EXPECTED, wanted).because(self.span_of(opener), "type arguments begin here");
            self.fail(diagnostic);
        }
        args
    }

    /// `[32, batch, n * m, _]`.
    fn dims(&mut self) -> Vec<DimExpr> {
        let opener = self.bump();
        let mut dims = Vec::new();
        while !self.closes_or_ends(TokenKind::RBracket) {
            dims.push(self.dim_sum());
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::RBracket, opener);
        dims
    }

    fn dim_sum(&mut self) -> DimExpr {
        let mut sum = self.dim_product();
        let mut n = 0;
        while self.at(TokenKind::Plus) && self.dim_room(&mut n) {
            self.bump();
            sum = DimExpr::Add(Box::new(sum), Box::new(self.dim_product()));
        }
        sum
    }

    fn dim_product(&mut self) -> DimExpr {
        let mut product = self.dim_atom();
        let mut n = 0;
        while self.at(TokenKind::Star) && self.dim_room(&mut n) {
            self.bump();
            product = DimExpr::Mul(Box::new(product), Box::new(self.dim_atom()));
        }
        product
    }

    /// Counts an operation of a dimension; false, and the parse ended, when there are too many.
    fn dim_room(&mut self, n: &mut u32) -> bool {
        *n += 1;
        if *n > MAX_NESTING {
            self.abort(format!("a dimension of more than {MAX_NESTING} parts"), "give the dimension a name");
        }
        !self.aborted
    }

    fn dim_atom(&mut self) -> DimExpr {
        let span = self.span();
        match self.kind() {
            TokenKind::Number => {
                let text = self.current_text().replace('_', "");
                self.bump();
                match text.parse() {
                    Ok(n) => DimExpr::Number(n, span),
                    Err(_) => {
                        let message = format!("`{text}` is not a dimension");
                        self.complain(
                            Diagnostic::error(codes::BAD_NUMBER, message, span, "not a whole number")
                                .help("a dimension is a whole number, a name, or `_`"),
                        );
                        DimExpr::Unknown(span)
                    }
                }
            }
            TokenKind::Ident if self.current_text() == "_" => {
                self.bump();
                DimExpr::Unknown(span)
            }
            TokenKind::Ident => DimExpr::Name(self.bump_ident()),
            TokenKind::LParen => {
                let opener = self.bump();
                let inner = if self.enter() { self.dim_sum() } else { DimExpr::Unknown(span) };
                self.leave();
                self.expect_close(TokenKind::RParen, opener);
                inner
            }
            TokenKind::Question => {
                self.bump();
                self.complain(
                    Diagnostic::error(codes::FOREIGN, "a dimension that is not known is `_`", span, "not a dimension")
                        .fix("write `_`", vec![(span, "_".into())]),
                );
                DimExpr::Unknown(span)
            }
            _ => {
                self.fail_here(codes::EXPECTED, "a dimension: a number, a name, or `_`");
                DimExpr::Unknown(span)
            }
        }
    }

    /// Whether a list in brackets is over: at its closing bracket, or where it cannot go on.
    pub(super) fn closes_or_ends(&self, close: TokenKind) -> bool {
        self.at(close) || self.kind().is_layout() || self.kind().closes() || self.recovering
    }
}
