//! One `stark.toml`: what it may hold, and what is wrong with it.

use crate::limits::Limit;
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, Span};
use std::path::{Component, Path};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub const MANIFEST_NAME: &str = "stark.toml";

/// What a `stark.toml` says.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    pub name: String,
    pub name_span: Span,
    pub version: String,
    /// Relative to the package's folder, below it.
    pub entry: String,
    pub entry_span: Span,
    /// In the order of the text.
    pub dependencies: Vec<Dependency>,
    pub assets: Vec<Asset>,
    /// Of a program that runs.
    pub limits: Vec<(Limit, u64)>,
}

#[derive(Clone, Debug)]
pub struct Dependency {
    pub name: String,
    /// As written: relative to the package's folder, or absolute.
    pub path: String,
    pub span: Span,
}

/// A file that a bundle takes along.
#[derive(Clone, Debug)]
pub struct Asset {
    pub name: String,
    /// A path or a glob, relative to the package's folder, below it.
    pub path: String,
    /// `model`, `tokenizer`, `data`; told by the file's name when it is not said.
    pub kind: Option<String>,
    /// Whether it is packed.
    pub compress: bool,
    pub span: Span,
}

const KINDS: &[&str] = &["model", "tokenizer", "data"];

/// Whether a program can import a package of this name.
pub fn is_package_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts_well = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on_well = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    starts_well && goes_on_well && name.len() <= 64 && !stark_syntax::token::KEYWORDS.contains(&name)
}

/// Reads a manifest as far as it can be read.
pub fn read(source: SourceId, text: &str, out: &mut Vec<Diagnostic>) -> Manifest {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { source, out };
    if !errors.is_empty() {
        // What the text means is a guess now; only its errors are told.
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or("this is not TOML").to_string();
            reader.error(&span, format!("{MANIFEST_NAME} cannot be read: {message}"), "here");
        }
        return Manifest::default();
    }
    reader.manifest(&table)
}

struct Reader<'a> {
    source: SourceId,
    out: &'a mut Vec<Diagnostic>,
}

type Range = std::ops::Range<usize>;

