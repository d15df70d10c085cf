//! The extension for Visual Studio Code against the language it is for.

use serde_json::Value;
use stark_syntax::token::KEYWORDS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/vscode")
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The words of the alternatives `\b(?:a|b)\b` and `\bword\b` in a rule.
fn words(rules: &Value, out: &mut BTreeSet<String>) {
    for rule in rules["patterns"].as_array().expect("rules") {
        let pattern = rule["match"].as_str().expect("a pattern").trim_start_matches("\\b").trim_end_matches("\\b");
        let inner = pattern.strip_prefix("(?:").and_then(|p| p.strip_suffix(')')).unwrap_or(pattern);
        out.extend(inner.split('|').map(String::from));
    }
}

#[test]
fn the_grammar_colours_the_keywords_of_the_lexer_and_no_others() {
    let grammar = json("syntaxes/stark.tmLanguage.json");
    let mut coloured = BTreeSet::new();
    words(&grammar["repository"]["keywords"], &mut coloured);
    let keywords: BTreeSet<String> = KEYWORDS.iter().map(|k| k.to_string()).collect();
    assert_eq!(coloured, keywords);
}

#[test]
fn what_the_grammar_includes_is_there() {
    fn check(rule: &Value, grammar: &Value) {
        match rule {
            Value::Object(fields) => {
                if let Some(name) = fields.get("include").and_then(Value::as_str) {
                    let name = name.trim_start_matches('#');
                    assert!(grammar["repository"].get(name).is_some(), "no rule `{name}`");
                }
                fields.values().for_each(|v| check(v, grammar));
            }
            Value::Array(list) => list.iter().for_each(|v| check(v, grammar)),
            _ => {}
        }
    }
    let grammar = json("syntaxes/stark.tmLanguage.json");
    check(&grammar, &grammar);
}

#[test]
fn the_manifest_names_files_that_are_there() {
    let manifest = json("package.json");
    let contributed = &manifest["contributes"];
    let language = &contributed["languages"][0];
    assert_eq!(language["extensions"][0], ".stark");
    assert_eq!(contributed["grammars"][0]["language"], language["id"]);
    let paths = [&manifest["main"], &language["configuration"], &contributed["grammars"][0]["path"]];
    for path in paths {
        let path = path.as_str().expect("a path");
        assert!(folder().join(path).is_file(), "{path}");
    }
    let code = std::fs::read_to_string(folder().join("extension.js")).expect("the extension");
    for setting in contributed["configuration"]["properties"].as_object().expect("settings").keys() {
        let name = setting.strip_prefix("stark.").expect("our settings");
        // The client library reads the trace setting by itself.
        assert!(code.contains(&format!("\"{name}\"")) || name == "trace.server", "{setting} is read by nobody");
    }
    json("language-configuration.json");
}
