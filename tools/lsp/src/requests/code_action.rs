//! What can be done about a diagnostic: its fixes.

use super::{Refusal, diagnostics, location, program};
use crate::project::Project;
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CodeActionResponse, NumberOrString, TextEdit,
    Uri, WorkspaceEdit,
};
use std::collections::HashMap;

#[expect(clippy::mutable_key_type, reason = "the protocol's own map of addresses")]
pub fn actions(project: &mut Project, p: CodeActionParams) -> Result<Option<CodeActionResponse>, Refusal> {
    let program = program(project, &p.text_document.uri)?;
    let mut out = Vec::new();
    for d in diagnostics::touching(&program, &p.range) {
        let shown = p.context.diagnostics.iter().find(|s| {
            s.code == Some(NumberOrString::String(d.code.0.to_string())) && s.message.starts_with(&d.message)
        });
        for (i, fix) in d.fixes.iter().enumerate() {
            let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
            for (span, text) in &fix.edits {
                let place = location(project, &program, *span)?;
                changes.entry(place.uri).or_default().push(TextEdit { range: place.range, new_text: text.clone() });
            }
            out.push(CodeActionOrCommand::CodeAction(CodeAction {
                title: fix.title.clone(),
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: shown.map(|s| vec![s.clone()]),
                edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
                is_preferred: Some(i == 0),
                ..CodeAction::default()
            }));
        }
    }
    Ok(Some(out))
}
