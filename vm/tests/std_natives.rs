//! The library's declarations of natives against the table of the VM: both say which may make a task wait. The compiler
//! believes the declaration, the interpreter the table.

use stark_syntax::ast::{Attribute, ExprKind, ItemKind, Literal};
use stark_syntax::source::SourceMap;

/// What `@native("name", suspends)` says, when it is one.
fn native(attribute: &Attribute) -> Option<(String, bool)> {
    if &*attribute.name.name != "native" {
        return None;
    }
    let (first, flags) = attribute.args.split_first()?;
    let ExprKind::Literal(Literal::Str(name)) = &first.value.kind else { return None };
    let suspends = flags.iter().any(|f| matches!(&f.value.kind, ExprKind::Name(n) if &**n == "suspends"));
    Some((name.to_string(), suspends))
}

/// Every native that the library declares, with the file.
fn declared() -> Vec<(String, bool, &'static str)> {
    let mut found = Vec::new();
    for (path, text) in stark_std::SOURCES {
        let mut sources = SourceMap::new();
        let source = sources.add(*path, *text);
        let parsed = stark_syntax::parser::parse(text, source);
        for item in &parsed.module.items {
            let mut attributes: Vec<&Attribute> = item.attributes.iter().collect();
            match &item.kind {
                ItemKind::Impl(i) => attributes.extend(i.methods.iter().flat_map(|m| &m.attributes)),
                ItemKind::Trait(t) => attributes.extend(t.methods.iter().flat_map(|m| &m.attributes)),
                _ => {}
            }
            found.extend(attributes.into_iter().filter_map(native).map(|(name, suspends)| (name, suspends, *path)));
        }
    }
    found
}

#[test]
fn declarations_and_table_agree_on_what_suspends() {
    let declared = declared();
    assert!(declared.len() > 100, "only {} natives found", declared.len());
    let wrong: Vec<String> = declared
        .iter()
        .filter_map(|(name, suspends, path)| {
            let row = stark_vm::natives::find(name)?;
            (row.suspends != *suspends)
                .then(|| format!("{name} in {path}: declared {suspends}, in the table {}", row.suspends))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
