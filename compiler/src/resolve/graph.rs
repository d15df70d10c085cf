//! Which files a program consists of: the library, the program's own file, and what they import, each parsed once.

use crate::Host;
use crate::hir::ModuleId;
use crate::session::Parsed;
use stark_syntax::ast::{self, Import, ItemKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, SourceMap};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How deep and how many modules one program may import.
const MAX_MODULES: usize = 4096;

/// Reads texts and remembers which modules they may mention.
struct Reader<'s> {
    sources: &'s mut SourceMap,
    diagnostics: &'s mut Vec<Diagnostic>,
    mentioned: HashSet<Rc<str>>,
}

impl Reader<'_> {
    fn parse(&mut self, source: SourceId, text: &str) -> ast::Module {
        let parsed = stark_syntax::parser::parse(text, source);
        self.diagnostics.extend(parsed.diagnostics);
        self.mentioned.extend(parsed.module_names);
        parsed.module
    }

    /// The library was parsed when STARK was built: its text is kept to be shown, and never read here.
    fn std_file(&mut self, path: &str, text: &'static str, tree: &[u8]) -> Parsed {
        let source = self.sources.add_static(format!("std/{path}.stark"), text);
        let stored =
            stark_syntax::stored::read(tree, source).expect("the build wrote this tree, and a test reads each");
        self.mentioned.extend(stored.module_names);
        let ast = stored.module;
        let path_name = Rc::from(path.replace('/', "."));
        Parsed { path: path_name, imports: HashMap::new(), source, is_std: true, is_prelude: is_prelude(path), ast }
    }
}

/// The library's files: path, text, tree.
fn std_files() -> impl Iterator<Item = (&'static str, &'static str, &'static [u8])> {
    stark_std::SOURCES.iter().zip(stark_std::TREES).map(|((path, text), (_, tree))| (*path, *text, *tree))
}

fn is_prelude(path: &str) -> bool {
    path.starts_with("prelude/")
}

/// The library's modules that are visible by name.
pub fn std_module_names() -> impl Iterator<Item = &'static str> {
    stark_std::SOURCES.iter().map(|(path, _)| *path).filter(|path| !is_prelude(path))
}

/// The modules an AST imports, with the places that do.
fn imports(module: &ast::Module) -> Vec<&ast::Path> {
    module
        .items
        .iter()
        .filter_map(|item| match &item.kind {
            ItemKind::Import(Import::Module { path, .. } | Import::Names { path, .. }) => Some(path),
            _ => None,
        })
        .collect()
}

pub fn dotted(path: &ast::Path) -> String {
    path.segments.iter().map(|s| &*s.name).collect::<Vec<_>>().join(".")
}

/// Every module of the program: the library's first, then the root, whose index comes second, then what it imports.
///
/// Of the library's modules only those are read that some text mentions: a module nobody names costs nothing. An editor, which
/// tells what could be named, wants the whole library.
pub fn load(
    sources: &mut SourceMap,
    root: SourceId,
    host: &dyn Host,
    whole_library: bool,
    entry: Option<&crate::Entry>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Parsed>, usize) {
    let text = sources.text(root).to_string();
    let mut reader = Reader { sources, diagnostics, mentioned: HashSet::new() };
    let (prelude, mut waiting): (Vec<_>, Vec<_>) = std_files().partition(|(path, ..)| is_prelude(path));
    let mut library: Vec<Parsed> =
        prelude.into_iter().map(|(path, text, tree)| reader.std_file(path, text, tree)).collect();
    let mut ast = reader.parse(root, &text);
    if let Some(entry) = entry {
        let earlier = entry.earlier.iter().map(|source| {
            let text = reader.sources.text(*source).to_string();
            reader.parse(*source, &text)
        });
        let earlier = earlier.collect();
        crate::entry::with_earlier(&mut ast, earlier, root);
    }
    let mut own = vec![own_module("", root, ast)];
    read_imports(&mut own, host, &mut reader);
    loop {
        let is_wanted = |path: &str| whole_library || reader.mentioned.contains(path);
        let (wanted, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(path, ..)| is_wanted(path));
        if wanted.is_empty() {
            break;
        }
        library.extend(wanted.into_iter().map(|(path, text, tree)| reader.std_file(path, text, tree)));
        waiting = others;
    }
    let root_idx = library.len();
    // They were counted from the program's own file.
    own.iter_mut().flat_map(|m| m.imports.values_mut()).for_each(|id| id.0 += root_idx as u32);
    library.append(&mut own);
    (library, root_idx)
}

fn own_module(path: &str, source: SourceId, ast: ast::Module) -> Parsed {
    Parsed { path: Rc::from(path), imports: HashMap::new(), source, is_std: false, is_prelude: false, ast }
}

/// Adds the program's own modules that those of the list import, until nothing new appears.
fn read_imports(modules: &mut Vec<Parsed>, host: &dyn Host, reader: &mut Reader) {
    let mut known: HashMap<String, ModuleId> = HashMap::from([(String::new(), ModuleId(0))]);
    let mut next = 0;
    while next < modules.len() {
        let wanted: Vec<(String, stark_syntax::source::Span)> =
            imports(&modules[next].ast).into_iter().map(|p| (dotted(p), p.span)).collect();
        for (path, span) in wanted {
            let name = host.resolve(&modules[next].path, &path);
            if let Some(id) = known.get(&name) {
                modules[next].imports.insert(path, *id);
                continue;
            }
            // A module that is not there is reported where the import is resolved: it may be one of the library's.
            let Some((display, text)) = host.load(&name) else { continue };
            if modules.len() >= MAX_MODULES {
                reader.diagnostics.push(Diagnostic::error(
                    codes::UNKNOWN_MODULE,
                    format!("a program may have {MAX_MODULES} modules"),
                    span,
                    "one too many",
                ));
                return;
            }
            let id = ModuleId(modules.len() as u32);
            let source = reader.sources.add(display, text.clone());
            let ast = reader.parse(source, &text);
            modules.push(own_module(&name, source, ast));
            modules[next].imports.insert(path, id);
            known.insert(name, id);
        }
        next += 1;
    }
}
