//! Closures: `|x| x + 1`.

use super::*;

impl<'s> Parser<'s> {
    pub(super) fn closure(&mut self) -> Expr {
        let start = self.start();
        let mut params = Vec::new();
        let mut taken_apart = Vec::new();
        let opener = self.bump();
        if opener.kind == TokenKind::Pipe {
            while !self.at(TokenKind::Pipe) && !self.kind().is_layout() && !self.recovering {
                let (param, pattern) = self.closure_param();
                taken_apart.extend(pattern.map(|pattern| (params.len(), pattern)));
                push(&mut params, param);
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
    pub(super) fn depth_of_format(&self) -> bool {
        self.kind_at(1).is_layout()
    }

    /// A name, or a pattern that takes the value apart.
    pub(super) fn closure_param(&mut self) -> (Param, Option<Pattern>) {
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
    pub(super) fn closure_body(&mut self) -> ClosureBody {
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
}
