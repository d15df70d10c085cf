//! Declarations as a reader wants to see them: without bodies and attributes, types ready to become links.

use stark_syntax::ast::*;
use stark_syntax::source::SourceMap;

/// A piece of a declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    Keyword(&'static str),
    /// What is declared.
    Name(String),
    /// A type's name, with its module when it is written.
    Type(String),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signature(pub Vec<Piece>);

impl Signature {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn text_of(&mut self, text: impl Into<String>) {
        self.0.push(Piece::Text(text.into()));
    }

    fn keyword(&mut self, word: &'static str) {
        self.0.push(Piece::Keyword(word));
        self.text_of(" ");
    }

    fn name(&mut self, name: &str) {
        self.0.push(Piece::Name(name.into()));
    }

    /// `print` for each, with a comma between.
    fn list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text_of(", ");
            }
            print(self, item);
        }
    }
}

/// Longer lists of parameters stand one below the other.
const LINE: usize = 100;

pub struct Printer<'a> {
    pub sources: &'a SourceMap,
}

impl Printer<'_> {
    pub fn function(&self, decl: &Fn, name: &str) -> Signature {
        let mut out = Signature::default();
        match decl.kind {
            FnKind::Plain => {}
            FnKind::Async => out.keyword("async"),
            FnKind::Spawn => out.keyword("spawn"),
        }
        out.keyword("fn");
        out.name(name);
        self.generics(&mut out, &decl.generics);
        out.text_of("(");
        let width = decl.params.iter().map(|p| (p.span.end - p.span.start) as usize + 2).sum::<usize>();
        let is_long = width > LINE;
        for (i, param) in decl.params.iter().enumerate() {
            match (i, is_long) {
                (_, true) => out.text_of(if i == 0 { "\n    " } else { ",\n    " }),
                (0, false) => {}
                _ => out.text_of(", "),
            }
            self.param(&mut out, param);
        }
        out.text_of(if is_long { "\n)" } else { ")" });
        if let Some(ret) = &decl.ret {
            out.text_of(" -> ");
            self.ty(&mut out, ret);
        }
        out
    }

    fn param(&self, out: &mut Signature, param: &Param) {
        let mode = match param.mode {
            ParamMode::Value => "",
            ParamMode::Ref => "&",
            ParamMode::RefMut => "&mut ",
        };
        match &param.ty {
            Some(ty) => {
                out.text_of(format!("{}: {mode}", param.name.name));
                self.ty(out, ty);
            }
            None => out.text_of(format!("{mode}{}", param.name.name)),
        }
        if let Some(default) = &param.default {
            out.text_of(format!(" = {}", self.source(default)));
        }
    }

    /// An expression as it is written, on one line.
    fn source(&self, expr: &Expr) -> String {
        let text = self.sources.slice(expr.span).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() > LINE { format!("{}…", text.chars().take(LINE).collect::<String>()) } else { text }
    }

    fn generics(&self, out: &mut Signature, generics: &Generics) {
        if generics.params.is_empty() {
            return;
        }
        out.text_of("<");
        out.list(&generics.params, |out, param| {
            out.text_of(param.name.name.to_string());
            for (i, bound) in param.bounds.iter().enumerate() {
                out.text_of(if i == 0 { ": " } else { " + " });
                self.ty(out, bound);
            }
        });
        out.text_of(">");
    }

    pub fn structure(&self, word: &'static str, name: &Ident, generics: &Generics, fields: &[FieldDef]) -> Signature {
        let mut out = Signature::default();
        out.keyword(word);
        out.name(&name.name);
        self.generics(&mut out, generics);
        for field in fields.iter().filter(|f| !f.name.name.starts_with('_')) {
            out.text_of(if field.mutable { "\n    mut " } else { "\n    " });
            out.text_of(format!("{}: ", field.name.name));
            self.ty(&mut out, &field.ty);
            if let Some(default) = &field.default {
                out.text_of(format!(" = {}", self.source(default)));
            }
        }
        out
    }

    pub fn enumeration(&self, e: &Enum) -> Signature {
        let mut out = Signature::default();
        out.keyword("enum");
        out.name(&e.name.name);
        self.generics(&mut out, &e.generics);
        for variant in &e.variants {
            out.text_of(format!("\n    {}", variant.name.name));
            if variant.fields.is_empty() {
                continue;
            }
            out.text_of("(");
            out.list(&variant.fields, |out, field| {
                if let Some(name) = &field.name {
                    out.text_of(format!("{}: ", name.name));
                }
                self.ty(out, &field.ty);
            });
            out.text_of(")");
        }
        out
    }

    pub fn trait_(&self, t: &Trait) -> Signature {
        let mut out = Signature::default();
        out.keyword("trait");
        out.name(&t.name.name);
        self.generics(&mut out, &t.generics);
        for (i, supertrait) in t.supertraits.iter().enumerate() {
            out.text_of(if i == 0 { ": " } else { " + " });
            self.ty(&mut out, supertrait);
        }
        out
    }

    pub fn implementation(&self, i: &Impl) -> Signature {
        let mut out = Signature::default();
        out.0.push(Piece::Keyword("impl"));
        self.generics(&mut out, &i.generics);
        out.text_of(" ");
        if let Some(trait_) = &i.trait_ {
            self.ty(&mut out, trait_);
            out.text_of(" ");
            out.keyword("for");
        }
        self.ty(&mut out, &i.target);
        out
    }

    pub fn alias(&self, name: &Ident, generics: &Generics, ty: &Type) -> Signature {
        let mut out = Signature::default();
        out.keyword("type");
        out.name(&name.name);
        self.generics(&mut out, generics);
        out.text_of(" = ");
        self.ty(&mut out, ty);
        out
    }

    pub fn constant(&self, name: &Ident, ty: Option<&Type>, value: &Expr) -> Signature {
        let mut out = Signature::default();
        out.keyword("const");
        out.name(&name.name);
        if let Some(ty) = ty {
            out.text_of(": ");
            self.ty(&mut out, ty);
        }
        out.text_of(format!(" = {}", self.source(value)));
        out
    }

    pub fn shared(&self, name: &Ident, ty: &Type) -> Signature {
        let mut out = Signature::default();
        out.keyword("shared");
        out.keyword("let");
        out.name(&name.name);
        out.text_of(": ");
        self.ty(&mut out, ty);
        out
    }

    fn ty(&self, out: &mut Signature, ty: &Type) {
        match &ty.kind {
            TypeKind::Path { path, args, dims } => {
                let name: Vec<&str> = path.segments.iter().map(|s| &*s.name).collect();
                out.0.push(Piece::Type(name.join(".")));
                if !args.is_empty() {
                    out.text_of("<");
                    out.list(args, |out, arg| self.ty(out, arg));
                    out.text_of(">");
                }
                if let Some(dims) = dims {
                    out.text_of("[");
                    out.list(dims, |out, dim| out.text_of(dimension(dim)));
                    out.text_of("]");
                }
            }
            TypeKind::Tuple(items) => {
                out.text_of("(");
                out.list(items, |out, item| self.ty(out, item));
                // A tuple of one would read as the type in brackets.
                out.text_of(if items.len() == 1 { ",)" } else { ")" });
            }
            TypeKind::Fn { params, ret } => {
                out.0.push(Piece::Keyword("fn"));
                out.text_of("(");
                out.list(params, |out, (mode, param)| {
                    match mode {
                        ParamMode::Value => {}
                        ParamMode::Ref => out.text_of("&"),
                        ParamMode::RefMut => out.text_of("&mut "),
                    }
                    self.ty(out, param);
                });
                out.text_of(")");
                if let Some(ret) = ret {
                    out.text_of(" -> ");
                    self.ty(out, ret);
                }
            }
            TypeKind::Ref { mutable, inner } => {
                out.text_of(if *mutable { "&mut " } else { "&" });
                self.ty(out, inner);
            }
            TypeKind::Infer | TypeKind::Error => out.text_of("_"),
        }
    }
}

fn dimension(dim: &DimExpr) -> String {
    match dim {
        DimExpr::Number(n, _) => n.to_string(),
        DimExpr::Name(name) => name.name.to_string(),
        DimExpr::Unknown(_) => "_".into(),
        DimExpr::Add(a, b) => format!("{} + {}", dimension(a), dimension(b)),
        DimExpr::Mul(a, b) => {
            let factor = |d: &DimExpr| match d {
                DimExpr::Add(..) => format!("({})", dimension(d)),
                _ => dimension(d),
            };
            format!("{} * {}", factor(a), factor(b))
        }
    }
}
