//! Which files a program consists of: the library, the program's own file, and what they import, each parsed once.

use crate::Host;
use crate::hir::ModuleId;
use crate::session::Parsed;
use stark_syntax::ast::{self, Import, ItemKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::{SourceId, SourceMap, Span};
use std::collections::HashMap;
use std::rc::Rc;

/// How deep and how many modules one program may import.
const MAX_MODULES: usize = 4096;

/// The library's modules, the prelude's files with an empty name.
fn load_std(sources: &mut SourceMap, diagnostics: &mut Vec<Diagnostic>) -> Vec<Parsed> {
    let mut out = Vec::new();
    for (path, text) in stark_std::SOURCES {
        let name = path.trim_end_matches(".stark");
        let is_prelude = name.starts_with("prelude/") || name.starts_with("prelude.");
        let source = sources.add(format!("std/{name}.stark"), *text);
        let ast = parse(source, text, diagnostics);
        let path = Rc::from(name.replace('/', "."));
        out.push(Parsed { path, imports: HashMap::new(), source, is_std: true, is_prelude, ast });
    }
    out
}

fn parse(source: SourceId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> ast::Module {
    let parsed = stark_syntax::parser::parse(text, source);
    diagnostics.extend(parsed.diagnostics);
    parsed.module
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

/// Every module of the program. The root's index comes second.
pub fn load(
    sources: &mut SourceMap,
    root: SourceId,
    host: &dyn Host,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<Parsed>, usize) {
    let mut modules = load_std(sources, diagnostics);
    let root_idx = modules.len();
    let own = |path: &str, source, ast| Parsed {
        path: Rc::from(path),
        imports: HashMap::new(),
        source,
        is_std: false,
        is_prelude: false,
        ast,
    };
    let text = sources.text(root).to_string();
    modules.push(own("", root, parse(root, &text, diagnostics)));
    let mut known: HashMap<String, ModuleId> = HashMap::from([(String::new(), ModuleId(root_idx as u32))]);
    let mut next = root_idx;
    while next < modules.len() {
        let wanted: Vec<(String, Span)> =
            imports(&modules[next].ast).into_iter().map(|p| (dotted(p), p.span)).collect();
        for (path, span) in wanted {
            let name = host.resolve(&modules[next].path, &path);
            if let Some(id) = known.get(&name) {
                modules[next].imports.insert(path, *id);
                continue;
            }
            // What is not there is reported where the import is bound: the library may have it.
            let Some((display, text)) = host.load(&name) else { continue };
            if modules.len() - root_idx >= MAX_MODULES {
                diagnostics.push(Diagnostic::error(
                    codes::UNKNOWN_MODULE,
                    format!("a program may have {MAX_MODULES} modules"),
                    span,
                    "one too many",
                ));
                return (modules, root_idx);
            }
            let id = ModuleId(modules.len() as u32);
            let source = sources.add(display, text.clone());
            let ast = parse(source, &text, diagnostics);
            modules.push(own(&name, source, ast));
            modules[next].imports.insert(path, id);
            known.insert(name, id);
        }
        next += 1;
    }
    (modules, root_idx)
}
