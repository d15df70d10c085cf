//! Names of modules: imports bound, lookups from inside out, private names kept private.

use super::graph::dotted;
use crate::hir::*;
use crate::session::{Checker, Def, ImportedName, nearest};
use stark_syntax::ast::{self, Import, ItemKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use stark_syntax::source::Span;
use std::rc::Rc;

impl<'a> Checker<'a> {
    /// What a bare name stands for in a module: its own and imported names, the prelude, std's modules.
    pub fn lookup(&self, module: ModuleId, name: &str) -> Option<Def> {
        let scope = self.scopes.get(module.index())?;
        if let Some(def) = scope.names.get(name) {
            return Some(def.clone());
        }
        if let Some(def) = self.prelude.get(name)
            && (!name.starts_with('_') || self.parsed[module.index()].is_std)
        {
            return Some(def.clone());
        }
        self.std_modules.get(name).map(|id| Def::Module(*id))
    }

    pub fn mark_import_used(&mut self, module: ModuleId, name: &str) {
        if let Some(scope) = self.scopes.get_mut(module.index())
            && let Some(import) = scope.imports.iter_mut().find(|i| &*i.name == name)
        {
            import.used = true;
        }
    }

    /// The module that `a` or `a.b` names.
    pub fn module_by_path(&mut self, from: ModuleId, path: &[&str]) -> Option<ModuleId> {
        let joined = path.join(".");
        if let Some(Def::Module(id)) = self.scopes[from.index()].names.get(joined.as_str()) {
            let id = *id;
            self.mark_import_used(from, &joined);
            return Some(id);
        }
        // A value of the module's own is nearer than the library's module of that name.
        let is_value =
            matches!(self.scopes[from.index()].names.get(joined.as_str()), Some(Def::Zone(_) | Def::Const(_)));
        if path.len() == 1 && !is_value {
            return self.std_modules.get(path[0]).copied();
        }
        None
    }

    /// A name of another module, with E0205 for a private and E0206 for an unknown one.
    pub fn lookup_in(&mut self, module: ModuleId, name: &str, from: ModuleId, span: Span) -> Option<Def> {
        let found =
            self.scopes[module.index()].names.get(name).filter(|_| self.scopes[module.index()].own.contains_key(name));
        match found.cloned() {
            Some(def) => {
                let both_std = self.parsed[module.index()].is_std && self.parsed[from.index()].is_std;
                if name.starts_with('_') && module != from && !both_std {
                    let declared = self.scopes[module.index()].own[name];
                    self.report(
                        Diagnostic::error(
                            codes::PRIVATE_NAME,
                            format!("`{name}` is private to module `{}`", self.parsed[module.index()].path),
                            span,
                            "cannot be used here",
                        )
                        .because(declared, "declared here; names that begin with `_` stay in their module"),
                    );
                }
                Some(def)
            }
            None => {
                let path = self.parsed[module.index()].path.clone();
                let mut d = Diagnostic::error(
                    codes::UNKNOWN_IMPORT,
                    format!("module `{path}` has no `{name}`"),
                    span,
                    "not found there",
                );
                let names: Vec<Rc<str>> = self.scopes[module.index()].own.keys().cloned().collect();
                let has = |n: &str| names.iter().any(|m| &**m == n);
                if let Some(ours) = crate::foreign::meant(name, has) {
                    d = d.help(format!("STARK calls it `{ours}`")).fix(format!("write `{ours}`"), vec![(span, ours)]);
                } else if let Some(near) = nearest(name, names.iter().map(|n| &**n)) {
                    d = d.help(format!("did you mean `{near}`?")).fix(format!("write `{near}`"), vec![(span, near)]);
                }
                self.report(d);
                None
            }
        }
    }

    /// Binds what each module imports; every module's own names are declared already.
    pub fn bind_imports(&mut self) {
        for m in 0..self.parsed.len() {
            let module = ModuleId(m as u32);
            let parsed: &'a [crate::session::Parsed] = self.parsed;
            for item in &parsed[m].ast.items {
                let ItemKind::Import(import) = &item.kind else { continue };
                match import {
                    Import::Module { path, alias } => {
                        let Some(target) = self.imported_module(module, path) else {
                            // Keeps later uses of the module quiet.
                            let bound = alias.as_ref().or(path.segments.first());
                            if let Some(bound) = bound {
                                self.bind_import(module, bound.name.clone(), Def::Fns(Vec::new()), bound.span);
                                self.mark_import_used(module, &bound.name);
                            }
                            continue;
                        };
                        self.note_module(path.span, target);
                        let name = alias.as_ref().map_or_else(|| Rc::from(dotted(path)), |a| a.name.clone());
                        let span = alias.as_ref().map_or(path.span, |a| a.span);
                        self.bind_import(module, name, Def::Module(target), span);
                    }
                    Import::Names { path, names } => {
                        let Some(target) = self.imported_module(module, path) else {
                            for (name, alias) in names {
                                // Keeps later uses of the names quiet.
                                let bound = alias.as_ref().unwrap_or(name);
                                self.bind_import(module, bound.name.clone(), Def::Fns(Vec::new()), bound.span);
                                self.mark_import_used(module, &bound.name);
                            }
                            continue;
                        };
                        self.note_module(path.span, target);
                        for (name, alias) in names {
                            let def = self.lookup_in(target, &name.name, module, name.span);
                            let bound = alias.as_ref().unwrap_or(name);
                            let known = def.is_some();
                            if let Some(def) = &def {
                                self.note_def(name.span, def);
                                self.note_def(bound.span, def);
                            }
                            let def = def.unwrap_or(Def::Fns(Vec::new()));
                            self.bind_import(module, bound.name.clone(), def, bound.span);
                            if !known {
                                self.mark_import_used(module, &bound.name);
                            }
                        }
                    }
                }
            }
        }
    }

    fn bind_import(&mut self, module: ModuleId, name: Rc<str>, def: Def, span: Span) {
        let scope = &mut self.scopes[module.index()];
        if scope.own.contains_key(&name) {
            return;
        }
        scope.imports.push(ImportedName { name: name.clone(), span, used: name.starts_with('_') });
        scope.names.insert(name, def);
    }

    fn imported_module(&mut self, from: ModuleId, path: &ast::Path) -> Option<ModuleId> {
        let name = dotted(path);
        let importer = &self.parsed[from.index()];
        let std = || self.parsed.iter().position(|p| p.is_std && !p.is_prelude && *p.path == *name);
        let found = importer.imports.get(&name).copied().or_else(|| std().map(|i| ModuleId(i as u32)));
        if found.is_some() {
            return found;
        }
        let meant = self.host.resolve(&importer.path, &name);
        let mut d = match (self.host.why_missing(&meant), meant.split_once("::")) {
            (Some(why), _) => {
                Diagnostic::error(codes::UNKNOWN_MODULE, format!("module `{name}` cannot be read"), path.span, why)
            }
            (None, Some((package, module))) if name.split('.').next() == Some(package) => Diagnostic::error(
                codes::UNKNOWN_MODULE,
                format!("package `{package}` has no module `{module}`"),
                path.span,
                format!("there is no `{}.stark` in it", module.replace('.', "/")),
            ),
            _ => Diagnostic::error(
                codes::UNKNOWN_MODULE,
                format!("there is no module `{name}`"),
                path.span,
                format!("neither `{}.stark` nor a module of the standard library", name.replace('.', "/")),
            ),
        };
        if let Some(way) = crate::foreign::module_way(&name) {
            d = d.help(way);
        } else if let Some(near) = nearest(&name, super::graph::std_module_names()) {
            d = d.help(format!("did you mean `{near}`?"));
        }
        self.report(d);
        None
    }

    /// Imports that nothing used.
    pub fn report_unused_imports(&mut self) {
        for m in 0..self.scopes.len() {
            if self.parsed[m].is_std {
                continue;
            }
            let unused: Vec<(Rc<str>, Span)> =
                self.scopes[m].imports.iter().filter(|i| !i.used).map(|i| (i.name.clone(), i.span)).collect();
            for (name, span) in unused {
                self.report(Diagnostic::warning(
                    codes::UNUSED,
                    format!("`{name}` is imported but never used"),
                    span,
                    "never used",
                ));
            }
        }
    }
}
