//! What may be written here: members after a `.` or `::`, modules and their names in imports, else the names in sight.

use super::hover::markdown;
use super::{At, Refusal, at};
use crate::project::Project;
use crate::scope;
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemLabelDetails, CompletionParams, CompletionResponse,
    Documentation, MarkupContent, MarkupKind,
};
use stark_compiler::hir::{ModuleId, Ty};
use stark_compiler::index::{Entity, EntityKind, Member};
use stark_syntax::ast::ItemKind;
use stark_syntax::token::KEYWORDS;
use stark_syntax::visit::Node;

pub fn completion(project: &mut Project, p: CompletionParams) -> Result<Option<CompletionResponse>, Refusal> {
    let at = at(project, &p.text_document_position)?;
    Ok(Some(CompletionResponse::Array(items(&at))))
}

fn items(at: &At) -> Vec<CompletionItem> {
    let text = at.text();
    if scope::is_prose(text, at.offset) {
        return Vec::new();
    }
    let before = &text[..at.offset as usize];
    let start = before.trim_end_matches(|c: char| c == '_' || c.is_alphanumeric()).len();
    let head = &before[..start];
    let line = head.rsplit('\n').next().unwrap_or("");
    if let Some(items) = in_import(at, line) {
        return items;
    }
    if head.ends_with("::") {
        return after_colons(at, start - 2);
    }
    if head.ends_with('.') && !head.ends_with("..") && !head[..start - 1].ends_with(|c: char| c.is_ascii_digit()) {
        return after_dot(at, start - 1);
    }
    if head.ends_with('@') && line.trim() == "@" {
        return ATTRIBUTES.iter().map(|(name, detail)| item(name, CompletionItemKind::EVENT, detail)).collect();
    }
    in_sight(at)
}

/// Attributes that programs use; the library's own are left out.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("test", "a function that `stark test` runs"),
    ("unique", "a type whose values move and are never copied"),
    ("batch", "messages of an actor are handled together"),
];

fn item(label: &str, kind: CompletionItemKind, detail: &str) -> CompletionItem {
    let detail = (!detail.is_empty()).then(|| detail.to_string());
    CompletionItem { label: label.to_string(), kind: Some(kind), detail, ..CompletionItem::default() }
}

fn in_import(at: &At, line: &str) -> Option<Vec<CompletionItem>> {
    let index = at.index();
    let modules = |from: &str| -> Vec<CompletionItem> {
        let names = index.module_names().into_iter().filter(|(name, _)| name.starts_with(from));
        let rest = names.map(|(name, _)| name[from.len()..].to_string());
        let mut rest: Vec<String> = rest.filter(|r| !r.is_empty()).collect();
        rest.sort();
        rest.dedup();
        rest.iter().map(|name| item(name, CompletionItemKind::MODULE, "")).collect()
    };
    if let Some(path) = line.strip_prefix("import ") {
        return Some(modules(path.trim()));
    }
    let rest = line.strip_prefix("from ")?;
    let Some((path, _)) = rest.split_once(" import ") else { return Some(modules(rest.trim())) };
    let path = path.trim();
    let module = index.module_names().into_iter().find(|(name, _)| &**name == path).map(|(_, id)| id)?;
    Some(index.exports(module).into_iter().map(|(name, e)| entity_item(at, &name, e)).collect())
}

fn home(at: &At) -> ModuleId {
    at.index().module_of(at.source()).unwrap_or_default()
}

