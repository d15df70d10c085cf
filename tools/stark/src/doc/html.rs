//! The pages: an index, one page a module, the sources with their lines, a style sheet and the search.

use super::Output;
use super::model::{Entry, Group, Kind, Module};
use super::signature::{Piece, Signature};
use super::text;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::{BTreeMap, HashMap};

const STYLE: &str = include_str!("style.css");
const SEARCH: &str = include_str!("search.js");

/// All files of the site, the index first.
pub fn site(title: &str, modules: &[Module]) -> Vec<Output> {
    let site = Site { title, modules, types: Types::new(modules) };
    let mut files = vec![Output { path: "index.html".into(), text: site.index() }];
    for module in modules {
        files.push(Output { path: format!("module/{}.html", module.file()), text: site.page(module) });
        files.push(Output { path: format!("source/{}.html", module.file()), text: site.source(module) });
    }
    files.push(Output { path: "search-index.js".into(), text: site.search_index() });
    files.push(Output { path: "search.js".into(), text: SEARCH.into() });
    files.push(Output { path: "style.css".into(), text: STYLE.into() });
    files
}

/// Where the types are: in a module by their bare names, elsewhere with the module's name, and those of the prelude everywhere.
struct Types {
    /// By module and name.
    own: HashMap<(usize, String), String>,
    everywhere: HashMap<String, String>,
}

impl Types {
    fn new(modules: &[Module]) -> Types {
        let mut types = Types { own: HashMap::new(), everywhere: HashMap::new() };
        for (i, module) in modules.iter().enumerate() {
            for entry in module.entries.iter().filter(|e| e.kind.is_type()) {
                let href = format!("{}.html#{}", escape(&module.file()), escape(&entry.name));
                types.own.insert((i, entry.name.clone()), href.clone());
                if module.is_prelude() {
                    types.everywhere.insert(entry.name.clone(), href.clone());
                }
                let last = module.name.rsplit('.').next().unwrap_or(&module.name);
                types.everywhere.entry(format!("{last}.{}", entry.name)).or_insert_with(|| href.clone());
            }
        }
        // Names that the language has for types of the prelude are entries without a declaration.
        for module in modules.iter().filter(|m| m.is_prelude()) {
            for entry in module.entries.iter().filter(|e| e.kind == Kind::Impl) {
                let href = format!("{}.html#{}", escape(&module.file()), escape(&entry.name));
                types.everywhere.entry(entry.name.clone()).or_insert(href);
            }
        }
        types
    }

    /// From one page of a module to the type.
    fn find(&self, from: usize, name: &str) -> Option<String> {
        self.own.get(&(from, name.to_string())).or_else(|| self.everywhere.get(name)).cloned()
    }
}

/// For an address: what is not a letter, digit or one of `-._~` in `%` escapes.
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

struct Site<'a> {
    title: &'a str,
    modules: &'a [Module],
    types: Types,
}

