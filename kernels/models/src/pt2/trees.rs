//! Names for flat inputs and outputs, out of the trees that say how callers pass them.

use super::schema::{CallSignature, Tree};

/// A specification is `[protocol, tree]`.
fn parse(spec: &str) -> Option<Tree> {
    serde_json::from_str::<(i64, Tree)>(spec).ok().map(|(_, tree)| tree)
}

/// The keys of a dict, which its context lists.
fn keys(tree: &Tree) -> Option<Vec<String>> {
    let is_dict = tree.r#type.as_deref().is_some_and(|ty| ty.ends_with("dict") || ty.ends_with("Dict"));
    if !is_dict {
        return None;
    }
    let keys: Vec<String> = serde_json::from_str(tree.context.as_deref()?).ok()?;
    (keys.len() == tree.children_spec.len()).then_some(keys)
}

fn leaves(tree: &Tree, name: &str, out: &mut Vec<String>) {
    if tree.r#type.is_none() {
        out.push(name.to_string());
        return;
    }
    let keys = keys(tree);
    for (i, child) in tree.children_spec.iter().enumerate() {
        let part = keys.as_ref().map_or_else(|| i.to_string(), |keys| keys[i].clone());
        leaves(child, &format!("{name}.{part}"), out);
    }
}

/// A name for each leaf of the arguments: `x`, `pair.0`.
pub fn input_names(call: &CallSignature) -> Option<Vec<String>> {
    let tree = parse(&call.in_spec)?;
    let [positional, keywords] = &tree.children_spec[..] else { return None };
    let names = call.forward_arg_names.as_deref().unwrap_or(&[]);
    let keys = keys(keywords)?;
    let mut out = Vec::new();
    for (i, child) in positional.children_spec.iter().enumerate() {
        leaves(child, names.get(i)?, &mut out);
    }
    for (key, child) in keys.iter().zip(&keywords.children_spec) {
        leaves(child, key, &mut out);
    }
    Some(out)
}

/// A name for each leaf of the result; and whether it is a dict of tensors.
pub fn output_names(call: &CallSignature) -> Option<(Vec<String>, bool)> {
    let tree = parse(&call.out_spec)?;
    if tree.r#type.is_none() {
        return Some((vec!["output".into()], false));
    }
    let keys = keys(&tree);
    let mut out = Vec::new();
    for (i, child) in tree.children_spec.iter().enumerate() {
        let name = keys.as_ref().map_or_else(|| format!("output_{i}"), |keys| keys[i].clone());
        leaves(child, &name, &mut out);
    }
    let is_flat = tree.children_spec.iter().all(|child| child.r#type.is_none());
    Some((out, keys.is_some() && is_flat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_named_by_their_path() {
        let leaf = r#"{"type": null, "context": null, "children_spec": []}"#;
        let tuple = |children: &str| {
            format!(r#"{{"type": "builtins.tuple", "context": "null", "children_spec": [{children}]}}"#)
        };
        let dict = |keys: &str, children: &str| {
            format!(r#"{{"type": "builtins.dict", "context": "{keys}", "children_spec": [{children}]}}"#)
        };
        let arguments = tuple(&[leaf.to_string(), tuple(&format!("{leaf}, {leaf}"))].join(", "));
        let call = CallSignature {
            in_spec: format!("[1, {}]", tuple(&[arguments, dict(r#"[\"k\"]"#, leaf)].join(", "))),
            out_spec: format!("[1, {}]", dict(r#"[\"sum\", \"prod\"]"#, &format!("{leaf}, {leaf}"))),
            forward_arg_names: Some(vec!["x".into(), "pair".into()]),
        };
        assert_eq!(input_names(&call), Some(["x", "pair.0", "pair.1", "k"].map(String::from).to_vec()));
        assert_eq!(output_names(&call), Some((["sum", "prod"].map(String::from).to_vec(), true)));
    }
}
