//! The attributes that a program may use, and the tests among its functions.

use super::actors::is_hook;
use crate::hir::*;
use crate::session::*;
use stark_syntax::ast::{self, ItemKind};
use stark_syntax::codes;
use stark_syntax::diagnostic::Diagnostic;
use std::rc::Rc;

/// Each attribute with what it stands on.
const KNOWN: &[(&str, &str)] =
    &[("batch", "an actor's handler"), ("unique", "a struct or enum"), ("test", "a function of a file")];

impl<'a> Checker<'a> {
    /// Reports what is not an attribute or stands in a wrong place. The library's own are not looked at.
    pub fn check_attributes(&mut self, item: &'a ast::Item) {
        let fits = match &item.kind {
            ItemKind::Fn(_) => "test",
            ItemKind::Struct(_) | ItemKind::Enum(_) => "unique",
            _ => "",
        };
        self.check_attributes_of(&item.attributes, fits);
        match &item.kind {
            ItemKind::Actor(actor) => {
                for m in &actor.methods {
                    let name = &m.decl.name.name;
                    let is_handler = !name.starts_with('_') && !is_hook(name);
                    self.check_attributes_of(&m.attributes, if is_handler { "batch" } else { "" });
                }
            }
            ItemKind::Struct(ast::Struct { methods, .. }) | ItemKind::Enum(ast::Enum { methods, .. }) => {
                methods.iter().for_each(|m| self.check_attributes_of(&m.attributes, ""));
            }
            ItemKind::Impl(imp) => imp.methods.iter().for_each(|m| self.check_attributes_of(&m.attributes, "")),
            ItemKind::Trait(t) => t.methods.iter().for_each(|m| self.check_attributes_of(&m.attributes, "")),
            _ => {}
        }
    }

    fn check_attributes_of(&mut self, attributes: &[ast::Attribute], fits: &str) {
        for attribute in attributes {
            let name = &*attribute.name.name;
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            let problem = match known {
                Some((known, _)) if *known == fits => continue,
                Some((_, place)) => {
                    let what = format!("`@{name}` does not belong here");
                    Diagnostic::error(codes::BAD_ATTRIBUTE, what, attribute.span, format!("it stands on {place}"))
                }
                None => {
                    let what = format!("there is no attribute `@{name}`");
                    let problem = Diagnostic::error(codes::BAD_ATTRIBUTE, what, attribute.span, "not known");
                    match nearest(name, KNOWN.iter().map(|(known, _)| *known)) {
                        Some(near) => problem.help(format!("did you mean `@{near}`?")),
                        None => problem.help("known are `@test`, `@batch` and `@unique`"),
                    }
                }
            };
            self.report(problem);
        }
    }

    /// Gives each `@test` function of the program's own file an entry: the script's statements, then the test.
    pub fn collect_tests(&mut self, root: ModuleId) {
        let parsed: &'a [Parsed] = self.parsed;
        for (i, item) in parsed[root.index()].ast.items.iter().enumerate() {
            let ItemKind::Fn(f) = &item.kind else { continue };
            let Some(attribute) = item.attributes.iter().find(|a| &*a.name.name == "test") else { continue };
            let Some(Def::Fns(ids)) = self.scopes[root.index()].names.get(&f.name.name) else { continue };
            let Some(&test) = ids.first() else { continue };
            let def = &self.program.fns[test.index()];
            let returns = !matches!(def.ret, Ty::Unit | Ty::Never | Ty::Error);
            let wrong = if !def.params.is_empty() {
                Some("takes no parameters")
            } else if !def.generics.is_empty() {
                Some("has no type parameters")
            } else if returns {
                Some("returns nothing")
            } else if def.kind == FnKind::Spawn {
                Some("is a plain or an `async` function")
            } else if let Some(arg) = attribute.args.first() {
                self.error(codes::BAD_ATTRIBUTE, "`@test` takes no arguments", arg.span, "remove it");
                continue;
            } else {
                None
            };
            if let Some(wrong) = wrong {
                let what = format!("a test {wrong}");
                self.error(codes::BAD_ATTRIBUTE, what, f.name.span, "marked `@test` here");
                continue;
            }
            let entry = self.new_fn(&Rc::from("main"), root, f.name.span, FnSource::Test(test), i);
            self.program.tests.push(Test { name: f.name.name.clone(), entry, span: f.name.span });
        }
    }
}