impl Reader<'_> {
    fn span(&self, range: &Range) -> Span {
        Span::new(self.source, range.start, range.end)
    }

    fn problem(&self, range: &Range, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(codes::BAD_MANIFEST, message, self.span(range), label)
    }

    fn error(&mut self, range: &Range, message: impl Into<String>, label: impl Into<String>) {
        let problem = self.problem(range, message, label);
        self.out.push(problem);
    }

    /// A key that is not one of `known`.
    fn unknown(&mut self, range: &Range, what: &str, key: &str, known: &[&str]) {
        let near =
            known.iter().filter(|k| strsim::osa_distance(k, key) <= 2).min_by_key(|k| strsim::osa_distance(k, key));
        let mut problem = self.problem(range, format!("{what} has no key `{key}`"), "not known");
        problem = match near {
            Some(near) => problem
                .help(format!("did you mean `{near}`?"))
                .fix(format!("write `{near}`"), vec![(self.span(range), (*near).into())]),
            None => problem.help(format!("known here: {}", known.join(", "))),
        };
        self.out.push(problem);
    }

    fn manifest(&mut self, root: &Spanned<DeTable<'_>>) -> Manifest {
        let mut manifest = Manifest { entry: "main.stark".into(), version: "0.1.0".into(), ..Manifest::default() };
        let mut has_package = false;
        for (key, value) in in_order(root.get_ref()) {
            match key.get_ref().as_ref() {
                "package" => {
                    has_package = true;
                    if let Some(table) = self.table("[package]", value) {
                        self.package(&key.span(), table, &mut manifest);
                    }
                }
                "dependencies" => {
                    if let Some(table) = self.table("[dependencies]", value) {
                        for (name, value) in in_order(table) {
                            self.dependency(name.get_ref(), &name.span(), value, &mut manifest);
                        }
                    }
                }
                "assets" => {
                    if let Some(table) = self.table("[assets]", value) {
                        for (name, value) in in_order(table) {
                            self.asset(name.get_ref(), &name.span(), value, &mut manifest);
                        }
                    }
                }
                "limits" => {
                    if let Some(table) = self.table("[limits]", value) {
                        for (name, value) in in_order(table) {
                            self.limit(name.get_ref(), &name.span(), value, &mut manifest);
                        }
                    }
                }
                other => {
                    self.unknown(&key.span(), MANIFEST_NAME, other, &["package", "dependencies", "assets", "limits"]);
                }
            }
        }
        if !has_package {
            let problem = self.problem(&(0..0), format!("{MANIFEST_NAME} has no [package]"), "it belongs here");
            self.out.push(problem.help("begin it with `[package]` and `name = \"…\"`"));
        }
        manifest
    }

    fn package(&mut self, at: &Range, table: &DeTable<'_>, manifest: &mut Manifest) {
        let mut has_name = false;
        for (key, value) in in_order(table) {
            let range = value.span();
            match key.get_ref().as_ref() {
                "name" => {
                    has_name = true;
                    if let Some(name) = self.text("name", value) {
                        if !is_package_name(&name) {
                            self.bad_name(&range, &name);
                        }
                        (manifest.name, manifest.name_span) = (name, self.span(&range));
                    }
                }
                "version" => {
                    if let Some(version) = self.text("version", value) {
                        if !is_version(&version) {
                            let problem =
                                self.problem(&range, format!("`{version}` is not a version"), "not three numbers");
                            self.out.push(problem.help("three numbers with points between them, as in \"0.1.0\""));
                        }
                        manifest.version = version;
                    }
                }
                "entry" => {
                    if let Some(entry) = self.text("entry", value) {
                        if !entry.ends_with(".stark") {
                            self.error(&range, format!("the entry `{entry}` is not a .stark file"), "not a program");
                        } else {
                            self.inside("the entry", &entry, &range);
                        }
                        (manifest.entry, manifest.entry_span) = (entry, self.span(&range));
                    }
                }
                other => self.unknown(&key.span(), "[package]", other, &["name", "version", "entry"]),
            }
        }
        if !has_name {
            let problem = self.problem(at, "[package] has no `name`", "the name belongs here");
            self.out.push(problem.help("add `name = \"…\"`"));
        }
    }

    fn bad_name(&mut self, range: &Range, name: &str) {
        let problem = self.problem(range, format!("`{name}` cannot be a package's name"), "not a name to import");
        self.out.push(problem.help(
            "a name begins with a small letter, goes on with small letters, digits and `_`, has at most 64 of them and is no keyword",
        ));
    }

    fn dependency(&mut self, name: &str, at: &Range, value: &Spanned<DeValue<'_>>, manifest: &mut Manifest) {
        if !is_package_name(name) {
            return self.bad_name(at, name);
        }
        let Some(table) = value.get_ref().as_table() else {
            let found = kind_of(value.get_ref());
            let problem =
                self.problem(&value.span(), format!("a dependency is a table, this is {found}"), "not a table");
            return self.out.push(
                problem.help(format!("write `{name} = {{ path = \"../{name}\" }}`; packages come from folders")),
            );
        };
        let mut path = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "path" => path = self.text("path", value).map(|path| (path, value.span())),
                other => self.unknown(&key.span(), "a dependency", other, &["path"]),
            }
        }
        match path {
            Some((path, range)) => {
                manifest.dependencies.push(Dependency { name: name.into(), path, span: self.span(&range) });
            }
            None if table.iter().any(|(key, _)| key.get_ref().as_ref() == "path") => {}
            None => {
                let problem = self.problem(at, format!("dependency `{name}` has no `path`"), "where is it?");
                self.out.push(problem.help(format!("write `{name} = {{ path = \"../{name}\" }}`")));
            }
        }
    }

    /// A number, or a text for one with a unit.
    fn limit(&mut self, name: &str, at: &Range, value: &Spanned<DeValue<'_>>, manifest: &mut Manifest) {
        let Some(limit) = Limit::ALL.into_iter().find(|limit| limit.name() == name) else {
            return self.unknown(at, "[limits]", name, &Limit::ALL.map(Limit::name));
        };
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            // It may be written to base 16, too.
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(value) => value.to_string(),
                Err(_) => number.to_string(),
            },
            other => {
                let what = format!("`{name}` is a whole number or a text such as \"512M\", this is {}", kind_of(other));
                return self.error(&value.span(), what, "not a limit");
            }
        };
        match limit.parse(&text) {
            Ok(value) => manifest.limits.push((limit, value)),
            Err(why) => self.error(&value.span(), format!("`{name}`: {why}"), "not a limit"),
        }
    }

    fn asset(&mut self, name: &str, at: &Range, value: &Spanned<DeValue<'_>>, manifest: &mut Manifest) {
        let (mut path, mut kind, mut compress) = (None, None, false);
        match value.get_ref() {
            DeValue::String(_) => path = self.text("path", value).map(|path| (path, value.span())),
            DeValue::Table(table) => {
                for (key, value) in in_order(table) {
                    match key.get_ref().as_ref() {
                        "path" => path = self.text("path", value).map(|path| (path, value.span())),
                        "kind" => {
                            kind = self.text("kind", value);
                            if let Some(kind) = kind.as_deref().filter(|k| !KINDS.contains(k)) {
                                let what = format!("an asset has no kind `{kind}`");
                                let problem = self.problem(&value.span(), what, "not a kind");
                                self.out.push(problem.help(format!("the kinds are {}", KINDS.join(", "))));
                            }
                        }
                        "compress" => match value.get_ref().as_bool() {
                            Some(yes) => compress = yes,
                            None => {
                                let what = format!("`compress` is true or false, this is {}", kind_of(value.get_ref()));
                                self.error(&value.span(), what, "not a truth value");
                            }
                        },
                        other => self.unknown(&key.span(), "an asset", other, &["path", "kind", "compress"]),
                    }
                }
            }
            other => {
                let what = format!("an asset is a path or a table, this is {}", kind_of(other));
                self.error(&value.span(), what, "not a path");
                return;
            }
        }
        let Some((path, range)) = path else {
            let problem = self.problem(at, format!("asset `{name}` has no `path`"), "which file is it?");
            return self.out.push(problem.help(format!("write `{name} = \"models/{name}.pt\"`")));
        };
        self.inside("the asset", &path, &range);
        manifest.assets.push(Asset { name: name.into(), path, kind, compress, span: self.span(&range) });
    }

    /// A path that must stay below the package's folder.
    fn inside(&mut self, what: &str, path: &str, range: &Range) {
        let stays = !path.contains('\\')
            && Path::new(path).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !stays || path.is_empty() {
            let problem =
                self.problem(range, format!("{what} `{path}` is not below the package's folder"), "leads out of it");
            self.out.push(problem.help("write a path relative to the folder of this file, with `/` and without `..`"));
        }
    }

    fn table<'v, 'i>(&mut self, what: &str, value: &'v Spanned<DeValue<'i>>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let found = kind_of(value.get_ref());
            self.error(&value.span(), format!("{what} is a table, this is {found}"), "not a table");
        }
        table
    }

    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_string);
        if text.is_none() {
            let found = kind_of(value.get_ref());
            self.error(&value.span(), format!("`{key}` is a text in quotes, this is {found}"), "not a text");
        }
        text
    }
}

