//! The outline of a file.

use super::{Refusal, program};
use crate::position::Lines;
use crate::project::{Program, Project};
use lsp_types::{DocumentSymbol, DocumentSymbolParams, DocumentSymbolResponse, SymbolKind};
use stark_syntax::ast::*;
use stark_syntax::source::Span;

pub fn symbols(project: &mut Project, p: DocumentSymbolParams) -> Result<Option<DocumentSymbolResponse>, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let index = &program.analysis.index;
    let Some(module) = index.module_of(program.root) else { return Ok(None) };
    let outline = Outline { program: &program, lines: Lines::of(program.sources.text(program.root)) };
    let items = index.modules[module.index()].ast.items.iter();
    Ok(Some(DocumentSymbolResponse::Nested(items.flat_map(|i| outline.item(i)).collect())))
}

struct Outline<'p> {
    program: &'p Program,
    lines: Lines<'p>,
}

impl Outline<'_> {
    fn item(&self, item: &Item) -> Vec<DocumentSymbol> {
        let span = item.span;
        let one = |name: &Ident, kind, detail, children| self.symbol(name, kind, detail, span, children);
        let symbol = match &item.kind {
            ItemKind::Fn(f) => one(&f.name, SymbolKind::FUNCTION, self.head(f), Vec::new()),
            ItemKind::Struct(s) => {
                let children = self.members(&s.fields, &s.methods);
                one(&s.name, SymbolKind::STRUCT, None, children)
            }
            ItemKind::Actor(a) => {
                let children = self.members(&a.fields, &a.methods);
                one(&a.name, SymbolKind::CLASS, None, children)
            }
            ItemKind::Enum(e) => {
                let variant = |v: &VariantDef| self.symbol(&v.name, SymbolKind::ENUM_MEMBER, None, v.span, Vec::new());
                let mut children: Vec<_> = e.variants.iter().filter_map(variant).collect();
                children.extend(self.members(&[], &e.methods));
                one(&e.name, SymbolKind::ENUM, None, children)
            }
            ItemKind::Trait(t) => one(&t.name, SymbolKind::INTERFACE, None, self.members(&[], &t.methods)),
            ItemKind::Impl(i) => {
                let text = |t: &Type| self.program.sources.slice(t.span).to_string();
                let name = match &i.trait_ {
                    Some(t) => format!("impl {} for {}", text(t), text(&i.target)),
                    None => format!("impl {}", text(&i.target)),
                };
                let name = Ident { name: name.into(), span: i.target.span };
                one(&name, SymbolKind::OBJECT, None, self.members(&[], &i.methods))
            }
            ItemKind::TypeAlias { name, ty, .. } => {
                one(name, SymbolKind::STRUCT, Some(self.program.sources.slice(ty.span).to_string()), Vec::new())
            }
            ItemKind::Const { name, .. } => one(name, SymbolKind::CONSTANT, None, Vec::new()),
            ItemKind::SharedLet { name, ty, .. } => {
                one(name, SymbolKind::VARIABLE, Some(self.program.sources.slice(ty.span).to_string()), Vec::new())
            }
            ItemKind::Stmt(Stmt { kind: StmtKind::Let { pattern, .. }, .. }) => {
                let mut names = Vec::new();
                crate::scope::pattern_names(pattern, &mut |n| names.push(n.clone()));
                return names
                    .iter()
                    .filter_map(|n| {
                        let ty = self.program.analysis.index.local(n.span);
                        let ty = ty.map(|l| self.program.analysis.index.show(&l.ty));
                        self.symbol(n, SymbolKind::VARIABLE, ty, span, Vec::new())
                    })
                    .collect();
            }
            ItemKind::Stmt(Stmt { kind: StmtKind::SpawnFn(f), .. }) => {
                one(&f.name, SymbolKind::FUNCTION, None, Vec::new())
            }
            ItemKind::Import(_) | ItemKind::Stmt(_) => None,
        };
        symbol.into_iter().collect()
    }

    fn members(&self, fields: &[FieldDef], methods: &[Method]) -> Vec<DocumentSymbol> {
        let field = |f: &FieldDef| {
            let ty = self.program.sources.slice(f.ty.span).to_string();
            self.symbol(&f.name, SymbolKind::FIELD, Some(ty), f.span, Vec::new())
        };
        let method = |m: &Method| self.symbol(&m.decl.name, SymbolKind::METHOD, self.head(&m.decl), m.span, Vec::new());
        fields.iter().filter_map(field).chain(methods.iter().filter_map(method)).collect()
    }

    /// `(a: Int) -> Int`
    fn head(&self, f: &Fn) -> Option<String> {
        let text = |span: Span| self.program.sources.slice(span).to_string();
        let params: Vec<String> = f.params.iter().map(|p| text(p.span)).collect();
        let ret = f.ret.as_ref().map_or(String::new(), |t| format!(" -> {}", text(t.span)));
        Some(format!("({}){ret}", params.join(", ")))
    }

    /// `None` for what has no name yet, which the protocol does not allow.
    fn symbol(
        &self,
        name: &Ident,
        kind: SymbolKind,
        detail: Option<String>,
        span: Span,
        children: Vec<DocumentSymbol>,
    ) -> Option<DocumentSymbol> {
        if name.name.is_empty() {
            return None;
        }
        #[expect(deprecated, reason = "the field must be there")]
        Some(DocumentSymbol {
            name: name.name.to_string(),
            detail,
            kind,
            tags: None,
            deprecated: None,
            // The range must hold the name, also where the item broke off before it.
            range: self.lines.range(span.to(name.span)),
            selection_range: self.lines.range(name.span),
            children: (!children.is_empty()).then_some(children),
        })
    }
}
