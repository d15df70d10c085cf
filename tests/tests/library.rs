//! The library and the machine agree: every `@native` of `std/` has a row in the natives table with the same scheme, and the other way round.

use stark_syntax::ast::{Attribute, ExprKind, Fn, GenericParam, ItemKind, Literal, Module, ParamMode, Type, TypeKind};
use std::collections::BTreeMap;

/// Declared `@native`, but made by the compiler: there is no row.
const BY_COMPILER: [&str; 2] = ["by_compiler", "is_structural"];

/// Schemes by native name. A native may be declared more than once.
type Declared = BTreeMap<String, Vec<String>>;

fn parsed() -> Vec<(&'static str, Module)> {
    let parse = |&(path, text): &(&'static str, &str)| {
        let parse = stark_syntax::parse(text, Default::default());
        let complaints: Vec<String> = parse.diagnostics.iter().map(|d| d.message.clone()).collect();
        assert!(complaints.is_empty(), "{path}: {complaints:?}");
        (path, parse.module)
    };
    stark_std::SOURCES.iter().map(parse).collect()
}

fn native_name(attributes: &[Attribute]) -> Option<String> {
    let native = attributes.iter().find(|a| &*a.name.name == "native")?;
    match &native.args.first()?.value.kind {
        ExprKind::Literal(Literal::Str(name)) => Some(name.to_string()),
        _ => None,
    }
}

/// Type parameters by name: what they are called is nobody's business, so they become `T0, T1, …`.
struct Scope(Vec<String>);

impl Scope {
    fn show(&self, ty: &Type, self_ty: &str) -> String {
        let list = |types: &[Type]| types.iter().map(|t| self.show(t, self_ty)).collect::<Vec<_>>().join(", ");
        match &ty.kind {
            TypeKind::Path { path, args, .. } => {
                let name = path.segments.iter().map(|s| &*s.name).collect::<Vec<_>>().join(".");
                if let Some(i) = self.0.iter().position(|generic| *generic == name) {
                    return format!("T{i}");
                }
                let name = match name.as_str() {
                    "Self" => return self_ty.to_string(),
                    // What takes anything iterable is handed a `Vec`.
                    "Iterable" => "Vec",
                    name => name,
                };
                if args.is_empty() { name.to_string() } else { format!("{name}<{}>", list(args)) }
            }
            TypeKind::Tuple(items) => format!("({})", list(items)),
            TypeKind::Ref { inner, .. } => self.show(inner, self_ty),
            TypeKind::Fn { params, ret } => {
                let params: Vec<String> = params.iter().map(|(_, ty)| self.show(ty, self_ty)).collect();
                let ret = ret.as_ref().map_or("()".into(), |ty| self.show(ty, self_ty));
                format!("fn({}) -> {ret}", params.join(", "))
            }
            other => panic!("a native with a parameter of type {other:?}"),
        }
    }
}

fn scheme(decl: &Fn, outer: &[GenericParam], self_ty: Option<&Type>, in_trait: bool) -> String {
    let outer_names = outer.iter().map(|g| g.name.name.to_string());
    let own = decl.generics.params.iter().map(|g| g.name.name.to_string());
    let this = in_trait.then(|| "Self".to_string());
    let scope = Scope(this.into_iter().chain(outer_names).chain(own).collect());
    let self_ty = self_ty.map_or("T0".into(), |ty| scope.show(ty, ""));
    let params: Vec<String> = decl
        .params
        .iter()
        .map(|p| {
            let ty = p.ty.as_ref().map_or(self_ty.clone(), |ty| scope.show(ty, &self_ty));
            if p.mode == ParamMode::RefMut { format!("&mut {ty}") } else { ty }
        })
        .collect();
    let ret = decl.ret.as_ref().map_or("()".into(), |ty| scope.show(ty, &self_ty));
    format!("<{}>({}) -> {ret}", scope.0.len(), params.join(", "))
}

fn declared() -> Declared {
    let mut found = Declared::new();
    let mut add = |attributes: &[Attribute], scheme: &dyn std::ops::Fn() -> String| {
        if let Some(name) = native_name(attributes).filter(|name| !BY_COMPILER.contains(&name.as_str())) {
            found.entry(name).or_default().push(scheme());
        }
    };
    for (_, module) in parsed() {
        for item in &module.items {
            match &item.kind {
                ItemKind::Fn(decl) => add(&item.attributes, &|| scheme(decl, &[], None, false)),
                ItemKind::Impl(i) => i.methods.iter().for_each(|m| {
                    add(&m.attributes, &|| scheme(&m.decl, &i.generics.params, Some(&i.target), false));
                }),
                ItemKind::Trait(t) => t.methods.iter().for_each(|m| {
                    add(&m.attributes, &|| scheme(&m.decl, &t.generics.params, None, true));
                }),
                _ => {}
            }
        }
    }
    found
}

/// A row's scheme in the same form: parameters numbered, bounds left out.
fn row_scheme(text: &str) -> String {
    let Some(rest) = text.strip_prefix('<') else { return format!("<0>{text}") };
    let (generics, rest) = rest.split_once('>').expect("generics end");
    let names: Vec<&str> = generics.split(',').map(|g| g.split(':').next().unwrap_or(g).trim()).collect();
    let mut out = format!("<{}>", names.len());
    let mut word = String::new();
    for c in rest.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        match names.iter().position(|name| *name == word) {
            Some(i) => out += &format!("T{i}"),
            None => out += &word,
        }
        word.clear();
        out.push(c);
    }
    out.trim_end().to_string()
}

#[test]
fn every_native_of_the_library_has_a_row_with_its_scheme() {
    let mut wrong = Vec::new();
    for (name, schemes) in declared() {
        let Some(row) = stark_vm::natives::find(&name) else {
            wrong.push(format!("{name}: declared, but the table has no row"));
            continue;
        };
        let row = row_scheme(row.scheme);
        wrong
            .extend(schemes.iter().filter(|s| **s != row).map(|s| format!("{name}: declared {s}, the row says {row}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_row_is_declared_in_the_library() {
    let declared = declared();
    let strays: Vec<&str> =
        stark_vm::natives::all().map(|row| row.name).filter(|name| !declared.contains_key(*name)).collect();
    assert!(strays.is_empty(), "rows that nothing declares: {strays:?}");
}
