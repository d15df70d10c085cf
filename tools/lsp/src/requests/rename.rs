//! A new name for what is declared in the program.
//!
//! The edits are tried before they are given away: a name that would be caught by another declaration, or a new error, refuses them.

use super::references::{Everywhere, everywhere};
use super::{At, Limits, Refusal, at};
use crate::position::Lines;
use crate::project::{Document, Project};
use lsp_types::{PrepareRenameResponse, RenameParams, TextDocumentPositionParams, TextEdit, Uri, WorkspaceEdit};
use stark_compiler::index::Entity;
use stark_syntax::diagnostic::Severity;
use stark_syntax::source::{SourceId, Span};
use stark_syntax::token::{KEYWORDS, TokenKind};
use std::collections::HashMap;

pub fn prepare(project: &mut Project, p: TextDocumentPositionParams) -> Result<Option<PrepareRenameResponse>, Refusal> {
    let at = at(project, &p)?;
    let (span, _) = renamed(&at)?;
    let placeholder = at.program.sources.slice(span).to_string();
    Ok(Some(PrepareRenameResponse::RangeWithPlaceholder { range: Lines::of(at.text()).range(span), placeholder }))
}

/// Names that mean something to the language.
const FIXED: &[&str] = &["main", "new", "self", "on_receive", "on_batch", "on_start", "on_stop", "on_error"];

/// What stands at the place, when it can have another name.
fn renamed(at: &At) -> Result<(Span, Entity), Refusal> {
    let index = at.index();
    let Some((span, entity)) = index.entity_at(at.source(), at.offset) else {
        return Err(Refusal::because("there is no name here that is declared in the program"));
    };
    let name = index.name_of(entity);
    if at.program.sources.slice(span) != &*name {
        return Err(Refusal::because(format!("this is another name for `{name}`; rename it where it is imported")));
    }
    if let Entity::Module(_) = entity {
        return Err(Refusal::because("a module is named by its file: rename the file"));
    }
    if FIXED.contains(&&*name) {
        return Err(Refusal::because(format!("`{name}` has a meaning to the language, so it keeps its name")));
    }
    let of_std = index.family(entity).into_iter().any(|e| index.is_std(index.place(e).source));
    if of_std {
        return Err(Refusal::because(format!("`{name}` is declared in the standard library")));
    }
    Ok((span, entity))
}

#[expect(clippy::mutable_key_type, reason = "the protocol's own map of addresses")]
pub fn rename(project: &mut Project, limits: &Limits, p: RenameParams) -> Result<Option<WorkspaceEdit>, Refusal> {
    let at = at(project, &p.text_document_position)?;
    let (_, entity) = renamed(&at)?;
    let new = p.new_name.trim().to_string();
    check_name(&new)?;
    let index = at.index();
    let old = index.name_of(entity).to_string();
    if old == new {
        return Ok(None);
    }
    let found = everywhere(project, limits, &at, entity)?;
    for (program, _) in &found.programs {
        let broken = program.analysis.diagnostics.iter().find(|d| d.severity == Severity::Error && is_syntax(d.code.0));
        if let Some(d) = broken {
            let (path, line, _) = program.sources.location(d.primary.span);
            return Err(Refusal::because(format!(
                "{path}:{line} has an error in its syntax, so uses of `{old}` may be overlooked; mend it first"
            )));
        }
    }
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    let mut places: Vec<_> = found.declarations.iter().chain(&found.uses).collect();
    places.sort_by(|a, b| a.0.cmp(b.0));
    places.dedup_by(|a, b| a.0 == b.0);
    for (_, (place, text)) in places {
        if *text == old {
            let edit = TextEdit { range: place.range, new_text: new.clone() };
            changes.entry(place.uri.clone()).or_default().push(edit);
        }
    }
    try_out(project, &at, &found, &changes, &old, &new)?;
    Ok(Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }))
}

fn is_syntax(code: &str) -> bool {
    code.starts_with("E00") || code.starts_with("E01")
}

fn check_name(new: &str) -> Result<(), Refusal> {
    if KEYWORDS.contains(&new) {
        return Err(Refusal::because(format!("`{new}` is a keyword")));
    }
    let tokens = stark_syntax::lex(new, SourceId(0)).tokens;
    let is_name = tokens.first().is_some_and(|t| t.kind == TokenKind::Ident && t.end as usize == new.len());
    if is_name && new != "_" {
        return Ok(());
    }
    Err(Refusal::because(format!("`{new}` is not a name: letters, digits and `_`, a digit not first")))
}

