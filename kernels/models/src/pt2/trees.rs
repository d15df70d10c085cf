//! How callers pass arguments and get results, out of the trees that say so.

use serde_json::Value as Json;

use super::schema::{CallSignature, Tree};
use crate::structure::Structure;
use crate::value::Value;

/// Containers whose items have a number each. Those of other classes are tuples, unless they have keys.
const LISTS: [&str; 3] = ["builtins.list", "collections.deque", "torch.fx.immutable_collections.immutable_list"];

/// A specification is `[protocol, tree]`.
fn parse(spec: &str, what: &str) -> Result<Structure<()>, String> {
    match serde_json::from_str::<(i64, Tree)>(spec) {
        Ok((_, tree)) => structure(&tree).map_err(|why| format!("`{what}`: {why}")),
        Err(e) => Err(format!("`{what}` is no tree that can be read: {e}")),
    }
}

/// The keys of a dict or of a class with named items, which the context lists: `["a", "b"]`, those of a `defaultdict` beside its
/// factory, and of a dataclass `[["a", "b"], ["c"]]`, where the second ones are `None`.
fn keys(tree: &Tree) -> Result<Option<Vec<Value>>, String> {
    let Some(class) = tree.r#type.as_deref() else { return Ok(None) };
    let is_dict = class.ends_with("dict") || class.ends_with("Dict");
    let context = tree.context.as_deref().and_then(|context| serde_json::from_str::<Json>(context).ok());
    let listed = match context {
        Some(Json::Object(mut parts)) => parts.remove("dict_context"),
        Some(Json::Array(mut parts)) if !is_dict && matches!(parts[..], [Json::Array(_), Json::Array(_)]) => {
            Some(parts.remove(0))
        }
        other => other,
    };
    let key = |key: Json| match key {
        Json::String(text) => Some(Value::str(text)),
        Json::Bool(x) => Some(Value::Bool(x)),
        Json::Number(n) => n.as_i64().map(Value::Int).or(n.as_f64().map(Value::Float)),
        _ => None,
    };
    let keys = match listed {
        Some(Json::Array(keys)) => keys.into_iter().map(key).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let n = tree.children_spec.len();
    match keys.filter(|keys| keys.len() == n && (is_dict || n > 0)) {
        None if is_dict => Err(format!("a `{class}` of {n} without as many keys that are texts or numbers")),
        keys => Ok(keys),
    }
}

/// As deep as JSON may nest.
fn structure(tree: &Tree) -> Result<Structure<()>, String> {
    let Some(class) = tree.r#type.as_deref() else { return Ok(Structure::Leaf(())) };
    let items = tree.children_spec.iter().map(structure).collect::<Result<Vec<_>, _>>()?;
    Ok(match keys(tree)? {
        Some(keys) => Structure::Dict(keys.into_iter().zip(items).collect()),
        None if LISTS.contains(&class) => Structure::List(items),
        None => Structure::Tuple(items),
    })
}

/// The arguments in their order, those with keywords last, by name where the program has one.
pub fn arguments(call: &CallSignature) -> Result<Vec<(Option<String>, Structure<()>)>, String> {
    let odd = || Err("`in_spec` is not of a tuple and a dict".to_string());
    let Structure::Tuple(parts) = parse(&call.in_spec, "in_spec")? else { return odd() };
    let Ok([Structure::Tuple(plain), Structure::Dict(named)]) = <[Structure<()>; 2]>::try_from(parts) else {
        return odd();
    };
    let mut names = call.forward_arg_names.iter().flatten().cloned();
    let mut arguments: Vec<_> = plain.into_iter().map(|argument| (names.next(), argument)).collect();
    arguments.extend(named.into_iter().map(|(key, argument)| (Some(key.to_string()), argument)));
    Ok(arguments)
}

pub fn result(call: &CallSignature) -> Result<Structure<()>, String> {
    parse(&call.out_spec, "out_spec")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(class: &str, context: &str, children: &[String]) -> String {
        let context = serde_json::to_string(context).unwrap();
        format!(r#"{{"type": "{class}", "context": {context}, "children_spec": [{}]}}"#, children.join(", "))
    }

    fn names(structure: &Structure<()>, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        let named = structure.try_map(name, &mut |(), name| {
            out.push(name);
            Ok::<(), ()>(())
        });
        named.map(|_| out).unwrap()
    }

    #[test]
    fn leaves_are_named_by_their_path() {
        let leaf = r#"{"type": null, "context": null, "children_spec": []}"#.to_string();
        let tuple = |children: &[String]| tree("builtins.tuple", "null", children);
        let plain = tuple(&[leaf.clone(), tuple(&[leaf.clone(), leaf.clone()])]);
        let named = tree("builtins.dict", r#"["k"]"#, &[leaf.clone()]);
        let call = |out: String| CallSignature {
            in_spec: format!("[1, {}]", tuple(&[plain.clone(), named.clone()])),
            out_spec: format!("[1, {out}]"),
            forward_arg_names: Some(vec!["x".into(), "pair".into()]),
        };
        let arguments = arguments(&call(leaf.clone())).unwrap();
        let found: Vec<String> =
            arguments.iter().flat_map(|(name, form)| names(form, name.as_deref().unwrap())).collect();
        assert_eq!(found, ["x", "pair.0", "pair.1", "k"]);
        let two = [leaf.clone(), leaf.clone()];
        for (class, context, what) in [
            ("builtins.dict", r#"["a", 2]"#, "r.a r.2"),
            ("builtins.list", "null", "r.0 r.1"),
            ("collections.namedtuple", "Point", "r.0 r.1"),
            ("collections.defaultdict", r#"{"default_factory_name": "int", "dict_context": ["a", "b"]}"#, "r.a r.b"),
            ("own.Data", r#"[["a", "b"], ["c"]]"#, "r.a r.b"),
            ("own.Output", r#"["a", "b"]"#, "r.a r.b"),
        ] {
            assert_eq!(names(&result(&call(tree(class, context, &two))).unwrap(), "r").join(" "), what, "{class}");
        }
        let why = result(&call(tree("builtins.dict", "[[1], 2]", &two))).map(|_| ()).unwrap_err();
        assert_eq!(why, "`out_spec`: a `builtins.dict` of 2 without as many keys that are texts or numbers");
    }
}