impl Site<'_> {
    /// `root` leads to the folder of the index.
    fn frame(&self, title: &str, root: &str, main: Markup) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    link rel="stylesheet" href={ (root) "style.css" };
                }
                body data-root=(root) {
                    header {
                        a.home href={ (root) "index.html" } { (self.title) }
                        input #search type="search" placeholder="Search (press /)" autocomplete="off" aria-label="Search";
                        ol #results {}
                    }
                    main { (main) }
                    script src={ (root) "search-index.js" } {}
                    script src={ (root) "search.js" } {}
                }
            }
        };
        page.into_string()
    }

    fn index(&self) -> String {
        let (prelude, others): (Vec<&Module>, Vec<&Module>) = self.modules.iter().partition(|m| m.is_prelude());
        let list = |modules: &[&Module]| {
            html! {
                dl.modules {
                    @for module in modules {
                        dt { a href={ "module/" (escape(&module.file())) ".html" } { (module.title()) } }
                        dd { (self.line(&module.doc)) }
                    }
                }
            }
        };
        let main = html! {
            h1 { (self.title) }
            @if !others.is_empty() {
                h2 { "Modules" }
                (list(&others))
            }
            @if !prelude.is_empty() {
                h2 { "Known everywhere, without a module's name" }
                (list(&prelude))
            }
        };
        self.frame(self.title, "", main)
    }

    /// The first sentence of a comment, its code in place.
    fn line(&self, doc: &str) -> Markup {
        let html = text::doc(&text::summary(doc), &|_| None).into_string();
        let inner = html.trim().strip_prefix("<p>").and_then(|h| h.strip_suffix("</p>")).unwrap_or("");
        PreEscaped(inner.to_string())
    }

    fn page(&self, module: &Module) -> String {
        let here = self.modules.iter().position(|m| std::ptr::eq(m, module)).unwrap_or(0);
        let link = |name: &str| self.types.find(here, name);
        let mut headings: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
        for entry in &module.entries {
            let heading = Kind::HEADINGS.iter().position(|h| *h == entry.kind.words().1).unwrap_or(0);
            headings.entry(heading).or_default().push(entry);
        }
        let main = html! {
            div.page {
                nav {
                    @for (heading, entries) in &headings {
                        h2 { (Kind::HEADINGS[*heading]) }
                        ul {
                            @for entry in entries {
                                li { a href={ "#" (escape(&entry.name)) } { (entry.name) } }
                            }
                        }
                    }
                }
                article {
                    h1 { span.kind { @if module.is_prelude() { "prelude " } @else { "module " } } (module.title()) }
                    (text::doc(&module.doc, &link))
                    @for (heading, entries) in &headings {
                        h2 { (Kind::HEADINGS[*heading]) }
                        @for entry in entries { (self.entry(module, here, entry)) }
                    }
                }
            }
        };
        self.frame(&format!("{} - {}", module.title(), self.title), "../", main)
    }

    fn entry(&self, module: &Module, here: usize, entry: &Entry) -> Markup {
        let link = |name: &str| self.types.find(here, name);
        html! {
            section.entry id=(entry.name) {
                h3 {
                    a href={ "#" (escape(&entry.name)) } { (entry.name) }
                    (self.source_link(module, entry.line))
                }
                @for signature in &entry.signatures { (self.signature(here, signature)) }
                (text::doc(&entry.doc, &link))
                @for group in &entry.groups { (self.group(module, here, entry, group)) }
            }
        }
    }

    fn group(&self, module: &Module, here: usize, entry: &Entry, group: &Group) -> Markup {
        let link = |name: &str| self.types.find(here, name);
        html! {
            div.group {
                @if !group.head.is_empty() { (self.signature(here, &group.head)) }
                @for method in &group.methods {
                    @let id = format!("{}.{}", entry.name, method.name);
                    section.method id=(id) {
                        h4 {
                            a href={ "#" (escape(&id)) } { (method.name) }
                            (self.source_link(module, method.line))
                        }
                        @for signature in &method.signatures { (self.signature(here, signature)) }
                        (text::doc(&method.doc, &link))
                    }
                }
            }
        }
    }

    fn source_link(&self, module: &Module, line: usize) -> Markup {
        html! { a.source href={ "../source/" (escape(&module.file())) ".html#" (line) } title="source" { "source" } }
    }

    fn signature(&self, here: usize, signature: &Signature) -> Markup {
        html! {
            pre.signature { code {
                @for piece in &signature.0 {
                    @match piece {
                        Piece::Text(text) => (text),
                        Piece::Keyword(word) => span.keyword { (word) },
                        Piece::Name(name) => span.name { (name) },
                        Piece::Type(name) => {
                            @match self.types.find(here, name) {
                                Some(href) => a.type href=(href) { (name) },
                                None => span.type { (name) },
                            }
                        },
                    }
                }
            } }
        }
    }

    fn source(&self, module: &Module) -> String {
        // Coloured as a whole, since a text may go over several lines; then the lines get their numbers.
        let code = text::highlight(&module.text).into_string();
        let main = html! {
            h1 { span.kind { "source of " } a href={ "../module/" (escape(&module.file())) ".html" } { (module.title()) } }
            div.listing {
                pre.numbers { @for (i, _) in module.text.lines().enumerate() { a id=(i + 1) href={ "#" (i + 1) } { (i + 1) } "\n" } }
                pre.code { code { (PreEscaped(code)) } }
            }
        };
        self.frame(&format!("{} - source - {}", module.title(), self.title), "../", main)
    }

    /// What the search looks through: name, kind, page and first sentence of everything.
    fn search_index(&self) -> String {
        let mut rows = Vec::new();
        for module in self.modules {
            let page = format!("module/{}.html", escape(&module.file()));
            let title = module.title();
            rows.push([title.to_string(), "module".into(), page.clone(), text::summary(&module.doc)]);
            // What the prelude holds is known by its bare name.
            let prefix = if module.is_prelude() { String::new() } else { format!("{title}.") };
            for entry in &module.entries {
                let name = format!("{prefix}{}", entry.name);
                if entry.kind != Kind::Impl {
                    let at = format!("{page}#{}", escape(&entry.name));
                    rows.push([name.clone(), entry.kind.words().0.into(), at, text::summary(&entry.doc)]);
                }
                for method in entry.groups.iter().flat_map(|g| &g.methods) {
                    let at = format!("{page}#{}.{}", escape(&entry.name), escape(&method.name));
                    rows.push([format!("{name}.{}", method.name), "method".into(), at, text::summary(&method.doc)]);
                }
            }
        }
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("[{}]", row.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(",")))
            .collect();
        format!("window.STARK_INDEX = [\n{}\n];\n", rows.join(",\n"))
    }
}

/// A text of JavaScript, also where it stands inside HTML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