/// The rows of a table as they stand in the text.
fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<(&'v Spanned<std::borrow::Cow<'i, str>>, &'v Spanned<DeValue<'i>>)> {
    let mut rows: Vec<_> = table.iter().collect();
    rows.sort_by_key(|(key, _)| key.span().start);
    rows
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|p| p.parse::<u32>().is_ok_and(|n| n.to_string() == *p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Manifest, Vec<String>) {
        let mut out = Vec::new();
        let manifest = read(SourceId(0), text, &mut out);
        (manifest, out.into_iter().map(|d| format!("{} @{}", d.message, d.primary.span.start)).collect())
    }

    #[test]
    fn a_small_manifest_has_defaults() {
        let (manifest, problems) = check("[package]\nname = \"app\"\n");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((&*manifest.name, &*manifest.version, &*manifest.entry), ("app", "0.1.0", "main.stark"));
    }

    #[test]
    fn every_part_is_read() {
        let text = "[package]\nname = \"app\"\nversion = \"1.2.3\"\nentry = \"src/app.stark\"\n\n[dependencies]\nz = { path = \"../z\" }\na.path = \"/abs\"\n\n[assets]\nm = \"models/*.pt\"\nt = { path = \"t.json\", kind = \"tokenizer\" }\n";
        let (manifest, problems) = check(text);
        assert_eq!(problems, Vec::<String>::new());
        let names: Vec<_> = manifest.dependencies.iter().map(|d| (&*d.name, &*d.path)).collect();
        assert_eq!(names, [("z", "../z"), ("a", "/abs")]);
        let assets: Vec<_> = manifest.assets.iter().map(|a| (&*a.name, &*a.path, a.kind.as_deref())).collect();
        assert_eq!(assets, [("m", "models/*.pt", None), ("t", "t.json", Some("tokenizer"))]);
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let text = "[package]\nname = \"App\"\nverson = \"1\"\nentry = \"../x.stark\"\n[dependencies]\nb = \"1.0\"\nc = {}\n[dependency]\n";
        let (_, problems) = check(text);
        assert_eq!(
            problems,
            [
                "`App` cannot be a package's name @17",
                "[package] has no key `verson` @23",
                "the entry `../x.stark` is not below the package's folder @44",
                "a dependency is a table, this is a text @76",
                "dependency `c` has no `path` @82",
                "stark.toml has no key `dependency` @90",
            ]
        );
    }

    #[test]
    fn what_is_not_toml_is_told() {
        for text in ["[package", "name = ", "[package]\nname = \"a\"\nname = \"b\"\n", "\u{0}", "a = [1, \n"] {
            let (_, problems) = check(text);
            assert!(
                problems.iter().all(|p| p.starts_with("stark.toml cannot be read: ")) && !problems.is_empty(),
                "{text:?}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_name_can_be_imported() {
        for good in ["a", "http_tools", "v2"] {
            assert!(is_package_name(good), "{good}");
        }
        for bad in ["", "A", "2a", "a-b", "a.b", "async", "../a", "é", &"a".repeat(65)] {
            assert!(!is_package_name(bad), "{bad}");
        }
    }
}