fn after_dot(at: &At, dot: usize) -> Vec<CompletionItem> {
    let index = at.index();
    let text = at.text();
    // The value may be on the line above.
    let end = text[..dot].trim_end().len() as u32;
    let named = index.entity_at(at.source(), end);
    match named {
        Some((_, Entity::Module(module))) => {
            return index.exports(module).into_iter().map(|(name, e)| entity_item(at, &name, e)).collect();
        }
        Some((span, Entity::Zone(_))) if span.end == end => {
            let guards = [("read", "a guard to look"), ("write", "a guard to change"), ("lock", "as `write`")];
            return guards.iter().map(|(n, d)| call_item(n, CompletionItemKind::METHOD, d)).collect();
        }
        _ => {}
    }
    let declared = match named {
        Some((span, Entity::Local(declared))) if span.end == end => index.local(declared).map(|l| &l.ty),
        _ => None,
    };
    if let Some(ty) = index.type_ending_at(at.source(), end).filter(|t| **t != Ty::Error).or(declared) {
        return index.members(ty, home(at)).iter().map(|m| member_item(at, m)).collect();
    }
    // A module that is named without being used yet.
    let name = text[..end as usize].rsplit(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or("");
    match index.named(home(at), name) {
        Some(Entity::Module(module)) => {
            index.exports(module).into_iter().map(|(name, e)| entity_item(at, &name, e)).collect()
        }
        // `Int.max`
        None => match index.builtin_type(name) {
            Some(ty @ Ty::Num(_)) => index.associated(&ty, home(at)).iter().map(|m| member_item(at, m)).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn after_colons(at: &At, colons: usize) -> Vec<CompletionItem> {
    let index = at.index();
    let before = at.text()[..colons].trim_end();
    // `Stack<Int>::`
    let before = match before.strip_suffix('>') {
        Some(rest) => rest.rfind('<').map_or(rest, |i| &rest[..i]),
        None => before,
    };
    let name = before.rsplit(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or("");
    let entity = index.entity_at(at.source(), before.len() as u32).map(|(_, e)| e);
    let ty = match entity.or_else(|| index.named(home(at), name)) {
        Some(Entity::Adt(id)) => {
            let generics = &index.program.adt(id).generics;
            let args = generics.iter().enumerate().map(|(i, g)| Ty::Param(i as u32, g.name.clone())).collect();
            Ty::Adt(id, args)
        }
        _ => match index.builtin_type(name) {
            Some(ty) => ty,
            None => return Vec::new(),
        },
    };
    index.associated(&ty, home(at)).iter().map(|m| member_item(at, m)).collect()
}

fn in_sight(at: &At) -> Vec<CompletionItem> {
    let index = at.index();
    let Some(module) = index.module_of(at.source()) else { return Vec::new() };
    let ast = &index.modules[module.index()].ast;
    let path = scope::around(ast, at.text(), at.offset);
    let mut out = Vec::new();
    // Sorted as they are near: arguments' names, variables, fields, the file's own, the library, keywords.
    let mut add = |rank: u32, mut item: CompletionItem| {
        item.sort_text = Some(format!("{rank}{}", item.label));
        if !out.iter().any(|have: &CompletionItem| have.label == item.label) {
            out.push(item);
        }
    };
    if let Some(call) = scope::open_call(at.text(), at.offset)
        && let Some((_, entity)) = index.entity_at(at.source(), call.callee)
        && let Some(signature) = index.signature(entity, &at.program.sources)
    {
        for param in signature.params.iter().filter(|p| !p.name.is_empty()) {
            if !call.named.iter().any(|n| **n == *param.name) && call.name.is_none() {
                let label = format!("{} = ", param.name);
                add(0, item(&label, CompletionItemKind::FIELD, &param.text));
            }
        }
    }
    for seen in scope::variables(&path, ast, at.offset) {
        let ty = index.local(seen.declared).map_or(String::new(), |l| index.show(&l.ty));
        add(1, item(&seen.name, CompletionItemKind::VARIABLE, &ty));
    }
    if let Some(actor) = path.iter().find_map(|n| match n {
        Node::Item(item) => match &item.kind {
            ItemKind::Actor(actor) => Some(actor),
            _ => None,
        },
        _ => None,
    }) {
        for field in &actor.fields {
            let ty = at.program.sources.slice(field.ty.span);
            add(2, item(&field.name.name, CompletionItemKind::FIELD, ty));
        }
        for method in &actor.methods {
            add(2, call_item(&method.decl.name.name, CompletionItemKind::METHOD, ""));
        }
    }
    for (name, entity) in index.names(module) {
        let own = index.home(entity) == Some(module);
        add(if own { 3 } else { 4 }, entity_item(at, &name, entity));
    }
    for name in index.builtin_types() {
        add(4, item(name, CompletionItemKind::STRUCT, "a type"));
    }
    for name in ["Some", "None", "Ok", "Err"] {
        let kind = CompletionItemKind::ENUM_MEMBER;
        add(4, if name == "None" { item(name, kind, "") } else { call_item(name, kind, "") });
    }
    for keyword in KEYWORDS {
        add(5, item(keyword, CompletionItemKind::KEYWORD, ""));
    }
    out
}

fn kind_of(kind: EntityKind) -> CompletionItemKind {
    match kind {
        EntityKind::Variable | EntityKind::Parameter => CompletionItemKind::VARIABLE,
        EntityKind::Function => CompletionItemKind::FUNCTION,
        EntityKind::Method | EntityKind::Handler => CompletionItemKind::METHOD,
        EntityKind::Struct | EntityKind::Opaque | EntityKind::Alias => CompletionItemKind::STRUCT,
        EntityKind::Enum => CompletionItemKind::ENUM,
        EntityKind::Actor => CompletionItemKind::CLASS,
        EntityKind::Trait => CompletionItemKind::INTERFACE,
        EntityKind::Constant => CompletionItemKind::CONSTANT,
        EntityKind::Zone => CompletionItemKind::VARIABLE,
        EntityKind::Module => CompletionItemKind::MODULE,
        EntityKind::Field => CompletionItemKind::FIELD,
        EntityKind::Variant => CompletionItemKind::ENUM_MEMBER,
    }
}

fn call_item(name: &str, kind: CompletionItemKind, detail: &str) -> CompletionItem {
    CompletionItem {
        label_details: Some(CompletionItemLabelDetails { detail: Some("(…)".to_string()), description: None }),
        ..item(name, kind, detail)
    }
}

fn entity_item(at: &At, name: &str, entity: Entity) -> CompletionItem {
    let shown = at.index().describe(entity, &at.program.sources);
    let code = shown.code.lines().next().unwrap_or("").trim_end_matches(':').to_string();
    let kind = kind_of(shown.kind);
    let item = if shown.kind == EntityKind::Function { call_item(name, kind, &code) } else { item(name, kind, &code) };
    CompletionItem { documentation: shown.doc.map(|d| prose(&d)), ..item }
}

fn member_item(at: &At, member: &Member) -> CompletionItem {
    let index = at.index();
    let kind = match member.entity.map(|e| index.kind_of(e)) {
        _ if member.is_call && member.entity.is_none() => CompletionItemKind::METHOD,
        Some(EntityKind::Struct | EntityKind::Actor | EntityKind::Opaque) => CompletionItemKind::CONSTRUCTOR,
        Some(kind) => kind_of(kind),
        None => CompletionItemKind::FIELD,
    };
    let item = if member.is_call {
        call_item(&member.name, kind, &member.detail)
    } else {
        item(&member.name, kind, &member.detail)
    };
    let doc = member.entity.and_then(|e| index.doc(e, &at.program.sources));
    // What every type can do comes behind what this one can.
    let rank = if member.of_trait { 1 } else { 0 };
    CompletionItem { sort_text: Some(format!("{rank}{}", member.name)), documentation: doc.map(|d| prose(&d)), ..item }
}

fn prose(doc: &str) -> Documentation {
    Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value: markdown(doc) })
}
