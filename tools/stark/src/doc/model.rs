//! What a module offers: its public items, with what belongs together put together.
//!
//! Left out is what starts with `_`, statements and imports. Functions of one name (overloads) are one entry with several
//! signatures; methods stand under their type, grouped by the impl they come from.

use super::Input;
use super::signature::{Printer, Signature};
use stark_syntax::ast::*;
use stark_syntax::source::{SourceMap, Span};

pub struct Module {
    pub name: String,
    pub is_std: bool,
    pub doc: String,
    pub entries: Vec<Entry>,
    pub text: String,
}

impl Module {
    /// Whether its names are known everywhere.
    pub fn is_prelude(&self) -> bool {
        self.is_std && self.name.starts_with("prelude/")
    }

    /// As readers call it: the library's prelude is many files.
    pub fn title(&self) -> &str {
        if self.is_std { self.name.strip_prefix("prelude/").unwrap_or(&self.name) } else { &self.name }
    }

    /// The name of its page.
    pub fn file(&self) -> String {
        self.name.replace('/', ".")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Struct,
    Enum,
    Trait,
    Actor,
    Alias,
    /// Methods of a type that is declared elsewhere.
    Impl,
    Function,
    Constant,
    Shared,
}

impl Kind {
    /// The word for one, and for the heading above many.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::Struct | Kind::Enum | Kind::Alias => ("type", "Types"),
            Kind::Actor => ("actor", "Actors"),
            Kind::Trait => ("trait", "Traits"),
            Kind::Impl => ("methods", "Methods of other types"),
            Kind::Function => ("function", "Functions"),
            Kind::Constant => ("constant", "Constants"),
            Kind::Shared => ("zone", "Shared zones"),
        }
    }

    /// The order of the headings.
    pub const HEADINGS: [&'static str; 7] =
        ["Types", "Actors", "Traits", "Methods of other types", "Functions", "Constants", "Shared zones"];

    pub fn is_type(self) -> bool {
        matches!(self, Kind::Struct | Kind::Enum | Kind::Alias | Kind::Actor | Kind::Trait)
    }
}

pub struct Entry {
    pub kind: Kind,
    pub name: String,
    /// One for each overload.
    pub signatures: Vec<Signature>,
    pub doc: String,
    pub line: usize,
    pub groups: Vec<Group>,
}

/// The methods of one impl, or of the type's own body (`head` is empty then).
pub struct Group {
    pub head: Signature,
    pub methods: Vec<Member>,
}

pub struct Member {
    pub name: String,
    pub signatures: Vec<Signature>,
    pub doc: String,
    pub line: usize,
}

pub fn module(input: &Input, ast: &stark_syntax::ast::Module, sources: &SourceMap) -> Module {
    let printer = Printer { sources };
    let mut builder = Builder { printer, sources, entries: Vec::new() };
    for item in &ast.items {
        builder.item(item);
    }
    // Impls come in any order: a type may stand below its methods.
    for item in &ast.items {
        if let ItemKind::Impl(i) = &item.kind {
            builder.implementation(i, item.span);
        }
    }
    let doc = ast.doc.clone().unwrap_or_default();
    let text = sources.text(input.source).to_string();
    Module { name: input.name.clone(), is_std: input.is_std, doc, entries: builder.entries, text }
}

struct Builder<'a> {
    printer: Printer<'a>,
    sources: &'a SourceMap,
    entries: Vec<Entry>,
}

fn is_public(name: &str) -> bool {
    !name.starts_with('_')
}

/// The name in programs: `@called("where")` where it is a keyword of the library's own text.
fn called(attributes: &[Attribute], name: &Ident) -> String {
    let given = attributes.iter().find(|a| &*a.name.name == "called").and_then(|a| match &a.args.first()?.value.kind {
        ExprKind::Literal(Literal::Str(text)) => Some(text.to_string()),
        _ => None,
    });
    given.unwrap_or_else(|| name.name.to_string())
}

