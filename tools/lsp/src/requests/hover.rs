//! What is under the pointer: its declaration, its type with the shape of a tensor, its documentation.

use super::{Refusal, at};
use crate::position::Lines;
use crate::project::Project;
use lsp_types::{Hover, HoverContents, HoverParams, MarkupContent, MarkupKind};
use stark_compiler::index::{Entity, EntityKind};

pub fn hover(project: &mut Project, p: HoverParams) -> Result<Option<Hover>, Refusal> {
    let at = at(project, &p.text_document_position_params)?;
    let (index, sources) = (at.index(), &at.program.sources);
    let (span, mut text) = match index.entity_at(at.source(), at.offset) {
        Some((span, entity)) => {
            let shown = index.describe(entity, sources);
            let mut text = code(&shown.code);
            // What is made or called here: the type arguments are known, and the shapes.
            let is_called = matches!(shown.kind, EntityKind::Function | EntityKind::Method | EntityKind::Handler);
            if let Some(ty) = index.type_around(span)
                && (is_called || matches!(entity, Entity::Field { .. } | Entity::Const(_)))
            {
                let ty = index.show(ty);
                if !shown.code.contains(&ty) {
                    text += &format!("\ngives `{ty}` here\n");
                }
            }
            if let Some(doc) = shown.doc {
                text += &format!("\n---\n\n{}\n", markdown(&doc));
            }
            (span, text)
        }
        None => {
            let Some((span, ty)) = index.type_at(at.source(), at.offset) else { return Ok(None) };
            (span, code(&index.show(ty)))
        }
    };
    text.truncate(text.trim_end().len());
    let range = Lines::of(at.text()).range(span);
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value: text });
    Ok(Some(Hover { contents, range: Some(range) }))
}

fn code(text: &str) -> String {
    format!("```stark\n{text}\n```\n")
}

/// Examples (`>>> …` and what they give) as code.
pub fn markdown(doc: &str) -> String {
    let mut out = String::new();
    let mut in_example = false;
    for line in doc.lines() {
        let begins = line.trim_start().starts_with(">>>");
        if begins && !in_example {
            out += "```stark\n";
            in_example = true;
        } else if in_example && line.trim().is_empty() {
            out += "```\n";
            in_example = false;
        }
        out += line;
        out.push('\n');
    }
    if in_example {
        out += "```\n";
    }
    out
}
