//! `stark fix FILE…`

use crate::load;
use stark_syntax::diagnostic::{Diagnostic, Severity};
use stark_syntax::source::{SourceId, Span};
use std::path::{Path, PathBuf};

/// Apply the fixes that `stark check` suggests
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stark fix service.stark\n  stark fix --dry-run service.stark    says what it would do\n\nFixes are applied in rounds until none is left; what two fixes both change waits for the next round.\nOnly the files named are changed, not the modules they import.\nExit status: 0 when no error is left, 2 when some are."
)]
pub struct Args {
    /// The programs
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// How often to look for fixes again at most
    #[arg(long, default_value_t = 32)]
    rounds: usize,
}

pub fn main(args: &Args) -> i32 {
    let mut status = 0;
    for file in &args.files {
        match fix(file, args) {
            Ok(has_errors) => {
                if has_errors {
                    status = super::REFUSED;
                }
            }
            Err(message) => status = super::refuse(message),
        }
    }
    status
}

/// One file; whether errors are left in it.
fn fix(path: &Path, args: &Args) -> Result<bool, String> {
    let before = load::text(path)?;
    let mut text = before.clone();
    let mut n_applied = 0;
    for _ in 0..args.rounds {
        let checked = load::compile_text(path, text.clone(), false);
        let (next, applied) = round(&text, &checked);
        if applied.is_empty() {
            break;
        }
        for Applied { at, code, title } in &applied {
            let (shown, line, column) = checked.sources.location(*at);
            println!("{shown}:{line}:{column}: {title} ({code})");
        }
        n_applied += applied.len();
        text = next;
    }
    if text != before && !args.dry_run {
        load::write_atomically(path, text.as_bytes())?;
    }
    let left = load::compile_text(path, text, false);
    load::report(&left.sources, &left.diagnostics, false);
    let (verb, plural) = (if args.dry_run { "would apply" } else { "applied" }, if n_applied == 1 { "" } else { "es" });
    println!("{}: {verb} {n_applied} fix{plural}", path.display());
    Ok(left.has_errors())
}

struct Applied {
    at: Span,
    code: &'static str,
    title: String,
}

/// Applies the fixes that do not touch each other.
fn round(text: &str, checked: &load::Compiled) -> (String, Vec<Applied>) {
    let candidates: Vec<&Diagnostic> = checked.diagnostics.iter().filter(|d| is_certain(d)).collect();
    let (all, applied) = apply(text, &candidates);
    if n_syntax_errors(&all) <= n_syntax_errors(text) {
        return (all, applied);
    }
    // One of them does harm: each is tried alone, and the harmless ones are kept.
    let keeps = |d: &&Diagnostic| n_syntax_errors(&apply(text, &[*d]).0) <= n_syntax_errors(text);
    let harmless: Vec<&Diagnostic> = candidates.into_iter().filter(keeps).collect();
    let (some, applied) = apply(text, &harmless);
    if n_syntax_errors(&some) <= n_syntax_errors(text) { (some, applied) } else { (text.to_string(), Vec::new()) }
}

/// A diagnostic of the file itself with one way out.
fn is_certain(diagnostic: &Diagnostic) -> bool {
    let root = SourceId(0);
    diagnostic.fixes.len() == 1 && diagnostic.fixes[0].edits.iter().all(|(span, _)| span.source == root)
}

fn n_syntax_errors(text: &str) -> usize {
    let parsed = stark_syntax::parse(text, SourceId(0));
    parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
}

fn apply(text: &str, diagnostics: &[&Diagnostic]) -> (String, Vec<Applied>) {
    let mut edits: Vec<&(Span, String)> = Vec::new();
    let mut applied = Vec::new();
    for diagnostic in diagnostics {
        let fix = &diagnostic.fixes[0];
        let fits = |(span, _): &(Span, String)| {
            let in_text = span.start <= span.end && text.get(span.start as usize..span.end as usize).is_some();
            in_text && !edits.iter().any(|(other, _)| touches(*span, *other))
        };
        if fix.edits.iter().all(fits) {
            edits.extend(&fix.edits);
            let (at, code) = (diagnostic.primary.span, diagnostic.code.0);
            applied.push(Applied { at, code, title: fix.title.clone() });
        }
    }
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (span, instead) in edits {
        out.push_str(&text[copied..span.start as usize]);
        out.push_str(instead);
        copied = span.end as usize;
    }
    out.push_str(&text[copied..]);
    (out, applied)
}

/// Whether two changes meet; insertions at one place do.
fn touches(a: Span, b: Span) -> bool {
    a.start < b.end && b.start < a.end || a.start == b.start
}

#[cfg(test)]
mod tests {
    use super::*;
    use stark_syntax::codes;

    fn replace(start: usize, end: usize, instead: &str) -> Diagnostic {
        let span = Span::new(SourceId(0), start, end);
        Diagnostic::error(codes::FOREIGN, "m", span, "l").fix("t", vec![(span, instead.to_string())])
    }

    #[test]
    fn what_meets_waits() {
        let (a, b, c) = (replace(0, 2, "X"), replace(1, 3, "Y"), replace(3, 3, "Z"));
        let (text, applied) = apply("abcd", &[&a, &b, &c]);
        assert_eq!((text.as_str(), applied.len()), ("XcZd", 2));
    }

    #[test]
    fn a_fix_outside_the_text_is_left_out() {
        let (text, applied) = apply("é", &[&replace(1, 2, ""), &replace(5, 9, "x")]);
        assert_eq!((text.as_str(), applied.len()), ("é", 0));
    }
}