impl Builder<'_> {
    fn line(&self, span: Span) -> usize {
        self.sources.location(span).1
    }

    fn item(&mut self, item: &Item) {
        let (kind, name, signature, groups) = match &item.kind {
            ItemKind::Fn(decl) => {
                let name = called(&item.attributes, &decl.name);
                (Kind::Function, name.clone(), self.printer.function(decl, &name), Vec::new())
            }
            ItemKind::Struct(s) => {
                let is_opaque = item.attributes.iter().any(|a| &*a.name.name == "opaque");
                let fields = if is_opaque { &[][..] } else { &s.fields };
                let head = self.printer.structure("struct", &s.name, &s.generics, fields);
                (Kind::Struct, s.name.name.to_string(), head, self.own(&s.methods))
            }
            ItemKind::Enum(e) => {
                (Kind::Enum, e.name.name.to_string(), self.printer.enumeration(e), self.own(&e.methods))
            }
            ItemKind::Trait(t) => (Kind::Trait, t.name.name.to_string(), self.printer.trait_(t), self.own(&t.methods)),
            ItemKind::Actor(a) => {
                let head = self.printer.structure("actor", &a.name, &a.generics, &a.fields);
                (Kind::Actor, a.name.name.to_string(), head, self.own(&a.methods))
            }
            ItemKind::TypeAlias { name, generics, ty } => {
                (Kind::Alias, name.name.to_string(), self.printer.alias(name, generics, ty), Vec::new())
            }
            ItemKind::Const { name, ty, value } => {
                (Kind::Constant, name.name.to_string(), self.printer.constant(name, ty.as_ref(), value), Vec::new())
            }
            ItemKind::SharedLet { name, ty, .. } => {
                (Kind::Shared, name.name.to_string(), self.printer.shared(name, ty), Vec::new())
            }
            ItemKind::Impl(_) | ItemKind::Import(_) | ItemKind::Stmt(_) => return,
        };
        if !is_public(&name) {
            return;
        }
        let doc = item.doc.clone().unwrap_or_default();
        match self.entries.iter_mut().find(|e| e.kind == kind && e.name == name && kind == Kind::Function) {
            Some(entry) => {
                entry.signatures.push(signature);
                join(&mut entry.doc, &doc);
            }
            None => {
                let line = self.line(item.span);
                self.entries.push(Entry { kind, name, signatures: vec![signature], doc, line, groups });
            }
        }
    }

    fn own(&self, methods: &[Method]) -> Vec<Group> {
        let methods = self.members(methods);
        if methods.is_empty() { Vec::new() } else { vec![Group { head: Signature::default(), methods }] }
    }

    fn members(&self, methods: &[Method]) -> Vec<Member> {
        let mut found: Vec<Member> = Vec::new();
        for method in methods {
            let name = called(&method.attributes, &method.decl.name);
            if !is_public(&name) {
                continue;
            }
            let signature = self.printer.function(&method.decl, &name);
            let doc = method.doc.clone().unwrap_or_default();
            match found.iter_mut().find(|m| m.name == name) {
                Some(member) => {
                    member.signatures.push(signature);
                    join(&mut member.doc, &doc);
                }
                None => {
                    let line = self.line(method.span);
                    found.push(Member { name, signatures: vec![signature], doc, line });
                }
            }
        }
        found
    }

    fn implementation(&mut self, i: &Impl, span: Span) {
        let head = self.printer.implementation(i);
        let TypeKind::Path { path, .. } = &i.target.kind else { return };
        let name: Vec<&str> = path.segments.iter().map(|s| &*s.name).collect();
        let name = name.join(".");
        let methods = self.members(&i.methods);
        if !is_public(&name) || i.trait_.is_none() && methods.is_empty() {
            return;
        }
        // What a type must do for a trait is written at the trait: the line alone says it.
        let methods =
            if i.trait_.is_some() { methods.into_iter().filter(|m| !m.doc.is_empty()).collect() } else { methods };
        let group = Group { head, methods };
        if let Some(entry) =
            self.entries.iter_mut().find(|e| e.name == name && (e.kind.is_type() || e.kind == Kind::Impl))
        {
            entry.groups.push(group);
            return;
        }
        let line = self.line(span);
        let entry =
            Entry { kind: Kind::Impl, name, signatures: Vec::new(), doc: String::new(), line, groups: vec![group] };
        self.entries.push(entry);
    }
}

/// The comments of overloads, one behind the other.
fn join(doc: &mut String, more: &str) {
    if !doc.is_empty() && !more.is_empty() {
        doc.push_str("\n\n");
    }
    doc.push_str(more);
}
