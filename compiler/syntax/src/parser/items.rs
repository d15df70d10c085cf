//! Declarations: functions, structs, enums, traits, impls, actors, aliases, constants, zones, imports.

use super::*;

/// Whose body is being read: what may stand there differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Struct,
    Actor,
    Enum,
    Trait,
    Impl,
}

impl Owner {
    fn describe(self) -> &'static str {
        match self {
            Owner::Struct => "a struct holds fields and functions",
            Owner::Actor => "an actor holds fields and functions",
            Owner::Enum => "an enum holds variants and functions",
            Owner::Trait => "a trait holds functions",
            Owner::Impl => "an impl holds functions",
        }
    }
}

#[derive(Default)]
struct Body {
    fields: Vec<FieldDef>,
    variants: Vec<VariantDef>,
    methods: Vec<Method>,
}

impl<'s> Parser<'s> {
    pub(super) fn module(&mut self) -> Module {
        let doc = self.file_doc();
        let mut items = Vec::new();
        let mut stmts = Vec::new();
        while !self.at(TokenKind::Eof) {
            let before = self.pos;
            self.statement_line(&mut stmts);
            if self.at(TokenKind::Dedent) {
                self.bump();
            }
            if self.pos == before {
                self.bump();
            }
            for stmt in stmts.drain(..) {
                items.push(match stmt.kind {
                    StmtKind::Item(item) => *item,
                    _ => Item { span: stmt.span, kind: ItemKind::Stmt(stmt), attributes: Vec::new(), doc: None },
                });
            }
        }
        Module { items, doc }
    }

    /// Whether a declaration begins here.
    pub(super) fn at_item(&self) -> bool {
        use TokenKind::*;
        match self.kind() {
            At | Fn | Struct | Enum | Trait | Impl | Actor | Const | Import => true,
            Type => self.kind_at(1) == Ident || self.kind_at(1).is_keyword(),
            Shared => true,
            From => !matches!(self.kind_at(1), Eq | Dot | LParen),
            Async => self.kind_at(1) == Fn,
            // Without parameters it starts at once and is a statement.
            Spawn => self.kind_at(1) == Fn && !(self.kind_at(3) == LParen && self.kind_at(4) == RParen),
            _ => false,
        }
    }

    pub(super) fn item(&mut self) -> Item {
        let start = self.start();
        let doc = self.doc_before(start);
        let attributes = self.attributes();
        let kind = self.item_kind(&attributes);
        Item { kind, attributes, doc, span: self.since(start) }
    }

