//! Diagnostics as editors show them.

use super::location;
use crate::position::Lines;
use crate::project::{Program, Project};
use lsp_types::{
    CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, NumberOrString, Uri,
};
use stark_syntax::codes;
use stark_syntax::diagnostic::{self, Severity};

/// What a program says of itself: each with the file it is in.
pub fn of(project: &mut Project, uri: &Uri) -> Vec<(Uri, Diagnostic)> {
    let Some(program) = project.program(uri) else { return Vec::new() };
    if program.analysis.index.is_std(program.root) {
        return Vec::new();
    }
    program.analysis.diagnostics.iter().filter_map(|d| convert(project, &program, d)).collect()
}

fn convert(project: &Project, program: &Program, d: &diagnostic::Diagnostic) -> Option<(Uri, Diagnostic)> {
    let place = location(project, program, d.primary.span).ok()?;
    let mut message = d.message.clone();
    if !d.primary.text.is_empty() && !d.message.contains(&d.primary.text) {
        message += &format!("\n{}", d.primary.text);
    }
    for note in &d.notes {
        message += &format!("\nnote: {note}");
    }
    if let Some(help) = &d.help {
        message += &format!("\nhelp: {help}");
    }
    let related: Vec<DiagnosticRelatedInformation> = d
        .secondary
        .iter()
        .filter_map(|label| {
            let location = location(project, program, label.span).ok()?;
            Some(DiagnosticRelatedInformation { location, message: label.text.clone() })
        })
        .collect();
    let unnecessary = [codes::UNUSED, codes::UNREACHABLE].contains(&d.code);
    let diagnostic = Diagnostic {
        range: place.range,
        severity: Some(match d.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(d.code.0.to_string())),
        // A file: the explanation is there without a network, too.
        code_description: crate::std_sources::page(&project.std_folder, d.code.0)
            .and_then(|page| crate::uri::of_path(&page))
            .map(|href| CodeDescription { href }),
        source: Some("stark".to_string()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        tags: unnecessary.then(|| vec![DiagnosticTag::UNNECESSARY]),
        data: None,
    };
    Some((place.uri, diagnostic))
}

/// The diagnostics of a program's own file that touch a range, as the compiler gave them.
pub fn touching<'p>(
    program: &'p Program,
    range: &lsp_types::Range,
) -> impl Iterator<Item = &'p diagnostic::Diagnostic> + use<'p> {
    let lines = Lines::of(program.sources.text(program.root));
    let (from, to) = (lines.offset(range.start), lines.offset(range.end));
    let touches = move |d: &&diagnostic::Diagnostic| {
        let at = d.primary.span;
        at.source == program.root && at.start <= to && from <= at.end
    };
    program.analysis.diagnostics.iter().filter(touches)
}
