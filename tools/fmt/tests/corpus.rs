//! Every program of the repository: laid out twice is laid out once, and says what it said.

use stark_fmt::format;
use stark_syntax::source::SourceId;
use stark_syntax::{lex, parse};
use std::path::{Path, PathBuf};

/// Programs with the paths that messages show.
fn corpus() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pending: Vec<PathBuf> =
        ["tests", "examples", "std/src", "bench", "../shared/conformance"].iter().map(|f| root.join(f)).collect();
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|e| e == "stark")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            found.push((path.display().to_string(), text));
        }
    }
    found.sort();
    assert!(found.len() > 100, "the programs were not found");
    found
}

/// A tree without its spans. Texts of several lines are trees of their own layout, so what is compared is the debug form.
fn tree(text: &str) -> String {
    let parsed = parse(text, SourceId(0));
    let shown = format!("{:?}", parsed.module);
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some(at) = rest.find("Span { ") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

/// Texts of tokens and comments, without layout and without commas before closing brackets.
fn words(text: &str) -> Vec<String> {
    let lexed = lex(text, SourceId(0));
    let mut words: Vec<String> = Vec::new();
    for token in &lexed.tokens {
        if token.kind.closes() && words.last().is_some_and(|last| last == ",") {
            words.pop();
        }
        if !token.kind.is_layout() {
            words.push(text[token.start as usize..token.end as usize].to_string());
        }
    }
    let slice = |start: u32, end: u32| text[start as usize..end as usize].trim_end().to_string();
    words.extend(lexed.comments.iter().map(|comment| slice(comment.span.start, comment.span.end)));
    words
}

#[test]
fn every_program_keeps_its_meaning_and_has_one_layout() {
    let mut n_formatted = 0;
    for (path, text) in corpus() {
        let once = match format(&text) {
            Ok(once) => once,
            Err(diagnostics) => {
                let has_error = !parse(&text, SourceId(0)).diagnostics.is_empty();
                assert!(has_error, "{path}: {diagnostics:?}");
                continue;
            }
        };
        n_formatted += 1;
        let twice = format(&once).unwrap_or_else(|e| panic!("{path}: {e:?}\n{once}"));
        assert_eq!(once, twice, "{path}: formatting again changes it");
        assert_eq!(words(&text), words(&once), "{path}: other tokens or comments");
        assert_eq!(tree(&text), tree(&once), "{path}: another tree");
        let long = once.lines().find(|line| line.ends_with([' ', '\t']) && !text.contains(*line));
        assert_eq!(long, None, "{path}: blanks at the end of a line");
    }
    assert!(n_formatted > 100, "{n_formatted}");
}