    fn attributes(&mut self) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        while self.at(TokenKind::At) {
            let start = self.bump().start;
            let mut name = self.ident("the name of an attribute");
            // `@ray.remote`
            while self.at(TokenKind::Dot) && self.kind_at(1) == TokenKind::Ident && !self.recovering {
                self.bump();
                let part = self.bump_ident();
                let whole = format!("{}.{}", name.name, part.name);
                name = Ident { name: Rc::from(whole), span: name.span.to(part.span) };
            }
            let args = if self.at(TokenKind::LParen) { self.call_args() } else { Vec::new() };
            attributes.push(Attribute { name, args, span: self.since(start) });
            self.eat(TokenKind::Newline);
            if self.recovering {
                break;
            }
        }
        attributes
    }

    fn item_kind(&mut self, attributes: &[Attribute]) -> ItemKind {
        self.foreign_item_word();
        match self.kind() {
            TokenKind::Fn | TokenKind::Async | TokenKind::Spawn => {
                let native = attributes.iter().any(|attribute| &*attribute.name.name == "native");
                ItemKind::Fn(self.function(native))
            }
            TokenKind::Struct => {
                self.bump();
                let name = self.ident("a name for the struct");
                let mut generics = self.generics();
                self.where_clause(&mut generics);
                self.parents_of_struct();
                let Body { fields, methods, .. } = self.body(Owner::Struct, "struct");
                ItemKind::Struct(Struct { name, generics, fields, methods })
            }
            TokenKind::Actor => {
                self.bump();
                let name = self.ident("a name for the actor");
                let mut generics = self.generics();
                self.where_clause(&mut generics);
                let Body { fields, methods, .. } = self.body(Owner::Actor, "actor");
                ItemKind::Actor(Actor { name, generics, fields, methods })
            }
            TokenKind::Enum => {
                self.bump();
                let name = self.ident("a name for the enum");
                let mut generics = self.generics();
                self.where_clause(&mut generics);
                let Body { variants, methods, .. } = self.body(Owner::Enum, "enum");
                ItemKind::Enum(Enum { name, generics, variants, methods })
            }
            TokenKind::Trait => {
                self.bump();
                let name = self.ident("a name for the trait");
                let mut generics = self.generics();
                // `trait A: B + C:` names the traits it builds on; `trait A:` opens the body.
                let mut supertraits = Vec::new();
                if self.at(TokenKind::Colon) && self.kind_at(1) == TokenKind::Ident {
                    self.bump();
                    supertraits = self.bounds();
                }
                self.where_clause(&mut generics);
                let Body { methods, .. } = self.body(Owner::Trait, "trait");
                ItemKind::Trait(Trait { name, generics, supertraits, methods })
            }
            TokenKind::Impl => {
                self.bump();
                let mut generics = self.generics();
                let first = self.ty();
                let (trait_, target) = if self.eat(TokenKind::For) { (Some(first), self.ty()) } else { (None, first) };
                self.where_clause(&mut generics);
                let Body { methods, .. } = self.body(Owner::Impl, "impl");
                ItemKind::Impl(Impl { generics, trait_, target, methods })
            }
            TokenKind::Type => {
                self.bump();
                let name = self.ident("a name for the type");
                let generics = self.generics();
                if matches!(self.kind(), TokenKind::Struct | TokenKind::Enum | TokenKind::Trait)
                    || self.at_word("interface")
                {
                    let word = if self.at_word("interface") { "trait" } else { self.current_text() };
                    let diagnostic = Diagnostic::error(
                        codes::FOREIGN,
                        format!("a {word} is declared as `{word} {}:`", name.name),
                        self.span(),
                        "another language's order",
                    )
                    .help(format!("write `{word} {}:` and its members on lines below, as in `x: Int`", name.name));
                    self.fail(diagnostic);
                }
                self.expect(TokenKind::Eq, "and the type it stands for");
                ItemKind::TypeAlias { name, generics, ty: self.ty() }
            }
            TokenKind::Const => {
                self.bump();
                let name = self.ident("a name for the constant");
                let ty = if self.eat(TokenKind::Colon) { Some(self.ty()) } else { None };
                self.expect(TokenKind::Eq, "and the constant's value");
                ItemKind::Const { name, ty, value: self.expr() }
            }
            TokenKind::Shared => {
                self.bump();
                self.expect(TokenKind::Let, "after `shared`");
                if self.at(TokenKind::Mut) {
                    let span = self.span();
                    self.complain(
                        Diagnostic::error(codes::FOREIGN, "a shared zone needs no `mut`", span, "not needed")
                            .help("a zone is changed under its `write()` guard"),
                    );
                    self.bump();
                }
                let name = self.ident("a name for the zone");
                self.expect(TokenKind::Colon, "and the zone's type");
                let ty = self.ty();
                let value = if self.eat(TokenKind::Eq) { Some(self.expr()) } else { None };
                ItemKind::SharedLet { name, ty, value }
            }
            TokenKind::Import | TokenKind::From => ItemKind::Import(self.import()),
            _ => {
                self.fail_here(codes::EXPECTED, "a declaration after the attribute");
                ItemKind::Stmt(Stmt { kind: StmtKind::Error, span: self.gap() })
            }
        }
    }

    fn import(&mut self) -> Import {
        if self.bump().kind == TokenKind::Import {
            let path = self.module_path();
            let alias = if self.eat(TokenKind::As) { Some(self.ident("a name for the module")) } else { None };
            return Import::Module { path, alias };
        }
        let path = self.module_path();
        self.expect(TokenKind::Import, "and the names to take from the module");
        let opener = self.token();
        let in_parens = self.eat(TokenKind::LParen);
        let mut names = Vec::new();
        if self.at(TokenKind::Star) {
            let span = self.span();
            self.bump();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "`import *` does not exist", span, "names are listed")
                    .help("name what you use, or `import` the module and write `module.name`"),
            );
            return Import::Names { path, names };
        }
        while !self.recovering && !self.closes_or_ends(TokenKind::RParen) {
            let name = self.ident("a name to import");
            let alias = if self.eat(TokenKind::As) { Some(self.ident("another name for it")) } else { None };
            names.push((name, alias));
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if in_parens {
            self.expect_close(TokenKind::RParen, opener);
        }
        if names.is_empty() && !self.recovering {
            self.fail_here(codes::EXPECTED, "a name to import");
        }
        Import::Names { path, names }
    }

    fn module_path(&mut self) -> Path {
        let start = self.start();
        if self.at(TokenKind::Text) {
            let span = self.span();
            self.bump();
            self.complain(
                Diagnostic::error(
                    codes::FOREIGN,
                    "a module is named, not given as a text",
                    span,
                    "not a module's name",
                )
                .help("`import a.b` reads `a/b.stark` beside the program"),
            );
            return Path { segments: vec![Ident { name: self.intern(""), span }], span };
        }
        let mut segments = vec![self.ident("a module's name")];
        while self.at(TokenKind::Dot) || self.at(TokenKind::ColonColon) || self.at(TokenKind::Slash) {
            let sign = self.bump();
            if sign.kind != TokenKind::Dot {
                let span = self.span_of(sign);
                self.complain(
                    Diagnostic::error(
                        codes::FOREIGN,
                        "the parts of a module's name are joined by `.`",
                        span,
                        "not `.`",
                    )
                    .fix("write `.`", vec![(span, ".".into())]),
                );
            }
            segments.push(self.member_ident("."));
        }
        Path { segments, span: self.since(start) }
    }

    // --- functions -----------------------------------------------------------------------------------------------

    /// From `fn`, `async fn` or `spawn fn`. `bodiless` functions may end with their signature.
    pub(super) fn function(&mut self, bodiless: bool) -> Fn {
        let kind = match self.kind() {
            TokenKind::Async => FnKind::Async,
            TokenKind::Spawn => FnKind::Spawn,
            _ => FnKind::Plain,
        };
        if kind != FnKind::Plain {
            self.bump();
        }
        self.foreign_item_word();
        self.expect(TokenKind::Fn, "");
        let name = self.function_name();
        let mut generics = self.generics();
        let params = if self.at(TokenKind::LParen) {
            self.params()
        } else {
            self.fail_here(codes::EXPECTED, "`(` and the parameters");
            Vec::new()
        };
        let ret = self.return_type();
        self.where_clause(&mut generics);
        let no_body = matches!(self.kind(), TokenKind::Newline | TokenKind::Eof | TokenKind::Dedent)
            && self.kind_at(1) != TokenKind::Indent;
        let body = if bodiless && no_body { None } else { Some(self.block("the function")) };
        Fn { kind, name, generics, params, ret, body }
    }

    fn function_name(&mut self) -> Ident {
        // `fn where(` and the like: functions are called through `.` too, so a keyword with parameters is a clear wish.
        if self.at(TokenKind::LParen) {
            self.complain(
                Diagnostic::error(
                    codes::EXPECTED,
                    "expected a name for the function, found `(`",
                    self.span(),
                    "expected a name",
                )
                .help("a function without a name is a closure: `|x| x + 1`"),
            );
            return self.missing_ident();
        }
        self.ident("a name for the function")
    }

    /// `-> T`, or what other languages write for it.
    fn return_type(&mut self) -> Option<Type> {
        match self.kind() {
            TokenKind::Arrow => {
                self.bump();
                Some(self.ty())
            }
            TokenKind::FatArrow => {
                let span = self.span();
                self.bump();
                self.complain(
                    Diagnostic::error(codes::FOREIGN, "a return type is written after `->`", span, "not `->`")
                        .fix("write `->`", vec![(span, "->".into())]),
                );
                Some(self.ty())
            }
            // `fn f(): Int:`
            TokenKind::Colon if self.types_until_colon(1).is_some() => {
                let span = self.span();
                self.bump();
                self.complain(
                    Diagnostic::error(codes::FOREIGN, "a return type is written after `->`", span, "not `:`")
                        .fix("write `->`", vec![(span, " ->".into())]),
                );
                Some(self.ty())
            }
            // `func f() int {`
            TokenKind::Ident if self.kind_at(1) == TokenKind::LBrace || self.kind_at(1) == TokenKind::Colon => {
                let gap = self.gap();
                self.complain(
                    Diagnostic::error(
                        codes::FOREIGN,
                        "a return type is written after `->`",
                        self.span(),
                        "no `->` before it",
                    )
                    .help("write `->` before it")
                    .fix("write `->`", vec![(gap, " ->".into())]),
                );
                Some(self.ty())
            }
            _ => None,
        }
    }

    /// How many tokens from `from` on look like types joined by `|`, when a `:` follows them.
    pub(super) fn types_until_colon(&self, from: usize) -> Option<usize> {
        /// Longer types than this are not looked through.
        const MAX_LOOK: usize = 200;
        let (mut n, mut depth) = (from, 0usize);
        let mut last_was_name = false;
        while n < from + MAX_LOOK {
            use TokenKind::*;
            match self.kind_at(n) {
                Colon if depth == 0 => return (n > from).then_some(n - from),
                Ident if last_was_name => return None,
                Ident | Dot | ColonColon | Pipe | Arrow | Fn => {}
                Lt | LBracket => depth += 1,
                Gt | RBracket if depth > 0 => depth -= 1,
                LParen if n == from || depth > 0 || self.kind_at(n - 1) == Fn || self.kind_at(n - 1) == Arrow => {
                    depth += 1
                }
                RParen if depth > 0 => depth -= 1,
                Comma | Number | Star | Plus | Amp | Mut if depth > 0 => {}
                _ => return None,
            }
            last_was_name = self.kind_at(n) == Ident;
            n += 1;
        }
        None
    }

    fn params(&mut self) -> Vec<Param> {
        let opener = self.bump();
        let mut params = Vec::new();
        while !self.closes_or_ends(TokenKind::RParen) {
            push(&mut params, self.param());
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::RParen, opener);
        params
    }

    fn param(&mut self) -> Param {
        let start = self.start();
        let mode = self.param_mode();
        if self.at(TokenKind::SelfValue) {
            let name = self.bump_ident();
            let ty = if self.eat(TokenKind::Colon) { Some(self.ty()) } else { None };
            return Param { mode, name, ty, default: None, span: self.since(start) };
        }
        if self.at(TokenKind::Mut) {
            let span = self.span();
            self.bump();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a parameter is not marked `mut`", span, "not needed here")
                    .help("write `name: &mut T` to change the caller's value, or `let mut` in the body for a copy")
                    .fix("remove `mut`", vec![(self.with_blanks(span), String::new())]),
            );
        }
        if self.at(TokenKind::Star) || self.at(TokenKind::StarStar) || self.at(TokenKind::Ellipsis) {
            let span = self.span();
            self.bump();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a function has a fixed number of parameters", span, "not known")
                    .help("take a `Vec<T>`"),
            );
        }
        let name = self.ident("a parameter");
        let mut mode = mode;
        let ty = if self.eat(TokenKind::Colon) {
            // `x: &mut T`; `&x: T` was read above.
            let written = self.param_mode();
            if written != ParamMode::Value {
                mode = written;
            }
            let ty = self.ty();
            if self.at(TokenKind::Arrow) && !self.recovering {
                let start = ty.span.start as usize;
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    "a function's type begins with `fn`",
                    self.span(),
                    "no `fn` before it",
                )
                .help(format!("write `fn({}) -> …`", &self.text[start..ty.span.end as usize]));
                self.fail(diagnostic);
            }
            Some(ty)
        } else {
            if self.at(TokenKind::Ident) && !self.recovering {
                // `int n` of C, `n int` of Go.
                let (first, second) = (&*name.name, self.current_text());
                let is_type = |word: &str| {
                    word.starts_with(char::is_uppercase)
                        || matches!(
                            word,
                            "int" | "string" | "float64" | "float32" | "bool" | "error" | "byte" | "int64" | "int32"
                        )
                };
                let (ty, named) = if is_type(second) && !is_type(first) { (second, first) } else { (first, second) };
                let span = name.span.to(self.span());
                let written = format!("{named}: {ty}");
                let diagnostic = Diagnostic::error(
                    codes::FOREIGN,
                    if named == first {
                        "a parameter's type stands behind a `:`"
                    } else {
                        "a parameter's type stands after its name"
                    },
                    span,
                    if named == first { "no `:` here" } else { "the wrong way round" },
                )
                .help(format!("write `{written}`"))
                .fix(format!("write `{written}`"), vec![(span, written)]);
                self.complain(diagnostic);
                self.bump();
            }
            None
        };
        let default = if self.eat(TokenKind::Eq) { Some(self.expr()) } else { None };
        Param { mode, name, ty, default: default.map(Box::new), span: self.since(start) }
    }

    // --- generics ------------------------------------------------------------------------------------------------

    fn generics(&mut self) -> Generics {
        let mut generics = Generics::default();
        if !self.at(TokenKind::Lt) {
            return generics;
        }
        let opener = self.bump();
        while !self.at(TokenKind::Gt) && !self.kind().is_layout() && !self.recovering {
            let name = self.ident("a type parameter");
            let bounds = if self.eat(TokenKind::Colon) { self.bounds() } else { Vec::new() };
            generics.params.push(GenericParam { name, bounds });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        if !self.eat(TokenKind::Gt) {
            let diagnostic = self
                .expected(codes::EXPECTED, "`,` or `>`")
                .because(self.span_of(opener), "type parameters begin here");
            self.fail(diagnostic);
        }
        generics
    }

    fn bounds(&mut self) -> Vec<Type> {
        let mut bounds = vec![self.ty()];
        while self.eat(TokenKind::Plus) {
            bounds.push(self.ty());
        }
        bounds
    }

    /// `where T: Show + Ord, U: Eq`, merged into the parameters.
    fn where_clause(&mut self, generics: &mut Generics) {
        if !self.eat(TokenKind::Where) {
            return;
        }
        loop {
            let name = self.ident("a type parameter");
            self.expect(TokenKind::Colon, "and the traits it needs");
            let bounds = self.bounds();
            match generics.params.iter_mut().find(|param| param.name.name == name.name) {
                Some(param) => param.bounds.extend(bounds),
                None if self.recovering => {}
                None => {
                    let message = format!("`{}` is not a type parameter here", name.name);
                    let diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, message, name.span, "not a type parameter")
                        .help(format!("declare it: `<{}>`", name.name));
                    self.complain(diagnostic);
                }
            }
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
    }

    // --- bodies --------------------------------------------------------------------------------------------------

    fn body(&mut self, owner: Owner, what: &str) -> Body {
        let mut body = Body::default();
        // `struct Unit` without a body is one without fields.
        if matches!(self.kind(), TokenKind::Newline | TokenKind::Eof) && self.kind_at(1) != TokenKind::Indent {
            let message = format!("the {what} has no body");
            let diagnostic = Diagnostic::error(codes::MISSING_BLOCK, message, self.gap(), "`:` and a body belong here")
                .help("write `: pass` for an empty one");
            self.complain(diagnostic);
            return body;
        }
        if !self.open_block(what) {
            return body;
        }
        if !self.at(TokenKind::Newline) {
            loop {
                self.member(owner, &mut body);
                if owner == Owner::Enum && self.at(TokenKind::Comma) && !self.recovering {
                    self.commas_of_enum();
                }
                if self.recovering || !(self.eat(TokenKind::Semi) || self.eat(TokenKind::Comma)) {
                    break;
                }
            }
            return body;
        }
        self.bump();
        if !self.eat(TokenKind::Indent) {
            self.missing_block(what);
            return body;
        }
        while !matches!(self.kind(), TokenKind::Dedent | TokenKind::Eof) {
            let before = self.pos;
            if self.eat(TokenKind::Newline) {
                continue;
            }
            self.member(owner, &mut body);
            let ended_with_block = self.pos > 0 && self.tokens[self.pos - 1].kind == TokenKind::Dedent;
            if !self.recovering && !ended_with_block && !matches!(self.kind(), TokenKind::Dedent | TokenKind::Eof) {
                if self.at(TokenKind::Comma) && matches!(self.kind_at(1), TokenKind::Newline) {
                    let span = self.span();
                    self.complain(
                        Diagnostic::error(
                            codes::FOREIGN,
                            "members are separated by lines, not by commas",
                            span,
                            "not needed",
                        )
                        .fix("remove the comma", vec![(span, String::new())]),
                    );
                    self.bump();
                }
                if self.at(TokenKind::Semi) {
                    self.trailing_semicolon();
                }
                if !self.eat(TokenKind::Newline) {
                    self.fail_here(codes::EXPECTED_LINE_END, "the end of the line");
                }
            }
            self.sync();
            if self.pos == before {
                self.bump();
            }
        }
        self.eat(TokenKind::Dedent);
        body
    }

    fn member(&mut self, owner: Owner, body: &mut Body) {
        let start = self.start();
        let doc = self.doc_before(start);
        let attributes = self.attributes();
        self.foreign_item_word();
        match self.kind() {
            TokenKind::Pass => {
                self.bump();
            }
            TokenKind::Fn | TokenKind::Async | TokenKind::Spawn => {
                let native = attributes.iter().any(|attribute| &*attribute.name.name == "native");
                let decl = self.function(owner == Owner::Trait || native);
                body.methods.push(Method { attributes, doc, decl, span: self.since(start) });
            }
            TokenKind::Indent => {
                self.unexpected_indent();
                self.skip_block();
            }
            TokenKind::Ident | TokenKind::Mut | TokenKind::Let if matches!(owner, Owner::Struct | Owner::Actor) => {
                if let Some(field) = self.field(owner, start) {
                    body.fields.push(field);
                }
            }
            TokenKind::Ident if owner == Owner::Enum => self.variant(start, body),
            _ => {
                let diagnostic = Diagnostic::error(
                    codes::BAD_ITEM,
                    format!("{} does not belong here", self.found()),
                    self.span(),
                    owner.describe(),
                );
                self.fail(diagnostic);
            }
        }
    }

    fn field(&mut self, owner: Owner, start: u32) -> Option<FieldDef> {
        if self.at(TokenKind::Let) {
            let span = self.span();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a field is declared without `let`", span, "not needed")
                    .fix("remove `let`", vec![(self.with_blanks(span), String::new())]),
            );
            self.bump();
        }
        let mutable = self.at(TokenKind::Mut);
        if mutable {
            let span = self.span();
            self.bump();
            if owner == Owner::Struct {
                self.complain(
                    Diagnostic::error(
                        codes::FOREIGN,
                        "the fields of a struct are not marked `mut`",
                        span,
                        "not needed",
                    )
                    .help("a field can be changed when the variable that holds the struct is `mut`")
                    .fix("remove `mut`", vec![(self.with_blanks(span), String::new())]),
                );
            }
        }
        let name = self.ident("a field");
        if !self.at(TokenKind::Colon) {
            let found = self.found();
            let what = match owner {
                Owner::Struct => "a struct holds fields and functions",
                _ => "an actor holds fields and functions",
            };
            let diagnostic = Diagnostic::error(
                codes::BAD_ITEM,
                format!("expected `:` and the type of the field `{}`, found {found}", name.name),
                if self.kind().is_layout() { self.gap() } else { self.span() },
                what,
            );
            self.fail(diagnostic);
            return None;
        }
        self.bump();
        let ty = self.ty();
        let default = if self.eat(TokenKind::Eq) { Some(self.expr()) } else { None };
        Some(FieldDef { mutable, name, ty, default, span: self.since(start) })
    }

    /// `enum Color: Red, Green`, at a comma: told once a line.
    fn commas_of_enum(&mut self) {
        let mut depth = 0usize;
        let mut edits = Vec::new();
        for token in self.tokens[self.pos..].iter().take_while(|token| !token.kind.is_layout()) {
            match token.kind {
                kind if kind.opens() => depth += 1,
                kind if kind.closes() => depth = depth.saturating_sub(1),
                TokenKind::Comma if depth == 0 => edits.push((self.span_of(*token), ";".to_string())),
                _ => {}
            }
        }
        let line = self.text[..self.start() as usize].rfind('\n').map_or(0, |at| at + 1);
        let is_told =
            self.diagnostics.last().is_some_and(|d| d.code == codes::FOREIGN && d.primary.span.start as usize >= line);
        if !is_told {
            let diagnostic = Diagnostic::error(
                codes::FOREIGN,
                "variants stand on lines of their own, or are separated by `;`",
                self.span(),
                "not a `,`",
            )
            .help("write `;`")
            .fix("write `;`", edits);
            self.complain(diagnostic);
        }
    }

    fn variant(&mut self, start: u32, body: &mut Body) {
        let name = self.ident("a variant");
        let mut fields = Vec::new();
        if self.at(TokenKind::LParen) {
            let opener = self.bump();
            while !self.closes_or_ends(TokenKind::RParen) {
                let named = self.at(TokenKind::Ident) && self.kind_at(1) == TokenKind::Colon;
                let name = if named { Some(self.bump_ident()) } else { None };
                if named {
                    self.bump();
                }
                fields.push(VariantField { name, ty: self.ty() });
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
            self.expect_close(TokenKind::RParen, opener);
        }
        if self.at(TokenKind::Eq) {
            let span = self.span();
            self.bump();
            self.complain(
                Diagnostic::error(codes::FOREIGN, "a variant has no number", span, "not known")
                    .help("write a function that matches the variants and gives their numbers"),
            );
            self.expr();
        }
        body.variants.push(VariantDef { name, fields, span: self.since(start) });
    }
}
