//! The one layout of a text, as an edit of the lines that differ.

use super::Refusal;
use crate::position::Lines;
use crate::project::Project;
use crate::uri;
use lsp_types::{DocumentFormattingParams, Range, TextEdit};
use stark_syntax::diagnostic::Severity;
use stark_syntax::source::SourceMap;

pub fn format(project: &mut Project, p: DocumentFormattingParams) -> Result<Option<Vec<TextEdit>>, Refusal> {
    let uri = uri::normal(&p.text_document.uri);
    let text = project.text(&uri).ok_or_else(|| Refusal::because(format!("{} cannot be read", uri.as_str())))?;
    match stark_fmt::format(&text) {
        Ok(new) => Ok(Some(edits(&text, &new))),
        Err(diagnostics) => {
            let mut sources = SourceMap::new();
            let path = uri::to_path(&uri).map_or_else(|| uri.to_string(), |p| p.display().to_string());
            sources.add(path, &*text);
            let first = diagnostics.iter().find(|d| d.severity == Severity::Error);
            let why = first.map_or("it cannot be read".to_string(), |d| {
                let (path, line, _) = sources.location(d.primary.span);
                format!("{path}:{line}: {}", d.message)
            });
            Err(Refusal::because(format!("a text with an error in its syntax has no layout: {why}")))
        }
    }
}

/// One edit from the first line that differs to the last one: marks and cursors elsewhere stay where they are.
fn edits(old: &str, new: &str) -> Vec<TextEdit> {
    if old == new {
        return Vec::new();
    }
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let first = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - first;
    let last = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let bytes = |lines: &[&str]| lines.iter().map(|l| l.len() as u32).sum::<u32>();
    let lines = Lines::of(old);
    let (from, to) = (bytes(&before[..first]), bytes(&before[..before.len() - last]));
    let range = Range::new(lines.position(from), lines.position(to));
    vec![TextEdit { range, new_text: after[first..after.len() - last].concat() }]
}