/// Looks at the changed texts: every place must mean what it meant, and nothing may be wrong that was not before.
#[expect(clippy::mutable_key_type, reason = "the protocol's own map of addresses")]
fn try_out(
    project: &mut Project,
    at: &At,
    found: &Everywhere,
    changes: &HashMap<Uri, Vec<TextEdit>>,
    old: &str,
    new: &str,
) -> Result<(), Refusal> {
    let errors = |program: &crate::project::Program| {
        program.analysis.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
    };
    let before: Vec<(Uri, usize, usize, usize)> = found
        .programs
        .iter()
        .filter_map(|(p, n_own)| {
            let uri = project.uri_of(&p.sources, p.root).ok()?;
            Some((uri, errors(p), p.analysis.index.n_uses(), *n_own))
        })
        .collect();
    let kept: Vec<(Uri, Option<Document>)> =
        changes.keys().map(|uri| (uri.clone(), project.documents.get(uri).cloned())).collect();
    for (uri, edits) in changes {
        let Some(text) = project.text(uri) else { continue };
        let changed = apply(&text, edits);
        project.documents.insert(uri.clone(), Document { text: changed.into(), version: i32::MAX });
        project.changed(uri);
    }
    let mut refusal = None;
    for (uri, n_errors, n_uses, n_own) in &before {
        let Some(program) = project.program(uri) else { continue };
        if errors(&program) > *n_errors || program.analysis.index.n_uses() != *n_uses {
            let told = program.analysis.diagnostics.iter().find(|d| {
                let known = |k: &stark_syntax::diagnostic::Diagnostic| k.message.replace(old, new) == d.message;
                d.severity == Severity::Error && !at.program.analysis.diagnostics.iter().any(known)
            });
            refusal = Some(match told {
                Some(d) => {
                    let (path, line, _) = program.sources.location(d.primary.span);
                    format!("with the name `{new}` the program would not compile: {path}:{line}: {}", d.message)
                }
                None => format!("`{new}` means something else at one of the places already"),
            });
            break;
        }
        if changes.get(uri).is_some_and(|edits| is_caught(&program, edits, new, *n_own)) {
            refusal = Some(format!("`{new}` means something else at one of the places already"));
            break;
        }
    }
    for (uri, document) in kept {
        match document {
            Some(document) => drop(project.documents.insert(uri.clone(), document)),
            None => drop(project.documents.remove(&uri)),
        }
        project.changed(&uri);
    }
    match refusal {
        Some(message) => Err(Refusal::because(message)),
        None => Ok(()),
    }
}

/// Whether the changed places of a text no longer mean one thing, or others mean it now, too.
fn is_caught(program: &crate::project::Program, edits: &[TextEdit], new: &str, n_own: usize) -> bool {
    let index = &program.analysis.index;
    let lines = Lines::of(program.sources.text(program.root));
    let mut known: Option<Vec<Entity>> = None;
    for place in moved(edits, new) {
        let Some((_, entity)) = index.entity_at(program.root, lines.offset(place)) else { return true };
        match &known {
            Some(family) if !family.contains(&entity) => return true,
            Some(_) => {}
            None => known = Some(index.family(entity)),
        }
    }
    let is_named = |at: &Span| !index.is_std(at.source);
    known.is_some_and(|family| index.uses_of(&family).filter(is_named).count() != n_own)
}

/// Where the edits' texts begin after all of them were made; names stay on their lines.
fn moved(edits: &[TextEdit], new: &str) -> Vec<lsp_types::Position> {
    let units = new.encode_utf16().count() as i64;
    let mut sorted: Vec<&TextEdit> = edits.iter().collect();
    sorted.sort_by_key(|e| (e.range.start.line, e.range.start.character));
    let (mut line, mut shift) = (u32::MAX, 0i64);
    let mut out = Vec::new();
    for edit in sorted {
        let start = edit.range.start;
        if start.line != line {
            (line, shift) = (start.line, 0);
        }
        out.push(lsp_types::Position::new(line, (i64::from(start.character) + shift) as u32));
        shift += units - (i64::from(edit.range.end.character) - i64::from(start.character));
    }
    out
}

fn apply(text: &str, edits: &[TextEdit]) -> String {
    let lines = Lines::of(text);
    let mut sorted: Vec<&TextEdit> = edits.iter().collect();
    sorted.sort_by_key(|e| (e.range.start.line, e.range.start.character));
    let mut out = text.to_string();
    for edit in sorted.into_iter().rev() {
        let (from, to) = (lines.offset(edit.range.start) as usize, lines.offset(edit.range.end) as usize);
        out.replace_range(from..to, &edit.new_text);
    }
    out
}
