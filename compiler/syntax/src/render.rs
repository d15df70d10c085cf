//! Diagnostics as people and tools read them: a picture in the terminal, or one JSON object a line.
//!
//! Every picture begins `error[E0301]: message` and `  --> file.stark:LINE:COL`, with or without colour; the source below is drawn by ariadne.

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{SourceMap, Span};
use ariadne::{CharSet, Color, Config, IndexType, Label as Mark, Report, ReportKind, Source};
use std::collections::HashMap;
use std::fmt::Write;

/// Errors and warnings that are drawn, each; more only say how many they are.
const MAX_SHOWN: usize = 200;
/// A line longer than this is not drawn, in bytes: no person wrote it, and drawing takes time for each mark.
const MAX_LINE: usize = 4000;

/// All diagnostics, in the order given, with a count at the end when there are errors.
pub fn terminal(sources: &SourceMap, diagnostics: &[Diagnostic], color: bool) -> String {
    let mut out = String::new();
    let mut cache = Cache { sources, texts: HashMap::new() };
    for severity in [Severity::Warning, Severity::Error] {
        let n = diagnostics.iter().filter(|d| d.severity == severity).count();
        if n > MAX_SHOWN {
            let what = if severity == Severity::Error { "errors" } else { "warnings" };
            let _ = writeln!(out, "note: the first {MAX_SHOWN} of {n} {what} are shown\n");
        }
    }
    let (mut n_warnings, mut n_errors) = (0, 0);
    for diagnostic in diagnostics {
        let n = if diagnostic.severity == Severity::Error { &mut n_errors } else { &mut n_warnings };
        *n += 1;
        if *n <= MAX_SHOWN {
            one(&mut cache, diagnostic, color, &mut out);
            out.push('\n');
        }
    }
    if n_errors > 0 {
        let plural = if n_errors == 1 { "" } else { "s" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{n_errors} error{plural}; `stark explain CODE` tells more about a code");
    }
    out
}

fn severity(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn one(cache: &mut Cache<'_>, diagnostic: &Diagnostic, color: bool, out: &mut String) {
    let sources = cache.sources;
    let (path, line, col) = sources.location(diagnostic.primary.span);
    let _ = writeln!(out, "{}[{}]: {}", severity(diagnostic), diagnostic.code.0, diagnostic.message);
    let _ = writeln!(out, "  --> {path}:{line}:{col}");
    if is_drawn(sources, diagnostic) {
        draw(cache, diagnostic, color, out);
    } else if !diagnostic.primary.text.is_empty() {
        let _ = writeln!(out, "  {}", diagnostic.primary.text);
    }
    for note in &diagnostic.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    // A fix says what to do as well as a help would.
    if let Some(help) = diagnostic.help.as_ref().or(diagnostic.fixes.first().map(|fix| &fix.title)) {
        let _ = writeln!(out, "  help: {help}");
    }
}

/// Whether all its lines are of a length that people read.
fn is_drawn(sources: &SourceMap, diagnostic: &Diagnostic) -> bool {
    let mut labels = std::iter::once(&diagnostic.primary).chain(&diagnostic.secondary);
    labels.all(|label| {
        let Some(source) = sources.get(label.span.source) else { return true };
        let is_short = |at: u32| source.line(source.line_of(at)).len() <= MAX_LINE;
        is_short(label.span.start) && is_short(label.span.end)
    })
}

/// The picture of the source with its marks.
fn draw(cache: &mut Cache<'_>, diagnostic: &Diagnostic, color: bool, out: &mut String) {
    let sources = cache.sources;
    let kind = match diagnostic.severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
    };
    let config = Config::default()
        .with_color(color)
        .with_compact(true)
        .with_index_type(IndexType::Byte)
        .with_char_set(if color { CharSet::Unicode } else { CharSet::Ascii });
    let at = |span: Span| {
        let text = sources.text(span.source);
        let start = (span.start as usize).min(text.len());
        (span.source.0, start..(span.end as usize).clamp(start, text.len()))
    };
    let mut report = Report::build(kind, at(diagnostic.primary.span)).with_config(config);
    let main = if diagnostic.severity == Severity::Error { Color::Red } else { Color::Yellow };
    let mut mark = |label: &Label, color: Color| {
        report.add_label(Mark::new(at(label.span)).with_message(&label.text).with_color(color));
    };
    mark(&diagnostic.primary, main);
    for label in &diagnostic.secondary {
        mark(label, Color::Cyan);
    }
    let mut drawn = Vec::new();
    if report.finish().write(&mut *cache, &mut drawn).is_ok() {
        // The first line repeats ours.
        let drawn = String::from_utf8_lossy(&drawn);
        for line in drawn.lines().skip(1).filter(|l| !l.trim().is_empty()) {
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

struct Cache<'s> {
    sources: &'s SourceMap,
    /// Those that were looked at: cutting a text into lines is worth doing once.
    texts: HashMap<u32, Source<String>>,
}

impl ariadne::Cache<u32> for Cache<'_> {
    type Storage = String;

    fn fetch(&mut self, id: &u32) -> Result<&Source<String>, impl std::fmt::Debug> {
        let text = self.sources.text(crate::source::SourceId(*id));
        let source = self.texts.entry(*id).or_insert_with(|| Source::from(text.to_string()));
        Ok::<_, &str>(&*source)
    }

    fn display<'a>(&self, id: &'a u32) -> Option<impl std::fmt::Display + 'a> {
        Some(self.sources.path(crate::source::SourceId(*id)).to_string())
    }
}

/// One object a line: `severity code message path line col help notes labels fixes`.
pub fn json(sources: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    let place = |span: Span| {
        let (path, line, col) = sources.location(span);
        serde_json::json!({ "path": path, "line": line, "col": col, "start": span.start, "end": span.end })
    };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let labels: Vec<_> = diagnostic
            .secondary
            .iter()
            .map(|l| serde_json::json!({ "place": place(l.span), "text": l.text }))
            .collect();
        let fixes: Vec<_> = diagnostic
            .fixes
            .iter()
            .map(|f| {
                let edits: Vec<_> = f
                    .edits
                    .iter()
                    .map(|(span, text)| serde_json::json!({ "place": place(*span), "text": text }))
                    .collect();
                serde_json::json!({ "title": f.title, "edits": edits })
            })
            .collect();
        let object = serde_json::json!({
            "severity": severity(diagnostic),
            "code": diagnostic.code.0,
            "message": diagnostic.message,
            "place": place(diagnostic.primary.span),
            "label": diagnostic.primary.text,
            "labels": labels,
            "notes": diagnostic.notes,
            "help": diagnostic.help,
            "fixes": fixes,
        });
        out.push_str(&object.to_string());
        out.push('\n');
    }
    out
}
